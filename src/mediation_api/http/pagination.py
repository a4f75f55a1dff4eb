"""Lists over HTTP: `limit`, an opaque signed `cursor`, `{items, next_cursor}` in the answer, and a `Link` to the rest.

A cursor says where the next page begins and grants no rights: what may be seen is decided anew for each page. It is
bound to the operation that gave it, its filters and its order, and encrypted (AES-SIV, RFC 5297): nobody builds one,
and nobody reads in one the place of an event among all events, which would count what others did.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Final, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import model_validator

from mediation_api.database.pagination import Page, Position, Slice
from mediation_api.http.dependencies import Context
from mediation_api.http.fields import Out, Params, WholeNumber, rule

MOST: Final = 100
DEFAULT: Final = 25
_LONGEST_CURSOR: Final = 400

T = TypeVar("T")


class ListOut(Out, Generic[T]):
    """One page of a list. `next_cursor` is null on the last one; otherwise a `Link` names the next page as well."""

    items: list[T]
    next_cursor: str | None


L = TypeVar("L", bound=Out)


class ListFilters(Params):
    """The filters of a list that comes in pages. `limit` and `cursor` are of the same query string, and `pager`'s."""

    @model_validator(mode="before")
    @classmethod
    def _without_the_page(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if name not in {"limit", "cursor"}}


class Pager:
    """Which page is wanted, and how the answer says where the next one begins."""

    def __init__(self, page: Page, key: bytes, request: Request, response: Response) -> None:
        self.page = page
        self._key = key
        self._request = request
        self._response = response

    def answer(self, made: type[L], part: Slice[T], shown: Callable[[T], object]) -> L:
        """The answer of one page, its cursor signed for this list."""
        following = None
        if part.next is not None:
            following = _write(part.next, self._key, _list_of(self._request))
            self._response.headers["Link"] = f'<{self._page_at(following)}>; rel="next"'
        items = [shown(row) for row in part.items]
        return made.model_validate({"items": items, "next_cursor": following})

    def _page_at(self, cursor: str) -> str:
        """A relative reference, so that it holds behind any proxy. Source: RFC 8288, RFC 3986 §4.2."""
        same = [(name, value) for name, value in self._request.query_params.multi_items() if name != "cursor"]
        return f"{self._request.url.path}?{urlencode([*same, ('cursor', cursor)], quote_via=quote)}"


async def pager(
    request: Request,
    response: Response,
    service: Context,
    limit: Annotated[int, WholeNumber(1, MOST), Query(description="How many items at most.")] = DEFAULT,
    cursor: Annotated[
        str | None,
        Query(
            description="`next_cursor` of the page before. All other parameters but `limit` stay as they were.",
            max_length=_LONGEST_CURSOR,
        ),
    ] = None,
) -> Pager:
    """The page that is asked for. A cursor that this list did not give, in this order and so filtered, is a 422."""
    key = service.settings.cursor_secret.get_secret_value().encode()
    after = None if cursor is None else _read(cursor, key, _list_of(request))
    if cursor is not None and after is None:
        foreign = {"type": rule("cursor"), "loc": ("query", "cursor"), "msg": "This list gave no such cursor."}
        raise RequestValidationError([foreign])
    return Pager(Page(limit, after), key, request, response)


Pages = Annotated[Pager, Depends(pager)]


def single_page(made: type[L], rows: Sequence[T], shown: Callable[[T], object]) -> L:
    """The answer of a list that is short by nature and comes whole."""
    return made.model_validate({"items": [shown(row) for row in rows], "next_cursor": None})


def _list_of(request: Request) -> bytes:
    """What a cursor is bound to: the operation, its path, and the filters and the order that are asked for."""
    asked = sorted(item for item in request.query_params.multi_items() if item[0] not in {"limit", "cursor"})
    return json.dumps([request.scope["endpoint"].__name__, request.url.path, asked]).encode()


def _write(position: Position, key: bytes, bound_to: bytes) -> str:
    body = json.dumps([_tagged(each) for each in position], separators=(",", ":")).encode()
    sealed = _cipher(key).encrypt(body, [bound_to])
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _read(cursor: str, key: bytes, bound_to: bytes) -> Position | None:
    try:
        sealed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        body = _cipher(key).decrypt(sealed, [bound_to])
    except (ValueError, InvalidTag):  # not ASCII, not base64, too short, or not ours
        return None
    # It could be decrypted, so it is what `_write` made.
    first, second = (_READERS[tag](text) for tag, text in json.loads(body))
    return first, second


def _cipher(key: bytes) -> AESSIV:
    return AESSIV(hashlib.sha512(key).digest())


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "UUID": UUID,
    "int": int,
}


def _tagged(value: object) -> tuple[str, str]:
    tag = "UUID" if isinstance(value, UUID) else type(value).__name__
    text = value.isoformat() if isinstance(value, date) else str(value)
    return tag, text
