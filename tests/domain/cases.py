"""Cases for the tests of the domain, as plain values; and what a case is after events that it answered with."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from mediation_api.domain import events
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.access_anomalies import AnomalyThresholds
from mediation_api.domain.case import Case
from mediation_api.domain.case_children import Agreement, Assignment, ContactAttempt, Session
from mediation_api.domain.errors import Invalid
from mediation_api.domain.lifecycle import State
from mediation_api.domain.participants import Attendee, Participant
from mediation_api.domain.parts import Part, pairs_of
from mediation_api.domain.policy import Policy
from mediation_api.domain.sessions import seats
from mediation_api.domain.target import TargetPolicy
from mediation_api.domain.texts import Text, TextKind
from mediation_api.domain.values import (
    AgreementKind,
    Approver,
    AssignmentState,
    AttendeeRole,
    Channel,
    ContactChannel,
    ContactResult,
    Decision,
    Disposition,
    ReportCategory,
    Seat,
    SeatRole,
    SessionState,
    Side,
    Standing,
    VoidReason,
)

AT: Final = datetime(2026, 3, 2, 20, tzinfo=UTC)
TODAY: Final = date(2026, 3, 2)
TOMORROW: Final = AT + timedelta(days=1)

CASE, COMPLAINT, MEDIATOR, ASSIGNMENT, SESSION, AGREEMENT, NEW = (UUID(int=n) for n in range(1, 8))
ROSA, ELIA, MAYA = (UUID(int=n) for n in range(11, 14))
"""Complainants."""
KIM, LEE, PARK = (UUID(int=n) for n in range(21, 24))
"""Officers."""
NOOR, GUARDIAN_CONSENT, STRANGER = UUID(int=31), UUID(int=41), UUID(int=99)

WAITING, ASKED, AGREED, DECLINED, WITHDRAWN, LAPSED, REMOVED = Standing
IN_MEDIATION, RETURNED, MEDIATED = (
    Disposition.IN_MEDIATION,
    Disposition.RETURNED_TO_INVESTIGATION,
    Disposition.CLOSED_MEDIATED,
)
INTAKE, COORDINATOR, DIRECTOR = (Actor(role, f"{role}.1") for role in (Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR))
MEDIATING = Actor(Role.MEDIATOR, "m.okafor")
DISCLOSURE: Final = Text.of(TextKind.DISCLOSURE, "1", ("en",), "It is voluntary.")
PAPER: Final = Text.of(TextKind.CONFIDENTIALITY, "1", ("en",), "We keep it to ourselves.")


def policy(*approvers: Approver) -> Policy:
    """A city that requires these approvals."""
    return Policy(
        target=TargetPolicy(zone=ZoneInfo("America/New_York")),
        mediator_answer_working_days=5,
        reminder_working_days=5,
        pause_max_days=60,
        complainant_absences_before_lapse=2,
        officer_absences_before_lapse=1,
        required_approvals=frozenset(approvers),
        anomalies=AnomalyThresholds(),
        report_categories=(ReportCategory.CRIMINAL_ADMISSION,),
    )


CITY: Final = policy()


def consent_of(party_id: UUID) -> UUID:
    """The consent of a party that agreed before the test began."""
    return UUID(int=1000 + party_id.int)


def complainant(party_id: UUID, standing: Standing = AGREED, *, absences: int = 0) -> Participant:
    return Participant(
        party_id=party_id,
        side=Side.COMPLAINANT,
        standing=standing,
        unexcused_absences=absences,
        consent_id=consent_of(party_id) if standing is AGREED else None,
    )


def minor(
    party_id: UUID, standing: Standing = AGREED, *, guardian: bool = True, guardian_agreed: bool = True
) -> Participant:
    return replace(
        complainant(party_id, standing),
        minor=True,
        guardian_on_file=guardian,
        guardian_consent_id=GUARDIAN_CONSENT if guardian_agreed else None,
    )


def officer(party_id: UUID, standing: Standing = AGREED, *, unit: str | None = None, absences: int = 0) -> Participant:
    return replace(complainant(party_id, standing, absences=absences), side=Side.OFFICER, unit=unit)


def case(state: State, *participants: Participant) -> Case:
    """A case in `state`; without participants, with one of each side, both agreed.

    Each pair has a part, which is open unless one of the two has left.
    """
    participants = participants or (complainant(ROSA), officer(KIM))
    return Case(
        case_id=CASE,
        complaint_id=COMPLAINT,
        state=state,
        requested_on=TODAY,
        participants=participants,
        parts=parts_of(participants),
    )


def part(complainant_id: UUID = ROSA, officer_id: UUID = KIM, disposition: Disposition = IN_MEDIATION) -> Part:
    return Part(complainant_id=complainant_id, officer_id=officer_id, disposition=disposition)


def parts_of(participants: Iterable[Participant]) -> tuple[Part, ...]:
    people = tuple(participants)
    left = {p.party_id for p in people if not p.is_active}
    return tuple(part(*pair, IN_MEDIATION if left.isdisjoint(pair) else RETURNED) for pair in pairs_of(people))


def assignment(state: AssignmentState = AssignmentState.ACCEPTED, mediator_id: UUID = MEDIATOR) -> Assignment:
    return Assignment(assignment_id=ASSIGNMENT, mediator_id=mediator_id, state=state, subject=MEDIATING.subject)


def session(state: SessionState = SessionState.SCHEDULED) -> Session:
    return Session(session_id=SESSION, state=state, starts_at=TOMORROW)


def agreement(
    *signed_by: Seat, kind: AgreementKind = AgreementKind.CONFIDENTIALITY, superseded: bool = False
) -> Agreement:
    return Agreement(
        agreement_id=AGREEMENT,
        kind=kind,
        number=1,
        sha256=PAPER.sha256,
        superseded=superseded,
        signed_by=frozenset(signed_by),
    )


def interpreter(language: str = "ase", *, confirmed: bool = True, of: UUID | None = None) -> Attendee:
    return Attendee(
        attendee_id=NOOR, role=AttendeeRole.INTERPRETER, for_party_id=of, language=language, confirmed=confirmed
    )


def ready(*participants: Participant) -> Case:
    """Both sides agreed, and a mediator accepted."""
    return replace(case(State.READY, *participants), assignments=(assignment(),))


def scheduled(*participants: Participant) -> Case:
    return replace(ready(*participants), state=State.SCHEDULED, sessions=(session(),))


def signed(case: Case) -> Case:
    """The same, with a confidentiality agreement that everybody who is expected has signed."""
    return replace(case, agreements=(agreement(*seats(case)),))


def in_session(*participants: Participant) -> Case:
    here = replace(signed(scheduled(*participants)), state=State.IN_SESSION)
    held = replace(session(SessionState.IN_PROGRESS), agreement_id=AGREEMENT, present=frozenset(seats(here)))
    return replace(here, sessions=(held,))


def completed(*present: UUID, of: Case) -> Case:
    """The case with a completed session, in which those `present` were, who had all signed."""
    room = frozenset(seat for seat in seats(of) if seat.role is not SeatRole.PARTY or seat.id in present)
    held = replace(session(SessionState.COMPLETED), agreement_id=AGREEMENT, present=room)
    return replace(of, sessions=(held,), agreements=(agreement(*room),))


def concluded(*participants: Participant) -> Case:
    """A session was completed in which everybody was who has not left."""
    here = replace(ready(*participants), state=State.CONCLUDED)
    return completed(*(p.party_id for p in here.participants), of=here)


def resolution(*signed_by: Seat) -> Agreement:
    return replace(agreement(*signed_by, kind=AgreementKind.RESOLUTION), agreement_id=NEW)


def attempts(
    *party_ids: UUID, results: Iterable[ContactResult] = (ContactResult.NO_ANSWER,) * 3
) -> tuple[ContactAttempt, ...]:
    """Attempts to reach each party, three days apart from `AT` on, by phone and letter in turn."""
    channels = (ContactChannel.PHONE, ContactChannel.LETTER)
    return tuple(
        ContactAttempt(
            party_id=party_id, channel=channels[n % 2], result=result, attempted_at=AT + timedelta(days=3 * n)
        )
        for party_id in party_ids
        for n, result in enumerate(results)
    )


def party(party_id: UUID) -> Seat:
    return Seat(SeatRole.PARTY, party_id)


def kinds(new_events: Iterable[events.CaseEvent]) -> list[str]:
    return [event.kind for event in new_events]


def transitions(new_events: Iterable[events.CaseEvent]) -> list[tuple[State, State]]:
    return [(event.from_state, event.to_state) for event in new_events if isinstance(event, events.StateChanged)]


def answer(of: Case, party_id: UUID, decision: Decision = Decision.AGREED, by: Actor = COORDINATOR) -> events.Events:
    return of.answer(party_id, decision, disclosure=DISCLOSURE, channel=Channel.PORTAL, consent_id=NEW, by=by)


def pointed_at(refused: Invalid) -> tuple[str, str]:
    """The value that was refused and the rule that it breaks. Each such refusal is a sentence."""
    assert str(refused).endswith(".")
    assert str(refused) != Invalid.detail
    return refused.pointer, refused.rule


def withdraw(of: Case, party_id: UUID, channel: Channel = Channel.PORTAL, by: Actor = COORDINATOR) -> events.Events:
    return of.withdraw(party_id, channel=channel, withdrawal_id=NEW, by=by)


def after(of: Case, new_events: events.Events) -> Case:  # noqa: C901, PLR0912 - one branch for each kind
    """The case after events about who takes part, its state and its sessions."""
    for event in new_events:
        match event:
            case events.PartyAsked():
                of = _standing(of, event.party_id, ASKED)
            case events.ConsentGiven():
                of = _standing(of, event.party_id, Standing(event.decision.value), consent_id=event.consent_id)
            case events.PartyWithdrew():
                of = _standing(of, event.party_id, WITHDRAWN, event.withdrawal_id)
            case events.PartyJoined():
                joined = Participant(party_id=event.party_id, side=event.side)
                of = replace(of, participants=(*of.participants, joined))
            case events.PartOpened():
                of = replace(of, parts=(*of.parts, part(event.complainant_id, event.officer_id)))
            case events.PartReturned():
                of = _disposed(of, event.complainant_id, event.officer_id, RETURNED)
            case events.PartMediated():
                of = _disposed(of, event.complainant_id, event.officer_id, MEDIATED)
            case events.PartyLapsed():
                of = _standing(of, event.party_id, LAPSED)
            case events.StateChanged():
                assert event.from_state is of.state
                of = replace(of, state=event.to_state)
            case events.SessionCancelled():
                of = replace(of, sessions=(session(SessionState.CANCELLED),))
            case events.SessionEnded():
                of = replace(of, sessions=(session(SessionState.ENDED),))
            case _:
                of = _reopened(of, event)
    return of


def _disposed(of: Case, complainant_id: UUID, officer_id: UUID, disposition: Disposition) -> Case:
    """The case with one part closed. It must have been open."""
    before = part(complainant_id, officer_id)
    assert before in of.parts
    return replace(of, parts=tuple(replace(p, disposition=disposition) if p == before else p for p in of.parts))


def _reopened(of: Case, event: events.CaseEvent) -> Case:
    match event:
        case events.ConsentVoided() if event.reason is not VoidReason.PARTY_REMOVED:
            return _standing(of, event.party_id, WAITING)
        case events.GuardianConsentVoided():
            without = (
                replace(p, guardian_consent_id=None) if p.party_id == event.party_id else p for p in of.participants
            )
            return replace(of, participants=tuple(without))
        case events.PartyRemoved():
            return _standing(of, event.party_id, REMOVED)
        case events.AgreementSuperseded():
            return replace(of, agreements=tuple(replace(a, superseded=True) for a in of.agreements))
        case events.ScreeningOutdated() | events.CaseScreened():
            outdated = isinstance(event, events.ScreeningOutdated) or (of.screening_outdated and event.eligible is None)
            return replace(of, screening_outdated=outdated)
        case _:
            return of


def _standing(
    of: Case,
    party_id: UUID,
    standing: Standing,
    withdrawal_id: UUID | None = None,
    consent_id: UUID | None = None,
) -> Case:
    return replace(
        of,
        participants=tuple(
            replace(
                p,
                standing=standing,
                withdrawal_id=withdrawal_id or p.withdrawal_id,
                consent_id=consent_id or p.consent_id,
            )
            if p.party_id == party_id
            else p
            for p in of.participants
        ),
    )
