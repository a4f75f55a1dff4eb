"""Printed documents: what is on them, for whom they can be read aloud, and that they are the same each time."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pdfua
import pikepdf
import pytest

from mediation_api.domain.errors import DocumentTooLong, NotPrintable
from mediation_api.domain.texts import OfficeContact
from mediation_api.domain.values import AgreementKind, Method, ReportCategory, SeatRole
from mediation_api.outreach import documents, forms
from mediation_api.outreach.documents import Document, Printer, PrinterBusy, PrintSize, Words
from mediation_api.texts.loader import load_texts

TEXTS: Final = load_texts()
WORDS: Final = TEXTS.documents
MADE_AT: Final = datetime(2026, 3, 2, 20, tzinfo=UTC)
SHA: Final = "b5bb9d80" * 8
OFFICE: Final = OfficeContact("Independent Review Office", "+1 503 555 0199")
ZONE: Final = ZoneInfo("America/Los_Angeles")
TERMS: Final = "The parties agree:\n- Officer Muñoz explains the stop.\n- Both meet again.\n\n1. Nobody pays."


def agreement(*languages: str, text: str | None = None) -> forms.PrintedAgreement:
    made = TEXTS.current.render_agreement(languages, OFFICE.name, "2026-000123", [ReportCategory.CHILD_ABUSE])
    body = text if made is None or text is not None else made.body
    assert body is not None
    return forms.PrintedAgreement(
        kind=AgreementKind.CONFIDENTIALITY if text is None else AgreementKind.RESOLUTION,
        number=1,
        languages=languages,
        text=body,
        sha256=SHA,
        terms_confidential=True,
        made_at=MADE_AT,
    )


SESSION: Final = forms.PrintedSession(
    starts_at=MADE_AT,
    ends_at=MADE_AT + timedelta(hours=2),
    place="Room 4, City Hall",
    link=None,
    called_off=False,
    scheduled_at=MADE_AT,
)
SIGNATURES: Final = [
    forms.PrintedSignature(name=name, role=role, method=Method.PAPER, signed_at=MADE_AT + timedelta(minutes=5))
    for name, role in (
        ("Rosa Álvarez Peña", SeatRole.PARTY),
        ("محمد أحمد الخطيب", SeatRole.INTERPRETER),
        ("Анна Ковальчук", SeatRole.MEDIATOR),
        ("Nguyễn Thị Ánh", SeatRole.SUPPORT_PERSON),
        ("ሰላማዊት ኃይሌ", SeatRole.GUARDIAN),
    )
]


def each_kind() -> Mapping[str, Document]:
    """A document of each kind, in each language."""
    made: dict[str, Document] = {"confidentiality en es": forms.agreement(agreement("en", "es"), WORDS)}
    for text in TEXTS.current.render_disclosures(OFFICE, ReportCategory):
        made[f"consent form {text.languages[0]}"] = forms.consent_form(text, WORDS)
    for language in WORDS:
        words = Words.of(WORDS, [language])
        resolution = agreement(language, text=TERMS)
        made |= {
            f"confidentiality {language}": forms.agreement(agreement(language), WORDS),
            f"resolution {language}": forms.agreement(resolution, WORDS),
            f"notice {language}": forms.notice(SESSION, OFFICE, words, ZONE),
            f"certificate {language}": forms.certificate(
                resolution, SIGNATURES, words, ZONE, notes=["certificate_note"]
            ),
        }
    return made


KINDS: Final = each_kind()
EVERY_KIND: Final = pytest.mark.parametrize("kind", sorted(KINDS))
EVERY_SIZE: Final = pytest.mark.parametrize("size", list(PrintSize))


@pytest.fixture(scope="module")
def printer() -> Iterator[Printer]:
    made = Printer()
    yield made
    made.close()


def saying(text: str) -> Document:
    """A document that says something."""
    words = Words.of(WORDS, ["en"])
    blocks = (documents.label(words, "notice", 1), documents.facts(words, {"name": text}))
    return Document(title="x", language="en", words=words, made_at=MADE_AT, footer="x", blocks=blocks)


# ── the file ───────────────────────────────────────────────────────────────────────────────────────────────────────


def structure(made: bytes) -> str:
    """What a program that reads aloud is told: the elements, each with its language if it names one, and how many."""
    with pikepdf.open(io.BytesIO(made)) as file:
        return _element(file.Root.StructTreeRoot.K, file.Root.Lang)


def _element(element: pikepdf.Object, language: object) -> str:
    if isinstance(element, pikepdf.Array):
        return " ".join(filter(None, _counted(_element(each, language) for each in element)))
    if not isinstance(element, pikepdf.Dictionary) or "/S" not in element:
        return ""  # the content itself
    own = element.get("/Lang", language)
    inside = _element(element.K, own) if "/K" in element else ""
    return str(element.S)[1:] + (f"[{own}]" if own != language else "") + (f"({inside})" if inside else "")


def _counted(elements: Iterator[str]) -> Iterator[str]:
    for element, same in groupby(elements):
        number = len(list(same))
        yield f"{number}*{element}" if number > 1 and element else element


@EVERY_KIND
@EVERY_SIZE
def test_the_checker_of_accessible_files_finds_nothing(
    printer: Printer, kind: str, size: PrintSize, tmp_path: Path
) -> None:
    made = printer.print_now(KINDS[kind], size)
    file = tmp_path / "made.pdf"
    file.write_bytes(made)
    report = pdfua.validate(str(file))
    assert report.findings == ()
    # The checker fails itself on the levels of headings, which the structure below shows.
    assert {each.rule_id for each in report.skipped} <= {"UA-14-001"}


def test_the_checker_finds_a_file_that_is_not_tagged(printer: Printer, tmp_path: Path) -> None:
    file = tmp_path / "untagged.pdf"
    with pikepdf.open(io.BytesIO(printer.print_now(KINDS["notice en"], PrintSize.NORMAL))) as made:
        del made.Root.StructTreeRoot
        made.save(file)
    assert pdfua.validate(str(file)).findings


def test_the_structure_is_the_snapshot(printer: Printer, snapshot: Callable[..., None]) -> None:
    found = {f"{kind} {size}": structure(printer.print_now(KINDS[kind], size)) for kind in KINDS for size in PrintSize}
    snapshot("document-structure", found)


@EVERY_KIND
def test_the_same_content_gives_the_same_bytes_in_another_process_and_at_another_time(
    printer: Printer, kind: str
) -> None:
    other = Printer()
    assert other.print_now(KINDS[kind], PrintSize.NORMAL) == printer.print_now(KINDS[kind], PrintSize.NORMAL)
    other.close()


def test_the_date_of_a_file_is_that_of_its_content(printer: Printer) -> None:
    with pikepdf.open(io.BytesIO(printer.print_now(KINDS["resolution en"], PrintSize.NORMAL))) as file:
        assert str(file.docinfo["/CreationDate"]).startswith("D:20260302200000")
        assert str(file.docinfo["/Title"]) == "Agreement of the parties"


def test_large_print_takes_more_pages(printer: Printer) -> None:
    pages = []
    for size in PrintSize:
        with pikepdf.open(io.BytesIO(printer.print_now(KINDS["confidentiality en"], size))) as file:
            pages.append(len(file.pages))
    assert pages[1] > pages[0]


# ── the content ────────────────────────────────────────────────────────────────────────────────────────────────────


def said(block: object) -> Iterator[str]:
    """The words of a block, in their order."""
    if isinstance(block, str):
        yield from block.split()
    elif isinstance(block, Mapping):
        for key in ("text", "items", "blocks"):
            yield from said(block.get(key, ""))
    elif isinstance(block, list | tuple):
        for each in block:
            yield from said(each)


@pytest.mark.parametrize("languages", [("en",), ("es",), ("en", "es"), ("es", "en")])
def test_a_text_is_printed_word_for_word_each_language_in_a_part_of_its_own(languages: tuple[str, ...]) -> None:
    text = agreement(*languages).text
    parts = documents.template_blocks(text, languages)
    assert list(said(list(parts))) == [word for word in text.split() if word != "-"]
    assert [part["language"] for part in parts] == [{"code": each, "region": "US"} for each in languages]
    kinds = [block["kind"] for part in parts for block in part["blocks"]]  # type: ignore[union-attr, index, call-overload]
    assert kinds.count("heading") == len(languages) * 19


def test_every_disclosure_is_printed_word_for_word() -> None:
    for text in TEXTS.current.render_disclosures(OFFICE, ReportCategory):
        blocks = documents.template_blocks(text.body, text.languages)
        assert list(said(list(blocks))) == [word for word in text.body.split() if word != "-"]


def test_terms_are_printed_as_they_were_written_and_are_no_headings() -> None:
    terms = "[1/2] English\n\n1. We meet.\n- on Monday\n- on Tuesday\nand talk\n\n2. = Nothing #else"
    blocks = documents.plain_blocks(terms, "en")
    assert list(said(list(blocks))) == [word for word in terms.split() if word != "-"]
    assert {block["kind"] for block in blocks[0]["blocks"]} == {"paragraph", "list"}  # type: ignore[union-attr, index, call-overload]


def test_a_language_without_words_has_the_first_ones_and_its_own_tag() -> None:
    made = forms.agreement(agreement("vi", "en", text="Hai b\u00ean g\u1eb7p nhau."), WORDS)
    assert made.title == "Agreement of the parties"
    assert made.blocks[1]["language"] == {"code": "vi", "region": "US"}


def test_a_notice_says_the_day_and_time_of_the_office_in_words(printer: Printer) -> None:
    words = Words.of(WORDS, ["es"])
    night = replace(SESSION, starts_at=MADE_AT + timedelta(hours=11), ends_at=MADE_AT + timedelta(hours=13))
    told = json.dumps(forms.notice(night, OFFICE, words, ZONE).blocks, ensure_ascii=False)
    assert "lunes, 2 de marzo de 2026" in told
    assert "martes, 3 de marzo de 2026" in told
    assert "hora estándar del Pacífico" in told
    cancelled = forms.notice(replace(SESSION, called_off=True), OFFICE, words, ZONE)
    assert cancelled.title == "Aviso de que se cancela una sesión"
    assert printer.print_now(cancelled, PrintSize.NORMAL).startswith(b"%PDF-")


@pytest.mark.parametrize("text", ["#panic()", '"]#eval("1")', "\\u{41}", "$x$ *b* _i_ `c` @l <l> // /* = - +", "a\tb"])
def test_no_text_is_read_as_code(printer: Printer, text: str) -> None:
    assert structure(printer.print_now(saying(text), PrintSize.NORMAL)) == structure(
        printer.print_now(saying("word"), PrintSize.NORMAL)
    )


def test_what_is_longer_than_a_line_is_broken(printer: Printer) -> None:
    long = saying("x" * 200)
    with pikepdf.open(io.BytesIO(printer.print_now(long, PrintSize.LARGE))) as file:
        shown = [each for each in pikepdf.parse_content_stream(file.pages[0]) if str(each.operator) == "TJ"]
    assert len(shown) > 5


# ── what cannot be printed ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "character", "code_points"),
    [
        ("Li \u674e\u96f7", "\u674e", "U+674E"),
        ("\ue000", "\ue000", "U+E000"),
        ("a\ufeffb", "\ufeff", "U+FEFF"),
        ("\U0001f600", "\U0001f600", "U+1F600"),
    ],
)
def test_a_character_that_no_font_has_is_named(printer: Printer, text: str, character: str, code_points: str) -> None:
    with pytest.raises(NotPrintable) as refused:
        printer.print_now(saying(text), PrintSize.NORMAL)
    assert refused.value.values == {"character": character, "code_points": code_points}


@pytest.mark.parametrize(
    "text", ["Nguyễn", "Ковальчук", "محمد", "שלום", "अनिल", "ሰላም", "Անահիտ", "გიორგი", "ਸਿੰਘ", "ខ្មែរ", "ລາວ", "ไทย"]
)
def test_names_in_the_scripts_of_the_fonts_are_printed(printer: Printer, text: str) -> None:
    assert printer.print_now(saying(text), PrintSize.LARGE)


def test_a_folder_of_the_city_adds_fonts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = files("mediation_api.outreach")
    ours, theirs = tmp_path / "fonts", tmp_path / "city"
    for folder, name in (
        (ours, "NotoSans-Regular.ttf"),
        (ours, "NotoSans-Bold.ttf"),
        (theirs, "NotoSansThai-Regular.ttf"),
    ):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes((package / "fonts" / name).read_bytes())
    (tmp_path / "document.typ").write_bytes((package / "document.typ").read_bytes())
    monkeypatch.setattr(documents, "files", lambda _package: tmp_path)
    with pytest.raises(NotPrintable):
        Printer().print_now(saying("ไทย"), PrintSize.NORMAL)
    assert Printer(theirs).print_now(saying("ไทย"), PrintSize.NORMAL)


def test_a_document_has_an_end(printer: Printer) -> None:
    terms = "x\n" * 10_000
    with pytest.raises(DocumentTooLong) as refused:
        printer.print_now(forms.agreement(agreement("en", text=terms), WORDS), PrintSize.NORMAL)
    assert refused.value.values == {"pages": documents.MOST_PAGES}


def test_a_fault_of_the_layout_is_no_refusal(printer: Printer) -> None:
    broken = replace(saying("x"), blocks=({"kind": "unheard of"},))
    with pytest.raises(RuntimeError, match="could not be made"):
        printer.print_now(broken, PrintSize.NORMAL)


async def test_so_many_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_MOST_WAITING", 2)
    printer, may_go_on = Printer(), threading.Event()
    monkeypatch.setattr(printer, "print_now", lambda *_: may_go_on.wait(5) and b"%PDF")
    waiting = [asyncio.ensure_future(printer.print(saying("x"), PrintSize.NORMAL)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(PrinterBusy):
        await printer.print(saying("x"), PrintSize.NORMAL)
    may_go_on.set()
    assert await asyncio.gather(*waiting) == [b"%PDF"] * 2
    assert await printer.print(saying("x"), PrintSize.NORMAL) == b"%PDF"
    printer.close()


async def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "SECONDS", 0.01)
    printer, may_go_on = Printer(), threading.Event()
    monkeypatch.setattr(printer, "print_now", lambda *_: may_go_on.wait(5))
    with pytest.raises(PrinterBusy):
        await printer.print(saying("x"), PrintSize.NORMAL)
    may_go_on.set()
    printer.close()
