"""The documentation page: Swagger UI from files of this package, so that it works without the Internet.

The page may do what `POLICY` says and nothing else: run scripts that this service serves, and call this service. It
asks nobody else for anything, and keeps no token.
"""

from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from fastapi import APIRouter, Response

from mediation_api.domain.errors import NotFound
from mediation_api.http.middleware import StrictRoute

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No script and no style inside the page. `data:` is for the icons in Swagger UI's style sheet."""

_ASSETS: Final = MappingProxyType(
    {
        "docs.js": ("docs.js", "text/javascript"),
        "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
        "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
    }
)

router = APIRouter(prefix="/docs", route_class=StrictRoute, include_in_schema=False)


@router.get("")
async def show_docs() -> Response:
    """The page."""
    return _answer("docs.html", "text/html")


@router.get("/{name}")
async def get_docs_asset(name: str) -> Response:
    """A script or the style sheet of the page. Raises NotFound."""
    if name not in _ASSETS:
        raise NotFound
    return _answer(*_ASSETS[name])


def _answer(path: str, media_type: str) -> Response:
    # "no-cache" lets a browser keep them, and ask with their entity tag whether they changed.
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(_read(path), headers=headers, media_type=media_type)


@cache
def _read(path: str) -> bytes:
    return resources.files("mediation_api.routers").joinpath("static", path).read_bytes()
