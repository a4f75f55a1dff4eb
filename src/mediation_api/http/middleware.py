"""The middleware of every request, and the route class that parses JSON strictly.

    Envelope            request id, security headers, HEAD, one log line
      CrossOrigin         CORS, if origins are configured
        LastResort          turns an unhandled exception into a problem document
          BodyLimit           limits size and time of the body
            FastAPI             with the exception handlers of `problems.py`
              StrictRoute         who is calling, content negotiation, strict JSON, the transaction, idempotency

Plain ASGI throughout: Starlette's BaseHTTPMiddleware hides disconnects and loses context variables
(docs/decisions/0077-middleware-is-plain-asgi.md).
"""

import asyncio
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext, suppress
from http import HTTPStatus
from typing import Final
from uuid import uuid4

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from pydantic import JsonValue
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediation_api.http import addresses, problems
from mediation_api.http.content_negotiation import accepts, prefers
from mediation_api.http.cors import CrossOrigin
from mediation_api.http.csv_pages import CSV, CsvColumns
from mediation_api.http.dependencies import (
    StoredResponseFound,
    authorise,
    is_for_office,
    needs_connection,
    open_connection,
)
from mediation_api.http.fields import parameter_broken
from mediation_api.http.idempotency import finish
from mediation_api.http.json_lines import allow_lines, allowance_of
from mediation_api.http.printing import UnprintedResponse, printed
from mediation_api.http.problem_catalogue import ProblemDetails, ProblemTitles
from mediation_api.http.rate_limits import Quota
from mediation_api.http.routes import declared
from mediation_api.http.strict_json import parse_json
from mediation_api.logs import LogEvent

BODY_SECONDS: Final = 10.0
LINGER_SECONDS: Final = 1.0
"""How long the rest of a body that nobody reads may take to arrive before its connection is closed."""

_log = logging.getLogger(__name__)


def install(
    app: FastAPI,
    *,
    problem_titles: ProblemTitles,
    problem_details: ProblemDetails | None = None,
    body_limit: int,
    body_seconds: float = BODY_SECONDS,
    origins: Sequence[str] = (),
    public_url: str = "",
) -> None:
    """Install the middleware and the exception handlers in `app`. Call it once.

    Args:
        app: The application. Its routers must use `route_class=StrictRoute`.
        problem_titles: The titles of problems, in each language.
        problem_details: The sentences of their details, in each language; by default, in English only.
        body_limit: The largest body, in bytes.
        body_seconds: How long a body may take to arrive.
        origins: The origins whose pages may call the service (CORS).
        public_url: Where callers find the service, without a slash at its end; empty if that is not known.
    """
    app.router.redirect_slashes = False  # a redirect is not in the contract, and is not a problem document
    app.state.problem_titles = problem_titles
    app.state.problem_details = problem_details or {}
    addresses.publish(app, public_url)
    for kind, handler in problems.HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(BodyLimit, limit=body_limit, seconds=body_seconds)
    app.add_middleware(LastResort)
    if origins:
        app.add_middleware(CrossOrigin, origins=origins)
    app.add_middleware(Envelope)


# --- the envelope -------------------------------------------------------------------------------------------

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Envelope:
    """Sets the request id and the headers of every response, and writes one log line.

    An `X-Request-Id` of up to 64 safe characters is kept, any other is replaced. HEAD is answered like GET without the
    body. Security headers that a route sets itself are not overwritten.

    The log line has the fields below and nothing else: no path, query, address or name. `role` is
    `request.state.role`, which authentication sets; `refusal` is why a token was refused, by `problems.on_refusal`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._templates: Mapping[object, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        method: str = scope["method"]
        header = Headers(scope=scope).get("x-request-id", "")
        request_id = header if _REQUEST_ID.fullmatch(header) else str(uuid4())
        status: int | None = None
        scope = {**scope, "method": "GET" if method == "HEAD" else method}
        state: dict[str, object] = scope.setdefault("state", {})
        state["request_id"] = request_id

        async def enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["API-Version"] = scope["app"].version
                quota = state.get("quota")
                if isinstance(quota, Quota):
                    headers.update(quota.headers(refused=status == HTTPStatus.TOO_MANY_REQUESTS))
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            elif method == "HEAD" and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self.app(scope, receive, enveloped)
        finally:
            _log.info(
                LogEvent(
                    "request",
                    method=problems.method_of(method),
                    route=self._template(scope),
                    status=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                    role=state.get("role"),
                    refusal=state.get("refusal"),
                    request_id=request_id,
                )
            )

    def _template(self, scope: Scope) -> str | None:
        """Return the path template of the route, as in the contract; None if no route matched."""
        if not self._templates:
            self._templates = problems.route_templates(scope["app"])
        return self._templates.get(scope.get("endpoint")) or None


# --- the last resort ----------------------------------------------------------------------------------------


class LastResort:
    """Answers an unhandled exception with a problem document, 503 or 500.

    The exception is not raised further: uvicorn would log its text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as exc:  # noqa: BLE001 - every unhandled exception is answered here
            response = problems.on_failure(Request(scope), exc)
            # If the response has begun, nothing can be sent: the server closes the connection of the unfinished one.
            if not begun:
                await response(scope, receive, send)


# --- the body's size and time -------------------------------------------------------------------------------

_LONGEST_LENGTH: Final = 15  # digits; int() of thousands of digits takes long


class BodyLimit:
    """Refuses a body that is too large, by its Content-Length or as it arrives (413), or too slow (408).

    Both are decided when the body is first read, so a caller who is refused without that is answered that refusal. The
    rest of its body may arrive within a second, and is dropped; otherwise the connection is closed after the response,
    so that nobody can hold it by sending slowly what is not read.
    """

    def __init__(self, app: ASGIApp, *, limit: int, seconds: float) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(scope, receive, limit=self.limit, seconds=self.seconds)

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start" and not await body.is_dropped():
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, body.receive, answered)


class _Body:
    """The body of one request: it counts what arrives, and until when it may."""

    def __init__(self, scope: Scope, receive: Receive, *, limit: int, seconds: float) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._deadline: float | None = None
        self._received = 0
        self._scope = scope
        self._length = length
        self._is_complete = length in {"", "0"} and "transfer-encoding" not in headers
        # A caller who waits for "100 Continue" sends nothing before the body is read.
        self._given_up = _is_over(length, limit) or "expect" in headers

    async def receive(self) -> Message:
        """Return the next message. Raises HTTPException if the body is too large (413) or too slow (408)."""
        if self._deadline is None:
            self._limit, self._seconds = allowance_of(self._scope) or (self._limit, self._seconds)
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        elif self._is_complete:  # from here on FastAPI only waits for the caller to disconnect
            return await self._receive()
        if _is_over(self._length, self._limit):
            raise HTTPException(413)
        return await self._next(self._deadline)

    async def is_dropped(self) -> bool:
        """Whether all of the body has arrived, after reading what is left of it if that is little and soon."""
        deadline = asyncio.get_running_loop().time() + LINGER_SECONDS
        with suppress(HTTPException):
            while not (self._is_complete or self._given_up):
                await self._next(deadline)
        return self._is_complete

    async def _next(self, deadline: float) -> Message:
        try:
            async with asyncio.timeout_at(deadline):
                message = await self._receive()
        except TimeoutError:
            self._given_up = True
            raise HTTPException(408) from None
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            self._given_up = True
            raise HTTPException(413)
        self._is_complete = not message.get("more_body", False)
        return message


def _is_over(length: str, limit: int) -> bool:
    """Whether a Content-Length is a number over the limit."""
    if not (length.isascii() and length.isdigit()):
        return False
    return len(length) > _LONGEST_LENGTH or int(length) > limit


# --- strict JSON --------------------------------------------------------------------------------------------

_JSON_TYPE = re.compile(r'application/json[ \t]*(;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)


class StrictRequest(Request):
    """A request whose body is parsed strictly, and once. FastAPI calls `body` and then `json`."""

    _json: JsonValue

    async def body(self) -> bytes:
        """Return the body. Raises HTTPException 415 if there is a body and its Content-Type is not JSON."""
        body = await super().body()
        if body and not _JSON_TYPE.fullmatch(self.headers.get("content-type", "").strip()):
            raise HTTPException(415)
        return body

    async def json(self) -> JsonValue:
        """Return the parsed body. Raises Malformed."""
        if not hasattr(self, "_json"):
            self._json = parse_json(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """The class of all routes: `APIRouter(route_class=StrictRoute)`."""

    def __init__(self, path: str, endpoint: Callable[..., object], **options: object) -> None:
        """Set the route's `operationId` to the id of the operation that its function declares."""
        self.operation = declared(endpoint)
        if self.operation is not None:
            options["operation_id"] = self.operation.id
        super().__init__(path, endpoint, **options)  # type: ignore[arg-type] # what FastAPI's decorators pass

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """Return the handler: it checks the request, passes a StrictRequest on, and completes the response."""
        handle = super().get_route_handler()
        takes_query = _takes_query(self.dependant)
        offered = _offered(self)
        check_body = _body_check(self)
        location = None if self.operation is None else self.operation.location
        has_csv = self.operation is not None and self.operation.has_csv
        columns = CsvColumns.of(self.response_model) if has_csv else None
        uses_connection = needs_connection(self.dependant)

        async def completed(request: Request, *, as_csv: bool) -> Response:
            """Return the response of the route's function as it is sent. The transaction commits after it."""
            response = await handle(request)
            if location is not None and response.status_code in {HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
                created = location.format_map(json.loads(bytes(response.body)))
                response.headers["Location"] = addresses.public_reference(request, created)
            if columns is not None and as_csv and response.status_code == HTTPStatus.OK:
                response = columns.page(response, with_header="cursor" not in request.query_params)
            return await finish(request, response)

        async def strict(request: Request) -> Response:
            if self.operation is not None:
                await authorise(request)
            accept = request.headers.getlist("accept")
            as_csv = columns is not None and is_for_office(request) and prefers(accept, CSV, to="application/json")
            if offered and not as_csv and not accepts(accept, offered):
                raise HTTPException(406)
            if takes_query:
                _require_each_once(request)
            read_strictly = StrictRequest(request.scope, request.receive)
            await check_body(read_strictly)
            try:
                async with open_connection(read_strictly) if uses_connection else nullcontext():
                    response = await completed(read_strictly, as_csv=as_csv)
            except StoredResponseFound as again:
                return again.response
            if isinstance(response, UnprintedResponse):
                return await finish(read_strictly, await printed(read_strictly, response))
            return response

        return strict


def _body_check(route: StrictRoute) -> Callable[[StrictRequest], Coroutine[None, None, None]]:
    """Return what of a request's body is read and checked before the connection of the request is opened."""
    takes_lines = route.operation is not None and route.operation.takes_lines
    takes_something = route.body_field is not None
    may_be_absent = route.body_field is not None and not route.body_field.field_info.is_required()

    async def check(request: StrictRequest) -> None:
        if takes_lines:
            allow_lines(request)
        elif not takes_something and request.method != "GET":
            _require_no_fields(await request.body())
        elif takes_something and await request.body() and may_be_absent and await request.json() is None:
            # FastAPI would take `null` for no body, but a body that may be left out is an object.
            raise RequestValidationError([{"type": "model_type", "loc": ("body",)}])

    return check


def _offered(route: StrictRoute) -> tuple[str, ...]:
    """Return the media types of a route's responses; none if Accept is ignored, as for a withdrawal.

    It is also ignored for the files of the documentation page, which are not operations: browsers send various values.
    """
    if not route.include_in_schema or (route.operation is not None and route.operation.always_answered):
        return ()
    if route.response_class is HTMLResponse:
        return ("text/html",)
    return (getattr(route.response_class, "media_type", None) or "application/json", problems.MEDIA_TYPE)


def _takes_query(dependant: Dependant) -> bool:
    """Whether a route, or one of its dependencies, has query parameters."""
    return bool(dependant.query_params) or any(map(_takes_query, dependant.dependencies))


def _require_each_once(request: Request) -> None:
    """Raise RequestValidationError if a query parameter is repeated: FastAPI would use the last value silently."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [
        parameter_broken("repeated", name, "This may be sent once.") for name, times in counts.items() if times > 1
    ]
    if repeated:
        raise RequestValidationError(repeated)


def _require_no_fields(body: bytes) -> None:
    """Raise RequestValidationError if a body has content that the operation would ignore."""
    value = parse_json(body) if body else None
    if isinstance(value, dict):
        unknown: list[dict[str, object]] = [{"type": "extra_forbidden", "loc": ("body", name)} for name in value]
    else:
        unknown = [] if value is None else [{"type": "extra_forbidden", "loc": ("body",)}]
    if unknown:
        raise RequestValidationError(unknown, body=value)
