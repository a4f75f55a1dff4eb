"""Clients that others generate from the contract: TypeScript's compile, a misuse does not; Python's are whole.

What a list of values promises is held here as well: a new value of an open list passes both clients, and that one of a
closed list does not shows that it would be seen. tests/gates/walks.py walks the journeys with both.

Needs Node.js: `make gate-contract` runs it, `make test` does not.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Final

import pytest
from tests.gates.node import OPENAPI, generated_python, node, python

from mediation_api.main import OPERATIONS

CLIENT: Final = OPENAPI / "client-check"
PORTAL: Final = OPENAPI.parent / "docs" / "portal-client"
OPTIONS: Final = ["--default-non-nullable=false"]  # a field with a default may be left out of a request


@pytest.fixture(scope="module")
def types() -> Path:
    """The types that are made of the contract, and beside them what is compiled with them."""
    build = CLIENT / "build"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir()
    for source in (CLIENT / "enums.ts", PORTAL / "client.ts", PORTAL / "journeys.ts"):
        shutil.copy(source, build)
    made = build / "contract.ts"
    # Not where redocly.yaml is: the generator brings an older Redocly, which does not know all of it.
    generated = node("openapi-typescript", OPENAPI / "mediation-api.v1.json", "--output", made, *OPTIONS, cwd=CLIENT)
    assert generated.returncode == 0, generated.stderr
    return made


def compiled() -> tuple[int, str]:
    """What the compiler says."""
    told = node("tsc", "--project", CLIENT)
    return told.returncode, told.stdout


def test_the_journeys_compile_under_strict(types: Path) -> None:
    assert types.exists()
    status, told = compiled()
    assert status == 0, told


def test_what_the_contract_lacks_and_a_new_value_of_a_closed_list_do_not_compile(types: Path) -> None:
    contract = types.read_text(encoding="utf-8")
    changes = {
        "access_token: string": "token: string",
        '"agreed" | "declined"': '"agreed" | "declined" | "abstained"',
    }
    changed = contract
    for old, new in changes.items():
        assert old in contract
        changed = changed.replace(old, new)
    try:
        types.write_text(changed, encoding="utf-8")
        status, told = compiled()
    finally:
        types.write_text(contract, encoding="utf-8")
    assert status != 0
    assert "access_token" in told
    assert re.search(r"enums\.ts\(\d+,\d+\): error TS(2366|7030)", told), told


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Python client that is made of the contract."""
    return generated_python(tmp_path_factory.mktemp("python"))


IMPORT_ALL: Final = """
import importlib, pkgutil, mediation_api_client
names = [found.name for found in pkgutil.walk_packages(mediation_api_client.__path__, "mediation_api_client.")]
for name in names:
    importlib.import_module(name)
print(*names, sep="\\n")
"""


def test_a_generated_python_client_has_every_operation(client: Path) -> None:
    modules = python("-c", IMPORT_ALL, cwd=client).split()
    operations = {name.rpartition(".")[2] for name in modules if name.count(".") == 3}
    assert operations >= {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in OPERATIONS}


def test_a_python_client_takes_a_new_value_of_every_open_list_and_of_no_closed_one(client: Path) -> None:
    told = python(CLIENT / "values.py", OPENAPI / "mediation-api.v1.json", cwd=client)
    found: list[tuple[str, str, bool]] = json.loads(told)
    counted = {kind: sum(kind == each for _, each, _ in found) for kind in ("as it is", "open", "closed")}
    assert min(counted.values()) > 10, counted
    assert [place for place, kind, made in found if made == (kind == "closed")] == []
