"""The complaint: filing it, opening a case of it, and correcting what parties and screening rely on."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from mediation_api.domain import events, on_file, parts, party, reopening, screening, target
from mediation_api.domain.case import Case
from mediation_api.domain.errors import (
    AttemptsExhausted,
    AttemptTooSoon,
    CaseAlreadyOpen,
    ComplaintClosed,
    DataErased,
    Invalid,
    PartyLeft,
)
from mediation_api.domain.events import Events
from mediation_api.domain.participants import Participant
from mediation_api.domain.parts import Pair, Part
from mediation_api.domain.policy import Policy
from mediation_api.domain.screening import INTAKE_FIELDS, IntakeRecord
from mediation_api.domain.values import Channel, Side, VoidReason

NUMBER_DIGITS: Final = 6
"""The digits that the number of a reference has at least; zeros fill it up."""


def file(
    values: Mapping[str, object], *, today: date, number: int, categories: Collection[str]
) -> events.ComplaintFiled:
    """File a complaint.

    Args:
        values: The fields of the complaint, including the answers of intake.
        today: The local date, whose year is in the reference.
        number: The next number of a sequence. It is not a count, which would reveal how many complaints there are.
        categories: The city's categories of allegations.

    Raises:
        Invalid: something is said to have happened in the future, or an allegation is of another category.
    """
    _require_categories(values, categories)
    _require_happened(values, today, intake="/intake")
    external = values.get("external_reference")
    return events.ComplaintFiled(
        reference=f"{today.year}-{number:0{NUMBER_DIGITS}}",
        external_reference=None if external is None else str(external),
        channel=Channel(str(values["channel"])),
        interested_in_mediation=values["interested_in_mediation"] is True,
        on_file=on_file.entered(on_file.NEW_COMPLAINT, values),
        values=values,
    )


def _require_categories(values: Mapping[str, object], categories: Collection[str]) -> None:
    allegations = values.get("allegations")
    if isinstance(allegations, Collection) and not set(allegations) <= set(categories):
        raise Invalid("/allegations", "category-not-configured", "The city's list does not have all of these.")


def _require_happened(values: Mapping[str, object], today: date, *, intake: str) -> None:
    happened = {"incident_on": "/incident_on", "pending_case_filed_on": f"{intake}/pending_case_filed_on"}
    for name, pointer in happened.items():
        day = values.get(name)
        if isinstance(day, date) and day > today:
            raise Invalid(pointer, "in-the-future", "This cannot be in the future.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A complaint, with what opening a case depends on. `mediated` are its parts that were mediated in any case."""

    complaint_id: UUID
    open_case_id: UUID | None
    parties: tuple[Participant, ...]
    attempts: int = 0
    """How many cases it has had so far."""
    last_closed_at: datetime | None = None
    mediated: tuple[Part, ...] = ()
    caller_id: UUID | None = None
    """The party of the caller, if the caller is a complainant."""
    caller_has_left: bool = False
    """Whether the caller is a complainant who declined, withdrew or lapsed in the latest case."""

    def open_case(self, case_id: UUID, *, at: datetime, policy: Policy) -> Events:
        """Open a case, because mediation was requested. The target counts from the local date of `at`.

        A complainant and an officer whose part was mediated get no new one, and a party without any part does not join.

        Raises:
            PartyLeft: the caller has left, and there are other complainants. Any other response would reveal how they
                went on; the office opens the next case.
            ComplaintClosed: every part of the complaint, or of the complainant who calls, was mediated.
            CaseAlreadyOpen: a complaint has at most one open case.
            AttemptsExhausted, AttemptTooSoon: so that nobody is asked again and again. All cases count, however they
                ended: a rule about who declined would reveal that somebody did.
        """
        if self.caller_has_left and sum(p.side is Side.COMPLAINANT for p in self.parties) > 1:
            raise PartyLeft
        # Before the check for an open case: that case may be of other people, about whom the caller must not learn.
        if self._is_closed():
            raise ComplaintClosed
        if self.open_case_id is not None:
            raise CaseAlreadyOpen
        if self.attempts >= policy.max_attempts:
            raise AttemptsExhausted
        if self.last_closed_at is not None:
            opens_on = target.local_date(self.last_closed_at, policy.target) + timedelta(policy.days_between_attempts)
            if target.local_date(at, policy.target) < opens_on:
                raise AttemptTooSoon("The next attempt can be made from {date} on.", date=opens_on)
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
        """Return whether all parts were mediated; for a complainant who calls, all of that complainant's."""
        own = {pair for pair in parts.pairs_of(self.parties) if self.caller_id is None or self.caller_id in pair}
        return bool(own) and own.isdisjoint(self._open_pairs())


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """The events of a complaint that is filed with its parties, and of the case that is opened."""

    filed: events.ComplaintFiled
    added: tuple[events.PartyAdded, ...]
    opened: Events
    """Empty unless the complainant is interested in mediation."""


def file_with_parties(
    complaint_id: UUID,
    values: Mapping[str, object],
    parties: Sequence[tuple[UUID, Side, Mapping[str, object]]],
    *,
    case_id: UUID,
    number: int,
    categories: Collection[str],
    at: datetime,
    policy: Policy,
) -> Filing:
    """File a complaint with its parties, and open a case if the complainant is interested in mediation.

    Args:
        complaint_id: The id of the complaint.
        values: As in `file`.
        parties: The id, the side and the fields of each party.
        case_id: The id of the case, if one is opened.
        number: As in `file`.
        categories: As in `file`.
        at: The time of filing.
        policy: The city's.

    Raises:
        Invalid: as `file`.
        LimitReached: there are too many parties.
    """
    filed = file(values, today=target.local_date(at, policy.target), number=number, categories=categories)
    added = tuple(party.add(party_id, side, each, others=n) for n, (party_id, side, each) in enumerate(parties))
    if not filed.interested_in_mediation:
        return Filing(filed=filed, added=added, opened=())
    opened = just_filed(complaint_id, added).open_case(case_id, at=at, policy=policy)
    return Filing(filed=filed, added=added, opened=opened)


def just_filed(complaint_id: UUID, added: Iterable[events.PartyAdded]) -> Complaint:
    """Return the complaint that is being filed with these parties."""
    parties = tuple(Participant(party_id=each.party_id, side=each.side) for each in added)
    return Complaint(complaint_id=complaint_id, open_case_id=None, parties=parties)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What intake entered: parties agree to talk about the allegations, and screening depends on the answers."""

    on_file: events.ComplaintOnFile

    @property
    def intake(self) -> IntakeRecord:
        """The answers that eligibility rules depend on."""
        return IntakeRecord(**{name: value for name, value in asdict(self.on_file).items() if name in INTAKE_FIELDS})

    def correct(
        self, changes: Mapping[str, object], *, today: date, categories: Collection[str]
    ) -> tuple[events.ComplaintCorrected, ...]:
        """Correct what intake entered; without changes, nothing happens.

        `today` is the local date, `categories` the city's categories of allegations.

        An allegation that is on file may stay, also if the city has taken its category off the list.

        Raises:
            Invalid: something is said to have happened in the future, or an allegation is of another category.
            DataErased: the narrative was erased, and data of the same kind would be stored again.
        """
        if not changes:
            return ()
        _require_categories(changes, {*categories, *self.on_file.allegations})
        _require_happened(changes, today, intake="")
        if changes.keys() & {"narrative", "incident_place"} and "narrative" not in self.on_file.filled:
            raise DataErased
        corrected = events.ComplaintCorrected(
            changed=tuple(sorted(changes)), on_file=on_file.corrected(self.on_file, changes), values=changes
        )
        return (corrected,)

    def follow_up(self, changes: Mapping[str, object], case: Case) -> Events:
        """Return what follows for the open `case` of the complaint from a correction.

        Consents are about these allegations: when those change, everybody is asked again.

        Raises:
            SessionInProgress: the allegations change during a session.
            AgreementReached: the allegations change although everybody of a part has signed a resolution.
        """
        outdated = reopening.outdate_screening(case, screening.outdated_by(self.intake, changes))
        allegations = changes.get("allegations", self.on_file.allegations)
        if not isinstance(allegations, Collection) or set(allegations) == set(self.on_file.allegations):
            return outdated
        everybody = {p.party_id for p in case.participants}
        return (*outdated, *reopening.void(case, everybody, VoidReason.ALLEGATIONS_REPLACED))
