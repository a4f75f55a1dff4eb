"""Whose reads are written down, and for what purpose."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from mediation_api.domain.access import ACCESS, AccessScope, Actor, Relation, Role
from mediation_api.domain.access_log import (
    DEFAULT_PURPOSE,
    LOGGED_OPERATIONS,
    LoggedAccessScope,
    LoggedObject,
    Purpose,
    logged_scope,
)

NOON = datetime(2026, 3, 2, 20, tzinfo=UTC)


@pytest.mark.parametrize("role", sorted(DEFAULT_PURPOSE))
def test_a_read_by_anybody_of_the_office_is_written_down_with_its_everyday_purpose(role: Role) -> None:
    scope = AccessScope(Actor(role, f"{role}.1"), Relation.OFFICE)
    opened = logged_scope(scope, "get_case", None, NOON)
    assert opened == LoggedAccessScope(scope.actor, Relation.OFFICE, "get_case", DEFAULT_PURPOSE[role], NOON)


def test_a_purpose_that_is_given_is_taken() -> None:
    opened = logged_scope(
        AccessScope(Actor(Role.INTAKE, "i"), Relation.OFFICE), "get_case", Purpose.LEGAL_REQUEST, NOON
    )
    assert isinstance(opened, LoggedAccessScope)
    assert opened.purpose is Purpose.LEGAL_REQUEST


@pytest.mark.parametrize("role", [Role.COMPLAINANT, Role.OFFICER])
def test_what_a_party_reads_of_its_own_is_not_written_down(role: Role) -> None:
    scope = AccessScope(Actor(role, "p", party_id=UUID(int=1)), Relation.OWN)
    assert logged_scope(scope, "get_case", Purpose.CASEWORK, NOON) is scope


def test_everybody_who_may_read_without_being_a_party_has_an_everyday_purpose() -> None:
    for operation in LOGGED_OPERATIONS:
        for role, relation in ACCESS[operation].items():
            assert (role in DEFAULT_PURPOSE) == (relation is not Relation.OWN)


TELLS_OF_NOBODY = {
    "get_disclosure",
    "get_mediator",
    "get_problem_type",
    "list_disclosures",
    "list_mandatory_report_counts",
    "list_mediators",
    "list_report_access",
}


def test_every_operation_that_reads_is_written_down_or_tells_of_nobody() -> None:
    reads = {operation for operation in ACCESS if operation.startswith(("get_", "list_", "verify_"))}
    assert LOGGED_OPERATIONS.keys() == reads - TELLS_OF_NOBODY


def test_what_is_opened_is_what_the_operation_shows() -> None:
    """Of a case, but for these."""
    shown = {
        "get_complaint": LoggedObject.COMPLAINT,
        "list_legal_holds": LoggedObject.COMPLAINT,
        "list_parties": LoggedObject.COMPLAINT,
        "get_party": LoggedObject.PARTY,
        "list_erasures": LoggedObject.PARTY,
        "get_mandatory_report": LoggedObject.REPORT,
        "list_mandatory_reports": LoggedObject.REPORT,
        "list_assignments": LoggedObject.LIST,
        "list_cases": LoggedObject.LIST,
        "list_complaints": LoggedObject.LIST,
        "list_sessions": LoggedObject.LIST,
        "list_access_anomalies": LoggedObject.LIST,
    }
    assert dict(LOGGED_OPERATIONS) == dict.fromkeys(LOGGED_OPERATIONS, LoggedObject.CASE) | shown
