"""Problem documents: one table, every field at once, and never a value."""

import asyncio
import importlib
import json
import logging
import pkgutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Final, Literal
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import Field, JsonValue, ValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from tests.openapi.reading import written_out

import mediation_api
from mediation_api.contract import responses
from mediation_api.contract.nodes import node, operations
from mediation_api.domain import errors
from mediation_api.domain.access import EVERYBODY
from mediation_api.domain.errors import ConditionsMissing, Invalid, Missing, Refusal
from mediation_api.http import problems
from mediation_api.http.fields import In, Int32, Line, Params, Uuid, WholeNumber, rule_broken
from mediation_api.http.middleware import StrictRoute, install
from mediation_api.http.problems import ProblemException
from mediation_api.http.rate_limits import Limiter
from mediation_api.http.routes import Operation, operations_of
from mediation_api.texts.loader import load_texts

CANARY = "c4n4ry"
PARTY = UUID("00000000-0000-4000-8000-00000000000a")


class Person(In):
    name: Line


class Cat(In):
    kind: Literal["cat"]
    lives: Int32


class Dog(In):
    kind: Literal["dog"]
    name: Line


class Body(In):
    person: Person
    people: tuple[Person, ...] = Field((), max_length=100)
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None


class Filter(Params):
    limit: Annotated[int, WholeNumber(1, 100)] = 25


class Missed(Exception):  # noqa: N818 - stands for what a library might raise
    sqlstate = "57P01"


class Fault(Exception):  # noqa: N818 - the driver's, as SQLAlchemy wraps it
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(CANARY)
        self.sqlstate = sqlstate


RAISED: dict[str, Exception] = {
    "not-permitted": errors.NotPermitted(),
    "not-found": errors.NotFound(),
    "unauthenticated": errors.Unauthenticated(),
    "token-expired": errors.TokenExpired(),
    "case-closed": errors.CaseNotOpen(),
    "invalid": Invalid("/people/0", "not-expected", "The same person twice."),
    "gate": ConditionsMissing(
        (
            Missing("interpreter-missing", PARTY, {"language": "ase"}),
            Missing("contact-attempts-missing", PARTY, {"counted": 2, "needed": 3}),
            Missing("mediator-missing"),
        )
    ),
    "bug": ValueError(CANARY),
    "told": ProblemException(412, "precondition-failed", "Read it again."),
    "teapot": HTTPException(418, CANARY),
    "http-404": HTTPException(404, CANARY),
    "pool": PoolTimeoutError(CANARY),
    "refused": ConnectionRefusedError(CANARY),
    "integrity": IntegrityError(CANARY, {}, Fault("23505")),
    "lost": DBAPIError(CANARY, {}, Fault(None), connection_invalidated=True),
    "disk-full": DBAPIError(CANARY, {}, Fault("53100")),
    "read-only": DBAPIError(CANARY, {}, Fault("25006")),
    "lock": DBAPIError(CANARY, {}, Fault("55P03")),
    "shutdown": Missed(CANARY),
}

router = APIRouter(route_class=StrictRoute)


@router.get("/raise/{name}")
@Operation("fail", access=EVERYBODY, oauth_scope=None)
async def fail(name: str) -> None:
    raise RAISED[name]


@router.get("/things/{thing_id}")
@Operation("read", access=EVERYBODY, oauth_scope=None)
async def read(thing_id: Uuid, found: Annotated[Filter, Query()]) -> None: ...


@router.post("/things", responses=responses.responses(409), dependencies=[Depends(HTTPBearer(auto_error=False))])
@Operation("write", access=EVERYBODY, oauth_scope=None)
async def write(body: Body) -> dict[str, bool]:
    return {"written": body is not None}


@router.delete("/things")
@Operation("clear", access=EVERYBODY, oauth_scope=None)
async def clear() -> None: ...


def application() -> FastAPI:
    app = FastAPI()
    app.include_router(router, prefix="/v1")
    responses.describe_responses(app, operations_of(router.routes))
    texts = load_texts()
    install(app, problem_titles=texts.problem_titles, problem_details=texts.problem_details, body_limit=64 * 1024)
    app.state.service = SimpleNamespace(clock=lambda: datetime(2026, 3, 2, tzinfo=UTC), limiter=Limiter(1_000_000))
    return app


APP = application()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(APP, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x/v1") as client:
        yield client


def document(answer: httpx.Response) -> dict[str, JsonValue]:
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, JsonValue] = answer.json()
    assert set(found) == {
        "type", "title", "status", "detail", "instance", "code", "request_id", "errors", "missing",
    }  # fmt: skip
    assert found["status"] == answer.status_code
    assert found["type"] == f"/problems/{found['code']}"
    assert found["request_id"] == answer.headers["x-request-id"]
    assert CANARY not in answer.text
    assert CANARY not in str(answer.headers)
    return found


# --- refusals -----------------------------------------------------------------------------------------------


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for child in kind.__subclasses__():
        yield child
        yield from refusals(child)


def test_every_refusal_has_a_status_a_sentence_and_a_code_of_its_own() -> None:
    for module in pkgutil.walk_packages(mediation_api.__path__, "mediation_api."):
        importlib.import_module(module.name)
    found = [kind for kind in refusals() if not kind.__subclasses__() or "code" in vars(kind)]
    codes = [vars(kind)["code"] for kind in found]  # its own: an inherited one would not be unique
    assert len(found) > 10
    assert sorted(codes) == sorted(set(codes))
    for kind in found:
        assert 400 <= problems.status_of(kind) < 500, kind
        assert kind.detail.endswith("."), kind
        assert kind.code == kind.code.lower().replace("_", "-"), kind
    http_only = {code for code, _ in problems.HTTP.values()} - {
        "unauthenticated", "not-permitted", "not-found", "validation-failed",
    }  # fmt: skip
    assert not http_only & set(codes)


def test_a_refusal_without_a_row_is_noticed() -> None:
    with pytest.raises(LookupError, match="Refusal has no row"):
        problems.status_of(Refusal)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("not-permitted", 403, "not-permitted"),
        ("not-found", 404, "not-found"),
        ("http-404", 404, "not-found"),
        ("unauthenticated", 401, "unauthenticated"),
        ("token-expired", 401, "token-expired"),
        ("case-closed", 409, "case-closed"),
        ("invalid", 422, "validation-failed"),
        ("gate", 409, "conditions-missing"),
        ("told", 412, "precondition-failed"),
        ("teapot", 418, "http-418"),
        ("bug", 500, "internal-error"),
        ("integrity", 500, "internal-error"),
        ("pool", 503, "unavailable"),
        ("refused", 503, "unavailable"),
        ("lost", 503, "unavailable"),
        ("disk-full", 503, "unavailable"),
        ("read-only", 503, "unavailable"),
        ("lock", 503, "unavailable"),
        ("shutdown", 503, "unavailable"),
    ],
)
async def test_each_exception_has_one_answer(client: httpx.AsyncClient, name: str, status: int, code: str) -> None:
    answer = await client.get(f"/raise/{name}")
    assert (answer.status_code, document(answer)["code"]) == (status, code)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_an_absent_address_and_an_object_one_may_not_know_of_read_the_same(
    client: httpx.AsyncClient,
) -> None:
    absent, hidden = await client.get("/nowhere"), await client.get("/raise/not-found")
    for answer in (absent, hidden):
        assert answer.status_code == 404
    one, other = document(absent), document(hidden)
    assert {**one, "instance": "", "request_id": ""} == {**other, "instance": "", "request_id": ""}


async def test_a_gate_lists_what_is_missing(client: httpx.AsyncClient) -> None:
    assert document(await client.get("/raise/gate"))["missing"] == [
        {
            "code": "interpreter-missing",
            "subject_id": str(PARTY),
            "detail": "No confirmed interpreter for this party is in the room (ase).",
        },
        {
            "code": "contact-attempts-missing",
            "subject_id": str(PARTY),
            "detail": "Too few attempts to reach this party are recorded (2 of 3).",
        },
        {"code": "mediator-missing", "subject_id": None, "detail": "No mediator has accepted the case."},
    ]


async def test_a_rule_of_the_domain_points_at_its_field(client: httpx.AsyncClient) -> None:
    assert document(await client.get("/raise/invalid"))["errors"] == [
        {
            "in": "body",
            "pointer": "/people/0",
            "parameter": None,
            "code": "not-expected",
            "detail": "The same person twice.",
        }
    ]


async def test_the_log_of_a_failure_says_class_state_and_place_and_nothing_else(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = await client.get("/raise/integrity")
    (line,) = [json.loads(r.getMessage()) for r in caplog.records if r.name == problems.__name__]
    assert line.pop("frames")[-1].endswith(" fail")
    assert line == {
        "event": "failure",
        "error": "sqlalchemy.exc.IntegrityError",
        "sqlstate": "23505",
        "method": "GET",
        "route": "/v1/raise/{name}",
        "request_id": answer.headers["x-request-id"],
        "role": "public",
    }
    assert CANARY not in caplog.text


# --- invalid requests ---------------------------------------------------------------------------------------


def faults(answer: httpx.Response) -> list[tuple[object, object, object]]:
    assert answer.status_code == 422
    listed = document(answer)["errors"]
    assert isinstance(listed, list)
    found: list[tuple[object, object, object]] = []
    for each in listed:
        assert isinstance(each, dict)
        found.append((each["in"], each["parameter"] or each["pointer"], each["code"]))
    return found


async def test_all_fields_are_reported_at_once_by_pointer_and_rule(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/things",
        json={
            "person": {"name": f"{CANARY}\x00", "fault": CANARY},
            "people": [{"name": "Ana"}, {"name": 5}, {}],
            "pet": {"kind": "cat", "lives": CANARY},
            "apology": CANARY,
        },
    )
    assert sorted(faults(answer), key=str) == [
        ("body", "/apology", "unknown-field"),
        ("body", "/people/1/name", "wrong-type"),
        ("body", "/people/2/name", "missing"),
        ("body", "/person/fault", "unknown-field"),
        ("body", "/person/name", "control-character"),
        ("body", "/pet/lives", "wrong-type"),
    ]


async def test_parameters_are_reported_by_name(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/things/{CANARY}?limit={CANARY}&limt=5&{CANARY}%20x=1")
    assert faults(answer) == [
        ("path", "thing_id", "not-a-uuid"),
        ("query", "limit", "wrong-type"),
        ("query", "limt", "unknown-field"),
        ("query", None, "unknown-field"),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"person": {"name": "Ana", f"{CANARY} said": 1}}, "/person"),
        ({"person": {"name": "Ana", "x" * 65: 1}}, "/person"),
        ({"person": {"name": "Ana"}, "pet": {"kind": CANARY}}, "/pet"),
        ({"person": {"name": "Ana"}, "pet": {}}, "/pet"),
        ({"person": CANARY}, "/person"),
        ([CANARY], ""),
        (None, ""),
        (CANARY, ""),
    ],
)
async def test_what_the_caller_made_up_is_not_repeated(
    client: httpx.AsyncClient, body: JsonValue, pointer: str
) -> None:
    ((_, found, _),) = faults(await client.post("/things", json=body))
    assert (found or "") == pointer


async def test_a_missing_body_is_an_error_of_the_whole_document(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things")
    assert [error[2] for error in faults(answer)] == ["missing"]


SPANISH: Final = {"Accept-Language": "es-MX, en;q=0.5"}


async def test_details_are_in_the_language_of_the_title(client: httpx.AsyncClient) -> None:
    answer = await client.get("/raise/case-closed", headers=SPANISH)
    assert (answer.json()["title"], answer.json()["detail"]) == ("El caso está cerrado", "Este caso está cerrado.")
    assert (answer.headers["Content-Language"], answer.headers["Vary"]) == ("es", "Accept-Language")


async def test_the_details_of_fields_are_too_with_the_values_that_belong_in_them(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things", json={"person": {"name": "x" * 201}}, headers=SPANISH)
    assert {error["detail"] for error in answer.json()["errors"]} >= {"Como máximo 200 caracteres."}
    assert answer.json()["detail"] == "Algunos campos no cumplen una regla; vea la lista."
    broken = await client.post("/things", content='{"a": ', headers={**SPANISH, "Content-Type": "application/json"})
    (error,) = broken.json()["errors"]
    assert error["detail"] == broken.json()["detail"] == "El cuerpo no es JSON: vea la línea 1, columna 7."


async def test_missing_conditions_are_too_with_their_values(client: httpx.AsyncClient) -> None:
    answer = await client.get("/raise/gate", headers=SPANISH)
    assert [each["detail"] for each in answer.json()["missing"]] == [
        "No hay en la sala un intérprete confirmado para esta parte (ase).",
        "Constan muy pocos intentos de localizar a esta parte (2 de 3).",
        "Ningún mediador ha aceptado el caso.",
    ]


async def test_at_most_fifty_errors_are_listed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things", json={"person": {"name": "x"}, "people": [{}] * 99})
    assert len(faults(answer)) == 50


def test_no_sentence_of_pydantic_is_passed_on_but_those_of_our_own_rules() -> None:
    class Own(In):
        name: Line

    with pytest.raises(ValidationError) as caught:
        Own.model_validate({"name": "\n"})
    (error,) = caught.value.errors()
    request = Request({"type": "http", "app": APP, "headers": []})
    named = {**error, "loc": ("body", "name")}
    told = problems._broken_rule(named, {"name": "\n"}).localized(request).detail
    assert told == "Control characters are not allowed here."
    unknown = {"type": "value_error", "loc": ("body", "name"), "msg": f"Value error, {CANARY}"}
    assert problems._broken_rule(unknown, {"name": CANARY}).localized(request).code == "invalid"
    assert CANARY not in problems._broken_rule(unknown, {"name": CANARY}).localized(request).detail
    assert rule_broken("blank", "A sentence.").type == "rule:blank"


# --- methods ------------------------------------------------------------------------------------------------


async def test_a_refused_method_learns_all_methods_of_the_path(client: httpx.AsyncClient) -> None:
    for path, allowed in {"/things": "DELETE, OPTIONS, POST", f"/things/{PARTY}": "GET, HEAD, OPTIONS"}.items():
        answer = await client.put(path)
        assert answer.status_code == 405
        assert document(answer)["code"] == "method-not-allowed"
        assert answer.headers["allow"] == allowed
        asked = await client.options(path)
        assert (asked.status_code, asked.headers["allow"], asked.content) == (204, allowed, b"")
    assert (await client.options("/nowhere")).status_code == 404


async def test_a_trailing_slash_is_another_address(client: httpx.AsyncClient) -> None:
    assert (await client.post("/things/", json={})).status_code == 404


# --- handlers of a foreign exception ------------------------------------------------------------------------


@pytest.mark.parametrize("handler", list(problems.HANDLERS.values()))
def test_a_handler_passes_on_what_is_not_its_own(handler: object) -> None:
    request = Request({"type": "http", "headers": [], "state": {}})
    assert callable(handler)
    with pytest.raises(KeyError):
        asyncio.run(handler(request, KeyError()))


async def test_unreadable_json_is_400_on_an_ordinary_route_too() -> None:
    request = Request({"type": "http", "headers": [], "state": {}, "app": APP})
    error = RequestValidationError([{"type": "json_invalid", "loc": ("body", 1), "msg": CANARY}], body=CANARY)
    answer = await problems.on_invalid(request, error)
    assert answer.status_code == 400
    assert CANARY.encode() not in answer.body


# --- the contract -------------------------------------------------------------------------------------------


def test_every_operation_documents_what_it_may_answer() -> None:
    contract = APP.openapi()
    assert APP.openapi() == contract  # however often it is asked
    whole = written_out(contract)
    answers = {(method, path): {*node(each["responses"])} for method, path, each in operations(whole)}
    anywhere = {"401", "403", "406", "429", "500", "503"}
    written = {"400", "408", "413", "415"}
    assert answers == {
        ("get", "/v1/raise/{name}"): anywhere | {"200", "304", "404", "422"},
        ("get", "/v1/things/{thing_id}"): anywhere | {"200", "304", "404", "422"},
        ("post", "/v1/things"): anywhere | written | {"200", "403", "409", "422"},
        ("delete", "/v1/things"): anywhere | written | {"200"},
    }
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    shared = contract["components"]["responses"]
    assert {name for name, answer in shared.items() if answer.get("content") != problem} == {"Unchanged"}
    for item in contract["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                assert (status == "200") != (answer.get("$ref", "").rpartition("/")[2] in shared)
    schemas = contract["components"]["schemas"]
    assert {"Problem", "FieldError", "MissingCondition"} <= set(schemas)
    assert "HTTPValidationError" not in schemas
    assert set(schemas["Problem"]["required"]) == set(schemas["Problem"]["properties"])
    assert "in" in schemas["FieldError"]["properties"]
