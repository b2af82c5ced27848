"""A resolver that knows no name, for panels whose tests are not about the DNS.

It answers each question at once that there is no such name (RFC 1035, section 4.1.1), so that no
test ever asks, or waits for, name servers outside.
"""

from __future__ import annotations

import socketserver
import threading
from functools import cache


@cache
def resolver() -> tuple[str, int]:
    """The address and port of this process's resolver, which is started when first asked for."""
    server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), _Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "127.0.0.1", server.server_address[1]


class _Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        message, socket = self.request
        end = message.index(0, 12) + 5  # the one question: a name, its type and class
        header = message[:2] + b"\x81\x83" + b"\x00\x01" + 6 * b"\x00"
        socket.sendto(header + message[12:end], self.client_address)
