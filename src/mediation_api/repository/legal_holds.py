"""Legal holds: while there is one on a complaint, nothing of it is emptied."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_children
from mediation_api.database.locking import lock_row
from mediation_api.database.nesting import AnySelect
from mediation_api.domain.access import AccessScope, Actor
from mediation_api.domain.events import HoldLifted, HoldPlaced
from mediation_api.domain.retention import Hold
from mediation_api.repository.recording import write_events
from mediation_api.repository.streams import Stream


class LegalHolds:
    """The legal holds of the office."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def place(self, complaint_id: UUID, placed: HoldPlaced, *, by: Actor, at: datetime) -> None:
        """Write a hold on a locked complaint: whoever empties something of it takes turns with this."""
        row = insert(t.legal_holds).values(
            id=placed.hold_id, complaint_id=complaint_id, reason=placed.reason, placed_at=at, placed_by=by.subject
        )
        await self._connection.execute(row)
        await write_events(self._connection, Stream(complaint_id=complaint_id), (placed,), by=by, at=at)

    async def lock(self, hold_id: UUID) -> Hold:
        """Lock a hold. Raises NotFound."""
        h = t.legal_holds.c
        await lock_row(self._connection, t.legal_holds, hold_id)
        lifted_at = await self._connection.scalar(select(h.lifted_at).where(h.id == hold_id))
        return Hold(hold_id=hold_id, lifted=lifted_at is not None)

    async def lift(self, lifted: HoldLifted, *, by: Actor, at: datetime) -> RowMapping:
        """Write that a locked hold was lifted, and give it."""
        changed = await self._connection.execute(
            t.legal_holds.update()
            .where(t.legal_holds.c.id == lifted.hold_id)
            .values(lifted_at=at, lifted_by=by.subject)
            .returning(t.legal_holds)
        )
        row: RowMapping = changed.mappings().one()
        await write_events(self._connection, Stream(complaint_id=row["complaint_id"]), (lifted,), by=by, at=at)
        return row

    async def list(self, complaint_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The holds on a complaint, oldest first, lifted ones too. Raises NotFound: not this complaint."""
        return await fetch_children(self._connection, _of_complaint, scope, complaint_id)


@cache
def _of_complaint(kind: ScopeKind) -> AnySelect:
    h = t.legal_holds.c
    statement: AnySelect = (
        select(t.legal_holds)
        .select_from(t.complaints)
        .outerjoin(t.legal_holds, h.complaint_id == t.complaints.c.id)
        .where(t.complaints.c.id == REQUESTED_ID, kind.where(t.complaints))
        .order_by(h.placed_at, h.id)
    )
    return logged(statement, kind, complaint=t.complaints.c.id)
