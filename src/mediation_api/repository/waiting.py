"""What waits for a caller: a party, a mediator, or the office. Each is one statement."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, Uuid, and_, func, literal, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import OPENED_IDS, logged_ids
from mediation_api.database.access_scope import (
    CALLER_SUBJECT,
    LEFT,
    ScopeKind,
    own_participation,
    peers_visible_to,
    scope_parameters,
)
from mediation_api.database.constants import constants
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect, nested
from mediation_api.database.statements import fetch_all
from mediation_api.domain.access import AccessScope, Role
from mediation_api.domain.agreements import SIGNED_IN
from mediation_api.domain.lifecycle import OPEN
from mediation_api.domain.policy import Policy
from mediation_api.domain.values import Alert, AssignmentState, ReportState, SeatRole, Standing
from mediation_api.repository.case_filters import CURRENT_ASSIGNMENT, computed_parameters, has_alert, under_review
from mediation_api.repository.case_queries import LIVE, next_session

MOST_CASES_OF_A_PARTY: Final = 50


class Waiting:
    """What waits for a caller."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def for_party(self, scope: AccessScope) -> Sequence[AnyRow]:
        """Return the open cases that a party has not left, newest first, with what it can do in each."""
        return await fetch_all(self._connection, _for_party(scope.actor.role), scope_parameters(scope))

    async def for_mediator(self, scope: AccessScope) -> AnyRow:
        """Return the proposals, sessions and notes of a mediator. Whatever is returned is logged first."""
        parameters = scope_parameters(scope)
        (found,) = await fetch_all(self._connection, _for_mediator(ScopeKind.of(scope)), parameters)
        shown = {UUID(each["case_id"]) for name in ("proposals", "sessions", "notes") for each in found[name]}
        if shown:
            await fetch_all(
                self._connection, logged_ids(ScopeKind.of(scope)), {**parameters, OPENED_IDS.key: sorted(shown)}
            )
        return found

    async def for_office(self, *, today: date, policy: Policy) -> AnyRow:
        """Return how many mandatory reports are proposed, and how many open cases there are of each kind."""
        parameters = computed_parameters(today, policy)
        (counts,) = await fetch_all(self._connection, _for_office(policy.target.zone), parameters)
        return counts


@cache
def _for_party(role: Role) -> AnySelect:
    own = own_participation(role).where(t.participants.c.case_id == t.cases.c.id).lateral("own")
    visible = peers_visible_to(own)
    a, s = t.agreements.c, t.signatures.c
    signed = (
        select(s.id)
        .where(s.agreement_id == a.id, s.signer_role == SeatRole.PARTY, s.signer_id == own.c.party_id)
        .correlate(t.agreements, own)
    )
    can_be_signed = or_(
        *(and_(a.kind == kind, t.cases.c.state.in_(constants(states))) for kind, states in SIGNED_IN.items())
    )
    to_sign = (
        select(a.id)
        .where(a.case_id == t.cases.c.id, a.superseded_at.is_(None), can_be_signed, visible, ~signed.exists())
        .order_by(a.made_at, a.id)
    )
    return (
        select(
            t.cases.c.id.label("case_id"),
            t.complaints.c.reference,
            own.c.party_id,
            (own.c.standing == Standing.ASKED).label("disclosure_to_answer"),
            func.array(to_sign.scalar_subquery(), type_=ARRAY(Uuid)).label("unsigned_agreement_ids"),
            next_session(visible),
        )
        .join(t.complaints, t.complaints.c.id == t.cases.c.complaint_id)
        .join(own, literal(True))  # noqa: FBT003 - ON TRUE
        .where(t.cases.c.state.in_(constants(OPEN)), own.c.standing.not_in(constants(LEFT)))
        .order_by(t.cases.c.requested_on.desc(), t.cases.c.id)
        .limit(MOST_CASES_OF_A_PARTY)
    )


@cache
def _for_mediator(kind: ScopeKind) -> AnySelect:
    m, a, c = t.mediators.c, t.assignments.c, t.cases.c

    def of(*states: AssignmentState) -> tuple[AnyColumn, ...]:
        return (
            a.case_id == c.id,
            a.state.in_(constants(states)),
            m.id == a.mediator_id,
            t.complaints.c.id == c.complaint_id,
            kind.where(t.assignments),
        )

    shared = {"assignment_id": a.id, "case_id": c.id, "reference": t.complaints.c.reference}
    starts_at = func.lower(t.sessions.c.during)
    return select(
        select(m.id).where(m.subject == CALLER_SUBJECT).scalar_subquery().label("mediator_id"),
        nested(
            {**shared, "answer_due_on": a.answer_due_on},
            *of(AssignmentState.PROPOSED),
            c.closed_at.is_(None),
            order_by=a.answer_due_on,
        ).label("proposals"),
        nested(
            {
                "session_id": t.sessions.c.id,
                "case_id": c.id,
                "reference": t.complaints.c.reference,
                "state": t.sessions.c.state,
                "starts_at": starts_at,
                "ends_at": func.upper(t.sessions.c.during),
            },
            t.sessions.c.case_id == c.id,
            t.sessions.c.mediator_id == m.id,
            t.sessions.c.state.in_(constants(LIVE)),
            *of(AssignmentState.ACCEPTED),
            order_by=starts_at,
        ).label("sessions"),
        nested(
            {**shared, "closed_at": c.closed_at},
            *of(AssignmentState.ACCEPTED, AssignmentState.RECUSED),
            c.closed_at.is_not(None),
            a.notes_destroyed_at.is_(None),
            order_by=c.closed_at,
        ).label("notes"),
    )


@cache
def _for_office(zone: ZoneInfo) -> AnySelect:
    kinds = {
        "state": t.cases.c.state,
        "under_review": under_review(),
        "screening_outdated": t.cases.c.screening_outdated,
        "assignment": CURRENT_ASSIGNMENT.with_only_columns(t.assignments.c.state).scalar_subquery(),
        **{alert.value: has_alert(alert, zone) for alert in Alert if alert is not Alert.SCREENING_OUTDATED},
    }
    each = (
        select(*(column.label(name) for name, column in kinds.items()))
        .where(t.cases.c.closed_at.is_(None))
        .subquery("each")
    )
    counted = select(*each.c, func.count().label("cases")).group_by(*each.c).subquery("counted")
    proposed = select(func.count()).where(t.mandatory_reports.c.state == ReportState.PROPOSED)
    return select(
        proposed.scalar_subquery().label("mandatory_reports"),
        nested(dict(counted.c), true(), order_by=counted.c.state).label("kinds"),
    )
