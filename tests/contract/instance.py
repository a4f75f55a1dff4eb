"""A running instance with seeded cases, and Schemathesis run against it from the committed contract."""

import asyncio
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from tests.contract.seeds import Plan, Seeder
from tests.openapi.reading import document, written_out

from mediation_api.contract.nodes import child
from mediation_api.contract.nodes import operations as operations_of
from mediation_api.dev.office import Office, RealClock
from mediation_api.settings import Settings

CONTRACT: Final = Path("openapi/mediation-api.v1.json")
CONFIG: Final = Path("tests/contract/schemathesis.toml")
CALLERS: Final = Path("tests/contract/callers.toml")


def _number(name: str, usual: int, deep: int) -> int:
    return int(os.environ.get(name, deep if "FUZZ_DEEP" in os.environ else usual))


SEED: Final = _number("FUZZ_SEED", 1, 1)
EXAMPLES: Final = _number("FUZZ_EXAMPLES", 6, 25)
"""Requests that are made up for each operation and each way to be wrong."""
TURNS: Final = _number("FUZZ_TURNS", 24, 100)
"""Requests for each operation that are shared out among the roles, half of them right, besides those of coverage."""
SCENARIOS: Final = _number("FUZZ_SCENARIOS", 8, 60)
STEPS: Final = _number("FUZZ_STEPS", 30, 50)
"""Of one scenario. A link can be followed once its source has answered, and what begins a scenario is drawn as often as
all links together: in eight steps hardly one is reached."""
ROUNDS: Final = _number("FUZZ_ROUNDS", 2, 8)
"""Targets of each operation that uses its target up."""
TOKEN_MINUTES: Final = 60
"""A complainant's token lasts as long as all runs take on a busy machine."""
APPLICATION: Final = "mediation_api.main:app_from_environment"


def operations() -> dict[str, tuple[str, set[int]]]:
    """Every operation of the contract: how Schemathesis calls it, and the statuses it documents."""
    found = {}
    for method, path, operation in operations_of(written_out(document())):
        statuses = {int(status) for status in child(operation, "responses")}
        found[str(operation["operationId"])] = (f"{method.upper()} {path}", statuses)
    return found


def started(
    listener: socket.socket, settings: Settings, keys: Path, application: str = APPLICATION, **extra: str
) -> subprocess.Popen[bytes]:
    """Start a process that serves an application on a socket. Callers wait in the socket's queue until it is up."""
    number = listener.fileno()
    command = [sys.executable, "-m", "tests.contract.serve", str(number), application]
    return subprocess.Popen(
        command, env=environment(settings, keys, **extra), pass_fds=[number], stderr=subprocess.DEVNULL
    )


def environment(settings: Settings, keys: Path, **extra: str) -> dict[str, str]:
    """What a process of the service is told of the settings."""
    return {
        **os.environ,
        "MEDIATION_ENVIRONMENT": "dev",
        "MEDIATION_DATA_DIRECTORY": str(keys),
        "MEDIATION_DATABASE_URL": settings.database_url.get_secret_value(),
        "MEDIATION_ACCESS_CODE_SECRET": settings.access_code_secret.get_secret_value(),
        "MEDIATION_CURSOR_SECRET": settings.cursor_secret.get_secret_value(),
        "MEDIATION_SEARCH_SECRET": settings.search_secret.get_secret_value(),
        "MEDIATION_ENCRYPTION_KEYS": settings.encryption_keys.get_secret_value(),
        "MEDIATION_REQUESTS_PER_MINUTE": "1000000",  # 429s would hide everything else
        "MEDIATION_FILINGS_PER_HOUR": "1000000",
        "MEDIATION_FEED_WAIT_SECONDS": "0",  # a request that prefers to wait would
        "MEDIATION_ACCESS_TOKEN_MINUTES": str(TOKEN_MINUTES),
        # What a city decides, as the settings of the tests have it: an instance's clock cannot be moved.
        "MEDIATION_REPORT_CATEGORIES": ",".join(settings.report_categories),
        "MEDIATION_CONTACT_ATTEMPTS_BEFORE_LAPSE": str(settings.contact_attempts_before_lapse),
        "MEDIATION_CONTACT_CHANNELS_BEFORE_LAPSE": str(settings.contact_channels_before_lapse),
        "MEDIATION_CONTACT_DAYS_BEFORE_LAPSE": str(settings.contact_days_before_lapse),
        "MEDIATION_DAYS_BETWEEN_ATTEMPTS": str(settings.days_between_attempts),
        "MEDIATION_MAX_ATTEMPTS": str(settings.max_attempts),
        "MEDIATION_SESSION_EARLY_START_MINUTES": "240",
        **extra,
    }


@contextmanager
def serving(settings: Settings, keys: Path, application: str = APPLICATION, **extra: str) -> Iterator[str]:
    """Serve an application with uvicorn in a process of its own, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = started(listener, settings, keys, application, **extra)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@asynccontextmanager
async def seeded(url: str, settings: Settings, *, rounds: int = ROUNDS) -> AsyncIterator[Plan]:
    """Fill an instance with cases. The first request waits until it is up: on a busy machine for more than a minute."""
    lasting = settings.model_copy(update={"access_token_minutes": TOKEN_MINUTES})
    async with httpx.AsyncClient(base_url=url, timeout=300) as client:
        yield await Seeder(Office(client, lasting, RealClock())).seed(rounds=rounds)


@dataclass(slots=True)
class Run:
    """What came out of one run of Schemathesis."""

    code: int
    output: str
    seconds: float
    processor_seconds: float
    report: dict[str, object] = field(default_factory=dict)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    reached_in: dict[str, dict[str, int]] = field(default_factory=dict)
    compared: set[str] = field(default_factory=set)
    done_as: dict[str, dict[str, int]] = field(default_factory=dict)
    """By operation and role that called it rightly: how often it was done."""

    @property
    def reached(self) -> set[str]:
        """The operations that were done at least once."""
        return {name for name, phases in self.reached_in.items() if phases}

    @property
    def server_errors(self) -> int:
        """How many answers were 5xx."""
        return sum(n for statuses in self.statuses.values() for status, n in statuses.items() if status >= 500)

    @property
    def failures(self) -> set[tuple[str, str]]:
        """What failed: the operation as Schemathesis calls it, and the class of the failure or our own check."""
        failures = self.report["failures"]
        assert isinstance(failures, list)
        return {
            (operation, own[1] if (own := re.search("check failed: `(.+)`", each["title"])) else each["type"])
            for each in failures
            for operation in each["operations"]
        }

    @property
    def links(self) -> str:
        """What Schemathesis says about links."""
        said = re.search(r"API Links: +(.+)", self.output)
        return said[1] if said else "no links"

    def summary(self) -> str:
        """The figures, for people."""
        documented = operations()
        cases = self.report["test_cases"]
        assert isinstance(cases, dict)
        pairs = {(name, status) for name, (_, statuses) in documented.items() for status in statuses if status < 500}
        seen = {(name, status) for name, statuses in self.statuses.items() for status in statuses}
        phases = Counter(phase for reached in self.reached_in.values() for phase, n in reached.items() if n)
        return "\n".join(
            (
                f"operations done (2xx)   {len(self.reached)} of {len(documented)}",
                f"  in phases             {', '.join(f'{phase} {n}' for phase, n in sorted(phases.items()))}",
                f"answers of the contract {len(seen & pairs)} of {len(pairs)} below 500 were seen",
                f"links                   {self.links}",
                f"cases                   {cases['generated']}, with failures {cases['with_failures']}",
                f"requests                {sum(map(Counter.total, self.statuses.values()))} counted",
                f"5xx                     {self.server_errors}",
                f"time                    {self.seconds:.0f} s, of the processor {self.processor_seconds:.0f} s",
                f"seed                    {self.report['seed']}",
            )
        )


async def schemathesis(
    url: str,
    plan: Plan,
    directory: Path,
    *options: str,
    config: Path = CONFIG,
    examples: int = EXAMPLES,
    extra: Mapping[str, str] | None = None,
) -> Run:
    """Run Schemathesis against an instance, and read what it and the hooks counted."""
    plan_file = _written(plan, directory)
    command: Sequence[str] = (
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config)),
        *("run", str(CONTRACT), "--url", url, "--seed", str(SEED), "--max-examples", str(examples)),
        *("--report", "json", "--report-json-path", str(directory / "report.json"), *options),
    )
    numbers = {"FUZZ_SEED": SEED, "FUZZ_SCENARIOS": SCENARIOS, "FUZZ_STEPS": STEPS}
    told = {name: str(number) for name, number in numbers.items()}
    environment = {**os.environ, "FUZZ_PLAN": str(plan_file), **told, **(extra or {})}
    started, used = time.monotonic(), _processor_seconds()
    ran = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False, timeout=3600
    )
    run = Run(ran.returncode, ran.stdout + ran.stderr, time.monotonic() - started, _processor_seconds() - used)
    report, counts = directory / "report.json", directory / "counts.json"
    assert report.exists(), run.output
    assert counts.exists(), run.output
    run.report = json.loads(report.read_text(encoding="utf-8"))
    for name, counted in json.loads(counts.read_text(encoding="utf-8")).items():
        run.statuses[name] = Counter({int(status): n for status, n in counted["statuses"].items()})
        run.reached_in[name] = counted["reached_in"]
        run.compared |= {name} if counted["compared"] else set()
        run.done_as[name] = counted["done_as"]
    return run


def _written(plan: Plan, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "plan.json"
    file.write_text(json.dumps(plan.as_json()), encoding="utf-8")
    return file


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
