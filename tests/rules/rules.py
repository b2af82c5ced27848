"""The rules. Each yields the nodes that break it; what may be is named with its reason.

Ruff has the rest: shells (S602), naive moments (DTZ), Markup of what is no literal (S704), requests
without a timeout (S113), random numbers for secrets (S311), lstrip of a prefix (B005).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from tests.rules.reading import Source, dotted, is_put_together, last, names_in

Rule = Callable[[Source], Iterator[ast.AST]]

FACES = {"web", "api", "mcp", "oauth", "sync", "health", "cli"}
_SECRET = re.compile(
    r"(?i)(?:^|_)(?:password|passwd|secret|token|credential|digest|hash(?:ed)?|sync_?key|"
    r"recovery_codes?|cookie|bearer|authorization)$"
)


def secrets_are_compared_in_constant_time(source: Source) -> Iterator[ast.AST]:
    """`==` takes the longer the more is right (Mailu 7a36f6bb). Of columns it is SQL."""
    for node in source.nodes:
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        sides = [node.left, *node.comparators]
        is_sql = any(isinstance(one, ast.Attribute) and dotted(one)[:1].isupper() for one in sides)
        is_sql = is_sql or any(last(one) == "bindparam" for one in sides)
        is_fixed = any(isinstance(side, ast.Constant) for side in sides)
        if not is_sql and not is_fixed and any(_SECRET.search(last(side)) for side in sides):
            yield node


OWNED = {"Domain", "Mailbox", "Token", "HeldCall", "PasswordLink", "DomainClaim", "MailboxUsage"}
_BOUNDS = {"project_id", "projects", "person_id", "memberships", "refuse_all_but_admins"}


def customers_reach_rows_through_their_project(source: Source) -> Iterator[ast.AST]:
    """A query for what belongs to a project says whose, in every verb that customers can use."""
    if source.room not in FACES | {"operations"}:
        return
    for node in source.calls():
        if last(node) not in ("select", "get", "get_one", "update", "delete", "query"):
            continue
        if not {last(one) for one in node.args} & OWNED:
            continue
        function = source.function(node)
        if function is None or not (_says_whose(function) or _is_for_admins(function)):
            yield node


def _says_whose(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    has_caller = "caller" in {one.arg for one in function.args.args}
    return has_caller and bool(names_in(function) & _BOUNDS)


def _is_for_admins(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        keyword.arg == "who" and getattr(keyword.value, "value", "") == "admin"
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call)
        for keyword in decorator.keywords
    )


_ASKING = {"select", "execute", "scalars", "scalar", "get_one", "write_transaction"}


def faces_ask_no_tables(source: Source) -> Iterator[ast.AST]:
    """Parse, call, render: a query in a face has no one who looks whose rows they are."""
    if source.room in {"web", "api", "mcp", "oauth", "cli"}:
        for node in source.calls():
            if last(node) in _ASKING:
                yield node


def redirects_lead_to_pages_of_ours(source: Source) -> Iterator[ast.AST]:
    """An address that came in leads anywhere (Flask-Security CVE-2021-32618)."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and last(node) == "redirect" and node.args:
            target = node.args[0]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            key = getattr(node.targets[0].slice, "value", "")
            if key not in ("Location", "HX-Redirect", "HX-Location"):
                continue
            target = node.value
        else:
            continue
        if not _is_of_ours(source, node, target):
            yield node


def _is_of_ours(source: Source, node: ast.AST, target: ast.expr) -> bool:
    """Whether it is written by url_for, here or where its name is given in this function."""
    if not isinstance(target, ast.Name):
        return last(target) == "url_for"
    function = source.function(node)
    given = [
        one.value
        for one in (ast.walk(function) if function else source.nodes)
        if isinstance(one, ast.Assign) and target.id in {last(name) for name in one.targets}
    ]
    return bool(given) and all(last(value) == "url_for" for value in given)


def pages_come_from_files(source: Source) -> Iterator[ast.AST]:
    """A template that is put together runs what is put into it."""
    for node in source.calls():
        if last(node) in ("render_template_string", "from_string", "Template"):
            yield node


def files_are_made_with_their_mode(source: Source) -> Iterator[ast.AST]:
    """Between making a file and chmod anybody can read it (Modoboa e3280d315)."""
    return (node for node in source.calls() if last(node) in ("chmod", "fchmod"))


def moments_come_from_the_clock(source: Source) -> Iterator[ast.AST]:
    """One form of time, so that moments can be compared as texts."""
    if source.room == "agent":  # it has a file of its own, on a machine of its own
        return
    for node in source.calls():
        if dotted(node) in ("datetime.now", "datetime.utcnow", "time.time", "date.today"):
            yield node


_STATEMENTS = {"text", "exec_driver_sql", "execute", "executescript", "literal_column"}


def statements_hold_no_values(source: Source) -> Iterator[ast.AST]:
    """Values go beside a statement, never into it (mailcow CVE-2026-40871)."""
    for node in source.calls():
        is_statement = last(node) in _STATEMENTS
        if is_statement and node.args and is_put_together(node.args[0]):
            yield node


_LOG = re.compile(r"^(?:log|logger|logging)\.(?:debug|info|warning|error|exception|critical|log)$")


def logs_are_told_no_secret(source: Source) -> Iterator[ast.AST]:
    """Nor all of what came in: forms, headers and bodies hold some."""
    everything = {"form", "headers", "cookies", "args", "environ", "json", "data"}
    for node in source.calls():
        if not _LOG.match(dotted(node)):
            continue
        for value in (*node.args, *(keyword.value for keyword in node.keywords)):
            told = names_in(value)
            is_request = "request" in told and bool(told & everything)
            if is_request or any(_SECRET.search(name) for name in told):
                yield node


def sessions_are_begun_in_one_place(source: Source) -> Iterator[ast.AST]:
    """Every other way in is one around the second factor (SimpleLogin bd21e9d4)."""
    for node in source.calls():
        if last(node) in ("WebSession", "HalfSession", "login_user"):
            yield node


_SLOW = {"hash", "hashpw", "checkpw", "matches", "sleep", "urlopen", "sendmail", "send_message"}


def nothing_slow_holds_the_lock(source: Source) -> Iterator[ast.AST]:
    """Every writer waits while one is in its transaction; a hash takes a third of a second.

    The body of an operation is in one; what it takes long for goes into `first`.
    """
    for node in source.calls():
        if last(node) not in _SLOW:
            continue
        for outer in source.around(node):
            is_writing = isinstance(outer, ast.With) and any(
                last(item.context_expr) == "write_transaction" for item in outer.items
            )
            is_body = isinstance(outer, ast.FunctionDef) and any(
                last(decorator) == "operation" and not _prepares(decorator)
                for decorator in outer.decorator_list
            )
            if is_writing or is_body:
                yield node
                break


def _prepares(decorator: ast.expr) -> bool:
    """Whether what takes long is done first; a password then knows its hash."""
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    return any(keyword.arg == "first" for keyword in keywords)


# How many arguments come before the timeout, where it may be one without a name.
_WAITS = {
    "urlopen": 2, "HTTPConnection": 2, "HTTPSConnection": 2, "SMTP": 3, "SMTP_SSL": 3,
    "create_connection": 1,
}  # fmt: skip


def nobody_is_waited_for_without_end(source: Source) -> Iterator[ast.AST]:
    """Somebody else's server may never answer."""
    for node in source.calls():
        has_timeout = any(keyword.arg == "timeout" for keyword in node.keywords)
        before = _WAITS.get(last(node))
        if before is not None and not has_timeout and len(node.args) <= before:
            yield node


def names_are_encoded_by_idna_2008(source: Source) -> Iterator[ast.AST]:
    """Python's own codec makes fass.de of faß.de, which is somebody else's."""
    for node in source.calls():
        codecs = [getattr(one, "value", "") for one in node.args]
        if last(node) in ("encode", "decode") and "idna" in codecs:
            yield node


def _reads_of_request(source: Source, attributes: set[str]) -> Iterator[ast.AST]:
    for node in source.nodes:
        is_one = isinstance(node, ast.Attribute) and node.attr in attributes
        if is_one and dotted(node).rpartition(".")[0] in ("request", "flask.request"):
            yield node


def bodies_are_read_strictly(source: Source) -> Iterator[ast.AST]:
    """Flask's own reader takes duplicate keys, NaN and any depth."""
    yield from _reads_of_request(source, {"json", "get_json", "data", "get_data", "stream"})


def clients_are_known_by_the_proxies_told_of(source: Source) -> Iterator[ast.AST]:
    """Anybody can send X-Forwarded-For (mailcow CVE-2026-40875)."""
    yield from _reads_of_request(source, {"remote_addr", "access_route"})
    for node in source.calls():
        asked = [getattr(one, "value", "") for one in node.args]
        if last(node) == "get" and {"X-Forwarded-For", "X-Real-IP"} & set(asked):
            yield node


def links_begin_with_the_public_address(source: Source) -> Iterator[ast.AST]:
    """Who asks says for which host; a link made of that leads there (mailcow CVE-2025-25198)."""
    of_host = {"host", "host_url", "url_root", "base_url", "url", "root_url"}
    yield from _reads_of_request(source, of_host)
    for node in source.calls():
        if any(keyword.arg == "_external" for keyword in node.keywords):
            yield node


def looking_changes_nothing(source: Source) -> Iterator[ast.AST]:
    """A link can be followed by anybody's page (Modoboa 2d33d3427)."""
    for node in source.calls():
        function = source.function(node)
        if function is None or not any(
            dotted(decorator) in ("bp.get", "bp.route") for decorator in function.decorator_list
        ):
            continue
        if last(node) == "write_transaction" or (
            isinstance(node.func, ast.Subscript) and last(node.func) == "OPERATIONS"
        ):
            yield node


RULES: list[Rule] = [
    secrets_are_compared_in_constant_time,
    customers_reach_rows_through_their_project,
    faces_ask_no_tables,
    redirects_lead_to_pages_of_ours,
    pages_come_from_files,
    files_are_made_with_their_mode,
    moments_come_from_the_clock,
    statements_hold_no_values,
    logs_are_told_no_secret,
    sessions_are_begun_in_one_place,
    nothing_slow_holds_the_lock,
    nobody_is_waited_for_without_end,
    names_are_encoded_by_idna_2008,
    bodies_are_read_strictly,
    clients_are_known_by_the_proxies_told_of,
    links_begin_with_the_public_address,
    looking_changes_nothing,
]
