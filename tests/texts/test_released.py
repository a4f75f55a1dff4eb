"""The texts that come with the service: what they must say, how plainly, and that released ones never change."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

import pytest

from mediation_api.domain.texts import Edition, OfficeContact, Template, Text
from mediation_api.domain.values import ReportCategory
from mediation_api.texts.loader import load_texts

OFFICE = "Independent Police Review"
ADMISSION = ReportCategory.CRIMINAL_ADMISSION
REFERENCE = "2026-000123"
TEXTS = load_texts()
CURRENT = TEXTS.current
TEMPLATES = {
    f"{kind} {edition.version} {language}": (template, translation.reports)
    for edition in TEXTS.editions
    for language, translation in edition.translations.items()
    for kind, template in (
        ("disclosure", translation.disclosure),
        ("confidentiality", translation.confidentiality),
    )
}

# ── pins: a released text is never edited. Whoever releases a version, or a language, adds its pins ─────────────────

PINS = {
    "disclosure 2026-11 en": "834df835b4653014280fe72b8df81c4ea06879e5bbf9d344ec3e0b11f31c25db",
    "disclosure 2026-11 es": "52d02433ea9a2921d823fb1b25a9fb2214d7405daf27186f1244075f4c052ff8",
    "confidentiality 2026-11 en": "469a7619aed52b51a1c02d39d14131990e2287db7b6b89f90a44cd15ece4e5ff",
    "confidentiality 2026-11 es": "1295fd00be834ece88bdd30d58ca8dcef21a3d84ab60509bb6686e09bc793bea",
    "confidentiality 2026-11 en+es": "76286dd75b44f86ddc984b92cba1620d5fb7c9cf07e4573bfb79087fa5a2ec2b",
}
"""Of a city that has configured the default category of mandatory reports."""

PINS_OF_EVERY_CATEGORY = {
    "disclosure 2026-11 en": "12fee062c0f5ddd6cef3fff2b2b5ed549b780510f4ade4b5031389e6207925e8",
    "disclosure 2026-11 es": "4be0927565013c9dcbfc5b11e2ab21a13cb18be72c981640b5bd2a9504b38c2e",
    "confidentiality 2026-11 en": "446f1a6e09173b1b8be749a7aef0838b7d3124077e00bc5c3a85c4cbe2c1672e",
    "confidentiality 2026-11 es": "479accd4e74c2accdc1dc48e2df3e3bfcbde4e70946b3cc8baa5e5bbb057c7bc",
    "confidentiality 2026-11 en+es": "226d1f30b1d30885232c88f191c01b513a03e8b4d0f5efd408bb014f89c1816e",
}


def shown(language: str, categories: Iterable[ReportCategory] = (ADMISSION,), edition: Edition = CURRENT) -> Text:
    texts = edition.render_disclosures(OfficeContact(OFFICE), categories)
    return next(text for text in texts if text.languages == (language,))


def signed(*languages: str, categories: Iterable[ReportCategory] = (ADMISSION,), edition: Edition = CURRENT) -> Text:
    text = edition.render_agreement(languages, OFFICE, REFERENCE, categories)
    assert text is not None
    return text


def released(categories: Iterable[ReportCategory] = (ADMISSION,)) -> Mapping[str, Text]:
    named = tuple(categories)
    texts = [
        text
        for edition in TEXTS.editions
        for text in (
            *(shown(language, named, edition) for language in edition.languages),
            *(signed(language, categories=named, edition=edition) for language in edition.languages),
            signed("en", "es", categories=named, edition=edition),
        )
    ]
    return {f"{text.kind} {text.version} {'+'.join(text.languages)}": text for text in texts}


@pytest.mark.parametrize(
    ("categories", "pins"), [((ADMISSION,), PINS), (tuple(ReportCategory), PINS_OF_EVERY_CATEGORY)], ids=["one", "all"]
)
def test_a_released_text_does_not_change_by_a_single_byte(
    categories: tuple[ReportCategory, ...], pins: Mapping[str, str]
) -> None:
    texts = released(categories)
    assert {name: texts[name].sha256 for name in pins} == pins
    assert {text.version for text in texts.values()} == {texts[name].version for name in pins}


# ── what every text keeps ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PINS)
def test_a_text_carries_its_version_the_office_and_no_placeholder(name: str) -> None:
    text = released()[name]
    assert text.version in text.body
    assert text.body.count(OFFICE) == len(text.languages)
    assert text.body.count(REFERENCE) == (len(text.languages) if text.kind == "confidentiality" else 0)
    assert not re.search(r"[{}]", text.body)
    assert unicodedata.is_normalized("NFC", text.body)


def test_every_language_has_as_many_sentences_in_each_section() -> None:
    for edition in TEXTS.editions:
        english, *others = edition.translations.values()
        for other in others:
            for one, same in ((english.disclosure, other.disclosure), (english.confidentiality, other.confidentiality)):
                assert [len(sentences(s.body)) for s in one.sections] == [len(sentences(s.body)) for s in same.sections]


def test_the_sections_are_numbered_and_come_in_order() -> None:
    for text in (shown("en"), shown("es"), signed("en"), signed("es")):
        numbers = re.findall(r"^(\d+)\. ", text.body, re.MULTILINE)
        assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert re.findall(r"^\d+\. (.+)$", shown("es").body, re.MULTILINE) == [
        section.heading for section in CURRENT.translations["es"].disclosure.sections
    ]


# ── what the texts must say, in each language, by the heading in English ───────────────────────────────────────────

MUST_SAY_BEFORE_AN_ANSWER = {
    "It is your choice": ("do not have to take part", "no tiene que participar"),
    "Your answer is private": ("do not tell them who said no", "No les decimos quién dijo que no"),
    "You can stop at any time": ("do not have to give a reason", "No tiene que dar un motivo"),
    "You do not have to say anything": ("do not have to apologize", "No tiene que pedir disculpas"),
    "Nobody decides who is right": ("no finding of fault", "Nadie determina quién tuvo la culpa"),
    "What is said is confidential": ("cannot be used later", "no se puede usar después"),
    "The one exception": ("mandatory reporting", "reporte obligatorio"),
    "If mediation takes place": ("closed without a finding", "se cierra sin ninguna conclusión"),
    "If mediation does not take place": ("Nothing that was said", "Nada de lo que se dijo"),
    "If you are under 18": ("parent or legal guardian", "tutor legal"),
    "Interpreter and other help": ("free of charge", "gratis"),
    "On paper or online": ("sign on paper", "firmar en papel"),
    "How long it takes": ("a target, not a promise", "una meta, no una promesa"),
}
MUST_SAY_BEFORE_A_SIGNATURE = {
    "We are here by choice": ("by choice", "por decisión propia"),
    "Who is bound": ("binds everyone who signs", "obliga a todas las personas que lo firman"),
    "What is confidential": ("is confidential", "es confidencial"),
    "It cannot be used later": ("discipline an officer", "sancionar a un agente"),
    "The mediator will not be a witness": (
        "call the mediator as a witness",
        "como testigo a quien dirige la mediación",
    ),
    "The one exception": ("does not stop such a report", "no impide ese reporte"),
    "Ground rules": ("threaten or abuse", "amenazamos ni maltratamos"),
    "No recording": ("Nobody may record", "Nadie puede grabar"),
    "Notes": ("destroys them", "las destruye"),
    "If we reach an agreement with each other": ("only if all of us agree", "solo si todos lo aceptamos"),
    "What happens to the complaint": ("no appeal", "No se puede apelar"),
    "People under 18": ("guardian signs", "tutor legal firma"),
    "Signing": ("all of us must sign again", "todos tenemos que firmar de nuevo"),
    "Version": ("version 2026-11", "versión 2026-11"),
}


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize(
    ("kind", "points"),
    [("disclosure", MUST_SAY_BEFORE_AN_ANSWER), ("confidentiality", MUST_SAY_BEFORE_A_SIGNATURE)],
)
def test_each_language_makes_each_point_that_a_person_must_know(
    kind: str, points: Mapping[str, tuple[str, str]], language: str
) -> None:
    english, _ = TEMPLATES[f"{kind} {CURRENT.version} en"]
    template, _ = TEMPLATES[f"{kind} {CURRENT.version} {language}"]
    bodies = {one.heading: same.body for one, same in zip(english.sections, template.sections, strict=True)}
    assert "{reports}" in bodies["The one exception"]
    position = ("en", "es").index(language)
    assert [heading for heading, words in points.items() if words[position] not in bodies[heading]] == []


def test_no_appeal_is_stated_before_anybody_answers() -> None:
    assert "There is no appeal." in shown("en").body
    assert "No se puede apelar." in shown("es").body


# ── plain language: about the 8th grade ────────────────────────────────────────────────────────────────────────────

MOST_WORDS = 24
MOST_WORDS_ON_AVERAGE = 14


def sentences(body: str) -> list[str]:
    return re.split(r"(?<=\.)\s+|\n", body)


def words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:'[a-z]+)?", text)


def syllables_en(word: str) -> int:
    groups = len(re.findall(r"[aeiouy]+", word.lower()))
    silent = word.lower().endswith("e") and not word.lower().endswith("le")
    return max(groups - silent, 1)


def syllables_es(word: str) -> int:
    """Count the vowel groups, and split two strong vowels or a stressed weak one (le-er, dí-a)."""
    groups = re.findall(r"[aeiouáéíóúü]+", word.lower())
    breaks = sum(len(re.findall(r"(?=[aeoáéó][aeoáéóíú]|[íú][aeo])", group)) for group in groups)
    return max(len(groups) + breaks, 1)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_sentence_is_long(name: str) -> None:
    counts = [len(words(s)) for body in bodies(*TEMPLATES[name]) for s in sentences(body)]
    assert max(counts) <= MOST_WORDS
    assert sum(counts) / len(counts) <= MOST_WORDS_ON_AVERAGE


def bodies(template: Template, reports: Mapping[ReportCategory, str]) -> list[str]:
    """The sections, with the sentence of each category of reports beside them."""
    return [*(section.body.replace("{reports} ", "") for section in template.sections), *reports.values()]


def rates(name: str, syllables: str) -> tuple[float, float]:
    """Return words per sentence and syllables per word."""
    count = {"en": syllables_en, "es": syllables_es}[syllables]
    every = [s for body in bodies(*TEMPLATES[name]) for s in sentences(body)]
    all_words = [word for sentence in every for word in words(sentence)]
    return len(all_words) / len(every), sum(map(count, all_words)) / len(all_words)


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(" en")])
def test_the_english_reads_at_eighth_grade_or_below(name: str) -> None:
    per_sentence, per_word = rates(name, "en")
    flesch_kincaid_grade = 0.39 * per_sentence + 11.8 * per_word - 15.59
    assert flesch_kincaid_grade <= 8


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(" es")])
def test_the_spanish_reads_as_plainly(name: str) -> None:
    per_sentence, per_word = rates(name, "es")
    fernandez_huerta_ease = 206.84 - 60 * per_word - 1.02 * per_sentence
    assert fernandez_huerta_ease >= 60, "60 to 70 is the ease of the 8th and 9th grade"


# ── the exceptions ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", range(1, 2 ** len(ReportCategory)))
def test_a_text_names_exactly_the_categories_of_reports_that_are_configured(number: int) -> None:
    chosen = frozenset(each for n, each in enumerate(ReportCategory) if number >> n & 1)
    for text in released(chosen).values():
        assert TEXTS.disclosed_categories(text.body) == chosen


def test_each_category_has_a_sentence_of_its_own_in_each_language() -> None:
    for edition in TEXTS.editions:
        translations = edition.translations.values()
        said = [sentence for each in translations for sentence in each.reports.values()]
        assert all(len(sentences(each)) == 1 for each in said)
        assert len(set(said)) == len(ReportCategory) * len(translations)
