"""The roster of mediators, and the proposals of cases to them."""

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
from mediation_api.http.fields import Email, Flag, In, InstantOut, Language, Line, Out, Phone, Uuid
from mediation_api.http.idempotency import IDEMPOTENT, IfMatch
from mediation_api.http.merge_patch import Patch
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, ListQuery, Pages
from mediation_api.http.routes import Operation
from mediation_api.repository.streams import Stream
from mediation_api.routers.parties import EmployeeNumber

roster = APIRouter(prefix="/v1/mediators", route_class=StrictRoute, tags=["mediators"])
router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["assignments"])

Subject = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$", strict=True), Field(examples=["m.okafor"])]
"""The `sub` of the mediator's token at the city's identity provider."""
Languages = Annotated[list[Language], Field(min_length=1, max_length=20)]

# ── the roster ─────────────────────────────────────────────────────────────────────────────────────────────────────


class MediatorIn(In):
    """Somebody who mediates for the office."""

    name: Line
    subject: Subject
    employee_number: EmployeeNumber | None = Field(
        None, description="Of a mediator who is an officer as well: nobody mediates a complaint of their own."
    )
    languages: Languages
    email: Email | None = None
    phone: Phone | None = None
    active: Flag = True


class MediatorPatch(Patch):
    """A correction of an entry. Who is not active is proposed no more cases, and keeps those accepted."""

    kept: ClassVar[frozenset[str]] = frozenset({"name", "subject", "languages", "active"})

    name: Line | SkipJsonSchema[None] = None
    subject: Subject | SkipJsonSchema[None] = None
    employee_number: EmployeeNumber | None = None
    languages: Languages | SkipJsonSchema[None] = None
    email: Email | None = None
    phone: Phone | None = None
    active: Flag | SkipJsonSchema[None] = None


class MediatorOut(Out):
    """An entry of the roster."""

    id: UUID
    name: str
    subject: str
    employee_number: str | None
    languages: list[str]
    email: str | None
    phone: str | None
    active: bool
    added_at: InstantOut


class MediatorList(ListOut[MediatorOut]):
    """One page of the roster."""


class MediatorListQuery(ListQuery):
    """Filters of the roster."""

    language: Language | None = Field(None, description="Who mediates in this language.")
    active: Flag | None = Field(None, description="Who can, or cannot, be proposed.")


@roster.post("", dependencies=[IDEMPOTENT], status_code=201, summary="Add a mediator", responses=responses(409))
@Operation(
    "addMediator",
    access=allow(office=CASEWORK),
    scope="mediators:write",
    events=(MediatorAdded,),
    location="/v1/mediators/{id}",
)
async def add_mediator(
    body: MediatorIn,
    scope: Scope,
    mediators: Mediators,
    record: Record,
    mediator_id: NewId,
) -> MediatorOut:
    """Put somebody on the roster: somebody else."""
    added = assignments.add_to_roster(mediator_id, body.model_dump(), by=scope.actor)
    await record(Stream(mediator_id=mediator_id), (added,))
    return MediatorOut.read(await mediators.get(mediator_id, scope))


@roster.get("", summary="The roster")
@Operation("listMediators", access=allow(office=(*INTAKE, Role.AUDITOR), proposed=True), scope="mediators:read")
async def list_mediators(
    wanted: Annotated[MediatorListQuery, Query()], pages: Pages, scope: Scope, mediators: Mediators
) -> MediatorList:
    """The roster for staff, in the order in which mediators joined it; for a mediator, the own entry."""
    page = await mediators.list(scope, pages.request, language=wanted.language, active=wanted.active)
    return pages.response(MediatorList, page, MediatorOut.read)


@roster.get("/{mediator_id}", summary="A mediator")
@Operation("getMediator", access=allow(office=(*INTAKE, Role.AUDITOR), proposed=True), scope="mediators:read")
async def get_mediator(mediator_id: MediatorId, scope: Scope, mediators: Mediators) -> MediatorOut:
    """An entry of the roster."""
    return MediatorOut.read(await mediators.get(mediator_id, scope))


@roster.patch("/{mediator_id}", summary="Correct a mediator", responses=responses(409))
@Operation("correctMediator", access=allow(office=CASEWORK), scope="mediators:write", events=(MediatorCorrected,))
async def correct_mediator(
    mediator_id: MediatorId,
    body: MediatorPatch,
    scope: Scope,
    mediators: Mediators,
    record: Record,
    seen: IfMatch,
) -> MediatorOut:
    """Correct an entry that is not the caller's own, or take somebody off the active roster.

    Who somebody is cannot be corrected once a case was proposed to them: the right mediator is added instead.
    """
    entry = await mediators.lock(mediator_id)
    seen.check(MediatorOut.read(await mediators.get(mediator_id, scope)))
    corrected = entry.correct(body.changes(), by=scope.actor)
    await record(Stream(mediator_id=mediator_id), (corrected,))
    return MediatorOut.read(await mediators.get(mediator_id, scope))


# ── assignments ────────────────────────────────────────────────────────────────────────────────────────────────────


class ProposalIn(In):
    """To whom the case is proposed."""

    mediator_id: Uuid


class DeclarationIn(In):
    """The declaration of conflicts. Each is answered; a yes to any ends the assignment, and parties see no reason."""

    knows_a_party: Flag
    has_an_interest: Flag = Field(description="Financial, professional or personal.")
    took_part_before: Flag = Field(description="In the matter itself, in whatever role.")

    def conflicts(self) -> frozenset[ConflictKind]:
        """The conflicts that were declared."""
        return frozenset(kind for kind in ConflictKind if getattr(self, kind.value))


class AssignmentOut(Out):
    """A proposal, and what became of it."""

    id: UUID
    case_id: UUID
    mediator_id: UUID
    mediator_name: str
    state: AssignmentState
    answer_due_on: date
    conflicts: list[ConflictKind]
    proposed_at: InstantOut
    answered_at: InstantOut | None
    notes_destroyed_at: InstantOut | None = Field(description="When the mediator said that no notes are left.")


class AssignmentList(ListOut[AssignmentOut]):
    """One page of assignments, newest first."""


class AssignmentListQuery(ListQuery):
    """Filters of the list."""

    case_id: Uuid | None = Field(None, description="Those of this case.")
    state: AssignmentState | None = Field(None, description="Those in this state.")


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
    scope="mediators:write",
    events=(MediatorProposed, AssignmentReleased),
    location="/v1/assignments/{id}",
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
    """Propose the case to a mediator, who has some working days to answer. Who had not answered is released."""
    locked = await cases.lock(case_id, scope)
    mediator = await mediators.candidate(body.mediator_id, locked.case.complaint_id)
    if mediator is None:
        raise Invalid("/mediator_id", "unknown-mediator", "Nobody on the roster has this id.")
    proposed = assignments.propose_mediator(
        locked.case, mediator, assignment_id=assignment_id, by=scope.actor, at=at, policy=city
    )
    await record(locked.stream, proposed)
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))


@router.get("/assignments", summary="Assignments")
@Operation(
    "listAssignments",
    access=allow(office=(*CASEWORK, Role.AUDITOR), proposed=True),
    scope="mediators:read",
    opens=LoggedObject.LIST,
)
async def list_assignments(
    wanted: Annotated[AssignmentListQuery, Query()], pages: Pages, scope: LoggedScope, mediators: Mediators
) -> AssignmentList:
    """Assignments, newest first: all for coordinators, their own for a mediator."""
    page = await mediators.assignments(scope, pages.request, case_id=wanted.case_id, state=wanted.state)
    return pages.response(AssignmentList, page, AssignmentOut.read)


@router.get("/assignments/{assignment_id}", summary="An assignment")
@Operation(
    "getAssignment",
    access=allow(office=(*CASEWORK, Role.AUDITOR), proposed=True),
    scope="mediators:read",
    opens=LoggedObject.CASE,
)
async def get_assignment(assignment_id: AssignmentId, scope: LoggedScope, mediators: Mediators) -> AssignmentOut:
    """An assignment."""
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
    scope="mediators:write",
    events=(AssignmentAccepted, ConflictDeclared),
)
async def accept_assignment(
    assignment_id: AssignmentId,
    body: DeclarationIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    mediators: Mediators,
) -> AssignmentOut:
    """Accept a case with the declaration of conflicts. With a conflict the answer is `conflicted`, not `accepted`."""
    locked = await cases.lock_of(tables.assignments, assignment_id, scope)
    await mediators.assignment(assignment_id, scope)
    answer = assignments.accept(locked.case, assignment_id, body.conflicts())
    await record(locked.stream, answer)
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))


@router.post(
    "/assignments/{assignment_id}/decline", dependencies=[IDEMPOTENT], summary="Decline", responses=responses(409)
)
@Operation("declineAssignment", access=allow(proposed=True), scope="mediators:write", events=(AssignmentDeclined,))
async def decline_assignment(
    assignment_id: AssignmentId, scope: Scope, cases: Cases, record: Record, mediators: Mediators
) -> AssignmentOut:
    """Decline a case; no reason is asked for."""
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
    scope="mediators:write",
    events=(MediatorRecused, SessionCancelled, SessionAdjourned, StateChanged),
)
async def recuse_mediator(
    assignment_id: AssignmentId, scope: Scope, cases: Cases, record: Record, mediators: Mediators
) -> AssignmentOut:
    """Leave a case after accepting it. A session ahead is cancelled, one under way adjourned; nobody is told why."""
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
@Operation("attestNotesDestroyed", access=allow(mediated=True), scope="mediators:write", events=(NotesDestroyed,))
async def attest_notes_destroyed(
    assignment_id: AssignmentId, scope: Scope, cases: Cases, record: Record, mediators: Mediators
) -> AssignmentOut:
    """Say, after the close, that no notes of the case are left. The service never held any."""
    locked = await cases.lock_of(tables.assignments, assignment_id, scope)
    await mediators.assignment(assignment_id, scope)
    attested = assignments.attest_notes_destroyed(locked.case, assignment_id)
    await record(locked.stream, attested)
    return AssignmentOut.read(await mediators.assignment(assignment_id, scope))
