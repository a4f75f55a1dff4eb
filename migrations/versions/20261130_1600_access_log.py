"""The access log (`access_log`): one row for each read of a complaint, a party, a case or a report by anybody but a party.

Revises: 20261130_1557
Created: 2026-11-30 16:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261130_1600"
down_revision: str | None = "20261130_1557"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "access_log",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("listed", sa.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(attempt, version) = CASE WHEN complaint_id IS NULL THEN 0 ELSE 2 END",
            name=op.f("ck_access_log_seen"),
        ),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_access_log_by_role"),
        ),
        sa.CheckConstraint(
            "purpose IN ('audit', 'casework', 'exchange', 'intake', 'legal_request', 'mediation', 'party_request', 'supervision')",
            name=op.f("ck_access_log_purpose"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(complaint_id, listed, report_id) = 1 AND (report_id IS NULL OR num_nonnulls(case_id, party_id) = 0)",
            name=op.f("ck_access_log_subject"),
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_access_log")),
    )
    op.create_index("ix_access_log_at", "access_log", ["at"])
    op.create_index("ix_access_log_complaint_id_position", "access_log", ["complaint_id", "position"])
    op.create_index("ix_access_log_listed", "access_log", ["listed"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_access_log_report_id_position",
        "access_log",
        ["report_id", "position"],
        postgresql_where=sa.text("report_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("access_log")
