"""What every operation declares of who may call it holds over HTTP."""

import re
from typing import Final, TypeAlias
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from mediation_api.auth.tokens import CITY_ROLES
from mediation_api.dev.office import Caller, Office
from mediation_api.domain.access import TOKEN_SCOPES, Role
from mediation_api.http.routes import declared
from mediation_api.main import OPERATIONS

NOTHING: Final = UUID("00000000-0000-4000-8000-000000000000")
DOCUMENTATION = {"/openapi.json", "/docs", "/docs/{name}"}


Operations: TypeAlias = "list[tuple[str, str, str]]"

pytestmark = pytest.mark.usefixtures("undone")


def operations(app: FastAPI) -> Operations:
    """Id, method and path of each operation; one entry for each route."""
    found = []
    for context in iter_route_contexts(app.routes):
        if context.path_format in DOCUMENTATION:
            continue
        assert isinstance(context.original_route, APIRoute), f"{context.path_format} is no operation"
        assert context.methods is not None
        (method,) = context.methods
        operation = declared(context.original_route.endpoint)
        assert operation is not None
        found.append((operation.id, method, str(context.path_format)))
    return found


@pytest.fixture(scope="module")
def all_operations(module_app: FastAPI) -> Operations:
    """Those of the application."""
    return operations(module_app)


def test_routes_and_operations_are_one_to_one(all_operations: Operations) -> None:
    assert [name for name, _, _ in all_operations] == list(OPERATIONS)


def test_nothing_but_the_documentation_stands_outside_the_contract(module_app: FastAPI) -> None:
    contexts = iter_route_contexts(module_app.routes)
    outside = {str(context.path_format) for context in contexts if not getattr(context, "include_in_schema", True)}
    assert outside == DOCUMENTATION


def test_each_operation_has_an_address_of_its_own(all_operations: Operations) -> None:
    addresses = [(method, path) for _, method, path in all_operations]
    assert len(addresses) == len(set(addresses))


async def caller(role: Role, office: Office) -> Caller:
    """Somebody of this role, who stands in no relation to what is asked for."""
    if role is Role.PUBLIC:
        return office.public
    if role is Role.COMPLAINANT:
        return (await office.file()).complainants[0]
    return office.caller(role, f"{role}.nobody", "no-such-number" if role is Role.OFFICER else None)


def test_every_role_is_tried() -> None:
    assert {*CITY_ROLES, Role.PUBLIC, Role.COMPLAINANT} == set(Role)


def filled_in(path: str) -> str:
    """The path with an id, a hash or a code of something that does not exist."""
    other = {"sha256": "f" * 64, "code": "no-such-code", "token": f"{'A' * 32}.ics"}
    return re.sub(r"{(\w+)}", lambda found: other.get(found[1], str(NOTHING)), path)


@pytest.mark.parametrize("role", list(Role))
async def test_every_cell_of_the_table_holds(role: Role, module_office: Office, all_operations: Operations) -> None:
    """Without a row a role is refused before its request is looked at; with one, it is not refused for its role."""
    somebody = await caller(role, module_office)
    for operation, method, path in all_operations:
        response = await somebody.send(method, filled_in(path), None if method == "GET" else {})
        said = f"{role} {operation}: {response.status_code}"
        if role in OPERATIONS[operation].access:
            assert response.status_code not in {401, 403}, said
            assert response.status_code < 500, said
        elif role is Role.PUBLIC:
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated"), said
            assert response.headers["WWW-Authenticate"] == "Bearer"
        else:
            assert (response.status_code, response.json()["code"]) == (403, "not-permitted"), said


@pytest.mark.parametrize("operation", [name for name, each in OPERATIONS.items() if each.oauth_scope is not None])
async def test_a_token_without_the_scope_of_an_operation_is_refused(
    operation: str, module_office: Office, all_operations: Operations
) -> None:
    """With the one scope it is let through; with all the others it is told which is missing."""
    role = next(role for role in CITY_ROLES if role in OPERATIONS[operation].access)
    scope = OPERATIONS[operation].oauth_scope
    (method, path) = next((method, path) for name, method, path in all_operations if name == operation)

    async def sent(scopes: str) -> httpx.Response:
        limited = module_office.caller(
            role, f"{role}.nobody", "no-such-number" if role is Role.OFFICER else None, scopes
        )
        return await limited.send(method, filled_in(path), None if method == "GET" else {})

    assert (await sent(f"openid {scope}")).status_code not in {401, 403}
    refused = await sent(" ".join({"openid", *TOKEN_SCOPES} - {scope}))
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient-scope")
    assert refused.headers["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'


async def test_an_unknown_scope_of_this_service_is_refused_everywhere(
    module_office: Office, all_operations: Operations
) -> None:
    """Before anything is looked at, where the public may call as well."""
    scopes = " ".join({"complaints:delete", *TOKEN_SCOPES})
    for role in (Role.DIRECTOR, Role.INTEGRATION):
        bearer = module_office.caller(role, f"{role}.nobody", scope=scopes)
        for operation, method, path in all_operations:
            response = await bearer.send(method, filled_in(path), None if method == "GET" else {})
            refused = (response.status_code, response.json()["code"])
            assert refused == (403, "unknown-scope"), f"{role} {operation}: {refused}"


async def test_a_token_that_proves_nothing_opens_nothing(module_office: Office, all_operations: Operations) -> None:
    """Not even what the public may do: whoever shows a token is held to it."""
    forged = Caller(module_office, given="a.b.c")
    for operation, method, path in all_operations:
        response = await forged.send(method, filled_in(path), None if method == "GET" else {})
        assert response.status_code == 401, f"{operation}: {response.status_code}"
