"""Signed statements of the heads of all audit chains, and the verification of the chains.

A statement is JSON Lines. Keep it where an administrator of the database cannot change it:

    {"statement": "mediation_api chain heads", "format": 1, "at": "2026-11-25T04:00:00+00:00"}
    {"stream": "…", "sequence": 7, "link": "…"}          one for each stream, by stream
    {"kid": "…", "alg": "ES256", "signature": "…"}        of the service's own key, base64url

The signature is over `mediation_api chain heads 1`, a line feed, and the SHA-256 of all lines before the last in hex.
It cannot be used for a token, because the signed part of a token is two parts of base64url with a dot between.
"""

import base64
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.auth.identity_provider import SigningKey, VerificationKey, base64url, read_jwks, read_object
from mediation_api.database.engine import create_engine
from mediation_api.database.row_security import sees_every_row
from mediation_api.domain.audit_chain import ChainFault, ChainHead, Examination
from mediation_api.repository import audit_comparison, audit_verification
from mediation_api.settings import Settings, SettingsError

_WHAT: Final = "mediation_api chain heads"
_FORMAT: Final = 1
_LONGEST_LINE: Final = 1024


class StatementError(Exception):
    """A file is not a statement, or its signature is not valid."""


@dataclass(slots=True)
class AuditReport:
    """The numbers of a verification."""

    events: int = 0
    streams: int = 0
    problems: int = 0


def signing_key(settings: Settings) -> SigningKey:
    """Return the service's own key. Raises ValueError or OSError."""
    if settings.service_key_file is None:
        raise ValueError("the settings have no service key")
    return SigningKey.from_pem(settings.service_key_file.read_bytes())


def public_keys(key: SigningKey) -> str:
    """Return the JWKS that verifies statements signed with this key."""
    return json.dumps({"keys": [key.public_jwk()]})


class Statement:
    """Builds a statement line by line: the header, one line for each head, and the signature."""

    def __init__(self, key: SigningKey, *, at: datetime) -> None:
        self._key = key
        self._at = at
        self._digest = hashlib.sha256()

    def line(self, head: ChainHead | None) -> bytes:
        """Return the line of a head, or the header for None."""
        if head is None:
            return self.add({"statement": _WHAT, "format": _FORMAT, "at": self._at.isoformat()})
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


async def export(settings: Settings, to: BinaryIO, *, at: datetime) -> None:
    """Write a signed statement of all heads.

    Raises ValueError or OSError for the key or the file, and the errors of the database.
    """
    statement = Statement(signing_key(settings), at=at)
    to.write(statement.line(None))
    async with _snapshot(settings) as connection:
        async for head in audit_verification.heads(connection):
            to.write(statement.line(head))
    to.write(statement.signature())


async def verify(
    settings: Settings, against: Path | None, keys: Path | None, report: AuditReport
) -> AsyncGenerator[ChainFault]:
    """Yield each problem of the chains, each difference from a statement, and each row that contradicts its events.

    Args:
        settings: the database and, without `keys`, the key that signed the statement.
        against: a statement that was exported before.
        keys: a JWKS file with the public keys of its signature.
        report: receives the numbers.

    Raises:
        StatementError: the file is not a statement, or is not signed with one of the keys.
    """
    examination = Examination(iter(()) if against is None else _exported(settings, against, keys))
    async with _snapshot(settings) as connection:
        for problems in (
            audit_verification.problems(connection, examination),
            audit_comparison.unlike_events(connection),
        ):
            async for problem in problems:
                report.problems += 1
                yield problem
    report.events, report.streams = examination.events, examination.streams


def read_statement(path: Path, keys: Mapping[str, VerificationKey]) -> Iterator[ChainHead]:
    """Yield the heads of a statement, after checking the whole file.

    Raises:
        StatementError: the file is not a statement, or is not signed with one of `keys`.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        _check(file, keys)
        file.seek(0)
        last = b""
        for number, line in enumerate(_lines(file)):
            if number > 1:
                yield _head(last)
            last = line


def _exported(settings: Settings, against: Path, keys: Path | None) -> Iterator[ChainHead]:
    document = public_keys(signing_key(settings)).encode() if keys is None else keys.read_bytes()
    try:
        trusted = read_jwks(document)
    except ValueError:
        raise StatementError("the file of keys is not a JWKS") from None
    return read_statement(against, trusted)


def _check(file: BinaryIO, keys: Mapping[str, VerificationKey]) -> None:
    digest = hashlib.sha256()
    last, before = b"", UUID(int=0)
    for number, line in enumerate(_lines(file)):
        if number == 1:
            _check_header(last)
        elif number > 1:
            head = _head(last)
            if head.stream <= before:
                raise StatementError("the lines of the statement are not in order")
            before = head.stream
        digest.update(last)
        last = line
    signature = _object(last)
    key = keys.get(str(signature.get("kid")))
    if key is None or signature.get("alg") != key.algorithm:
        raise StatementError("the statement is signed with an unknown key")
    try:
        intact = key.key.verify(_signed(digest.hexdigest()), base64url(str(signature.get("signature"))))
    except ValueError:
        intact = False
    if not intact:
        raise StatementError("the signature of the statement is not valid")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_LONGEST_LINE):
        yield line


def _check_header(line: bytes) -> None:
    header = _object(line)
    if header.get("statement") != _WHAT or header.get("format") != _FORMAT:
        raise StatementError("the file is not a statement that this release can read")


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
async def _snapshot(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """Yield a connection in one snapshot, without a statement timeout.

    Raises SettingsError if its role does not see every event.
    """
    engine = create_engine(settings, statement_timeout_ms=0)
    try:
        async with engine.connect() as connection:
            if not await sees_every_row(connection):
                raise SettingsError("MEDIATION_DATABASE_URL: connect as mediation_service, which sees every event")
            await connection.rollback()  # the snapshot needs a new transaction
            snapshot = await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True, yield_per=1000
            )
            async with snapshot.begin():
                yield snapshot
    finally:
        await engine.dispose()
