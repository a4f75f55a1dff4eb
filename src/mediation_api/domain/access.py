"""Who may do what: one table, operation by role by relation to the object. An operation without a row fails the build.

`page` prints it as docs/access.md.

A token says which role its bearer has. What the bearer may reach of *this* case is decided by the database at each
request: `Reach` carries the relation that the table demands into the query or the lock. What lies outside it answers
as if it did not exist. A token may also name scopes; they only ever narrow what the role allows. A program is given
nothing but what its scopes name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from mediation_api.domain.errors import NotPermitted, ScopeMissing, ScopeUnknown, Unauthenticated


class Role(StrEnum):
    """What a token says its bearer is; `public` is a caller without a token."""

    PUBLIC = "public"
    COMPLAINANT = "complainant"
    OFFICER = "officer"
    MEDIATOR = "mediator"
    INTAKE = "intake"
    COORDINATOR = "coordinator"
    DIRECTOR = "director"
    AUDITOR = "auditor"
    INTEGRATION = "integration"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is calling.

    `party_id` and `code`, the public part of the access code that the token was given for, are set for a complainant.
    `employee_number` is set for an officer, and for anybody else whose token names one: a mediator may be an officer
    as well.
    `scopes` are those under this service's prefix that the token names, known or not; None when it names none. Then
    all that the role allows is open, unless it is a program's.
    """

    role: Role
    subject: str
    party_id: UUID | None = None
    code: str | None = None
    employee_number: str | None = None
    scopes: frozenset[str] | None = None

    @property
    def is_party(self) -> bool:
        """Whether the caller is a complainant or an officer."""
        return self.role in {Role.COMPLAINANT, Role.OFFICER}


ANYBODY = Actor(Role.PUBLIC, "public")


class Relation(StrEnum):
    """How the object must stand to the caller."""

    OFFICE = "office"
    """Any object of the office."""
    FILED = "filed"
    """A complaint that this integration filed."""
    PROPOSED = "proposed"
    """A case that was proposed to this mediator, or accepted by them; for the roster, the mediator's own entry."""
    ASSIGNED = "assigned"
    """A case that this mediator accepted, and did not leave."""
    MEDIATED = "mediated"
    """A case that this mediator took on, also after leaving it; of its mandatory reports, the mediator's own."""
    OWN = "own"
    """The caller's own party, and the case as that party sees it. An officer's begins when the officer is asked."""


@dataclass(frozen=True, slots=True)
class AccessScope:
    """What the caller reaches with one operation: the actor, and the relation that the table demands."""

    actor: Actor
    relation: Relation


INTAKE = (Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR)
"""Staff who take in complaints and speak with parties."""
CASEWORK = (Role.COORDINATOR, Role.DIRECTOR)
"""Staff who run cases."""
PARTIES = (Role.COMPLAINANT, Role.OFFICER)


def _row(
    *,
    office: Iterable[Role] = (),
    own: Iterable[Role] = (),
    proposed: bool = False,
    assigned: bool = False,
    mediated: bool = False,
    filed: bool = False,
) -> Mapping[Role, Relation]:
    row = dict.fromkeys(office, Relation.OFFICE) | dict.fromkeys(own, Relation.OWN)
    if proposed:
        row[Role.MEDIATOR] = Relation.PROPOSED
    if assigned:
        row[Role.MEDIATOR] = Relation.ASSIGNED
    if mediated:
        row[Role.MEDIATOR] = Relation.MEDIATED
    if filed:
        row[Role.INTEGRATION] = Relation.FILED
    return MappingProxyType(row)


EVERYBODY = _row(office=Role)

ACCESS: Mapping[str, Mapping[Role, Relation]] = MappingProxyType(
    {
        # complaints
        "file_complaint": _row(office=(Role.PUBLIC, *INTAKE, Role.INTEGRATION)),
        "list_complaints": _row(office=INTAKE, own=(Role.COMPLAINANT,), filed=True),
        "get_complaint": _row(office=INTAKE, own=(Role.COMPLAINANT,), filed=True),
        "correct_complaint": _row(office=INTAKE),
        "request_mediation": _row(office=INTAKE, own=(Role.COMPLAINANT,)),
        # parties
        "list_parties": _row(office=INTAKE, own=(Role.COMPLAINANT,)),
        "add_party": _row(office=INTAKE),
        "get_party": _row(office=INTAKE, own=PARTIES),
        "correct_party": _row(office=INTAKE, own=PARTIES),
        "remove_party": _row(office=INTAKE),
        "release_identity": _row(office=INTAKE),
        "issue_access_code": _row(office=INTAKE),
        # cases
        "list_cases": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES, proposed=True),
        "get_case": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES, proposed=True),
        "get_timeline": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
        "list_access_log": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
        "list_access_anomalies": _row(office=(Role.DIRECTOR, Role.AUDITOR)),
        "get_readiness": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
        "assign_coordinator": _row(office=INTAKE),
        "screen_case": _row(office=INTAKE),
        "list_screenings": _row(office=(*INTAKE, Role.AUDITOR)),
        "record_approval": _row(office=INTAKE),
        "list_approvals": _row(office=(*INTAKE, Role.AUDITOR)),
        "record_contact_attempt": _row(office=INTAKE),
        "list_contact_attempts": _row(office=(*INTAKE, Role.AUDITOR)),
        "lapse_case": _row(office=CASEWORK),
        "close_case": _row(office=CASEWORK),
        "pause_target": _row(office=INTAKE),
        "list_pauses": _row(office=(*INTAKE, Role.AUDITOR)),
        # consents and withdrawals
        "list_disclosures": EVERYBODY,
        "get_disclosure": EVERYBODY,
        "record_guardian_consent": _row(office=INTAKE),
        "list_guardian_consents": _row(office=(*INTAKE, Role.AUDITOR), own=(Role.COMPLAINANT,)),
        "give_consent": _row(office=INTAKE, own=PARTIES),
        "list_consents": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
        "withdraw": _row(office=INTAKE, own=PARTIES, assigned=True),
        "list_withdrawals": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
        # mediators and assignments
        "add_mediator": _row(office=CASEWORK),
        "list_mediators": _row(office=(*INTAKE, Role.AUDITOR), proposed=True),
        "get_mediator": _row(office=(*INTAKE, Role.AUDITOR), proposed=True),
        "correct_mediator": _row(office=CASEWORK),
        "propose_mediator": _row(office=CASEWORK),
        "list_assignments": _row(office=(*CASEWORK, Role.AUDITOR), proposed=True),
        "get_assignment": _row(office=(*CASEWORK, Role.AUDITOR), proposed=True),
        "accept_assignment": _row(proposed=True),
        "decline_assignment": _row(proposed=True),
        "recuse_mediator": _row(office=CASEWORK, assigned=True),
        "attest_notes_destroyed": _row(mediated=True),
        # sessions
        "schedule_session": _row(office=CASEWORK, assigned=True),
        "list_sessions": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
        "get_session": _row(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
        "reschedule_session": _row(office=CASEWORK, assigned=True),
        "cancel_session": _row(office=CASEWORK, assigned=True),
        "start_session": _row(office=CASEWORK, assigned=True),
        "adjourn_session": _row(office=CASEWORK, assigned=True),
        "complete_session": _row(office=CASEWORK, assigned=True),
        "end_session": _row(assigned=True),
        "record_absence": _row(office=CASEWORK, assigned=True),
        "add_attendee": _row(office=INTAKE),
        "list_attendees": _row(office=(*INTAKE, Role.AUDITOR), assigned=True),
        "confirm_attendee": _row(office=INTAKE),
        # agreements
        "make_agreement": _row(office=CASEWORK, assigned=True),
        "list_agreements": _row(office=CASEWORK, own=PARTIES, assigned=True),
        "get_agreement": _row(office=CASEWORK, own=PARTIES, assigned=True),
        "sign_agreement": _row(office=CASEWORK, own=PARTIES, assigned=True),
        "verify_agreement": _row(office=(*CASEWORK, Role.AUDITOR), assigned=True),
        # mandatory reports: two roles, and of mediators only those who were in the room
        "propose_mandatory_report": _row(office=(Role.DIRECTOR,), mediated=True),
        "list_mandatory_reports": _row(office=(Role.DIRECTOR,), mediated=True),
        "get_mandatory_report": _row(office=(Role.DIRECTOR,), mediated=True),
        "file_mandatory_report": _row(office=(Role.DIRECTOR,)),
        "drop_mandatory_report": _row(office=(Role.DIRECTOR,), mediated=True),
        "list_report_access": _row(office=(Role.DIRECTOR,)),
        "list_mandatory_report_counts": _row(office=(Role.DIRECTOR, Role.AUDITOR)),
        # retention
        "place_legal_hold": _row(office=(Role.DIRECTOR,)),
        "list_legal_holds": _row(office=(Role.DIRECTOR, Role.AUDITOR)),
        "lift_legal_hold": _row(office=(Role.DIRECTOR,)),
        "request_erasure": _row(office=INTAKE),
        "list_erasures": _row(office=(*INTAKE, Role.AUDITOR)),
        "approve_erasure": _row(office=(Role.DIRECTOR,)),
        "refuse_erasure": _row(office=(Role.DIRECTOR,)),
        # tokens, health
        "exchange_access_code": EVERYBODY,
        "get_problem_type": EVERYBODY,
        "live": EVERYBODY,
        "ready": EVERYBODY,
        "version": EVERYBODY,
    }
)


SCOPES: Mapping[str, str] = MappingProxyType(
    {
        operation: scope
        for scope, operations in {
            "complaints:read": ("list_complaints", "get_complaint"),
            "complaints:write": ("file_complaint", "correct_complaint", "request_mediation"),
            "parties:read": ("list_parties", "get_party"),
            "parties:write": ("add_party", "correct_party", "remove_party", "release_identity", "issue_access_code"),
            "cases:read": (
                "list_cases",
                "get_case",
                "get_timeline",
                "list_access_log",
                "get_readiness",
                "list_screenings",
                "list_approvals",
                "list_pauses",
                "list_contact_attempts",
            ),
            "cases:write": (
                "assign_coordinator",
                "screen_case",
                "record_approval",
                "record_contact_attempt",
                "lapse_case",
                "close_case",
                "pause_target",
            ),
            "audit:read": ("list_access_anomalies",),
            "consents:read": ("list_guardian_consents", "list_consents", "list_withdrawals"),
            "consents:write": ("record_guardian_consent", "give_consent", "withdraw"),
            "mediators:read": ("list_mediators", "get_mediator", "list_assignments", "get_assignment"),
            "mediators:write": (
                "add_mediator",
                "correct_mediator",
                "propose_mediator",
                "accept_assignment",
                "decline_assignment",
                "recuse_mediator",
                "attest_notes_destroyed",
            ),
            "sessions:read": ("list_sessions", "get_session", "list_attendees"),
            "sessions:write": (
                "schedule_session",
                "reschedule_session",
                "cancel_session",
                "start_session",
                "adjourn_session",
                "complete_session",
                "end_session",
                "record_absence",
                "add_attendee",
                "confirm_attendee",
            ),
            "agreements:read": ("list_agreements", "get_agreement", "verify_agreement"),
            "agreements:write": ("make_agreement", "sign_agreement"),
            "retention:read": ("list_legal_holds", "list_erasures"),
            "retention:write": (
                "place_legal_hold",
                "lift_legal_hold",
                "request_erasure",
                "approve_erasure",
                "refuse_erasure",
            ),
            "mandatory-reports:read": (
                "list_mandatory_reports",
                "get_mandatory_report",
                "list_report_access",
                "list_mandatory_report_counts",
            ),
            "mandatory-reports:write": (
                "propose_mandatory_report",
                "file_mandatory_report",
                "drop_mandatory_report",
            ),
        }.items()
        for operation in operations
    }
)
"""The scope of each operation that is not for everybody (RFC 6749 §3.3): what a program may be limited to."""


_KNOWN: Final = frozenset(SCOPES.values())
_RESOURCES: Final = frozenset(scope.partition(":")[0] for scope in _KNOWN)


def scopes_of(role: Role) -> frozenset[str]:
    """Every scope that a token of this role can use."""
    return frozenset(scope for operation, scope in SCOPES.items() if role in ACCESS[operation])


def is_own_scope(word: str) -> bool:
    """Whether a word of a token's `scope` is under this service's prefix: the name of one of its resources and `:`.

    In whatever case, so that a slip of the pen is not taken for somebody else's word. All other words are the identity
    provider's own (`openid`), and say nothing here.
    """
    resource, colon, _ = word.partition(":")
    return bool(colon) and resource.casefold() in _RESOURCES


def scope_for(operation: str, actor: Actor) -> AccessScope:
    """What `actor` reaches with `operation`.

    Raises:
        Unauthenticated: the operation is not for the public, and the caller has no token.
        ScopeUnknown: the token names a scope under this service's prefix that there is not. What its issuer meant to
            limit it to is unknown, so that nothing is open to it.
        NotPermitted: nobody of this role may call it, on any object.
        ScopeMissing: the token is limited to scopes, and this operation's is not among them; or it is a program's, and
            names none.
    """
    if actor.scopes is not None and not actor.scopes <= _KNOWN:
        raise ScopeUnknown
    relation = ACCESS[operation].get(actor.role)
    if relation is None:
        raise Unauthenticated if actor.role is Role.PUBLIC else NotPermitted
    scope = SCOPES.get(operation)
    named = actor.scopes or frozenset()
    is_limited = bool(named) or actor.role is Role.INTEGRATION
    if is_limited and not (named and scope is None) and scope not in named:
        raise ScopeMissing(scope)
    return AccessScope(actor, relation)


_PAGE: Final = """\
# Who may do what

Operation by role, and how the object must stand to the caller. This page is generated: `make generate`.

`office`: any object of the office. `filed`: a complaint that this integration filed. `proposed`: a case that was
proposed to this mediator, or accepted by them. `assigned`: a case that this mediator accepted and did not leave.
`mediated`: a case that this mediator accepted, also after leaving it; of its mandatory reports, the mediator's own. A
mediator who is a party of the complaint under another role stands in none of these relations to it. `own`: the caller's
own party, and the case as that party sees it; a complainant's token speaks for it as long as the access code that it
was given for is the party's. Where a cell is empty, the role is refused before its request is looked at; what lies
outside the relation answers as if it did not exist.

A token that names scopes is limited to them. An `integration` token that names none may do nothing. A scope that begins
with the name of a resource of this service and `:` and is not in the last column is refused, whoever bears it.

"""


def page() -> str:
    """The page docs/access.md: every operation, what each role reaches with it, and its scope."""
    roles = list(Role)
    rows = [f"| Operation | {' | '.join(roles)} | Scope |", f"| --- |{' --- |' * (len(roles) + 1)}"]
    for operation, row in ACCESS.items():
        cells = [row.get(role, "") for role in roles]
        rows.append(f"| `{operation}` | {' | '.join(cells)} | {SCOPES.get(operation, '')} |")
    return _PAGE + "\n".join(rows) + "\n"
