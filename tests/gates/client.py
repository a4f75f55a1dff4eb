"""Clients that others generate from the contract: TypeScript's compiles, a misuse of it does not; Python's is whole.

Needs Node.js: `make gate-contract` runs it, `make test` does not.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
from tests.gates.node import OPENAPI, TIMEOUT, node

from mediation_api.main import OPERATIONS

CLIENT: Final = OPENAPI / "client-check"
OPTIONS: Final = ["--default-non-nullable=false"]  # a field with a default may be left out of a request


@pytest.fixture(scope="module")
def types() -> Path:
    """The types that are made of the contract."""
    made = CLIENT / "build" / "contract.ts"
    # Not where redocly.yaml is: the generator brings an older Redocly, which does not know all of it.
    generated = node("openapi-typescript", OPENAPI / "mediation-api.v1.json", "--output", made, *OPTIONS, cwd=CLIENT)
    assert generated.returncode == 0, generated.stderr
    return made


def compiled() -> tuple[int, str]:
    """What the compiler says."""
    told = node("tsc", "--project", CLIENT)
    return told.returncode, told.stdout


def test_a_journey_compiles_under_strict(types: Path) -> None:
    assert types.exists()
    status, told = compiled()
    assert status == 0, told


def test_a_field_that_the_contract_lacks_does_not_compile(types: Path) -> None:
    contract = types.read_text(encoding="utf-8")
    try:
        types.write_text(contract.replace("access_token: string", "token: string"), encoding="utf-8")
        status, told = compiled()
    finally:
        types.write_text(contract, encoding="utf-8")
    assert status != 0
    assert "access_token" in told


IMPORT_ALL: Final = """
import importlib, pkgutil, mediation_api_client
names = [found.name for found in pkgutil.walk_packages(mediation_api_client.__path__, "mediation_api_client.")]
for name in names:
    importlib.import_module(name)
print(*names, sep="\\n")
"""


def python(*arguments: str | Path, cwd: Path) -> str:
    """Run the interpreter that the generator of Python clients is installed in; give what it prints."""
    interpreter = OPENAPI / ".python-client" / "bin" / "python"
    told = subprocess.run(
        [interpreter, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_a_generated_python_client_has_every_operation(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("post_hooks: []\n", encoding="utf-8")  # it would be formatted, which takes another tool
    made = tmp_path / "made"
    contract = OPENAPI / "mediation-api.v1.json"
    generate = ("-m", "openapi_python_client", "generate", "--path", contract, "--output-path", made)
    told = python(*generate, "--config", config, "--fail-on-warning", cwd=tmp_path)
    assert "WARNING" not in told, told
    modules = python("-c", IMPORT_ALL, cwd=made).split()
    operations = {name.rpartition(".")[2] for name in modules if name.count(".") == 3}
    assert operations >= {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in OPERATIONS}
