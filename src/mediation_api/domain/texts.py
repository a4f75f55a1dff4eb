"""The texts that people see and sign: how they are rendered and hashed, and in which languages they exist.

The wording is in files by version and language: see src/mediation_api/texts/README.md. A released text is never edited,
because people answered and signed exactly these words.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from mediation_api.domain.values import ReportCategory


class TextKind(StrEnum):
    """The purpose of a text."""

    DISCLOSURE = "disclosure"
    """Shown to a party before it answers."""
    CONFIDENTIALITY = "confidentiality"
    """Signed by everybody who attends, before a session starts."""
    RESOLUTION = "resolution"
    """The terms that the parties agree on, if any. There is no template, since the parties write them."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is shown and signed. `sha256` is the lower-case hex hash of `body` in UTF-8; `body` is in NFC."""

    kind: TextKind
    version: str
    languages: tuple[str, ...]
    body: str
    sha256: str

    @classmethod
    def of(cls, kind: TextKind, version: str, languages: tuple[str, ...], body: str) -> Self:
        """Return a text with its body in NFC, and its hash."""
        return cls(kind, version, languages, unicodedata.normalize("NFC", body), text_hash(body))


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a template; it is numbered when the text is rendered."""

    heading: str
    body: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text in one language, with placeholders. `about` names the office, and the case if there is one."""

    title: str
    about: str
    sections: tuple[Section, ...]

    def fill(self, **values: str) -> str:
        """Render the text with a value for each placeholder."""
        sections = (f"{n}. {s.heading}\n{s.body}\n" for n, s in enumerate(self.sections, start=1))
        return "\n".join([f"{self.title}\n\n{self.about}\n", *sections]).format(**values)


@dataclass(frozen=True, slots=True)
class OfficeContact:
    """The office, as people reach it. `phone` is None if the city has configured none."""

    name: str
    phone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """All texts of an edition in one language.

    `language_name` is in that language; `telephone` is the word before a number; `reports` has a sentence for each
    category of mandatory reports.
    """

    language_name: str
    telephone: str
    reports: Mapping[ReportCategory, str]
    disclosure: Template
    confidentiality: Template

    def contact(self, office: OfficeContact) -> str:
        """Return the name of the office, with its telephone number if it has one."""
        return office.name if office.phone is None else f"{office.name}, {self.telephone} {office.phone}"

    def report_sentences(self, categories: Iterable[ReportCategory]) -> str:
        """Return the sentences of these categories, in the order of the enum."""
        chosen = frozenset(categories)
        return " ".join(self.reports[each] for each in ReportCategory if each in chosen)


@dataclass(frozen=True, slots=True)
class Edition:
    """The texts of one version, by language."""

    version: str
    translations: Mapping[str, Translation]

    @property
    def languages(self) -> tuple[str, ...]:
        """The language tags of the texts, English first."""
        return tuple(self.translations)

    def render_disclosures(self, office: OfficeContact, categories: Iterable[ReportCategory]) -> tuple[Text, ...]:
        """Return the disclosure that a party of either side sees before it answers, in each language."""
        named = tuple(categories)
        return tuple(
            Text.of(
                TextKind.DISCLOSURE,
                self.version,
                (language,),
                translation.disclosure.fill(
                    office=translation.contact(office), reports=translation.report_sentences(named)
                ),
            )
            for language, translation in self.translations.items()
        )

    def render_agreement(
        self, languages: Sequence[str], office: str, reference: str, categories: Iterable[ReportCategory]
    ) -> Text | None:
        """Return one confidentiality agreement in all of `languages`, so that everybody signs the same bytes.

        Each language appears once, in this order. The caller must keep the order for a case, since another order is
        another text. Returns None if `languages` is empty, or there is no agreement in one of them.
        """
        chosen = tuple(dict.fromkeys(languages))
        if not chosen or not self.translations.keys() >= set(chosen):
            return None
        named = tuple(categories)
        bodies = []
        for number, translation in enumerate((self.translations[language] for language in chosen), start=1):
            body = translation.confidentiality.fill(
                office=office, reference=reference, reports=translation.report_sentences(named)
            )
            # A numbered heading in the reader's language shows which part is theirs, and that there are others.
            heading = f"[{number}/{len(chosen)}] {translation.language_name}\n\n" if len(chosen) > 1 else ""
            bodies.append(heading + body)
        return Text.of(TextKind.CONFIDENTIALITY, self.version, chosen, "\n\n".join(bodies))


@dataclass(frozen=True, slots=True)
class Texts:
    """All texts for people: every released edition, oldest first, titles of problems, categories, documents, mails.

    `problem_titles` are by language, in the order of the current edition, and then by the code of the problem.
    `problem_details` are by language and by the sentence in English.
    `allegation_categories` are by code and then by language: those that come with the service.
    `documents` are by language and then by key: what a printed document or a calendar says besides a text.
    `mails` are by language and then by key: a subject and a body for each kind of mail, and what all of them end with.
    """

    editions: tuple[Edition, ...]
    problem_titles: Mapping[str, Mapping[str, str]]
    problem_details: Mapping[str, Mapping[str, str]]
    allegation_categories: Mapping[str, Mapping[str, str]]
    documents: Mapping[str, Mapping[str, str]]
    mails: Mapping[str, Mapping[str, str]]

    @property
    def current(self) -> Edition:
        """The edition that people see and sign now."""
        return self.editions[-1]

    def disclosed_categories(self, body: str) -> frozenset[ReportCategory]:
        """Return the categories of mandatory reports that a disclosure or an agreement of any edition names."""
        text = unicodedata.normalize("NFC", body)
        return frozenset(
            category
            for edition in self.editions
            for translation in edition.translations.values()
            for category, sentence in translation.reports.items()
            if unicodedata.normalize("NFC", sentence) in text
        )


def text_hash(body: str) -> str:
    """Return the lower-case hex SHA-256 of a text's NFC form in UTF-8."""
    return hashlib.sha256(unicodedata.normalize("NFC", body).encode()).hexdigest()


def signed_hash(body: str, languages: Sequence[str], *, terms_confidential: bool) -> str:
    """Return the hash that a signature on an agreement is bound to.

    It covers the languages and the confidentiality of the terms as well: two lines, `languages: en, es` and
    `terms_confidential: true`, and an empty one precede the text.
    """
    confidential = "true" if terms_confidential else "false"
    return text_hash(f"languages: {', '.join(languages)}\nterms_confidential: {confidential}\n\n{body}")
