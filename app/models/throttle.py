"""Token buckets: rate limits that hold over all processes and hosts of a panel."""

from __future__ import annotations

from sqlalchemy import Float
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base
from .columns import Name


class Bucket(Base):
    """What is left of one allowance; `key` says whose and for what.

    That of `readyz` is none: it is written to see whether anything can be, at `filled_at` the last.
    """

    __tablename__ = "buckets"

    key: Mapped[Name] = mapped_column(primary_key=True)
    tokens: Mapped[float] = mapped_column(Float)
    filled_at: Mapped[float] = mapped_column(Float)  # seconds since 1970
