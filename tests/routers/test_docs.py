"""The documentation page comes from this service alone, and may do as little as possible."""

import hashlib
import re
from collections.abc import AsyncIterator
from importlib import resources

import httpx
import pytest
from fastapi import FastAPI
from tests.conftest import calling
from tests.openapi.reading import CONTRACT

VERSION = "5.35.0"
COPIED = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui-bundle.js.LICENSE.txt": "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
"""What routers/static/README.md says was copied, and the SHA-256 of each file."""

STATIC = resources.files("mediation_api.routers").joinpath("static")


@pytest.fixture(scope="module")
async def client(module_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one application for all tests."""
    async with calling(module_app) as client:
        yield client


def test_what_was_copied_is_unchanged() -> None:
    copied = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (STATIC / "swagger-ui").iterdir()}
    assert copied == COPIED


def test_the_version_is_the_one_that_is_written_down() -> None:
    bundle = (STATIC / "swagger-ui" / "swagger-ui-bundle.js").read_text(encoding="utf-8")
    assert f'PACKAGE_VERSION:"{VERSION}"' in bundle
    assert set(re.findall(r"\d+\.\d+\.\d+", (STATIC / "README.md").read_text(encoding="utf-8"))) == {VERSION}


async def test_all_that_the_page_names_is_served_here(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    kinds = {name: (await client.get(f"/{name}")).headers["content-type"] for name in named if name != "data:,"}

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert kinds == {
        "docs/docs.js": "text/javascript; charset=utf-8",
        "docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "docs/swagger-ui.css": "text/css; charset=utf-8",
        "openapi.json": "application/json",
    }


async def test_the_page_has_no_script_and_no_style_inside_and_its_policy_allows_none(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    policy = page.headers["content-security-policy"]

    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=", page.text) == []
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe|\*|https?:|blob:", policy)


async def test_a_browser_keeps_the_files_and_asks_whether_they_changed(client: httpx.AsyncClient) -> None:
    first = await client.get("/docs/swagger-ui.css")
    again = await client.get("/docs/swagger-ui.css", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


async def test_not_modified_carries_the_same_policy(client: httpx.AsyncClient) -> None:
    """A browser replaces the stored headers by these: with another policy the page would be dead on a reload."""
    first = await client.get("/docs")
    again = await client.get("/docs", headers={"If-None-Match": first.headers["etag"]})

    assert again.status_code == 304
    for name in ("content-security-policy", "cache-control", "etag"):
        assert again.headers[name] == first.headers[name]


# ── the contract ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("br;q=1.0, GZIP;q=0.5", "gzip"),
        ("*", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=0, *", None),
        ("x-gzipped", None),
        ("", None),
        (None, None),
    ],
)
async def test_the_contract_is_compressed_for_who_accepts_it(
    client: httpx.AsyncClient, accepted: str | None, coding: str | None
) -> None:
    request = client.build_request("GET", "/openapi.json")
    del request.headers["accept-encoding"]
    if accepted is not None:
        request.headers["accept-encoding"] = accepted
    answer = await client.send(request)

    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == CONTRACT.read_bytes()  # the very file: putting it together would hold up everybody
    assert (int(answer.headers["content-length"]) < 60_000) == (coding == "gzip")


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_a_client_keeps_the_contract_and_asks_whether_it_has_changed(
    client: httpx.AsyncClient, coding: str
) -> None:
    first = await client.get("/openapi.json", headers={"Accept-Encoding": coding})
    kept = {"Accept-Encoding": coding, "If-None-Match": first.headers["etag"]}
    again = await client.get("/openapi.json", headers=kept)
    other = {"gzip": "identity", "identity": "gzip"}[coding]

    assert first.headers["cache-control"] == "no-cache"
    assert re.fullmatch('"[0-9a-f]{32}"', first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control", "vary"):
        assert again.headers[name] == first.headers[name]
    assert (await client.get("/openapi.json", headers=kept | {"Accept-Encoding": other})).status_code == 200


async def test_nothing_else_is_compressed(client: httpx.AsyncClient) -> None:
    """Its length would tell something of what is in it, to somebody who can put words of their own beside it."""
    for path in ("/v1/disclosures", "/docs", "/docs/swagger-ui.css", "/v1/cases", "/problems/not-found", "/nowhere"):
        answer = await client.get(path, headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in answer.headers, path


@pytest.mark.parametrize("name", ["docs.html", "README.md", "swagger-ui", "x", "..%2fdocs.py", "%2e%2e%2fdocs.py"])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/docs/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
