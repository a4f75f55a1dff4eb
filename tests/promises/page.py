"""Prints docs/who-sees-what.md: the model as tables, for people who mediate. `make generate`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.office.model import SEALED
from tests.promises.model import (
    LEAVES_AS,
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
    Side,
    outcome,
)

PAGE: Final = Path(__file__).parents[2] / "docs/who-sees-what.md"

INTRODUCTION: Final = """\
# Who sees what when somebody leaves

What each person, the office and the program that filed the complaint read after one person has left a mediation: in
which of four ways, and at which moment. This page is generated from the rules as `tests/promises/model.py` states them
(`make generate`); `tests/promises/test_who_sees_what.py` plays all of it against the service.

**Who leaves how.** Somebody *declines* when asked, or *withdraws* at any time before the close: both need no reason,
and nobody can refuse a withdrawal. The office *removes* somebody who should never have been a party, such as an officer
who was mistaken for another; it lets somebody *lapse* whom it could not reach.

**What is mediated is a part**: one complainant and one officer. Whoever leaves takes their own parts back to
investigation, at once, and nobody else's. The others go on as long as each side has somebody left. A removal closes no
case: a session that is ahead is called off, and a side that is empty waits for the right person. It is a correction and
no answer: parts with somebody who was removed count for nothing from then on, and the office alone still sees them.

**Answers are sealed until the case is `ready`.** While people are being asked, nobody but the office and the mediator
can tell whether somebody else agreed, declined, left, or has not answered yet. Officers are asked once all complainants
have answered, and so learn that at least one of them agreed. From `ready` on, those who meet see who else does. Why
somebody left, the office alone reads. Whoever has left reads `not_mediated`, and nothing of how the others go
on.

**How to read the tables.** **C** and **O** are the complainant and the officer of the pair that is looked at, **C2**
and **O2** the other complainant and the other officer of the complaint, and C/O is the part between C and O. *Then* is
what somebody reads right after; a word in `this type` is the one that the service uses. *Notices* says whether that
differs from what they would read had nothing happened; where it says *nothing*, every byte of every answer is the same.
*In the end* is what they read once the others have gone on as far as they can: agreed, met, and closed the case as
mediated. A table holds for every pair of the complaint, unless it says which of two people it is about. Nothing that is
said in a session is held anywhere, and so none of it is here.
"""

MOMENTS: Final = {
    Moment.ASKED: "while being asked",
    Moment.AGREED: "having just agreed",
    Moment.READY: "when all have agreed",
    Moment.SCHEDULED: "when a session is scheduled",
    Moment.IN_SESSION: "during the session",
    Moment.CONCLUDED: "after the session, before the close",
    Moment.CLOSED: "after the close",
}
ACTS: Final = {
    Act.DECLINE: "declines",
    Act.WITHDRAW: "withdraws",
    Act.REMOVE: "is removed",
    Act.LAPSE: "lapses",
}
COMPANIES: Final = {
    (2, 2): "Two complainants and two officers",
    (1, 1): "One complainant and one officer",
}
_LEFT: Final = "\0"
"""Stands in a text for the standing of whoever left, while texts are compared."""


class Cell(NamedTuple):
    """One person of a pair leaves, at a moment, in a way."""

    pair: Pair
    who: Person
    moment: Moment
    act: Act
    company: tuple[int, int]

    @property
    def outcome(self) -> Outcome:
        return outcome(self.moment, self.who, self.act, *self.company)

    @property
    def without(self) -> Outcome:
        """What would have been."""
        return outcome(self.moment, self.who, Act.NOTHING, *self.company)


def cells(company: tuple[int, int]) -> Iterator[Cell]:
    """Every cell: pair, who of the two leaves, moment and act."""
    for pair in Case.opened(*company).parts:
        for who in pair:
            for moment in Moment:
                for act in LEAVING:
                    yield Cell(pair, who, moment, act, company)


# ── one cell in words ──────────────────────────────────────────────────────────────────────────────────────────────


class Words:
    """What is read in a cell, in words that fit every pair: C and O are the two, C2 and O2 the others."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._people = sorted(Case.opened(*cell.company).people, key=lambda who: (who not in cell.pair, who.side))

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """For each observer: who it is, what it reads then, whether it notices, and what it reads in the end."""
        after, without = self._cell.outcome, self._cell.without
        rows = []
        observers: list[Observer] = [*self._people, *OTHERS]
        for observer in observers:
            then, end = after.then[observer], after.at_the_end[observer]
            notices = "nothing" if then == without.then[observer] else "yes"
            later = "the same" if then == end else self._reading(end)
            rows.append((self._observer(observer), self._reading(then), notices, later))
        return tuple(rows)

    def _observer(self, observer: Observer) -> str:
        if isinstance(observer, str):
            return f"the {observer}"
        return f"**{self._name(observer)}, who leaves**" if observer == self._cell.who else self._name(observer)

    def _name(self, who: Person) -> str:
        return f"{who.side[0].upper()}{'' if who in self._cell.pair else '2'}"

    def _names(self, those: Iterable[Person]) -> str:
        return ", ".join(self._name(who) for who in self._people if who in those)

    def _reading(self, reading: Reading) -> str:
        if reading == NOTHING:
            return "nothing: for them there is no such case"
        said = [self._status(reading), *self._shown(reading), *self._parts(reading), self._complaint(reading)]
        return "; ".join(filter(None, said))

    def _status(self, reading: Reading) -> str:
        standing = f", stands as {self._standing(reading.standing)}" if reading.standing else ""
        return f"{self._standing(reading.status)}{standing}" if reading.status else ""

    def _standing(self, standing: str) -> str:
        """A standing; that of who has left is filled in later, with all those that read alike."""
        return _LEFT if standing == LEAVES_AS[self._cell.act] else f"`{standing}`"

    def _shown(self, reading: Reading) -> Iterator[str]:
        by_standing: dict[str, list[Person]] = {}
        for who, standing in sorted(reading.people, key=lambda each: self._people.index(each[0])):
            by_standing.setdefault(standing, []).append(who)
        for standing, those in by_standing.items():
            yield f"{self._names(those)} {self._standing(standing)}" if standing else f"is shown {self._names(those)}"
        if reading.mediator:
            yield "who mediates"
        if reading.session:
            yield f"session `{reading.session}`"

    def _parts(self, reading: Reading) -> Iterator[str]:
        by_disposition: dict[str, list[str]] = {}
        order = {pair: [self._people.index(who) for who in pair] for pair, _ in reading.parts}
        for pair, disposition in sorted(reading.parts, key=lambda each: order[each[0]]):
            by_disposition.setdefault(disposition, []).append("/".join(self._name(who) for who in pair))
        for disposition, pairs in by_disposition.items():
            yield f"{', '.join(pairs)} `{disposition}`"

    @staticmethod
    def _complaint(reading: Reading) -> str:
        return f"complaint `{reading.complaint}`" if reading.complaint else ""


# ── the page ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _overview(company: tuple[int, int]) -> Iterator[str]:
    """What can be done when, and whether others can tell at once."""
    yield f"| | {' | '.join(ACTS.values())} |"
    yield f"| --- |{' --- |' * len(ACTS)}"
    for moment, words in MOMENTS.items():
        told = [[cell for cell in cells(company) if (cell.moment, cell.act) == (moment, act)] for act in ACTS]
        yield f"| {words} | {' | '.join(_in_short(each) for each in told)} |"


def _in_short(those: list[Cell]) -> str:
    refusals = {cell.outcome.refused for cell in those}
    if refusals != {None}:
        assert len(refusals) == 1
        return f"refused: `{refusals.pop()}`"
    sealed = {{cell.outcome.case.state, cell.without.case.state} <= SEALED for cell in those}
    if len(sealed) > 1:
        return "sealed until the last has answered"
    return "sealed" if sealed.pop() else "shown"


def _tables(company: tuple[int, int]) -> Iterator[str]:
    """The tables of one company: those of one moment together, and what differs in a word alone in one."""
    for moment, words in MOMENTS.items():
        at_the_time = [each for each in cells(company) if each.moment is moment and not each.outcome.refused]
        if at_the_time:
            yield f"### {words.capitalize()}\n"
        for side in Side:
            alike: dict[tuple[tuple[str, ...], ...], list[Cell]] = {}
            for cell in at_the_time:
                if cell.who.side is side:
                    alike.setdefault(Words(cell).rows(), []).append(cell)
            for rows, those in alike.items():
                yield from _table(rows, those)


def _table(rows: tuple[tuple[str, ...], ...], those: list[Cell]) -> Iterator[str]:
    acts = list(dict.fromkeys(cell.act for cell in those))
    left = " or ".join(f"`{LEAVES_AS[act]}`" for act in acts)
    yield f"**The {those[0].who.side} {_listed_or([ACTS[act] for act in acts])}**{_of_whom(those)}.\n"
    yield "| Who reads | Then | Notices | In the end |"
    yield "| --- | --- | --- | --- |"
    yield from (f"| {' | '.join(row)} |".replace(_LEFT, left) for row in rows)
    yield ""


def _of_whom(those: list[Cell]) -> str:
    """Which of two people of a side, where that makes a difference."""
    (side,) = {cell.who.side for cell in those}
    numbers = {cell.who.number for cell in those}
    count = those[0].company[0 if side is Side.COMPLAINANT else 1]
    if len(numbers) == count:
        return ""
    before = "before the other one has answered" if numbers == {1} else "once the other one has agreed"
    return f", {before}"


def _listed_or(names: list[str]) -> str:
    return " or ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} or {names[-1]}"


def page() -> str:
    """The page."""
    lines = [INTRODUCTION]
    for company, title in COMPANIES.items():
        lines += [f"## {title}\n", *_overview(company), "", *_tables(company)]
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - the page
