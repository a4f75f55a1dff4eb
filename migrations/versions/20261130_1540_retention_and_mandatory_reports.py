"""Legal holds, erasure requests, and mandatory reports.

Revises: 20261130_1535
Created: 2026-11-30 15:40:00+00:00
"""

import sqlalchemy as sa
from alembic import op

from mediation_api.database.migrations import sql

revision: str = "20261130_1540"
down_revision: str | None = "20261130_1535"
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
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.CheckConstraint("(state = 'refused') = (refusal IS NOT NULL)", name=op.f("ck_erasures_refused")),
        sa.CheckConstraint(
            "num_nonnulls(decided_at, decided_by) = CASE state WHEN 'requested' THEN 0 ELSE 2 END",
            name=op.f("ck_erasures_decided"),
        ),
        sa.CheckConstraint(
            "refusal IN ('identity_unproven', 'public_record', 'withdrawn')", name=op.f("ck_erasures_refusal")
        ),
        sa.CheckConstraint("state <> 'approved' OR decided_by <> requested_by", name=op.f("ck_erasures_two_people")),
        sa.CheckConstraint("state IN ('approved', 'refused', 'requested')", name=op.f("ck_erasures_state")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_erasures_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index("ix_erasures_party_id", "erasures", ["party_id"])
    op.create_index(
        "uq_erasures_requested", "erasures", ["party_id"], unique=True, postgresql_where=sa.text("state = 'requested'")
    )
    op.create_table(
        "mandatory_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("legal_basis", sa.Text(), nullable=False),
        sa.Column("disclosed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by_role", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by_role", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("drop_reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(agency = '' OR starts_with(agency, 'encrypted.1.')) AND (legal_basis = '' OR starts_with(legal_basis, 'encrypted.1.'))",
            name=op.f("ck_mandatory_reports_encrypted"),
        ),
        sa.CheckConstraint(
            "(state = 'dropped') = (drop_reason IS NOT NULL)", name=op.f("ck_mandatory_reports_dropped")
        ),
        sa.CheckConstraint(
            "category IN ('adult_abuse', 'child_abuse', 'criminal_admission', 'imminent_harm', 'witnessed_misconduct')",
            name=op.f("ck_mandatory_reports_category"),
        ),
        sa.CheckConstraint(
            "decided_by_role IN ('director', 'mediator')", name=op.f("ck_mandatory_reports_decided_by_role")
        ),
        sa.CheckConstraint(
            "drop_reason IN ('entered_in_error', 'no_duty', 'reported_elsewhere')",
            name=op.f("ck_mandatory_reports_drop_reason"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(decided_at, decided_by_role, decided_by) = CASE state WHEN 'proposed' THEN 0 ELSE 3 END",
            name=op.f("ck_mandatory_reports_decided"),
        ),
        sa.CheckConstraint(
            "proposed_by_role IN ('director', 'mediator')", name=op.f("ck_mandatory_reports_proposed_by_role")
        ),
        sa.CheckConstraint(
            "recipient IN ('adult_protection', 'child_protection', 'law_enforcement', 'police_standards', 'prosecutor')",
            name=op.f("ck_mandatory_reports_recipient"),
        ),
        sa.CheckConstraint(
            "state <> 'filed' OR (decided_by <> proposed_by AND decided_by_role = 'director')",
            name=op.f("ck_mandatory_reports_two_people"),
        ),
        sa.CheckConstraint("state IN ('dropped', 'filed', 'proposed')", name=op.f("ck_mandatory_reports_state")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_mandatory_reports_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandatory_reports")),
    )
    op.create_index("ix_mandatory_reports_case_id", "mandatory_reports", ["case_id"])
    op.execute(sql("refuse_erased_data"))
    op.execute(sql("refuse_erased_party"))
    op.execute(
        "CREATE TRIGGER stays_erased BEFORE UPDATE ON parties FOR EACH ROW EXECUTE FUNCTION refuse_erased_data()"
    )
    op.execute(
        "CREATE TRIGGER stays_erased BEFORE INSERT ON access_codes FOR EACH ROW EXECUTE FUNCTION refuse_erased_party()"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION refuse_erased_party() CASCADE")
    op.execute("DROP FUNCTION refuse_erased_data() CASCADE")
    op.drop_table("mandatory_reports")
    op.drop_table("erasures")
    op.drop_table("legal_holds")
