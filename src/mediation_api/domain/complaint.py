"""The complaint, as far as opening a case goes: at most one open case, and none once it was mediated."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from mediation_api.domain import facts, target
from mediation_api.domain.errors import (
    AttemptsExhausted,
    AttemptTooSoon,
    CaseAlreadyOpen,
    ComplaintClosed,
    PartyLeft,
)
from mediation_api.domain.facts import Facts
from mediation_api.domain.participants import Participant
from mediation_api.domain.policy import Policy
from mediation_api.domain.values import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What opening a case needs to know of a complaint."""

    complaint_id: UUID
    open_case_id: UUID | None
    closed: bool
    parties: tuple[Participant, ...]
    attempts: int = 0
    """How many cases it has had."""
    last_closed_at: datetime | None = None
    caller_has_left: bool = False
    """The caller is a complainant who declined, withdrew or lapsed in the latest case."""

    def open_case(self, case_id: UUID, *, at: datetime, policy: Policy) -> Facts:
        """Open a case: mediation was requested. The four weeks count from the local date of `at`.

        Raises:
            PartyLeft: the caller has left, and there are other complainants. Whatever else was answered would tell
                how they went on; the office opens the next case.
            CaseAlreadyOpen: a complaint has at most one open case.
            ComplaintClosed: an earlier case was mediated.
            AttemptsExhausted, AttemptTooSoon: nobody is asked again and again. Both count cases, whatever they ended
                by: a rule that looked at who declined would tell that somebody did.
        """
        if self.caller_has_left and sum(p.side is Side.COMPLAINANT for p in self.parties) > 1:
            raise PartyLeft
        if self.open_case_id is not None:
            raise CaseAlreadyOpen
        if self.closed:
            raise ComplaintClosed
        if self.attempts >= policy.max_attempts:
            raise AttemptsExhausted
        if self.last_closed_at is not None:
            opens_on = target.local_date(self.last_closed_at, policy.target) + timedelta(policy.days_between_attempts)
            if target.local_date(at, policy.target) < opens_on:
                raise AttemptTooSoon(f"The next attempt can be made from {opens_on} on.")
        opened = facts.CaseOpened(
            case_id=case_id,
            complaint_id=self.complaint_id,
            requested_on=target.local_date(at, policy.target),
            due_on=target.due_on(at, policy.target),
        )
        return (opened, *(facts.PartyJoined(party_id=p.party_id, side=p.side) for p in self.parties))
