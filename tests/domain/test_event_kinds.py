"""Who is shown which kind of event, as docs/events.md says it."""

import re
from pathlib import Path

from mediation_api.domain.event_kinds import INTEGRATION_KINDS, events_page
from mediation_api.domain.events import Event, Visibility

ROW = re.compile(r"^\| `([a-z_.]+)` \| ([a-z ]+) \| ([a-z ]*) \| ([a-z ]*) \| ([a-z ]*) \|$", re.MULTILINE)
FOUND = ROW.findall(events_page())
ROWS = {kind: rest for kind, *rest in FOUND}


def test_the_page_lists_every_kind_once_and_in_order() -> None:
    assert [kind for kind, *_ in FOUND] == sorted({event.kind for event in Event.__subclasses__()})


def test_each_kind_belongs_to_a_complaint_a_case_a_mediator_or_a_report() -> None:
    assert {kind: ROWS[kind][0] for kind in ("hold.placed", "party.asked", "mediator.added")} == {
        "hold.placed": "complaint",
        "party.asked": "case",
        "mediator.added": "mediator",
    }
    reports = {kind for kind, (subject, *_) in ROWS.items() if subject == "mandatory report"}
    assert reports == {event.kind for event in Event.__subclasses__() if event.visibility is Visibility.RESTRICTED}


def test_nothing_of_a_report_is_in_a_feed_or_a_timeline() -> None:
    for subject, office, integration, timeline in ROWS.values():
        if subject == "mandatory report":
            assert (office, integration, timeline) == ("", "", "")
        else:
            assert office == "yes"


def test_no_kind_that_is_private_to_a_party_is_shown_to_an_integration() -> None:
    private = {event.kind for event in Event.__subclasses__() if event.visibility is Visibility.OWN}
    assert private.isdisjoint(INTEGRATION_KINDS)
    assert {kind for kind, (_, _, integration, _) in ROWS.items() if integration} == INTEGRATION_KINDS


def test_the_return_of_a_part_waits_until_answers_are_not_sealed() -> None:
    assert ROWS["part.returned"][2] == "once answers are not sealed"
    assert ROWS["case.closed"][1:] == ["yes", "yes", "mediator and parties"]


def test_the_page_of_the_docs_is_what_the_events_say() -> None:
    assert Path("docs/events.md").read_text(encoding="utf-8") == events_page(), "make generate"
