"""One case as one register: what may be asked of it, and the model of what must be answered.

The model is for two complainants and two officers, one mediator and no minors, by the rules as the tests know them
(tests/office/model.py); it imports no decision of the domain. Its state holds every event of the case in order, so that
one timeline that somebody read tells in which order all that came before it happened.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tests.office import model
from tests.office.model import GONE, OPEN, TRANSITIONS, those

SIDES: Final = ("complainant", "complainant", "officer", "officer")
"""Of the parties, by their numbers."""
MEDIATOR: Final = len(SIDES)
"""The number of the fifth who signs."""
SESSIONS: Final = {verb: model.SESSIONS[verb] for verb in ("cancel", "start", "adjourn", "complete")}

Event = tuple[str, int | None, str | None]
"""Its kind, whom it is about, and of a transition its trigger."""


class Ask(NamedTuple):
    """What somebody asks: `who` is a party's number or the mediator's, `about` a session or an agreement."""

    what: str
    who: int = MEDIATOR
    about: str = ""


class Told(NamedTuple):
    """What was answered: the status, the code of a refusal, and what was read or made."""

    status: int
    code: str = ""
    value: Hashable = None


@dataclass(frozen=True, slots=True)
class Paper:
    """A confidentiality agreement, and who has signed it."""

    id: str
    signed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Register:
    """The case at an instant."""

    state: str
    standing: tuple[str, ...]
    mediator: str = "accepted"
    sessions: tuple[tuple[str, str], ...] = ()
    papers: tuple[Paper, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def live(self) -> tuple[str, str] | None:
        """The session that is ahead or under way."""
        return next((each for each in self.sessions if each[1] in model.LIVE), None)

    def here(self, side: str | None = None) -> list[int]:
        """Who takes part."""
        return [n for n, each in enumerate(self.standing) if each not in GONE and side in {None, SIDES[n]}]

    # ── who sees what ──────────────────────────────────────────────────────────────────────────────────────────────

    def is_seen_by(self, who: int) -> bool:
        """A complainant sees its case, an officer once it was asked, the mediator until leaving."""
        if who == MEDIATOR:
            return self.mediator == "accepted"
        return model.sees_case(SIDES[who], self.standing[who], asked=self.standing[who] != "waiting")

    def is_shown_others(self, who: int) -> bool:
        """Whether a party sees who else takes part."""
        return model.sees_others(self.standing[who], model.shown_status(self.state, self.standing[who]))

    def seen_by(self, who: int) -> Hashable:
        """The case as a party reads it."""
        shown = self.is_shown_others(who)
        others = (
            frozenset(n for n in self.here() if n != who and self.standing[n] == "agreed") if shown else frozenset()
        )
        mediator = shown and self.mediator == "accepted"
        status = model.shown_status(self.state, self.standing[who])
        return (status, self.standing[who], others, mediator, self.live if shown else None)

    # ── what follows ───────────────────────────────────────────────────────────────────────────────────────────────

    def with_event(self, kind: str, who: int | None = None) -> "Register":
        """The same with an event more."""
        return replace(self, events=(*self.events, (kind, who, None)))

    def with_events(self, events: Iterable[Event]) -> "Register":
        """The same with more events."""
        return replace(self, events=(*self.events, *events))

    def moved(self, trigger: str) -> "Register":
        """The case after a transition."""
        moved = replace(self, state=TRANSITIONS[trigger].target)
        return moved.with_events([("case.state_changed", None, trigger)])

    def stands(self, who: int, standing: str) -> "Register":
        """The case with another standing of a party."""
        changed = (*self.standing[:who], standing, *self.standing[who + 1 :])
        return replace(self, standing=changed)

    def meets(self, session: str, state: str) -> "Register":
        """The case with another state of a session."""
        return replace(self, sessions=tuple((i, state if i == session else s) for i, s in self.sessions))

    def after_leaving(self, who: int) -> "Register":
        """The parts of who leaves go back. An empty side closes the case; else it may have waited for nobody else."""
        left = self
        for n in self.here():
            if SIDES[n] != SIDES[who]:
                left = left.with_event("part.returned")
        if self.here(SIDES[who]):
            return left.settled()
        if self.live is not None:
            session, state = self.live
            ends = model.CALLED_OFF[state]
            left = left.meets(session, ends).with_event(f"session.{ends}")
        return left.moved(model.CLOSES[self.standing[who]]).with_event("case.closed")

    def settled(self) -> "Register":
        """The transitions that follow once nobody is left unanswered."""
        case = self
        while trigger := model.once_answered(case.state, case._standings()):
            case = case.moved(trigger)
            for n in case.here("officer") if case.state == "asking" else ():
                case = case.stands(n, "asked").with_event("party.asked", n)
        return case

    def _standings(self) -> dict[str, list[str]]:
        return {side: [self.standing[n] for n in self.here(side)] for side in ("complainant", "officer")}


def step(case: Register, asked: Ask, told: Told | None) -> Iterator[Register]:
    """What may follow when somebody was told so. Who was told nothing may have been refused, or not."""
    if asked.what in READS:
        status, value = READS[asked.what](case, asked)
        if told is None or (told.status, told.value) == (status, value):
            yield case
        return
    refusals = _refusals(case, asked)
    if told is None:
        yield case
        if not refusals:
            yield _after(case, asked, None)
    elif refusals:
        if told.code in refusals and told.status == model.status_of(told.code):
            yield case
    elif told.status == (200 if _said_before(case, asked) or asked.what in {*SESSIONS, "recuse"} else 201):
        yield _after(case, asked, told)


def _said_before(case: Register, asked: Ask) -> bool:
    return asked.what == "withdraw" and ("party.withdrew", asked.who, None) in case.events


def _refusals(case: Register, asked: Ask) -> set[str]:
    """The refusals that hold; with any of them, nothing happens."""
    what = asked.what
    closed = those(("case-closed", case.state not in OPEN))
    if what in {"agree", "decline", "withdraw"}:
        return _refusals_to_a_party(case, asked, closed)
    if what == "sign":
        return _refusals_to_sign(case, asked, closed)
    if what == "schedule":
        unready = case.mediator != "accepted" or any(case.standing[n] != "agreed" for n in case.here())
        return closed | those(("conditions-missing", unready), ("state-conflict", case.state != "ready"))
    if what in {*SESSIONS, "recuse"} and not case.is_seen_by(MEDIATOR):
        return {"not-found"}
    if what in SESSIONS:
        timely = dict(case.sessions)[asked.about] in SESSIONS[what].begins
        missing = what == "start" and not _all_signed(case)
        return closed | those(("state-conflict", not timely), ("conditions-missing", missing))
    times = {
        "make": model.MADE_IN["confidentiality"],
        "close": TRANSITIONS["closed_as_mediated"].sources,
        "recuse": OPEN[:-1],
    }
    timely = case.state in times[what]
    # A session begins with everybody: one that was completed covers whoever is left.
    uncovered = what == "close" and case.state == "ready"
    return closed | those(("state-conflict", not timely), ("conditions-missing", uncovered))


def _refusals_to_a_party(case: Register, asked: Ask, closed: set[str]) -> set[str]:
    standing = case.standing[asked.who]
    if not case.is_seen_by(asked.who):
        return {"not-found"}
    if asked.what == "withdraw":
        return set() if standing in GONE else closed
    if standing in GONE:  # and not whether the others go on
        return {"already-answered" if standing == "declined" else "party-left"}
    return closed | those(("already-answered", standing == "agreed"))


def _refusals_to_sign(case: Register, asked: Ask, closed: set[str]) -> set[str]:
    paper, who = next(each for each in case.papers if each.id == asked.about), asked.who
    if who == MEDIATOR:
        if not case.is_seen_by(who):
            return {"not-found"}
    elif not (case.is_shown_others(who) or who in paper.signed):
        return {"not-found"}
    elif case.standing[who] in GONE:
        return {"party-left"}
    return closed | those(
        ("agreement-superseded", paper is not case.papers[-1]),
        ("state-conflict", case.state not in model.SIGNED_IN["confidentiality"]),
        ("already-signed", who in paper.signed),
    )


def _all_signed(case: Register) -> bool:
    return bool(case.papers) and case.mediator == "accepted" and {*case.here(), MEDIATOR} <= case.papers[-1].signed


def _after(case: Register, asked: Ask, told: Told | None) -> Register:
    """The case once it was done. What gets an id is never left unanswered."""
    what, who = asked.what, asked.who
    if what in SESSIONS:
        _, state, trigger = SESSIONS[what]
        kind = "started" if what == "start" else state
        return case.meets(asked.about, state).with_event(f"session.{kind}").moved(trigger)
    if what in {"schedule", "make"}:
        assert told is not None
        return _made(case, what, str(told.value))
    if what in {"agree", "decline", "withdraw"}:
        return _spoke(case, asked)
    if what == "sign":
        papers = tuple(replace(p, signed=p.signed | {who}) if p.id == asked.about else p for p in case.papers)
        return replace(case, papers=papers).with_event("agreement.signed")
    if what == "recuse":
        return _recused(case)
    for _ in range(len(case.here("complainant")) * len(case.here("officer"))):
        case = case.with_event("part.mediated")
    return case.moved("closed_as_mediated").with_event("case.closed")


def _spoke(case: Register, asked: Ask) -> Register:
    who = asked.who
    # What an officer says first binds the number to the officer's account.
    bound: list[Event] = (
        [("identity.bound", who, None)] if (SIDES[who], case.standing[who]) == ("officer", "asked") else []
    )
    if asked.what == "agree":
        return case.stands(who, "agreed").with_event("consent.given", who).settled().with_events(bound)
    if asked.what == "decline":
        left = case.stands(who, "declined").with_event("consent.given", who)
        return left.after_leaving(who).with_events(bound)
    if _said_before(case, asked):
        return case
    left = case.stands(who, "withdrawn").with_event("party.withdrew", who)
    return (left if case.standing[who] in GONE else left.after_leaving(who)).with_events(bound)


def _made(case: Register, what: str, made: str) -> Register:
    if what == "make":
        return replace(case, papers=(*case.papers, Paper(made))).with_event("agreement.made")
    scheduled = replace(case, sessions=(*case.sessions, (made, "scheduled")))
    return scheduled.with_event("session.scheduled").moved("session_scheduled")


def _recused(case: Register) -> Register:
    left = replace(case, mediator="recused").with_event("assignment.recused")
    if case.live is None:
        return left
    session, state = case.live
    _, ends, trigger = model.LEFT_BY_MEDIATOR[state]
    return left.meets(session, ends).with_event(f"session.{ends}").moved(trigger)


def _board(case: Register, _asked: Ask) -> tuple[int, Hashable]:
    return 200, (case.state, case.standing, case.mediator == "accepted", case.live)


def _own(case: Register, asked: Ask) -> tuple[int, Hashable]:
    return (200, case.seen_by(asked.who)) if case.is_seen_by(asked.who) else (404, None)


def _timeline(case: Register, _asked: Ask) -> tuple[int, Hashable]:
    return 200, case.events


def _papers(case: Register, _asked: Ask) -> tuple[int, Hashable]:
    return 200, frozenset((paper.id, paper is not case.papers[-1], paper.signed) for paper in case.papers)


def _withdrawals(case: Register, _asked: Ask) -> tuple[int, Hashable]:
    return 200, frozenset(who for kind, who, _ in case.events if kind == "party.withdrew")


READS: Final = {
    "board": _board,
    "own": _own,
    "timeline": _timeline,
    "papers": _papers,
    "withdrawals": _withdrawals,
}
