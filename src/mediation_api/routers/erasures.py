"""Erasure at a person's request: staff enter the request, and a director who did not enter it decides."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from mediation_api.contract.responses import responses
from mediation_api.domain import retention
from mediation_api.domain.access import INTAKE, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.events import DataPurged, ErasureApproved, ErasureRefused, ErasureRequested
from mediation_api.domain.values import ErasureRefusal, ErasureState
from mediation_api.http.dependencies import ErasureId, Erasures, LoggedScope, NewId, Now, PartyId, Record, Scope
from mediation_api.http.fields import In, InstantOut, Open, Out
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.routes import Operation
from mediation_api.repository.streams import Stream

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["retention"])


class RefusalIn(In):
    """Why an erasure is refused."""

    reason: ErasureRefusal


class ErasureOut(Out):
    """A request to erase the data of a party."""

    id: UUID
    party_id: UUID
    state: ErasureState
    requested_at: InstantOut = Field(description="When it was entered.")
    requested_by: str = Field(description="The subject of the token of whoever entered it.")
    requested_by_name: str | None = Field(description="The name in that token; null if it had none.")
    decided_at: InstantOut | None = Field(description="When it was decided; null until then.")
    decided_by: str | None = Field(description="The subject of the token of a second person; null until then.")
    decided_by_name: str | None = Field(description="The name in that token; null if it had none.")
    refusal: Open[ErasureRefusal] | None = Field(description="Null unless it was refused.")


class ErasureList(ListOut[ErasureOut]):
    """The requests of a party, oldest first."""


@router.post(
    "/parties/{party_id}/erasures",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Request an erasure",
    responses=responses(409),
)
@Operation(
    "requestErasure",
    access=allow(office=INTAKE),
    oauth_scope="retention:write",
    events=(ErasureRequested,),
    location="/v1/erasures/{id}",
    refusals=("state-conflict",),
)
async def request_erasure(
    party_id: PartyId, scope: Scope, erasures: Erasures, record: Record, erasure_id: NewId
) -> ErasureOut:
    """Enter a party's request to erase its data. Nothing is erased before a director approves it."""
    complaint_id = await erasures.complaint_of(party_id)
    await record(Stream(complaint_id=complaint_id), (retention.request_erasure(erasure_id, party_id),))
    return ErasureOut.read(await erasures.get(erasure_id, scope))


@router.get("/parties/{party_id}/erasures", summary="Erasures")
@Operation(
    "listErasures", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="retention:read", opens=LoggedObject.PARTY
)
async def list_erasures(party_id: PartyId, pages: Pages, scope: LoggedScope, erasures: Erasures) -> ErasureList:
    """List the erasure requests of a party, oldest first."""
    return pages.response(ErasureList, await erasures.list(party_id, scope, pages.request), ErasureOut.read)


@router.get("/erasures/{erasure_id}", summary="An erasure")
@Operation(
    "getErasure", access=allow(office=(*INTAKE, Role.AUDITOR)), oauth_scope="retention:read", opens=LoggedObject.PARTY
)
async def get_erasure(erasure_id: ErasureId, scope: LoggedScope, erasures: Erasures) -> ErasureOut:
    """Return an erasure request."""
    return ErasureOut.read(await erasures.get(erasure_id, scope))


@router.post(
    "/erasures/{erasure_id}/approve", dependencies=[IDEMPOTENT], summary="Approve an erasure", responses=responses(409)
)
@Operation(
    "approveErasure",
    access=allow(office=(Role.DIRECTOR,)),
    oauth_scope="retention:write",
    events=(ErasureApproved, DataPurged),
    refusals=("second-person-required", "state-conflict", "under-legal-hold"),
)
async def approve_erasure(
    erasure_id: ErasureId, scope: Scope, erasures: Erasures, record: Record, at: Now
) -> ErasureOut:
    """Erase the contact data, needs and identity of a party; of an only complainant, also the account.

    Refused to the person who entered the request, and while a case is open or there is a legal hold. Events are kept.
    """
    erasure = await erasures.lock(erasure_id)
    approved = erasure.approve(await erasures.filled(erasure, at), by=scope.actor)
    await record(Stream(complaint_id=erasure.complaint_id), approved)
    return ErasureOut.read(await erasures.get(erasure_id, scope))


@router.post(
    "/erasures/{erasure_id}/refuse", dependencies=[IDEMPOTENT], summary="Refuse an erasure", responses=responses(409)
)
@Operation(
    "refuseErasure",
    access=allow(office=(Role.DIRECTOR,)),
    oauth_scope="retention:write",
    events=(ErasureRefused,),
    refusals=("state-conflict",),
)
async def refuse_erasure(
    erasure_id: ErasureId, body: RefusalIn, scope: Scope, erasures: Erasures, record: Record
) -> ErasureOut:
    """Refuse an erasure, with a reason."""
    erasure = await erasures.lock(erasure_id)
    await record(Stream(complaint_id=erasure.complaint_id), (erasure.refuse(body.reason),))
    return ErasureOut.read(await erasures.get(erasure_id, scope))
