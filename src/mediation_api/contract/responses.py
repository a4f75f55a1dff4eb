"""The responses that no route declares: problems, 304, and headers."""

import json
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI

from mediation_api.contract.headers import HEADERS, carried, references
from mediation_api.contract.operations import describe
from mediation_api.contract.security_schemes import SCHEMES, security_of
from mediation_api.http.problems import HTTP, MEDIA_TYPE, Problem
from mediation_api.http.routes import Operation


def responses(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Document these statuses of an operation as problems, for a route's `responses`.

    Only statuses of the operation's own rules (409, …) are needed: `describe_responses` adds the rest.
    """
    return {status: _response(status) for status in statuses}


def describe_responses(app: FastAPI, operations: Mapping[str, Operation]) -> None:
    """Add to the application's contract what every operation may answer besides its own statuses.

    304 for GET; 401, 403 and 500 everywhere; 400, 408, 413 and 415 where a body is read; 404 where the path names an
    object; 422 where there is anything to validate; 406 and 429 unless `always_answered`; 503 where the database is
    used. Also the headers of each response, and the security schemes of each operation.
    """
    generate = app.openapi

    def openapi() -> dict[str, object]:
        contract: dict[str, object] = generate()
        schemas = _child(_child(contract, "components"), "schemas")
        if "Problem" not in schemas:
            shared: dict[str, object] = {}
            for path, item in _child(contract, "paths").items():
                if isinstance(item, dict) and isinstance(item.get("get"), dict):
                    # http/idempotency.py answers every conditional GET.
                    _child(_child(item["get"], "responses"), "304").update(_UNCHANGED)
                for method, described in _operations(item):
                    operation = operations[str(described["operationId"])]
                    _complete(described, operation, names_object="{" in path, has_body=method != "get")
                    _share(described, shared)
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            own = Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
            schemas.update(own.pop("$defs"))
            schemas["Problem"] = own
            contract["components"] = {
                **_child(contract, "components"),
                "schemas": dict(sorted(schemas.items())),
                "responses": dict(sorted(shared.items())),
                "headers": _headers(contract["paths"], shared),
                "securitySchemes": {name: scheme.documented() for name, scheme in SCHEMES.items()},
            }
            describe(contract, operations)
        return contract

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it


_SHARED: Final = {
    304: "Unchanged",
    409: "StateConflict",
    **{status: "".join(word.title() for word in code.split("-")) for status, (code, _) in HTTP.items()},
}
"""The names of the shared responses, from the codes of their problems."""
_UNCHANGED: Final = {"description": "The representation that `If-None-Match` names is current."}


def _response(status: int) -> dict[str, object]:
    code, detail = HTTP.get(status, ("", "A rule refuses this; `code` names it."))
    return {
        "description": f"`{code}`: {detail}" if code else detail,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _child(parent: dict[str, object], name: str) -> dict[str, object]:
    child = parent.setdefault(name, {})
    if not isinstance(child, dict):
        raise TypeError(f"{name} of the contract is not an object")
    return child


def _listed(parent: dict[str, object], name: str) -> list[dict[str, object]]:
    children = parent.get(name, [])
    return [child for child in children if isinstance(child, dict)] if isinstance(children, list) else []


def _operations(item: object) -> list[tuple[str, dict[str, object]]]:
    return [(name, part) for name, part in item.items() if isinstance(part, dict)] if isinstance(item, dict) else []


def _complete(described: dict[str, object], operation: Operation, *, names_object: bool, has_body: bool) -> None:
    known = _child(described, "responses")
    _complete_query(described)
    described["security"] = security_of(operation)
    statuses = _header_statuses(described)
    statuses |= _common_statuses(described, operation, names_object=names_object, has_body=has_body)
    if "HTTPValidationError" in json.dumps(known.get("422", {})):
        del known["422"]
    for code in statuses:
        known.setdefault(str(code), _response(code))
    takes = frozenset(str(parameter["name"]) for parameter in _listed(described, "parameters"))
    for status, answer in known.items():
        if isinstance(answer, dict):
            names = carried(operation, status, takes, has_content="content" in answer)
            answer["headers"] = references(names)
    described["responses"] = dict(sorted(known.items()))


def _share(operation: dict[str, object], shared: dict[str, object]) -> None:
    """Move the responses that operations share to `components/responses`: each problem has one form, a 304 two."""
    answers = _child(operation, "responses")
    for status, answer in answers.items():
        if not status.startswith("2") and isinstance(answer, dict):
            name = _SHARED[int(status)] + ("Page" if status == "304" and "Link" in answer["headers"] else "")
            if shared.setdefault(name, answer) != answer:
                raise ValueError(f"{operation['operationId']} has a {status} of its own")
            answers[status] = {"$ref": f"#/components/responses/{name}"}


def _headers(*answers: object) -> dict[str, object]:
    """Return the headers that some response refers to; the linter rejects unused components."""
    text = json.dumps(answers)
    return {name: header.documented() for name, header in HEADERS.items() if f'"#/components/headers/{name}"' in text}


def _common_statuses(
    described: dict[str, object], operation: Operation, *, names_object: bool, has_body: bool
) -> set[int]:
    """Return the statuses that follow from what an operation takes and uses."""
    conditions = {
        # A token is checked even where an operation needs none.
        frozenset({401, 403, 500}): True,
        frozenset({400, 408, 413, 415}): has_body,
        frozenset({404}): names_object,
        frozenset({406, 429}): not operation.always_answered,
        frozenset({422}): "requestBody" in described or bool(described.get("parameters")),
        frozenset({503}): operation.uses_database,
    }
    return {status for statuses, applies in conditions.items() if applies for status in statuses}


def _complete_query(operation: dict[str, object]) -> None:
    """Drop `null` from the types of optional query parameters: a query cannot carry null."""
    for parameter in _listed(operation, "parameters"):
        if parameter["in"] != "query":
            continue
        schema = _child(parameter, "schema")
        kinds = [kind for kind in _listed(schema, "anyOf") if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])


def _header_statuses(operation: dict[str, object]) -> set[int]:
    """Mark the required headers of an operation, and return the statuses of a request without them.

    FastAPI must not know that they are required, because it would answer 422 instead of these statuses.
    """
    statuses: set[int] = set()
    for parameter in _listed(operation, "parameters"):
        own = {"Idempotency-Key": {400}, "If-Match": {412, 428}}.get(str(parameter["name"]))
        if own is not None:
            statuses |= own
            parameter["required"] = True
    return statuses
