"""What strangers share with nobody, and what counts against them: keys, tokens that are refused, addresses, names."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from tests.conftest import RolledBackDatabase

from mediation_api.database import tables
from mediation_api.dev.office import NARRATIVE, Office
from mediation_api.domain.access import Role
from mediation_api.http.rate_limits import Limiter, network_of

FILING = {
    "narrative": NARRATIVE,
    "allegations": ["discourtesy"],
    "interested_in_mediation": False,
    "parties": [{"side": "complainant", "name": "Rosa Alvarez"}],
}
BEGIN = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)


async def file(client: httpx.AsyncClient, key: str, **more: object) -> httpx.Response:
    return await client.post("/v1/complaints", json={**FILING, **more}, headers={"Idempotency-Key": key})


# ── idempotency keys ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("0000000000000000", "too-few-different"),
        ("00000000-0000-0000-0000-000000000001", "too-few-different"),
        ("abcdefgh-abcdefgh-abcdefgh", "repeated"),
        ("abcdefghijklmnopqrstuvwxyz", "sequence"),
    ],
)
async def test_a_key_that_can_be_guessed_is_refused_with_its_rule(office: Office, key: str, rule: str) -> None:
    for refused in (
        await file(office.client, key),
        await office.client.post(
            "/v1/mediators",
            json={"name": "Ines Duarte", "languages": ["en"], "subject": "m.1"},
            headers={"Idempotency-Key": key, "Authorization": f"Bearer {office.coordinator.token}"},
        ),
    ):
        assert (refused.status_code, refused.json()["code"]) == (400, "idempotency-key-weak")
        assert rule in refused.json()["detail"]


async def test_a_stranger_with_the_same_key_is_given_nothing_of_the_filer(office: Office) -> None:
    key = str(uuid4())
    first = await file(office.client, key)
    for more in ({"narrative": "He shouted at me."}, {"parties": [{"side": "complainant", "name": "Eve"}]}):
        stranger = await file(office.client, key, **more)
        assert stranger.status_code == 201
        assert stranger.json()["id"] != first.json()["id"]
        assert first.json()["access_codes"][0]["access_code"] not in stranger.text
    assert (await file(office.client, key)).content == first.content, "and the filer's own retry is one"


async def test_the_database_knows_an_anonymous_caller_by_a_hash_alone(
    office: Office, database: RolledBackDatabase
) -> None:
    await file(office.client, str(uuid4()))
    await file(office.client, str(uuid4()))
    async with database.transaction() as connection:
        callers = (await connection.scalars(select(tables.idempotency_keys.c.caller))).all()
    assert len({caller for caller in callers if caller.startswith("public:")}) == 2
    assert "public:public" not in callers


async def test_those_who_bring_a_token_share_a_namespace_with_themselves(office: Office) -> None:
    """The control: with one namespace, a key that was used for another body is known, and refused."""
    key, headers = str(uuid4()), {"Authorization": f"Bearer {office.intake.token}"}
    body = {**FILING, "channel": "phone"}
    answers = [
        await office.client.post("/v1/complaints", json=each, headers={**headers, "Idempotency-Key": key})
        for each in (body, {**body, "narrative": "He shouted at me."})
    ]
    assert [answer.status_code for answer in answers] == [201, 422]


# ── limits ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tokens_that_are_refused_count_and_end_in_429(office: Office, app: FastAPI) -> None:
    object.__setattr__(app.state.service, "limiter", Limiter(3))
    bad = [{"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic eDp5"}]
    statuses = [(await office.client.get("/v1/cases", headers=bad[n % 2])).status_code for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert (await office.client.get("/v1/disclosures")).status_code == 429, "the address is the same"
    await office.intake.get("/v1/cases")  # and whoever has a token is somebody else


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_ipv6_counts_by_its_64_and_ipv4_by_itself(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_another_address_of_the_same_64_is_no_other_caller(app: FastAPI) -> None:
    object.__setattr__(app.state.service, "limiter", Limiter(2))

    async def status(address: str) -> int:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get("/v1/disclosures")).status_code

    assert [await status(f"2001:db8::{n}") for n in range(1, 4)] == [200, 200, 429]
    assert await status("2001:db8:0:1::1") == 200
    assert [await status(address) for address in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1")] == [200, 200, 429]


def test_the_limiter_never_forgets_everybody_at_once() -> None:
    limiter = Limiter(1, most=1_000)
    for number in range(1_000):
        limiter.count(f"caller {number}", BEGIN + timedelta(milliseconds=number))
    limiter.count("one more", BEGIN + timedelta(seconds=2))
    assert len(limiter) == 1_000
    later = BEGIN + timedelta(seconds=3)
    assert all(limiter.count(f"caller {number}", later).is_exceeded for number in range(1, 1_000))
    assert not limiter.count("caller 0", later).is_exceeded, "the oldest made room, and nobody else"


def test_no_minute_begins_for_everybody_at_once() -> None:
    limiter = Limiter(1)
    for second in range(0, 60, 10):
        limiter.count(f"caller {second}", BEGIN + timedelta(seconds=second))
    free = [
        not limiter.count(f"caller {second}", BEGIN + timedelta(seconds=61)).is_exceeded for second in range(0, 60, 10)
    ]
    assert free == [True, False, False, False, False, False]


def test_a_limiter_of_one_window_forgets_them_all() -> None:
    """The control: counted by the minute of the clock, everybody begins anew at once."""
    counts: dict[tuple[str, int], int] = {}
    for caller, second in (("a", 1), ("b", 59), ("a", 61), ("b", 61)):
        counts[caller, second // 60] = counts.get((caller, second // 60), 0) + 1
    assert set(counts.values()) == {1}


# ── names and employee numbers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("\u200b\u200b", "invisible-character"),
        ("Rosa\u200b Alvarez", "invisible-character"),
        ("\u3164", "invisible-character"),
        ("Rosa \u202ezeravlA", "direction-control"),
        ("\u2067Rosa\u2069", "direction-control"),
        ("\u0301\u0302", "blank"),
        ("Ro\u200dsa", "invisible-character"),
    ],
)
async def test_a_name_of_invisible_characters_is_refused_by_field_and_rule(
    office: Office, name: str, rule: str
) -> None:
    refused = await file(office.client, str(uuid4()), parties=[{"side": "complainant", "name": name}])
    assert refused.status_code == 422
    assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [("/parties/0/name", rule)]


@pytest.mark.parametrize("name", ["\u0645\u06cc\u200c\u0631\u0648\u0645", "\u0dc1\u0dca\u200d\u0dbb\u0dd3", "Zo\u00eb"])
async def test_a_name_of_a_script_that_needs_joiners_is_taken(office: Office, name: str) -> None:
    """The control: what is refused is not refused for being foreign."""
    assert (await file(office.client, str(uuid4()), parties=[{"side": "complainant", "name": name}])).status_code == 201


@pytest.mark.parametrize("spelling", ["k-4471", "K4471", "K 4471", "K\u20114471"])
async def test_an_officer_reaches_the_case_however_the_token_spells_the_number(office: Office, spelling: str) -> None:
    story = await (await office.file(officers=[{"employee_number": "K-4471"}])).to_asking()
    officer = office.caller(Role.OFFICER, "officer.k", spelling)
    assert (await officer.get(story.path))["id"] == story.case_id
    stranger = office.caller(Role.OFFICER, "officer.z", "K-04471")
    await stranger.get(story.path, 404)


async def test_one_officer_is_not_listed_twice_under_two_spellings(office: Office) -> None:
    story = await office.file(officers=[{"employee_number": "K-4471"}])
    again = {"side": "officer", "name": "Kim Kay", "employee_number": "k4471"}
    refused = await office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", again, 409)
    assert refused["code"] == "party-already-listed"
    await office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", {**again, "employee_number": "k4472"})
