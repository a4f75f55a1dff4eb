"""How an instant is written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mediation_api.domain.values import in_utc


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    assert in_utc(datetime(2026, 3, 2, 12, tzinfo=timezone(timedelta(hours=-8)))) == "2026-03-02T20:00:00.000Z"
    assert in_utc(datetime(2026, 3, 2, 20, 0, 0, 1999, tzinfo=UTC)) == "2026-03-02T20:00:00.001Z"


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        in_utc(datetime(2026, 3, 2, 20))  # noqa: DTZ001 - that is what is refused
