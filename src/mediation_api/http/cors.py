"""CORS: pages of the configured origins, and no others, may call the service from a browser."""

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
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)
"""The response headers that a page may read. It needs ETag for the If-Match of a correction."""
_PREFLIGHT_SECONDS: Final = 600


class CrossOrigin(CORSMiddleware):
    """The CORS middleware of these origins. Pages authenticate with tokens; credentials (cookies) are not allowed."""

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
                "Prefer",
                "X-Request-Id",
            ],
            expose_headers=EXPOSED,
            max_age=_PREFLIGHT_SECONDS,
        )
