"""What routes are given: who is calling and what they reach, the time, the city's policy, and the repositories.

The transaction is a dependency with `scope="function"`: it commits before the answer leaves, so that a failed commit
cannot look like a success. Nobody else commits. Reads run without BEGIN and COMMIT, in one round trip; what a party
reads stands in a transaction that shows nothing else (database/row_security.py).

Every dependency is `async def`: FastAPI runs a plain one in a thread, which costs more than most of them do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, TypeVar
from uuid import UUID, uuid4

from fastapi import Depends, Header, Path, Request
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.auth.tokens import Issuer, Verifier
from mediation_api.database.engine import Database
from mediation_api.database.row_security import assume_party, require_live_code
from mediation_api.domain import access, access_log, target
from mediation_api.domain.access import ANYBODY, AccessScope, Actor, Role
from mediation_api.domain.access_log import Purpose
from mediation_api.domain.errors import AccessCodeInvalid, TokenRevoked, Unauthenticated
from mediation_api.domain.events import Event
from mediation_api.domain.policy import Policy
from mediation_api.domain.texts import Texts
from mediation_api.http.fields import Uuid
from mediation_api.http.problems import ProblemException
from mediation_api.http.rate_limits import Limiter, network_of_request
from mediation_api.http.routes import operation_of
from mediation_api.repository.access_anomalies import AccessAnomalies as UnusualReadingsRepository
from mediation_api.repository.access_log import AccessLog as ReadingsRepository
from mediation_api.repository.agreements import Agreements as AgreementsRepository
from mediation_api.repository.attempt_counters import AttemptCounters as TriesRepository
from mediation_api.repository.case_queries import CaseQueries as BoardRepository
from mediation_api.repository.case_records import CaseRecords as CaseRecordsRepository
from mediation_api.repository.cases import Cases as CasesRepository
from mediation_api.repository.complaints import Complaints as ComplaintsRepository
from mediation_api.repository.erasures import Erasures as ErasuresRepository
from mediation_api.repository.legal_holds import LegalHolds as LegalHoldsRepository
from mediation_api.repository.mandatory_reports import MandatoryReports as MandatoryReportsRepository
from mediation_api.repository.mediators import Mediators as MediatorsRepository
from mediation_api.repository.parties import Parties as PartiesRepository
from mediation_api.repository.recording import record
from mediation_api.repository.sessions import Sessions as SessionsRepository
from mediation_api.repository.streams import Stream
from mediation_api.repository.timeline import Timeline as TimelineRepository
from mediation_api.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """What one process of the service is made of. `main.create_app` puts it together."""

    settings: Settings
    policy: Policy
    texts: Texts
    database: Database
    verifier: Verifier
    issuer: Issuer
    clock: Callable[[], datetime]
    limiter: Limiter


# FastAPI goes through all that a dependency depends on each time that it is named, also when it has its value: those
# below ask the request itself, so that there is little to go through.


def _context(request: Request) -> ServiceContext:
    service: ServiceContext = request.app.state.service
    return service


async def service_context(request: Request) -> ServiceContext:
    """The service that this application serves."""
    return _context(request)


async def now(request: Request) -> datetime:
    """The instant of the request, in UTC; all that one request records has this one time."""
    return _context(request).clock()


async def policy(request: Request) -> Policy:
    """The city's own choices."""
    return _context(request).policy


Context = Annotated[ServiceContext, Depends(service_context)]
Now = Annotated[datetime, Depends(now)]
CityPolicy = Annotated[Policy, Depends(policy)]


async def today(at: Now, city: CityPolicy) -> date:
    """The date on the office's wall calendar."""
    return target.local_date(at, city.target)


Today = Annotated[date, Depends(today)]


async def new_id() -> UUID:
    """The identity of what the request creates."""
    return uuid4()


NewId = Annotated[UUID, Depends(new_id)]

# ── who is calling ─────────────────────────────────────────────────────────────────────────────────────────────────


async def access_scope(request: Request, at: Now) -> AccessScope:
    """What the caller may see and do with the operation of this request.

    Raises:
        Unauthenticated: there is no valid token, and the operation is not for the public.
        NotPermitted: the operation is not for this role, or outside the scopes of the token.
        Told: the caller has used up its quota (429).
    """
    service, actor = _context(request), ANYBODY
    operation = operation_of(request)

    def count(caller: str) -> None:
        request.state.quota = quota = service.limiter.count(caller, at)
        if quota.is_exceeded and not operation.always_answered:
            raise ProblemException(
                429, "quota-exceeded", "Too many requests in this minute: wait as long as Retry-After says."
            )

    authorization = request.headers.getlist("authorization")
    if authorization:
        try:
            actor = await service.verifier.verify(_bearer_token(authorization), at)
        except Unauthenticated:
            count(f"address:{network_of_request(request)}")  # whoever guesses tokens is no caller that we know
            raise
    request.state.role = actor.role
    caller = f"{actor.role}:{actor.subject}" if authorization else f"address:{network_of_request(request)}"
    request.state.caller = caller
    count(caller)
    return access.scope_for(operation, actor)


def _bearer_token(authorization: list[str]) -> str:
    scheme, _, token = authorization[0].partition(" ")
    if len(authorization) > 1 or scheme.lower() != "bearer":
        raise Unauthenticated
    return token.strip()


Scope = Annotated[AccessScope, Depends(access_scope)]
"""For every operation, public ones included; `contract/security_schemes.py` describes it in the contract."""


async def scope_to_log(
    request: Request,
    scope: Scope,
    at: Now,
    access_purpose: Annotated[
        Purpose | SkipJsonSchema[None],
        Header(
            alias="Access-Purpose",
            description="What it is opened for; the daily work of the caller's role unless given. Reads by anybody "
            "but a party are written down, with this.",
            examples=["party_request"],
        ),
    ] = None,
) -> AccessScope:
    """What the caller reaches, to be written down as opened when it is found; `domain.access_log` says what is."""
    return access_log.logged_scope(scope, operation_of(request).id, access_purpose, at)


LoggedScope = Annotated[AccessScope, Depends(scope_to_log)]
"""For a GET that shows something of a complaint, a party or a case."""

# ── the repositories, on the request's one connection ──────────────────────────────────────────────────────────────


async def connection(request: Request, scope: Scope) -> AsyncIterator[AsyncConnection]:
    """A connection for this request, once the caller may make it: one transaction, or plain reads for a GET.

    What a party reads is shown to it through the wall; its commands decide on the whole case. The token of a code that
    has ended is refused. A wrong access code is refused as well, and that it was tried is committed all the same.
    """
    database, actor, caller = _context(request).database, scope.actor, request.state.caller
    pool = operation_of(request).pool_for(actor)
    if request.method != "GET":
        opening = database.transaction(pool, caller=caller)
    elif actor.is_party:
        opening = database.as_party(actor, caller=caller)
    else:
        opening = database.reading(pool, caller=caller)
    wrong: AccessCodeInvalid | None = None
    async with opening as opened:
        try:
            yield opened
        except AccessCodeInvalid as refused:
            wrong = refused
        except Exception as refused:
            # A command that is done ends within the wall, which asks for the code (`enter`). A refusal is for nobody
            # whose code has ended either.
            commands = actor.role is Role.COMPLAINANT and request.method != "GET"
            if commands and not isinstance(refused, DBAPIError | TokenRevoked):
                await require_live_code(opened, actor)
            raise
    if wrong is not None:
        raise wrong


Connection = Annotated[AsyncConnection, Depends(connection, scope="function")]


def _on(made: Callable[[AsyncConnection], T]) -> Callable[[AsyncConnection], Awaitable[T]]:
    async def provide(opened: Connection) -> T:
        return made(opened)

    return provide


Agreements = Annotated[AgreementsRepository, Depends(_on(AgreementsRepository))]
CaseQueries = Annotated[BoardRepository, Depends(_on(BoardRepository))]
Cases = Annotated[CasesRepository, Depends(_on(CasesRepository))]
Complaints = Annotated[ComplaintsRepository, Depends(_on(ComplaintsRepository))]
Erasures = Annotated[ErasuresRepository, Depends(_on(ErasuresRepository))]
LegalHolds = Annotated[LegalHoldsRepository, Depends(_on(LegalHoldsRepository))]
MandatoryReports = Annotated[MandatoryReportsRepository, Depends(_on(MandatoryReportsRepository))]
Mediators = Annotated[MediatorsRepository, Depends(_on(MediatorsRepository))]
Parties = Annotated[PartiesRepository, Depends(_on(PartiesRepository))]
CaseRecords = Annotated[CaseRecordsRepository, Depends(_on(CaseRecordsRepository))]
AccessLog = Annotated[ReadingsRepository, Depends(_on(ReadingsRepository))]
Sessions = Annotated[SessionsRepository, Depends(_on(SessionsRepository))]
AttemptCounters = Annotated[TriesRepository, Depends(_on(TriesRepository))]
Timeline = Annotated[TimelineRepository, Depends(_on(TimelineRepository))]
AccessAnomalies = Annotated[UnusualReadingsRepository, Depends(_on(UnusualReadingsRepository))]


class Recorder:
    """Records what a command decided, in the request's transaction; database/row_security.py shows a party the rest."""

    def __init__(self, opened: AsyncConnection, actor: Actor, at: datetime) -> None:
        self._connection = opened
        self._actor = actor
        self._at = at

    async def __call__(self, stream: Stream, new_events: Sequence[Event], *, reads_answer: bool = True) -> None:
        """Write the events, by the caller and at the instant of the request, and what follows from them.

        From then on, a party that made the command is shown its own rows alone: no route can forget it. An answer that
        holds nothing but what the party itself said does without (`reads_answer`), and is a round trip sooner.

        Raises:
            Conflict: a constraint refuses what the domain could not see.
            TokenRevoked: the code that the party's token was given for has ended.
        """
        await record(self._connection, stream, new_events, by=self._actor, at=self._at)
        if self._actor.is_party and reads_answer:
            await assume_party(self._connection, self._actor)


async def recorder(opened: Connection, scope: Scope, at: Now) -> Recorder:
    """What a command records with."""
    return Recorder(opened, scope.actor, at)


Record = Annotated[Recorder, Depends(recorder)]

# ── paths ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ComplaintId = Annotated[Uuid, Path(description="The complaint's id.")]
PartyId = Annotated[Uuid, Path(description="The party's id.")]
CaseId = Annotated[Uuid, Path(description="The case's id.")]
MediatorId = Annotated[Uuid, Path(description="The mediator's id.")]
AssignmentId = Annotated[Uuid, Path(description="The assignment's id.")]
SessionId = Annotated[Uuid, Path(description="The session's id.")]
AttendeeId = Annotated[Uuid, Path(description="The attendee's id.")]
AgreementId = Annotated[Uuid, Path(description="The agreement's id.")]
ErasureId = Annotated[Uuid, Path(description="The id of the request to erase.")]
HoldId = Annotated[Uuid, Path(description="The legal hold's id.")]
ReportId = Annotated[Uuid, Path(description="The mandatory report's id.")]
