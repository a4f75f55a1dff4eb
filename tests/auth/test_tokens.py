"""Forged and confused tokens, each of which must be refused, and the tokens that must be accepted.

A hostile token is signed properly wherever that is possible, so that nothing but the check under test can refuse it.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from jose import jws, jwt
from jose.backends.base import Key

from mediation_api.auth.identity_provider import (
    JwksAddress,
    JwksFile,
    KeySet,
    KeysUnavailable,
    OwnKeys,
    SigningKey,
)
from mediation_api.auth.token_profiles import TokenProfile
from mediation_api.auth.tokens import CITY_ROLES, SERVICE_ROLES, Issuer, TrustedIssuer, Verifier, service_key
from mediation_api.dev.identity_provider import dev_token, write_dev_keys
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.errors import TokenExpired, Unauthenticated
from mediation_api.settings import Settings, SettingsError

CITY, SERVICE, AUDIENCE = "https://idp.city.example/", "https://mediation.example/", "mediation-api"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
CODE = "7K4MXPQ0"
PARTY = UUID("11111111-2222-4333-8444-555555555555")
TOKEN_ID = UUID("99999999-2222-4333-8444-555555555555")


def pem(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


RSA_PEM = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
IDP = SigningKey.from_pem(RSA_PEM)
IDP_EC = SigningKey.from_pem(pem(ec.generate_private_key(ec.SECP256R1())))
OWN = SigningKey.from_pem(pem(ec.generate_private_key(ec.SECP256R1())))
STRANGER = SigningKey.from_pem(pem(ec.generate_private_key(ec.SECP256R1())))
ISSUER = Issuer(OWN, name=SERVICE, audience=AUDIENCE)


def verifier(**city: object) -> Verifier:
    ring = KeySet(OwnKeys(IDP, IDP_EC))
    return Verifier(city=TrustedIssuer(CITY, AUDIENCE, ring, **city), service=ISSUER.trusted())  # type: ignore[arg-type]


VERIFIER = verifier()


def verify(token: str, at: datetime = NOW, by: Verifier = VERIFIER) -> Actor:
    return asyncio.run(by.verify(token, at))


# Making tokens, good and bad


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def staff(**changes: object) -> dict[str, object]:
    claims = {"iss": CITY, "aud": AUDIENCE, "sub": "u-17", "role": "intake", "iat": AT, "exp": AT + 900}
    return {name: value for name, value in (claims | changes).items() if value is not ...}


def member(**changes: object) -> dict[str, object]:
    return staff(iss=SERVICE, sub=str(PARTY), code=CODE, role="complainant") | changes


def raw(header: dict[str, object] | bytes, payload: dict[str, object] | bytes, key: SigningKey = IDP_EC) -> str:
    """Sign whatever it is with a real key: neither python-jose nor our code has a say in header or payload."""
    octets = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signing_input = ".".join(map(b64, octets))
    return f"{signing_input}.{b64(key.key.sign(signing_input.encode()))}"


def header(key: SigningKey = IDP_EC, /, **changes: object) -> dict[str, object]:
    named = {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"} | changes
    return {name: value for name, value in named.items() if value is not ...}


def token(key: SigningKey = IDP_EC, /, **claims: object) -> str:
    return raw(header(key), staff(**claims), key)


def headed(**changes: object) -> str:
    return raw(header(**changes), staff())


def payload_with(member_: str) -> str:
    """A payload with a member written by hand, where json.dumps would not write it."""
    return raw(header(), (json.dumps(staff())[:-1] + f", {member_}}}").encode())


def unsigned(alg: str, signature: str = "") -> str:
    return f"{b64(json.dumps(header(alg=alg)).encode())}.{b64(json.dumps(staff()).encode())}.{signature}"


def hmac_signed(secret: bytes) -> str:
    signing_input = ".".join(b64(json.dumps(part).encode()) for part in (header(IDP, alg="HS256"), staff()))
    return f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"


IDP_PUBLIC = load_pem_private_key(RSA_PEM, None).public_key()
IDP_PUBLIC_PEM = IDP_PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
IDP_PUBLIC_DER = IDP_PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
GOOD = token()
DEEP = b"[" * 1000 + b"]" * 1000
DEEP_HEADER = raw(b'{"alg":"ES256","kid":"%s","typ":"at+jwt","x":%s}' % (IDP_EC.kid.encode(), DEEP), staff())


def spoiled(part: int) -> str:
    """A good token with the 10th character of one part exchanged."""
    parts = GOOD.split(".")
    parts[part] = parts[part][:9] + ("A" if parts[part][9] != "A" else "B") + parts[part][10:]
    return ".".join(parts)


# What must stay possible


@pytest.mark.parametrize("role", sorted(CITY_ROLES - {Role.OFFICER}))
@pytest.mark.parametrize("key", [IDP, IDP_EC], ids=["RS256", "ES256"])
def test_the_citys_provider_speaks_for_everyone_who_has_an_account(role: Role, key: SigningKey) -> None:
    assert verify(token(key, role=role)) == Actor(role, "u-17")


@pytest.mark.parametrize("nothing", [..., None, ""])
def test_whose_token_names_an_employee_number_is_known_by_it_in_every_role(nothing: object) -> None:
    numbered = token(role="mediator", employee_number="4711")
    assert verify(numbered) == Actor(Role.MEDIATOR, "u-17", employee_number="4711")
    assert verify(token(role="mediator", employee_number=nothing)) == Actor(Role.MEDIATOR, "u-17")
    wrong: object
    for wrong in (4711, ["4711"], {}, " 4711"):
        with pytest.raises(Unauthenticated):
            verify(token(role="mediator", employee_number=wrong))


def test_the_name_in_a_token_is_shown_if_it_can_be() -> None:
    assert verify(token(role="intake", name="Ana Mora\u0301n")) == Actor(Role.INTAKE, "u-17", name="Ana Morán")
    for wrong in (None, "", " ", 7, ["Ana"], "a" * 201, "Ana\nMorán", "Ana\u202eMorán", "\u200b", "\ud800"):
        assert verify(token(role="intake", name=wrong)).name is None
    assert verify(token(role="intake")).name is None


def test_an_officer_comes_with_an_employee_number() -> None:
    assert verify(token(role="officer", employee_number="4711")) == Actor(Role.OFFICER, "u-17", employee_number="4711")


def test_a_member_of_the_public_comes_with_the_services_own_token() -> None:
    issued = ISSUER.issue(PARTY, code=CODE, token_id=TOKEN_ID, now=NOW)
    assert verify(issued) == Actor(Role.COMPLAINANT, str(PARTY), party_id=PARTY, code=CODE)
    assert verify(issued, NOW + timedelta(minutes=15)).party_id == PARTY
    with pytest.raises(TokenExpired):
        verify(issued, NOW + timedelta(minutes=15, seconds=30))


def test_what_the_service_signs_is_an_access_token_of_rfc_9068_and_names_nobody() -> None:
    head, body, _ = ISSUER.issue(PARTY, code=CODE, token_id=TOKEN_ID, now=NOW).split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {
        "alg": "ES256",
        "kid": OWN.kid,
        "typ": "at+jwt",
    }
    assert json.loads(base64.urlsafe_b64decode(body + "==")) == {
        "iss": SERVICE,
        "aud": AUDIENCE,
        "sub": str(PARTY),
        "code": CODE,
        "role": "complainant",
        "iat": AT,
        "exp": AT + 900,
        "jti": str(TOKEN_ID),
    }


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_the_type_may_be_written_as_the_rfc_allows(typ: str) -> None:
    assert verify(headed(typ=typ)).role is Role.INTAKE


def test_a_token_may_name_further_audiences_and_carry_further_claims() -> None:
    realm = {"roles": ["a", "b"], "nested": [[{}]]}
    assert verify(token(aud=["else", AUDIENCE], realm_access=realm, auth_time=1.5)).subject == "u-17"


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        (..., None),
        ("openid email", None),
        ("", None),
        ("openid complaints:write", {"complaints:write"}),
        ("complaints:read complaints:write", {"complaints:read", "complaints:write"}),
        ("openid cases.read api://x/cases:read", None),
        ("cases:read complaints:delete", {"cases:read", "complaints:delete"}),
        ("complaints:read\tcomplaints:write", {"complaints:read\tcomplaints:write"}),
        ("COMPLAINTS:READ", {"COMPLAINTS:READ"}),
    ],
)
def test_a_token_names_what_begins_like_a_scope_of_this_service_whether_there_is_such_or_not(
    claim: object, scopes: set[str] | None
) -> None:
    assert verify(token(scope=claim)).scopes == scopes
    assert verify(token(role="officer", employee_number="7", scope=claim)).scopes == scopes


def test_clocks_may_differ_by_the_leeway_and_no_more() -> None:
    ahead = token(iat=AT + 30, nbf=AT + 30, exp=AT + 600)
    assert verify(ahead).role is Role.INTAKE
    with pytest.raises(Unauthenticated):
        verify(ahead, NOW - timedelta(seconds=1))
    assert verify(token(exp=AT + 1), NOW + timedelta(seconds=30)).role is Role.INTAKE


def test_now_may_come_in_any_time_zone_but_not_without_one() -> None:
    assert verify(GOOD, NOW.astimezone(timezone(timedelta(hours=-8)))).role is Role.INTAKE
    with pytest.raises(ValueError, match="time zone"):
        verify(GOOD, NOW.replace(tzinfo=None))


def test_the_names_of_the_claims_and_the_lifetime_are_the_citys_choice() -> None:
    other = verifier(
        profile=TokenProfile(role_claim="https://city.example/role", employee_number_claim="badge"),
        max_lifetime=timedelta(days=1),
    )
    claims = {"role": ..., "https://city.example/role": "officer", "badge": "7", "exp": AT + 86_400}
    assert verify(token(**claims), by=other).employee_number == "7"


# What must not


HOSTILE: dict[str, str] = {
    # No signature
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg NONE": unsigned("NONE"),
    "alg nOnE with some signature": unsigned("nOnE", "AAAA"),
    "alg none with the signature of another token": unsigned("none", GOOD.split(".")[2]),
    "an empty alg": unsigned("", "AAAA"),
    "ES256 with an empty signature": unsigned("ES256"),
    "ES256 with a signature of zeros": unsigned("ES256", b64(bytes(64))),
    "no alg at all": headed(alg=...),
    "alg as a list": headed(alg=["ES256"]),
    "alg as null": headed(alg=None),
    # Confusion of algorithms and keys
    "HS256 with the public PEM as the secret": hmac_signed(IDP_PUBLIC_PEM),
    "HS256 with the public PEM less its last newline": hmac_signed(IDP_PUBLIC_PEM.rstrip()),
    "HS256 with the public DER as the secret": hmac_signed(IDP_PUBLIC_DER),
    "HS256 with the public JWK as the secret": hmac_signed(json.dumps(IDP.public_jwk()).encode()),
    "HS256 with an empty secret": hmac_signed(b""),
    "HS256 with the kid as the secret": hmac_signed(IDP.kid.encode()),
    "an RSA key's token that says ES256": raw(header(IDP, alg="ES256"), staff(), IDP),
    "an RSA key's token that says RS512": raw(header(IDP, alg="RS512"), staff(), IDP),
    "an RSA key's token that says PS256": raw(header(IDP, alg="PS256"), staff(), IDP),
    "an EC key's token that says es256": headed(alg="es256"),
    "another key of the same issuer": raw(header(IDP_EC), staff(), STRANGER),
    "the kid of one key and the signature of another": raw(header(IDP), staff(), IDP_EC),
    # The wrong issuer
    "an unknown issuer": token(iss="https://evil.example/"),
    "an issuer without its slash": token(iss=CITY[:-1]),
    "an issuer in capitals": token(iss=CITY.upper()),
    "a list of issuers": token(iss=[CITY]),
    "an object for an issuer": token(iss={"name": CITY}),
    "the service's name with the city's key": raw(header(IDP_EC), member(), IDP_EC),
    "the city's name with the service's key": raw(header(OWN), staff(), OWN),
    "a stranger's key and kid": raw(header(STRANGER), staff(), STRANGER),
    # The wrong audience
    "another audience": token(aud="another-api"),
    "a longer audience": token(aud=AUDIENCE + "-2"),
    "a list of other audiences": token(aud=["another-api", "a-third"]),
    "an empty list of audiences": token(aud=[]),
    "an object for an audience": token(aud={AUDIENCE: 1}),
    "null for an audience": token(aud=None),
    # The wrong type
    "an ID token": headed(typ="JWT"),
    "a token without a type": headed(typ=...),
    "a type that is null": headed(typ=None),
    "a type that only begins well": headed(typ="at+jwt;v=2"),
    "a type with a look-alike letter": headed(typ="at+\N{LATIN SMALL LETTER DOTLESS J}wt"),
    # Each claim missing
    **{f"a token without {name}": token(**{name: ...}) for name in ("iss", "aud", "sub", "role", "iat", "exp")},
    # Times
    "a token from the future": token(iat=AT + 31),
    "a token from the future that says it is valid": token(iat=AT + 31, nbf=AT),
    "a token that is not valid yet": token(nbf=AT + 31),
    "a token that ends as it begins": token(iat=AT, exp=AT),
    "a token that ends before it begins": token(iat=AT + 20, exp=AT + 10),
    "a token for longer than two hours": token(exp=AT + 7201),
    "a token for ever": token(exp=AT + 10**9),
    "an old token for a long time": token(iat=AT - 7200, exp=AT + 1),
    "exp 1e400": raw(header(), json.dumps(staff(exp=0)).replace('"exp": 0', '"exp": 1e400').encode()),
    "exp as text": token(exp=str(AT + 900)),
    "exp as a fraction": token(exp=AT + 900.5),
    "exp as a whole fraction": token(exp=float(AT + 900)),
    "exp true": token(exp=True),
    "exp null": token(exp=None),
    "exp as a list": token(exp=[AT + 900]),
    "exp of a thousand digits": token(exp=10**1000),
    "iat as text": token(iat=str(AT)),
    "iat as a fraction": token(iat=AT - 0.5),
    "iat false": token(iat=False, exp=7000),
    "iat before 1970": token(iat=-1, exp=7000),
    "nbf as text": token(nbf=str(AT)),
    "nbf null": token(nbf=None),
    "nbf true": token(nbf=True),
    "a claim that is NaN": payload_with('"x": NaN'),
    "a claim that is Infinity": payload_with('"x": -Infinity'),
    # Keys named by the token
    "a kid that nobody has": headed(kid="nobody"),
    "a kid that is a path": headed(kid="../../../../dev/null"),
    "a kid that is an address": headed(kid="https://evil.example/jwks.json"),
    "a kid that is SQL": headed(kid="' UNION SELECT 'secret' --"),
    "a kid that is an object": headed(kid={"kid": IDP_EC.kid}),
    "a kid that is a list": headed(kid=[IDP_EC.kid]),
    "a kid that is a number": headed(kid=0),
    "a kid that is null": headed(kid=None),
    "no kid": headed(kid=...),
    "an empty kid": headed(kid=""),
    "a kid with a NUL": headed(kid=IDP_EC.kid + "\x00"),
    "a kid that is a lone surrogate": headed(kid="\ud800"),
    "an embedded jwk": raw(header(STRANGER, jwk=STRANGER.public_jwk()), staff(), STRANGER),
    "an embedded jwk beside a good kid": headed(jwk=IDP_EC.public_jwk()),
    "a jku": headed(jku="https://evil.example/jwks.json"),
    "an x5u": headed(x5u="https://evil.example/cert.pem"),
    "an x5c": headed(x5c=["MIIB"]),
    "an x5t": headed(x5t="AAAA"),
    "a crit": headed(crit=["exp"]),
    "an empty crit": headed(crit=[]),
    "a zip": headed(zip="DEF"),
    "an unencoded payload (b64)": headed(b64=False),
    "a header of our own invention": headed(colour="blue"),
    # Shapes
    "nothing": "",
    "a blank": " ",
    "a good token after a blank": " " + GOOD,
    "a good token and a newline": GOOD + "\n",
    "a good token and padding": GOOD + "==",
    "a good token with a blank inside": GOOD.replace(".", ". ", 1),
    "a good token with a sign that a lax decoder skips": GOOD.replace(".", "!.", 1),
    "a good token with a plus for a minus": GOOD[:-1] + "+",
    "a good token behind its scheme": f"Bearer {GOOD}",
    "two dots": "..",
    "one part": "AAAA",
    "two parts": "AAAA.AAAA",
    "four parts": GOOD + ".AAAA",
    "an encrypted token of five parts": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA",
    "five parts in a row": "AAAA.AAAA.AAAA.AAAA.AAAA",
    "base64 of an impossible length": "AAAAA.AAAAA.AAAAA",
    "letters beyond ASCII": GOOD[:-3] + "äöü",
    "digits of another script": GOOD[:-1] + "\N{ARABIC-INDIC DIGIT ONE}",
    "a lone surrogate": GOOD + "\ud800",
    "a NUL": GOOD + "\x00",
    "scopes in a list": token(scope=["complaints:write"]),
    "a scope that is nothing": token(scope=None),
    "a token over 4 KiB": token(padding="x" * 3000),
    "five million letters": "A" * 5_000_000,
    "four thousand dots": "." * 4000,
    "a spoiled header": spoiled(0),
    "a spoiled payload": spoiled(1),
    "a spoiled signature": spoiled(2),
    "half a signature": GOOD[:-43],
    # JSON
    "a header nested a thousand deep": DEEP_HEADER,
    "a kid nested deep": raw(b'{"alg":"ES256","typ":"at+jwt","kid":' + b"[" * 400 + b"]" * 400 + b"}", staff()),
    "a header of brackets": raw(b"[" * 1000, staff()),
    "a header of a kilobyte": raw(json.dumps(header()).encode() + b" " * 1024, staff()),
    "a payload nested a thousand deep": payload_with('"x": ' + "[" * 1000 + "]" * 1000),
    "a payload nested beyond any use": payload_with('"x": ' + "[" * 64 + "]" * 64),
    "an alg that stands twice": raw(
        b'{"alg":"none","alg":"ES256","kid":"%s","typ":"at+jwt"}' % IDP_EC.kid.encode(), staff()
    ),
    "a kid that stands twice": raw(
        b'{"alg":"ES256","kid":"x","kid":"%s","typ":"at+jwt"}' % IDP_EC.kid.encode(), staff()
    ),
    "a role that stands twice": payload_with('"role": "director"'),
    "an iss that stands twice": payload_with(f'"iss": "{CITY}"'),
    "a claim deep down that stands twice": payload_with('"x": {"a": 1, "a": 2}'),
    "a header that is a list": raw(b"[]", staff()),
    "a header that is text": raw(b'"ES256"', staff()),
    "a header that is null": raw(b"null", staff()),
    "a header that is not JSON": raw(b"alg=ES256", staff()),
    "a header that is not UTF-8": raw(b'{"alg":"\xff"}', staff()),
    "a header in UTF-16": raw(json.dumps(header()).encode("utf-16"), staff()),
    "a payload that is a list": raw(header(), b"[]"),
    "a payload that is a number": raw(header(), b"1"),
    "a payload that is not JSON": raw(header(), b"sub=u-17"),
    "a payload that is not UTF-8": raw(header(), b'{"sub":"\xff"}'),
    # Who
    "an empty sub": token(sub=""),
    "a sub of blanks": token(sub="  "),
    "a sub with a rim of blanks": token(sub=" u-17"),
    "a sub that is a number": token(sub=17),
    "a sub that is a list": token(sub=["u-17"]),
    "a sub that is null": token(sub=None),
    "a sub of 256 letters": token(sub="u" * 256),
    "a sub with a NUL": token(sub="u-17\x00"),
    "a sub with a newline": token(sub="u-17\nrole=director"),
    "a sub that turns the text around": token(sub="u\N{RIGHT-TO-LEFT OVERRIDE}17"),
    "a sub that is a lone surrogate": token(sub="u\ud800"),
    # What
    "an unknown role": token(role="superuser"),
    "a role in capitals": token(role="Director"),
    "an empty role": token(role=""),
    "a role with a blank": token(role="director "),
    "a list of roles": token(role=["director"]),
    "an object for a role": token(role={"director": True}),
    "a role that is null": token(role=None),
    "the role of the public": token(role="public"),
    "a complainant from the city's provider": token(role="complainant", sub=str(PARTY)),
    "an officer without an employee number": token(role="officer"),
    "an officer with an empty employee number": token(role="officer", employee_number=""),
    "an officer whose employee number is a number": token(role="officer", employee_number=4711),
    "an officer with two employee numbers": token(role="officer", employee_number=["4711", "4712"]),
    "an officer whose employee number is a NUL": token(role="officer", employee_number="\x00"),
    **{
        f"the service's key for the role {role}": raw(header(OWN), member(role=role, employee_number="1"), OWN)
        for role in sorted(frozenset(Role) - SERVICE_ROLES)
    },
    "a member of the public whose sub is no UUID": raw(header(OWN), member(sub="u-17"), OWN),
    "a member of the public whose UUID is in braces": raw(header(OWN), member(sub=f"{{{PARTY}}}"), OWN),
    "a member of the public whose UUID is a URN": raw(header(OWN), member(sub=PARTY.urn), OWN),
    "a member of the public whose UUID lacks its dashes": raw(header(OWN), member(sub=PARTY.hex), OWN),
    "a member of the public for longer than 15 minutes": raw(header(OWN), member(exp=AT + 901), OWN),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_refused_and_nothing_worse_is(hostile: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Unauthenticated) as refusal:
        verify(hostile)
    assert type(refusal.value) is Unauthenticated, "not as expired: something else is wrong with it too"
    assert str(refusal.value) == Unauthenticated.detail
    assert refusal.value.__suppress_context__
    assert "RecursionError" not in caplog.text, "no parser is to see what could break it"
    for told in caplog.messages:
        assert not [part for part in (*hostile.split("."), "u-17") if len(part) > 3 and part in told]


def test_the_table_is_as_long_as_criterion_21_wants() -> None:
    assert len(set(HOSTILE.values())) == len(HOSTILE)
    assert len(HOSTILE) >= 40


def test_the_tools_of_the_attacks_make_good_tokens_as_well() -> None:
    """Else the table above would pass for the wrong reason."""
    for good in (GOOD, headed(), raw(header(), staff()), payload_with('"x": 1'), token(padding="x" * 2000)):
        assert verify(good) == Actor(Role.INTAKE, "u-17")
    assert verify(raw(header(OWN), member(), OWN)).party_id == PARTY
    assert verify(payload_with('"x": ' + "[" * 63 + "]" * 63)).role is Role.INTAKE


def test_nothing_but_text_is_a_token() -> None:
    for thing in (None, 7, b"a.b.c", ["a"]):
        with pytest.raises(Unauthenticated):
            verify(thing)  # type: ignore[arg-type]


@pytest.mark.drawn
@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(AT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.drawn
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["iss", "aud", "sub", "role", "iat", "exp", "nbf", "scope"]), json_values)
def test_no_value_of_a_claim_does_anything_but_be_taken_or_refused(name: str, value: object) -> None:
    try:
        verify(token(**{name: value}))
    except Unauthenticated:
        return
    assert isinstance(value, str | int)


# Expired is said only of a token that is otherwise good


def test_an_expired_token_is_told_apart() -> None:
    with pytest.raises(TokenExpired) as refusal:
        verify(GOOD, NOW + timedelta(hours=3))
    assert str(refusal.value) == TokenExpired.detail


def test_a_token_expires_when_the_leeway_is_over() -> None:
    assert verify(GOOD, NOW + timedelta(seconds=929)).role is Role.INTAKE
    with pytest.raises(TokenExpired):
        verify(GOOD, NOW + timedelta(seconds=930))
    strict = Verifier(
        city=TrustedIssuer(CITY, AUDIENCE, KeySet(OwnKeys(IDP_EC))),
        service=ISSUER.trusted(),
        leeway=timedelta(),
    )
    with pytest.raises(TokenExpired):
        verify(GOOD, NOW + timedelta(seconds=900), by=strict)


HEALED_BY_TIME = {
    "a token from the future",
    "a token from the future that says it is valid",
    "a token that is not valid yet",
}


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - HEALED_BY_TIME))
def test_a_bad_token_is_never_called_expired_however_old_it_is(name: str) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        verify(HOSTILE[name], NOW + timedelta(days=400))
    assert type(refusal.value) is Unauthenticated


# A signature is verified once, and a token that ended is refused all the same


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were verified."""
    verified: list[str] = []
    verify_signature = jws.verify

    def noted(text: str, key: Key, algorithms: list[str]) -> bytes:
        verified.append(text)
        return verify_signature(text, key, algorithms)

    monkeypatch.setattr("mediation_api.auth.tokens.jws.verify", noted)
    return verified


async def test_a_signature_is_verified_once_while_its_key_is_published(signatures: list[str]) -> None:
    door, other = verifier(), token(sub="u-18")
    for _ in range(3):
        assert (await door.verify(GOOD, NOW)).subject == "u-17"
        assert (await door.verify(other, NOW)).subject == "u-18"
    assert signatures == [GOOD, other]


async def test_a_token_that_was_verified_is_refused_once_its_key_is_withdrawn(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"

    def publish(*keys: SigningKey) -> None:
        file.write_text(json.dumps({"keys": [key.public_jwk() for key in keys]}))

    publish(IDP, IDP_EC)
    door = Verifier(city=TrustedIssuer(CITY, AUDIENCE, KeySet(JwksFile(file))), service=ISSUER.trusted())
    signed_by_other = token(IDP)
    for text in (GOOD, signed_by_other):
        await door.verify(text, NOW)
    publish(IDP)
    with pytest.raises(Unauthenticated):
        await door.verify(GOOD, NOW)
    assert (await door.verify(signed_by_other, NOW)).subject == "u-17"
    # Another key under the name of the old one does not take over the tokens of the old one.
    file.write_text(json.dumps({"keys": [STRANGER.public_jwk() | {"kid": IDP_EC.kid}]}))
    with pytest.raises(Unauthenticated):
        await door.verify(GOOD, NOW)


async def test_the_times_of_a_token_are_checked_each_time() -> None:
    door = verifier()
    with pytest.raises(Unauthenticated):
        await door.verify(GOOD, NOW - timedelta(minutes=1))
    assert (await door.verify(GOOD, NOW)).subject == "u-17"
    with pytest.raises(TokenExpired):
        await door.verify(GOOD, NOW + timedelta(seconds=930))
    with pytest.raises(Unauthenticated):
        await door.verify(GOOD, NOW - timedelta(minutes=1))
    assert (await door.verify(GOOD, NOW)).subject == "u-17"


async def test_the_oldest_of_many_tokens_is_forgotten(monkeypatch: pytest.MonkeyPatch, signatures: list[str]) -> None:
    monkeypatch.setattr("mediation_api.auth.tokens._MAX_VERIFIED", 2)
    door, tokens = verifier(), [token(sub=f"u-{number}") for number in range(3)]
    for text in (*tokens, tokens[2], tokens[1], tokens[0]):
        await door.verify(text, NOW)
    assert signatures == [*tokens, tokens[0]]


# Configuration


@pytest.mark.parametrize("leeway", [timedelta(seconds=31), timedelta(seconds=-1)])
def test_a_leeway_beyond_half_a_minute_is_refused(leeway: timedelta) -> None:
    with pytest.raises(ValueError, match="leeway"):
        Verifier(city=TrustedIssuer(CITY, AUDIENCE, KeySet(OwnKeys())), service=ISSUER.trusted(), leeway=leeway)


def test_the_two_issuers_share_neither_name_nor_keys() -> None:
    ring = KeySet(OwnKeys(IDP))
    for city, service in (
        (TrustedIssuer(SERVICE, AUDIENCE, ring), ISSUER.trusted()),
        (TrustedIssuer(CITY, AUDIENCE, ring), TrustedIssuer(SERVICE, AUDIENCE, ring)),
    ):
        with pytest.raises(ValueError, match="different names and keys"):
            Verifier(city=city, service=service)


def test_the_service_signs_with_p_256_only() -> None:
    with pytest.raises(ValueError, match="P-256"):
        Issuer(IDP, name=SERVICE, audience=AUDIENCE)


def test_the_service_can_change_its_own_key_without_refusing_a_token() -> None:
    new_issuer = Issuer(STRANGER, name=SERVICE, audience=AUDIENCE)
    city = TrustedIssuer(CITY, AUDIENCE, KeySet(OwnKeys(IDP)))
    prepared = Verifier(city=city, service=ISSUER.trusted(STRANGER))
    changed = Verifier(city=city, service=new_issuer.trusted(OWN))
    for issuer in (ISSUER, new_issuer):
        for process in (prepared, changed):
            assert verify(issuer.issue(PARTY, code=CODE, token_id=TOKEN_ID, now=NOW), by=process).party_id == PARTY


# The provider rotates, or is down


def served(answer: Callable[[httpx.Request], httpx.Response], clock: Callable[[], float]) -> Verifier:
    ring = KeySet(JwksAddress("https://idp.example/jwks", httpx.MockTransport(answer)), clock=clock)
    return Verifier(city=TrustedIssuer(CITY, AUDIENCE, ring), service=ISSUER.trusted())


async def test_rotation_of_the_providers_keys_refuses_no_valid_token() -> None:
    published, seconds, asked = [IDP], 0.0, 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(200, json={"keys": [key.public_jwk() for key in published]})

    door = served(answer, lambda: seconds)
    valid: list[tuple[str, float]] = []
    accepted = 0
    for minute in range(120):
        seconds = minute * 60.0
        published = [IDP] if minute < 30 else [IDP, IDP_EC] if minute < 60 else [IDP_EC]
        signer = IDP if minute < 31 else IDP_EC
        now = NOW + timedelta(minutes=minute)
        issued = int(now.timestamp())
        valid.append((token(signer, iat=issued, exp=issued + 900), issued + 900))
        for text, expires in valid:
            if expires > issued:
                assert (await door.verify(text, now)).subject == "u-17"
                accepted += 1
        with pytest.raises(Unauthenticated):
            await door.verify(headed(kid=f"made up {minute}"), now)
    assert accepted > 1500
    assert asked <= 120


async def test_with_the_provider_down_from_the_start_no_token_is_accepted_or_called_invalid() -> None:
    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    door = served(down, lambda: 0.0)
    for text in (GOOD, headed(kid="made up"), spoiled(2)):
        with pytest.raises(KeysUnavailable):
            await door.verify(text, NOW)
    assert not await door.has_keys()
    issued = ISSUER.issue(PARTY, code=CODE, token_id=TOKEN_ID, now=NOW)
    assert (await door.verify(issued, NOW)).party_id == PARTY, "withdrawing does not depend on the provider"


async def test_a_caller_who_leaves_is_not_told_that_the_token_is_bad() -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    ring = KeySet(JwksAddress("https://idp.example/jwks", httpx.MockTransport(never)))
    door = Verifier(city=TrustedIssuer(CITY, AUDIENCE, ring), service=ISSUER.trusted())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(door.verify(GOOD, NOW), 0.02)
    assert ring._refreshing is not None
    ring._refreshing.cancel()


# Negative controls: the traps are real


def test_the_plain_library_falls_over_the_deep_header() -> None:
    assert len(DEEP_HEADER) < 4096
    with pytest.raises(RecursionError):
        jwt.decode(DEEP_HEADER, "secret", algorithms=["ES256"])


def test_the_plain_library_falls_over_an_endless_exp() -> None:
    payload = b'{"exp": 1e400}'
    text = jws.sign(payload, "secret", headers={}, algorithm="HS256")  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        jwt.decode(text, "secret", algorithms=["HS256"])


def test_the_plain_library_takes_a_token_that_never_ends_and_lacks_everything() -> None:
    text = jws.sign(b"{}", "secret", headers={"crit": "exp"}, algorithm="HS256")  # type: ignore[arg-type]
    assert jwt.decode(text, "secret", algorithms=["HS256"]) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"no key",
        RSA_PEM,
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password")
        ),
        None,
    ],
)
def test_a_service_key_that_cannot_be_used_is_told_in_words(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "service.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^MEDIATION_SERVICE_KEY_FILE: must be an EC P-256 private key [(]PEM[)] "):
        service_key(Settings.model_construct(service_key_file=file))


# The development identity provider


def dev_door(directory: Path) -> Verifier:
    own = Issuer.from_file(directory / "service.pem", name=SERVICE, audience=AUDIENCE)
    ring = KeySet(JwksFile(directory / "idp.jwks.json"))
    return Verifier(city=TrustedIssuer(CITY, AUDIENCE, ring), service=own.trusted())


@pytest.mark.parametrize("role", sorted(CITY_ROLES))
def test_the_development_provider_makes_tokens_that_the_real_door_accepts(role: Role, keys: Path) -> None:
    text = dev_token(
        keys,
        issuer=CITY,
        audience=AUDIENCE,
        role=role,
        subject="dev",
        employee_number="4711" if role is Role.OFFICER else None,
        minutes=60,
        now=NOW,
    )
    actor = verify(text, by=dev_door(keys))
    assert (actor.role, actor.subject) == (role, "dev")
    assert actor.employee_number == ("4711" if role is Role.OFFICER else None)


def test_development_keys_are_private_and_are_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    write_dev_keys(directory)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    write_dev_keys(directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    assert sorted(before) == ["idp.jwks.json", "idp.pem", "service.pem"]
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_lost_public_half_is_made_again(keys: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(keys, tmp_path / "keys")
    before = (directory / "idp.jwks.json").read_bytes()
    (directory / "idp.jwks.json").write_bytes(b"{")
    write_dev_keys(directory)
    assert (directory / "idp.jwks.json").read_bytes() == before
    assert b'"d"' not in before


def test_a_key_that_appears_meanwhile_is_kept(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = shutil.copytree(keys, tmp_path / "keys")
    before = (directory / "service.pem").read_bytes()
    monkeypatch.setattr(Path, "exists", lambda _: False)
    write_dev_keys(directory)
    assert (directory / "service.pem").read_bytes() == before
    assert len(list(directory.iterdir())) == 3


@pytest.mark.parametrize("role", sorted(frozenset(Role) - CITY_ROLES))
def test_the_development_provider_makes_no_token_for_the(role: Role, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no token for this role"):
        dev_token(tmp_path, issuer=CITY, audience=AUDIENCE, role=role, subject="x", minutes=1, now=NOW)


def test_the_claim_for_the_role_may_have_another_name(keys: Path) -> None:
    text = dev_token(
        keys,
        issuer=CITY,
        audience=AUDIENCE,
        role=Role.DIRECTOR,
        subject="dev",
        minutes=5,
        now=NOW,
        role_claim="city_role",
    )
    ring = KeySet(JwksFile(keys / "idp.jwks.json"))
    profile = TokenProfile(role_claim="city_role")
    door = Verifier(city=TrustedIssuer(CITY, AUDIENCE, ring, profile=profile), service=ISSUER.trusted())
    assert verify(text, by=door).role is Role.DIRECTOR
