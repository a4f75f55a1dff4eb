"""The lock of one row: taken first, so that what is read after it is what the transaction will change."""

from uuid import UUID

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.domain.errors import NotFound


async def lock_row(connection: AsyncConnection, table: Table, *which: ColumnElement[bool]) -> UUID:
    """Lock the row of `table` that `which` names within the caller's reach, and give its id.

    NO KEY UPDATE: rows that merely point at it may be written by others in the meantime. Read what is needed of it
    and its children in a statement after this one: a statement that waited for a lock still sees what was there before.

    Raises:
        NotFound: there is none, or not for this caller.
    """
    found = await connection.execute(select(table.c.id).where(*which).with_for_update(key_share=True, of=table))
    row_id: UUID | None = found.scalar_one_or_none()
    if row_id is None:
        raise NotFound
    return row_id
