"""The audit log refuses to be changed, and finds an action's last entry by an index."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE, WORDS = "audit_entries", "the audit log is append-only"
INDEX = "ix_audit_entries_action_at"
# SQLite drops them with the table: a later migration that copies it has to make them again.
ON_SQLITE = [
    f"CREATE TRIGGER {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    for verb in ("UPDATE", "DELETE")
]
FUNCTION, TRIGGER = "refuse_to_change_the_audit_log", f"{TABLE}_append_only"
MAKE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION '{WORDS}'; END $$
"""
MAKE_TRIGGER = f"""
CREATE TRIGGER {TRIGGER} BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE}
FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}()
"""
ON_POSTGRESQL = [MAKE_FUNCTION, MAKE_TRIGGER]


def upgrade() -> None:
    op.create_index(INDEX, TABLE, ["action", "at"])
    for statement in ON_SQLITE if _is_sqlite() else ON_POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    if _is_sqlite():
        for verb in ("update", "delete"):
            op.execute(f"DROP TRIGGER {TABLE}_no_{verb}")
    else:
        op.execute(f"DROP FUNCTION {FUNCTION}() CASCADE")
    op.drop_index(INDEX, TABLE)


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"
