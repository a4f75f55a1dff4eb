"""Pagination over HTTP: `limit` and `cursor` in the query string, `{items, next_cursor}` and a `Link` in the response.

database/pagination.py reads the pages. A cursor is the position after which a page begins. It grants no rights: each
page is read within the caller's access scope anew. It is bound to its operation, path, filters and order, and encrypted
(AES-SIV, RFC 5297), so that nobody can make one, or read from one the position of an event among all events, which
would count what others did.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, ClassVar, Final, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, WithJsonSchema, model_validator

from mediation_api.database.pagination import Page, PageRequest, Position
from mediation_api.domain.access import INTAKE, AccessScope, Relation
from mediation_api.domain.errors import OfficeFilter
from mediation_api.http.addresses import public_reference
from mediation_api.http.dependencies import Context
from mediation_api.http.fields import TYPE_NAME, Out, Params, WholeNumber, parameter_broken
from mediation_api.http.routes import operation_of

FOR_THE_OFFICE: Final = "For the office."
FOR_INTAKE: Final = "For intake, coordinators and directors."
FOR_ALL_BUT_PARTIES: Final = "For the office and mediators."
"""Whom a filter is for, to end its description with (`ListQuery`)."""

MOST: Final = 100
DEFAULT: Final = 25
_LONGEST_CURSOR: Final = 400
_DIGITS: Final = 19
"""Of the largest bigint."""

T = TypeVar("T")


NextCursor = Annotated[
    str | None,
    WithJsonSchema(
        {
            "type": ["string", "null"],
            TYPE_NAME: {
                "name": "NextCursor",
                "description": "The `cursor` of the next page; null on the last one. It is opaque.",
                "examples": [None],  # or a mock's lists would have no end
            },
        }
    ),
]


class ListOut(Out, Generic[T]):
    """One page of a list. `next_cursor` is null on the last one; otherwise a `Link` names the next page as well."""

    items: Annotated[list[T], Field(max_length=MOST, description="Its items.")]
    next_cursor: NextCursor


L = TypeVar("L", bound=Out)


class ListQuery(Params):
    """The filters and the order of a list with pages. `limit` and `cursor` of the same query string go to `pager`.

    A filter by what the caller does not see would tell of it, so that each says in its description whom it is for.
    """

    for_office: ClassVar[frozenset[str]] = frozenset()
    """The filters for the office."""
    for_intake: ClassVar[frozenset[str]] = frozenset()
    """The filters for those of the office who read complaints, which auditors do not."""
    for_all_but_parties: ClassVar[frozenset[str]] = frozenset()
    """The filters for the office and mediators."""

    def check_open_to(self, scope: AccessScope) -> None:
        """Raise OfficeFilter if a filter is given that is not for the caller."""
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        if (
            (scope.relation is not Relation.OFFICE and given & self.for_office)
            or (scope.actor.role not in INTAKE and given & self.for_intake)
            or (scope.relation is Relation.OWN and given & self.for_all_but_parties)
        ):
            raise OfficeFilter

    @model_validator(mode="before")
    @classmethod
    def _without_the_page(cls, query: object) -> object:
        if not isinstance(query, dict):
            return query
        return {name: value for name, value in query.items() if name not in {"limit", "cursor"}}


class Pager:
    """The page that is requested, and the response that is made of it."""

    def __init__(self, page_request: PageRequest, key: bytes, request: Request, response: Response) -> None:
        self.request = page_request
        self._key = key
        self._http_request = request
        self._http_response = response

    def response(self, model: type[L], page: Page[T], to_response: Callable[[T], object]) -> L:
        """Return the response with one page, and set the cursor and the link of the next."""
        cursor = None
        if page.next is not None:
            cursor = _cursor_at(page.next, self._key, _list_of(self._http_request))
            self._http_response.headers["Link"] = f'<{self._page_at(cursor)}>; rel="next"'
        items = [to_response(row) for row in page.items]
        return model.model_validate({"items": items, "next_cursor": cursor})

    def _page_at(self, cursor: str) -> str:
        """Return the reference to the next page. Source: RFC 8288."""
        other = [(name, value) for name, value in self._http_request.query_params.multi_items() if name != "cursor"]
        path = public_reference(self._http_request, self._http_request.url.path)
        return f"{path}?{urlencode([*other, ('cursor', cursor)], quote_via=quote)}"


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
    """Return the pager of a request. A cursor of another list, or of other filters or another order, is a 422."""
    key = service.settings.cursor_secret.get_secret_value().encode()
    after = None if cursor is None else _position_of(cursor, key, _list_of(request))
    if cursor is not None and after is None:
        raise RequestValidationError([parameter_broken("cursor", "cursor", "This list gave no such cursor.")])
    return Pager(PageRequest(limit, after), key, request, response)


Pages = Annotated[Pager, Depends(pager)]


def single_page(model: type[L], rows: Sequence[T], to_response: Callable[[T], object]) -> L:
    """Return the response with a list that is always short, and so has one page."""
    return model.model_validate({"items": [to_response(row) for row in rows], "next_cursor": None})


def _list_of(request: Request) -> bytes:
    """Return the associated data of a cursor: the operation, the path, the filters and the order of the request."""
    query = sorted(item for item in request.query_params.multi_items() if item[0] not in {"limit", "cursor"})
    return json.dumps([operation_of(request).id, request.url.path, query]).encode()


def _cursor_at(position: Position, key: bytes, bound_to: bytes) -> str:
    body = json.dumps([_tagged(each) for each in position], separators=(",", ":")).encode()
    encrypted = _cipher(key).encrypt(body, [bound_to])
    return base64.urlsafe_b64encode(encrypted).rstrip(b"=").decode()


def _position_of(cursor: str, key: bytes, bound_to: bytes) -> Position | None:
    try:
        encrypted = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        body = _cipher(key).decrypt(encrypted, [bound_to])
    except (ValueError, InvalidTag):  # not ASCII, not base64, too short, or not ours
        return None
    # It could be decrypted, so `_cursor_at` made it.
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
    if isinstance(value, int):
        # Of one width: the length of a cursor would reveal how many digits the position among all events has.
        return tag, f"{value:0{_DIGITS}}"
    return tag, value.isoformat() if isinstance(value, date) else str(value)
