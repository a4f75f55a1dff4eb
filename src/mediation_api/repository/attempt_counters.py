"""Counters of attempts in the current clock hour, shared by all processes of the service.

Concurrent attempts by the same caller wait for each other at the row's lock, so that they cannot exceed a limit.
"""

from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import CTE, String, and_, bindparam, case, delete, not_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from mediation_api.database.tables import attempt_counters
from mediation_api.domain.values import AttemptKind

_DELETED_AT_ONCE: Final = 20


class AttemptCounters:
    """The attempts of one clock hour, by kind and by who made them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def count(self, what: AttemptKind, who: str, *, at: datetime) -> int:
        """Count one attempt, and return its number in this hour. Locks the counter until the transaction ends.

        Also deletes a few counters of past hours.
        """
        hour = at.replace(minute=0, second=0, microsecond=0)
        result = await self._connection.execute(_counting(), {"attempted": what, "by_whom": who, "within": hour})
        return result.scalar_one()

    async def forget(self, what: AttemptKind, who: str) -> None:
        """Delete the counter, after an attempt that succeeded."""
        await self._connection.execute(
            delete(attempt_counters).where(attempt_counters.c.what == what, attempt_counters.c.who == who)
        )


_WHAT: Final = bindparam("attempted", type_=String)
_WHO: Final = bindparam("by_whom", type_=String)
_HOUR: Final = bindparam("within", type_=attempt_counters.c.hour.type)


@cache  # each complaint filed by the public and each access code runs it
def _counting() -> ReturningInsert[int]:
    t = attempt_counters
    new = insert(t).values(what=_WHAT, who=_WHO, hour=_HOUR, number=1)
    counted = new.on_conflict_do_update(
        index_elements=[t.c.what, t.c.who],
        set_={
            "hour": new.excluded.hour,
            "number": case((t.c.hour == new.excluded.hour, t.c.number + 1), else_=1),
        },
    )
    return counted.returning(t.c.number).add_cte(_deleted())


def _deleted() -> CTE:
    """Delete other counters of past hours. The caller's own counter is reset by the same statement instead."""
    t = attempt_counters
    own = and_(t.c.what == _WHAT, t.c.who == _WHO)
    old = (
        select(t.c.what, t.c.who)
        .where(t.c.hour < _HOUR, not_(own))
        .limit(_DELETED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    return delete(t).where(tuple_(t.c.what, t.c.who).in_(select(old.c.what, old.c.who))).cte("deleted")
