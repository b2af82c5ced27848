"""Claims of domains, what their zones say, and what was written there."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "domain_claims",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("name", text(253), nullable=False),
        sa.Column("token", text(64), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("expires_at", text(20), nullable=False),
        sa.Column("checked_at", text(20), nullable=True),
        sa.Column("proven_at", text(20), nullable=True),
        sa.Column("next_at", text(20), nullable=False),
        sa.Column("problem", text(1024), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_domain_claims_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domain_claims")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_domain_claims_project_id_name")),
        sqlite_autoincrement=True,
    )
    for column in ("expires_at", "name", "next_at"):
        op.create_index(op.f(f"ix_domain_claims_{column}"), "domain_claims", [column])
    op.create_table(
        "dns_checks",
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("state", text(64), nullable=False),
        sa.Column("since", text(20), nullable=False),
        sa.Column("checked_at", text(20), nullable=True),
        sa.Column("next_at", text(20), nullable=False),
        sa.Column("told_state", text(64), nullable=True),
        sa.Column("provider", text(200), nullable=True),
        sa.Column("sources", sa.Integer(), nullable=False),
        sa.Column("records", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["domains.id"], name=op.f("fk_dns_checks_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain_id", name=op.f("pk_dns_checks")),
    )
    op.create_index(op.f("ix_dns_checks_next_at"), "dns_checks", ["next_at"])
    op.create_table(
        "zone_jobs",
        sa.Column("name", text(253), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False),
        sa.Column("asked_at", text(20), nullable=False),
        sa.Column("next_at", text(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", text(20), nullable=True),
        sa.Column("problem", text(1024), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_zone_jobs")),
    )
    op.create_index(op.f("ix_zone_jobs_next_at"), "zone_jobs", ["next_at"])
    op.create_table(
        "zone_records",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("domain", text(253), nullable=False),
        sa.Column("owner", text(253), nullable=False),
        sa.Column("type", text(64), nullable=False),
        sa.Column("value", text(1024), nullable=False),
        sa.Column("written_at", text(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zone_records")),
        sa.UniqueConstraint(
            "owner", "type", "value", name=op.f("uq_zone_records_owner_type_value")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_zone_records_domain"), "zone_records", ["domain"])
    op.add_column(
        "domains",
        sa.Column("is_registered_here", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    _check_what_is_on()


def _check_what_is_on() -> None:
    """Domains whose e-mail is on already are looked at as well."""
    now = sa.literal(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    domains = sa.table("domains", sa.column("id"), sa.column("email_enabled", sa.Boolean()))
    columns = ("domain_id", "state", "since", "next_at", "sources")
    checks = sa.table("dns_checks", *map(sa.column, columns), sa.column("records", sa.JSON()))
    found = sa.select(
        domains.c.id, sa.literal("checking"), now, now, sa.literal(0), sa.literal([], sa.JSON())
    ).where(domains.c.email_enabled)
    op.execute(checks.insert().from_select([*columns, "records"], found))


def downgrade() -> None:
    with op.batch_alter_table("domains", schema=None) as batch_op:
        batch_op.drop_column("is_registered_here")
    op.drop_table("zone_records")
    op.drop_table("zone_jobs")
    op.drop_table("dns_checks")
    op.drop_table("domain_claims")
