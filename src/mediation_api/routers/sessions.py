"""Sessions: scheduling, starting and finishing them, and attendees besides the parties and the mediator.

Only the process is recorded. There is no field for what was said, who apologised, or who broke a rule.
"""

from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from mediation_api.contract.responses import responses
from mediation_api.database import tables
from mediation_api.database.nesting import AnyRow
from mediation_api.domain import sessions
from mediation_api.domain.access import CASEWORK, INTAKE, PARTIES, Audience, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.events import (
    AbsenceRecorded,
    AttendeeAdded,
    AttendeeConfirmed,
    Booking,
    CaseClosed,
    PartReturned,
    SessionAdjourned,
    SessionCancelled,
    SessionCompleted,
    SessionEnded,
    SessionRescheduled,
    SessionScheduled,
    SessionStarted,
    StateChanged,
)
from mediation_api.domain.values import (
    MOST_PARTIES,
    MOST_SEATS,
    AttendeeRole,
    EndReason,
    InterpreterRelation,
    Mode,
    OffHoursReason,
    Seat,
    SeatRole,
    SessionState,
)
from mediation_api.http.dependencies import (
    AttendeeId,
    CaseId,
    Cases,
    CityPolicy,
    Context,
    LoggedScope,
    NewId,
    Now,
    Record,
    Scope,
    SessionId,
    Sessions,
)
from mediation_api.http.fields import (
    Flag,
    In,
    Instant,
    InstantOut,
    Language,
    Line,
    Link,
    LongLine,
    Once,
    Open,
    Out,
    Uuid,
    given,
    when,
)
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import FOR_ALL_BUT_PARTIES, FOR_THE_OFFICE, ListOut, ListQuery, Pages, single_page
from mediation_api.http.printing import PDF_CONTENT, PdfResponse, Print, UnprintedResponse
from mediation_api.http.problem_catalogue import language_of
from mediation_api.http.routes import Operation
from mediation_api.outreach import forms
from mediation_api.outreach.calendars import CALENDAR, CalendarEntry, calendar_of
from mediation_api.outreach.documents import Words
from mediation_api.repository.sessions import SessionFilter, SessionSort


class CalendarResponse(Response):
    """An iCalendar file."""

    media_type = CALENDAR


SAVED: Final = {"Content-Disposition": 'attachment; filename="calendar.ics"'}
"""The header of a calendar that is opened in a browser: it is saved, or handed to a calendar program."""

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["sessions"])


class BookingIn(In):
    """When and where a session takes place: in the future, for 15 minutes to 8 hours."""

    model_config = when("mode", "in_person", given("place"), given("link"))

    starts_at: Instant
    ends_at: Instant
    mode: Mode
    place: LongLine | None = Field(None, description="The address or room. Required for a session in person.")
    link: Link | None = Field(None, description="The URL of the video meeting. Required for a session by video.")
    off_hours_reason: OffHoursReason | None = Field(
        None, description="Required on days off and outside the office's hours for sessions."
    )

    def booking(self) -> Booking:
        """Return the booking of the domain."""
        return Booking(**dict(self))


class SeatIn(In):
    """A person in a session. `id` is that of the party (for a guardian: of the minor), mediator or attendee."""

    role: SeatRole
    id: Uuid


class StartIn(In):
    """The expected persons who are absent."""

    absent: Annotated[
        list[SeatIn], Field(description="Everybody expected who is not there.", max_length=200), Once()
    ] = Field(default_factory=list)

    def seats(self) -> frozenset[Seat]:
        """Return the seats of the absent persons."""
        return frozenset(Seat(seat.role, seat.id) for seat in self.absent)


class AbsenceIn(In):
    """A party that was absent, so that the session did not take place."""

    party_id: Uuid
    excused: Flag = Field(
        description="Whether the office accepts the absence; one that it does not accept counts towards a lapse."
    )


class NextSessionOut(Out):
    """The session that is scheduled or in progress."""

    id: UUID
    state: SessionState
    starts_at: InstantOut = Field(description="When the session is to begin.")
    ends_at: InstantOut = Field(description="When the session is to end.")
    mode: Open[Mode]
    place: str | None = Field(description="The address or room; null for a video meeting.")
    link: str | None = Field(description="The address of the video meeting; null for one in person.")


class AttendanceOut(Out):
    """Whether an expected person was present when the session started."""

    role: Open[SeatRole]
    id: UUID
    present: bool = Field(description="Whether the person was there.")


class AbsenceOut(Out):
    """A party that was absent."""

    party_id: UUID
    excused: bool = Field(
        description="Whether the office accepts the absence; one that it does not accept counts towards a lapse."
    )
    recorded_at: InstantOut = Field(description="When staff entered it.")


class SessionOut(Out):
    """A session, as the office and the mediator see it."""

    audience: Literal["office", "mediator"] = Field(description="Who is reading.")
    id: UUID
    case_id: UUID
    mediator_id: UUID
    state: SessionState
    starts_at: InstantOut = Field(description="When the session is to begin.")
    ends_at: InstantOut = Field(description="When the session is to end.")
    mode: Open[Mode]
    place: str | None = Field(description="The address or room; null for a video meeting.")
    link: str | None = Field(description="The address of the video meeting; null for one in person.")
    off_hours_reason: Open[OffHoursReason] | None = Field(description="Null within office hours.")
    unchecked_officer_ids: Annotated[list[UUID], Field(max_length=MOST_PARTIES)] = Field(
        description="Officers without an employee number, for whom conflicting sessions cannot be detected. Empty "
        "after the session."
    )
    started_at: InstantOut | None = Field(description="When the mediator started it; null before.")
    finished_at: InstantOut | None = Field(description="When it was adjourned, completed or ended; null before.")
    end_reason: Open[EndReason] | None = Field(description="Null unless it ended early.")
    attendance: Annotated[list[AttendanceOut], Field(description="Empty before the start.", max_length=MOST_SEATS)]
    absences: Annotated[
        list[AbsenceOut], Field(description="Of parties, where the session was missed.", max_length=MOST_PARTIES)
    ]


class SessionForPartyOut(Out):
    """A session, as a party sees it."""

    audience: Literal["party"] = Field(description="Who is reading.")
    id: UUID
    case_id: UUID
    state: SessionState
    starts_at: InstantOut = Field(description="When the session is to begin.")
    ends_at: InstantOut = Field(description="When the session is to end.")
    mode: Open[Mode]
    place: str | None = Field(description="The address or room; null for a video meeting.")
    link: str | None = Field(description="The address of the video meeting; null for one in person.")


AnySession = Annotated[SessionOut | SessionForPartyOut, Field(discriminator="audience")]


class SessionList(ListOut[AnySession]):
    """One page of sessions."""


class SessionListQuery(ListQuery):
    """Filters of the list."""

    case_id: Uuid | None = Field(None, description="Sessions of this case.")
    mediator_id: Uuid | None = Field(None, description=f"Sessions of this mediator. {FOR_ALL_BUT_PARTIES}")
    state: SessionState | None = Field(None, description="Sessions in this state.")
    coordinator: Line | None = Field(None, description=f"Sessions of this coordinator's cases. {FOR_THE_OFFICE}")
    starts_at_from: Instant | None = Field(None, description="Sessions that start at this instant or later.")
    starts_at_before: Instant | None = Field(None, description="Sessions that start before this instant.")
    sort: SessionSort = Field(SessionSort.EARLIEST, description="The order; `-` is descending.")

    for_office: ClassVar = frozenset({"coordinator"})
    for_all_but_parties: ClassVar = frozenset({"mediator_id"})


def _to_response(row: AnyRow) -> SessionOut | SessionForPartyOut:
    return SessionForPartyOut.read(row) if row["audience"] == Audience.PARTY else SessionOut.read(row)


@router.post(
    "/cases/{case_id}/sessions",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Schedule a session",
    responses=responses(409),
)
@Operation(
    "scheduleSession",
    access=allow(office=CASEWORK, assigned=True),
    oauth_scope="sessions:write",
    events=(SessionScheduled, StateChanged),
    location="/v1/sessions/{id}",
    refusals=(
        "case-closed",
        "conditions-missing",
        "in-the-past",
        "mediator-taken",
        "officer-taken",
        "required-for-video",
        "required-in-person",
        "required-off-hours",
        "session-too-long",
        "session-too-short",
        "state-conflict",
    ),
)
async def schedule_session(
    case_id: CaseId,
    body: BookingIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    sessions_read: Sessions,
    city: CityPolicy,
    at: Now,
    session_id: NewId,
) -> SessionOut:
    """Schedule a session, after both sides have agreed and a mediator has accepted without a conflict."""
    locked = await cases.lock(case_id, scope)
    scheduled = sessions.schedule(locked.case, body.booking(), session_id=session_id, at=at, policy=city)
    await record(locked.stream, scheduled)
    return SessionOut.read(await sessions_read.get(session_id, scope))


@router.get("/sessions", summary="Sessions")
@Operation(
    "listSessions",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
    oauth_scope="sessions:read",
    opens=LoggedObject.LIST,
    has_csv=True,
)
async def list_sessions(
    query: Annotated[SessionListQuery, Query()], pages: Pages, scope: LoggedScope, sessions_read: Sessions
) -> SessionList:
    """List the sessions within the caller's access scope. Default order: earliest first."""
    query.check_open_to(scope)
    page = await sessions_read.list(scope, SessionFilter(**query.model_dump()), pages.request)
    return pages.response(SessionList, page, _to_response)


@router.get("/sessions/{session_id}", summary="A session")
@Operation(
    "getSession",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
    oauth_scope="sessions:read",
    opens=LoggedObject.CASE,
)
async def get_session(session_id: SessionId, scope: LoggedScope, sessions_read: Sessions) -> AnySession:
    """Return a session, with the fields of the caller's audience."""
    return _to_response(await sessions_read.get(session_id, scope))


@router.get(
    "/sessions/{session_id}/calendar",
    summary="A session for a calendar",
    response_class=CalendarResponse,
    response_description="The session as iCalendar (RFC 5545). Its `UID` stays; `SEQUENCE` grows when it changes.",
)
@Operation(
    "getSessionCalendar",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
    oauth_scope="sessions:read",
    opens=LoggedObject.CASE,
)
async def get_session_calendar(
    session_id: SessionId, request: Request, scope: LoggedScope, sessions_read: Sessions, service: Context
) -> CalendarResponse:
    """Return a session as a file for a calendar program, in UTC. It names nobody, and a cancelled one says so."""
    row = await sessions_read.calendar_entry(session_id, scope)
    words = service.texts.documents[language_of(request)]
    location = row["link"] if row["place"] is None else row["place"]
    return CalendarResponse(calendar_of(calendar_entry(row, words["appointment"], location)), headers=SAVED)


@router.get(
    "/sessions/{session_id}/notice",
    summary="The notice of a session, printed",
    response_class=PdfResponse,
    response_description="Day, time and place, and how to reach the office, as PDF/UA-1. It names nobody.",
    responses=PDF_CONTENT | responses(409),
)
@Operation(
    "getSessionNotice",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
    oauth_scope="sessions:read",
    opens=LoggedObject.CASE,
    refusals=("not-printable",),
)
async def get_session_notice(
    session_id: SessionId,
    query: Print,
    request: Request,
    scope: LoggedScope,
    sessions_read: Sessions,
    service: Context,
) -> UnprintedResponse:
    """Return the notice of a session as a document in the reader's language; of a cancelled one, that it is."""
    row = await sessions_read.calendar_entry(session_id, scope)
    columns = ("starts_at", "ends_at", "place", "link", "called_off", "scheduled_at")
    printed = forms.PrintedSession(**{name: row[name] for name in columns})
    words = Words.of(service.texts.documents, [language_of(request)])
    document = forms.notice(printed, service.office, words, service.policy.target.zone)
    return UnprintedResponse(document, query, "notice")


def calendar_entry(row: AnyRow, summary: str, location: str | None) -> CalendarEntry:
    """Return a row as the entry of a calendar."""
    columns = ("starts_at", "ends_at", "scheduled_at", "revision", "called_off")
    return CalendarEntry(
        session_id=row["id"], summary=summary, location=location, **{name: row[name] for name in columns}
    )


@router.post(
    "/sessions/{session_id}/reschedule", dependencies=[IDEMPOTENT], summary="Reschedule", responses=responses(409)
)
@Operation(
    "rescheduleSession",
    access=allow(office=CASEWORK, assigned=True),
    oauth_scope="sessions:write",
    events=(SessionRescheduled,),
    refusals=(
        "case-closed",
        "in-the-past",
        "mediator-taken",
        "officer-taken",
        "required-for-video",
        "required-in-person",
        "required-off-hours",
        "session-too-long",
        "session-too-short",
        "state-conflict",
    ),
)
async def reschedule_session(
    session_id: SessionId,
    body: BookingIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    sessions_read: Sessions,
    city: CityPolicy,
    at: Now,
) -> SessionOut:
    """Reschedule a session that has not started. Signatures remain valid."""
    locked = await cases.lock_of(tables.sessions, session_id, scope)
    moved = sessions.reschedule(locked.case, session_id, body.booking(), at=at, policy=city)
    await record(locked.stream, moved)
    return SessionOut.read(await sessions_read.get(session_id, scope))


@router.post("/sessions/{session_id}/cancel", dependencies=[IDEMPOTENT], summary="Cancel", responses=responses(409))
@Operation(
    "cancelSession",
    access=allow(office=CASEWORK, assigned=True),
    oauth_scope="sessions:write",
    events=(SessionCancelled, StateChanged),
    refusals=("case-closed", "state-conflict"),
)
async def cancel_session(
    session_id: SessionId, scope: Scope, cases: Cases, record: Record, sessions_read: Sessions
) -> SessionOut:
    """Cancel a session that has not started. Another one can be scheduled."""
    locked = await cases.lock_of(tables.sessions, session_id, scope)
    await record(locked.stream, sessions.cancel(locked.case, session_id))
    return SessionOut.read(await sessions_read.get(session_id, scope))


@router.post("/sessions/{session_id}/start", dependencies=[IDEMPOTENT], summary="Start", responses=responses(409))
@Operation(
    "startSession",
    access=allow(office=CASEWORK, assigned=True),
    oauth_scope="sessions:write",
    events=(SessionStarted, StateChanged),
    refusals=("case-closed", "conditions-missing", "not-expected", "session-too-early", "state-conflict"),
)
async def start_session(
    session_id: SessionId,
    scope: Scope,
    cases: Cases,
    record: Record,
    sessions_read: Sessions,
    city: CityPolicy,
    at: Now,
    body: StartIn | None = None,
) -> SessionOut:
    """Start a session. All persons who are not marked absent are present and must have signed.

    A refusal lists the missing conditions. To start long before the scheduled time, reschedule the session first.
    """
    locked = await cases.lock_of(tables.sessions, session_id, scope)
    started = sessions.start(locked.case, session_id, (body or StartIn()).seats(), at=at, policy=city)
    await record(locked.stream, started)
    return SessionOut.read(await sessions_read.get(session_id, scope))


@router.post("/sessions/{session_id}/adjourn", dependencies=[IDEMPOTENT], summary="Adjourn", responses=responses(409))
@Operation(
    "adjournSession",
    access=allow(office=CASEWORK, assigned=True),
    oauth_scope="sessions:write",
    events=(SessionAdjourned, StateChanged),
    refusals=("case-closed", "state-conflict"),
)
async def adjourn_session(
    session_id: SessionId, scope: Scope, cases: Cases, record: Record, sessions_read: Sessions
) -> SessionOut:
    """Adjourn a session, to continue on another day. The next session is scheduled as a new one."""
    locked = await cases.lock_of(tables.sessions, session_id, scope)
    await record(locked.stream, sessions.adjourn(locked.case, session_id))
    return SessionOut.read(await sessions_read.get(session_id, scope))


@router.post("/sessions/{session_id}/complete", dependencies=[IDEMPOTENT], summary="Complete", responses=responses(409))
@Operation(
    "completeSession",
    access=allow(office=CASEWORK, assigned=True),
    oauth_scope="sessions:write",
    events=(SessionCompleted, StateChanged),
    refusals=("case-closed", "state-conflict"),
)
async def complete_session(
    session_id: SessionId, scope: Scope, cases: Cases, record: Record, sessions_read: Sessions
) -> SessionOut:
    """Record that the session was completed, with or without an agreement."""
    locked = await cases.lock_of(tables.sessions, session_id, scope)
    await record(locked.stream, sessions.complete(locked.case, session_id))
    return SessionOut.read(await sessions_read.get(session_id, scope))


@router.post(
    "/sessions/{session_id}/end", dependencies=[IDEMPOTENT], summary="End the mediation", responses=responses(409)
)
@Operation(
    "endSession",
    access=allow(assigned=True),
    oauth_scope="sessions:write",
    events=(SessionEnded, PartReturned, StateChanged, CaseClosed),
    refusals=("case-closed", "state-conflict"),
)
async def end_session(
    session_id: SessionId, scope: Scope, cases: Cases, record: Record, sessions_read: Sessions
) -> SessionOut:
    """End the mediation, as its mediator. Neither the reason nor the party that caused it is recorded."""
    locked = await cases.lock_of(tables.sessions, session_id, scope)
    await record(locked.stream, sessions.end(locked.case, session_id))
    return SessionOut.read(await sessions_read.get(session_id, scope))


@router.post(
    "/sessions/{session_id}/absences",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Record an absence",
    responses=responses(409),
)
@Operation(
    "recordAbsence",
    access=allow(office=CASEWORK, assigned=True),
    oauth_scope="sessions:write",
    events=(AbsenceRecorded, StateChanged),
    location="/v1/sessions/{id}",
    refusals=("absence-already-recorded", "case-closed", "state-conflict"),
)
async def record_absence(
    session_id: SessionId,
    body: AbsenceIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    sessions_read: Sessions,
    at: Now,
    absence_id: NewId,
) -> SessionOut:
    """Record that a party was absent. The session counts as missed, and another one can be scheduled."""
    locked = await cases.lock_of(tables.sessions, session_id, scope)
    absent = sessions.record_absence(
        locked.case, session_id, body.party_id, excused=body.excused, absence_id=absence_id, at=at
    )
    await record(locked.stream, absent)
    return SessionOut.read(await sessions_read.get(session_id, scope))


# ── attendees ──────────────────────────────────────────────────────────────────────────────────────────────────────


class AttendeeIn(In):
    """An interpreter, whom the office provides, or a support person of a party."""

    model_config = when("role", "interpreter", given("language"))

    role: AttendeeRole
    name: Line
    language: Language | None = Field(None, description="For an interpreter: the language other than the office's.")
    for_party_id: Uuid | None = Field(None, description="The party they accompany; null for an interpreter for all.")
    qualified: Flag = Field(default=False, description="Whether an interpreter is qualified, as is required.")
    relation: InterpreterRelation = Field(
        InterpreterRelation.NONE, description="The relation of the person to the parties of the case."
    )


class AttendeeOut(Out):
    """A person who is expected at sessions besides the parties and the mediator."""

    id: UUID
    case_id: UUID
    role: Open[AttendeeRole]
    name: str = Field(description="As the person writes it.")
    language: str | None = Field(
        description="An interpreter's language besides the office's; null for a support person."
    )
    for_party_id: UUID | None = Field(description="The party whom they accompany; null for an interpreter for all.")
    added_at: InstantOut = Field(description="When it was entered.")
    confirmed_at: InstantOut | None = Field(description="When they said that they come; null before.")


class AttendeeList(ListOut[AttendeeOut]):
    """The interpreters and support persons of a case."""


@router.post(
    "/cases/{case_id}/attendees",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Add an attendee",
    responses=responses(409),
)
@Operation(
    "addAttendee",
    access=allow(office=INTAKE),
    oauth_scope="sessions:write",
    events=(AttendeeAdded,),
    location="/v1/attendees/{id}",
    refusals=("case-closed", "interpreter-unsuitable", "limit-reached", "required-for-interpreter"),
)
async def add_attendee(
    case_id: CaseId,
    body: AttendeeIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    sessions_read: Sessions,
    attendee_id: NewId,
) -> AttendeeOut:
    """Add an interpreter or a support person. They must sign the confidentiality agreement as well."""
    locked = await cases.lock(case_id, scope)
    added = sessions.add_attendee(locked.case, **body.model_dump(), attendee_id=attendee_id)
    await record(locked.stream, added)
    return AttendeeOut.read(await sessions_read.attendee(attendee_id, scope))


@router.get("/cases/{case_id}/attendees", summary="Attendees")
@Operation(
    "listAttendees",
    access=allow(office=(*INTAKE, Role.AUDITOR), assigned=True),
    oauth_scope="sessions:read",
    opens=LoggedObject.CASE,
)
async def list_attendees(case_id: CaseId, scope: LoggedScope, sessions_read: Sessions) -> AttendeeList:
    """List the interpreters and support persons of a case, in the order in which they were added."""
    return single_page(AttendeeList, await sessions_read.attendees(case_id, scope), AttendeeOut.read)


@router.get("/attendees/{attendee_id}", summary="An attendee")
@Operation(
    "getAttendee",
    access=allow(office=(*INTAKE, Role.AUDITOR), assigned=True),
    oauth_scope="sessions:read",
    opens=LoggedObject.CASE,
)
async def get_attendee(attendee_id: AttendeeId, scope: LoggedScope, sessions_read: Sessions) -> AttendeeOut:
    """Return an interpreter or support person."""
    return AttendeeOut.read(await sessions_read.attendee(attendee_id, scope))


@router.post(
    "/attendees/{attendee_id}/confirm",
    dependencies=[IDEMPOTENT],
    summary="Confirm an attendee",
    responses=responses(409),
)
@Operation(
    "confirmAttendee",
    access=allow(office=INTAKE),
    oauth_scope="sessions:write",
    events=(AttendeeConfirmed,),
    refusals=("case-closed",),
)
async def confirm_attendee(
    attendee_id: AttendeeId, scope: Scope, cases: Cases, record: Record, sessions_read: Sessions
) -> AttendeeOut:
    """Record that an interpreter or support person has confirmed that they will attend."""
    locked = await cases.lock_of(tables.attendees, attendee_id, scope)
    confirmed = sessions.confirm_attendee(locked.case, attendee_id)
    await record(locked.stream, confirmed)
    return AttendeeOut.read(await sessions_read.attendee(attendee_id, scope))
