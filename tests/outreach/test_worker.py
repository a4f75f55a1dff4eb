"""The worker: each task at its own pace, whatever becomes of the others, until it is to stop."""

import asyncio
import logging
from dataclasses import replace
from typing import Final

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from tests.conftest import RolledBackDatabase
from tests.promises.production import log_lines

from mediation_api.database import tables as t
from mediation_api.database.job_runs import seconds_since_success
from mediation_api.dev.office import Office
from mediation_api.domain.values import Job
from mediation_api.logs import JsonFormatter
from mediation_api.main import worker_context
from mediation_api.outreach.worker import RunResult, Task, WorkerContext, number_events, pause_seconds, work
from mediation_api.settings import Settings

SOON: Final = 0.001
NEVER: Final = 3600.0
LIMIT_SECONDS: Final = 20


@pytest.fixture
def context(settings: Settings, database: RolledBackDatabase) -> WorkerContext:
    """What the tasks are given, on a database in which nothing stays."""
    return replace(worker_context(settings), database=database)


async def test_a_task_that_fails_is_logged_without_its_text_and_repeated_and_the_others_go_on(
    context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    stopping, runs = asyncio.Event(), {"fails": 0, "goes on": 0}

    async def fail(_: WorkerContext) -> RunResult:
        runs["fails"] += 1
        raise ValueError("Ms. Example")

    async def go_on(_: WorkerContext) -> RunResult:
        runs["goes on"] += 1
        if min(runs.values()) >= 3:
            stopping.set()
        return RunResult.DONE

    async with asyncio.timeout(LIMIT_SECONDS):
        await work(context, [Task(Job.RETENTION, SOON, fail), Task(Job.NUMBER_EVENTS, SOON, go_on)], stopping)
    lines = log_lines("\n".join(JsonFormatter().format(record) for record in caplog.records))
    assert {(line["event"], line["task"], line["error"]) for line in lines} == {
        ("task-failure", "retention", "builtins.ValueError")
    }
    assert "Example" not in caplog.text
    async with context.database.reading() as connection:
        assert set(await seconds_since_success(connection)) == {Job.NUMBER_EVENTS}


def test_the_pause_after_failures_grows_to_a_minute_or_to_the_interval() -> None:
    assert [pause_seconds(0.5, failures) for failures in (0, 1, 2, 3, 1_000_000)] == [0.5, 1, 2, 4, 60]
    assert [pause_seconds(900, failures) for failures in (0, 1, 5)] == [900, 900, 900]


async def test_a_task_with_more_to_do_runs_again_at_once_and_one_that_was_not_due_has_not_succeeded(
    context: WorkerContext,
) -> None:
    stopping, left = asyncio.Event(), [1, 2, 3]

    async def take(_: WorkerContext) -> RunResult:
        left.pop()
        if left:
            return RunResult.MORE
        stopping.set()
        return RunResult.NOT_DUE

    async def not_due(_: WorkerContext) -> RunResult:
        return RunResult.NOT_DUE

    async with asyncio.timeout(LIMIT_SECONDS):
        await work(context, [Task(Job.RETENTION, NEVER, take), Task(Job.KEYS_ROTATE, NEVER, not_due)], stopping)
    async with context.database.reading() as connection:
        assert set(await seconds_since_success(connection)) == {Job.RETENTION}


async def test_a_run_under_way_is_finished_when_the_worker_stops_and_one_that_hangs_is_cancelled(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediation_api.outreach.worker.STOP_SECONDS", 0.2)
    stopping, done = asyncio.Event(), []

    async def finish(_: WorkerContext) -> RunResult:
        stopping.set()
        await asyncio.sleep(0.05)
        done.append("finished")
        return RunResult.MORE

    async def hang(_: WorkerContext) -> RunResult:
        try:
            await asyncio.sleep(NEVER)
        except asyncio.CancelledError:
            done.append("cancelled")
            raise
        return RunResult.DONE

    async with asyncio.timeout(LIMIT_SECONDS):
        await work(context, [Task(Job.KEYS_ROTATE, SOON, hang), Task(Job.RETENTION, SOON, finish)], stopping)
    assert done == ["finished", "cancelled"]


async def test_the_worker_numbers_events_before_anybody_reads_them(context: WorkerContext, office: Office) -> None:
    await office.file()
    assert await number_events(context) is RunResult.DONE
    async with context.database.reading() as connection:
        numbered = select(func.count()).select_from(t.change_feed)
        assert await connection.scalar(numbered) == await connection.scalar(select(func.count()).select_from(t.events))


async def test_the_code_of_the_database_is_logged(context: WorkerContext, caplog: pytest.LogCaptureFixture) -> None:
    stopping = asyncio.Event()

    async def fail(given: WorkerContext) -> RunResult:
        stopping.set()
        async with given.database.transaction() as connection:
            await connection.exec_driver_sql("SELECT 1 / 0")
        return RunResult.DONE

    async with asyncio.timeout(LIMIT_SECONDS):
        await work(context, [Task(Job.RETENTION, SOON, fail)], stopping)
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    (line,) = log_lines(JsonFormatter().format(record))
    assert (line["error"], line["sqlstate"]) == (f"{DBAPIError.__module__}.{DBAPIError.__name__}", "22012")
