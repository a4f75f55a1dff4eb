"""Contact attempts: when the office tried to reach a party. Only the office sees them, and they have no content."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from mediation_api.contract.responses import responses
from mediation_api.domain import contact
from mediation_api.domain.access import INTAKE, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.case_children import ContactAttempt
from mediation_api.domain.events import ContactAttempted
from mediation_api.domain.values import ContactChannel, ContactResult
from mediation_api.http.dependencies import (
    CaseId,
    CaseRecords,
    Cases,
    CityPolicy,
    ContactAttemptId,
    LoggedScope,
    NewId,
    Now,
    Record,
    Scope,
)
from mediation_api.http.fields import In, Instant, InstantOut, Open, Out, Uuid
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["cases"])


class ContactAttemptIn(In):
    """An attempt to reach a party, and its result. There is no field for what was said."""

    party_id: Uuid
    channel: ContactChannel
    result: ContactResult
    attempted_at: Instant


class ContactAttemptOut(Out):
    """An attempt to reach a party. After enough of them, the party can lapse; `reached` resets the count."""

    id: UUID
    case_id: UUID
    party_id: UUID
    channel: Open[ContactChannel]
    result: Open[ContactResult]
    attempted_at: InstantOut = Field(description="When the office tried.")
    recorded_at: InstantOut = Field(description="When staff entered it.")
    by_role: Open[Role]
    by: str = Field(description="The subject of that person's token.")
    by_name: str | None = Field(description="The name in that token; null if it had none.")


class ContactAttemptList(ListOut[ContactAttemptOut]):
    """The attempts to reach the parties of a case, in the order in which they were recorded."""


@router.post(
    "/cases/{case_id}/contact-attempts",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Record a contact attempt",
    responses=responses(409),
)
@Operation(
    "recordContactAttempt",
    access=allow(office=INTAKE),
    oauth_scope="cases:write",
    events=(ContactAttempted,),
    location="/v1/contact-attempts/{id}",
    refusals=("case-closed", "in-the-future", "not-asked", "not-before-request", "party-left"),
)
async def record_contact_attempt(
    case_id: CaseId,
    body: ContactAttemptIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    records: CaseRecords,
    city: CityPolicy,
    at: Now,
    attempt_id: NewId,
) -> ContactAttemptOut:
    """Record an attempt to reach a party. Parties do not see it."""
    locked = await cases.lock(case_id, scope)
    attempt = ContactAttempt(**dict(body))
    recorded = contact.record_attempt(locked.case, attempt, attempt_id=attempt_id, at=at, policy=city)
    await record(locked.stream, recorded)
    return ContactAttemptOut.read(await records.contact_attempt(attempt_id, scope))


@router.get("/cases/{case_id}/contact-attempts", summary="Contact attempts")
@Operation(
    "listContactAttempts",
    access=allow(office=(*INTAKE, Role.AUDITOR)),
    oauth_scope="cases:read",
    opens=LoggedObject.CASE,
)
async def list_contact_attempts(
    case_id: CaseId, pages: Pages, scope: LoggedScope, records: CaseRecords
) -> ContactAttemptList:
    """List the attempts to reach the parties of a case, in the order in which they were recorded."""
    return pages.response(
        ContactAttemptList, await records.contact_attempts(case_id, scope, pages.request), ContactAttemptOut.read
    )


@router.get("/contact-attempts/{contact_attempt_id}", summary="A contact attempt")
@Operation(
    "getContactAttempt",
    access=allow(office=(*INTAKE, Role.AUDITOR)),
    oauth_scope="cases:read",
    opens=LoggedObject.CASE,
)
async def get_contact_attempt(
    contact_attempt_id: ContactAttemptId, scope: LoggedScope, records: CaseRecords
) -> ContactAttemptOut:
    """Return an attempt to reach a party."""
    return ContactAttemptOut.read(await records.contact_attempt(contact_attempt_id, scope))
