"""The anomalies of a generated log are those that the rules find when they look at every read."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from random import Random
from statistics import median
from typing import Final
from uuid import UUID

import pytest
from benchmarks.filling import fill
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.conftest import RolledBackDatabase
from tests.domain.cases import CITY

from mediation_api.database import tables as t
from mediation_api.database.pagination import PageRequest
from mediation_api.domain.access import AccessScope, Actor, Relation, Role
from mediation_api.domain.access_anomalies import (
    ANOMALY_RULES,
    AT_THE_OFFICE,
    FITTING,
    Anomaly,
    AnomalyKind,
    AnomalyThresholds,
    Period,
)
from mediation_api.domain.access_log import DEFAULT_PURPOSE, Purpose
from mediation_api.domain.target import is_working_day
from mediation_api.repository.access_anomalies import AccessAnomalies

pytestmark = pytest.mark.drawn

PERIOD: Final = Period(date(2020, 3, 2), date(2020, 3, 31))
"""Clocks were put forward on the 8th."""
POLICY: Final = replace(
    CITY,
    target=replace(CITY.target, holidays=frozenset({date(2020, 3, 17)})),
    anomalies=AnomalyThresholds(part_days=5, complaints_a_day=3, times_the_role=2, days_after_close=1),
)
STAFF: Final = {
    "coordinator.1": Role.COORDINATOR,
    "coordinator.2": Role.COORDINATOR,
    "coordinator.busy": Role.COORDINATOR,
    "intake.1": Role.INTAKE,
    "director.1": Role.DIRECTOR,
    "auditor.1": Role.AUDITOR,
    "mediator.1": Role.MEDIATOR,
    "system.1": Role.INTEGRATION,
    "officer.1": Role.OFFICER,
}
RECORDING: Final = [by for by, role in STAFF.items() if role in AT_THE_OFFICE]
CASES: Final = 24
READS: Final = 900
EVENTS: Final = 150
AUDITOR: Final = AccessScope(Actor(Role.AUDITOR, "auditor.1"), Relation.OFFICE)

SECOND_ATTEMPTS: Final = """
    INSERT INTO cases (id, complaint_id, attempt, state, coordinator, requested_on, due_on, opened_at, closed_at,
                       agreement_reached, version, closed_version, screening_outdated)
    SELECT gen_random_uuid(), complaint_id, 2, state, 'coordinator.2', requested_on, due_on, opened_at, closed_at,
           agreement_reached, version, closed_version, false
    FROM (SELECT * FROM cases WHERE closed_at IS NOT NULL ORDER BY id LIMIT 5) AS closed
"""

Found = tuple[AnomalyKind, date, Role, str, UUID | None, UUID | None, int, int, tuple[Purpose, ...]]


@dataclass(frozen=True, slots=True)
class Read:
    """An entry of the log, with what the rules have to know of it."""

    role: Role
    by: str
    complaint_id: UUID
    case_id: UUID
    on: date
    hour: int
    purpose: Purpose
    is_of_another: bool
    was_closed: bool
    has_part: bool


@pytest.fixture
async def connection(owner_database: RolledBackDatabase) -> AsyncIterator[AsyncConnection]:
    async with owner_database.transaction() as connection:
        await fill(connection, cases=CASES, of_one=CASES // 3, events=False)
        await connection.exec_driver_sql(SECOND_ATTEMPTS)
        await connection.exec_driver_sql("UPDATE cases SET coordinator = NULL WHERE closed_at IS NULL")
        cases = (await connection.execute(select(t.cases.c.id, t.cases.c.complaint_id))).all()
        random = Random(20200302)  # noqa: S311 - the same log each time
        await connection.execute(insert(t.access_log), [*_log(random, [case.complaint_id for case in cases])])
        await connection.execute(insert(t.events), [*_events(random, [(each[0], each[1]) for each in cases])])
        yield connection


def _log(random: Random, complaints: Sequence[UUID]) -> Iterator[dict[str, object]]:
    for _ in range(READS):
        by = random.choice([*STAFF])
        yield {
            # Some of them on the days before and after the period, and most on working days in the office's hours.
            "at": _instant(random, days=range(-2, 33), hour=random.choice((random.randrange(24), 15, 16, 17, 18, 20))),
            "operation": "getCase",
            "purpose": random.choice((DEFAULT_PURPOSE.get(STAFF[by], Purpose.CASEWORK), random.choice([*Purpose]))),
            # A few of them again and again.
            "complaint_id": random.choice((random.choice(complaints), *complaints[:2])),
            "attempt": random.choice((1, 2)),
            "version": random.choice((1, 2, 3)),
            "by_role": STAFF[by],
            "by": by,
        }


def _events(random: Random, cases: Sequence[tuple[UUID, UUID]]) -> Iterator[dict[str, object]]:
    for version in range(EVENTS):
        case_id, complaint_id = random.choice(cases)
        by, is_of_case = random.choice(RECORDING), random.random() < 0.5
        yield {
            "id": UUID(int=version),
            "kind": "case.noted",
            "complaint_id": None if is_of_case else complaint_id,
            "case_id": case_id if is_of_case else None,
            "version": version if is_of_case else None,
            "data": {},
            "at": _instant(random, days=range(-12, 43), hour=random.randrange(24)),
            "by_role": STAFF[by],
            "by": by,
        }


def _instant(random: Random, *, days: range, hour: int) -> datetime:
    return datetime(2020, 3, 2, hour, random.randrange(60), tzinfo=UTC) + timedelta(days=random.choice(days))


async def _reads(connection: AsyncConnection) -> list[Read]:
    """Every read of the period, one by one."""
    zone, near = POLICY.target.zone, timedelta(days=POLICY.anomalies.part_days)
    cases = (await connection.execute(select(t.cases).order_by(t.cases.c.attempt))).all()
    newest = {case.complaint_id: case for case in cases}
    complaints = {case.id: case.complaint_id for case in cases}
    recorded = {
        (event.by, event.complaint_id or complaints[event.case_id], event.at.astimezone(zone).date())
        for event in await connection.execute(select(t.events))
    }
    reads = []
    for entry in await connection.execute(select(t.access_log)):
        at, case = entry.at.astimezone(zone), newest[entry.complaint_id]
        if PERIOD.first <= at.date() <= PERIOD.last:
            read = Read(
                role=Role(entry.by_role),
                by=entry.by,
                complaint_id=entry.complaint_id,
                case_id=case.id,
                on=at.date(),
                hour=at.hour,
                purpose=Purpose(entry.purpose),
                is_of_another=case.coordinator not in {None, entry.by},
                was_closed=case.closed_version is not None
                and (entry.attempt, entry.version) >= (case.attempt, case.closed_version),
                has_part=any(
                    by == entry.by and of == entry.complaint_id and abs(on - at.date()) <= near
                    for by, of, on in recorded
                ),
            )
            reads.append(read)
    return reads


def _expected(reads: Sequence[Read]) -> Iterator[Found]:
    """What the rules say of these reads, in other words than theirs."""
    thresholds, holidays = POLICY.anomalies, POLICY.target.holidays
    roles = {rule.code: rule.roles for rule in ANOMALY_RULES.rules}
    of_complaint_and_day: dict[AnomalyKind, list[Read]] = {
        AnomalyKind.NO_PART: [read for read in reads if read.is_of_another and not read.has_part],
        AnomalyKind.OUTSIDE_HOURS: [
            read
            for read in reads
            if not thresholds.opens <= read.hour < thresholds.closes or not is_working_day(read.on, holidays)
        ],
        AnomalyKind.PURPOSE_UNFIT: [read for read in reads if read.purpose not in FITTING.get(read.role, ())],
    }
    for rule, found in of_complaint_and_day.items():
        for group in _grouped(found, "role", "by", "complaint_id", "on"):
            if group[0].role in roles[rule]:
                yield _anomaly(rule, group, len(group), 0)
    for again in _grouped((read for read in reads if read.was_closed and not read.has_part), "role", "by", "case_id"):
        number = len({read.on for read in again})
        if again[0].role in roles[AnomalyKind.CLOSED_AGAIN] and number > thresholds.days_after_close:
            yield _anomaly(AnomalyKind.CLOSED_AGAIN, again, number, thresholds.days_after_close)
    days = [group for group in _grouped(reads, "role", "by", "on") if group[0].role in roles[AnomalyKind.MANY_IN_A_DAY]]
    for day in days:
        others = [_complaints(each) for each in days if each[0].role is day[0].role and each[0].by != day[0].by]
        usual = max(thresholds.complaints_a_day, int(thresholds.times_the_role * median(others or [0])))
        if _complaints(day) > usual:
            rule, on, role, by, *_, purposes = _anomaly(AnomalyKind.MANY_IN_A_DAY, day, 0, usual)
            yield rule, on, role, by, None, None, _complaints(day), usual, purposes


def _grouped(reads: Iterable[Read], *names: str) -> list[list[Read]]:
    groups: dict[object, list[Read]] = defaultdict(list)
    for read in reads:
        groups[attrgetter(*names)(read)].append(read)
    return list(groups.values())


def _complaints(reads: Sequence[Read]) -> int:
    return len({read.complaint_id for read in reads})


def _anomaly(rule: AnomalyKind, reads: Sequence[Read], number: int, usual: int) -> Found:
    last = max(reads, key=attrgetter("on"))
    purposes = tuple(sorted({read.purpose for read in reads}))
    return rule, last.on, last.role, last.by, last.complaint_id, last.case_id, number, usual, purposes


async def _walk(connection: AsyncConnection, limit: int, rule: AnomalyKind | None = None) -> list[Anomaly]:
    """All pages, one after the other."""
    found: list[Anomaly] = []
    page = PageRequest(limit)
    while True:
        result = await AccessAnomalies(connection).list(AUDITOR, PERIOD, page, rule=rule, policy=POLICY)
        assert len(result.items) == limit or result.next is None
        found += result.items
        if result.next is None:
            return found
        page = PageRequest(limit, result.next)


async def test_the_anomalies_are_those_of_every_read(connection: AsyncConnection) -> None:
    expected = [*_expected(await _reads(connection))]
    found = await _walk(connection, 1_000)
    assert {each.rule for each in found} == {*AnomalyKind}
    assert Counter(map(astuple, found)) == Counter(expected)
    assert found == sorted(found, key=attrgetter("place"), reverse=True)


async def test_pages_of_any_length_are_parts_of_the_whole(connection: AsyncConnection) -> None:
    whole = await _walk(connection, 1_000)
    for limit in (30, 100):
        assert await _walk(connection, limit) == whole


async def test_the_anomalies_of_a_rule_are_those_of_the_whole_that_it_found(connection: AsyncConnection) -> None:
    whole = await _walk(connection, 1_000)
    for rule in AnomalyKind:
        assert await _walk(connection, 20, rule) == [each for each in whole if each.rule is rule]
