"""The connections to PostgreSQL: four pools per process, and one transaction per request.

Parties have a pool of their own, and withdrawals another: however long anybody's queries take, and whatever floods the
service, a withdrawal finds a connection. The health check has a single one, so that it says what it finds and takes
nothing from anybody. Of the others no caller holds more than a share (pool_shares.py).
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final

from sqlalchemy import URL, column, event, make_url, select, table
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from mediation_api.database.encryption import Keyring, attach_keyring
from mediation_api.database.pool_shares import Share
from mediation_api.database.row_security import assume_party, privilege_problem
from mediation_api.domain.access import Actor
from mediation_api.settings import Environment, Settings, SettingsError

APPLICATION_NAME: Final = "mediation-api"

_CONNECT_SECONDS: Final = 5.0
_WITHDRAWAL_WAIT_SECONDS: Final = 15.0
"""How long a withdrawal waits for a connection; nothing else waits as long. It is late rather than refused."""
_IDLE_IN_TRANSACTION_MS: Final = 10_000
"""A transaction that its process forgot gives its locks back after this."""
_PROBE_AFTER_SECONDS: Final = 30.0
"""A connection unused for longer is probed before use: a firewall may have dropped it without a word."""
_READ_ONLY_TRANSACTION: Final = "25006"
_DATED: Final = len("20261129_1500")


class Pool(StrEnum):
    """Whom a pool of connections is for."""

    OFFICE = "office"
    """Staff, mediators, integrations, and whoever files a complaint."""
    PARTIES = "parties"
    """Parties, and what they need before they have a token."""
    WITHDRAWALS = "withdrawals"
    """Withdrawals, whoever records them, and nothing else."""
    HEALTH = "health"
    """The health check: one connection."""


def migrations_folder() -> Path:
    """Return the folder of the migrations: beside an installed package, or at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "migrations"
    return installed if installed.exists() else package.parents[1] / "migrations"


def revisions() -> list[str]:
    """Return the revisions of the schema that this code knows, oldest first: a migration's file is called by its own.

    The service asks no more than that of its migrations, and so does without Alembic, a fifth of what it would load.
    """
    return sorted(path.name[:_DATED] for path in (migrations_folder() / "versions").glob("*_*.py"))


def is_of_earlier_version(revision: str) -> bool:
    """Whether a revision of the schema is older than the first that this code knows. Revisions are dates."""
    return revision < revisions()[0]


def create_engine(
    settings: Settings,
    *,
    pool_size: int | None = None,
    pool_timeout_seconds: float | None = None,
    statement_timeout_ms: int | None = None,
    lock_timeout_ms: int | None = None,
    keep_plans: bool = False,
) -> AsyncEngine:
    """Make an engine on the database of the settings. Nothing connects yet.

    Args:
        settings: name the database, its hosts and the pool.
        pool_size: another number of connections than the settings'.
        pool_timeout_seconds: another wait for a connection than the settings'.
        statement_timeout_ms: another limit than the settings', in milliseconds; 0 for none.
        lock_timeout_ms: the same for the wait for a lock.
        keep_plans: plan each statement once per connection, whatever its parameters are. What parties read stands under
            row policies: to plan it takes several times as long as to run it, and is the same for everybody.

    Raises:
        SettingsError: no database is set.
    """
    if not settings.database_url.get_secret_value():
        raise SettingsError("MEDIATION_DATABASE_URL: is required")
    if statement_timeout_ms is None:
        statement_timeout_ms = settings.statement_timeout_ms
    if lock_timeout_ms is None:
        lock_timeout_ms = settings.lock_timeout_ms
    url, encryption = _driver_address(settings)
    engine = create_async_engine(
        url,
        pool_size=settings.pool_size if pool_size is None else pool_size,
        # A burst waits for a connection; it does not open more than the server was sized for.
        max_overflow=0,
        pool_timeout=settings.pool_timeout_seconds if pool_timeout_seconds is None else pool_timeout_seconds,
        # An error's text would carry what people wrote.
        hide_parameters=True,
        connect_args={
            "timeout": _CONNECT_SECONDS,
            **encryption,
            "server_settings": {
                "application_name": APPLICATION_NAME,
                "timezone": "UTC",
                "statement_timeout": str(statement_timeout_ms),
                "lock_timeout": str(lock_timeout_ms),
                "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
                **({"plan_cache_mode": "force_generic_plan"} if keep_plans else {}),
            },
        },
    )
    _watch(engine)
    attach_keyring(engine.dialect, Keyring.of(settings))
    return engine


class Database:
    """The pools of one process, and the transactions on them.

    Tests put a subclass in its place that keeps every transaction inside one that is rolled back.
    """

    def __init__(
        self,
        office: AsyncEngine,
        parties: AsyncEngine,
        withdrawals: AsyncEngine | None = None,
        health: AsyncEngine | None = None,
        *,
        any_role: bool = True,
        shares: Mapping[Pool, Share] | None = None,
    ) -> None:
        """Put the pools together; `of` makes those of the service. Without one of its own, a pool is the parties'."""
        self._pools: Mapping[Pool, AsyncEngine] = {
            Pool.OFFICE: office,
            Pool.PARTIES: parties,
            Pool.WITHDRAWALS: parties if withdrawals is None else withdrawals,
            Pool.HEALTH: parties if health is None else health,
        }
        self._any_role = any_role
        self._shares = {} if shares is None else shares
        self._checking: asyncio.Task[bool] | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Database":
        """Make the database of the settings. Nothing connects yet."""
        sizes = {
            Pool.OFFICE: settings.pool_size,
            Pool.PARTIES: settings.party_pool_size,
            Pool.WITHDRAWALS: settings.withdrawal_pool_size,
        }
        percent, seconds = settings.caller_pool_percent, settings.pool_timeout_seconds
        return cls(
            create_engine(settings),
            create_engine(
                settings,
                pool_size=settings.party_pool_size,
                statement_timeout_ms=settings.party_statement_timeout_ms,
                keep_plans=True,
            ),
            create_engine(
                settings,
                pool_size=settings.withdrawal_pool_size,
                pool_timeout_seconds=max(seconds, _WITHDRAWAL_WAIT_SECONDS),
                keep_plans=True,
            ),
            create_engine(settings, pool_size=1),
            any_role=settings.environment is Environment.DEV,
            shares={
                pool: Share.of(
                    size, percent, max(seconds, _WITHDRAWAL_WAIT_SECONDS) if pool is Pool.WITHDRAWALS else seconds
                )
                for pool, size in sizes.items()
            },
        )

    @asynccontextmanager
    async def transaction(
        self, pool: Pool = Pool.OFFICE, *, caller: str | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction. It commits at the end, and rolls back when anything was raised.

        Args:
            pool: where the connection comes from.
            caller: who asks, for the share of the pool; None is the service itself.

        Raises:
            sqlalchemy.exc.TimeoutError: no connection became free in time, or none of the caller's share did.
            sqlalchemy.exc.DBAPIError: the connection was lost, or the commit failed.
        """
        async with self._held(pool, caller), self._pools[pool].begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self, pool: Pool = Pool.OFFICE, *, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        """Give a connection on which each statement stands alone, without BEGIN and COMMIT.

        Args:
            pool: where the connection comes from.
            caller: who asks, for the share of the pool; None is the service itself.

        Raises:
            sqlalchemy.exc.TimeoutError: no connection became free in time, or none of the caller's share did.
            sqlalchemy.exc.DBAPIError: the connection was lost.
        """
        # The same pool; a statement is its own transaction, so that a read is one round trip.
        engine = self._pools[pool].execution_options(isolation_level="AUTOCOMMIT")
        async with self._held(pool, caller), engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def _held(self, pool: Pool, caller: str | None) -> AsyncIterator[None]:
        share = self._shares.get(pool)
        if share is None:
            yield
            return
        async with share.held_by(caller):
            yield

    @asynccontextmanager
    async def as_party(self, party: Actor, *, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        """Give a connection that shows what this party may see, all of it as of one instant, and writes nothing.

        Args:
            party: who reads.
            caller: the same, for the share of the pool; None is the service itself.

        Raises:
            sqlalchemy.exc.TimeoutError: no connection became free in time, or none of the caller's share did.
            sqlalchemy.exc.DBAPIError: the connection was lost.
        """
        async with self._held(Pool.PARTIES, caller), self._snapshot() as connection:
            await assume_party(connection, party)
            yield connection

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncConnection]:
        # What is the party's is read in one statement and what it is shown in the next: both see the same.
        pool = self._pools[Pool.PARTIES]
        engine = pool.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with engine.begin() as connection:
            yield connection

    async def ready(self) -> bool:
        """Whether the database answers and its schema is one that this code can work with.

        That is the newest revision that this code knows, or a newer one: each migration is safe under the release
        before it, so a process goes on when a newer release has migrated. Outside development the second wall must
        hold as well for whom the service connects as. Who asks while it is being found out is told the same: however
        many ask, they take one connection.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
            OSError: nothing listens there.
        """
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        # Whoever stops waiting does not stop it for the others.
        return await asyncio.shield(self._checking)

    async def _check(self) -> bool:
        version = table("alembic_version", column("version_num"))
        try:
            async with self.reading(Pool.HEALTH) as connection:
                if not self._any_role and await privilege_problem(connection):
                    return False
                current = set((await connection.scalars(select(version.c.version_num))).all())
        except ProgrammingError:
            return False  # no such table: never migrated
        return bool(current) and all(revision >= self._newest for revision in current)

    async def close(self) -> None:
        """Close every connection."""
        for engine in set(self._pools.values()):
            await engine.dispose()

    @cached_property
    def _newest(self) -> str:
        return revisions()[-1]


def _driver_address(settings: Settings) -> tuple[URL, dict[str, ssl.SSLContext | str]]:
    """Turn a libpq address into the driver's: SQLAlchemy knows several hosts, asyncpg the rest but TLS."""
    url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+asyncpg")
    mode = url.query.get("sslmode")
    root = url.query.get("sslrootcert")
    url = url.difference_update_query(["sslmode", "sslrootcert"])
    if isinstance(root, str) and mode in {"verify-ca", "verify-full"}:
        context = ssl.create_default_context(cafile=root)
        context.check_hostname = mode == "verify-full"
        return url, {"ssl": context}
    return url, {"ssl": mode} if isinstance(mode, str) else {}


def _watch(engine: AsyncEngine) -> None:
    """Keep dead connections from requests, at no cost per request.

    SQLAlchemy's own probe (`pool_pre_ping`) takes three round trips on each use. The driver notices a closed
    connection by itself, so that only one that lay unused for long needs a question.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def _note_the_time(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["unused_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _refuse_the_dead(
        connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        unused_since = entry.info.get("unused_since", time.monotonic())
        if entry.driver_connection is None or entry.driver_connection.is_closed():
            raise DisconnectionError  # the pool opens another
        if time.monotonic() - unused_since > _PROBE_AFTER_SECONDS:
            dialect = engine.sync_engine.dialect
            try:
                dialect.do_ping(connection)
            except engine.sync_engine.dialect.loaded_dbapi.Error:
                raise DisconnectionError from None

    @event.listens_for(engine.sync_engine, "handle_error")
    def _leave_a_standby(context: ExceptionContext) -> None:
        # After a failover the old primary may come back read-only with our connections still open: drop them,
        # so that the next attempt looks for the host that takes writes.
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY_TRANSACTION:
            context.is_disconnect = True
