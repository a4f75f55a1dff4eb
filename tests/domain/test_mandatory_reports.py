"""Mandatory reports: two people, and nothing of what was said."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from datetime import timedelta
from itertools import product

import pytest
from tests.domain.cases import AT, CASE, NEW, pointed_at

from mediation_api.domain.access import Actor, Role
from mediation_api.domain.errors import CategoryNotDisclosed, Conflict, Invalid, SecondPersonRequired, StateConflict
from mediation_api.domain.events import (
    MandatoryReportDropped,
    MandatoryReportFiled,
    MandatoryReportProposed,
    Visibility,
)
from mediation_api.domain.mandatory_reports import (
    SMALLEST_COUNT,
    YEARS_COUNTED,
    Contents,
    MandatoryReport,
    YearlyCount,
    propose_report,
    yearly_counts,
)
from mediation_api.domain.values import DropReason, Recipient, ReportCategory, ReportState

CONTENTS = Contents(
    category=ReportCategory.CHILD_ABUSE,
    recipient=Recipient.CHILD_PROTECTION,
    agency="County child welfare",
    legal_basis="ORS 419B.010",
    disclosed_at=AT - timedelta(hours=2),
)
PROPOSED = MandatoryReport(report_id=NEW, state=ReportState.PROPOSED, proposed_by="mediator.1")
FIRST, SECOND = Actor(Role.DIRECTOR, "director.1"), Actor(Role.DIRECTOR, "director.2")


def proposed(
    contents: Contents = CONTENTS,
    *,
    configured: Iterable[ReportCategory] = ReportCategory,
    disclosed: Iterable[frozenset[ReportCategory]] = (),
) -> MandatoryReportProposed:
    return propose_report(CASE, contents, report_id=NEW, at=AT, configured=configured, disclosed=disclosed)


def test_what_is_proposed_is_recorded_as_a_hash() -> None:
    event = MandatoryReportProposed(report_id=NEW, case_id=CASE, sha256=CONTENTS.sha256, **asdict(CONTENTS))
    assert proposed() == event


def test_the_hash_is_of_what_is_reported_a_line_each() -> None:
    """Whoever verifies computes the same; it was computed with sha256sum."""
    assert CONTENTS.sha256 == "4644216d295181376e8ae691f0268fc4b7e52bf35842e9a4fe593deacc1f928d"


@pytest.mark.parametrize(
    "changed",
    [
        {"category": ReportCategory.ADULT_ABUSE},
        {"recipient": Recipient.LAW_ENFORCEMENT},
        {"agency": "Another county"},
        {"legal_basis": "ORS 124.060"},
        {"disclosed_at": CONTENTS.disclosed_at + timedelta(microseconds=1)},
    ],
)
def test_the_hash_tells_each_change(changed: dict[str, object]) -> None:
    assert len(changed) == 1
    assert replace(CONTENTS, **changed).sha256 != CONTENTS.sha256  # type: ignore[arg-type]
    assert {field.name for field in fields(Contents)} == {
        "category",
        "recipient",
        "agency",
        "legal_basis",
        "disclosed_at",
    }


def test_nothing_is_reported_that_was_not_disclosed_yet() -> None:
    proposed(replace(CONTENTS, disclosed_at=AT))
    with pytest.raises(Invalid) as refused:
        proposed(replace(CONTENTS, disclosed_at=AT + timedelta(microseconds=1)))
    assert pointed_at(refused.value) == ("/disclosed_at", "in-the-future")


def test_a_category_that_the_city_has_not_configured_is_not_recorded() -> None:
    with pytest.raises(Invalid) as refused:
        proposed(configured=(ReportCategory.CRIMINAL_ADMISSION,))
    assert pointed_at(refused.value) == ("/category", "category-not-configured")


def test_a_category_is_recorded_where_every_text_in_force_names_it() -> None:
    told, others = frozenset({CHILD, ADULT}), frozenset({ADULT})
    assert proposed(disclosed=(told, told)) == proposed()
    for disclosed in ((others,), (told, others), (frozenset(),)):
        with pytest.raises(CategoryNotDisclosed):
            proposed(disclosed=disclosed)


def test_somebody_else_files_what_was_proposed() -> None:
    assert PROPOSED.file(by=FIRST) == MandatoryReportFiled(report_id=NEW)
    by_a_director = replace(PROPOSED, proposed_by="director.1")
    assert by_a_director.file(by=SECOND) == MandatoryReportFiled(report_id=NEW)


@pytest.mark.parametrize("role", [Role.DIRECTOR, Role.MEDIATOR])
def test_nobody_files_what_they_proposed_whatever_role_they_come_in(role: Role) -> None:
    with pytest.raises(SecondPersonRequired) as refused:
        PROPOSED.file(by=Actor(role, "mediator.1"))
    assert isinstance(refused.value, Conflict)
    assert refused.value.code == "second-person-required"


@pytest.mark.parametrize("reason", DropReason)
def test_what_was_proposed_can_be_dropped_by_who_proposed_it_too(reason: DropReason) -> None:
    assert PROPOSED.drop(reason) == MandatoryReportDropped(report_id=NEW, reason=reason)


@pytest.mark.parametrize("state", [ReportState.FILED, ReportState.DROPPED])
def test_what_is_decided_is_not_decided_again(state: ReportState) -> None:
    decided = replace(PROPOSED, state=state)
    with pytest.raises(StateConflict):
        decided.file(by=FIRST)
    with pytest.raises(StateConflict):
        decided.drop(DropReason.NO_DUTY)


def test_its_events_are_for_nobody_but_who_may_see_the_report() -> None:
    for event in (MandatoryReportProposed, MandatoryReportFiled, MandatoryReportDropped):
        assert event.visibility is Visibility.RESTRICTED


def test_the_words_of_a_report_do_not_change() -> None:
    """They stand in hashes and in the table."""
    assert set(ReportCategory) == {
        "child_abuse",
        "adult_abuse",
        "imminent_harm",
        "criminal_admission",
        "witnessed_misconduct",
    }
    assert set(Recipient) == {
        "child_protection",
        "adult_protection",
        "law_enforcement",
        "prosecutor",
        "police_standards",
    }
    assert set(DropReason) == {"no_duty", "reported_elsewhere", "entered_in_error"}


# ── how many there were ────────────────────────────────────────────────────────────────────────────────────────────

CHILD, ADULT, *_ = ReportCategory


def last_year(**numbers: int) -> YearlyCount:
    """What is told in 2027 of a year with so many reports of each category."""
    entered = {(2026, ReportCategory(name)): number for name, number in numbers.items()}
    return yearly_counts(entered, 2027)[0]


def test_five_years_that_are_over_are_told_and_nothing_of_this_one_or_of_before() -> None:
    entered = {(year, CHILD): 7 for year in (2027, 2026, 2025, 2023, 2022, 2021, 2019)}
    counts = yearly_counts(entered, 2027)
    assert [(each.year, each.reports) for each in counts] == [(2026, 7), (2025, 7), (2024, None), (2023, 7), (2022, 7)]
    assert len(counts) == YEARS_COUNTED
    assert yearly_counts({}, 2027) == yearly_counts({(2027, CHILD): 99}, 2027)


def test_fewer_than_five_are_told_as_none_are() -> None:
    assert [last_year(child_abuse=number).reports for number in range(7)] == [None] * 5 + [5, 6]
    assert last_year(child_abuse=3, adult_abuse=1) == last_year()
    assert last_year(child_abuse=3, adult_abuse=2).reports == 5


def test_a_category_is_told_where_each_has_five() -> None:
    whole = {each.value: SMALLEST_COUNT + number for number, each in enumerate(ReportCategory)}
    assert last_year(**whole).by_category == tuple((ReportCategory(each), number) for each, number in whole.items())
    for name in whole:
        assert last_year(**{**whole, name: SMALLEST_COUNT - 1}).by_category is None


def test_nobody_works_out_a_number_below_five_from_what_is_told() -> None:
    """All that is told of any two years: what it leaves open is more than one number wherever that is below five."""
    worlds: dict[YearlyCount, list[Mapping[str, int]]] = defaultdict(list)
    for numbers in product((0, 1, 4, 5, 6), repeat=len(ReportCategory)):
        world = dict(zip(map(str, ReportCategory), numbers, strict=True))
        worlds[last_year(**world)].append(world)
    assert len(worlds) > 20
    for possible in worlds.values():
        for category in ReportCategory:
            left = {world[category] for world in possible}
            assert len(left) > 1 or min(left) >= SMALLEST_COUNT
        sums = {sum(world.values()) for world in possible}
        assert len(sums) > 1 or min(sums) >= SMALLEST_COUNT
