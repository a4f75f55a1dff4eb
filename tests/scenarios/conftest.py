"""What scenarios stand on besides tests/conftest.py: time that passes, and stories that are told more than one way.

| Fixture | Gives |
| --- | --- |
| `fork` | `async with fork():` what happens inside is undone at its end, the clock included |
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import httpx
import pytest
from tests.conftest import Clock, RolledBackDatabase

Fork: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture(autouse=True)
def _time_passes(client: httpx.AsyncClient, clock: Clock) -> None:
    """Let every request have an instant of its own, as it has outside of tests."""

    async def tick(_request: httpx.Request) -> None:
        clock.advance(milliseconds=10)

    client.event_hooks["request"].append(tick)


@pytest.fixture
def fork(database: RolledBackDatabase, clock: Clock) -> Fork:
    """Tell a story from here in one way, then come back and tell it in another."""

    @asynccontextmanager
    async def forked() -> AsyncIterator[None]:
        before = clock.now
        try:
            async with database.undone():
                yield
        finally:
            clock.set(before)

    return forked
