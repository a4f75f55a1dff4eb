"""Queue the mails for what has happened, and send those that are due: a task of `mediation-api worker`.

Any number of processes may do it. No transaction and no lock is held while a mail is sent.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

from mediation_api.domain.mails import next_attempt
from mediation_api.domain.values import MailState
from mediation_api.logs import LogEvent
from mediation_api.outreach.mail_messages import MailComposer
from mediation_api.outreach.mail_server import MailAnswer, MailConnection, MailServer, MailServerUnusable
from mediation_api.outreach.worker import RunResult, WorkerContext
from mediation_api.repository import mails
from mediation_api.repository.mails import ClaimedMail, Outgoing

RUN_SECONDS: Final = 5.0
"""How long a run begins to send mails, so that the worker can stop."""
_FIRST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=5)
_BETWEEN_REMINDERS: Final = timedelta(minutes=1)
"""How often it is looked whom to remind."""

_log = logging.getLogger(__name__)


class ComposedMail(NamedTuple):
    """A mail that this process has claimed, as it is sent."""

    claimed: ClaimedMail
    address: str
    content: bytes


class MailDelivery:
    """Queues and sends mails for one process."""

    def __init__(self, server: MailServer, composer: MailComposer) -> None:
        self._server = server
        self._composer = composer
        self._paused_until: datetime | None = None
        self._pause = _FIRST_PAUSE
        self._reminded_at: datetime | None = None

    @classmethod
    def of(cls, context: WorkerContext) -> Self | None:
        """Return what queues and sends mails with the settings of the worker; None if mail is off."""
        if not context.settings.mail_host:
            return None
        return cls(MailServer.of(context.settings), MailComposer.of(context.settings, context.texts))

    async def run(self, context: WorkerContext) -> RunResult:
        """Queue what is to be queued, and send what is due.

        While the mail server cannot be used, mails wait; it is tried again after a pause that grows to five minutes.
        """
        until = asyncio.get_running_loop().time() + RUN_SECONDS
        more = await self._queue(context)
        if self._paused_until is not None and context.clock() < self._paused_until:
            return RunResult.MORE if more else RunResult.DONE
        try:
            while (following := await self._next(context)) is not None:
                if await self._send_from(following, context, until):
                    return RunResult.MORE
        except MailServerUnusable as unusable:
            self._paused_until = context.clock() + self._pause
            _log.warning(LogEvent("mail-server", error=unusable.reason, smtp_code=unusable.code))
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return RunResult.MORE if more else RunResult.DONE

    async def _queue(self, context: WorkerContext) -> bool:
        """Queue mails. Returns whether there may be more to queue at once."""
        at = context.clock()
        async with context.database.transaction() as connection:
            more = await mails.queue_mails(connection, at)
        if self._reminded_at is None or at - self._reminded_at >= _BETWEEN_REMINDERS:
            async with context.database.transaction() as connection:
                await mails.queue_reminders(connection, at, context.policy)
            self._reminded_at = at
        return more

    def _composed(self, claimed: ClaimedMail, outgoing: Outgoing) -> ComposedMail:
        """Compose a mail. Raises ValueError if the address is not one."""
        content = self._composer.compose(
            claimed.mail.kind,
            mail_id=claimed.mail_id,
            address=outgoing.address,
            language=outgoing.language,
            queued_at=claimed.queued_at,
            starts_at=outgoing.starts_at,
        )
        return ComposedMail(claimed, outgoing.address, content)

    async def _next(self, context: WorkerContext) -> ComposedMail | None:
        """Claim the next mail that is to be sent. Drop those that no longer are, and fail those without an address."""
        while True:
            at = context.clock()
            async with context.database.transaction() as connection:
                claimed = await mails.claim(connection, at)
                if claimed is None:
                    return None
                outgoing = await mails.outgoing(connection, claimed, at)
                if outgoing is None:
                    await mails.finish(connection, claimed, MailState.DROPPED, at)
                    continue
                try:
                    return self._composed(claimed, outgoing)
                except ValueError:
                    await mails.finish(connection, claimed, MailState.FAILED, at)

    async def _send_from(self, first: ComposedMail, context: WorkerContext, until: float) -> bool:
        """Send a mail, and those that are due after it on the same connection. Returns whether the time is up."""
        following: ComposedMail | None = first
        time, is_up, answered = asyncio.get_running_loop().time, False, False
        try:
            async with self._server.connected() as connection:
                while following is not None:
                    answer = await self._send(connection, following, context)
                    self._paused_until, self._pause = None, _FIRST_PAUSE
                    is_up, answered = time() >= until, True
                    following = None if is_up or answer.ends_connection else await self._next(context)
        except MailServerUnusable:
            if following is not None:
                async with context.database.transaction() as database:
                    await mails.release(database, following.claimed)
            if not answered:
                raise
            # Servers take only so many mails on one connection: the next one goes over another.
        return is_up

    async def _send(self, connection: MailConnection, mail: ComposedMail, context: WorkerContext) -> MailAnswer:
        claimed = mail.claimed
        answer = await connection.send(mail.address, mail.content)
        at, attempts = context.clock(), claimed.attempts + 1
        again = None if answer.is_refused else next_attempt(attempts, queued_at=claimed.queued_at, at=at)
        async with context.database.transaction() as database:
            if answer.is_accepted:
                await mails.finish(database, claimed, MailState.SENT, at, smtp_code=answer.code)
            elif again is None:
                await mails.finish(database, claimed, MailState.FAILED, at, smtp_code=answer.code)
            else:
                await mails.retry(database, claimed, again, smtp_code=answer.code)
        state = MailState.SENT if answer.is_accepted else MailState.FAILED if again is None else MailState.QUEUED
        _log.info(LogEvent("mail", mail_id=claimed.mail_id, state=state, attempts=attempts, smtp_code=answer.code))
        return answer
