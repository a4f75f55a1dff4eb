"""Who is reminded of what, and from which day on: of an answer, of a proposal, of a signature.

A reminder depends on nothing but what its own person has not done, so that it tells nobody of another's answer.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from mediation_api.domain.policy import Policy
from mediation_api.domain.target import add_working_days, local_date
from mediation_api.domain.values import AgreementKind

_ONE_DAY = timedelta(days=1)


class ReminderKind(StrEnum):
    """What somebody is reminded of."""

    ANSWER = "answer"
    """A party that was asked has not answered."""
    PROPOSAL = "proposal"
    """A mediator has not answered a proposal."""
    SIGNATURE = "signature"
    """A party, its guardian, or the mediator has not signed the current text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """A reminder to one person: a party or a mediator.

    `about` names what is waited for: for an answer the instant at which the party was asked, for a proposal the id of
    the assignment, for a signature that of the agreement. There is one reminder for a person and what it is about.
    """

    kind: ReminderKind
    case_id: UUID
    party_id: UUID | None
    mediator_id: UUID | None
    about: str
    due_on: date
    """The first day on which it may be sent."""

    def is_due(self, at: datetime, policy: Policy) -> bool:
        """Return whether it may be sent now: from its day on, and not before sessions begin on that day."""
        local = at.astimezone(policy.target.zone)
        return (local.date(), local.hour) >= (self.due_on, policy.sessions.opens)


def answer_due_on(asked_at: datetime, policy: Policy) -> date:
    """Return the day on which a party that was asked is reminded."""
    return _days_after(asked_at, policy)


def proposal_due_on(answer_due_on: date) -> date:
    """Return the day on which a mediator is reminded: the one after the last on which the answer is in time."""
    return answer_due_on + _ONE_DAY


def signature_due_on(kind: AgreementKind, made_at: datetime, starts_at: datetime | None, policy: Policy) -> date:
    """Return the day on which whoever has not signed is reminded.

    Nobody takes part in a session without having signed the confidentiality agreement: of that, on the day before the
    session at the latest, but never on the day on which the text was made.

    Args:
        kind: The kind of the text.
        made_at: When it was made, which everybody was told.
        starts_at: When the next session of the case starts, if there is one.
        policy: The city's.
    """
    usual = _days_after(made_at, policy)
    if kind is not AgreementKind.CONFIDENTIALITY or starts_at is None:
        return usual
    earliest = local_date(made_at, policy.target) + _ONE_DAY
    return max(earliest, min(usual, local_date(starts_at, policy.target) - _ONE_DAY))


def _days_after(instant: datetime, policy: Policy) -> date:
    day = local_date(instant, policy.target)
    return add_working_days(day, policy.reminder_working_days, policy.target.holidays)
