"""Triggers that refuse to reverse a standing or to reopen a closed case, whatever the role.

They refuse a change immediately if the order of states does not allow it, and at the end of the transaction if it does
not match the latest event. An owner of the tables can disable triggers; `mediation-api audit verify` finds the changes.

Revises: 20261130_1620
Created: 2026-11-30 16:25:00+00:00
"""

from alembic import op

from mediation_api.database.migrations import sql

revision: str = "20261130_1625"
down_revision: str | None = "20261130_1620"
branch_labels: str | None = None
depends_on: str | None = None

FUNCTIONS = (
    "standing_may_become",
    "standing_after",
    "state_after",
    "refuse_standing_back",
    "refuse_change_of_closed",
    "require_event",
)
TRIGGERS = {
    "participants_standing_order": "participants",
    "participants_standing_event": "participants",
    "cases_stays_closed": "cases",
    "cases_state_event": "cases",
}
"""The table of each trigger."""


def upgrade() -> None:
    for name in (*FUNCTIONS, *TRIGGERS):
        op.execute(sql(name))


def downgrade() -> None:
    for name, table in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name.removeprefix(f'{table}_')} ON {table}")
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
