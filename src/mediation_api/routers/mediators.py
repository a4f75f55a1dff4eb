"""The roster of mediators, and their assignments to cases."""

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from mediation_api.contract.responses import responses
from mediation_api.database import tables
from mediation_api.domain import assignments
from mediation_api.domain.access import CASEWORK, INTAKE, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.errors import Invalid
from mediation_api.domain.events import (
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentReleased,
    ConflictDeclared,
    MediatorAdded,
    MediatorCorrected,
    MediatorProposed,
    MediatorRecused,
    NotesDestroyed,
    SessionAdjourned,
    SessionCancelled,
    StateChanged,
)
from mediation_api.domain.values import AssignmentState, ConflictKind
from mediation_api.http.dependencies import (
    AssignmentId,
    CaseId,
    Cases,
    CityPolicy,
    LoggedScope,
    MediatorId,
    Mediators,
    NewId,
    Now,
    Record,
    Scope,
)
from mediation_api.http.fields import (
    Day,
    Email,
    Flag,
    In,
    InstantOut,
    Language,
    Line,
    Named,
    Once,
    Open,
    Out,
    Phone,
    Uuid,
)
from mediation_api.http.idempotency import IDEMPOTENT, IfMatch
from mediation_api.http.merge_patch import Patch
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, ListQuery, Pages
from mediation_api.http.routes import Operation
from mediation_api.repository.mediators import AssignmentFilter
from mediation_api.repository.streams import Stream
from mediation_api.routers.parties import EmployeeNumber

roster = APIRouter(prefix="/v1/mediators", route_class=StrictRoute, tags=["mediators"])
router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["assignments"])

Subject = Annotated[
    str,
    StringConstraints(pattern=r"^[!-~]{1,255}$", strict=True),
    Named("Subject", "The subject (`sub`) of a person's tokens at the city's identity provider.", "m.okafor"),
]
Languages = Annotated[list[Language], Field(min_length=1, max_length=20), Once()]

# ── the roster ─────────────────────────────────────────────────────────────────────────────────────────────────────


class MediatorIn(In):
    """A new mediator."""

    name: Line
    subject: Subject
    employee_number: EmployeeNumber | None = Field(
        None, description="For a mediator who is also an officer. They cannot mediate a complaint about themselves."
    )
    languages: Languages = Field(description="The languages in which the mediator works.")
    email: Email | None = Field(None, description="Where the mediator can be written to.")
    email_allowed: Flag = Field(default=False, description="Whether the service may send mail to `email`.")
    phone: Phone | None = Field(None, description="Where the mediator can be called.")
    active: Flag = Field(default=True, description="Whether cases can be proposed to this mediator.")


class MediatorPatch(Patch):
    """A correction of an entry. An inactive mediator keeps accepted cases and gets no new proposals."""

    kept: ClassVar[frozenset[str]] = frozenset({"name", "subject", "languages", "active", "email_allowed"})

    name: Line | SkipJsonSchema[None] = None
    subject: Subject | SkipJsonSchema[None] = None
    employee_number: EmployeeNumber | None = Field(None, description="Of a mediator who is an employee of the city.")
    languages: Languages | SkipJsonSchema[None] = Field(None, description="The languages in which the mediator works.")
    email: Email | None = Field(None, description="Where the mediator can be written to.")
    email_allowed: Flag | SkipJsonSchema[None] = Field(
        None, description="Whether the service may send mail to `email`."
    )
    phone: Phone | None = Field(None, description="Where the mediator can be called.")
    active: Flag | SkipJsonSchema[None] = Field(None, description="Whether cases can be proposed to this mediator.")


class MediatorOut(Out):
    """An entry of the roster."""

    id: UUID
    name: str = Field(description="As the parties see it.")
    subject: str = Field(description="The `sub` of the mediator's tokens.")
    employee_number: str | None = Field(description="For a mediator who is also an officer; null for all others.")
    languages: Annotated[list[str], Field(max_length=20)] = Field(
        description="Those in which the mediator can lead a session."
    )
    email: str | None = Field(description="Null if none is known.")
    email_allowed: bool = Field(description="Whether the service may send mail to `email`.")
    phone: str | None = Field(description="Null if none is known.")
    active: bool = Field(description="Whether cases can be proposed to this mediator.")
    added_at: InstantOut = Field(description="When it was entered.")


class MediatorList(ListOut[MediatorOut]):
    """One page of the roster."""


class MediatorListQuery(ListQuery):
    """Filters of the roster."""

    language: Language | None = Field(None, description="Mediators who speak this language.")
    active: Flag | None = Field(None, description="Only active, or only inactive, mediators.")


@roster.post("", dependencies=[IDEMPOTENT], status_code=201, summary="Add a mediator", responses=responses(409))
@Operation(
    "addMediator",
    access=allow(office=CASEWORK),
    oauth_scope="mediators:write",
    events=(MediatorAdded,),
    location="/v1/mediators/{id}",
    refusals=("mediator-already-listed", "second-person-required", "subject-taken"),
)
async def add_mediator(
    body: MediatorIn,
    scope: Scope,
    mediators: Mediators,
    record: Record,
    mediator_id: NewId,
) -> MediatorOut:
    """Add a mediator to the roster. The caller cannot add themselves."""
    added = assignments.add_to_roster(mediator_id, body.model_dump(), by=scope.actor)
    await record(Stream(mediator_id=mediator_id), (added,))
    return MediatorOut.read(await mediators.get(mediator_id, scope))


@roster.get("", summary="The roster")
@Operation(
    "listMediators",
    access=allow(office=(*INTAKE, Role.AUDITOR), proposed=True),
    oauth_scope="mediators:read",
    has_csv=True,
)
async def list_mediators(
    query: Annotated[MediatorListQuery, Query()], pages: Pages, scope: Scope, mediators: Mediators
) -> MediatorList:
    """List the roster, in the order in which mediators were added; for a mediator, only their own entry."""
    page = await mediators.list(scope, pages.request, language=query.language, active=query.active)
    return pages.response(MediatorList, page, MediatorOut.read)


@roster.get("/{mediator_id}", summary="A mediator")
@Operation("getMediator", access=allow(office=(*INTAKE, Role.AUDITOR), proposed=True), oauth_scope="mediators:read")
async def get_mediator(mediator_id: MediatorId, scope: Scope, mediators: Mediators) -> MediatorOut:
    """Return an entry of the roster."""
    return MediatorOut.read(await mediators.get(mediator_id, scope))


@roster.patch("/{mediator_id}", summary="Correct a mediator", responses=responses(409))
@Operation(
    "correctMediator",
    access=allow(office=CASEWORK),
    oauth_scope="mediators:write",
    events=(MediatorCorrected,),
    refusals=("second-person-required", "subject-fixed", "subject-taken"),
)
async def correct_mediator(
    mediator_id: MediatorId,
    body: MediatorPatch,
    scope: Scope,
    mediators: Mediators,
    record: Record,
    precondition: IfMatch,
) -> MediatorOut:
    """Correct an entry other than the caller's own, or make a mediator inactive.

    The identity of a mediator cannot be corrected after a case was proposed to them: add the right mediator instead.
    """
    entry, stream = await mediators.lock(mediator_id)
    current = MediatorOut.read(await mediators.get(mediator_id, scope))
    precondition.check(current)
    await record(stream, entry.correct(body.changes(current), by=scope.actor))
    return MediatorOut.read(await mediators.get(mediator_id, scope))


# ── assignments ────────────────────────────────────────────────────────────────────────────────────────────────────


class ProposalIn(In):
    """The mediator to whom the case is proposed."""

    mediator_id: Uuid


class DeclarationIn(In):
    """The declaration of conflicts of interest. Any true ends the assignment. Parties do not see the reason."""

    knows_a_party: Flag = Field(description="Privately or through work.")
    has_an_interest: Flag = Field(description="Financial, professional or personal.")
    took_part_before: Flag = Field(description="In the same matter, in any role.")

    def conflicts(self) -> frozenset[ConflictKind]:
        """Return the declared conflicts."""
        return frozenset(kind for kind in ConflictKind if getattr(self, kind.value))


class AssignmentOut(Out):
    """A proposal of a case to a mediator, and the answer."""

    id: UUID
    case_id: UUID
    mediator_id: UUID
    mediator_name: str = Field(description="The mediator's name.")
    state: AssignmentState
    answer_due_on: date = Field(description="The date by which the mediator is to answer.")
    conflicts: Annotated[
        list[Open[ConflictKind]],
        Field(description="What the mediator declared; empty before the answer.", max_length=len(ConflictKind)),
    ]
    proposed_at: InstantOut = Field(description="When it was proposed.")
    answered_at: InstantOut | None = Field(description="When the mediator answered; null before.")
    notes_destroyed_at: InstantOut | None = Field(description="When the mediator attested it.")


class AssignmentList(ListOut[AssignmentOut]):
    """One page of assignments, newest first."""


class AssignmentListQuery(ListQuery):
    """Filters of the list."""

    case_id: Uuid | None = Field(None, description="Assignments to this case.")
    mediator_id: Uuid | None = Field(None, description="Assignments of this mediator.")
    state: AssignmentState | None = Field(None, description="Assignments in this state.")
    answer_due_on_before: Day | None = Field(None, description="Assignments whose answer is due before this date.")


@router.post(
    "/cases/{case_id}/assignments",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Propose to a mediator",
    responses=responses(409),
)
@Operation(
    "proposeMediator",
    access=allow(office=CASEWORK),
    oauth_scope="mediators:write",
    events=(MediatorProposed, AssignmentReleased),
    location="/v1/assignments/{id}",
    refusals=(
        "case-closed",
        "limit-reached",
        "mediator-assigned",
        "mediator-conflicted",
        "mediator-inactive",
        "mediator-is-party",
        "second-person-required",
        "state-conflict",
        "unknown-mediator",
    ),
)
async def propose_mediator(
    case_id: CaseId,
    body: ProposalIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    mediators: Mediators,
    city: CityPolicy,
    at: Now,
    assignment_id: NewId,
) -> AssignmentOut:
    """Propose the case to a mediator, who must answer by `answer_due_on`. An unanswered proposal is released."""
    locked = await cases.lock(case_id, scope)
    mediator = await mediators.candidate(body.mediator_id, locked.case.complaint_id)
    if mediator is None:
        raise Invalid("/mediator_id", "unknown-mediator", "There is no mediator with this id.")
    proposed = assignments.propose_mediator(
        locked.case, mediator, assignment_id=assignment_id, by=scope.actor, at=at, policy=city
    )
    await record(locked.stream, proposed)
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))


@router.get("/assignments", summary="Assignments")
@Operation(
    "listAssignments",
    access=allow(office=(*CASEWORK, Role.AUDITOR), proposed=True),
    oauth_scope="mediators:read",
    opens=LoggedObject.LIST,
    has_csv=True,
)
async def list_assignments(
    query: Annotated[AssignmentListQuery, Query()], pages: Pages, scope: LoggedScope, mediators: Mediators
) -> AssignmentList:
    """List assignments, newest first: all for the office, their own for a mediator."""
    page = await mediators.assignments(scope, AssignmentFilter(**query.model_dump()), pages.request)
    return pages.response(AssignmentList, page, AssignmentOut.read)


@router.get("/assignments/{assignment_id}", summary="An assignment")
@Operation(
    "getAssignment",
    access=allow(office=(*CASEWORK, Role.AUDITOR), proposed=True),
    oauth_scope="mediators:read",
    opens=LoggedObject.CASE,
)
async def get_assignment(assignment_id: AssignmentId, scope: LoggedScope, mediators: Mediators) -> AssignmentOut:
    """Return an assignment."""
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))


@router.post(
    "/assignments/{assignment_id}/accept",
    dependencies=[IDEMPOTENT],
    summary="Accept, declaring conflicts",
    responses=responses(409),
)
@Operation(
    "acceptAssignment",
    access=allow(proposed=True),
    oauth_scope="mediators:write",
    events=(AssignmentAccepted, ConflictDeclared),
    refusals=("case-closed", "state-conflict"),
)
async def accept_assignment(
    assignment_id: AssignmentId,
    body: DeclarationIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    mediators: Mediators,
) -> AssignmentOut:
    """Accept a case, with the declaration of conflicts. With a conflict, the state is `conflicted`."""
    locked = await cases.lock_of(tables.assignments, assignment_id, scope)
    await mediators.assignment(assignment_id, scope)
    answer = assignments.accept(locked.case, assignment_id, body.conflicts())
    await record(locked.stream, answer)
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))


@router.post(
    "/assignments/{assignment_id}/decline", dependencies=[IDEMPOTENT], summary="Decline", responses=responses(409)
)
@Operation(
    "declineAssignment",
    access=allow(proposed=True),
    oauth_scope="mediators:write",
    events=(AssignmentDeclined,),
    refusals=("case-closed", "state-conflict"),
)
async def decline_assignment(
    assignment_id: AssignmentId, scope: Scope, cases: Cases, record: Record, mediators: Mediators
) -> AssignmentOut:
    """Decline a case, without a reason."""
    locked = await cases.lock_of(tables.assignments, assignment_id, scope)
    await mediators.assignment(assignment_id, scope)
    answer = assignments.decline(locked.case, assignment_id)
    await record(locked.stream, answer)
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))


@router.post(
    "/assignments/{assignment_id}/recuse", dependencies=[IDEMPOTENT], summary="Leave a case", responses=responses(409)
)
@Operation(
    "recuseMediator",
    access=allow(office=CASEWORK, assigned=True),
    oauth_scope="mediators:write",
    events=(MediatorRecused, SessionCancelled, SessionAdjourned, StateChanged),
    refusals=("case-closed", "second-person-required", "state-conflict"),
)
async def recuse_mediator(
    assignment_id: AssignmentId, scope: Scope, cases: Cases, record: Record, mediators: Mediators
) -> AssignmentOut:
    """Leave an accepted case. A scheduled session is cancelled, one in progress adjourned. No reason is kept."""
    locked = await cases.lock_of(tables.assignments, assignment_id, scope)
    await mediators.assignment(assignment_id, scope)
    recused = assignments.recuse(locked.case, assignment_id, by=scope.actor)
    await record(locked.stream, recused)
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))


@router.post(
    "/assignments/{assignment_id}/attest-notes-destroyed",
    dependencies=[IDEMPOTENT],
    summary="Attest that notes were destroyed",
    responses=responses(409),
)
@Operation(
    "attestDestructionOfNotes",
    access=allow(mediated=True),
    oauth_scope="mediators:write",
    events=(NotesDestroyed,),
    refusals=("already-attested", "state-conflict"),
)
async def attest_destruction_of_notes(
    assignment_id: AssignmentId, scope: Scope, cases: Cases, record: Record, mediators: Mediators
) -> AssignmentOut:
    """Attest, after the close, that all notes about the case were destroyed. The service does not store any."""
    locked = await cases.lock_of(tables.assignments, assignment_id, scope)
    await mediators.assignment(assignment_id, scope)
    attested = assignments.attest_notes_destroyed(locked.case, assignment_id)
    await record(locked.stream, attested)
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))
