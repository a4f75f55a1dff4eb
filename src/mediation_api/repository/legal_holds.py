"""Legal holds. While there is one on a complaint, none of its data is emptied."""

from functools import cache
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged, require_complaint
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_one, scope_parameters
from mediation_api.database.locking import lock_row
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.domain.access import AccessScope
from mediation_api.domain.retention import LegalHold
from mediation_api.repository.staff_names import staff_name


class LegalHolds:
    """The legal holds on complaints."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, hold_id: UUID) -> LegalHold:
        """Lock a hold. Raises NotFound."""
        h = t.legal_holds.c
        await lock_row(self._connection, t.legal_holds, hold_id)
        row = (await self._connection.execute(select(h.complaint_id, h.lifted_at).where(h.id == hold_id))).one()
        return LegalHold(hold_id=hold_id, complaint_id=row.complaint_id, lifted=row.lifted_at is not None)

    async def get(self, hold_id: UUID, scope: AccessScope) -> AnyRow:
        """Return a hold. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, hold_id)

    async def list(self, complaint_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the holds on a complaint, oldest first, including lifted ones. Raises NotFound."""
        await require_complaint(self._connection, complaint_id, scope)
        order = Order(t.legal_holds.c.placed_at, t.legal_holds.c.id)
        parameters = scope_parameters(scope, complaint_id)
        return await read_page(self._connection, _of_complaint(), page, order, parameters=parameters)


@cache
def _columns() -> tuple[AnyColumn, ...]:
    own = t.legal_holds.c
    names = (staff_name(own[name]).label(f"{name}_name") for name in ("placed_by", "lifted_by"))
    return (*own, *names)


@cache
def _of_complaint() -> AnySelect:
    return select(*_columns()).where(t.legal_holds.c.complaint_id == REQUESTED_ID)


@cache
def _one(kind: ScopeKind) -> AnySelect:
    h = t.legal_holds.c
    statement: AnySelect = (
        select(*_columns())
        .join(t.complaints, h.complaint_id == t.complaints.c.id)
        .where(h.id == REQUESTED_ID, kind.where(t.complaints))
    )
    return logged(statement, kind, complaint=t.complaints.c.id)
