"""When a webhook is tried again, when it is dead, and when an endpoint as a whole fails."""

from datetime import UTC, datetime, timedelta

import pytest

from mediation_api.domain.values import DeliveryState, EndpointState
from mediation_api.domain.webhooks import (
    TRIED_FOR,
    DeliveryProgress,
    ReceiverAnswer,
    delivery_after,
    endpoint_after,
)

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
REFUSED = ReceiverAnswer(422)


def after(
    answer: ReceiverAnswer, attempts: int = 0, first: datetime | None = None, at: datetime = NOW
) -> DeliveryProgress:
    return delivery_after(answer, attempts=attempts, first_attempt_at=first, at=at, jitter=0)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_answer_2xx_is_a_delivery(status: int) -> None:
    assert after(ReceiverAnswer(status)).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [None, 100, 199, 300, 302, 400, 404, 410, 422, 429, 500, 503])
def test_every_other_answer_is_none(status: int | None) -> None:
    done = after(ReceiverAnswer(status))
    assert (done.state, done.attempts, done.first_attempt_at) == (DeliveryState.WAITING, 1, NOW)
    assert done.next_attempt_at > NOW


def test_the_pauses_grow_until_the_delivery_is_dead_after_three_days() -> None:
    at, first, attempts, pauses = NOW, None, 0, []
    while (done := after(REFUSED, attempts, first, at)).state is DeliveryState.WAITING:
        pauses.append(done.next_attempt_at - at)
        at, first, attempts = done.next_attempt_at, done.first_attempt_at, done.attempts
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=15)
    assert pauses[-1] == timedelta(hours=8)
    assert len(pauses) == 15
    assert (done.state, done.attempts) == (DeliveryState.DEAD, 16)
    assert TRIED_FOR - timedelta(hours=8) < at - NOW <= TRIED_FOR


def test_even_after_a_million_attempts_there_is_a_pause() -> None:
    assert after(REFUSED, 1_000_000, NOW).next_attempt_at == NOW + timedelta(hours=8)


def test_a_pause_that_the_receiver_asks_for_is_kept_up_to_a_limit() -> None:
    hour, years = timedelta(hours=1), timedelta(days=9_000)
    assert after(ReceiverAnswer(503, hour)).next_attempt_at == NOW + hour
    assert after(ReceiverAnswer(503, years)).next_attempt_at == NOW + timedelta(hours=8)
    busy = endpoint_after([ReceiverAnswer(429, years)], failures=0, at=NOW, jitter=0)
    assert busy.next_attempt_at == NOW + timedelta(hours=8)


def test_jitter_shortens_a_pause_by_up_to_a_half() -> None:
    done = delivery_after(REFUSED, attempts=0, first_attempt_at=None, at=NOW, jitter=1)
    assert done.next_attempt_at == NOW + timedelta(seconds=7.5)


@pytest.mark.parametrize("status", [None, 302, 429, 500, 503])
def test_a_fault_of_the_endpoint_makes_it_wait(status: int | None) -> None:
    failing = endpoint_after([ReceiverAnswer(status)] * 3, failures=2, at=NOW, jitter=0)
    assert (failing.state, failing.failures) == (EndpointState.FAILING, 3)
    assert failing.next_attempt_at == NOW + timedelta(seconds=20)
    longest = endpoint_after([ReceiverAnswer(status)], failures=1_000, at=NOW, jitter=0)
    assert longest.next_attempt_at == NOW + timedelta(minutes=10)


@pytest.mark.parametrize("status", [200, 400, 404, 422])
def test_an_endpoint_that_answers_one_delivery_does_not_fail(status: int) -> None:
    answers = [ReceiverAnswer(500), ReceiverAnswer(status), ReceiverAnswer(None)]
    done = endpoint_after(answers, failures=7, at=NOW, jitter=0)
    assert (done.state, done.failures, done.next_attempt_at) == (EndpointState.ACTIVE, 0, NOW)


def test_one_that_is_asked_for_less_waits_even_if_it_took_some() -> None:
    done = endpoint_after([ReceiverAnswer(200), ReceiverAnswer(429)], failures=0, at=NOW, jitter=0)
    assert done.state is EndpointState.FAILING


def test_one_that_is_gone_is_paused() -> None:
    done = endpoint_after([ReceiverAnswer(200), ReceiverAnswer(410)], failures=3, at=NOW, jitter=0)
    assert (done.state, done.failures) == (EndpointState.PAUSED, 0)
