"""The coordinator's board: what each case waits for, and what staff are alerted to. Computed, never stored."""

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum

from mediation_api.domain.lifecycle import ANSWERS_SEALED, State
from mediation_api.domain.policy import Policy
from mediation_api.domain.target import TargetAlert, TargetReport
from mediation_api.domain.values import AssignmentState, Disposition, Side, Standing


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
    SESSION_OUTCOME = "session_outcome"
    CLOSING = "closing"


class Status(StrEnum):
    """What a party is told of the state of its case. Source: docs/rules.md, "Answers are sealed"."""

    PENDING = "pending"
    READY = "ready"
    SCHEDULED = "scheduled"
    IN_SESSION = "in_session"
    CONCLUDED = "concluded"
    MEDIATED = "mediated"
    NOT_MEDIATED = "not_mediated"
    """Neither who nor why."""


class CaseAlert(StrEnum):
    """What staff are warned of besides the target."""

    MEDIATOR_SILENT = "mediator_silent"
    """A proposal is unanswered after its working days. Source: docs/field.md, "Mediator's silence"."""
    REPEATED_ABSENCE = "repeated_absence"
    """A party was absent so often that a director may close the case. Source: docs/field.md, "Absences"."""
    SCREENING_OUTDATED = "screening_outdated"
    """Something became known that screening looks at: the case must be screened again before it goes on."""


_BY_STATE: Mapping[State, Wait] = {
    State.CONFIRMING: Wait.COMPLAINANTS,
    State.ASKING: Wait.OFFICERS,
    State.SCHEDULED: Wait.SESSION,
    State.IN_SESSION: Wait.SESSION_OUTCOME,
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
    """Whose turn it is; None once the case is closed. `assignment` is that of a live proposal, if there is one.

    A case whose screening is outdated waits for another, but a session that is under way comes first.
    """
    outdated = screening_outdated and state.is_open and state is not State.IN_SESSION
    if state is State.SCREENING or outdated:
        return Wait.DIRECTOR_REVIEW if under_review else Wait.SCREENING
    if state is State.READY:
        return _READY_BY_ASSIGNMENT[assignment]
    return _BY_STATE.get(state)


def alerts(
    state: State,
    target: TargetReport,
    *,
    today: date,
    answer_due_on: date | None,
    absences: Iterable[tuple[Side, int]],
    policy: Policy,
    screening_outdated: bool = False,
) -> tuple[str, ...]:
    """What staff are warned of. `answer_due_on` is that of an unanswered proposal, `absences` the unexcused ones."""
    if not state.is_open:
        return ()
    raised: list[TargetAlert | CaseAlert] = [*target.alerts]
    if answer_due_on is not None and today > answer_due_on:
        raised.append(CaseAlert.MEDIATOR_SILENT)
    if any(count >= policy.absences_before_lapse(side) for side, count in absences):
        raised.append(CaseAlert.REPEATED_ABSENCE)
    if screening_outdated:
        raised.append(CaseAlert.SCREENING_OUTDATED)
    return tuple(raised)


def status(state: State, standing: Standing, parts: Iterable[Disposition]) -> Status:
    """What a party of this standing is told: nothing that depends on another's answer before the case is ready.

    `parts` are its own in the case, as far as it may know of them. Once all of them were returned, the case is not
    mediated for this party, whatever becomes of the others.
    """
    if standing.has_left:
        return Status.NOT_MEDIATED
    if state in ANSWERS_SEALED:
        return Status.PENDING
    if set(parts) == {Disposition.RETURNED_TO_INVESTIGATION}:
        return Status.NOT_MEDIATED
    if state.is_open or state is State.MEDIATED:
        return Status(state.value)
    return Status.NOT_MEDIATED
