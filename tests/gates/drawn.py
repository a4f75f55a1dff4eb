"""Plants every drawn fault (kinds.py) and writes which gate saw it: `make gate-faults`, some twenty minutes.

    make gate-faults                      all of them; writes build/faults.md
    make gate-faults ARGS="filter role"   those whose kind has one of these words, printed only

A gate is a file of tests; `every answer` is what tests/openapi/conformity.py finds in whatever test. Fails when a fault
was seen by none, and when the tests are refused nothing with a code that an operation names.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.gates.kinds import KINDS, drawn
from tests.openapi.conformity import Refused, contract

PAGE: Final = Path("build/faults.md")
GATES: Final = (
    "tests/openapi",
    "tests/http/test_idempotency.py",
    "tests/http/test_pagination.py",
    "tests/routers/test_access.py",
    "tests/routers/test_corrections.py",
    "tests/routers/test_filters.py",
    "tests/routers/test_modes.py",
    "tests/routers/test_operations.py",
    "tests/scenarios/test_access_log.py",
    "tests/scenarios/test_local_day.py",
)
"""The tests that run with a fault. What `make test` runs besides them would see more of the faults, and none less."""
OF_REFUSALS: Final = ("tests/promises", "tests/routers", "tests/scenarios", "tests/test_histories.py")
"""Between them, refused with each code that an operation names; they run with a fault in the answer of a refusal."""
BELOW: Final = {
    "domain": ("tests/domain", "tests/scenarios/test_lifecycle_over_http.py", "tests/scenarios/test_local_day.py"),
    "repository": (
        "tests/openapi",
        "tests/routers/test_filters.py",
        "tests/scenarios/test_access_log.py",
        "tests/scenarios/test_lifecycle_over_http.py",
    ),
    "database": (
        "tests/database/test_constraints.py",
        "tests/database/test_row_security.py",
        "tests/scenarios/test_audiences.py",
    ),
}
"""Those for a fault that is in no operation, by layer."""
OF_DECLARATIONS: Final = (
    "tests/openapi/test_contract.py",
    "tests/routers/test_access.py",
    "tests/routers/test_operations.py",
)
"""Read what operations declare, and call few of them."""
INTRODUCTION: Final = """# Faults and gates

Which gate sees which fault. `make gate-faults` writes this page: it plants each fault in the running service, one at a
time, and runs the gates. What each kind does and where it may be planted is in
[tests/gates/kinds.py](../tests/gates/kinds.py); where it is planted is drawn by a hash of the names, so that nobody
chooses an easy place. `every answer` is the check of each answer against the contract, which runs in all tests.

"""


def main(*words: str) -> str | None:
    """Plant, and print or write the table. Returns what is wrong."""
    faults = [each for each in drawn() if not words or any(word in each[0] for word in words)]
    with tempfile.TemporaryDirectory(prefix="mediation-faults-") as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        without = _run(folder, "nothing", "nothing", sorted({*GATES, *OF_REFUSALS}))
        if without.seen:
            return f"Red without a fault, so that the table would say nothing: {', '.join(without.seen)}"
        if never := contract().refusals() - without.refusals:
            return f"Named by the contract and never refused: {'; '.join(map(' '.join, sorted(never)))}"
        seen = list(
            pool.map(lambda fault: _run(folder, fault[0], fault[1], _tests(fault[0], fault[1], without)).seen, faults)
        )
    text = _page(faults, seen)
    if words:
        sys.stdout.write(text)
    else:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
    missed = [f"{kind} ({where})" for (kind, where), gates in zip(faults, seen, strict=True) if not gates]
    return f"Seen by no gate: {'; '.join(missed)}" if missed else None


@dataclass(frozen=True, slots=True)
class Found:
    """The gates that are red with a fault. With none, the tests that call each operation, and what is refused."""

    seen: list[str]
    calls: Mapping[str, Sequence[str]]
    refused: Mapping[str, Sequence[str]]
    refusals: frozenset[Refused]


def _tests(kind: str, where: str, without: Found) -> Sequence[str]:
    """Return the tests that can see a fault: of one in an operation, those that call it."""
    if KINDS[kind].refusals:
        return without.refused.get(where, ())
    if KINDS[kind].layer in {"domain", "database"} or ":" in where:
        return BELOW[KINDS[kind].layer]
    files = OF_DECLARATIONS if KINDS[kind].layer == "access" else ()
    called = [test for test in without.calls.get(where.partition(" ")[0], ()) if test.startswith(GATES)]
    whole = {*files, *(test for test in called if "::" not in test)}
    return sorted({*whole, *(test for test in called if test.partition("::")[0] not in whole)})


def _run(folder: Path, kind: str, where: str, tests: Sequence[str]) -> Found:
    """Run tests with this fault."""
    report, listed = folder / f"{kind} {where}.json".replace("/", "."), folder / f"{kind} {where}.txt".replace("/", ".")
    listed.write_text("\n".join(tests), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "--tb=short", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, "-p", "tests.gates.planted", f"@{listed}"],
        env={**os.environ, "PLANTED": json.dumps([kind, where]), "PLANTED_SEEN": str(report)},
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists() or ran.returncode not in {0, 1, 2}:  # of pytest: passed, failed, could not be collected
        raise RuntimeError(f"{kind}, {where} could not be planted:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    found = json.loads(report.read_text(encoding="utf-8"))
    sys.stderr.write(f"{kind} | {where} | {len(tests)} | {', '.join(found['seen'])}\n")
    refusals = frozenset(tuple(each) for each in found["refusals"])
    return Found(found["seen"], found["calls"], found["refused"], refusals)


def _page(faults: list[tuple[str, str]], seen: list[list[str]]) -> str:
    rows = [
        f"| {KINDS[kind].layer} | {kind} | `{where}` | {', '.join(gates) or '**none**'} |"
        for (kind, where), gates in zip(faults, seen, strict=True)
    ]
    counted = Counter(gate for gates in seen for gate in gates)
    lines = [
        *("| Layer | Fault | Planted in | Seen by |", "| --- | --- | --- | --- |", *rows, ""),
        *(
            f"{len(faults)} faults, {sum(map(bool, seen))} of them seen.",
            "",
            "| Gate | Faults it saw |",
            "| --- | --- |",
        ),
        *(f"| {gate} | {number} |" for gate, number in counted.most_common()),
    ]
    return INTRODUCTION + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
