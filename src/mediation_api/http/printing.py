"""Documents as `application/pdf`: the query that says how large they are printed, and the response."""

from typing import Annotated, Final

from fastapi import HTTPException, Query, Request, Response
from pydantic import Field

from mediation_api.http.fields import Params
from mediation_api.http.idempotency import entity_tag
from mediation_api.outreach.documents import PDF, Document, PrinterBusy, PrintSize


class PdfResponse(Response):
    """A PDF file."""

    media_type = PDF


PDF_CONTENT: Final[dict[int | str, dict[str, object]]] = {
    200: {"content": {PDF: {"schema": {"type": "string", "format": "binary"}}}}
}
"""For `responses` of a route: what FastAPI would say is that a PDF file is text."""


class PrintQuery(Params):
    """How a document is printed."""

    print: PrintSize = Field(PrintSize.NORMAL, description="`large` for large print: 18 points instead of 11.")


Print = Annotated[PrintQuery, Query()]


async def pdf_response(request: Request, document: Document, query: PrintQuery, name: str) -> PdfResponse:
    """Return a document as a file called `name`.

    Raises:
        NotPrintable: no font has a character of it.
        DocumentTooLong: it has too many pages.
        HTTPException: too many documents wait to be made (503).
    """
    try:
        made = await request.app.state.service.printer.print(document, query.print)
    except PrinterBusy:
        raise HTTPException(503) from None
    headers = {
        "Content-Disposition": f'inline; filename="{name}.pdf"',
        "Content-Language": document.language,
        "ETag": entity_tag(made),
    }
    return PdfResponse(made, headers=headers)
