"""The secret addresses of calendars, and the sessions that each shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import ColumnElement, DateTime, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.access_logging import OPENED_IDS, logged_ids
from mediation_api.database.access_scope import CALLER_SUBJECT, ScopeKind, scope_parameters
from mediation_api.database.nesting import AnyRow, AnySelect
from mediation_api.database.statements import fetch_all
from mediation_api.domain.access import AccessScope, Actor, Relation, Role
from mediation_api.domain.calendar_feeds import MOST_SESSIONS
from mediation_api.repository.sessions import calendar_columns

_SINCE: Final = bindparam("since", type_=DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class CalendarFeed:
    """One address: since when it exists, and until when."""

    made_at: datetime
    expires_at: datetime


class CalendarFeeds:
    """The address of each person, and what is read there."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def make(self, actor: Actor, feed: CalendarFeed, token_digest: bytes) -> None:
        """Store the address of a person, in place of the present one."""
        f = t.calendar_feeds
        values = {"token_digest": token_digest, "made_at": feed.made_at, "expires_at": feed.expires_at}
        new = insert(f).values(role=actor.role, subject=actor.subject, **values)
        await self._connection.execute(new.on_conflict_do_update(index_elements=[f.c.role, f.c.subject], set_=values))

    async def revoke(self, actor: Actor) -> None:
        """Delete the address of a person, if there is one."""
        await self._connection.execute(delete(t.calendar_feeds).where(_is_of(actor)))

    async def find(self, actor: Actor, at: datetime) -> CalendarFeed | None:
        """Return the address of a person; None if there is none, or it has expired."""
        f = t.calendar_feeds.c
        result = await self._connection.execute(select(f.made_at, f.expires_at).where(_is_of(actor), f.expires_at > at))
        row = result.first()
        return None if row is None else CalendarFeed(row.made_at, row.expires_at)

    async def owner(self, token_digest: bytes, at: datetime) -> Actor | None:
        """Return whose address has this token; None if it was never made, replaced, revoked, or has expired."""
        f = t.calendar_feeds.c
        result = await self._connection.execute(
            select(f.role, f.subject).where(f.token_digest == token_digest, f.expires_at > at)
        )
        row = result.first()
        return None if row is None else Actor(Role(row.role), row.subject)

    async def sessions(self, scope: AccessScope, since: datetime) -> Sequence[AnyRow]:
        """Return the sessions that end after `since` of the cases which are the owner's now. They are logged first.

        A mediator's are those that the mediator accepted, as long as the roster has the mediator as active; a
        coordinator's those that are assigned to the coordinator.
        """
        kind = ScopeKind.of(scope)
        parameters = scope_parameters(scope)
        rows = await fetch_all(self._connection, _sessions(kind), {**parameters, "since": since})
        if rows and kind.is_logged:
            opened = sorted({row["case_id"] for row in rows})
            await fetch_all(self._connection, logged_ids(kind), {**parameters, OPENED_IDS.key: opened})
        return rows


async def delete_expired_feeds(engine: AsyncEngine, at: datetime) -> int:
    """Delete the addresses that have expired, and return their number."""
    async with engine.begin() as connection:
        result = await connection.execute(delete(t.calendar_feeds).where(t.calendar_feeds.c.expires_at <= at))
        return result.rowcount


def _is_of(actor: Actor) -> ColumnElement[bool]:
    f = t.calendar_feeds.c
    return (f.role == actor.role) & (f.subject == actor.subject)


@cache
def _sessions(kind: ScopeKind) -> AnySelect:
    s, c = t.sessions.c, t.cases.c
    if kind.relation is Relation.OFFICE:
        is_own: ColumnElement[bool] = c.coordinator == CALLER_SUBJECT
    else:
        active = select(t.mediators.c.id).where(t.mediators.c.subject == CALLER_SUBJECT, t.mediators.c.active)
        is_own = kind.where(t.cases) & active.exists()
    return (
        select(s.case_id, t.complaints.c.reference, *calendar_columns(kind))
        .join_from(t.sessions, t.cases, c.id == s.case_id)
        .join(t.complaints, t.complaints.c.id == c.complaint_id)
        .where(is_own, func.upper(s.during) > _SINCE)
        .order_by(func.lower(s.during), s.id)
        .limit(MOST_SESSIONS)
    )
