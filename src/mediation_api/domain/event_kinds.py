"""The kinds of events, and who is shown each of them: the timelines and the change feed follow the events' own fields.

`events_page` prints all of them as docs/events.md.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, get_args

from mediation_api.domain.events import CaseEvent, Event, PartReturned, ReportEvent, RosterEvent, Visibility

INTEGRATION_KINDS: Final = frozenset(event.kind for event in Event.__subclasses__() if event.for_integration)
"""The kinds that the change feed shows to the integration that filed the complaint."""


class IntegrationEventKind(StrEnum):
    """The same, for the contract: an integration chooses which of them its webhooks are about."""

    CASE_CLOSED = "case.closed"
    CASE_OPENED = "case.opened"
    COMPLAINT_CORRECTED = "complaint.corrected"
    COMPLAINT_FILED = "complaint.filed"
    PART_MEDIATED = "part.mediated"
    PART_OPENED = "part.opened"
    PART_RETURNED = "part.returned"
    PARTY_ADDED = "party.added"
    PARTY_REMOVED = "party.removed"


_TIMELINE: Final = {
    Visibility.STAFF: "",
    Visibility.OWN: "the party that it concerns",
    Visibility.PARTICIPANTS: "mediator and parties",
    Visibility.RESTRICTED: "",
}
_PAGE: Final = """\
# Events

Everything that changes is an event. This page lists the kinds, and who is shown each of them. It is generated:
`make generate`. New kinds may be added at any time: ignore those that you do not know.

`GET /v1/events` is the change feed: each event once, in one order, with its id, kind and time and the ids of what it is
about. The office is shown all kinds but those of mandatory reports, which are in no feed and no timeline. An
integration is shown the kinds that change what it may read of the complaints that it filed, and may have them posted to
endpoints of its own (webhooks).

The timeline of a case shows the office all events of the case and its complaint, and to others those of the last
column: from when on both sides have agreed, except for what concerns the reader alone.

"""
_WITHHELD: Final = "once answers are not sealed"


def events_page() -> str:
    """Return docs/events.md: every kind of event, and who is shown it."""
    head = "| Kind | Of | Feed of the office | Feed of the integration | Timeline, besides the office |"
    return _PAGE + "\n".join([head, "| --- | --- | --- | --- | --- |", *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    # By kind, since a dataclass with slots is a second class: the first one stays until it is collected.
    for _, event in sorted({event.kind: event for event in Event.__subclasses__()}.items()):
        of_office = "" if event.visibility is Visibility.RESTRICTED else "yes"
        of_integration = "yes" if event.for_integration else ""
        if event is PartReturned:
            of_integration = _WITHHELD
        yield f"| `{event.kind}` | {_subject(event)} | {of_office} | {of_integration} | {_TIMELINE[event.visibility]} |"


def _subject(event: type[Event]) -> str:
    if event in get_args(ReportEvent):
        return "mandatory report"
    if event in get_args(RosterEvent):
        return "mediator"
    return "case" if event in get_args(CaseEvent) else "complaint"
