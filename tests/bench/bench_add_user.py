"""What creating a mailbox costs beside the password's hash.

Through HTTP on the production server, with a token, the rate limit and synchronous=FULL. At cost 4
the hash is small enough for the rest to show; at cost 10, the default, it is nearly everything.

Milliseconds say little of a slow or busy machine. So the rest is also counted in bare routes and
in hashes: the goals are 5 and 3 ms where a bare route takes 0.17 ms and a hash at cost 10 takes
50.5 ms, which is 29 and 18 of the one, and a tenth and a seventeenth of the other.
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
from tests.bench.panel import DOMAIN, Server, get, panel, post, served, served_bare

PATH = "/iapi/project/1/email_account/add-user"
PASSWORD = "correct horse battery"
ROUNDS, ROUTES = 7, 1000
_numbers = count()


def figures() -> Iterator[Figure]:
    """The overhead at both costs, in time, and what the workers compute of it in bare routes."""
    for cost, times in ((4, 100), (10, 15)):
        with (
            panel(1000, tokens=ROUNDS) as made,
            served(made.folder, mailbox_bcrypt_cost=cost) as server,
            served_bare("tests.bench.bare:hello()", made.folder) as bare,
        ):
            # Each round with a token of its own: no round meets the limit of writes a minute.
            rounds = [_round(server, bare, token, cost, times) for token in made.tokens]
        create, hashed, computed, hash_computed, route = medians(rounds)
        yield Figure(
            f"add-user at cost {cost}, less the hash",
            median(one - other for one, other, *_ in rounds),
            " ms",
            goal=5,
            stricter=3,
            details=f"p50 {create:.2f} ms by HTTP, {hashed:.2f} ms the hash alone",
        )
        yield Figure(
            f"add-user at cost {cost}, less the hash, in bare routes",
            median((one - other) / each for *_, one, other, each in rounds),
            "x",
            goal=29,
            stricter=18,
            details=f"CPU {computed:.2f} ms, {hash_computed:.2f} ms the hash alone, "
            f"a bare Flask route {route:.3f} ms",
        )
        if cost == 10:
            yield Figure(
                "add-user at cost 10, beside the hash alone",
                median(one / other for one, other, *_ in rounds),
                "x",
                goal=1.099,
                stricter=1.059,
                details=f"p50 {create:.2f} ms by HTTP, {hashed:.2f} ms the hash alone",
            )


def _round(server: Server, bare: Server, token: str, cost: int, times: int) -> tuple[float, ...]:
    """Milliseconds of creating and hashing in turns: what passes (medians), then what is computed.

    Last what a bare route computes, asked as often as a server that has nothing else to do.
    """
    creates, hashes, hash_computed = [], [], 0.0
    with server.connection() as connection, bare.connection() as greeting:
        before = server.computed()
        for _ in range(times):
            creates.append(elapsed(partial(connection.ask, _request(token), 201)))
            begun = time.thread_time()
            hashes.append(elapsed(partial(_hash, cost)))
            hash_computed += (time.thread_time() - begun) * 1000
        computed, bare_before = server.computed() - before, bare.computed()
        for _ in range(ROUTES):
            greeting.ask(get("/"), 200)
        route = bare.computed() - bare_before
    means = computed / times, hash_computed / times, route / ROUTES
    return median(creates), median(hashes), *means


def _hash(cost: int) -> bytes:
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost))


def _request(token: str) -> bytes:
    fields = {"email": f"new{next(_numbers)}@{DOMAIN}", "password": PASSWORD}
    return post(PATH, json.dumps(fields).encode(), Authorization=f"Bearer {token}")


if __name__ == "__main__":
    show(figures())
