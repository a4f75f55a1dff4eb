"""Every problem has an entry in the catalogue, a title in each language, and a page."""

import pkgutil
from collections.abc import Iterator
from html import escape
from importlib import import_module
from pathlib import Path

import httpx
import pytest

import mediation_api
from mediation_api.domain.errors import Refusal
from mediation_api.http import problem_catalogue, problems
from mediation_api.texts.loader import load_texts

TEXTS = load_texts()
TITLES = TEXTS.problem_titles
TOLD = {
    "idempotency-answer-erased": 422,
    "idempotency-key-missing": 400,
    "idempotency-key-reused": 422,
    "idempotency-key-weak": 400,
}


def refusals(parent: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for child in parent.__subclasses__():
        yield child
        yield from refusals(child)


def statuses() -> dict[str, int]:
    for module in pkgutil.walk_packages(mediation_api.__path__, "mediation_api."):
        import_module(module.name)
    of_domain = {each.code: problems.status_of(each) for each in refusals() if "code" in vars(each)}
    of_http = {code: status for status, (code, _) in problems.HTTP.items()}
    return of_domain | of_http | TOLD


def test_the_catalogue_holds_every_problem_with_its_status_and_no_other() -> None:
    assert {code: entry.status for code, entry in problem_catalogue.CATALOGUE.items()} == statuses()


def test_titles_are_told_apart_and_say_something_in_each_language() -> None:
    for titles in TITLES.values():
        assert titles.keys() == problem_catalogue.CATALOGUE.keys()
        assert len(set(titles.values())) == len(titles)
        assert all(len(title) >= 6 for title in titles.values())
    assert all(entry.remedy.endswith(".") for entry in problem_catalogue.CATALOGUE.values())


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("es", "es"),
        ("es-MX, en;q=0.5", "es"),
        ("en, es", "en"),
        ("en;q=0.4, ES;q=0.9", "es"),
        ("de, fr;q=0.9", "en"),
        ("es;q=0", "en"),
        ("es;q=nonsense, en", "en"),
        ("*", "en"),
        (",,,;;;=" * 1000, "en"),
        ("zh-Hant-TW, es;q=0.5", "zh-hant"),
        ("zh-TW, es;q=0.5", "es"),
    ],
)
def test_the_language_is_the_best_of_those_the_caller_reads(header: str, language: str) -> None:
    assert problem_catalogue.preferred_language(header, ("en", "es", "zh-hant")) == language


async def test_a_problem_has_its_title_in_the_callers_language(client: httpx.AsyncClient) -> None:
    in_english = await client.get("/v1/cases")
    in_spanish = await client.get("/v1/cases", headers={"Accept-Language": "es-US,es;q=0.9"})
    assert (in_english.json()["title"], in_english.headers["content-language"]) == ("Not signed in", "en")
    assert (in_spanish.json()["title"], in_spanish.headers["content-language"]) == ("Sin identificación", "es")
    assert in_english.json()["code"] == in_spanish.json()["code"] == "unauthenticated"


async def test_each_has_a_page_that_says_what_to_do(client: httpx.AsyncClient) -> None:
    for code, entry in problem_catalogue.CATALOGUE.items():
        page = await client.get(f"/problems/{code}")
        in_spanish = await client.get(f"/problems/{code}", headers={"Accept-Language": "es"})
        assert page.status_code == 200, code
        assert escape(TEXTS.problem_details["es"][entry.remedy]) in in_spanish.text
        assert escape(entry.remedy) not in in_spanish.text
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert code in page.text
        assert escape(entry.remedy) in page.text
        assert "script" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_an_unknown_problem_has_no_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/problems/no-such-problem")).status_code == 404


def test_the_committed_list_is_the_catalogue() -> None:
    assert Path("openapi/problems.md").read_text(encoding="utf-8") == problem_catalogue.markdown(TITLES), (
        "run `make generate`"
    )
