"""What the contract says of answers that no route declares: problems, entity tags, and headers that are demanded."""

import json
from typing import Final

from fastapi import FastAPI

from mediation_api.domain.access import SCOPES
from mediation_api.routers.contract import describe
from mediation_api.routers.limits import NEVER_REFUSED
from mediation_api.routers.problems import HTTP, MEDIA_TYPE, RETRY_AFTER_SECONDS, Problem


def operation_id(name: str) -> str:
    """The name of a route's function as the contract writes it: in camel case."""
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def responses(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Document these statuses of an operation as problem documents.

    Only those that the operation's own rules give (409, …) are needed: `document` adds the rest.
    """
    return {status: _response(status) for status in statuses}


def document(app: FastAPI) -> None:
    """Let the application's contract say what every operation may answer besides its own statuses.

    304 to a GET, 400, 413 and 415 where there is a body, 401 and 403 where there is a token, 404 where the path
    names an object, 422 where there is anything to validate, 406 and 429 but to what is never refused, 500 and 503
    everywhere.
    """
    generate = app.openapi

    def openapi() -> dict[str, object]:
        contract: dict[str, object] = generate()
        schemas = _child(_child(contract, "components"), "schemas")
        if "Problem" not in schemas:
            for path, item in _child(contract, "paths").items():
                if isinstance(item, dict) and isinstance(item.get("get"), dict):
                    # routers/retries.py answers every conditional GET.
                    _child(_child(item["get"], "responses"), "304").update(_UNCHANGED)
                for operation in _operations(item):
                    _complete(operation, names_object="{" in path)
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            own = Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
            schemas.update(own.pop("$defs"))
            schemas["Problem"] = own
            contract["components"] = {
                **_child(contract, "components"),
                "schemas": dict(sorted(schemas.items())),
            }
            describe(contract)
        return contract

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents


_ENTITY_TAG: Final = {
    "description": "The representation's entity tag, for `If-Match` and `If-None-Match`.",
    "schema": {"type": "string"},
    "example": '"9f86d081884c7d659a2feaa0c55ad015"',
}
_NEXT_PAGE: Final = {
    "description": "The next page, with `rel` `next`; left out on the last one, as `next_cursor` is null there.",
    "schema": {"type": "string"},
    "example": '</v1/cases?state=ready&limit=25&cursor=Zm9yIGV4YW1wbGU>; rel="next"',
}
_SCOPES: Final = {operation_id(name): scope for name, scope in SCOPES.items()}
_UNCHANGED: Final = {"description": "What `If-None-Match` names is still what it was."}


def _response(status: int) -> dict[str, object]:
    code, detail = HTTP.get(status, ("", "The rules refuse this; `code` tells which."))
    headers = {
        401: {"WWW-Authenticate": "Bearer"},
        429: {"Retry-After": "30"},
        503: {"Retry-After": str(RETRY_AFTER_SECONDS)},
    }.get(status, {})
    described: dict[str, object] = {
        "description": f"`{code}`: {detail}" if code else detail,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if headers:
        described["headers"] = {
            name: {"schema": {"type": "string"}, "example": example} for name, example in headers.items()
        }
    return described


def _child(parent: dict[str, object], name: str) -> dict[str, object]:
    child = parent.setdefault(name, {})
    if not isinstance(child, dict):
        raise TypeError(f"{name} of the contract is not an object")
    return child


def _listed(parent: dict[str, object], name: str) -> list[dict[str, object]]:
    children = parent.get(name, [])
    return [child for child in children if isinstance(child, dict)] if isinstance(children, list) else []


def _operations(item: object) -> list[dict[str, object]]:
    return [part for part in item.values() if isinstance(part, dict)] if isinstance(item, dict) else []


def _complete(operation: dict[str, object], *, names_object: bool) -> None:
    known = _child(operation, "responses")
    statuses = {500, 503} if operation["operationId"] in NEVER_REFUSED else {406, 429, 500, 503}
    statuses |= _of_headers(operation)
    _complete_query(operation)
    if "requestBody" in operation:
        statuses |= {400, 413, 415}
    if operation.get("security"):
        statuses |= {401, 403}
        _name_scope(operation)
    if names_object:
        statuses.add(404)
    if "requestBody" in operation or operation.get("parameters"):
        statuses.add(422)
        if "HTTPValidationError" in json.dumps(known.get("422", {})):
            del known["422"]
    for status in statuses:
        known.setdefault(str(status), _response(status))
    for success in known.keys() & {"200", "201"}:
        if "application/json" in _child(_child(known, success), "content"):
            _child(_child(known, success), "headers")["ETag"] = _ENTITY_TAG
    operation["responses"] = dict(sorted(known.items()))


def _complete_query(operation: dict[str, object]) -> None:
    """Say of a parameter that may be left out what it is: a query carries no null. Of a page, where the next one is."""
    query = [parameter for parameter in _listed(operation, "parameters") if parameter["in"] == "query"]
    for parameter in query:
        schema = _child(parameter, "schema")
        kinds = [kind for kind in _listed(schema, "anyOf") if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])
    if any(parameter["name"] == "cursor" for parameter in query):
        _child(_child(_child(operation, "responses"), "200"), "headers")["Link"] = _NEXT_PAGE


def _name_scope(operation: dict[str, object]) -> None:
    """Say which scope a token needs that is limited to scopes. OpenAPI 3.1 takes one beside any kind of security."""
    scope = _SCOPES.get(str(operation["operationId"]))
    for way in _listed(operation, "security"):
        way.update({scheme: [] if scope is None else [scope] for scheme in way})


def _of_headers(operation: dict[str, object]) -> set[int]:
    """Mark the headers that an operation demands, and give the statuses of their absence.

    Each has a status of its own, so that the framework must not know that they are required.
    """
    statuses: set[int] = set()
    for parameter in _listed(operation, "parameters"):
        own = {"Idempotency-Key": {400}, "If-Match": {412, 428}}.get(str(parameter["name"]))
        if own is not None:
            statuses |= own
            parameter["required"] = True
    return statuses
