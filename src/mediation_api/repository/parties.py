"""Parties of a complaint, and the access codes of complainants."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_children, fetch_one
from mediation_api.database.data_keys import decrypted, decrypted_columns, read_key, stored_key
from mediation_api.database.locking import lock_in_scope
from mediation_api.database.nesting import AnyRow, AnySelect
from mediation_api.database.statements import fetch_all
from mediation_api.domain import events
from mediation_api.domain.access import AccessScope
from mediation_api.domain.party import Party
from mediation_api.domain.values import Disposition
from mediation_api.repository.on_file import columns_of, read
from mediation_api.repository.streams import Stream

_PARTY: Final = TypeAdapter(Party)


@dataclass(frozen=True, slots=True)
class StoredCode:
    """What is stored of an access code: the party, and a keyed hash of the secret."""

    party_id: UUID
    digest: bytes


class LockedParty(NamedTuple):
    """A locked party, and the stream of its complaint's events."""

    party: Party
    stream: Stream


class Parties:
    """The parties of complaints."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def complaint_of(self, party_id: UUID, scope: AccessScope) -> UUID:
        """Return the complaint of a party within the access scope. Raises NotFound.

        Lock the complaint before the party.
        """
        complaint_id: UUID = (await fetch_one(self._connection, _complaint, scope, party_id))["complaint_id"]
        return complaint_id

    async def lock(self, party_id: UUID, scope: AccessScope) -> LockedParty:
        """Lock a party within the access scope, and read what decisions about it need. Raises NotFound."""
        await lock_in_scope(self._connection, tables.parties, party_id, scope)
        (row,) = await fetch_all(self._connection, _on_file(), {"requested_id": party_id})
        fields = dict(row)
        complaint_id, stored = fields.pop("complaint_id"), fields.pop("data_key")
        party = _PARTY.validate_python({**fields, "on_file": read(events.PartyOnFile, row)})
        return LockedParty(party, Stream(complaint_id=complaint_id, data_key=read_key(complaint_id, stored)))

    async def get(self, party_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one party with all columns, for the office or the party itself. Raises NotFound."""
        return await fetch_one(self._connection, _party, scope, party_id)

    async def list(self, complaint_id: UUID, scope: AccessScope) -> Sequence[AnyRow]:
        """Return the parties of a complaint within the access scope. Raises NotFound if the complaint is outside it."""
        return await fetch_children(self._connection, _of_complaint, scope, complaint_id)

    async def count(self, complaint_id: UUID) -> int:
        """Return how many parties a complaint has, those included who were removed."""
        number = select(func.count()).where(tables.parties.c.complaint_id == complaint_id)
        count: int = (await self._connection.execute(number)).scalar_one()
        return count

    # ── access codes ───────────────────────────────────────────────────────────────────────────────────────────────

    async def find_code(self, lookup: str) -> StoredCode | None:
        """Return what is stored of the code with this public part; None if there is none, or it has ended."""
        codes = tables.access_codes
        result = await self._connection.execute(
            select(codes.c.party_id, codes.c.digest).where(codes.c.lookup == lookup, codes.c.ended_at.is_(None))
        )
        row = result.first()
        return None if row is None else StoredCode(row.party_id, row.digest)


@cache
def _complaint(kind: ScopeKind) -> AnySelect:
    parties = tables.parties.c
    return select(parties.complaint_id).where(parties.id == REQUESTED_ID, kind.where(tables.parties))


@cache
def _on_file() -> AnySelect:
    """Select the party, whether it was ever asked to take part, and whether one of its parts was mediated."""
    p, participants, parts = tables.parties.c, tables.participants.c, tables.parts.c
    mediated = exists().where(
        or_(parts.complainant_id == p.id, parts.officer_id == p.id),
        parts.disposition == Disposition.CLOSED_MEDIATED,
    )
    asked = exists().where(participants.party_id == p.id, participants.asked_at.is_not(None))
    return select(
        p.id.label("party_id"),
        p.complaint_id,
        stored_key(p.complaint_id),
        p.side,
        *(decrypted(column) for column in (p.name, p.employee_number, p.guardian_name, p.guardian_relation)),
        p.minor,
        asked.label("asked"),
        mediated.label("mediated"),
        p.removed_at.is_not(None).label("removed"),
        p.bound_subject.is_not(None).label("identity_bound"),
        *(column for column in columns_of(events.PartyOnFile, tables.parties) if column.name != "minor"),
    ).where(p.id == REQUESTED_ID)


@cache
def _party(kind: ScopeKind) -> AnySelect:
    parties = tables.parties.c
    statement: AnySelect = select(*decrypted_columns(tables.parties)).where(
        parties.id == REQUESTED_ID, kind.where(tables.parties)
    )
    return logged(statement, kind, complaint=parties.complaint_id, party=parties.id)


@cache
def _of_complaint(kind: ScopeKind) -> AnySelect:
    t = tables
    statement: AnySelect = (
        select(*decrypted_columns(t.parties))
        .select_from(t.complaints)
        .outerjoin(t.parties, (t.parties.c.complaint_id == t.complaints.c.id) & kind.where(tables.parties))
        .where(t.complaints.c.id == REQUESTED_ID, kind.where(tables.complaints))
        .order_by(t.parties.c.added_at, t.parties.c.id)
    )
    return logged(statement, kind, complaint=t.complaints.c.id)
