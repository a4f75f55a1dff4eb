"""Arrows point down, and every module has its place."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mediation_api"
MODULES = sorted(SOURCE.rglob("*.py"))
DOMAIN = sorted((SOURCE / "domain").rglob("*.py"))


def _named(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            found.add(node.module or "")
    return found


def _lint(copy: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(SOURCE, tmp_path / "mediation_api", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_layers_hold(copy: Path) -> None:
    done = _lint(copy)

    assert done.returncode == 0, done.stdout


def test_a_module_without_a_place_fails_the_build(copy: Path) -> None:
    (copy / "mediation_api" / "utils.py").write_text('"""Whatever."""\n', encoding="utf-8")

    done = _lint(copy)

    assert done.returncode != 0
    assert "utils" in done.stdout


def test_an_arrow_that_points_up_fails_the_build(copy: Path) -> None:
    (copy / "mediation_api" / "domain" / "eager.py").write_text(
        "from mediation_api.database import tables\n", encoding="utf-8"
    )

    done = _lint(copy)

    assert done.returncode != 0
    assert "mediation_api.domain.eager -> mediation_api.database.tables" in done.stdout


def test_a_circle_in_the_domain_fails_the_build_even_if_it_is_for_type_checking_alone(copy: Path) -> None:
    values = copy / "mediation_api" / "domain" / "values.py"
    circle = "\nif TYPE_CHECKING:\n    from mediation_api.domain.case import Case\n"
    values.write_text(values.read_text(encoding="utf-8") + circle, encoding="utf-8")

    done = _lint(copy)

    assert done.returncode != 0
    assert "No circle among the siblings of the domain BROKEN" in done.stdout


def test_an_import_of_what_only_development_needs_fails_the_build(copy: Path) -> None:
    (copy / "mediation_api" / "cli" / "eager.py").write_text("from mediation_api.dev import demo\n", encoding="utf-8")

    done = _lint(copy)

    assert done.returncode != 0
    assert "mediation_api.cli.eager -> mediation_api.dev.demo" in done.stdout


@pytest.mark.parametrize("path", DOMAIN, ids=_named)
def test_the_domain_imports_the_standard_library_and_itself_only(path: Path) -> None:
    foreign = {
        name
        for name in _imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("mediation_api.domain")
    }

    assert not foreign


@pytest.mark.parametrize("path", DOMAIN, ids=_named)
def test_the_domain_is_told_the_time_and_makes_no_identifiers(path: Path) -> None:
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }

    assert not called & {"now", "utcnow", "today", "time", "monotonic", "uuid1", "uuid4", "uuid7"}


def test_nothing_is_called_utils_common_helpers_or_base() -> None:
    names = {part for path in MODULES for part in path.relative_to(SOURCE).with_suffix("").parts}

    assert not names & {"utils", "util", "common", "helpers", "helper", "base", "misc", "services"}


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_nothing_is_typed_as_any(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "typing"
        for alias in node.names
    }

    # SQLAlchemy's columns are invariant in what they hold; nesting.py gives a list of several types its one name.
    assert ("Any" in imported) == (path.name == "nesting.py")


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_only_the_transaction_commits(path: Path) -> None:
    """One request is one transaction, and `Database.transaction` ends it."""
    commits = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]

    assert not commits


@pytest.mark.program
def test_no_engine_and_no_settings_are_made_at_import() -> None:
    script = """
import importlib, pkgutil, pydantic_settings, sqlalchemy.ext.asyncio as sa, sqlalchemy
def refuse(*_, **__): raise SystemExit("made at import")
pydantic_settings.BaseSettings.__init__ = refuse
sa.create_async_engine = sqlalchemy.create_engine = refuse
import mediation_api
for found in pkgutil.walk_packages(mediation_api.__path__, "mediation_api."):
    if "migrations" not in found.name:
        importlib.import_module(found.name)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_rules_model_of_the_tests_imports_nothing_of_the_service() -> None:
    """Else an error of the domain would be expected by the tests as well."""
    assert "mediation_api" not in Path("tests/office/model.py").read_text(encoding="utf-8")
