"""Legal holds: a director exempts a complaint from retention and erasure, until the hold is lifted."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from mediation_api.contract.responses import responses
from mediation_api.domain.access import Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.events import HoldLifted, HoldPlaced
from mediation_api.domain.retention import place_hold
from mediation_api.domain.values import HoldReason
from mediation_api.http.dependencies import (
    ComplaintId,
    Complaints,
    HoldId,
    LegalHolds,
    LoggedScope,
    NewId,
    Record,
    Scope,
)
from mediation_api.http.fields import In, InstantOut, Open, Out
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.routes import Operation
from mediation_api.repository.streams import Stream

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["retention"])


class HoldIn(In):
    """Why the data of a complaint and its cases must be kept."""

    reason: HoldReason


class HoldOut(Out):
    """A legal hold."""

    id: UUID
    complaint_id: UUID
    reason: Open[HoldReason]
    placed_at: InstantOut = Field(description="When it began.")
    placed_by: str = Field(description="The subject of the token of the director who placed it.")
    placed_by_name: str | None = Field(description="The name in that token; null if it had none.")
    lifted_at: InstantOut | None = Field(description="When it ended; null while it holds.")
    lifted_by: str | None = Field(
        description="The subject of the token of the director who lifted it; null while it holds."
    )
    lifted_by_name: str | None = Field(description="The name in that token; null if it had none.")


class HoldList(ListOut[HoldOut]):
    """The legal holds on a complaint, oldest first, including lifted ones."""


@router.post(
    "/complaints/{complaint_id}/legal-holds", dependencies=[IDEMPOTENT], status_code=201, summary="Place a legal hold"
)
@Operation(
    "placeLegalHold",
    access=allow(office=(Role.DIRECTOR,)),
    oauth_scope="retention:write",
    events=(HoldPlaced,),
    location="/v1/legal-holds/{id}",
)
async def place_legal_hold(
    complaint_id: ComplaintId,
    body: HoldIn,
    scope: Scope,
    complaints: Complaints,
    holds: LegalHolds,
    record: Record,
    hold_id: NewId,
) -> HoldOut:
    """Keep all data of a complaint beyond its retention periods, until every hold on it is lifted."""
    await complaints.lock(complaint_id, scope)
    await record(Stream(complaint_id=complaint_id), (place_hold(hold_id, body.reason),))
    return HoldOut.read(await holds.get(hold_id, scope))


@router.get("/complaints/{complaint_id}/legal-holds", summary="Legal holds")
@Operation(
    "listLegalHolds",
    access=allow(office=(Role.DIRECTOR, Role.AUDITOR)),
    oauth_scope="retention:read",
    opens=LoggedObject.COMPLAINT,
)
async def list_legal_holds(complaint_id: ComplaintId, pages: Pages, scope: LoggedScope, holds: LegalHolds) -> HoldList:
    """List the legal holds on a complaint, oldest first."""
    return pages.response(HoldList, await holds.list(complaint_id, scope, pages.request), HoldOut.read)


@router.get("/legal-holds/{hold_id}", summary="A legal hold")
@Operation(
    "getLegalHold",
    access=allow(office=(Role.DIRECTOR, Role.AUDITOR)),
    oauth_scope="retention:read",
    opens=LoggedObject.COMPLAINT,
)
async def get_legal_hold(hold_id: HoldId, scope: LoggedScope, holds: LegalHolds) -> HoldOut:
    """Return a legal hold."""
    return HoldOut.read(await holds.get(hold_id, scope))


@router.post(
    "/legal-holds/{hold_id}/lift", dependencies=[IDEMPOTENT], summary="Lift a legal hold", responses=responses(409)
)
@Operation(
    "liftLegalHold",
    access=allow(office=(Role.DIRECTOR,)),
    oauth_scope="retention:write",
    events=(HoldLifted,),
    refusals=("state-conflict",),
)
async def lift_legal_hold(hold_id: HoldId, scope: Scope, holds: LegalHolds, record: Record) -> HoldOut:
    """Lift a legal hold. Data whose period ended during the hold is emptied by the next retention run."""
    hold = await holds.lock(hold_id)
    await record(Stream(complaint_id=hold.complaint_id), (hold.lift(),))
    return HoldOut.read(await holds.get(hold_id, scope))
