"""Parts: the disposition of each complainant with each officer, checked against consents, signatures and attendances.

Revises: 20261130_1530
Created: 2026-11-30 15:35:00+00:00
"""

import sqlalchemy as sa
from alembic import op

from mediation_api.database.migrations import sql

revision: str = "20261130_1535"
down_revision: str | None = "20261130_1530"
branch_labels: str | None = None
depends_on: str | None = None

TRIGGERS = {
    "require_part": "AFTER INSERT OR UPDATE ON parts FOR EACH ROW",
    "require_signature": "AFTER INSERT OR UPDATE ON attendances FOR EACH ROW WHEN (NEW.present)",
    "require_returned_parts": "AFTER UPDATE ON participants FOR EACH ROW WHEN (NEW.left_at IS NOT NULL)",
    "require_closed_parts": "AFTER UPDATE ON cases FOR EACH ROW WHEN (NEW.closed_at IS NOT NULL)",
    "refuse_voided_resolution": (
        "AFTER UPDATE ON agreements FOR EACH ROW WHEN (NEW.kind = 'resolution' AND NEW.superseded_at IS NOT NULL)"
    ),
}
"""The event of each trigger function. AFTER, because one statement changes a case, its parts and its participants."""


def upgrade() -> None:
    op.create_table(
        "parts",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("complainant_id", sa.Uuid(), nullable=False),
        sa.Column("officer_id", sa.Uuid(), nullable=False),
        sa.Column("disposition", sa.String(), nullable=False),
        sa.Column("agreement_reached", sa.Boolean(), nullable=True),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "disposition IN ('closed_mediated', 'in_mediation', 'returned_to_investigation')",
            name=op.f("ck_parts_disposition"),
        ),
        sa.CheckConstraint(
            "(disposition = 'closed_mediated') = (agreement_reached IS NOT NULL)",
            name=op.f("ck_parts_agreement_reached"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id", "complainant_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_parts_case_id_complainant_id"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id", "officer_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_parts_case_id_officer_id"),
        ),
        sa.PrimaryKeyConstraint("case_id", "complainant_id", "officer_id", name=op.f("pk_parts")),
    )
    op.create_index("ix_parts_complainant_id_officer_id", "parts", ["complainant_id", "officer_id"])
    op.create_index(
        "uq_parts_mediated",
        "parts",
        ["complainant_id", "officer_id"],
        unique=True,
        postgresql_where=sa.text("disposition = 'closed_mediated'"),
    )
    op.create_index(
        "uq_parts_open",
        "parts",
        ["complainant_id", "officer_id"],
        unique=True,
        postgresql_where=sa.text("disposition = 'in_mediation'"),
    )
    op.execute(sql("signed_by_part"))
    for function, when in TRIGGERS.items():
        op.execute(sql(function))
        op.execute(f"CREATE TRIGGER {function} {when} EXECUTE FUNCTION {function}()")


def downgrade() -> None:
    op.drop_table("parts")
    for function in TRIGGERS:
        op.execute(f"DROP FUNCTION {function}() CASCADE")
    op.execute("DROP FUNCTION signed_by_part(uuid, uuid, uuid)")
