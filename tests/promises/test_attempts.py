"""Nobody is asked again and again: so many cases for one complaint, and days between them, with the defaults.

The rule counts cases and days, and looks at nobody's answer: by what it refuses, no party learns what another said.
"""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from tests.conftest import Clock, RolledBackDatabase, application, calling

from mediation_api.dev.office import Caller, Office, Story
from mediation_api.settings import Settings

DEFAULTS = {name: Settings.model_fields[name].default for name in ("max_attempts", "days_between_attempts")}


@pytest.fixture
async def office(settings: Settings, clock: Clock, database: RolledBackDatabase) -> AsyncIterator[Office]:
    """The office of a city that left these settings alone."""
    strict = settings.model_copy(update=DEFAULTS)
    async with calling(application(strict, clock, database)) as client:
        yield Office(client, strict, clock)


async def asked_again(story: Story, by: Caller | None = None, status: int = 201) -> dict[str, object]:
    path = f"/v1/complaints/{story.complaint_id}/mediation-requests"
    opened = await (by or story.office.intake).post(path, None, status)
    if status == 201:
        story.case_id = str(opened["id"])
    return opened


async def declined(story: Story) -> None:
    await story.to_asking()
    for officer in story.officers:
        await story.answer(officer, "declined")


async def withdrawn(story: Story) -> None:
    await story.to_asking()
    for officer in story.officers:
        await story.withdraw(officer)


async def ineligible(story: Story) -> None:
    await story.screen(eligible=False, reason="It is investigated.")


async def lapsed(story: Story) -> None:
    await story.to_asking()
    await story.try_to_reach(*(officer.party_id for officer in story.officers))
    await story.lapse()


def test_the_defaults_are_three_cases_and_thirty_days() -> None:
    assert DEFAULTS == {"max_attempts": 3, "days_between_attempts": 30}


async def test_whoever_declined_is_not_asked_again_at_once(office: Office) -> None:
    story = await office.file()
    await declined(story)
    refused = await asked_again(story, status=409)
    assert refused["code"] == "attempt-too-soon"
    assert refused["detail"] == "The next attempt can be made from 2026-04-01 on."
    story.office.clock.advance(days=29)
    assert (await asked_again(story, status=409))["code"] == "attempt-too-soon"
    story.office.clock.advance(days=1)
    await asked_again(story)


async def test_nobody_is_asked_a_fourth_time(office: Office) -> None:
    story = await office.file()
    for number in (1, 2, 3):
        await declined(story)
        story.office.clock.advance(days=30)
        if number < 3:
            await asked_again(story)
    refused = await asked_again(story, status=409)
    assert refused["code"] == "attempts-exhausted"
    story.office.clock.advance(days=365)
    assert (await asked_again(story, status=409))["code"] == "attempts-exhausted"
    complaint = await office.intake.get(f"/v1/complaints/{story.complaint_id}")
    assert [each["state"] for each in complaint["cases"]] == ["declined"] * 3  # type: ignore[attr-defined]


async def test_what_a_party_is_answered_does_not_depend_on_why_the_case_closed(office: Office) -> None:
    """Of a case in which the complainant has stayed: the same refusal whatever the officer did, byte for byte."""
    answers = set()
    for ending in (declined, withdrawn, lapsed, ineligible):
        story = await office.file()
        await ending(story)
        refused = await asked_again(story, story.complainants[0], 409)
        answers.add(str({name: refused[name] for name in refused if name not in {"instance", "request_id"}}))
    assert len(answers) == 1


async def test_a_city_without_these_limits_asks_again_at_once(
    settings: Settings, clock: Clock, database: RolledBackDatabase
) -> None:
    """The control: with the limits as wide as the settings allow, the same requests are granted."""
    wide = settings.model_copy(update={"max_attempts": 10, "days_between_attempts": 0})
    async with calling(application(wide, clock, database)) as client:
        story = await Office(client, wide, clock).file()
        for _ in range(4):
            await declined(story)
            await asked_again(story)


async def test_the_database_holds_a_number_of_cases_that_no_setting_exceeds(
    office: Office, database: RolledBackDatabase
) -> None:
    story = await office.file()
    another = text(
        "INSERT INTO cases (id, complaint_id, attempt, state, requested_on, due_on, opened_at, closed_at, "
        "version, closed_version, screening_outdated) "
        "VALUES (gen_random_uuid(), :id, :attempt, 'declined', now(), now(), now(), now(), 1, 1, false)"
    )
    async with database.undone(), database.transaction() as connection:
        await connection.execute(another, {"id": story.complaint_id, "attempt": 10})
    with pytest.raises(IntegrityError, match="ck_cases_attempt"):
        async with database.transaction() as connection:
            await connection.execute(another, {"id": story.complaint_id, "attempt": 11})
