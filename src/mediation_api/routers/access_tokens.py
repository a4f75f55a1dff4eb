"""Access tokens: a member of the public exchanges an access code for a short-lived token."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints

from mediation_api.contract.responses import responses
from mediation_api.database.engine import Pool
from mediation_api.domain import access_codes
from mediation_api.domain.access import EVERYBODY
from mediation_api.domain.errors import AccessCodeInvalid
from mediation_api.domain.values import AttemptKind
from mediation_api.http.dependencies import AttemptCounters, Context, NewId, Now, Parties, Scope
from mediation_api.http.fields import In, Out
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.rate_limits import count_attempt
from mediation_api.http.routes import Operation
from mediation_api.routers.parties import code_key

router = APIRouter(prefix="/v1/access-tokens", route_class=StrictRoute, tags=["access-tokens"])


class AccessCodeIn(In):
    """An access code. Upper and lower case, spaces and dashes do not matter."""

    access_code: Annotated[str, StringConstraints(min_length=1, max_length=128, strict=True)] = Field(
        description="As it was given to the complainant."
    )


class AccessTokenOut(Out):
    """A bearer token of one party."""

    access_token: str = Field(description="For `Authorization: Bearer …`.")
    token_type: Literal["Bearer"] = Field(description="As OAuth 2.0 names it.")
    expires_in: int = Field(description="Seconds.")
    party_id: UUID


@router.post(
    "",
    status_code=201,
    summary="Exchange an access code",
    responses=responses(401),
)
@Operation("exchangeAccessCode", access=EVERYBODY, oauth_scope=None, pool=Pool.PARTIES)
async def exchange_access_code(
    body: AccessCodeIn,
    _scope: Scope,
    parties: Parties,
    counters: AttemptCounters,
    service: Context,
    at: Now,
    token_id: NewId,
    request: Request,
) -> AccessTokenOut:
    """Exchange an access code for a token, which is not stored and cannot be read again: there is no `Location`.

    Wrong, replaced and unknown codes get the same response, after the same time. The number of attempts per hour with
    the same code is limited; above the limit, the right code is refused as well.
    """
    code = access_codes.parse_access_code(body.access_code)
    limit = service.settings.code_attempts_per_hour
    await count_attempt(counters, AttemptKind.CODE, code.lookup, limit, request=request, at=at)
    stored = await parties.find_code(code.lookup)
    if not access_codes.matches(code, None if stored is None else stored.digest, code_key(service)) or stored is None:
        raise AccessCodeInvalid
    await counters.forget(AttemptKind.CODE, code.lookup)
    return AccessTokenOut(
        access_token=service.issuer.issue(stored.party_id, code=code.lookup, token_id=token_id, now=at),
        token_type="Bearer",  # noqa: S106 - a kind, not a secret
        expires_in=service.settings.access_token_minutes * 60,
        party_id=stored.party_id,
    )
