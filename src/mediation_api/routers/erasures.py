"""Erasure at a person's request: one of the office enters it, a director who did not enter it decides."""

from uuid import UUID

from fastapi import APIRouter

from mediation_api.contract.responses import responses
from mediation_api.domain.events import ErasureRequested
from mediation_api.domain.values import ErasureRefusal, ErasureState
from mediation_api.http.dependencies import ErasureId, Erasures, NewId, Now, Opened, PartyId, Reached
from mediation_api.http.fields import In, InstantOut, Out
from mediation_api.http.idempotency import ONCE
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import Listing, whole

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["retention"])


class RefusalIn(In):
    """Why nothing is erased."""

    reason: ErasureRefusal


class ErasureOut(Out):
    """A request to erase what is held of a party."""

    id: UUID
    party_id: UUID
    state: ErasureState
    requested_at: InstantOut
    requested_by: str
    decided_at: InstantOut | None
    decided_by: str | None
    refusal: ErasureRefusal | None


class ErasureList(Listing[ErasureOut]):
    """The requests of a party, oldest first."""


@router.post(
    "/parties/{party_id}/erasures",
    dependencies=[ONCE],
    status_code=201,
    summary="Request an erasure",
    responses=responses(409),
)
async def request_erasure(
    party_id: PartyId, reached: Reached, erasures: Erasures, at: Now, erasure_id: NewId
) -> ErasureOut:
    """Enter that a party asked for what is held of it to be erased. Nothing is, before a director approves."""
    requested = ErasureRequested(erasure_id=erasure_id, party_id=party_id)
    await erasures.enter(requested, by=reached.actor, at=at)
    return ErasureOut(
        id=erasure_id,
        party_id=party_id,
        state=ErasureState.REQUESTED,
        requested_at=at,
        requested_by=reached.actor.subject,
        decided_at=None,
        decided_by=None,
        refusal=None,
    )


@router.get("/parties/{party_id}/erasures", summary="Erasures")
async def list_erasures(party_id: PartyId, reached: Opened, erasures: Erasures) -> ErasureList:
    """The requests of a party, and what became of them."""
    return whole(ErasureList, await erasures.list(party_id, reached), ErasureOut.read)


@router.post(
    "/erasures/{erasure_id}/approve", dependencies=[ONCE], summary="Approve an erasure", responses=responses(409)
)
async def approve_erasure(erasure_id: ErasureId, reached: Reached, erasures: Erasures, at: Now) -> ErasureOut:
    """Erase what is held of the party: contact, needs, identity, and the account of a complainant who was the only one.

    Whoever entered the request cannot, and nobody can while a case is open or a legal hold in place. The record stays.
    """
    erasure = await erasures.lock(erasure_id)
    return ErasureOut.read(await erasures.decide(erasure.approve(by=reached.actor), by=reached.actor, at=at))


@router.post(
    "/erasures/{erasure_id}/refuse", dependencies=[ONCE], summary="Refuse an erasure", responses=responses(409)
)
async def refuse_erasure(
    erasure_id: ErasureId, body: RefusalIn, reached: Reached, erasures: Erasures, at: Now
) -> ErasureOut:
    """Let nothing be erased, and say why."""
    erasure = await erasures.lock(erasure_id)
    return ErasureOut.read(await erasures.decide(erasure.refuse(body.reason), by=reached.actor, at=at))
