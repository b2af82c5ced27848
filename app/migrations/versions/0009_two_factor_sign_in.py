"""Two-factor sign-in, the last proof of a session, and places somebody has signed in from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def of_person(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    """The column and the constraint by which a row is somebody's."""
    name = op.f(f"fk_{table}_person_id")
    return (
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=name),
    )


def upgrade() -> None:
    op.create_table(
        "two_factors",
        *of_person("two_factors"),
        sa.Column("secret", text(64), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("confirmed_at", text(20), nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_two_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        *of_person("recovery_codes"),
        sa.Column("digest", text(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_recovery_codes_digest")),
    )
    op.create_index(op.f("ix_recovery_codes_person_id"), "recovery_codes", ["person_id"])
    op.create_table(
        "half_sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", text(64), nullable=False),
        *of_person("half_sessions"),
        sa.Column("created_at", text(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_half_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_half_sessions_digest")),
    )
    op.create_index(op.f("ix_half_sessions_person_id"), "half_sessions", ["person_id"])
    op.create_table(
        "known_places",
        sa.Column("id", sa.Integer(), nullable=False),
        *of_person("known_places"),
        sa.Column("browser", text(64), nullable=False),
        sa.Column("site", text(64), nullable=False),
        sa.Column("address", text(64), nullable=False),
        sa.Column("user_agent", text(200), nullable=False),
        sa.Column("is_news", sa.Boolean(), nullable=False),
        sa.Column("first_at", text(20), nullable=False),
        sa.Column("seen_at", text(20), nullable=False),
        sa.Column("told_at", text(20), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_places")),
        sa.UniqueConstraint(
            "person_id", "browser", "site", name=op.f("uq_known_places_person_id_browser_site")
        ),
    )
    # Who is signed in already has to prove who they are before anything that asks for it.
    op.add_column("web_sessions", sa.Column("proven_at", text(20), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("web_sessions", schema=None) as batch_op:
        batch_op.drop_column("proven_at")
    for table in ("known_places", "half_sessions", "recovery_codes", "two_factors"):
        op.drop_table(table)
