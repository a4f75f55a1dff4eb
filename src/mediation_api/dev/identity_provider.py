"""The identity provider of development: a folder with three files. Not for production.

    idp.pem         the key of the identity provider (RS256, as is common)
    idp.jwks.json   its public key, read like any JWKS file
    service.pem     the service's own key (ES256)

So `mediation-api dev` verifies tokens exactly as in production.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mediation_api.auth.identity_provider import SigningKey
from mediation_api.auth.tokens import CITY_ROLES, sign_token
from mediation_api.domain.access import Role

INTEGRATION_SCOPES: Final = "complaints:read complaints:write events:read webhooks:read webhooks:write"
"""The scopes of what an integration may do."""


def write_dev_keys(directory: Path) -> None:
    """Write the three files, each readable by its owner only. Existing keys are kept.

    Two processes may do this at the same time: both use the key that is complete first.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _keep(directory / "idp.pem", lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048))
    _keep(directory / "service.pem", lambda: ec.generate_private_key(ec.SECP256R1()))
    public = dev_signing_key(directory).public_jwk()
    jwks = _written(directory, json.dumps({"keys": [public]}).encode())
    jwks.replace(directory / "idp.jwks.json")


def dev_token(  # noqa: PLR0913 - one keyword per claim
    directory: Path,
    *,
    issuer: str,
    audience: str,
    role: Role,
    subject: str,
    employee_number: str | None = None,
    scope: str | None = None,
    minutes: int,
    now: datetime,
    role_claim: str = "",
    name: str | None = None,
) -> str:
    """Sign a token as the city's identity provider would.

    Without `scope`, an integration's token gets `INTEGRATION_SCOPES`, since it could do nothing without one.

    Raises ValueError for a role of the service's own tokens (a complainant exchanges an access code), and
    FileNotFoundError before `write_dev_keys`.
    """
    if role not in CITY_ROLES:
        message = "an identity provider issues no token for this role"
        raise ValueError(message)
    issued = int(now.timestamp())
    claims: dict[str, str | int] = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        role_claim or "role": role,
        "iat": issued,
        "exp": issued + int(timedelta(minutes=minutes).total_seconds()),
        "jti": str(uuid4()),
    }
    if name is not None:
        claims["name"] = name
    if employee_number is not None:
        claims["employee_number"] = employee_number
    if scope is None and role is Role.INTEGRATION:
        scope = INTEGRATION_SCOPES
    if scope is not None:
        claims["scope"] = scope
    return sign_token(claims, dev_signing_key(directory))


def dev_signing_key(directory: Path) -> SigningKey:
    """Return the key of the identity provider. Raises FileNotFoundError before `write_dev_keys`."""
    return _signing_key((directory / "idp.pem").read_bytes())


@cache
def _signing_key(pem: bytes) -> SigningKey:
    # Cached: checking a key takes 70 ms, and the demo data signs a token for each request.
    return SigningKey.from_pem(pem)


def _keep(path: Path, make: Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]) -> None:
    """Create the file of a key atomically, unless it exists."""
    if path.exists():
        return
    pem = _written(path.parent, make().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with suppress(FileExistsError):
        os.link(pem, path)  # unlike a rename, it never replaces a file
    pem.unlink()


def _written(directory: Path, content: bytes) -> Path:
    """Write a temporary file of mode 0600 in the directory, and return its path."""
    with NamedTemporaryFile(dir=directory, delete=False) as file:
        file.write(content)
    return Path(file.name)
