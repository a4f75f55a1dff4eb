"""Finding whom to remind: domain/reminders.py decides from when on. Who was reminded before is not known here."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, Uuid, and_, func, null, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_scope import is_part_of
from mediation_api.database.constants import Constant, constants
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.domain import reminders
from mediation_api.domain.events import PartyAsked
from mediation_api.domain.lifecycle import OPEN
from mediation_api.domain.policy import Policy
from mediation_api.domain.reminders import Reminder, ReminderKind
from mediation_api.domain.values import (
    AgreementKind,
    AssignmentState,
    Disposition,
    SeatRole,
    SessionState,
    Standing,
    in_utc,
)


async def due_reminders(connection: AsyncConnection, *, at: datetime, policy: Policy) -> Sequence[Reminder]:
    """Return every reminder that is due, also those that were returned before; of open cases alone.

    Args:
        connection: that of the worker, which sees every row.
        at: the time.
        policy: the city's.
    """
    unanswered = (await connection.execute(_unanswered())).all()
    silent = (await connection.execute(_silent())).all()
    unsigned = [
        row
        for statement in (_unsigned_by_party(), _unsigned_by_mediator())
        for row in (await connection.execute(statement)).all()
    ]
    found = (
        *(
            Reminder(
                kind=ReminderKind.ANSWER,
                case_id=row.case_id,
                party_id=row.party_id,
                mediator_id=None,
                about=in_utc(row.asked_at),
                due_on=reminders.answer_due_on(row.asked_at, policy),
            )
            for row in unanswered
        ),
        *(
            Reminder(
                kind=ReminderKind.PROPOSAL,
                case_id=row.case_id,
                party_id=None,
                mediator_id=row.mediator_id,
                about=str(row.id),
                due_on=reminders.proposal_due_on(row.answer_due_on),
            )
            for row in silent
        ),
        *(
            Reminder(
                kind=ReminderKind.SIGNATURE,
                case_id=row.case_id,
                party_id=row.party_id,
                mediator_id=row.mediator_id,
                about=str(row.id),
                due_on=reminders.signature_due_on(AgreementKind(row.kind), row.made_at, row.starts_at, policy),
            )
            for row in unsigned
        ),
    )
    return [each for each in found if each.is_due(at, policy)]


def _is_open() -> ColumnElement[bool]:
    return t.cases.c.state.in_(constants(OPEN))


@cache
def _unanswered() -> AnySelect:
    """Select the parties that were asked and have not answered, and when each was asked last."""
    p, e = t.participants.c, t.events.c
    of_party = and_(e.case_id == p.case_id, e.party_id == p.party_id, e.kind == Constant(PartyAsked.kind))
    asked = select(func.max(e.at)).where(of_party).scalar_subquery()
    parties = select(p.case_id, p.party_id, asked.label("asked_at")).join(t.cases, t.cases.c.id == p.case_id)
    return parties.where(_is_open(), p.standing == Constant(Standing.ASKED))


@cache
def _silent() -> AnySelect:
    """Select the proposals that no mediator has answered."""
    a = t.assignments.c
    proposals = select(a.id, a.case_id, a.mediator_id, a.answer_due_on).join(t.cases, t.cases.c.id == a.case_id)
    return proposals.where(_is_open(), a.state == Constant(AssignmentState.PROPOSED))


@cache
def _current_texts() -> AnySelect:
    """Select the texts that are to be signed, each with the start of the next session of its case."""
    a, s = t.agreements.c, t.sessions.c
    scheduled = and_(s.case_id == a.case_id, s.state == Constant(SessionState.SCHEDULED))
    starts_at = select(func.min(func.lower(s.during))).where(scheduled).scalar_subquery().label("starts_at")
    texts = select(a.id, a.case_id, a.kind, a.made_at, starts_at).join(t.cases, t.cases.c.id == a.case_id)
    return texts.where(_is_open(), a.superseded_at.is_(None), a.purged_at.is_(None))


@cache
def _unsigned_by_party() -> AnySelect:
    """Select those texts for each party that has not signed, or whose guardian has not."""
    p = t.participants.c
    guardian = and_(t.parties.c.minor, ~_has_signed(SeatRole.GUARDIAN, p.party_id))
    is_missing = or_(~_has_signed(SeatRole.PARTY, p.party_id), guardian)
    texts = _current_texts().add_columns(p.party_id, type_coerce(null(), Uuid).label("mediator_id"))
    of_parties = texts.join(t.participants, p.case_id == t.agreements.c.case_id)
    of_people = of_parties.join(t.parties, t.parties.c.id == p.party_id)
    return of_people.where(p.standing == Constant(Standing.AGREED), _has_part(), is_missing)


@cache
def _unsigned_by_mediator() -> AnySelect:
    """Select those texts that the mediator has to sign, and has not."""
    a, m = t.agreements.c, t.assignments.c
    texts = _current_texts().add_columns(type_coerce(null(), Uuid).label("party_id"), m.mediator_id)
    return texts.join(t.assignments, m.case_id == a.case_id).where(
        a.kind == Constant(AgreementKind.CONFIDENTIALITY),
        m.state == Constant(AssignmentState.ACCEPTED),
        ~_has_signed(SeatRole.MEDIATOR, m.mediator_id),
    )


def _has_part() -> ColumnElement[bool]:
    """Whether a participant has a part that was not returned to investigation."""
    parts = select(t.parts.c.case_id).where(
        is_part_of(t.participants), t.parts.c.disposition != Constant(Disposition.RETURNED_TO_INVESTIGATION)
    )
    return parts.exists()


def _has_signed(role: SeatRole, signer_id: AnyColumn) -> ColumnElement[bool]:
    """Whether the person in a seat has signed, in a row of `agreements`."""
    s = t.signatures.c
    own = and_(s.agreement_id == t.agreements.c.id, s.signer_role == Constant(role), s.signer_id == signer_id)
    return select(s.agreement_id).where(own).exists()
