"""What `serve` loads, how it starts and replaces its workers, and how it stops."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest
from tests.contract.crashes import WRITERS, Written, effects
from tests.contract.instance import environment as development_environment
from tests.promises.production import Running, free_port, production_environment, serving, without_settings
from tests.serving import START_SECONDS

from mediation_api.database.engine import Database
from mediation_api.dev.office import Office, RealClock
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

pytestmark = pytest.mark.program

WORKER: Final = """
import sys
from mediation_api.cli.main import app
from mediation_api.cli.serve import app_of_a_worker
app_of_a_worker()
print(*sys.modules)
"""
NEVER_USED: Final = frozenset({"alembic", "httpx", "pygments", "rich", "sqlalchemy.orm", "typst"})
"""What other commands use, or what a library would take along; httpx reads a JWKS at an address, and typst prints."""
CALLERS: Final = 24
REQUEST: Final = b"POST /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
UNDER_WAY_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.2


def test_a_worker_loads_nothing_that_it_never_uses(settings: Settings, keys: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        env=without_settings() | production_environment(settings, keys, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.split()
    assert "mediation_api.routers.cases" in loaded
    assert NEVER_USED & set(loaded) == set()
    assert [name for name in loaded if name.startswith("mediation_api.dev.")] == [
        "mediation_api.dev.embedded_postgres",  # of the commands of development, which a wheel does not contain
        "mediation_api.dev.identity_provider",
    ]
    assert [name for name in loaded if name.startswith("holidays.countries.")] == ["holidays.countries.united_states"]


def _workers(running: Running) -> list[int]:
    """The process ids of all workers that were started so far."""
    return [int(found) for found in re.findall(r"Started server process \[(\d+)\]", running.text())]


def _parent_of(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True).stdout)  # noqa: S607 - any ps


def _threads_of(pid: int) -> int:
    return len([*Path(f"/proc/{pid}/task").iterdir()])


@pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned elsewhere")
def test_workers_are_forks_of_serve_and_one_that_is_killed_is_replaced(
    committed: Settings, keys: Path, tmp_path: Path
) -> None:
    environment = production_environment(committed, keys, tmp_path) | {"MEDIATION_WORKERS": "2"}
    with serving(environment, tmp_path) as running:
        deadline = time.monotonic() + START_SECONDS
        while len(_workers(running)) < 2:
            assert time.monotonic() < deadline, running.text()
            time.sleep(0.05)
        first, second = _workers(running)
        command = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
        for worker in (first, second):
            assert _parent_of(worker) == running.process.pid
            assert Path(f"/proc/{worker}/cmdline").read_bytes() == command  # spawned, it would have one of its own
        assert _threads_of(running.process.pid) == 1  # a fork copies one thread, and the locks of all

        os.kill(first, signal.SIGKILL)
        while len(_workers(running)) < 3:
            assert time.monotonic() < deadline, running.text()
            time.sleep(0.05)
        assert _parent_of(_workers(running)[2]) == running.process.pid
        assert httpx.get(f"{running.api}/health/ready").status_code == httpx.codes.OK

        # One worker more, which is told to stop at once, before it handles signals: nobody waits for it forever.
        running.process.send_signal(signal.SIGTTIN)
        running.process.send_signal(signal.SIGTTOU)
        while running.text().count("Terminated child process") < 1:
            assert time.monotonic() < deadline, running.text()
            time.sleep(0.05)
        running.stop()
    assert running.process.returncode == 0


async def _calling(port: int, *, keeps_alive: bool, answers: Counter[str]) -> None:
    """Call on one connection, or on one for each call, until the port is closed. The last answer may close it first."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        closed = False
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not closed:
                answers["called"] += 1
                writer.write(REQUEST)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
                answers["answered"] += 1
                answers["told that it closes"] += (stopping := b"connection: close" in head)
                closed = stopping or not keeps_alive
                await asyncio.sleep(PAUSE_SECONDS if keeps_alive else 0)
        writer.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_request_is_left_without_an_answer_when_it_stops(
    workers: int, committed: Settings, keys: Path, tmp_path: Path
) -> None:
    environment = production_environment(committed, keys, tmp_path) | {"MEDIATION_WORKERS": str(workers)}
    answers = Counter[str]()
    with serving(environment, tmp_path) as running:
        port = httpx.URL(running.api).port or 0
        async with asyncio.TaskGroup() as callers:
            for number in range(CALLERS):
                callers.create_task(_calling(port, keeps_alive=number % 2 == 0, answers=answers))
            await asyncio.sleep(UNDER_WAY_SECONDS)
            running.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(running.process.wait, START_SECONDS)
    assert answers["called"] == answers["answered"]
    assert answers["answered"] > CALLERS
    assert answers["told that it closes"] > 0


def _parents() -> dict[int, int]:
    """The parent of each process that has not ended."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,stat="], capture_output=True, check=True, text=True)  # noqa: S607 - any ps
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(child): int(parent) for child, parent, state in rows if not state.startswith("Z")}


def _family(pid: int) -> set[int]:
    """The process ids of a process and of all that it started."""
    parents, family = _parents(), {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


async def test_a_parent_that_is_killed_leaves_nothing_behind(committed: Settings, keys: Path, tmp_path: Path) -> None:
    """Whoever is being answered then gets the answer, or finds by the key what became of the request."""
    environment = development_environment(committed, keys, MEDIATION_WORKERS="2")
    (again := tmp_path / "again").mkdir()
    port, done = free_port(), asyncio.Event()
    async with httpx.AsyncClient() as client:
        token = str(Office(client, committed, RealClock()).caller(Role.INTAKE).token)
    written = Written(token, with_same_key=True)
    with serving(environment, tmp_path, port=port) as running, ExitStack() as next_ones:
        family = _family(running.process.pid)
        async with asyncio.TaskGroup() as writers:
            for _ in range(WRITERS):
                writers.create_task(written.writing(running.api, done))
            await written.news()
            running.process.kill()
            killed = time.monotonic()
            start = serving(environment, again, port=port)
            next_one = await asyncio.to_thread(next_ones.enter_context, start)
            while alive := family & _parents().keys():
                assert time.monotonic() < killed + START_SECONDS, alive  # less than a second on an idle machine
                await asyncio.to_thread(time.sleep, 0.05)
            await written.news()
            done.set()
        assert next_one.process.poll() is None
    assert len(family) == 3  # itself and two workers
    database = Database.of(committed)
    assert await effects(database) == Counter(dict.fromkeys(written.answers, 1))
    await database.close()
