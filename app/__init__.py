"""Mailcote: mailboxes on customers' own domains, kept in sync on a fleet of small mail nodes."""

from __future__ import annotations

import gc

# Loading leaves no garbage, and looking for it takes a third of the time, at a command's end again:
# what has been loaded stays, and is not looked through any more.
_was_enabled = gc.isenabled()
gc.disable()
try:
    from .factory import create_app
finally:
    gc.freeze()
    if _was_enabled:
        gc.enable()

__all__ = ["create_app"]
