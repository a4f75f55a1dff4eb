"""Several changes in one statement: a command is answered sooner by every round trip that it does not wait for.

PostgreSQL runs the parts of a statement (`WITH … AS (UPDATE …)`) side by side, each on what was there before it. So
only what is independent may stand together: rows of different tables, or different rows of one. Keys that point at
other rows are held when the whole statement is done.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeAlias

from sqlalchemy import Executable, Insert, Table, Update, literal, select

Change: TypeAlias = tuple[Executable, Hashable]
"""A statement, and which row of its table it changes; None where that is not known."""


def batched(changes: Iterable[Change]) -> Iterator[Executable]:
    """The same changes in the same order, in as few statements as will do.

    All of them may be executed with the same parameters: each takes those that it names.
    """
    group: list[Insert | Update] = []
    touched: dict[Table, set[Hashable]] = {}
    for statement, row in changes:
        if not isinstance(statement, Insert | Update):
            yield from _one(group)
            yield statement  # a lock, for what comes after it
            group, touched = [], {}
            continue
        table = _table(statement)
        rows = touched.setdefault(table, set())
        if rows and not _apart(rows, row, statement):
            yield from _one(group)
            group, touched = [], {table: (rows := set())}
        group.append(statement)
        rows.add(_NEW if isinstance(statement, Insert) else row)
    yield from _one(group)


_NEW = object()
"""Rows that are inserted: whatever they are, they were not there before."""


def _apart(rows: set[Hashable], row: Hashable, statement: Insert | Update) -> bool:
    """Whether a change of a table stands beside those that are in the statement already."""
    if isinstance(statement, Insert):
        return rows == {_NEW}
    return row is not None and None not in rows and not rows & {_NEW, row}


def _one(group: list[Insert | Update]) -> Iterator[Executable]:
    if group:
        yield select(literal(len(group))).add_cte(*(change.cte(f"change_{n}") for n, change in enumerate(group)))


def _table(statement: Insert | Update) -> Table:
    if not isinstance(statement.table, Table):
        raise TypeError("only tables are changed")
    return statement.table
