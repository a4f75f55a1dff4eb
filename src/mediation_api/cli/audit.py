"""`mediation-api audit`: detect changes of recorded events."""

import asyncio
import sys
from contextlib import aclosing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mediation_api.cli.output import one_line_errors, require_database, say
from mediation_api.settings import settings_from_environment

audit = typer.Typer(help="Detect changes of recorded events.", no_args_is_help=True)


@audit.command("export")
def audit_export(
    to: Annotated[Path | None, typer.Option(help="A new file; by default, standard output.")] = None,
) -> None:
    """Write a signed statement of the last event of each audit chain. Keep it away from the database."""
    from mediation_api.cli.audit_statements import export

    with one_line_errors(), nullcontext(sys.stdout.buffer) if to is None else to.open("xb") as file:
        asyncio.run(export(require_database(settings_from_environment()), file, at=datetime.now(UTC)))


@audit.command("keys")
def audit_keys() -> None:
    """Print the public key (JWKS) that verifies the signature of those statements."""
    from mediation_api.cli.audit_statements import public_keys, signing_key

    with one_line_errors():
        say(public_keys(signing_key(settings_from_environment())))


@audit.command("verify")
def audit_verify(
    against: Annotated[Path | None, typer.Option(help="A statement that `audit export` wrote.")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Public keys of its signature (JWKS); by default, the service's own.")
    ] = None,
) -> None:
    """Recompute the audit chains, and print a line for each problem. Exit with 1 if there is any."""
    from mediation_api.cli.audit_statements import AuditReport, verify

    async def examine(report: AuditReport) -> None:
        async with aclosing(verify(require_database(settings_from_environment()), against, keys, report)) as problems:
            async for problem in problems:
                say(str(problem))

    report = AuditReport()
    with one_line_errors():
        asyncio.run(examine(report))
    typer.echo(f"{report.events} events in {report.streams} streams, {report.problems} problems.", err=True)
    if report.problems:
        raise typer.Exit(1)
