"""`mediation-api migrate` and `roles`: the schema, and the roles of the database server."""

from mediation_api.cli.output import one_line_errors, require_database, say
from mediation_api.settings import DatabaseSettings, database_settings_from_environment


def migrate() -> None:
    """Upgrade the schema of the database in MEDIATION_DATABASE_URL to the newest revision, unless it is up to date.

    Connect as the owner of the database, not as the role of the service. No secret is needed.
    """
    with one_line_errors():
        migrate_to_newest(require_database(database_settings_from_environment()))


def roles() -> None:
    """Print the SQL that creates the roles of the service, for an administrator of the database server."""
    from mediation_api.database.roles import roles_sql

    say(roles_sql().rstrip())


def migrate_to_newest(settings: DatabaseSettings) -> None:
    """Upgrade the schema of the database in `settings` to the newest revision."""
    from alembic import command

    from mediation_api.database.migrations import migrations_config

    config = migrations_config()
    config.attributes["settings"] = settings
    command.upgrade(config, "head")
