"""Log lines as JSON, one object a line, and what never stands in one: credentials and queries.

Standard library only: the server's master uses this file too, and must not load the application.
What people type (bodies, passwords) is kept out by nobody logging it; this is the second net.
"""

from __future__ import annotations

import json
import logging
import re
import time
from contextvars import ContextVar
from typing import Any

# Of the request that is being answered in this thread; None beside requests.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_SECRETS = re.compile(
    r"\b(?:wpa|mck|mcw|mcs|wpo|wpr|wpg)_[0-9A-Za-z]{6,}"  # app/credentials.py
    r"|(?:\{BLF-CRYPT\})?\$2[abxy]\$[0-9]{2}\$[./0-9A-Za-z]*"
    r"|(?<=://)[^\s/@'\"]+(?=@)"  # USER:PASSWORD of a URL
    r"|(?i:(?<=bearer )|(?<=basic ))[^\s'\"]+"
    r"|(?<=\?)[^\s'\"?]*=[^\s'\"]*"  # what follows the path of an address
)
# A value may hold line ends: what is shown goes on until SQLAlchemy or Python have the word again.
_SHOWN_ROWS = re.compile(
    r"^(?:DETAIL|CONTEXT): .*?(?=^\[SQL|^The above exception|^During handling|\Z)", re.M | re.S
)


def without_secrets(text: str) -> str:
    """The text, with dots for what could be a credential, a hash or a query."""
    return _SECRETS.sub("…", text)


def without_rows(trace: str) -> str:
    """A traceback, without the lines in which PostgreSQL shows the whole row it refused."""
    return _SHOWN_ROWS.sub("", trace)


class JsonLines(logging.Formatter):
    """`{"at", "level", "logger", "message", "request"?, …}`; `extra={"fields": {…}}` adds more."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; control characters in it are escaped, so that nobody can begin another."""
        line: dict[str, Any] = {
            "at": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if asked := request_id.get():
            line["request"] = asked
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["trace"] = without_secrets(without_rows(self.formatException(record.exc_info)))
        return json.dumps(line)


def _moment(seconds: float) -> str:
    whole, thousandths = divmod(int(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{thousandths:03}Z"


def configuration(level: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` takes: everything to standard error, ours from a level on.

    Libraries are heard from warnings on: nobody here knows what else they would tell.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": JsonLines}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "app": {"level": level.upper()},
            "gunicorn.error": {"level": "WARNING", "handlers": [], "propagate": True},
        },
    }
