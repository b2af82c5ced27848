"""Which node is a domain's home, where it was before, and what backup nodes know of mailboxes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Else a domain that is registered later could get the id of one that is gone.
NUMBERED_ON = {"sqlite_autoincrement": True}


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("domains", schema=None, table_kwargs=NUMBERED_ON) as batch_op:
        batch_op.add_column(sa.Column("home_node_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("placed_at", text(20), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_domains_home_node_id"), "nodes", ["home_node_id"], ["id"]
        )
        batch_op.create_index(batch_op.f("ix_domains_home_node_id"), ["home_node_id"], unique=False)

    op.add_column(
        "mailboxes", sa.Column("address_revision", sa.Integer(), server_default="0", nullable=False)
    )
    op.execute("UPDATE mailboxes SET address_revision = revision")

    op.create_table(
        "past_homes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("since", text(20), nullable=True),
        sa.Column("until", text(20), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["domains.id"], name=op.f("fk_past_homes_domain_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_past_homes_node_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past_homes")),
    )
    with op.batch_alter_table("past_homes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_past_homes_domain_id"), ["domain_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_past_homes_node_id"), ["node_id"], unique=False)


def downgrade() -> None:
    op.drop_table("past_homes")

    with op.batch_alter_table("mailboxes", schema=None) as batch_op:
        batch_op.drop_column("address_revision")

    with op.batch_alter_table("domains", schema=None, table_kwargs=NUMBERED_ON) as batch_op:
        batch_op.drop_index(batch_op.f("ix_domains_home_node_id"))
        batch_op.drop_constraint(batch_op.f("fk_domains_home_node_id"), type_="foreignkey")
        batch_op.drop_column("placed_at")
        batch_op.drop_column("home_node_id")
