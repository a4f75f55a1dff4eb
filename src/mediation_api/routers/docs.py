"""The contract, and the documentation page: Swagger UI from files of this package, so that it works offline.

The contract is the file of the repository, which `make generate` writes: to put it together takes half a second, in
which nobody else is answered, and 10 MB. It is compressed once, and clients keep it and ask whether it has changed. No
other response is compressed: the length of one with secrets in it would tell of them (BREACH).

The content security policy `POLICY` restricts the page to scripts of this service and requests to this service. The
page does not store tokens.
"""

import gzip
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response

from mediation_api.domain.errors import NotFound
from mediation_api.http.content_negotiation import accepts_gzip
from mediation_api.http.middleware import StrictRoute

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No inline scripts and styles. `data:` is for the icons in Swagger UI's style sheet."""

_CONTRACT: Final = "mediation-api.v1.json"

_ASSETS: Final = MappingProxyType(
    {
        "docs.js": ("docs.js", "text/javascript"),
        "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
        "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
    }
)

_REVALIDATED: Final = MappingProxyType({"Cache-Control": "no-cache"})
"""Clients may keep a response, and ask by its entity tag whether it has changed before each use."""

contract_router = APIRouter(route_class=StrictRoute, include_in_schema=False)
router = APIRouter(prefix="/docs", route_class=StrictRoute, include_in_schema=False)


class _Contract(NamedTuple):
    """The contract as it is sent."""

    plain: bytes
    compressed: bytes


@cache
def _contract() -> _Contract:
    package = Path(__file__).resolve().parents[1]
    installed = package / "contract" / _CONTRACT  # in a wheel
    plain = (installed if installed.exists() else package.parents[1] / "openapi" / _CONTRACT).read_bytes()
    return _Contract(plain, gzip.compress(plain, mtime=0))


@contract_router.get("/openapi.json")
async def show_contract(request: Request) -> Response:
    """Return the contract, compressed for a caller that accepts it. The two forms have entity tags of their own."""
    contract, headers = _contract(), {"Vary": "Accept-Encoding", **_REVALIDATED}
    if not accepts_gzip(request.headers.getlist("accept-encoding")):
        return Response(contract.plain, headers=headers, media_type="application/json")
    headers["Content-Encoding"] = "gzip"
    return Response(contract.compressed, headers=headers, media_type="application/json")


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
    headers = {"Content-Security-Policy": POLICY, **_REVALIDATED}
    return Response(_read(path), headers=headers, media_type=media_type)


@cache
def _read(path: str) -> bytes:
    return resources.files("mediation_api.routers").joinpath("static", path).read_bytes()
