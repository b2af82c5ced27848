"""Proof of ownership by a text in the zone, before and after it is seen everywhere."""

from __future__ import annotations

import pytest

from app.dns.lookup import Asking
from app.dns.proof import Proof, look_for_proof, proof_record
from tests.dns import zones
from tests.dns.name_server import NameServer, needs_knot
from tests.dns.zones import asking

pytestmark = [pytest.mark.real, needs_knot]
DOMAIN = "example.nl"
TOKEN = "k3x0pf1"
TEXT = f'_mailcote TXT "mailcote-verification={TOKEN}"'


def look(server: NameServer, records: str, domain: str = DOMAIN) -> Proof:
    """What is found in a zone with these records."""
    server.zone(domain, records)
    return look_for_proof(domain, TOKEN, asking(server))


def test_the_record_says_all_there_is_to_enter() -> None:
    record = proof_record(TOKEN)
    assert (record.type, record.name) == ("TXT", "_mailcote")
    assert record.value == f"mailcote-verification={TOKEN}"
    assert (record.severity, record.is_required) == ("ownership", False)


def test_it_works(name_server: NameServer) -> None:
    before = look(name_server, "")
    assert (before.state, before.found) == ("missing", ())
    assert "_mailcote.example.nl" in before.sentence
    after = look(name_server, TEXT)
    assert (after.state, after.found) == ("proven", (f"mailcote-verification={TOKEN}",))


@pytest.mark.parametrize(
    "records",
    [
        f'_mailcote TXT "unrelated"\n{TEXT}\n_mailcote TXT "mailcote-verification=other"',
        f'_mailcote TXT "mailcote-verif" "ication={TOKEN}"',
        f'_mailcote TXT "\\"mailcote-verification={TOKEN}\\""',
        f'_mailcote TXT " mailcote-verification={TOKEN} "',
        f'_mailcote CNAME proof\nproof TXT "mailcote-verification={TOKEN}"',
    ],
)
def test_it_may_be_entered_in_many_ways(name_server: NameServer, records: str) -> None:
    assert look(name_server, records).state == "proven"


@pytest.mark.parametrize(
    ("records", "state"),
    [
        ('_mailcote TXT "mailcote-verification=other"', "different"),
        (f'_mailcote TXT "mailcote-verification={TOKEN}x"', "different"),
        (f'_mailcote TXT "mailcote-verification={TOKEN.upper()}"', "different"),
        (f'_mailcote TXT "{TOKEN}"', "different"),
        (f'@ TXT "mailcote-verification={TOKEN}"', "missing"),
        ("_mailcote A 192.0.2.1", "missing"),
        ('* TXT "somebody else\'s"', "missing"),
    ],
)
def test_it_rejects_what_is_no_proof(name_server: NameServer, records: str, state: str) -> None:
    assert look(name_server, records).state == state


def test_names_in_other_alphabets(name_server: NameServer) -> None:
    assert look(name_server, TEXT, "xn--bcher-kva.nl").state == "proven"


def test_a_parents_proof_is_not_the_childs(name_server: NameServer) -> None:
    name_server.zone(DOMAIN, TEXT)
    assert look_for_proof("shop.example.nl", TOKEN, asking(name_server)).state == "missing"
    name_server.zone(DOMAIN, TEXT.replace("_mailcote", "_mailcote.shop"))
    assert look_for_proof("shop.example.nl", TOKEN, asking(name_server)).state == "proven"
    assert look_for_proof(DOMAIN, TOKEN, asking(name_server)).state == "missing"


def test_a_domain_that_nobody_registered(name_server: NameServer) -> None:
    proof = look_for_proof("nobody.nl", TOKEN, asking(name_server))
    assert proof.state == "missing"
    assert "not registered" in proof.sentence


def test_all_own_servers_have_to_show_it(name_server: NameServer) -> None:
    """Of two servers one has the new zone already, and the resolver knows nothing of it."""
    hosts = ["one.test.", "two.test."]
    with (
        NameServer("127.0.0.3", port=name_server.port) as one,
        NameServer("127.0.0.4", port=name_server.port) as two,
    ):
        name_server.zone("test", "ns A 127.0.0.1\none A 127.0.0.3\ntwo A 127.0.0.4")
        name_server.zone(DOMAIN, "", ns=hosts)
        one.zone(DOMAIN, TEXT, ns=hosts)
        two.zone(DOMAIN, "", ns=hosts)
        half = look_for_proof(DOMAIN, TOKEN, asking(name_server))
        assert half.state == "missing"
        assert "1 of 2" in half.sentence
        two.zone(DOMAIN, TEXT, ns=hosts)
        assert look_for_proof(DOMAIN, TOKEN, asking(name_server)).state == "proven"
        with two.down():  # who does not answer says nothing against it
            assert look_for_proof(DOMAIN, TOKEN, asking(name_server, 0.3)).state == "proven"


def test_a_resolver_proves_nothing_while_own_servers_say_otherwise(name_server: NameServer) -> None:
    with NameServer("127.0.0.3", port=name_server.port) as own:
        name_server.zone("test", "ns A 127.0.0.1\nown A 127.0.0.3")
        name_server.zone(DOMAIN, TEXT, ns=["own.test."])
        own.zone(DOMAIN, "", ns=["own.test."])
        assert look_for_proof(DOMAIN, TOKEN, asking(name_server)).state == "missing"
        with own.down():
            assert look_for_proof(DOMAIN, TOKEN, asking(name_server, 0.3)).state == "proven"


def test_where_an_alias_leads_does_not_decide_over_it(name_server: NameServer) -> None:
    """A shop that is an alias of a provider's name is the domain owner's, not the provider's."""
    with NameServer("127.0.0.3", port=name_server.port) as theirs:
        name_server.zone("test", "ns A 127.0.0.1\nown A 127.0.0.3")
        name_server.zone("tenant.provider.test", "", ns=["own.test."])
        theirs.zone("shop.example.nl", TEXT, ns=["own.test."])
        shop = "shop CNAME tenant.provider.test."
        assert look(name_server, shop, "example.nl").state == "missing"
        assert look_for_proof("shop.example.nl", TOKEN, asking(name_server)).state == "missing"
        name_server.zone(DOMAIN, f"{shop}\n{TEXT.replace('_mailcote', '_mailcote.shop')}")
        assert look_for_proof("shop.example.nl", TOKEN, asking(name_server)).state == "proven"


@pytest.mark.parametrize("domain", [DOMAIN, "shop.example.nl"])
def test_an_alias_of_all_names_does_not_prove_it(name_server: NameServer, domain: str) -> None:
    """Who has what it leads to, such as another customer of a hoster, does not have the domain."""
    name_server.zone("tenant.provider.test", f'@ TXT "mailcote-verification={TOKEN}"')
    taken = look(name_server, "* CNAME tenant.provider.test.", domain)
    assert (taken.state, taken.found) == ("missing", ())
    assert "leads to the text" in taken.sentence
    name_server.zone(
        DOMAIN, "* CNAME elsewhere.provider.test.\n_mailcote CNAME tenant.provider.test."
    )
    made_for_it = look_for_proof(DOMAIN, TOKEN, asking(name_server))
    assert made_for_it.state == "proven"


def test_where_own_servers_may_not_be_asked_the_resolver_decides(name_server: NameServer) -> None:
    name_server.zone(DOMAIN, TEXT)
    resolver = Asking((name_server.as_resolver,))
    assert look_for_proof(DOMAIN, TOKEN, resolver).state == "proven"


def test_nobody_answers(name_server: NameServer) -> None:
    name_server.zone("test", "ns A 127.0.0.1\ndead A 127.0.0.9")
    name_server.zone("nl", "example NS dead.test.")
    with zones.silent("127.0.0.9", name_server.port):
        proof = look_for_proof(DOMAIN, TOKEN, asking(name_server, 0.3))
    assert (proof.state, proof.found) == ("unknown", ())
    with name_server.down():
        assert look_for_proof(DOMAIN, TOKEN, asking(name_server, 0.1)).state == "unknown"


def test_what_is_shown_is_short_and_visible(name_server: NameServer) -> None:
    text = "mailcote-verification=\\010\\027\\091\\226\\128\\174" + "x" * 100
    many = "\n".join(f'_mailcote TXT "{text}" "{"y" * 250}{number}"' for number in range(40))
    proof = look(name_server, many)
    assert proof.state == "different"
    assert len(proof.found) <= 20
    assert all(text.isprintable() and len(text) <= 300 for text in proof.found)
    assert proof.sentence.isprintable() and len(proof.sentence) < 600
