"""The portal guide is true: its commands run word for word, and the mock and the service give the same results."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from tests.serving import Served, served

ROOT: Final = Path(__file__).resolve().parents[2]
GUIDE: Final = (ROOT / "docs" / "portal-guide.md").read_text(encoding="utf-8")
FOLLOWED: Final = GUIDE.partition("<!-- follow -->\n")[2].partition("<!-- /follow -->")[0]
COMMANDS: Final = re.findall(r"```bash\n(.*?)```\n", FOLLOWED, re.DOTALL)
PATIENCE_SECONDS: Final = 300.0


@pytest.fixture
def reader() -> Iterator[Served]:
    """Somebody who has the repository and a running service."""
    with served() as running:
        shutil.copytree(
            ROOT / "docs" / "portal-client",
            running.folder / "docs" / "portal-client",
            ignore=shutil.ignore_patterns("node_modules", "build", "contract.d.ts", "*.txt", "*.log"),
        )
        (running.folder / "openapi").mkdir()
        shutil.copy(ROOT / "openapi" / "mediation-api.v1.json", running.folder / "openapi")
        yield running


def test_the_same_client_has_the_same_results_with_the_mock_and_with_the_service(reader: Served) -> None:
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", "\n".join(COMMANDS)],  # noqa: S607 - the reader's
        cwd=reader.folder,
        env={**os.environ, "API": reader.api},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(timeout=PATIENCE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)  # the mock, when a command before `kill` failed
    assert shell.returncode == 0, printed
    assert printed.splitlines()[-1] == "The same."

    results = (reader.folder / "docs" / "portal-client" / "service.txt").read_text(encoding="utf-8")
    assert len(results.splitlines()) > 20
    assert "closeCase: 201, the case, closed" in results
    assert "withdraw: it stands" in results
    assert "getCase of a case that does not exist: 404, not-found" in results


def test_every_operation_that_the_guide_draws_is_in_the_contract() -> None:
    contract = (ROOT / "openapi" / "mediation-api.v1.json").read_text(encoding="utf-8")
    drawn = set(re.findall(r"(?:GET|POST) (/v1/[a-z/_{}-]+)", GUIDE))
    assert len(drawn) > 10
    assert {path for path in drawn if f'"{path}": {{' not in contract} == set()
