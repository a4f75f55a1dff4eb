"""Empty data whose retention period has ended. `domain/retention.py` defines the kinds of data and the periods.

The due fields of a complaint are counted under its lock, so that no case is opened meanwhile. The `DataPurged` event
empties them (effects_of_complaints.py). A complaint that is locked by another transaction is left for the next run. A
run can be interrupted and repeated at any time, since data that was emptied is no longer due.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.nesting import AnyColumn
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.lifecycle import OPEN
from mediation_api.domain.retention import EMPTIED, SCHEDULE, Periods, Start, purged
from mediation_api.domain.values import DataKind, PurgeReason
from mediation_api.repository.recording import record
from mediation_api.repository.retention_places import OF_A_PARTY, PLACES, Place
from mediation_api.repository.streams import Stream

JOB: Final = Actor(Role.INTEGRATION, "mediation-api retention")
"""The actor of events recorded by the retention job."""
IN_RANGE: Final = 5_000
"""The number of complaints that one statement looks at: it takes no longer in a large office than in a small one."""
_BEFORE_ALL: Final = UUID(int=0)


async def purge_due(engine: AsyncEngine, periods: Periods, at: datetime) -> Counter[DataKind]:
    """Empty all data that is due at `at`, a transaction for each complaint. Returns the number of fields by kind."""
    emptied: Counter[DataKind] = Counter()
    for kind in EMPTIED:
        before = periods.ended_before(kind, at)
        async for complaint_id in _due_complaints(engine, kind, before):
            async with engine.begin() as connection:
                emptied[kind] += await _purge_if_due(connection, complaint_id, kind, before, at)
    return emptied


async def fields_of_party(connection: AsyncConnection, party_id: UUID, kind: DataKind) -> int:
    """Lock the data of this kind of one party, and count the fields that are not empty."""
    rows = [(place, OF_A_PARTY[place.table] == party_id) for place in PLACES[kind] if place.table in OF_A_PARTY]
    return (await _filled(connection, rows))[0]


async def fields_of_account(connection: AsyncConnection, complaint_id: UUID, at: datetime) -> int:
    """Lock the account of a complaint, and count the fields that are not empty."""
    rows = [(place, place.of(complaint_id, at)) for place in PLACES[DataKind.ACCOUNT]]
    return (await _filled(connection, rows))[0]


async def _filled(
    connection: AsyncConnection, rows: Iterable[tuple[Place, ColumnElement[bool]]]
) -> tuple[int, list[UUID]]:
    """Lock the rows that are not empty. Returns the number of their fields, and the ids of agreements among them."""
    fields, agreements = 0, list[UUID]()
    for place, of in rows:
        id_ = place.table.c.id
        filled = select(id_, place.filled.label("filled")).where(of, place.filled > 0)
        locked = (await connection.execute(filled.with_for_update(key_share=True, of=place.table))).all()
        fields += sum(row.filled for row in locked)
        agreements += [row.id for row in locked if place.table is t.agreements]
    return fields, agreements


async def _due_complaints(engine: AsyncEngine, kind: DataKind, before: datetime) -> AsyncIterator[UUID]:
    """Yield the complaints with data of this kind that is due, from one range of ids after the other."""
    c = t.complaints.c
    after: UUID | None = _BEFORE_ALL
    while after is not None:
        async with engine.connect() as connection:
            ids = select(c.id).where(c.id > after).order_by(c.id)
            last = await connection.scalar(ids.offset(IN_RANGE - 1).limit(1))
            in_range = ids if last is None else ids.where(c.id <= last)
            due = (await connection.scalars(in_range.where(_is_due(kind, before)))).all()
        for complaint_id in due:
            yield complaint_id
        after = last


async def _purge_if_due(
    connection: AsyncConnection, complaint_id: UUID, kind: DataKind, before: datetime, at: datetime
) -> int:
    c = t.complaints.c
    locked = select(c.id).where(c.id == complaint_id).with_for_update(key_share=True, skip_locked=True)
    if (await connection.execute(locked)).first() is None:
        return 0
    # Check again under the lock, in a new statement, which sees what was committed before the lock was acquired.
    still = select(c.id).where(c.id == complaint_id, _is_due(kind, before))
    if (await connection.execute(still)).first() is None:
        return 0
    fields, agreements = await _filled(connection, [(place, place.of(complaint_id, before)) for place in PLACES[kind]])
    tombstones = purged(kind, PurgeReason.SCHEDULE, fields=fields, agreements=agreements)
    await record(connection, (Stream(complaint_id=complaint_id), tombstones), by=JOB, at=at)
    return fields


def _is_due(kind: DataKind, before: datetime) -> ColumnElement[bool]:
    """Whether a row of `complaints` has data of this kind whose period has ended."""
    complaint = t.complaints.c.id
    is_filled = or_(
        *(
            place.filled > 0
            if place.table is t.complaints
            else select(place.table.c.id)
            .where(place.of(complaint, before), place.filled > 0)
            .correlate(t.complaints)
            .exists()
            for place in PLACES[kind]
        )
    )
    free = ~is_held(complaint)
    if SCHEDULE[kind].start is Start.CASE_CLOSED:
        return and_(free, is_filled)
    of_complaint = t.cases.c.complaint_id == complaint
    closed_at = select(func.max(t.cases.c.closed_at)).where(of_complaint).correlate(t.complaints).scalar_subquery()
    return and_(free, ~has_open_case(complaint), func.coalesce(closed_at, t.complaints.c.filed_at) < before, is_filled)


def is_held(complaint: AnyColumn | UUID) -> ColumnElement[bool]:
    """Whether a complaint is under a legal hold."""
    held = and_(t.legal_holds.c.complaint_id == complaint, t.legal_holds.c.lifted_at.is_(None))
    return select(t.legal_holds.c.id).where(held).correlate(t.complaints).exists()


def has_open_case(complaint: AnyColumn | UUID) -> ColumnElement[bool]:
    """Whether a complaint has an open case."""
    is_open = and_(t.cases.c.complaint_id == complaint, t.cases.c.state.in_(OPEN))
    return select(t.cases.c.id).where(is_open).correlate(t.complaints).exists()
