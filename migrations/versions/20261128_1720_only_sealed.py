"""In a sealed column stands what is sealed, or nothing: whatever is written past the service, too.

What was written before there was sealing has to be sealed first, by `mediation-api keys rotate`. Otherwise this says so
and leaves everything as it was, for the release that still serves changes such rows. The scan of a table lets everybody
read and write; only a constraint's addition waits for a moment in which nobody does.

Revises: 20261128_1710
Created: 2026-11-28 17:20:00+00:00
"""

from alembic import op
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

revision: str = "20261128_1720"
down_revision: str | None = "20261128_1710"
branch_labels: str | None = None
depends_on: str | None = None

EMPTIED_OR_SEALED = {
    "complaints": ("narrative", "incident_place"),
    "parties": (
        *("name", "employee_number", "phone", "email", "postal_address", "safe_contact", "accommodations"),
        *("guardian_name", "guardian_relation", "guardian_phone", "guardian_email"),
    ),
    "screenings": ("reason",),
    "mediators": ("name", "email", "phone"),
    "attendees": ("name",),
    "sessions": ("place",),
    "mandatory_reports": ("agency", "legal_basis"),
}
"""An empty text is what retention leaves where there may not be none."""

RULES = {
    table: " AND ".join(f"({each} = '' OR starts_with({each}, 'sealed.1.'))" for each in columns)
    for table, columns in EMPTIED_OR_SEALED.items()
} | {"agreements": "starts_with(text, 'sealed.1.')"}

CHECK_VIOLATION = "23514"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _drop()  # what an attempt that was broken off may have left
        for table, rule in RULES.items():
            try:
                op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_sealed CHECK ({rule}) NOT VALID")
                op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_sealed")
            except DBAPIError as error:
                _drop()
                if getattr(error.orig, "sqlstate", None) != CHECK_VIOLATION:
                    raise
                raise CommandError(
                    f"Rows of {table} are not sealed: run `mediation-api keys rotate` first, and then migrate again."
                ) from None


def downgrade() -> None:
    _drop()


def _drop() -> None:
    for table in RULES:
        op.execute(
            "-- squawk-ignore ban-drop-constraint -- nobody relies on it yet, or on its being gone\n"
            f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_sealed"
        )
