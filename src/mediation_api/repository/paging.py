"""Pages by key: a page begins after the last row of the one before, so that it costs what the first one costs.

A walk misses and repeats nothing while rows are added, because each list is ordered by a key that never changes for
a row, with the row's id to break ties.
"""

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.repository.nesting import AnyColumn, AnySelect

Position: TypeAlias = tuple[object, object]
"""The key and the id of the last row that was given."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted: at most `limit` rows, after `after`."""

    limit: int
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """A part of a list. `next` is where the following one begins; None at the end."""

    items: tuple[T, ...]
    next: Position | None


async def read_page(
    connection: AsyncConnection,
    statement: AnySelect,
    page: Page,
    *,
    key: AnyColumn,
    id_: ColumnElement[UUID] | ColumnElement[int],
    descending: bool = False,
) -> Slice[RowMapping]:
    """Run `statement` for one page, ordered by `key` and `id_`."""
    here = tuple_(key, id_)
    if page.after is not None:
        there = tuple_(literal(page.after[0], key.type), literal(page.after[1], id_.type))
        statement = statement.where(here < there if descending else here > there)
    order = (key.desc(), id_.desc()) if descending else (key, id_)
    # One row more than wanted tells whether there is a next page, without counting.
    statement = statement.add_columns(key.label("page_key"), id_.label("page_id"))
    rows = (await connection.execute(statement.order_by(*order).limit(page.limit + 1))).mappings().all()
    items = tuple(rows[: page.limit])
    last = items[-1] if len(rows) > page.limit else None
    return Slice(items, None if last is None else (last["page_key"], last["page_id"]))
