"""JSON lines (`application/x-ndjson`): a body of many lines, which is read as it arrives, a batch of lines at a time.

A line feed ends a line; the last one needs none. What is in a line is looked at later, line by line.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final, NamedTuple

from fastapi import Request
from starlette.types import Scope

from mediation_api.domain.imports import BATCH_BYTES, BATCH_LINES, MOST_LINES
from mediation_api.http.problems import ProblemException
from mediation_api.settings import Settings

JSON_LINES: Final = "application/x-ndjson"
UPLOAD_SECONDS: Final = 600.0
"""How long an upload may take to arrive. Its caller is known before anything of it is read."""

_TYPE: Final = re.compile(r'application/x-ndjson[ \t]*(;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)
_ALLOWANCE: Final = "body_allowance"


class Allowance(NamedTuple):
    """How many bytes a body may have, and for how long it may arrive."""

    limit: int
    seconds: float


class Lines(NamedTuple):
    """Successive lines, and the number of the first. A line that is too long is cut behind its first byte too many."""

    first_line: int
    lines: list[bytes]

    @property
    def filled(self) -> int:
        """How many lines are not empty."""
        return sum(not is_empty(line) for line in self.lines)


def is_empty(line: bytes) -> bool:
    """Whether a line holds nothing, and is left out."""
    return not line.strip(b" \t\r")


def allow_lines(request: Request) -> None:
    """Let the body of this request be as large as an upload may be. Raises ProblemException for one of another type."""
    if not _TYPE.fullmatch(request.headers.get("content-type", "").strip()):
        raise ProblemException(415, "unsupported-media-type", "The body must be application/x-ndjson in UTF-8.")
    settings: Settings = request.app.state.service.settings
    request.scope["state"][_ALLOWANCE] = Allowance(settings.import_limit_bytes, UPLOAD_SECONDS)


def allowance_of(scope: Scope) -> Allowance | None:
    """Return what the body of a request may be; None for what is usual."""
    allowance: Allowance | None = scope.get("state", {}).get(_ALLOWANCE)
    return allowance


async def batches(chunks: AsyncIterable[bytes], *, longest: int) -> AsyncIterator[Lines]:
    """Yield the lines of a body in batches of at most `BATCH_LINES` lines and about `BATCH_BYTES` bytes.

    Args:
        chunks: the body.
        longest: how many bytes a line may have.

    Raises:
        ProblemException: there are too many lines (413).
    """
    first, batch, size, line = 1, list[bytes](), 0, b""
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            batch.append((line + piece)[: longest + 1])
            size += len(batch[-1])
            line = b""
            if len(batch) == BATCH_LINES or size >= BATCH_BYTES:
                yield Lines(first, batch)
                first, batch, size = first + len(batch), [], 0
            if first + len(batch) > MOST_LINES + 1:
                raise ProblemException(413, "payload-too-large", "An upload has at most 100,000 lines.")
        line = (line + rest)[: longest + 1]
    if line:
        batch.append(line)
    if first + len(batch) > MOST_LINES + 1:
        raise ProblemException(413, "payload-too-large", "An upload has at most 100,000 lines.")
    if batch:
        yield Lines(first, batch)
