"""The table of who may do what, read as sentences. That the service follows it is tests/routers/test_access.py."""

from pathlib import Path
from uuid import UUID

import pytest

from mediation_api.domain.access import (
    ACCESS,
    ANYBODY,
    CASEWORK,
    INTAKE,
    PARTIES,
    SCOPES,
    AccessScope,
    Actor,
    Relation,
    Role,
    is_own_scope,
    page,
    scope_for,
    scopes_of,
)
from mediation_api.domain.errors import NotPermitted, ScopeMissing, ScopeUnknown, Unauthenticated

FOR_EVERYBODY = {
    "exchange_access_code",
    "get_disclosure",
    "get_problem_type",
    "list_disclosures",
    "live",
    "ready",
    "version",
}
OF_A_CASE = {"get_case", "get_readiness", "get_session", "get_timeline", "list_cases", "list_sessions"}
OF_A_PARTY = OF_A_CASE | {
    "correct_party",
    "get_agreement",
    "get_party",
    "give_consent",
    "list_agreements",
    "list_consents",
    "list_access_log",
    "list_withdrawals",
    "sign_agreement",
    "withdraw",
}
OF_THE_OFFICE = OF_A_CASE | {
    "get_mediator",
    "list_approvals",
    "list_attendees",
    "list_consents",
    "list_contact_attempts",
    "list_erasures",
    "list_guardian_consents",
    "list_mediators",
    "list_pauses",
    "list_access_log",
    "list_screenings",
    "list_withdrawals",
}
OF_INTAKE = OF_THE_OFFICE | {
    "add_attendee",
    "add_party",
    "assign_coordinator",
    "confirm_attendee",
    "correct_complaint",
    "correct_party",
    "file_complaint",
    "get_complaint",
    "get_party",
    "give_consent",
    "issue_access_code",
    "release_identity",
    "remove_party",
    "list_complaints",
    "list_parties",
    "pause_target",
    "record_approval",
    "record_guardian_consent",
    "record_contact_attempt",
    "request_erasure",
    "request_mediation",
    "screen_case",
    "withdraw",
}
OF_A_SESSION = {
    "adjourn_session",
    "cancel_session",
    "complete_session",
    "get_agreement",
    "get_assignment",
    "get_mediator",
    "list_agreements",
    "list_assignments",
    "list_attendees",
    "list_mediators",
    "make_agreement",
    "record_absence",
    "recuse_mediator",
    "reschedule_session",
    "schedule_session",
    "sign_agreement",
    "start_session",
    "verify_agreement",
    "withdraw",
}
OF_CASEWORK = (OF_INTAKE | OF_A_SESSION) | {
    "add_mediator",
    "close_case",
    "correct_mediator",
    "lapse_case",
    "propose_mediator",
}
OF_A_REPORT = {
    "drop_mandatory_report",
    "get_mandatory_report",
    "list_mandatory_reports",
    "propose_mandatory_report",
}
OF_A_DIRECTOR = {
    "approve_erasure",
    "refuse_erasure",
    "file_mandatory_report",
    "lift_legal_hold",
    "list_legal_holds",
    "list_mandatory_report_counts",
    "list_report_access",
    "list_access_anomalies",
    "place_legal_hold",
}
OF_AN_AUDITOR = {
    "get_assignment",
    "list_assignments",
    "list_legal_holds",
    "list_mandatory_report_counts",
    "list_access_anomalies",
    "verify_agreement",
}
ONLY_A_MEDIATOR = {"accept_assignment", "attest_notes_destroyed", "decline_assignment", "end_session"}
READS = {name for name in ACCESS if name.startswith(("list_", "get_", "verify_"))}


def may(role: Role) -> set[str]:
    return {operation for operation, row in ACCESS.items() if role in row}


@pytest.mark.parametrize("operation", ACCESS)
@pytest.mark.parametrize("role", list(Role))
def test_a_caller_reaches_what_the_row_says_and_nothing_else(operation: str, role: Role) -> None:
    actor = ANYBODY if role is Role.PUBLIC else Actor(role, "somebody")
    if role is Role.INTEGRATION:
        actor = Actor(role, "somebody", scopes=frozenset(SCOPES.values()))
    relation = ACCESS[operation].get(role)
    if relation is not None:
        assert scope_for(operation, actor) == AccessScope(actor, relation)
    else:
        with pytest.raises(Unauthenticated if role is Role.PUBLIC else NotPermitted):
            scope_for(operation, actor)


def test_every_operation_that_is_not_for_everybody_has_a_scope() -> None:
    assert set(SCOPES) == set(ACCESS) - FOR_EVERYBODY


def test_a_scope_to_read_opens_nothing_that_writes() -> None:
    assert {operation for operation, scope in SCOPES.items() if scope.endswith(":read")} == READS - FOR_EVERYBODY
    assert {scope.split(":")[1] for scope in SCOPES.values()} == {"read", "write"}


@pytest.mark.parametrize("operation", SCOPES)
def test_a_token_limited_to_scopes_reaches_no_further(operation: str) -> None:
    role = next(role for role in ACCESS[operation] if role is not Role.PUBLIC)
    limited = Actor(role, "somebody", scopes=frozenset({SCOPES[operation]}))
    assert scope_for(operation, limited) == AccessScope(limited, ACCESS[operation][role])
    others = Actor(role, "somebody", scopes=frozenset(SCOPES.values()) - {SCOPES[operation]})
    with pytest.raises(ScopeMissing) as refused:
        scope_for(operation, others)
    assert refused.value.scope == SCOPES[operation]


def test_a_scope_gives_no_role_more_than_its_row() -> None:
    with pytest.raises(NotPermitted) as refused:
        scope_for("close_case", Actor(Role.AUDITOR, "auditor.1", scopes=frozenset(SCOPES.values())))
    assert not isinstance(refused.value, ScopeMissing)


@pytest.mark.parametrize("operation", [name for name, row in ACCESS.items() if Role.INTEGRATION in row])
def test_a_program_that_names_no_scope_may_do_nothing(operation: str) -> None:
    with pytest.raises(ScopeMissing) as refused:
        scope_for(operation, Actor(Role.INTEGRATION, "intake-system"))
    assert refused.value.scope == SCOPES.get(operation)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("operation", ["list_disclosures", "get_case", "close_case"])
def test_an_unknown_scope_is_refused_whoever_bears_it_and_whatever_else_it_names(operation: str, role: Role) -> None:
    scopes = frozenset({"complaints:delete", *SCOPES.values()})
    with pytest.raises(ScopeUnknown):
        scope_for(operation, Actor(role, "somebody", scopes=scopes))


def test_a_role_can_use_the_scopes_of_what_it_may_do() -> None:
    assert scopes_of(Role.INTEGRATION) == {"complaints:read", "complaints:write"}
    assert scopes_of(Role.PUBLIC) == {"complaints:write"}


def test_a_scope_of_this_service_begins_with_one_of_its_resources() -> None:
    own = {*SCOPES.values(), "complaints:delete", "cases:", "Complaints:read", "MANDATORY-REPORTS:x", "cases:read:all"}
    others = {"", "openid", "complaints", "complaints.read", "case:read", "api://x/cases:read", "mediation:cases:read"}
    assert {word for word in own | others if is_own_scope(word)} == own


def test_a_mediator_does_nothing_in_a_case_that_was_proposed_but_read_of_it_and_answer() -> None:
    proposed = {name for name, row in ACCESS.items() if row.get(Role.MEDIATOR) is Relation.PROPOSED}
    of_the_roster = {"list_mediators", "get_mediator"}
    of_the_case = {"list_cases", "get_case", "list_assignments", "get_assignment"}
    assert proposed == of_the_roster | of_the_case | {"accept_assignment", "decline_assignment"}


def test_what_is_for_everybody_needs_no_scope() -> None:
    nothing = Actor(Role.INTAKE, "intake.1", scopes=frozenset({"complaints:read"}))
    assert scope_for("list_disclosures", nothing).actor == nothing


@pytest.mark.parametrize(
    ("role", "operations"),
    [
        (Role.PUBLIC, {"file_complaint"}),
        (
            Role.COMPLAINANT,
            OF_A_PARTY
            | {"get_complaint", "list_complaints", "list_guardian_consents", "list_parties", "request_mediation"},
        ),
        (Role.OFFICER, OF_A_PARTY),
        (
            Role.MEDIATOR,
            OF_A_CASE | OF_A_SESSION | OF_A_REPORT | ONLY_A_MEDIATOR,
        ),
        (Role.INTAKE, OF_INTAKE),
        (Role.COORDINATOR, OF_CASEWORK),
        (Role.DIRECTOR, OF_CASEWORK | OF_A_REPORT | OF_A_DIRECTOR),
        (Role.AUDITOR, OF_THE_OFFICE | OF_AN_AUDITOR),
        (Role.INTEGRATION, {"file_complaint", "get_complaint", "list_complaints"}),
    ],
)
def test_a_role_may_do_what_its_work_is_and_no_more(role: Role, operations: set[str]) -> None:
    """Said a second time and from the other side: a slip in the table is one in both."""
    assert may(role) == operations | FOR_EVERYBODY


def test_an_operation_without_a_row_is_nobodys() -> None:
    with pytest.raises(KeyError):
        scope_for("read_everything", Actor(Role.DIRECTOR, "director.1"))


def test_a_caller_without_a_token_is_the_public_and_nobody_in_particular() -> None:
    assert Actor(Role.PUBLIC, "public", party_id=None, employee_number=None) == ANYBODY


def test_the_public_files_complaints_and_needs_a_token_for_the_rest() -> None:
    assert may(Role.PUBLIC) == FOR_EVERYBODY | {"file_complaint"}


@pytest.mark.parametrize("role", list(Role))
def test_what_is_for_everybody_is_for_each_role(role: Role) -> None:
    assert may(role) >= FOR_EVERYBODY


@pytest.mark.parametrize(
    ("relation", "roles"),
    [
        (Relation.OWN, {Role.COMPLAINANT, Role.OFFICER}),
        (Relation.PROPOSED, {Role.MEDIATOR}),
        (Relation.ASSIGNED, {Role.MEDIATOR}),
        (Relation.MEDIATED, {Role.MEDIATOR}),
        (Relation.FILED, {Role.INTEGRATION}),
        (Relation.OFFICE, {Role.PUBLIC, Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR, Role.AUDITOR, Role.INTEGRATION}),
    ],
)
def test_each_relation_belongs_to_its_roles(relation: Relation, roles: set[Role]) -> None:
    held = {
        role
        for operation, row in ACCESS.items()
        for role, relation_of_row in row.items()
        if relation_of_row is relation and operation not in FOR_EVERYBODY
    }
    assert held == roles


def test_an_officer_never_reaches_a_complaint() -> None:
    """Its narrative is the complainant's."""
    assert {name for name in may(Role.OFFICER) if "complaint" in name} == set()


@pytest.mark.parametrize("role", [Role.AUDITOR])
def test_an_auditor_only_reads(role: Role) -> None:
    assert may(role) - FOR_EVERYBODY <= READS


def test_an_integration_files_and_reads_what_it_filed() -> None:
    assert may(Role.INTEGRATION) - FOR_EVERYBODY == {"file_complaint", "get_complaint", "list_complaints"}


def test_only_a_mediator_answers_a_proposal_and_ends_a_mediation() -> None:
    for operation in ONLY_A_MEDIATOR:
        assert set(ACCESS[operation]) == {Role.MEDIATOR}


def test_intake_signs_for_nobody_and_closes_nothing() -> None:
    assert may(Role.INTAKE).isdisjoint({"sign_agreement", "make_agreement", "lapse_case", "close_case"})


def test_everybody_who_takes_part_may_withdraw() -> None:
    assert set(ACCESS["withdraw"]) == {*INTAKE, *PARTIES, Role.MEDIATOR}


def test_a_director_may_do_what_a_coordinator_may() -> None:
    assert may(Role.DIRECTOR) - OF_A_REPORT - OF_A_DIRECTOR == may(Role.COORDINATOR)
    assert set(CASEWORK) < set(INTAKE)


def test_two_roles_know_of_mandatory_reports_and_one_files_them() -> None:
    assert set(ACCESS["list_mandatory_report_counts"]) == {Role.DIRECTOR, Role.AUDITOR}  # of all, and of none
    of_reports = [name for name in ACCESS if "report" in name and not name.endswith("_counts")]
    assert len(of_reports) == 6
    for operation in of_reports:
        assert set(ACCESS[operation]) <= {Role.DIRECTOR, Role.MEDIATOR}
    assert set(ACCESS["file_mandatory_report"]) == {Role.DIRECTOR}


def test_the_page_of_the_docs_is_the_table() -> None:
    assert Path("docs/access.md").read_text(encoding="utf-8") == page(), "make generate"
    assert "| `get_complaint` |  | own |  |  | office | office | office |  | filed | complaints:read |" in page()


def test_parties_are_those_with_a_side() -> None:
    party = UUID(int=1)
    assert {role for role in Role if Actor(role, "somebody", party_id=party).is_party} == set(PARTIES)
