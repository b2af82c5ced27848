#!/usr/bin/env python3
"""The program a mail node runs: it fetches the node's mailboxes from the panel and hands them
to Dovecot as one SQLite file. It needs Python 3.9 or later and nothing else.

    agent.py once      one attempt, then the end
    agent.py run       for ever: an attempt every --interval seconds, until TERM
    agent.py status    one screen: what is applied, since when, and what is wrong
    agent.py check     configuration, key, database and panel are tried; nothing is changed

Options, each also a line `name = value` in section [agent] of the configuration file; an option
wins over the file. With --panel, --key-file and --state given, no file is needed.

    --config FILE       default /etc/mailcote/agent.ini
    --panel URL         the panel: https://, or http:// on this machine's loopback
    --key-file FILE     holds the sync key (mck_…), read again at every attempt
    --state DIR         the SQLite file is DIR/users.db
    --doveadm COMMAND   how to reach doveadm, split like a shell would; empty: end no sessions
    --interval SECONDS  between two attempts of `run` (60)
    --timeout SECONDS   absolute deadline of one request (60)
    --maps DIR, --postmap COMMAND, --mail DIR, --wait SECONDS
                        accepted and checked; nothing uses them yet

Exit codes: 0 the node is up to date (`check`: all is well; `status`: told; `run`: stopped by
TERM or INT), 1 the answer was refused, the panel was out of reach or the state could not be
written, 2 a mistake in the options, the configuration file or the key file. A reason is one line
on standard error; it is also kept for `status`.

The state directory holds users.db (with -wal and -shm), agent.lock, agent.note (what `status`
tells of the last attempt) and, until Dovecot has reloaded after a damaged file was replaced,
agent.replaced. Two copies of the agent take turns: each holds the lock while it reads or writes
the state, never while it waits for the panel; one that cannot get it within ten seconds gives up
and says so, and an answer that the other has overtaken is dropped.

Tables: users(email, id, password, quota_mb, login, deliver), domains(name),
aliases(address, goto: addresses joined by ", "), meta(k, v), kicks(n, email). The tables come
with the first good answer: before that, a look-up fails for the time being (mail is deferred),
while an empty table would mean "no such user" (mail bounces).

Sources:
    HTTP: RFC 9110, sections 8.4 (content coding), 13.1.2 (If-None-Match), 15.4 (redirects)
    JSON: RFC 8259, sections 4 (names are unique) and 8.1 (UTF-8, no byte order mark)
    Dovecot 2.4: https://doc.dovecot.org/2.4.1/core/config/auth/databases/sql.html
    Dovecot 2.3: https://doc.dovecot.org/2.3/configuration_manual/authentication/sql/
    doveadm-kick(1): https://doc.dovecot.org/2.4.1/core/man/doveadm-kick.1.html
    SQLite: https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import fcntl
import functools
import grp
import hashlib
import http.client
import io
import ipaddress
import json
import os
import queue
import random
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

VERSION = "0.1.0"
DEFAULT_CONFIG = "/etc/mailcote/agent.ini"
SECTION = "agent"
DEFAULTS = {
    "panel": "",
    "key-file": "",
    "state": "",
    "maps": "",
    "postmap": "",
    "doveadm": "",
    "mail": "",
    "wait": "25",
    "interval": "60",
    "timeout": "60",
}
NEEDED = {
    "once": ("panel", "key-file", "state"),
    "run": ("panel", "key-file", "state"),
    "check": ("panel", "key-file", "state"),
    "status": ("state",),
}

BODY_LIMIT = 256 * 1024 * 1024
HEADER_LIMIT = 64 * 1024
PIECE = 64 * 1024
KEY_FILE_LIMIT = 4096
LOCK_PATIENCE = 10.0
DATABASE_PATIENCE = 10.0
KICK_PATIENCE = 10.0
KICKING_PATIENCE = 30.0
STOP_PATIENCE = 0.4
LONGEST_BACKOFF = 60.0
NOTE_SIZE = 2048
REASON_LIMIT = 300
SHRINK_GUARD_FROM = 10
STOPPING = (signal.SIGTERM, signal.SIGINT)
DONE_BY_DOVEADM = (0, 68)  # kick answers 68 on 2.3 when there was no session, 0 on 2.4

KEY = re.compile(r"mck_[!-~]+")
HASH = re.compile(r"\{BLF-CRYPT\}\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
ID = re.compile(r"[0-9a-f]{32}")
DIGEST = re.compile(r"[0-9a-f]{64}")
EPOCH = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
ETAG = re.compile(r'(?:W/)?("[0-9A-Za-z._-]{3,200}")')
LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"(?:{LABEL}\.)+(?![0-9]+\Z){LABEL}")

SHAPE = {
    "format": int,
    "epoch": str,
    "revision": int,
    "full": bool,
    "counts": dict,
    "sha256": str,
    "allow_shrink": bool,
    "domains": list,
    "users": list,
    "aliases": list,
    "purge": list,
}
USER_FIELDS = {"id", "email", "password", "quota_mb", "login", "deliver"}
ALIAS_FIELDS = {"address", "goto"}
LARGEST_QUOTA = 1048576
LARGEST_REVISION = 2**63 - 1

Row = tuple[Any, ...]  # text and numbers; the first is what the table is keyed by


class AgentError(Exception):
    """Why an attempt failed: one plain sentence for the operator."""


class UsageError(AgentError):
    """A mistake in the options, the configuration file or the key file."""


class RefusedError(AgentError):
    """The panel answered, but with something that may not be applied."""


# ── Invocation ────────────────────────────────────────────────────────────────────────────────


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        command, settings = settings_from(arguments)
        return COMMANDS[command](settings)
    except UsageError as problem:
        complain(str(problem))
        return 2
    except KeyboardInterrupt:
        complain("interrupted")
        return 1
    except Exception as problem:  # noqa: BLE001  the operator gets a sentence, never a traceback
        complain(sentence_of(problem))
        return 1


@dataclass(frozen=True)
class Settings:
    """What the options and the file say together; seconds are numbers, commands are split."""

    panel: str
    key_file: Path
    state: Path
    maps: str
    postmap: list[str]
    doveadm: list[str]
    mail: str
    wait: float
    interval: float
    timeout: float


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def settings_from(arguments: Sequence[str] | None) -> tuple[str, Settings]:
    options = vars(parser().parse_args(arguments))
    command, config = options.pop("command"), options.pop("config")
    given = {name: value for name, value in options.items() if value is not None}
    lines = lines_of(Path(config or DEFAULT_CONFIG), must_exist=config is not None)
    values = {**DEFAULTS, **lines, **given}
    missing = [name for name in NEEDED[command] if not values[name]]
    if missing:
        where = config or DEFAULT_CONFIG
        raise UsageError(f"{missing[0]} is not set: give --{missing[0]} or put it into {where}")
    return command, settings_of(values, with_panel="panel" in NEEDED[command])


def parser() -> Parser:
    result = Parser(prog="agent.py", description="Keep this mail node in step with the panel.")
    result.allow_abbrev = False
    result.add_argument("--version", action="version", version=f"mailcote-agent {VERSION}")
    result.add_argument("command", choices=list(NEEDED))
    result.add_argument("--config", help=f"configuration file ({DEFAULT_CONFIG})")
    for name, default in DEFAULTS.items():
        result.add_argument(f"--{name}", dest=name, help=f"default: {default or 'none'}")
    return result


def lines_of(path: Path, *, must_exist: bool) -> dict[str, str]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if must_exist:
            raise UsageError(f"the configuration file {path} does not exist") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration file {path} cannot be read: {cause(error)}") from None
    return section_of(text, path)


def section_of(text: str, path: Path) -> dict[str, str]:
    ini = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        ini.read_string(text)
    except configparser.Error as error:
        # The error's own words quote the line, which might hold a key.
        where = f" (line {error.lineno})" if hasattr(error, "lineno") else ""
        raise UsageError(f"the configuration file {path} is not a valid INI file{where}") from None
    if ini.sections() != [SECTION]:
        raise UsageError(f"the configuration file {path} must have one section, [{SECTION}]")
    unknown = sorted(set(ini[SECTION]) - set(DEFAULTS))
    if unknown:
        raise UsageError(f"the configuration file {path} has an unknown name: {unknown[0]}")
    return dict(ini[SECTION])


def settings_of(values: dict[str, str], *, with_panel: bool) -> Settings:
    return Settings(
        panel=panel_url(values["panel"]) if with_panel else values["panel"],
        key_file=Path(values["key-file"]),
        state=Path(values["state"]).absolute(),
        maps=values["maps"],
        postmap=words("postmap", values["postmap"]),
        doveadm=words("doveadm", values["doveadm"]),
        mail=values["mail"],
        wait=seconds("wait", values["wait"], 0, 55),
        interval=seconds("interval", values["interval"], 0.01, 86400),
        timeout=seconds("timeout", values["timeout"], 0.01, 3600),
    )


def words(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise UsageError(f"{name} is not a command: a quotation mark is not closed") from None


def seconds(name: str, text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most:  # also false for "nan"
        raise UsageError(f"{name} must be a number of seconds from {least} to {most}")
    return number


def panel_url(text: str) -> str:
    """The address without a slash at its end. The key travels with every request, so only
    https:// will do, or http:// where no wire is involved."""
    if not re.fullmatch(r"[!-~]+", text):
        raise UsageError("panel must be an address like https://panel.example")
    try:
        url = urllib.parse.urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise UsageError("panel is not a valid address") from None
    if url.scheme not in ("http", "https") or not host or port == 0:
        raise UsageError("panel must be an address like https://panel.example")
    if url.query or url.fragment or "@" in url.netloc:
        raise UsageError("panel must be a plain address, without user name, query or fragment")
    if url.scheme == "http" and not is_loopback(host):
        raise UsageError(
            "panel must be https:// (http:// is accepted on the loopback interface only)"
        )
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(KEY_FILE_LIMIT).decode("ascii", "replace").strip()
    except OSError as error:
        raise UsageError(f"the key file {path} cannot be read: {cause(error)}") from None
    if not KEY.fullmatch(text):
        raise UsageError(f"the key file {path} does not hold a sync key (one line, mck_…)")
    return text


# ── Commands ──────────────────────────────────────────────────────────────────────────────────


def once(settings: Settings) -> int:
    read_key(settings.key_file)
    outcome = tried(settings, Store(settings.state), thorough=True)
    if outcome.is_good:
        say(outcome.sentence)
        return 0
    complain(outcome.sentence)
    return 1


def run(settings: Settings) -> int:
    """The work is done in a second thread: the first waits for TERM, which no slow disk, name
    server or panel can delay. To be cut off is harmless at every instant."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    read_key(settings.key_file)
    stop = threading.Event()
    worker = threading.Thread(target=keep_in_step, args=(settings, stop), daemon=True)
    worker.start()
    signal.sigwait(STOPPING)
    stop.set()
    worker.join(STOP_PATIENCE)
    if worker.is_alive():
        os._exit(0)
    return 0


def keep_in_step(settings: Settings, stop: threading.Event) -> None:
    """Every sentence is said once, until there is another: a node logs to an SD card."""
    store = Store(settings.state)
    failures, said, thorough = 0, "", True
    while not stop.is_set():
        outcome = tried(settings, store, thorough=thorough)
        if outcome.sentence != said:
            said = outcome.sentence
            (say if outcome.is_good else complain)(said)
        failures = 0 if outcome.is_good else failures + 1
        thorough = outcome.is_damage
        stop.wait(backoff(failures) if failures else settings.interval)


def backoff(failures: int) -> float:
    """Seconds: twice as long each time, and random, so that nodes do not return all at once."""
    longest = min(LONGEST_BACKOFF, 2.0 ** min(failures, 10))
    return random.SystemRandom().uniform(longest / 2, longest)


def status(settings: Settings) -> int:
    store = Store(settings.state)
    say(f"agent     {VERSION}, state in {settings.state}")
    wrong = []
    try:
        for line in store.summary():
            say(line)
    except Exception as error:  # noqa: BLE001  whatever it is, the rest of the screen is told
        wrong.append(sentence_of(error))
    note = store.read_note()
    say(f"contact   {note.get('contact') or 'never'}")
    if note.get("problem"):
        wrong.append(f"{note['problem']} (since {note.get('since')})")
    say(f"wrong     {'; '.join(wrong) or 'nothing'}")
    return 0


def check(settings: Settings) -> int:
    failed = False
    for name, trial in CHECKS:
        try:
            say(f"ok     {name}: {trial(settings)}")
        except Exception as error:  # noqa: BLE001  one failure must not hide the next
            failed = True
            say(f"wrong  {name}: {sentence_of(error)}")
    if failed:
        complain("something is wrong, see above")
    return 1 if failed else 0


def check_configuration(settings: Settings) -> str:
    return f"panel {settings.panel}, state {settings.state}"


def check_key(settings: Settings) -> str:
    read_key(settings.key_file)
    if settings.key_file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise AgentError(f"everybody on this machine may read or write {settings.key_file}")
    return f"{settings.key_file} holds a sync key"


def check_state(settings: Settings) -> str:
    store = Store(settings.state)
    if not settings.state.exists():
        return f"{settings.state} does not exist yet; the first attempt makes it"
    if not os.access(settings.state, os.R_OK | os.W_OK | os.X_OK):
        raise AgentError(f"{settings.state} cannot be written by this account")
    if not store.database.exists():
        return "nothing is applied yet"
    with store.reading() as connection:
        if not is_sound(connection):
            raise AgentError(f"{store.database} is damaged; the next attempt fetches it anew")
        held = held_in(connection)
    return f"{store.database} is sound, {held.name if held else 'nothing is applied yet'}"


def check_panel(settings: Settings) -> str:
    store, held = Store(settings.state), None
    with contextlib.suppress(sqlite3.Error):  # told by check_state
        held = store.peek()
    answer = fetch(settings, held)
    if answer is None:
        return f"{settings.panel} answers, there is nothing newer"
    refuse_unfit(answer, held)
    return f"{settings.panel} answers, with {answer.name}"


def check_doveadm(settings: Settings) -> str:
    if not settings.doveadm:
        return "none is set: sessions of removed mailboxes are not ended"
    if shutil.which(settings.doveadm[0]) is None:
        raise AgentError(f"there is no command {settings.doveadm[0]}")
    return f"{settings.doveadm[0]} is there"


COMMANDS: dict[str, Callable[[Settings], int]] = {
    "once": once,
    "run": run,
    "status": status,
    "check": check,
}
CHECKS: tuple[tuple[str, Callable[[Settings], str]], ...] = (
    ("configuration", check_configuration),
    ("key file", check_key),
    ("database", check_state),
    ("panel", check_panel),
    ("doveadm", check_doveadm),
)


# ── One attempt ───────────────────────────────────────────────────────────────────────────────


class Outcome(NamedTuple):
    is_good: bool
    is_damage: bool
    sentence: str


def tried(settings: Settings, store: Store, *, thorough: bool) -> Outcome:
    """One attempt, whatever happens in it; `thorough` also looks for damage in the file."""
    try:
        outcome = Outcome(True, False, attempt(settings, store, thorough=thorough))
    except Exception as error:  # noqa: BLE001  the agent goes on, with a sentence in its place
        outcome = Outcome(False, is_damage(error), clean(sentence_of(error)))
    store.write_note("" if outcome.is_good else outcome.sentence)
    return outcome


def attempt(settings: Settings, store: Store, *, thorough: bool) -> str:
    store.make_folder()
    held = store.look(thorough=thorough)
    left = tell_dovecot(settings, store)  # what a crash or a stopped Dovecot left undone
    answer = fetch(settings, held)
    if answer is None:
        return f"{held.name if held else ''} is up to date{left}"
    changed = store.apply(answer, held, kicking=bool(settings.doveadm))
    left = tell_dovecot(settings, store)
    if changed is None:
        return f"another copy of the agent was faster than {answer.name}{left}"
    return f"{answer.name} is applied, rows written or removed: {changed}{left}"


def tell_dovecot(settings: Settings, store: Store) -> str:
    """End what must end, after the commit; says what is left for the next attempt. Sessions go
    on after a password or a row is gone, until they are kicked (doveadm-kick(1))."""
    if not settings.doveadm:
        return ""
    if store.replaced.exists() and doveadm(settings, "reload"):
        store.replaced.unlink()
    pending, until = store.pending_kicks(), time.monotonic() + KICKING_PATIENCE
    done = [
        number
        for number, email in pending
        if time.monotonic() < until and doveadm(settings, "kick", email)
    ]
    store.forget_kicks(done)
    left = len(pending) - len(done)
    return f"; doveadm could not end {left} sessions yet" if left else ""


def doveadm(settings: Settings, *arguments: str) -> bool:
    try:
        done = subprocess.run(
            [*settings.doveadm, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=KICK_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode in DONE_BY_DOVEADM


def fetch(settings: Settings, held: Held | None) -> Answer | None:
    """The panel's answer, sound in itself; None when there is nothing newer than `held`."""
    reply = ask(settings, held.etag if held else None)
    return answer_from(parsed(reply.body), reply.etag) if reply else None


# ── HTTP ──────────────────────────────────────────────────────────────────────────────────────


class Reply(NamedTuple):
    etag: str
    body: bytes


def ask(settings: Settings, etag: str | None) -> Reply | None:
    """One GET, with one deadline for all of it. None stands for a 304 that was asked for."""
    deadline = Deadline(settings.timeout)
    url = urllib.parse.urlsplit(settings.panel + "/sync/v1/export")
    try:
        with contextlib.closing(connected(url, deadline)) as link:
            line = Line(link, deadline)
            line.sendall(request(url, read_key(settings.key_file), etag))
            return reply_on(line, etag)
    except http.client.HTTPException:
        raise RefusedError("the panel did not answer in proper HTTP, or was cut off") from None
    except OSError as error:
        if deadline.is_over():
            sentence = f"the panel did not answer in full within {settings.timeout:g} seconds"
            raise AgentError(sentence) from None
        raise AgentError(f"the panel is out of reach: {network_cause(error)}") from None


class Deadline:
    """A moment on the clock that nobody can set (time.monotonic)."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        left = self.end - time.monotonic()
        if left <= 0:
            raise OSError("the deadline has passed")
        return left

    def is_over(self) -> bool:
        return self.end - time.monotonic() < 0.01  # a timeout may fire a little early


class Wire(io.RawIOBase):
    """The bytes that come in, up to a moment and up to a number: `http.client` alone would wait
    anew for every byte, and read headers for ever."""

    def __init__(self, link: socket.socket, deadline: Deadline) -> None:
        self.link, self.deadline, self.allowance = link, deadline, HEADER_LIMIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.allowance <= 0:
            raise RefusedError(f"the headers of the answer are over {HEADER_LIMIT} bytes")
        self.link.settimeout(self.deadline.left())
        size = self.link.recv_into(memoryview(buffer)[: self.allowance])
        self.allowance -= size
        return size


class Line:
    """As much of a socket as `http.client.HTTPResponse` asks for."""

    def __init__(self, link: socket.socket, deadline: Deadline) -> None:
        self.link, self.deadline, self.wire = link, deadline, Wire(link, deadline)

    def sendall(self, data: bytes) -> None:
        self.link.settimeout(self.deadline.left())
        self.link.sendall(data)

    def makefile(self, _mode: str) -> IO[bytes]:
        return io.BufferedReader(self.wire)


def connected(url: urllib.parse.SplitResult, deadline: Deadline) -> socket.socket:
    host, is_tls = url.hostname or "", url.scheme == "https"
    addresses = resolved(host, url.port or (443 if is_tls else 80), deadline)
    if not is_tls:
        addresses = [address for address in addresses if is_loopback(str(address[0]))]
    link = first_connected(addresses, deadline)
    if not is_tls:
        return link
    try:
        link.settimeout(deadline.left())
        return tls_context().wrap_socket(link, server_hostname=host)
    except BaseException:
        link.close()
        raise


def resolved(host: str, port: int, deadline: Deadline) -> list[tuple[Any, ...]]:
    """In a thread of its own, because a name server that is silent cannot be interrupted."""
    found: queue.SimpleQueue[list[tuple[Any, ...]] | str] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put([entry[4] for entry in entries])
        except (OSError, UnicodeError) as error:
            found.put(cause(error))

    threading.Thread(target=look_up, daemon=True).start()
    try:
        result = found.get(timeout=deadline.left())
    except queue.Empty:
        raise OSError("the name server is silent") from None
    if isinstance(result, str):
        raise OSError(f"the name {host} has no address ({result})")
    return result


def first_connected(addresses: list[tuple[Any, ...]], deadline: Deadline) -> socket.socket:
    """Each address gets its share of the time, so that a dead one leaves some for the next."""
    problem = OSError("the name has no address that may be used")
    for number, address in enumerate(addresses):
        share = deadline.left() / (len(addresses) - number)
        try:
            return socket.create_connection(address[:2], timeout=share)
        except OSError as error:
            problem = error
    raise problem


def tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def request(url: urllib.parse.SplitResult, key: str, etag: str | None) -> bytes:
    lines = [
        f"GET {url.path} HTTP/1.1",
        f"Host: {url.netloc}",
        f"Authorization: Bearer {key}",
        f"User-Agent: mailcote-agent/{VERSION}",
        "Accept: application/json",
        "Accept-Encoding: gzip",
        "Connection: close",
        *([f"If-None-Match: {etag}"] if etag else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def reply_on(line: Line, asked: str | None) -> Reply | None:
    with contextlib.closing(
        http.client.HTTPResponse(cast("socket.socket", line), method="GET")
    ) as response:
        response.begin()
        line.wire.allowance = sys.maxsize  # what follows is counted as the body it makes
        etag = response.getheader("ETag")
        if response.status == 304 and asked is not None:
            if etag is not None and tag_in(etag) != asked:
                raise RefusedError("the panel answered 304 for something that was not asked")
            return None
        refuse_status(response.status)
        refuse_type(response.getheader("Content-Type"))
        coding = (response.getheader("Content-Encoding") or "identity").strip().lower()
        return Reply(tag_in(etag), whole(unpacked(pieces(response), coding)))


def tag_in(etag: str | None) -> str:
    """The tag as the panel wrote it: a proxy that compresses marks it as weak (RFC 9110, 8.8.1),
    which makes no difference to If-None-Match."""
    match = ETAG.fullmatch(etag or "")
    if not match:
        raise RefusedError("the answer has no ETag, or one of another form")
    return match.group(1)


def refuse_status(status: int) -> None:
    if status == 200:
        return
    if status == 401:
        raise RefusedError("the panel does not accept the sync key (401)")
    if 300 <= status < 400 and status != 304:
        raise RefusedError(f"the panel answered {status}, a redirect, which is never followed")
    raise RefusedError(f"the panel answered {status}")


def refuse_type(header: str | None) -> None:
    kind, *parameters = [part.strip().lower() for part in (header or "").split(";")]
    if kind != "application/json":
        raise RefusedError("the answer is not of type application/json")
    if any(part not in ("", "charset=utf-8", 'charset="utf-8"') for part in parameters):
        raise RefusedError("the answer is not in UTF-8")


def pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body as it comes in. `read` with a size does not say when it was cut off; what the
    response still expects does."""
    size = 0
    if (response.length or 0) > BODY_LIMIT:
        raise too_large()
    while True:
        piece = response.read(PIECE)
        if not piece:
            break
        size += len(piece)
        if size > BODY_LIMIT:
            raise too_large()
        yield piece
    if response.length:
        raise RefusedError("the answer was cut off")


def unpacked(packed: Iterable[bytes], coding: str) -> Iterator[bytes]:
    if coding == "identity":
        return iter(packed)
    if coding in ("gzip", "x-gzip"):
        return gunzipped(packed)
    raise RefusedError("the answer is packed in another way than gzip")


def gunzipped(packed: Iterable[bytes]) -> Iterator[bytes]:
    """A piece at a time, so that a small answer cannot unpack to more than is allowed."""
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        for piece in packed:
            rest = piece
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, PIECE)
                rest = unpacker.unconsumed_tail
            if rest or unpacker.unused_data:
                raise RefusedError("the answer goes on after its gzip data")
        yield unpacker.flush()
    except zlib.error:
        raise RefusedError("the answer is not valid gzip") from None
    if not unpacker.eof:
        raise RefusedError("the answer was cut off")


def whole(parts: Iterable[bytes]) -> bytes:
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > BODY_LIMIT:
            raise too_large()
    return bytes(body)


def too_large() -> RefusedError:
    return RefusedError(f"the answer is over {BODY_LIMIT // 1024 // 1024} MiB")


def network_cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection ({error.reason})"
    return cause(error)


# ── The answer in itself ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Answer:
    """A whole state, every row of it checked; rows are as the tables keep them."""

    epoch: str
    revision: int
    etag: str
    sha256: str
    allow_shrink: bool
    domains: list[Row]
    users: list[Row]
    aliases: list[Row]
    purge: list[str]

    @property
    def name(self) -> str:
        return f"revision {self.revision} with {len(self.users)} mailboxes"


def parsed(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError("the answer is not in UTF-8") from None
    if text.startswith("\ufeff"):
        raise RefusedError("the answer starts with a byte order mark")
    try:
        fields = json.loads(
            text,
            object_pairs_hook=object_of,
            parse_int=number_of,
            parse_float=no_number,
            parse_constant=no_number,
        )
    except RecursionError:
        raise RefusedError("the answer is nested too deeply") from None
    except ValueError:
        raise RefusedError("the answer is not JSON") from None
    if type(fields) is not dict:
        raise RefusedError("the answer is not a JSON object")
    return fields


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RefusedError("the answer has a field twice")
    return fields


def number_of(text: str) -> int:
    if len(text) > 20:
        raise RefusedError("the answer has a number that is too large")
    return int(text)


def no_number(_text: str) -> NoReturn:
    raise RefusedError("the answer has a number that is not a whole one")


def answer_from(fields: dict[str, Any], etag: str) -> Answer:
    refuse_shape(fields)
    refuse_tag(fields, etag)
    refuse_counts(fields)
    domains = domain_rows(fields["domains"])
    names = {str(row[0]) for row in domains}
    answer = Answer(
        epoch=fields["epoch"],
        revision=fields["revision"],
        etag=etag,
        sha256=fields["sha256"],
        allow_shrink=fields["allow_shrink"],
        domains=domains,
        users=user_rows(fields["users"], names),
        aliases=alias_rows(fields["aliases"], names),
        purge=purge_ids(fields["purge"]),
    )
    refuse_digest(fields)
    return answer


def refuse_shape(fields: dict[str, Any]) -> None:
    for name in fields:
        if name not in SHAPE:
            raise RefusedError(f"the answer has an unknown field: {ascii(name)[:60]}")
    for name, kind in SHAPE.items():
        if type(fields.get(name)) is not kind:
            raise RefusedError(f"{name} is missing from the answer, or of a wrong type")
    if fields["format"] != 1:
        raise RefusedError("the answer is in a format that this agent does not know")
    if not fields["full"]:
        raise RefusedError("the answer has only a part of the state, which was not asked for")
    if not EPOCH.fullmatch(fields["epoch"]) or not DIGEST.fullmatch(fields["sha256"]):
        raise RefusedError("epoch or sha256 is not of its form")
    if not 0 <= fields["revision"] <= LARGEST_REVISION:
        raise RefusedError("revision is out of range")


def refuse_tag(fields: dict[str, Any], etag: str) -> None:
    start = f'"{fields["epoch"]}-{fields["revision"]}-'
    if not etag.startswith(start) or len(etag) <= len(start) + 1:
        raise RefusedError("the ETag does not match epoch and revision of the answer")


def refuse_counts(fields: dict[str, Any]) -> None:
    counts = fields["counts"]
    if any(type(count) is not int for count in counts.values()):
        raise RefusedError("counts has something that is not a number")
    if counts != {name: len(fields[name]) for name in ("domains", "users", "aliases")}:
        raise RefusedError("counts differ from what the answer holds")


def refuse_digest(fields: dict[str, Any]) -> None:
    arrays = [fields["domains"], fields["users"], fields["aliases"]]
    text = json.dumps(arrays, sort_keys=True, separators=(",", ":"))
    if hashlib.sha256(text.encode("ascii")).hexdigest() != fields["sha256"]:
        raise RefusedError("sha256 differs from what the answer holds")


def domain_rows(values: list[Any]) -> list[Row]:
    refuse_wrong("domains", values, lambda value: "" if is_domain(value) else "is not a domain")
    refuse_repeats("domains", values)
    return [(name,) for name in values]


def user_rows(values: list[Any], domains: Collection[str]) -> list[Row]:
    refuse_wrong("users", values, functools.partial(wrong_in_user, domains=domains))
    refuse_repeats("users", [user["id"] for user in values])
    refuse_repeats("users", [user["email"] for user in values])
    return [
        (
            user["email"],
            user["id"],
            user["password"],
            user["quota_mb"],
            int(user["login"]),
            int(user["deliver"]),
        )
        for user in values
    ]


def alias_rows(values: list[Any], domains: Collection[str]) -> list[Row]:
    refuse_wrong("aliases", values, functools.partial(wrong_in_alias, domains=domains))
    refuse_repeats("aliases", [alias["address"] for alias in values])
    return [(alias["address"], ", ".join(alias["goto"])) for alias in values]


def purge_ids(values: list[Any]) -> list[str]:
    refuse_wrong("purge", values, lambda value: "" if matches(ID, value) else "is not an id")
    refuse_repeats("purge", values)
    return values


def refuse_wrong(name: str, values: list[Any], wrong: Callable[[Any], str]) -> None:
    for number, value in enumerate(values):
        reason = wrong(value)
        if reason:
            raise RefusedError(f"{name}[{number}] {reason}; the whole answer is refused")


def refuse_repeats(name: str, values: list[str]) -> None:
    if len(set(values)) != len(values):
        raise RefusedError(f"{name} has an id, a name or an address twice")


def wrong_in_user(user: Any, domains: Collection[str]) -> str:
    """Why this row may not reach Dovecot; empty when it may."""
    if type(user) is not dict or user.keys() != USER_FIELDS:
        return "has not exactly the fields of a user"
    if not matches(ID, user["id"]):
        return "has a wrong id"
    if not is_address(user["email"]) or domain_of(user["email"]) not in domains:
        return "has a wrong address, or one of a domain that is not listed"
    if not matches(HASH, user["password"]):
        return f"({user['email']}) has a password that is not a bcrypt hash"
    if type(user["quota_mb"]) is not int or not 1 <= user["quota_mb"] <= LARGEST_QUOTA:
        return f"({user['email']}) has a wrong quota"
    if type(user["login"]) is not bool or type(user["deliver"]) is not bool:
        return f"({user['email']}) has a flag that is not true or false"
    return ""


def wrong_in_alias(alias: Any, domains: Collection[str]) -> str:
    if type(alias) is not dict or alias.keys() != ALIAS_FIELDS:
        return "has not exactly the fields of an alias"
    if not is_address(alias["address"]) or domain_of(alias["address"]) not in domains:
        return "has a wrong address, or one of a domain that is not listed"
    if type(alias["goto"]) is not list or not alias["goto"]:
        return f"({alias['address']}) leads nowhere"
    if not all(is_address(address) for address in alias["goto"]):
        return f"({alias['address']}) leads to something that is not an address"
    return ""


def is_address(value: Any) -> bool:
    if type(value) is not str or len(value) > 254 or ".." in value:
        return False
    local, at, domain = value.partition("@")
    return bool(at) and matches(LOCAL_PART, local) and is_domain(domain)


def is_domain(value: Any) -> bool:
    return matches(DOMAIN, value) and len(value) <= 253


def domain_of(address: str) -> str:
    return address.partition("@")[2]


def matches(pattern: re.Pattern[str], value: Any) -> bool:
    return type(value) is str and pattern.fullmatch(value) is not None


# ── The answer beside what is held ────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Held:
    """What the database says it holds."""

    epoch: str
    revision: int
    etag: str
    sha256: str
    purge: list[str]
    applied_at: str
    users: int

    @property
    def name(self) -> str:
        return f"revision {self.revision} with {self.users} mailboxes"


def refuse_unfit(answer: Answer, held: Held | None) -> None:
    if held is None:
        return
    if answer.epoch == held.epoch:
        if answer.revision < held.revision:
            raise RefusedError(f"revision fell from {held.revision} to {answer.revision}")
        if answer.revision == held.revision and not is_same(answer, held):
            raise RefusedError(f"revision {held.revision} came again with other content")
    gone = held.users - len(answer.users)
    if held.users >= SHRINK_GUARD_FROM and 5 * gone > held.users and not answer.allow_shrink:
        raise RefusedError(
            f"{gone} of {held.users} mailboxes would go, more than a fifth, and the panel did "
            "not confirm it"
        )


def is_same(answer: Answer, held: Held) -> bool:
    return answer.sha256 == held.sha256 and answer.purge == held.purge


def is_overtaken(answer: Answer, held: Held | None, asked: Held | None) -> bool:
    """Another copy of the agent applied something while this one waited for the panel."""
    if held is None or held == asked:
        return False
    return answer.epoch != held.epoch or answer.revision <= held.revision


# ── The state on disk ─────────────────────────────────────────────────────────────────────────


class Table(NamedTuple):
    select: str
    insert: str
    delete: str


USERS = Table(
    "SELECT email, id, password, quota_mb, login, deliver FROM users",
    "INSERT INTO users (email, id, password, quota_mb, login, deliver) VALUES (?, ?, ?, ?, ?, ?)",
    "DELETE FROM users WHERE email = ?",
)
DOMAINS = Table(
    "SELECT name FROM domains",
    "INSERT INTO domains (name) VALUES (?)",
    "DELETE FROM domains WHERE name = ?",
)
ALIASES = Table(
    "SELECT address, goto FROM aliases",
    "INSERT INTO aliases (address, goto) VALUES (?, ?)",
    "DELETE FROM aliases WHERE address = ?",
)
META = Table(
    "SELECT k, v FROM meta",
    "INSERT INTO meta (k, v) VALUES (?, ?)",
    "DELETE FROM meta WHERE k = ?",
)
SCHEMA_VERSION = "1"
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS users (
        email TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, password TEXT NOT NULL,
        quota_mb INTEGER NOT NULL, login INTEGER NOT NULL, deliver INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS domains (name TEXT PRIMARY KEY) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS aliases (
        address TEXT PRIMARY KEY, goto TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS meta (k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS kicks (
        n INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL
    )""",
)


class Store:
    """The state directory: the database, its lock, and the note for `status`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "users.db"
        self.lock = folder / "agent.lock"
        self.note = folder / "agent.note"
        self.replaced = folder / "agent.replaced"
        self.is_damaged = False

    def make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            share_with_dovecot(self.folder, 0o750)

    def look(self, *, thorough: bool) -> Held | None:
        """What is held. A damaged file counts as nothing, but stays until a good answer is
        there: what Dovecot can still read of it is better than no file."""
        if not self.database.exists():
            return None
        try:
            with self.locked(), self.opened() as connection:
                self.is_damaged = thorough and not is_sound(connection)
                return None if self.is_damaged else held_in(connection)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self.is_damaged = True
            return None

    def apply(self, answer: Answer, asked: Held | None, *, kicking: bool) -> int | None:
        """All of the answer in one transaction, or nothing; the number of rows that differed,
        or None if another copy of the agent was faster."""
        with self.locked():
            self.remove_if_damaged()
            self.make_database()
            with self.opened() as connection, transaction(connection):
                held = held_in(connection)
                if is_overtaken(answer, held, asked):
                    return None
                refuse_unfit(answer, held)
                return write(connection, answer, held, kicking=kicking)

    def remove_if_damaged(self) -> None:
        if not self.is_damaged:
            return
        if self.database.exists() and not self.is_sound_file():
            # Dovecot's workers keep the old file open until they are told (tell_dovecot).
            self.replaced.touch(mode=0o640)
            for path in self.files():
                path.unlink(missing_ok=True)
        self.is_damaged = False

    def is_sound_file(self) -> bool:
        try:
            with self.opened() as connection:
                return is_sound(connection)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return False

    def make_database(self) -> None:
        """An empty file that never was more open than 0640: SQLite gives the mode and owner of
        the database to its -wal and -shm files."""
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.database, flags, 0o640))
            sync_folder(self.folder)
        for path in self.files():
            if path.exists():
                share_with_dovecot(path, 0o640)

    def files(self) -> list[Path]:
        return [self.database.with_name("users.db" + end) for end in ("", "-wal", "-shm")]

    @contextlib.contextmanager
    def locked(
        self, flags: int = os.O_CREAT | os.O_RDWR, kind: int = fcntl.LOCK_EX
    ) -> Iterator[None]:
        descriptor = os.open(self.lock, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        try:
            wait_for_lock(descriptor, kind, self.folder)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """WAL, because Dovecot reads while this writes; FULL, because an SD card loses power."""
        path = str(self.database)
        connection = sqlite3.connect(path, timeout=DATABASE_PATIENCE, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Without leaving a trace. Where nobody has the file open there is no -wal, and an
        ordinary reader would make one; `immutable` does not, and is right while no agent writes
        (https://www.sqlite.org/c3ref/open.html)."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # an account that may read, but not lock
                stack.enter_context(self.locked(os.O_RDONLY, fcntl.LOCK_SH))
            is_quiet = not self.database.with_name("users.db-wal").exists()
            address = f"{self.database.as_uri()}?mode=ro{'&immutable=1' if is_quiet else ''}"
            connection = sqlite3.connect(address, uri=True, timeout=DATABASE_PATIENCE)
            yield stack.enter_context(contextlib.closing(connection))

    def peek(self) -> Held | None:
        if not self.database.exists():
            return None
        with self.reading() as connection:
            return held_in(connection)

    def pending_kicks(self) -> list[tuple[int, str]]:
        if self.is_damaged or not self.database.exists():
            return []
        with self.locked(), self.opened() as connection:
            if not has_tables(connection):
                return []
            return list(connection.execute("SELECT n, email FROM kicks ORDER BY n"))

    def forget_kicks(self, numbers: list[int]) -> None:
        if not numbers:
            return
        with self.locked(), self.opened() as connection, transaction(connection):
            connection.executemany("DELETE FROM kicks WHERE n = ?", [(n,) for n in numbers])

    def summary(self) -> Iterator[str]:
        if not self.database.exists():
            yield "applied   nothing yet"
            return
        with self.reading() as connection:
            held = held_in(connection)
            if held is None:
                yield "applied   nothing yet"
                return
            yield f"applied   revision {held.revision} since {held.applied_at}"
            yield f"epoch     {held.epoch}"
            counts = {name: count(connection, sql) for name, sql in COUNTS.items()}
            left = counts.pop("sessions to end")
            yield "holds     " + ", ".join(f"{number} {name}" for name, number in counts.items())
            if left:
                yield f"waiting   {left} sessions to end with doveadm"
        if self.replaced.exists():
            yield "waiting   Dovecot to reload, its file was damaged and is replaced"

    def read_note(self) -> dict[str, str]:
        try:
            note = json.loads(self.note.read_text("ascii"))
        except (OSError, ValueError):
            return {}
        return note if type(note) is dict else {}

    def write_note(self, problem: str) -> None:
        """In place and always of one size: a full disk must not keep the reason from `status`."""
        before, now = self.read_note(), utc_now()
        problem = problem[:REASON_LIMIT]
        since = before.get("since", now) if problem == before.get("problem") else now
        contact = before.get("contact", "") if problem else now
        note = {"problem": problem, "since": since, "contact": contact}
        flags = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(OSError):
            descriptor = os.open(self.note, flags, 0o640)
            try:
                os.pwrite(descriptor, json.dumps(note).ljust(NOTE_SIZE).encode("ascii"), 0)
            finally:
                os.close(descriptor)


COUNTS = {
    "domains": "SELECT count(*) FROM domains",
    "mailboxes": "SELECT count(*) FROM users",
    "aliases": "SELECT count(*) FROM aliases",
    "sessions to end": "SELECT count(*) FROM kicks",
}


def wait_for_lock(descriptor: int, kind: int, folder: Path) -> None:
    until = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise AgentError(f"another copy of the agent is busy in {folder}") from None
        time.sleep(0.02)


def share_with_dovecot(path: Path, mode: int) -> None:
    """Root's files are for the group dovecot to read; any other account's stay its own."""
    found = path.stat()
    group = dovecot_group() if os.geteuid() == 0 else None
    if group is not None and (found.st_uid, found.st_gid) != (0, group):
        os.chown(path, 0, group)
    if stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)


def dovecot_group() -> int | None:
    try:
        return grp.getgrnam("dovecot").gr_gid
    except KeyError:
        return None


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute("ROLLBACK")
        raise


def is_sound(connection: sqlite3.Connection) -> bool:
    """Free of damage, and laid out as this agent does it."""
    if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
        return False
    return (
        not has_tables(connection)
        or dict(connection.execute(META.select)).get("schema") == SCHEMA_VERSION
    )


def is_damage(error: Exception) -> bool:
    """sqlite3 raises the bare class for SQLITE_CORRUPT and SQLITE_NOTADB, and children of it for
    what passes (locked, full, unreadable)."""
    return type(error) is sqlite3.DatabaseError


def has_tables(connection: sqlite3.Connection) -> bool:
    return count(connection, "SELECT count(*) FROM sqlite_master WHERE name = 'meta'") > 0


def count(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def held_in(connection: sqlite3.Connection) -> Held | None:
    if not has_tables(connection):
        return None
    meta = dict(connection.execute(META.select))
    try:
        return Held(
            epoch=meta["epoch"],
            revision=int(meta["revision"]),
            etag=meta["etag"],
            sha256=meta["sha256"],
            purge=json.loads(meta["purge"]),
            applied_at=meta["applied_at"],
            users=count(connection, COUNTS["mailboxes"]),
        )
    except (KeyError, ValueError):  # spoilt by hand: the next answer is fetched whole
        return None


def write(
    connection: sqlite3.Connection, answer: Answer, held: Held | None, *, kicking: bool
) -> int:
    for statement in SCHEMA:
        connection.execute(statement)
    before = {row[0]: row for row in connection.execute(USERS.select)} if kicking else {}
    changed = write_rows(connection, DOMAINS, answer.domains)
    changed += write_rows(connection, USERS, answer.users)
    changed += write_rows(connection, ALIASES, answer.aliases)
    write_rows(connection, META, meta_rows(answer, held))
    connection.executemany(
        "INSERT INTO kicks (email) VALUES (?)",
        [(email,) for email in to_kick(before, {row[0]: row for row in answer.users})],
    )
    return changed


def write_rows(connection: sqlite3.Connection, table: Table, rows: list[Row]) -> int:
    """Only rows that differ are written; all that go, go first, because an id may have moved to
    another address."""
    old = {row[0]: row for row in connection.execute(table.select)}
    new = {row[0]: row for row in rows}
    stale = [(key,) for key, row in old.items() if new.get(key) != row]
    fresh = [row for key, row in new.items() if old.get(key) != row]
    connection.executemany(table.delete, stale)
    connection.executemany(table.insert, fresh)
    return len({row[0] for row in stale} | {row[0] for row in fresh})


def meta_rows(answer: Answer, held: Held | None) -> list[Row]:
    is_known = held is not None and (held.epoch, held.revision) == (answer.epoch, answer.revision)
    return [
        ("schema", SCHEMA_VERSION),
        ("epoch", answer.epoch),
        ("revision", str(answer.revision)),
        ("etag", answer.etag),
        ("sha256", answer.sha256),
        ("purge", json.dumps(answer.purge)),
        ("applied_at", held.applied_at if held is not None and is_known else utc_now()),
    ]


def to_kick(before: dict[str, Row], now: dict[str, Row]) -> Iterator[str]:
    """Whose sessions must end: the mailbox is gone (or another one has its address), its
    password is another, or it may no longer sign in."""
    for email, (_, old_id, old_password, _, could_login, _) in before.items():
        row = now.get(email)
        if row is None or row[1:3] != (old_id, old_password) or (could_login and not row[4]):
            yield email


# ── Words for people ──────────────────────────────────────────────────────────────────────────


def say(sentence: str) -> None:
    write_line(sys.stdout, sentence)


def complain(sentence: str) -> None:
    write_line(sys.stderr, f"agent: {sentence}")


def write_line(stream: IO[str], sentence: str) -> None:
    try:
        stream.write(clean(sentence) + "\n")
        stream.flush()
    except OSError:  # nobody reads (any more), which is no reason to stop
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def clean(sentence: str) -> str:
    """One line of ASCII, without anything that looks like a sync key."""
    text = sentence.encode("ascii", "backslashreplace").decode("ascii")
    return KEY.sub("mck_***", re.sub(r"[^ -~]", " ", text))


def sentence_of(error: Exception) -> str:
    if isinstance(error, AgentError):
        return str(error)
    if is_damage(error):
        return f"the database is damaged ({error}); the next attempt fetches it anew"
    if isinstance(error, sqlite3.Error):
        return f"the database cannot be used: {error}; nothing was changed"
    if isinstance(error, OSError):
        return f"{error.filename or 'the system'}: {cause(error)}"
    return f"unexpected {type(error).__name__}, a fault of the agent; nothing was changed"


def cause(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def utc_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


if __name__ == "__main__":
    sys.exit(main())
