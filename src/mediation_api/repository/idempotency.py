"""Answers that were given, kept with the idempotency key they were given for, so that a retry gets them again.

The row is written first, in the transaction of the effect: whoever comes second with the same key waits for it at the
unique index, and finds the first answer once that transaction has committed.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import Integer, LargeBinary, String, Uuid, and_, bindparam, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from mediation_api.database.tables import idempotency_keys

KEPT: Final = timedelta(hours=48)
"""How long an answer is kept at the least. The contract promises 24 hours."""
_SWEPT_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """One request: who calls which operation with which key, and a hash of all that was sent."""

    caller: str
    operation: str
    key_sha256: str
    request_sha256: str


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The first answer to a key. `body` is as it was sealed, and empty once it was erased."""

    request_sha256: str
    status: int
    location: str | None
    body: bytes
    subjects: tuple[UUID, ...] = ()
    """Every id in the request's path and in the answer: how an erasure finds it, which cannot read it."""


class Idempotency:
    """The keys that were used, and the answers they got."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, attempt: KeyedRequest, *, at: datetime) -> StoredResponse | None:
        """Claim a key. None: it is new, and the effect may happen; otherwise, what was answered the first time.

        A few keys that are too old to be asked for are forgotten on the way.
        """
        t = idempotency_keys
        claimed = await self._connection.execute(_claiming(), {**asdict(attempt), "at": at, "forgotten": at - KEPT})
        if claimed.first() is not None:
            return None
        same = and_(*(t.c[name] == getattr(attempt, name) for name in ("caller", "operation", "key_sha256")))
        found = await self._connection.execute(
            select(t.c.request_sha256, t.c.status, t.c.location, t.c.body).where(same)
        )
        row = found.one()
        return StoredResponse(row.request_sha256, row.status, row.location, row.body)

    async def keep(self, attempt: KeyedRequest, answer: StoredResponse) -> None:
        """Keep the answer to a claimed key, also from behind the wall: the database steps back from it first."""
        await self._connection.execute(_KEEPING, {**asdict(attempt), **asdict(answer)})

    async def erase(self, subjects: Collection[UUID]) -> None:
        """Empty every answer that is about one of these. Its key stays used, so that nothing happens again."""
        t = idempotency_keys
        about = t.c.subjects.op("&&", is_comparison=True)(cast(list(subjects), ARRAY(Uuid)))
        await self._connection.execute(update(t).where(about).values(body=b"", location=None, subjects=[]))


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


@cache  # each command runs it, and to put it together takes as long as that
def _claiming() -> ReturningInsert[str]:
    t = idempotency_keys
    old = (
        select(t.c.caller, t.c.operation, t.c.key_sha256)
        .where(t.c.at < bindparam("forgotten", type_=t.c.at.type))
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    swept = (
        delete(t)
        .where(
            t.c.caller == old.c.caller,
            t.c.operation == old.c.operation,
            t.c.key_sha256 == old.c.key_sha256,
        )
        .cte("forgotten")
    )
    return insert(t).on_conflict_do_nothing().returning(t.c.key_sha256).add_cte(swept)
