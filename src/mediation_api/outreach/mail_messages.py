"""Compose a mail: plain text that says only that something waits, and a link to the portal that is everybody's."""

from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_name

from mediation_api.domain.texts import Texts
from mediation_api.domain.values import MailKind
from mediation_api.settings import Settings

_FIRST_LANGUAGE: Final = "en"
_SPACES: Final = str.maketrans("\u00a0\u202f", "  ")
"""The spaces that CLDR puts into times, such as before PM. Plain ones keep a mail in English ASCII."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailComposer:
    """What all mails have in common: the sender, the portal, the texts, and the zone in which times are said."""

    sender: Address
    portal_url: str
    zone: ZoneInfo
    texts: Texts

    @classmethod
    def of(cls, settings: Settings, texts: Texts) -> Self:
        """Return the composer of these settings."""
        sender = Address(display_name=settings.mail_from_name, addr_spec=settings.mail_from)
        zone = ZoneInfo(settings.time_zone)
        return cls(sender=sender, portal_url=settings.portal_url, zone=zone, texts=texts)

    def compose(
        self,
        kind: MailKind,
        *,
        mail_id: UUID,
        address: str,
        language: str,
        queued_at: datetime,
        starts_at: datetime | None,
    ) -> bytes:
        """Return a mail to one person, as SMTP transmits it. Composed again, it has the same `Message-ID` and `Date`.

        Args:
            kind: what it is about.
            mail_id: its id.
            address: the recipient's address, in ASCII.
            language: the recipient's language. English if there are no texts in it.
            queued_at: its date.
            starts_at: when the session starts that it is about, if it is about one.

        Raises:
            ValueError: the address is not one. Its text does not contain it.
        """
        chosen = language_of(language, self.texts)
        words = self.texts.mails[chosen]
        when = "" if starts_at is None else time_in_words(starts_at, self.zone, chosen)
        message = EmailMessage(policy=SMTP)
        message["From"] = self.sender
        message["To"] = _recipient(address)
        message["Subject"] = words[f"{kind}_subject"]
        message["Date"] = format_datetime(queued_at)
        message["Message-ID"] = f"<{mail_id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        lines = (words[f"{kind}_body"].format(when=when), "", words["portal"], self.portal_url, "", words["automatic"])
        message.set_content("\n".join(lines) + "\n", cte="quoted-printable")
        message["Content-Language"] = chosen
        return message.as_bytes()


def _recipient(address: str) -> Address:
    try:
        recipient = Address(addr_spec=address)
    except (ValueError, IndexError, MessageError):  # whichever the parser comes to
        raise ValueError("no address") from None
    if not address.isascii() or not recipient.domain:
        raise ValueError("no address")
    return recipient


def language_of(tag: str, texts: Texts) -> str:
    """Return the language of the texts for somebody's language: the same tag, a shorter one, or English."""
    parts = tag.lower().split("-")
    shorter = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((each for each in shorter if each in texts.mails), _FIRST_LANGUAGE)


def time_in_words(instant: datetime, zone: ZoneInfo, language: str) -> str:
    """Return a date and time with the name of the zone, such as "Tuesday, December 15, 2026, 2:00 PM (…)"."""
    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):  # a language that CLDR does not have
        locale = Locale(_FIRST_LANGUAGE)
    local = instant.astimezone(zone)
    day = format_date(local.date(), "full", locale=locale)
    time = format_time(local, "short", tzinfo=zone, locale=locale)
    return f"{day}, {time} ({get_timezone_name(local, locale=locale)})".translate(_SPACES)
