"""Which modes of each command the suite has used: each value of an enum, each field that may be left out or be null.

A *mode* is one way to fill a request: `giveConsent: decision=declined`, `addParty: guardian left out`. Every request
of a test that was answered 2xx is noted in `USED`; at the end of a whole run, conftest.py compares that with `every`,
which is enumerated from the committed contract. Query parameters count as fields that may be left out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeAlias

import httpx

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Schema: TypeAlias = Mapping[str, Json]
Mode: TypeAlias = tuple[str, str]
"""An operation, and how one of its fields was filled."""

USED: Final[set[Mode]] = set()
"""What was done in this process."""

_NOT_HEARD: Final = "What staff enter reached them by letter, by phone, by email or in person."
NOT_DONE: Final[dict[Mode, str]] = {
    ("fileComplaint", 'body.channel="session"'): "A mediator files no complaint.",
    ("giveConsent", 'body.channel="integration"'): _NOT_HEARD,
    ("giveConsent", 'body.channel="session"'): "A mediator gives no consent for a party.",
    **{
        (operation, f'body.channel="{channel}"'): _NOT_HEARD
        for operation in ("recordApproval", "recordGuardianConsent")
        for channel in ("integration", "portal", "session")
    },
    ("recordWithdrawal", 'body.channel="integration"'): _NOT_HEARD,
    ("startSession", 'body.absent[].role="mediator"'): "No session starts without the mediator.",
}
"""Modes that no request gets done, and why. One that a test does use does not belong here."""


@dataclass(slots=True)
class Shape:
    """What may stand in one place of a request."""

    nullable: bool = False
    values: set[str] = field(default_factory=set)
    """Of an enum or a boolean, as JSON."""
    fields: dict[str, tuple["Shape", bool]] = field(default_factory=dict)
    """By name, with whether the field must be there."""
    items: "Shape | None" = None

    def modes(self, place: str, *, required: bool) -> Iterator[str]:
        """Give all ways to fill this place."""
        if not required:
            yield f"{place} left out"
        if self.nullable:
            yield f"{place}=null"
        if self.values:
            yield from (f"{place}={value}" for value in self.values)
        elif not (required and self.fields):
            yield f"{place} given"
        for name, (shape, needed) in self.fields.items():
            yield from shape.modes(f"{place}.{name}", required=needed)
        if self.items is not None:
            yield from self.items.modes(f"{place}[]", required=True)

    def used(self, place: str, sent: object) -> Iterator[str]:
        """Give the ways in which a request filled this place."""
        if sent is None and self.nullable:
            yield f"{place}=null"
            return
        yield f"{place}={json.dumps(sent)}" if self.values else f"{place} given"
        if isinstance(sent, dict):
            for name, (shape, _) in self.fields.items():
                if name in sent:
                    yield from shape.used(f"{place}.{name}", sent[name])
                else:
                    yield f"{place}.{name} left out"
        if isinstance(sent, list) and self.items is not None:
            for each in sent:
                yield from self.items.used(f"{place}[]", each)


class Modes:
    """The modes of all operations of a contract."""

    def __init__(self, document: Mapping[str, Json]) -> None:
        self._document = document
        self._bodies: dict[str, tuple[Shape, bool]] = {}
        self._queries: dict[str, dict[str, tuple[Shape, bool]]] = {}
        for item in _mapping(document["paths"]).values():
            for operation in _mapping(item).values():
                self._read(_mapping(operation))

    def _read(self, operation: Schema) -> None:
        name = str(operation["operationId"])
        body = self._resolved(operation.get("requestBody", {}))
        if content := _mapping(body.get("content", {})).get("application/json"):
            shape = self._shape(_mapping(content)["schema"])
            shape.nullable = False  # null in place of a body is no body
            self._bodies[name] = shape, body.get("required") is True
        parameters = operation.get("parameters", [])
        assert isinstance(parameters, list)
        resolved = [self._resolved(each) for each in parameters]
        self._queries[name] = {
            str(each["name"]): (self._shape(each["schema"]), each.get("required") is True)
            for each in resolved
            if each["in"] == "query"
        }

    def _resolved(self, node: Json) -> Schema:
        schema = _mapping(node)
        while "$ref" in schema:
            found: Json = dict(self._document)
            for step in str(schema["$ref"]).removeprefix("#/").split("/"):
                found = _mapping(found)[step]
            schema = _mapping(found)
        return schema

    def _shape(self, node: Json) -> Shape:
        schema, shape = self._resolved(node), Shape()
        types = schema.get("type")
        shape.nullable = types == "null" or (isinstance(types, list) and "null" in types)
        listed = schema.get("enum", schema.get("x-extensible-enum", [schema["const"]] if "const" in schema else []))
        assert isinstance(listed, list)
        shape.values = {json.dumps(value) for value in listed if value is not None}
        if types == "boolean" or (isinstance(types, list) and "boolean" in types):
            shape.values = {"true", "false"}
        needed = schema.get("required", [])
        assert isinstance(needed, list)
        for name, each in _mapping(schema.get("properties", {})).items():
            shape.fields[name] = self._shape(each), name in needed
        if "items" in schema:
            shape.items = self._shape(schema["items"])
        for word in ("anyOf", "oneOf", "allOf"):
            alternatives = schema.get(word, [])
            assert isinstance(alternatives, list)
            for each in alternatives:
                _merge(shape, self._shape(each))
        return shape

    def every(self) -> set[Mode]:
        """Return all modes of all operations."""
        queries = {
            (name, mode)
            for name, parameters in self._queries.items()
            for parameter, (shape, needed) in parameters.items()
            for mode in shape.modes(f"?{parameter}", required=needed)
        }
        return queries | {(name, mode) for name, each in self.of_commands().items() for mode in each}

    def of_commands(self) -> dict[str, set[str]]:
        """Return the modes of each body, by operation."""
        return {name: set(shape.modes("body", required=needed)) for name, (shape, needed) in self._bodies.items()}

    def of_body(self, operation: str, body: object) -> set[str]:
        """Return the modes of one body."""
        return set(self._bodies[operation][0].used("body", body))

    def of_queries(self) -> set[tuple[str, str, str]]:
        """Return each value of an enum that a query takes: the operation, the parameter, and the value."""
        return {
            (name, parameter, value)
            for name, parameters in self._queries.items()
            for parameter, (shape, _) in parameters.items()
            for value in shape.values
        }

    def used(self, operation: str, query: httpx.QueryParams, content: bytes) -> set[Mode]:
        """Return the modes of one request that was done."""
        found: set[str] = set()
        if operation in self._bodies:
            found = self.of_body(operation, json.loads(content)) if content else {"body left out"}
        for name, (shape, _) in self._queries[operation].items():
            found.update(_used_of_query(name, shape, query))
        return {(operation, mode) for mode in found}


def _used_of_query(name: str, shape: Shape, query: httpx.QueryParams) -> Iterator[str]:
    """Give the mode of one parameter. What is no string stands in a query as it does in JSON."""
    if name not in query:
        yield f"?{name} left out"
    elif shape.values:
        yield f"?{name}={query[name] if query[name] in shape.values else json.dumps(query[name])}"
    else:
        yield f"?{name} given"


def _mapping(node: Json) -> dict[str, Json]:
    assert isinstance(node, dict)
    return node


def _merge(shape: Shape, other: Shape) -> None:
    shape.nullable |= other.nullable
    shape.values |= other.values
    shape.fields = {**other.fields, **shape.fields}
    shape.items = shape.items or other.items


@cache
def modes() -> Modes:
    """Return the modes of the committed contract."""
    # Here, because the tests of the domain start without the web framework.
    from tests.openapi.reading import CONTRACT  # noqa: PLC0415

    return Modes(json.loads(CONTRACT.read_text(encoding="utf-8")))
