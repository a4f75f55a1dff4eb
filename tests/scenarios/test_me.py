"""GET /v1/me: who calls, and what waits for the caller and for nobody else."""

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import uuid4

import pytest
from sqlalchemy import select
from tests.conftest import RolledBackDatabase
from tests.scenarios.conftest import Begun, Fork

from mediation_api.database import tables as t
from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.domain.board import Wait
from mediation_api.domain.values import Alert

OFFICE = (Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR, Role.AUDITOR)


async def waiting(who: Caller) -> Answer:
    found = (await who.get("/v1/me"))["waiting"]
    assert isinstance(found, dict)
    return found


async def to_do(who: Caller) -> list[Answer]:
    found = (await who.get("/v1/me"))["waiting"]
    assert isinstance(found, list)
    return found


# ── who calls ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", OFFICE)
async def test_staff_are_told_whom_their_token_names(office: Office, role: Role) -> None:
    me = await office.caller(role, f"{role}.7").get("/v1/me")
    assert (me["audience"], me["subject"], me["role"]) == ("office", f"{role}.7", role)
    assert (me["name"], me["scopes"]) == (f"{role.title()} 7", None)


async def test_a_party_a_mediator_and_an_integration_are_told_what_they_speak_for(office: Office, ready: Begun) -> None:
    story, mediator = ready(), await office.mediator()
    (complainant,), (officer,) = story.complainants, story.officers
    me = await complainant.get("/v1/me")
    assert (me["audience"], me["subject"], me["party_id"]) == ("party", complainant.party_id, complainant.party_id)
    assert (me["name"], me["role"]) == (None, "complainant")
    assert (await officer.get("/v1/me"))["party_id"] is None
    assert (await mediator.get("/v1/me"))["mediator_id"] == mediator.mediator_id
    assert (await office.caller(Role.MEDIATOR, "not.on.the.roster").get("/v1/me"))["mediator_id"] is None
    program = await office.integration.get("/v1/me")
    assert program == {
        "audience": "integration",
        "subject": program["subject"],
        "role": "integration",
        "name": None,
        "scopes": ["complaints:read", "complaints:write", "events:read", "webhooks:read", "webhooks:write"],
    }


async def test_a_token_that_may_not_read_cases_is_told_who_it_is_and_not_what_waits(
    office: Office, ready: Begun
) -> None:
    ready()
    for role in (Role.DIRECTOR, Role.MEDIATOR, Role.OFFICER):
        limited = office.caller(role, f"{role}.1", "4711" if role is Role.OFFICER else None, "openid parties:read")
        me = await limited.get("/v1/me")
        assert (me["scopes"], me["waiting"]) == (["parties:read"], None)
        assert me.get("mediator_id") is None
    allowed = await office.caller(Role.DIRECTOR, "director.1", None, "cases:read").get("/v1/me")
    assert allowed["waiting"] is not None


# ── what waits for a party ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_party_answers_signs_and_attends_one_after_the_other(office: Office) -> None:
    story = await office.file()
    (complainant,), (officer,) = story.complainants, story.officers
    assert await to_do(complainant) == []
    await story.screen()
    (case,) = await to_do(complainant)
    assert (case["case_id"], case["party_id"]) == (story.case_id, complainant.party_id)
    assert (case["disclosure_to_answer"], case["unsigned_agreement_ids"], case["next_session"]) == (True, [], None)
    assert await to_do(officer) == []
    await story.answer(complainant)
    assert await to_do(complainant) == []
    (asked,) = await to_do(officer)
    assert (asked["disclosure_to_answer"], asked["reference"]) == (True, story.reference)
    await story.answer(officer)
    await story.assign()
    await story.schedule()
    await story.make_agreement()
    for who in (complainant, officer):
        (case,) = await to_do(who)
        assert (case["disclosure_to_answer"], case["unsigned_agreement_ids"]) == (False, [story.agreement["id"]])
        assert isinstance(case["next_session"], dict)
        assert case["next_session"]["id"] == story.session_id
    await story.sign(complainant)
    assert [each["unsigned_agreement_ids"] for each in await to_do(complainant)] == [[]]
    assert [each["unsigned_agreement_ids"] for each in await to_do(officer)] == [[story.agreement["id"]]]
    await story.withdraw(complainant)
    assert (await to_do(complainant), await to_do(officer)) == ([], [])


async def test_until_a_case_is_ready_nothing_that_waits_depends_on_what_others_answer(
    office: Office, fork: Fork
) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}, {}])
    await story.screen()
    await story.answer(story.complainants[0])
    seen = []
    for first in (None, "agreed", "declined"):
        async with fork():
            if first is not None:
                await story.answer(story.complainants[1], first)
            seen.append(await story.complainants[0].get("/v1/me"))
    await story.answer(story.complainants[1])
    for second in (None, "agreed", "declined"):
        async with fork():
            if second is not None:
                await story.answer(story.officers[0], second)
            seen += [await who.get("/v1/me") for who in (*story.complainants, story.officers[1])]
    assert seen[0] == seen[1] == seen[2]
    assert seen[3:6] == seen[6:9] == seen[9:]


async def test_an_officer_has_what_waits_in_every_case(office: Office) -> None:
    number = uuid4().hex[:12]
    stories = [await office.file(officers=[{"employee_number": number}]) for _ in range(2)]
    for story in stories:
        await story.screen()
        await story.answer(story.complainants[0])
    listed = await to_do(stories[0].officers[0])
    assert {each["case_id"] for each in listed} == {story.case_id for story in stories}
    assert {each["party_id"] for each in listed} == {story.officers[0].party_id for story in stories}


# ── what waits for a mediator ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_mediator_answers_holds_the_session_and_destroys_the_notes(office: Office, ready: Begun) -> None:
    story, mediator, other = ready(), await office.mediator(), await office.mediator()
    proposed = await story.propose(mediator)
    shared = {"assignment_id": proposed["id"], "case_id": story.case_id, "reference": story.reference}
    found = await waiting(mediator)
    assert found == {
        "proposals": [{**shared, "answer_due_on": proposed["answer_due_on"]}],
        "sessions": [],
        "notes": [],
    }
    story = await office_accepts(story, mediator, str(proposed["id"]))
    await story.schedule()
    found = await waiting(mediator)
    assert found["proposals"] == []
    assert [(each["session_id"], each["state"]) for each in of(found["sessions"])] == [(story.session_id, "scheduled")]
    await story.make_agreement()
    for who in story.everybody:
        await story.sign(who)
    await story.session("reschedule", story.booking())
    await story.session("start", {})
    assert [each["state"] for each in of((await waiting(mediator))["sessions"])] == ["in_progress"]
    await story.session("complete")
    await story.close()
    found = await waiting(mediator)
    assert (found["sessions"], [each["case_id"] for each in of(found["notes"])]) == ([], [story.case_id])
    await mediator.post(f"/v1/assignments/{proposed['id']}/attest-notes-destroyed", None, 200)
    assert await waiting(mediator) == await waiting(other) == {"proposals": [], "sessions": [], "notes": []}


async def office_accepts(story: Story, mediator: Caller, assignment_id: str) -> Story:
    accepted = {"knows_a_party": False, "has_an_interest": False, "took_part_before": False}
    await mediator.post(f"/v1/assignments/{assignment_id}/accept", accepted, 200)
    story.mediator, story.assignment_id = mediator, assignment_id
    return story


async def test_what_a_mediator_is_shown_is_in_the_access_log_and_numbers_are_not(
    office: Office, database: RolledBackDatabase, ready: Begun
) -> None:
    async def entries() -> Sequence[Mapping[str, object]]:
        logged = select(t.access_log).where(t.access_log.c.operation == "getMe")
        async with database.reading() as connection:
            return [dict(row) for row in (await connection.execute(logged)).mappings()]

    story, mediator = ready(), await office.mediator()
    await mediator.get("/v1/me")
    await office.director.get("/v1/me")
    assert await entries() == []
    await story.propose(mediator)
    await mediator.get("/v1/me")
    (entry,) = await entries()
    assert (entry["by_role"], [str(each) for each in entry["listed"]]) == ("mediator", [story.case_id])  # type: ignore[attr-defined]


# ── what waits for the office ──────────────────────────────────────────────────────────────────────────────────────


def of(found: object) -> list[Answer]:
    assert isinstance(found, list)
    return found


async def listed(office: Office) -> list[Answer]:
    """Every open case, page by page."""
    cases: list[Answer] = []
    cursor = ""
    while True:
        page = await office.coordinator.get(f"/v1/cases?open=true&limit=100{cursor}")
        cases += of(page["items"])
        if page["next_cursor"] is None:
            return cases
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.drawn
@pytest.mark.parametrize("days", [0, 21, 29, 70])
async def test_the_numbers_are_those_of_the_open_cases(
    office: Office, fork: Fork, in_each_state: Mapping[str, Begun], days: int
) -> None:
    async with fork():
        late = await office.file()
        await late.to_ready()
        await late.propose(await office.mediator())
        outdated = await (await office.file()).to_ready()
        await office.intake.patch(f"/v1/complaints/{outdated.complaint_id}", {"crime_alleged": True})
        undecided = await office.file(intake={"crime_alleged": None})
        await undecided.screen()
        office.clock.advance(days=days)
        cases = await listed(office)
        assert len(cases) >= len(in_each_state)
        found = await waiting(office.director)
        assert [each["waits_for"] for each in of(found["by_wait"])] == list(Wait)
        assert [each["alert"] for each in of(found["by_alert"])] == list(Alert)
        by_wait = Counter(str(case["waits_for"]) for case in cases)
        by_alert = Counter(str(alert) for case in cases for alert in of(case["alerts"]))
        assert {str(each["waits_for"]): each["cases"] for each in of(found["by_wait"]) if each["cases"]} == by_wait
        assert {str(each["alert"]): each["cases"] for each in of(found["by_alert"]) if each["cases"]} == by_alert
        assert {"screening_outdated"} <= by_alert.keys()


async def test_only_a_director_is_told_how_many_mandatory_reports_wait(office: Office, signed: Begun) -> None:
    story = signed()
    assert (await waiting(office.director))["mandatory_reports"] == 0
    assert story.mediator is not None
    await story.report(story.mediator)
    assert (await waiting(office.director))["mandatory_reports"] == 1
    for role in (Role.INTAKE, Role.COORDINATOR, Role.AUDITOR):
        assert (await waiting(office.caller(role)))["mandatory_reports"] is None
