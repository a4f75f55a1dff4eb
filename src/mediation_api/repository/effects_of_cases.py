"""The effects of the events of a case: participants, consents, withdrawals, parts, screenings and pauses."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Executable, String, Update, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from mediation_api.database import tables as t
from mediation_api.domain import events
from mediation_api.domain.events import Event
from mediation_api.domain.lifecycle import State
from mediation_api.domain.values import (
    Decision,
    Disposition,
    Standing,
    VoidReason,
)
from mediation_api.repository.streams import EffectContext, Effects, codes_ended, released

CASE_EFFECTS: Final = Effects()


@CASE_EFFECTS.of(events.CaseOpened)
def _case_opened(event: events.CaseOpened, to: EffectContext) -> Iterator[Executable]:
    cases = t.cases
    attempt = (
        select(func.coalesce(func.max(cases.c.attempt), literal(0)) + 1)
        .where(cases.c.complaint_id == event.complaint_id)
        .scalar_subquery()
    )
    yield insert(cases).values(
        id=event.case_id,
        complaint_id=event.complaint_id,
        attempt=attempt,
        state=State.SCREENING,
        requested_on=event.requested_on,
        due_on=event.due_on,
        opened_at=to.at,
        screening_outdated=False,
        version=0,
    )


@CASE_EFFECTS.of(events.PartyJoined)
def _party_joined(event: events.PartyJoined, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.participants).values(
        case_id=to.case_id,
        party_id=event.party_id,
        side=event.side,
        standing=Standing.WAITING,
        joined_at=to.at,
        joined_version=to.version,
    )


@CASE_EFFECTS.of(events.PartyAsked)
def _party_asked(event: events.PartyAsked, to: EffectContext) -> Iterator[Executable]:
    asked_at = func.coalesce(t.participants.c.asked_at, to.at)
    yield _participant(to, event.party_id).values(standing=Standing.ASKED, asked_at=asked_at)


@CASE_EFFECTS.of(events.GuardianConsented)
def _guardian_consented(event: events.GuardianConsented, to: EffectContext) -> Iterator[Executable]:
    yield _disclosure(event)
    yield insert(t.guardian_consents).values(
        case_id=to.case_id,
        **to.recorded,
        id=event.guardian_consent_id,
        party_id=event.party_id,
        disclosure_sha256=event.disclosure_sha256,
        channel=event.channel,
    )


@CASE_EFFECTS.of(events.ConsentGiven)
def _consent_given(event: events.ConsentGiven, to: EffectContext) -> Iterator[Executable]:
    yield _disclosure(event)
    yield insert(t.consents).values(
        **to.recorded,
        id=event.consent_id,
        case_id=to.case_id,
        party_id=event.party_id,
        decision=event.decision,
        disclosure_sha256=event.disclosure_sha256,
        channel=event.channel,
        guardian_consent_id=event.guardian_consent_id,
        version=to.version,
        replaces=event.replaces,
    )
    if event.decision is Decision.AGREED:
        yield _participant(to, event.party_id).values(standing=Standing.AGREED)
    else:
        yield _participant(to, event.party_id).values(
            standing=Standing.DECLINED, left_at=to.at, left_version=to.version
        )


@CASE_EFFECTS.of(events.ConsentVoided)
def _consent_voided(event: events.ConsentVoided, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.voided_consents).values(
        case_id=to.case_id, **to.recorded, consent_id=event.consent_id, party_id=event.party_id, reason=event.reason
    )
    if event.reason is not VoidReason.PARTY_REMOVED:
        yield _participant(to, event.party_id).values(standing=Standing.WAITING)


@CASE_EFFECTS.of(events.PartyRemoved)
def _party_removed(event: events.PartyRemoved, to: EffectContext) -> Iterator[Executable]:
    """Mark the party and its parts as removed, and end its access code; in an open case, it also leaves the case."""
    parties = t.parties
    yield parties.update().where(parties.c.id == event.party_id).values(removed_at=to.at, removal_reason=event.reason)
    parts = t.parts
    of_party = or_(parts.c.complainant_id == event.party_id, parts.c.officer_id == event.party_id)
    yield parts.update().where(of_party).values(removed=True)
    yield codes_ended(parties.c.id == event.party_id, to.at)
    if to.stream.case_id is not None:
        yield _left(to, event.party_id, Standing.REMOVED)
        yield released(t.session_officers.c.party_id == event.party_id)


@CASE_EFFECTS.of(events.IdentityBound)
def _identity_bound(event: events.IdentityBound, to: EffectContext) -> Iterator[Executable]:
    yield t.parties.update().where(t.parties.c.id == event.party_id).values(bound_subject=to.by.subject)


@CASE_EFFECTS.of(events.PartyWithdrew)
def _party_withdrew(event: events.PartyWithdrew, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.withdrawals).values(
        case_id=to.case_id, **to.recorded, id=event.withdrawal_id, party_id=event.party_id, channel=event.channel
    )
    yield _left(to, event.party_id, Standing.WITHDRAWN)
    yield released(t.session_officers.c.party_id == event.party_id)


@CASE_EFFECTS.of(events.PartyLapsed)
def _party_lapsed(event: events.PartyLapsed, to: EffectContext) -> Iterator[Executable]:
    yield _left(to, event.party_id, Standing.LAPSED)
    yield released(t.session_officers.c.party_id == event.party_id)


@CASE_EFFECTS.of(events.ContactAttempted)
def _contact_attempted(event: events.ContactAttempted, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.contact_attempts).values(
        case_id=to.case_id,
        **to.recorded,
        id=event.attempt_id,
        party_id=event.party_id,
        channel=event.channel,
        result=event.result,
        attempted_at=event.attempted_at,
    )


@CASE_EFFECTS.of(events.PartOpened)
def _part_opened(event: events.PartOpened, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.parts).values(
        case_id=to.case_id,
        complainant_id=event.complainant_id,
        officer_id=event.officer_id,
        disposition=Disposition.IN_MEDIATION,
        removed=False,
    )


@CASE_EFFECTS.of(events.PartReturned)
def _part_returned(event: events.PartReturned, to: EffectContext) -> Iterator[Executable]:
    yield _part(to, event).values(disposition=Disposition.RETURNED_TO_INVESTIGATION)


@CASE_EFFECTS.of(events.PartMediated)
def _part_mediated(event: events.PartMediated, to: EffectContext) -> Iterator[Executable]:
    mediated = {"disposition": Disposition.CLOSED_MEDIATED, "agreement_reached": event.agreement_reached}
    yield _part(to, event).values(mediated)


@CASE_EFFECTS.of(events.CaseScreened)
def _case_screened(event: events.CaseScreened, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.screenings).values(
        case_id=to.case_id,
        **to.recorded,
        id=event.screening_id,
        rules_version=event.screening.version,
        findings=[{"code": f.code, "outcome": f.outcome} for f in event.screening.findings],
        outcome=event.screening.outcome,
        eligible=event.eligible,
        overridden=event.overridden,
        version=to.version,
        **to.encrypted(t.screenings, event.screening_id, reason=event.reason),
    )


@CASE_EFFECTS.of(events.ApprovalRecorded)
def _approval_recorded(event: events.ApprovalRecorded, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.approvals).values(
        case_id=to.case_id,
        **to.recorded,
        id=event.approval_id,
        approver=event.approver,
        approved=event.approved,
        unit=event.unit,
        given_on=event.given_on,
        channel=event.channel,
        **to.encrypted(t.approvals, event.approval_id, given_by=event.given_by),
        version=to.version,
    )


@CASE_EFFECTS.of(events.TargetPaused)
def _target_paused(event: events.TargetPaused, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.pauses).values(
        case_id=to.case_id,
        **to.recorded,
        id=event.pause_id,
        reason=event.reason,
        starts_on=event.starts_on,
        ends_on=event.ends_on,
    )


@CASE_EFFECTS.of(
    events.CaseClosed,
    events.CoordinatorAssigned,
    events.GuardianConsentVoided,
    events.ScreeningOutdated,
    events.StateChanged,
)
def _no_rows(event: Event, to: EffectContext) -> Iterator[Executable]:
    """No child rows: `case_columns` updates the case, and a voided guardian's consent is read from its event."""
    del event, to
    yield from ()


def case_columns(new_events: Iterable[Event], at: datetime) -> dict[str, object]:
    """Return the columns of the case's own row that the events of one command change."""
    columns: dict[str, object] = {}
    for event in new_events:
        match event:
            case events.CoordinatorAssigned():
                columns["coordinator"] = event.coordinator
            case events.StateChanged():
                columns["state"] = event.to_state
            case events.ScreeningOutdated():
                columns["screening_outdated"] = True
            case events.CaseScreened() if event.eligible is not None:
                columns["screening_outdated"] = False
            case events.CaseClosed():
                columns |= {
                    "state": event.state,
                    "closed_at": at,
                    "closed_version": t.cases.c.version + 1,
                    "agreement_reached": event.agreement_reached,
                    "lapse_reason": event.lapse_reason,
                }
            case _:
                pass
    return columns


def _disclosure(event: events.ConsentGiven | events.GuardianConsented) -> Executable:
    """Store the text of the disclosure that was answered, unless it is stored."""
    disclosure = insert(t.disclosures).values(
        sha256=event.disclosure_sha256,
        version=event.disclosure.version,
        language=event.disclosure.languages[0],
        body=event.disclosure.body,
    )
    return disclosure.on_conflict_do_nothing()


def _participant(to: EffectContext, party_id: UUID) -> Update:
    p = t.participants.c
    return t.participants.update().where(p.case_id == to.case_id, p.party_id == party_id)


def _part(to: EffectContext, event: events.PartReturned | events.PartMediated) -> Update:
    p = t.parts.c
    pair = (p.complainant_id == event.complainant_id, p.officer_id == event.officer_id)
    return t.parts.update().where(p.case_id == to.case_id, *pair)


def _left(to: EffectContext, party_id: UUID, standing: Standing) -> Update:
    p = t.participants.c
    kept = case((p.standing == Standing.REMOVED, p.standing), else_=literal(standing, String))
    first = {"left_at": func.coalesce(p.left_at, to.at), "left_version": func.coalesce(p.left_version, to.version)}
    return _participant(to, party_id).values(standing=kept, **first)
