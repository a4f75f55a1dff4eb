"""Print the result of a command on standard output, or an error as one line on standard error with exit code 2.

An error is printed without a traceback, and without the value of any setting.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Never, TypeVar

import typer

from mediation_api.domain.values import Job
from mediation_api.settings import DatabaseSettings, Settings, SettingsError

AnySettings = TypeVar("AnySettings", bound=DatabaseSettings)

FAILED: Final = 2
"""The exit code of a command that failed."""


def say(text: str) -> None:
    """Print a line and flush it, for a reader of a pipe while the service runs."""
    typer.echo(text)
    sys.stdout.flush()


def fail(text: str) -> Never:
    """Print a line on standard error, and exit with code 2."""
    typer.echo(text, err=True)
    raise typer.Exit(FAILED)


@contextmanager
def one_line_errors(report: Callable[[str], Never] = fail) -> Iterator[None]:
    """Report an error that an operator can correct as one line, and exit; re-raise any other.

    Args:
        report: prints the line, and exits.
    """
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        line = error_line(error)
        if line is None:
            raise
        report(line)


def error_line(error: Exception) -> str | None:
    """Return the line for an operator; None for an error that no operator can correct."""
    if isinstance(error, SettingsError):
        return str(error)

    from alembic.util import CommandError

    from mediation_api.cli.audit_runs import VerificationError
    from mediation_api.cli.audit_statements import StatementError
    from mediation_api.database.encryption import KeyMissing
    from mediation_api.database.faults import fault_of
    from mediation_api.database.transactions import OutcomeUnknown
    from mediation_api.texts.loader import TextFileError

    if isinstance(error, (StatementError, VerificationError, KeyMissing, CommandError, TextFileError, OutcomeUnknown)):
        return str(error)
    fault = fault_of(error)
    if fault is not None:
        return fault.words
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or type(error).__name__}{where}"
    return None


def record_success(settings: Settings, job: Job) -> None:
    """Let /metrics say when a scheduled command last succeeded."""
    from mediation_api.database import job_runs

    asyncio.run(job_runs.record_success(settings, job))


def require_database(settings: AnySettings) -> AnySettings:
    """Return the settings. Raises SettingsError if they name no database."""
    if not settings.database_url.get_secret_value():
        raise SettingsError("MEDIATION_DATABASE_URL: is required")
    return settings
