"""The responses that no route declares: problems, 304, and headers."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from fastapi import FastAPI

from mediation_api.contract.callers import in_words
from mediation_api.contract.components import share
from mediation_api.contract.headers import EVERYWHERE, HEADERS, of_problem, of_success, references, request_headers
from mediation_api.contract.nodes import JSON, Node, child, listed, made, models, node, operations, referenced_name
from mediation_api.contract.operations import describe
from mediation_api.contract.security_schemes import SCHEMES, security_of
from mediation_api.http.problem_catalogue import CATALOGUE
from mediation_api.http.problems import FIELD_CODES, HTTP, MEDIA_TYPE, Problem
from mediation_api.http.routes import Operation
from mediation_api.outreach.documents import PDF

STATUSES: Final = "x-problem-statuses"
"""Under this name, the `default` response of an operation lists the statuses that it stands for, as its name does."""

CODES: Final = "x-problem-codes"
"""Under this name, an operation lists the codes of its 409, and those of fields in its 422, by status."""
CONFLICT: Final = 409


_OR_CSV: Final = " For the office also as `text/csv`."
"""Said in the description: with two media types in `content`, a generated client would not know which one it gets."""


def responses(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Document these statuses of an operation as problems, for a route's `responses`.

    Only statuses of the operation's own rules (409, …) are needed: `describe_responses` adds the rest.
    """
    return {status: _problem(HTTP.get(status, ("", "A rule refuses this; `code` names it."))) for status in statuses}


def describe_responses(app: FastAPI, operations_by_id: Mapping[str, Operation]) -> None:
    """Add to the application's contract what every operation may answer besides its own statuses.

    304 for GET; 404 where the path names an object; 412 and 428 for a correction; 422 where there is anything to
    validate. As `default`, which lists its statuses: 401, 403 and 500 everywhere; 400, 408, 413 and 415 where a body is
    read; 406 and 429 unless `always_answered`; 503 where the database is used or a document is made. Also the headers
    of each response, and the security schemes of each operation.
    """
    generate = app.openapi

    def openapi() -> dict[str, object]:
        contract: dict[str, object] = generate()
        components = made(contract, "components")
        if "responses" not in components:
            shared = dict(_SHARED)
            for method, path, described in operations(contract):
                operation = operations_by_id[str(described["operationId"])]
                _complete(described, operation, models(contract), shared, method=method, names_object="{" in path)
            for webhook in map(node, child(contract, "webhooks").values()):
                posted = child(webhook, "post")
                posted["security"] = []  # it is signed
                child(posted, "responses").pop("422")  # what is answered is for the receiver to say
            schemas = made(components, "schemas")
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            own = Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
            schemas.update(own.pop("$defs"))
            schemas["Problem"] = own
            components["responses"] = _used(dict(sorted(shared.items())), "responses", contract)
            components["headers"] = _used(_DOCUMENTED_HEADERS, "headers", contract)
            components["securitySchemes"] = {name: scheme.documented() for name, scheme in SCHEMES.items()}
            describe(contract, operations_by_id)
            share(contract)
            contract["components"] = dict(sorted(components.items()))
        return contract

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it


def _problem(error: tuple[str, str]) -> Node:
    code, detail = error
    return {
        "description": f"`{code}`: {detail}" if code else detail,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _any_of(statuses: Sequence[int]) -> Node:
    """Return the response that stands for these statuses of an operation."""
    text = ", ".join(f"{status} `{HTTP[status][0]}`" for status in statuses)
    headers = {*EVERYWHERE, *of_problem(statuses)}
    return {**_problem(("", text)), "headers": references(headers), STATUSES: list(statuses)}


def _unchanged(*headers: str) -> Node:
    return {
        "description": "The representation that `If-None-Match` names is current.",
        "headers": references({"ETag", *headers}),
    }


_NAMES: Final = MappingProxyType(
    {
        400: "MalformedRequest",
        401: "Unauthenticated",
        403: "NotPermitted",
        404: "NotFound",
        409: "Conflict",
        410: "FeedRestored",
        412: "PreconditionFailed",
        422: "ValidationFailed",
        428: "PreconditionRequired",
    }
)
"""The names of the responses for statuses that belong to an operation's own rules."""
_SHARED: Final[Node] = {
    **{
        name: {**responses(status)[status], **({"headers": references(headers)} if headers else {})}
        for status, name in _NAMES.items()
        for headers in [of_problem([status])]
    },
    "Unchanged": _unchanged(),
    "UnchangedPage": _unchanged("Link"),
}
"""The responses that operations share."""
_DOCUMENTED_HEADERS: Final[Node] = {name: header.documented() for name, header in HEADERS.items()}


def _used(components: Node, kind: str, contract: Node) -> Node:
    """Return the components that something refers to; the linter rejects others."""
    text = json.dumps(contract)
    return {name: component for name, component in components.items() if f'"#/components/{kind}/{name}"' in text}


_UNSAID: Final = "Successful Response"
"""FastAPI's description of every success."""


def _what(media: Node, schemas: Mapping[str, Node]) -> str:
    """Return what a response is: the first sentence about its schema, or about the schema for each audience."""
    schema = child(media, "schema")
    names = [referenced_name(each) for each in (listed(schema, "oneOf") or [schema])]
    sentences = [str(schemas[name].get("description", name)) for name in names if name is not None]
    return " ".join(sentence.partition("\n")[0].partition(". ")[0].removesuffix(".") + "." for sentence in sentences)


def _complete(
    described: Node, operation: Operation, schemas: Mapping[str, Node], shared: Node, *, method: str, names_object: bool
) -> None:
    declared = child(described, "responses")
    _complete_query(described)
    described["description"] = f"{described.get('description', '')}\n\n{in_words(operation)}"
    described["security"] = security_of(operation)
    takes = frozenset(str(parameter["name"]) for parameter in listed(described, "parameters"))
    answers = {status: answer for status, answer in declared.items() if status.startswith("2")}
    for status, answer in answers.items():
        if isinstance(answer, dict):
            if answer.get("description") == _UNSAID:
                answer["description"] = _what(child(child(answer, "content"), JSON), schemas)
            if operation.has_csv:
                answer["description"] = f"{answer['description']}{_OR_CSV}"
            names = of_success(operation, status, takes, has_content="content" in answer)
            if names:
                answer["headers"] = references(names)
    if method == "get":  # http/idempotency.py answers every conditional GET
        answers["304"] = _reference("UnchangedPage" if "cursor" in takes else "Unchanged")
    own = {int(status) for status in declared if not status.startswith("2")} - {422}
    own |= _header_statuses(described)
    own |= {404} if names_object else set()
    own |= {422} if "requestBody" in described or takes else set()
    prints = any(PDF in child(node(answer), "content") for answer in answers.values())
    common = _common_statuses(operation, has_body=method != "get", prints=prints) - own
    answers |= {str(status): _reference(_NAMES[status]) for status in sorted(own)}
    described["parameters"] = [
        *listed(described, "parameters"),
        *({"$ref": f"#/components/parameters/{name}"} for name in request_headers(method)),
    ]
    described["responses"] = {**answers, "default": _default(sorted(common), shared)}
    described[CODES] = _codes(operation)
    if not described[CODES]:
        del described[CODES]


def _default(statuses: Sequence[int], shared: Node) -> Node:
    """Return a reference to the response for these statuses, which has them in its name."""
    name = "_".join(["Problem", *map(str, statuses)])
    shared.setdefault(name, _any_of(statuses))
    return _reference(name)


def _codes(operation: Operation) -> Node:
    """Return the codes of an operation's refusals by status. Raises LookupError for one that nothing says."""
    conflicts = sorted(code for code in operation.refusals if code in CATALOGUE and CATALOGUE[code].status == CONFLICT)
    rules = sorted(set(operation.refusals) - {*conflicts})
    if unknown := {*rules} - FIELD_CODES:
        raise LookupError(f"{operation.id}: {', '.join(sorted(unknown))}")
    return {status: codes for status, codes in {str(CONFLICT): conflicts, "422": rules}.items() if codes}


def _reference(name: str) -> Node:
    return {"$ref": f"#/components/responses/{name}"}


def _common_statuses(operation: Operation, *, has_body: bool, prints: bool) -> set[int]:
    """Return the statuses that follow from what an operation takes and uses."""
    conditions = {
        # A token is checked even where an operation needs none.
        frozenset({401, 403, 500}): True,
        frozenset({400}): has_body and not operation.takes_lines,  # a line that cannot be read is refused by itself
        frozenset({408, 413, 415}): has_body,
        frozenset({406, 429}): not operation.always_answered,
        frozenset({503}): operation.uses_database or prints,
    }
    return {status for statuses, applies in conditions.items() if applies for status in statuses}


def _complete_query(operation: Node) -> None:
    """Drop `null` from the types of optional query parameters: a query cannot carry null."""
    for parameter in listed(operation, "parameters"):
        if parameter["in"] != "query":
            continue
        schema = child(parameter, "schema")
        kinds = [kind for kind in listed(schema, "anyOf") if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])


def _header_statuses(operation: Node) -> set[int]:
    """Mark the required headers of an operation, and return the statuses of its own that they lead to.

    FastAPI must not know that they are required, because it would answer 422 instead of these statuses.
    """
    statuses: set[int] = set()
    for parameter in listed(operation, "parameters"):
        if parameter["name"] in {"Idempotency-Key", "If-Match"}:
            parameter["required"] = True
        if parameter["name"] == "If-Match":
            statuses |= {412, 428}
    return statuses
