"""What nodes are told: the state at one revision, as the same bytes for everyone who asks.

Rows go from the database straight into JSON, without objects in between: building it for 100 000
mailboxes then costs about as much as reading them. After that only what has changed is read.
"""

from .cache import ExportCache
from .state import Export, build, forget_what_went

__all__ = ["Export", "ExportCache", "build", "forget_what_went"]
