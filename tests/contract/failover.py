"""A primary with a standby: what becomes of what was acknowledged when something of them or between them fails.

`make gate-failover` runs it, `make test` does not: most faults need two servers of their own. The address names both,
and the service finds the one that accepts writes. The last that is printed is the table of docs/operations.md.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

import httpx
import pytest
from benchmarks.server import BenchmarkServer, benchmark_server
from pydantic import SecretStr
from sqlalchemy import make_url, text
from tests.contract.crashes import Written, effects
from tests.contract.instance import APPLICATION, serving

from mediation_api.database.engine import Database, create_engine
from mediation_api.database.roles import SERVICE
from mediation_api.dev.embedded_postgres import SUPERUSER, EmbeddedServer
from mediation_api.dev.office import Office, RealClock, Story
from mediation_api.domain.access import Role
from mediation_api.http.problems import OUTCOME_UNKNOWN
from mediation_api.settings import Settings

WRITERS: Final = 4
BEFORE: Final = 20
"""Acknowledged filings before the fault."""
DETECTED_AFTER: Final = 2.0
"""Seconds from the fault to the promotion of the standby, or to the end of the fault."""
WRITING_AGAIN: Final = 5.0
"""Seconds from then, at most."""
FILE_BYTES: Final = 65_536
"""The greatest file that a server may write whose disk is full: less than its write-ahead log has already."""
JUMPING: Final = "tests.contract.jumping:application"
END_OTHER_SESSIONS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user"
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
        self.settings = self.by_way_of(_folder(self.primary))

    def by_way_of(self, primary: str) -> Settings:
        """Settings of a service that reaches the primary at this folder, and the standby at its own."""
        url = self.server.service.database_url.get_secret_value().partition("?")[0]
        hosts = f"host={primary},{_folder(self.standby)}&port=5432,5432"
        both = f"{url}?{hosts}&target_session_attrs=read-write"
        return self.server.service.model_copy(update={"database_url": SecretStr(both)})

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


def _processes(server: EmbeddedServer) -> list[int]:
    """The process ids of a server, the postmaster first."""
    postmaster = int((server.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    return [postmaster, *map(int, children)]


def _signal(server: EmbeddedServer, sent: signal.Signals) -> None:
    """Send a signal to a server and to each of its processes."""
    for process in _processes(server):
        os.kill(process, sent)


def _fill_disk(server: EmbeddedServer) -> None:
    """Let each write of the server fail that makes a file grow, as on a full disk: of its log as of its tables."""
    limit, owner = ["prlimit", f"--fsize={FILE_BYTES}:{FILE_BYTES}", "--pid"], server.data.stat()
    for process in _processes(server):
        subprocess.run([*limit, str(process)], user=owner.st_uid, group=owner.st_gid, check=False)  # it may have ended


class Relay:
    """A way to a server's socket that can be cut off: then bytes are lost in both directions, and nobody is told."""

    def __init__(self, server: EmbeddedServer, folder: str) -> None:
        self.folder = folder
        self._target = f"{_folder(server)}/.s.PGSQL.5432"
        self._passing = asyncio.Event()
        self._passing.set()

    def cut(self) -> None:
        """Pass nothing on any more. Connections stay open, and new ones are taken and not answered."""
        self._passing.clear()

    @classmethod
    @asynccontextmanager
    async def before(cls, server: EmbeddedServer) -> AsyncIterator[Self]:
        """Run one while the block does."""
        with tempfile.TemporaryDirectory(prefix="mediation-relay-", dir="/tmp") as folder:
            relay = cls(server, folder)
            listening = await asyncio.start_unix_server(relay._connect, f"{folder}/.s.PGSQL.5432")
            yield relay
            relay._passing.set()
            listening.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passing.wait()
        with suppress(OSError):
            their_reader, their_writer = await asyncio.open_unix_connection(self._target)
            await asyncio.gather(self._pass(reader, their_writer), self._pass(their_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


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
    waits: list[float] = field(default_factory=list)
    """How long each reader waited for an answer, in seconds."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Let somebody read one complaint again and again while the block runs; 503 is an answer, too."""
        story = Story(self.office)
        await story.file(self.office.intake, complainants=({},), officers=({},))

        async def read() -> None:
            while True:
                began = time.monotonic()
                try:
                    await self.client.get(story.complaint, headers={"Authorization": f"Bearer {self.written.token}"})
                finally:
                    self.waits.append(time.monotonic() - began)
                await asyncio.sleep(0.02)

        reader = asyncio.create_task(read())
        try:
            yield
        finally:
            reader.cancel()
            await asyncio.wait([reader])

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


@asynccontextmanager
async def _service(
    settings: Settings, keys: Path, application: str = APPLICATION, **more: str
) -> AsyncIterator[Service]:
    with serving(settings, keys, application, **more) as address:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            office = Office(client, settings, RealClock())
            token = str(office.caller(Role.INTAKE).token)
            written = Written(token, with_same_key=True, retried=frozenset({401, 503}))
            yield Service(address, client, office, written)


@pytest.fixture
async def service(pair: Pair) -> AsyncIterator[Service]:
    async with _service(pair.settings, pair.server.keys) as service:
        yield service


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a fault."""

    fault: str
    acknowledged: int
    lost: int
    turned_away: int
    """Answers 401 and 503 to those who write. They sent the request again, with its key."""
    pause: float
    """Seconds until somebody could write again after the promotion or the end of the fault."""
    wait: float
    """The longest that a reader waited for an answer, in seconds."""

    def __str__(self) -> str:
        counts = f"{self.acknowledged} | {self.lost} | {self.turned_away}"
        return f"| {self.fault} | {counts} | {self.pause:.1f} s | {self.wait:.1f} s |"


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    """The rows of the table, which is printed in the end."""
    rows: list[Row] = []
    yield rows
    head = (
        "\n",
        "| Fault | Acknowledged | Lost | Turned away | Writing again after | Slowest read |",
        "| --- | --: | --: | --: | --: | --: |",
    )
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        print(*head, *rows, sep="\n")  # noqa: T201 - the report


async def _suffered(
    fault: str, service: Service, begin: Callable[[], None], end: Callable[[], Awaitable[None]], kept: Settings
) -> Row:
    """Let people write and read through a fault. Returns what is lost in the database of `kept`."""
    async with service.writing(), service.reading():
        await service.acknowledged(BEFORE)
        service.waits.clear()
        await asyncio.to_thread(begin)
        await asyncio.sleep(DETECTED_AFTER)
        await end()
        ended = time.monotonic()
        await service.acknowledged(1)
        pause = time.monotonic() - ended
        await service.acknowledged(BEFORE)
    lost = await _lost(kept, service.written)
    written = service.written
    return Row(fault, len(written.answers), len(lost), written.broken, pause, max(service.waits))


async def _lost(settings: Settings, written: Written) -> set[str]:
    """Return the keys of the acknowledged filings that a database does not have. No key has two."""
    database = Database.of(settings)
    found = await effects(database)
    await database.close()
    assert max(found[key] for key in written.answers) == 1
    return written.answers.keys() - found.keys()


FAULTS: Final[dict[str, Callable[[Pair], None]]] = {
    "primary killed": lambda pair: _signal(pair.primary, signal.SIGKILL),
    "primary frozen": lambda pair: _signal(pair.primary, signal.SIGSTOP),
    "switched over": lambda pair: pair.primary.stop(),
    "disk of the primary full": lambda pair: _fill_disk(pair.primary),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_acknowledged_is_lost_with_the_primary(
    fault: str, pair: Pair, service: Service, rows: list[Row]
) -> None:
    await pair.require_standby("*")
    if fault == "disk of the primary full":  # a limit of the size of files is no SQLSTATE 53100, but an internal error
        service.written.retried |= {500}
    row = await _suffered(fault, service, lambda: FAULTS[fault](pair), pair.promote, pair.service_on_standby)
    rows.append(row)
    assert row.lost == 0
    assert row.turned_away > 0
    assert row.pause < WRITING_AGAIN


async def test_nothing_acknowledged_is_lost_when_the_primary_is_cut_off(pair: Pair, rows: list[Row]) -> None:
    """It goes on, and its standby follows it until the promotion: it only cannot be reached by the service any more."""
    await pair.require_standby("*")
    async with (
        Relay.before(pair.primary) as relay,
        _service(pair.by_way_of(relay.folder), pair.server.keys) as service,
    ):
        row = await _suffered("primary cut off", service, relay.cut, pair.promote, pair.service_on_standby)
    rows.append(row)
    assert row.lost == 0
    assert row.turned_away > 0
    assert row.pause < WRITING_AGAIN


async def test_nothing_acknowledged_is_lost_when_connections_are_refused_or_the_clock_jumps(
    pair: Pair, rows: list[Row], tmp_path: Path
) -> None:
    """Faults that end by themselves. By a clock that jumped, each token has expired or is not valid yet: 401."""
    await pair.require_standby("*")
    (offset := tmp_path / "offset").write_text("0", encoding="utf-8")

    async def connect_again() -> None:
        await _execute(pair.server.owner, f"ALTER ROLE {SERVICE} CONNECTION LIMIT -1")

    def jump(seconds: int) -> None:
        (new := tmp_path / "new").write_text(str(seconds), encoding="utf-8")
        new.rename(offset)

    async def set_right() -> None:
        await asyncio.to_thread(jump, 0)

    faults: dict[str, tuple[Callable[[], None], Callable[[], Awaitable[None]]]] = {
        "connections refused": (lambda: asyncio.run(_refuse_connections(pair)), connect_again),
        "clock three hours ahead": (lambda: jump(10_800), set_right),
        "clock an hour behind": (lambda: jump(-3600), set_right),
        "standby frozen": (
            lambda: _signal(pair.standby, signal.SIGSTOP),
            lambda: asyncio.to_thread(_signal, pair.standby, signal.SIGCONT),
        ),
    }
    more = {"CLOCK_OFFSET": str(offset)}
    for fault, (begin, end) in faults.items():
        async with _service(pair.settings, pair.server.keys, JUMPING, **more) as service:
            row = await _suffered(fault, service, begin, end, pair.server.service)
        rows.append(row)
        assert row.lost == 0
        assert row.turned_away > 0 or fault == "standby frozen"  # they wait for it
        assert row.pause < WRITING_AGAIN


async def _refuse_connections(pair: Pair) -> None:
    """Let the server take no connection of the service, and end those that it has."""
    await _execute(pair.server.owner, f"ALTER ROLE {SERVICE} CONNECTION LIMIT 0")
    await _execute(pair.server.owner, END_OTHER_SESSIONS)


async def test_an_asynchronous_standby_loses_what_was_acknowledged(
    pair: Pair, service: Service, rows: list[Row]
) -> None:
    """The control: it shows that the test above would see a loss."""

    def lag_behind_and_die() -> None:
        _signal(pair.standby, signal.SIGSTOP)
        time.sleep(DETECTED_AFTER)
        _signal(pair.primary, signal.SIGKILL)
        _signal(pair.standby, signal.SIGCONT)

    fault = "control: primary killed, standby asynchronous"
    row = await _suffered(fault, service, lag_behind_and_die, pair.promote, pair.service_on_standby)
    rows.append(row)
    assert row.lost > 0


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
