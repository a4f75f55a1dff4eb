"""What a database server should be like beyond what `serve` requires: points of `mediation-api check`.

Each check returns what it found, as a text for operators, and raises SettingsError if something has to be changed.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.engine import connection_settings, connections_of, create_engine
from mediation_api.settings import DatabaseSettings, Settings, SettingsError

OLDEST_VERSION: Final = 150_000
"""PostgreSQL 15, as `server_version_num`."""

_EXTENSION: Final = "btree_gist"
_HOST: Final = text(
    """
    SELECT
        pg_is_in_recovery() AS is_standby, clock_timestamp() AS now, s.ssl, s.version AS tls,
        current_setting('server_version_num')::integer AS number, current_setting('server_version') AS version,
        current_setting('server_encoding') AS encoding
    FROM (SELECT) AS one LEFT JOIN pg_stat_ssl s ON s.pid = pg_backend_pid()
    """
)
_SETTINGS: Final = text("SELECT name, setting FROM pg_settings WHERE name = ANY (:names)")
_INSTALLED: Final = text("SELECT extversion FROM pg_extension WHERE extname = :name")
_LIMITS: Final = text(
    """
    SELECT
        current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
            - coalesce(current_setting('reserved_connections', true), '0')::integer AS server,
        r.rolconnlimit AS role, d.datconnlimit AS database
    FROM pg_roles r, pg_database d WHERE r.rolname = session_user AND d.datname = current_database()
    """
)
_NO_VALUES_IN_LOG: Final = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic|fatal",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "auto_explain.log_min_duration": "-1",
}
"""Patterns of values with which PostgreSQL's log quotes no statement, parameter or row. The first one is proposed."""
_BEHAVIOUR: Final = {
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "idle_session_timeout": "0",
    "row_security": "on",
    "search_path": r"public|.*\bpublic\b.*",
    "session_replication_role": "origin",
    "standard_conforming_strings": "on",
    "synchronous_commit": "on|remote_apply",
}
"""The same for what the service relies on: that it may write, that triggers run, that a commit is on disk."""


@dataclass(frozen=True, slots=True)
class DatabaseHost:
    """One of the hosts of a database URL."""

    name: str
    settings: DatabaseSettings = field(compare=False)
    """Settings whose URL has this host alone, whatever its kind."""


@dataclass(frozen=True, slots=True)
class HostState:
    """What a host says of itself."""

    is_primary: bool
    seconds_ahead: float
    """How far its clock is ahead of this machine's."""
    words: str


def hosts_of(settings: DatabaseSettings) -> Sequence[DatabaseHost]:
    """Return the hosts of the database URL, as the driver is given them."""
    url = make_url(settings.database_url.get_secret_value())
    engine = create_engine(settings)
    arguments = engine.dialect.create_connect_args(engine.url)[1]
    host, port = arguments.get("host"), arguments.get("port")
    hosts = host if isinstance(host, list) else [host]
    ports = port if isinstance(port, list) else [port] * len(hosts)
    found = []
    for each, its_port in zip(hosts, ports, strict=True):
        alone = url.set(host=None, port=None).difference_update_query(["host", "port", "target_session_attrs"])
        place = {"host": each or "localhost", "port": str(its_port or 5432)}
        address = alone.update_query_dict(place).render_as_string(hide_password=False)
        found.append(
            DatabaseHost(":".join(place.values()), settings.model_copy(update={"database_url": SecretStr(address)}))
        )
    return found


def wanted_kind(settings: DatabaseSettings) -> str:
    """Return the `target_session_attrs` of the database URL."""
    return str(make_url(settings.database_url.get_secret_value()).query.get("target_session_attrs", "any"))


@asynccontextmanager
async def connected(settings: DatabaseSettings) -> AsyncIterator[AsyncConnection]:
    """Yield a connection in autocommit mode, with the settings of the service.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database refused.
        OSError: it did not answer.
    """
    engine = create_engine(settings, pool_size=1).execution_options(isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def state_of(host: DatabaseHost) -> HostState:
    """Connect to a host, and return what it says. Raises SettingsError, and what `connected` raises."""
    async with connected(host.settings) as connection:
        before = datetime.now(UTC), time.monotonic()
        row = (await connection.execute(_HOST)).one()
        halfway = (time.monotonic() - before[1]) / 2
    if row.number < OLDEST_VERSION:
        raise SettingsError(f"is PostgreSQL {row.version}: version 15 or later is needed")
    if row.encoding != "UTF8":
        raise SettingsError(f"the database has the encoding {row.encoding}: create it with UTF8")
    kind = "standby" if row.is_standby else "primary"
    return HostState(
        is_primary=not row.is_standby,
        seconds_ahead=(row.now - before[0]).total_seconds() - halfway,
        words=f"{kind}, PostgreSQL {row.version}, {row.tls if row.ssl else 'without TLS'}",
    )


async def check_extension(connection: AsyncConnection) -> str:
    """Check the extension that constraints of the schema need."""
    version = await connection.scalar(_INSTALLED, {"name": _EXTENSION})
    if version is None:
        raise SettingsError(
            f"{_EXTENSION} is not installed in the database, so that constraints of the schema are missing: restore it"
        )
    return f"{_EXTENSION} {version}"


async def check_connection(connection: AsyncConnection, settings: DatabaseSettings) -> str:
    """Check the settings with which the server runs a connection of the service."""
    wanted = connection_settings(settings.statement_timeout_ms, settings.lock_timeout_ms)
    found = await _settings(connection, [*wanted, *_BEHAVIOUR])
    ignored = [name for name, value in wanted.items() if found.get(name) != value]
    if ignored:
        raise SettingsError(
            f"the server ignores what the service sets for {', '.join(ignored)}: name PostgreSQL itself in "
            "MEDIATION_DATABASE_URL and not a pooler"
        )
    different = _different(found, _BEHAVIOUR)
    if different:
        raise SettingsError(
            f"the server has settings with which the service does not work: {different}; change them for the server, "
            "the database or the role (ALTER … SET)"
        )
    return f"statement_timeout {settings.statement_timeout_ms} ms, lock_timeout {settings.lock_timeout_ms} ms"


async def check_log(connection: AsyncConnection) -> str:
    """Check that the server's log quotes no values."""
    different = _different(await _settings(connection, list(_NO_VALUES_IN_LOG)), _NO_VALUES_IN_LOG)
    if different:
        raise SettingsError(f"PostgreSQL's own log would quote what people wrote: {different}")
    return "PostgreSQL's own log quotes no values"


async def check_limits(connection: AsyncConnection, settings: Settings) -> str:
    """Check that the server, the role and the database allow all connections of `serve` and of one `worker`."""
    needed = connections_of(settings)
    row = (await connection.execute(_LIMITS)).one()
    limits = {
        "the server (max_connections, less those that are reserved)": row.server,
        "the role (ALTER ROLE … CONNECTION LIMIT)": row.role,
        "the database (ALTER DATABASE … CONNECTION LIMIT)": row.database,
    }
    low = [f"{name} allows {limit}" for name, limit in limits.items() if 0 <= limit < needed]
    if low:
        raise SettingsError(
            f"MEDIATION_WORKERS, MEDIATION_POOL_SIZE and the other pools need {needed} connections: {'; '.join(low)}"
        )
    return f"{needed} connections at most, of {row.server}"


async def _settings(connection: AsyncConnection, names: list[str]) -> Mapping[str, str]:
    return {row.name: row.setting for row in await connection.execute(_SETTINGS, {"names": names})}


def _different(found: Mapping[str, str], patterns: Mapping[str, str]) -> str:
    """Return which settings do not have a value of their pattern, with the first one that does; empty if all do."""
    return ", ".join(
        f"{name} is {found[name]} and should be {pattern.partition('|')[0]}"
        for name, pattern in patterns.items()
        if name in found and not re.fullmatch(pattern, found[name])
    )
