"""The effects of the events of mediators, assignments, attendees, sessions and agreements."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Final
from uuid import UUID

from sqlalchemy import Executable, Update, Uuid, func, literal, select
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range, insert

from mediation_api.database import tables as t
from mediation_api.domain import events
from mediation_api.domain.values import (
    AssignmentState,
    Seat,
    SessionState,
    Side,
    Standing,
)
from mediation_api.repository.streams import EffectContext, Effects, released

SESSION_EFFECTS: Final = Effects()


@SESSION_EFFECTS.of(events.MediatorAdded)
def _mediator_added(event: events.MediatorAdded, to: EffectContext) -> Iterator[Executable]:
    row = to.data_key.encrypted_row(t.mediators, event.mediator_id, event.values)
    yield insert(t.mediators).values(**row, id=event.mediator_id, added_at=to.at)


@SESSION_EFFECTS.of(events.MediatorCorrected)
def _mediator_corrected(event: events.MediatorCorrected, to: EffectContext) -> Iterator[Executable]:
    changes = to.data_key.encrypted_changes(t.mediators, event.mediator_id, event.values)
    yield t.mediators.update().where(t.mediators.c.id == event.mediator_id).values(changes)


@SESSION_EFFECTS.of(events.MediatorProposed)
def _mediator_proposed(event: events.MediatorProposed, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.assignments).values(
        id=event.assignment_id,
        case_id=to.case_id,
        mediator_id=event.mediator_id,
        state=AssignmentState.PROPOSED,
        answer_due_on=event.answer_due_on,
        conflicts=[],
        proposed_at=to.at,
    )


@SESSION_EFFECTS.of(events.AssignmentAccepted)
def _assignment_accepted(event: events.AssignmentAccepted, to: EffectContext) -> Iterator[Executable]:
    yield _answered(to, event.assignment_id, AssignmentState.ACCEPTED)


@SESSION_EFFECTS.of(events.AssignmentDeclined)
def _assignment_declined(event: events.AssignmentDeclined, to: EffectContext) -> Iterator[Executable]:
    yield _answered(to, event.assignment_id, AssignmentState.DECLINED)


@SESSION_EFFECTS.of(events.AssignmentReleased)
def _assignment_released(event: events.AssignmentReleased, to: EffectContext) -> Iterator[Executable]:
    yield _answered(to, event.assignment_id, AssignmentState.RELEASED)


@SESSION_EFFECTS.of(events.MediatorRecused)
def _mediator_recused(event: events.MediatorRecused, to: EffectContext) -> Iterator[Executable]:
    yield _answered(to, event.assignment_id, AssignmentState.RECUSED)


@SESSION_EFFECTS.of(events.ConflictDeclared)
def _conflict_declared(event: events.ConflictDeclared, to: EffectContext) -> Iterator[Executable]:
    yield _answered(to, event.assignment_id, AssignmentState.CONFLICTED).values(conflicts=list(event.conflicts))


@SESSION_EFFECTS.of(events.NotesDestroyed)
def _notes_destroyed(event: events.NotesDestroyed, to: EffectContext) -> Iterator[Executable]:
    assignment = t.assignments.update().where(t.assignments.c.id == event.assignment_id)
    yield assignment.values(notes_destroyed_at=to.at)


@SESSION_EFFECTS.of(events.AttendeeAdded)
def _attendee_added(event: events.AttendeeAdded, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.attendees).values(
        id=event.attendee_id,
        case_id=to.case_id,
        role=event.role,
        **to.encrypted(t.attendees, event.attendee_id, name=event.name),
        language=event.language,
        for_party_id=event.for_party_id,
        added_at=to.at,
    )


@SESSION_EFFECTS.of(events.AttendeeConfirmed)
def _attendee_confirmed(event: events.AttendeeConfirmed, to: EffectContext) -> Iterator[Executable]:
    yield t.attendees.update().where(t.attendees.c.id == event.attendee_id).values(confirmed_at=to.at)


def _booked(booking: events.Booking) -> dict[str, object]:
    """Return the columns of `sessions` for a booking: `during`, and one for each other field, of the same name."""
    columns = {field.name: getattr(booking, field.name) for field in fields(events.Booking)}
    return {"during": Range(columns.pop("starts_at"), columns.pop("ends_at")), **columns}


@SESSION_EFFECTS.of(events.SessionScheduled)
def _session_scheduled(event: events.SessionScheduled, to: EffectContext) -> Iterator[Executable]:
    yield _mediator_lock(event.mediator_id)
    yield _officers_lock(to.case_id)
    yield insert(t.sessions).values(
        id=event.session_id,
        case_id=to.case_id,
        mediator_id=event.mediator_id,
        state=SessionState.SCHEDULED,
        **to.data_key.encrypted_row(t.sessions, event.session_id, _booked(event)),
        scheduled_at=to.at,
    )
    yield _book_officers(to.case_id, event)


@SESSION_EFFECTS.of(events.SessionRescheduled)
def _session_rescheduled(event: events.SessionRescheduled, to: EffectContext) -> Iterator[Executable]:
    yield _mediator_lock(event.mediator_id)
    yield _officers_lock(to.case_id)
    changes = to.data_key.encrypted_changes(t.sessions, event.session_id, _booked(event))
    yield _session(event.session_id).values(changes)
    yield (
        t.session_officers.update()
        .where(t.session_officers.c.session_id == event.session_id)
        .values(during=Range(event.starts_at, event.ends_at))
    )


@SESSION_EFFECTS.of(events.SessionCancelled)
def _session_cancelled(event: events.SessionCancelled, _to: EffectContext) -> Iterator[Executable]:
    yield _session(event.session_id).values(state=SessionState.CANCELLED)
    yield released(t.session_officers.c.session_id == event.session_id)


@SESSION_EFFECTS.of(events.SessionStarted)
def _session_started(event: events.SessionStarted, to: EffectContext) -> Iterator[Executable]:
    yield _session(event.session_id).values(
        state=SessionState.IN_PROGRESS, started_at=to.at, agreement_id=event.agreement_id
    )
    yield insert(t.attendances).values(
        [_attendance(event.session_id, seat, present=True) for seat in event.present]
        + [_attendance(event.session_id, seat, present=False) for seat in event.absent]
    )


@SESSION_EFFECTS.of(events.SessionAdjourned)
def _session_adjourned(event: events.SessionAdjourned, to: EffectContext) -> Iterator[Executable]:
    yield _session(event.session_id).values(state=SessionState.ADJOURNED, finished_at=to.at)
    yield released(t.session_officers.c.session_id == event.session_id)


@SESSION_EFFECTS.of(events.SessionCompleted)
def _session_completed(event: events.SessionCompleted, to: EffectContext) -> Iterator[Executable]:
    yield _session(event.session_id).values(state=SessionState.COMPLETED, finished_at=to.at)
    yield released(t.session_officers.c.session_id == event.session_id)


@SESSION_EFFECTS.of(events.SessionEnded)
def _session_ended(event: events.SessionEnded, to: EffectContext) -> Iterator[Executable]:
    yield _session(event.session_id).values(state=SessionState.ENDED, finished_at=to.at, end_reason=event.reason)
    yield released(t.session_officers.c.session_id == event.session_id)


@SESSION_EFFECTS.of(events.AbsenceRecorded)
def _absence_recorded(event: events.AbsenceRecorded, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.absences).values(
        case_id=to.case_id,
        **to.recorded,
        id=event.absence_id,
        session_id=event.session_id,
        party_id=event.party_id,
        excused=event.excused,
    )
    yield _session(event.session_id).values(state=SessionState.MISSED)
    yield released(t.session_officers.c.session_id == event.session_id)


@SESSION_EFFECTS.of(events.AgreementMade)
def _agreement_made(event: events.AgreementMade, to: EffectContext) -> Iterator[Executable]:
    agreements = t.agreements
    yield (
        agreements.update()
        .where(
            agreements.c.case_id == to.case_id,
            agreements.c.kind == event.agreement_kind,
            agreements.c.superseded_at.is_(None),
        )
        .values(superseded_at=to.at, superseded_version=to.version)
    )
    yield insert(agreements).values(
        id=event.agreement_id,
        case_id=to.case_id,
        kind=event.agreement_kind,
        number=event.number,
        template_version=event.template_version,
        languages=list(event.languages),
        **to.encrypted(agreements, event.agreement_id, text=event.text),
        sha256=event.sha256,
        terms_confidential=event.terms_confidential,
        made_at=to.at,
        version=to.version,
    )


@SESSION_EFFECTS.of(events.AgreementSuperseded)
def _agreement_superseded(event: events.AgreementSuperseded, to: EffectContext) -> Iterator[Executable]:
    agreement = t.agreements.update().where(t.agreements.c.id == event.agreement_id)
    yield agreement.values(superseded_at=to.at, superseded_version=to.version)


@SESSION_EFFECTS.of(events.AgreementSigned)
def _agreement_signed(event: events.AgreementSigned, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.signatures).values(
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


def _answered(to: EffectContext, assignment_id: UUID, state: AssignmentState) -> Update:
    return t.assignments.update().where(t.assignments.c.id == assignment_id).values(state=state, answered_at=to.at)


def _session(session_id: UUID) -> Update:
    return t.sessions.update().where(t.sessions.c.id == session_id)


def _mediator_lock(mediator_id: UUID) -> Executable:
    """Lock the mediator: concurrent bookings of one mediator could deadlock in the exclusion constraint."""
    mediators = t.mediators
    return select(mediators.c.id).where(mediators.c.id == mediator_id).with_for_update(key_share=True)


def _officers_lock(case_id: UUID) -> Executable:
    """Take an advisory lock for each employee number, in order: an officer's bookings share no row to lock."""
    number = t.parties.c.employee_number_index
    keys = (
        select(func.hashtextextended(number, 0).label("key"))
        .join(t.participants, t.participants.c.party_id == t.parties.c.id)
        .where(t.participants.c.case_id == case_id, number.is_not(None))
        .distinct()
        .order_by("key")
        .subquery("ordered")
    )
    return select(func.pg_advisory_xact_lock(keys.c.key))


def _book_officers(case_id: UUID, event: events.SessionScheduled) -> Executable:
    participants, parties = t.participants, t.parties
    during = literal(Range(event.starts_at, event.ends_at), TSTZRANGE)
    officers = (
        select(
            literal(event.session_id, Uuid), parties.c.id, parties.c.employee_number_index, during, literal(value=True)
        )
        .join(parties, parties.c.id == participants.c.party_id)
        .where(
            participants.c.case_id == case_id,
            participants.c.side == Side.OFFICER,
            participants.c.standing == Standing.AGREED,
        )
    )
    columns = ["session_id", "party_id", "employee_number_index", "during", "live"]
    return insert(t.session_officers).from_select(columns, officers)


def _attendance(session_id: UUID, seat: Seat, *, present: bool) -> dict[str, object]:
    return {"session_id": session_id, "seat_role": seat.role, "seat_id": seat.id, "present": present}
