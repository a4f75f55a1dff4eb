"""Who may do what: the rule. Each operation's permission is declared at its route (`http/routes.py`).

`page` prints them all as docs/access.md.

A token says which role its bearer has. What the bearer may see of *this* case is decided by the database at each
request: `AccessScope` carries the relation that the permission demands into the query or the lock. What lies outside
it is answered as if it did not exist. A token may also name scopes; they only ever narrow what the role allows. A
program may do nothing but what its scopes name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args
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
    """What the caller may see and do with one operation: the actor, and the relation that its permission demands."""

    actor: Actor
    relation: Relation


INTAKE = (Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR)
"""Staff who take in complaints and speak with parties."""
CASEWORK = (Role.COORDINATOR, Role.DIRECTOR)
"""Staff who run cases."""
PARTIES = (Role.COMPLAINANT, Role.OFFICER)


TokenScope: TypeAlias = Literal[
    "agreements:read",
    "agreements:write",
    "audit:read",
    "cases:read",
    "cases:write",
    "complaints:read",
    "complaints:write",
    "consents:read",
    "consents:write",
    "mandatory-reports:read",
    "mandatory-reports:write",
    "mediators:read",
    "mediators:write",
    "parties:read",
    "parties:write",
    "retention:read",
    "retention:write",
    "sessions:read",
    "sessions:write",
]
"""What a token can be limited to (RFC 6749 §3.3)."""
TOKEN_SCOPES: Final[frozenset[TokenScope]] = frozenset(get_args(TokenScope))
_RESOURCES: Final = frozenset(scope.partition(":")[0] for scope in TOKEN_SCOPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Who may call an operation: the roles, each with the relation that the object must have to the caller.

    `scope` is what a token that is limited to scopes must name; None where the operation is for everybody.
    """

    access: Mapping[Role, Relation]
    scope: TokenScope | None


def allow(
    *,
    office: Iterable[Role] = (),
    own: Iterable[Role] = (),
    proposed: bool = False,
    assigned: bool = False,
    mediated: bool = False,
    filed: bool = False,
) -> Mapping[Role, Relation]:
    """The roles of a `Permission`: `office` for any object, `own` for the caller's own.

    `proposed`, `assigned` and `mediated` allow a mediator, and `filed` an integration, in the relation of that name.
    """
    access = dict.fromkeys(office, Relation.OFFICE) | dict.fromkeys(own, Relation.OWN)
    if proposed:
        access[Role.MEDIATOR] = Relation.PROPOSED
    if assigned:
        access[Role.MEDIATOR] = Relation.ASSIGNED
    if mediated:
        access[Role.MEDIATOR] = Relation.MEDIATED
    if filed:
        access[Role.INTEGRATION] = Relation.FILED
    return MappingProxyType(access)


EVERYBODY: Final = allow(office=Role)


def is_own_scope(word: str) -> bool:
    """Whether a word of a token's `scope` is under this service's prefix: the name of one of its resources and `:`.

    In whatever case, so that a misspelt scope is not taken for another service's. All other words are the identity
    provider's own (`openid`), and say nothing here.
    """
    resource, colon, _ = word.partition(":")
    return bool(colon) and resource.casefold() in _RESOURCES


def scope_for(permission: Permission, actor: Actor) -> AccessScope:
    """What `actor` may see and do with an operation.

    Raises:
        Unauthenticated: the operation is not for the public, and the caller has no token.
        ScopeUnknown: the token names a scope under this service's prefix that does not exist. What its issuer meant to
            limit it to is unknown, so that every operation refuses it.
        NotPermitted: nobody of this role may call it, on any object.
        ScopeMissing: the token is limited to scopes, and this operation's is not among them; or it is a program's, and
            names none.
    """
    if actor.scopes is not None and not actor.scopes <= TOKEN_SCOPES:
        raise ScopeUnknown
    relation = permission.access.get(actor.role)
    if relation is None:
        raise Unauthenticated if actor.role is Role.PUBLIC else NotPermitted
    scope = permission.scope
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


def access_page(permissions: Mapping[str, Permission]) -> str:
    """The page docs/access.md: every operation by its id, what each role may do with it, and its scope."""
    roles = list(Role)
    rows = [f"| Operation | {' | '.join(roles)} | Scope |", f"| --- |{' --- |' * (len(roles) + 1)}"]
    for operation, permission in permissions.items():
        cells = [permission.access.get(role, "") for role in roles]
        rows.append(f"| `{operation}` | {' | '.join(cells)} | {permission.scope or ''} |")
    return _PAGE + "\n".join(rows) + "\n"
