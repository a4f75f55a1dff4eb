"""The metrics: what they count, that they hold nothing of a person, and where they are served."""

import asyncio
import logging
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text
from tests.conftest import Clock
from tests.contract.instance import environment
from tests.outreach.test_mail_delivery import person, with_mail
from tests.promises.production import PROGRAM, production_environment, serving
from tests.scenarios.test_change_feed import filed_by_integration
from tests.serving import START_SECONDS, wait_until_answered

from mediation_api.auth.tokens import Verifier
from mediation_api.database.engine import Database, Pool, PoolUsage, create_engine
from mediation_api.database.job_runs import record_success
from mediation_api.dev.office import Office
from mediation_api.domain.values import Job
from mediation_api.logs import SERVICE_LOGGER, LogEvent
from mediation_api.main import ROUTES, worker_context
from mediation_api.metrics import counting, registry_of
from mediation_api.outreach.mail_delivery import MailDelivery
from mediation_api.outreach.worker import number_events
from mediation_api.settings import Settings

CANARY: Final = "c4n4ry"
TEMPLATES: Final = {getattr(route, "path", "") for route in ROUTES} | {"none"}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Samples:
    """The values in a page of metrics, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"mediation_{name}", tuple(sorted(labels.items()))))


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    with counting(registry):
        yield registry


def log(event: str, **fields: object) -> None:
    logging.getLogger(f"{SERVICE_LOGGER}.http").info(LogEvent(event, **fields))


def request(route: str | None, status: int | None, duration_ms: float, **more: object) -> None:
    log("request", method="GET", route=route, status=status, duration_ms=duration_ms, request_id=CANARY, **more)


def test_events_of_the_log_are_counted(registry: CollectorRegistry) -> None:
    request("/v1/cases", 200, 30.0, role="intake", refusal=None)
    request("/v1/cases", 401, 2.0, refusal="expired")
    request(None, None, 20_000.0)
    log("unavailable", cause="pool-timeout", request_id=CANARY, error=CANARY)
    log("unreadable", place=f"parties name {CANARY}")
    log("alert", report_id=CANARY)
    logging.getLogger(SERVICE_LOGGER).warning(CANARY)

    text = generate_latest(registry).decode()
    samples = read(text)

    assert value(samples, "http_requests_total", method="GET", route="/v1/cases", status="200") == 1
    assert value(samples, "http_requests_total", method="GET", route="/v1/cases", status="401") == 1
    assert value(samples, "http_requests_total", method="GET", route="none", status="none") == 1
    seconds = "http_request_duration_seconds"
    assert value(samples, f"{seconds}_bucket", method="GET", route="/v1/cases", le="0.005") == 1
    assert value(samples, f"{seconds}_bucket", method="GET", route="/v1/cases", le="0.05") == 2
    assert value(samples, f"{seconds}_sum", method="GET", route="/v1/cases") == pytest.approx(0.032)
    assert value(samples, f"{seconds}_bucket", method="GET", route="none", le="10.0") == 0
    assert value(samples, "token_refusals_total", reason="expired") == 1
    assert value(samples, "unavailable_total", cause="pool-timeout") == 1
    assert value(samples, "unreadable_values_total") == 1
    assert CANARY not in text


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_requests_are_counted_whichever_lines_the_log_shows(level: int) -> None:
    logger = logging.getLogger(SERVICE_LOGGER)
    before = logger.level
    logger.setLevel(level)
    try:
        registry = CollectorRegistry()
        with counting(registry):
            request("/v1/cases", 200, 1.0)
        request("/v1/cases", 200, 1.0)  # counted no more
        assert logger.level == level
    finally:
        logger.setLevel(before)

    samples = read(generate_latest(registry).decode())
    assert value(samples, "http_requests_total", method="GET", route="/v1/cases", status="200") == 1


@pytest.mark.program
@pytest.mark.parametrize(
    ("job", "command"),
    [
        (Job.RETENTION, ["retention"]),
        (Job.AUDIT_EXPORT, ["audit", "export"]),
        (Job.AUDIT_VERIFY, ["audit", "verify", "--jobs=1"]),
        (Job.KEYS_ROTATE, ["keys", "rotate"]),
    ],
)
def test_a_job_tells_when_it_last_succeeded(job: Job, command: list[str], committed: Settings, keys: Path) -> None:
    before = asyncio.run(_page(committed))
    for _ in range(2):
        subprocess.run([PROGRAM, *command], env=environment(committed, keys), check=True, capture_output=True)
    samples = asyncio.run(_page(committed))
    assert not [name for name, _ in before if name.startswith("mediation_job")]
    assert [labels for name, labels in samples if name.startswith("mediation_job")] == [(("command", job.value),)]
    assert 0 <= (value(samples, "job_success_age_seconds", command=job) or -1) < START_SECONDS


async def test_what_waits_to_be_sent_tells_for_how_long(
    committed: Settings, committed_office: Office, clock: Clock
) -> None:
    def age(kind: str, samples: Samples) -> float | None:
        return value(samples, "oldest_unsent_age_seconds", kind=kind)

    clock.now = datetime.now(UTC) - timedelta(hours=2)
    endpoint = await committed_office.integration.post(
        "/v1/webhook-endpoints", {"url": "https://intake.city.example/hooks", "kinds": ["complaint.filed"]}
    )
    context = replace(worker_context(with_mail(committed, 1)), clock=clock)  # a port on which nobody listens
    mail = MailDelivery.of(context)
    assert mail is not None
    await mail.run(context)
    before = await _page(committed)
    assert (age("mail", before), age("webhook", before)) == (None, None)

    await filed_by_integration(committed_office)
    await (await committed_office.file(complainants=[person("ana")])).to_confirming()
    await number_events(context)
    await mail.run(context)
    waiting = await _page(committed)
    assert (age("mail", waiting) or 0) // 3600 == 2
    assert 0 < (age("webhook", waiting) or 0) < START_SECONDS

    address = f"/v1/webhook-endpoints/{endpoint['id']}"
    assert (await committed_office.integration.send("PATCH", address, {"active": False})).status_code == 200
    assert age("webhook", await _page(committed)) is None
    await context.database.close()


async def test_a_queue_that_cannot_be_read_hides_no_job(
    committed: Settings, as_owner: Callable[[Settings], Settings]
) -> None:
    await record_success(committed, Job.RETENTION)
    owner = create_engine(as_owner(committed))
    async with owner.begin() as connection:
        await connection.execute(text("LOCK TABLE mails"))
        samples = await _page(committed)
    await owner.dispose()
    assert value(samples, "job_success_age_seconds", command=Job.RETENTION) is not None
    assert value(samples, "oldest_unsent_age_seconds", kind="mail") is None


async def _page(settings: Settings) -> Samples:
    """The metrics of a process with these settings."""
    database = Database.of(settings)
    registry = registry_of(database, Verifier.of(settings))
    text = (await asyncio.to_thread(generate_latest, registry)).decode()
    await database.close()
    return read(text)


async def test_without_a_database_the_other_metrics_are_there(committed: Settings) -> None:
    nowhere = SecretStr("postgresql://user@127.0.0.1:1/none")
    samples = await _page(committed.model_copy(update={"database_url": nowhere}))
    assert value(samples, "pool_size", pool="office") == committed.pool_size
    assert not [name for name, _ in samples if name.startswith("mediation_job")]


async def test_keys_that_cannot_be_read_are_told(committed: Settings, tmp_path: Path) -> None:
    jwks = tmp_path / "jwks.json"
    verifier = Verifier.of(committed.model_copy(update={"token_jwks": str(jwks)}))
    failing = []
    for document in ("{}", '{"keys": []}', "no JSON"):
        jwks.write_text(document)
        os.utime(jwks, (len(document), len(document)))  # another time: read again
        await verifier.has_keys()
        failing.append(verifier.keys_are_failing)
    assert failing == [True, False, True]


async def test_a_pool_tells_who_uses_it_and_who_waits(committed: Settings) -> None:
    database = Database.of(committed.model_copy(update={"pool_size": 2, "caller_pool_percent": 100}))
    release = asyncio.Event()

    async def hold() -> None:
        async with database.transaction(Pool.OFFICE, caller="one"):
            await release.wait()

    holding = [asyncio.create_task(hold()) for _ in range(5)]
    try:
        async with asyncio.timeout(START_SECONDS):
            while database.usage()[Pool.OFFICE] != PoolUsage(size=2, in_use=2, waiting=3):  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0.01)
        assert database.usage()[Pool.PARTIES] == PoolUsage(committed.party_pool_size, 0, 0)
    finally:
        release.set()
        await asyncio.gather(*holding)
        idle = database.usage()[Pool.OFFICE]
        await database.close()
    assert idle == PoolUsage(size=2, in_use=0, waiting=0)


def _free_ports(count: int) -> int:
    """The first of several ports that are free."""
    while True:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        try:
            for port in range(first, first + count):
                with closing(socket.socket()) as other:
                    other.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


@pytest.mark.program
def test_serve_answers_on_one_port_for_each_worker_and_tells_nothing_of_a_person(
    committed: Settings, keys: Path, tmp_path: Path
) -> None:
    first = _free_ports(2)
    environment = production_environment(committed, keys, tmp_path) | {
        "MEDIATION_WORKERS": "2",
        "MEDIATION_METRICS_PORT": str(first),
        "MEDIATION_LOG_LEVEL": "error",
    }
    headers = {"X-Request-Id": CANARY, "User-Agent": CANARY, "Authorization": f"Bearer {CANARY}"}
    with serving(environment, tmp_path) as running:
        with httpx.Client(headers=headers) as client:
            for _ in range(3):
                client.get(f"{running.api}/v1/cases/{CANARY}?q={CANARY}")
                client.request(CANARY.upper(), f"{running.api}/{CANARY}")
        addresses = [f"http://127.0.0.1:{port}/metrics" for port in (first, first + 1)]
        for address in addresses:
            wait_until_answered(running.process, address, running.text)
        pages = [httpx.get(address).text for address in addresses]
        assert httpx.get(f"{running.api}/metrics").status_code == 404
        running.stop()
        assert running.lines() == []

    total = sum(
        value(read(page), "http_requests_total", method="GET", route="/v1/cases/{case_id}", status="401") or 0
        for page in pages
    )
    assert total == 3
    for page in pages:
        assert CANARY not in page.lower()
        samples = read(page)
        assert value(samples, "pool_size", pool="office") == committed.pool_size
        assert value(samples, "pool_waiting", pool="office") == 0
        assert value(samples, "identity_provider_keys_age_seconds") is not None
        assert ("process_resident_memory_bytes", ()) in samples
        for name, labels in samples:
            assert re.fullmatch(r"(mediation|process)_[a-z_]+", name)
            for label, found in labels:
                assert label in {"method", "route", "status", "le", "reason", "cause", "pool", "version"}, name
                assert label != "route" or found in TEMPLATES
