"""One-time links for mailboxes, keys that wait to be seen, calls that wait for a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
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
    op.add_column(
        "projects",
        sa.Column("needs_approval", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("audit_entries", sa.Column("approved_by", text(320), nullable=True))
    op.create_table(
        "held_calls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("assistant_id", sa.Integer(), nullable=True),
        sa.Column("actor", text(320), nullable=False),
        sa.Column("address", text(64), nullable=True),
        sa.Column("operation", text(64), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("password_hash", text(80), nullable=True),
        sa.Column("fingerprint", text(64), nullable=False),
        sa.Column("state", text(64), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("expires_at", text(20), nullable=False),
        sa.Column("decided_at", text(20), nullable=True),
        sa.Column("decided_by", text(320), nullable=True),
        sa.Column("told_at", text(20), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("problem", text(1024), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'approved', 'failed', 'refused')",
            name=op.f("ck_held_calls_state"),
        ),
        sa.CheckConstraint(
            "(token_id IS NULL) <> (assistant_id IS NULL)", name=op.f("ck_held_calls_asker")
        ),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_held_calls_assistant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_held_calls_project_id")
        ),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_held_calls_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held_calls")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("held_calls", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_held_calls_fingerprint"), ["fingerprint"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_held_calls_project_id_state"), ["project_id", "state"], unique=False
        )


def downgrade() -> None:
    op.drop_table("held_calls")
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.drop_column("approved_by")
    with op.batch_alter_table("projects", schema=None) as batch_op:
        batch_op.drop_column("needs_approval")
    op.drop_table("key_offers")
    op.drop_table("password_links")
    with op.batch_alter_table("mailboxes", schema=None) as batch_op:
        batch_op.drop_column("password_at")
        batch_op.drop_column("is_waiting")
