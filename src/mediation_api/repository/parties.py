"""Parties of a complaint, and the access codes that speak for complainants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final, TypeAlias
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, exists, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_children, fetch_one
from mediation_api.database.data_keys import OF_PARTY, data_key, decrypted, decrypted_columns
from mediation_api.database.locking import lock_in_scope
from mediation_api.database.nesting import AnySelect
from mediation_api.database.row_security import assume_party
from mediation_api.domain import events
from mediation_api.domain.access import AccessScope, Actor
from mediation_api.domain.access_codes import AccessCode, digest, fingerprint
from mediation_api.domain.errors import Conflict, IdentityFixed, MediatorIsParty, PartyAlreadyListed
from mediation_api.domain.events import IdentityReleased
from mediation_api.domain.party import Party
from mediation_api.domain.values import Disposition, NameCorrection, Side
from mediation_api.repository.on_file import columns_of, read
from mediation_api.repository.recording import constraint_of, write_events
from mediation_api.repository.streams import Stream

Values: TypeAlias = Mapping[str, object]

_PARTY: Final = TypeAdapter(Party)


@dataclass(frozen=True, slots=True)
class StoredCode:
    """What is kept of an access code: for whom it speaks, and a keyed hash."""

    party_id: UUID
    digest: bytes


class Parties:
    """The parties of complaints."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, complaint_id: UUID, parties: Sequence[Values], *, by: Actor, at: datetime) -> None:
        """Write parties, each with the `id` and `side` it carries.

        Raises:
            PartyAlreadyListed: an officer is already a party, or is listed twice.
            MediatorIsParty: an officer is the mediator of the complaint's open case.
        """
        key = await data_key(self._connection, complaint_id)
        of_complaint = {"complaint_id": complaint_id, "added_at": at}
        rows = [
            key.encrypted_row(tables.parties, UUID(str(party["id"])), {**party, **of_complaint}) for party in parties
        ]
        try:
            written = await self._connection.execute(
                insert(tables.parties).returning(tables.parties.c.id, *columns_of(events.PartyOnFile, tables.parties)),
                rows,
            )
        except IntegrityError as error:
            raise _listed_twice(error) from None
        on_file = {row["id"]: read(events.PartyOnFile, row) for row in written.mappings()}
        added = [
            events.PartyAdded(party_id=party_id, side=Side(str(party["side"])), on_file=on_file[party_id])
            for party in parties
            for party_id in (UUID(str(party["id"])),)
        ]
        await write_events(self._connection, Stream(complaint_id=complaint_id), added, by=by, at=at)

    async def correct(
        self, party_id: UUID, changes: Values, name_correction: NameCorrection | None, *, by: Actor, at: datetime
    ) -> None:
        """Correct what is on file of a locked party. Only the names of the fields go into the record.

        A party that corrects its own reads its answer through the wall.

        Raises:
            PartyAlreadyListed: another officer of the complaint has that employee number.
            MediatorIsParty: the mediator of the complaint's open case has it.
        """
        parties = tables.parties
        key = await data_key(self._connection, party_id, OF_PARTY)
        try:
            corrected = await self._connection.execute(
                parties.update()
                .where(parties.c.id == party_id)
                .values(key.encrypted_changes(parties, party_id, changes))
                .returning(parties.c.complaint_id, *columns_of(events.PartyOnFile, parties))
            )
        except IntegrityError as error:
            raise _listed_twice(error) from None
        row = corrected.mappings().one()
        on_file = read(events.PartyOnFile, row)
        event = events.PartyCorrected(party_id=party_id, changed=tuple(sorted(changes)), on_file=on_file)
        names = () if name_correction is None else (events.NameCorrected(party_id=party_id, reason=name_correction),)
        await write_events(self._connection, Stream(complaint_id=row["complaint_id"]), (event, *names), by=by, at=at)
        if by.is_party:
            await assume_party(self._connection, by)

    async def release_identity(
        self, released: IdentityReleased, complaint_id: UUID, *, by: Actor, at: datetime
    ) -> None:
        """Let the next answer of a locked party bind its own token subject."""
        of_party = tables.parties.update().where(tables.parties.c.id == released.party_id)
        await self._connection.execute(of_party.values(bound_subject=None))
        await write_events(self._connection, Stream(complaint_id=complaint_id), (released,), by=by, at=at)

    async def complaint_of(self, party_id: UUID, scope: AccessScope) -> UUID:
        """The complaint of a party, which is locked before the party. Raises NotFound: none, or not the caller's."""
        complaint_id: UUID = (await fetch_one(self._connection, _complaint, scope, party_id))["complaint_id"]
        return complaint_id

    async def lock(self, party_id: UUID, scope: AccessScope) -> Party:
        """Lock a party, so that what is read of it next is what will be changed. Raises NotFound."""
        await lock_in_scope(self._connection, tables.parties, party_id, scope)
        found = await self._connection.execute(_on_file(), {"wanted": party_id})
        return _PARTY.validate_python(dict(found.mappings().one()))

    async def get(self, party_id: UUID, scope: AccessScope) -> RowMapping:
        """One party, whole: it is read by the office or by the party itself. Raises NotFound."""
        return await fetch_one(self._connection, _party, scope, party_id)

    async def list(self, complaint_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The parties of a complaint that the caller reaches. Raises NotFound: not this complaint."""
        return await fetch_children(self._connection, _of_complaint, scope, complaint_id)

    # ── access codes ───────────────────────────────────────────────────────────────────────────────────────────────

    async def issue_code(
        self, party_id: UUID, complaint_id: UUID, code: AccessCode, secret: bytes, *, by: Actor, at: datetime
    ) -> None:
        """Keep the keyed hash of a new code. The code before it stops working."""
        codes, kept = tables.access_codes, digest(code, secret)
        await self._connection.execute(
            codes.update().where(codes.c.party_id == party_id, codes.c.ended_at.is_(None)).values(ended_at=at)
        )
        await self._connection.execute(
            insert(codes).values(lookup=code.lookup, party_id=party_id, digest=kept, issued_at=at)
        )
        event = events.AccessCodeIssued(party_id=party_id, fingerprint=fingerprint(code.lookup, kept))
        await write_events(self._connection, Stream(complaint_id=complaint_id), (event,), by=by, at=at)

    async def find_code(self, lookup: str) -> StoredCode | None:
        """What is kept of the code with this public part, unless it has ended."""
        codes = tables.access_codes
        found = await self._connection.execute(
            select(codes.c.party_id, codes.c.digest).where(codes.c.lookup == lookup, codes.c.ended_at.is_(None))
        )
        row = found.first()
        return None if row is None else StoredCode(row.party_id, row.digest)


@cache
def _complaint(kind: ScopeKind) -> AnySelect:
    parties = tables.parties.c
    return select(parties.complaint_id).where(parties.id == REQUESTED_ID, kind.where(tables.parties))


@cache
def _on_file() -> AnySelect:
    """What the domain decides on: who the party is, and whether it was ever asked, or met the other side."""
    p, participants, parts = tables.parties.c, tables.participants.c, tables.parts.c
    mediated = exists().where(
        or_(parts.complainant_id == p.id, parts.officer_id == p.id),
        parts.disposition == Disposition.CLOSED_MEDIATED,
    )
    asked = exists().where(participants.party_id == p.id, participants.asked_at.is_not(None))
    return select(
        p.id.label("party_id"),
        p.side,
        *(decrypted(column) for column in (p.name, p.employee_number, p.guardian_name, p.guardian_relation)),
        p.minor,
        asked.label("asked"),
        mediated.label("mediated"),
        p.removed_at.is_not(None).label("removed"),
        p.bound_subject.is_not(None).label("identity_bound"),
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


_REFUSALS: Final[Mapping[str, type[Conflict]]] = {
    "keep_identity": IdentityFixed,
    "mediator_is_party": MediatorIsParty,
    "uq_parties_complaint_id_employee_number_index": PartyAlreadyListed,
}
"""What the database refuses of a party."""


def _listed_twice(error: IntegrityError) -> Exception:
    refusal = _REFUSALS.get(constraint_of(error) or "")
    return error if refusal is None else refusal()
