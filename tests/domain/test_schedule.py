"""When a job was last due, and whether it runs now."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from mediation_api.domain.schedule import is_due, last_due

ZONE: Final = ZoneInfo("America/Los_Angeles")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "times", "due"),
    [
        ("2026-03-02 10:29", ["02:30"], "2026-03-01 10:30"),
        ("2026-03-02 10:30", ["02:30"], "2026-03-02 10:30"),
        ("2026-03-02 23:00", ["02:30", "14:00"], "2026-03-02 22:00"),
        ("2026-03-02 10:14", [":15"], "2026-03-02 09:15"),
        ("2026-03-02 08:05", [":00"], "2026-03-02 08:00"),
        ("2026-03-08 12:00", ["02:30"], "2026-03-08 10:30"),  # the clock skips that hour
        ("2026-11-01 12:00", ["01:30"], "2026-11-01 08:30"),  # and has this one twice
    ],
)
def test_the_last_time_is_that_of_the_office(now: str, times: list[str], due: str) -> None:
    assert last_due(at(now), times, ZONE) == at(due)


@pytest.mark.parametrize(
    ("last_success", "expected"),
    [(None, True), ("2026-02-20 10:30", True), ("2026-03-02 10:29", True), ("2026-03-02 10:30", False)],
)
def test_what_was_missed_is_made_up_once(last_success: str | None, *, expected: bool) -> None:
    last = None if last_success is None else at(last_success)
    assert is_due(at("2026-03-02 12:00"), ["02:30"], ZONE, last) == expected


def test_a_job_without_times_is_never_due() -> None:
    assert not is_due(at("2026-03-02 12:00"), [], ZONE, None)
