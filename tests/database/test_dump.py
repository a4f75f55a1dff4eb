"""Whoever steals a dump, a backup or the disk learns nothing of what identifies or tells."""

from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest
from sqlalchemy import select, text
from tests.database.dumping import dump, seal_nothing, sealed_words, told

from mediation_api.database.encryption import MARK
from mediation_api.database.engine import Database
from mediation_api.database.key_rotation import ENCRYPTED_COLUMNS
from mediation_api.dev.office import Office, Story
from mediation_api.settings import Settings

PLANTED: Final = 20
"""As many values as `told` plants, at the least."""


@pytest.fixture
async def owner(committed: Settings, as_owner: Callable[[Settings], Settings]) -> AsyncIterator[Database]:
    database = Database.of(as_owner(committed))
    yield database
    await database.close()


async def _with_the_rest(story: Story) -> None:
    """Let the told story end in an agreement with terms, and in a mandatory report."""
    for who in story.everybody:
        await story.sign(who)
    attendees = (await story.office.coordinator.get(f"{story.path}/attendees"))["items"]
    await story.sign_on_paper("support_person", attendees[0]["id"])  # type: ignore[index]
    await story.session("start", {})
    await story.session("complete")
    await story.make_agreement(kind="resolution", terms="We meet again in May.")
    report = {
        "category": "child_abuse",
        "recipient": "child_protection",
        "agency": "Child Protection, East",
        "legal_basis": "ORS 419B.010",
        "disclosed_at": story.office.clock.now.isoformat(),
    }
    await story.office.director.post(f"{story.path}/mandatory-reports", report)
    endpoint = {"url": "https://intake.city.example/hooks/of-the-intake-team", "kinds": ["case.closed"]}
    registered = await story.office.integration.post("/v1/webhook-endpoints", endpoint)
    await story.office.integration.post(f"/v1/webhook-endpoints/{registered['id']}/secrets")


async def test_a_dump_holds_none_of_what_was_planted_in_every_sealed_column(
    committed_office: Office, owner: Database
) -> None:
    await _with_the_rest(await told(committed_office))
    async with owner.reading() as connection:
        for table, names in ENCRYPTED_COLUMNS.items():
            for name in names:
                planted = select(table.c.id).where(table.c[name].is_not(None)).limit(1)
                assert await connection.scalar(planted) is not None, f"nothing is planted in {table.c[name]}"
                stored = (await connection.scalars(text(f"SELECT {name} FROM {table.name}"))).all()  # noqa: S608 - ours
                assert all(value is None or value.startswith(MARK) for value in stored), table.c[name]

    words = await sealed_words(owner)
    assert {
        "He laughed at my cane.",
        "Never at home",
        "E-77881",
        "grandmother",
        "We meet again in May.",
        "ORS 419B.010",
    } <= words
    assert await dump(owner, words) == set()


async def test_with_sealing_off_the_same_dump_holds_all_of_it(
    committed_office: Office, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what is not found above would be found."""
    seal_nothing(monkeypatch)
    await told(committed_office)
    words = await sealed_words(owner)

    assert len(words) >= PLANTED
    assert await dump(owner, words) == words
