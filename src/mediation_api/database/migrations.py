"""Alembic's configuration. The service itself does not migrate, and does not import this module."""

from collections.abc import Iterable

from alembic.config import Config
from alembic.util import CommandError

from mediation_api.database.engine import is_of_earlier_version, migrations_folder


class EarlierVersionError(CommandError):
    """The schema of a database is older than the first migration, so it cannot be upgraded."""


def migrations_config() -> Config:
    """Return Alembic's configuration for `migrations_folder`. The caller sets `attributes["settings"]`."""
    config = Config()
    # Alembic interpolates % in its options.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def refuse_earlier_version(current: Iterable[str]) -> None:
    """Raise EarlierVersionError if one of the database's current revisions is older than the first migration."""
    if any(is_of_earlier_version(revision) for revision in current):
        raise EarlierVersionError("The database was made by an earlier version; drop it and start with an empty one.")


def sql(name: str) -> str:
    """Return the statement that creates one function or trigger: the text of `migrations/sql/<name>.sql`."""
    return (migrations_folder() / "sql" / f"{name}.sql").read_text(encoding="utf-8")
