"""Answers that were given, kept with the idempotency key they were given for, so that a retry gets them again.

The row is written first, in the transaction of the effect: whoever comes second with the same key waits for it at the
unique index, and finds the first answer once that transaction has committed.
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
        keys = idempotency_keys
        claimed = await self._connection.execute(_claiming(), {**asdict(attempt), "at": at, "forgotten": at - KEPT})
        if claimed.first() is not None:
            return None
        same = and_(*(keys.c[name] == getattr(attempt, name) for name in ("caller", "operation", "key_sha256")))
        found = await self._connection.execute(
            select(keys.c.request_sha256, keys.c.status, keys.c.location, keys.c.body).where(same)
        )
        row = found.one()
        return StoredResponse(row.request_sha256, row.status, row.location, row.body)

    async def keep(self, attempt: KeyedRequest, answer: StoredResponse) -> None:
        """Keep the answer to a claimed key, also from behind the wall: the database steps back from it first."""
        await self._connection.execute(_KEEPING, {**asdict(attempt), **asdict(answer)})


def emptied_answers(complaint_id: UUID) -> Update:
    """Empty every answer that is about a complaint. Its key stays used, so that nothing happens again.

    An answer names its subjects by the ids of the complaint, its parties and cases, and of what belongs to those.
    """
    of_complaint = select(literal(complaint_id, Uuid).label("id"))
    own = [select(table.c.id).where(table.c.complaint_id == complaint_id) for table in (t.parties, t.cases)]
    cases = select(t.cases.c.id).where(t.cases.c.complaint_id == complaint_id)
    theirs = [
        select(table.c.id).where(table.c.case_id.in_(cases))
        for table in (t.agreements, t.assignments, t.attendees, t.sessions)
    ]
    subjects = func.array(union_all(of_complaint, *own, *theirs).scalar_subquery(), type_=ARRAY(Uuid))
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


@cache  # each command runs it, and to put it together takes as long as that
def _claiming() -> ReturningInsert[str]:
    keys = idempotency_keys
    old = (
        select(keys.c.caller, keys.c.operation, keys.c.key_sha256)
        .where(keys.c.at < bindparam("forgotten", type_=keys.c.at.type))
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    swept = (
        delete(keys)
        .where(
            keys.c.caller == old.c.caller,
            keys.c.operation == old.c.operation,
            keys.c.key_sha256 == old.c.key_sha256,
        )
        .cte("forgotten")
    )
    return insert(keys).on_conflict_do_nothing().returning(keys.c.key_sha256).add_cte(swept)
