"""Verify bearer tokens, and issue the service's own.

    the city's identity provider ── staff, officers, mediators, integrations ─┐
                                                                              ├→ Verifier.verify → Actor
    the service itself (Issuer) ─── members of the public, one party each ────┘

Each issuer has its own name (`iss`), keys and roles; a token of one is never accepted as the other's.

python-jose checks the signature alone. Its `jwt.decode` does not check enough (a nested header and `exp: 1e400` raise
unexpected errors, a token without `exp` never expires) and reads the system clock: see
docs/decisions/0078-one-function-verifies-tokens.md. No other module may call `jws.verify` or `jwt.decode`; `make
gate-scan` enforces that.
"""

import json
import logging
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

from jose import jws

from mediation_api.auth.identity_provider import KeySet, OwnKeys, SigningKey, VerificationKey, base64url, read_object
from mediation_api.domain.access import Actor, Role, is_own_scope
from mediation_api.domain.employee_numbers import folded
from mediation_api.domain.errors import TokenExpired, Unauthenticated
from mediation_api.domain.visibility import unseen

CITY_ROLES: Final = frozenset(Role) - {Role.PUBLIC, Role.COMPLAINANT}
SERVICE_ROLES: Final = frozenset({Role.COMPLAINANT})

CITY_LIFETIME: Final = timedelta(hours=2)
"""The longest life a city token may have. The role is in the token, so this is how long a role outlives its
loss. The usual providers issue 5 to 90 minutes; ask for 15."""
SERVICE_LIFETIME: Final = timedelta(minutes=15)
"""The life of the service's own tokens. Source: docs/contract.md, "Security"."""
MAX_LEEWAY: Final = timedelta(seconds=30)
"""How much the clocks of issuer and service may differ."""

_MAX_TOKEN: Final = 4096
_MAX_HEADER: Final = 1024
_MAX_TEXT: Final = 255
_MAX_NAME: Final = 200
_CLAIM_BRACKETS: Final = 64
_MAX_VERIFIED: Final = 4096
"""How many verified tokens are kept."""
_LAST_SECOND: Final = 2**53  # the last integer that every JSON reader agrees on
# Three parts of base64url: no JWE (five parts), no padding, no blanks, no characters that a lax decoder would skip.
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
# A header with `crit`, `jwk`, `jku`, `x5u`, `x5c` or `zip` is refused, not ignored: it needs an unsupported feature.
_HEADER: Final = {"alg", "kid", "typ"}
_TYPES: Final = {
    "at+jwt",
    "application/at+jwt",
}  # RFC 9068 §2.1: an ID token must not pass for an access token

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer: its `iss`, the `aud` that its tokens must name, its keys, and the longest lifetime of its tokens."""

    name: str
    audience: str
    keys: KeySet
    max_lifetime: timedelta = CITY_LIFETIME
    role_claim: str = "role"
    employee_number_claim: str = "employee_number"


class Verifier:
    """Verifies bearer tokens."""

    def __init__(self, *, city: TrustedIssuer, service: TrustedIssuer, leeway: timedelta = MAX_LEEWAY) -> None:
        """Raises ValueError when the issuers share a name or keys, or for a leeway of more than 30 s."""
        if city.name == service.name or city.keys is service.keys:
            message = "the city's identity provider and the service must have different names and keys"
            raise ValueError(message)
        if not timedelta() <= leeway <= MAX_LEEWAY:
            message = "the leeway must be between 0 and 30 seconds"
            raise ValueError(message)
        self._issuers: Mapping[str, tuple[TrustedIssuer, frozenset[Role]]] = {
            city.name: (city, CITY_ROLES),
            service.name: (service, SERVICE_ROLES),
        }
        self._city = city
        self._leeway = leeway.total_seconds()
        self._verified: dict[bytes, _Verified] = {}

    async def verify(self, token: str, now: datetime) -> Actor:
        """Return the actor that a token authenticates.

        Raises Unauthenticated, and no other exception, for any token that is not valid; TokenExpired (a subclass) if
        nothing but its age is wrong. Their messages contain nothing of the token.
        Raises ValueError if `now` has no time zone.
        """
        if now.tzinfo is None:
            message = "now needs a time zone"
            raise ValueError(message)
        try:
            return await self._read(token, now.timestamp())
        except TokenExpired:
            raise
        except Exception as error:  # noqa: BLE001 - a token that causes an error is refused, never a 500
            # The reason is a constant of this module or a class name. It helps to connect an identity provider.
            reason = error if isinstance(error, _Refused) else type(error).__name__
            logger.debug("token refused: %s", reason)
            raise Unauthenticated from None

    @property
    def keys_age_seconds(self) -> float:
        """How long ago the identity provider's keys were read; infinite if they never were."""
        return self._city.keys.age_seconds

    async def _read(self, token: str, now: float) -> Actor:
        """Return the actor of a token.

        What does not depend on the time is verified once for each token and key; the hash of the token is kept, and not
        the token. Its key must still be among the issuer's, so a key that was withdrawn ends the tokens that it signed.
        """
        digest = sha256(token.encode()).digest()
        verified = self._verified.get(digest)
        if verified is None or await verified.issuer.keys.find(verified.key.kid) is not verified.key:
            verified = await self._verify(token)
            self._verified[digest] = verified
            if len(self._verified) > _MAX_VERIFIED:
                del self._verified[next(iter(self._verified))]
        if verified.starts > now + self._leeway:
            raise _Refused("not yet valid")
        if now >= verified.expires + self._leeway:  # last, so that TokenExpired means that the token is otherwise valid
            raise TokenExpired
        return verified.actor

    async def _verify(self, token: str) -> "_Verified":
        """Verify everything of a token except its age."""
        parts = _COMPACT.fullmatch(token) if len(token) <= _MAX_TOKEN else None
        if parts is None:
            raise _Refused("shape")
        header, payload = base64url(parts[1]), base64url(parts[2])
        # The claims are read before the signature is checked, because `iss` selects the keys to check it with.
        claims = read_object(payload, brackets=_CLAIM_BRACKETS)
        issuer, roles = self._issuer(claims)
        key = await _key(header, issuer)
        # One key with its own algorithm; and the signed bytes are exactly those that were read above.
        if jws.verify(token, key.key, algorithms=[key.algorithm]) != payload:
            raise _Refused("payload")
        _check_audience(claims, issuer)
        issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
        if not 0 < expires - issued <= issuer.max_lifetime.total_seconds():
            raise _Refused("lifetime")
        starts = max(issued, _seconds(claims, "nbf")) if "nbf" in claims else issued
        return _Verified(_actor(claims, issuer, roles), issuer, key, starts, expires)

    def _issuer(self, claims: Mapping[str, object]) -> tuple[TrustedIssuer, frozenset[Role]]:
        name = claims.get("iss")
        if not isinstance(name, str) or name not in self._issuers:
            raise _Refused("iss")
        return self._issuers[name]


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token whose signature and claims were verified; its times are in seconds since 1970."""

    actor: Actor
    issuer: TrustedIssuer
    key: VerificationKey
    starts: int
    expires: int


class Issuer:
    """Signs the service's own tokens: ES256, short-lived, each for one party."""

    def __init__(self, key: SigningKey, *, name: str, audience: str, lifetime: timedelta = SERVICE_LIFETIME) -> None:
        """Raises ValueError for a key that is not P-256."""
        if key.algorithm != "ES256":
            message = "the service signs with a P-256 key"
            raise ValueError(message)
        self._key = key
        self._name = name
        self._audience = audience
        self._lifetime = lifetime

    @classmethod
    def from_file(cls, path: Path, *, name: str, audience: str, lifetime: timedelta = SERVICE_LIFETIME) -> "Issuer":
        """Read the private key from a PEM file. Raises OSError, or ValueError for a key that is not P-256."""
        return cls(SigningKey.from_pem(path.read_bytes()), name=name, audience=audience, lifetime=lifetime)

    def issue(self, party_id: UUID, *, code: str, token_id: UUID, now: datetime) -> str:
        """Return a token for one party, valid from `now` for the issuer's lifetime.

        `code` is the public part of the access code that was exchanged: if the code ends, the token is revoked.
        """
        issued = int(now.timestamp())
        claims: dict[str, str | int] = {
            "iss": self._name,
            "aud": self._audience,
            "sub": str(party_id),
            "code": code,
            "role": Role.COMPLAINANT,
            "iat": issued,
            "exp": issued + int(self._lifetime.total_seconds()),
            "jti": str(token_id),
        }
        return sign_token(claims, self._key)

    def trusted(self, *others: SigningKey) -> TrustedIssuer:
        """Return the issuer with its public key, for a Verifier that is to accept these tokens.

        `others` are further keys of the service to accept. To replace the key of several running processes without
        refusing a token, let all of them accept the new key, then sign with it, then remove the old one.
        """
        keys = KeySet(OwnKeys(self._key, *others))
        return TrustedIssuer(self._name, self._audience, keys, max_lifetime=self._lifetime)


def sign_token(claims: Mapping[str, str | int], key: SigningKey) -> str:
    """Sign claims as an access token (RFC 9068: `typ` at+jwt)."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return jws.sign(payload, key.key, headers={"typ": "at+jwt", "kid": key.kid}, algorithm=key.algorithm)


class _Refused(Exception):  # noqa: N818 - not an error of the program
    """Why a token was refused: a constant of this module. Not raised to callers."""


async def _key(document: bytes, issuer: TrustedIssuer) -> VerificationKey:
    """Return the key that the token's header names, among the issuer's own keys."""
    if len(document) > _MAX_HEADER:
        raise _Refused("header")
    header = read_object(document, brackets=1)  # the header itself; its values must not be nested
    kind, kid = header.get("typ"), header.get("kid")
    if header.keys() != _HEADER or not isinstance(kind, str) or not isinstance(kid, str):
        raise _Refused("header")
    if kind.lower() not in _TYPES:
        raise _Refused("typ")
    key = await issuer.keys.find(kid)
    if key is None:
        raise _Refused("kid")
    if header["alg"] != key.algorithm:  # the key determines the algorithm, never the token
        raise _Refused("alg")
    return key


def _check_audience(claims: Mapping[str, object], issuer: TrustedIssuer) -> None:
    audience = claims.get("aud")
    if audience != issuer.audience and not (isinstance(audience, list) and issuer.audience in audience):
        raise _Refused("aud")


def _actor(claims: Mapping[str, object], issuer: TrustedIssuer, roles: frozenset[Role]) -> Actor:
    subject = _text(claims, "sub")
    role = Role(_text(claims, issuer.role_claim))
    if role not in roles:
        raise _Refused("role")
    scopes = _scopes(claims)
    if role is Role.COMPLAINANT:
        party_id = UUID(subject)
        if str(party_id) != subject:  # UUID() also accepts braces, URNs and capitals, which `issue` never writes
            raise _Refused("sub")
        return Actor(role, subject, party_id=party_id, code=_text(claims, "code"), scopes=scopes)
    number = issuer.employee_number_claim
    # Optional for other roles, but checked: a mediator must not be an officer of the complaint. Some identity providers
    # write null or an empty text for none.
    is_needed = role is Role.OFFICER or claims.get(number) not in (None, "")
    employee_number = folded(_text(claims, number)) if is_needed else None
    if employee_number == "":
        raise _Refused("employee number")
    return Actor(role, subject, employee_number=employee_number, scopes=scopes, name=_name(claims))


def _name(claims: Mapping[str, object]) -> str | None:
    """Return the claim `name` (OpenID Connect Core, 5.1) for display; None if there is none that can be displayed.

    It decides nothing, so a token is not refused for it.
    """
    name = claims.get("name")
    if not isinstance(name, str) or not name.isprintable():
        return None
    name = unicodedata.normalize("NFC", name).strip()
    return name if len(name) <= _MAX_NAME and unseen(name) is None else None


def _scopes(claims: Mapping[str, object]) -> frozenset[str] | None:
    """Return the token's scopes with this service's prefix; None if there are none (RFC 9068 §2.2.3).

    Identity providers add scopes of their own (`openid`, `email`), which do not concern this service. The domain
    refuses a scope that has the prefix and does not exist.
    """
    if "scope" not in claims:
        return None
    scopes = claims["scope"]
    if not isinstance(scopes, str):
        raise _Refused("scope")
    return frozenset(filter(is_own_scope, scopes.split(" "))) or None


def _text(claims: Mapping[str, object], name: str) -> str:
    """Return a claim that is safe to compare, store and log: no control characters, surrogates or outer blanks."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise _Refused(name)
    if not value.isprintable() or value != value.strip():
        raise _Refused(name)
    return value


def _seconds(claims: Mapping[str, object], name: str) -> int:
    """Return a claim that is a time in whole seconds since 1970; `True` and 1e400 are not."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= _LAST_SECOND:
        raise _Refused(name)
    return value
