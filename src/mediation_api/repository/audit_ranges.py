"""Ranges of ids, to verify the audit chains and the tables in parts.

A range has the streams whose ids are in it, and the complaints, mediators and mandatory reports whose ids are, with
everything that belongs to these. What belongs to none of them is in the range that begins with the lowest id.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Uuid, and_, func, literal, select, true, union
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.nesting import AnyColumn

EVENT_STREAM: Final[AnyColumn] = func.coalesce(
    *(t.events.c[f"{of}_id"] for of in ("report", "case", "complaint", "mediator"))
)
"""The stream of an event. There is an index on this expression."""
STREAMS_IN_RANGE: Final = 10_000
"""At least: such a range takes some seconds."""
MOST_RANGES: Final = 100
"""Some tables have no index by which a range is found, and are read for each."""
NOBODY: Final = UUID(int=0)
"""The subject of what belongs to no complaint, mediator or mandatory report."""
LAST: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class IdRange:
    """The ids after `after`, up to and including `up_to`, without a limit where that is None; or some ids of these."""

    after: UUID | None = None
    up_to: UUID | None = None
    only: tuple[UUID, ...] | None = None

    @property
    def has_nobody(self) -> bool:
        """Whether it has what belongs to nobody, and what is verified for all together."""
        return self.after is None

    def holds(self, column: AnyColumn) -> ColumnElement[bool]:
        """Return the condition that an id is in the range."""
        if self.only is not None:
            return column == func.any(literal(self.only, ARRAY(Uuid)))
        limits = [] if self.after is None else [column > self.after]
        return and_(true(), *limits, *([] if self.up_to is None else [column <= self.up_to]))


EVERYTHING: Final = IdRange()
OF_NOBODY: Final = IdRange(up_to=NOBODY)


async def divided(connection: AsyncConnection, *, since: int = 0, after: UUID | None = None) -> list[IdRange]:
    """Divide all ids after `after` into ranges, in order.

    With a position `since`, the ranges have only the streams with a later event, and the complaints of such cases.
    """
    first = [OF_NOBODY] if after is None else []
    start = NOBODY if after is None else after
    if not since:
        return [*first, *_between(start, await _ends(connection, start))]
    ids = await _changed(connection, since, start)
    parts = [tuple(ids[n : n + STREAMS_IN_RANGE]) for n in range(0, len(ids), STREAMS_IN_RANGE)] or [()]
    ranges = _between(start, [part[-1] for part in parts[:-1]])
    return [*first, *(replace(each, only=part) for each, part in zip(ranges, parts, strict=True))]


def _between(start: UUID, ends: Sequence[UUID]) -> Iterator[IdRange]:
    return (IdRange(after, up_to) for after, up_to in pairwise([start, *ends, LAST]))


async def _ends(connection: AsyncConnection, after: UUID) -> Sequence[UUID]:
    stream = t.audit_chain_heads.c.stream
    number = func.row_number().over(order_by=stream).label("number")
    numbered = select(stream, number).where(stream > after).subquery().c
    count = select(func.count()).select_from(t.audit_chain_heads).scalar_subquery()
    size = func.greatest(STREAMS_IN_RANGE, count // MOST_RANGES, type_=BigInteger)
    statement = select(numbered.stream).where(numbered.number % size == 0).order_by(numbered.stream)
    return (await connection.scalars(statement)).all()


async def _changed(connection: AsyncConnection, since: int, after: UUID) -> Sequence[UUID]:
    streams = select(EVENT_STREAM.label("id")).where(t.events.c.position > since).cte("streams")
    complaints = select(t.cases.c.complaint_id).join(streams, streams.c.id == t.cases.c.id)
    changed = union(select(streams.c.id), complaints).subquery().c
    return (await connection.scalars(select(changed.id).where(changed.id > after).order_by(changed.id))).all()
