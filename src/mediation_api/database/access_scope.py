"""Access scopes in SQL: which rows a caller may see, and how a statement within a scope is run.

`AccessScope` (domain/access.py) says who calls, and in which relation an object must stand to the caller. Each read
goes the same way from there:

    @cache
    def _session(kind: ScopeKind) -> AnySelect:
        return select(...).where(sessions.c.id == REQUESTED_ID, kind.where(cases))

    row = await fetch_one(connection, _session, scope, session_id)

Building a statement takes longer than running it, so each is built once for each `ScopeKind`. A kind contains no
identity: who calls, and the id that is requested, are parameters. A statement itself looks up assignments and parties,
so that a mediator who was recused, or a token whose party was removed, finds nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    String,
    Table,
    Uuid,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.constants import Constant, constants
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.statements import fetch_all, fetch_first
from mediation_api.database.tables import (
    assignments,
    cases,
    complaints,
    consents,
    imports,
    mandatory_reports,
    mediators,
    participants,
    parties,
    parts,
    webhook_endpoints,
    withdrawals,
)
from mediation_api.domain.access import AccessScope, Relation, Role
from mediation_api.domain.access_log import LoggedAccessScope
from mediation_api.domain.errors import NotFound
from mediation_api.domain.lifecycle import ANSWERS_SEALED, PEERS_VISIBLE
from mediation_api.domain.values import AssignmentState, Disposition, Side, Standing

LIVE_ASSIGNMENTS = (AssignmentState.PROPOSED, AssignmentState.ACCEPTED)
LEFT = (Standing.DECLINED, Standing.WITHDRAWN, Standing.LAPSED, Standing.REMOVED)

REQUESTED_ID: Final = bindparam("requested_id", type_=Uuid)
"""The id of the object that is requested."""
CALLER_SUBJECT: Final = bindparam("caller_subject", type_=String)
_PARTY: Final = bindparam("caller_party", type_=Uuid)
_NUMBER: Final = bindparam("caller_number", type_=parties.c.employee_number_index.type)
_CODE: Final = bindparam("caller_code", type_=String)

# ── from an access scope to rows ───────────────────────────────────────────────────────────────────────────────────


class ScopeKind(NamedTuple):
    """What a statement is built for, and cached by: an access scope without the caller's identity."""

    relation: Relation
    role: Role
    is_logged: bool
    """Whether the statement also writes to the access log what the caller opened (database/access_logging.py)."""

    @classmethod
    def of(cls, scope: AccessScope) -> "ScopeKind":
        """The kind of an access scope."""
        return cls(scope.relation, scope.actor.role, isinstance(scope, LoggedAccessScope))

    def where(self, table: Table) -> ColumnElement[bool]:
        """Whether a row of `table` is within the scope. A statement on `assignments` has to join `mediators`.

        Raises:
            KeyError: nobody but the office sees rows of this table by themselves; join one that has a condition.
        """
        return true() if self.relation is Relation.OFFICE else _CONDITIONS[table](self)


StatementBuilder: TypeAlias = Callable[[ScopeKind], AnySelect]
"""A cached function that builds the statement for a kind of scope."""


def scope_parameters(scope: AccessScope, requested_id: UUID | None = None) -> dict[str, object]:
    """Return the parameters of a statement within a scope: the caller, the requested id, and those of the log entry."""
    actor = scope.actor
    parameters: dict[str, object] = {
        "caller_party": actor.party_id,
        "caller_number": actor.employee_number,
        "caller_subject": actor.subject,
        "caller_code": actor.code,
        "requested_id": requested_id,
    }
    if isinstance(scope, LoggedAccessScope):
        parameters |= {"log_at": scope.at, "log_operation": scope.operation, "log_purpose": scope.purpose}
    return parameters


async def fetch_one(
    connection: AsyncConnection, statement: StatementBuilder, scope: AccessScope, requested_id: UUID
) -> AnyRow:
    """Return the row of the requested object. Raises NotFound if there is none, or it is outside the scope."""
    row = await fetch_first(connection, statement(ScopeKind.of(scope)), scope_parameters(scope, requested_id))
    if row is None:
        raise NotFound
    return row


async def fetch_children(
    connection: AsyncConnection, statement: StatementBuilder, scope: AccessScope, parent_id: UUID
) -> Sequence[AnyRow]:
    """Return the children of the requested object, which may have none.

    `statement` selects from the parent and outer-joins the children: a parent without children is one row whose `id`
    is null. Raises NotFound if there is no such parent, or it is outside the scope.
    """
    rows = await fetch_all(connection, statement(ScopeKind.of(scope)), scope_parameters(scope, parent_id))
    if not rows:
        raise NotFound
    return [row for row in rows if row["id"] is not None]


def audience(kind: ScopeKind) -> AnyColumn:
    """Return the column `audience` of a read model, by which the response model is chosen."""
    return Constant(kind.relation.audience).label("audience")


# ── the condition of each table, for everybody but the office ──────────────────────────────────────────────────────


def _complaint(kind: ScopeKind) -> ColumnElement[bool]:
    """An integration sees what it filed; a complainant the complaint of its party."""
    if kind.relation is Relation.FILED:
        return and_(complaints.c.by_role == Role.INTEGRATION, complaints.c.by == CALLER_SUBJECT)
    if kind.relation is Relation.OWN:
        own = exists().where(parties.c.complaint_id == complaints.c.id, is_own_party(kind.role))
        return own.correlate(complaints)  # not `parties`: the list of parties selects from that table itself
    return false()


def _party(kind: ScopeKind) -> ColumnElement[bool]:
    """A party sees itself; an officer from the moment at which the officer is asked to take part."""
    if kind.relation is not Relation.OWN:
        return false()
    if kind.role is Role.COMPLAINANT:
        return is_own_party(kind.role)
    asked = exists().where(participants.c.party_id == parties.c.id, participants.c.asked_at.is_not(None))
    return and_(is_own_party(kind.role), asked)


_ASSIGNED_IN: Final[Mapping[Relation, tuple[AssignmentState, ...]]] = {
    Relation.PROPOSED: LIVE_ASSIGNMENTS,
    Relation.ASSIGNED: (AssignmentState.ACCEPTED,),
    Relation.MEDIATED: (AssignmentState.ACCEPTED, AssignmentState.RECUSED),
}
"""The states of an assignment through which a mediator sees its case."""


def _case(kind: ScopeKind) -> ColumnElement[bool]:
    """A party sees the cases it takes part in; a mediator those assigned, unless a party of the complaint as well."""
    if kind.relation is Relation.OWN:
        return own_participation(kind.role).where(participants.c.case_id == cases.c.id).exists().correlate(cases)
    if kind.relation not in _ASSIGNED_IN:
        return false()
    assigned = exists().where(
        assignments.c.case_id == cases.c.id,
        assignments.c.state.in_(constants(_ASSIGNED_IN[kind.relation])),
        assignments.c.mediator_id == mediators.c.id,
        mediators.c.subject == CALLER_SUBJECT,
    )
    return and_(assigned.correlate(cases), ~_mediator_is_party(cases.c.complaint_id))


def _mediator(kind: ScopeKind) -> ColumnElement[bool]:
    """A mediator sees their own entry of the roster."""
    return mediators.c.subject == CALLER_SUBJECT if kind.relation in _ASSIGNED_IN else false()


def _assignment(kind: ScopeKind) -> ColumnElement[bool]:
    """A mediator sees their own assignments, unless they are a party of the complaint as well."""
    complaint = select(cases.c.complaint_id).where(cases.c.id == assignments.c.case_id).correlate(assignments)
    return and_(_mediator(kind), ~_mediator_is_party(complaint.scalar_subquery()))


def _report(kind: ScopeKind) -> ColumnElement[bool]:
    """A mediator sees the mandatory reports that they proposed themselves."""
    if kind.relation is not Relation.MEDIATED:
        return false()
    return and_(
        mandatory_reports.c.proposed_by == CALLER_SUBJECT, mandatory_reports.c.proposed_by_role == Role.MEDIATOR
    )


def _import(kind: ScopeKind) -> ColumnElement[bool]:
    """An integration sees the imports that it uploaded."""
    return imports.c.by == CALLER_SUBJECT if kind.relation is Relation.FILED else false()


def _endpoint(kind: ScopeKind) -> ColumnElement[bool]:
    """An integration sees the webhook endpoints that it registered."""
    return webhook_endpoints.c.integration == CALLER_SUBJECT if kind.relation is Relation.FILED else false()


_CONDITIONS: Final[Mapping[Table, Callable[[ScopeKind], ColumnElement[bool]]]] = {
    complaints: _complaint,
    parties: _party,
    cases: _case,
    mediators: _mediator,
    assignments: _assignment,
    mandatory_reports: _report,
    imports: _import,
    webhook_endpoints: _endpoint,
}

# ── mediators who are parties ──────────────────────────────────────────────────────────────────────────────────────


def is_officer_of(complaint: AnyColumn, *, subject: AnyColumn, numbers: tuple[AnyColumn, ...]) -> ColumnElement[bool]:
    """Whether a person is an officer of a complaint: by employee number, or by the subject that answered as one."""
    p, of_complaint = parties.alias("officer").c, cases.alias("of_complaint").c
    by_number = select(p.id).where(p.complaint_id == complaint, p.employee_number_index.in_(numbers))
    answers = (consents, withdrawals)
    by_subject = (
        select(each.c.id)
        .join(of_complaint.id.table, of_complaint.id == each.c.case_id)
        .where(of_complaint.complaint_id == complaint, each.c.by_role == Role.OFFICER, each.c.by == subject)
        for each in answers
    )
    return or_(
        *(
            found.correlate_except(p.id.table, of_complaint.id.table, *answers).exists()
            for found in (by_number, *by_subject)
        )
    )


def _mediator_is_party(complaint: AnyColumn) -> ColumnElement[bool]:
    """Whether the caller, a mediator, is an officer of a complaint."""
    m = mediators.alias("themselves").c
    number = select(m.employee_number_index).where(m.subject == CALLER_SUBJECT).scalar_subquery()
    return is_officer_of(complaint, subject=CALLER_SUBJECT, numbers=(_NUMBER, number))


# ── parties, and what each may see of a case ───────────────────────────────────────────────────────────────────────


@cache
def is_own_party(role: Role) -> ColumnElement[bool]:
    """Whether a row of `parties` is the caller's, and was not removed from the complaint."""
    return and_(_was_own_party(role), parties.c.removed_at.is_(None))


@cache
def _was_own_party(role: Role) -> ColumnElement[bool]:
    """Whether a row of `parties` is the caller's, removed or not: by the token's party id or employee number.

    Once an officer has answered, the number alone is not enough: the token's subject has to be that of the answer.
    """
    if role is Role.COMPLAINANT:
        return and_(parties.c.id == _PARTY, parties.c.side == Side.COMPLAINANT)
    if role is Role.OFFICER:
        number = and_(parties.c.employee_number_index == _NUMBER, parties.c.side == Side.OFFICER)
        return and_(number, func.coalesce(parties.c.bound_subject, CALLER_SUBJECT) == CALLER_SUBJECT)
    return false()


@cache
def own_participation(role: Role) -> AnySelect:
    """Select the rows of `participants` that are the caller's: one for each case in which the caller is a party.

    They include parties that declined, withdrew or lapsed, which still see their own part of the case, and exclude
    parties that were removed and officers who were not asked yet.
    """
    return _participation(role, is_own_party(role))


@cache
def own_participation_in_case(role: Role) -> AnySelect:
    """`own_participation` in a row of `cases`, beginning at the case, however many cases the caller has.

    `OFFSET 0` keeps the planner from beginning at the caller's parties, as it would while the caller has few.
    """
    own = select(parties.c.id).where(parties.c.id == participants.c.party_id, is_own_party(role))
    return _asked(select(participants), role).where(
        participants.c.case_id == cases.c.id, own.offset(literal_column("0")).exists()
    )


@cache
def may_withdraw(role: Role) -> AnySelect:
    """Select the rows of `participants` for which the caller may withdraw.

    Besides `own_participation`, those of an officer who was removed. A complainant's access code must be valid.
    """
    own = _participation(role, _was_own_party(role))
    return own.where(func.speaks_for(_CODE, parties.c.id)) if role is Role.COMPLAINANT else own


def _participation(role: Role, is_own: ColumnElement[bool]) -> AnySelect:
    return _asked(select(participants).join(parties, parties.c.id == participants.c.party_id).where(is_own), role)


def _asked(own: AnySelect, role: Role) -> AnySelect:
    return own.where(participants.c.asked_at.is_not(None)) if role is Role.OFFICER else own


@cache
def peers_visible(role: Role) -> ColumnElement[bool]:
    """Whether the caller, a party, may see the others in a row of `cases`: their names, sessions and texts to sign.

    That is from the moment at which both sides have agreed (the states `PEERS_VISIBLE`), to whoever has agreed and not
    left since. A party all of whose parts were returned to investigation no longer may: it was absent, for example,
    while the case was mediated with others.
    """
    # Correlate with `cases` explicitly: otherwise the subquery would match a participation in any case.
    own = own_participation(role).where(participants.c.case_id == cases.c.id, _is_still_in(participants))
    return and_(cases.c.state.in_(constants(PEERS_VISIBLE)), own.exists().correlate(cases))


def peers_visible_to(own: FromClause) -> ColumnElement[bool]:
    """`peers_visible` for a statement that joins `own`, the caller's row of `participants`, to `cases` already."""
    return and_(cases.c.state.in_(constants(PEERS_VISIBLE)), _is_still_in(own))


def _is_still_in(own: FromClause) -> ColumnElement[bool]:
    """Whether a participant has agreed, has not left, and has a part that was not returned to investigation."""
    kept = select(parts.c.case_id).where(is_part_of(own), parts.c.disposition != Disposition.RETURNED_TO_INVESTIGATION)
    return and_(own.c.standing == Standing.AGREED, kept.exists().correlate(own))


def is_part_of(own: FromClause) -> ColumnElement[bool]:
    """Whether a row of `parts` is between a participant and somebody of the other side of the case."""
    return and_(parts.c.case_id == own.c.case_id, own.c.party_id.in_((parts.c.complainant_id, parts.c.officer_id)))


def may_see_disposition(own: FromClause) -> ColumnElement[bool]:
    """Whether a participant may see the disposition of one of its parts, in a row of `cases`.

    It may once answers are no longer sealed (from `ready` on), or once it has left the case itself, which returned all
    of its parts. It never sees the disposition of a part with a party that was removed.
    """
    return and_(~parts.c.removed, or_(cases.c.state.not_in(constants(ANSWERS_SEALED)), own.c.left_at.is_not(None)))
