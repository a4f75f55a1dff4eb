"""Reading the access log of a period, grouped as the rules of `domain/access_anomalies.py` need it.

One statement groups the log by person, complaint, hour and purpose; the rules themselves are Python. Neither log
entries nor events of mandatory reports name a complaint, so that no result depends on whether there is a report.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    CTE,
    Date,
    Integer,
    RowMapping,
    Subquery,
    and_,
    cast,
    extract,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import array, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged_ids
from mediation_api.database.access_scope import ScopeKind, scope_parameters
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.database.pagination import Page, PageRequest
from mediation_api.domain.access import AccessScope, Role
from mediation_api.domain.access_anomalies import (
    ANOMALY_RULES,
    AccessSummary,
    Anomaly,
    AnomalyKind,
    Period,
    find_anomalies,
)
from mediation_api.domain.access_log import LoggedAccessScope, Purpose
from mediation_api.domain.policy import Policy


class AccessAnomalies:
    """The anomalies in the access log, the newest day first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(
        self, scope: AccessScope, period: Period, page: PageRequest, *, rule: AnomalyKind | None, policy: Policy
    ) -> Page[Anomaly]:
        """Return a page of the anomalies of a period, of one rule or of all. The caller's access is logged first."""
        rows = await self._connection.execute(_summaries(period, policy.anomalies.part_days, policy.target.zone))
        rules = replace(ANOMALY_RULES, rules=tuple(each for each in ANOMALY_RULES.rules if rule in {None, each.code}))
        # In a thread: the rules take seconds for a busy month, and other requests must not wait.
        summaries = map(_summary, rows.mappings().all())
        anomalies = await asyncio.to_thread(find_anomalies, summaries, policy.anomalies, policy.target, rules)
        result = _page(anomalies, page)
        if result.items and isinstance(scope, LoggedAccessScope):
            opened_ids = {each.complaint_id for each in result.items if each.complaint_id is not None}
            await self._connection.execute(
                logged_ids(ScopeKind.of(scope)), scope_parameters(scope) | {"opened_ids": sorted(opened_ids)}
            )
        return result


def _summary(row: RowMapping) -> AccessSummary:
    return AccessSummary(
        role=Role(row["role"]),
        by=row["by"],
        complaint_id=row["complaint_id"],
        case_id=row["case_id"],
        coordinator=row["coordinator"],
        closed=row["closed"],
        on=row["on"],
        hour=row["hour"],
        purpose=Purpose(row["purpose"]),
        accesses=row["accesses"],
        acted_on=frozenset(row["acted_on"] or ()),
    )


def _page(anomalies: Sequence[Anomaly], page: PageRequest) -> Page[Anomaly]:
    after = page.after
    begins = 0 if after is None else bisect_left(anomalies, x=True, key=lambda each: each.place < after)
    items = anomalies[begins : begins + page.limit]
    return Page(tuple(items), items[-1].place if begins + page.limit < len(anomalies) else None)


def _summaries(period: Period, part_days: int, zone: ZoneInfo) -> AnySelect:
    """Count the entries by person, complaint, hour and purpose; add the days on which the person recorded an event."""
    opened = _opened(period, zone)
    newest = _newest_cases(opened)
    # Whether the case was closed when it was opened: by its version in the entry, since clocks of hosts differ.
    read, close = array([opened.c.attempt, opened.c.version]), array([newest.c.attempt, newest.c.closed_version])
    is_closed = and_(newest.c.closed_version.is_not(None), read >= close)
    closed: AnyColumn = func.coalesce(is_closed, literal(False))  # noqa: FBT003 - a complaint without a case
    columns = (
        *(opened.c[name] for name in ("role", "by", "complaint_id", "on", "hour", "purpose")),
        *(newest.c[name] for name in ("case_id", "coordinator")),
        closed.label("closed"),
    )
    counted = (
        select(*columns, func.count().label("accesses"))
        .select_from(opened)
        .outerjoin(newest, newest.c.complaint_id == opened.c.complaint_id)
        .group_by(*columns)
        .subquery("counted")
    )
    recorded = _days_of_events(opened, period, part_days, zone)
    same = and_(recorded.c.complaint_id == counted.c.complaint_id, recorded.c.by == counted.c.by)
    return select(counted, recorded.c.acted_on).outerjoin(recorded, same)


def _opened(period: Period, zone: ZoneInfo) -> CTE:
    log = t.access_log.c
    local: AnyColumn = func.timezone(zone.key, log.at)
    return (
        select(
            *(log.by_role.label("role"), log.by, log.complaint_id, log.purpose, log.attempt, log.version),
            cast(local, Date).label("on"),
            cast(extract("hour", local), Integer).label("hour"),
        )
        .where(
            log.complaint_id.is_not(None), log.at >= _midnight(period.first, zone), log.at < _after(period.last, zone)
        )
        .cte("opened")
    )


def _newest_cases(opened: CTE) -> Subquery:
    c = t.cases.c
    newest: AnySelect = (
        select(c.complaint_id, c.id.label("case_id"), c.coordinator, c.attempt, c.closed_version)
        .where(c.complaint_id.in_(select(opened.c.complaint_id)))
        .ext(distinct_on(c.complaint_id))
        .order_by(c.complaint_id, c.attempt.desc())
    )
    return newest.subquery("newest")


def _days_of_events(opened: CTE, period: Period, part_days: int, zone: ZoneInfo) -> Subquery:
    """Select the days on which each person recorded an event of the opened complaints or of their cases."""
    e, near = t.events.c, timedelta(days=part_days)
    since, until = _midnight(period.first - near, zone), _after(period.last + near, zone)
    in_time = and_(e.at >= since, e.at < until)
    of_opened = select(opened.c.complaint_id)
    of_complaints: AnySelect = select(e.complaint_id, e.by, e.at).where(in_time, e.complaint_id.in_(of_opened))
    of_cases: AnySelect = (
        select(t.cases.c.complaint_id, e.by, e.at)
        .join(t.cases, t.cases.c.id == e.case_id)
        .where(in_time, t.cases.c.complaint_id.in_(of_opened))
    )
    all_events = union_all(of_complaints, of_cases).subquery("all_events")
    on: AnyColumn = cast(func.timezone(zone.key, all_events.c.at), Date)
    return (
        select(
            all_events.c.complaint_id,
            all_events.c.by,
            func.array_agg(on.distinct(), type_=ARRAY(Date)).label("acted_on"),
        )
        .group_by(all_events.c.complaint_id, all_events.c.by)
        .subquery("recorded")
    )


def _midnight(on: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day begins in the office's time zone."""
    return datetime.combine(on, time.min, zone)


def _after(on: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day ends in the office's time zone."""
    return _midnight(on + timedelta(days=1), zone)
