"""Contact attempts, and lapses of parties who cannot be reached or were absent too often.

An attempt records how and when it was made and its result, never what was said. Only the office sees attempts.

Source: docs/field.md, "Unreachable people" (attempts on two channels at least, over a set period).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from mediation_api.domain import events
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.case import Case
from mediation_api.domain.case_children import ContactAttempt
from mediation_api.domain.errors import (
    AbsencesTooFew,
    ConditionsMissing,
    DirectorRequired,
    Invalid,
    Missing,
    NotAsked,
    PartyLeft,
    ResolutionSigned,
    StateConflict,
)
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import State, Trigger
from mediation_api.domain.participants import Participant
from mediation_api.domain.policy import Policy
from mediation_api.domain.target import local_date
from mediation_api.domain.values import AgreementKind, ContactResult, LapseReason, Side, Standing


def record_attempt(case: Case, attempt: ContactAttempt, *, attempt_id: UUID, at: datetime, policy: Policy) -> Events:
    """Record that the office tried to reach a party.

    Raises:
        PartyLeft: the party is no longer in the case.
        NotAsked: the party is an officer who has not been asked. Nobody contacts officers before a complainant agreed.
        Invalid: the attempt is in the future, or before the day on which mediation was requested.
    """
    case.require_open()
    party = case.participant(attempt.party_id)
    if not party.is_active:
        raise PartyLeft
    if party.side is Side.OFFICER and party.standing is Standing.WAITING:
        raise NotAsked
    if attempt.attempted_at > at:
        raise Invalid("/attempted_at", "in-the-future", "An attempt cannot be in the future.")
    if local_date(attempt.attempted_at, policy.target) < case.requested_on:
        raise Invalid(
            "/attempted_at", "not-before-request", "An attempt cannot be earlier than the request for mediation."
        )
    return (
        events.ContactAttempted(
            attempt_id=attempt_id,
            party_id=attempt.party_id,
            channel=attempt.channel,
            result=attempt.result,
            attempted_at=attempt.attempted_at,
        ),
    )


def lapse(case: Case, reason: LapseReason, party_id: UUID | None, *, policy: Policy, by: Actor) -> Events:
    """Let a party lapse, or the whole case if `party_id` is None: unreachable, or absent too often.

    Raises:
        PartyLeft: the party has left already.
        DirectorRequired: only a director closes a case for absences. Source: docs/field.md, "Absences".
        AbsencesTooFew: none of these parties was absent often enough.
        StateConflict, ResolutionSigned: nobody lapses as unreachable during a session, or once a resolution is signed.
        ConditionsMissing: too few attempts to reach these parties are on record.
    """
    case.require_open()
    concerned = case.participants if party_id is None else (case.participant(party_id),)
    concerned = tuple(p for p in concerned if p.is_active)
    if not concerned:
        raise PartyLeft
    if reason is LapseReason.REPEATED_ABSENCE:
        if by.role is not Role.DIRECTOR:
            raise DirectorRequired
        if not any(p.unexcused_absences >= policy.absences_before_lapse(p.side) for p in concerned):
            raise AbsencesTooFew
    else:
        _require_unreachable(case, concerned, policy)
    if party_id is None:
        return case.close(Trigger.SIDE_LAPSED, lapse_reason=reason)
    lapsed = events.PartyLapsed(party_id=party_id, reason=reason)
    changed = replace(concerned[0], standing=Standing.LAPSED)
    return (lapsed, *case.follow_up(changed, Trigger.SIDE_LAPSED, lapse_reason=reason))


def missing_attempts(attempts: Iterable[ContactAttempt], party_id: UUID, policy: Policy) -> tuple[Missing, ...]:
    """Return what is missing before a party may lapse as unreachable. Attempts count from when it was last reached."""
    own = sorted((a for a in attempts if a.party_id == party_id), key=lambda a: a.attempted_at)
    reached = [a.attempted_at for a in own if a.result is ContactResult.REACHED]
    counted = [a for a in own if not reached or a.attempted_at > reached[-1]]
    days = [local_date(a.attempted_at, policy.target) for a in counted]
    between = (days[-1] - days[0]).days if days else 0
    channels = len({a.channel for a in counted})
    needed = policy.contact

    def each() -> Iterator[Missing]:
        if len(counted) < needed.attempts:
            yield Missing("contact-attempts-missing", party_id, {"counted": len(counted), "needed": needed.attempts})
        if channels < needed.channels:
            yield Missing("contact-channels-missing", party_id, {"counted": channels, "needed": needed.channels})
        if between < needed.days:
            yield Missing("contact-days-missing", party_id, {"counted": between, "needed": needed.days})

    return tuple(each())


def _require_unreachable(case: Case, concerned: tuple[Participant, ...], policy: Policy) -> None:
    """Check that a party may lapse as unreachable, or a whole case: then everybody on one of its sides must be.

    Raises:
        StateConflict: a session is under way.
        ResolutionSigned: somebody has signed a resolution.
        ConditionsMissing: too few attempts are on record.
    """
    if case.state is State.IN_SESSION:
        raise StateConflict
    resolution = case.agreement(AgreementKind.RESOLUTION)
    if resolution is not None and resolution.signed_by:
        raise ResolutionSigned
    missing = {p: missing_attempts(case.contact_attempts, p.party_id, policy) for p in concerned}
    of_sides = [[missing[p] for p in concerned if p.side is side] for side in Side]
    if all(any(of_side) for of_side in of_sides if of_side):
        raise ConditionsMissing(tuple(each for of_party in missing.values() for each in of_party))
