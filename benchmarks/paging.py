"""Page 10,000 costs what page 1 costs: some minutes.

    .venv/bin/python -m benchmarks.paging                   page 10,000
    .venv/bin/python -m benchmarks.paging --cases 50000     quicker; page 2,000

Fills a throw-away database, walks the board of the office to its end in pages of 100 (each case must come once), and
then asks over HTTP, in this process, for page 1 and for page 10,000 of 25 in turn. The same for the lists of an officer
and of a mediator, first page and last, since theirs are as long as what is theirs. Prints the ratio of the medians, and
what PostgreSQL looked at for each of the two. Fails above RATIO.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final, TypedDict

import httpx
from benchmarks.filling import COORDINATOR, MEDIATOR, OFFICER, fill
from benchmarks.plans import caught, explained
from benchmarks.server import benchmark_server

from mediation_api.database.engine import Database, create_engine
from mediation_api.dev.identity_provider import dev_token
from mediation_api.domain.access import Actor, Role
from mediation_api.main import create_app
from mediation_api.settings import Settings

LIMIT: Final = 25
MOST: Final = 100
RUNS: Final = 40
RATIO: Final = 1.5
OF_ONE: Final = 250


class Listed(TypedDict):
    """One page, as it is answered."""

    items: list[dict[str, str]]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class List:
    """A list as somebody walks it."""

    name: str
    path: str
    role: Role
    subject: str = COORDINATOR
    employee_number: str | None = None


LISTS: Final = (
    List("the board", "/v1/cases", Role.COORDINATOR),
    List("the board, latest due first", "/v1/cases?sort=-due_on", Role.COORDINATOR),
    List("the board, by opening", "/v1/cases?sort=opened_at", Role.COORDINATOR),
    List("complaints", "/v1/complaints", Role.COORDINATOR),
    List("sessions", "/v1/sessions", Role.COORDINATOR),
    List("an officer's cases", "/v1/cases", Role.OFFICER, "officer.4711", OFFICER),
    List("an officer's sessions", "/v1/sessions", Role.OFFICER, "officer.4711", OFFICER),
    List("a mediator's cases", "/v1/cases", Role.MEDIATOR, MEDIATOR),
    List("a mediator's sessions", "/v1/sessions", Role.MEDIATOR, MEDIATOR),
)


class Bench:
    """The service on a filled database."""

    def __init__(self, settings: Settings, owner: Settings, keys: Path) -> None:
        self._settings = settings
        self._keys = keys
        self._engine = create_engine(settings, statement_timeout_ms=0)
        self._owner = create_engine(owner, statement_timeout_ms=0)
        self._database = Database(self._engine, self._engine)
        app = create_app(settings)
        app.state.service = replace(app.state.service, database=self._database)
        transport = httpx.ASGITransport(app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=60)

    async def fill(self, cases: int) -> None:
        """Write the rows, and let autovacuum's work be done."""
        async with self._owner.begin() as connection:
            await fill(connection, cases=cases, of_one=min(OF_ONE, cases))
        vacuum = self._owner.execution_options(isolation_level="AUTOCOMMIT")
        async with vacuum.connect() as connection:
            await connection.exec_driver_sql("VACUUM ANALYZE")

    async def measure(self, wanted: List) -> float:
        """Print a line about a list. Returns the ratio of its last page's median to its first one's."""
        first = f"{wanted.path}{'&' if '?' in wanted.path else '?'}limit={LIMIT}"
        token = self._token(wanted)
        cursor, rows = await self._walk(wanted, token)
        pages = (rows + LIMIT - 1) // LIMIT
        last = f"{first}&cursor={cursor}"
        times: dict[str, list[float]] = {first: [], last: []}
        for _ in range(RUNS):
            for path, taken in times.items():
                begun = time.perf_counter()
                await self._page(path, token)
                taken.append((time.perf_counter() - begun) * 1000)
        looked_at = [await self._plan(wanted, path, token) for path in times]
        near, far = (median(taken) for taken in times.values())
        print(
            f"{wanted.name:28} page 1 {near:6.1f} ms {looked_at[0]:26}  "
            f"page {pages:6,} {far:6.1f} ms {looked_at[1]:26}  ratio {far / near:.2f}"
        )
        return far / near

    async def _walk(self, wanted: List, token: str) -> tuple[str, int]:
        """Walk to the end. Returns the cursor of the last page, and how many rows there were."""
        path = f"{wanted.path}{'&' if '?' in wanted.path else '?'}limit="
        seen: set[str] = set()
        rows, cursor, step = 0, "", MOST
        while True:
            page = await self._page(f"{path}{step}{cursor and f'&cursor={cursor}'}", token)
            if page["next_cursor"] is not None:
                cursor = page["next_cursor"]
            elif step == MOST:
                step = LIMIT  # the last hundred once more, for the cursor of the last page
                continue
            rows += len(page["items"])
            seen |= {item["id"] for item in page["items"]}
            if page["next_cursor"] is None:
                break
        if len(seen) != rows:
            raise SystemExit(f"{wanted.name}: {rows - len(seen)} rows came more than once")
        return cursor, rows

    async def _page(self, path: str, token: str) -> Listed:
        answer = await self._client.get(path, headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        page: Listed = answer.json()
        return page

    async def _plan(self, wanted: List, path: str, token: str) -> str:
        with caught(self._engine.sync_engine) as found:
            await self._page(path, token)
        officer = Actor(wanted.role, wanted.subject, employee_number=wanted.employee_number)
        # What an officer reads lies within the wall.
        seeing = self._database.as_party(officer) if officer.is_party else self._engine.connect()
        async with seeing as connection:
            plan = await explained(connection, found)
        return f"({plan.total:,} rows, {plan.buffers:,} buffers)"

    def _token(self, wanted: List) -> str:
        return dev_token(
            self._keys,
            issuer=self._settings.token_issuer,
            audience=self._settings.token_audience,
            role=wanted.role,
            subject=wanted.subject,
            employee_number=wanted.employee_number,
            minutes=120,
            now=datetime.now(UTC),
        )


async def run(settings: Settings, owner: Settings, keys: Path, cases: int) -> int:
    """Fill, and measure every list. Returns the exit code."""
    bench = Bench(settings, owner, keys)
    begun = time.perf_counter()
    await bench.fill(cases)
    print(f"{cases:,} cases, filled in {time.perf_counter() - begun:.0f} s; medians of {RUNS} runs, in turn\n")
    ratios = [await bench.measure(each) for each in LISTS]
    return 0 if max(ratios) <= RATIO else 1


def main(arguments: Sequence[str]) -> int:
    """Make a server for this run, measure, and remove it."""
    parser = argparse.ArgumentParser(prog="benchmarks.paging", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=250_000, help="how many; a page holds 25")
    cases: int = parser.parse_args(arguments).cases
    with benchmark_server() as server:
        return asyncio.run(run(server.service, server.owner, server.keys, cases))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
