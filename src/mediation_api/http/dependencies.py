"""The dependencies of routes: the caller's access scope, the time, the city's policy, and the repositories.

`StrictRoute` opens the connection of a request around its function (`open_connection`): the transaction commits before
the response is sent, so that a failed commit cannot look like a success. Nothing else commits. Reads run in autocommit
mode, in one round trip; a party's reads run in a transaction under row security (database/row_security.py).

Every dependency is `async def`: FastAPI would run a plain function in a thread, which takes longer than most of them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Annotated, Final, TypeVar
from uuid import UUID, uuid4

from fastapi import Depends, Header, Path, Request, Response
from fastapi.dependencies.models import Dependant
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.auth.identity_provider import KeysUnavailable
from mediation_api.auth.tokens import Issuer, TokenFault, Verifier
from mediation_api.database.engine import Database
from mediation_api.database.row_security import assume_party, require_live_code
from mediation_api.domain import access, access_log, target
from mediation_api.domain.access import ANYBODY, AccessScope, Actor, Relation, Role
from mediation_api.domain.access_log import Purpose
from mediation_api.domain.errors import AccessCodeInvalid, TokenRevoked, Unauthenticated
from mediation_api.domain.events import Event
from mediation_api.domain.policy import Policy
from mediation_api.domain.texts import OfficeContact, Text, Texts
from mediation_api.http.fields import Uuid
from mediation_api.http.problems import ProblemException
from mediation_api.http.rate_limits import Limiter, network_of_request
from mediation_api.http.routes import operation_of
from mediation_api.outreach.documents import Printer
from mediation_api.outreach.feed_poller import FeedPoller
from mediation_api.repository.access_anomalies import AccessAnomalies as AccessAnomaliesRepository
from mediation_api.repository.access_log import AccessLog as AccessLogRepository
from mediation_api.repository.agreements import Agreements as AgreementsRepository
from mediation_api.repository.attempt_counters import AttemptCounters as AttemptCountersRepository
from mediation_api.repository.calendar_feeds import CalendarFeeds as CalendarFeedsRepository
from mediation_api.repository.case_queries import CaseQueries as CaseQueriesRepository
from mediation_api.repository.case_records import CaseRecords as CaseRecordsRepository
from mediation_api.repository.cases import Cases as CasesRepository
from mediation_api.repository.complaints import Complaints as ComplaintsRepository
from mediation_api.repository.erasures import Erasures as ErasuresRepository
from mediation_api.repository.imports import Imports as ImportsRepository
from mediation_api.repository.legal_holds import LegalHolds as LegalHoldsRepository
from mediation_api.repository.mails import Mails as MailsRepository
from mediation_api.repository.mandatory_reports import MandatoryReports as MandatoryReportsRepository
from mediation_api.repository.mediators import Mediators as MediatorsRepository
from mediation_api.repository.parties import Parties as PartiesRepository
from mediation_api.repository.recording import record
from mediation_api.repository.sessions import Sessions as SessionsRepository
from mediation_api.repository.streams import Stream
from mediation_api.repository.timeline import Timeline as TimelineRepository
from mediation_api.repository.waiting import Waiting as WaitingRepository
from mediation_api.repository.webhooks import Webhooks as WebhooksRepository
from mediation_api.settings import Settings

T = TypeVar("T")
D = TypeVar("D", bound=Callable[..., object])


@dataclass(frozen=True, kw_only=True)
class ServiceContext:
    """The objects that one process of the service shares among requests. `main.create_app` creates it."""

    settings: Settings
    policy: Policy
    texts: Texts
    database: Database
    feed: FeedPoller
    verifier: Verifier
    issuer: Issuer
    clock: Callable[[], datetime]
    limiter: Limiter
    printer: Printer

    allegation_categories: Mapping[str, Mapping[str, str]]
    """The city's categories of allegations: the words of each, by its code and by language."""

    @property
    def office(self) -> OfficeContact:
        """The office, as people reach it."""
        return OfficeContact(self.settings.office_name, self.settings.office_phone)

    @cached_property
    def disclosures(self) -> tuple[Text, ...]:
        """The current disclosure in each language, English first. Texts, policy and office stay as they are."""
        return self.texts.current.render_disclosures(self.office, self.policy.report_categories)

    def current_disclosure(self, sha256: str) -> Text | None:
        """The current disclosure with this hash, in whichever language."""
        return next((text for text in self.disclosures if text.sha256 == sha256), None)


# FastAPI resolves the whole tree of a dependency each time that it is named, even if its value is cached. So they take
# the service context, the time, the access scope and the connection from the request, and do not depend on each other.


def context_of(request: Request) -> ServiceContext:
    """Return the service context of this application."""
    service: ServiceContext = request.app.state.service
    return service


async def service_context(request: Request) -> ServiceContext:
    """Return the service context of this application."""
    return context_of(request)


async def now(request: Request) -> datetime:
    """Return the time of the request, in UTC. Everything that one request records has this time."""
    return time_of(request)


def time_of(request: Request) -> datetime:
    """Return the time of the request, in UTC."""
    at: datetime = request.state.at
    return at


async def policy(request: Request) -> Policy:
    """Return the city's policy."""
    return context_of(request).policy


Context = Annotated[ServiceContext, Depends(service_context)]
Now = Annotated[datetime, Depends(now)]
CityPolicy = Annotated[Policy, Depends(policy)]


async def today(request: Request) -> date:
    """Return the date in the office's time zone."""
    return target.local_date(time_of(request), context_of(request).policy.target)


Today = Annotated[date, Depends(today)]


async def new_id() -> UUID:
    """Return the id of the object that the request creates."""
    return uuid4()


NewId = Annotated[UUID, Depends(new_id)]

# ── authentication ─────────────────────────────────────────────────────────────────────────────────────────────────


async def authorise(request: Request) -> None:
    """Authenticate the caller, count the request against its quota, and check that it may call the operation.

    `StrictRoute` calls it before anything else of the request is looked at, its body in particular: a stranger is
    refused and counted without being read. The time and the access scope are kept in the state of the request.

    Raises:
        Unauthenticated: there is no valid token, and the operation is not public.
        KeysUnavailable: the identity provider's keys could not be read, so the token cannot be verified (503).
        NotPermitted: the role may not call the operation, or the token lacks its scope.
        ProblemException: the caller has exceeded its quota (429).
    """
    service, actor = context_of(request), ANYBODY
    operation = operation_of(request)
    request.state.at = at = service.clock()

    def count(caller: str) -> None:
        request.state.quota = quota = service.limiter.count(caller, at)
        if quota.is_exceeded and not operation.always_answered:
            raise ProblemException(
                429, "quota-exceeded", "Too many requests in this minute: wait for Retry-After seconds."
            )

    authorization = request.headers.getlist("authorization")
    if authorization:
        try:
            actor = await service.verifier.verify(_bearer_token(authorization), at)
        except (Unauthenticated, KeysUnavailable):
            count(f"address:{network_of_request(request)}")  # the caller is unknown, so its address is counted
            raise
    request.state.role = actor.role
    caller = f"{actor.role}:{actor.subject}" if authorization else f"address:{network_of_request(request)}"
    request.state.caller = caller
    count(caller)
    request.state.access_scope = access.scope_for(operation, actor)


async def access_scope(request: Request) -> AccessScope:
    """Return the access scope of the caller for the operation, which `authorise` has found."""
    return access_scope_of(request)


def access_scope_of(request: Request) -> AccessScope:
    """Return the access scope of the caller for the operation."""
    scope: AccessScope = request.state.access_scope
    return scope


def is_for_office(request: Request) -> bool:
    """Whether the caller reads as the office."""
    return access_scope_of(request).relation is Relation.OFFICE


def _bearer_token(authorization: list[str]) -> str:
    scheme, _, token = authorization[0].partition(" ")
    if len(authorization) > 1 or scheme.lower() != "bearer":
        raise Unauthenticated(TokenFault.SCHEME)
    return token.strip()


Scope = Annotated[AccessScope, Depends(access_scope)]
"""Of every operation, public ones included; `contract/security_schemes.py` describes it in the contract."""


async def scope_to_log(
    request: Request,
    access_purpose: Annotated[
        Purpose | SkipJsonSchema[None],
        Header(
            alias="Access-Purpose",
            description="The purpose of the access; by default, the daily work of the caller's role. It is recorded in "
            "the access log, which has every read by a caller that is not a party.",
            examples=["party_request"],
        ),
    ] = None,
) -> AccessScope:
    """Return the access scope together with the purpose, for repositories that write to the access log as they read."""
    scope, operation = access_scope_of(request), operation_of(request)
    return access_log.logged_scope(scope, operation.id, access_purpose, time_of(request))


LoggedScope = Annotated[AccessScope, Depends(scope_to_log)]
"""For a GET that returns data of a complaint, a party, a case or a report."""

# ── the repositories, on the request's one connection ──────────────────────────────────────────────────────────────


class StoredResponseFound(Exception):  # noqa: N818 - not an error: the request was answered before
    """The request was answered before; `response` is the stored response."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@asynccontextmanager
async def open_connection(request: Request) -> AsyncIterator[None]:
    """Open the connection of an authorised request: in a transaction, or in autocommit mode for a GET.

    A party's GET runs under row security; its commands need to read the whole case. The token of an access code that
    has ended is refused. Two exceptions commit the transaction: a wrong access code is counted, and a stored response
    is returned only when a synchronous standby has what it tells of.
    """
    database, actor, caller = context_of(request).database, access_scope_of(request).actor, request.state.caller
    pool = operation_of(request).pool_for(actor)
    opening: AbstractAsyncContextManager[AsyncConnection]
    if request.method != "GET":
        opening = database.transaction(pool, caller=caller)
    elif actor.is_party:
        opening = database.as_party(actor, caller=caller)
    else:
        opening = database.reading(pool, caller=caller)
    ended: AccessCodeInvalid | StoredResponseFound | None = None
    async with opening as opened:
        request.state.connection = opened
        try:
            yield
        except (AccessCodeInvalid, StoredResponseFound) as instead:
            ended = instead
        except Exception as refusal:
            # A successful command checks the code in `assume_party`. A refusal must not be returned to a caller whose
            # code has ended, either.
            is_command = actor.role is Role.COMPLAINANT and request.method != "GET"
            if is_command and not isinstance(refusal, DBAPIError | TokenRevoked):
                await require_live_code(opened, actor)
            raise
    if ended is not None:
        raise ended


_ON_CONNECTION: Final[set[object]] = set()
"""The dependencies that use the connection of the request."""


def needs_connection(dependant: Dependant) -> bool:
    """Whether a route, or one of its dependencies, uses the connection of the request."""
    return dependant.call in _ON_CONNECTION or any(map(needs_connection, dependant.dependencies))


def uses_connection(dependency: D) -> D:
    """Declare that a dependency uses the connection of the request (`connection_of`)."""
    _ON_CONNECTION.add(dependency)
    return dependency


def connection_of(request: Request) -> AsyncConnection:
    """Return the connection of the request."""
    connection: AsyncConnection = request.state.connection
    return connection


def _on(repository: Callable[[AsyncConnection], T]) -> Callable[[Request], Awaitable[T]]:
    @uses_connection
    async def provide(request: Request) -> T:
        return repository(connection_of(request))

    return provide


Agreements = Annotated[AgreementsRepository, Depends(_on(AgreementsRepository))]
CalendarFeeds = Annotated[CalendarFeedsRepository, Depends(_on(CalendarFeedsRepository))]
CaseQueries = Annotated[CaseQueriesRepository, Depends(_on(CaseQueriesRepository))]
Cases = Annotated[CasesRepository, Depends(_on(CasesRepository))]
Complaints = Annotated[ComplaintsRepository, Depends(_on(ComplaintsRepository))]
Imports = Annotated[ImportsRepository, Depends(_on(ImportsRepository))]
Erasures = Annotated[ErasuresRepository, Depends(_on(ErasuresRepository))]
LegalHolds = Annotated[LegalHoldsRepository, Depends(_on(LegalHoldsRepository))]
MandatoryReports = Annotated[MandatoryReportsRepository, Depends(_on(MandatoryReportsRepository))]
Mails = Annotated[MailsRepository, Depends(_on(MailsRepository))]
Mediators = Annotated[MediatorsRepository, Depends(_on(MediatorsRepository))]
Parties = Annotated[PartiesRepository, Depends(_on(PartiesRepository))]
CaseRecords = Annotated[CaseRecordsRepository, Depends(_on(CaseRecordsRepository))]
AccessLog = Annotated[AccessLogRepository, Depends(_on(AccessLogRepository))]
Sessions = Annotated[SessionsRepository, Depends(_on(SessionsRepository))]
AttemptCounters = Annotated[AttemptCountersRepository, Depends(_on(AttemptCountersRepository))]
Timeline = Annotated[TimelineRepository, Depends(_on(TimelineRepository))]
Waiting = Annotated[WaitingRepository, Depends(_on(WaitingRepository))]
Webhooks = Annotated[WebhooksRepository, Depends(_on(WebhooksRepository))]
AccessAnomalies = Annotated[AccessAnomaliesRepository, Depends(_on(AccessAnomaliesRepository))]


class Recorder:
    """Records the events of a command in the request's transaction; then restricts a party's connection to its rows."""

    def __init__(self, opened: AsyncConnection, actor: Actor, at: datetime) -> None:
        self._connection = opened
        self._actor = actor
        self._at = at

    async def __call__(
        self,
        stream: Stream,
        new_events: Sequence[Event],
        *others: tuple[Stream, Sequence[Event]],
        reads_answer: bool = True,
    ) -> None:
        """Write the events, with the caller and the time of the request, and the changes of rows that follow from them.

        A command that decides in several streams passes all of them, so that they are written together.

        Afterwards, if the caller is a party, row security applies to all that the route reads for its response. Pass
        `reads_answer=False` if the response contains nothing but what the party sent: that saves a round trip.

        Raises:
            Conflict: a constraint of the database refuses the change.
            TokenRevoked: the access code of the party's token has ended.
        """
        await record(self._connection, (stream, new_events), *others, by=self._actor, at=self._at)
        if self._actor.is_party and reads_answer:
            await assume_party(self._connection, self._actor)


@uses_connection
async def recorder(request: Request) -> Recorder:
    """Return the recorder of the request."""
    return Recorder(connection_of(request), access_scope_of(request).actor, time_of(request))


Record = Annotated[Recorder, Depends(recorder)]

# ── paths ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ComplaintId = Annotated[Uuid, Path(description="The complaint's id.")]
PartyId = Annotated[Uuid, Path(description="The party's id.")]
CaseId = Annotated[Uuid, Path(description="The case's id.")]
MediatorId = Annotated[Uuid, Path(description="The mediator's id.")]
AssignmentId = Annotated[Uuid, Path(description="The assignment's id.")]
SessionId = Annotated[Uuid, Path(description="The session's id.")]
ConsentId = Annotated[Uuid, Path(description="The consent's id.")]
GuardianConsentId = Annotated[Uuid, Path(description="The id of the guardian's consent.")]
WithdrawalId = Annotated[Uuid, Path(description="The withdrawal's id.")]
ScreeningId = Annotated[Uuid, Path(description="The screening's id.")]
ApprovalId = Annotated[Uuid, Path(description="The approval's id.")]
PauseId = Annotated[Uuid, Path(description="The pause's id.")]
ContactAttemptId = Annotated[Uuid, Path(description="The id of the contact attempt.")]
AttendeeId = Annotated[Uuid, Path(description="The attendee's id.")]
AgreementId = Annotated[Uuid, Path(description="The agreement's id.")]
ErasureId = Annotated[Uuid, Path(description="The id of the erasure request.")]
ImportId = Annotated[Uuid, Path(description="The import's id.")]
HoldId = Annotated[Uuid, Path(description="The legal hold's id.")]
WebhookEndpointId = Annotated[Uuid, Path(description="The webhook endpoint's id.")]
WebhookDeliveryId = Annotated[Uuid, Path(description="The id of the delivery.")]
ReportId = Annotated[Uuid, Path(description="The mandatory report's id.")]
