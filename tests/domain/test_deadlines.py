"""What is recorded as the due date of a case comes near and passes."""

from collections.abc import Collection
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from mediation_api.domain.deadlines import passed
from mediation_api.domain.target import TargetPolicy

DUE_ON: Final = date(2026, 3, 31)
POLICY: Final = TargetPolicy(zone=ZoneInfo("UTC"), at_risk_days=5)


@pytest.mark.parametrize(
    ("today", "recorded", "kinds"),
    [
        (25, (), []),
        (26, (), ["case.at_risk"]),
        (26, ("case.at_risk",), []),
        (31, (), ["case.at_risk"]),
        (31, ("case.overdue",), ["case.at_risk"]),
        (32, (), ["case.overdue"]),
        (32, ("case.at_risk",), ["case.overdue"]),
        (60, ("case.at_risk", "case.overdue"), []),
    ],
)
def test_each_is_recorded_once_while_it_is_so(today: int, recorded: Collection[str], kinds: list[str]) -> None:
    day = date.fromordinal(date(2026, 2, 28).toordinal() + today)
    assert [event.kind for event in passed(DUE_ON, day, POLICY, recorded)] == kinds
