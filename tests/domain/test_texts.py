"""How texts are put together and hashed, with made-up words."""

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

import pytest

from mediation_api.domain.texts import (
    Edition,
    OfficeContact,
    Section,
    Template,
    Text,
    TextKind,
    Texts,
    Translation,
    signed_hash,
    text_hash,
)
from mediation_api.domain.values import ReportCategory

ADMISSION = ReportCategory.CRIMINAL_ADMISSION


def translation(language: str, name: str) -> Translation:
    return Translation(
        language_name=name,
        telephone="tel.",
        reports={each: f"{language} reports {each}." for each in ReportCategory},
        disclosure=Template(
            f"{language} title", "Office: {office}", (Section("One", "It is so."), Section("Two", "But: {reports}"))
        ),
        confidentiality=Template(
            f"{language} title", "Office: {office}\nCase: {reference}", (Section("Rule", "Only: {reports}"),)
        ),
    )


EDITION = Edition("2027-01", {"en": translation("en", "English"), "fr": translation("fr", "Français")})
EARLIER = Edition("2026-11", {"en": translation("older", "English")})


def disclosures(
    office: str = "Ombud", categories: Iterable[ReportCategory] = (ADMISSION,), phone: str | None = None
) -> tuple[Text, ...]:
    return EDITION.render_disclosures(OfficeContact(office, phone), categories)


def agreement(
    *languages: str,
    office: str = "Ombud",
    reference: str = "2026-000123",
    categories: Iterable[ReportCategory] = (ADMISSION,),
) -> Text:
    text = EDITION.render_agreement(languages, office, reference, categories)
    assert text is not None
    return text


def test_a_disclosure_is_its_title_the_office_and_the_numbered_sections() -> None:
    english, french = disclosures()
    assert english.body == (
        "en title\n\nOffice: Ombud\n\n1. One\nIt is so.\n\n2. Two\nBut: en reports criminal_admission.\n"
    )
    assert french.body == english.body.replace("en ", "fr ")


def test_a_disclosure_says_what_it_is_and_in_which_version_and_language() -> None:
    for text, language in zip(disclosures(), ("en", "fr"), strict=True):
        assert (text.kind, text.version, text.languages) == (TextKind.DISCLOSURE, "2027-01", (language,))


def test_an_agreement_says_what_it_is_and_names_the_office_and_the_case() -> None:
    text = agreement("fr")
    assert (text.kind, text.version, text.languages) == (TextKind.CONFIDENTIALITY, "2027-01", ("fr",))
    assert text.body == (
        "fr title\n\nOffice: Ombud\nCase: 2026-000123\n\n1. Rule\nOnly: fr reports criminal_admission.\n"
    )


def test_an_agreement_in_several_languages_is_one_text_with_a_heading_for_each() -> None:
    both, english, french = agreement("en", "fr"), agreement("en"), agreement("fr")
    assert both.body == f"[1/2] English\n\n{english.body}\n\n[2/2] Français\n\n{french.body}"
    assert both.languages == ("en", "fr")
    assert len({both.sha256, english.sha256, french.sha256, agreement("fr", "en").sha256}) == 4


def test_a_language_that_several_people_read_comes_once() -> None:
    assert agreement("en", "fr", "en") == agreement("en", "fr")
    assert agreement("fr", "fr") == agreement("fr")


@pytest.mark.parametrize("language", ["es", "EN", "en-US", ""])
def test_a_language_without_a_text_gives_none_and_the_caller_decides(language: str) -> None:
    assert EDITION.render_agreement(["en", language], "Ombud", "1", (ADMISSION,)) is None


def test_no_language_gives_none() -> None:
    assert EDITION.render_agreement([], "Ombud", "1", (ADMISSION,)) is None


def test_another_office_or_case_is_another_text() -> None:
    assert disclosures("Another Office")[0].sha256 != disclosures()[0].sha256
    assert agreement("en", office="Another Office").sha256 != agreement("en").sha256
    assert agreement("en", reference="2026-000124").sha256 != agreement("en").sha256


def test_braces_in_a_name_are_text_and_no_placeholder() -> None:
    text = agreement("en", office="Office {reference}", reference="{office}")
    assert "Office: Office {reference}\nCase: {office}\n" in text.body


def test_a_disclosure_says_in_its_own_language_how_to_call_the_office() -> None:
    german = Edition("2027-01", {"de": replace(translation("de", "Deutsch"), telephone="Telefon")})
    for edition, word in ((EDITION, "tel."), (german, "Telefon")):
        text, *_ = edition.render_disclosures(OfficeContact("Ombud", "+1 503 555 0199"), (ADMISSION,))
        assert f"Office: Ombud, {word} +1 503 555 0199\n" in text.body
    assert disclosures(phone="+1 503 555 0199") != disclosures()


# ── languages and editions ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_languages_are_those_there_are_texts_in() -> None:
    assert EDITION.languages == ("en", "fr")


def test_the_newest_edition_is_the_current_one() -> None:
    assert Texts((EARLIER, EARLIER, EDITION), {}, {}, {}, {}, {}).current is EDITION


# ── the exceptions ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_choice_of_categories_is_another_text_and_their_order_is_none() -> None:
    every = tuple(ReportCategory)
    assert agreement("en").sha256 != agreement("en", categories=every).sha256
    assert agreement("en", "fr", categories=iter(every)) == agreement("en", "fr", categories=reversed(every))
    assert disclosures() != disclosures(categories=every)
    assert disclosures(categories=iter(every)) == disclosures(categories=reversed(every))


def test_the_sentences_come_in_the_order_of_the_categories_between_blanks() -> None:
    categories = (ReportCategory.ADULT_ABUSE, ReportCategory.CHILD_ABUSE)
    assert "Only: en reports child_abuse. en reports adult_abuse.\n" in agreement("en", categories=categories).body


def test_the_categories_that_a_text_of_any_edition_and_language_names_are_found() -> None:
    texts = Texts((EARLIER, EDITION), {}, {}, {}, {}, {})
    earlier = EARLIER.render_agreement(["en"], "Ombud", "1", (ReportCategory.CHILD_ABUSE,))
    assert earlier is not None
    assert texts.disclosed_categories(earlier.body) == {ReportCategory.CHILD_ABUSE}
    assert texts.disclosed_categories(agreement("fr").body) == {ADMISSION}
    assert texts.disclosed_categories("We keep it to ourselves.") == frozenset()


def test_the_categories_are_found_however_accents_are_spelt() -> None:
    sentence = "Délits."
    edition = Edition(
        "2027-01",
        {
            "fr": Translation(
                language_name="Français",
                telephone="tél.",
                reports={ADMISSION: unicodedata.normalize("NFD", sentence)},
                disclosure=EDITION.translations["fr"].disclosure,
                confidentiality=EDITION.translations["fr"].confidentiality,
            )
        },
    )
    texts = Texts((edition,), {}, {}, {}, {}, {})
    for text in (sentence, unicodedata.normalize("NFD", sentence)):
        assert texts.disclosed_categories(text) == {ADMISSION}


# ── hashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_hash_is_that_of_the_bytes_that_are_shown() -> None:
    for text in (*disclosures("Büro"), agreement("en", "fr")):
        assert text.sha256 == hashlib.sha256(text.body.encode("utf-8")).hexdigest() == text_hash(text.body)


def test_two_spellings_of_one_accent_are_one_text() -> None:
    composed, decomposed = "Oficina de Revisión", unicodedata.normalize("NFD", "Oficina de Revisión")
    assert composed != decomposed
    assert disclosures(composed) == disclosures(decomposed)
    assert unicodedata.is_normalized("NFC", disclosures(decomposed)[0].body)
    assert text_hash(composed) == text_hash(decomposed)


def test_the_hash_that_is_signed_can_be_computed_by_hand() -> None:
    """With sha256sum, of what the contract says."""
    for confidential, word in ((True, "true"), (False, "false")):
        text = f"languages: en, es\nterms_confidential: {word}\n\nWe meet again in June."
        signed = signed_hash("We meet again in June.", ("en", "es"), terms_confidential=confidential)
        assert signed == hashlib.sha256(text.encode()).hexdigest()
