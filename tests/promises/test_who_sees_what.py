"""What everybody reads after somebody has left a case is what the model says, and nothing that is sealed shows.

`LEAVING=whole` plays every cell of docs/who-sees-what.md. Unless it is set, one person leaves a case of four people at
each moment, in one of the four ways. `STORIES` is the number of stories that are told by chance.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, nullcontext
from random import Random
from typing import Final

import httpx
import pytest
from sqlalchemy import func, select
from tests.conftest import Clock, RolledBackDatabase
from tests.office.model import RETURNED, SEALED
from tests.promises.leaving import Company, Fork, Look, Play, do, filed, moments
from tests.promises.model import (
    LEAVING,
    Act,
    Case,
    Moment,
    Outcome,
    Pair,
    Person,
    Reading,
    Refused,
    Side,
    outcome,
)
from tests.promises.page import COMPANIES, PAGE, Cell, cells, page

from mediation_api.database.tables import withdrawals
from mediation_api.dev.office import Office
from mediation_api.domain.lifecycle import State
from mediation_api.domain.values import Disposition

WHOLE: Final = os.environ.get("LEAVING") == "whole"
STORIES: Final = int(os.environ.get("STORIES", "1"))
UNEVEN: Final = ((2, 1), (1, 2))
"""Cases in which somebody with others beside them may be the last of the other side."""
FIRST: Final = Person(Side.COMPLAINANT, 1)
ALL: Final = [cell for company in (*COMPANIES, *UNEVEN) for cell in cells(company)]


@pytest.fixture
def fork(module_database: RolledBackDatabase, module_clock: Clock) -> Fork:
    """Tell a story from here in one way, then come back and tell it in another."""

    @asynccontextmanager
    async def forked() -> AsyncIterator[None]:
        before = module_clock.now
        async with module_database.undone():
            yield
        module_clock.now = before

    return forked


@pytest.fixture
def office(module_office: Office, module_clock: Clock, undone: None) -> Iterator[Office]:
    """The office, in which every request has an instant of its own."""
    del undone

    async def tick(_request: httpx.Request) -> None:
        module_clock.advance(milliseconds=10)

    hooks = module_office.client.event_hooks
    module_office.client.event_hooks = {**hooks, "request": [*hooks["request"], tick]}
    yield module_office
    module_office.client.event_hooks = hooks


# ── the model against the service ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.drawn
@pytest.mark.parametrize(
    "company", [*COMPANIES, *UNEVEN] if WHOLE else [(2, 2)], ids=lambda company: f"{company[0]} and {company[1]}"
)
@pytest.mark.parametrize("moment", Moment)
async def test_everybody_reads_what_the_model_says(
    office: Office, fork: Fork, company: Company, moment: Moment, record_property: Callable[[str, object], None]
) -> None:
    people, number = Case.opened(*company).people, [*Moment].index(moment)
    sample = people[number % len(people)]
    acts = LEAVING if WHOLE else [LEAVING[number % len(LEAVING)]]
    play = Play(fork, to_the_end=acts)
    async for told, at_this_moment in moments(office, company, moment):
        await play.moment(told, moment, [who for who in at_this_moment if WHOLE or who == sample], acts)
    counted = f"{play.cells} cells, {play.read} readings, {play.compared} answers the same to the byte"
    record_property("figure", f"{moment}, {company[0]} complainants and {company[1]} officers: {counted}")
    assert not play.differences, "\n".join(play.differences)


@pytest.mark.parametrize("seed", range(STORIES))
async def test_after_each_step_of_any_story_everybody_reads_what_the_model_says(office: Office, seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - a story, no secret
    company = chance.choice([(2, 2), (2, 2), (3, 2), (2, 3), (1, 2), (2, 1)])
    play = Play(nullcontext)
    await play.by_chance(await filed(office, company), Case.opened(*company), chance)
    assert not play.differences, "\n".join(play.differences)


async def test_who_left_reads_that_the_complaint_went_back_also_once_the_only_officer_is_removed(
    office: Office,
) -> None:
    told, case = await filed(office, (2, 1)), Case.opened(2, 1)
    for who, act in ((FIRST, Act.WITHDRAW), (Person(Side.OFFICER, 1), Act.REMOVE)):
        case.do(who, act)
        assert await do(told, who, act, refused=None) is None
    read = (await Look(told, FIRST).everything()).reading
    assert read == case.read_by_party(FIRST)
    assert read.complaint == RETURNED


# ── the model itself ───────────────────────────────────────────────────────────────────────────────────────────────


def told_to_others(cell: Cell, result: Outcome) -> dict[Person | str, Reading]:
    """What the other parties and the integration read then."""
    return {who: reading for who, reading in result.then.items() if who not in {cell.who, "office", "mediator"}}


def test_what_is_refused_changes_what_nobody_reads() -> None:
    refused = [cell for cell in ALL if cell.outcome.refused]
    assert refused
    assert [cell for cell in refused if cell.outcome.then != cell.without.then] == []


def test_a_withdrawal_is_refused_after_the_close_alone() -> None:
    refused = {cell.moment for cell in ALL if cell.act is Act.WITHDRAW and cell.outcome.refused}
    assert refused == {Moment.CLOSED}


def test_until_the_case_is_ready_nobody_can_tell_who_left_from_who_agreed_or_has_not_answered() -> None:
    sealed = [cell for cell in ALL if {cell.without.case.state, cell.outcome.case.state} <= SEALED]
    assert {cell.act for cell in sealed} == {*LEAVING}
    for cell in sealed:
        worlds = [cell.without]
        if cell.moment is Moment.ASKED:
            worlds.append(outcome(cell.moment, cell.who, Act.AGREE, *cell.company))
        for who, reading in told_to_others(cell, cell.outcome).items():
            if cell.act is Act.REMOVE and who == "integration":
                continue  # sees which parts there are; whom the office takes out is no answer of anybody
            assert reading in [world.then[who] for world in worlds], (cell, who)


def test_nobody_but_the_office_is_told_whether_somebody_declined_withdrew_or_lapsed() -> None:
    for cell in ALL:
        others = [outcome(cell.moment, cell.who, act, *cell.company) for act in LEAVING if act is not Act.REMOVE]
        told = [told_to_others(cell, each) for each in others if not each.refused]
        assert all(each == told[0] for each in told), cell


def test_somebody_who_left_reads_the_same_whatever_the_others_do() -> None:
    for cell in ALL:
        if not cell.outcome.refused:
            assert cell.outcome.then[cell.who] == cell.outcome.at_the_end[cell.who], cell


def test_a_part_is_mediated_only_between_people_who_both_stayed() -> None:
    for cell in ALL:
        left = {who for who in cell.outcome.case.people if who not in cell.outcome.case.still_here()}
        mediated = [pair for pair, word in cell.outcome.at_the_end["office"].parts if word == "closed_mediated"]
        assert not any(left & {*pair} for pair in mediated), cell


# ── the page ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_is_the_one_that_the_model_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make generate"


def test_the_page_has_every_pair_moment_and_act() -> None:
    on_the_page = [cell for company in COMPANIES for cell in cells(company)]
    assert len(on_the_page) == (4 + 1) * 2 * len(Moment) * len(LEAVING)
    assert {cell.pair for cell in on_the_page} == {*Case.opened(2, 2).parts}


# ── that a wrong model and a wrong service are seen ────────────────────────────────────────────────────────────────


async def differences(office: Office, fork: Fork, moment: Moment, act: Act) -> str:
    """What is found where the first of two complainants of one officer does something."""
    play = Play(fork, to_the_end=[])
    async with aclosing(moments(office, (2, 1), moment)) as story:
        told, _ = await anext(story)
        await play.moment(told, moment, [FIRST], [act])
    return "\n".join(play.differences)


def told_at_once(case: Case) -> Reading:
    return Reading(parts=frozenset(case.parts.items()), complaint=case.read_by_office().complaint)


def everybody_s_parts(case: Case, who: Person) -> dict[Pair, str]:
    del who
    return case.parts


def anything_goes(case: Case, who: Person, act: Act) -> None:
    del case, who, act


def never_while_they_meet(case: Case, who: Person, act: Act) -> None:
    del who, act
    if case.state == "in_session":
        raise Refused("state-conflict")


WRONG_RULES = {
    "what went back is told at once": (
        "read_by_integration",
        told_at_once,
        (Moment.ASKED, Act.DECLINE, "integration reads parts"),
    ),
    "everybody's parts go back": (
        "parts_of",
        everybody_s_parts,
        (Moment.READY, Act.WITHDRAW, "office reads parts"),
    ),
    "who agreed may decline": (
        "_require_possible",
        anything_goes,
        (Moment.AGREED, Act.DECLINE, "the service answers already-answered, the model yes"),
    ),
    "nobody leaves while they meet": (
        "_require_possible",
        never_while_they_meet,
        (Moment.IN_SESSION, Act.WITHDRAW, "the service answers yes, the model state-conflict"),
    ),
}


@pytest.mark.drawn
@pytest.mark.parametrize("rule", WRONG_RULES)
async def test_a_wrong_rule_of_the_model_is_seen(
    office: Office, fork: Fork, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, wrong, (moment, act, found) = WRONG_RULES[rule]
    monkeypatch.setattr(Case, method, wrong)
    assert found in await differences(office, fork, moment, act)


@pytest.mark.drawn
async def test_a_part_that_is_shown_too_early_is_seen(
    office: Office, fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_it_is(disposition: Disposition, state: State | None) -> Disposition:
        del state
        return disposition

    monkeypatch.setattr("mediation_api.domain.parts.shown_disposition", as_it_is)
    found = await differences(office, fork, Moment.ASKED, Act.DECLINE)
    assert "asked, complainant 1 decline: then integration reads parts" in found
    assert "integration can tell it from nothing" in found


@pytest.mark.drawn
async def test_one_header_that_counts_withdrawals_is_seen(
    office: Office, fork: Fork, module_database: RolledBackDatabase
) -> None:
    """All else being alike, one number tells."""

    async def count(response: httpx.Response) -> None:
        async with module_database.reading() as connection:
            counted = select(func.count()).select_from(withdrawals)
            response.headers["X-Withdrawals"] = str(await connection.scalar(counted))

    office.client.event_hooks = {**office.client.event_hooks, "response": [count]}
    found = await differences(office, fork, Moment.ASKED, Act.WITHDRAW)
    assert "complainant 2 can tell it from nothing" in found
    assert "+x-withdrawals: 1" in found
