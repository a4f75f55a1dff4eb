"""Indexes of the keyed hash of an officer's employee number: the officer's own parties, and one party in a complaint.

Revises: 20261128_1400
Created: 2026-11-28 14:10:00+00:00
"""

from alembic import op

revision: str = "20261128_1410"
down_revision: str | None = "20261128_1400"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # What an attempt that was broken off may have left.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_parties_employee_number_index")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_parties_complaint_id_employee_number_index")
        op.execute("CREATE INDEX CONCURRENTLY ix_parties_employee_number_index ON parties (employee_number_index)")
        op.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY uq_parties_complaint_id_employee_number_index "
            "ON parties (complaint_id, employee_number_index)"
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY uq_parties_complaint_id_employee_number_index")
        op.execute("DROP INDEX CONCURRENTLY ix_parties_employee_number_index")
