"""The jobs that the worker runs at set times: the same as the commands `retention` and `audit export`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.cli.audit_statements import export_next
from mediation_api.cli.data import purge
from mediation_api.database.job_runs import seconds_since_success, store_success
from mediation_api.domain.schedule import is_due
from mediation_api.domain.values import Job
from mediation_api.outreach.worker import RunResult, Task, WorkerContext
from mediation_api.settings import Settings

_LOOK_SECONDS = 60.0

Work = Callable[[WorkerContext], Awaitable[object]]


def scheduled_tasks(settings: Settings) -> Sequence[Task]:
    """Return the tasks of the jobs that the settings give times to."""
    jobs: tuple[tuple[Job, Sequence[str], Work], ...] = (
        (Job.RETENTION, settings.retention_at, _retention),
        (Job.AUDIT_EXPORT, settings.audit_export_at, _audit_export),
    )
    return [Task(job, _LOOK_SECONDS, partial(run_if_due, job, times, work)) for job, times, work in jobs if times]


async def run_if_due(job: Job, times: Sequence[str], work: Work, context: WorkerContext) -> RunResult:
    """Do the work of a job if it is due, unless another worker does it.

    The lock is that of a session, which ends with the connection of a worker that is killed: the work is longer than a
    transaction may be idle.
    """
    async with context.database.reading() as connection:
        if not await _is_due(connection, job, times, context):
            return RunResult.NOT_DUE
        key = func.hashtextextended(f"job {job}", 0)
        if not await connection.scalar(select(func.pg_try_advisory_lock(key))):
            return RunResult.NOT_DUE
        try:
            # Another worker may have done it while this one looked.
            if not await _is_due(connection, job, times, context):
                return RunResult.NOT_DUE
            await work(context)
            await store_success(connection, job)
        finally:
            await connection.execute(select(func.pg_advisory_unlock(key)))
    return RunResult.DONE


async def _is_due(connection: AsyncConnection, job: Job, times: Sequence[str], context: WorkerContext) -> bool:
    at, age = context.clock(), (await seconds_since_success(connection)).get(job)
    last = None if age is None else at - timedelta(seconds=age)
    return is_due(at, times, context.policy.target.zone, last)


async def _retention(context: WorkerContext) -> None:
    await purge(context.settings)


async def _audit_export(context: WorkerContext) -> None:
    folder = context.settings.audit_export_directory
    if folder is not None:  # the settings require it
        await asyncio.to_thread(export_next, context.settings, folder, None, at=context.clock())
