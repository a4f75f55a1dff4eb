"""Whose reads are written down, and for what purpose."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from mediation_api.domain.access import ACCESS, Actor, Reach, Relation, Role
from mediation_api.domain.access_log import OPENS, USUAL, Opened, Purpose, Reading, reading

NOON = datetime(2026, 3, 2, 20, tzinfo=UTC)


@pytest.mark.parametrize("role", sorted(USUAL))
def test_a_read_by_anybody_of_the_office_is_written_down_with_its_everyday_purpose(role: Role) -> None:
    reached = Reach(Actor(role, f"{role}.1"), Relation.OFFICE)
    opened = reading(reached, "get_case", None, NOON)
    assert opened == Reading(reached.actor, Relation.OFFICE, "get_case", USUAL[role], NOON)


def test_a_purpose_that_is_given_is_taken() -> None:
    opened = reading(Reach(Actor(Role.INTAKE, "i"), Relation.OFFICE), "get_case", Purpose.LEGAL_REQUEST, NOON)
    assert isinstance(opened, Reading)
    assert opened.purpose is Purpose.LEGAL_REQUEST


@pytest.mark.parametrize("role", [Role.COMPLAINANT, Role.OFFICER])
def test_what_a_party_reads_of_its_own_is_not_written_down(role: Role) -> None:
    reached = Reach(Actor(role, "p", party_id=UUID(int=1)), Relation.OWN)
    assert reading(reached, "get_case", Purpose.CASEWORK, NOON) is reached


def test_everybody_who_may_read_without_being_a_party_has_an_everyday_purpose() -> None:
    for operation in OPENS:
        for role, relation in ACCESS[operation].items():
            assert (role in USUAL) == (relation is not Relation.OWN)


TELLS_OF_NOBODY = {
    "get_disclosure",
    "get_mediator",
    "get_problem_type",
    "list_disclosures",
    "list_mandatory_report_counts",
    "list_mediators",
    "list_report_readings",
}


def test_every_operation_that_reads_is_written_down_or_tells_of_nobody() -> None:
    reads = {operation for operation in ACCESS if operation.startswith(("get_", "list_", "verify_"))}
    assert OPENS.keys() == reads - TELLS_OF_NOBODY


def test_what_is_opened_is_what_the_operation_shows() -> None:
    """Of a case, but for these."""
    shown = {
        "get_complaint": Opened.COMPLAINT,
        "list_legal_holds": Opened.COMPLAINT,
        "list_parties": Opened.COMPLAINT,
        "get_party": Opened.PARTY,
        "list_erasures": Opened.PARTY,
        "get_mandatory_report": Opened.REPORT,
        "list_mandatory_reports": Opened.REPORT,
        "list_assignments": Opened.LIST,
        "list_cases": Opened.LIST,
        "list_complaints": Opened.LIST,
        "list_sessions": Opened.LIST,
        "list_unusual_readings": Opened.LIST,
    }
    assert dict(OPENS) == dict.fromkeys(OPENS, Opened.CASE) | shown
