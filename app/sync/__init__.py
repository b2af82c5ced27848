"""FACE: what nodes fetch and report under /sync/v1, in ordinary HTTP: a key, an ETag, gzip.

`ETag: "<epoch>-<revision>-<node>"`. The tag a node names in If-None-Match is what it has applied
(RFC 9110, section 13.1.2), so asking is reporting.
"""

from . import downloads, exports, reports  # noqa: F401 - they enter their routes
from .desk import NodeDesk, bp

__all__ = ["NodeDesk", "bp"]
