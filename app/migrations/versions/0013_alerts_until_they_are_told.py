"""Alerts about nodes are kept until they have been told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "node_alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("way", text(64), nullable=False),
        sa.Column("event", text(64), nullable=False),
        sa.Column("node", text(64), nullable=False),
        sa.Column("state", text(64), nullable=False),
        sa.Column("at", text(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried_at", text(20), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node_alerts")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("node_alerts")
