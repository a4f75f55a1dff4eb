"""Connections to hosts that somebody else has named: to allowed addresses alone (domain/webhook_addresses.py).

A name is resolved once, every address that it has is checked, and the connection is made to one of these. So a name
that resolves to another address the next time (DNS rebinding) reaches nothing else. TLS still checks the certificate
of the name. Redirects, proxies and the environment are not followed; there is no second attempt.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpcore
import httpx

from mediation_api.domain.webhook_addresses import HostAddress, Network, is_allowed
from mediation_api.domain.webhooks import ReceiverAnswer

if TYPE_CHECKING:
    from httpcore import SOCKET_OPTION

Resolve = Callable[[str, int], Awaitable[Sequence[HostAddress]]]

_DEFAULT_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}
_MOST_SECONDS: Final = 100_000
"""The longest `Retry-After` that is read."""


class AddressDenied(Exception):  # noqa: N818 - the name states the condition
    """A host has an address that is not allowed."""


_NO_ANSWER: Final = (
    AddressDenied,
    OSError,
    UnicodeError,  # of a host that is no name
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
)


async def resolve(host: str, port: int) -> Sequence[HostAddress]:
    """Return every address of a host. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(address[0]) for *_, address in found]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections for httpcore, to allowed addresses alone."""

    def __init__(self, networks: Collection[Network], resolve: Resolve = resolve) -> None:
        """Allow public addresses and those of `networks`."""
        self._networks = networks
        self._resolve = resolve
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - of the interface
        local_address: str | None = None,
        socket_options: "Iterable[SOCKET_OPTION] | None" = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to an address of the host. Raises AddressDenied if any address of it is not allowed."""
        addresses = await self._resolve(host, port)
        if not addresses or not all(is_allowed(address, self._networks) for address in addresses):
            raise AddressDenied
        return await self._sockets.connect_tcp(str(addresses[0]), port, timeout, local_address, socket_options)


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts to hosts that somebody else has named, within a time limit."""

    seconds: float
    """From the resolution of the name to the status of the answer."""
    networks: Collection[Network] = ()
    ca_file: Path | None = None
    """The certificate authorities to trust; by default, the public ones."""
    resolve: Resolve = resolve

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverAnswer:
        """Post, and return the status. The body of the answer is not read. Whatever goes wrong is no answer."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        address = httpcore.URL(
            scheme=parts.scheme.encode(),
            host=host.encode(),
            port=parts.port or _DEFAULT_PORTS[parts.scheme],
            target=target.encode(),
        )
        named = {"Host": parts.netloc, "User-Agent": "mediation-api", "Content-Length": str(len(body)), **headers}
        pool = httpcore.AsyncConnectionPool(
            ssl_context=trusting(self.ca_file) if parts.scheme == "https" else None,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=GuardedBackend(self.networks, self.resolve),
        )
        try:
            async with (
                asyncio.timeout(self.seconds),
                pool,
                pool.stream("POST", address, headers=list(named.items()), content=body) as response,
            ):
                return ReceiverAnswer(response.status, _retry_after(response.headers))
        except _NO_ANSWER:
            return ReceiverAnswer(None)


@cache
def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return what trusts the authorities of a file, or else the public ones. It takes some milliseconds to make."""
    return httpx.create_ssl_context(trust_env=False) if ca_file is None else ssl.create_default_context(cafile=ca_file)


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> timedelta:
    """Return how long the receiver asks to be left alone. A date is not read."""
    for name, value in headers:
        if name.lower() == b"retry-after":
            with suppress(ValueError):
                return timedelta(seconds=min(max(int(value), 0), _MOST_SECONDS))
    return timedelta()
