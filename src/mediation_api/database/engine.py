"""The connections to PostgreSQL: four pools per process, and one transaction per request.

Parties and withdrawals have pools of their own, so that a withdrawal gets a connection however slow other queries are
and however many requests arrive. The health check has a pool of one connection, so that it can report the database's
state while the other pools are exhausted. In those, each caller is limited to a share (pool_shares.py).
"""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from pydantic_core import from_json
from sqlalchemy import URL, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from mediation_api.database.canaries import secrets_problem
from mediation_api.database.connecting import connect
from mediation_api.database.encryption import Keyring, attach_keyring
from mediation_api.database.pool_shares import Share
from mediation_api.database.row_security import assume_party, role_problem
from mediation_api.database.schema import schema_problem
from mediation_api.database.transactions import OutcomeUnknown
from mediation_api.domain.access import Actor
from mediation_api.settings import DatabaseSettings, Environment, Settings, SettingsError

APPLICATION_NAME: Final = "mediation-api"

_ANSWER_SECONDS: Final = 1.0
"""How much longer than `statement_timeout` the service waits. The server keeps that limit, unless it hangs itself."""
_READY_SECONDS: Final = 1.8
"""The longest that `ready` takes."""
_HEALTH_POOL_SIZE: Final = 1
_HEALTH_TIMEOUT_MS: Final = 1000
_WITHDRAWAL_WAIT_SECONDS: Final = 15.0
"""How long a withdrawal waits for a connection, at least. It is better answered late than refused."""
_IDLE_IN_TRANSACTION_MS: Final = 10_000
"""PostgreSQL ends a transaction that is idle for longer, and so releases its locks."""
_PROBE_AFTER_SECONDS: Final = 30.0
"""A connection unused for longer is probed before use: a firewall may have dropped it silently."""
_KEPT_PLANS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_READ_ONLY_TRANSACTION: Final = "25006"


class Pool(StrEnum):
    """The pools of connections, by the callers or requests that use them."""

    OFFICE = "office"
    """Staff, mediators, integrations, and the public when it files a complaint."""
    PARTIES = "parties"
    """Parties, and the requests by which they get a token."""
    WITHDRAWALS = "withdrawals"
    """Withdrawals only, whoever records them."""
    HEALTH = "health"
    """The health check: one connection."""


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """How much of a pool is used."""

    size: int
    in_use: int
    waiting: int
    """Requests that wait for a connection, or for their caller's share."""


def create_engine(
    settings: DatabaseSettings,
    *,
    pool_size: int | None = None,
    pool_timeout_seconds: float | None = None,
    statement_timeout_ms: int | None = None,
    lock_timeout_ms: int | None = None,
    keep_plans: bool = False,
) -> AsyncEngine:
    """Return an engine for the database of the settings. It does not connect yet.

    Args:
        settings: the database, its hosts, the pool and the timeouts; the other arguments override them. Settings
            without keys make an engine that decrypts nothing.
        pool_size: how many connections the pool holds.
        pool_timeout_seconds: how long to wait for a connection of the pool.
        statement_timeout_ms: `statement_timeout` in milliseconds; 0 for none.
        lock_timeout_ms: `lock_timeout` in milliseconds; 0 for none.
        keep_plans: plan each statement once per connection (`force_generic_plan`). With row policies, planning a
            party's query takes several times as long as running it, and the plan does not depend on the parameters.
            It may have been made while the tables were small, so that it must not be one that is fast on them alone.

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
        # A burst of requests waits; it opens no more connections than the server was sized for.
        max_overflow=0,
        pool_timeout=settings.pool_timeout_seconds if pool_timeout_seconds is None else pool_timeout_seconds,
        # An error's text would otherwise contain personal data.
        hide_parameters=True,
        # More than twice as fast as `json.loads`. Values are not cached: some of them are personal data.
        json_deserializer=partial(from_json, cache_strings="keys"),
        connect_args={
            "async_creator_fn": connect,
            # A statement stays prepared, however long it is and however long ago it was used last.
            "max_cacheable_statement_size": 0,
            "max_cached_statement_lifetime": 0,
            "command_timeout": statement_timeout_ms / 1000 + _ANSWER_SECONDS if statement_timeout_ms else None,
            **encryption,
            "server_settings": connection_settings(statement_timeout_ms, lock_timeout_ms)
            | (_KEPT_PLANS if keep_plans else {}),
        },
    )
    _discard_dead_connections(engine)
    if isinstance(settings, Settings):
        keys = Keyring.of(settings)
        attach_keyring(engine.dialect, keys)
        event.listen(engine.sync_engine, "checkin", lambda *_: keys.forget_data_keys())
    return engine


def connection_settings(statement_timeout_ms: int, lock_timeout_ms: int) -> dict[str, str]:
    """Return what each connection sets on the server."""
    return {
        "application_name": APPLICATION_NAME,
        "TimeZone": "UTC",
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(lock_timeout_ms),
        "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
    }


def connections_of(settings: Settings) -> int:
    """Return how many connections all processes of `serve`, each with a health check, and one `worker` keep."""
    pools = (settings.pool_size, settings.party_pool_size, settings.withdrawal_pool_size, _HEALTH_POOL_SIZE)
    return settings.workers * sum(pools) + settings.worker_pool_size


class Database:
    """The pools of one process, and the transactions on them.

    Tests use a subclass that nests every transaction in one that is rolled back.
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
        """Take an engine for each pool; `withdrawals` and `health` default to the parties'. `of` creates all four.

        Args:
            office: the engine of `Pool.OFFICE`.
            parties: the engine of `Pool.PARTIES`.
            withdrawals: the engine of `Pool.WITHDRAWALS`.
            health: the engine of `Pool.HEALTH`.
            any_role: do not require a safe role of `ready` (development).
            shares: the limit of each caller, for the pools that have one.
        """
        self._pools: Mapping[Pool, AsyncEngine] = {
            Pool.OFFICE: office,
            Pool.PARTIES: parties,
            Pool.WITHDRAWALS: parties if withdrawals is None else withdrawals,
            Pool.HEALTH: parties if health is None else health,
        }
        # Made once: making them takes longer than some queries.
        self._reading = {
            pool: engine.execution_options(isolation_level="AUTOCOMMIT") for pool, engine in self._pools.items()
        }
        self._snapshots = parties.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._any_role = any_role
        self._shares = {} if shares is None else shares
        self._requests: Counter[Pool] = Counter()
        self._checking: asyncio.Task[bool] | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Database":
        """Return the database of the settings. It does not connect yet."""
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
            create_engine(settings, pool_size=_HEALTH_POOL_SIZE, statement_timeout_ms=_HEALTH_TIMEOUT_MS),
            any_role=settings.environment is Environment.DEV,
            shares={
                pool: Share.of(
                    size, percent, max(seconds, _WITHDRAWAL_WAIT_SECONDS) if pool is Pool.WITHDRAWALS else seconds
                )
                for pool, size in sizes.items()
            },
        )

    @classmethod
    def of_worker(cls, settings: Settings) -> "Database":
        """Return the database of a process that serves no requests: one pool, used under every name."""
        engine = create_engine(
            settings,
            pool_size=settings.worker_pool_size,
            pool_timeout_seconds=settings.worker_statement_timeout_ms / 1000,
            statement_timeout_ms=settings.worker_statement_timeout_ms,
        )
        return cls(engine, engine, any_role=settings.environment is Environment.DEV)

    @asynccontextmanager
    async def transaction(
        self, pool: Pool = Pool.OFFICE, *, caller: str | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a transaction, which commits at the end, or rolls back if an exception was raised.

        Args:
            pool: the pool of the connection.
            caller: the caller whose share of the pool is used; None for the service itself, which has no limit.

        Raises:
            sqlalchemy.exc.TimeoutError: no connection became free in time, or none of the caller's share did.
            sqlalchemy.exc.DBAPIError: the connection was lost, or the commit failed.
        """
        async with self._opened(self._pools[pool], pool, caller) as connection, connection.begin():
            yield connection

    def reading(
        self, pool: Pool = Pool.OFFICE, *, caller: str | None = None
    ) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a connection in autocommit mode, for a read that is one statement: without BEGIN and COMMIT.

        Args:
            pool: the pool of the connection.
            caller: the caller whose share of the pool is used; None for the service itself, which has no limit.

        Raises:
            sqlalchemy.exc.TimeoutError: no connection became free in time, or none of the caller's share did.
            sqlalchemy.exc.DBAPIError: the connection was lost.
        """
        return self._opened(self._reading[pool], pool, caller)

    @asynccontextmanager
    async def _opened(self, engine: AsyncEngine, pool: Pool, caller: str | None) -> AsyncIterator[AsyncConnection]:
        """Yield a connection of an engine, within the caller's share of the pool."""
        share = self._shares.get(pool)
        self._requests[pool] += 1
        try:
            if share is not None:
                await share.acquire(caller)
            try:
                connection = await engine.connect()
                try:
                    yield connection
                except BaseException as error:
                    await connection.__aexit__(type(error), error, None)  # to the end, even if the task is cancelled
                    raise
                await connection.close()  # nothing is open on it, so there is nothing to wait for
            finally:
                if share is not None:
                    share.release(caller)
        finally:
            self._requests[pool] -= 1

    def usage(self) -> Mapping[Pool, PoolUsage]:
        """Return how much of each pool is used. May be called in another thread."""
        return {
            name: PoolUsage(pool.size(), in_use := pool.checkedout(), max(0, self._requests[name] - in_use))
            for name, engine in self._pools.items()
            if isinstance(pool := engine.pool, QueuePool)
        }

    @asynccontextmanager
    async def as_party(self, party: Actor, *, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        """Yield a read-only connection under this party's row security, in one snapshot.

        Args:
            party: the party that reads.
            caller: the caller whose share of the pool is used; None for the service itself, which has no limit.

        Raises:
            TokenRevoked: the access code of a complainant's token has ended.
            sqlalchemy.exc.TimeoutError: no connection became free in time, or none of the caller's share did.
            sqlalchemy.exc.DBAPIError: the connection was lost.
        """
        async with self._snapshot(caller) as connection:
            await assume_party(connection, party)
            yield connection

    @asynccontextmanager
    async def _snapshot(self, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        # One statement finds the party's rows and the next reads them: both need the same snapshot.
        async with self._opened(self._snapshots, Pool.PARTIES, caller) as connection, connection.begin():
            yield connection

    async def ready(self) -> bool:
        """Whether the service can use the database: its schema, its role, and the secrets that it was used with.

        The role is not checked in development. Concurrent calls share one check, and so one connection.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
            OSError: the connection was refused.
            TimeoutError: there was no answer within two seconds.
        """
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
            self._checking.add_done_callback(_retrieve)
        # Shielded: a caller that is cancelled, or has waited long enough, must not cancel the check for the others.
        async with asyncio.timeout(_READY_SECONDS):
            return await asyncio.shield(self._checking)

    async def _check(self) -> bool:
        async with self.reading(Pool.HEALTH) as connection:
            if not self._any_role and await role_problem(connection):
                return False
            return await schema_problem(connection) is None and await secrets_problem(connection) is None

    async def close(self) -> None:
        """Close every connection."""
        if self._checking is not None:
            self._checking.cancel()
        for engine in set(self._pools.values()):
            await engine.dispose()


def _retrieve(check: asyncio.Task[bool]) -> None:
    """Retrieve the error of a check that ended after its last caller had given up, or asyncio would log it."""
    with suppress(Exception, asyncio.CancelledError):
        check.result()


def _driver_address(settings: DatabaseSettings) -> tuple[URL, dict[str, ssl.SSLContext | str]]:
    """Convert a libpq URL: take out the TLS parameters, which asyncpg expects as an argument."""
    url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+asyncpg")
    mode = url.query.get("sslmode")
    root = url.query.get("sslrootcert")
    url = url.difference_update_query(["sslmode", "sslrootcert"])
    if isinstance(root, str) and mode in {"verify-ca", "verify-full"}:
        context = ssl.create_default_context(cafile=root)
        context.check_hostname = mode == "verify-full"
        return url, {"ssl": context}
    return url, {"ssl": mode} if isinstance(mode, str) else {}


def _discard_dead_connections(engine: AsyncEngine) -> None:
    """Replace a dead connection when it is checked out, without a round trip for each request.

    SQLAlchemy's own probe (`pool_pre_ping`) takes three round trips on each use. The driver detects a connection that
    was closed, so only one that was unused for long is probed.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def _store_time(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["unused_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _check_connection(
        connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        unused_since = entry.info.get("unused_since", time.monotonic())
        if entry.driver_connection is None or entry.driver_connection.is_closed():
            raise DisconnectionError  # the pool opens another
        if time.monotonic() - unused_since > _PROBE_AFTER_SECONDS:
            dialect = engine.sync_engine.dialect
            try:
                dialect.do_ping(connection)
            except (engine.sync_engine.dialect.loaded_dbapi.Error, TimeoutError):
                entry.driver_connection.terminate()
                raise DisconnectionError from None

    @event.listens_for(engine.sync_engine, "handle_error")
    def _disconnect_from_standby_or_hanging_server(context: ExceptionContext) -> None:
        # After a failover the old primary may return as a read-only standby with our connections still open. Treat
        # them as lost, so that the next attempt connects to the host that accepts writes.
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY_TRANSACTION:
            context.is_disconnect = True
        # A server that hangs does not keep its own limits either, and all connections of the pool lead to it.
        if isinstance(context.original_exception, TimeoutError | OutcomeUnknown):
            context.is_disconnect = context.invalidate_pool_on_disconnect = True
