"""Calendars as ical.js reads them, the parser of Thunderbird: a third one, which has its own opinion of every line.

Needs Node.js: `make gate-contract` runs it, `make test` does not.
"""

import json
import subprocess
from dataclasses import replace
from typing import Final

from tests.gates.node import OPENAPI, TIMEOUT
from tests.outreach.test_calendars import ENTRY, HOSTILE

from mediation_api.outreach.calendars import calendar_of, feed_of

READER: Final = """
import ICAL from "ical.js";
import { readFileSync } from "node:fs";
const calendar = new ICAL.Component(ICAL.parse(readFileSync(0, "utf-8")));
const events = calendar.getAllSubcomponents("vevent").map((each) => {
  const event = new ICAL.Event(each);
  return {
    uid: event.uid, summary: event.summary, location: event.location, sequence: event.sequence,
    status: each.getFirstPropertyValue("status"), starts_at: event.startDate.toJSDate().toISOString(),
    ends_at: event.endDate.toJSDate().toISOString(), zone: event.startDate.zone.tzid,
    names: each.getAllProperties().map((property) => property.name).sort(),
  };
});
console.log(JSON.stringify({ method: calendar.getFirstPropertyValue("method"), events }));
"""


def read(written: bytes) -> dict[str, object]:
    """What ical.js makes of a calendar."""
    reader = ["node", "--input-type=module", "--eval", READER]
    ended = subprocess.run(reader, cwd=OPENAPI, input=written, capture_output=True, check=False, timeout=TIMEOUT)
    assert ended.returncode == 0, ended.stderr.decode()
    made: dict[str, object] = json.loads(ended.stdout)
    return made


def test_a_session_is_read_as_it_was_written() -> None:
    moved = replace(ENTRY, revision=3, called_off=True)
    assert read(calendar_of(moved)) == {
        "method": "PUBLISH",
        "events": [
            {
                "uid": str(ENTRY.session_id),
                "summary": ENTRY.summary,
                "location": ENTRY.location,
                "sequence": 3,
                "status": "CANCELLED",
                "starts_at": "2026-11-01T08:30:00.000Z",
                "ends_at": "2026-11-01T10:30:00.000Z",
                "zone": "UTC",
                "names": [
                    *("class", "dtend", "dtstamp", "dtstart", "location", "sequence", "status", "summary", "uid"),
                ],
            }
        ],
    }


def test_no_text_adds_a_property_and_an_empty_feed_is_read() -> None:
    events = read(feed_of([replace(ENTRY, location=each, summary=each) for each in HOSTILE], "Sesiones"))["events"]
    assert isinstance(events, list)
    assert len(events) == len(HOSTILE)
    for event in events:
        assert event["names"] == read_names(calendar_of(ENTRY))
        assert event["summary"] == event["location"]
    assert read(feed_of([], "Sesiones")) == {"method": "PUBLISH", "events": []}


def read_names(written: bytes) -> object:
    """The names of the properties of the only event."""
    events = read(written)["events"]
    assert isinstance(events, list)
    return events[0]["names"]
