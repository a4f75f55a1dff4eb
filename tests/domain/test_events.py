"""The record of events holds ids, codes, dates and hashes; never a name, a place or a text."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest

from mediation_api.domain import events
from mediation_api.domain.events import CaseEvent, Event, ReportEvent, Visibility
from mediation_api.domain.values import AttendeeRole, CancelReason

# Not `__subclasses__`: a dataclass with slots leaves the class that it was made from behind.
ALL = sorted(
    (
        each
        for each in vars(events).values()
        if isinstance(each, type) and issubclass(each, Event) and each is not Event
    ),
    key=lambda event: event.kind,
)

PLAIN = {type(None), bool, int, UUID, date, datetime, str}
PLAIN_TEXT = {
    ("access_code.issued", "fingerprint"),
    ("agreement.made", "languages"),
    ("agreement.made", "sha256"),
    ("agreement.made", "template_version"),
    ("agreement.signed", "sha256"),
    ("approval.recorded", "unit"),
    ("attendee.added", "language"),
    ("complaint.corrected", "changed"),
    ("complaint.corrected", "on_file"),
    ("complaint.filed", "external_reference"),
    ("complaint.filed", "on_file"),
    ("complaint.filed", "reference"),
    ("consent.given", "disclosure_language"),
    ("consent.given", "disclosure_sha256"),
    ("consent.given", "disclosure_version"),
    ("coordinator.assigned", "coordinator"),
    ("guardian.consented", "disclosure_language"),
    ("guardian.consented", "disclosure_sha256"),
    ("guardian.consented", "disclosure_version"),
    ("mandatory_report.proposed", "sha256"),
    ("mediator.added", "on_file"),
    ("mediator.corrected", "changed"),
    ("mediator.corrected", "on_file"),
    ("party.added", "on_file"),
    ("party.corrected", "changed"),
    ("party.corrected", "on_file"),
    ("screening.outdated", "changed"),
}
"""Every recorded field that could hold free text: each is a hash, a language, a version, a unit, a token's subject, a
reference, the names of fields, or what is on file of those."""


def _leaves(hint: object) -> set[object]:
    """The plain types that a field's type is made of."""
    if get_origin(hint) in {Union, UnionType, tuple}:
        return {leaf for each in get_args(hint) if each is not Ellipsis for leaf in _leaves(each)}
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return {leaf for each in fields(hint) for leaf in _leaves(hints[each.name])}
    return {hint}


def test_each_kind_has_one_event() -> None:
    kinds = [event.kind for event in ALL]
    assert len(kinds) == len(set(kinds))


def test_a_kind_is_a_noun_and_what_happened_to_it() -> None:
    for event in ALL:
        noun, _, verb = event.kind.partition(".")
        assert noun.replace("_", "").isalpha()
        assert verb.replace("_", "").isalpha()


@pytest.mark.parametrize("event", ALL, ids=lambda event: event.kind)
def test_a_private_field_is_not_recorded(event: type[Event]) -> None:
    hints = get_type_hints(event, include_extras=True)
    private = {name for name, hint in hints.items() if "private" in getattr(hint, "__metadata__", ())}
    assert set(event.recorded_fields()) == {f.name for f in fields(event)} - private


def test_what_tells_about_a_person_is_private() -> None:
    private = {
        (event.kind, field.name)
        for event in ALL
        for field in fields(event)
        if field.name not in event.recorded_fields()
    }
    assert private >= {
        ("access_code.issued", "digest"),
        ("access_code.issued", "lookup"),
        ("agreement.made", "text"),
        ("agreement.signed", "signer_name"),
        ("approval.recorded", "given_by"),
        ("attendee.added", "name"),
        ("case.screened", "reason"),
        ("complaint.corrected", "values"),
        ("complaint.filed", "values"),
        ("consent.given", "disclosure"),
        ("guardian.consented", "disclosure"),
        ("mandatory_report.proposed", "agency"),
        ("mandatory_report.proposed", "category"),
        ("mandatory_report.proposed", "disclosed_at"),
        ("mandatory_report.proposed", "legal_basis"),
        ("mandatory_report.proposed", "recipient"),
        ("mediator.added", "values"),
        ("mediator.corrected", "values"),
        ("party.added", "values"),
        ("party.corrected", "values"),
        ("session.rescheduled", "link"),
        ("session.rescheduled", "place"),
        ("session.scheduled", "link"),
        ("session.scheduled", "place"),
    }


def test_nothing_that_is_recorded_can_hold_a_narrative() -> None:
    texts = set()
    for event in ALL:
        hints = get_type_hints(event)
        for name in event.recorded_fields():
            leaves = _leaves(hints[name])
            assert all(leaf in PLAIN or (isinstance(leaf, type) and issubclass(leaf, Enum)) for leaf in leaves)
            if str in leaves:
                texts.add((event.kind, name))
    assert {(kind, name) for kind, name in texts if kind != "case.screened"} == PLAIN_TEXT


def test_what_events_are_called_does_not_change() -> None:
    """Recorded events outlive releases, and what is read of them goes by their kind."""
    assert {event.kind for event in ALL} == {
        "absence.recorded",
        "access_code.issued",
        "agreement.made",
        "agreement.signed",
        "agreement.superseded",
        "approval.recorded",
        "assignment.accepted",
        "assignment.conflicted",
        "assignment.declined",
        "assignment.recused",
        "assignment.released",
        "attendee.added",
        "attendee.confirmed",
        "case.at_risk",
        "case.closed",
        "case.overdue",
        "case.state_changed",
        "case.opened",
        "case.screened",
        "complaint.corrected",
        "complaint.filed",
        "consent.given",
        "contact.attempted",
        "consent.voided",
        "coordinator.assigned",
        "data.purged",
        "erasure.approved",
        "erasure.refused",
        "erasure.requested",
        "guardian.consented",
        "guardian_consent.voided",
        "hold.lifted",
        "hold.placed",
        "identity.bound",
        "identity.released",
        "mandatory_report.dropped",
        "mandatory_report.filed",
        "mandatory_report.proposed",
        "mediator.added",
        "mediator.corrected",
        "mediator.proposed",
        "name.corrected",
        "notes.destroyed",
        "part.mediated",
        "part.opened",
        "part.returned",
        "party.added",
        "party.asked",
        "party.corrected",
        "party.joined",
        "party.lapsed",
        "party.removed",
        "party.withdrew",
        "screening.outdated",
        "session.adjourned",
        "session.cancelled",
        "session.completed",
        "session.ended",
        "session.rescheduled",
        "session.scheduled",
        "session.started",
        "target.paused",
    }


def test_why_a_session_was_cancelled_is_recorded_in_words_that_do_not_change() -> None:
    assert set(CancelReason) == {
        "case_closed",
        "consent_voided",
        "mediator_withdrew",
        "party_added",
        "party_removed",
        "requested",
    }


def test_only_a_few_events_are_for_more_than_staff() -> None:
    assert Event.visibility is Visibility.STAFF
    by_audience = {audience: {f.kind for f in ALL if f.visibility is audience} for audience in Visibility}
    assert by_audience[Visibility.OWN] == {
        "access_code.issued",
        "consent.given",
        "consent.voided",
        "guardian.consented",
        "guardian_consent.voided",
        "name.corrected",
        "party.asked",
        "party.corrected",
        "party.withdrew",
    }
    assert by_audience[Visibility.PARTICIPANTS] == {
        "agreement.made",
        "case.closed",
        "case.opened",
        "session.adjourned",
        "session.cancelled",
        "session.completed",
        "session.ended",
        "session.rescheduled",
        "session.scheduled",
        "session.started",
    }


def test_an_event_about_a_report_is_for_nobody_and_names_no_party() -> None:
    restricted = {event for event in ALL if event.visibility is Visibility.RESTRICTED}
    assert restricted == set(get_args(ReportEvent))
    for event in restricted:
        assert "party_id" not in event.recorded_fields()


def test_what_is_for_a_party_alone_names_that_party() -> None:
    for event in ALL:
        if event.visibility is Visibility.OWN:
            assert "party_id" in event.recorded_fields()


def test_nothing_for_everybody_names_a_party() -> None:
    """The name of the party would tell who."""
    for event in ALL:
        if event.visibility is Visibility.PARTICIPANTS:
            assert "party_id" not in event.recorded_fields()


def test_every_event_of_a_case_is_one_of_the_union() -> None:
    elsewhere = {
        events.AccessCodeIssued,
        events.ComplaintCorrected,
        events.ComplaintFiled,
        events.DataPurged,
        events.ErasureApproved,
        events.ErasureRefused,
        events.ErasureRequested,
        events.HoldLifted,
        events.HoldPlaced,
        events.IdentityReleased,
        events.MediatorAdded,
        events.MediatorCorrected,
        events.NameCorrected,
        events.PartyAdded,
        events.PartyCorrected,
        *get_args(ReportEvent),
    }
    assert set(get_args(CaseEvent)) == set(ALL) - elsewhere


def test_of_a_private_field_it_is_recorded_that_it_holds_something() -> None:
    added = events.AttendeeAdded(
        attendee_id=UUID(int=1), role=AttendeeRole.INTERPRETER, name="Jo Park", language="es", for_party_id=None
    )
    asked = events.PartyAsked(party_id=UUID(int=1))
    assert added.filled_private_fields() == ["name"]
    assert asked.filled_private_fields() is None


@pytest.mark.parametrize("event", ALL, ids=lambda event: event.kind)
def test_the_name_of_each_instant_and_date_says_so(event: type[Event]) -> None:
    for name, hint in _named(event):
        ending = "_at" if hint is datetime else "_on" if hint is date else None
        assert ending == (name[-3:] if name.endswith(("_at", "_on")) else None), name


def _named(of: type) -> Iterator[tuple[str, object]]:
    """Yield the names of all fields, those of what a field holds included, each with its type but for None."""
    hints = get_type_hints(of)
    for field in fields(of):
        for hint in set(get_args(hints[field.name]) or (hints[field.name],)) - {type(None)}:
            if isinstance(hint, type) and is_dataclass(hint):
                yield from _named(hint)
            else:
                yield field.name, hint
