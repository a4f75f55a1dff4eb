"""The office sees the names of staff beside the subjects of their tokens; nobody else does."""

import json
from collections.abc import Mapping

from sqlalchemy import select
from tests.conftest import RolledBackDatabase
from tests.scenarios.conftest import Begun

from mediation_api.database import tables as t
from mediation_api.dev.identity_provider import dev_token
from mediation_api.dev.office import Answer, Caller, Office, Story, name_of
from mediation_api.domain.access import Role

NAMES = ("by_name", "coordinator_name", "placed_by_name", "lifted_by_name", "requested_by_name", "decided_by_name")


def named(office: Office, role: Role, subject: str, name: str | None) -> Caller:
    """Somebody whose token has this name."""
    settings = office.settings
    token = dev_token(
        settings.data_directory,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        role=role,
        subject=subject,
        minutes=60,
        now=office.clock.now,
        name=name,
    )
    return Caller(office, given=token)


def items(answer: Mapping[str, object]) -> list[Answer]:
    found = answer["items"]
    assert isinstance(found, list)
    return found


async def test_each_event_carries_the_name_of_whoever_of_the_office_caused_it(office: Office, signed: Begun) -> None:
    events = items(await office.coordinator.get(f"{signed().path}/timeline?limit=100"))
    assert {(each["by_role"], each["by_name"]) for each in events} >= {
        ("intake", "Intake 1"),
        ("coordinator", "Coordinator 1"),
        ("complainant", None),
        ("officer", None),
    }
    for each in events:
        assert (each["by_name"] is None) == (each["by_role"] in {"complainant", "officer"}), each
        assert each["by_name"] in {None, name_of(str(each["by"]))}


async def test_whatever_names_a_subject_of_the_office_names_the_person(office: Office, signed: Begun) -> None:
    story = signed()
    director, intake, coordinator = office.director, office.intake, office.coordinator
    await coordinator.put(f"{story.path}/coordinator", {"coordinator": "coordinator.1"})
    assert (await story.case())["coordinator_name"] == "Coordinator 1"
    (listed,) = items(await coordinator.get(f"/v1/cases?complaint_id={story.complaint_id}"))
    assert listed["coordinator_name"] == "Coordinator 1"
    await story.try_to_reach(story.complainants[0].party_id)
    (attempt,) = items(await coordinator.get(f"{story.path}/contact-attempts"))
    assert attempt["by_name"] == name_of(str(attempt["by"]))
    hold = await director.post(f"/v1/complaints/{story.complaint_id}/legal-holds", {"reason": "litigation"})
    assert (hold["placed_by_name"], hold["lifted_by_name"]) == ("Director 1", None)
    lifted = await director.post(f"/v1/legal-holds/{hold['id']}/lift", None, 200)
    assert (lifted["placed_by_name"], lifted["lifted_by_name"]) == ("Director 1", "Director 1")
    erasure = await intake.post(f"/v1/parties/{story.complainants[0].party_id}/erasures")
    assert (erasure["requested_by_name"], erasure["decided_by_name"]) == ("Intake 1", None)
    refused = await director.post(f"/v1/erasures/{erasure['id']}/refuse", {"reason": "withdrawn"}, 200)
    assert refused["decided_by_name"] == "Director 1"
    opened = items(await office.auditor.get(f"{story.path}/access-log?limit=100"))
    assert {(each["by"], each["by_name"]) for each in opened} >= {("coordinator.1", "Coordinator 1")}


async def test_a_mediator_is_not_told_the_name_of_whoever_decided_a_report(office: Office, signed: Begun) -> None:
    story = signed()
    assert story.mediator is not None
    report = f"/v1/mandatory-reports/{await story.report(story.mediator)}"
    await office.director.post(f"{report}/file", None, 200)
    seen = await office.director.get(report)
    assert (seen["proposed_by_name"], seen["decided_by_name"]) == (name_of(str(seen["proposed_by"])), "Director 1")
    shown = await story.mediator.get(report)
    assert (shown["proposed_by_name"], shown["decided_by_name"]) == (None, None)
    (entry, *_) = items(await office.director.get(f"{report}/access-log"))
    assert entry["by_name"] == name_of(str(entry["by"]))


async def test_a_party_is_shown_no_name_of_staff(office: Office, signed: Begun) -> None:
    story = signed()
    await office.coordinator.put(f"{story.path}/coordinator", {"coordinator": "coordinator.1"})
    for who in (story.complainants[0], story.officers[0]):
        for path in (story.path, f"{story.path}/timeline", f"{story.path}/access-log", f"{story.path}/consents"):
            shown = json.dumps(await who.get(path))
            assert [name for name in (*NAMES, "Coordinator 1", "Intake 1") if name in shown] == []


async def test_a_name_is_stored_once_and_again_when_it_changes(
    office: Office, database: RolledBackDatabase, ready: Begun
) -> None:
    story = ready()

    async def rows() -> int:
        stored = select(t.staff_names.c.id).where(t.staff_names.c.subject == "a.morgan")
        async with database.reading() as connection:
            return len((await connection.execute(stored)).all())

    async def act(story: Story, name: str | None) -> object:
        caller = named(office, Role.COORDINATOR, "a.morgan", name)
        await office.coordinator.put(f"{story.path}/coordinator", {"coordinator": "coordinator.1"})
        await caller.put(f"{story.path}/coordinator", {"coordinator": "a.morgan"})
        office.clock.advance(seconds=1)
        return (await story.case())["coordinator_name"]

    assert (await act(story, None), await rows()) == (None, 0)
    assert (await act(story, "Ana Morgan"), await rows()) == ("Ana Morgan", 1)
    await story.propose(await office.mediator())
    await named(office, Role.COORDINATOR, "a.morgan", "Ana Morgan").put(
        f"{story.path}/coordinator", {"coordinator": "coordinator.9"}
    )
    assert await rows() == 1
    assert (await act(story, "Ana Morgan-Lee"), await rows()) == ("Ana Morgan-Lee", 2)
