"""Requests to erase the data of a party."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged, require_party
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_one, scope_parameters
from mediation_api.database.locking import lock_row
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.domain.access import AccessScope
from mediation_api.domain.errors import NotFound
from mediation_api.domain.retention import ERASED, Erasure
from mediation_api.domain.values import DataKind, ErasureState, Side
from mediation_api.repository.retention import fields_of_account, fields_of_party, has_open_case, is_held
from mediation_api.repository.staff_names import staff_name


class Erasures:
    """The requests to erase the data of a party."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, erasure_id: UUID) -> Erasure:
        """Lock a request and its complaint, so that no case is opened and no hold placed. Raises NotFound."""
        e = t.erasures.c
        party_id = select(e.party_id).where(e.id == erasure_id).scalar_subquery()
        complaint_id = await self.complaint_of(party_id)
        await lock_row(self._connection, t.complaints, complaint_id)
        await lock_row(self._connection, t.erasures, erasure_id)
        result = await self._connection.execute(
            select(
                e.party_id,
                e.state,
                e.requested_by,
                _is_only_complainant(complaint_id).label("only_complainant"),
                is_held(complaint_id).label("held"),
                has_open_case(complaint_id).label("open"),
            ).where(e.id == erasure_id)
        )
        row = result.one()
        return Erasure(
            erasure_id=erasure_id,
            party_id=row.party_id,
            complaint_id=complaint_id,
            state=ErasureState(row.state),
            requested_by=row.requested_by,
            held=row.held,
            case_is_open=row.open,
            only_complainant=row.only_complainant,
        )

    async def filled(self, erasure: Erasure, at: datetime) -> Mapping[DataKind, int]:
        """Lock the rows that the erasure would empty, and count their fields that are not empty, by kind of data."""
        own = {kind: await fields_of_party(self._connection, erasure.party_id, kind) for kind in ERASED}
        if not erasure.only_complainant:
            return own
        return {**own, DataKind.ACCOUNT: await fields_of_account(self._connection, erasure.complaint_id, at)}

    async def get(self, erasure_id: UUID, scope: AccessScope) -> AnyRow:
        """Return a request. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, erasure_id)

    async def list(self, party_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the requests of a party, oldest first. Raises NotFound."""
        await require_party(self._connection, party_id, scope)
        order = Order(t.erasures.c.requested_at, t.erasures.c.id)
        parameters = scope_parameters(scope, party_id)
        return await read_page(self._connection, _of_party(), page, order, parameters=parameters)

    async def complaint_of(self, party_id: ColumnElement[UUID] | UUID) -> UUID:
        """Return the complaint of a party. Raises NotFound."""
        p = t.parties.c
        complaint_id: UUID | None = await self._connection.scalar(select(p.complaint_id).where(p.id == party_id))
        if complaint_id is None:
            raise NotFound
        return complaint_id


def _is_only_complainant(complaint_id: UUID) -> ColumnElement[bool]:
    """Whether the party of a row of `erasures` is the only complainant that the complaint ever had."""
    p = t.parties.c
    complainants = select(p.id).where(p.complaint_id == complaint_id, p.side == Side.COMPLAINANT)
    others = complainants.where(p.id != t.erasures.c.party_id).correlate(t.erasures).exists()
    return and_(t.erasures.c.party_id.in_(complainants), ~others)


@cache
def _columns() -> tuple[AnyColumn, ...]:
    own = t.erasures.c
    names = (staff_name(own[name]).label(f"{name}_name") for name in ("requested_by", "decided_by"))
    return (*own, *names)


@cache
def _of_party() -> AnySelect:
    return select(*_columns()).where(t.erasures.c.party_id == REQUESTED_ID)


@cache
def _one(kind: ScopeKind) -> AnySelect:
    e, p = t.erasures.c, t.parties.c
    statement: AnySelect = (
        select(*_columns()).join(t.parties, e.party_id == p.id).where(e.id == REQUESTED_ID, kind.where(t.parties))
    )
    return logged(statement, kind, complaint=p.complaint_id, party=p.id)
