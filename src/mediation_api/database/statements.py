"""Run statements that were built once on the driver itself.

SQLAlchemy compiles a statement; asyncpg executes it. What SQLAlchemy does in between for each execution (a cache key of
the whole statement, a context, a cursor, a result, and switches between greenlets) takes several times as long as the
driver. So a statement is compiled here once, and for each engine the functions are kept that convert its parameters and
columns, as the types of SQLAlchemy declare them: some need the keys of the engine.

Pass no statement here that is built anew for each request: it would be compiled each time, and would crowd out others.
`AsyncConnection.execute` is made for those.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, Dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from mediation_api.database.nesting import AnyRow, AnyStatement
from mediation_api.database.transactions import on_driver

_Convert: TypeAlias = Callable[[object], object]

_COMPILED_STATEMENTS: Final = 2000
"""How many compiled statements a process keeps, for all engines together."""


class _Parameter(NamedTuple):
    """One parameter of a compiled statement."""

    key: str
    value: object
    """What is passed if the caller gives none: the value of a literal."""
    is_required: bool
    convert: _Convert | None


class _Compiled(NamedTuple):
    """What it takes to execute a statement on the connections of an engine."""

    sql: str
    parameters: tuple[_Parameter, ...]
    """Those of $1, $2 and so on."""
    converted: tuple[tuple[str, _Convert], ...]
    """The columns whose values are converted when they are read."""

    def arguments(self, given: Mapping[str, object]) -> list[object]:
        """Return the arguments of the driver. Raises KeyError if a parameter has no value."""
        return [
            value if convert is None else convert(value)
            for key, default, is_required, convert in self.parameters
            for value in (given[key] if is_required else given.get(key, default),)
        ]

    def row(self, record: Mapping[str, object]) -> AnyRow:
        """Return a row of the driver with converted values."""
        row: dict[str, object] = dict(record)
        for name, convert in self.converted:
            row[name] = convert(row[name])
        return row


async def fetch_all(
    connection: AsyncConnection, statement: AnyStatement, parameters: Mapping[str, object]
) -> Sequence[AnyRow]:
    """Return the rows of a statement that was built once; none if it returns no rows. One round trip.

    Raises:
        KeyError: a parameter has no value.
        sqlalchemy.exc.DBAPIError: the statement failed, or the connection was lost.
    """
    compiled = _compiled(statement, connection.dialect)
    arguments = compiled.arguments(parameters)
    records = await on_driver(connection, lambda driver: driver.fetch(compiled.sql, *arguments))
    return [compiled.row(record) for record in records]


async def fetch_first(
    connection: AsyncConnection, statement: AnyStatement, parameters: Mapping[str, object]
) -> AnyRow | None:
    """Return the first row of a statement that was built once, as `fetch_all`; None if there is none."""
    rows = await fetch_all(connection, statement, parameters)
    return rows[0] if rows else None


class _Source(NamedTuple):
    """A statement as PostgreSQL reads it, with the types of what is passed and returned."""

    sql: str
    parameters: tuple[BindParameter[object], ...]
    columns: tuple[tuple[str, TypeEngine[object]], ...]


_SOURCES: Final[WeakKeyDictionary[AnyStatement, _Source]] = WeakKeyDictionary()
"""Those of the statements that exist, for all engines: they have the same dialect, and one server."""


@lru_cache(maxsize=_COMPILED_STATEMENTS)
def _compiled(statement: AnyStatement, dialect: Dialect) -> _Compiled:
    source = _SOURCES.get(statement)
    if source is None:
        source = _SOURCES[statement] = _source(statement, dialect)
    parameters = tuple(
        _Parameter(
            bind.key, bind.effective_value, bind.required, bind.type.dialect_impl(dialect).bind_processor(dialect)
        )
        for bind in source.parameters
    )
    converted = tuple(
        (name, convert)
        for name, kind in source.columns
        if (convert := kind.dialect_impl(dialect).result_processor(dialect, None)) is not None
    )
    return _Compiled(source.sql, parameters, converted)


def _source(statement: AnyStatement, dialect: Dialect) -> _Source:
    compiler = statement.compile(dialect=dialect)
    if compiler.post_compile_params or compiler.literal_execute_params:
        raise TypeError("a list of values is one parameter here: compare with `any_`, or with `constants`")
    parameters = tuple(compiler.binds[name] for name in compiler.positiontup or ())
    columns = tuple((column.key, column.type) for column in statement.exported_columns if column.key is not None)
    return _Source(compiler.string, parameters, columns)
