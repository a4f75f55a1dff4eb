"""Validates what 20261128_1450 said of assignments.

Revises: 20261128_1450
Created: 2026-11-28 15:00:00+00:00
"""

from alembic import op

revision: str = "20261128_1500"
down_revision: str | None = "20261128_1450"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute("ALTER TABLE assignments VALIDATE CONSTRAINT ck_assignments_had_notes")


def downgrade() -> None:
    """Validity needs no undoing."""
