"""Who mediates: one proposal at a time, answered with a declaration of conflicts; nobody is told why one left."""

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from tests.domain.cases import (
    ASSIGNMENT,
    AT,
    CITY,
    COORDINATOR,
    MEDIATING,
    MEDIATOR,
    NEW,
    SESSION,
    STRANGER,
    assignment,
    case,
    in_session,
    ready,
    scheduled,
)

from mediation_api.domain import assignments, events
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.assignments import Mediator, RosterEntry
from mediation_api.domain.case import Case
from mediation_api.domain.case_children import Assignment
from mediation_api.domain.errors import (
    AlreadyAttested,
    CaseNotOpen,
    LimitReached,
    MediatorAssigned,
    MediatorConflicted,
    MediatorInactive,
    MediatorIsParty,
    NotFound,
    SecondPersonRequired,
    StateConflict,
    SubjectFixed,
)
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import CLOSED, State, Trigger
from mediation_api.domain.on_file import NEW_MEDIATOR
from mediation_api.domain.values import MOST_ASSIGNMENTS, AssignmentState, CancelReason, ConflictKind


def propose(of: Case, mediator_id: UUID = MEDIATOR, *, by: Actor = COORDINATOR, active: bool = True) -> Events:
    return proposed(of, Mediator(mediator_id=mediator_id, subject=MEDIATING.subject, active=active), by)


def proposed(of: Case, mediator: Mediator, by: Actor = COORDINATOR) -> Events:
    return assignments.propose_mediator(of, mediator, assignment_id=NEW, by=by, at=AT, policy=CITY)


def recuse(of: Case, by: Actor = MEDIATING) -> Events:
    return assignments.recuse(of, ASSIGNMENT, by=by)


A_MEDIATOR = Mediator(mediator_id=MEDIATOR, subject=MEDIATING.subject, active=True)


def with_assignment(state: AssignmentState, of: State = State.READY) -> Case:
    return replace(case(of), assignments=(assignment(state),))


def test_a_case_is_proposed_only_so_often() -> None:
    declined = assignment(AssignmentState.DECLINED)
    assert propose(replace(case(State.READY), assignments=(declined,) * (MOST_ASSIGNMENTS - 1)))
    with pytest.raises(LimitReached):
        propose(replace(case(State.READY), assignments=(declined,) * MOST_ASSIGNMENTS))


PROPOSED = events.MediatorProposed(assignment_id=NEW, mediator_id=MEDIATOR, answer_due_on=date(2026, 3, 9))
"""Five working days after a Monday: the next one."""


@pytest.mark.parametrize("state", [State.CONFIRMING, State.ASKING, State.READY, State.CONCLUDED])
def test_a_mediator_has_five_working_days_to_answer(state: State) -> None:
    assert propose(case(state)) == (PROPOSED,)


def test_who_had_not_answered_is_released() -> None:
    assert propose(with_assignment(AssignmentState.PROPOSED)) == (
        events.AssignmentReleased(assignment_id=ASSIGNMENT),
        PROPOSED,
    )


@pytest.mark.parametrize("state", [AssignmentState.DECLINED, AssignmentState.RELEASED])
def test_who_declined_may_be_asked_again(state: AssignmentState) -> None:
    assert propose(with_assignment(state)) == (PROPOSED,)


@pytest.mark.parametrize("state", [AssignmentState.CONFLICTED, AssignmentState.RECUSED])
def test_who_had_a_conflict_or_left_is_not_asked_again(state: AssignmentState) -> None:
    with pytest.raises(MediatorConflicted):
        propose(with_assignment(state))


@pytest.mark.parametrize("state", [AssignmentState.CONFLICTED, AssignmentState.RECUSED])
def test_the_conflict_of_one_mediator_is_not_that_of_another(state: AssignmentState) -> None:
    assert propose(with_assignment(state), STRANGER) == (replace(PROPOSED, mediator_id=STRANGER),)


def test_a_case_has_one_mediator() -> None:
    with pytest.raises(MediatorAssigned):
        propose(ready(), STRANGER)


def test_an_officer_of_the_complaint_is_not_asked() -> None:
    with pytest.raises(MediatorIsParty):
        proposed(case(State.READY), replace(A_MEDIATOR, is_party=True))


def test_a_conflict_that_was_declared_in_an_earlier_case_of_the_complaint_stands() -> None:
    with pytest.raises(MediatorConflicted):
        proposed(case(State.READY), replace(A_MEDIATOR, declared_conflict=True))


def test_somebody_of_whom_nothing_else_is_known_has_no_part_in_the_complaint_and_no_conflict() -> None:
    assert (A_MEDIATOR.is_party, A_MEDIATOR.declared_conflict) == (False, False)
    assert Assignment(assignment_id=NEW, mediator_id=MEDIATOR, state=AssignmentState.PROPOSED).subject == ""


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.DIRECTOR])
def test_staff_neither_propose_nor_recuse_themselves(role: Role) -> None:
    themselves = Actor(role, MEDIATING.subject)
    with pytest.raises(SecondPersonRequired):
        propose(case(State.READY), by=themselves)
    with pytest.raises(SecondPersonRequired):
        recuse(ready(), themselves)
    assert recuse(ready(), Actor(role, "somebody.else")) == (RECUSED,)


def test_who_is_not_active_is_not_asked() -> None:
    with pytest.raises(MediatorInactive):
        propose(case(State.READY), active=False)


@pytest.mark.parametrize("state", [State.SCREENING, State.IN_SESSION])
def test_nobody_is_proposed_before_screening_or_during_a_session(state: State) -> None:
    with pytest.raises(StateConflict):
        propose(case(state))


def test_who_declares_no_conflict_is_the_mediator() -> None:
    answered = assignments.accept(with_assignment(AssignmentState.PROPOSED), ASSIGNMENT, frozenset())
    assert answered == (events.AssignmentAccepted(assignment_id=ASSIGNMENT),)


@pytest.mark.parametrize("conflict", list(ConflictKind))
def test_any_conflict_ends_the_assignment(conflict: ConflictKind) -> None:
    answered = assignments.accept(with_assignment(AssignmentState.PROPOSED), ASSIGNMENT, frozenset({conflict}))
    assert answered == (events.ConflictDeclared(assignment_id=ASSIGNMENT, conflicts=(conflict,)),)


def test_several_conflicts_are_kept_in_one_order() -> None:
    answered = assignments.accept(with_assignment(AssignmentState.PROPOSED), ASSIGNMENT, frozenset(ConflictKind))
    assert answered == (events.ConflictDeclared(assignment_id=ASSIGNMENT, conflicts=tuple(sorted(ConflictKind))),)


def test_a_mediator_declines_without_a_reason() -> None:
    answered = assignments.decline(with_assignment(AssignmentState.PROPOSED), ASSIGNMENT)
    assert answered == (events.AssignmentDeclined(assignment_id=ASSIGNMENT),)


@pytest.mark.parametrize("state", sorted(set(AssignmentState) - {AssignmentState.PROPOSED}))
def test_a_proposal_is_answered_once(state: AssignmentState) -> None:
    with pytest.raises(StateConflict):
        assignments.accept(with_assignment(state), ASSIGNMENT, frozenset())
    with pytest.raises(StateConflict):
        assignments.decline(with_assignment(state), ASSIGNMENT)


RECUSED = events.MediatorRecused(assignment_id=ASSIGNMENT)


def test_a_mediator_leaves_a_case_that_has_no_session() -> None:
    assert recuse(ready()) == (RECUSED,)


def test_a_mediator_who_leaves_cancels_the_session_ahead() -> None:
    assert recuse(scheduled()) == (
        RECUSED,
        events.SessionCancelled(session_id=SESSION, reason=CancelReason.MEDIATOR_WITHDREW),
        events.StateChanged(trigger=Trigger.SESSION_CALLED_OFF, from_state=State.SCHEDULED, to_state=State.READY),
    )


def test_a_mediator_who_leaves_during_a_session_adjourns_it() -> None:
    assert recuse(in_session()) == (
        RECUSED,
        events.SessionAdjourned(session_id=SESSION),
        events.StateChanged(trigger=Trigger.SESSION_ADJOURNED, from_state=State.IN_SESSION, to_state=State.READY),
    )


def test_nobody_leaves_once_the_sessions_are_over() -> None:
    with pytest.raises(StateConflict):
        recuse(replace(ready(), state=State.CONCLUDED))


@pytest.mark.parametrize("state", sorted(set(AssignmentState) - {AssignmentState.ACCEPTED}))
def test_only_the_mediator_of_the_case_leaves_it(state: AssignmentState) -> None:
    with pytest.raises(StateConflict):
        recuse(with_assignment(state))


def test_an_assignment_of_another_case_is_not_there() -> None:
    with pytest.raises(NotFound):
        assignments.accept(case(State.READY), ASSIGNMENT, frozenset())
    with pytest.raises(NotFound):
        assignments.decline(case(State.READY), ASSIGNMENT)
    with pytest.raises(NotFound):
        recuse(case(State.READY))


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_nothing_is_decided_in_a_closed_case(state: State) -> None:
    over = with_assignment(AssignmentState.PROPOSED, state)
    with pytest.raises(CaseNotOpen):
        propose(over)
    with pytest.raises(CaseNotOpen):
        assignments.accept(over, ASSIGNMENT, frozenset())
    with pytest.raises(CaseNotOpen):
        assignments.decline(over, ASSIGNMENT)
    with pytest.raises(CaseNotOpen):
        recuse(over)


def test_of_several_assignments_the_one_that_is_named_is_answered() -> None:
    earlier = replace(assignment(AssignmentState.DECLINED), assignment_id=NEW)
    here = replace(case(State.READY), assignments=(earlier, assignment(AssignmentState.PROPOSED)))
    assert assignments.decline(here, ASSIGNMENT) == (events.AssignmentDeclined(assignment_id=ASSIGNMENT),)
    with pytest.raises(StateConflict):
        assignments.decline(here, NEW)


@pytest.mark.parametrize("state", [State.MEDIATED, State.WITHDRAWN, State.LAPSED])
@pytest.mark.parametrize("stands", [AssignmentState.ACCEPTED, AssignmentState.RECUSED])
def test_after_the_close_a_mediator_or_a_former_one_attests_that_no_notes_are_left(
    state: State, stands: AssignmentState
) -> None:
    over = replace(case(state), assignments=(assignment(stands),))
    assert assignments.attest_notes_destroyed(over, ASSIGNMENT) == (events.NotesDestroyed(assignment_id=ASSIGNMENT),)


@pytest.mark.parametrize("state", [state for state in State if state.is_open])
def test_while_the_case_is_open_notes_are_still_needed(state: State) -> None:
    with pytest.raises(StateConflict):
        assignments.attest_notes_destroyed(replace(case(state), assignments=(assignment(),)), ASSIGNMENT)


@pytest.mark.parametrize("stands", sorted(set(AssignmentState) - {AssignmentState.ACCEPTED, AssignmentState.RECUSED}))
def test_who_never_took_the_case_on_has_no_notes(stands: AssignmentState) -> None:
    with pytest.raises(StateConflict):
        assignments.attest_notes_destroyed(replace(case(State.MEDIATED), assignments=(assignment(stands),)), ASSIGNMENT)


def test_nobody_has_attested_before_they_did() -> None:
    assert assignment().notes_destroyed is False


def test_notes_are_destroyed_once_and_by_a_mediator_of_the_case() -> None:
    attested = replace(assignment(), notes_destroyed=True)
    with pytest.raises(AlreadyAttested):
        assignments.attest_notes_destroyed(replace(case(State.MEDIATED), assignments=(attested,)), ASSIGNMENT)
    with pytest.raises(NotFound):
        assignments.attest_notes_destroyed(replace(case(State.MEDIATED), assignments=(assignment(),)), NEW)


def entry(*, proposed: bool) -> RosterEntry:
    return RosterEntry(mediator_id=MEDIATOR, proposed=proposed, on_file=replace(NEW_MEDIATOR, subject="m.okafor"))


def test_who_a_mediator_is_cannot_be_corrected_once_a_case_was_proposed() -> None:
    with pytest.raises(SubjectFixed):
        entry(proposed=True).correct({"subject": "m.evenhand"}, by=COORDINATOR)


def test_a_subject_that_was_mistyped_is_corrected_while_nothing_was_proposed() -> None:
    changes = {"subject": "m.evenhand", "name": "Nia Evenhand"}
    corrected = events.MediatorCorrected(
        mediator_id=MEDIATOR,
        changed=("name", "subject"),
        on_file=replace(NEW_MEDIATOR, subject="m.evenhand", filled=("name",)),
        values=changes,
    )
    assert entry(proposed=False).correct(changes, by=COORDINATOR) == (corrected,)
    assert entry(proposed=False).correct({}, by=COORDINATOR) == ()


def test_of_a_mediator_to_whom_a_case_was_proposed_all_else_is_corrected() -> None:
    (corrected,) = entry(proposed=True).correct({"active": False, "subject": "m.okafor"}, by=COORDINATOR)
    assert corrected.on_file == replace(NEW_MEDIATOR, subject="m.okafor", active=False)
    (alone,) = entry(proposed=True).correct({"active": False}, by=COORDINATOR)
    assert alone.on_file == corrected.on_file


def test_staff_neither_add_nor_correct_themselves_as_a_mediator() -> None:
    herself = replace(COORDINATOR, subject="m.okafor")
    with pytest.raises(SecondPersonRequired):
        entry(proposed=False).correct({"active": False}, by=herself)
    with pytest.raises(SecondPersonRequired):
        assignments.add_to_roster(MEDIATOR, {"subject": "m.okafor"}, by=herself)


def test_a_mediator_is_added_with_what_is_on_file() -> None:
    values = {"subject": "m.okafor", "name": "Amara Okafor", "languages": ["en"], "active": True}
    assert assignments.add_to_roster(MEDIATOR, values, by=COORDINATOR) == events.MediatorAdded(
        mediator_id=MEDIATOR,
        on_file=replace(NEW_MEDIATOR, subject="m.okafor", languages=("en",), filled=("name",)),
        values=values,
    )
