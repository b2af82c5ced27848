"""One question to servers that answer as slowly, as much and as oddly as they can."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest

from app.dns import wire
from app.dns.wire import Reply, Silent, Unusable
from tests.dns.zones import answering

HERE = "127.0.0.1"
ASKED = b"\xc0\x0c"  # a pointer to the name in the question
LONG = b"\x01a" * 110 + b"\x02nl\x00"
MX, TXT, CNAME, NS = 15, 16, 5, 2


def record(kind: int, data: bytes, owner: bytes = ASKED, of_class: int = 1) -> bytes:
    """A record as it is sent."""
    return owner + struct.pack("!HHIH", kind, of_class, 60, len(data)) + data


def answer(question: bytes, *records: bytes, more: bytes = b"", flags: int = 0x8400) -> bytes:
    """An authoritative answer of these records; `more` of them are in the second part."""
    name = question[12 : question.index(b"\0", 12) + 5]
    head = struct.pack("!4H", flags, 1, len(records), bool(more))
    return question[:2] + head + b"\0\0" + name + b"".join(records) + more


def ask(said: Callable[[bytes], bytes | None], kind: str = "MX", seconds: float = 5) -> Reply:
    """What is read of what a server says to the question for example.nl."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    with answering(HERE, port, said):
        return wire.ask((HERE, port), "example.nl", kind, seconds, recursive=False)


def test_it_works() -> None:
    hosts = [b"\x02mx" + ASKED, b"\x03MX2\x04Host\x04test\x00", b"\x02mx" + ASKED]
    records = [record(MX, b"\0\x0a" + host) for host in hosts]
    reply = ask(lambda question: answer(question, *records))
    assert reply == Reply("NOERROR", True, ("10 mx.example.nl.", "10 mx2.host.test."))


def test_texts_aliases_and_referrals() -> None:
    text = record(TXT, b"\x03v=s\x04pf1 \x02\xc3\xa9")
    assert ask(lambda question: answer(question, text), "TXT").values == ("v=spf1 é",)
    led = [record(CNAME, b"\x01a" + ASKED), record(MX, b"\0\1\0", b"\x01A" + ASKED)]
    reply = ask(lambda question: answer(question, *led))
    assert (reply.values, reply.aliases) == (("1 .",), ("a.example.nl",))
    other = record(NS, b"\x02ns\x04test\x00", b"\xc0\x14")  # of nl
    assert ask(lambda question: answer(question, more=other)).referred == ("ns.test.",)


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "SERVFAIL", "REFUSED"])
def test_refusals(rcode: str) -> None:
    number = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}[rcode]
    assert ask(lambda question: answer(question, flags=0x8000 + number)).rcode == rcode
    if rcode != "NXDOMAIN":  # some do not repeat the question
        bare = struct.pack("!5H", 0x8000 + number, 0, 0, 0, 0)
        assert ask(lambda question: question[:2] + bare).rcode == rcode


def test_it_is_asked_again_without_extensions() -> None:
    def old(question: bytes) -> bytes:
        has_extensions = question[10:12] != b"\0\0"
        return answer(question, flags=0x8001 if has_extensions else 0x8400)

    assert ask(old).rcode == "NOERROR"


def far(number: int) -> bytes:
    """A host under the first record's, which has as many labels as there can be."""
    return b"\0\1\x03" + b"%03x" % number + struct.pack("!H", 0xC000 + 12 + 16 + 12 + 2)


@pytest.mark.parametrize(
    "records",
    [
        # Each host costs thousands of steps to spell out; a whole message of them took a minute.
        [record(MX, b"\0\1" + LONG), *(record(MX, far(number)) for number in range(300))],
        [record(TXT, b"\x02" + struct.pack("!H", number)) for number in range(4000)],
        [record(MX, b"\0\1" + struct.pack("!H", 0xC000 + 12 + 16 + 12 + 2))],  # to itself
        [record(MX, b"\0\1" + b"\x01a" * 200 + b"\0")],
        [record(MX, b"\0\1\x40a\0")],
        [record(MX, b"\0\1" + ASKED + b"more")],
        [record(MX, b"\0")],
        [record(99, b"") + b"rubbish"],
        [record(TXT, b"\x09short"), record(MX, b"\0\1" + ASKED, b"\xff\xff")],
    ],
    ids=["dear", "many", "circle", "long", "odd", "more", "less", "rubbish", "beyond"],
)
def test_it_rejects_what_nobody_needs(records: list[bytes]) -> None:
    with pytest.raises(Unusable):
        ask(lambda question: answer(question, *records))


def test_what_was_not_asked_for_counts_for_nothing() -> None:
    strange = [record(MX, b"\0\1" + ASKED, of_class=3), record(MX, b"\0\2" + ASKED, b"\x01x\0")]
    odd = record(99, b"\xff" * 40)
    assert ask(lambda question: answer(question, *strange, odd)) == Reply("NOERROR", True)


def test_answers_to_other_questions_are_passed_over() -> None:
    for other in (
        lambda question: b"\0\0" + answer(question)[2:],
        lambda question: answer(question.replace(b"example", b"exampel")),
        lambda question: question,
        lambda _question: b"\0",
    ):
        with pytest.raises((Silent, Unusable)):
            ask(other, seconds=0.2)


def test_who_sends_a_little_at_a_time_is_not_waited_for() -> None:
    with socket.create_server((HERE, 0)) as stream:
        port = stream.getsockname()[1]
        with (
            answering(HERE, port, lambda question: answer(question, flags=0x8600)),
            pytest.raises(Silent),
        ):
            wire.ask((HERE, port), "example.nl", "MX", 0.2, recursive=False)
