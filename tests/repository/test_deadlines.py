"""The worker records that a case is at risk or overdue: once, however many workers look, and only for the office."""

import asyncio
from dataclasses import replace

from tests.conftest import Clock, RolledBackDatabase

from mediation_api.database.engine import Database
from mediation_api.dev.office import Office, Story
from mediation_api.main import worker_context
from mediation_api.outreach.worker import RunResult, WorkerContext, record_deadlines
from mediation_api.settings import Settings


async def recorded(story: Story) -> list[object]:
    """What the timeline of a case says of its deadlines."""
    timeline = (await story.office.coordinator.get(f"{story.path}/timeline?limit=100"))["items"]
    assert isinstance(timeline, list)
    return [(each["kind"], each["by"]) for each in timeline if each["kind"] in {"case.at_risk", "case.overdue"}]


async def run(worker: WorkerContext) -> int:
    """Run the task until nothing is left; return how many deadlines it recorded."""
    count = 0
    while await record_deadlines(worker) is RunResult.MORE:
        count += 1
    return count


async def test_each_deadline_of_an_open_case_is_recorded_once(
    office: Office, settings: Settings, database: RolledBackDatabase, clock: Clock
) -> None:
    worker = replace(worker_context(settings), database=database, clock=clock)
    story, over = await office.file(), await office.file()
    await over.screen(eligible=False, reason="It is to be investigated.")
    assert await run(worker) == 0
    clock.advance(days=settings.target_days - settings.at_risk_days)
    assert await run(worker) == 1
    assert await run(worker) == 0
    clock.advance(days=settings.at_risk_days + 1)
    assert await run(worker) == 1
    assert await run(worker) == 0
    by = "mediation-api worker"
    assert await recorded(story) == [("case.at_risk", by), ("case.overdue", by)]
    assert await recorded(over) == []


async def test_no_party_and_no_integration_is_shown_it(
    office: Office, settings: Settings, database: RolledBackDatabase, clock: Clock
) -> None:
    worker = replace(worker_context(settings), database=database, clock=clock)
    story = await office.file(by=office.integration, channel=None)
    before = await office.integration.get("/v1/events")
    clock.advance(days=settings.target_days + 1)
    office.tokens.clear()
    assert await run(worker) == 1
    after = await office.integration.get("/v1/events")
    assert [each["id"] for each in after["events"]] == [each["id"] for each in before["events"]]  # type: ignore[attr-defined]
    shown = await office.coordinator.get("/v1/events?limit=100")
    assert "case.overdue" in [each["kind"] for each in shown["events"]]  # type: ignore[attr-defined]
    assert story.case_id


async def test_two_workers_record_it_once(
    committed_office: Office, committed: Settings, committed_database: Database, clock: Clock
) -> None:
    worker = replace(worker_context(committed), database=committed_database, clock=clock)
    stories = [await committed_office.file(officers=[{"employee_number": str(n)}]) for n in range(3)]
    clock.advance(days=committed.target_days + 1)
    committed_office.tokens.clear()
    for _ in range(3):
        await asyncio.gather(*(run(worker) for _ in range(4)))
    for story in stories:
        assert await recorded(story) == [("case.overdue", "mediation-api worker")]
