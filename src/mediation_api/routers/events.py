"""The change feed: what has happened, for programs that follow it."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from mediation_api.contract.responses import responses
from mediation_api.database.nesting import AnyRow
from mediation_api.domain.access import INTAKE, Relation, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.http.addresses import public_reference
from mediation_api.http.cursors import LONGEST_CURSOR, Cursors
from mediation_api.http.dependencies import Context, LoggedScope
from mediation_api.http.fields import InstantOut, Out, Params, WholeNumber, parameter_broken
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import DEFAULT, MOST
from mediation_api.http.problems import HTTP, ProblemException
from mediation_api.http.routes import Operation
from mediation_api.repository.change_feed import ChangeFeed, FeedPosition, FeedRestored
from mediation_api.routers.cases import OfficeEventKind

router = APIRouter(prefix="/v1/events", route_class=StrictRoute, tags=["events"])

_LONGEST_PREFERENCE: Final = 200
_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*([0-9]{1,4})\s*(?=$|[,;])", re.IGNORECASE)
"""The preference `wait` (RFC 7240 §4.3), in seconds."""


class EventQuery(Params):
    """Which events are requested."""

    limit: Annotated[int, WholeNumber(1, MOST)] = Field(DEFAULT, description="How many events at most.")
    after: str | None = Field(
        None,
        description="The `cursor` of the page before; omit it to begin with the first event.",
        max_length=LONGEST_CURSOR,
    )


class FeedEventOut(Out):
    """An event of the change feed: what happened and when, and the ids with which to read more."""

    id: UUID = Field(description="The same each time that the event is returned.")
    kind: OfficeEventKind
    occurred_at: InstantOut = Field(description="When it was recorded.")
    sequence: int = Field(
        ge=1,
        description="Counts the events of its case (or else of its complaint or mediator) that you are shown.",
    )
    complaint_id: UUID | None = Field(description="The complaint that it is about; null for a mediator's.")
    case_id: UUID | None = Field(description="The case that it is about, if one.")
    mediator_id: UUID | None = Field(description="The roster entry that it is about, if one.")
    party_id: UUID | None = Field(description="The party that it concerns, if one.")


class EventPage(Out):
    """The events after a cursor, in the order of the feed, which never changes."""

    events: Annotated[
        list[FeedEventOut], Field(max_length=MOST, description="The oldest first; empty if there are none.")
    ]
    cursor: str | None = Field(
        description="The place after the last of them, for `after`: keep it. Null while nothing has happened.",
        examples=["Zm9yIGV4YW1wbGU"],
    )


@router.get("", summary="The change feed", responses=responses(410))
@Operation(
    "getChangeFeed",
    access=allow(office=(*INTAKE, Role.AUDITOR), filed=True),
    oauth_scope="events:read",
    opens=LoggedObject.LIST,
)
async def get_change_feed(
    request: Request,
    response: Response,
    scope: LoggedScope,
    service: Context,
    query: Annotated[EventQuery, Query()],
    prefer: Annotated[
        str | SkipJsonSchema[None],
        Header(
            alias="Prefer",
            max_length=_LONGEST_PREFERENCE,
            description="`wait=25` waits up to 25 seconds for an event if there is none yet (RFC 7240).",
            examples=["wait=25"],
        ),
    ] = None,
) -> EventPage:
    """Return the events after a cursor, each once and none left out, however long a transaction took.

    The office is shown all but those of mandatory reports; an integration those that change what it may read of the
    complaints that it filed. None reveals an answer before the case is `ready`.

    After the database was restored from a backup, a cursor may be unknown: the answer is 410, and its `Link` with `rel`
    `next` leads to where no event is missed. Events that come again have the same `id`.
    """
    cursors = Cursors.of(request, service.settings.cursor_secret.get_secret_value())
    position = None if query.after is None else _position(cursors, query.after)

    async def page() -> Sequence[AnyRow]:
        async with service.database.reading(caller=request.state.caller) as connection:
            return await ChangeFeed(connection).after(position, scope, query.limit)

    seconds = min(_seconds(prefer), service.settings.feed_wait_seconds)
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds}"
    reader = None if scope.relation is Relation.OFFICE else scope.actor.subject
    try:
        rows = await service.feed.read(page, reader=reader, seconds=seconds)
    except FeedRestored as restored:
        raise ProblemException(
            410,
            *HTTP[410],
            headers={"Link": f'<{_address(request, cursors, restored.safe)}>; rel="next"'},
        ) from None
    cursor = cursors.encrypt(_place(rows[-1])) if rows else query.after
    return EventPage(events=[FeedEventOut.read(row) for row in rows], cursor=cursor)


def _position(cursors: Cursors, after: str) -> FeedPosition:
    match cursors.decrypt(after):
        case (int() as number, UUID() as event_id, datetime() as occurred_at):
            return FeedPosition(number, event_id, occurred_at)
        case _:
            raise RequestValidationError([parameter_broken("cursor", "after", "This list gave no such cursor.")])


def _place(row: AnyRow) -> FeedPosition:
    return FeedPosition(row["page_key"], row["id"], row["occurred_at"])


def _address(request: Request, cursors: Cursors, position: FeedPosition | None) -> str:
    path = public_reference(request, request.url.path)
    return path if position is None else f"{path}?{urlencode({'after': cursors.encrypt(position)})}"


def _seconds(prefer: str | None) -> int:
    found = _WAIT.search(prefer or "")
    return 0 if found is None else int(found[1])
