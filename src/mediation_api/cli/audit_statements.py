"""Signed statements of the heads of all audit chains: write them, and check them.

A statement is JSON Lines. Keep it where an administrator of the database cannot change it:

    {"statement": "mediation_api chain heads", "format": 1, "at": "2026-11-25T04:00:00+00:00", "follows": null,
     "position": 4711, "link": "…"}                       (one line)
    {"stream": "…", "sequence": 7, "link": "…"}          one for each stream, by stream
    {"kid": "…", "alg": "ES256", "signature": "…"}        of the service's own key, base64url

The statements of a folder are a chain of their own: `000001.jsonl` lists all streams, and each later one those with an
event after the `position` of the one before it, whose SHA-256 it has in `follows`. `position` and `link` are those of
the last event at that time, and every event up to it is included. The statement that continues from there is written
only if that event is still in the database.

The signature is over `mediation_api chain heads 1`, a line feed, and the SHA-256 of all lines before the last in hex.
It cannot be used for a token, because the signed part of a token is two parts of base64url with a dot between.
"""

import asyncio
import base64
import fcntl
import hashlib
import heapq
import json
import os
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.auth.identity_provider import SigningKey, VerificationKey, base64url, read_jwks, read_object
from mediation_api.auth.tokens import service_key
from mediation_api.database.engine import create_engine
from mediation_api.database.row_security import sees_every_row
from mediation_api.domain.audit_chain import ChainHead, Horizon
from mediation_api.repository import audit_verification
from mediation_api.settings import Settings, SettingsError

_WHAT: Final = "mediation_api chain heads"
_FORMAT: Final = 1
_LONGEST_LINE: Final = 1024
_MARK_EVERY: Final = 1000
"""How many lines of a statement are read at most to find a stream."""
_NAMES: Final = "[0-9]" * 6 + ".jsonl"


class StatementError(Exception):
    """A file is not a statement, or its signature is not valid; or statements do not continue one another."""


def public_keys(key: SigningKey) -> str:
    """Return the JWKS that verifies statements signed with this key."""
    return json.dumps({"keys": [key.public_jwk()]})


def trusted_keys(settings: Settings, keys: Path | None) -> Mapping[str, VerificationKey]:
    """Return the public keys of a JWKS file, or the service's own. Raises StatementError, ValueError or OSError."""
    document = public_keys(service_key(settings)).encode() if keys is None else keys.read_bytes()
    try:
        return read_jwks(document)
    except ValueError:
        raise StatementError("the file of keys is not a JWKS") from None


class StatementWriter:
    """Builds a statement line by line: the header, one line for each head, and the signature."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._digest = hashlib.sha256()

    def header(self, horizon: Horizon, *, at: datetime, follows: str | None) -> bytes:
        """Return the first line."""
        last = {"position": horizon.position, "link": horizon.link.hex()}
        return self.add({"statement": _WHAT, "format": _FORMAT, "at": at.isoformat(), "follows": follows, **last})

    def head(self, head: ChainHead) -> bytes:
        """Return the line of a head."""
        return self.add({"stream": str(head.stream), "sequence": head.sequence, "link": head.link.hex()})

    def add(self, values: object) -> bytes:
        """Return the values as a line, and include it in the signature."""
        line = json.dumps(values).encode() + b"\n"
        self._digest.update(line)
        return line

    def signature(self) -> bytes:
        """Return the last line, with the signature of the lines before."""
        signed = self._key.key.sign(_signed(self._digest.hexdigest()))
        signature = base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
        return json.dumps({"kid": self._key.kid, "alg": self._key.algorithm, "signature": signature}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose signature was checked."""

    path: Path
    sha256: str
    follows: str | None
    horizon: Horizon
    end: int
    """Where its heads end in the file, in bytes."""
    marks: tuple[tuple[UUID, int], ...]
    """Some of its streams, in order, and where their lines begin."""

    def heads(self, after: UUID | None = None, up_to: UUID | None = None) -> Iterator[ChainHead]:
        """Yield the heads of the streams after `after`, up to and including `up_to`, by stream."""
        with self.path.open("rb") as file:
            for line in _lines(file, self._start(after), self.end):
                head = _head(line)
                if up_to is not None and head.stream > up_to:
                    return
                if after is None or head.stream > after:
                    yield head

    def _start(self, after: UUID | None) -> int:
        """Return where to begin to read: at the last mark that has nothing to be yielded before it."""
        number = 0 if after is None else bisect_right(self.marks, after, key=lambda mark: mark[0])
        return self.marks[max(number - 1, 0)][1] if self.marks else self.end


@dataclass(frozen=True, slots=True)
class Export:
    """Statements that continue one another, from a complete one on. Their signatures were checked."""

    statements: Sequence[Statement] = ()

    @property
    def position(self) -> int | None:
        """The position up to which every event is included; None if there is no statement."""
        return self.statements[-1].horizon.position if self.statements else None

    def heads(self, after: UUID | None = None, up_to: UUID | None = None) -> Iterator[ChainHead]:
        """Yield the heads of all statements, by stream and sequence, in the same range as `Statement.heads`."""
        parts = (each.heads(after, up_to) for each in self.statements)
        return heapq.merge(*parts, key=attrgetter("stream", "sequence"))


NOTHING: Final = Export()


async def export(settings: Settings, to: BinaryIO, *, at: datetime, after: Statement | None = None) -> None:
    """Write a signed statement of all heads, or of those of streams with an event after the statement `after`.

    Raises:
        StatementError: the event at which `after` ended is no longer in the database, or a writer does not end.
        ValueError: the service's key cannot be used.
        OSError: nor can a file.
    """
    writer = StatementWriter(service_key(settings))
    former = Horizon() if after is None else after.horizon
    async with connected(settings) as engine:
        try:
            horizon = await audit_verification.horizon(engine)
        except TimeoutError:
            raise StatementError("a transaction that writes events does not end") from None
        async with snapshot(engine) as connection:
            if former.position and await audit_verification.link_at(connection, former.position) != former.link:
                raise StatementError(
                    "the database does not have the event at which the last statement ended: verify it against the "
                    "statements, and begin another folder"
                )
            to.write(writer.header(horizon, at=at, follows=None if after is None else after.sha256))
            async for head in audit_verification.heads(connection, former.position):
                to.write(writer.head(head))
    to.write(writer.signature())


def export_next(settings: Settings, folder: Path, keys: Path | None, *, at: datetime) -> None:
    """Write the next statement of a folder, which is made if there is none.

    A statement is there as a whole or not at all, also if the process is killed: then run it again.

    Raises StatementError, and what `export` raises.
    """
    folder.mkdir(exist_ok=True)
    with _only_writer(folder):
        names = sorted(folder.glob(_NAMES))
        after = read_statement(names[-1], trusted_keys(settings, keys)) if names else None
        partial = folder / "partial"
        with partial.open("wb") as file:
            asyncio.run(export(settings, file, at=at, after=after))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(folder / f"{int(names[-1].stem) + 1 if names else 1:06}.jsonl")
        _sync(folder)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Lock the folder, until the end of the process at the latest. Raises StatementError if another has locked it."""
    with (folder / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StatementError("another process is writing a statement into the folder") from None
        yield


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_export(path: Path, keys: Mapping[str, VerificationKey]) -> Export:
    """Read a complete statement, or a folder of statements, after checking each whole file.

    Raises:
        StatementError: a file is not a statement, is not signed with one of `keys`, or continues not the one before it.
        OSError: a file cannot be read.
    """
    files = sorted(path.glob(_NAMES)) if path.is_dir() else [path]
    statements = [read_statement(each, keys) for each in files]
    if not statements:
        raise StatementError("the folder has no statements")
    for before, statement in zip((None, *statements), statements, strict=False):
        if statement.follows != (None if before is None else before.sha256):
            raise StatementError(f"{statement.path.name} does not continue the statement before it, or that is missing")
    return Export(statements)


def read_statement(path: Path, keys: Mapping[str, VerificationKey]) -> Statement:
    """Check a whole statement.

    Raises:
        StatementError: the file is not a statement, or is not signed with one of `keys`.
        OSError: the file cannot be read.
    """
    whole, signed = hashlib.sha256(), hashlib.sha256()
    header: dict[str, object] = {}
    marks: list[tuple[UUID, int]] = []
    last, before, begins = b"", UUID(int=0), 0
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file)):
            if number == 1:
                header = _header(last)
            elif number > 1:
                head = _head(last)
                if head.stream <= before:
                    raise StatementError("the lines of the statement are not in order")
                before = head.stream
                if not marks or number % _MARK_EVERY == 0:
                    marks.append((head.stream, begins))
            signed.update(last)
            whole.update(line)
            begins += len(last)
            last = line
    _check_signature(_object(last), signed.hexdigest(), keys)
    follows, position, link = header.get("follows"), header.get("position"), header.get("link")
    try:
        if isinstance(follows, str | None) and isinstance(position, int) and isinstance(link, str):
            horizon = Horizon(position, bytes.fromhex(link))
            return Statement(path, whole.hexdigest(), follows, horizon, begins, tuple(marks))
    except ValueError:
        pass
    raise StatementError("the file is not a statement that this release can read")


def _check_signature(signature: Mapping[str, object], digest: str, keys: Mapping[str, VerificationKey]) -> None:
    key = keys.get(str(signature.get("kid")))
    if key is None or signature.get("alg") != key.algorithm:
        raise StatementError("the statement is signed with an unknown key")
    try:
        intact = key.key.verify(_signed(digest), base64url(str(signature.get("signature"))))
    except ValueError:
        intact = False
    if not intact:
        raise StatementError("the signature of the statement is not valid")


def _lines(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    file.seek(start)
    while (end is None or start < end) and (line := file.readline(_LONGEST_LINE)):
        start += len(line)
        yield line


def _header(line: bytes) -> dict[str, object]:
    header = _object(line)
    if header.get("statement") != _WHAT or header.get("format") != _FORMAT:
        raise StatementError("the file is not a statement that this release can read")
    return header


def _head(line: bytes) -> ChainHead:
    values = _object(line)
    stream, sequence, link = values.get("stream"), values.get("sequence"), values.get("link")
    try:
        if isinstance(stream, str) and isinstance(sequence, int) and isinstance(link, str):
            return ChainHead(UUID(stream), sequence, bytes.fromhex(link))
    except ValueError:
        pass
    raise StatementError("a line of the statement cannot be read")


def _object(line: bytes) -> dict[str, object]:
    try:
        return read_object(line, brackets=1)
    except ValueError:
        raise StatementError("a line of the statement cannot be read") from None


def _signed(digest: str) -> bytes:
    return f"{_WHAT} {_FORMAT}\n{digest}".encode()


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Yield an engine without a statement timeout. Raises SettingsError if its role does not see every event."""
    engine = create_engine(settings, statement_timeout_ms=0)
    try:
        async with engine.connect() as connection:
            if not await sees_every_row(connection):
                raise SettingsError("MEDIATION_DATABASE_URL: connect as mediation_service, which sees every event")
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection in one snapshot."""
    snapshots = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    async with snapshots.begin() as connection:
        yield connection
