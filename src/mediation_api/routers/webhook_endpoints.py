"""Webhooks: an integration registers where the entries of its change feed are posted."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from mediation_api.contract.responses import responses
from mediation_api.database.nesting import AnyRow
from mediation_api.domain.access import AccessScope, Relation, Role, allow
from mediation_api.domain.errors import Invalid, LimitReached, StateConflict
from mediation_api.domain.event_kinds import IntegrationEventKind
from mediation_api.domain.values import DeliveryState, EndpointState, in_utc
from mediation_api.domain.webhooks import MOST_ENDPOINTS, PING
from mediation_api.http.dependencies import (
    Context,
    NewId,
    Now,
    Scope,
    ServiceContext,
    WebhookDeliveryId,
    WebhookEndpointId,
    Webhooks,
)
from mediation_api.http.fields import Flag, In, InstantOut, Named, Once, Open, OpenList, Out
from mediation_api.http.idempotency import IDEMPOTENT, IfMatch, entity_tag_of
from mediation_api.http.merge_patch import Patch
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, ListQuery, Pages
from mediation_api.http.routes import Operation
from mediation_api.outreach.webhook_messages import new_secret

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["webhooks"])
webhooks = APIRouter(tags=["webhooks"])
"""What is posted to endpoints, for the contract."""

_SECRET_EXAMPLE: Final = "whsec_…"  # noqa: S105 - an example
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}

WebhookUrl = Annotated[
    str,
    StringConstraints(
        pattern=r"^https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?(/[!$-~]*)?$",
        max_length=1000,
        strict=True,
    ),
    Named("WebhookUrl", "Where to post: `https`, a public host, port 443.", "https://intake.city.example/hooks"),
]
Kinds = Annotated[list[IntegrationEventKind], Field(min_length=1, max_length=len(IntegrationEventKind)), Once()]
DeliveryKind = Annotated[
    str, OpenList("WebhookKind", (*sorted(IntegrationEventKind), PING), "What a webhook is about.")
]


class WebhookEndpointIn(In):
    """Where to post, and what about."""

    url: WebhookUrl
    kinds: Kinds = Field(description="The kinds of events to post.")


class WebhookEndpointPatch(Patch):
    """A change of an endpoint. It also counts as a sign that the integration still uses it."""

    kept: ClassVar[frozenset[str]] = frozenset({"url", "kinds", "active"})

    url: WebhookUrl | SkipJsonSchema[None] = None
    kinds: Kinds | SkipJsonSchema[None] = Field(None, description="The kinds of events to post.")
    active: Flag | SkipJsonSchema[None] = Field(None, description="False pauses it; true ends a pause.")


class WebhookEndpointOut(Out):
    """An endpoint of webhooks."""

    id: UUID
    integration: str = Field(description="The subject of the integration's token.")
    url: str = Field(description="For a director without path and query; empty once it is removed.")
    kinds: list[Open[IntegrationEventKind]] = Field(description="The kinds of events that are posted.", max_length=100)
    state: Open[EndpointState]
    registered_at: InstantOut = Field(description="When it was registered.")
    expires_at: InstantOut = Field(
        description="When posting ends, unless the integration changes it or rotates its secret before."
    )


class WebhookEndpointRegisteredOut(WebhookEndpointOut):
    """A new endpoint with its secret, which is not shown again."""

    secret: str = Field(description="Verifies `webhook-signature` (Standard Webhooks).", examples=[_SECRET_EXAMPLE])


class WebhookSecretOut(Out):
    """A new secret of an endpoint, which is not shown again."""

    secret: str = Field(description="Verifies `webhook-signature` (Standard Webhooks).", examples=[_SECRET_EXAMPLE])
    former_expires_at: InstantOut = Field(description="Until then, webhooks are signed with the former secret as well.")


class WebhookEndpointList(ListOut[WebhookEndpointOut]):
    """One page of endpoints, in the order in which they were registered."""


class WebhookDeliveryOut(Out):
    """What became of one webhook."""

    id: UUID
    endpoint_id: UUID = Field(description="The endpoint that it is posted to.")
    kind: DeliveryKind
    event_id: UUID | None = Field(description="The event, which is also `webhook-id`; null for a ping.")
    state: Open[DeliveryState]
    queued_at: InstantOut = Field(description="When the event entered the change feed.")
    attempts: int = Field(ge=0, description="How often it was sent.")
    last_attempt_at: InstantOut | None = Field(description="When it was last sent; null before.")
    last_status: int | None = Field(description="What was answered then; null if nothing was.")
    next_attempt_at: InstantOut | None = Field(description="The earliest time to send it again; null if it is not.")


class WebhookDeliveryList(ListOut[WebhookDeliveryOut]):
    """One page of deliveries, oldest first."""


class WebhookEndpointQuery(ListQuery):
    """Filters of the endpoints."""

    state: EndpointState | None = Field(None, description="Endpoints in this state.")


class WebhookDeliveryQuery(ListQuery):
    """Filters of the deliveries."""

    state: DeliveryState | None = Field(None, description="Deliveries in this state.")


@router.post(
    "/webhook-endpoints",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Register an endpoint",
    responses=responses(409),
)
@Operation(
    "registerWebhookEndpoint",
    access=allow(filed=True),
    oauth_scope="webhooks:write",
    location="/v1/webhook-endpoints/{id}",
    refusals=("limit-reached", "url-not-allowed"),
)
async def register_webhook_endpoint(
    body: WebhookEndpointIn,
    scope: Scope,
    endpoints: Webhooks,
    service: Context,
    at: Now,
    endpoint_id: NewId,
    response: Response,
) -> WebhookEndpointRegisteredOut:
    """Register an endpoint. From now on, each entry of the integration's change feed of these kinds is posted to it."""
    _require_allowed(body.url, service)
    if await endpoints.number_of(scope.actor.subject) >= MOST_ENDPOINTS:
        raise LimitReached
    secret = new_secret()
    await endpoints.register(
        endpoint_id,
        scope.actor.subject,
        url=body.url,
        secret=secret,
        kinds=body.kinds,
        at=at,
        expires_at=_expiry(service, at),
    )
    made = WebhookEndpointOut.read(await endpoints.get(endpoint_id, scope))
    response.headers["ETag"] = entity_tag_of(made)
    return WebhookEndpointRegisteredOut(**made.model_dump(), secret=secret)


@router.get("/webhook-endpoints", summary="Endpoints")
@Operation("listWebhookEndpoints", access=allow(office=(Role.DIRECTOR,), filed=True), oauth_scope="webhooks:read")
async def list_webhook_endpoints(
    query: Annotated[WebhookEndpointQuery, Query()], pages: Pages, scope: Scope, endpoints: Webhooks
) -> WebhookEndpointList:
    """List the endpoints: its own for an integration, all for a director."""
    page = await endpoints.list(scope, pages.request, query.state)
    return pages.response(WebhookEndpointList, page, lambda row: _shown(row, scope))


@router.get("/webhook-endpoints/{webhook_endpoint_id}", summary="An endpoint")
@Operation("getWebhookEndpoint", access=allow(office=(Role.DIRECTOR,), filed=True), oauth_scope="webhooks:read")
async def get_webhook_endpoint(
    webhook_endpoint_id: WebhookEndpointId, scope: Scope, endpoints: Webhooks
) -> WebhookEndpointOut:
    """Return an endpoint, without its secret."""
    return _shown(await endpoints.get(webhook_endpoint_id, scope), scope)


@router.patch("/webhook-endpoints/{webhook_endpoint_id}", summary="Change an endpoint", responses=responses(409))
@Operation(
    "changeWebhookEndpoint",
    access=allow(filed=True),
    oauth_scope="webhooks:write",
    refusals=("state-conflict", "url-not-allowed"),
)
async def change_webhook_endpoint(
    webhook_endpoint_id: WebhookEndpointId,
    body: WebhookEndpointPatch,
    scope: Scope,
    endpoints: Webhooks,
    service: Context,
    at: Now,
    precondition: IfMatch,
) -> WebhookEndpointOut:
    """Change where or what is posted, or pause it. What happens during a pause is posted after it."""
    current = _shown(await endpoints.lock(webhook_endpoint_id, scope), scope)
    precondition.check(current)
    _require_kept(current)
    changes = body.changes(current)
    if body.url is not None:
        _require_allowed(body.url, service)
    active = changes.pop("active", None)
    if active is not None:
        changes["state"] = EndpointState.ACTIVE if active else EndpointState.PAUSED
    anew = {"expires_at": _expiry(service, at), "failures": 0, "next_attempt_at": at}
    await endpoints.change(webhook_endpoint_id, changes | anew)
    return _shown(await endpoints.get(webhook_endpoint_id, scope), scope)


@router.post(
    "/webhook-endpoints/{webhook_endpoint_id}/secrets",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Rotate the secret",
    responses=responses(409),
)
@Operation("rotateWebhookSecret", access=allow(filed=True), oauth_scope="webhooks:write", refusals=("state-conflict",))
async def rotate_webhook_secret(
    webhook_endpoint_id: WebhookEndpointId, scope: Scope, endpoints: Webhooks, service: Context, at: Now
) -> WebhookSecretOut:
    """Make a new secret. For a day, webhooks are signed with the former one as well.

    It is in this response and can never be read again, so there is no `Location`.
    """
    secret = new_secret()
    until = await endpoints.rotate(webhook_endpoint_id, scope, secret, at=at, expires_at=_expiry(service, at))
    if until is None:
        raise StateConflict
    return WebhookSecretOut(secret=secret, former_expires_at=in_utc(until))


@router.post(
    "/webhook-endpoints/{webhook_endpoint_id}/remove",
    dependencies=[IDEMPOTENT],
    summary="Remove an endpoint",
)
@Operation("removeWebhookEndpoint", access=allow(office=(Role.DIRECTOR,), filed=True), oauth_scope="webhooks:write")
async def remove_webhook_endpoint(
    webhook_endpoint_id: WebhookEndpointId, scope: Scope, endpoints: Webhooks
) -> WebhookEndpointOut:
    """Remove an endpoint for good: nothing more is posted, and its URL and secrets are forgotten."""
    await endpoints.lock(webhook_endpoint_id, scope)
    await endpoints.remove(webhook_endpoint_id)
    return _shown(await endpoints.get(webhook_endpoint_id, scope), scope)


@router.post(
    "/webhook-endpoints/{webhook_endpoint_id}/pings",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Send a ping",
    responses=responses(409),
)
@Operation(
    "pingWebhookEndpoint",
    access=allow(filed=True),
    oauth_scope="webhooks:write",
    location="/v1/webhook-deliveries/{id}",
    refusals=("state-conflict",),
)
async def ping_webhook_endpoint(
    webhook_endpoint_id: WebhookEndpointId, scope: Scope, endpoints: Webhooks, at: Now, delivery_id: NewId
) -> WebhookDeliveryOut:
    """Post a webhook of the kind `ping`, which is about no event, as any other is posted."""
    _require_kept(_shown(await endpoints.lock(webhook_endpoint_id, scope), scope))
    await endpoints.ping(webhook_endpoint_id, delivery_id, at=at)
    return WebhookDeliveryOut.read(await endpoints.delivery(delivery_id, scope))


@router.get("/webhook-endpoints/{webhook_endpoint_id}/deliveries", summary="Deliveries")
@Operation("listWebhookDeliveries", access=allow(office=(Role.DIRECTOR,), filed=True), oauth_scope="webhooks:read")
async def list_webhook_deliveries(
    webhook_endpoint_id: WebhookEndpointId,
    query: Annotated[WebhookDeliveryQuery, Query()],
    pages: Pages,
    scope: Scope,
    endpoints: Webhooks,
) -> WebhookDeliveryList:
    """List what was posted to an endpoint, or is to be, oldest first. `state=dead` is what was given up."""
    page = await endpoints.deliveries(webhook_endpoint_id, scope, pages.request, query.state)
    return pages.response(WebhookDeliveryList, page, WebhookDeliveryOut.read)


@router.get("/webhook-deliveries/{webhook_delivery_id}", summary="A delivery")
@Operation("getWebhookDelivery", access=allow(office=(Role.DIRECTOR,), filed=True), oauth_scope="webhooks:read")
async def get_webhook_delivery(
    webhook_delivery_id: WebhookDeliveryId, scope: Scope, endpoints: Webhooks
) -> WebhookDeliveryOut:
    """Return what became of one webhook."""
    return WebhookDeliveryOut.read(await endpoints.delivery(webhook_delivery_id, scope))


@router.post(
    "/webhook-deliveries/{webhook_delivery_id}/replay",
    dependencies=[IDEMPOTENT],
    summary="Post again",
    responses=responses(409),
)
@Operation("replayWebhook", access=allow(filed=True), oauth_scope="webhooks:write", refusals=("state-conflict",))
async def replay_webhook(
    webhook_delivery_id: WebhookDeliveryId, scope: Scope, endpoints: Webhooks, at: Now
) -> WebhookDeliveryOut:
    """Post again what is dead, was delivered or waits for its next attempt: soon, and with the same `webhook-id`.

    It may arrive after later events of its case.
    """
    endpoint = await endpoints.lock_of_delivery(webhook_delivery_id, scope)
    _require_kept(_shown(endpoint, scope))
    await endpoints.replay(webhook_delivery_id, at=at)
    return WebhookDeliveryOut.read(await endpoints.delivery(webhook_delivery_id, scope))


def _shown(row: AnyRow, scope: AccessScope) -> WebhookEndpointOut:
    """Return an endpoint as the caller sees it: path and query may be a secret between integration and receiver."""
    endpoint = WebhookEndpointOut.read(row)
    if scope.relation is Relation.OFFICE and endpoint.url:
        parts = urlsplit(endpoint.url)
        return endpoint.model_copy(update={"url": f"{parts.scheme}://{parts.netloc}"})
    return endpoint


def _require_kept(endpoint: WebhookEndpointOut) -> None:
    if endpoint.state == EndpointState.REMOVED:
        raise StateConflict


def _require_allowed(url: str, service: ServiceContext) -> None:
    """Check what a URL says against the settings. The addresses of its host are checked for each post."""
    settings, parts = service.settings, urlsplit(url)
    schemes = {"https", "http"} if settings.webhook_allow_http else {"https"}
    hosts = {host.lower() for host in settings.webhook_hosts}
    try:
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError:  # greater than 65535
        port = 0
    if parts.scheme not in schemes or port not in settings.webhook_ports or (hosts and parts.hostname not in hosts):
        raise Invalid("/url", "url-not-allowed", "The office allows no webhooks to this scheme, host or port.")


def _expiry(service: ServiceContext, at: datetime) -> datetime:
    return at + timedelta(days=service.settings.webhook_days)


# ── what is posted, for the contract ───────────────────────────────────────────────────────────────────────────────


class WebhookEventOut(Out):
    """What the change feed shows of an event, without its kind and time."""

    id: UUID
    sequence: int = Field(
        ge=1, description="Counts the events of its case (or else of its complaint) that you are shown."
    )
    complaint_id: UUID | None = Field(description="The complaint that it is about.")
    case_id: UUID | None = Field(description="The case that it is about, if one.")
    mediator_id: UUID | None = Field(description="The roster entry that it is about, if one.")
    party_id: UUID | None = Field(description="The party that it concerns, if one.")


class WebhookOut(Out):
    """A webhook (Standard Webhooks): verify its signature, answer 2xx, then read what it is about."""

    type: DeliveryKind
    timestamp: InstantOut = Field(description="When the event was recorded, or the ping asked for.")
    data: WebhookEventOut | None = Field(description="Null for a ping.")


@webhooks.post("event", operation_id="receiveWebhook", summary="An event", status_code=204)
def receive_webhook(
    body: WebhookOut,
    webhook_id: Annotated[str, Header(description="The id of the event: the same each time that it is posted.")],
    webhook_timestamp: Annotated[str, Header(description="When it was posted, in seconds since 1970.")],
    webhook_signature: Annotated[
        str, Header(description="`v1,` and HMAC-SHA-256 of id, timestamp and body, separated by dots; one or two.")
    ],
) -> None:
    """Post an event to an endpoint, in the order of its case. Any answer but 2xx is repeated, over three days."""
