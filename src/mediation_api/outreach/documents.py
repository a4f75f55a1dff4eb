"""Printed documents: PDF/UA-1, made of texts and facts by the layout in document.typ.

A document depends on nothing but what it is made of: the same content and fonts give the same bytes, and its date is
that of the content. The content is passed as JSON, so that no text is read as code, and nothing is fetched.

Fonts are those in the folder `fonts`, and those of a folder of the city. A character that none of them has is refused:
a name must not be printed with a hole in it.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from mediation_api.domain.errors import DocumentTooLong, NotPrintable

if TYPE_CHECKING:
    import typst

PDF: Final = "application/pdf"
MOST_PAGES: Final = 100
SECONDS: Final = 10.0
"""How long a document may take. 20,000 letters take less than one second."""
_THREADS: Final = 2
_MOST_WAITING: Final = 20
_FONT: Final = "Noto Sans"

_MISSING: Final = re.compile(
    r"the text (?:`\"(.+?)\"` could not be displayed|contains the disallowed codepoint `\"(.+?)\"`)", re.DOTALL
)
"""How the message of a failed compilation names a character."""
_ESCAPED: Final = re.compile(r"\\u\{([0-9a-f]+)\}|\\(.)", re.DOTALL)
_PART: Final = re.compile(r"\[\d+/\d+\] \S.*")
_TOO_LONG: Final = "too many pages"

Json: TypeAlias = "str | int | Sequence[Json] | Mapping[str, Json]"
Block: TypeAlias = Mapping[str, Json]


class PrintSize(StrEnum):
    """The size of print: 11 or 18 points."""

    NORMAL = "normal"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Words:
    """What a document says besides a text, in its languages: a label has all of them."""

    by_language: Mapping[str, Mapping[str, str]]
    """The words of each language by their key, in the order of the document."""

    @classmethod
    def of(cls, known: Mapping[str, Mapping[str, str]], languages: Sequence[str]) -> "Words":
        """Return the words in those of the languages that have words; in the first known one if none has."""
        chosen = [language for language in languages if language in known] or [next(iter(known))]
        return cls({language: known[language] for language in chosen})

    @property
    def language(self) -> str:
        """The first language."""
        return next(iter(self.by_language))

    def plain(self, key: str) -> str:
        """Return the words for a key, for a title."""
        return " / ".join(dict.fromkeys(words[key] for words in self.by_language.values()))

    def label(self, key: str) -> Json:
        """Return the words for a key, each with its language."""
        return [{"language": _tag(name), "text": words[key]} for name, words in self.by_language.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is printed. `made_at` is the date of the file; `footer` is at the foot of each page."""

    title: str
    language: str
    """The language of what is in no part of its own."""
    words: Words
    made_at: datetime
    footer: str
    blocks: Sequence[Block]


# ── the parts of a document ────────────────────────────────────────────────────────────────────────────────────────


def heading(text: str, level: int = 2) -> Block:
    """Return a heading of a text."""
    return {"kind": "heading", "level": level, "text": text}


def label(words: Words, key: str, level: int = 2) -> Block:
    """Return a heading in the words of the document."""
    return {"kind": "label", "level": level, "text": words.label(key)}


def note(words: Words, key: str) -> Block:
    """Return a paragraph in the words of the document."""
    return {"kind": "note", "text": words.label(key)}


def page_break() -> Block:
    """Return the end of a page, unless nothing is on it."""
    return {"kind": "page break"}


def facts(words: Words, rows: Mapping[str, str]) -> Block:
    """Return values, each after the words for its key. An empty value is a line to write on."""
    return {"kind": "facts", "rows": [[words.label(key), value] for key, value in rows.items()]}


def choices(words: Words, *keys: str) -> Block:
    """Return boxes to tick."""
    return {"kind": "choices", "items": [words.label(key) for key in keys]}


def entries(words: Words, widths: Mapping[str, int], rows: Sequence[Sequence[str]]) -> Block:
    """Return a table: the columns by their key, with relative widths. An empty cell is a place to write in."""
    columns = [words.label(key) for key in widths]
    return {"kind": "entries", "columns": columns, "widths": list(widths.values()), "rows": rows}


def lines_to_sign(words: Words, number: int) -> Block:
    """Return so many lines for signatures with pen and ink."""
    return entries(words, {"name": 3, "capacity": 2, "signature": 3, "day": 2}, [[""] * 4] * number)


def fingerprint_of_text(words: Words, sha256: str) -> Sequence[Block]:
    """Return the hash of a text, in groups of eight digits, and what it is for."""
    return (note(words, "hash_note"), {"kind": "paragraph", "text": in_groups(sha256)})


def in_groups(sha256: str) -> str:
    """Return a hash in groups of eight digits, which can be compared by eye."""
    return " ".join(sha256[start : start + 8] for start in range(0, len(sha256), 8))


def template_blocks(body: str, languages: Sequence[str]) -> Sequence[Block]:
    """Return a text that was made from the office's templates: titles, numbered headings, paragraphs and lists.

    Each language of the text is a part of its own, which is tagged with it (domain/texts.py puts the text together).
    """
    if len(languages) == 1:
        return [_part(languages[0], list(_sections(body.split("\n"))))]
    parts: list[tuple[str, list[str]]] = []
    for line in body.split("\n"):
        if _PART.fullmatch(line) and len(parts) < len(languages):
            parts.append((line, []))
        elif parts:
            parts[-1][1].append(line)
    return [
        _part(language, [page_break(), {"kind": "paragraph", "text": name}, *_sections(lines)])
        for language, (name, lines) in zip(languages, parts, strict=True)
    ]


def plain_blocks(body: str, language: str) -> Sequence[Block]:
    """Return a text that people wrote: paragraphs and lists, without headings."""
    return [_part(language, list(_paragraphs(body.split("\n"))))]


def _part(language: str, blocks: Sequence[Block]) -> Block:
    return {"kind": "part", "language": _tag(language), "blocks": blocks}


def _sections(lines: Sequence[str]) -> Iterator[Block]:
    title, *rest = [line for line in lines if line] or [""]
    yield heading(title, 1)
    number = 1
    pending: list[str] = []
    for line in rest:
        if line.startswith(f"{number}. "):
            yield from _paragraphs(pending)
            yield heading(line)
            pending, number = [], number + 1
        else:
            pending.append(line)
    yield from _paragraphs(pending)


def _paragraphs(lines: Sequence[str]) -> Iterator[Block]:
    items: list[str] = []
    for line in (*lines, ""):
        if line.startswith("- "):
            items.append(line.removeprefix("- "))
            continue
        if items:
            yield {"kind": "list", "items": items}
            items = []
        if line.strip():
            yield {"kind": "paragraph", "text": line}


def _tag(language: str) -> Json:
    """Return a language tag as the layout takes it: the language, and the region if it names one."""
    code, *subtags = language.split("-")
    region = next((each for each in subtags if re.fullmatch("[A-Za-z]{2}", each)), "US")
    return {"code": code.lower(), "region": region.upper()}


# ── printing ───────────────────────────────────────────────────────────────────────────────────────────────────────


class PrinterBusy(Exception):  # noqa: N818 - nothing is wrong, there is too much to do
    """Too many documents wait to be made, or one took too long."""


class Printer:
    """Makes the PDF files of one process, in a few threads: the event loop goes on meanwhile."""

    def __init__(self, fonts_directory: Path | None = None) -> None:
        self._fonts_directory = fonts_directory
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="printer")
        self._lock = threading.Lock()
        self._waiting = 0

    def close(self) -> None:
        """End the threads. Documents that have begun are finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def print(self, document: Document, size: PrintSize) -> bytes:
        """Return the PDF file of a document.

        Raises:
            NotPrintable: no font has a character of it.
            DocumentTooLong: it would have more than `MOST_PAGES` pages.
            PrinterBusy: too many documents wait, or it took longer than `SECONDS`.
        """
        if self._waiting >= _MOST_WAITING:
            raise PrinterBusy
        self._waiting += 1
        try:
            async with asyncio.timeout(SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self.print_now, document, size)
        except TimeoutError:
            raise PrinterBusy from None
        finally:
            self._waiting -= 1

    def print_now(self, document: Document, size: PrintSize) -> bytes:
        """Return the PDF file of a document, in this thread. Raises NotPrintable and DocumentTooLong."""
        import typst  # noqa: PLC0415 - 7 MB, for processes that print a document

        with self._lock:  # the first two documents would both read the fonts
            source, fonts, families = self._layout
        content = {
            "title": document.title,
            "language": _tag(document.language),
            "made_at": list(document.made_at.astimezone(UTC).timetuple()[:6]),
            "footer": document.footer,
            "page": document.words.label("page"),
            "blocks": document.blocks,
            "fonts": families,
            "print": size,
            "most_pages": MOST_PAGES,
        }
        inputs = {"document": json.dumps(content)}
        compiler = typst.Compiler(source, font_paths=fonts, ignore_system_fonts=True, sys_inputs=inputs)
        try:
            made = compiler.compile(format="pdf", pdf_standards=["ua-1"], timestamp=0)
        except typst.TypstError as error:
            raise _refusal(error) from error
        if not isinstance(made, bytes):
            raise TypeError(made)
        return made

    @cached_property
    def _layout(self) -> "tuple[bytes, typst.Fonts, list[str]]":
        """The layout, the fonts, and their families: the first counts, and the others for what it does not have."""
        import typst  # noqa: PLC0415 - as above

        package = files("mediation_api.outreach")
        with as_file(package / "fonts") as own:
            folders = [str(own)] + ([] if self._fonts_directory is None else [str(self._fonts_directory)])
            fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=folders)
        families = sorted(fonts.families(), key=lambda name: (name != _FONT, name))
        return (package / "document.typ").read_bytes(), fonts, families


def _refusal(error: "typst.TypstError") -> Exception:
    """Return why a document could not be made. What is neither of the two is a fault of the layout."""
    missing = _MISSING.search(error.message)
    if missing is not None:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], missing[1] or missing[2])
        return NotPrintable(character=text, code_points=" ".join(f"U+{ord(each):04X}" for each in text))
    if _TOO_LONG in error.message:
        return DocumentTooLong(pages=MOST_PAGES)
    return RuntimeError("a document could not be made")
