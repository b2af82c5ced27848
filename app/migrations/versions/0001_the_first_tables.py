"""Projects, people, tokens, domains, mailboxes, nodes, the feed and the audit log."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that sorts in byte order on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", text(20), nullable=False),
        sa.Column("actor", text(200), nullable=False),
        sa.Column("address", text(64), nullable=True),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("action", text(64), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("given", text(200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entries_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_audit_entries_project_id"), ["project_id"], unique=False
        )

    op.create_table(
        "buckets",
        sa.Column("key", text(200), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("filled_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_buckets")),
    )
    op.create_table(
        "feed",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("epoch", text(64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("shrink_is_meant", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed")),
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", text(64), nullable=False),
        sa.Column("ip_address", text(64), nullable=True),
        sa.Column("host", text(200), nullable=True),
        sa.Column("mx_priority", sa.Integer(), nullable=True),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("last_sync_at", text(20), nullable=True),
        sa.Column("applied_epoch", text(64), nullable=True),
        sa.Column("applied_revision", sa.Integer(), nullable=True),
        sa.Column("agent_version", text(64), nullable=True),
        sa.Column("created_at", text(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("name", name=op.f("uq_nodes_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", text(254), nullable=False),
        sa.Column("password_hash", text(80), nullable=True),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("welcome_digest", text(64), nullable=True),
        sa.Column("welcome_expires_at", text(20), nullable=True),
        sa.Column("disabled_at", text(20), nullable=True),
        sa.Column("created_at", text(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email", name=op.f("uq_people_email")),
        sa.UniqueConstraint("welcome_digest", name=op.f("uq_people_welcome_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", text(200), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "purge_orders",
        sa.Column("mailbox_id", text(32), nullable=False),
        sa.Column("due_at", text(20), nullable=False),
        sa.Column("is_released", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_purge_orders")),
    )
    with op.batch_alter_table("purge_orders", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purge_orders_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_purge_orders_revision"), ["revision"], unique=False)

    op.create_table(
        "domains",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", text(253), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("email_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_domains_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domains")),
        sa.UniqueConstraint("name", name=op.f("uq_domains_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("domains", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_domains_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_domains_revision"), ["revision"], unique=False)

    op.create_table(
        "memberships",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_memberships_person_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_memberships_project_id")
        ),
        sa.PrimaryKeyConstraint("person_id", "project_id", name=op.f("pk_memberships")),
    )
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_memberships_project_id"), ["project_id"], unique=False)

    op.create_table(
        "sync_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("digest", text(64), nullable=False),
        sa.Column("hint", text(64), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("expires_at", text(20), nullable=True),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_sync_keys_node_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_sync_keys_digest")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("sync_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sync_keys_node_id"), ["node_id"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("name", text(200), nullable=False),
        sa.Column("digest", text(64), nullable=False),
        sa.Column("hint", text(64), nullable=False),
        sa.Column("scope", text(64), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("expires_at", text(20), nullable=True),
        sa.Column("last_used_at", text(20), nullable=True),
        sa.Column("revoked_at", text(20), nullable=True),
        sa.CheckConstraint("scope IN ('read', 'write')", name=op.f("ck_tokens_scope")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_tokens_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tokens_project_id"), ["project_id"], unique=False)

    op.create_table(
        "mailboxes",
        sa.Column("id", text(32), nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("email", text(254), nullable=False),
        sa.Column("password_hash", text(80), nullable=False),
        sa.Column("quota_mb", sa.Integer(), nullable=False),
        sa.Column("can_login", sa.Boolean(), nullable=False),
        sa.Column("can_receive", sa.Boolean(), nullable=False),
        sa.Column("created_at", text(20), nullable=False),
        sa.Column("updated_at", text(20), nullable=False),
        sa.Column("purge_at", text(20), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("quota_mb BETWEEN 1 AND 1048576", name=op.f("ck_mailboxes_quota_mb")),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"], name=op.f("fk_mailboxes_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailboxes")),
        sa.UniqueConstraint("email", name=op.f("uq_mailboxes_email")),
    )
    with op.batch_alter_table("mailboxes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_mailboxes_domain_id_email"), ["domain_id", "email"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_mailboxes_domain_id_purge_at"), ["domain_id", "purge_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_mailboxes_purge_at"), ["purge_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_mailboxes_revision"), ["revision"], unique=False)

    feed = sa.table(
        "feed", *map(sa.column, ("id", "epoch", "revision", "users", "shrink_is_meant"))
    )
    op.bulk_insert(
        feed,
        [
            {
                "id": 1,
                "epoch": str(uuid.uuid4()),
                "revision": 1,
                "users": 0,
                "shrink_is_meant": False,
            }
        ],
    )


def downgrade() -> None:
    with op.batch_alter_table("mailboxes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mailboxes_revision"))
        batch_op.drop_index(batch_op.f("ix_mailboxes_purge_at"))
        batch_op.drop_index(batch_op.f("ix_mailboxes_domain_id_purge_at"))
        batch_op.drop_index(batch_op.f("ix_mailboxes_domain_id_email"))

    op.drop_table("mailboxes")
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tokens_project_id"))

    op.drop_table("tokens")
    with op.batch_alter_table("sync_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sync_keys_node_id"))

    op.drop_table("sync_keys")
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_memberships_project_id"))

    op.drop_table("memberships")
    with op.batch_alter_table("domains", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_domains_revision"))
        batch_op.drop_index(batch_op.f("ix_domains_project_id"))

    op.drop_table("domains")
    with op.batch_alter_table("purge_orders", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_purge_orders_revision"))
        batch_op.drop_index(batch_op.f("ix_purge_orders_due_at"))

    op.drop_table("purge_orders")
    op.drop_table("projects")
    op.drop_table("people")
    op.drop_table("nodes")
    op.drop_table("feed")
    op.drop_table("buckets")
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_entries_project_id"))
        batch_op.drop_index(batch_op.f("ix_audit_entries_at"))

    op.drop_table("audit_entries")
