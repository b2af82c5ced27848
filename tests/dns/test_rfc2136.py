"""Writing records into zones and taking them back, with a real name server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from app.config import Settings
from app.dns.provider import CannotUpdate, Kept, Written
from app.dns.records import Platform, Record, expected_records
from app.dns.updates import Rfc2136
from app.models import Node
from tests.dns.name_server import KEY, STRANGERS_KEY, NameServer, needs_knot

pytestmark = [pytest.mark.real, needs_knot]

PLATFORM = Platform("mail.host.test", "_spf.host.test", "keys.host.test", "panel.host.test")
OWN = "example.nl"
SPF = Kept(OWN, "TXT", '"v=spf1 include:_spf.host.test ~all"')
MX = Kept(OWN, "MX", "10 mx1.host.test.")


def records(*hosts: str, domain: str = OWN) -> list[Record]:
    """What a domain needs, with these nodes."""
    nodes = [Node(name=host, host=host) for host in hosts or ("mx1.host.test",)]
    return expected_records(domain, PLATFORM, nodes)


def provider(server: tuple[str, int] | NameServer, key: str = KEY) -> Rfc2136:
    """The panel's side."""
    address = server.as_resolver if isinstance(server, NameServer) else server
    settings = Settings(instance=Path("/"), dns_update_server=(address,), dns_update_key=key)
    made = Rfc2136.of(settings)
    assert made
    return made


def put(
    server: NameServer, written: Written | None = None, *hosts: str, domain: str = OWN
) -> Written:
    """Write a domain's records, after what was written before."""
    before = written.kept if written else []
    return provider(server).put(domain, records(*hosts, domain=domain), before)


def left_alone(written: Written) -> dict[str, str]:
    """By name and type, why."""
    return {f"{record.name} {record.type}": why for record, why in written.left_alone}


def as_lines(kept: list[Kept], ttl: int = 3600) -> set[str]:
    """As the server shows them."""
    return {f"{one.owner}. {ttl} {one.type} {one.value}" for one in kept}


def test_it_works(name_server: NameServer) -> None:
    name_server.zone(
        OWN, '@ A 192.0.2.1\n@ TXT "something-site-verification=1"', takes_updates=True
    )
    before = set(name_server.records(OWN))
    written = put(name_server)
    assert written.left_alone == []
    assert {MX, SPF, Kept(f"mail.{OWN}", "CNAME", "mail.host.test.")} < set(written.kept)
    assert len(written.kept) == len(records())
    after = set(name_server.records(OWN))
    # Texts at one name are a set, which has one TTL.
    assert after - before == as_lines([one for one in written.kept if one != SPF]) | as_lines(
        [SPF], 60
    )
    assert put(name_server, written) == written
    assert set(name_server.records(OWN)) == after
    gone = provider(name_server).take_back(OWN, written.kept)
    assert set(gone) == set(written.kept)
    assert set(name_server.records(OWN)) == before
    assert set(provider(name_server).take_back(OWN, written.kept)) == set(written.kept)


def test_what_stood_there_already_is_not_ours(name_server: NameServer) -> None:
    name_server.zone(OWN, "@ MX 10 MX1.host.test.\nmail CNAME mail.host.test.", takes_updates=True)
    before = name_server.records(OWN)
    written = put(name_server)
    assert written.left_alone == []
    assert not {MX, Kept(f"mail.{OWN}", "CNAME", "mail.host.test.")} & set(written.kept)
    provider(name_server).take_back(OWN, written.kept)
    assert name_server.records(OWN) == before


def test_what_is_somebody_elses_is_left_alone(name_server: NameServer) -> None:
    name_server.zone(
        OWN,
        '@ MX 5 mx.elsewhere.test.\n@ TXT "V=SPF1 mx -all"\n_dmarc TXT "v=DMARC1; p=reject"\n'
        "mail A 192.0.2.1\n_imaps._tcp SRV 0 1 993 imap.elsewhere.test.\n"
        "autoconfig CNAME elsewhere.test.\n_submissions._tcp CNAME elsewhere.test.",
        takes_updates=True,
    )
    before = set(name_server.records(OWN))
    written = put(name_server)
    assert left_alone(written) == {
        "@ MX": "Mail for example.nl goes to other servers (MX): remove those first.",
        "@ TXT": "example.nl has an SPF record of its own, and a second one makes both void: "
        "merge them into one.",
        "_dmarc TXT": "_dmarc.example.nl has another record that begins with v=dmarc1, and a "
        "second one makes both void.",
        "mail CNAME": "Something else stands at mail.example.nl, where an alias must be alone.",
        "autoconfig CNAME": "Something else stands at autoconfig.example.nl, where an alias must "
        "be alone.",
        "_imaps._tcp SRV": "_imaps._tcp.example.nl names another server (SRV).",
        "_submissions._tcp SRV": "_submissions._tcp.example.nl is an alias, beside which nothing "
        "can stand.",
    }
    assert {one.owner.partition(".")[0] for one in written.kept} == {"mc1", "mc2"}
    assert set(name_server.records(OWN)) - before == as_lines(written.kept)
    assert before < set(name_server.records(OWN))


def test_a_wildcard_is_nothing_that_stands_there(name_server: NameServer) -> None:
    name_server.zone(OWN, '* A 192.0.2.1\n* TXT "v=spf1 -all"', takes_updates=True)
    assert put(name_server).left_alone == []


def test_a_changed_host_replaces_only_ours(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    first = put(name_server, None, "mx1.host.test", "mx2.host.test")
    name_server.zone(
        OWN,
        "\n".join([*sorted(as_lines(first.kept)), "@ 3600 MX 50 backup.elsewhere.test."]),
        takes_updates=True,
    )
    second = put(name_server, first, "mx2.host.test", "mx3.host.test")
    stands = [line for line in name_server.records(OWN) if " MX " in line]
    hosts = sorted(line.split()[-1] for line in stands)
    assert hosts == ["backup.elsewhere.test.", "mx2.host.test.", "mx3.host.test."]
    assert MX not in second.kept
    assert second.left_alone == []


def test_an_alias_of_ours_is_replaced(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    first = put(name_server)
    changed = [
        replace(one, value="new.host.test.") if one.name == "mail" else one for one in records()
    ]
    second = provider(name_server).put(OWN, changed, first.kept)
    assert Kept(f"mail.{OWN}", "CNAME", "new.host.test.") in second.kept
    assert len(second.kept) == len(first.kept)


def test_a_domain_within_anothers_zone(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    written = put(name_server, domain="shop.example.nl")
    assert Kept("shop.example.nl", "MX", "10 mx1.host.test.") in written.kept
    assert as_lines(written.kept) < set(name_server.records(OWN))


def test_a_name_beyond_ascii(name_server: NameServer) -> None:
    name = "xn--mller-kva.nl"
    name_server.zone(name, "@ MX 5 mx.elsewhere.test.", takes_updates=True)
    written = put(name_server, domain=name)
    assert left_alone(written)["@ MX"].startswith("Mail for müller.nl goes to other servers")
    assert f"mail.{name}" in {one.owner for one in written.kept}


def test_a_long_text_and_a_long_name(name_server: NameServer) -> None:
    long = ".".join(["a" * 61] * 4)[:240] + ".nl"
    name_server.zone(long, takes_updates=True)
    written = put(name_server, domain=long)
    assert left_alone(written)["mc1._domainkey CNAME"] == (
        "The name or value is too long for the DNS."
    )
    spf = Record("TXT", "@", "v=spf1 " + "include:_spf.host.test " * 20 + "~all", "sending", "")
    again = provider(name_server).put(long, [spf], written.kept)
    assert again.left_alone == []
    assert again.kept[0].value.count('" "') == 1
    assert provider(name_server).put(long, [spf], again.kept) == again


def test_it_rejects_a_wrong_key_without_telling_it(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    before = name_server.records(OWN)
    other = KEY[:-8] + "AAAAAAA="
    for key in (other, STRANGERS_KEY, KEY.replace("mailcote", "nobody")):
        with pytest.raises(CannotUpdate, match="does not accept the key") as refused:
            provider(name_server, key).put(OWN, records())
        assert not refused.value.is_uncertain
        assert key.rpartition(":")[2] not in f"{refused.value!r}{provider(name_server, key)!r}"
    assert name_server.records(OWN) == before


def test_it_rejects_a_zone_that_is_not_there(name_server: NameServer) -> None:
    name_server.zone("closed.nl")
    with pytest.raises(CannotUpdate, match=r"The name server has no zone for example\.nl\."):
        put(name_server)
    with pytest.raises(CannotUpdate, match="does not accept the key for the zone"):
        put(name_server, domain="closed.nl")


def test_it_leaves_what_was_given_to_other_name_servers(name_server: NameServer) -> None:
    name_server.zone(OWN, "shop NS ns.elsewhere.test.", takes_updates=True)
    with pytest.raises(CannotUpdate, match=r"shop\.example\.nl is the business of other"):
        put(name_server, domain="shop.example.nl")
    name_server.zone(OWN, "_tcp NS ns.elsewhere.test.", takes_updates=True)
    assert left_alone(put(name_server)) == {
        f"_{service}._tcp SRV": "The name server took the record, but it does not stand there."
        for service in ("imaps", "submissions")
    }


def test_a_server_that_is_down_and_back(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    with name_server.down(), pytest.raises(CannotUpdate, match="does not answer"):
        put(name_server)
    assert put(name_server).left_alone == []


def test_what_changes_in_between_is_not_overwritten(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    turns = iter(["@ MX 5 mx.elsewhere.test.", ""])

    def somebody_else(adding: list[Kept]) -> None:
        if turn := next(turns):
            assert MX in adding
            name_server.zone(OWN, turn, takes_updates=True)
        else:
            assert MX not in adding

    written = provider(name_server).put(OWN, records(), intend=somebody_else)
    assert list(left_alone(written)) == ["@ MX"]
    assert MX not in written.kept


def test_it_gives_up_on_a_zone_that_keeps_changing(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    hosts = iter(range(9))

    def somebody_else(_adding: list[Kept]) -> None:
        name_server.zone(OWN, f'@ TXT "{next(hosts)}"', takes_updates=True)

    with pytest.raises(CannotUpdate, match="Somebody else is changing the zone"):
        provider(name_server).put(OWN, records(), intend=somebody_else)
    assert not [line for line in name_server.records(OWN) if " MX " in line]


def test_what_it_is_told_of_may_stop_it(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    before = name_server.records(OWN)

    def stop(_adding: list[Kept]) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        provider(name_server).put(OWN, records(), intend=stop)
    assert name_server.records(OWN) == before


def test_only_what_is_given_is_taken_back(name_server: NameServer) -> None:
    name_server.zone(OWN, takes_updates=True)
    written = put(name_server)
    before = set(name_server.records(OWN))
    strangers = Kept(OWN, "MX", "99 mx1.host.test.")
    gone = provider(name_server).take_back(OWN, [MX, strangers])
    assert gone == [MX, strangers]
    assert before - set(name_server.records(OWN)) == as_lines([MX])
    assert provider(name_server).take_back(OWN, []) == []
    assert set(put(name_server, written).kept) == set(written.kept)


@pytest.mark.parametrize("code", ["REFUSED", "NOERROR"])
def test_an_answer_that_is_not_signed_is_not_believed(code: str) -> None:
    with _answering(code) as server, pytest.raises(CannotUpdate, match="not signed") as refused:
        provider(server).put(OWN, records())
    assert refused.value.is_uncertain


@contextmanager
def _answering(code: str) -> Iterator[tuple[str, int]]:
    """A server that has every zone, and answers each update so, without a signature."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=_answer, args=(listener, code))
        answering.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        answering.join()


def _answer(listener: socket.socket, code: str) -> None:
    with suppress(OSError):  # once it is closed
        while True:
            connection, _address = listener.accept()
            with connection, connection.makefile("rb") as stream:
                wire = stream.read(int.from_bytes(stream.read(2), "big"))
                question = dns.message.from_wire(wire, keyring=False)
                question.tsig = None
                answer = dns.message.make_response(question)
                if question.opcode() == dns.opcode.UPDATE:
                    answer.set_rcode(dns.rcode.from_text(code))
                elif question.question[0].rdtype == dns.rdatatype.SOA:
                    answer.flags |= dns.flags.AA
                    answer.answer.append(
                        dns.rrset.from_text(
                            f"{OWN}.", 60, "IN", "SOA", "ns.test. a.test. 1 1 1 1 1"
                        )
                    )
                data = answer.to_wire()
                connection.sendall(len(data).to_bytes(2, "big") + data)
