"""What reopens a case: a party that is removed, a consent that is voided, a screening that is outdated.

None of them closes a case. Its gates are shut until the right person has answered, or the case was screened again. A
scheduled session is called off when a party is removed or a consent is voided; neither is possible during a session.

Source of the rules: docs/rules.md, "The lifecycle".
"""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from mediation_api.domain import events, parts
from mediation_api.domain.case import Case
from mediation_api.domain.errors import AgreementReached
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import State, Trigger
from mediation_api.domain.participants import Participant
from mediation_api.domain.values import CancelReason, Side, Standing, VoidReason


def remove(case: Case, removed: events.PartyRemoved) -> Events:
    """Take a party that was removed from the complaint out of its open case; a closed case stays as it is.

    Raises:
        SessionInProgress: a session is under way.
    """
    if not case.state.is_open:
        return ()
    case.require_no_session()
    party = case.participant(removed.party_id)
    if not party.is_active:
        return (removed,)
    voided = _voided(party, VoidReason.PARTY_REMOVED) if party.standing is Standing.AGREED else ()
    others = tuple(
        replace(p, standing=Standing.REMOVED) if p.party_id == party.party_id else p for p in case.participants
    )
    remaining = tuple(part for part in case.parts if not part.concerns(party.party_id))
    return (
        *voided,
        *parts.returned(case.parts, party.party_id),
        removed,
        *case.called_off(CancelReason.PARTY_REMOVED),
        *_gate_after_removal(replace(case, participants=others, parts=remaining)),
    )


def void(case: Case, party_ids: Collection[UUID], reason: VoidReason) -> Events:
    """Void the consents of these parties and their guardians, and ask those who had agreed again.

    A closed case does not change. Complainants are asked at once, officers once every complainant agrees. Agreements
    are superseded, so that everybody signs anew.

    Raises:
        SessionInProgress: a session is under way.
        AgreementReached: everybody of a part has signed a resolution, so its consents stand until the close.
    """
    people = [p for p in case.participants if p.party_id in party_ids and case.may_still_mediate(p)]
    agreed = [p for p in people if p.standing is Standing.AGREED]
    voided = (
        *(event for p in agreed for event in _voided(p, reason)),
        *(event for p in people for event in _guardian_voided(p, reason)),
    )
    if not case.state.is_open or not voided:
        return ()
    case.require_no_session()
    if any(parts.is_resolved(part, case.participants, case.agreements) for part in case.open_parts):
        raise AgreementReached
    if not agreed:
        return voided
    reopened = _reopened(case, {p.side for p in agreed})
    state = reopened.to_state if reopened else case.state
    asked = {State.CONFIRMING: Side.COMPLAINANT, State.ASKING: Side.OFFICER}[state]
    return (
        *voided,
        *(events.AgreementSuperseded(agreement_id=a.agreement_id) for a in case.agreements if not a.superseded),
        *case.called_off(CancelReason.CONSENT_VOIDED),
        *((reopened,) if reopened else ()),
        *(events.PartyAsked(party_id=p.party_id) for p in agreed if p.side is asked),
    )


def outdate_screening(case: Case, changed: tuple[str, ...]) -> Events:
    """Record that answers which screening depends on have changed since; `changed` names them."""
    if not changed or not case.state.is_open or case.state is State.SCREENING or case.screening_outdated:
        return ()
    return (events.ScreeningOutdated(changed=changed),)


def _voided(party: Participant, reason: VoidReason) -> Events:
    if party.consent_id is None:
        raise ValueError("a party agreed without a consent")
    return (events.ConsentVoided(party_id=party.party_id, consent_id=party.consent_id, reason=reason),)


def _guardian_voided(party: Participant, reason: VoidReason) -> Events:
    if party.guardian_consent_id is None:
        return ()
    return (
        events.GuardianConsentVoided(
            party_id=party.party_id, guardian_consent_id=party.guardian_consent_id, reason=reason
        ),
    )


def _gate_after_removal(case: Case) -> Events:
    """Return where the case goes without the party: back to an empty side, or on if the others only waited for it."""
    empty = {side for side in Side if not case.side(side)}
    reopened = _reopened(case, empty)
    if reopened:
        return (reopened,)
    if case.state is State.SCHEDULED:
        transition = case.transition(case.after_session(Trigger.SESSION_CALLED_OFF))
        return (transition, *replace(case, state=transition.to_state).next_steps())
    return case.next_steps()


def _reopened(case: Case, sides: Collection[Side]) -> events.StateChanged | None:
    """Return the transition back to the first of these sides; None if the case has not passed that state."""
    if Side.COMPLAINANT in sides and case.state not in {State.SCREENING, State.CONFIRMING}:
        return case.transition(Trigger.COMPLAINANTS_REOPENED)
    if Side.OFFICER in sides and case.state not in {State.SCREENING, State.CONFIRMING, State.ASKING}:
        return case.transition(Trigger.OFFICERS_REOPENED)
    return None
