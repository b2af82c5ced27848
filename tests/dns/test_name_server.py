"""The name server that tests ask does what they rely on."""

from __future__ import annotations

import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest

from tests.dns.name_server import KEY, STRANGERS_KEY, NameServer, needs_knot

pytestmark = [pytest.mark.real, needs_knot]


def ask(server: NameServer, name: str, kind: str, address: str = "") -> list[str]:
    """The data of the answer."""
    question = dns.message.make_query(name, kind)
    answer = dns.query.udp(question, address or server.addresses[0], 5, server.port)
    return [str(data) for rrset in answer.answer for data in rrset]


def add(server: NameServer, zone: str, key: str = KEY) -> str:
    """Try to add a record; what the server answers."""
    algorithm, name, secret = key.split(":")
    ring = dns.tsigkeyring.from_text({name: secret})
    message = dns.update.UpdateMessage(zone, keyring=ring, keyalgorithm=algorithm)
    message.add("new", 60, "A", "192.0.2.1")
    answer = dns.query.tcp(message, server.addresses[0], 5, server.port)
    return dns.rcode.to_text(answer.rcode())


def test_it_works(name_server: NameServer) -> None:
    name_server.zone("example.nl", "@ MX 10 mx1.mail.test.\nwww A 192.0.2.7")
    assert ask(name_server, "example.nl", "MX") == ["10 mx1.mail.test."]
    assert ask(name_server, "example.nl", "NS") == ["ns.test."]
    assert ask(name_server, "ns.test", "A") == ["127.0.0.1"]
    assert name_server.records("example.nl") == [
        "example.nl. 60 MX 10 mx1.mail.test.",
        "example.nl. 60 NS ns.test.",
        "www.example.nl. 60 A 192.0.2.7",
    ]
    name_server.zone("example.nl", "@ MX 20 mx2.mail.test.")
    assert ask(name_server, "example.nl", "MX") == ["20 mx2.mail.test."]
    name_server.remove_zone("example.nl")
    assert ask(name_server, "example.nl", "MX") == []


def test_only_the_key_may_update_and_only_where_it_is_said(name_server: NameServer) -> None:
    name_server.zone("open.nl", takes_updates=True)
    name_server.zone("closed.nl")
    assert add(name_server, "open.nl") == "NOERROR"
    assert ask(name_server, "new.open.nl", "A") == ["192.0.2.1"]
    for zone, key in (("closed.nl", KEY), ("open.nl", STRANGERS_KEY)):
        with pytest.raises(dns.tsig.PeerBadKey):
            add(name_server, zone, key)


def test_it_is_down_and_back_with_what_was_updated(name_server: NameServer) -> None:
    name_server.zone("example.nl", takes_updates=True)
    add(name_server, "example.nl")
    before = name_server.records("example.nl")
    with name_server.down(), pytest.raises(ConnectionRefusedError):
        dns.query.tcp(dns.message.make_query(".", "SOA"), "127.0.0.1", 5, name_server.port)
    assert name_server.records("example.nl") == before
    assert ask(name_server, "new.example.nl", "A") == ["192.0.2.1"]


def test_it_listens_on_several_addresses_and_another_beside_it() -> None:
    with NameServer("127.0.0.1", "127.0.0.2") as one, NameServer("127.0.0.3", port=one.port) as two:
        one.zone("example.nl", ns=["ns.test.", "ns2.test."])
        two.zone("example.nl", "@ A 192.0.2.3")
        assert ask(one, "example.nl", "NS", "127.0.0.2") == ["ns.test.", "ns2.test."]
        assert ask(one, "ns2.test", "A") == ["127.0.0.2"]
        assert ask(one, "example.nl", "A") == []
        assert ask(two, "example.nl", "A") == ["192.0.2.3"]
