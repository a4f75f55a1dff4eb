"""Connections when a host does not answer, or the server hangs."""

import asyncio
import gc
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from tests.conftest import Run, fresh_database

from mediation_api.database import connecting
from mediation_api.database import engine as engine_module
from mediation_api.database.connecting import HEAD_START_SECONDS, HOST_SECONDS
from mediation_api.database.engine import Database
from mediation_api.database.transactions import OutcomeUnknown
from mediation_api.settings import Settings

pytestmark = pytest.mark.drawn

PATIENCE: Final = 0.6
"""Seconds."""


@dataclass(slots=True)
class Relay:
    """A port that leads to the test server."""

    port: int = 0
    connections: int = 0
    hanging: int = 0
    """How many of them, the first ones, do not forward what arrives any more."""

    def hang(self) -> None:
        """Let the connections that are open forward nothing, as if their host hung; new ones lead to another."""
        self.hanging = self.connections


@asynccontextmanager
async def relay(settings: Settings) -> AsyncIterator[Relay]:
    """Forward a port to the socket of the test server."""
    opened = Relay()
    folder = make_url(settings.database_url.get_secret_value()).query.get("host")
    if folder is None:
        pytest.skip("needs the embedded server")

    async def forward(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                if number > opened.hanging:
                    writer.write(chunk)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.connections += 1
        number = opened.connections
        from_server, to_server = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        await asyncio.gather(forward(number, reader, to_server), forward(number, from_server, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    yield opened
    server.close()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and never answers, as a host that hangs does."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def refusing() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def at(settings: Settings, *ports: int) -> Settings:
    """Settings whose database is reached at one of these ports."""
    base = settings.database_url.get_secret_value().partition("?")[0]
    hosts = "&".join(f"host=127.0.0.1:{port}" for port in ports)
    url = f"{base}?{hosts}&target_session_attrs=read-write"
    return settings.model_copy(update={"database_url": SecretStr(url), "allow_unencrypted_database": True})


async def seconds_until_connected(settings: Settings) -> float:
    database = Database.of(settings)
    began = time.monotonic()
    try:
        async with database.transaction() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
        return time.monotonic() - began
    finally:
        await database.close()


async def test_a_host_that_hangs_delays_the_next_one_by_its_head_start(settings: Settings, silent: int) -> None:
    async with relay(settings) as server:
        assert HEAD_START_SECONDS <= await seconds_until_connected(at(settings, silent, server.port)) < HOST_SECONDS


async def test_a_host_that_refuses_delays_nothing(settings: Settings, refusing: int) -> None:
    async with relay(settings) as server:
        # The quickest of five: a busy machine may hold one up, and a delay would be there each time.
        tried = [await seconds_until_connected(at(settings, refusing, server.port)) for _ in range(5)]
        assert min(tried) < HEAD_START_SECONDS


async def test_the_last_host_is_tried_though_those_before_it_hang(settings: Settings, silent: int) -> None:
    async with relay(settings) as server:
        assert await seconds_until_connected(at(settings, silent, silent, silent, server.port)) < HOST_SECONDS


async def test_hosts_that_all_hang_are_given_up(
    settings: Settings, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "HOST_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await seconds_until_connected(at(settings, silent, silent))
    assert time.monotonic() - began < 2


async def test_a_check_that_ends_when_nobody_waits_for_it_any_more_is_no_error_of_the_log(
    settings: Settings, silent: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_module, "_READY_SECONDS", 0.1)
    monkeypatch.setattr(connecting, "HOST_SECONDS", 0.3)
    database = Database.of(at(settings, silent))
    with pytest.raises(TimeoutError):
        await database.ready()
    await asyncio.sleep(0.4)
    database._checking = None
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []
    await database.close()


async def test_readiness_answers_within_two_seconds(settings: Settings, silent: int) -> None:
    database = Database.of(at(settings, silent))
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await database.ready()
    assert time.monotonic() - began < 2
    await database.close()


@pytest.fixture(scope="module")
def owned(run: Run, keys: Path, server_url: str, as_owner: Callable[[Settings], Settings]) -> Iterator[Settings]:
    with fresh_database(run, keys, server_url) as settings:
        yield as_owner(settings)


@pytest.fixture
async def impatient(owned: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a service that waits for a statement for `PATIENCE`, and lets the server take a tenth of a second."""
    monkeypatch.setattr(engine_module, "_ANSWER_SECONDS", PATIENCE - 0.1)
    return owned.model_copy(update={"statement_timeout_ms": 100, "pool_size": 2})


async def _select_one(database: Database) -> int:
    async with database.transaction() as connection:
        number: int = (await connection.execute(text("SELECT 1"))).scalar_one()
    return number


async def test_a_server_that_hangs_costs_one_wait_and_every_connection_to_it(impatient: Settings) -> None:
    async with relay(impatient) as server:
        database = Database.of(at(impatient, server.port))
        async with database.transaction(), database.transaction():
            pass  # so that the pool has two connections
        await _select_one(database)
        server.hang()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await _select_one(database)
        assert time.monotonic() - began < 2 * PATIENCE
        assert await _select_one(database) == 1
        await database.close()


async def test_a_connection_that_was_unused_for_long_to_a_server_that_hangs_is_replaced_unnoticed(
    impatient: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_PROBE_AFTER_SECONDS", 0)
    async with relay(impatient) as server:
        database = Database.of(at(impatient, server.port))
        await _select_one(database)
        server.hang()
        assert await _select_one(database) == 1
        await database.close()


@pytest.mark.skipif(sys.platform != "linux", reason="these options are those of Linux")
async def test_the_kernel_ends_a_connection_to_a_host_that_is_gone(settings: Settings) -> None:
    async with relay(settings) as server:
        database = Database.of(at(settings, server.port))
        async with database.transaction() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            end = driver._transport.get_extra_info("socket")
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        await database.close()


async def _commit(database: Database, at_commit: str) -> None:
    """Commit a transaction, which executes these statements of PL/pgSQL at its end."""
    async with database.transaction() as connection:
        for statement in (
            "CREATE TEMPORARY TABLE late (name text)",
            f"""CREATE FUNCTION pg_temp.late() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN {at_commit}; RETURN NULL; END $$""",
            """CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION pg_temp.late()""",
            "INSERT INTO late VALUES ('x')",
        ):
            await connection.execute(text(statement))


@pytest.mark.parametrize(
    "at_commit",
    [
        "RAISE WARNING 'canceling the wait for the standby'",
        "PERFORM pg_terminate_backend(pg_backend_pid())",
        "SET LOCAL statement_timeout = 0; PERFORM pg_sleep(30)",
    ],
    ids=["warning", "terminated", "hangs"],
)
async def test_a_commit_that_is_not_confirmed_is_not_reported_as_done(impatient: Settings, at_commit: str) -> None:
    database = Database.of(impatient)
    with pytest.raises(OutcomeUnknown):
        await _commit(database, at_commit)
    assert await _select_one(database) == 1
    await database.close()


async def test_a_commit_that_is_refused_is_reported_as_refused(impatient: Settings) -> None:
    database = Database.of(impatient)
    with pytest.raises(DBAPIError, match="no such thing"):
        await _commit(database, "RAISE EXCEPTION 'no such thing'")
    await database.close()


async def test_a_read_whose_end_is_not_confirmed_has_no_outcome_to_be_unknown(impatient: Settings) -> None:
    """Nobody is told to send a GET again with its key."""
    async with relay(impatient) as server:
        database = Database.of(at(impatient, server.port))
        with pytest.raises(TimeoutError):
            await _read_only(database, server)
        await database.close()


async def _read_only(database: Database, server: Relay) -> None:
    async with database._snapshot() as connection:
        await connection.execute(text("SELECT 1"))
        server.hang()
