"""What each printed document says: agreements, the certificate of signatures, notices of sessions, and consent forms.

A document is made of what its reader may read of the object, and has lines to sign on where people sign on paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time, get_timezone_name

from mediation_api.domain.texts import OfficeContact, Text
from mediation_api.domain.values import AgreementKind, Method, SeatRole
from mediation_api.outreach import documents
from mediation_api.outreach.documents import Block, Document, Words

_LINES: Final = {AgreementKind.CONFIDENTIALITY: 10, AgreementKind.RESOLUTION: 8}
"""How many people may sign on one sheet. Their number is not that of those who are expected: it would tell of them."""
_TERRITORY: Final = "US"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedAgreement:
    """An agreement, as far as everybody who may read it reads the same of it."""

    kind: AgreementKind
    number: int
    languages: Sequence[str]
    text: str
    sha256: str
    terms_confidential: bool
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedSignature:
    """A signature in the certificate. A party's own has neither a name nor a method."""

    role: SeatRole
    signed_at: datetime
    name: str = ""
    method: Method | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedSession:
    """When and where a session is held. `place` and `link` are None after their retention period."""

    starts_at: datetime
    ends_at: datetime
    place: str | None
    link: str | None
    called_off: bool
    scheduled_at: datetime


def agreement(printed: PrintedAgreement, known: Mapping[str, Mapping[str, str]]) -> Document:
    """Return an agreement with lines for signatures. It depends on the signed text and nothing else."""
    words = Words.of(known, printed.languages)
    if printed.kind is AgreementKind.RESOLUTION:
        terms = "terms_confidential" if printed.terms_confidential else "terms_open"
        body: Sequence[Block] = (
            documents.label(words, "resolution", 1),
            *documents.plain_blocks(printed.text, printed.languages[0]),
            documents.note(words, terms),
        )
    else:
        body = documents.template_blocks(printed.text, printed.languages)
    return Document(
        title=words.plain(printed.kind),
        language=words.language,
        words=words,
        made_at=printed.made_at,
        footer=_footer(printed.sha256),
        blocks=(
            *body,
            documents.label(words, "signatures"),
            *documents.fingerprint_of_text(words, printed.sha256),
            documents.lines_to_sign(words, _LINES[printed.kind]),
        ),
    )


def certificate(
    printed: PrintedAgreement,
    signatures: Sequence[PrintedSignature],
    words: Words,
    zone: ZoneInfo,
    *,
    notes: Sequence[str],
) -> Document:
    """Return who signed a text, when and how. It is dated by the last signature. `notes` are keys of words."""
    locale = _locale(words.language)
    has_names = any(each.name for each in signatures)
    columns = {"name": 3, "capacity": 2, "method": 2, "signed_at": 3} if has_names else {"capacity": 1, "signed_at": 2}
    rows = [
        [
            *([each.name] if has_names else []),
            words.plain(each.role),
            *([words.plain(each.method)] if each.method else []),
            _instant(each.signed_at, zone, locale),
        ]
        for each in signatures
    ]
    return Document(
        title=words.plain("certificate"),
        language=words.language,
        words=words,
        made_at=max((printed.made_at, *(each.signed_at for each in signatures))),
        footer=_footer(printed.sha256),
        blocks=(
            documents.label(words, "certificate", 1),
            documents.facts(
                words,
                {
                    "text_kind": f"{words.plain(printed.kind)} ({printed.number})",
                    "text_made": _instant(printed.made_at, zone, locale),
                },
            ),
            *documents.fingerprint_of_text(words, printed.sha256),
            *(documents.note(words, key) for key in notes),
            *((documents.entries(words, columns, rows),) if rows else (documents.note(words, "nobody_signed"),)),
        ),
    )


def notice(printed: PrintedSession, office: OfficeContact, words: Words, zone: ZoneInfo) -> Document:
    """Return the notice of the date, the time and the place of a session; it names nobody."""
    locale = _locale(words.language)
    starts_at, ends_at = (each.astimezone(zone) for each in (printed.starts_at, printed.ends_at))
    title = "notice_cancelled" if printed.called_off else "notice"
    begin, until = (format_time(each, "short", locale=locale) for each in (starts_at, ends_at))
    if ends_at.date() != starts_at.date():
        until = f"{format_date(ends_at, 'full', locale=locale)}, {until}"
    time = f"{begin} \u2013 {until} ({get_timezone_name(starts_at, locale=locale)})"
    where = {"place": printed.place, "link": printed.link}
    contact = {"office": office.name, "telephone": office.phone}
    return Document(
        title=words.plain(title),
        language=words.language,
        words=words,
        made_at=printed.scheduled_at,
        footer=office.name,
        blocks=(
            documents.label(words, title, 1),
            documents.facts(
                words,
                {
                    "day_of_session": format_date(starts_at, "full", locale=locale),
                    "time_of_session": time,
                    **{key: value for key, value in where.items() if value},
                },
            ),
            documents.note(words, "notice_off" if printed.called_off else "notice_voluntary"),
            documents.facts(words, {key: value for key, value in contact.items() if value}),
        ),
    )


def consent_form(disclosure: Text, known: Mapping[str, Mapping[str, str]]) -> Document:
    """Return a disclosure with the form on which a party answers it on paper; dated by the edition of the text."""
    words = Words.of(known, disclosure.languages)
    signature = {"name": "", "signature": "", "day": ""}
    return Document(
        title=words.plain("consent"),
        language=words.language,
        words=words,
        made_at=datetime.fromisoformat(f"{disclosure.version}-01T00:00:00+00:00"),
        footer=_footer(disclosure.sha256),
        blocks=(
            *documents.template_blocks(disclosure.body, disclosure.languages),
            *documents.fingerprint_of_text(words, disclosure.sha256),
            documents.page_break(),
            documents.label(words, "consent"),
            documents.facts(words, {"reference": "", "text_read": documents.in_groups(disclosure.sha256)}),
            documents.choices(words, "agree", "decline"),
            documents.facts(words, signature),
            documents.note(words, "consent_minor"),
            documents.label(words, "guardian"),
            documents.facts(words, signature),
            documents.note(words, "consent_return"),
        ),
    )


def _footer(sha256: str) -> str:
    return f"SHA-256 {documents.in_groups(sha256[:16])}"


def _instant(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    return format_datetime(at, "long", tzinfo=zone, locale=locale)


def _locale(language: str) -> Locale:
    code = language.replace("-", "_")
    try:
        return Locale.parse(f"{code}_{_TERRITORY}")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(code)
