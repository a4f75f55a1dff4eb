"""Mandatory reports, in a table that no other query reads.

Proposing or deciding a report changes no row of the case, so that the case's version, entity tag and timeline do not
reveal it. The events of a report are a stream of their own.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Integer, cast, extract, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged_report_ids, logged_reports
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_one, scope_parameters
from mediation_api.database.data_keys import decrypted, decrypted_columns, read_key, stored_key
from mediation_api.database.encryption import WrappedKey
from mediation_api.database.locking import lock_in_scope
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.database.statements import fetch_all
from mediation_api.domain.access import AccessScope
from mediation_api.domain.errors import NotFound
from mediation_api.domain.mandatory_reports import MandatoryReport
from mediation_api.domain.values import AgreementKind, Decision, ReportCategory, ReportState
from mediation_api.repository.staff_names import staff_name


class MandatoryReports:
    """Mandatory reports, as a director or the mediator who proposed one sees them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def require_case(self, case_id: UUID, scope: AccessScope) -> tuple[UUID, WrappedKey] | None:
        """Return the data key of a case within the access scope, without locking or logging. Raises NotFound."""
        row = await fetch_one(self._connection, _case, scope, case_id)
        return read_key(row["complaint_id"], row["data_key"])

    async def texts_in_force(self, case_id: UUID) -> Sequence[str]:
        """Return the texts that informed the parties of the exceptions to confidentiality.

        That is the latest confidentiality agreement with a signature; if there is none, the disclosures to which
        parties agreed; no text if no party has agreed.
        """
        signed = (await self._connection.execute(_signed_text(), {"requested_id": case_id})).scalars().all()
        return (
            signed or (await self._connection.execute(_agreed_disclosures(), {"requested_id": case_id})).scalars().all()
        )

    async def lock(self, report_id: UUID, scope: AccessScope) -> MandatoryReport:
        """Lock a report within the access scope, and read what the decision needs. Raises NotFound."""
        r = t.mandatory_reports.c
        await lock_in_scope(self._connection, t.mandatory_reports, report_id, scope)
        row = (await self._connection.execute(select(r.state, r.proposed_by).where(r.id == report_id))).one()
        return MandatoryReport(report_id=report_id, state=ReportState(row.state), proposed_by=row.proposed_by)

    async def get(self, report_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one report. Raises NotFound."""
        return await fetch_one(self._connection, _report, scope, report_id)

    async def list(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the reports of a case within the scope, oldest first. Raises NotFound."""
        await self.require_case(case_id, scope)
        kind, r = ScopeKind.of(scope), t.mandatory_reports.c
        parameters = scope_parameters(scope, case_id)
        reports = await read_page(
            self._connection, _of_case(kind), page, Order(r.proposed_at, r.id), parameters=parameters
        )
        if reports.items and kind.is_logged:
            opened = {"opened_ids": [report["id"] for report in reports.items]}
            await fetch_all(self._connection, logged_report_ids(kind), parameters | opened)
        return reports

    async def access_log(self, report_id: UUID, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the access log of a report, newest entry first. Raises NotFound."""
        report = select(t.mandatory_reports.c.id).where(t.mandatory_reports.c.id == report_id)
        if (await self._connection.execute(report)).first() is None:
            raise NotFound
        position = t.access_log.c.position
        newest_first = Order(position, position, descending=True)
        return await read_page(
            self._connection, _log_entries(), page, newest_first, parameters={"requested_id": report_id}
        )

    async def counts(self, zone: ZoneInfo) -> Mapping[tuple[int, ReportCategory], int]:
        """Return the number of reports that were proposed, by calendar year in `zone` and category."""
        r = t.mandatory_reports.c
        year: AnyColumn = cast(extract("year", func.timezone(zone.key, r.proposed_at)), Integer)
        statement = select(year, r.category, func.count()).group_by(year, r.category)
        rows = await self._connection.execute(statement)
        return {(year, ReportCategory(category)): number for year, category, number in rows}


@cache
def _case(kind: ScopeKind) -> AnySelect:
    c = t.cases.c
    return select(c.complaint_id, stored_key(c.complaint_id)).where(c.id == REQUESTED_ID, kind.where(t.cases))


@cache
def _signed_text() -> AnySelect:
    """Select the text of the latest confidentiality agreement with a signature."""
    a = t.agreements.c
    return (
        select(decrypted(a.text))
        .where(
            a.case_id == REQUESTED_ID,
            a.kind == AgreementKind.CONFIDENTIALITY,
            select(t.signatures.c.id).where(t.signatures.c.agreement_id == a.id).exists(),
        )
        .order_by(a.number.desc())
        .limit(1)
    )


@cache
def _agreed_disclosures() -> AnySelect:
    agreed = select(t.consents.c.disclosure_sha256).where(
        t.consents.c.case_id == REQUESTED_ID, t.consents.c.decision == Decision.AGREED
    )
    return select(t.disclosures.c.body).where(t.disclosures.c.sha256.in_(agreed))


@cache
def _log_entries() -> AnySelect:
    log = t.access_log.c
    by_name = staff_name(log.by, role=log.by_role).label("by_name")
    return select(log.at.label("opened_at"), log.by_role, log.by, by_name, log.operation, log.purpose).where(
        log.report_id == REQUESTED_ID
    )


@cache
def _columns(kind: ScopeKind) -> tuple[AnyColumn, ...]:
    r = t.mandatory_reports.c
    roles = {"proposed_by": r.proposed_by_role, "decided_by": r.decided_by_role}
    names = (staff_name(r[name], role=role, kind=kind).label(f"{name}_name") for name, role in roles.items())
    return (*decrypted_columns(t.mandatory_reports), *names)


@cache
def _report(kind: ScopeKind) -> AnySelect:
    statement: AnySelect = select(*_columns(kind)).where(
        t.mandatory_reports.c.id == REQUESTED_ID, kind.where(t.mandatory_reports)
    )
    return logged_reports(statement, kind, t.mandatory_reports.c.id)


@cache
def _of_case(kind: ScopeKind) -> AnySelect:
    r = t.mandatory_reports.c
    return select(*_columns(kind)).where(r.case_id == REQUESTED_ID, kind.where(t.mandatory_reports))
