"""What the contract has for each operation besides schemas: events, personal data and links; and examples of schemas.

The events are those that the operation declares at its route (`http/routes.py`); a test runs every operation and
compares. Personal data follow from the names of fields, and links from the ids in a response. The examples are recorded
requests and responses of this service (`make generate` records them again), one or a few for each schema.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Final, TypeAlias

from mediation_api.contract.headers import CREATED
from mediation_api.contract.nodes import JSON, Node, child, models, node, operations, referenced_name
from mediation_api.contract.personal_data import HOLDINGS, PersonalDataKind, personal_data_kind
from mediation_api.http.routes import Operation

Address: TypeAlias = tuple[str, str, str]
"""Method, path and name of an operation."""

_MODEL: Final = re.compile(r"#/components/schemas/(\w+)\"")
_PARAMETER: Final = re.compile(r"{(\w+_id)}")
_KIND: Final = re.compile(r"(For[A-Z][a-z]+|Summary|Filed|Registered)?Out$")
"""What the name of a response model has besides that of the object."""
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

READ: Final = "read"
"""Listed with an operation's events if reads are written to the access log, which is no event of the case."""


def describe(contract: Node, operations_by_id: Mapping[str, Operation]) -> None:
    """Add events, personal data, links and examples to the contract, in place."""
    schemas = models(contract)
    addressed = _addressed((method, path, str(each["operationId"])) for method, path, each in operations(contract))
    links: Node = {}
    for method, path, operation in operations(contract):
        name = str(operation["operationId"])
        declared = operations_by_id[name]
        operation["x-audit-event"] = [*(event.kind for event in declared.events), *([READ] if declared.opens else ())]
        operation["x-personal-data"] = sorted(_kinds(operation, schemas))
        for status, answer in _successes(operation):
            found = _links(answer, schemas, addressed, of=(method, path, name))
            if status not in CREATED:
                found = {target: link for target, link in found.items() if "items/0" in str(link)}
            if found:
                answer["links"] = {target: _share(node(link), target, links) for target, link in found.items()}
    if links:
        child(contract, "components")["links"] = dict(sorted(links.items()))
    for name, examples in _recorded().items():
        if name in schemas:
            schemas[name]["examples"] = examples
    contract["x-personal-data-kinds"] = {kind: asdict(holding) for kind, holding in HOLDINGS.items()}


# ── personal data ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _kinds(operation: Node, models: Mapping[str, Node]) -> set[PersonalDataKind]:
    """Return the kinds of personal data in the request body and the successful responses of an operation."""
    bodies = [child(operation, "requestBody")] if "requestBody" in operation else []
    names = _referenced([*bodies, *(answer for _, answer in _successes(operation))], models)
    fields = ((name, field) for name in names for field in child(models[name], "properties"))
    return {kind for name, field in fields if (kind := personal_data_kind(name, field)) is not None}


def _referenced(part: object, models: Mapping[str, Node]) -> set[str]:
    """Return the names of the models that a part of the contract refers to, directly or through others."""
    names: set[str] = set()
    pending = _MODEL.findall(json.dumps(part))
    while pending:
        name = pending.pop()
        if name not in names:
            names.add(name)
            pending += _MODEL.findall(json.dumps(models[name]))
    return names


# ── links ──────────────────────────────────────────────────────────────────────────────────────────


def _addressed(operations: Iterable[Address]) -> dict[str, list[Address]]:
    """Return the operations whose path has exactly one id, by the name of that parameter."""
    addressed: dict[str, list[Address]] = {}
    for method, path, operation in operations:
        parameters = _PARAMETER.findall(path)
        if len(parameters) == 1:
            addressed.setdefault(parameters[0], []).append((method, path, operation))
    return addressed


def _links(answer: Node, models: Mapping[str, Node], addressed: Mapping[str, list[Address]], of: Address) -> Node:
    """Return the links of a response: to what its `id` identifies, or else to what its other ids do."""
    place, shapes = _shapes(answer, models)
    fields_by_shape = [child(models[shape], "properties") for shape in shapes]
    links: Node = {}
    for field in sorted(fields_by_shape[0], key=lambda field: field != "id") if fields_by_shape else ():
        if any(field not in fields for fields in fields_by_shape):
            continue  # not in the response to every audience
        if place and field != "id":
            continue  # what an item of a list belongs to, the item itself leads to
        name = f"{_WORDS.sub('_', _KIND.sub('', shapes[0])).lower()}_id" if field == "id" else field
        for target in addressed.get(name, ()):
            method, path, operation = target
            if target != of and method == "get" and path.endswith("}"):
                links[operation] = {"operationId": operation, "parameters": {name: f"$response.body#/{place}{field}"}}
        if links and field == "id":
            break  # what else the answer names, the object itself leads to
    return links


def _share(link: Node, target: str, shared: Node) -> Node:
    """Return a reference to a link among the components, and add it there if it is new."""
    number = 1
    while shared.setdefault(name := target if number == 1 else f"{target}{number}", link) != link:
        number += 1
    return {"$ref": f"#/components/links/{name}"}


def _shapes(answer: Node, models: Mapping[str, Node]) -> tuple[str, list[str]]:
    """Return where the fields of a response are (in a list, its first item), and the model for each audience."""
    shapes = _direct(child(child(answer, "content"), JSON))
    items = child(models[shapes[0]], "properties").get("items") if shapes else None
    return ("", shapes) if items is None else ("items/0/", _direct(items))


def _direct(part: object) -> list[str]:
    return list(dict.fromkeys(_MODEL.findall(json.dumps(part))))


# ── examples ───────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _recorded() -> dict[str, list[object]]:
    """Return the recorded examples of each schema."""
    text = resources.files("mediation_api.contract").joinpath("examples.json").read_text(encoding="utf-8")
    recorded: dict[str, list[object]] = json.loads(text)
    return recorded


def schema_of(contract: Node, content: Node, value: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """Return the name of the schema that describes `value`, the body of a request or a response, and what it describes.

    Of a list, that is the first item. A response to several audiences has a schema for each, which says in `audience`
    whom it is for.
    """
    schema = child(child(content, JSON), "schema")
    items = value.get("items")
    if isinstance(items, list):
        schema = child(child(child(models(contract)[str(referenced_name(schema))], "properties"), "items"), "items")
        value = node(items[0])
    name = referenced_name(schema)
    if name is None:
        mapping = child(child(schema, "discriminator"), "mapping")
        name = str(mapping[str(value["audience"])]).rpartition("/")[2]
    return name, value


# ── the parts of a contract ────────────────────────────────────────────────────────────────────────────────────────


def _successes(operation: Node) -> Iterator[tuple[str, Node]]:
    for status, answer in child(operation, "responses").items():
        if status.startswith("2"):
            yield status, node(answer)
