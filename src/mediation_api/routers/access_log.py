"""The access log of a case: who opened it, for the office and for its parties."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from mediation_api.database.nesting import AnyRow
from mediation_api.domain.access import INTAKE, PARTIES, Role, allow
from mediation_api.domain.access_log import LoggedObject, Purpose
from mediation_api.http.dependencies import AccessLog, CaseId, CityPolicy, LoggedScope
from mediation_api.http.fields import InstantOut, Open, Out
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/v1/cases/{case_id}/access-log", route_class=StrictRoute, tags=["access-log"])


class AccessOut(Out):
    """A read of the case, its complaint or one of its parties, or of a page of a list that contained it."""

    audience: Literal["office"] = Field(description="Who is reading.")
    opened_at: InstantOut = Field(description="When.")
    by_role: Open[Role]
    by: str = Field(description="The subject of the token.")
    by_name: str | None = Field(description="The name in this person's token, once they have recorded something.")
    operation: str = Field(
        examples=["getCase"],
        description="The `operationId`. With the role, it determines which fields were returned.",
    )
    opened: Open[LoggedObject]
    purpose: Open[Purpose]
    party_id: UUID | None = Field(description="The party, if the data of one party was read.")


class AccessForPartyOut(Out):
    """A read of the case, the complaint or the caller's own data by the office or the mediator."""

    audience: Literal["party"] = Field(description="Who is reading.")
    opened_on: date = Field(description="The day, in the office's time zone.")
    by_role: Open[Role]
    opened: Open[LoggedObject]


AnyAccess = Annotated[AccessOut | AccessForPartyOut, Field(discriminator="audience")]


class AccessList(ListOut[AnyAccess]):
    """One page of the access log, newest entry first."""


def _to_response(row: AnyRow) -> AccessOut | AccessForPartyOut:
    if "operation" in row:
        return AccessOut.read(row, audience="office")
    return AccessForPartyOut.read(row, audience="party")


@router.get("", summary="Who opened the case")
@Operation(
    "listAccessLog",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
    oauth_scope="cases:read",
    opens=LoggedObject.CASE,
    has_csv=True,
)
async def list_access_log(
    case_id: CaseId, pages: Pages, scope: LoggedScope, access_log: AccessLog, city: CityPolicy
) -> AccessList:
    """List who opened the case, when and for what purpose. A party sees only the day, the role and what was opened.

    While answers are sealed, a party sees only entries from before the first party was asked: later ones could reveal
    that somebody answered.
    """
    page = await access_log.of_case(case_id, scope, pages.request, zone=city.target.zone)
    return pages.response(AccessList, page, _to_response)
