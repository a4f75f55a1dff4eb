"""What each operation costs, beside the same SQL without the service: `make benchmark`, two minutes.

    make benchmark                                       every operation
    make benchmark ARGS="--only list --only case-party"  some
    make benchmark ARGS="--requests 600 --runs 5"        with a narrower spread
    make benchmark ARGS="--against ../before"            and another checkout, in turns with this one

Cases are brought from filing to a signed agreement on a throw-away server (`mediation_api.dev.office`). Before each
step that is measured, the database is copied twice. The step's requests are then recorded in this process, with every
statement and its parameters. The service (`mediation-api serve`, one worker) answers these requests on one copy; on the
other, the bare application (`benchmarks.bare`) answers them by executing what was recorded. So both do the same work
on the same rows, writes included, and take turns in each run. The client has 16 connections.

With `--against`, the service of another checkout answers the same requests on a third copy, and has a line of its own;
its schema must be the same, but for indexes.

Prints a table in Markdown. CPU is the time of the server process, without PostgreSQL's, which has a column of its own;
the share is the rate of the service divided by that of the bare application in the same run. Needs Linux.
"""

import argparse
import asyncio
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from pathlib import Path
from socket import create_connection, create_server
from statistics import median, quantiles
from typing import Final

import httpx
import uvloop
from benchmarks.bare import BareService
from benchmarks.client import Load, send
from benchmarks.recording import Exchange, Recorder
from benchmarks.server import BenchmarkServer, benchmark_server, environment_of

from mediation_api.database.engine import Database
from mediation_api.dev.office import Caller, Office, RealClock, Story, usual_subject
from mediation_api.domain.access import Role
from mediation_api.main import create_app
from mediation_api.settings import Settings

REQUESTS: Final = 100
"""Of a write in each run. Reads, which need no case of their own, have `READS_PER_WRITE` times as many."""
READS_PER_WRITE: Final = 2
RUNS: Final = 3
WARM_UP: Final = 64
"""Requests before the first run, so that each connection has prepared the statements."""
CASES_READ: Final = 48
COORDINATORS: Final = 4
AT_ONCE: Final = 4
"""Steps at a time between the measured ones."""

Step = Callable[[Story], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is measured.

    Args:
        name: for the table.
        request: a regular expression for its method and path.
        step: sends it; what it sends besides is not recorded.
    """

    name: str
    request: str
    step: Step
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Operations that begin with the same cases.

    Args:
        operations: what is measured. A write is a step of the case's way to the next stage.
        prepare: brings a case from the stage before to this one.
        ends_here: the operations end the case, so that they are carried out on one more copy.
    """

    operations: tuple[Operation, ...]
    prepare: Step | None = None
    ends_here: bool = False


def _read(name: str, path: str, step: Step) -> Operation:
    return Operation(name, f"GET {path}", step, is_read=True)


async def _all_agree(story: Story) -> None:
    for officer in story.officers:
        await story.answer(officer)


def _mediator_of(story: Story) -> Caller:
    if story.mediator is None:
        raise ValueError("the case was proposed to no mediator")
    return story.mediator


STAGES: Final = (
    Stage(
        (
            Operation(
                "file",
                "POST /v1/complaints",
                lambda story: story.file(story.office.intake, complainants=({},), officers=({},)),
            ),
        )
    ),
    Stage(
        (Operation("answer", "POST .*/consents", lambda story: story.answer(story.complainants[0])),),
        lambda story: story.screen(),
    ),
    Stage(
        (Operation("withdraw", "POST .*/withdrawals", lambda story: story.withdraw(story.complainants[0])),),
        _all_agree,
        ends_here=True,
    ),
    Stage(
        (Operation("schedule", "POST .*/sessions", lambda story: story.schedule()),),
        lambda story: story.assign(),
    ),
    Stage(
        (Operation("sign", "POST .*/signatures", lambda story: story.sign(story.complainants[0])),),
        lambda story: story.make_agreement(),
    ),
    Stage(
        (
            _read("case-coordinator", "/v1/cases/[^/]*", lambda story: story.office.coordinator.get(story.path)),
            _read("case-party", "/v1/cases/[^/]*", lambda story: story.complainants[0].get(story.path)),
            _read("case-mediator", "/v1/cases/[^/]*", lambda story: _mediator_of(story).get(story.path)),
            _read("list", "/v1/cases", lambda story: story.office.coordinator.get("/v1/cases?limit=20")),
            _read("board", "/v1/me", lambda story: story.office.coordinator.get("/v1/me")),
            _read("complaint", "/v1/complaints/[^/]*", lambda story: story.office.coordinator.get(story.complaint)),
            _read("timeline", ".*/timeline", lambda story: story.office.coordinator.get(f"{story.path}/timeline")),
        )
    ),
)
NAMES: Final = tuple(operation.name for stage in STAGES for operation in stage.operations)


@dataclass(slots=True)
class Figures:
    """What was measured of one side in each run."""

    loads: list[Load] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Milliseconds of the server process for a request."""
    postgres: list[float] = field(default_factory=list)
    """Milliseconds of PostgreSQL for a request."""


@dataclass(frozen=True, slots=True)
class Side:
    """A server that is measured: the service, or the bare application."""

    port: int
    pid: int
    figures: Figures = field(default_factory=Figures)

    async def measure(self, requests: Sequence[bytes], postmaster: int) -> None:
        """Send the requests, and add the figures of a run."""
        cpu, postgres = cpu_of(self.pid), _cpu_of_children(postmaster)
        load = await send(self.port, requests)
        self.figures.loads.append(load)
        self.figures.cpu.append((cpu_of(self.pid) - cpu) / len(requests) * 1000)
        self.figures.postgres.append((_cpu_of_children(postmaster) - postgres) / len(requests) * 1000)


@dataclass(frozen=True, slots=True)
class Caseload:
    """An office on a database, called in this process, and what it asks of the database."""

    office: Office
    recorder: Recorder
    database: Database

    @classmethod
    def on(cls, settings: Settings) -> "Caseload":
        """Create the application, and an office that calls it."""
        app = create_app(settings)
        database: Database = app.state.service.database
        recorder = Recorder(httpx.ASGITransport(app), database._pools.values())  # noqa: SLF001 - nobody else needs them
        client = httpx.AsyncClient(transport=recorder, base_url="http://benchmark", timeout=60)
        numbers = count()

        def subject_of(role: Role, employee_number: str | None) -> str:
            usual = usual_subject(role, employee_number)
            return f"{role}.{next(numbers) % COORDINATORS + 1}" if role is Role.COORDINATOR else usual

        return cls(Office(client, settings, RealClock(), subject_of=subject_of), recorder, database)

    async def close(self) -> None:
        """Disconnect."""
        await self.office.client.aclose()
        await self.database.close()


class Benchmark:
    """One run of the benchmark on a server."""

    def __init__(self, server: BenchmarkServer, wanted: frozenset[str], chosen: argparse.Namespace) -> None:
        self._server = server
        self._wanted = wanted
        self._requests: int = chosen.requests
        self._runs: int = chosen.runs
        self._against: Path | None = chosen.against

    async def run(self) -> None:
        """Bring the cases through the stages, and print a line for each operation that is wanted."""
        wanted = [[operation for operation in stage.operations if operation.name in self._wanted] for stage in STAGES]
        writes = any(not operation.is_read for each in wanted for operation in each)
        cases = WARM_UP + self._runs * self._requests if writes else CASES_READ
        caseload = Caseload.on(await self._server.copy("caseload"))
        stories = [Story(caseload.office) for _ in range(cases)]
        print(HEADINGS, flush=True)
        last = max(index for index, operations in enumerate(wanted) if operations)
        for stage, operations in zip(STAGES[: last + 1], wanted, strict=False):
            if stage.prepare is not None:
                await in_parallel(stage.prepare, stories)
            if operations:
                await self._measure(operations, stories, caseload, ends_here=stage.ends_here)
            elif not stage.ends_here:
                for operation in stage.operations:
                    await in_parallel(operation.step, stories)
        await caseload.close()

    async def _measure(
        self, operations: Sequence[Operation], stories: Sequence[Story], caseload: Caseload, *, ends_here: bool
    ) -> None:
        """Record the operations, and measure each on copies of the database from before."""
        await caseload.database.close()  # a database that somebody is connected to cannot be copied
        copies = {name: await self._server.copy(name, "caseload") for name in ("service", "other", "bare", "aside")}
        recorded_on = Caseload.on(copies["aside"]) if ends_here else caseload
        recorder = recorded_on.recorder
        recorder.exchanges.clear()
        ends = []
        for operation in operations:
            with recorder.recording(operation.request):
                for story in stories[:CASES_READ] if operation.is_read else stories:
                    await operation.step(story.copy(recorded_on.office) if ends_here else story)
            ends.append(len(recorder.exchanges))
        if ends_here:
            await recorded_on.close()
        with ExitStack() as stack:
            servers = [
                stack.enter_context(_service(Path(sys.prefix), copies["service"])),
                stack.enter_context(_bare(copies["bare"], recorder.exchanges)),
            ]
            if self._against is not None:
                servers.append(stack.enter_context(_service(self._against / ".venv", copies["other"])))
            for operation, begin, end in zip(operations, [0, *ends], ends, strict=False):
                exchanges = recorder.exchanges[begin:end]
                sides = [Side(port, pid) for port, pid in servers]
                await self._take_turns(operation, exchanges, sides)
                service, bare, *others = [side.figures for side in sides]
                print(_line(operation.name, service, bare, exchanges), flush=True)
                for other in others:
                    print(_line(f"{operation.name} before", other, bare), flush=True)
        await self._server.drop(*copies)

    async def _take_turns(self, operation: Operation, exchanges: Sequence[Exchange], sides: Sequence[Side]) -> None:
        requests = cycle([exchange.request for exchange in exchanges])
        in_a_run = self._requests * (READS_PER_WRITE if operation.is_read else 1)
        warm_up = [*islice(requests, WARM_UP)]
        for side in sides:
            await send(side.port, warm_up)
        for run in range(self._runs):
            batch = [*islice(requests, in_a_run)]
            for side in sides[:: 1 if run % 2 else -1]:
                await side.measure(batch, self._server.postmaster)


async def in_parallel(step: Step, stories: Iterable[Story]) -> None:
    """Take all cases a step further, `AT_ONCE` at a time."""
    waiting = iter(stories)

    async def work() -> None:
        for story in waiting:
            await step(story)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


# ── the two servers ────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _service(installed: Path, settings: Settings) -> Iterator[tuple[int, int]]:
    """Run `mediation-api serve` of a virtual environment. Yields its port and process id."""
    port = free_port()
    program = installed / "bin" / "mediation-api"
    environment = environment_of(settings) | {"MEDIATION_PORT": str(port)}
    process = subprocess.Popen([program, "serve"], env=environment, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    try:
        _wait_until_listening(port, process.poll)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _bare(settings: Settings, exchanges: Sequence[Exchange]) -> Iterator[tuple[int, int]]:
    """Run the bare application. Yields its port and process id."""
    port = free_port()
    bare = BareService(settings.database_url.get_secret_value(), settings.pool_size, exchanges)
    process = multiprocessing.get_context("spawn").Process(target=bare.serve, args=(port,))
    process.start()
    try:
        _wait_until_listening(port, lambda: process.exitcode)
        yield port, process.pid or 0
    finally:
        process.terminate()
        process.join()


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _wait_until_listening(port: int, ended: Callable[[], int | None]) -> None:
    while ended() is None:
        with suppress(ConnectionRefusedError), create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit(f"a server ended with {ended()} before it listened")


def cpu_of(pid: int) -> float:
    """Seconds of the processor that all threads of a process have used."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads) / 1e9


def _cpu_of_children(pid: int) -> float:
    total = 0.0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        with suppress(FileNotFoundError, ProcessLookupError):  # workers of autovacuum come and go
            total += cpu_of(int(child))
    return total


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────────────────

HEADINGS: Final = (
    "| operation | service, requests/s | bare, requests/s | share | CPU, ms | bare CPU, ms | PostgreSQL, ms "
    "| bare PostgreSQL, ms | p50, ms | p99, ms | round trips | statements | bytes |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def _line(name: str, service: Figures, bare: Figures, exchanges: Sequence[Exchange] = ()) -> str:
    latencies = [each * 1000 for load in service.loads for each in load.latencies]
    rates, bare_rates = ([load.rate for load in side.loads] for side in (service, bare))
    round_trips = [len(exchange.statements) for exchange in exchanges]
    statements = [sum(statement.count for statement in exchange.statements) for exchange in exchanges]
    size = sum(load.bytes for load in service.loads) / len(latencies)
    cells = [
        name,
        _spread(rates, ".0f"),
        _spread(bare_rates, ".0f"),
        _spread([rate / of_bare for rate, of_bare in zip(rates, bare_rates, strict=True)], ".2f"),
        _spread(service.cpu, ".2f"),
        _spread(bare.cpu, ".2f"),
        _spread(service.postgres, ".2f"),
        _spread(bare.postgres, ".2f"),
        f"{median(latencies):.1f}",
        f"{quantiles(latencies, n=100)[98]:.1f}",
        f"{median(round_trips):.0f}" if exchanges else "",
        f"{median(statements):.0f}" if exchanges else "",
        f"{size:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _spread(runs: Sequence[float], form: str) -> str:
    """The median of the runs, and the least and the greatest in brackets."""
    return f"{median(runs):{form}} ({min(runs):{form}} to {max(runs):{form}})"


def main(arguments: Sequence[str]) -> None:
    """Make a server for this run, measure, and remove it."""
    parser = argparse.ArgumentParser(prog="make benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=NAMES, help="an operation; may be repeated")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="writes in a run; twice as many reads")
    parser.add_argument("--runs", type=int, default=RUNS, help="how often each operation is measured")
    parser.add_argument("--against", type=Path, help="a checkout of another version, whose .venv is set up")
    chosen = parser.parse_args(arguments)
    with benchmark_server() as server:
        uvloop.run(Benchmark(server, frozenset(chosen.only or NAMES), chosen).run())


if __name__ == "__main__":
    main(sys.argv[1:])
