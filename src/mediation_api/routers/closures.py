"""Coordinator, pauses and lapses of a case, and closing it as mediated."""

from datetime import date
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from mediation_api.contract.responses import responses
from mediation_api.domain import contact
from mediation_api.domain.access import CASEWORK, INTAKE, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.closing import close_as_mediated
from mediation_api.domain.events import (
    CaseClosed,
    CoordinatorAssigned,
    PartMediated,
    PartReturned,
    PartyAsked,
    PartyLapsed,
    SessionCancelled,
    SessionEnded,
    StateChanged,
    TargetPaused,
)
from mediation_api.domain.target import Pause, PauseReason
from mediation_api.domain.values import LapseReason
from mediation_api.http.dependencies import (
    CaseId,
    CaseQueries,
    CaseRecords,
    Cases,
    CityPolicy,
    LoggedScope,
    NewId,
    Record,
    Scope,
    Today,
)
from mediation_api.http.fields import Day, Flag, In, Line, Open, Out, Uuid
from mediation_api.http.idempotency import IDEMPOTENT, IfMatch
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, single_page
from mediation_api.http.routes import Operation
from mediation_api.routers.cases import CaseOut, to_office

router = APIRouter(prefix="/v1/cases/{case_id}", route_class=StrictRoute, tags=["cases"])


class CoordinatorIn(In):
    """The coordinator of the case: the subject of the person's token."""

    coordinator: Line


@router.put("/coordinator", summary="Assign a coordinator", responses=responses(409))
@Operation(
    "assignCoordinator",
    access=allow(office=INTAKE),
    oauth_scope="cases:write",
    events=(CoordinatorAssigned,),
    refusals=("case-closed",),
)
async def assign_coordinator(
    case_id: CaseId,
    body: CoordinatorIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    cases_read: CaseQueries,
    on: Today,
    city: CityPolicy,
    precondition: IfMatch,
) -> CaseOut:
    """Assign a coordinator to an open case."""
    locked = await cases.lock(case_id, scope)
    precondition.check(to_office(await cases_read.get(case_id, scope), on, city))
    await record(locked.stream, locked.case.coordinate(body.coordinator))
    return to_office(await cases_read.get(case_id, scope), on, city)


class LapseIn(In):
    """Why a party lapses, or without `party_id`, the whole case."""

    reason: LapseReason
    party_id: Uuid | None = None


@router.post(
    "/lapses",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Let a party or a case lapse",
    responses=responses(409),
)
@Operation(
    "lapseCase",
    access=allow(office=CASEWORK),
    oauth_scope="cases:write",
    events=(PartyLapsed, PartReturned, PartyAsked, SessionCancelled, SessionEnded, StateChanged, CaseClosed),
    refusals=(
        "absences-too-few",
        "case-closed",
        "conditions-missing",
        "director-required",
        "party-left",
        "resolution-signed",
        "state-conflict",
    ),
)
async def lapse_case(
    case_id: CaseId,
    body: LapseIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    cases_read: CaseQueries,
    city: CityPolicy,
    on: Today,
) -> CaseOut:
    """Let a party or a case lapse that cannot be reached or was absent too often. Its parts return to investigation."""
    locked = await cases.lock(case_id, scope)
    lapsed = contact.lapse(locked.case, body.reason, body.party_id, policy=city, by=scope.actor)
    await record(locked.stream, lapsed)
    return to_office(await cases_read.get(case_id, scope), on, city)


class ClosureIn(In):
    """Closing as mediated, which does not require an agreement."""

    agreement_reached: Flag = Field(
        description="Must match the record: true if all parties of a mediated part signed the resolution agreement."
    )


@router.post(
    "/closures", dependencies=[IDEMPOTENT], status_code=201, summary="Close as mediated", responses=responses(409)
)
@Operation(
    "closeCase",
    access=allow(office=CASEWORK),
    oauth_scope="cases:write",
    events=(PartMediated, PartReturned, StateChanged, CaseClosed),
    refusals=("agreement-reached", "case-closed", "conditions-missing", "state-conflict"),
)
async def close_case(
    case_id: CaseId,
    body: ClosureIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    cases_read: CaseQueries,
    on: Today,
    city: CityPolicy,
) -> CaseOut:
    """Close a case as mediated after a completed session. Its mediated parts close without a finding.

    Parts whose two parties did not both attend a completed session return to investigation.
    """
    locked = await cases.lock(case_id, scope)
    closed = close_as_mediated(locked.case, agreement_reached=body.agreement_reached)
    await record(locked.stream, closed)
    return to_office(await cases_read.get(case_id, scope), on, city)


class PauseIn(In):
    """Why and when the case is paused. Both dates are included."""

    reason: PauseReason
    starts_on: Day
    ends_on: Day


class PauseOut(Out):
    """A pause. It does not change the due date."""

    id: UUID
    reason: Open[PauseReason]
    starts_on: date
    ends_on: date


class PauseList(ListOut[PauseOut]):
    """The pauses of a case, in the order they were recorded."""


@router.post("/pauses", dependencies=[IDEMPOTENT], status_code=201, summary="Record a pause", responses=responses(409))
@Operation(
    "pauseTarget",
    access=allow(office=INTAKE),
    oauth_scope="cases:write",
    events=(TargetPaused,),
    refusals=("case-closed", "not-before-starts-on", "pause-too-long"),
)
async def pause_target(
    case_id: CaseId,
    body: PauseIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    city: CityPolicy,
    pause_id: NewId,
) -> PauseOut:
    """Record that the case is paused, for example for a court date, somebody's leave or an interpreter."""
    locked = await cases.lock(case_id, scope)
    pause = Pause(body.reason, body.starts_on, body.ends_on)
    await record(locked.stream, locked.case.pause(pause, pause_id=pause_id, policy=city))
    return PauseOut(id=pause_id, reason=pause.reason, starts_on=pause.starts_on, ends_on=pause.ends_on)


@router.get("/pauses", summary="Pauses")
@Operation(
    "listPauses", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE
)
async def list_pauses(case_id: CaseId, scope: LoggedScope, records: CaseRecords) -> PauseList:
    """List the pauses of a case, in the order in which they were recorded."""
    return single_page(PauseList, await records.pauses(case_id, scope), PauseOut.read)
