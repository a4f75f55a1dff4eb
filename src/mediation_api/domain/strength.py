"""Whether what is meant to be unguessable was made by hand: zeros, a repeated word, a sequence.

No check can tell what is random. This one refuses what nobody's random generator makes: the chance that it refuses
128 random bits, in whatever digits they are written, is below one in a hundred thousand.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

Guessable: TypeAlias = Literal["too-few-different", "repeated", "sequence"]
"""Why something can be guessed."""


def guessable(values: Sequence[int], *, fewest: int) -> Guessable | None:
    """Return why a secret, as numbers (bytes, or the codes of characters), can be guessed; None if nothing shows it.

    Args:
        values: the secret.
        fewest: how many different values it has at the least.
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
