"""Each thing once: what FastAPI writes out at every use becomes a component of the contract, and noise is dropped.

A change of a field type or of a parameter is then one line of the committed document. Nothing here changes what a
request may contain, or what a response contains.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from mediation_api.contract.headers import REQUEST_HEADERS, request_header
from mediation_api.contract.nodes import JSON, Node, child, listed, made, node, operations, referenced_name
from mediation_api.http.fields import EXTENSIBLE, TYPE_NAME

_OF_THE_TYPE = ("type", "format", "pattern", "minLength", "maxLength", EXTENSIBLE)
"""The keywords that a named type says; others, such as a description, belong to the field that has it."""


def share(contract: Node) -> None:
    """Drop titles, shorten nullable types, and move field types and parameters to the components, in place."""
    for schema in _schemas(contract):
        schema.pop("title", None)
    _unwrap_bodies(contract)
    _name_ids(contract)
    named = _name_types(contract)
    for schema in _schemas(contract):
        _shorten_nullable(schema)
    components = child(contract, "components")
    components["schemas"] = dict(sorted({**child(components, "schemas"), **named}.items()))
    _drop_unused_enums(contract)
    components["parameters"] = _share_parameters(contract)
    made(components, "responses").update(_share_successes(contract))


def _schemas(contract: Node) -> Iterator[Node]:
    """Yield every schema of the contract, and those within it after it."""
    pending: list[object] = [*child(child(contract, "components"), "schemas").values()]
    for _, _, operation in operations(contract):
        pending += [child(parameter, "schema") for parameter in listed(operation, "parameters")]
        for answer in map(node, child(operation, "responses").values()):
            pending += [child(node(media), "schema") for media in child(answer, "content").values()]
    while pending:
        schema = pending.pop()
        if isinstance(schema, dict):
            yield schema
            pending += child(schema, "properties").values() if "properties" in schema else ()
            pending += [schema[name] for name in ("items", "additionalProperties", "if", "then") if name in schema]
            pending += [each for name in ("anyOf", "oneOf", "allOf") for each in listed(schema, name)]


_PARTY_ID: Final = ("PartyId", "Names a party: one person on one side of one complaint.")
_IDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "case_id": ("CaseId", "Names a case: one attempt to mediate one complaint."),
        "complaint_id": ("ComplaintId", "Names a complaint."),
        "party_id": _PARTY_ID,
        "complainant_id": _PARTY_ID,
        "officer_id": _PARTY_ID,
        "assignment_id": ("AssignmentId", "Names an assignment: the proposal of a case to a mediator."),
        "session_id": ("SessionId", "Names a session."),
        "agreement_id": ("AgreementId", "Names an agreement: a text to sign."),
        "mediator_id": ("MediatorId", "Names an entry of the roster of mediators."),
        "id": ("Id", "Names this in addresses. It is opaque."),
    }
)
"""The type of an id and its description, by the name of the field."""


def _name_ids(contract: Node) -> None:
    """Mark the ids of fields as named types, unless the field says itself what it names."""
    for schema in _schemas(contract):
        for field in _IDS.keys() & child(schema, "properties").keys():
            shown = node(child(schema, "properties")[field])
            given = [each for each in (shown, *listed(shown, "anyOf")) if each.get("format") == "uuid"]
            name, description = _IDS[field]
            for each in given:
                each[TYPE_NAME] = {"name": name, "description": description}


def _unwrap_bodies(contract: Node) -> None:
    """Refer to the schema of an optional body itself: it may be left out, and cannot be null."""
    for _, _, operation in operations(contract):
        media = child(child(child(operation, "requestBody"), "content"), JSON)
        for schema in listed(child(media, "schema"), "anyOf"):
            if "$ref" in schema:
                media["schema"] = schema


def _name_types(contract: Node) -> Node:
    """Refer to each named field type where it is written out, and return the types."""
    used: Node = {}
    for schema in _schemas(contract):
        if TYPE_NAME not in schema:
            continue
        described = node(schema.pop(TYPE_NAME))
        name = str(described.pop("name"))
        used[name] = {**{keyword: schema.pop(keyword) for keyword in _OF_THE_TYPE if keyword in schema}, **described}
        rest = dict(schema)
        schema.clear()
        schema.update({"$ref": f"#/components/schemas/{name}"}, **rest)
    return used


def _drop_unused_enums(contract: Node) -> None:
    """Drop the enums that only open lists were made of."""
    schemas, text = child(child(contract, "components"), "schemas"), json.dumps(contract)
    for name in [name for name, schema in schemas.items() if "enum" in node(schema)]:
        if f'"#/components/schemas/{name}"' not in text:
            del schemas[name]


def _shorten_nullable(schema: Node) -> None:
    """Write `type: [string, null]` in place of an `anyOf` of a schema with a type, and null."""
    match listed(schema, "anyOf"):
        case [{"type": str(kind)} as given, {"type": "null"}] if not {"enum", "const", "properties"} & given.keys():
            del schema["anyOf"]
            rest = dict(schema)
            schema.clear()
            schema.update({**given, "type": [kind, "null"]}, **rest)


def _share_parameters(contract: Node) -> Node:
    """Move the parameters that several operations take to the components, and return those."""
    uses: Counter[str] = Counter()
    found: dict[str, Node] = {}
    for _, _, operation in operations(contract):
        for parameter in _written_out(operation):
            # FastAPI says in the schema again what the parameter says.
            schema = child(parameter, "schema")
            for keyword in ("description", "examples"):
                said = schema.pop(keyword, None)
                if keyword == "examples" and said:
                    parameter["example"] = said[0] if isinstance(said, list) else said
            if parameter.get("required") is False:
                del parameter["required"]  # as it is by default
            uses[repr(parameter)] += 1
            found[repr(parameter)] = parameter
    shared: dict[str, str] = {}
    for text, count in uses.most_common():
        if count > 1:
            shared.setdefault(str(found[text]["name"]), text)
    for _, _, operation in operations(contract):
        if taken := listed(operation, "parameters"):
            operation["parameters"] = [
                {"$ref": f"#/components/parameters/{each['name']}"} if repr(each) in shared.values() else each
                for each in taken
            ]
    headers = {name: request_header(name) for name in REQUEST_HEADERS}
    return dict(sorted({**headers, **{name: found[text] for name, text in shared.items()}}.items()))


def _share_successes(contract: Node) -> Node:
    """Move the successes that several operations answer alike to the components, and return those."""
    uses: Counter[str] = Counter()
    answers = [
        (answers, status, node(answer))
        for _, _, operation in operations(contract)
        for answers in [child(operation, "responses")]
        for status, answer in answers.items()
        if status.startswith("2")
    ]
    uses.update(repr(answer) for _, _, answer in answers)
    shared: Node = {}
    for answers_of_one, status, answer in answers:
        schema = child(child(child(answer, "content"), JSON), "schema")
        noun = str(referenced_name(schema)).removesuffix("Out")
        if uses[repr(answer)] > 1 and "$ref" in schema:
            number = 1
            while shared.setdefault(name := noun if number == 1 else f"{noun}{number}", answer) != answer:
                number += 1
            answers_of_one[status] = {"$ref": f"#/components/responses/{name}"}
    return shared


def _written_out(operation: Node) -> list[Node]:
    return [parameter for parameter in listed(operation, "parameters") if "$ref" not in parameter]
