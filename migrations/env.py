"""How migrations run: online with time limits, or as SQL for review and for the linter (`--sql`)."""

import asyncio
from typing import Final

from alembic import context
from alembic.util import CommandError
from pydantic import SecretStr
from sqlalchemy import Connection, text

from mediation_api.database.engine import create_engine
from mediation_api.database.migrations import refuse_earlier_version
from mediation_api.database.roles import PARTY, SERVICE
from mediation_api.database.tables import metadata
from mediation_api.dev.embedded_postgres import running_url
from mediation_api.settings import Environment, Settings, settings_from_environment

LOCK_TIMEOUT_MS: Final = 2_000
"""A migration that waits for a lock makes everybody behind it wait as well: it gives up, and is run again."""
STATEMENT_TIMEOUT_MS: Final = 60_000
"""A migration changes the schema, and does not rewrite rows."""
ONE_AT_A_TIME: Final = 2_026_112_801
"""An advisory lock: of two processes that migrate at once, the second finds the work done."""


def as_sql() -> None:
    """Print the SQL. No database is needed."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        # Each statement of the file is held to the same limits as online, and the linter sees them.
        context.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_MS}ms'")
        context.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT_MS}ms'")
        context.run_migrations()


def require_roles(connection: Connection) -> None:
    """Refuse to begin before an administrator has made the roles that migrations grant to.

    Raises:
        CommandError: one of them does not exist.
    """
    wanted = {SERVICE, PARTY}
    if (
        set(
            connection.scalars(
                text("SELECT rolname FROM pg_roles WHERE rolname = ANY (:names)"), {"names": list(wanted)}
            )
        )
        != wanted
    ):
        raise CommandError("The roles of the service do not exist yet: `mediation-api roles` prints what makes them.")


def online(connection: Connection) -> None:
    """Migrate the connected database, each migration in its own transaction."""
    connection.execute(text("SET statement_timeout = 0"))  # the wait for our own kind may be long
    connection.execute(text("SET lock_timeout = 0"))
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
    refuse_earlier_version(context.get_context().get_current_heads())
    with context.begin_transaction():
        context.run_migrations()


async def connect(settings: Settings) -> None:
    """Open one connection and migrate with it; the lock goes with the connection."""
    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(online)
    finally:
        await engine.dispose()


def found_settings() -> Settings:
    """Take the caller's settings, or the environment's; in development, the database that `make run` started."""
    given = context.config.attributes.get("settings")
    settings = given if isinstance(given, Settings) else settings_from_environment()
    if settings.environment is Environment.DEV and not settings.database_url.get_secret_value():
        url = running_url(settings.data_directory / "database")
        return settings.model_copy(update={"database_url": SecretStr(url or "")})
    return settings


if context.is_offline_mode():
    as_sql()
else:
    asyncio.run(connect(found_settings()))
