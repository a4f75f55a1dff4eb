"""An access code is read kindly, checked early, and kept only as a digest."""

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediation_api.domain.access_codes import (
    _ALPHABET,
    ENTROPY_BYTES,
    AccessCode,
    _check_character,
    digest,
    fingerprint,
    from_entropy,
    matches,
    parse_access_code,
)
from mediation_api.domain.errors import AccessCodeInvalid

KEY = b"k" * 32
CODE = from_entropy(bytes(range(ENTROPY_BYTES)))
codes = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES).map(from_entropy)


def test_a_code_reads_as_seven_groups_of_five() -> None:
    assert CODE.text() == "000G4-0R40M-30E20-9185G-R38E1-W8124-GK2GA"
    other = from_entropy(bytes(range(200, 200 + ENTROPY_BYTES)))
    assert other.text() == "S34WN-JYCSQ-7CZM6-HTB9X-9NEPT-ZCDKP-PVVGH"


def test_the_secret_has_128_bits_and_every_random_byte_counts() -> None:
    assert len(CODE.secret) * 8 == 128
    texts = {CODE.text()}
    for place in range(ENTROPY_BYTES):
        entropy = bytearray(range(ENTROPY_BYTES))
        entropy[place] ^= 1
        texts.add(from_entropy(bytes(entropy)).text())
    assert len(texts) == 1 + ENTROPY_BYTES


@pytest.mark.parametrize("length", [0, ENTROPY_BYTES - 1, ENTROPY_BYTES + 1])
def test_a_code_takes_exactly_its_number_of_random_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="21 random bytes"):
        from_entropy(bytes(length))


@given(codes)
@example(from_entropy(bytes(ENTROPY_BYTES)))
@example(from_entropy(b"\xff" * ENTROPY_BYTES))
def test_what_was_handed_out_is_read_back(code: AccessCode) -> None:
    assert parse_access_code(code.text()) == code


@given(codes, st.randoms(use_true_random=False), st.sampled_from("Oo"), st.sampled_from("IiLl"))
def test_case_blanks_dashes_and_look_alikes_do_not_matter(
    code: AccessCode, random: Random, nought: str, one: str
) -> None:
    spoken = code.text().replace("-", "").replace("0", nought).replace("1", one)
    written = "".join(
        random.choice([letter, letter.lower()]) + random.choice(["", " ", "-", "\N{EN DASH}", "\N{NO-BREAK SPACE}"])
        for letter in spoken
    )
    assert parse_access_code(written + "\r\n") == code


@given(codes, st.integers(0, 34), st.sampled_from(_ALPHABET))
def test_one_wrong_character_is_found_before_anything_is_looked_up(code: AccessCode, place: int, other: str) -> None:
    characters = list(code.text().replace("-", ""))
    if characters[place] == other:
        return
    characters[place] = other
    with pytest.raises(AccessCodeInvalid):
        parse_access_code("".join(characters))


@given(codes, st.integers(0, 33))
def test_two_swapped_neighbours_are_found_unless_they_are_0_and_z(code: AccessCode, place: int) -> None:
    characters = list(code.text().replace("-", ""))
    pair = characters[place : place + 2]
    if pair[0] == pair[1] or set(pair) == {"0", "Z"}:
        return
    characters[place : place + 2] = reversed(pair)
    with pytest.raises(AccessCodeInvalid):
        parse_access_code("".join(characters))


@given(st.text(max_size=200))
@example("")
@example("\x00")
@example("\ud800")
@example(CODE.text() + "\N{COMBINING ACUTE ACCENT}")
@example("\N{LATIN SMALL LETTER DOTLESS I}" * 35)
@example("\N{FULLWIDTH DIGIT ONE}" * 35)
@example("\N{ARABIC-INDIC DIGIT ONE}" * 35)
@example("U" * 35)
def test_any_other_text_is_an_invalid_code_and_nothing_worse(text: str) -> None:
    try:
        code = parse_access_code(text)
    except AccessCodeInvalid as refusal:
        assert str(refusal) == AccessCodeInvalid.detail  # noqa: PT017 - either outcome is right
    else:
        assert parse_access_code(code.text()) == code  # it was spelled well by chance


@given(st.text(alphabet=_ALPHABET, min_size=34, max_size=34))
@example("0" * 33 + "0")
@example("0" * 33 + "1")
@example("0" * 33 + "2")
@example("0" * 33 + "4")
def test_one_secret_has_one_spelling(body: str) -> None:
    """Two bits of the 34th character are to spare: a text that sets them is not a code."""
    text = body + _check_character(body)
    if _ALPHABET.index(body[-1]) % 4:
        with pytest.raises(AccessCodeInvalid):
            parse_access_code(text)
    else:
        assert parse_access_code(text).text().replace("-", "") == text


def test_a_code_may_use_every_character() -> None:
    body = _ALPHABET + "00"
    assert parse_access_code(body + _check_character(body)).lookup == _ALPHABET[:8]


def test_text_beyond_any_code_is_not_even_read() -> None:
    assert parse_access_code(CODE.text() + " " * (128 - len(CODE.text()))) == CODE
    with pytest.raises(AccessCodeInvalid):
        parse_access_code(CODE.text() + " " * (129 - len(CODE.text())))


def test_printing_a_code_does_not_give_it_away() -> None:
    for printed in (repr(CODE), str(CODE), f"{CODE}"):
        assert CODE.lookup in printed
        assert "secret" not in printed


def test_the_digest_of_a_code_is_fixed_for_ever() -> None:
    """Stored digests outlive releases; a change of this value locks everybody out."""
    assert digest(CODE, KEY).hex() == "099116d9f99cc9c47ea62b760ce3f35769b9b090ac1fcc53e27e8b151705f167"


@given(codes, codes)
def test_a_code_matches_its_own_digest_only(code: AccessCode, other: AccessCode) -> None:
    stored = digest(code, KEY)
    assert len(stored) == 32
    assert matches(code, stored, KEY)
    assert matches(other, stored, KEY) == (other == code)
    assert not matches(code, stored, b"another key of thirty-two bytes!")
    assert not matches(AccessCode(other.lookup, code.secret), digest(other, KEY), KEY) or other == code


def test_the_lookup_part_is_under_the_digest_too() -> None:
    """A digest copied to another person's row does not open it."""
    assert digest(AccessCode("00000000", CODE.secret), KEY) != digest(CODE, KEY)


def test_a_code_nobody_has_matches_nothing_not_even_an_empty_digest() -> None:
    assert not matches(CODE, None, KEY)
    assert not matches(CODE, b"", KEY)
    assert not matches(CODE, bytes(32), KEY)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        digest(CODE, b"k" * 31)
    with pytest.raises(ValueError, match="32 bytes"):
        matches(CODE, None, b"")


def test_a_fingerprint_tells_another_lookup_part_or_digest_apart() -> None:
    whole = fingerprint("ABCDEFGH", b"1" * 32)
    assert len(bytes.fromhex(whole)) == 32
    assert len({whole, fingerprint("ABCDEFGJ", b"1" * 32), fingerprint("ABCDEFGH", b"2" * 32)}) == 3
