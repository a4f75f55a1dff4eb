"""Invisible characters that a name or another line of text must not contain.

Two different names must not look the same, and a name must be visible. Characters that a script needs are accepted: the
joiners of Persian and of the scripts of India, and the variants of Han characters.

Source: UAX #44 (Default_Ignorable_Code_Point, Bidi_Control); RFC 5892, appendix A (the joiners in their context).
"""

import unicodedata
from typing import Final, Literal, TypeAlias

Unseen: TypeAlias = Literal["direction-control", "invisible-character", "blank"]
"""What is wrong with a line."""

DIRECTION_CONTROLS: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Bidi_Control, as the inside of a character class: they change the display order of other characters."""
INVISIBLE: Final = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b"
    "\u2060-\u2065\u206a-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\uffff"
)
"""Invisible characters of the basic plane, as the inside of a character class; without joiners and variants."""

_NON_JOINER, _JOINER = "\u200c", "\u200d"
_INDIC: Final = range(0x0900, 0x1100)
"""The blocks from Devanagari to Myanmar, in whose scripts joiners choose between forms."""


def unseen(text: str) -> Unseen | None:
    """Return what is wrong with a line of text: a character in it, or that it is blank; None if nothing is."""
    before = ""
    is_visible = False
    for character in text:
        if character in _DIRECTION_CONTROLS:
            return "direction-control"
        if not _may_follow(before, character):
            return "invisible-character"
        is_visible = is_visible or unicodedata.category(character)[0] not in "ZM"
        before = character
    return None if is_visible else "blank"


def _may_follow(before: str, character: str) -> bool:
    if character in {_NON_JOINER, _JOINER}:
        return bool(before) and (unicodedata.bidirectional(before) == "AL" or ord(before) in _INDIC or _is_mark(before))
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":  # variants of the one before
        return bool(before) and not before.isspace()
    return character not in _INVISIBLE and not "\U000e0000" <= character <= "\U000e0fff"


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _members(ranges: str) -> frozenset[str]:
    """Return the characters of the inside of a character class."""
    members: set[str] = set()
    characters = iter(ranges)
    last = ""
    for character in characters:
        if character == "-":
            members |= {chr(code) for code in range(ord(last), ord(next(characters)) + 1)}
        else:
            last = character
            members.add(character)
    return frozenset(members)


_DIRECTION_CONTROLS: Final = _members(DIRECTION_CONTROLS)
_INVISIBLE: Final = _members(INVISIBLE) | {"\U0001d159", *map(chr, range(0x1D173, 0x1D17B))}
