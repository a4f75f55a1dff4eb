"""The change feed with real commits: no event is skipped, however late its transaction commits, or comes twice."""

import asyncio
import re
import time
from pathlib import Path
from typing import NoReturn
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.conftest import Clock, application, calling
from tests.scenarios.test_change_feed import assert_in_sequence, walk

from mediation_api.database import tables as t
from mediation_api.database.engine import Database, Pool
from mediation_api.dev.office import Office, Story
from mediation_api.domain.event_kinds import INTEGRATION_KINDS
from mediation_api.domain.lifecycle import ANSWERS_SEALED
from mediation_api.settings import Settings

pytestmark = pytest.mark.drawn

WRITERS, FILINGS = 6, 5


async def append(connection: AsyncConnection, story: Story, office: Office) -> str:
    """Record one more event of a case."""
    event = {
        "id": uuid4(),
        "kind": "contact.attempted",
        "case_id": UUID(story.case_id),
        "data": {},
        "version": 1,
        "at": office.clock.now,
        "by_role": "intake",
        "by": "intake.1",
    }
    await connection.execute(insert(t.events).values(event))
    return str(event["id"])


async def test_an_event_that_is_committed_late_comes_after_those_that_a_reader_has_seen(
    committed_office: Office, committed_database: Database
) -> None:
    office, database = committed_office, committed_database
    slow = await office.file()
    async with database.transaction() as connection:
        late = await append(connection, slow, office)
        await office.file()
        seen, after = await walk(office.coordinator)
        async with database.reading() as reading:
            position = await reading.scalar(select(func.max(t.events.c.position)))
    then, _ = await walk(office.coordinator, after)
    assert late not in {event["id"] for event in seen}
    assert [event["id"] for event in then] == [late]
    # The control: a cursor on the position, which the event had before it was committed, would skip it.
    async with database.reading() as reading:
        skipped = select(t.events.c.id).where(t.events.c.position > position)
        assert (await reading.scalars(skipped)).all() == []


async def test_each_reader_of_many_gets_every_event_once_while_many_write(
    committed_office: Office, committed_database: Database
) -> None:
    office = committed_office
    written = asyncio.Event()

    async def write() -> None:
        for _ in range(FILINGS):
            story = await office.file()
            await story.withdraw(story.complainants[0])

    async def read() -> tuple[list[object], str | None]:
        ids: list[object] = []
        after: str | None = None
        while not written.is_set():
            events, after = await walk(office.director, after, limit=9)
            ids += [event["id"] for event in events]
        return ids, after

    async def write_all() -> None:
        await asyncio.gather(*(write() for _ in range(WRITERS)))
        written.set()

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await write_all()
    seen = []
    for ids, after in await asyncio.gather(*readers):
        rest, _ = await walk(office.director, after)
        seen.append([*ids, *(event["id"] for event in rest)])
    async with committed_database.reading() as connection:
        recorded = {str(each) for each in await connection.scalars(select(t.events.c.id))}
        numbers = (await connection.scalars(select(t.change_feed.c.number).order_by(t.change_feed.c.number))).all()
        queued = await connection.scalar(select(func.count()).select_from(t.unnumbered_events))
    assert len(recorded) > WRITERS * FILINGS * 5
    for ids in seen:
        assert ids == seen[0]
        assert len(ids) == len(recorded)
        assert set(ids) == recorded
    assert (list(numbers), queued) == (list(range(1, len(recorded) + 1)), 0)
    assert_in_sequence((await walk(office.director))[0])


async def test_numbering_does_not_wait_for_another_that_goes_on(
    committed_office: Office, committed_database: Database
) -> None:
    office, database = committed_office, committed_database
    await office.file()
    async with database.transaction() as connection:
        assert await connection.scalar(select(func.number_events() > 0))
        begun = time.monotonic()
        assert (await office.coordinator.get("/v1/events"))["events"] == []
        assert time.monotonic() - begun < 1
    assert (await office.coordinator.get("/v1/events"))["events"] != []


# ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def poll(office: Office, after: str | None, wait: str) -> tuple[httpx.Response, float]:
    """Poll as the coordinator. Gives the response, and after how many seconds it came."""
    begun = time.monotonic()
    headers = {"Authorization": f"Bearer {office.coordinator.token}", "Prefer": wait}
    path = "/v1/events" if after is None else f"/v1/events?after={after}"
    return await office.client.get(path, headers=headers), time.monotonic() - begun


async def test_a_request_that_waits_is_answered_when_something_happens_and_holds_no_connection(
    committed_office: Office, committed_database: Database
) -> None:
    office = committed_office
    await office.file()
    _, after = await walk(office.coordinator)
    waiting = [asyncio.create_task(poll(office, after, "respond-async, wait=20")) for _ in range(3)]
    await asyncio.sleep(1.2)
    assert committed_database.usage()[Pool.OFFICE].in_use <= 1, "that of the poller"
    story = await office.file()
    for response, seconds in await asyncio.gather(*waiting):
        assert response.headers["Preference-Applied"] == "wait=20"
        assert {event["complaint_id"] for event in response.json()["events"]} == {story.complaint_id}
        assert 1 < seconds < 10


async def test_a_request_that_waits_in_vain_gets_an_empty_page_and_its_cursor(committed_office: Office) -> None:
    office = committed_office
    await office.file()
    _, after = await walk(office.coordinator)
    response, seconds = await poll(office, after, "wait=1")
    assert (response.json(), response.headers["Preference-Applied"]) == ({"events": [], "cursor": after}, "wait=1")
    assert 0.9 < seconds < 5
    response, seconds = await poll(office, None, "wait=1")
    assert response.json()["events"]
    assert seconds < 0.9, "there is something"


@pytest.mark.parametrize("prefer", ["wait=0", "return=minimal", "wait=soon", "await=5", "wait"])
async def test_another_preference_is_ignored(committed_office: Office, prefer: str) -> None:
    response, seconds = await poll(committed_office, None, prefer)
    assert (response.status_code, response.json()) == (200, {"events": [], "cursor": None})
    assert "Preference-Applied" not in response.headers
    assert seconds < 0.9


async def test_nobody_waits_longer_than_the_setting_says(
    committed: Settings, committed_database: Database, clock: Clock
) -> None:
    settings = committed.model_copy(update={"feed_wait_seconds": 1})
    async with calling(application(settings, clock, committed_database)) as client:
        response, seconds = await poll(Office(client, settings, clock), None, "wait=600")
    assert (response.headers["Preference-Applied"], response.json()["events"]) == ("wait=1", [])
    assert seconds < 5


async def test_a_request_that_waits_is_told_when_the_database_goes_away(
    committed_office: Office, committed_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered as any other read is, and not with an empty page when its time is over."""
    office = committed_office
    waiting = asyncio.create_task(poll(office, None, "wait=20"))
    await asyncio.sleep(1.2)

    def away(*_: object, **__: object) -> NoReturn:
        raise ConnectionRefusedError

    monkeypatch.setattr(committed_database, "reading", away)
    response, seconds = await waiting
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert 1 < seconds < 10


# ── what stands in two places ──────────────────────────────────────────────────────────────────────────────────────


def test_the_database_shows_integrations_the_kinds_that_the_events_say() -> None:
    text = Path("migrations/sql/number_events.sql").read_text(encoding="utf-8")
    sealed, kinds = (
        set(re.findall(r"'([^']+)'", listed))
        for listed in re.findall(r"CONSTANT text\[\] := ARRAY\[(.*?)\]", text, re.DOTALL)
    )
    assert sealed == {state.value for state in ANSWERS_SEALED}
    assert kinds == INTEGRATION_KINDS
