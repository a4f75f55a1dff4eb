"""Hostile values in every field of every operation: never a 5xx, never taken against the contract, never repeated.

The fields are read from the application's own contract, so an operation that is added is probed from its first
day. A body is made up from its schema with every field present (one body for each branch of a union), then one
field after another is replaced by each probe as raw bytes, for much of this cannot be written with a JSON encoder.

What must hold of each answer:

    status     2xx or 4xx; 2xx only when the contract's schema takes what was sent
    document   a 4xx is a problem document
    silence    it does not contain the marker that the probe carries

`PROBES=whole` puts every probe in every field; unless it is set, every field meets one probe in 32, the next one
others, so that all of them meet some fields, and every field meets some.

`plain_app` is the same application without this project's types, routes
and handlers: the probes must find at least ten faults there, or they would prove nothing here.
"""

import json
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import jsonschema_rs
import pytest
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from tests.openapi.reading import written_out

from mediation_api.dev.office import Office
from mediation_api.domain.access import Role
from mediation_api.http.fields import Day, Flag, In, Instant, Int32, Line, Out, Paragraphs, Uuid, WholeNumber
from mediation_api.http.middleware import StrictRoute, install
from mediation_api.http.problems import HTTP, ProblemResponse
from mediation_api.main import OPERATIONS
from mediation_api.texts.loader import load_texts

MARK: Final = "pr0be"
_M: Final = MARK.encode()

# --- the probes ---------------------------------------------------------------------------------------------

FIELD_PROBES: Final[Mapping[str, bytes]] = {
    "NUL": b'"' + _M + b'\\u0000"',
    "escape character": b'"' + _M + b'\\u001b[2J"',
    "C1 control": b'"' + _M + b'\\u009b"',
    "high surrogate": b'"\\ud800' + _M + b'"',
    "low surrogate": b'"' + _M + b'\\udc00"',
    "invalid UTF-8": b'"' + _M + b'\xff"',
    "overlong NUL": b'"' + _M + b'\xc0\x80"',
    "surrogate in UTF-8": b'"' + _M + b'\xed\xa0\x80"',
    "raw line feed": b'"' + _M + b'\n"',
    "line feed": b'"' + _M + b'\\n\\rSet-Cookie: a=b"',
    "noncharacter": b'"' + _M + b'\\uffff"',
    "grows under NFC": b'"' + b"\\u0958" * 150 + b'"',
    "thousand accents": b'"' + _M + b"\\u0301" * 1_000 + b'"',
    "override": b'"\\u202e' + _M + b'"',
    "SQL": b"\"'; DROP TABLE " + _M + b'; --"',
    "template": b'"%s%n{0}{' + _M + b'}${7*7}"',
    "huge text": b'"' + _M * 10_000 + b'"',
    "empty text": b'""',
    "blank text": b'" \\t "',
    "int32 + 1": b"2147483648",
    "int32 - 1": b"-2147483649",
    "int64": b"9223372036854775807",
    "int64 + 1": b"9223372036854775808",
    "10,000 digits": b"1" * 10_000,
    "number": b"7",
    "zero": b"0",
    "negative": b"-1",
    "fraction": b"1.5",
    "whole fraction": b"1.0",
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e400": b"1e400",
    "1e-400": b"1e-400",
    "true": b"true",
    "number as text": b'"1_0"',
    "flag as text": b'"true"',
    "null": b"null",
    "empty array": b"[]",
    "array": b'["' + _M + b'"]',
    "array of null": b"[null]",
    "empty object": b"{}",
    # A name of the caller's is shown when it looks like a field's: which field is unknown must be said.
    "object": b'{"other": "' + _M + b'"}',
    "object with hostile key": b'{"' + _M + b'\\u0000": 1}',
    "duplicate key": b'{"other": 1, "other": 2}',
    "1,000 levels": b"[" * 1_000 + b"]" * 1_000,
    "year 1 +14:00": b'"0001-01-01T00:00:00+14:00"',
    "year 9999 -12:00": b'"9999-12-31T23:59:59-12:00"',
    "naive instant": b'"2026-03-01T09:00:00"',
    "second 60": b'"2026-12-31T23:59:60Z"',
    "30 February": b'"2026-02-30"',
    "year 0": b'"0000-01-01"',
    "far date": b'"9999-12-31"',
    "far instant": b'"294277-01-01T00:00:00Z"',
    "UUID as URN": b'"urn:uuid:00000000-0000-4000-8000-000000000000"',
    "absent UUID": b'"ffffffff-ffff-4fff-bfff-ffffffffffff"',
}

PARAMETER_PROBES: Final[Mapping[str, str]] = {
    "NUL": f"{MARK}%00",
    "%FF": f"{MARK}%FF",
    "surrogate": f"{MARK}%ED%A0%80",
    "line feed": f"{MARK}%0D%0ASet-Cookie:%20a=b",
    "slash": f"{MARK}%2F..%2F..",
    "SQL": f"'%3B%20DROP%20TABLE%20{MARK}",
    "long": MARK * 800,
    "empty": "",
    "blank": "%20",
    "int32 + 1": "2147483648",
    "int64 + 1": "9223372036854775808",
    "5,000 digits": "1" * 5_000,
    "negative": "-1",
    "zero": "0",
    "underscore": "1_0",
    "NaN": "NaN",
    "1e400": "1e400",
    "true": "true",
    "null": "null",
    "array": "%5B%5D",
    "year 1 +14:00": "0001-01-01T00:00:00%2B14:00",
    "year 9999 -12:00": "9999-12-31T23:59:59-12:00",
    "naive instant": "2026-03-01T09:00:00",
    "far date": "9999-12-31",
    "absent UUID": "ffffffff-ffff-4fff-bfff-ffffffffffff",
}

UNKNOWN: Final = "unknown field"
"""In every object of every body. Never legal, whatever the contract says: what was not asked for is refused.
"""
TWICE: Final = "twice"
"""Every parameter."""

JSON: Final = "application/json"
LIMIT: Final = 64 * 1024
BODY_PROBES: Final[Mapping[str, tuple[str | None, Callable[[bytes], bytes]]]] = {
    "UTF-16": (JSON, lambda body: body.decode().encode("utf-16")),
    "UTF-16 without mark": (JSON, lambda body: body.decode().encode("utf-16-le")),
    "UTF-32": (JSON, lambda body: body.decode().encode("utf-32")),
    "byte order mark": (JSON, lambda body: b"\xef\xbb\xbf" + body),
    "empty": (JSON, lambda _: b""),
    "white space": (JSON, lambda _: b" \n"),
    "null": (JSON, lambda _: b"null"),
    "array": (JSON, lambda body: b"[" + body + b"]"),
    "text": (JSON, lambda _: b'"' + _M + b'"'),
    "number": (JSON, lambda _: b"7"),
    "cut off": (JSON, lambda body: body[:-1]),
    "twice": (JSON, lambda body: body + body),
    "unknown hostile field": (JSON, lambda body: _with(body, b'"' + _M + b' \\u0000": "' + _M + b'"')),
    "duplicate keys": (JSON, lambda body: _with(body, body[1:-1])),
    "1,000 levels": (JSON, lambda _: b'{"a":' * 1_000 + b"1" + b"}" * 1_000),
    "30,000 levels": (JSON, lambda _: b"[" * 30_000),
    "10,000 keys": (JSON, lambda _: b"{" + b",".join(b'"%x":1' % n for n in range(6_000)) + b"}"),
    "over 64 KiB": (JSON, lambda body: body + b" " * LIMIT),
    "form": ("application/x-www-form-urlencoded", lambda _: _M + b"=1"),
    "multipart": ("multipart/form-data; boundary=x", lambda _: b"--x\r\n\r\n" + _M + b"\r\n--x--\r\n"),
    "plain text": ("text/plain", lambda body: body),
    "no type": (None, lambda body: body),
    "another charset": ("application/json; charset=utf-16", lambda body: body),
}

UNREAD: Final = ("cut off", "over 64 KiB", "plain text")
"""What each operation meets: one of each kind that is refused unread, with 400, 413 and 415."""


def _with(body: bytes, members: bytes) -> bytes:
    return body[:-1] + (b"," if len(body) > 2 and members else b"") + members + b"}"


# --- reading the contract -----------------------------------------------------------------------------------

Probe = TypeVar("Probe")
Schema = dict[str, JsonValue]
Step = str | int


def _object(value: JsonValue) -> Schema:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract."""

    contract: Schema
    method: str
    path: str
    spec: Schema

    @property
    def id(self) -> str:
        return str(self.spec["operationId"])

    @property
    def body(self) -> Schema:
        content = _object(_object(self.spec.get("requestBody")).get("content"))
        return _object(_object(content.get(JSON)).get("schema"))

    @property
    def lines(self) -> str | None:
        """The media type of a body that is not JSON."""
        content = _object(_object(self.spec.get("requestBody")).get("content"))
        return next((kind for kind in content if kind != JSON), None)

    def parameters(self, place: str) -> dict[str, Schema]:
        found = [_object(each) for each in _list(self.spec.get("parameters"))]
        return {str(each["name"]): _object(each["schema"]) for each in found if each["in"] == place}

    def resolve(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            schema = _object(_object(_object(self.contract["components"])["schemas"])[name])
        return schema

    def judge(self) -> Callable[[JsonValue], bool]:
        """Tell whether the contract takes a body."""
        whole = {**self.body, "components": self.contract.get("components", {})}
        return jsonschema_rs.validator_for(whole, validate_formats=True).is_valid


def operations(contract: Schema) -> list[Operation]:
    return [
        Operation(contract, method, path, _object(spec))
        for path, item in _object(contract["paths"]).items()
        for method, spec in _object(item).items()
    ]


# Tried in turn where a text has a pattern and no example.
_TEXTS: Final = (
    *("Ana Ruiz", "en", "+1 212 555 0100", "ana@example.org", "2026-000123", "x" * 32, "0" * 64, "x" * 32 + ".ics"),
)
# What a header is given; any other, such as an idempotency key, gets a fresh value for each request.
_HEADERS: Final = {"If-Match": "*", "Access-Purpose": "audit"}
_FORMATS: Final = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "date": "2026-03-03",
    "date-time": "2026-03-03T09:00:00Z",
}


def made_up(operation: Operation, schema: Schema, branch: int = 0) -> JsonValue:
    """Make a value with every field present, following the `branch`-th alternative of every choice."""
    schema = operation.resolve(schema)
    options = [operation.resolve(_object(each)) for each in _list(schema.get("anyOf") or schema.get("oneOf"))]
    options = [each for each in options if each.get("type") != "null"]
    if options:
        return made_up(operation, options[branch % len(options)], branch)
    if isinstance(schema.get("type"), list):
        schema = {**schema, "type": _list(schema["type"])[0]}  # the other is null
    if schema.get("type") == "object":
        fields = _object(schema.get("properties"))
        return {name: made_up(operation, _object(each), branch) for name, each in fields.items()}
    values = _list(schema.get("enum") or schema.get("examples"))
    if "const" in schema or values:
        return schema.get("const", values[branch % len(values)] if values else None)
    if schema.get("type") == "array":
        least = schema.get("minItems", 1)
        item = made_up(operation, _object(schema.get("items")), branch)
        return [item] * max(1, least if isinstance(least, int) else 1)
    return _made_scalar(schema, branch)


def _made_scalar(schema: Schema, branch: int) -> JsonValue:
    if schema.get("format") in _FORMATS:
        return _FORMATS[str(schema["format"])]
    candidates: tuple[JsonValue, ...] = (*_TEXTS, schema.get("minimum"), 1, True, None)
    if schema.get("type") == "integer":
        # FastAPI writes the bounds of an integer as floating point numbers.
        candidates = tuple(int(each) for each in candidates if isinstance(each, int | float))
    takes = jsonschema_rs.validator_for(schema, validate_formats=True)
    return next(value for value in candidates[branch:] + candidates if takes.is_valid(value))


Mend = Callable[[Operation, Schema], None]
"""Makes a body keep the rules between its fields, which a schema cannot say."""


def bodies(operation: Operation, mend: Mend) -> list[JsonValue]:
    """Make one body for each branch that a choice in it can take, mended, and then as they came."""
    found: list[JsonValue] = []
    for mending in (True, False):
        for branch in range(4):
            body = made_up(operation, operation.body, branch)
            if mending and isinstance(body, dict):
                mend(operation, body)
            if body not in found:
                found.append(body)
    return found


def places(value: JsonValue, at: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], JsonValue]]:
    """Walk every place in a body at which a probe can stand, with what stands there."""
    if at:
        yield at, value
    if isinstance(value, dict):
        for name, child in value.items():
            yield from places(child, (*at, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*at, 0))


_HERE: Final = "@here@"


def replaced(value: JsonValue, at: tuple[Step, ...], raw: bytes) -> bytes:
    """Serialise a body with raw bytes at one place."""

    def put(node: JsonValue, steps: tuple[Step, ...]) -> JsonValue:
        if not steps:
            return _HERE
        if isinstance(node, dict):
            return {k: put(v, steps[1:]) if k == steps[0] else v for k, v in node.items()}
        return [put(v, steps[1:]) if i == steps[0] else v for i, v in enumerate(_list(node))]

    return json.dumps(put(value, at)).encode().replace(json.dumps(_HERE).encode(), raw)


# --- probing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer that should not have been given."""

    operation: str
    place: str
    probe: str
    fault: str

    def __str__(self) -> str:
        return f"{self.operation}: {self.probe} in {self.place}: {self.fault}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send probes: the token for an operation, and values for path parameters that exist."""

    client: httpx.AsyncClient
    token: Callable[[Operation], Mapping[str, str]] = lambda _: {}
    known: Mapping[str, str] = field(default_factory=dict)
    mend: Mend = lambda *_: None
    every: int = 1
    """Of how many probes one is put in a field."""
    only: str | None = None
    """The one probe to send, if it is not all of them."""


def fault_in(answer: httpx.Response, *, legal: bool) -> str | None:
    """Say what is wrong with an answer to something that the contract takes, or does not."""
    status = answer.status_code
    if not (200 <= status < 300 or 400 <= status < 500):
        return f"{status}"
    if status < 300:
        return None if legal else "taken against the contract"
    if answer.headers.get("content-type") != "application/problem+json":
        return f"{status} without a problem document"
    if MARK in answer.text:
        return f"{status} repeats the value"
    return None


def reached(answer: httpx.Response) -> bool:
    """Whether a request got past reading, authentication and validation: what then refuses it is the domain."""
    if answer.status_code in {400, 403, 405, 413, 415} or answer.status_code >= 500:
        return False
    document = answer.json() if answer.status_code in {401, 422} else {}
    return document.get("code") != "unauthenticated" and document.get("detail") != HTTP[422][1]


def parsed(raw: bytes) -> tuple[JsonValue, bool]:
    """Parse as strictly as the contract means it; False when it is not JSON."""

    def no(*_: object) -> JsonValue:
        raise ValueError

    def unique(pairs: list[tuple[str, JsonValue]]) -> JsonValue:
        return dict(pairs) if len(dict(pairs)) == len(pairs) else no()

    try:
        value: JsonValue = json.loads(raw.decode("utf-8"), parse_constant=no, object_pairs_hook=unique)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None, False
    return value, True


class Prober:
    """Puts every probe in every field and parameter of one operation."""

    def __init__(self, operation: Operation, target: Target, turn: int = 0) -> None:
        self.operation = operation
        self.target = target
        self.found: list[Finding] = []
        self.fields = 0
        self._turn = turn
        self._bodies = bodies(operation, target.mend) if operation.body else []
        self._body = json.dumps(self._bodies[0]).encode() if self._bodies else None
        self._takes = operation.judge()
        self._token = target.token(operation)  # once: to sign one costs more than many requests
        self._path = {
            name: target.known.get(name) or quote(str(made_up(operation, schema)), safe="")
            for name, schema in operation.parameters("path").items()
        }

    async def run(self) -> None:
        """Probe. An operation that refuses even what the contract asks for is a finding: nothing was probed."""
        answer = await self._send(self._body)
        if not reached(answer):
            self._note("nothing", "the made-up request", f"{answer.status_code} {answer.text}")
        await self._parameters()
        if self._body is not None:
            await self._whole_body(self._body)
            await self._fields()

    def _chosen(self, probes: Mapping[str, Probe]) -> list[tuple[str, Probe]]:
        """Those that this field's turn it is to meet."""
        if self.target.only is not None:
            return [(title, probe) for title, probe in probes.items() if title == self.target.only]
        return list(probes.items())[(self._turn + self.fields) % self.target.every :: self.target.every]

    def _sends(self, title: str) -> bool:
        """Whether to send what each field meets."""
        return self.target.only in {None, title}

    async def _parameters(self) -> None:
        for name in self.operation.parameters("query"):
            self.fields += 1
            for title, text in self._chosen(PARAMETER_PROBES):
                self._judge(f"query {name}", title, await self._send(self._body, query=f"?{name}={text}"))
            if self._sends(TWICE):
                twice = await self._send(self._body, query=f"?{name}={MARK}&{name}={MARK}")
                self._judge(f"query {name}", TWICE, twice)
        for name in self.operation.parameters("header"):
            self.fields += 1
            for title, text in self._chosen(PARAMETER_PROBES):
                self._judge(f"header {name}", title, await self._send(self._body, header={name: text}))
        for name in self._path:
            self.fields += 1
            for title, text in self._chosen(PARAMETER_PROBES):
                self._judge(f"path {name}", title, await self._send(self._body, path={name: text}))

    async def _whole_body(self, body: bytes) -> None:
        required = _object(self.operation.spec["requestBody"]).get("required", False)
        chosen = dict(self._chosen(BODY_PROBES))
        if self.target.only is None:
            chosen |= {title: BODY_PROBES[title] for title in UNREAD}
        for title, (kind, change) in chosen.items():
            content = change(body)
            legal = kind == JSON and len(content) <= LIMIT and self._legal(content)
            legal = legal or (not content and not required)
            self._judge("the body", title, await self._send(content, kind=kind), legal=legal)
        if self._sends(UNKNOWN):
            content = _with(body, b'"other": "' + _M + b'"')
            self._judge("the body", UNKNOWN, await self._send(content), legal=False)

    async def _fields(self) -> None:
        seen: set[tuple[Step, ...]] = set()
        for body in self._bodies:
            for at, value in places(body):
                if at in seen:
                    continue
                seen.add(at)
                self.fields += 1
                place = f"/{'/'.join(map(str, at))}"
                for title, raw in self._chosen(FIELD_PROBES):
                    content = replaced(body, at, raw)
                    self._judge(place, title, await self._send(content), legal=self._legal(content))
                if isinstance(value, dict) and self._sends(UNKNOWN):
                    content = replaced(body, at, _with(json.dumps(value).encode(), b'"other": 1'))
                    self._judge(place, UNKNOWN, await self._send(content), legal=False)

    async def _send(
        self,
        content: bytes | None,
        *,
        query: str = "",
        kind: str | None = JSON,
        path: Mapping[str, str] | None = None,
        header: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        values = {**self._path, **(path or {})}
        url = re.sub(r"\{(\w+)\}", lambda name: values[name[1]], self.operation.path) + query
        declared = {name: _HEADERS.get(name, uuid4().hex) for name in self.operation.parameters("header")}
        kind = self.operation.lines or kind
        typed = {"Content-Type": kind} if kind else {}
        headers = {**self._token, **typed, **declared, **(header or {})}
        method = self.operation.method.upper()
        return await self.target.client.request(method, url, content=content, headers=headers)

    def _legal(self, content: bytes) -> bool:
        value, is_json = parsed(content)
        return is_json and self._takes(value)

    def _judge(self, place: str, title: str, answer: httpx.Response, *, legal: bool = True) -> None:
        fault = fault_in(answer, legal=legal)
        if fault is not None:
            self._note(place, title, fault)

    def _note(self, place: str, title: str, fault: str) -> None:
        self.found.append(Finding(self.operation.id, place, title, fault))


async def probe(contract: Schema, target: Target, part: int = 0, parts: int = 1) -> tuple[list[Finding], int]:
    """Probe the operations of one part of the contract. Returns the findings, and how many fields were probed."""
    numbered = list(enumerate(operations(contract)))[part::parts]
    probers = [Prober(operation, target, turn) for turn, operation in numbered]
    for prober in probers:
        await prober.run()
    return [each for prober in probers for each in prober.found], sum(prober.fields for prober in probers)


# --- the probes find what they are for ----------------------------------------------------------------------


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def store(*values: object) -> None:  # noqa: C901 - one case for each type
    """Do to values what asyncpg does on their way to PostgreSQL, and what a JSON column does to a document."""
    for value in values:
        match value:
            case str():
                if "\x00" in value:
                    raise ValueError("invalid byte sequence for encoding: 0x00")
                value.encode()
            case bool() | None | UUID():
                pass
            case int():
                struct.pack("!i", value)
            case datetime():
                (value.astimezone(UTC) - datetime(2000, 1, 1, tzinfo=UTC)).total_seconds()
            case date() | StrEnum():
                pass
            case float():
                json.dumps(value, allow_nan=False)
            case BaseModel():
                store(*(getattr(value, name) for name in type(value).model_fields))
            case list() | tuple():
                store(*value)
            case _:
                raise TypeError(type(value))


class PlainInner(BaseModel):
    name: str
    number: int


class PlainBody(BaseModel):
    name: str
    number: int
    ratio: float
    at: datetime
    on: date
    colour: Colour
    inner: PlainInner
    names: list[str]


def plain_app() -> FastAPI:
    app = FastAPI()

    @app.post("/things/{number}")
    async def write(number: int, body: PlainBody) -> dict[str, str]:
        store(number, body)
        return {"name": body.name}

    @app.get("/things")
    async def search(q: str = "", limit: int = 25) -> dict[str, str]:
        store(q, limit)
        return {"q": q}

    return app


class Inner(In):
    name: Line
    number: Int32


class Circle(In):
    kind: Literal["circle"]
    radius: Annotated[int, WholeNumber(1, 9)]


class Square(In):
    kind: Literal["square"]
    side: Annotated[int, WholeNumber(1, 9)]


class Body(In):
    name: Line
    text: Paragraphs | None = None
    number: Int32
    flag: Flag = False
    at: Instant
    on: Day
    who: Uuid | None = None
    colour: Colour
    inner: Inner
    names: tuple[Line, ...] = Field((), max_length=9)
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None


class Echo(Out):
    name: str


def guarded_app(body: type[BaseModel] = Body, route_class: type[StrictRoute] | None = StrictRoute) -> FastAPI:
    app = FastAPI()
    router = APIRouter(route_class=route_class) if route_class else APIRouter()

    async def write(number: Annotated[int, WholeNumber(0, 9)], body: BaseModel) -> Echo:
        store(number, body)
        return Echo(name=str(getattr(body, "name", "")))

    write.__annotations__["body"] = body
    router.add_api_route("/things/{number}", write, methods=["POST"])

    @router.get("/things")
    async def search(
        q: Annotated[Line | None, Query()] = None,
        limit: Annotated[int, WholeNumber(1, 100)] = 25,
        since: Annotated[Instant | None, Query()] = None,
        who: Annotated[Uuid | None, Query()] = None,
        open_only: Flag = False,  # noqa: FBT002 - a query parameter
    ) -> Echo:
        store(q, limit, since, who, open_only)
        return Echo(name=q or "")

    app.include_router(router, prefix="/v1")
    install(app, problem_titles=load_texts().problem_titles, body_limit=LIMIT)
    return app


def _whole(app: FastAPI) -> Schema:
    return _object(written_out(app.openapi()))  # type: ignore[arg-type] # it is JSON


async def run(app: FastAPI, only: str | None = None) -> tuple[list[Finding], int]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await probe(_whole(app), Target(client, only=only))


def listed(found: list[Finding]) -> str:
    return "\n".join(map(str, found[:40])) + f"\n{len(found)} findings"


async def test_the_table_is_long_enough_and_reaches_every_field() -> None:
    found, fields = await run(guarded_app())
    assert not found, listed(found)
    assert len(FIELD_PROBES) >= 36
    # 1 path parameter, 5 query parameters, 16 places in the circle's body, 1 more in the square's.
    assert fields == 1 + 5 + 17


async def test_a_plain_application_fails_on_at_least_ten_probes() -> None:
    found, _ = await run(plain_app())
    broken = {each.probe for each in found if each.fault.startswith("5")}
    assert len(broken) >= 10, sorted(broken)
    assert any(each.fault == "taken against the contract" for each in found)


class OneHole(Body):
    text: str | None = None  # the fault: a type of pydantic's own


class OpenDoor(Body):
    model_config = ConfigDict(extra="ignore")


class OpenInner(Inner):
    model_config = ConfigDict(extra="ignore")


class OpenInside(Body):
    inner: OpenInner


def echoing_app() -> FastAPI:
    app = guarded_app()

    @app.exception_handler(RequestValidationError)
    async def echo(_: Request, exc: RequestValidationError) -> Response:
        return ProblemResponse({"detail": repr(exc.body)}, 422)

    return app


@pytest.mark.parametrize(
    ("app", "probe_name", "fault"),
    [
        (guarded_app(OneHole), "NUL", "500"),
        (guarded_app(OpenDoor), UNKNOWN, "taken against the contract"),
        (guarded_app(OpenInside), UNKNOWN, "taken against the contract"),
        (echoing_app(), "template", "422 repeats the value"),
        (guarded_app(route_class=None), "duplicate keys", "taken against the contract"),
        (guarded_app(route_class=None), "byte order mark", "taken against the contract"),
    ],
)
async def test_a_planted_fault_is_found(app: FastAPI, probe_name: str, fault: str) -> None:
    found, _ = await run(app, only=probe_name)
    assert (probe_name, fault) in {(each.probe, each.fault) for each in found}, listed(found)


# --- the application ----------------------------------------------------------------------------------------

PARTS: Final = 6
EVERY: Final = 1 if os.environ.get("PROBES") == "whole" else 32
# The role that reaches furthest: staff first.
_ROLES: Final = (Role.DIRECTOR, Role.COORDINATOR, Role.INTAKE, Role.MEDIATOR, Role.INTEGRATION)


def mended(operation: Operation, body: Schema) -> None:
    """Keep the rules between the fields, so that the domain and the database see the probes as well."""
    for person in map(_object, [body, *_list(body.get("parties"))]):
        if person.get("side") == "complainant":
            person |= {"employee_number": None, "unit": None}
        elif person.get("side") == "officer":
            person |= {"minor": False, "guardian": None}
    if "ends_at" in body:
        body["ends_at"] = "2026-03-03T11:00:00Z"
    if body.get("kind") == "confidentiality":
        body["terms"] = None
    match operation.id:
        case "fileComplaint":
            body["external_reference"] = None
            body["parties"] = [*_list(body["parties"]), {"side": "complainant", "name": "Ana Ruiz"}]
        case "correctParty":  # a complainant
            del body["employee_number"], body["unit"]
        case "startSession":
            body["absent"] = []


@pytest.fixture(scope="module")
async def target(module_office: Office) -> Target:
    """A case where most operations find something to work on, and whoever reaches furthest calls."""
    office = module_office
    story = await (await office.file()).to_signed()
    mediator = story.mediator
    assert mediator is not None

    def token(operation: Operation) -> Mapping[str, str]:
        row = OPERATIONS[operation.id].access
        if row.keys() == {Role.PUBLIC}:
            return {}
        role = next(role for role in _ROLES if role in row)
        caller = mediator if role is Role.MEDIATOR else office.caller(role)
        return {"Authorization": f"Bearer {caller.token}"}

    known = {
        "complaint_id": story.complaint_id,
        "case_id": story.case_id,
        "party_id": story.complainants[0].party_id,
        "mediator_id": mediator.mediator_id,
        "session_id": story.session_id,
        "agreement_id": str(story.agreement["id"]),
    }

    def mend(operation: Operation, body: Schema) -> None:
        mended(operation, body)
        body |= {name: id_ for name, id_ in known.items() if name in body}

    return Target(office.client, token, known, mend, EVERY)


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("part", range(PARTS))
async def test_no_hostile_value_is_an_error_of_the_server(
    module_app: FastAPI, target: Target, part: int, record_property: Callable[[str, object], None]
) -> None:
    found, fields = await probe(_whole(module_app), target, part, PARTS)
    share = "every probe" if EVERY == 1 else f"every {EVERY}th probe"
    record_property("figure", f"part {part + 1} of {PARTS}: {fields} fields met {share}, {len(found)} faults")
    assert not found, listed(found)
    assert fields > 0
