"""Agreements and signatures: one exact text, and who signed it."""

from collections.abc import Iterable
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import RowMapping

from mediation_api.contract.responses import responses
from mediation_api.domain import agreements
from mediation_api.domain.access import CASEWORK, PARTIES, AccessScope, Relation, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.errors import Invalid, NotFound
from mediation_api.domain.events import AgreementMade, AgreementSigned, IdentityBound
from mediation_api.domain.texts import Edition, Text, TextKind, signed_hash
from mediation_api.domain.values import AgreementKind, Method, ReportCategory, Seat, SeatRole
from mediation_api.http.dependencies import (
    AgreementId,
    Agreements,
    CaseId,
    Cases,
    Context,
    LoggedScope,
    NewId,
    Record,
    Scope,
)
from mediation_api.http.fields import Flag, In, InstantOut, Language, Out, Paragraphs
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, single_page
from mediation_api.http.routes import Operation
from mediation_api.repository.cases import LockedCase
from mediation_api.routers.disclosures import Sha256
from mediation_api.routers.sessions import SeatIn

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["agreements"])


class AgreementIn(In):
    """A text to sign. It replaces the one before of its kind, and voids the signatures on that.

    A confidentiality agreement is made from the city's template, in one language or one after the other in several,
    so that everybody reads their own and all sign the same. A resolution agreement carries the parties' own terms.
    """

    kind: AgreementKind
    languages: Annotated[list[Language], Field(min_length=1, max_length=10)]
    terms: Paragraphs | None = Field(None, description="Of a resolution agreement, and of no other.")
    terms_confidential: Flag = Field(
        default=False, description="Terms are confidential only where all parties say so (ORS 36.220)."
    )

    def text(self, edition: Edition, office: str, reference: str, categories: Iterable[ReportCategory]) -> Text:
        """The text to sign. Raises Invalid: terms where there are none, or none where there are, or no template."""
        if self.kind is AgreementKind.RESOLUTION:
            if self.terms is None:
                raise Invalid("/terms", "required", "A resolution agreement has terms.")
            return Text.of(TextKind.RESOLUTION, "", tuple(dict.fromkeys(self.languages)), self.terms)
        if self.terms is not None or self.terms_confidential:
            raise Invalid("/terms", "resolution-only", "Only a resolution agreement has terms.")
        text = edition.render_agreement(self.languages, office, reference, categories)
        if text is None:
            known = ", ".join(edition.languages)
            raise Invalid("/languages", "no-template", f"There are templates in: {known}.")
        return text


class SignatureIn(In):
    """A signature on the text with this hash. Who signs electronically signs for itself and names nobody.

    Staff record what was signed on paper, and by whom.
    """

    sha256: Sha256
    signer: SeatIn | None = Field(None, description="Who signed on paper. Staff name it, nobody else.")


class SignatureOut(Out):
    """A signature."""

    id: UUID
    role: SeatRole
    signer_id: UUID
    signer_name: str = Field(description="As it was when it was signed.")
    sha256: str
    method: Method
    at: InstantOut


class AgreementOut(Out):
    """An agreement, as the office and the mediator see it."""

    audience: Literal["office"]
    id: UUID
    case_id: UUID
    kind: AgreementKind
    number: int
    template_version: str | None
    languages: list[str]
    text: str | None = Field(description="None once it was purged: those who took part have their copies.")
    sha256: str = Field(
        description="Of the text with its languages and the confidentiality of its terms: show all three before "
        "somebody signs.",
        examples=["b5bb9d8014a0f9b1d61e21e796d78dccdf1323f2f9f2a5d5a1a0e5b7c1f1a9c0"],
    )
    terms_confidential: bool
    made_at: InstantOut
    superseded_at: InstantOut | None
    purged_at: InstantOut | None = Field(description="When the text came to the end of its period.")
    signatures: list[SignatureOut]


class AgreementForPartyOut(Out):
    """An agreement, as a party sees it: of the signatures, its own."""

    audience: Literal["party"]
    id: UUID
    case_id: UUID
    kind: AgreementKind
    number: int
    template_version: str | None
    languages: list[str]
    text: str | None = Field(description="None once it was purged: those who took part have their copies.")
    sha256: str = Field(
        description="Of the text with its languages and the confidentiality of its terms: show all three before "
        "somebody signs.",
        examples=["b5bb9d8014a0f9b1d61e21e796d78dccdf1323f2f9f2a5d5a1a0e5b7c1f1a9c0"],
    )
    terms_confidential: bool
    made_at: InstantOut
    superseded_at: InstantOut | None
    purged_at: InstantOut | None = Field(description="When the text came to the end of its period.")
    signed_at: InstantOut | None = Field(description="When the caller signed it.")


AnyAgreement = Annotated[AgreementOut | AgreementForPartyOut, Field(discriminator="audience")]


class AgreementList(ListOut[AnyAgreement]):
    """The agreements of a case, oldest first."""


class VerificationOut(Out):
    """Whether the stored text is what was signed; of a purged one, whether all signed the text of this hash."""

    agreement_id: UUID
    sha256: str = Field(
        description="Computed now, from the stored text; of a purged one, what it was when it was made."
    )
    text_intact: bool | None = Field(description="None where the text was purged: there is nothing to compute from.")
    signatures_intact: bool = Field(description="Every signature is on this text.")
    superseded: bool


def _to_response(row: RowMapping) -> AgreementOut | AgreementForPartyOut:
    return AgreementOut.read(row) if row["audience"] == "office" else AgreementForPartyOut.read(row)


@router.post(
    "/cases/{case_id}/agreements",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Make an agreement",
    responses=responses(409),
)
@Operation(
    "makeAgreement",
    access=allow(office=CASEWORK, assigned=True),
    scope="agreements:write",
    events=(AgreementMade,),
    location="/v1/agreements/{id}",
)
async def make_agreement(
    case_id: CaseId,
    body: AgreementIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    agreements_read: Agreements,
    service: Context,
    agreement_id: NewId,
) -> AnyAgreement:
    """Put a text before the people who are to sign it."""
    locked = await cases.lock(case_id, scope)
    reference = await cases.reference(case_id)
    text = body.text(service.texts.current, service.settings.office_name, reference, service.policy.report_categories)
    made = agreements.make(
        locked.case, body.kind, text, terms_confidential=body.terms_confidential, agreement_id=agreement_id
    )
    await record(locked.stream, made)
    return _to_response(await agreements_read.get(agreement_id, scope))


@router.get("/cases/{case_id}/agreements", summary="Agreements")
@Operation(
    "listAgreements",
    access=allow(office=CASEWORK, own=PARTIES, assigned=True),
    scope="agreements:read",
    opens=LoggedObject.CASE,
)
async def list_agreements(case_id: CaseId, scope: LoggedScope, agreements_read: Agreements) -> AgreementList:
    """The agreements of a case that the caller may see, oldest first."""
    return single_page(AgreementList, await agreements_read.list(case_id, scope), _to_response)


@router.get("/agreements/{agreement_id}", summary="An agreement")
@Operation(
    "getAgreement",
    access=allow(office=CASEWORK, own=PARTIES, assigned=True),
    scope="agreements:read",
    opens=LoggedObject.CASE,
)
async def get_agreement(agreement_id: AgreementId, scope: LoggedScope, agreements_read: Agreements) -> AnyAgreement:
    """An agreement with its text."""
    return _to_response(await agreements_read.get(agreement_id, scope))


@router.post(
    "/agreements/{agreement_id}/signatures",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Sign",
    responses=responses(409),
)
@Operation(
    "signAgreement",
    access=allow(office=CASEWORK, own=PARTIES, assigned=True),
    scope="agreements:write",
    events=(AgreementSigned, IdentityBound),
)
async def sign_agreement(
    agreement_id: AgreementId,
    body: SignatureIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    agreements_read: Agreements,
    signature_id: NewId,
) -> AnyAgreement:
    """Sign the text that was shown, known by its hash: electronically for oneself, or on paper, recorded by staff."""
    locked = await cases.lock_of_agreement(agreement_id, scope)
    signer, method = _signer(body, locked, scope)
    signed = agreements.sign_agreement(
        locked.case,
        agreement_id,
        signer,
        signer_name=await agreements_read.name_of(signer, locked.case.case_id),
        sha256=body.sha256,
        method=method,
        signature_id=signature_id,
        by=scope.actor,
    )
    await record(locked.stream, signed)
    return _to_response(await agreements_read.get(agreement_id, scope))


@router.get("/agreements/{agreement_id}/verification", summary="Verify")
@Operation(
    "verifyAgreement",
    access=allow(office=(*CASEWORK, Role.AUDITOR), assigned=True),
    scope="agreements:read",
    opens=LoggedObject.CASE,
)
async def verify_agreement(
    agreement_id: AgreementId, scope: LoggedScope, agreements_read: Agreements
) -> VerificationOut:
    """Hash the stored text again, and hold it against the agreement and every signature.

    The hash is of `languages: ` and the languages between commas and spaces, a line feed, `terms_confidential: ` and
    `true` or `false`, two line feeds, and the text, in NFC and UTF-8. Whoever kept a copy of a text that was purged can
    hash it, and compare.
    """
    row = await agreements_read.get(agreement_id, scope)
    text: str | None = row["text"]
    computed = row["sha256"]
    if text is not None:
        computed = signed_hash(text, row["languages"], terms_confidential=row["terms_confidential"])
    return VerificationOut(
        agreement_id=agreement_id,
        sha256=computed,
        text_intact=None if text is None else computed == row["sha256"],
        signatures_intact=all(signature["sha256"] == computed for signature in row["signatures"]),
        superseded=row["superseded_at"] is not None,
    )


def _signer(body: SignatureIn, locked: LockedCase, scope: AccessScope) -> tuple[Seat, Method]:
    """Who signs, and how. Raises Invalid: staff name nobody; NotFound: somebody signs for another."""
    if scope.relation is Relation.OFFICE:
        if body.signer is None:
            raise Invalid("/signer", "required", "Staff say who signed on paper.")
        return Seat(body.signer.role, body.signer.id), Method.PAPER
    if scope.actor.role is Role.MEDIATOR:
        case = locked.case
        own = Seat(SeatRole.MEDIATOR, case.mediator.mediator_id if case.mediator else case.case_id)
    elif locked.own_party_id is None:
        raise NotFound
    else:
        own = Seat(SeatRole.PARTY, locked.own_party_id)
    if body.signer is not None and Seat(body.signer.role, body.signer.id) != own:
        raise NotFound
    return own, Method.ELECTRONIC
