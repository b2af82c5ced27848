"""Static files, sent compressed to those who can read that.

Pages are not: beside the token against forged forms they hold what others may have typed, and the
length of a compressed answer would tell of it (BREACH, https://www.breachattack.com).
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

from flask import Flask, Response, request

_TEXTS = ("text/css", "text/javascript", "image/svg+xml")


def compress(app: Flask) -> None:
    """Do that for all static files of an application."""
    folder = Path(str(app.static_folder))

    def answer(response: Response) -> Response:
        if request.endpoint != "static" or response.mimetype not in _TEXTS:
            return response
        response.vary.add("Accept-Encoding")
        if response.status_code == 200 and request.accept_encodings.quality("gzip"):
            response.close()
            path = folder / (request.view_args or {})["filename"]
            response.direct_passthrough = False
            response.set_data(_compressed(path, path.stat().st_mtime_ns))
            response.content_encoding = "gzip"
            response.headers.pop("ETag", None)  # the file's own, and these are other bytes
        return response

    app.after_request(answer)


@cache
def _compressed(path: Path, _changed: int) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)
