"""Reading the access log of a period, grouped as the rules of `domain/access_anomalies.py` need it.

The rules decide. What they cannot report is left out here already, since that is nearly everything: a busy month has
more than a hundred thousand reads. For the same reason only as many days are read, the newest first, as fill the page.
`tests/repository/test_access_anomalies.py` compares the result with that of all reads.

Neither log entries nor events of mandatory reports name a complaint, so that no result depends on whether there is a
report.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    Integer,
    and_,
    cast,
    extract,
    func,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged_ids
from mediation_api.database.access_scope import ScopeKind, scope_parameters
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.pagination import Page, PageRequest, Position
from mediation_api.database.statements import fetch_all
from mediation_api.domain.access import AccessScope, Role
from mediation_api.domain.access_anomalies import (
    ANOMALY_RULES,
    FITTING,
    AccessSummary,
    Anomaly,
    AnomalyKind,
    AnomalyRuleSet,
    ClosedAccess,
    DayTotal,
    Period,
    Reads,
    find_anomalies,
    newest_first,
)
from mediation_api.domain.access_log import LoggedAccessScope, Purpose
from mediation_api.domain.policy import Policy
from mediation_api.domain.target import is_working_day

_OF_ONE_DAY: Final = frozenset({AnomalyKind.NO_PART, AnomalyKind.OUTSIDE_HOURS, AnomalyKind.PURPOSE_UNFIT})
"""The rules that look at summaries."""


class AccessAnomalies:
    """The anomalies in the access log, the newest day first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(
        self, scope: AccessScope, period: Period, page: PageRequest, *, rule: AnomalyKind | None, policy: Policy
    ) -> Page[Anomaly]:
        """Return a page of the anomalies of a period, of one rule or of all. The caller's access is logged first."""
        rules = replace(ANOMALY_RULES, rules=tuple(each for each in ANOMALY_RULES.rules if rule in {None, each.code}))
        result = await self._page(period, page, rules, policy)
        if result.items and isinstance(scope, LoggedAccessScope):
            opened_ids = {each.complaint_id for each in result.items if each.complaint_id is not None}
            parameters = scope_parameters(scope) | {"opened_ids": sorted(opened_ids)}
            await fetch_all(self._connection, logged_ids(ScopeKind.of(scope)), parameters)
        return result

    async def _page(self, period: Period, page: PageRequest, rules: AnomalyRuleSet, policy: Policy) -> Page[Anomaly]:
        codes, thresholds = {each.code for each in rules.rules}, policy.anomalies
        totals = await self._rows(_totals(period, policy)) if AnomalyKind.MANY_IN_A_DAY in codes else ()
        closed = await self._rows(_closed(period, policy)) if AnomalyKind.CLOSED_AGAIN in codes else ()
        reads = Reads(totals=[*map(_total, totals)], closed=[*map(_closed_access, closed)])
        found = find_anomalies(reads, thresholds, policy.target, rules)
        wanted: tuple[Anomaly, ...] = ()
        for days in _to_read(period, page.after):
            if codes & _OF_ONE_DAY:
                rows = await self._rows(_summaries(days, rules, policy))
                # In a thread: it takes long where much is unusual, and other requests must not wait.
                found += await asyncio.to_thread(_found, rows, rules, policy)
            wanted = newest_first(each for each in found if days.first <= each.on and _is_after(page.after, each))
            if len(wanted) > page.limit:
                break
        items = wanted[: page.limit]
        return Page(items, items[-1].place if len(wanted) > page.limit else None)

    async def _rows(self, statement: AnySelect) -> Sequence[AnyRow]:
        return (await self._connection.execute(statement)).mappings().all()


def _to_read(period: Period, after: Position | None) -> Sequence[Period]:
    """Return the days of which anomalies may come after a position, the newest first."""
    last = after[0] if after is not None else period.last
    assert isinstance(last, date)  # noqa: S101 - the key of `Anomaly.place`
    return [*Period(period.first, min(last, period.last)).newest_first()]


def _is_after(position: Position | None, anomaly: Anomaly) -> bool:
    return position is None or anomaly.place < position


def _found(rows: Sequence[AnyRow], rules: AnomalyRuleSet, policy: Policy) -> tuple[Anomaly, ...]:
    return find_anomalies(Reads(summaries=[*map(_summary, rows)]), policy.anomalies, policy.target, rules)


def _summary(row: AnyRow) -> AccessSummary:
    return AccessSummary(
        role=Role(row["role"]),
        by=row["by"],
        complaint_id=row["complaint_id"],
        case_id=row["case_id"],
        coordinator=row["coordinator"],
        has_part=row["has_part"],
        on=row["on"],
        hour=row["hour"],
        purpose=Purpose(row["purpose"]),
        accesses=row["accesses"],
    )


def _total(row: AnyRow) -> DayTotal:
    return DayTotal(
        role=Role(row["role"]),
        by=row["by"],
        on=row["on"],
        complaints=row["complaints"],
        purposes=frozenset(map(Purpose, row["purposes"])),
    )


def _closed_access(row: AnyRow) -> ClosedAccess:
    return ClosedAccess(
        role=Role(row["role"]),
        by=row["by"],
        complaint_id=row["complaint_id"],
        case_id=row["case_id"],
        days=frozenset(row["days"]),
        purposes=frozenset(map(Purpose, row["purposes"])),
    )


def _summaries(days: Period, rules: AnomalyRuleSet, policy: Policy) -> AnySelect:
    """Select the reads that a rule of one day may report, by person, complaint, hour and purpose."""
    log, on = t.access_log.c, _day(t.access_log.c.at, policy.target.zone)
    hour = cast(extract("hour", func.timezone(policy.target.zone.key, log.at)), Integer).label("hour")
    columns = (log.by_role.label("role"), log.by, log.complaint_id, log.purpose, on.label("on"), hour)
    opened = (
        select(*columns, func.count().label("accesses"))
        .where(*_in(days, policy.target.zone))
        .group_by(*columns)
        .subquery("opened")
    )
    o, newest = opened.c, _newest_case(opened.c.complaint_id).lateral("newest")
    # Of the case's complaint, so that events are looked for after all else.
    has_part = _has_part(newest.c.complaint_id, o.by, o.on, policy)
    thresholds, holidays = policy.anomalies, policy.target.holidays
    days_off = [day for day in days.days if not is_working_day(day, holidays)]
    reported: Mapping[AnomalyKind, ColumnElement[bool]] = {
        AnomalyKind.NO_PART: and_(newest.c.coordinator != o.by, ~has_part),
        AnomalyKind.OUTSIDE_HOURS: or_(o.hour < thresholds.opens, o.hour >= thresholds.closes, o.on.in_(days_off)),
        AnomalyKind.PURPOSE_UNFIT: or_(
            *(and_(o.role == role, o.purpose.not_in(fitting)) for role, fitting in FITTING.items())
        ),
    }
    of_rules = [and_(o.role.in_(rule.roles), reported[rule.code]) for rule in rules.rules if rule.code in reported]
    return (
        select(opened, newest.c.case_id, newest.c.coordinator, has_part.label("has_part"))
        .outerjoin_from(opened, newest, true())
        .where(or_(*of_rules))
    )


def _totals(period: Period, policy: Policy) -> AnySelect:
    """Count the complaints that each person opened on each day."""
    log, on = t.access_log.c, _day(t.access_log.c.at, policy.target.zone).label("on")
    return (
        select(
            log.by_role.label("role"),
            log.by,
            on,
            func.count(log.complaint_id.distinct()).label("complaints"),
            func.array_agg(log.purpose.distinct()).label("purposes"),
        )
        .where(*_in(period, policy.target.zone))
        .group_by(log.by_role, log.by, on)
    )


def _closed(period: Period, policy: Policy) -> AnySelect:
    """Select the days on which each person opened a complaint that was closed, if these may be too many."""
    log, in_period, zone = t.access_log.c, _in(period, policy.target.zone), policy.target.zone
    # One day more than is usual ends that many days after the first at least. To count the days would take a sort.
    often = (
        select(log.by_role, log.by, log.complaint_id)
        .where(*in_period)
        .group_by(log.by_role, log.by, log.complaint_id)
        .having(_day(func.max(log.at), zone) - _day(func.min(log.at), zone) >= policy.anomalies.days_after_close)
        .subquery("often")
    )
    newest = _newest_case(often.c.complaint_id).lateral("newest")
    same = [log[name] == often.c[name] for name in ("by_role", "by", "complaint_id")]
    # Whether the case was closed when it was opened: by its version in the entry, since clocks of hosts differ.
    was_closed = tuple_(log.attempt, log.version) >= tuple_(newest.c.attempt, newest.c.closed_version)
    on = _day(log.at, zone)
    return (
        select(
            log.by_role.label("role"),
            log.by,
            log.complaint_id,
            newest.c.case_id,
            func.array_agg(on.distinct(), type_=ARRAY(Date)).label("days"),
            func.array_agg(log.purpose.distinct()).label("purposes"),
        )
        .select_from(often)
        .join(newest, newest.c.closed_version.is_not(None))
        .join(t.access_log, and_(*same))
        .where(*in_period, was_closed, ~_has_part(newest.c.complaint_id, log.by, on, policy))
        .group_by(log.by_role, log.by, log.complaint_id, newest.c.case_id)
        .having(func.count(on.distinct()) > policy.anomalies.days_after_close)
    )


def _newest_case(complaint_id: AnyColumn) -> AnySelect:
    c = t.cases.c
    return (
        select(c.complaint_id, c.id.label("case_id"), c.coordinator, c.attempt, c.closed_version)
        .where(c.complaint_id == complaint_id)
        .order_by(c.attempt.desc())
        .limit(1)
    )


def _has_part(complaint_id: AnyColumn, by: AnyColumn, on: AnyColumn, policy: Policy) -> ColumnElement[bool]:
    """Return whether a person recorded an event of a complaint or of its cases within `part_days` of a day."""
    e, near = t.events.c, policy.anomalies.part_days
    recorded = select(e.id).where(e.by == by, _day(e.at, policy.target.zone).between(on - near, on + near))
    of_cases = recorded.join(t.cases, t.cases.c.id == e.case_id).where(t.cases.c.complaint_id == complaint_id)
    return or_(recorded.where(e.complaint_id == complaint_id).exists(), of_cases.exists())


def _in(period: Period, zone: ZoneInfo) -> Sequence[ColumnElement[bool]]:
    """Return the conditions of the reads of complaints in a period."""
    log = t.access_log.c
    return (log.complaint_id.is_not(None), log.at >= _midnight(period.first, zone), log.at < _after(period.last, zone))


def _day(at: AnyColumn, zone: ZoneInfo) -> AnyColumn:
    return cast(func.timezone(zone.key, at), Date)


def _midnight(on: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day begins in the office's time zone."""
    return datetime.combine(on, time.min, zone)


def _after(on: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day ends in the office's time zone."""
    return _midnight(on + timedelta(days=1), zone)
