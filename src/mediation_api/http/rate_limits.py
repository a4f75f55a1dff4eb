"""Rate limits.

The quota of requests keeps one caller from using up the service. It is counted per minute in the memory of each
process, which it protects. A caller without a token, or with an invalid one, is counted by its address. A withdrawal is
counted and never refused.

Two limits are counted per hour in the database, for all processes: complaints that the public files from one address,
and wrong secrets for one access code. Neither prevents a withdrawal: a token that was issued before stays valid, staff
can record a withdrawal, and intake can issue a new code, whose attempts are counted from zero.

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
    """The requests that a caller has left in the current window, a minute or an hour."""

    limit: int
    remaining: int
    seconds: int
    """Until the next window begins."""
    window: int = WINDOW_SECONDS

    @property
    def is_exceeded(self) -> bool:
        """Whether this request exceeds the limit."""
        return self.remaining < 0

    def headers(self, *, refused: bool) -> dict[str, str]:
        """Return the quota as response headers. Source: draft-ietf-httpapi-ratelimit-headers.

        Only a refused request gets Retry-After: a withdrawal over the limit is carried out and must not be retried.
        """
        remaining = max(self.remaining, 0)
        headers = {
            "RateLimit-Policy": f'"default";q={self.limit};w={self.window}',
            "RateLimit": f'"default";r={remaining};t={self.seconds}',
        }
        return {**headers, "Retry-After": str(self.seconds)} if refused else headers


async def count_attempt(
    counters: AttemptCounters, what: AttemptKind, who: str, limit: int, *, request: Request, at: datetime
) -> None:
    """Count an attempt of this hour. Raises ProblemException if there were more than `limit` (429)."""
    number = await counters.count(what, who, at=at)
    if number > limit:
        seconds = HOUR_SECONDS - int(at.timestamp()) % HOUR_SECONDS
        request.state.quota = Quota(limit, limit - number, seconds, window=HOUR_SECONDS)
        raise ProblemException(429, "quota-exceeded", "Too many attempts in this hour: wait for Retry-After seconds.")


async def count_filing(counters: AttemptCounters, request: Request, settings: Settings, at: datetime) -> None:
    """Count a complaint of the public by the caller's address. Raises ProblemException if there are too many (429)."""
    address = network_of_request(request)
    secret = settings.access_code_secret.get_secret_value().encode()
    # A keyed hash distinguishes addresses without storing them.
    who = hmac.new(secret, _OF_ADDRESSES + address.encode(), hashlib.sha256).hexdigest()
    await count_attempt(counters, AttemptKind.FILING, who, settings.filings_per_hour, request=request, at=at)


def network_of(address: str) -> str:
    """Return the network by which requests from an address are counted.

    An IPv6 address is counted by its /64, since a subscriber usually gets one, with 2^64 addresses. An IPv4 address is
    counted by itself, also if it is mapped to IPv6 (`::ffff:192.0.2.1`).
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address  # a Unix socket
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), 64), strict=False))


def network_of_request(request: Request) -> str:
    """Return the network of the caller, by which its requests are counted if it has no token."""
    return network_of("" if request.client is None else request.client.host)


class Limiter:
    """Counts the requests of each caller in windows of a minute. A caller's window begins with its first request.

    So the windows of different callers end at different times. If there are more than `most` callers, the one with the
    oldest window is dropped. The `limits` library was not used because its memory store has no limit on the number of
    callers, and expires them in a thread.
    """

    def __init__(self, per_minute: int, *, most: int = _MOST_CALLERS) -> None:
        self._limit = per_minute
        self._most = most
        self._minutes: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """The second in which each caller's window began, and the number of requests in it; the oldest first."""

    def __len__(self) -> int:
        """Return the number of stored callers."""
        return len(self._minutes)

    def count(self, caller: str, at: datetime) -> Quota:
        """Count one request of `caller`, and return its quota."""
        second = int(at.timestamp())
        began, used = self._minutes.get(caller, (second, 0))
        if not 0 <= second - began < WINDOW_SECONDS:
            del self._minutes[caller]
            began, used = second, 0
        self._minutes[caller] = (began, used + 1)  # an existing key keeps its position
        if len(self._minutes) > self._most:
            self._minutes.popitem(last=False)
        return Quota(self._limit, self._limit - used - 1, WINDOW_SECONDS - (second - began))
