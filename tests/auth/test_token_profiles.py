"""Access tokens in the form of each identity provider, signed by keys of the test: what is accepted, and what is not.

The forms are those of the providers' documentation, member by member; the values are made up.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.auth.test_tokens import AT, AUDIENCE, CITY, HOSTILE, IDP, IDP_EC, ISSUER, NOW, json_values, raw

from mediation_api.auth.identity_provider import KeySet, OwnKeys
from mediation_api.auth.token_profiles import PROFILES, claim_of, profile_of
from mediation_api.auth.tokens import CITY_LIFETIME, TokenFault, TokenRefused, TrustedIssuer, Verifier
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.errors import TokenExpired, Unauthenticated
from mediation_api.settings import ProviderKind, Settings

Json: TypeAlias = dict[str, object]

KID: Final = "H9nj5AOSswMphg1SFx7jaV-lB9w"
KEY: Final = replace(IDP, kid=KID)
TENANT, API, CLIENT = (f"{digit * 8}-aaaa-4bbb-8ccc-dddddddddddd" for digit in "123")
PERSON: Final = "00000000-1111-4222-8333-444444444444"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The form of one kind of access token, and the caller that it authenticates."""

    kind: ProviderKind
    header: Json
    claims: Json
    actor: Actor

    @property
    def audience(self) -> str:
        """What MEDIATION_TOKEN_AUDIENCE has to be."""
        return str(self.claims["aud"][0] if isinstance(self.claims["aud"], list) else self.claims["aud"])


def jwt_header(**more: object) -> Json:
    return {"typ": "JWT", "alg": "RS256", "kid": KID, **more}


TIMES: Final[Json] = {"iat": AT, "exp": AT + 3600}

ENTRA: Final[Json] = {
    "aud": API,
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    **TIMES,
    "nbf": AT,
    "aio": "AWQAm/8XAAAA",
    "azp": CLIENT,
    "azpacr": "0",
    "name": "Jan de Vries",
    "oid": PERSON,
    "preferred_username": "jan@city.example",
    "rh": "0.ATAA86AfSyuGUUmj",
    "roles": ["coordinator"],
    "scp": "access_as_user",
    "sub": "pairwise-subject-of-one-person-in-one-client",
    "tid": TENANT,
    "uti": "Ats0cwbTrk6Dfs2WbHwNAA",
    "ver": "2.0",
}
ENTRA_V1: Final[Json] = {
    "aud": "api://mediation",
    "iss": f"https://sts.windows.net/{TENANT}/",
    **TIMES,
    "nbf": AT,
    "acr": "1",
    "amr": ["pwd"],
    "appid": CLIENT,
    "appidacr": "0",
    "name": "Jan de Vries",
    "oid": PERSON,
    "roles": ["officer"],
    "scp": "access_as_user",
    "sub": "pairwise-subject-of-one-person-in-one-client",
    "unique_name": "jan@city.example",
    "upn": "jan@city.example",
    "employee_number": "K-4471",
    "ver": "1.0",
}
ENTRA_PROGRAM: Final[Json] = {
    name: value for name, value in ENTRA.items() if name not in {"name", "preferred_username", "scp"}
} | {"sub": PERSON, "azpacr": "1", "roles": ["integration", "complaints:write", "complaints:read"]}
OKTA: Final[Json] = {
    "ver": 1,
    "jti": "AT.pKoLFoM7X4P4DrJBRvXaJzj9g0-naK1ChGH_oTbStYE",
    "iss": "https://city.okta.com/oauth2/ausocqn9bk00KaKbZ0h7",
    "aud": "api://mediation",
    **TIMES,
    "cid": "0oa4dr9kzkykPrLhq0g7",
    "uid": "00u47ijy7sRLaeSdC0g7",
    "scp": ["openid", "profile"],
    "auth_time": AT - 60,
    "sub": "jan@city.example",
    "groups": ["Everyone", "mediation-intake", "officer"],
}
OKTA_PROGRAM: Final[Json] = {
    name: value for name, value in OKTA.items() if name not in {"uid", "auth_time", "groups"}
} | {"sub": "0oa4dr9kzkykPrLhq0g7", "scp": ["complaints:write"], "groups": ["mediation-integration"]}
ADFS: Final[Json] = {
    "aud": "microsoft:identityserver:mediation",
    "iss": "http://adfs.city.example/adfs/services/trust",
    **TIMES,
    "exp": AT + 8 * 3600,
    "sub": "S-1-5-21-17",
    "role": "mediation-officer",
    "employee_number": "4471",
    "apptype": "Public",
    "appid": CLIENT,
    "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
    "auth_time": "2026-11-24T11:59:00.000Z",
    "ver": "1.0",
    "scp": "openid",
}
KEYCLOAK: Final[Json] = {
    "exp": AT + 300,
    "iat": AT,
    "auth_time": AT - 60,
    "jti": "onrtac:1d2f9a51-4cb4-4b86-a8ea-7d3b3f1c9a11",
    "iss": "https://sso.city.example/realms/city",
    "aud": ["mediation", "account"],
    "sub": PERSON,
    "typ": "Bearer",
    "azp": "portal",
    "sid": "0e7d1f6e-1f3d-4d0e-9f0e-3c2d1b0a9f8e",
    "acr": "1",
    "allowed-origins": ["https://portal.city.example"],
    "realm_access": {"roles": ["offline_access", "default-roles-city", "director"]},
    "resource_access": {"mediation": {"roles": ["mediator"]}, "account": {"roles": ["manage-account", "view-profile"]}},
    "scope": "openid profile email",
    "email_verified": False,
    "name": "Jan de Vries",
    "preferred_username": "jan",
}

FORMS: Final = {
    "entra": Form(
        kind=ProviderKind.ENTRA,
        header=jwt_header(),
        claims=ENTRA,
        actor=Actor(Role.COORDINATOR, PERSON, name="Jan de Vries"),
    ),
    "entra, version 1.0": Form(
        kind=ProviderKind.ENTRA,
        header=jwt_header(x5t=KID),
        claims=ENTRA_V1,
        actor=Actor(Role.OFFICER, PERSON, employee_number="k4471", name="Jan de Vries"),
    ),
    "entra, a program": Form(
        kind=ProviderKind.ENTRA,
        header=jwt_header(),
        claims=ENTRA_PROGRAM,
        actor=Actor(Role.INTEGRATION, PERSON, scopes=frozenset({"complaints:write", "complaints:read"})),
    ),
    "okta": Form(
        kind=ProviderKind.OKTA,
        header={"kid": KID, "alg": "RS256"},
        claims=OKTA,
        actor=Actor(Role.INTAKE, "00u47ijy7sRLaeSdC0g7"),
    ),
    "okta, a program": Form(
        kind=ProviderKind.OKTA,
        header={"kid": KID, "alg": "RS256"},
        claims=OKTA_PROGRAM,
        actor=Actor(Role.INTEGRATION, "0oa4dr9kzkykPrLhq0g7", scopes=frozenset({"complaints:write"})),
    ),
    "adfs": Form(
        kind=ProviderKind.ADFS,
        header=jwt_header(x5t=KID),
        claims=ADFS,
        actor=Actor(Role.OFFICER, "S-1-5-21-17", employee_number="4471"),
    ),
    "keycloak": Form(
        kind=ProviderKind.KEYCLOAK,
        header=jwt_header(),
        claims=KEYCLOAK,
        actor=Actor(Role.MEDIATOR, PERSON, name="Jan de Vries"),
    ),
    "keycloak, at+jwt": Form(
        kind=ProviderKind.KEYCLOAK,
        header=jwt_header(typ="at+jwt"),
        claims=KEYCLOAK,
        actor=Actor(Role.MEDIATOR, PERSON, name="Jan de Vries"),
    ),
}


def verifier_for(form: Form, base: Settings, **changes: object) -> Verifier:
    """Give the verifier of a city with this provider, with the settings that docs/operations.md tells it to make."""
    settings = base.model_copy(
        update={"token_profile": form.kind, "token_audience": form.audience, "role_claim": "", **changes}
    )
    city = TrustedIssuer(
        str(form.claims["iss"]),
        form.audience,
        KeySet(OwnKeys(KEY, IDP_EC)),
        max_lifetime=timedelta(hours=8),
        profile=profile_of(settings),
    )
    return Verifier(city=city, service=ISSUER.trusted())


def edited(values: Mapping[str, object], changes: Mapping[str, object]) -> Json:
    return {name: value for name, value in {**values, **changes}.items() if value is not ...}


def verified(form: Form, settings: Settings, *, header: Json | None = None, claims: Json | None = None) -> Actor:
    text = raw(edited(form.header, header or {}), edited(form.claims, claims or {}), KEY)
    return asyncio.run(verifier_for(form, settings).check(text, NOW))


@pytest.mark.parametrize("name", FORMS)
def test_a_token_in_the_form_of(name: str, settings: Settings) -> None:
    form = FORMS[name]
    assert verified(form, settings) == form.actor


@pytest.mark.parametrize("name", FORMS)
def test_without_its_profile_no_form_is_accepted(name: str, settings: Settings) -> None:
    with pytest.raises(TokenRefused):
        verified(replace(FORMS[name], kind=ProviderKind.RFC9068), settings)


REFUSED: Final[dict[str, tuple[str, Json, Json, TokenFault]]] = {
    # An ID token, or another token that the provider signs with the same key
    "an ID token of Entra": ("entra", {}, {"azp": ..., "scp": ..., "nonce": "n"}, TokenFault.TYPE),
    "an ID token of Entra without a nonce": ("entra", {}, {"azp": ..., "scp": ...}, TokenFault.TYPE),
    "an ID token of Entra, version 1.0": ("entra, version 1.0", {}, {"appid": ..., "scp": ...}, TokenFault.TYPE),
    "an ID token of Entra for a code": ("entra", {}, {"c_hash": "x"}, TokenFault.TYPE),
    "an ID token of Okta": ("okta", {}, {"cid": ..., "scp": ..., "nonce": "n"}, TokenFault.TYPE),
    "an ID token of Okta without a nonce": ("okta", {}, {"cid": ..., "jti": "ID.T-ngjNl1"}, TokenFault.TYPE),
    "an ID token of AD FS": ("adfs", {}, {"appid": ..., "nonce": "n"}, TokenFault.TYPE),
    "an ID token of AD FS that names its client": ("adfs", {}, {"at_hash": "x"}, TokenFault.TYPE),
    "an ID token of AD FS by its issuer": ("adfs", {}, {"iss": "https://adfs.city.example/adfs"}, TokenFault.ISSUER),
    "an ID token of Keycloak": ("keycloak", {}, {"typ": "ID"}, TokenFault.TYPE),
    "a refresh token of Keycloak": ("keycloak", {}, {"typ": "Refresh"}, TokenFault.TYPE),
    "a logout token of Keycloak": ("keycloak", {}, {"typ": "Logout"}, TokenFault.TYPE),
    "a token of Keycloak that says nothing": ("keycloak", {}, {"typ": ...}, TokenFault.TYPE),
    "a mark that is no text": ("entra", {}, {"azp": [CLIENT]}, TokenFault.TYPE),
    # Bound to a key of its client: whoever has it and not the key may not use it
    "a DPoP token of Keycloak": ("keycloak", {}, {"typ": "DPoP"}, TokenFault.TYPE),
    "a token with a thumbprint": ("okta", {}, {"cnf": {"jkt": "2HR2BW5-tan1aI6y"}}, TokenFault.TYPE),
    "a token of RFC 9068 with a thumbprint": ("keycloak, at+jwt", {}, {"cnf": {"jkt": "2HR2"}}, TokenFault.TYPE),
    # The header
    "no type where one is always there": ("entra", {"typ": ...}, {}, TokenFault.TYPE),
    "a type of something else": ("okta", {"typ": "dpop+jwt"}, {}, TokenFault.TYPE),
    "a type that is null": ("okta", {"typ": None}, {}, TokenFault.HEADER),
    "an x5t where there is none": ("keycloak", {"x5t": KID}, {}, TokenFault.HEADER),
    "an x5t that is no text": ("adfs", {"x5t": [KID]}, {}, TokenFault.HEADER),
    **{
        f"a header with {member} for {name}": (name, {member: value}, {}, TokenFault.HEADER)
        for name in ("entra", "okta", "adfs", "keycloak")
        for member, value in {
            "crit": ["exp"],
            "jwk": KEY.public_jwk(),
            "jku": "https://evil.example/keys",
            "x5u": "https://evil.example/cert",
            "x5c": ["MIIB"],
            "zip": "DEF",
        }.items()
    },
    **{
        f"alg {algorithm} for {name}": (name, {"alg": algorithm}, {}, TokenFault.ALGORITHM)
        for name in ("entra", "okta", "adfs", "keycloak")
        for algorithm in ("none", "HS256", "PS256", "RS512", "ES256")
    },
    "a key of another kind": ("entra", {"kid": IDP_EC.kid}, {}, TokenFault.ALGORITHM),
    "a key that is not published": ("okta", {"kid": "another"}, {}, TokenFault.KEY),
    # Issuer and audience
    "another tenant": ("entra", {}, {"iss": f"https://login.microsoftonline.com/{CLIENT}/v2.0"}, TokenFault.ISSUER),
    "the other version of Entra": ("entra", {}, {"iss": f"https://sts.windows.net/{TENANT}/"}, TokenFault.ISSUER),
    "another realm": ("keycloak", {}, {"iss": "https://sso.city.example/realms/master"}, TokenFault.ISSUER),
    "another authorization server": ("okta", {}, {"iss": "https://city.okta.com"}, TokenFault.ISSUER),
    "another audience": ("entra", {}, {"aud": CLIENT}, TokenFault.AUDIENCE),
    "an array of other audiences": ("keycloak", {}, {"aud": ["account"]}, TokenFault.AUDIENCE),
    "no audience": ("keycloak", {}, {"aud": ...}, TokenFault.AUDIENCE),
    # Times
    "more than eight hours": ("adfs", {}, {"exp": AT + 8 * 3600 + 1}, TokenFault.LIFETIME),
    "no iat": ("okta", {}, {"iat": ...}, TokenFault.LIFETIME),
    "exp as text": ("okta", {}, {"exp": str(AT + 60)}, TokenFault.LIFETIME),
    "not yet": ("entra", {}, {"nbf": AT + 31}, TokenFault.NOT_YET_VALID),
    "no longer": ("keycloak", {}, {"iat": AT - 330, "exp": AT - 30}, TokenFault.EXPIRED),
    # Who
    "no oid": ("entra", {}, {"oid": ...}, TokenFault.SUBJECT),
    "an oid that is a number": ("entra", {}, {"oid": 17}, TokenFault.SUBJECT),
    "a uid with a blank before it": ("okta", {}, {"uid": " jan@city.example"}, TokenFault.SUBJECT),
    "a uid that is empty": ("okta", {}, {"uid": ""}, TokenFault.SUBJECT),
    "an officer without a number": ("entra, version 1.0", {}, {"employee_number": ...}, TokenFault.EMPLOYEE_NUMBER),
    "an employee number that is a number": ("adfs", {}, {"employee_number": 4471}, TokenFault.EMPLOYEE_NUMBER),
    "two employee numbers": ("adfs", {}, {"employee_number": ["4471", "4472"]}, TokenFault.EMPLOYEE_NUMBER),
    # What
    "no roles": ("entra", {}, {"roles": ...}, TokenFault.ROLE),
    "an empty array of roles": ("entra", {}, {"roles": []}, TokenFault.ROLE),
    "roles of another application": ("entra", {}, {"roles": ["admin", "Coordinator"]}, TokenFault.ROLE),
    "a group with a role's name": ("okta", {}, {"groups": ["Everyone", "intake"]}, TokenFault.ROLE),
    "a role without its prefix": ("adfs", {}, {"role": "officer"}, TokenFault.ROLE),
    "an array in the array": ("entra", {}, {"roles": [["coordinator"]]}, TokenFault.ROLE),
    "an object among the roles": ("entra", {}, {"roles": ["coordinator", {}]}, TokenFault.ROLE),
    "roles of the realm alone": ("keycloak", {}, {"resource_access": {}}, TokenFault.ROLE),
    "roles of another client": (
        "keycloak",
        {},
        {"resource_access": {"account": {"roles": ["director"]}}},
        TokenFault.ROLE,
    ),
    "roles that are no object": ("keycloak", {}, {"resource_access": ["director"]}, TokenFault.ROLE),
    "the role of the public": ("entra", {}, {"roles": ["public"]}, TokenFault.ROLE),
    "the role of a party": ("entra", {}, {"roles": ["complainant"]}, TokenFault.ROLE),
    "two roles": ("entra", {}, {"roles": ["mediator", "intake"]}, TokenFault.SEVERAL_ROLES),
    "two roles in groups": (
        "okta",
        {},
        {"groups": ["mediation-intake", "mediation-auditor"]},
        TokenFault.SEVERAL_ROLES,
    ),
    "a role beside that of a party": ("entra", {}, {"roles": ["director", "complainant"]}, TokenFault.SEVERAL_ROLES),
    "a scope that is a number": ("entra", {}, {"scp": 7}, TokenFault.SCOPE),
    "a scope that is null": ("adfs", {}, {"scp": None}, TokenFault.SCOPE),
    "an array of scopes that are not text": ("okta", {}, {"scp": ["openid", 7]}, TokenFault.SCOPE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_is(name: str, settings: Settings) -> None:
    form, header, claims, fault = REFUSED[name]
    with pytest.raises(TokenRefused) as refusal:
        verified(FORMS[form], settings, header=header, claims=claims)
    assert refusal.value.fault is fault


ACCEPTED: Final[dict[str, tuple[str, Json, Json]]] = {
    "the same role twice": ("entra", {}, {"roles": ["coordinator", "coordinator"]}),
    "roles of other applications beside it": ("entra", {}, {"roles": ["Task.Read", "coordinator", "Coordinator"]}),
    "one role as an array": ("adfs", {}, {"role": ["mediation-officer", "Domain Users"]}),
    "one audience as an array": ("entra", {}, {"aud": [API]}),
    "one audience as text": ("keycloak", {}, {"aud": "mediation"}),
    "eight hours": ("entra", {}, {"exp": AT + 8 * 3600}),
    "times of some minutes ago": ("entra", {}, {"iat": AT - 300, "nbf": AT - 300}),
    "a type where none is usual": ("okta", {"typ": "JWT"}, {}),
    "a nonce in a token that says what it is": ("keycloak, at+jwt", {}, {"nonce": "n"}),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_is(name: str, settings: Settings) -> None:
    form, header, claims = ACCEPTED[name]
    assert verified(FORMS[form], settings, header=header, claims=claims) == FORMS[form].actor


def test_a_delegated_token_is_not_widened_by_a_role_that_reads_like_a_scope(settings: Settings) -> None:
    claims: Json = {"scp": "complaints:read", "roles": ["coordinator", "complaints:write"]}
    assert verified(FORMS["entra"], settings, claims=claims).scopes == frozenset({"complaints:read"})


@pytest.mark.parametrize("kind", ProviderKind)
def test_of_the_hostile_tokens_a_profile_accepts_what_it_is_there_for_and_no_other(kind: ProviderKind) -> None:
    named_as_there = replace(
        PROFILES[kind], role_claim="role", role_prefix="", subject_claims=("sub",), scope_claims=("scope",)
    )
    city = TrustedIssuer(CITY, AUDIENCE, KeySet(OwnKeys(IDP, IDP_EC)), profile=named_as_there)
    verifier = Verifier(city=city, service=ISSUER.trusted())
    accepted = set()
    for name, text in HOSTILE.items():
        with suppress(Unauthenticated):
            asyncio.run(verifier.verify(text, NOW))
            accepted.add(name)
    lists = set() if kind is ProviderKind.RFC9068 else {"a list of roles", "scopes in a list"}
    assert accepted == lists | ({"an x5t"} if kind in {ProviderKind.ENTRA, ProviderKind.ADFS} else set())


FUZZED: Final = (
    *("iss", "aud", "iat", "exp", "nbf", "nonce", "cnf", "typ", "azp", "appid", "cid", "roles", "groups", "role"),
    *("resource_access", "scp", "scope", "sub", "oid", "uid", "employee_number"),
)


@pytest.mark.drawn
@hypothesis_settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FORMS)), st.data())
def test_no_value_of_a_claim_does_anything_but_be_taken_or_refused(name: str, data: st.DataObject) -> None:
    form, claim = FORMS[name], data.draw(st.sampled_from(FUZZED))
    text = raw(form.header, {**form.claims, claim: data.draw(json_values)}, KEY)
    profile = replace(PROFILES[form.kind], role_claim=PROFILES[form.kind].role_claim.format(audience=form.audience))
    city = TrustedIssuer(str(form.claims["iss"]), form.audience, KeySet(OwnKeys(KEY)), profile=profile)
    try:
        actor = asyncio.run(Verifier(city=city, service=ISSUER.trusted()).check(text, NOW))
    except TokenRefused:
        return
    assert actor.role is form.actor.role


def test_the_settings_change_single_claims_of_a_profile(settings: Settings) -> None:
    form = FORMS["keycloak"]
    verifier = verifier_for(
        form,
        settings,
        role_claim="/realm_access/roles",
        role_prefix="city-",
        subject_claim="preferred_username",
        employee_number_claim="/attributes/badge~1number",
    )
    claims = form.claims | {
        "realm_access": {"roles": ["offline_access", "city-officer", "director"]},
        "attributes": {"badge/number": "K 17"},
    }
    actor = asyncio.run(verifier.check(raw(form.header, claims, KEY), NOW))
    assert actor == Actor(Role.OFFICER, "jan", employee_number="k17", name="Jan de Vries")


def test_an_audience_with_slashes_is_one_step_of_the_path_to_the_roles(settings: Settings) -> None:
    audience = "https://mediation.city.example/~api"
    form = replace(
        FORMS["keycloak"], claims=KEYCLOAK | {"aud": audience, "resource_access": {audience: {"roles": ["auditor"]}}}
    )
    assert verified(form, settings).role is Role.AUDITOR


@pytest.mark.parametrize(
    ("name", "value"),
    [("a", {"b": ["x"]}), ("/a/b", ["x"]), ("/a/c", None), ("/a/b/0", None), ("/x/y", None), ("https://c/role", "r")],
)
def test_a_claim_is_found_by_name_or_pointer(name: str, value: object) -> None:
    assert claim_of({"a": {"b": ["x"]}, "x": "text", "https://c/role": "r"}, name) == value


# What the operator is told


def test_every_fault_is_that_of_a_token_in_the_tables(settings: Settings) -> None:
    found = {fault for _, _, _, fault in REFUSED.values()}
    verifier = verifier_for(replace(FORMS["keycloak, at+jwt"], kind=ProviderKind.RFC9068), settings)
    good = raw(FORMS["keycloak, at+jwt"].header, KEYCLOAK, KEY)
    for text in (*HOSTILE.values(), good[:-9] + "AAAAAAAAA"):
        with pytest.raises(Unauthenticated) as refusal:
            asyncio.run(verifier.verify(text, NOW))
        found.add(TokenFault(str(refusal.value.fault)))
    assert set(TokenFault) - found == {TokenFault.SCHEME}, "which is of the header that carries a token"


def test_an_expired_token_has_its_fault_too(settings: Settings) -> None:
    form = FORMS["entra"]
    with pytest.raises(TokenExpired) as refusal:
        asyncio.run(verifier_for(form, settings).verify(raw(form.header, form.claims, KEY), NOW + timedelta(hours=2)))
    assert refusal.value.fault is TokenFault.EXPIRED


TOLD: Final[list[tuple[str, Json, Json, str]]] = [
    ("entra", {}, {"aud": "api://other"}, f'aud: expected "{API}"; found "api://other"'),
    ("entra", {}, {"roles": ["admin"]}, 'found ["admin"]'),
    ("entra", {}, {"roles": ["intake", "auditor"]}, 'roles: expected one role; found ["auditor", "intake"]'),
    ("entra", {"typ": "ID"}, {}, 'typ: expected application/at+jwt, at+jwt, jwt; found "ID"'),
    ("entra", {"jku": "x"}, {}, 'header: expected alg, kid, typ, x5t; found ["jku"]'),
    ("entra", {}, {"azp": ...}, "claims: expected azp or appid, as in an access token; found an ID token"),
    ("keycloak", {}, {"typ": "ID"}, "claims: expected typ Bearer, as in an access token; found an ID token"),
    ("adfs", {}, {"exp": AT + 86_400}, "exp: expected at most 28800 seconds after iat; found 86400 seconds"),
    ("okta", {}, {"nbf": AT + 60}, "found 2026-11-24T12:01:00+00:00"),
    ("okta", {}, {"exp": ...}, "exp: expected whole seconds since 1970; found nothing"),
    ("adfs", {}, {"employee_number": 4471}, "employee_number: expected text; found a number"),
]


@pytest.mark.parametrize(("name", "header", "claims", "words"), TOLD, ids=[words for *_, words in TOLD])
def test_the_words_name_the_claim_what_is_expected_and_what_was_found(
    name: str, header: Json, claims: Json, words: str, settings: Settings
) -> None:
    with pytest.raises(TokenRefused) as refusal:
        verified(FORMS[name], settings, header=header, claims=claims)
    assert words in str(refusal.value)


@pytest.mark.parametrize("name", REFUSED)
def test_the_words_hold_neither_the_token_nor_who_it_names(name: str, settings: Settings) -> None:
    form, header, claims, _ = REFUSED[name]
    told_claims = edited(FORMS[form].claims, claims)
    text = raw(edited(FORMS[form].header, header), told_claims, KEY)
    with pytest.raises(TokenRefused) as refusal:
        asyncio.run(verifier_for(FORMS[form], settings).check(text, NOW))
    told = str(refusal.value)
    assert told.isascii()
    assert len(told) < 700
    private = {str(told_claims.get(claim)) for claim in ("sub", "oid", "uid", "name", "employee_number", "upn")}
    assert not [part for part in (*text.split("."), *private) if len(part) > 3 and part in told]


# From the settings


def test_the_verifier_of_the_settings_is_the_one_that_the_tables_describe(
    settings: Settings, keys: Path, tmp_path: Path
) -> None:
    form = FORMS["entra"]
    jwks = tmp_path / "jwks.json"
    entry = {**KEY.public_jwk(), "x5t": KID, "x5c": ["MIIB"], "issuer": form.claims["iss"]}
    del entry["alg"]
    jwks.write_text(json.dumps({"keys": [entry]}))
    changes = {
        "token_issuer": form.claims["iss"],
        "token_audience": form.audience,
        "token_jwks": str(jwks),
        "token_profile": form.kind,
        "role_claim": "",
        "service_key_file": keys / "service.pem",
    }
    verifier = Verifier.of(settings.model_copy(update=changes))
    assert asyncio.run(verifier.verify(raw(form.header, form.claims, KEY), NOW)) == form.actor
    eight_hours = raw(form.header, form.claims | {"exp": AT + 8 * 3600}, KEY)
    with pytest.raises(TokenRefused, match=f"at most {int(CITY_LIFETIME.total_seconds())} seconds"):
        asyncio.run(verifier.check(eight_hours, NOW))
    patient = Verifier.of(settings.model_copy(update=changes | {"token_max_minutes": 480}))
    assert asyncio.run(patient.verify(eight_hours, NOW)) == form.actor
