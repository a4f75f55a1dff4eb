"""Every date is the office's: the same story has the same dates at noon and when it is another day in UTC.

At 20:00 in Los Angeles it is tomorrow in UTC, and at 01:00 in Auckland still yesterday. What is compared is enumerated
from the contract: every date in every answer that anybody reads, and what every filter by date and by pace lists.
Unless `ZONES=whole` is set, one of the two zones is compared with noon.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import Clock, application, calling, rolled_back
from tests.openapi.conformity import contract
from tests.openapi.reading import document, written_out
from tests.routers.matrix import Ids, operations

from mediation_api.dev.office import Answer, Office, Story
from mediation_api.domain.access import Role
from mediation_api.domain.target import Pace
from mediation_api.settings import Settings

pytestmark = pytest.mark.drawn

WHOLE: Final = os.environ.get("ZONES") == "whole"
DAY: Final = date(2026, 3, 2)
"""A Monday. At 20:00 in Los Angeles it is Tuesday in UTC, at 01:00 in Auckland still Sunday."""
OTHER_DAYS: Final = (("America/Los_Angeles", 20), ("Pacific/Auckland", 1))
"""Zones, and hours of the day at which it is another day in UTC."""
DAYS: Final = [DAY + timedelta(days) for days in (-1, 0, 1, 20, 21, 27, 28, 29, 30)]
"""Those around what is requested, due, at risk and overdue."""
FILTERS: Final = [
    (str(operation["operationId"]), path, str(parameter["name"]))
    for path, item in written_out(document())["paths"].items()  # type: ignore[attr-defined] # JSON
    for operation in item.values()
    for parameter in operation.get("parameters", ())
    if parameter["in"] == "query" and ("_on_" in parameter["name"] or parameter["name"].endswith("_on"))
]
"""Every filter by date: its operation, the path, and its name."""
OF_A_DAY: Final = {"listAccessAnomalies": {"rule": "no_part"}}
"""What else a list is asked for: that somebody worked at this hour is out of the ordinary, at noon it is not."""
NOT_COUNTED: Final = frozenset({"pending_case_filed_on"})
"""What intake enters, and nothing is counted from."""
FIELDS: Final = {
    (name, each)
    for name, schema in document()["components"]["schemas"].items()  # type: ignore[index] # JSON
    for each in schema.get("properties", ())
    if each.endswith("_on") and name.endswith("Out")
}
"""Every date in an answer: its schema, and its name."""


@dataclass(slots=True)
class Told:
    """What a story told of dates."""

    dates: dict[str, list[str]] = field(default_factory=dict)
    """Those of all answers, by operation and field."""
    listed: dict[str, int] = field(default_factory=dict)
    """How many rows there are, by query and day."""
    paces: dict[date, str] = field(default_factory=dict)
    refused: dict[str, bool] = field(default_factory=dict)
    """Whether what lies on that day is refused, because it is in the future."""


@asynccontextmanager
async def _office(engine: AsyncEngine, settings: Settings, zone: str, hour: int) -> AsyncIterator[tuple[Office, Told]]:
    """An office in this zone, at this hour of the day, and what its answers tell."""
    told = Told()
    clock = Clock(datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=ZoneInfo(zone)).astimezone(UTC))
    local = settings.model_copy(update={"time_zone": zone})

    async def note(response: httpx.Response) -> None:
        clock.advance(milliseconds=10)
        operation = contract().operation(response.request.method, response.request.url.path)
        await response.aread()
        if operation is not None and response.is_success and response.headers["content-type"] == "application/json":
            for name, value in _dates(response.json()):
                told.dates.setdefault(f"{operation.name} {name}", []).append(value)

    async with rolled_back(engine) as database, calling(application(local, clock, database)) as client:
        client.event_hooks["response"].append(note)
        yield Office(client, local, clock), told


def _dates(answer: object) -> Iterator[tuple[str, str]]:
    """The dates in an answer, by name."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name.endswith("_on") and value is not None:
                yield name, value
            yield from _dates(value)
    if isinstance(answer, list):
        for each in answer:
            yield from _dates(each)


async def _tell(office: Office) -> tuple[Story, Story]:
    """A case that is closed on the day of its request, and one that stays open."""
    story = await office.file(incident_on=str(DAY))
    approval = {"given_by": "Robin Vale", "given_on": str(DAY), "channel": "phone"}
    await story.approve("internal_affairs", **approval)
    await story.pause("leave", str(DAY), str(DAY + timedelta(2)))
    await office.intake.put(f"{story.path}/coordinator", {"coordinator": "coordinator.1"})
    await office.caller(Role.COORDINATOR, "coordinator.2").get(story.path)
    await story.to_mediated()
    still = await office.file(incident_on=str(DAY))
    await still.screen()
    await still.try_to_reach(still.complainants[0].party_id)  # not before the day of the request
    for who in still.everybody:
        await still.answer(who)
    await still.propose(await office.mediator())
    return story, still


def _ids(story: Story) -> Ids:
    return {
        "complaint_id": story.complaint_id,
        "case_id": story.case_id,
        "party_id": story.complainants[0].party_id,
        "session_id": story.session_id,
        "assignment_id": story.assignment_id,
    }


async def _read(story: Story) -> None:
    """Everybody reads all that the ids of a story lead to."""
    office, ids = story.office, _ids(story)
    callers = (office.director, office.auditor, office.integration, *story.everybody)
    for operation in operations():
        if operation.name in OF_A_DAY:
            continue
        if operation.method == "GET" and operation.names <= ids.keys() and "{code}" not in operation.path:
            for who in callers:
                await who.send("GET", operation.path.format_map(ids))


async def _list(office: Office, told: Told) -> None:
    for operation, path, name in FILTERS:
        for day in DAYS:
            query = {name: str(day), "limit": "100", **OF_A_DAY.get(operation, {})}
            response = await office.director.send("GET", path, params=query)
            if response.is_success:
                told.listed[f"{operation} {name} {day}"] = len(response.json()["items"])


async def _look_into_the_future(office: Office, told: Told) -> None:
    """What happened today is taken, and what is to happen tomorrow is not."""
    story = await office.file()
    for day in (DAY, DAY + timedelta(1)):
        incident = {"incident_on": str(day)}
        told.refused[f"incident {day}"] = (await office.intake.send("PATCH", story.complaint, incident)).is_error
        approval = {"approver": "internal_affairs", "approved": True, "given_by": "Robin Vale", "channel": "phone"}
        sent = await office.intake.send("POST", f"{story.path}/approvals", {**approval, "given_on": str(day)})
        told.refused[f"approval {day}"] = sent.is_error


async def _wait(office: Office, story: Story, told: Told) -> None:
    """Look at the pace of an open case on each of the days, at the same hour."""
    begun = office.clock.now
    for day in DAYS[1:]:
        office.clock.now = begun + timedelta((day - DAY).days)
        case: Answer = await story.case()
        told.paces[day] = str(case["target"]["pace"])  # type: ignore[index] # JSON
        for pace in Pace:
            listed = await office.director.get(f"/v1/cases?pace={pace}")
            assert (story.case_id in str(listed)) == (pace == told.paces[day])


async def _told(engine: AsyncEngine, settings: Settings, zone: str, hour: int) -> Told:
    async with _office(engine, settings, zone, hour) as (office, told):
        story, still = await _tell(office)
        for each in (story, still):
            await _read(each)
        await _list(office, told)
        await _look_into_the_future(office, told)
        await _wait(office, still, told)
    told.dates = {name: sorted(values) for name, values in told.dates.items()}
    return told


@pytest.fixture(scope="module")
async def at_noon(engine: AsyncEngine, settings: Settings) -> Told:
    """The story at noon, when the day is the same in UTC."""
    return await _told(engine, settings, "America/Los_Angeles", 12)


def test_at_noon_every_date_is_told_and_counted_from_the_day(at_noon: Told) -> None:
    assert FILTERS
    assert {name.partition(" ")[0] for name, rows in at_noon.listed.items() if rows} == {name for name, *_ in FILTERS}
    names = {name for _, name in FIELDS}
    assert {name.split()[1] for name in at_noon.dates} >= names - NOT_COUNTED
    for name, values in at_noon.dates.items():
        if name.endswith(" due_on"):
            assert set(values) == {str(DAY + timedelta(28))}, name
        if name.endswith((" requested_on", " opened_on", " occurred_on")):
            assert set(values) == {str(DAY)}, name
    assert at_noon.refused == {
        f"{what} {DAY + timedelta(days)}": bool(days) for what in ("incident", "approval") for days in (0, 1)
    }
    assert [at_noon.paces[DAY + timedelta(days)] for days in (0, 20, 21, 28, 29)] == [
        *("on_track", "on_track", "at_risk", "at_risk", "overdue")
    ]


@pytest.mark.parametrize(("zone", "hour"), OTHER_DAYS if WHOLE else OTHER_DAYS[:1])
async def test_when_it_is_another_day_in_utc_every_date_is_that_of_the_office(
    zone: str, hour: int, at_noon: Told, engine: AsyncEngine, settings: Settings
) -> None:
    assert await _told(engine, settings, zone, hour) == at_noon
