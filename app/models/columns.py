"""Column types that the models share."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import mapped_column


def _text(length: int) -> String:
    """Text that sorts in byte order on both databases (PostgreSQL would ask the locale)."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


Id = Annotated[int, mapped_column(primary_key=True)]
MailboxId = Annotated[str, mapped_column(_text(32))]  # 32 hex digits, never used again
Name = Annotated[str, mapped_column(_text(200))]
Text = Annotated[str, mapped_column(_text(1024))]
Key = Annotated[str, mapped_column(_text(253))]  # a mailbox id or a domain's name
DomainName = Annotated[str, mapped_column(_text(253), unique=True)]
Email = Annotated[str, mapped_column(_text(254), unique=True)]
Digest = Annotated[str, mapped_column(_text(64), unique=True)]
Hash = Annotated[str, mapped_column(_text(80))]
Moment = Annotated[str, mapped_column(_text(20))]  # as app.clock writes it
Actor = Annotated[str, mapped_column(_text(320))]  # "person " and an address, at least
Word = Annotated[str, mapped_column(_text(64))]
ProjectId = Annotated[int, mapped_column(ForeignKey("projects.id"))]
