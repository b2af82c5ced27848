"""What nodes report and ask, what is gone since, and what is known of mailboxes from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "gone",
        sa.Column("kind", text(64), nullable=False),
        sa.Column("key", text(253), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_gone")),
    )
    with op.batch_alter_table("gone", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_gone_revision"), ["revision"], unique=False)

    op.create_table(
        "node_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("outcome", text(64), nullable=False),
        sa.Column("address", text(64), nullable=False),
        sa.Column("first_at", text(20), nullable=False),
        sa.Column("last_at", text(20), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_node_requests_node_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node_requests")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("node_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_node_requests_node_id"), ["node_id"], unique=False)

    op.create_table(
        "purge_acks",
        sa.Column("mailbox_id", text(32), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["purge_orders.mailbox_id"],
            name=op.f("fk_purge_acks_mailbox_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_purge_acks_node_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "node_id", name=op.f("pk_purge_acks")),
    )
    with op.batch_alter_table("purge_acks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purge_acks_node_id"), ["node_id"], unique=False)

    op.create_table(
        "mailbox_usage",
        sa.Column("mailbox_id", text(32), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("messages", sa.BigInteger(), nullable=True),
        sa.Column("used_at", text(20), nullable=True),
        sa.Column("last_login_at", text(20), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailboxes.id"],
            name=op.f("fk_mailbox_usage_mailbox_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_mailbox_usage")),
    )
    op.add_column(
        "feed", sa.Column("deltas_from", sa.Integer(), nullable=False, server_default="0")
    )
    # What went before was not kept: nodes that hold an older revision are told everything.
    op.execute("UPDATE feed SET deltas_from = revision")

    for column in (
        sa.Column("reported_at", text(20), nullable=True),
        sa.Column("reported", sa.JSON(), nullable=True),
        sa.Column("rejected", sa.JSON(), nullable=True),
        sa.Column("dovecot_version", text(200), nullable=True),
        sa.Column("postfix_version", text(200), nullable=True),
        sa.Column("os", text(200), nullable=True),
        sa.Column("disk_free_mb", sa.BigInteger(), nullable=True),
        sa.Column("error", text(1024), nullable=True),
        sa.Column("has_drifted", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("nodes", column)


def downgrade() -> None:
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        for name in (
            "has_drifted",
            "error",
            "disk_free_mb",
            "os",
            "postfix_version",
            "dovecot_version",
            "rejected",
            "reported",
            "reported_at",
        ):
            batch_op.drop_column(name)

    with op.batch_alter_table("feed", schema=None) as batch_op:
        batch_op.drop_column("deltas_from")

    op.drop_table("mailbox_usage")
    op.drop_table("purge_acks")
    op.drop_table("node_requests")
    op.drop_table("gone")
