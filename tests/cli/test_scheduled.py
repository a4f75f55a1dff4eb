"""What the worker does at set times: once, however many workers look, and again only when it is due again."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mediation_api.cli.scheduled import run_if_due, scheduled_tasks
from mediation_api.database.engine import Database
from mediation_api.domain.values import Job
from mediation_api.main import worker_context
from mediation_api.outreach.worker import RunResult, WorkerContext
from mediation_api.settings import Settings


@pytest.fixture
def context(committed: Settings, committed_database: Database, tmp_path: Path) -> WorkerContext:
    times = {"retention_at": ("02:30",), "audit_export_at": (":15",), "audit_export_directory": tmp_path / "heads"}
    settings = committed.model_copy(update=times)
    return replace(worker_context(settings), database=committed_database, clock=lambda: datetime.now(UTC))


async def test_each_job_runs_once_for_each_time_by_one_worker(context: WorkerContext) -> None:
    assert [task.job for task in scheduled_tasks(context.settings)] == [Job.RETENTION, Job.AUDIT_EXPORT]
    assert scheduled_tasks(context.settings.model_copy(update={"retention_at": (), "audit_export_at": ()})) == []
    for task in scheduled_tasks(context.settings):
        results = await asyncio.gather(*(task.run(context) for _ in range(3)))
        assert sorted(result.name for result in results) == ["DONE", "NOT_DUE", "NOT_DUE"]
        assert await task.run(context) is RunResult.NOT_DUE
    folder = context.settings.audit_export_directory
    assert folder is not None
    assert [path.name for path in folder.glob("*.jsonl")] == ["000001.jsonl"]


async def test_a_job_that_fails_is_due_until_it_succeeds(context: WorkerContext) -> None:
    runs = 0

    async def work(_: WorkerContext) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await run_if_due(Job.AUDIT_EXPORT, [":15"], work, context)
    assert await run_if_due(Job.AUDIT_EXPORT, [":15"], work, context) is RunResult.DONE
    assert await run_if_due(Job.AUDIT_EXPORT, [":15"], work, context) is RunResult.NOT_DUE
