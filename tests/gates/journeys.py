"""The journeys of openapi/workflows, played against a running service; each answer is held against the contract.

Needs Node.js: `make gate-contract` runs it, `make test` does not. A journey that begins with another one plays it too.
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
    }


def inputs(service: Served, tokens: dict[str, str]) -> dict[str, str]:
    """What the journeys ask for: tokens, a key of this run, an officer, a mediator, and times.

    The session is half an hour ahead: near enough to be started. Each journey has an officer of its own, who is booked
    for no other session at that time.
    """
    subject = f"mediator-{uuid4()}"
    employee_number = uuid4().hex[:12]
    starts_at = datetime.now(UTC) + timedelta(minutes=30)
    return {
        "key": str(uuid4()),
        "employeeNumber": employee_number,
        "officerToken": service.token("officer", "--employee-number", employee_number),
        **tokens,
        "mediatorSubject": subject,
        "mediatorToken": service.token("mediator", "--subject", subject),
        "startsAt": starts_at.isoformat(),
        "endsAt": (starts_at + timedelta(hours=2)).isoformat(),
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
