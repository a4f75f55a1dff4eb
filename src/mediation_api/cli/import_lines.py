"""Filing the lines of imports, a task of the worker: each as `fileComplaint` files a request, a batch at a time.

A batch is one transaction. If the database refuses it, its lines are filed one by one, so that a line that is refused
does not hold up the others.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import uuid4

from pydantic import JsonValue, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.domain.access import Actor, Role
from mediation_api.domain.complaint import Filing
from mediation_api.domain.errors import Conflict, ExternalReferenceTaken, Invalid, Refusal
from mediation_api.domain.events import Event
from mediation_api.domain.imports import rest_seconds
from mediation_api.http.json_lines import is_empty
from mediation_api.http.problems import (
    Malformed,
    ProblemContent,
    content_of_invalid,
    content_of_malformed,
    content_of_refusal,
    content_of_status,
)
from mediation_api.http.strict_json import parse_json
from mediation_api.logs import LogEvent, class_of, sqlstate_of
from mediation_api.outreach.worker import RunResult, WorkerContext
from mediation_api.repository.complaints import Complaints
from mediation_api.repository.imports import Imports, LineBatch
from mediation_api.repository.recording import record_new
from mediation_api.repository.streams import Stream
from mediation_api.routers.complaints import ComplaintIn
from mediation_api.routers.imports import CONTENT

_log = logging.getLogger(__name__)

_NUMBER_OF_A_DRY_RUN: Final = 1_000_000_000
"""The first number of the references of a dry run. They are rolled back, and take no number of the sequence."""
_CHECK_NOW: Final = text("SET CONSTRAINTS ALL IMMEDIATE")
_OF_A_ROW: Final = ("22", "23")
"""The classes of the SQLSTATEs by which a row is refused: what it holds, and what it breaks."""

Decided = tuple[tuple[Stream, Sequence[Event]], ...]


async def run_imports(context: WorkerContext) -> RunResult:
    """File the next batch of lines of an import, and rest for long enough to leave the database to others."""
    started = time.perf_counter()
    if not await file_next_batch(context):
        return RunResult.DONE
    await asyncio.sleep(rest_seconds(time.perf_counter() - started, context.settings.import_share_percent))
    return RunResult.MORE


async def file_next_batch(context: WorkerContext) -> bool:
    """File the next batch of lines. Returns whether there was one.

    Any number of processes may do so at once. After a crash, the batch is filed by the next call.
    """
    async with context.database.transaction() as connection:
        imports, at = Imports(connection), context.clock()
        await imports.drop_abandoned(at)
        batch = await imports.next_batch()
        if batch is not None:
            await _BatchFiler(connection, batch, context, at).run()
        return batch is not None


class _BatchFiler:
    """Files the lines of one batch, in the transaction that counts them."""

    def __init__(self, connection: AsyncConnection, batch: LineBatch, context: WorkerContext, at: datetime) -> None:
        self._connection = connection
        self._batch = batch
        self._context = context
        self._at = at
        self._by = Actor(Role.INTEGRATION, batch.by)
        self._refused: dict[int, ProblemContent] = {}
        self._already_there = 0

    async def run(self) -> None:
        new = await self._without_known(self._readable())
        decided = await self._decided(new)
        filed = await self._record(decided)
        refused = {line: CONTENT.dump_python(content, mode="json") for line, content in self._refused.items()}
        await Imports(self._connection).finish(
            self._batch, refused, filed=filed, already_there=self._already_there, at=self._at
        )

    def _readable(self) -> Iterator[tuple[int, ComplaintIn]]:
        """Yield the lines that are complaints by their form, by number."""
        for line, content in enumerate(self._batch.lines, self._batch.first_line):
            if is_empty(content):
                continue
            read = _read(content, self._context.settings.body_limit_bytes)
            if isinstance(read, ComplaintIn):
                yield line, read
            else:
                self._refused[line] = read

    async def _without_known(self, lines: Iterator[tuple[int, ComplaintIn]]) -> dict[int, ComplaintIn]:
        """Return the lines of which none was filed before, and count the others."""
        found = dict(lines)
        references = {line: str(body.external_reference) for line, body in found.items()}
        known = set(await Imports(self._connection).known_references(self._batch.by, set(references.values())))
        new: dict[int, ComplaintIn] = {}
        for line, reference in references.items():
            if reference in known:
                self._already_there += 1
            else:
                new[line] = found[line]
                known.add(reference)  # a later line with the same one
        return new

    async def _decided(self, new: Mapping[int, ComplaintIn]) -> dict[int, Decided]:
        """Return what the domain decides to record for each line, and keep why it refuses others."""
        if self._batch.dry_run:
            numbers: Sequence[int] = range(_NUMBER_OF_A_DRY_RUN, _NUMBER_OF_A_DRY_RUN + len(new))
        else:
            numbers = await Complaints(self._connection).next_numbers(len(new))
        decided: dict[int, Decided] = {}
        for number, (line, body) in zip(numbers, new.items(), strict=True):
            try:
                decided[line] = self._decide(body, number)
            except Refusal as refusal:
                self._refused[line] = content_of_refusal(refusal)
        return decided

    def _decide(self, body: ComplaintIn, number: int) -> Decided:
        body.filer(self._by)  # refuses a party that cannot be the one who files; it gets no access code here
        complaint_id, case_id = uuid4(), uuid4()
        filing: Filing = body.file(
            complaint_id,
            case_id,
            by=self._by,
            number=number,
            categories=self._context.allegation_categories.keys(),
            at=self._at,
            policy=self._context.policy,
        )
        of_complaint = (Stream(complaint_id=complaint_id), (filing.filed, *filing.added))
        return of_complaint, (Stream(case_id=case_id), filing.opened)

    async def _record(self, decided: Mapping[int, Decided]) -> int:
        """Record what was decided, all at once or else line by line. Returns how many lines were filed."""
        if not decided:
            return 0
        if await self._recorded(*decided.values()) is None:
            return len(decided)
        filed = 0
        for line, each in decided.items():
            refused = await self._recorded(each)
            if refused is None:
                filed += 1
            elif isinstance(refused, ExternalReferenceTaken):  # a request filed it since this transaction looked
                self._already_there += 1
            else:
                self._refused[line] = self._content_of(refused, line)
        return filed

    async def _recorded(self, *decided: Decided) -> Conflict | DBAPIError | None:
        """Record the events of some lines, or say why the database refuses them. A dry run leaves nothing behind."""
        try:
            async with self._connection.begin_nested() as savepoint:
                events = [of_stream for each in decided for of_stream in each]
                await record_new(self._connection, events, by=self._by, at=self._at)
                await self._connection.execute(_CHECK_NOW)
                if self._batch.dry_run:
                    await savepoint.rollback()
        except Conflict as refused:
            return refused
        except DBAPIError as error:
            if not (sqlstate_of(error) or "").startswith(_OF_A_ROW):
                raise
            return error
        return None

    def _content_of(self, refused: Conflict | DBAPIError, line: int) -> ProblemContent:
        if isinstance(refused, Conflict):
            return content_of_refusal(refused)
        # As the answer to a request would be: what refuses it here, no rule of the domain has found.
        _log.error(
            LogEvent(
                "import-line",
                import_id=str(self._batch.import_id),
                line=line,
                error=class_of(refused),
                sqlstate=sqlstate_of(refused),
            )
        )
        return content_of_status(500)


def _read(line: bytes, longest: int) -> ComplaintIn | ProblemContent:
    """Return the complaint of a line, or why it is none."""
    if len(line) > longest:
        return content_of_status(413)
    value: JsonValue = None
    try:
        value = parse_json(line)
        body = ComplaintIn.model_validate(value)
    except Malformed as malformed:
        return content_of_malformed(malformed)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
        return content_of_invalid([{**error, "loc": ("body", *error["loc"])} for error in errors], value)
    if body.external_reference is None:
        return content_of_refusal(Invalid("/external_reference", "required", "A line of an import needs a reference."))
    return body
