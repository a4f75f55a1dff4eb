"""The security schemes of the contract: one for each way to get a token.

The schemes and scopes of an operation follow from its permission.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mediation_api.domain.access import Permission, Role


@dataclass(frozen=True, slots=True)
class Scheme:
    """A kind of bearer token: the roles that it is for, and how to get one."""

    roles: frozenset[Role]
    description: str

    def documented(self) -> dict[str, object]:
        """Return the security scheme object of OpenAPI. Its type is `http`, the only one that fuzzers check."""
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
            "`exchangeAccessCode` returns it for an access code.",
        ),
    }
)
"""Each role except the public is in one of them. Most operations take the first."""


def security_of(permission: Permission) -> list[dict[str, list[str]]]:
    """Return OpenAPI's `security`: one alternative for each scheme whose roles may call the operation.

    `{}` among them means that no token is needed; an empty list, that a token makes no difference. OpenAPI 3.1 allows
    scopes with any type of scheme.
    """
    roles, scope = permission.access.keys(), permission.oauth_scope
    if roles == set(Role):
        return []
    anonymous: list[dict[str, list[str]]] = [{}] if Role.PUBLIC in roles else []
    scopes: list[str] = [] if scope is None else [scope]
    return anonymous + [{name: scopes} for name, scheme in SCHEMES.items() if scheme.roles & roles]
