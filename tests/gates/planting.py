"""Plants a fault in a copy of the contract: one operation of a JSON Patch (RFC 6902)."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

CONTRACT: Final = Path("openapi/mediation-api.v1.json")


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `path` and `source` are JSON pointers."""

    op: Literal["set", "remove", "copy"]
    path: str
    value: Json = None
    source: str = ""


def without(path: str) -> Change:
    """Leave something out."""
    return Change("remove", path)


def with_value(path: str, value: Json) -> Change:
    """Put something in, in place of what is there; `-` is the end of an array."""
    return Change("set", path, value)


def with_copy(source: str, path: str) -> Change:
    """Put in a second place what stands in a first."""
    return Change("copy", path, source=source)


def committed() -> Json:
    """The contract."""
    contract: Json = json.loads(CONTRACT.read_text(encoding="utf-8"))
    return contract


def planted(contract: Json, changes: Sequence[Change], at: Path) -> Path:
    """Write a changed copy to `at`. Raises LookupError when a change has nothing to change."""
    changed = copy.deepcopy(contract)
    for change in changes:
        _apply(changed, change)
    if changed == contract and changes:
        raise LookupError("nothing was changed")
    at.write_text(json.dumps(changed, indent=1, ensure_ascii=False), encoding="utf-8")
    return at


def _apply(contract: Json, change: Change) -> None:
    *steps, last = _steps(change.path)
    parent = _at(contract, steps)
    value = copy.deepcopy(_at(contract, _steps(change.source)) if change.op == "copy" else change.value)
    if isinstance(parent, list) and last == "-":
        parent.append(value)
    elif isinstance(parent, list):
        parent[int(last)] = value
    elif not isinstance(parent, dict):
        raise LookupError(change.path)
    elif change.op == "remove":
        del parent[last]
    else:
        parent[last] = value


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _at(node: Json, steps: list[str]) -> Json:
    for step in steps:
        if isinstance(node, dict):
            node = node[step]
        elif isinstance(node, list):
            node = node[int(step)]
        else:
            raise LookupError(step)  # noqa: TRY004 - the pointer leads nowhere
    return node
