"""What parties answered and how they left, and the other small records of a case: screenings, pauses, absences."""

from collections.abc import Sequence
from functools import cache, partial
from uuid import UUID

from sqlalchemy import RowMapping, Table, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_children, own_participation
from mediation_api.database.data_keys import decrypted_columns
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.errors import NotFound


class CaseRecords:
    """The append-only records of one case."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def consents(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The answers: all for the office, its own for a party. Raises NotFound: not this case."""
        return await self._of(t.consents, case_id, scope)

    async def guardian_consents(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The consents of guardians: all for the office, its own guardian's for a minor. Raises NotFound."""
        return await self._of(t.guardian_consents, case_id, scope)

    async def withdrawal(self, withdrawal_id: UUID) -> RowMapping:
        """A withdrawal that the caller's party had said before, whatever became of the party."""
        found = await self._connection.execute(select(t.withdrawals).where(t.withdrawals.c.id == withdrawal_id))
        return found.mappings().one()

    async def withdrawals(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The withdrawals: all for the office, its own for a party. Raises NotFound: not this case."""
        return await self._of(t.withdrawals, case_id, scope)

    async def screenings(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The screenings, oldest first. Raises NotFound: not this case."""
        return await self._of(t.screenings, case_id, scope)

    async def approvals(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The approvals, oldest first. Raises NotFound: not this case."""
        return await self._of(t.approvals, case_id, scope)

    async def pauses(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The pauses of the target. Raises NotFound: not this case."""
        return await self._of(t.pauses, case_id, scope)

    async def contact_attempts(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """The attempts to reach parties, in the order they were recorded. Raises NotFound: not this case."""
        return await self._of(t.contact_attempts, case_id, scope)

    async def screening(self, case_id: UUID, screening_id: UUID, scope: AccessScope) -> RowMapping:
        """One screening. Raises NotFound."""
        return _one_of(await self.screenings(case_id, scope), screening_id)

    async def consent(self, case_id: UUID, consent_id: UUID, scope: AccessScope) -> RowMapping:
        """One answer. Raises NotFound."""
        return _one_of(await self.consents(case_id, scope), consent_id)

    async def guardian_consent(self, case_id: UUID, guardian_consent_id: UUID, scope: AccessScope) -> RowMapping:
        """One consent of a guardian. Raises NotFound."""
        return _one_of(await self.guardian_consents(case_id, scope), guardian_consent_id)

    async def approval(self, case_id: UUID, approval_id: UUID, scope: AccessScope) -> RowMapping:
        """One approval. Raises NotFound."""
        return _one_of(await self.approvals(case_id, scope), approval_id)

    async def withdrawal_of(self, case_id: UUID, party_id: UUID, scope: AccessScope) -> RowMapping:
        """The withdrawal of one party, of which there is one. Raises NotFound."""
        return _one_of(await self.withdrawals(case_id, scope), party_id, "party_id")

    async def disclosure(self, sha256: str) -> RowMapping:
        """A disclosure that somebody answered to, word for word. Raises NotFound."""
        statement = select(t.disclosures).where(t.disclosures.c.sha256 == sha256)
        row = (await self._connection.execute(statement)).mappings().first()
        if row is None:
            raise NotFound
        return row

    async def _of(self, records: Table, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        return await fetch_children(self._connection, partial(_of_case, records), scope, case_id)


@cache
def _of_case(records: Table, kind: ScopeKind) -> AnySelect:
    belongs = records.c.case_id == t.cases.c.id
    columns = decrypted_columns(records, but=frozenset({"version"}))
    if kind.relation is Relation.OWN:
        # Who of the staff wrote it down is not the party's to know.
        columns = decrypted_columns(records, but=frozenset({"by", "by_role", "version"}))
        own = own_participation(kind.role).where(
            t.participants.c.case_id == t.cases.c.id, t.participants.c.party_id == records.c.party_id
        )
        belongs = and_(belongs, own.exists())
    read: AnySelect = select(*columns).select_from(t.cases).outerjoin(records, belongs)
    if records is t.consents:
        voided = t.voided_consents.c
        read = read.add_columns(
            voided.consent_id.is_(None).label("stands"),
            voided.at.label("voided_at"),
            voided.reason.label("void_reason"),
        ).outerjoin(t.voided_consents, voided.consent_id == records.c.id)
    statement: AnySelect = read.where(t.cases.c.id == REQUESTED_ID, kind.where(t.cases)).order_by(
        *_order(records, kind)
    )
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


def _order(records: Table, kind: ScopeKind) -> tuple[AnyColumn, ...]:
    """Oldest first: in the order of the case's commands, where that is kept.

    Of its own, a party has one, but for the answers after one that was voided.
    """
    if kind.relation is Relation.OWN and records is not t.consents:
        return (records.c.id,)
    return (records.c.version if "version" in records.c else records.c.at, records.c.id)


def _one_of(rows: Sequence[RowMapping], id_: UUID, name: str = "id") -> RowMapping:
    """The row that is asked for, and never the first or the last of them: others may have written meanwhile."""
    for row in rows:
        if row[name] == id_:
            return row
    raise NotFound
