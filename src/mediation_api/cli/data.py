"""`mediation-api retention`: erase data whose retention period has ended."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import typer

from mediation_api.cli.output import one_line_errors, record_success, require_database, say
from mediation_api.domain.retention import DEFAULT_DAYS, Periods, retention_page
from mediation_api.domain.values import DataKind, Job
from mediation_api.settings import Settings, SettingsError, settings_from_environment


def retention(
    *,
    schedule: Annotated[bool, typer.Option("--schedule", help="Print docs/retention.md and exit.")] = False,
) -> None:
    """Erase the fields whose retention period has ended (docs/retention.md), and print how many of each kind.

    Also deletes the entries of the access log, the imports, the mails and what was sent to webhooks whose period has
    ended, and idempotency keys with their responses and addresses of calendar feeds that have expired, and prints their
    numbers as `access_log`, `import`, `mail`, `webhook`, `retry` and `credential`.

    Run it once a day. It may run beside the service, be interrupted and be restarted.
    """
    if schedule:
        typer.echo(retention_page(), nl=False)
        return
    with one_line_errors():
        settings = require_database(settings_from_environment())
        emptied = asyncio.run(purge(settings))
        record_success(settings, Job.RETENTION)
        for kind, fields in sorted(emptied.items()):
            say(f"{kind} {fields}")
        if not emptied:
            say("No retention period has ended.")


async def purge(settings: Settings) -> Counter[DataKind]:
    """Erase what is due, and return the number of fields by kind; of what is deleted, the number of rows.

    Raises SettingsError if the role sees no rows.
    """
    from mediation_api.database.engine import create_engine
    from mediation_api.database.row_security import sees_every_row
    from mediation_api.repository import mails
    from mediation_api.repository.access_log import delete_ended
    from mediation_api.repository.calendar_feeds import delete_expired_feeds
    from mediation_api.repository.idempotency import delete_expired
    from mediation_api.repository.imports import delete_ended as delete_imports
    from mediation_api.repository.retention import purge_due
    from mediation_api.repository.webhooks import delete_ended_deliveries

    engine = create_engine(settings, statement_timeout_ms=0)
    try:
        async with engine.connect() as connection:
            if not await sees_every_row(connection):
                raise SettingsError("MEDIATION_DATABASE_URL: connect as mediation_service, which sees every row")
        periods = Periods({name: getattr(settings, name) for name in DEFAULT_DAYS})
        at = datetime.now(UTC)
        emptied = await purge_due(engine, periods, at)
        emptied[DataKind.ACCESS_LOG] = await delete_ended(engine, periods.ended_before(DataKind.ACCESS_LOG, at))
        emptied[DataKind.CREDENTIAL] = await delete_expired_feeds(engine, at)
        emptied[DataKind.IMPORT] = await delete_imports(engine, periods.ended_before(DataKind.IMPORT, at))
        emptied[DataKind.MAIL] = await mails.delete_ended(engine, periods.ended_before(DataKind.MAIL, at))
        emptied[DataKind.RETRY] = await delete_expired(engine, at)
        emptied[DataKind.WEBHOOK] = await delete_ended_deliveries(engine, periods.ended_before(DataKind.WEBHOOK, at))
        return +emptied
    finally:
        await engine.dispose()
