"""Rotating keys: nobody notices, nothing is lost, and what was written before there was encryption is sealed."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from tests.build import Caller, Office, Story
from tests.conftest import Clock, application, calling
from tests.repository.dumping import REASON, dump, sealed_words, told

from mediation_api.repository import resealing
from mediation_api.repository import tables as t
from mediation_api.repository.database import Database
from mediation_api.repository.resealing import Rotation, rotate, standing
from mediation_api.repository.sealing import Ciphertext, DataKey
from mediation_api.settings import Settings, SettingsError

NEW: Final = f"2026-b:{base64.b64encode(b'n' * 32).decode()}"


def under(settings: Settings, *keys: str, **more: str) -> Settings:
    """The settings with these encryption keys, and other secrets."""
    secrets = {"encryption_keys": ",".join(keys), **more}
    return settings.model_copy(update={name: SecretStr(value) for name, value in secrets.items()})


def both(settings: Settings) -> Settings:
    """With a new key before the one there was."""
    return under(settings, NEW, settings.encryption_keys.get_secret_value())


@asynccontextmanager
async def serving(settings: Settings, keys: Path, clock: Clock) -> AsyncIterator[Office]:
    """An office that is served with these settings."""
    database = Database.of(settings)
    async with calling(application(settings, clock, database)) as client:
        yield Office(client, settings, keys, clock)
    await database.close()


@asynccontextmanager
async def owning(settings: Settings) -> AsyncIterator[Database]:
    database = Database.of(settings)
    yield database
    await database.close()


def paths(story: Story) -> list[tuple[str, str]]:
    """What tells something of a story, by who reads it: everything that is sealed."""
    own, case = f"/v1/parties/{story.officers[0].party_id}", story.path
    everybody = [case, f"/v1/sessions/{story.session_id}", f"{case}/agreements"]
    return [
        ("coordinator", f"/v1/complaints/{story.complaint_id}"),
        ("coordinator", f"/v1/complaints/{story.complaint_id}/parties"),
        ("coordinator", "/v1/mediators"),
        ("coordinator", f"{case}/attendees"),
        ("coordinator", f"{case}/screenings"),
        *(("coordinator", path) for path in everybody),
        *(("officer", path) for path in [own, *everybody]),
        *(("complainant", path) for path in everybody),
    ]


def reader(office: Office, story: Story, who: str) -> Caller:
    caller = {"coordinator": office.coordinator, "officer": story.officers[0], "complainant": story.complainants[0]}
    return Caller(office.client, caller[who].token)


async def seen(office: Office, story: Story) -> list[tuple[str, str | None, bytes]]:
    """Each answer, byte for byte, with its entity tag."""
    found = []
    for who, path in paths(story):
        answer = await reader(office, story, who).send("GET", path)
        assert answer.status_code == 200, path
        found.append((path, answer.headers.get("etag"), answer.content))
    return found


# ── rotation ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_sees_a_rotation(committed: Settings, committed_office: Office, keys: Path, clock: Clock) -> None:
    story = await told(committed_office)
    before = await seen(committed_office, story)

    done = await rotate(both(committed))

    assert done == Rotation(sealed=0, wrapped=2, hashed=0)  # the complaint's, and the mediator's
    async with serving(under(committed, NEW), keys, clock) as office:
        assert await seen(office, story) == before
    assert (await standing(under(committed, NEW))).is_done
    assert await rotate(under(committed, NEW)) == Rotation()


async def test_requests_are_served_while_keys_rotate(committed: Settings, keys: Path, clock: Clock) -> None:
    rotating = both(committed)
    async with serving(committed, keys, clock) as before:
        stories = [await (await before.file()).to_asking() for _ in range(25)]
    answers: list[httpx.Response] = []
    done = asyncio.Event()
    async with serving(rotating, keys, clock) as office:

        async def ask(work: Callable[[int], Awaitable[httpx.Response]]) -> None:
            turn = 0
            while not done.is_set() or turn < 10:
                answers.append(await work(turn))
                turn += 1

        def of(turn: int) -> Story:
            return stories[turn % len(stories)]

        coordinator = office.coordinator
        work: list[Callable[[int], Awaitable[httpx.Response]]] = [
            lambda _: coordinator.send("GET", "/v1/cases"),
            lambda n: coordinator.send("GET", f"/v1/complaints/{of(n).complaint_id}/parties"),
            lambda n: Caller(office.client, of(n).officers[0].token).send("GET", of(n).path),
            lambda n: coordinator.send(
                "PATCH", f"/v1/parties/{of(n).complainants[0].party_id}", {"safe_contact": f"Call {n} times"}
            ),
            lambda n: coordinator.send("PATCH", f"/v1/complaints/{of(n).complaint_id}", {"narrative": f"Told {n}"}),
        ]
        asking = [asyncio.create_task(ask(each)) for each in work]
        await asyncio.sleep(0.1)
        rotated = await rotate(rotating)
        done.set()
        await asyncio.gather(*asking)

    assert rotated.wrapped == 25
    assert {answer.status_code for answer in answers} == {200}
    assert len(answers) >= 50
    assert (await standing(rotating)).keys == {"2026-b": 25}


async def test_what_a_request_holds_is_passed_over_and_taken_the_next_time(
    committed: Settings, committed_office: Office, as_owner: Callable[[Settings], Settings]
) -> None:
    story, _ = await committed_office.file(), await committed_office.file()
    async with owning(as_owner(committed)) as database:
        async with database.transaction() as connection:
            await connection.execute(
                select(t.data_keys).where(t.data_keys.c.id == UUID(story.complaint_id)).with_for_update()
            )
            rotating = asyncio.create_task(rotate(both(committed)))
            for _ in range(500):
                if (await standing(both(committed))).keys.get("2026-b") == 1:
                    break
                await asyncio.sleep(0.02)
            assert not rotating.done()
        assert await rotating == Rotation(wrapped=2)


async def test_a_key_that_is_in_use_cannot_be_left_out(committed: Settings, committed_office: Office) -> None:
    await committed_office.file()
    for work in (rotate, resealing.require_keys):
        with pytest.raises(SettingsError, match=r"MEDIATION_ENCRYPTION_KEYS: lacks dev-only-1, which is in use"):
            await work(under(committed, NEW))
    await resealing.require_keys(both(committed))


async def test_another_search_secret_is_hashed_under_and_officers_find_their_cases(
    committed: Settings, committed_office: Office, keys: Path, clock: Clock
) -> None:
    story = await (await committed_office.file()).to_asking()
    another = under(committed, committed.encryption_keys.get_secret_value(), search_secret="dev-only-" + "z" * 32)
    async with serving(another, keys, clock) as office:
        officer = reader(office, story, "officer")
        await officer.get(story.path, 404)

        assert await rotate(another) == Rotation(hashed=1)
        await officer.get(story.path)
        twice = {"side": "officer", "name": "Again", "employee_number": story.officers[0].identity[2]}  # type: ignore[index]
        await office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", twice, 409)


async def test_a_number_that_does_not_open_is_passed_over(
    committed: Settings, committed_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not hashed as what stands in its place, which would be one number of several officers."""
    monkeypatch.setattr(resealing, "_BETWEEN_ROUNDS_SECONDS", 0)
    await committed_office.file(officers=[{}, {}, {}])
    database = Database.of(committed)
    two = "SELECT id FROM parties WHERE side = 'officer' LIMIT 2"
    async with database.transaction() as connection:
        await connection.execute(text(f"UPDATE parties SET employee_number = 'sealed.1.' || id WHERE id IN ({two})"))  # noqa: S608
    await database.close()
    another = under(committed, committed.encryption_keys.get_secret_value(), search_secret="dev-only-" + "z" * 32)

    assert await rotate(another) == Rotation(hashed=1)


# ── what was written before ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def before(
    committed: Settings,
    committed_office: Office,
    as_owner: Callable[[Settings], Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Story:
    """A story as the release before wrote it: nothing is sealed, there are no data keys and no hashes."""
    with monkeypatch.context() as patched:
        patched.setattr(DataKey, "seal", lambda _self, _table, _column, _row, told: Ciphertext(told))
        story = await told(committed_office)
    async with owning(as_owner(committed)) as database, database.transaction() as connection:
        await connection.execute(t.data_keys.delete())
        await connection.execute(text("UPDATE parties SET employee_number_index = NULL"))
    return story


async def test_what_was_written_before_is_served_and_then_sealed(
    committed: Settings, committed_office: Office, before: Story, as_owner: Callable[[Settings], Settings]
) -> None:
    shown = await seen(committed_office, before)
    async with owning(as_owner(committed)) as database:
        words = await sealed_words(database)
        assert {"E-77881", "He laughed at my cane.", "Room with a view", "Sam Support"} <= words
        assert await dump(database, words) == words

        assert not (await standing(committed)).is_done
        done = await rotate(committed)

        assert (done.sealed, done.wrapped, done.hashed) == (7, 0, 0)
        assert await seen(committed_office, before) == shown
        # The reasons of screenings are append-only: those of before stay as they were written.
        assert await dump(database, words) == {REASON}
    assert (await standing(committed)).is_done
    assert await rotate(committed) == Rotation()


async def test_what_was_written_before_can_be_changed_before_it_is_sealed(
    committed: Settings, committed_office: Office, before: Story
) -> None:
    party = f"/v1/parties/{before.complainants[0].party_id}"
    await committed_office.intake.patch(party, {"phone": "+1 503 555 0177"})
    await committed_office.coordinator.patch(
        "/v1/mediators/" + str(before.mediator and before.mediator.mediator_id), {"name": "Renamed"}
    )
    shown = await seen(committed_office, before)

    await rotate(committed)

    assert await seen(committed_office, before) == shown
    on_file = await committed_office.intake.get(party)
    assert (on_file["phone"], on_file["postal_address"]) == ("+1 503 555 0177", "Rosa Street 1")
