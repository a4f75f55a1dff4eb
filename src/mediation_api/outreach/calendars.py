"""Sessions as `text/calendar` (RFC 5545), for calendar programs.

All times are in UTC: programs disagree about time zones that a file defines itself. Nothing here names a person or says
what a case is about. A file depends on nothing but the sessions in it, so that the same sessions give the same bytes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from icalendar import CLASS, STATUS, Calendar, Event

CALENDAR: Final = "text/calendar"

_PRODUCER: Final = "-//mediation_api//mediation_api//EN"
_REFRESH: Final = timedelta(hours=1)
_CONTROL: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]+")
"""What ends a line in some parser, or shows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """A session, as a calendar shows it. `revision` counts how often it was moved or called off."""

    session_id: UUID
    summary: str
    starts_at: datetime
    ends_at: datetime
    scheduled_at: datetime
    revision: int
    called_off: bool
    location: str | None


def calendar_of(entry: CalendarEntry) -> bytes:
    """Return one session as a file that a person adds to a calendar."""
    return _written(Calendar(), [entry])


def feed_of(entries: Iterable[CalendarEntry], name: str) -> bytes:
    """Return the sessions of a person as a calendar called `name`, which a program reads again every hour."""
    calendar = Calendar()
    calendar.calendar_name = name
    calendar.add("REFRESH-INTERVAL", _REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", "PT1H")
    return _written(calendar, entries)


def _written(calendar: Calendar, entries: Iterable[CalendarEntry]) -> bytes:
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", _PRODUCER)
    # It is published, not an invitation: nobody answers it.
    calendar.add("METHOD", "PUBLISH")
    for entry in entries:
        calendar.add_component(_event(entry))
    written: bytes = calendar.to_ical()
    return written


def _event(entry: CalendarEntry) -> Event:
    return Event.new(
        uid=str(entry.session_id),
        summary=_line(entry.summary),
        start=entry.starts_at.astimezone(UTC),
        end=entry.ends_at.astimezone(UTC),
        stamp=entry.scheduled_at.astimezone(UTC),
        sequence=entry.revision,
        status=STATUS.CANCELLED if entry.called_off else STATUS.CONFIRMED,
        location=None if entry.location is None else _line(entry.location),
        classification=CLASS.PRIVATE,
    )


def _line(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()
