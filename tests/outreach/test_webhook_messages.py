"""Webhooks are signed as their receivers verify them."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from mediation_api.outreach.webhook_messages import SECRET_BYTES, SECRET_PREFIX, new_secret, signed_headers

VECTOR = {
    "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": 1614265330,
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "body": b'{"test": 2432232314}',
    "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
"""That of the specification."""


def test_the_vector_of_the_specification_is_signed_as_it_says() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    assert signed_headers(str(VECTOR["id"]), b'{"test": 2432232314}', [str(VECTOR["secret"])], at) == {
        "webhook-id": VECTOR["id"],
        "webhook-timestamp": "1614265330",
        "webhook-signature": VECTOR["signature"],
    }


def test_a_receiver_with_either_secret_accepts_it_and_with_another_one_does_not() -> None:
    body, at = b'{"type":"ping","name":"\xc3\xa9"}', datetime.now(UTC)
    old, new = new_secret(), new_secret()
    headers = signed_headers("1", body, [new, old], at)
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body, {**headers, "webhook-id": "2"})


def test_a_receiver_refuses_one_that_is_old() -> None:
    secret = new_secret()
    headers = signed_headers("1", b"{}", [secret], datetime.now(UTC) - timedelta(minutes=6))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b"{}", headers)


def test_a_secret_has_256_random_bits() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)) for secret in secrets} == {
        SECRET_BYTES
    }
