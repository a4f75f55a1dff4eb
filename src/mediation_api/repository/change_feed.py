"""Reading the change feed: the events in the order in which they were committed, each with a number.

Events are queued in the transaction that records them, and `number_events` moves them to the feed once they are
committed. A reader that has passed a number has therefore seen every event before it, also those of a transaction that
took long.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, DateTime, Integer, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged_page
from mediation_api.database.access_scope import CALLER_SUBJECT, ScopeKind, scope_parameters
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.statements import fetch_all
from mediation_api.domain.access import AccessScope, Relation

CLOCKS_DIFFER: Final = timedelta(hours=1)
"""By how much the times of two events may deviate from the order of their numbers: clocks differ, requests wait."""

FULL_BATCH: Final = 1000
"""At least so many entries are appended at once while more events wait (migrations/sql/number_events.sql)."""

_AFTER: Final = bindparam("after", type_=BigInteger)
_BEFORE: Final = bindparam("before", type_=DateTime(timezone=True))


class FeedPosition(NamedTuple):
    """An entry of the feed after which reading continues. Its event tells a database that was restored since."""

    number: int
    event_id: UUID
    occurred_at: datetime


class FeedRestored(Exception):  # noqa: N818 - not an error of the service
    """The database was restored since, and lacks the position. The reader has seen everything up to `safe`."""

    def __init__(self, safe: FeedPosition | None) -> None:
        super().__init__()
        self.safe = safe


class ChangeFeed:
    """The change feed, as one caller sees it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def after(self, position: FeedPosition | None, scope: AccessScope, limit: int) -> Sequence[AnyRow]:
        """Number what was committed, and return up to `limit` entries after a position, oldest first.

        That the caller read them is logged. `page_key` is the number of each.

        Raises:
            FeedRestored: the entry at that position is another one, or none that the caller sees.
        """
        kind, parameters = ScopeKind.of(scope), scope_parameters(scope)
        parameters["after"] = 0 if position is None else position.number
        (known,) = await fetch_all(self._connection, _numbered(kind), parameters)
        if position is not None and known["event_id"] != position.event_id:
            raise FeedRestored(await self._last_before(position, kind, parameters))
        return await fetch_all(self._connection, _entries(kind), {**parameters, "rows": limit})

    async def _last_before(
        self, position: FeedPosition, kind: ScopeKind, parameters: dict[str, object]
    ) -> FeedPosition | None:
        """Return the last entry of which the reader has certainly seen everything before it, and itself.

        What was recorded after the restore has a later time than what the reader has seen.
        """
        before = {**parameters, "before": position.occurred_at - CLOCKS_DIFFER}
        row = (await self._connection.execute(_last(kind), before)).first()
        return None if row is None else FeedPosition(*row)


async def number_batch(connection: AsyncConnection) -> int:
    """Number up to about `FULL_BATCH` committed events. Returns how many entries that appended to the feed."""
    numbered: int = (await connection.execute(_NUMBERED)).scalar_one()
    return numbered


async def number_events(connection: AsyncConnection, after: int | None) -> tuple[int, Collection[str | None]]:
    """Number what was committed. Returns the last number, and whom the entries after `after` are for.

    None stands for the office, and a subject for the integration with it. Without `after`, that is not looked up.
    """
    await number_batch(connection)  # a statement of its own, so that the next one sees what it appended
    if after is None:
        return (await connection.execute(_LAST_NUMBER)).scalar_one(), ()
    rows = (await connection.execute(_READERS, {"after": after})).all()
    readers = {integration for _, _, integration in rows if integration is not None}
    for_office = {None} if any(row.for_office for row in rows) else set()
    return max((after, *(row.last for row in rows))), readers | for_office


def _seen_by(kind: ScopeKind) -> ColumnElement[bool]:
    """Whether an entry is for the caller: the office, or the integration that filed the complaint."""
    feed = t.change_feed.c
    return feed.for_office if kind.relation is Relation.OFFICE else feed.integration == CALLER_SUBJECT


@cache
def _numbered(kind: ScopeKind) -> AnySelect:
    of_event = t.events.c.position == t.change_feed.c.position
    at_position = select(t.events.c.id).join(t.change_feed, of_event)
    event_id = at_position.where(t.change_feed.c.number == _AFTER, _seen_by(kind)).scalar_subquery()
    return select(func.number_events(), event_id.label("event_id"))


@cache
def _entries(kind: ScopeKind) -> AnySelect:
    f, e = t.change_feed.c, t.events.c
    sequence = e.sequence if kind.relation is Relation.OFFICE else f.sequence
    rows = bindparam("rows", type_=Integer)
    page = (
        select(
            f.number.label("page_key"),
            *entry_columns(sequence),
            f.number.label("page_id"),
            func.coalesce(e.case_id, e.complaint_id, e.mediator_id).label("opened_id"),
        )
        .join(t.events, e.position == f.position)
        .outerjoin(t.cases, t.cases.c.id == e.case_id)
        .where(_seen_by(kind), f.number > _AFTER)
        .order_by(f.number)
        .limit(rows)
    )
    return logged_page(page, kind, rows, descending=False)


def entry_columns(sequence: AnyColumn) -> tuple[AnyColumn, ...]:
    """Return what a reader is shown of an entry, in a statement on `events` and, if there is one, the case of each."""
    e = t.events.c
    return (
        e.id,
        e.kind,
        e.at.label("occurred_at"),
        sequence.label("sequence"),
        func.coalesce(e.complaint_id, t.cases.c.complaint_id).label("complaint_id"),
        e.case_id,
        e.mediator_id,
        e.party_id,
    )


@cache
def _last(kind: ScopeKind) -> AnySelect:
    f, e = t.change_feed.c, t.events.c
    entries = select(f.number, e.id, e.at).join(t.events, e.position == f.position)
    return entries.where(_seen_by(kind), e.at <= _BEFORE).order_by(f.number.desc()).limit(1)


_FEED: Final = t.change_feed.c
_NUMBERED: Final = select(func.number_events())
_LAST_NUMBER: Final = select(func.coalesce(func.max(_FEED.number), 0))
_READERS: Final = (
    select(func.max(_FEED.number).label("last"), _FEED.for_office, _FEED.integration)
    .where(_FEED.number > _AFTER)
    .group_by(_FEED.for_office, _FEED.integration)
)
