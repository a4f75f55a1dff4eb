"""Idempotency keys with the responses that a retry gets again.

The row of a key is inserted first, in the transaction of the command: a concurrent request with the same key waits at
the unique index, and reads the response after that transaction has committed.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import (
    Integer,
    LargeBinary,
    String,
    Update,
    Uuid,
    and_,
    bindparam,
    delete,
    func,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from mediation_api.database import tables as t
from mediation_api.database.tables import idempotency_keys

KEPT: Final = timedelta(hours=48)
"""The minimum time for which a response is stored. The contract promises 24 hours."""
_DELETED_AT_ONCE: Final = 20


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
        """Claim a key. Returns None if it is new; otherwise the stored response to the first request with it.

        Also deletes a few expired keys.
        """
        keys = idempotency_keys
        claimed = await self._connection.execute(_claiming(), {**asdict(request), "at": at, "expired": at - KEPT})
        if claimed.first() is not None:
            return None
        same = and_(*(keys.c[name] == getattr(request, name) for name in ("caller", "operation", "key_sha256")))
        result = await self._connection.execute(
            select(keys.c.request_sha256, keys.c.status, keys.c.location, keys.c.body).where(same)
        )
        row = result.one()
        return StoredResponse(row.request_sha256, row.status, row.location, row.body)

    async def keep(self, request: KeyedRequest, response: StoredResponse) -> None:
        """Store the response to a claimed key. Resets the role of a party first, which may not write the table."""
        await self._connection.execute(_KEEPING, {**asdict(request), **asdict(response)})


def emptied_responses(complaint_id: UUID) -> Update:
    """Empty every stored response about a complaint. The keys stay claimed, so that no command is repeated.

    A response is about the complaint if its `subjects` contain the id of the complaint, of one of its parties or cases,
    or of an agreement, assignment, attendee or session of those cases.
    """
    of_complaint = select(literal(complaint_id, Uuid).label("id"))
    own = [select(table.c.id).where(table.c.complaint_id == complaint_id) for table in (t.parties, t.cases)]
    cases = select(t.cases.c.id).where(t.cases.c.complaint_id == complaint_id)
    of_cases = [
        select(table.c.id).where(table.c.case_id.in_(cases))
        for table in (t.agreements, t.assignments, t.attendees, t.sessions)
    ]
    subjects = func.array(union_all(of_complaint, *own, *of_cases).scalar_subquery(), type_=ARRAY(Uuid))
    about = idempotency_keys.c.subjects.op("&&", is_comparison=True)(subjects)
    return update(idempotency_keys).where(about).values(body=b"", location=None, subjects=[])


_KEEPING: Final = select(
    func.store_response(
        bindparam("caller", type_=String),
        bindparam("operation", type_=String),
        bindparam("key_sha256", type_=String),
        bindparam("status", type_=Integer),
        bindparam("location", type_=String),
        bindparam("body", type_=LargeBinary),
        bindparam("subjects", type_=ARRAY(Uuid)),
    )
)


@cache  # each command runs it; building it takes as long as running it
def _claiming() -> ReturningInsert[str]:
    keys = idempotency_keys
    old = (
        select(keys.c.caller, keys.c.operation, keys.c.key_sha256)
        .where(keys.c.at < bindparam("expired", type_=keys.c.at.type))
        .limit(_DELETED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    deleted = (
        delete(keys)
        .where(
            keys.c.caller == old.c.caller,
            keys.c.operation == old.c.operation,
            keys.c.key_sha256 == old.c.key_sha256,
        )
        .cte("deleted")
    )
    return insert(keys).on_conflict_do_nothing().returning(keys.c.key_sha256).add_cte(deleted)
