"""Screening a case against the rules of eligibility, and the approvals that a city requires besides the parties."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from mediation_api.domain import screening
from mediation_api.domain.access import Role
from mediation_api.domain.screening import Outcome
from mediation_api.domain.values import (
    Approver,
)
from mediation_api.routers.answers import responses
from mediation_api.routers.deps import (
    CaseId,
    CaseRecords,
    Cases,
    CityPolicy,
    Complaints,
    NewId,
    Now,
    Opened,
    Reached,
    Today,
)
from mediation_api.routers.http import StrictRoute
from mediation_api.routers.paging import Listing, whole
from mediation_api.routers.retries import ONCE
from mediation_api.routers.types import Flag, In, InstantOut, Line, Note, Out

router = APIRouter(prefix="/v1/cases/{case_id}", route_class=StrictRoute, tags=["cases"])


class ScreeningIn(In):
    """A screening. Without `eligible` the rules decide; with it, a director does, and says why."""

    eligible: Flag | None = Field(None, description="A director's own decision.")
    reason: Note | None = Field(None, description="Required with `eligible`.")


class FindingOut(Out):
    """What one rule came to. It says something about eligibility, and nothing about anybody's conduct."""

    code: str = Field(examples=["alleged_crime"])
    outcome: Outcome


class ScreeningOut(Out):
    """A screening, with the rules it was held against. `eligible` is null while a director's review is awaited."""

    id: UUID
    rules_version: str
    findings: list[FindingOut]
    outcome: Outcome
    eligible: bool | None
    overridden: bool
    reason: str | None
    at: InstantOut
    by_role: Role


class ScreeningList(Listing[ScreeningOut]):
    """The screenings of a case, oldest first."""


@router.post("/screenings", dependencies=[ONCE], status_code=201, summary="Screen a case", responses=responses(409))
async def screen_case(
    case_id: CaseId,
    body: ScreeningIn,
    reached: Reached,
    cases: Cases,
    complaints: Complaints,
    records: CaseRecords,
    city: CityPolicy,
    at: Now,
    on: Today,
    screening_id: NewId,
) -> ScreeningOut:
    """Hold the case against the rules of eligibility. What fails closes it, what passes has the complainants asked."""
    case = await cases.lock(case_id, reached)
    found = screening.judge(await complaints.intake_facts(case_id), on)
    decided = case.screen(
        found,
        override=body.eligible,
        reason=body.reason,
        policy=city,
        screening_id=screening_id,
        by=reached.actor,
    )
    await cases.record(case_id, decided, by=reached.actor, at=at)
    return ScreeningOut.read((await records.screenings(case_id, reached))[-1])


@router.get("/screenings", summary="Screenings")
async def list_screenings(case_id: CaseId, reached: Opened, records: CaseRecords) -> ScreeningList:
    """The screenings of a case, oldest first."""
    return whole(ScreeningList, await records.screenings(case_id, reached), ScreeningOut.read)


class ApprovalIn(In):
    """The word of somebody whose approval the city requires. `unit` is that of a unit commander."""

    approver: Approver
    approved: Flag
    unit: Line | None = None


class ApprovalOut(Out):
    """An approval or its refusal."""

    id: UUID
    approver: Approver
    approved: bool
    unit: str | None
    at: InstantOut


@router.post("/approvals", dependencies=[ONCE], status_code=201, summary="Record an approval", responses=responses(409))
async def record_approval(
    case_id: CaseId,
    body: ApprovalIn,
    reached: Reached,
    cases: Cases,
    records: CaseRecords,
    at: Now,
    approval_id: NewId,
) -> ApprovalOut:
    """Record what an approver said. A refusal before anybody is asked closes the case as ineligible."""
    case = await cases.lock(case_id, reached)
    said = case.approve(body.approver, approved=body.approved, unit=body.unit, approval_id=approval_id)
    await cases.record(case_id, said, by=reached.actor, at=at)
    return ApprovalOut.read((await records.approvals(case_id, reached))[-1])
