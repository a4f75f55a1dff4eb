"""`mediation-api worker`: the process that repeats tasks. All that it prints is its log."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mediation_api.cli.output import one_line_errors, require_database
from mediation_api.cli.serve import check_database, log_failure
from mediation_api.logs import configure
from mediation_api.settings import Settings, settings_from_environment

_STOPPED_BY: Final = (signal.SIGINT, signal.SIGTERM)

_ENDPOINTS_AT_ONCE: Final = 4
"""To how many endpoints of webhooks one worker sends at the same time."""

_log = logging.getLogger(__name__)


def worker() -> None:
    """Repeat tasks such as numbering the events of the change feed, until SIGTERM.

    Connect as mediation_service, or as a login that is a member of it. Any number of workers may run at once.
    """
    with one_line_errors(log_failure):
        settings = require_database(settings_from_environment())
        configure(settings.log_level)
        check_database(settings)
        asyncio.run(_work_until_stopped(settings))


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[asyncio.Event]:
    """Repeat the tasks during a block, or until the event that it yields is set."""
    from mediation_api.cli.import_lines import run_imports
    from mediation_api.cli.scheduled import scheduled_tasks
    from mediation_api.domain.values import Job
    from mediation_api.main import worker_context
    from mediation_api.outreach.mail_delivery import MailDelivery
    from mediation_api.outreach.webhooks import deliver_webhooks
    from mediation_api.outreach.worker import Task, number_events, record_deadlines, work

    context, stopping = worker_context(settings), asyncio.Event()
    mail = MailDelivery.of(context)
    tasks = (
        Task(Job.NUMBER_EVENTS, 0.5, number_events),
        Task(Job.RUN_IMPORTS, 1.0, run_imports),
        Task(Job.RECORD_DEADLINES, 60.0, record_deadlines),
        # Each waits for one receiver at a time, so that a slow one does not keep the others from theirs.
        *(Task(Job.DELIVER_WEBHOOKS, 1.0, deliver_webhooks) for _ in range(_ENDPOINTS_AT_ONCE)),
        *scheduled_tasks(settings),
        *(() if mail is None else (Task(Job.SEND_MAIL, 2, mail.run),)),
    )
    running = asyncio.create_task(work(context, tasks, stopping))
    _log.info("the worker repeats %s", ", ".join(dict.fromkeys(task.job for task in tasks)))
    try:
        yield stopping
    finally:
        stopping.set()
        await running
        await context.database.close()
        _log.info("the worker has stopped")


async def _work_until_stopped(settings: Settings) -> None:
    async with working(settings) as stopping:
        for number in _STOPPED_BY:
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await stopping.wait()
