"""The complaint: opening a case (at most one open, none for what was mediated), correcting what others rely on."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from mediation_api.domain import events, on_file, parts, reopening, screening, target
from mediation_api.domain.case import Case
from mediation_api.domain.errors import (
    AttemptsExhausted,
    AttemptTooSoon,
    CaseAlreadyOpen,
    ComplaintClosed,
    DataErased,
    PartyLeft,
)
from mediation_api.domain.events import Events
from mediation_api.domain.participants import Participant
from mediation_api.domain.parts import Pair, Part
from mediation_api.domain.policy import Policy
from mediation_api.domain.screening import INTAKE_FIELDS, IntakeRecord
from mediation_api.domain.values import Channel, Side, VoidReason


def file(values: Mapping[str, object], *, year: int, number: int) -> events.ComplaintFiled:
    """File a complaint.

    Args:
        values: The fields of the complaint, those that intake answers among them.
        year: That of the local date.
        number: The next number of one sequence: never a count, which would tell how many there are.
    """
    external = values.get("external_reference")
    return events.ComplaintFiled(
        reference=f"{year}-{number:06}",
        external_reference=None if external is None else str(external),
        channel=Channel(str(values["channel"])),
        interested_in_mediation=values["interested_in_mediation"] is True,
        on_file=on_file.entered(on_file.NEW_COMPLAINT, values),
        values=values,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What opening a case needs to know of a complaint. `mediated` are its parts that were mediated, in any case."""

    complaint_id: UUID
    open_case_id: UUID | None
    parties: tuple[Participant, ...]
    attempts: int = 0
    """How many cases it has had."""
    last_closed_at: datetime | None = None
    mediated: tuple[Part, ...] = ()
    caller_id: UUID | None = None
    """The complainant who asks, if it is one."""
    caller_has_left: bool = False
    """The caller is a complainant who declined, withdrew or lapsed in the latest case."""

    def open_case(self, case_id: UUID, *, at: datetime, policy: Policy) -> Events:
        """Open a case: mediation was requested. The four weeks count from the local date of `at`.

        A pair that was mediated gets no part, and whoever has no other part does not join.

        Raises:
            PartyLeft: the caller has left, and there are other complainants. Whatever else was answered would tell
                how they went on; the office opens the next case.
            ComplaintClosed: every part was mediated, or every part of the complainant who asks.
            CaseAlreadyOpen: a complaint has at most one open case.
            AttemptsExhausted, AttemptTooSoon: nobody is asked again and again. Both count cases, whatever they ended
                by: a rule that looked at who declined would tell that somebody did.
        """
        if self.caller_has_left and sum(p.side is Side.COMPLAINANT for p in self.parties) > 1:
            raise PartyLeft
        # Before the open case: it may be that of others, of whom the caller is told nothing.
        if self._is_closed():
            raise ComplaintClosed
        if self.open_case_id is not None:
            raise CaseAlreadyOpen
        if self.attempts >= policy.max_attempts:
            raise AttemptsExhausted
        if self.last_closed_at is not None:
            opens_on = target.local_date(self.last_closed_at, policy.target) + timedelta(policy.days_between_attempts)
            if target.local_date(at, policy.target) < opens_on:
                raise AttemptTooSoon(f"The next attempt can be made from {opens_on} on.")
        opened = events.CaseOpened(
            case_id=case_id,
            complaint_id=self.complaint_id,
            requested_on=target.local_date(at, policy.target),
            due_on=target.due_on(at, policy.target),
        )
        pairs = self._open_pairs()
        joining = [p for p in self.parties if not pairs or any(p.party_id in pair for pair in pairs)]
        joined = (events.PartyJoined(party_id=p.party_id, side=p.side) for p in joining)
        return (opened, *joined, *parts.opened(pairs))

    def _open_pairs(self) -> tuple[Pair, ...]:
        mediated = {part.pair for part in self.mediated}
        return tuple(pair for pair in parts.pairs_of(self.parties) if pair not in mediated)

    def _is_closed(self) -> bool:
        """Whether all parts were mediated; for a complainant who asks, all of that complainant's."""
        own = {pair for pair in parts.pairs_of(self.parties) if self.caller_id is None or self.caller_id in pair}
        return bool(own) and own.isdisjoint(self._open_pairs())


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What intake wrote down and others rely on: parties on the allegations, screening on the answers."""

    on_file: events.ComplaintOnFile

    @property
    def intake(self) -> IntakeRecord:
        """The answers that rules of eligibility look at."""
        return IntakeRecord(**{name: value for name, value in asdict(self.on_file).items() if name in INTAKE_FIELDS})

    def correct(self, changes: Mapping[str, object]) -> events.ComplaintCorrected:
        """Correct what intake wrote down. Only the names of the fields go into the record.

        Raises:
            DataErased: the narrative was erased, and something of the same kind would be held again.
        """
        if changes.keys() & {"narrative", "incident_place"} and "narrative" not in self.on_file.given:
            raise DataErased
        return events.ComplaintCorrected(
            changed=tuple(sorted(changes)), on_file=on_file.corrected(self.on_file, changes), values=changes
        )

    def follow_up(self, changes: Mapping[str, object], case: Case) -> Events:
        """What follows for the open `case` of the complaint when this is corrected.

        Who agreed, agreed to talk about these allegations: where they are others, everybody is asked again.

        Raises:
            SessionInProgress: the allegations are replaced during a session.
        """
        outdated = reopening.outdate_screening(case, screening.outdated_by(self.intake, changes))
        allegations = changes.get("allegations", self.on_file.allegations)
        if not isinstance(allegations, Collection) or set(allegations) == set(self.on_file.allegations):
            return outdated
        everybody = {p.party_id for p in case.participants}
        return (*outdated, *reopening.void(case, everybody, VoidReason.ALLEGATIONS_REPLACED))
