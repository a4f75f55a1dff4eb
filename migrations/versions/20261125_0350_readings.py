"""Who opened what: one row for each read of a complaint, a party or a case by anybody but a party.

Revises: 20261125_0340
Created: 2026-11-25 03:50:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261125_0350"
down_revision: str | None = "20261125_0340"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "readings",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("listed", sa.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_readings_by_role"),
        ),
        sa.CheckConstraint(
            "purpose IN ('audit', 'casework', 'exchange', 'intake', 'legal_request', 'mediation', 'party_request', 'supervision')",
            name=op.f("ck_readings_purpose"),
        ),
        sa.CheckConstraint("(complaint_id IS NULL) = (listed IS NOT NULL)", name=op.f("ck_readings_subject")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_readings")),
    )
    op.create_index("ix_readings_complaint_id_position", "readings", ["complaint_id", "position"])
    op.create_index("ix_readings_listed", "readings", ["listed"], postgresql_using="gin")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON readings "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("ALTER TABLE readings ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    op.drop_table("readings")
