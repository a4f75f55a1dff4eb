"""A client that TypeScript types from the contract compiles, and a misuse of it does not.

Needs Node.js: `make contract` runs it, `make test` does not.
"""

from pathlib import Path
from typing import Final

import pytest
from tests.gates.node import OPENAPI, node

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
