"""Find the data key of each row, and select encrypted columns. database/encryption.py does the encryption.

A complaint, its parties, its cases and their rows share one data key. Deleting that row of `data_keys` makes all of
their encrypted values unreadable; a backup that was made before the deletion still contains the key.
"""

from functools import cache, lru_cache
from typing import Final
from uuid import UUID

from sqlalchemy import Column, Table, Text, bindparam, cast, func, select, type_coerce
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.access_scope import REQUESTED_ID
from mediation_api.database.batching import Change, Insertion, batched
from mediation_api.database.constants import Constant
from mediation_api.database.encryption import (
    BlindIndex,
    DataKey,
    Decrypted,
    Encrypted,
    WrappedKey,
    keyring,
    new_key,
)
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.database.tables import agreements, cases, data_keys, import_batches
from mediation_api.domain.errors import NotFound
from mediation_api.domain.values import UNREADABLE

_BINDING = frozenset({agreements.c.text, import_batches.c.lines})
"""What UNREADABLE must not stand for, such as a text that people sign: reading it raises DecryptionFailed."""

_SPACE: Final = Constant(" ")


@lru_cache
def decrypted(column: AnyColumn, *, written_to: AnyColumn | None = None, owner: AnyColumn | None = None) -> AnyColumn:
    """Return an expression that selects an encrypted column. SQLAlchemy decrypts the value when the row is fetched.

    Args:
        column: the column; the result has its name as label.
        written_to: the column that the value was encrypted for, if it is read through another table.
        owner: the id of the data key; by default it is found by the row's `complaint_id` or `case_id` (`owner_of`).

    Raises:
        TypeError: the column is not encrypted.
    """
    place = column if written_to is None else written_to
    if not isinstance(place.type, Encrypted) or not isinstance(place, Column):
        raise TypeError(f"{column.name} is not encrypted")
    key = _wrapped_key(owner_of(column.table) if owner is None else owner)
    envelope = (
        func.coalesce(key, Constant("  ")) + _SPACE + cast(column.table.c.id, Text) + _SPACE + type_coerce(column, Text)
    )
    type_ = Decrypted(place.table.name, place.name, None if place in _BINDING else UNREADABLE)
    return type_coerce(envelope, type_).label(column.name)


@cache
def decrypted_columns(table: Table, *, but: frozenset[str] = frozenset()) -> tuple[AnyColumn, ...]:
    """Return all columns of a table, encrypted ones as `decrypted` reads them, without blind indexes."""
    return tuple(
        decrypted(column) if isinstance(column.type, Encrypted) else column
        for column in table.c
        if column.name not in but and not isinstance(column.type, BlindIndex)
    )


OF_CASE: Final[AnyColumn] = select(cases.c.complaint_id).where(cases.c.id == REQUESTED_ID).scalar_subquery()
"""The id of a case's data key (its complaint's id), by the id of the case."""


async def data_key(connection: AsyncConnection, wanted: UUID, owner: AnyColumn = REQUESTED_ID) -> DataKey:
    """Return the data key of a complaint or a mediator. Creates one if there is none.

    Args:
        connection: in the transaction of the request.
        wanted: the id of the complaint or mediator, or of the case whose complaint `owner` looks up.
        owner: `OF_CASE`, if `wanted` is the id of a case.

    Raises:
        NotFound: there is no such case.
        KeyMissing: the settings lack the key that the data key is wrapped under.
    """
    statement = _wrapped_key_of(owner)
    row = (await connection.execute(statement, {"requested_id": wanted})).one()
    if row.id is None:
        raise NotFound
    if row.key_id is None:
        for insertion, values in batched([new_data_key(connection, row.id)[1]]):
            await connection.execute(insertion, values)
        row = (
            await connection.execute(statement, {"requested_id": wanted})
        ).one()  # another transaction may have created it
    return DataKey(keyring(connection.dialect).unwrap(WrappedKey(row.key_id, row.wrapped), row.id))


@cache
def _wrapped_key_of(owner: AnyColumn) -> AnySelect:
    owners = select(owner.label("id")).subquery("owners")
    statement: AnySelect = select(owners.c.id, data_keys.c.key_id, data_keys.c.wrapped)
    return statement.select_from(owners).outerjoin(data_keys, data_keys.c.id == owners.c.id)


def stored_key(owner: AnyColumn) -> AnyColumn:
    """Return the column `data_key`: the wrapped data key of an owner as one text, or NULL. `read_key` reads it."""
    whole = data_keys.c.key_id + _SPACE + data_keys.c.wrapped
    return select(whole).where(data_keys.c.id == owner).correlate_except(data_keys).scalar_subquery().label("data_key")


def read_key(owner: UUID, stored: str | None) -> tuple[UUID, WrappedKey] | None:
    """Return an owner and its wrapped data key, from the column `stored_key`."""
    return None if stored is None else (owner, WrappedKey(*stored.split(" ", 1)))


def new_data_key(connection: AsyncConnection, owner: UUID) -> tuple[DataKey, Change]:
    """Return a data key for a new complaint or mediator, and the insert of it, unless there is one already."""
    key = new_key()
    wrapped = keyring(connection.dialect).wrap(key, owner)
    values = {"id": owner, "key_id": wrapped.key_id, "wrapped": wrapped.wrapped}
    return DataKey(key), Change(_INSERT_KEY, values, insertion=_KEY)


_KEY: Final = Insertion(data_keys, ("id", "key_id", "wrapped"))
_INSERT_KEY: Final = (
    insert(data_keys)
    .values({name: bindparam(name, type_=data_keys.c[name].type) for name in _KEY.columns})
    .on_conflict_do_nothing()
)


def owner_of(table: Table) -> AnyColumn:
    """Return the id of the data key of a table's rows: the complaint's or the import's id, or the row's own."""
    for name in ("complaint_id", "import_id"):
        if name in table.c:
            return table.c[name]
    if "case_id" not in table.c:
        return table.c.id
    of_case = cases.alias("of_case")
    complaint = select(of_case.c.complaint_id).where(of_case.c.id == table.c.case_id)
    return complaint.correlate_except(of_case).scalar_subquery()


def _wrapped_key(owner: AnyColumn) -> AnyColumn:
    k = data_keys.c
    whole = cast(k.id, Text) + _SPACE + k.key_id + _SPACE + k.wrapped
    return select(whole).where(k.id == owner).correlate_except(data_keys).scalar_subquery()
