"""Screening cases by the rules of eligibility, and the approvals that a city requires."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from mediation_api.contract.responses import responses
from mediation_api.domain import eligibility, screening
from mediation_api.domain.access import INTAKE, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.authority import ApprovalSource
from mediation_api.domain.events import (
    ApprovalRecorded,
    CaseClosed,
    CaseScreened,
    PartReturned,
    PartyAsked,
    SessionCancelled,
    StateChanged,
)
from mediation_api.domain.screening import ELIGIBILITY_RULES, MOST_RULES, Outcome
from mediation_api.domain.values import Approver, Channel
from mediation_api.http.dependencies import (
    ApprovalId,
    CaseId,
    CaseRecords,
    Cases,
    CityPolicy,
    Complaints,
    LoggedScope,
    NewId,
    Record,
    Scope,
    ScreeningId,
    Today,
)
from mediation_api.http.fields import Day, Flag, In, InstantOut, Line, Note, Open, OpenList, Out, given
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["cases"])


class ScreeningIn(In):
    """A screening. Without `eligible`, the rules decide; with it, a director decides and gives a reason."""

    model_config = ConfigDict(json_schema_extra={"if": given("eligible"), "then": given("reason")})

    eligible: Flag | None = Field(None, description="A director's decision.")
    reason: Note | None = Field(None, description="Required with `eligible`.")


class FindingOut(Out):
    """The outcome of one rule. It is about eligibility, not about anybody's conduct."""

    code: Annotated[str, OpenList("EligibilityRule", tuple(rule.code for rule in ELIGIBILITY_RULES.rules), "The rule.")]
    outcome: Outcome


class ScreeningOut(Out):
    """A screening, with the version of the rules. `eligible` is null until a director has reviewed it."""

    id: UUID
    rules_version: str = Field(description="The edition of the rules that were applied.")
    findings: Annotated[list[FindingOut], Field(description="One for each rule.", max_length=MOST_RULES)]
    outcome: Outcome
    eligible: bool | None = Field(description="The decision; null until a director has reviewed it.")
    overridden: bool = Field(description="Whether a director decided otherwise than the rules.")
    reason: str | None = Field(description="The director's; null if the rules decided.")
    screened_at: InstantOut = Field(description="When it was decided or put to review.")
    by_role: Open[Role]


class ScreeningList(ListOut[ScreeningOut]):
    """The screenings of a case, oldest first."""


@router.post(
    "/cases/{case_id}/screenings",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Screen a case",
    responses=responses(409),
)
@Operation(
    "screenCase",
    access=allow(office=INTAKE),
    oauth_scope="cases:write",
    events=(CaseScreened, PartyAsked, PartReturned, SessionCancelled, StateChanged, CaseClosed),
    location="/v1/screenings/{id}",
    refusals=(
        "case-closed",
        "conditions-missing",
        "director-required",
        "required-with-override",
        "session-in-progress",
        "state-conflict",
    ),
)
async def screen_case(
    case_id: CaseId,
    body: ScreeningIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    complaints: Complaints,
    records: CaseRecords,
    city: CityPolicy,
    on: Today,
    screening_id: NewId,
) -> ScreeningOut:
    """Screen a case by the rules of eligibility. If ineligible it closes; if eligible, the complainants are asked."""
    locked = await cases.lock(case_id, scope)
    judged = screening.judge(await complaints.intake_record(case_id), on)
    decided = eligibility.screen(
        locked.case,
        judged,
        override=body.eligible,
        reason=body.reason,
        policy=city,
        screening_id=screening_id,
        by=scope.actor,
    )
    await record(locked.stream, decided)
    return ScreeningOut.read(await records.screening(screening_id, scope))


@router.get("/cases/{case_id}/screenings", summary="Screenings")
@Operation(
    "listScreenings", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE
)
async def list_screenings(case_id: CaseId, pages: Pages, scope: LoggedScope, records: CaseRecords) -> ScreeningList:
    """List the screenings of a case, oldest first."""
    return pages.response(ScreeningList, await records.screenings(case_id, scope, pages.request), ScreeningOut.read)


@router.get("/screenings/{screening_id}", summary="A screening")
@Operation(
    "getScreening", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE
)
async def get_screening(screening_id: ScreeningId, scope: LoggedScope, records: CaseRecords) -> ScreeningOut:
    """Return a screening."""
    return ScreeningOut.read(await records.screening(screening_id, scope))


class ApprovalIn(In):
    """An approval that the city requires, or its refusal. `unit` is the unit of a unit commander.

    A director approves with their own token, without `given_by`, `given_on` and `channel`. For other approvers, staff
    enter these.
    """

    approver: Approver
    approved: Flag = Field(description="False records a refusal.")
    unit: Line | None = Field(None, description="The unit of the person who approves.")
    given_by: Line | None = Field(None, description="The name of the approver.")
    given_on: Day | None = Field(None, description="The date of the approval, not in the future.")
    channel: Channel | None = Field(
        None, description="How staff were informed: `phone`, `letter`, `email` or `in_person`."
    )

    def given(self) -> ApprovalSource:
        """Return the source of the approval."""
        return ApprovalSource(by=self.given_by, on=self.given_on, channel=self.channel)


class ApprovalOut(Out):
    """An approval or its refusal."""

    id: UUID
    approver: Open[Approver]
    approved: bool = Field(description="False is a refusal.")
    unit: str | None = Field(description="The unit of a unit commander; null for all others.")
    given_by: str | None = Field(description="The name of the approver; null for a director who used their own token.")
    given_on: date | None = Field(description="The date of the approval; null for a director who used their own token.")
    channel: Open[Channel] | None = Field(description="How the approval reached the office.")
    recorded_at: InstantOut = Field(description="When staff entered it.")
    by_role: Open[Role]


class ApprovalList(ListOut[ApprovalOut]):
    """The approvals of a case, oldest first."""


@router.post(
    "/cases/{case_id}/approvals",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Record an approval",
    responses=responses(409),
)
@Operation(
    "recordApproval",
    access=allow(office=INTAKE),
    oauth_scope="cases:write",
    events=(ApprovalRecorded, PartReturned, StateChanged, CaseClosed),
    location="/v1/approvals/{id}",
    refusals=(
        "case-closed",
        "director-required",
        "in-the-future",
        "not-for-director",
        "not-your-channel",
        "required",
        "state-conflict",
    ),
)
async def record_approval(
    case_id: CaseId,
    body: ApprovalIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    records: CaseRecords,
    on: Today,
    approval_id: NewId,
) -> ApprovalOut:
    """Record an approval or its refusal. A refusal before any party was asked closes the case as ineligible."""
    locked = await cases.lock(case_id, scope)
    approval = eligibility.approve(
        locked.case,
        body.approver,
        approved=body.approved,
        unit=body.unit,
        given=body.given(),
        approval_id=approval_id,
        by=scope.actor,
        today=on,
    )
    await record(locked.stream, approval)
    return ApprovalOut.read(await records.approval(approval_id, scope))


@router.get("/cases/{case_id}/approvals", summary="Approvals")
@Operation(
    "listApprovals", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE
)
async def list_approvals(case_id: CaseId, pages: Pages, scope: LoggedScope, records: CaseRecords) -> ApprovalList:
    """List the approvals of a case, oldest first."""
    return pages.response(ApprovalList, await records.approvals(case_id, scope, pages.request), ApprovalOut.read)


@router.get("/approvals/{approval_id}", summary="An approval")
@Operation(
    "getApproval", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE
)
async def get_approval(approval_id: ApprovalId, scope: LoggedScope, records: CaseRecords) -> ApprovalOut:
    """Return an approval."""
    return ApprovalOut.read(await records.approval(approval_id, scope))
