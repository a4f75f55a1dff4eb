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
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

from jose import jws

from mediation_api.auth.identity_provider import (
    JwksAddress,
    JwksFile,
    KeySet,
    KeysUnavailable,
    OwnKeys,
    SigningKey,
    VerificationKey,
    base64url,
    read_object,
    source_at,
)
from mediation_api.auth.token_profiles import RFC_9068, TokenProfile, claim_of, profile_of
from mediation_api.domain.access import Actor, Role, is_own_scope
from mediation_api.domain.employee_numbers import folded
from mediation_api.domain.errors import TokenExpired, Unauthenticated
from mediation_api.domain.visibility import unseen
from mediation_api.settings import Settings, SettingsError

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
_MAX_SHOWN: Final = 200
_CLAIM_BRACKETS: Final = 64
_MAX_VERIFIED: Final = 4096
"""How many verified tokens are kept."""
_LAST_SECOND: Final = 2**53  # the last integer that every JSON reader agrees on
# Three parts of base64url: no JWE (five parts), no padding, no blanks, no characters that a lax decoder would skip.
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
# A header with `crit`, `jwk`, `jku`, `x5u`, `x5c` or `zip` is refused, not ignored: it needs an unsupported feature.
_REQUIRED_HEADER: Final = frozenset({"alg", "kid"})
_HEADER: Final = _REQUIRED_HEADER | {"typ"}
_ID_TOKEN_CLAIMS: Final = ("nonce", "at_hash", "c_hash")
"""Claims of an ID token alone (OpenID Connect Core, 2 and 3.3.2.11)."""

logger = logging.getLogger(__name__)


class TokenFault(StrEnum):
    """Why a token is refused, for the operator: `refusal` in the request's log line. The caller is not told."""

    SCHEME = "scheme"
    """The header Authorization is not one bearer token."""
    MALFORMED = "malformed"
    """It is too long, not three parts of base64url, or its claims are no JSON object."""
    HEADER = "header"
    """The header cannot be read, lacks a member, or has one that is not accepted."""
    TYPE = "type"
    """It is no access token, or only valid with a key of its client."""
    ALGORITHM = "algorithm"
    KEY = "key"
    """Its issuer publishes no such key."""
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    LIFETIME = "lifetime"
    """A time is missing or malformed, or the token is valid for too long."""
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    SUBJECT = "subject"
    ROLE = "role"
    SEVERAL_ROLES = "several-roles"
    EMPLOYEE_NUMBER = "employee-number"
    SCOPE = "scope"


class TokenRefused(Exception):  # noqa: N818 - not an error of the program
    """Why a token is refused, in words for whoever connects an identity provider: `token check` prints them.

    `verify` raises Unauthenticated instead, which names the fault alone: the words may contain values of claims.
    """

    def __init__(self, fault: TokenFault, subject: str, *, expected: str, found: object) -> None:
        self.fault = fault
        self.words = f"{subject}: expected {expected}; found {found}"
        super().__init__(self.words)


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer: its `iss`, the `aud` that its tokens must name, its keys, and the form and lifetime of its tokens."""

    name: str
    audience: str
    keys: KeySet
    max_lifetime: timedelta = CITY_LIFETIME
    profile: TokenProfile = RFC_9068


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

    @classmethod
    def of(cls, settings: Settings) -> "Verifier":
        """Return the verifier of the settings. Raises SettingsError if the service's key cannot be used."""
        city = TrustedIssuer(
            settings.token_issuer,
            settings.token_audience,
            KeySet(jwks_source(settings)),
            max_lifetime=timedelta(minutes=settings.token_max_minutes),
            profile=profile_of(settings),
        )
        leeway = timedelta(seconds=settings.clock_leeway_seconds)
        return cls(city=city, service=Issuer.of(settings).trusted(), leeway=leeway)

    async def has_keys(self) -> bool:
        """Whether there is a key for the identity provider's tokens. Waits about a second for them at most."""
        return await self._city.keys.are_usable()

    async def verify(self, token: str, now: datetime) -> Actor:
        """Return the actor that a token authenticates.

        Raises Unauthenticated for any token that is not valid; TokenExpired (a subclass) if nothing but its age is
        wrong. Their messages contain nothing of the token.
        Raises KeysUnavailable, and no other exception, if its issuer's keys could not be read, so that nobody can say
        whether the token is valid.
        Raises ValueError if `now` has no time zone.
        """
        if now.tzinfo is None:
            message = "now needs a time zone"
            raise ValueError(message)
        try:
            return await self.check(token, now)
        except KeysUnavailable:
            raise
        except TokenRefused as refusal:
            raise (TokenExpired if refusal.fault is TokenFault.EXPIRED else Unauthenticated)(refusal.fault) from None
        except Exception as error:  # noqa: BLE001 - a token that causes an error is refused, never a 500
            logger.debug("a token caused an error: %s", type(error).__name__)
            raise Unauthenticated(TokenFault.MALFORMED) from None

    @property
    def keys_age_seconds(self) -> float:
        """How long ago the identity provider's keys were read; infinite if they never were."""
        return self._city.keys.age_seconds

    @property
    def keys_are_failing(self) -> bool:
        """Whether the identity provider's keys could not be read when it was last tried."""
        return self._city.keys.is_failing

    async def check(self, token: str, now: datetime) -> Actor:
        """Return the actor of a token. Raises TokenRefused or KeysUnavailable.

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
        at = now.timestamp()
        if verified.starts > at + self._leeway:
            raise TokenRefused(
                TokenFault.NOT_YET_VALID,
                "nbf, iat",
                expected=f"{_time(int(at))} or earlier (this machine's clock)",
                found=_time(verified.starts),
            )
        if at >= verified.expires + self._leeway:  # last: an expired token is otherwise valid
            raise TokenRefused(
                TokenFault.EXPIRED,
                "exp",
                expected=f"later than {_time(int(at))} (this machine's clock)",
                found=_time(verified.expires),
            )
        return verified.actor

    async def _verify(self, token: str) -> "_Verified":
        """Verify everything of a token except its age."""
        header, claims, payload = _read(token)
        issuer, roles = self._issuer(claims)
        kind, kid, algorithm = _read_header(header, issuer.profile)
        key = await issuer.keys.find(kid)
        if key is None:
            raise TokenRefused(TokenFault.KEY, "kid", expected="the id of a key in the JWKS", found=_shown(kid))
        if algorithm != key.algorithm:  # the key determines the algorithm, never the token
            raise TokenRefused(
                TokenFault.ALGORITHM, "alg", expected=f"{key.algorithm}, by the key", found=_shown(algorithm)
            )
        # One key with its own algorithm; and the signed bytes are exactly those that were read above.
        if not _is_signed(token, key, payload):
            raise TokenRefused(TokenFault.SIGNATURE, "signature", expected=f"that of the key {kid}", found="another")
        _require_access_token(kind, claims, issuer.profile)
        _require_audience(claims, issuer)
        starts, expires = _period(claims, issuer)
        return _Verified(_actor(claims, issuer, roles), issuer, key, starts, expires)

    def _issuer(self, claims: Mapping[str, object]) -> tuple[TrustedIssuer, frozenset[Role]]:
        name = claims.get("iss")
        if not isinstance(name, str) or name not in self._issuers:
            names = " or ".join(map(_shown, self._issuers))
            raise TokenRefused(TokenFault.ISSUER, "iss", expected=names, found=_shown(name))
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
    def of(cls, settings: Settings) -> "Issuer":
        """Return the issuer of the settings. Raises SettingsError if its key cannot be used."""
        return cls(
            service_key(settings),
            name=settings.service_issuer,
            audience=settings.token_audience,
            lifetime=timedelta(minutes=settings.access_token_minutes),
        )

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


def service_key(settings: Settings) -> SigningKey:
    """Return the key that signs the service's own tokens. Raises SettingsError if it cannot be used."""
    try:
        key = SigningKey.from_pem(b"" if settings.service_key_file is None else settings.service_key_file.read_bytes())
    except (OSError, ValueError, TypeError):  # the last one for a key with a password
        key = None
    if key is None or key.algorithm != "ES256":
        raise SettingsError("MEDIATION_SERVICE_KEY_FILE: must be an EC P-256 private key (PEM) without a password")
    return key


def jwks_source(settings: Settings) -> JwksAddress | JwksFile:
    """Return where the identity provider's keys are read."""
    proxy = settings.token_jwks_proxy.get_secret_value()
    return source_at(settings.token_jwks, ca_file=settings.token_jwks_ca_file, proxy=proxy or None)


def sign_token(claims: Mapping[str, str | int], key: SigningKey) -> str:
    """Sign claims as an access token (RFC 9068: `typ` at+jwt)."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return jws.sign(payload, key.key, headers={"typ": "at+jwt", "kid": key.kid}, algorithm=key.algorithm)


def _read(token: str) -> tuple[Mapping[str, object], Mapping[str, object], bytes]:
    """Return the header, the claims and the payload of a token that nothing was checked of yet."""
    parts = _COMPACT.fullmatch(token) if len(token) <= _MAX_TOKEN else None
    if parts is None:
        raise TokenRefused(
            TokenFault.MALFORMED,
            "token",
            expected=f"three parts of base64url with dots between them, at most {_MAX_TOKEN} characters",
            found=f"{len(token)} characters in {token.count('.') + 1} parts",
        )
    try:
        document = base64url(parts[1])
        if len(document) > _MAX_HEADER:
            raise TokenRefused(
                TokenFault.HEADER, "header", expected=f"at most {_MAX_HEADER} bytes", found=f"{len(document)} bytes"
            )
        header = read_object(document, brackets=1)  # the header itself; its values must not be nested
    except ValueError:
        expected = "a JSON object in base64url, without arrays, objects and duplicate names (no `crit`, `jwk`, `x5c`)"
        raise TokenRefused(TokenFault.HEADER, "header", expected=expected, found="another") from None
    try:
        # The claims are read before the signature is checked, because `iss` selects the keys to check it with.
        payload = base64url(parts[2])
        return header, read_object(payload, brackets=_CLAIM_BRACKETS), payload
    except ValueError:
        expected = f"a JSON object in base64url, with at most {_CLAIM_BRACKETS} brackets and without duplicate names"
        raise TokenRefused(TokenFault.MALFORMED, "claims", expected=expected, found="another") from None


def _read_header(header: Mapping[str, object], profile: TokenProfile) -> tuple[str | None, str, object]:
    """Return `typ` in lower case, `kid` and `alg` of a header that has what it must have, and nothing else."""
    unknown = sorted(header.keys() - _HEADER - profile.header)
    if unknown:
        accepted = ", ".join(sorted(_HEADER | profile.header))
        raise TokenRefused(TokenFault.HEADER, "header", expected=accepted, found=_shown(unknown))
    for name in sorted(header.keys() | _REQUIRED_HEADER):
        if not isinstance(header.get(name), str):
            raise TokenRefused(TokenFault.HEADER, name, expected="text", found=_kind_of(header.get(name)))
    kind = str(header["typ"]).lower() if "typ" in header else None
    if kind not in profile.types:
        accepted = ", ".join(sorted(each or "none" for each in profile.types))
        raise TokenRefused(TokenFault.TYPE, "typ", expected=accepted, found=_shown(header.get("typ")))
    return kind, str(header["kid"]), header["alg"]


def _is_signed(token: str, key: VerificationKey, payload: bytes) -> bool:
    try:
        return jws.verify(token, key.key, algorithms=[key.algorithm]) == payload
    except jws.JWSError:
        return False


def _require_access_token(kind: str | None, claims: Mapping[str, object], profile: TokenProfile) -> None:
    """Refuse an ID token, a refresh token, and a token that is bound to a key of its client (RFC 7800)."""
    if "cnf" in claims:
        raise TokenRefused(TokenFault.TYPE, "cnf", expected="a bearer token", found="one that needs a proof of a key")
    if profile.says_access_token(kind):
        return
    found = [name for name in _ID_TOKEN_CLAIMS if name in claims]
    if found:
        raise TokenRefused(
            TokenFault.TYPE, "claims", expected="an access token", found=f"{found[0]}, as in an ID token"
        )
    for name, value in profile.access_claims.items():
        claim = claims.get(name)
        if isinstance(claim, str) and value in {None, claim}:
            return
    marks = " or ".join(name if value is None else f"{name} {value}" for name, value in profile.access_claims.items())
    raise TokenRefused(TokenFault.TYPE, "claims", expected=f"{marks}, as in an access token", found="an ID token")


def _require_audience(claims: Mapping[str, object], issuer: TrustedIssuer) -> None:
    audience = claims.get("aud")
    if audience != issuer.audience and not (isinstance(audience, list) and issuer.audience in audience):
        raise TokenRefused(TokenFault.AUDIENCE, "aud", expected=_shown(issuer.audience), found=_shown(audience))


def _period(claims: Mapping[str, object], issuer: TrustedIssuer) -> tuple[int, int]:
    """Return from when until when a token is valid, in seconds since 1970."""
    issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
    longest = int(issuer.max_lifetime.total_seconds())
    if not 0 < expires - issued <= longest:
        raise TokenRefused(
            TokenFault.LIFETIME,
            "exp",
            expected=f"at most {longest} seconds after iat",
            found=f"{expires - issued} seconds",
        )
    starts = max(issued, _seconds(claims, "nbf")) if "nbf" in claims else issued
    return starts, expires


def _actor(claims: Mapping[str, object], issuer: TrustedIssuer, roles: frozenset[Role]) -> Actor:
    profile = issuer.profile
    subject_claim = next((each for each in profile.subject_claims if claim_of(claims, each) is not None), None)
    subject = _text(claims, subject_claim or profile.subject_claims[0], TokenFault.SUBJECT)
    role = _role(claims, profile, roles)
    scopes = _scopes(claims, profile)
    if role is Role.COMPLAINANT:
        # UUID() also accepts braces, URNs and capitals, which `issue` never writes.
        party_id = _uuid(subject)
        if party_id is None or str(party_id) != subject:
            raise TokenRefused(TokenFault.SUBJECT, "sub", expected="a UUID", found="another text")
        return Actor(role, subject, party_id=party_id, code=_text(claims, "code", TokenFault.SUBJECT), scopes=scopes)
    number = profile.employee_number_claim
    # Optional for other roles, but checked: a mediator must not be an officer of the complaint. Some identity providers
    # write null or an empty text for none.
    is_needed = role is Role.OFFICER or claim_of(claims, number) not in (None, "")
    employee_number = folded(_text(claims, number, TokenFault.EMPLOYEE_NUMBER)) if is_needed else None
    if employee_number == "":
        raise TokenRefused(TokenFault.EMPLOYEE_NUMBER, number, expected="letters or digits", found="none")
    return Actor(role, subject, employee_number=employee_number, scopes=scopes, name=_name(claims))


def _role(claims: Mapping[str, object], profile: TokenProfile, roles: frozenset[Role]) -> Role:
    """Return the one role of this service that a token names.

    A token that names several is refused: nobody can tell which one was meant, and what one may do the other may not.
    """
    name, prefix = profile.role_claim, profile.role_prefix
    value = claim_of(claims, name)
    values = _texts(value, profile)
    if values is None:
        expected = "text or an array of texts" if profile.takes_lists else "text"
        raise TokenRefused(TokenFault.ROLE, name, expected=expected, found=_kind_of(value))
    # Those that this issuer may not name count as well: a token that tries is not taken for another role.
    named = {role for role in Role if f"{prefix}{role}" in values}
    if len(named) > 1:
        raise TokenRefused(TokenFault.SEVERAL_ROLES, name, expected="one role", found=_shown(sorted(named)))
    if not named or not named <= roles:
        expected = "one of " + ", ".join(f"{prefix}{role}" for role in sorted(roles))
        raise TokenRefused(TokenFault.ROLE, name, expected=expected, found=_shown(value))
    return named.pop()


def _name(claims: Mapping[str, object]) -> str | None:
    """Return the claim `name` (OpenID Connect Core, 5.1) for display; None if there is none that can be displayed.

    It decides nothing, so a token is not refused for it.
    """
    name = claims.get("name")
    if not isinstance(name, str) or not name.isprintable():
        return None
    name = unicodedata.normalize("NFC", name).strip()
    return name if len(name) <= _MAX_NAME and unseen(name) is None else None


def _scopes(claims: Mapping[str, object], profile: TokenProfile) -> frozenset[str] | None:
    """Return the token's scopes with this service's prefix; None if there are none (RFC 9068 §2.2.3).

    Identity providers add scopes of their own (`openid`, `email`), which do not concern this service. The domain
    refuses a scope that has the prefix and does not exist.
    """
    name = next((each for each in profile.scope_claims if each in claims), None)
    if name is None:
        return None
    value = claims[name]
    scopes = _texts(value, profile)
    if scopes is None:
        raise TokenRefused(TokenFault.SCOPE, name, expected="text", found=_kind_of(value))
    return frozenset(filter(is_own_scope, " ".join(scopes).split(" "))) or None


def _texts(value: object, profile: TokenProfile) -> list[str] | None:
    """Return the texts of a claim that is one text or, if the profile has arrays, several; None for anything else."""
    values = value if profile.takes_lists and isinstance(value, list) else [value]
    texts = [each for each in values if isinstance(each, str)]
    return texts if len(texts) == len(values) else None


def _text(claims: Mapping[str, object], name: str, fault: TokenFault) -> str:
    """Return a claim that is safe to compare, store and log: no control characters, surrogates or outer blanks."""
    value = claim_of(claims, name)
    if not isinstance(value, str):
        raise TokenRefused(fault, name, expected="text", found=_kind_of(value))
    if not 0 < len(value) <= _MAX_TEXT or not value.isprintable() or value != value.strip():
        expected = f"1 to {_MAX_TEXT} printable characters without outer blanks"
        raise TokenRefused(fault, name, expected=expected, found="another text")
    return value


def _seconds(claims: Mapping[str, object], name: str) -> int:
    """Return a claim that is a time in whole seconds since 1970; `True` and 1e400 are not."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= _LAST_SECOND:
        raise TokenRefused(TokenFault.LIFETIME, name, expected="whole seconds since 1970", found=_kind_of(value))
    return value


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# What is found, in words. Of claims that may identify a person, only the kind of the value.


def _shown(value: object) -> str:
    """Return a value as JSON in ASCII, shortened; `nothing` if it is absent."""
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _kind_of(value: object) -> str:
    kinds = {type(None): "nothing", bool: "true or false", str: "text", list: "an array", dict: "an object"}
    return kinds.get(type(value), "a number")


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):  # after the year 9999
        return f"{seconds} seconds since 1970"
