"""What `make gate-contract-faults` plants has a place to be planted in: seen at once, and not when somebody runs it."""

from pathlib import Path
from typing import Final

import pytest
from tests.gates.faults import FAULTS, planted_in
from tests.gates.planting import Change, committed, planted

KINDS: Final = (
    "a field of an answer dropped",
    "a closed enum widened",
    "without its scope",
    "a status not documented",
    "a route missing",
    "Idempotency-Key ignored",
    "If-Match not enforced",
)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_place(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    if isinstance(fault, Change):
        assert planted(committed(), [fault], tmp_path / "contract.json").exists()
    else:
        assert planted_in(Path(fault.file).read_text(encoding="utf-8"), fault)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_is_planted(kind: str) -> None:
    assert [name for name in FAULTS if kind in name]
