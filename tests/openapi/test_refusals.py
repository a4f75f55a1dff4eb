"""What is refused although the schema allows it is listed: derived from what operations declare, and reviewed."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import httpx
from tests.openapi.conformity import unlisted
from tests.openapi.reading import document, written_out
from tests.openapi.refusals import SNAPSHOT, as_snapshot, reviewed

from mediation_api.dev.office import Office
from mediation_api.domain.access import INTAKE, Relation, Role
from mediation_api.http.pagination import FOR_ALL_BUT_PARTIES, FOR_INTAKE, FOR_THE_OFFICE
from mediation_api.main import OPERATIONS

Node: TypeAlias = Mapping[str, Any]
"""A part of the contract."""

PARTIES: Final = {Role.COMPLAINANT, Role.OFFICER}
STAFF: Final = {*INTAKE}
ONLY_TO: Final[Mapping[str, set[Role]]] = {
    "409 director-required": STAFF - {Role.DIRECTOR},
    "409 external-reference-taken": {Role.INTEGRATION},
    "409 not-in-session": {Role.MEDIATOR},
    "422 integration-only": {*STAFF, Role.PUBLIC},
    "422 not-for-director": {Role.DIRECTOR},
    "422 not-your-channel": {*STAFF, Role.MEDIATOR},
    "422 required": {*STAFF, Role.MEDIATOR, Role.PUBLIC},
    "422 staff-only": {*PARTIES, Role.PUBLIC, Role.INTEGRATION},
}
"""Rules about who is calling, and the roles that each is for. Every other one is for all roles alike."""
FILTERS: Final[Mapping[str, Callable[[Role, Relation], bool]]] = {
    FOR_THE_OFFICE: lambda _, relation: relation is Relation.OFFICE,
    FOR_INTAKE: lambda role, _: role in INTAKE,
    FOR_ALL_BUT_PARTIES: lambda _, relation: relation is not Relation.OWN,
}
"""How the description of a filter ends that is not for everybody, and for whom it is."""
STATUSES: Final = {"404": "404 not-found", "412": "412 precondition-failed"}
"""What an operation documents by its status alone."""
_OF_LINES: Final = {"422 invisible-character", "422 blank"}
DESCRIBED: Final = {
    "Language": {"422 not-a-language"},
    "Line": _OF_LINES,
    "LongLine": _OF_LINES,
    "after": {"422 cursor"},
    "cursor": {"422 cursor"},
}
"""What only the description of a type or a parameter can say: what IANA registered, planes beyond the first, …"""
OF_ONE: Final = {"exchangeAccessCode": {"401 access-code-invalid", "429 quota-exceeded"}}
"""What one operation says in its description."""


def derived() -> dict[str, dict[str, frozenset[str]]]:
    """The list, as it follows from the contract and from who may call."""
    contract: Node = written_out(document())
    operations = {each["operationId"]: each for item in contract["paths"].values() for each in item.values()}
    return {
        name: {
            role: frozenset(_refusals(contract, operations[name], role, relation))
            for role in Role
            if (relation := declared.access.get(role)) is not None
        }
        for name, declared in OPERATIONS.items()
    }


def _refusals(contract: Node, operation: Node, role: Role, relation: Relation) -> Iterator[str]:
    yield from OF_ONE.get(operation["operationId"], ())
    yield from (refusal for status, refusal in STATUSES.items() if status in operation["responses"])
    for status, codes in operation.get("x-problem-codes", {}).items():
        named = (f"{status} {code}" for code in codes)
        yield from (refusal for refusal in named if role in ONLY_TO.get(refusal, {role}))
    parameters = operation.get("parameters", [])
    if any(
        each.get("description", "").endswith(end) and not is_for(role, relation)
        for each in parameters
        for end, is_for in FILTERS.items()
    ):
        yield "403 office-filter"
    taken = _types(contract, [parameters, operation.get("requestBody")]) | {each["name"] for each in parameters}
    yield from (refusal for name, refusals in DESCRIBED.items() if name in taken for refusal in refusals)


def _types(contract: Node, part: object) -> set[str]:
    """The names of all schemas that a part of the contract refers to."""
    found: set[str] = set()
    pending = [part]
    while pending:
        new = {*re.findall(r'"#/components/schemas/(\w+)"', json.dumps(pending.pop()))} - found
        found |= new
        pending += (contract["components"]["schemas"][name] for name in new)
    return found


def test_the_list_is_the_reviewed_snapshot(snapshot: Callable[..., None]) -> None:
    snapshot(SNAPSHOT, as_snapshot(derived()))
    reviewed.cache_clear()
    assert reviewed() == derived()


def test_each_rule_about_who_is_calling_is_one_that_some_operation_names() -> None:
    listed = {refusal for roles in derived().values() for refusals in roles.values() for refusal in refusals}
    assert {*ONLY_TO, *STATUSES.values(), *set().union(*DESCRIBED.values())} <= listed


def test_a_refusal_that_is_not_listed_is_seen(office: Office) -> None:
    said = httpx.Response(409, json={"code": "director-required"})
    found = {
        who: list(unlisted("lapseCase", f"Bearer {office.caller(who).token}", said.status_code, said.content))
        for who in (Role.COORDINATOR, Role.DIRECTOR)
    }
    assert found == {Role.COORDINATOR: [], Role.DIRECTOR: ["409 director-required is not listed for director"]}
