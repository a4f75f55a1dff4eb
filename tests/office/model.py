"""The rules of mediation as the tests know them: which transitions there are, and who is shown what of a case.

This is a reading of the rules of its own: it imports nothing of the service, so that an error of the domain does not
become an error of the test. What each model of a case adds to it stands with that model: random histories
(tests/test_histories.py), clients at once (tests/security/register.py), whoever leaves (tests/promises/model.py).
The words of states, standings and dispositions are those of the contract.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

# ── states ─────────────────────────────────────────────────────────────────────────────────────────────────────────

OPEN: Final = ("screening", "confirming", "asking", "ready", "scheduled", "in_session", "concluded")
SEALED: Final = frozenset(OPEN[:3])
"""States in which no party learns what another one answered."""
MEDIATED: Final = "mediated"


class Transition(NamedTuple):
    """From which states a trigger moves a case, and to which."""

    sources: tuple[str, ...]
    target: str


TRANSITIONS: Final[Mapping[str, Transition]] = {
    "found_eligible": Transition(("screening",), "confirming"),
    "found_ineligible": Transition(("screening",), "ineligible"),
    "complainants_answered": Transition(("confirming",), "asking"),
    "officers_answered": Transition(("asking",), "ready"),
    "complainant_added": Transition(("asking", "ready", "scheduled"), "confirming"),
    "officer_added": Transition(("ready", "scheduled"), "asking"),
    "session_scheduled": Transition(("ready", "concluded"), "scheduled"),
    "session_called_off": Transition(("scheduled",), "ready"),
    "session_started": Transition(("scheduled",), "in_session"),
    "session_adjourned": Transition(("in_session",), "ready"),
    "session_completed": Transition(("in_session",), "concluded"),
    "ended_by_mediator": Transition(("scheduled", "in_session"), "ended"),
    "further_session_called_off": Transition(("scheduled", "in_session"), "concluded"),
    "covered_parts_returned": Transition(("concluded",), "ready"),
    "closed_as_mediated": Transition(("ready", "concluded"), MEDIATED),
    "complainants_reopened": Transition(("asking", "ready", "scheduled", "concluded"), "confirming"),
    "officers_reopened": Transition(("ready", "scheduled", "concluded"), "asking"),
    "rescreened_ineligible": Transition(("confirming", "asking", "ready", "scheduled", "concluded"), "ineligible"),
    "side_declined": Transition(("confirming", "asking"), "declined"),
    "side_withdrew": Transition(OPEN, "withdrawn"),
    "side_lapsed": Transition(OPEN, "lapsed"),
}


def once_answered(state: str, standings: Mapping[str, Collection[str]]) -> str | None:
    """The trigger that follows once nobody of the side whose turn it is is left unanswered.

    `standings` are those of the people who have not left, by side.
    """
    turns = {"confirming": ("complainant", "complainants_answered"), "asking": ("officer", "officers_answered")}
    side, trigger = turns.get(state, ("", None))
    return trigger if trigger and {*standings[side]} == {"agreed"} else None


# ── leaving ────────────────────────────────────────────────────────────────────────────────────────────────────────

CLOSES: Final = {"declined": "side_declined", "withdrawn": "side_withdrew", "lapsed": "side_lapsed"}
"""The trigger that closes the case when the last of a side leaves so."""
GONE: Final = frozenset({*CLOSES, "removed"})
"""The standings of who left, or was removed."""

# ── sessions and agreements ────────────────────────────────────────────────────────────────────────────────────────


class Act(NamedTuple):
    """What is done to a session: in which of its states, what it becomes, and the trigger of the case."""

    begins: tuple[str, ...]
    ends: str
    trigger: str


SESSIONS: Final = {
    "start": Act(("scheduled",), "in_progress", "session_started"),
    "cancel": Act(("scheduled",), "cancelled", "session_called_off"),
    "adjourn": Act(("in_progress",), "adjourned", "session_adjourned"),
    "complete": Act(("in_progress",), "completed", "session_completed"),
    "end": Act(("scheduled", "in_progress"), "ended", "ended_by_mediator"),
}
LIVE: Final = ("scheduled", "in_progress")
CALLED_OFF: Final = {"scheduled": "cancelled", "in_progress": "ended"}
"""What becomes of a live session when the case closes, or waits for somebody again."""
LEFT_BY_MEDIATOR: Final = {"scheduled": SESSIONS["cancel"], "in_progress": SESSIONS["adjourn"]}

MADE_IN: Final = {"confidentiality": ("ready", "scheduled"), "resolution": ("in_session", "concluded")}
SIGNED_IN: Final = {"confidentiality": ("ready", "scheduled", "in_session"), "resolution": ("in_session", "concluded")}

# ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

IN_MEDIATION: Final = "in_mediation"
RETURNED: Final = "returned_to_investigation"
CLOSED_MEDIATED: Final = "closed_mediated"
PARTLY_MEDIATED: Final = "partly_mediated"


def disposition_of(parts: Collection[str]) -> str:
    """The disposition of a complaint, of its parts."""
    dispositions = {*parts} or {IN_MEDIATION}
    if CLOSED_MEDIATED in dispositions:
        return CLOSED_MEDIATED if len(dispositions) == 1 else PARTLY_MEDIATED
    return IN_MEDIATION if IN_MEDIATION in dispositions else RETURNED


# ── who sees what ──────────────────────────────────────────────────────────────────────────────────────────────────


def sees_case(side: str, standing: str | None, *, asked: bool) -> bool:
    """Whether a party finds the case: a complainant from the start, an officer once asked, nobody who was removed."""
    return standing not in {None, "removed"} and (side == "complainant" or asked)


def shown_status(state: str, standing: str, own_parts: Collection[str] = ()) -> str:
    """The state of a case as a party is told it. Who left reads one thing, whatever the others do."""
    if standing in GONE:
        return "not_mediated"
    if state in SEALED:
        return "pending"
    if {*own_parts} == {RETURNED}:
        return "not_mediated"
    return state if state in {*OPEN, MEDIATED} else "not_mediated"


def sees_others(standing: str, status: str) -> bool:
    """Whether a party sees who else takes part, the mediator and the session."""
    return standing == "agreed" and status not in {"pending", "not_mediated"}


# ── refusals ───────────────────────────────────────────────────────────────────────────────────────────────────────


def those(*refusals: tuple[str, object]) -> set[str]:
    """The codes of the refusals that hold."""
    return {code for code, holds in refusals if holds}


def status_of(code: str) -> int:
    """The HTTP status of a refusal by the rules."""
    return {"not-found": 404, "validation-failed": 422}.get(code, 409)
