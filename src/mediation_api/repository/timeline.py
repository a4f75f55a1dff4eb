"""The timeline of a case: the events themselves for the office, a neutral part of them for those who take part."""

from functools import cache
from uuid import UUID

from sqlalchemy import ARRAY, RowMapping, Text, and_, cast, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import require_case
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, audience, own_participation, scope_parameters
from mediation_api.database.nesting import AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.domain import events
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.events import Audience, Event


def _kinds(shown_to: Audience) -> list[str]:
    return sorted({event.kind for event in Event.__subclasses__() if event.audience is shown_to})


class Timeline:
    """What happened in a case, oldest first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of_case(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[RowMapping]:
        """A page of the timeline. Raises NotFound: not this case."""
        await require_case(self._connection, case_id, scope)
        position = t.events.c.position
        shown, asked = _events(ScopeKind.of(scope)), scope_parameters(scope, case_id)
        return await read_page(self._connection, shown, page, Order(position, position), parameters=asked)


@cache
def _events(kind: ScopeKind) -> AnySelect:
    f = t.events.c
    complaint = select(t.cases.c.complaint_id).where(t.cases.c.id == REQUESTED_ID).scalar_subquery()
    of_case = or_(f.case_id == REQUESTED_ID, f.complaint_id == complaint)
    if kind.relation is Relation.OFFICE:
        shown = f.data.op("-", return_type=f.data.type)(cast(events.FOR_THE_RECORD, ARRAY(Text))).label("data")
        return select(audience("office"), f.id, f.at, f.kind, f.party_id, f.by_role, f.by, shown).where(of_case)
    shared = f.kind.in_(_kinds(Audience.PARTICIPANTS))
    columns = (audience("participant"), f.id, f.at, f.kind, f.party_id)
    if kind.relation is Relation.ASSIGNED:
        return select(*columns).where(f.case_id == REQUESTED_ID, shared)
    own = own_participation(kind.role).where(t.participants.c.case_id == REQUESTED_ID).subquery("own")
    # Shared events of the commands after that by which the party joined, and before that by which it left: by the
    # version of the case that each made, since the clocks of hosts differ and a command may wait for the case. What the
    # joining or leaving itself brought about would tell how far the case had come, or whether the others go on.
    while_here = or_(
        f.kind == events.CaseOpened.kind,
        and_(f.version > own.c.joined_version, or_(own.c.left_version.is_(None), f.version < own.c.left_version)),
    )
    # Of the close only that: a session called off, or ended, by the same command would tell who brought it about.
    closed = select(t.cases.c.closed_version).where(t.cases.c.id == REQUESTED_ID).scalar_subquery()
    before_close = or_(f.kind == events.CaseClosed.kind, closed.is_(None), f.version < closed)
    own_events = and_(f.kind.in_(_kinds(Audience.OWN)), f.party_id == own.c.party_id)
    return (
        select(*columns)
        .join(own, literal(True))  # noqa: FBT003 - ON TRUE
        .where(of_case, or_(and_(shared, while_here, before_close), own_events))
    )
