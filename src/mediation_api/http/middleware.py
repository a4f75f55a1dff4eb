"""What surrounds every request: its id, its log line, its limits, its last resort, and strict JSON.

    Envelope            request id, security headers, HEAD, one log line
      PagesElsewhere      which pages may call; only where the city named some
        LastResort          an exception that nobody handled becomes a problem document; it never reaches the server
          BodyLimit           size and time of the body
            FastAPI             its handlers are those of `problems.py`
              StrictRoute         reads JSON in one way only

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

from mediation_api.http import problems
from mediation_api.http.content_negotiation import accepts
from mediation_api.http.cors import CrossOrigin
from mediation_api.http.fields import rule
from mediation_api.http.idempotency import StoredResponseFound, finish
from mediation_api.http.problem_catalogue import ProblemTitles
from mediation_api.http.rate_limits import Quota
from mediation_api.http.routes import declared
from mediation_api.http.strict_json import parse_json
from mediation_api.logs import LogEvent

BODY_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


def install(
    app: FastAPI,
    *,
    problem_titles: ProblemTitles,
    body_limit: int,
    body_seconds: float = BODY_SECONDS,
    origins: Sequence[str] = (),
) -> None:
    """Give `app` the middleware, the handlers and the documented problems of this service. Call it once.

    Args:
        app: The application. Its routers are to use `route_class=StrictRoute`.
        problem_titles: The titles of problems, in each language.
        body_limit: The largest body, in bytes.
        body_seconds: How long a body may take to arrive.
        origins: Where pages may call from. They carry tokens, never cookies.
    """
    app.router.redirect_slashes = False  # a redirect is neither in the contract nor a problem document
    app.state.problem_titles = problem_titles
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
    """The request's id, the headers of every answer, and one log line.

    An `X-Request-Id` of up to 64 safe characters is kept, any other is replaced. HEAD is answered as GET
    without its content. A header that a route sets itself is left alone.

    The log line holds what is listed here and nothing else: no path, no query, no address, no name. `role` is
    what the authentication left in `request.state.role`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._templates: Mapping[object, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        method: str = scope["method"]
        offered = Headers(scope=scope).get("x-request-id", "")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else str(uuid4())
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
                    request_id=request_id,
                )
            )

    def _template(self, scope: Scope) -> str | None:
        """Return the path as the contract writes it, with its prefixes; None when no route matched."""
        if not self._templates:
            self._templates = problems.route_templates(scope["app"])
        return self._templates.get(scope.get("endpoint")) or None


# --- the last resort ----------------------------------------------------------------------------------------


class LastResort:
    """Answer 503 or 500 with a problem document when nobody handled an exception.

    The exception ends here: whatever is raised further, Starlette passes on and uvicorn logs with its text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
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
        except Exception as exc:  # noqa: BLE001 - this is the place for all of them
            response = problems.on_failure(Request(scope), exc)
            # When the answer has begun it is too late: the server sees it unfinished and closes the connection.
            if not begun:
                await response(scope, receive, send)


# --- the body's size and time -------------------------------------------------------------------------------

_LONGEST_LENGTH: Final = 15  # digits; int() of thousands of them would itself be an attack


class BodyLimit:
    """Refuse a body that is too large (413), announced or not, or too slow (408)."""

    def __init__(self, app: ASGIApp, *, limit: int, seconds: float) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self._announces_too_much(scope):
            refused = HTTPException(413, headers={"Connection": "close"})
            response = await problems.on_http(Request(scope), refused)
            await response(scope, receive, send)
            return
        taken = 0
        complete = False
        deadline: float | None = None

        async def limited() -> Message:
            nonlocal taken, complete, deadline
            if complete:  # from here on it only waits for the caller to hang up
                return await receive()
            deadline = deadline or asyncio.get_running_loop().time() + self.seconds
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers={"Connection": "close"}) from None
            complete = not message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > self.limit:
                raise HTTPException(413, headers={"Connection": "close"})
            return message

        await self.app(scope, limited, send)

    def _announces_too_much(self, scope: Scope) -> bool:
        length = Headers(scope=scope).get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return False
        return len(length) > _LONGEST_LENGTH or int(length) > self.limit


# --- strict JSON --------------------------------------------------------------------------------------------

_JSON_TYPE = re.compile(r'application/json[ \t]*(;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)


class StrictRequest(Request):
    """A request whose body is read in one way only. FastAPI calls `body` and then `json`."""

    async def body(self) -> bytes:
        """Return the body. Raises HTTPException 415 when there is one that is not declared as JSON."""
        body = await super().body()
        if body and not _JSON_TYPE.fullmatch(self.headers.get("content-type", "").strip()):
            raise HTTPException(415)
        return body

    async def json(self) -> JsonValue:
        """Return the parsed body. Raises Malformed."""
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body strictly: `APIRouter(route_class=StrictRoute)`."""

    def __init__(self, path: str, endpoint: Callable[..., object], **options: object) -> None:
        """Make a route whose `operationId` is the id of the operation that its function declares."""
        self.operation = declared(endpoint)
        if self.operation is not None:
            options["operation_id"] = self.operation.id
        super().__init__(path, endpoint, **options)  # type: ignore[arg-type] # what FastAPI's decorators pass

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """Hand the endpoint a StrictRequest, and refuse fields that an operation without a body does not have."""
        handle = super().get_route_handler()
        takes_query = _takes_query(self.dependant)
        offered = _offered(self)
        location = None if self.operation is None else self.operation.location

        async def strict(request: Request) -> Response:
            if offered and not accepts(request.headers.getlist("accept"), offered):
                raise HTTPException(406)
            if takes_query:
                _require_each_once(request)
            read_strictly = StrictRequest(request.scope, request.receive)
            if self.body_field is None and request.method != "GET":
                _require_no_fields(await read_strictly.body())
            try:
                response = await handle(read_strictly)
            except StoredResponseFound as again:
                return again.response
            if location is not None and response.status_code == HTTPStatus.CREATED:
                response.headers["Location"] = location.format_map(json.loads(bytes(response.body)))
            # The transaction of the request is still open: it commits when this function has returned.
            return await finish(request, response)

        return strict


def _offered(route: StrictRoute) -> tuple[str, ...]:
    """The media types of an operation; none where it is answered whatever is accepted, a withdrawal first of all.

    The files of the documentation page are no operations: a browser asks for each in its own way.
    """
    if not route.include_in_schema or (route.operation is not None and route.operation.always_answered):
        return ()
    if route.response_class is HTMLResponse:
        return ("text/html",)
    return ("application/json", problems.MEDIA_TYPE)


def _takes_query(dependant: Dependant) -> bool:
    """Whether an operation, or something that it depends on, has parameters in the query."""
    return bool(dependant.query_params) or any(map(_takes_query, dependant.dependencies))


def _require_each_once(request: Request) -> None:
    """Raise RequestValidationError: a parameter is repeated. No operation takes a list; the last would silently win."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    told = {"type": rule("repeated"), "msg": "This may be given once."}
    repeated = [{**told, "loc": ("query", name)} for name, times in given.items() if times > 1]
    if repeated:
        raise RequestValidationError(repeated)


def _require_no_fields(body: bytes) -> None:
    """Raise RequestValidationError: there is a body, and it says something. Nothing said is silently dropped."""
    said = parse_json(body) if body else None
    if isinstance(said, dict):
        unknown: list[dict[str, object]] = [{"type": "extra_forbidden", "loc": ("body", name)} for name in said]
    else:
        unknown = [] if said is None else [{"type": "extra_forbidden", "loc": ("body",)}]
    if unknown:
        raise RequestValidationError(unknown, body=said)
