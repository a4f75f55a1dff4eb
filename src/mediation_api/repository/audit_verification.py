"""Read the stored audit chain, to verify or export it. `domain/audit_chain.py` defines the chain.

Rows are streamed from one snapshot. That takes no lock and little memory, so it can run while the service serves.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import Text, cast, column, func, join, literal, select, table, union_all
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.domain.audit_chain import ChainEntry, ChainFault, ChainHead, Examination, Flaw, Horizon
from mediation_api.repository.audit_ranges import EVENT_STREAM, EVERYTHING, IdRange

WRITERS_SECONDS: Final = 60.0
"""How long to wait for the transactions that write events: a transaction of the service takes seconds at the most."""
_POLL_SECONDS: Final = 0.05
_LOCKS = table("pg_locks", *map(column, ("database", "relation", "mode", "virtualtransaction"))).c
_DATABASES = table("pg_database", column("oid"), column("datname")).c
_WRITERS = select(_LOCKS.virtualtransaction).where(
    _LOCKS.database == select(_DATABASES.oid).where(_DATABASES.datname == func.current_database()).scalar_subquery(),
    _LOCKS.relation == cast(literal(t.events.name), REGCLASS),
    _LOCKS.mode == "RowExclusiveLock",
)
"""The transactions that write events, or are about to."""


async def horizon(engine: AsyncEngine) -> Horizon:
    """Return the last event, after waiting for the transactions that may have an earlier one to write.

    Positions are given before the commit, so that an earlier one may become visible later. A transaction has locked the
    table of events before it is given a position. So every event up to the returned one is visible in a snapshot that
    is taken afterwards.

    Raises TimeoutError if such a transaction does not end within `WRITERS_SECONDS`.
    """
    e = t.events.c
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        last = (await connection.execute(select(e.position, e.link).order_by(e.position.desc()).limit(1))).one_or_none()
        writers = set((await connection.scalars(_WRITERS)).all())
        async with asyncio.timeout(WRITERS_SECONDS):
            while not writers.isdisjoint((await connection.scalars(_WRITERS)).all()):  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_SECONDS)
    return Horizon() if last is None else Horizon(last.position, last.link)


async def link_at(connection: AsyncConnection, position: int) -> bytes | None:
    """Return the link of the event at a position; None if there is no such event."""
    link: bytes | None = await connection.scalar(select(t.events.c.link).where(t.events.c.position == position))
    return link


async def heads(connection: AsyncConnection, since: int = 0) -> AsyncIterator[ChainHead]:
    """Yield the head of each stream that has an event after the position `since`, ordered by stream; 0 for all."""
    h = t.audit_chain_heads.c
    statement = select(h.stream, h.sequence, h.link).order_by(h.stream)
    if since:
        statement = statement.where(h.stream.in_(select(EVENT_STREAM).where(t.events.c.position > since)))
    rows = await connection.stream(statement)
    async for row in rows:
        yield ChainHead(row.stream, row.sequence, row.link)


async def problems(
    connection: AsyncConnection, examination: Examination, ids: IdRange = EVERYTHING
) -> AsyncIterator[ChainFault]:
    """Yield every fault of the audit chains of these streams, ordered by stream.

    The connection must be in a REPEATABLE READ transaction, since there is more than one statement.
    """
    async for row in (await connection.stream(_events_beside_heads(ids))).mappings():
        for fault in examination.follow(row["stream"], _head(row), _entry(row)):
            yield fault
    for fault in examination.finish():
        yield fault
    async for row in (await connection.stream(_without_stream(ids))).mappings():
        yield ChainFault(Flaw.HEADLESS, row["id"], 0)


def _head(row: AnyRow) -> ChainHead | None:
    if row["head_link"] is None:
        return None
    return ChainHead(row["stream"], row["head_sequence"], row["head_link"])


def _entry(row: AnyRow) -> ChainEntry | None:
    if row["id"] is None:
        return None
    return ChainEntry(**{name: row[name] for name in _ENTRY})


_ENTRY = tuple(ChainEntry.__dataclass_fields__)


def _events_beside_heads(ids: IdRange) -> AnySelect:
    """Select each event with the head of its stream, also events without a head and heads without an event."""
    e = t.events.c
    # As text: a value that the service did not write may be one that the driver cannot decode.
    at = cast(func.trunc(func.extract("epoch", e.at) * 1_000_000), Text).label("at")
    listed = (
        select(
            EVENT_STREAM.label("stream"),
            *(e[name] for name in _ENTRY if name not in {"stream", "at", "data"}),
            at,
            cast(e.data, Text).label("data"),
        )
        .where(ids.holds(EVENT_STREAM))
        .subquery("listed")
        .c
    )
    h = select(t.audit_chain_heads).where(ids.holds(t.audit_chain_heads.c.stream)).subquery("heads").c
    of_either: AnyColumn = func.coalesce(listed.stream, h.stream).label("stream")
    return (
        select(
            of_either,
            *(listed[name] for name in _ENTRY if name != "stream"),
            h.sequence.label("head_sequence"),
            h.link.label("head_link"),
        )
        .select_from(join(listed.id.table, h.stream.table, h.stream == listed.stream, full=True))
        .order_by(of_either, listed.sequence, listed.position)
    )


def _without_stream(ids: IdRange) -> AnySelect:
    """Select the rows of subjects that have no event and no head: each began with an event."""
    subjects = (t.complaints, t.cases, t.mediators, t.mandatory_reports)
    rows = union_all(*(select(subject.c.id).where(ids.holds(subject.c.id)) for subject in subjects)).subquery()
    lost = (
        select(rows.c.id)
        .where(~select(t.audit_chain_heads).where(t.audit_chain_heads.c.stream == rows.c.id).exists())
        .where(~select(t.events).where(rows.c.id == EVENT_STREAM).exists())
    )
    return lost.order_by(rows.c.id)
