"""What a caller accepts is looked at before anything happens, and never stands in the way of a withdrawal."""

import json
from uuid import uuid4

import httpx
import pytest
from tests.openapi.test_contract import committed
from tests.routers.test_access import caller, filled_in

from mediation_api.dev.office import Caller, Office
from mediation_api.http.content_negotiation import accepts
from mediation_api.main import OPERATIONS

OFFERED = ("application/json", "application/problem+json")


async def sent(who: Caller, method: str, path: str, accept: str | None, body: object = None) -> httpx.Response:
    """Call with this header, or with none."""
    headers = {"Idempotency-Key": str(uuid4()), "If-Match": "*"}
    if who.token is not None:
        headers["Authorization"] = f"Bearer {who.token}"
    request = who.client.build_request(method, path, headers=headers, json=body)
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    return await who.client.send(request)


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/*",
        "application/json",
        "APPLICATION/JSON",
        "application/problem+json",
        "application/json; charset=utf-8",
        'application/json;profile="a b";q=0.001',
        "text/html, application/json;q=0.5",
        "text/html;q=1,*/*;q=0.1",
        "application/*;q=0, application/json",
        "text/html,,application/json",
        "text/html;q=0, */*",
        # Nothing in these can be read, so that nothing is said.
        "",
        ",",
        "json",
        "*",
        "*/json",
        "application/json;q=2",
        "application/json;q=a",
        "application/json;;",
        "é",
        '"',
    ],
)
def test_this_admits_json(accept: str) -> None:
    assert accepts([accept], OFFERED)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/*",
        "application/xml",
        "application/hal+json",
        "application/json;q=0",
        "application/json;q=0.000",
        "application/json; Q=0",
        "application/*;q=0",
        "*/*;q=0",
        "*/*, application/json;q=0",
        "application/problem+json, application/*;q=0, application/json;q=0",
        "text/html, application/json;q=2",
        "text/html, nonsense",
    ],
)
def test_this_does_not(accept: str) -> None:
    assert not accepts([accept], OFFERED)


def test_without_the_header_anything_is_accepted_and_several_are_one() -> None:
    assert accepts([], OFFERED)
    assert accepts(["text/html", "application/json"], OFFERED)
    assert not accepts(["text/html", "text/plain"], OFFERED)


def test_a_hostile_header_takes_no_time() -> None:
    assert accepts([";q=" * 20_000, "a/" * 20_000, 'a/b;c="' * 20_000, "," * 60_000], OFFERED)


async def test_every_operation_refuses_what_it_cannot_answer_and_never_what_may_not_be_refused(office: Office) -> None:
    for path, item in committed()["paths"].items():
        for method, operation in item.items():
            name = str(operation["operationId"])
            who = await caller(next(iter(OPERATIONS[name].access)), office)
            response = await sent(who, method.upper(), filled_in(path), "image/png")
            if OPERATIONS[name].always_answered:
                assert response.status_code != 406, name
                continue
            assert (response.status_code, response.json()["code"]) == (406, "not-acceptable"), name
            assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/html", 200), ("text/*", 200), (None, 200), ("text/css", 406), ("application/json", 406)],
)
async def test_a_page_is_a_page(office: Office, accept: str | None, status: int) -> None:
    response = await sent(office.public, "GET", "/problems/not-found", accept)
    assert response.status_code == status


@pytest.mark.parametrize("path", ["/docs", "/docs/swagger-ui.css", "/docs/docs.js"])
async def test_a_browser_gets_each_file_of_the_documentation(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"Accept": "text/css,image/png"})).status_code == 200


async def test_what_is_refused_has_no_effect_and_uses_up_no_key(office: Office) -> None:
    story = await office.file()
    path, key = f"{story.path}/screenings", {"Idempotency-Key": str(uuid4())}
    headers = {"Authorization": f"Bearer {office.intake.token}", **key}
    refused = await office.client.post(path, json={}, headers={**headers, "Accept": "text/csv"})
    assert refused.status_code == 406
    assert await story.state() == "screening"
    done = await office.client.post(path, json={}, headers=headers)
    assert (done.status_code, "idempotency-replayed" in done.headers) == (201, False)


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "nonsense", "", None])
async def test_a_withdrawal_is_carried_out_whatever_is_accepted(office: Office, accept: str | None) -> None:
    story = await (await office.file()).to_ready()
    left = await sent(story.complainants[0], "POST", f"{story.path}/withdrawals", accept)
    assert left.status_code == 201
    assert left.headers["content-type"] == "application/json"
    assert json.loads(left.content)["party_id"] == story.complainants[0].party_id
    assert await story.state() == "withdrawn"


def test_the_contract_says_where_it_may_happen() -> None:
    operations = [each for item in committed()["paths"].values() for each in item.values()]
    without = {each["operationId"] for each in operations if "406" not in dict(each["responses"])}  # type: ignore[call-overload] # an object
    assert (
        without
        == {"recordWithdrawal", "getLiveness", "getReadinessOfService"}
        == {id_ for id_, each in OPERATIONS.items() if each.always_answered}
    )
