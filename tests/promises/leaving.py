"""Plays over HTTP what the model says of whoever leaves, and reads as everybody what the service then shows.

At one moment the story is told in several worlds, and undone after each: nothing happened, the person agreed, or left
in one of four ways. What an observer reads in a world has to be what the model says. Where the model says that an
observer reads the same in two worlds, the service's answers have to be the same to the byte, headers included.
"""

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import unified_diff
from itertools import zip_longest
from random import Random
from typing import Final, TypeAlias, TypedDict

import httpx
from tests.promises.model import (
    LEAVING,
    NOTHING,
    OTHERS,
    Act,
    Case,
    Moment,
    Observer,
    Outcome,
    Pair,
    Person,
    Reading,
    Refused,
    Side,
    outcome,
    readings,
)
from tests.scenarios.test_sealed_answers import Observer as Witness
from tests.scenarios.test_sealed_answers import identities

from mediation_api.dev.office import Caller, Office, Story

Fork: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]
Company: TypeAlias = "tuple[int, int]"

ALL: Final = "limit=100"
PAGES: Final = {
    "party": (f"timeline?{ALL}", f"access-log?{ALL}", "readiness", "consents", "withdrawals", "agreements"),
    "mediator": (f"timeline?{ALL}", "readiness", "agreements", "attendees"),
    "office": (f"timeline?{ALL}", "readiness", "consents", "withdrawals", "agreements", "attendees"),
}
"""What there is to read below a case."""


@dataclass(slots=True)
class Told:
    """A story, with its people by the names that the model has for them."""

    story: Story
    company: Company
    people: dict[Person, Caller]
    known: frozenset[str] = frozenset()
    """Identities from before the worlds parted."""

    @property
    def office(self) -> Office:
        return self.story.office

    @property
    def complaint(self) -> str:
        return f"/v1/complaints/{self.story.complaint_id}"

    def caller(self, observer: Observer) -> Caller:
        if isinstance(observer, Person):
            return self.people[observer]
        others = {"mediator": self.story.mediator, "office": self.office.coordinator}
        return others.get(observer) or self.office.integration

    def person(self, party_id: object) -> Person:
        return next(who for who, caller in self.people.items() if caller.party_id == party_id)


# ── the story ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def filed(office: Office, company: Company) -> Told:
    """A complaint that an integration files, found eligible and accepted by a mediator."""
    complainants, officers = company
    story = await office.file(
        complainants=[{}] * complainants, officers=[{}] * officers, by=office.integration, channel=None
    )
    await story.screen()
    await story.assign()
    people = Case.opened(*company).people
    return Told(story, company, dict(zip(people, (*story.complainants, *story.officers), strict=True)))


async def moments(office: Office, company: Company, moment: Moment) -> AsyncGenerator[tuple[Told, list[Person]], None]:
    """Tell the story as far as a moment: of each person in its turn, or of all of them at once."""
    told = await filed(office, company)
    story = told.story
    for who, caller in told.people.items():
        if moment is Moment.ASKED:
            yield told, [who]
        await story.answer(caller)
        if moment is Moment.AGREED:
            yield told, [who]
    stages = [*Moment]
    if stages.index(moment) >= stages.index(Moment.READY):
        stage = Stages(told)
        for name in STEPS[: stages.index(moment) - stages.index(Moment.READY)]:
            await stage.at_its_time(name, [*told.people])
        yield told, [*told.people]


STEPS: Final = ("schedule", "start", "complete", "close")


@dataclass(slots=True)
class Stages:
    """What those who are still there do to come to an end, each step at an instant that depends on nothing else."""

    told: Told
    begun_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.begun_at = self.told.office.clock.now

    async def at_its_time(self, step: str, here: list[Person]) -> None:
        self.told.office.clock.now = self.begun_at + timedelta(minutes=1 + ("agree", *STEPS).index(step))
        await self.do(step, here)

    async def do(self, step: str, here: list[Person]) -> None:
        """One of `STEPS`, or `agree`."""
        await getattr(self, f"_{step}")(here)

    async def _agree(self, here: list[Person]) -> None:
        for who in here:
            await self.told.story.answer(self.told.people[who])

    async def _schedule(self, here: list[Person]) -> None:
        del here
        await self.told.story.schedule()

    async def _start(self, here: list[Person]) -> None:
        story = self.told.story
        await story.make_agreement()
        for who in here:
            await story.sign(self.told.people[who])
        assert story.mediator is not None
        await story.sign(story.mediator)
        await story.session("start", {})

    async def _complete(self, here: list[Person]) -> None:
        del here
        await self.told.story.session("complete")

    async def _close(self, here: list[Person]) -> None:
        del here
        await self.told.story.close()

    async def to_the_end(self, case: Case) -> None:
        """Do what the model says that those who are still there can do."""
        end = case.copy()
        for side in Side:
            awaited = end.awaited(side)
            await self.at_its_time("agree", awaited)
            for who in awaited:
                end.agree(who)
        case = end.copy()
        end.go_on_to_the_end()
        if end.state == "mediated":
            for step in STEPS[("ready", "scheduled", "in_session", "concluded", "mediated").index(case.state) :]:
                await self.at_its_time(step, case.still_here())


# ── what somebody does, or what is done about somebody ─────────────────────────────────────────────────────────────


async def do(told: Told, who: Person, act: Act, refused: str | None) -> str | None:
    """Do it, and give what was answered otherwise than the model says: nothing where that is so."""
    if act is Act.NOTHING:
        return None
    response = await REQUESTS[act](told, told.people[who])
    answered = response.json().get("code") if response.status_code >= 400 else None
    return None if answered == refused else f"the service answers {answered or 'yes'}, the model {refused or 'yes'}"


async def _agree(told: Told, caller: Caller, decision: str = "agreed") -> httpx.Response:
    shown = await told.office.shown_disclosure()
    body = {"decision": decision, "disclosure_sha256": shown}
    return await caller.send("POST", f"{told.story.path}/consents", body)


async def _decline(told: Told, caller: Caller) -> httpx.Response:
    return await _agree(told, caller, "declined")


async def _withdraw(told: Told, caller: Caller) -> httpx.Response:
    return await caller.send("POST", f"{told.story.path}/withdrawals")


async def _lapse(told: Told, caller: Caller) -> httpx.Response:
    body = {"reason": "unreachable", "party_id": caller.party_id}
    return await told.office.coordinator.send("POST", f"{told.story.path}/lapses", body)


async def _remove(told: Told, caller: Caller) -> httpx.Response:
    return await told.office.intake.send("POST", f"/v1/parties/{caller.party_id}/removals", {"reason": "wrong_person"})


REQUESTS: Final = {
    Act.AGREE: _agree,
    Act.DECLINE: _decline,
    Act.WITHDRAW: _withdraw,
    Act.LAPSE: _lapse,
    Act.REMOVE: _remove,
}


# ── what is read ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Seen:
    """What an observer was answered: as the model puts it, and byte by byte."""

    reading: Reading
    answers: list[str]


class Someone(TypedDict):
    party_id: str
    standing: str


class Part(TypedDict):
    complainant_id: str
    officer_id: str
    disposition: str


class Meeting(TypedDict):
    state: str


class Shown(TypedDict, total=False):
    """What is read of an answer."""

    status: str
    state: str
    you: Someone
    others: list[Someone]
    participants: list[Someone]
    mediator_name: str | None
    next_session: Meeting | None
    parts: list[Part]
    disposition: str
    items: list[object]


class Look:
    """One observer reads everything that there is to read."""

    def __init__(self, told: Told, observer: Observer) -> None:
        self._told = told
        self._observer = observer
        self._witness = Witness(told.caller(observer), told.story, (), told.known)

    async def everything(self) -> Seen:
        kind = "party" if isinstance(self._observer, Person) else self._observer
        reading = await getattr(self, f"_as_{kind}")()
        return Seen(reading, self._witness.seen)

    async def _get(self, path: str) -> Shown:
        """What stands at a path; nothing where the service says that there is nothing, or nothing any more."""
        response = await self._witness.ask("GET", path)
        if response.status_code in {401, 404}:
            return {}
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        answer: Shown = response.json()
        return answer

    async def _case(self, kind: str) -> Shown:
        story = self._told.story
        case = await self._get(story.path)
        lists = [f"{story.path}/{page}" for page in PAGES[kind]]
        lists += [f"/v1/cases?complaint_id={story.complaint_id}", f"/v1/sessions?case_id={story.case_id}"]
        for path in lists:
            listed = await self._get(path)
            assert case or not listed.get("items"), f"{self._observer} has no case, and reads {path}: {listed}"
        return case

    async def _complaint(self) -> Shown:
        complaint = await self._get(self._told.complaint)
        await self._get("/v1/complaints")
        return complaint

    async def _as_party(self) -> Reading:
        case = await self._case("party")
        await self._get(f"/v1/parties/{self._told.caller(self._observer).party_id}")
        complaint: Shown = {}
        if isinstance(self._observer, Person) and self._observer.side is Side.COMPLAINANT:
            complaint = await self._complaint()
            await self._get(f"{self._told.complaint}/parties")
        if not case:
            assert not complaint
            return NOTHING
        return Reading(
            case["state"],
            case["you"]["standing"],
            people=frozenset((self._told.person(each["party_id"]), "") for each in case["others"]),
            mediator=case["mediator_name"] is not None,
            session=self._session(case),
            parts=self._parts(case),
            complaint=complaint.get("disposition"),
        )

    async def _as_mediator(self) -> Reading:
        case = await self._case("mediator")
        people = frozenset((self._told.person(each["party_id"]), "") for each in case["participants"])
        return Reading(case["state"], people=people, session=self._session(case))

    async def _as_office(self) -> Reading:
        case = await self._case("office")
        complaint = await self._complaint()
        await self._get(f"{self._told.complaint}/parties")
        return Reading(
            case["state"],
            people=frozenset((self._told.person(each["party_id"]), each["standing"]) for each in case["participants"]),
            session=self._session(case),
            parts=self._parts(case),
            complaint=complaint["disposition"],
        )

    async def _as_integration(self) -> Reading:
        complaint = await self._complaint()
        return Reading(parts=self._parts(complaint), complaint=complaint["disposition"])

    @staticmethod
    def _session(case: Shown) -> str | None:
        ahead = case["next_session"]
        return None if ahead is None else ahead["state"]

    def _parts(self, shown: Shown) -> frozenset[tuple[Pair, str]]:
        """The parts, wherever they stand in what is shown."""
        named = ((each["complainant_id"], each["officer_id"], each["disposition"]) for each in shown.get("parts", []))
        return frozenset(((self._told.person(c), self._told.person(o)), d) for c, o, d in named)


async def look(told: Told) -> dict[Observer, Seen]:
    """What everybody reads now."""
    observers: list[Observer] = [*told.people, *OTHERS]
    return {observer: await Look(told, observer).everything() for observer in observers}


EVERYTHING: Final = ("mediator", "office")
"""Who is shown more than what the model says of them: only what was refused leaves no trace for them."""

# ── the worlds ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class World:
    """What came of an act, by the model and by the service, right after and in the end."""

    act: Act
    expected: Outcome
    then: dict[Observer, Seen]
    at_the_end: dict[Observer, Seen]


@dataclass(slots=True)
class Play:
    """What was played, and every difference between the model and the service."""

    fork: Fork
    to_the_end: Collection[Act] = LEAVING
    """After which acts the others go on to the end."""
    cells: int = 0
    read: int = 0
    """By how many observers, right after and in the end."""
    compared: int = 0
    """Answers that had to be the same to the byte."""
    differences: list[str] = field(default_factory=list)

    async def moment(self, told: Told, moment: Moment, chosen: list[Person], acts: Collection[Act] = LEAVING) -> None:
        """Play what may become of each of the chosen at one moment, and compare."""
        if moment is not Moment.CLOSED and chosen:  # nobody lapses whom the office has not tried to reach
            await told.story.try_to_reach(*(told.people[who].party_id for who in chosen))
        told.known = await identities(told.story)
        without: list[World] = []
        for who in chosen:
            worlds = without[:]
            for act in (Act.NOTHING, *([Act.AGREE] if moment is Moment.ASKED else []), *acts):
                if act is Act.NOTHING and without:
                    continue  # the same for everybody
                async with self.fork():
                    worlds.append(await self._world(told, moment, who, act))
            without = worlds[:1]
            self.cells += len(acts)
            for phase in ("then", "at_the_end"):
                self._compare(f"{moment}, {_named(who)}", phase, worlds)

    async def _world(self, told: Told, moment: Moment, who: Person, act: Act) -> World:
        expected, stages = outcome(moment, who, act, *told.company), Stages(told)
        booked = told.story.session_id
        if otherwise := await do(told, who, act, expected.refused):
            self.differences.append(f"{moment}, {_named(who)} {act}: {otherwise}")
        told.office.clock.now = stages.begun_at + timedelta(seconds=30)
        then, end = await look(told), {}
        # A removal calls the session off, and another one is booked: that is shown, since no answer is sealed by then.
        rebooked = act is Act.REMOVE and moment is Moment.SCHEDULED
        if act in self.to_the_end and act in LEAVING and not (rebooked or expected.refused or self.differences):
            await stages.to_the_end(expected.case)
            told.office.clock.now = stages.begun_at + timedelta(minutes=7)
            end = await look(told)
            told.story.session_id = booked  # the database goes back to before this world, and so does the story
        return World(act, expected, then, end)

    async def by_chance(self, told: Told, case: Case, chance: Random) -> None:
        """Let chance decide who does what next until the case is closed, and compare after each step."""
        done: list[str] = []
        while not (case.is_closed or self.differences) and (can_be_done := _next(case)):
            act, who = chance.choice(can_be_done)
            done.append(act if who is None else f"{_named(who)} {act}")
            if who is None:
                getattr(case, act)()
                await Stages(told).do(act, case.still_here())
            else:
                await told.story.try_to_reach(told.people[who].party_id)
                if otherwise := await do(told, who, Act(act), _refusal(case, who, Act(act))):
                    self.differences.append(f"{', '.join(done)}: {otherwise}")
            expected = readings(case)
            for observer, seen in (await look(told)).items():
                self.read += 1
                if seen.reading != expected[observer]:
                    told_apart = _apart(seen.reading, expected[observer])
                    self.differences.append(f"{', '.join(done)}: {_named(observer)} reads {told_apart}")

    def _compare(self, where: str, phase: str, worlds: list[World]) -> None:
        first: dict[tuple[Observer, Reading], tuple[Act, list[str]]] = {}
        for world in worlds:
            for observer, seen in getattr(world, phase).items():
                expected = getattr(world.expected, phase)[observer]
                what = f"{where} {world.act}: {phase} {_named(observer)}"
                self.read += 1
                if seen.reading != expected:
                    self.differences.append(f"{what} reads {_apart(seen.reading, expected)}")
                if observer in EVERYTHING and world.expected.refused is None and world.act is not Act.NOTHING:
                    continue
                act, answers = first.setdefault((observer, expected), (world.act, seen.answers))
                if world.act is not act:
                    self.compared += len(answers)
                    if answers != seen.answers:
                        self.differences.append(f"{what} can tell it from {act}:\n{_difference(answers, seen.answers)}")


def _next(case: Case) -> list[tuple[str, Person | None]]:
    """What may come next, the likelier the more often it is listed: else nobody would stay to the end."""
    asked = [who for side in Side for who in case.awaited(side)]
    here = [who for who in case.still_here() if case.standing[who] in {"asked", "agreed"}]
    acts: list[tuple[str, Person | None]] = [(Act.AGREE, who) for _ in range(6) for who in asked]
    acts += [(act, who) for who in here for act in LEAVING]
    step = {"ready": "schedule", "scheduled": "start", "in_session": "complete", "concluded": "close"}.get(case.state)
    if step and all(case.still_here(side) for side in Side):
        acts += [(step, None)] * 24
    return acts if step or asked else []


def _refusal(case: Case, who: Person, act: Act) -> str | None:
    try:
        case.do(who, act)
    except Refused as refused:
        return refused.code
    return None


def _difference(before: list[str], after: list[str]) -> str:
    """The first answer that differs, and its lines that do."""
    for one, other in zip_longest(before, after, fillvalue=""):
        if one != other:
            changed = list(unified_diff(one.splitlines(), other.splitlines(), n=0, lineterm=""))[2:]
            return "\n".join([one.partition("\n")[0], *changed])
    return ""


def _named(observer: Observer) -> str:
    return observer if isinstance(observer, str) else f"{observer.side} {observer.number}"


def _apart(seen: Reading, expected: Reading) -> str:
    """Where two readings differ."""
    fields = [name for name in Reading._fields if getattr(seen, name) != getattr(expected, name)]
    return ", ".join(f"{name} {_plain(getattr(seen, name))}, not {_plain(getattr(expected, name))}" for name in fields)


def _plain(value: object) -> object:
    """A value of a reading; of people and parts, their names."""
    if not isinstance(value, frozenset):
        return value
    return sorted(
        f"{_named(who) if isinstance(who, Person) else '/'.join(map(_named, who))} {word}" for who, word in value
    )
