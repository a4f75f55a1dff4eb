"""The lock of one row: taken first, so that what is read after it is what the transaction will change."""

from collections.abc import Callable
from functools import cache
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, scope_kind, scope_parameters
from mediation_api.domain.access import AccessScope
from mediation_api.domain.errors import NotFound

MaySee: TypeAlias = Callable[[ScopeKind], ColumnElement[bool]]
"""Whether the caller reaches a row of the table: one of the conditions of `reach.py`."""


async def lock_row(connection: AsyncConnection, table: Table, row_id: UUID) -> None:
    """Lock the row of `table` with this id.

    NO KEY UPDATE: rows that merely point at it may be written by others in the meantime. Read what is needed of it
    and its children in a statement after this one: a statement that waited for a lock still sees what was there before.

    Raises:
        NotFound: there is none.
    """
    if (await connection.execute(_locking(table), {"wanted": row_id})).first() is None:
        raise NotFound


async def lock_in_scope(
    connection: AsyncConnection, table: Table, row_id: UUID, sees: MaySee, scope: AccessScope
) -> None:
    """The same for a row that the caller reaches. Raises NotFound: there is none, or not for this caller."""
    statement = _locking(table, sees, scope_kind(scope))
    if (await connection.execute(statement, scope_parameters(scope, row_id))).first() is None:
        raise NotFound


@cache
def _locking(table: Table, sees: MaySee | None = None, kind: ScopeKind | None = None) -> Select[UUID]:
    scope = true() if sees is None or kind is None else sees(kind)
    return select(table.c.id).where(table.c.id == REQUESTED_ID, scope).with_for_update(key_share=True, of=table)
