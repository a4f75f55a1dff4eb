"""Webhooks: when one is tried again, when it is dead, and when an endpoint as a whole fails.

A delivery is tried with pauses that grow, over three days. Then it is dead, and later events of its stream go on.

No answer, a redirect, 429 and 5xx may be the fault of the endpoint: if nothing else is delivered to it meanwhile, all
its deliveries wait, and one at a time is tried. Other answers than 2xx are about the one event.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeAlias

from mediation_api.domain.values import DeliveryState, EndpointState

PING: Final = "ping"
"""The kind of a webhook that is about no event: it is sent when the integration asks for one."""
TRIED_FOR: Final = timedelta(days=3)
"""How long a delivery is tried, from its first attempt on."""
SECRET_OVERLAP: Final = timedelta(days=1)
"""How long the former secret of an endpoint signs beside the new one."""
MOST_ENDPOINTS: Final = 10
"""How many endpoints an integration may have."""

_FIRST_PAUSE: Final = timedelta(seconds=15)
_LONGEST_PAUSE: Final = timedelta(hours=8)
_GROWTH: Final = 3
_FIRST_PAUSE_OF_ENDPOINT: Final = timedelta(seconds=5)
_LONGEST_PAUSE_OF_ENDPOINT: Final = timedelta(minutes=10)
_GROWTH_OF_ENDPOINT: Final = 2
_LONGEST_RETRY_AFTER: Final = timedelta(hours=8)
_MOST_DOUBLINGS: Final = 20
"""The exponent at which every pause has long been the longest."""

Status: TypeAlias = int | None
"""The status of a receiver's answer; None if it gave none."""


@dataclass(frozen=True, slots=True)
class ReceiverAnswer:
    """What a receiver answered to one attempt."""

    status: Status
    retry_after: timedelta = timedelta()
    """How long it asks to be left alone."""


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """How far a delivery is."""

    state: DeliveryState
    attempts: int
    first_attempt_at: datetime
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class EndpointProgress:
    """Whether an endpoint takes webhooks, and when it is tried again if it does not."""

    state: EndpointState
    failures: int
    next_attempt_at: datetime


def delivery_after(
    answer: ReceiverAnswer, *, attempts: int, first_attempt_at: datetime | None, at: datetime, jitter: float
) -> DeliveryProgress:
    """Return how far a delivery is after one more attempt.

    Args:
        answer: the receiver's.
        attempts: those before.
        first_attempt_at: when it was first tried; None if that was now.
        at: the time of the attempt.
        jitter: from 0 to 1, at random: it shortens the pause by up to a half, so that retries spread.
    """
    first = at if first_attempt_at is None else first_attempt_at
    pause = max(_pause(_FIRST_PAUSE, _GROWTH, attempts, _LONGEST_PAUSE, jitter), _asked_pause(answer))
    if _is_success(answer.status):
        state = DeliveryState.DELIVERED
    else:
        state = DeliveryState.DEAD if at + pause > first + TRIED_FOR else DeliveryState.WAITING
    return DeliveryProgress(state, attempts + 1, first, at + pause)


def endpoint_after(
    answers: Sequence[ReceiverAnswer], *, failures: int, at: datetime, jitter: float
) -> EndpointProgress:
    """Return whether an endpoint takes webhooks, after the answers to deliveries that were sent at about one time."""
    statuses = [answer.status for answer in answers]
    if HTTPStatus.GONE in statuses:
        return EndpointProgress(EndpointState.PAUSED, 0, at)
    is_busy = HTTPStatus.TOO_MANY_REQUESTS in statuses
    if not is_busy and not all(_is_fault_of_endpoint(status) for status in statuses):
        return EndpointProgress(EndpointState.ACTIVE, 0, at)
    pause = _pause(_FIRST_PAUSE_OF_ENDPOINT, _GROWTH_OF_ENDPOINT, failures, _LONGEST_PAUSE_OF_ENDPOINT, jitter)
    pause = max(pause, *map(_asked_pause, answers))
    return EndpointProgress(EndpointState.FAILING, failures + 1, at + pause)


def _is_success(status: Status) -> bool:
    return status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _is_fault_of_endpoint(status: Status) -> bool:
    return (
        status is None
        or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
        or status == HTTPStatus.TOO_MANY_REQUESTS
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    )


def _pause(first: timedelta, growth: int, number: int, longest: timedelta, jitter: float) -> timedelta:
    grown: timedelta = first * growth ** min(number, _MOST_DOUBLINGS)
    return min(grown, longest) * (1 - jitter / 2)


def _asked_pause(answer: ReceiverAnswer) -> timedelta:
    return min(answer.retry_after, _LONGEST_RETRY_AFTER)
