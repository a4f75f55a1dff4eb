"""What the files of texts may look like, and how a mistake in one is told."""

import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from mediation_api.domain.texts import Section, Template
from mediation_api.texts.loader import TextFileError, load_texts, read_allegation_categories, read_texts

VERSION = "2026-11"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the texts that come with the service."""
    shutil.copytree(str(files("mediation_api.texts")), tmp_path / "texts")
    return tmp_path / "texts"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def add_language(folder: Path, tag: str) -> None:
    for file in list(folder.rglob("*.en.md")):
        copied = file.with_name(file.name.replace(".en.", f".{tag}."))
        text = file.read_text(encoding="utf-8")
        copied.write_text(
            re.sub("^- (.*)$", r"- \1\n  \1", text, flags=re.MULTILINE) if "details" in file.name else text
        )


def test_a_template_is_read_as_a_title_what_stands_below_it_and_sections() -> None:
    template = load_texts().current.translations["en"].confidentiality
    assert template.title == "Agreement to keep mediation confidential, with ground rules"
    assert template.about == "Office: {office}\nCase: {reference}"
    assert len(template.sections) == 18
    notes = "The mediator's notes are private. The mediator does not give them to anyone, and destroys them when the"
    assert template.sections[10] == Section("Notes", f"{notes} mediation ends.")


def test_the_lines_of_a_paragraph_are_joined_and_those_of_a_list_are_not(folder: Path) -> None:
    for language in ("en", "es"):
        (folder / VERSION / f"disclosure.{language}.md").write_text(
            f"# Title {VERSION}\n\nAbout {{office}}\n\n## One\n\nFirst.\nSecond:\n\n- a\n- b\n\nThird.\n{{reports}}\n",
            encoding="utf-8",
        )
    read = read_texts(folder).current.translations["en"].disclosure
    section = Section("One", "First. Second:\n- a\n- b\nThird. {reports}")
    assert read == Template(f"Title {VERSION}", "About {office}", (section,))


def test_english_comes_first_and_then_the_others_by_their_tags(folder: Path) -> None:
    for tag in ("zh-hant", "de"):
        add_language(folder, tag)
    texts = read_texts(folder)
    assert texts.current.languages == tuple(texts.problem_titles) == ("en", "de", "es", "zh-hant")


def test_a_newer_version_is_the_current_one_and_the_older_is_kept(folder: Path) -> None:
    shutil.copytree(folder / VERSION, folder / "2027-01")
    for kind in ("disclosure", "confidentiality"):
        for language in ("en", "es"):
            edit(folder / "2027-01" / f"{kind}.{language}.md", VERSION, "2027-01")
    texts = read_texts(folder)
    assert [edition.version for edition in texts.editions] == [VERSION, "2027-01"]
    assert texts.current.version == "2027-01"
    assert texts.editions[0] == load_texts().current


def test_an_older_version_does_not_need_a_new_language(folder: Path) -> None:
    shutil.copytree(folder / VERSION, folder / "2025-01")
    for file in (folder / "2025-01").glob("*.es.md"):
        file.unlink()
    edit(folder / "2025-01" / "disclosure.en.md", VERSION, "2025-01")
    edit(folder / "2025-01" / "confidentiality.en.md", VERSION, "2025-01")
    assert [edition.languages for edition in read_texts(folder).editions] == [("en",), ("en", "es")]


def test_the_categories_of_a_city_are_read_from_its_own_folder_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "allegations.en.md").write_text("# Ours\n\n- search_2: Searches\n- a: Others\n", encoding="utf-8")
    (tmp_path / "allegations.de.md").write_text("# Unsere\n\n- search_2: Suche\n- a: Sonst\n", encoding="utf-8")
    read = read_allegation_categories(tmp_path)
    assert list(read.items()) == [
        ("search_2", {"en": "Searches", "de": "Suche"}),
        ("a", {"en": "Others", "de": "Sonst"}),
    ]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("# Ours\n\n- rude-words: Rude words\n", "lower-case letters, digits and underscores"),
        ("# Ours\n\n- 1st: The first\n", "lower-case letters, digits and underscores"),
        (f"# Ours\n\n- a{'x' * 50}: Too long\n", "lower-case letters, digits and underscores"),
        ("# Ours\n\n" + "".join(f"- a{n}: One\n" for n in range(101)), "at most 100 categories"),
        ("# Ours\n", "does not have the format"),
    ],
)
def test_a_mistake_in_the_categories_of_a_city_is_told(tmp_path: Path, content: str, rule: str) -> None:
    (tmp_path / "allegations.en.md").write_text(content, encoding="utf-8")
    with pytest.raises(TextFileError, match=rule):
        read_allegation_categories(tmp_path)


@pytest.mark.parametrize("kind", ["disclosure", "confidentiality", "phrases"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_each_language_has_each_file_of_a_version(folder: Path, kind: str, language: str) -> None:
    (folder / VERSION / f"{kind}.{language}.md").unlink()
    with pytest.raises(TextFileError, match=rf"{VERSION}/{kind}\.{language}\.md: is missing"):
        read_texts(folder)


def test_the_titles_of_problems_are_in_the_languages_of_the_current_texts(folder: Path) -> None:
    (folder / "problems.es.md").unlink()
    with pytest.raises(TextFileError, match="different languages"):
        read_texts(folder)


def test_there_is_a_version(folder: Path) -> None:
    shutil.rmtree(folder / VERSION)
    with pytest.raises(TextFileError, match="different languages"):
        read_texts(folder)


DISCLOSURE = f"{VERSION}/disclosure.es.md"
MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "a placeholder nobody knows": (DISCLOSURE, "{office}", "{office} {city}", r"placeholders: \{office\}"),
    "a placeholder that is missing": (DISCLOSURE, "{reports}\n", "", "placeholders"),
    "a placeholder twice": (DISCLOSURE, "{office}", "{office} {office}", "placeholders"),
    "a part of a placeholder's value": (DISCLOSURE, "{office}", "{office.__class__}", "placeholders"),
    "a single brace": (DISCLOSURE, "{office}", "{office} }", "placeholders"),
    "a placeholder among the phrases": (f"{VERSION}/phrases.es.md", "Español", "{office}", "these placeholders: none"),
    "a direction control": (DISCLOSURE, "Oficina", "\u202eOficina", "direction of writing"),
    "a control character": (DISCLOSURE, "Oficina", "Oficina\t", "control character"),
    "no title": (DISCLOSURE, "# Antes", "Antes", "from line 1 on"),
    "a byte order mark": (DISCLOSURE, "# Antes", "\ufeff# Antes", "from line 1 on"),
    "a heading of the third level": (DISCLOSURE, "## Usted decide", "### Usted decide", "from line 15 on"),
    "two empty lines": (DISCLOSURE, "\n## Usted decide", "\n\n## Usted decide", "from line 15 on"),
    "a list in a paragraph": (DISCLOSURE, "\nPuede decir", "\n- Puede decir", "from line 19 on"),
    "a section less": (DISCLOSURE, "\n## Usted decide\n", "", "line 16 differs in kind"),
    "a sentence more": (DISCLOSURE, "\nPuede decir", "\nSí.\nPuede decir", "differs in kind"),
    "a placeholder elsewhere": (DISCLOSURE, "{office}\n", "\n", "placeholders"),
    "another version": (DISCLOSURE, VERSION, "2026-12", "does not name its version"),
    "a category without a sentence": (
        f"{VERSION}/phrases.es.md",
        "- adult_abuse: ",
        "- abuse: ",
        "line 6 differs",
    ),
    "a phrase on two lines": (f"{VERSION}/phrases.es.md", " vio ", " vio\n", "from line 10 on"),
    "a detail that is not translated": (
        "details.es.md",
        "- This case is closed.\n  Este caso está cerrado.\n",
        "- This case is closed.\n",
        "does not have the format",
    ),
    "a detail that English does not have": ("details.es.md", "- This case is", "- This cases is", "each sentence"),
    "a detail without its value": ("details.es.md", "  Más de {gt}.", "  Más de {ge}.", "other placeholders"),
    "a code that English does not have": ("problems.es.md", "- not-found: ", "- found: ", "differs in kind"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_file(folder: Path, mistake: str) -> None:
    name, old, new, told = MISTAKES[mistake]
    edit(folder / name, old, new)
    with pytest.raises(TextFileError, match=told):
        read_texts(folder)


def test_a_category_of_reports_needs_its_sentence_in_english_too(folder: Path) -> None:
    for language in ("en", "es"):
        edit(folder / VERSION / f"phrases.{language}.md", "- adult_abuse: ", "- abuse: ")
    with pytest.raises(TextFileError, match="each category of reports"):
        read_texts(folder)
