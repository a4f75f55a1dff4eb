"""What a caller reaches, as conditions in SQL. A row outside them is not refused: it is not there.

Assignments and parties are read at each request, so that a mediator who left, or a token that outlived its party,
reaches nothing.

The conditions for those who called last are kept as they were put together: they hold who calls, and never an answer.
"""

from functools import lru_cache

from sqlalchemy import ColumnElement, and_, exists, false, select, true

from mediation_api.domain.access import Actor, Reach, Relation, Role
from mediation_api.domain.lifecycle import SHARED
from mediation_api.domain.values import AssignmentState, Side, Standing
from mediation_api.repository.nesting import AnySelect
from mediation_api.repository.tables import (
    assignments,
    cases,
    complaints,
    mandatory_reports,
    mediators,
    participants,
    parties,
)

HERE = (AssignmentState.PROPOSED, AssignmentState.ACCEPTED)
TOOK_ON = (AssignmentState.ACCEPTED, AssignmentState.RECUSED)
GONE = (Standing.DECLINED, Standing.WITHDRAWN, Standing.LAPSED)


@lru_cache(maxsize=64)
def is_own_party(actor: Actor) -> ColumnElement[bool]:
    """Whether a row of `parties` is the caller: by the token's party, or by the hash of the officer's number."""
    if actor.role is Role.COMPLAINANT:
        return and_(parties.c.id == actor.party_id, parties.c.side == Side.COMPLAINANT)
    if actor.role is Role.OFFICER and actor.employee_number is not None:
        return and_(parties.c.employee_number_index == actor.employee_number, parties.c.side == Side.OFFICER)
    return false()


@lru_cache(maxsize=64)
def own_participation(actor: Actor) -> AnySelect:
    """The caller's own rows of `participants`; an officer's exist for the officer once the officer was asked."""
    own = select(participants).join(parties, parties.c.id == participants.c.party_id).where(is_own_party(actor))
    if actor.role is Role.OFFICER:
        own = own.where(participants.c.asked_at.is_not(None))
    return own


def sees_case(reach: Reach) -> ColumnElement[bool]:
    """Whether the caller reaches a row of `cases`."""
    if reach.relation is Relation.OFFICE:
        return true()
    if reach.relation is Relation.ASSIGNED:
        return _is_mediator(reach.actor, HERE)
    if reach.relation is Relation.MEDIATED:
        return _is_mediator(reach.actor, TOOK_ON)
    if reach.relation is Relation.OWN:
        return own_participation(reach.actor).where(participants.c.case_id == cases.c.id).exists().correlate(cases)
    return false()


def _is_mediator(actor: Actor, states: tuple[AssignmentState, ...]) -> ColumnElement[bool]:
    mediates = exists().where(
        assignments.c.case_id == cases.c.id,
        assignments.c.state.in_(states),
        assignments.c.mediator_id == mediators.c.id,
        mediators.c.subject == actor.subject,
    )
    return mediates.correlate(cases)


def sees_report(reach: Reach) -> ColumnElement[bool]:
    """Whether the caller reaches a row of `mandatory_reports`: a director all, a mediator those it proposed."""
    if reach.relation is Relation.OFFICE:
        return true()
    if reach.relation is Relation.MEDIATED:
        own = mandatory_reports.c.proposed_by == reach.actor.subject
        return and_(own, mandatory_reports.c.proposed_by_role == Role.MEDIATOR)
    return false()


def sees_party(reach: Reach) -> ColumnElement[bool]:
    """Whether the caller reaches a row of `parties`."""
    if reach.relation is Relation.OFFICE:
        return true()
    if reach.relation is not Relation.OWN:
        return false()
    if reach.actor.role is Role.COMPLAINANT:
        return is_own_party(reach.actor)
    asked = exists().where(participants.c.party_id == parties.c.id, participants.c.asked_at.is_not(None))
    return and_(is_own_party(reach.actor), asked)


def sees_complaint(reach: Reach) -> ColumnElement[bool]:
    """Whether the caller reaches a row of `complaints`."""
    if reach.relation is Relation.OFFICE:
        return true()
    if reach.relation is Relation.FILED:
        return and_(complaints.c.by_role == Role.INTEGRATION, complaints.c.by == reach.actor.subject)
    if reach.relation is Relation.OWN:
        own = exists().where(parties.c.complaint_id == complaints.c.id, is_own_party(reach.actor))
        return own.correlate(complaints)  # and not with `parties`, which the list of them reads itself
    return false()


def is_own_mediator(reach: Reach) -> ColumnElement[bool]:
    """Whether a row of `mediators` is within reach: all for the office, their own for a mediator."""
    if reach.relation is Relation.OFFICE:
        return true()
    if reach.relation in {Relation.ASSIGNED, Relation.MEDIATED}:
        return mediators.c.subject == reach.actor.subject
    return false()


@lru_cache(maxsize=64)
def takes_part(actor: Actor) -> ColumnElement[bool]:
    """Whether the caller takes part in a row of `cases` in which those who do see each other."""
    # By name: two statements deep, it would otherwise be whether the caller takes part in any case at all.
    agreed = own_participation(actor).where(
        participants.c.case_id == cases.c.id, participants.c.standing == Standing.AGREED
    )
    return and_(cases.c.state.in_(SHARED), agreed.exists().correlate(cases))
