"""Agreements: the exact texts that the parties sign, and their signatures."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from mediation_api.contract.responses import responses
from mediation_api.database.nesting import AnyRow
from mediation_api.domain import agreements
from mediation_api.domain.access import CASEWORK, PARTIES, AccessScope, Audience, Relation, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.errors import Invalid, NotFound
from mediation_api.domain.events import AgreementMade, AgreementSigned, IdentityBound
from mediation_api.domain.texts import Edition, Text, TextKind, signed_hash
from mediation_api.domain.values import MOST_SEATS, AgreementKind, Method, ReportCategory, Seat, SeatRole
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
from mediation_api.http.fields import Flag, In, InstantOut, Language, Once, Open, Out, Paragraphs, absent, given, when
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.printing import PDF_CONTENT, PdfResponse, Print, UnprintedResponse
from mediation_api.http.problem_catalogue import language_of
from mediation_api.http.routes import Operation
from mediation_api.outreach import forms
from mediation_api.outreach.documents import Words
from mediation_api.repository.cases import LockedCase
from mediation_api.routers.disclosures import Sha256
from mediation_api.routers.sessions import SeatIn

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["agreements"])


class AgreementIn(In):
    """A text to sign. It supersedes the previous agreement of the same kind, including its signatures.

    A confidentiality agreement is made from the city's template. With several languages, one text contains all of them,
    so that everybody reads their own language and signs the same text. A resolution agreement contains the parties'
    terms.
    """

    model_config = when("kind", "resolution", given("terms"), absent("terms", "terms_confidential"))

    kind: AgreementKind
    languages: Annotated[
        list[Language],
        Field(description="The languages in which it is to be signed.", min_length=1, max_length=10),
        Once(),
    ]
    terms: Paragraphs | None = Field(None, description="The terms of a resolution agreement. Not for other kinds.")
    terms_confidential: Flag = Field(
        default=False, description="Whether all parties agree that the terms are confidential (ORS 36.220)."
    )

    def text(self, edition: Edition, office: str, reference: str, categories: Iterable[ReportCategory]) -> Text:
        """Return the text to sign. Raises Invalid if terms are missing or not allowed, or there is no template."""
        if self.kind is AgreementKind.RESOLUTION:
            if self.terms is None:
                raise Invalid("/terms", "required", "A resolution agreement has terms.")
            return Text.of(TextKind.RESOLUTION, "", tuple(dict.fromkeys(self.languages)), self.terms)
        if self.terms is not None or self.terms_confidential:
            raise Invalid("/terms", "resolution-only", "Only a resolution agreement has terms.")
        text = edition.render_agreement(self.languages, office, reference, categories)
        if text is None:
            known = ", ".join(edition.languages)
            raise Invalid("/languages", "no-template", "There are templates in: {languages}.", languages=known)
        return text


class SignatureIn(In):
    """A signature on the text with this hash.

    Parties and mediators sign electronically and need no `signer`. Staff record signatures on paper.
    """

    sha256: Sha256
    signer: SeatIn | None = Field(None, description="Who signed on paper. Only for staff.")


class SignatureOut(Out):
    """A signature."""

    id: UUID
    role: Open[SeatRole]
    signer_id: UUID = Field(description="The party, mediator or attendee; for a guardian, the minor.")
    signer_name: str = Field(description="The name at the time of signing.")
    sha256: str = Field(description="The hash of the text that was signed.")
    method: Open[Method]
    signed_at: InstantOut = Field(description="When it was recorded.")


class AgreementOut(Out):
    """An agreement, as the office and the mediator see it."""

    audience: Literal["office", "mediator"] = Field(description="Who is reading.")
    id: UUID
    case_id: UUID
    kind: AgreementKind
    number: int = Field(description="Counts the agreements of this kind in this case, from 1.")
    template_version: str | None = Field(description="The edition of the office's texts that it was made from.")
    languages: Annotated[list[str], Field(max_length=10)] = Field(
        description="The languages of the text, in its order."
    )
    text: str | None = Field(description="Null after the text was purged. Participants keep their own copies.")
    sha256: str = Field(
        description="Hash of the text, its languages and the confidentiality of its terms. Show all three before "
        "somebody signs.",
        examples=["b5bb9d8014a0f9b1d61e21e796d78dccdf1323f2f9f2a5d5a1a0e5b7c1f1a9c0"],
    )
    terms_confidential: bool = Field(description="Whether the parties keep the terms of a resolution to themselves.")
    made_at: InstantOut = Field(description="When it was made.")
    superseded_at: InstantOut | None = Field(
        description="When a later text replaced it, which voids its signatures; null while it is current."
    )
    purged_at: InstantOut | None = Field(description="When the text was purged, after its retention period.")
    signatures: Annotated[list[SignatureOut], Field(description="By the time of signing.", max_length=MOST_SEATS)]


class AgreementForPartyOut(Out):
    """An agreement, as a party sees it, with only its own signature."""

    audience: Literal["party"] = Field(description="Who is reading.")
    id: UUID
    case_id: UUID
    kind: AgreementKind
    number: int = Field(description="Counts the agreements of this kind in this case, from 1.")
    template_version: str | None = Field(description="The edition of the office's texts that it was made from.")
    languages: Annotated[list[str], Field(max_length=10)] = Field(
        description="The languages of the text, in its order."
    )
    text: str | None = Field(description="Null after the text was purged. Participants keep their own copies.")
    sha256: str = Field(
        description="Hash of the text, its languages and the confidentiality of its terms. Show all three before "
        "somebody signs.",
        examples=["b5bb9d8014a0f9b1d61e21e796d78dccdf1323f2f9f2a5d5a1a0e5b7c1f1a9c0"],
    )
    terms_confidential: bool = Field(description="Whether the parties keep the terms of a resolution to themselves.")
    made_at: InstantOut = Field(description="When it was made.")
    superseded_at: InstantOut | None = Field(
        description="When a later text replaced it, which voids its signatures; null while it is current."
    )
    purged_at: InstantOut | None = Field(description="When the text was purged, after its retention period.")
    signed_at: InstantOut | None = Field(description="When the caller signed it.")


AnyAgreement = Annotated[AgreementOut | AgreementForPartyOut, Field(discriminator="audience")]


class AgreementList(ListOut[AnyAgreement]):
    """The agreements of a case, oldest first."""


class VerificationOut(Out):
    """Whether the stored text matches its hash, and every signature is on that hash."""

    agreement_id: UUID = Field(description="The agreement that was verified.")
    sha256: str = Field(description="Computed from the stored text; of a purged text, the stored hash.")
    text_intact: bool | None = Field(description="Null if the text was purged.")
    signatures_intact: bool = Field(description="Whether every signature is on this hash.")
    superseded: bool = Field(description="Whether a later text replaced it.")


def _to_response(row: AnyRow) -> AgreementOut | AgreementForPartyOut:
    return AgreementForPartyOut.read(row) if row["audience"] == Audience.PARTY else AgreementOut.read(row)


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
    oauth_scope="agreements:write",
    events=(AgreementMade,),
    location="/v1/agreements/{id}",
    refusals=("agreement-reached", "case-closed", "no-template", "resolution-only", "state-conflict"),
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
    """Make the text of an agreement, to be signed."""
    locked = await cases.lock(case_id, scope)
    office, categories = service.settings.office_name, service.policy.report_categories
    text = body.text(service.texts.current, office, locked.reference, categories)
    made = agreements.make(
        locked.case, body.kind, text, terms_confidential=body.terms_confidential, agreement_id=agreement_id
    )
    await record(locked.stream, made)
    return _to_response(await agreements_read.get(agreement_id, scope))


@router.get("/cases/{case_id}/agreements", summary="Agreements")
@Operation(
    "listAgreements",
    access=allow(office=CASEWORK, own=PARTIES, assigned=True),
    oauth_scope="agreements:read",
    opens=LoggedObject.CASE,
)
async def list_agreements(
    case_id: CaseId, pages: Pages, scope: LoggedScope, agreements_read: Agreements
) -> AgreementList:
    """List the agreements of a case that the caller may see, oldest first."""
    return pages.response(AgreementList, await agreements_read.list(case_id, scope, pages.request), _to_response)


@router.get("/agreements/{agreement_id}", summary="An agreement")
@Operation(
    "getAgreement",
    access=allow(office=CASEWORK, own=PARTIES, assigned=True),
    oauth_scope="agreements:read",
    opens=LoggedObject.CASE,
)
async def get_agreement(agreement_id: AgreementId, scope: LoggedScope, agreements_read: Agreements) -> AnyAgreement:
    """Return an agreement with its text."""
    return _to_response(await agreements_read.get(agreement_id, scope))


@router.get(
    "/agreements/{agreement_id}/document",
    summary="An agreement, printed",
    response_class=PdfResponse,
    response_description="The text with its hash and lines for signatures, as PDF/UA-1. The same text gives the same "
    "file.",
    responses=PDF_CONTENT | responses(409),
)
@Operation(
    "getAgreementDocument",
    access=allow(office=CASEWORK, own=PARTIES, assigned=True),
    oauth_scope="agreements:read",
    opens=LoggedObject.CASE,
    refusals=("document-too-long", "not-printable"),
)
async def get_agreement_document(
    agreement_id: AgreementId,
    query: Print,
    scope: LoggedScope,
    agreements_read: Agreements,
    service: Context,
) -> UnprintedResponse:
    """Return an agreement as a document to read and to sign on paper. A text that was purged is not found."""
    printed = _printed(await agreements_read.get(agreement_id, scope))
    if not printed.text:
        raise NotFound
    document = forms.agreement(printed, service.texts.documents)
    return UnprintedResponse(document, query, f"{printed.kind}-{printed.number}")


@router.get(
    "/agreements/{agreement_id}/certificate",
    summary="The certificate of signatures",
    response_class=PdfResponse,
    response_description="Who signed the text, when and how, as PDF/UA-1. For a party, its own signature alone.",
    responses=PDF_CONTENT | responses(409),
)
@Operation(
    "getSignatureCertificate",
    access=allow(office=CASEWORK, own=PARTIES, assigned=True),
    oauth_scope="agreements:read",
    opens=LoggedObject.CASE,
    refusals=("not-printable",),
)
async def get_signature_certificate(
    agreement_id: AgreementId,
    query: Print,
    request: Request,
    scope: LoggedScope,
    agreements_read: Agreements,
    service: Context,
) -> UnprintedResponse:
    """Return the signatures on an agreement as a document, in the reader's language."""
    row = await agreements_read.get(agreement_id, scope)
    printed, notes = _printed(row), ["superseded"] if row["superseded_at"] is not None else []
    if row["audience"] == Audience.PARTY:
        notes.append("own_signature_only")
        own = row["signed_at"]
        signatures = [] if own is None else [forms.PrintedSignature(name="", role=SeatRole.PARTY, signed_at=own)]
    else:
        signatures = [
            forms.PrintedSignature(
                name=each["signer_name"],
                role=SeatRole(each["role"]),
                method=Method(each["method"]),
                signed_at=datetime.fromisoformat(each["signed_at"]),
            )
            for each in row["signatures"]
        ]
    words = Words.of(service.texts.documents, [language_of(request)])
    document = forms.certificate(printed, signatures, words, service.policy.target.zone, notes=notes)
    return UnprintedResponse(document, query, f"certificate-{printed.kind}-{printed.number}")


def _printed(row: AnyRow) -> forms.PrintedAgreement:
    columns = ("number", "languages", "sha256", "terms_confidential", "made_at")
    return forms.PrintedAgreement(
        kind=AgreementKind(row["kind"]), text=row["text"] or "", **{name: row[name] for name in columns}
    )


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
    oauth_scope="agreements:write",
    events=(AgreementSigned, IdentityBound),
    location="/v1/agreements/{id}",
    refusals=(
        "agreement-superseded",
        "already-signed",
        "case-closed",
        "not-a-signer",
        "party-left",
        "required",
        "state-conflict",
        "text-changed",
    ),
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
    """Sign the text with this hash electronically, or as staff, record a signature on paper."""
    locked = await cases.lock_of_agreement(agreement_id, scope)
    signer, method = _signer(body, locked, scope)
    signed = agreements.sign_agreement(
        locked.case,
        agreement_id,
        signer,
        signer_name=locked.own_name or await agreements_read.name_of(signer, locked.case.case_id),
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
    oauth_scope="agreements:read",
    opens=LoggedObject.CASE,
)
async def verify_agreement(
    agreement_id: AgreementId, scope: LoggedScope, agreements_read: Agreements
) -> VerificationOut:
    """Hash the stored text again, and compare the hash with the agreement and every signature.

    The hash is computed over: `languages: ` and the languages separated by a comma and a space, a line feed,
    `terms_confidential: ` and `true` or `false`, two line feeds, and the text, in NFC and UTF-8. A person with a copy
    of a purged text can compute and compare its hash.
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
    """Return who signs, and how.

    Raises:
        Invalid: staff gave no signer.
        NotFound: a party or mediator named somebody else.
    """
    if scope.relation is Relation.OFFICE:
        if body.signer is None:
            raise Invalid("/signer", "required", "Staff must give the person who signed on paper.")
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
