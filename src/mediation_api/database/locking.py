"""Lock one row before it is read, so that no other transaction changes it before this one does."""

from functools import cache
from uuid import UUID

from sqlalchemy import Select, Table, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, scope_parameters
from mediation_api.database.statements import fetch_first
from mediation_api.domain.access import AccessScope
from mediation_api.domain.errors import NotFound


async def lock_row(connection: AsyncConnection, table: Table, row_id: UUID) -> None:
    """Lock the row of `table` with this id, `FOR NO KEY UPDATE`: others may still insert rows that refer to it.

    Read the row and its children in a later statement: the snapshot of a statement that waited for the lock is older
    than the lock.

    Raises:
        NotFound: there is no such row.
    """
    if await fetch_first(connection, _locking(table), {"requested_id": row_id}) is None:
        raise NotFound


async def lock_in_scope(connection: AsyncConnection, table: Table, row_id: UUID, scope: AccessScope) -> None:
    """Lock a row within the caller's access scope, as `lock_row` does. Raises NotFound if there is none."""
    statement = _locking(table, ScopeKind.of(scope))
    if await fetch_first(connection, statement, scope_parameters(scope, row_id)) is None:
        raise NotFound


@cache
def _locking(table: Table, kind: ScopeKind | None = None) -> Select[UUID]:
    in_scope = true() if kind is None else kind.where(table)
    return select(table.c.id).where(table.c.id == REQUESTED_ID, in_scope).with_for_update(key_share=True, of=table)
