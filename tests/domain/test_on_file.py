"""What an event records of a complaint, a party or a mediator: codes as they are, and which other fields are filled."""

from dataclasses import replace
from datetime import date
from typing import Final

import pytest
from tests.domain.cases import pointed_at

from mediation_api.domain import complaint
from mediation_api.domain.errors import Invalid
from mediation_api.domain.events import ComplaintFiled
from mediation_api.domain.on_file import NEW_COMPLAINT, NEW_PARTY, corrected, entered
from mediation_api.domain.values import UNREADABLE, Channel

FILED: Final[dict[str, object]] = {
    "channel": Channel.PHONE,
    "narrative": "He shouted.",
    "incident_on": date(2026, 3, 1),
    "incident_place": None,
    "allegations": ["discourtesy", "force"],
    "interested_in_mediation": True,
    "external_reference": None,
}


CATEGORIES: Final = ("discourtesy", "force")


def test_a_complaint_is_filed_under_its_year_and_a_number_of_six_digits() -> None:
    assert complaint.file(FILED, today=date(2026, 12, 31), number=123, categories=CATEGORIES) == ComplaintFiled(
        reference="2026-000123",
        external_reference=None,
        channel=Channel.PHONE,
        interested_in_mediation=True,
        on_file=replace(
            NEW_COMPLAINT,
            incident_on=date(2026, 3, 1),
            allegations=("discourtesy", "force"),
            filled=("narrative",),
        ),
        values=FILED,
    )
    assert (
        complaint.file(FILED, today=date(2027, 1, 1), number=1_234_567, categories=CATEGORIES).reference
        == "2027-1234567"
    )


@pytest.mark.parametrize(
    ("name", "pointer"),
    [("incident_on", "/incident_on"), ("pending_case_filed_on", "/intake/pending_case_filed_on")],
)
def test_nothing_is_filed_that_happened_after_the_local_date(name: str, pointer: str) -> None:
    filed = {**FILED, name: date(2026, 3, 3)}
    assert complaint.file(filed, today=date(2026, 3, 3), number=1, categories=CATEGORIES).values == filed
    with pytest.raises(Invalid) as caught:
        complaint.file(filed, today=date(2026, 3, 2), number=1, categories=CATEGORIES)
    assert pointed_at(caught.value) == (pointer, "in-the-future")


def test_a_complaint_names_only_categories_of_the_citys_list() -> None:
    with pytest.raises(Invalid) as caught:
        complaint.file(FILED, today=date(2026, 3, 2), number=1, categories=("force",))
    assert pointed_at(caught.value) == ("/allegations", "category-not-configured")


def test_the_reference_of_an_integration_is_recorded() -> None:
    filed = complaint.file(
        {**FILED, "external_reference": "A-1", "interested_in_mediation": False},
        today=date(2026, 12, 31),
        number=1,
        categories=CATEGORIES,
    )
    assert (filed.external_reference, filed.interested_in_mediation) == ("A-1", False)


def test_what_is_filled_and_what_is_emptied_is_listed_by_name() -> None:
    before = replace(NEW_PARTY, filled=("email", "name"))
    after = corrected(before, {"email": None, "phone": "503-555-0100", "unit": "", "minor": True})
    assert after == replace(NEW_PARTY, minor=True, filled=("name", "phone"))


@pytest.mark.parametrize("filled", [(), ("name",)])
def test_an_encrypted_field_that_is_sent_back_as_it_was_shown_changes_nothing(filled: tuple[str, ...]) -> None:
    before = replace(NEW_PARTY, filled=filled)
    assert corrected(before, {"name": UNREADABLE}) == before


def test_in_a_new_record_and_in_a_field_that_is_not_encrypted_it_is_a_text_like_any_other() -> None:
    assert entered(NEW_PARTY, {"name": UNREADABLE}).filled == ("name",)
    assert corrected(NEW_PARTY, {"unit": UNREADABLE}).filled == ("unit",)
