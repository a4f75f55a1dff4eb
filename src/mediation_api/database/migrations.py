"""How Alembic finds the migrations. What serves does not migrate, and does not load it."""

from collections.abc import Iterable

from alembic.config import Config
from alembic.util import CommandError

from mediation_api.database.engine import is_of_earlier_version, migrations_folder


class EarlierVersionError(CommandError):
    """The schema of a database is older than the first migration: there is no way from there to here."""


def migrations_config() -> Config:
    """Return Alembic's configuration for `migrations_folder`. The caller adds the settings as attribute."""
    config = Config()
    # Alembic expands % in what it is given.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def refuse_earlier_version(current: Iterable[str]) -> None:
    """Refuse to migrate a database whose current revisions are older than the first migration.

    Raises:
        EarlierVersionError: one of them is.
    """
    if any(is_of_earlier_version(revision) for revision in current):
        raise EarlierVersionError("The database was made by an earlier version; drop it and start with an empty one.")


def sql(name: str) -> str:
    """Return the statement that creates one function or trigger: the text of `migrations/sql/<name>.sql`."""
    return (migrations_folder() / "sql" / f"{name}.sql").read_text(encoding="utf-8")
