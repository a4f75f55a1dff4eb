"""Which reads are unusual: a few rules over who opened what, for a director or an auditor to ask about.

A rule says what was observed, and nothing of why: a call that was taken for a colleague looks like curiosity. Nobody is
held to anything by it, and there is no score. Looked at are reads of one complaint, of its parties and of its cases. A
page of a list counts for none, since that is how everybody finds their work; whoever opens a mandatory report stands
with that alone.

The numbers are settings. Source: docs/decisions/0055-access-anomalies-are-questions.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from itertools import groupby
from statistics import median
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid5

from mediation_api.domain.access import Role
from mediation_api.domain.access_log import Purpose
from mediation_api.domain.target import TargetPolicy, is_working_day

LONGEST_DAYS: Final = 31
"""The longest time that one report looks at, in days."""
USUAL_DAYS: Final = 7
"""The time that it looks at unless another is wanted, in days."""


class AnomalyKind(StrEnum):
    """What a rule observes. New ones may come."""

    NO_PART = "no_part"
    MANY_IN_A_DAY = "many_in_a_day"
    OUTSIDE_HOURS = "outside_hours"
    CLOSED_AGAIN = "closed_again"
    PURPOSE_UNFIT = "purpose_unfit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyThresholds:
    """What a city takes to be usual.

    The office works from `opens` to `closes` (hours of its clock) on working days. Who recorded something about a
    complaint has a part in it for `part_days` before and after. Usual are up to `complaints_a_day` complaints a day and
    up to `times_the_role` times as many as colleagues open, and up to `days_after_close` days on which one closed case
    is opened.
    """

    opens: int = 7
    closes: int = 19
    part_days: int = 30
    complaints_a_day: int = 20
    times_the_role: int = 3
    days_after_close: int = 2


@dataclass(frozen=True, slots=True)
class Period:
    """Days of the office's calendar, the first and the last included."""

    since: date
    until: date

    @classmethod
    def of(cls, since: date | None, until: date | None, today: date) -> "Period":
        """The days that are asked for; otherwise up to today, and a week."""
        last = until or today
        return cls(since or last - timedelta(days=USUAL_DAYS - 1), last)

    @property
    def is_sound(self) -> bool:
        """Whether it ends no earlier than it begins, and is not too long for one report."""
        return 0 <= (self.until - self.since).days < LONGEST_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSummary:
    """What somebody opened of one complaint, for one purpose, within one hour of the office's clock.

    `case_id`, `coordinator` are of the complaint's newest case; `closed`, whether that was closed when it was opened.
    `acted_on` are the days on which this person recorded anything about the complaint.
    """

    role: Role
    by: str
    complaint_id: UUID
    case_id: UUID | None
    coordinator: str | None
    closed: bool
    on: date
    hour: int
    purpose: Purpose
    accesses: int
    acted_on: frozenset[date]

    def has_part(self, usual: AnomalyThresholds) -> bool:
        """Whether this person recorded something about the complaint, on a day near enough."""
        return any(abs((day - self.on).days) <= usual.part_days for day in self.acted_on)


_REPORT: Final = UUID("5f0b7c1e-7a51-4c43-9d0f-6a3f5f0c2b11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """What one rule saw, on one day, of one person; of one complaint, unless the rule looks at the whole day.

    `number` is what the rule counts, and `usual` up to where it says nothing.
    """

    rule: AnomalyKind
    on: date
    role: Role
    by: str
    complaint_id: UUID | None
    case_id: UUID | None
    number: int
    usual: int
    purposes: tuple[Purpose, ...]

    @property
    def place(self) -> tuple[date, UUID]:
        """Where it stands in a report: the same each time the report is made."""
        return self.on, uuid5(_REPORT, f"{self.rule} {self.role} {self.by} {self.complaint_id}")


@dataclass(frozen=True, slots=True)
class AnomalyRule:
    """One rule: what it observes, in a sentence, of whom, and how it looks. `look` is given visits of `roles` alone."""

    code: AnomalyKind
    statement: str
    roles: frozenset[Role]
    look: "Detector"


Detector = Callable[[Sequence[AccessSummary], AnomalyThresholds, TargetPolicy], Iterator[Anomaly]]


@dataclass(frozen=True, slots=True)
class AnomalyRuleSet:
    """Rules that are applied together, under a version that a report can quote."""

    version: str
    rules: tuple[AnomalyRule, ...]


PEOPLE: Final = frozenset({Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR, Role.MEDIATOR, Role.AUDITOR})
"""Whose reads are looked at, programs left out."""
AT_THE_OFFICE: Final = PEOPLE - {Role.MEDIATOR}
"""Who works by the office's hours; a mediator comes from outside, and meets people in the evening."""
OWN_CASES: Final = frozenset({Role.INTAKE, Role.COORDINATOR})
"""Whose work is a share of the cases. A director and an auditor look after all, and a mediator reaches no others."""

_ANSWERS_PEOPLE: Final = frozenset({Purpose.PARTY_REQUEST, Purpose.LEGAL_REQUEST})
_STAFF: Final = frozenset({Purpose.INTAKE, Purpose.CASEWORK}) | _ANSWERS_PEOPLE
FITTING: Final[Mapping[Role, frozenset[Purpose]]] = MappingProxyType(
    {
        Role.INTAKE: _STAFF,
        Role.COORDINATOR: _STAFF,
        Role.DIRECTOR: _STAFF | {Purpose.SUPERVISION, Purpose.AUDIT},
        Role.MEDIATOR: frozenset({Purpose.MEDIATION, Purpose.PARTY_REQUEST}),
        Role.AUDITOR: frozenset({Purpose.AUDIT, Purpose.LEGAL_REQUEST}),
        Role.INTEGRATION: frozenset({Purpose.EXCHANGE}),
    }
)
"""The purposes for which each role opens things."""


def _no_part(visits: Sequence[AccessSummary], usual: AnomalyThresholds, _city: TargetPolicy) -> Iterator[Anomaly]:
    """Somebody else coordinates the case, and whoever opened it recorded nothing about it for weeks around.

    A case that nobody coordinates yet is everybody's, and to speak with a party is recorded where anything comes of it.
    """
    theirs = [v for v in visits if v.coordinator not in {None, v.by} and not v.has_part(usual)]
    return _of_complaints(theirs, AnomalyKind.NO_PART)


def _many_in_a_day(visits: Sequence[AccessSummary], usual: AnomalyThresholds, _city: TargetPolicy) -> Iterator[Anomaly]:
    """More complaints in a day than the city takes to be many, and than a few times what colleagues open.

    Colleagues are the others of the role, on all days of the report on which they opened anything; it is their median
    that counts, so that one of them who opened everything hides nobody. Without any, the first number stands alone.
    """
    days: dict[tuple[Role, str, date], list[AccessSummary]] = {}
    for visit in visits:
        days.setdefault((visit.role, visit.by, visit.on), []).append(visit)
    opened = {day: len({visit.complaint_id for visit in of_day}) for day, of_day in days.items()}
    for (role, by, on), number in opened.items():
        others = [n for (r, b, _), n in opened.items() if r is role and b != by]
        at_most = max(usual.complaints_a_day, int(usual.times_the_role * median(others or [0])))
        if number > at_most:
            seen = _seen(days[role, by, on], AnomalyKind.MANY_IN_A_DAY, number)
            yield replace(seen, usual=at_most, complaint_id=None, case_id=None)


def _outside_hours(visits: Sequence[AccessSummary], usual: AnomalyThresholds, city: TargetPolicy) -> Iterator[Anomaly]:
    """Opened before the office opens or after it closes, on a weekend, or on one of the city's holidays."""
    hours = range(usual.opens, usual.closes)
    outside = [v for v in visits if v.hour not in hours or not is_working_day(v.on, city.holidays)]
    return _of_complaints(outside, AnomalyKind.OUTSIDE_HOURS)


def _closed_again(visits: Sequence[AccessSummary], usual: AnomalyThresholds, _city: TargetPolicy) -> Iterator[Anomaly]:
    """The same closed case on several days, by somebody who recorded nothing about it for weeks around.

    Told of the last of these days. What is done after a close (letters, notes destroyed, an erasure) is a record.
    """
    closed = [v for v in visits if v.closed and not v.has_part(usual)]
    for again in _grouped(closed, lambda visit: (visit.role, visit.by, visit.complaint_id.int)):
        number = len({visit.on for visit in again})
        if number > usual.days_after_close:
            yield replace(_seen(again, AnomalyKind.CLOSED_AGAIN, number), usual=usual.days_after_close)


def _purpose_unfit(
    visits: Sequence[AccessSummary], _usual: AnomalyThresholds, _city: TargetPolicy
) -> Iterator[Anomaly]:
    """Opened for what is another role's work, by the purpose that was given."""
    return _of_complaints([v for v in visits if v.purpose not in FITTING[v.role]], AnomalyKind.PURPOSE_UNFIT)


def _of_complaints(visits: Iterable[AccessSummary], rule: AnomalyKind) -> Iterator[Anomaly]:
    """One observation for each person, complaint and day: how often it was opened."""
    for seen in _grouped(visits, lambda visit: (visit.role, visit.by, visit.complaint_id.int, visit.on.toordinal())):
        yield _seen(seen, rule, sum(visit.accesses for visit in seen))


def _grouped(
    visits: Iterable[AccessSummary], key: Callable[[AccessSummary], tuple[str | int, ...]]
) -> Iterator[list[AccessSummary]]:
    return (list(group) for _, group in groupby(sorted(visits, key=key), key))


def _seen(visits: Sequence[AccessSummary], rule: AnomalyKind, number: int) -> Anomaly:
    last = max(visits, key=lambda visit: visit.on)
    return Anomaly(
        rule=rule,
        on=last.on,
        role=last.role,
        by=last.by,
        complaint_id=last.complaint_id,
        case_id=last.case_id,
        number=number,
        usual=0,
        purposes=tuple(sorted({visit.purpose for visit in visits})),
    )


ANOMALY_RULES = AnomalyRuleSet(
    version="2026-11",
    rules=(
        AnomalyRule(
            code=AnomalyKind.NO_PART,
            statement="opened a case that somebody else coordinates, and recorded nothing about it",
            roles=OWN_CASES,
            look=_no_part,
        ),
        AnomalyRule(
            code=AnomalyKind.MANY_IN_A_DAY,
            statement="opened many complaints in a day, beside others of the role",
            roles=PEOPLE,
            look=_many_in_a_day,
        ),
        AnomalyRule(
            code=AnomalyKind.OUTSIDE_HOURS,
            statement="opened it outside the office's hours and working days",
            roles=AT_THE_OFFICE,
            look=_outside_hours,
        ),
        AnomalyRule(
            code=AnomalyKind.CLOSED_AGAIN,
            statement="opened a closed case on several days, and recorded nothing about it",
            roles=PEOPLE,
            look=_closed_again,
        ),
        AnomalyRule(
            code=AnomalyKind.PURPOSE_UNFIT,
            statement="opened it for a purpose that is another role's",
            roles=PEOPLE | {Role.INTEGRATION},
            look=_purpose_unfit,
        ),
    ),
)


def find_anomalies(
    visits: Iterable[AccessSummary], usual: AnomalyThresholds, city: TargetPolicy, rules: AnomalyRuleSet = ANOMALY_RULES
) -> tuple[Anomaly, ...]:
    """What each rule observes, the newest day first."""
    known = tuple(visits)
    observed = (
        observation
        for rule in rules.rules
        for observation in rule.look([visit for visit in known if visit.role in rule.roles], usual, city)
    )
    # Of 170,000 observations, comparing identities as such takes longer than all else.
    return tuple(sorted(observed, key=_order, reverse=True))


def _order(observation: Anomaly) -> tuple[int, int]:
    on, identity = observation.place
    return on.toordinal(), identity.int
