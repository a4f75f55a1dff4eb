"""Webhooks: the endpoints that integrations register, and what is sent to each.

`number_events` queues a delivery for each entry of the change feed and each endpoint that takes its kind, in the
transaction that appends the entry. A worker claims an endpoint with a lease, in a short transaction, posts without one,
and writes what became of it if the lease is still its own. So no lock is held while a receiver is waited for, one
worker at a time delivers to an endpoint, and what a worker was sending when it was killed is sent again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    DateTime,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_one, scope_parameters
from mediation_api.database.batching import batched
from mediation_api.database.constants import Constant, constants
from mediation_api.database.data_keys import data_key, decrypted, new_data_key
from mediation_api.database.encryption import Ciphertext
from mediation_api.database.locking import lock_in_scope
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.domain.access import AccessScope
from mediation_api.domain.values import UNREADABLE, DeliveryState, EndpointState
from mediation_api.domain.webhooks import PING, SECRET_OVERLAP, DeliveryProgress, EndpointProgress
from mediation_api.repository.change_feed import entry_columns

SENT_AT_ONCE: Final = 16
"""How many deliveries to one endpoint are sent at the same time at most, each of another stream."""
_DELETED_AT_ONCE: Final = 5_000

_E: Final = t.webhook_endpoints.c
_D: Final = t.webhook_deliveries.c
_AT: Final = bindparam("at", type_=DateTime(timezone=True))


class Webhooks:
    """The endpoints of integrations and their deliveries, for those who manage them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def register(
        self,
        endpoint_id: UUID,
        integration: str,
        *,
        url: str,
        secret: str,
        kinds: Sequence[str],
        at: datetime,
        expires_at: datetime,
    ) -> None:
        """Store a new endpoint."""
        key, new = new_data_key(self._connection, endpoint_id)
        for insertion, row in batched([new]):
            await self._connection.execute(insertion, row)
        values = {
            "id": endpoint_id,
            "integration": integration,
            "kinds": sorted(kinds),
            "url": url,
            "secret": secret,
            "state": EndpointState.ACTIVE,
            "registered_at": at,
            "expires_at": expires_at,
            "next_attempt_at": at,
        }
        row = key.encrypted_row(t.webhook_endpoints, endpoint_id, values)
        await self._connection.execute(insert(t.webhook_endpoints).values(row))

    async def number_of(self, integration: str) -> int:
        """Return how many endpoints an integration has."""
        own = select(func.count()).where(_E.integration == integration, _E.state != EndpointState.REMOVED)
        number: int = (await self._connection.execute(own)).scalar_one()
        return number

    async def lock(self, endpoint_id: UUID, scope: AccessScope) -> AnyRow:
        """Lock an endpoint, and return it. Raises NotFound."""
        await lock_in_scope(self._connection, t.webhook_endpoints, endpoint_id, scope)
        return await self.get(endpoint_id, scope)

    async def get(self, endpoint_id: UUID, scope: AccessScope) -> AnyRow:
        """Return an endpoint. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, endpoint_id)

    async def list(self, scope: AccessScope, page: PageRequest, state: EndpointState | None) -> Page[AnyRow]:
        """Return a page of endpoints, in the order in which they were registered."""
        statement = _listed(ScopeKind.of(scope), is_filtered=state is not None)
        parameters = {**scope_parameters(scope), "filter_state": state}
        order = Order(_E.registered_at, _E.id)
        return await read_page(self._connection, statement, page, order, parameters=parameters)

    async def change(self, endpoint_id: UUID, changes: Mapping[str, object]) -> None:
        """Change some columns of a locked endpoint."""
        row = dict(changes)
        if "url" in changes or "secret" in changes:
            key = await data_key(self._connection, endpoint_id)
            row = key.encrypted_changes(t.webhook_endpoints, endpoint_id, changes)
        await self._connection.execute(update(t.webhook_endpoints).where(_E.id == endpoint_id).values(row))

    async def rotate(
        self, endpoint_id: UUID, scope: AccessScope, secret: str, *, at: datetime, expires_at: datetime
    ) -> datetime | None:
        """Give an endpoint a new secret, and return until when the former one signs as well. None: it was removed.

        Raises:
            NotFound: there is no such endpoint.
        """
        await lock_in_scope(self._connection, t.webhook_endpoints, endpoint_id, scope)
        former = await fetch_one(self._connection, _secret, scope, endpoint_id)
        if former["state"] == EndpointState.REMOVED:
            return None
        until = at + SECRET_OVERLAP
        changes: dict[str, object] = {"secret": secret, "expires_at": expires_at}
        if former["secret"] != UNREADABLE:
            changes |= {"former_secret": former["secret"], "former_secret_until": until}
        await self.change(endpoint_id, changes)
        return until

    async def remove(self, endpoint_id: UUID) -> None:
        """Send nothing more to a locked endpoint, and forget its URL and secrets."""
        emptied = {"url": Ciphertext(), "secret": Ciphertext(), "former_secret": None, "former_secret_until": None}
        ended = {"state": EndpointState.REMOVED, "lease": None, "leased_until": None}
        await self._connection.execute(
            update(t.webhook_endpoints).where(_E.id == endpoint_id).values(**emptied, **ended)
        )

    async def ping(self, endpoint_id: UUID, delivery_id: UUID, *, at: datetime) -> None:
        """Queue a webhook that is about no event."""
        row = {"id": delivery_id, "endpoint_id": endpoint_id, "stream": delivery_id, "queued_at": at}
        waiting = {"state": DeliveryState.WAITING, "next_attempt_at": at}
        await self._connection.execute(insert(t.webhook_deliveries).values(**row, **waiting))

    async def deliveries(
        self, endpoint_id: UUID, scope: AccessScope, page: PageRequest, state: DeliveryState | None
    ) -> Page[AnyRow]:
        """Return a page of what was or is to be sent to an endpoint, oldest first. Raises NotFound."""
        await self.get(endpoint_id, scope)
        statement, order = _of_endpoint(is_filtered=state is not None), Order(_D.queued_at, _D.id)
        parameters = {**scope_parameters(scope, endpoint_id), "filter_state": state}
        return await read_page(self._connection, statement, page, order, parameters=parameters)

    async def lock_of_delivery(self, delivery_id: UUID, scope: AccessScope) -> AnyRow:
        """Lock the endpoint of a delivery, and return it. Raises NotFound."""
        return await self.lock((await self.delivery(delivery_id, scope))["endpoint_id"], scope)

    async def delivery(self, delivery_id: UUID, scope: AccessScope) -> AnyRow:
        """Return a delivery. Raises NotFound."""
        return await fetch_one(self._connection, _delivery, scope, delivery_id)

    async def replay(self, delivery_id: UUID, *, at: datetime) -> None:
        """Send a delivery of a locked endpoint again, from the first attempt on."""
        anew = {"attempts": 0, "first_attempt_at": None, "last_attempt_at": None, "last_status": None}
        waiting = {"state": DeliveryState.WAITING, "next_attempt_at": at}
        await self._connection.execute(
            update(t.webhook_deliveries).where(_D.id == delivery_id).values(**anew, **waiting)
        )


async def delete_ended_deliveries(engine: AsyncEngine, before: datetime) -> int:
    """Delete the deliveries that were queued before an instant, in short transactions. Returns their number."""
    ended = select(_D.id).where(_D.queued_at < before).limit(_DELETED_AT_ONCE)
    total, deleted = 0, _DELETED_AT_ONCE
    while deleted == _DELETED_AT_ONCE:
        async with engine.begin() as connection:
            deleted = (await connection.execute(delete(t.webhook_deliveries).where(_D.id.in_(ended)))).rowcount
        total += deleted
    return total


# ── for the worker ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Claim:
    """An endpoint that a worker has claimed, and the deliveries that are due: the first of each stream."""

    endpoint_id: UUID
    lease: UUID
    url: str
    secrets: Sequence[str]
    failures: int
    deliveries: Sequence[AnyRow]


async def claim(connection: AsyncConnection, *, at: datetime, leased_until: datetime) -> Claim | None:
    """Claim an endpoint that has deliveries which are due; of one that fails, a single delivery. None: there is none.

    Endpoints take turns. Commit before anything is sent.
    """
    endpoint = (await connection.execute(_due_endpoint(), {"at": at})).mappings().first()
    if endpoint is None:
        return None
    lease = uuid4()
    leased = update(t.webhook_endpoints).where(_E.id == endpoint["id"])
    await connection.execute(leased.values(lease=lease, leased_until=leased_until))
    limit = 1 if endpoint["state"] == EndpointState.FAILING else SENT_AT_ONCE
    parameters = {"at": at, "requested_id": endpoint["id"]}
    deliveries = (await connection.execute(_due_deliveries(limit), parameters)).mappings().all()
    former_until = endpoint["former_secret_until"]
    secrets = [endpoint["secret"]]
    if former_until is not None and former_until > at:
        secrets.append(endpoint["former_secret"])
    return Claim(endpoint["id"], lease, endpoint["url"], secrets, endpoint["failures"], deliveries)


async def finish(
    connection: AsyncConnection,
    claimed: Claim,
    endpoint: EndpointProgress,
    results: Mapping[UUID, tuple[int | None, DeliveryProgress]],
    *,
    at: datetime,
) -> bool:
    """Write what became of the deliveries that were sent, by id with the status of each answer, and end the lease.

    Returns False, and writes nothing, if the lease is no longer this worker's: another one sends them again.
    """
    own = and_(_E.id == claimed.endpoint_id, _E.lease == claimed.lease)
    held = select(_E.state).where(own).with_for_update(key_share=True)
    state = (await connection.execute(held)).scalar()
    if state is None:
        return False
    standing = asdict(endpoint)
    if state == EndpointState.PAUSED:  # meanwhile, by the integration
        standing["state"] = EndpointState.PAUSED
    await connection.execute(update(t.webhook_endpoints).where(own).values(**standing, lease=None, leased_until=None))
    for delivery_id, (status, progress) in results.items():
        values = {**asdict(progress), "last_status": status, "last_attempt_at": at}
        await connection.execute(update(t.webhook_deliveries).where(_D.id == delivery_id).values(values))
    return True


def _is_due(delivery: AnyColumn) -> ColumnElement[bool]:
    """Whether a delivery is due, and no earlier one of its stream waits."""
    d, earlier = delivery.table.c, t.webhook_deliveries.alias("earlier").c
    before = select(earlier.id).where(
        earlier.endpoint_id == d.endpoint_id,
        earlier.stream == d.stream,
        earlier.state == Constant(DeliveryState.WAITING),
        earlier.number < d.number,
    )
    return and_(d.state == Constant(DeliveryState.WAITING), d.next_attempt_at <= _AT, ~before.exists())


@cache
def _due_endpoint() -> AnySelect:
    due = select(_D.id).where(_D.endpoint_id == _E.id, _is_due(_D.id)).correlate(t.webhook_endpoints)
    columns = (_E.id, _E.state, _E.failures, _E.former_secret_until)
    return (
        select(*columns, *(decrypted(column) for column in (_E.url, _E.secret, _E.former_secret)))
        .where(
            _E.state.in_(constants((EndpointState.ACTIVE, EndpointState.FAILING))),
            _E.next_attempt_at <= _AT,
            _E.expires_at > _AT,
            or_(_E.leased_until.is_(None), _E.leased_until < _AT),
            due.exists(),
        )
        .order_by(_E.next_attempt_at)
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True, of=t.webhook_endpoints)
    )


@cache
def _due_deliveries(limit: int) -> AnySelect:
    statement = _with_entry(_D.id, _D.queued_at, _D.attempts, _D.first_attempt_at)
    due = statement.where(_D.endpoint_id == REQUESTED_ID, _is_due(_D.id))
    return due.order_by(_D.next_attempt_at, _D.number).limit(limit)


# ── statements ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _with_entry(*columns: AnyColumn) -> AnySelect:
    """Select columns of deliveries, and as `event_id` and so on what the receiver is shown of the entry of the feed."""
    f, e = t.change_feed.c, t.events.c
    event_id, *others = entry_columns(f.sequence)
    return (
        select(*columns, event_id.label("event_id"), *others)
        .select_from(t.webhook_deliveries)
        .outerjoin(t.change_feed, f.number == _D.number)
        .outerjoin(t.events, e.position == f.position)
        .outerjoin(t.cases, t.cases.c.id == e.case_id)
    )


@cache
def _all(kind: ScopeKind) -> AnySelect:
    columns = (_E.id, _E.integration, _E.kinds, decrypted(_E.url), _E.state, _E.registered_at, _E.expires_at)
    return select(*columns).where(kind.where(t.webhook_endpoints))


@cache
def _listed(kind: ScopeKind, *, is_filtered: bool) -> AnySelect:
    return _all(kind).where(_E.state == bindparam("filter_state", type_=String)) if is_filtered else _all(kind)


@cache
def _secret(kind: ScopeKind) -> AnySelect:
    endpoint = select(_E.state, decrypted(_E.secret))
    return endpoint.where(_E.id == REQUESTED_ID, kind.where(t.webhook_endpoints))


@cache
def _one(kind: ScopeKind) -> AnySelect:
    return _all(kind).where(_E.id == REQUESTED_ID)


def _deliveries() -> AnySelect:
    kind = func.coalesce(t.events.c.kind, Constant(PING))
    columns = (_D.id, _D.endpoint_id, _D.state, _D.queued_at, _D.attempts, _D.last_attempt_at, _D.last_status)
    next_attempt = case((_D.state == Constant(DeliveryState.WAITING), _D.next_attempt_at))
    return (
        select(*columns, next_attempt.label("next_attempt_at"), kind.label("kind"), t.events.c.id.label("event_id"))
        .select_from(t.webhook_deliveries)
        .outerjoin(t.change_feed, t.change_feed.c.number == _D.number)
        .outerjoin(t.events, t.events.c.position == t.change_feed.c.position)
    )


@cache
def _of_endpoint(*, is_filtered: bool) -> AnySelect:
    statement = _deliveries().where(_D.endpoint_id == REQUESTED_ID)
    return statement.where(_D.state == bindparam("filter_state", type_=String)) if is_filtered else statement


@cache
def _delivery(kind: ScopeKind) -> AnySelect:
    statement = _deliveries().join(t.webhook_endpoints, _E.id == _D.endpoint_id)
    return statement.where(_D.id == REQUESTED_ID, kind.where(t.webhook_endpoints))
