"""Who opened what within some days, as `domain/access_anomalies.py` looks at it: one statement, and one to write down.

Rules are no SQL: what they look at is gathered here, by person, complaint, hour and purpose. Readings of mandatory
reports name no complaint, and neither do the events of one, so that nothing here depends on whether there is a report.
"""

import asyncio
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
from mediation_api.domain.access_anomalies import AccessSummary, Anomaly, AnomalyKind, Period, find_anomalies
from mediation_api.domain.access_log import LoggedAccessScope, Purpose
from mediation_api.domain.policy import Policy


class AccessAnomalies:
    """What was unusual about who opened what, the newest day first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(
        self, scope: AccessScope, period: Period, page: PageRequest, *, rule: AnomalyKind | None, policy: Policy
    ) -> Page[Anomaly]:
        """A page of what the rules observe in a period, of one or of all. That it is seen is written down first."""
        rows = await self._connection.execute(_visits(period, policy.anomalies.part_days, policy.target.zone))
        visits = map(_visit, rows.mappings().all())
        # A busy month takes seconds to look through: others are served meanwhile.
        told = await asyncio.to_thread(find_anomalies, visits, policy.anomalies, policy.target)
        observed = [each for each in told if rule in {None, each.rule}]
        part = _part(observed, page)
        if part.items and isinstance(scope, LoggedAccessScope):
            seen = {each.complaint_id for each in part.items if each.complaint_id is not None}
            await self._connection.execute(
                logged_ids(ScopeKind.of(scope)), scope_parameters(scope) | {"opened_ids": sorted(seen)}
            )
        return part


def _visit(row: RowMapping) -> AccessSummary:
    known = {
        "role": Role(row["role"]),
        "purpose": Purpose(row["purpose"]),
        "acted_on": frozenset(row["acted_on"] or ()),
    }
    return AccessSummary(**{**row, **known})


def _part(observed: list[Anomaly], page: PageRequest) -> Page[Anomaly]:
    after = page.after
    rest = [each for each in observed if after is None or each.place < after]
    items = tuple(rest[: page.limit])
    return Page(items, items[-1].place if len(rest) > page.limit else None)


def _visits(period: Period, part_days: int, zone: ZoneInfo) -> AnySelect:
    """What was opened, by whom, of which complaint, within which hour and for what; and the days of their records."""
    opened = _opened(period, zone)
    known = _newest_cases(opened)
    # By what was seen: whoever read it saw the case closed, or a later attempt.
    seen, end = array([opened.c.attempt, opened.c.version]), array([known.c.attempt, known.c.closed_version])
    is_closed = and_(known.c.closed_version.is_not(None), seen >= end)
    closed: AnyColumn = func.coalesce(is_closed, literal(False))  # noqa: FBT003 - of no case
    what = (
        *(opened.c[name] for name in ("role", "by", "complaint_id", "on", "hour", "purpose")),
        *(known.c[name] for name in ("case_id", "coordinator")),
        closed.label("closed"),
    )
    visits = (
        select(*what, func.count().label("accesses"))
        .select_from(opened)
        .outerjoin(known, known.c.complaint_id == opened.c.complaint_id)
        .group_by(*what)
        .subquery("visits")
    )
    acts = _acts(opened, period, part_days, zone)
    theirs = and_(acts.c.complaint_id == visits.c.complaint_id, acts.c.by == visits.c.by)
    return select(visits, acts.c.acted_on).outerjoin(acts, theirs)


def _opened(period: Period, zone: ZoneInfo) -> CTE:
    r = t.access_log.c
    local: AnyColumn = func.timezone(zone.key, r.at)
    return (
        select(
            *(r.by_role.label("role"), r.by, r.complaint_id, r.purpose, r.attempt, r.version),
            cast(local, Date).label("on"),
            cast(extract("hour", local), Integer).label("hour"),
        )
        .where(r.complaint_id.is_not(None), r.at >= _midnight(period.since, zone), r.at < _after(period.until, zone))
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
    return newest.subquery("known")


def _acts(opened: CTE, period: Period, part_days: int, zone: ZoneInfo) -> Subquery:
    """On which days each person recorded something about the complaints that were opened, or about their cases."""
    f, near = t.events.c, timedelta(days=part_days)
    since, until = _midnight(period.since - near, zone), _after(period.until + near, zone)
    in_time = and_(f.at >= since, f.at < until)
    of_opened = select(opened.c.complaint_id)
    of_complaints: AnySelect = select(f.complaint_id, f.by, f.at).where(in_time, f.complaint_id.in_(of_opened))
    of_cases: AnySelect = (
        select(t.cases.c.complaint_id, f.by, f.at)
        .join(t.cases, t.cases.c.id == f.case_id)
        .where(in_time, t.cases.c.complaint_id.in_(of_opened))
    )
    done = union_all(of_complaints, of_cases).subquery("done")
    on: AnyColumn = cast(func.timezone(zone.key, done.c.at), Date)
    return (
        select(done.c.complaint_id, done.c.by, func.array_agg(on.distinct(), type_=ARRAY(Date)).label("acted_on"))
        .group_by(done.c.complaint_id, done.c.by)
        .subquery("acts")
    )


def _midnight(on: date, zone: ZoneInfo) -> datetime:
    """The instant at which a day of the office begins."""
    return datetime.combine(on, time.min, zone)


def _after(on: date, zone: ZoneInfo) -> datetime:
    """The instant at which it is over."""
    return _midnight(on + timedelta(days=1), zone)
