"""The change feed: the office is shown every event once, and an integration what it may know of what it filed."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias, cast

import httpx
from sqlalchemy import select
from tests.conftest import RolledBackDatabase
from tests.scenarios.conftest import Fork
from tests.scenarios.test_sealed_answers import Observer, Worlds, answers_of, assert_alike

from mediation_api.database import tables as t
from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role

Feed: TypeAlias = Sequence[Answer]


async def walk(who: Caller, after: str | None = None, limit: int = 7) -> tuple[Feed, str | None]:
    """Read the feed to its end. Gives its events, and the cursor behind the last."""
    events: list[Answer] = []
    while True:
        response = await who.send("GET", "/v1/events", params={"limit": limit, **({"after": after} if after else {})})
        page = response.json()
        assert response.status_code == 200, page
        assert len(page["events"]) <= limit
        if not page["events"]:
            assert page["cursor"] == after
            return events, after
        events += page["events"]
        after = page["cursor"]


def kinds(events: Feed) -> list[object]:
    return [event["kind"] for event in events]


def assert_in_sequence(events: Feed) -> None:
    """Within a stream, the events are numbered from one on, without a gap, in the order of the feed."""
    streams = defaultdict[object, list[object]](list)
    for event in events:
        streams[event["case_id"] or event["complaint_id"] or event["mediator_id"]].append(event["sequence"])
    for numbers in streams.values():
        assert numbers == list(range(1, len(numbers) + 1))


async def filed_by_integration(office: Office, complainants: int = 1, officers: int = 1) -> Story:
    sides: tuple[list[Answer], list[Answer]] = ([{}] * complainants, [{}] * officers)
    return await office.file(complainants=sides[0], officers=sides[1], by=office.integration, channel=None)


# ── the office ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_office_is_shown_every_event_once_and_in_the_order_of_its_stream(
    office: Office, database: RolledBackDatabase
) -> None:
    story = await (await office.file(complainants=[{}, {}], officers=[{}])).to_mediated()
    events, _ = await walk(office.coordinator)
    async with database.reading() as connection:
        recorded = (await connection.execute(select(t.events).where(t.events.c.report_id.is_(None)))).mappings().all()
    assert sorted(cast("str", event["id"]) for event in events) == sorted(str(row["id"]) for row in recorded)
    assert_in_sequence(events)
    timeline = (await office.coordinator.get(f"{story.path}/timeline?limit=100"))["items"]
    of_case = [event["id"] for event in events if event["case_id"] == story.case_id]
    assert [event["id"] for event in cast("Feed", timeline) if event["id"] in of_case] == of_case


async def test_an_event_of_the_feed_has_ids_a_kind_and_a_time_and_nothing_else(office: Office) -> None:
    story = await (await office.file()).to_ready()
    events, _ = await walk(office.director)
    consent = next(event for event in events if event["kind"] == "consent.given" and event["case_id"] == story.case_id)
    assert {**consent, "id": "", "occurred_at": ""} == {
        "id": "",
        "kind": "consent.given",
        "occurred_at": "",
        "sequence": consent["sequence"],
        "complaint_id": story.complaint_id,
        "case_id": story.case_id,
        "mediator_id": None,
        "party_id": story.complainants[0].party_id,
    }


async def test_no_feed_has_the_events_of_a_mandatory_report(office: Office) -> None:
    story = await (await office.file(by=office.integration, channel=None)).to_in_session()
    _, before = await walk(office.director)
    report = {
        "category": "criminal_admission",
        "recipient": "law_enforcement",
        "agency": "City police",
        "legal_basis": "ORS 36.220",
        "disclosed_at": office.clock.now.isoformat(),
    }
    await office.director.post(f"{story.path}/mandatory-reports", report)
    assert (await walk(office.director, before))[0] == []


# ── an integration ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_integration_is_shown_what_changes_its_view_of_what_it_filed_and_nothing_of_others(
    office: Office,
) -> None:
    await (await office.file()).to_ready()
    story = await filed_by_integration(office)
    await story.to_mediated()
    events, _ = await walk(office.integration)
    assert kinds(events) == [
        *("complaint.filed", "party.added", "party.added", "case.opened", "part.opened", "part.mediated", "case.closed")
    ]
    assert {event["complaint_id"] for event in events} == {story.complaint_id}
    assert_in_sequence(events)
    assert (await walk(office.caller(Role.INTEGRATION, "another-system")))[0] == []


async def test_each_event_that_is_shown_to_an_integration_changes_what_it_reads_and_no_other_does(
    office: Office,
) -> None:
    """Step by step to the end: the feed has something if, and only if, the complaint reads differently."""
    story = await filed_by_integration(office, officers=2)

    async def view() -> Answer:
        return await office.integration.get(story.complaint)

    shown, (_, after) = await view(), await walk(office.integration)
    first, second = story.officers
    changes = 0
    for step in (
        story.to_asking,
        lambda: story.answer(first),
        lambda: story.answer(second, "declined"),
        story.assign,
        story.schedule,
        story.make_agreement,
        lambda: story.withdraw(first),
    ):
        await step()
        events, after = await walk(office.integration, after)
        before, shown = shown, await view()
        assert (before != shown) == bool(events), (kinds(events), before, shown)
        changes += bool(events)
    assert changes == 2, "the decline shows once the case is ready, and the withdrawal closes it"


async def test_a_part_that_went_back_while_answers_were_sealed_is_shown_once_the_case_is_ready(office: Office) -> None:
    story = await (await filed_by_integration(office, officers=3)).to_asking()
    first, second, third = story.officers
    _, after = await walk(office.integration)
    await story.answer(first, "declined")
    assert "part.returned" in kinds((await walk(office.coordinator))[0]), "the office is shown it at once"
    await story.answer(second)
    assert await walk(office.integration, after) == ([], after)
    await story.answer(third)
    events, after = await walk(office.integration, after)
    assert kinds(events) == ["part.returned"]
    await story.withdraw(second)
    events, _ = await walk(office.integration, after)
    assert kinds(events) == ["part.returned"], "no longer sealed: at once"
    assert_in_sequence((await walk(office.integration))[0])


async def test_what_an_officer_answers_shows_in_no_feed_of_an_integration_before_ready(
    office: Office, fork: Fork
) -> None:
    """Each feed to the byte, in the worlds that differ by one answer; also when the poll begins in the middle."""
    story = await (await filed_by_integration(office, complainants=2, officers=3)).to_asking()
    await story.answer(story.officers[0])
    _, after = await walk(office.integration)

    async def watch(observer: Observer) -> None:
        for path in ("/v1/events", f"/v1/events?after={after}", "/v1/events?limit=3"):
            await observer.ask("GET", path)

    worlds = Worlds(answers_of(story.officers[1]).turns)
    await assert_alike(story, worlds, fork, (office.integration, watch))


# ── cursors ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cursor_of_a_database_from_before_a_restore_leads_to_where_nothing_is_missed(
    office: Office, fork: Fork
) -> None:
    """The cursor is of a world that was undone: what was recorded in it never happened."""
    await office.file()
    office.clock.advance(hours=3)
    await office.file()
    kept, _ = await walk(office.coordinator)
    office.clock.advance(hours=3)
    async with fork():
        await office.file()
        lost, after = await walk(office.coordinator)
    office.clock.advance(hours=6)
    await office.file()
    await office.file()
    response = await office.coordinator.send("GET", f"/v1/events?after={after}")
    assert (response.status_code, response.json()["code"]) == (410, "feed-restored")
    link = response.headers["Link"]
    assert link.endswith('>; rel="next"')
    safe = httpx.URL(link.partition(">")[0].removeprefix("<")).params["after"]
    again, _ = await walk(office.coordinator, safe)
    events, _ = await walk(office.coordinator)
    seen = {event["id"] for event in lost}
    assert {event["id"] for event in events} <= seen | {event["id"] for event in again}
    assert len(again) < len(events), "it need not begin anew"
    assert {event["id"] for event in kept} <= seen


async def test_a_restored_database_without_any_event_from_before_is_read_from_the_start(
    office: Office, fork: Fork
) -> None:
    async with fork():
        await office.file()
        _, after = await walk(office.caller(Role.INTEGRATION, "no-system"))
        assert after is None
        await filed_by_integration(office)
        _, after = await walk(office.integration)
    response = await office.integration.send("GET", f"/v1/events?after={after}")
    assert (response.status_code, response.headers["Link"]) == (410, '</v1/events>; rel="next"')


async def test_a_cursor_of_another_reader_is_not_a_place_in_one_s_own_feed(office: Office) -> None:
    await filed_by_integration(office)
    _, after = await walk(office.coordinator)
    assert (await office.integration.send("GET", f"/v1/events?after={after}")).status_code == 410


async def test_what_is_no_cursor_is_refused_by_name(office: Office) -> None:
    refused = await office.coordinator.get("/v1/events?after=Zm9yIGV4YW1wbGU", 422)
    assert [(each["parameter"], each["code"]) for each in refused["errors"]] == [("after", "cursor")]  # type: ignore[attr-defined] # JSON
