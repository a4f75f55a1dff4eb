"""Requests to erase what is held of a party.

Revises: 20261128_1500
Created: 2026-11-28 15:10:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261128_1510"
down_revision: str | None = "20261128_1500"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
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
        sa.CheckConstraint("state IN ('approved', 'refused', 'requested')", name=op.f("ck_erasures_state")),
        sa.CheckConstraint(
            "refusal IN ('identity_unproven', 'public_record', 'withdrawn')", name=op.f("ck_erasures_refusal")
        ),
        sa.CheckConstraint(
            "num_nonnulls(decided_at, decided_by) = CASE state WHEN 'requested' THEN 0 ELSE 2 END",
            name=op.f("ck_erasures_decided"),
        ),
        sa.CheckConstraint("(state = 'refused') = (refusal IS NOT NULL)", name=op.f("ck_erasures_refused")),
        sa.CheckConstraint("state <> 'approved' OR decided_by <> requested_by", name=op.f("ck_erasures_two_people")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_erasures_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(
        "uq_erasures_requested", "erasures", ["party_id"], unique=True, postgresql_where=sa.text("state = 'requested'")
    )
    op.create_index("ix_erasures_party_id", "erasures", ["party_id"])
    op.execute("ALTER TABLE erasures ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE erasures FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT, UPDATE (state, decided_at, decided_by, refusal) ON erasures TO mediation_service")
    op.execute("CREATE POLICY service ON erasures TO mediation_service USING (true) WITH CHECK (true)")


def downgrade() -> None:
    op.drop_table("erasures")
