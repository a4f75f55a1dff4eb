"""Calendar feeds: secret addresses at which a calendar program reads the sessions of one mediator or coordinator.

A calendar program can send no token, so the address itself is the secret: 192 random bits, of which a keyed digest is
stored. It has an end, because the service is not told when a coordinator loses the role.

The functions are pure: the caller passes the random bytes, the key and the time.
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

FEED_ENTROPY_BYTES: Final = 24
FEED_TOKEN_PATTERN: Final = r"^[A-Za-z0-9_-]{32}\.ics$"  # noqa: S105 - a pattern, not a secret
"""What a token looks like: the random bytes in base64url, and by what some calendar programs know a calendar."""

PAST: Final = timedelta(days=30)
"""How long a session stays in the feed after its end."""
MOST_SESSIONS: Final = 500
"""The number of sessions that a feed shows: the earliest."""

_DOMAIN: Final = b"mediation_api calendar feed v1\x00"


def token_of(entropy: bytes) -> str:
    """Return the token of `FEED_ENTROPY_BYTES` random bytes, as it stands in the address."""
    return f"{base64.urlsafe_b64encode(entropy).decode('ascii')}.ics"


def digest(token: str, secret_key: bytes) -> bytes:
    """Return the 32 bytes to store for a token: an HMAC-SHA-256, bound to this purpose."""
    return hmac.digest(secret_key, _DOMAIN + token.encode("ascii"), hashlib.sha256)


def expires_at(made_at: datetime, days: int) -> datetime:
    """Return the instant from which an address that was made at `made_at` finds nothing."""
    return made_at + timedelta(days=days)
