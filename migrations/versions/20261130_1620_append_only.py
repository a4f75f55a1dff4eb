"""Append-only tables: triggers refuse to change or delete their rows, whatever the role.

Revises: 20261130_1617
Created: 2026-11-30 16:20:00+00:00
"""

from alembic import op

from mediation_api.database.migrations import sql

revision: str = "20261130_1620"
down_revision: str | None = "20261130_1617"
branch_labels: str | None = None
depends_on: str | None = None

APPEND_ONLY = (
    "absences",
    "consents",
    "contact_attempts",
    "disclosures",
    "events",
    "guardian_consents",
    "pauses",
    "voided_consents",
    "withdrawals",
)
"""Tables whose rows are never changed or deleted."""
EMPTIED = {"approvals": "given_by", "screenings": "reason", "signatures": "signer_name"}
"""Tables in which retention may empty one text, by its column: the name of an approver or signer, or the reason of an
override. Nothing else changes."""
NEVER_DELETED = ("audit_chain_heads", *EMPTIED)
"""Tables whose rows are never deleted. Other triggers check an UPDATE of them."""


def upgrade() -> None:
    op.execute(sql("refuse_change"))
    op.execute(sql("refuse_change_but_emptied"))
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    # Retention deletes the old entries of the access log.
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON access_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(sql("keep_access_log"))
    op.execute(
        "CREATE TRIGGER keep_access_log BEFORE DELETE ON access_log FOR EACH ROW EXECUTE FUNCTION keep_access_log()"
    )
    op.execute("ALTER TABLE access_log ENABLE ALWAYS TRIGGER keep_access_log")
    for table in NEVER_DELETED:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for table, column in EMPTIED.items():
        op.execute(
            f"CREATE TRIGGER append_only_but_emptied BEFORE UPDATE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION refuse_change_but_emptied('{column}')"
        )
    # ALWAYS: also in a session with session_replication_role = replica.
    for table in (*APPEND_ONLY, "access_log", *NEVER_DELETED):
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
    for table in EMPTIED:
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_but_emptied")


def downgrade() -> None:
    op.execute("DROP FUNCTION keep_access_log() CASCADE")
    op.execute("DROP FUNCTION refuse_change_but_emptied() CASCADE")
    op.execute("DROP FUNCTION refuse_change() CASCADE")
