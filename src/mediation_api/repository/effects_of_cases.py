"""The effects of the events of a case: participants, consents, withdrawals, parts, screenings and pauses."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from mediation_api.database import tables as t
from mediation_api.database.batching import Change, inserted, updated
from mediation_api.domain import events
from mediation_api.domain.events import Event
from mediation_api.domain.lifecycle import State
from mediation_api.domain.values import (
    Decision,
    Disposition,
    Standing,
    VoidReason,
)
from mediation_api.repository.streams import RECORDED_AT, VERSION, EffectContext, Effects, codes_ended, released

CASE_EFFECTS: Final = Effects()


_NEXT_ATTEMPT: Final = (
    select(func.coalesce(func.max(t.cases.c.attempt), literal(0)) + 1)
    .where(t.cases.c.complaint_id == bindparam("complaint_id", type_=Uuid))
    .scalar_subquery()
)
_NEXT_VERSION: Final = t.cases.c.version + 1
_FIRST_ASKED: Final = func.coalesce(t.participants.c.asked_at, RECORDED_AT)
_FIRST_LEFT: Final = {
    "left_at": func.coalesce(t.participants.c.left_at, RECORDED_AT),
    "left_version": func.coalesce(t.participants.c.left_version, VERSION),
}
_STANDING_OR_REMOVED: Final = case(
    (t.participants.c.standing == Standing.REMOVED, t.participants.c.standing),
    else_=bindparam("new_standing", type_=t.participants.c.standing.type),
)
_DISCLOSURE: Final = (
    insert(t.disclosures)
    .values({each.name: bindparam(each.name, type_=each.type) for each in t.disclosures.c})
    .on_conflict_do_nothing()
)
_PARTS_REMOVED: Final = (
    t.parts.update()
    .where(
        or_(
            t.parts.c.complainant_id == bindparam("removed_id", type_=Uuid),
            t.parts.c.officer_id == bindparam("removed_id", type_=Uuid),
        )
    )
    .values(removed=True)
)


@CASE_EFFECTS.of(events.CaseOpened)
def _case_opened(event: events.CaseOpened, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.cases,
        id=event.case_id,
        complaint_id=event.complaint_id,
        attempt=_NEXT_ATTEMPT,
        state=State.SCREENING,
        requested_on=event.requested_on,
        due_on=event.due_on,
        opened_at=to.at,
        screening_outdated=False,
        version=1,
    )


@CASE_EFFECTS.of(events.PartyJoined)
def _party_joined(event: events.PartyJoined, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.participants,
        case_id=to.case_id,
        party_id=event.party_id,
        side=event.side,
        standing=Standing.WAITING,
        joined_at=to.at,
        joined_version=VERSION,
    )


@CASE_EFFECTS.of(events.PartyAsked)
def _party_asked(event: events.PartyAsked, to: EffectContext) -> Iterator[Change]:
    yield _participant(to, event.party_id, standing=Standing.ASKED, asked_at=_FIRST_ASKED)


@CASE_EFFECTS.of(events.GuardianConsented)
def _guardian_consented(event: events.GuardianConsented, to: EffectContext) -> Iterator[Change]:
    yield _disclosure(event)
    yield inserted(
        t.guardian_consents,
        case_id=to.case_id,
        **to.recorded,
        id=event.guardian_consent_id,
        party_id=event.party_id,
        disclosure_sha256=event.disclosure_sha256,
        channel=event.channel,
    )


@CASE_EFFECTS.of(events.ConsentGiven)
def _consent_given(event: events.ConsentGiven, to: EffectContext) -> Iterator[Change]:
    yield _disclosure(event)
    yield inserted(
        t.consents,
        **to.recorded,
        id=event.consent_id,
        case_id=to.case_id,
        party_id=event.party_id,
        decision=event.decision,
        disclosure_sha256=event.disclosure_sha256,
        channel=event.channel,
        guardian_consent_id=event.guardian_consent_id,
        version=VERSION,
        replaces=event.replaces,
    )
    if event.decision is Decision.AGREED:
        yield _participant(to, event.party_id, standing=Standing.AGREED)
    else:
        yield _participant(to, event.party_id, standing=Standing.DECLINED, left_at=to.at, left_version=VERSION)


@CASE_EFFECTS.of(events.ConsentVoided)
def _consent_voided(event: events.ConsentVoided, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.voided_consents,
        case_id=to.case_id,
        **to.recorded,
        consent_id=event.consent_id,
        party_id=event.party_id,
        reason=event.reason,
    )
    if event.reason is not VoidReason.PARTY_REMOVED:
        yield _participant(to, event.party_id, standing=Standing.WAITING)


@CASE_EFFECTS.of(events.PartyRemoved)
def _party_removed(event: events.PartyRemoved, to: EffectContext) -> Iterator[Change]:
    """Mark the party and its parts as removed, and end its access code; in an open case, it also leaves the case."""
    yield updated(t.parties, {"id": event.party_id}, removed_at=to.at, removal_reason=event.reason)
    yield Change(_PARTS_REMOVED, {"removed_id": event.party_id})
    yield codes_ended(event.party_id)
    if to.stream.case_id is not None:
        yield _left(to, event.party_id, Standing.REMOVED)
        yield released(party_id=event.party_id)


@CASE_EFFECTS.of(events.IdentityBound)
def _identity_bound(event: events.IdentityBound, to: EffectContext) -> Iterator[Change]:
    yield updated(t.parties, {"id": event.party_id}, bound_subject=to.by.subject)


@CASE_EFFECTS.of(events.PartyWithdrew)
def _party_withdrew(event: events.PartyWithdrew, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.withdrawals,
        case_id=to.case_id,
        **to.recorded,
        id=event.withdrawal_id,
        party_id=event.party_id,
        channel=event.channel,
    )
    yield _left(to, event.party_id, Standing.WITHDRAWN)
    yield released(party_id=event.party_id)


@CASE_EFFECTS.of(events.PartyLapsed)
def _party_lapsed(event: events.PartyLapsed, to: EffectContext) -> Iterator[Change]:
    yield _left(to, event.party_id, Standing.LAPSED)
    yield released(party_id=event.party_id)


@CASE_EFFECTS.of(events.ContactAttempted)
def _contact_attempted(event: events.ContactAttempted, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.contact_attempts,
        case_id=to.case_id,
        **to.recorded,
        id=event.attempt_id,
        party_id=event.party_id,
        channel=event.channel,
        result=event.result,
        attempted_at=event.attempted_at,
    )


@CASE_EFFECTS.of(events.PartOpened)
def _part_opened(event: events.PartOpened, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.parts,
        case_id=to.case_id,
        complainant_id=event.complainant_id,
        officer_id=event.officer_id,
        disposition=Disposition.IN_MEDIATION,
        removed=False,
    )


@CASE_EFFECTS.of(events.PartReturned)
def _part_returned(event: events.PartReturned, to: EffectContext) -> Iterator[Change]:
    yield _part(to, event, disposition=Disposition.RETURNED_TO_INVESTIGATION)


@CASE_EFFECTS.of(events.PartMediated)
def _part_mediated(event: events.PartMediated, to: EffectContext) -> Iterator[Change]:
    yield _part(to, event, disposition=Disposition.CLOSED_MEDIATED, agreement_reached=event.agreement_reached)


@CASE_EFFECTS.of(events.CaseScreened)
def _case_screened(event: events.CaseScreened, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.screenings,
        case_id=to.case_id,
        **to.recorded,
        id=event.screening_id,
        rules_version=event.screening.version,
        findings=[{"code": f.code, "outcome": f.outcome} for f in event.screening.findings],
        outcome=event.screening.outcome,
        eligible=event.eligible,
        overridden=event.overridden,
        version=VERSION,
        **to.encrypted(t.screenings, event.screening_id, reason=event.reason),
    )


@CASE_EFFECTS.of(events.ApprovalRecorded)
def _approval_recorded(event: events.ApprovalRecorded, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.approvals,
        case_id=to.case_id,
        **to.recorded,
        id=event.approval_id,
        approver=event.approver,
        approved=event.approved,
        unit=event.unit,
        given_on=event.given_on,
        channel=event.channel,
        **to.encrypted(t.approvals, event.approval_id, given_by=event.given_by),
        version=VERSION,
    )


@CASE_EFFECTS.of(events.TargetPaused)
def _target_paused(event: events.TargetPaused, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.pauses,
        case_id=to.case_id,
        **to.recorded,
        id=event.pause_id,
        reason=event.reason,
        starts_on=event.starts_on,
        ends_on=event.ends_on,
    )


@CASE_EFFECTS.of(
    events.CaseAtRisk,
    events.CaseClosed,
    events.CaseOverdue,
    events.CoordinatorAssigned,
    events.GuardianConsentVoided,
    events.ScreeningOutdated,
    events.StateChanged,
)
def _no_rows(event: Event, to: EffectContext) -> Iterator[Change]:
    """No child rows: `case_columns` updates the case, and a voided guardian's consent is read from its event."""
    del event, to
    yield from ()


def case_changed(new_events: Iterable[Event], to: EffectContext) -> Change:
    """Return the change of the case's own row that follows from the events of one command."""
    return updated(t.cases, {"id": to.case_id}, version=_NEXT_VERSION, **_case_columns(new_events, to.at))


def _case_columns(new_events: Iterable[Event], at: datetime) -> dict[str, object]:
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
                    "closed_version": _NEXT_VERSION,
                    "agreement_reached": event.agreement_reached,
                    "lapse_reason": event.lapse_reason,
                }
            case _:
                pass
    return columns


def _disclosure(event: events.ConsentGiven | events.GuardianConsented) -> Change:
    """Store the text of the disclosure that was answered, unless it is stored."""
    return Change(
        _DISCLOSURE,
        {
            "sha256": event.disclosure_sha256,
            "version": event.disclosure.version,
            "language": event.disclosure.languages[0],
            "body": event.disclosure.body,
        },
    )


def _participant(to: EffectContext, party_id: UUID, **columns: object) -> Change:
    return updated(t.participants, {"case_id": to.case_id, "party_id": party_id}, **columns)


def _part(to: EffectContext, event: events.PartReturned | events.PartMediated, **columns: object) -> Change:
    pair = {"complainant_id": event.complainant_id, "officer_id": event.officer_id}
    return updated(t.parts, {"case_id": to.case_id, **pair}, **columns)


def _left(to: EffectContext, party_id: UUID, standing: Standing) -> Change:
    change = _participant(to, party_id, standing=_STANDING_OR_REMOVED, **_FIRST_LEFT)
    return change._replace(values={**change.values, "new_standing": standing})
