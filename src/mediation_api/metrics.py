"""Metrics in the format of Prometheus, on a port of their own. Imported only if MEDIATION_METRICS_PORT is set.

What happened is counted from the events of the log, so that nothing else in the service knows of metrics; the pools,
the identity provider's keys, the jobs and what waits to be sent are looked at when somebody asks. The labels are
templates of paths, methods, statuses and codes of closed lists, and hold nothing of a person. docs/operations.md says
what each metric means.

Each worker process answers for itself (docs/decisions/0087-each-worker-has-a-metrics-port.md).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.metadata import version as installed_version
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from mediation_api.auth.tokens import Verifier
from mediation_api.database.engine import Database, Pool
from mediation_api.database.job_runs import seconds_since_success
from mediation_api.domain.values import Job
from mediation_api.logs import SERVICE_LOGGER, LogEvent
from mediation_api.repository.unsent import seconds_unsent
from mediation_api.settings import Settings

DURATION_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the buckets of the histogram, in seconds."""
DATABASE_SECONDS: Final = 2.0
"""How long a page of metrics waits for the database."""
PORT_RETRY_SECONDS: Final = 1.0
"""How often a worker tries again when the workers before it still use all ports."""

_log = logging.getLogger(__name__)


class EventCounter(logging.Handler):
    """Counts the events of the log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._requests = Counter(
            "mediation_http_requests", "Requests.", ("method", "route", "status"), registry=registry
        )
        self._durations = Histogram(
            "mediation_http_request_duration_seconds",
            "Time until the last byte of the response was sent.",
            ("method", "route"),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._refusals = Counter(
            "mediation_token_refusals", "Requests that were not authenticated.", ("reason",), registry=registry
        )
        self._unavailable = Counter(
            "mediation_unavailable", "Requests that were answered 503.", ("cause",), registry=registry
        )
        self._unreadable = Counter("mediation_unreadable_values", "Values that did not decrypt.", registry=registry)

    def emit(self, record: logging.LogRecord) -> None:
        """Count one event."""
        if not isinstance(record.msg, LogEvent):
            return
        fields = record.msg.fields
        match fields["event"]:
            case "request":
                route = fields["route"] or "none"
                self._requests.labels(fields["method"], route, fields["status"] or "none").inc()
                if isinstance(milliseconds := fields["duration_ms"], float):
                    self._durations.labels(fields["method"], route).observe(milliseconds / 1000)
                if reason := fields.get("refusal"):
                    self._refusals.labels(reason).inc()
            case "unavailable":
                self._unavailable.labels(fields["cause"]).inc()
            case "unreadable":
                self._unreadable.inc()


class StateCollector(Collector):
    """Reads the state of the pools, of the identity provider's keys, of the jobs and of what waits to be sent."""

    def __init__(self, database: Database, verifier: Verifier) -> None:
        self._database = database
        self._verifier = verifier
        self._loop = asyncio.get_running_loop()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the metrics."""
        size = GaugeMetricFamily("mediation_pool_size", "Connections that the pool may open.", labels=("pool",))
        in_use = GaugeMetricFamily("mediation_pool_in_use", "Connections in use.", labels=("pool",))
        waiting = GaugeMetricFamily(
            "mediation_pool_waiting",
            "Requests that wait for a connection, or for their caller's share.",
            labels=("pool",),
        )
        for pool, usage in self._database.usage().items():
            size.add_metric((pool,), usage.size)
            in_use.add_metric((pool,), usage.in_use)
            waiting.add_metric((pool,), usage.waiting)
        yield from (size, in_use, waiting)
        yield GaugeMetricFamily(
            "mediation_identity_provider_keys_age_seconds",
            "Time since the identity provider's keys were read; infinite if they never were.",
            self._verifier.keys_age_seconds,
        )
        yield GaugeMetricFamily(
            "mediation_identity_provider_keys_failing",
            "1 if the identity provider's keys could not be read when it was last tried; otherwise 0.",
            self._verifier.keys_are_failing,
        )
        yield from self._from_database()

    def _from_database(self) -> Iterator[GaugeMetricFamily]:
        succeeded = GaugeMetricFamily(
            "mediation_job_success_age_seconds",
            "Time since a scheduled command or task last succeeded; absent if it never did or the database is away.",
            labels=("command",),
        )
        unsent = GaugeMetricFamily(
            "mediation_oldest_unsent_age_seconds",
            "How long the oldest mail or webhook has waited to be sent; absent if none waits or the database is away.",
            labels=("kind",),
        )
        # This is the thread of a request for metrics; the connections belong to the loop of the service.
        reading = asyncio.run_coroutine_threadsafe(self._read_ages(), self._loop)
        try:
            successes, waits = reading.result(DATABASE_SECONDS)
            for job, age in successes.items():
                succeeded.add_metric((job,), age)
            for kind, age in waits.items():
                unsent.add_metric((kind,), age)
        except (SQLAlchemyError, OSError):
            reading.cancel()
        yield from (succeeded, unsent)

    async def _read_ages(self) -> tuple[Mapping[Job, float], Mapping[str, float]]:
        async with self._database.reading(Pool.HEALTH) as connection:
            successes, waits = await seconds_since_success(connection), dict[str, float]()
            with suppress(SQLAlchemyError):  # a long queue may take too long, and must not hide the ages of the jobs
                waits.update(await seconds_unsent(connection))
            return successes, waits


def registry_of(database: Database, verifier: Verifier) -> CollectorRegistry:
    """Return a registry with the metrics that are read when they are asked for, in another thread than this one."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # not annotated
    registry = CollectorRegistry()
    registry.register(StateCollector(database, verifier))
    ProcessCollector(registry=registry)
    Info("mediation_build", "The version of the service.", registry=registry).info(
        {"version": installed_version("mediation-api")}
    )
    return registry


@contextmanager
def counting(registry: CollectorRegistry) -> Iterator[None]:
    """Count the events of the log during a block, at whichever level they are printed."""
    logger = logging.getLogger(SERVICE_LOGGER)
    counter, level = EventCounter(registry), logger.level
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    logger.addHandler(counter)
    try:
        yield
    finally:
        logger.removeHandler(counter)
        logger.setLevel(level)


@asynccontextmanager
async def serving(settings: Settings, database: Database, verifier: Verifier) -> AsyncIterator[None]:
    """Count, and serve the metrics of this process, during a block."""
    registry = registry_of(database, verifier)
    with counting(registry):
        starting = asyncio.create_task(_start(settings, registry))
        try:
            yield
        finally:
            starting.cancel()
            with suppress(asyncio.CancelledError):
                server = await starting
                await asyncio.to_thread(server.shutdown)
                server.server_close()


async def _start(settings: Settings, registry: CollectorRegistry) -> WSGIServer:
    """Serve on the first port that is free. After a restart of the workers it may be a while until one is."""
    waited = False
    while True:
        for port in settings.metrics_ports:
            with suppress(OSError):
                server, _ = start_http_server(port, settings.metrics_host, registry)
                return server
        if not waited:
            _log.warning("no port of the metrics is free; trying again")
        waited = True
        await asyncio.sleep(PORT_RETRY_SECONDS)
