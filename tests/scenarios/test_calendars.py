"""Sessions in the calendars of those whom they concern: as files, and as the feed of a mediator or coordinator."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest
from ical.calendar_stream import IcsCalendarStream
from ical.event import Event, EventStatus
from sqlalchemy import select
from tests.conftest import RolledBackDatabase
from tests.scenarios.conftest import Begun, Fork

from mediation_api.database import tables as t
from mediation_api.database.engine import Database, Pool
from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.repository.calendar_feeds import delete_expired_feeds


async def calendar(who: Caller, session_id: str) -> httpx.Response:
    response = await who.send("GET", f"/v1/sessions/{session_id}/calendar")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/calendar; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    return response


def events(response: httpx.Response) -> list[Event]:
    return IcsCalendarStream.calendar_from_ics(response.text).events


async def feed(
    office: Office, address: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    response = await office.client.get(str(address), headers=dict(headers or {}))
    assert response.status_code == status, response.text
    return response


async def made(who: Caller) -> Answer:
    return await who.post("/v1/me/calendar-feed")


def mediator_of(story: Story) -> Caller:
    assert story.mediator is not None
    return story.mediator


async def coordinated(story: Story) -> Caller:
    coordinator = story.office.coordinator
    subject = (await coordinator.get("/v1/me"))["subject"]
    await coordinator.put(f"{story.path}/coordinator", {"coordinator": subject})
    return coordinator


# ── one session ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_everybody_whom_a_session_concerns_gets_the_same_neutral_file(signed: Begun) -> None:
    story = signed()
    files = {(await calendar(who, story.session_id)).content for who in (*story.everybody, story.office.intake)}
    assert len(files) == 1
    [text] = files
    session = await story.office.coordinator.get(f"/v1/sessions/{story.session_id}")
    [event] = IcsCalendarStream.calendar_from_ics(text.decode()).events
    assert event.uid == story.session_id
    assert (event.summary, event.location) == ("Appointment", session["place"])
    assert event.start == datetime.fromisoformat(str(session["starts_at"])).replace(microsecond=0)
    names = [str(party["name"]) for party in story.parties]
    for private in (*names, "mediation session", "complaint", "police", story.reference, story.case_id):
        assert private.lower() not in text.decode().lower().replace("prodid:-//mediation_api//mediation_api//en", "")


async def test_the_words_are_in_the_language_of_the_reader(signed: Begun) -> None:
    story = signed()
    headers = {"Authorization": f"Bearer {story.complainants[0].token}", "Accept-Language": "es"}
    response = await story.office.client.get(f"/v1/sessions/{story.session_id}/calendar", headers=headers)
    assert [event.summary for event in events(response)] == ["Cita"]


async def test_a_video_meeting_has_its_link_as_the_place(signed: Begun, fork: Fork) -> None:
    story = signed()
    async with fork():
        link = "https://meet.example.org/4"
        await story.session("reschedule", story.booking(mode="video", place=None, link=link))
        assert [e.location for e in events(await calendar(story.officers[0], story.session_id))] == [link]


async def test_the_sequence_counts_what_happened_to_the_session_and_nothing_else(signed: Begun, fork: Fork) -> None:
    story, who = signed(), signed().complainants[0]
    async with fork():
        first = await calendar(who, story.session_id)
        assert [event.sequence for event in events(first)] == [0]
        await story.make_agreement()  # what happens in the case does not show
        await story.sign(story.officers[0])
        assert (await calendar(who, story.session_id)).content == first.content
        assert (await calendar(who, story.session_id)).headers["etag"] == first.headers["etag"]
        await story.session("reschedule", story.booking())
        await story.session("reschedule", story.booking())
        moved = await calendar(who, story.session_id)
        assert [(e.sequence, e.status) for e in events(moved)] == [(2, EventStatus.CONFIRMED)]
        await story.session("cancel")
        called_off = await calendar(who, story.session_id)
        assert [(e.sequence, e.status, e.uid) for e in events(called_off)] == [
            (3, EventStatus.CANCELLED, story.session_id)
        ]


async def test_a_session_that_the_mediator_ends_before_it_begins_is_cancelled_and_one_that_began_is_not(
    signed: Begun, fork: Fork
) -> None:
    story = signed()
    for begins, status in ((False, EventStatus.CANCELLED), (True, EventStatus.CONFIRMED)):
        async with fork():
            if begins:
                await story.session("start", {})
            await story.session("end")
            [event] = events(await calendar(story.office.coordinator, story.session_id))
            assert (event.status, event.sequence) == (status, 1)


async def test_who_may_not_see_a_session_finds_no_file_of_it(signed: Begun, fork: Fork) -> None:
    story = signed()
    path = f"/v1/sessions/{story.session_id}/calendar"
    other = await story.office.mediator()
    await other.get(path, 404)
    async with fork():
        await story.withdraw(story.complainants[0])
        await story.complainants[0].get(path, 404)
    assert (await story.office.client.get(path)).status_code == 401


# ── the feed ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_mediator_reads_the_sessions_of_the_accepted_cases_without_a_token(signed: Begun, fork: Fork) -> None:
    story = signed()
    async with fork():
        mine = await made(mediator_of(story))
        response = await feed(story.office, mine["address"])
        [event] = events(response)
        assert (event.uid, event.summary) == (story.session_id, f"Session {story.reference}")
        assert event.location == "Room 4, City Hall"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cache-control"] == "no-store"
        assert (await feed(story.office, mine["address"], 304, {"If-None-Match": response.headers["etag"]})).text == ""
        spanish = await feed(story.office, mine["address"], headers={"Accept-Language": "es-MX"})
        assert [each.summary for each in events(spanish)] == [f"Sesión {story.reference}"]


async def test_a_feed_has_no_link_of_a_video_meeting(signed: Begun, fork: Fork) -> None:
    story = signed()
    async with fork():
        mine = await made(mediator_of(story))
        await story.session("reschedule", story.booking(mode="video", place=None, link="https://meet.example.org/4"))
        response = await feed(story.office, mine["address"])
        assert [event.location for event in events(response)] == [None]
        assert "meet.example.org" not in response.text


async def test_a_mediator_who_leaves_the_case_or_the_roster_is_shown_nothing_of_it(signed: Begun, fork: Fork) -> None:
    story = signed()
    mediator = mediator_of(story)
    leave = f"/v1/assignments/{story.assignment_id}/recuse"
    inactive = {"active": False}
    for act in ("recused", "inactive"):
        async with fork():
            mine = await made(mediator)
            assert len(events(await feed(story.office, mine["address"]))) == 1
            if act == "recused":
                await mediator.post(leave, None, 200)
            else:
                await story.office.coordinator.patch(f"/v1/mediators/{mediator.mediator_id}", inactive)
            assert events(await feed(story.office, mine["address"])) == []


async def test_a_coordinator_reads_the_sessions_of_the_assigned_cases_until_another_has_them(
    signed: Begun, fork: Fork
) -> None:
    story = signed()
    async with fork():
        coordinator = await coordinated(story)
        mine = await made(coordinator)
        assert [event.uid for event in events(await feed(story.office, mine["address"]))] == [story.session_id]
        await coordinator.put(f"{story.path}/coordinator", {"coordinator": "somebody.else"})
        assert events(await feed(story.office, mine["address"])) == []


async def test_an_address_is_shown_once_and_ends_when_it_is_replaced_revoked_or_old(signed: Begun, fork: Fork) -> None:
    story = signed()
    mediator, office = mediator_of(story), story.office
    async with fork():
        nothing = {"made_at": None, "expires_at": None}
        assert await mediator.get("/v1/me/calendar-feed") == nothing
        first = await made(mediator)
        assert await mediator.get("/v1/me/calendar-feed") == {n: first[n] for n in ("made_at", "expires_at")}
        second = await made(mediator)
        await feed(office, second["address"])
        await feed(office, first["address"], 404)
        assert await mediator.post("/v1/me/calendar-feed/revoke", None, 200) == nothing
        assert await mediator.post("/v1/me/calendar-feed/revoke", None, 200) == nothing
        await feed(office, second["address"], 404)
        third = await made(mediator)
        office.clock.advance(days=89, hours=23)
        await feed(office, third["address"])
        office.clock.advance(hours=2)
        await feed(office, third["address"], 404)
        assert await mediator.get("/v1/me/calendar-feed") == nothing


async def test_an_address_that_never_was_is_not_told_from_one_that_ended(signed: Begun, fork: Fork) -> None:
    story = signed()
    async with fork():
        mine = await made(mediator_of(story))
        await mediator_of(story).post("/v1/me/calendar-feed/revoke", None, 200)
        ended = await feed(story.office, mine["address"], 404)
        never = await feed(story.office, f"/v1/calendar-feeds/{'A' * 32}.ics", 404)
        left_out = {"instance", "request_id"}
        assert {k: v for k, v in ended.json().items() if k not in left_out} == {
            k: v for k, v in never.json().items() if k not in left_out
        }
        secret = str(mine["address"]).rpartition("/")[2].removesuffix(".ics")
        assert secret not in ended.text
        malformed = await feed(story.office, f"/v1/calendar-feeds/{secret[:-1]}.ics", 422)
        assert secret[:-1] not in malformed.text


async def test_neither_the_log_nor_the_database_has_the_address(
    signed: Begun, fork: Fork, database: RolledBackDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    story = signed()
    async with fork():
        mine = await made(mediator_of(story))
        secret = str(mine["address"]).rpartition("/")[2].removesuffix(".ics")
        with caplog.at_level("DEBUG", logger="mediation_api"):
            await feed(story.office, mine["address"])
            await feed(story.office, f"/v1/calendar-feeds/{secret[::-1]}.ics", 404)
        assert '"/v1/calendar-feeds/{token}"' in caplog.text
        assert secret not in caplog.text
        assert secret[::-1] not in caplog.text
        async with database.reading() as connection:
            stored = (await connection.execute(select(t.calendar_feeds))).mappings().all()
        assert [set(row) for row in stored] == [{"role", "subject", "token_digest", "made_at", "expires_at"}]
        assert secret not in str(stored)


async def test_a_read_is_logged_as_the_owners(signed: Begun, fork: Fork, database: RolledBackDatabase) -> None:
    story = signed()
    async with fork():
        mine = await made(mediator_of(story))
        async with database.reading() as connection:
            before = await connection.scalar(select(t.access_log.c.position).order_by(t.access_log.c.position.desc()))
        await feed(story.office, mine["address"])
        await feed(story.office, f"/v1/calendar-feeds/{'A' * 32}.ics", 404)
        async with database.reading() as connection:
            found = await connection.execute(select(t.access_log).where(t.access_log.c.position > before))
            [entry] = found.mappings().all()
        who: Mapping[str, object] = await mediator_of(story).get("/v1/me")
        assert (entry["by_role"], entry["by"]) == (Role.MEDIATOR, who["subject"])
        assert (entry["operation"], entry["purpose"]) == ("getCalendar", "mediation")
        assert entry["listed"] == [UUID(story.case_id)]


async def test_a_feed_that_is_read_too_often_is_refused_for_the_rest_of_the_hour_and_no_other(
    signed: Begun, fork: Fork
) -> None:
    story = signed()
    async with fork():
        mine = await made(mediator_of(story))
        other = await made(await coordinated(story))
        for _ in range(60):
            await feed(story.office, mine["address"])
        refused = await feed(story.office, mine["address"], 429)
        assert re.fullmatch("[0-9]+", refused.headers["retry-after"])
        await feed(story.office, other["address"])
        story.office.clock.advance(hours=1)
        await feed(story.office, mine["address"])


async def test_a_session_leaves_the_feed_thirty_days_after_its_end(signed: Begun, fork: Fork) -> None:
    story = signed()
    async with fork():
        mine = await made(mediator_of(story))
        story.office.clock.advance(days=30)
        assert len(events(await feed(story.office, mine["address"]))) == 1
        story.office.clock.advance(days=1)
        assert events(await feed(story.office, mine["address"])) == []


@pytest.mark.parametrize("role", [Role.INTAKE, Role.DIRECTOR, Role.AUDITOR, Role.INTEGRATION])
async def test_nobody_else_makes_a_feed(role: Role, office: Office) -> None:
    await office.caller(role).post("/v1/me/calendar-feed", None, 403)


async def test_the_retention_job_deletes_addresses_that_have_expired(
    committed_office: Office, committed_database: Database
) -> None:
    coordinator = committed_office.coordinator
    made_until = datetime.fromisoformat(str((await made(coordinator))["expires_at"]))
    engine = committed_database._pools[Pool.OFFICE]
    assert await delete_expired_feeds(engine, made_until - timedelta(seconds=1)) == 0
    assert await delete_expired_feeds(engine, made_until) == 1
    assert (await coordinator.get("/v1/me/calendar-feed"))["made_at"] is None
