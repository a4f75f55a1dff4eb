"""Which representations a caller takes: the header `Accept`. Source: RFC 9110, section 12.5.1.

The service has one representation of everything, so the question is only whether the caller can live with it. Of what
the header says only what can be read counts; where nothing can, the caller is taken to have said nothing.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE: Final = re.compile(rf"({_WORD})/({_WORD})((?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|\"[^\"\\]*\"))*)")
_QUALITY: Final = re.compile(r";[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|$)", re.ASCII)
_WEIGHT: Final = re.compile(r";[ \t]*[qQ]=")
_MOST_RANGES: Final = 50


def accepts(accept: Sequence[str], offered: Sequence[str]) -> bool:
    """Whether a caller takes what is offered.

    Args:
        accept: The values of the header, one for each time that it was sent.
        offered: Media types, the one of a success first. The others count where nothing is said of that one: who
            accepts problem documents alone has asked for errors to be told in that form, and not refused the rest.
    """
    ranges = [parsed for value in accept for parsed in _ranges(value)]
    if not ranges:
        return True
    told = [quality for each in offered if (quality := _quality(each, ranges)) is not None]
    return bool(told) and told[0] > 0


def _ranges(value: str) -> Iterator[tuple[str, float]]:
    for part in value.split(",")[:_MOST_RANGES]:
        found = _RANGE.fullmatch(part.strip(" \t"))
        if found is None or (found[1] == "*" and found[2] != "*"):
            continue
        weight = _QUALITY.search(found[3])
        if weight is None and _WEIGHT.search(found[3]):
            continue  # a weight that is none
        yield f"{found[1]}/{found[2]}".lower(), float(weight[1]) if weight else 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float | None:
    """What the most specific range says of a media type; None where none speaks of it. Parameters do not matter."""
    for wanted in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        qualities = [quality for name, quality in ranges if name == wanted]
        if qualities:
            return max(qualities)
    return None
