"""A panel of our own: an HTTP server on loopback that answers whatever a test wants."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EPOCH = "6f1c2f0e-58a4-4c8e-9d0f-0123456789ab"
OTHER_EPOCH = "0b8f4c1d-1111-4222-8333-abcdefabcdef"
HASH = "{BLF-CRYPT}$2y$10$" + "a" * 53
OTHER_HASH = "{BLF-CRYPT}$2y$10$" + "b" * 53

Export = dict[str, Any]


def user(email: str, /, **changes: Any) -> dict[str, Any]:
    """A mailbox whose id follows from its address, unless the test says another; its fields are
    in the panel's order."""
    return {
        "deliver": True,
        "email": email,
        "id": hashlib.md5(email.encode()).hexdigest(),
        "login": True,
        "password": HASH,
        "quota_mb": 1024,
        **changes,
    }


def users(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [user(f"user{number}@example.nl", **changes) for number in range(count)]


def recipient(email: str) -> dict[str, str]:
    """The same mailbox for a node that is only a backup for its domain."""
    return {"email": email, "id": user(email)["id"]}


def export(
    boxes: list[dict[str, Any]],
    *,
    revision: int = 1,
    domains: tuple[str, ...] = ("example.nl",),
    aliases: tuple[dict[str, Any], ...] = (),
    relays: dict[str, str | None] | None = None,
    recipients: tuple[str, ...] = (),
    **changes: Any,
) -> Export:
    """A whole answer with right counts and digest, in format 2 with the hosts of relayed domains
    and with the addresses there; `changes` then spoil it."""
    rows: dict[str, list[Any]] = {
        "domains": sorted(domains),
        "users": sorted(boxes, key=lambda box: str(box.get("id"))),
        "aliases": list(aliases),
    }
    if relays is not None:
        rows["relays"] = [{"domain": name, "host": relays[name]} for name in sorted(relays)]
        rows["recipients"] = sorted(map(recipient, recipients), key=lambda row: row["id"])
    return {
        "format": 1 if relays is None else 2,
        "epoch": EPOCH,
        "revision": revision,
        "full": True,
        "counts": {name: len(values) for name, values in rows.items()},
        "sha256": digest(list(rows.values())),
        "allow_shrink": False,
        **rows,
        "purge": [],
        **changes,
    }


def digest(arrays: list[Any]) -> str:
    text = json.dumps(arrays, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def etag_of(answer: Export) -> str:
    return f'"{answer["epoch"]}-{answer["revision"]}-mpi01"'


def delta(before: Export, after: Export, /, **changes: Any) -> Export:
    """What leads from one whole answer to the other; `changes` then spoil it."""
    rows: dict[str, list[Any]] = {}
    gone: dict[str, list[str]] = {}
    for name, key in KEYS.items():
        if name not in after:
            continue  # in format 1
        old, new = ({key(row): row for row in one.get(name, [])} for one in (before, after))
        rows[name] = [row for at, row in new.items() if old.get(at) != row]
        gone[name] = [at for at in old if at not in new]
    return {**after, "full": False, **rows, "gone": gone, **changes}


KEYS: dict[str, Callable[[Any], str]] = {
    "domains": str,
    "users": lambda row: str(row["id"]),
    "aliases": lambda row: str(row["address"]),
    "relays": lambda row: str(row["domain"]),
    "recipients": lambda row: str(row["id"]),
}


def head_of(answer: Export) -> bytes:
    """Status and headers as the contract says, without a length and without their end."""
    head = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"ETag: {etag_of(answer)}", ""]
    return "\r\n".join(head).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        panel: FakePanel = self.server.panel  # type: ignore[attr-defined]
        path, _, query = self.path.partition("?")
        panel.requests.append({"path": path, "query": query, **dict(self.headers.items())})
        self.close_connection = True
        try:
            panel.behaviour(self)
        except (BrokenPipeError, ConnectionResetError):
            panel.hung_up.set()

    def do_POST(self) -> None:
        panel: FakePanel = self.server.panel  # type: ignore[attr-defined]
        self.close_connection = True
        body = self.rfile.read(int(self.headers["Content-Length"]))
        report = {"path": self.path, "key": self.headers["Authorization"], **json.loads(body)}
        panel.reports.append(report)
        panel.hold_reports.wait(20)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.reply(panel.report_status, {})

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.path.partition("?")[2]))

    def log_message(self, *args: Any, **named: Any) -> None:
        pass

    def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


Behaviour = Callable[[Handler], None]


class FakePanel:
    """Serves `answer` as the contract says, until a test gives it another behaviour. A request
    with `wait` is kept until `publish`, one with `since` gets what has changed since an answer
    that was published here."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.panel = self  # type: ignore[attr-defined]
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.requests: list[dict[str, str]] = []
        self.reports: list[dict[str, Any]] = []
        self.report_status = 204
        self.hold_reports = threading.Event()
        self.hold_reports.set()
        self.behaviour: Behaviour = self.serve
        self.answer = export([])
        self.past: dict[tuple[str, str], Export] = {}
        self.changes: tuple[str, Export] = "", {}
        self.published_at = 0.0
        self.published = threading.Condition()
        self.hung_up = threading.Event()
        self.speaks_gzip = True
        self.is_spaced = False
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def publish(self, answer: Export) -> None:
        """From now on this is the answer; who waits is told."""
        before, changes = self.answer, delta(self.answer, answer)
        with self.published:
            self.past[before["epoch"], str(before["revision"])] = before
            self.answer, self.changes = answer, (str(before["revision"]), changes)
            self.published_at = time.monotonic()
            self.published.notify_all()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def speak_tls(self, context: ssl.SSLContext) -> None:
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def serve(self, handler: Handler) -> None:
        tag, wait = handler.headers["If-None-Match"], float(handler.query.get("wait", 0))
        with self.published:
            self.published.wait_for(lambda: tag != etag_of(self.answer), wait)
            answer, (since, changes) = self.answer, self.changes
        if tag == etag_of(answer):
            handler.reply(304, {"ETag": etag_of(answer)})
            return
        asked = handler.query.get("since", "")
        if asked and asked == since and etag_of(changes) == etag_of(answer):
            answer = changes
        elif before := self.past.get((answer["epoch"], asked)):
            answer = delta(before, answer)
        headers = {"ETag": etag_of(answer), "Content-Type": "application/json"}
        body = self.written(answer)
        if self.speaks_gzip and "gzip" in (handler.headers["Accept-Encoding"] or ""):
            headers["Content-Encoding"], body = "gzip", gzip.compress(body, 1)
        handler.reply(200, headers, body)

    def written(self, answer: Export) -> bytes:
        """As the panel writes it, or with the spaces that JSON may have as well."""
        return json.dumps(answer, separators=None if self.is_spaced else (",", ":")).encode()

    def always(self, body: bytes | Export, *, status: int = 200, **headers: str) -> None:
        """Answer with this from now on, whatever is asked; `ETag` is made from an export.
        A header that is given as "" is left out."""
        tag = etag_of(body) if isinstance(body, dict) else etag_of(export([], revision=9))
        raw = self.written(body) if isinstance(body, dict) else body
        sent = {
            "Content-Type": "application/json",
            "ETag": tag,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        kept = {name: value for name, value in sent.items() if value}
        self.behaviour = lambda handler: handler.reply(status, kept, raw)

    def raw(self, *parts: bytes) -> None:
        """Answer with these bytes and hang up, without any HTTP of ours."""

        def behaviour(handler: Handler) -> None:
            for part in parts:
                handler.wfile.write(part)

        self.behaviour = behaviour
