"""Sessions as iCalendar, read back by a library that shares no code with the one that writes them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from uuid import UUID

import pytest
from ical.calendar import Calendar
from ical.calendar_stream import IcsCalendarStream
from ical.event import EventStatus

from mediation_api.outreach.calendars import CalendarEntry, calendar_of, feed_of

STARTS_AT = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
"""In New York, in the hour that the night of the change has twice."""
ENTRY = CalendarEntry(
    session_id=UUID(int=7),
    summary="Appointment",
    starts_at=STARTS_AT,
    ends_at=STARTS_AT + timedelta(hours=2),
    scheduled_at=datetime(2026, 10, 1, 9, 0, 1, 500_000, tzinfo=UTC),
    revision=0,
    called_off=False,
    location="Room 4, City Hall; ring at \\ the door",
)


HOSTILE: Final = [
    "Room\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:x",
    "Room\nATTENDEE:mailto:a@example.org",
    "Room\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029ATTENDEE:x",
    "Room\\nATTENDEE:x",
    'Room";X=1:y,z;w',
    "\u7a7a" * 200,
    "\U0001f3db" * 80,
]
"""Texts that would be lines of their own, or be broken in the middle of a character."""


def read(written: bytes) -> Calendar:
    return IcsCalendarStream.calendar_from_ics(written.decode())


def test_another_parser_reads_what_was_written() -> None:
    [event] = read(calendar_of(ENTRY)).events
    assert (event.uid, event.sequence, event.status) == (str(ENTRY.session_id), 0, EventStatus.CONFIRMED)
    assert (event.start, event.end) == (ENTRY.starts_at, ENTRY.ends_at)
    assert (event.summary, event.location) == (ENTRY.summary, ENTRY.location)


def test_a_later_revision_that_is_called_off_has_the_same_uid() -> None:
    [event] = read(calendar_of(replace(ENTRY, revision=2, called_off=True))).events
    assert (event.uid, event.sequence, event.status) == (str(ENTRY.session_id), 2, EventStatus.CANCELLED)


def test_times_are_in_utc_whatever_zone_they_came_in() -> None:
    local = STARTS_AT.astimezone(timezone(timedelta(hours=-7)))
    assert calendar_of(replace(ENTRY, starts_at=local)) == calendar_of(ENTRY)
    assert b"\r\nDTSTART:20261101T083000Z\r\n" in calendar_of(ENTRY)
    assert b"TZID" not in calendar_of(ENTRY)
    assert b"VTIMEZONE" not in calendar_of(ENTRY)


def test_the_same_session_gives_the_same_bytes() -> None:
    assert calendar_of(ENTRY) == calendar_of(replace(ENTRY))
    assert feed_of([ENTRY], "Sessions") == feed_of([replace(ENTRY)], "Sessions")


def test_a_session_without_a_place_has_no_location() -> None:
    [event] = read(calendar_of(replace(ENTRY, location=None))).events
    assert event.location is None
    assert b"LOCATION" not in calendar_of(replace(ENTRY, location=None))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_adds_a_line(hostile: str) -> None:
    written = calendar_of(replace(ENTRY, location=hostile, summary=hostile))
    calm = calendar_of(replace(ENTRY, location="x", summary="x"))
    lines = written.replace(b"\r\n ", b"").decode().splitlines()
    assert [line.partition(":")[0] for line in lines] == [line.partition(":")[0] for line in calm.decode().splitlines()]
    assert all(len(line) <= 75 for line in written.split(b"\r\n"))
    [event] = read(written).events
    assert not event.attendees
    assert event.summary == event.location


def test_a_feed_has_a_name_and_every_session_and_may_have_none() -> None:
    other = replace(ENTRY, session_id=UUID(int=8), starts_at=STARTS_AT + timedelta(hours=1))
    feed = feed_of([ENTRY, other], "Sesiones")
    assert [event.uid for event in read(feed).events] == [str(ENTRY.session_id), str(other.session_id)]
    assert b"\r\nX-WR-CALNAME:Sesiones\r\n" in feed
    assert b"\r\nREFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in feed
    assert read(feed_of([], "Sessions")).events == []
