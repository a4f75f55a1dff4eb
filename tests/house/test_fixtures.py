"""What the fixtures promise: each test begins with an empty database, whatever the one before it did."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import NOON, Clock

from mediation_api.database.engine import Database
from mediation_api.settings import Settings


async def _count(database: Database) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM pg_tables WHERE tablename = 'left_behind'")) or 0)


@pytest.mark.parametrize("_turn", [1, 2])
async def test_nothing_is_left_behind(database: Database, _turn: int) -> None:
    assert await _count(database) == 0

    async with database.transaction() as connection:
        await connection.execute(text("CREATE TEMP TABLE left_behind ()"))

    assert await _count(database) == 1


async def test_others_see_nothing_of_a_test(database: Database, engine: AsyncEngine) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TEMP TABLE left_behind ()"))

    assert await _count(Database(engine, engine)) == 0


async def test_an_exception_takes_back_its_own_transaction_only(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("DROP TABLE left_behind"))
            raise LookupError

    async with database.transaction() as connection:
        await connection.execute(text("CREATE TEMP TABLE left_behind ()"))
    with pytest.raises(LookupError):
        await fail()

    assert await _count(database) == 1


async def test_what_is_deferred_to_the_commit_is_checked(database: Database) -> None:
    async def break_it() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TEMP TABLE left_behind (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
            await connection.execute(text("INSERT INTO left_behind VALUES (1), (1)"))

    with pytest.raises(IntegrityError):
        await break_it()


async def test_requests_made_at_once_take_turns(database: Database) -> None:
    async def one() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("SELECT pg_sleep(0.01)"))

    await asyncio.gather(*(one() for _ in range(5)))


async def test_a_second_connection_inside_a_transaction_is_pointed_out(database: Database) -> None:
    async with database.transaction():
        with pytest.raises(AssertionError, match="a second connection inside a transaction"):
            await _count(database)


async def test_committed_is_a_database_of_its_own(committed: Settings, settings: Settings) -> None:
    assert committed.database_url != settings.database_url
    database = Database.of(committed)
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TEMP TABLE left_behind ()"))

    assert await _count(database) == 1
    await database.close()


def test_the_clock_stands_still_until_it_is_moved(clock: Clock) -> None:
    assert clock() == clock() == NOON

    clock.advance(days=28, hours=1)

    assert clock.now - NOON == timedelta(days=28, hours=1)
