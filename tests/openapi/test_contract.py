"""The contract that is committed is the contract that is served."""

import json
import re
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from mediation_api.domain.access import ACCESS, SCOPES, Role
from mediation_api.routers.answers import operation_id

CONTRACT: Final = Path("openapi/mediation-api.v1.json")


def committed() -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    contract: dict[str, dict[str, dict[str, dict[str, object]]]] = json.loads(CONTRACT.read_text(encoding="utf-8"))
    return contract


def test_the_committed_document_is_the_applications(app: FastAPI) -> None:
    assert app.openapi() == committed(), "review the difference, then `make openapi`"


def test_every_route_is_an_operation_and_every_operation_a_route(app: FastAPI) -> None:
    routes = {
        (method, context.path_format)
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
        if context.path_format and context.path_format.startswith(("/v1", "/health", "/problems"))
    }
    operations = {(method.upper(), path) for path, item in committed()["paths"].items() for method in item}
    assert len(routes) >= 60
    assert routes == operations


def test_what_the_public_may_call_needs_no_token_and_everything_else_does() -> None:
    for path, item in committed()["paths"].items():
        for operation in item.values():
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", str(operation["operationId"])).lower()
            public = Role.PUBLIC in ACCESS[name]
            security = operation["security"]
            assert isinstance(security, list)
            assert public == (security == [] or {} in security), path


def test_the_scopes_of_the_contract_are_those_that_are_enforced() -> None:
    stated = {}
    for item in committed()["paths"].values():
        for operation in item.values():
            security = operation["security"]
            assert isinstance(security, list)
            ways = [way["Bearer"] for way in security if way]
            assert len(ways) <= 1
            if ways:
                (stated[operation["operationId"]],) = ways[0]
    assert stated == {operation_id(name): scope for name, scope in SCOPES.items()}


def test_every_request_schema_is_closed() -> None:
    schemas: dict[str, dict[str, object]] = json.loads(CONTRACT.read_text(encoding="utf-8"))["components"]["schemas"]
    requests = {name for name in schemas if name.endswith(("In", "Patch"))}
    assert requests
    assert {name for name in requests if schemas[name].get("additionalProperties") is not False} == set()
