"""Which pages may call the service from a browser (CORS): those of the origins that the city names, and no others."""

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

EXPOSED: Final = (
    "Allow",
    "API-Version",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)
"""The headers that a page may read. Without ETag it could not correct anything."""
_PREFLIGHT_SECONDS: Final = 600


class CrossOrigin(CORSMiddleware):
    """Lets the pages of some origins call. They carry tokens; no cookie is ever sent or set."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH"],
            allow_headers=[
                "Access-Purpose",
                "Authorization",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
                "X-Request-Id",
            ],
            expose_headers=EXPOSED,
            max_age=_PREFLIGHT_SECONDS,
        )
