"""A page for each problem type, at the URL in `type`: what it means, and what the caller can do."""

import base64
import hashlib
from html import escape
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from mediation_api.domain.access import EVERYBODY
from mediation_api.domain.errors import NotFound
from mediation_api.http import problem_catalogue
from mediation_api.http.dependencies import Scope
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/problems", route_class=StrictRoute, tags=["problems"])

_STYLE: Final = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a}"
    "code{background:#eef1f4;padding:.1em .3em;border-radius:.2em}"
    "@media(prefers-color-scheme:dark){body{background:#16181b;color:#e6e6e6}code{background:#2a2e33}}"
)
# The content security policy allows this style by its hash, and nothing else.
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"

Code = Annotated[str, Path(pattern="^[a-z][a-z0-9-]{0,63}$", description="The `code` of a problem document.")]


@router.get(
    "/{code}",
    summary="What a problem means",
    response_class=HTMLResponse,
)
@Operation("getProblemType", access=EVERYBODY, oauth_scope=None, uses_database=False)
async def get_problem_type(code: Code, request: Request, _scope: Scope) -> HTMLResponse:
    """Return a page about a problem: what it means and what to do, in the reader's language."""
    entry = problem_catalogue.CATALOGUE.get(code)
    if entry is None:
        raise NotFound
    title, language = problem_catalogue.localized_title(code, request)
    heading = escape(title)
    page = (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{heading}</title><style>{_STYLE}</style>"
        f"<h1>{heading}</h1><p>HTTP {entry.status}, <code>{escape(code)}</code></p>"
        f"<p>{escape(problem_catalogue.localized_detail(request, entry.remedy))}</p></html>"
    )
    headers = {"Content-Language": language, "Content-Security-Policy": _POLICY, "Vary": "Accept-Language"}
    return HTMLResponse(page, headers=headers)
