"""How the texts that people are shown and sign are put together and hashed, and in which languages there are any.

The wording stands in files per version and language: see mediation_api/texts/README.md. A released text is never
edited, because people answered and signed exactly these words.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from mediation_api.domain.values import ReportCategory


class TextKind(StrEnum):
    """What a text is for."""

    DISCLOSURE = "disclosure"
    """Shown to a party before it answers."""
    CONFIDENTIALITY = "confidentiality"
    """Signed by everybody who attends, before a session starts."""
    RESOLUTION = "resolution"
    """Terms of the parties' own, if they reach any. There is no template: nobody writes them for the parties."""


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
        """Make a text, with its body in NFC and its hash."""
        return cls(kind, version, languages, unicodedata.normalize("NFC", body), text_hash(body))


@dataclass(frozen=True, slots=True)
class Section:
    """One point of a template; it is numbered when the text is put together."""

    heading: str
    body: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text in one language, with placeholders. `about` says which office, and which case, the text is of."""

    title: str
    about: str
    sections: tuple[Section, ...]

    def fill(self, **values: str) -> str:
        """Put the text together, with a value for each placeholder."""
        sections = (f"{n}. {s.heading}\n{s.body}\n" for n, s in enumerate(self.sections, start=1))
        return "\n".join([f"{self.title}\n\n{self.about}\n", *sections]).format(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """All texts of an edition in one language.

    `language_name` is what the language calls itself; `reports` has a sentence for each category of mandatory reports.
    """

    language_name: str
    reports: Mapping[ReportCategory, str]
    disclosure: Template
    confidentiality: Template

    def report_sentences(self, categories: Iterable[ReportCategory]) -> str:
        """The sentences of exactly these categories, in the order of the enum."""
        chosen = frozenset(categories)
        return " ".join(self.reports[each] for each in ReportCategory if each in chosen)


@dataclass(frozen=True, slots=True)
class Edition:
    """The texts of one version, by language."""

    version: str
    translations: Mapping[str, Translation]

    @property
    def languages(self) -> tuple[str, ...]:
        """The tags of the languages that the texts exist in, English first."""
        return tuple(self.translations)

    def render_disclosures(self, office: str, categories: Iterable[ReportCategory]) -> tuple[Text, ...]:
        """Return what a party on either side is shown before it answers, in each language."""
        named = tuple(categories)
        return tuple(
            Text.of(
                TextKind.DISCLOSURE,
                self.version,
                (language,),
                translation.disclosure.fill(office=office, reports=translation.report_sentences(named)),
            )
            for language, translation in self.translations.items()
        )

    def render_agreement(
        self, languages: Sequence[str], office: str, reference: str, categories: Iterable[ReportCategory]
    ) -> Text | None:
        """Return one confidentiality agreement in the given languages, so that all who sign it sign the same bytes.

        The languages come in the given order, each once: fix the order per case, since another order is another text.
        Returns None when no language is given, or one of them has no agreement.
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
            # A numbered heading in the reader's own language, so that each finds their part and sees there are others.
            heading = f"[{number}/{len(chosen)}] {translation.language_name}\n\n" if len(chosen) > 1 else ""
            bodies.append(heading + body)
        return Text.of(TextKind.CONFIDENTIALITY, self.version, chosen, "\n\n".join(bodies))


@dataclass(frozen=True, slots=True)
class Texts:
    """What people are shown: every edition ever released, oldest first, and the titles of problems.

    The titles are by language, in the order of the current edition, and by the code of the problem.
    """

    editions: tuple[Edition, ...]
    problem_titles: Mapping[str, Mapping[str, str]]

    @property
    def current(self) -> Edition:
        """The edition that people are shown and sign now."""
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
    """Return the lower-case hex SHA-256 of a text's NFC form in UTF-8: what a signature is bound to."""
    return hashlib.sha256(unicodedata.normalize("NFC", body).encode()).hexdigest()


def signed_hash(body: str, languages: Sequence[str], *, terms_confidential: bool) -> str:
    """Return the hash that a signature on an agreement is bound to: of the text with what was agreed about it.

    Two lines and an empty one stand before the text, so that other languages, or terms that are confidential or no
    longer are, make another text: `languages: en, es`, `terms_confidential: true`.
    """
    confidential = "true" if terms_confidential else "false"
    return text_hash(f"languages: {', '.join(languages)}\nterms_confidential: {confidential}\n\n{body}")
