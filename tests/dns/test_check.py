"""Looking at zones that a real name server serves, and at servers that do as they like."""

from __future__ import annotations

import random

import pytest

from app.dns.check import Report, check, check_many
from app.dns.lookup import Asking
from app.dns.records import Record
from tests.dns import zones
from tests.dns.name_server import NameServer, needs_knot
from tests.dns.zones import GOOD, HOST, answering, asking, expected, lines

pytestmark = [pytest.mark.real, needs_knot]
DOMAIN = "example.nl"
IMPATIENT = 0.3  # seconds for each server that keeps silent


@pytest.fixture
def server(name_server: NameServer) -> NameServer:
    """A name server with the platform's own zone."""
    name_server.zone("host.test", HOST)
    return name_server


def look(server: NameServer, records: str, domain: str = DOMAIN) -> Report:
    """What is found of a domain with these records."""
    server.zone(domain, records)
    return check(domain, expected(domain), asking(server))


def states(report: Report) -> dict[str, str]:
    """The states that are not ok, by the names in GOOD."""
    named = zip(GOOD, report.verdicts, strict=True)
    return {name: verdict.state for name, verdict in named if verdict.state != "ok"}


def of(name: str, report: Report) -> tuple[tuple[str, ...], str]:
    """What was found in the place of a record, and the advice."""
    verdict = report.verdicts[list(GOOD).index(name)]
    return verdict.found, verdict.advice or ""


def test_it_works(server: NameServer) -> None:
    report = look(server, lines())
    assert states(report) == {}
    assert [verdict.advice for verdict in report.verdicts] == [None] * len(GOOD)
    assert all(verdict.found and verdict.checked_at for verdict in report.verdicts)
    assert report.sources == 1  # it plays both parts
    assert report.provider is None


def test_an_empty_zone_lacks_everything(server: NameServer) -> None:
    report = look(server, "")
    assert set(states(report).values()) == {"missing"}
    assert states(report).keys() == GOOD.keys()
    assert of("mx1", report) == ((), "")


CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "another provider's MX": (
        {"mx1": "@ MX 5 old.test.", "mx2": ""},
        {"mx1": "different", "mx2": "different"},
    ),
    "another provider's MX beside ours": (
        {"mx2": "@ MX 50 old.test."},
        {"mx1": "conflict", "mx2": "conflict"},
    ),
    "one of our MX": ({"mx2": ""}, {"mx2": "missing"}),
    "other priorities in our order": (
        {"mx1": "@ MX 0 mx1.host.test.", "mx2": "@ MX 99 mx2.host.test."},
        {},
    ),
    "equal priorities": ({"mx2": "@ MX 10 mx2.host.test."}, {}),
    "our MX the wrong way round": (
        {"mx1": "@ MX 30 mx1.host.test."},
        {"mx1": "different", "mx2": "different"},
    ),
    "no mail at all": (
        {"mx1": "@ MX 0 .", "mx2": ""},
        {"mx1": "different", "mx2": "different"},
    ),
    "SPF of another": ({"spf": '@ TXT "v=spf1 include:host.test -all"'}, {"spf": "different"}),
    "SPF in two strings among others": (
        {"spf": '@ TXT "v=spf1 a inc" "lude:_spf.host.test ~all"\n@ TXT "google-site=1"'},
        {},
    ),
    "two SPF": ({"spf": GOOD["spf"] + '\n@ TXT "v=spf1 a ~all"'}, {"spf": "conflict"}),
    "a policy of one's own": ({"dmarc": '_dmarc TXT "v=DMARC1;p=reject; rua=mailto:a@b.nl"'}, {}),
    "a policy elsewhere": (
        {"dmarc": '_dmarc CNAME d\nd TXT "v=DMARC1; p=quarantine"'},
        {},
    ),
    "no policy": ({"dmarc": '_dmarc TXT "v=DMARC1; q=1"'}, {"dmarc": "different"}),
    "two policies": (
        {"dmarc": GOOD["dmarc"] + '\n_dmarc TXT "v=DMARC1; p=reject"'},
        {"dmarc": "conflict"},
    ),
    "an address for the alias": ({"mail": "mail A 192.0.2.1"}, {}),
    "both addresses": ({"mail": "mail A 192.0.2.1\nmail AAAA 2001:db8::1"}, {}),
    "another address": ({"mail": "mail A 192.0.2.1\nmail A 192.0.2.77"}, {"mail": "different"}),
    "another alias": ({"mail": "mail CNAME www"}, {"mail": "different"}),
    "an alias of an alias": ({"mail": "mail CNAME m\nm CNAME mail.host.test."}, {}),
    "an alias of the same address": ({"mail": "mail CNAME m\nm A 192.0.2.1"}, {}),
    "no alias but a text": ({"mail": 'mail TXT "x"'}, {"mail": "missing"}),
    "the key itself": ({"mc1": 'mc1._domainkey TXT "v=DKIM1; k=rsa; " "p=AAAA"'}, {}),
    "another key": ({"mc1": 'mc1._domainkey TXT "v=DKIM1; p=AAAA"'}, {"mc1": "different"}),
    "another priority and weight": ({"imaps": "_imaps._tcp SRV 9 9 993 mail.host.test."}, {}),
    "another port": ({"imaps": "_imaps._tcp SRV 0 1 143 mail.host.test."}, {"imaps": "different"}),
    "no such service": ({"imaps": "_imaps._tcp SRV 0 0 0 ."}, {"imaps": "different"}),
    "everything at a wildcard": (
        dict.fromkeys(list(GOOD)[3:], "* A 192.0.2.5"),
        {
            **dict.fromkeys(["mc1", "mc2", "dmarc", "imaps", "submissions"], "missing"),
            **dict.fromkeys(["mail", "autoconfig"], "different"),
        },
    ),
    "upper case": (
        {"mx1": "@ MX 10 MX1.Host.Test.", "mail": "MAIL CNAME Mail.HOST.test."},
        {},
    ),
}


def test_each_state(server: NameServer) -> None:
    """All in one go, as zones of their own."""
    names = {case: f"case{number}.nl" for number, case in enumerate(CASES)}
    server.many_zones({names[case]: lines(**changed) for case, (changed, _) in CASES.items()})
    looks = dict(check_many([(name, expected(name)) for name in names.values()], asking(server)))
    found = {case: states(looks[name]) for case, name in names.items()}
    assert found == {case: states for case, (_, states) in CASES.items()}


def test_advice_names_what_is_in_the_way(server: NameServer) -> None:
    split = look(server, lines(mx2="@ MX 50 old.test."))
    assert of("mx1", split)[0] == ("10 mx1.host.test.", "50 old.test.")
    assert "Some of the mail goes to old.test." in of("mx1", split)[1]
    dotless = look(server, lines(mx1="@ MX 10 mx1.host.test", mx2=""))
    assert "End the value with a dot" in of("mx1", dotless)[1]
    assert "alias" in of("mx1", look(server, lines(mx1="@ MX 10 mail", mx2="")))[1]
    two = look(server, lines(spf=GOOD["spf"] + '\n@ TXT "v=spf1 a ~all"'))
    merged = two.verdicts[list(GOOD).index("spf")].merged
    assert merged == "v=spf1 a include:_spf.host.test ~all"


def test_too_many_look_ups_are_counted_through_includes(server: NameServer) -> None:
    server.zone("big.test", '@ TXT "v=spf1 a:1.x a:2.x a:3.x a:4.x a:5.x a:6.x a:7.x a:8.x -all"')
    full = '@ TXT "v=spf1 include:big.test include:_spf.host.test -all"'
    assert states(look(server, lines(spf=full))) == {}
    over = look(server, lines(spf=full.replace("v=spf1", "v=spf1 mx")))
    assert states(over) == {"spf": "different"}
    assert "10 look-ups" in of("spf", over)[1]


def test_names_in_other_alphabets(server: NameServer) -> None:
    assert states(look(server, lines(), "xn--bcher-kva.nl")) == {}


def test_a_name_within_another_zone_is_looked_up_there(server: NameServer) -> None:
    inner = [line.replace("@ ", "shop ", 1) for line in GOOD.values() if line.startswith("@")]
    others = [
        " ".join([f"{line.split()[0]}.shop", *line.split()[1:]])
        for line in GOOD.values()
        if not line.startswith("@")
    ]
    server.zone(DOMAIN, "\n".join([*inner, *others]))
    report = check("shop.example.nl", expected("shop.example.nl"), asking(server))
    assert states(report) == {}
    gone = check("none.example.nl", expected("none.example.nl"), asking(server))
    assert set(states(gone).values()) == {"missing"}
    assert of("mx1", gone)[1].endswith("belong into the zone example.nl.")


def test_a_domain_that_nobody_registered(server: NameServer) -> None:
    report = check("nobody.nl", expected("nobody.nl"), asking(server))
    assert set(states(report).values()) == {"missing"}
    assert "not registered" in of("mx1", report)[1]


def test_the_provider_is_named(server: NameServer) -> None:
    server.zone("transip.net", "ns0 A 127.0.0.1")
    server.zone(DOMAIN, lines(), ns=["ns0.transip.net."])
    report = check(DOMAIN, expected(DOMAIN), asking(server))
    assert (report.provider, states(report)) == ("TransIP", {})


def test_own_servers_decide_and_the_world_may_see_it_later(server: NameServer) -> None:
    """What the resolver says is an hour old."""
    server.zone("test", "ns A 127.0.0.1\nnew A 127.0.0.3")
    server.zone(DOMAIN, lines(mx1="@ MX 5 old.test.", mx2=""), ns=["new.test."])
    with NameServer("127.0.0.3", port=server.port) as own:
        own.zone(DOMAIN, lines(), ns=["new.test."])
        report = check(DOMAIN, expected(DOMAIN), asking(server))
        assert states(report) == {}
        assert report.sources == 2
        assert "not seen everywhere yet" in of("mx1", report)[1]
        assert of("spf", report)[1] == ""
        own.zone(DOMAIN, lines(mx1="", mx2=""), ns=["new.test."])
        server.zone(DOMAIN, lines(), ns=["new.test."])
        report = check(DOMAIN, expected(DOMAIN), asking(server))
        assert states(report) == {"mx1": "missing", "mx2": "missing"}


def elsewhere(server: NameServer, address: str, domain: str = DOMAIN) -> None:
    """Delegate a domain to the name server at another address; the resolver does not know more."""
    label, _, above = domain.partition(".")
    server.zone("test", f"ns A 127.0.0.1\nelsewhere A {address}")
    server.zone(above, f"{label} NS elsewhere.test.")


def test_a_silent_server_says_nothing_about_records(server: NameServer) -> None:
    elsewhere(server, "127.0.0.9")
    with zones.silent("127.0.0.9", server.port):
        report = check(DOMAIN, expected(DOMAIN), asking(server, IMPATIENT))
    assert set(states(report).values()) == {"unknown"}
    assert {verdict.checked_at for verdict in report.verdicts} == {None}
    assert "did not answer" in of("mx1", report)[1]


def test_the_resolver_is_asked_where_own_servers_are_silent(server: NameServer) -> None:
    server.zone("test", "ns A 127.0.0.1\ndead A 127.0.0.9")
    server.zone(DOMAIN, lines(mail=""), ns=["dead.test."])
    with zones.silent("127.0.0.9", server.port):
        report = check(DOMAIN, expected(DOMAIN), asking(server, IMPATIENT))
    assert states(report) == {"mail": "missing"}
    assert report.sources == 1


def test_another_server_answers_for_a_silent_one(server: NameServer) -> None:
    server.zone("test", "ns A 127.0.0.1\ndead A 127.0.0.9")
    server.zone(DOMAIN, lines(), ns=["dead.test.", "ns.test."])
    with zones.silent("127.0.0.9", server.port):
        assert states(check(DOMAIN, expected(DOMAIN), asking(server))) == {}


def test_a_server_that_is_not_responsible_says_nothing(server: NameServer) -> None:
    elsewhere(server, "127.0.0.3")
    with NameServer("127.0.0.3", port=server.port) as lame:
        lame.remove_zone(".")
        report = check(DOMAIN, expected(DOMAIN), asking(server))
    assert set(states(report).values()) == {"unknown"}
    assert "REFUSED" in of("mx1", report)[1]


def test_a_failing_server_says_nothing(server: NameServer) -> None:
    elsewhere(server, "127.0.0.9")
    with answering("127.0.0.9", server.port, lambda packet: packet[:2] + b"\x84\x02" + packet[4:]):
        report = check(DOMAIN, expected(DOMAIN), asking(server))
    assert set(states(report).values()) == {"unknown"}
    assert "SERVFAIL" in of("mx1", report)[1]


def test_servers_of_private_networks_are_not_asked(server: NameServer) -> None:
    """Whoever owns a domain could have the panel ask machines that only it can reach."""
    asked: list[bytes] = []
    elsewhere(server, "127.0.0.9")
    with answering("127.0.0.9", server.port, asked.append):
        report = check(DOMAIN, expected(DOMAIN), Asking((server.as_resolver,)))
    assert asked == []
    assert set(states(report).values()) == {"unknown"}


def test_what_does_not_fit_a_packet_is_asked_by_tcp(server: NameServer) -> None:
    long = "\n".join(f'@ TXT "{number} {"x" * 200}"' for number in range(100))
    report = look(server, f"{lines()}\n{long}")
    assert states(report) == {}
    assert of("spf", report)[0] == ("v=spf1 include:_spf.host.test ~all",)


def test_what_fits_no_message_at_all_is_not_known(server: NameServer) -> None:
    huge = "\n".join(f'@ TXT "{number} {"x" * 240}"' for number in range(400))
    assert states(look(server, f"{lines()}\n{huge}")) == {"spf": "unknown"}


def test_aliases_in_a_circle_end(server: NameServer) -> None:
    circle = "\n".join(f"c{number} CNAME c{(number + 1) % 255}" for number in range(255))
    report = look(server, f"{lines(mail='mail CNAME c0', dmarc='_dmarc CNAME c7')}\n{circle}")
    assert states(report) == {"dmarc": "missing", "mail": "different"}


def test_records_that_include_each_other_end(server: NameServer) -> None:
    server.zone("loop.test", '@ TXT "v=spf1 include:loop.test include:loop.test -all"')
    loop = '@ TXT "v=spf1 include:loop.test include:_spf.host.test -all"'
    assert states(look(server, lines(spf=loop))) == {"spf": "different"}


def test_what_is_shown_is_short_and_visible(server: NameServer) -> None:
    foreign = "\n".join(
        rf"@ MX {number} \000\010\027\091\060b\062x{number}.test." for number in range(40)
    )
    marks = r'_dmarc TXT "v=DMARC1; \010\226\128\174\255' + "x" * 200 + '" "' + "y" * 200 + '"'
    report = look(server, lines(mx1=foreign, mx2="", dmarc=marks))
    for name in ("mx1", "dmarc"):
        found, advice = of(name, report)
        assert 0 < len(found) <= 20
        assert all(text.isprintable() and len(text) <= 300 for text in (*found, advice))


def test_answers_that_are_nonsense_are_none(server: NameServer) -> None:
    dice = random.Random(7)

    def spoiled(packet: bytes) -> bytes:
        """The question as an answer with rubbish in it."""
        head = packet[:2] + b"\x84\x00" + packet[4:6] + dice.choice((b"\0\1", b"\xff\xff"))
        rubbish = bytes(dice.choice((0, 1, 5, 12, 15, 16, 192, 255)) for _ in range(60))
        return head + packet[8:] + rubbish

    elsewhere(server, "127.0.0.9")
    with answering("127.0.0.9", server.port, spoiled):
        report = check(DOMAIN, expected(DOMAIN), asking(server, IMPATIENT))
    assert set(states(report).values()) == {"unknown"}


def test_many_are_looked_at_and_the_dead_hold_up_nobody(server: NameServer) -> None:
    good = [f"d{number}.big.nl" for number in range(20)]
    dead = [f"x{number}.big.nl" for number in range(20)]
    asked: list[bytes] = []
    server.zone("test", "ns A 127.0.0.1\ndead A 127.0.0.9")
    delegations = "\n".join(f"{name.partition('.')[0]} NS dead.test." for name in dead)
    shared = "\n".join(
        f"{name.partition('.')[0]} {line.removeprefix('@ ')}"
        for name in good
        for line in (GOOD["mx1"], GOOD["mx2"], GOOD["spf"])
    )
    server.zone("big.nl", f"{delegations}\n{shared}")
    wanted = [(name, expected(name)) for name in [*dead, *good]]
    with answering("127.0.0.9", server.port, asked.append):
        reports = dict(check_many(iter(wanted), asking(server), at_once=4))
    assert reports.keys() == {*good, *dead}
    assert all("mx1" not in states(reports[name]) for name in good)
    assert all(set(states(reports[name]).values()) == {"unknown"} for name in dead)
    assert len(asked) <= 8  # each of those that ask at once waits twice at most


def test_what_should_not_be_ends_nobody_elses_look(server: NameServer) -> None:
    server.zone(DOMAIN, lines())
    nonsense = [Record("SRV", "_imaps._tcp", "nonsense", "convenience", "Because.", 0)]
    wanted = [(DOMAIN, nonsense), (DOMAIN, expected(DOMAIN))]
    reports = [report for _, report in check_many(wanted, asking(server))]
    assert sorted(len(report.verdicts) for report in reports) == [1, len(GOOD)]
    for report in reports:
        right = "ok" if len(report.verdicts) > 1 else "unknown"
        assert {verdict.state for verdict in report.verdicts} == {right}


def test_whoever_stops_listening_stops_the_looks(server: NameServer) -> None:
    server.zone("nl", "")
    names = iter([(f"d{number}.nl", expected("x.nl")) for number in range(1000)])
    looks = check_many(names, asking(server), at_once=2)
    next(looks)
    looks.close()
    assert len(list(names)) > 900


def test_without_a_resolver_nothing_is_known(server: NameServer) -> None:
    with server.down():
        report = check(DOMAIN, expected(DOMAIN), asking(server, IMPATIENT))
    assert set(states(report).values()) == {"unknown"}
    assert report.sources == 0
