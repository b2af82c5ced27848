"""When a copy of a passkey was found out, and whether its owner was told by mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = {"copied_at": 20, "copied_from": 64, "copy_told_at": 20}


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("passkeys") as batch_op:
        for name, length in COLUMNS.items():
            batch_op.add_column(sa.Column(name, text(length), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("passkeys") as batch_op:
        for name in COLUMNS:
            batch_op.drop_column(name)
