"""Contact attempts: that the office tried to reach a party, how and when, and what came of it; never what was said.

A party lapses as unreachable only after enough of them. Only the office sees them.

Source: DOMAIN, section 2 "Unreachable" (attempts on two channels at least, over a set period).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from mediation_api.domain import events
from mediation_api.domain.errors import (
    ConditionsMissing,
    Invalid,
    Missing,
    NotAsked,
    PartyLeft,
    ResolutionSigned,
    StateConflict,
)
from mediation_api.domain.lifecycle import State
from mediation_api.domain.target import local_date
from mediation_api.domain.values import AgreementKind, ContactChannel, ContactResult, Side, Standing

if TYPE_CHECKING:
    from mediation_api.domain.case import Case
    from mediation_api.domain.events import Events
    from mediation_api.domain.participants import Participant
    from mediation_api.domain.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactAttempt:
    """One attempt to reach a party. `attempted_at` is when it was made, as staff recorded it."""

    party_id: UUID
    channel: ContactChannel
    result: ContactResult
    attempted_at: datetime


def record_attempt(
    case: "Case", attempt: ContactAttempt, *, attempt_id: UUID, at: datetime, policy: "Policy"
) -> "Events":
    """Record that the office tried to reach a party.

    Raises:
        PartyLeft: the party is no longer in the case.
        NotAsked: an officer who has not been asked; nobody contacts officers before a complainant has agreed.
        Invalid: the attempt lies in the future, or before mediation was requested.
    """
    case.require_open()
    party = case.participant(attempt.party_id)
    if not party.is_active:
        raise PartyLeft
    if party.side is Side.OFFICER and party.standing is Standing.WAITING:
        raise NotAsked
    if attempt.attempted_at > at:
        raise Invalid("/attempted_at", "in-the-future", "An attempt that is recorded has been made.")
    if local_date(attempt.attempted_at, policy.target) < case.requested_on:
        raise Invalid("/attempted_at", "not-before-request", "An attempt counts from the day mediation was requested.")
    return (
        events.ContactAttempted(
            attempt_id=attempt_id,
            party_id=attempt.party_id,
            channel=attempt.channel,
            result=attempt.result,
            attempted_at=attempt.attempted_at,
        ),
    )


def missing_attempts(attempts: Iterable[ContactAttempt], party_id: UUID, policy: "Policy") -> tuple[Missing, ...]:
    """What is missing before this party lapses as unreachable. Reaching it makes the attempts before that void."""
    own = sorted((a for a in attempts if a.party_id == party_id), key=lambda a: a.attempted_at)
    scope = [a.attempted_at for a in own if a.result is ContactResult.REACHED]
    tried = [a for a in own if not scope or a.attempted_at > scope[-1]]
    days = [local_date(a.attempted_at, policy.target) for a in tried]
    between = (days[-1] - days[0]).days if days else 0
    channels = len({a.channel for a in tried})
    needed = policy.contact

    def each() -> Iterator[Missing]:
        if len(tried) < needed.attempts:
            yield Missing("contact-attempts-missing", party_id, about=f"{len(tried)} of {needed.attempts}")
        if channels < needed.channels:
            yield Missing("contact-channels-missing", party_id, about=f"{channels} of {needed.channels}")
        if between < needed.days:
            yield Missing("contact-days-missing", party_id, about=f"{between} of {needed.days}")

    return tuple(each())


def require_unreachable(case: "Case", concerned: tuple["Participant", ...], policy: "Policy") -> None:
    """Check that these parties may lapse as unreachable; of a whole case, that nobody on one of its sides was reached.

    Raises:
        StateConflict: a session is under way, so that those in it can be reached.
        ResolutionSigned: somebody has signed a resolution, which silence does not undo.
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
