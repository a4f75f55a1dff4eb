"""The public keys of a token issuer: read from a JWKS, each bound to one algorithm, and cached.

    find(kid) ─┬─ known and fresh ─────────────────────────────────→ the key
               ├─ unknown, or older than 10 min, or file changed ──→ one refresh for all callers, once a minute at most
               ├─ the source fails ────────────────────────────────→ the keys of the last refresh, for up to 24 h
               └─ there are none ──────────────────────────────────→ KeysUnavailable: no token is called invalid

An identity provider rotates its key by publishing the new one, signing with it, and removing the old one when its last
token has expired. So an unknown `kid` may be that of a new key: the JWKS is read again before the token is refused. A
caller who invents kids causes at most one request a minute.
"""

import asyncio
import base64
import json
import logging
import math
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jose import jwk
from jose.backends.base import Key

if TYPE_CHECKING:
    import httpx

MAX_AGE_SECONDS: Final = 600
"""A JWKS that was read longer ago is read again before it is used."""
RETRY_SECONDS: Final = 60
"""The least time between two refreshes."""
STALE_SECONDS: Final = 24 * 3600
"""How long a JWKS may still be used while its source cannot be read."""
FETCH_SECONDS: Final = 5
READY_SECONDS: Final = 1
"""How long a health check waits for the first refresh."""
MAX_JWKS_BYTES: Final = 64 * 1024

_OK: Final = 200
_MAX_KID: Final = 255
_RSA_BITS: Final = range(2048, 8193)  # shorter keys can be broken; longer ones only cost time
_JWKS_BRACKETS: Final = 2048
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")

logger = logging.getLogger(__name__)

Algorithm = Literal["RS256", "ES256"]


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the one algorithm it may be used with."""

    kid: str
    algorithm: Algorithm
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. Its `kid` is its RFC 7638 thumbprint, so that ids need not be assigned."""

    kid: str
    algorithm: Algorithm
    key: Key = field(repr=False)

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Read an unencrypted PEM private key: P-256 signs ES256, RSA of 2048 bits or more RS256.

        Raises ValueError for anything else; the message does not contain the key.
        """
        private = load_pem_private_key(pem, password=None)
        algorithm: Algorithm
        if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
            algorithm, key = "ES256", jwk.construct(private, "ES256")
        elif isinstance(private, rsa.RSAPrivateKey) and private.key_size in _RSA_BITS:
            algorithm, key = "RS256", jwk.construct(private, "RS256")
        else:
            message = "a signing key must be EC P-256, or RSA of at least 2048 bits"
            raise ValueError(message)
        named = {name: value for name, value in key.public_key().to_dict().items() if name != "alg"}
        thumbprint = sha256(json.dumps(named, sort_keys=True, separators=(",", ":")).encode()).digest()
        return cls(base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode(), algorithm, key)

    def public_jwk(self) -> dict[str, str]:
        """Return the public key as a JWK."""
        return self.key.public_key().to_dict() | {"kid": self.kid, "use": "sig"}


class KeysUnavailable(Exception):  # noqa: N818 - the state of another service
    """An issuer's keys could not be read, or none of them can be used. `reason` has no address or text of an error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Source(Protocol):
    """A place from which a JWKS is read."""

    def changed(self) -> bool:
        """Whether the document is known to have changed since it was read."""
        ...

    async def read(self) -> bytes:
        """Return the document. May raise any exception."""
        ...


class JwksAddress:
    """A JWKS at an https URL. Redirects and the environment's proxies are not used; 5 s in all, at most 64 KiB."""

    def __init__(
        self,
        url: str,
        transport: "httpx.AsyncBaseTransport | None" = None,
        *,
        ca_file: Path | None = None,
        proxy: str | None = None,
    ) -> None:
        """Take the address, and how to reach it.

        Args:
            url: the address.
            transport: for tests.
            ca_file: the only certificate authorities (PEM) that are trusted for it; by default, the public ones.
            proxy: the URL of the proxy to use.

        Raises:
            ValueError: the address is not https, or carries a password.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            message = "the URL of a JWKS must be https and without credentials"
            raise ValueError(message)
        # With the console program that comes with it, httpx takes 6 MB, and a JWKS in a file does not need it.
        import httpx  # noqa: PLC0415 # at the start and not in `read`, where a request would wait for it

        self.clock_seconds: float | None = None
        """How far the server's clock is ahead of this machine's, by its last answer; None if it did not say."""
        self._url = url
        self._ca_file = ca_file
        self._client = partial(
            httpx.AsyncClient,
            transport=transport,
            proxy=proxy,
            timeout=FETCH_SECONDS,
            trust_env=False,
            follow_redirects=False,
        )

    def changed(self) -> bool:
        """Return False: an HTTP server does not notify."""
        return False

    async def read(self) -> bytes:
        """Fetch the document. Raises TimeoutError, httpx.HTTPError, OSError or ValueError."""
        body = bytearray()
        # Read each time, so that a renewed file needs no restart.
        verify = True if self._ca_file is None else ssl.create_default_context(cafile=self._ca_file)
        # httpx applies its timeout to each read; the outer timeout stops a body that arrives slowly.
        async with (
            asyncio.timeout(FETCH_SECONDS),
            self._client(verify=verify) as client,
            client.stream("GET", self._url, headers={"accept-encoding": "identity"}) as response,
        ):
            self.clock_seconds = _seconds_ahead(response.headers.get("date", ""))
            # A compressed body, although none was accepted, could decompress to any size within one chunk.
            if response.status_code != _OK or "content-encoding" in response.headers:
                message = "the JWKS was not answered with an unencoded 200"
                raise ValueError(message)
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_JWKS_BYTES:
                    message = "the JWKS is too large"
                    raise ValueError(message)
        return bytes(body)


class JwksFile:
    """A JWKS in a file, read again as soon as it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_stamp = self._stamp()

    def changed(self) -> bool:
        """Whether modification time, size or inode differ from those at the last read."""
        return self._stamp() != self._read_stamp

    async def read(self) -> bytes:
        """Read the file. Raises OSError or ValueError."""
        # Taken before reading: a file that changes meanwhile is read once too often, not missed.
        self._read_stamp = self._stamp()
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            body = file.read(MAX_JWKS_BYTES + 1)
        if len(body) > MAX_JWKS_BYTES:
            message = "the JWKS is too large"
            raise ValueError(message)
        return body

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _seconds_ahead(date: str) -> float | None:
    """Return how far the time of an HTTP header is ahead of now, to the second; None if it is no time."""
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # the latter for a time without a zone
        return None


def source_at(location: str, *, ca_file: Path | None = None, proxy: str | None = None) -> JwksAddress | JwksFile:
    """Return an https URL as a source or, if `location` has no scheme, a file.

    Raises ValueError for a URL that is not https.
    """
    if "://" in location:
        return JwksAddress(location, ca_file=ca_file, proxy=proxy)
    return JwksFile(Path(location))


class OwnKeys:
    """The JWKS of the process's own keys, without a file or a request, and checked like any other JWKS."""

    def __init__(self, *keys: SigningKey) -> None:
        self._jwks = json.dumps({"keys": [key.public_jwk() for key in keys]}).encode()

    def changed(self) -> bool:
        """Return False: the keys do not change."""
        return False

    async def read(self) -> bytes:
        """Return the document."""
        return self._jwks


class KeySet:
    """The keys of one issuer. `clock` is monotonic, in seconds."""

    def __init__(self, source: Source, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._keys: Mapping[str, VerificationKey] = {}
        self._fresh_until = -math.inf
        self._usable_until = -math.inf
        self._next_reading = -math.inf
        self._failure: str | None = None
        self._refreshing: asyncio.Task[None] | None = None

    @classmethod
    def at(
        cls,
        location: str,
        *,
        ca_file: Path | None = None,
        proxy: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> "KeySet":
        """Return the keys at a place of `source_at`. Raises ValueError for a URL that is not https."""
        return cls(source_at(location, ca_file=ca_file, proxy=proxy), clock=clock)

    @property
    def algorithms(self) -> list[Algorithm]:
        """The algorithm of each key that was read."""
        return [key.algorithm for key in self._keys.values()]

    async def are_usable(self) -> bool:
        """Whether there are keys. Reads them if there are none, which takes about a second at most."""
        if not self._are_usable():
            with suppress(KeysUnavailable, TimeoutError):
                async with asyncio.timeout(READY_SECONDS):
                    await self.find("")
        return self._are_usable()

    def _are_usable(self) -> bool:
        return bool(self._keys) and self._clock() < self._usable_until

    async def find(self, kid: str) -> VerificationKey | None:
        """Return the key with this id, or None. Refreshes the keys first if they may be outdated.

        Raises KeysUnavailable if there are no keys among which it could be.
        """
        now = self._clock()
        if self._source.changed():
            self._fresh_until = self._next_reading = now
            self._failure = None
        known = kid in self._keys and now < self._usable_until
        fresh = known and now < self._fresh_until
        refreshing = self._refreshing
        if not fresh and now >= self._next_reading and (refreshing is None or refreshing.done()):
            self._next_reading = now + RETRY_SECONDS
            refreshing = self._refreshing = asyncio.create_task(self._refresh())
        # While the source keeps failing, a caller with a known key does not wait for the next failure.
        satisfied = fresh or (known and self._failure is not None)
        if refreshing is not None and not refreshing.done() and not satisfied:
            # Shielded: if the caller that started it is cancelled, the others still need it.
            await asyncio.shield(refreshing)
        if not self._are_usable():
            raise KeysUnavailable(self._failure or "it publishes no usable key")
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        try:
            keys = read_jwks(await self._source.read())
        except Exception as error:  # noqa: BLE001 - whatever failed, the last good keys stay in use
            self._failure = _failure(error)
            logger.warning("the keys of an issuer could not be read: %s", self._failure)
            return
        if not keys:
            logger.warning("an issuer publishes no usable key")
        self._keys = keys
        self._failure = None
        self._fresh_until = self._clock() + MAX_AGE_SECONDS
        self._usable_until = self._clock() + STALE_SECONDS

    @property
    def is_failing(self) -> bool:
        """Whether the keys could not be read when it was last tried."""
        return self._failure is not None

    @property
    def age_seconds(self) -> float:
        """How long ago the keys were read; infinite if they never were."""
        return self._clock() - (self._usable_until - STALE_SECONDS)


def _failure(error: BaseException) -> str:
    """Return the class of the error for which a JWKS could not be read; its text may contain the address.

    Of an error of TLS, that class: httpx wraps it in the one of any connection that fails.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return type(cause).__name__
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def read_jwks(document: bytes) -> dict[str, VerificationKey]:
    """Return the usable keys of a JWKS (RFC 7517), by `kid`; skip the others.

    If two usable keys have the same `kid`, neither is returned.

    Raises ValueError if the document is not a JWKS.
    """
    keys = read_object(document, brackets=_JWKS_BRACKETS).get("keys")
    if not isinstance(keys, list):
        message = "not a JWKS"
        raise ValueError(message)  # noqa: TRY004 - one kind of error for every malformed document
    usable = [key for key in map(_read_jwk, keys) if key is not None]
    names = Counter(key.kid for key in usable)
    return {key.kid: key for key in usable if names[key.kid] == 1}


def read_object(document: bytes, *, brackets: int) -> dict[str, object]:
    """Parse an untrusted JSON object: no duplicate names, no NaN or Infinity, at most `brackets` of `{` and `[`.

    Brackets are counted before parsing, in strings as well: that limits the depth, so that no document can exceed the
    recursion limit of the parser.

    Raises ValueError for all of these, and for what is not UTF-8, not JSON or not an object.
    """
    if document.count(b"{") + document.count(b"[") > brackets:
        message = "too deep"
        raise ValueError(message)
    value: object = json.loads(document.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    if not isinstance(value, dict):
        message = "not an object"
        raise ValueError(message)  # noqa: TRY004 - one kind of error for every malformed document
    return value


def base64url(text: str) -> bytes:
    """Decode unpadded base64url strictly. Raises ValueError."""
    if not _BASE64URL.fullmatch(text):  # the library also accepts + and /, and skips unknown characters
        message = "not base64url"
        raise ValueError(message)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _read_jwk(key: object) -> VerificationKey | None:
    # A key for encryption is not for tokens. If the private key (`d`) was published, anybody can sign with it.
    if not isinstance(key, dict) or key.get("use", "sig") != "sig" or "d" in key:
        return None
    algorithm: Algorithm
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    try:
        match key:
            case {"kty": "RSA", "kid": str(kid), "n": str(n), "e": str(e)}:
                algorithm = "RS256"
                public = rsa.RSAPublicNumbers(e=_number(e), n=_number(n)).public_key()
                if public.key_size not in _RSA_BITS:
                    return None
            case {"kty": "EC", "crv": "P-256", "kid": str(kid), "x": str(x), "y": str(y)}:
                algorithm = "ES256"
                public = ec.EllipticCurvePublicNumbers(_number(x), _number(y), ec.SECP256R1()).public_key()
            case _:
                return None
    except ValueError:  # not base64url, or not a point of the curve
        return None
    if not 0 < len(kid) <= _MAX_KID or key.get("alg", algorithm) != algorithm:
        return None
    return VerificationKey(kid, algorithm, jwk.construct(public, algorithm))


def _number(text: str) -> int:
    return int.from_bytes(base64url(text), "big")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "duplicate name"
        raise ValueError(message)
    return members


def _no_constant(_: str) -> object:
    message = "not a number"
    raise ValueError(message)
