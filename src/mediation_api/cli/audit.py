"""`mediation-api audit`: detect changes of recorded events."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mediation_api.cli.output import one_line_errors, record_success, require_database, say
from mediation_api.domain.values import Job
from mediation_api.settings import settings_from_environment

audit = typer.Typer(help="Detect changes of recorded events.", no_args_is_help=True)


Keys = Annotated[Path | None, typer.Option(help="Public keys of the signatures (JWKS); by default, the service's own.")]


@audit.command("export")
def audit_export(
    to: Annotated[
        Path | None, typer.Option(help="A folder of statements, to be continued; by default, standard output.")
    ] = None,
    keys: Keys = None,
) -> None:
    """Write a signed statement of the last event of each audit chain. Keep it away from the database.

    The first statement of a folder lists all chains, and each later one those that have gone on since the one before.
    The last statement of the folder has to be there, and is checked. It may be interrupted and run again.
    """
    from mediation_api.cli.audit_statements import export, export_next

    with one_line_errors():
        settings, at = require_database(settings_from_environment()), datetime.now(UTC)
        if to is None:
            asyncio.run(export(settings, sys.stdout.buffer, at=at))
        else:
            export_next(settings, to, keys, at=at)
        record_success(settings, Job.AUDIT_EXPORT)


@audit.command("keys")
def audit_keys() -> None:
    """Print the public key (JWKS) that verifies the signature of those statements."""
    from mediation_api.auth.tokens import service_key
    from mediation_api.cli.audit_statements import public_keys

    with one_line_errors():
        say(public_keys(service_key(settings_from_environment())))


@audit.command("verify")
def audit_verify(
    against: Annotated[
        Path | None, typer.Option(help="A complete statement, or a folder of them, that `audit export` wrote.")
    ] = None,
    keys: Keys = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="A file that says how far the chains were verified: begin there, and continue what was interrupted. "
            "It is made if there is none. What somebody changed in what was verified before is NOT found."
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="How many processes; by default, one for each core.")] = None,
) -> None:
    """Recompute the audit chains, and print a line for each problem. Exit with 1 if there is any.

    Without a checkpoint everything is verified. Only that finds a change of what an earlier run has verified.
    """
    from mediation_api.cli.audit_runs import Checkpoint, verify
    from mediation_api.cli.audit_statements import NOTHING, read_export, trusted_keys

    with one_line_errors():
        settings = require_database(settings_from_environment())
        run = verify(
            settings,
            NOTHING if against is None else read_export(against, trusted_keys(settings, keys)),
            Checkpoint.read(checkpoint),
            jobs=jobs or os.cpu_count() or 1,
            say=say,
            progress=partial(typer.echo, err=True),
        )
        if not run.problems:
            record_success(settings, Job.AUDIT_VERIFY)
    typer.echo(f"{run.events} events in {run.streams} streams, {run.problems} problems.", err=True)
    if run.problems:
        raise typer.Exit(1)
