"""Nobody can starve a withdrawal: not by long lists, not by health checks, codes or bad tokens.

`mediation-api serve` with the pools of production on a real PostgreSQL. Officers of 250 and 1,000 cases list them
eight at once, floods run beside them in a program of their own, and complainants withdraw meanwhile.
`make gate-starvation` plays it with few withdrawals, `make security` with 1,000, each of which has to be answered
within a second. `make test` does not play it: it loads both cores for half a minute.
"""

import asyncio
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final
from uuid import UUID

import httpx
import pytest
from benchmarks.filling import OFFICER, fill
from sqlalchemy import text
from tests.conftest import Run, fresh_database
from tests.contract.instance import environment, serving
from tests.promises.flood import Stream, told

from mediation_api.database.encryption import keyring
from mediation_api.database.engine import Database
from mediation_api.dev.office import Office, RealClock, service_issuer
from mediation_api.domain import access_codes
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

WHOLE: Final = os.environ.get("STARVATION") == "whole"
WITHDRAWALS: Final = 1000 if WHOLE else 40
WHERE_LISTS_ARE_SLOW: Final = 40 if WHOLE else 12
OF_FIRST, OF_SECOND = 1000, 250
SECOND_OFFICER: Final = "4712"
AT_ONCE: Final = 4
"""Withdrawals that are under way at the same time."""
SLOWEST: Final = 1.0
"""Seconds. It is held where nothing else runs: in `make security`."""
START_SECONDS: Final = 120.0
COMMAND: Final = Path(sys.executable).parent / "mediation-api"

SLOW: Final = "pg_sleep(0.02) IS NOT NULL"
"""A row policy under which a list of 250 cases takes five seconds, as it did before policies were cheap."""


@dataclass(frozen=True, slots=True)
class City:
    """A database with two officers who are in many cases, and complainants who have not withdrawn."""

    settings: Settings
    owner: Settings
    keys: Path
    remaining: Iterator[int]
    """The numbers of complainants who can still withdraw."""

    def tokens(self, count: int) -> list[tuple[str, str]]:
        """The cases of complainants who have not withdrawn, and a token of each."""
        issuer, now = service_issuer(self.settings), RealClock().now
        found = []
        for n in islice(self.remaining, count):
            case, party = _id(f"case {n}"), _id(f"complainant{n}")
            found.append((str(case), issuer.issue(party, code=f"code{n}", token_id=_id(f"token {n}"), now=now)))
        return found

    @asynccontextmanager
    async def slow_lists(self) -> AsyncIterator[None]:
        """Let each row of `cases` cost a party twenty milliseconds."""
        database = Database.of(self.owner)
        known = text("SELECT qual FROM pg_policies WHERE tablename = 'cases' AND policyname = 'party'")
        async with database.transaction() as connection:
            before = await connection.scalar(known)
            await connection.exec_driver_sql(f"ALTER POLICY party ON cases USING (({before}) AND {SLOW})")
        yield
        async with database.transaction() as connection:
            await connection.exec_driver_sql(f"ALTER POLICY party ON cases USING ({before})")
        await database.close()


def _id(name: str) -> UUID:
    """An id as benchmarks/filling.py makes them."""
    return UUID(hashlib.md5(name.encode()).hexdigest())  # noqa: S324 - no secret


@pytest.fixture(scope="module")
async def city(run: Run, keys: Path, server_url: str, as_owner: Callable[[Settings], Settings]) -> AsyncIterator[City]:
    """A database of their own, filled once for all tests."""
    with fresh_database(run, keys, server_url) as settings:
        owner = as_owner(settings)
        database = Database.of(owner.model_copy(update={"statement_timeout_ms": 0}))
        async with database.transaction() as connection:
            cases = OF_FIRST + OF_SECOND + WITHDRAWALS + 2 * WHERE_LISTS_ARE_SLOW
            await fill(connection, cases=cases, of_one=OF_FIRST, events=False)
            await connection.execute(
                text(
                    "UPDATE parties SET employee_number_index = :hashed "
                    "FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n "
                    "WHERE parties.id = md5('officer' || n)::uuid"
                ),
                {
                    "hashed": keyring(connection.dialect).hashed(SECOND_OFFICER),
                    "first": OF_FIRST + 1,
                    "last": OF_FIRST + OF_SECOND,
                },
            )
            # Those whose complainants withdraw are open.
            await connection.exec_driver_sql("ALTER TABLE cases DISABLE TRIGGER USER")
            await connection.execute(
                text(
                    "UPDATE cases SET state = 'ready', closed_at = NULL, closed_version = NULL, "
                    "agreement_reached = NULL FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n "
                    "WHERE cases.id = md5('case ' || n)::uuid"
                ),
                {"first": OF_FIRST + OF_SECOND + 1, "last": cases},
            )
            await connection.exec_driver_sql("ALTER TABLE cases ENABLE TRIGGER USER")
            # Parties that are filled in have no name, as if erased, and those have no code.
            await connection.exec_driver_sql("ALTER TABLE access_codes DISABLE TRIGGER stays_erased")
            await connection.execute(
                text(
                    "INSERT INTO access_codes (lookup, party_id, digest, issued_at) "
                    "SELECT 'code' || n, md5('complainant' || n)::uuid, '', now() "
                    "FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n"
                ),
                {"first": OF_FIRST + OF_SECOND + 1, "last": cases},
            )
            await connection.exec_driver_sql("ALTER TABLE access_codes ENABLE TRIGGER stays_erased")
            await connection.exec_driver_sql("ANALYZE")
        await database.close()
        yield City(settings, owner, keys, iter(range(OF_FIRST + OF_SECOND + 1, cases + 1)))


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"the service ended with {process.returncode}"
        assert time.monotonic() < deadline, "the service does not answer"
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        time.sleep(0.1)


@contextmanager
def _served(city: City) -> Iterator[str]:
    """The service as a city starts it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = environment(city.settings, city.keys, MEDIATION_PORT=str(port), MEDIATION_WORKERS="1")
    process = subprocess.Popen([str(COMMAND), "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _lists(city: City) -> list[Stream]:
    """Officers of 250 and of 1,000 cases, who list them eight at once."""
    office = Office(httpx.AsyncClient(), city.settings, RealClock())
    found = []
    for number, cases in ((OFFICER, OF_FIRST), (SECOND_OFFICER, OF_SECOND)):
        token = office.caller(Role.OFFICER, f"officer.{number}", number).token
        headers = {"Authorization": f"Bearer {token}"}
        found.append(Stream(f"list of {cases}", 8, "GET", "/v1/cases?limit=25", headers))
    return found


def _floods() -> list[Stream]:
    """Health checks, codes that nobody has from ever other addresses, and tokens that are none."""
    codes = [access_codes.from_entropy(secrets.token_bytes(21)).text() for _ in range(500)]
    header = urlsafe_b64encode(b'{"alg":"ES256","kid":"x","typ":"at+jwt"}').decode().rstrip("=")
    bad = f"{header}.e30." + "A" * 86
    json_ = {"Content-Type": "application/json"}
    return [
        Stream("health", 4, "GET", "/health/ready", {}),
        Stream(
            "codes",
            4,
            "POST",
            "/v1/access-tokens",
            {**json_, "X-Forwarded-For": "{address}"},
            tuple(json.dumps({"access_code": code}) for code in codes),
        ),
        Stream("bad tokens", 4, "POST", f"/v1/cases/{_id('case 1')}/withdrawals", {"Authorization": f"Bearer {bad}"}),
    ]


@asynccontextmanager
async def _flooded(url: str, streams: list[Stream]) -> AsyncIterator[Counter[str]]:
    """Send all of it until the block ends; then it is known what was answered."""
    host, _, port = url.removeprefix("http://").partition(":")
    command = (sys.executable, "-m", "tests.promises.flood", host, port)
    flood = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    answers: Counter[str] = Counter()
    assert flood.stdin is not None
    flood.stdin.write(told(streams).encode())
    await flood.stdin.drain()
    await asyncio.sleep(1.5)  # until each stream is under way
    try:
        yield answers
    finally:
        output, _ = await flood.communicate(b"\n")
        answers.update(json.loads(output))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How withdrawals were answered, and after how many seconds."""

    statuses: Counter[int]
    seconds: list[float]

    @property
    def refused(self) -> int:
        return self.statuses.total() - self.statuses[201]

    def figure(self, answers: Counter[str]) -> str:
        beside = ", ".join(f"{name}: {n}" for name, n in sorted(answers.items()))
        return (
            f"{self.statuses.total()} withdrawals: {self.refused} refused, "
            f"median {median(self.seconds) * 1000:.0f} ms, slowest {max(self.seconds) * 1000:.0f} ms; "
            f"answered beside them: {beside}"
        )


async def _withdrawn(url: str, tokens: list[tuple[str, str]]) -> Outcome:
    """Withdraw in every case, a few at the same time."""
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    waiting = iter(tokens)

    async def client() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            for case_id, token in waiting:
                began = time.perf_counter()
                answer = await http.post(
                    f"/v1/cases/{case_id}/withdrawals", headers={"Authorization": f"Bearer {token}"}
                )
                seconds.append(time.perf_counter() - began)
                statuses[answer.status_code] += 1

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return Outcome(statuses, seconds)


# ── what is promised ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_withdrawal_is_refused_or_slow_beside_long_lists_and_floods(
    city: City, record_property: Callable[[str, object], None]
) -> None:
    with _served(city) as url:
        async with _flooded(url, [*_lists(city), *_floods()]) as answers:
            outcome = await _withdrawn(url, city.tokens(WITHDRAWALS))

    record_property("figure", outcome.figure(answers))
    assert outcome.refused == 0, outcome.figure(answers)
    if WHOLE:
        assert max(outcome.seconds) < SLOWEST, outcome.figure(answers)
    assert answers[f"list of {OF_FIRST} 200"] > 0, "the lists were no lists"
    assert answers[f"list of {OF_SECOND} 200"] > 0, "the lists were no lists"
    assert not [name for name in answers if name.startswith("health") and not name.endswith(" 200")]
    assert {name for name in answers if name.startswith("bad tokens")} == {"bad tokens 401"}


async def test_no_withdrawal_is_refused_even_where_lists_take_seconds(
    city: City, record_property: Callable[[str, object], None]
) -> None:
    async with city.slow_lists():
        with _served(city) as url:
            async with _flooded(url, _lists(city)) as answers:
                outcome = await _withdrawn(url, city.tokens(WHERE_LISTS_ARE_SLOW))

    record_property("figure", outcome.figure(answers))
    assert outcome.refused == 0, outcome.figure(answers)
    assert answers[f"list of {OF_FIRST} 503"] > 0, "no list was cut off: nothing was tried"


async def test_without_connections_of_their_own_withdrawals_are_refused(
    city: City, record_property: Callable[[str, object], None]
) -> None:
    async with city.slow_lists():
        with serving(city.settings, city.keys, "tests.promises.unguarded:app") as url:
            async with _flooded(url, _lists(city)) as answers:
                outcome = await _withdrawn(url, city.tokens(WHERE_LISTS_ARE_SLOW))

    record_property("figure", outcome.figure(answers))
    assert outcome.statuses[503] > 0, outcome.figure(answers)
