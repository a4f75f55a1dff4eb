"""Mandatory reports: entered by a mediator or a director, filed by another director, seen by nobody else."""

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
from mediation_api.http.fields import In, Instant, InstantOut, Out, TextRules
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
    # Abbreviations and numbers, a number among them: no room for a sentence, and so for nobody's words.
    StringConstraints(max_length=100, pattern=f"^(({_WORD}) ){{0,5}}{_NUMBER}( ({_WORD}|{_NUMBER})){{0,4}}$"),
    Field(examples=["ORS 419B.010"]),
]
"""A law, as it is cited: `ORS 419B.010`, `42 U.S.C. § 5106a`."""


class ReportIn(In):
    """What has to be reported, and to whom. Nothing of what was said, and nobody's name."""

    category: ReportCategory
    recipient: Recipient
    agency: Annotated[str, TextRules(most=100)] = Field(description="The authority's name; never a person's.")
    legal_basis: Citation
    disclosed_at: Instant = Field(description="When it was disclosed, and so the duty to report arose.")


class DropIn(In):
    """Why a proposed report is not filed."""

    reason: DropReason


class ReportOut(Out):
    """A mandatory report."""

    id: UUID
    case_id: UUID
    category: ReportCategory
    recipient: Recipient
    agency: str
    legal_basis: str
    disclosed_at: InstantOut
    state: ReportState
    proposed_at: InstantOut
    proposed_by: str = Field(description="The subject of the proposer's token.")
    decided_at: InstantOut | None = Field(description="When it was filed or dropped.")
    decided_by: str | None
    drop_reason: DropReason | None


class ReportList(ListOut[ReportOut]):
    """The mandatory reports of a case, oldest first: all for a director, their own for a mediator."""


class ReportAccessOut(Out):
    """Somebody opened the report."""

    at: InstantOut
    by_role: Role
    by: str = Field(description="The subject of the token.")
    operation: str = Field(examples=["getMandatoryReport"])
    purpose: Purpose


class ReportAccessList(ListOut[ReportAccessOut]):
    """One page of who opened the report, newest first."""


class ReportsOfCategoryOut(Out):
    """How many reports of one category were entered in a year."""

    category: ReportCategory
    reports: int


class ReportCountOut(Out):
    """How many reports were entered in a year, in numbers that tell of no case."""

    year: int = Field(description="A year of the office's calendar that is over.")
    reports: int | None = Field(description=f"Null where they were fewer than {SMALLEST_COUNT}, or none.")
    by_category: list[ReportsOfCategoryOut] | None = Field(
        description=f"Null unless each category has {SMALLEST_COUNT} at least."
    )

    @classmethod
    def of(cls, count: YearlyCount) -> Self:
        """The answer of one year."""
        by_category = None
        if count.by_category is not None:
            by_category = [ReportsOfCategoryOut(category=each, reports=number) for each, number in count.by_category]
        return cls(year=count.year, reports=count.reports, by_category=by_category)


class ReportCountList(ListOut[ReportCountOut]):
    """The last five years that are over, the newest first."""


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
    scope="mandatory-reports:write",
    events=(MandatoryReportProposed,),
    location="/v1/mandatory-reports/{id}",
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
    """Enter what the law obliges somebody to report, for a director to file. It shows nowhere in the case.

    Of a category that the city has configured, and that the people of the case were told of before they agreed.

    The duty does not wait for this service: whoever has it reports at once.
    """
    await reports.require_case(case_id, scope)
    contents = Contents(**dict(body))
    proposed = mandatory_reports.propose_report(
        case_id,
        contents,
        report_id=report_id,
        at=at,
        configured=service.policy.report_categories,
        disclosed=map(service.texts.disclosed_categories, await reports.texts_in_force(case_id)),
    )
    await record(Stream(report_id=report_id), (proposed,))
    _alert(proposed.kind, report_id, request)
    return ReportOut.read(await reports.get(report_id, scope))


@router.get("/cases/{case_id}/mandatory-reports", summary="Mandatory reports of a case")
@Operation(
    "listMandatoryReports",
    access=allow(office=(Role.DIRECTOR,), mediated=True),
    scope="mandatory-reports:read",
    opens=LoggedObject.REPORT,
)
async def list_mandatory_reports(case_id: CaseId, scope: LoggedScope, reports: MandatoryReports) -> ReportList:
    """The reports of one case, oldest first; a mediator sees those that they proposed. There is no list of all."""
    return single_page(ReportList, await reports.list(case_id, scope), ReportOut.read)


@router.get("/mandatory-reports/{report_id}", summary="A mandatory report")
@Operation(
    "getMandatoryReport",
    access=allow(office=(Role.DIRECTOR,), mediated=True),
    scope="mandatory-reports:read",
    opens=LoggedObject.REPORT,
)
async def get_mandatory_report(report_id: ReportId, scope: LoggedScope, reports: MandatoryReports) -> ReportOut:
    """A report, for a director or for the mediator who proposed it."""
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
    scope="mandatory-reports:write",
    events=(MandatoryReportFiled,),
)
async def file_mandatory_report(
    report_id: ReportId, scope: Scope, reports: MandatoryReports, record: Record, request: Request
) -> ReportOut:
    """Note that the report was made to the authority. Whoever proposed it cannot: that takes a second person."""
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
    scope="mandatory-reports:write",
    events=(MandatoryReportDropped,),
)
async def drop_mandatory_report(
    report_id: ReportId, body: DropIn, scope: Scope, reports: MandatoryReports, record: Record, request: Request
) -> ReportOut:
    """Note that a proposed report will not be filed, and why. It stays on record."""
    report = await reports.lock(report_id, scope)
    dropped = report.drop(body.reason)
    await record(Stream(report_id=report_id), (dropped,))
    _alert(dropped.kind, report_id, request)
    return ReportOut.read(await reports.get(report_id, scope))


@router.get("/mandatory-reports/{report_id}/access-log", summary="Who opened a mandatory report")
@Operation("listReportAccess", access=allow(office=(Role.DIRECTOR,)), scope="mandatory-reports:read")
async def list_report_access(
    report_id: ReportId, pages: Pages, _reached: Scope, reports: MandatoryReports
) -> ReportAccessList:
    """Who opened the report, when and for what. No reading of the case tells of it, and no party is shown any."""
    return pages.response(ReportAccessList, await reports.access_log(report_id, pages.request), ReportAccessOut.read)


@router.get("/mandatory-report-counts", summary="How many mandatory reports there were")
@Operation(
    "listMandatoryReportCounts", access=allow(office=(Role.DIRECTOR, Role.AUDITOR)), scope="mandatory-reports:read"
)
async def list_mandatory_report_counts(
    _reached: Scope, reports: MandatoryReports, today: Today, city: CityPolicy
) -> ReportCountList:
    """How many reports were entered in each of the last five years, whatever became of them.

    Nothing can be chosen and nothing is told of the running year, so that no two answers differ by one report.
    """
    counts = mandatory_reports.yearly_counts(await reports.counts(city.target.zone), today.year)
    return single_page(ReportCountList, counts, ReportCountOut.of)


def _alert(kind: str, report_id: UUID, request: Request) -> None:
    """Let whoever watches the log know that the exception to confidentiality is used; the id is all that is said.

    The request may still fail: the line of the same `request_id` says with which status it was answered.
    """
    _log.warning(LogEvent("alert", alert=kind, report_id=str(report_id), request_id=request_id_of(request)))
