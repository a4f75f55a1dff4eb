"""What everybody reads after somebody leaves a case: the rules of mediation, written down a second time.

A reading of the rules of its own, from the description of the service and not from its code: nothing of mediation_api
is imported here, and whoever changes the service does not change this page with it. tests/promises/leaving.py holds it
against the service over HTTP, and docs/who-sees-what.md is generated from it.

The people of a case are some complainants, some officers, and a mediator who has accepted; an integration filed the
complaint. One person leaves in one of four ways at one of seven moments. A *part* is one complainant and one officer.
The words of states, standings and dispositions are those of the contract.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Final, NamedTuple

from tests.office.model import (
    CLOSED_MEDIATED,
    CLOSES,
    GONE,
    IN_MEDIATION,
    OPEN,
    RETURNED,
    SEALED,
    SESSIONS,
    TRANSITIONS,
    disposition_of,
    once_answered,
    sees_case,
    sees_others,
    shown_status,
)

# ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Side(StrEnum):
    COMPLAINANT = "complainant"
    OFFICER = "officer"


class Person(NamedTuple):
    """A party: the first or second of its side."""

    side: Side
    number: int


Pair = tuple[Person, Person]
"""A complainant and an officer: whom a part is between."""


class Act(StrEnum):
    """How somebody leaves, and what might have come instead. To decline and to withdraw is the person's own."""

    DECLINE = "decline"
    WITHDRAW = "withdraw"
    REMOVE = "remove"
    LAPSE = "lapse"
    AGREE = "agree"
    NOTHING = "nothing"


class Moment(StrEnum):
    """When: for that person, until everybody has agreed; then for the case."""

    ASKED = "asked"
    AGREED = "agreed"
    READY = "ready"
    SCHEDULED = "scheduled"
    IN_SESSION = "in_session"
    CONCLUDED = "concluded"
    CLOSED = "closed"


LEAVES_AS: Final = {
    Act.DECLINE: "declined",
    Act.WITHDRAW: "withdrawn",
    Act.REMOVE: "removed",
    Act.LAPSE: "lapsed",
}
"""The standing of whoever left so; of a case in which a side is empty through that, the state as well."""
LEAVING: Final = tuple(LEAVES_AS)


class Refused(Exception):  # noqa: N818 - an answer of the service
    """The service says no, with this code, and nothing changes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# ── what is read ───────────────────────────────────────────────────────────────────────────────────────────────────


class Reading(NamedTuple):
    """What one observer reads of the case. What it is never shown is None or empty."""

    status: str | None = None
    """Of the case: for the office and the mediator its state. None: the case does not exist for them."""
    standing: str | None = None
    """A party's own."""
    people: frozenset[tuple[Person, str]] = frozenset()
    """Those whom it is shown. With their standings for the office, which sees those who left as well."""
    mediator: bool = False
    """A party: whether it is told who mediates."""
    session: str | None = None
    """The session that is ahead or under way."""
    parts: frozenset[tuple[Pair, str]] = frozenset()
    complaint: str | None = None
    """The disposition of the complaint."""


NOTHING: Final = Reading()


# ── the case ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Case:
    """One case, and what becomes of it."""

    people: tuple[Person, ...]
    state: str = "confirming"
    standing: dict[Person, str] = field(default_factory=dict)
    parts: dict[Pair, str] = field(default_factory=dict)
    session: str | None = None
    attended: frozenset[Person] = frozenset()
    """Those who were present in a session that was completed."""

    @classmethod
    def opened(cls, complainants: int, officers: int) -> "Case":
        """A case that passed screening: the complainants are asked, the officers wait."""
        first = [Person(Side.COMPLAINANT, n) for n in range(1, complainants + 1)]
        second = [Person(Side.OFFICER, n) for n in range(1, officers + 1)]
        standing = dict.fromkeys(first, "asked") | dict.fromkeys(second, "waiting")
        parts = dict.fromkeys(product(first, second), IN_MEDIATION)
        return cls((*first, *second), standing=standing, parts=parts)

    def copy(self) -> "Case":
        return deepcopy(self)

    def do(self, who: Person, act: Act) -> None:
        """What somebody does at a moment, or the office does about somebody."""
        if act is Act.AGREE:
            self.agree(who)
        elif act is not Act.NOTHING:
            self.leave(who, act)

    @property
    def is_closed(self) -> bool:
        return self.state not in OPEN

    def still_here(self, side: Side | None = None) -> list[Person]:
        """Those who have not left."""
        return [who for who in self.people if self.standing[who] not in GONE and side in {None, who.side}]

    def awaited(self, side: Side) -> list[Person]:
        """Those who were asked, and may still answer."""
        return [who for who in self.still_here(side) if self.standing[who] == "asked" and not self.is_closed]

    def parts_of(self, who: Person) -> dict[Pair, str]:
        return {pair: disposition for pair, disposition in self.parts.items() if who in pair}

    # ── leaving ────────────────────────────────────────────────────────────────────────────────────────────────────

    def leave(self, who: Person, act: Act) -> None:
        """Somebody leaves. The parts of that person go back to investigation at once; nobody else's do.

        Raises Refused: what cannot be done at this moment. Withdrawing can be, until the case has closed.
        """
        self._require_possible(who, act)
        self.standing[who] = LEAVES_AS[act]
        self._return_parts(pair for pair in self.parts_of(who))
        if act is Act.REMOVE:
            self._wait_for_the_right_person(who.side)
        elif not self.still_here(who.side):
            self.session = None
            self._move(CLOSES[LEAVES_AS[act]])
            self._return_parts(self.parts)
        self._go_on_once_all_have_answered()

    def _require_possible(self, who: Person, act: Act) -> None:
        if self.is_closed and act is Act.REMOVE:
            raise Refused("part-mediated")  # what was mediated stays so
        if self.is_closed:
            raise Refused("case-closed")
        if act is Act.DECLINE and self.standing[who] != "asked":
            raise Refused("already-answered")  # an answer is final for its case; who agreed may withdraw
        if act in {Act.REMOVE, Act.LAPSE} and self.state == "in_session":
            raise Refused("session-in-progress" if act is Act.REMOVE else "state-conflict")

    def _return_parts(self, pairs: Iterable[Pair]) -> None:
        for pair in list(pairs):
            if self.parts[pair] == IN_MEDIATION:
                self.parts[pair] = RETURNED

    def _wait_for_the_right_person(self, side: Side) -> None:
        """The office corrects whom it was about, which closes no case: the gate is shut, and a session called off.

        A side that is empty waits for the right person, who is asked like anybody else.
        """
        self.session = None
        if self.state == "scheduled":
            self.state = "ready"
        if not self.still_here(side):
            self.state = "confirming" if side is Side.COMPLAINANT or self.state == "confirming" else "asking"

    # ── going on ───────────────────────────────────────────────────────────────────────────────────────────────────

    def agree(self, who: Person) -> None:
        """Somebody who was asked agrees."""
        assert self.standing[who] == "asked"
        self.standing[who] = "agreed"
        self._go_on_once_all_have_answered()

    def _go_on_once_all_have_answered(self) -> None:
        """Officers are asked after the complainants; the case is ready once nobody is left unanswered."""
        while trigger := once_answered(self.state, self._standings()):
            self._move(trigger)
            for officer in self.still_here(Side.OFFICER) if self.state == "asking" else ():
                self.standing[officer] = "asked"

    def _standings(self) -> dict[str, list[str]]:
        return {side: [self.standing[who] for who in self.still_here(side)] for side in Side}

    def _move(self, trigger: str) -> None:
        assert self.state in TRANSITIONS[trigger].sources
        self.state = TRANSITIONS[trigger].target

    def schedule(self) -> None:
        self._move("session_scheduled")
        self.session = "scheduled"

    def start(self) -> None:
        """Everybody who is still here has signed, and is there."""
        _, self.session, trigger = SESSIONS["start"]
        self._move(trigger)

    def complete(self) -> None:
        """Those who left before the end were not in a session that was completed."""
        self._move("session_completed")
        self.session = None
        self.attended = frozenset(self.still_here())

    def close(self) -> None:
        """A part is mediated if both of its people are still agreed and were there; the others go back."""
        self._move("closed_as_mediated")
        for pair, disposition in self.parts.items():
            if disposition == IN_MEDIATION:
                kept = all(self.standing[who] == "agreed" and who in self.attended for who in pair)
                self.parts[pair] = CLOSED_MEDIATED if kept else RETURNED

    def go_on_to_the_end(self) -> None:
        """Those who are still here agree, meet, and the case closes; where a side is empty, nobody meets."""
        for side in Side:
            for who in self.awaited(side):
                self.agree(who)
        steps = {"ready": self.schedule, "scheduled": self.start, "in_session": self.complete, "concluded": self.close}
        while self.state in steps and self.still_here(Side.COMPLAINANT) and self.still_here(Side.OFFICER):
            steps[self.state]()

    # ── who sees what ──────────────────────────────────────────────────────────────────────────────────────────────

    def read_by_party(self, who: Person) -> Reading:
        """From `ready` on, a party sees what becomes of its own parts, and who else takes part.

        Who left sees that alone, the same whatever the others do and whoever is removed afterwards. An officer who was
        not asked yet sees nothing, and neither does somebody who was removed.
        """
        standing, own = self.standing[who], self._meant(self.parts_of(who))
        if not sees_case(who.side, standing, asked=standing != "waiting"):
            return NOTHING
        status = shown_status(self.state, standing, own.values())
        if status == "pending":
            own = {}
        meets = sees_others(standing, status)
        others = [each for each in self.still_here() if each != who and self.standing[each] == "agreed"]
        return Reading(
            status,
            standing,
            people=frozenset((each, "") for each in others) if meets else frozenset(),
            mediator=meets,
            session=self.session if meets else None,
            parts=frozenset(own.items()),
            complaint=self._complaint_for(who, own),
        )

    def _complaint_for(self, who: Person, own: dict[Pair, str]) -> str | None:
        """The complaint as a complainant reads it. For whoever left it went back, whatever parts are left to it."""
        if who.side is Side.OFFICER:
            return None
        return RETURNED if self.standing[who] in GONE else disposition_of(own.values())

    def read_by_mediator(self) -> Reading:
        """The mediator works with those who are still here, and sees no more of the others than that."""
        people = frozenset((who, "") for who in self.still_here())
        return Reading(self.state, people=people, session=self.session)

    def read_by_office(self) -> Reading:
        """The office sees everything, at once."""
        return Reading(
            self.state,
            people=frozenset(self.standing.items()),
            session=self.session,
            parts=frozenset(self.parts.items()),
            complaint=self._complaint(self._meant(self.parts)),
        )

    def read_by_integration(self) -> Reading:
        """The system that filed sees where each part stands, not before the case is ready or closed; never why."""
        meant = self._meant(self.parts)
        parts = dict.fromkeys(meant, IN_MEDIATION) if self.state in SEALED else meant
        return Reading(parts=frozenset(parts.items()), complaint=self._complaint(parts))

    def _complaint(self, parts: dict[Pair, str]) -> str:
        """The complaint as a whole. One that has lost all parts to removals goes back when its case closes."""
        return RETURNED if self.is_closed and not parts else disposition_of(parts.values())

    def _meant(self, parts: dict[Pair, str]) -> dict[Pair, str]:
        """Parts without those of somebody who should never have been a party: only the office still sees them."""
        return {pair: each for pair, each in parts.items() if "removed" not in {self.standing[who] for who in pair}}


# ── every moment, and what comes of each act ───────────────────────────────────────────────────────────────────────

Observer = Person | str
OTHERS: Final = ("mediator", "office", "integration")


def readings(case: Case) -> dict[Observer, Reading]:
    """What everybody reads."""
    parties: dict[Observer, Reading] = {who: case.read_by_party(who) for who in case.people}
    return parties | {
        "mediator": case.read_by_mediator(),
        "office": case.read_by_office(),
        "integration": case.read_by_integration(),
    }


def case_at(moment: Moment, who: Person, complainants: int, officers: int) -> Case:
    """A case in which all has gone well so far: one after the other agreed, and then they met."""
    case = Case.opened(complainants, officers)
    for each in case.people:
        if (moment, each) == (Moment.ASKED, who):
            return case
        case.agree(each)
        if (moment, each) == (Moment.AGREED, who):
            return case
    steps = (case.schedule, case.start, case.complete, case.close)
    for step in steps[: [*Moment].index(moment) - [*Moment].index(Moment.READY)]:
        step()
    return case


class Outcome(NamedTuple):
    """What came of an act."""

    refused: str | None
    case: Case
    then: dict[Observer, Reading]
    at_the_end: dict[Observer, Reading]
    """Once those who are still here have gone on as far as they can."""


def outcome(moment: Moment, who: Person, act: Act, complainants: int, officers: int) -> Outcome:
    """What comes of it."""
    case, refused = case_at(moment, who, complainants, officers), None
    try:
        case.do(who, act)
    except Refused as refusal:
        refused = refusal.code
    end = case.copy()
    end.go_on_to_the_end()
    return Outcome(refused, case, readings(case), readings(end))
