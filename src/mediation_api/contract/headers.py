"""The headers of answers, described once: the contract's `components/headers`, and which answer carries which."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mediation_api.http.problems import RETRY_AFTER_SECONDS
from mediation_api.http.routes import Operation

WRITTEN: Final = frozenset({"200", "201"})


@dataclass(frozen=True, slots=True)
class Header:
    """One header of an answer. `required`: every answer that documents it carries it."""

    description: str
    example: str | int | bool
    required: bool = False
    pattern: str | None = None

    def documented(self) -> dict[str, object]:
        """The header as the contract has it. With a pattern and no example, a mock could not answer."""
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
        "API-Version": Header("The version of the service, `info.version` of its contract.", "0.1.0", required=True),
        "ETag": Header(
            "Which representation this is, for `If-Match` and `If-None-Match`.",
            '"9f86d081884c7d659a2feaa0c55ad015"',
            required=True,
            pattern='^"[0-9a-f]{32}"$',
        ),
        "Idempotency-Replayed": Header(
            "`true` where this is the first answer to the key once more; left out where it is the first.",
            example=True,
        ),
        "Link": Header(
            "With `rel` `next` the next page, relative to this one; left out on the last, as `next_cursor` is null.",
            '</v1/cases?state=ready&limit=25&cursor=Zm9yIGV4YW1wbGU>; rel="next"',
        ),
        "Location": Header(
            "Where what was made can be read.",
            "/v1/cases/6b1f2f0e-6f0c-4d7a-9f43-0d0b7a3f7c11",
            required=True,
            pattern="^/v1/[a-z-]+/[0-9a-f-]{36}$",
        ),
        "RateLimit": Header(
            "What is left of the caller's quota, and the seconds until the next one; left out where a request is "
            "refused before its caller is known.",
            '"default";r=599;t=42',
            pattern='^"default";r=[0-9]+;t=[0-9]+$',
        ),
        "RateLimit-Policy": Header(
            "The caller's quota: so many requests in so many seconds.",
            '"default";q=600;w=60',
            pattern='^"default";q=[0-9]+;w=[0-9]+$',
        ),
        "Retry-After": Header("Seconds to wait before the next try.", RETRY_AFTER_SECONDS, required=True),
        "WWW-Authenticate": Header(
            "That a bearer token is needed; where the token's scopes do not reach, which one would.", "Bearer"
        ),
        "X-Request-Id": Header(
            "Names this request in the service's log: the caller's own, or a new one.",
            "0b9b1a4e-3c52-4d8e-9a0f-6a2f4be0c1d7",
            required=True,
            pattern="^[A-Za-z0-9._-]{1,64}$",
        ),
    }
)


def carried(operation: Operation, status: str, parameters: frozenset[str], *, has_content: bool) -> set[str]:
    """The headers that an operation may send with a status."""
    names = {"API-Version", "X-Request-Id", "RateLimit", "RateLimit-Policy"}
    if status == "304" or (status in WRITTEN and has_content):
        names |= {"ETag"} | ({"Link"} if "cursor" in parameters else set())
    if status in WRITTEN and "Idempotency-Key" in parameters:
        names.add("Idempotency-Replayed")
    if status == "201" and operation.location is not None:
        names.add("Location")
    names |= {"401": {"WWW-Authenticate"}, "403": {"WWW-Authenticate"}}.get(status, set())
    names |= {"429": {"Retry-After"}, "503": {"Retry-After"}}.get(status, set())
    return names


def references(names: Iterable[str]) -> dict[str, object]:
    """These headers in the order of their names, as an answer of the contract names them."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}
