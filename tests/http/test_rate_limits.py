"""A caller has a quota, is told what is left of it, and can always withdraw."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text
from tests.conftest import Clock, RolledBackDatabase, application, calling

from mediation_api.database.engine import Database
from mediation_api.database.tables import attempt_counters
from mediation_api.dev.office import NARRATIVE, Office
from mediation_api.domain import access_codes
from mediation_api.domain.values import AttemptKind
from mediation_api.http.rate_limits import Limiter
from mediation_api.repository.attempt_counters import AttemptCounters
from mediation_api.settings import Settings

COMPLAINT = {
    "channel": "portal",
    "narrative": NARRATIVE,
    "allegations": ["discourtesy"],
    "interested_in_mediation": False,
    "parties": [{"side": "complainant", "name": "Rosa Alvarez", "phone": "+1 503 555 0100"}],
}


def at(second: int) -> datetime:
    return datetime(2026, 3, 2, 20, 0, second, tzinfo=UTC)


def test_a_quota_is_used_up_and_comes_back_a_minute_after_it_began() -> None:
    limiter = Limiter(2)
    assert [limiter.count("a", at(10)).remaining for _ in range(3)] == [1, 0, -1]
    assert limiter.count("b", at(10)).remaining == 1
    assert limiter.count("a", at(20)).headers(refused=True)["Retry-After"] == "50"
    assert limiter.count("a", datetime(2026, 3, 2, 20, 1, 9, tzinfo=UTC)).is_exceeded
    assert limiter.count("a", datetime(2026, 3, 2, 20, 1, 10, tzinfo=UTC)).remaining == 1


@pytest.fixture
def narrow(app: FastAPI) -> None:
    """A quota of three."""
    object.__setattr__(app.state.service, "limiter", Limiter(3))


@pytest.mark.usefixtures("narrow")
async def test_a_caller_is_told_what_is_left_and_when_to_come_back(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/v1/disclosures") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert answers[0].headers["ratelimit"] == '"default";r=2;t=60'
    assert answers[3].headers["retry-after"] == "60"
    assert answers[3].json()["code"] == "quota-exceeded"


async def test_a_withdrawal_is_never_held_up_by_a_quota(office: Office, app: FastAPI) -> None:
    story = await (await office.file()).to_confirming()
    object.__setattr__(app.state.service, "limiter", Limiter(1))
    who = story.complainants[0]
    await who.get(story.path)
    await who.get(story.path, 429)
    await story.withdraw(who)


async def test_every_answer_names_the_version_of_the_api(client: httpx.AsyncClient, app: FastAPI) -> None:
    for path in ("/v1/disclosures", "/v1/cases", "/nowhere"):
        assert (await client.get(path)).headers["api-version"] == app.version


# ── by the hour, over all processes ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def processes(committed: Settings, clock: Clock) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Three processes of the service on one database."""
    limited = committed.model_copy(update={"filings_per_hour": 4, "code_attempts_per_hour": 5})
    databases = [Database.of(limited) for _ in range(3)]
    yield [calling(application(limited, clock, database)) for database in databases]
    for database in databases:
        await database.close()


def wrong(code: str) -> str:
    """A code that is found, and has another secret."""
    known = access_codes.parse_access_code(code)
    return access_codes.AccessCode(known.lookup, bytes(16)).text()


async def exchanged(client: httpx.AsyncClient, code: str) -> httpx.Response:
    return await client.post("/v1/access-tokens", json={"access_code": code})


async def test_wrong_codes_are_counted_by_all_processes_and_parallel_ones_too(
    processes: list[httpx.AsyncClient],
    committed_office: Office,
    clock: Clock,
    record_property: Callable[[str, object], None],
) -> None:
    story = await committed_office.file()
    who = story.complainants[0]
    tried = await asyncio.gather(*(exchanged(processes[n % 3], wrong(who.access_code)) for n in range(30)))
    statuses = sorted(answer.status_code for answer in tried)
    record_property("figure", f"{len(tried)} wrong secrets at once over 3 processes: {statuses.count(401)} looked at")
    assert statuses == [401] * 5 + [429] * 25
    held_up = await exchanged(processes[0], who.access_code)
    assert (held_up.status_code, held_up.json()["code"]) == (429, "quota-exceeded")
    assert held_up.headers["retry-after"] == "3600"
    assert held_up.headers["ratelimit-policy"] == '"default";q=5;w=3600'
    # Whoever holds a token goes on, staff record a withdrawal without one, and a new code begins anew.
    await who.get(story.path)
    await story.withdraw(who)
    code = await committed_office.intake.post(f"/v1/parties/{who.party_id}/access-codes")
    assert (await exchanged(processes[1], str(code["access_code"]))).status_code == 201
    clock.advance(hours=1)
    assert (await exchanged(processes[0], wrong(who.access_code))).status_code == 401


async def test_without_the_count_all_of_them_would_be_looked_at(
    processes: list[httpx.AsyncClient], committed_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    code = (await committed_office.file()).complainants[0].access_code

    async def always_the_first(_tries: AttemptCounters, _what: AttemptKind, _who: str, *, at: datetime) -> int:
        del at
        return 1

    monkeypatch.setattr(AttemptCounters, "count", always_the_first)
    tried = await asyncio.gather(*(exchanged(processes[n % 3], wrong(code)) for n in range(30)))
    assert [answer.status_code for answer in tried] == [401] * 30


async def test_the_right_code_ends_the_counting(processes: list[httpx.AsyncClient], committed_office: Office) -> None:
    code = (await committed_office.file()).complainants[0].access_code
    for _ in range(3):
        for _ in range(4):
            assert (await exchanged(processes[0], wrong(code))).status_code == 401
        assert (await exchanged(processes[1], code)).status_code == 201


async def test_a_code_that_nobody_has_is_counted_like_one_that_somebody_has(
    processes: list[httpx.AsyncClient], committed_office: Office
) -> None:
    del committed_office
    nobodys = access_codes.from_entropy(bytes(access_codes.ENTROPY_BYTES)).text()
    assert [(await exchanged(processes[n % 3], nobodys)).status_code for n in range(7)] == [401] * 5 + [429] * 2


async def test_what_the_public_files_from_one_address_is_counted_by_all_processes(
    processes: list[httpx.AsyncClient], committed_office: Office, clock: Clock
) -> None:
    office = committed_office

    async def filed(client: httpx.AsyncClient) -> int:
        answer = await Office(client, office.settings, clock).public.send("POST", "/v1/complaints", COMPLAINT)
        return answer.status_code

    answers = await asyncio.gather(*(filed(processes[n % 3]) for n in range(9)))
    assert sorted(answers) == [201] * 4 + [429] * 5
    clock.advance(hours=1)
    assert await filed(processes[0]) == 201
    for _ in range(6):
        await office.intake.post("/v1/complaints", COMPLAINT | {"channel": "phone"})


async def test_the_counts_hold_no_address_and_old_ones_are_forgotten(
    office: Office, database: RolledBackDatabase, clock: Clock
) -> None:
    await office.public.post("/v1/complaints", COMPLAINT)
    async with database.transaction() as connection:
        row = (await connection.execute(select(attempt_counters))).one()
        assert (row.what, row.number) == ("filing", 1)
        assert "127.0.0.1" not in row.who
        await connection.execute(
            text(
                "INSERT INTO attempt_counters"
                " SELECT 'code', n, now() - interval '9 years', 1 FROM generate_series(1, 25) n"
            )
        )
    clock.advance(hours=2)
    await office.public.post("/v1/complaints", COMPLAINT)
    async with database.reading() as connection:
        left = (await connection.execute(select(attempt_counters.c.what, attempt_counters.c.number))).all()
    assert sorted(left) == [("code", 1)] * 5 + [("filing", 1)]
