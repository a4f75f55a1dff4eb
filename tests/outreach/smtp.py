"""A mail server for tests: aiosmtpd in this process, which demands TLS and a sign-in, and answers as it is told to."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

MAILS_OF_A_CONNECTION = 20
USER, PASSWORD = "mailer", "a-password"  # pragma: allowlist secret


@dataclass(frozen=True, slots=True)
class Delivered:
    """A mail as the server received it: the envelope, and what was parsed of the rest."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail."""
        message = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message


@dataclass(slots=True)
class MailServerOfTest:
    """What aiosmtpd asks. `answers` are those to each address, in their order; after them it accepts.

    `lost` closes the connection after the whole mail was received, and before it is answered; `lost before` does so as
    if it had not been received.
    """

    answers: dict[str, list[str]] = field(default_factory=dict)
    delivered: list[Delivered] = field(default_factory=list)
    connections: Counter[str] = field(default_factory=Counter)
    signs_in: bool = True
    senders_refused: bool = False
    is_away: bool = False
    greeted_by: set[str] = field(default_factory=set)
    on_data: asyncio.Event = field(default_factory=asyncio.Event)

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        """Accept the one user."""
        assert isinstance(data, LoginPassword), mechanism
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right and self.signs_in, handled=False)

    def answer_to(self, address: str) -> str:
        """Return what is answered to a mail to this address."""
        waiting = self.answers.get(address, [])
        return waiting.pop(0) if waiting else "250 Accepted"

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Greet, unless the server is away."""
        session.host_name = hostname
        self.greeted_by.add(hostname)
        if self.is_away:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take the sender."""
        self.connections[str(session.peer)] += 1
        if self.senders_refused:
            return "553 5.7.1 Sender address rejected"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Answer a mail."""
        (address,), raw = envelope.rcpt_tos, envelope.content
        assert isinstance(raw, bytes)
        said = self.answer_to(address)
        if said.startswith("250") or said == "lost":
            self.delivered.append(Delivered(str(envelope.mail_from), tuple(envelope.rcpt_tos), raw))
        self.on_data.set()
        if said.startswith("lost"):
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return said

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None, *, from_first_byte: bool = False) -> AsyncIterator[int]:
        """Listen on a port, which it gives; with a context, it demands TLS, STARTTLS by default, and a sign-in."""
        protected = context is not None
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: SMTP(
                self,
                hostname="mail.test",
                tls_context=None if from_first_byte else context,
                require_starttls=protected and not from_first_byte,
                auth_required=protected and not from_first_byte,
                auth_require_tls=not from_first_byte,  # aiosmtpd looks for its own TLS alone
                authenticator=self.authenticate,
                command_call_limit={"MAIL": MAILS_OF_A_CONNECTION},
                loop=loop,
            ),
            host="127.0.0.1",
            port=0,
            ssl=context if from_first_byte else None,
        )
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            listener.close()
            await listener.wait_closed()
