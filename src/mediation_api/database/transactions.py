"""The driver within SQLAlchemy's transactions, and calls of SQL functions in the same round trip as BEGIN and COMMIT.

A command claims its idempotency key first and stores its response last; a read of a party assumes its role first.
PostgreSQL takes several statements in one message only in the simple query protocol, which has no parameters:
`_literal` writes the arguments into the text.

Whatever goes to the driver directly ends in SQLAlchemy's errors, and a connection that was lost leaves its pool.
"""

import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NoReturn, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.exc import ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")

Argument: TypeAlias = str | bytes | int | datetime | UUID | Sequence[UUID] | None

_NO_ROW: Final = "SELECT 0"
"""The status of a SELECT without a row."""
_LOST: Final = re.compile("08...|57P0.")
"""The SQLSTATE of a connection that was lost, or that the server has ended."""
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
"""Options of Linux: a connection ends when nothing was heard for 25 seconds, or what was sent was not received within
10. Another system has its own values for what it does not know."""


async def call(connection: AsyncConnection, function: str, *arguments: Argument) -> bool:
    """Call a function that returns whether it succeeded: together with BEGIN, unless the transaction has begun.

    Raises:
        sqlalchemy.exc.DBAPIError: the call failed, or the connection was lost.
    """
    return await send(connection, f"{_call(function, arguments)} WHERE result;") != _NO_ROW


async def send(connection: AsyncConnection, statements: str) -> str:
    """Send statements in one round trip, with BEGIN unless the transaction has begun; return the status of the last.

    Raises:
        sqlalchemy.exc.DBAPIError: a statement failed, or the connection was lost.
    """
    adapted = _adapted(connection)
    driver: CallingConnection = adapted.driver_connection
    driver.first = statements
    try:
        if driver.is_in_transaction():
            await driver.send_first()
        else:
            await adapted._start_transaction()  # type: ignore[no-untyped-call] # noqa: SLF001 - it has no public name
    except BaseException as error:  # noqa: BLE001 - raised again, also if the task was cancelled
        await connection.run_sync(_raise, error)
    return driver.status


async def on_driver(connection: AsyncConnection, use: Callable[["CallingConnection"], Awaitable[T]]) -> T:
    """Use the connection of the driver as SQLAlchemy does, in the transaction of the connection, which may begin now.

    Raises:
        sqlalchemy.exc.DBAPIError: a statement failed, or the connection was lost.
    """
    adapted = _adapted(connection)
    try:
        if adapted._transaction is None:  # noqa: SLF001 - it has no public name
            await adapted._start_transaction()  # type: ignore[no-untyped-call] # noqa: SLF001 - the same
        return await use(adapted.driver_connection)
    except BaseException as error:  # noqa: BLE001 - raised again, also if the task was cancelled
        return await connection.run_sync(_raise, error)


async def call_at_commit(connection: AsyncConnection, function: str, *arguments: Argument) -> None:
    """Let the transaction end with a call, together with COMMIT. Without effect if it is rolled back instead."""
    driver: CallingConnection = _adapted(connection).driver_connection
    driver.last = f"{_call(function, arguments)};"


class OutcomeUnknown(Exception):  # noqa: N818 - it may have succeeded
    """Whether the transaction was committed, and will stay so, is not known. The command may be sent again."""

    def __init__(self) -> None:
        super().__init__("The database did not confirm a commit. Run the command again.")


class CallingConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
    """A connection of the driver whose transactions send `first` with BEGIN, and `last` with COMMIT."""

    first = last = status = ""
    _warned = False

    def keep_alive(self) -> None:
        """Let the kernel end the connection to a host that is gone. A Unix socket needs no such thing."""
        end = self._transport.get_extra_info("socket")
        if end.family == socket.AF_UNIX:
            return
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if (option := getattr(socket, name, None)) is not None:
                end.setsockopt(socket.IPPROTO_TCP, option, value)

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False
    ) -> "_Transaction":
        """Return a new transaction. SQLAlchemy calls this before its first statement, and to probe the connection."""
        del deferrable
        level = "" if isolation is None else f" ISOLATION LEVEL {isolation.replace('_', ' ').upper()}"
        return _Transaction(self, f"BEGIN{level}{' READ ONLY' if readonly else ''};", writes=not readonly)

    async def send_first(self, begin: str = "") -> None:
        """Send `begin` and `first`, and keep the status of the latter."""
        first, self.first = self.first, ""
        self.status = await self.execute(begin + first)

    async def send_last(self, commit: str = "") -> None:
        """Send `last` and `commit`.

        Raises:
            OutcomeUnknown: the server ended the wait for a synchronous standby, which it reports as a warning: what is
                committed on this server alone would be lost with it.
        """
        last, self.last = self.last, ""
        self._warned = False
        await self.execute(last + commit)
        if self._warned:
            raise OutcomeUnknown

    def note_warning(self, _connection: object, message: asyncpg.PostgresLogMessage) -> None:
        """Note that the server sent a warning. Its text depends on the language of the server."""
        self._warned |= isinstance(message, asyncpg.PostgresWarning)


class _Transaction:
    """A transaction with the methods that SQLAlchemy calls.

    SQLAlchemy does not roll back a transaction whose start or commit failed. Here that may be due to the call, which
    leaves the connection within the failed transaction.
    """

    def __init__(self, connection: CallingConnection, begin: str, *, writes: bool) -> None:
        self._connection = connection
        self._begin = begin
        self._writes = writes

    async def start(self) -> None:
        self._connection.last = ""
        try:
            await self._connection.send_first(self._begin)
        except TimeoutError:
            self._connection.terminate()
            raise
        except Exception:
            await self._leave()
            raise

    async def commit(self) -> None:
        try:
            await self._connection.send_last("COMMIT;")
        except Exception as error:
            if isinstance(error, asyncpg.PostgresError) and not _LOST.fullmatch(error.sqlstate or ""):
                await self._leave()
                raise
            self._connection.terminate()
            if self._writes:
                raise OutcomeUnknown from error
            raise

    async def rollback(self) -> None:
        await self._connection.execute("ROLLBACK;")

    async def _leave(self) -> None:
        if self._connection.is_in_transaction():
            await self.rollback()


def _adapted(connection: AsyncConnection) -> AsyncAdapt_asyncpg_connection:
    """Return the driver's connection as SQLAlchemy uses it."""
    opened = connection.sync_connection
    if opened is None or opened.invalidated:
        raise ResourceClosedError("the connection is closed, or was lost")
    adapted: object = opened.connection.dbapi_connection
    if not isinstance(adapted, AsyncAdapt_asyncpg_connection):
        raise TypeError("the engine was not created by create_engine")
    return adapted


def _raise(connection: Connection, error: BaseException) -> NoReturn:
    """Raise an error of the driver as SQLAlchemy raises those of its own statements: it has no public name for that."""
    adapted: object = connection.connection.dbapi_connection
    try:
        if isinstance(error, Exception) and isinstance(adapted, AsyncAdapt_dbapi_connection):
            adapted._handle_exception(error)  # noqa: SLF001 - see above
        raise error  # noqa: TRY301 - an error is being handled where SQLAlchemy looks for it
    except BaseException as raised:  # noqa: BLE001 - raised again, also if the task was cancelled
        connection._handle_dbapi_exception(raised, None, None, None, None)  # noqa: SLF001 - see above


def _call(function: str, arguments: Sequence[Argument]) -> str:
    return f"SELECT FROM {function}({', '.join(map(_literal, arguments))}) AS result"  # nosec B608 - literals


def _literal(value: Argument) -> str:
    """Return a value as SQL. Texts and bytes are written in hexadecimal digits, so that no value ends its literal.

    A text has the default collation, not that of the encoding's name: PostgreSQL uses no index of another collation.
    """
    match value:
        case None:
            return "NULL"
        case int():
            return str(value)
        case datetime() | UUID():
            return f"'{value}'"
        case bytes():
            return f"'\\x{value.hex()}'"
        case str():
            return f"convert_from('\\x{value.encode().hex()}', 'UTF8') COLLATE \"default\""
        case _:
            return f"'{{{','.join(str(UUID(str(each))) for each in value)}}}'"
