"""The contract and the journeys keep the rules of openapi/redocly.yaml, and each rule that is named there fires.

Needs Node.js: `make gate-contract` runs it, `make test` does not.
"""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest
from tests.gates.node import OPENAPI, node
from tests.gates.planting import Change, committed, planted, with_copy, with_value, without

CASES: Final = "/paths/~1v1~1cases/get"
FILE: Final = "/paths/~1v1~1complaints/post"
CORRECT: Final = "/paths/~1v1~1complaints~1{complaint_id}/patch"
HEALTH: Final = "/components/responses/Health"
SCHEMAS: Final = "/components/schemas"

FAULTS: Final[dict[str, Change]] = {
    "info-contact": without("/info/contact"),
    "operation-description": without(f"{CASES}/description"),
    "operation-singular-tag": with_value(f"{CASES}/tags/-", "parties"),
    "operation-tag-defined": with_value(f"{CASES}/tags", ["boards"]),
    "tag-description": without("/tags/0/description"),
    "parameter-description": without("/components/parameters/limit/description"),
    "paths-kebab-case": with_copy("/paths/~1v1~1cases", "/paths/~1v1~1openCases"),
    "no-path-trailing-slash": with_copy("/paths/~1v1~1cases", "/paths/~1v1~1cases~1"),
    "no-invalid-media-type-examples": with_value(f"{HEALTH}/content/application~1json/example", {"status": "unwell"}),
    "no-invalid-parameter-examples": with_value("/components/parameters/Idempotency-Key/example", "short"),
    "no-invalid-schema-examples": with_value(f"{SCHEMAS}/Email/examples", [404]),
    "mediation/operation-id": with_value(f"{CASES}/operationId", "casesList"),
    "mediation/path-shape": with_copy("/paths/~1v1~1cases", "/paths/~1v1~1case"),
    "mediation/snake-case": with_copy(
        f"{SCHEMAS}/CaseOut/properties/opened_at", f"{SCHEMAS}/CaseOut/properties/openedAt"
    ),
    "mediation/names-tell-types": with_value(f"{SCHEMAS}/CaseOut/properties/opened_at", {"type": "string"}),
    "mediation/problems": with_value(
        f"{CASES}/responses/403", {"description": "No.", "content": {"application/json": {"schema": True}}}
    ),
    "mediation/refusals": without(f"{CORRECT}/responses/428"),
    "mediation/closed-requests": without(f"{SCHEMAS}/GuardianIn/additionalProperties"),
    "mediation/bounded-requests": without(f"{SCHEMAS}/Line/maxLength"),
    "mediation/bounded-responses": without(f"{SCHEMAS}/CaseOut/properties/participants/maxItems"),
    "mediation/one-direction": with_value(
        f"{FILE}/responses/201/content/application~1json/schema/$ref", f"#{SCHEMAS}/ComplaintIn"
    ),
    "mediation/idempotency-key": with_value("/components/parameters/Idempotency-Key/required", value=False),
    "mediation/if-match": with_value(f"{CORRECT}/parameters", []),
    "mediation/lists": with_value(f"{SCHEMAS}/CaseList/required", ["items"]),
    "mediation/public-operations": with_value(f"{CASES}/security", []),
    "mediation/described": with_value(f"{CORRECT}/x-audit-event", []),
    "mediation/property-description": without(f"{SCHEMAS}/CaseOut/properties/opened_at/description"),
    "mediation/successes-say-what": with_value(f"{HEALTH}/description", "Successful Response"),
    "mediation/scopes": with_value(f"{CASES}/security", [{"StaffBearer": []}]),
    "mediation/examples": without(f"{SCHEMAS}/ComplaintIn/examples"),
    "mediation/leads-on": without(f"{FILE}/responses/201/links"),
}
"""For each rule that is named in redocly.yaml the fault that it is there for."""


def test_the_contract_keeps_every_rule() -> None:
    linted = node("redocly", "lint", "mediation-api.v1.json", "--format", "stylish")
    assert linted.returncode == 0, linted.stdout


def test_the_journeys_are_arazzo() -> None:
    linted = node("redocly", "lint", *sorted(OPENAPI.glob("workflows/*.arazzo.yaml")), "--format", "stylish")
    assert linted.returncode == 0, linted.stdout


def test_every_rule_that_is_named_has_a_fault_that_shows_it() -> None:
    rules = (OPENAPI / "redocly.yaml").read_text(encoding="utf-8").partition("\nrules:\n")[2]
    named = re.findall(r"^  ([a-z/-]+):(?: error)?$", rules, re.MULTILINE)
    ours = (OPENAPI / "rules.js").read_text("utf-8").partition("\nconst ours = {")[2].partition("\n};")[0]
    written = re.findall(r"^  '?([a-z-]+)'?(?:: \w+)?,$", ours, re.MULTILINE)
    assert set(named) == set(FAULTS)
    assert {f"mediation/{name}" for name in written} == {name for name in named if name.startswith("mediation/")}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Which rules fired on which copy; all are linted in one run."""
    folder = tmp_path_factory.mktemp("lint")
    contract = committed()
    copies = [planted(contract, [change], folder / f"{rule.replace('/', '.')}.json") for rule, change in FAULTS.items()]
    # One object for each file, one after the other.
    text = node("redocly", "lint", *copies, "--format", "json", "--max-problems", "10000").stdout
    fired = defaultdict(set)
    decoder = json.JSONDecoder()
    while text.strip():
        report, end = decoder.raw_decode(text := text.lstrip())
        for problem in report["problems"]:
            fired[Path(problem["location"][0]["source"]["ref"]).stem].add(problem["ruleId"])
        text = text[end:]
    return fired


@pytest.mark.parametrize("rule", FAULTS)
def test_a_rule_fires(rule: str, found: dict[str, set[str]]) -> None:
    assert rule in found[rule.replace("/", ".")]
