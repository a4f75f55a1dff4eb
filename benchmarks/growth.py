"""What a request takes on a database of each size, so that growth shows: `make growth`, some minutes.

    make growth                                             10,000 and 100,000 cases
    make growth ARGS="--cases 10000 --cases 1000000"        a quarter of an hour
    make growth ARGS="--only rare"                          requests with this in their name

Fills a database for each size (`benchmarks.filling`), and asks each for the same in turns, over HTTP in this process.
Prints a table in Markdown: p50 and p99 in milliseconds for each size, and the ratio of the last size's p50 to the first
one's. What is rare is found as often in each size.
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Final

import httpx
from benchmarks.filling import MEDIATOR, OFFICER, fill
from benchmarks.server import BenchmarkServer, benchmark_server

from mediation_api.cli.serve import OBJECTS_PER_COLLECTION
from mediation_api.database.engine import Database, create_engine
from mediation_api.dev.office import Caller, Office, RealClock
from mediation_api.domain.access import Role
from mediation_api.main import create_app
from mediation_api.settings import Settings

SIZES: Final = (10_000, 100_000)
OF_ONE: Final = 250
RARE: Final = 30
RUNS: Final = 40
SECONDS: Final = 4.0
"""The longest that one request is repeated on one database."""
WARM_UP: Final = 8
"""More than the five executions after which PostgreSQL may keep a plan."""
TIMEOUT_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is measured. `{case}` and the like stand for the id of one in the middle of the database."""

    name: str
    path: str
    role: Role = Role.COORDINATOR
    subject: str = "coordinator.3"
    employee_number: str | None = None


ASKED: Final = (
    Asked("a case", "/v1/cases/{case}"),
    Asked("its timeline", "/v1/cases/{case}/timeline"),
    Asked("its access log", "/v1/cases/{case}/access-log"),
    Asked("a complaint", "/v1/complaints/{complaint}"),
    Asked("the board", "/v1/me"),
    Asked("cases", "/v1/cases"),
    Asked("cases, latest due first", "/v1/cases?sort=-due_on"),
    Asked("cases, by opening", "/v1/cases?sort=opened_at"),
    Asked("cases that are open", "/v1/cases?open=true"),
    Asked("open cases, by opening", "/v1/cases?open=true&sort=opened_at"),
    Asked("cases in a state", "/v1/cases?state=ready"),
    Asked("cases in a rare state", "/v1/cases?state=asking"),
    Asked("cases in a rare state, by opening", "/v1/cases?state=asking&sort=opened_at"),
    Asked("cases in a state that none is in", "/v1/cases?state=in_session&sort=-opened_at"),
    Asked("cases of a coordinator", "/v1/cases?coordinator=coordinator.3"),
    Asked("cases of a coordinator, by opening", "/v1/cases?coordinator=coordinator.3&sort=-opened_at"),
    Asked("cases of a coordinator in a rare state", "/v1/cases?coordinator=coordinator.3&state=asking"),
    Asked("cases of nobody, by opening", "/v1/cases?coordinator=nobody&sort=-opened_at"),
    Asked("cases that met the target", "/v1/cases?pace=met"),
    Asked("cases that missed it (rare)", "/v1/cases?pace=missed"),
    Asked("cases that missed it (rare), by opening", "/v1/cases?pace=missed&sort=-opened_at"),
    Asked("cases that are on track (none)", "/v1/cases?pace=on_track"),
    Asked("cases of a coordinator that missed it (rare)", "/v1/cases?coordinator=coordinator.3&pace=missed"),
    Asked("cases that wait for officers (rare)", "/v1/cases?waits_for=officers"),
    Asked("cases that wait for intake (none)", "/v1/cases?waits_for=screening&sort=-opened_at"),
    Asked("cases with a silent mediator (none)", "/v1/cases?alert=mediator_silent"),
    Asked("cases with outdated screening (none)", "/v1/cases?alert=screening_outdated"),
    Asked("cases with absences (none)", "/v1/cases?alert=repeated_absence"),
    Asked("cases of a mediator", "/v1/cases?mediator_id={mediator}"),
    Asked("cases in a rare language", "/v1/cases?language=vi"),
    Asked("cases of a rare precinct", "/v1/cases?precinct=rare"),
    Asked("cases due before a date", "/v1/cases?due_on_before=2015-02-01&sort=-opened_at"),
    Asked("cases closed on two days", "/v1/cases?closed_on_from=2015-01-21&closed_on_before=2015-01-23"),
    Asked(
        "cases closed on two days, by opening",
        "/v1/cases?closed_on_from=2015-01-21&closed_on_before=2015-01-23&sort=-opened_at",
    ),
    Asked("cases closed since a date (none)", "/v1/cases?closed_on_from=2025-01-21"),
    Asked("complaints", "/v1/complaints"),
    Asked("complaints by reference", "/v1/complaints?reference=2020-004711"),
    Asked("complaints by reference (none)", "/v1/complaints?reference=2031-004711"),
    Asked("complaints by number", "/v1/complaints?reference=4711"),
    Asked("complaints in a state", "/v1/complaints?state=ready"),
    Asked("complaints in a rare state", "/v1/complaints?state=asking"),
    Asked("complaints that missed the target (rare)", "/v1/complaints?pace=missed"),
    Asked("complaints of a coordinator", "/v1/complaints?coordinator=coordinator.3"),
    Asked("complaints of nobody", "/v1/complaints?coordinator=nobody"),
    Asked("complaints of a coordinator in a rare state", "/v1/complaints?coordinator=coordinator.3&state=asking"),
    Asked("complaints that wait for officers (rare)", "/v1/complaints?waits_for=officers"),
    Asked("complaints of a mediator", "/v1/complaints?mediator_id={mediator}"),
    Asked("complaints in a rare language", "/v1/complaints?language=vi"),
    Asked("complaints of a rare precinct", "/v1/complaints?precinct=rare"),
    Asked("complaints due before a date", "/v1/complaints?due_on_before=2015-02-01"),
    Asked("complaints closed on two days", "/v1/complaints?closed_on_from=2015-01-21&closed_on_before=2015-01-23"),
    Asked("complaints closed since a date (none)", "/v1/complaints?closed_on_from=2025-01-21"),
    Asked("sessions", "/v1/sessions"),
    Asked("assignments", "/v1/assignments"),
    Asked("mediators", "/v1/mediators"),
    Asked("an officer's cases", "/v1/cases?limit=25", Role.OFFICER, "officer.4711", OFFICER),
    Asked("an officer's sessions", "/v1/sessions?limit=25", Role.OFFICER, "officer.4711", OFFICER),
    Asked("a mediator's cases", "/v1/cases?limit=25", Role.MEDIATOR, MEDIATOR),
    Asked(
        "anomalies of a busy day",
        "/v1/access-anomalies?opened_on_from=2015-01-04&opened_on_before=2015-01-05",
        Role.AUDITOR,
        "auditor.1",
    ),
    Asked(
        "anomalies of six busy days",
        "/v1/access-anomalies?opened_on_from=2015-01-02&opened_on_before=2015-01-08",
        Role.AUDITOR,
        "auditor.1",
    ),
    # Of 10,000 cases, none was opened in the last three quarters of this month.
    Asked(
        "anomalies of a busy month",
        "/v1/access-anomalies?opened_on_from=2015-01-02&opened_on_before=2015-02-02",
        Role.AUDITOR,
        "auditor.1",
    ),
)


@dataclass(slots=True)
class Size:
    """The service on a database of one size."""

    cases: int
    database: Database
    office: Office
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def filled(cls, server: BenchmarkServer, cases: int) -> "Size":
        """Make a database, and fill it."""
        name = f"of_{cases}"
        settings = await server.copy(name)
        owner = create_engine(server.owner_of(name), statement_timeout_ms=0)
        async with owner.begin() as connection:
            # Neither triggers nor foreign keys, which take the longest. The tests fill with both.
            await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            await fill(connection, cases=cases, of_one=OF_ONE, events=False, access_log=True, rare=RARE)
        async with owner.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.exec_driver_sql("VACUUM ANALYZE")
            ids = {
                noun: str((await connection.exec_driver_sql(f"SELECT md5('{noun} {number}')::uuid")).scalar_one())
                for noun, number in (("case", cases // 2), ("complaint", cases // 2), ("mediator", 7))
            }
        await owner.dispose()
        return cls.on(settings, cases, ids)

    @classmethod
    def on(cls, settings: Settings, cases: int, ids: dict[str, str]) -> "Size":
        """Create the application, without the time limits that a slow request would exceed."""
        limits = ("statement_timeout_ms", "party_statement_timeout_ms")
        app = create_app(settings.model_copy(update=dict.fromkeys(limits, TIMEOUT_MS)))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://benchmark", timeout=60)
        return cls(cases, app.state.service.database, Office(client, settings, RealClock()), ids)

    def caller(self, asked: Asked) -> Caller:
        """The caller of a request."""
        return self.office.caller(asked.role, asked.subject, asked.employee_number)

    async def ask(self, asked: Asked) -> float:
        """Send a request. Returns milliseconds."""
        caller, path = self.caller(asked), asked.path.format_map(self.ids)
        began = time.perf_counter()
        await caller.get(path)
        return (time.perf_counter() - began) * 1000


async def measure(asked: Asked, sizes: Sequence[Size]) -> list[list[float]]:
    """Ask the databases in turns. Returns milliseconds of each request, by database."""
    taken: list[list[float]] = [[] for _ in sizes]
    for run in range(WARM_UP + RUNS):
        for size, times in zip(sizes, taken, strict=True):
            if sum(times) < SECONDS * 1000:
                milliseconds = await size.ask(asked)
                if run >= WARM_UP or milliseconds > SECONDS * 1000 / RUNS:
                    times.append(milliseconds)
    return taken


async def run(server: BenchmarkServer, cases: Sequence[int], only: str) -> None:
    """Fill, measure and print."""
    sizes = []
    for each in cases:
        began = time.perf_counter()
        sizes.append(await Size.filled(server, each))
        print(f"{each:,} cases, filled in {time.perf_counter() - began:.0f} s", flush=True)
    columns = [f"{each:,}: p50 | p99" for each in cases]
    print(f"\n| request | {' | '.join(columns)} | ratio |\n{'| --- ' * (2 * len(cases) + 2)}|", flush=True)
    for asked in ASKED:
        if only in asked.name:
            taken = await measure(asked, sizes)
            cells = [f"{median(times):.1f} | {_p99(times):.1f}" for times in taken]
            ratio = median(taken[-1]) / median(taken[0])
            print(f"| {asked.name} | {' | '.join(cells)} | {ratio:.1f} |", flush=True)
    for size in sizes:
        await size.database.close()


def _p99(times: Sequence[float]) -> float:
    return quantiles(times, n=100)[98] if len(times) > 1 else times[0]


def main(arguments: Sequence[str]) -> None:
    """Make a server for this run, measure, and remove it."""
    parser = argparse.ArgumentParser(prog="make growth", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, action="append", help="a size; may be repeated")
    parser.add_argument("--only", default="", help="a part of the names of requests")
    chosen = parser.parse_args(arguments)
    gc.set_threshold(OBJECTS_PER_COLLECTION)  # as `serve` does
    with benchmark_server() as server:
        asyncio.run(run(server, chosen.cases or SIZES, chosen.only))


if __name__ == "__main__":
    main(sys.argv[1:])
