"""Parties of a complaint: contact, needs, guardians, and the access codes of complainants."""

from secrets import token_bytes
from typing import Annotated, ClassVar, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from mediation_api.contract.responses import responses
from mediation_api.database.nesting import AnyRow
from mediation_api.domain import access_codes, reopening
from mediation_api.domain import party as party_rules
from mediation_api.domain.access import INTAKE, PARTIES, AccessScope, Relation, Role, allow
from mediation_api.domain.access_codes import AccessCode
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.errors import Invalid
from mediation_api.domain.events import (
    CONSENTS_VOIDED,
    AccessCodeIssued,
    ConsentVoided,
    IdentityReleased,
    NameCorrected,
    PartOpened,
    PartReturned,
    PartyAdded,
    PartyAsked,
    PartyCorrected,
    PartyJoined,
    PartyRemoved,
    SessionCancelled,
    StateChanged,
)
from mediation_api.domain.values import NameCorrection, RemovalReason, Side
from mediation_api.http.dependencies import (
    Cases,
    ComplaintId,
    Context,
    LoggedScope,
    NewId,
    Parties,
    PartyId,
    Record,
    Scope,
    ServiceContext,
)
from mediation_api.http.fields import (
    Email,
    Flag,
    In,
    InstantOut,
    Language,
    Line,
    LongLine,
    Named,
    Note,
    Open,
    Out,
    Phone,
    absent,
    rule_broken,
    when,
)
from mediation_api.http.idempotency import IDEMPOTENT, IfMatch
from mediation_api.http.merge_patch import Patch
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, single_page
from mediation_api.http.routes import Operation
from mediation_api.repository.streams import Stream

router = APIRouter(route_class=StrictRoute, tags=["parties"])

EmployeeNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$", strict=True),
    Named("EmployeeNumber", "The city's number for an employee, which links the person's token to the record."),
]


class GuardianIn(In):
    """The parent, guardian or other representative of a minor or an adult."""

    name: Line
    relation: Line = Field(examples=["parent", "legal guardian"])
    phone: Phone | None = Field(None, description="Where the guardian can be called.")
    email: Email | None = Field(None, description="Where the guardian can be written to.")


class PartyIn(In):
    """A new party. Its needs for taking part are provided free of charge."""

    model_config = when("side", "officer", absent("minor", "guardian"), absent("employee_number", "unit"))

    side: Side
    name: Line
    employee_number: EmployeeNumber | None = Field(None, description="Officers only.")
    unit: Line | None = Field(None, description="Officers only.")
    phone: Phone | None = Field(None, description="Where the party can be called.")
    email: Email | None = Field(None, description="Where the party can be written to.")
    email_allowed: Flag = Field(
        default=False, description="Whether the service may send mail to `email`, and it is safe for the person."
    )
    postal_address: LongLine | None = Field(None, description="Where letters reach the party.")
    safe_contact: Note | None = Field(None, description="How and when the person can be reached safely.")
    language: Language = "en"
    interpreter_language: Language | None = Field(
        None, description="The language of the interpreter, if one is needed. Includes sign languages."
    )
    accommodations: Note | None = Field(None, description="What the party needs to take part.")
    minor: Flag = Field(default=False, description="Complainants only.")
    guardian: GuardianIn | None = Field(None, description="Complainants only.")

    @model_validator(mode="after")
    def _fits_the_side(self) -> Self:
        if self.side is Side.COMPLAINANT and (self.employee_number or self.unit):
            raise rule_broken("officers-only", "Only an officer has an employee number and a unit.")
        if self.side is Side.OFFICER and (self.minor or self.guardian):
            raise rule_broken("complainants-only", "Only a complainant is a minor or has a guardian.")
        return self

    def columns(self) -> dict[str, object]:
        """Return the columns of the party, without its side."""
        own = {name: getattr(self, name) for name in type(self).model_fields if name not in {"side", "guardian"}}
        return {**own, **guardian_columns(self.guardian)}


class PartyPatch(Patch):
    """A correction of a party. The party itself may correct only its contact data, language and needs."""

    kept: ClassVar[frozenset[str]] = frozenset({"name", "language", "minor", "email_allowed", "name_correction_reason"})
    by_party: ClassVar[frozenset[str]] = frozenset(
        {
            "phone",
            "email",
            "email_allowed",
            "postal_address",
            "safe_contact",
            "language",
            "interpreter_language",
            "accommodations",
        }
    )

    name: Line | SkipJsonSchema[None] = None
    employee_number: EmployeeNumber | None = Field(None, description="Officers only.")
    unit: Line | None = Field(None, description="Officers only.")
    phone: Phone | None = Field(None, description="Where the party can be called.")
    email: Email | None = Field(None, description="Where the party can be written to.")
    email_allowed: Flag | SkipJsonSchema[None] = Field(
        None,
        description="Whether the service may send mail to `email`. Another `email` or `safe_contact` without it ends "
        "the permission.",
    )
    postal_address: LongLine | None = Field(None, description="Where letters reach the party.")
    safe_contact: Note | None = Field(None, description="How and when the person can be reached safely.")
    language: Language | SkipJsonSchema[None] = None
    interpreter_language: Language | None = Field(None, description="Null if no interpreter is needed.")
    accommodations: Note | None = Field(None, description="What the party needs to take part.")
    minor: Flag | SkipJsonSchema[None] = Field(None, description="Complainants only: whether the person is under 18.")
    guardian: GuardianIn | None = Field(None, description="Complainants only.")
    name_correction_reason: NameCorrection | SkipJsonSchema[None] = Field(
        None,
        description="Why the name, or the guardian's, changes although the person is the same. Required after the "
        "party was asked to take part.",
    )

    def columns(self, current: "PartyOut", scope: AccessScope) -> dict[str, object]:
        """Return the changed columns. Raises Invalid for a field that this caller, or this side, may not change."""
        changes, side = self.changes(current), current.side
        changes.pop("name_correction_reason", None)
        for name in changes:
            if scope.relation is Relation.OWN and name not in self.by_party:
                raise Invalid(f"/{name}", "staff-only", "Only staff correct this.")
            if side is Side.COMPLAINANT and name in {"employee_number", "unit"}:
                raise Invalid(f"/{name}", "officers-only", "Only an officer has this.")
            if side is Side.OFFICER and name in {"minor", "guardian"}:
                raise Invalid(f"/{name}", "complainants-only", "Only a complainant has this.")
        if "guardian" in changes:
            del changes["guardian"]
            changes |= guardian_columns(self.guardian)
        if current.email_allowed and "email_allowed" not in self.model_fields_set:
            changes |= party_rules.permission_to_write(changes)
        return changes


def guardian_columns(guardian: GuardianIn | None) -> dict[str, object]:
    """Return the columns of a party for its guardian."""
    return {
        f"guardian_{name}": None if guardian is None else getattr(guardian, name) for name in GuardianIn.model_fields
    }


class GuardianOut(Out):
    """A guardian or representative."""

    name: str = Field(description="The guardian's.")
    relation: str = Field(description="What the guardian is to the person.")
    phone: str | None = Field(description="Null if none is known.")
    email: str | None = Field(description="Null if none is known.")


class PartyOut(Out):
    """A party with all fields. Only staff and the party itself see it."""

    id: UUID
    complaint_id: UUID
    side: Side
    name: str = Field(description="As the person writes it.")
    employee_number: str | None = Field(description="An officer's number at the city; null if unknown.")
    unit: str | None = Field(description="An officer's unit; null if unknown.")
    phone: str | None = Field(description="Null if none is known.")
    email: str | None = Field(description="Null if none is known.")
    email_allowed: bool = Field(description="Whether the service may send mail to `email`.")
    postal_address: str | None = Field(description="Null if none is known.")
    safe_contact: str | None = Field(
        description="How and when the person can be reached safely; null if nothing is known."
    )
    language: str = Field(description="The language in which the person is written to.")
    interpreter_language: str | None = Field(
        description="The language of the interpreter, sign languages included; null if none is needed."
    )
    accommodations: str | None = Field(description="What the person needs for taking part; null if nothing is known.")
    minor: bool = Field(description="Whether a complainant is under 18: a guardian must agree and be present.")
    guardian: GuardianOut | None = Field(description="Null if the party has none.")
    added_at: InstantOut = Field(description="When it was entered on the complaint.")
    identity_bound: bool = Field(
        description="Whether an officer has answered. From then on, only the token subject that answered has access."
    )
    removed_at: InstantOut | None = Field(description="When the office removed it, as the wrong party.")
    removal_reason: Open[RemovalReason] | None = Field(description="Null unless it was removed.")

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Return the response about a row of `parties`."""
        guardian = None
        if row["guardian_name"] is not None:
            guardian = GuardianOut(
                **{name: row[f"guardian_{name}"] for name in GuardianOut.model_fields},
            )
        computed = {"guardian": guardian, "identity_bound": row["bound_subject"] is not None}
        return cls.model_validate({**row, **computed})


class PartyList(ListOut[PartyOut]):
    """The parties of a complaint that the caller may see."""


class AccessCodeOut(Out):
    """A complainant's access code. It is returned only once."""

    party_id: UUID
    access_code: str = Field(
        examples=["7K4MW-3F9QT-8ZC2X-N5RBD-0V6HJ-1YGPS-AEKM4"],  # pragma: allowlist secret
        description="To be given to that person alone; it cannot be looked up later.",
    )


def new_code() -> AccessCode:
    """Return a random access code."""
    return access_codes.from_entropy(token_bytes(access_codes.ENTROPY_BYTES))


def code_key(service: ServiceContext) -> bytes:
    """Return the key with which access codes are hashed."""
    return service.settings.access_code_secret.get_secret_value().encode()


@router.get("/v1/complaints/{complaint_id}/parties", summary="The parties of a complaint")
@Operation(
    "listParties",
    access=allow(office=INTAKE, own=(Role.COMPLAINANT,)),
    oauth_scope="parties:read",
    opens=LoggedObject.COMPLAINT,
)
async def list_parties(complaint_id: ComplaintId, scope: LoggedScope, parties: Parties) -> PartyList:
    """List the parties of a complaint, in the order in which they were added; for a complainant, only itself."""
    return single_page(PartyList, await parties.list(complaint_id, scope), PartyOut.of)


@router.post(
    "/v1/complaints/{complaint_id}/parties",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Add a party",
    responses=responses(409),
)
@Operation(
    "addParty",
    access=allow(office=INTAKE),
    oauth_scope="parties:write",
    events=(PartyAdded, PartyJoined, PartOpened, PartyAsked, SessionCancelled, StateChanged),
    location="/v1/parties/{id}",
    refusals=("limit-reached", "mediator-is-party", "officers-only", "party-already-listed", "state-conflict"),
)
async def add_party(
    complaint_id: ComplaintId,
    body: PartyIn,
    scope: Scope,
    parties: Parties,
    cases: Cases,
    record: Record,
    party_id: NewId,
) -> PartyOut:
    """Add a complainant or an officer. In an open case, the new party is asked, and its answer becomes a condition."""
    locked = await cases.lock_open_of(complaint_id, scope.actor)
    others = await parties.count(complaint_id)
    added = party_rules.add(party_id, body.side, body.columns(), others=others)
    data_key = None if locked is None else locked.stream.data_key
    await record(Stream(complaint_id=complaint_id, data_key=data_key), (added,))
    if locked is not None:
        await record(locked.stream, locked.case.join(party_id, body.side))
    return PartyOut.of(await parties.get(party_id, scope))


@router.get("/v1/parties/{party_id}", summary="A party")
@Operation("getParty", access=allow(office=INTAKE, own=PARTIES), oauth_scope="parties:read", opens=LoggedObject.PARTY)
async def get_party(party_id: PartyId, scope: LoggedScope, parties: Parties) -> PartyOut:
    """Return a party. A party may only read itself."""
    return PartyOut.of(await parties.get(party_id, scope))


@router.patch("/v1/parties/{party_id}", summary="Correct a party", responses=responses(409))
@Operation(
    "correctParty",
    access=allow(office=INTAKE, own=PARTIES),
    oauth_scope="parties:write",
    events=(PartyCorrected, NameCorrected, *CONSENTS_VOIDED),
    refusals=(
        "complainants-only",
        "data-erased",
        "identity-fixed",
        "officers-only",
        "only-with-name",
        "party-already-listed",
        "party-removed",
        "session-in-progress",
        "staff-only",
    ),
)
async def correct_party(
    party_id: PartyId,
    body: PartyPatch,
    scope: Scope,
    parties: Parties,
    cases: Cases,
    record: Record,
    precondition: IfMatch,
) -> PartyOut:
    """Correct a party. The party itself may correct its contact data, language and needs.

    The identity of a party cannot be corrected after it was asked to take part: remove the wrong party instead. If the
    party turns out to be a minor, or to have another guardian, its consent is voided and it is asked again. Erased data
    cannot be corrected. A field with its present value is no correction, whoever sends it.
    """
    complaint_id = await parties.complaint_of(party_id, scope)
    locked = await cases.lock_open_of(complaint_id, scope.actor)
    party, stream = await parties.lock(party_id, scope)
    current = PartyOut.of(await parties.get(party_id, scope))
    precondition.check(current)
    changes = body.columns(current, scope)
    correction = party.correct(changes, body.name_correction_reason)
    decided = stream, correction.events
    if locked is not None and correction.voids is not None:
        await record(locked.stream, reopening.void(locked.case, {party_id}, correction.voids), decided)
    else:
        await record(*decided)
    return PartyOut.of(await parties.get(party_id, scope))


class RemovalIn(In):
    """Why the party is removed."""

    reason: RemovalReason


@router.post(
    "/v1/parties/{party_id}/removals",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Remove the wrong party",
    responses=responses(409),
)
@Operation(
    "removeParty",
    access=allow(office=INTAKE),
    oauth_scope="parties:write",
    events=(PartyRemoved, ConsentVoided, PartReturned, PartyAsked, SessionCancelled, StateChanged),
    location="/v1/parties/{id}",
    refusals=("part-mediated", "party-removed", "session-in-progress"),
)
async def remove_party(
    party_id: PartyId, body: RemovalIn, scope: Scope, parties: Parties, cases: Cases, record: Record
) -> PartyOut:
    """Remove a wrong party. Its consent, signature and access end, and only the office still sees it.

    The case stays open. If a side is missing, its readiness says so until the right party was added and has answered.
    """
    complaint_id = await parties.complaint_of(party_id, scope)
    locked = await cases.lock_open_of(complaint_id, scope.actor)
    party, stream = await parties.lock(party_id, scope)
    removed = party.remove(body.reason)
    follows = () if locked is None else reopening.remove(locked.case, removed)
    if locked is None or not follows:  # nothing follows in a case that closed while this waited for its lock
        await record(stream, (removed,))
    else:
        await record(locked.stream, follows)
    return PartyOut.of(await parties.get(party_id, scope))


@router.post(
    "/v1/parties/{party_id}/identity-releases",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Release an officer's token subject",
    responses=responses(409),
)
@Operation(
    "releaseIdentity",
    access=allow(office=INTAKE),
    oauth_scope="parties:write",
    events=(IdentityReleased,),
    location="/v1/parties/{id}",
    refusals=("identity-not-bound", "party-removed"),
)
async def release_identity(party_id: PartyId, scope: Scope, parties: Parties, record: Record) -> PartyOut:
    """Release the token subject of an officer, for example for a new account. The next answer binds the new subject."""
    locked = await parties.lock(party_id, scope)
    await record(locked.stream, (locked.party.release_identity(),))
    return PartyOut.of(await parties.get(party_id, scope))


@router.post(
    "/v1/parties/{party_id}/access-codes",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Replace a complainant's access code",
    responses=responses(409),
)
@Operation(
    "issueAccessCode",
    access=allow(office=INTAKE),
    oauth_scope="parties:write",
    events=(AccessCodeIssued,),
    refusals=("data-erased", "officer-has-no-code", "party-removed"),
)
async def issue_access_code(
    party_id: PartyId, scope: Scope, parties: Parties, record: Record, service: Context
) -> AccessCodeOut:
    """Issue a new access code for a complainant, and end the previous one. Officers use the city's sign-in instead.

    The code is in this response and can never be read again, so there is no `Location`. Refused for a party that was
    erased or removed.
    """
    locked, code = await parties.lock(party_id, scope), new_code()
    await record(locked.stream, (locked.party.issue_code(code, code_key(service)),))
    return AccessCodeOut(party_id=party_id, access_code=code.text())
