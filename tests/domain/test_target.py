"""The four-week target, in sentences, and a table of deadlines over clock changes, leap days and ends of months."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.domain.cases import pointed_at

from mediation_api.domain.errors import Invalid
from mediation_api.domain.target import (
    Pace,
    Pause,
    PauseReason,
    Target,
    TargetPolicy,
    add_working_days,
    due_on,
    local_date,
    pace,
    report,
)
from mediation_api.domain.values import Alert

NEW_YORK = "America/New_York"
LOS_ANGELES = "America/Los_Angeles"
DUBLIN = "Europe/Dublin"
AUCKLAND = "Pacific/Auckland"
ZONES = (NEW_YORK, LOS_ANGELES, DUBLIN, AUCKLAND)

# Zone, the filing on the office's wall clock with the offset that holds there, and the deadline, worked out without the
# code. The date that is written is the local one, so each row can be checked with a paper calendar; the test checks
# the offset.
DEADLINES = (
    # The day on which summer time starts, and the days around it.
    (NEW_YORK, "2026-03-07T23:59:59-05:00", "2026-04-04"),
    (NEW_YORK, "2026-03-08T00:00:00-05:00", "2026-04-05"),
    (NEW_YORK, "2026-03-08T01:59:59-05:00", "2026-04-05"),
    (NEW_YORK, "2026-03-08T03:00:00-04:00", "2026-04-05"),
    (NEW_YORK, "2026-03-08T23:59:59-04:00", "2026-04-05"),
    (NEW_YORK, "2026-03-09T00:00:00-04:00", "2026-04-06"),
    (NEW_YORK, "2027-03-13T23:59:59-05:00", "2027-04-10"),
    (NEW_YORK, "2027-03-14T01:59:59-05:00", "2027-04-11"),
    (NEW_YORK, "2027-03-14T03:00:00-04:00", "2027-04-11"),
    (NEW_YORK, "2027-03-14T23:59:59-04:00", "2027-04-11"),
    (LOS_ANGELES, "2026-03-08T01:59:59-08:00", "2026-04-05"),
    (LOS_ANGELES, "2026-03-08T03:00:00-07:00", "2026-04-05"),
    (LOS_ANGELES, "2026-03-08T23:59:59-07:00", "2026-04-05"),
    (LOS_ANGELES, "2027-03-14T00:00:00-08:00", "2027-04-11"),
    (LOS_ANGELES, "2027-03-14T23:59:59-07:00", "2027-04-11"),
    (DUBLIN, "2026-03-29T00:59:59+00:00", "2026-04-26"),
    (DUBLIN, "2026-03-29T02:00:00+01:00", "2026-04-26"),
    (DUBLIN, "2026-03-29T23:59:59+01:00", "2026-04-26"),
    (DUBLIN, "2027-03-28T00:59:59+00:00", "2027-04-25"),
    (DUBLIN, "2027-03-28T23:59:59+01:00", "2027-04-25"),
    (AUCKLAND, "2026-09-27T01:59:59+12:00", "2026-10-25"),
    (AUCKLAND, "2026-09-27T03:00:00+13:00", "2026-10-25"),
    (AUCKLAND, "2026-09-27T23:59:59+13:00", "2026-10-25"),
    (AUCKLAND, "2027-09-26T01:59:59+12:00", "2027-10-24"),
    (AUCKLAND, "2027-09-26T23:59:59+13:00", "2027-10-24"),
    # The day on which summer time ends: an hour comes twice.
    (NEW_YORK, "2026-10-31T23:59:59-04:00", "2026-11-28"),
    (NEW_YORK, "2026-11-01T00:00:00-04:00", "2026-11-29"),
    (NEW_YORK, "2026-11-01T01:30:00-04:00", "2026-11-29"),
    (NEW_YORK, "2026-11-01T01:30:00-05:00", "2026-11-29"),
    (NEW_YORK, "2026-11-01T23:59:59-05:00", "2026-11-29"),
    (NEW_YORK, "2027-11-06T23:59:59-04:00", "2027-12-04"),
    (NEW_YORK, "2027-11-07T01:30:00-04:00", "2027-12-05"),
    (NEW_YORK, "2027-11-07T01:30:00-05:00", "2027-12-05"),
    (NEW_YORK, "2027-11-07T23:59:59-05:00", "2027-12-05"),
    (LOS_ANGELES, "2026-11-01T01:30:00-07:00", "2026-11-29"),
    (LOS_ANGELES, "2026-11-01T01:30:00-08:00", "2026-11-29"),
    (LOS_ANGELES, "2026-11-01T23:59:59-08:00", "2026-11-29"),
    (LOS_ANGELES, "2027-11-07T00:00:00-07:00", "2027-12-05"),
    (LOS_ANGELES, "2027-11-07T23:59:59-08:00", "2027-12-05"),
    (DUBLIN, "2026-10-25T01:30:00+01:00", "2026-11-22"),
    (DUBLIN, "2026-10-25T01:30:00+00:00", "2026-11-22"),
    (DUBLIN, "2026-10-25T23:59:59+00:00", "2026-11-22"),
    (DUBLIN, "2027-10-31T00:00:00+01:00", "2027-11-28"),
    (DUBLIN, "2027-10-31T23:59:59+00:00", "2027-11-28"),
    (AUCKLAND, "2026-04-05T02:30:00+13:00", "2026-05-03"),
    (AUCKLAND, "2026-04-05T02:30:00+12:00", "2026-05-03"),
    (AUCKLAND, "2026-04-05T23:59:59+12:00", "2026-05-03"),
    (AUCKLAND, "2027-04-04T00:00:00+13:00", "2027-05-02"),
    (AUCKLAND, "2027-04-04T23:59:59+12:00", "2027-05-02"),
    # The clocks change between the filing and the deadline, or on the deadline itself.
    (NEW_YORK, "2026-10-20T00:30:00-04:00", "2026-11-17"),
    (NEW_YORK, "2026-10-20T23:30:00-04:00", "2026-11-17"),
    (NEW_YORK, "2026-02-20T23:30:00-05:00", "2026-03-20"),
    (NEW_YORK, "2026-10-04T00:15:00-04:00", "2026-11-01"),
    (NEW_YORK, "2026-02-08T23:59:59-05:00", "2026-03-08"),
    (LOS_ANGELES, "2026-10-20T00:30:00-07:00", "2026-11-17"),
    (LOS_ANGELES, "2027-02-20T23:30:00-08:00", "2027-03-20"),
    (DUBLIN, "2026-03-15T23:30:00+00:00", "2026-04-12"),
    (AUCKLAND, "2026-03-20T00:30:00+13:00", "2026-04-17"),
    # 29 February: filed on it, due on it, passed over, and absent.
    (NEW_YORK, "2028-02-29T12:00:00-05:00", "2028-03-28"),
    (NEW_YORK, "2028-02-01T23:59:59-05:00", "2028-02-29"),
    (LOS_ANGELES, "2028-02-02T00:00:00-08:00", "2028-03-01"),
    (DUBLIN, "2028-02-29T23:59:59+00:00", "2028-03-28"),
    (AUCKLAND, "2028-02-29T00:00:00+13:00", "2028-03-28"),
    (NEW_YORK, "2027-02-01T12:00:00-05:00", "2027-03-01"),
    (AUCKLAND, "2027-02-28T23:59:59+13:00", "2027-03-28"),
    # The ends of months and years.
    (NEW_YORK, "2026-01-31T23:59:59-05:00", "2026-02-28"),
    (NEW_YORK, "2026-12-31T23:59:59-05:00", "2027-01-28"),
    (NEW_YORK, "2027-01-01T00:00:00-05:00", "2027-01-29"),
    (NEW_YORK, "2026-12-03T23:59:59-05:00", "2026-12-31"),
    (NEW_YORK, "2026-12-04T00:00:00-05:00", "2027-01-01"),
    (LOS_ANGELES, "2026-12-31T23:59:59-08:00", "2027-01-28"),
    (LOS_ANGELES, "2026-04-30T23:59:59-07:00", "2026-05-28"),
    (DUBLIN, "2026-12-31T23:59:59+00:00", "2027-01-28"),
    (DUBLIN, "2026-07-31T23:59:59+01:00", "2026-08-28"),
    (AUCKLAND, "2026-12-31T23:59:59+13:00", "2027-01-28"),
    (AUCKLAND, "2027-01-01T00:00:00+13:00", "2027-01-29"),
)


def policy(zone: str = NEW_YORK, *holidays: date) -> TargetPolicy:
    return TargetPolicy(ZoneInfo(zone), frozenset(holidays))


def day(text: str) -> date:
    return date.fromisoformat(text)


def test_the_table_of_deadlines_is_long_enough_and_covers_four_zones() -> None:
    assert len(set(DEADLINES)) == len(DEADLINES) >= 60
    assert {zone for zone, _, _ in DEADLINES} == set(ZONES)


@pytest.mark.parametrize(("zone", "wall", "due"), DEADLINES)
def test_a_case_is_due_28_local_days_after_it_was_requested(zone: str, wall: str, due: str) -> None:
    requested_at = datetime.fromisoformat(wall)
    assert requested_at.astimezone(ZoneInfo(zone)).isoformat() == wall, "the row states an offset that holds there"
    assert due_on(requested_at, policy(zone)) == day(due)


@pytest.mark.parametrize(("zone", "wall", "due"), DEADLINES)
def test_the_deadline_does_not_depend_on_the_offset_in_which_the_instant_is_written(
    zone: str, wall: str, due: str
) -> None:
    instant = datetime.fromisoformat(wall)
    written = [instant.astimezone(UTC), *(instant.astimezone(ZoneInfo(other)) for other in ZONES)]
    assert {due_on(same, policy(zone)) for same in written} == {day(due)}


@pytest.mark.parametrize("zone", ZONES)
def test_on_every_day_of_three_years_the_first_and_the_last_second_share_a_deadline(zone: str) -> None:
    filed_on = day("2026-01-01")
    while filed_on < day("2029-01-01"):
        for clock in ((0, 0, 0), (23, 59, 59)):
            at = datetime(filed_on.year, filed_on.month, filed_on.day, *clock, tzinfo=ZoneInfo(zone))
            assert due_on(at, policy(zone)).toordinal() == filed_on.toordinal() + 28
        filed_on += timedelta(days=1)


def test_four_weeks_over_new_yorks_november_are_673_hours_and_hours_would_miss_the_day() -> None:
    zone = ZoneInfo(NEW_YORK)
    requested_at = datetime(2026, 10, 20, 0, 30, tzinfo=zone)
    same_clock = datetime(2026, 11, 17, 0, 30, tzinfo=zone)
    by_hours = (requested_at.astimezone(UTC) + timedelta(hours=28 * 24)).astimezone(zone)

    assert same_clock.astimezone(UTC) - requested_at.astimezone(UTC) == timedelta(hours=673)
    assert by_hours.date() == day("2026-11-16")
    assert due_on(requested_at, policy()) == day("2026-11-17")


def test_one_instant_is_a_different_day_for_offices_in_different_zones() -> None:
    instant = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)
    assert [local_date(instant, policy(zone)).day for zone in ZONES] == [30, 30, 1, 1]


def test_the_length_of_the_target_is_a_setting() -> None:
    at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert due_on(at, TargetPolicy(ZoneInfo(NEW_YORK), days=30)) == day("2026-07-01")


def test_a_time_without_a_zone_is_no_instant() -> None:
    naive = datetime(2026, 6, 1, 12, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        local_date(naive, policy())
    with pytest.raises(ValueError, match="time zone"):
        due_on(naive, policy())


# ── pace ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("2026-06-01", Pace.ON_TRACK),
        ("2026-06-21", Pace.ON_TRACK),
        ("2026-06-22", Pace.AT_RISK),
        ("2026-06-29", Pace.AT_RISK),
        ("2026-06-30", Pace.OVERDUE),
        ("2027-06-30", Pace.OVERDUE),
    ],
)
def test_an_open_case_is_at_risk_in_its_last_seven_days_and_overdue_after_the_due_day(
    today: str, expected: Pace
) -> None:
    assert pace(day("2026-06-29"), day(today), None, policy()) is expected


@pytest.mark.parametrize(
    ("closed", "expected"),
    [("2026-06-02", Pace.MET), ("2026-06-29", Pace.MET), ("2026-06-30", Pace.MISSED)],
)
def test_a_closed_case_met_its_target_up_to_and_including_the_due_day(closed: str, expected: Pace) -> None:
    long_after = day("2030-01-01")
    assert pace(day("2026-06-29"), long_after, day(closed), policy(), mediated=True) is expected


@pytest.mark.parametrize("closed", ["2026-06-02", "2026-06-29", "2026-06-30"])
def test_a_case_that_closed_without_being_mediated_neither_met_nor_missed_its_target(closed: str) -> None:
    assert pace(day("2026-06-29"), day("2030-01-01"), day(closed), policy(), mediated=False) is None
    ended = Target(OPENED.requested_on, OPENED.due_on, closed_on=day(closed))
    assert (report(ended, on_day(500), policy()).pace, report(ended, on_day(500), policy()).alerts) == (None, ())


def test_a_case_that_closes_in_the_last_second_of_the_due_day_meets_its_target() -> None:
    closed_on = local_date(datetime.fromisoformat("2026-06-29T23:59:59-04:00"), policy())
    assert pace(day("2026-06-29"), day("2026-06-30"), closed_on, policy(), mediated=True) is Pace.MET


def test_how_early_a_case_is_at_risk_is_a_setting() -> None:
    sooner = TargetPolicy(ZoneInfo(NEW_YORK), at_risk_days=10)
    assert pace(day("2026-06-29"), day("2026-06-19"), None, sooner) is Pace.AT_RISK
    assert pace(day("2026-06-29"), day("2026-06-18"), None, sooner) is Pace.ON_TRACK


# ── the report ─────────────────────────────────────────────────────────────────────────────────────────────────────

OPENED = Target(requested_on=day("2026-06-01"), due_on=day("2026-06-29"))


def on_day(n: int) -> date:
    """Return the nth day after the request."""
    return OPENED.requested_on + timedelta(days=n)


def paused(starts: int, ends: int, reason: PauseReason = PauseReason.LEAVE) -> Pause:
    return Pause(reason, on_day(starts), on_day(ends))


def with_pauses(*pauses: Pause) -> Target:
    return Target(OPENED.requested_on, OPENED.due_on, pauses=pauses)


def test_on_the_first_day_a_case_has_all_its_days_before_it() -> None:
    today = report(OPENED, on_day(0), policy())
    assert (today.pace, today.days_left, today.raw_days, today.net_days) == (Pace.ON_TRACK, 28, 0, 0)
    assert (today.due_on, today.working_days_left, today.alerts) == (day("2026-06-29"), 20, ())


def test_working_days_leave_out_weekends_and_the_citys_holidays() -> None:
    juneteenth, saturday = day("2026-06-19"), day("2026-06-20")
    assert report(OPENED, on_day(0), policy(NEW_YORK, juneteenth, saturday)).working_days_left == 19


def test_the_due_day_counts_as_a_working_day_left_and_today_does_not() -> None:
    friday = report(OPENED, day("2026-06-26"), policy())
    assert (friday.days_left, friday.working_days_left) == (3, 1)
    assert report(OPENED, day("2026-06-28"), policy()).working_days_left == 1
    assert report(OPENED, day("2026-06-29"), policy()).working_days_left == 0


def test_days_left_turn_negative_and_working_days_left_stay_at_none_once_overdue() -> None:
    late = report(OPENED, on_day(38), policy())
    assert (late.days_left, late.working_days_left, late.raw_days) == (-10, 0, 38)


@pytest.mark.parametrize(
    ("n", "alerts"),
    [
        (20, ()),
        (21, (Alert.TARGET_AT_RISK,)),
        (28, (Alert.TARGET_AT_RISK,)),
        (29, (Alert.TARGET_MISSED,)),
        (31, (Alert.TARGET_MISSED,)),
        (60, (Alert.TARGET_MISSED,)),
        (61, (Alert.TARGET_MISSED, Alert.TARGET_ESCALATED)),
    ],
)
def test_alerts_grow_with_the_days_and_day_61_escalates(n: int, alerts: tuple[Alert, ...]) -> None:
    assert report(OPENED, on_day(n), policy()).alerts == alerts


def test_when_a_case_escalates_is_a_setting() -> None:
    sooner = TargetPolicy(ZoneInfo(NEW_YORK), escalate_after_days=40)
    assert Alert.TARGET_ESCALATED in report(OPENED, on_day(41), sooner).alerts
    assert Alert.TARGET_ESCALATED not in report(OPENED, on_day(40), sooner).alerts


def test_a_closed_case_raises_no_alert_and_its_numbers_stand_still() -> None:
    pauses = (paused(10, 12), paused(71, 80))
    closed = Target(OPENED.requested_on, OPENED.due_on, closed_on=on_day(70), mediated=True, pauses=pauses)
    reports = {report(closed, on_day(n), policy()) for n in (70, 71, 500)}
    assert len(reports) == 1
    (at_close,) = reports
    assert (at_close.pace, at_close.alerts) == (Pace.MISSED, ())
    assert (at_close.days_left, at_close.working_days_left) == (-42, 0)
    assert (at_close.raw_days, at_close.net_days) == (70, 67)


def test_a_case_closed_in_time_keeps_the_days_it_had_to_spare() -> None:
    closed = Target(OPENED.requested_on, OPENED.due_on, closed_on=day("2026-06-22"), mediated=True)
    at_close = report(closed, on_day(200), policy())
    assert (at_close.pace, at_close.days_left, at_close.working_days_left) == (Pace.MET, 7, 5)


def test_a_clock_set_back_over_midnight_gives_no_negative_days() -> None:
    before = report(with_pauses(paused(-3, 3)), on_day(-1), policy())
    assert (before.raw_days, before.net_days, before.days_left) == (0, 0, 29)


# ── pauses ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reason", PauseReason)
def test_a_pause_never_moves_the_due_day_the_pace_or_the_raw_days(reason: PauseReason) -> None:
    for n in (5, 25, 31, 61):
        plain = report(OPENED, on_day(n), policy())
        waited = report(with_pauses(paused(1, 20, reason)), on_day(n), policy())
        assert (waited.due_on, waited.pace, waited.days_left) == (plain.due_on, plain.pace, plain.days_left)
        assert (waited.raw_days, waited.alerts) == (plain.raw_days, plain.alerts)
        assert waited.net_days < plain.net_days


@pytest.mark.parametrize(
    ("pauses", "net"),
    [
        ((), 30),
        ((paused(5, 5),), 29),
        ((paused(5, 9),), 25),
        ((paused(5, 9), paused(10, 10)), 24),
        ((paused(5, 9), paused(9, 12)), 22),
        ((paused(5, 9), paused(7, 12), paused(20, 21)), 20),
        ((paused(5, 15), paused(7, 8), paused(14, 16)), 18),
        ((paused(20, 21), paused(5, 9)), 23),
        ((paused(5, 9), paused(5, 9)), 25),
        ((paused(5, 6), paused(5, 9)), 25),
        ((paused(-10, -5),), 30),
        ((paused(-10, 0),), 30),
        ((paused(-10, 1),), 29),
        ((paused(1, 30),), 0),
        ((paused(-10, 90),), 0),
        ((paused(30, 90),), 29),
        ((paused(31, 90),), 30),
    ],
    ids=lambda value: None if isinstance(value, int) else f"{len(value)} pauses",
)
def test_paused_days_are_counted_once_and_only_within_the_case(pauses: tuple[Pause, ...], net: int) -> None:
    on_30 = report(with_pauses(*pauses), on_day(30), policy())
    assert (on_30.raw_days, on_30.net_days) == (30, net)


def test_a_pause_may_lie_at_the_edges_of_the_calendar() -> None:
    always = Pause(PauseReason.COURT_DATE, date.min, date.max)
    assert report(with_pauses(always, always), on_day(9), policy()).net_days == 0


def test_a_pause_cannot_end_before_it_starts() -> None:
    with pytest.raises(Invalid) as refusal:
        paused(5, 4)
    assert pointed_at(refusal.value) == ("/ends_on", "not-before-starts-on")


# ── working days ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("start", "n", "expected"),
    [
        ("2026-11-23", 1, "2026-11-24"),
        ("2026-11-23", 5, "2026-12-01"),
        ("2026-11-20", 1, "2026-11-23"),
        ("2026-11-21", 1, "2026-11-23"),
        ("2026-11-22", 5, "2026-11-30"),
        ("2026-11-25", 1, "2026-11-27"),
        ("2026-12-28", 5, "2027-01-05"),
        ("2026-11-22", 0, "2026-11-22"),
    ],
)
def test_the_nth_working_day_skips_weekends_and_holidays(start: str, n: int, expected: str) -> None:
    holidays = frozenset({day("2026-11-26"), day("2027-01-01")})
    assert add_working_days(day(start), n, holidays) == day(expected)


def test_working_days_are_not_counted_backwards() -> None:
    with pytest.raises(ValueError, match="forwards"):
        add_working_days(day("2026-11-23"), -1, frozenset())
