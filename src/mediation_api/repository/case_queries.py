"""Reading one case or a page of cases, with a read model for each audience.

`_for_office`, `_for_mediator` and `_for_party` alone define which columns of a case each audience sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    String,
    Uuid,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import (
    CALLER_SUBJECT,
    LEFT,
    LIVE_ASSIGNMENTS,
    REQUESTED_ID,
    ScopeKind,
    audience,
    fetch_one,
    is_part_of,
    may_see_disposition,
    own_participation_in_case,
    peers_visible_to,
    scope_parameters,
)
from mediation_api.database.constants import constants
from mediation_api.database.data_keys import decrypted
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect, nested
from mediation_api.database.pagination import (
    STATEMENTS_OF_A_LIST,
    Conditions,
    Order,
    Page,
    PageRequest,
    Sort,
    read_page,
)
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.policy import Policy
from mediation_api.domain.values import AssignmentState, SessionState, Standing
from mediation_api.repository.case_filters import CaseFilter, conditions_of_cases, under_review, unexcused_absences
from mediation_api.repository.parts import PART_COLUMNS, PART_ORDER, session_completed
from mediation_api.repository.sessions import SESSION_COLUMNS
from mediation_api.repository.staff_names import staff_name

LIVE = (SessionState.SCHEDULED, SessionState.IN_PROGRESS)

_ORDER_OF_JOINING = tuple_(t.participants.c.joined_at, t.participants.c.party_id)
"""Most participants join at the same instant. The id makes their order stable."""


class CaseSort(Sort):
    """The order of a list of cases."""

    DUE_FIRST = "due_on"
    DUE_LAST = "-due_on"
    OLDEST = "opened_at"
    NEWEST = "-opened_at"


_SORT_KEYS: Mapping[str, AnyColumn] = {"due_on": t.cases.c.due_on, "opened_at": t.cases.c.opened_at}


_OF_COMPLAINT: Final = t.cases.c.complaint_id == bindparam("filter_complaint_id", type_=Uuid)
_IN_PRECINCT: Final = t.complaints.c.precinct == bindparam("filter_precinct", type_=String)
_LANGUAGE: Final = bindparam("filter_language", type_=String)
_SPEAKS: Final = (
    select(t.participants.c.party_id)
    .join(t.parties, t.parties.c.id == t.participants.c.party_id)
    .where(
        t.participants.c.case_id == t.cases.c.id,
        t.participants.c.standing.not_in(constants(LEFT)),
        or_(t.parties.c.language == _LANGUAGE, t.parties.c.interpreter_language == _LANGUAGE),
    )
    .exists()
)
"""Whether a party that has not left needs a language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseListFilter(CaseFilter):
    """The filters and the order of a list of cases."""

    complaint_id: UUID | None = None
    precinct: str | None = None
    language: str | None = None
    sort: CaseSort = CaseSort.DUE_FIRST


class CaseQueries:
    """Cases, as the office, a mediator or a party sees them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, case_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one case in the read model of the caller's audience. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, case_id)

    async def target(self, case_id: UUID, scope: AccessScope) -> AnyRow:
        """Return the dates and the pauses of a case, from which its target is computed. Raises NotFound."""
        return await fetch_one(self._connection, _target, scope, case_id)

    async def coordinator(self, case_id: UUID, scope: AccessScope) -> AnyRow:
        """Return the coordinator of a case. Raises NotFound."""
        return await fetch_one(self._connection, _coordinator, scope, case_id)

    async def list(
        self, scope: AccessScope, filters: CaseListFilter, page: PageRequest, *, today: date, policy: Policy
    ) -> Page[AnyRow]:
        """Return a page of the cases within the caller's access scope.

        Filters other than `complaint_id` are ignored for callers who are not of the office, whom the route refuses.
        """
        conditions: Conditions = ()
        parameters: dict[str, object] = {}
        if scope.relation is Relation.OFFICE:
            conditions, parameters = conditions_of_cases(filters, today, policy)
            of_office = {"precinct": _IN_PRECINCT, "language": _SPEAKS}
            conditions += tuple(each for name, each in of_office.items() if getattr(filters, name) is not None)
        if filters.complaint_id is not None:
            conditions += (_OF_COMPLAINT,)
        given = {f"filter_{name}": getattr(filters, name) for name in ("complaint_id", "precinct", "language")}
        return await read_page(
            self._connection,
            _listed(ScopeKind.of(scope), conditions),
            page,
            Order(_SORT_KEYS[filters.sort.key], t.cases.c.id, filters.sort.descending),
            scope=scope,
            opened_id=t.cases.c.id,
            own=None if scope.relation is Relation.OFFICE else _own(ScopeKind.of(scope), conditions),
            parameters=scope_parameters(scope) | parameters | given,
        )


@lru_cache(maxsize=STATEMENTS_OF_A_LIST)
def _listed(kind: ScopeKind, conditions: Conditions) -> AnySelect:
    return _cases(kind).where(*conditions)


@lru_cache(maxsize=STATEMENTS_OF_A_LIST)
def _own(kind: ScopeKind, conditions: Conditions) -> AnySelect:
    own: AnySelect = select(t.cases.c.id).where(kind.where(t.cases), *conditions)
    return own


@cache
def _one(kind: ScopeKind) -> AnySelect:
    statement = _cases(kind).where(t.cases.c.id == REQUESTED_ID)
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


@cache
def _target(kind: ScopeKind) -> AnySelect:
    c, p = t.cases.c, t.pauses.c
    pauses = nested(
        {"id": p.id, "reason": p.reason, "starts_on": p.starts_on, "ends_on": p.ends_on},
        p.case_id == c.id,
        order_by=tuple_(p.at, p.id),
    )
    dates = (c.id.label("case_id"), c.state, c.requested_on, c.due_on, c.closed_at)
    statement: AnySelect = select(*dates, pauses.label("pauses")).where(c.id == REQUESTED_ID, kind.where(t.cases))
    return logged(statement, kind, complaint=c.complaint_id, case=c.id)


@cache
def _coordinator(kind: ScopeKind) -> AnySelect:
    c = t.cases.c
    name = staff_name(c.coordinator, kind=kind).label("coordinator_name")
    statement: AnySelect = select(c.id.label("case_id"), c.coordinator, name).where(
        c.id == REQUESTED_ID, kind.where(t.cases)
    )
    return logged(statement, kind, complaint=c.complaint_id, case=c.id)


@cache
def _cases(kind: ScopeKind) -> AnySelect:
    if kind.relation is Relation.OFFICE:
        return _for_office(kind)
    return _for_mediator(kind) if kind.relation is Relation.PROPOSED else _for_party(kind)


def _case(*columns: AnyColumn) -> AnySelect:
    return select(
        t.cases.c.id,
        t.cases.c.complaint_id,
        t.complaints.c.reference,
        t.cases.c.state,
        t.cases.c.requested_on,
        t.cases.c.due_on,
        *columns,
    ).join(t.complaints, t.complaints.c.id == t.cases.c.complaint_id)


def next_session(*conditions: ColumnElement[bool]) -> AnyColumn:
    """Return the session that is scheduled or in progress. A case has at most one."""
    return nested(
        SESSION_COLUMNS,
        t.sessions.c.case_id == t.cases.c.id,
        t.sessions.c.state.in_(constants(LIVE)),
        *conditions,
        order_by=t.sessions.c.id,
    )[0].label("next_session")


def _for_office(kind: ScopeKind) -> AnySelect:
    return _case(
        audience(kind),
        t.cases.c.attempt,
        t.cases.c.coordinator,
        staff_name(t.cases.c.coordinator, kind=kind).label("coordinator_name"),
        t.cases.c.opened_at,
        t.cases.c.closed_at,
        t.cases.c.agreement_reached,
        t.cases.c.lapse_reason,
        t.cases.c.screening_outdated,
        under_review().label("under_review"),
        nested(
            {
                "party_id": t.participants.c.party_id,
                "side": t.participants.c.side,
                "name": decrypted(t.parties.c.name),
                "standing": t.participants.c.standing,
                "asked_at": t.participants.c.asked_at,
                "left_at": t.participants.c.left_at,
                "unexcused_absences": unexcused_absences(),
            },
            t.participants.c.case_id == t.cases.c.id,
            t.parties.c.id == t.participants.c.party_id,
            order_by=_ORDER_OF_JOINING,
        ).label("participants"),
        nested(
            {
                **PART_COLUMNS,
                "agreement_reached": t.parts.c.agreement_reached,
                "session_completed": session_completed(),
            },
            t.parts.c.case_id == t.cases.c.id,
            order_by=PART_ORDER,
        ).label("parts"),
        nested(
            {
                "id": t.assignments.c.id,
                "mediator_id": t.assignments.c.mediator_id,
                "name": decrypted(t.mediators.c.name),
                "state": t.assignments.c.state,
                "answer_due_on": t.assignments.c.answer_due_on,
            },
            t.assignments.c.case_id == t.cases.c.id,
            t.assignments.c.state.in_(constants(LIVE_ASSIGNMENTS)),
            t.mediators.c.id == t.assignments.c.mediator_id,
            order_by=t.assignments.c.id,
        )[0].label("assignment"),
        next_session(),
    )


def _for_mediator(kind: ScopeKind) -> AnySelect:
    """Select what a mediator sees: a summary to check for conflicts of interest, and after accepting also contacts."""
    own = (
        select(t.assignments)
        .join(t.mediators, t.mediators.c.id == t.assignments.c.mediator_id)
        .where(
            t.assignments.c.case_id == t.cases.c.id,
            t.assignments.c.state.in_(constants(LIVE_ASSIGNMENTS)),
            t.mediators.c.subject == CALLER_SUBJECT,
        )
        .lateral("own")
    )
    accepted = own.c.state == AssignmentState.ACCEPTED

    def once_accepted(column: AnyColumn) -> AnyColumn:
        return case((accepted, column))

    participants = nested(
        {
            "party_id": t.participants.c.party_id,
            "side": t.participants.c.side,
            "name": decrypted(t.parties.c.name),
            "language": t.parties.c.language,
            "interpreter_language": t.parties.c.interpreter_language,
            "accommodations": once_accepted(decrypted(t.parties.c.accommodations)),
            "minor": t.parties.c.minor,
            "phone": once_accepted(decrypted(t.parties.c.phone)),
            "email": once_accepted(decrypted(t.parties.c.email)),
            "safe_contact": once_accepted(decrypted(t.parties.c.safe_contact)),
        },
        t.participants.c.case_id == t.cases.c.id,
        t.participants.c.standing.not_in(constants(LEFT)),
        t.parties.c.id == t.participants.c.party_id,
        order_by=_ORDER_OF_JOINING,
    )
    return (
        _case(
            audience(kind),
            t.cases.c.closed_at,
            t.complaints.c.incident_on,
            t.complaints.c.allegations,
            func.json_build_object("id", own.c.id, "state", own.c.state, "answer_due_on", own.c.answer_due_on).label(
                "assignment"
            ),
            participants.label("participants"),
            next_session(),
        )
        .join(own, literal(True))  # noqa: FBT003 - ON TRUE
        .where(kind.where(t.cases))
    )


def _for_party(kind: ScopeKind) -> AnySelect:
    """Select what a party sees: its own part, and while `peers_visible_to` it, the others, mediator and session."""
    own = own_participation_in_case(kind.role).lateral("own")
    visible = peers_visible_to(own)
    peer, person = t.visible_participants.c, t.visible_parties.c
    name = decrypted(person.name, written_to=t.parties.c.name, owner=t.cases.c.complaint_id)
    others = nested(
        {"party_id": peer.party_id, "side": peer.side, "name": name},
        peer.case_id == t.cases.c.id,
        peer.standing == Standing.AGREED,
        peer.party_id != own.c.party_id,
        person.id == peer.party_id,
        visible,
        order_by=tuple_(peer.joined_at, peer.party_id),
    )
    mediator = (
        select(decrypted(t.mediators.c.name))
        .join(t.assignments, t.assignments.c.mediator_id == t.mediators.c.id)
        .where(
            t.assignments.c.case_id == t.cases.c.id,
            t.assignments.c.state == AssignmentState.ACCEPTED,
            visible,
        )
        .scalar_subquery()
    )
    return _case(
        audience(kind),
        t.complaints.c.incident_on,
        t.complaints.c.allegations,
        func.json_build_object("party_id", own.c.party_id, "side", own.c.side, "standing", own.c.standing).label("you"),
        nested(
            PART_COLUMNS,
            is_part_of(own),
            may_see_disposition(own),
            order_by=PART_ORDER,
        ).label("parts"),
        others.label("others"),
        mediator.label("mediator_name"),
        next_session(visible),
    ).join(own, literal(True))  # noqa: FBT003 - ON TRUE
