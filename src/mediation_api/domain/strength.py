"""Detect secrets that were made up by hand: zeros, a repeated word, a sequence.

No check can prove that a value is random. The chance that this one refuses 128 random bits, in whatever digits they are
written, is below one in a hundred thousand.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

Guessable: TypeAlias = Literal["too-few-different", "repeated", "sequence"]
"""Why a secret can be guessed."""


def guessable(values: Sequence[int], *, fewest: int) -> Guessable | None:
    """Return why a secret can be guessed; None if the check finds no reason.

    Args:
        values: The secret as numbers: bytes, or code points of characters.
        fewest: How many different values it must have at least.
    """
    if len(set(values)) < fewest:
        return "too-few-different"
    size = len(values)
    if any(list(values[period:]) == list(values[:-period]) for period in range(1, size // 2 + 1)):
        return "repeated"
    steps = Counter(following - value for value, following in pairwise(values))
    if steps.most_common(1)[0][1] * 2 > size:
        return "sequence"
    return None
