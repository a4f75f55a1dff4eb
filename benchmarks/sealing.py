"""What encryption costs, and whether keys rotate unnoticed: some minutes.

    .venv/bin/python -m benchmarks.sealing                  100,000 complaints
    .venv/bin/python -m benchmarks.sealing --cases 5000     quicker

Fills a throw-away database as a release without encryption left it, and copies it. The copy is sealed and its keys are
rotated, each while four clients read and two write, over HTTP in this process: prints how long each takes, how many
requests were answered meanwhile, how many failed, and the slowest. Then reads the same from both, in turns, with the
columns opened and with the columns as they are: prints the medians and their ratio. Fails if a request failed. What is
not sealed yet is answered as unreadable.
"""

import argparse
import asyncio
import base64
import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Final
from unittest.mock import patch
from uuid import uuid4

import httpx
from benchmarks.filling import COORDINATOR, FIRST_CASE, OFFICER, fill
from benchmarks.server import throw_away_server
from pydantic import SecretStr
from sqlalchemy import Table, make_url, select, text

from mediation_api.database import tables as t
from mediation_api.database.encryption import BlindIndex
from mediation_api.database.engine import Database, create_engine
from mediation_api.database.key_rotation import ENCRYPTED_COLUMNS
from mediation_api.database.nesting import AnyColumn
from mediation_api.dev.identity_provider import dev_token
from mediation_api.domain.access import Role
from mediation_api.main import create_app
from mediation_api.settings import Settings

READERS, WRITERS = 4, 2
THINK_SECONDS: Final = 0.05
"""Between two requests of one client: all of them share one processor with what is measured."""
TURNS: Final = 200
WARM_UP: Final = 20
NEW: Final = f"2026-b:{base64.b64encode(b'n' * 32).decode()}"


class Client:
    """The service on one database, called in this process."""

    def __init__(self, settings: Settings, keys: Path) -> None:
        self.settings = settings
        self._keys = keys
        self.database = Database.of(settings)
        app = create_app(settings)
        app.state.service = replace(app.state.service, database=self.database)
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench", timeout=60)

    def token(self, role: Role) -> str:
        """A token of the office, or of the busy officer."""
        return dev_token(
            self._keys,
            issuer=self.settings.token_issuer,
            audience=self.settings.token_audience,
            role=role,
            subject=COORDINATOR,
            employee_number=OFFICER if role is Role.OFFICER else None,
            minutes=120,
            now=datetime.now(UTC),
        )

    async def send(self, token: str, method: str, path: str, body: object = None) -> httpx.Response:
        """Call."""
        headers = {"Authorization": f"Bearer {token}", "If-Match": "*", "Idempotency-Key": str(uuid4())}
        return await self._http.request(method, path, headers=headers, json=body)


async def ids(settings: Settings) -> dict[str, list[str]]:
    """Some complaints, parties of others, and the first case.

    Of others: what was filled has no events yet, and the first two of one complaint at once would meet in its chain.
    """
    engine = create_engine(settings)
    async with engine.connect() as connection:
        some = (await connection.scalars(select(t.complaints.c.id).limit(400))).all()
        complaints, others = some[:200], some[200:]
        parties = select(t.parties.c.id).where(t.parties.c.complaint_id.in_(others), t.parties.c.side != "officer")
        found = (await connection.scalars(parties)).all()
        case = await connection.scalar(text(FIRST_CASE))
    await engine.dispose()
    return {"complaints": [str(c) for c in complaints], "parties": [str(p) for p in found], "case": [str(case)]}


async def while_serving(client: Client, known: dict[str, list[str]]) -> int:
    """Rotate while requests are served. Prints a line; returns how many requests failed."""
    done = asyncio.Event()
    taken: list[float] = []
    failed: list[int] = []
    tokens = {role: client.token(role) for role in (Role.COORDINATOR, Role.INTAKE, Role.OFFICER)}

    async def ask(number: int) -> None:
        for turn in itertools.count(number):
            if done.is_set():
                return
            complaint = known["complaints"][turn % len(known["complaints"])]
            party = known["parties"][turn % len(known["parties"])]
            method, path, role, body = (
                ("GET", "/v1/cases?limit=25", Role.COORDINATOR, None),
                ("GET", f"/v1/complaints/{complaint}/parties", Role.INTAKE, None),
                ("GET", f"/v1/cases/{known['case'][0]}", Role.OFFICER, None),
                ("GET", "/v1/complaints?limit=25", Role.COORDINATOR, None),
                ("PATCH", f"/v1/parties/{party}", Role.INTAKE, {"safe_contact": f"After {turn % 12}"}),
                ("PATCH", f"/v1/complaints/{complaint}", Role.INTAKE, {"narrative": f"Told {turn} times."}),
            )[number]
            begun = time.perf_counter()
            answer = await client.send(tokens[role], method, path, body)
            taken.append((time.perf_counter() - begun) * 1000)
            if answer.status_code != httpx.codes.OK:
                failed.append(answer.status_code)
            await asyncio.sleep(THINK_SECONDS)

    asking = [asyncio.create_task(ask(number)) for number in range(READERS + WRITERS)]
    begun = time.perf_counter()
    rotated = await _rotated(client.settings)
    seconds = time.perf_counter() - begun
    done.set()
    await asyncio.gather(*asking)
    print(
        json.dumps(
            {
                "did": rotated,
                "seconds": round(seconds, 1),
                "requests": len(taken),
                "failed": len(failed),
                "statuses": sorted(set(failed)),
                "median_ms": round(median(taken), 1),
                "p99_ms": round(quantiles(taken, n=100)[98], 1),
                "slowest_ms": round(max(taken), 1),
            }
        )
    )
    return len(failed)


async def _rotated(settings: Settings) -> str:
    """Run the command, a process of its own, and give what it says."""
    names = ("database_url", "access_code_secret", "cursor_secret", "search_secret", "encryption_keys")
    environment = {f"MEDIATION_{name.upper()}": getattr(settings, name).get_secret_value() for name in names}
    environment |= {"MEDIATION_ENVIRONMENT": "dev", "MEDIATION_DATA_DIRECTORY": str(settings.data_directory)}
    program = Path(sys.executable).with_name("mediation-api")
    process = await asyncio.create_subprocess_exec(
        program, "keys", "rotate", env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise SystemExit("keys rotate failed")
    return said.decode().splitlines()[0]


def _as_it_is(column: AnyColumn, **_how: object) -> AnyColumn:
    return column.label(column.name)


def _columns_as_they_are(table: Table) -> list[AnyColumn]:
    return [column for column in table.c if not isinstance(column.type, BlindIndex)]


class _Never:
    """No column is of this type: for once, they are nested as they are."""


@contextmanager
def _unopened() -> Iterator[None]:
    """Read the columns as they stand there, as the release without encryption did."""
    here = "mediation_api.repository"
    with (
        patch(f"{here}.board.opened", _as_it_is),
        patch(f"{here}.parties.opened_columns", _columns_as_they_are),
        patch(f"{here}.complaints.opened_columns", _columns_as_they_are),
        patch(f"{here}.nesting.Sealed", _Never),
    ):
        yield


async def cost(plain: Client, sealed: Client, known: dict[str, list[str]]) -> None:
    """Read in turns, and print the medians."""
    reads = {
        "a case, for the office": (Role.COORDINATOR, f"/v1/cases/{known['case'][0]}"),
        "a case, for its officer": (Role.OFFICER, f"/v1/cases/{known['case'][0]}"),
        "a page of 25 cases": (Role.COORDINATOR, "/v1/cases?limit=25"),
        "a page of 25 complaints": (Role.COORDINATOR, "/v1/complaints?limit=25"),
        "the parties of a complaint": (Role.INTAKE, f"/v1/complaints/{known['complaints'][0]}/parties"),
    }
    for name, (role, path) in reads.items():
        token = plain.token(role)
        taken: dict[str, list[float]] = {"plain": [], "sealed": []}
        for turn in range(WARM_UP + TURNS):
            for variant, client in (("plain", plain), ("sealed", sealed)):
                begun = time.perf_counter()
                if variant == "plain":
                    with _unopened():
                        answer = await client.send(token, "GET", path)
                else:
                    answer = await client.send(token, "GET", path)
                if turn >= WARM_UP:
                    taken[variant].append((time.perf_counter() - begun) * 1000)
                answer.raise_for_status()
        before, after = median(taken["plain"]), median(taken["sealed"])
        print(f"{name:28} plain {before:6.2f} ms  sealed {after:6.2f} ms  ratio {after / before:.2f}")


async def run(settings: Settings, owner: Settings, keys: Path, cases: int) -> int:
    """Fill, seal, rotate, and compare. Returns the exit code."""
    await _filled(owner, cases)
    copy = _on(settings, "copy")
    known = await ids(settings)
    client = Client(copy, keys)
    failed = await while_serving(client, known)
    rotating = copy.model_copy(
        update={"encryption_keys": SecretStr(f"{NEW},{copy.encryption_keys.get_secret_value()}")}
    )
    await client.database.close()
    client = Client(rotating, keys)
    failed += await while_serving(client, known)
    plain = Client(settings, keys)
    await cost(plain, client, known)
    await client.database.close()
    await plain.database.close()
    return 1 if failed else 0


def _on(settings: Settings, database: str) -> Settings:
    url = make_url(settings.database_url.get_secret_value()).set(database=database)
    return settings.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})


async def _filled(owner: Settings, cases: int) -> None:
    """Write the rows into a database, and copy it."""
    engine = create_engine(owner, statement_timeout_ms=0)
    async with engine.begin() as connection:
        for table in ENCRYPTED_COLUMNS:
            await connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP CONSTRAINT ck_{table.name}_encrypted")
        await fill(connection, cases=cases, of_one=min(250, cases), events=False, told=True)
    outside = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with outside.connect() as connection:
        await connection.exec_driver_sql("VACUUM ANALYZE")
    await engine.dispose()
    elsewhere = create_engine(_on(owner, "template1"), statement_timeout_ms=0)
    outside = elsewhere.execution_options(isolation_level="AUTOCOMMIT")
    async with outside.connect() as connection:
        await connection.exec_driver_sql("CREATE DATABASE copy TEMPLATE postgres")
    await elsewhere.dispose()


def main(arguments: Sequence[str]) -> int:
    """Make a server for this run, measure, and remove it."""
    parser = argparse.ArgumentParser(prog="benchmarks.sealing", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000, help="how many complaints")
    cases: int = parser.parse_args(arguments).cases
    logging.disable(logging.ERROR)  # what is not sealed yet is shown to nobody, and each value is a line
    with throw_away_server() as (settings, owner, keys):
        return asyncio.run(run(settings, owner, keys, cases))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
