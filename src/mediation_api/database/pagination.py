"""Pages by key: a page begins after the last row of the one before, so that it costs what the first one costs.

A walk misses and repeats nothing while rows are added, because each list is ordered by a key of the row itself, with
the row's id to break ties. Only a session's start can move, and only that session with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Integer, RowMapping, bindparam, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.access_logging import logged_page
from mediation_api.database.access_scope import ScopeKind
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.domain.access import AccessScope, Relation

Position: TypeAlias = tuple[object, object]
"""The key and the id of the last row that was given."""

T = TypeVar("T")


class Sort(StrEnum):
    """The orders of one list, named after the key that they go by; `-` is descending."""

    @property
    def key(self) -> str:
        """What it goes by."""
        return self.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.startswith("-")


class Order(NamedTuple):
    """What a list goes by: a key of its rows, and their id where keys are equal."""

    key: AnyColumn
    id_: AnyColumn
    descending: bool = False


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


Conditions: TypeAlias = tuple[ColumnElement[bool], ...]
Filters: TypeAlias = Mapping[str, ColumnElement[bool]]
"""Conditions on the rows of a list by the name of a filter, each with the parameter `wanted_<name>`."""


def conditions_for(filters: Filters, values: Mapping[str, object]) -> tuple[Conditions, dict[str, object]]:
    """The conditions of those filters that have a value, and the parameters of all of them."""
    conditions = tuple(condition for name, condition in filters.items() if values[name] is not None)
    return conditions, {f"wanted_{name}": values[name] for name in filters}


async def read_page(
    connection: AsyncConnection,
    statement: AnySelect,
    page: Page,
    order: Order,
    *,
    asked: Mapping[str, object],
    of: AccessScope | None = None,
    listed: AnyColumn | None = None,
) -> Slice[RowMapping]:
    """Run `statement`, which was put together once, for one page in this order. `asked` are its parameters.

    `of` is the reach that `statement` keeps to. Where that is somebody's own, what is theirs is gathered first: the
    planner takes it to be strewn evenly among everybody's, and would walk all of that in order to the end.
    With `listed`, a column of cases or complaints, it is written down which of them were seen.
    """
    kind = None if of is None else ScopeKind.of(of)
    paged = _paged(statement, order, listed, kind, continued=page.after is not None)
    after_key, after_id = page.after or (None, None)
    # One row more than wanted tells whether there is a next page, without counting.
    part = {"rows": page.limit + 1, "shown": page.limit, "after_key": after_key, "after_id": after_id}
    rows = (await connection.execute(paged, {**asked, **part})).mappings().all()
    items = tuple(rows[: page.limit])
    last = items[-1] if len(rows) > page.limit else None
    return Slice(items, None if last is None else (last["page_key"], last["page_id"]))


@cache
def _paged(
    statement: AnySelect, by: Order, listed: AnyColumn | None, kind: ScopeKind | None, *, continued: bool
) -> AnySelect:
    key, id_, descending = by
    if kind is not None and kind.relation in {Relation.OWN, Relation.PROPOSED, Relation.ASSIGNED}:
        keys = statement.with_only_columns(key.label("key"), id_.label("id"), maintain_column_froms=True)
        theirs = keys.cte("theirs").prefix_with("MATERIALIZED")
        # What a row costs is paid for the page alone: it is chosen by the keys, before anything else is read.
        chosen = _part(select(theirs.c.key, theirs.c.id), Order(theirs.c.key, theirs.c.id, descending), continued)
        part = chosen.cte("part").prefix_with("MATERIALIZED")
        statement = statement.join(part, part.c.id == id_)
        statement = _part(statement, Order(part.c.key, part.c.id, descending), continued=False)
        key, id_ = part.c.key, part.c.id
    else:
        statement = _part(statement, by, continued)
    statement = statement.add_columns(key.label("page_key"), id_.label("page_id"))
    if kind is not None and listed is not None:
        statement = statement.add_columns(listed.label("opened_id"))
        statement = logged_page(statement, kind, bindparam("shown", type_=Integer), descending=descending)
    return statement


def _part(statement: AnySelect, by: Order, continued: bool) -> AnySelect:  # noqa: FBT001 - as `_paged` is told
    """At most so many rows in this order as are wanted; if it is continued, those after the last that was given."""
    key, id_, descending = by
    if continued:
        here = tuple_(key, id_)
        there = tuple_(bindparam("after_key", type_=key.type), bindparam("after_id", type_=id_.type))
        statement = statement.where(here < there if descending else here > there)
    order = (key.desc(), id_.desc()) if descending else (key, id_)
    return statement.order_by(*order).limit(bindparam("rows", type_=Integer))
