"""The documentation page: Swagger UI from files of this package, so that it works offline.

The content security policy `POLICY` restricts the page to scripts of this service and requests to this service. The
page does not store tokens.
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
"""No inline scripts and styles. `data:` is for the icons in Swagger UI's style sheet."""

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
    """Return the documentation page."""
    return _response("docs.html", "text/html")


@router.get("/{name}")
async def get_docs_asset(name: str) -> Response:
    """Return a script or the style sheet of the page. Raises NotFound."""
    if name not in _ASSETS:
        raise NotFound
    return _response(*_ASSETS[name])


def _response(path: str, media_type: str) -> Response:
    # "no-cache" allows a browser to cache the files, but to revalidate them by entity tag before each use.
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(_read(path), headers=headers, media_type=media_type)


@cache
def _read(path: str) -> bytes:
    return resources.files("mediation_api.routers").joinpath("static", path).read_bytes()
