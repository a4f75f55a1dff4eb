"""Workers are killed, the receiver fails in every way and a writer hangs: no webhook is lost or out of its order.

`make gate-webhooks` runs it, and prints the figures.
"""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from tests.contract.instance import environment
from tests.promises.production import PROGRAM, without_settings
from tests.repository.test_change_feed import append
from tests.scenarios.test_change_feed import walk

from mediation_api.database import tables as t
from mediation_api.database.engine import Database
from mediation_api.dev.office import Office, Story
from mediation_api.domain.event_kinds import IntegrationEventKind
from mediation_api.outreach.webhook_messages import new_secret
from mediation_api.repository.webhooks import Webhooks
from mediation_api.settings import Settings

KILLS: Final = 20
WORKERS: Final = 2
ENDPOINTS: Final = 3
WRITERS: Final = 3
PHASE_SECONDS: Final = 3.0
DRAIN_SECONDS: Final = 400.0
PHASES: Final = ("ok", "down", "ok", "slow", "ok", "error", "ok", "redirect", "ok", "breaks off", "ok", "lies")
ANSWERS: Final = {"ok": "204 OK", "error": "500 Broken", "redirect": "302 Elsewhere", "lies": "503 Later"}
"""What the receiver answers. One that lies has taken the webhook, and says that it has not."""


@dataclass
class Receiver:
    """A receiver of webhooks that behaves in another way every few seconds."""

    phase: str = "ok"
    port: int = 0
    taken: defaultdict[str, list[dict[str, object]]] = field(default_factory=lambda: defaultdict(list))
    """The bodies that were taken, by the path of the endpoint, duplicates included."""
    bodies: defaultdict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """By `webhook-id`, what was sent under it."""
    posts: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        phase = self.phase
        if phase == "down":
            writer.transport.abort()
            return
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lengths = re.findall(r"content-length: (\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(lengths[0]))
            path = head.split()[1]
            self.posts[phase] += 1
            self.bodies[re.findall(r"webhook-id: (\S+)", head)[0]].add(body)
            if phase not in {"error", "redirect"}:
                self.taken[path].append(json.loads(body))
            if phase == "slow":
                await asyncio.sleep(2)
            if phase != "breaks off":
                location = "Location: http://127.0.0.1:1/\r\n" if phase == "redirect" else ""
                status = ANSWERS.get(phase, "200 OK")
                writer.write(f"HTTP/1.1 {status}\r\n{location}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    async def change(self) -> None:
        while True:
            for self.phase in PHASES:
                await asyncio.sleep(PHASE_SECONDS)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()


def start(variables: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen([PROGRAM, "worker"], env=variables, stdout=file, stderr=subprocess.STDOUT)


async def register(office: Office, database: Database, port: int) -> None:
    """Register endpoints at the receiver, on the database: the service of this process allows no such address."""
    at = datetime.now(UTC)
    for number in range(ENDPOINTS):
        async with database.transaction() as connection:
            await Webhooks(connection).register(
                UUID(int=number + 1),
                "intake-system",
                url=f"http://127.0.0.1:{port}/{number}",
                secret=new_secret(),
                kinds=list(IntegrationEventKind),
                at=at,
                expires_at=at.replace(year=at.year + 1),
            )
    assert (await office.integration.get("/v1/me"))["subject"] == "intake-system"
    assert len((await office.integration.get("/v1/webhook-endpoints"))["items"]) == ENDPOINTS  # type: ignore[arg-type]


async def write(office: Office, until: asyncio.Event) -> None:
    while not until.is_set():
        story = await office.file(by=office.integration, channel=None)
        await story.withdraw(story.complainants[0])
        await asyncio.sleep(0.05)


async def hang(office: Office, database: Database, until: asyncio.Event, skipped: list[int]) -> None:
    """Commit an event late, again and again; count those that a cursor on the position would skip."""
    story: Story = await office.file(by=office.integration, channel=None)
    while not until.is_set():
        async with database.transaction() as connection:
            event_id = await append(connection, story, office)
            await asyncio.sleep(2)
            async with database.reading() as other:
                seen = (await other.execute(select(func.max(t.events.c.position)))).scalar_one()
        async with database.reading() as connection:
            late = select(t.events.c.position).where(t.events.c.id == UUID(event_id))
            skipped.append(int((await connection.execute(late)).scalar_one() <= seen))


async def kill(variables: dict[str, str], log: Path, done: asyncio.Event) -> list[subprocess.Popen[bytes]]:
    """Kill a worker KILLS times, each replaced at once."""
    workers = [start(variables, log) for _ in range(WORKERS)]
    for _ in range(KILLS):
        await asyncio.sleep(random.uniform(2, 4))  # noqa: S311 - the moment of a kill
        victim = workers.pop(random.randrange(len(workers)))  # noqa: S311
        os.kill(victim.pid, signal.SIGKILL)
        await asyncio.to_thread(victim.wait)
        workers.append(start(variables, log))
    done.set()
    return workers


async def test_nothing_is_lost_or_out_of_order_whatever_fails(
    committed: Settings, committed_database: Database, committed_office: Office, keys: Path, tmp_path: Path
) -> None:
    office, database, log = committed_office, committed_database, tmp_path / "workers.log"
    done, skipped = asyncio.Event(), list[int]()
    async with receiving() as receiver:
        await register(office, database, receiver.port)
        more = {
            "MEDIATION_WEBHOOK_ALLOW_HTTP": "true",
            "MEDIATION_WEBHOOK_PORTS": str(receiver.port),
            "MEDIATION_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "MEDIATION_WEBHOOK_TIMEOUT_SECONDS": "1",
        }
        variables = without_settings() | environment(committed, keys, **more)
        changing = asyncio.create_task(receiver.change())
        writing = [asyncio.create_task(write(office, done)) for _ in range(WRITERS)]
        writing.append(asyncio.create_task(hang(office, database, done, skipped)))
        workers = await kill(variables, log, done)
        await asyncio.gather(*writing)
        feed, _ = await walk(office.integration, limit=100)
        changing.cancel()
        receiver.phase = "ok"
        waiting = select(func.count()).where(t.webhook_deliveries.c.state == "waiting")
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(DRAIN_SECONDS):
            while True:
                async with database.reading() as connection:
                    if not (await connection.execute(waiting)).scalar_one():
                        break
                await asyncio.sleep(0.5)
        drained = asyncio.get_running_loop().time() - began
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        assert [worker.wait(60) for worker in workers] == [0] * WORKERS

    expected = {str(event["id"]) for event in feed}
    duplicates = 0
    for number in range(ENDPOINTS):
        got = receiver.taken[f"/{number}"]
        order = defaultdict[object, dict[object, None]](dict)
        for body in got:
            data = body["data"]
            assert isinstance(data, dict)
            order[data["case_id"] or data["complaint_id"]].setdefault(data["sequence"])
        ids = [body["data"]["id"] for body in got]  # type: ignore[index]
        assert set(ids) == expected, "lost or invented"
        duplicates += len(ids) - len(expected)
        for sequences in order.values():
            assert list(sequences) == list(range(1, len(sequences) + 1)), "out of order"
    assert all(len(bodies) == 1 for bodies in receiver.bodies.values()), "one id, one body"
    assert receiver.bodies.keys() == expected
    assert sum(skipped) > 0, "the control: a cursor on the position would have skipped none"
    print(  # noqa: T201 - the figures
        f"\n{KILLS} kills, {len(feed)} events to {ENDPOINTS} endpoints: 0 lost, 0 out of order, {duplicates} "
        f"duplicates; posts by phase {dict(receiver.posts)}; drained in {drained:.0f} s; a cursor on the position "
        f"skips {sum(skipped)} of {len(skipped)} events that were committed late"
    )


ONE_STATEMENT: Final = """
    WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(42)),
    taken AS (DELETE FROM unnumbered_events USING locked RETURNING position, stream),
    last AS (SELECT coalesce(max(number), 0) AS number FROM change_feed)
    INSERT INTO change_feed (number, position, stream, for_office)
    SELECT last.number + row_number() OVER (ORDER BY position), position, stream, true FROM taken, last
"""
"""Numbering that takes the lock and reads in one statement: what it reads is older than the lock."""


async def test_the_control_numbering_in_one_statement_gives_numbers_twice(
    committed_office: Office, committed_database: Database
) -> None:
    office, database = committed_office, committed_database
    await office.file()

    async def number() -> None:
        async with database.transaction() as connection:
            await connection.execute(text(ONE_STATEMENT))

    async with database.transaction() as first:
        await first.execute(text(ONE_STATEMENT))
        await office.file()
        second = asyncio.create_task(number())
        await asyncio.sleep(0.5)  # it waits for the lock
    with pytest.raises(IntegrityError, match="pk_change_feed"):
        await second
