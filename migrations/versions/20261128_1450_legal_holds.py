"""Legal holds, and the attestation that a mediator's notes were destroyed.

Revises: 20261128_1440
Created: 2026-11-28 14:50:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261128_1450"
down_revision: str | None = "20261128_1440"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.CheckConstraint(
            "reason IN ('investigation', 'litigation', 'records_request')", name=op.f("ck_legal_holds_reason")
        ),
        sa.CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name=op.f("ck_legal_holds_lifted")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_legal_holds_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_holds")),
    )
    op.create_index("ix_legal_holds_complaint_id", "legal_holds", ["complaint_id"])
    op.execute("ALTER TABLE legal_holds ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE legal_holds FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT, UPDATE (lifted_at, lifted_by) ON legal_holds TO mediation_service")
    op.execute("CREATE POLICY service ON legal_holds TO mediation_service USING (true) WITH CHECK (true)")

    op.add_column("assignments", sa.Column("notes_destroyed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("GRANT UPDATE (notes_destroyed_at) ON assignments TO mediation_service")
    op.execute(
        "ALTER TABLE assignments ADD CONSTRAINT ck_assignments_had_notes "
        "CHECK (state IN ('accepted', 'recused') OR notes_destroyed_at IS NULL) NOT VALID"
    )


def downgrade() -> None:
    op.drop_column("assignments", "notes_destroyed_at")
    op.drop_table("legal_holds")
