"""What is declared of each operation at its route.

    @router.post("/consents", status_code=201, summary="Agree or decline")
    @Operation(
        "giveConsent",
        access=allow(office=INTAKE, own=PARTIES),
        scope="consents:write",
        events=(ConsentGiven, IdentityBound),
    )
    async def give_consent(...): ...

Authorisation, the access log, idempotency, cursors, quotas and the contract read it from the route's function, so that
the function can have any name. What is stored names an operation by its `id`.
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
    """One operation of the contract, and a decorator for the function of its route: directly above the function.

    Who may call it and with which scope is its `Permission`.
    """

    id: str = field(kw_only=False)
    """Its `operationId`. The access log, idempotency keys and cursors store it: it does not change."""
    opens: LoggedObject | None = None
    """What reading it writes to the access log; its function then takes a `LoggedScope`."""
    events: tuple[type[Event], ...] = ()
    """Every kind of event that it may record. A command records at least one."""
    location: str | None = None
    """The address of what it creates, with `{id}` in place of the `id` of the answer: the `Location` of a 201."""
    pool: Pool | None = None
    """The pool of connections for whoever calls it. None: a party has one of the parties', all others the office's."""
    uses_database: bool = True
    always_answered: bool = False
    """Refused neither by the quota nor for its `Accept` header."""

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        """Attach this to the function of a route."""
        endpoint.__dict__[_ATTRIBUTE] = self
        return endpoint

    def pool_for(self, actor: Actor) -> Pool:
        """The pool of connections that `actor` takes one of."""
        if self.pool is not None:
            return self.pool
        return Pool.PARTIES if actor.is_party else Pool.OFFICE


def declared(endpoint: object) -> Operation | None:
    """The operation of a route's function; None for what is no operation, such as the documentation page."""
    operation: Operation | None = getattr(endpoint, _ATTRIBUTE, None)
    return operation


def operation_of(request: Request) -> Operation:
    """The operation that a request calls. Raises LookupError: the route declares none."""
    operation = declared(request.scope["endpoint"])
    if operation is None:
        raise LookupError("the route declares no operation")
    return operation


def operations_of(routes: Iterable[BaseRoute]) -> Mapping[str, Operation]:
    """The operations of these routes by id, in their order; every route of the contract must declare one.

    Raises:
        TypeError: a route declares none, or FastAPI did not see it.
        ValueError: two routes declare the same.
    """
    found: dict[str, Operation] = {}
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        operation = declared(route.endpoint)
        if operation is None or route.operation_id != operation.id:
            raise TypeError(
                f"{route.endpoint.__module__}.{route.name} ({route.path}) declares no operation: write "
                "@Operation(id, access=..., scope=...) of http/routes.py between the router's decorator and the "
                "function, and give the router route_class=StrictRoute."
            )
        if operation.id in found:
            raise ValueError(f"Two routes declare the operation {operation.id}: each needs an id of its own.")
        found[operation.id] = operation
    return MappingProxyType(found)
