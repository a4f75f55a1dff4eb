"""How often a request waits for the database."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from asyncpg.prepared_stmt import PreparedStatement

from mediation_api.database.transactions import CallingConnection


@contextmanager
def round_trips() -> Iterator[list[str]]:
    """List what is sent to the server and waited for, BEGIN and COMMIT included; each up to its first parenthesis.

    Preparing a statement is left out: a connection prepares each once.
    """
    sent: list[str] = []
    execute, fetch, fetch_prepared = CallingConnection.execute, CallingConnection.fetch, PreparedStatement.fetch

    async def executing(self: CallingConnection, query: str, *arguments: object) -> str:
        sent.append(query.split("(", maxsplit=1)[0].strip())
        status: str = await execute(self, query, *arguments)
        return status

    async def fetching(self: CallingConnection, query: str, *arguments: object) -> list[object]:
        sent.append(query.split("(", maxsplit=1)[0].strip())
        rows: list[object] = await fetch(self, query, *arguments)
        return rows

    async def fetching_prepared(self: PreparedStatement, *arguments: object) -> list[object]:
        sent.append(self.get_query().split("(", maxsplit=1)[0].strip())
        rows: list[object] = await fetch_prepared(self, *arguments)
        return rows

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(CallingConnection, "execute", executing)
        monkeypatch.setattr(CallingConnection, "fetch", fetching)
        monkeypatch.setattr(PreparedStatement, "fetch", fetching_prepared)
        yield sent
