"""The connection to PostgreSQL: what commits, what does not, and what a lost server does to it."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError
from tests.conftest import Run, fresh_database

from mediation_api.database import schema
from mediation_api.database.engine import Database, Pool, connections_of, create_engine
from mediation_api.database.schema import migrations_folder
from mediation_api.settings import Settings, SettingsError


@pytest.fixture(scope="module")
def owned(run: Run, keys: Path, server_url: str, as_owner: Callable[[Settings], Settings]) -> Iterator[Settings]:
    """A database for these tests, as its owner, who may make tables."""
    with fresh_database(run, keys, server_url) as settings:
        yield as_owner(settings)


@pytest.fixture
async def real(owned: Settings) -> AsyncIterator[Database]:
    database = Database.of(owned)
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE things (name text NOT NULL)"))
    yield database
    async with database.transaction() as connection:
        await connection.execute(text("DROP TABLE things"))
    await database.close()


@pytest.fixture
async def migrated(committed: Settings, as_owner: Callable[[Settings], Settings]) -> AsyncIterator[Database]:
    """One whose revision a test may change."""
    database = Database.of(as_owner(committed))
    yield database
    await database.close()


async def _names(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list((await connection.scalars(text("SELECT name FROM things ORDER BY name"))).all())


async def _show(database: Database, name: str) -> str:
    async with database.reading() as connection:
        return str(await connection.scalar(text(f"SHOW {name}")))


async def test_a_transaction_is_committed_when_its_block_ends(real: Database) -> None:
    async with real.transaction() as connection:
        await connection.execute(text("INSERT INTO things VALUES ('kept')"))

    assert await _names(real) == ["kept"]


async def test_an_exception_takes_everything_back(real: Database) -> None:
    async def fail() -> None:
        async with real.transaction() as connection:
            await connection.execute(text("INSERT INTO things VALUES ('lost')"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert await _names(real) == []


async def test_a_read_stands_outside_any_transaction(real: Database) -> None:
    async with real.reading() as connection:
        first = await connection.scalar(text("SELECT now()"))
        second = await connection.scalar(text("SELECT now()"))

    assert first != second


async def test_a_transaction_after_a_read_is_one_again(real: Database) -> None:
    await _names(real)

    async with real.transaction() as connection:
        assert await connection.scalar(text("SELECT now()")) == await connection.scalar(text("SELECT now()"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TimeZone", "UTC"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("application_name", "mediation-api"),
    ],
)
async def test_each_connection_is_limited(real: Database, name: str, value: str) -> None:
    assert await _show(real, name) == value


async def test_an_error_does_not_tell_the_parameters(real: Database) -> None:
    async with real.transaction() as connection:
        await connection.execute(text("CREATE UNIQUE INDEX ON things (name)"))
        await connection.execute(text("INSERT INTO things VALUES ('c4n4ry')"))

    with pytest.raises(IntegrityError) as caught:
        async with real.transaction() as connection:
            await connection.execute(text("INSERT INTO things VALUES (:name)"), {"name": "c4n4ry"})

    assert "[SQL parameters hidden" in str(caught.value)


async def test_a_connection_that_the_server_closed_is_replaced_unnoticed(real: Database, owned: Settings) -> None:
    async with real.reading() as connection:
        gone = await connection.scalar(text("SELECT pg_backend_pid()"))
    other = Database.of(owned)
    async with other.reading() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid, 2000)"), {"pid": gone})
    await other.close()

    assert await _names(real) == []


async def test_a_connection_that_lay_unused_is_probed(real: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await _names(real)
    probes: list[object] = []
    monkeypatch.setattr(real._pools[Pool.OFFICE].sync_engine.dialect, "do_ping", probes.append)

    await _names(real)
    assert probes == []

    later = time.monotonic() + 60
    monkeypatch.setattr("mediation_api.database.engine.time.monotonic", lambda: later)
    await _names(real)
    assert len(probes) == 1


async def test_a_full_pool_is_an_error_after_the_time_limit(settings: Settings) -> None:
    database = Database.of(settings.model_copy(update={"pool_size": 1, "pool_timeout_seconds": 0.05}))
    try:
        async with database.transaction():
            with pytest.raises(NoConnectionFreeError):
                async with database.transaction():
                    pass
    finally:
        await database.close()


async def test_a_read_only_server_costs_the_connection(real: Database) -> None:
    """After a failover the old primary may come back as a standby, with our connections still open."""
    async with real.reading() as connection:
        before = await connection.scalar(text("SELECT pg_backend_pid()"))

    async def write() -> None:
        async with real.transaction() as connection:
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            await connection.execute(text("INSERT INTO things VALUES ('refused')"))

    with pytest.raises(DBAPIError) as caught:
        await write()

    assert caught.value.connection_invalidated
    async with real.reading() as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) != before


async def test_a_migrated_database_is_ready(real: Database) -> None:
    assert await real.ready()


@pytest.mark.parametrize("statement", ["DROP TABLE alembic_version", "DELETE FROM alembic_version"])
async def test_a_database_that_was_never_migrated_is_not_ready(migrated: Database, statement: str) -> None:
    async with migrated.transaction() as connection:
        await connection.execute(text(statement))

    assert not await migrated.ready()


async def test_a_database_that_a_newer_release_migrated_is_ready(migrated: Database) -> None:
    async with migrated.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'of the future'"))

    assert await migrated.ready()


async def test_a_database_behind_this_release_is_not_ready(real: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "revisions", lambda: ("2026_first", "2999_one_more"))

    assert not await real.ready()


async def test_a_server_that_is_away_is_an_error(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/nothing")})
    database = Database.of(away)

    with pytest.raises(OSError, match="Connect"):
        await database.ready()


async def test_the_connections_of_all_processes_are_those_of_their_pools(settings: Settings) -> None:
    three = settings.model_copy(update={"workers": 3, "pool_size": 5, "party_pool_size": 2, "withdrawal_pool_size": 1})
    database = Database.of(three)
    worker = Database.of_worker(three.model_copy(update={"worker_pool_size": 2}))
    assert connections_of(three) == 3 * sum(pool.size for pool in database.usage().values()) + three.worker_pool_size
    assert connections_of(three) == 3 * 9 + 4
    assert {pool.size for pool in worker.usage().values()} == {2}
    await database.close()
    await worker.close()


def test_without_a_database_there_is_no_engine(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="MEDIATION_DATABASE_URL: is required"):
        create_engine(settings.model_copy(update={"database_url": SecretStr("")}))


def _driver_arguments(settings: Settings, url: str) -> dict[str, object]:
    engine = create_engine(settings.model_copy(update={"database_url": SecretStr(url)}))
    _, arguments = engine.sync_engine.dialect.create_connect_args(engine.url)
    return dict(arguments)


def test_several_hosts_reach_the_driver(settings: Settings) -> None:
    arguments = _driver_arguments(
        settings, "postgresql://api:secret@/mediation?host=a:5432&host=b:5433&target_session_attrs=read-write"
    )

    assert arguments == {
        "user": "api",
        "password": "secret",
        "database": "mediation",
        "host": ["a", "b"],
        "port": [5432, 5433],
        "target_session_attrs": "read-write",
    }


def test_encryption_is_not_left_in_the_address(settings: Settings) -> None:
    arguments = _driver_arguments(settings, "postgresql://api@db/mediation?sslmode=require")

    assert "sslmode" not in arguments


async def test_the_first_host_that_takes_writes_is_used(settings: Settings) -> None:
    """A host that is away comes first; the driver goes on to the next."""
    url = settings.database_url.get_secret_value()
    if "host=" not in url:
        pytest.skip("needs the embedded server")
    folder = url.partition("host=")[2]
    both = url.partition("?")[0] + f"?host=/nowhere,{folder}&port=5432,5432&target_session_attrs=read-write"
    database = Database.of(settings.model_copy(update={"database_url": SecretStr(both)}))
    try:
        assert await database.ready()
    finally:
        await database.close()


def test_migrations_are_found_in_the_repository() -> None:
    assert migrations_folder() == Path(__file__).parents[2] / "migrations"
