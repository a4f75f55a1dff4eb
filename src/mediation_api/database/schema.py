"""The revision of the schema: what this code needs, and what the database has.

The service does not import Alembic: it would be a fifth of all that the service loads.
"""

from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import String, column, select, table
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.faults import NOT_MIGRATED, fault_of

EARLIER_VERSION: Final = "The database was made by an earlier version; drop it and start with an empty one."
NEWER_RELEASE: Final = "The database was migrated by a newer release: run `mediation-api migrate` of that release."

_DATED: Final = len("20261130_1500")
_VERSION: Final = table("alembic_version", column("version_num", String))


def migrations_folder() -> Path:
    """Return the folder of the migrations: inside an installed package, or at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "migrations"
    return installed if installed.exists() else package.parents[1] / "migrations"


@cache
def revisions() -> tuple[str, ...]:
    """Return the revisions of the schema that this code knows, oldest first, from the names of the migrations' files.

    They are dates, and sort as text.
    """
    return tuple(sorted(path.name[:_DATED] for path in (migrations_folder() / "versions").glob("*_*.py")))


async def schema_problem(connection: AsyncConnection) -> str | None:
    """Return why this code cannot use the schema, as a text for operators; None if it can.

    The schema must be at the newest revision that this code knows, or at a newer one: each migration is compatible with
    the release before it, so a process keeps serving when a newer release has migrated.

    The connection is in autocommit mode.
    """
    try:
        current = (await connection.scalars(select(_VERSION.c.version_num))).all()
    except ProgrammingError as error:  # there is no such table, or this role may not read it
        fault = fault_of(error)
        return NOT_MIGRATED.words if fault is None else fault.words
    known = revisions()
    if any(revision < known[0] for revision in current):
        return EARLIER_VERSION
    return None if current and min(current) >= known[-1] else NOT_MIGRATED.words
