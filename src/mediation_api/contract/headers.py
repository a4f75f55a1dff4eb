"""Response headers: the contract's `components/headers`, and which response carries which header."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mediation_api.http.problems import RETRY_AFTER_SECONDS
from mediation_api.http.routes import Operation

CREATED: Final = frozenset({"201", "202"})
WRITTEN: Final = frozenset({"200", *CREATED})


@dataclass(frozen=True, slots=True)
class Header:
    """One response header. `required`: every response that documents it carries it."""

    description: str
    example: str | int | bool
    required: bool = False
    pattern: str | None = None
    everywhere: bool = False
    """Every response may carry it. The contract documents it at `default` only, instead of at each response."""

    def documented(self) -> dict[str, object]:
        """Return the header object of OpenAPI. It has an example because a mock cannot make a value from a pattern."""
        kind = {str: "string", int: "integer", bool: "boolean"}[type(self.example)]
        schema = {"type": kind} if self.pattern is None else {"type": kind, "pattern": self.pattern}
        return {
            "description": self.description,
            "required": self.required,
            "schema": schema,
            "example": self.example,
        }


HEADERS: Final[Mapping[str, Header]] = MappingProxyType(
    {
        "API-Version": Header(
            "The version of the service, `info.version` of its contract.", "0.1.0", required=True, everywhere=True
        ),
        "ETag": Header(
            "Which representation this is, for `If-Match` and `If-None-Match`.",
            '"9f86d081884c7d659a2feaa0c55ad015"',
            required=True,
            pattern='^"[0-9a-f]{32}"$',
        ),
        "Idempotency-Replayed": Header(
            "`true` if this is the stored response to an earlier request with the same key; absent otherwise.",
            example=True,
        ),
        "Link": Header(
            "The next page (`rel` `next`), relative to the host; absent on the last page, as `next_cursor` is null. Of "
            "a 410, where to go on.",
            '</v1/cases?state=ready&limit=25&cursor=Zm9yIGV4YW1wbGU>; rel="next"',
        ),
        "Location": Header(
            "Where what was made or changed can be read, relative to the host.",
            "/v1/cases/6b1f2f0e-6f0c-4d7a-9f43-0d0b7a3f7c11",
            required=True,
            pattern="^(/[A-Za-z0-9._~-]+)*/v1/[a-z-]+/[0-9a-f-]{36}$",
        ),
        "Preference-Applied": Header("The preference that was followed (RFC 7240); absent if none was.", "wait=25"),
        "RateLimit": Header(
            "What is left of the caller's quota, and the seconds until the next one; absent if the request was refused "
            "before its caller was known.",
            '"default";r=599;t=42',
            pattern='^"default";r=[0-9]+;t=[0-9]+$',
            everywhere=True,
        ),
        "RateLimit-Policy": Header(
            "The caller's quota: `q` requests in `w` seconds.",
            '"default";q=600;w=60',
            pattern='^"default";q=[0-9]+;w=[0-9]+$',
            everywhere=True,
        ),
        "Retry-After": Header("Seconds to wait before retrying; with 429 and 503.", RETRY_AFTER_SECONDS),
        "WWW-Authenticate": Header("That a bearer token is needed; if the token lacks a scope, which one.", "Bearer"),
        "X-Request-Id": Header(
            "The id of this request in the service's log: the one that the caller sent, or a new one.",
            "0b9b1a4e-3c52-4d8e-9a0f-6a2f4be0c1d7",
            required=True,
            pattern="^[A-Za-z0-9._-]{1,64}$",
            everywhere=True,
        ),
    }
)


REQUEST_HEADERS: Final[Mapping[str, Header]] = MappingProxyType(
    {
        "Accept-Language": Header(
            "The languages of a problem's `title` and `detail`, by preference; the service's own if it has none.",
            "es, en;q=0.5",
        ),
        "If-None-Match": Header(
            "The ETags that the caller has. If the current one is among them, the answer is 304.",
            '"9f86d081884c7d659a2feaa0c55ad015"',
        ),
        "X-Request-Id": Header(
            "An id for this request in the service's log: 1 to 64 letters, digits, `.`, `_`, `-`. Others are replaced.",
            "0b9b1a4e-3c52-4d8e-9a0f-6a2f4be0c1d7",
        ),
    }
)
"""The request headers that no route declares, and that are never a reason to refuse a request."""


def request_header(name: str) -> dict[str, object]:
    """Return the parameter object of one of `REQUEST_HEADERS`."""
    return {"name": name, "in": "header", **REQUEST_HEADERS[name].documented()}


def request_headers(method: str) -> tuple[str, ...]:
    """Return the names of those of `REQUEST_HEADERS` that every operation of a method takes."""
    return tuple(name for name in REQUEST_HEADERS if name != "If-None-Match" or method == "get")


EVERYWHERE: Final = frozenset(name for name, header in HEADERS.items() if header.everywhere)
"""The headers that every response may carry."""


def of_success(operation: Operation, status: str, parameters: frozenset[str], *, has_content: bool) -> set[str]:
    """Return the names of the headers, besides `EVERYWHERE`, that an operation may send with a 2xx."""
    names: set[str] = set()
    if status in WRITTEN and has_content:
        names |= {"ETag"} | ({"Link"} if "cursor" in parameters else set())
    if status in WRITTEN and "Prefer" in parameters:
        names.add("Preference-Applied")
    if status in WRITTEN and "Idempotency-Key" in parameters:
        names.add("Idempotency-Replayed")
    if status in CREATED and operation.location is not None:
        names.add("Location")
    return names


def of_problem(statuses: Iterable[int]) -> set[str]:
    """Return the names of the headers, besides `EVERYWHERE`, that a problem with one of these statuses may carry."""
    names: set[str] = set()
    for status in statuses:
        names |= {401: {"WWW-Authenticate"}, 403: {"WWW-Authenticate"}}.get(status, set())
        names |= {410: {"Link"}}.get(status, set())
        names |= {429: {"Retry-After"}, 503: {"Retry-After"}}.get(status, set())
    return names


def references(names: Iterable[str]) -> dict[str, object]:
    """Return the references to these headers for a response of the contract, ordered by name."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}
