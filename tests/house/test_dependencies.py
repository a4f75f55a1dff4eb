"""What is installed is locked and hashed, and each dependency says why it is there."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-build.lock",
    "openapi/python-client.lock",
    ".ci/scan.lock",
)
# Where the name one imports is not the name one installs.
DISTRIBUTIONS = {"jose": "python-jose", "opentelemetry": "opentelemetry-sdk"}


def _locked(name: str) -> dict[str, str]:
    """The versions in a lock file, by name."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.+!-]+)", text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    assert "://" not in text
    assert "-url" not in text
    assert "find-links" not in text


@pytest.mark.parametrize("name", LOCKS)
def test_everything_locked_has_a_hash(name: str) -> None:
    entries = re.split(r"^(?=[A-Za-z])", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]

    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("declared", "lock"),
    [
        (PROJECT["project"]["dependencies"], "requirements.lock"),
        (PROJECT["project"]["dependencies"], "requirements-dev.lock"),
        (PROJECT["project"]["optional-dependencies"]["dev"], "requirements-dev.lock"),
        (PROJECT["project"]["optional-dependencies"]["traces"], "requirements-dev.lock"),
        (PROJECT["build-system"]["requires"], "requirements-build.lock"),
    ],
    ids=["runtime", "runtime for developers", "development", "traces", "build"],
)
def test_what_is_declared_is_locked(declared: list[str], lock: str) -> None:
    locked = _locked(lock)

    for requirement in map(Requirement, declared):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)], prereleases=True), (
            f"{requirement}: make lock"
        )


def test_a_lock_keeps_the_extras() -> None:
    """Without them, pip 23 looks for the newest of what is asked for with an extra, and finds no hash for it."""
    asked = {r.name: r.extras for r in map(Requirement, PROJECT["project"]["dependencies"]) if r.extras}

    assert asked
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert [f"{asking}[{','.join(extras)}]==" in text for asking, extras in asked.items()] == [True] * len(asked)


def test_developers_run_what_production_runs() -> None:
    developers = _locked("requirements-dev.lock")

    for lock in ("requirements.lock", "requirements-build.lock"):
        assert {name: developers.get(name) for name in _locked(lock)} == _locked(lock)


def test_each_dependency_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tables = re.findall(r"^(?:dependencies|dev|traces) = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)

    assert len(tables) == 3
    for line in "".join(tables).splitlines():
        assert re.search(r"\", +# \S.{3,}$", line), line


TRACES = ROOT / "src" / "mediation_api" / "tracing.py"
"""The one file that needs the extra `traces`; it is imported only where it is set."""


def _imported(*without: Path) -> set[str]:
    found: set[str] = set()
    for path in {*(ROOT / "src").rglob("*.py")} - {*without}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"mediation_api"}


def test_what_the_package_imports_is_declared_for_production() -> None:
    """So that the image, which holds the runtime lock and nothing else, can import it."""
    declared = {canonicalize_name(Requirement(requirement).name) for requirement in PROJECT["project"]["dependencies"]}
    # They belong to the interfaces of FastAPI (requests, middleware) and pydantic (schemas of own types).
    declared |= {canonicalize_name("starlette"), canonicalize_name("pydantic-core")}

    assert {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in _imported(TRACES)} <= declared


def test_the_forbidden_libraries_of_the_domain_are_all_there_are() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    forbidden = set(next(c for c in contracts if c["type"] == "forbidden")["forbidden_modules"])

    assert _imported() <= forbidden
