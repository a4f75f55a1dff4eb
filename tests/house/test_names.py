"""A name of the service means one thing wherever it is read."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "mediation_api"
REPEATED = {"router", "logger", "T"}
"""What each module that has one calls by the same name."""
DEPENDENCIES = SOURCE / "http" / "dependencies.py"
"""Names the dependency that gives a repository as the repository itself."""


def _public_names(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_no_two_modules_give_a_class_or_a_constant_the_same_name() -> None:
    """Functions are left out: a route and the rule it applies share a verb, and a function is called by its module."""
    modules = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        if path == DEPENDENCIES:
            continue
        for name in set(_public_names(ast.parse(path.read_text(encoding="utf-8")))):
            if not name.startswith("_") and name not in REPEATED:
                modules[name].append(str(path.relative_to(SOURCE)))
    twice = {name: found for name, found in modules.items() if len(found) > 1}
    assert twice == {}, "give one of each two another name: a reader looks for a name and finds one thing"
