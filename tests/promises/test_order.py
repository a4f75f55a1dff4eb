"""Order is the stream's: clocks of hosts decide nothing that somebody sees, and nothing that a command made.

Two applications stand on one database, as two hosts do, and their clocks differ. What happened to a case is in the
order of the commands that its lock let through, one version of the case for each.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import RowMapping, text
from tests.conftest import Clock, application, calling

from mediation_api.database.engine import Database
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain.events import Event, Visibility
from mediation_api.settings import Settings

pytestmark = pytest.mark.drawn

LEAVERS: Final = 100 if os.environ.get("RACES") == "200" else 12
SKEW: Final = timedelta(seconds=20)
SHARED: Final = {event.kind for event in Event.__subclasses__() if event.visibility is Visibility.PARTICIPANTS}


@dataclass(slots=True)
class Behind(Clock):
    """A clock that is behind another."""

    other: Clock = field(default_factory=Clock)

    def __call__(self) -> datetime:
        return self.other() - SKEW


@dataclass(slots=True)
class Hosts:
    """Two hosts on one database. The second one's clock is behind."""

    database: Database
    first: Office
    second: Office

    def later(self) -> None:
        """Let more time pass than the clocks differ by."""
        self.first.clock.advance(seconds=SKEW.total_seconds() * 3)

    def on_second(self, who: Caller) -> Caller:
        """The same person, calling the other host."""
        return replace(who, office=self.second, given=who.token)

    async def events(self, story: Story) -> list[RowMapping]:
        """All events of a case, in their order."""
        async with self.database.transaction() as connection:
            found = await connection.execute(
                text("SELECT * FROM events WHERE case_id = :case ORDER BY position").bindparams(
                    case=UUID(story.case_id)
                )
            )
            return list(found.mappings())


@pytest.fixture
async def hosts(committed: Settings, clock: Clock, committed_database: Database) -> AsyncIterator[Hosts]:
    behind = Behind(other=clock)
    async with (
        calling(application(committed, clock, committed_database)) as one,
        calling(application(committed, behind, committed_database)) as other,
    ):
        yield Hosts(
            committed_database,
            Office(one, committed, clock),
            # Its tokens are those of the first: the clocks of hosts may differ by less than a token forgives.
            Office(other, committed, clock),
        )


async def _shown(who: Caller, story: Story) -> list[str]:
    """The ids of what somebody sees on the timeline."""
    found: list[str] = []
    path = f"{story.path}/timeline?limit=100"
    while path:
        answer = await who.send("GET", path)
        assert answer.status_code == httpx.codes.OK, answer.text
        found += [str(item["id"]) for item in answer.json()["items"]]
        path = answer.links.get("next", {}).get("url", "")
    return found


def _foreign(events: list[RowMapping], who: Caller, shown: list[str]) -> list[str]:
    """What stands after the command by which somebody left, and is shown to them all the same."""
    left = max(
        n
        for n, event in enumerate(events)
        if event["kind"] == "party.withdrew" and str(event["party_id"]) == who.party_id
    )
    return [str(event["kind"]) for event in events[left + 1 :] if str(event["id"]) in shown]


# ── what a leaver sees ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_left_sees_no_session_that_a_host_with_a_clock_behind_scheduled_afterwards(hosts: Hosts) -> None:
    story = await (await hosts.first.file(complainants=[{}, {}])).to_ready()
    await story.assign()
    hosts.later()
    leaver = story.complainants[1]
    await story.withdraw(leaver)

    booking = story.booking()
    await hosts.on_second(hosts.first.coordinator).post(f"{story.path}/sessions", booking)

    events = await hosts.events(story)
    scheduled = next(event for event in events if event["kind"] == "session.scheduled")
    left = next(event for event in events if event["kind"] == "party.withdrew")
    assert scheduled["at"] < left["at"], "the clocks did not differ"
    assert _foreign(events, leaver, await _shown(leaver, story)) == []


async def test_who_joined_sees_what_a_host_with_a_clock_behind_scheduled_afterwards(hosts: Hosts) -> None:
    story = await (await hosts.first.file()).to_ready()
    await story.assign()
    late = {"side": "complainant", "name": "Late"}
    added = await hosts.first.intake.post(f"/v1/complaints/{story.complaint_id}/parties", late)
    code = await hosts.first.intake.post(f"/v1/parties/{added['id']}/access-codes")
    newcomer = await hosts.first.signed_in(str(code["access_code"]))
    await story.answer(newcomer)
    await hosts.on_second(hosts.first.coordinator).post(f"{story.path}/sessions", story.booking())

    events = await hosts.events(story)
    scheduled = next(str(event["id"]) for event in events if event["kind"] == "session.scheduled")
    assert scheduled in await _shown(newcomer, story)


async def test_the_close_is_the_last_that_a_party_sees_whatever_the_clocks_say(hosts: Hosts) -> None:
    story = await (await hosts.first.file()).to_scheduled()
    hosts.later()
    await story.withdraw(hosts.on_second(story.officers[0]))

    events = await hosts.events(story)
    shown = await _shown(story.complainants[0], story)
    kinds = [event["kind"] for event in events if str(event["id"]) in shown]
    assert kinds[-2:] == ["session.scheduled", "case.closed"], "which session was called off tells who brought it about"


async def _raced(hosts: Hosts, leavers: int) -> tuple[Story, list[Caller]]:
    """Everybody but one leaves while sessions are scheduled and cancelled by the host whose clock is behind."""
    story = await (await hosts.first.file(complainants=[{} for _ in range(leavers + 1)])).to_ready()
    await story.assign()
    hosts.later()
    coordinator = hosts.on_second(hosts.first.coordinator)
    leaving = story.complainants[1:]
    done = asyncio.Event()

    async def schedule() -> None:
        while not done.is_set():
            scheduled = await coordinator.send("POST", f"{story.path}/sessions", story.booking())
            assert scheduled.status_code in {201, 409}, scheduled.text
            if scheduled.status_code == httpx.codes.CREATED:
                await coordinator.post(f"/v1/sessions/{scheduled.json()['id']}/cancel", None, 200)

    async def leave() -> None:
        for who in leaving:
            await story.withdraw(who)
        done.set()

    await asyncio.gather(schedule(), leave())
    return story, leaving


async def test_no_leaver_sees_what_was_scheduled_after_leaving(hosts: Hosts) -> None:
    seen = 0
    for start in range(0, LEAVERS, 12):
        story, leavers = await _raced(hosts, min(12, LEAVERS - start))
        events = await hosts.events(story)
        for who in leavers:
            shown = await _shown(who, story)
            assert _foreign(events, who, shown) == []
            seen += len(shown)
    assert seen > LEAVERS, "they saw nothing at all"


async def test_by_the_clocks_of_hosts_they_would(hosts: Hosts) -> None:
    """The rule of before, on what a race left behind: instants, stamped before the lock, and compared."""
    story, leavers = await _raced(hosts, 12)
    events = await hosts.events(story)
    by_clock = [
        event
        for who in leavers
        for n, left in enumerate(events)
        if left["kind"] == "party.withdrew" and str(left["party_id"]) == who.party_id
        for event in events[n + 1 :]
        if event["kind"] in SHARED and events[0]["at"] < event["at"] < left["at"]
    ]
    assert by_clock


# ── one command, one version ───────────────────────────────────────────────────────────────────────────────────────


async def test_each_command_on_a_case_has_one_version_and_they_follow_each_other(hosts: Hosts) -> None:
    story, _ = await _raced(hosts, 6)
    events = await hosts.events(story)
    versions = [event["version"] for event in events]
    assert versions == sorted(versions)
    assert set(versions) == set(range(1, versions[-1] + 1)), "a command without a version, or a version without one"
    async with hosts.database.transaction() as connection:
        row = (
            await connection.execute(
                text("SELECT version FROM cases WHERE id = :id").bindparams(id=UUID(story.case_id))
            )
        ).one()
        parties = (
            await connection.execute(
                text("SELECT * FROM participants WHERE case_id = :id").bindparams(id=UUID(story.case_id))
            )
        ).mappings()
        assert row.version == versions[-1]
        for party in parties:
            of = [event for event in events if event["party_id"] == party["party_id"]]
            assert party["joined_version"] == next(f["version"] for f in of if f["kind"] == "party.joined")
            assert party["left_version"] == next((f["version"] for f in of if f["kind"] == "party.withdrew"), None)


# ── which text was superseded, which record was made ───────────────────────────────────────────────────────────────


async def test_who_left_is_not_told_that_the_text_was_superseded_afterwards(hosts: Hosts) -> None:
    story = await (await hosts.first.file(complainants=[{}, {}])).to_signed()
    leaver, signed = story.complainants[1], str(story.agreement["id"])
    hosts.later()
    await story.withdraw(leaver)
    body = {"kind": "confidentiality", "languages": ["en"]}
    await hosts.on_second(hosts.first.coordinator).post(f"{story.path}/agreements", body)

    assert (await leaver.get(f"/v1/agreements/{signed}"))["superseded_at"] is None
    assert (await story.complainants[0].get(f"/v1/agreements/{signed}"))["superseded_at"] is not None


async def test_an_approval_that_a_host_with_a_clock_behind_records_is_answered_with_itself(hosts: Hosts) -> None:
    story = await hosts.first.file()
    director = hosts.first.director
    await director.post(f"{story.path}/approvals", {"approver": "director", "approved": True})

    told = {"given_by": "Captain Lee", "given_on": "2026-03-02", "channel": "phone"}
    second = {"approver": "internal_affairs", "approved": True, **told}
    answer = await hosts.on_second(director).post(f"{story.path}/approvals", second)

    assert answer["approver"] == "internal_affairs"


async def test_a_screening_that_a_host_with_a_clock_behind_records_is_answered_and_listed_last(hosts: Hosts) -> None:
    story = await hosts.first.file(intake={})
    first = await story.screen()
    assert first["eligible"] is None
    override = {"eligible": True, "reason": "The court case is over."}
    second = await hosts.on_second(hosts.first.director).post(f"{story.path}/screenings", override)

    assert second["eligible"] is True
    listed = await hosts.first.intake.get(f"{story.path}/screenings")
    assert [item["id"] for item in listed["items"]] == [first["id"], second["id"]]  # type: ignore[attr-defined]
    async with hosts.database.transaction() as connection:
        eligible = text("SELECT eligible FROM screenings WHERE case_id = :id ORDER BY version DESC LIMIT 1")
        assert await connection.scalar(eligible.bindparams(id=UUID(story.case_id))) is True


async def test_a_reading_is_shown_by_what_was_seen_and_not_by_the_reader_s_clock(hosts: Hosts) -> None:
    """Staff who open the case while answers are awaited: with a clock behind, it would count as before the question."""
    story = await (await hosts.first.file(complainants=[{}, {}])).to_confirming()
    await story.answer(story.complainants[0])
    await hosts.on_second(hosts.first.coordinator).get(story.path)

    assert "coordinator" not in await _readers(story.complainants[1], story)
    await story.answer(story.complainants[1])
    await story.answer(story.officers[0])
    assert "coordinator" in await _readers(story.complainants[1], story)


async def _readers(who: Caller, story: Story) -> list[str]:
    """Who opened the case, as far as somebody is shown that."""
    shown = await who.get(f"{story.path}/access-log")
    return [item["by_role"] for item in shown["items"]]  # type: ignore[attr-defined]
