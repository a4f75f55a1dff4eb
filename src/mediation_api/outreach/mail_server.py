"""The mail server: connecting to it, and giving it one mail.

A fault of the server itself (no connection, TLS, sign-in, the sender's address) is told from its answer about one mail:
in the first case nothing was tried, and every other mail would meet the same.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Self

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from mediation_api.logs import class_of
from mediation_api.settings import MailTls, Settings

CONNECT_SECONDS: Final = 30.0
"""For the connection, TLS and the sign-in together."""
SEND_SECONDS: Final = 60.0
"""For one mail."""
_COMMAND_SECONDS: Final = 20.0
_CLOSING: Final = 421
_FOR_GOOD: Final = 500


class MailServerUnusable(Exception):  # noqa: N818 - a state of the server, not an error of the service
    """The mail server cannot be used now.

    `reason` is the class of the error, `code` that of the server's answer, if any, and `is_untrusted` whether its
    certificate was not accepted.
    """

    def __init__(self, error: BaseException) -> None:
        # A failed connection or handshake is wrapped.
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        self.reason = class_of(cause)
        self.is_untrusted = isinstance(cause, ssl.SSLCertVerificationError)
        self.code = error.code if isinstance(error, SMTPResponseException) else None
        super().__init__(self.reason)


@dataclass(frozen=True, slots=True)
class MailAnswer:
    """What the server answered to a mail: the code; None if the connection was lost and the outcome is unknown."""

    code: int | None
    is_accepted: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether the mail is refused for good."""
        return self.code is not None and self.code >= _FOR_GOOD

    @property
    def ends_connection(self) -> bool:
        """Whether the next mail needs another connection."""
        return self.code is None or self.code == _CLOSING


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """How the mail server is reached. The certificate is checked, unless there is no TLS at all."""

    host: str
    port: int
    tls: MailTls
    context: ssl.SSLContext
    sender: str
    user: str
    password: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the server of these settings, in which mail is on."""
        return cls(
            host=settings.mail_host,
            port=settings.mail_port,
            tls=settings.mail_tls,
            context=ssl.create_default_context(cafile=settings.mail_ca_file),
            sender=settings.mail_from,
            user=settings.mail_user,
            password=settings.mail_password.get_secret_value(),
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["MailConnection"]:
        """Connect, encrypt and sign in. Raises MailServerUnusable."""
        client = SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls is MailTls.TLS,
            start_tls=self.tls is MailTls.STARTTLS,
            tls_context=self.context,
            username=self.user or None,
            password=self.password or None,
            # Otherwise the name of this machine stands in the headers of each mail.
            local_hostname=self.sender.rpartition("@")[2],
            timeout=_COMMAND_SECONDS,
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect()
        except (SMTPException, OSError, ValueError) as error:  # a TimeoutError and an SSLError are OSErrors
            client.close()
            raise MailServerUnusable(error) from None
        try:
            yield MailConnection(client, self.sender)
        finally:
            with suppress(SMTPException, OSError):
                await client.quit(timeout=1)
            client.close()


class MailConnection:
    """A connection on which mails are sent, one after the other."""

    def __init__(self, client: SMTP, sender: str) -> None:
        self._client = client
        self._sender = sender

    async def check(self) -> None:
        """Check that the sender is accepted, and send nothing. Raises MailServerUnusable."""
        await self._begin(0)
        with suppress(SMTPException, OSError):
            await self._client.rset()

    async def send(self, address: str, content: bytes) -> MailAnswer:
        """Send a mail to one recipient. The envelope is given: no address is read from the mail.

        Raises:
            MailServerUnusable: the connection was lost before, or the sender is refused. Nothing was tried.
        """
        await self._begin(len(content))
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._client.rcpt(address)
                answer = await self._client.data(content)
        except SMTPResponseException as refusal:
            with suppress(SMTPException, OSError):
                await self._client.rset()
            return MailAnswer(refusal.code)
        except (SMTPException, OSError):
            return MailAnswer(None)
        return MailAnswer(answer.code, is_accepted=True)

    async def _begin(self, size: int) -> None:
        options = [f"SIZE={size}"] if size and self._client.supports_extension("size") else []
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._client.mail(self._sender, options=options)
        except (SMTPException, OSError) as error:
            raise MailServerUnusable(error) from None
