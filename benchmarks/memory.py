"""How soon `mediation-api serve` answers, and what its processes hold in memory under load: `make memory`.

    make memory                                          # one worker, 100,000 requests, within the life of a token
    make memory ARGS="--workers 2 --requests 20000"

A few cases are brought to a signed agreement on a throw-away server. Then the service is started and, with 16
connections, is sent what the coordinator, parties and mediators read of these cases; one request in `READS_PER_FILING`
files another complaint. Needs Linux.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from benchmarks.client import send
from benchmarks.operations import STAGES, Caseload, cpu_of, free_port, in_parallel
from benchmarks.server import benchmark_server, environment_of

from mediation_api.dev.office import Story
from mediation_api.settings import Settings

CASES: Final = 24
READS_PER_FILING: Final = 10
STEPS: Final = 5
"""How often the memory is looked at while the requests are sent."""

_KEY: Final = re.compile(rb"(?<=\r\nidempotency-key: )[^\r]+", re.IGNORECASE)
_KIB: Final = 1024


async def recorded(settings: Settings) -> list[bytes]:
    """Return the reads of a few cases, with a complaint filed after each `READS_PER_FILING` of them."""
    caseload = Caseload.on(settings)
    stories = [Story(caseload.office) for _ in range(CASES)]
    recorder = caseload.recorder
    (filing,), reads = STAGES[0].operations, STAGES[-1].operations
    with recorder.recording(filing.request):
        for story in stories:
            await filing.step(story)
    filings = [exchange.request for exchange in recorder.exchanges]
    for stage in STAGES[1:]:
        if stage.prepare is not None:
            await in_parallel(stage.prepare, stories)
        if not stage.ends_here and stage is not STAGES[-1]:
            for operation in stage.operations:
                await in_parallel(operation.step, stories)
    recorder.exchanges.clear()
    for operation in reads:
        with recorder.recording(operation.request):
            for story in stories:
                await operation.step(story)
    await caseload.close()
    mixed: list[bytes] = []
    for number, exchange in enumerate(recorder.exchanges):
        mixed.append(exchange.request)
        if number % READS_PER_FILING == 0:
            mixed.append(filings[number % len(filings)])
    return mixed


def with_new_keys(requests: Sequence[bytes]) -> Iterator[bytes]:
    """Repeat requests for ever, each time with another idempotency key: the first one's answer would be repeated."""
    for request in cycle(requests):
        yield _KEY.sub(lambda _: str(uuid.uuid4()).encode(), request)


def first_answer(port: int, path: str) -> None:
    """Wait for the first 200."""
    while True:
        connection = HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == HTTPStatus.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.01)


def processes(pid: int) -> Iterator[int]:
    """Give a process and all below it."""
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        yield from processes(int(child))


def memory(pid: int) -> str:
    """Return RSS and PSS of each process: in PSS, what several of them share counts as a part."""
    cells = []
    for each in processes(pid):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        figures = {line.partition(":")[0]: int(line.split()[1]) / _KIB for line in lines}
        cells.append(f"{figures['Rss']:.0f} / {figures['Pss']:.0f}")
    return ", ".join(cells)


def measure(settings: Settings, requests: Sequence[bytes], number: int) -> None:
    """Start the service, send requests and print a line after each step."""
    port = free_port()
    environment = environment_of(settings) | {"MEDIATION_PORT": str(port)}
    program = Path(sys.executable).with_name("mediation-api")
    began = time.perf_counter()
    with subprocess.Popen([program, "serve"], env=environment, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        try:
            first_answer(port, "/health/live")
            live = time.perf_counter() - began
            first_answer(port, "/health/ready")
            ready = time.perf_counter() - began
            cpu = sum(map(cpu_of, processes(process.pid)))
            print(f"first answer after {live:.2f} s, ready after {ready:.2f} s; CPU of all processes: {cpu:.2f} s\n")
            print("| requests | RSS / PSS of each process, MB |\n| --- | --- |")
            print(f"| 0 | {memory(process.pid)} |", flush=True)
            sent = with_new_keys(requests)
            for step in range(1, STEPS + 1):
                asyncio.run(send(port, [*islice(sent, number // STEPS)]))
                print(f"| {step * (number // STEPS):,} | {memory(process.pid)} |", flush=True)
        finally:
            process.terminate()


def main(arguments: Sequence[str]) -> None:
    """Make a server for this run, measure, and remove it."""
    parser = argparse.ArgumentParser(prog="make memory", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--requests", type=int, default=100_000)
    chosen = parser.parse_args(arguments)
    with benchmark_server() as server:
        settings = server.service.model_copy(update={"workers": chosen.workers})
        measure(settings, asyncio.run(recorded(settings)), chosen.requests)


if __name__ == "__main__":
    main(sys.argv[1:])
