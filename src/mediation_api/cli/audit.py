"""`mediation-api audit`: show that nobody changed the recorded events."""

import asyncio
import sys
from contextlib import aclosing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mediation_api.cli.output import one_line_errors, require_database, say
from mediation_api.settings import settings_from_environment

audit = typer.Typer(help="Shows that nobody changed the recorded events.", no_args_is_help=True)


@audit.command("export")
def audit_export(
    to: Annotated[Path | None, typer.Option(help="A file to write; standard output unless given.")] = None,
) -> None:
    """Write a signed statement of how far each chain of events goes, to be kept away from the database."""
    from mediation_api.cli.audit_statements import export

    with one_line_errors(), nullcontext(sys.stdout.buffer) if to is None else to.open("xb") as file:
        asyncio.run(export(require_database(settings_from_environment()), file, at=datetime.now(UTC)))


@audit.command("keys")
def audit_keys() -> None:
    """Print the public key (JWKS) with which others check those statements."""
    from mediation_api.cli.audit_statements import key_of, public_keys

    with one_line_errors():
        say(public_keys(key_of(settings_from_environment())))


@audit.command("verify")
def audit_verify(
    against: Annotated[Path | None, typer.Option(help="A statement that `audit export` wrote.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Keys that may have signed it (JWKS); ours unless given.")] = None,
) -> None:
    """Compute the chain of events anew, and print a line for each place where it does not hold. Ends with 1 if any."""
    from mediation_api.cli.audit_statements import AuditReport, verify

    async def examine(report: AuditReport) -> None:
        async with aclosing(verify(require_database(settings_from_environment()), against, keys, report)) as found:
            async for problem in found:
                say(str(problem))

    report = AuditReport()
    with one_line_errors():
        asyncio.run(examine(report))
    typer.echo(f"{report.events} events in {report.streams} streams, {report.problems} problems.", err=True)
    if report.problems:
        raise typer.Exit(1)
