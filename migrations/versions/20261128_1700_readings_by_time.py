"""The readings of some days are found without looking at all that there are.

Revises: 20261128_1510
Created: 2026-11-28 17:00:00+00:00
"""

from alembic import op

revision: str = "20261128_1700"
down_revision: str | None = "20261128_1510"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Readings are only ever added, in the order of their time.
        op.create_index(
            "ix_readings_at",
            "readings",
            ["at"],
            postgresql_using="brin",
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_readings_at", table_name="readings", postgresql_concurrently=True, if_exists=True)
