"""The worker: tasks that repeat, each at its own pace, in any number of processes at once.

Each task has to be safe beside itself in another process: by a lock, a lease, or a key that is unique. The list of
tasks is in `cli/worker.py`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final

from mediation_api.database.engine import Database
from mediation_api.database.job_runs import store_success
from mediation_api.domain.policy import Policy
from mediation_api.domain.texts import Texts
from mediation_api.domain.values import Job
from mediation_api.logs import LogEvent, class_of, places_of, sqlstate_of
from mediation_api.repository.change_feed import FULL_BATCH, number_batch
from mediation_api.repository.deadlines import record_deadline
from mediation_api.settings import Settings

STOP_SECONDS: Final = 25.0
"""How long a task may take to finish once the worker is to stop."""
LONGEST_PAUSE_SECONDS: Final = 60.0
"""The longest pause after failures, unless the task's own interval is longer."""
RECORDED_SECONDS: Final = 60.0
"""How often at most the success of a task is stored."""

_log = logging.getLogger(__name__)


class RunResult(Enum):
    """What a run of a task says about the next one."""

    DONE = auto()
    """Nothing is left to do: it runs again after its interval."""
    MORE = auto()
    """There may be more to do: it runs again at once, unless the worker is to stop."""
    NOT_DUE = auto()
    """As `DONE`, and it did not do its work, so that no success is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """What the tasks of one process share. `main.worker_context` creates it."""

    settings: Settings
    policy: Policy
    texts: Texts
    database: Database
    clock: Callable[[], datetime]

    allegation_categories: Mapping[str, Mapping[str, str]]
    """The city's categories of allegations: the words of each, by its code and by language."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something that the worker repeats."""

    job: Job
    seconds: float
    """The interval from the end of one run to the begin of the next."""
    run: Callable[[WorkerContext], Awaitable[RunResult]]
    """Do a part of the work that takes a few seconds at most: the worker does not stop in between."""


async def work(context: WorkerContext, tasks: Sequence[Task], stopping: asyncio.Event) -> None:
    """Repeat the tasks until `stopping` is set. Runs that are under way are finished, or cancelled after a while.

    A task that fails is logged, without the text of the exception, and repeated after a pause that grows.
    """
    running = [asyncio.create_task(_repeat(task, context, stopping), name=task.job) for task in tasks]
    try:
        await stopping.wait()
        await asyncio.wait(running, timeout=STOP_SECONDS)
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def number_events(context: WorkerContext) -> RunResult:
    """Append the events that were committed to the change feed."""
    async with context.database.transaction() as connection:
        return RunResult.MORE if await number_batch(connection) >= FULL_BATCH else RunResult.DONE


async def record_deadlines(context: WorkerContext) -> RunResult:
    """Record that the due date of a case is near, or has passed."""
    async with context.database.transaction() as connection:
        found = await record_deadline(connection, at=context.clock(), policy=context.policy)
    return RunResult.MORE if found else RunResult.DONE


async def _repeat(task: Task, context: WorkerContext, stopping: asyncio.Event) -> None:
    clock = asyncio.get_running_loop().time
    failures, recorded = 0, clock() - RECORDED_SECONDS
    while not stopping.is_set():
        try:
            result = await task.run(context)
            if result is not RunResult.NOT_DUE and clock() - recorded >= RECORDED_SECONDS:
                async with context.database.transaction() as connection:
                    await store_success(connection, task.job)
                recorded = clock()
            failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the other tasks go on
            result, failures = RunResult.DONE, failures + 1
            _log.error(_failure(task, error))
        if result is RunResult.MORE:
            await asyncio.sleep(0)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_seconds(task.seconds, failures))


def pause_seconds(interval: float, failures: int) -> float:
    """Return the pause until a task runs again: its interval, doubled with each failure in a row."""
    longest = max(interval, LONGEST_PAUSE_SECONDS)
    return min(longest, interval * 2.0 ** min(failures, 32))


def _failure(task: Task, error: Exception) -> LogEvent:
    return LogEvent(
        "task-failure", task=task.job, error=class_of(error), sqlstate=sqlstate_of(error), frames=places_of(error)
    )
