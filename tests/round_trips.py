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
    execute, fetch = CallingConnection.execute, PreparedStatement.fetch

    async def executing(self: CallingConnection, query: str, *arguments: object) -> str:
        sent.append(query.split("(", maxsplit=1)[0].strip())
        status: str = await execute(self, query, *arguments)
        return status

    async def fetching(self: PreparedStatement, *arguments: object) -> list[object]:
        sent.append(self.get_query().split("(", maxsplit=1)[0].strip())
        rows: list[object] = await fetch(self, *arguments)
        return rows

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(CallingConnection, "execute", executing)
        monkeypatch.setattr(PreparedStatement, "fetch", fetching)
        yield sent
