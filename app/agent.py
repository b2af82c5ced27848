#!/usr/bin/env python3
"""The program a mail node runs: it fetches the node's mailboxes from the panel and hands them
to Dovecot as one SQLite file and to Postfix as maps. It needs Python 3.9 or later, nothing else.

    agent.py once      one attempt, then the end
    agent.py run       for ever, until TERM: it asks the panel to answer as soon as there is news
    agent.py status    one screen: what is applied, since when, and what is wrong
    agent.py check     configuration, key, database and panel are tried; nothing is changed

Options, each also a line `name = value` in section [agent] of the configuration file; an option
wins over the file. With --panel, --key-file and --state given, no file is needed.

    --config FILE       default /etc/mailcote/agent.ini
    --panel URL         the panel: https://, or http:// on this machine's loopback
    --key-file FILE     holds the sync key (mck_…), read again at every request
    --state DIR         the SQLite file is DIR/users.db
    --maps DIR          where Postfix's maps are: domains.cdb, mailboxes.cdb, aliases.cdb,
                        senders.cdb (as what address of an alias its members may send) and
                        relays.cdb (where mail goes for domains whose home is another node)
    --postmap COMMAND   how to make a map, split like a shell would; empty: there is no Postfix
    --doveadm COMMAND   how to reach doveadm, split likewise; empty: end no sessions
    --mail DIR          a mailbox's mail is DIR/<id>; empty: never remove any
    --usage DIR         Dovecot's quota_clone files, one for each address (/run/mailcote/usage)
    --logins DIR        Dovecot's last_login files, likewise (/run/mailcote/logins)
    --wait SECONDS      how long the panel may wait for news before it answers (25); 0: `run` asks
                        every --interval seconds instead
    --interval SECONDS  between two attempts where the panel does not wait (60)
    --timeout SECONDS   absolute deadline of one request, beyond the wait (60)

Exit codes: 0 the node is up to date (`check`: all is well; `status`: told; `run`: stopped by
TERM or INT), 1 the answer was refused, the panel was out of reach, or the state or the maps could
not be written, 2 a mistake in the options, the configuration file or the key file. A reason is one
line on standard error; it is also kept for `status`, and reported to the panel.

The state directory holds users.db (with -wal and -shm), agent.lock, agent.note (what `status`
tells of the last attempt, and how many mailboxes there were, lest a damaged users.db forgets it)
and, until that is done, agent.replaced (Dovecot is to reload, its file was damaged and replaced)
and agent.owed (the maps are to be written). Two copies of the agent take turns: each holds the
lock while it reads or writes the state, never while it waits for the panel; one that cannot get
it within ten seconds gives up and says so, and an answer that the other has overtaken is dropped.

Tables: users(email, id, password, quota_mb, login, deliver), domains(name),
aliases(address, goto: addresses joined by ", "), meta(k, v), kicks(n, email), and of domains whose
home is another node relays(domain, host) and recipients(id, email). Dovecot reads the first one
only: who is a recipient cannot sign in here. The tables come
with the first good answer: before that, a look-up fails for the time being (mail is deferred),
while an empty table would mean "no such user" (mail bounces).

Sources:
    HTTP: RFC 9110, sections 8.4 (content coding), 13.1.2 (If-None-Match), 15.4 (redirects)
    JSON: RFC 8259, sections 4 (names are unique) and 8.1 (UTF-8, no byte order mark)
    Dovecot 2.4: https://doc.dovecot.org/2.4.1/core/config/auth/databases/sql.html
    Dovecot 2.3: https://doc.dovecot.org/2.3/configuration_manual/authentication/sql/
    doveadm-kick(1): https://doc.dovecot.org/2.4.1/core/man/doveadm-kick.1.html
    Postfix: https://www.postfix.org/VIRTUAL_README.html, https://www.postfix.org/CDB_README.html
    SQLite: https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import argparse
import codecs
import configparser
import contextlib
import fcntl
import filecmp
import functools
import grp
import hashlib
import http.client
import io
import ipaddress
import json
import math
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
import tempfile
import threading
import time
import urllib.parse
import zlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

VERSION = "0.3.0"
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
    "usage": "/run/mailcote/usage",
    "logins": "/run/mailcote/logins",
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
RECORD = 16 * 1024  # what TLS sends at once (RFC 8446, section 5.1)
VALUE_LIMIT = 1024 * 1024  # characters of one value: an alias with some thousand members
ROWS_LIMIT = 1_500_000  # of one kind: as many users as fit into an answer
ROWS_AT_A_TIME = 500
KEY_FILE_LIMIT = 4096
LOCK_PATIENCE = 10.0
DATABASE_PATIENCE = 10.0
KICK_PATIENCE = 10.0
KICKING_PATIENCE = 30.0
POSTMAP_PATIENCE = 60.0
VERSION_PATIENCE = 5.0
STOP_PATIENCE = 0.4
LONGEST_BACKOFF = 60.0
SHORTEST_ROUND = 1.0  # seconds: a panel that does not wait is not asked more often
CUTS_IN_A_ROW = 3
SHORTEST_WAIT = 3.0
WAIT_AGAIN_AFTER = 600.0
REPORT_EVERY = 600.0
USAGE_EVERY = 60.0
MEASURED_AT_ONCE = 20000  # of usage and of logins in one report: some 1.5 MB of its 8 MiB
PURGED_AT_ONCE = 20000  # in one report, of which the panel takes no more than 100 000
KEEP_TOMBSTONES = 7 * 86400
SWEEP_EVERY = 3600.0
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"
NOTE_SIZE = 2048
NOTE_EVERY = 60.0
REASON_LIMIT = 300
SHRINK_GUARD_FROM = 10
STOPPING = (signal.SIGTERM, signal.SIGINT)
DONE_BY_DOVEADM = (0, 68)  # kick answers 68 on 2.3 when there was no session, 0 on 2.4
SBIN = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])

KEY = re.compile(r"mck_[!-~]+")
HASH = re.compile(r"\{BLF-CRYPT\}\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
ID = re.compile(r"[0-9a-f]{32}")
TOMBSTONE = re.compile(r"[0-9a-f]{32}\.([0-9]{1,12})")
DIGEST = re.compile(r"[0-9a-f]{64}")
EPOCH = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
ETAG = re.compile(r'(?:W/)?("[0-9A-Za-z._-]{3,200}")')
LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"(?:{LABEL}\.)+(?![0-9]+\Z){LABEL}")

ARRAYS = ("domains", "users", "aliases")
# In format 2 a node is the backup of some domains, for whose recipients it accepts mail.
FORMATS: dict[int, tuple[str, ...]] = {1: ARRAYS, 2: (*ARRAYS, "relays", "recipients")}
ALL_ARRAYS = FORMATS[2]
USER_FIELDS = {"id", "email", "password", "quota_mb", "login", "deliver"}
ALIAS_FIELDS = {"address", "goto"}
RELAY_FIELDS = {"domain", "host"}
RECIPIENT_FIELDS = {"email", "id"}
LARGEST_QUOTA = 1048576
LARGEST_REVISION = 2**63 - 1

Row = tuple[Any, ...]
Result = TypeVar("Result")


class AgentError(Exception):
    """Why an attempt failed: one plain sentence for the operator."""


class UsageError(AgentError):
    """A mistake in the options, the configuration file or the key file."""


class UnansweredError(AgentError):
    """No answer came, or what stands between gave one in the panel's place."""


class RefusedError(AgentError):
    """The panel answered, but with something that may not be applied."""


class MismatchError(RefusedError):
    """The answer names what has changed, but does not fit what is held."""


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
    maps: Path | None
    postmap: list[str]
    doveadm: list[str]
    mail: Path | None
    usage: Path | None
    logins: Path | None
    wait: float
    interval: float
    timeout: float

    @property
    def has_postfix(self) -> bool:
        return bool(self.maps and self.postmap)


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
        maps=folder(values["maps"]),
        postmap=words("postmap", values["postmap"]),
        doveadm=words("doveadm", values["doveadm"]),
        mail=folder(values["mail"]),
        usage=folder(values["usage"]),
        logins=folder(values["logins"]),
        wait=seconds("wait", values["wait"], 0, 55),
        interval=seconds("interval", values["interval"], 0.01, 86400),
        timeout=seconds("timeout", values["timeout"], 0.01, 3600),
    )


def folder(text: str) -> Path | None:
    return Path(text).absolute() if text else None


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
        raise UsageError(
            f"the key file {path} does not hold a sync key, one line as the panel showed it"
        )
    return text


# ── Commands ──────────────────────────────────────────────────────────────────────────────────


def once(settings: Settings) -> int:
    read_key(settings.key_file)
    store = Store(settings.state)
    outcome = tried(settings, store, Polling(0), thorough=True)
    speak(outcome)
    sweep_tombstones(settings)
    reporter = Reporter(settings, store)
    reporter.tell(outcome.problem)
    with contextlib.suppress(Exception):  # a failed report changes nothing
        reporter.send()
    return 0 if outcome.is_up_to_date else 1


def run(settings: Settings) -> int:
    """The work is done in other threads: the first waits for TERM, which no slow disk, name
    server or panel can delay. To be cut off is harmless at every instant."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    read_key(settings.key_file)
    stop = threading.Event()
    worker = threading.Thread(target=keep_in_step, args=(settings, stop), daemon=True)
    worker.start()
    signal.sigwait(STOPPING)
    stop.set()
    worker.join(STOP_PATIENCE)
    os._exit(0)


def keep_in_step(settings: Settings, stop: threading.Event) -> None:
    """Every sentence is said once, until there is another: a node logs to an SD card. Reports and
    old mail have threads of their own, so that neither delays a change."""
    store, polling = Store(settings.state), Polling(settings.wait)
    reporter = Reporter(settings, store)
    for work in (reporter.keep_reporting, functools.partial(keep_sweeping, settings)):
        threading.Thread(target=work, args=(stop,), daemon=True).start()
    failures, undone, before, thorough = 0, 0, None, True
    while not stop.is_set():
        begun = time.monotonic()
        outcome = tried(settings, store, polling, thorough=thorough)
        store.stay_open()
        speak(outcome, before)
        reporter.tell(outcome.problem)
        failures = 0 if outcome.is_good else failures + 1
        polling.is_urgent = failures > 0
        # Maps that could not be written are tried again soon, and not only when there is news.
        undone = 0 if outcome.has_maps else undone + 1
        polling.at_most = max(1.0, float(int(backoff(undone)))) if undone else math.inf
        before, thorough = outcome, outcome.is_damage
        if failures:
            stop.wait(backoff(failures))
        elif not polling.seconds:
            stop.wait(settings.interval)
        elif not outcome.has_moved:
            stop.wait(max(0.0, min(SHORTEST_ROUND, settings.interval) + begun - time.monotonic()))


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
    say(f"maps      {maps_told(settings, store)}")
    say(f"panel     {note.get('polling') or 'not asked yet'}")
    say(f"contact   {note.get('contact') or 'never'}")
    say(f"reported  {note.get('reported') or 'never'}")
    if note.get("problem"):
        wrong.append(f"{note['problem']} (since {note.get('since')})")
    say(f"wrong     {'; '.join(wrong) or 'nothing'}")
    return 0


def check(settings: Settings) -> int:
    failed = False
    for name, trial in CHECKS:
        try:
            say(f"ok     {name}: {trial(settings)}")
        except Exception as error:  # noqa: BLE001  every trial is made, whatever the others say
            say(f"WRONG  {name}: {sentence_of(error)}")
            failed = True
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
    answer = fetch(settings, held, Polling(0))
    if answer is None:
        return f"{settings.panel} answers, there is nothing newer"
    with contextlib.closing(answer.stage):
        refuse_unfit(answer, held, store.remembered())
        return f"{settings.panel} answers, with {answer.name}"


def check_doveadm(settings: Settings) -> str:
    if not settings.doveadm:
        return "none is set: sessions of removed mailboxes are not ended"
    return found_command(settings.doveadm)


def check_postmap(settings: Settings) -> str:
    if not settings.has_postfix:
        return "none is set, or no --maps: Postfix is not told of anything"
    return found_command(settings.postmap)


def found_command(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        raise AgentError(f"there is no command {command[0]}")
    return f"{command[0]} is there"


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
    ("postmap", check_postmap),
)


# ── One attempt ───────────────────────────────────────────────────────────────────────────────


class Outcome(NamedTuple):
    """Of one attempt. `is_good`: the panel was reached and its answer holds; `problem` may be
    there nonetheless, with what cannot be done on this node."""

    is_good: bool
    is_damage: bool = False
    has_moved: bool = False
    has_maps: bool = True
    sentence: str = ""
    problem: str = ""

    @property
    def is_up_to_date(self) -> bool:
        return self.is_good and self.has_maps


def speak(outcome: Outcome, before: Outcome | None = None) -> None:
    if outcome.sentence and (before is None or outcome.sentence != before.sentence):
        say(outcome.sentence)
    if outcome.problem and (before is None or outcome.problem != before.problem):
        complain(outcome.problem)


def tried(settings: Settings, store: Store, polling: Polling, *, thorough: bool) -> Outcome:
    """One attempt, whatever happens in it; `thorough` also looks for damage in the file."""
    try:
        outcome = attempt(settings, store, polling, thorough=thorough)
    except Exception as error:  # noqa: BLE001  the agent goes on, with a sentence in its place
        outcome = Outcome(False, is_damage(error), problem=clean(sentence_of(error)))
    store.write_note(outcome.problem, is_contact=outcome.is_good, polling=polling.mode)
    return outcome


def attempt(settings: Settings, store: Store, polling: Polling, *, thorough: bool) -> Outcome:
    store.make_folder()
    held = store.look(thorough=thorough)
    done = chores(settings, store)  # what a crash, or a server that was stopped, left undone
    if polling.seconds:
        store.prepare_for_changes()
    answer = fetch(settings, held, polling)
    if answer is None:
        return done.outcome(f"{held.name if held else ''} is up to date")
    change = applied(settings, store, answer, held)
    done = chores(settings, store)
    if change is None:
        return done.outcome(f"another copy of the agent was faster than {answer.name}")
    forget_traces(settings, change.vacated)
    sentence = f"{answer.name} is applied, rows written or removed: {change.rows}"
    return done.outcome(sentence, has_moved=held is None or answer.revision != held.revision)


def applied(settings: Settings, store: Store, answer: Answer, held: Held | None) -> Change | None:
    """What an answer changed. One that names changes only and does not fit is asked for whole."""
    try:
        with contextlib.closing(answer.stage):
            refuse_unprepared(settings, answer, held)
            return store.apply(answer, held, settings)
    except MismatchError:
        whole = fetch(settings, None, Polling(0))
    if whole is None:
        raise RefusedError("the panel did not answer with the whole state")
    with contextlib.closing(whole.stage):
        refuse_unprepared(settings, whole, held)
        return store.apply(whole, held, settings)


def refuse_unprepared(settings: Settings, answer: Answer, held: Held | None) -> None:
    """Before the first domain whose home is another node: a Postfix that was configured by an
    older installer would hand its mail to Dovecot, which knows nobody there."""
    is_first = not (held and held.counts["relays"])
    if not (answer.counts.get("relays") and is_first and settings.has_postfix):
        return
    program, *rest = settings.postmap
    command = [str(Path(program).with_name("postconf")), *rest, "-h", "transport_maps"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=VERSION_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return  # whatever it is, it is not Debian's Postfix with its programs side by side
    if b"relays" not in done.stdout:
        raise RefusedError(
            "Postfix here is not prepared for domains whose home is another node; run the "
            "installer again"
        )


class Chores(NamedTuple):
    """What could not be done beside the state itself, in sentences."""

    left: str
    problem: str
    has_maps: bool

    def outcome(self, sentence: str, *, has_moved: bool = False) -> Outcome:
        return Outcome(
            is_good=True,
            has_moved=has_moved,
            has_maps=self.has_maps,
            sentence=sentence + self.left,
            problem=self.problem,
        )


def chores(settings: Settings, store: Store) -> Chores:
    """Postfix, Dovecot and the stored mail follow the state. None stops another."""
    maps, mail = mend_maps(settings, store), ""
    left = end_sessions(settings, store)
    if settings.mail and store.known and store.known.purge:
        store.purged, mail = bury(settings.mail, store.known.purge)
    else:
        store.purged = []
    problem = "; ".join(filter(None, (maps, mail)))
    return Chores(left, clean(problem), not maps)


def fetch(settings: Settings, held: Held | None, polling: Polling) -> Answer | None:
    """The panel's answer, sound in itself; None when there is nothing newer than `held`."""
    reply = polled(settings, held, polling) if held else ask(settings, None)
    return read_answer(reply, held) if reply else None


def polled(settings: Settings, held: Held, polling: Polling) -> Reply | None:
    wait, begun = polling.seconds, time.monotonic()
    try:
        reply = ask(settings, held, wait)
    except UnansweredError:
        if not wait:
            raise
        took = time.monotonic() - begun
        reply = ask(settings, held)  # if this fails as well, it was not for the waiting
        polling.was_cut(took)
        return reply
    if wait and reply is None and time.monotonic() - begun < wait / 2:
        polling.was_cut(0)
    elif wait:
        polling.was_kept()
    return reply


class Polling:
    """How long the panel may wait for news before it answers. Where proxies cut long requests,
    a shorter wait is found, or none; the full one is tried again later."""

    def __init__(self, wait: float) -> None:
        self.full = self.wait = wait
        self.is_urgent = True  # whether the panel is there is to be known at once
        self.at_most = math.inf  # seconds, while there is something else to be tried again
        self.cuts = 0
        self.again_at = 0.0

    @property
    def seconds(self) -> float:
        if self.wait != self.full and time.monotonic() >= self.again_at:
            self.wait = self.full
        return 0 if self.is_urgent else min(self.wait, self.at_most)

    def was_kept(self) -> None:
        self.cuts = 0

    def was_cut(self, took: float) -> None:
        """After so many seconds something else than the panel ended it; the panel itself does so
        at once when it has no place left for those who wait."""
        self.cuts += 1
        if self.cuts < CUTS_IN_A_ROW:
            return
        self.cuts = 0
        self.again_at = time.monotonic() + WAIT_AGAIN_AFTER
        shorter = float(int(min(took, self.wait) * 0.7))
        self.wait = shorter if shorter >= SHORTEST_WAIT else 0.0

    @property
    def mode(self) -> str:
        if not self.full:
            return "asked now and then"
        if not self.wait:
            return "asked now and then, because waiting requests are cut off"
        shorter = ", shorter because longer ones are cut off" if self.wait != self.full else ""
        return f"answers when there is news, waits up to {self.wait:g} seconds{shorter}"


# ── HTTP ──────────────────────────────────────────────────────────────────────────────────────


class Reply(NamedTuple):
    """The body is as it came, in pieces that are given away while they are unpacked."""

    etag: str
    body: deque[bytes]
    coding: str


def ask(settings: Settings, held: Held | None, wait: float = 0) -> Reply | None:
    """One GET for what is newer than `held`. None stands for a 304 that was asked for."""
    query = {"wait": f"{round(wait, 3):g}"} if wait else {}  # the panel reads milliseconds
    headers = ["Accept: application/json", "Accept-Encoding: gzip"]
    if held:
        query["since"] = str(held.revision)
        headers.append(f"If-None-Match: {held.etag}")
    target = "/sync/v1/export" + ("?" + urllib.parse.urlencode(query) if query else "")
    read = functools.partial(reply_in, asked=held.etag if held else None)
    return exchange(settings, "GET", target, headers, read, patience=wait)


def post(settings: Settings, target: str, body: bytes) -> None:
    headers = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    exchange(settings, "POST", target, headers, refuse_report, body=body)


def exchange(
    settings: Settings,
    method: str,
    target: str,
    headers: list[str],
    read: Callable[[http.client.HTTPResponse], Result],
    *,
    body: bytes = b"",
    patience: float = 0,
) -> Result:
    """One request and what `read` makes of its answer, with one deadline for all of it."""
    deadline = Deadline(settings.timeout + patience)
    url = urllib.parse.urlsplit(settings.panel + target)
    try:
        with contextlib.closing(connected(url, deadline)) as link:
            line = Line(link, deadline)
            line.sendall(request(method, url, read_key(settings.key_file), headers) + body)
            with contextlib.closing(response_on(line, method)) as response:
                response.begin()
                line.wire.allowance = sys.maxsize  # what follows is counted as the body it makes
                return read(response)
    except http.client.HTTPException:
        sentence = "the panel did not answer in proper HTTP, or was cut off"
        raise UnansweredError(sentence) from None
    except OSError as error:
        if deadline.is_over():
            sentence = f"the panel did not answer in full within {deadline.seconds:g} seconds"
            raise UnansweredError(sentence) from None
        raise UnansweredError(f"the panel is out of reach: {network_cause(error)}") from None


def request(method: str, url: urllib.parse.SplitResult, key: str, headers: list[str]) -> bytes:
    lines = [
        f"{method} {url.path}{'?' + url.query if url.query else ''} HTTP/1.1",
        f"Host: {url.netloc}",
        f"Authorization: Bearer {key}",
        f"User-Agent: mailcote-agent/{VERSION}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def response_on(line: Line, method: str) -> http.client.HTTPResponse:
    return http.client.HTTPResponse(cast("socket.socket", line), method=method)


class Deadline:
    """A moment on the clock that nobody can set (time.monotonic)."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
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
        """In pieces: by TLS, the time for all begins anew with every record."""
        for start in range(0, len(data), RECORD):
            self.link.settimeout(self.deadline.left())
            self.link.sendall(data[start : start + RECORD])

    def makefile(self, _mode: str) -> IO[bytes]:
        return BoundedReader(self.wire)


class BoundedReader(io.BufferedReader):
    """Reads so much and no more: `http.client` takes -1 for the size of a chunk, and would then
    read on to the end, whatever comes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise http.client.HTTPException("a size below zero")
        return super().read(size)


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


def reply_in(response: http.client.HTTPResponse, asked: str | None) -> Reply | None:
    etag = response.getheader("ETag")
    if response.status == 304 and asked is not None:
        if etag is not None and tag_in(etag) != asked:
            raise RefusedError("the panel answered 304 for something that was not asked")
        return None
    refuse_status(response.status)
    refuse_type(response.getheader("Content-Type"))
    coding = (response.getheader("Content-Encoding") or "identity").strip().lower()
    return Reply(tag_in(etag), deque(pieces(response)), coding)


def refuse_report(response: http.client.HTTPResponse) -> None:
    if not 200 <= response.status < 300:
        raise RefusedError(f"the panel answered the report with {response.status}")


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


def body_of(reply: Reply) -> Iterator[bytes]:
    """The body unpacked, a piece at a time."""
    size = 0
    for piece in unpacked(given_away(reply.body), reply.coding):
        size += len(piece)
        if size > BODY_LIMIT:
            raise too_large()
        yield piece


def given_away(body: deque[bytes]) -> Iterator[bytes]:
    while body:
        yield body.popleft()


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


def too_large() -> RefusedError:
    return RefusedError(f"the answer is over {BODY_LIMIT // 1024 // 1024} MiB")


def too_many() -> RefusedError:
    return RefusedError(f"the answer has over {ROWS_LIMIT} of one kind")


def network_cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection ({error.reason})"
    return cause(error)


# ── JSON as it comes in ───────────────────────────────────────────────────────────────────────


class Reader:
    """JSON text in pieces, a value at a time, so that 100 000 mailboxes are never in memory as
    objects at once. Stricter than `json`: see the hooks."""

    def __init__(self, body: Iterator[bytes]) -> None:
        self.body = body
        self.utf8 = codecs.getincrementaldecoder("utf-8")()
        self.text, self.at, self.has_ended = "", 0, False
        self.given = 0  # characters that were given away before `text`
        self.more()
        if self.text.startswith("\ufeff"):
            raise RefusedError("the answer starts with a byte order mark")

    def more(self) -> bool:
        """At least twice as much text, so that a long value is not begun anew for every piece;
        False at the end."""
        parts = [self.text[self.at :]]
        size = least = len(parts[0])
        while size <= 2 * least and not self.has_ended:
            parts.append(self.decoded(next(self.body, None)))
            size += len(parts[-1])
        self.given += self.at
        self.text, self.at = "".join(parts), 0
        return size > least

    def decoded(self, piece: bytes | None) -> str:
        self.has_ended = piece is None
        try:
            return self.utf8.decode(piece or b"", final=self.has_ended)
        except UnicodeDecodeError:
            raise RefusedError("the answer is not in UTF-8") from None

    def ahead(self) -> str:
        """The next character that is no space, empty at the end."""
        if self.text[self.at : self.at + 1] in SOLID:  # as nearly always
            return self.text[self.at]
        while True:
            self.at = cast("re.Match[str]", SPACE.match(self.text, self.at)).end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def takes(self, character: str) -> bool:
        found = self.ahead() == character
        self.at += found
        return found

    def needs(self, character: str) -> None:
        if not self.takes(character):
            raise not_json()

    def value(self) -> Any:
        self.ahead()
        while True:
            value, end = self.decoded_value()
            if 0 <= end < len(self.text):  # else a number may go on in the next piece
                self.at = end
                return value
            if len(self.text) - self.at > VALUE_LIMIT:
                raise RefusedError("the answer has a value that is too long")
            if not self.more():
                if end < 0:
                    raise not_json()
                self.at = len(self.text)
                return value

    def decoded_value(self) -> tuple[Any, int]:
        """The value and where it ends, -1 when it does not (yet)."""
        try:
            return DECODER.raw_decode(self.text, self.at)
        except ValueError:
            return None, -1
        except RecursionError:
            raise RefusedError("the answer is nested too deeply") from None

    def values(self, most: int) -> list[Any]:
        """Values of an array, so many at most and not too much of them; what follows is a comma or
        the array's end."""
        begun = self.given + self.at
        found = [self.value()]
        while len(found) < most and self.given + self.at - begun < VALUE_LIMIT and self.takes(","):
            found.append(self.value())
        return found

    def names(self, is_one: Callable[[Any], bool], wrong: str) -> Any:
        """A list of names, each judged as it comes in; of what is no list, whatever it is."""
        if not self.takes("["):
            return self.value()
        found: list[str] = []
        has_more = not self.takes("]")
        while has_more:
            name = self.value()
            if not is_one(name):
                raise RefusedError(wrong)
            found.append(name)
            if len(found) > ROWS_LIMIT:
                raise too_many()
            has_more = not self.takes("]")
            if has_more:
                self.needs(",")
        return found

    def plain_users(self) -> list[re.Match[str]]:
        """The users of an array that are there already and written as the panel writes them."""
        self.ahead()
        found: list[re.Match[str]] = []
        match = PLAIN_USER.match(self.text, self.at)
        while match:
            found.append(match)
            self.at = match.end()
            follows = self.at + 1 if self.text[self.at] == "," else self.at
            match = PLAIN_USER.match(self.text, follows)
        return found

    def members(self) -> Iterator[str]:
        """The names of the object that the text is; after each, its value is to be read."""
        if self.ahead() != "{":
            self.value()
            raise RefusedError("the answer is not a JSON object")
        self.needs("{")
        yield from self.rest_of_members()
        if self.ahead():
            raise not_json()

    def rest_of_members(self) -> Iterator[str]:
        """The same of an object whose bracket was taken."""
        seen: set[str] = set()
        if not self.takes("}"):
            yield self.name(seen)
            while not self.takes("}"):
                self.needs(",")
                yield self.name(seen)

    def name(self, seen: set[str]) -> str:
        name = self.value()
        if type(name) is not str:
            raise not_json()
        if name in seen:
            raise RefusedError("the answer has a field twice")
        seen.add(name)
        self.needs(":")
        return name


def not_json() -> RefusedError:
    return RefusedError("the answer is not JSON")


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


SOLID = frozenset('{}[],:"')
SPACE = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder(
    object_pairs_hook=object_of,
    parse_int=number_of,
    parse_float=no_number,
    parse_constant=no_number,
)
ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


# ── The answer in itself ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Answer:
    """A whole state, or what has changed since the one that is held; every row is checked. The
    rows are in `stage`; `counts` and `sha256` are those of the whole state, over `arrays`."""

    arrays: tuple[str, ...]
    is_full: bool
    epoch: str
    revision: int
    etag: str
    sha256: str
    counts: dict[str, int]
    allow_shrink: bool
    purge: list[str]
    stage: Stage

    @property
    def name(self) -> str:
        return f"revision {self.revision} with {self.counts['users']} mailboxes"

    @property
    def has_relays(self) -> bool:
        return "relays" in self.arrays


class Filled(int):
    """How many values of an array went to the stage."""


NOT_WHAT_IS_GONE = "the answer has only a part of the state, and not what is gone"
SHAPE = {
    "format": int,
    "epoch": str,
    "revision": int,
    "full": bool,
    "counts": dict,
    "sha256": str,
    "allow_shrink": bool,
    "purge": list,
}


def read_answer(reply: Reply, held: Held | None) -> Answer:
    """Raises RefusedError for the whole of it when any part is wrong."""
    stage = Stage()
    try:
        fields: dict[str, Any] = {}
        reader = Reader(body_of(reply))
        for name in reader.members():
            fields[name] = read_field(name, reader, stage)
        refuse_shape(fields, held)
        refuse_tag(fields, reply.etag)
        if fields["full"]:
            refuse_difference(fields, stage)
        else:
            stage.fill_gone(fields["gone"])
        purge = once_each("purge", fields["purge"])
        refuse_orders(stage.connection, purge, STAGED_MAILBOX)
        return Answer(
            arrays=FORMATS[fields["format"]],
            is_full=fields["full"],
            epoch=fields["epoch"],
            revision=fields["revision"],
            etag=reply.etag,
            sha256=fields["sha256"],
            counts=fields["counts"],
            allow_shrink=fields["allow_shrink"],
            purge=purge,
            stage=stage,
        )
    except BaseException:
        stage.close()
        raise


def read_field(name: str, reader: Reader, stage: Stage) -> Any:
    """Nothing is read that nobody knows, and nothing whole that may be long: a few octets of gzip
    can stand for objects without end."""
    if name in ALL_ARRAYS:
        return stage.fill(name, reader) if reader.takes("[") else reader.value()
    if name == "gone":
        return read_gone(reader)
    if name == "purge":
        return reader.names(is_id, "purge has something that is not an id; nothing is applied")
    if name not in SHAPE:
        raise unknown_field(name)
    return reader.value()


def read_gone(reader: Reader) -> Any:
    if not reader.takes("{"):
        return reader.value()
    found: dict[str, Any] = {}
    for name in reader.rest_of_members():
        if name not in NAMED:
            raise RefusedError(NOT_WHAT_IS_GONE)
        wrong = f"gone has something among {name} that cannot be one of them"
        found[name] = reader.names(NAMED[name], wrong)
    return found


def unknown_field(name: str) -> RefusedError:
    return RefusedError(f"the answer has an unknown field: {ascii(name)[:60]}")


def refuse_shape(fields: dict[str, Any], held: Held | None) -> None:
    known = fields.get("format")
    arrays = FORMATS.get(known, ARRAYS) if type(known) is int else ARRAYS
    shape = {**SHAPE, **dict.fromkeys(arrays, Filled)}
    for name in fields:
        if name not in shape and (name != "gone" or fields.get("full") is not False):
            raise unknown_field(name)
    for name, kind in shape.items():
        if type(fields.get(name)) is not kind:
            raise RefusedError(f"{name} is missing from the answer, or of a wrong type")
    if fields["format"] not in FORMATS:
        raise RefusedError("the answer is in a format that this agent does not know")
    if not fields["full"]:
        refuse_part(fields, arrays, held)
    if not EPOCH.fullmatch(fields["epoch"]) or not DIGEST.fullmatch(fields["sha256"]):
        raise RefusedError("epoch or sha256 is not of its form")
    if not 0 <= fields["revision"] <= LARGEST_REVISION:
        raise RefusedError("revision is out of range")
    counts = fields["counts"]
    if any(type(count) is not int or count < 0 for count in counts.values()):
        raise RefusedError("counts has something that is not a number")
    if counts.keys() != set(arrays):
        raise RefusedError(f"counts are not those of {', '.join(arrays[:-1])} and {arrays[-1]}")


def refuse_part(fields: dict[str, Any], arrays: tuple[str, ...], held: Held | None) -> None:
    if held is None:
        raise RefusedError("the answer has only a part of the state, which was not asked for")
    gone = fields.get("gone")
    if type(gone) is not dict or gone.keys() != set(arrays):
        raise RefusedError(NOT_WHAT_IS_GONE)
    if any(type(names) is not list for names in gone.values()):
        raise RefusedError("gone has something that is not a list")


def refuse_tag(fields: dict[str, Any], etag: str) -> None:
    start = f'"{fields["epoch"]}-{fields["revision"]}-'
    if not etag.startswith(start) or len(etag) <= len(start) + 1:
        raise RefusedError("the ETag does not match epoch and revision of the answer")


def refuse_difference(fields: dict[str, Any], stage: Stage) -> None:
    if fields["counts"] != {name: fields[name] for name in FORMATS[fields["format"]]}:
        raise RefusedError("counts differ from what the answer holds")
    stage.refuse_strangers(lambda name: name in stage.domains, lambda name: name in stage.relays)
    if stage.digest.hexdigest() != fields["sha256"]:
        raise RefusedError("sha256 differs from what the answer holds")


class Stage:
    """The rows of one answer, in an SQLite database in memory: a third of what objects would
    take, and SQL finds what differs from the state."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(
            ":memory:", timeout=DATABASE_PATIENCE, isolation_level=None
        )
        self.connection.executescript(STAGE)
        self.digest = ArraysDigest()
        self.domains: set[str] = set()
        self.relays: set[str] = set()
        self.first_of: dict[str, str] = {}  # a domain, and where it was first used
        self.first_relayed_of: dict[str, str] = {}

    def close(self) -> None:
        self.connection.close()

    def fill(self, name: str, reader: Reader) -> Filled:
        """Take in an array, after its bracket. Users are read off the text as long as that is
        plain, which takes a third of the time; what is not, is read and judged value by value."""
        check, insert = CHECKED[name]
        self.digest.begin(name)
        number, at_once = 0, 1
        has_more = not reader.takes("]")
        while has_more:
            text, rows = self.plain_rows(reader, number) if name == "users" else ("", [])
            if rows:
                at_once = 1
            else:
                batch = reader.values(at_once)
                at_once = min(2 * at_once, ROWS_AT_A_TIME)
                rows = [check(self, value, at) for at, value in enumerate(batch, number)]
                text = ENCODER.encode(batch)[1:-1]
            self.digest.feed(name, ("," if number else "") + text)
            self.insert(name, insert, rows)
            number += len(rows)
            if number > ROWS_LIMIT:
                raise too_many()
            has_more = not reader.takes("]")
            if has_more:
                reader.needs(",")
        self.digest.end(name)
        if name in UNIQUE:  # sorting once is faster than looking for the place of each
            self.insert(name, UNIQUE[name], [()])
        return Filled(number)

    def plain_rows(self, reader: Reader, number: int) -> tuple[str, list[Row]]:
        """Users that need no parsing, and their text, which is the digest's. None when one of them
        is wrong in a way that the pattern does not see: that is left to be found and said."""
        start, found = reader.at, reader.plain_users()
        rows: list[Row] = []
        for at, match in enumerate(found, number):
            email, domain, key, password, quota, login, deliver = match.group(*IN_A_ROW)
            if ".." in email or len(email) > 254 or not is_domain_name(domain):
                break
            if int(quota) > LARGEST_QUOTA:
                break
            if domain not in self.first_of:
                self.first_of[domain] = f"users[{at}]"
            rows.append((email, key, password, int(quota), login == "true", deliver == "true"))
        if len(rows) < len(found):
            reader.at = start
            return "", []
        return reader.text[found[0].start() : found[-1].end()] if found else "", rows

    def fill_gone(self, gone: dict[str, list[Any]]) -> None:
        for name, values in gone.items():
            self.insert(f"gone {name}", GONE[name], [(value,) for value in values])
        if count(self.connection, BOTH_CHANGED_AND_GONE):
            raise RefusedError("the answer has something that is changed and gone at once")

    def insert(self, name: str, statement: str, rows: list[Row]) -> None:
        try:
            self.connection.execute("BEGIN")
            self.connection.executemany(statement, rows)
            self.connection.execute("COMMIT")
        except sqlite3.IntegrityError:
            raise RefusedError(f"{name} has an id, a name or an address twice") from None

    def refuse_strangers(
        self, is_own: Callable[[str], bool], is_relayed: Callable[[str], bool]
    ) -> None:
        for first_of, is_there in (
            (self.first_of, is_own),
            (self.first_relayed_of, is_relayed),
        ):
            for domain, place in first_of.items():
                if not is_there(domain):
                    raise wrong_row(place, NO_ADDRESS)

    @contextlib.contextmanager
    def beside(self, database: Path) -> Iterator[sqlite3.Connection]:
        """One connection that sees these rows and, as schema `node`, the state on disk."""
        self.connection.execute("ATTACH ? AS node", (str(database),))
        set_up(self.connection, "node.")
        yield self.connection
        # Closed here, not by the garbage collector: SQLite then tidies up the -wal.
        self.connection.close()


STAGE = """
PRAGMA journal_mode = OFF;
CREATE TABLE new_domains (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE new_users (
    email TEXT NOT NULL, id TEXT PRIMARY KEY, password TEXT NOT NULL,
    quota_mb INTEGER NOT NULL, login INTEGER NOT NULL, deliver INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE new_aliases (address TEXT PRIMARY KEY, goto TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE new_relays (domain TEXT PRIMARY KEY, host TEXT) WITHOUT ROWID;
CREATE TABLE new_recipients (id TEXT PRIMARY KEY, email TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE gone_domains (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gone_users (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gone_aliases (address TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gone_relays (domain TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gone_recipients (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE old_users (
    email TEXT NOT NULL UNIQUE, id TEXT PRIMARY KEY, password TEXT NOT NULL,
    quota_mb INTEGER NOT NULL, login INTEGER NOT NULL, deliver INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE old_aliases (address TEXT PRIMARY KEY, goto TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE old_relays (domain TEXT PRIMARY KEY, host TEXT) WITHOUT ROWID;
CREATE TABLE old_recipients (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE) WITHOUT ROWID;
"""
UNIQUE = {
    "users": "CREATE UNIQUE INDEX new_emails ON new_users (email)",
    "recipients": "CREATE UNIQUE INDEX new_addresses ON new_recipients (email)",
}
STAGED_MAILBOX = """SELECT 1 FROM new_users WHERE id = ?1
    UNION ALL SELECT 1 FROM new_recipients WHERE id = ?1"""
GONE = {
    "domains": "INSERT INTO gone_domains VALUES (?)",
    "users": "INSERT INTO gone_users VALUES (?)",
    "aliases": "INSERT INTO gone_aliases VALUES (?)",
    "relays": "INSERT INTO gone_relays VALUES (?)",
    "recipients": "INSERT INTO gone_recipients VALUES (?)",
}
BOTH_CHANGED_AND_GONE = """SELECT
    (SELECT count(*) FROM gone_users JOIN new_users USING (id)) +
    (SELECT count(*) FROM gone_domains JOIN new_domains USING (name)) +
    (SELECT count(*) FROM gone_aliases JOIN new_aliases USING (address)) +
    (SELECT count(*) FROM gone_relays JOIN new_relays USING (domain)) +
    (SELECT count(*) FROM gone_recipients JOIN new_recipients USING (id))"""


class ArraysDigest:
    """The contract's sha256 over [domains, users, aliases] and, in format 2, relays and recipients;
    in whatever order they come in."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256(b"[[")
        self.turn = 0
        self.early: dict[str, list[str]] = {}
        self.ended: set[str] = set()

    def begin(self, name: str) -> None:
        if name != ALL_ARRAYS[self.turn]:
            self.early[name] = []
        self.go_on()

    def feed(self, name: str, text: str) -> None:
        if name == ALL_ARRAYS[self.turn]:
            self.hash.update(text.encode("ascii"))
        else:
            self.early[name].append(text)

    def end(self, name: str) -> None:
        self.ended.add(name)
        self.go_on()

    def go_on(self) -> None:
        """To the next array, if that has begun and the one before it has ended."""
        while ALL_ARRAYS[self.turn] in self.ended and self.turn + 1 < len(ALL_ARRAYS):
            early = self.early.pop(ALL_ARRAYS[self.turn + 1], None)
            if early is None:
                break
            self.turn += 1
            self.hash.update(b"],[" + "".join(early).encode("ascii"))

    def hexdigest(self) -> str:
        result = self.hash.copy()
        result.update(b"]]")
        return result.hexdigest()


def domain_row(stage: Stage, value: Any, number: int) -> Row:
    if not is_domain(value):
        raise wrong_row(f"domains[{number}]", "is not a domain")
    stage.domains.add(value)
    return (value,)


def user_row(stage: Stage, user: Any, number: int) -> Row:
    reason = wrong_in_user(user)
    if reason:
        raise wrong_row(f"users[{number}]", reason)
    email = user["email"]
    stage.first_of.setdefault(domain_of(email), f"users[{number}]")
    flags = int(user["login"]), int(user["deliver"])
    return (email, user["id"], user["password"], user["quota_mb"], *flags)


def alias_row(stage: Stage, alias: Any, number: int) -> Row:
    reason = wrong_in_alias(alias)
    if reason:
        raise wrong_row(f"aliases[{number}]", reason)
    stage.first_of.setdefault(domain_of(alias["address"]), f"aliases[{number}]")
    return alias["address"], ", ".join(alias["goto"])


def relay_row(stage: Stage, relay: Any, number: int) -> Row:
    if type(relay) is not dict or relay.keys() != RELAY_FIELDS:
        raise wrong_row(f"relays[{number}]", "has not exactly the fields of a relay")
    if not is_domain(relay["domain"]):
        raise wrong_row(f"relays[{number}]", "is not for a domain")
    if relay["host"] is not None and not is_domain(relay["host"]):
        raise wrong_row(f"relays[{number}]", f"({relay['domain']}) has a host that is not a name")
    stage.relays.add(relay["domain"])
    return relay["domain"], relay["host"]


def recipient_row(stage: Stage, recipient: Any, number: int) -> Row:
    place = f"recipients[{number}]"
    if type(recipient) is not dict or recipient.keys() != RECIPIENT_FIELDS:
        raise wrong_row(place, "has not exactly the fields of a recipient")
    if not is_id(recipient["id"]):
        raise wrong_row(place, "has a wrong id")
    if not is_address(recipient["email"]):
        raise wrong_row(place, NO_ADDRESS)
    stage.first_relayed_of.setdefault(domain_of(recipient["email"]), place)
    return recipient["id"], recipient["email"]


NO_ADDRESS = "has a wrong address, or one of a domain that is not listed"
CHECKED: dict[str, tuple[Callable[[Stage, Any, int], Row], str]] = {
    "domains": (domain_row, "INSERT INTO new_domains VALUES (?)"),
    "users": (user_row, "INSERT INTO new_users VALUES (?, ?, ?, ?, ?, ?)"),
    "aliases": (alias_row, "INSERT INTO new_aliases VALUES (?, ?)"),
    "relays": (relay_row, "INSERT INTO new_relays VALUES (?, ?)"),
    "recipients": (recipient_row, "INSERT INTO new_recipients VALUES (?, ?)"),
}


def wrong_row(place: str, reason: str) -> RefusedError:
    return RefusedError(f"{place} {reason}; the whole answer is refused")


def once_each(name: str, values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise RefusedError(f"{name} has an id, a name or an address twice")
    return values


def wrong_in_user(user: Any) -> str:
    """Why this row may not reach Dovecot; empty when it may."""
    if type(user) is not dict or user.keys() != USER_FIELDS:
        return "has not exactly the fields of a user"
    if not is_id(user["id"]):
        return "has a wrong id"
    if not is_address(user["email"]):
        return "has a wrong address, or one of a domain that is not listed"
    if not matches(HASH, user["password"]):
        return f"({user['email']}) has a password that is not a bcrypt hash"
    if type(user["quota_mb"]) is not int or not 1 <= user["quota_mb"] <= LARGEST_QUOTA:
        return f"({user['email']}) has a wrong quota"
    if type(user["login"]) is not bool or type(user["deliver"]) is not bool:
        return f"({user['email']}) has a flag that is not true or false"
    return ""


def wrong_in_alias(alias: Any) -> str:
    if type(alias) is not dict or alias.keys() != ALIAS_FIELDS:
        return "has not exactly the fields of an alias"
    if not is_address(alias["address"]):
        return "has a wrong address, or one of a domain that is not listed"
    if type(alias["goto"]) is not list or not alias["goto"]:
        return f"({alias['address']}) leads nowhere"
    if not all(is_address(address) for address in alias["goto"]):
        return f"({alias['address']}) leads to something that is not an address"
    return ""


def is_id(value: Any) -> bool:
    return matches(ID, value)


def is_address(value: Any) -> bool:
    if type(value) is not str or len(value) > 254 or ".." in value:
        return False
    local, at, domain = value.partition("@")
    return bool(at) and matches(LOCAL_PART, local) and is_domain_name(domain)


def is_domain(value: Any) -> bool:
    return type(value) is str and is_domain_name(value)


@functools.lru_cache(maxsize=1024)  # a hundred mailboxes in a row are often of the same one
def is_domain_name(text: str) -> bool:
    return len(text) <= 253 and DOMAIN.fullmatch(text) is not None


NAMED: dict[str, Callable[[Any], bool]] = {
    "domains": is_domain,
    "users": is_id,
    "aliases": is_address,
    "relays": is_domain,
    "recipients": is_id,
}


# A user as ENCODER writes it: of such text, nothing but the meaning of its names is in question.
IN_A_ROW = ("email", "domain", "id", "password", "quota_mb", "login", "deliver")
PLAIN_USER = re.compile(
    r'\{"deliver":(?P<deliver>true|false),'
    rf'"email":"(?P<email>{LOCAL_PART.pattern}@(?P<domain>[a-z0-9.-]+))",'
    rf'"id":"(?P<id>{ID.pattern})","login":(?P<login>true|false),'
    rf'"password":"(?P<password>{HASH.pattern})",'
    r'"quota_mb":(?P<quota_mb>[1-9][0-9]{0,6})\}(?=[],])'
)


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
    counts: dict[str, int]

    @property
    def name(self) -> str:
        return f"revision {self.revision} with {self.counts['users']} mailboxes"


class Remembered(NamedTuple):
    """What the note says was held, for when the database cannot."""

    epoch: str
    revision: int
    users: int


def refuse_unfit(answer: Answer, held: Held | None, remembered: Remembered | None) -> None:
    if held:
        remembered = Remembered(held.epoch, held.revision, held.counts["users"])
    if not answer.is_full and (held is None or held.epoch != answer.epoch):
        raise MismatchError("the answer is about changes of something that is not held")
    if remembered is None:
        return
    if answer.epoch == remembered.epoch:
        if answer.revision < remembered.revision:
            raise RefusedError(f"revision fell from {remembered.revision} to {answer.revision}")
        if held and answer.revision == held.revision and not is_same(answer, held):
            raise RefusedError(f"revision {held.revision} came again with other content")
    if answer.is_full and not answer.allow_shrink:
        refuse_shrink(remembered.users, answer.counts["users"])
        if held:  # for whom mail is only accepted here, is not to be refused by mistake either
            refuse_shrink(known_in(held.counts), known_in(answer.counts))


def known_in(counts: dict[str, int]) -> int:
    return counts["users"] + counts.get("recipients", 0)


def refuse_shrink(before: int, now: int) -> None:
    gone = before - now
    if before >= SHRINK_GUARD_FROM and 5 * gone > before:
        raise RefusedError(
            f"{gone} of {before} mailboxes would go, more than a fifth, and the panel did not "
            "confirm it"
        )


def is_same(answer: Answer, held: Held) -> bool:
    return answer.sha256 == held.sha256 and answer.purge == held.purge


def is_overtaken(answer: Answer, held: Held | None, asked: Held | None) -> bool:
    """Another copy of the agent applied something while this one waited for the panel."""
    if held is None or held == asked:
        return False
    return answer.epoch != held.epoch or answer.revision <= held.revision


# ── The state on disk ─────────────────────────────────────────────────────────────────────────


class Change(NamedTuple):
    """What an answer changed: rows written or removed, whether addresses came that Postfix is to
    accept, whether some went that it is not to accept any more, and which have no owner or another
    one now."""

    rows: int
    arriving: bool
    leaving: bool
    vacated: list[str]


class Store:
    """The state directory: the database, its lock, and the note for `status`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "users.db"
        self.lock = folder / "agent.lock"
        self.note = folder / "agent.note"
        self.replaced = folder / "agent.replaced"
        self.owed = folder / "agent.owed"
        self.is_damaged = False
        self.known: Held | None = None
        self.purged: list[str] = []
        self.texts = Texts()
        self.staying: tuple[int, sqlite3.Connection] | None = None
        self.writing_note = threading.Lock()

    def make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            share_with_dovecot(self.folder, 0o750)

    def look(self, *, thorough: bool) -> Held | None:
        """What is held. A damaged file counts as nothing, but stays until a good answer is
        there: what Dovecot can still read of it is better than no file."""
        held = None
        if self.database.exists():
            try:
                with self.locked(), self.opened() as connection:
                    self.is_damaged = thorough and not is_sound(connection)
                    if not self.is_damaged:
                        take_over(connection)
                        held = held_in(connection)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self.is_damaged = True
        self.known = held
        return held

    def apply(self, answer: Answer, asked: Held | None, settings: Settings) -> Change | None:
        """All of the answer in one transaction, or nothing; None if another copy of the agent was
        faster. Postfix forgets addresses before Dovecot does, and learns them after (mend_maps):
        it must never accept what Dovecot would then bounce."""
        with self.locked():
            if self.is_damaged or not self.database.exists():
                refuse_unfit(answer, None, self.remembered())
            self.remove_if_damaged()
            self.make_database()
            with answer.stage.beside(self.database) as connection:
                with transaction(connection):
                    held = self.known = held_in(connection)
                    if is_overtaken(answer, held, asked):
                        return None
                    refuse_unfit(answer, held, self.remembered())
                    texts = Texts()
                    change = compare(connection, answer)
                    write(connection, answer, held, kicking=bool(settings.doveadm))
                    if not answer.is_full:
                        texts = self.texts.after(connection, held, changed_ids(connection))
                        refuse_mismatch(connection, answer, texts)
                        texts = texts.named(answer.sha256)
                    is_owed = self.owe_maps(settings, change, connection)
                self.known, self.texts = held_in(connection), texts
                if not is_owed:
                    self.owed.unlink(missing_ok=True)
                return change

    def prepare_for_changes(self) -> None:
        """Have the digest's text at hand, so that a change costs the same however much is held."""
        known = self.known
        if known is None or self.texts.sha256 == known.sha256:
            return
        with self.locked(), self.opened() as connection, transaction(connection):
            if held_in(connection) == known:
                self.texts = self.texts.after(connection, known, []).named(known.sha256)

    def remembered(self) -> Remembered | None:
        held = self.read_note().get("held")
        if type(held) is not list or [type(value) for value in held] != [str, int, int]:
            return None
        return Remembered(*held)

    def owe_maps(self, settings: Settings, change: Change, connection: sqlite3.Connection) -> bool:
        """Before the commit: take away what is to leave the maps, and say whether they are still
        to be written after it. A file tells so as well, should there be no after."""
        was_owed = self.owed.exists()
        if not was_owed and (change.arriving or change.leaving):
            self.owed.touch(mode=0o640)
            sync_folder(self.folder)
        if not (change.leaving and settings.has_postfix):
            return was_owed or change.arriving or change.leaving
        try:
            write_maps(settings, lines_without_arrivals(connection))
        except (AgentError, OSError):  # tried again, and told, by mend_maps
            return True
        return was_owed or change.arriving

    def remove_if_damaged(self) -> None:
        if not self.is_damaged:
            return
        if self.database.exists() and not self.is_sound_file():
            # Dovecot's workers keep the old file open until they are told (end_sessions).
            self.replaced.touch(mode=0o640)
            self.owed.touch(mode=0o640)  # what the maps have of it is not known any more
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
        path = str(self.database)
        connection = sqlite3.connect(path, timeout=DATABASE_PATIENCE, isolation_level=None)
        with contextlib.closing(connection):
            set_up(connection)
            yield connection

    def stay_open(self) -> None:
        """Who closes the database last takes its -wal and -shm away, and on a full disk nobody can
        make them again: then Dovecot could not read any more. One connection stays open, hence."""
        with contextlib.suppress(OSError, sqlite3.Error):
            file = self.database.stat().st_ino
            if self.staying and self.staying[0] == file:
                return
            if self.staying:  # a damaged file that was replaced
                self.staying[1].close()
            connection = sqlite3.connect(f"{self.database.as_uri()}?mode=rw", uri=True)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            self.staying = file, connection

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
            left = count(connection, "SELECT count(*) FROM kicks")
        counts = {**held.counts, "mailboxes": held.counts["users"]}
        told = [f"{counts[name]} {name}" for name in ("domains", "mailboxes", "aliases")]
        if counts["relays"]:
            told.append(f"backup of {counts['relays']} with {counts['recipients']} addresses")
        yield f"applied   revision {held.revision} since {held.applied_at}"
        yield f"epoch     {held.epoch}"
        yield "holds     " + ", ".join(told)
        if left:
            yield f"waiting   {left} sessions to end with doveadm"
        if self.replaced.exists():
            yield "waiting   Dovecot to reload, its file was damaged and is replaced"

    def read_note(self) -> dict[str, Any]:
        try:
            note = json.loads(self.note.read_text("ascii"))
        except (OSError, ValueError):
            return {}
        return note if type(note) is dict else {}

    def write_note(self, problem: str, *, is_contact: bool, polling: str) -> None:
        with self.writing_note:
            before, now = self.read_note(), utc_now()
            problem = problem[:REASON_LIMIT]
            note = {
                **before,
                "problem": problem,
                "since": before.get("since", now) if problem == before.get("problem") else now,
                "contact": now if is_contact else before.get("contact", ""),
                "polling": polling,
                **({"held": self.to_remember()} if self.known else {}),
            }
            self.put_note(note, before)

    def note_report(self) -> None:
        with self.writing_note:
            before = self.read_note()
            self.put_note({**before, "reported": utc_now()}, before)

    def to_remember(self) -> list[Any]:
        known = cast("Held", self.known)
        return [known.epoch, known.revision, known.counts["users"]]

    def put_note(self, note: dict[str, Any], before: dict[str, Any]) -> None:
        """In place and always of one size: a full disk must not keep the reason from `status`.
        An SD card is spared what says nothing but that all goes on as it did."""
        times = [str(which.get("contact")) for which in (before, note)]
        if {**note, "contact": ""} == {**before, "contact": ""} and not is_older(*times):
            return
        flags = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(OSError):
            descriptor = os.open(self.note, flags, 0o640)
            try:
                os.pwrite(descriptor, json.dumps(note).ljust(NOTE_SIZE).encode("ascii"), 0)
                if note.get("held") != before.get("held"):
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)


def is_older(before: str, now: str) -> bool:
    """Whether so much time lies between that it is worth a write; also after the clock was set."""
    try:
        then, since = (time.mktime(time.strptime(text, TIME_FORM)) for text in (before, now))
    except ValueError:
        return before != now
    return not 0 <= since - then < NOTE_EVERY


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


def set_up(connection: sqlite3.Connection, schema: str = "") -> None:
    """WAL, because Dovecot reads while this writes; FULL, because an SD card loses power."""
    connection.execute(f"PRAGMA {schema}journal_mode = WAL")
    connection.execute(f"PRAGMA {schema}synchronous = FULL")
    connection.execute(f"PRAGMA {schema}journal_size_limit = 16777216")


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
        not has_tables(connection) or dict(connection.execute(META)).get("schema") == SCHEMA_VERSION
    )


def is_damage(error: Exception) -> bool:
    """sqlite3 raises the bare class for SQLITE_CORRUPT and SQLITE_NOTADB, and children of it for
    what passes (locked, full, unreadable)."""
    return type(error) is sqlite3.DatabaseError


def has_tables(connection: sqlite3.Connection) -> bool:
    """In whichever schema: beside a stage, the state is called `node`."""
    return count(connection, "SELECT count(*) FROM pragma_table_info('meta')") > 0


def count(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


COUNTS = {
    "domains": "SELECT count(*) FROM domains",
    "users": "SELECT count(*) FROM users",
    "aliases": "SELECT count(*) FROM aliases",
    "relays": "SELECT count(*) FROM relays",
    "recipients": "SELECT count(*) FROM recipients",
}
META = "SELECT k, v FROM meta"
SCHEMA_VERSION = "2"
# Keyed by id, in whose order the digest is taken; Dovecot finds an address by its index. With the
# key last in a table of two columns, SQLite 3.40 takes it for damaged.
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS node.users (
        email TEXT NOT NULL UNIQUE, id TEXT PRIMARY KEY, password TEXT NOT NULL,
        quota_mb INTEGER NOT NULL, login INTEGER NOT NULL, deliver INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS node.domains (name TEXT PRIMARY KEY) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS node.aliases (
        address TEXT PRIMARY KEY, goto TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS node.meta (
        k TEXT PRIMARY KEY, v TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS node.kicks (
        n INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS node.relays (
        domain TEXT PRIMARY KEY, host TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS node.recipients (
        id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE
    ) WITHOUT ROWID""",
)


def held_in(connection: sqlite3.Connection) -> Held | None:
    if not has_tables(connection):
        return None
    meta = dict(connection.execute(META))
    try:
        return Held(
            epoch=meta["epoch"],
            revision=int(meta["revision"]),
            etag=meta["etag"],
            sha256=meta["sha256"],
            purge=json.loads(meta["purge"]),
            applied_at=meta["applied_at"],
            counts=counts_in(connection),
        )
    except (KeyError, ValueError):  # spoilt by hand: the next answer is fetched whole
        return None


def take_over(connection: sqlite3.Connection) -> None:
    """Give a database that an older agent made the tables it did not know."""
    if has_tables(connection) and is_older_than_relays(connection):
        with transaction(connection):
            for statement in SCHEMA:
                connection.execute(statement.replace(" node.", " main."))


def is_older_than_relays(connection: sqlite3.Connection) -> bool:
    return not count(connection, "SELECT count(*) FROM pragma_table_info('recipients')")


def counts_in(connection: sqlite3.Connection) -> dict[str, int]:
    """Also of a database that only an older agent has written to yet."""
    there = ARRAYS if is_older_than_relays(connection) else ALL_ARRAYS
    return {name: count(connection, COUNTS[name]) if name in there else 0 for name in ALL_ARRAYS}


# What a full answer does not name is gone; from there on it is treated like any list of changes.
FIND_GONE = (
    "INSERT INTO gone_domains SELECT name FROM domains EXCEPT SELECT name FROM new_domains",
    "INSERT INTO gone_users SELECT id FROM users EXCEPT SELECT id FROM new_users",
    "INSERT INTO gone_aliases SELECT address FROM aliases EXCEPT SELECT address FROM new_aliases",
)
# The same for what an answer in format 1 cannot name.
FIND_GONE_RELAYS = (
    "INSERT INTO gone_relays SELECT domain FROM relays EXCEPT SELECT domain FROM new_relays",
    "INSERT INTO gone_recipients SELECT id FROM recipients EXCEPT SELECT id FROM new_recipients",
)
SAME_USER = """(users.email, users.password, users.quota_mb, users.login, users.deliver)
    = (new.email, new.password, new.quota_mb, new.login, new.deliver)"""
# Of `new_…` only rows stay that differ; `old_…` are the rows in whose place they come, and those
# that are gone.
FIND_CHANGES = (
    f"""DELETE FROM new_users AS new WHERE EXISTS (
        SELECT 1 FROM users WHERE users.id = new.id AND {SAME_USER})""",  # noqa: S608  constants
    """INSERT INTO old_users SELECT users.* FROM new_users AS new JOIN users USING (id)
        UNION ALL SELECT users.* FROM gone_users JOIN users USING (id)""",
    "DELETE FROM new_domains WHERE name IN (SELECT name FROM domains)",
    "DELETE FROM gone_domains WHERE name NOT IN (SELECT name FROM domains)",
    """DELETE FROM new_aliases AS new WHERE EXISTS (
        SELECT 1 FROM aliases WHERE aliases.address = new.address AND aliases.goto = new.goto)""",
    """INSERT INTO old_aliases SELECT aliases.* FROM aliases WHERE address IN (
        SELECT address FROM new_aliases UNION ALL SELECT address FROM gone_aliases)""",
    """DELETE FROM new_relays AS new WHERE EXISTS (
        SELECT 1 FROM relays WHERE relays.domain = new.domain AND relays.host IS new.host)""",
    """INSERT INTO old_relays SELECT relays.* FROM relays WHERE domain IN (
        SELECT domain FROM new_relays UNION ALL SELECT domain FROM gone_relays)""",
    """DELETE FROM new_recipients AS new WHERE EXISTS (
        SELECT 1 FROM recipients WHERE recipients.id = new.id AND recipients.email = new.email)""",
    """INSERT INTO old_recipients SELECT recipients.* FROM recipients WHERE id IN (
        SELECT id FROM new_recipients UNION ALL SELECT id FROM gone_recipients)""",
)
# All that go, go first, because an address may have moved to another id.
WRITE = (
    "DELETE FROM users WHERE id IN (SELECT id FROM old_users)",
    "INSERT INTO users SELECT * FROM new_users ORDER BY id",
    "DELETE FROM domains WHERE name IN (SELECT name FROM gone_domains)",
    "INSERT INTO domains SELECT name FROM new_domains",
    "DELETE FROM aliases WHERE address IN (SELECT address FROM old_aliases)",
    "INSERT INTO aliases SELECT address, goto FROM new_aliases",
    "DELETE FROM relays WHERE domain IN (SELECT domain FROM old_relays)",
    "INSERT INTO relays SELECT domain, host FROM new_relays",
    "DELETE FROM recipients WHERE id IN (SELECT id FROM old_recipients)",
    "INSERT INTO recipients SELECT id, email FROM new_recipients ORDER BY id",
)
# What is both here and elsewhere; what did not change was looked at before.
OVERLAP = """SELECT EXISTS (SELECT 1 FROM new_domains AS new JOIN relays ON domain = new.name)
    OR EXISTS (SELECT 1 FROM new_relays AS new JOIN domains ON name = new.domain)
    OR EXISTS (SELECT 1 FROM new_users JOIN recipients USING (id))
    OR EXISTS (SELECT 1 FROM new_recipients JOIN users USING (id))"""
MAILBOX = "SELECT 1 FROM users WHERE id = ?1 UNION ALL SELECT 1 FROM recipients WHERE id = ?1"
# Whose sessions must end: the mailbox is gone (or another one has its address), its password is
# another, or it may no longer sign in.
KICK = """INSERT INTO kicks (email)
    SELECT old.email FROM old_users AS old LEFT JOIN new_users AS new USING (email)
    WHERE new.id IS NULL OR (new.id, new.password) <> (old.id, old.password)
        OR (old.login AND NOT new.login)"""
TOUCHED_IDS = """SELECT id FROM old_users UNION SELECT id FROM new_users
    UNION SELECT id FROM old_recipients UNION SELECT id FROM new_recipients"""
CHANGED = """SELECT (SELECT count(*) FROM new_users)
    + (SELECT count(*) FROM old_users WHERE id NOT IN (SELECT id FROM new_users))
    + (SELECT count(*) FROM new_domains) + (SELECT count(*) FROM gone_domains)
    + (SELECT count(*) FROM (
        SELECT address FROM old_aliases UNION SELECT address FROM new_aliases))
    + (SELECT count(*) FROM (SELECT domain FROM old_relays UNION SELECT domain FROM new_relays))
    + (SELECT count(*) FROM (SELECT id FROM old_recipients UNION SELECT id FROM new_recipients))
"""
# Where mail goes is written before the rows change and again after: see LINES_WITHOUT_ARRIVALS.
ANY_RELAY = "EXISTS (SELECT 1 FROM new_relays) OR EXISTS (SELECT 1 FROM old_relays)"
NEWLY_KNOWN = """(SELECT email FROM new_users WHERE deliver
    UNION ALL SELECT email FROM new_recipients)"""
KNOWN_BEFORE = """(SELECT email FROM old_users WHERE deliver
    UNION ALL SELECT email FROM old_recipients)"""
UNKNOWN_BEFORE = """NOT EXISTS (SELECT 1 FROM old_users WHERE email = new.email AND deliver)
    AND NOT EXISTS (SELECT 1 FROM old_recipients WHERE email = new.email)"""
NO_LONGER_KNOWN = """NOT EXISTS (SELECT 1 FROM new_users WHERE email = old.email AND deliver)
    AND NOT EXISTS (SELECT 1 FROM new_recipients WHERE email = old.email)"""
ARRIVING = f"""SELECT {ANY_RELAY} OR EXISTS (SELECT 1 FROM new_domains)
    OR EXISTS (SELECT 1 FROM new_aliases)
    OR EXISTS (SELECT 1 FROM {NEWLY_KNOWN} AS new WHERE {UNKNOWN_BEFORE})
"""  # noqa: S608  constants
LEAVING = f"""SELECT {ANY_RELAY} OR EXISTS (SELECT 1 FROM gone_domains)
    OR EXISTS (SELECT 1 FROM old_aliases)
    OR EXISTS (SELECT 1 FROM {KNOWN_BEFORE} AS old WHERE {NO_LONGER_KNOWN})
"""  # noqa: S608  constants
VACATED = """SELECT old.email FROM old_users AS old LEFT JOIN new_users AS new USING (email)
    WHERE new.id IS NOT old.id"""
STRANGERS = """SELECT 1 FROM users
    WHERE substr(email, instr(email, '@') + 1) IN (SELECT name FROM gone_domains)
    UNION ALL SELECT 1 FROM aliases
    WHERE substr(address, instr(address, '@') + 1) IN (SELECT name FROM gone_domains)
    UNION ALL SELECT 1 FROM recipients
    WHERE substr(email, instr(email, '@') + 1) IN (SELECT domain FROM gone_relays) LIMIT 1"""
GONE_FOR_GOOD = """SELECT EXISTS (SELECT 1 FROM gone_domains)
    OR EXISTS (SELECT 1 FROM gone_relays)"""


def compare(connection: sqlite3.Connection, answer: Answer) -> Change:
    """What the answer changes in the state; nothing is written yet."""
    gone = FIND_GONE if answer.is_full else ()
    gone_relays = FIND_GONE_RELAYS if answer.is_full or not answer.has_relays else ()
    for statement in (*SCHEMA, *gone, *gone_relays, *FIND_CHANGES):
        connection.execute(statement)
    return Change(
        rows=count(connection, CHANGED),
        arriving=bool(count(connection, ARRIVING)),
        leaving=bool(count(connection, LEAVING)),
        vacated=[email for (email,) in connection.execute(VACATED)],
    )


def write(
    connection: sqlite3.Connection, answer: Answer, held: Held | None, *, kicking: bool
) -> None:
    if kicking:
        connection.execute(KICK)
    try:
        for statement in WRITE:
            connection.execute(statement)
    except sqlite3.IntegrityError:
        raise MismatchError("the changes do not fit what is held") from None
    if count(connection, OVERLAP):
        raise MismatchError("the answer has something both here and on another node")
    refuse_orders(connection, answer.purge, MAILBOX)
    connection.executemany(
        "INSERT INTO meta (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
        meta_rows(answer, held),
    )


def refuse_orders(connection: sqlite3.Connection, orders: list[str], is_there: str) -> None:
    if any(connection.execute(is_there, (order,)).fetchone() for order in orders):
        raise RefusedError("purge names a mailbox that is still there; the whole answer is refused")


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


def changed_ids(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute(TOUCHED_IDS)]


def refuse_mismatch(connection: sqlite3.Connection, answer: Answer, texts: Texts) -> None:
    """Changes must have led to the whole state that they are about."""

    def is_in(query: str) -> Callable[[str], bool]:
        return lambda name: connection.execute(query, (name,)).fetchone() is not None

    answer.stage.refuse_strangers(
        is_in("SELECT 1 FROM domains WHERE name = ?"),
        is_in("SELECT 1 FROM relays WHERE domain = ?"),
    )
    if count(connection, GONE_FOR_GOOD) and connection.execute(STRANGERS).fetchone():
        raise RefusedError("a domain is gone, but not all of its addresses")
    counts = {name: count(connection, COUNTS[name]) for name in answer.arrays}
    if answer.counts != counts or texts.digest(connection, answer.arrays) != answer.sha256:
        raise MismatchError("the changes do not lead to the state that they are about")


class Texts(NamedTuple):
    """The canonical JSON of all users and recipients that the digest is taken over, by the first
    two digits of their ids: after a change only what it touched is read from the database again."""

    sha256: str = ""
    users: dict[str, bytes] = {}
    recipients: dict[str, bytes] = {}

    def after(self, connection: sqlite3.Connection, held: Held | None, changed: list[str]) -> Texts:
        is_fresh = held is None or self.sha256 != held.sha256
        stale = PREFIXES if is_fresh else sorted({name[:2] for name in changed})
        users = {prefix: users_text(connection, prefix) for prefix in stale}
        recipients = {prefix: recipients_text(connection, prefix) for prefix in stale}
        return Texts("", {**self.users, **users}, {**self.recipients, **recipients})

    def named(self, sha256: str) -> Texts:
        return self._replace(sha256=sha256)

    def digest(self, connection: sqlite3.Connection, arrays: tuple[str, ...]) -> str:
        """Over what `held` was when these were read, and what was changed since."""
        text: dict[str, Callable[[], Iterator[bytes]]] = {
            "domains": lambda: listed(connection, "SELECT name FROM domains ORDER BY name", str),
            "users": lambda: with_commas(self.users),
            "aliases": lambda: listed(connection, ALIASES, alias_of),
            "relays": lambda: listed(connection, RELAYS, relay_of),
            "recipients": lambda: with_commas(self.recipients),
        }
        digest = hashlib.sha256(b"[[")
        for number, name in enumerate(arrays):
            digest.update(b"],[" if number else b"")
            for piece in text[name]():
                digest.update(piece)
        digest.update(b"]]")
        return digest.hexdigest()


PREFIXES = [f"{number:02x}" for number in range(256)]
BOOLEANS = ("false", "true")
USERS_FROM = """SELECT deliver, email, id, login, password, quota_mb FROM users
    WHERE id >= ? AND id < ? ORDER BY id"""
RECIPIENTS_FROM = "SELECT email, id FROM recipients WHERE id >= ? AND id < ? ORDER BY id"
ALIASES = "SELECT address, goto FROM aliases ORDER BY address"
RELAYS = "SELECT domain, host FROM relays ORDER BY domain"


def alias_of(address: str, goto: str) -> dict[str, Any]:
    return {"address": address, "goto": goto.split(", ")}


def relay_of(domain: str, host: str | None) -> dict[str, Any]:
    return {"domain": domain, "host": host}


def listed(
    connection: sqlite3.Connection, query: str, value: Callable[..., Any]
) -> Iterator[bytes]:
    """The values of a query's rows as JSON, without the brackets of their array."""
    yield ENCODER.encode([value(*row) for row in connection.execute(query)])[1:-1].encode()


def with_commas(parts: dict[str, bytes]) -> Iterator[bytes]:
    comma = b""
    for prefix in PREFIXES:
        if parts[prefix]:
            yield comma + parts[prefix]
            comma = b","


def users_text(connection: sqlite3.Connection, prefix: str) -> bytes:
    """No value of a row that was accepted has a character that JSON would escape."""
    text = ",".join(
        f'{{"deliver":{BOOLEANS[deliver]},"email":"{email}","id":"{name}",'
        f'"login":{BOOLEANS[login]},"password":"{password}","quota_mb":{quota_mb}}}'
        for deliver, email, name, login, password, quota_mb in connection.execute(
            USERS_FROM, (prefix, prefix + "g")
        )
    )
    return text.encode()


def recipients_text(connection: sqlite3.Connection, prefix: str) -> bytes:
    rows = connection.execute(RECIPIENTS_FROM, (prefix, prefix + "g"))
    return ",".join(f'{{"email":"{email}","id":"{name}"}}' for email, name in rows).encode()


# ── Maps for Postfix ──────────────────────────────────────────────────────────────────────────

# In the order in which new ones are put in place: where mail goes first, then that it is accepted.
MAPS = ("relays", "domains", "mailboxes", "aliases", "senders")
# A domain that moves stays among the domains and its addresses among the mailboxes: `relays` alone
# decides, from one look-up to the next, whether its mail is for Dovecot or for its home.
ALL_LINES = {
    "relays": "SELECT domain, host FROM relays",
    "domains": "SELECT name FROM domains UNION ALL SELECT domain FROM relays",
    "mailboxes": "SELECT email FROM users WHERE deliver UNION ALL SELECT email FROM recipients",
    "aliases": "SELECT address, goto FROM aliases",
}
# Before the rows change. A domain that leaves for another node is passed on there from now on, one
# that comes is still passed on to where it was: Dovecot gets no mail for whom it does not know.
LINES_WITHOUT_ARRIVALS = {
    "relays": """SELECT domain, host FROM relays UNION ALL
        SELECT domain, host FROM old_relays WHERE domain NOT IN (SELECT domain FROM relays)""",
    "domains": """SELECT name FROM domains UNION ALL SELECT domain FROM relays EXCEPT
        SELECT name FROM (
            SELECT name FROM new_domains UNION ALL SELECT domain FROM new_relays)
        WHERE name NOT IN (SELECT name FROM gone_domains UNION ALL SELECT domain FROM old_relays)
    """,
    "mailboxes": f"""SELECT email FROM users WHERE deliver UNION ALL SELECT email FROM recipients
        EXCEPT SELECT email FROM {NEWLY_KNOWN} WHERE email NOT IN {KNOWN_BEFORE}""",  # noqa: S608
    # An alias that is changed keeps its old goal while the new one may not be there yet.
    "aliases": """SELECT address, coalesce(old.goto, aliases.goto)
        FROM aliases LEFT JOIN old_aliases AS old USING (address)
        WHERE old.address IS NOT NULL OR address NOT IN (SELECT address FROM new_aliases)""",
}

Lines = dict[str, "Iterator[str]"]


def mend_maps(settings: Settings, store: Store) -> str:
    """Write the maps if that is owed, since addresses came or something stopped it before; the
    problem in words."""
    if not settings.has_postfix or store.is_damaged or not store.database.exists():
        return ""
    try:
        if store.owed.exists() or not all(path.exists() for path in map_files(settings)):
            with store.locked(), store.opened() as connection:
                if not has_tables(connection):
                    return ""
                write_maps(settings, lines(connection, ALL_LINES))
                store.owed.unlink(missing_ok=True)
    except (AgentError, OSError) as error:
        return f"the maps for Postfix are not up to date: {sentence_of(error)}"
    return ""


def lines_without_arrivals(connection: sqlite3.Connection) -> Lines:
    """What Postfix accepts now and is to accept on."""
    return lines(connection, LINES_WITHOUT_ARRIVALS)


def lines(connection: sqlite3.Connection, queries: dict[str, str]) -> Lines:
    """The lines of each map. Mailboxes are looked up for their existence only, so that any value
    will do; the members of an alias may write in its name. A catch-all (`@domain`) would also need
    a line `address address` among the aliases for every mailbox of its domain, which it would
    otherwise take the mail of (https://www.postfix.org/virtual.5.html)."""
    aliases = list(connection.execute(queries["aliases"]))
    return {
        "relays": (
            f"{name} {way_to(host)}\n" for name, host in connection.execute(queries["relays"])
        ),
        "domains": (f"{name} OK\n" for (name,) in connection.execute(queries["domains"])),
        "mailboxes": (f"{email} OK\n" for (email,) in connection.execute(queries["mailboxes"])),
        "aliases": (f"{address} {goto}\n" for address, goto in aliases),
        "senders": (f"{address} {goto}\n" for address, goto in aliases),
    }


def way_to(host: str | None) -> str:
    """What transport(5) makes of a home: its port 25 and no other server that the DNS may name. If
    the home is lost, mail waits in the queue (https://www.postfix.org/error.8.html)."""
    return f"relay:[{host}]:25" if host else "retry:4.3.2 the home of this domain is lost"


def write_maps(settings: Settings, content: Lines) -> None:
    """Whole new maps beside the old ones, and in their place when all of them are made: Postfix
    notices by itself (https://www.postfix.org/DATABASE_README.html)."""
    folder = cast("Path", settings.maps)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for path in folder.glob(".new-*"):  # what an agent that was killed left
        shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as made:
        sources = [Path(made, name) for name in MAPS]
        for source in sources:
            with source.open("w", encoding="ascii") as file:
                file.writelines(content[source.name])
            source.chmod(0o644)  # the map gets the same: Postfix's daemons are not root
        call_postmap(settings.postmap, sources)
        for source in sources:
            put_map(source.with_suffix(".cdb"), folder / f"{source.name}.cdb")
        sync_folder(folder)


def call_postmap(command: list[str], sources: list[Path]) -> None:
    try:
        done = subprocess.run(
            [*command, *(f"cdb:{source}" for source in sources)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=POSTMAP_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AgentError(f"{command[0]} did not come to an end") from None
    if done.returncode or not all(source.with_suffix(".cdb").exists() for source in sources):
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise AgentError(f"{command[0]} failed ({''.join(words)[:REASON_LIMIT] or 'silently'})")


def put_map(made: Path, place: Path) -> None:
    if place.exists() and filecmp.cmp(made, place, shallow=False):
        return
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(place)


def map_files(settings: Settings) -> list[Path]:
    return [cast("Path", settings.maps) / f"{name}.cdb" for name in MAPS]


def maps_told(settings: Settings, store: Store) -> str:
    if settings.maps is None:
        return "none are set"
    paths = [path for path in map_files(settings) if path.exists()]
    if len(paths) < len(MAPS):
        return f"not all of them are in {settings.maps} yet"
    newest = time.gmtime(max(path.stat().st_mtime for path in paths))
    owed = ", to be written again" if store.owed.exists() else ""
    return f"in {settings.maps}, written {time.strftime(TIME_FORM, newest)}{owed}"


# ── Sessions ──────────────────────────────────────────────────────────────────────────────────


def end_sessions(settings: Settings, store: Store) -> str:
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


# ── Stored mail ───────────────────────────────────────────────────────────────────────────────


def bury(mail: Path, orders: list[str]) -> tuple[list[str], str]:
    """Put the mail of these ids out of the way: which of them have none any more, and the problem
    in words. Nothing but a folder that lies in `mail` itself is touched, and only renamed."""
    done: list[str] = []
    problem = ""
    try:
        with folder_at(str(mail)) as here:
            for order in orders:
                try:
                    bury_one(here, order)
                    done.append(order)
                except (AgentError, OSError) as error:
                    problem = f"the mail of {order} cannot be removed: {sentence_of(error)}"
    except OSError as error:
        problem = f"{mail} cannot be opened to remove mail: {cause(error)}"
    return done, problem


def bury_one(here: int, order: str) -> None:
    try:
        found = os.stat(order, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        raise AgentError("it is not a folder")
    with contextlib.suppress(FileExistsError):
        os.mkdir(".purged", 0o700, dir_fd=here)
    with folder_at(".purged", here) as purged:
        os.rename(order, f"{order}.{int(time.time())}", src_dir_fd=here, dst_dir_fd=purged)
        os.fsync(purged)
    os.fsync(here)


@contextlib.contextmanager
def folder_at(name: str, where: int | None = None) -> Iterator[int]:
    """A folder; below another one never by a symbolic link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if where is None else os.O_NOFOLLOW)
    descriptor = os.open(name, flags, dir_fd=where)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def keep_sweeping(settings: Settings, stop: threading.Event) -> None:
    while settings.mail and not stop.is_set():
        sweep_tombstones(settings)
        stop.wait(SWEEP_EVERY)


def sweep_tombstones(settings: Settings) -> None:
    """Remove for good what was buried long ago. A clock that was set back makes it stay longer."""
    if settings.mail is None:
        return
    purged = settings.mail / ".purged"
    if purged.is_symlink() or not purged.is_dir():
        return
    with contextlib.suppress(OSError):
        for path in sorted(purged.iterdir()):
            match = TOMBSTONE.fullmatch(path.name)
            if match and time.time() - int(match.group(1)) > KEEP_TOMBSTONES:
                shutil.rmtree(path, ignore_errors=True)


# ── Reports ───────────────────────────────────────────────────────────────────────────────────


class Measured(NamedTuple):
    """A file of Dovecot's: when it was written, and what it said of the mailbox."""

    stamp: tuple[int, int, int]
    row: dict[str, Any]


class Reporter:
    """Tells the panel what this node holds and measures. What it has told is kept in memory, for
    the sake of the SD card; a report that fails is made again, and changes nothing else."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.problem = ""
        self.news = threading.Event()
        self.told: tuple[Any, ...] = ()
        self.told_at = self.measured_at = -REPORT_EVERY
        self.usage: dict[str, Measured] = {}
        self.logins: dict[str, Measured] = {}
        self.has_more = False
        self.versions: tuple[float, dict[str, str | None]] = (-REPORT_EVERY, {})

    def tell(self, problem: str) -> None:
        self.problem = problem
        self.news.set()

    def keep_reporting(self, stop: threading.Event) -> None:
        failures = 0
        while not stop.is_set():
            self.news.wait(REPORT_EVERY / 10)
            self.news.clear()
            if not self.is_due():
                continue
            try:
                self.send()
                failures = 0
            except Exception:  # noqa: BLE001  it is made again; the panel sees that it has none
                failures += 1
                stop.wait(backoff(failures))
                self.news.set()

    def is_due(self) -> bool:
        return (
            self.has_more
            or self.told != self.to_tell()
            or time.monotonic() - self.told_at >= REPORT_EVERY
        )

    def to_tell(self) -> tuple[Any, ...]:
        known = self.store.known
        held = (known.epoch, known.revision, known.sha256) if known else None
        return held, self.problem, tuple(self.store.purged)

    def send(self) -> None:
        telling, usage, logins = self.to_tell(), {}, {}
        if self.store.known and (
            self.has_more or time.monotonic() - self.measured_at >= USAGE_EVERY
        ):
            self.measured_at = time.monotonic()
            usage = measured(self.store, self.settings.usage, self.usage, usage_in)
            logins = measured(self.store, self.settings.logins, self.logins, login_in)
        body = {
            **self.body(),
            "usage": rows_that_differ(usage, self.usage),
            "last_login": rows_that_differ(logins, self.logins),
        }
        post(self.settings, "/sync/v1/report", ENCODER.encode(body).encode("ascii"))
        self.has_more = MEASURED_AT_ONCE in (len(usage), len(logins))
        self.usage.update(usage)
        self.logins.update(logins)
        self.told, self.told_at = telling, time.monotonic()
        self.store.note_report()

    def body(self) -> dict[str, Any]:
        known = self.store.known
        return {
            "epoch": known.epoch if known else None,
            "revision": known.revision if known else None,
            "sha256": known.sha256 if known else None,
            "counts": counts_to_report(known.counts) if known else dict.fromkeys(ARRAYS, 0),
            "rejected": [],  # one invalid row refuses the whole answer, which is an error
            "agent_version": VERSION,
            **self.software(),
            "disk_free_mb": free_mebibytes(self.settings.state),
            "purged": self.store.purged[:PURGED_AT_ONCE],  # the panel orders the rest again
            "error": self.problem[:REASON_LIMIT] or None,
        }

    def software(self) -> dict[str, str | None]:
        asked_at, versions = self.versions
        if time.monotonic() - asked_at >= REPORT_EVERY:
            # As it was built: without -d, a node without a main.cf would have no version.
            postconf = ["postconf", "-dh", "mail_version"]
            versions = {
                "dovecot_version": first_word(["dovecot", "--version"]),
                "postfix_version": first_word(postconf) if self.settings.has_postfix else None,
                "os": operating_system(),
            }
            self.versions = time.monotonic(), versions
        return versions


def counts_to_report(counts: dict[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number or name in ARRAYS}


def measured(
    store: Store,
    folder: Path | None,
    told: dict[str, Measured],
    read: Callable[[str], dict[str, Any]],
) -> dict[str, Measured]:
    """The files that are new or have been written since they were told of, by their names: these
    are addresses, and only those of present mailboxes count."""
    found: dict[str, Measured] = {}
    if folder is None or not folder.is_dir() or not store.database.exists():
        return found
    address = f"{store.database.as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=DATABASE_PATIENCE)
    with contextlib.closing(connection), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError, ValueError, LookupError, OverflowError):
                state = entry.stat(follow_symlinks=False)
                stamp = state.st_mtime_ns, state.st_size, state.st_ino
                if not stat.S_ISREG(state.st_mode) or state.st_size > PIECE:
                    continue
                if entry.name in told and told[entry.name].stamp == stamp:
                    continue
                owner = connection.execute(OWNER, (entry.name,)).fetchone()
                if owner:
                    row = {"id": owner[0], **read(Path(entry.path).read_text("ascii"))}
                    found[entry.name] = Measured(stamp, row)
            if len(found) == MEASURED_AT_ONCE:
                break
    return found


OWNER = "SELECT id FROM users WHERE email = ?"


def rows_that_differ(found: dict[str, Measured], told: dict[str, Measured]) -> list[dict[str, Any]]:
    return [new.row for name, new in found.items() if name not in told or told[name].row != new.row]


def usage_in(text: str) -> dict[str, Any]:
    """Of a quota_clone file; the storage is in bytes."""
    values = dict_file(text)
    used = {"bytes": int(values["storage"]), "messages": int(values["messages"])}
    return {name: max(0, value) for name, value in used.items()}


def login_in(text: str) -> dict[str, Any]:
    """Of a last_login file, with the seconds of each service; the latest counts."""
    latest = max(int(value) for value in dict_file(text).values())
    return {"at": time.strftime(TIME_FORM, time.gmtime(latest))}


def dict_file(text: str) -> dict[str, str]:
    """Of Dovecot's dict file: a line with a key, a line with its value, and so on. A key is like
    priv/quota/storage or shared/last-login/imap; its last word is what counts."""
    lines = text.splitlines()
    return {key.rpartition("/")[2]: value for key, value in zip(lines[::2], lines[1::2])}  # noqa: B905  new in 3.10


def forget_traces(settings: Settings, vacated: list[str]) -> None:
    """What Dovecot wrote of an address that has another owner now, or none."""
    for folder in filter(None, (settings.usage, settings.logins)):
        for email in vacated:
            with contextlib.suppress(OSError):
                (folder / email).unlink()


def first_word(command: list[str]) -> str | None:
    program = shutil.which(command[0], path=SBIN)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=VERSION_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    words = clean(done.stdout.decode("ascii", "replace")).split()
    return words[0][:60] if words else None


def operating_system() -> str | None:
    try:
        text = Path("/etc/os-release").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
    return clean(match.group(1))[:60] if match else None


def free_mebibytes(folder: Path) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize // 1024 // 1024


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
    return time.strftime(TIME_FORM, time.gmtime())


if __name__ == "__main__":
    sys.exit(main())
