"""Plants faults in copies of the project and shows which gate turns red: `make gate-contract-faults`, some minutes.

`make gate-contract-faults ARGS=document` plants those of the document alone, `ARGS=code` those of the code.

A fault in the document stands for a change that somebody made and wrote into the contract as well; a fault in the code
for one that they did not. Fails when a fault survives every gate, and when a gate is red without a fault.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.gates.planting import CONTRACT, Change, committed, planted, with_value, without

COPIED: Final = ("src", "tests", "migrations", "openapi", "docs", "pyproject.toml", "alembic.ini", "README.md")
ROUTERS: Final = "src/mediation_api/routers"

GATES: Final[dict[str, tuple[str, ...]]] = {
    "same": ("tests/openapi/test_contract.py",),
    "lint": ("tests/gates/lint.py", "-k", "keeps_every_rule"),
    "client": ("tests/gates/client.py", "-k", "under_strict or python_client"),
    "probes": ("tests/http/test_idempotency.py", "tests/routers/test_access.py"),
    "journeys": ("tests/gates/journeys.py",),
}
"""What each gate runs. `same`: document, routes and public operations are the application's."""
OF_THE_DOCUMENT: Final = ("same", "lint", "client")
OF_THE_CODE: Final = ("same", "probes", "journeys")


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of one file of the code: what stands there once, and what stands there then."""

    file: str
    old: str
    new: str


CASE: Final = "/paths/~1v1~1cases~1{case_id}/get"

FAULTS: Final[dict[str, Change | Edit]] = {
    "document: a field of an answer dropped": without("/components/schemas/ComplaintFiledOut/properties/case_id"),
    "document: a closed enum widened": with_value("/components/schemas/State/enum/-", "suspended"),
    "document: an operation without security": with_value(f"{CASE}/security", []),
    "document: an operation without its scope": with_value(f"{CASE}/security", [{"StaffBearer": []}]),
    "document: a status not documented": without(f"{CASE}/responses/404"),
    "document: a route missing": without("/paths/~1v1~1disclosures"),
    "document: a request schema opened": without("/components/schemas/ConsentIn/additionalProperties"),
    "code: a field of an answer dropped": Edit(
        f"{ROUTERS}/complaints.py",
        '    case_id: UUID | None = Field(description="The case that was opened, if `interested_in_mediation`.")\n',
        "",
    ),
    "code: a closed enum widened": Edit(
        "src/mediation_api/domain/target.py",
        '    COURT_DATE = "court_date"\n',
        '    COURT_DATE = "court_date"\n    HOLIDAY = "holiday"\n',
    ),
    "code: an operation without its scope": Edit(
        f"{ROUTERS}/agreements.py",
        """    oauth_scope="agreements:write",
    events=(AgreementSigned,""",
        """    oauth_scope=None,
    events=(AgreementSigned,""",
    ),
    "code: an operation open to the public": Edit(
        f"{ROUTERS}/complaints.py",
        """"listComplaints",
    access=allow(office=INTAKE,""",
        """"listComplaints",
    access=allow(office=(Role.PUBLIC, *INTAKE),""",
    ),
    "code: scopes not enforced": Edit("src/mediation_api/domain/access.py", "raise ScopeMissing(scope)", "pass"),
    "code: a status not documented": Edit(
        f"{ROUTERS}/consents.py", "response.status_code = 200", "response.status_code = 208"
    ),
    "code: a route hidden from the contract": Edit(
        f"{ROUTERS}/cases.py",
        '@router.get("/{case_id}/readiness",',
        '@router.get("/{case_id}/ready", include_in_schema=False,',
    ),
    "code: Idempotency-Key ignored": Edit(
        "src/mediation_api/http/idempotency.py", "    key = idempotency_key.strip('\"').encode()\n", "    return\n"
    ),
    "code: If-Match not enforced": Edit(
        "src/mediation_api/http/idempotency.py", "            raise HTTPException(412)\n", "            return\n"
    ),
}


def main(wanted: str = "") -> str | None:
    """Print the table of the faults whose names begin with `wanted`. Returns what is wrong with it."""
    with ThreadPoolExecutor(2) as pool, tempfile.TemporaryDirectory(prefix="mediation-faults-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the user that PostgreSQL runs as passes through
        rows: list[tuple[str, Change | Edit | None]] = [("nothing planted", None)]
        rows += [(name, fault) for name, fault in FAULTS.items() if name.startswith(wanted)]
        copies = [(_copy(folder / str(number), fault), fault) for number, (_, fault) in enumerate(rows)]
        width = max(len(name) for name, _ in rows)
        _print(f"{'':{width}}  {'  '.join(f'{gate:8}' for gate in GATES)}")
        results = []
        for (row, _), red in zip(rows, pool.map(lambda copy: _red(*copy), copies), strict=True):
            results.append(red)
            cells = ("" if gate not in red else "RED" if red[gate] else "green" for gate in GATES)
            _print(f"{row:{width}}  {'  '.join(f'{cell:8}' for cell in cells)}")
    survived = [name for (name, fault), red in zip(rows, results, strict=True) if fault and not any(red.values())]
    if any(results[0].values()):
        return "A gate is red without a fault: the table says nothing."
    return f"Survived every gate: {'; '.join(survived)}" if survived else None


def _print(line: str) -> None:
    """Print at once: the next row may take a minute."""
    sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def _copy(at: Path, fault: Change | Edit | None) -> Path:
    """Copy the project without what is installed or made, plant the fault, and lend it the installed."""
    at.mkdir(mode=0o711)
    for name in COPIED:
        if Path(name).is_dir():
            ignored = shutil.ignore_patterns("node_modules", ".python-client", "build", "__pycache__")
            shutil.copytree(name, at / name, ignore=ignored)
        else:
            shutil.copy(name, at / name)
    (at / ".venv").symlink_to(Path(".venv").absolute())
    for installed in ("openapi/node_modules", "openapi/.python-client"):
        (at / installed).symlink_to(Path(installed).absolute())
    if isinstance(fault, Change):
        planted(committed(), [fault], at / CONTRACT)
    if isinstance(fault, Edit):
        text = (at / fault.file).read_text(encoding="utf-8")
        (at / fault.file).write_text(planted_in(text, fault), encoding="utf-8")
    return at


def planted_in(text: str, edit: Edit) -> str:
    """The text of the file with the fault. Raises LookupError: what it replaces does not stand there once."""
    if text.count(edit.old) != 1:
        raise LookupError(f"{edit.file} does not hold once: {edit.old}")
    return text.replace(edit.old, edit.new)


def _red(copy: Path, fault: Change | Edit | None) -> dict[str, bool]:
    """Which gates are red in this copy; those that cannot see such a fault are left out."""
    gates: Sequence[str] = tuple(GATES)
    if fault is not None:
        gates = OF_THE_DOCUMENT if isinstance(fault, Change) else OF_THE_CODE
    return {gate: _is_red(copy, GATES[gate]) for gate in gates}


def _is_red(copy: Path, gate: Sequence[str]) -> bool:
    done = subprocess.run(
        [copy / ".venv/bin/python", "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *gate],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1}:  # of pytest: passed, failed
        raise RuntimeError(f"{' '.join(gate)} could not run:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
