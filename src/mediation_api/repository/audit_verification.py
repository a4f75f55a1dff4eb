"""Read the stored audit chain, to verify or export it. `domain/audit_chain.py` defines the chain.

Rows are streamed from one snapshot. That takes no lock and little memory, so it can run while the service serves.
"""

from collections.abc import AsyncIterator

from sqlalchemy import RowMapping, Text, cast, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.domain.audit_chain import ChainEntry, ChainFault, ChainHead, Examination, Flaw


async def heads(connection: AsyncConnection) -> AsyncIterator[ChainHead]:
    """Yield the head of each stream, ordered by stream."""
    h = t.audit_chain_heads.c
    rows = await connection.stream(select(h.stream, h.sequence, h.link).order_by(h.stream))
    async for row in rows:
        yield ChainHead(row.stream, row.sequence, row.link)


async def problems(connection: AsyncConnection, examination: Examination) -> AsyncIterator[ChainFault]:
    """Yield every fault of the audit chain, ordered by stream.

    The connection must be in a REPEATABLE READ transaction, since there is more than one statement.
    """
    async for row in (await connection.stream(_events_beside_heads())).mappings():
        for fault in examination.follow(row["stream"], _head(row), _entry(row)):
            yield fault
    for fault in examination.finish():
        yield fault
    async for row in (await connection.stream(_without_stream())).mappings():
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
    """Select each event with the head of its stream, also events without a head and heads without an event."""
    e, h = t.events.c, t.audit_chain_heads.c
    of_either: AnyColumn = func.coalesce(_STREAM, h.stream).label("stream")
    # As text: a value that the service did not write may be one that the driver cannot decode.
    at = cast(func.trunc(func.extract("epoch", e.at) * 1_000_000), Text).label("at")
    return (
        select(
            of_either,
            e.sequence,
            e.link,
            e.position,
            e.id,
            e.kind,
            e.complaint_id,
            e.case_id,
            e.mediator_id,
            e.party_id,
            e.version,
            at,
            e.by_role,
            e.by,
            cast(e.data, Text).label("data"),
            h.sequence.label("head_sequence"),
            h.link.label("head_link"),
        )
        .select_from(t.events.join(t.audit_chain_heads, h.stream == _STREAM, full=True))
        .order_by(of_either, e.sequence, e.position)
    )


def _without_stream() -> AnySelect:
    """Select the rows of subjects that have no event and no head: each began with an event."""
    subjects = (t.complaints, t.cases, t.mediators, t.mandatory_reports)
    rows = union_all(*(select(table.c.id) for table in subjects)).subquery()
    lost = (
        select(rows.c.id)
        .where(~select(t.audit_chain_heads).where(t.audit_chain_heads.c.stream == rows.c.id).exists())
        .where(~select(t.events).where(rows.c.id == _STREAM).exists())
    )
    return lost.order_by(rows.c.id)
