"""The lock of one row: taken first, so that what is read after it is what the transaction will change."""

from functools import cache
from uuid import UUID

from sqlalchemy import Select, Table, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, scope_parameters
from mediation_api.domain.access import AccessScope
from mediation_api.domain.errors import NotFound


async def lock_row(connection: AsyncConnection, table: Table, row_id: UUID) -> None:
    """Lock the row of `table` with this id.

    NO KEY UPDATE: others may still write rows that refer to it. Read what is needed of the row and its children in a
    later statement: one that waited for a lock still sees the children that were there before.

    Raises:
        NotFound: there is none.
    """
    if (await connection.execute(_locking(table), {"wanted": row_id})).first() is None:
        raise NotFound


async def lock_in_scope(connection: AsyncConnection, table: Table, row_id: UUID, scope: AccessScope) -> None:
    """Lock a row in the same way. Raises NotFound: there is none, or it is outside the caller's access scope."""
    statement = _locking(table, ScopeKind.of(scope))
    if (await connection.execute(statement, scope_parameters(scope, row_id))).first() is None:
        raise NotFound


@cache
def _locking(table: Table, kind: ScopeKind | None = None) -> Select[UUID]:
    in_scope = true() if kind is None else kind.where(table)
    return select(table.c.id).where(table.c.id == REQUESTED_ID, in_scope).with_for_update(key_share=True, of=table)
