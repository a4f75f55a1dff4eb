"""The caller: who the token says it is, and what waits for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Final, Literal, TypeVar, get_args
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from mediation_api.database.nesting import AnyRow
from mediation_api.domain import access, board
from mediation_api.domain.access import INTAKE, PARTIES, Actor, Relation, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.board import Wait
from mediation_api.domain.lifecycle import State
from mediation_api.domain.values import Alert, AssignmentState, SessionState
from mediation_api.http.dependencies import CityPolicy, LoggedScope, Today, Waiting
from mediation_api.http.fields import InstantOut, Open, Out
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.routes import Operation
from mediation_api.repository.waiting import MOST_CASES_OF_A_PARTY
from mediation_api.routers.sessions import NextSessionOut

router = APIRouter(prefix="/v1/me", route_class=StrictRoute, tags=["me"])

MOST_SHOWN: Final = 100
"""How many of each kind a mediator is shown; the lists have all of them."""

TokenSubject = Annotated[str, Field(description="`sub` of the token.", examples=["a.morgan"])]
TokenName = Annotated[
    str | None, Field(description="`name` of the token; null if it has none.", examples=["Ana Morgan"])
]
TokenScopes = Annotated[
    list[str] | None,
    Field(
        description="The scopes of this service to which the token is limited, sorted; null if it is not limited.",
        max_length=len(access.TOKEN_SCOPES),
    ),
]


class CasesByWaitOut(Out):
    """How many open cases wait for somebody or something."""

    waits_for: Open[Wait]
    cases: int = Field(description="The number of open cases.")


class CasesByAlertOut(Out):
    """How many open cases raise an alert."""

    alert: Open[Alert] = Field(description="As in `alerts` of a case.")
    cases: int = Field(description="The number of open cases.")


class OfficeWaitingOut(Out):
    """What waits for the office, over all open cases."""

    by_wait: list[CasesByWaitOut] = Field(
        description="Each value of `waits_for`, also with 0 cases.", max_length=len(Wait)
    )
    by_alert: list[CasesByAlertOut] = Field(description="Each alert, also with 0 cases.", max_length=len(Alert))
    mandatory_reports: int | None = Field(
        description="For a director, the mandatory reports to file or to drop; otherwise null."
    )


class ProposalWaitingOut(Out):
    """A case that was proposed to the mediator."""

    assignment_id: UUID
    case_id: UUID
    reference: str = Field(description="The reference of the complaint.", examples=["2026-000123"])
    answer_due_on: date = Field(description="The day until which to accept or decline.")


class SessionWaitingOut(Out):
    """A session to hold, or whose outcome to record."""

    session_id: UUID
    case_id: UUID
    reference: str = Field(description="The reference of the complaint.", examples=["2026-000123"])
    state: SessionState = Field(description="`scheduled` or `in_progress`.")
    starts_at: InstantOut = Field(description="When the session is to begin.")
    ends_at: InstantOut = Field(description="When the session is to end.")


class NotesWaitingOut(Out):
    """A closed case of which the mediator has not yet attested that the notes were destroyed."""

    assignment_id: UUID
    case_id: UUID
    reference: str = Field(description="The reference of the complaint.", examples=["2026-000123"])
    closed_at: InstantOut = Field(description="When the case closed.")


class MediatorWaitingOut(Out):
    """What waits for a mediator."""

    proposals: list[ProposalWaitingOut] = Field(
        description="By `answer_due_on`, earliest first.", max_length=MOST_SHOWN
    )
    sessions: list[SessionWaitingOut] = Field(description="By their start, earliest first.", max_length=MOST_SHOWN)
    notes: list[NotesWaitingOut] = Field(description="By the close, earliest first.", max_length=MOST_SHOWN)


class CaseWaitingOut(Out):
    """A case in which the caller has something to do."""

    case_id: UUID
    reference: str = Field(description="The reference of the complaint.", examples=["2026-000123"])
    party_id: UUID = Field(description="The caller, as a party of the case.")
    disclosure_to_answer: bool = Field(description="Whether the caller is to answer the disclosure.")
    unsigned_agreement_ids: list[UUID] = Field(
        description="The agreements that the caller has not signed yet, oldest first.", max_length=2
    )
    next_session: NextSessionOut | None = Field(description="The session that is scheduled or in progress, if any.")


class MeForOfficeOut(Out):
    """A member of the office's staff, or an auditor."""

    audience: Literal["office"] = Field(description="Who is reading.")
    subject: TokenSubject
    role: Open[Role] = Field(description="The role that the token names.")
    name: TokenName
    scopes: TokenScopes
    waiting: OfficeWaitingOut | None = Field(description="Null if the token is limited to scopes without `cases:read`.")


class MeForMediatorOut(Out):
    """A mediator."""

    audience: Literal["mediator"] = Field(description="Who is reading.")
    subject: TokenSubject
    role: Open[Role] = Field(description="The role that the token names.")
    name: TokenName
    scopes: TokenScopes
    mediator_id: UUID | None = Field(
        description="The mediator's entry on the roster. Null if there is none for `subject`, or the token is limited "
        "to scopes without `cases:read`."
    )
    waiting: MediatorWaitingOut | None = Field(
        description="Null if the token is limited to scopes without `cases:read`."
    )


class MeForPartyOut(Out):
    """A party. It may have several cases: an officer in several complaints."""

    audience: Literal["party"] = Field(description="Who is reading.")
    subject: TokenSubject
    role: Open[Role] = Field(description="The role that the token names.")
    name: TokenName
    scopes: TokenScopes
    party_id: UUID | None = Field(description="The party that a complainant's token speaks for; null for an officer.")
    waiting: list[CaseWaitingOut] | None = Field(
        description="The open cases in which the caller has something to do, newest first. Null if the token is "
        "limited to scopes without `cases:read`.",
        max_length=MOST_CASES_OF_A_PARTY,
    )


class MeForIntegrationOut(Out):
    """A program of the city. Nothing waits for it."""

    audience: Literal["integration"] = Field(description="Who is reading.")
    subject: TokenSubject
    role: Open[Role] = Field(description="The role that the token names.")
    name: TokenName
    scopes: TokenScopes


AnyMe = Annotated[
    MeForOfficeOut | MeForMediatorOut | MeForPartyOut | MeForIntegrationOut, Field(discriminator="audience")
]
Me = TypeVar("Me", bound=Out)


@router.get("", summary="The caller")
@Operation(
    "getMe",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, proposed=True, filed=True),
    oauth_scope=None,
    opens=LoggedObject.LIST,
)
async def get_me(scope: LoggedScope, waiting: Waiting, city: CityPolicy, on: Today) -> AnyMe:
    """Return who the token says the caller is, and what waits for the caller.

    For staff, numbers of open cases; for a mediator, proposals, sessions and notes; for a party, what it has to answer,
    to sign and to attend. The reads of a mediator are logged if they show a case.
    """
    actor, sees_cases = scope.actor, not access.is_limited_from("cases:read", scope.actor)
    match scope.relation:
        case Relation.OFFICE:
            found = await waiting.for_office(today=on, policy=city) if sees_cases else None
            return _me(MeForOfficeOut, actor, waiting=found and _of_office(found, actor.role))
        case Relation.PROPOSED:
            found = await waiting.for_mediator(scope) if sees_cases else None
            entry, lists = found and found["mediator_id"], found and _of_mediator(found)
            return _me(MeForMediatorOut, actor, mediator_id=entry, waiting=lists)
        case Relation.OWN:
            cases = _of_party(await waiting.for_party(scope)) if sees_cases else None
            return _me(MeForPartyOut, actor, party_id=actor.party_id, waiting=cases)
        case _:
            return _me(MeForIntegrationOut, actor)


def _me(model: type[Me], actor: Actor, **more: object) -> Me:
    scopes = None if actor.scopes is None else sorted(actor.scopes)
    audience = get_args(model.model_fields["audience"].annotation)[0]
    caller = {"audience": audience, "subject": actor.subject, "role": actor.role, "name": actor.name, "scopes": scopes}
    return model.model_validate({**caller, **more})


def _of_office(found: AnyRow, role: Role) -> OfficeWaitingOut:
    by_wait: Counter[Wait | None] = Counter()
    by_alert: Counter[Alert] = Counter()
    for kind in found["kinds"]:
        by_wait[_wait(kind)] += kind["cases"]
        by_alert.update({alert: kind["cases"] for alert in Alert if kind[alert.value]})
    return OfficeWaitingOut(
        by_wait=[CasesByWaitOut(waits_for=wait, cases=by_wait[wait]) for wait in Wait],
        by_alert=[CasesByAlertOut(alert=alert, cases=by_alert[alert]) for alert in Alert],
        mandatory_reports=found["mandatory_reports"] if role is Role.DIRECTOR else None,
    )


def _wait(kind: Mapping[str, object]) -> Wait | None:
    assignment = kind["assignment"]
    return board.waits_for(
        State(str(kind["state"])),
        under_review=kind["under_review"] is True,
        assignment=None if assignment is None else AssignmentState(str(assignment)),
        screening_outdated=kind["screening_outdated"] is True,
    )


def _of_mediator(found: AnyRow) -> MediatorWaitingOut:
    return MediatorWaitingOut.model_validate(
        {name: found[name][:MOST_SHOWN] for name in MediatorWaitingOut.model_fields}
    )


def _of_party(rows: Sequence[AnyRow]) -> list[CaseWaitingOut]:
    tasks = ("disclosure_to_answer", "unsigned_agreement_ids", "next_session")
    return [CaseWaitingOut.read(row) for row in rows if any(row[task] for task in tasks)]
