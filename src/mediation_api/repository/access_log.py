"""Reading who opened a case: everything for the office, and for a party what tells it nothing of what is sealed."""

from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, Date, Integer, Label, RowMapping, and_, case, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import require_case
from mediation_api.database.access_scope import REQUESTED_ID, own_participation, scope_parameters
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.database.row_security import reveal_access_log
from mediation_api.domain.access import AccessScope, Relation, Role
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.values import Side


class AccessLog:
    """Who opened a case, its complaint and its parties, newest first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of_case(
        self, case_id: UUID, scope: AccessScope, page: PageRequest, *, zone: ZoneInfo
    ) -> Page[RowMapping]:
        """A page of the readings; for a party, by the day in `zone`. Raises NotFound: not this case."""
        await require_case(self._connection, case_id, scope)
        position, asked = t.access_log.c.position, scope_parameters(scope, case_id)
        if scope.relation is Relation.OFFICE:
            shown = _for_the_office()
        else:
            await reveal_access_log(self._connection, case_id)
            shown = _for_a_party(scope.actor.role, zone)
        newest_first = Order(position, position, descending=True)
        return await read_page(self._connection, shown, page, newest_first, parameters=asked)


@cache
def _for_the_office() -> AnySelect:
    r = t.access_log.c
    complaint: AnyColumn = select(t.cases.c.complaint_id).where(t.cases.c.id == REQUESTED_ID).scalar_subquery()
    of_case = and_(r.complaint_id == complaint, or_(r.case_id.is_(None), r.case_id == REQUESTED_ID))
    listed = or_(*(r.listed.bool_op("@>")(array([each])) for each in (REQUESTED_ID, complaint)))
    opened = _opened((r.listed.is_not(None), LoggedObject.LIST))  # the roles of parties may not read `listed`
    return select(r.at, r.by_role, r.by, r.operation, r.purpose, r.party_id, opened).where(or_(of_case, listed))


def _opened(*first: tuple[AnyColumn, LoggedObject]) -> Label[str]:
    """What was opened, by what the entry names and not by its operation, which may not exist any more."""
    r = t.access_log.c
    named = ((r.case_id.is_not(None), LoggedObject.CASE), (r.party_id.is_not(None), LoggedObject.PARTY))
    return case(*first, *named, else_=LoggedObject.COMPLAINT).label("opened")


@cache
def _for_a_party(role: Role, zone: ZoneInfo) -> AnySelect:
    """What a party sees: of its case and of itself; a complainant, also of the complaint. Never a list, nor who.

    Staff open a case because of what was answered, so that a reading may tell of it. A party is shown those

    - from before anybody of the case was asked,
    - from before the case was last `ready` while the party took part: by then, all answers were known to it,
    - all of them, once the case was mediated with it,
    - of a case that closed in another way while the party was still there, those since the close.

    What was opened while answers were awaited comes into sight with `ready`; what was opened between that and a close
    without mediation stays with the office. Who was asked when, and when the case was ready, the party is not shown:
    `reveal_access_log` has found the first three.
    """
    r, c = t.access_log.c, t.cases.c
    own = own_participation(role).where(t.participants.c.case_id == REQUESTED_ID).subquery("own")
    concerns = or_(
        r.case_id == c.id,
        r.party_id == own.c.party_id,
        and_(r.case_id.is_(None), r.party_id.is_(None), own.c.side == Side.COMPLAINANT),
    )
    # In the order of the case's commands: by what whoever read it saw of them, and not by a clock.
    seen = array([r.attempt, r.version])
    until: AnyColumn = func.access_log_until(own.c.case_id, own.c.party_id, type_=ARRAY(Integer))
    closed = and_(c.closed_version.is_not(None), seen >= array([c.attempt, c.closed_version]))
    since_close = and_(r.case_id == c.id, closed, own.c.left_version.is_(None))
    return (
        select(cast(func.timezone(zone.key, r.at), Date).label("on"), r.by_role, _opened())
        .join(t.cases, r.complaint_id == c.complaint_id)
        .join(own, literal(True))  # noqa: FBT003 - ON TRUE
        .where(
            c.id == REQUESTED_ID,
            r.attempt >= c.attempt,
            concerns,
            or_(seen < until, since_close),
        )
    )
