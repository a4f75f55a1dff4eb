"""The journeys of openapi/workflows, played against a running service; each answer is held against the contract.

Needs Node.js: `make contract` runs it, `make test` does not. A journey that begins with another one plays it too.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from tests.gates.node import OPENAPI, node
from tests.serving import Served, served

JOURNEYS: Final = {path.name.removesuffix(".arazzo.yaml"): path for path in OPENAPI.glob("workflows/*.arazzo.yaml")}
BEGINNINGS: Final = {
    name
    for path in JOURNEYS.values()
    for name in re.findall(r"^    url: ([a-z-]+)\.arazzo\.yaml$", path.read_text(encoding="utf-8"), re.MULTILINE)
}
EMPLOYEE_NUMBER: Final = "4711"


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    """The service as `make run` starts it."""
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def tokens(service: Served) -> dict[str, str]:
    """Tokens for all the journeys: each takes a process of its own to get."""
    return {
        "intakeToken": service.token("intake"),
        "coordinatorToken": service.token("coordinator"),
        "integrationToken": service.token("integration"),
        "officerToken": service.token("officer", "--employee-number", EMPLOYEE_NUMBER),
    }


def inputs(service: Served, tokens: dict[str, str]) -> dict[str, str]:
    """What the journeys ask for: tokens, a key of this run, a mediator, and times of tomorrow."""
    subject = f"mediator-{uuid4()}"
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return {
        "key": str(uuid4()),
        "employeeNumber": EMPLOYEE_NUMBER,
        **tokens,
        "mediatorSubject": subject,
        "mediatorToken": service.token("mediator", "--subject", subject),
        "startsAt": tomorrow.isoformat(),
        "endsAt": (tomorrow + timedelta(hours=2)).isoformat(),
    }


def test_the_journeys_are_those_that_people_take() -> None:
    assert set(JOURNEYS) >= {
        "complaint-in-the-portal",
        "officers-answer",
        "scheduling-to-close",
        "withdrawal-after-filing",
        "withdrawal-instead-of-an-answer",
        "withdrawal-before-the-answer",
        "withdrawal-after-both-agreed",
        "withdrawal-before-the-session",
        "withdrawal-during-a-session",
        "withdrawal-after-the-session",
        "integrator-retry",
    }


@pytest.mark.parametrize("name", sorted(JOURNEYS.keys() - BEGINNINGS))
def test_a_journey_goes_as_the_contract_says(
    name: str, service: Served, tokens: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    played = node(
        "redocly",
        "respect",
        JOURNEYS[name],
        "--server",
        f"api={service.api}",
        "--input",
        json.dumps(inputs(service, tokens)),
        "--json-output",
        report,
    )
    assert played.returncode == 0, played.stdout
    assert report.exists(), played.stdout + played.stderr
    assert re.search(r"Checks: \d+ passed, \d+ total", played.stdout), played.stdout
