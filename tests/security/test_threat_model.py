"""The threat model names proofs that exist, and whatever `make security` runs is there to be run."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from tests.security.criteria import CRITERIA

ROOT: Final = Path(__file__).parents[2]
NAMED: Final = sorted(
    set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")))
)
RUN: Final = sorted({name for each in CRITERIA for name in (*each.proofs, *each.controls)})


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of a file's tests."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_"))


@pytest.mark.parametrize("name", sorted({*NAMED, *RUN}))
def test_a_proof_that_is_named_exists(name: str) -> None:
    path, _, test = name.partition("::")
    assert test in names_in(path), "name the test that took its place, in docs/threat-model.md or criteria.py"


def test_each_threat_has_a_proof_and_each_criterion_a_control() -> None:
    page = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    threats = [
        line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| Threat", "| ---"))
    ]
    assert len(threats) > 15
    assert [line for line in threats if "`tests/" not in line] == []
    assert [each.promise for each in CRITERIA if not (each.proofs and each.controls)] == []
