"""Idempotency keys with the responses that a retry gets again.

The row of a key is inserted first, in the transaction of the command: a concurrent request with the same key waits at
the unique index, and reads the response after that transaction has committed.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import BindParameter, String, Update, Uuid, bindparam, delete, func, select, tuple_, union_all, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.statements import fetch_all
from mediation_api.database.tables import idempotency_keys
from mediation_api.database.transactions import call, call_at_commit

KEPT: Final = timedelta(hours=48)
"""The minimum time for which a response is stored. The contract promises 24 hours."""
DELETED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with a key: the caller, the operation, and hashes of the key and of the request's path and body."""

    caller: str
    operation: str
    key_sha256: str
    request_sha256: str


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The response to the first request with a key. `body` is encrypted, and empty once it was erased."""

    request_sha256: str
    status: int
    location: str | None
    body: bytes
    subjects: tuple[UUID, ...] = ()
    """Every id in the request's path and in the response, by which an erasure finds the encrypted response."""


class Idempotency:
    """The keys that were used, and their responses."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, request: KeyedRequest, *, at: datetime) -> StoredResponse | None:
        """Claim a key, and begin the transaction with that.

        Returns None if the key is new; otherwise the stored response to the first request with it.
        """
        key = (request.caller, request.operation, request.key_sha256)
        if await call(self._connection, "claim_key", *key, request.request_sha256, at):
            return None
        (row,) = await fetch_all(self._connection, _STORED, asdict(request))
        return StoredResponse(row["request_sha256"], row["status"], row["location"], row["body"])

    async def keep(self, request: KeyedRequest, response: StoredResponse) -> None:
        """Store the response to a claimed key with the commit. Resets the role of a party, which may not write it."""
        await call_at_commit(
            self._connection,
            "store_response",
            *(request.caller, request.operation, request.key_sha256),
            *(response.status, response.location, response.body, response.subjects),
        )


async def delete_expired(engine: AsyncEngine, at: datetime) -> int:
    """Delete the keys whose time is over at `at`, with their responses, in short transactions. Returns their number."""
    k = idempotency_keys.c
    key = (k.caller, k.operation, k.key_sha256)
    old = select(*key).where(k.at < at - KEPT).limit(DELETED_AT_ONCE).with_for_update(skip_locked=True)
    total = 0
    while True:
        async with engine.begin() as connection:
            deleted = (await connection.execute(delete(idempotency_keys).where(tuple_(*key).in_(old)))).rowcount
        total += deleted
        if deleted < DELETED_AT_ONCE:
            return total


@cache
def emptied_responses(complaint_id: BindParameter[UUID]) -> Update:
    """Empty every stored response about a complaint. The keys stay claimed, so that no command is repeated.

    A response is about the complaint if its `subjects` contain the id of the complaint, of one of its parties or cases,
    or of an agreement, assignment, attendee or session of those cases.
    """
    of_complaint = select(complaint_id.label("id"))
    own = [select(table.c.id).where(table.c.complaint_id == complaint_id) for table in (t.parties, t.cases)]
    cases = select(t.cases.c.id).where(t.cases.c.complaint_id == complaint_id)
    of_cases = [
        select(table.c.id).where(table.c.case_id.in_(cases))
        for table in (t.agreements, t.assignments, t.attendees, t.sessions)
    ]
    subjects = func.array(union_all(of_complaint, *own, *of_cases).scalar_subquery(), type_=ARRAY(Uuid))
    about = idempotency_keys.c.subjects.op("&&", is_comparison=True)(subjects)
    return update(idempotency_keys).where(about).values(body=b"", location=None, subjects=[])


_CONFIRMED: Final = func.pg_logical_emit_message(True, "mediation-api", "").is_not(None).label("confirmed")  # noqa: FBT003 - in SQL
"""Writes an empty message to the write-ahead log, so that the transaction's commit waits for a synchronous standby. The
first response may never have been sent, since its commit was still waiting for the standby."""
_STORED: Final = select(
    *(idempotency_keys.c[name] for name in ("request_sha256", "status", "location", "body")), _CONFIRMED
).where(*(idempotency_keys.c[name] == bindparam(name, type_=String) for name in ("caller", "operation", "key_sha256")))
