"""Snapshots: what was reviewed once and is compared with what is found now. `make generate` writes them again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

DIRECTORY: Final = Path("tests/snapshots")

Json: TypeAlias = "Mapping[str, Json] | str"


def read(name: str) -> dict[str, "Json"]:
    """A snapshot as it was last reviewed."""
    found: dict[str, Json] = json.loads((DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    return found


def grants(role: str) -> dict[str, dict[str, str]]:
    """The columns of each table that a role of the database has a privilege for, by privilege."""
    known: dict[str, dict[str, dict[str, str]]] = read("grants")  # type: ignore[assignment] # JSON
    return known[role]


def compare(name: str, found: Mapping[str, Json], *, update: bool) -> None:
    """Compare what was found with the snapshot, or write it."""
    path, text = DIRECTORY / f"{name}.json", json.dumps(found, indent=1, sort_keys=True) + "\n"
    if update:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, (
        f"{path} differs: if the change is meant, run `make generate` and commit the file with it"
    )
