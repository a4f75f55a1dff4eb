"""Emptying what has come to the end of its period. `domain/retention.py` says what that is, and when.

Everything that identifies somebody or tells of them is emptied here and nowhere else, under the lock of its complaint:
nobody opens a case of it meanwhile. A complaint that somebody is working on is left for the next time. What was emptied
is found empty by the next run, so that a run may be broken off and begun again at any time.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Table,
    Text,
    Uuid,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.encryption import BlindIndex, Ciphertext
from mediation_api.database.nesting import AnyColumn
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.lifecycle import OPEN
from mediation_api.domain.retention import EMPTIED, ERASED, SCHEDULE, Periods, Start, purged
from mediation_api.domain.values import AgreementKind, DataKind, PurgeReason, Side
from mediation_api.repository.idempotency import Idempotency
from mediation_api.repository.recording import write_events
from mediation_api.repository.streams import Stream

JOB: Final = Actor(Role.INTEGRATION, "mediation-api retention")
"""Who empties what the schedule says, as the events name it."""
AT_ONCE: Final = 200
"""Complaints that are looked up at a time."""


@dataclass(frozen=True, slots=True)
class Place:
    """Columns of one table, and what stands in each when it is empty: nothing, or no characters where it may not be.

    An empty text is not sealed: that there is nothing is no secret.
    """

    table: Table
    empty: Mapping[str, str | None]

    def of(self, complaint: AnyColumn | UUID, before: datetime) -> ColumnElement[bool]:
        """Whether a row belongs to a complaint; of agreements, the terms of cases that closed before an instant."""
        columns = self.table.c
        if self.table is t.complaints:
            return columns.id == complaint
        if "complaint_id" in columns:
            return columns.complaint_id == complaint
        cases = select(t.cases.c.id).where(t.cases.c.complaint_id == complaint).correlate(t.complaints)
        if self.table is not t.agreements:
            return columns.case_id.in_(cases)
        over = columns.case_id.in_(cases.where(t.cases.c.closed_at < before))
        return and_(over, columns.kind == AgreementKind.RESOLUTION)

    @property
    def filled(self) -> AnyColumn:
        """How many of the columns hold something in a row."""
        # As it stands there, sealed or not; a hash by which something is found is not counted beside it.
        columns = (self.table.c[name] for name in self.empty)
        texts = (type_coerce(column, Text) for column in columns if not isinstance(column.type, BlindIndex))
        filled = (func.coalesce(each, "") != "" for each in texts)
        total: AnyColumn = sum((cast(each, Integer) for each in filled), start=cast(0, Integer))
        return total


PLACES: Final[Mapping[DataKind, Sequence[Place]]] = MappingProxyType(
    {
        DataKind.RESOLUTION_TERMS: (Place(t.agreements, {"text": None}),),
        DataKind.CONTACT: (
            Place(
                t.parties,
                dict.fromkeys(
                    ("phone", "email", "postal_address", "safe_contact", "guardian_phone", "guardian_email"), None
                ),
            ),
            Place(t.sessions, {"place": None, "link": None}),
        ),
        DataKind.NEEDS: (Place(t.parties, {"accommodations": None, "interpreter_language": None}),),
        DataKind.ACCOUNT: (
            Place(t.complaints, {"narrative": "", "incident_place": None}),
            Place(t.screenings, {"reason": ""}),
            Place(t.approvals, {"given_by": ""}),
        ),
        DataKind.IDENTITY: (
            Place(
                t.parties,
                {
                    "name": "",
                    **dict.fromkeys(("employee_number", "employee_number_index", "unit"), None),
                    **dict.fromkeys(("guardian_name", "guardian_relation"), None),
                },
            ),
            Place(t.attendees, {"name": ""}),
            Place(t.signatures, {"signer_name": ""}),
        ),
    }
)
"""Where each kind stands that the job empties."""


async def purge_due(engine: AsyncEngine, periods: Periods, at: datetime) -> Counter[DataKind]:
    """Empty all that has come to its end at `at`, and count the fields of each kind. One transaction a complaint."""
    emptied: Counter[DataKind] = Counter()
    for kind in EMPTIED:
        before = periods.ended_before(kind, at)
        found = await _due_complaints(engine, kind, before, after=None)
        while found:
            for complaint_id in found:
                async with engine.begin() as connection:
                    emptied[kind] += await _purge_if_due(connection, complaint_id, kind, before, at)
            found = await _due_complaints(engine, kind, before, after=found[-1])
    return emptied


async def erase(connection: AsyncConnection, party_id: UUID, complaint_id: UUID, *, by: Actor, at: datetime) -> None:
    """Empty what is held of one party of a locked complaint, with a tombstone for each kind.

    What a complainant told goes with it where there is no other: it is nobody else's. The access code ends, and with it
    every token that was given for it; what was answered about the complaint is emptied.
    """
    p = t.parties.c
    complainants = select(p.id).where(p.complaint_id == complaint_id, p.side == Side.COMPLAINANT)
    alone = (await connection.scalars(complainants)).all() == [party_id]
    signer = t.signatures.c
    own = {
        t.parties: p.id == party_id,
        t.signatures: signer.signer_id == party_id,
    }
    for kind in ERASED:
        of_party = [(place, own[place.table]) for place in PLACES[kind] if place.table in own]
        why = PurgeReason.REQUEST
        await _purge(connection, complaint_id, kind, why, of_party, by=by, at=at, party_id=party_id)
    await _end_what_gives_back(connection, complaint_id, p.id == party_id, at)
    if alone:
        account = [(place, place.of(complaint_id, at)) for place in PLACES[DataKind.ACCOUNT]]
        await _purge(connection, complaint_id, DataKind.ACCOUNT, PurgeReason.REQUEST, account, by=by, at=at)


async def _end_what_gives_back(
    connection: AsyncConnection, complaint_id: UUID, of: ColumnElement[bool], at: datetime
) -> None:
    """End the access codes of parties that are erased, and empty every kept answer that is about the complaint."""
    codes = t.access_codes
    its_own = codes.c.party_id.in_(select(t.parties.c.id).where(of))
    await connection.execute(codes.update().where(its_own, codes.c.ended_at.is_(None)).values(ended_at=at))
    await Idempotency(connection).erase(await _subjects(connection, complaint_id))


async def _subjects(connection: AsyncConnection, complaint_id: UUID) -> Sequence[UUID]:
    """Give the ids under which answers speak of a complaint: its own, its parties', its cases', and what is theirs."""
    of_complaint = select(literal(complaint_id, Uuid))
    own = [select(table.c.id).where(table.c.complaint_id == complaint_id) for table in (t.parties, t.cases)]
    cases = select(t.cases.c.id).where(t.cases.c.complaint_id == complaint_id)
    theirs = [
        select(table.c.id).where(table.c.case_id.in_(cases))
        for table in (t.agreements, t.assignments, t.attendees, t.sessions)
    ]
    return (await connection.scalars(union_all(of_complaint, *own, *theirs))).all()


async def _purge(
    connection: AsyncConnection,
    complaint_id: UUID,
    kind: DataKind,
    why: PurgeReason,
    rows: Iterable[tuple[Place, ColumnElement[bool]]],
    *,
    by: Actor,
    at: datetime,
    party_id: UUID | None = None,
) -> int:
    """Empty these rows of one kind, leave the tombstone, and give the number of emptied fields."""
    fields, texts = 0, list[UUID]()
    for place, of in rows:
        emptied, ids = await _empty(connection, place, of, at)
        fields += emptied
        texts += ids if place.table is t.agreements else []
    # The data key stays: it seals the agreement that all signed before the session as well, and that is kept.
    tombstone = purged(kind, why, fields=fields, agreements=texts, party_id=party_id)
    if tombstone:
        await write_events(connection, Stream(complaint_id=complaint_id), tombstone, by=by, at=at)
    return fields


async def _empty(
    connection: AsyncConnection, place: Place, of: ColumnElement[bool], at: datetime
) -> tuple[int, list[UUID]]:
    """Empty the rows of one place, and give the number of fields and the rows that held something."""
    id_ = place.table.c.id
    rows = select(id_, place.filled.label("filled")).where(of, place.filled > 0)
    found = (await connection.execute(rows.with_for_update(key_share=True, of=place.table))).all()
    ids = [row.id for row in found]
    values: dict[str, object] = {name: None if text is None else Ciphertext(text) for name, text in place.empty.items()}
    if place.table is t.agreements:
        values["purged_at"] = at
    if ids:
        await connection.execute(place.table.update().where(id_.in_(ids)).values(values))
    return sum(row.filled for row in found), ids


async def _due_complaints(
    engine: AsyncEngine, kind: DataKind, before: datetime, *, after: UUID | None
) -> Sequence[UUID]:
    statement = select(t.complaints.c.id).where(_is_due(kind, before)).order_by(t.complaints.c.id).limit(AT_ONCE)
    if after is not None:
        statement = statement.where(t.complaints.c.id > after)
    async with engine.connect() as connection:
        return (await connection.scalars(statement)).all()


async def _purge_if_due(
    connection: AsyncConnection, complaint_id: UUID, kind: DataKind, before: datetime, at: datetime
) -> int:
    c = t.complaints.c
    locked = select(c.id).where(c.id == complaint_id).with_for_update(key_share=True, skip_locked=True)
    if (await connection.execute(locked)).first() is None:
        return 0
    # Asked again under the lock, in a statement that sees what was committed before it was had.
    still = select(c.id).where(c.id == complaint_id, _is_due(kind, before))
    if (await connection.execute(still)).first() is None:
        return 0
    if kind is DataKind.IDENTITY:
        await _end_what_gives_back(connection, complaint_id, t.parties.c.complaint_id == complaint_id, at)
    else:
        await Idempotency(connection).erase(await _subjects(connection, complaint_id))
    rows = [(place, place.of(complaint_id, before)) for place in PLACES[kind]]
    return await _purge(connection, complaint_id, kind, PurgeReason.SCHEDULE, rows, by=JOB, at=at)


def _is_due(kind: DataKind, before: datetime) -> ColumnElement[bool]:
    """Whether a row of `complaints` holds something of this kind whose period is over."""
    complaint = t.complaints.c.id
    something = or_(
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
        return and_(free, something)
    of_complaint = t.cases.c.complaint_id == complaint
    closed_at = select(func.max(t.cases.c.closed_at)).where(of_complaint).correlate(t.complaints).scalar_subquery()
    return and_(free, ~has_open_case(complaint), func.coalesce(closed_at, t.complaints.c.filed_at) < before, something)


def is_held(complaint: AnyColumn | UUID) -> ColumnElement[bool]:
    """Whether a complaint is under a legal hold."""
    held = and_(t.legal_holds.c.complaint_id == complaint, t.legal_holds.c.lifted_at.is_(None))
    return select(t.legal_holds.c.id).where(held).correlate(t.complaints).exists()


def has_open_case(complaint: AnyColumn | UUID) -> ColumnElement[bool]:
    """Whether a complaint has an open case."""
    is_open = and_(t.cases.c.complaint_id == complaint, t.cases.c.state.in_(OPEN))
    return select(t.cases.c.id).where(is_open).correlate(t.complaints).exists()
