"""The share of a pool that one caller may hold: who asks for more waits for connections of its own, nobody else does.

Counted in the process, as the pool is: it protects this process's connections, and is no secret.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.exc import TimeoutError as PoolTimeoutError


@dataclass(slots=True)
class _Caller:
    """One caller who holds connections or waits for them."""

    free: asyncio.Semaphore
    requests: int = field(default=0)


class Share:
    """How many connections of one pool a caller may hold at the same time."""

    def __init__(self, connections: int, seconds: float) -> None:
        """Limit each caller.

        Args:
            connections: that one caller may hold.
            seconds: how long a further request of the same caller waits.
        """
        self._connections = connections
        self._seconds = seconds
        self._callers: dict[str, _Caller] = {}

    @classmethod
    def of(cls, pool_size: int, percent: int, seconds: float) -> "Share":
        """The share of a pool of this size: at least one connection, at most so many percent of them."""
        return cls(max(1, pool_size * percent // 100), seconds)

    @asynccontextmanager
    async def held_by(self, caller: str | None) -> AsyncIterator[None]:
        """Hold one connection's worth of the share of `caller`; None is the service itself, which has no limit.

        Raises:
            sqlalchemy.exc.TimeoutError: the caller's other requests held its share for too long.
        """
        if caller is None:
            yield
            return
        known = self._callers.setdefault(caller, _Caller(asyncio.Semaphore(self._connections)))
        known.requests += 1
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await known.free.acquire()
            except TimeoutError:
                raise PoolTimeoutError("the caller holds its share of the pool") from None
            try:
                yield
            finally:
                known.free.release()
        finally:
            known.requests -= 1
            if known.requests == 0:
                del self._callers[caller]
