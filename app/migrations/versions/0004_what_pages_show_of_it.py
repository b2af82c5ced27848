"""How full a mailbox is, beside its quota: what lists sort by and pages warn of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mailboxes", sa.Column("percent_used", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE mailboxes SET percent_used = ("
        "SELECT bytes * 100 / (CAST(mailboxes.quota_mb AS BIGINT) * 1048576) "
        "FROM mailbox_usage WHERE mailbox_id = mailboxes.id)"
    )


def downgrade() -> None:
    with op.batch_alter_table("mailboxes", schema=None) as batch_op:
        batch_op.drop_column("percent_used")
