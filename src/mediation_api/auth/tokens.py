"""Who is calling: the one door through which every bearer token comes, and the service's own tokens.

    the city's identity provider ── staff, officers, mediators, integrations ─┐
                                                                              ├→ Verifier.verify → Actor
    the service itself (Issuer) ─── members of the public, one party each ────┘

Each has its own name (`iss`), its own keys and its own roles; neither can speak for the other.

python-jose is used for the signature alone. `jwt.decode` trusts too much in a token (a
nested header is a 500, `exp: 1e400` is a 500, a missing `exp` is eternal life) and reads the wall clock: see
docs/decisions/0078-one-function-verifies-tokens.md. Nothing outside this file may call `jws.verify` or `jwt.decode`; a
test checks that.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from jose import jws

from mediation_api.auth.identity_provider import KeySet, OwnKeys, SigningKey, VerificationKey, base64url, read_object
from mediation_api.domain.access import Actor, Role, is_own_scope
from mediation_api.domain.employee_numbers import folded
from mediation_api.domain.errors import TokenExpired, Unauthenticated

CITY_ROLES: Final = frozenset(Role) - {Role.PUBLIC, Role.COMPLAINANT}
SERVICE_ROLES: Final = frozenset({Role.COMPLAINANT})

CITY_LIFETIME: Final = timedelta(hours=2)
"""The longest life a city token may have. The role is in the token, so this is how long a role outlives its
loss. The usual providers issue 5 to 90 minutes; ask for 15."""
SERVICE_LIFETIME: Final = timedelta(minutes=15)
"""The life of the service's own tokens. Source: docs/contract.md, "Security"."""
MAX_LEEWAY: Final = timedelta(seconds=30)
"""How far the clocks of issuer and service may differ."""

_MAX_TOKEN: Final = 4096
_MAX_HEADER: Final = 1024
_MAX_TEXT: Final = 255
_CLAIM_BRACKETS: Final = 64
_LAST_SECOND: Final = 2**53  # the last integer that every JSON reader agrees on
# Three parts of base64url: no JWE (five), no padding, no blanks, nothing that a lax decoder would skip.
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
# `crit`, `jwk`, `jku`, `x5u`, `x5c` and `zip` are not ignored but refused: they ask for what we do not do.
_HEADER: Final = {"alg", "kid", "typ"}
_TYPES: Final = {
    "at+jwt",
    "application/at+jwt",
}  # RFC 9068 §2.1: an ID token must not pass for an access token

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer: its `iss`, the `aud` it must name, its keys, and the longest life its tokens may have."""

    name: str
    audience: str
    keys: KeySet
    max_lifetime: timedelta = CITY_LIFETIME
    role_claim: str = "role"
    employee_number_claim: str = "employee_number"


class Verifier:
    """Turns a bearer token into an Actor, or refuses."""

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
        self._leeway = leeway.total_seconds()

    async def verify(self, token: str, now: datetime) -> Actor:
        """Say who the bearer of a token is.

        Raises Unauthenticated for whatever is wrong with the token, and nothing else, however hostile it is;
        TokenExpired (an Unauthenticated) when its age is all that is wrong. Neither carries a word of it.
        Raises ValueError when `now` has no time zone.
        """
        if now.tzinfo is None:
            message = "now needs a time zone"
            raise ValueError(message)
        try:
            return await self._read(token, now.timestamp())
        except TokenExpired:
            raise
        except Exception as fault:  # noqa: BLE001 - a token that breaks something is a bad token, never a 500
            # Only ever a word of ours: for whoever connects an identity provider, and at debug level.
            reason = fault if isinstance(fault, _Refused) else type(fault).__name__
            logger.debug("token refused: %s", reason)
            raise Unauthenticated from None

    async def _read(self, token: str, now: float) -> Actor:
        parts = _COMPACT.fullmatch(token) if len(token) <= _MAX_TOKEN else None
        if parts is None:
            raise _Refused("shape")
        header, payload = base64url(parts[1]), base64url(parts[2])
        # Read before the signature can be checked, for the two names that say which key to check it with.
        claims = read_object(payload, brackets=_CLAIM_BRACKETS)
        issuer, roles = self._issuer(claims)
        key = await _key(header, issuer)
        # One key with its own algorithm; and what was signed is byte for byte what was read above.
        if jws.verify(token, key.key, algorithms=[key.algorithm]) != payload:
            raise _Refused("payload")
        _check_audience(claims, issuer)
        expires = self._expiry(claims, issuer, now)
        actor = _actor(claims, issuer, roles)
        if now >= expires + self._leeway:  # last, so that "expired" means "and otherwise good"
            raise TokenExpired
        return actor

    def _issuer(self, claims: Mapping[str, object]) -> tuple[TrustedIssuer, frozenset[Role]]:
        name = claims.get("iss")
        if not isinstance(name, str) or name not in self._issuers:
            raise _Refused("iss")
        return self._issuers[name]

    def _expiry(self, claims: Mapping[str, object], issuer: TrustedIssuer, now: float) -> int:
        """Check the times against each other and the clock; give `exp` for the caller to hold against it."""
        issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
        starts = _seconds(claims, "nbf") if "nbf" in claims else issued
        if max(issued, starts) > now + self._leeway:
            raise _Refused("not yet valid")
        if not 0 < expires - issued <= issuer.max_lifetime.total_seconds():
            raise _Refused("lifetime")
        return expires


class Issuer:
    """Signs the service's own tokens: short-lived, ES256, for one party each."""

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
        """Give a token that speaks for one party from `now` on, until the lifetime is over.

        `code` is the public part of the access code that it is given for: the token ends with the code.
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
        return sign(claims, self._key)

    def trusted(self, *others: SigningKey) -> TrustedIssuer:
        """Give what the Verifier needs to accept these tokens: the public half of the key, without a file.

        `others` are keys of the service to accept beside its own. To change the key of several running
        processes without refusing a token, first let all of them accept the new key, then sign with it, then
        drop the old.
        """
        keys = KeySet(OwnKeys(self._key, *others))
        return TrustedIssuer(self._name, self._audience, keys, max_lifetime=self._lifetime)


def sign(claims: Mapping[str, str | int], key: SigningKey) -> str:
    """Sign claims as an access token (RFC 9068: `typ` at+jwt)."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return jws.sign(payload, key.key, headers={"typ": "at+jwt", "kid": key.kid}, algorithm=key.algorithm)


class _Refused(Exception):  # noqa: N818 - not an error of the program
    """Why a token was refused, in one word of ours. Never leaves this file."""


async def _key(document: bytes, issuer: TrustedIssuer) -> VerificationKey:
    """Find the key that the token's header names, in the issuer's own keys only."""
    if len(document) > _MAX_HEADER:
        raise _Refused("header")
    header = read_object(document, brackets=1)  # the object itself: nothing in it may nest
    kind, kid = header.get("typ"), header.get("kid")
    if header.keys() != _HEADER or not isinstance(kind, str) or not isinstance(kid, str):
        raise _Refused("header")
    if kind.lower() not in _TYPES:
        raise _Refused("typ")
    key = await issuer.keys.find(kid)
    if key is None:
        raise _Refused("kid")
    if header["alg"] != key.algorithm:  # the key decides, the token may only agree
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
        if str(party_id) != subject:  # UUID() also reads braces, URNs and capitals; we never write them
            raise _Refused("sub")
        return Actor(role, subject, party_id=party_id, code=_text(claims, "code"), scopes=scopes)
    number = issuer.employee_number_claim
    # Whoever else has one may have a part in a case: a mediator is held against it. Providers write null or nothing.
    has_one = role is Role.OFFICER or claims.get(number) not in (None, "")
    employee_number = folded(_text(claims, number)) if has_one else None
    if employee_number == "":
        raise _Refused("employee number")
    return Actor(role, subject, employee_number=employee_number, scopes=scopes)


def _scopes(claims: Mapping[str, object]) -> frozenset[str] | None:
    """Which scopes under this service's prefix the token names, if any (RFC 9068 §2.2.3: words with a space between).

    Identity providers put words of their own there (`openid`, `email`), which say nothing of this service. Whether
    there is such a scope is not asked here: `domain.access.reach` refuses the one that there is not.
    """
    if "scope" not in claims:
        return None
    named = claims["scope"]
    if not isinstance(named, str):
        raise _Refused("scope")
    return frozenset(filter(is_own_scope, named.split(" "))) or None


def _text(claims: Mapping[str, object], name: str) -> str:
    """A claim fit to be compared, stored and logged: no control characters, surrogates or rim of blanks."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise _Refused(name)
    if not value.isprintable() or value != value.strip():
        raise _Refused(name)
    return value


def _seconds(claims: Mapping[str, object], name: str) -> int:
    """A time in whole seconds since 1970. `True` is an int to Python, and 1e400 a number to JSON."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= _LAST_SECOND:
        raise _Refused(name)
    return value
