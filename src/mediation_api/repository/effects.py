"""What follows in the tables from each fact about a case: a fact in, statements out, nothing else.

`Cases.record` executes them in the order of the facts, in the transaction of the request. Nothing of one command
changes the same row of `participants` twice. A kind of fact without a branch here fails the type check.
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
from mediation_api.domain.events import CaseFact, Facts
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

TELLING: Final = (
    events.CaseScreened,
    events.ApprovalRecorded,
    events.AttendeeAdded,
    events.SessionScheduled,
    events.SessionRescheduled,
    events.AgreementMade,
    events.AgreementSigned,
)
"""The facts that come with something to seal: a reason, a name, a place, a text."""


def effects(  # noqa: C901, PLR0912, PLR0915 - one branch for each kind of fact
    fact: CaseFact, case_id: UUID, key: DataKey | None, *, by: Actor, at: datetime
) -> Iterator[Executable]:
    """The statements that write `fact` of this case, said by `by` at `at`. A `TELLING` one needs the data key."""
    said: dict[str, object] = {"at": at, "by_role": by.role, "by": by.subject}
    row = {"case_id": case_id, **said}
    version = version_after(literal(case_id, Uuid))
    match fact:
        case events.CaseOpened():
            yield _open(fact, at)
        case events.PartyJoined():
            yield insert(tables.participants).values(
                case_id=case_id,
                party_id=fact.party_id,
                side=fact.side,
                standing=Standing.WAITING,
                joined_at=at,
                joined_version=version,
            )
        case events.PartyAsked():
            asked_at = func.coalesce(tables.participants.c.asked_at, at)
            yield _participant(case_id, fact.party_id).values(standing=Standing.ASKED, asked_at=asked_at)
        case events.GuardianConsented():
            yield _shown(fact)
            yield insert(tables.guardian_consents).values(
                **row,
                id=fact.guardian_consent_id,
                party_id=fact.party_id,
                disclosure_sha256=fact.disclosure_sha256,
                channel=fact.channel,
            )
        case events.ConsentGiven():
            yield from _consent(fact, case_id, said, version)
        case events.ConsentVoided():
            yield insert(tables.voided_consents).values(
                **row, consent_id=fact.consent_id, party_id=fact.party_id, reason=fact.reason
            )
            if fact.reason is not VoidReason.PARTY_REMOVED:
                yield _participant(case_id, fact.party_id).values(standing=Standing.WAITING)
        case events.GuardianConsentVoided():
            pass  # it no longer stands because this event says so: `repository/cases.py`
        case events.PartyRemoved():
            yield from removal(fact, at)
            yield _left(case_id, fact.party_id, Standing.REMOVED, at, version)
            yield _released(tables.session_officers.c.party_id == fact.party_id)
        case events.IdentityBound():
            yield tables.parties.update().where(tables.parties.c.id == fact.party_id).values(bound_subject=by.subject)
        case events.PartyWithdrew():
            yield insert(tables.withdrawals).values(
                **row, id=fact.withdrawal_id, party_id=fact.party_id, channel=fact.channel
            )
            yield _left(case_id, fact.party_id, Standing.WITHDRAWN, at, version)
            yield _released(tables.session_officers.c.party_id == fact.party_id)
        case events.PartyLapsed():
            yield _left(case_id, fact.party_id, Standing.LAPSED, at, version)
            yield _released(tables.session_officers.c.party_id == fact.party_id)
        case events.ContactAttempted():
            yield insert(tables.contact_attempts).values(
                **row,
                id=fact.attempt_id,
                party_id=fact.party_id,
                channel=fact.channel,
                result=fact.result,
                attempted_at=fact.attempted_at,
            )
        case events.PartOpened():
            yield insert(tables.parts).values(
                case_id=case_id,
                complainant_id=fact.complainant_id,
                officer_id=fact.officer_id,
                disposition=Disposition.IN_MEDIATION,
                removed=False,
            )
        case events.PartReturned():
            yield _part(case_id, fact).values(disposition=Disposition.RETURNED_TO_INVESTIGATION)
        case events.PartMediated():
            mediated = {"disposition": Disposition.CLOSED_MEDIATED, "agreement_reached": fact.agreement_reached}
            yield _part(case_id, fact).values(mediated)
        case events.CoordinatorAssigned() | events.StateMoved() | events.CaseClosed() | events.ScreeningOutdated():
            pass  # the case's own row: `case_columns`
        case events.CaseScreened():
            yield insert(tables.screenings).values(
                **row,
                id=fact.screening_id,
                rules_version=fact.screening.version,
                findings=[{"code": f.code, "outcome": f.outcome} for f in fact.screening.findings],
                outcome=fact.screening.outcome,
                eligible=fact.eligible,
                overridden=fact.overridden,
                version=version,
                **_sealed(key, tables.screenings, fact.screening_id, reason=fact.reason),
            )
        case events.ApprovalRecorded():
            yield insert(tables.approvals).values(
                **row,
                id=fact.approval_id,
                approver=fact.approver,
                approved=fact.approved,
                unit=fact.unit,
                given_on=fact.given_on,
                channel=fact.channel,
                **_sealed(key, tables.approvals, fact.approval_id, given_by=fact.given_by),
                version=version,
            )
        case events.TargetPaused():
            yield insert(tables.pauses).values(
                **row, id=fact.pause_id, reason=fact.reason, starts_on=fact.starts_on, ends_on=fact.ends_on
            )
        case events.MediatorProposed():
            yield insert(tables.assignments).values(
                id=fact.assignment_id,
                case_id=case_id,
                mediator_id=fact.mediator_id,
                state=AssignmentState.PROPOSED,
                answer_due_on=fact.answer_due_on,
                conflicts=[],
                proposed_at=at,
            )
        case events.AssignmentAccepted():
            yield _answered(fact.assignment_id, AssignmentState.ACCEPTED, at)
        case events.AssignmentDeclined():
            yield _answered(fact.assignment_id, AssignmentState.DECLINED, at)
        case events.AssignmentReleased():
            yield _answered(fact.assignment_id, AssignmentState.RELEASED, at)
        case events.MediatorRecused():
            yield _answered(fact.assignment_id, AssignmentState.RECUSED, at)
        case events.ConflictDeclared():
            yield _answered(fact.assignment_id, AssignmentState.CONFLICTED, at).values(conflicts=list(fact.conflicts))
        case events.NotesDestroyed():
            assignment = tables.assignments.update().where(tables.assignments.c.id == fact.assignment_id)
            yield assignment.values(notes_destroyed_at=at)
        case events.AttendeeAdded():
            yield insert(tables.attendees).values(
                id=fact.attendee_id,
                case_id=case_id,
                role=fact.role,
                **_sealed(key, tables.attendees, fact.attendee_id, name=fact.name),
                language=fact.language,
                for_party_id=fact.for_party_id,
                added_at=at,
            )
        case events.AttendeeConfirmed():
            yield (tables.attendees.update().where(tables.attendees.c.id == fact.attendee_id).values(confirmed_at=at))
        case events.SessionScheduled():
            yield _mediator_lock(fact.mediator_id)
            yield _officers_lock(case_id)
            yield insert(tables.sessions).values(
                id=fact.session_id,
                case_id=case_id,
                mediator_id=fact.mediator_id,
                state=SessionState.SCHEDULED,
                during=Range(fact.starts_at, fact.ends_at),
                mode=fact.mode,
                off_hours_reason=fact.off_hours_reason,
                **_sealed(key, tables.sessions, fact.session_id, place=fact.place, link=fact.link),
                scheduled_at=at,
            )
            yield _book_officers(case_id, fact)
        case events.SessionRescheduled():
            yield _mediator_lock(fact.mediator_id)
            yield _officers_lock(case_id)
            yield _session(fact.session_id).values(
                during=Range(fact.starts_at, fact.ends_at),
                mode=fact.mode,
                off_hours_reason=fact.off_hours_reason,
                **_key(key).sealed_changes(tables.sessions, fact.session_id, {"place": fact.place, "link": fact.link}),
            )
            yield (
                tables.session_officers.update()
                .where(tables.session_officers.c.session_id == fact.session_id)
                .values(during=Range(fact.starts_at, fact.ends_at))
            )
        case events.SessionCancelled():
            yield _session(fact.session_id).values(state=SessionState.CANCELLED)
            yield _released(tables.session_officers.c.session_id == fact.session_id)
        case events.SessionStarted():
            yield _session(fact.session_id).values(
                state=SessionState.IN_PROGRESS, started_at=at, agreement_id=fact.agreement_id
            )
            yield insert(tables.attendances).values(
                [_attendance(fact.session_id, seat, present=True) for seat in fact.present]
                + [_attendance(fact.session_id, seat, present=False) for seat in fact.absent]
            )
        case events.SessionAdjourned():
            yield _session(fact.session_id).values(state=SessionState.ADJOURNED, finished_at=at)
            yield _released(tables.session_officers.c.session_id == fact.session_id)
        case events.SessionCompleted():
            yield _session(fact.session_id).values(state=SessionState.COMPLETED, finished_at=at)
            yield _released(tables.session_officers.c.session_id == fact.session_id)
        case events.SessionEnded():
            yield _session(fact.session_id).values(state=SessionState.ENDED, finished_at=at, end_reason=fact.reason)
            yield _released(tables.session_officers.c.session_id == fact.session_id)
        case events.AbsenceRecorded():
            yield insert(tables.absences).values(
                **row, id=fact.absence_id, session_id=fact.session_id, party_id=fact.party_id, excused=fact.excused
            )
            yield _session(fact.session_id).values(state=SessionState.MISSED)
            yield _released(tables.session_officers.c.session_id == fact.session_id)
        case events.AgreementMade():
            yield from _agreement(fact, case_id, key, at, version)
        case events.AgreementSuperseded():
            agreement = tables.agreements.update().where(tables.agreements.c.id == fact.agreement_id)
            yield agreement.values(superseded_at=at, superseded_version=version)
        case events.AgreementSigned():
            yield insert(tables.signatures).values(
                **row,
                id=fact.signature_id,
                agreement_id=fact.agreement_id,
                sha256=fact.sha256,
                signer_role=fact.signer.role,
                signer_id=fact.signer.id,
                **_sealed(key, tables.signatures, fact.signature_id, signer_name=fact.signer_name),
                method=fact.method,
            )
        case _:
            assert_never(fact)


def version_after(case_id: AnyColumn) -> AnyColumn:
    """The version that the command at hand makes of a case: the order of all that happens to it.

    The case is locked, and its row is changed by the last statement: until then it holds the version before. One that
    is being opened is not to be seen yet.
    """
    before = select(tables.cases.c.version).where(tables.cases.c.id == case_id).scalar_subquery()
    return func.coalesce(before, literal(0)) + literal(1)


def case_columns(happened: Facts, at: datetime) -> dict[str, object]:
    """What the facts change in the case's own row, all of them together."""
    columns: dict[str, object] = {}
    for fact in happened:
        match fact:
            case events.CoordinatorAssigned():
                columns["coordinator"] = fact.coordinator
            case events.StateMoved():
                columns["state"] = fact.target
            case events.ScreeningOutdated():
                columns["screening_outdated"] = True
            case events.CaseScreened() if fact.eligible is not None:
                columns["screening_outdated"] = False
            case events.CaseClosed():
                columns |= {
                    "state": fact.outcome,
                    "closed_at": at,
                    "closed_version": tables.cases.c.version + 1,
                    "agreement_reached": fact.agreement_reached,
                    "lapse_reason": fact.lapse_reason,
                }
            case _:
                pass
    return columns


def _open(fact: events.CaseOpened, at: datetime) -> Executable:
    cases = tables.cases
    attempt = (
        select(func.coalesce(func.max(cases.c.attempt), literal(0)) + 1)
        .where(cases.c.complaint_id == fact.complaint_id)
        .scalar_subquery()
    )
    return insert(cases).values(
        id=fact.case_id,
        complaint_id=fact.complaint_id,
        attempt=attempt,
        state=State.SCREENING,
        requested_on=fact.requested_on,
        due_on=fact.due_on,
        opened_at=at,
        screening_outdated=False,
        version=0,
    )


def _shown(fact: events.ConsentGiven | events.GuardianConsented) -> Executable:
    """What was shown is kept word for word, whatever becomes of the settings or the next version."""
    written = insert(tables.disclosures).values(
        sha256=fact.disclosure_sha256,
        version=fact.disclosure.version,
        language=fact.disclosure.languages[0],
        body=fact.disclosure.body,
    )
    return written.on_conflict_do_nothing()


def _consent(
    fact: events.ConsentGiven, case_id: UUID, said: dict[str, object], version: AnyColumn
) -> Iterator[Executable]:
    yield _shown(fact)
    yield insert(tables.consents).values(
        **said,
        id=fact.consent_id,
        case_id=case_id,
        party_id=fact.party_id,
        decision=fact.decision,
        disclosure_sha256=fact.disclosure_sha256,
        channel=fact.channel,
        guardian_consent_id=fact.guardian_consent_id,
        version=version,
        replaces=fact.replaces,
    )
    if fact.decision is Decision.AGREED:
        yield _participant(case_id, fact.party_id).values(standing=Standing.AGREED)
    else:
        yield _participant(case_id, fact.party_id).values(
            standing=Standing.DECLINED, left_at=said["at"], left_version=version
        )


def _agreement(
    fact: events.AgreementMade, case_id: UUID, key: DataKey | None, at: datetime, version: AnyColumn
) -> Iterator[Executable]:
    agreements = tables.agreements
    yield (
        agreements.update()
        .where(
            agreements.c.case_id == case_id,
            agreements.c.kind == fact.agreement_kind,
            agreements.c.superseded_at.is_(None),
        )
        .values(superseded_at=at, superseded_version=version)
    )
    yield insert(agreements).values(
        id=fact.agreement_id,
        case_id=case_id,
        kind=fact.agreement_kind,
        number=fact.number,
        template_version=fact.template_version,
        languages=list(fact.languages),
        **_sealed(key, agreements, fact.agreement_id, text=fact.text),
        sha256=fact.sha256,
        terms_confidential=fact.terms_confidential,
        made_at=at,
        version=version,
    )


def _sealed(key: DataKey | None, table: Table, row_id: UUID, **texts: str | None) -> dict[str, object]:
    return _key(key).sealed_row(table, row_id, texts)


def _key(key: DataKey | None) -> DataKey:
    if key is None:
        raise TypeError("a fact that tells something needs the data key")
    return key


def _participant(case_id: UUID, party_id: UUID) -> Update:
    participants = tables.participants
    return participants.update().where(participants.c.case_id == case_id, participants.c.party_id == party_id)


def _part(case_id: UUID, fact: events.PartReturned | events.PartMediated) -> Update:
    part = tables.parts.c
    whose = (part.case_id == case_id, part.complainant_id == fact.complainant_id, part.officer_id == fact.officer_id)
    return tables.parts.update().where(*whose)


def row_of(fact: CaseFact) -> Hashable:
    """Which row of its table a fact changes, where that is known: a party's own, or that of a part."""
    if isinstance(fact, events.PartReturned | events.PartMediated):
        return fact.complainant_id, fact.officer_id
    if isinstance(fact, events.PartyRemoved):
        return None  # it changes the parts of the party as well, which other events name by both people
    return getattr(fact, "party_id", None)


def _left(case_id: UUID, party_id: UUID, standing: Standing, at: datetime, version: AnyColumn) -> Update:
    p = tables.participants.c
    kept = case((p.standing == Standing.REMOVED, p.standing), else_=literal(standing, String))
    first = {"left_at": func.coalesce(p.left_at, at), "left_version": func.coalesce(p.left_version, version)}
    return _participant(case_id, party_id).values(standing=kept, **first)


def removal(fact: events.PartyRemoved, at: datetime) -> Iterator[Update]:
    """What a removal changes of the party on file, whatever cases there are: it is marked, and its access code ends."""
    parties, codes = tables.parties, tables.access_codes
    yield parties.update().where(parties.c.id == fact.party_id).values(removed_at=at, removal_reason=fact.reason)
    parts = tables.parts
    of_party = or_(parts.c.complainant_id == fact.party_id, parts.c.officer_id == fact.party_id)
    yield parts.update().where(of_party).values(removed=True)
    live = codes.update().where(codes.c.party_id == fact.party_id, codes.c.ended_at.is_(None))
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


def _book_officers(case_id: UUID, fact: events.SessionScheduled) -> Executable:
    participants, parties = tables.participants, tables.parties
    during = literal(Range(fact.starts_at, fact.ends_at), TSTZRANGE)
    officers = (
        select(
            literal(fact.session_id, Uuid), parties.c.id, parties.c.employee_number_index, during, literal(value=True)
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
