"""A transaction begins and ends with a call, and whatever becomes of it, the connection is left outside of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, ProgrammingError
from tests.conftest import NOON
from tests.round_trips import round_trips

from mediation_api.database.engine import Database, create_engine
from mediation_api.database.tables import idempotency_keys
from mediation_api.database.transactions import Argument, call, call_at_commit
from mediation_api.settings import Settings

KEY: Final = ("coordinator:a.morgan", "addMediator", "a key")
STORED: Final = ("store_response", *KEY, 201, None, b"\x00'", (uuid4(), uuid4()))


@pytest.fixture
async def one_connection(committed: Settings) -> AsyncIterator[Database]:
    """Transactions on one connection: one that is left inside of a transaction would be noticed by the next."""
    engine = create_engine(committed, pool_size=1)
    async with engine.connect():
        pass
    yield Database(engine, engine)
    await engine.dispose()


async def claim(
    database: Database, *key: str, last: tuple[str, *tuple[Argument, ...]] | None = None, fails: bool = False
) -> bool:
    """Claim a key, let the transaction end with a call, and roll it back if it `fails`."""
    async with database.transaction() as connection:
        claimed = await call(connection, "claim_key", *key, "a hash", NOON)
        if last is not None:
            await call_at_commit(connection, *last)
        if fails:
            raise ZeroDivisionError
    return claimed


async def kept(database: Database) -> list[tuple[str, int | None]]:
    columns = idempotency_keys.c
    async with database.reading() as connection:
        rows = await connection.execute(select(columns.caller, columns.status).order_by(columns.caller))
        return [(row.caller, row.status) for row in rows]


async def test_two_calls_and_a_statement_take_three_round_trips(one_connection: Database) -> None:
    with round_trips() as sent:
        async with one_connection.transaction() as connection:
            assert await call(connection, "claim_key", *KEY, "a hash", NOON)
            await connection.execute(select(1))
            await call_at_commit(connection, *STORED)
    assert sent == ["BEGIN;SELECT FROM claim_key", "SELECT 1", "SELECT FROM store_response"]
    assert await kept(one_connection) == [(KEY[0], 201)]


async def test_what_a_call_returns_is_returned(one_connection: Database) -> None:
    assert await claim(one_connection, *KEY)
    assert not await claim(one_connection, *KEY)


@pytest.mark.parametrize("text", ["'; DROP TABLE idempotency_keys; --", "\\'", "$$ü€😀\n", "%s :a $1", ""])
async def test_a_text_arrives_as_it_is(one_connection: Database, text: str) -> None:
    assert await claim(one_connection, text, "addMediator", "a key")
    assert await kept(one_connection) == [(text, None)]


async def test_a_text_has_the_collation_of_the_columns_that_it_is_compared_with(one_connection: Database) -> None:
    async with one_connection.transaction() as connection:
        await connection.exec_driver_sql(
            "CREATE FUNCTION pg_temp.is_default(given text) RETURNS boolean LANGUAGE plpgsql AS "
            "$$BEGIN RETURN collation for (given) = '\"default\"'; END$$"
        )
        assert await call(connection, "pg_temp.is_default", "a text")


async def test_after_a_first_call_that_fails_the_connection_is_outside_of_the_transaction(
    one_connection: Database,
) -> None:
    with pytest.raises(DBAPIError, match="does not exist"):
        await claim(one_connection, *KEY, "one argument too many")
    assert await claim(one_connection, *KEY)


async def test_a_first_call_that_is_cancelled_leaves_no_connection_within_a_transaction(
    one_connection: Database, committed: Settings
) -> None:
    other = Database.of(committed)
    async with other.transaction() as connection:
        await call(connection, "claim_key", *KEY, "a hash", NOON)
        waiting = asyncio.create_task(claim(one_connection, *KEY))
        await asyncio.sleep(0.2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await claim(one_connection, *KEY[:2], "another key")
    await other.close()
    assert [status for _, status in await kept(one_connection)] == [None, None]


async def test_a_call_that_fails_within_the_transaction_fails_as_a_statement_does(one_connection: Database) -> None:
    async def call_later() -> None:
        async with one_connection.transaction() as connection:
            await connection.execute(select(1))
            await call(connection, "no_such_function")

    with pytest.raises(ProgrammingError, match="does not exist"):
        await call_later()
    assert await claim(one_connection, *KEY)


async def test_a_last_call_that_fails_takes_everything_back(one_connection: Database) -> None:
    with pytest.raises(DBAPIError, match="does not exist"):
        await claim(one_connection, *KEY, last=("no_such_function",))
    assert await kept(one_connection) == []
    assert await claim(one_connection, *KEY)


async def test_the_last_call_of_what_is_rolled_back_is_not_made_by_the_next(one_connection: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await claim(one_connection, *KEY, last=STORED, fails=True)
    caller, operation, key = KEY
    row = {"caller": caller, "operation": operation, "key_sha256": key, "request_sha256": "a hash", "at": NOON}
    async with one_connection.transaction() as connection:
        await connection.execute(idempotency_keys.insert().values(row))
    assert await kept(one_connection) == [(KEY[0], None)]


async def test_a_connection_that_was_not_used_for_long_is_probed_before(
    one_connection: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediation_api.database.engine._PROBE_AFTER_SECONDS", -1)
    with round_trips() as sent:
        assert await claim(one_connection, *KEY)
    assert sent == ["BEGIN;", "ROLLBACK;", "BEGIN;SELECT FROM claim_key", "COMMIT;"]
