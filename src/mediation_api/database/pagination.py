"""Keyset pagination: a page begins after the last row of the page before, so that each costs what the first one costs.

The repository is given a `PageRequest` and returns a `Page`; http/pagination.py makes the one of a query string, and a
response of the other. Each list is ordered by a key of its rows that does not change, with the row's id to break ties,
so that no row is missed or repeated while others are added. Only the start of a session can move, and only that session
with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Integer, bindparam, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.access_logging import logged_page
from mediation_api.database.access_scope import ScopeKind
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.statements import fetch_all
from mediation_api.domain.access import AccessScope, Relation

Position: TypeAlias = tuple[object, object]
"""The key and the id of the last row of a page."""

T = TypeVar("T")

STATEMENTS_OF_A_LIST: Final = 250
"""How many statements a list keeps in each process: those of the combinations of filters that were used last."""


class Sort(StrEnum):
    """The orders of one list, each named after its key; `-` is descending."""

    @property
    def key(self) -> str:
        """The name of the key that the list is ordered by."""
        return self.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the greatest key comes first."""
        return self.startswith("-")


class Order(NamedTuple):
    """What a list is ordered by: a key of its rows, and their id where keys are equal."""

    key: AnyColumn
    id_: AnyColumn
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list is requested: at most `limit` rows, beginning after the position `after`."""

    limit: int
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `next` is the position after which the next page begins; None on the last one."""

    items: tuple[T, ...]
    next: Position | None


Conditions: TypeAlias = tuple[ColumnElement[bool], ...]
FilterConditions: TypeAlias = Mapping[str, ColumnElement[bool]]
"""The condition of each filter of a list, by the filter's name; its parameter is called `filter_<name>`."""


def conditions_for(filters: FilterConditions, values: Mapping[str, object]) -> tuple[Conditions, dict[str, object]]:
    """The conditions of the filters that have a value, and the parameters of all filters."""
    conditions = tuple(condition for name, condition in filters.items() if values[name] is not None)
    return conditions, {f"filter_{name}": values[name] for name in filters}


async def read_page(
    connection: AsyncConnection,
    statement: AnySelect,
    request: PageRequest,
    order: Order,
    *,
    parameters: Mapping[str, object],
    scope: AccessScope | None = None,
    opened_id: AnyColumn | None = None,
    own: AnySelect | None = None,
) -> Page[AnyRow]:
    """Read one page of a list.

    Args:
        connection: of the request.
        statement: the list, without order and limit. It is cached by its caller, and the page's statement by this.
        request: which page.
        order: what the list is ordered by.
        parameters: the parameters of `statement`.
        scope: the access scope of a list that spans cases. Where that is the caller's own, the keys of all rows in
            scope are read first: the planner would expect them to be spread evenly over everybody's rows, and walk
            those in order to the end.
        own: the rows in such a scope by themselves, where `statement` joins more than it takes to find them.
        opened_id: the column that identifies the case or complaint that a row shows, to be logged; needs `scope`.
    """
    kind = None if scope is None else ScopeKind.of(scope)
    paged = _paged(statement, own, order, opened_id, kind, continued=request.after is not None)
    after_key, after_id = request.after or (None, None)
    # One row more than requested tells whether there is a next page, without counting.
    limits = {"rows": request.limit + 1, "shown": request.limit, "after_key": after_key, "after_id": after_id}
    rows = await fetch_all(connection, paged, {**parameters, **limits})
    items = tuple(rows[: request.limit])
    last = items[-1] if len(rows) > request.limit else None
    return Page(items, None if last is None else (last["page_key"], last["page_id"]))


@lru_cache(maxsize=4 * STATEMENTS_OF_A_LIST)
def _paged(
    statement: AnySelect,
    own_rows: AnySelect | None,
    by: Order,
    opened_id: AnyColumn | None,
    kind: ScopeKind | None,
    *,
    continued: bool,
) -> AnySelect:
    key, id_, descending = by
    if kind is not None and kind.relation in {Relation.OWN, Relation.PROPOSED, Relation.ASSIGNED}:
        rows = statement if own_rows is None else own_rows
        keys = rows.with_only_columns(key.label("key"), id_.label("id"), maintain_column_froms=True)
        own = keys.cte("own_keys").prefix_with("MATERIALIZED")
        # The page is chosen by its keys before anything else is read, so that columns cost for its rows alone.
        chosen = _limited(select(own.c.key, own.c.id), Order(own.c.key, own.c.id, descending), continued)
        part = chosen.cte("part").prefix_with("MATERIALIZED")
        statement = statement.join(part, part.c.id == id_)
        statement = _limited(statement, Order(part.c.key, part.c.id, descending), continued=False)
        key, id_ = part.c.key, part.c.id
    else:
        statement = _limited(statement, by, continued)
    statement = statement.add_columns(key.label("page_key"), id_.label("page_id"))
    if kind is not None and opened_id is not None:
        statement = statement.add_columns(opened_id.label("opened_id"))
        statement = logged_page(statement, kind, bindparam("shown", type_=Integer), descending=descending)
    return statement


def _limited(statement: AnySelect, by: Order, continued: bool) -> AnySelect:  # noqa: FBT001 - as in `_paged`
    """The rows of one page, in order; where it continues another page, those after its last row."""
    key, id_, descending = by
    if continued:
        row = tuple_(key, id_)
        after = tuple_(bindparam("after_key", type_=key.type), bindparam("after_id", type_=id_.type))
        statement = statement.where(row < after if descending else row > after)
    order = (key.desc(), id_.desc()) if descending else (key, id_)
    return statement.order_by(*order).limit(bindparam("rows", type_=Integer))
