"""What a caller reaches, as conditions in SQL. A row outside them is not refused: it is not there.

Assignments and parties are read at each request, so that a mediator who left, or a token that outlived its party,
reaches nothing.

A statement with such conditions is put together once for each kind of reach, since that takes longer than to run it.
Who calls, and which object is asked for, are its parameters:

    await connection.execute(_one(kind_of(reach)), asking(reach, case_id))
"""

from functools import cache
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, String, Uuid, and_, bindparam, exists, false, func, or_, select, true

from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.database.tables import (
    assignments,
    cases,
    complaints,
    consents,
    mandatory_reports,
    mediators,
    participants,
    parties,
    parts,
    withdrawals,
)
from mediation_api.domain.access import AccessScope, Relation, Role
from mediation_api.domain.access_log import LoggedAccessScope
from mediation_api.domain.lifecycle import ANSWERS_SEALED, PEERS_VISIBLE
from mediation_api.domain.values import AssignmentState, Disposition, Side, Standing

LIVE_ASSIGNMENTS = (AssignmentState.PROPOSED, AssignmentState.ACCEPTED)
ACCEPTED = (AssignmentState.ACCEPTED,)
ACCEPTED_ONCE = (AssignmentState.ACCEPTED, AssignmentState.RECUSED)
LEFT = (Standing.DECLINED, Standing.WITHDRAWN, Standing.LAPSED, Standing.REMOVED)


REQUESTED_ID: Final = bindparam("wanted", type_=Uuid)
"""The id of the object that is asked for."""
_PARTY: Final = bindparam("caller_party", type_=Uuid)
_NUMBER: Final = bindparam("caller_number", type_=parties.c.employee_number_index.type)
_CODE: Final = bindparam("caller_code", type_=String)
CALLER_SUBJECT: Final = bindparam("caller_subject", type_=String)


class ScopeKind(NamedTuple):
    """What a statement is put together for: how what is reached stands to the caller, and nothing of who that is."""

    relation: Relation
    role: Role
    written_down: bool
    """Whether it is written down that the caller opened what is found."""


def scope_kind(scope: AccessScope) -> ScopeKind:
    """The kind of a reach."""
    return ScopeKind(scope.relation, scope.actor.role, isinstance(scope, LoggedAccessScope))


def scope_parameters(scope: AccessScope, wanted: UUID | None = None) -> dict[str, object]:
    """The parameters of a statement of that kind: who calls, for what, and what is written down of that."""
    actor = scope.actor
    caller = {
        "caller_party": actor.party_id,
        "caller_number": actor.employee_number,
        "caller_subject": actor.subject,
        "caller_code": actor.code,
    }
    parameters: dict[str, object] = {**caller, "wanted": wanted}
    if isinstance(scope, LoggedAccessScope):
        parameters |= {"read_at": scope.at, "read_operation": scope.operation, "read_purpose": scope.purpose}
    return parameters


@cache
def is_own_party(role: Role) -> ColumnElement[bool]:
    """Whether a row of `parties` is the caller, and was not removed."""
    return and_(_was_own_party(role), parties.c.removed_at.is_(None))


@cache
def _was_own_party(role: Role) -> ColumnElement[bool]:
    """Whether a row of `parties` is, or was until it was removed, the caller: by the token's party, or by the number.

    Once an officer has answered, the number alone opens nothing: the subject of the token is that of the answer.
    """
    if role is Role.COMPLAINANT:
        return and_(parties.c.id == _PARTY, parties.c.side == Side.COMPLAINANT)
    if role is Role.OFFICER:
        number = and_(parties.c.employee_number_index == _NUMBER, parties.c.side == Side.OFFICER)
        return and_(number, func.coalesce(parties.c.bound_subject, CALLER_SUBJECT) == CALLER_SUBJECT)
    return false()


@cache
def own_participation(role: Role) -> AnySelect:
    """The caller's own rows of `participants`; an officer's exist for the officer once the officer was asked."""
    return _participation(role, is_own_party(role))


@cache
def may_withdraw(role: Role) -> AnySelect:
    """Those, and an officer's who was removed since; a complainant's as long as the token speaks for the party."""
    own = _participation(role, _was_own_party(role))
    return own.where(func.speaks_for(_CODE, parties.c.id)) if role is Role.COMPLAINANT else own


def _participation(role: Role, is_own: ColumnElement[bool]) -> AnySelect:
    own = select(participants).join(parties, parties.c.id == participants.c.party_id).where(is_own)
    return own.where(participants.c.asked_at.is_not(None)) if role is Role.OFFICER else own


def may_see_case(kind: ScopeKind) -> ColumnElement[bool]:
    """Whether the caller reaches a row of `cases`."""
    if kind.relation is Relation.OFFICE:
        return true()
    if kind.relation is Relation.PROPOSED:
        return and_(_is_mediator(LIVE_ASSIGNMENTS), ~_mediator_is_party(cases.c.complaint_id))
    if kind.relation is Relation.ASSIGNED:
        return and_(_is_mediator(ACCEPTED), ~_mediator_is_party(cases.c.complaint_id))
    if kind.relation is Relation.MEDIATED:
        return and_(_is_mediator(ACCEPTED_ONCE), ~_mediator_is_party(cases.c.complaint_id))
    if kind.relation is Relation.OWN:
        return own_participation(kind.role).where(participants.c.case_id == cases.c.id).exists().correlate(cases)
    return false()


def _is_mediator(states: tuple[AssignmentState, ...]) -> ColumnElement[bool]:
    mediates = exists().where(
        assignments.c.case_id == cases.c.id,
        assignments.c.state.in_(states),
        assignments.c.mediator_id == mediators.c.id,
        mediators.c.subject == CALLER_SUBJECT,
    )
    return mediates.correlate(cases)


def is_officer_of(complaint: AnyColumn, *, subject: AnyColumn, numbers: tuple[AnyColumn, ...]) -> ColumnElement[bool]:
    """Whether somebody is an officer of a complaint: by employee number, or by the subject that answered as one."""
    p, of_complaint = parties.alias("officer").c, cases.alias("of_complaint").c
    by_number = select(p.id).where(p.complaint_id == complaint, p.employee_number_index.in_(numbers))
    said = (consents, withdrawals)
    by_subject = (
        select(each.c.id)
        .join(of_complaint.id.table, of_complaint.id == each.c.case_id)
        .where(of_complaint.complaint_id == complaint, each.c.by_role == Role.OFFICER, each.c.by == subject)
        for each in said
    )
    return or_(
        *(
            found.correlate_except(p.id.table, of_complaint.id.table, *said).exists()
            for found in (by_number, *by_subject)
        )
    )


def _mediator_is_party(complaint: AnyColumn) -> ColumnElement[bool]:
    """Whether the caller, a mediator, is a party of a complaint under another role."""
    m = mediators.alias("themselves").c
    number = select(m.employee_number_index).where(m.subject == CALLER_SUBJECT).scalar_subquery()
    return is_officer_of(complaint, subject=CALLER_SUBJECT, numbers=(_NUMBER, number))


def mediates_own_case(kind: ScopeKind) -> ColumnElement[bool]:
    """Whether a row of `assignments` is of a complaint that the caller, a mediator, is a party of."""
    if kind.relation is Relation.OFFICE:
        return false()
    complaint = select(cases.c.complaint_id).where(cases.c.id == assignments.c.case_id).correlate(assignments)
    return _mediator_is_party(complaint.scalar_subquery())


def may_see_report(kind: ScopeKind) -> ColumnElement[bool]:
    """Whether the caller reaches a row of `mandatory_reports`: a director all, a mediator those it proposed."""
    if kind.relation is Relation.OFFICE:
        return true()
    if kind.relation is Relation.MEDIATED:
        own = mandatory_reports.c.proposed_by == CALLER_SUBJECT
        return and_(own, mandatory_reports.c.proposed_by_role == Role.MEDIATOR)
    return false()


def may_see_party(kind: ScopeKind) -> ColumnElement[bool]:
    """Whether the caller reaches a row of `parties`."""
    if kind.relation is Relation.OFFICE:
        return true()
    if kind.relation is not Relation.OWN:
        return false()
    if kind.role is Role.COMPLAINANT:
        return is_own_party(kind.role)
    asked = exists().where(participants.c.party_id == parties.c.id, participants.c.asked_at.is_not(None))
    return and_(is_own_party(kind.role), asked)


def may_see_complaint(kind: ScopeKind) -> ColumnElement[bool]:
    """Whether the caller reaches a row of `complaints`."""
    if kind.relation is Relation.OFFICE:
        return true()
    if kind.relation is Relation.FILED:
        return and_(complaints.c.by_role == Role.INTEGRATION, complaints.c.by == CALLER_SUBJECT)
    if kind.relation is Relation.OWN:
        own = exists().where(parties.c.complaint_id == complaints.c.id, is_own_party(kind.role))
        return own.correlate(complaints)  # and not with `parties`, which the list of them reads itself
    return false()


def is_own_mediator(kind: ScopeKind) -> ColumnElement[bool]:
    """Whether a row of `mediators` is within reach: all for the office, their own for a mediator."""
    if kind.relation is Relation.OFFICE:
        return true()
    if kind.relation in {Relation.PROPOSED, Relation.ASSIGNED, Relation.MEDIATED}:
        return mediators.c.subject == CALLER_SUBJECT
    return false()


@cache
def peers_visible(role: Role) -> ColumnElement[bool]:
    """Whether the caller takes part in a row of `cases` in which those who do see each other.

    Not once all of the caller's parts were returned: somebody who was absent, say, from a case that was mediated.
    """
    kept = select(parts.c.case_id).where(
        is_part_of(participants), parts.c.disposition != Disposition.RETURNED_TO_INVESTIGATION
    )
    # By name: two statements deep, it would otherwise be whether the caller takes part in any case at all.
    agreed = own_participation(role).where(
        participants.c.case_id == cases.c.id,
        participants.c.standing == Standing.AGREED,
        kept.exists().correlate(participants),
    )
    return and_(cases.c.state.in_(PEERS_VISIBLE), agreed.exists().correlate(cases))


def peers_visible_to(own: FromClause) -> ColumnElement[bool]:
    """The same where the caller's own row of `participants` is at hand: it is not looked for again."""
    kept = select(parts.c.case_id).where(is_part_of(own), parts.c.disposition != Disposition.RETURNED_TO_INVESTIGATION)
    return and_(cases.c.state.in_(PEERS_VISIBLE), own.c.standing == Standing.AGREED, kept.exists().correlate(own))


def is_part_of(own: FromClause) -> ColumnElement[bool]:
    """Whether a row of `parts` is of a participant and its case."""
    return and_(parts.c.case_id == own.c.case_id, own.c.party_id.in_((parts.c.complainant_id, parts.c.officer_id)))


def may_see_disposition(own: FromClause) -> ColumnElement[bool]:
    """Whether a participant may know what became of its parts in a row of `cases`.

    That is from `ready` on, or once the participant itself has left: its own leaving returned all of them. Of a part
    with somebody who was removed it knows nothing.
    """
    return and_(~parts.c.removed, or_(cases.c.state.not_in(ANSWERS_SEALED), own.c.left_at.is_not(None)))
