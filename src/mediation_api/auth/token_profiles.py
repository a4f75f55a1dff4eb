"""What the access tokens of an identity provider look like, for each kind of provider.

By RFC 9068 an access token says in its header that it is one (`typ: at+jwt`), so that an ID token cannot pass for it.
Other providers write `typ: JWT`, or no type, into both. Their access tokens are recognized by a claim that their ID
tokens do not have (`access_claims`).

Sources: Microsoft, "Access token claims reference" (Entra ID) and [MS-OIDCE] 2.2.3.2, `access_token_issuer` (AD FS);
Okta, "Reserved claims in the access token"; Keycloak, `org.keycloak.representations.AccessToken`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from mediation_api.settings import ProviderKind, Settings

_ACCESS_TOKEN: Final = frozenset({"at+jwt", "application/at+jwt"})
"""Values of `typ` by which an access token says that it is one (RFC 9068 §2.1), in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """The form of an issuer's access tokens.

    The name of a claim that begins with `/` is a JSON pointer (RFC 6901): `/realm_access/roles`.
    """

    types: frozenset[str | None] = _ACCESS_TOKEN
    """Values of `typ` that are accepted, in lower case; None if it may be absent."""
    header: frozenset[str] = frozenset()
    """Members of the header beside `alg`, `kid` and `typ`. They are ignored, so none of them may name a key."""
    access_claims: Mapping[str, str | None] = field(default_factory=dict)
    """Claims that the provider's access tokens have and its ID tokens have not; None for any text.

    If `typ` does not say that the token is an access token, one of them must be there.
    """
    role_claim: str = "role"
    role_prefix: str = ""
    """What each role begins with. A value without it is not a role of this service."""
    takes_lists: bool = False
    """Whether roles and scopes may be in an array. Values that are no role of this service are then ignored."""
    subject_claims: tuple[str, ...] = ("sub",)
    """The first of these that the token has identifies the caller."""
    scope_claims: tuple[str, ...] = ("scope",)
    """The first of these that the token has names its scopes."""
    employee_number_claim: str = "employee_number"

    def says_access_token(self, kind: str | None) -> bool:
        """Whether a value of `typ` says by itself that the token is an access token."""
        return kind in _ACCESS_TOKEN


RFC_9068: Final = TokenProfile()

PROFILES: Final[Mapping[ProviderKind, TokenProfile]] = MappingProxyType(
    {
        ProviderKind.RFC9068: RFC_9068,
        ProviderKind.ENTRA: TokenProfile(
            types=_ACCESS_TOKEN | {"jwt"},
            header=frozenset({"x5t"}),  # of version 1.0; equal to `kid`
            access_claims={"azp": None, "appid": None},  # the client, in version 2.0 and 1.0
            role_claim="roles",
            takes_lists=True,
            # `sub` is another one for each application, and no page of Entra shows it to an administrator.
            subject_claims=("oid",),
            # A token of a program has its permissions in `roles`, and no `scp`.
            scope_claims=("scp", "roles"),
        ),
        ProviderKind.OKTA: TokenProfile(
            types=_ACCESS_TOKEN | {"jwt", None},
            access_claims={"cid": None},
            role_claim="groups",
            role_prefix="mediation-",
            takes_lists=True,
            # `sub` is the login, mostly an email address. A token of a program has no `uid`; its `sub` is the client's.
            subject_claims=("uid", "sub"),
            scope_claims=("scp",),
        ),
        ProviderKind.ADFS: TokenProfile(
            types=_ACCESS_TOKEN | {"jwt"},
            header=frozenset({"x5t"}),
            access_claims={"appid": None},
            role_prefix="mediation-",
            takes_lists=True,  # text if the user has one role
            scope_claims=("scp",),
        ),
        ProviderKind.KEYCLOAK: TokenProfile(
            types=_ACCESS_TOKEN | {"jwt"},
            access_claims={"typ": "Bearer"},  # `ID`, `Refresh`, `DPoP` or another in its other tokens
            role_claim="/resource_access/{audience}/roles",
            takes_lists=True,
        ),
    }
)
"""The profile of each kind of provider. `{audience}` in `role_claim` is MEDIATION_TOKEN_AUDIENCE."""


def profile_of(settings: Settings) -> TokenProfile:
    """Return the profile of the settings, with the claims that they name instead of its own."""
    profile = PROFILES[settings.token_profile]
    audience = settings.token_audience.replace("~", "~0").replace("/", "~1")
    return replace(
        profile,
        role_claim=settings.role_claim or profile.role_claim.replace("{audience}", audience),
        role_prefix=settings.role_prefix or profile.role_prefix,
        subject_claims=(settings.subject_claim,) if settings.subject_claim else profile.subject_claims,
        employee_number_claim=settings.employee_number_claim,
    )


def claim_of(claims: Mapping[str, object], name: str) -> object:
    """Return a claim by its name or JSON pointer; None if the token does not have it."""
    if not name.startswith("/"):
        return claims.get(name)
    value: object = claims
    for step in name[1:].split("/"):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step.replace("~1", "/").replace("~0", "~"))
    return value
