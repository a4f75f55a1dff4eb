"""Requests that wait for new entries of the change feed (long polling): one query for all of a process.

PostgreSQL's NOTIFY is not used: with it, transactions wait for each other to commit.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from mediation_api.database.engine import Database
from mediation_api.repository.change_feed import number_events

T = TypeVar("T")

INTERVAL_SECONDS: Final = 0.5
"""How often the feed is looked at while a request waits."""


class FeedPoller:
    """Looks at the change feed while requests of this process wait for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: defaultdict[str | None, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    async def read(
        self, page: Callable[[], Awaitable[Sequence[T]]], *, reader: str | None, seconds: float
    ) -> Sequence[T]:
        """Return the page that `page` reads; while it is empty, wait up to `seconds` and read it again.

        `reader` is the subject of an integration, or None for the office. No connection is held while waiting.
        """
        if not seconds:
            return await page()
        appended = asyncio.Event()
        self._waiting[reader].add(appended)  # before reading: what is appended meanwhile is not missed
        try:
            until = asyncio.get_running_loop().time() + seconds
            while not (found := await page()):
                if self._task is None or self._task.done():
                    self._task = asyncio.create_task(self._poll())
                try:
                    async with asyncio.timeout_at(until):  # the wait alone: a query is not cancelled
                        await appended.wait()
                except TimeoutError:
                    break
                appended.clear()
        finally:
            self._waiting[reader].discard(appended)
            if not self._waiting[reader]:
                del self._waiting[reader]
        return found

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _poll(self) -> None:
        last: int | None = None
        while self._waiting:
            readers: Collection[str | None] = tuple(self._waiting)
            try:
                async with self._database.reading() as connection:
                    # The first time, everybody reads again: what was appended since they did is not known.
                    first, (last, new) = last is None, await number_events(connection, last)
                    readers = readers if first else new
            except (SQLAlchemyError, OSError):
                last = None  # each request reads its page, and answers what that answers
            for reader in readers:
                for appended in self._waiting.get(reader, ()):
                    appended.set()
            await asyncio.sleep(INTERVAL_SECONDS)
