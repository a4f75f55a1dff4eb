"""Whose reads are written down, and for what purpose."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from mediation_api.domain.access import AccessScope, Actor, Relation, Role
from mediation_api.domain.access_log import (
    DEFAULT_PURPOSE,
    LoggedAccessScope,
    Purpose,
    logged_scope,
)

NOON = datetime(2026, 3, 2, 20, tzinfo=UTC)


@pytest.mark.parametrize("role", sorted(DEFAULT_PURPOSE))
def test_a_read_by_anybody_of_the_office_is_written_down_with_its_everyday_purpose(role: Role) -> None:
    scope = AccessScope(Actor(role, f"{role}.1"), Relation.OFFICE)
    opened = logged_scope(scope, "getCase", None, NOON)
    assert opened == LoggedAccessScope(scope.actor, Relation.OFFICE, "getCase", DEFAULT_PURPOSE[role], NOON)


def test_a_purpose_that_is_given_is_taken() -> None:
    opened = logged_scope(AccessScope(Actor(Role.INTAKE, "i"), Relation.OFFICE), "getCase", Purpose.LEGAL_REQUEST, NOON)
    assert isinstance(opened, LoggedAccessScope)
    assert opened.purpose is Purpose.LEGAL_REQUEST


@pytest.mark.parametrize("role", [Role.COMPLAINANT, Role.OFFICER])
def test_what_a_party_reads_of_its_own_is_not_written_down(role: Role) -> None:
    scope = AccessScope(Actor(role, "p", party_id=UUID(int=1)), Relation.OWN)
    assert logged_scope(scope, "getCase", Purpose.CASEWORK, NOON) is scope
