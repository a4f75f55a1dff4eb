"""The timeline of a case: all events for the office, and those that reveal no sealed answer for other audiences."""

from functools import cache
from uuid import UUID

from sqlalchemy import ARRAY, Text, and_, cast, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import require_case
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, audience, own_participation, scope_parameters
from mediation_api.database.constants import constants
from mediation_api.database.nesting import AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.domain import events
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.events import Event, Visibility
from mediation_api.repository.staff_names import staff_name


def _kinds(visibility: Visibility) -> set[str]:
    return {event.kind for event in Event.__subclasses__() if event.visibility is visibility}


class Timeline:
    """The events of a case, oldest first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of_case(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the timeline. Raises NotFound."""
        await require_case(self._connection, case_id, scope)
        position = t.events.c.position
        statement, parameters = _events(ScopeKind.of(scope)), scope_parameters(scope, case_id)
        return await read_page(self._connection, statement, page, Order(position, position), parameters=parameters)


@cache
def _events(kind: ScopeKind) -> AnySelect:
    e = t.events.c
    occurred_at = e.at.label("occurred_at")
    complaint = select(t.cases.c.complaint_id).where(t.cases.c.id == REQUESTED_ID).scalar_subquery()
    of_case = or_(e.case_id == REQUESTED_ID, e.complaint_id == complaint)
    if kind.relation is Relation.OFFICE:
        data = e.data.op("-", return_type=e.data.type)(cast(events.FOR_THE_RECORD, ARRAY(Text))).label("data")
        by_name = staff_name(e.by, role=e.by_role).label("by_name")
        recorded = (audience(kind), e.id, occurred_at, e.kind, e.party_id, e.by_role, e.by, by_name, data)
        return select(*recorded).where(of_case)
    shared = e.kind.in_(constants(_kinds(Visibility.PARTICIPANTS)))
    columns = (audience(kind), e.id, occurred_at, e.kind, e.party_id)
    if kind.relation is Relation.ASSIGNED:
        return select(*columns).where(e.case_id == REQUESTED_ID, shared)
    own = own_participation(kind.role).where(t.participants.c.case_id == REQUESTED_ID).subquery("own")
    # Shared events of the commands after the one with which the party joined, and before the one with which it left.
    # Events of those two commands would reveal how far the case had come, or whether the others go on. Compare by the
    # version of the case and not by time: clocks of hosts differ, and a command may have waited for the lock.
    while_here = or_(
        e.kind == events.CaseOpened.kind,
        and_(e.version > own.c.joined_version, or_(own.c.left_version.is_(None), e.version < own.c.left_version)),
    )
    # Of the command that closed the case only the close itself: a session that it cancelled or ended would reveal why.
    closed = select(t.cases.c.closed_version).where(t.cases.c.id == REQUESTED_ID).scalar_subquery()
    before_close = or_(e.kind == events.CaseClosed.kind, closed.is_(None), e.version < closed)
    own_events = and_(e.kind.in_(constants(_kinds(Visibility.OWN))), e.party_id == own.c.party_id)
    return (
        select(*columns)
        .join(own, literal(True))  # noqa: FBT003 - ON TRUE
        .where(of_case, or_(and_(shared, while_here, before_close), own_events))
    )
