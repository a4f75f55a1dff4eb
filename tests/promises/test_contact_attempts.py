"""Nobody lapses as unreachable whom the office has not tried to reach: contact attempts, by the settings' defaults."""

from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from tests.conftest import Clock, RolledBackDatabase, application, calling

from mediation_api.database.engine import Database
from mediation_api.dev.office import Office, Story
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

DEFAULTS = {
    name: Settings.model_fields[name].default
    for name in ("contact_attempts_before_lapse", "contact_channels_before_lapse", "contact_days_before_lapse")
}
MISSING = ["contact-attempts-missing", "contact-channels-missing", "contact-days-missing"]


@pytest.fixture
async def office(settings: Settings, clock: Clock, database: RolledBackDatabase) -> AsyncIterator[Office]:
    """The office of a city that left these settings alone."""
    strict = settings.model_copy(update=DEFAULTS)
    async with calling(application(strict, clock, database)) as client:
        yield Office(client, strict, clock)


async def lapse(story: Story, party_id: str | None, status: int = 201) -> dict[str, object]:
    """Let a party lapse; the list of cases with a party that may lapse has its case exactly if that is not refused."""
    if party_id is not None:
        listed = (await story.office.auditor.get("/v1/cases?may_lapse=true"))["items"]
        assert (story.case_id in [each["id"] for each in listed]) == (status == 201)  # type: ignore[attr-defined]
    body = {"reason": "unreachable", "party_id": party_id}
    return await story.office.coordinator.post(f"{story.path}/lapses", body, status)


def codes(refused: dict[str, object]) -> list[str]:
    missing = refused["missing"]
    assert isinstance(missing, list)
    return [each["code"] for each in missing]


async def tried(story: Story, *party_ids: str) -> None:
    """Three attempts, on two channels, over five days."""
    for channel, days in (("phone", 2), ("letter", 3), ("phone", 0)):
        await story.try_to_reach(*party_ids, channel=channel)
        story.office.clock.advance(days=days)


def test_the_defaults_are_three_attempts_on_two_channels_over_five_days() -> None:
    assert list(DEFAULTS.values()) == [3, 2, 5]


async def test_nobody_lapses_whom_nobody_tried_to_reach(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    refused = await lapse(story, story.complainants[0].party_id, 409)
    assert refused["code"] == "conditions-missing"
    assert codes(refused) == MISSING
    assert await story.state() == "confirming"
    assert set(codes(await lapse(story, None, 409))) == set(MISSING)


async def test_each_condition_that_is_still_missing_is_named(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    ada = story.complainants[0].party_id
    await story.try_to_reach(ada)
    story.office.clock.advance(days=2)
    await story.try_to_reach(ada)
    assert codes(await lapse(story, ada, 409)) == MISSING
    await story.try_to_reach(ada)
    assert codes(await lapse(story, ada, 409)) == MISSING[1:]
    await story.try_to_reach(ada, channel="letter")
    assert codes(await lapse(story, ada, 409)) == MISSING[2:]
    story.office.clock.advance(days=3)
    assert codes(await lapse(story, ada, 409)) == MISSING[2:]  # time alone is no attempt
    await story.try_to_reach(ada, result="returned_undelivered")
    assert (await lapse(story, ada))["state"] == "lapsed"


async def test_a_party_that_was_reached_is_tried_anew(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    ada = story.complainants[0].party_id
    await tried(story, ada)
    await story.try_to_reach(ada, result="reached")
    assert codes(await lapse(story, ada, 409)) == MISSING
    story.office.clock.advance(minutes=1)
    await tried(story, ada)
    assert (await lapse(story, ada))["state"] == "lapsed"


async def test_a_case_lapses_when_everybody_of_one_side_was_tried(office: Office) -> None:
    story = await (await office.file(officers=[{}, {}])).to_asking()
    one, other = (officer.party_id for officer in story.officers)
    await tried(story, one)
    assert set(codes(await lapse(story, None, 409))) == set(MISSING)
    await tried(story, other)
    assert (await lapse(story, None))["state"] == "lapsed"


async def test_nobody_lapses_as_unreachable_in_a_session_or_after_a_signature_on_a_resolution(office: Office) -> None:
    story = await (await office.file()).to_signed()
    officer = story.officers[0].party_id
    await tried(story, officer)
    await story.session("start", {})
    assert (await lapse(story, officer, 409))["code"] == "state-conflict"
    assert (await lapse(story, None, 409))["code"] == "state-conflict"
    terms = {"kind": "resolution", "languages": ["en"], "terms": "Both say hello."}
    story.agreement = await office.coordinator.post(f"{story.path}/agreements", terms)
    await story.session("complete")
    await story.sign(story.complainants[0])
    assert (await lapse(story, officer, 409))["code"] == "resolution-signed"
    # Another text voids the signature, and with it what stood against it.
    await office.coordinator.post(f"{story.path}/agreements", {**terms, "terms": "Both wave."})
    assert (await lapse(story, officer))["state"] == "lapsed"


async def test_repeated_absence_keeps_its_rule(office: Office) -> None:
    story = await (await office.file()).to_signed()
    story.office.clock.advance(minutes=31)
    await story.session("absences", {"party_id": story.officers[0].party_id, "excused": False}, 201)
    body = {"reason": "repeated_absence", "party_id": story.officers[0].party_id}
    assert (await office.director.post(f"{story.path}/lapses", body))["state"] == "lapsed"


# ── who records and who sees them ──────────────────────────────────────────────────────────────────────────────────


async def test_the_office_alone_sees_that_somebody_was_tried(office: Office) -> None:
    story = await (await office.file()).to_scheduled()
    path = f"{story.path}/contact-attempts"
    before = [(await who.send("GET", story.path)).headers["ETag"] for who in story.everybody]
    seen = [await who.get(f"{story.path}/timeline") for who in story.everybody]
    await story.try_to_reach(story.officers[0].party_id, result="message_left")
    listed = (await office.auditor.get(path))["items"]
    assert [(each["party_id"], each["result"]) for each in listed] == [  # type: ignore[attr-defined]
        (story.officers[0].party_id, "message_left")
    ]
    for who in story.everybody:
        await who.get(path, 403)
        await who.post(path, {}, 403)
    assert [(await who.send("GET", story.path)).headers["ETag"] for who in story.everybody] == before
    assert [await who.get(f"{story.path}/timeline") for who in story.everybody] == seen
    kinds = [each["kind"] for each in (await office.auditor.get(f"{story.path}/timeline"))["items"]]  # type: ignore[attr-defined]
    assert kinds[-1] == "contact.attempted"
    await office.caller(Role.INTEGRATION).get(path, 403)


@pytest.mark.parametrize("extra", [{"note": "She was in tears."}, {"content": "x"}, {"said": "x"}])
async def test_there_is_no_room_for_what_was_said(office: Office, extra: dict[str, str]) -> None:
    story = await (await office.file()).to_confirming()
    body = {
        "party_id": story.complainants[0].party_id,
        "channel": "phone",
        "result": "reached",
        "attempted_at": office.clock.now.isoformat(),
    }
    await office.coordinator.post(f"{story.path}/contact-attempts", {**body, **extra}, 422)


@pytest.mark.parametrize(("days", "rule"), [(1, "in-the-future"), (-1, "not-before-request")])
async def test_an_attempt_lies_between_the_request_and_now(office: Office, days: int, rule: str) -> None:
    story = await (await office.file()).to_confirming()
    office.clock.advance(days=days)
    at = office.clock.now.isoformat()
    office.clock.advance(days=-days)
    body = {"party_id": story.complainants[0].party_id, "channel": "email", "result": "no_answer", "attempted_at": at}
    refused = await office.coordinator.post(f"{story.path}/contact-attempts", body, 422)
    assert refused["errors"][0]["code"] == rule  # type: ignore[index]


async def test_an_officer_is_not_contacted_before_a_complainant_has_agreed(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    body = {
        "party_id": story.officers[0].party_id,
        "channel": "phone",
        "result": "no_answer",
        "attempted_at": office.clock.now.isoformat(),
    }
    refused = await office.coordinator.post(f"{story.path}/contact-attempts", body, 409)
    assert refused["code"] == "not-asked"


# ── what stands behind it in the database ──────────────────────────────────────────────────────────────────────────

LAPSED = text(
    """
    INSERT INTO events (id, kind, case_id, version, party_id, data, at, by_role, by)
    VALUES (gen_random_uuid(), 'party.lapsed', :case_id, 9, cast(:party_id AS uuid),
        jsonb_build_object('party_id', cast(:party_id AS uuid), 'reason', cast(:reason AS text)), now(), 'director', '')
    """
)


async def test_the_database_records_no_lapse_of_somebody_whom_nobody_tried(
    office: Office, database: RolledBackDatabase
) -> None:
    story = await (await office.file()).to_confirming()
    about = {"case_id": story.case_id, "party_id": story.complainants[0].party_id}
    with pytest.raises(IntegrityError, match="only after a contact attempt"):
        async with database.transaction() as connection:
            await connection.execute(LAPSED, {**about, "reason": "unreachable"})
    async with database.undone(), database.transaction() as connection:
        await connection.execute(LAPSED, {**about, "reason": "repeated_absence"})
    await story.try_to_reach(story.complainants[0].party_id)
    async with database.transaction() as connection:
        await connection.execute(LAPSED, {**about, "reason": "unreachable"})


async def test_without_the_trigger_the_database_records_it(
    committed_office: Office, committed: Settings, as_owner: Callable[[Settings], Settings]
) -> None:
    story = await (await committed_office.file()).to_confirming()
    about = {"case_id": story.case_id, "party_id": story.complainants[0].party_id, "reason": "unreachable"}
    database, owner = Database.of(committed), Database.of(as_owner(committed))
    with pytest.raises(IntegrityError, match="only after a contact attempt"):
        async with database.transaction() as connection:
            await connection.execute(LAPSED, about)
    async with owner.transaction() as connection:
        await connection.execute(text("DROP TRIGGER require_contact_attempt ON events"))
    async with database.transaction() as connection:
        await connection.execute(LAPSED, about)
    for each in (database, owner):
        await each.close()
