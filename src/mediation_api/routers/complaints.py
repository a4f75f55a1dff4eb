"""Complaints: filing, reading, correcting, and requesting mediation."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, ClassVar, Final, Literal, Self
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from mediation_api.contract.responses import responses
from mediation_api.database.nesting import AnyRow
from mediation_api.domain import authority, party
from mediation_api.domain import parts as parts_rules
from mediation_api.domain.access import INTAKE, AccessScope, Actor, Audience, Relation, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.board import Wait
from mediation_api.domain.complaint import Filing, file_with_parties
from mediation_api.domain.errors import Invalid
from mediation_api.domain.events import (
    CASE_OPENED,
    CONSENTS_VOIDED,
    AccessCodeIssued,
    ComplaintCorrected,
    ComplaintFiled,
    PartyAdded,
    ScreeningOutdated,
)
from mediation_api.domain.lifecycle import State
from mediation_api.domain.policy import Policy
from mediation_api.domain.target import Pace
from mediation_api.domain.values import (
    MOST_ALLEGATIONS,
    MOST_ATTEMPTS,
    MOST_PARTIES,
    MOST_PARTS,
    Alert,
    Channel,
    Disposition,
    Side,
)
from mediation_api.http.dependencies import (
    AttemptCounters,
    CaseQueries,
    Cases,
    CityPolicy,
    ComplaintId,
    Complaints,
    Context,
    LoggedScope,
    NewId,
    Now,
    Record,
    Scope,
    Today,
)
from mediation_api.http.fields import (
    Day,
    Flag,
    In,
    InstantOut,
    Language,
    Line,
    Named,
    Once,
    Open,
    Out,
    Paragraphs,
    Uuid,
    WholeNumber,
    rule_broken,
)
from mediation_api.http.idempotency import IDEMPOTENT, IfMatch, entity_tag_of
from mediation_api.http.merge_patch import Patch
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import FOR_THE_OFFICE, ListOut, ListQuery, Pages
from mediation_api.http.rate_limits import count_filing
from mediation_api.http.routes import Operation
from mediation_api.repository.complaints import ComplaintFilter, ComplaintSort
from mediation_api.repository.streams import Stream
from mediation_api.routers.cases import AnyCase
from mediation_api.routers.cases import to_response as case_to_response
from mediation_api.routers.parties import AccessCodeOut, PartyIn, code_key, new_code

router = APIRouter(prefix="/v1/complaints", route_class=StrictRoute, tags=["complaints"])

Category = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$", strict=True),
    Named(
        "AllegationCategory",
        "A category of allegation, from the city's own list. Officers see the categories, but not the narrative.",
        "discourtesy",
    ),
]
Allegations = Annotated[
    list[Category],
    Field(
        min_length=1,
        max_length=MOST_ALLEGATIONS,
        description="Categories of the city's list (`listAllegationCategories`); others are refused.",
    ),
    Once(),
]


class IntakeAnswers(In):
    """The facts that screening checks. Null means not known yet."""

    crime_alleged: Flag | None = Field(None, description="Whether a crime is alleged; null if unknown yet.")
    serious_injury: Flag | None = Field(
        None, description="Whether somebody was seriously injured; null if unknown yet."
    )
    litigation_pending: Flag | None = Field(
        None, description="Whether a court has the same matter; null if unknown yet."
    )
    officer_is_witness: Flag | None = Field(
        None, description="An officer is a witness against a complainant in a pending case."
    )
    pending_case_filed_on: Day | None = Field(
        None, description="The date on which that case was filed. Not in the future."
    )
    rank_initiated: Flag = Field(default=False, description="Whether the complaint comes from within the department.")


class ComplaintIn(In):
    """A new complaint."""

    channel: Channel | None = Field(
        None, description="How the complaint reached the office. Only for staff; otherwise derived from the caller."
    )
    narrative: Paragraphs
    incident_on: Day | None = Field(None, description="Not in the future, by the office's local date.")
    incident_place: Line | None = Field(None, description="Where it happened.")
    precinct: Line | None = Field(None, description="The police district of the incident.")
    allegations: Allegations
    interested_in_mediation: Flag = Field(
        description="Whether the complainant is open to mediation. True opens a case. It is not consent yet."
    )
    parties: Annotated[
        list[PartyIn],
        Field(description="Everybody involved, in the order of `filed_by`.", min_length=1, max_length=MOST_PARTIES),
    ]
    filed_by: Annotated[int, WholeNumber(0, 49)] | None = Field(
        None,
        description="The index in `parties` of the complainant who files, and gets an access code. Null for somebody "
        "who files for others: no code is returned. Default: in a public filing, the only complainant (required if "
        "there are several); in other filings, null.",
    )
    intake: IntakeAnswers | None = Field(None, description="Only for staff and integrations.")
    external_reference: Line | None = Field(None, description="An integration's own reference. Must be unique.")

    @model_validator(mode="after")
    def _somebody_complains(self) -> Self:
        if not any(each.side is Side.COMPLAINANT for each in self.parties):
            raise rule_broken("complainant-missing", "At least one party is a complainant.")
        return self

    def columns(self, by: Actor) -> dict[str, object]:
        """Return the columns of the complaint. Raises Invalid if this caller may not give one of the fields."""
        if by.role is Role.PUBLIC and self.intake is not None:
            raise Invalid("/intake", "staff-only", "Only staff and integrations give this.")
        if by.role is not Role.INTEGRATION and self.external_reference is not None:
            raise Invalid("/external_reference", "integration-only", "Only an integration gives this.")
        own = self.model_dump(exclude={"channel", "filed_by", "parties", "intake"})
        intake = self.intake or IntakeAnswers()
        return {**own, **intake.model_dump(), "channel": authority.filing_channel(self.channel, by=by)}

    def file(
        self,
        complaint_id: UUID,
        case_id: UUID,
        *,
        by: Actor,
        number: int,
        categories: Collection[str],
        at: datetime,
        policy: Policy,
    ) -> Filing:
        """Decide to file it, as `file_with_parties` does. Raises Invalid, also as `columns`."""
        return file_with_parties(
            complaint_id,
            self.columns(by),
            [(uuid4(), each.side, each.columns()) for each in self.parties],
            case_id=case_id,
            number=number,
            categories=categories,
            at=at,
            policy=policy,
        )

    def filer(self, by: Actor) -> int | None:
        """Return the index of the party who files; None if none does.

        Raises Invalid if it is missing or wrong, or if a member of the public allows mail to somebody else.
        """
        sides = [each.side for each in self.parties]
        filer = authority.filer(sides, self.filed_by, is_set="filed_by" in self.model_fields_set, by=by)
        authority.require_own_mail([each.email_allowed for each in self.parties], filer, by=by)
        return filer


class ComplaintPatch(Patch):
    """A correction of the intake data."""

    kept: ClassVar[frozenset[str]] = frozenset({"narrative", "allegations", "rank_initiated"})

    narrative: Paragraphs | SkipJsonSchema[None] = None
    incident_on: Day | None = Field(None, description="Not in the future, by the office's local date.")
    incident_place: Line | None = Field(None, description="Where it happened.")
    precinct: Line | None = Field(None, description="The police district of the incident.")
    allegations: Allegations | SkipJsonSchema[None] = None
    crime_alleged: Flag | None = Field(None, description="Whether a crime is alleged; null if unknown yet.")
    serious_injury: Flag | None = Field(
        None, description="Whether somebody was seriously injured; null if unknown yet."
    )
    litigation_pending: Flag | None = Field(
        None, description="Whether a court has the same matter; null if unknown yet."
    )
    officer_is_witness: Flag | None = Field(
        None,
        description="Whether an officer is a witness against a complainant in a pending case; null if unknown yet.",
    )
    pending_case_filed_on: Day | None = Field(None, description="Not in the future, by the office's local date.")
    rank_initiated: Flag | SkipJsonSchema[None] = Field(
        None, description="Whether the complaint comes from within the department."
    )


_LATEST: Final = "Complaints whose latest case"


class ComplaintListQuery(ListQuery):
    """Filters of the list. Those of cases all hold for the latest case of a complaint, whatever earlier ones were."""

    state: State | None = Field(None, description=f"{_LATEST} is in this state. {FOR_THE_OFFICE}")
    pace: Pace | None = Field(None, description=f"{_LATEST} is at this pace towards the due date. {FOR_THE_OFFICE}")
    waits_for: Wait | None = Field(None, description=f"{_LATEST} waits for this. {FOR_THE_OFFICE}")
    alert: Alert | None = Field(None, description=f"{_LATEST} has this alert. {FOR_THE_OFFICE}")
    coordinator: Line | None = Field(None, description=f"{_LATEST} is of this coordinator. {FOR_THE_OFFICE}")
    mediator_id: Uuid | None = Field(
        None, description=f"{_LATEST} is proposed to this mediator, or accepted by the mediator. {FOR_THE_OFFICE}"
    )
    due_on_before: Day | None = Field(None, description=f"{_LATEST} is due before this date. {FOR_THE_OFFICE}")
    closed_on_from: Day | None = Field(
        None, description=f"{_LATEST} was closed on this date or later. {FOR_THE_OFFICE}"
    )
    closed_on_before: Day | None = Field(None, description=f"{_LATEST} was closed before this date. {FOR_THE_OFFICE}")
    language: Language | None = Field(
        None,
        description="Complaints with a party that was not removed, and whose language or interpreter's language this "
        f"is. {FOR_THE_OFFICE}",
    )
    precinct: Line | None = Field(None, description=f"Complaints about this precinct. {FOR_THE_OFFICE}")
    reference: Line | None = Field(None, description="Complaints with this reference or number.")
    sort: ComplaintSort = Field(ComplaintSort.NEWEST, description="The order; `-` is descending.")

    for_office: ClassVar = frozenset(
        {
            *("state", "pace", "waits_for", "alert", "coordinator", "mediator_id", "due_on_before"),
            *("closed_on_from", "closed_on_before", "language", "precinct"),
        }
    )


class CaseStateOut(Out):
    """A case of the complaint: one attempt to mediate it."""

    id: UUID
    state: State


class PartOut(Out):
    """The part of a complaint between one complainant and one officer."""

    complainant_id: UUID
    officer_id: UUID
    disposition: Disposition = Field(description="Not `partly_mediated`. `received` if it was not in a case yet.")
    case_id: UUID | None = Field(description="The latest case that contains it.")
    agreement_reached: bool | None = Field(
        description="For a mediated part: whether both signed a resolution agreement."
    )
    session_completed: bool | None = Field(
        description="For an open part: whether both parties attended a completed session, as closing it as mediated "
        "requires."
    )


class PartSummaryOut(Out):
    """A part of a complaint, as a complainant or the integration that filed the complaint sees it."""

    complainant_id: UUID
    officer_id: UUID
    disposition: Disposition


class ComplaintOut(Out):
    """A complaint, as the office sees it."""

    audience: Literal["office"] = Field(description="Who is reading.")
    id: UUID
    reference: str = Field(examples=["2026-000123"], description="For people to quote: the year and a number.")
    channel: Open[Channel]
    narrative: str = Field(
        description="What happened, in the complainant's words. Officers and mediators never see it."
    )
    incident_on: date | None = Field(description="The office's date of the incident; null if unknown.")
    incident_place: str | None = Field(description="Where it happened, in the complainant's words; null if unknown.")
    precinct: str | None = Field(description="The police precinct, as the city names it; null if unknown.")
    allegations: Annotated[list[str], Field(max_length=MOST_ALLEGATIONS)] = Field(
        description="Categories of the city's list."
    )
    interested_in_mediation: bool = Field(
        description="Whether the complainant is open to mediation, which is not consent yet."
    )
    external_reference: str | None = Field(
        description="The reference of the integration that filed it; null for all others."
    )
    disposition: Disposition = Field(description="`closed_mediated` if all parts are, `partly_mediated` if some are.")
    parts: Annotated[list[PartOut], Field(description="Pairs of complainant and officer.", max_length=MOST_PARTS)]
    crime_alleged: bool | None = Field(description="Whether a crime is alleged; null if unknown yet.")
    serious_injury: bool | None = Field(description="Whether somebody was seriously injured; null if unknown yet.")
    litigation_pending: bool | None = Field(description="Whether a court has the same matter; null if unknown yet.")
    officer_is_witness: bool | None = Field(
        description="Whether an officer is a witness against a complainant in a pending case; null if unknown yet."
    )
    pending_case_filed_on: date | None = Field(
        description="The date on which that case was filed; null if there is none or it is not known yet."
    )
    rank_initiated: bool = Field(description="Whether the complaint comes from within the department.")
    filed_at: InstantOut = Field(description="When the office received it.")
    cases: Annotated[list[CaseStateOut], Field(max_length=MOST_ATTEMPTS)] = Field(
        description="The attempts to mediate it, oldest first."
    )


class ComplaintSummaryOut(Out):
    """A complaint, as a complainant or the integration that filed it sees it."""

    audience: Literal["party", "integration"] = Field(description="Who is reading.")
    id: UUID
    reference: str = Field(examples=["2026-000123"], description="For people to quote: the year and a number.")
    external_reference: str | None = Field(
        description="The reference of the integration that filed it; null for all others."
    )
    incident_on: date | None = Field(description="The office's date of the incident; null if unknown.")
    allegations: Annotated[list[str], Field(max_length=MOST_ALLEGATIONS)] = Field(
        description="Categories of the city's list."
    )
    interested_in_mediation: bool = Field(
        description="Whether the complainant is open to mediation, which is not consent yet."
    )
    disposition: Disposition = Field(description="The disposition of `parts`.")
    parts: Annotated[list[PartSummaryOut], Field(max_length=MOST_PARTS)] = Field(
        description=(
            "For a complainant, its own parts, once a case was `ready` or closed. For the integration, all parts; "
            "until then, `in_mediation` is reported instead of `returned_to_investigation`."
        )
    )
    filed_at: InstantOut = Field(description="When the office received it.")
    case_ids: Annotated[list[UUID], Field(max_length=MOST_ATTEMPTS)] = Field(
        description="The attempts to mediate it, oldest first."
    )


AnyComplaint = Annotated[ComplaintOut | ComplaintSummaryOut, Field(discriminator="audience")]


class ComplaintList(ListOut[AnyComplaint]):
    """One page of complaints."""


class ComplaintFiledOut(Out):
    """A complaint that was filed. The access code of the filer is returned only here; the office issues others."""

    id: UUID
    reference: str = Field(examples=["2026-000123"], description="For people to quote: the year and a number.")
    case_id: UUID | None = Field(description="The case that was opened, if `interested_in_mediation`.")
    access_codes: Annotated[list[AccessCodeOut], Field(max_length=1)] = Field(
        description="The code of `filed_by`, or none."
    )


def to_response(row: AnyRow) -> ComplaintOut | ComplaintSummaryOut:
    """Return the response about a complaint, for the audience for which it was read."""
    if row["audience"] == Audience.OFFICE:
        return _to_office(row)
    latest, known = _state(row), [Disposition(part["disposition"]) for part in row["parts"]]
    if "has_left" in row:
        dispositions, whole = parts_rules.own_dispositions(known, latest, has_left=row["has_left"] is True)
    else:
        states = (None if part["state"] is None else State(part["state"]) for part in row["parts"])
        dispositions = tuple(map(parts_rules.shown_disposition, known, states))
        whole = parts_rules.disposition_of_complaint(dispositions, latest)
    listed = [
        {**part, "disposition": disposition} for part, disposition in zip(row["parts"], dispositions, strict=True)
    ]
    return ComplaintSummaryOut.read(row, disposition=whole, parts=listed)


def _to_office(row: AnyRow) -> ComplaintOut:
    known = [Disposition(part["disposition"]) for part in row["parts"]]
    whole = parts_rules.disposition_of_complaint(known, _state(row))
    return ComplaintOut.read(row, disposition=whole)


def _state(row: AnyRow) -> State | None:
    latest = row["latest_state"]
    return None if latest is None else State(latest)


def _reader(actor: Actor, filer: AccessCodeIssued | None) -> AccessScope | None:
    """Return the scope in which whoever files reads the complaint; None for somebody who files for others."""
    if actor.role is not Role.PUBLIC:
        return AccessScope(actor, Relation.FILED if actor.role is Role.INTEGRATION else Relation.OFFICE)
    if filer is None:
        return None
    return AccessScope(Actor(Role.COMPLAINANT, str(filer.party_id), filer.party_id), Relation.OWN)


@router.post(
    "",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="File a complaint",
    responses=responses(401, 403, 409),
)
@Operation(
    "fileComplaint",
    access=allow(office=(Role.PUBLIC, *INTAKE, Role.INTEGRATION)),
    oauth_scope="complaints:write",
    events=(ComplaintFiled, PartyAdded, AccessCodeIssued, *CASE_OPENED),
    location="/v1/complaints/{id}",
    refusals=(
        "category-not-configured",
        "complainant-missing",
        "complainants-only",
        "external-reference-taken",
        "in-the-future",
        "integration-only",
        "not-your-channel",
        "officers-only",
        "required",
        "staff-only",
    ),
)
async def file_complaint(
    body: ComplaintIn,
    scope: Scope,
    complaints: Complaints,
    record: Record,
    counters: AttemptCounters,
    service: Context,
    at: Now,
    complaint_id: NewId,
    request: Request,
    response: Response,
) -> ComplaintFiledOut:
    """File a complaint: the public without a token, staff after a call or a letter, or an integration.

    The complainant who files gets an access code, and no other party's. With `interested_in_mediation`, a case is
    opened and its four-week target begins.

    The body is a receipt, as it contains the code, which is shown once. `Location` and `ETag` are those of the
    complaint, as the caller, or the complainant who files, reads it.
    """
    actor = scope.actor
    filer = body.filer(actor)
    if actor.role is Role.PUBLIC:
        await count_filing(counters, request, service.settings, at)
    number, categories = await complaints.next_number(), service.allegation_categories.keys()
    case_id = uuid4()
    filing = body.file(
        complaint_id, case_id, by=actor, number=number, categories=categories, at=at, policy=service.policy
    )
    codes = {} if filer is None else {filing.added[filer].party_id: new_code()}
    issued = [party.issue_code(party_id, code, code_key(service)) for party_id, code in codes.items()]
    of_complaint = (filing.filed, *filing.added, *issued)
    await record(Stream(complaint_id=complaint_id), of_complaint, (Stream(case_id=case_id), filing.opened))
    if (reader := _reader(actor, next(iter(issued), None))) is not None:
        response.headers["ETag"] = entity_tag_of(to_response(await complaints.get(complaint_id, reader)))
    access_codes = [AccessCodeOut(party_id=party_id, access_code=code.text()) for party_id, code in codes.items()]
    return ComplaintFiledOut(
        id=complaint_id,
        reference=filing.filed.reference,
        case_id=case_id if filing.opened else None,
        access_codes=access_codes,
    )


@router.get("", summary="Complaints")
@Operation(
    "listComplaints",
    access=allow(office=INTAKE, own=(Role.COMPLAINANT,), filed=True),
    oauth_scope="complaints:read",
    opens=LoggedObject.LIST,
    has_csv=True,
)
async def list_complaints(
    query: Annotated[ComplaintListQuery, Query()],
    pages: Pages,
    scope: LoggedScope,
    complaints: Complaints,
    city: CityPolicy,
    on: Today,
) -> ComplaintList:
    """List the complaints within the caller's access scope. Default order: newest first."""
    query.check_open_to(scope)
    page = await complaints.list(scope, ComplaintFilter(**query.model_dump()), pages.request, today=on, policy=city)
    return pages.response(ComplaintList, page, to_response)


@router.get("/{complaint_id}", summary="A complaint")
@Operation(
    "getComplaint",
    access=allow(office=INTAKE, own=(Role.COMPLAINANT,), filed=True),
    oauth_scope="complaints:read",
    opens=LoggedObject.COMPLAINT,
)
async def get_complaint(complaint_id: ComplaintId, scope: LoggedScope, complaints: Complaints) -> AnyComplaint:
    """Return a complaint: all fields for the office, a summary for a complainant or the integration that filed it."""
    return to_response(await complaints.get(complaint_id, scope))


@router.patch("/{complaint_id}", summary="Correct the intake data", responses=responses(409))
@Operation(
    "correctComplaint",
    access=allow(office=INTAKE),
    oauth_scope="complaints:write",
    events=(ComplaintCorrected, ScreeningOutdated, *CONSENTS_VOIDED),
    refusals=("category-not-configured", "data-erased", "in-the-future", "session-in-progress"),
)
async def correct_complaint(
    complaint_id: ComplaintId,
    body: ComplaintPatch,
    scope: Scope,
    complaints: Complaints,
    cases: Cases,
    record: Record,
    precondition: IfMatch,
    service: Context,
    on: Today,
) -> ComplaintOut:
    """Correct the intake data. The event records the names of the changed fields.

    If the allegations change, parties that agreed are asked again. If an answer that screening checks changes, other
    than to `false`, the open case must be screened again before it continues.
    """
    locked = await cases.lock_open_of(complaint_id, scope.actor)
    current = _to_office(await complaints.get(complaint_id, scope))
    precondition.check(current)
    (account, stream), changes = await complaints.account(complaint_id), body.changes(current)
    corrected = account.correct(changes, today=on, categories=service.allegation_categories.keys())
    others = () if locked is None else ((locked.stream, account.follow_up(changes, locked.case)),)
    await record(stream, corrected, *others)
    return _to_office(await complaints.get(complaint_id, scope))


@router.post(
    "/{complaint_id}/mediation-requests",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Request mediation later",
    responses=responses(409),
)
@Operation(
    "requestMediation",
    access=allow(office=INTAKE, own=(Role.COMPLAINANT,)),
    oauth_scope="complaints:write",
    events=CASE_OPENED,
    location="/v1/cases/{id}",
    refusals=("attempt-too-soon", "attempts-exhausted", "case-already-open", "complaint-closed", "party-left"),
)
async def request_mediation(
    complaint_id: ComplaintId,
    scope: Scope,
    complaints: Complaints,
    record: Record,
    cases: CaseQueries,
    city: CityPolicy,
    at: Now,
    on: Today,
) -> AnyCase:
    """Open a case for a complaint without an open case, when mediation is requested later or again."""
    locked, case_id = await complaints.lock_to_open(complaint_id, scope), uuid4()
    await record(Stream(case_id=case_id), locked.open_case(case_id, at=at, policy=city))
    return case_to_response(await cases.get(case_id, scope), on, city)
