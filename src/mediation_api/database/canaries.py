"""Detect a secret that is not the one with which this database was used, such as a wrong one after a restore.

With another access code secret every code would be refused, with another search secret no officer would be found, and
nothing would say why. The table `canaries` therefore has a value for each secret: the HMAC-SHA-256 of a label that is
used for nothing else, keyed with the secret (`Keyring.canaries`). Whoever holds the database learns nothing from it,
since a secret of 256 random bits cannot be searched for.

The first process that starts with a secret stores its value. Of two that start at once with different ones, one stores
it, and the other does not start.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.encryption import keyring
from mediation_api.database.tables import canaries
from mediation_api.settings import ReplaceableSecret

SEARCH_SECRET: Final = "search_secret"  # noqa: S105 - the name of a setting

_WRONG: Final = "is not the secret that this database was used with"
_SET_IT: Final = "Set that one, or if it was changed on purpose run"
_WORDS: Final = {
    ReplaceableSecret.ACCESS_CODE_SECRET: f"{_WRONG}: every access code would be refused. {_SET_IT} "
    "`mediation-api keys accept access_code_secret`, and issue new codes",
    ReplaceableSecret.CURSOR_SECRET: f"{_WRONG}: lists that were begun with it could not be continued. {_SET_IT} "
    "`mediation-api keys accept cursor_secret`",
    SEARCH_SECRET: f"{_WRONG}: officers would not be found. {_SET_IT} `mediation-api keys rotate`",
}


async def record_canaries(connection: AsyncConnection) -> None:
    """Store the canary of each secret of the settings that has none."""
    stored = await _stored(connection)
    missing = {name: value for name, value in keyring(connection.dialect).canaries.items() if name not in stored}
    if missing:
        rows = [{"name": name, "value": value} for name, value in missing.items()]
        await connection.execute(insert(canaries).on_conflict_do_nothing(), rows)


async def accept_secret(connection: AsyncConnection, name: str) -> None:
    """Store the canary of a secret of the settings in place of the former one."""
    value = keyring(connection.dialect).canaries[name]
    statement = insert(canaries).values(name=name, value=value)
    await connection.execute(statement.on_conflict_do_update(index_elements=[canaries.c.name], set_={"value": value}))


async def wrong_secrets(connection: AsyncConnection) -> Mapping[str, str]:
    """Return what is wrong with each secret that is not the one of this database, as texts for operators, by name."""
    stored = await _stored(connection)
    return {
        name: _words(name)
        for name, value in keyring(connection.dialect).canaries.items()
        if stored.get(name, value) != value
    }


async def secrets_problem(connection: AsyncConnection) -> str | None:
    """Return which secrets are not those of this database, as a text for operators; None if all are."""
    return "; ".join((await wrong_secrets(connection)).values()) or None


async def _stored(connection: AsyncConnection) -> Mapping[str, str]:
    rows = await connection.execute(select(canaries.c.name, canaries.c.value))
    return {row.name: row.value for row in rows}


def _words(name: str) -> str:
    setting, _, key_id = name.partition(" ")
    words = _WORDS.get(setting) or (
        f"{key_id} is not the key that has this name in this database: what is encrypted under that one could not be "
        "read. Set that key; a new key needs a name of its own"
    )
    return f"MEDIATION_{setting.upper()}: {words}"
