"""A primary with a standby: what becomes of what was acknowledged when one of them dies, hangs or changes its role.

`make gate-failover` runs it, `make test` does not: each fault needs two servers of its own. The address names both, and
the service finds the one that accepts writes.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
from benchmarks.server import BenchmarkServer, benchmark_server
from pydantic import SecretStr
from sqlalchemy import make_url, text
from tests.contract.crashes import Written, effects
from tests.contract.instance import serving

from mediation_api.database.engine import Database, create_engine
from mediation_api.dev.embedded_postgres import SUPERUSER, EmbeddedServer
from mediation_api.dev.office import Office, RealClock, Story
from mediation_api.domain.access import Role
from mediation_api.http.problems import OUTCOME_UNKNOWN
from mediation_api.settings import Settings

WRITERS: Final = 4
BEFORE: Final = 20
"""Acknowledged filings before the fault."""
DETECTED_AFTER: Final = 2.0
"""Seconds from the fault to the promotion of the standby."""
WRITING_AGAIN: Final = 5.0
"""Seconds from the promotion, at most."""
CANCEL_THE_WAIT: Final = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@dataclass(slots=True)
class Pair:
    """A primary and its standby."""

    server: BenchmarkServer
    primary: EmbeddedServer
    standby: EmbeddedServer
    settings: Settings = field(init=False)
    """Those of a service that knows both hosts."""

    def __post_init__(self) -> None:
        url = self.server.service.database_url.get_secret_value().partition("?")[0]
        hosts = f"host={_folder(self.primary)},{_folder(self.standby)}&port=5432,5432"
        both = f"{url}?{hosts}&target_session_attrs=read-write"
        self.settings = self.server.service.model_copy(update={"database_url": SecretStr(both)})

    async def require_standby(self, names: str) -> None:
        """Let commits wait for these standbys."""
        await _execute(self.server.owner, f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        await _execute(self.server.owner, "SELECT pg_reload_conf()")

    async def promote(self) -> None:
        """Make the standby the primary."""
        await _execute(self.owner_of_standby, "SELECT pg_promote()")

    @property
    def owner_of_standby(self) -> Settings:
        """Settings that connect to the standby as the owner of the tables."""
        return _at(self.server.owner, self.standby)

    @property
    def service_on_standby(self) -> Settings:
        """Settings that connect to the standby as the service."""
        return _at(self.server.service, self.standby)


def _folder(server: EmbeddedServer) -> str:
    folder = make_url(server.url()).query["host"]
    assert isinstance(folder, str)
    return folder


def _at(settings: Settings, server: EmbeddedServer) -> Settings:
    url = make_url(settings.database_url.get_secret_value()).update_query_dict({"host": _folder(server)})
    return settings.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})


def _signal(server: EmbeddedServer, sent: signal.Signals) -> None:
    """Send a signal to a server and to each of its processes."""
    postmaster = int((server.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    for process in (postmaster, *map(int, children)):
        os.kill(process, sent)


async def _execute(settings: Settings, statement: str) -> None:
    engine = create_engine(settings, statement_timeout_ms=0)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


def _copy_of(primary: EmbeddedServer, directory: Path) -> EmbeddedServer:
    """Return a server that, once started, follows the primary."""
    owner = primary.data.stat()
    directory.mkdir(mode=0o700)
    os.chown(directory, owner.st_uid, owner.st_gid)
    standby = EmbeddedServer(directory)
    programs = _programs(primary)
    standby._run(
        *(programs / "pg_basebackup", f"--pgdata={standby.data}", f"--host={_folder(primary)}"),
        *(f"--username={SUPERUSER}", "--write-recovery-conf", "--checkpoint=fast"),
    )
    return standby


def _programs(server: EmbeddedServer) -> Path:
    """Return the folder of the programs of a running server."""
    postmaster = (server.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0]
    return Path(f"/proc/{postmaster}/exe").resolve().parent


@pytest.fixture
def pair() -> Iterator[Pair]:
    with benchmark_server(durable=True) as server:
        standby = _copy_of(server.server, server.keys.parent / "standby")
        standby.start()
        try:
            yield Pair(server, server.server, standby)
        finally:
            for each in (server.server, standby):
                _wake(each)
            standby.stop()


def _wake(server: EmbeddedServer) -> None:
    """Let a server that was stopped go on, so that it can end."""
    try:
        _signal(server, signal.SIGCONT)
    except (FileNotFoundError, ProcessLookupError):
        return


@dataclass(slots=True)
class Service:
    """A service on the pair, and the people who use it."""

    address: str
    client: httpx.AsyncClient
    office: Office
    written: Written

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Let people file complaints while the block runs, and until each has its answer."""
        done = asyncio.Event()
        async with asyncio.TaskGroup() as writers:
            for _ in range(WRITERS):
                writers.create_task(self.written.writing(self.address, done))
            yield
            done.set()

    async def acknowledged(self, more: int) -> None:
        """Wait until so many more filings were acknowledged."""
        wanted = len(self.written.answers) + more
        while len(self.written.answers) < wanted:
            await self.written.told.get()


@pytest.fixture
async def service(pair: Pair) -> AsyncIterator[Service]:
    with serving(pair.settings, pair.server.keys) as address:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            office = Office(client, pair.settings, RealClock())
            token = str(office.caller(Role.INTAKE).token)
            yield Service(address, client, office, Written(token, with_same_key=True, retried=frozenset({503})))


async def _lost(settings: Settings, written: Written) -> set[str]:
    """Return the keys of the acknowledged filings that a database does not have. None has two."""
    database = Database.of(settings)
    found = await effects(database)
    await database.close()
    assert max(found.values()) == 1
    return written.answers.keys() - found.keys()


FAULTS: Final[dict[str, Callable[[Pair], None]]] = {
    "killed": lambda pair: _signal(pair.primary, signal.SIGKILL),
    "frozen": lambda pair: _signal(pair.primary, signal.SIGSTOP),
    "switched over": lambda pair: pair.primary.stop(),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_acknowledged_is_lost_with_the_primary(
    fault: str, pair: Pair, service: Service, record_property: Callable[[str, object], None]
) -> None:
    await pair.require_standby("*")
    async with service.writing():
        await service.acknowledged(BEFORE)
        await asyncio.to_thread(FAULTS[fault], pair)
        await asyncio.sleep(DETECTED_AFTER)
        await pair.promote()
        promoted = time.monotonic()
        await service.acknowledged(1)
        pause = time.monotonic() - promoted
        await service.acknowledged(BEFORE)
    lost = await _lost(pair.service_on_standby, service.written)
    total = len(service.written.answers)
    record_property("figure", f"{fault}: {len(lost)} of {total} lost, writing {pause:.1f} s after the promotion")
    assert lost == set()
    assert pause < WRITING_AGAIN


async def test_an_asynchronous_standby_loses_what_was_acknowledged(
    pair: Pair, service: Service, record_property: Callable[[str, object], None]
) -> None:
    """The control: it shows that the test above would see a loss."""
    async with service.writing():
        await service.acknowledged(BEFORE)
        _signal(pair.standby, signal.SIGSTOP)
        await service.acknowledged(BEFORE)
        _signal(pair.primary, signal.SIGKILL)
        _signal(pair.standby, signal.SIGCONT)
        await asyncio.sleep(DETECTED_AFTER)
        await pair.promote()
        await service.acknowledged(1)
    lost = await _lost(pair.service_on_standby, service.written)
    record_property("figure", f"asynchronous: {len(lost)} of {len(service.written.answers)} lost")
    assert lost


async def test_a_standby_that_hangs_stops_writes_but_no_reads(pair: Pair, service: Service) -> None:
    await pair.require_standby("*")
    story = Story(service.office)
    await story.file(service.office.intake, complainants=({},), officers=({},))
    _signal(pair.standby, signal.SIGSTOP)
    key = str(uuid4())
    first = asyncio.create_task(service.written.send(service.client, key))
    began = time.monotonic()
    await service.office.intake.get(story.complaint)
    assert time.monotonic() - began < 1
    assert (await service.client.get("/health/ready")).status_code == 200
    answer = await first
    assert (answer.status_code, answer.json()["detail"]) == (503, OUTCOME_UNKNOWN)
    _signal(pair.standby, signal.SIGCONT)
    assert (await service.written.write(service.client, key)).headers["Idempotency-Replayed"] == "true"


async def test_a_stored_response_waits_for_the_standby_as_the_first_one_did(pair: Pair, service: Service) -> None:
    """The wait of the first commit is cancelled, so that it is committed on the primary alone."""
    await pair.require_standby("*")
    await Story(service.office).file(service.office.intake, complainants=({},), officers=({},))
    _signal(pair.standby, signal.SIGSTOP)
    key = str(uuid4())
    first = asyncio.create_task(service.written.send(service.client, key))
    await asyncio.sleep(1)
    await _execute(pair.server.owner, CANCEL_THE_WAIT)
    assert (await first).json()["detail"] == OUTCOME_UNKNOWN
    again = await service.written.send(service.client, key)
    assert again.status_code == 503
    _signal(pair.standby, signal.SIGCONT)
    assert (await service.written.write(service.client, key)).headers["Idempotency-Replayed"] == "true"
