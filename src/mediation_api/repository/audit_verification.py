"""Read the stored audit chain, to verify or export it. `domain/audit_chain.py` defines the chain.

Rows are read as they come, in one snapshot: that takes no lock, holds a few rows at a time, and may run beside the
service.
"""

from collections.abc import AsyncIterator

from sqlalchemy import RowMapping, Text, cast, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.domain.audit_chain import ChainEntry, ChainFault, ChainHead, Examination, Flaw


async def heads(connection: AsyncConnection) -> AsyncIterator[ChainHead]:
    """The head of each stream, by stream."""
    h = t.audit_chain_heads.c
    rows = await connection.stream(select(h.stream, h.sequence, h.link).order_by(h.stream))
    async for row in rows:
        yield ChainHead(row.stream, row.sequence, row.link)


async def problems(connection: AsyncConnection, examination: Examination) -> AsyncIterator[ChainFault]:
    """Everything that is wrong with the chains, in the order of the streams.

    The connection is in a transaction of one snapshot (REPEATABLE READ): there is more than one statement.
    """
    async for row in (await connection.stream(_events_beside_heads())).mappings():
        for problem in examination.follow(row["stream"], _head(row), _entry(row)):
            yield problem
    for problem in examination.finish():
        yield problem
    async for row in (await connection.stream(_without_a_stream())).mappings():
        yield ChainFault(Flaw.HEADLESS, row["id"], 0)


def _head(row: RowMapping) -> ChainHead | None:
    if row["head_link"] is None:
        return None
    return ChainHead(row["stream"], row["head_sequence"], row["head_link"])


def _entry(row: RowMapping) -> ChainEntry | None:
    if row["id"] is None:
        return None
    return ChainEntry(**{name: row[name] for name in _ENTRY})


_ENTRY = tuple(ChainEntry.__dataclass_fields__)
_STREAM: AnyColumn = func.coalesce(*(t.events.c[f"{of}_id"] for of in ("report", "case", "complaint", "mediator")))


def _events_beside_heads() -> AnySelect:
    """Each event with the head of its stream; an event without a head, or a head without an event, stands alone."""
    f, h = t.events.c, t.audit_chain_heads.c
    of_either: AnyColumn = func.coalesce(_STREAM, h.stream).label("stream")
    # As text: what was put in behind the service's back may be nothing that a reader expects.
    at = cast(func.trunc(func.extract("epoch", f.at) * 1_000_000), Text).label("at")
    return (
        select(
            of_either,
            f.sequence,
            f.link,
            f.position,
            f.id,
            f.kind,
            f.complaint_id,
            f.case_id,
            f.mediator_id,
            f.party_id,
            f.version,
            at,
            f.by_role,
            f.by,
            cast(f.data, Text).label("data"),
            h.sequence.label("head_sequence"),
            h.link.label("head_link"),
        )
        .select_from(t.events.join(t.audit_chain_heads, h.stream == _STREAM, full=True))
        .order_by(of_either, f.sequence, f.position)
    )


def _without_a_stream() -> AnySelect:
    """What began with an event, and has none any more."""
    subjects = (t.complaints, t.cases, t.mediators, t.mandatory_reports)
    began = union_all(*(select(table.c.id) for table in subjects)).subquery()
    lost = (
        select(began.c.id)
        .where(~select(t.audit_chain_heads).where(t.audit_chain_heads.c.stream == began.c.id).exists())
        .where(~select(t.events).where(began.c.id == _STREAM).exists())
    )
    return lost.order_by(began.c.id)
