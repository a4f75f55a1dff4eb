"""What PostgreSQL does for a page: the statement of a request is caught, and explained with its own parameters."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from asyncpg.connection import LoggedQuery
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection

Node: TypeAlias = "dict[str, object]"


@dataclass(slots=True)
class Caught:
    """The statement that read a page, as it was sent."""

    sql: str = ""
    parameters: tuple[object, ...] = ()


@dataclass(slots=True)
class Plan:
    """What reading one page took: rows looked at, by table, pages of the database, 8 KiB each, and the indexes used."""

    rows: Counter[str] = field(default_factory=Counter)
    buffers: int = 0
    indexes: dict[str, str] = field(default_factory=dict)
    """The conditions that each index decided. Rows that it left out were not looked at."""

    @property
    def total(self) -> int:
        """All rows that were looked at, those that were thrown away as well."""
        return self.rows.total()


@contextmanager
def caught(engine: Engine, word: str = "page_key") -> Iterator[Caught]:
    """Catch the statement that has a word in it while the block runs; by default the one that reads a page."""
    found = Caught()

    def look(sent: LoggedQuery) -> None:
        if word in sent.query:
            found.sql, found.parameters = sent.query, tuple(sent.args)

    def attach(connection: DBAPIConnection, *_: object) -> None:
        connection.driver_connection.add_query_logger(look)

    def look_at_another(*sent: object) -> None:
        _, _, sql, parameters, *_ = sent
        look(LoggedQuery(sql, parameters, None, None, None, None, None))

    event.listen(engine, "checkout", attach)
    event.listen(engine, "before_cursor_execute", look_at_another)  # the driver does not log what is prepared
    try:
        yield found
    finally:
        event.remove(engine, "checkout", attach)
        event.remove(engine, "before_cursor_execute", look_at_another)


async def explained(connection: AsyncConnection, found: Caught) -> Plan:
    """Run the statement once more, and count what it looks at."""
    await asyncio.sleep(0)  # the driver calls its loggers a little later
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {found.sql}"
    answer = (await connection.exec_driver_sql(explain, found.parameters)).scalar_one()
    (top,) = json.loads(answer) if isinstance(answer, str) else answer
    root: Node = top["Plan"]
    plan = Plan(buffers=_number(root, "Shared Hit Blocks") + _number(root, "Shared Read Blocks"))
    for node in _nodes(root):
        if "Index Name" in node:
            plan.indexes[str(node["Index Name"])] = str(node.get("Index Cond", ""))
        table = node.get("Relation Name")
        if isinstance(table, str):
            removed = _number(node, "Rows Removed by Filter") + _number(node, "Rows Removed by Index Recheck")
            plan.rows[table] += (_number(node, "Actual Rows") + removed) * _number(node, "Actual Loops")
    return plan


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    children = node.get("Plans", [])
    if isinstance(children, list):
        for child in children:
            yield from _nodes(child)


def _number(node: Node, name: str) -> int:
    found = node.get(name, 0)
    return round(found) if isinstance(found, int | float) else 0
