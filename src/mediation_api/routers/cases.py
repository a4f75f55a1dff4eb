"""Cases: the list of cases, a case for each audience, its timeline and its readiness."""

from datetime import date
from functools import partial
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, JsonValue

from mediation_api.database.nesting import AnyRow
from mediation_api.domain import board, closing, sessions, target
from mediation_api.domain.access import INTAKE, PARTIES, Audience, Relation, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.errors import Missing, NotFound
from mediation_api.domain.events import Event, Visibility
from mediation_api.domain.lifecycle import State
from mediation_api.domain.policy import Policy
from mediation_api.domain.target import Pace
from mediation_api.domain.values import (
    MOST_ALLEGATIONS,
    MOST_CONDITIONS,
    MOST_PARTIES,
    MOST_PARTS,
    Alert,
    AssignmentState,
    Disposition,
    LapseReason,
    Side,
    Standing,
)
from mediation_api.http.dependencies import (
    CaseId,
    CaseQueries,
    Cases,
    CityPolicy,
    LoggedScope,
    Timeline,
    Today,
)
from mediation_api.http.fields import Day, Flag, InstantOut, Language, Line, Open, OpenList, Out, Uuid
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import FOR_INTAKE, FOR_THE_OFFICE, ListOut, ListQuery, Pages
from mediation_api.http.problems import MissingCondition, localize, missing_condition
from mediation_api.http.routes import Operation
from mediation_api.repository.case_queries import CaseListFilter, CaseSort
from mediation_api.routers.sessions import NextSessionOut

router = APIRouter(prefix="/v1/cases", route_class=StrictRoute, tags=["cases"])

# ── response models ────────────────────────────────────────────────────────────────────────────────────────────────


class TargetInCaseOut(Out):
    """The four-week target. Missing it has no effect on the case. `getTarget` counts the days."""

    requested_on: date = Field(
        description="The office's date on which mediation was asked for; the four weeks count from it."
    )
    due_on: date = Field(
        description="`requested_on` and 28 days, unless the city set another length. Pauses do not move it."
    )
    pace: Pace | None = Field(description="Null for a case that closed without mediation.")


class ParticipantOut(Out):
    """A party in this case."""

    party_id: UUID
    side: Side
    name: str = Field(description="As the person writes it.")
    standing: Standing
    asked_at: InstantOut | None = Field(description="When the party was asked to take part; null before.")
    left_at: InstantOut | None = Field(description="When the party left the case; null while it is in it.")
    unexcused_absences: int = Field(description="How many of them count towards a lapse.")


class PartInCaseOut(Out):
    """One complainant and one officer in this case."""

    complainant_id: UUID
    officer_id: UUID
    disposition: Disposition
    agreement_reached: bool | None = Field(
        description="For a mediated part: whether both signed a resolution agreement."
    )
    session_completed: bool | None = Field(
        description="For an open part: whether both parties attended a completed session, as closing it as mediated "
        "requires."
    )


class AssignmentInCaseOut(Out):
    """The mediator to whom the case was proposed, or who accepted it."""

    id: UUID
    mediator_id: UUID
    name: str = Field(description="The mediator's name.")
    state: AssignmentState
    answer_due_on: date = Field(description="The date by which the mediator is to answer.")


class CaseOut(Out):
    """A case, as the office sees it."""

    audience: Literal["office"] = Field(description="Who is reading.")
    id: UUID
    complaint_id: UUID
    reference: str = Field(examples=["2026-000123"], description="The reference of the complaint.")
    attempt: int = Field(description="Counts the cases of the complaint, from 1.")
    state: State
    waits_for: Open[board.Wait] | None = Field(description="Null for a closed case.")
    alerts: Annotated[list[Open[Alert]], Field(description="Empty for a closed case.", max_length=len(Alert))]
    target: TargetInCaseOut
    coordinator: str | None = Field(
        description="The subject of the token of the coordinator; null if the case has none."
    )
    coordinator_name: str | None = Field(description="The name in that token, once that person has recorded something.")
    participants: Annotated[
        list[ParticipantOut], Field(description="Also those who have left.", max_length=MOST_PARTIES)
    ]
    parts: Annotated[list[PartInCaseOut], Field(description="Pairs of complainant and officer.", max_length=MOST_PARTS)]
    assignment: AssignmentInCaseOut | None = Field(description="Null if no proposal is open or accepted.")
    next_session: NextSessionOut | None = Field(description="Null if there is none.")
    agreement_reached: bool | None = Field(
        description="For a mediated case: whether the parties of some part signed a resolution; null for all others."
    )
    lapse_reason: Open[LapseReason] | None = Field(description="Null unless the case lapsed.")
    opened_at: InstantOut = Field(description="When mediation was requested.")
    closed_at: InstantOut | None = Field(description="When it closed; null while it is open.")


class ParticipantForMediatorOut(Out):
    """A party, as the mediator sees it. Contacts and accommodations are null until the mediator has accepted."""

    party_id: UUID
    side: Side
    name: str = Field(description="As the person writes it.")
    language: str = Field(description="The language in which the person is written to.")
    interpreter_language: str | None = Field(
        description="The language of the interpreter, sign languages included; null if none is needed."
    )
    minor: bool = Field(description="Whether a complainant is under 18: a guardian must agree and be present.")
    accommodations: str | None = Field(description="Null until the mediator has accepted, or if nothing is known.")
    phone: str | None = Field(description="Null until the mediator has accepted, or if none is known.")
    email: str | None = Field(description="Null until the mediator has accepted, or if none is known.")
    safe_contact: str | None = Field(description="Null until the mediator has accepted, or if nothing is known.")


class OwnAssignmentOut(Out):
    """The mediator's own assignment."""

    id: UUID
    state: AssignmentState
    answer_due_on: date = Field(description="The date by which the mediator is to answer.")


class CaseForMediatorOut(Out):
    """A case, as the mediator sees it: a summary to check for conflicts of interest, and contacts after accepting."""

    audience: Literal["mediator"] = Field(description="Who is reading.")
    id: UUID
    reference: str = Field(description="The reference of the complaint.")
    state: State
    target: TargetInCaseOut
    incident_on: date | None = Field(description="The office's date of the incident; null if unknown.")
    allegations: Annotated[list[str], Field(max_length=MOST_ALLEGATIONS)] = Field(
        description="Categories of the city's list."
    )
    assignment: OwnAssignmentOut
    participants: Annotated[
        list[ParticipantForMediatorOut], Field(description="The parties who have not left.", max_length=MOST_PARTIES)
    ]
    next_session: NextSessionOut | None = Field(description="Null if there is none.")


class YouOut(Out):
    """The caller as a party of the case."""

    party_id: UUID
    side: Side
    standing: Standing


class OwnPartOut(Out):
    """The part of the complaint between the caller and one party of the other side."""

    complainant_id: UUID
    officer_id: UUID
    disposition: Disposition


class OtherPartyOut(Out):
    """Another party, visible once both sides have agreed, without contacts."""

    party_id: UUID
    side: Side
    name: str = Field(description="As the person writes it.")


class CaseForPartyOut(Out):
    """A case, as a party sees it. Until `ready`, answers are sealed: nothing here depends on the answers of others."""

    audience: Literal["party"] = Field(description="Who is reading.")
    id: UUID
    reference: str = Field(description="The reference of the complaint.")
    state: board.StateForParty = Field(description="`not_mediated` does not reveal who ended the case or why.")
    requested_on: date = Field(
        description="The office's date on which mediation was asked for; the four weeks count from it."
    )
    due_on: date = Field(
        description="`requested_on` and 28 days, unless the city set another length. Pauses do not move it."
    )
    incident_on: date | None = Field(description="The office's date of the incident; null if unknown.")
    allegations: Annotated[list[str], Field(max_length=MOST_ALLEGATIONS)] = Field(
        description="Categories of the city's list."
    )
    you: YouOut
    parts: Annotated[list[OwnPartOut], Field(max_length=MOST_PARTS)] = Field(
        description="The caller's own parts. Empty until the case is `ready` or closed, or the caller has left."
    )
    others: Annotated[
        list[OtherPartyOut], Field(description="Empty until both sides have agreed.", max_length=MOST_PARTIES)
    ]
    mediator_name: str | None = Field(description="Null until the case is `ready` and a mediator has accepted it.")
    next_session: NextSessionOut | None = Field(description="Null if there is none.")


AnyCase = Annotated[CaseOut | CaseForMediatorOut | CaseForPartyOut, Field(discriminator="audience")]


class CaseList(ListOut[AnyCase]):
    """One page of cases."""


def to_response(row: AnyRow, on: date, city: Policy) -> CaseOut | CaseForMediatorOut | CaseForPartyOut:
    """Return the response about a case on a day, for the audience for which it was read."""
    match row["audience"]:
        case Audience.OFFICE:
            return to_office(row, on, city)
        case Audience.MEDIATOR:
            return CaseForMediatorOut.read(row, target=_target(row, _pace(row, on, city)))
        case _:
            own = (Disposition(part["disposition"]) for part in row["parts"])
            state = board.state_for_party(State(row["state"]), Standing(row["you"]["standing"]), own)
            return CaseForPartyOut.read(row, state=state)


def to_office(row: AnyRow, on: date, city: Policy) -> CaseOut:
    """Return the response about a case that was read for the office."""
    state, pace, assignment = State(row["state"]), _pace(row, on, city), row["assignment"]
    proposed = assignment is not None and assignment["state"] == AssignmentState.PROPOSED
    return CaseOut.read(
        row,
        target=_target(row, pace),
        waits_for=board.waits_for(
            state,
            under_review=row["under_review"],
            assignment=None if assignment is None else AssignmentState(assignment["state"]),
            screening_outdated=row["screening_outdated"],
        ),
        alerts=board.alerts(
            state,
            target.alerts(pace, row["requested_on"], on, city.target),
            today=on,
            answer_due_on=date.fromisoformat(assignment["answer_due_on"]) if proposed else None,
            absences=[(Side(p["side"]), p["unexcused_absences"]) for p in row["participants"]],
            policy=city,
            screening_outdated=row["screening_outdated"],
        ),
    )


def closed_on(row: AnyRow, city: Policy) -> date | None:
    """Return the day on which a case closed, in the office's time zone; None if it is open."""
    return None if row["closed_at"] is None else target.local_date(row["closed_at"], city.target)


def _pace(row: AnyRow, on: date, city: Policy) -> Pace | None:
    mediated = row["state"] == State.MEDIATED
    return target.pace(row["due_on"], on, closed_on(row, city), city.target, mediated=mediated)


def _target(row: AnyRow, pace: Pace | None) -> dict[str, object]:
    """Return the fields of `TargetInCaseOut`."""
    return {"requested_on": row["requested_on"], "due_on": row["due_on"], "pace": pace}


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────


class CaseListQuery(ListQuery):
    """Filters of the list, which all hold for the same case. Everybody may filter by `complaint_id`."""

    open: Flag | None = Field(None, description=f"Whether the case is open. {FOR_THE_OFFICE}")
    state: State | None = Field(None, description=f"Cases in this state. {FOR_THE_OFFICE}")
    pace: Pace | None = Field(None, description=f"Cases at this pace towards the due date. {FOR_THE_OFFICE}")
    waits_for: board.Wait | None = Field(None, description=f"Cases whose turn this is. {FOR_THE_OFFICE}")
    alert: Alert | None = Field(None, description=f"Cases with this alert. {FOR_THE_OFFICE}")
    may_lapse: Flag | None = Field(
        None,
        description="Open cases with a party that may lapse: it was absent too often, or not reached after enough "
        f"attempts. None lapses by itself. {FOR_THE_OFFICE}",
    )
    coordinator: Line | None = Field(None, description=f"Cases of this coordinator. {FOR_THE_OFFICE}")
    mediator_id: Uuid | None = Field(
        None, description=f"Cases that are proposed to this mediator, or that the mediator accepted. {FOR_THE_OFFICE}"
    )
    due_on_before: Day | None = Field(None, description=f"Cases due before this date. {FOR_THE_OFFICE}")
    closed_on_from: Day | None = Field(None, description=f"Cases closed on this date or later. {FOR_THE_OFFICE}")
    closed_on_before: Day | None = Field(None, description=f"Cases closed before this date. {FOR_THE_OFFICE}")
    language: Language | None = Field(
        None,
        description="Cases with a party that has not left, and whose language or interpreter's language this is. "
        f"{FOR_INTAKE}",
    )
    precinct: Line | None = Field(None, description=f"Cases of complaints about this precinct. {FOR_INTAKE}")
    complaint_id: Uuid | None = Field(None, description="The cases of this complaint.")
    sort: CaseSort = Field(CaseSort.DUE_FIRST, description="The order; `-` is descending.")

    for_office: ClassVar = frozenset(
        {
            *("open", "state", "pace", "waits_for", "alert", "may_lapse", "coordinator", "mediator_id"),
            *("due_on_before", "closed_on_from", "closed_on_before"),
        }
    )
    for_intake: ClassVar = frozenset({"language", "precinct"})


@router.get("", summary="Cases")
@Operation(
    "listCases",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, proposed=True),
    oauth_scope="cases:read",
    opens=LoggedObject.LIST,
    has_csv=True,
)
async def list_cases(
    query: Annotated[CaseListQuery, Query()],
    pages: Pages,
    scope: LoggedScope,
    cases: CaseQueries,
    city: CityPolicy,
    on: Today,
) -> CaseList:
    """List the cases within the caller's access scope. Default order: by due date."""
    query.check_open_to(scope)
    page = await cases.list(scope, CaseListFilter(**query.model_dump()), pages.request, today=on, policy=city)
    return pages.response(CaseList, page, partial(to_response, on=on, city=city))


@router.get("/{case_id}", summary="A case")
@Operation(
    "getCase",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, proposed=True),
    oauth_scope="cases:read",
    opens=LoggedObject.CASE,
)
async def get_case(case_id: CaseId, scope: LoggedScope, cases: CaseQueries, city: CityPolicy, on: Today) -> AnyCase:
    """Return a case, with the fields of the caller's audience."""
    return to_response(await cases.get(case_id, scope), on, city)


def _kinds_for(*visibilities: Visibility) -> tuple[str, ...]:
    """Return the kinds of events with these visibilities."""
    return tuple(sorted({event.kind for event in Event.__subclasses__() if event.visibility in visibilities}))


OfficeEventKind = Annotated[
    str,
    OpenList("EventKind", _kinds_for(Visibility.STAFF, Visibility.OWN, Visibility.PARTICIPANTS), "What happened."),
]
SharedEventKind = Annotated[
    str, OpenList("SharedEventKind", _kinds_for(Visibility.OWN, Visibility.PARTICIPANTS), "What happened.")
]


class EventOut(Out):
    """An event, as it is recorded. `data` contains ids, codes and dates, but no names or texts."""

    audience: Literal["office"] = Field(description="Who is reading.")
    id: UUID
    occurred_at: InstantOut = Field(description="When it was recorded.")
    kind: OfficeEventKind
    party_id: UUID | None = Field(description="The party that it concerns, if one.")
    by_role: Open[Role]
    by: str = Field(description="The subject of the token.")
    by_name: str | None = Field(description="The name in that token; null if it had none, and for a party.")
    data: dict[str, JsonValue] = Field(description="What else the event holds: ids, codes, dates and numbers, by kind.")


class SharedEventOut(Out):
    """An event, as a party or the mediator sees it."""

    audience: Literal["mediator", "party"] = Field(description="Who is reading.")
    id: UUID
    occurred_at: InstantOut = Field(description="When it was recorded.")
    kind: SharedEventKind
    party_id: UUID | None = Field(description="Null, or the caller's own party.")


AnyEvent = Annotated[EventOut | SharedEventOut, Field(discriminator="audience")]


class EventList(ListOut[AnyEvent]):
    """One page of a timeline, oldest first."""


def _event(row: AnyRow) -> EventOut | SharedEventOut:
    return EventOut.read(row) if row["audience"] == Audience.OFFICE else SharedEventOut.read(row)


@router.get("/{case_id}/timeline", summary="The timeline of a case")
@Operation(
    "listTimelineEvents",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
    oauth_scope="cases:read",
    opens=LoggedObject.CASE,
)
async def list_timeline_events(case_id: CaseId, pages: Pages, scope: LoggedScope, timeline: Timeline) -> EventList:
    """List the events of a case, oldest first: all for the office; for others, those that reveal no sealed answer."""
    return pages.response(EventList, await timeline.of_case(case_id, scope, pages.request), _event)


class GateOut(Out):
    """The conditions of one step. It is open if none is missing."""

    open: bool = Field(description="Whether the step can be taken now.")
    missing: Annotated[
        list[MissingCondition], Field(description="Empty if the step is possible.", max_length=MOST_CONDITIONS)
    ]

    @classmethod
    def of(cls, request: Request, missing: tuple[Missing, ...]) -> Self:
        """Return the gate for the missing conditions, in the language that the caller prefers."""
        return cls(open=not missing, missing=[missing_condition(request, each) for each in missing])


class ReadinessOut(Out):
    """The missing conditions of the next steps. A refused command lists the same."""

    audience: Literal["office", "mediator"] = Field(description="Who is reading.")
    scheduling: GateOut
    starting: GateOut
    closing: GateOut = Field(description="Closing the case as mediated.")


class OwnReadinessOut(Out):
    """The conditions that the caller has not met yet. Those of other parties are not included."""

    audience: Literal["party"] = Field(description="Who is reading.")
    missing: Annotated[
        list[MissingCondition], Field(description="What the caller itself has still to do.", max_length=MOST_CONDITIONS)
    ]


AnyReadiness = Annotated[ReadinessOut | OwnReadinessOut, Field(discriminator="audience")]


@router.get("/{case_id}/readiness", summary="Readiness of a case")
@Operation(
    "getReadiness",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
    oauth_scope="cases:read",
    opens=LoggedObject.CASE,
)
async def get_readiness(
    case_id: CaseId, scope: LoggedScope, cases: Cases, city: CityPolicy, request: Request, response: Response
) -> AnyReadiness:
    """Return the missing conditions for scheduling, starting and closing as mediated; for a party, only its own."""
    localize(request, response)
    case, own_party_id = await cases.read(case_id, scope)
    if scope.relation is Relation.OWN:
        if own_party_id is None:
            raise NotFound
        own = sessions.missing_of(case, own_party_id, city)
        return OwnReadinessOut(audience="party", missing=[missing_condition(request, each) for each in own])
    return ReadinessOut(
        audience="mediator" if scope.relation is Relation.ASSIGNED else "office",
        scheduling=GateOut.of(request, sessions.missing_to_schedule(case, city)),
        starting=GateOut.of(request, sessions.missing_to_start(case)),
        closing=GateOut.of(request, closing.missing_to_close(case)),
    )
