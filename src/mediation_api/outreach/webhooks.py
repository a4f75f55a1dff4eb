"""Sending webhooks to the endpoints of integrations: a task of the worker."""

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from mediation_api.database.nesting import AnyRow
from mediation_api.domain.values import UNREADABLE
from mediation_api.domain.webhooks import ReceiverAnswer, delivery_after, endpoint_after
from mediation_api.logs import LogEvent
from mediation_api.outreach.guarded_connections import Poster
from mediation_api.outreach.webhook_messages import payload_of, signed_headers
from mediation_api.outreach.worker import RunResult, WorkerContext
from mediation_api.repository.webhooks import Claim, claim, finish
from mediation_api.settings import Settings

_log = logging.getLogger(__name__)


async def deliver_webhooks(context: WorkerContext) -> RunResult:
    """Send what is due to one endpoint."""
    return await deliver(context, poster_of(context.settings))


def poster_of(settings: Settings) -> Poster:
    """Return what posts to receivers, as the settings allow it."""
    return Poster(settings.webhook_timeout_seconds, settings.webhook_networks, settings.webhook_ca_file)


async def deliver(context: WorkerContext, poster: Poster) -> RunResult:
    """Send what is due to one endpoint, with a given poster."""
    at = context.clock()
    # Twice as long as the posts may take: the lease must not end while they are under way.
    leased_until = at + timedelta(seconds=2 * poster.seconds + 5)
    async with context.database.transaction() as connection:
        claimed = await claim(connection, at=at, leased_until=leased_until)
    if claimed is None:
        return RunResult.DONE
    answers = await _send(claimed, poster, at)
    jitter = random.random()  # noqa: S311 - it spreads retries
    endpoint = endpoint_after(answers, failures=claimed.failures, at=at, jitter=jitter)
    results = {
        delivery["id"]: (
            answer.status,
            delivery_after(
                answer,
                attempts=delivery["attempts"],
                first_attempt_at=delivery["first_attempt_at"],
                at=at,
                jitter=jitter,
            ),
        )
        for delivery, answer in zip(claimed.deliveries, answers, strict=True)
    }
    async with context.database.transaction() as connection:
        await finish(connection, claimed, endpoint, results, at=at)
    for delivery_id, (status, progress) in results.items():
        _log.info(
            LogEvent("webhook", endpoint=claimed.endpoint_id, delivery=delivery_id, status=status, state=progress.state)
        )
    return RunResult.MORE


async def _send(claimed: Claim, poster: Poster, at: datetime) -> Sequence[ReceiverAnswer]:
    """Send all deliveries of a claim at the same time, and return the answers in their order."""
    if UNREADABLE in {claimed.url, *claimed.secrets}:  # it was logged when it was read
        return [ReceiverAnswer(None)] * len(claimed.deliveries)

    async def send(delivery: AnyRow) -> ReceiverAnswer:
        message_id, body = payload_of(delivery)
        headers = {"Content-Type": "application/json", **signed_headers(message_id, body, claimed.secrets, at)}
        return await poster.post(claimed.url, headers, body)

    return await asyncio.gather(*(send(delivery) for delivery in claimed.deliveries))
