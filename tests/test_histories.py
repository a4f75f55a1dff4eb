"""Random histories of a complaint, told to the service over HTTP and held against a small model of the rules.

The model knows who was asked, agreed, left and signed, by the rules as the tests know them (tests/office/model.py);
it imports no decision of the domain. Each step is attempted whether or not it is allowed; the model says what must come
of it, and afterwards the office and each party must see what the model says, and nothing else.

    pytest tests/test_histories.py                                the same five each time; with STORIES=20, ten
    pytest -n0 tests/test_histories.py --hypothesis-profile=deep  many more, longer and new ones
    pytest … --hypothesis-profile=deep --hypothesis-seed=7        those of one seed again
"""

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final, TypeVar

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import Clock, application, calling, rolled_back
from tests.office.model import (
    CALLED_OFF,
    CLOSES,
    GONE,
    LEFT_BY_MEDIATOR,
    LIVE,
    MADE_IN,
    OPEN,
    RETURNED,
    SEALED,
    SESSIONS,
    SIGNED_IN,
    TRANSITIONS,
    disposition_of,
    once_answered,
    sees_case,
    sees_others,
    shown_status,
    status_of,
    those,
)

from mediation_api.database.engine import Database, create_engine
from mediation_api.dev.office import Caller, Office
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

T = TypeVar("T")

# ── the model ──────────────────────────────────────────────────────────────────────────────────────────────────────

ABSENCES_BEFORE_LAPSE: Final = {"complainant": 2, "officer": 1}

STRANGER: Final = "00000000-0000-4000-8000-000000000000"

TIMELY: Final = {
    "screening": ("late_officer", "one_leaves", "everybody_is_unreachable"),
    "confirming": ("late_complainant", "late_officer", "last_asked_leaves", "side_leaves"),
    "asking": ("late_complainant", "late_officer", "last_asked_leaves", "side_leaves", "another_mediator"),
    "ready": ("late_complainant", "late_officer", "text_changes", "another_mediator", "one_leaves"),
    "scheduled": (
        "late_complainant",
        "late_officer",
        "text_changes",
        "one_is_absent_twice",
        "mediator_leaves",
        "side_leaves",
        "session_ends",
    ),
    "in_session": ("text_changes", "mediator_leaves", "one_leaves", "side_leaves", "session_ends"),
    "concluded": ("text_changes", "one_leaves", "everybody_is_unreachable"),
}
"""What the rules allow in each open state besides the straight way."""
PLOT: Final = [(state, what) for state, turns in TIMELY.items() for what in turns]

Seat = tuple[str, str]
Pair = tuple[str, str]
"""A complainant and an officer."""
Missing = tuple[str, str | None]


@dataclass(slots=True)
class Person:
    """A party of the complaint, as it is on file."""

    id: str
    side: str
    number: str = ""
    code: str = ""
    minor: bool = False
    guardian: bool = False
    interpreter: str | None = None
    token: Caller | None = None
    token_until: datetime | None = None


@dataclass(slots=True)
class Mediator:
    id: str
    subject: str
    active: bool


@dataclass(slots=True)
class Proposal:
    id: str
    mediator: Mediator
    state: str = "proposed"

    @property
    def here(self) -> bool:
        return self.state in {"proposed", "accepted"}


@dataclass(slots=True)
class Meeting:
    id: str
    starts_at: datetime
    state: str = "scheduled"
    room: set[Seat] = field(default_factory=set)


@dataclass(slots=True)
class Paper:
    id: str
    kind: str
    sha256: str
    superseded: bool = False
    signed: set[Seat] = field(default_factory=set)


@dataclass(slots=True)
class Helper:
    """An interpreter, or with no language a support person."""

    id: str
    language: str | None
    of: str | None
    confirmed: bool = False

    @property
    def seat(self) -> Seat:
        return ("support_person" if self.language is None else "interpreter", self.id)


@dataclass(slots=True)
class Attempt:
    """What the model knows of one case."""

    id: str
    people: dict[str, Person]
    state: str = "screening"
    standing: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    parts: dict[Pair, str] = field(default_factory=dict)
    consents: dict[str, tuple[str, str]] = field(default_factory=dict)
    voided: set[str] = field(default_factory=set)
    """Consents that no longer stand."""
    withdrawals: dict[str, str] = field(default_factory=dict)
    proposals: list[Proposal] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)
    absences: dict[tuple[str, str], bool] = field(default_factory=dict)
    papers: list[Paper] = field(default_factory=list)
    helpers: list[Helper] = field(default_factory=list)
    guarded: set[str] = field(default_factory=set)
    """Minors whose guardian agrees, with nothing corrected of the guardian since."""
    tried: set[str] = field(default_factory=set)
    reached: dict[str, datetime | None] = field(default_factory=dict)
    agreement_reached: bool | None = None
    lapse_reason: str | None = None

    @property
    def path(self) -> str:
        return f"/v1/cases/{self.id}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def staying(self) -> list[Person]:
        """Who has not left."""
        return [self.people[i] for i, standing in self.standing.items() if standing not in GONE]

    @property
    def here(self) -> list[Person]:
        """Of those, who still has somebody to talk to, or waits for somebody to be named."""
        busy = {who for pair in self.open_parts for who in pair}
        return [p for p in self.staying if p.id in busy or all(other.side == p.side for other in self.staying)]

    @property
    def open_parts(self) -> list[Pair]:
        return [pair for pair, disposition in self.parts.items() if disposition == "in_mediation"]

    @property
    def covered(self) -> list[Pair]:
        """Open parts whose people were in one completed session."""
        rooms = [{who for role, who in m.room if role == "party"} for m in self.meetings if m.state == "completed"]
        return [pair for pair in self.open_parts if any(set(pair) <= room for room in rooms)]

    def resolved(self, pair: Pair) -> bool:
        """Whether everybody of a part signed the resolution."""
        paper = self.paper("resolution")
        signers = {("party", who) for who in pair} | {("guardian", who) for who in pair if self.people[who].minor}
        return paper is not None and signers <= paper.signed

    @property
    def is_resolved(self) -> bool:
        return any(self.resolved(pair) for pair in self.covered)

    def give_back(self, *pairs: Pair) -> None:
        for pair in pairs:
            self.parts[pair] = RETURNED

    def side(self, side: str) -> list[Person]:
        return [p for p in self.here if p.side == side]

    @property
    def mediator(self) -> Mediator | None:
        return next((p.mediator for p in self.proposals if p.state == "accepted"), None)

    @property
    def barred(self) -> set[str]:
        """Mediators who declared a conflict in this case, or left it."""
        return {p.mediator.id for p in self.proposals if p.state in {"conflicted", "recused"}}

    @property
    def live(self) -> Meeting | None:
        return next((m for m in self.meetings if m.state in LIVE), None)

    def paper(self, kind: str) -> Paper | None:
        return next((p for p in self.papers if p.kind == kind and not p.superseded), None)

    # who sees what

    def is_seen_by(self, who: Person | Mediator) -> bool:
        """A complainant sees its case, an officer once it was asked, a mediator from the proposal until leaving."""
        if isinstance(who, Mediator):
            return any(p.mediator is who and p.here for p in self.proposals)
        return sees_case(who.side, self.standing.get(who.id), asked=who.id in self.asked)

    def is_led_by(self, who: Mediator) -> bool:
        """Whether a mediator accepted it and is still there: what was merely proposed is read, and answered."""
        return self.mediator is who

    def status_for(self, who: Person) -> str:
        own = [disposition for pair, disposition in self.parts.items() if who.id in pair]
        return shown_status(self.state, self.standing[who.id], own)

    def is_shown_others(self, who: Person) -> bool:
        return who.id in self.standing and sees_others(self.standing[who.id], self.status_for(who))

    def sees_paper(self, who: Person, paper: Paper) -> bool:
        return self.is_seen_by(who) and (self.is_shown_others(who) or ("party", who.id) in paper.signed)

    # the gates

    def seats(self) -> list[Seat]:
        seats: list[Seat] = []
        for person in self.here:
            seats += [("party", person.id)] + [("guardian", person.id)] * person.minor
        if self.mediator is not None:
            seats.append(("mediator", self.mediator.id))
        here = {p.id for p in self.here}
        return seats + [h.seat for h in self.helpers if h.of is None or h.of in here]

    def missing_to_schedule(self) -> list[Missing]:
        missing: list[Missing] = [("screening-missing", None)] * (self.state == "screening")
        missing += [(f"{side}-missing", None) for side in ("complainant", "officer") if not self.side(side)]
        missing += [("consent-missing", p.id) for p in self.here if self.standing[p.id] != "agreed"]
        missing += [("guardian-missing", p.id) for p in self.here if p.minor and not p.guardian]
        missing += [("mediator-missing", None)] * (self.mediator is None)
        return missing

    def missing_to_be_unreachable(self, concerned: Sequence[Person]) -> list[Missing]:
        """One attempt to reach somebody is enough here; a case lapses once nobody of one side was reached."""
        sides = [[p for p in concerned if p.side == side] for side in ("complainant", "officer")]
        if any(side and all(p.id in self.tried for p in side) for side in sides):
            return []
        untried = [p.id for p in concerned if p.id not in self.tried]
        return [(code, each) for each in untried for code in ("contact-attempts-missing", "contact-channels-missing")]

    def missing_to_start(self, absent: Sequence[Seat] = ()) -> list[Missing]:
        room = [seat for seat in self.seats() if seat not in absent]
        missing: list[Missing] = [("session-missing", None)] * (self.live is None)
        present = [p for p in self.here if ("party", p.id) in room]
        away = [(f"{s}-absent", None) for s in ("complainant", "officer") if all(p.side != s for p in present)]
        missing += away
        there = {p.id for p in present}
        missing += [("part-absent", None)] * (not away and not any(set(pair) <= there for pair in self.open_parts))
        missing += [("mediator-absent", None)] * all(role != "mediator" for role, _ in room)
        for person in present:
            if person.minor and not person.guardian:
                missing.append(("guardian-missing", person.id))
            elif person.minor and ("guardian", person.id) not in room:
                missing.append(("guardian-absent", person.id))
            if person.interpreter is not None and not any(
                h.language == person.interpreter and h.confirmed and h.of in {None, person.id} and h.seat in room
                for h in self.helpers
            ):
                missing.append(("interpreter-missing", person.id))
        paper = self.paper("confidentiality")
        if paper is None:
            return [*missing, ("agreement-missing", None)]
        return missing + [("signature-missing", seat[1]) for seat in room if seat not in paper.signed]

    # what follows

    def allows(self, trigger: str) -> bool:
        return self.state in TRANSITIONS[trigger].sources

    def move(self, trigger: str) -> None:
        assert self.allows(trigger), f"{trigger} from {self.state} is not in the table"
        self.state = TRANSITIONS[trigger].target

    def join(self, person: Person) -> None:
        self.people[person.id] = person
        self.standing[person.id] = "waiting"
        for other in self.staying:
            if other.side != person.side:
                pair = (person.id, other.id) if person.side == "complainant" else (other.id, person.id)
                self.parts[pair] = "in_mediation"
        if self.state == "screening":
            return
        if person.side == "complainant":
            if self.state != "confirming":
                self.call_off()
                self.move("complainant_added")
            self.ask(person)
        elif self.state != "confirming":
            if self.state != "asking":
                self.call_off()
                self.move("officer_added")
            self.ask(person)

    def void(self, person: Person) -> None:
        """What a complainant agreed to rested on something that has changed."""
        self.guarded.discard(person.id)
        if self.standing[person.id] != "agreed":
            return
        self.standing[person.id] = "waiting"
        self.voided.add(self.consents.pop(person.id)[0])
        for paper in self.papers:
            paper.superseded = True
        if self.state != "confirming":
            self.call_off()
            self.move("complainants_reopened")
        self.ask(person)

    def ask(self, *people: Person) -> None:
        for person in people:
            if self.standing[person.id] == "waiting":
                self.standing[person.id] = "asked"
                self.asked.add(person.id)

    def find_eligible(self) -> None:
        self.move("found_eligible")
        self.ask(*self.side("complainant"))

    def leave(self, person: Person, standing: str) -> None:
        self.standing[person.id] = standing
        self.give_back(*(pair for pair in self.open_parts if person.id in pair))
        if self.side(person.side):
            self.settle()
        else:
            self.close(CLOSES[standing])

    def settle(self) -> None:
        """Go on once nobody is left unanswered."""
        sides = ("complainant", "officer")
        while trigger := once_answered(
            self.state, {side: [self.standing[p.id] for p in self.side(side)] for side in sides}
        ):
            self.move(trigger)
            if self.state == "asking":
                self.ask(*self.side("officer"))
        if self.state == "concluded" and not self.covered:
            self.move("covered_parts_returned")

    def break_off(self, trigger: str) -> None:
        """A session is cancelled, missed or adjourned."""
        self.move("further_session_called_off" if self.covered else trigger)

    def call_off(self) -> None:
        if self.live is not None:
            self.live.state = CALLED_OFF[self.live.state]

    def close(self, trigger: str) -> None:
        self.give_back(*self.open_parts)
        self.call_off()
        self.move(trigger)

    def mediate(self) -> None:
        """Close as mediated: what is covered is, and the rest goes back."""
        reached = self.is_resolved
        for pair in self.covered:
            self.parts[pair] = "closed_mediated"
        self.close("closed_as_mediated")
        self.agreement_reached = reached


# ── the world in which histories happen ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class World:
    """One event loop, one pool and one application; each history has a transaction of its own."""

    runner: asyncio.Runner
    engine: AsyncEngine
    app: FastAPI
    settings: Settings
    keys: Path


@pytest.fixture
def world(settings: Settings, keys: Path) -> Iterator[World]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        engine = create_engine(settings)
        app = application(settings, Clock(), Database(engine, engine))
        yield World(runner, engine, app, settings, keys)
        runner.run(engine.dispose())


def pick(among: Sequence[T], n: int) -> T:
    return among[n % len(among)]


HISTORIES: Final = 10 if "STORIES" in os.environ else 3
N = st.integers(0, 11)
"""Chooses among whatever there is at that moment."""
SOMETIMES = st.integers(0, 3).map(lambda n: n == 3)
USUALLY = st.integers(0, 3).map(lambda n: n != 3)
LANGUAGES = st.sampled_from([None, None, None, "es", "ase"])
COMPLAINANT = st.tuples(SOMETIMES, USUALLY, LANGUAGES)
OFFICER = st.tuples(LANGUAGES)


class Histories(RuleBasedStateMachine):
    """Everything that anybody may try, in any order."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        self.sound = True
        self.changed = False
        self.tried = False
        self.clock = Clock()
        self.transaction = rolled_back(world.engine)
        database = self.run(self.transaction.__aenter__())
        world.app.state.service = replace(world.app.state.service, database=database, clock=self.clock)
        self.client = calling(world.app)
        self.office = Office(self.client, world.settings, self.clock)
        self.people: dict[str, Person] = {}
        self.mediators: list[Mediator] = []
        self.attempts: list[Attempt] = []
        self.doubt = ""
        self.numbers = itertools.count(1)

    @property
    def pairs(self) -> set[Pair]:
        """Every part of the complaint."""
        sides = {side: [p.id for p in self.people.values() if p.side == side] for side in ("complainant", "officer")}
        return set(itertools.product(sides["complainant"], sides["officer"]))

    @property
    def done(self) -> set[Pair]:
        """What was mediated, in any attempt."""
        return {pair for case in self.attempts for pair, each in case.parts.items() if each == "closed_mediated"}

    @property
    def mediated(self) -> bool:
        return bool(self.pairs) and self.pairs <= self.done

    def new_number(self) -> str:
        return f"{next(self.numbers):04}"

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.world.runner.run(work)

    def teardown(self) -> None:
        """The last word of a history: somebody leaves, and all that was acknowledged is there."""
        try:
            if self.sound and self.attempts:
                self.everybody_may_leave()
                self.nothing_is_lost()
        finally:
            self.run(self.client.aclose())
            self.run(self.transaction.__aexit__(None, None, None))

    # ── calling ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def case(self) -> Attempt:
        return self.attempts[-1]

    @property
    def stage(self) -> str:
        return self.case.state if self.attempts else "filing"

    def send(self, who: Caller, method: str, path: str, body: object = None) -> httpx.Response:
        response: httpx.Response = self.run(who.send(method, path, body))
        assert response.status_code < 500, f"{method} {path} answered {response.status_code}"
        return response

    def read(self, who: Caller, path: str) -> dict[str, object]:
        response = self.send(who, "GET", path)
        assert response.status_code == 200, f"{path}: {response.text}"
        answer: dict[str, object] = response.json()
        return answer

    def items(self, who: Caller, path: str) -> list[dict[str, object]]:
        """All items of a list, page after page."""
        page = self.read(who, path)
        items = _objects(page["items"])
        while page["next_cursor"] is not None:
            page = self.read(who, f"{path}{'&' if '?' in path else '?'}cursor={page['next_cursor']}")
            items += _objects(page["items"])
        return items

    def attempt(
        self,
        who: Caller,
        path: str,
        body: object,
        refusals: set[str],
        *,
        hidden: bool = False,
        missing: Sequence[Missing] = (),
        method: str = "POST",
    ) -> dict[str, object] | None:
        """Try something. It is refused for one of the `refusals`, or does succeed; None when it was refused.

        Of what is `hidden` from the caller no other refusal may tell.
        """
        self.sound, self.tried = False, True
        response = self.send(who, method, path, body)
        answer: dict[str, object] = response.json()
        if hidden or refusals:
            code = answer.get("code")
            said = f"{method} {path} in {self.stage}: {response.status_code} {code}"
            assert code in ({"not-found"} if hidden else refusals), f"{said}, not {refusals or 'not-found'}"
            assert response.status_code == status_of(str(code)), said
            if code == "conditions-missing":
                assert _conditions(answer["missing"]) == Counter(missing)
            self.sound = True
            return None
        assert response.status_code < 300, f"{path} in {self.stage}: {answer}"
        self.sound = self.changed = True
        return answer

    def voice(self, who: Person | Mediator) -> Caller:
        """The caller with a token that is still good."""
        if isinstance(who, Mediator):
            return self.office.caller(Role.MEDIATOR, who.subject)
        if who.side == "officer":
            return self.office.caller(Role.OFFICER, f"officer-{who.number}", who.number)
        if who.token is None or who.token_until is None or self.clock.now >= who.token_until:
            if not who.code:
                issued = self.send(self.office.intake, "POST", f"/v1/parties/{who.id}/access-codes")
                who.code = issued.json()["access_code"]
            who.token = self.run(self.office.signed_in(who.code))
            who.token_until = self.clock.now + timedelta(minutes=10)
        return who.token

    def runs_cases(self, n: int) -> tuple[Caller, bool]:
        """A coordinator, or one of the mediators; and whether the case is hidden from that caller."""
        if n % 3 or not self.mediators:
            return self.office.coordinator, False
        mediator = pick(self.mediators, n // 3)
        return self.voice(mediator), not self.case.is_led_by(mediator)

    # ── the beginning ──────────────────────────────────────────────────────────────────────────────────────────────

    @initialize(
        complainants=st.lists(COMPLAINANT, min_size=1, max_size=3),
        officers=st.lists(OFFICER, min_size=1, max_size=3) | st.just([]),
        doubt=st.sampled_from(["", "", "", "", "litigation_pending", "serious_injury"]),
        interested=USUALLY,
        plot=st.lists(st.tuples(st.sampled_from(PLOT), N), max_size=4),
    )
    def file(
        self,
        complainants: list[tuple[bool, bool, str | None]],
        officers: list[tuple[str | None]],
        doubt: str,
        interested: bool,  # noqa: FBT001 - drawn
        plot: list[tuple[tuple[str, str], int]],
    ) -> None:
        """Somebody complains, and it goes well but for the `plot`; the roster has two mediators, and one not active."""
        for n in range(3):
            self.hire(active=n != 2)
        people = [Person("", "complainant", minor=m, guardian=m and g, interpreter=i) for m, g, i in complainants]
        people += [Person("", "officer", number=self.new_number(), interpreter=i) for (i,) in officers]
        known = {"crime_alleged": False, "serious_injury": False, "litigation_pending": False}
        self.doubt = doubt
        body = {
            "channel": "phone",
            "narrative": "He laughed when I asked for his name.",
            "allegations": ["discourtesy"],
            "interested_in_mediation": interested,
            "parties": [_on_file(person) for person in people],
            "intake": {**known, "officer_is_witness": False, **({doubt: True} if doubt else {})},
        }
        filed = self.attempt(self.office.intake, "/v1/complaints", body, set())
        assert filed is not None
        self.complaint = f"/v1/complaints/{filed['id']}"
        listed = self.items(self.office.intake, f"{self.complaint}/parties")
        for person, party in zip(people, _in_order(people, listed), strict=True):
            person.id = str(party["id"])
            self.people[person.id] = person
        if interested:
            self.open(str(filed["case_id"]))
        else:
            assert filed["case_id"] is None
            self.request(by=None)
        for (state, what), n in sorted(plot, key=lambda turn: OPEN.index(turn[0][0])):
            for _ in range(40):
                if self.case.state == state or self.mediated:
                    break
                self.proceed(1)
            if self.case.state == state:
                getattr(self, f"_{what}")(n)
                self.the_office_sees_the_model()
                self.the_parties_see_the_model()

    def hire(self, *, active: bool) -> Mediator:
        subject = f"mediator-{self.new_number()}"
        entry = {"name": "Amara Okafor", "subject": subject, "languages": ["en"], "active": active}
        added = self.attempt(self.office.coordinator, "/v1/mediators", entry, set())
        assert added is not None
        self.mediators.append(Mediator(str(added["id"]), subject, active))
        return self.mediators[-1]

    def open(self, case_id: str) -> None:
        left = self.pairs - self.done
        self.attempts.append(Attempt(case_id, {}))
        for person in self.people.values():
            if not left or any(person.id in pair for pair in left):
                self.case.join(person)
        self.case.parts = dict.fromkeys(left, "in_mediation")

    @rule(by=N)
    def somebody_requests_mediation(self, by: int) -> None:
        complainants = [p for p in self.people.values() if p.side == "complainant"]
        self.request(by=pick(complainants, by) if by % 2 else None)

    def request(self, by: Person | None) -> None:
        several = sum(p.side == "complainant" for p in self.people.values()) > 1
        left = by is not None and self.attempts and self.case.standing.get(by.id) in {"declined", "withdrawn", "lapsed"}
        if left and several:
            refusals = {"party-left"}  # whatever else it were answered would tell how the others went on
        else:
            own = {pair for pair in self.pairs if by is None or by.id in pair}
            closed = bool(own) and own <= self.done
            refusals = those(
                ("complaint-closed", closed),
                # It may be the case of others, of whom who is mediated with everybody is told nothing.
                ("case-already-open", self.attempts and self.case.is_open and not closed),
                ("attempts-exhausted", len(self.attempts) >= self.world.settings.max_attempts),
            )
        caller = self.office.intake if by is None else self.voice(by)
        opened = self.attempt(caller, f"{self.complaint}/mediation-requests", None, refusals)
        if opened is not None:
            self.open(str(opened["id"]))

    # ── screening ──────────────────────────────────────────────────────────────────────────────────────────────────

    def outcome(self) -> bool | None:
        if self.doubt == "serious_injury":
            return False
        unguarded = any(p.minor and not p.guardian for p in self.people.values())
        no_officer = all(p.side != "officer" for p in self.people.values())
        return None if self.doubt or unguarded or no_officer else True

    @rule(override=st.sampled_from([None, True, True, False]), director=USUALLY, reason=USUALLY)
    def screen(self, override: bool | None, director: bool, reason: bool) -> None:  # noqa: FBT001 - drawn
        case = self.case
        eligible = self.outcome() if override is None else override
        missing: list[Missing] = []
        refusals = those(
            ("case-closed", not case.is_open),
            ("state-conflict", case.state != "screening"),
            ("director-required", override is not None and not director),
            ("validation-failed", override is not None and not reason),
        )
        if eligible:
            missing = [(f"{s}-missing", None) for s in ("complainant", "officer") if not case.side(s)]
            refusals |= {"conditions-missing"} if missing else set()
        body = {"eligible": override, "reason": "The director looked at it." if reason else None}
        by = self.office.director if director else self.office.intake
        if self.attempt(by, f"{case.path}/screenings", body, refusals, missing=missing) is None:
            return
        if eligible:
            case.find_eligible()
        elif eligible is False:
            case.close("found_ineligible")

    # ── taking part and leaving ────────────────────────────────────────────────────────────────────────────────────

    @rule(who=N, agrees=USUALLY, staff=SOMETIMES, guardian=USUALLY, outdated=SOMETIMES)
    def somebody_answers(
        self,
        who: int,
        agrees: bool,  # noqa: FBT001 - drawn
        staff: bool,  # noqa: FBT001 - drawn
        guardian: bool,  # noqa: FBT001 - drawn
        outdated: bool,  # noqa: FBT001 - drawn
    ) -> None:
        person = pick(list(self.people.values()), who)
        self.answer(person, agrees=agrees, staff=staff, guardian=guardian, outdated=outdated)

    def answer(
        self,
        person: Person,
        *,
        agrees: bool = True,
        staff: bool = False,
        guardian: bool = True,
        outdated: bool = False,
    ) -> None:
        case = self.case
        standing = case.standing.get(person.id)
        hidden = not case.is_seen_by(person) if not staff else standing is None and not outdated and case.is_open
        # Who has left learns from no refusal whether the others go on.
        left = standing in GONE
        refusals = those(
            ("disclosure-outdated", outdated),
            ("case-closed", not case.is_open and not left),
            ("not-found", standing is None),
            ("not-asked", standing == "waiting"),
            ("already-answered", standing in {"agreed", "declined"}),
            ("party-left", standing in {"withdrawn", "lapsed"}),
            ("guardian-missing", agrees and not left and person.minor and not self.guarded(person, agrees=guardian)),
        )
        shown = "0" * 64 if outdated else self.run(self.office.shown_disclosure())
        decision = "agreed" if agrees else "declined"
        body: dict[str, object] = {"decision": decision, "disclosure_sha256": shown}
        if staff:
            body |= {"party_id": person.id, "channel": "phone"}
        by = self.office.intake if staff else self.voice(person)
        given = self.attempt(by, f"{case.path}/consents", body, refusals, hidden=hidden)
        if given is None:
            return
        case.consents[person.id] = (str(given["id"]), decision)
        if agrees:
            case.standing[person.id] = "agreed"
            case.settle()
        else:
            case.leave(person, "declined")

    def guarded(self, minor: Person, *, agrees: bool) -> bool:
        """Whether a guardian agrees or did before; they say so to the office, which records it."""
        case = self.case
        shown = self.run(self.office.shown_disclosure())
        asked = case.is_open and case.standing.get(minor.id) == "asked" and minor.guardian
        if agrees and asked and minor.id not in case.guarded:
            told = {"party_id": minor.id, "channel": "phone", "disclosure_sha256": shown}
            assert self.attempt(self.office.intake, f"{case.path}/guardian-consents", told, set()) is not None
            case.guarded.add(minor.id)
        return minor.guardian and minor.id in case.guarded

    @rule(who=N, of=N, what=st.sampled_from(["consents", "withdrawals"]))
    def somebody_speaks_for_another(self, who: int, of: int, what: str) -> None:
        """A party's token speaks for that party and no other."""
        people = list(self.people.values())
        person, other = pick(people, who), pick(people, of)
        if person is other:
            return
        shown = self.run(self.office.shown_disclosure())
        body = {"party_id": other.id}
        if what == "consents":
            body |= {"decision": "declined", "disclosure_sha256": shown}
        self.attempt(self.voice(person), f"{self.case.path}/{what}", body, set(), hidden=True)

    @rule(who=N, through=st.sampled_from(["self", "self", "staff", "mediator"]), by=N, twice=st.booleans())
    def somebody_withdraws(self, who: int, through: str, by: int, twice: bool) -> None:  # noqa: FBT001 - drawn
        person = pick(list(self.people.values()), who)
        self.withdraw(person, through, by)
        if twice:
            self.withdraw(person, "staff")

    def withdraw(self, person: Person, through: str, by: int = 0) -> None:
        case = self.case
        mediator = pick(self.mediators, by)
        hidden = person.id not in case.standing
        if through == "self":
            hidden = not case.is_seen_by(person)
        if through == "mediator":
            hidden = hidden or not case.is_led_by(mediator)
        again = person.id in case.withdrawals
        caller = {
            "self": lambda: self.voice(person),
            "staff": lambda: self.office.intake,
            "mediator": lambda: self.voice(mediator),
        }[through]()
        channel = "session" if through == "mediator" else "phone"
        body = None if through == "self" else {"party_id": person.id, "channel": channel}
        left = case.standing.get(person.id) in GONE
        refusals = those(
            ("case-closed", not case.is_open and not left),
            ("not-in-session", through == "mediator" and case.state != "in_session" and not again),
        )
        said = self.attempt(caller, f"{case.path}/withdrawals", body, refusals, hidden=hidden)
        if said is None:
            return
        if again:
            assert said["id"] == case.withdrawals[person.id], "a withdrawal that is said again is the first one"
            return
        case.withdrawals[person.id] = str(said["id"])
        if left:
            case.standing[person.id] = "withdrawn"
        else:
            case.leave(person, "withdrawn")

    @precondition(lambda self: self.case.state in {"confirming", "asking"})
    @rule(who=N, how=st.sampled_from(["declines", "withdraws", "lapses"]))
    def somebody_who_is_asked_leaves(self, who: int, how: str) -> None:
        """The case may have waited for nobody else."""
        asked = [p for p in self.case.here if self.case.standing[p.id] == "asked"]
        person = pick(asked, who)
        if how == "declines":
            self.answer(person, agrees=False)
        elif how == "withdraws":
            self.withdraw(person, "self")
        else:
            self.try_to_reach(person)
            self.lapse(person, absent=False, director=False)

    @rule(who=N, result=st.sampled_from(["no_answer", "message_left", "reached"]))
    def the_office_tries_to_reach(self, who: int, result: str = "no_answer") -> None:
        self.try_to_reach(pick(list(self.case.people.values()), who), result)

    def try_to_reach(self, person: Person, result: str = "no_answer") -> None:
        case = self.case
        waiting = person.side == "officer" and case.standing.get(person.id) == "waiting"
        refusals = those(
            ("case-closed", not case.is_open),
            ("not-found", person.id not in case.standing),
            ("party-left", case.standing.get(person.id) in GONE),
            ("not-asked", waiting),
        )
        now = self.clock.now.isoformat()
        body = {"party_id": person.id, "channel": "phone", "result": result, "attempted_at": now}
        if self.attempt(self.office.intake, f"{case.path}/contact-attempts", body, refusals) is None:
            return
        # Where nothing lies between two attempts, reaching somebody voids what was tried at that instant.
        case.reached[person.id] = self.clock.now if result == "reached" else case.reached.get(person.id)
        case.tried.discard(person.id)
        if result != "reached" and case.reached[person.id] != self.clock.now:
            case.tried.add(person.id)

    @rule(who=st.none() | N, absent=USUALLY, director=USUALLY)
    def somebody_lapses(self, who: int | None, absent: bool, director: bool) -> None:  # noqa: FBT001 - drawn
        person = None if who is None else pick(list(self.case.people.values()), who)
        self.lapse(person, absent=absent, director=director)

    def lapse(self, person: Person | None, *, absent: bool, director: bool) -> None:
        case = self.case
        concerned = case.staying if person is None else [p for p in case.staying if p is person]
        paper = case.paper("resolution")
        missing = [] if absent else case.missing_to_be_unreachable(concerned)
        refusals = those(
            ("case-closed", not case.is_open),
            ("party-left", not concerned),
            ("state-conflict", not absent and case.state == "in_session"),
            ("resolution-signed", not absent and paper is not None and paper.signed),
            ("conditions-missing", missing),
            ("director-required", absent and not director),
            (
                "absences-too-few",
                absent and not any(self.absences(case, p) >= ABSENCES_BEFORE_LAPSE[p.side] for p in concerned),
            ),
        )
        reason = "repeated_absence" if absent else "unreachable"
        body = {"reason": reason, "party_id": None if person is None else person.id}
        by = self.office.director if director else self.office.coordinator
        if self.attempt(by, f"{case.path}/lapses", body, refusals, missing=missing) is None:
            return
        if person is None:
            case.close("side_lapsed")
        else:
            case.leave(person, "lapsed")
        if case.state == "lapsed":
            case.lapse_reason = reason

    def is_often_absent(self, person: Person) -> bool:
        return self.absences(self.case, person) >= ABSENCES_BEFORE_LAPSE[person.side]

    @staticmethod
    def absences(case: Attempt, person: Person) -> int:
        return sum(not excused for (_, who), excused in case.absences.items() if who == person.id)

    @rule(complainant=st.none() | COMPLAINANT, interpreter=LANGUAGES, twice=SOMETIMES)
    def somebody_is_added(
        self,
        complainant: tuple[bool, bool, str | None] | None,
        interpreter: str | None,
        twice: bool,  # noqa: FBT001 - drawn
    ) -> None:
        if len(self.people) > 5:
            return
        if complainant is None:
            person = Person("", "officer", number=self.new_number(), interpreter=interpreter)
        else:
            minor, guardian, interpreter = complainant
            person = Person("", "complainant", minor=minor, guardian=minor and guardian, interpreter=interpreter)
        officers = [p for p in self.people.values() if p.side == "officer"]
        refusals: set[str] = set()
        if twice and officers and person.side == "officer":
            person.number = officers[0].number
            refusals.add("party-already-listed")
        if self.case.state in {"in_session", "concluded"}:
            refusals.add("state-conflict")
        added = self.attempt(self.office.intake, f"{self.complaint}/parties", _on_file(person), refusals)
        if added is None:
            return
        person.id = str(added["id"])
        self.people[person.id] = person
        if self.case.is_open:
            self.case.join(person)

    @rule(who=N, what=st.sampled_from(["guardian", "minor", "interpreter"]))
    def something_on_file_is_corrected(self, who: int, what: str) -> None:
        person = pick(list(self.people.values()), who)
        if what == "interpreter" or person.side == "officer":
            self.correct(person, interpreter=None if person.interpreter else "es")
        elif what == "guardian":
            self.correct(person, guardian=not person.guardian)
        else:
            self.correct(person, minor=not person.minor)

    def correct(self, person: Person, **changes: object) -> None:
        body: dict[str, object] = {}
        for name, value in changes.items():
            if name == "guardian":
                body["guardian"] = GUARDIAN if value else None
            else:
                body["interpreter_language" if name == "interpreter" else name] = value
        case = self.case if self.attempts and self.case.is_open else None
        rested = (person.guardian and changes.get("guardian") is False) or (changes.get("minor") and not person.minor)
        voids = (
            case is not None
            and rested
            and person in case.here
            and (case.standing[person.id] == "agreed" or person.id in case.guarded)
        )
        refusals: set[str] = set()
        if voids and case is not None:
            refusals = {"session-in-progress"} if case.state == "in_session" else refusals
            if not refusals and any(case.resolved(pair) for pair in case.open_parts):
                refusals = {"agreement-reached"}
        if self.attempt(self.office.intake, f"/v1/parties/{person.id}", body, refusals, method="PATCH") is None:
            return
        for name, value in changes.items():
            setattr(person, name, value)
        if voids and case is not None:
            case.void(person)

    # ── mediators ──────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(to=N)
    def a_mediator_is_proposed(self, to: int) -> None:
        self.propose(pick(self.mediators, to))

    def propose(self, mediator: Mediator) -> None:
        case = self.case
        refusals = those(
            ("case-closed", not case.is_open),
            ("state-conflict", case.state in {"screening", "in_session"}),
            ("mediator-assigned", case.mediator is not None),
            ("mediator-inactive", not mediator.active),
            (
                "mediator-conflicted",
                any(p.mediator is mediator and p.state in {"conflicted", "recused"} for p in case.proposals)
                or any(p.mediator is mediator and p.state == "conflicted" for a in self.attempts for p in a.proposals),
            ),
        )
        body = {"mediator_id": mediator.id}
        proposed = self.attempt(self.office.coordinator, f"{case.path}/assignments", body, refusals)
        if proposed is None:
            return
        for earlier in case.proposals:
            if earlier.state == "proposed":
                earlier.state = "released"
        case.proposals.append(Proposal(str(proposed["id"]), mediator))

    @precondition(lambda self: self.case.proposals)
    @rule(which=N, by=N, what=st.sampled_from(["accept", "accept", "conflict", "decline", "recuse"]))
    def a_mediator_answers(self, which: int, by: int, what: str) -> None:
        proposal = pick(self.case.proposals[::-1], which // 4)  # usually the last
        by_mediator = proposal.mediator if by % 4 else pick(self.mediators, by // 4)
        self.answer_proposal(proposal, by_mediator, what)

    def answer_proposal(self, proposal: Proposal, by: Mediator, what: str) -> None:
        case = self.case
        refusals = those(
            ("case-closed", not case.is_open),
        )
        if what == "recuse":
            if proposal.state != "accepted" or case.state == "concluded":
                refusals.add("state-conflict")
        elif proposal.state != "proposed":
            refusals.add("state-conflict")
        body: object = None
        if what in {"accept", "conflict"}:
            body = {"knows_a_party": what == "conflict", "has_an_interest": False, "took_part_before": False}
        path = f"/v1/assignments/{proposal.id}/{'accept' if what == 'conflict' else what}"
        hidden = by is not proposal.mediator
        hidden = hidden or not (case.is_led_by(by) if what == "recuse" else case.is_seen_by(by))
        if self.attempt(self.voice(by), path, body, refusals, hidden=hidden) is None:
            return
        said = {"accept": "accepted", "conflict": "conflicted", "decline": "declined", "recuse": "recused"}
        proposal.state = said[what]
        if what == "recuse" and case.live is not None:
            left = LEFT_BY_MEDIATOR[case.live.state]
            case.live.state = left.ends
            case.break_off(left.trigger)

    # ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(by=N, again=SOMETIMES, hours=st.sampled_from([1, 1, 1, 72, -1, 0]), long=SOMETIMES)
    def a_session_is_scheduled(self, by: int, again: bool, hours: int, long: bool) -> None:  # noqa: FBT001 - drawn
        if again and self.case.meetings:
            self.schedule(by, hours, long=long, meeting=pick(self.case.meetings[::-1], by // 4))
        else:
            self.schedule(by, hours, long=long)

    def schedule(self, by: int = 1, hours: int = 1, *, long: bool = False, meeting: Meeting | None = None) -> None:
        case = self.case
        starts_at = self.clock.now + timedelta(hours=hours)
        missing = case.missing_to_schedule()
        needless = case.state == "concluded" and case.covered == case.open_parts
        allowed = case.allows("session_scheduled") and not needless if meeting is None else meeting.state == "scheduled"
        refusals = those(
            ("case-closed", not case.is_open),
            ("validation-failed", hours <= 0 or long),
            ("conditions-missing", meeting is None and missing),
            ("state-conflict", not allowed),
        )
        ends_at = starts_at + timedelta(hours=9 if long else 2)
        body = {
            "starts_at": starts_at.isoformat(),
            "ends_at": ends_at.isoformat(),
            "mode": "video",
            "link": "https://video.example/room",
            "off_hours_reason": "room",
        }
        path = f"{case.path}/sessions" if meeting is None else f"/v1/sessions/{meeting.id}/reschedule"
        caller, hidden = self.runs_cases(by)
        scheduled = self.attempt(caller, path, body, refusals, hidden=hidden, missing=missing)
        if scheduled is None:
            return
        if meeting is not None:
            meeting.starts_at = starts_at
            return
        case.meetings.append(Meeting(str(scheduled["id"]), starts_at))
        case.move("session_scheduled")

    @precondition(lambda self: self.case.meetings)
    @rule(which=N, by=N, left_out=st.none() | N, stranger=SOMETIMES)
    def a_session_is_started(self, which: int, by: int, left_out: int | None, stranger: bool) -> None:  # noqa: FBT001
        self.start(pick(self.case.meetings[::-1], which // 4), by, left_out, stranger=stranger)

    def start(self, meeting: Meeting, by: int = 1, left_out: int | None = None, *, stranger: bool = False) -> None:
        case = self.case
        seats = case.seats()
        absent = [pick(seats, left_out)] if left_out is not None and seats else []
        missing = case.missing_to_start(absent)
        if stranger:
            absent.append(("support_person", STRANGER))
        refusals = those(
            ("case-closed", not case.is_open),
            ("state-conflict", meeting.state != "scheduled"),
            ("session-too-early", meeting.starts_at - self.clock.now > timedelta(hours=1)),
            ("validation-failed", stranger),
            ("conditions-missing", missing),
        )
        body = {"absent": [{"role": role, "id": who} for role, who in absent]} if absent else {}
        caller, hidden = self.runs_cases(by)
        path = f"/v1/sessions/{meeting.id}/start"
        started = self.attempt(caller, path, body, refusals, hidden=hidden, missing=missing)
        if started is None:
            return
        attended = {(str(s["role"]), str(s["id"])) for s in _objects(started["attendance"]) if s["present"]}
        assert attended == set(seats) - set(absent)
        meeting.state = "in_progress"
        meeting.room = attended
        case.move("session_started")

    @precondition(lambda self: self.case.meetings)
    @rule(which=N, by=N, what=st.sampled_from(["cancel", "adjourn", "complete", "end"]))
    def a_session_ends(self, which: int, by: int, what: str) -> None:
        self.finish(pick(self.case.meetings[::-1], which // 4), by, what)

    def finish(self, meeting: Meeting, by: int, what: str) -> None:
        case = self.case
        caller, hidden = self.runs_cases(by)
        if what == "end":  # the mediator alone decides this
            mediator = case.mediator if by % 4 else pick(self.mediators, by // 4)
            mediator = mediator or self.mediators[0]
            caller, hidden = self.voice(mediator), not case.is_led_by(mediator)
        begins, ends, trigger = SESSIONS[what]
        refusals = those(
            ("case-closed", not case.is_open),
            ("state-conflict", meeting.state not in begins),
        )
        path = f"/v1/sessions/{meeting.id}/{what}"
        if self.attempt(caller, path, None, refusals, hidden=hidden) is not None:
            meeting.state = ends
            if what == "end":
                case.give_back(*case.open_parts)
            if what in {"cancel", "adjourn"}:
                case.break_off(trigger)
            else:
                case.move(trigger)
            if what == "complete":
                case.settle()

    @precondition(lambda self: self.case.meetings)
    @rule(which=N, who=N, by=N, excused=SOMETIMES, wait=USUALLY, times=st.integers(1, 2))
    def somebody_does_not_come(
        self,
        which: int,
        who: int,
        by: int,
        excused: bool,  # noqa: FBT001 - drawn
        wait: bool,  # noqa: FBT001 - drawn
        times: int,
    ) -> None:
        meeting = pick(self.case.meetings[::-1], which // 4)
        if wait and meeting.state == "scheduled":
            self.clock.set(max(self.clock.now, meeting.starts_at))
        for _ in range(times):
            self.miss(meeting, pick(list(self.people.values()), who), by, excused=excused)

    def miss(self, meeting: Meeting, person: Person, by: int, *, excused: bool) -> None:
        case = self.case
        refusals = those(
            ("case-closed", not case.is_open),
            ("state-conflict", meeting.state not in {"scheduled", "missed"} or self.clock.now < meeting.starts_at),
            ("not-found", person not in case.staying),
            ("absence-already-recorded", (meeting.id, person.id) in case.absences),
        )
        body = {"party_id": person.id, "excused": excused}
        caller, hidden = self.runs_cases(by)
        if self.attempt(caller, f"/v1/sessions/{meeting.id}/absences", body, refusals, hidden=hidden) is None:
            return
        case.absences[meeting.id, person.id] = excused
        if meeting.state == "scheduled":
            meeting.state = "missed"
            case.break_off("session_called_off")

    # ── the room ───────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(of=st.none() | N, language=st.sampled_from([None, "es", "ase"]), qualified=USUALLY, family=SOMETIMES)
    def a_helper_is_added(
        self,
        of: int | None,
        language: str | None,
        qualified: bool,  # noqa: FBT001 - drawn
        family: bool,  # noqa: FBT001 - drawn
    ) -> None:
        people = list(self.people.values())
        self.add_helper(None if of is None else pick(people, of), language, qualified=qualified, family=family)

    def add_helper(self, of: Person | None, language: str | None, *, qualified: bool, family: bool) -> None:
        case = self.case
        refusals = those(
            ("case-closed", not case.is_open),
            ("not-found", of is not None and of.id not in case.standing),
            ("interpreter-unsuitable", language is not None and (not qualified or family)),
        )
        body = {
            "role": "support_person" if language is None else "interpreter",
            "name": "Noor Haddad",
            "language": language,
            "for_party_id": None if of is None else of.id,
            "qualified": qualified,
            "relation": "family" if family else "none",
        }
        added = self.attempt(self.office.intake, f"{case.path}/attendees", body, refusals)
        if added is not None:
            case.helpers.append(Helper(str(added["id"]), language, None if of is None else of.id))

    @precondition(lambda self: self.case.helpers)
    @rule(which=N)
    def a_helper_confirms(self, which: int) -> None:
        self.confirm(pick(self.case.helpers, which))

    def confirm(self, helper: Helper) -> None:
        refusals = set() if self.case.is_open else {"case-closed"}
        if self.attempt(self.office.intake, f"/v1/attendees/{helper.id}/confirm", None, refusals) is not None:
            helper.confirmed = True

    # ── agreements ─────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(timely=USUALLY, terms=USUALLY, by=N, times=st.integers(1, 2))
    def an_agreement_is_made(self, timely: bool, terms: bool, by: int, times: int) -> None:  # noqa: FBT001 - drawn
        late = self.case.state in {"in_session", "concluded"}
        kind = "resolution" if late == timely else "confidentiality"
        for _ in range(times):
            self.make(kind, by, terms=terms == (kind == "resolution"))

    def make(self, kind: str, by: int = 1, *, terms: bool = False) -> None:
        case = self.case
        refusals = those(
            ("case-closed", not case.is_open),
            ("state-conflict", case.state not in MADE_IN[kind]),
            ("agreement-reached", kind == "resolution" and any(case.resolved(pair) for pair in case.open_parts)),
            ("validation-failed", terms != (kind == "resolution")),
        )
        body = {"kind": kind, "languages": ["en"], "terms": "We will greet each other." if terms else None}
        caller, hidden = self.runs_cases(by)
        made = self.attempt(caller, f"{case.path}/agreements", body, refusals, hidden=hidden)
        if made is None:
            return
        earlier = case.paper(kind)
        case.papers.append(Paper(str(made["id"]), kind, str(made["sha256"])))
        if earlier is not None:
            earlier.superseded = True
            unsigned = [seat for seat in case.seats() if seat not in earlier.signed and seat[0] == "party"]
            for seat in unsigned[:1]:
                self.sign(earlier, seat, on_paper=True)  # it is refused: a later text replaced this one

    @precondition(lambda self: self.case.papers)
    @rule(which=N, seat=N, paper=SOMETIMES, changed=SOMETIMES)
    def somebody_signs(self, which: int, seat: int, paper: bool, changed: bool) -> None:  # noqa: FBT001 - drawn
        case = self.case
        seats = [*case.seats(), *(("party", p.id) for p in self.people.values())]
        self.sign(pick(case.papers[::-1], which // 4), pick(seats, seat), on_paper=paper, changed=changed)

    def sign(self, paper: Paper, seat: Seat, *, on_paper: bool = False, changed: bool = False) -> None:
        case = self.case
        signers: list[Seat] = case.seats()
        if paper.kind == "resolution":
            signers = [s for s in signers if s[0] in {"party", "guardian"}]
        refusals = those(
            ("case-closed", not case.is_open),
            ("agreement-superseded", paper.superseded),
            ("state-conflict", case.state not in SIGNED_IN[paper.kind]),
            ("text-changed", changed),
            ("not-a-signer", seat not in signers),
            ("already-signed", seat in paper.signed),
        )
        if case.standing.get(seat[1]) in GONE:
            refusals = {"party-left"}  # and not whether the others go on
        body: dict[str, object] = {"sha256": "f" * 64 if changed else paper.sha256}
        path = f"/v1/agreements/{paper.id}/signatures"
        role, who = seat
        if on_paper or role not in {"party", "mediator"}:
            body["signer"] = {"role": role, "id": who}
            signed = self.attempt(self.office.coordinator, path, body, refusals)
        elif role == "mediator":
            mediator = next(m for m in self.mediators if m.id == who)
            signed = self.attempt(self.voice(mediator), path, body, refusals, hidden=not case.is_led_by(mediator))
        else:
            person = self.people[who]
            hidden = not case.sees_paper(person, paper)
            signed = self.attempt(self.voice(person), path, body, refusals, hidden=hidden)
        if signed is not None:
            paper.signed.add(seat)

    # ── closing, time, strangers ───────────────────────────────────────────────────────────────────────────────────

    @rule(reached=st.booleans())
    def the_case_is_closed_as_mediated(self, reached: bool) -> None:  # noqa: FBT001 - drawn
        self.close(reached=reached)

    def close(self, *, reached: bool) -> None:
        case = self.case
        refusals = those(
            ("case-closed", not case.is_open),
            ("state-conflict", not case.allows("closed_as_mediated")),
        )
        missing: list[Missing] = []
        if not refusals:
            missing = self.missing_to_close(reached=reached)
            refusals = those(
                ("conditions-missing", missing),
                ("agreement-reached", case.is_resolved and not reached),
            )
        body = {"agreement_reached": reached}
        if self.attempt(self.office.coordinator, f"{case.path}/closures", body, refusals, missing=missing) is not None:
            case.mediate()

    def missing_to_close(self, *, reached: bool) -> list[Missing]:
        case = self.case
        if not case.covered:
            return [("completed-session-missing", None)]
        if not reached or case.is_resolved:
            return []
        paper = case.paper("resolution")
        if paper is None:
            return [("resolution-missing", None)]
        signers = {seat for seat in case.seats() if seat[0] in {"party", "guardian"}}
        concerned = {who for pair in case.covered for who in pair}
        return [("resolution-unsigned", who) for role, who in signers - paper.signed if who in concerned]

    @rule(hours=st.sampled_from([1, 24, 24 * 9, 24 * 30]))
    def time_passes(self, hours: int) -> None:
        """Nothing changes by itself."""
        self.clock.advance(hours=hours)

    @rule(role=st.sampled_from([Role.OFFICER, Role.MEDIATOR]), what=N)
    def a_stranger_tries(self, role: Role, what: int) -> None:
        """Who has nothing to do with the case is told that it does not exist, whatever they try."""
        stranger = self.office.caller(role, f"stranger-{role}", "no-such-number" if role is Role.OFFICER else None)
        case = self.case
        someone = next(iter(case.people))
        tries: list[tuple[str, object]] = [(f"{case.path}/withdrawals", {"party_id": someone, "channel": "phone"})]
        if role is Role.MEDIATOR:
            tries += [(f"/v1/assignments/{p.id}/decline", None) for p in case.proposals]
            tries += [(f"/v1/sessions/{m.id}/end", None) for m in case.meetings]
        tries += [(f"/v1/agreements/{p.id}/signatures", {"sha256": p.sha256}) for p in case.papers]
        path, body = pick(tries, what)
        self.attempt(stranger, path, body, set(), hidden=True)
        assert self.send(stranger, "GET", case.path).status_code == 404

    # ── what happens at its time ─────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.case.state in TIMELY)
    @rule(what=st.integers(0, 59), n=N)
    def something_happens_at_its_time(self, what: int, n: int) -> None:
        """What the rules allow in this state, and less often happens by chance."""
        getattr(self, f"_{pick(TIMELY[self.case.state], what)}")(n)

    def _late_complainant(self, _n: int) -> None:
        self.somebody_is_added(complainant=(False, False, None), interpreter=None, twice=False)

    def _late_officer(self, _n: int) -> None:
        self.somebody_is_added(complainant=None, interpreter=None, twice=False)

    def _last_asked_leaves(self, n: int) -> None:
        asked = [p for p in self.case.here if self.case.standing[p.id] == "asked"]
        for person in asked[1:]:
            self.answer(person)
        self.somebody_who_is_asked_leaves(0, pick(["declines", "withdraws", "lapses"], n))

    def _side_leaves(self, n: int) -> None:
        for person in self.case.side(pick(["complainant", "officer"], n)):
            self.withdraw(person, "self" if self.case.is_seen_by(person) else "staff")

    def _one_leaves(self, n: int) -> None:
        self.withdraw(pick(self.case.here, n), "staff")

    def _one_is_absent_twice(self, n: int) -> None:
        meeting = self.case.meetings[-1]
        self.clock.set(max(self.clock.now, meeting.starts_at))
        person = pick(self.case.here, n)
        for _ in range(2):
            self.miss(meeting, person, 1, excused=False)
        for director in (False, True):
            self.lapse(person, absent=True, director=director)

    def _text_changes(self, _n: int) -> None:
        late = self.case.state in {"in_session", "concluded"}
        for _ in range(2):
            self.make("resolution" if late else "confidentiality", terms=late)

    def _mediator_leaves(self, _n: int) -> None:
        proposal = next((p for p in self.case.proposals if p.state == "accepted"), None)
        if proposal is not None:
            self.answer_proposal(proposal, proposal.mediator, "recuse")

    def _another_mediator(self, _n: int) -> None:
        for mediator in self.mediators:
            self.propose(mediator)

    def _session_ends(self, n: int) -> None:
        assert self.case.live is not None
        self.finish(self.case.live, 1, pick(["cancel", "adjourn", "end"], n))

    def _everybody_is_unreachable(self, _n: int) -> None:
        self.lapse(None, absent=False, director=False)

    # ── the straight way ───────────────────────────────────────────────────────────────────────────────────────────

    @rule(steps=st.integers(1, 6))
    def proceed(self, steps: int) -> None:
        """What usually comes next, so that histories get far."""
        for _ in range(steps if not self.mediated else 0):
            getattr(self, f"_from_{self.case.state}", self._from_closed)()
            self.the_office_sees_the_model()

    def _from_screening(self) -> None:
        if all(p.side != "officer" for p in self.people.values()):
            self.somebody_is_added(complainant=None, interpreter=None, twice=False)
        elif not self.case.side("officer"):
            self.withdraw(self.case.side("complainant")[0], "staff")
        else:
            sure = self.outcome() is True
            self.screen(override=None if sure else True, director=not sure, reason=not sure)

    def _from_confirming(self) -> None:
        self._ask_next("complainant")

    def _from_asking(self) -> None:
        self._ask_next("officer")

    def _ask_next(self, side: str) -> None:
        person = next(p for p in self.case.side(side) if self.case.standing[p.id] == "asked")
        if person.minor and not person.guardian:
            self.correct(person, guardian=True)
        self.answer(person)

    def _from_ready(self) -> None:
        case = self.case
        proposal = next((p for p in case.proposals if p.here), None)
        unguarded = next((p for p in case.here if p.minor and not p.guardian), None)
        if case.missing_to_schedule():
            self.schedule()  # too early: it is refused with what is missing
        if unguarded is not None:
            self.correct(unguarded, guardian=True)
        elif proposal is None:
            free = [m for m in self.mediators if m.active and m.id not in case.barred]
            self.propose(free[0] if free else self.hire(active=True))
        elif proposal.state == "proposed":
            self.answer_proposal(proposal, proposal.mediator, "accept")
        else:
            self.schedule()

    def _from_scheduled(self) -> None:
        case = self.case
        missing = case.missing_to_start()
        codes = [code for code, _ in missing]
        assert case.live is not None
        self.start(case.live)  # mostly too early
        paper = case.paper("confidentiality")
        if "guardian-missing" in codes:
            self.correct(next(p for p in case.here if p.minor and not p.guardian), guardian=True)
        elif "interpreter-missing" in codes:
            self._bring_interpreter(self.people[str(dict(missing)["interpreter-missing"])])
        elif paper is None:
            self.make("confidentiality")
        elif missing:
            unsigned = [seat for seat in case.seats() if seat not in paper.signed]
            for seat in unsigned[1:] or unsigned:
                self.sign(paper, seat)

    def _bring_interpreter(self, person: Person) -> None:
        for helper in self.case.helpers:
            if helper.language == person.interpreter and helper.of in {None, person.id}:
                self.confirm(helper)
                return
        self.add_helper(person, person.interpreter, qualified=True, family=False)

    def _from_in_session(self) -> None:
        assert self.case.live is not None
        self.finish(self.case.live, 1, "complete")

    def _from_concluded(self) -> None:
        self.close(reached=self.case.is_resolved)

    def _from_closed(self) -> None:
        self.request(by=None)

    # ── what must hold after each step ─────────────────────────────────────────────────────────────────────────────

    @invariant()
    def the_office_sees_the_model(self) -> None:
        """After whatever was tried, once."""
        if not self.attempts or not self.sound or not self.tried:
            return
        self.sound = self.tried = False
        case = self.case
        seen = self.read(self.office.coordinator, case.path)
        assert seen["state"] == case.state
        assert seen["attempt"] == len(self.attempts)
        assert (seen["closed_at"] is None) == case.is_open
        assert seen["agreement_reached"] == case.agreement_reached
        assert seen["lapse_reason"] == case.lapse_reason
        participants = _objects(seen["participants"])
        assert {p["party_id"]: p["standing"] for p in participants} == case.standing
        assert {p["party_id"] for p in participants if p["asked_at"] is not None} == case.asked
        parts = {(str(p["complainant_id"]), str(p["officer_id"])): p for p in _objects(seen["parts"])}
        assert {pair: part["disposition"] for pair, part in parts.items()} == case.parts
        assert {pair for pair, part in parts.items() if part["session_completed"]} == set(case.covered)
        absences = {p["party_id"]: p["unexcused_absences"] for p in participants}
        assert absences == {i: self.absences(case, self.people[i]) for i in case.standing}
        proposal = next((p for p in case.proposals if p.here), None)
        expected = None if proposal is None else (proposal.id, proposal.state)
        assert _fields(seen["assignment"], "id", "state") == expected
        assert _fields(seen["next_session"], "id", "state") == (case.live and (case.live.id, case.live.state))
        if case.is_open and self.changed:
            readiness = self.read(self.office.coordinator, f"{case.path}/readiness")
            for gate, missing in (
                ("scheduling", case.missing_to_schedule()),
                ("starting", case.missing_to_start()),
                ("closing", self.missing_to_close(reached=case.is_resolved)),
            ):
                shown = readiness[gate]
                assert isinstance(shown, dict)
                assert _conditions(shown["missing"]) == Counter(missing), gate
                assert shown["open"] == (not missing)
        self.sound = True

    @invariant()
    def the_parties_see_the_model(self) -> None:
        """After what succeeded; that a refusal changed nothing, the office sees."""
        if self.attempts and self.sound and self.changed:
            self.each_party_sees_its_own_part()
            self.changed = False

    def each_party_sees_its_own_part(self, *, strangers: bool = False) -> None:
        """Those who take part and, where asked for, mediators who were never proposed."""
        self.sound = False
        case = self.case
        for person in self.people.values():
            response = self.send(self.voice(person), "GET", case.path)
            if not case.is_seen_by(person):
                assert response.status_code == 404
                continue
            seen = response.json()
            assert seen["you"] == {
                "party_id": person.id,
                "side": person.side,
                "standing": case.standing[person.id],
            }
            assert seen["state"] == case.status_for(person)
            knows = case.state not in SEALED or case.standing[person.id] in GONE
            own = {pair: each for pair, each in case.parts.items() if person.id in pair and knows}
            assert {(p["complainant_id"], p["officer_id"]): p["disposition"] for p in seen["parts"]} == own
            shown = case.is_shown_others(person)
            agreed = {i for i, standing in case.standing.items() if standing == "agreed"} - {person.id}
            assert {other["party_id"] for other in seen["others"]} == (agreed if shown else set())
            assert (seen["mediator_name"] is not None) == (shown and case.mediator is not None)
            live = case.live if shown else None
            assert _fields(seen["next_session"], "id", "state") == (live and (live.id, live.state))
        proposed = [proposal.mediator for proposal in case.proposals]
        for mediator in (mediator for mediator in self.mediators if strangers or mediator in proposed):
            response = self.send(self.voice(mediator), "GET", case.path)
            assert response.status_code == (200 if case.is_seen_by(mediator) else 404)
        self.sound = True

    def nothing_is_lost(self) -> None:
        """Of each attempt: what was answered, signed, held and decided; every transition was one of the table."""
        office = self.office.coordinator
        for case in self.attempts:
            answers = self.items(office, f"{case.path}/consents")
            assert {c["party_id"]: (c["id"], c["decision"]) for c in answers if c["stands"]} == case.consents
            assert {c["id"] for c in answers if not c["stands"]} == case.voided
            withdrawals = {w["party_id"]: w["id"] for w in self.items(office, f"{case.path}/withdrawals")}
            assert withdrawals == case.withdrawals
            papers = self.items(office, f"{case.path}/agreements")
            kept = {p["id"]: (p["kind"], p["sha256"], p["superseded_at"] is not None) for p in papers}
            assert kept == {p.id: (p.kind, p.sha256, p.superseded) for p in case.papers}
            signed = {p["id"]: {(s["role"], s["signer_id"]) for s in _objects(p["signatures"])} for p in papers}
            assert signed == {p.id: p.signed for p in case.papers}
            sessions = self.items(office, f"/v1/sessions?case_id={case.id}")
            assert {s["id"]: s["state"] for s in sessions} == {m.id: m.state for m in case.meetings}
            events = self.items(office, f"{case.path}/timeline?limit=100")
            state = "screening"
            for event in events:
                if event["kind"] != "case.state_changed":
                    continue
                transition = event["data"]
                assert isinstance(transition, dict)
                assert transition["from_state"] == state
                sources, state = TRANSITIONS[transition["trigger"]]
                assert transition["from_state"] in sources
                assert transition["to_state"] == state
            assert state == case.state
        seen = self.read(self.office.intake, self.complaint)
        assert [c["state"] for c in _objects(seen["cases"])] == [case.state for case in self.attempts]
        assert seen["disposition"] == self.disposition()

    def disposition(self) -> str:
        """Of the complaint, of all its parts."""
        latest = {pair: each for case in self.attempts for pair, each in case.parts.items()}
        return disposition_of(latest.values() if latest else [] if self.case.is_open else [RETURNED])

    def everybody_may_leave(self) -> None:
        """Whatever state a history ended in: if it is open, everybody who takes part can leave, one after the other.

        Half of them go on first, so that a session is ahead.
        """
        case = self.case
        if len(self.people) % 2:
            for _ in range(9):
                if case.state not in {"confirming", "asking", "ready"}:
                    break
                self.proceed(1)
        while case.is_open:
            person = case.staying[0]
            self.withdraw(person, "self" if case.is_seen_by(person) else "staff")
            assert case.standing[person.id] == "withdrawn"
            self.the_office_sees_the_model()
        for person in self.people.values():
            self.answer(person, staff=True)  # it is refused, and to who has left not because of the close
        self.each_party_sees_its_own_part(strangers=True)


GUARDIAN = {"name": "Ines Alvarez", "relation": "parent"}


def _on_file(person: Person) -> dict[str, object]:
    party: dict[str, object] = {"side": person.side, "name": "Somebody", "interpreter_language": person.interpreter}
    if person.side == "officer":
        return party | {"employee_number": person.number}
    return party | {"minor": person.minor, "guardian": GUARDIAN if person.guardian else None}


def _in_order(people: Sequence[Person], listed: list[dict[str, object]]) -> list[dict[str, object]]:
    """The parties as listed, each at the place of the person whose data it carries."""
    left = list(listed)
    ordered = []
    for person in people:
        party = next(p for p in left if _same(person, p))
        left.remove(party)
        ordered.append(party)
    return ordered


def _same(person: Person, party: dict[str, object]) -> bool:
    return (person.side, person.number or None, person.minor, person.guardian, person.interpreter) == (
        party["side"],
        party["employee_number"],
        party["minor"],
        party["guardian"] is not None,
        party["interpreter_language"],
    )


def _objects(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def _conditions(value: object) -> Counter[Missing]:
    return Counter((str(m["code"]), None if m["subject_id"] is None else str(m["subject_id"])) for m in _objects(value))


def _fields(value: object, *names: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    assert isinstance(value, dict)
    return tuple(str(value[name]) for name in names)


def test_no_history_breaks_the_rules(world: World) -> None:
    profile = settings()
    deep = settings.get_current_profile_name() == "deep"

    class HistoriesHere(Histories):
        pass

    HistoriesHere.world = world
    run_state_machine_as_test(
        HistoriesHere,
        settings=settings(
            profile,
            max_examples=profile.max_examples if deep else HISTORIES,
            stateful_step_count=40 if deep else 8,
            derandomize=not deep,
            # To shrink a history takes minutes; the deep profile does.
            phases=[Phase.generate, *([Phase.shrink] if deep else [])],
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
