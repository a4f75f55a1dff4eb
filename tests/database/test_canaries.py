"""A secret that is not the one of the database is found before it does harm."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from mediation_api.database import tables as t
from mediation_api.database.encryption import Keyring
from mediation_api.database.engine import Database
from mediation_api.database.key_rotation import accept, rotate
from mediation_api.database.requirements import require_usable
from mediation_api.settings import ReplaceableSecret, Settings, SettingsError

ANOTHER: Final = "dev-only-" + "z" * 32
WRONG: Final = {
    "access_code_secret": (
        ANOTHER,
        "every access code would be refused. Set that one, or ",
    ),
    "cursor_secret": (ANOTHER, "lists that were begun with it could not be continued. Set that one, or "),
    "search_secret": (ANOTHER, "officers would not be found. Set that one, or "),
    "encryption_keys": (f"dev-only-1:{'q' * 43}=", "dev-only-1 is not the key that has this name in this database: "),
}


def _with(settings: Settings, **secrets: str) -> Settings:
    return settings.model_copy(update={name: SecretStr(value) for name, value in secrets.items()})


async def _stored(settings: Settings) -> Mapping[str, str]:
    database = Database.of(settings)
    async with database.reading() as connection:
        rows = (await connection.execute(select(t.canaries))).all()
    await database.close()
    return {row.name: row.value for row in rows}


async def _is_ready(settings: Settings) -> bool:
    database = Database.of(settings)
    try:
        return await database.ready()
    finally:
        await database.close()


async def test_the_first_start_stores_a_value_for_each_secret_and_the_next_one_changes_none(
    committed: Settings,
) -> None:
    assert await _stored(committed) == {}
    assert await _is_ready(committed)
    await require_usable(committed)
    stored = await _stored(committed)
    await require_usable(committed)

    assert await _stored(committed) == stored
    assert stored.keys() == {"access_code_secret", "cursor_secret", "search_secret", "encryption_keys dev-only-1"}
    key = committed.cursor_secret.get_secret_value().encode()
    label = b"mediation_api canary 1 cursor_secret"
    assert stored["cursor_secret"] == hmac.new(key, label, hashlib.sha256).hexdigest()


def test_one_secret_under_two_names_has_two_values() -> None:
    """So that they do not say that two secrets are the same."""
    secret = b"q" * 32
    canaries = Keyring({"a": secret}, secret, {"access_code_secret": secret, "cursor_secret": secret}).canaries
    assert len(set(canaries.values())) == len(canaries) == len(WRONG)


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_secret_is_refused_at_the_start_and_not_ready(committed: Settings, name: str) -> None:
    await require_usable(committed)
    value, words = WRONG[name]
    wrong = _with(committed, **{name: value})

    with pytest.raises(SettingsError) as caught:
        await require_usable(wrong)

    assert str(caught.value).startswith(f"MEDIATION_{name.upper()}: ")
    assert words in str(caught.value)
    assert not await _is_ready(wrong)
    assert await _is_ready(committed)


async def test_all_wrong_secrets_are_named_at_once(committed: Settings) -> None:
    await require_usable(committed)
    with pytest.raises(SettingsError) as caught:
        await require_usable(_with(committed, **{name: value for name, (value, _) in WRONG.items()}))
    assert all(f"MEDIATION_{name.upper()}: " in str(caught.value) for name in WRONG)


async def test_of_two_first_starts_with_different_secrets_one_is_refused(
    committed: Settings, as_owner: Callable[[Settings], Settings]
) -> None:
    owner = Database.of(as_owner(committed))
    for number in range(10):
        pair = [_with(committed, access_code_secret=f"dev-only-{number}-{each}-" + "x" * 32) for each in "ab"]
        results = await asyncio.gather(*map(require_usable, pair), return_exceptions=True)

        assert [type(result) for result in results if result is not None] == [SettingsError]
        await require_usable(pair[results.index(None)])
        async with owner.transaction() as connection:
            await connection.execute(t.canaries.delete())
    await owner.close()


# ── what is changed on purpose ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_search_secret_is_accepted_once_everything_is_hashed_under_it(committed: Settings) -> None:
    await require_usable(committed)
    new = _with(committed, search_secret=ANOTHER)

    await rotate(new)

    await require_usable(new)
    with pytest.raises(SettingsError, match=r"^MEDIATION_SEARCH_SECRET: "):
        await require_usable(committed)


@pytest.mark.parametrize("secret", ReplaceableSecret)
async def test_another_secret_is_accepted_by_a_command(committed: Settings, secret: ReplaceableSecret) -> None:
    await require_usable(committed)
    new = _with(committed, **{secret: ANOTHER})

    await accept(new, secret)

    await require_usable(new)
    with pytest.raises(SettingsError, match=f"^MEDIATION_{secret.upper()}: "):
        await require_usable(committed)


async def test_a_rotation_stores_the_value_of_a_new_key_and_refuses_another_of_the_same_name(
    committed: Settings,
) -> None:
    old = committed.encryption_keys.get_secret_value()
    await require_usable(committed)
    await rotate(_with(committed, encryption_keys=f"b:{'n' * 43}=,{old}"))
    another = _with(committed, encryption_keys=f"b:{'m' * 43}=,{old}")

    for work in (rotate, require_usable):
        with pytest.raises(SettingsError, match=r"^MEDIATION_ENCRYPTION_KEYS: b is not the key that has this name "):
            await work(another)
