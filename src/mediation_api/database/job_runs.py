"""When each scheduled command and each task of the worker last succeeded: written by these, read by /metrics."""

from collections.abc import Mapping

from sqlalchemy import Interval, extract, func, select, text, type_coerce
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.engine import create_engine
from mediation_api.database.tables import job_runs
from mediation_api.domain.values import Job
from mediation_api.settings import Settings


async def record_success(settings: Settings, job: Job) -> None:
    """Store that a command has succeeded, with a connection of its own."""
    engine = create_engine(settings)
    try:
        async with engine.begin() as connection:
            await store_success(connection, job)
    finally:
        await engine.dispose()


async def store_success(connection: AsyncConnection, job: Job) -> None:
    """Store that a job has succeeded, by the clock of the database. A read-only standby stores nothing."""
    if await connection.scalar(text("SHOW transaction_read_only")) == "on":
        return
    statement = insert(job_runs).values(job=job, succeeded_at=func.now())
    again = {"succeeded_at": statement.excluded.succeeded_at}
    await connection.execute(statement.on_conflict_do_update(index_elements=[job_runs.c.job], set_=again))


async def seconds_since_success(connection: AsyncConnection) -> Mapping[Job, float]:
    """Return how long ago each job last succeeded; without those that never did."""
    age = extract("epoch", type_coerce(func.now() - job_runs.c.succeeded_at, Interval))
    rows = await connection.execute(select(job_runs.c.job, age.label("age")))
    return {Job(row.job): float(row.age) for row in rows}
