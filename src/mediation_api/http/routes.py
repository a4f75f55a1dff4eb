"""The declaration of each operation, at its route.

    @router.post("/consents", status_code=201, summary="Agree or decline")
    @Operation(
        "giveConsent",
        access=allow(office=INTAKE, own=PARTIES),
        oauth_scope="consents:write",
        events=(ConsentGiven, IdentityBound),
    )
    async def give_consent(...): ...

Authorisation, the access log, idempotency, cursors, quotas and the contract read it from the route's function, so that
the function can have any name. Stored data refers to an operation by its `id`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from mediation_api.database.engine import Pool
from mediation_api.domain.access import Actor, Permission
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.events import Event

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])

_ATTRIBUTE: Final = "operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Permission):
    """One operation of the contract: a decorator of its route's function, and the closest to it.

    The base class `Permission` has the roles that may call it, and its scope.
    """

    id: str = field(kw_only=False)
    """Its `operationId`. Stored in the access log, idempotency keys and cursors, so it must not change."""
    opens: LoggedObject | None = None
    """The object whose read is recorded in the access log; the function must then take a `LoggedScope`."""
    events: tuple[type[Event], ...] = ()
    """The types of all events that it may record. A command records at least one."""
    refusals: tuple[str, ...] = ()
    """The codes of all its 409s, and in a 422 those of the rules for fields that their schema does not say."""
    location: str | None = None
    """The `Location` of a 201, with `{id}` in place of the `id` in the response."""
    pool: Pool | None = None
    """The pool of its connections. By default, `PARTIES` for a party and `OFFICE` for all others."""
    uses_database: bool = True
    has_csv: bool = False
    """The office may have the list as CSV (http/csv_pages.py)."""
    takes_lines: bool = False
    """Its body is JSON lines, which the function reads as they arrive (http/json_lines.py)."""
    always_answered: bool = False
    """Refused neither by the quota nor for its `Accept` header."""

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        """Attach the operation to the function of a route."""
        endpoint.__dict__[_ATTRIBUTE] = self
        return endpoint

    def pool_for(self, actor: Actor) -> Pool:
        """Return the pool of connections for a call by `actor`."""
        if self.pool is not None:
            return self.pool
        return Pool.PARTIES if actor.is_party else Pool.OFFICE


def declared(endpoint: object) -> Operation | None:
    """Return the operation of a route's function; None for a route without one, such as the documentation page."""
    operation: Operation | None = getattr(endpoint, _ATTRIBUTE, None)
    return operation


def operation_of(request: Request) -> Operation:
    """Return the operation of a request. Raises LookupError if the route declares none."""
    operation = declared(request.scope["endpoint"])
    if operation is None:
        raise LookupError("the route declares no operation")
    return operation


def operations_of(routes: Iterable[BaseRoute]) -> Mapping[str, Operation]:
    """Return the operations of these routes by id, in order. Every route in the contract must declare one.

    Raises:
        TypeError: a route declares none, or declares it above the router's decorator.
        ValueError: two routes declare the same id.
    """
    operations: dict[str, Operation] = {}
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        operation = declared(route.endpoint)
        if operation is None or route.operation_id != operation.id:
            raise TypeError(
                f"{route.endpoint.__module__}.{route.name} ({route.path}) declares no operation: write "
                "@Operation(id, access=..., oauth_scope=...) of http/routes.py between the router's decorator and the "
                "function, and give the router route_class=StrictRoute."
            )
        if operation.id in operations:
            raise ValueError(f"Two routes declare the operation {operation.id}: each needs an id of its own.")
        operations[operation.id] = operation
    return MappingProxyType(operations)
