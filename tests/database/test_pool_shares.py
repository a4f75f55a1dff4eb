"""The share of a pool that one caller may hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mediation_api.database.pool_shares import Share


@asynccontextmanager
async def _held(share: Share, caller: str | None) -> AsyncIterator[None]:
    await share.acquire(caller)
    try:
        yield
    finally:
        share.release(caller)


async def test_a_caller_waits_for_its_own_share_and_nobody_else_does() -> None:
    share = Share(2, seconds=0.05)
    async with _held(share, "officer:a"), _held(share, "officer:a"):
        with pytest.raises(PoolTimeoutError):
            async with _held(share, "officer:a"):
                pass
        async with _held(share, "officer:b"), _held(share, "officer:b"), _held(share, None), _held(share, None):
            pass

    async with _held(share, "officer:a"), _held(share, "officer:a"):
        pass


async def test_who_waits_is_served_as_soon_as_the_caller_gives_something_back() -> None:
    share, order = Share(1, seconds=5), []

    async def work(name: str) -> None:
        async with _held(share, "officer:a"):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(work(name) for name in "abc"))

    assert order == ["a", "b", "c"]


async def test_a_caller_without_requests_is_forgotten() -> None:
    share = Share(1, seconds=0.01)

    async def fail() -> None:
        async with _held(share, "officer:a"):
            with pytest.raises(PoolTimeoutError):
                async with _held(share, "officer:a"):
                    pass
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert share._callers == {}


@pytest.mark.parametrize(("size", "percent", "expected"), [(10, 50, 5), (4, 50, 2), (2, 50, 1), (1, 50, 1), (4, 1, 1)])
async def test_a_share_is_at_least_one_connection(size: int, percent: int, expected: int) -> None:
    assert Share.of(size, percent, 1.0)._connections == expected
