"""The image: there is no container engine in the tests, so its recipe is held against the repository."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from mediation_api.cli.health import TIMEOUT_SECONDS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.strip().partition(" ") for line in lines)]


def _last(instruction: str) -> str:
    return [rest for word, rest in _instructions() if word == instruction][-1]


def _copied_from_the_repository() -> list[str]:
    copies = [shlex.split(rest) for word, rest in _instructions() if word == "COPY"]
    return [source for words in copies if not words[0].startswith("--from") for source in words[:-1]]


def _reaches_the_builder(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last rule that matches it decides."""
    let_through = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        rule = line.strip()
        if rule and not rule.startswith("#") and fnmatch(path, rule.removeprefix("!")):
            let_through = rule.startswith("!")
    return let_through


def test_everything_copied_exists_and_reaches_the_builder() -> None:
    copied = _copied_from_the_repository()

    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert _reaches_the_builder(source), source


def test_nothing_else_reaches_the_builder() -> None:
    let_through = {path.name for path in ROOT.iterdir() if _reaches_the_builder(path.name)}

    assert let_through <= {*_copied_from_the_repository(), "alembic.ini"}
    assert ".mediation" not in let_through


def test_everything_the_wheel_is_made_of_is_copied() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *(Path(package).parts[0] for package in wheel["packages"]),
        *wheel["force-include"],
        PROJECT["project"]["readme"],
        *PROJECT["project"]["license-files"],
        "pyproject.toml",
    }

    assert needed <= set(_copied_from_the_repository())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


def _run_from(wheel: Path, script: str) -> str:
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    return subprocess.run(command, env=environment, cwd=wheel.parent, capture_output=True, text=True, check=True).stdout


def test_the_wheel_holds_the_texts_and_reads_them(wheel: Path) -> None:
    script = "import mediation_api.texts.loader as l; print(l.__file__, *l.load_texts().current.languages)"

    assert _run_from(wheel, script).split() == [f"{wheel}/mediation_api/texts/loader.py", "en", "es"]


def test_the_wheel_holds_the_contract_that_it_serves(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as built:
        served = built.read("mediation_api/contract/mediation-api.v1.json")

    assert served == (ROOT / "openapi" / "mediation-api.v1.json").read_bytes()


def test_the_wheel_has_the_commands_of_production_and_nothing_of_development(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    script = (
        "from mediation_api.cli.main import app, token; print(*(c.callback.__name__ for c in app.registered_commands));"
        "print('token' if token.registered_callback else token.registered_commands[0].name)"
    )
    commands = set(_run_from(wheel, script).split())

    assert not [name for name in names if name.startswith(("mediation_api/dev/", "mediation_api/cli/dev"))]
    assert {"serve", "migrate", "roles", "retention", "version", "check"} <= commands
    assert not commands & {"dev", "token", "seed", "openapi"}


def test_only_hashed_packages_are_installed() -> None:
    installs = [
        part for word, rest in _instructions() if word == "RUN" for part in rest.split("&&") if " install " in part
    ]

    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps /build/dist/" in install, install


def test_it_starts_a_program_of_the_package() -> None:
    program, command = json.loads(_last("CMD"))

    assert program in PROJECT["project"]["scripts"]
    assert command == "serve"


def test_it_does_not_run_as_root() -> None:
    user = _last("USER")

    assert user not in {"root", "0"}
    made = next(rest for word, rest in _instructions() if word == "RUN" and "useradd" in rest)
    assert f"--uid {user} " in made


def test_its_healthcheck_is_a_module_of_the_wheel(wheel: Path) -> None:
    arguments, _, command = _last("HEALTHCHECK").partition(" CMD ")
    program, option, module = json.loads(command)

    assert (program, option) == ("python", "-m")
    assert f"{module.replace('.', '/')}.py" in zipfile.ZipFile(wheel).namelist()
    assert f"--timeout={TIMEOUT_SECONDS + 1:.0f}s" in arguments


def test_it_exposes_the_port_that_it_listens_on() -> None:
    environment = dict(
        pair.split("=", 1) for word, rest in _instructions() if word == "ENV" for pair in shlex.split(rest)
    )

    assert environment["MEDIATION_PORT"] == _last("EXPOSE")


def test_every_variable_it_sets_is_a_setting() -> None:
    table = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    for name in re.findall(r"MEDIATION_\w+(?==)", _last("ENV")):
        assert f"`{name}`" in table
