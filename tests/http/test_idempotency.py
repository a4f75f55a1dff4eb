"""A retry does nothing twice, and nobody overwrites what they have not seen."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import select
from tests.conftest import RolledBackDatabase
from tests.openapi.test_contract import committed

from mediation_api.database import tables
from mediation_api.database.engine import Database, Pool
from mediation_api.dev.office import Caller, Office
from mediation_api.repository.idempotency import delete_expired

KEY = "a-key-of-a-retry-01"
WITHOUT_KEY = {"recordWithdrawal", "exchangeAccessCode", "startImport"}


async def post(who: Caller, path: str, body: object, key: str | None = KEY) -> httpx.Response:
    headers = {} if who.token is None else {"Authorization": f"Bearer {who.token}"}
    if key is not None:
        headers["Idempotency-Key"] = key
    return await who.client.post(path, json=body, headers=headers)


MEDIATOR = {"name": "Ines Duarte", "languages": ["en", "es"]}


def entry() -> dict[str, object]:
    return {**MEDIATOR, "subject": f"mediator-{uuid4()}"}


@pytest.mark.drawn
def test_every_post_takes_a_key_but_those_that_need_none(app: FastAPI) -> None:
    without = set()
    for context in iter_route_contexts(app.routes):
        if "POST" in (context.methods or ()):
            operation = committed()["paths"][str(context.path_format)]["post"]
            parameters = operation.get("parameters", [])
            assert isinstance(parameters, list)
            if not any(p["name"] == "Idempotency-Key" and p["required"] for p in parameters):
                without.add(operation["operationId"])
    assert without == WITHOUT_KEY


async def test_a_retry_gets_the_first_answer_byte_for_byte(office: Office) -> None:
    body = entry()
    first = await post(office.coordinator, "/v1/mediators", body)
    again = await post(office.coordinator, "/v1/mediators", body)
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


async def test_a_key_may_be_quoted_and_a_body_laid_out_differently(office: Office) -> None:
    body = entry()
    first = await post(office.coordinator, "/v1/mediators", body)
    again = await post(office.coordinator, "/v1/mediators", dict(reversed(body.items())), f'"{KEY}"')
    assert again.content == first.content


async def test_a_retry_of_a_filing_gets_the_same_access_code(office: Office) -> None:
    body = {
        "narrative": "He shouted.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": True,
        "parties": [{"side": "complainant", "name": "Rosa Alvarez"}],
    }
    first = (await post(office.public, "/v1/complaints", body)).json()
    again = (await post(office.public, "/v1/complaints", body)).json()
    assert again == first
    await office.signed_in(first["access_codes"][0]["access_code"])


async def test_without_a_key_nothing_happens(office: Office) -> None:
    refused = await post(office.coordinator, "/v1/mediators", entry(), None)
    assert refused.status_code == 400
    assert refused.json()["code"] == "idempotency-key-missing"


@pytest.mark.parametrize("key", ["short", "k" * 129, "has space in it 123", "ü" * 20, '"' + "k" * 20])
async def test_a_malformed_key_is_refused_by_name(office: Office, key: str) -> None:
    token = f"Bearer {office.coordinator.token}"
    headers = [(b"Authorization", token.encode()), (b"Idempotency-Key", key.encode())]
    refused = await office.client.post("/v1/mediators", json=entry(), headers=headers)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert refused.json()["errors"][0]["in"] == "header"


async def test_a_key_used_for_another_body_is_refused(office: Office) -> None:
    await post(office.coordinator, "/v1/mediators", entry())
    other = await post(office.coordinator, "/v1/mediators", entry())
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency-key-reused"


async def test_another_caller_and_another_operation_have_keys_of_their_own(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    first = await post(office.coordinator, "/v1/mediators", entry())
    by_director = await post(office.director, "/v1/mediators", entry())
    pause = {"reason": "leave", "starts_on": "2026-03-03", "ends_on": "2026-03-04"}
    elsewhere = await post(office.coordinator, f"{story.path}/pauses", pause)
    assert [first.status_code, by_director.status_code, elsewhere.status_code] == [201, 201, 201]


async def test_what_was_refused_is_decided_anew(office: Office) -> None:
    story = await (await office.file()).to_ready()
    too_early = await post(office.coordinator, f"{story.path}/sessions", story.booking())
    assert too_early.status_code == 409
    await story.assign()
    now_possible = await post(office.coordinator, f"{story.path}/sessions", story.booking())
    assert now_possible.status_code == 201


async def test_the_database_holds_neither_the_key_nor_the_answer(office: Office, database: RolledBackDatabase) -> None:
    filed = await post(
        office.public,
        "/v1/complaints",
        {
            "narrative": "He shouted.",
            "allegations": ["discourtesy"],
            "interested_in_mediation": False,
            "parties": [{"side": "complainant", "name": "Rosa Alvarez"}],
        },
    )
    code = filed.json()["access_codes"][0]["access_code"]
    async with database.reading() as connection:
        kept = (await connection.execute(select(tables.idempotency_keys))).mappings().one()
    everything = repr(dict(kept))
    assert code not in everything
    assert KEY not in everything


async def test_an_answer_is_kept_for_a_day_and_after_two_until_it_is_deleted(
    committed_office: Office, committed_database: Database
) -> None:
    office, body = committed_office, entry()
    first = await post(office.coordinator, "/v1/mediators", body)
    for hours in (24, 25):
        office.clock.advance(hours=hours)
        again = await post(office.coordinator, "/v1/mediators", body)
        assert again.content == first.content
    assert await delete_expired(committed_database._pools[Pool.OFFICE], office.clock.now) == 1
    forgotten = await post(office.coordinator, "/v1/mediators", body)
    assert forgotten.json()["code"] == "subject-taken"


async def test_of_twelve_at_once_one_happens_and_all_get_its_answer(committed_office: Office) -> None:
    office, body = committed_office, entry()
    coordinator = office.coordinator
    answers = await asyncio.gather(*(post(coordinator, "/v1/mediators", body) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 11
    listed = await coordinator.get("/v1/mediators")
    assert len(listed["items"]) == 1  # type: ignore[arg-type]


# ── entity tags ────────────────────────────────────────────────────────────────────────────────────────────────────


async def correct(who: Caller, path: str, body: object, seen: str | None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {who.token}"}
    if seen is not None:
        headers["If-Match"] = seen
    return await who.client.patch(path, json=body, headers=headers)


async def test_a_correction_says_what_it_has_seen(office: Office) -> None:
    story = await office.file()
    path = f"/v1/complaints/{story.complaint_id}"
    read = await office.intake.send("GET", path)
    assert (await correct(office.intake, path, {"precinct": "Central"}, None)).status_code == 428
    done = await correct(office.intake, path, {"precinct": "Central"}, read.headers["etag"])
    assert done.status_code == 200
    stale = await correct(office.intake, path, {"precinct": "North"}, read.headers["etag"])
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition-failed")
    again = await office.intake.send("GET", path)
    assert again.headers["etag"] == done.headers["etag"] != read.headers["etag"]
    assert again.json()["precinct"] == "Central"


@pytest.mark.parametrize("kind", ["complaint", "party", "mediator", "coordinator"])
async def test_the_tag_of_what_was_read_is_the_tag_that_is_wanted(office: Office, kind: str) -> None:
    story = await office.file()
    mediator = await office.mediator()
    path, body = {
        "complaint": (f"/v1/complaints/{story.complaint_id}", {"precinct": "Central"}),
        "party": (f"/v1/parties/{story.complainants[0].party_id}", {"email": "rosa@example.org"}),
        "mediator": (f"/v1/mediators/{mediator.mediator_id}", {"active": False}),
        "coordinator": (f"{story.path}/coordinator", {"coordinator": "c.lee"}),
    }[kind]
    read = await office.coordinator.send("GET", path)
    method = "PUT" if kind == "coordinator" else "PATCH"
    headers = {"Authorization": f"Bearer {office.coordinator.token}", "If-Match": read.headers["etag"]}
    done = await office.client.request(method, path, json=body, headers=headers)
    assert done.status_code == 200, done.text
    stale = await office.client.request(method, path, json=body, headers=headers)
    assert stale.status_code == 412


async def test_of_twelve_corrections_at_once_one_is_made(committed_office: Office) -> None:
    office = committed_office
    story = await office.file()
    path = f"/v1/complaints/{story.complaint_id}"
    intake = office.intake
    seen = (await intake.send("GET", path)).headers["etag"]
    answers = await asyncio.gather(*(correct(intake, path, {"precinct": f"Precinct {n}"}, seen) for n in range(12)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 11}


async def test_what_has_not_changed_is_not_sent_again(office: Office) -> None:
    story = await office.file()
    read = await office.coordinator.send("GET", story.path)
    headers = {"Authorization": f"Bearer {office.coordinator.token}", "If-None-Match": read.headers["etag"]}
    unchanged = await office.client.get(story.path, headers=headers)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == read.headers["etag"]
    await story.screen()
    changed = await office.client.get(story.path, headers=headers)
    assert changed.status_code == 200


async def test_a_tag_depends_on_the_representation_alone(office: Office) -> None:
    story = await (await office.file(complainants=[{}, {}])).to_confirming()
    before = await story.complainants[1].send("GET", story.path)
    await story.answer(story.complainants[0], "declined")
    after = await story.complainants[1].send("GET", story.path)
    assert before.headers["etag"] == after.headers["etag"]
    office.clock.advance(seconds=timedelta(minutes=5).total_seconds())
    later = await story.complainants[1].send("GET", story.path)
    assert later.headers["etag"] == before.headers["etag"]
