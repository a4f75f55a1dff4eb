"""Sessions: scheduling, holding and ending them. What was said in a session is never recorded.

The gates are `missing_to_schedule` and `missing_to_start`. Both the refusal of a command and the readiness of the case
list what they return.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from uuid import UUID

from mediation_api.domain import events
from mediation_api.domain.case import Case
from mediation_api.domain.case_children import Session
from mediation_api.domain.eligibility import missing_approvals
from mediation_api.domain.errors import (
    ConditionsMissing,
    InterpreterUnsuitable,
    Invalid,
    LimitReached,
    Missing,
    NotFound,
    SessionTooEarly,
    StateConflict,
)
from mediation_api.domain.events import Booking, Events
from mediation_api.domain.lifecycle import ANSWERS_SEALED, State, Trigger
from mediation_api.domain.participants import Attendee, Participant
from mediation_api.domain.policy import Policy
from mediation_api.domain.target import is_working_day
from mediation_api.domain.values import (
    MOST_ATTENDEES,
    AgreementKind,
    AttendeeRole,
    CancelReason,
    EndReason,
    InterpreterRelation,
    Mode,
    Seat,
    SeatRole,
    SessionState,
    Side,
    Standing,
)

SHORTEST = timedelta(minutes=15)
LONGEST = timedelta(hours=8)
"""A longer session would have to be two. Source: docs/field.md, "Clocks" (sessions take 1 to 2 hours)."""


def require_valid(booking: Booking, at: datetime, policy: Policy) -> None:
    """Check the time, the length, the hours and the place of a booking.

    Raises:
        Invalid: the start has passed; the session is shorter than 15 minutes or longer than 8 hours; it is on a day
            off or outside the hours of sessions without a reason; it has no place in person, or no link by video.
    """
    if booking.starts_at <= at:
        raise Invalid("/starts_at", "in-the-past", "A session starts in the future.")
    if booking.ends_at <= booking.starts_at:
        raise Invalid("/ends_at", "after-start", "A session ends after it starts.")
    if booking.ends_at - booking.starts_at < SHORTEST:
        raise Invalid("/ends_at", "session-too-short", "A session lasts a quarter of an hour at least.")
    if booking.ends_at - booking.starts_at > LONGEST:
        raise Invalid("/ends_at", "session-too-long", "A session lasts eight hours at most.")
    if booking.off_hours_reason is None and not _is_within_hours(booking, policy):
        raise Invalid(
            "/off_hours_reason",
            "required-off-hours",
            "A session on a day off, or outside the hours of sessions, needs a reason.",
        )
    if booking.mode is Mode.IN_PERSON and booking.place is None:
        raise Invalid("/place", "required-in-person", "A session in person has a place.")
    if booking.mode is Mode.VIDEO and booking.link is None:
        raise Invalid("/link", "required-for-video", "A session by video has a link.")


def _is_within_hours(booking: Booking, policy: Policy) -> bool:
    """Return whether a booking is within the hours of one working day, in local time."""
    start, end = (each.astimezone(policy.target.zone) for each in (booking.starts_at, booking.ends_at))
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    # Datetimes of one zone are subtracted as wall-clock times, which is what opening hours mean.
    hours = policy.sessions
    return (
        is_working_day(start.date(), policy.target.holidays)
        and start - midnight >= timedelta(hours=hours.opens)
        and end - midnight <= timedelta(hours=hours.closes)
    )


# ── who is in the room ─────────────────────────────────────────────────────────────────────────────────────────────


def seats(case: Case) -> tuple[Seat, ...]:
    """Return everybody who is expected in the room and signs the confidentiality agreement."""
    return (*_party_seats(case), *_mediator_seat(case), *(a.seat for a in _attendees(case)))


def _party_seats(case: Case) -> Iterator[Seat]:
    for party in _expected_parties(case):
        yield Seat(SeatRole.PARTY, party.party_id)
        if party.minor:
            yield Seat(SeatRole.GUARDIAN, party.party_id)


def _mediator_seat(case: Case) -> Iterator[Seat]:
    if case.mediator is not None:
        yield Seat(SeatRole.MEDIATOR, case.mediator.mediator_id)


def _attendees(case: Case) -> tuple[Attendee, ...]:
    expected = {p.party_id for p in _expected_parties(case)}
    return tuple(a for a in case.attendees if a.for_party_id is None or a.for_party_id in expected)


def _expected_parties(case: Case) -> tuple[Participant, ...]:
    return tuple(p for p in case.participants if case.may_still_mediate(p))


def add_attendee(
    case: Case,
    role: AttendeeRole,
    *,
    attendee_id: UUID,
    name: str,
    language: str | None,
    for_party_id: UUID | None,
    qualified: bool,
    relation: InterpreterRelation,
) -> Events:
    """Add an interpreter or a support person who will be in the room.

    Raises:
        NotFound: `for_party_id` is not a party to this case.
        Invalid: an interpreter has no language.
        InterpreterUnsuitable: not qualified, a relative, a friend, or with the police. Source: 28 CFR 35.160.
        LimitReached: the case has as many attendees as it may have.
    """
    case.require_open()
    if len(case.attendees) >= MOST_ATTENDEES:
        raise LimitReached
    if for_party_id is not None:
        case.participant(for_party_id)
    if role is AttendeeRole.INTERPRETER:
        if language is None:
            raise Invalid("/language", "required-for-interpreter", "An interpreter has a language.")
        if not qualified or relation is not InterpreterRelation.NONE:
            raise InterpreterUnsuitable
    return (
        events.AttendeeAdded(
            attendee_id=attendee_id, role=role, name=name, language=language, for_party_id=for_party_id
        ),
    )


def confirm_attendee(case: Case, attendee_id: UUID) -> Events:
    """Record that an interpreter or support person has confirmed that they will come. It is idempotent."""
    case.require_open()
    for each in case.attendees:
        if each.attendee_id == attendee_id:
            return () if each.confirmed else (events.AttendeeConfirmed(attendee_id=attendee_id),)
    raise NotFound


# ── the gates ──────────────────────────────────────────────────────────────────────────────────────────────────────


def missing_to_schedule(case: Case, policy: Policy) -> tuple[Missing, ...]:
    """Return what is missing to schedule: consent of both sides, guardians, approvals, a mediator without conflict."""
    if not case.state.is_open:
        return (Missing("case-closed"),)

    def each() -> Iterator[Missing]:
        if case.state is State.SCREENING:
            yield Missing("screening-missing")
        yield from _outdated(case)
        yield from (Missing(f"{side}-missing") for side in Side if not case.side(side))
        for party in _expected_parties(case):
            if party.standing is not Standing.AGREED:
                yield Missing("consent-missing", party.party_id)
            if party.minor and not party.guardian_on_file:
                yield Missing("guardian-missing", party.party_id)
        if case.mediator is None:
            yield Missing("mediator-missing")
        yield from missing_approvals(case, policy)

    return tuple(each())


def missing_to_start(case: Case, absent: frozenset[Seat] = frozenset()) -> tuple[Missing, ...]:
    """Return what is missing to start, if everybody who is expected is in the room except `absent`.

    Everybody in the room must have signed the current confidentiality agreement. The mediator, somebody of each side
    and both people of an open part must be there, and for each party who is there, the guardian of a minor and a
    confirmed interpreter if one was asked for.
    """
    if not case.state.is_open:
        return (Missing("case-closed"),)
    room = frozenset(seats(case)) - absent
    agreement = case.agreement(AgreementKind.CONFIDENTIALITY)

    def each() -> Iterator[Missing]:
        yield from _outdated(case)
        if case.live_session is None:
            yield Missing("session-missing")
        absent_sides = [s for s in Side if not any(Seat(SeatRole.PARTY, p.party_id) in room for p in case.side(s))]
        yield from (Missing(f"{side}-absent") for side in absent_sides)
        present = {s.id for s in room if s.role is SeatRole.PARTY}
        if not absent_sides and not any(present.issuperset(part.pair) for part in case.open_parts):
            yield Missing("part-absent")
        if not any(s.role is SeatRole.MEDIATOR for s in room):
            yield Missing("mediator-absent")
        for party in _expected_parties(case):
            if Seat(SeatRole.PARTY, party.party_id) in room:
                yield from _needs(case, party, room)
        if agreement is None:
            yield Missing("agreement-missing")
        else:
            signed = agreement.signed_by
            yield from (Missing("signature-missing", s.id, {"role": s.role}) for s in sorted(room) if s not in signed)

    return tuple(each())


def missing_of(case: Case, party_id: UUID, policy: Policy) -> tuple[Missing, ...]:
    """Return what the gates need from one party, which is all that this party may see of them.

    Nothing, once all of its parts are closed and it may know that.
    """
    own_parts = [part for part in case.parts if part.concerns(party_id)]
    if case.state not in ANSWERS_SEALED and own_parts and not any(part.is_open for part in own_parts):
        return ()
    gates = missing_to_schedule(case, policy)
    if case.state not in ANSWERS_SEALED:
        gates += missing_to_start(case)
    own = {each.code: each for each in gates if each.subject == party_id}
    return tuple(own.values())


def _outdated(case: Case) -> Iterator[Missing]:
    if case.screening_outdated:
        yield Missing("screening-outdated")


def _needs(case: Case, party: Participant, room: frozenset[Seat]) -> Iterator[Missing]:
    if party.minor and not party.guardian_on_file:
        yield Missing("guardian-missing", party.party_id)
    elif party.minor and Seat(SeatRole.GUARDIAN, party.party_id) not in room:
        yield Missing("guardian-absent", party.party_id)
    language = party.interpreter_language
    if language is not None and not any(
        a.role is AttendeeRole.INTERPRETER
        and a.language == language
        and a.confirmed
        and a.for_party_id in {None, party.party_id}
        and a.seat in room
        for a in _attendees(case)
    ):
        yield Missing("interpreter-missing", party.party_id, {"language": language})


# ── scheduling and holding ─────────────────────────────────────────────────────────────────────────────────────────


def schedule(case: Case, booking: Booking, *, session_id: UUID, at: datetime, policy: Policy) -> Events:
    """Schedule a session with the mediator who accepted.

    Raises:
        Invalid: as `require_valid`.
        ConditionsMissing: with the list of what is missing.
        StateConflict: a session is scheduled or under way, or completed ones cover every open part.
    """
    case.require_open()
    require_valid(booking, at, policy)
    missing = missing_to_schedule(case, policy)
    if missing or case.mediator is None:
        raise ConditionsMissing(missing)
    if case.state is State.CONCLUDED and case.covered_parts == case.open_parts:
        raise StateConflict
    scheduled = events.SessionScheduled(
        session_id=session_id,
        mediator_id=case.mediator.mediator_id,
        **asdict(booking),
    )
    return (scheduled, case.transition(Trigger.SESSION_SCHEDULED))


def reschedule(case: Case, session_id: UUID, booking: Booking, *, at: datetime, policy: Policy) -> Events:
    """Move a scheduled session to another time or place."""
    _session(case, session_id, SessionState.SCHEDULED)
    require_valid(booking, at, policy)
    if case.mediator is None:
        raise StateConflict
    return (
        events.SessionRescheduled(
            session_id=session_id,
            mediator_id=case.mediator.mediator_id,
            **asdict(booking),
        ),
    )


def cancel(case: Case, session_id: UUID) -> Events:
    """Cancel a scheduled session. The case waits for another one."""
    _session(case, session_id, SessionState.SCHEDULED)
    return (*case.called_off(CancelReason.REQUESTED), case.transition(case.after_session(Trigger.SESSION_CALLED_OFF)))


def start(
    case: Case, session_id: UUID, absent: frozenset[Seat] = frozenset(), *, at: datetime, policy: Policy
) -> Events:
    """Start a session with everybody who is expected except `absent`. Why they are absent is not recorded.

    Raises:
        SessionTooEarly: it is scheduled for a later hour, and the record would show a wrong time.
        ConditionsMissing: with the list of what is missing.
        Invalid: `absent` names somebody who is not expected.
    """
    session = _session(case, session_id, SessionState.SCHEDULED)
    if session.starts_at - at > timedelta(minutes=policy.sessions.early_start_minutes):
        raise SessionTooEarly
    expected = frozenset(seats(case))
    if not absent <= expected:
        raise Invalid("/absent", "not-expected", "Somebody is listed who is not expected in the room.")
    missing = missing_to_start(case, absent)
    agreement = case.agreement(AgreementKind.CONFIDENTIALITY)
    if missing or agreement is None:
        raise ConditionsMissing(missing)
    started = events.SessionStarted(
        session_id=session_id,
        agreement_id=agreement.agreement_id,
        present=tuple(sorted(expected - absent)),
        absent=tuple(sorted(absent)),
    )
    return (started, case.transition(Trigger.SESSION_STARTED))


def adjourn(case: Case, session_id: UUID) -> Events:
    """Adjourn a session that will continue another day. The case waits for the next one to be scheduled."""
    _session(case, session_id, SessionState.IN_PROGRESS)
    return (
        events.SessionAdjourned(session_id=session_id),
        case.transition(case.after_session(Trigger.SESSION_ADJOURNED)),
    )


def complete(case: Case, session_id: UUID) -> Events:
    """Record that a session was completed, with or without an agreement.

    If it covers no open part, because somebody left during it, the case is `ready` for another one.
    """
    session = _session(case, session_id, SessionState.IN_PROGRESS)
    transition = case.transition(Trigger.SESSION_COMPLETED)
    completed = tuple(replace(s, state=SessionState.COMPLETED) if s is session else s for s in case.sessions)
    after = replace(case, state=transition.to_state, sessions=completed)
    return (events.SessionCompleted(session_id=session_id), transition, *after.next_steps())


def end(case: Case, session_id: UUID) -> Events:
    """End the mediation as the mediator. The reason (threats, abuse or anything else) is not recorded."""
    _session(case, session_id, SessionState.SCHEDULED, SessionState.IN_PROGRESS)
    ended = events.SessionEnded(session_id=session_id, reason=EndReason.ENDED_BY_MEDIATOR)
    return (ended, *case.close(Trigger.ENDED_BY_MEDIATOR))


def record_absence(
    case: Case, session_id: UUID, party_id: UUID, *, excused: bool, absence_id: UUID, at: datetime
) -> Events:
    """Record that a party did not come, so that the session was not held.

    Raises:
        NotFound: the party is not in the case, or has left it.
        StateConflict: the session was held or called off, or its time has not come.
    """
    session = _session(case, session_id, SessionState.SCHEDULED, SessionState.MISSED)
    if not case.participant(party_id).is_active:
        raise NotFound
    if at < session.starts_at:
        raise StateConflict
    absent = events.AbsenceRecorded(absence_id=absence_id, session_id=session_id, party_id=party_id, excused=excused)
    if session.state is SessionState.MISSED:
        return (absent,)
    return (absent, case.transition(case.after_session(Trigger.SESSION_CALLED_OFF)))


def _session(case: Case, session_id: UUID, *states: SessionState) -> Session:
    case.require_open()
    for each in case.sessions:
        if each.session_id == session_id:
            if each.state not in states:
                raise StateConflict
            return each
    raise NotFound
