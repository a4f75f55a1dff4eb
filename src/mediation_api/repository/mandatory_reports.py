"""Mandatory reports: a table of their own, which nothing else reads.

Entering or deciding one touches no row of the case: its version, its entity tags and its timeline stay as they are. The
facts of a report are a stream under the report's own id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Integer, RowMapping, and_, cast, extract, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import recorded_reports
from mediation_api.database.access_scope import WANTED, Kind, asking, kind_of, sees_case, sees_report
from mediation_api.database.data_keys import OF_CASE, data_key, opened, opened_columns
from mediation_api.database.locking import lock_reached
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.database.pagination import Order, Page, Slice, read_page
from mediation_api.domain.access import Actor, Reach
from mediation_api.domain.errors import NotFound
from mediation_api.domain.events import MandatoryReportDropped, MandatoryReportFiled, MandatoryReportProposed
from mediation_api.domain.mandatory_reports import Contents, Report
from mediation_api.domain.values import AgreementKind, Decision, ReportCategory, ReportState
from mediation_api.repository.cases import write_facts


class MandatoryReports:
    """Mandatory reports, as a director or the mediator who proposed one sees them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def reach_case(self, case_id: UUID, reach: Reach) -> None:
        """Hold that the caller may report of a case. It is not locked. Raises NotFound: not this case."""
        if (await self._connection.execute(_case(kind_of(reach)), asking(reach, case_id))).first() is None:
            raise NotFound

    async def texts_in_force(self, case_id: UUID) -> Sequence[str]:
        """The texts that tell the people of the case which exceptions to confidentiality there are.

        That is the confidentiality agreement that was signed last; where nobody has signed one, the disclosures that
        were agreed to. None of them where nobody has agreed to anything.
        """
        signed = (await self._connection.execute(_signed_text(), {"wanted": case_id})).scalars().all()
        return signed or (await self._connection.execute(_agreed_disclosures(), {"wanted": case_id})).scalars().all()

    async def lock(self, report_id: UUID, reach: Reach) -> Report:
        """Lock a report that the caller reaches, and read what deciding on it needs. Raises NotFound."""
        r = t.mandatory_reports.c
        await lock_reached(self._connection, t.mandatory_reports, report_id, sees_report, reach)
        row = (await self._connection.execute(select(r.state, r.proposed_by).where(r.id == report_id))).one()
        return Report(report_id=report_id, state=ReportState(row.state), proposed_by=row.proposed_by)

    async def enter(self, proposed: MandatoryReportProposed, contents: Contents, *, by: Actor, at: datetime) -> None:
        """Write a proposed report, and its fact."""
        key = await data_key(self._connection, proposed.case_id, OF_CASE)
        row = insert(t.mandatory_reports).values(
            **key.sealed_row(t.mandatory_reports, proposed.report_id, asdict(contents)),
            id=proposed.report_id,
            case_id=proposed.case_id,
            state=ReportState.PROPOSED,
            proposed_at=at,
            proposed_by_role=by.role,
            proposed_by=by.subject,
        )
        await self._connection.execute(row)
        await write_facts(self._connection, (proposed,), by=by, at=at, report_id=proposed.report_id)

    async def decide(self, decided: MandatoryReportFiled | MandatoryReportDropped, *, by: Actor, at: datetime) -> None:
        """Write that a locked report was filed or dropped, and the fact of it."""
        reason = decided.reason if isinstance(decided, MandatoryReportDropped) else None
        changed = (
            t.mandatory_reports.update()
            .where(t.mandatory_reports.c.id == decided.report_id)
            .values(
                state=ReportState.DROPPED if reason else ReportState.FILED,
                decided_at=at,
                decided_by_role=by.role,
                decided_by=by.subject,
                drop_reason=reason,
            )
        )
        await self._connection.execute(changed)
        await write_facts(self._connection, (decided,), by=by, at=at, report_id=decided.report_id)

    async def get(self, report_id: UUID, reach: Reach) -> RowMapping:
        """One report. Raises NotFound."""
        row = (await self._connection.execute(_report(kind_of(reach)), asking(reach, report_id))).mappings().first()
        if row is None:
            raise NotFound
        return row

    async def list(self, case_id: UUID, reach: Reach) -> Sequence[RowMapping]:
        """The reports of a case that the caller reaches, oldest first. Raises NotFound: not this case."""
        rows = (await self._connection.execute(_of_case(kind_of(reach)), asking(reach, case_id))).mappings().all()
        if not rows:
            raise NotFound
        return [row for row in rows if row["id"] is not None]

    async def readings(self, report_id: UUID, page: Page) -> Slice[RowMapping]:
        """Who opened a report, newest first. Raises NotFound: there is none."""
        there = select(t.mandatory_reports.c.id).where(t.mandatory_reports.c.id == report_id)
        if (await self._connection.execute(there)).first() is None:
            raise NotFound
        position = t.readings.c.position
        newest_first = Order(position, position, descending=True)
        return await read_page(self._connection, _readings(), page, newest_first, asked={"wanted": report_id})

    async def entered(self, zone: ZoneInfo) -> Mapping[tuple[int, ReportCategory], int]:
        """How many reports were entered in each year of the office's calendar, by category. Theirs are a few rows."""
        r = t.mandatory_reports.c
        year: AnyColumn = cast(extract("year", func.timezone(zone.key, r.proposed_at)), Integer)
        statement = select(year, r.category, func.count()).group_by(year, r.category)
        rows = await self._connection.execute(statement)
        return {(year, ReportCategory(category)): number for year, category, number in rows}


@cache
def _case(kind: Kind) -> AnySelect:
    return select(t.cases.c.id).where(t.cases.c.id == WANTED, sees_case(kind))


@cache
def _signed_text() -> AnySelect:
    """The text of the latest confidentiality agreement with a signature, by its number."""
    a = t.agreements.c
    return (
        select(opened(a.text))
        .where(
            a.case_id == WANTED,
            a.kind == AgreementKind.CONFIDENTIALITY,
            select(t.signatures.c.id).where(t.signatures.c.agreement_id == a.id).exists(),
        )
        .order_by(a.number.desc())
        .limit(1)
    )


@cache
def _agreed_disclosures() -> AnySelect:
    agreed = select(t.consents.c.disclosure_sha256).where(
        t.consents.c.case_id == WANTED, t.consents.c.decision == Decision.AGREED
    )
    return select(t.disclosures.c.body).where(t.disclosures.c.sha256.in_(agreed))


@cache
def _readings() -> AnySelect:
    r = t.readings.c
    return select(r.at, r.by_role, r.by, r.operation, r.purpose).where(r.report_id == WANTED)


@cache
def _report(kind: Kind) -> AnySelect:
    statement: AnySelect = select(*opened_columns(t.mandatory_reports)).where(
        t.mandatory_reports.c.id == WANTED, sees_report(kind)
    )
    return recorded_reports(statement, kind, t.mandatory_reports.c.id)


@cache
def _of_case(kind: Kind) -> AnySelect:
    r = t.mandatory_reports.c
    statement: AnySelect = (
        select(*opened_columns(t.mandatory_reports))
        .select_from(t.cases)
        .outerjoin(t.mandatory_reports, and_(r.case_id == t.cases.c.id, sees_report(kind)))
        .where(t.cases.c.id == WANTED, sees_case(kind))
        .order_by(r.proposed_at, r.id)
    )
    return recorded_reports(statement, kind, r.id)
