"""Deadlines: what is recorded as the due date of a case comes near and passes, and which cases may have to lapse."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Final

from mediation_api.domain import events, target
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.target import Pace, TargetPolicy

WORKER = Actor(Role.INTEGRATION, "mediation-api worker")
"""The actor of events that the worker records."""

_EVENTS: Final[Mapping[Pace, events.CaseAtRisk | events.CaseOverdue]] = {
    Pace.AT_RISK: events.CaseAtRisk(),
    Pace.OVERDUE: events.CaseOverdue(),
}


def passed(
    due_on: date, today: date, policy: TargetPolicy, recorded: Collection[str]
) -> tuple[events.CaseAtRisk | events.CaseOverdue, ...]:
    """Return what is to be recorded today of an open case: that it is at risk, or overdue, each once.

    A case of which nobody looked while it was at risk is recorded as overdue alone.

    Args:
        due_on: The due date of the case.
        today: The local date.
        policy: The city's.
        recorded: The kinds of events that the case has.
    """
    pace = target.pace(due_on, today, None, policy)
    event = None if pace is None else _EVENTS.get(pace)
    return () if event is None or event.kind in recorded else (event,)
