"""Combine several INSERTs and UPDATEs into one statement, to save round trips.

PostgreSQL runs the parts of `WITH … AS (UPDATE …)` against one snapshot: no part sees what another part writes. So only
independent changes are combined: rows of different tables, or different rows of one table. Foreign keys are checked at
the end of the whole statement.

Building and compiling a statement takes longer than running it. So the statement of a change is built once, with a
bound parameter for each of its values, and the combination of the same statements is built once as well.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    Executable,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    insert,
    literal,
    select,
)
from sqlalchemy.sql.visitors import cloned_traverse, iterate

Parameters: TypeAlias = Mapping[str, object]

_STATEMENTS: Final = 1000
"""How many statements of one change are kept: a correction has one for each set of fields that it may change."""
_COMBINATIONS: Final = 200
"""How many combinations are kept, of about 100 kB each. All commands of a case from filing to close make about 60."""


class Change(NamedTuple):
    """A statement that was built once, the values of its parameters, and the row that it changes."""

    statement: Executable
    values: Parameters = MappingProxyType({})
    row: Hashable = None
    """A key of the row in its table; None if it is not known."""

    def among(self, common: Parameters) -> "Change":
        """Return the change with further values, of which the statement may name some."""
        return self._replace(values={**common, **self.values})


def inserted(table: Table, **columns: object) -> Change:
    """Return the insert of one row. A column may be an SQL expression that was built once."""
    expressions, values = _split(columns)
    return Change(_insert(table, tuple(values), expressions), values)


def updated(table: Table, where: Parameters, *conditions: ColumnElement[bool], **columns: object) -> Change:
    """Return the update of the rows in which the columns of `where` have these values.

    A column, and each further condition, may be an SQL expression that was built once.
    """
    expressions, values = _split(columns)
    statement = _update(table, tuple(where), conditions, tuple(values), expressions)
    return Change(statement, {**values, **{f"where_{name}": value for name, value in where.items()}})


def batched(changes: Iterable[Change]) -> Iterator[tuple[Executable, Parameters]]:
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


_NEW = object()
"""Stands for any inserted row: an insert is independent of other inserts, and not of updates."""


def _is_independent(rows: set[Hashable], change: Change) -> bool:
    """Whether a change can be combined with the changes of the same table's `rows` in one statement."""
    if isinstance(change.statement, Insert):
        return rows == {_NEW}
    return change.row is not None and None not in rows and not rows & {_NEW, change.row}


def _combined(group: list[Change]) -> Iterator[tuple[Executable, Parameters]]:
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
    """Return the names of a statement's parameters. SQLAlchemy gives unique names to those that have a fixed value."""
    parameters = (each for each in iterate(statement) if isinstance(each, BindParameter))
    return tuple(dict.fromkeys(each.key for each in parameters if not each.unique))


def _numbered(statement: Insert | Update, n: int) -> Insert | Update:
    def rename(parameter: BindParameter[object]) -> None:
        if not parameter.unique:
            parameter.key = f"{parameter.key}_{n}"

    return cloned_traverse(statement, {}, {"bindparam": rename})


@lru_cache(maxsize=_STATEMENTS)
def _insert(table: Table, columns: tuple[str, ...], expressions: tuple[tuple[str, ClauseElement], ...]) -> Insert:
    return insert(table).values(_bound(table, columns) | dict(expressions))


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
