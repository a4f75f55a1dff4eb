"""Pagination over HTTP: `limit` and `cursor` in the query string, `{items, next_cursor}` and a `Link` in the response.

database/pagination.py reads the pages. A cursor (http/cursors.py) is the position after which a page begins.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, SerializeAsAny, WithJsonSchema, model_validator

from mediation_api.database.pagination import Page, PageRequest
from mediation_api.domain.access import INTAKE, AccessScope, Relation
from mediation_api.domain.errors import OfficeFilter
from mediation_api.http.addresses import public_reference
from mediation_api.http.cursors import LONGEST_CURSOR, Cursors
from mediation_api.http.dependencies import Context
from mediation_api.http.fields import TYPE_NAME, Out, Params, WholeNumber, parameter_broken

FOR_THE_OFFICE: Final = "For the office."
FOR_INTAKE: Final = "For intake, coordinators and directors."
FOR_ALL_BUT_PARTIES: Final = "For the office and mediators."
"""Whom a filter is for, to end its description with (`ListQuery`)."""

MOST: Final = 100
DEFAULT: Final = 25

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

    # By the type of each item: pydantic makes objects of the members of a union first, and then JSON of these.
    items: Annotated[list[SerializeAsAny[T]], Field(max_length=MOST, description="Its items.")]
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

    def __init__(self, page_request: PageRequest, cursors: Cursors, request: Request, response: Response) -> None:
        self.request = page_request
        self._cursors = cursors
        self._http_request = request
        self._http_response = response

    def response(self, model: type[L], page: Page[T], to_response: Callable[[T], object]) -> L:
        """Return the response with one page, and set the cursor and the link of the next."""
        cursor = None
        if page.next is not None:
            cursor = self._cursors.encrypt(page.next)
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
            max_length=LONGEST_CURSOR,
        ),
    ] = None,
) -> Pager:
    """Return the pager of a request. A cursor of another list, or of other filters or another order, is a 422."""
    cursors = Cursors.of(request, service.settings.cursor_secret.get_secret_value())
    after = None
    if cursor is not None:
        position = cursors.decrypt(cursor)
        if position is None:
            raise RequestValidationError([parameter_broken("cursor", "cursor", "This list gave no such cursor.")])
        key, id_ = position
        after = (key, id_)
    return Pager(PageRequest(limit, after), cursors, request, response)


Pages = Annotated[Pager, Depends(pager)]


def single_page(model: type[L], rows: Sequence[T], to_response: Callable[[T], object]) -> L:
    """Return the response with a list that is always short, and so has one page."""
    return model.model_validate({"items": [to_response(row) for row in rows], "next_cursor": None})
