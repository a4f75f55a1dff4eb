"""The shared types: what a field takes, and that the contract says the same."""

import json
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import jsonschema_rs
import pytest
from fastapi import FastAPI, Query
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from mediation_api.dev.office import Office
from mediation_api.http.fields import (
    Day,
    Email,
    Flag,
    In,
    Instant,
    InstantOut,
    Int32,
    Language,
    Line,
    LongLine,
    Note,
    Once,
    Out,
    Paragraphs,
    Params,
    Phone,
    Uuid,
    WholeNumber,
)
from mediation_api.http.pagination import ListOut


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(In):
    colour: Colour
    count: Annotated[int, WholeNumber(1, 10)] = 1


class Circle(In):
    kind: Literal["circle"]
    radius: Int32


class Square(In):
    kind: Literal["square"]
    side: Int32


class Body(In):
    line: Line = "x"
    text: Paragraphs | None = None
    phone: Phone | None = None
    email: Email | None = None
    language: Language | None = None
    languages: Annotated[list[Language], Field(max_length=5), Once()] = Field(default_factory=list)
    inners_once: Annotated[list[Inner], Once()] = Field(default_factory=list)
    number: Int32 = 0
    flag: Flag = False
    at: Instant | None = None
    on: Day | None = None
    who: Uuid | None = None
    colour: Colour = Colour.RED
    colours: tuple[Colour, ...] = ()
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    raw: date | None = None


BODY = TypeAdapter(Body)
UUID_TEXT = "0B9f0a3c-0000-4000-8000-00000000000a"


def read(**fields: object) -> Body:
    # As FastAPI does it.
    return BODY.validate_python(fields, from_attributes=True)


def refused(**fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        read(**fields)
    return caught.value.errors()[0]["type"].removeprefix("rule:")


def test_a_body_is_read_into_values_of_the_domain() -> None:
    body = read(
        line="  Ana  Ruiz ",
        number=5.0,
        at="2026-03-01T09:00:00.123456+01:00",
        on="2026-02-28",
        who=UUID_TEXT,
        colour="blue",
        colours=["red", "blue"],
        inner={"colour": "red"},
        inners=[{"colour": "blue", "count": 10}],
        shape={"kind": "square", "side": 2},
    )
    assert body.line == "Ana  Ruiz"
    assert (body.number, type(body.number)) == (5, int)
    assert body.at == datetime(2026, 3, 1, 8, 0, 0, 123000, tzinfo=UTC)
    assert body.at.tzinfo is UTC
    assert body.on == date(2026, 2, 28)
    assert type(body.on) is date
    assert body.who == UUID(UUID_TEXT)
    assert body.colour is Colour.BLUE
    assert body.colours == (Colour.RED, Colour.BLUE)
    assert body.inners == (Inner(colour=Colour.BLUE, count=10),)
    assert body.shape == Square(kind="square", side=2)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("line", "", "string_too_short"),
        ("line", " \u00a0\u3000", "blank"),
        ("line", "a\x00b", "control-character"),
        ("line", "a\nb", "control-character"),
        ("line", "a\u2028b", "control-character"),
        ("line", "a\x1bb", "control-character"),
        ("line", "a\x9bb", "control-character"),
        ("line", "\ud800", "string_unicode"),
        ("line", "x" * 201, "string_too_long"),
        ("line", "\u0958" * 200, "too-long"),
        ("line", 5, "string_type"),
        ("line", b"x", "string_type"),
        ("line", ["x"], "string_type"),
        ("text", "a\x00", "control-character"),
        ("text", "a\x0b", "control-character"),
        ("text", "\r\n\t ", "blank"),
        ("phone", "12", "string_pattern_mismatch"),
        ("phone", "call me", "string_pattern_mismatch"),
        ("phone", "+1 212 555 0100\n", "string_pattern_mismatch"),
        ("phone", "٠١٢٣٤٥٦", "string_pattern_mismatch"),
        ("email", "ana", "string_pattern_mismatch"),
        ("email", "ana@localhost", "string_pattern_mismatch"),
        ("email", "a..b@example.org", "string_pattern_mismatch"),
        ("email", "ana@example.org\nbcc: x@y.zz", "string_pattern_mismatch"),
        ("language", "EN", "string_pattern_mismatch"),
        ("language", "english language", "string_pattern_mismatch"),
        ("language", "xx", "not-a-language"),
        ("language", "en-latn-latn", "not-a-language"),
        ("language", "es-yy", "not-a-language"),
        ("language", "sl-rozaj-rozaj", "not-a-language"),
        ("language", "und", "not-a-language"),
        ("language", "mul-latn", "not-a-language"),
        ("languages", ["en", "es", "en"], "repeated"),
        ("languages", ["en", "eng"], "repeated"),
        ("inners_once", [{"colour": "red"}, {"colour": "red", "count": 1}], "repeated"),
        ("number", True, "int_type"),
        ("number", "5", "int_type"),
        ("number", 5.5, "int_type"),
        ("number", 1e300, "less_than_equal"),
        ("number", 2**31, "less_than_equal"),
        ("number", -(2**31) - 1, "greater_than_equal"),
        ("flag", 1, "bool_type"),
        ("flag", "true", "bool_type"),
        ("at", "2026-03-01T09:00:00", "no-offset"),
        ("at", "2026-03-01 09:00", "no-offset"),
        ("at", "2026-03-01", "not-an-instant"),
        ("at", "2026-02-30T09:00:00Z", "not-an-instant"),
        ("at", "2026-03-01T09:00:60Z", "not-an-instant"),
        ("at", "2026-03-01T09:00:00+24:00", "not-an-instant"),
        ("at", "0001-01-01T00:00:00+14:00", "not-an-instant"),
        ("at", "9999-12-31T23:59:59-12:00", "not-an-instant"),
        ("at", "٢٠٢٦-03-01T09:00:00Z", "not-an-instant"),
        ("at", 0, "not-an-instant"),
        ("at", datetime(2026, 1, 1, tzinfo=UTC), "not-an-instant"),
        ("on", 0, "not-a-date"),
        ("on", "0", "not-a-date"),
        ("on", "2026-02-29", "not-a-date"),
        ("on", "2026-03-01T00:00:00Z", "not-a-date"),
        ("on", "20260301", "not-a-date"),
        ("on", "1899-12-31", "not-a-date"),
        ("on", "2100-01-01", "not-a-date"),
        ("on", date(2026, 3, 1), "not-a-date"),
        ("who", 5, "not-a-uuid"),
        ("who", UUID_TEXT.replace("-", ""), "not-a-uuid"),
        ("who", f"{{{UUID_TEXT}}}", "not-a-uuid"),
        ("who", f"urn:uuid:{UUID_TEXT}", "not-a-uuid"),
        ("colour", "green", "enum"),
        ("colour", 1, "enum"),
        ("colours", "red", "tuple_type"),
        ("inner", {"colour": "red", "fault": True}, "extra_forbidden"),
        ("inner", {"colour": "red", "count": "3"}, "int_type"),
        ("shape", {"kind": "star"}, "union_tag_invalid"),
        ("raw", "2026-03-01", "date_type"),
        ("fault", "officer", "extra_forbidden"),
    ],
)
def test_a_body_refuses(field: str, value: object, rule: str) -> None:
    assert refused(**{field: value}) == rule


def test_text_is_normalised_and_its_line_ends_are_line_feeds() -> None:
    body = read(line="Jose\u0301", text=" one\r\ntwo\rthree\tfour\u2028five\n")
    assert body.line == "José"
    assert body.text == "one\ntwo\nthree\tfour\u2028five"


@pytest.mark.parametrize("tag", ["en", "es", "ase", "zh-hant", "es-419", "sr-latn-rs", "qaa"])
def test_languages_are_tags_in_lower_case(tag: str) -> None:
    assert read(language=tag).language == tag


@pytest.mark.parametrize(
    ("tag", "canonical"), [("eng", "en"), ("iw", "he"), ("en-latn-us", "en-us"), ("sgn-us", "ase"), ("zh-yue", "yue")]
)
def test_of_several_tags_for_a_language_the_canonical_one_is_kept(tag: str, canonical: str) -> None:
    assert read(language=tag).language == canonical


def test_the_schema_of_a_list_says_that_nothing_may_be_in_it_twice() -> None:
    properties = BODY.json_schema()["properties"]
    assert (properties["languages"]["uniqueItems"], properties["languages"]["maxItems"]) == (True, 5)
    assert "uniqueItems" not in properties["inners"]


@pytest.mark.parametrize(
    "text", ["2000-01-01T00:00:00+23:59", "2099-12-31T23:59:59-23:59", "2026-03-01t09:00:00.123456789z"]
)
def test_instants_at_the_edges_are_in_the_calendar(text: str) -> None:
    assert read(at=text).at is not None


class Filter(Params):
    limit: Annotated[int, WholeNumber(1, 100)] = 25
    open: Flag | None = None
    after: Day | None = None
    since: Instant | None = None
    colour: Colour | None = None


FILTER = TypeAdapter(Filter)


def test_a_query_string_gives_the_same_values() -> None:
    found = FILTER.validate_python({"limit": "7", "open": "true", "after": "2026-03-01", "colour": "red"})
    assert found == Filter(limit=7, open=True, after="2026-03-01", colour=Colour.RED)  # type: ignore[arg-type]  # text, as it arrives


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "1_0"),
        ("limit", " 5"),
        ("limit", "5.0"),
        ("limit", "+5"),
        ("limit", "\u0665"),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "9" * 5_000),
        ("open", "1"),
        ("open", "yes"),
        ("after", "0"),
        ("since", "2026-03-01T00:00:00"),
        ("colour", "RED"),
        ("limt", "5"),
    ],
)
def test_a_query_string_refuses(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        FILTER.validate_python({name: value})


def test_answers_carry_every_field_and_instants_in_milliseconds() -> None:
    class Answer(Out):
        at: InstantOut
        note: str | None = None

    in_tokyo = datetime(2026, 3, 1, 9, 0, 0, 1999, tzinfo=timezone(timedelta(hours=9)))
    assert Answer.read({"at": in_tokyo}).model_dump(mode="json") == {"at": "2026-03-01T00:00:00.001Z", "note": None}
    assert Answer.model_json_schema(mode="serialization")["required"] == ["at", "note"]
    with pytest.raises(ValidationError, match="time zone"):
        Answer.read({"at": in_tokyo.replace(tzinfo=None)})


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2026-03-01T00:00:00.001999+00:00", "2026-03-01T00:00:00.001Z"),
        ("2026-03-01T00:00:00.001+00:00", "2026-03-01T00:00:00.001Z"),
        ("2026-03-01T00:00:00.5+00:00", "2026-03-01T00:00:00.500Z"),
        ("2026-03-01T00:00:00+00:00", "2026-03-01T00:00:00.000Z"),
        ("2026-03-01T09:00:00.25+09:00", "2026-03-01T00:00:00.250Z"),
        ("2026-03-01T00:00:00.250Z", "2026-03-01T00:00:00.250Z"),
    ],
)
def test_an_instant_that_postgresql_has_written_is_sent_in_milliseconds(text: str, sent: str) -> None:
    assert TypeAdapter(InstantOut).validate_python(text) == sent


@pytest.mark.parametrize("value", [None, 1_772_323_200, "yesterday"])
def test_what_is_no_instant_is_not_sent_as_one(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(InstantOut).validate_python(value)


def test_a_page_has_nothing_that_the_model_of_its_items_does_not_declare() -> None:
    class Shown(Out):
        name: str

    class WithMore(Shown):
        secret: str

    class Shelf(Out):
        top: Shown
        others: list[Shown]

    whole = WithMore(name="Ana", secret="s")
    page = ListOut[Shown].model_validate({"items": [whole], "next_cursor": None})
    assert page.model_dump(mode="json") == {"items": [{"name": "Ana"}], "next_cursor": None}
    assert json.loads(page.model_dump_json()) == {"items": [{"name": "Ana"}], "next_cursor": None}
    shelf = TypeAdapter(Shelf).validate_python({"top": whole, "others": [whole]})
    assert json.loads(TypeAdapter(Shelf).dump_json(shelf)) == {"top": {"name": "Ana"}, "others": [{"name": "Ana"}]}


# --- the contract says what the type does -------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(" \t\r\n\x00\x85a\u2028é")
NO_TEXT = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none() | st.just(["x"])
NEAR = {
    "phone": st.from_regex(r"\A[+0-9( ).x-]{2,12}\Z"),
    "email": st.from_regex(r"\A[a-z.'-]{0,6}@[a-z.-]{1,9}\Z") | st.emails(),
    "language": st.from_regex(r"\A[a-zA-Z]{1,4}(-[a-z0-9]{1,9}){0,4}\Z"),
    "uuid": st.uuids().map(str) | st.uuids().map(lambda u: u.hex),
    "date": st.dates().map(str) | st.dates(date(1890, 1, 1), date(2110, 1, 1)).map(str),
    "instant": st.datetimes(datetime(1999, 1, 1), datetime(2101, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - Hypothesis wants naive bounds
        datetime.isoformat
    ),
}


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("adapter", "near"),
    [
        (TypeAdapter(Line), "line"),
        (TypeAdapter(LongLine), "line"),
        (TypeAdapter(Note), "line"),
        (TypeAdapter(Paragraphs), "line"),
        (TypeAdapter(Phone), "phone"),
        (TypeAdapter(Email), "email"),
        (TypeAdapter(Language), "language"),
        (TypeAdapter(Uuid), "uuid"),
        (TypeAdapter(Day), "date"),
        (TypeAdapter(Instant), "instant"),
        (TypeAdapter(Int32), "line"),
        (TypeAdapter(Flag), "line"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_contract_accepts_what_the_type_accepts(adapter: TypeAdapter[object], near: str) -> None:
    contract = adapter.json_schema()
    validator = jsonschema_rs.validator_for(contract, validate_formats=True)
    is_text = contract["type"] == "string"

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(
        ANY_TEXT | NEAR.get(near, ANY_TEXT) | st.integers() | st.floats() | st.booleans() | st.none() | st.just(["x"])
    )
    @example("")
    @example("a" * 201)
    @example(2**31)
    def agree(value: object) -> None:
        # A query string's text is not the contract's affair: there the value is the text.
        assume(is_text or not isinstance(value, str))
        assume(not isinstance(value, str) or not any(map(takes_its_neighbours_to_tell, value)))
        try:
            adapter.validate_python(value)
            accepted = True
        except ValidationError:
            accepted = False
        assert validator.is_valid(value) == accepted, json.dumps(value)

    agree()


def takes_its_neighbours_to_tell(character: str) -> bool:
    """Whether a pattern cannot say where it may stand: marks, joiners and variants, and tags beyond its classes."""
    return unicodedata.category(character)[0] == "M" or character in "\u200c\u200d" or character >= "\U0001d159"


def test_no_annotation_of_pydantic_leaks_into_the_contract() -> None:
    # `Annotated[Int32, Field(ge=1)]` would write "ge" beside an unchanged "minimum": Whole(1, …) is the way.
    app = FastAPI()

    @app.get("/")
    def search(found: Annotated[Filter, Query()], body: Body) -> None: ...

    contract = json.dumps(app.openapi())
    assert '"ge"' not in contract
    assert '"minimum": 1,' in contract.replace('"maximum": 100, ', "")


@given(st.text(max_size=40))
def test_what_a_line_lets_through_can_be_stored_and_logged(text: str) -> None:
    try:
        line = TypeAdapter(Line).validate_python(text)
    except ValidationError:
        return
    line.encode()
    assert line.isprintable() or not any(unicodedata.category(c) == "Cc" for c in line)
    assert line.splitlines() == [line]
    assert unicodedata.is_normalized("NFC", line)


async def test_a_field_that_may_be_null_breaks_one_rule_and_not_two(office: Office) -> None:
    story = await office.file()
    patch = {"language": "xx", "interpreter_language": 5, "email": "not an address"}
    response = await office.intake.send("PATCH", f"/v1/parties/{story.complainants[0].party_id}", patch)
    assert sorted((error["pointer"], error["code"]) for error in response.json()["errors"]) == [
        ("/email", "malformed"),
        ("/interpreter_language", "wrong-type"),
        ("/language", "not-a-language"),
    ]
