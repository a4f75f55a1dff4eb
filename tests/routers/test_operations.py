"""What every operation declares, read as sentences. That the service follows it is test_access.py."""

from pathlib import Path
from typing import Final

import pytest

from mediation_api.dev.identity_provider import INTEGRATION_SCOPES
from mediation_api.domain.access import CASEWORK, INTAKE, PARTIES, TOKEN_SCOPES, Relation, Role, access_page
from mediation_api.domain.access_log import DEFAULT_PURPOSE, LoggedObject
from mediation_api.main import OPERATIONS

FOR_EVERYBODY: Final = {
    "exchangeAccessCode",
    "getDisclosure",
    "getDisclosureForm",
    "getOffice",
    "getProblemType",
    "listAllegationCategories",
    "listDisclosures",
    "getLiveness",
    "getReadinessOfService",
    "getVersion",
}
OF_A_CASE: Final = {
    "getCase",
    "getMe",
    "getReadiness",
    "getSession",
    "getSessionCalendar",
    "getSessionNotice",
    "listCases",
    "listSessions",
    "listTimelineEvents",
}
OF_A_PARTY: Final = OF_A_CASE | {
    "getConsent",
    "getWithdrawal",
    "correctParty",
    "getAgreement",
    "getAgreementDocument",
    "getSignatureCertificate",
    "getParty",
    "giveConsent",
    "listAgreements",
    "listConsents",
    "listAccessLog",
    "listWithdrawals",
    "signAgreement",
    "recordWithdrawal",
}
OF_ENDPOINTS: Final = {
    "getWebhookDelivery",
    "getWebhookEndpoint",
    "listWebhookDeliveries",
    "listWebhookEndpoints",
    "removeWebhookEndpoint",
}
OF_THE_OFFICE: Final = OF_A_CASE | {
    "getChangeFeed",
    "getApproval",
    "getAttendee",
    "getConsent",
    "getContactAttempt",
    "getCoordinator",
    "getErasure",
    "getGuardianConsent",
    "getPause",
    "getScreening",
    "getTarget",
    "getWithdrawal",
    "getMediator",
    "listApprovals",
    "listAttendees",
    "listConsents",
    "listContactAttempts",
    "listErasures",
    "listGuardianConsents",
    "listMails",
    "listMediators",
    "listPauses",
    "listAccessLog",
    "listScreenings",
    "listWithdrawals",
}
OF_INTAKE: Final = OF_THE_OFFICE | {
    "addAttendee",
    "addParty",
    "assignCoordinator",
    "confirmAttendee",
    "correctComplaint",
    "correctParty",
    "fileComplaint",
    "getComplaint",
    "getParty",
    "giveConsent",
    "issueAccessCode",
    "releaseIdentity",
    "removeParty",
    "listComplaints",
    "listParties",
    "pauseTarget",
    "recordApproval",
    "recordGuardianConsent",
    "recordContactAttempt",
    "requestErasure",
    "requestMediation",
    "screenCase",
    "recordWithdrawal",
}
OF_A_SESSION: Final = {
    "getAttendee",
    "getWithdrawal",
    "adjournSession",
    "cancelSession",
    "completeSession",
    "getAgreement",
    "getAgreementDocument",
    "getSignatureCertificate",
    "getAssignment",
    "getMediator",
    "listAgreements",
    "listAssignments",
    "listAttendees",
    "listMediators",
    "makeAgreement",
    "recordAbsence",
    "recuseMediator",
    "rescheduleSession",
    "scheduleSession",
    "signAgreement",
    "startSession",
    "verifyAgreement",
    "recordWithdrawal",
}
OF_CASEWORK: Final = (OF_INTAKE | OF_A_SESSION) | {
    "addMediator",
    "closeCase",
    "correctMediator",
    "lapseCase",
    "proposeMediator",
}
OF_A_REPORT: Final = {
    "dropMandatoryReport",
    "getMandatoryReport",
    "listMandatoryReports",
    "proposeMandatoryReport",
}
OF_A_DIRECTOR: Final = {
    "approveErasure",
    "refuseErasure",
    "fileMandatoryReport",
    "liftLegalHold",
    "getLegalHold",
    "listLegalHolds",
    "listMandatoryReportCounts",
    "listMandatoryReportAccessLog",
    "listAccessAnomalies",
    "placeLegalHold",
}
OF_AN_AUDITOR: Final = {
    "getAssignment",
    "listAssignments",
    "getLegalHold",
    "listLegalHolds",
    "listMandatoryReportCounts",
    "listAccessAnomalies",
    "verifyAgreement",
}
OF_A_CALENDAR: Final = {"getCalendarFeed", "makeCalendarFeed", "revokeCalendarFeed"}
OF_AN_INTEGRATION: Final = OF_ENDPOINTS | {
    "cancelImport",
    "changeWebhookEndpoint",
    "fileComplaint",
    "getChangeFeed",
    "getComplaint",
    "getImport",
    "getMe",
    "listComplaints",
    "listImportRefusals",
    "pingWebhookEndpoint",
    "registerWebhookEndpoint",
    "replayWebhook",
    "rotateWebhookSecret",
    "startImport",
}
ONLY_A_MEDIATOR: Final = {"acceptAssignment", "attestDestructionOfNotes", "declineAssignment", "endSession"}

READS: Final = {name for name in OPERATIONS if name.startswith(("list", "get", "verify"))}


def may(role: Role) -> set[str]:
    return {name for name, operation in OPERATIONS.items() if role in operation.access}


def test_every_operation_that_is_not_for_everybody_has_a_scope() -> None:
    scopeless = {name for name, operation in OPERATIONS.items() if operation.oauth_scope is None}
    assert scopeless == FOR_EVERYBODY | {
        "getMe",
        "getCalendar",
    }  # whose answer depends on the scopes; which nobody with a token calls


def test_a_scope_to_read_opens_nothing_that_writes() -> None:
    scopes = {
        name: operation.oauth_scope for name, operation in OPERATIONS.items() if operation.oauth_scope is not None
    }
    assert {name for name, scope in scopes.items() if scope.endswith(":read")} == READS - FOR_EVERYBODY - {
        "getMe",
        "getCalendar",
    }
    assert set(scopes.values()) == TOKEN_SCOPES


def test_a_mediator_does_nothing_in_a_case_that_was_proposed_but_read_of_it_and_answer() -> None:
    proposed = {
        name for name, operation in OPERATIONS.items() if operation.access.get(Role.MEDIATOR) is Relation.PROPOSED
    }
    of_the_roster = {"listMediators", "getMediator"}
    of_the_case = {"listCases", "getCase", "getMe", "listAssignments", "getAssignment"}
    assert proposed == of_the_roster | of_the_case | {"acceptAssignment", "declineAssignment"}


@pytest.mark.parametrize(
    ("role", "operations"),
    [
        (Role.PUBLIC, {"fileComplaint", "getCalendar"}),
        (
            Role.COMPLAINANT,
            OF_A_PARTY
            | {
                "getComplaint",
                "listComplaints",
                "getGuardianConsent",
                "listGuardianConsents",
                "listParties",
                "requestMediation",
            },
        ),
        (Role.OFFICER, OF_A_PARTY),
        (
            Role.MEDIATOR,
            OF_A_CASE | OF_A_SESSION | OF_A_REPORT | OF_A_CALENDAR | ONLY_A_MEDIATOR,
        ),
        (Role.INTAKE, OF_INTAKE),
        (Role.COORDINATOR, OF_CASEWORK | OF_A_CALENDAR),
        (Role.DIRECTOR, OF_CASEWORK | OF_A_REPORT | OF_A_DIRECTOR | OF_ENDPOINTS),
        (Role.AUDITOR, OF_THE_OFFICE | OF_AN_AUDITOR),
        (Role.INTEGRATION, OF_AN_INTEGRATION),
    ],
)
def test_a_role_may_do_what_its_work_is_and_no_more(role: Role, operations: set[str]) -> None:
    """Said a second time and from the other side: a slip in the table is one in both."""
    assert may(role) == operations | FOR_EVERYBODY


def test_the_public_files_complaints_and_needs_a_token_for_the_rest() -> None:
    assert may(Role.PUBLIC) == FOR_EVERYBODY | {"fileComplaint", "getCalendar"}


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
        for name, operation in OPERATIONS.items()
        for role, declared in operation.access.items()
        if declared is relation and name not in FOR_EVERYBODY
    }
    assert held == roles


def test_an_officer_never_reaches_a_complaint() -> None:
    """Its narrative is the complainant's."""
    assert {name for name in may(Role.OFFICER) if "complaint" in name.lower()} == set()


@pytest.mark.parametrize("role", [Role.AUDITOR])
def test_an_auditor_only_reads(role: Role) -> None:
    assert may(role) - FOR_EVERYBODY <= READS


def test_an_integration_files_and_reads_what_it_filed() -> None:
    assert may(Role.INTEGRATION) - FOR_EVERYBODY == OF_AN_INTEGRATION


def test_its_token_of_development_has_the_scopes_of_that_and_no_more() -> None:
    used = {OPERATIONS[name].oauth_scope for name in may(Role.INTEGRATION) - FOR_EVERYBODY - {"getMe"}}
    assert set(INTEGRATION_SCOPES.split()) == used


def test_only_a_mediator_answers_a_proposal_and_ends_a_mediation() -> None:
    for operation in ONLY_A_MEDIATOR:
        assert set(OPERATIONS[operation].access) == {Role.MEDIATOR}


def test_intake_signs_for_nobody_and_closes_nothing() -> None:
    assert may(Role.INTAKE).isdisjoint({"signAgreement", "makeAgreement", "lapseCase", "closeCase"})


def test_everybody_who_takes_part_may_withdraw() -> None:
    assert set(OPERATIONS["recordWithdrawal"].access) == {*INTAKE, *PARTIES, Role.MEDIATOR}


def test_a_director_may_do_what_a_coordinator_may() -> None:
    without = may(Role.DIRECTOR) - OF_A_REPORT - OF_A_DIRECTOR - OF_ENDPOINTS
    assert without == may(Role.COORDINATOR) - OF_A_CALENDAR
    assert set(CASEWORK) < set(INTAKE)


def test_two_roles_know_of_mandatory_reports_and_one_files_them() -> None:
    assert set(OPERATIONS["listMandatoryReportCounts"].access) == {Role.DIRECTOR, Role.AUDITOR}  # of all, and of none
    of_reports = [name for name in OPERATIONS if "Report" in name and not name.endswith("Counts")]
    assert len(of_reports) == 6
    for operation in of_reports:
        assert set(OPERATIONS[operation].access) <= {Role.DIRECTOR, Role.MEDIATOR}
    assert set(OPERATIONS["fileMandatoryReport"].access) == {Role.DIRECTOR}


def test_the_page_of_the_docs_is_what_is_declared() -> None:
    assert Path("docs/access.md").read_text(encoding="utf-8") == access_page(OPERATIONS), "make generate"


# ── the access log ─────────────────────────────────────────────────────────────────────────────────────────────────

TELLS_OF_NOBODY: Final = {
    "getDisclosureForm",
    "getCalendar",  # to a caller who is unknown: it is logged as the read of the owner (test_calendars.py)
    "getCalendarFeed",  # its end, and nothing of what is read there
    "getDisclosure",
    "getImport",
    "getLiveness",
    "getMediator",
    "getOffice",
    "getProblemType",
    "getReadinessOfService",
    "getVersion",
    "getWebhookDelivery",
    "getWebhookEndpoint",
    "listAllegationCategories",
    "listDisclosures",
    "listImportRefusals",
    "listMandatoryReportCounts",
    "listMediators",
    "listMandatoryReportAccessLog",
    "listWebhookDeliveries",
    "listWebhookEndpoints",
}
OPENS: Final = {name: operation.opens for name, operation in OPERATIONS.items() if operation.opens is not None}


def test_every_operation_that_reads_is_logged_or_tells_of_nobody() -> None:
    assert OPENS.keys() == READS - TELLS_OF_NOBODY


def test_what_is_opened_is_what_the_operation_shows() -> None:
    """Of a case, but for these."""
    shown = {
        "getComplaint": LoggedObject.COMPLAINT,
        "getLegalHold": LoggedObject.COMPLAINT,
        "listLegalHolds": LoggedObject.COMPLAINT,
        "listParties": LoggedObject.COMPLAINT,
        "getParty": LoggedObject.PARTY,
        "getErasure": LoggedObject.PARTY,
        "listErasures": LoggedObject.PARTY,
        "getMandatoryReport": LoggedObject.REPORT,
        "listMandatoryReports": LoggedObject.REPORT,
        "getMe": LoggedObject.LIST,
        "listAssignments": LoggedObject.LIST,
        "listCases": LoggedObject.LIST,
        "listComplaints": LoggedObject.LIST,
        "getChangeFeed": LoggedObject.LIST,
        "listSessions": LoggedObject.LIST,
        "listAccessAnomalies": LoggedObject.LIST,
    }
    assert dict.fromkeys(OPENS, LoggedObject.CASE) | shown == OPENS


def test_everybody_who_may_read_without_being_a_party_has_an_everyday_purpose() -> None:
    for name in OPENS:
        for role, relation in OPERATIONS[name].access.items():
            assert (role in DEFAULT_PURPOSE) == (relation is not Relation.OWN)


def test_each_role_with_an_everyday_purpose_reads_something_else_than_reports() -> None:
    others = (OPERATIONS[name] for name, opens in OPENS.items() if opens is not LoggedObject.REPORT)
    assert DEFAULT_PURPOSE.keys() <= {role for operation in others for role in operation.access}
