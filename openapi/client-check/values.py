"""Feeds the models that openapi-python-client made with answers that hold a value of tomorrow.

Every answer that the contract has as an example is read as it is, and then again with one value replaced: of each list
of values that is open, and of each that is closed. Prints one JSON array: what was replaced, whether the list is open,
and whether the model could still be made. Run by tests/gates/client.py, with the contract's path as its argument.
"""

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from mediation_api_client import models

Json: TypeAlias = dict[str, Any]
TOMORROW = "of_tomorrow"


def resolved(schemas: Json, schema: Json) -> Json:
    """Return what a schema refers to, with what stands beside the reference."""
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = {**schemas[name], **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def places(schemas: Json, schema: Json, at: tuple[str | int, ...], example: Any) -> Iterator[tuple[Any, ...]]:
    """Give each place of an example that a list of values is for, and whether that is open."""
    schema = resolved(schemas, schema)
    for alternative in schema.get("anyOf", ()):
        yield from places(schemas, alternative, at, example)
    if "discriminator" in schema and isinstance(example, dict):
        told = schema["discriminator"]
        yield from places(schemas, {"$ref": told["mapping"][example[told["propertyName"]]]}, at, example)
    if "x-extensible-enum" in schema:
        yield at, True
    elif "enum" in schema and isinstance(example, str):
        yield at, False
    for name, each in schema.get("properties", {}).items():
        if isinstance(example, dict) and name in example:
            yield from places(schemas, each, (*at, name), example[name])
    if "items" in schema and isinstance(example, list):
        for number, each in enumerate(example):
            yield from places(schemas, schema["items"], (*at, number), each)


def nullable(schemas: Json, schema: Json, at: tuple[str | int, ...], example: Any) -> bool:
    """Whether null may stand there as well: models take such a value as it is."""
    schema = resolved(schemas, schema)
    if "discriminator" in schema:
        told = schema["discriminator"]
        return nullable(schemas, {"$ref": told["mapping"][example[told["propertyName"]]]}, at, example)
    listed = schema.get("anyOf", ())
    if any(each.get("type") == "null" for each in listed):
        return True
    if not at:
        return False
    step, *rest = at
    below = schema["items"] if isinstance(step, int) else schema["properties"][step]
    return nullable(schemas, below, tuple(rest), example[step])


def replaced(example: Any, at: tuple[str | int, ...]) -> Any:
    """Return the example with a value of tomorrow in one place."""
    changed = copy.deepcopy(example)
    parent = changed
    for step in at[:-1]:
        parent = parent[step]
    parent[at[-1]] = TOMORROW
    return changed


def is_made(model: Any, answer: Any) -> bool:
    """Whether a model takes an answer."""
    try:
        model.from_dict(answer)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def main(contract: str) -> None:
    """Print what became of each."""
    schemas = json.loads(Path(contract).read_text(encoding="utf-8"))["components"]["schemas"]
    found = []
    for name, schema in schemas.items():
        model = getattr(models, name, None)
        if model is None or not name.endswith(("Out", "List", "Problem")):
            continue
        for example in schema.get("examples", ()):
            found.append([name, "as it is", is_made(model, example)])
            for at, is_open in places(schemas, schema, (), example):
                if is_open or not nullable(schemas, schema, at, example):
                    kind = "open" if is_open else "closed"
                    found.append(["/".join(map(str, (name, *at))), kind, is_made(model, replaced(example, at))])
    print(json.dumps(found))


main(sys.argv[1])
