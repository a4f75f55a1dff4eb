"""What holds the chain of facts: every fact is linked, and there is one fact in each place.

Revises: 20261125_0330
Created: 2026-11-25 03:40:00+00:00
"""

from alembic import op

revision: str = "20261125_0340"
down_revision: str | None = "20261125_0330"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute("ALTER TABLE facts VALIDATE CONSTRAINT ck_facts_was_linked")
    with op.get_context().autocommit_block():
        # What an attempt that was broken off may have left.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_facts_stream_sequence")
        op.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY uq_facts_stream_sequence "
            "ON facts (coalesce(case_id, complaint_id, mediator_id), sequence)"
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY uq_facts_stream_sequence")
