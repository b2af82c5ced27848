"""One-time links for mailboxes, keys that wait to be seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "mailboxes",
        sa.Column("is_waiting", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("mailboxes", sa.Column("password_at", text(20), nullable=True))
    op.create_table(
        "password_links",
        sa.Column("mailbox_id", text(32), nullable=False),
        sa.Column("digest", text(64), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("expires_at", text(20), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailboxes.id"],
            name=op.f("fk_password_links_mailbox_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_password_links")),
        sa.UniqueConstraint("digest", name=op.f("uq_password_links_digest")),
    )
    with op.batch_alter_table("password_links", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_password_links_expires_at"), ["expires_at"], unique=False
        )
    op.create_table(
        "key_offers",
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("overlap_hours", sa.Integer(), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("expires_at", text(20), nullable=False),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_key_offers_node_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_key_offers")),
    )


def downgrade() -> None:
    op.drop_table("key_offers")
    op.drop_table("password_links")
    with op.batch_alter_table("mailboxes", schema=None) as batch_op:
        batch_op.drop_column("password_at")
        batch_op.drop_column("is_waiting")
