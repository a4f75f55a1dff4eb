"""The complaint, as far as opening a case goes: at most one open case, and none once it was mediated."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mediation_api.domain import facts, target
from mediation_api.domain.errors import CaseAlreadyOpen, ComplaintClosed, PartyLeft
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
    caller_has_left: bool = False
    """The caller is a complainant who declined, withdrew or lapsed in the latest case."""

    def open_case(self, case_id: UUID, *, at: datetime, policy: Policy) -> Facts:
        """Open a case: mediation was requested. The four weeks count from the local date of `at`.

        Raises:
            PartyLeft: the caller has left, and there are other complainants. Whatever else was answered would tell
                how they went on; the office opens the next case.
            CaseAlreadyOpen: a complaint has at most one open case.
            ComplaintClosed: an earlier case was mediated.
        """
        if self.caller_has_left and sum(p.side is Side.COMPLAINANT for p in self.parties) > 1:
            raise PartyLeft
        if self.open_case_id is not None:
            raise CaseAlreadyOpen
        if self.closed:
            raise ComplaintClosed
        opened = facts.CaseOpened(
            case_id=case_id,
            complaint_id=self.complaint_id,
            requested_on=target.local_date(at, policy.target),
            due_on=target.due_on(at, policy.target),
        )
        return (opened, *(facts.PartyJoined(party_id=p.party_id, side=p.side) for p in self.parties))
