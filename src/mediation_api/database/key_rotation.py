"""Rotating keys while requests are served: data keys are wrapped anew, employee numbers hashed anew.

Everything goes in batches, each a transaction of its own, so that it can be stopped at any moment and begun again: what
is done is not looked for. A row that a request holds is passed over and taken the next time round; a request that wants
a row of the batch waits for some milliseconds. What a value says does not change, and neither does its entity tag.

A data key is wrapped under another key; what it seals stays as it is. So a rotation rewrites one short row for each
complaint, whatever stands in it, and whoever reads at that moment has the old wrapping or the new one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, String, Table, and_, bindparam, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables
from mediation_api.database.data_keys import decrypted
from mediation_api.database.encryption import (
    UNREADABLE,
    Encrypted,
    Keyring,
    WrappedKey,
    keyring,
)
from mediation_api.database.engine import create_engine
from mediation_api.database.row_security import bypasses_row_security
from mediation_api.settings import Settings, SettingsError

_BATCH: Final = 200
_ROUNDS: Final = 20
_BETWEEN_ROUNDS_SECONDS: Final = 0.5

Batch: TypeAlias = tuple[UUID | None, int]
"""The last row of it, where there was one; and how many rows were changed."""

ENCRYPTED_COLUMNS: Final[Mapping[Table, Sequence[str]]] = {
    table: names
    for table in tables.metadata.sorted_tables
    if (names := tuple(column.name for column in table.c if isinstance(column.type, Encrypted)))
    if table.primary_key.columns  # a parent shows the rows of its child
}
"""The tables with sealed columns, and these: whatever is marked in tables.py."""


@dataclass(slots=True)
class Rotation:
    """How much was done: data keys wrapped, employee numbers hashed anew."""

    wrapped: int = 0
    hashed: int = 0


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """How many data keys are wrapped under each key, and how many employee numbers lack a current hash."""

    keys: Mapping[str, int]
    unhashed: int
    current: str

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left for `rotate`."""
        return not self.unhashed and self.keys.keys() <= {self.current}


async def rotate(settings: Settings) -> Rotation:
    """Bring everything under the current keys of the settings.

    Raises:
        SettingsError: whoever the address names does not see every row; or the settings lack a key that is in use.
        sqlalchemy.exc.SQLAlchemyError: the database is away. What was done stays done.
    """
    done = Rotation()
    async with _engine(settings) as engine:
        for _ in range(_ROUNDS):
            done.wrapped += await _through(engine, _wrap)
            for table in _NUMBERED:
                done.hashed += await _through(engine, partial(_hash, table))
            if (await _key_usage(engine)).is_done:
                break
            await asyncio.sleep(_BETWEEN_ROUNDS_SECONDS)  # somebody held a row
    return done


async def key_usage(settings: Settings) -> KeyUsage:
    """What is under which key. Raises as `rotate` does, but for a key that is lacking."""
    async with _engine(settings) as engine:
        return await _key_usage(engine)


async def require_keys(settings: Settings) -> None:
    """Hold the settings' keys against those that are in use.

    Raises:
        SettingsError: one of them is lacking.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer, or was never migrated.
        OSError: nothing listens there.
    """
    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            _require(keyring(connection.dialect), await _key_ids(connection))
    finally:
        await engine.dispose()


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Connections that take their time, of somebody who sees every row."""
    engine = create_engine(settings, statement_timeout_ms=0)
    try:
        async with engine.connect() as connection:
            if not await bypasses_row_security(connection):
                raise SettingsError("MEDIATION_DATABASE_URL: name mediation_service, who may read every row")
            keys, in_use = keyring(connection.dialect), await _key_ids(connection)
        _require(keys, in_use)
        yield engine
    finally:
        await engine.dispose()


def _require(keys: Keyring, in_use: Iterable[str]) -> None:
    unknown = sorted(key_id for key_id in in_use if not keys.knows(key_id))
    if unknown:
        raise SettingsError(f"MEDIATION_ENCRYPTION_KEYS: lacks {', '.join(unknown)}, which is in use")


async def _key_ids(connection: AsyncConnection) -> Sequence[str]:
    return (await connection.scalars(select(tables.data_keys.c.key_id).distinct())).all()


async def _through(engine: AsyncEngine, step: Callable[[AsyncConnection, UUID], Awaitable[Batch]]) -> int:
    """Go through a table by id, a batch and a transaction at a time, and count the rows that were changed."""
    after: UUID | None = UUID(int=0)
    changed = 0
    while after is not None:
        async with engine.begin() as connection:
            after, more = await step(connection, after)
        changed += more
    return changed


async def _wrap(connection: AsyncConnection, after: UUID) -> Batch:
    ring, table = keyring(connection.dialect), tables.data_keys
    found = await connection.execute(
        select(table)
        .where(table.c.id > after, table.c.key_id != ring.current)
        .order_by(table.c.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    rows = found.all()
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
"""The tables with an employee number, and the hash by which it is found."""


def _is_unhashed(table: Table, mark: str) -> ColumnElement[bool]:
    """Whether the hash of an employee number is of another search secret, or lacking."""
    by_hash = func.coalesce(type_coerce(table.c.employee_number_index, String), "")
    return and_(table.c.employee_number.is_not(None), ~func.starts_with(by_hash, f"{mark}."))


async def _hash(table: Table, connection: AsyncConnection, after: UUID) -> Batch:
    found = await connection.execute(
        select(table.c.id, decrypted(table.c.employee_number))
        .where(table.c.id > after, _is_unhashed(table, keyring(connection.dialect).search_mark))
        .order_by(table.c.id)
        .limit(_BATCH)
        .with_for_update(key_share=True, skip_locked=True, of=table)
    )
    rows = found.all()
    if not rows:
        return None, 0
    # A number that does not open is nobody's: the hash of what stands in its place would be one of them all.
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
