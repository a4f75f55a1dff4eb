"""Records what requests ask of PostgreSQL: each statement with its parameters, as the driver is given it."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

_TRANSACTION: Final = ("BEGIN", "COMMIT", "ROLLBACK")


@dataclass(frozen=True, slots=True)
class Statement:
    """What one round trip executes: a statement, and the parameters of each time that it is executed."""

    sql: str
    parameters: tuple[tuple[Any, ...], ...] = ()

    @property
    def count(self) -> int:
        """How many statements these are. Without parameters there may be several; BEGIN and COMMIT do not count."""
        parts = [self.sql] if self.parameters else self.sql.strip("; ").split(";")
        return sum(not part.lstrip().startswith(_TRANSACTION) for part in parts)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it goes over the wire, and the statements that it led to, each of them a round trip."""

    request: bytes
    statements: tuple[Statement, ...]
    server_settings: tuple[tuple[str, str], ...]
    """Those of the connection on which they were executed."""


@dataclass(slots=True)
class Recorder(httpx.AsyncBaseTransport):
    """Sends requests to the application. Those that are recorded must be sent one at a time."""

    inner: httpx.AsyncBaseTransport
    engines: Collection[AsyncEngine]
    """Those of the application."""
    exchanges: list[Exchange] = field(default_factory=list)
    """What was recorded."""
    _wanted: re.Pattern[str] | None = None
    _sent: list[Statement] = field(default_factory=list)
    _server_settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for engine in self.engines:
            event.listen(engine.sync_engine, "checkout", self._attach)

    @contextmanager
    def recording(self, wanted: str) -> Iterator[None]:
        """Record requests while the block runs: those whose method and path match this regular expression."""
        self._wanted = re.compile(wanted)
        yield
        self._wanted = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        self._sent.clear()
        response = await self.inner.handle_async_request(request)
        if self._wanted and self._wanted.fullmatch(f"{request.method} {request.url.path}"):
            wire = _wire_format(request, len(self.exchanges))
            self.exchanges.append(Exchange(wire, tuple(self._sent), tuple(sorted(self._server_settings.items()))))
        return response

    def _attach(
        self, connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxied: PoolProxiedConnection
    ) -> None:
        driver = connection.driver_connection
        if not isinstance(driver._protocol, _RecordingProtocol):  # noqa: SLF001 - everything passes there
            driver._protocol = _RecordingProtocol(driver._protocol, self._sent)  # noqa: SLF001 - the same
        self._server_settings = driver._params.server_settings  # noqa: SLF001 - they have no other name


class _RecordingProtocol:
    """Stands before the protocol of an asyncpg connection, which has no types, and records what is executed.

    What prepares a statement is not recorded: it is sent once for each connection.
    """

    def __init__(self, protocol: Any, sent: list[Statement]) -> None:  # noqa: ANN401 - see above
        self._protocol = protocol
        self._sent = sent

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - see above
        return getattr(self._protocol, name)

    async def query(self, query: str, *more: object) -> object:
        self._sent.append(Statement(query))
        return await self._protocol.query(query, *more)

    async def bind_execute(self, state: Any, args: Any, *more: object, **named: object) -> object:  # noqa: ANN401
        self._sent.append(Statement(state.query, (tuple(args),)))
        return await self._protocol.bind_execute(state, args, *more, **named)

    async def bind_execute_many(self, state: Any, args: Any, *more: object, **named: object) -> object:  # noqa: ANN401
        each = [tuple(given) for given in args]
        self._sent.append(Statement(state.query, tuple(each)))
        return await self._protocol.bind_execute_many(state, each, *more, **named)


def _wire_format(request: httpx.Request, number: int) -> bytes:
    """Return a request of HTTP/1.1. The number of the exchange is one more header."""
    lines = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"{NUMBER}: {number}"]
    return "\r\n".join([*lines, "", ""]).encode() + request.content


NUMBER: Final = "exchange-number"
"""The header by which the bare application finds the statements of a request. The service ignores it."""
