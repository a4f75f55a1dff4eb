"""Reading sessions and attendees. The events of the case write them (effects_of_sessions.py)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import DateTime, ScalarSelect, String, Uuid, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import (
    REQUESTED_ID,
    ScopeKind,
    audience,
    fetch_children,
    fetch_one,
    peers_visible,
    scope_parameters,
)
from mediation_api.database.data_keys import decrypted, decrypted_columns
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect, nested
from mediation_api.database.pagination import (
    Conditions,
    FilterConditions,
    Order,
    Page,
    PageRequest,
    Sort,
    conditions_for,
    read_page,
)
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.values import SessionState


class SessionSort(Sort):
    """The order of a list of sessions."""

    EARLIEST = "starts_at"
    LATEST = "-starts_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """The filters and the order of a list of sessions. None means no filter. The period is that in which they start."""

    case_id: UUID | None = None
    mediator_id: UUID | None = None
    state: SessionState | None = None
    coordinator: str | None = None
    starts_at_from: datetime | None = None
    starts_at_before: datetime | None = None
    sort: SessionSort = SessionSort.EARLIEST


@cache
def _starts_at() -> AnyColumn:
    return func.lower(t.sessions.c.during)


SESSION_COLUMNS: Final[Mapping[str, AnyColumn]] = {
    "id": t.sessions.c.id,
    "state": t.sessions.c.state,
    "starts_at": _starts_at(),
    "ends_at": func.upper(t.sessions.c.during),
    "mode": t.sessions.c.mode,
    "place": decrypted(t.sessions.c.place, owner=t.cases.c.complaint_id),
    "link": decrypted(t.sessions.c.link, owner=t.cases.c.complaint_id),
}
"""The columns that every audience sees of a session. The statement must select from `cases` as well."""

_FILTERS: Final[FilterConditions] = {
    "case_id": t.sessions.c.case_id == bindparam("filter_case_id", type_=Uuid),
    "mediator_id": t.sessions.c.mediator_id == bindparam("filter_mediator_id", type_=Uuid),
    "state": t.sessions.c.state == bindparam("filter_state", type_=String),
    "coordinator": t.cases.c.coordinator == bindparam("filter_coordinator", type_=String),
    "starts_at_from": _starts_at() >= bindparam("filter_starts_at_from", type_=DateTime(timezone=True)),
    "starts_at_before": _starts_at() < bindparam("filter_starts_at_before", type_=DateTime(timezone=True)),
}


class Sessions:
    """Sessions, as the office, a mediator or a party sees them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, session_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one session. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, session_id)

    async def calendar_entry(self, session_id: UUID, scope: AccessScope) -> AnyRow:
        """Return what a calendar shows of one session. Raises NotFound."""
        return await fetch_one(self._connection, _calendar_entry, scope, session_id)

    async def list(self, scope: AccessScope, filters: SessionFilter, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the sessions within the caller's access scope."""
        conditions, values = conditions_for(_FILTERS, asdict(filters))
        return await read_page(
            self._connection,
            _listed(ScopeKind.of(scope), conditions),
            page,
            Order(_starts_at(), t.sessions.c.id, filters.sort.descending),
            scope=scope,
            opened_id=t.sessions.c.case_id,
            parameters=scope_parameters(scope) | values,
        )

    async def attendees(self, case_id: UUID, scope: AccessScope) -> Sequence[AnyRow]:
        """Return the interpreters and support persons of a case. Raises NotFound."""
        return await fetch_children(self._connection, _attendees, scope, case_id)

    async def attendee(self, attendee_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one interpreter or support person. Raises NotFound."""
        return await fetch_one(self._connection, _attendee, scope, attendee_id)


@cache
def _attendees(kind: ScopeKind) -> AnySelect:
    statement: AnySelect = (
        select(*decrypted_columns(t.attendees))
        .select_from(t.cases)
        .outerjoin(t.attendees, t.attendees.c.case_id == t.cases.c.id)
        .where(t.cases.c.id == REQUESTED_ID, kind.where(t.cases))
        .order_by(t.attendees.c.added_at, t.attendees.c.id)
    )
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


@cache
def _attendee(kind: ScopeKind) -> AnySelect:
    statement: AnySelect = (
        select(*decrypted_columns(t.attendees))
        .join(t.cases, t.cases.c.id == t.attendees.c.case_id)
        .where(t.attendees.c.id == REQUESTED_ID, kind.where(t.cases))
    )
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


@cache
def _one(kind: ScopeKind) -> AnySelect:
    statement = _sessions(kind).where(t.sessions.c.id == REQUESTED_ID)
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


def calendar_columns(kind: ScopeKind) -> Sequence[AnyColumn]:
    """Return the columns from which the entry of a calendar is made, but for the link of a video meeting.

    A session is called off if it was cancelled, or if the mediator ended the mediation before it began: then the case
    is closed, and no party is shown its sessions.
    """
    s = t.sessions.c
    called_off = s.state == SessionState.CANCELLED
    if kind.relation is not Relation.OWN:
        called_off |= (s.state == SessionState.ENDED) & s.started_at.is_(None)
    columns = {**SESSION_COLUMNS, "scheduled_at": s.scheduled_at, "revision": s.revision, "called_off": called_off}
    shown = ("id", "starts_at", "ends_at", "place", "scheduled_at", "revision", "called_off")
    return [columns[name].label(name) for name in shown]


@cache
def _calendar_entry(kind: ScopeKind) -> AnySelect:
    statement: AnySelect = (
        select(*calendar_columns(kind), SESSION_COLUMNS["link"].label("link"))
        .join_from(t.sessions, t.cases, t.cases.c.id == t.sessions.c.case_id)
        .where(
            t.sessions.c.id == REQUESTED_ID,
            peers_visible(kind.role) if kind.relation is Relation.OWN else kind.where(t.cases),
        )
    )
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


@cache
def _listed(kind: ScopeKind, conditions: Conditions) -> AnySelect:
    return _sessions(kind).where(*conditions)


def _unchecked_officers() -> ScalarSelect[UUID]:
    """Select the officers of a session without an employee number, whose other bookings are therefore not checked."""
    o = t.session_officers.c
    unchecked = select(o.party_id).where(o.session_id == t.sessions.c.id, o.live, o.employee_number_index.is_(None))
    return unchecked.order_by(o.party_id).scalar_subquery()


@cache
def _sessions(kind: ScopeKind) -> AnySelect:
    return _for_party(kind) if kind.relation is Relation.OWN else _for_office(kind)


def _session(*columns: AnyColumn) -> AnySelect:
    s = t.sessions.c
    shared = (column.label(name) for name, column in SESSION_COLUMNS.items())
    return select(s.case_id, *shared, *columns).join_from(t.sessions, t.cases, t.cases.c.id == s.case_id)


def _for_party(kind: ScopeKind) -> AnySelect:
    """Select what a party sees, while the other parties of the case are visible to it."""
    return _session(audience(kind)).where(peers_visible(kind.role))


def _for_office(kind: ScopeKind) -> AnySelect:
    """Select what the office and the mediator of the case see."""
    s = t.sessions.c
    return _session(
        audience(kind),
        s.mediator_id,
        s.off_hours_reason,
        func.array(_unchecked_officers()).label("unchecked_officer_ids"),
        s.end_reason,
        s.started_at,
        s.finished_at,
        nested(
            {
                "role": t.attendances.c.seat_role,
                "id": t.attendances.c.seat_id,
                "present": t.attendances.c.present,
            },
            t.attendances.c.session_id == s.id,
            order_by=t.attendances.c.seat_role,
        ).label("attendance"),
        nested(
            {"party_id": t.absences.c.party_id, "excused": t.absences.c.excused, "recorded_at": t.absences.c.at},
            t.absences.c.session_id == s.id,
            order_by=t.absences.c.at,
        ).label("absences"),
    ).where(kind.where(t.cases))
