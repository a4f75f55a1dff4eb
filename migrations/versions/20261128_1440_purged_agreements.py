"""Validates what 20261128_1430 said of agreements.

Revises: 20261128_1430
Created: 2026-11-28 14:40:00+00:00
"""

from alembic import op

revision: str = "20261128_1440"
down_revision: str | None = "20261128_1430"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute("ALTER TABLE agreements VALIDATE CONSTRAINT ck_agreements_purged_at")
    op.execute("ALTER TABLE agreements VALIDATE CONSTRAINT ck_agreements_purged_kind")


def downgrade() -> None:
    """Validity needs no undoing."""
