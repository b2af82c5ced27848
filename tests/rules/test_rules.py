"""Our own rules: each finds what it is there for, lets the right way be, and is kept."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.operations import OPERATIONS
from tests.rules import rules
from tests.rules.exceptions import EXCEPTIONS
from tests.rules.reading import Source, sources
from tests.rules.rules import RULES, Rule

APP = Path(rules.__file__).parents[2] / "app"

# For each rule: the file it would stand in, what it has to find, and what it has to let be.
EXAMPLES: dict[str, tuple[str, list[str], list[str]]] = {
    "secrets_are_compared_in_constant_time": (
        "health",
        [
            "token == settings.metrics_token",
            "if digest(key) != row.digest: pass",
            "a.password == b",
        ],
        [
            "hmac.compare_digest(token, x)",
            "Token.digest == digest(x)",
            "tokens.digest == bindparam('digest')",
            "kind == 'token'",
            "a == b",
        ],
    ),
    "customers_reach_rows_through_their_project": (
        "operations/mailboxes",
        [
            "def f(caller): return db.session.get(Token, token_id)",
            "def f(caller): return select(Mailbox).where(Mailbox.email == email)",
            "def f(): db.delete(Domain).where(Domain.name == name)",
            "@operation(who='project')\ndef f(caller): select(Domain)",
        ],
        [
            "def f(caller): select(Token).where(Token.project_id == caller.project_id)",
            "def f(caller): caller.mailbox(email)",
            "def f(caller): select(Node)",
            "@operation(who='admin')\ndef f(caller): select(Domain)",
        ],
    ),
    "faces_ask_no_tables": (
        "web/mailboxes",
        ["db.session.scalars(q)", "select(Mailbox)", "with write_transaction(): pass"],
        ["browse.mail_domains(caller)", "OPERATIONS['add-user'](caller)"],
    ),
    "redirects_lead_to_pages_of_ours": (
        "web/auth",
        [
            "redirect(request.args['next'])",
            "def f(target): return redirect(target, 303)",
            "response.headers['HX-Redirect'] = request.referrer",
            "def f():\n t = url_for('a')\n t = request.form['t']\n redirect(t)",
        ],
        ["redirect(url_for('a'), 303)", "def f():\n a = url_for('x')\n redirect(a)"],
    ),
    "pages_come_from_files": (
        "web/pages",
        ["render_template_string('<b>' + name)", "env.from_string(text)"],
        ["render_template('a.html', name=name)"],
    ),
    "files_are_made_with_their_mode": (
        "config",
        ["path.write_text(key); path.chmod(0o600)", "os.chmod(path, 0o600)"],
        ["os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)"],
    ),
    "moments_come_from_the_clock": (
        "operations/links",
        ["datetime.now(UTC)", "datetime.utcnow()", "time.time()", "date.today()"],
        ["clock.now()", "time.monotonic()", "time.perf_counter()"],
    ),
    "statements_hold_no_values": (
        "operations/browse",
        [
            "text(f'SELECT * FROM x WHERE y = {name}')",
            "session.execute('DELETE FROM ' + table)",
            "connection.exec_driver_sql('SELECT %s' % x)",
            "text('SELECT {}'.format(x))",
        ],
        ["text('SELECT 1')", "session.execute(text('… :name'), {'name': name})", "f('x' + y)"],
    ),
    "logs_are_told_no_secret": (
        "sync/reports",
        [
            "log.info('came with %s', token)",
            "log.warning(f'{row.password_hash} is wrong')",
            "log.debug('%s', request.headers)",
            "logging.error('x', extra={'form': request.form})",
            "log.info('x', extra={'k': sync_key})",
        ],
        ["log.info('node %s', node.name)", "log.warning('%s', error)", "math.log(token)"],
    ),
    "sessions_are_begun_in_one_place": (
        "web/welcome",
        ["login_user(visitor)", "session.add(WebSession(person_id=1))"],
        ["begin(sessions.begin_for(person), '/')", "db.delete(WebSession)"],
    ),
    "nothing_slow_holds_the_lock": (
        "operations/mailboxes",
        [
            "with write_transaction() as s:\n row.password_hash = password.hash(10)",
            "with write_transaction():\n if matches(a, b): pass",
            "@operation(who='project')\ndef f(caller, *, password): password.hash(10)",
            "with write_transaction():\n time.sleep(1)",
        ],
        [
            "h = password.hash(10)\nwith write_transaction() as s:\n row.password_hash = h",
            "@operation(who='project', first=_hash)\ndef f(caller, *, password): password.hash(1)",
        ],
    ),
    "nobody_is_waited_for_without_end": (
        "mailing",
        ["urlopen(request)", "smtplib.SMTP(host, port)", "socket.create_connection((h, 1))"],
        ["urlopen(r, timeout=5)", "SMTP(host, port, timeout=9)", "create_connection(x, 5)"],
    ),
    "names_are_encoded_by_idna_2008": (
        "addresses",
        ["name.encode('idna')", "name.decode('idna')"],
        ["idna.encode(name, uts46=True)", "name.encode('ascii')"],
    ),
    "bodies_are_read_strictly": (
        "api",
        ["request.get_json()", "request.json['email']", "json.loads(request.get_data())"],
        ["read_object(request)", "answer.json"],
    ),
    "clients_are_known_by_the_proxies_told_of": (
        "web/auth",
        ["request.remote_addr", "request.access_route[0]", "headers.get('X-Forwarded-For')"],
        ["client_address(request)", "headers.get('X-Request-Id')"],
    ),
    "links_begin_with_the_public_address": (
        "mailing",
        ["request.host_url + path", "url_for('a', _external=True)", "f'https://{request.host}/x'"],
        ["settings.public_url + url_for('a')", "host_name(request)"],
    ),
    "looking_changes_nothing": (
        "web/nodes",
        [
            "@bp.get('/x')\ndef f(): OPERATIONS['remove-node'](me(), name='x')",
            "@bp.route('/x')\ndef f():\n with write_transaction(): pass",
        ],
        ["@bp.post('/x')\ndef f(): OPERATIONS['remove-node'](me())", "@bp.get('/x')\ndef f(): g()"],
    ),
}


@pytest.fixture(scope="module")
def application() -> list[Source]:
    """Every file of it."""
    return sources(APP)


def found(rule: Rule, application: list[Source]) -> Iterator[tuple[str, str]]:
    """What breaks a rule: the place, and the line as a person looks for it."""
    for source in application:
        for node in rule(source):
            line = getattr(node, "lineno", 0)
            yield source.place(node), f"app/{source.path}.py:{line}: {ast.unparse(node)[:90]}"


def test_each_rule_has_its_examples() -> None:
    assert [rule.__name__ for rule in RULES] == list(EXAMPLES)
    assert EXCEPTIONS.keys() <= EXAMPLES.keys()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_finds_what_it_is_there_for(rule: Rule) -> None:
    path, bad, good = EXAMPLES[rule.__name__]
    for text in bad:
        assert list(rule(Source(path, text))), text
    for text in good:
        assert not list(rule(Source(path, text))), text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_application_keeps_it(rule: Rule, application: list[Source]) -> None:
    allowed = EXCEPTIONS.get(rule.__name__, {})
    breaking = list(found(rule, application))
    assert [line for place, line in breaking if place not in allowed] == []
    assert allowed.keys() == {place for place, _ in breaking}, "an exception nobody needs"


def test_what_pages_do_when_they_are_only_looked_at_reads() -> None:
    for name in ("list-records", "check-domain"):
        assert OPERATIONS[name].reads


TEMPLATES = APP.parent / "templates"
# A value is escaped as the text of an element or within quotes; anywhere else it gets out.
UNSAFE = {
    "marked as safe": r"\|\s*safe\b",
    "not escaped": r"autoescape\s+(?:false|off)",
    "without quotes": r"\s[\w:-]+=\{\{",
    "in a script": r"<script[^>]*>[^<]*\{\{",
}


@pytest.mark.parametrize("what", UNSAFE)
def test_no_template_lets_a_value_out(what: str) -> None:
    for path in TEMPLATES.rglob("*"):
        if path.is_file():
            assert not re.search(UNSAFE[what], path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("marked as safe", "{{ name|safe }}"),
        ("marked as safe", "{{ name | safe }}"),
        ("not escaped", "{% autoescape false %}"),
        ("without quotes", "<a href={{ address }}>"),
        ("in a script", "<script>let x = '{{ name }}'</script>"),
    ],
)
def test_such_a_template_would_be_found(what: str, text: str) -> None:
    assert re.search(UNSAFE[what], text)
