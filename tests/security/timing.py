"""What time tells: whether answers that must look alike take as much work, and as long, as each other.

`make security` runs it, `make test` does not: it needs thousands of requests, Linux, and its database on this machine.
Those that are compared are asked in turns, in random order, one at a time, so that whatever else the machine does
meets all alike. Two times are taken of each request: what the processor spent on it, in the service and in the
database, which does not depend on who else is at work, and the clock's. Limits are held for the first; for the second,
where the machine is too busy for medians, as far as its interval can tell.
"""

import hashlib
import random
import secrets
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from tests.conftest import Clock, application, calling

from mediation_api.database.engine import Database
from mediation_api.database.nesting import AnyRow
from mediation_api.dev.office import Office, Story
from mediation_api.domain import access_codes
from mediation_api.domain.access import AccessScope
from mediation_api.domain.access_codes import ENTROPY_BYTES, AccessCode, from_entropy, parse_access_code
from mediation_api.repository.case_queries import CaseQueries
from mediation_api.repository.cases import Cases
from mediation_api.settings import Settings

Ask: TypeAlias = Callable[[], Awaitable[httpx.Response]]

BATCH: Final = 100
"""Requests of each kind before the interval is looked at again."""
MOST: Final = 1_000
LIMIT: Final = 0.05
"""How far medians may be apart, and an AUC from a half."""
NARROW: Final = 0.02
"""Half the width of the interval at which nothing more is asked."""
SEALED_REQUESTS: Final = 2_000
LOOKS: Final = text("SELECT count(*) FROM cases, generate_series(1, 300)")
"""What is planted: one small statement more."""
SLOW_ROUNDS: Final = 3_000
"""Of a digest that is planted: a millisecond or two."""


@dataclass(slots=True)
class Taken:
    """What requests of one kind took, in milliseconds: of the processor, and by the clock."""

    work: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Meter:
    """Reads what this process and the service's connections in the database have spent."""

    backends: tuple[Path, ...]

    @classmethod
    async def of(cls, settings: Settings) -> "Meter":
        """Find the processes that serve the application's connections."""
        database = Database.of(settings)
        async with database.reading() as connection:
            found = await connection.scalars(
                text(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name = 'mediation-api' AND pid <> pg_backend_pid()"
                )
            )
            backends = tuple(Path(f"/proc/{pid}/schedstat") for pid in found)
        await database.close()
        if not backends or not all(each.exists() for each in backends):
            pytest.fail("nothing is shown of time: this needs Linux, and the database on this machine")
        return cls(backends)

    def spent(self) -> float:
        """Milliseconds of the processor so far."""
        there = sum(int(each.read_text(encoding="ascii").split()[0]) for each in self.backends)
        return (time.process_time_ns() + there) / 1e6

    async def in_turns(self, kinds: Mapping[str, Ask], each: int) -> dict[str, Taken]:
        """Ask in random order; all are answered alike."""
        order = [kind for kind in kinds for _ in range(each)]
        random.Random(secrets.randbits(64)).shuffle(order)  # noqa: S311 - any order will do
        taken = {kind: Taken() for kind in kinds}
        statuses = set()
        for kind in order:
            spent, began = self.spent(), time.perf_counter()
            answer = await kinds[kind]()
            taken[kind].clock.append((time.perf_counter() - began) * 1000)
            taken[kind].work.append(self.spent() - spent)
            statuses.add(answer.status_code)
        assert len(statuses) == 1, statuses
        return taken


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of two medians, with the interval in which 95 % of those of resamples lie."""

    found: float
    low: float
    high: float

    @classmethod
    def of(cls, one: list[float], other: list[float]) -> "Ratio":
        """Source: Efron, Tibshirani, "An Introduction to the Bootstrap"."""
        dice = random.Random(1)  # noqa: S311 - the same interval for the same figures
        ratios = sorted(
            median(dice.choices(one, k=len(one))) / median(dice.choices(other, k=len(other))) for _ in range(300)
        )
        return cls(median(one) / median(other), ratios[7], ratios[-8])

    @property
    def tells_nothing(self) -> bool:
        """Whether a difference within the limit explains it."""
        return self.low <= 1 + LIMIT and self.high >= 1 - LIMIT

    def __str__(self) -> str:
        return f"{self.found:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Compared:
    """Two kinds of requests."""

    work: Ratio
    clock: Ratio
    told: str

    @property
    def is_alike(self) -> bool:
        """Whether the work is within the limit, and nothing else is to be seen by the clock."""
        return abs(self.work.found - 1) <= LIMIT and self.clock.tells_nothing


async def compared(meter: Meter, kinds: Mapping[str, Ask]) -> Compared:
    """Ask until the interval of the work is narrow."""
    one, other = (Taken(), Taken())
    while True:
        more_of_one, more_of_other = (await meter.in_turns(kinds, BATCH)).values()
        for taken, more in ((one, more_of_one), (other, more_of_other)):
            taken.work += more.work
            taken.clock += more.clock
        work = Ratio.of(one.work, other.work)
        if work.high - work.low <= 2 * NARROW or len(one.work) >= MOST:
            break
    clock = Ratio.of(one.clock, other.clock)
    names = " to ".join(kinds)
    medians = f"processor {median(one.work):.2f} to {median(other.work):.2f} ms"
    by_clock = f"clock {median(one.clock):.2f} to {median(other.clock):.2f} ms"
    return Compared(work, clock, f"{names}: {medians}, {work}; {by_clock}, {clock}; {len(one.work):,} of each")


def auc(one: list[float], other: list[float]) -> float:
    """How often one of the first takes longer than one of the second: a half, where time tells nothing."""
    ranked = sorted(other)
    below = sum(bisect_left(ranked, each) + bisect_right(ranked, each) for each in one)
    return below / 2 / len(one) / len(other)


# ── foreign and absent ─────────────────────────────────────────────────────────────────────────────────────────────


async def _foreign_and_absent(office: Office) -> dict[str, dict[str, Ask]]:
    mine = await (await office.file()).to_signed()
    theirs = [await (await office.file()).to_signed() for _ in range(8)]
    me, dice = mine.complainants[0], random.Random(1)  # noqa: S311 - any of them

    def asking(method: str, path: str, of: Callable[[Story], str]) -> dict[str, Ask]:
        return {
            "foreign": lambda: me.send(method, path.format(of(dice.choice(theirs)))),
            "absent": lambda: me.send(method, path.format(uuid4())),
        }

    return {
        "a case": asking("GET", "/v1/cases/{}", lambda story: story.case_id),
        "an agreement": asking("GET", "/v1/agreements/{}", lambda story: str(story.agreement["id"])),
        "a withdrawal": asking("POST", "/v1/cases/{}/withdrawals", lambda story: story.case_id),
    }


async def test_what_is_foreign_takes_as_long_as_what_does_not_exist(
    committed_office: Office, record_property: Callable[[str, object], None]
) -> None:
    asked = await _foreign_and_absent(committed_office)
    meter = await Meter.of(committed_office.settings)
    found = {what: await compared(meter, kinds) for what, kinds in asked.items()}
    for what, each in found.items():
        record_property("figure", f"{what}, {each.told}")
    assert [what for what, each in found.items() if not each.is_alike] == []


async def test_a_look_at_what_is_foreign_would_be_seen(
    committed_office: Office, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """The control: whoever would first find a case, and then whether it is the caller's, would take longer."""
    lock = Cases.lock

    async def slow(self: Cases, case_id: UUID, scope: AccessScope) -> object:
        if case_id in known:
            await self._connection.execute(LOOKS)
        return await lock(self, case_id, scope)

    kinds = await _foreign_and_absent(committed_office)
    cases = await committed_office.coordinator.get("/v1/cases?limit=100")
    known = {UUID(each["id"]) for each in cases["items"]}  # type: ignore[attr-defined]
    monkeypatch.setattr(Cases, "lock", slow)
    found = await compared(await Meter.of(committed_office.settings), kinds["a withdrawal"])
    record_property("figure", f"with a look planted, {found.told}")
    assert found.work.low > 1 + LIMIT
    assert not found.is_alike


# ── sealed answers ─────────────────────────────────────────────────────────────────────────────────────────────────

WORLDS: Final = ("agreed", "declined", "not answered")
STORIES: Final = 5
"""Of each world: where a row lies in its file must not be taken for what stands in it."""


async def _worlds(office: Office) -> tuple[dict[str, list[Story]], dict[str, dict[str, Ask]]]:
    """What one complainant asks while another has agreed, declined or not answered."""
    stories: dict[str, list[Story]] = {world: [] for world in WORLDS}
    for _ in range(STORIES):
        for world, told in stories.items():
            story = await (await office.file(complainants=[{}, {}])).to_confirming()
            if world != "not answered":
                await story.answer(story.complainants[1], world)
            told.append(story)
    dice = random.Random(1)  # noqa: S311 - any of them

    def asking(world: str, path: str) -> Ask:
        def ask() -> Awaitable[httpx.Response]:
            story = dice.choice(stories[world])
            return story.complainants[0].send("GET", path.format(story.case_id))

        return ask

    paths = {"its case": "/v1/cases/{}", "its readiness": "/v1/cases/{}/readiness"}
    return stories, {what: {world: asking(world, path) for world in WORLDS} for what, path in paths.items()}


async def _aucs(meter: Meter, kinds: Mapping[str, Ask]) -> dict[str, tuple[float, float]]:
    """Of each two worlds the AUC of the processor's time and of the clock's."""
    taken = await meter.in_turns(kinds, -(-SEALED_REQUESTS // len(kinds)))
    return {
        f"{one} or {other}": (auc(taken[one].work, taken[other].work), auc(taken[one].clock, taken[other].clock))
        for one, other in combinations(WORLDS, 2)
    }


def _told(aucs: Mapping[str, tuple[float, float]]) -> str:
    return ", ".join(f"{pair} {work:.3f} (clock {clock:.3f})" for pair, (work, clock) in aucs.items())


def _tell(aucs: Mapping[str, tuple[float, float]]) -> set[str]:
    return {pair for pair, each in aucs.items() if any(abs(one - 0.5) > LIMIT for one in each)}


async def test_time_tells_nothing_of_what_another_answered(
    committed_office: Office, record_property: Callable[[str, object], None]
) -> None:
    _, asked = await _worlds(committed_office)
    meter = await Meter.of(committed_office.settings)
    found = {what: await _aucs(meter, kinds) for what, kinds in asked.items()}
    for what, aucs in found.items():
        record_property("figure", f"{what}: AUC {_told(aucs)}; {SEALED_REQUESTS:,} requests")
    assert [_tell(aucs) for aucs in found.values() if _tell(aucs)] == []


async def test_work_that_depends_on_an_answer_would_be_seen(
    committed_office: Office, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """The control: a case in which somebody has agreed takes one statement more to read."""
    stories, asked = await _worlds(committed_office)
    agreed = {UUID(story.case_id) for story in stories["agreed"]}
    get = CaseQueries.get

    async def slow(self: CaseQueries, case_id: UUID, scope: AccessScope) -> AnyRow:
        if case_id in agreed:
            await self._connection.execute(LOOKS)
        return await get(self, case_id, scope)

    monkeypatch.setattr(CaseQueries, "get", slow)
    aucs = await _aucs(await Meter.of(committed_office.settings), asked["its case"])
    record_property("figure", f"with a look planted, AUC {_told(aucs)}")
    assert {"agreed or declined", "agreed or not answered"} <= _tell(aucs)


# ── access codes ───────────────────────────────────────────────────────────────────────────────────────────────────

CODES: Final = 25
"""Of each kind, each tried again and again: that a count is new, or old, must not be taken for what the code is."""


@pytest.fixture
async def office_without_a_limit(committed: Settings, clock: Clock) -> AsyncIterator[Office]:
    """An office that looks at any number of wrong secrets."""
    settings = committed.model_copy(update={"code_attempts_per_hour": 1_000_000})
    database = Database.of(settings)
    async with calling(application(settings, clock, database)) as client:
        yield Office(client, settings, clock)
    await database.close()


async def _codes(office: Office) -> dict[str, Ask]:
    """Tries with a wrong secret of a code that somebody has, of one that was replaced, and of one that never was."""
    wrong, replaced = [], []
    for _ in range(CODES):
        story = await office.file()
        old = story.complainants[0]
        await office.intake.post(f"/v1/parties/{old.party_id}/access-codes")
        replaced.append(old.access_code)
        kept = parse_access_code((await office.file()).complainants[0].access_code)
        wrong.append(AccessCode(kept.lookup, secrets.token_bytes(16)).text())
    unknown = [from_entropy(secrets.token_bytes(ENTROPY_BYTES)).text() for _ in range(CODES)]
    dice = random.Random(1)  # noqa: S311 - any of them

    def trying(codes: list[str]) -> Ask:
        return lambda: office.public.send("POST", "/v1/access-tokens", {"access_code": dice.choice(codes)})

    return {"wrong": trying(wrong), "replaced": trying(replaced), "unknown": trying(unknown)}


async def test_a_wrong_a_replaced_and_an_unknown_code_take_as_long_as_each_other(
    office_without_a_limit: Office, record_property: Callable[[str, object], None]
) -> None:
    kinds = await _codes(office_without_a_limit)
    meter = await Meter.of(office_without_a_limit.settings)
    found = [await compared(meter, {kind: kinds[kind], "unknown": kinds["unknown"]}) for kind in ("wrong", "replaced")]
    for each in found:
        record_property("figure", each.told)
    assert [each.told for each in found if not each.is_alike] == []


async def test_a_slower_comparison_of_codes_would_be_seen(
    office_without_a_limit: Office, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """The control: a digest that is reckoned only where there is one to compare it with."""
    kinds = await _codes(office_without_a_limit)
    matches = access_codes.matches

    def slow(code: AccessCode, digest: bytes | None, key: bytes) -> bool:
        if digest is not None:
            hashlib.pbkdf2_hmac("sha256", key, key, SLOW_ROUNDS)
        return matches(code, digest, key)

    monkeypatch.setattr(access_codes, "matches", slow)
    meter = await Meter.of(office_without_a_limit.settings)
    found = await compared(meter, {kind: kinds[kind] for kind in ("wrong", "unknown")})
    record_property("figure", f"with a slow digest planted, {found.told}")
    assert found.work.low > 1 + LIMIT
    assert not found.is_alike
