"""Both generated clients walk the journeys, against the mock and against the service, and print the same.

The client in TypeScript is that of the portal guide, whose commands run here word for word. The one in Python is made
of the contract and walks openapi/client-check/journeys.py.

Needs Node.js: `make gate-contract` runs it, `make test` does not.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from tests.gates.node import OPENAPI, generated_python, python
from tests.serving import Served, served, wait_until_answered

ROOT: Final = Path(__file__).resolve().parents[2]
GUIDE: Final = (ROOT / "docs" / "portal-guide.md").read_text(encoding="utf-8")
FOLLOWED: Final = GUIDE.partition("<!-- follow -->\n")[2].partition("<!-- /follow -->")[0]
COMMANDS: Final = re.findall(r"```bash\n(.*?)```\n", FOLLOWED, re.DOTALL)
PORT: Final = "4010"
"""The mock's in the guide. A test takes a free one instead, since somebody may be following the guide."""
PATIENCE_SECONDS: Final = 400.0
"""A client that goes on for longer walks in a circle: is there no null in the examples of `next_cursor`?"""
MOCKED: Final = dict.fromkeys(("INTAKE", "COORDINATOR", "OFFICER", "MEDIATOR", "INTEGRATION"), "any")


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def followed(reader: Served) -> str:
    """What the commands of the guide print."""
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", "\n".join(COMMANDS).replace(PORT, str(free_port()))],  # noqa: S607 - the reader's
        cwd=reader.folder,
        env={**os.environ, "API": reader.api},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired as expired:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.communicate()
        raise AssertionError("a client walks in a circle") from expired
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)  # the mock, when a command before `kill` failed
    assert shell.returncode == 0, printed
    return printed


@pytest.fixture(scope="module")
def walked(reader: Served, followed: str) -> str:
    """What the client in TypeScript printed of the service, line by line."""
    assert followed
    return (reader.folder / "docs" / "portal-client" / "service.txt").read_text(encoding="utf-8")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mocked(reader: Served) -> Iterator[str]:
    """The mock that the guide installed, on a port of its own."""
    folder, port = reader.folder / "docs" / "portal-client", free_port()
    prism = folder / "node_modules" / ".bin" / "prism"
    command = [str(prism), "mock", "--errors", "--port", str(port), "../../openapi/mediation-api.v1.json"]
    log = folder / "mock.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        wait_until_answered(process, f"http://127.0.0.1:{port}/health/live", log.read_text)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def walk_in_python(client: Path, api: str, tokens: Mapping[str, str]) -> str:
    """Walk the journeys with the Python client."""
    people = {"MEDIATOR_SUBJECT": "python-mediator", "OFFICER_NUMBER": "4712"}
    return python(OPENAPI / "client-check" / "journeys.py", cwd=client, env={"API": api, **people, **tokens})


def test_typescript_has_the_same_results_with_the_mock_and_with_the_service(followed: str, walked: str) -> None:
    assert followed.splitlines()[-1] == "The same."
    assert len(walked.splitlines()) > 50
    for line in (
        "listDisclosures again: 304, the text that was read before",
        "closeCase: 201, the case, closed",
        "recordGuardianConsent: 201, the guardian's answer",
        "signAgreement on paper: 201, a signature",
        "recordWithdrawal: it stands",
        "getCase of a case that does not exist: 404, a problem with a code",
        "correctComplaint after somebody else: 412, a problem with a code",
    ):
        assert line in walked.splitlines()


def test_python_has_the_same_results_as_typescript(reader: Served, walked: str, tmp_path: Path) -> None:
    client = generated_python(tmp_path)
    tokens = {
        "INTAKE": reader.token("intake"),
        "COORDINATOR": reader.token("coordinator"),
        "OFFICER": reader.token("officer", "--employee-number", "4712"),
        "MEDIATOR": reader.token("mediator", "--subject", "python-mediator"),
        "INTEGRATION": reader.token("integration"),
    }
    with mocked(reader) as api:
        assert walk_in_python(client, api, MOCKED) == walked
    assert walk_in_python(client, reader.api, tokens) == walked


def test_every_operation_that_the_guide_draws_is_in_the_contract() -> None:
    contract = (ROOT / "openapi" / "mediation-api.v1.json").read_text(encoding="utf-8")
    drawn = set(re.findall(r"(?:GET|POST|PATCH|PUT) (/v1/[a-z/_{}-]+)", GUIDE))
    assert len(drawn) > 10
    assert {path for path in drawn if f'"{path}": {{' not in contract} == set()
