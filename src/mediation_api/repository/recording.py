"""Record events: the only code that writes what commands change.

A command locks a row, calls the domain to decide, and records the events that the domain returns. `record` writes the
events, and the rows that follow from each type of event (effects, streams.py), in as few statements as possible.

Other writes are not events: the names of staff (staff_names.py), the access log, stored responses (idempotency.py),
attempt counters and key rotation. tests/house/test_writes.py checks that there are no others.
"""

import dataclasses
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Insert, Update, Uuid, bindparam, case, cast, column, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.batching import Change, Parameters, batched, in_rows
from mediation_api.database.data_keys import OF_CASE, data_key, new_data_key
from mediation_api.database.encryption import DataKey, keyring
from mediation_api.database.nesting import AnyColumn, AnyStatement
from mediation_api.database.statements import fetch_all
from mediation_api.domain import events
from mediation_api.domain.access import Actor
from mediation_api.domain.errors import (
    AbsenceAlreadyRecorded,
    Conflict,
    ExternalReferenceTaken,
    IdentityFixed,
    MediatorIsParty,
    MediatorListed,
    MediatorTaken,
    OfficerTaken,
    PartyAlreadyListed,
    StateConflict,
    SubjectFixed,
    SubjectTaken,
)
from mediation_api.domain.events import Event
from mediation_api.domain.values import in_utc
from mediation_api.repository import effects_of_cases, effects_of_complaints, effects_of_sessions
from mediation_api.repository.effects_of_cases import case_changed
from mediation_api.repository.staff_names import name_of
from mediation_api.repository.streams import RECORDED_AT, EffectContext, Stream, version_after

EFFECTS: Final = {
    **effects_of_complaints.COMPLAINT_EFFECTS.functions,
    **effects_of_cases.CASE_EFFECTS.functions,
    **effects_of_sessions.SESSION_EFFECTS.functions,
}
"""The effect of each type of event."""

ENCRYPTED: Final = (
    events.ComplaintFiled,
    events.ComplaintCorrected,
    events.PartyAdded,
    events.PartyCorrected,
    events.MediatorAdded,
    events.MediatorCorrected,
    events.MandatoryReportProposed,
    events.CaseScreened,
    events.ApprovalRecorded,
    events.AttendeeAdded,
    events.SessionScheduled,
    events.SessionRescheduled,
    events.AgreementMade,
    events.AgreementSigned,
)
"""The events that need a data key, to encrypt a reason, a name, a place or a text."""

_REFUSALS: Final[Mapping[str, type[Conflict]]] = {
    "mediator_taken": MediatorTaken,
    "officer_taken": OfficerTaken,
    "uq_absences_session_id_party_id": AbsenceAlreadyRecorded,
    "uq_complaints_by_external_reference": ExternalReferenceTaken,
    "uq_parties_complaint_id_employee_number_index": PartyAlreadyListed,
    "keep_identity": IdentityFixed,
    "mediator_is_party": MediatorIsParty,
    "uq_mediators_subject": SubjectTaken,
    "uq_mediators_employee_number_index": MediatorListed,
    "keep_subject": SubjectFixed,
    "uq_erasures_requested": StateConflict,
}
"""The errors for constraints that check what the domain cannot, by the name of the constraint."""


async def record(
    connection: AsyncConnection, *decided: tuple[Stream, Sequence[Event]], by: Actor, at: datetime
) -> None:
    """Write events and their effects. Does nothing without events.

    Args:
        connection: in the transaction of the request.
        decided: streams and their new events, in the order in which they are recorded. The subject of a stream is
            locked, or new.
        by: who caused them.
        at: the instant of the request.

    Raises:
        Conflict: a constraint is violated that the domain cannot check, such as for a mediator who is booked elsewhere.
    """
    changes = await _changes(connection, [(stream, events) for stream, events in decided if events], by, at)
    await _execute(connection, batched(changes))


async def record_new(
    connection: AsyncConnection, decided: Iterable[tuple[Stream, Sequence[Event]]], *, by: Actor, at: datetime
) -> None:
    """Write the events of many new streams and their effects, in one statement. The arguments are those of `record`.

    Raises:
        Conflict: as `record`. It does not say which of the streams is refused.
    """
    changes = await _changes(connection, [(stream, events) for stream, events in decided if events], by, at)
    await _execute(connection, in_rows(changes, connection.dialect))


async def _execute(connection: AsyncConnection, statements: Iterable[tuple[AnyStatement, Parameters]]) -> None:
    try:
        for statement, parameters in statements:
            await fetch_all(connection, statement, parameters)
    except IntegrityError as error:
        refusal = _REFUSALS.get(constraint_of(error) or "")
        if refusal is not None:
            raise refusal from None
        raise


async def _changes(
    connection: AsyncConnection, decided: Sequence[tuple[Stream, Sequence[Event]]], by: Actor, at: datetime
) -> list[Change]:
    """Return the effects, then the updates of the cases' own rows and the insert of the events, which come last."""
    if not decided:
        return []
    changes, of_cases, listed, common = list[Change](), list[Change](), list[object](), dict[str, object]()
    for stream, new_events in decided:
        key, key_inserts = await _data_key(connection, stream, new_events)
        added = frozenset(event.party_id for event in new_events if isinstance(event, events.PartyAdded))
        to = EffectContext(stream=stream, by=by, at=at, key=key, added=added)
        common = event_parameters(stream, by=by, at=at)
        changes += key_inserts
        changes += (change.among(common) for change in _effects(to, new_events))
        if stream.case_id is not None and not isinstance(new_events[0], events.CaseOpened):
            of_cases.append(case_changed(new_events, to))
        listed += listed_events(stream, new_events)
    return [*changes, *of_cases, *name_of(connection, by, at), Change(WRITE_EVENTS, {**common, "new_events": listed})]


async def _data_key(
    connection: AsyncConnection, stream: Stream, new_events: Sequence[Event]
) -> tuple[DataKey | None, tuple[Change, ...]]:
    """Return the data key that the events need, and the statement that inserts it for a new complaint or mediator."""
    encrypted = next((event for event in new_events if isinstance(event, ENCRYPTED)), None)
    if encrypted is None:
        return None, ()
    if stream.data_key is not None:
        owner, wrapped = stream.data_key
        return DataKey(keyring(connection.dialect).unwrap(wrapped, owner)), ()
    owner_id = stream.complaint_id or stream.mediator_id
    if owner_id is not None and isinstance(encrypted, events.ComplaintFiled | events.MediatorAdded):
        key, key_insert = new_data_key(connection, owner_id)
        return key, (key_insert,)
    if owner_id is not None:
        return await data_key(connection, owner_id), ()
    case_id = encrypted.case_id if isinstance(encrypted, events.MandatoryReportProposed) else stream.case_id
    if case_id is None:
        raise TypeError("events of this stream have no data key")
    return await data_key(connection, case_id, OF_CASE), ()


def _effects(to: EffectContext, new_events: Sequence[Event]) -> Iterator[Change]:
    for event in new_events:
        for change in EFFECTS[type(event)](event, to):
            # An officer who leaves a session that is cancelled is released twice. Both have the same effect, so they
            # may be in one statement.
            released = isinstance(change.statement, Update) and change.statement.table is t.session_officers
            yield change._replace(row=object() if released else _row_of(event))


def _row_of(event: Event) -> Hashable:
    """Return a key of the row that an event changes, if it is that of a party or a part; None if it is not known."""
    if isinstance(event, events.PartReturned | events.PartMediated):
        return event.complainant_id, event.officer_id
    if isinstance(event, events.PartyRemoved):
        return None  # it also changes the party's parts, which have another key
    return getattr(event, "party_id", None)


def listed_events(stream: Stream, new_events: Sequence[Event]) -> list[dict[str, object]]:
    """Return the events as `WRITE_EVENTS` takes them in its parameter `new_events`. They contain no private field."""
    subject = {name: _plain(getattr(stream, name)) for name in _SUBJECTS}
    return [
        {
            "id": str(uuid4()),
            "kind": event.kind,
            "party_id": _plain(getattr(event, "party_id", None)),
            "data": _data(event),
            **subject,
        }
        for event in new_events
    ]


def event_parameters(stream: Stream, *, by: Actor, at: datetime) -> dict[str, object]:
    """Return the other parameters of `WRITE_EVENTS`, and those that effects may name."""
    return {
        "recorded_at": at,
        "recorded_by_role": by.role,
        "recorded_by": by.subject,
        "of_complaint": stream.complaint_id,
        "of_case": stream.case_id,
    }


_SUBJECTS: Final = ("complaint_id", "case_id", "mediator_id", "report_id")
"""The ids of a stream, and the columns of the table."""


def _write_events() -> Insert:
    e = t.events.c
    elements = func.jsonb_array_elements(bindparam("new_events", type_=JSONB))
    listed = elements.table_valued(column("event", JSONB), with_ordinality="number").render_derived(name="listed")
    event = listed.c.event
    subject = {name: cast(event[name].astext, Uuid) for name in _SUBJECTS}
    columns: dict[str, AnyColumn] = {
        "id": cast(event["id"].astext, Uuid),
        "kind": event["kind"].astext,
        "party_id": cast(event["party_id"].astext, Uuid),
        "data": event["data"],
        # Of a case: the version after this command, which all of its events share.
        "version": case((subject["case_id"].is_not(None), version_after(subject["case_id"]))),
        "at": RECORDED_AT,
        "by_role": bindparam("recorded_by_role", type_=e.by_role.type),
        "by": bindparam("recorded_by", type_=e.by.type),
        **subject,
    }
    in_order = select(*columns.values()).order_by(listed.c.number)
    return insert(t.events).from_select(list(columns), in_order)


WRITE_EVENTS: Final = _write_events()
"""Inserts any number of events, of any streams, in their order. Built once."""


def constraint_of(error: IntegrityError) -> str | None:
    """Return the name of the violated constraint, if known. The text of the error is not used: it contains values."""
    cause = error.orig.__cause__ if error.orig is not None else None
    name: str | None = getattr(cause, "constraint_name", None)
    return name


def _data(event: Event) -> dict[str, object]:
    data = {name: _plain(getattr(event, name)) for name in event.recorded_fields()}
    filled = event.filled_private_fields()
    return data if filled is None else {**data, "filled": filled}


def _plain(value: object) -> object:
    """Return a value of an event as JSON."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):  # an instant is one, too
        return in_utc(value) if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value
