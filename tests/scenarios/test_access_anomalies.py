"""A director or an auditor is shown what was unusual about who opened what; the rules are those of the domain."""

from dataclasses import replace

import pytest
from fastapi import FastAPI
from tests.conftest import RolledBackDatabase
from tests.http.test_pagination import walked_items
from tests.scenarios.conftest import Begun
from tests.scenarios.test_access_log import REPORT, entries, seen

from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role

PATH = "/v1/access-anomalies"


async def found(who: Caller, query: str = "") -> list[Answer]:
    items: list[Answer] = (await who.get(f"{PATH}?limit=100{query}"))["items"]  # type: ignore[assignment]
    return items


def told(items: list[Answer]) -> list[tuple[object, ...]]:
    return [(item["rule"], item["by"], item["opened_on"], item["number"]) for item in items]


async def coordinated(office: Office) -> Story:
    """A case of the coordinator's, to whom intake gave it."""
    story = await office.file()
    await office.intake.put(f"{story.path}/coordinator", {"coordinator": "coordinator.1"})
    return story


def another(office: Office) -> Caller:
    return office.caller(Role.COORDINATOR, "coordinator.2")


async def opened(who: Caller, path: str, purpose: str) -> None:
    headers = {"Authorization": f"Bearer {who.token}", "Access-Purpose": purpose}
    assert (await who.client.get(path, headers=headers)).status_code == 200


@pytest.mark.parametrize("role", [Role.DIRECTOR, Role.AUDITOR])
async def test_who_opened_a_case_of_a_colleague_is_told_with_the_rule_and_what_it_counts(
    role: Role, office: Office
) -> None:
    story = await coordinated(office)
    await office.coordinator.get(story.path)
    for path in (story.path, f"/v1/complaints/{story.complaint_id}", f"/v1/parties/{story.officers[0].party_id}"):
        await another(office).get(path)
    assert await found(office.caller(role)) == [
        {
            "rule": "no_part",
            "rules_version": "2026-11",
            "opened_on": "2026-03-02",
            "by_role": "coordinator",
            "by": "coordinator.2",
            "complaint_id": story.complaint_id,
            "case_id": story.case_id,
            "number": 3,
            "usual": 0,
            "purposes": ["casework"],
        }
    ]


async def test_what_somebody_recorded_weeks_before_the_days_of_the_report_is_a_part_and_later_none(
    office: Office,
) -> None:
    """Of the complaint and of its case, and not by somebody else."""
    of_case, of_complaint = await coordinated(office), await coordinated(office)
    who = another(office)
    await who.put(f"{of_case.path}/coordinator", {"coordinator": "coordinator.3"})
    await who.patch(f"/v1/complaints/{of_complaint.complaint_id}", {"precinct": "Central"})
    office.clock.advance(days=30)
    for story in (of_case, of_complaint):
        await who.get(story.path)
    assert await found(office.director) == []
    office.clock.advance(days=1)
    for story in (of_case, of_complaint):
        await who.get(story.path)
    assert {item["case_id"] for item in await found(office.director)} == {of_case.case_id, of_complaint.case_id}


async def test_a_day_and_an_hour_are_those_of_the_office_s_clock(office: Office) -> None:
    """05:30 UTC on Tuesday is half past nine on Monday evening in Portland."""
    story = await coordinated(office)
    office.clock.now = office.clock.now.replace(day=3, hour=5, minute=30)
    await office.coordinator.get(story.path)
    office.clock.now = office.clock.now.replace(hour=18)
    await office.coordinator.get(story.path)
    assert told(await found(office.director)) == [("outside_hours", "coordinator.1", "2026-03-02", 1)]
    assert await found(office.director, "&opened_on_from=2026-03-03") == []
    assert await found(office.director, "&opened_on_before=2026-03-02") == []
    assert len(await found(office.director, "&opened_on_from=2026-03-02&opened_on_before=2026-03-03")) == 1


async def test_a_closed_case_that_is_opened_day_after_day_is_told_and_one_that_is_tried_again_is_not(
    office: Office, filed: Begun
) -> None:
    story = filed()
    await story.withdraw(story.complainants[0])
    for _ in range(3):
        office.clock.advance(days=1)
        await office.auditor.get(story.path)
    assert told(await found(office.director)) == [("closed_again", "auditor.1", "2026-03-05", 3)]
    await office.intake.post(f"/v1/complaints/{story.complaint_id}/mediation-requests")
    assert await found(office.director) == []


async def test_many_in_a_day_is_told_of_the_day_and_a_page_of_a_list_counts_for_none(
    office: Office, app: FastAPI
) -> None:
    service = app.state.service
    few = replace(service.policy, anomalies=replace(service.policy.anomalies, complaints_a_day=2))
    app.state.service = replace(service, policy=few)
    stories = [await office.file() for _ in range(3)]
    for story in stories[:2]:
        await office.auditor.get(story.path)
        await office.auditor.get(f"{story.path}/timeline")
    await office.auditor.get("/v1/cases")
    assert [item for item in await found(office.director) if item["by"] == "auditor.1"] == []
    await office.auditor.get(stories[2].path)
    (item,) = [item for item in await found(office.director) if item["by"] == "auditor.1"]
    assert (item["rule"], item["number"], item["usual"]) == ("many_in_a_day", 3, 2)
    assert (item["complaint_id"], item["case_id"]) == (None, None)
    # Of intake, which wrote down all three, as well: that it is their work is for a person to see.
    assert {item["by"] for item in await found(office.director)} == {"auditor.1", "intake.1"}


async def test_a_purpose_that_is_another_role_s_is_told(office: Office, filed: Begun) -> None:
    story = filed()
    await opened(office.intake, story.path, "audit")
    await opened(office.intake, story.path, "legal_request")
    (item,) = await found(office.director)
    assert (item["rule"], item["by"], item["number"], item["purposes"]) == ("purpose_unfit", "intake.1", 1, ["audit"])
    assert await found(office.director, "&rule=no_part") == []
    assert await found(office.director, "&rule=purpose_unfit") == [item]


async def test_that_the_report_was_seen_is_written_down_with_the_complaints_on_the_page(
    office: Office, database: RolledBackDatabase
) -> None:
    assert await found(office.director) == []
    story = await coordinated(office)
    await another(office).get(story.path)
    before = len(await entries(database))
    await found(office.auditor)
    (entry,) = await entries(database, after=before)
    assert (entry["operation"], entry["by"], entry["purpose"]) == ("listAccessAnomalies", "auditor.1", "audit")
    assert [str(each) for each in entry["listed"]] == [story.complaint_id]  # type: ignore[attr-defined]
    assert (await seen(office.director, story))[1]["operation"] == "listAccessAnomalies"
    assert {entry["opened"] for entry in await seen(story.complainants[0], story)} <= {"case", "complaint", "party"}


async def test_whoever_opens_or_enters_a_mandatory_report_makes_no_difference_to_it(office: Office) -> None:
    """Not even at night, and not to whether somebody is taken to have a part in the case."""
    story = await (await office.file()).to_mediated(agreement_reached=False)
    assert story.mediator is not None
    who = another(office)
    await who.get(story.path)
    office.clock.advance(hours=10)
    before = await found(office.auditor), await found(office.director)
    report = await story.mediator.post(f"{story.path}/mandatory-reports", REPORT)
    await office.director.post(f"/v1/mandatory-reports/{report['id']}/file", None, 200)
    for _ in range(3):
        for reader in (office.director, story.mediator):
            await reader.get(f"/v1/mandatory-reports/{report['id']}")
            await reader.get(f"{story.path}/mandatory-reports")
    assert (await found(office.auditor), await found(office.director)) == before


async def test_a_report_comes_in_pages_that_miss_and_repeat_nothing(office: Office) -> None:
    for _ in range(3):
        story = await coordinated(office)
        for purpose in ("audit", "casework"):
            await opened(another(office), story.path, purpose)
    whole = await found(office.director)
    assert len(whole) == 6

    async def more(_turn: int) -> None:
        await another(office).get((await coordinated(office)).path)

    walk = await walked_items(office.director, PATH, turn=more)
    assert [item for item in walk if item in whole] == whole
    assert len({str(item) for item in walk}) == len(walk)


@pytest.mark.parametrize(
    "query",
    [
        "opened_on_from=2026-03-03&opened_on_before=2026-03-03",
        "opened_on_from=2026-01-30",
        "opened_on_from=2026-01-01&opened_on_before=2026-02-02",
        "opened_on_from=2026-03-03",
        "opened_on_before=tomorrow",
        "rule=curiosity",
        "by=coordinator.1",
    ],
)
async def test_a_time_that_is_none_or_too_long_and_what_no_rule_is_are_refused(office: Office, query: str) -> None:
    answer = await office.director.get(f"{PATH}?{query}", 422)
    errors = answer["errors"]
    assert isinstance(errors, list)
    assert [error["in"] for error in errors] == ["query"]


async def test_thirty_one_days_are_looked_at_at_once(office: Office) -> None:
    story = await coordinated(office)
    await another(office).get(story.path)
    assert len(await found(office.director, "&opened_on_from=2026-03-02&opened_on_before=2026-04-02")) == 1
