"""Four clients at once on one case, on real commits: all that they were told reads as if one had come after the other.

Each history is one case, from one of three places in its life, and thirty-six operations of four clients that go on at
once: answers, withdrawals, signatures, sessions, and reads of the case, its timeline and its papers. A client that does
not wait for an answer leaves its operation open, as whose outcome nobody knows. A checker of linearizability looks for
the one order that explains everything (linearizability.py), with a model of the case (register.py).

The suite runs a few histories; `HISTORIES=whole`, as `make security` has it, runs 504, in two parts.
"""

import asyncio
import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final

import httpx
import pytest
from sqlalchemy import Select
from tests.repository.statements import put_together_anew
from tests.security.linearizability import Operation, violation
from tests.security.register import MEDIATOR, SESSIONS, SIDES, Ask, Event, Paper, Register, Told, step

from mediation_api.database.nesting import AnyRow
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain.access import AccessScope
from mediation_api.repository.case_queries import CaseQueries

pytestmark = pytest.mark.drawn

WHOLE: Final = os.environ.get("HISTORIES") == "whole"
PARTS: Final = 2 if WHOLE else 1
"""Each of which another core may run."""
HISTORIES: Final = 252 if WHOLE else 4
"""Of one part."""
CLIENTS: Final = 4
EACH: Final = 9
SEED: Final = 20260302
PAUSES: Final = (0.0, 0.0, 0.0, 0.001, 0.003)
LIMIT_SECONDS: Final = 60.0
"""In which a planted fault must be found."""
UNANSWERED: Final = 0.03
"""How often a client does not wait."""

LAST: Final = ("board", "timeline", "papers", "withdrawals")
"""What is read of each case in the end."""
READS: Final[dict[str, float]] = {"board": 5, "own": 6, "timeline": 5, "papers": 2, "withdrawals": 2}
PLACES: Final[dict[str, dict[str, float]]] = {
    "confirming": READS | {"agree": 16, "decline": 1, "withdraw": 1, "make": 1, "sign": 4, "schedule": 3},
    "ready": READS | {"schedule": 6, "make": 1, "sign": 12, "start": 3, "cancel": 2, "withdraw": 1, "recuse": 0.3},
    "signed": READS
    | {"start": 6, "cancel": 2, "adjourn": 3, "complete": 2, "schedule": 6, "close": 3, "make": 0.5, "sign": 4}
    | {"withdraw": 1.5, "recuse": 0.5},
}
"""Where a history begins, and how often each operation is drawn there."""


@dataclass(slots=True)
class History:
    """One case, and what four clients asked of it and were told."""

    story: Story
    number: int
    place: str
    initial: Register
    before: int
    """How many events there were."""
    sessions: list[str]
    papers: dict[str, str]
    """What can be signed, by id: the hash of its text."""
    operations: list[Operation[Ask, Told]] = field(default_factory=list)
    open: list[asyncio.Task[httpx.Response]] = field(default_factory=list)
    errors: int = 0

    @classmethod
    async def begin(cls, office: Office, number: int) -> "History":
        """Bring a case to where the history begins."""
        place = list(PLACES)[number % len(PLACES)]
        story = await (await office.file(complainants=[{}, {}], officers=[{}, {}])).to_confirming()
        await story.assign()
        initial = Register("confirming", tuple("asked" if side == "complainant" else "waiting" for side in SIDES))
        if place != "confirming":
            for who in (*story.complainants, *story.officers):
                await story.answer(who)
            initial = Register("ready", ("agreed",) * len(SIDES))
        if place == "signed":
            await story.schedule()
            await story.sign_all()
            paper = Paper(str(story.agreement["id"]), frozenset(range(MEDIATOR + 1)))
            session = (story.session_id, "scheduled")
            initial = Register("scheduled", ("agreed",) * len(SIDES), sessions=(session,), papers=(paper,))
        papers = {each.id: str(story.agreement["sha256"]) for each in initial.papers}
        history = cls(story, number, place, initial, 0, [each for each, _ in initial.sessions], papers)
        history.before = len(history.events(await office.coordinator.send("GET", f"{story.path}/timeline?limit=100")))
        return history

    @property
    def parties(self) -> list[Caller]:
        return [*self.story.complainants, *self.story.officers]

    def caller(self, who: int) -> Caller:
        """A party or the mediator, by number."""
        mediator = self.story.mediator
        assert mediator is not None
        return [*self.parties, mediator][who]

    # ── the clients ────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Let all clients go on at once; then somebody reads everything."""
        await asyncio.gather(*(self._client(n) for n in range(CLIENTS)))
        await asyncio.gather(*self.open)
        for what in LAST:
            await self._ask(0, Ask(what))

    async def _client(self, number: int) -> None:
        dice = random.Random(f"{SEED} {self.number} {number}")  # noqa: S311 - the same histories each time
        for _ in range(EACH):
            await asyncio.sleep(dice.choice(PAUSES))
            asked = self._drawn(dice)
            waits = asked.what in {*READS, "schedule", "make"} or dice.random() >= UNANSWERED
            await self._ask(number, asked, waits=waits)

    def _drawn(self, dice: random.Random) -> Ask:
        weights = PLACES[self.place]
        (what,) = dice.choices(list(weights), list(weights.values()))
        known = {"sign": list(self.papers), **dict.fromkeys(SESSIONS, self.sessions)}.get(what)
        if known == []:
            return Ask("timeline")
        about = "" if known is None else dice.choice((*known, *known[-1:] * 3))  # mostly the newest
        who = dice.randrange(len(SIDES) + (what == "sign")) if what in BY_PARTIES else MEDIATOR
        return Ask(what, who, about)

    async def _ask(self, client: int, asked: Ask, *, waits: bool = True) -> None:
        called = time.perf_counter()
        request = asyncio.ensure_future(self._request(asked))
        if not waits:
            self.open.append(request)
            self.operations.append(Operation(client, asked, called))
            return
        response = await request
        answered = time.perf_counter()
        if response.status_code >= 500:  # whatever became of it
            self.errors += 1
            self.operations.append(Operation(client, asked, called))
            return
        told = self._told(asked, response)
        self.operations.append(Operation(client, asked, called, answered, told))
        if asked.what == "schedule" and told.status == 201:
            self.sessions.append(str(told.value))
        if asked.what == "make" and told.status == 201:
            self.papers[str(told.value)] = response.json()["sha256"]

    def _request(self, asked: Ask) -> Awaitable[httpx.Response]:
        story, office, path = self.story, self.story.office, self.story.path
        caller = self.caller(asked.who) if asked.what in {*BY_PARTIES, *SESSIONS, "recuse"} else office.coordinator
        shown = {"disclosure_sha256": office.disclosures["en"]}
        where, body = {
            "board": (path, None),
            "own": (path, None),
            "timeline": (f"{path}/timeline?limit=100", None),
            "papers": (f"{path}/agreements", None),
            "withdrawals": (f"{path}/withdrawals", None),
            "agree": (f"{path}/consents", {"decision": "agreed", **shown}),
            "decline": (f"{path}/consents", {"decision": "declined", **shown}),
            "withdraw": (f"{path}/withdrawals", None),
            "schedule": (f"{path}/sessions", story.booking()),
            "make": (f"{path}/agreements", {"kind": "confidentiality", "languages": ["en"]}),
            "sign": (f"/v1/agreements/{asked.about}/signatures", {"sha256": self.papers.get(asked.about)}),
            "recuse": (f"/v1/assignments/{story.assignment_id}/recuse", None),
            "close": (f"{path}/closures", {"agreement_reached": False}),
            **{verb: (f"/v1/sessions/{asked.about}/{verb}", {} if verb == "start" else None) for verb in SESSIONS},
        }[asked.what]
        return caller.send("GET" if asked.what in READS else "POST", where, body)

    # ── what they were told ────────────────────────────────────────────────────────────────────────────────────────

    def _told(self, asked: Ask, response: httpx.Response) -> Told:
        if response.is_error:
            return Told(response.status_code, response.json()["code"] if asked.what not in READS else "")
        read: dict[str, Callable[[httpx.Response], Hashable]] = {
            "board": self._board,
            "own": self._own,
            "timeline": lambda answer: self.events(answer)[self.before :],
            "papers": self._papers,
            "withdrawals": lambda answer: frozenset(self._number(each["party_id"]) for each in answer.json()["items"]),
            "schedule": lambda answer: str(answer.json()["id"]),
            "make": lambda answer: str(answer.json()["id"]),
        }
        return Told(response.status_code, "", read[asked.what](response) if asked.what in read else None)

    def _number(self, party_id: object) -> int:
        return [who.party_id for who in self.parties].index(str(party_id))

    def events(self, answer: httpx.Response) -> tuple[Event, ...]:
        """The timeline as the model has it."""
        page = answer.json()
        assert page["next_cursor"] is None
        events = [
            (
                str(event["kind"]),
                None if event["party_id"] is None else self._number(event["party_id"]),
                str(event["data"]["trigger"]) if event["kind"] == "case.state_changed" else None,
            )
            for event in page["items"]
        ]
        # Those who are asked at one instant are asked in any order.
        runs = [list(run) for _, run in itertools.groupby(events, lambda event: event[0])]
        return tuple(event for run in runs for event in (sorted(run, key=str) if run[0][0] == "party.asked" else run))

    def _board(self, answer: httpx.Response) -> Hashable:
        case = answer.json()
        standing = {self._number(each["party_id"]): str(each["standing"]) for each in case["participants"]}
        accepted = case["assignment"] is not None and case["assignment"]["state"] == "accepted"
        return case["state"], tuple(standing[n] for n in range(len(SIDES))), accepted, _session(case)

    def _own(self, answer: httpx.Response) -> Hashable:
        case = answer.json()
        others = frozenset(self._number(each["party_id"]) for each in case["others"])
        return case["state"], case["you"]["standing"], others, case["mediator_name"] is not None, _session(case)

    def _papers(self, answer: httpx.Response) -> Hashable:
        signers = {who.party_id: n for n, who in enumerate(self.parties)}
        return frozenset(  # the clock stands still: of one instant, any is the first
            (
                paper["id"],
                paper["superseded_at"] is not None,
                frozenset(signers.get(each["signer_id"], MEDIATOR) for each in paper["signatures"]),
            )
            for paper in answer.json()["items"]
        )


BY_PARTIES: Final = ("own", "agree", "decline", "withdraw", "sign")


def _session(case: dict[str, dict[str, str] | None]) -> tuple[str, str] | None:
    live = case["next_session"]
    return None if live is None else (live["id"], live["state"])


async def histories(office: Office, numbers: Iterable[int]) -> AsyncIterator[tuple[History, str | None]]:
    """Histories, each with what is wrong with it."""
    await office.shown_disclosure()
    for number in numbers:
        history = await History.begin(office, number)
        await history.run()
        yield history, violation(history.operations, history.initial, step)


@pytest.mark.parametrize("part", range(PARTS))
async def test_what_four_clients_were_told_at_once_reads_as_one_after_the_other(
    committed_office: Office, part: int, record_property: Callable[[str, object], None]
) -> None:
    began, operations, unknown, done, overlapping = time.monotonic(), 0, 0, 0, 0
    async for history, wrong in histories(committed_office, range(part * HISTORIES, (part + 1) * HISTORIES)):
        assert wrong is None, f"seed {SEED}, history {history.number} ({history.place}): {wrong}"
        assert history.errors == 0
        operations += len(history.operations)
        unknown += sum(each.answer is None for each in history.operations)
        done += sum(
            each.asked.what not in READS and each.answer is not None and each.answer.status < 300
            for each in history.operations
        )
        overlapping += sum(_overlaps(each, history) for each in history.operations)
    assert operations == HISTORIES * (CLIENTS * EACH + len(LAST))
    assert overlapping > operations / 2, "the clients hardly met: this shows little"
    record_property(
        "figure",
        f"part {part + 1} of {PARTS}: {HISTORIES} histories of {CLIENTS} clients, {operations:,} operations, "
        f"0 violations; {overlapping:,} met another, {done:,} writes succeeded, {unknown} of unknown outcome; "
        f"seed {SEED}, {time.monotonic() - began:.0f} s",
    )


def _overlaps(one: Operation[Ask, Told], history: History) -> bool:
    return any(
        one is not each and one.called < each.answered and each.called < one.answered for each in history.operations
    )


def _without_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Select, "with_for_update", lambda statement, **_: statement)


def _with_a_copy_that_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The case is read anew only when the last reading is older than 200 ms."""
    read, copies = CaseQueries.get, dict[Hashable, tuple[float, AnyRow]]()

    async def get(self: CaseQueries, case_id: Hashable, scope: AccessScope) -> AnyRow:
        at, row = copies.get((case_id, scope.actor), (0.0, None))
        if row is None or time.monotonic() - at > 0.2:
            row = await read(self, case_id, scope)  # type: ignore[arg-type] # the same id
            copies[case_id, scope.actor] = time.monotonic(), row
        return row

    monkeypatch.setattr(CaseQueries, "get", get)


@pytest.mark.parametrize("plant", [_without_the_lock, _with_a_copy_that_is_stale])
async def test_a_planted_fault_is_found_within_a_minute(
    committed_office: Office,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    record_property: Callable[[str, object], None],
) -> None:
    plant(monkeypatch)
    began = time.monotonic()
    with put_together_anew():
        async for history, wrong in histories(committed_office, itertools.count()):
            took = time.monotonic() - began
            assert took < LIMIT_SECONDS, f"not found in {history.number + 1} histories"
            if wrong is not None:
                told = plant.__name__.strip("_").replace("_", " ")
                record_property("figure", f"{told}: found in history {history.number + 1}, after {took:.1f} s")
                return
