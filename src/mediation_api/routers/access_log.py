"""Who opened a case: for the office to look after, and for a party to know."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import RowMapping

from mediation_api.domain.access import INTAKE, PARTIES, Role, allow
from mediation_api.domain.access_log import LoggedObject, Purpose
from mediation_api.http.dependencies import AccessLog, CaseId, CityPolicy, LoggedScope
from mediation_api.http.fields import InstantOut, Out
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/v1/cases/{case_id}/access-log", route_class=StrictRoute, tags=["access-log"])


class AccessOut(Out):
    """Somebody opened the case, its complaint or one of its parties, or saw it on a page of a list."""

    audience: Literal["office"]
    at: InstantOut
    by_role: Role
    by: str = Field(description="The subject of the token.")
    operation: str = Field(
        examples=["getCase"], description="Its `operationId`: together with the role it says which fields were shown."
    )
    opened: LoggedObject
    purpose: Purpose
    party_id: UUID | None = Field(description="Whose contacts and needs were shown, where it was one party's.")


class AccessForPartyOut(Out):
    """The office or the mediator opened the case, the complaint, or what is on file of the caller."""

    audience: Literal["party"]
    on: date = Field(description="The day, in the office's time zone.")
    by_role: Role
    opened: LoggedObject


AnyAccess = Annotated[AccessOut | AccessForPartyOut, Field(discriminator="audience")]


class AccessList(ListOut[AnyAccess]):
    """One page of readings, newest first."""


def _to_response(row: RowMapping) -> AccessOut | AccessForPartyOut:
    if "operation" in row:
        return AccessOut.read(row, audience="office")
    return AccessForPartyOut.read(row, audience="party")


@router.get("", summary="Who opened the case")
@Operation(
    "listAccessLog",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
    scope="cases:read",
    opens=LoggedObject.CASE,
)
async def list_access_log(
    case_id: CaseId, pages: Pages, scope: LoggedScope, readings_of: AccessLog, city: CityPolicy
) -> AccessList:
    """Who opened the case, when and for what. A party sees the day and the role, once answers are not sealed any more.

    Until then it sees what was opened before anybody was asked: staff open a case because of what was answered.
    """
    page = await readings_of.of_case(case_id, scope, pages.request, zone=city.target.zone)
    return pages.response(AccessList, page, _to_response)
