"""Limit how many connections of a pool one caller may hold: its further requests wait, and no other caller does.

The count is kept in the process, as the pool is.
"""

import asyncio
from dataclasses import dataclass, field

from sqlalchemy.exc import TimeoutError as PoolTimeoutError


@dataclass(slots=True)
class _Caller:
    """One caller that holds connections or waits for them."""

    slots: asyncio.Semaphore
    requests: int = field(default=0)


class Share:
    """How many connections of one pool a caller may hold at the same time."""

    def __init__(self, connections: int, seconds: float) -> None:
        """Limit each caller of a pool.

        Args:
            connections: how many one caller may hold at the same time.
            seconds: how long a further request of the same caller waits for one of them.
        """
        self._connections = connections
        self._seconds = seconds
        self._callers: dict[str, _Caller] = {}

    @classmethod
    def of(cls, pool_size: int, percent: int, seconds: float) -> "Share":
        """Return the share of a pool of this size: `percent` of its connections, and at least one."""
        return cls(max(1, pool_size * percent // 100), seconds)

    async def acquire(self, caller: str | None) -> None:
        """Count one connection against the share of `caller`; None is the service itself, which has no limit.

        `release` must follow.

        Raises:
            sqlalchemy.exc.TimeoutError: the caller's other requests used its whole share for too long.
        """
        if caller is None:
            return
        entry = self._callers.get(caller)
        if entry is None:
            entry = self._callers[caller] = _Caller(asyncio.Semaphore(self._connections))
        entry.requests += 1
        try:
            if entry.slots.locked():
                async with asyncio.timeout(self._seconds):
                    await entry.slots.acquire()
            else:
                await entry.slots.acquire()
        except BaseException as error:
            self._leave(caller, entry)
            if isinstance(error, TimeoutError):
                raise PoolTimeoutError("the caller uses its whole share of the pool") from None
            raise

    def release(self, caller: str | None) -> None:
        """Give back what `acquire` counted."""
        if caller is None:
            return
        entry = self._callers[caller]
        entry.slots.release()
        self._leave(caller, entry)

    def _leave(self, caller: str, entry: _Caller) -> None:
        entry.requests -= 1
        if entry.requests == 0:
            del self._callers[caller]
