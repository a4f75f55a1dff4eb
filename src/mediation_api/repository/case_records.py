"""Reading the append-only records of a case: consents, withdrawals, screenings, approvals, pauses and others."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Final
from uuid import UUID

from sqlalchemy import Table, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged, require_case
from mediation_api.database.access_scope import (
    CALLER_SUBJECT,
    REQUESTED_ID,
    ScopeKind,
    fetch_children,
    fetch_one,
    own_participation,
    scope_parameters,
)
from mediation_api.database.data_keys import decrypted_columns
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.errors import NotFound
from mediation_api.repository.staff_names import staff_name


class CaseRecords:
    """The append-only records of one case."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def consents(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the answers: all for the office, its own for a party. Raises NotFound."""
        return await self._page_of(t.consents, case_id, scope, page)

    async def guardian_consents(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of guardians' consents: all for the office, its own guardian's for a minor. Raises NotFound."""
        return await self._page_of(t.guardian_consents, case_id, scope, page)

    async def withdrawals(self, case_id: UUID, scope: AccessScope) -> Sequence[AnyRow]:
        """Return the withdrawals: all for the office, its own for a party. Raises NotFound."""
        return await self._of(t.withdrawals, case_id, scope)

    async def screenings(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the screenings, oldest first. Raises NotFound."""
        return await self._page_of(t.screenings, case_id, scope, page)

    async def approvals(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the approvals, oldest first. Raises NotFound."""
        return await self._page_of(t.approvals, case_id, scope, page)

    async def pauses(self, case_id: UUID, scope: AccessScope) -> Sequence[AnyRow]:
        """Return the pauses of the target. Raises NotFound."""
        return await self._of(t.pauses, case_id, scope)

    async def contact_attempts(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the attempts to contact parties, in the order of recording. Raises NotFound."""
        return await self._page_of(t.contact_attempts, case_id, scope, page)

    async def consent(self, consent_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one answer; a party finds its own. Raises NotFound."""
        return await self._one(t.consents, consent_id, scope)

    async def guardian_consent(self, guardian_consent_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one consent of a guardian; a minor finds that of its own. Raises NotFound."""
        return await self._one(t.guardian_consents, guardian_consent_id, scope)

    async def withdrawal(self, withdrawal_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one withdrawal; a party finds its own, a mediator those that they recorded. Raises NotFound."""
        return await self._one(t.withdrawals, withdrawal_id, scope)

    async def withdrawal_of_locked(self, withdrawal_id: UUID) -> AnyRow:
        """Return a withdrawal that a locked case names.

        The access scope is not checked: the party may have been removed since it withdrew.
        """
        columns = columns_of(t.withdrawals, but=frozenset({"by", "by_role"}))
        result = await self._connection.execute(select(*columns).where(t.withdrawals.c.id == withdrawal_id))
        return result.mappings().one()

    async def screening(self, screening_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one screening. Raises NotFound."""
        return await self._one(t.screenings, screening_id, scope)

    async def approval(self, approval_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one approval. Raises NotFound."""
        return await self._one(t.approvals, approval_id, scope)

    async def pause(self, pause_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one pause. Raises NotFound."""
        return await self._one(t.pauses, pause_id, scope)

    async def contact_attempt(self, contact_attempt_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one attempt to reach a party. Raises NotFound."""
        return await self._one(t.contact_attempts, contact_attempt_id, scope)

    async def disclosure(self, sha256: str) -> AnyRow:
        """Return the stored text of a disclosure that a party answered. Raises NotFound."""
        statement = select(t.disclosures).where(t.disclosures.c.sha256 == sha256)
        row = (await self._connection.execute(statement)).mappings().first()
        if row is None:
            raise NotFound
        return row

    async def _of(self, records: Table, case_id: UUID, scope: AccessScope) -> Sequence[AnyRow]:
        return await fetch_children(self._connection, partial(_of_case, records), scope, case_id)

    async def _page_of(self, records: Table, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        await require_case(self._connection, case_id, scope)
        kind = ScopeKind.of(scope)
        statement, parameters = _records_of_case(records, kind), scope_parameters(scope, case_id)
        return await read_page(self._connection, statement, page, _order(records, kind), parameters=parameters)

    async def _one(self, records: Table, record_id: UUID, scope: AccessScope) -> AnyRow:
        return await fetch_one(self._connection, partial(_record, records), scope, record_id)


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
    statement = _records(records, kind, isouter=True).where(t.cases.c.id == REQUESTED_ID)
    key, id_, _ = _order(records, kind)
    statement = statement.order_by(key, id_)
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


@cache
def _records_of_case(records: Table, kind: ScopeKind) -> AnySelect:
    return _records(records, kind, isouter=False).where(t.cases.c.id == REQUESTED_ID)


@cache
def _record(records: Table, kind: ScopeKind) -> AnySelect:
    statement = _records(records, kind, isouter=False).where(records.c.id == REQUESTED_ID)
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


def _records(records: Table, kind: ScopeKind, *, isouter: bool) -> AnySelect:
    """Select the records of the cases within the scope; with `isouter`, also the cases without any."""
    belongs = records.c.case_id == t.cases.c.id
    columns = columns_of(records, but=frozenset({"version"}))
    if kind.relation is Relation.OWN:
        # A party does not see which member of staff recorded it.
        columns = columns_of(records, but=frozenset({"by", "by_role", "version"}))
        own = own_participation(kind.role).where(
            t.participants.c.case_id == t.cases.c.id, t.participants.c.party_id == records.c.party_id
        )
        belongs = and_(belongs, own.exists())
    elif kind.relation is not Relation.OFFICE:
        belongs = and_(belongs, records.c.by_role == kind.role, records.c.by == CALLER_SUBJECT)
    rows: AnySelect = select(*columns).select_from(t.cases).join(records, belongs, isouter=isouter)
    if records is t.consents:
        voided = t.voided_consents.c
        rows = rows.add_columns(
            voided.consent_id.is_(None).label("stands"),
            voided.at.label("voided_at"),
            voided.reason.label("void_reason"),
        ).outerjoin(t.voided_consents, voided.consent_id == records.c.id)
    if records is t.contact_attempts:
        rows = rows.add_columns(staff_name(records.c.by, role=records.c.by_role).label("by_name"))
    return rows.where(kind.where(t.cases))


def _order(records: Table, kind: ScopeKind) -> Order:
    """Return the order, oldest first: by the version of the case, in tables that have it.

    A party has one row of the other tables as a rule, so that the order of its rows does not matter.
    """
    if kind.relation is Relation.OWN and records is not t.consents:
        return Order(records.c.id, records.c.id)
    return Order(records.c.version if "version" in records.c else records.c.at, records.c.id)
