"""The schedule of jobs that run at set times of the office: when each was last due, and whether it has run since."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

PATTERN: Final = r"^([01][0-9]|2[0-3])?:[0-5][0-9]$"
"""A time of the day, `02:30`, or a minute of each hour, `:15`."""
_DAYS_BACK: Final = 2
"""Further back than the last time of any schedule, also where clocks change."""


def last_due(at: datetime, times: Iterable[str], zone: ZoneInfo) -> datetime | None:
    """Return the last instant at which a job was due; None if it has no times.

    A time that the clock skips is due an hour later; one that comes twice is due the first time.
    """
    return max((due for each in times for due in _instants(at, each, zone) if due <= at), default=None)


def is_due(at: datetime, times: Iterable[str], zone: ZoneInfo, last_success: datetime | None) -> bool:
    """Return whether a job is to run now: it has not succeeded since it was last due.

    However many times were missed, it runs once.
    """
    due = last_due(at, times, zone)
    return due is not None and (last_success is None or last_success < due)


def _instants(at: datetime, each: str, zone: ZoneInfo) -> Iterator[datetime]:
    hour, _, minute = each.partition(":")
    today = at.astimezone(zone).date()
    for days in range(_DAYS_BACK + 1):
        day = today - timedelta(days=days)
        for of_day in [int(hour)] if hour else range(24):
            yield datetime(day.year, day.month, day.day, of_day, int(minute), tzinfo=zone).astimezone(UTC)
