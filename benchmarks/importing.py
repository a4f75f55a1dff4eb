"""How fast `mediation-api import` files many complaints, and what others feel of it: `make importing`.

    make importing                                   # 100,000 complaints
    make importing ARGS="--complaints 6000"          # in a few minutes, for what others feel
    make importing ARGS="--share 100 --steady"       # for the rate and the memory

On a throw-away server, a service, a worker and the command run in processes of their own. Meanwhile other requests are
sent at a steady rate, in windows of a few seconds: in every other one the worker is stopped (SIGSTOP), so that both
kinds of windows meet the same database and the same load of the machine. Needs Linux.
"""

import argparse
import asyncio
import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import Final

import httpx
from benchmarks.operations import free_port
from benchmarks.server import benchmark_server, environment_of

from mediation_api.dev.identity_provider import dev_token
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

WINDOW_SECONDS: Final = 4.0
"""Shorter than PostgreSQL lets a transaction be idle, since a stopped worker may be in one."""
REQUESTS_PER_SECOND: Final = 40
_MAPPING: Final = """
[constants]
"interested_in_mediation" = true
"parties.0.side" = "complainant"
"parties.1.side" = "officer"
[columns]
"Case No" = "external_reference"
"Story" = "narrative"
"Type" = "allegations"
"Date" = "incident_on"
"Name" = "parties.0.name"
"Phone" = "parties.0.phone"
"Officer" = "parties.1.name"
"Badge" = "parties.1.employee_number"
[values."Type"]
"RUDE" = ["discourtesy"]
[dates]
"Date" = "%m/%d/%Y"
"""


def write_complaints(path: Path, number: int) -> None:
    """Write a CSV file with as many complaints."""
    story = "He stopped me on my way home and would not say why. " * 8
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Case No", "Story", "Type", "Date", "Name", "Phone", "Officer", "Badge"])
        for n in range(number):
            person = ["Rosa Alvarez", "+1 503 555 0142", "Dale Kim", f"E-{n % 900}"]
            writer.writerow([f"OLD-{n:06}", story, "RUDE", f"{1 + n % 11:02}/{1 + n % 28:02}/2026", *person])


@contextmanager
def running(settings: Settings, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of the service during a block."""
    arguments = [sys.executable, "-c", "from mediation_api.cli.main import main; main()", *command]
    log = subprocess.DEVNULL
    process = subprocess.Popen(arguments, env=environment_of(settings), stdout=log, stderr=log)  # noqa: S603 - ours
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


def peak_mib(pid: int) -> float:
    """Return the peak of a process's resident memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return 0.0 if found is None else int(found[1]) / 1024


class Others:
    """Requests of others, and how long each took, with the worker running and stopped."""

    def __init__(self, client: httpx.AsyncClient, token: str, paths: list[str]) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}
        self._paths = cycle(paths)
        self._sent = set[asyncio.Task[None]]()
        self.took: dict[bool, list[float]] = {True: [], False: []}

    async def send(self, seconds: float, *, with_worker: bool) -> None:
        """Send requests at a steady rate, whether those before were answered or not."""
        ends = time.perf_counter() + seconds
        while (due := time.perf_counter()) < ends:
            task = asyncio.create_task(self._one(next(self._paths), due, self.took[with_worker]))
            self._sent.add(task)
            task.add_done_callback(self._sent.discard)
            await asyncio.sleep(random.expovariate(REQUESTS_PER_SECOND))
        await asyncio.gather(*self._sent)

    async def _one(self, path: str, due: float, took: list[float]) -> None:
        response = await self._client.get(path, headers=self._headers)
        took.append(time.perf_counter() - due)
        response.raise_for_status()


async def measure(settings: Settings, keys: Path, folder: Path, number: int, *, steady: bool) -> None:
    """Import the complaints, and print what came of it."""
    port = settings.port

    def token(role: Role, subject: str) -> str:
        return dev_token(
            keys,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            role_claim=settings.role_claim or "role",
            role=role,
            subject=subject,
            minutes=120,
            now=datetime.now(UTC),
        )

    file, mapping, secret = folder / "old.csv", folder / "mapping.toml", folder / "token"
    write_complaints(file, number)
    mapping.write_text(_MAPPING, encoding="utf-8")
    secret.write_text(token(Role.INTEGRATION, "old-system"), encoding="ascii")
    url = f"http://127.0.0.1:{port}"
    arguments = ["import", str(file), "--mapping", str(mapping), "--url", url, "--token-file", str(secret)]
    with running(settings, "serve") as service, running(settings, "worker") as worker:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await _until_ready(client)
            filed = await client.post(
                "/v1/complaints",
                headers={
                    "Authorization": f"Bearer {token(Role.INTAKE, 'intake.1')}",
                    "Idempotency-Key": os.urandom(16).hex(),
                },
                json=json.loads(_ONE),
            )
            case, complaint = filed.json()["case_id"], filed.json()["id"]
            paths = [
                f"/v1/cases/{case}",
                f"/v1/complaints/{complaint}",
                "/v1/cases?limit=25",
                f"/v1/cases/{case}/timeline",
            ]
            others = Others(client, token(Role.COORDINATOR, "coordinator.1"), paths)
            await others.send(2, with_worker=True)
            others.took[True].clear()
            begun = time.perf_counter()
            command = subprocess.Popen(  # noqa: ASYNC220, S603 - ours
                [sys.executable, "-c", "from mediation_api.cli.main import main; main()", *arguments],
                env=environment_of(settings),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            stopped, of_command = 0.0, 0.0
            while command.poll() is None:
                await others.send(WINDOW_SECONDS, with_worker=True)
                of_command = max(of_command, peak_mib(command.pid) if command.poll() is None else 0.0)
                if steady:
                    continue
                worker.send_signal(signal.SIGSTOP)
                await others.send(WINDOW_SECONDS, with_worker=False)
                worker.send_signal(signal.SIGCONT)
                stopped += WINDOW_SECONDS
            took = time.perf_counter() - begun - stopped
            output = command.stdout.read().decode() if command.stdout else ""
            print(output.strip())
            print(f"{number / took:.0f} complaints/s in {took:.0f} s; the worker was stopped for other {stopped:.0f} s")
            peaks = [("service", peak_mib(service.pid)), ("worker", peak_mib(worker.pid)), ("command", of_command)]
            print("peak memory: " + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in peaks))
            for with_worker, name in ((False, "worker stopped"), (True, "worker running")):
                if not others.took[with_worker]:
                    continue
                cuts = quantiles(others.took[with_worker], n=100)
                figures = f"p50 {cuts[49] * 1000:.1f} ms, p90 {cuts[89] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"
                print(f"others, {name}: {len(others.took[with_worker])} requests, {figures}")


_ONE: Final = """{"channel": "phone", "narrative": "She would not listen.", "allegations": ["discourtesy"],
"interested_in_mediation": true, "parties": [{"side": "complainant", "name": "Ada Example"}]}"""


async def _until_ready(client: httpx.AsyncClient) -> None:
    for _ in range(100):
        try:
            if (await client.get("/health/ready")).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.2)
    raise TimeoutError("the service does not start")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--complaints", type=int, default=100_000)
    parser.add_argument("--share", type=int, default=25, help="MEDIATION_IMPORT_SHARE_PERCENT")
    parser.add_argument("--steady", action="store_true", help="never stop the worker: for the rate and the memory")
    given = parser.parse_args()
    with benchmark_server(durable=True) as server, tempfile.TemporaryDirectory() as folder:
        settings = server.service.model_copy(
            update={"port": free_port(), "import_share_percent": given.share, "requests_per_minute": 1_000_000}
        )
        asyncio.run(measure(settings, server.keys, Path(folder), given.complaints, steady=given.steady))


if __name__ == "__main__":
    main()
