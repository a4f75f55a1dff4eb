"""The secret address of a calendar feed."""

import re
from datetime import UTC, datetime

from mediation_api.domain import calendar_feeds

KEY = b"k" * 32
ENTROPY = bytes(range(calendar_feeds.FEED_ENTROPY_BYTES))


def test_a_token_has_the_form_of_an_address_and_all_of_its_random_bits() -> None:
    token = calendar_feeds.token_of(ENTROPY)
    assert re.fullmatch(calendar_feeds.FEED_TOKEN_PATTERN, token)
    assert re.fullmatch(calendar_feeds.FEED_TOKEN_PATTERN, calendar_feeds.token_of(b"\xff" * len(ENTROPY)))
    assert len({calendar_feeds.token_of(bytes([*ENTROPY[:n], 255, *ENTROPY[n + 1 :]])) for n in range(24)}) == 24


def test_what_is_stored_depends_on_the_token_and_the_key_and_is_neither() -> None:
    token = calendar_feeds.token_of(ENTROPY)
    stored = calendar_feeds.digest(token, KEY)
    assert len(stored) == 32
    assert stored == calendar_feeds.digest(token, KEY)
    assert stored != calendar_feeds.digest(token, b"l" * 32)
    assert stored != calendar_feeds.digest(token[::-1], KEY)
    assert token.encode() not in stored


def test_an_address_ends_after_so_many_days() -> None:
    made_at = datetime(2026, 3, 2, 20, tzinfo=UTC)
    assert calendar_feeds.expires_at(made_at, 90) == datetime(2026, 5, 31, 20, tzinfo=UTC)
