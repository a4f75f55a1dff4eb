"""How much one caller may ask for.

A quota of requests, so that one program that runs wild does not take the service from the others: counted per minute
and process, in memory, for it guards the process and not a secret. A caller without a token is counted by address, and
so is one whose token is refused. A withdrawal is counted and never refused.

Two things are counted per hour and for all processes, in the database: complaints that the public files from one
address, and wrong secrets that are tried with one access code. Neither stands in the way of a withdrawal: it needs a
token, which goes on being good; staff record one without any; and intake gives out a new code, which begins anew.

Source: docs/contract.md, "Rate limits"; docs/decisions/0059-five-wrong-codes-an-hour.md.
"""

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final

from fastapi import Request

from mediation_api.domain.values import AttemptKind
from mediation_api.http.problems import ProblemException
from mediation_api.repository.attempt_counters import AttemptCounters
from mediation_api.settings import Settings

WINDOW_SECONDS: Final = 60
HOUR_SECONDS: Final = 3600
_MOST_CALLERS: Final = 100_000
_OF_ADDRESSES: Final = b"mediation_api address v1\x00"


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


async def hold_per_hour(
    tries: AttemptCounters, what: AttemptKind, who: str, limit: int, *, request: Request, at: datetime
) -> None:
    """Count a try of this hour. Raises Told: it is one too many (429)."""
    number = await tries.count(what, who, at=at)
    if number > limit:
        seconds = HOUR_SECONDS - int(at.timestamp()) % HOUR_SECONDS
        request.state.quota = Quota(limit, limit - number, seconds, window=HOUR_SECONDS)
        raise ProblemException(429, "quota-exceeded", "Too many tries in this hour: wait as long as Retry-After says.")


async def hold_filings(tries: AttemptCounters, request: Request, settings: Settings, at: datetime) -> None:
    """Count a complaint that the public files, by the address it comes from. Raises Told: one too many (429)."""
    address = network_of_request(request)
    secret = settings.access_code_secret.get_secret_value().encode()
    # A keyed hash tells addresses apart, and gives none away.
    who = hmac.new(secret, _OF_ADDRESSES + address.encode(), hashlib.sha256).hexdigest()
    await hold_per_hour(tries, AttemptKind.FILING, who, settings.filings_per_hour, request=request, at=at)


def network_of(address: str) -> str:
    """Return what requests from an address are counted by.

    IPv6 is counted by its /64, which is what one subscriber is given: who has one has 2^64 addresses. An IPv4 address
    counts as itself, written as IPv6 (`::ffff:192.0.2.1`) as well.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address  # a socket of this machine
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), 64), strict=False))


def network_of_request(request: Request) -> str:
    """Return what the requests of this caller are counted by when it has no token."""
    return network_of("" if request.client is None else request.client.host)


class Limiter:
    """Counts the requests of each caller in a minute of its own, which begins with its first request.

    So no moment comes at which everybody begins anew. When there are too many callers to remember, the one whose
    minute is the oldest is forgotten, and nobody else. The `limits` library was looked at: its store in memory has no
    bound on the number of callers, and sweeps on a thread of its own.
    """

    def __init__(self, per_minute: int, *, most: int = _MOST_CALLERS) -> None:
        self._limit = per_minute
        self._most = most
        self._minutes: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """When the minute of each caller began, and how many requests came in it; the oldest minute first."""

    def __len__(self) -> int:
        """Return how many callers are remembered."""
        return len(self._minutes)

    def count(self, caller: str, at: datetime) -> Quota:
        """Count one request of `caller`, and say what is left."""
        second = int(at.timestamp())
        began, used = self._minutes.get(caller, (second, 0))
        if not 0 <= second - began < WINDOW_SECONDS:
            del self._minutes[caller]
            began, used = second, 0
        self._minutes[caller] = (began, used + 1)  # one that is known keeps its place
        if len(self._minutes) > self._most:
            self._minutes.popitem(last=False)
        return Quota(self._limit, self._limit - used - 1, WINDOW_SECONDS - (second - began))
