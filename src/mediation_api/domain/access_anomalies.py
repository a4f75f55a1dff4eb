"""Access anomalies: unusual reads that a few rules find in the access log, for a director or an auditor to ask about.

A rule states what was observed, not why: taking a call for a colleague looks the same as curiosity. An anomaly has no
consequence by itself, and there is no score. The rules look at reads of one complaint, of its parties and of its cases.
Pages of lists do not count, since everybody finds their work there. Reads of mandatory reports do not count either:
they are logged with the report and not with its case.

The thresholds are settings. Source: docs/decisions/0055-access-anomalies-are-questions.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    def is_sound(self) -> bool:
        """Whether the period does not end before it begins and lasts at most `LONGEST_DAYS`."""
        return 0 <= (self.last - self.first).days < LONGEST_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSummary:
    """What one person opened of one complaint, for one purpose, within one hour of local time.

    `case_id` and `coordinator` are of the complaint's newest case; `closed` is whether that case was closed at that
    time. `acted_on` are the days on which this person recorded anything about the complaint.
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

    def has_part(self, thresholds: AnomalyThresholds) -> bool:
        """Whether this person recorded something about the complaint within `part_days` of that day."""
        return any(abs((day - self.on).days) <= thresholds.part_days for day in self.acted_on)


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


Detector = Callable[[Sequence[AccessSummary], AnomalyThresholds, TargetPolicy], Iterator[Anomaly]]


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


def _no_part(
    summaries: Sequence[AccessSummary], thresholds: AnomalyThresholds, _calendar: TargetPolicy
) -> Iterator[Anomaly]:
    """Find cases opened by somebody who does not coordinate them and recorded nothing about them for weeks around.

    A case without a coordinator is left out, since anybody may take it on.
    """
    others = [each for each in summaries if each.coordinator not in {None, each.by} and not each.has_part(thresholds)]
    return _by_complaint_and_day(others, AnomalyKind.NO_PART)


def _many_in_a_day(
    summaries: Sequence[AccessSummary], thresholds: AnomalyThresholds, _calendar: TargetPolicy
) -> Iterator[Anomaly]:
    """Find days on which somebody opened more complaints than both `complaints_a_day` and a multiple of the median.

    The median is taken over all days of the report on which others of the role opened anything, so that one of them
    who opened everything does not hide anybody. It is 0 where there are none.
    """
    days: dict[tuple[Role, str, date], list[AccessSummary]] = {}
    for summary in summaries:
        days.setdefault((summary.role, summary.by, summary.on), []).append(summary)
    opened = {day: len({summary.complaint_id for summary in of_day}) for day, of_day in days.items()}

    @cache
    def usual(role: Role, by: str) -> int:
        others = [n for (r, b, _), n in opened.items() if r is role and b != by]
        return max(thresholds.complaints_a_day, int(thresholds.times_the_role * median(others or [0])))

    for (role, by, on), number in opened.items():
        at_most = usual(role, by)
        if number > at_most:
            anomaly = _anomaly(days[role, by, on], AnomalyKind.MANY_IN_A_DAY, number)
            yield replace(anomaly, usual=at_most, complaint_id=None, case_id=None)


def _outside_hours(
    summaries: Sequence[AccessSummary], thresholds: AnomalyThresholds, calendar: TargetPolicy
) -> Iterator[Anomaly]:
    """Find reads before the office opens or after it closes, on a weekend, or on one of the city's holidays."""
    hours = range(thresholds.opens, thresholds.closes)
    outside = [each for each in summaries if each.hour not in hours or not is_working_day(each.on, calendar.holidays)]
    return _by_complaint_and_day(outside, AnomalyKind.OUTSIDE_HOURS)


def _closed_again(
    summaries: Sequence[AccessSummary], thresholds: AnomalyThresholds, _calendar: TargetPolicy
) -> Iterator[Anomaly]:
    """Find closed cases opened on several days by somebody who recorded nothing about them for weeks around.

    The anomaly is dated to the last of these days.
    """
    closed = [each for each in summaries if each.closed and not each.has_part(thresholds)]
    for again in _grouped(closed, attrgetter("role", "by", "complaint_id")):
        number = len({summary.on for summary in again})
        if number > thresholds.days_after_close:
            yield replace(_anomaly(again, AnomalyKind.CLOSED_AGAIN, number), usual=thresholds.days_after_close)


def _purpose_unfit(
    summaries: Sequence[AccessSummary], _thresholds: AnomalyThresholds, _calendar: TargetPolicy
) -> Iterator[Anomaly]:
    """Find reads for a purpose that is the work of another role."""
    return _by_complaint_and_day(
        [each for each in summaries if each.purpose not in FITTING[each.role]], AnomalyKind.PURPOSE_UNFIT
    )


def _by_complaint_and_day(summaries: Iterable[AccessSummary], rule: AnomalyKind) -> Iterator[Anomaly]:
    """Return one anomaly for each person, complaint and day, with the number of reads."""
    for group in _grouped(summaries, attrgetter("role", "by", "complaint_id", "on")):
        yield _anomaly(group, rule, sum(summary.accesses for summary in group))


def _grouped(
    summaries: Iterable[AccessSummary], key: Callable[[AccessSummary], tuple[object, ...]]
) -> Iterable[list[AccessSummary]]:
    groups: dict[tuple[object, ...], list[AccessSummary]] = {}
    for summary in summaries:
        groups.setdefault(key(summary), []).append(summary)
    return groups.values()


def _anomaly(summaries: Sequence[AccessSummary], rule: AnomalyKind, number: int) -> Anomaly:
    last = max(summaries, key=attrgetter("on"))
    return Anomaly(
        rule=rule,
        on=last.on,
        role=last.role,
        by=last.by,
        complaint_id=last.complaint_id,
        case_id=last.case_id,
        number=number,
        usual=0,
        purposes=tuple(sorted({summary.purpose for summary in summaries})),
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
    summaries: Iterable[AccessSummary],
    thresholds: AnomalyThresholds,
    calendar: TargetPolicy,
    rules: AnomalyRuleSet = ANOMALY_RULES,
) -> tuple[Anomaly, ...]:
    """Return what each rule observes, the newest day first."""
    every = tuple(summaries)
    found = (
        anomaly
        for rule in rules.rules
        for anomaly in rule.look([summary for summary in every if summary.role in rule.roles], thresholds, calendar)
    )
    return tuple(sorted(found, key=attrgetter("order"), reverse=True))
