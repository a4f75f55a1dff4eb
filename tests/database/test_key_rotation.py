"""Rotating keys: nobody notices, and nothing is lost."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from tests.conftest import Clock, office_on
from tests.database.dumping import REASON, told

from mediation_api.cli.audit_runs import examine
from mediation_api.database import key_rotation
from mediation_api.database import tables as t
from mediation_api.database.engine import Database
from mediation_api.database.key_rotation import Rotation, key_usage, rotate
from mediation_api.database.requirements import require_usable
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain.audit_chain import ChainFault, Flaw
from mediation_api.domain.values import UNREADABLE
from mediation_api.settings import Settings, SettingsError

pytestmark = pytest.mark.drawn

NEW: Final = f"2026-b:{base64.b64encode(b'n' * 32).decode()}"

STORIES: Final = 10
"""That are told, and read and changed, while keys rotate."""


def under(settings: Settings, *keys: str, **more: str) -> Settings:
    """The settings with these encryption keys, and other secrets."""
    secrets = {"encryption_keys": ",".join(keys), **more}
    return settings.model_copy(update={name: SecretStr(value) for name, value in secrets.items()})


def both(settings: Settings) -> Settings:
    """With a new key before the one there was."""
    return under(settings, NEW, settings.encryption_keys.get_secret_value())


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
    return Caller(office, given=caller[who].token)


async def seen(office: Office, story: Story) -> list[tuple[str, str | None, bytes]]:
    """Each answer, byte for byte, with its entity tag."""
    found = []
    for who, path in paths(story):
        answer = await reader(office, story, who).send("GET", path)
        assert answer.status_code == 200, path
        found.append((path, answer.headers.get("etag"), answer.content))
    return found


# ── rotation ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_sees_a_rotation(committed: Settings, committed_office: Office, clock: Clock) -> None:
    story = await told(committed_office)
    before = await seen(committed_office, story)

    done = await rotate(both(committed))

    assert done == Rotation(wrapped=7, hashed=0)  # of the complaint, the mediator, the import and four names of staff
    async with office_on(under(committed, NEW), clock) as office:
        assert await seen(office, story) == before
    assert (await key_usage(under(committed, NEW))).is_done
    assert await rotate(under(committed, NEW)) == Rotation()


async def test_requests_are_served_while_keys_rotate(committed: Settings, clock: Clock) -> None:
    rotating = both(committed)
    async with office_on(committed, clock) as before:
        stories = [await (await before.file()).to_asking() for _ in range(STORIES)]
    answers: list[httpx.Response] = []
    done = asyncio.Event()
    async with office_on(rotating, clock) as office:

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
            lambda n: Caller(office, given=of(n).officers[0].token).send("GET", of(n).path),
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

    # Each complaint has a key, and so have the names of the two who write: one of them does so before, one meanwhile.
    assert rotated.wrapped in {STORIES + 1, STORIES + 2}
    assert {answer.status_code for answer in answers} == {200}
    assert len(answers) >= 50
    assert (await key_usage(rotating)).keys == {"2026-b": STORIES + 2}


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
                if (await key_usage(both(committed))).keys.get(
                    "2026-b"
                ) == 2:  # the other complaint's, and that of intake's name
                    break
                await asyncio.sleep(0.02)
            assert not rotating.done()
        assert await rotating == Rotation(wrapped=3)


async def test_a_key_that_is_in_use_cannot_be_left_out(committed: Settings, committed_office: Office) -> None:
    await committed_office.file()
    for work in (rotate, require_usable):
        with pytest.raises(SettingsError, match=r"MEDIATION_ENCRYPTION_KEYS: lacks dev-only-1, which is in use"):
            await work(under(committed, NEW))
    await require_usable(both(committed))


async def test_another_search_secret_is_hashed_under_and_officers_find_their_cases(
    committed: Settings, committed_office: Office, clock: Clock
) -> None:
    story = await (await committed_office.file()).to_asking()
    another = under(committed, committed.encryption_keys.get_secret_value(), search_secret="dev-only-" + "z" * 32)
    async with office_on(another, clock) as office:
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
    monkeypatch.setattr(key_rotation, "_BETWEEN_ROUNDS_SECONDS", 0)
    monkeypatch.setattr(key_rotation, "_ROUNDS", 3)
    await committed_office.file(officers=[{}, {}, {}])
    database = Database.of(committed)
    two = "SELECT id FROM parties WHERE side = 'officer' LIMIT 2"
    async with database.transaction() as connection:
        await connection.execute(text(f"UPDATE parties SET employee_number = 'encrypted.1.' || id WHERE id IN ({two})"))  # noqa: S608
    await database.close()
    another = under(committed, committed.encryption_keys.get_secret_value(), search_secret="dev-only-" + "z" * 32)

    assert await rotate(another) == Rotation(hashed=1)


# ── past the service ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def owner(committed: Settings, as_owner: Callable[[Settings], Settings]) -> AsyncIterator[Database]:
    """The database of the test, as the owner of its tables."""
    async with owning(as_owner(committed)) as database:
        yield database


async def test_a_reason_is_emptied_and_becomes_no_other(committed_office: Office, owner: Database) -> None:
    """A screening is append-only, except that retention empties its text."""
    await told(committed_office)
    deeds = {
        "another": "UPDATE screenings SET reason = 'encrypted.1.AAAA'",
        "emptied, and more": "UPDATE screenings SET reason = '', eligible = NOT eligible",
        "emptied": "UPDATE screenings SET reason = ''",
        "and back": "UPDATE screenings SET reason = 'encrypted.1.AAAA'",
    }
    done = {}
    async with owner.transaction() as connection:
        await connection.execute(text("ALTER TABLE screenings NO FORCE ROW LEVEL SECURITY"))
        for deed, statement in deeds.items():
            try:
                async with connection.begin_nested():
                    done[deed] = (await connection.execute(text(f"{statement} WHERE reason IS NOT NULL"))).rowcount
            except IntegrityError:
                done[deed] = 0
    assert done == {"another": 0, "emptied, and more": 0, "emptied": 1, "and back": 0}


async def test_what_somebody_else_writes_in_the_place_of_a_sealed_text_is_shown_to_nobody_and_found(
    committed: Settings, committed_office: Office, owner: Database
) -> None:
    """The owner of the database takes the constraints away first; nobody else gets as far."""
    story = await told(committed_office)
    whole = await examined(committed)
    assert whole == []
    async with owner.transaction() as connection:
        for table, column in (("complaints", "narrative"), ("parties", "safe_contact"), ("screenings", "reason")):
            await connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_encrypted"))
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            await connection.execute(text(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"))
            bent = await connection.execute(text(f"UPDATE {table} SET {column} = 'She forgave him.'"))  # noqa: S608
            assert bent.rowcount >= 1
    complaint = await committed_office.intake.get(f"/v1/complaints/{story.complaint_id}")
    assert complaint["narrative"] == UNREADABLE
    listed = await committed_office.coordinator.send("GET", f"{story.path}/screenings")
    assert REASON not in listed.text
    assert "forgave" not in listed.text
    found = [problem for problem in await examined(committed) if problem.flaw is Flaw.NOT_ENCRYPTED]
    assert {str(problem.stream) for problem in found} == {story.complaint_id}
    assert [problem.place for problem in found] == ["complaints", "parties", "parties", "screenings"]


async def examined(settings: Settings) -> list[ChainFault]:
    return [*(await examine(settings)).problems]
