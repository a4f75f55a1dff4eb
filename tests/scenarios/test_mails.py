"""Mail keeps answers sealed: who is written to, about what, how often and in which order does not depend on them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from sqlalchemy import select
from tests.conftest import Clock, RolledBackDatabase
from tests.scenarios.conftest import Fork

from mediation_api.database import tables as t
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.repository import mails
from mediation_api.repository.change_feed import number_batch

Written: TypeAlias = list[tuple[str, str]]
Turn: TypeAlias = Callable[[Story, Caller], Awaitable[object]]


async def _agrees(story: Story, who: Caller) -> None:
    await story.answer(who)


async def _declines(story: Story, who: Caller) -> None:
    await story.answer(who, "declined")


async def _withdraws(story: Story, who: Caller) -> None:
    await story.withdraw(who)


async def _agrees_and_withdraws(story: Story, who: Caller) -> None:
    await story.answer(who)
    await story.withdraw(who)


async def _says_nothing(_story: Story, _who: Caller) -> None:
    """The officer has not answered yet."""


TURNS: Mapping[str, Turn] = {
    "agrees": _agrees,
    "declines": _declines,
    "withdraws": _withdraws,
    "agrees and withdraws": _agrees_and_withdraws,
}


async def written(database: RolledBackDatabase, clock: Clock, but: Caller) -> Written:
    """Queue what is due, and give the kind and the recipient of each mail to anybody else, in their order."""
    async with database.transaction() as connection:
        await number_batch(connection)
        await mails.queue_mails(connection, clock.now)
        rows = await connection.execute(
            select(t.mails).order_by(t.mails.c.queued_at, t.mails.c.kind, t.mails.c.party_id)
        )
        return [(row.kind, str(row.party_id or row.mediator_id)) for row in rows if str(row.party_id) != but.party_id]


def allowing(number: int) -> list[dict[str, object]]:
    return [{"email": f"p{each}@example.org", "email_allowed": True} for each in range(number)]


async def begun(office: Office, database: RolledBackDatabase, clock: Clock) -> Story:
    """A case of two complainants and two officers that were asked, and a mediator to whom it was proposed."""
    async with database.transaction() as connection:
        await number_batch(connection)
        await mails.queue_mails(connection, clock.now)
    story = await office.file(complainants=allowing(2), officers=allowing(2))
    await story.to_confirming()
    await story.propose(await office.mediator(email="noor@example.org", email_allowed=True))
    return story


async def test_what_a_complainant_answers_changes_no_mail_to_anybody_else_before_ready(
    office: Office, database: RolledBackDatabase, module_clock: Clock, fork: Fork
) -> None:
    story = await begun(office, database, module_clock)
    who, other = story.complainants
    found: dict[str, list[Written]] = {}
    for name, turn in TURNS.items():
        async with fork():
            await turn(story, who)
            at_once = await written(database, module_clock, who)
            await story.answer(other)
            await story.answer(story.officers[0])
            found[name] = [at_once, await written(database, module_clock, who)]
    expected = found["agrees"]
    assert all(each == expected for each in found.values())
    people = {str(each.party_id): each for each in (*story.complainants, *story.officers)}
    assert sorted(kind for kind, _ in expected[0]) == ["offered", "proposed"]
    assert {to for kind, to in expected[1] if kind == "offered" and people[to] in story.officers} == {
        str(officer.party_id) for officer in story.officers[1:]
    }, "the other one had answered before the mail was queued"


async def test_what_an_officer_answers_changes_no_mail_to_anybody_else_before_ready(
    office: Office, database: RolledBackDatabase, module_clock: Clock, fork: Fork
) -> None:
    story = await begun(office, database, module_clock)
    for complainant in story.complainants:
        await story.answer(complainant)
    who = story.officers[0]
    found = {}
    for name, turn in {**TURNS, "says nothing": _says_nothing}.items():
        async with fork():
            before = await written(database, module_clock, who)
            await turn(story, who)
            module_clock.advance(days=1)
            found[name] = [before, await written(database, module_clock, who)]
    assert all(each == found["agrees"] for each in found.values())
    assert [kind for kind, _ in found["agrees"][1]] == ["offered", "proposed"]
    await story.answer(who, "declined")
    await story.answer(story.officers[1])
    assert await story.state() == "ready"


async def test_an_officer_who_was_not_asked_learns_of_no_case_that_closes(
    office: Office, database: RolledBackDatabase, module_clock: Clock
) -> None:
    story = await begun(office, database, module_clock)
    for complainant in story.complainants:
        await story.answer(complainant, "declined")
    found = await written(database, module_clock, story.complainants[0])
    assert not {str(officer.party_id) for officer in story.officers} & {to for _, to in found}
