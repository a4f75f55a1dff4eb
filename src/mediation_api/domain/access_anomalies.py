"""Access anomalies: unusual reads that a few rules find in the access log, for a director or an auditor to ask about.

A rule states what was observed, not why: taking a call for a colleague looks the same as curiosity. An anomaly has no
consequence by itself, and there is no score. The rules look at reads of one complaint, of its parties and of its cases.
Pages of lists do not count, since everybody finds their work there. Reads of mandatory reports do not count either:
they are logged with the report and not with its case.

The thresholds are settings. Source: docs/decisions/0055-access-anomalies-are-questions.md.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from operator import attrgetter
from statistics import median
from types import MappingProxyType
from typing import Final
from uuid import UUID

from mediation_api.domain.access import Role
from mediation_api.domain.access_log import Purpose
from mediation_api.domain.target import TargetPolicy, is_working_day

LONGEST_DAYS: Final = 31
"""The longest period that one report covers, in days."""
USUAL_DAYS: Final = 7
"""The period that a report covers by default, in days."""
_LONGEST_PART_DAYS: Final = 4


class AnomalyKind(StrEnum):
    """What a rule observes. More may be added."""

    NO_PART = "no_part"
    MANY_IN_A_DAY = "many_in_a_day"
    OUTSIDE_HOURS = "outside_hours"
    CLOSED_AGAIN = "closed_again"
    PURPOSE_UNFIT = "purpose_unfit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyThresholds:
    """Up to where a city takes reads to be usual.

    The office works from `opens` to `closes` (hours of local time) on working days. Somebody who recorded something
    about a complaint has a part in it for `part_days` days before and after. It is usual to open `complaints_a_day`
    complaints in a day, or `times_the_role` times as many as colleagues do if that is more, and to open one closed case
    on `days_after_close` days.
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

    first: date
    last: date

    @classmethod
    def of(cls, start: date | None, end: date | None, today: date) -> "Period":
        """Return the period from `start` until the day before `end`; by default it ends today, after `USUAL_DAYS`."""
        last = today if end is None else end - timedelta(days=1)
        return cls(start or last - timedelta(days=USUAL_DAYS - 1), last)

    @property
    def days(self) -> Sequence[date]:
        """Every day of the period, in order."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    def newest_first(self) -> Iterator["Period"]:
        """Divide the period into shorter ones from its end on: one day, then two, then four at a time.

        A report shows the newest days first. Where much is unusual, its page needs the last day alone; where little is,
        a month has to be read. No part is longer, since everything that is unusual in it is looked at.
        """
        last, length = self.last, 1
        while last >= self.first:
            first = max(self.first, last - timedelta(days=length - 1))
            yield Period(first, last)
            last, length = first - timedelta(days=1), min(2 * length, _LONGEST_PART_DAYS)

    @property
    def is_sound(self) -> bool:
        """Whether the period does not end before it begins and lasts at most `LONGEST_DAYS`."""
        return 0 <= (self.last - self.first).days < LONGEST_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSummary:
    """What one person opened of one complaint, for one purpose, within one hour of local time.

    `case_id` and `coordinator` are of the complaint's newest case. `has_part` is whether this person recorded anything
    about the complaint within `part_days` of that day.
    """

    role: Role
    by: str
    complaint_id: UUID
    case_id: UUID | None
    coordinator: str | None
    has_part: bool
    on: date
    hour: int
    purpose: Purpose
    accesses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotal:
    """How many complaints one person opened on one day, and for which purposes."""

    role: Role
    by: str
    on: date
    complaints: int
    purposes: frozenset[Purpose]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedAccess:
    """The days on which one person, without a part in it, opened a complaint whose newest case was closed by then."""

    role: Role
    by: str
    complaint_id: UUID
    case_id: UUID
    days: frozenset[date]
    purposes: frozenset[Purpose]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What the rules look at. Each rule looks at one of the three, and what is left out is not reported.

    `summaries` may be of some of the days alone. `totals` are of each person and day of the whole period: what is usual
    depends on all of them. `closed` spans the period as well.
    """

    summaries: Sequence[AccessSummary] = ()
    totals: Sequence[DayTotal] = ()
    closed: Sequence[ClosedAccess] = ()

    def of(self, roles: Container[Role]) -> "Reads":
        """Return the reads of some roles."""
        return Reads(
            summaries=[each for each in self.summaries if each.role in roles],
            totals=[each for each in self.totals if each.role in roles],
            closed=[each for each in self.closed if each.role in roles],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """What one rule observed of one person on one day, about one complaint unless the rule looks at the whole day.

    `number` is what the rule counted, and `usual` the highest number that it does not report.
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
        """The sort key in a report, which is the same each time the report is made."""
        on, identity = self.order
        return on, UUID(bytes=identity)

    @property
    def order(self) -> tuple[date, bytes]:
        """`place` with the bytes of the UUID: comparing UUID objects takes longer than all the rest of a report."""
        identity = f"{self.rule} {self.role} {self.by} {self.complaint_id}"
        return self.on, blake2b(identity.encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class AnomalyRule:
    """One rule: what it observes, in a sentence, and of which roles. `look` gets the reads of these `roles` only."""

    code: AnomalyKind
    statement: str
    roles: frozenset[Role]
    look: "Detector"


Detector = Callable[[Reads, AnomalyThresholds, TargetPolicy], Iterator[Anomaly]]


@dataclass(frozen=True, slots=True)
class AnomalyRuleSet:
    """Rules that are applied together, under a version that a report can quote."""

    version: str
    rules: tuple[AnomalyRule, ...]


PEOPLE: Final = frozenset({Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR, Role.MEDIATOR, Role.AUDITOR})
"""The roles of people whose reads the rules look at."""
AT_THE_OFFICE: Final = PEOPLE - {Role.MEDIATOR}
"""The roles that work in office hours; mediators come from outside and may work in the evening."""
OWN_CASES: Final = frozenset({Role.INTAKE, Role.COORDINATOR})
"""The roles that work on some of the cases. Directors and auditors see all, and a mediator can open no others."""

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


def _no_part(reads: Reads, _thresholds: AnomalyThresholds, _calendar: TargetPolicy) -> Iterator[Anomaly]:
    """Find cases opened by somebody who does not coordinate them and recorded nothing about them for weeks around.

    A case without a coordinator is left out, since anybody may take it on.
    """
    others = [each for each in reads.summaries if each.coordinator not in {None, each.by} and not each.has_part]
    return _by_complaint_and_day(others, AnomalyKind.NO_PART)


def _many_in_a_day(reads: Reads, thresholds: AnomalyThresholds, _calendar: TargetPolicy) -> Iterator[Anomaly]:
    """Find days on which somebody opened more complaints than both `complaints_a_day` and a multiple of the median.

    The median is taken over all days of the report on which others of the role opened anything, so that one of them
    who opened everything does not hide anybody. It is 0 where there are none.
    """

    @cache
    def usual(role: Role, by: str) -> int:
        others = [each.complaints for each in reads.totals if each.role is role and each.by != by]
        return max(thresholds.complaints_a_day, int(thresholds.times_the_role * median(others or [0])))

    for each in reads.totals:
        at_most = usual(each.role, each.by)
        if each.complaints > at_most:
            yield Anomaly(
                rule=AnomalyKind.MANY_IN_A_DAY,
                on=each.on,
                role=each.role,
                by=each.by,
                complaint_id=None,
                case_id=None,
                number=each.complaints,
                usual=at_most,
                purposes=tuple(sorted(each.purposes)),
            )


def _outside_hours(reads: Reads, thresholds: AnomalyThresholds, calendar: TargetPolicy) -> Iterator[Anomaly]:
    """Find reads before the office opens or after it closes, on a weekend, or on one of the city's holidays."""
    hours = range(thresholds.opens, thresholds.closes)
    outside = [
        each for each in reads.summaries if each.hour not in hours or not is_working_day(each.on, calendar.holidays)
    ]
    return _by_complaint_and_day(outside, AnomalyKind.OUTSIDE_HOURS)


def _closed_again(reads: Reads, thresholds: AnomalyThresholds, _calendar: TargetPolicy) -> Iterator[Anomaly]:
    """Find closed cases opened on several days by somebody who recorded nothing about them for weeks around.

    The anomaly is dated to the last of these days.
    """
    for each in reads.closed:
        if len(each.days) > thresholds.days_after_close:
            yield Anomaly(
                rule=AnomalyKind.CLOSED_AGAIN,
                on=max(each.days),
                role=each.role,
                by=each.by,
                complaint_id=each.complaint_id,
                case_id=each.case_id,
                number=len(each.days),
                usual=thresholds.days_after_close,
                purposes=tuple(sorted(each.purposes)),
            )


def _purpose_unfit(reads: Reads, _thresholds: AnomalyThresholds, _calendar: TargetPolicy) -> Iterator[Anomaly]:
    """Find reads for a purpose that is the work of another role."""
    return _by_complaint_and_day(
        [each for each in reads.summaries if each.purpose not in FITTING[each.role]], AnomalyKind.PURPOSE_UNFIT
    )


def _by_complaint_and_day(summaries: Iterable[AccessSummary], rule: AnomalyKind) -> Iterator[Anomaly]:
    """Return one anomaly for each person, complaint and day, with the number of reads."""
    groups: dict[tuple[object, ...], list[AccessSummary]] = {}
    for summary in summaries:
        groups.setdefault((summary.role, summary.by, summary.complaint_id, summary.on), []).append(summary)
    for group in groups.values():
        yield Anomaly(
            rule=rule,
            on=group[0].on,
            role=group[0].role,
            by=group[0].by,
            complaint_id=group[0].complaint_id,
            case_id=group[0].case_id,
            number=sum(summary.accesses for summary in group),
            usual=0,
            purposes=tuple(sorted({summary.purpose for summary in group})),
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
    reads: Reads,
    thresholds: AnomalyThresholds,
    calendar: TargetPolicy,
    rules: AnomalyRuleSet = ANOMALY_RULES,
) -> tuple[Anomaly, ...]:
    """Return what each rule observes, the newest day first."""
    found = (anomaly for rule in rules.rules for anomaly in rule.look(reads.of(rule.roles), thresholds, calendar))
    return newest_first(found)


def newest_first(anomalies: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """Return anomalies in the order of a report."""
    return tuple(sorted(anomalies, key=attrgetter("order"), reverse=True))
