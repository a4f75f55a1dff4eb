"""What holds the streams of reports: one fact in each place, and constraints that hold for what is there already.

Revises: 20261128_1300
Created: 2026-11-28 13:10:00+00:00
"""

from alembic import op

revision: str = "20261128_1310"
down_revision: str | None = "20261128_1300"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute("ALTER TABLE facts VALIDATE CONSTRAINT fk_facts_report_id")
    op.execute("ALTER TABLE facts VALIDATE CONSTRAINT ck_facts_subject")
    op.execute("ALTER TABLE readings VALIDATE CONSTRAINT ck_readings_subject")
    with op.get_context().autocommit_block():
        # What an attempt that was broken off may have left.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_facts_place")
        op.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY uq_facts_place "
            "ON facts (coalesce(report_id, case_id, complaint_id, mediator_id), sequence)"
        )
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_facts_stream_sequence")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_readings_report_id_position")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_readings_report_id_position "
            "ON readings (report_id, position) WHERE report_id IS NOT NULL"
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_readings_report_id_position")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_facts_stream_sequence")
        op.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY uq_facts_stream_sequence "
            "ON facts (coalesce(case_id, complaint_id, mediator_id), sequence)"
        )
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_facts_place")
