"""Documents as `application/pdf`: the query that says how large they are printed, and the response."""

from typing import Annotated, Final

from fastapi import HTTPException, Query, Request, Response
from pydantic import Field

from mediation_api.http.fields import Params
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


class UnprintedResponse(PdfResponse):
    """A document that a route returns. `printed` makes its file when the connection of the request is closed."""

    def __init__(self, document: Document, query: PrintQuery, name: str) -> None:
        super().__init__()
        self.document = document
        self.size = query.print
        self.name = name


async def printed(request: Request, unprinted: UnprintedResponse) -> PdfResponse:
    """Return the file of a document. It may wait for other documents, and so must not hold a connection.

    Raises:
        NotPrintable: no font has a character of it.
        DocumentTooLong: it has too many pages.
        HTTPException: too many documents wait to be made (503).
    """
    try:
        file = await request.app.state.service.printer.print(unprinted.document, unprinted.size)
    except PrinterBusy:
        raise HTTPException(503) from None
    headers = {
        "Content-Disposition": f'inline; filename="{unprinted.name}.pdf"',
        "Content-Language": unprinted.document.language,
    }
    return PdfResponse(file, headers=headers)
