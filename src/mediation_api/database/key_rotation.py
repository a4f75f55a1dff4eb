"""Rotate keys while requests are served: wrap data keys under the current key, and recompute blind indexes.

The work is done in batches, each in its own transaction, so that it can be interrupted and restarted at any time: rows
that are done are not selected again. A row that a request has locked is skipped and tried again in the next round; a
request that needs a row of the current batch waits for some milliseconds. No value changes, and no entity tag.

Only the wrapping of a data key changes, never the key. So a rotation rewrites one short row for each complaint and
mediator, and a concurrent read finds either the old wrapping or the new one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, String, Table, and_, bindparam, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables
from mediation_api.database.canaries import (
    SEARCH_SECRET,
    accept_secret,
    record_canaries,
    wrong_secrets,
)
from mediation_api.database.data_keys import decrypted
from mediation_api.database.encryption import (
    Encrypted,
    WrappedKey,
    keyring,
)
from mediation_api.database.engine import create_engine
from mediation_api.database.row_security import sees_every_row
from mediation_api.domain.values import UNREADABLE
from mediation_api.settings import ReplaceableSecret, Settings, SettingsError

_BATCH: Final = 200
_ROUNDS: Final = 20
_BETWEEN_ROUNDS_SECONDS: Final = 0.5

Batch: TypeAlias = tuple[UUID | None, int]
"""The id of the last row, or None if there was no row; and how many rows were changed."""

ENCRYPTED_COLUMNS: Final[Mapping[Table, Sequence[str]]] = {
    table: names
    for table in tables.metadata.sorted_tables
    if (names := tuple(column.name for column in table.c if isinstance(column.type, Encrypted)))
    if table.primary_key.columns  # an inheritance parent has no rows of its own
}
"""The names of the encrypted columns of each table that has any."""


@dataclass(slots=True)
class Rotation:
    """How many data keys were wrapped, and how many employee numbers were hashed again."""

    wrapped: int = 0
    hashed: int = 0


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """How many data keys are wrapped under each key, and how many employee numbers have no hash under the secret."""

    keys: Mapping[str, int]
    unhashed: int
    current: str

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left for `rotate`."""
        return not self.unhashed and self.keys.keys() <= {self.current}


async def rotate(settings: Settings) -> Rotation:
    """Wrap every data key under the current key, and hash every employee number under the current search secret.

    Raises:
        SettingsError: the role of the database URL does not see every row, or the settings lack a key that is in use,
            or have another key or secret in place of one; other than of the search secret.
        sqlalchemy.exc.SQLAlchemyError: the connection failed. Batches that were committed stay.
    """
    done = Rotation()
    async with _engine(settings) as engine:
        async with engine.begin() as connection:
            await record_canaries(connection)
            wrong = [words for name, words in (await wrong_secrets(connection)).items() if name != SEARCH_SECRET]
        if wrong:
            raise SettingsError(*wrong)
        for _ in range(_ROUNDS):
            done.wrapped += await _run_in_batches(engine, _wrap)
            for table in _NUMBERED:
                done.hashed += await _run_in_batches(engine, partial(_hash, table))
            if (await _key_usage(engine)).is_done:
                break
            await asyncio.sleep(_BETWEEN_ROUNDS_SECONDS)  # a request had locked a row
        async with engine.begin() as connection:
            await accept_secret(connection, SEARCH_SECRET)
    return done


async def accept(settings: Settings, secret: ReplaceableSecret) -> None:
    """Let the present value of a secret be the one of this database. Raises as `rotate` does."""
    async with _engine(settings) as engine, engine.begin() as connection:
        await accept_secret(connection, secret)


async def key_usage(settings: Settings) -> KeyUsage:
    """Return how many data keys are wrapped under which key. Raises as `rotate` does."""
    async with _engine(settings) as engine:
        return await _key_usage(engine)


async def keys_problem(connection: AsyncConnection) -> str | None:
    """Return which keys are in use and not in the settings, as a text for operators; None if none is missing."""
    keys = keyring(connection.dialect)
    in_use = await connection.scalars(select(tables.data_keys.c.key_id).distinct())
    unknown = sorted(key_id for key_id in in_use if not keys.knows(key_id))
    return f"MEDIATION_ENCRYPTION_KEYS: lacks {', '.join(unknown)}, which is in use" if unknown else None


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Yield an engine without a statement timeout.

    Raises SettingsError if its role does not see every row, or if the settings lack a key that is in use.
    """
    engine = create_engine(settings, statement_timeout_ms=0)
    try:
        async with engine.connect() as connection:
            if not await sees_every_row(connection):
                raise SettingsError("MEDIATION_DATABASE_URL: connect as mediation_service, which sees every row")
            problem = await keys_problem(connection)
        if problem is not None:
            raise SettingsError(problem)
        yield engine
    finally:
        await engine.dispose()


async def _run_in_batches(engine: AsyncEngine, step: Callable[[AsyncConnection, UUID], Awaitable[Batch]]) -> int:
    """Run `step` for each batch of a table by id, each in its own transaction; return the number of changed rows."""
    after: UUID | None = UUID(int=0)
    changed = 0
    while after is not None:
        async with engine.begin() as connection:
            after, more = await step(connection, after)
        changed += more
    return changed


async def _wrap(connection: AsyncConnection, after: UUID) -> Batch:
    ring, table = keyring(connection.dialect), tables.data_keys
    result = await connection.execute(
        select(table)
        .where(table.c.id > after, table.c.key_id != ring.current)
        .order_by(table.c.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    rows = result.all()
    if not rows:
        return None, 0
    wrapped = [(row.id, ring.rewrap(WrappedKey(row.key_id, row.wrapped), row.id)) for row in rows]
    await connection.execute(
        table.update()
        .where(table.c.id == bindparam("row"))
        .values(key_id=bindparam("new_key_id"), wrapped=bindparam("new_wrapped")),
        [{"row": row_id, "new_key_id": key.key_id, "new_wrapped": key.wrapped} for row_id, key in wrapped],
    )
    return rows[-1].id, len(rows)


_NUMBERED: Final = (tables.parties, tables.mediators)
"""The tables with an employee number and its blind index."""


def _is_unhashed(table: Table, mark: str) -> ColumnElement[bool]:
    """Whether a row has an employee number without a hash under the current search secret."""
    by_hash = func.coalesce(type_coerce(table.c.employee_number_index, String), "")
    return and_(table.c.employee_number.is_not(None), ~func.starts_with(by_hash, f"{mark}."))


async def _hash(table: Table, connection: AsyncConnection, after: UUID) -> Batch:
    result = await connection.execute(
        select(table.c.id, decrypted(table.c.employee_number))
        .where(table.c.id > after, _is_unhashed(table, keyring(connection.dialect).search_mark))
        .order_by(table.c.id)
        .limit(_BATCH)
        .with_for_update(key_share=True, skip_locked=True, of=table)
    )
    rows = result.all()
    if not rows:
        return None, 0
    # The hash of the placeholder for an unreadable number would be the same for every such row.
    hashed = [{"row": row.id, "number": row.employee_number} for row in rows if row.employee_number != UNREADABLE]
    if hashed:
        by_row = table.update().where(table.c.id == bindparam("row"))
        await connection.execute(by_row.values(employee_number_index=bindparam("number")), hashed)
    return rows[-1].id, len(hashed)


async def _key_usage(engine: AsyncEngine) -> KeyUsage:
    k = tables.data_keys.c
    async with engine.connect() as connection:
        ring = keyring(connection.dialect)
        keys = (
            await connection.execute(select(k.key_id, func.count().label("rows")).group_by(k.key_id).order_by(k.key_id))
        ).all()
        unhashed = 0
        for table in _NUMBERED:
            unhashed += await _count(connection, table, _is_unhashed(table, ring.search_mark))
    return KeyUsage({row.key_id: row.rows for row in keys}, unhashed, ring.current)


async def _count(connection: AsyncConnection, table: Table, which: ColumnElement[bool]) -> int:
    rows: int = (await connection.execute(select(func.count()).select_from(table).where(which))).scalar_one()
    return rows
