"""The lifecycle of a case: its states and the table of transitions. Nothing else changes a state.

Source: docs/rules.md, "The lifecycle". The README contains `diagram()`, and a test checks that the two are equal.
"""

from dataclasses import dataclass
from enum import StrEnum

from mediation_api.domain.errors import CaseNotOpen, StateConflict


class State(StrEnum):
    """The state of a case."""

    SCREENING = "screening"
    CONFIRMING = "confirming"
    ASKING = "asking"
    READY = "ready"
    SCHEDULED = "scheduled"
    IN_SESSION = "in_session"
    CONCLUDED = "concluded"
    MEDIATED = "mediated"
    INELIGIBLE = "ineligible"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    ENDED = "ended"
    LAPSED = "lapsed"

    @property
    def is_open(self) -> bool:
        """Whether anything can still be decided in the case."""
        return self in OPEN


OPEN = frozenset(
    {
        State.SCREENING,
        State.CONFIRMING,
        State.ASKING,
        State.READY,
        State.SCHEDULED,
        State.IN_SESSION,
        State.CONCLUDED,
    }
)
CLOSED = frozenset(State) - OPEN

ANSWERS_SEALED = frozenset({State.SCREENING, State.CONFIRMING, State.ASKING})
"""States in which no party may learn anything about another party's answer: all before `ready`."""

PEERS_VISIBLE = frozenset({*OPEN - ANSWERS_SEALED, State.MEDIATED})
"""States in which active parties see one another's names. In the other closed states it would reveal who left."""


class Trigger(StrEnum):
    """What causes a transition."""

    FOUND_ELIGIBLE = "found_eligible"
    FOUND_INELIGIBLE = "found_ineligible"
    COMPLAINANTS_ANSWERED = "complainants_answered"
    OFFICERS_ANSWERED = "officers_answered"
    COMPLAINANT_ADDED = "complainant_added"
    OFFICER_ADDED = "officer_added"
    COMPLAINANTS_REOPENED = "complainants_reopened"
    OFFICERS_REOPENED = "officers_reopened"
    RESCREENED_INELIGIBLE = "rescreened_ineligible"
    SESSION_SCHEDULED = "session_scheduled"
    SESSION_CALLED_OFF = "session_called_off"
    SESSION_STARTED = "session_started"
    SESSION_ADJOURNED = "session_adjourned"
    SESSION_COMPLETED = "session_completed"
    FURTHER_SESSION_CALLED_OFF = "further_session_called_off"
    """Cancelled, missed or adjourned, while an open part is covered by an earlier session that was completed."""
    COVERED_PARTS_RETURNED = "covered_parts_returned"
    """Somebody left, and no open part is covered by a completed session any more."""
    ENDED_BY_MEDIATOR = "ended_by_mediator"
    CLOSED_AS_MEDIATED = "closed_as_mediated"
    SIDE_DECLINED = "side_declined"
    SIDE_WITHDREW = "side_withdrew"
    SIDE_LAPSED = "side_lapsed"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: in any of `sources`, `trigger` leads to `target`."""

    trigger: Trigger
    sources: frozenset[State]
    target: State


def _row(trigger: Trigger, sources: frozenset[State] | State, target: State) -> Transition:
    return Transition(trigger, sources if isinstance(sources, frozenset) else frozenset({sources}), target)


TRANSITIONS = (
    _row(Trigger.FOUND_ELIGIBLE, State.SCREENING, State.CONFIRMING),
    _row(Trigger.FOUND_INELIGIBLE, State.SCREENING, State.INELIGIBLE),
    _row(Trigger.COMPLAINANTS_ANSWERED, State.CONFIRMING, State.ASKING),
    _row(Trigger.OFFICERS_ANSWERED, State.ASKING, State.READY),
    # Parties who missed a completed session are offered another.
    _row(Trigger.SESSION_SCHEDULED, frozenset({State.READY, State.CONCLUDED}), State.SCHEDULED),
    _row(Trigger.SESSION_CALLED_OFF, State.SCHEDULED, State.READY),
    _row(Trigger.SESSION_STARTED, State.SCHEDULED, State.IN_SESSION),
    _row(Trigger.SESSION_ADJOURNED, State.IN_SESSION, State.READY),
    _row(Trigger.SESSION_COMPLETED, State.IN_SESSION, State.CONCLUDED),
    _row(Trigger.FURTHER_SESSION_CALLED_OFF, frozenset({State.SCHEDULED, State.IN_SESSION}), State.CONCLUDED),
    _row(Trigger.COVERED_PARTS_RETURNED, State.CONCLUDED, State.READY),
    # From ready as well: somebody who was added after a completed session may leave again.
    _row(Trigger.CLOSED_AS_MEDIATED, frozenset({State.READY, State.CONCLUDED}), State.MEDIATED),
    # Adding somebody reopens the gate: they have not been asked yet.
    _row(Trigger.COMPLAINANT_ADDED, frozenset({State.ASKING, State.READY, State.SCHEDULED}), State.CONFIRMING),
    _row(Trigger.OFFICER_ADDED, frozenset({State.READY, State.SCHEDULED}), State.ASKING),
    # A consent that was voided, or a side that a removal left empty, reopens it as well.
    _row(
        Trigger.COMPLAINANTS_REOPENED,
        frozenset({State.ASKING, State.READY, State.SCHEDULED, State.CONCLUDED}),
        State.CONFIRMING,
    ),
    _row(Trigger.OFFICERS_REOPENED, frozenset({State.READY, State.SCHEDULED, State.CONCLUDED}), State.ASKING),
    # A change that screening depends on is screened again, in every state but during a session.
    _row(
        Trigger.RESCREENED_INELIGIBLE,
        frozenset({State.CONFIRMING, State.ASKING, State.READY, State.SCHEDULED, State.CONCLUDED}),
        State.INELIGIBLE,
    ),
    _row(Trigger.SIDE_DECLINED, frozenset({State.CONFIRMING, State.ASKING}), State.DECLINED),
    _row(Trigger.ENDED_BY_MEDIATOR, frozenset({State.SCHEDULED, State.IN_SESSION}), State.ENDED),
    # Leaving is possible in all open states: one rule, never a list.
    _row(Trigger.SIDE_WITHDREW, OPEN, State.WITHDRAWN),
    _row(Trigger.SIDE_LAPSED, OPEN, State.LAPSED),
)


def target_of(state: State, trigger: Trigger) -> State:
    """Return the state that `trigger` leads to from `state`.

    Raises:
        CaseNotOpen: `state` is closed.
        StateConflict: the table has no such transition.
    """
    if not state.is_open:
        raise CaseNotOpen
    for transition in TRANSITIONS:
        if transition.trigger is trigger and state in transition.sources:
            return transition.target
    raise StateConflict


def diagram() -> str:
    """Return the table as a Mermaid diagram. Transitions from all open states are drawn once, from `any_open_state`."""
    lines = ["stateDiagram-v2", "    [*] --> screening"]
    for row in TRANSITIONS:
        sources = ["any_open_state"] if row.sources == OPEN else sorted(row.sources)
        lines += [f"    {source} --> {row.target}: {row.trigger}" for source in sources]
    lines += [f"    {state} --> [*]" for state in State if state in CLOSED]
    return "\n".join(lines)
