"""The effects of the events of mediators, assignments, attendees, sessions and agreements."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Final
from uuid import UUID

from sqlalchemy import Insert, Uuid, bindparam, func, insert, literal, select, true
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range

from mediation_api.database import tables as t
from mediation_api.database.batching import Change, inserted, updated
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.domain import events
from mediation_api.domain.values import (
    AssignmentState,
    SessionState,
    Side,
    Standing,
)
from mediation_api.repository.streams import CASE_ID, VERSION, EffectContext, Effects, released

SESSION_EFFECTS: Final = Effects()


def _booking_locks() -> AnySelect:
    """Lock the mediator, and then take an advisory lock for each officer's employee number, in order.

    Concurrent bookings of one mediator could deadlock in the exclusion constraint. An officer's bookings share no row
    to lock.
    """
    mediator_id = bindparam("mediator_id", type_=Uuid)
    mediator = (
        select(t.mediators.c.id).where(t.mediators.c.id == mediator_id).with_for_update(key_share=True).cte("mediator")
    )
    number = t.parties.c.employee_number_index
    officers = (
        select(func.hashtextextended(number, 0).label("key"))
        .join(t.participants, t.participants.c.party_id == t.parties.c.id)
        .where(t.participants.c.case_id == CASE_ID, number.is_not(None))
        .distinct()
        .order_by("key")
        .subquery("officers")
    )
    # Each row of the mediator, which is locked by then, is joined with every officer.
    return select(func.pg_advisory_xact_lock(officers.c.key)).select_from(mediator.outerjoin(officers, true()))


def _officers_booked() -> Insert:
    participants, parties, booked = t.participants, t.parties, t.session_officers
    columns: dict[str, AnyColumn] = {
        "session_id": bindparam("session_id", type_=Uuid),
        "party_id": parties.c.id,
        "employee_number_index": parties.c.employee_number_index,
        "during": bindparam("during", type_=TSTZRANGE),
        "live": literal(value=True),
    }
    officers = (
        select(*columns.values())
        .join(parties, parties.c.id == participants.c.party_id)
        .where(
            participants.c.case_id == CASE_ID,
            participants.c.side == Side.OFFICER,
            participants.c.standing == Standing.AGREED,
        )
    )
    return insert(booked).from_select(list(columns), officers)


_BOOKING_LOCKS: Final = _booking_locks()
_OFFICERS_BOOKED: Final = _officers_booked()
_NEXT_REVISION: Final = t.sessions.c.revision + 1
_NOT_SUPERSEDED: Final = t.agreements.c.superseded_at.is_(None)


@SESSION_EFFECTS.of(events.MediatorAdded)
def _mediator_added(event: events.MediatorAdded, to: EffectContext) -> Iterator[Change]:
    row = to.data_key.encrypted_row(t.mediators, event.mediator_id, event.values)
    yield inserted(t.mediators, **row, id=event.mediator_id, added_at=to.at)


@SESSION_EFFECTS.of(events.MediatorCorrected)
def _mediator_corrected(event: events.MediatorCorrected, to: EffectContext) -> Iterator[Change]:
    changes = to.data_key.encrypted_changes(t.mediators, event.mediator_id, event.values)
    yield updated(t.mediators, {"id": event.mediator_id}, **changes)


@SESSION_EFFECTS.of(events.MediatorProposed)
def _mediator_proposed(event: events.MediatorProposed, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.assignments,
        id=event.assignment_id,
        case_id=to.case_id,
        mediator_id=event.mediator_id,
        state=AssignmentState.PROPOSED,
        answer_due_on=event.answer_due_on,
        conflicts=[],
        proposed_at=to.at,
    )


@SESSION_EFFECTS.of(events.AssignmentAccepted)
def _assignment_accepted(event: events.AssignmentAccepted, to: EffectContext) -> Iterator[Change]:
    yield _answered(to, event.assignment_id, AssignmentState.ACCEPTED)


@SESSION_EFFECTS.of(events.AssignmentDeclined)
def _assignment_declined(event: events.AssignmentDeclined, to: EffectContext) -> Iterator[Change]:
    yield _answered(to, event.assignment_id, AssignmentState.DECLINED)


@SESSION_EFFECTS.of(events.AssignmentReleased)
def _assignment_released(event: events.AssignmentReleased, to: EffectContext) -> Iterator[Change]:
    yield _answered(to, event.assignment_id, AssignmentState.RELEASED)


@SESSION_EFFECTS.of(events.MediatorRecused)
def _mediator_recused(event: events.MediatorRecused, to: EffectContext) -> Iterator[Change]:
    yield _answered(to, event.assignment_id, AssignmentState.RECUSED)


@SESSION_EFFECTS.of(events.ConflictDeclared)
def _conflict_declared(event: events.ConflictDeclared, to: EffectContext) -> Iterator[Change]:
    yield _answered(to, event.assignment_id, AssignmentState.CONFLICTED, conflicts=list(event.conflicts))


@SESSION_EFFECTS.of(events.NotesDestroyed)
def _notes_destroyed(event: events.NotesDestroyed, to: EffectContext) -> Iterator[Change]:
    yield updated(t.assignments, {"id": event.assignment_id}, notes_destroyed_at=to.at)


@SESSION_EFFECTS.of(events.AttendeeAdded)
def _attendee_added(event: events.AttendeeAdded, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.attendees,
        id=event.attendee_id,
        case_id=to.case_id,
        role=event.role,
        **to.encrypted(t.attendees, event.attendee_id, name=event.name),
        language=event.language,
        for_party_id=event.for_party_id,
        added_at=to.at,
    )


@SESSION_EFFECTS.of(events.AttendeeConfirmed)
def _attendee_confirmed(event: events.AttendeeConfirmed, to: EffectContext) -> Iterator[Change]:
    yield updated(t.attendees, {"id": event.attendee_id}, confirmed_at=to.at)


def _booked(booking: events.Booking) -> dict[str, object]:
    """Return the columns of `sessions` for a booking: `during`, and one for each other field, of the same name."""
    columns = {field.name: getattr(booking, field.name) for field in fields(events.Booking)}
    return {"during": Range(columns.pop("starts_at"), columns.pop("ends_at")), **columns}


@SESSION_EFFECTS.of(events.SessionScheduled)
def _session_scheduled(event: events.SessionScheduled, to: EffectContext) -> Iterator[Change]:
    yield Change(_BOOKING_LOCKS, {"mediator_id": event.mediator_id})
    yield inserted(
        t.sessions,
        id=event.session_id,
        case_id=to.case_id,
        mediator_id=event.mediator_id,
        state=SessionState.SCHEDULED,
        **to.data_key.encrypted_row(t.sessions, event.session_id, _booked(event)),
        scheduled_at=to.at,
        revision=0,
    )
    during = Range(event.starts_at, event.ends_at)
    yield Change(_OFFICERS_BOOKED, {"session_id": event.session_id, "during": during})


@SESSION_EFFECTS.of(events.SessionRescheduled)
def _session_rescheduled(event: events.SessionRescheduled, to: EffectContext) -> Iterator[Change]:
    yield Change(_BOOKING_LOCKS, {"mediator_id": event.mediator_id})
    changes = to.data_key.encrypted_changes(t.sessions, event.session_id, _booked(event))
    yield _session(event.session_id, **changes, revision=_NEXT_REVISION)
    during = Range(event.starts_at, event.ends_at)
    yield updated(t.session_officers, {"session_id": event.session_id}, during=during)


@SESSION_EFFECTS.of(events.SessionCancelled)
def _session_cancelled(event: events.SessionCancelled, _to: EffectContext) -> Iterator[Change]:
    yield _session(event.session_id, state=SessionState.CANCELLED, revision=_NEXT_REVISION)
    yield released(session_id=event.session_id)


@SESSION_EFFECTS.of(events.SessionStarted)
def _session_started(event: events.SessionStarted, to: EffectContext) -> Iterator[Change]:
    yield _session(event.session_id, state=SessionState.IN_PROGRESS, started_at=to.at, agreement_id=event.agreement_id)
    for seat in (*event.present, *event.absent):
        yield inserted(
            t.attendances,
            session_id=event.session_id,
            seat_role=seat.role,
            seat_id=seat.id,
            present=seat in event.present,
        )


@SESSION_EFFECTS.of(events.SessionAdjourned)
def _session_adjourned(event: events.SessionAdjourned, to: EffectContext) -> Iterator[Change]:
    yield _session(event.session_id, state=SessionState.ADJOURNED, finished_at=to.at)
    yield released(session_id=event.session_id)


@SESSION_EFFECTS.of(events.SessionCompleted)
def _session_completed(event: events.SessionCompleted, to: EffectContext) -> Iterator[Change]:
    yield _session(event.session_id, state=SessionState.COMPLETED, finished_at=to.at)
    yield released(session_id=event.session_id)


@SESSION_EFFECTS.of(events.SessionEnded)
def _session_ended(event: events.SessionEnded, to: EffectContext) -> Iterator[Change]:
    ended = {"state": SessionState.ENDED, "finished_at": to.at, "end_reason": event.reason}
    yield _session(event.session_id, **ended, revision=_NEXT_REVISION)
    yield released(session_id=event.session_id)


@SESSION_EFFECTS.of(events.AbsenceRecorded)
def _absence_recorded(event: events.AbsenceRecorded, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.absences,
        case_id=to.case_id,
        **to.recorded,
        id=event.absence_id,
        session_id=event.session_id,
        party_id=event.party_id,
        excused=event.excused,
    )
    yield _session(event.session_id, state=SessionState.MISSED)
    yield released(session_id=event.session_id)


@SESSION_EFFECTS.of(events.AgreementMade)
def _agreement_made(event: events.AgreementMade, to: EffectContext) -> Iterator[Change]:
    of_kind = {"case_id": to.case_id, "kind": event.agreement_kind}
    yield updated(t.agreements, of_kind, _NOT_SUPERSEDED, superseded_at=to.at, superseded_version=VERSION)
    yield inserted(
        t.agreements,
        id=event.agreement_id,
        case_id=to.case_id,
        kind=event.agreement_kind,
        number=event.number,
        template_version=event.template_version,
        languages=list(event.languages),
        **to.encrypted(t.agreements, event.agreement_id, text=event.text),
        sha256=event.sha256,
        terms_confidential=event.terms_confidential,
        made_at=to.at,
        version=VERSION,
    )


@SESSION_EFFECTS.of(events.AgreementSuperseded)
def _agreement_superseded(event: events.AgreementSuperseded, to: EffectContext) -> Iterator[Change]:
    yield updated(t.agreements, {"id": event.agreement_id}, superseded_at=to.at, superseded_version=VERSION)


@SESSION_EFFECTS.of(events.AgreementSigned)
def _agreement_signed(event: events.AgreementSigned, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.signatures,
        case_id=to.case_id,
        **to.recorded,
        id=event.signature_id,
        agreement_id=event.agreement_id,
        sha256=event.sha256,
        signer_role=event.signer.role,
        signer_id=event.signer.id,
        **to.encrypted(t.signatures, event.signature_id, signer_name=event.signer_name),
        method=event.method,
    )


def _answered(to: EffectContext, assignment_id: UUID, state: AssignmentState, **columns: object) -> Change:
    return updated(t.assignments, {"id": assignment_id}, state=state, answered_at=to.at, **columns)


def _session(session_id: UUID, **columns: object) -> Change:
    return updated(t.sessions, {"id": session_id}, **columns)
