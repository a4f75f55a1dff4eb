"""Mails: what the parties and mediators of a case were written. Only the office sees them, without address and text."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from mediation_api.domain.access import INTAKE, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.values import MailKind, MailState
from mediation_api.http.dependencies import CaseId, LoggedScope, Mails
from mediation_api.http.fields import InstantOut, Open, Out
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["cases"])


class MailOut(Out):
    """A mail to one party or mediator."""

    id: UUID = Field(description="Also the first part of the mail's `Message-ID`.")
    case_id: UUID
    kind: Open[MailKind]
    party_id: UUID | None = Field(description="The party that it is to; null for a mediator.")
    mediator_id: UUID | None = Field(description="The mediator that it is to; null for a party.")
    state: Open[MailState]
    attempts: int = Field(description="How often it was given to the mail server.")
    smtp_code: int | None = Field(
        description="The server's last answer (RFC 5321): 550 is no such mailbox, 452 a full one; null if it gave none."
    )
    queued_at: InstantOut = Field(description="When the reason for it arose.")
    next_attempt_at: InstantOut | None = Field(description="Null once it was sent, has failed or was dropped.")
    finished_at: InstantOut | None = Field(description="When it was sent, failed or was dropped.")


class MailList(ListOut[MailOut]):
    """The mails to the parties and mediators of a case, in the order in which they were queued."""


@router.get("/cases/{case_id}/mails", summary="The mails of a case")
@Operation(
    "listMails",
    access=allow(office=(*INTAKE, Role.AUDITOR)),
    oauth_scope="cases:read",
    opens=LoggedObject.CASE,
)
async def list_mails(case_id: CaseId, pages: Pages, scope: LoggedScope, mails: Mails) -> MailList:
    """List the mails of a case, oldest first. The addresses are those on file when a mail is sent, and are not kept."""
    return pages.response(MailList, await mails.of_case(case_id, scope, pages.request), MailOut.read)
