"""The coordinator's board: whose turn each case is, its alerts, and the state that parties see. Never stored."""

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum

from mediation_api.domain.lifecycle import ANSWERS_SEALED, State
from mediation_api.domain.policy import Policy
from mediation_api.domain.values import Alert, AssignmentState, Disposition, Side, Standing


class Wait(StrEnum):
    """Whose turn it is."""

    SCREENING = "screening"
    DIRECTOR_REVIEW = "director_review"
    COMPLAINANTS = "complainants"
    OFFICERS = "officers"
    MEDIATOR_PROPOSAL = "mediator_proposal"
    MEDIATOR_ANSWER = "mediator_answer"
    SCHEDULING = "scheduling"
    SESSION = "session"
    SESSION_END = "session_end"
    CLOSING = "closing"


class StateForParty(StrEnum):
    """The state of a case as parties see it. Source: docs/rules.md, "Answers are sealed"."""

    PENDING = "pending"
    READY = "ready"
    SCHEDULED = "scheduled"
    IN_SESSION = "in_session"
    CONCLUDED = "concluded"
    MEDIATED = "mediated"
    NOT_MEDIATED = "not_mediated"
    """Neither who left nor why is disclosed."""


_BY_STATE: Mapping[State, Wait] = {
    State.CONFIRMING: Wait.COMPLAINANTS,
    State.ASKING: Wait.OFFICERS,
    State.SCHEDULED: Wait.SESSION,
    State.IN_SESSION: Wait.SESSION_END,
    State.CONCLUDED: Wait.CLOSING,
}
_READY_BY_ASSIGNMENT: Mapping[AssignmentState | None, Wait] = {
    None: Wait.MEDIATOR_PROPOSAL,
    AssignmentState.PROPOSED: Wait.MEDIATOR_ANSWER,
    AssignmentState.ACCEPTED: Wait.SCHEDULING,
}


def waits_for(
    state: State, *, under_review: bool, assignment: AssignmentState | None, screening_outdated: bool = False
) -> Wait | None:
    """Return whose turn it is; None once the case is closed. `assignment` is the state of the current proposal, if any.

    A case whose screening is outdated waits for screening, unless a session is under way.
    """
    outdated = screening_outdated and state.is_open and state is not State.IN_SESSION
    if state is State.SCREENING or outdated:
        return Wait.DIRECTOR_REVIEW if under_review else Wait.SCREENING
    if state is State.READY:
        return _READY_BY_ASSIGNMENT[assignment]
    return _BY_STATE.get(state)


def alerts(
    state: State,
    of_target: Iterable[Alert],
    *,
    today: date,
    answer_due_on: date | None,
    absences: Iterable[tuple[Side, int]],
    policy: Policy,
    screening_outdated: bool = False,
) -> tuple[Alert, ...]:
    """Return the alerts for staff.

    `of_target` are those of `target.alerts`; `answer_due_on` is of an unanswered proposal; `absences` counts unexcused
    ones.
    """
    if not state.is_open:
        return ()
    raised = [*of_target]
    if answer_due_on is not None and today > answer_due_on:
        raised.append(Alert.MEDIATOR_SILENT)
    if any(count >= policy.absences_before_lapse(side) for side, count in absences):
        raised.append(Alert.REPEATED_ABSENCE)
    if screening_outdated:
        raised.append(Alert.SCREENING_OUTDATED)
    return tuple(raised)


def state_for_party(state: State, standing: Standing, parts: Iterable[Disposition]) -> StateForParty:
    """Return the state that a party of this standing sees. Before `ready` it depends on nobody else's answer.

    `parts` are the dispositions of its own parts that it may see. Once all of them were returned, the case is not
    mediated for this party, whatever happens to other parts.
    """
    if standing.has_left:
        return StateForParty.NOT_MEDIATED
    if state in ANSWERS_SEALED:
        return StateForParty.PENDING
    if set(parts) == {Disposition.RETURNED_TO_INVESTIGATION}:
        return StateForParty.NOT_MEDIATED
    if state.is_open or state is State.MEDIATED:
        return StateForParty(state.value)
    return StateForParty.NOT_MEDIATED
