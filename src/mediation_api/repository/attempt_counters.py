"""How often somebody tried something in the present hour, counted for all processes of the service at once.

Whoever tries twice at once waits at the row of the first, so that no number of parallel tries gets past a limit.
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

_SWEPT_AT_ONCE: Final = 20


class AttemptCounters:
    """Tries, by what was tried and by whom, in one hour of the clock."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def count(self, what: AttemptKind, who: str, *, at: datetime) -> int:
        """Count one try, and say which one of this hour it is. Others of the same wait until the transaction ends.

        A few counts of hours that are over are forgotten on the way.
        """
        hour = at.replace(minute=0, second=0, microsecond=0)
        counted = await self._connection.execute(_counting(), {"tried": what, "by_whom": who, "within": hour})
        return counted.scalar_one()

    async def forget(self, what: AttemptKind, who: str) -> None:
        """Forget the tries: it was the right one."""
        await self._connection.execute(
            delete(attempt_counters).where(attempt_counters.c.what == what, attempt_counters.c.who == who)
        )


_WHAT: Final = bindparam("tried", type_=String)
_WHO: Final = bindparam("by_whom", type_=String)
_HOUR: Final = bindparam("within", type_=attempt_counters.c.hour.type)


@cache  # every form and every code runs it
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
    return counted.returning(t.c.number).add_cte(_forgotten())


def _forgotten() -> CTE:
    """The counts of others in hours that are over. That of this try itself is begun anew by the same statement."""
    t = attempt_counters
    own = and_(t.c.what == _WHAT, t.c.who == _WHO)
    old = (
        select(t.c.what, t.c.who)
        .where(t.c.hour < _HOUR, not_(own))
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    return delete(t).where(tuple_(t.c.what, t.c.who).in_(select(old.c.what, old.c.who))).cte("forgotten")
