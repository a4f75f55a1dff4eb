"""Kinds of faults, over all layers, and what of the project each of them is planted in.

A kind has candidates: operations, tables, lines of the code. Which one it is planted in is drawn by a rule: the
candidate whose name has the lowest hash together with the kind's. So nobody chooses, and an operation that is added
later changes little. A fault is planted in the running program, so that no copy of the project is needed (planted.py).
"""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

SOURCE: Final = Path("src/mediation_api")
ROUNDS: Final = 1
"""How many candidates of each kind are drawn."""


@dataclass(slots=True)
class Exchange:
    """A request, or its answer, as a fault sees it."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault. `answer` and `request` say how an operation's are spoiled; all others are planted by name."""

    layer: str
    candidates: Callable[[], Sequence[str]]
    answer: Callable[[Exchange], None] | None = None
    request: Callable[..., Any] | None = None
    refusals: bool = False
    """Whether the answers that it spoils are 409s."""


# ── candidates ─────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """The operations of the contract: method, path, and the description."""
    from tests.openapi.reading import document, written_out

    paths: Any = written_out(document())["paths"]
    return {
        str(each["operationId"]): (method, path, each) for path, item in paths.items() for method, each in item.items()
    }


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    from tests.openapi.reading import document

    schemas: dict[str, dict[str, Any]] = document()["components"]["schemas"]  # type: ignore[index] # JSON
    return schemas


def _schema(described: Mapping[str, Any], status: str) -> dict[str, Any]:
    """The schema of an answer."""
    schema = described["responses"].get(status, {}).get("content", {}).get("application/json", {}).get("schema", {})
    return _schemas()[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else dict(schema)


def _with_header(name: str, status: str) -> Callable[[], Sequence[str]]:
    return lambda: [
        id_
        for id_, (_, _, each) in _operations().items()
        if name in each["responses"].get(status, {}).get("headers", {})
    ]


def _answering(status: str) -> Callable[[], Sequence[str]]:
    return lambda: [id_ for id_, (_, _, each) in _operations().items() if status in each["responses"]]


def _with_field(suffix: str) -> Callable[[], Sequence[str]]:
    def found() -> Sequence[str]:
        return [
            id_
            for id_, (_, _, each) in _operations().items()
            if any(name.endswith(suffix) for name in _schema(each, "201").get("properties", {}))
        ]

    return found


def _paged() -> Sequence[str]:
    return [
        id_
        for id_, (_, _, each) in _operations().items()
        if any(parameter["name"] == "cursor" for parameter in each.get("parameters", ()))
    ]


def _filtered() -> Sequence[str]:
    """Filters, as operation and parameter."""
    return [
        f"{id_} {parameter['name']}"
        for id_, (_, _, each) in _operations().items()
        for parameter in each.get("parameters", ())
        if parameter["in"] == "query" and parameter["name"] not in {"after", "cursor", "limit", "sort"}
    ]


def _optional_fields() -> Sequence[str]:
    """Optional fields of bodies, as operation and field."""
    from tests.openapi.census import modes

    return [
        f"{id_} {mode.removeprefix('body.').removesuffix(' left out')}"
        for id_, each in modes().of_commands().items()
        for mode in each
        if re.fullmatch(r"body\.\w+ left out", mode)
    ]


def _with_key() -> Sequence[str]:
    return [
        id_
        for id_, (_, _, each) in _operations().items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in each.get("parameters", ()))
    ]


def _declared(wanted: Callable[[Any], object]) -> Callable[[], Sequence[str]]:
    def found() -> Sequence[str]:
        from mediation_api.main import OPERATIONS

        return [id_ for id_, operation in OPERATIONS.items() if wanted(operation)]

    return found


def _tables() -> Sequence[str]:
    """Tables that a party reads rows of a case from."""
    from mediation_api.database.tables import metadata

    grants = json.loads(Path("tests/snapshots/grants.json").read_text(encoding="utf-8"))
    read = grants["mediation_party"]
    return [table.name for table in metadata.sorted_tables if table.name in read and "case_id" in table.c]


def _constraints() -> Sequence[str]:
    from mediation_api.database.tables import metadata

    return [
        f"{table.name} {constraint.name}"
        for table in metadata.sorted_tables
        for constraint in table.constraints
        if constraint.name and type(constraint).__name__ in {"CheckConstraint", "UniqueConstraint"}
    ]


def _statements(folder: str, wanted: Callable[[ast.AST], bool]) -> Callable[[], Sequence[str]]:
    """Statements of the code, as a file and a line."""

    def found() -> Sequence[str]:
        return [
            f"{path.relative_to(SOURCE)}:{node.lineno}"  # type: ignore[attr-defined] # statements have one
            for path in sorted((SOURCE / folder).glob("*.py"))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if wanted(node)
        ]

    return found


def is_refusal(node: ast.AST) -> bool:
    """Whether this is `if …: raise …`, and nothing else."""
    return isinstance(node, ast.If) and len(node.body) == 1 and isinstance(node.body[0], ast.Raise) and not node.orelse


def is_condition(node: ast.AST) -> bool:
    """Whether this is a `.where()` of several conditions."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "where"
        and len(node.args) > 1
        and not any(isinstance(each, ast.Starred) for each in node.args)
    )


def is_order(node: ast.AST) -> bool:
    """Whether this orders rows."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "order_by"


# ── what is wrong with an answer, or with what is made of a request ────────────────────────────────────────────────


def _objects(body: Any) -> Iterator[dict[str, Any]]:
    """The object that is answered, or those in the list."""
    if isinstance(body, dict):
        yield from body["items"] if isinstance(body.get("items"), list) else [body]


def _without_a_field(answer: Exchange) -> None:
    for each in _objects(answer.body):
        each.pop(max(each), None)


def _with_a_field(answer: Exchange) -> None:
    for each in _objects(answer.body):
        each["telephone"] = "+1 503 555 0100"


def _with_null(answer: Exchange) -> None:
    for each in _objects(answer.body):
        each["id" if "id" in each else min(each)] = None


def _with_an_offset(answer: Exchange) -> None:
    for each in _objects(answer.body):
        each.update({name: str(value).replace("Z", "+00:00") for name, value in each.items() if name.endswith("_at")})


def _of_another(answer: Exchange) -> None:
    """A column in place of another one."""
    for each in _objects(answer.body):
        ids = sorted(name for name, value in each.items() if name.endswith("_id") and value)
        if ids and "id" in each:
            each["id"] = each[ids[0]]


def _status(status: int) -> Callable[[Exchange], None]:
    def change(answer: Exchange) -> None:
        answer.status = status

    return change


def _header(name: str, value: str | None) -> Callable[[Exchange], None]:
    def change(answer: Exchange) -> None:
        if name in answer.headers:
            answer.headers[name] = value or ""
            if value is None:
                del answer.headers[name]

    return change


def _without_the_last_row(answer: Exchange) -> None:
    if isinstance(answer.body, dict) and answer.body.get("next_cursor"):
        del answer.body["items"][-1]


def _without_a_next_page(answer: Exchange) -> None:
    if isinstance(answer.body, dict) and "next_cursor" in answer.body:
        answer.body["next_cursor"] = None
        answer.headers.pop("link", None)


def _backwards(answer: Exchange) -> None:
    if isinstance(answer.body, dict) and isinstance(answer.body.get("items"), list):
        answer.body["items"].reverse()


def _of_another_audience(answer: Exchange) -> None:
    others = {"office": "party", "mediator": "office", "party": "office", "integration": "office"}
    for each in _objects(answer.body):
        if "audience" in each:
            each["audience"] = others[each["audience"]]


def _with_another_code(answer: Exchange) -> None:
    if answer.status == 409:
        answer.body["code"] = "state-conflict" if answer.body["code"] != "state-conflict" else "case-closed"


def _ignoring_a_filter(query: dict[str, str], headers: dict[str, str], body: Any, *, name: str) -> Any:
    del headers
    query.pop(name, None)
    return body


def _ignoring_a_field(query: dict[str, str], headers: dict[str, str], body: Any, *, name: str) -> Any:
    del query, headers
    return {key: value for key, value in body.items() if key != name} if isinstance(body, dict) else body


def _ignoring(header: str, instead: str | None = None) -> Callable[[dict[str, str], dict[str, str], Any], Any]:
    def change(query: dict[str, str], headers: dict[str, str], body: Any) -> Any:
        del query
        if header in headers:
            headers[header] = instead or ""
            if instead is None:
                del headers[header]
        return body

    return change


def _new_key(query: dict[str, str], headers: dict[str, str], body: Any) -> Any:
    """As if what was answered had not been kept: each try has a key of its own."""
    from uuid import uuid4

    del query
    if "idempotency-key" in headers:
        headers["idempotency-key"] = str(uuid4())
    return body


KINDS: Final[dict[str, Kind]] = {
    "status 200 in place of 201": Kind("http", _answering("201"), answer=_status(200)),
    "Location is missing": Kind("http", _with_header("Location", "201"), answer=_header("location", None)),
    "Location of another object": Kind(
        "http",
        _with_header("Location", "201"),
        answer=_header("location", "/v1/cases/00000000-0000-4000-8000-000000000000"),
    ),
    "ETag is missing": Kind("http", _with_header("ETag", "200"), answer=_header("etag", None)),
    "ETag of another representation": Kind(
        "http", _with_header("ETag", "201"), answer=_header("etag", '"00000000000000000000000000000000"')
    ),
    "no quota in the headers": Kind("http", _answering("200"), answer=_header("ratelimit", None)),
    "a field dropped from an answer": Kind("routers", _answering("201"), answer=_without_a_field),
    "a field too many in an answer": Kind("routers", _answering("200"), answer=_with_a_field),
    "null where it is never null": Kind("routers", _answering("201"), answer=_with_null),
    "an instant with an offset": Kind("routers", _with_field("_at"), answer=_with_an_offset),
    "another column in the place of the id": Kind("repository", _with_field("_id"), answer=_of_another),
    "the form of another audience": Kind(
        "routers",
        lambda: [name for name in _answering("200")() if name in {"getCase", "getSession", "listAgreements"}],
        answer=_of_another_audience,
    ),
    "a page without its last row": Kind("repository", _paged, answer=_without_the_last_row),
    "a list that ends after a page": Kind("http", _paged, answer=_without_a_next_page),
    "a list in the wrong order": Kind("repository", _paged, answer=_backwards),
    "another problem code": Kind("http", _answering("409"), answer=_with_another_code, refusals=True),
    "403 in place of 404": Kind(
        "routers",
        _answering("404"),
        answer=lambda answer: _status(403)(answer) if answer.status == 404 else None,
    ),
    "a filter ignored": Kind("repository", _filtered, request=_ignoring_a_filter),
    "an optional field ignored": Kind("routers", _optional_fields, request=_ignoring_a_field),
    "the answer to a key not kept": Kind("http", _with_key, request=_new_key),
    "If-Match ignored": Kind("http", _answering("412"), request=_ignoring("if-match", "*")),
    "If-None-Match ignored": Kind("http", _answering("304"), request=_ignoring("if-none-match")),
    "Access-Purpose ignored": Kind(
        "routers", _declared(lambda operation: operation.opens), request=_ignoring("access-purpose")
    ),
    "a role too many": Kind("access", _declared(lambda operation: len(operation.access) < 8)),
    "a role too few": Kind("access", _declared(lambda operation: len(operation.access) > 1)),
    "the relation to the object not asked for": Kind(
        "access", _declared(lambda operation: set(map(str, operation.access.values())) & {"own", "assigned"})
    ),
    "a scope not asked for": Kind("access", _declared(lambda operation: operation.oauth_scope)),
    "an opening not logged": Kind("access log", _declared(lambda operation: operation.opens)),
    "an event not recorded": Kind("repository", _declared(lambda operation: operation.events)),
    "the date of UTC": Kind("domain", lambda: ["domain/target.py local_date"]),
    "a refusal of the domain dropped": Kind("domain", _statements("domain", is_refusal)),
    "a condition of SQL dropped": Kind("repository", _statements("repository", is_condition)),
    "an order of SQL dropped": Kind("repository", _statements("repository", is_order)),
    "a constraint missing": Kind("database", _constraints),
    "row security off for a table": Kind("database", _tables),
}
ROUNDS_OF: Final = {"a filter ignored": 3, "a refusal of the domain dropped": 3, "an optional field ignored": 2}
"""Kinds of which more than one is drawn, because there are many candidates."""


def drawn() -> list[tuple[str, str]]:
    """Return the faults: a kind, and where it is planted."""
    return [
        (kind, candidate)
        for kind, each in KINDS.items()
        for candidate in sorted(each.candidates(), key=lambda name, kind=kind: _hash(kind, name))[  # type: ignore[misc]
            : ROUNDS_OF.get(kind, ROUNDS)
        ]
    ]


def _hash(kind: str, candidate: str) -> str:
    return hashlib.sha256(f"{kind} {candidate}".encode()).hexdigest()
