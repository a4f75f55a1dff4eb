"""What can be guessed is told from what is random."""

import base64
import random
import uuid

import pytest

from mediation_api.domain.strength import guessable


def codes(text: str) -> list[int]:
    return [ord(character) for character in text]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0000000000000000", "too-few-different"),
        ("00000000-0000-4000-8000-000000000001", "too-few-different"),
        ("abcabcabcabcabcabcabcabc", "too-few-different"),
        ("abcdefghabcdefghabcdefgh", "repeated"),
        ("q8Zr2LkVw0q8Zr2LkVw0q8Zr2", "repeated"),
        ("abcdefghijklmnopqrstuvwxyz", "sequence"),
        ("abcdefghijklmnopqrstuvwxyz"[::-1], "sequence"),
        ("0123456789012345678901", "repeated"),
        ("12345678901234567890abcdef", "sequence"),
    ],
)
def test_what_is_made_by_hand_is_told_with_its_reason(text: str, why: str) -> None:
    assert guessable(codes(text), fewest=7) == why


def test_random_keys_are_taken_however_they_are_written() -> None:
    chance = random.Random(7)  # noqa: S311 - the same each time
    for _ in range(2_000):
        bits = chance.randbytes(16)
        for text in (str(uuid.UUID(bytes=bits, version=4)), bits.hex(), base64.urlsafe_b64encode(bits).decode()[:22]):
            assert guessable(codes(text), fewest=7) is None, text


def test_random_bytes_are_taken_and_zeros_are_not() -> None:
    chance = random.Random(7)  # noqa: S311 - the same each time
    assert all(guessable(chance.randbytes(32), fewest=16) is None for _ in range(2_000))
    assert guessable(bytes(32), fewest=16) == "too-few-different"
    assert guessable(bytes(range(32)), fewest=16) == "sequence"


def test_nothing_at_all_can_be_guessed() -> None:
    assert guessable([], fewest=1) == "too-few-different"
