"""Turn exceptions into problem documents (RFC 9457).

    a Refusal of the domain              the status in STATUS of the class or its nearest ancestor
    an invalid body or parameter         422 `validation-failed` with all errors
    an HTTPException                     HTTP: 400, 404, 405, 408, 413, 415, …
    the database down or overloaded      503 `unavailable` with Retry-After
    any other exception                  500 `internal-error`

A document never contains a value that was sent. Of an exception, only the class, the SQLSTATE and the place are logged:
the text of a database error contains values even with `hide_parameters`
(docs/decisions/0067-logs-hold-ids-never-people.md).
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Literal, TypeAlias, get_args
from uuid import UUID, uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from pydantic import Field, JsonValue
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

from mediation_api.auth.identity_provider import KeysUnavailable
from mediation_api.database.transactions import OutcomeUnknown
from mediation_api.domain.errors import (
    CONDITIONS,
    ConditionsMissing,
    Conflict,
    FieldRule,
    Invalid,
    Missing,
    NotFound,
    NotPermitted,
    Refusal,
    ScopeMissing,
    Unauthenticated,
)
from mediation_api.domain.values import MOST_CONDITIONS
from mediation_api.http import problem_catalogue
from mediation_api.http.addresses import problem_type
from mediation_api.http.fields import RULE, SENTENCE, OpenList, Out, OwnRule
from mediation_api.http.problem_catalogue import localized_detail
from mediation_api.logs import LogEvent, class_of, places_of, sqlstate_of

MEDIA_TYPE: Final = "application/problem+json"
MOST_ERRORS: Final = 50
RETRY_AFTER_SECONDS: Final = 2

_log = logging.getLogger(__name__)

# --- the tables ---------------------------------------------------------------------------------------------

STATUS: Final[Mapping[type[Refusal], int]] = {
    Unauthenticated: 401,
    NotPermitted: 403,
    NotFound: 404,
    Conflict: 409,
    Invalid: 422,
}
"""The status of each refusal; a subclass without an entry has its parent's."""

HTTP: Final[Mapping[int, tuple[str, str]]] = {
    400: ("malformed-request", "The request cannot be read."),
    401: (Unauthenticated.code, Unauthenticated.detail),
    403: (NotPermitted.code, NotPermitted.detail),
    404: (NotFound.code, NotFound.detail),
    405: ("method-not-allowed", "This address does not support this method; Allow lists those that it supports."),
    406: ("not-acceptable", "Accept does not include the media type of the response."),
    408: ("request-timeout", "The body did not arrive in time."),
    410: ("feed-restored", "The feed has no such place any more: go on at the address in Link."),
    412: ("precondition-failed", "This has changed since you read it: read it again."),
    413: ("payload-too-large", "The body is larger than this service allows."),
    415: ("unsupported-media-type", "The body must be application/json in UTF-8."),
    422: (Invalid.code, "Some fields break a rule; see the list."),
    429: ("quota-exceeded", "Too many requests in this minute: wait for Retry-After seconds."),
    428: ("precondition-required", "Send the ETag of the representation you have read in If-Match."),
    500: ("internal-error", "Something went wrong here. Quote the request id when you report it."),
    503: ("unavailable", "The service cannot do this just now. Nothing was changed; try again shortly."),
}
"""The code and the detail of each HTTP error, by status."""

REFUSED: Final = "The request was refused."
"""The detail of an HTTP error with any other status."""

_NEEDED = "wrong-type"
FIELD: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("missing", "This is required."),
    "extra_forbidden": ("unknown-field", "This is not known here."),
    "string_type": (_NEEDED, "Text is needed."),
    "string_unicode": ("not-unicode", "The text is not valid Unicode."),
    "string_too_short": ("too-short", "At least {min_length} characters."),
    "string_too_long": ("too-long", "At most {max_length} characters."),
    "string_pattern_mismatch": ("malformed", "The text does not have the expected form."),
    "int_type": (_NEEDED, "A whole number is needed."),
    "int_parsing_size": ("out-of-range", "The number is out of range."),
    "bool_type": (_NEEDED, "true or false is needed."),
    "greater_than": ("out-of-range", "More than {gt}."),
    "greater_than_equal": ("out-of-range", "At least {ge}."),
    "less_than": ("out-of-range", "Less than {lt}."),
    "less_than_equal": ("out-of-range", "At most {le}."),
    "enum": ("not-allowed", "One of: {expected}."),
    "literal_error": ("not-allowed", "One of: {expected}."),
    "union_tag_invalid": ("not-allowed", "One of: {expected_tags}."),
    "union_tag_not_found": ("missing", "The field {discriminator} is required."),
    "list_type": (_NEEDED, "An array is needed."),
    "tuple_type": (_NEEDED, "An array is needed."),
    "too_short": ("too-few", "At least {min_length} items."),
    "too_long": ("too-many", "At most {max_length} items."),
    "dict_type": (_NEEDED, "An object is needed."),
    "model_type": (_NEEDED, "An object is needed."),
    "model_attributes_type": (_NEEDED, "An object is needed."),
}
"""The code and the detail of pydantic's errors. Its own messages are not used, because some contain the value."""
OTHERWISE: Final = ("invalid", "This value is not valid here.")

Unreadable: TypeAlias = Literal[
    "byte-order-mark",
    "duplicate-key",
    "lone-surrogate",
    "not-json",
    "not-utf-8",
    "number-out-of-range",
    "too-deep",
]
"""The reasons why a body cannot be read (`strict_json.py`)."""

_OF_A_TYPE: Final[frozenset[OwnRule]] = frozenset(
    {
        "blank",
        "control-character",
        "cursor",
        "direction-control",
        "invisible-character",
        "no-offset",
        "not-a-date",
        "not-a-uuid",
        "not-an-instant",
        "not-a-language",
        "not-clearable",
        "nothing-to-change",
        "repeated",
        "too-long",
    }
)
SHAPE_CODES: Final = frozenset(
    {*_OF_A_TYPE, *get_args(Unreadable), *(code for code, _ in (*FIELD.values(), OTHERWISE))}
)
"""The codes of what the schema of a field or of a body says. All others are rules of an operation."""

FIELD_CODES: Final = frozenset(
    {
        *get_args(FieldRule),
        *get_args(OwnRule),
        *get_args(Unreadable),
        *(code for code, _ in (*FIELD.values(), OTHERWISE)),
    }
)
"""Every `code` of an entry in `errors`."""

OUTCOME_UNKNOWN: Final = (
    "It is not known whether this was carried out. Send the same request again, with the same Idempotency-Key."
)
"""The connection was lost while the database committed, or its standby did not confirm."""

_UNAVAILABLE: Final[Mapping[str, re.Pattern[str]]] = {
    "statement-timeout": re.compile("57014"),
    "connection": re.compile("08...|57..."),  # lost, or the server is being shut down
    "resources": re.compile("53..."),  # a full disk, too many connections
    "read-only": re.compile("25006"),  # after a failover
    "lock-timeout": re.compile("55P03"),
    "contention": re.compile("40001|40P01"),  # a serialization failure, a deadlock
}
"""Why the database is unavailable, by SQLSTATE: the request is answered 503."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def status_of(refusal: type[Refusal]) -> int:
    """Return the status of a class of refusals. Raises LookupError when no ancestor has a row."""
    for ancestor in refusal.__mro__:
        if ancestor in STATUS:
            return STATUS[ancestor]
    raise LookupError(f"{refusal.__name__} has no row in STATUS")


# --- the document -------------------------------------------------------------------------------------------


FieldCode: TypeAlias = Annotated[str, OpenList("FieldErrorCode", tuple(sorted(FIELD_CODES)), "Which rule is broken.")]


class FieldError(Out):
    """One field that is not valid."""

    in_: Literal["body", "query", "path", "header"] = Field(
        serialization_alias="in", description="Which part of the request it is in."
    )
    pointer: str | None = Field(description="JSON pointer (RFC 6901) into the body.")
    parameter: str | None = Field(description="Name of the parameter, outside the body.")
    code: FieldCode
    detail: str = Field(description="A sentence for people, in the language of `Content-Language`. It may change.")


class MissingCondition(Out):
    """One condition of a gate that is not met."""

    code: Annotated[str, OpenList("ConditionCode", tuple(sorted(CONDITIONS)), "Which condition it is.")]
    subject_id: UUID | None = Field(description="The party, attendee or mediator it concerns.")
    detail: str = Field(description="A sentence for people, in the language of `Content-Language`. It may change.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """A field that breaks a rule, before its sentence is put into the caller's language.

    `sentence` is a constant, and `values` are those of its placeholders: neither is what was sent.
    """

    in_: Literal["body", "query", "path", "header"] = "body"
    pointer: str | None = None
    parameter: str | None = None
    code: str
    sentence: str
    values: Mapping[str, object] = field(default_factory=dict)

    def localized(self, request: Request) -> FieldError:
        """Return it in the language that the caller prefers."""
        detail = localized_detail(request, self.sentence, self.values)
        return FieldError(in_=self.in_, pointer=self.pointer, parameter=self.parameter, code=self.code, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemContent:
    """What a problem document says, before it is put into the caller's language."""

    status: int
    code: str
    sentence: str
    values: Mapping[str, object] = field(default_factory=dict)
    errors: tuple[BrokenRule, ...] = ()


class Problem(Out):
    """A problem document (RFC 9457). Programs use `code`; `detail` is for people and may change."""

    type: str = Field(
        json_schema_extra={"format": "uri-reference"},
        examples=[f"/problems/{NotFound.code}"],
        description="The address of the page about this code. It differs from city to city: compare `code`.",
    )
    title: str = Field(description="A short name of the problem, in the language of `Content-Language`.")
    status: int = Field(ge=400, le=599, description="The HTTP status, again.")
    detail: str = Field(description="A sentence for people, in the language of `Content-Language`. It may change.")
    instance: str = Field(description="Names this occurrence.", json_schema_extra={"format": "uri-reference"})
    code: Annotated[
        str,
        OpenList(
            "ProblemCode", tuple(sorted(problem_catalogue.CATALOGUE)), "Which problem it is; its page is at `type`."
        ),
    ]
    request_id: str = Field(description="`X-Request-Id`, to quote to the office.")
    errors: tuple[FieldError, ...] = Field(
        description="Each field that breaks a rule, for a 400 or 422.", default=(), max_length=MOST_ERRORS
    )
    missing: Annotated[
        tuple[MissingCondition, ...],
        Field(description="For the code `conditions-missing`.", max_length=MOST_CONDITIONS),
    ] = ()


class ProblemResponse(JSONResponse):
    """A response with a problem document."""

    media_type = MEDIA_TYPE


class ProblemException(HTTPException):
    """An HTTP error with a code of its own. `code` and `detail` are constants: they are returned to the caller."""

    def __init__(self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.code = code


class Malformed(HTTPException):
    """A body that cannot be read. `rule` and `detail` are constants: they are returned, the second translated."""

    def __init__(self, rule: Unreadable, detail: str, **values: object) -> None:
        super().__init__(400, detail)
        self.rule = rule
        self.values = values


def request_id_of(request: Request) -> str:
    """Return the id that the middleware assigned to this request."""
    request_id = getattr(request.state, "request_id", None)
    return request_id if isinstance(request_id, str) else str(uuid4())


def problem(
    request: Request,
    content: ProblemContent,
    *,
    missing: tuple[MissingCondition, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """Return the response with a problem document, in the language that the caller prefers.

    `missing` is localized already.
    """
    request_id = request_id_of(request)
    document = problem_document(
        request, content, instance=f"/requests/{request_id}", request_id=request_id, missing=missing
    )
    return ProblemResponse(
        document.model_dump(mode="json", by_alias=True), content.status, {**_localized(request), **(headers or {})}
    )


def problem_document(
    request: Request,
    content: ProblemContent,
    *,
    instance: str,
    request_id: str,
    missing: tuple[MissingCondition, ...] = (),
) -> Problem:
    """Return a problem document in the language that the caller prefers. `missing` is localized already."""
    title, _ = problem_catalogue.localized_title(content.code, request)
    return Problem(
        type=problem_type(request, content.code),
        title=title,
        status=content.status,
        detail=localized_detail(request, content.sentence, content.values),
        instance=instance,
        code=content.code,
        request_id=request_id,
        errors=tuple(each.localized(request) for each in content.errors),
        missing=missing,
    )


def localize(request: Request, response: Response) -> None:
    """Say in a successful response that its sentences are in the language that the caller prefers."""
    response.headers.update(_localized(request))


def _localized(request: Request) -> dict[str, str]:
    return {"Content-Language": problem_catalogue.language_of(request), "Vary": "Accept-Language"}


def missing_condition(request: Request, missing: Missing) -> MissingCondition:
    """Return a condition that is not met, in the language that the caller prefers."""
    detail = localized_detail(request, missing.sentence, missing.values)
    return MissingCondition(code=missing.code, subject_id=missing.subject, detail=detail)


# --- the handlers -------------------------------------------------------------------------------------------


def content_of_refusal(refusal: Refusal) -> ProblemContent:
    """Return what the problem document of a refusal says."""
    errors: tuple[BrokenRule, ...] = ()
    if isinstance(refusal, Invalid):
        errors = (
            BrokenRule(pointer=refusal.pointer, code=refusal.rule, sentence=refusal.sentence, values=refusal.values),
        )
    return ProblemContent(
        status=status_of(type(refusal)),
        code=refusal.code,
        sentence=refusal.sentence,
        values=refusal.values,
        errors=errors,
    )


def content_of_invalid(validation_errors: Iterable[Mapping[str, object]], body: JsonValue) -> ProblemContent:
    """Return what the problem document of an invalid request says. The errors are those of pydantic."""
    # Of what may also be null, pydantic says besides what is wrong that it is not null either.
    told = [error for error in validation_errors if error["type"] != "none_required"]
    code, sentence = HTTP[422]
    errors = tuple(_broken_rule(error, body) for error in told[:MOST_ERRORS])
    return ProblemContent(status=422, code=code, sentence=sentence, errors=errors)


def content_of_malformed(malformed: "Malformed") -> ProblemContent:
    """Return what the problem document of a body that cannot be read says."""
    error = BrokenRule(pointer="", code=malformed.rule, sentence=malformed.detail, values=malformed.values)
    return ProblemContent(
        status=400, code=HTTP[400][0], sentence=malformed.detail, values=malformed.values, errors=(error,)
    )


def content_of_status(status: int) -> ProblemContent:
    """Return what the problem document of an HTTP error without more to say says."""
    code, sentence = HTTP.get(status, (f"http-{status}", REFUSED))
    return ProblemContent(status=status, code=code, sentence=sentence)


async def on_refusal(request: Request, exc: Exception) -> Response:
    """Answer a refusal of the domain."""
    if not isinstance(exc, Refusal):
        raise exc
    missing: tuple[MissingCondition, ...] = ()
    if isinstance(exc, ConditionsMissing):
        missing = tuple(missing_condition(request, each) for each in exc.missing)
    headers: dict[str, str] | None = None
    if isinstance(exc, Unauthenticated):
        headers = {"WWW-Authenticate": "Bearer"}  # RFC 9110 §15.5.2
        request.state.refusal = exc.fault or exc.code
    if isinstance(exc, ScopeMissing):
        scope = "" if exc.scope is None else f', scope="{exc.scope}"'
        headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope"{scope}'}  # RFC 6750 §3.1
    return problem(request, content_of_refusal(exc), missing=missing, headers=headers)


async def on_invalid(request: Request, exc: Exception) -> Response:
    """Answer an invalid request with every invalid field and its rule, and without the values."""
    if not isinstance(exc, RequestValidationError):
        raise exc
    validation_errors = exc.errors()
    if any(error["type"] == "json_invalid" for error in validation_errors):  # from a route that is not a StrictRoute
        return problem(request, content_of_status(400))
    return problem(request, content_of_invalid(validation_errors, exc.body))


async def on_http(request: Request, exc: Exception) -> Response:
    """Answer an HTTPException. Starlette's own texts are not used, only those of ProblemException and Malformed."""
    if not isinstance(exc, HTTPException):
        raise exc
    headers = dict(exc.headers or {})
    if exc.status_code == 405:  # noqa: PLR2004 - RFC 9110 §15.5.6
        headers["Allow"] = ", ".join(_methods_at(request))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    if exc.status_code == 503:  # noqa: PLR2004 - RFC 9110 §15.6.4
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(exc, Malformed):
        return problem(request, content_of_malformed(exc))
    if isinstance(exc, ProblemException):
        content = ProblemContent(status=exc.status_code, code=exc.code, sentence=exc.detail)
        return problem(request, content, headers=headers)
    return problem(request, content_of_status(exc.status_code), headers=headers)


HANDLERS: Final[Mapping[type[Exception], ExceptionHandler]] = {
    Refusal: on_refusal,
    RequestValidationError: on_invalid,
    HTTPException: on_http,
}


def on_failure(request: Request, exc: Exception) -> ProblemResponse:
    """Log an unhandled exception by class, SQLSTATE and place, and return a 503 or a 500."""
    cause = _cause(exc)
    if cause is None:
        _log.error(_failure("failure", request, exc))
        return problem(request, content_of_status(500))
    log_unavailable(request, cause, exc)
    content = content_of_status(503)
    if isinstance(exc, OutcomeUnknown):
        content = replace(content, sentence=OUTCOME_UNKNOWN)
    return problem(request, content, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def log_unavailable(request: Request, cause: str | None, exc: Exception | None = None) -> None:
    """Log why a request is answered 503. Without `cause`, it is derived from the exception."""
    if exc is not None:
        cause = cause or _cause(exc) or "database"
    _log.warning(_failure("unavailable", request, exc, cause=cause))


def _failure(event: str, request: Request, exc: Exception | None, **more: object) -> LogEvent:
    """Return the log event of a failure, with its place and class and without its text."""
    return LogEvent(
        event,
        **more,
        method=method_of(request.method),
        route=route_templates(request.app).get(request.scope.get("endpoint")),
        request_id=request_id_of(request),
        role=getattr(request.state, "role", None),
        error=None if exc is None else class_of(exc),
        sqlstate=None if exc is None else sqlstate_of(exc),
        frames=[] if exc is None else places_of(exc),
    )


def _cause(exc: Exception) -> str | None:
    """Return why a request cannot be answered just now; None if the exception has another reason."""
    if isinstance(exc, KeysUnavailable):
        return "identity-provider"
    if isinstance(exc, PoolTimeoutError):
        return "pool-timeout"
    if isinstance(exc, OutcomeUnknown):
        return "outcome-unknown"
    state = sqlstate_of(exc)
    for cause, pattern in _UNAVAILABLE.items():
        if state is not None and pattern.fullmatch(state):
            return cause
    if isinstance(exc, ConnectionError | TimeoutError) or (isinstance(exc, DBAPIError) and exc.connection_invalidated):
        return "connection"
    return None


def method_of(method: str) -> str:
    """Return the method for the log; `other` for an unknown one, since a caller can send any text."""
    return method if method in _METHODS else "other"


def route_templates(app: FastAPI) -> Mapping[object, str]:
    """Return the path template of each route, as in the contract, by the route's function."""
    templates: dict[object, str] = {}
    for context in iter_route_contexts(app.routes):
        templates.setdefault(context.endpoint, context.path_format or "")
    return templates


def _methods_at(request: Request) -> list[str]:
    """Return every method of this path. FastAPI's own `Allow` contains only those of the first route."""
    app: FastAPI = request.app
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    methods = {
        method
        for context in iter_route_contexts(app.routes)
        if context.methods and context.path_regex.match(path)
        for method in context.methods
    }
    return sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


# --- fields -------------------------------------------------------------------------------------------------

# A name that the caller sent is returned only if it has the form of a field's name.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def _broken_rule(error: Mapping[str, object], body: JsonValue) -> BrokenRule:
    kind, context, location = error["type"], error.get("ctx"), error["loc"]
    values = context if isinstance(context, dict) else {}
    code, sentence = FIELD.get(str(kind), OTHERWISE)
    if str(kind).startswith(RULE):
        code, sentence = str(kind).removeprefix(RULE), str(values[SENTENCE])
    if "expected" in values:  # a list in English: 'a', 'b' or 'c'
        values = {**values, "expected": str(values["expected"]).replace(" or ", ", ")}
    values = {name: value for name, value in values.items() if f"{{{name}" in sentence}
    place, *steps = location if isinstance(location, tuple) else ("body",)
    if place == "body":
        pointer = _pointer(steps, body, missing=kind == "missing")
        return BrokenRule(pointer=pointer, code=code, sentence=sentence, values=values)
    name = str(steps[0]) if steps else ""
    return BrokenRule(
        in_="path" if place == "path" else "header" if place == "header" else "query",
        parameter=name if _NAME.fullmatch(name) else None,
        code=code,
        sentence=sentence,
        values=values,
    )


def _pointer(steps: list[int | str], body: JsonValue, *, missing: bool) -> str:
    """Return the JSON pointer of a field. Steps of pydantic that are not in the body (a union's branch) are omitted."""
    pointer = ""
    node: JsonValue = body
    for position, step in enumerate(steps):
        child, known = _step(node, step)
        if known:
            node = child
        elif not (missing and position == len(steps) - 1):
            continue
        if isinstance(step, str) and not _NAME.fullmatch(step):
            return pointer  # point to the parent, since the name of this field is not returned
        pointer += f"/{step}"
    return pointer


def _step(node: JsonValue, step: int | str) -> tuple[JsonValue, bool]:
    if isinstance(node, dict) and isinstance(step, str) and step in node:
        return node[step], True
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step], True
    return None, False
