"""Mails: queued after the events of the change feed, claimed by one process at a time, and listed for the office.

The feed has every event once, in one order. A cursor moves along it in the transaction that queues the mails, so that
no event is missed and none is a reason twice; requests do nothing for mail. A mail is claimed for a while and sent
outside of any transaction. If the process dies meanwhile, another one sends it again, with the same `Message-ID`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import and_, bindparam, delete, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.access_logging import require_case
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, scope_parameters
from mediation_api.database.data_keys import decrypted
from mediation_api.database.nesting import AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.domain import mails
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.case import Case
from mediation_api.domain.deadlines import WORKER
from mediation_api.domain.mails import Mail
from mediation_api.domain.policy import Policy
from mediation_api.domain.values import MailKind, MailState, Seat, SeatRole, SessionState, in_utc
from mediation_api.repository.cases import Cases
from mediation_api.repository.reminders import due_reminders

EVENTS_AT_ONCE: Final = 1_000
"""How many entries of the feed one transaction passes."""
CLAIMED_FOR: Final = timedelta(minutes=5)
"""How long a process may take for one mail: more than `SEND_SECONDS` and `CONNECT_SECONDS` of the mail server."""

_WORKER: Final = AccessScope(WORKER, Relation.OFFICE)
_ROLES: Final = {"party_id": SeatRole.PARTY, "mediator_id": SeatRole.MEDIATOR}
_MAILS: Final = t.mails.c
_FEED: Final = t.change_feed.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedMail:
    """A mail that this process sends until `claimed_until`."""

    mail_id: UUID
    mail: Mail
    case_id: UUID
    queued_at: datetime
    attempts: int
    claimed_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a mail is composed of besides its kind. `starts_at` is None for a mail that is not about a session."""

    address: str
    language: str
    starts_at: datetime | None


# ── queueing ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def queue_mails(connection: AsyncConnection, at: datetime) -> bool:
    """Queue the mails for the next events of the feed, unless another process does. Returns whether there may be more.

    The first time, it passes all that there are: nobody is written to about what happened before mail was on.
    """
    cursor: int | None = await connection.scalar(
        select(t.mail_cursor.c.number).where(t.mail_cursor.c.single).with_for_update(skip_locked=True)
    )
    if cursor is None:
        last = select(true(), func.coalesce(func.max(_FEED.number), 0))
        await connection.execute(insert(t.mail_cursor).from_select(["single", "number"], last).on_conflict_do_nothing())
        return False
    upto = cursor + EVENTS_AT_ONCE
    last_number: int | None = await connection.scalar(
        select(func.max(_FEED.number)).where(_FEED.number > cursor, _FEED.number <= upto)
    )
    if last_number is None:
        return False
    read = dict[UUID, Case]()
    for event in (await connection.execute(_reasons(), {"after": cursor, "upto": last_number, "from": at})).mappings():
        await _queue_after(connection, event, read, at)
    await connection.execute(update(t.mail_cursor).values(number=last_number))
    return last_number == upto


async def queue(connection: AsyncConnection, case_id: UUID, mails_: Iterable[tuple[UUID, Mail]], at: datetime) -> int:
    """Queue mails with their ids to those who allow it, unless they were queued before. Returns the number of new ones.

    Raises nothing for somebody who has no address: whoever allows mail later is written to from then on.
    """
    queued = 0
    for mail_id, mail in mails_:
        if await _recipient(connection, mail.to) is None:
            continue
        column = "mediator_id" if mail.to.role is SeatRole.MEDIATOR else "party_id"
        row = {
            "id": mail_id,
            "kind": mail.kind,
            "case_id": case_id,
            column: mail.to.id,
            "about_id": mail.about_id,
            "state": MailState.QUEUED,
            "attempts": 0,
            "queued_at": at,
            "due_at": at,
        }
        inserted = await connection.execute(insert(t.mails).values(row).on_conflict_do_nothing().returning(_MAILS.id))
        queued += len(inserted.all())
    return queued


async def queue_reminders(connection: AsyncConnection, at: datetime, policy: Policy) -> int:
    """Queue the reminders that are due, unless they were queued before. Returns the number of new ones."""
    due = [
        (reminder.case_id, *mails.reminding(reminder))
        for reminder in await due_reminders(connection, at=at, policy=policy)
    ]
    known = set(await connection.scalars(select(_MAILS.id).where(_MAILS.id.in_([mail_id for _, mail_id, _ in due]))))
    queued = await queue_session_reminders(connection, at)
    for case_id, mail_id, mail in due:
        if mail_id not in known:
            queued += await queue(connection, case_id, [(mail_id, mail)], at)
    return queued


async def queue_session_reminders(connection: AsyncConnection, at: datetime) -> int:
    """Queue reminders of the sessions that are near to those who were told of them long ago. Returns their number."""
    queued = 0
    for row in (await connection.execute(_near_sessions(), {"at": at})).mappings():
        mail = Mail(MailKind.SESSION_REMINDER, _seat(row), row["session_id"])
        reason = uuid5(row["session_id"], in_utc(row["starts_at"]))
        queued += await queue(connection, row["case_id"], [(mail.id_after(reason), mail)], at)
    return queued


async def _queue_after(connection: AsyncConnection, event: AnyRow, read: dict[UUID, Case], at: datetime) -> None:
    case_id = event["case_id"]
    if case_id not in read:
        read[case_id], _ = await Cases(connection).read(case_id, _WORKER)
    name = mails.EVENTS[event["kind"]]
    about_id = event[name] if name in event else UUID(event["data"][name])
    told = await _told(connection, case_id, about_id)
    wanted = mails.mails_after(event["kind"], about_id, read[case_id], told, at)
    await queue(connection, case_id, ((mail.id_after(event["id"]), mail) for mail in wanted), at)


async def _told(connection: AsyncConnection, case_id: UUID, about_id: UUID) -> Collection[Seat]:
    written = select(_MAILS.party_id, _MAILS.mediator_id).where(_MAILS.case_id == case_id, _MAILS.about_id == about_id)
    return {_seat(row) for row in (await connection.execute(written)).mappings()}


@cache
def _reasons() -> AnySelect:
    """Select the events between two numbers of the feed that may be a reason to write, and are not too old for it."""
    e = t.events.c
    upto, since = bindparam("upto", type_=_FEED.number.type), bindparam("from", type_=e.at.type)
    return (
        select(e.id, e.kind, e.case_id, e.party_id, e.data)
        .join(t.events, e.position == _FEED.position)
        .where(
            _FEED.for_office,
            _FEED.number > bindparam("after", type_=_FEED.number.type),
            _FEED.number <= upto,
            e.kind.in_(mails.EVENTS),
            e.at > since - mails.KEPT_TRYING,
        )
        .order_by(_FEED.number)
    )


@cache
def _near_sessions() -> AnySelect:
    """Select who was told of which session that is near, and not since it is near."""
    at = bindparam("at", type_=_MAILS.queued_at.type)
    starts_at = func.lower(t.sessions.c.during)
    told = (t.sessions.c.id.label("session_id"), _MAILS.case_id, _MAILS.party_id, _MAILS.mediator_id)
    return (
        select(*told, starts_at.label("starts_at"))
        .join(t.mails, and_(_MAILS.case_id == t.sessions.c.case_id, _MAILS.about_id == t.sessions.c.id))
        .where(
            t.sessions.c.state == SessionState.SCHEDULED,
            starts_at > at,
            starts_at <= at + mails.REMINDED_BEFORE,
        )
        .group_by(*told, starts_at)
        .having(func.max(_MAILS.queued_at) <= at - mails.REMINDED_BEFORE)
    )


def _seat(row: AnyRow) -> Seat:
    return next(Seat(role, row[name]) for name, role in _ROLES.items() if row[name] is not None)


# ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def claim(connection: AsyncConnection, at: datetime) -> ClaimedMail | None:
    """Claim the mail that has been due for longest; None if none is due, or others send those that are."""
    due = (
        select(_MAILS.id)
        .where(
            _MAILS.state == MailState.QUEUED,
            _MAILS.due_at <= at,
            or_(_MAILS.claimed_until.is_(None), _MAILS.claimed_until <= at),
        )
        .order_by(_MAILS.due_at, _MAILS.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    claimed = update(t.mails).where(_MAILS.id.in_(due.scalar_subquery())).values(claimed_until=at + CLAIMED_FOR)
    row = (await connection.execute(claimed.returning(t.mails))).mappings().first()
    if row is None:
        return None
    return ClaimedMail(
        mail_id=row["id"],
        mail=Mail(MailKind(row["kind"]), _seat(row), row["about_id"]),
        case_id=row["case_id"],
        queued_at=row["queued_at"],
        attempts=row["attempts"],
        claimed_until=row["claimed_until"],
    )


async def outgoing(connection: AsyncConnection, claimed: ClaimedMail, at: datetime) -> Outgoing | None:
    """Return what a mail is composed of; None if it is no longer due, or its recipient does not allow mail."""
    case, _ = await Cases(connection).read(claimed.case_id, _WORKER)
    recipient = await _recipient(connection, claimed.mail.to)
    if recipient is None or not mails.is_due(claimed.mail, case, at):
        return None
    address, language = recipient
    starts_at = next((s.starts_at for s in case.sessions if s.session_id == claimed.mail.about_id), None)
    return Outgoing(address=address, language=language, starts_at=starts_at)


async def finish(
    connection: AsyncConnection, claimed: ClaimedMail, state: MailState, at: datetime, *, smtp_code: int | None = None
) -> None:
    """Record what became of a mail. Nothing happens if another process has claimed it meanwhile."""
    sent = {"attempts": claimed.attempts + (state is not MailState.DROPPED), "smtp_code": smtp_code}
    await _change(connection, claimed, {**sent, "state": state, "due_at": None, "finished_at": at})


async def retry(
    connection: AsyncConnection, claimed: ClaimedMail, due_at: datetime, *, smtp_code: int | None = None
) -> None:
    """Record that the mail server has put a mail off, and when it is tried again."""
    await _change(connection, claimed, {"attempts": claimed.attempts + 1, "smtp_code": smtp_code, "due_at": due_at})


async def release(connection: AsyncConnection, claimed: ClaimedMail) -> None:
    """Return a mail that was not tried: the mail server could not be used."""
    await _change(connection, claimed, {})


async def _change(connection: AsyncConnection, claimed: ClaimedMail, values: dict[str, object]) -> None:
    # The end of the claim tells it from every later one.
    mine = and_(_MAILS.id == claimed.mail_id, _MAILS.claimed_until == claimed.claimed_until)
    await connection.execute(update(t.mails).where(mine).values(**values, claimed_until=None))


async def _recipient(connection: AsyncConnection, to: Seat) -> tuple[str, str] | None:
    """Return the address and the language of somebody who allows mail; None for anybody else."""
    row = (await connection.execute(_contact(to.role), {"requested_id": to.id})).mappings().first()
    if row is None:
        return None
    address = mails.address_to_write_to(row["email"], allowed=row["email_allowed"])
    return None if address is None else (address, row["language"] or "")


@cache
def _contact(role: SeatRole) -> AnySelect:
    if role is SeatRole.MEDIATOR:
        m = t.mediators.c
        languages = m.languages[1].label("language")
        return select(decrypted(m.email), m.email_allowed, languages).where(m.id == REQUESTED_ID)
    p = t.parties.c
    here = and_(p.id == REQUESTED_ID, p.removed_at.is_(None))
    return select(decrypted(p.email), p.email_allowed, p.language).where(here)


# ── for the office, and for retention ──────────────────────────────────────────────────────────────────────────────


class Mails:
    """The mails of cases, for those who look after them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of_case(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the mails of a case, oldest first. Raises NotFound: there is no such case in the scope."""
        await require_case(self._connection, case_id, scope)
        order = Order(_MAILS.queued_at, _MAILS.id)
        parameters = scope_parameters(scope, case_id)
        return await read_page(self._connection, _of_case(ScopeKind.of(scope)), page, order, parameters=parameters)


@cache
def _of_case(kind: ScopeKind) -> AnySelect:
    shown = ("id", "kind", "case_id", "party_id", "mediator_id", "state", "attempts", "smtp_code", "queued_at")
    columns = [_MAILS[name] for name in (*shown, "finished_at")]
    rows = select(*columns, _MAILS.due_at.label("next_attempt_at")).join(t.cases, t.cases.c.id == _MAILS.case_id)
    return rows.where(t.cases.c.id == REQUESTED_ID, kind.where(t.cases))


async def delete_ended(engine: AsyncEngine, before: datetime) -> int:
    """Delete the mails that were queued before an instant and are over. Returns their number.

    Those of a complaint under a legal hold are kept.
    """
    held = select(t.legal_holds.c.complaint_id).where(t.legal_holds.c.lifted_at.is_(None))
    of_held = select(t.cases.c.id).where(t.cases.c.complaint_id.in_(held))
    async with engine.begin() as connection:
        over = and_(_MAILS.queued_at < before, _MAILS.state != MailState.QUEUED, _MAILS.case_id.not_in(of_held))
        return len((await connection.execute(delete(t.mails).where(over).returning(_MAILS.id))).all())
