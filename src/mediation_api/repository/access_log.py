"""Reading the access log of a case: all entries for the office; for a party, those that reveal no sealed answer.

Retention deletes the entries whose period has ended.
"""

from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    Date,
    Integer,
    Label,
    Uuid,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.access_logging import require_case
from mediation_api.database.access_scope import REQUESTED_ID, own_participation, scope_parameters
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.database.row_security import reveal_access_log
from mediation_api.domain.access import AccessScope, Relation, Role
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.values import Side
from mediation_api.repository.staff_names import staff_name

ENTRIES_IN_RANGE: Final = 5_000
"""The number of entries that one statement looks at."""


class AccessLog:
    """The access log of a case, its complaint and its parties, newest entry first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of_case(self, case_id: UUID, scope: AccessScope, page: PageRequest, *, zone: ZoneInfo) -> Page[AnyRow]:
        """Return a page of the entries; a party gets the day in `zone` instead of the instant. Raises NotFound."""
        await require_case(self._connection, case_id, scope)
        if scope.relation is Relation.OFFICE:
            statement, position = _for_office(), _entries_of_case().c.position
        else:
            await reveal_access_log(self._connection, case_id)
            statement, position = _for_party(scope.actor.role, zone), t.access_log.c.position
        newest_first = Order(position, position, descending=True)
        parameters = scope_parameters(scope, case_id)
        return await read_page(self._connection, statement, page, newest_first, parameters=parameters)


@cache
def _entries_of_case() -> CTE:
    """Find all entries of a case, by the index of each condition.

    Materialized: to return the newest, the planner would go back through everybody's entries until it has found enough.
    """
    log = t.access_log.c
    complaint: AnyColumn = select(t.cases.c.complaint_id).where(t.cases.c.id == REQUESTED_ID).scalar_subquery()
    conditions = (
        and_(log.complaint_id == complaint, or_(log.case_id.is_(None), log.case_id == REQUESTED_ID)),
        *(log.listed.bool_op("@>")(array([each])) for each in (REQUESTED_ID, complaint)),
    )
    return union(*(select(t.access_log).where(each) for each in conditions)).cte("entries").prefix_with("MATERIALIZED")


@cache
def _for_office() -> AnySelect:
    entry = _entries_of_case().c
    opened = _opened(entry.case_id, entry.party_id, (entry.listed.is_not(None), LoggedObject.LIST))
    by_name = staff_name(entry.by, role=entry.by_role).label("by_name")
    return select(
        entry.at.label("opened_at"),
        entry.by_role,
        entry.by,
        by_name,
        entry.operation,
        entry.purpose,
        entry.party_id,
        opened,
    )


def _opened(case_id: AnyColumn, party_id: AnyColumn, *first: tuple[AnyColumn, LoggedObject]) -> Label[str]:
    """Return what an entry says was opened, derived from its ids: its operation may no longer exist."""
    named = ((case_id.is_not(None), LoggedObject.CASE), (party_id.is_not(None), LoggedObject.PARTY))
    return case(*first, *named, else_=LoggedObject.COMPLAINT).label("opened")


@cache
def _for_party(role: Role, zone: ZoneInfo) -> AnySelect:
    """Select the entries about the party's case and the party itself; for a complainant, also about the complaint.

    Lists are left out, and so is the person. Staff often open a case because of an answer, so an entry could reveal a
    sealed answer. A party sees the entries

    - before the first party of the case was asked,
    - before the case was last `ready` while the party took part, since the party knew all answers then,
    - without a limit, once the case was mediated with the party,
    - since the close, if the case closed in another way and the party had not left.

    So entries from the time when answers were sealed become visible with `ready`; those between `ready` and a close
    without mediation never do. The party may not read the events that decide the first three: `reveal_access_log`
    computes them.
    """
    log, c = t.access_log.c, t.cases.c
    own = own_participation(role).where(t.participants.c.case_id == REQUESTED_ID).subquery("own")
    concerns = or_(
        log.case_id == c.id,
        log.party_id == own.c.party_id,
        and_(log.case_id.is_(None), log.party_id.is_(None), own.c.side == Side.COMPLAINANT),
    )
    # Compare by the version of the case that was read, and not by time: clocks of hosts differ.
    read = array([log.attempt, log.version])
    until: AnyColumn = func.access_log_until(own.c.case_id, own.c.party_id, type_=ARRAY(Integer))
    closed = and_(c.closed_version.is_not(None), read >= array([c.attempt, c.closed_version]))
    since_close = and_(log.case_id == c.id, closed, own.c.left_version.is_(None))
    return (
        select(
            cast(func.timezone(zone.key, log.at), Date).label("opened_on"),
            log.by_role,
            _opened(log.case_id, log.party_id),
        )
        .join(t.cases, log.complaint_id == c.complaint_id)
        .join(own, literal(True))  # noqa: FBT003 - ON TRUE
        .where(
            c.id == REQUESTED_ID,
            log.attempt >= c.attempt,
            concerns,
            or_(read < until, since_close),
        )
    )


async def delete_ended(engine: AsyncEngine, before: datetime) -> int:
    """Delete the entries of before an instant, in short transactions. Returns their number.

    Entries about a complaint under a legal hold, its cases or mandatory reports are kept, and so are the lists that
    they were on. Entries are written in the order of their time, or nearly so: what a host with a slow clock wrote is
    left for a later run.
    """
    log = t.access_log.c
    after, total = 0, 0
    while True:
        following = select(log.position, log.at).where(log.position > after).order_by(log.position)
        listed = following.limit(ENTRIES_IN_RANGE).subquery().c
        async with engine.begin() as connection:
            last, oldest = (await connection.execute(select(func.max(listed.position), func.min(listed.at)))).one()
            if last is None or oldest >= before:
                return total
            in_range = and_(log.position > after, log.position <= last, log.at < before)
            deleted = await connection.execute(delete(t.access_log).where(in_range, ~_is_held()))
        after, total = last, total + deleted.rowcount


def _is_held() -> ColumnElement[bool]:
    """Whether an entry is about a complaint under a legal hold."""
    held = select(t.legal_holds.c.complaint_id).where(t.legal_holds.c.lifted_at.is_(None))
    cases = select(t.cases.c.id).where(t.cases.c.complaint_id.in_(held))
    reports = select(t.mandatory_reports.c.id).where(t.mandatory_reports.c.case_id.in_(cases))
    ids = func.array(union_all(held, cases, reports).scalar_subquery(), type_=ARRAY(Uuid))
    log = t.access_log.c
    named = or_(log.complaint_id == func.any(ids), log.listed.bool_op("&&")(ids), log.report_id == func.any(ids))
    return func.coalesce(named, literal(False))  # noqa: FBT003 - ids that an entry does not have
