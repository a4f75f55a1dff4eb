"""Who may call, as the contract says it: one security scheme for each way to get a token.

Which of them an operation takes, and with which scope, follows from its permission.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mediation_api.domain.access import Permission, Role


@dataclass(frozen=True, slots=True)
class Scheme:
    """A kind of bearer token: whose it is, and how somebody comes by one."""

    roles: frozenset[Role]
    description: str

    def documented(self) -> dict[str, object]:
        """The scheme as OpenAPI writes it. Of type `http`: fuzzers look for unprotected operations of no other."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": self.description}


SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "StaffBearer": Scheme(
            frozenset({Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR, Role.AUDITOR, Role.MEDIATOR, Role.OFFICER}),
            "A person with an account of the city: staff of the office, a mediator, an officer. The token is one of "
            "the city's identity provider, `typ` `at+jwt`, and names the person's role.",
        ),
        "IntegrationBearer": Scheme(
            frozenset({Role.INTEGRATION}),
            "A program of the city. The token is one of the city's identity provider, `typ` `at+jwt`, got with the "
            "program's own credentials (OAuth 2.0, client credentials).",
        ),
        "ComplainantBearer": Scheme(
            frozenset({Role.COMPLAINANT}),
            "A member of the public, without an account. The token speaks for one party and is short-lived: "
            "`exchangeAccessCode` gives it for an access code.",
        ),
    }
)
"""Every role but the public's stands in one of them. The first is the one that most operations take."""


def security_of(permission: Permission) -> list[dict[str, list[str]]]:
    """The alternatives of OpenAPI's `security`: a scheme for each kind of caller that an operation permits.

    `{}` among them says that it is done without a token as well; no alternative at all, that a token makes no
    difference. OpenAPI 3.1 takes a scope beside any kind of scheme.
    """
    if permission.scope is None:
        return []
    roles = permission.access.keys()
    without: list[dict[str, list[str]]] = [{}] if Role.PUBLIC in roles else []
    return without + [{name: [permission.scope]} for name, scheme in SCHEMES.items() if scheme.roles & roles]
