"""Alembic's environment: run migrations online with time limits, or print their SQL for review and the linter."""

import asyncio
from typing import Final

from alembic import context
from alembic.util import CommandError
from pydantic import SecretStr
from sqlalchemy import Connection, text

from mediation_api.database.engine import create_engine
from mediation_api.database.migrations import refuse_unknown_version
from mediation_api.database.roles import PARTY, SERVICE
from mediation_api.database.tables import metadata
from mediation_api.dev.embedded_postgres import running_url
from mediation_api.settings import DatabaseSettings, Environment, database_settings_from_environment

LOCK_TIMEOUT_MS: Final = 2_000
"""A migration that waits for a lock blocks every request that comes after it, so it fails early and is run again."""
STATEMENT_TIMEOUT_MS: Final = 60_000
"""Enough for a change of the schema; a migration does not rewrite rows."""
ONE_AT_A_TIME: Final = 2_026_112_801
"""The advisory lock of migrations: a second process waits, and then finds nothing left to do."""


def as_sql() -> None:
    """Print the SQL. No database is needed."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        # The same limits as online, in the file as well, so that the linter takes them into account.
        context.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_MS}ms'")
        context.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT_MS}ms'")
        context.run_migrations()


def require_roles(connection: Connection) -> None:
    """Check that an administrator has created the roles to which migrations grant privileges.

    Raises:
        CommandError: one of them does not exist.
    """
    names = {SERVICE, PARTY}
    statement = text("SELECT rolname FROM pg_roles WHERE rolname = ANY (:names)")
    if set(connection.scalars(statement, {"names": list(names)})) != names:
        raise CommandError("The roles of the service do not exist: create them with the SQL of `mediation-api roles`.")


def online(connection: Connection) -> None:
    """Migrate the connected database, each migration in its own transaction."""
    connection.execute(text("SET lock_timeout = 0"))  # another migration may take long
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ONE_AT_A_TIME})
    connection.execute(text(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}"))
    connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    require_roles(connection)
    refuse_unknown_version(context.get_context().get_current_heads())
    with context.begin_transaction():
        context.run_migrations()


async def connect(settings: DatabaseSettings) -> None:
    """Open a connection and migrate with it. Closing it releases the advisory lock."""
    engine = create_engine(settings, statement_timeout_ms=0)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(online)
    finally:
        await engine.dispose()


def current_settings() -> DatabaseSettings:
    """Return the caller's settings, or the environment's; in development, with the database that `make run` started."""
    passed = context.config.attributes.get("settings")
    settings = passed if isinstance(passed, DatabaseSettings) else database_settings_from_environment()
    if settings.environment is Environment.DEV and not settings.database_url.get_secret_value():
        url = running_url(settings.data_directory / "database")
        return settings.model_copy(update={"database_url": SecretStr(url or "")})
    return settings


if context.is_offline_mode():
    as_sql()
else:
    asyncio.run(connect(current_settings()))
