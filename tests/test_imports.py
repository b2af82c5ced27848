"""Who may import whom, read from the source; and what every module has to have.

A room is a module or package directly under app/. Standard library apart, it imports what its line
says and nothing else.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "app"

FACES = {"web", "api", "mcp", "oauth", "sync", "health", "cli"}

# What a face is made from. Flask and Click are its business and nobody else's.
_OF_FACES = {
    "operations", "caller", "fields", "passwords", "errors", "models", "config", "extensions",
    "credentials", "clock", "addresses", "dns", "database", "envelope", "strict_json", "network",
    "throttle", "calls", "doors", "spreadsheets", "flask", "werkzeug", "sqlalchemy",
}  # fmt: skip

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "addresses": {"errors", "idna"},
    "passwords": {"errors", "bcrypt"},
    # Time and credentials are written and read in one form by everybody: pure, below all else.
    "clock": set(),
    "credentials": set(),
    "fields": {"addresses", "passwords", "errors", "pydantic", "pydantic_core"},
    "config": set(),
    "extensions": {"config", "flask", "flask_login", "flask_sqlalchemy",
                   "flask_wtf", "sqlalchemy", "werkzeug"},
    "models": {"extensions", "addresses", "errors", "clock", "sqlalchemy"},
    # How transactions run is no operation's business, but caller and faces need to begin some.
    "database": {"extensions", "errors", "sqlalchemy"},
    # Rate limits are kept in the database; the caller counts wrong credentials, faces the rest.
    "throttle": {"credentials", "database", "errors", "extensions", "models", "sqlalchemy"},
    "dns": {"models", "addresses", "errors", "config", "clock", "dns"},
    "caller": {"models", "errors", "extensions", "fields", "addresses", "clock", "credentials",
               "database", "throttle", "sqlalchemy"},
    "operations": {"caller", "models", "fields", "addresses", "passwords", "dns", "errors",
                   "extensions", "clock", "credentials", "database", "passkeys", "pydantic",
                   "second_factor", "throttle", "totp", "typing_extensions", "sqlalchemy"},
    # The codes of authenticator apps are pure; whose they are, and that each counts once, is asked
    # by sessions and operations alike.
    "totp": set(),
    "second_factor": {"credentials", "extensions", "models", "throttle", "totp"},
    # What a device signs is judged by a library of the protocol; sessions and operations ask.
    "passkeys": {"addresses", "clock", "credentials", "errors", "extensions", "fido2", "models"},
    # Where somebody signed in from, for sessions to note, the account page to show, and a mail.
    "places": {"clock", "credentials", "database", "extensions", "models", "throttle"},
    "sign_in_notices": {"clock", "database", "extensions", "mailing", "models", "outbox",
                        "sqlalchemy"},
    # Sessions are begun and ended here only; they count attempts and leave audit rows.
    "sessions": {"addresses", "caller", "clock", "credentials", "database", "errors",
                 "extensions", "models", "passkeys", "passwords", "places",
                 "second_factor", "throttle"},
    # Assistants are let in through a page and a face for programs, and call through a third: what
    # all three rely on is below them. Authlib has the protocol, werkzeug the shape of a form.
    "authorization": {"authlib", "caller", "clock", "config", "credentials", "database", "errors",
                      "extensions", "flask", "models", "sqlalchemy", "strict_json", "throttle",
                      "werkzeug"},
    # What requests leave behind: a count, which prometheus_client adds up over processes, and a
    # line in the log, whose form the server's master needs too, and so without the application.
    "counters": {"prometheus_client"},
    # That the threads of a process are alive: they say so, and who watches is told.
    "heartbeats": {"counters"},
    "log_lines": set(),
    "request_log": {"counters", "extensions", "flask", "log_lines", "network"},
    # What the database tells at each scrape, in the shapes that the library writes out.
    "figures": {"clock", "extensions", "models", "prometheus_client", "sqlalchemy"},
    # What faces for programs note of their calls, and a page shows.
    "calls": {"caller", "clock", "database", "errors", "flask", "models", "sqlalchemy", "werkzeug"},
    # What the faces share: the envelope of JSON, its strict reader, where a request comes from.
    "envelope": {"database", "errors", "flask", "log_lines", "orjson", "sqlalchemy", "werkzeug"},
    "strict_json": {"errors", "flask", "werkzeug"},
    "network": {"config", "errors", "flask", "werkzeug"},
    # The export is built below the face that serves it, so that it can be tested and checked.
    "export": {"database", "extensions", "models", "orjson", "sqlalchemy"},
    # What a process knows without asking the database again.
    "watch": {"extensions", "models", "sqlalchemy"},
    # Who each route is for, whichever face it is of.
    "doors": {"flask"},
    # How the application's routes are kept, whichever face they are of.
    "routes": {"werkzeug"},
    # Which requests have a session at all; only people's do.
    "cookies": {"flask"},
    # Lists as spreadsheets read them, for pages and the command line.
    "spreadsheets": set(),
    "openapi": {"fields", "operations", "orjson", "pydantic"},
    # What the operator's commands do, below the command line; some of it one process at a time.
    "turns": set(),
    "schema": {"config", "errors", "extensions", "database", "alembic", "flask", "flask_migrate",
               "sqlalchemy"},
    "backup": {"config", "errors", "extensions", "database", "models", "schema", "clock",
               "sqlalchemy", "turns"},
    # A migration is taken back by a backup only, so that one is made before.
    "upgrade": {"backup", "extensions", "schema", "sqlalchemy", "turns"},
    "checks": {"config", "dns", "errors", "extensions", "database", "models", "schema", "export",
               "clock", "sqlalchemy"},
    # Telling people and programs of nodes and domains: these send, and operations say what is new.
    "mailing": {"config", "extensions"},
    "alerts": {"extensions", "mailing", "models", "operations"},
    "domain_notices": {"extensions", "mailing", "operations", "outbox"},
    # What is to be told by mail waits in the database until a server has taken it.
    "outbox": {"clock", "database", "extensions", "mailing", "models", "sqlalchemy"},
    "housekeeping": {"alerts", "authorization", "caller", "calls", "domain_notices", "errors",
                     "export", "heartbeats", "operations", "outbox", "places", "sign_in_notices",
                     "throttle", "database", "extensions", "clock", "flask"},
    # What the production server starts with: it makes the application.
    "server": {"app", "config", "housekeeping", "errors", "log_lines", "schema", "upgrade",
               "gunicorn"},
    # The demo does what a program would: it calls operations, and runs a node.
    "demo": {"caller", "operations", "passwords", "config", "errors", "extensions", "models",
             "clock", "credentials"},
    "migrations": {"app", "database", "extensions", "models", "alembic", "flask", "sqlalchemy"},
    # One file that runs on a node, where nothing of this is installed.
    "agent": set(),
    # What makes a computer a node: texts, and joining them into one script.
    "node": set(),
    "web": {*_OF_FACES, "authorization", "passkeys", "places", "sessions", "flask_login",
            "flask_wtf", "wtforms", "markupsafe", "segno", "totp"},
    "api": {*_OF_FACES, "openapi"},
    # The wire's own validators; pydantic for the one input that is no operation's.
    "mcp": {*_OF_FACES, "authorization", "orjson", "mcp_types", "pydantic"},
    "oauth": {*_OF_FACES, "authorization"},
    "sync": {*_OF_FACES, "counters", "export", "heartbeats", "node", "watch"},
    # What watches over the panel asks here; it looks at what the operator's own check looks at.
    "health": {*_OF_FACES, "checks", "counters", "figures", "heartbeats",
               "prometheus_client"},
    "cli": {*_OF_FACES, "app", "backup", "checks", "domain_notices", "outbox", "schema", "demo",
            "server", "housekeeping", "turns", "upgrade", "click"},
}  # fmt: skip

# Of these, an operation must not know that a request or a signed-in person exists.
OF_THE_WEB = {"request", "session", "g", "current_user", "url_for"}


def _modules() -> list[Path]:
    versions = APP / "migrations" / "versions"
    return sorted(path for path in APP.rglob("*.py") if versions not in path.parents)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _room(path: Path) -> str:
    first = path.relative_to(APP).parts[0]
    return "app" if first in {"__init__.py", "factory.py"} else first.removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """The full names that a module imports, such as app.models.Domain or flask.request."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _room_of_import(name: str) -> str:
    parts = name.split(".")
    is_room = parts[0] == "app" and len(parts) > 1 and parts[1] in MAY_IMPORT
    return parts[1] if is_room else parts[0]


MODULES = _modules()


def test_every_room_has_its_line() -> None:
    """A new room: say above what it may import, and why. One that is gone: remove its line."""
    rooms = {_room(path) for path in MODULES} - {"app"}
    assert rooms - MAY_IMPORT.keys() == set()
    assert MAY_IMPORT.keys() - rooms - FACES - {"dns"} == set()


def test_a_room_imports_what_its_line_says() -> None:
    known = set(sys.stdlib_module_names)
    offences = {
        _name(path): found
        for path in MODULES
        if (room := _room(path)) != "app"
        and (found := {*map(_room_of_import, _imports(path))} - {room} - known - MAY_IMPORT[room])
    }
    assert offences == {}


def test_no_face_imports_another() -> None:
    for path in MODULES:
        faces = {_room_of_import(name) for name in _imports(path)} & FACES
        assert _room(path) == "app" or faces <= {_room(path)}, _name(path)


def test_operations_know_of_no_request() -> None:
    for path in MODULES:
        if _room(path) != "operations":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imported = {name.rpartition(".")[2] for name in _imports(path)}
        assert not imported & OF_THE_WEB, _name(path)
        assert not words & (OF_THE_WEB - {"session"}), _name(path)  # databases have sessions, too


def test_the_agent_needs_nothing_but_python() -> None:
    names = {name.split(".")[0] for name in _imports(APP / "agent.py")}
    assert names <= set(sys.stdlib_module_names)


def test_what_few_need_is_not_loaded_before_it_is_needed() -> None:
    """Each would lengthen every start and command: MCP's wire doubles it, Alembic is a sixth."""
    seldom = {"mcp_types", "alembic", "flask_migrate"}
    for path in MODULES:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        at_once = [line for line in body if isinstance(line, ast.Import | ast.ImportFrom)]
        names = {word for line in at_once for word in re.split(r"\W+", ast.unparse(line))}
        assert not seldom & names or path.parent.name == "migrations", _name(path)


def test_the_application_is_made_at_its_doors_only() -> None:
    makers = {_name(path) for path in MODULES if "app.create_app" in set(_imports(path))}
    assert makers <= {"app/cli/__init__.py", "app/cli/serving.py", "app/server.py"}


def test_every_module_has_a_name_that_says_something() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    for path in (*MODULES, *(ROOT / "tests").rglob("*.py")):
        assert not vague & set(path.relative_to(ROOT).with_suffix("").parts), _name(path)


def test_every_module_says_what_it_is() -> None:
    for path in MODULES:
        documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = documentation.partition("\n\n")[0].rstrip()
        assert first.endswith((".", ":")), _name(path)
