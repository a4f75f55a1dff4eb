"""An HTTP client that costs little: it sends prepared requests on kept-alive connections, and reads whole responses."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

CONNECTIONS: Final = 16

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_STATUS: Final = slice(9, 12)
"""Where the status stands in `HTTP/1.1 200 OK`."""


@dataclass(slots=True)
class Load:
    """What answering a number of requests took."""

    seconds: float = 0
    latencies: list[float] = field(default_factory=list)
    """Of each request, in seconds."""
    bytes: int = 0
    """Of all bodies."""

    @property
    def rate(self) -> float:
        """Requests in a second."""
        return len(self.latencies) / self.seconds


class UnexpectedStatusError(Exception):
    """A request was refused."""


async def send(port: int, requests: Sequence[bytes], *, connections: int = CONNECTIONS) -> Load:
    """Send requests, one after the other on each connection, until all are answered.

    Raises:
        UnexpectedStatusError: a response is no success.
        ConnectionError: a connection was closed.
    """
    load, waiting = Load(), iter(requests)
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: _Connection(load, waiting), "127.0.0.1", port) for _ in range(connections)
    ]
    began = time.perf_counter()
    for transport, connection in opened:
        connection.begin(transport)
    try:
        await asyncio.gather(*(connection.done for _, connection in opened))
    finally:
        load.seconds = time.perf_counter() - began
        for transport, _ in opened:
            transport.close()
    return load


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load, waiting: Iterator[bytes]) -> None:
        self._load = load
        self._waiting = waiting
        self._received = b""
        self._began = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, transport: asyncio.WriteTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._send_next()

    def _send_next(self) -> None:
        request = next(self._waiting, None)
        if request is None:
            self.done.set_result(None)
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, complete, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not complete or length is None or len(body) < int(length[1]):
            return
        self._received = b""
        self._load.latencies.append(time.perf_counter() - self._began)
        self._load.bytes += len(body)
        if head[_STATUS].startswith(b"2"):
            self._send_next()
        else:
            self._fail(UnexpectedStatusError((head + b"\n\n" + body).decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError())

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
