"""How often somebody tried something in the present hour, counted for all processes.

Revises: 20261128_1310
Created: 2026-11-28 13:20:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261128_1320"
down_revision: str | None = "20261128_1310"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "tries",
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_tries_number")),
        sa.CheckConstraint("what IN ('code', 'filing')", name=op.f("ck_tries_what")),
        sa.PrimaryKeyConstraint("what", "who", name=op.f("pk_tries")),
    )
    op.create_index("ix_tries_hour", "tries", ["hour"])
    op.execute("GRANT SELECT, INSERT, UPDATE (hour, number), DELETE ON tries TO mediation_service")
    op.execute("CREATE POLICY service ON tries TO mediation_service USING (true) WITH CHECK (true)")
    op.execute("ALTER TABLE tries ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE tries FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("tries")
