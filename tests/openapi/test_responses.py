"""Every status that an operation documents for reasons of its own kind, provoked over all operations.

What the rules of mediation refuse (409) is provoked where they are tested, but for what no story meets. conftest.py
looks at the end of a whole run whether every documented status of every operation was seen.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.openapi.test_contract import committed
from tests.routers.test_access import caller, filled_in, operations

from mediation_api.contract.headers import HEADERS
from mediation_api.database.engine import Database, Pool
from mediation_api.dev.office import NO_CONFLICT, Caller, Office
from mediation_api.domain.access import Actor, Role
from mediation_api.http import json_lines
from mediation_api.http.cors import EXPOSED
from mediation_api.http.middleware import BodyLimit
from mediation_api.http.rate_limits import Limiter
from mediation_api.main import OPERATIONS


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, and how it is called so that nothing is wrong but what a test puts wrong."""

    name: str
    method: str
    path: str
    role: Role
    statuses: frozenset[str]
    body: object
    media_type: str
    query: frozenset[str]

    @property
    def address(self) -> str:
        """The path with ids of what does not exist."""
        return filled_in(self.path)


def every(app: FastAPI, status: str) -> list[Operation]:
    """The operations that document a status."""
    documented = {each["operationId"]: each for item in committed()["paths"].values() for each in item.values()}
    found = []
    for name, method, path in operations(app):
        described = documented[name]
        role = next(iter(sorted(OPERATIONS[name].access, key=[*Role].index)))
        body, media_type = _examples(described)
        parameters = described.get("parameters", [])
        assert isinstance(parameters, list)
        query = frozenset(each["name"] for each in parameters if each["in"] == "query")
        responses = described["responses"]
        assert isinstance(responses, dict)
        found.append(Operation(name, method, path, role, frozenset(responses), body, media_type, query))
    return [each for each in found if status in each.statuses]


def _examples(described: dict[str, object]) -> tuple[object, str]:
    """A body as somebody sent it, None where there is none or it is not JSON; and its media type."""
    body = described.get("requestBody")
    if body is None:
        return None, "application/json"
    ((media_type, content),) = body["content"].items()  # type: ignore[index]
    if media_type != "application/json":
        return None, media_type
    return next(iter(content["examples"].values()))["value"], media_type


async def everybody(office: Office) -> Mapping[Role, Caller]:
    """Somebody of each role, who stands in no relation to what is asked for."""
    return {role: await caller(role, office) for role in Role}


async def called(who: Caller, operation: Operation, **changes: object) -> httpx.Response:
    """Call rightly, but for the changes."""
    headers = {"Idempotency-Key": str(uuid4()), "If-Match": "*"}
    if who.token is not None:
        headers["Authorization"] = f"Bearer {who.token}"
    if operation.media_type != "application/json":
        headers["Content-Type"] = operation.media_type
    given = changes.pop("headers", {})
    assert isinstance(given, dict)
    options = {"url": operation.address, "json": operation.body, **changes}
    return await who.client.request(operation.method, headers=headers | given, **options)  # type: ignore[arg-type]


async def test_what_does_not_exist_is_not_found(app: FastAPI, office: Office) -> None:
    somebody = await everybody(office)
    for operation in every(app, "404"):
        response = await called(somebody[operation.role], operation)
        assert response.status_code == 404, f"{operation.name}: {response.text}"


async def test_what_cannot_be_read_is_refused(app: FastAPI, office: Office) -> None:
    somebody = await everybody(office)
    for operation in every(app, "400"):
        who = somebody[operation.role]
        told = {"json": None, "headers": {"Content-Type": "application/json"}}
        response = await called(who, operation, content=b"{", **told)
        assert response.status_code == 400, f"{operation.name}: {response.text}"


async def test_what_is_not_json_is_refused(app: FastAPI, office: Office) -> None:
    somebody = await everybody(office)
    for operation in every(app, "415"):
        told = {"json": None, "headers": {"Content-Type": "text/plain"}}
        response = await called(somebody[operation.role], operation, content=b"{}", **told)
        assert response.status_code == 415, f"{operation.name}: {response.text}"


async def test_what_is_announced_too_large_is_refused(app: FastAPI, office: Office) -> None:
    somebody = await everybody(office)
    for operation in every(app, "413"):
        told = {"json": None, "headers": {"Content-Length": "10000000000"}}
        response = await called(somebody[operation.role], operation, **told)
        assert response.status_code == 413, f"{operation.name}: {response.text}"


async def test_what_does_not_arrive_is_given_up(app: FastAPI, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    await office.public.get("/health/live")  # only then the layers are there
    layer: object = app.middleware_stack
    while not isinstance(layer, BodyLimit):
        layer = getattr(layer, "app")  # noqa: B009 - the layers have no type in common
    monkeypatch.setattr(layer, "seconds", 0.001)
    monkeypatch.setattr(json_lines, "UPLOAD_SECONDS", 0.001)
    somebody = await everybody(office)
    for operation in every(app, "408"):
        told = {"json": None, "headers": {"Content-Type": operation.media_type}}
        response = await called(somebody[operation.role], operation, content=trickle(), **told)
        assert response.status_code == 408, f"{operation.name}: {response.text}"


async def test_what_breaks_a_rule_of_its_shape_is_refused(app: FastAPI, office: Office) -> None:
    somebody = await everybody(office)
    for operation in every(app, "422"):
        who = somebody[operation.role]
        if "{" in operation.path:
            response = await called(who, operation, url=replaced(operation.path, "~"))
        elif operation.query:
            response = await called(who, operation, url=f"{operation.address}?no_such_filter=1")
        elif operation.method == "GET":
            response = await called(who, operation, headers={"Access-Purpose": "no_such_purpose"})
        else:
            response = await called(who, operation, json={"no_such_field": 1})
        assert response.status_code == 422, f"{operation.name}: {response.text}"


async def test_a_correction_that_has_seen_nothing_is_refused(app: FastAPI, office: Office) -> None:
    somebody = await everybody(office)
    for operation in every(app, "428"):
        who = somebody[operation.role]
        headers = {"Authorization": f"Bearer {who.token}"}
        request = office.client.build_request(operation.method, operation.address, headers=headers, json=operation.body)
        response = await office.client.send(request)
        assert response.status_code == 428, f"{operation.name}: {response.text}"


async def test_what_is_on_file_once_is_not_put_there_twice(office: Office) -> None:
    first, second = await office.mediator(), await office.mediator()
    taken = (await office.coordinator.get(f"/v1/mediators/{first.mediator_id}"))["subject"]
    answer = await office.coordinator.patch(f"/v1/mediators/{second.mediator_id}", {"subject": taken}, 409)
    assert answer["code"] == "subject-taken"
    story = await office.file(officers=[{"employee_number": "4711"}, {"employee_number": "4712"}])
    other = story.officers[1].party_id
    answer = await office.intake.patch(f"/v1/parties/{other}", {"employee_number": "4711"}, 409)
    assert answer["code"] == "party-already-listed"


async def test_what_has_been_answered_and_what_is_over_is_not_answered_again(office: Office) -> None:
    story = await (await office.file()).to_ready()
    mediator = await story.assign()
    assignment = (await story.case())["assignment"]
    assert isinstance(assignment, dict)
    for verb, body in (("accept", NO_CONFLICT), ("decline", None)):
        await mediator.post(f"/v1/assignments/{assignment['id']}/{verb}", body, 409)
    friend = {"role": "support_person", "name": "Ines Alvarez", "for_party_id": story.complainants[0].party_id}
    expected = await office.intake.post(f"{story.path}/attendees", friend)
    await story.withdraw(story.complainants[0])
    answer = await office.intake.post(f"/v1/attendees/{expected['id']}/confirm", None, 409)
    assert answer["code"] == "case-closed"


BROKEN: Mapping[str, dict[str, object]] = {
    "a body that is no JSON": {"content": b"{", "headers": {"Content-Type": "application/json"}},
    "another media type": {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
    "a size over the limit": {"content": b"{}", "headers": {"Content-Length": "10000000000"}},
    "what breaks the shape": {"json": {"no_such_field": 1}},
    "an Accept that admits nothing": {"json": {}, "headers": {"Accept": "image/png"}},
    "a parameter twice": {"json": {}, "params": [("q", "1"), ("q", "2")]},
    "an id that is none": {"json": {}, "url": "~"},
}
"""What is refused, whoever sends it."""


@pytest.mark.drawn
@pytest.mark.parametrize("broken", BROKEN)
async def test_who_is_calling_is_known_before_anything_else_is_looked_at(
    app: FastAPI, office: Office, broken: str
) -> None:
    """A stranger, a wrong role and a used-up quota are refused for that, and counted, whatever else is wrong."""
    somebody = await everybody(office)
    service = app.state.service
    nobody = Caller(office, given="a.b.c")
    counted = 0
    for operation in every(app, "401"):
        access = OPERATIONS[operation.name].access
        others = [role for role in Role if role not in access and role is not Role.PUBLIC]
        expected = [(nobody, "unauthenticated"), *((somebody[role], "not-permitted") for role in others[:1])]
        if Role.PUBLIC not in access:
            expected.append((office.public, "unauthenticated"))
        if not OPERATIONS[operation.name].always_answered:
            expected.append((somebody[operation.role], "quota-exceeded"))
        for who, code in expected:
            exceeded = code == "quota-exceeded"
            limiter = Limiter(0 if exceeded else 1)
            app.state.service = replace(service, limiter=limiter)
            changes = {"json": None, **BROKEN[broken]}
            if "url" in changes:
                changes["url"] = replaced(operation.path, "~")
            response = await called(who, operation, **changes)
            assert response.json()["code"] == code, f"{operation.name}: {response.text}"
            assert len(limiter) == 1, f"{operation.name} is not counted"
            assert "ratelimit" in response.headers, operation.name
            counted += 1
    assert counted > 3 * len(every(app, "401"))


async def test_who_is_nobody_learns_nothing(app: FastAPI, office: Office) -> None:
    for operation in every(app, "401"):
        response = await called(Caller(office, given="a.b.c"), operation)
        assert response.status_code == 401, f"{operation.name}: {response.text}"


async def test_a_quota_that_is_used_up_is_said(app: FastAPI, office: Office) -> None:
    somebody = await everybody(office)
    app.state.service = replace(app.state.service, limiter=Limiter(0))
    for operation in every(app, "429"):
        response = await called(somebody[operation.role], operation)
        assert response.status_code == 429, f"{operation.name}: {response.text}"


async def test_a_fault_of_ours_is_an_error_of_the_server(app: FastAPI, office: Office) -> None:
    def broken() -> datetime:
        raise RuntimeError("planted")

    somebody = await everybody(office)
    app.state.service = replace(app.state.service, clock=broken)
    for operation in every(app, "500"):
        response = await called(somebody[operation.role], operation)
        assert response.status_code == 500, f"{operation.name}: {response.text}"


class Away(Database):
    """A database that nobody reaches."""

    @asynccontextmanager
    async def transaction(
        self, pool: Pool = Pool.OFFICE, *, caller: str | None = None
    ) -> AsyncIterator[AsyncConnection]:
        yield self._fail((pool, caller))

    @asynccontextmanager
    async def reading(self, pool: Pool = Pool.OFFICE, *, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        yield self._fail((pool, caller))

    @asynccontextmanager
    async def as_party(self, party: Actor, *, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        yield self._fail((party, caller))

    @staticmethod
    def _fail(_wanted: object) -> NoReturn:
        raise ConnectionRefusedError


async def test_a_database_that_is_away_is_said_by_all_that_need_it_and_by_nobody_else(
    app: FastAPI, office: Office, engine: AsyncEngine
) -> None:
    somebody = await everybody(office)
    app.state.service = replace(app.state.service, database=Away(engine, engine))
    for operation in every(app, "500"):
        response = await called(somebody[operation.role], operation)
        needs_it = "503" in operation.statuses and operation.name != "getDisclosureForm"  # whose printer may be busy
        assert (response.status_code == 503) == needs_it, f"{operation.name}: {response.text}"


def test_a_page_elsewhere_may_read_every_header_that_is_documented() -> None:
    assert {*HEADERS} == {*EXPOSED} - {"Allow"}


def replaced(path: str, value: str) -> str:
    """The path with `value` for each of its parameters."""
    return re.sub(r"{\w+}", value, path)
