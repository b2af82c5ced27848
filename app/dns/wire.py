"""One question to one name server, and what of its answer counts.

Whatever a server sends, this ends in time with a Reply, or with Silent or Unusable. Only this
module needs dnspython's messages, which take a tenth of a second to load: who asks imports it then.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from functools import cache

import dns.exception
import dns.flags
import dns.message
import dns.name

from . import replies
from .replies import Reply

__all__ = ["Reply", "Server", "Silent", "Unusable", "ask"]

Server = tuple[str, int]

# What fits a packet on every path: the recommendation of the DNS flag day 2020.
_PAYLOAD = 1232
_ANY_PACKET = 65_535


class Silent(Exception):
    """No answer came in time."""


class Unusable(Exception):
    """An answer that cannot be read, or nobody there to give one."""


def ask(server: Server, name: str, kind: str, seconds: float, *, recursive: bool) -> Reply:
    """Ask a server, over TCP too where the answer does not fit a packet. Raises Silent, Unusable.

    `recursive` asks a resolver to find out; a domain's own name servers know.
    """
    end = time.monotonic() + seconds
    try:
        question = _question(name, kind, recursive=recursive)
        answer = _exchange(question, server, end)
        if replies.is_older_than_edns(answer):
            question = _question(name, kind, recursive=recursive, has_edns=False)
            answer = _exchange(question, server, end)
        return replies.read(answer, question)
    except (TimeoutError, ConnectionRefusedError) as error:
        raise Silent from error
    except (replies.Unreadable, dns.exception.DNSException, OSError, ValueError) as error:
        raise Unusable from error


def _question(name: str, kind: str, *, recursive: bool, has_edns: bool = True) -> bytes:
    """A query, whose number nobody can guess (RFC 5452, section 4.3). Raises DNSException."""
    head, tail = _around_the_name(kind, recursive, has_edns)
    return secrets.token_bytes(2) + head + dns.name.from_text(name).to_digestable() + tail


@cache
def _around_the_name(kind: str, recursive: bool, has_edns: bool) -> tuple[bytes, bytes]:
    """What stands before and after the name, made once: that takes ten times what sending does."""
    flags = int(dns.flags.RD) if recursive else 0
    query = dns.message.make_query(
        dns.name.root, kind, flags=flags, use_edns=has_edns, payload=_PAYLOAD
    )
    message = query.to_wire()
    return message[2:12], message[13:]


def _exchange(question: bytes, server: Server, end: float) -> bytes:
    """The answer to exactly this question. Raises TimeoutError, OSError, Unusable."""
    answer = _by_packet(question, server, end)
    if replies.is_truncated(answer):
        answer = _by_stream(question, server, end)
        if replies.is_truncated(answer):  # more than 64 KiB
            raise Unusable
    return answer


def _by_packet(question: bytes, server: Server, end: float) -> bytes:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as packets:
        packets.connect(server)  # the system passes on what comes from there, nothing else
        packets.send(question)
        while True:
            answer = _received(packets, _ANY_PACKET, end)
            if replies.is_answer(answer, question):
                return answer


def _by_stream(question: bytes, server: Server, end: float) -> bytes:
    with socket.create_connection(server, _left(end)) as stream:
        stream.sendall(struct.pack("!H", len(question)) + question)
        [length] = struct.unpack("!H", _whole(stream, 2, end))
        answer = _whole(stream, length, end)
    if not replies.is_answer(answer, question):
        raise Unusable
    return answer


def _whole(stream: socket.socket, length: int, end: float) -> bytes:
    """So many octets; each may come by itself, all of them before the end."""
    read = bytearray()
    while len(read) < length:
        if not (more := _received(stream, length - len(read), end)):
            raise Unusable  # it hung up
        read += more
    return bytes(read)


def _received(connection: socket.socket, size: int, end: float) -> bytes:
    connection.settimeout(_left(end))
    return connection.recv(size)


def _left(end: float) -> float:
    """The seconds that are left. Raises TimeoutError."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
