"""A quota of requests for each caller, so that one program that runs wild does not take the service from the others.

Counted per minute and process, in memory: it guards the process, not a secret. A caller without a token is counted by
address. A withdrawal is counted and never refused.

Source: CONTRACT, "Anchors" (RateLimit draft); RELIABILITY, T20.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

WINDOW_SECONDS: Final = 60
_MOST_CALLERS: Final = 100_000
NEVER_REFUSED: Final = frozenset({"withdraw", "live", "ready"})
"""Operations that are refused neither for how often they are called, nor for what the caller says it accepts."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a caller has left in the present minute."""

    limit: int
    remaining: int
    seconds: int
    """Until the next minute begins."""

    @property
    def is_exceeded(self) -> bool:
        """Whether this request is one too many."""
        return self.remaining < 0

    def headers(self, *, refused: bool) -> dict[str, str]:
        """The quota as headers of an answer. Source: draft-ietf-httpapi-ratelimit-headers.

        Only a refusal says when to come back: of what was done, a withdrawal, nothing is left to be tried again.
        """
        remaining = max(self.remaining, 0)
        told = {
            "RateLimit-Policy": f'"default";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"default";r={remaining};t={self.seconds}',
        }
        return {**told, "Retry-After": str(self.seconds)} if refused else told


class Limiter:
    """Counts the requests of each caller in the present minute, and forgets them when the next one begins."""

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute
        self._window = 0
        self._counts: dict[str, int] = {}

    def count(self, caller: str, at: datetime) -> Quota:
        """Count one request of `caller`, and say what is left."""
        second = int(at.timestamp())
        window, passed = divmod(second, WINDOW_SECONDS)
        if window != self._window or len(self._counts) >= _MOST_CALLERS:
            self._window, self._counts = window, {}
        used = self._counts[caller] = self._counts.get(caller, 0) + 1
        return Quota(self._limit, self._limit - used, WINDOW_SECONDS - passed)
