"""What the documents say is so: links, files, names, settings, commands and sections exist."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from tests.conftest import SERVER_VARIABLE

from mediation_api.http.problem_catalogue import CATALOGUE
from mediation_api.settings import PREFIX, Settings

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "src" / "mediation_api"
DOCS: Final = ROOT / "docs"
PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "migrations" / "README.md",
    *sorted((ROOT / "openapi").glob("*.md")),
    *sorted(page for page in DOCS.glob("**/*.md") if "node_modules" not in page.parts),
]
DECISIONS: Final = sorted((DOCS / "decisions").glob("[0-9]*.md"))
SOURCES: Final = sorted(
    path
    for folder in ("src", "tests", "migrations", "benchmarks")
    for path in (ROOT / folder).rglob("*.*")
    if path.suffix in {".py", ".sql", ".json", ".toml"}
)
MOST_LINES: Final = 180
"""Of the README: longer, it is not read."""
LONGEST_LINE: Final = 120
"""Of the contract's changelog, which clients read as text, and a review as a difference."""


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def sections(page: Path) -> frozenset[str]:
    """The headings of a page, and the words in bold that begin a paragraph or an item of a list."""
    found = re.findall(r"^(?:#+ |(?:- )?\*\*)(?:\d+\. )?(.+?)\.?(?:\*\*.*)?$", text_of(page), re.MULTILINE)
    return frozenset(found)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_names(path: Path, names: Iterable[str]) -> list[str]:
    """The names that no file at or below a path holds as a word."""
    files = path.rglob("*.*") if path.is_dir() else [path]
    source = "\n".join(text_of(file) for file in files if file.suffix in {".py", ".sql"})
    return [name for name in names if not re.search(rf"\b{re.escape(name)}\b", source)]


def test_the_readme_is_short() -> None:
    assert len(text_of(ROOT / "README.md").splitlines()) <= MOST_LINES


def test_the_lines_of_the_contracts_changelog_are_short() -> None:
    lines = text_of(ROOT / "openapi" / "CHANGELOG.md").splitlines()
    assert max(map(len, lines)) <= LONGEST_LINE


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        exists = "://" in link or (target.exists() and (not anchor or anchor in anchors(target)))
        broken += [] if exists else [link]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_is_named_exists(page: Path) -> None:
    paths = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*\.(?:py|sql|md|json|toml|js|yaml|conf))(?:::\w+)?`", text_of(page)))
    places = (ROOT, PACKAGE, page.parent)
    assert [path for path in sorted(paths) if not any((place / path).exists() for place in places)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {SERVER_VARIABLE}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", text_of(page))) <= known


@pytest.mark.parametrize("page", [*PAGES, ROOT / ".ci" / "run"], ids=named)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    makefile = text_of(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    commands = re.findall(r"(?:^|`)make (?:--\S+ )*([a-z-]+(?: [a-z-]+)*)", text_of(page), re.MULTILINE)
    assert {target for command in commands for target in command.split()} <= targets


def test_every_refusal_that_is_named_with_its_status_is_in_the_catalogue() -> None:
    text = "\n".join(map(text_of, PAGES))
    refusals = set(re.findall(r"\b([45]\d\d)\s`([a-z]+(?:-[a-z]+)*)`", text))
    assert len(refusals) >= 4
    assert refusals <= {(str(known.status), code) for code, known in CATALOGUE.items()}


def test_what_must_be_set_is_what_the_operations_page_lists() -> None:
    listed = text_of(DOCS / "operations.md").partition("These have no")[2].partition("The key and the secrets")[0]
    required = {
        f"{PREFIX}{n.upper()}" for n, f in Settings.model_fields.items() if "Required." in (f.description or "")
    }
    required |= {f"{PREFIX}SERVICE_ISSUER", f"{PREFIX}DATABASE_URL"}
    assert set(re.findall(rf"{PREFIX}[A-Z_]+", listed)) == required


def citations(source: Path) -> Iterator[tuple[str, str]]:
    """The pages that a file cites, and the sections of each; an empty text stands for the page itself."""
    text = re.sub(r"\s*\n\s*(?:#|--)?\s*", " ", text_of(source))  # a citation may run over a line of a comment
    for page, following in re.findall(r"\b(docs/[\w/-]+\.md)((?:(?:,| and) \\?\"[^\"\\]+\\?\")*)", text):
        yield page, ""
        yield from ((page, section) for section in re.findall(r"\"([^\"\\]+)\\?\"", following))


def test_every_page_and_section_that_code_cites_exists() -> None:
    wrong = [
        f"{named(source)}: {page} {section}"
        for source in SOURCES
        for page, section in citations(source)
        if not (ROOT / page).exists() or (section and section not in sections(ROOT / page))
    ]
    assert wrong == []


def test_every_python_file_that_the_service_names_exists() -> None:
    names = {path.name for folder in ("src", "tests", "migrations") for path in (ROOT / folder).rglob("*.py")}
    sources = [path for path in SOURCES if path.suffix in {".py", ".sql"} and "tests" not in path.parts]
    wrong = [
        f"{named(source)}: {name}"
        for source in sources
        for path, name in re.findall(r"(?<![\w/.])((?:\w+/)*(\w+\.py))\b", text_of(source))
        if name not in names or ("/" in path and not any((place / path).exists() for place in (ROOT, PACKAGE)))
    ]
    assert wrong == []


# ── decisions ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda page: page.stem[:40])
def test_a_decision_says_what_enforces_it(decision: Path) -> None:
    paragraphs = text_of(decision).strip().split("\n\n")
    places = re.findall(r"`([\w./-]+/[\w./-]+)`(?:\s\(([^)]+)\))?", paragraphs[-1])

    begins = [re.escape(f"# {int(decision.name[:4])}. "), *map(re.escape, ("**Context.** ", "**Decision.** "))]
    begins += [re.escape("**Consequence.** "), re.escape("**Enforced by** ")]
    assert all(re.match(begin, text) for begin, text in zip(begins, paragraphs, strict=True))
    assert places
    for path, names in places:
        assert (ROOT / path).exists(), path
        assert missing_names(ROOT / path, re.findall(r"`(\w+)`", names)) == [], path


def test_decisions_are_numbered_and_listed() -> None:
    index = text_of(DOCS / "decisions" / "README.md")
    listed = re.findall(r"^- \[(\d+\. .+)\]\((.+\.md)\)$", index, re.MULTILINE)
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert {name: title for title, name in listed} == {
        page.name: text_of(page).splitlines()[0].removeprefix("# ") for page in DECISIONS
    }
    assert len(listed) == len(DECISIONS)
