"""What is signed is a text, its languages, and whether its terms are confidential: the hash is of all three."""

import hashlib
from collections.abc import Callable
from typing import Final

import pytest
from sqlalchemy import text

from mediation_api.cli.audit_runs import examine
from mediation_api.database.engine import Database
from mediation_api.dev.office import Answer, Office, Story
from mediation_api.domain.texts import text_hash
from mediation_api.settings import Settings

TERMS: Final = {"kind": "resolution", "languages": ["en"], "terms": "Both will meet again in June."}


async def made(story: Story, **changes: object) -> Answer:
    story.agreement = await story.office.coordinator.post(f"{story.path}/agreements", {**TERMS, **changes})
    return story.agreement


async def test_a_change_of_languages_or_confidentiality_is_a_new_text_and_voids_signatures(office: Office) -> None:
    story = await (await office.file()).to_in_session()
    first = await made(story)
    await story.sign(story.complainants[0])
    for changes in ({"terms_confidential": True}, {"languages": ["en", "es"]}, {"languages": ["es"]}):
        changed = await made(story, **changes)
        assert changed["text"] == first["text"]
        assert changed["sha256"] != first["sha256"]
        assert changed["signatures"] == []
        # Whoever was shown the first one does not sign this one with its hash.
        path = f"/v1/agreements/{changed['id']}/signatures"
        refused = await story.complainants[0].post(path, {"sha256": first["sha256"]}, 409)
        assert refused["code"] == "text-changed"
    old = await office.coordinator.get(f"/v1/agreements/{first['id']}")
    assert old["superseded_at"] is not None


async def test_the_hash_can_be_computed_from_what_is_shown(office: Office) -> None:
    story = await (await office.file()).to_in_session()
    seen = await made(story, languages=["en", "es"], terms_confidential=True)
    canonical = f"languages: en, es\nterms_confidential: true\n\n{seen['text']}"
    assert seen["sha256"] == hashlib.sha256(canonical.encode()).hexdigest()
    verified = await office.auditor.get(f"/v1/agreements/{seen['id']}/verification")
    assert (verified["sha256"], verified["text_intact"]) == (seen["sha256"], True)


EDITS: Final = {
    "the languages": "UPDATE agreements SET languages = '{fr}' WHERE id = :id",
    "the confidentiality": "UPDATE agreements SET terms_confidential = NOT terms_confidential WHERE id = :id",
}


async def problems(settings: Settings) -> int:
    return len((await examine(settings)).problems)


@pytest.mark.drawn
@pytest.mark.parametrize("edit", EDITS)
async def test_what_an_owner_of_the_tables_changes_around_a_text_is_found(
    committed_office: Office,
    committed: Settings,
    as_owner: Callable[[Settings], Settings],
    edit: str,
) -> None:
    """`audit verify` finds it, and so does the verification of the text."""
    story = await (await committed_office.file()).to_in_session()
    seen = await made(story, languages=["en", "es"])
    assert await problems(committed) == 0
    database = Database.of(as_owner(committed))
    async with database.transaction() as connection:
        await connection.execute(text("ALTER TABLE agreements NO FORCE ROW LEVEL SECURITY"))
        await connection.execute(text(EDITS[edit]), {"id": seen["id"]})
        await connection.execute(text("ALTER TABLE agreements FORCE ROW LEVEL SECURITY"))
    await database.close()
    assert await problems(committed) > 0
    path = f"/v1/agreements/{seen['id']}/verification"
    assert (await committed_office.auditor.get(path))["text_intact"] is False


async def test_the_service_itself_cannot_change_what_was_signed(committed_office: Office, committed: Settings) -> None:
    story = await (await committed_office.file()).to_in_session()
    seen = await made(story)
    database = Database.of(committed)
    for edit in EDITS.values():
        with pytest.raises(Exception, match="permission denied"):
            async with database.transaction() as connection:
                await connection.execute(text(edit), {"id": seen["id"]})
    await database.close()


async def test_a_hash_of_the_text_alone_would_not_tell(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with the hash of before, texts that differ in what is said of them are one text to whoever signs."""
    monkeypatch.setattr("mediation_api.domain.agreements.signed_hash", lambda body, *_, **__: text_hash(body))
    story = await (await office.file()).to_in_session()
    changes: tuple[dict[str, object], ...] = ({}, {"terms_confidential": True}, {"languages": ["es"]})
    assert len({(await made(story, **each))["sha256"] for each in changes}) == 1
