"""`mediation-api keys`: the keys under which names, contacts and texts are encrypted."""

import asyncio
import base64
import secrets
from datetime import UTC, datetime

import typer

from mediation_api.cli.output import one_line_errors, require_database, say
from mediation_api.settings import settings_from_environment

keys = typer.Typer(help="The keys under which names, contacts and texts are encrypted.", no_args_is_help=True)


@keys.command("make")
def keys_make() -> None:
    """Print a new key for MEDIATION_ENCRYPTION_KEYS. Keep a copy where the database is not: nothing replaces it."""
    say(new_entry(f"{datetime.now(UTC):%Y-%m-%d}-{secrets.token_hex(2)}"))


@keys.command("rotate")
def keys_rotate() -> None:
    """Bring everything under the first key of MEDIATION_ENCRYPTION_KEYS, while requests are served.

    It may be stopped and started again.
    """
    from mediation_api.database import key_rotation

    with one_line_errors():
        done = asyncio.run(key_rotation.rotate(require_database(settings_from_environment())))
        say(f"{done.wrapped} data keys wrapped, {done.hashed} employee numbers hashed.")
    keys_status()


@keys.command("status")
def keys_status() -> None:
    """Print what is under which key. Ends with 1 while there is something for `rotate` to do."""
    from mediation_api.database import key_rotation

    with one_line_errors():
        found = asyncio.run(key_rotation.key_usage(require_database(settings_from_environment())))
    for key_id, count in found.keys.items():
        say(f"{count} data keys under {key_id}{' (current)' if key_id == found.current else ''}")
    if found.unhashed:
        say(f"{found.unhashed} employee numbers not hashed under the search secret")
    if not found.is_done:
        raise typer.Exit(1)


def new_entry(key_id: str) -> str:
    """Make a key, in the form of an entry of MEDIATION_ENCRYPTION_KEYS."""
    from mediation_api.database.encryption import new_key

    return f"{key_id}:{base64.b64encode(new_key()).decode()}"
