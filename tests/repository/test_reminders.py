"""Whom the worker finds to remind: whoever has not answered or signed, and nobody because of somebody else."""

from datetime import timedelta

from tests.conftest import RolledBackDatabase

from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain.reminders import ReminderKind
from mediation_api.main import policy_of
from mediation_api.repository.reminders import due_reminders
from mediation_api.settings import Settings

Found = list[tuple[str, str]]


async def due(office: Office, settings: Settings, database: RolledBackDatabase, days: float = 0) -> Found:
    """What is due after some days: of what, and to whom."""
    async with database.reading() as connection:
        at = office.clock.now + timedelta(days=days)
        found = await due_reminders(connection, at=at, policy=policy_of(settings))
    return sorted((each.kind.value, str(each.party_id or each.mediator_id)) for each in found)


def of(kind: ReminderKind, *who: Caller) -> Found:
    return sorted((kind.value, each.party_id or each.mediator_id) for each in who)


async def test_a_party_that_has_not_answered_is_reminded(
    office: Office, settings: Settings, database: RolledBackDatabase
) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}])
    assert await due(office, settings, database, 30) == []  # nobody was asked
    await story.screen()
    first, second = story.complainants
    assert await due(office, settings, database, 6) == []
    assert await due(office, settings, database, 7) == of(ReminderKind.ANSWER, first, second)
    await story.answer(first)
    assert await due(office, settings, database, 7) == of(ReminderKind.ANSWER, second)


async def test_what_one_party_answered_changes_nothing_for_another(
    office: Office, settings: Settings, database: RolledBackDatabase
) -> None:
    found = []
    for decision in ("agreed", "declined"):
        story = await office.file(complainants=[{}, {}], officers=[{"employee_number": decision}])
        await story.screen()
        await story.answer(story.complainants[0], decision)
        mine = of(ReminderKind.ANSWER, story.complainants[1])
        found.append(mine[0] in await due(office, settings, database, 7))
    assert found == [True, True]


async def test_a_party_that_is_asked_again_has_five_days_again(
    office: Office, settings: Settings, database: RolledBackDatabase
) -> None:
    story = await (await office.file()).to_asking()
    await story.answer(story.officers[0])
    office.clock.advance(days=10)
    office.tokens.clear()
    await office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"allegations": ["force"]})
    assert await due(office, settings, database) == []
    assert of(ReminderKind.ANSWER, story.complainants[0])[0] in await due(office, settings, database, 8)


async def test_a_mediator_who_is_silent_is_reminded_and_one_who_answered_is_not(
    office: Office, settings: Settings, database: RolledBackDatabase
) -> None:
    story = await (await office.file()).to_ready()
    mediator = await office.mediator()
    path = f"{story.path}/assignments"
    assignment = await office.coordinator.post(path, {"mediator_id": mediator.mediator_id})
    assert await due(office, settings, database, 7) == []
    assert await due(office, settings, database, 8) == of(ReminderKind.PROPOSAL, mediator)
    await mediator.post(f"/v1/assignments/{assignment['id']}/decline", status=200)
    assert await due(office, settings, database, 8) == []


async def test_who_has_not_signed_is_reminded_until_then(
    office: Office, settings: Settings, database: RolledBackDatabase
) -> None:
    story: Story = await (await office.file()).to_ready()
    mediator = await story.assign()
    starts_at = office.clock.now + timedelta(days=3)
    times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=1)).isoformat()}
    await story.schedule(**times)
    await story.make_agreement()
    assert await due(office, settings, database, 1) == []
    everybody = (*story.complainants, *story.officers, mediator)
    assert await due(office, settings, database, 2) == of(ReminderKind.SIGNATURE, *everybody)
    await story.sign(story.complainants[0])
    await story.sign(mediator)
    assert await due(office, settings, database, 2) == of(ReminderKind.SIGNATURE, story.officers[0])
    await story.withdraw(story.officers[0])
    assert await due(office, settings, database, 9) == []
