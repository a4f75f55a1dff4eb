"""Combine several INSERTs and UPDATEs into one statement, to save round trips.

PostgreSQL runs the parts of `WITH … AS (UPDATE …)` against one snapshot: no part sees what another part writes. So only
independent changes are combined: rows of different tables, or different rows of one table. Foreign keys are checked at
the end of the whole statement.

Building and compiling a statement takes longer than running it. So the statement of a change is built once, with a
bound parameter for each of its values, and the combination of the same statements is built once as well.

`batched` serves one command on few rows. `in_rows` serves many new objects at once: it inserts all rows that have the
same statement by one, from one parameter.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias, TypeGuard
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    Dialect,
    Insert,
    Select,
    Table,
    TypeDecorator,
    Update,
    bindparam,
    column,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.type_api import TypeEngine
from sqlalchemy.sql.visitors import ExternallyTraversible, cloned_traverse, iterate, replacement_traverse

from mediation_api.database.nesting import AnyStatement

Parameters: TypeAlias = Mapping[str, object]

_STATEMENTS: Final = 1000
"""How many statements of one change are kept: a correction has one for each set of fields that it may change."""
_COMBINATIONS: Final = 200
"""How many combinations are kept, of about 100 kB each. All commands of a case from filing to close make about 60."""


class Insertion(NamedTuple):
    """What the insert of a row is built from."""

    table: Table
    columns: tuple[str, ...]
    """Those that have a value."""
    expressions: tuple[tuple[str, ClauseElement], ...] = ()
    """Those that have an SQL expression."""


class Change(NamedTuple):
    """A statement that was built once, the values of its parameters, and the row that it changes."""

    statement: AnyStatement
    values: Parameters = MappingProxyType({})
    row: Hashable = None
    """A key of the row in its table; None if it is not known."""
    insertion: Insertion | None = None
    """What the statement is built from, if it inserts one row that cannot be there yet."""

    def among(self, common: Parameters) -> "Change":
        """Return the change with further values, of which the statement may name some."""
        return self._replace(values={**common, **self.values})


def inserted(table: Table, **columns: object) -> Change:
    """Return the insert of one row. A column may be an SQL expression that was built once."""
    expressions, values = _split(columns)
    insertion = Insertion(table, tuple(values), expressions)
    return Change(_insert(insertion), values, insertion=insertion)


def updated(table: Table, where: Parameters, *conditions: ColumnElement[bool], **columns: object) -> Change:
    """Return the update of the rows in which the columns of `where` have these values.

    A column, and each further condition, may be an SQL expression that was built once.
    """
    expressions, values = _split(columns)
    statement = _update(table, tuple(where), conditions, tuple(values), expressions)
    return Change(statement, {**values, **{f"where_{name}": value for name, value in where.items()}})


def batched(changes: Iterable[Change]) -> Iterator[tuple[AnyStatement, Parameters]]:
    """Yield the changes in the same order, combined into as few statements as possible, with their parameters.

    A statement that is neither INSERT nor UPDATE is yielded by itself.
    """
    group: list[Change] = []
    touched: dict[Table, set[Hashable]] = {}
    for change in changes:
        if not isinstance(change.statement, Insert | Update):
            yield from _combined(group)
            yield change.statement, change.values  # a lock, to be taken before the changes after it
            group, touched = [], {}
            continue
        table = _table(change.statement)
        rows = touched.setdefault(table, set())
        if rows and not _is_independent(rows, change):
            yield from _combined(group)
            group, touched = [], {table: (rows := set())}
        group.append(change)
        rows.add(_NEW if isinstance(change.statement, Insert) else change.row)
    yield from _combined(group)


def in_rows(changes: Iterable[Change], dialect: Dialect) -> Iterator[tuple[AnyStatement, Parameters]]:
    """Yield the changes as `batched` does, those that insert rows by the same statement as one insert of all rows.

    The rows are one parameter, so that a statement is the same for any number of them, and is limited neither by the
    number of parameters that PostgreSQL takes nor by the time that it takes to compile.

    Args:
        changes: inserts of new rows, in any order; what else there is follows them.
        dialect: of the connection; it has the keys by which values are hashed.
    """
    rows: dict[Insertion, list[dict[str, object]]] = {}
    others: list[Change] = []
    for change in changes:
        if change.insertion is None:
            others.append(change)
            continue
        types = _parameters(change.insertion)
        row = {name: _as_json(change.values[name], type_, dialect) for name, type_ in types.items()}
        rows.setdefault(change.insertion, []).append(row)
    inserts = (Change(_insert_rows(insertion), {"rows": listed}) for insertion, listed in rows.items())
    yield from batched([*inserts, *others])


@lru_cache(maxsize=_STATEMENTS)
def _parameters(insertion: Insertion) -> Mapping[str, TypeEngine[object]]:
    """Return the parameters of an insert, its columns first, with their types."""
    table, columns, expressions = insertion
    types = {name: table.c[name].type for name in columns}
    for _, expression in expressions:
        types |= {each.key: each.type for each in iterate(expression) if _is_parameter(each)}
    return types


@lru_cache(maxsize=_STATEMENTS)
def _insert_rows(insertion: Insertion) -> Insert:
    """Return the insert of any number of rows, which its parameter `rows` lists as JSON."""
    table, columns, expressions = insertion
    listed = func.jsonb_to_recordset(bindparam("rows", type_=JSONB)).table_valued(
        *(column(name, type_) for name, type_ in _parameters(insertion).items())
    )
    row = listed.render_derived(name="row", with_types=True).c

    def of_row(element: ExternallyTraversible, **_: object) -> ColumnElement[object] | None:
        return row[element.key] if _is_parameter(element) else None

    of_rows = (replacement_traverse(expression, {}, of_row) for _, expression in expressions)
    names = [*columns, *(name for name, _ in expressions)]
    return insert(table).from_select(names, select(*(row[name] for name in columns), *of_rows))


def _is_parameter(element: object) -> TypeGuard[BindParameter[object]]:
    """Whether this is a parameter of a command. SQLAlchemy gives unique names to those that have a fixed value."""
    return isinstance(element, BindParameter) and not element.unique


def _as_json(value: object, type_: TypeEngine[object], dialect: Dialect) -> object:
    """Return a value as PostgreSQL reads it from JSON for a column of this type."""
    if isinstance(type_, TypeDecorator):
        value = type_.process_bind_param(value, dialect)
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


_NEW = object()
"""Stands for any inserted row: an insert is independent of other inserts, and not of updates."""


def _is_independent(rows: set[Hashable], change: Change) -> bool:
    """Whether a change can be combined with the changes of the same table's `rows` in one statement."""
    if isinstance(change.statement, Insert):
        return rows == {_NEW}
    return change.row is not None and None not in rows and not rows & {_NEW, change.row}


def _combined(group: list[Change]) -> Iterator[tuple[AnyStatement, Parameters]]:
    if group:
        combination, names = _combination(tuple(change.statement for change in group))
        parts = enumerate(zip(group, names, strict=True))
        yield combination, {f"{name}_{n}": change.values[name] for n, (change, its) in parts for name in its}


@lru_cache(maxsize=_COMBINATIONS)
def _combination(statements: tuple[Insert | Update, ...]) -> tuple[Select[int], tuple[tuple[str, ...], ...]]:
    """Return the statement of several changes, and the parameters of each: those of the nth have the suffix n."""
    changes = (_numbered(statement, n).cte(f"change_{n}") for n, statement in enumerate(statements))
    return select(literal(len(statements))).add_cte(*changes), tuple(map(_names, statements))


def _names(statement: Insert | Update) -> tuple[str, ...]:
    """Return the names of a statement's parameters."""
    return tuple(dict.fromkeys(each.key for each in iterate(statement) if _is_parameter(each)))


def _numbered(statement: Insert | Update, n: int) -> Insert | Update:
    def rename(parameter: BindParameter[object]) -> None:
        if _is_parameter(parameter):
            parameter.key = f"{parameter.key}_{n}"

    return cloned_traverse(statement, {}, {"bindparam": rename})


@lru_cache(maxsize=_STATEMENTS)
def _insert(insertion: Insertion) -> Insert:
    return insert(insertion.table).values(_bound(insertion.table, insertion.columns) | dict(insertion.expressions))


@lru_cache(maxsize=_STATEMENTS)
def _update(
    table: Table,
    where: tuple[str, ...],
    conditions: tuple[ColumnElement[bool], ...],
    columns: tuple[str, ...],
    expressions: tuple[tuple[str, ClauseElement], ...],
) -> Update:
    same = (table.c[name] == bindparam(f"where_{name}", type_=table.c[name].type) for name in where)
    return table.update().where(*same, *conditions).values(_bound(table, columns) | dict(expressions))


def _bound(table: Table, columns: tuple[str, ...]) -> dict[str, ClauseElement]:
    return {name: bindparam(name, type_=table.c[name].type) for name in columns}


def _split(columns: Parameters) -> tuple[tuple[tuple[str, ClauseElement], ...], dict[str, object]]:
    """Separate the columns that are SQL expressions from those that are values."""
    expressions = tuple((name, value) for name, value in columns.items() if isinstance(value, ClauseElement))
    return expressions, {name: value for name, value in columns.items() if not isinstance(value, ClauseElement)}


def _table(statement: Insert | Update) -> Table:
    if not isinstance(statement.table, Table):
        raise TypeError("an INSERT or UPDATE must change a table")
    return statement.table
