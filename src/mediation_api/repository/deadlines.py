"""Recording that the due dates of open cases are near or have passed: each once, however many workers look."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Date, bindparam, case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.constants import Constant, constants
from mediation_api.database.nesting import AnySelect
from mediation_api.domain import deadlines, target
from mediation_api.domain.events import CaseAtRisk, CaseOverdue
from mediation_api.domain.lifecycle import OPEN
from mediation_api.domain.policy import Policy
from mediation_api.repository.recording import record
from mediation_api.repository.streams import Stream


async def record_deadline(connection: AsyncConnection, *, at: datetime, policy: Policy) -> bool:
    """Record the deadline of one case that is near or has passed. Returns whether there was one.

    A case that is locked by a command, or by another worker, is left for the next run.
    """
    today = target.local_date(at, policy.target)
    near_until = today + timedelta(days=policy.target.at_risk_days)
    found = (await connection.execute(_NEXT, {"today": today, "near_until": near_until})).first()
    if found is None:
        return False
    # Another worker may have recorded it since the snapshot of the statement that took the lock.
    kinds = (await connection.scalars(_KINDS, {"case_id": found.id})).all()
    events = deadlines.passed(found.due_on, today, policy.target, kinds)
    await record(connection, (Stream(case_id=found.id), events), by=deadlines.WORKER, at=at)
    return True


_TODAY: Final = bindparam("today", type_=Date)
_MARKS: Final = (CaseAtRisk.kind, CaseOverdue.kind)


def _next() -> AnySelect:
    c, e = t.cases.c, t.events.c
    due = case((c.due_on < _TODAY, Constant(CaseOverdue.kind)), else_=Constant(CaseAtRisk.kind))
    recorded = select(e.id).where(e.case_id == c.id, e.kind == due)
    is_due = c.due_on <= bindparam("near_until", type_=Date)
    cases = select(c.id, c.due_on).where(c.state.in_(constants(OPEN)), is_due, ~recorded.exists())
    return cases.order_by(c.due_on, c.id).limit(1).with_for_update(key_share=True, skip_locked=True, of=t.cases)


_NEXT: Final = _next()
_KINDS: Final = select(t.events.c.kind).where(
    t.events.c.case_id == bindparam("case_id", type_=t.cases.c.id.type), t.events.c.kind.in_(constants(_MARKS))
)
