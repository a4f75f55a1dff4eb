"""Indexes for the orders of lists that had none: the open board, one by state or coordinator, filers, the roster.

Revises: 20261124_2330
Created: 2026-11-25 03:10:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261125_0310"
down_revision: str | None = "20261124_2330"
branch_labels: str | None = None
depends_on: str | None = None

OPEN = sa.text("closed_at IS NULL")

INDEXES = (
    ("ix_cases_open_due_on_id", "cases", ["due_on", "id"], OPEN),
    ("ix_cases_state_due_on_id", "cases", ["state", "due_on", "id"], None),
    ("ix_cases_coordinator_due_on_id", "cases", ["coordinator", "due_on", "id"], None),
    ("ix_complaints_by_filed_at_id", "complaints", ["by", "filed_at", "id"], None),
    ("ix_mediators_added_at_id", "mediators", ["added_at", "id"], None),
    ("ix_assignments_proposed_at_id", "assignments", ["proposed_at", "id"], None),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, table, columns, where in INDEXES:
            op.create_index(
                name, table, columns, postgresql_where=where, postgresql_concurrently=True, if_not_exists=True
            )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name, table, _, _ in reversed(INDEXES):
            op.drop_index(name, table_name=table, postgresql_concurrently=True, if_exists=True)
