"""What of a line of text cannot be seen, and what only looks as if."""

import unicodedata

import pytest

from mediation_api.domain.visibility import unseen


@pytest.mark.parametrize(
    "name",
    [
        "Rosa Alvarez",
        "\u0645\u06cc\u200c\u0631\u0648\u0645",  # Persian, with the non-joiner inside of a word
        "\u0915\u094d\u200d\u0937",  # Devanagari, a joiner after a virama
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala, Sri
        "\u845b\U000e0100\u57ce",  # a variant of a Han character, as Japanese names have them
        "\u05d3\u05d5\u05d3",
        "e\u0301",
        "n\u0330",
        "K-9 (\u2116 4)",
    ],
)
def test_names_of_real_scripts_are_taken(name: str) -> None:
    assert unseen(name) is None


@pytest.mark.parametrize("code", [0x061C, 0x200E, 0x200F, 0x202A, 0x202E, 0x2066, 0x2069])
def test_what_changes_the_direction_is_refused(code: int) -> None:
    assert unseen(f"Rosa{chr(code)}Alvarez") == "direction-control"


@pytest.mark.parametrize(
    "code", [0x00AD, 0x034F, 0x115F, 0x1160, 0x180E, 0x200B, 0x2060, 0x2800, 0x3164, 0xFEFF, 0xFFA0, 0x1D159, 0xE0041]
)
def test_what_shows_nothing_is_refused(code: int) -> None:
    assert unseen(f"Rosa{chr(code)}Alvarez") == "invisible-character"
    assert unseen(chr(code)) == "invisible-character"


@pytest.mark.parametrize("name", ["Ro\u200csa", "Ro\u200dsa", "\u200d", "\ufe0f", "Rosa \ufe0f"])
def test_joiners_and_variants_stand_where_a_script_has_them(name: str) -> None:
    assert unseen(name) == "invisible-character"


@pytest.mark.parametrize("name", ["", " ", "\u0301", "\u0301\u0302", "\u3000"])
def test_without_a_character_that_stands_by_itself_there_is_nothing_to_see(name: str) -> None:
    assert unseen(name) == "blank"


def test_no_format_character_is_taken_between_latin_letters() -> None:
    """The control: whatever Unicode calls a format character, but for the few that print (Arabic numbers, Egyptian)."""
    taken = [
        code for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf" and unseen(f"a{chr(code)}b") is None
    ]
    printing = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    shorthand = set(range(0x1BCA0, 0x1BCA4))
    assert {code for code in taken if not 0x13430 <= code <= 0x1343F} - printing - shorthand == set()
