"""The rule of who may do what. What each operation declares is tests/routers/test_operations.py."""

from uuid import UUID

import pytest

from mediation_api.domain.access import (
    ANYBODY,
    CASEWORK,
    EVERYBODY,
    INTAKE,
    PARTIES,
    TOKEN_SCOPES,
    AccessScope,
    Actor,
    Permission,
    Relation,
    Role,
    access_page,
    allow,
    is_limited_from,
    is_own_scope,
    scope_for,
)
from mediation_api.domain.errors import NotPermitted, ScopeMissing, ScopeUnknown, Unauthenticated

FOR_EVERYBODY = Permission(access=EVERYBODY, oauth_scope=None)
READ = Permission(access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True), oauth_scope="cases:read")
FILE = Permission(access=allow(office=(Role.PUBLIC, *INTAKE), filed=True), oauth_scope="complaints:write")


def test_who_works_on_what() -> None:
    assert INTAKE == (Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR)
    assert CASEWORK == (Role.COORDINATOR, Role.DIRECTOR)
    assert PARTIES == (Role.COMPLAINANT, Role.OFFICER)


def test_each_role_is_allowed_in_the_relation_that_is_named() -> None:
    assert dict(allow()) == {}
    assert dict(EVERYBODY) == dict.fromkeys(Role, Relation.OFFICE)
    office = dict.fromkeys((Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR, Role.AUDITOR), Relation.OFFICE)
    parties = {Role.COMPLAINANT: Relation.OWN, Role.OFFICER: Relation.OWN}
    assert READ.access == office | parties | {Role.MEDIATOR: Relation.ASSIGNED}
    assert dict(allow(proposed=True)) == {Role.MEDIATOR: Relation.PROPOSED}
    assert dict(allow(mediated=True)) == {Role.MEDIATOR: Relation.MEDIATED}
    assert dict(allow(filed=True)) == {Role.INTEGRATION: Relation.FILED}


@pytest.mark.parametrize("permission", [FOR_EVERYBODY, READ, FILE])
@pytest.mark.parametrize("role", list(Role))
def test_a_caller_is_given_the_relation_of_its_role_and_nothing_else(permission: Permission, role: Role) -> None:
    actor = ANYBODY if role is Role.PUBLIC else Actor(role, "somebody")
    if role is Role.INTEGRATION:
        actor = Actor(role, "somebody", scopes=TOKEN_SCOPES)
    relation = permission.access.get(role)
    if relation is not None:
        assert scope_for(permission, actor) == AccessScope(actor, relation)
    else:
        with pytest.raises(Unauthenticated if role is Role.PUBLIC else NotPermitted):
            scope_for(permission, actor)


@pytest.mark.parametrize(("permission", "role"), [(READ, Role.OFFICER), (FILE, Role.INTEGRATION)])
def test_a_token_limited_to_scopes_reaches_no_further(permission: Permission, role: Role) -> None:
    assert permission.oauth_scope is not None
    limited = Actor(role, "somebody", scopes=frozenset({permission.oauth_scope}))
    assert scope_for(permission, limited) == AccessScope(limited, permission.access[role])
    others = Actor(role, "somebody", scopes=TOKEN_SCOPES - {permission.oauth_scope})
    with pytest.raises(ScopeMissing) as refused:
        scope_for(permission, others)
    assert refused.value.scope == permission.oauth_scope


def test_a_scope_gives_no_role_more_than_its_row() -> None:
    with pytest.raises(NotPermitted) as refused:
        scope_for(FILE, Actor(Role.AUDITOR, "auditor.1", scopes=TOKEN_SCOPES))
    assert not isinstance(refused.value, ScopeMissing)


@pytest.mark.parametrize("permission", [FILE, FOR_EVERYBODY])
def test_a_program_that_names_no_scope_may_do_nothing(permission: Permission) -> None:
    with pytest.raises(ScopeMissing) as refused:
        scope_for(permission, Actor(Role.INTEGRATION, "intake-system"))
    assert refused.value.scope == permission.oauth_scope


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("permission", [FOR_EVERYBODY, READ, FILE])
def test_an_unknown_scope_is_refused_whoever_bears_it_and_whatever_else_it_names(
    permission: Permission, role: Role
) -> None:
    scopes = frozenset({"complaints:delete", *TOKEN_SCOPES})
    with pytest.raises(ScopeUnknown):
        scope_for(permission, Actor(role, "somebody", scopes=scopes))


def test_each_resource_is_read_and_written_but_the_audit_and_the_events_which_are_read() -> None:
    resources = [
        "agreements",
        "cases",
        "complaints",
        "consents",
        "mandatory-reports",
        "mediators",
        "parties",
        "retention",
        "sessions",
        "webhooks",
    ]
    both = {f"{resource}:{way}" for resource in resources for way in ("read", "write")}
    assert both | {"audit:read", "events:read"} == TOKEN_SCOPES


def test_a_scope_of_this_service_begins_with_one_of_its_resources() -> None:
    own = {*TOKEN_SCOPES, "complaints:delete", "cases:", "Complaints:read", "MANDATORY-REPORTS:x", "cases:read:all"}
    others = {"", "openid", "complaints", "complaints.read", "case:read", "api://x/cases:read", "mediation:cases:read"}
    assert {word for word in own | others if is_own_scope(word)} == own


def test_what_is_for_everybody_needs_no_scope() -> None:
    nothing = Actor(Role.INTAKE, "intake.1", scopes=frozenset({"complaints:read"}))
    assert scope_for(FOR_EVERYBODY, nothing).actor == nothing


def test_a_caller_without_a_token_is_the_public_and_nobody_in_particular() -> None:
    assert Actor(Role.PUBLIC, "public", party_id=None, code=None, employee_number=None, scopes=None) == ANYBODY


def test_the_page_has_a_line_for_each_operation_and_a_cell_for_each_role() -> None:
    lines = access_page({"getCase": READ, "live": FOR_EVERYBODY}).splitlines()
    assert lines[0] == "# Who may do what"
    assert lines[-4] == f"| Operation | {' | '.join(Role)} | Scope |"
    assert lines[-3:] == [
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| `getCase` |  | own | own | assigned | office | office | office | office |  | cases:read |",
        "| `live` | office | office | office | office | office | office | office | office | office |  |",
    ]
    assert access_page({}).endswith("|\n")


def test_parties_are_those_with_a_side() -> None:
    party = UUID(int=1)
    assert {role for role in Role if Actor(role, "somebody", party_id=party).is_party} == set(PARTIES)


@pytest.mark.parametrize(
    ("relation", "audience"),
    [
        (Relation.OFFICE, "office"),
        (Relation.OWN, "party"),
        (Relation.FILED, "integration"),
        (Relation.PROPOSED, "mediator"),
        (Relation.ASSIGNED, "mediator"),
        (Relation.MEDIATED, "mediator"),
    ],
)
def test_who_reads_follows_from_the_relation(relation: Relation, audience: str) -> None:
    assert relation.audience == audience


def test_a_token_is_limited_from_what_its_scopes_leave_out() -> None:
    assert is_limited_from("cases:read", Actor(Role.INTAKE, "i", scopes=frozenset({"parties:read"})))
    assert not is_limited_from("cases:read", Actor(Role.INTAKE, "i", scopes=frozenset({"cases:read"})))
    assert not is_limited_from("cases:read", Actor(Role.INTAKE, "i"))
