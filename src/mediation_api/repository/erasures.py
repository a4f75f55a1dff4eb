"""Requests to erase what is held of a party: entered by one of the office, decided by another."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_children
from mediation_api.database.locking import lock_row
from mediation_api.database.nesting import AnySelect
from mediation_api.domain.access import AccessScope, Actor
from mediation_api.domain.errors import NotFound, StateConflict
from mediation_api.domain.events import ErasureApproved, ErasureRefused, ErasureRequested
from mediation_api.domain.retention import Erasure
from mediation_api.domain.values import ErasureState
from mediation_api.repository.recording import constraint_of, write_events
from mediation_api.repository.retention import erase, has_open_case, is_held
from mediation_api.repository.streams import Stream


class Erasures:
    """The requests to erase what is held of a party."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def enter(self, requested: ErasureRequested, *, by: Actor, at: datetime) -> None:
        """Write a request. Raises NotFound: no such party; StateConflict: one of this party's waits already."""
        complaint_id = await self._complaint_of(t.parties.c.id == requested.party_id)
        row = insert(t.erasures).values(
            id=requested.erasure_id,
            party_id=requested.party_id,
            state=ErasureState.REQUESTED,
            requested_at=at,
            requested_by=by.subject,
        )
        try:
            await self._connection.execute(row)
        except IntegrityError as error:
            if constraint_of(error) == "uq_erasures_requested":
                raise StateConflict from None
            raise
        await write_events(self._connection, Stream(complaint_id=complaint_id), (requested,), by=by, at=at)

    async def lock(self, erasure_id: UUID) -> Erasure:
        """Lock a request and its complaint: no case is opened, and nothing held, meanwhile. Raises NotFound."""
        e = t.erasures.c
        of_erasure = t.parties.c.id == select(e.party_id).where(e.id == erasure_id).scalar_subquery()
        complaint_id = await self._complaint_of(of_erasure)
        await lock_row(self._connection, t.complaints, complaint_id)
        await lock_row(self._connection, t.erasures, erasure_id)
        found = await self._connection.execute(
            select(
                e.party_id,
                e.state,
                e.requested_by,
                is_held(complaint_id).label("held"),
                has_open_case(complaint_id).label("open"),
            ).where(e.id == erasure_id)
        )
        row = found.one()
        return Erasure(
            erasure_id=erasure_id,
            party_id=row.party_id,
            state=ErasureState(row.state),
            requested_by=row.requested_by,
            held=row.held,
            case_is_open=row.open,
        )

    async def decide(self, decided: ErasureApproved | ErasureRefused, *, by: Actor, at: datetime) -> RowMapping:
        """Write how a locked request was decided, erase what was approved, and give the request."""
        complaint_id = await self._complaint_of(t.parties.c.id == decided.party_id)
        reason = decided.reason if isinstance(decided, ErasureRefused) else None
        changed = await self._connection.execute(
            t.erasures.update()
            .where(t.erasures.c.id == decided.erasure_id)
            .values(
                state=ErasureState.REFUSED if reason else ErasureState.APPROVED,
                decided_at=at,
                decided_by=by.subject,
                refusal=reason,
            )
            .returning(t.erasures)
        )
        row: RowMapping = changed.mappings().one()
        await write_events(self._connection, Stream(complaint_id=complaint_id), (decided,), by=by, at=at)
        if reason is None:
            await erase(self._connection, decided.party_id, complaint_id, by=by, at=at)
        return row

    async def list(self, party_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The requests of a party, oldest first. Raises NotFound: not this party."""
        return await fetch_children(self._connection, _of_party, scope, party_id)

    async def _complaint_of(self, party: ColumnElement[bool]) -> UUID:
        found: UUID | None = await self._connection.scalar(select(t.parties.c.complaint_id).where(party))
        if found is None:
            raise NotFound
        return found


@cache
def _of_party(kind: ScopeKind) -> AnySelect:
    e, p = t.erasures.c, t.parties.c
    statement: AnySelect = (
        select(t.erasures)
        .select_from(t.parties)
        .outerjoin(t.erasures, e.party_id == p.id)
        .where(p.id == REQUESTED_ID, kind.where(t.parties))
        .order_by(e.requested_at, e.id)
    )
    return logged(statement, kind, complaint=p.complaint_id, party=p.id)
