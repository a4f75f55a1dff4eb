"""`mediation-api keys`: the keys under which names, contacts and texts are encrypted."""

import asyncio
import base64
import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from mediation_api.cli.output import one_line_errors, record_success, require_database, say
from mediation_api.domain.values import Job
from mediation_api.settings import ReplaceableSecret, settings_from_environment

keys = typer.Typer(help="The keys under which names, contacts and texts are encrypted.", no_args_is_help=True)


@keys.command("make")
def keys_make() -> None:
    """Print a new key for MEDIATION_ENCRYPTION_KEYS. Keep a copy apart from the database: it cannot be recovered."""
    say(new_entry(f"{datetime.now(UTC):%Y-%m-%d}-{secrets.token_hex(2)}"))


@keys.command("rotate")
def keys_rotate() -> None:
    """Wrap all data keys under the first key of MEDIATION_ENCRYPTION_KEYS, and update hashes of employee numbers.

    It may run beside the service, be interrupted and be restarted.
    """
    from mediation_api.database import key_rotation

    with one_line_errors():
        settings = require_database(settings_from_environment())
        done = asyncio.run(key_rotation.rotate(settings))
        record_success(settings, Job.KEYS_ROTATE)
        say(f"{done.wrapped} data keys wrapped, {done.hashed} employee numbers hashed.")
    keys_status()


@keys.command("accept")
def keys_accept(
    secret: Annotated[ReplaceableSecret, typer.Argument(help="The setting, without MEDIATION_.")],
) -> None:
    """Accept a secret that was changed on purpose, with which `serve` does not start: use that of the settings.

    With another access code secret no code is valid that was issued before: issue new ones. Stop the service meanwhile.
    """
    from mediation_api.database import key_rotation

    with one_line_errors():
        asyncio.run(key_rotation.accept(require_database(settings_from_environment()), secret))
        say(f"{secret} accepted.")


@keys.command("status")
def keys_status() -> None:
    """Print how many data keys are wrapped under which key. Exit with 1 if `rotate` is needed."""
    from mediation_api.database import key_rotation

    with one_line_errors():
        usage = asyncio.run(key_rotation.key_usage(require_database(settings_from_environment())))
    for key_id, count in usage.keys.items():
        say(f"{count} data keys under {key_id}{' (current)' if key_id == usage.current else ''}")
    if usage.unhashed:
        say(f"{usage.unhashed} employee numbers not hashed under the search secret")
    if not usage.is_done:
        raise typer.Exit(1)


def new_entry(key_id: str) -> str:
    """Return a new key as an entry of MEDIATION_ENCRYPTION_KEYS."""
    from mediation_api.database.encryption import new_key

    return f"{key_id}:{base64.b64encode(new_key()).decode()}"
