"""What holds answers and requests against the contract sees what it is there for."""

import json
from collections.abc import Mapping
from typing import Final

import httpx
import pytest
from tests.openapi.census import Json, Modes
from tests.openapi.conformity import contract, wrong_audience

from mediation_api.dev.office import Office
from mediation_api.domain.access import Role

DOCUMENT: Final[Mapping[str, Json]] = {
    "components": {
        "schemas": {
            "Person": {
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "side": {"anyOf": [{"enum": ["complainant", "officer"]}, {"type": "null"}]},
                },
            }
        }
    },
    "paths": {
        "/people": {
            "post": {
                "operationId": "addPeople",
                "parameters": [{"name": "dry", "in": "query", "schema": {"type": "boolean"}}],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "properties": {
                                    "people": {"type": "array", "items": {"$ref": "#/components/schemas/Person"}}
                                },
                                "required": ["people"],
                            }
                        }
                    }
                },
            }
        }
    },
}
SIDE: Final = "body.people[].side"


def test_the_census_enumerates_values_nulls_and_what_is_left_out() -> None:
    assert {mode for _, mode in Modes(DOCUMENT).every()} == {
        *("body given", "body left out", "body.people given", "body.people[].name given"),
        *(f'{SIDE}="complainant"', f'{SIDE}="officer"', f"{SIDE}=null", f"{SIDE} left out"),
        *("?dry=true", "?dry=false", "?dry left out"),
    }


@pytest.mark.parametrize(
    ("person", "mode"),
    [
        ({"name": "Ada"}, f"{SIDE} left out"),
        ({"name": "Ada", "side": None}, f"{SIDE}=null"),
        ({"name": "Ada", "side": "officer"}, f'{SIDE}="officer"'),
    ],
)
def test_a_mode_counts_only_where_it_was_sent(person: Mapping[str, object], mode: str) -> None:
    content = json.dumps({"people": [person]}).encode()
    used = Modes(DOCUMENT).used("addPeople", httpx.QueryParams("dry=true"), content)
    assert {each for _, each in used if each.startswith(SIDE)} == {mode}
    assert ("addPeople", "?dry=true") in used


def test_a_field_that_the_contract_lacks_is_seen_in_an_answer() -> None:
    known = contract().operation("GET", "/health/live")
    assert known is not None
    headers = {"Content-Type": "application/json", "X-Request-Id": "r-1", "Cache-Control": "no-store"}
    for body, is_whole in ((b'{"status": "ok"}', True), (b'{"status": "ok", "host": "db-1"}', False)):
        response = httpx.Response(200, headers=headers, content=body)
        found = [fault for fault in contract().faults(known, "GET", response, body) if "header" not in fault]
        assert (not found) == is_whole


async def test_the_form_of_another_audience_is_seen(office: Office) -> None:
    token = office.caller(Role.OFFICER, employee_number="4711").token
    found = {}
    for audience in ("party", "office"):
        body = json.dumps({"items": [{"audience": audience}]}).encode()
        response = httpx.Response(200, headers={"Content-Type": "application/json"}, content=body)
        found[audience] = list(wrong_audience(f"Bearer {token}", response, body))
    assert found == {"party": [], "office": ["the form for office in place of that for party"]}
