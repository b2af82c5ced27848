"""These tests begin with a copy of one panel."""

from tests.staged import cast, settings

__all__ = ["cast", "settings"]
