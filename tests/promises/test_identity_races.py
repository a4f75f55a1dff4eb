"""A withdrawal stands for whoever was the party when it was said: whatever the office does to the party meanwhile.

Real commits, on connections of their own. Each race is run three times; `RACES=200` runs it more often.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import perf_counter
from typing import Final

import httpx
import pytest
from tests.conftest import Clock, Run, fresh_database, office_on
from tests.repository.test_races import Request, posting, withdrawing

from mediation_api.dev.office import Caller, Office, Story
from mediation_api.repository.cases import Cases

RACES: Final = int(os.environ.get("RACES", "3"))
ENOUGH: Final = 150
"""Races in which what depends on chance must have happened."""
OFFICERS: Final = 30
"""How many leave one case, one after the other; the last one closes it."""

Told = Counter[tuple[int, str | None]]
"""How often what was answered: a status, and the code of a problem."""


@pytest.fixture(scope="module")
async def office(run: Run, keys: Path, server_url: str) -> AsyncIterator[Office]:
    """One office for all races, where commits are real."""
    with fresh_database(run, keys, server_url) as settings:
        async with office_on(settings, Clock()) as office:
            yield office


def correcting(office: Office, who: Caller) -> Request:
    return lambda: office.intake.send(
        "PATCH", f"/v1/parties/{who.party_id}", {"employee_number": f"new-{who.party_id[:8]}"}
    )


def removing(office: Office, who: Caller) -> Request:
    return posting(office.intake, f"/v1/parties/{who.party_id}/removals", {"reason": "wrong_person"})


def releasing(office: Office, who: Caller) -> Request:
    return posting(office.intake, f"/v1/parties/{who.party_id}/identity-releases")


OPPONENTS: Final[dict[str, tuple[Callable[[Office, Caller], Request], set[tuple[int, str | None]]]]] = {
    "corrected": (correcting, {(409, "identity-fixed")}),
    "removed": (removing, {(201, None)}),
    # Before the withdrawal there is nothing to release, afterwards there is.
    "released": (releasing, {(201, None), (409, "identity-not-bound")}),
}


async def race(office: Office, opponent: str, races: int = RACES, until: int | None = None) -> tuple[Told, Told]:
    """What the withdrawals were answered, and the office that did something to the party meanwhile.

    The office begins, and the withdrawal comes at any moment of what it does. With `until`, they end with that status.
    """
    dice, request = random.Random(20260302), OPPONENTS[opponent][0]  # noqa: S311 - the same races each time
    withdrawals, others, takes = Told(), Told(), 0.0
    while withdrawals.total() < races:
        officers = min(OFFICERS, races - withdrawals.total() + 1)
        story = await (await office.file(officers=[{} for _ in range(officers)])).to_asking()
        for n, who in enumerate(story.officers):
            left, other, took = await _at_once(withdrawing(story, who), dice.uniform(0, takes), request(office, who))
            takes = took if n == 0 else (takes + took) / 2
            withdrawals[left.status_code, left.json().get("code")] += 1
            others[other.status_code, other.json().get("code")] += 1
            if left.status_code == until:
                return withdrawals, others
        await require_kept(story, withdrawals)
    return withdrawals, others


async def _at_once(
    withdrawal: Request, later: float, opponent: Request
) -> tuple[httpx.Response, httpx.Response, float]:
    """Both answers, and how long the opponent took, in seconds."""

    async def wait() -> httpx.Response:
        await asyncio.sleep(later)
        return await withdrawal()

    async def time() -> tuple[httpx.Response, float]:
        began = perf_counter()
        answer = await opponent()
        return answer, perf_counter() - began

    (answer, took), left = await asyncio.gather(time(), wait())
    return left, answer, took


async def require_kept(story: Story, withdrawals: Told) -> None:
    """What was acknowledged is on record, once for each officer."""
    kept = await story.office.coordinator.get(f"{story.path}/withdrawals")
    people = [each["party_id"] for each in kept["items"]]  # type: ignore[attr-defined]
    assert len(people) == len(set(people))
    if set(withdrawals) == {(201, None)}:
        assert set(people) == {who.party_id for who in story.officers}


@pytest.mark.parametrize("opponent", list(OPPONENTS))
async def test_a_withdrawal_stands_while_the_party_is_corrected_removed_or_released(
    office: Office, opponent: str
) -> None:
    withdrawals, others = await race(office, opponent)
    assert set(withdrawals) == {(201, None)}, withdrawals
    assert set(others) <= OPPONENTS[opponent][1], others


async def test_found_after_the_wait_for_the_lock_the_party_would_be_gone(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cases, "lock_to_withdraw", Cases.lock)
    withdrawals, _ = await race(office, "removed", ENOUGH, until=404)
    assert withdrawals[404, "not-found"] > 0, withdrawals
