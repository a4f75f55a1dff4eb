"""The roster of mediators, and their assignments to cases."""

from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import Boolean, Date, String, Uuid, any_, bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import (
    REQUESTED_ID,
    ScopeKind,
    fetch_one,
    is_officer_of,
    scope_parameters,
)
from mediation_api.database.data_keys import decrypted, decrypted_columns, read_key, stored_key
from mediation_api.database.locking import lock_row
from mediation_api.database.nesting import AnyRow, AnySelect
from mediation_api.database.pagination import (
    Conditions,
    FilterConditions,
    Order,
    Page,
    PageRequest,
    conditions_for,
    read_page,
)
from mediation_api.database.statements import fetch_all, fetch_first
from mediation_api.domain import events
from mediation_api.domain.access import AccessScope
from mediation_api.domain.assignments import Mediator, RosterEntry
from mediation_api.domain.values import AssignmentState
from mediation_api.repository.on_file import columns_of, read
from mediation_api.repository.streams import Stream

_OF_MEDIATORS: Final[FilterConditions] = {
    "language": bindparam("filter_language", type_=String) == any_(t.mediators.c.languages),
    "active": t.mediators.c.active == bindparam("filter_active", type_=Boolean),
}
_OF_ASSIGNMENTS: Final[FilterConditions] = {
    "case_id": t.assignments.c.case_id == bindparam("filter_case_id", type_=Uuid),
    "mediator_id": t.assignments.c.mediator_id == bindparam("filter_mediator_id", type_=Uuid),
    "state": t.assignments.c.state == bindparam("filter_state", type_=String),
    "answer_due_on_before": t.assignments.c.answer_due_on < bindparam("filter_answer_due_on_before", type_=Date),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentFilter:
    """The filters of a list of assignments. None means no filter."""

    case_id: UUID | None = None
    mediator_id: UUID | None = None
    state: AssignmentState | None = None
    answer_due_on_before: date | None = None


class Mediators:
    """The roster and the assignments."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, mediator_id: UUID) -> tuple[RosterEntry, Stream]:
        """Lock an entry of the roster, and read it for a correction. Returns it with its stream. Raises NotFound."""
        await lock_row(self._connection, t.mediators, mediator_id)
        (row,) = await fetch_all(self._connection, _entry(), {"requested_id": mediator_id})
        on_file = read(events.MediatorOnFile, row)
        entry = RosterEntry(mediator_id=mediator_id, proposed=row["proposed"], on_file=on_file)
        return entry, Stream(mediator_id=mediator_id, data_key=read_key(mediator_id, row["data_key"]))

    async def candidate(self, mediator_id: UUID, complaint_id: UUID) -> Mediator | None:
        """Return what the decision to propose a case to a mediator needs; None if the roster has no such entry."""
        parameters = {"requested_id": mediator_id, "of_complaint": complaint_id}
        row = await fetch_first(self._connection, _candidate(), parameters)
        return None if row is None else Mediator(**row)

    async def get(self, mediator_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one entry of the roster; for a mediator, only their own. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, mediator_id)

    async def list(
        self, scope: AccessScope, page: PageRequest, *, language: str | None, active: bool | None
    ) -> Page[AnyRow]:
        """Return a page of the roster, in the order in which mediators were added."""
        conditions, values = conditions_for(_OF_MEDIATORS, {"language": language, "active": active})
        statement = _listed(ScopeKind.of(scope), conditions)
        order = Order(t.mediators.c.added_at, t.mediators.c.id)
        return await read_page(self._connection, statement, page, order, parameters=scope_parameters(scope) | values)

    # ── assignments ────────────────────────────────────────────────────────────────────────────────────────────────

    async def assignment(self, assignment_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one assignment; for a mediator, only their own. Raises NotFound."""
        return await fetch_one(self._connection, _assignment, scope, assignment_id)

    async def assignments(self, scope: AccessScope, filters: AssignmentFilter, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the assignments, newest first."""
        conditions, values = conditions_for(_OF_ASSIGNMENTS, asdict(filters))
        return await read_page(
            self._connection,
            _assignments(ScopeKind.of(scope), conditions),
            page,
            Order(t.assignments.c.proposed_at, t.assignments.c.id, descending=True),
            scope=scope,
            opened_id=t.assignments.c.case_id,
            parameters=scope_parameters(scope) | values,
        )


@cache
def _entry() -> AnySelect:
    m = t.mediators.c
    proposed = exists().where(t.assignments.c.mediator_id == m.id)
    columns = columns_of(events.MediatorOnFile, t.mediators)
    return select(proposed.label("proposed"), stored_key(m.id), *columns).where(m.id == REQUESTED_ID)


@cache
def _one(kind: ScopeKind) -> AnySelect:
    return _listed(kind, (t.mediators.c.id == REQUESTED_ID,))


@cache
def _listed(kind: ScopeKind, conditions: Conditions) -> AnySelect:
    return select(*decrypted_columns(t.mediators)).where(kind.where(t.mediators), *conditions)


@cache
def _assignments(kind: ScopeKind, conditions: Conditions) -> AnySelect:
    return (
        select(t.assignments, decrypted(t.mediators.c.name).label("mediator_name"))
        .join(t.mediators, t.mediators.c.id == t.assignments.c.mediator_id)
        .where(kind.where(t.assignments), *conditions)
    )


@cache
def _candidate() -> AnySelect:
    m, complaint = t.mediators.c, bindparam("of_complaint", type_=Uuid)
    declared = (
        select(t.assignments.c.id)
        .join(t.cases, t.cases.c.id == t.assignments.c.case_id)
        .where(
            t.cases.c.complaint_id == complaint,
            t.assignments.c.mediator_id == m.id,
            t.assignments.c.state == AssignmentState.CONFLICTED,
        )
    )
    return select(
        m.id.label("mediator_id"),
        m.subject,
        m.active,
        is_officer_of(complaint, subject=m.subject, numbers=(m.employee_number_index,)).label("is_party"),
        declared.exists().label("declared_conflict"),
    ).where(m.id == REQUESTED_ID)


@cache
def _assignment(kind: ScopeKind) -> AnySelect:
    case_id = t.assignments.c.case_id
    complaint = select(t.cases.c.complaint_id).where(t.cases.c.id == case_id).scalar_subquery()
    statement = _assignments(kind, (t.assignments.c.id == REQUESTED_ID,))
    return logged(statement, kind, complaint=complaint, case=case_id)
