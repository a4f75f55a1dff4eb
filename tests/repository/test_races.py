"""Two and more requests at once, on connections of their own and with real commits: nothing lost, nothing double.

Each race is run three times; `RACES=1000 pytest -n0 tests/repository/test_races.py` runs each of them more often. Two
tests remove one protection and see that the races detect it.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Select, text
from tests.conftest import Clock, Run, fresh_database, office_on
from tests.repository.statements import put_together_anew

from mediation_api.database.engine import Database
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.settings import Settings

RACES: Final = int(os.environ.get("RACES", "3"))
COMPLAINANTS: Final = 5
"""How many leave one case, one after the other; the last one closes it."""

ENOUGH: Final = 50
"""Races in which what depends on chance must have happened."""

Request = Callable[[], Awaitable[httpx.Response]]


class Starter:
    """Lets requests go at once, in an order and with a head start that differ from race to race."""

    def __init__(self) -> None:
        self._dice = random.Random(20260302)  # noqa: S311 - the same races each time

    async def race(self, *requests: Request) -> list[httpx.Response]:
        """The answers, in the order in which the requests were given; none of them is a 5xx."""
        order = self._dice.sample(range(len(requests)), len(requests))
        waits = {n: self._dice.choice((0.0, 0.0, 0.001, 0.002, 0.004)) for n in order}

        async def one(n: int) -> tuple[int, httpx.Response]:
            await asyncio.sleep(waits[n])
            return n, await requests[n]()

        answers = dict(await asyncio.gather(*(one(n) for n in order)))
        for answer in answers.values():
            assert answer.status_code < 500, f"{answer.request.url.path} answered {answer.status_code}"
        return [answers[n] for n in range(len(requests))]


@pytest.fixture
def starter() -> Starter:
    return Starter()


@pytest.fixture(scope="module")
async def office(run: Run, keys: Path, server_url: str) -> AsyncIterator[Office]:
    """One office for all races, where commits are real."""
    with fresh_database(run, keys, server_url) as settings:
        async with office_on(settings, Clock()) as office:
            yield office


def posting(who: Caller, path: str, body: object = None) -> Request:
    return lambda: who.send("POST", path, body)


def withdrawing(story: Story, who: Caller) -> Request:
    return posting(who, f"{story.path}/withdrawals")


async def timeline(story: Story) -> list[dict[str, object]]:
    """All events of the case, in the order in which they were written."""
    events: list[dict[str, object]] = []
    cursor = ""
    while True:
        page = await story.office.coordinator.get(f"{story.path}/timeline?limit=100{cursor}")
        items = page["items"]
        assert isinstance(items, list)
        events += items
        if page["next_cursor"] is None:
            return events
        cursor = f"&cursor={page['next_cursor']}"


def field(event: dict[str, object], name: str) -> object:
    data = event["data"]
    assert isinstance(data, dict)
    return data[name]


async def require_one_history(story: Story, *left: Caller) -> str:
    """The state, once the events read as if each request had come alone.

    Each move starts where the one before it ended, nothing follows the close, nobody sits in a session that started
    after they had left, and those whose withdrawal was acknowledged have `left`, whatever came at the same time.
    """
    case = await story.case()
    state, gone, closed = "screening", set(), False
    for event in await timeline(story):
        # A complaint may still be added to once its case has closed.
        assert not closed or event["kind"] == "party.added", f"{event['kind']} after the close"
        if event["kind"] == "case.state_changed":
            assert field(event, "from_state") == state, "a move from where the case was not"
            state = str(field(event, "to_state"))
        elif event["kind"] == "party.withdrew":
            gone.add(field(event, "party_id"))
        elif event["kind"] == "session.started":
            present = field(event, "present")
            assert isinstance(present, list)
            assert gone.isdisjoint(seat["id"] for seat in present), "somebody who had left was counted as present"
        closed = event["kind"] == "case.closed"
    assert case["state"] == state
    withdrawals = await story.office.coordinator.get(f"{story.path}/withdrawals")
    assert {w["party_id"] for w in withdrawals["items"]} == gone  # type: ignore[attr-defined]
    assert {who.party_id for who in left} <= gone, "a withdrawal that was acknowledged is lost"
    standing = {p["party_id"]: p["standing"] for p in case["participants"]}  # type: ignore[attr-defined]
    assert all(standing[party_id] == "withdrawn" for party_id in gone)
    return state


async def stories(office: Office, races: int = RACES) -> AsyncIterator[Story]:
    """Cases with as many complainants as there are races."""
    for _ in range(-(-races // COMPLAINANTS)):
        yield await office.file(complainants=[{} for _ in range(COMPLAINANTS)])


# ── withdrawal against everything ──────────────────────────────────────────────────────────────────────────────────


async def race_withdrawals_against_starts(office: Office, starter: Starter, races: int = RACES) -> None:
    async for story in stories(office, races):
        await story.to_signed()
        mediator = story.mediator
        assert mediator is not None
        for who in story.complainants:
            start = posting(mediator, f"/v1/sessions/{story.session_id}/start", {})
            left, started = await starter.race(withdrawing(story, who), start)
            assert left.status_code == 201
            state = await require_one_history(story, who)
            assert state == ("withdrawn" if who is story.complainants[-1] else "in_session")
            # The session begins, or the case was closed before it could.
            assert started.status_code == 200 or (started.status_code, state) == (409, "withdrawn")
            session = await mediator.get(f"/v1/sessions/{story.session_id}")
            ended = "ended" if started.status_code == 200 else "cancelled"
            assert session["state"] == ("in_progress" if state == "in_session" else ended)
            if state == "in_session":
                await story.session("adjourn")
                await story.schedule()


async def test_a_withdrawal_is_not_lost_to_the_start_of_a_session(office: Office, starter: Starter) -> None:
    await race_withdrawals_against_starts(office, starter)


@pytest.mark.drawn
async def test_without_the_lock_of_the_case_the_race_would_tell(
    office: Office, starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Select, "with_for_update", lambda statement, **_: statement)

    told = pytest.raises(AssertionError, match=r"was not|had left|after the close|answered 50")
    with put_together_anew(), told:
        await race_withdrawals_against_starts(office, starter, ENOUGH)


async def test_a_withdrawal_is_not_lost_to_a_consent(office: Office, starter: Starter) -> None:
    """The same party agrees and withdraws at once: whichever came first, it has left."""
    shown = await office.shown_disclosure()
    agreed = {"decision": "agreed", "disclosure_sha256": shown}
    async for story in stories(office):
        await story.to_confirming()
        for who in story.complainants:
            consenting = posting(who, f"{story.path}/consents", agreed)
            left, answered = await starter.race(withdrawing(story, who), consenting)
            assert left.status_code == 201
            assert answered.status_code in {201, 409}
            assert await require_one_history(story, who) in {"confirming", "asking", "withdrawn"}
            consents = await office.coordinator.get(f"{story.path}/consents")
            kept = who.party_id in {c["party_id"] for c in consents["items"]}  # type: ignore[attr-defined]
            assert kept == (answered.status_code == 201)
        assert await story.state() == "withdrawn"


async def test_a_withdrawal_is_not_lost_to_the_answer_of_another(office: Office, starter: Starter) -> None:
    shown = await office.shown_disclosure()
    agreed = {"decision": "agreed", "disclosure_sha256": shown}
    for _ in range(RACES):
        story = await (await office.file()).to_asking()
        consenting = posting(story.officers[0], f"{story.path}/consents", agreed)
        left, answered = await starter.race(withdrawing(story, story.complainants[0]), consenting)
        assert left.status_code == 201
        assert answered.status_code in {201, 409}
        assert await require_one_history(story) == "withdrawn"


async def test_a_withdrawal_is_not_lost_to_a_booking(office: Office, starter: Starter) -> None:
    async for story in stories(office):
        await story.to_ready()
        await story.assign()
        for who in story.complainants:
            booking = posting(office.coordinator, f"{story.path}/sessions", story.booking())
            left, booked = await starter.race(withdrawing(story, who), booking)
            assert left.status_code == 201
            state = await require_one_history(story, who)
            if who is story.complainants[-1]:
                assert state == "withdrawn"
                assert booked.status_code in {201, 409}
            else:
                assert (booked.status_code, state) == (201, "scheduled")
                cancelling = f"/v1/sessions/{booked.json()['id']}/cancel"
                await office.coordinator.post(cancelling, None, 200)
        sessions = await office.coordinator.get(f"/v1/sessions?case_id={story.case_id}")
        assert {s["state"] for s in sessions["items"]} <= {"cancelled"}  # type: ignore[attr-defined]


async def test_a_withdrawal_and_a_close_never_both_happen(office: Office, starter: Starter) -> None:
    outcomes: Counter[str] = Counter()
    while outcomes.total() < RACES or len(outcomes) < 2:
        assert outcomes.total() < RACES + ENOUGH, f"only one order was ever tried: {outcomes}"
        story = await (await office.file()).to_concluded()
        closing = posting(office.coordinator, f"{story.path}/closures", {"agreement_reached": False})
        left, closed = await starter.race(withdrawing(story, story.complainants[0]), closing)
        assert {left.status_code, closed.status_code} == {201, 409}
        state = await story.state()
        assert state == ("withdrawn" if left.status_code == 201 else "mediated")
        withdrawals = await office.coordinator.get(f"{story.path}/withdrawals")
        assert len(withdrawals["items"]) == (left.status_code == 201)  # type: ignore[arg-type]
        outcomes[state] += 1


async def test_a_withdrawal_is_not_held_up_by_a_party_that_is_added(office: Office, starter: Starter) -> None:
    for _ in range(RACES):
        story = await (await office.file()).to_ready()
        added = {"side": "complainant", "name": "Late Comer"}
        adding = posting(office.intake, f"/v1/complaints/{story.complaint_id}/parties", added)
        left, joined = await starter.race(withdrawing(story, story.officers[0]), adding)
        assert (left.status_code, joined.status_code) == (201, 201)
        assert await require_one_history(story) == "withdrawn"


async def test_a_party_is_removed_although_its_case_closes_while_the_removal_waits(office: Office) -> None:
    """The removal found the case open, and gets its lock after a withdrawal has closed it."""
    story = await (await office.file()).to_confirming()
    officer = story.officers[0]
    removal = posting(office.intake, f"/v1/parties/{officer.party_id}/removals", {"reason": "wrong_person"})
    database = Database.of(office.settings)
    async with database.transaction() as connection:
        await connection.execute(text("SELECT FROM cases WHERE id = :id FOR UPDATE"), {"id": story.case_id})
        leaving = asyncio.ensure_future(withdrawing(story, story.complainants[0])())
        await until_waiting(database, 1)
        removing = asyncio.ensure_future(removal())
        await until_waiting(database, 2)
    await database.close()
    assert ((await leaving).status_code, (await removing).status_code) == (201, 201)
    assert await story.state() == "withdrawn"
    party = await office.intake.get(f"/v1/parties/{officer.party_id}")
    assert party["removal_reason"] == "wrong_person"


WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def until_waiting(database: Database, number: int) -> None:
    """Return once this many statements wait for a lock."""
    async with asyncio.timeout(5), database.reading() as connection:
        while await connection.scalar(WAITING) < number:  # noqa: ASYNC110 - the database sends no event
            await asyncio.sleep(0.01)


async def test_a_withdrawal_that_is_said_twice_at_once_is_one(office: Office, starter: Starter) -> None:
    async for story in stories(office):
        for who in story.complainants:
            both = await starter.race(withdrawing(story, who), withdrawing(story, who))
            assert sorted(answer.status_code for answer in both) == [200, 201]
            assert len({answer.json()["id"] for answer in both}) == 1
        assert await require_one_history(story) == "withdrawn"


# ── answers, requests, signatures ──────────────────────────────────────────────────────────────────────────────────


async def test_the_last_two_answers_make_a_case_ready_once(office: Office, starter: Starter) -> None:
    shown = await office.shown_disclosure()
    agreed = {"decision": "agreed", "disclosure_sha256": shown}
    for _ in range(RACES):
        story = await (await office.file(officers=[{}, {}])).to_asking()
        answers = [posting(officer, f"{story.path}/consents", agreed) for officer in story.officers]
        assert [a.status_code for a in await starter.race(*answers)] == [201, 201]
        assert await require_one_history(story) == "ready"
        moves = [field(f, "trigger") for f in await timeline(story) if f["kind"] == "case.state_changed"]
        assert moves == ["found_eligible", "complainants_answered", "officers_answered"]


async def test_two_requests_for_mediation_open_one_case(office: Office, starter: Starter) -> None:
    for _ in range(RACES):
        body = {
            "channel": "phone",
            "narrative": "He would not give his name.",
            "allegations": ["discourtesy"],
            "interested_in_mediation": False,
            "parties": [{"side": "complainant", "name": "Rosa Alvarez"}],
        }
        filed = await office.intake.post("/v1/complaints", body)
        path = f"/v1/complaints/{filed['id']}"
        asking = posting(office.intake, f"{path}/mediation-requests")
        answers = await starter.race(asking, asking)
        assert sorted(a.status_code for a in answers) == [201, 409]
        complaint = await office.intake.get(path)
        assert len(complaint["cases"]) == 1  # type: ignore[arg-type]


async def test_a_signature_that_is_given_twice_at_once_is_one(office: Office, starter: Starter) -> None:
    async for story in stories(office):
        await story.to_scheduled()
        await story.make_agreement()
        path = f"/v1/agreements/{story.agreement['id']}"
        for who in story.complainants:
            signing = posting(who, f"{path}/signatures", {"sha256": story.agreement["sha256"]})
            answers = await starter.race(signing, signing)
            assert sorted(a.status_code for a in answers) == [201, 409]
        seen = await office.coordinator.get(path)
        assert len(seen["signatures"]) == COMPLAINANTS  # type: ignore[arg-type]


async def test_a_text_that_is_replaced_takes_no_signature_with_it(office: Office, starter: Starter) -> None:
    """A signature and a new text at once: the signature is on the old text or refused, never on the new one."""
    story = await (await office.file()).to_scheduled()
    await story.make_agreement()
    for _ in range(RACES):
        signing = posting(
            story.complainants[0],
            f"/v1/agreements/{story.agreement['id']}/signatures",
            {"sha256": story.agreement["sha256"]},
        )
        body = {"kind": "confidentiality", "languages": ["en"]}
        making = posting(office.coordinator, f"{story.path}/agreements", body)
        signed, made = await starter.race(signing, making)
        assert signed.status_code in {201, 409}
        assert made.status_code == 201
        old = await office.coordinator.get(f"/v1/agreements/{story.agreement['id']}")
        new = await office.coordinator.get(f"/v1/agreements/{made.json()['id']}")
        assert len(old["signatures"]) == (signed.status_code == 201)  # type: ignore[arg-type]
        assert old["superseded_at"] is not None
        assert new["signatures"] == []
        story.agreement = new


async def test_who_signs_while_leaving_has_signed_or_is_shown_nothing(office: Office, starter: Starter) -> None:
    """A signature that waited behind the withdrawal is decided on what its signer reaches by then."""
    answers = set()
    async for story in stories(office):
        await story.to_scheduled()
        await story.make_agreement()
        path = f"/v1/agreements/{story.agreement['id']}"
        for who in story.complainants:
            signing = posting(who, f"{path}/signatures", {"sha256": story.agreement["sha256"]})
            left, signed = await starter.race(withdrawing(story, who), signing)
            assert left.status_code == 201
            answers.add(signed.status_code)
            kept = await office.coordinator.get(path)
            signers = {each["signer_id"] for each in kept["signatures"]}  # type: ignore[attr-defined]
            assert (who.party_id in signers) == (signed.status_code == 201)
    assert answers <= {201, 404}


# ── bookings ───────────────────────────────────────────────────────────────────────────────────────────────────────

OVERLAPS = text(
    """
    SELECT count(*) FROM sessions a JOIN sessions b ON a.id < b.id AND a.mediator_id = b.mediator_id
    AND a.during && b.during AND a.state IN ('scheduled', 'in_progress') AND b.state IN ('scheduled', 'in_progress')
    """
)


async def with_one_mediator(office: Office, number: int) -> list[Story]:
    """Cases that are ready, and all have the same mediator."""
    mediator = await office.mediator()
    ready = []
    for _ in range(number):
        story = await (await office.file()).to_ready()
        await story.assign(mediator)
        ready.append(story)
    return ready


async def book(office: Office, ready: list[Story], starter: Starter, *starts: timedelta) -> list[int]:
    """Book a session for each case at once; those that got one are no longer ready."""
    bookings = []
    for n, story in enumerate(ready):
        starts_at = office.clock.now + starts[n % len(starts)]
        times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=2)).isoformat()}
        bookings.append(posting(office.coordinator, f"{story.path}/sessions", story.booking(**times)))
    answers = await starter.race(*bookings)
    refused = {a.json()["code"] for a in answers if a.status_code == 409}
    assert refused <= {"mediator-taken"}
    ready[:] = [story for story, a in zip(ready, answers, strict=True) if a.status_code != 201]
    return [a.status_code for a in answers]


@pytest.mark.drawn
async def test_of_twelve_bookings_of_one_mediator_at_one_hour_one_is_accepted(
    committed_office: Office, committed: Settings, as_owner: Callable[[Settings], Settings], starter: Starter
) -> None:
    ready = await with_one_mediator(committed_office, 12)

    for day in (1, 2, 3, 4):
        answers = await book(committed_office, ready, starter, timedelta(days=day))
        assert sorted(answers) == [201, *[409] * (len(answers) - 1)]

    # Each of these overlaps with its neighbours: at most every other one fits.
    hours = [timedelta(days=5, hours=n) for n in range(8)]
    answers = await book(committed_office, ready, starter, *hours)
    assert 3 <= answers.count(201) <= 4

    database = Database.of(as_owner(committed))
    async with database.transaction() as connection:
        assert await connection.scalar(OVERLAPS) == 0
        await connection.execute(text("ALTER TABLE sessions DROP CONSTRAINT mediator_taken"))
    # Without the constraint nothing would stop them.
    answers = await book(committed_office, ready, starter, timedelta(days=9))
    assert answers.count(201) == len(answers) > 1
    async with database.reading() as connection:
        assert await connection.scalar(OVERLAPS) != 0
    await database.close()


async def test_a_party_that_is_added_while_a_case_opens_is_in_it(office: Office, starter: Starter) -> None:
    for _ in range(RACES):
        story = await office.file()
        await story.withdraw(story.complainants[0])
        path = f"/v1/complaints/{story.complaint_id}"
        added = {"side": "complainant", "name": "Late Comer"}
        adding = posting(office.intake, f"{path}/parties", added)
        requesting = posting(office.intake, f"{path}/mediation-requests")
        joined, opened = await starter.race(adding, requesting)
        assert (joined.status_code, opened.status_code) == (201, 201)
        case = await office.coordinator.get(f"/v1/cases/{opened.json()['id']}")
        assert joined.json()["id"] in {p["party_id"] for p in case["participants"]}  # type: ignore[attr-defined]


async def _wait_for_waiters(database: Database, number: int) -> None:
    """Return once that many connections wait for a lock."""
    waiters = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while True:
            async with database.reading() as connection:
                if await connection.scalar(waiters) == number:
                    return
            await asyncio.sleep(0.01)


async def test_a_party_is_removed_although_its_case_closes_meanwhile(
    committed_office: Office, committed_database: Database
) -> None:
    """The removal waits behind a withdrawal that closes the case, and is then recorded of the complaint alone."""
    story = await (await committed_office.file()).to_asking()
    wrong = story.officers[0]
    async with committed_database.transaction() as connection:
        await connection.execute(
            text("SELECT FROM cases WHERE id = :id FOR NO KEY UPDATE"), {"id": UUID(story.case_id)}
        )
        leaving = asyncio.create_task(story.withdraw(story.complainants[0]))
        await _wait_for_waiters(committed_database, 1)
        removing = asyncio.create_task(story.remove(wrong))
        await _wait_for_waiters(committed_database, 2)
    await leaving
    await removing

    assert await story.state() == "withdrawn"
    party = await committed_office.intake.get(f"/v1/parties/{wrong.party_id}")
    assert party["removal_reason"] == "wrong_person"
