"""Read and check the files of texts. Their names and their format are described in README.md."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import zip_longest
from typing import Final

from mediation_api.domain.texts import Edition, Section, Template, Texts, Translation
from mediation_api.domain.values import ReportCategory
from mediation_api.domain.visibility import DIRECTION_CONTROLS

ENGLISH: Final = "en"
"""The first language. Every file exists in it, and the files of other languages are compared with it."""

PLACEHOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "disclosure": ("{office}", "{reports}"),
    "confidentiality": ("{office}", "{reference}", "{reports}"),
    "phrases": (),
    "problems": (),
    "allegations": (),
    "documents": (),
    "mails": ("{when}",) * 4,
}
"""The placeholders of each kind of file. A file contains each of them exactly so often."""

_LISTS: Final = frozenset({"phrases", "problems", "allegations", "documents", "mails"})
"""The kinds of files that are a list of keys with words."""

_DETAILS: Final = re.compile(r"# \S.*\n\n(?:- \S.*\n)+")
_TRANSLATED: Final = re.compile(r"# \S.*\n\n(?:- \S.*\n  \S.*\n)+")
_VERSION: Final = re.compile(r"\d{4}-\d{2}")
_NAME: Final = re.compile(r"([a-z]+)\.([a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3})\.md")
_BLOCKS: Final = r"(?:\n(?:(?:- \S.*\n)+|(?:[^\s#-].*\n)+))+"
_TEMPLATE: Final = re.compile(rf"# \S.*\n{_BLOCKS}(?:\n## \S.*\n{_BLOCKS})+")
_PHRASES: Final = re.compile(r"# \S.*\n\n(?:- [a-z0-9_-]+: \S.*\n)+")
_MARK: Final = re.compile(r"#+ |- |")
_KEY: Final = re.compile(r"- [a-z0-9_-]+: |")
_CATEGORY: Final = re.compile(r"[a-z][a-z0-9_]{0,49}")
_MOST_CATEGORIES: Final = 100
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}|[{}]")
_CONTROL: Final = re.compile(rf"[{DIRECTION_CONTROLS}\x00-\x09\x0b-\x1f\x7f-\x9f]")


class TextFileError(Exception):
    """A file of texts is missing, or violates a rule of README.md."""


@cache
def load_texts() -> Texts:
    """Return the texts of this package; read them once. Raises TextFileError."""
    return read_texts(files("mediation_api.texts"))


def read_texts(folder: Traversable) -> Texts:
    """Read the texts in a folder. Each subfolder that is named after a version is an edition.

    Raises TextFileError.
    """
    versions = sorted(each.name for each in folder.iterdir() if _VERSION.fullmatch(each.name))
    editions = tuple(_read_edition(folder / version, version) for version in versions)
    titles = _read_lists(folder, "problems")
    documents, mails = _read_lists(folder, "documents"), _read_lists(folder, "mails")
    if not editions or not editions[-1].languages == tuple(titles) == tuple(documents) == tuple(mails):
        raise TextFileError(
            f"{folder}: the newest version, problem titles, words of documents and mails are in different languages"
        )
    details = _read_details(folder, tuple(titles))
    return Texts(editions, titles, details, read_allegation_categories(folder), documents, mails)


def _read_lists(folder: Traversable, kind: str) -> Mapping[str, Mapping[str, str]]:
    """Return the words of the files of one kind that are a list, by language and by key."""
    return {language: _phrases(texts[kind]) for language, texts in _read_files(folder, kind).items()}


def _read_details(folder: Traversable, languages: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
    """Return the sentences of details of problems, by language and by the sentence in English."""
    texts = {language: _read_text(folder / f"details.{language}.md") for language in languages}
    english = texts[ENGLISH].splitlines()[2:]
    read = {ENGLISH: {line.removeprefix("- "): line.removeprefix("- ") for line in english}}
    for language, text in texts.items():
        file, lines = folder / f"details.{language}.md", text.splitlines()[2:]
        _require(file, text, _DETAILS if language == ENGLISH else _TRANSLATED)
        if language == ENGLISH:
            continue
        if lines[::2] != english:
            raise TextFileError(f"{file}: must have each sentence of the English file, in the same order")
        read[language] = {en.removeprefix("- "): own.strip() for en, own in zip(lines[::2], lines[1::2], strict=True)}
        for sentence, own in read[language].items():
            if sorted(_PLACEHOLDER.findall(sentence)) != sorted(_PLACEHOLDER.findall(own)):
                raise TextFileError(f"{file}: other placeholders than in English: {sentence}")
    return read


def read_allegation_categories(folder: Traversable) -> Mapping[str, Mapping[str, str]]:
    """Read the categories of allegations in a folder: the words of each, by its code and by language.

    Raises TextFileError.
    """
    read = _read_lists(folder, "allegations")
    codes = tuple(read[ENGLISH])
    if len(codes) > _MOST_CATEGORIES or not all(map(_CATEGORY.fullmatch, codes)):
        raise TextFileError(
            f"{folder}: at most {_MOST_CATEGORIES} categories, each of lower-case letters, digits and underscores"
        )
    return {code: {language: words[code] for language, words in read.items()} for code in codes}


def _read_edition(folder: Traversable, version: str) -> Edition:
    translations = {}
    for language, texts in _read_files(folder, "disclosure", "confidentiality", "phrases").items():
        phrases = _phrases(texts["phrases"])
        if phrases.keys() != {"language", "telephone", *ReportCategory}:
            raise TextFileError(f"{folder}: the phrases must be `language`, `telephone` and each category of reports")
        if not all(version in texts[kind] for kind in ("disclosure", "confidentiality")):
            raise TextFileError(f"{folder}: a text in {language} does not name its version")
        translations[language] = Translation(
            language_name=phrases["language"],
            telephone=phrases["telephone"],
            reports={category: phrases[category] for category in ReportCategory},
            disclosure=_template(texts["disclosure"]),
            confidentiality=_template(texts["confidentiality"]),
        )
    return Edition(version, translations)


def _read_files(folder: Traversable, *kinds: str) -> Mapping[str, Mapping[str, str]]:
    """Return the checked files of these kinds, by language (English first) and by kind."""
    names = (_NAME.fullmatch(each.name) for each in folder.iterdir())
    languages = {ENGLISH, *(name[2] for name in names if name is not None and name[1] in kinds)}
    read: dict[str, dict[str, str]] = {}
    for language in sorted(languages, key=lambda tag: (tag != ENGLISH, tag)):
        read[language] = {}
        for kind in kinds:
            file = folder / f"{kind}.{language}.md"
            read[language][kind] = text = _read_text(file)
            _check(file, kind, text, read[ENGLISH][kind])
    return read


def _read_text(file: Traversable) -> str:
    if not file.is_file():
        raise TextFileError(f"{file}: is missing")
    text = file.read_text(encoding="utf-8")
    if _CONTROL.search(text):
        raise TextFileError(f"{file}: has a control character, such as one that changes the direction of writing")
    return text


def _require(file: Traversable, text: str, grammar: re.Pattern[str]) -> None:
    valid = grammar.match(text)
    end = 0 if valid is None else valid.end()
    if end < len(text):
        line = text.count("\n", 0, end) + 1
        raise TextFileError(f"{file}: does not have the format of README.md, from line {line} on")


def _check(file: Traversable, kind: str, text: str, english: str) -> None:
    grammar, mark = (_PHRASES, _KEY) if kind in _LISTS else (_TEMPLATE, _MARK)
    if sorted(_PLACEHOLDER.findall(text)) != sorted(PLACEHOLDERS[kind]):
        raise TextFileError(f"{file}: must have these placeholders: {', '.join(PLACEHOLDERS[kind]) or 'none'}")
    _require(file, text, grammar)
    lines = zip_longest(_shape(text, mark), _shape(english, mark))
    different = next((number for number, (own, other) in enumerate(lines, start=1) if own != other), None)
    if different is not None:
        raise TextFileError(f"{file}: line {different} differs in kind or placeholders from that line in English")


def _shape(text: str, mark: re.Pattern[str]) -> Iterator[tuple[str | bool, list[str]]]:
    """Yield for each line its mark, or else whether it has text, and its placeholders."""
    for line in text.splitlines():
        match = mark.match(line)
        yield (match[0] if match and match[0] else bool(line)), _PLACEHOLDER.findall(line)


def _phrases(text: str) -> dict[str, str]:
    lines = (line.removeprefix("- ").partition(": ") for line in text.splitlines()[2:])
    return {key: phrase for key, _, phrase in lines}


def _template(text: str) -> Template:
    head, *points = (part.partition("\n") for part in text.removeprefix("# ").split("\n## "))
    return Template(head[0], _plain(head[2]), tuple(Section(heading, _plain(body)) for heading, _, body in points))


def _plain(blocks: str) -> str:
    """Join the lines of each paragraph to one; list items already have one line each."""
    paragraphs = blocks.strip("\n").split("\n\n")
    return "\n".join(each if each.startswith("- ") else each.replace("\n", " ") for each in paragraphs)
