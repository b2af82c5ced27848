"""How full a mailbox is, for lists and warnings; what was told of a node, and its loss."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("mailboxes", sa.Column("percent_used", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE mailboxes SET percent_used = ("
        "SELECT bytes * 100 / (CAST(mailboxes.quota_mb AS BIGINT) * 1048576) "
        "FROM mailbox_usage WHERE mailbox_id = mailboxes.id)"
    )
    op.add_column("nodes", sa.Column("lost_at", text(20), nullable=True))
    op.add_column("nodes", sa.Column("alerted_state", text(64), nullable=True))
    op.add_column("nodes", sa.Column("alerted_at", text(20), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.drop_column("alerted_at")
        batch_op.drop_column("alerted_state")
        batch_op.drop_column("lost_at")

    with op.batch_alter_table("mailboxes", schema=None) as batch_op:
        batch_op.drop_column("percent_used")
