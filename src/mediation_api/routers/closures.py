"""Coordinator, target, pauses and lapses of a case, and closing it as mediated."""

from datetime import date
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, TypeAdapter

from mediation_api.contract.responses import responses
from mediation_api.domain import contact, target
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
from mediation_api.domain.lifecycle import State
from mediation_api.domain.target import Pace, Pause, PauseReason, Target
from mediation_api.domain.values import MOST_PAUSES, LapseReason
from mediation_api.http.dependencies import (
    CaseId,
    CaseQueries,
    CaseRecords,
    Cases,
    CityPolicy,
    LoggedScope,
    NewId,
    PauseId,
    Record,
    Scope,
    Today,
)
from mediation_api.http.fields import Day, Flag, In, Line, Open, Out, Uuid
from mediation_api.http.idempotency import IDEMPOTENT, IfMatch
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, single_page
from mediation_api.http.routes import Operation
from mediation_api.routers.cases import CaseOut, closed_on, to_office

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["cases"])


class CoordinatorIn(In):
    """The coordinator of the case: the subject of the person's token."""

    coordinator: Line


class CoordinatorOut(Out):
    """The coordinator of a case."""

    case_id: UUID
    coordinator: str | None = Field(description="The subject of the person's token. Null if there is none yet.")
    coordinator_name: str | None = Field(description="The name in that token, once that person has recorded something.")


@router.get("/cases/{case_id}/coordinator", summary="The coordinator of a case")
@Operation(
    "getCoordinator", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE
)
async def get_coordinator(case_id: CaseId, scope: LoggedScope, cases_read: CaseQueries) -> CoordinatorOut:
    """Return the coordinator of a case, with the ETag that assigning another one needs."""
    return CoordinatorOut.read(await cases_read.coordinator(case_id, scope))


@router.put("/cases/{case_id}/coordinator", summary="Assign a coordinator", responses=responses(409))
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
    precondition: IfMatch,
) -> CoordinatorOut:
    """Assign a coordinator to an open case. `If-Match` is the ETag of `getCoordinator`."""
    locked = await cases.lock(case_id, scope)
    current = CoordinatorOut.read(await cases_read.coordinator(case_id, scope))
    precondition.check(current)
    await record(locked.stream, locked.case.coordinate(body.coordinator, before=current.coordinator))
    return CoordinatorOut.read(await cases_read.coordinator(case_id, scope))


class LapseIn(In):
    """Why a party lapses, or without `party_id`, the whole case."""

    reason: LapseReason
    party_id: Uuid | None = Field(None, description="The party that lapses; null for the whole case.")


@router.post(
    "/cases/{case_id}/lapses",
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
    location="/v1/cases/{id}",
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
    "/cases/{case_id}/closures",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Close as mediated",
    responses=responses(409),
)
@Operation(
    "closeCase",
    access=allow(office=CASEWORK),
    oauth_scope="cases:write",
    events=(PartMediated, PartReturned, StateChanged, CaseClosed),
    location="/v1/cases/{id}",
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
    starts_on: date = Field(description="The first day.")
    ends_on: date = Field(description="The last day.")


class PauseList(ListOut[PauseOut]):
    """The pauses of a case, in the order they were recorded."""


@router.post(
    "/cases/{case_id}/pauses",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Record a pause",
    responses=responses(409),
)
@Operation(
    "pauseTarget",
    access=allow(office=INTAKE),
    oauth_scope="cases:write",
    events=(TargetPaused,),
    location="/v1/pauses/{id}",
    refusals=("case-closed", "limit-reached", "not-before-starts-on", "pause-too-long"),
)
async def pause_target(
    case_id: CaseId,
    body: PauseIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    records: CaseRecords,
    city: CityPolicy,
    pause_id: NewId,
) -> PauseOut:
    """Record that the case is paused, for example for a court date, somebody's leave or an interpreter."""
    locked = await cases.lock(case_id, scope)
    pause = Pause(body.reason, body.starts_on, body.ends_on)
    await record(locked.stream, locked.case.pause(pause, pause_id=pause_id, policy=city))
    return PauseOut.read(await records.pause(pause_id, scope))


@router.get("/cases/{case_id}/pauses", summary="Pauses")
@Operation(
    "listPauses", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE
)
async def list_pauses(case_id: CaseId, scope: LoggedScope, records: CaseRecords) -> PauseList:
    """List the pauses of a case, in the order in which they were recorded."""
    return single_page(PauseList, await records.pauses(case_id, scope), PauseOut.read)


@router.get("/pauses/{pause_id}", summary="A pause")
@Operation("getPause", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE)
async def get_pause(pause_id: PauseId, scope: LoggedScope, records: CaseRecords) -> PauseOut:
    """Return a pause."""
    return PauseOut.read(await records.pause(pause_id, scope))


class TargetOut(Out):
    """The four-week target, counted from one day. Missing it has no effect on the case."""

    case_id: UUID
    requested_on: date = Field(
        description="The office's date on which mediation was asked for; the four weeks count from it."
    )
    due_on: date = Field(
        description="`requested_on` and 28 days, unless the city set another length. Pauses do not move it."
    )
    pace: Pace | None = Field(description="Null for a case that closed without mediation.")
    counted_on: date = Field(description="The day on which all is counted: today, or the day of the close.")
    days_left: int = Field(description="Calendar days until `due_on`; negative once overdue.")
    working_days_left: int = Field(description="Days until `due_on` without weekends and the city's holidays.")
    raw_days: int = Field(description="Calendar days since the request.")
    net_days: int = Field(description="`raw_days` without paused days. Pauses do not change `due_on`.")
    pauses: Annotated[list[PauseOut], Field(max_length=MOST_PAUSES)] = Field(
        description="In the order in which they were recorded."
    )


@router.get("/cases/{case_id}/target", summary="The target of a case")
@Operation("getTarget", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="cases:read", opens=LoggedObject.CASE)
async def get_target(
    case_id: CaseId, scope: LoggedScope, cases_read: CaseQueries, city: CityPolicy, on: Today
) -> TargetOut:
    """Return the four-week target of a case with what is left of it today, and its pauses."""
    row = await cases_read.target(case_id, scope)
    closed = closed_on(row, city)
    report = target.report(
        Target(
            requested_on=row["requested_on"],
            due_on=row["due_on"],
            closed_on=closed,
            mediated=row["state"] == State.MEDIATED,
            pauses=_PAUSES.validate_python(row["pauses"]),
        ),
        on,
        city.target,
    )
    return TargetOut.read(
        row,
        pace=report.pace,
        counted_on=closed or on,
        days_left=report.days_left,
        working_days_left=report.working_days_left,
        raw_days=report.raw_days,
        net_days=report.net_days,
    )


_PAUSES: Final = TypeAdapter(tuple[Pause, ...])
