"""Disclosures: the text that a party must read before it answers."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from mediation_api.contract.responses import responses
from mediation_api.database.engine import Pool
from mediation_api.domain.access import EVERYBODY
from mediation_api.domain.errors import NotFound
from mediation_api.domain.texts import OfficeContact, Text, TextKind
from mediation_api.http.dependencies import CaseRecords, Context, Scope
from mediation_api.http.fields import Language, Named, Out, Params
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut
from mediation_api.http.printing import PDF_CONTENT, PdfResponse, Print, UnprintedResponse
from mediation_api.http.routes import Operation
from mediation_api.outreach import forms

router = APIRouter(prefix="/v1/disclosures", route_class=StrictRoute, tags=["disclosures"])

Sha256 = Annotated[
    str,
    StringConstraints(pattern="^[0-9a-f]{64}$", strict=True),
    Named("Sha256", "The SHA-256 hash of a text, in hexadecimal digits."),
]
"""The lower-case hexadecimal SHA-256 of a text in UTF-8."""


class DisclosureOut(Out):
    """A disclosure. Show `text` unchanged; send its `sha256` with the answer."""

    sha256: str = Field(
        examples=["b5bb9d8014a0f9b1d61e21e796d78dccdf1323f2f9f2a5d5a1a0e5b7c1f1a9c0"],
        description="The hash of the exact text.",
    )
    version: str = Field(examples=["2026-11"], description="The edition of the office's texts.")
    language: str = Field(examples=["en"], description="The language of the text.")
    text: str = Field(description="To be shown as it is, without a change.")
    office_name: str = Field(description="The name of the office, whom to ask before answering.")
    office_phone: str | None = Field(
        description="Its telephone number today; null if the city has configured none.", examples=["+1 503 555 0199"]
    )


class DisclosureList(ListOut[DisclosureOut]):
    """The current disclosure in each language."""


class DisclosureFilters(Params):
    """Filters of the list."""

    language: Language | None = Field(None, description="Only in this language. Default: in all languages.")


@router.get("", summary="The current disclosure")
@Operation("listDisclosures", access=EVERYBODY, oauth_scope=None, uses_database=False)
async def list_disclosures(
    query: Annotated[DisclosureFilters, Query()], service: Context, _scope: Scope
) -> DisclosureList:
    """List the current disclosure in each language, English first. For other languages, an interpreter is needed."""
    items = [
        _to_response(text, service.office)
        for text in service.disclosures
        if query.language in {None, text.languages[0]}
    ]
    return DisclosureList(items=items, next_cursor=None)


@router.get("/{sha256}", summary="A disclosure, word for word")
@Operation("getDisclosure", access=EVERYBODY, oauth_scope=None, pool=Pool.PARTIES)
async def get_disclosure(
    sha256: Annotated[Sha256, Path(description="The hash of the text, as in an answer.")],
    service: Context,
    records: CaseRecords,
    _scope: Scope,
) -> DisclosureOut:
    """Return a current disclosure, or an earlier one that a party answered."""
    text = service.current_disclosure(sha256)
    if text is not None:
        return _to_response(text, service.office)
    row = await records.disclosure(sha256)
    text = Text(TextKind.DISCLOSURE, row["version"], (row["language"],), row["body"], row["sha256"])
    return _to_response(text, service.office)


@router.get(
    "/{sha256}/form",
    summary="A disclosure with the form to answer it, printed",
    response_class=PdfResponse,
    response_description="The text with its hash, and a page to answer it on paper, as PDF/UA-1. It names nobody.",
    responses=PDF_CONTENT | responses(409),
)
@Operation("getDisclosureForm", access=EVERYBODY, oauth_scope=None, uses_database=False, refusals=("not-printable",))
async def get_disclosure_form(
    sha256: Annotated[Sha256, Path(description="The hash of a current text.")],
    query: Print,
    service: Context,
    _scope: Scope,
) -> UnprintedResponse:
    """Return a current disclosure with a form to agree or decline, for those who answer on paper."""
    disclosure = service.current_disclosure(sha256)
    if disclosure is None:
        raise NotFound
    document = forms.consent_form(disclosure, service.texts.documents)
    return UnprintedResponse(document, query, "disclosure")


def _to_response(text: Text, office: OfficeContact) -> DisclosureOut:
    return DisclosureOut(
        sha256=text.sha256,
        version=text.version,
        language=text.languages[0],
        text=text.body,
        office_name=office.name,
        office_phone=office.phone,
    )
