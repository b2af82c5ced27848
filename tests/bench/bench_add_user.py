"""What creating a mailbox costs beside the password's hash.

Through HTTP on the production server, with a token, the rate limit and synchronous=FULL. At cost 4
the hash is small enough for the rest to show; at cost 10, the default, it is nearly everything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from statistics import median

import bcrypt

from tests.bench.measure import Figure, elapsed, medians, show
from tests.bench.panel import DOMAIN, Connection, Server, panel, post, served

PATH = "/iapi/project/1/email_account/add-user"
PASSWORD = "correct horse battery"
ROUNDS = 7
_numbers = count()


def figures() -> Iterator[Figure]:
    """The overhead at both costs: in time, and in what the workers compute of it."""
    for cost, times in ((4, 100), (10, 15)):
        with (
            panel(1000, tokens=ROUNDS) as made,
            served(made.folder, mailbox_bcrypt_cost=cost) as server,
            server.connection() as connection,
        ):
            # Each round with a token of its own: no round meets the limit of writes a minute.
            rounds = [_round(server, connection, token, cost, times) for token in made.tokens]
        create, hashed, computed, hash_computed = medians(rounds)
        yield Figure(
            f"add-user at cost {cost}, less the hash",
            median(one - other for one, other, *_ in rounds),
            " ms",
            goal=5,
            stricter=3,
            details=f"p50 {create:.2f} ms by HTTP, {hashed:.2f} ms the hash alone",
        )
        yield Figure(
            f"add-user at cost {cost}, CPU less the hash",
            median(one - other for *_, one, other in rounds),
            " ms",
            goal=5,
            stricter=3,
            details=f"{computed:.2f} ms in the workers, {hash_computed:.2f} ms the hash alone",
        )


def _round(
    server: Server, connection: Connection, token: str, cost: int, times: int
) -> tuple[float, float, float, float]:
    """Milliseconds of creating and of hashing in turns: the medians passed, the means computed."""
    creates, hashes, hash_computed = [], [], 0.0
    before = server.computed()
    for _ in range(times):
        creates.append(elapsed(partial(connection.ask, _request(token), 201)))
        begun = time.thread_time()
        hashes.append(elapsed(lambda: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost))))
        hash_computed += (time.thread_time() - begun) * 1000
    server_computed = server.computed() - before
    return median(creates), median(hashes), server_computed / times, hash_computed / times


def _request(token: str) -> bytes:
    fields = {"email": f"new{next(_numbers)}@{DOMAIN}", "password": PASSWORD}
    return post(PATH, json.dumps(fields).encode(), Authorization=f"Bearer {token}")


if __name__ == "__main__":
    show(figures())
