"""Combine several INSERTs and UPDATEs into one statement, to save round trips.

PostgreSQL runs the parts of `WITH … AS (UPDATE …)` against one snapshot: no part sees what another part writes. So only
independent changes are combined: rows of different tables, or different rows of one table. Foreign keys are checked at
the end of the whole statement.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeAlias

from sqlalchemy import Executable, Insert, Table, Update, literal, select

Change: TypeAlias = tuple[Executable, Hashable]
"""A statement, and the key of the row that it changes in its table; None if that is not known."""


def batched(changes: Iterable[Change]) -> Iterator[Executable]:
    """Yield the changes in the same order, combined into as few statements as possible.

    All statements may be executed with the same parameters: each uses those that it names. A statement that is neither
    INSERT nor UPDATE is yielded by itself.
    """
    group: list[Insert | Update] = []
    touched: dict[Table, set[Hashable]] = {}
    for statement, row in changes:
        if not isinstance(statement, Insert | Update):
            yield from _combined(group)
            yield statement  # a lock, which must be taken before the changes after it
            group, touched = [], {}
            continue
        table = _table(statement)
        rows = touched.setdefault(table, set())
        if rows and not _is_independent(rows, row, statement):
            yield from _combined(group)
            group, touched = [], {table: (rows := set())}
        group.append(statement)
        rows.add(_NEW if isinstance(statement, Insert) else row)
    yield from _combined(group)


_NEW = object()
"""Stands for any inserted row: an insert is independent of other inserts, and not of updates."""


def _is_independent(rows: set[Hashable], row: Hashable, statement: Insert | Update) -> bool:
    """Whether a change can be combined with the changes of the same table's `rows` in one statement."""
    if isinstance(statement, Insert):
        return rows == {_NEW}
    return row is not None and None not in rows and not rows & {_NEW, row}


def _combined(group: list[Insert | Update]) -> Iterator[Executable]:
    if group:
        yield select(literal(len(group))).add_cte(*(change.cte(f"change_{n}") for n, change in enumerate(group)))


def _table(statement: Insert | Update) -> Table:
    if not isinstance(statement.table, Table):
        raise TypeError("an INSERT or UPDATE must change a table")
    return statement.table
