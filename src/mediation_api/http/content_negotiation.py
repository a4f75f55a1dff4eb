"""Content negotiation by the headers `Accept` and `Accept-Encoding`. Source: RFC 9110, sections 12.5.1 and 12.5.3.

Most resources have one representation, so that `Accept` only decides whether the caller accepts it; lists of the office
have another as CSV. Malformed media ranges are ignored; a header without a valid one counts as absent.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE: Final = re.compile(rf"({_WORD})/({_WORD})((?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|\"[^\"\\]*\"))*)")
_QUALITY: Final = re.compile(r";[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|$)", re.ASCII)
_WEIGHT: Final = re.compile(r";[ \t]*[qQ]=")
_MOST_RANGES: Final = 50
_CODING: Final = re.compile(
    rf"(?:^|,)[ \t]*({_WORD})(?:[ \t]*;[ \t]*[qQ]=([01](?:\.\d{{0,3}})?))?[ \t]*(?=,|$)", re.ASCII
)
_LONGEST_CODINGS: Final = 1_000


def accepts(accept: Sequence[str], offered: Sequence[str]) -> bool:
    """Whether a caller accepts the response.

    Args:
        accept: The values of the header, one for each time that it was sent.
        offered: The media types of the response, that of a success first. If no range matches that one, the next is
            decisive: a caller that names nothing but problem documents is asking for errors in that form, and does not
            refuse other responses.
    """
    ranges = [parsed for value in accept for parsed in _ranges(value)]
    if not ranges:
        return True
    qualities = [quality for each in offered if (quality := _quality(each, ranges)) is not None]
    return bool(qualities) and qualities[0] > 0


def prefers(accept: Sequence[str], media_type: str, *, to: str) -> bool:
    """Whether a caller names a media type, and does not prefer another one."""
    ranges = [parsed for value in accept for parsed in _ranges(value)]
    named = max((quality for name, quality in ranges if name == media_type), default=0.0)
    return named > 0 and named >= (_quality(to, ranges) or 0.0)


def accepts_gzip(accept_encoding: Sequence[str]) -> bool:
    """Whether a caller accepts a response that is compressed with gzip. Without the header, it does not."""
    codings = [match for value in accept_encoding for match in _CODING.finditer(value[:_LONGEST_CODINGS])]
    for name in ("gzip", "*"):
        weights = [match[2] or "1" for match in codings if match[1].lower() == name]
        if weights:
            return float(weights[0]) > 0
    return False


def _ranges(value: str) -> Iterator[tuple[str, float]]:
    for part in value.split(",")[:_MOST_RANGES]:
        match = _RANGE.fullmatch(part.strip(" \t"))
        if match is None or (match[1] == "*" and match[2] != "*"):
            continue
        weight = _QUALITY.search(match[3])
        if weight is None and _WEIGHT.search(match[3]):
            continue  # a malformed weight
        yield f"{match[1]}/{match[2]}".lower(), float(weight[1]) if weight else 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float | None:
    """Return the weight of the most specific range that matches a media type; None if no range matches.

    Parameters of media types are ignored.
    """
    for candidate in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        qualities = [quality for name, quality in ranges if name == candidate]
        if qualities:
            return max(qualities)
    return None
