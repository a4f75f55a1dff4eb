"""Connect to PostgreSQL when a host may not answer.

asyncpg tries several hosts one after the other within one time limit: a host that accepts a connection and then says
nothing uses that up, and the next one is never tried. Here each further host is tried as well when those before it have
failed, or have not answered for a moment, and each has a limit of its own. The first host that the address allows
(`target_session_attrs`) is used.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Final

import asyncpg

from mediation_api.database.transactions import CallingConnection

HOST_SECONDS: Final = 3.0
"""How long one host may take, from the TCP handshake to the answer whether it accepts writes."""
HEAD_START_SECONDS: Final = 0.25
"""After which the next host is tried, if there is no answer yet."""

_NO_TLS: Final = "rejected SSL upgrade"
"""In the text of the driver's error, which has no class of its own."""


class OtherKindOfHostError(ConnectionRefusedError):
    """The host is not of the kind that `target_session_attrs` asks for."""


class NoTlsError(ConnectionError):
    """The server has no TLS, which `sslmode` demands."""


class NoAuthorityError(ConnectionError):
    """`sslmode` demands that the server's certificate is verified, and no authority is named for it."""


_Attempt = Callable[[], Coroutine[None, None, CallingConnection]]


async def connect(
    *, host: str | Sequence[str] | None = None, port: int | Sequence[int] | None = None, **arguments: object
) -> CallingConnection:
    """Return a connection to the first of the hosts that can be used.

    Args:
        host: one host or several, as SQLAlchemy reads them from the address.
        port: the port of each.
        arguments: the other arguments of `asyncpg.connect`.

    Raises:
        OSError: no host can be reached, none answered in time, or none is of the kind that `target_session_attrs` asks
            for, which is so while a standby is being promoted.
        asyncpg.PostgresError: the last host that answered has refused.
    """
    hosts = [host] if host is None or isinstance(host, str) else host
    ports = [port] * len(hosts) if port is None or isinstance(port, int) else port
    attempts: list[_Attempt] = [
        partial(_connect, host=each, port=its_port, **arguments) for each, its_port in zip(hosts, ports, strict=True)
    ]
    return await _first(attempts)


async def _connect(**arguments: object) -> CallingConnection:
    try:
        connection: CallingConnection = await asyncpg.connect(
            **arguments, timeout=HOST_SECONDS, connection_class=CallingConnection
        )
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise OtherKindOfHostError from error
    except asyncpg.ClientConfigurationError as error:
        raise NoAuthorityError from error  # the settings have checked everything else of the address
    except ConnectionError as error:
        if any(_NO_TLS in part for part in error.args if isinstance(part, str)):
            raise NoTlsError from error
        raise
    except FileNotFoundError as error:
        raise ConnectionRefusedError("there is no such Unix socket") from error
    connection.keep_alive()
    connection.add_log_listener(connection.note_warning)
    return connection


async def _first(attempts: Sequence[_Attempt]) -> CallingConnection:
    """Return the result of the first attempt that succeeds. Raises the error of the last one if none does."""
    waiting = iter(attempts)
    running: set[asyncio.Task[CallingConnection]] = set()
    error: Exception = OSError("the address names no host")
    attempt = next(waiting, None)
    try:
        while running or attempt is not None:
            if attempt is not None:
                running.add(asyncio.create_task(attempt()))
                attempt = next(waiting, None)
            head_start = None if attempt is None else HEAD_START_SECONDS
            done, running = await asyncio.wait(running, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                try:
                    connection = task.result()
                except Exception as failure:  # noqa: BLE001 - raised below, if no other host can be used
                    error = failure
                else:
                    running |= done - {task}
                    return connection
        raise error
    finally:
        await _abandon(running)


async def _abandon(attempts: set[asyncio.Task[CallingConnection]]) -> None:
    """Stop the attempts that are still running, and close what they have opened."""
    for task in attempts:
        task.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(result, asyncpg.Connection):
            result.terminate()
