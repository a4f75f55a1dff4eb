"""The texts that people are shown and sign, in sentences, and pins that keep released texts as they were released."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import pairwise

import pytest

from mediation_api.domain.texts import (
    AGREEMENT_VERSION,
    AGREEMENTS,
    DISCLOSURE_VERSION,
    DISCLOSURES,
    LANGUAGES,
    Text,
    TextKind,
    Wording,
    disclosed_categories,
    disclosure,
    render_agreement,
    signed_hash,
    text_hash,
)
from mediation_api.domain.values import ReportCategory

OFFICE = "Independent Police Review"
ADMISSION = ReportCategory.CRIMINAL_ADMISSION
REFERENCE = "2026-000123"
TEMPLATES = {
    f"{kind} {version} {language}": wording
    for kind, released in (("disclosure", DISCLOSURES), ("confidentiality", AGREEMENTS))
    for version, wordings in released.items()
    for language, wording in wordings.items()
}

# ── pins: a released text is never edited. To change a text, add a version in every language and its pins ──────────

PINS = {
    "disclosure 2026-11 en": "834df835b4653014280fe72b8df81c4ea06879e5bbf9d344ec3e0b11f31c25db",
    "disclosure 2026-11 es": "52d02433ea9a2921d823fb1b25a9fb2214d7405daf27186f1244075f4c052ff8",
    "confidentiality 2026-11 en": "469a7619aed52b51a1c02d39d14131990e2287db7b6b89f90a44cd15ece4e5ff",
    "confidentiality 2026-11 es": "1295fd00be834ece88bdd30d58ca8dcef21a3d84ab60509bb6686e09bc793bea",
    "confidentiality 2026-11 en+es": "76286dd75b44f86ddc984b92cba1620d5fb7c9cf07e4573bfb79087fa5a2ec2b",
}


def shown(
    language: str, version: str = DISCLOSURE_VERSION, categories: Iterable[ReportCategory] = (ADMISSION,)
) -> Text:
    text = disclosure(language, OFFICE, categories, version=version)
    assert text is not None
    return text


def signed(
    *languages: str, version: str = AGREEMENT_VERSION, categories: Iterable[ReportCategory] = (ADMISSION,)
) -> Text:
    text = render_agreement(languages, OFFICE, REFERENCE, categories, version=version)
    assert text is not None
    return text


def released() -> Mapping[str, Text]:
    texts = [shown(language, version) for version in DISCLOSURES for language in LANGUAGES]
    texts += [signed(language, version=version) for version in AGREEMENTS for language in LANGUAGES]
    texts += [signed(*LANGUAGES, version=version) for version in AGREEMENTS]
    return {f"{text.kind} {text.version} {'+'.join(text.languages)}": text for text in texts}


def test_a_released_text_does_not_change_by_a_single_byte() -> None:
    assert {name: text.sha256 for name, text in released().items()} == PINS


# ── what every text keeps ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PINS)
def test_a_text_carries_its_version_the_office_and_no_placeholder(name: str) -> None:
    text = released()[name]
    assert text.version in text.body
    assert text.body.count(OFFICE) == len(text.languages)
    assert not re.search(r"[{}]", text.body)


@pytest.mark.parametrize("name", PINS)
def test_the_hash_is_that_of_the_bytes_that_are_shown(name: str) -> None:
    text = released()[name]
    assert text.sha256 == hashlib.sha256(text.body.encode("utf-8")).hexdigest() == text_hash(text.body)
    assert unicodedata.is_normalized("NFC", text.body)


def test_two_spellings_of_one_accent_are_one_text() -> None:
    composed, decomposed = "Oficina de Revisión", unicodedata.normalize("NFD", "Oficina de Revisión")
    assert composed != decomposed
    assert disclosure("es", composed, (ADMISSION,)) == disclosure("es", decomposed, (ADMISSION,))
    assert text_hash(composed) == text_hash(decomposed)


def test_every_current_text_exists_in_every_language() -> None:
    for wordings in (*DISCLOSURES.values(), *AGREEMENTS.values()):
        assert wordings.keys() == LANGUAGES.keys()
    assert DISCLOSURE_VERSION in DISCLOSURES
    assert AGREEMENT_VERSION in AGREEMENTS


def test_every_language_has_the_same_sections_in_the_same_order_and_says_as_much() -> None:
    for wordings in (*DISCLOSURES.values(), *AGREEMENTS.values()):
        for one, other in pairwise(wordings.values()):
            assert list(one.sections) == list(other.sections)
            for key, section in one.sections.items():
                assert len(sentences(section.body)) == len(sentences(other.sections[key].body)), key


def test_the_sections_are_numbered_and_come_in_order() -> None:
    for text in (shown("en"), shown("es"), signed("en"), signed("es")):
        numbers = re.findall(r"^(\d+)\. ", text.body, re.MULTILINE)
        assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert re.findall(r"^\d+\. (.+)$", shown("es").body, re.MULTILINE) == [
        section.heading for section in DISCLOSURES[DISCLOSURE_VERSION]["es"].sections.values()
    ]


# ── what the texts must say, in each language ──────────────────────────────────────────────────────────────────────

MUST_SAY_BEFORE_AN_ANSWER = {
    "voluntary": ("do not have to take part", "no tiene que participar"),
    "private_answer": ("do not tell them who said no", "No les decimos quién dijo que no"),
    "withdraw": ("do not have to give a reason", "No tiene que dar un motivo"),
    "no_admission": ("do not have to apologize", "No tiene que pedir disculpas"),
    "no_judgment": ("no finding of fault", "Nadie determina quién tuvo la culpa"),
    "confidential": ("cannot be used later", "no se puede usar después"),
    "exception": ("mandatory reporting", "reporte obligatorio"),
    "if_mediated": ("closed without a finding", "se cierra sin ninguna conclusión"),
    "if_not_mediated": ("Nothing that was said", "Nada de lo que se dijo"),
    "minors": ("parent or legal guardian", "tutor legal"),
    "help": ("free of charge", "gratis"),
    "paper": ("sign on paper", "firmar en papel"),
    "four_weeks": ("a target, not a promise", "una meta, no una promesa"),
}
MUST_SAY_BEFORE_A_SIGNATURE = {
    "voluntary": ("by choice", "por decisión propia"),
    "bound": ("binds everyone who signs", "obliga a todas las personas que lo firman"),
    "confidential": ("is confidential", "es confidencial"),
    "non_use": ("discipline an officer", "sancionar a un agente"),
    "mediator_witness": ("call the mediator as a witness", "como testigo a quien dirige la mediación"),
    "exception": ("does not stop such a report", "no impide ese reporte"),
    "ground_rules": ("threaten or abuse", "amenazamos ni maltratamos"),
    "no_recording": ("Nobody may record", "Nadie puede grabar"),
    "notes": ("destroys them", "las destruye"),
    "later_agreement": ("only if all of us agree", "solo si todos lo aceptamos"),
    "complaint": ("no appeal", "No se puede apelar"),
    "minors": ("guardian signs", "tutor legal firma"),
    "signing": ("all of us must sign again", "todos tenemos que firmar de nuevo"),
    "version": ("version 2026-11", "versión 2026-11"),
}


@pytest.mark.parametrize("position", [0, 1], ids=["en", "es"])
@pytest.mark.parametrize(
    ("released_texts", "points"),
    [
        (DISCLOSURES[DISCLOSURE_VERSION], MUST_SAY_BEFORE_AN_ANSWER),
        (AGREEMENTS[AGREEMENT_VERSION], MUST_SAY_BEFORE_A_SIGNATURE),
    ],
    ids=["disclosure", "confidentiality"],
)
def test_each_language_makes_each_point_that_a_person_must_know(
    released_texts: Mapping[str, Wording], points: Mapping[str, tuple[str, str]], position: int
) -> None:
    wording = released_texts[("en", "es")[position]]
    assert wording.sections["exception"].body.count("{reports}") == 1
    missing = [key for key, words in points.items() if words[position] not in wording.sections[key].body]
    assert missing == []


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
    counts = [len(words(s)) for body in bodies(TEMPLATES[name]) for s in sentences(body)]
    assert max(counts) <= MOST_WORDS
    assert sum(counts) / len(counts) <= MOST_WORDS_ON_AVERAGE


def bodies(wording: Wording) -> list[str]:
    """The sections, with the sentence of each category of reports beside them."""
    sections = (section.body.replace("{reports} ", "") for section in wording.sections.values())
    return [*sections, *wording.reports.values()]


def rates(wording: Wording, syllables: str) -> tuple[float, float]:
    """Return words per sentence and syllables per word."""
    count = {"en": syllables_en, "es": syllables_es}[syllables]
    every = [s for body in bodies(wording) for s in sentences(body)]
    all_words = [word for sentence in every for word in words(sentence)]
    return len(all_words) / len(every), sum(map(count, all_words)) / len(all_words)


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(" en")])
def test_the_english_reads_at_eighth_grade_or_below(name: str) -> None:
    per_sentence, per_word = rates(TEMPLATES[name], "en")
    flesch_kincaid_grade = 0.39 * per_sentence + 11.8 * per_word - 15.59
    assert flesch_kincaid_grade <= 8


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(" es")])
def test_the_spanish_reads_as_plainly(name: str) -> None:
    per_sentence, per_word = rates(TEMPLATES[name], "es")
    fernandez_huerta_ease = 206.84 - 60 * per_word - 1.02 * per_sentence
    assert fernandez_huerta_ease >= 60, "60 to 70 is the ease of the 8th and 9th grade"


# ── making a text ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_disclosure_says_what_it_is_and_in_which_version_and_language() -> None:
    assert (shown("es").kind, shown("es").version, shown("es").languages) == (TextKind.DISCLOSURE, "2026-11", ("es",))


def test_an_agreement_names_the_case_once_in_each_language_and_nobody() -> None:
    text = signed("es", "en")
    assert (text.kind, text.version, text.languages) == (TextKind.CONFIDENTIALITY, "2026-11", ("es", "en"))
    assert text.body.count(REFERENCE) == 2


def test_an_agreement_in_several_languages_is_one_text_with_a_heading_for_each() -> None:
    both, english, spanish = signed("en", "es"), signed("en"), signed("es")
    assert both.body == f"[1/2] English\n\n{english.body}\n\n[2/2] Español\n\n{spanish.body}"
    assert len({both.sha256, english.sha256, spanish.sha256, signed("es", "en").sha256}) == 4


def test_a_language_that_several_people_read_comes_once() -> None:
    assert signed("en", "es", "en") == signed("en", "es")
    assert signed("es", "es") == signed("es")


def test_another_office_or_case_is_another_text() -> None:
    assert disclosure("en", "Another Office", (ADMISSION,)) != shown("en")
    assert render_agreement(["en"], OFFICE, "2026-000124", (ADMISSION,)) != signed("en")


def test_braces_in_a_name_are_text_and_no_placeholder() -> None:
    text = render_agreement(["en"], "Office {reference}", "{office}", (ADMISSION,))
    assert text is not None
    assert "Office: Office {reference}\nCase: {office}\n" in text.body


@pytest.mark.parametrize("language", ["fr", "EN", "en-US", ""])
def test_a_language_without_a_text_gives_none_and_the_caller_decides(language: str) -> None:
    assert disclosure(language, OFFICE, (ADMISSION,)) is None
    assert render_agreement(["en", language], OFFICE, REFERENCE, (ADMISSION,)) is None


def test_no_language_and_an_unknown_version_give_none() -> None:
    assert render_agreement([], OFFICE, REFERENCE, (ADMISSION,)) is None
    assert render_agreement(["en"], OFFICE, REFERENCE, (ADMISSION,), version="1999-01") is None
    assert disclosure("en", OFFICE, (ADMISSION,), version="1999-01") is None


# ── the exceptions ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", range(1, 2 ** len(ReportCategory)))
def test_a_text_names_exactly_the_categories_of_reports_that_are_configured(number: int) -> None:
    chosen = frozenset(each for n, each in enumerate(ReportCategory) if number >> n & 1)
    for text in (
        *(shown(language, categories=chosen) for language in LANGUAGES),
        *(signed(language, categories=chosen) for language in LANGUAGES),
        signed(*LANGUAGES, categories=chosen),
    ):
        assert disclosed_categories(text.body) == chosen


def test_another_choice_of_categories_is_another_text_and_their_order_is_none() -> None:
    for made in (shown, signed):
        texts = {made("en", categories=each).sha256 for each in ((ADMISSION,), (*ReportCategory,))}
        assert len(texts) == 2
        assert made("en", categories=ReportCategory) == made("en", categories=reversed(ReportCategory))


def test_each_category_has_a_sentence_of_its_own_in_each_language() -> None:
    for wording in TEMPLATES.values():
        assert wording.reports.keys() == set(ReportCategory)
        assert all(len(sentences(each)) == 1 for each in wording.reports.values())
    said = {sentence for wording in TEMPLATES.values() for sentence in wording.reports.values()}
    assert len(said) == len(ReportCategory) * len(LANGUAGES)


def test_a_text_of_nobodys_names_no_exception() -> None:
    assert disclosed_categories("We keep it to ourselves.") == frozenset()


def test_the_hash_that_is_signed_can_be_computed_by_hand() -> None:
    """With sha256sum, of what the contract says."""
    text = "languages: en, es\nterms_confidential: true\n\nWe meet again in June."
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert signed_hash("We meet again in June.", ("en", "es"), terms_confidential=True) == expected
    assert signed_hash("We meet again in June.", ["en", "es"], terms_confidential=False) != expected
