"""How much one caller may ask for.

A quota of requests, so that one program that runs wild does not take the service from the others: counted per minute
and process, in memory, for it guards the process and not a secret. A caller without a token is counted by address. A
withdrawal is counted and never refused.

Two things are counted per hour and for all processes, in the database: complaints that the public files from one
address, and wrong secrets that are tried with one access code. Neither stands in the way of a withdrawal: it needs a
token, which goes on being good; staff record one without any; and intake gives out a new code, which begins anew.

Source: CONTRACT, "Anchors" (RateLimit draft); RELIABILITY, T8, T20 and criterion 22.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import Request

from mediation_api.domain.values import Tried
from mediation_api.repository.tries import Tries
from mediation_api.routers.problems import Told
from mediation_api.settings import Settings

WINDOW_SECONDS: Final = 60
HOUR_SECONDS: Final = 3600
_MOST_CALLERS: Final = 100_000
_OF_ADDRESSES: Final = b"mediation_api address v1\x00"
NEVER_REFUSED: Final = frozenset({"withdraw", "live", "ready"})
"""Operations that are refused neither for how often they are called, nor for what the caller says it accepts."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a caller has left in the present minute, or hour."""

    limit: int
    remaining: int
    seconds: int
    """Until the next one begins."""
    window: int = WINDOW_SECONDS

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
            "RateLimit-Policy": f'"default";q={self.limit};w={self.window}',
            "RateLimit": f'"default";r={remaining};t={self.seconds}',
        }
        return {**told, "Retry-After": str(self.seconds)} if refused else told


async def hold_per_hour(tries: Tries, what: Tried, who: str, limit: int, *, request: Request, at: datetime) -> None:
    """Count a try of this hour. Raises Told: it is one too many (429)."""
    number = await tries.count(what, who, at=at)
    if number > limit:
        seconds = HOUR_SECONDS - int(at.timestamp()) % HOUR_SECONDS
        request.state.quota = Quota(limit, limit - number, seconds, window=HOUR_SECONDS)
        raise Told(429, "quota-exceeded", "Too many tries in this hour: wait as long as Retry-After says.")


async def hold_filings(tries: Tries, request: Request, settings: Settings, at: datetime) -> None:
    """Count a complaint that the public files, by the address it comes from. Raises Told: one too many (429)."""
    address = "" if request.client is None else request.client.host
    secret = settings.access_code_secret.get_secret_value().encode()
    # A keyed hash tells addresses apart, and gives none away.
    who = hmac.new(secret, _OF_ADDRESSES + address.encode(), hashlib.sha256).hexdigest()
    await hold_per_hour(tries, Tried.FILING, who, settings.filings_per_hour, request=request, at=at)


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
