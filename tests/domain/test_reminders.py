"""From which day on somebody is reminded, and at which hour."""

from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import pytest
from tests.domain.cases import CITY

from mediation_api.domain import reminders
from mediation_api.domain.reminders import Reminder, ReminderKind
from mediation_api.domain.values import AgreementKind

MONDAY: Final = datetime(2026, 3, 2, 20, tzinfo=UTC)


def day(text: str) -> date:
    return date.fromisoformat(text)


def test_a_party_is_reminded_after_five_working_days() -> None:
    assert reminders.answer_due_on(MONDAY, CITY) == day("2026-03-09")


def test_a_mediator_is_reminded_on_the_day_after_the_last_one() -> None:
    assert reminders.proposal_due_on(day("2026-03-09")) == day("2026-03-10")


@pytest.mark.parametrize(
    ("kind", "starts_at", "due_on"),
    [
        (AgreementKind.CONFIDENTIALITY, None, "2026-03-09"),
        (AgreementKind.CONFIDENTIALITY, datetime(2026, 3, 30, 20, tzinfo=UTC), "2026-03-09"),
        (AgreementKind.CONFIDENTIALITY, datetime(2026, 3, 6, 20, tzinfo=UTC), "2026-03-05"),
        (AgreementKind.CONFIDENTIALITY, datetime(2026, 3, 3, 20, tzinfo=UTC), "2026-03-03"),
        (AgreementKind.RESOLUTION, datetime(2026, 3, 6, 20, tzinfo=UTC), "2026-03-09"),
    ],
)
def test_who_has_not_signed_is_reminded_before_the_session(
    kind: AgreementKind, starts_at: datetime | None, due_on: str
) -> None:
    assert reminders.signature_due_on(kind, MONDAY, starts_at, CITY) == day(due_on)


@pytest.mark.parametrize(
    ("at", "is_due"),
    [
        (datetime(2026, 3, 9, 11, 59, tzinfo=UTC), False),  # before eight in the morning there
        (datetime(2026, 3, 9, 12, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 8, 23, 0, tzinfo=UTC), False),
        (datetime(2026, 3, 10, 7, 30, tzinfo=UTC), True),
    ],
)
def test_a_reminder_waits_for_the_morning(at: datetime, *, is_due: bool) -> None:
    reminder = Reminder(
        kind=ReminderKind.ANSWER,
        case_id=UUID(int=1),
        party_id=UUID(int=2),
        mediator_id=None,
        about="",
        due_on=day("2026-03-09"),
    )
    assert reminder.is_due(at, CITY) == is_due
