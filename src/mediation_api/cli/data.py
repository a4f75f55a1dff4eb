"""`mediation-api retention`: empty what has come to the end of its period."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import typer

from mediation_api.cli.output import one_line_errors, require_database, say
from mediation_api.domain.retention import DEFAULT_DAYS, Periods, page
from mediation_api.domain.values import DataKind
from mediation_api.settings import Settings, SettingsError, settings_from_environment


def retention(
    *,
    schedule: Annotated[bool, typer.Option("--schedule", help="Print docs/retention.md, and do nothing.")] = False,
) -> None:
    """Empty what has come to the end of its period (docs/retention.md), and print how many fields of each kind.

    It may run beside the service, be broken off and be begun again: run it once a day.
    """
    if schedule:
        typer.echo(page(), nl=False)
        return
    with one_line_errors():
        settings = require_database(settings_from_environment())
        emptied = asyncio.run(purge(settings))
        for kind, fields in sorted(emptied.items()):
            say(f"{kind} {fields}")
        if not emptied:
            say("Nothing has come to the end of its period.")


async def purge(settings: Settings) -> Counter[DataKind]:
    """Empty what is due, and count the fields of each kind. Raises SettingsError: not as a role that sees every row."""
    from mediation_api.database.engine import create_engine
    from mediation_api.database.row_security import sees_every_row
    from mediation_api.repository.retention import purge_due

    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            if not await sees_every_row(connection):
                raise SettingsError("MEDIATION_DATABASE_URL: empty as mediation_service, who sees every row")
        periods = Periods({name: getattr(settings, name) for name in DEFAULT_DAYS})
        return await purge_due(engine, periods, datetime.now(UTC))
    finally:
        await engine.dispose()
