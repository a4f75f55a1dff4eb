"""Reading the append-only records of a case: consents, withdrawals, screenings, approvals, pauses and others."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Final
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
        """Return the answers: all for the office, its own for a party. Raises NotFound."""
        return await self._of(t.consents, case_id, scope)

    async def guardian_consents(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """Return the consents of guardians: all for the office, its own guardian's for a minor. Raises NotFound."""
        return await self._of(t.guardian_consents, case_id, scope)

    async def withdrawal(self, withdrawal_id: UUID) -> RowMapping:
        """Return a withdrawal that a locked case names.

        The access scope is not checked: the party may have been removed since it withdrew.
        """
        columns = columns_of(t.withdrawals, but=frozenset({"by", "by_role"}))
        result = await self._connection.execute(select(*columns).where(t.withdrawals.c.id == withdrawal_id))
        return result.mappings().one()

    async def withdrawals(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """Return the withdrawals: all for the office, its own for a party. Raises NotFound."""
        return await self._of(t.withdrawals, case_id, scope)

    async def screenings(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """Return the screenings, oldest first. Raises NotFound."""
        return await self._of(t.screenings, case_id, scope)

    async def approvals(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """Return the approvals, oldest first. Raises NotFound."""
        return await self._of(t.approvals, case_id, scope)

    async def pauses(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """Return the pauses of the target. Raises NotFound."""
        return await self._of(t.pauses, case_id, scope)

    async def contact_attempts(self, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        """Return the attempts to contact parties, in the order in which they were recorded. Raises NotFound."""
        return await self._of(t.contact_attempts, case_id, scope)

    async def screening(self, case_id: UUID, screening_id: UUID, scope: AccessScope) -> RowMapping:
        """Return one screening. Raises NotFound."""
        return _one_of(await self.screenings(case_id, scope), screening_id)

    async def consent(self, case_id: UUID, consent_id: UUID, scope: AccessScope) -> RowMapping:
        """Return one answer. Raises NotFound."""
        return _one_of(await self.consents(case_id, scope), consent_id)

    async def guardian_consent(self, case_id: UUID, guardian_consent_id: UUID, scope: AccessScope) -> RowMapping:
        """Return one consent of a guardian. Raises NotFound."""
        return _one_of(await self.guardian_consents(case_id, scope), guardian_consent_id)

    async def approval(self, case_id: UUID, approval_id: UUID, scope: AccessScope) -> RowMapping:
        """Return one approval. Raises NotFound."""
        return _one_of(await self.approvals(case_id, scope), approval_id)

    async def withdrawal_of(self, case_id: UUID, party_id: UUID, scope: AccessScope) -> RowMapping:
        """Return the withdrawal of one party, which has at most one. Raises NotFound."""
        return _one_of(await self.withdrawals(case_id, scope), party_id, "party_id")

    async def disclosure(self, sha256: str) -> RowMapping:
        """Return the stored text of a disclosure that a party answered. Raises NotFound."""
        statement = select(t.disclosures).where(t.disclosures.c.sha256 == sha256)
        row = (await self._connection.execute(statement)).mappings().first()
        if row is None:
            raise NotFound
        return row

    async def _of(self, records: Table, case_id: UUID, scope: AccessScope) -> Sequence[RowMapping]:
        return await fetch_children(self._connection, partial(_of_case, records), scope, case_id)


_AT: Final[Mapping[Table, str]] = {
    t.consents: "given_at",
    t.guardian_consents: "given_at",
    t.withdrawals: "withdrawn_at",
    t.screenings: "screened_at",
    t.approvals: "recorded_at",
    t.pauses: "recorded_at",
    t.contact_attempts: "recorded_at",
}
"""What the contract calls the column `at` of each table."""


def columns_of(records: Table, *, but: frozenset[str]) -> tuple[AnyColumn, ...]:
    """Return the columns of records as the contract names them, without those in `but`."""
    columns = decrypted_columns(records, but=but | {"at"})
    return (*columns, records.c.at.label(_AT[records])) if "at" in records.c else columns


@cache
def _of_case(records: Table, kind: ScopeKind) -> AnySelect:
    belongs = records.c.case_id == t.cases.c.id
    columns = columns_of(records, but=frozenset({"version"}))
    if kind.relation is Relation.OWN:
        # A party does not see which member of staff recorded it.
        columns = columns_of(records, but=frozenset({"by", "by_role", "version"}))
        own = own_participation(kind.role).where(
            t.participants.c.case_id == t.cases.c.id, t.participants.c.party_id == records.c.party_id
        )
        belongs = and_(belongs, own.exists())
    rows: AnySelect = select(*columns).select_from(t.cases).outerjoin(records, belongs)
    if records is t.consents:
        voided = t.voided_consents.c
        rows = rows.add_columns(
            voided.consent_id.is_(None).label("stands"),
            voided.at.label("voided_at"),
            voided.reason.label("void_reason"),
        ).outerjoin(t.voided_consents, voided.consent_id == records.c.id)
    statement: AnySelect = rows.where(t.cases.c.id == REQUESTED_ID, kind.where(t.cases)).order_by(
        *_order(records, kind)
    )
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


def _order(records: Table, kind: ScopeKind) -> tuple[AnyColumn, ...]:
    """Return the order, oldest first: by the version of the case, in tables that have it.

    A party has one row of the other tables as a rule, so that the order of its rows does not matter.
    """
    if kind.relation is Relation.OWN and records is not t.consents:
        return (records.c.id,)
    return (records.c.version if "version" in records.c else records.c.at, records.c.id)


def _one_of(rows: Sequence[RowMapping], id_: UUID, name: str = "id") -> RowMapping:
    """Return the row with this id. Raises NotFound.

    By its id and not by its position, since other requests may have added rows.
    """
    for row in rows:
        if row[name] == id_:
            return row
    raise NotFound
