"""Permissions: which roles may call an operation, and which relation to the object each of them needs.

Each operation declares its permission at its route (`http/routes.py`); `access_page` prints all of them as
docs/access.md.

The role comes from the token. Whether the caller may see *this* case is decided in the database at each request:
`AccessScope` carries the required relation into the query or the lock. An object outside that relation is answered as
if it did not exist. A token may also name scopes, which only narrow what the role allows. An integration may do only
what its scopes name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args
from uuid import UUID

from mediation_api.domain.errors import NotPermitted, ScopeMissing, ScopeUnknown, Unauthenticated


class Role(StrEnum):
    """The role that a token names; `public` is a caller without a token."""

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

    A complainant has `party_id` and `code`, the public part of the access code that was exchanged for the token. An
    officer has `employee_number`, and so has anybody else whose token names one: a mediator may also be an officer.
    `scopes` are the scopes of this service in the token, known or not; None if it names none. Such a token may do
    everything that its role allows, but an integration's nothing. `name` is the person's, as the token has it.
    """

    role: Role
    subject: str
    party_id: UUID | None = None
    code: str | None = None
    employee_number: str | None = None
    scopes: frozenset[str] | None = None
    name: str | None = None

    @property
    def is_party(self) -> bool:
        """Whether the caller is a complainant or an officer."""
        return self.role in {Role.COMPLAINANT, Role.OFFICER}


ANYBODY = Actor(Role.PUBLIC, "public")


class Audience(StrEnum):
    """Who reads: for each audience, a representation has its own fields."""

    OFFICE = "office"
    MEDIATOR = "mediator"
    PARTY = "party"
    INTEGRATION = "integration"


class Relation(StrEnum):
    """Which relation the object must have to the caller."""

    OFFICE = "office"
    """Any object of the office."""
    FILED = "filed"
    """A complaint that this integration filed, or an endpoint of webhooks that it registered."""
    PROPOSED = "proposed"
    """A case that was proposed to this mediator, or accepted by them; for the roster, the mediator's own entry."""
    ASSIGNED = "assigned"
    """A case that this mediator accepted and has not left."""
    MEDIATED = "mediated"
    """A case that this mediator accepted, also after leaving it; of its mandatory reports, the mediator's own."""
    OWN = "own"
    """The caller's own party, and the case as that party sees it; for an officer, only once the officer was asked."""

    @property
    def audience(self) -> Audience:
        """The audience of what a caller in this relation reads."""
        return _AUDIENCES.get(self, Audience.MEDIATOR)


_AUDIENCES: Final = {
    Relation.OFFICE: Audience.OFFICE,
    Relation.FILED: Audience.INTEGRATION,
    Relation.OWN: Audience.PARTY,
}


@dataclass(frozen=True, slots=True)
class AccessScope:
    """What the caller may see and do with one operation: the actor, and the relation that the permission requires."""

    actor: Actor
    relation: Relation


INTAKE = (Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR)
"""Staff who enter complaints and talk to parties."""
CASEWORK = (Role.COORDINATOR, Role.DIRECTOR)
"""Staff who manage cases."""
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
    "events:read",
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
    "webhooks:read",
    "webhooks:write",
]
"""What a token can be limited to (RFC 6749 §3.3)."""
TOKEN_SCOPES: Final[frozenset[TokenScope]] = frozenset(get_args(TokenScope))
_RESOURCES: Final = frozenset(scope.partition(":")[0] for scope in TOKEN_SCOPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Who may call an operation: the roles, each with the relation that the object must have to the caller.

    A token that is limited to scopes must name `oauth_scope`; None for an operation that needs none of them.
    """

    access: Mapping[Role, Relation]
    oauth_scope: TokenScope | None


def allow(
    *,
    office: Iterable[Role] = (),
    own: Iterable[Role] = (),
    proposed: bool = False,
    assigned: bool = False,
    mediated: bool = False,
    filed: bool = False,
) -> Mapping[Role, Relation]:
    """Return the roles of a `Permission`: `office` for any object, `own` for the caller's own.

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


def is_own_scope(scope: str) -> bool:
    """Return whether a scope in a token is this service's: it starts with the name of a resource here and `:`.

    Upper and lower case are not distinguished, so that a misspelt scope is not taken for another service's. All other
    scopes (`openid`) belong to other services and are ignored.
    """
    resource, colon, _ = scope.partition(":")
    return bool(colon) and resource.casefold() in _RESOURCES


def scope_for(permission: Permission, actor: Actor) -> AccessScope:
    """Return what `actor` may see and do with an operation.

    Raises:
        Unauthenticated: the operation is not for the public, and the caller has no token.
        ScopeUnknown: the token names a scope of this service that does not exist. Every operation refuses it, since
            nobody can tell what its issuer meant to limit it to.
        NotPermitted: the role may not call it on any object.
        ScopeMissing: the token is limited to scopes that do not include this operation's, or it is an integration's
            and names none.
    """
    if actor.scopes is not None and not actor.scopes <= TOKEN_SCOPES:
        raise ScopeUnknown
    relation = permission.access.get(actor.role)
    if relation is None:
        raise Unauthenticated if actor.role is Role.PUBLIC else NotPermitted
    scope = permission.oauth_scope
    named = actor.scopes or frozenset()
    is_limited = bool(named) or actor.role is Role.INTEGRATION
    if is_limited and not (named and scope is None) and scope not in named:
        raise ScopeMissing(scope)
    return AccessScope(actor, relation)


def is_limited_from(scope: TokenScope, actor: Actor) -> bool:
    """Return whether the token of `actor` is limited to scopes without this one."""
    return actor.scopes is not None and scope not in actor.scopes


_PAGE: Final = """\
# Who may do what

Operation by role, and the relation that the object must have to the caller. This page is generated: `make generate`.

`office`: any object of the office. `filed`: a complaint that this integration filed, or an endpoint of webhooks that it
registered. `proposed`: a case that was proposed to this mediator, or accepted by them. `assigned`: a case that this
mediator accepted and has not left. `mediated`: a case that this mediator accepted, also after leaving it; of its
mandatory reports, the mediator's own. A mediator who is also a party of the complaint has none of these relations to
it. `own`: the caller's own party, and the case as that party sees it; a complainant's token is valid as long as the
access code that was exchanged for it. Where a cell is empty, the role is refused before anything is read. An object
outside the relation is answered as if it did not exist.

A token that names scopes is limited to them. An `integration` token that names none may do nothing. A token that names
a scope which begins with the name of a resource of this service and `:` but is not in the last column is refused.

"""


def access_page(permissions: Mapping[str, Permission]) -> str:
    """Return docs/access.md: every operation by its id, the relation that each role needs, and its scope."""
    roles = list(Role)
    rows = [f"| Operation | {' | '.join(roles)} | Scope |", f"| --- |{' --- |' * (len(roles) + 1)}"]
    for operation, permission in permissions.items():
        cells = [permission.access.get(role, "") for role in roles]
        rows.append(f"| `{operation}` | {' | '.join(cells)} | {permission.oauth_scope or ''} |")
    return _PAGE + "\n".join(rows) + "\n"
