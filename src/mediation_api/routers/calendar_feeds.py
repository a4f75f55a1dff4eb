"""Calendar feeds: a secret address at which the calendar program of a mediator or coordinator reads the sessions."""

from secrets import token_bytes
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field, StringConstraints

from mediation_api.database.engine import Pool
from mediation_api.domain import access_log, calendar_feeds
from mediation_api.domain.access import AccessScope, Relation, Role, allow
from mediation_api.domain.errors import NotFound
from mediation_api.domain.values import AttemptKind, in_utc
from mediation_api.http.dependencies import AttemptCounters, CalendarFeeds, Context, Now, Scope
from mediation_api.http.fields import InstantOut, Out
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.problem_catalogue import language_of
from mediation_api.http.rate_limits import count_attempt
from mediation_api.http.routes import Operation, operation_of
from mediation_api.outreach.calendars import feed_of
from mediation_api.repository.calendar_feeds import CalendarFeed
from mediation_api.routers.parties import code_key
from mediation_api.routers.sessions import SAVED, CalendarResponse, calendar_entry

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["calendar-feeds"])

_OWNERS = allow(office=(Role.COORDINATOR,), assigned=True)

Token = Annotated[
    str,
    StringConstraints(pattern=calendar_feeds.FEED_TOKEN_PATTERN, strict=True),
    Path(description="The secret part of the address, with `.ics`."),
]


class CalendarFeedOut(Out):
    """The caller's calendar feed. Its address was shown when it was made, and cannot be read again."""

    made_at: InstantOut | None = Field(description="When the address was made; null if there is none.")
    expires_at: InstantOut | None = Field(description="From when on the address finds nothing; null if there is none.")


class MadeCalendarFeedOut(Out):
    """A new address of the caller's calendar feed. It is returned only once."""

    address: str = Field(
        description="To be given to the caller's own calendar program alone: whoever has it sees the sessions. A path "
        "of this service, if the office has not configured where it is published.",
        examples=["/v1/calendar-feeds/dGhpcyBpcyBub3QgYSBzZWNyZXQgYXQg.ics"],
    )
    made_at: InstantOut = Field(description="When the address was made.")
    expires_at: InstantOut = Field(description="From when on the address finds nothing.")


@router.post(
    "/me/calendar-feed",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Make the caller's calendar feed",
)
@Operation("makeCalendarFeed", access=_OWNERS, oauth_scope="sessions:write")
async def make_calendar_feed(
    request: Request, scope: Scope, feeds: CalendarFeeds, service: Context, at: Now
) -> MadeCalendarFeedOut:
    """Make a secret address at which a calendar program reads the caller's sessions. An earlier one ends.

    A mediator's are those of the cases that the mediator accepted, a coordinator's those of the cases that are assigned
    to the coordinator, both at the moment of reading. The address is in this response and can never be read again, so
    there is no `Location`.
    """
    token = calendar_feeds.token_of(token_bytes(calendar_feeds.FEED_ENTROPY_BYTES))
    feed = CalendarFeed(at, calendar_feeds.expires_at(at, service.settings.calendar_feed_days))
    await feeds.make(scope.actor, feed, calendar_feeds.digest(token, code_key(service)))
    address = f"{request.app.state.public_url}/v1/calendar-feeds/{token}"
    return MadeCalendarFeedOut(address=address, made_at=in_utc(feed.made_at), expires_at=in_utc(feed.expires_at))


@router.get("/me/calendar-feed", summary="The caller's calendar feed")
@Operation("getCalendarFeed", access=_OWNERS, oauth_scope="sessions:read")
async def get_calendar_feed(scope: Scope, feeds: CalendarFeeds, at: Now) -> CalendarFeedOut:
    """Return whether the caller has a calendar feed, and until when."""
    return _to_response(await feeds.find(scope.actor, at))


@router.post("/me/calendar-feed/revoke", dependencies=[IDEMPOTENT], summary="Revoke the caller's calendar feed")
@Operation("revokeCalendarFeed", access=_OWNERS, oauth_scope="sessions:write")
async def revoke_calendar_feed(scope: Scope, feeds: CalendarFeeds) -> CalendarFeedOut:
    """End the address of the caller's calendar feed, if there is one: from then on it finds nothing."""
    await feeds.revoke(scope.actor)
    return _to_response(None)


@router.get(
    "/calendar-feeds/{token}",
    summary="Read a calendar feed",
    response_class=CalendarResponse,
    response_description="The sessions of one mediator or coordinator as iCalendar (RFC 5545): those to come, and "
    "those of the last 30 days.",
)
# It `opens` nothing as the caller, who is unknown: the read is logged as that of the address's owner.
@Operation("getCalendar", access=allow(office=(Role.PUBLIC,)), oauth_scope=None, pool=Pool.PARTIES)
async def get_calendar(
    token: Token,
    request: Request,
    _scope: Scope,
    feeds: CalendarFeeds,
    counters: AttemptCounters,
    service: Context,
    at: Now,
) -> CalendarResponse:
    """Return the sessions of the person whose secret address this is, for a calendar program.

    An address that was never made, was replaced or revoked, or has expired is not found. The times are in UTC. It has
    the place of a session in person and no link of a video meeting, with which a stranger could come in. The read is
    logged as its owner's. The number of reads per hour is limited.
    """
    owner = await feeds.owner(calendar_feeds.digest(token, code_key(service)), at)
    if owner is None:
        raise NotFound
    limit = service.settings.calendar_reads_per_hour
    await count_attempt(counters, AttemptKind.CALENDAR, f"{owner.role}:{owner.subject}", limit, request=request, at=at)
    relation = Relation.ASSIGNED if owner.role is Role.MEDIATOR else Relation.OFFICE
    scope = access_log.logged_scope(AccessScope(owner, relation), operation_of(request).id, None, at)
    words = service.texts.documents[language_of(request)]
    rows = await feeds.sessions(scope, at - calendar_feeds.PAST)
    entries = (calendar_entry(row, f"{words['session']} {row['reference']}", row["place"]) for row in rows)
    return CalendarResponse(feed_of(entries, words["sessions"]), headers=SAVED)


def _to_response(feed: CalendarFeed | None) -> CalendarFeedOut:
    if feed is None:
        return CalendarFeedOut(made_at=None, expires_at=None)
    return CalendarFeedOut(made_at=in_utc(feed.made_at), expires_at=in_utc(feed.expires_at))
