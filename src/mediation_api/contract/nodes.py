"""Access to the parts of a contract, which is a tree of dictionaries and lists."""

from collections.abc import Iterator
from typing import TypeAlias

Node: TypeAlias = dict[str, object]

JSON = "application/json"


def node(value: object) -> Node:
    """Return `value`, which must be an object. Raises TypeError."""
    if not isinstance(value, dict):
        raise TypeError("this part of the contract is not an object")
    return value


def child(parent: Node, name: str) -> Node:
    """Return the object of this name; an empty one that is not part of the contract if there is none."""
    return node(parent.get(name, {}))


def made(parent: Node, name: str) -> Node:
    """Return the object of this name, after adding an empty one if there is none."""
    return node(parent.setdefault(name, {}))


def listed(parent: Node, name: str) -> list[Node]:
    """Return the objects in the list of this name; none if there is no such list."""
    children = parent.get(name, [])
    return [each for each in children if isinstance(each, dict)] if isinstance(children, list) else []


def models(contract: Node) -> dict[str, Node]:
    """Return the schemas of the components by name."""
    return {name: node(model) for name, model in child(child(contract, "components"), "schemas").items()}


def operations(contract: Node) -> Iterator[tuple[str, str, Node]]:
    """Yield the method, the path and the operation object of each operation."""
    for path, item in child(contract, "paths").items():
        for method, operation in node(item).items():
            if method != "parameters":
                yield method, path, node(operation)


def referenced_name(schema: Node) -> str | None:
    """Return the name of the component that a schema refers to; None for a schema that is written out."""
    reference = schema.get("$ref")
    return str(reference).rpartition("/")[2] if reference is not None else None
