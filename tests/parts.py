"""The real parts that tests run against, and what to install where they are missing.

`python -m tests.parts` prints what this machine lacks, nothing when it has all of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from app.demo.dovecot import missing_packages
from tests import postgres
from tests.browser import parts as browser
from tests.dns import name_server
from tests.mcp import parts as mcp
from tests.node import mail_server
from tests.power import recording as power


def lacking() -> Iterator[str]:
    """One sentence for each missing part."""
    if missing := missing_packages():
        yield f"Dovecot: apt-get install {' '.join(missing)}"
    if missing := [name for name in mail_server.lacking() if name.startswith("postfix")]:
        yield f"Postfix: apt-get install {' '.join(missing)}"
    if not shutil.which("shellcheck"):
        yield "the installer's language: apt-get install shellcheck"
    if postgres.binaries() is None:
        yield f"PostgreSQL: apt-get install {postgres.PACKAGE}"
    if name_server.programs() is None:
        yield f"Knot, a name server: apt-get install {name_server.PACKAGE}"
    if power.compiler() is None:
        yield f"a C compiler, to model power cuts: apt-get install {power.PACKAGE}"
    yield from browser.lacking()
    yield from mcp.lacking()


if __name__ == "__main__":
    for sentence in lacking():
        print(sentence)
