"""Mandatory reports: proposed by a mediator or a director, filed by another director, visible to nobody else."""

import logging
from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, Strict, StringConstraints

from mediation_api.contract.responses import responses
from mediation_api.domain import mandatory_reports
from mediation_api.domain.access import Role, allow
from mediation_api.domain.access_log import LoggedObject, Purpose
from mediation_api.domain.events import MandatoryReportDropped, MandatoryReportFiled, MandatoryReportProposed
from mediation_api.domain.mandatory_reports import SMALLEST_COUNT, Contents, YearlyCount
from mediation_api.domain.values import DropReason, Recipient, ReportCategory, ReportState
from mediation_api.http.dependencies import (
    CaseId,
    CityPolicy,
    Context,
    LoggedScope,
    MandatoryReports,
    NewId,
    Now,
    Record,
    ReportId,
    Scope,
    Today,
)
from mediation_api.http.fields import In, Instant, InstantOut, Line, Named, Open, Out
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages, single_page
from mediation_api.http.problems import request_id_of
from mediation_api.http.routes import Operation
from mediation_api.logs import LogEvent
from mediation_api.repository.streams import Stream

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["mandatory-reports"])

_log = logging.getLogger(__name__)

_WORD: Final = "[A-Z][A-Za-z.]{0,15}|§{1,2}"
_NUMBER: Final = "[0-9][0-9A-Za-z.:()/-]{0,29}"
Citation = Annotated[
    str,
    Strict(),
    # Only abbreviations and numbers, and at least one number, so that it cannot contain a sentence.
    StringConstraints(max_length=100, pattern=f"^(({_WORD}) ){{0,5}}{_NUMBER}( ({_WORD}|{_NUMBER})){{0,4}}$"),
    Named("Citation", "The citation of a law: `ORS 419B.010`, `42 U.S.C. § 5106a`.", "ORS 419B.010"),
]


class ReportIn(In):
    """What must be reported, and to whom. Without what was said, and without names of persons."""

    category: ReportCategory
    recipient: Recipient
    agency: Line = Field(description="The name of the authority, not of a person.")
    legal_basis: Citation
    disclosed_at: Instant = Field(description="When it was disclosed, which is when the duty to report began.")


class DropIn(In):
    """Why a proposed report is not filed."""

    reason: DropReason


class ReportOut(Out):
    """A mandatory report."""

    id: UUID
    case_id: UUID
    category: Open[ReportCategory]
    recipient: Open[Recipient]
    agency: str = Field(description="The name of the authority, not of a person.")
    legal_basis: str = Field(description="The law that demands the report.")
    disclosed_at: InstantOut = Field(description="When it was disclosed, which is when the duty to report began.")
    state: ReportState
    proposed_at: InstantOut = Field(description="When it was entered.")
    proposed_by: str = Field(description="The subject of the proposer's token.")
    proposed_by_name: str | None = Field(
        description="The name in that token; null if it had none, and for a mediator who reads."
    )
    decided_at: InstantOut | None = Field(description="When it was filed or dropped.")
    decided_by: str | None = Field(
        description="The subject of the token of whoever filed or dropped it; null until then."
    )
    decided_by_name: str | None = Field(
        description="The name in that token; null if it had none, and for a mediator who reads."
    )
    drop_reason: Open[DropReason] | None = Field(description="Null unless it was dropped.")


class ReportList(ListOut[ReportOut]):
    """The mandatory reports of a case, oldest first: all for a director, their own for a mediator."""


class ReportAccessOut(Out):
    """An entry of the report's access log."""

    opened_at: InstantOut = Field(description="When.")
    by_role: Open[Role]
    by: str = Field(description="The subject of the token.")
    by_name: str | None = Field(description="The name in that token, once that person has recorded something.")
    operation: str = Field(examples=["getMandatoryReport"], description="The `operationId` with which it was opened.")
    purpose: Open[Purpose]


class ReportAccessList(ListOut[ReportAccessOut]):
    """One page of the access log of a report, newest entry first."""


class ReportsOfCategoryOut(Out):
    """The number of reports of one category that were proposed in a year."""

    category: Open[ReportCategory]
    reports: int = Field(description="At least five: smaller numbers are withheld.")


class ReportCountOut(Out):
    """The number of reports that were proposed in a year. Small numbers are withheld: they could reveal a case."""

    year: int = Field(description="A past calendar year in the office's time zone.")
    reports: int | None = Field(description=f"Null if there were fewer than {SMALLEST_COUNT}, including none.")
    by_category: Annotated[list[ReportsOfCategoryOut], Field(max_length=len(ReportCategory))] | None = Field(
        description=f"Null unless each category has at least {SMALLEST_COUNT}."
    )

    @classmethod
    def of(cls, count: YearlyCount) -> Self:
        """Return the response about one year."""
        by_category = None
        if count.by_category is not None:
            by_category = [ReportsOfCategoryOut(category=each, reports=number) for each, number in count.by_category]
        return cls(year=count.year, reports=count.reports, by_category=by_category)


class ReportCountList(ListOut[ReportCountOut]):
    """The last five past years, newest first."""


@router.post(
    "/cases/{case_id}/mandatory-reports",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Propose a mandatory report",
    responses=responses(409),
)
@Operation(
    "proposeMandatoryReport",
    access=allow(office=(Role.DIRECTOR,), mediated=True),
    oauth_scope="mandatory-reports:write",
    events=(MandatoryReportProposed,),
    location="/v1/mandatory-reports/{id}",
    refusals=("category-not-configured", "category-not-disclosed", "in-the-future"),
)
async def propose_mandatory_report(
    case_id: CaseId,
    body: ReportIn,
    scope: Scope,
    reports: MandatoryReports,
    record: Record,
    service: Context,
    at: Now,
    report_id: NewId,
    request: Request,
) -> ReportOut:
    """Propose a report that the law requires, for a director to file. The case does not reveal it.

    The category must be configured by the city, and named in the texts that the parties agreed to.

    The person with the duty to report must report to the authority at once, independently of this service.
    """
    data_key = await reports.require_case(case_id, scope)
    contents = Contents(**dict(body))
    proposed = mandatory_reports.propose_report(
        case_id,
        contents,
        report_id=report_id,
        at=at,
        configured=service.policy.report_categories,
        disclosed=map(service.texts.disclosed_categories, await reports.texts_in_force(case_id)),
    )
    await record(Stream(report_id=report_id, data_key=data_key), (proposed,))
    _alert(proposed.kind, report_id, request)
    return ReportOut.read(await reports.get(report_id, scope))


@router.get("/cases/{case_id}/mandatory-reports", summary="Mandatory reports of a case")
@Operation(
    "listMandatoryReports",
    access=allow(office=(Role.DIRECTOR,), mediated=True),
    oauth_scope="mandatory-reports:read",
    opens=LoggedObject.REPORT,
)
async def list_mandatory_reports(
    case_id: CaseId, pages: Pages, scope: LoggedScope, reports: MandatoryReports
) -> ReportList:
    """List the reports of one case, oldest first; for a mediator, those that they proposed. No list spans cases."""
    return pages.response(ReportList, await reports.list(case_id, scope, pages.request), ReportOut.read)


@router.get("/mandatory-reports/{report_id}", summary="A mandatory report")
@Operation(
    "getMandatoryReport",
    access=allow(office=(Role.DIRECTOR,), mediated=True),
    oauth_scope="mandatory-reports:read",
    opens=LoggedObject.REPORT,
)
async def get_mandatory_report(report_id: ReportId, scope: LoggedScope, reports: MandatoryReports) -> ReportOut:
    """Return a report, for a director or the mediator who proposed it."""
    return ReportOut.read(await reports.get(report_id, scope))


@router.post(
    "/mandatory-reports/{report_id}/file",
    dependencies=[IDEMPOTENT],
    summary="File a mandatory report",
    responses=responses(409),
)
@Operation(
    "fileMandatoryReport",
    access=allow(office=(Role.DIRECTOR,)),
    oauth_scope="mandatory-reports:write",
    events=(MandatoryReportFiled,),
    refusals=("second-person-required", "state-conflict"),
)
async def file_mandatory_report(
    report_id: ReportId, scope: Scope, reports: MandatoryReports, record: Record, request: Request
) -> ReportOut:
    """Record that the report was made to the authority. The person who proposed it cannot file it."""
    report = await reports.lock(report_id, scope)
    filed = report.file(by=scope.actor)
    await record(Stream(report_id=report_id), (filed,))
    _alert(filed.kind, report_id, request)
    return ReportOut.read(await reports.get(report_id, scope))


@router.post(
    "/mandatory-reports/{report_id}/drop",
    dependencies=[IDEMPOTENT],
    summary="Drop a mandatory report",
    responses=responses(409),
)
@Operation(
    "dropMandatoryReport",
    access=allow(office=(Role.DIRECTOR,), mediated=True),
    oauth_scope="mandatory-reports:write",
    events=(MandatoryReportDropped,),
    refusals=("state-conflict",),
)
async def drop_mandatory_report(
    report_id: ReportId, body: DropIn, scope: Scope, reports: MandatoryReports, record: Record, request: Request
) -> ReportOut:
    """Record that a proposed report will not be filed, and why. The report is kept."""
    report = await reports.lock(report_id, scope)
    dropped = report.drop(body.reason)
    await record(Stream(report_id=report_id), (dropped,))
    _alert(dropped.kind, report_id, request)
    return ReportOut.read(await reports.get(report_id, scope))


@router.get("/mandatory-reports/{report_id}/access-log", summary="Who opened a mandatory report")
@Operation(
    "listMandatoryReportAccessLog",
    access=allow(office=(Role.DIRECTOR,)),
    oauth_scope="mandatory-reports:read",
)
async def list_mandatory_report_access_log(
    report_id: ReportId, pages: Pages, _scope: Scope, reports: MandatoryReports
) -> ReportAccessList:
    """List who opened the report, when and for what purpose. These reads are not in the access log of the case."""
    return pages.response(ReportAccessList, await reports.access_log(report_id, pages.request), ReportAccessOut.read)


@router.get("/mandatory-report-counts", summary="Numbers of mandatory reports")
@Operation(
    "listMandatoryReportCounts",
    access=allow(office=(Role.DIRECTOR, Role.AUDITOR)),
    oauth_scope="mandatory-reports:read",
)
async def list_mandatory_report_counts(
    _scope: Scope, reports: MandatoryReports, today: Today, city: CityPolicy
) -> ReportCountList:
    """Return the number of reports that were proposed in each of the last five years, filed or not.

    There are no filters, and the current year is left out, so that no two responses differ by a single report.
    """
    counts = mandatory_reports.yearly_counts(await reports.counts(city.target.zone), today.year)
    return single_page(ReportCountList, counts, ReportCountOut.of)


def _alert(kind: str, report_id: UUID, request: Request) -> None:
    """Log that the exception to confidentiality was used, with only the id of the report.

    The request may still fail: the log line of the same `request_id` has the status of its response.
    """
    _log.warning(LogEvent("alert", alert=kind, report_id=str(report_id), request_id=request_id_of(request)))
