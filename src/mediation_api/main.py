"""Create the application from its routers, its middleware and the settings."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, date, datetime
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from mediation_api.auth.tokens import Issuer, Verifier
from mediation_api.contract import responses
from mediation_api.database.engine import Database
from mediation_api.domain.access_anomalies import AnomalyThresholds
from mediation_api.domain.policy import ContactPolicy, Policy, SessionPolicy
from mediation_api.domain.target import TargetPolicy
from mediation_api.domain.texts import Texts
from mediation_api.http import middleware
from mediation_api.http.dependencies import ServiceContext
from mediation_api.http.rate_limits import Limiter
from mediation_api.http.routes import operations_of
from mediation_api.outreach.documents import Printer
from mediation_api.outreach.feed_poller import FeedPoller
from mediation_api.outreach.worker import WorkerContext
from mediation_api.routers import (
    access_anomalies,
    access_log,
    access_tokens,
    agreements,
    allegation_categories,
    calendar_feeds,
    cases,
    closures,
    complaints,
    consents,
    contact_attempts,
    disclosures,
    docs,
    erasures,
    events,
    health,
    imports,
    legal_holds,
    mails,
    mandatory_reports,
    me,
    mediators,
    office,
    parties,
    problem_pages,
    screenings,
    sessions,
    webhook_endpoints,
)
from mediation_api.settings import PREFIX, Settings, SettingsError, public_holidays, settings_from_environment
from mediation_api.texts.loader import load_texts, read_allegation_categories

if TYPE_CHECKING:
    from mediation_api.tracing import Tracing

CONTACT = {"name": "The maintainers of the contract", "url": "https://example.org/mediation-api"}
"""The contact in the contract. The contract is the same for every city: nothing in it depends on a setting."""

ROUTERS = (
    office.router,
    allegation_categories.router,
    me.router,
    complaints.router,
    imports.router,
    parties.router,
    cases.router,
    access_log.router,
    access_anomalies.router,
    screenings.router,
    closures.router,
    contact_attempts.router,
    mails.router,
    disclosures.router,
    consents.router,
    mediators.roster,
    mediators.router,
    sessions.router,
    calendar_feeds.router,
    agreements.router,
    mandatory_reports.router,
    legal_holds.router,
    erasures.router,
    events.router,
    webhook_endpoints.router,
    access_tokens.router,
    problem_pages.router,
    health.router,
    docs.contract_router,
    docs.router,
)

ROUTES = tuple(route for router in ROUTERS for route in router.routes)
"""Every route of the service, shared by all applications of a process.

FastAPI analyses a route's parameters and models when its module is imported, and again in `include_router`, which takes
80 ms, twenty times as long as the rest of `create_app`. The routers need no prefix or dependencies, so their routes are
used as they are. `app.dependency_overrides` has no effect on them; objects that depend on the settings are in
`app.state.service`.
"""

OPERATIONS = operations_of(ROUTES)
"""Every operation by its id, in the order of the contract. A route that declares none ends the program here."""

TAGS = {
    "me": "The caller: who the token says it is, and what waits for it.",
    "office": "The office: how to reach it, in which languages it has texts, and its categories of allegations.",
    "complaints": "Complaints, and the answers of intake for screening.",
    "imports": "Many complaints of an integration in one upload, filed in the background.",
    "parties": "The complainants and officers of a complaint, and how to contact them.",
    "cases": "The mediation of a complaint: its state, its timeline, and what it waits for.",
    "access-log": "Who opened a case, its complaint and its parties, and anomalies of access.",
    "disclosures": "The text that a party reads before it answers.",
    "consents": "The parties' answers to the question whether to take part, and withdrawals.",
    "mediators": "The roster of mediators.",
    "assignments": "Proposals of cases to mediators, and their answers with a declaration on conflicts of interest.",
    "sessions": "Mediation sessions, the people who are expected, and those who attended.",
    "calendar-feeds": "Secret addresses at which calendar programs read the sessions of a mediator or coordinator.",
    "agreements": "Texts that all sign: confidentiality before a session, the resolution after it.",
    "mandatory-reports": "Records that a duty to report was met: the exception to confidentiality, for two roles only.",
    "retention": "Legal holds, which keep data beyond its period, and erasures on request before its end.",
    "events": "The change feed: what has happened, in one order, for programs that follow it.",
    "webhooks": "Endpoints of an integration to which the entries of its change feed are posted.",
    "access-tokens": "The exchange of an access code for a token, for members of the public.",
    "problems": "The meaning of each problem type, and what a caller can do about it.",
    "health": "Liveness, readiness and version. No personal data.",
}
"""The tags of the contract, in the order of its sections."""


def create_app(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """Create the application.

    Args:
        settings: The configuration of the deployment.
        clock: Returns the current time, aware and in UTC.
    """
    texts = load_texts()
    database = Database.of(settings)
    tracing = _tracing(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with _metrics(app.state.service):
            yield
        await app.state.service.feed.close()
        app.state.service.printer.close()
        await database.close()
        if tracing is not None:
            await tracing.close()

    app = FastAPI(
        title="mediation_api",
        summary="Mediation between community members and police officers, for an independent review office.",
        description="Voluntary and confidential. Nobody has to apologise, and nobody judges who is right.\n\n"
        "Each operation names its callers: staff are intake, coordinators and directors. Every response carries the "
        "headers `API-Version` and `X-Request-Id`, and, once its caller is known, `RateLimit` and `RateLimit-Policy`.",
        version=installed_version("mediation-api"),
        contact=CONTACT,
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/", "description": "Where this document comes from; each city runs its own."}],
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        lifespan=lifespan,
        routes=list(ROUTES),
        webhooks=webhook_endpoints.webhooks,
        openapi_url=None,  # `routers/docs.py` serves it so that clients can keep it
        docs_url=None,  # `routers/docs.py` serves a page that loads nothing from other hosts
        redoc_url=None,
        # FastAPI's logs contain the texts of exceptions; its spans contain paths, which `tracing.py` leaves out.
        telemetry={
            "tracing": tracing is not None,
            "tracer_provider": None if tracing is None else tracing.provider,
            "metrics": False,
            "logs": False,
            "auto_configure": False,
        },
        separate_input_output_schemas=False,
    )
    app.state.service = ServiceContext(
        settings=settings,
        policy=policy_of(settings),
        texts=texts,
        allegation_categories=_allegation_categories(settings, texts),
        database=database,
        feed=FeedPoller(database),
        verifier=Verifier.of(settings),
        issuer=Issuer.of(settings),
        clock=clock,
        limiter=Limiter(settings.requests_per_minute),
        printer=Printer(settings.fonts_directory),
    )
    responses.describe_responses(app, OPERATIONS)
    middleware.install(
        app,
        problem_titles=texts.problem_titles,
        problem_details=texts.problem_details,
        body_limit=settings.body_limit_bytes,
        origins=settings.cors_origins,
        public_url=settings.public_url,
    )
    return app


def worker_context(settings: Settings) -> WorkerContext:
    """Create what the tasks of the worker share. Whoever calls it closes its database."""
    texts = load_texts()
    return WorkerContext(
        settings=settings,
        policy=policy_of(settings),
        texts=texts,
        allegation_categories=_allegation_categories(settings, texts),
        database=Database.of_worker(settings),
        clock=lambda: datetime.now(UTC),
    )


def _allegation_categories(settings: Settings, texts: Texts) -> Mapping[str, Mapping[str, str]]:
    own = settings.allegations_directory
    return texts.allegation_categories if own is None else read_allegation_categories(own)


def _tracing(settings: Settings) -> "Tracing | None":
    if not settings.traces_url:
        return None
    try:
        from mediation_api.tracing import Tracing  # noqa: PLC0415 - the extra may not be installed
    except ImportError:
        raise SettingsError(f"{PREFIX}TRACES_URL: needs the extra `traces` of the package") from None
    return Tracing(settings.traces_url)


def _metrics(service: ServiceContext) -> AbstractAsyncContextManager[None]:
    if service.settings.metrics_port is None:
        return nullcontext()
    from mediation_api.metrics import serving  # noqa: PLC0415 - who has no metrics does not load their library

    return serving(service.settings, service.database, service.verifier)


def app_from_environment() -> FastAPI:
    """Create the application with the environment's settings, for `uvicorn --factory`."""
    return create_app(settings_from_environment())


def policy_of(settings: Settings) -> Policy:
    """Return the policy of the domain from the settings."""
    return Policy(
        target=TargetPolicy(
            zone=ZoneInfo(settings.time_zone),
            holidays=_Holidays(settings),
            days=settings.target_days,
            at_risk_days=settings.at_risk_days,
            escalate_after_days=settings.escalate_after_days,
        ),
        mediator_answer_working_days=settings.mediator_answer_working_days,
        reminder_working_days=settings.reminder_working_days,
        pause_max_days=settings.pause_max_days,
        complainant_absences_before_lapse=settings.complainant_absences_before_lapse,
        officer_absences_before_lapse=settings.officer_absences_before_lapse,
        required_approvals=frozenset(settings.required_approvals),
        anomalies=AnomalyThresholds(
            opens=settings.office_opens,
            closes=settings.office_closes,
            part_days=settings.anomaly_part_days,
            complaints_a_day=settings.anomaly_complaints_a_day,
            times_the_role=settings.anomaly_times_the_role,
            days_after_close=settings.anomaly_days_after_close,
        ),
        report_categories=settings.report_categories,
        sessions=SessionPolicy(
            opens=settings.session_opens,
            closes=settings.session_closes,
            early_start_minutes=settings.session_early_start_minutes,
        ),
        contact=ContactPolicy(
            attempts=settings.contact_attempts_before_lapse,
            channels=settings.contact_channels_before_lapse,
            days=settings.contact_days_before_lapse,
        ),
        max_attempts=settings.max_attempts,
        days_between_attempts=settings.days_between_attempts,
    )


class _Holidays:
    """The city's days off: the public holidays of its country and state, and `extra_holidays`."""

    def __init__(self, settings: Settings) -> None:
        self._public = public_holidays(settings.holiday_calendar)
        self._own = frozenset(settings.extra_holidays)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and (day in self._own or day in self._public)
