"""Webhooks as Standard Webhooks signs them: what the change feed shows an integration.

A webhook has ids, the kind and times, and never an event's data: whoever receives it reads the rest with the rights of
its own token. It may arrive more than once, with the same `webhook-id`.

Source: the specification of Standard Webhooks, version 1.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from secrets import token_bytes
from typing import Final

from mediation_api.database.nesting import AnyRow
from mediation_api.domain.values import in_utc
from mediation_api.domain.webhooks import PING

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the prefix of secrets
SECRET_BYTES: Final = 32
_SHOWN: Final = ("complaint_id", "case_id", "mediator_id", "party_id")


def new_secret() -> str:
    """Return a secret of 256 random bits, as Standard Webhooks writes it."""
    return SECRET_PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode()


def signed_headers(message_id: str, body: bytes, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """Return the headers of a webhook, with a signature for each secret: HMAC-SHA-256 of id, time and body.

    Args:
        message_id: the same for each attempt.
        body: exactly what is sent.
        secrets: as `new_secret` returns them.
        at: the time of the attempt.
    """
    timestamp = str(int(at.timestamp()))
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    keys = (base64.b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in secrets)
    signatures = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def payload_of(delivery: AnyRow) -> tuple[str, bytes]:
    """Return the `webhook-id` and the body of a delivery: of an event its own id, whatever endpoint it is sent to."""
    if delivery["event_id"] is None:
        return str(delivery["id"]), _json({"type": PING, "timestamp": _instant(delivery["queued_at"]), "data": None})
    ids = {name: None if delivery[name] is None else str(delivery[name]) for name in _SHOWN}
    data = {"id": str(delivery["event_id"]), "sequence": delivery["sequence"], **ids}
    body = {"type": delivery["kind"], "timestamp": _instant(delivery["occurred_at"]), "data": data}
    return str(delivery["event_id"]), _json(body)


def _instant(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError("a delivery without a time")
    return in_utc(value)


def _json(body: dict[str, object]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
