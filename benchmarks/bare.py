"""The least that a service can do: Starlette runs recorded statements with asyncpg, and answers what they return.

It has no authentication, no validation and no rules. Each statement is one round trip, in the order and within the
transaction that was recorded.
"""

from asyncio import LifoQueue
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import uvicorn
from benchmarks.recording import NUMBER, Exchange
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class BareService:
    """A database, and what is executed on it for each exchange. Pickled into the process that serves."""

    database_url: str
    connections: int
    """With each of the server settings that were recorded."""
    exchanges: Sequence[Exchange]

    def serve(self, port: int) -> None:
        """Serve as `mediation-api serve` does, without a log."""
        uvicorn.run(
            self._app(), host="127.0.0.1", port=port, log_level="critical", access_log=False, server_header=False
        )

    def _app(self) -> Starlette:
        pools: dict[tuple[tuple[str, str], ...], LifoQueue[Any]] = {
            exchange.server_settings: LifoQueue() for exchange in self.exchanges
        }

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            for server_settings, pool in pools.items():
                for _ in range(self.connections):
                    pool.put_nowait(await _connect(self.database_url, dict(server_settings)))
            yield

        async def replay(request: Request) -> Response:
            await request.body()
            exchange = self.exchanges[int(request.headers[NUMBER])]
            pool = pools[exchange.server_settings]
            connection = await pool.get()
            found: list[Any] = []
            for statement in exchange.statements:
                if len(statement.parameters) > 1:
                    await connection.executemany(statement.sql, statement.parameters)
                elif statement.parameters:
                    found = await connection.fetch(statement.sql, *statement.parameters[0]) or found
                else:
                    await connection.execute(statement.sql)
            pool.put_nowait(connection)
            body = to_json(list(map(dict, found)), bytes_mode="base64", fallback=str)
            return Response(body, media_type="application/json")

        return Starlette(
            routes=[Route("/{path:path}", replay, methods=["GET", "POST", "PUT", "PATCH"])], lifespan=lifespan
        )


async def _connect(url: str, server_settings: dict[str, str]) -> Any:  # noqa: ANN401 - asyncpg has no types
    connection = await asyncpg.connect(url, server_settings=server_settings)
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_as_json, decoder=_as_it_is)
    return connection


def _as_it_is(value: str) -> str:
    return value


def _as_json(value: object) -> str:
    """The service may have given the driver JSON, or what a codec of its own turns into JSON."""
    return value if isinstance(value, str) else to_json(value).decode()
