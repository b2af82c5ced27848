"""Assistants that people let in by OAuth, and what programs last called."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "oauth_clients",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client_id", text(1024), nullable=False),
        sa.Column("name", text(200), nullable=False),
        sa.Column("redirect_uris", sa.String(), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("fresh_until", text(20), nullable=True),
        sa.Column("used_at", text(20), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_clients")),
        sa.UniqueConstraint("client_id", name=op.f("uq_oauth_clients_client_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "assistants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("scope", text(64), nullable=False),
        sa.Column("resource", text(1024), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("last_used_at", text(20), nullable=True),
        sa.Column("revoked_at", text(20), nullable=True),
        sa.CheckConstraint("scope IN ('read', 'write')", name=op.f("ck_assistants_scope")),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_clients.id"], name=op.f("fk_assistants_client_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_assistants_person_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_assistants_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistants")),
        sqlite_autoincrement=True,
    )
    for column in ("client_id", "person_id", "project_id"):
        op.create_index(op.f(f"ix_assistants_{column}"), "assistants", [column])
    op.create_table(
        "oauth_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", text(64), nullable=False),
        sa.Column("assistant_id", sa.Integer(), nullable=False),
        sa.Column("redirect_uri", text(1024), nullable=False),
        sa.Column("challenge", text(64), nullable=False),
        sa.Column("expires_at", text(20), nullable=False),
        sa.Column("used_at", text(20), nullable=True),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_oauth_codes_assistant_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_oauth_codes_digest")),
    )
    op.create_index(op.f("ix_oauth_codes_assistant_id"), "oauth_codes", ["assistant_id"])
    op.create_table(
        "oauth_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", text(64), nullable=False),
        sa.Column("assistant_id", sa.Integer(), nullable=False),
        sa.Column("kind", text(64), nullable=False),
        sa.Column("scope", text(64), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("expires_at", text(20), nullable=False),
        sa.Column("used_at", text(20), nullable=True),
        sa.CheckConstraint("kind IN ('access', 'refresh')", name=op.f("ck_oauth_tokens_kind")),
        sa.CheckConstraint("scope IN ('read', 'write')", name=op.f("ck_oauth_tokens_scope")),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_oauth_tokens_assistant_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_oauth_tokens_digest")),
    )
    for column in ("assistant_id", "expires_at"):
        op.create_index(op.f(f"ix_oauth_tokens_{column}"), "oauth_tokens", [column])
    op.create_table(
        "calls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("program", text(64), nullable=False),
        sa.Column("actor", text(320), nullable=False),
        sa.Column("operation", text(64), nullable=False),
        sa.Column("outcome", text(64), nullable=False),
        sa.Column("at", text(20), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_calls_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_calls_project_id"), "calls", ["project_id"])


def downgrade() -> None:
    for table in ("calls", "oauth_tokens", "oauth_codes", "assistants", "oauth_clients"):
        op.drop_table(table)
