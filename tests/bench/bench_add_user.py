"""What creating a mailbox costs beside the password's hash.

Through HTTP on the production server, with a token, the rate limit and synchronous=FULL. At cost 4
the hash is small enough for the rest to show; at cost 10, the default, it is nearly everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import count
from statistics import median

import bcrypt

from tests.bench.measure import Figure, elapsed, show
from tests.bench.panel import DOMAIN, Connection, panel, post, served

PATH = "/iapi/project/1/email_account/add-user"
PASSWORD = "correct horse battery"
ROUNDS = 7
_numbers = count()


def figures() -> Iterator[Figure]:
    """The overhead at both costs."""
    for cost, times in ((4, 100), (10, 15)):
        with (
            panel(1000, tokens=ROUNDS) as made,
            served(made.folder, mailbox_bcrypt_cost=cost) as server,
            server.connection() as connection,
        ):
            # Each round with a token of its own: no round meets the limit of writes a minute.
            rounds = [_round(connection, token, cost, times) for token in made.tokens]
        create, hashed = (median(column) for column in zip(*rounds, strict=True))
        yield Figure(
            f"add-user at cost {cost}, less the hash",
            median(one - other for one, other in rounds),
            " ms",
            goal=5,
            stricter=3,
            details=f"p50 {create:.2f} ms by HTTP, {hashed:.2f} ms the hash alone",
        )


def _round(connection: Connection, token: str, cost: int, times: int) -> tuple[float, float]:
    """The median milliseconds of creating, and of hashing, each after the other."""
    creates, hashes = [], []
    for _ in range(times):
        creates.append(elapsed(partial(connection.ask, _request(token), 201)))
        hashes.append(elapsed(lambda: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost))))
    return median(creates), median(hashes)


def _request(token: str) -> bytes:
    fields = {"email": f"new{next(_numbers)}@{DOMAIN}", "password": PASSWORD}
    return post(PATH, json.dumps(fields).encode(), Authorization=f"Bearer {token}")


if __name__ == "__main__":
    show(figures())
