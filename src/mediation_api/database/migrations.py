"""Alembic's configuration. The service itself does not migrate, and does not import this module."""

from collections.abc import Iterable

from alembic.config import Config
from alembic.util import CommandError

from mediation_api.database.schema import EARLIER_VERSION, NEWER_RELEASE, migrations_folder, revisions


class EarlierVersionError(CommandError):
    """The schema of a database is older than the first migration, so it cannot be upgraded."""


def migrations_config() -> Config:
    """Return Alembic's configuration for `migrations_folder`. The caller sets `attributes["settings"]`."""
    config = Config()
    # Alembic interpolates % in its options.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def refuse_unknown_version(current: Iterable[str]) -> None:
    """Check that the database's current revisions are of these migrations.

    Raises:
        EarlierVersionError: one of them is older than the first migration.
        CommandError: one of them is newer than the last.
    """
    known = revisions()
    for revision in current:
        if revision < known[0]:
            raise EarlierVersionError(EARLIER_VERSION)
        if revision > known[-1]:
            raise CommandError(NEWER_RELEASE)


def sql(name: str) -> str:
    """Return the statement that creates one function or trigger: the text of `migrations/sql/<name>.sql`."""
    return (migrations_folder() / "sql" / f"{name}.sql").read_text(encoding="utf-8")
