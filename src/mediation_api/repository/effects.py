"""What follows in the tables from each event about a case: an event in, statements out, nothing else.

`Cases.record` executes them in the order of the events, in the transaction of the request. Nothing of one command
changes the same row of `participants` twice. A kind of event without a branch here fails the type check.
"""

from collections.abc import Hashable, Iterator
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, String, Table, Update, Uuid, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range, insert

from mediation_api.database import tables
from mediation_api.database.encryption import DataKey
from mediation_api.database.nesting import AnyColumn
from mediation_api.domain import events
from mediation_api.domain.access import Actor
from mediation_api.domain.events import CaseEvent, Events
from mediation_api.domain.lifecycle import State
from mediation_api.domain.values import (
    AssignmentState,
    Decision,
    Disposition,
    Seat,
    SessionState,
    Side,
    Standing,
    VoidReason,
)

WITH_ENCRYPTED_FIELDS: Final = (
    events.CaseScreened,
    events.ApprovalRecorded,
    events.AttendeeAdded,
    events.SessionScheduled,
    events.SessionRescheduled,
    events.AgreementMade,
    events.AgreementSigned,
)
"""The events that come with something to seal: a reason, a name, a place, a text."""


def effects(  # noqa: C901, PLR0912, PLR0915 - one branch for each kind of event
    event: CaseEvent, case_id: UUID, key: DataKey | None, *, by: Actor, at: datetime
) -> Iterator[Executable]:
    """The statements that write `event` of this case, said by `by` at `at`. A `TELLING` one needs the data key."""
    said: dict[str, object] = {"at": at, "by_role": by.role, "by": by.subject}
    row = {"case_id": case_id, **said}
    version = version_after(literal(case_id, Uuid))
    match event:
        case events.CaseOpened():
            yield _open(event, at)
        case events.PartyJoined():
            yield insert(tables.participants).values(
                case_id=case_id,
                party_id=event.party_id,
                side=event.side,
                standing=Standing.WAITING,
                joined_at=at,
                joined_version=version,
            )
        case events.PartyAsked():
            asked_at = func.coalesce(tables.participants.c.asked_at, at)
            yield _participant(case_id, event.party_id).values(standing=Standing.ASKED, asked_at=asked_at)
        case events.GuardianConsented():
            yield _shown(event)
            yield insert(tables.guardian_consents).values(
                **row,
                id=event.guardian_consent_id,
                party_id=event.party_id,
                disclosure_sha256=event.disclosure_sha256,
                channel=event.channel,
            )
        case events.ConsentGiven():
            yield from _consent(event, case_id, said, version)
        case events.ConsentVoided():
            yield insert(tables.voided_consents).values(
                **row, consent_id=event.consent_id, party_id=event.party_id, reason=event.reason
            )
            if event.reason is not VoidReason.PARTY_REMOVED:
                yield _participant(case_id, event.party_id).values(standing=Standing.WAITING)
        case events.GuardianConsentVoided():
            pass  # it no longer stands because this event says so: `repository/cases.py`
        case events.PartyRemoved():
            yield from removal(event, at)
            yield _left(case_id, event.party_id, Standing.REMOVED, at, version)
            yield _released(tables.session_officers.c.party_id == event.party_id)
        case events.IdentityBound():
            yield tables.parties.update().where(tables.parties.c.id == event.party_id).values(bound_subject=by.subject)
        case events.PartyWithdrew():
            yield insert(tables.withdrawals).values(
                **row, id=event.withdrawal_id, party_id=event.party_id, channel=event.channel
            )
            yield _left(case_id, event.party_id, Standing.WITHDRAWN, at, version)
            yield _released(tables.session_officers.c.party_id == event.party_id)
        case events.PartyLapsed():
            yield _left(case_id, event.party_id, Standing.LAPSED, at, version)
            yield _released(tables.session_officers.c.party_id == event.party_id)
        case events.ContactAttempted():
            yield insert(tables.contact_attempts).values(
                **row,
                id=event.attempt_id,
                party_id=event.party_id,
                channel=event.channel,
                result=event.result,
                attempted_at=event.attempted_at,
            )
        case events.PartOpened():
            yield insert(tables.parts).values(
                case_id=case_id,
                complainant_id=event.complainant_id,
                officer_id=event.officer_id,
                disposition=Disposition.IN_MEDIATION,
                removed=False,
            )
        case events.PartReturned():
            yield _part(case_id, event).values(disposition=Disposition.RETURNED_TO_INVESTIGATION)
        case events.PartMediated():
            mediated = {"disposition": Disposition.CLOSED_MEDIATED, "agreement_reached": event.agreement_reached}
            yield _part(case_id, event).values(mediated)
        case events.CoordinatorAssigned() | events.StateChanged() | events.CaseClosed() | events.ScreeningOutdated():
            pass  # the case's own row: `case_columns`
        case events.CaseScreened():
            yield insert(tables.screenings).values(
                **row,
                id=event.screening_id,
                rules_version=event.screening.version,
                findings=[{"code": f.code, "outcome": f.outcome} for f in event.screening.findings],
                outcome=event.screening.outcome,
                eligible=event.eligible,
                overridden=event.overridden,
                version=version,
                **_encrypted(key, tables.screenings, event.screening_id, reason=event.reason),
            )
        case events.ApprovalRecorded():
            yield insert(tables.approvals).values(
                **row,
                id=event.approval_id,
                approver=event.approver,
                approved=event.approved,
                unit=event.unit,
                given_on=event.given_on,
                channel=event.channel,
                **_encrypted(key, tables.approvals, event.approval_id, given_by=event.given_by),
                version=version,
            )
        case events.TargetPaused():
            yield insert(tables.pauses).values(
                **row, id=event.pause_id, reason=event.reason, starts_on=event.starts_on, ends_on=event.ends_on
            )
        case events.MediatorProposed():
            yield insert(tables.assignments).values(
                id=event.assignment_id,
                case_id=case_id,
                mediator_id=event.mediator_id,
                state=AssignmentState.PROPOSED,
                answer_due_on=event.answer_due_on,
                conflicts=[],
                proposed_at=at,
            )
        case events.AssignmentAccepted():
            yield _answered(event.assignment_id, AssignmentState.ACCEPTED, at)
        case events.AssignmentDeclined():
            yield _answered(event.assignment_id, AssignmentState.DECLINED, at)
        case events.AssignmentReleased():
            yield _answered(event.assignment_id, AssignmentState.RELEASED, at)
        case events.MediatorRecused():
            yield _answered(event.assignment_id, AssignmentState.RECUSED, at)
        case events.ConflictDeclared():
            yield _answered(event.assignment_id, AssignmentState.CONFLICTED, at).values(conflicts=list(event.conflicts))
        case events.NotesDestroyed():
            assignment = tables.assignments.update().where(tables.assignments.c.id == event.assignment_id)
            yield assignment.values(notes_destroyed_at=at)
        case events.AttendeeAdded():
            yield insert(tables.attendees).values(
                id=event.attendee_id,
                case_id=case_id,
                role=event.role,
                **_encrypted(key, tables.attendees, event.attendee_id, name=event.name),
                language=event.language,
                for_party_id=event.for_party_id,
                added_at=at,
            )
        case events.AttendeeConfirmed():
            yield (tables.attendees.update().where(tables.attendees.c.id == event.attendee_id).values(confirmed_at=at))
        case events.SessionScheduled():
            yield _mediator_lock(event.mediator_id)
            yield _officers_lock(case_id)
            yield insert(tables.sessions).values(
                id=event.session_id,
                case_id=case_id,
                mediator_id=event.mediator_id,
                state=SessionState.SCHEDULED,
                during=Range(event.starts_at, event.ends_at),
                mode=event.mode,
                off_hours_reason=event.off_hours_reason,
                **_encrypted(key, tables.sessions, event.session_id, place=event.place, link=event.link),
                scheduled_at=at,
            )
            yield _book_officers(case_id, event)
        case events.SessionRescheduled():
            yield _mediator_lock(event.mediator_id)
            yield _officers_lock(case_id)
            yield _session(event.session_id).values(
                during=Range(event.starts_at, event.ends_at),
                mode=event.mode,
                off_hours_reason=event.off_hours_reason,
                **_key(key).encrypted_changes(
                    tables.sessions, event.session_id, {"place": event.place, "link": event.link}
                ),
            )
            yield (
                tables.session_officers.update()
                .where(tables.session_officers.c.session_id == event.session_id)
                .values(during=Range(event.starts_at, event.ends_at))
            )
        case events.SessionCancelled():
            yield _session(event.session_id).values(state=SessionState.CANCELLED)
            yield _released(tables.session_officers.c.session_id == event.session_id)
        case events.SessionStarted():
            yield _session(event.session_id).values(
                state=SessionState.IN_PROGRESS, started_at=at, agreement_id=event.agreement_id
            )
            yield insert(tables.attendances).values(
                [_attendance(event.session_id, seat, present=True) for seat in event.present]
                + [_attendance(event.session_id, seat, present=False) for seat in event.absent]
            )
        case events.SessionAdjourned():
            yield _session(event.session_id).values(state=SessionState.ADJOURNED, finished_at=at)
            yield _released(tables.session_officers.c.session_id == event.session_id)
        case events.SessionCompleted():
            yield _session(event.session_id).values(state=SessionState.COMPLETED, finished_at=at)
            yield _released(tables.session_officers.c.session_id == event.session_id)
        case events.SessionEnded():
            yield _session(event.session_id).values(state=SessionState.ENDED, finished_at=at, end_reason=event.reason)
            yield _released(tables.session_officers.c.session_id == event.session_id)
        case events.AbsenceRecorded():
            yield insert(tables.absences).values(
                **row, id=event.absence_id, session_id=event.session_id, party_id=event.party_id, excused=event.excused
            )
            yield _session(event.session_id).values(state=SessionState.MISSED)
            yield _released(tables.session_officers.c.session_id == event.session_id)
        case events.AgreementMade():
            yield from _agreement(event, case_id, key, at, version)
        case events.AgreementSuperseded():
            agreement = tables.agreements.update().where(tables.agreements.c.id == event.agreement_id)
            yield agreement.values(superseded_at=at, superseded_version=version)
        case events.AgreementSigned():
            yield insert(tables.signatures).values(
                **row,
                id=event.signature_id,
                agreement_id=event.agreement_id,
                sha256=event.sha256,
                signer_role=event.signer.role,
                signer_id=event.signer.id,
                **_encrypted(key, tables.signatures, event.signature_id, signer_name=event.signer_name),
                method=event.method,
            )
        case _:
            assert_never(event)


def version_after(case_id: AnyColumn) -> AnyColumn:
    """The version that the command at hand makes of a case: the order of all that happens to it.

    The case is locked, and its row is changed by the last statement: until then it holds the version before. One that
    is being opened is not to be seen yet.
    """
    before = select(tables.cases.c.version).where(tables.cases.c.id == case_id).scalar_subquery()
    return func.coalesce(before, literal(0)) + literal(1)


def case_columns(new_events: Events, at: datetime) -> dict[str, object]:
    """What the events change in the case's own row, all of them together."""
    columns: dict[str, object] = {}
    for event in new_events:
        match event:
            case events.CoordinatorAssigned():
                columns["coordinator"] = event.coordinator
            case events.StateChanged():
                columns["state"] = event.target
            case events.ScreeningOutdated():
                columns["screening_outdated"] = True
            case events.CaseScreened() if event.eligible is not None:
                columns["screening_outdated"] = False
            case events.CaseClosed():
                columns |= {
                    "state": event.outcome,
                    "closed_at": at,
                    "closed_version": tables.cases.c.version + 1,
                    "agreement_reached": event.agreement_reached,
                    "lapse_reason": event.lapse_reason,
                }
            case _:
                pass
    return columns


def _open(event: events.CaseOpened, at: datetime) -> Executable:
    cases = tables.cases
    attempt = (
        select(func.coalesce(func.max(cases.c.attempt), literal(0)) + 1)
        .where(cases.c.complaint_id == event.complaint_id)
        .scalar_subquery()
    )
    return insert(cases).values(
        id=event.case_id,
        complaint_id=event.complaint_id,
        attempt=attempt,
        state=State.SCREENING,
        requested_on=event.requested_on,
        due_on=event.due_on,
        opened_at=at,
        screening_outdated=False,
        version=0,
    )


def _shown(event: events.ConsentGiven | events.GuardianConsented) -> Executable:
    """What was shown is kept word for word, whatever becomes of the settings or the next version."""
    written = insert(tables.disclosures).values(
        sha256=event.disclosure_sha256,
        version=event.disclosure.version,
        language=event.disclosure.languages[0],
        body=event.disclosure.body,
    )
    return written.on_conflict_do_nothing()


def _consent(
    event: events.ConsentGiven, case_id: UUID, said: dict[str, object], version: AnyColumn
) -> Iterator[Executable]:
    yield _shown(event)
    yield insert(tables.consents).values(
        **said,
        id=event.consent_id,
        case_id=case_id,
        party_id=event.party_id,
        decision=event.decision,
        disclosure_sha256=event.disclosure_sha256,
        channel=event.channel,
        guardian_consent_id=event.guardian_consent_id,
        version=version,
        replaces=event.replaces,
    )
    if event.decision is Decision.AGREED:
        yield _participant(case_id, event.party_id).values(standing=Standing.AGREED)
    else:
        yield _participant(case_id, event.party_id).values(
            standing=Standing.DECLINED, left_at=said["at"], left_version=version
        )


def _agreement(
    event: events.AgreementMade, case_id: UUID, key: DataKey | None, at: datetime, version: AnyColumn
) -> Iterator[Executable]:
    agreements = tables.agreements
    yield (
        agreements.update()
        .where(
            agreements.c.case_id == case_id,
            agreements.c.kind == event.agreement_kind,
            agreements.c.superseded_at.is_(None),
        )
        .values(superseded_at=at, superseded_version=version)
    )
    yield insert(agreements).values(
        id=event.agreement_id,
        case_id=case_id,
        kind=event.agreement_kind,
        number=event.number,
        template_version=event.template_version,
        languages=list(event.languages),
        **_encrypted(key, agreements, event.agreement_id, text=event.text),
        sha256=event.sha256,
        terms_confidential=event.terms_confidential,
        made_at=at,
        version=version,
    )


def _encrypted(key: DataKey | None, table: Table, row_id: UUID, **texts: str | None) -> dict[str, object]:
    return _key(key).encrypted_row(table, row_id, texts)


def _key(key: DataKey | None) -> DataKey:
    if key is None:
        raise TypeError("an event that tells something needs the data key")
    return key


def _participant(case_id: UUID, party_id: UUID) -> Update:
    participants = tables.participants
    return participants.update().where(participants.c.case_id == case_id, participants.c.party_id == party_id)


def _part(case_id: UUID, event: events.PartReturned | events.PartMediated) -> Update:
    part = tables.parts.c
    whose = (part.case_id == case_id, part.complainant_id == event.complainant_id, part.officer_id == event.officer_id)
    return tables.parts.update().where(*whose)


def row_of(event: CaseEvent) -> Hashable:
    """Which row of its table an event changes, where that is known: a party's own, or that of a part."""
    if isinstance(event, events.PartReturned | events.PartMediated):
        return event.complainant_id, event.officer_id
    if isinstance(event, events.PartyRemoved):
        return None  # it changes the parts of the party as well, which other events name by both people
    return getattr(event, "party_id", None)


def _left(case_id: UUID, party_id: UUID, standing: Standing, at: datetime, version: AnyColumn) -> Update:
    p = tables.participants.c
    kept = case((p.standing == Standing.REMOVED, p.standing), else_=literal(standing, String))
    first = {"left_at": func.coalesce(p.left_at, at), "left_version": func.coalesce(p.left_version, version)}
    return _participant(case_id, party_id).values(standing=kept, **first)


def removal(event: events.PartyRemoved, at: datetime) -> Iterator[Update]:
    """What a removal changes of the party on file, whatever cases there are: it is marked, and its access code ends."""
    parties, codes = tables.parties, tables.access_codes
    yield parties.update().where(parties.c.id == event.party_id).values(removed_at=at, removal_reason=event.reason)
    parts = tables.parts
    of_party = or_(parts.c.complainant_id == event.party_id, parts.c.officer_id == event.party_id)
    yield parts.update().where(of_party).values(removed=True)
    live = codes.update().where(codes.c.party_id == event.party_id, codes.c.ended_at.is_(None))
    yield live.values(ended_at=at)


def _answered(assignment_id: UUID, state: AssignmentState, at: datetime) -> Update:
    assignments = tables.assignments
    return assignments.update().where(assignments.c.id == assignment_id).values(state=state, answered_at=at)


def _session(session_id: UUID) -> Update:
    return tables.sessions.update().where(tables.sessions.c.id == session_id)


def _mediator_lock(mediator_id: UUID) -> Executable:
    """Two bookings of one mediator wait for each other here: side by side, the exclusion check can deadlock."""
    mediators = tables.mediators
    return select(mediators.c.id).where(mediators.c.id == mediator_id).with_for_update(key_share=True)


def _officers_lock(case_id: UUID) -> Executable:
    """Take a lock for each employee number, in one order: bookings of one officer have no row in common to lock."""
    number = tables.parties.c.employee_number_index
    keys = (
        select(func.hashtextextended(number, 0).label("key"))
        .join(tables.participants, tables.participants.c.party_id == tables.parties.c.id)
        .where(tables.participants.c.case_id == case_id, number.is_not(None))
        .distinct()
        .order_by("key")
        .subquery("ordered")
    )
    return select(func.pg_advisory_xact_lock(keys.c.key))


def _book_officers(case_id: UUID, event: events.SessionScheduled) -> Executable:
    participants, parties = tables.participants, tables.parties
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
    return insert(tables.session_officers).from_select(columns, officers)


def _released(which: ColumnElement[bool]) -> Update:
    """Officers who are free again at the time of a session."""
    return tables.session_officers.update().where(which, tables.session_officers.c.live).values(live=False)


def _attendance(session_id: UUID, seat: Seat, *, present: bool) -> dict[str, object]:
    return {"session_id": session_id, "seat_role": seat.role, "seat_id": seat.id, "present": present}
