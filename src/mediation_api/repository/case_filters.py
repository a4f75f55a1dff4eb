"""The filters of cases. The list of complaints uses them for the latest case of each complaint.

All that are given hold for the same case. What is computed of a case and not stored (its pace, whom it waits for, its
alerts) is computed here in SQL as the domain does it; `tests/routers/test_filters.py` compares the two.
"""

from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import product
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    Integer,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
)

from mediation_api.database import tables as t
from mediation_api.database.access_scope import LIVE_ASSIGNMENTS
from mediation_api.database.constants import Constant, constants
from mediation_api.database.nesting import AnyColumn
from mediation_api.database.pagination import Conditions, FilterConditions, conditions_for
from mediation_api.domain import board
from mediation_api.domain.board import Wait
from mediation_api.domain.lifecycle import State
from mediation_api.domain.policy import Policy
from mediation_api.domain.target import Pace
from mediation_api.domain.values import AgreementKind, Alert, AssignmentState, ContactResult, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """The filters of cases. None means no filter. The dates of the close are local, and the second is exclusive."""

    open: bool | None = None
    state: State | None = None
    pace: Pace | None = None
    waits_for: Wait | None = None
    alert: Alert | None = None
    may_lapse: bool | None = None
    coordinator: str | None = None
    mediator_id: UUID | None = None
    due_on_before: date | None = None
    closed_on_from: date | None = None
    closed_on_before: date | None = None


# Not "(… IS NULL) = true", for which PostgreSQL uses no index.
_IS_OPEN: Final = t.cases.c.closed_at.is_(None)
_IS_CLOSED: Final = t.cases.c.closed_at.is_not(None)
_IS_MEDIATED: Final = t.cases.c.state == State.MEDIATED

CURRENT_ASSIGNMENT: Final = select(t.assignments.c.id).where(
    t.assignments.c.case_id == t.cases.c.id, t.assignments.c.state.in_(constants(LIVE_ASSIGNMENTS))
)
"""The assignment that is proposed or accepted. A case has at most one."""

_STORED: Final[FilterConditions] = {
    "state": t.cases.c.state == bindparam("filter_state", type_=String),
    "coordinator": t.cases.c.coordinator == bindparam("filter_coordinator", type_=String),
    "mediator_id": CURRENT_ASSIGNMENT.where(
        t.assignments.c.mediator_id == bindparam("filter_mediator_id", type_=Uuid)
    ).exists(),
    "due_on_before": t.cases.c.due_on < bindparam("filter_due_on_before", type_=Date),
    "closed_on_from": t.cases.c.closed_at >= bindparam("filter_closed_on_from", type_=DateTime(timezone=True)),
    "closed_on_before": t.cases.c.closed_at < bindparam("filter_closed_on_before", type_=DateTime(timezone=True)),
}

OPENED_BEFORE: Final = bindparam("opened_before", type_=DateTime(timezone=True))
_OPENED_IN_TIME: Final = t.cases.c.opened_at < OPENED_BEFORE


def conditions_of_cases(filters: CaseFilter, today: date, policy: Policy) -> tuple[Conditions, dict[str, object]]:
    """Return the conditions on `cases` of the filters that have a value, and their parameters."""
    zone = policy.target.zone
    given: dict[str, object] = {field.name: getattr(filters, field.name) for field in fields(filters)}
    for name in ("closed_on_from", "closed_on_before"):
        day: date | None = getattr(filters, name)
        given[name] = None if day is None else datetime.combine(day, time.min, zone)
    conditions, parameters = conditions_for(_STORED, given)
    ends = [day for day in (filters.due_on_before, filters.closed_on_before) if day is not None]
    if ends:
        # A case is opened before it is due or closed: from the newest on, the planner would walk through all later
        # ones. One day more, since it is another clock, and perhaps another time zone.
        conditions += (_OPENED_IN_TIME,)
        parameters["opened_before"] = datetime.combine(min(ends) + timedelta(days=1), time.min, zone)
    if filters.open is not None:
        conditions += (_IS_OPEN if filters.open else _IS_CLOSED,)
    if filters.pace is not None:
        conditions += (has_pace(filters.pace, zone),)
    if filters.waits_for is not None:
        conditions += (waits_for(filters.waits_for),)
    if filters.alert is not None:
        conditions += (has_alert(filters.alert, zone),)
    if filters.may_lapse is not None:
        may_lapse = _may_lapse(zone)
        conditions += (may_lapse if filters.may_lapse else ~may_lapse,)
    return conditions, parameters | computed_parameters(today, policy)


_TODAY: Final = bindparam("today", type_=Date)
_AT_RISK_UNTIL: Final = bindparam("at_risk_until", type_=Date)
_ESCALATED_BEFORE: Final = bindparam("escalated_before", type_=Date)
_ATTEMPTS: Final = bindparam("attempts_needed", type_=Integer)
_CHANNELS: Final = bindparam("channels_needed", type_=Integer)
_DAYS: Final = bindparam("days_needed", type_=Integer)
_ABSENCES: Final = {side: bindparam(f"absences_of_{side}", type_=Integer) for side in Side}


def computed_parameters(today: date, policy: Policy) -> dict[str, object]:
    """Return the parameters of `has_pace`, `has_alert` and `_may_lapse`."""
    return {
        "attempts_needed": policy.contact.attempts,
        "channels_needed": policy.contact.channels,
        "days_needed": policy.contact.days,
        "today": today,
        "at_risk_until": today + timedelta(days=policy.target.at_risk_days),
        "escalated_before": today - timedelta(days=policy.target.escalate_after_days),
        **{parameter.key: policy.absences_before_lapse(side) for side, parameter in _ABSENCES.items()},
    }


@cache
def has_pace(pace: Pace, zone: ZoneInfo) -> ColumnElement[bool]:
    """Return the condition that a case is at a pace, as `domain.target.pace` computes it."""
    due_on = t.cases.c.due_on
    closed_on = cast(func.timezone(zone.key, t.cases.c.closed_at), Date)
    match pace:
        case Pace.ON_TRACK:
            return and_(_IS_OPEN, due_on > _AT_RISK_UNTIL)
        case Pace.AT_RISK:
            return and_(_IS_OPEN, due_on.between(_TODAY, _AT_RISK_UNTIL))
        case Pace.OVERDUE:
            return and_(_IS_OPEN, due_on < _TODAY)
        case Pace.MET:
            return and_(_IS_MEDIATED, closed_on <= due_on)
        case Pace.MISSED:
            return and_(t.cases.c.maybe_missed, closed_on > due_on)


def under_review() -> AnyColumn:
    """Return whether the latest screening of a case was left to a director."""
    last_screening = (
        select(t.screenings.c.eligible.is_(None))
        .where(t.screenings.c.case_id == t.cases.c.id)
        .order_by(t.screenings.c.version.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(last_screening, false())


_NO_ASSIGNMENT: Final = ""


@cache
def waits_for(wait: Wait) -> ColumnElement[bool]:
    """Return the condition that a case waits for this: what `domain.board.waits_for` needs is among what gives it."""
    giving = [
        (state, is_outdated, is_reviewed, assignment or _NO_ASSIGNMENT)
        for state, is_outdated, is_reviewed, assignment in product(
            State, (False, True), (False, True), (None, *LIVE_ASSIGNMENTS)
        )
        if board.waits_for(state, under_review=is_reviewed, assignment=assignment, screening_outdated=is_outdated)
        is wait
    ]
    assignment = CURRENT_ASSIGNMENT.with_only_columns(t.assignments.c.state).scalar_subquery()
    needed = tuple_(
        t.cases.c.state,
        t.cases.c.screening_outdated,
        under_review(),
        func.coalesce(assignment, _NO_ASSIGNMENT),
    )
    listed = [
        tuple_(
            Constant(state),
            true() if is_outdated else false(),
            true() if is_reviewed else false(),
            Constant(current),
        )
        for state, is_outdated, is_reviewed, current in giving
    ]
    # The states by themselves, which have an index, and are cheap to check before the rest. All of them are open.
    states = constants({state for state, *_ in giving})
    return and_(_IS_OPEN, t.cases.c.state.in_(states), needed.in_(listed))


@cache
def has_alert(alert: Alert, zone: ZoneInfo) -> ColumnElement[bool]:
    """Return the condition that a case has an alert, as `domain.board.alerts` and `domain.target` raise it."""
    match alert:
        case Alert.TARGET_AT_RISK:
            return has_pace(Pace.AT_RISK, zone)
        case Alert.TARGET_MISSED:
            return has_pace(Pace.OVERDUE, zone)
        case Alert.TARGET_ESCALATED:
            return and_(_IS_OPEN, t.cases.c.requested_on < _ESCALATED_BEFORE)
        case Alert.MEDIATOR_SILENT:
            unanswered = (t.assignments.c.state == AssignmentState.PROPOSED, t.assignments.c.answer_due_on < _TODAY)
            return and_(_IS_OPEN, CURRENT_ASSIGNMENT.where(*unanswered).exists())
        case Alert.REPEATED_ABSENCE:
            return and_(_IS_OPEN, _absent_too_often())
        case Alert.SCREENING_OUTDATED:
            return and_(_IS_OPEN, t.cases.c.screening_outdated)


def unexcused_absences() -> AnyColumn:
    """Return the number of unexcused absences of a participant, in a row of `participants`."""
    return (
        select(func.count())
        .where(
            t.absences.c.case_id == t.participants.c.case_id,
            t.absences.c.party_id == t.participants.c.party_id,
            ~t.absences.c.excused,
        )
        .scalar_subquery()
    )


def _absent_too_often() -> ColumnElement[bool]:
    return (
        select(t.participants.c.party_id)
        .where(t.participants.c.case_id == t.cases.c.id, unexcused_absences() >= _absences_enough())
        .exists()
    )


def _absences_enough() -> AnyColumn:
    """Return how many absences are too many for a participant."""
    return case(*((t.participants.c.side == side, parameter) for side, parameter in _ABSENCES.items()))


@cache
def _may_lapse(zone: ZoneInfo) -> ColumnElement[bool]:
    """Return the condition that `domain.contact.lapse` lets a party of an open case lapse, for either reason."""
    p, a, s = t.participants.c, t.agreements.c, t.signatures.c
    active = select(p.party_id).where(p.case_id == t.cases.c.id, p.left_at.is_(None))
    absent = active.where(unexcused_absences() >= _absences_enough()).exists()
    resolution = select(a.id).join(t.signatures, s.agreement_id == a.id)
    signed = resolution.where(
        a.case_id == t.cases.c.id, a.kind == Constant(AgreementKind.RESOLUTION), a.superseded_at.is_(None)
    ).exists()
    unreachable = active.where(_attempts_suffice(zone)).exists()
    in_session = t.cases.c.state == Constant(State.IN_SESSION)
    return and_(_IS_OPEN, or_(absent, and_(~in_session, ~signed, unreachable)))


def _attempts_suffice(zone: ZoneInfo) -> ColumnElement[bool]:
    """Whether enough was tried since a participant was last reached, as `domain.contact.missing_attempts` counts."""
    tried, reached = t.contact_attempts.alias("tried").c, t.contact_attempts.alias("reached").c
    of_party = and_(tried.case_id == t.participants.c.case_id, tried.party_id == t.participants.c.party_id)
    later = select(reached.id).where(
        reached.case_id == tried.case_id,
        reached.party_id == tried.party_id,
        reached.result == Constant(ContactResult.REACHED),
        reached.attempted_at >= tried.attempted_at,
    )
    day = cast(func.timezone(zone.key, tried.attempted_at), Date)
    return (
        select(func.count())
        .where(of_party, ~later.exists())
        .having(
            and_(
                func.count() >= _ATTEMPTS,
                func.count(tried.channel.distinct()) >= _CHANNELS,
                func.max(day) - func.min(day) >= _DAYS,
            )
        )
        .correlate(t.participants)
        .exists()
    )
