"""The four-week target: the day by which a case should end, and its pace towards that day.

Missing the target raises an alert, closes nothing and takes away no right. Everything here counts whole days in the
office's time zone, never hours: 28 days across the end of summer time are 673 hours.

Source: docs/rules.md, "The four-week target"; docs/field.md, "Clocks".
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from mediation_api.domain.errors import Invalid
from mediation_api.domain.values import Alert

_ONE_DAY = timedelta(days=1)
_SATURDAY = 5


class PauseReason(StrEnum):
    """Why a case waits. A pause never moves the target."""

    COURT_DATE = "court_date"
    LEAVE = "leave"
    INTERPRETER = "interpreter"


class Pace(StrEnum):
    """The progress of a case towards its target. Computed, never stored."""

    ON_TRACK = "on_track"
    AT_RISK = "at_risk"
    OVERDUE = "overdue"
    MET = "met"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """The settings of the target, in calendar days. `holidays` are days on which the office does not work."""

    zone: ZoneInfo
    holidays: Container[date] = frozenset()
    days: int = 28
    at_risk_days: int = 7
    escalate_after_days: int = 60


@dataclass(frozen=True, slots=True)
class Pause:
    """A period in which the case waited, both days included.

    Raises:
        Invalid: the pause ends before it starts.
    """

    reason: PauseReason
    starts_on: date
    ends_on: date

    def __post_init__(self) -> None:
        """Refuse a pause that ends before it starts."""
        if self.ends_on < self.starts_on:
            raise Invalid("/ends_on", "not-before-starts-on", "A pause cannot end before it starts.")


@dataclass(frozen=True, slots=True)
class Target:
    """What the pace of a case follows from. `due_on` is stored, and does not change with later settings."""

    requested_on: date
    due_on: date
    closed_on: date | None = None
    mediated: bool = False
    """Whether it closed as mediated. Only then was the target met or missed."""
    pauses: tuple[Pause, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetReport:
    """The pace of a case on one day; for a closed case, on the day it closed.

    `days_left` are calendar days, negative once overdue. `working_days_left` leave out weekends and holidays, and are 0
    once overdue. `raw_days` have passed since the request; `net_days` leave out the days of pauses.
    """

    due_on: date
    pace: Pace | None
    days_left: int
    working_days_left: int
    raw_days: int
    net_days: int
    alerts: tuple[Alert, ...]


def local_date(at: datetime, policy: TargetPolicy) -> date:
    """Return the date in the office's time zone at an instant.

    Raises:
        ValueError: `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at.astimezone(policy.zone).date()


def due_on(requested_at: datetime, policy: TargetPolicy) -> date:
    """Return the local date of the request plus the length of the target in calendar days.

    Raises:
        ValueError: `requested_at` has no time zone.
    """
    # Dates are added, not hours: an instant plus 672 hours can land on another day when the clocks change.
    return local_date(requested_at, policy) + timedelta(days=policy.days)


def pace(
    due_on: date, today: date, closed_on: date | None, policy: TargetPolicy, *, mediated: bool = False
) -> Pace | None:
    """Return the pace towards `due_on`, a day that is itself still in time. All dates are local to the office.

    A case that closed without mediation has none: it neither met nor missed the target.
    """
    if closed_on is not None:
        if not mediated:
            return None
        return Pace.MET if closed_on <= due_on else Pace.MISSED
    days_left = (due_on - today).days
    if days_left < 0:
        return Pace.OVERDUE
    return Pace.AT_RISK if days_left <= policy.at_risk_days else Pace.ON_TRACK


def report(target: Target, today: date, policy: TargetPolicy) -> TargetReport:
    """Return the report of a case today, or on the day it closed."""
    as_of = target.closed_on or today
    raw_days = _raw_days(target.requested_on, as_of)
    current = pace(target.due_on, today, target.closed_on, policy, mediated=target.mediated)
    return TargetReport(
        due_on=target.due_on,
        pace=current,
        days_left=(target.due_on - as_of).days,
        working_days_left=_working_days(as_of, target.due_on, policy.holidays),
        raw_days=raw_days,
        net_days=raw_days - _paused_days(target.pauses, target.requested_on, as_of),
        alerts=() if target.closed_on is not None else alerts(current, target.requested_on, today, policy),
    )


def alerts(pace: Pace | None, requested_on: date, today: date, policy: TargetPolicy) -> tuple[Alert, ...]:
    """Return the alerts that the target of an open case raises today, by its pace and the days since the request."""
    raised = {
        Alert.TARGET_AT_RISK: pace is Pace.AT_RISK,
        Alert.TARGET_MISSED: pace is Pace.OVERDUE,
        Alert.TARGET_ESCALATED: _raw_days(requested_on, today) > policy.escalate_after_days,
    }
    return tuple(alert for alert, is_raised in raised.items() if is_raised)


def add_working_days(start: date, n: int, holidays: Container[date]) -> date:
    """Return the `n`th working day after `start`; `start` itself when `n` is 0.

    Raises:
        ValueError: `n` is negative.
    """
    if n < 0:
        raise ValueError("working days are counted forwards")
    day = start
    while n:
        day += _ONE_DAY
        n -= is_working_day(day, holidays)
    return day


def is_working_day(day: date, holidays: Container[date]) -> bool:
    """Return whether the office works on a day: neither on weekends nor on `holidays`."""
    return day.weekday() < _SATURDAY and day not in holidays


def _raw_days(requested_on: date, as_of: date) -> int:
    """Return the number of days since the request; 0 if the clock was set back and `as_of` is before it."""
    return max((as_of - requested_on).days, 0)


def _working_days(after: date, until: date, holidays: Container[date]) -> int:
    """Return the number of working days after one day, up to and including another."""
    days = (after + timedelta(days=n) for n in range(1, (until - after).days + 1))
    return sum(is_working_day(day, holidays) for day in days)


def _paused_days(pauses: Iterable[Pause], after: date, until: date) -> int:
    """Return the number of days after one day, up to and including another, on which any pause ran."""
    paused, counted_to = 0, after
    for pause in sorted(pauses, key=lambda pause: pause.starts_on):
        # Clip before adding: a pause may be at the ends of the calendar, and overlapping days count once.
        first = max(pause.starts_on, counted_to + _ONE_DAY)
        last = min(pause.ends_on, until)
        if first <= last:
            paused += (last - first).days + 1
            counted_to = last
    return paused
