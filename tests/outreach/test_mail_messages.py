"""What a mail looks like: nothing of anybody in it, and valid whatever the address or the language."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from mediation_api.domain.values import MailKind
from mediation_api.outreach.mail_messages import MailComposer, language_of, time_in_words
from mediation_api.texts.loader import load_texts

MAIL_ID: Final = UUID(int=7)
QUEUED_AT: Final = datetime(2026, 12, 1, 17, tzinfo=UTC)
STARTS_AT: Final = datetime(2026, 12, 15, 22, tzinfo=UTC)
ZONE: Final = ZoneInfo("America/Los_Angeles")
PORTAL: Final = "https://portal.city.example"
TELLING: Final = re.compile(
    r"mediat|complain|polic|officer|misconduct|review|hearing|agree|consent|case\b|queja|mediac|polic|agente|caso\b|acuerdo",
    re.IGNORECASE,
)
"""What would tell a stranger what a mail is about, in the languages of the texts."""


def composer(name: str = "Messages") -> MailComposer:
    sender = Address(display_name=name, addr_spec="no-reply@city.example")
    return MailComposer(sender=sender, portal_url=PORTAL, zone=ZONE, texts=load_texts())


def composed(
    kind: MailKind = MailKind.SESSION_SCHEDULED,
    *,
    address: str = "ana@example.org",
    language: str = "en",
    by: MailComposer | None = None,
) -> tuple[EmailMessage, bytes]:
    """A mail, parsed again, and as it is transmitted."""
    raw = (by or composer()).compose(
        kind, mail_id=MAIL_ID, address=address, language=language, queued_at=QUEUED_AT, starts_at=STARTS_AT
    )
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message, raw


def test_a_mail_says_that_something_waits_and_where_to_read_it() -> None:
    message, _ = composed()
    assert message.get_content().replace("\r\n", "\n") == (
        "You have an appointment: Tuesday, December 15, 2026, 2:00 PM (Pacific Standard Time).\n\n"
        f"To read more, sign in here:\n{PORTAL}\n\n"
        "This mail was sent by a program. Nobody reads answers to it.\n"
    )
    assert {name: str(value) for name, value in message.items()} == {
        "From": "Messages <no-reply@city.example>",
        "To": "ana@example.org",
        "Subject": "An appointment for you",
        "Date": "Tue, 01 Dec 2026 17:00:00 +0000",
        "Message-ID": f"<{MAIL_ID}@city.example>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "en",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }


@pytest.mark.parametrize("language", sorted(load_texts().mails))
@pytest.mark.parametrize("kind", list(MailKind))
def test_no_mail_tells_a_stranger_what_it_is_about(kind: MailKind, language: str) -> None:
    message, raw = composed(kind, language=language)
    content = message.get_content().replace(PORTAL, "")
    assert not TELLING.search(f"{message['Subject']} {content}")
    assert re.findall(r"https?:\S+", message.get_content()) == [PORTAL]
    assert ("2026" in content) == (kind.startswith("session"))
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_a_word_that_tells_is_found() -> None:
    assert TELLING.search("Your mediation")
    assert TELLING.search("Su queja")


def test_composed_again_a_mail_is_the_same() -> None:
    assert composed()[1] == composed()[1]


def test_a_long_address_and_a_name_that_is_not_ascii_survive() -> None:
    address = f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.example"
    message, _ = composed(address=address, by=composer("Büro für Nachrichten, Stadt"), language="es")
    assert message["To"].addresses[0].addr_spec == address
    assert message["From"].addresses[0].display_name == "Büro für Nachrichten, Stadt"
    assert "martes, 15 de diciembre de 2026" in message.get_content()


@pytest.mark.parametrize(
    "address", ["ana@example.org\r\nBcc: x@example.org", "a@b.example, c@d.example", "Ana <a@b.example>", "", "ana"]
)
def test_what_is_no_single_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        composed(address=address)


def test_texts_are_in_the_language_of_the_reader_or_a_shorter_tag_or_english() -> None:
    texts = load_texts()
    assert [language_of(tag, texts) for tag in ("es", "es-MX", "ES", "vi", "", "en-GB")] == [
        "es",
        "es",
        "es",
        "en",
        "en",
        "en",
    ]


@pytest.mark.parametrize(
    ("instant", "zone"),
    [
        (datetime(2026, 11, 1, 8, 30, tzinfo=UTC), "Pacific Daylight Time"),
        (datetime(2026, 11, 1, 9, 30, tzinfo=UTC), "Pacific Standard Time"),
    ],
)
def test_the_hour_that_is_twice_in_the_night_of_the_change_is_named_by_its_zone(instant: datetime, zone: str) -> None:
    assert time_in_words(instant, ZONE, "en") == f"Sunday, November 1, 2026, 1:30 AM ({zone})"


def test_a_language_without_names_of_months_says_them_in_english() -> None:
    assert time_in_words(STARTS_AT, ZONE, "qaa").startswith("Tuesday, December 15")
    assert time_in_words(STARTS_AT, ZONE, "zh-hant").startswith("2026年12月15日")
