"""Statements that are executed on the driver itself."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import ARRAY, DateTime, Integer, String, Uuid, bindparam, func, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.compiler import SQLCompiler

from mediation_api.database import tables as t
from mediation_api.database.batching import inserted
from mediation_api.database.encryption import BlindIndex
from mediation_api.database.engine import Database, create_engine
from mediation_api.database.nesting import AnySelect
from mediation_api.database.statements import _compiled, fetch_all, fetch_first
from mediation_api.dev.office import Office
from mediation_api.settings import Settings

_VALUES: AnySelect = select(
    bindparam("id", type_=Uuid).label("id"),
    bindparam("at", type_=DateTime(timezone=True)).label("at"),
    bindparam("text", type_=String).label("text"),
    bindparam("ids", type_=ARRAY(Uuid)).label("ids"),
    bindparam("json", type_=JSONB).label("json"),
    bindparam("number", type_=BlindIndex("employee_number")).label("number"),
    literal("a constant").label("constant"),
    func.int4range(1, 5).label("range"),
    literal(None, String).label("nothing"),
)
_PARAMETERS = {
    "id": uuid4(),
    "at": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "text": "Zoë's",
    "ids": [uuid4(), uuid4()],
    "json": {"a": [1, None, "b"]},
    "number": "PO-0815",
}


async def test_a_row_is_what_sqlalchemy_would_return(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        expected = (await connection.execute(_VALUES, _PARAMETERS)).mappings().one()
        (row,) = await fetch_all(connection, _VALUES, _PARAMETERS)
    assert dict(row) == dict(expected)
    assert {name: type(value) for name, value in row.items()} == {n: type(v) for n, v in expected.items()}


async def test_no_rows_are_no_first_row(engine: AsyncEngine) -> None:
    none = select(t.cases.c.id).where(t.cases.c.id == bindparam("id", type_=Uuid))
    async with engine.connect() as connection:
        assert await fetch_first(connection, none, {"id": uuid4()}) is None


async def test_a_parameter_without_a_value_is_an_error(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(KeyError, match="text"):
            await fetch_all(connection, _VALUES, {name: value for name, value in _PARAMETERS.items() if name != "text"})


async def test_a_list_of_values_is_refused(engine: AsyncEngine) -> None:
    """SQLAlchemy writes it into the text of a statement anew each time."""
    listed = select(t.cases.c.id).where(t.cases.c.state.in_(["closed", "ready"]))
    async with engine.connect() as connection:
        with pytest.raises(TypeError, match="any_"):
            await fetch_all(connection, listed, {})


async def test_an_error_is_that_of_sqlalchemy_and_the_transaction_is_rolled_back(engine: AsyncEngine) -> None:
    sha256 = uuid4().hex * 2
    change = inserted(t.disclosures, sha256=sha256, version="1", language="en", body="a text")
    found = select(t.disclosures.c.sha256).where(t.disclosures.c.sha256 == bindparam("sha256", type_=String))
    async with engine.connect() as connection:
        for _ in range(2):
            await connection.begin()
            await fetch_all(connection, change.statement, change.values)
            with pytest.raises(IntegrityError):
                await fetch_all(connection, change.statement, change.values)
            await connection.rollback()
        with pytest.raises(ProgrammingError, match="does not exist"):
            await fetch_all(connection, select(func.no_such_function()), {})
        await connection.rollback()
        assert await fetch_all(connection, found, {"sha256": sha256}) == []


async def test_what_is_cancelled_gives_no_connection_back_that_still_waits(committed: Settings) -> None:
    engine = create_engine(committed, pool_size=1)
    database = Database(engine, engine)
    sleep = select(func.pg_sleep(30))

    async def wait() -> None:
        async with database.reading() as connection:
            await fetch_all(connection, sleep, {})

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(5), database.reading() as connection:
        (row,) = await fetch_all(connection, select(literal(1).label("one")), {})
    assert row["one"] == 1
    await database.close()


async def test_a_server_that_ends_the_connection_is_a_lost_connection(committed: Settings) -> None:
    engine = create_engine(committed, pool_size=1)
    database = Database(engine, engine)
    ends = select(func.pg_terminate_backend(func.pg_backend_pid()))
    with pytest.raises(DBAPIError) as lost:
        async with database.reading() as connection:
            await fetch_all(connection, ends, {})
    assert lost.value.connection_invalidated
    async with database.reading() as connection:
        assert len(await fetch_all(connection, select(literal(1)), {})) == 1
    await database.close()


async def test_a_long_statement_stays_prepared(committed: Settings) -> None:
    """The driver would prepare one of more than 15 KiB each time."""
    engine = create_engine(committed, pool_size=1)
    long: AnySelect = select(*(literal(n, Integer).label(f"a_long_name_of_a_column_{n}") for n in range(800)))
    async with engine.connect() as connection:
        assert len(_compiled(long, connection.dialect).sql) > 20_000
        for _ in range(2):
            await fetch_all(connection, long, {})
        uses = select(text("generic_plans + custom_plans")).select_from(text("pg_prepared_statements"))
        used = (
            await connection.scalars(
                uses.where(text("statement LIKE '%column_799%' AND statement NOT LIKE '%prepared%'"))
            )
        ).all()
    await engine.dispose()
    assert used == [2]


async def test_engines_share_the_text_of_a_statement_and_not_their_keys(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = settings.model_copy(update={"search_secret": SecretStr("of another city, which nobody else knows")})
    engines = [create_engine(each) for each in (settings, other)]
    ours = _compiled(_VALUES, engines[0].dialect)
    monkeypatch.setattr(SQLCompiler, "__init__", None)  # nothing can be compiled any more
    theirs = _compiled(_VALUES, engines[1].dialect)
    assert ours.sql == theirs.sql
    hashed = {parameters.arguments(_PARAMETERS)[5] for parameters in (ours, theirs)}
    assert len(hashed) == 2
    assert "PO-0815" not in hashed
    with pytest.raises(TypeError):
        _compiled(select(literal(2)), engines[1].dialect)


async def test_a_request_that_is_repeated_compiles_no_statement(office: Office) -> None:
    async def live_through() -> None:
        story = await office.file()
        await story.screen()
        for party in (*story.complainants, *story.officers):
            await story.answer(party)
        await story.complainants[0].get(story.path)
        await office.coordinator.get("/v1/cases?limit=5")
        await office.coordinator.get(f"{story.path}/timeline")
        await office.coordinator.get("/v1/me")

    await live_through()
    before = _compiled.cache_info().misses
    await live_through()
    assert _compiled.cache_info().misses == before
