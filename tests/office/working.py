"""What `mediation-api worker` does in the background, done once."""

from mediation_api.cli.import_lines import file_next_batch
from mediation_api.outreach.worker import WorkerContext
from mediation_api.repository.change_feed import number_batch
from mediation_api.repository.mails import queue_mails


async def work_once(context: WorkerContext) -> None:
    """File a batch of an import, number events, and queue the mails for them."""
    await file_next_batch(context)
    async with context.database.transaction() as connection:
        await number_batch(connection)
        await queue_mails(connection, context.clock())
