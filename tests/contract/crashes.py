"""A process of the service is killed while people write: nothing acknowledged is lost, and nothing happens twice.

`make gate-crashes` runs it, `make test` does not: it waits for processes to start again.
"""

import asyncio
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select
from tests.contract.instance import started

from mediation_api.database.data_keys import decrypted
from mediation_api.database.engine import Database
from mediation_api.database.tables import complaints
from mediation_api.dev.office import Office, RealClock
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

KILLS: Final = 2
MOST_KILLS: Final = 12
"""Until one came between a commit and its answer."""
WRITERS: Final = 8
BETWEEN_KILLS: Final = (0.7, 0.4, 1.1, 0.9, 1.3, 0.6)
"""Seconds, not always the same: writers that wait in step with the kills would never be killed after their commit."""
PORT_RETRY_SECONDS: Final = 0.1
"""How long a writer waits while nobody listens."""
SLOW: Final = "tests.contract.slow:application"


class Instance:
    """One process of the service. The socket outlives it: while it starts again, callers wait in its queue."""

    def __init__(self, settings: Settings, keys: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._arguments = (self._listener, settings, keys, SLOW)
        self._process = started(*self._arguments)

    @property
    def address(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def kill(self) -> None:
        """Kill it without a warning, and start another."""
        self._process.kill()
        assert self._process.wait(10) == -signal.SIGKILL
        self._process = started(*self._arguments)

    def close(self) -> None:
        """Stop it for good."""
        self._process.terminate()
        try:
            self._process.wait(30)
        finally:
            self._listener.close()


@dataclass(slots=True)
class Written:
    """What writers were told: the first answer to each key, and how often somebody had to ask again."""

    token: str
    with_same_key: bool
    retried: frozenset[int] = frozenset()
    """The statuses after which a writer asks again, besides a connection that broke."""
    answers: dict[str, bytes] = field(default_factory=dict)
    broken: int = 0
    replayed: int = 0
    told: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def news(self) -> None:
        """Wait until the service has answered as many more as there are writers."""
        while not self.told.empty():
            self.told.get_nowait()
        for _ in range(WRITERS):
            await self.told.get()

    async def send(self, client: httpx.AsyncClient, key: str) -> httpx.Response:
        """File a complaint that carries `key` in its text, once."""
        body = {
            "channel": "phone",
            "narrative": key,
            "allegations": ["discourtesy"],
            "interested_in_mediation": True,
            "parties": [
                {"side": "complainant", "name": "Ada Example"},
                {"side": "officer", "name": "Officer Max Sample", "employee_number": "4711"},
            ],
        }
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Idempotency-Key": key if self.with_same_key else str(uuid4()),
        }
        return await client.post("/v1/complaints", json=body, headers=headers)

    async def write(self, client: httpx.AsyncClient, key: str) -> httpx.Response:
        """File a complaint; ask again until there is an answer."""
        while True:
            try:
                response = await self.send(client, key)
            except httpx.TransportError as error:
                self.broken += 1
                if isinstance(error, httpx.ConnectError):
                    await asyncio.sleep(PORT_RETRY_SECONDS)
                continue
            if response.status_code in self.retried:
                self.broken += 1
                continue
            assert response.status_code == 201, response.text
            return response

    async def writing(self, address: str, until: asyncio.Event) -> None:
        """Write one after the other, each on a connection of its own."""
        while not until.is_set():
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                response = await self.write(client, key := str(uuid4()))
            self.answers[key] = response.content
            self.told.put_nowait(key)
            self.replayed += "Idempotency-Replayed" in response.headers


@pytest.fixture
def instance(committed: Settings, keys: Path) -> Iterator[Instance]:
    instance = Instance(committed, keys)
    yield instance
    instance.close()


@pytest.fixture
async def database(committed: Settings) -> AsyncIterator[Database]:
    database = Database.of(committed)
    yield database
    await database.close()


async def kill_again_and_again(instance: Instance, written: Written, met: Callable[[], Awaitable[bool]]) -> int:
    """Let everybody write while the service is killed, until a kill has `met` an answer, and let them come to an end.

    Returns the number of kills.
    """
    done = asyncio.Event()
    async with asyncio.TaskGroup() as writers:
        for _ in range(WRITERS):
            writers.create_task(written.writing(instance.address, done))
        await written.news()
        for kills in range(1, MOST_KILLS + 1):
            await asyncio.sleep(BETWEEN_KILLS[kills % len(BETWEEN_KILLS)])
            await asyncio.to_thread(instance.kill)
            await written.news()
            if kills >= KILLS and await met():
                break
        done.set()
    return kills


async def effects(database: Database) -> Counter[str]:
    """How many complaints there are of each key."""
    async with database.reading() as connection:
        return Counter((await connection.scalars(select(decrypted(complaints.c.narrative)))).all())


async def test_after_a_kill_each_key_has_had_one_effect_and_keeps_its_answer(
    instance: Instance,
    database: Database,
    committed: Settings,
    record_property: Callable[[str, object], None],
) -> None:
    async with httpx.AsyncClient(base_url=instance.address, timeout=30) as client:
        office = Office(client, committed, RealClock())
        written = Written(str(office.caller(Role.INTAKE).token), with_same_key=True)

        async def met() -> bool:
            return written.replayed > 0

        kills = await kill_again_and_again(instance, written, met)
        assert await effects(database) == Counter(dict.fromkeys(written.answers, 1))
        told = f"{len(written.answers)} acknowledged, {written.broken} broken off, {written.replayed} replayed"
        record_property("figure", f"{kills} kills under {WRITERS} writers: {told}, each key with one effect")
        assert written.replayed > 0, "no kill came between a commit and its answer: this shows nothing"
        again = await asyncio.gather(*(written.write(client, key) for key in written.answers))
        assert [response.content for response in again] == list(written.answers.values())


async def test_without_the_same_key_a_retry_happens_twice(
    instance: Instance, database: Database, committed: Settings
) -> None:
    """The control: it shows that the test above would see a second effect."""
    async with httpx.AsyncClient(base_url=instance.address, timeout=30) as client:
        office = Office(client, committed, RealClock())
        written = Written(str(office.caller(Role.INTAKE).token), with_same_key=False)

        async def met() -> bool:
            return max((await effects(database)).values(), default=0) > 1

        await kill_again_and_again(instance, written, met)
    assert await met()
