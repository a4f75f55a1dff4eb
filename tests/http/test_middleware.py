"""What surrounds every request: ids, headers, the log line, limits, the last resort, and strict JSON."""

import asyncio
import gc
import json
import logging
import os
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Literal
from uuid import UUID

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import JsonValue
from starlette.types import Message, Scope

from mediation_api.http import middleware
from mediation_api.http.fields import In, Line
from mediation_api.http.middleware import BodyLimit, StrictRoute, install
from mediation_api.http.problems import Malformed
from mediation_api.http.strict_json import parse_json
from mediation_api.texts.loader import load_texts

LIMIT = 1_000
CANARY = "c4n4ry"


class Body(In):
    name: Line


inner = APIRouter(route_class=StrictRoute)


@inner.post("/{thing_id}/notes")
async def add_note(thing_id: str, body: Body) -> dict[str, str]:
    return {"name": body.name, "thing": thing_id}


@inner.post("/{thing_id}/marks")
async def mark(thing_id: str, body: Body | None = None) -> dict[str, str]:
    return {"name": "" if body is None else body.name, "thing": thing_id}


@inner.get("/{thing_id}/notes")
async def read_notes(thing_id: str, request: Request) -> dict[str, str]:
    request.state.role = "intake"
    return {"thing": thing_id}


@inner.get("/{thing_id}/bug")
async def fail(thing_id: str) -> None:
    raise RuntimeError(f"{CANARY} {thing_id}")


@inner.get("/page")
async def page() -> Response:
    return Response("", headers={"Content-Security-Policy": "script-src 'self'"})


@inner.get("/half")
async def half() -> StreamingResponse:
    async def stream() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError(CANARY)

    return StreamingResponse(stream(), headers={"Content-Length": "10", "Cache-Control": "private"})


def application(*, body_seconds: float = 5) -> FastAPI:
    app = FastAPI()
    outer = APIRouter()
    outer.include_router(inner, prefix="/things")
    app.include_router(outer, prefix="/v1")
    install(app, problem_titles=load_texts().problem_titles, body_limit=LIMIT, body_seconds=body_seconds)
    return app


APP = application()


def client_of(app: FastAPI) -> httpx.AsyncClient:
    # Unlike everywhere else: what an exception does to the server is the point here.
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x/v1/things")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(APP) as client:
        yield client


def code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text
    document: dict[str, JsonValue] = answer.json()
    errors = document["errors"]
    if document["code"] == "malformed-request" and isinstance(errors, list) and isinstance(errors[0], dict):
        return str(errors[0]["code"])
    return str(document["code"])


@contextmanager
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, JsonValue]]]:
    found: list[dict[str, JsonValue]] = []
    with caplog.at_level(logging.INFO):
        yield found
    found += [json.loads(record.getMessage()) for record in caplog.records if record.name == middleware.__name__]


# --- the envelope -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offered", ["5f0c-ab.CD_9", "x" * 64])
async def test_a_safe_request_id_is_kept(client: httpx.AsyncClient, offered: str) -> None:
    answer = await client.get("/1/notes", headers={"X-Request-Id": offered})
    assert answer.headers["x-request-id"] == offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "a\nb", "a;b", "é", '{"a"'])
async def test_any_other_request_id_is_replaced(client: httpx.AsyncClient, offered: str) -> None:
    answer = await client.get("/1/notes", headers={b"X-Request-Id": offered.encode()})
    assert str(UUID(answer.headers["x-request-id"])) == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/1/notes", "/nowhere", "/1/bug"])
async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_a_header_that_a_route_sets_is_left_alone(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/page")).headers
    assert headers["content-security-policy"] == "script-src 'self'"
    assert headers["cache-control"] == "no-store"


async def test_head_is_get_without_content(client: httpx.AsyncClient) -> None:
    got, asked = await client.get("/1/notes"), await client.head("/1/notes")
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == got.headers["content-length"] == str(len(got.content))
    assert (await client.head("/nowhere")).status_code == 404
    sent = await call(APP, "HEAD", "/v1/things/1/notes", [b""])
    assert b"".join(message.get("body", b"") for message in sent) == b""


async def test_one_line_per_request_holds_the_template_and_never_what_was_sent(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with lines(caplog) as found:
        await client.get(f"/{CANARY}/notes?q={CANARY}", headers={"X-Request-Id": "r-1", "User-Agent": CANARY})
        await client.head(f"/{CANARY}/notes")
        await client.request(CANARY.upper(), f"/{CANARY}/notes")
        await client.get(f"/{CANARY}")
        await client.get(f"/{CANARY}/bug")
    template = "/v1/things/{thing_id}/notes"
    assert [(line["method"], line["route"], line["status"], line["role"]) for line in found] == [
        ("GET", template, 200, "intake"),
        ("HEAD", template, 200, "intake"),
        ("other", template, 405, None),
        ("GET", None, 404, None),
        ("GET", "/v1/things/{thing_id}/bug", 500, None),
    ]
    assert set(found[0]) == {"event", "method", "route", "status", "duration_ms", "request_id", "role", "refusal"}
    assert found[0]["request_id"] == "r-1"
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("mediation_api")]
    assert CANARY not in "".join(ours).lower()


# --- the last resort ----------------------------------------------------------------------------------------


async def test_an_unhandled_exception_is_a_problem_and_does_not_reach_the_server(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(f"/{CANARY}/bug")
    assert answer.status_code == 500
    assert code(answer) == "internal-error"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_an_answer_that_breaks_off_ends_quietly_with_its_own_headers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with lines(caplog) as found:
        sent = await call(APP, "GET", "/v1/things/half", [b""])
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (b"cache-control", b"private") in sent[0]["headers"]
    assert found[0]["status"] == 200
    assert "RuntimeError" in caplog.text
    assert CANARY not in caplog.text


async def call(
    app: FastAPI,
    method: str,
    path: str,
    chunks: list[bytes],
    *,
    unfinished: bool = False,
    pause: float = 0,
    headers: Mapping[str, str] = MappingProxyType({"Transfer-Encoding": "chunked"}),
) -> list[Message]:
    """Call the application as a server does, with a body in pieces; the last may announce one that never comes."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"content-type", b"application/json"),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    pending = list(chunks)
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(pause if pending else 3600)  # then a client that neither sends nor hangs up
        return {"type": "http.request", "body": pending.pop(0), "more_body": unfinished or bool(pending)}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    async with asyncio.timeout(5):
        await app(scope, receive, send)
    return sent


# --- the body's size and time -------------------------------------------------------------------------------


def body_of(size: int) -> bytes:
    return b'{"name": "x"' + b" " * (size - 13) + b"}"


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100):
        await asyncio.sleep(0)
        yield content[start : start + 100]


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
async def test_a_body_over_the_limit_is_refused_announced_or_not(
    client: httpx.AsyncClient, size: int, status: int, *, announced: bool
) -> None:
    content = body_of(size)
    answer = await client.post(
        "/1/notes",
        content=content if announced else pieces(content),
        headers={"Content-Type": "application/json"},
    )
    assert ("content-length" in answer.request.headers) == announced
    assert answer.status_code == status
    if status == 413:
        assert code(answer) == "payload-too-large"
        assert answer.headers["connection"] == "close"


BODIES = 1_000 if os.environ.get("PROBES") == "whole" else 20
MEBIBYTE = 1 << 20
PIECE = b" " * 65_536


async def flood(client: httpx.AsyncClient, pieces_read: list[int]) -> tuple[int, float]:
    """Send 10 MiB in pieces, without saying how many. Returns the status, and the seconds that it took."""

    async def content() -> AsyncIterator[bytes]:
        for number in range(160):
            pieces_read.append(number)
            yield PIECE

    began = time.perf_counter()
    answer = await client.post("/1/notes", content=content(), headers={"Content-Type": "application/json"})
    return answer.status_code, time.perf_counter() - began


@contextmanager
def allocated() -> Iterator[list[float]]:
    """What Python allocates meanwhile, in MiB: how much at the most, and how much of it stays."""
    found: list[float] = []
    gc.collect()
    tracemalloc.start()
    try:
        yield found
        peak = tracemalloc.get_traced_memory()[1]
        gc.collect()
        found += [peak / MEBIBYTE, tracemalloc.get_traced_memory()[0] / MEBIBYTE]
    finally:
        tracemalloc.stop()


async def test_a_thousand_bodies_over_the_limit_take_no_memory(
    client: httpx.AsyncClient, record_property: Callable[[str, object], None]
) -> None:
    """How long the slowest takes is recorded and not checked: a test shares its machine.

    A thousand they are with `PROBES=whole`, as CI and `make security` have it; otherwise twenty.
    """
    read: list[int] = []
    await flood(client, [])  # what the first one loads stays
    with allocated() as memory:
        answers = [await flood(client, read) for _ in range(BODIES)]
    slowest = max(seconds for _, seconds in answers) * 1000
    told = f"{memory[0]:.1f} MiB at the most, {memory[1]:.1f} MiB kept, {slowest:.0f} ms the slowest"
    record_property("figure", f"{BODIES:,} bodies of 10 MiB: {told}")
    assert {status for status, _ in answers} == {413}
    assert len(read) <= 2 * BODIES, "more than a piece or two of each was read"
    assert memory[0] < 20


async def test_without_the_limit_all_of_a_body_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    app = application()
    monkeypatch.setattr(BodyLimit, "__call__", lambda self, scope, receive, send: self.app(scope, receive, send))
    read: list[int] = []
    async with client_of(app) as client:
        with allocated() as memory:
            status, _ = await flood(client, read)
    assert (status, len(read)) == (400, 160)
    assert memory[0] > 10


@pytest.mark.parametrize("length", ["9" * 5_000, str(2**63), "1001"])
async def test_an_announced_size_is_believed_before_anything_is_read(client: httpx.AsyncClient, length: str) -> None:
    answer = await client.post("/1/notes", content=b"{}", headers={"Content-Length": length})
    assert code(answer) == "payload-too-large"
    for method, path, status in (("POST", "/nowhere", 404), ("PUT", "/1/notes", 405), ("GET", "/1/notes", 200)):
        answer = await client.request(method, path, content=b"{}", headers={"Content-Length": length})
        assert (answer.status_code, answer.headers["connection"]) == (status, "close")


@pytest.mark.parametrize("length", [b"+5", b"1_0", "\u0665".encode(), b"\xb2", b"five"])
async def test_a_size_that_is_no_number_is_left_to_the_count(client: httpx.AsyncClient, length: bytes) -> None:
    answer = await client.post(
        "/1/notes",
        content=b'{"name": "x"}',
        headers={b"Content-Length": length, b"Content-Type": b"application/json"},
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("trickling", [False, True])
async def test_a_body_that_does_not_arrive_in_time_is_given_up(*, trickling: bool) -> None:
    app = application(body_seconds=0.1)
    chunks = [b"{", *[b" "] * 20, b"}"] if trickling else [b"{"]
    sent = await call(app, "POST", "/v1/things/1/notes", chunks, unfinished=not trickling, pause=0.03)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["code"] == "request-timeout"


@pytest.mark.parametrize(
    ("headers", "chunks", "close"),
    [
        ({}, [], False),
        ({"Content-Length": "0"}, [], False),
        ({"Content-Length": "4"}, [b"{}", b"{}"], False),
        ({"Transfer-Encoding": "chunked"}, [b"{}", b"{}"], False),
        ({"Content-Length": "4"}, [b"{}"], True),
        ({"Content-Length": "4", "Expect": "100-continue"}, [b"{}", b"{}"], True),
        ({"Transfer-Encoding": "chunked"}, [b" " * (LIMIT - 1), b"{}"], True),
    ],
)
async def test_a_body_that_nobody_reads_arrives_soon_or_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], chunks: list[bytes], *, close: bool
) -> None:
    monkeypatch.setattr(middleware, "LINGER_SECONDS", 0.05)
    unfinished = b"".join(chunks) == b"{}"
    sent = await call(APP, "POST", "/v1/things/nowhere", chunks, unfinished=unfinished, pause=0.001, headers=headers)
    assert sent[0]["status"] == 404
    assert ((b"connection", b"close") in sent[0]["headers"]) == close


async def test_waiting_for_a_caller_to_hang_up_is_not_limited() -> None:
    app = FastAPI()

    @app.get("/wait")
    async def wait(request: Request) -> None:
        await request.body()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await request.receive()

    install(app, problem_titles=load_texts().problem_titles, body_limit=LIMIT, body_seconds=0.02)
    sent = await call(app, "GET", "/wait", [b""])
    assert sent[0]["status"] == 200


# --- strict JSON --------------------------------------------------------------------------------------------

DEEPEST: JsonValue = []
for _ in range(30):
    DEEPEST = [DEEPEST]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "not-json"),
        (b" ", "not-json"),
        (b"{", "not-json"),
        (b"{'a': 1}", "not-json"),
        (b'{"a": "b\nc"}', "not-json"),
        (b'{"a": 01}', "not-json"),
        (b"{} {}", "not-json"),
        (b'{"a": NaN}', "not-json"),
        (b'{"a": Infinity}', "not-json"),
        (b'{"a": -Infinity}', "not-json"),
        (b'{"a": 1e400}', "number-out-of-range"),
        (b'{"a": -1e400}', "number-out-of-range"),
        (b'{"a": 9223372036854775808}', "number-out-of-range"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "number-out-of-range"),
        (b'{"a": 1, "a": 2}', "duplicate-key"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "duplicate-key"),
        (b'{"a": "\\ud800"}', "lone-surrogate"),
        (b'{"a": ["\\udc00\\ud800"]}', "lone-surrogate"),
        (b'{"\\ud800": 1}', "lone-surrogate"),
        (b'{"a": "\xff"}', "not-utf-8"),
        (b'{"a": "\xed\xa0\x80"}', "not-utf-8"),
        (b'{"a": "\xc0\x80"}', "not-utf-8"),
        (b'\xef\xbb\xbf{"a": 1}', "byte-order-mark"),
        ('{"a": 1}'.encode("utf-16"), "not-utf-8"),
        ('{"a": 1}'.encode("utf-16-le"), "not-json"),
        ('{"a": 1}'.encode("utf-32-be"), "not-json"),
        (b"[" * 33 + b"]" * 33, "too-deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "too-deep"),
        (b"[" * 100_000, "too-deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too-deep"),
    ],
)
def test_a_body_that_two_parsers_could_read_differently_is_refused(body: bytes, rule: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_json(body)
    assert caught.value.rule == rule
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        None,
        "\U0001f600 \ufeff \uffff",
        {"a": [1, -0.5, True, None, "é"], "b": {"a": 2**63 - 1, "c": -(2**63) + 1}},
        [DEEPEST],
    ],
)
def test_any_other_json_is_read(value: JsonValue) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ('application/json;charset="utf-8"', 200),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=latin-1", 415),
        ("application/ld+json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("", 415),
        (None, 415),
    ],
)
async def test_a_body_must_say_that_it_is_json(client: httpx.AsyncClient, media_type: str | None, status: int) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = await client.post("/1/notes", content=b'{"name": "x"}', headers=headers)
    assert answer.status_code == status
    assert status == 200 or code(answer) == "unsupported-media-type"


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 200), (b'{"name": "x"}', 200), (b"null", 422), (b"[]", 422), (b"{}", 422)]
)
async def test_a_body_that_may_be_left_out_is_an_object_if_there_is_one(
    client: httpx.AsyncClient, content: bytes, status: int
) -> None:
    headers = {"Content-Type": "application/json"} if content else {}
    answer = await client.post("/1/marks", content=content, headers=headers)
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["errors"][0]["pointer"] == ("/name" if content == b"{}" else "")


async def test_strictness_survives_two_inclusions(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/1/notes", content=b'{"name": "a", "name": "b"}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert code(answer) == "duplicate-key"


# --- a real server ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["httptools", "h11"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    kind: Literal["httptools", "h11"] = request.param
    config = uvicorn.Config(application(body_seconds=0.3), http=kind, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        serving = asyncio.create_task(server.serve([listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


async def exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//",
        "/v1/things/%00/notes",
        "/v1/things/%FF/notes",
        "/v1/things/%ED%A0%80/notes",
        "/v1/things/%2F/notes",
        "/v1/things/../../etc/notes",
        "/v1/things/a/notes?q=%00&q=%FF&%00=1&=&&",
        "/v1/things/a/notes?" + "&".join(["a=1"] * 2_000),
        "http://elsewhere/v1/things/a/notes",
        "*",
    ],
)
async def test_no_target_is_an_error_of_the_server(port: int, target: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = await exchange(port, request.encode())
        assert answer.split(b" ")[1][:1] in {b"2", b"4"}, answer


async def test_a_slow_body_and_a_chunked_flood_get_problem_documents(port: int) -> None:
    head = b"POST /v1/things/1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    slow = await exchange(port, head + b"Content-Length: 100\r\n\r\n{")
    assert slow.startswith(b"HTTP/1.1 408")
    assert b'"code":"request-timeout"' in slow
    chunk = b"1f4\r\n" + b" " * 500 + b"\r\n"
    flood = await exchange(port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 4 + b"0\r\n\r\n")
    assert flood.startswith(b"HTTP/1.1 413")
    assert b'"code":"payload-too-large"' in flood


async def test_nobody_holds_a_connection_with_a_body_that_is_not_read(port: int) -> None:
    head = b"POST /v1/things/nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    began = time.monotonic()
    refused = await exchange(port, head + b"{")  # reads until the server closes
    assert refused.startswith(b"HTTP/1.1 404")
    assert time.monotonic() - began < 4
    again = await exchange(
        port, head + b" " * 100 + b"GET /v1/things/page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert again.count(b"HTTP/1.1 ") == 2, "the connection is kept if the body has arrived"


async def test_an_exception_is_not_in_the_servers_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await exchange(
            port, f"GET /v1/things/{CANARY}/bug HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        broken_off = await exchange(port, b"GET /v1/things/half HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500")
    assert b'"code":"internal-error"' in answer
    assert broken_off.endswith(b"first")
    assert not [record for record in caplog.records if record.exc_info]
