"""What was acknowledged is never overwritten or deleted: the triggers that refuse it, whoever asks.

Revises: 20261129_1610
Created: 2026-11-29 16:20:00+00:00
"""

from alembic import op

from mediation_api.database.migrations import sql

revision: str = "20261129_1620"
down_revision: str | None = "20261129_1610"
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
    "access_log",
    "voided_consents",
    "withdrawals",
)
"""Tables in which no row is ever changed or deleted."""
EMPTIED = {"approvals": "given_by", "screenings": "reason", "signatures": "signer_name"}
"""Tables of which retention empties one text, and nothing else changes: who gave an approval or signed, why a rule was
overridden."""
NEVER_DELETED = ("audit_chain_heads", *EMPTIED)
"""Tables with triggers of their own for an UPDATE: the head of a chain moves on, a text is emptied."""


def upgrade() -> None:
    op.execute(sql("refuse_change"))
    op.execute(sql("refuse_change_but_emptied"))
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
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
    # ALWAYS: also where a session has set session_replication_role to replica.
    for table in (*APPEND_ONLY, *NEVER_DELETED):
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
    for table in EMPTIED:
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_but_emptied")


def downgrade() -> None:
    op.execute("DROP FUNCTION refuse_change_but_emptied() CASCADE")
    op.execute("DROP FUNCTION refuse_change() CASCADE")
