"""Mediators and their assignments: a proposal to one mediator, answered with a declaration of conflicts.

A declared conflict ends the assignment, even if the parties would not mind (Model Standards of Conduct for Mediators,
III). Parties never learn why a mediator did not take, or left, a case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mediation_api.domain import events, on_file, target
from mediation_api.domain.access import Actor
from mediation_api.domain.authority import require_other_than
from mediation_api.domain.case import Case
from mediation_api.domain.case_children import Assignment
from mediation_api.domain.errors import (
    AlreadyAttested,
    LimitReached,
    MediatorAssigned,
    MediatorConflicted,
    MediatorInactive,
    MediatorIsParty,
    NotFound,
    StateConflict,
    SubjectFixed,
)
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import State, Trigger
from mediation_api.domain.policy import Policy
from mediation_api.domain.values import MOST_ASSIGNMENTS, AssignmentState, CancelReason, ConflictKind, SessionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Mediator:
    """A mediator of the roster, with what proposing a case depends on."""

    mediator_id: UUID
    subject: str
    active: bool
    is_party: bool = False
    """Whether this person is an officer of the complaint, by employee number or by the subject that answered as one."""
    declared_conflict: bool = False
    """Whether this mediator declared a conflict in any case of the complaint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterEntry:
    """An entry of the roster that is to be corrected. `proposed` is whether any case was proposed to this mediator."""

    mediator_id: UUID
    proposed: bool
    on_file: events.MediatorOnFile

    def correct(self, changes: Mapping[str, object], *, by: Actor) -> tuple[events.MediatorCorrected, ...]:
        """Correct the entry. Once a case was proposed to a mediator, the entry cannot become another person's.

        Without changes, nothing happens.

        Raises:
            SecondPersonRequired: the entry is the caller's own.
            SubjectFixed: a case was proposed, and the token subject would change.
        """
        if not changes:
            return ()
        subject = self.on_file.subject
        require_other_than(subject, by=by)
        if self.proposed and changes.get("subject", subject) != subject:
            raise SubjectFixed
        corrected = events.MediatorCorrected(
            mediator_id=self.mediator_id,
            changed=tuple(sorted(changes)),
            on_file=on_file.corrected(self.on_file, changes),
            values=changes,
        )
        return (corrected,)


def add_to_roster(mediator_id: UUID, values: Mapping[str, object], *, by: Actor) -> events.MediatorAdded:
    """Put somebody on the roster. Raises SecondPersonRequired: it is the caller."""
    record = on_file.entered(on_file.NEW_MEDIATOR, values)
    require_other_than(record.subject, by=by)
    return events.MediatorAdded(mediator_id=mediator_id, on_file=record, values=values)


def propose_mediator(
    case: Case, mediator: Mediator, *, assignment_id: UUID, by: Actor, at: datetime, policy: Policy
) -> Events:
    """Propose the case to a mediator, who answers within the working days that the policy sets.

    A mediator who has not answered an earlier proposal is released from it.

    Raises:
        SecondPersonRequired: staff propose themselves.
        MediatorInactive: not active on the roster.
        MediatorIsParty: an officer of the complaint.
        MediatorConflicted: declared a conflict in a case of this complaint, or withdrew from this one.
        MediatorAssigned: the case has a mediator.
        LimitReached: the case was proposed as often as it may be.
    """
    case.require_open()
    if len(case.assignments) >= MOST_ASSIGNMENTS:
        raise LimitReached
    if case.state in {State.SCREENING, State.IN_SESSION}:
        raise StateConflict
    if case.mediator is not None:
        raise MediatorAssigned
    require_other_than(mediator.subject, by=by)
    if not mediator.active:
        raise MediatorInactive
    if mediator.is_party:
        raise MediatorIsParty
    if mediator.declared_conflict or any(
        a.mediator_id == mediator.mediator_id and a.state in {AssignmentState.CONFLICTED, AssignmentState.RECUSED}
        for a in case.assignments
    ):
        raise MediatorConflicted
    released = (
        events.AssignmentReleased(assignment_id=a.assignment_id)
        for a in case.assignments
        if a.state is AssignmentState.PROPOSED
    )
    proposed = events.MediatorProposed(
        assignment_id=assignment_id,
        mediator_id=mediator.mediator_id,
        answer_due_on=target.add_working_days(
            target.local_date(at, policy.target), policy.mediator_answer_working_days, policy.target.holidays
        ),
    )
    return (*released, proposed)


def accept(case: Case, assignment_id: UUID, conflicts: frozenset[ConflictKind]) -> Events:
    """Answer a proposal with a declaration of conflicts. Without any the proposal is accepted, otherwise it ends.

    Raises:
        StateConflict: the proposal was answered or released before.
    """
    _require_proposed(case, assignment_id)
    if conflicts:
        return (events.ConflictDeclared(assignment_id=assignment_id, conflicts=tuple(sorted(conflicts))),)
    return (events.AssignmentAccepted(assignment_id=assignment_id),)


def decline(case: Case, assignment_id: UUID) -> Events:
    """Decline a proposal; no reason is asked for. Raises StateConflict: it was answered or released before."""
    _require_proposed(case, assignment_id)
    return (events.AssignmentDeclined(assignment_id=assignment_id),)


def recuse(case: Case, assignment_id: UUID, *, by: Actor) -> Events:
    """Leave a case after accepting it. A session ahead is cancelled, one under way is adjourned.

    Raises:
        SecondPersonRequired: staff release themselves; they must leave with their mediator's token.
        StateConflict: the mediator has not accepted, or the case is concluded.
    """
    case.require_open()
    assignment = _assignment(case, assignment_id)
    require_other_than(assignment.subject, by=by)
    if assignment.state is not AssignmentState.ACCEPTED or case.state is State.CONCLUDED:
        raise StateConflict
    recused = events.MediatorRecused(assignment_id=assignment_id)
    live = case.live_session
    if live is None:
        return (recused,)
    if live.state is SessionState.IN_PROGRESS:
        adjourned = events.SessionAdjourned(session_id=live.session_id)
        return (recused, adjourned, case.transition(case.after_session(Trigger.SESSION_ADJOURNED)))
    return (
        recused,
        *case.called_off(CancelReason.MEDIATOR_WITHDREW),
        case.transition(case.after_session(Trigger.SESSION_CALLED_OFF)),
    )


def attest_notes_destroyed(case: Case, assignment_id: UUID) -> Events:
    """Record that the mediator, or a former one, has destroyed all notes. Source: docs/field.md, "What is kept".

    Raises:
        StateConflict: the case is open, or this mediator never accepted it.
        AlreadyAttested: it is on record already.
    """
    assignment = _assignment(case, assignment_id)
    if case.state.is_open or assignment.state not in {AssignmentState.ACCEPTED, AssignmentState.RECUSED}:
        raise StateConflict
    if assignment.notes_destroyed:
        raise AlreadyAttested
    return (events.NotesDestroyed(assignment_id=assignment_id),)


def _require_proposed(case: Case, assignment_id: UUID) -> None:
    case.require_open()
    if _assignment(case, assignment_id).state is not AssignmentState.PROPOSED:
        raise StateConflict


def _assignment(case: Case, assignment_id: UUID) -> Assignment:
    for each in case.assignments:
        if each.assignment_id == assignment_id:
            return each
    raise NotFound
