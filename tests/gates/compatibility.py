"""Nobody who builds on the newest released contract is broken by the present one (openapi/CHANGELOG.md).

Needs Node.js: `make contract` runs it, `make test` does not.
"""

from pathlib import Path
from typing import Final

import pytest
from tests.gates.node import OPENAPI, node
from tests.gates.planting import Change, committed, planted, with_copy, with_value, without

RELEASED: Final = sorted(
    (OPENAPI / "released").glob("*.json"), key=lambda path: [int(part) for part in path.stem.split(".")]
)
OUT: Final = "/components/schemas/CaseOut"
CASE: Final = "/paths/~1v1~1cases~1{case_id}/get"

BREAKING: Final[dict[str, Change]] = {
    "an operation is gone": without("/paths/~1v1~1cases~1{case_id}~1readiness"),
    "a field of an answer is gone": without(f"{OUT}/properties/alerts"),
    "a field of an answer has another type": with_value(f"{OUT}/properties/attempt", {"type": "string"}),
    "a field of an answer may be left out": with_value(f"{OUT}/required", ["id"]),
    "a field is wanted of requests": with_value(
        "/components/schemas/ConsentIn/required", ["decision", "disclosure_sha256", "channel"]
    ),
    "a closed enum has another value": with_value("/components/schemas/State/enum/-", "suspended"),
    "a parameter is gone": with_value("/paths/~1v1~1cases/get/parameters", []),
    "a status is gone": without(f"{CASE}/responses/404"),
    "a header of a problem is gone": without("/components/responses/QuotaExceeded/headers/Retry-After"),
}


def compared(old: Path, new: Path) -> tuple[int, str]:
    """The verdict on a change, with what was found."""
    verdict = node("redocly", "diff", old, new, "--fail-on", "major", "--check-version")
    # Without its rules the command finds nothing breaking, and passes.
    assert "No diff rules are on" not in verdict.stdout + verdict.stderr
    return verdict.returncode, verdict.stdout


def test_the_contract_breaks_nobody() -> None:
    assert RELEASED
    status, told = compared(RELEASED[-1], OPENAPI / "mediation-api.v1.json")
    assert status == 0, told


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The contract as it is."""
    return planted(committed(), [], tmp_path / "before.json")


@pytest.mark.parametrize("fault", BREAKING)
def test_what_would_break_somebody_is_found(fault: str, before: Path, tmp_path: Path) -> None:
    changed = planted(committed(), [BREAKING[fault], with_value("/info/version", "99.0.0")], tmp_path / "after.json")
    status, told = compared(before, changed)
    assert status != 0
    assert "major" in told


def test_what_is_added_breaks_nobody_and_is_a_new_version(before: Path, tmp_path: Path) -> None:
    added = with_copy(f"{OUT}/properties/opened_at", f"{OUT}/properties/reopened_at")
    silent = planted(committed(), [added], tmp_path / "silent.json")
    assert compared(before, silent)[0] != 0
    versioned = planted(committed(), [added, with_value("/info/version", "0.99.0")], tmp_path / "versioned.json")
    assert compared(before, versioned)[0] == 0
