"""Imports: many complaints of an integration in one upload, filed in the background (cli/import_lines.py)."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, TypeAdapter

from mediation_api.contract.responses import responses
from mediation_api.database.nesting import AnyRow
from mediation_api.domain.access import allow
from mediation_api.domain.imports import MOST_LINES
from mediation_api.domain.values import ImportState
from mediation_api.http.dependencies import Context, ImportId, Imports, NewId, Now, Scope
from mediation_api.http.fields import Flag, InstantOut, Open, Out, Params
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.json_lines import JSON_LINES, batches
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages
from mediation_api.http.problems import Problem, ProblemContent, localize, problem_document, request_id_of
from mediation_api.http.routes import Operation
from mediation_api.repository.imports import Imports as ImportsRepository
from mediation_api.repository.imports import Upload

router = APIRouter(prefix="/v1/imports", route_class=StrictRoute, tags=["imports"])

CONTENT: Final = TypeAdapter(ProblemContent)
"""Writes and reads why a line was refused."""

_LINES: Final = {
    "requestBody": {
        "required": True,
        "description": "JSON lines in UTF-8: each line is a `ComplaintIn` with an `external_reference`. Empty lines "
        "are left out.",
        "content": {
            JSON_LINES: {
                "schema": {"type": "string", "description": f"At most {MOST_LINES} lines, each no larger than a body."}
            }
        },
    }
}


class ImportQuery(Params):
    """How the lines are treated."""

    dry_run: Flag = Field(default=False, description="Check each line as if it were filed, and file none.")


class ImportOut(Out):
    """An import: how many of its lines were filed, refused or already there."""

    id: UUID
    state: Open[ImportState]
    dry_run: bool = Field(description="Whether the lines are only checked.")
    uploaded_at: InstantOut = Field(description="When the upload began.")
    lines: int = Field(ge=0, le=MOST_LINES, description="How many lines it has, without empty ones.")
    last_line_done: int = Field(ge=0, le=MOST_LINES, description="The number of the last line that was done.")
    filed: int = Field(ge=0, le=MOST_LINES, description="Lines that were filed; in a dry run, that would be.")
    refused: int = Field(ge=0, le=MOST_LINES, description="Lines that were refused: `listImportRefusals` says why.")
    already_there: int = Field(
        ge=0, le=MOST_LINES, description="Lines whose `external_reference` you had filed before."
    )
    ended_at: InstantOut | None = Field(description="When its last line was done or it was cancelled; null before.")


class ImportRefusalOut(Out):
    """A line that was refused."""

    line: int = Field(ge=1, le=MOST_LINES, description="Its number, from 1, empty lines included.")
    problem: Problem = Field(description="The answer that the line would have had as a request.")


class ImportRefusalList(ListOut[ImportRefusalOut]):
    """The lines that were refused, in their order."""


def to_response(row: AnyRow) -> ImportOut:
    """Return the response about an import."""
    return ImportOut.read(row, last_line_done=row["done"])


@router.post("", status_code=202, summary="Upload many complaints", openapi_extra=_LINES)
@Operation(
    "startImport",
    access=allow(filed=True),
    oauth_scope="complaints:write",
    location="/v1/imports/{id}",
    takes_lines=True,
)
async def start_import(
    request: Request,
    query: Annotated[ImportQuery, Query()],
    scope: Scope,
    service: Context,
    import_id: NewId,
    at: Now,
) -> ImportOut:
    """Upload complaints, one a line. They are filed in the background, by the rules of `fileComplaint`.

    Each line needs an `external_reference`. One that you have filed is already there, so that an upload may be sent
    again, whole or in part. No access codes are made: the office issues them.
    """
    longest, caller = service.settings.body_limit_bytes, request.state.caller
    async with service.database.transaction(caller=caller) as connection:
        upload = await Upload.begin(
            connection,
            import_id,
            by=scope.actor.subject,
            request_id=request_id_of(request),
            dry_run=query.dry_run,
            at=at,
        )
    lines = 0
    try:
        async for batch in batches(request.stream(), longest=longest):
            if batch.filled:
                async with service.database.transaction(caller=caller) as connection:
                    await upload.add(connection, batch.first_line, batch.lines)
            lines += batch.filled
    except Exception:
        async with service.database.transaction(caller=caller) as connection:
            await upload.drop(connection)
        raise
    async with service.database.transaction(caller=caller) as connection:
        await upload.complete(connection, lines, at)
        return to_response(await ImportsRepository(connection).get(import_id, scope))


@router.get("/{import_id}", summary="How far an import is")
@Operation("getImport", access=allow(filed=True), oauth_scope="complaints:read")
async def get_import(import_id: ImportId, scope: Scope, imports: Imports) -> ImportOut:
    """Return how far an import is."""
    return to_response(await imports.get(import_id, scope))


@router.get("/{import_id}/refusals", summary="The lines of an import that were refused")
@Operation("listImportRefusals", access=allow(filed=True), oauth_scope="complaints:read")
async def list_import_refusals(
    import_id: ImportId, request: Request, response: Response, scope: Scope, imports: Imports, pages: Pages
) -> ImportRefusalList:
    """List the lines that were refused, each with the problem document that it would have had as a request."""
    page = await imports.list_refusals(import_id, scope, pages.request)
    localize(request, response)

    def shown(row: AnyRow) -> ImportRefusalOut:
        content, line = CONTENT.validate_python(row["problem"]), row["line"]
        problem = problem_document(
            request, content, instance=f"/imports/{import_id}/lines/{line}", request_id=row["request_id"]
        )
        return ImportRefusalOut(line=line, problem=problem)

    return pages.response(ImportRefusalList, page, shown)


@router.post("/{import_id}/cancel", dependencies=[IDEMPOTENT], summary="Stop an import", responses=responses(409))
@Operation("cancelImport", access=allow(filed=True), oauth_scope="complaints:write", refusals=("state-conflict",))
async def cancel_import(import_id: ImportId, scope: Scope, imports: Imports, at: Now) -> ImportOut:
    """Stop an import, and delete the lines that are not done. What was filed stays filed."""
    (await imports.lock(import_id, scope)).require_running()
    await imports.cancel(import_id, at)
    return to_response(await imports.get(import_id, scope))
