"""What the rules call unusual, and what they do not."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from mediation_api.domain.access import Role
from mediation_api.domain.access_anomalies import (
    ANOMALY_RULES,
    FITTING,
    LONGEST_DAYS,
    AccessSummary,
    Anomaly,
    AnomalyKind,
    AnomalyRuleSet,
    AnomalyThresholds,
    ClosedAccess,
    DayTotal,
    Period,
    Reads,
    find_anomalies,
)
from mediation_api.domain.access_log import DEFAULT_PURPOSE, Purpose
from mediation_api.domain.target import TargetPolicy

MONDAY: Final = date(2026, 3, 2)
CITY: Final = TargetPolicy(ZoneInfo("America/Los_Angeles"), frozenset({date(2026, 3, 4)}))
ONE, TWO, THREE = (UUID(int=n) for n in (1, 2, 3))
CASE: Final = UUID(int=9)


def summary(**changes: object) -> AccessSummary:
    """A coordinator who opens a case of their own in the middle of a working day."""
    usual = AccessSummary(
        role=Role.COORDINATOR,
        by="ann",
        complaint_id=ONE,
        case_id=CASE,
        coordinator="ann",
        has_part=False,
        on=MONDAY,
        hour=10,
        purpose=Purpose.CASEWORK,
        accesses=1,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def by(role: Role, **changes: object) -> AccessSummary:
    """The same of somebody of another role, for that role's everyday purpose."""
    return summary(**{"role": role, "by": f"{role}.1", "purpose": DEFAULT_PURPOSE[role], **changes})


def find(*summaries: AccessSummary, rules: AnomalyRuleSet = ANOMALY_RULES) -> tuple[Anomaly, ...]:
    return find_anomalies(Reads(summaries=summaries), AnomalyThresholds(), CITY, rules)


def told(found: Iterable[Anomaly]) -> Sequence[tuple[AnomalyKind, str, date, int, int]]:
    return [(each.rule, each.by, each.on, each.number, each.usual) for each in found]


def seen(*summaries: AccessSummary) -> Sequence[tuple[AnomalyKind, str, date, int, int]]:
    return told(find(*summaries))


def rules(*summaries: AccessSummary) -> set[AnomalyKind]:
    return {rule for rule, *_ in seen(*summaries)}


def test_who_opens_their_own_case_at_work_is_in_no_report() -> None:
    assert (
        seen(summary(), summary(purpose=Purpose.PARTY_REQUEST, hour=18), summary(complaint_id=TWO, on=date(2026, 3, 3)))
        == []
    )


def test_every_rule_says_what_it_observes_of_whom_and_none_twice() -> None:
    assert [rule.code for rule in ANOMALY_RULES.rules] == list(AnomalyKind)
    for rule in ANOMALY_RULES.rules:
        assert rule.statement
        assert rule.look.__doc__
        assert rule.roles <= DEFAULT_PURPOSE.keys()


def test_a_report_is_of_the_current_rules_unless_others_are_named() -> None:
    away = summary(coordinator="ben", hour=3)
    assert rules(away) == {AnomalyKind.NO_PART, AnomalyKind.OUTSIDE_HOURS}
    fewer = replace(ANOMALY_RULES, rules=ANOMALY_RULES.rules[:1])
    assert [each.rule for each in find(away, rules=fewer)] == [AnomalyKind.NO_PART]


def test_a_report_can_quote_the_version_of_the_rules() -> None:
    assert ANOMALY_RULES.version == "2026-11"


# ── no part ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_case_that_somebody_else_coordinates_is_told_once_a_day_with_how_often_it_was_opened() -> None:
    other = summary(coordinator="ben", accesses=2)
    again = replace(other, hour=11, accesses=3, purpose=Purpose.PARTY_REQUEST)
    later = replace(other, on=date(2026, 3, 3))
    assert find(again, later, other) == (
        Anomaly(
            rule=AnomalyKind.NO_PART,
            on=date(2026, 3, 3),
            role=Role.COORDINATOR,
            by="ann",
            complaint_id=ONE,
            case_id=CASE,
            number=2,
            usual=0,
            purposes=(Purpose.CASEWORK,),
        ),
        Anomaly(
            rule=AnomalyKind.NO_PART,
            on=MONDAY,
            role=Role.COORDINATOR,
            by="ann",
            complaint_id=ONE,
            case_id=CASE,
            number=5,
            usual=0,
            purposes=(Purpose.CASEWORK, Purpose.PARTY_REQUEST),
        ),
    )


def test_a_case_that_nobody_coordinates_yet_is_everybody_s() -> None:
    assert rules(summary(coordinator=None), by(Role.INTAKE, coordinator=None)) == set()


@pytest.mark.parametrize("has_part", [False, True])
def test_who_has_a_part_in_a_case_may_open_it(*, has_part: bool) -> None:
    assert (rules(summary(coordinator="ben", has_part=has_part)) == {AnomalyKind.NO_PART}) != has_part


def test_what_was_recorded_is_a_part_for_thirty_days_unless_a_city_says_otherwise() -> None:
    assert AnomalyThresholds().part_days == 30


def test_of_those_who_look_after_all_cases_or_reach_their_own_alone_it_says_nothing() -> None:
    summaries = [by(role, coordinator="ben") for role in sorted(DEFAULT_PURPOSE)]
    assert {(rule, who) for rule, who, *_ in seen(*summaries)} == {
        (AnomalyKind.NO_PART, "coordinator.1"),
        (AnomalyKind.NO_PART, "intake.1"),
    }


# ── many in a day ──────────────────────────────────────────────────────────────────────────────────────────────────


def day(by: str, number: int, on: date = MONDAY, role: Role = Role.COORDINATOR) -> DayTotal:
    return DayTotal(role=role, by=by, on=on, complaints=number, purposes=frozenset({DEFAULT_PURPOSE[role]}))


def many(*days: DayTotal, thresholds: AnomalyThresholds | None = None) -> Sequence[tuple[object, ...]]:
    return told(find_anomalies(Reads(totals=days), thresholds or AnomalyThresholds(), CITY))


def test_a_day_of_many_complaints_says_nothing_of_any_one() -> None:
    reads = Reads(totals=[replace(day("ann", 21), purposes=frozenset({Purpose.CASEWORK, Purpose.AUDIT}))])
    assert find_anomalies(reads, AnomalyThresholds(), CITY) == (
        Anomaly(
            rule=AnomalyKind.MANY_IN_A_DAY,
            on=MONDAY,
            role=Role.COORDINATOR,
            by="ann",
            complaint_id=None,
            case_id=None,
            number=21,
            usual=20,
            purposes=(Purpose.AUDIT, Purpose.CASEWORK),
        ),
    )
    assert many(day("ann", 20)) == []


def test_many_is_held_against_the_median_of_what_colleagues_open_in_a_day() -> None:
    colleagues = [day("ben", 9), day("ben", 8, date(2026, 3, 3)), day("cat", 400)]
    assert many(day("ann", 27), day("cat", 8), day("ben", 9), day("ben", 9, date(2026, 3, 3))) == []
    assert (AnomalyKind.MANY_IN_A_DAY, "ann", MONDAY, 28, 27) in many(day("ann", 28), *colleagues)
    assert (AnomalyKind.MANY_IN_A_DAY, "ann", MONDAY, 27, 27) not in many(day("ann", 27), *colleagues)


def test_many_is_not_held_against_another_role_or_against_oneself() -> None:
    own_days = [day("ann", 21), day("ann", 21, date(2026, 3, 3))]
    of_another_role = day("dee", 100, role=Role.INTAKE)
    assert {(who, at_most) for _, who, _, _, at_most in many(*own_days, of_another_role)} == {("ann", 20), ("dee", 20)}


def test_without_colleagues_the_city_s_number_stands_alone() -> None:
    thresholds = AnomalyThresholds(complaints_a_day=1)
    assert many(day("ann", 2), thresholds=thresholds) == [(AnomalyKind.MANY_IN_A_DAY, "ann", MONDAY, 2, 1)]


def test_what_a_program_opens_is_not_many() -> None:
    assert many(day("system", 500, role=Role.INTEGRATION)) == []


# ── outside hours ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("on", "hour", "observed"),
    [
        (MONDAY, 6, True),
        (MONDAY, 7, False),
        (MONDAY, 18, False),
        (MONDAY, 19, True),
        (date(2026, 3, 1), 10, True),
        (date(2026, 3, 4), 10, True),
    ],
)
def test_the_office_s_hours_are_those_of_its_working_days(on: date, hour: int, *, observed: bool) -> None:
    assert (rules(summary(on=on, hour=hour)) == {AnomalyKind.OUTSIDE_HOURS}) == observed


def test_only_what_was_opened_outside_the_hours_is_counted() -> None:
    found = seen(summary(hour=18, accesses=4), summary(hour=19, accesses=2), summary(hour=23, accesses=1))
    assert found == [(AnomalyKind.OUTSIDE_HOURS, "ann", MONDAY, 3, 0)]


def test_mediators_and_programs_keep_their_own_hours() -> None:
    summaries = [by(role, hour=2) for role in sorted(DEFAULT_PURPOSE)]
    assert {who for _, who, *_ in seen(*summaries)} == {
        f"{role}.1" for role in ("auditor", "coordinator", "director", "intake")
    }


# ── a closed case again and again ──────────────────────────────────────────────────────────────────────────────────

WEEK: Final = [date(2026, 3, n) for n in (2, 3, 5)]


def closed(*days: date, role: Role = Role.MEDIATOR) -> ClosedAccess:
    return ClosedAccess(
        role=role,
        by=f"{role}.1",
        complaint_id=ONE,
        case_id=CASE,
        days=frozenset(days),
        purposes=frozenset({Purpose.MEDIATION, Purpose.CASEWORK}),
    )


def test_a_closed_case_on_more_days_than_usual_is_told_once_on_the_last() -> None:
    assert find_anomalies(Reads(closed=[closed(*WEEK)]), AnomalyThresholds(), CITY) == (
        Anomaly(
            rule=AnomalyKind.CLOSED_AGAIN,
            on=WEEK[-1],
            role=Role.MEDIATOR,
            by="mediator.1",
            complaint_id=ONE,
            case_id=CASE,
            number=3,
            usual=2,
            purposes=(Purpose.CASEWORK, Purpose.MEDIATION),
        ),
    )
    assert find_anomalies(Reads(closed=[closed(*WEEK[1:])]), AnomalyThresholds(), CITY) == ()


def test_what_a_program_opens_again_is_not_told() -> None:
    assert find_anomalies(Reads(closed=[closed(*WEEK, role=Role.INTEGRATION)]), AnomalyThresholds(), CITY) == ()


# ── a purpose that does not fit ────────────────────────────────────────────────────────────────────────────────────


def test_what_one_name_opened_in_two_roles_is_not_added_up() -> None:
    """Two providers of identities may give the same name."""
    assert seen(summary(hour=3), by(Role.AUDITOR, by="ann", hour=3)) == [
        (AnomalyKind.OUTSIDE_HOURS, "ann", MONDAY, 1, 0)
    ] * len((Role.COORDINATOR, Role.AUDITOR))


def test_the_everyday_purpose_of_each_role_fits_it() -> None:
    assert FITTING.keys() == DEFAULT_PURPOSE.keys()
    assert all(DEFAULT_PURPOSE[role] in fitting for role, fitting in FITTING.items())


@pytest.mark.parametrize("role", sorted(DEFAULT_PURPOSE))
@pytest.mark.parametrize("purpose", sorted(Purpose))
def test_a_purpose_of_another_role_is_told(role: Role, purpose: Purpose) -> None:
    found = find(by(role, purpose=purpose, coordinator=None))
    assert [each.rule for each in found] == ([] if purpose in FITTING[role] else [AnomalyKind.PURPOSE_UNFIT])
    assert [each.purposes for each in found] == [(purpose,)] * len(found)


def test_staff_an_auditor_and_a_mediator_answer_people_and_courts() -> None:
    staff = (Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR)
    assert {role for role, purposes in FITTING.items() if Purpose.PARTY_REQUEST in purposes} == {*staff, Role.MEDIATOR}
    assert {role for role, purposes in FITTING.items() if Purpose.LEGAL_REQUEST in purposes} == {*staff, Role.AUDITOR}


def test_nobody_but_a_mediator_mediates_and_nobody_but_the_auditor_and_the_director_audits() -> None:
    of = {purpose: {role for role, fitting in FITTING.items() if purpose in fitting} for purpose in Purpose}
    assert of[Purpose.MEDIATION] == {Role.MEDIATOR}
    assert of[Purpose.AUDIT] == {Role.AUDITOR, Role.DIRECTOR}
    assert of[Purpose.SUPERVISION] == {Role.DIRECTOR}
    assert of[Purpose.EXCHANGE] == {Role.INTEGRATION}


# ── the report ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_report_has_the_newest_day_first_and_the_same_order_each_time() -> None:
    summaries = [
        summary(coordinator="ben", complaint_id=each, on=on, hour=3) for each in (ONE, TWO, THREE) for on in WEEK
    ]
    found = find(*summaries)
    assert len(found) == 18
    assert [each.on for each in found] == sorted((each.on for each in found), reverse=True)
    assert find(*summaries[::-1]) == found
    assert len({each.place for each in found}) == len(found)


def test_what_one_person_did_has_a_place_apart_from_another_s_and_from_another_role_s() -> None:
    three = [
        summary(coordinator="zoe", by=who, role=role)
        for who, role in (("ann", Role.COORDINATOR), ("ben", Role.COORDINATOR), ("ann", Role.INTAKE))
    ]
    assert len({each.place for each in find(*three)}) == 3


def test_a_period_is_a_week_up_to_today_unless_somebody_says_otherwise() -> None:
    assert Period.of(None, None, MONDAY) == Period(date(2026, 2, 24), MONDAY)
    assert Period.of(None, date(2026, 2, 1), MONDAY) == Period(date(2026, 1, 25), date(2026, 1, 31))
    assert Period.of(date(2026, 2, 20), None, MONDAY) == Period(date(2026, 2, 20), MONDAY)


@pytest.mark.parametrize(("days", "sound"), [(-1, False), (0, True), (LONGEST_DAYS - 1, True), (LONGEST_DAYS, False)])
def test_a_period_has_a_day_at_least_and_thirty_one_at_most(days: int, *, sound: bool) -> None:
    assert Period(MONDAY, MONDAY + timedelta(days=days)).is_sound is sound


def test_a_period_is_a_month_at_most() -> None:
    assert LONGEST_DAYS == 31


def test_a_period_is_divided_from_its_end_on() -> None:
    month = Period(date(2026, 3, 1), date(2026, 3, 31))
    parts = list(month.newest_first())
    assert [len(part.days) for part in parts] == [1, 2, *[4] * 7]
    assert sorted(day for part in parts for day in part.days) == month.days
    assert [(part.first.day, part.last.day) for part in parts[:4]] == [(31, 31), (29, 30), (25, 28), (21, 24)]


def test_the_last_part_of_a_period_begins_where_the_period_does() -> None:
    assert list(Period(MONDAY, MONDAY + timedelta(days=1)).newest_first()) == [
        Period(MONDAY + timedelta(days=1), MONDAY + timedelta(days=1)),
        Period(MONDAY, MONDAY),
    ]
    assert list(Period(MONDAY, MONDAY).newest_first()) == [Period(MONDAY, MONDAY)]


def test_what_is_of_one_day_stands_by_its_identity() -> None:
    """A page goes on after the place of the last one."""
    others = [summary(coordinator="ben", hour=3, complaint_id=UUID(int=n)) for n in range(1, 9)]
    found = find(*others)
    assert [each.place for each in found] == sorted((each.place for each in found), reverse=True)
