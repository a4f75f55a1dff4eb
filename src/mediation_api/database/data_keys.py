"""Data keys, and reading what they sealed. database/encryption.py says how; this says where each one is found.

The data key of whatever belongs to a complaint is the complaint's: of its parties, its cases, and all below those. To
delete that one row is to destroy all of it, in the database as in each backup that is younger.
"""

from functools import cache, lru_cache
from typing import Final
from uuid import UUID

from sqlalchemy import CTE, Column, Table, Text, cast, func, literal, select, type_coerce
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.access_scope import REQUESTED_ID
from mediation_api.database.encryption import (
    UNREADABLE,
    BlindIndex,
    DataKey,
    Decrypted,
    Encrypted,
    WrappedKey,
    keyring,
    new_key,
)
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.database.tables import agreements, cases, data_keys, parties
from mediation_api.domain.errors import NotFound

_BINDING = frozenset({agreements.c.text})
"""Texts that people sign: where one does not open, nothing is shown in its place."""


@lru_cache
def decrypted(column: AnyColumn, *, written_to: AnyColumn | None = None, owner: AnyColumn | None = None) -> AnyColumn:
    """A sealed column, to be read: with its row and its wrapped key, and opened as it arrives.

    Args:
        column: what is read; it is labelled with its name.
        written_to: the column that it was sealed for, where it is read through another table.
        owner: whose data key it is; found by the row's `complaint_id` or `case_id` unless given.
    """
    place = column if written_to is None else written_to
    if not isinstance(place.type, Encrypted) or not isinstance(place, Column):
        raise TypeError(f"{column.name} is not sealed")
    key = _wrapped_key(owner_of(column.table) if owner is None else owner)
    envelope = func.coalesce(key, literal("  ")) + " " + cast(column.table.c.id, Text) + " " + type_coerce(column, Text)
    type_ = Decrypted(place.table.name, place.name, None if place in _BINDING else UNREADABLE)
    return type_coerce(envelope, type_).label(column.name)


@cache
def decrypted_columns(table: Table, *, but: frozenset[str] = frozenset()) -> tuple[AnyColumn, ...]:
    """All columns of a table, those that are sealed opened; without the hashes by which they are found."""
    return tuple(
        decrypted(column) if isinstance(column.type, Encrypted) else column
        for column in table.c
        if column.name not in but and not isinstance(column.type, BlindIndex)
    )


OF_CASE: Final[AnyColumn] = select(cases.c.complaint_id).where(cases.c.id == REQUESTED_ID).scalar_subquery()
"""Whose data key seals what belongs to a case: the complaint's."""
OF_PARTY: Final[AnyColumn] = select(parties.c.complaint_id).where(parties.c.id == REQUESTED_ID).scalar_subquery()
"""Whose data key seals what is on file of a party: the complaint's."""


async def data_key(connection: AsyncConnection, wanted: UUID, owner: AnyColumn = REQUESTED_ID) -> DataKey:
    """The data key of a complaint or a mediator. One of before, that has none yet, is given one.

    Args:
        connection: of the request.
        wanted: whose it is, or the id by which `owner` finds out.
        owner: `OF_CASE` or `OF_PARTY`, where something that belongs to a complaint is to be sealed.

    Raises:
        NotFound: there is no such case or party.
        KeyMissing: the settings lack the key that it is wrapped under.
    """
    found = _finding(owner)
    row = (await connection.execute(found, {"wanted": wanted})).one()
    if row.id is None:
        raise NotFound
    if row.key_id is None:
        await connection.execute(_new(connection, row.id)[1].on_conflict_do_nothing())
        row = (await connection.execute(found, {"wanted": wanted})).one()  # perhaps of somebody who was quicker
    return DataKey(keyring(connection.dialect).unwrap(WrappedKey(row.key_id, row.wrapped), row.id))


@cache
def _finding(owner: AnyColumn) -> AnySelect:
    known = select(owner.label("id")).subquery("known")
    found: AnySelect = select(known.c.id, data_keys.c.key_id, data_keys.c.wrapped)
    return found.select_from(known).outerjoin(data_keys, data_keys.c.id == known.c.id)


def new_data_key(connection: AsyncConnection, owner: UUID) -> tuple[DataKey, CTE]:
    """A data key for a new complaint or mediator, and what writes it, as a part of the statement that writes those."""
    key, written = _new(connection, owner)
    return key, written.cte("data_key")


def _new(connection: AsyncConnection, owner: UUID) -> tuple[DataKey, Insert]:
    key = new_key()
    wrapped = keyring(connection.dialect).wrap(key, owner)
    return DataKey(key), insert(data_keys).values(id=owner, key_id=wrapped.key_id, wrapped=wrapped.wrapped)


def owner_of(table: Table) -> AnyColumn:
    """Whose data key seals the rows of a table: their complaint's, or their own."""
    if "complaint_id" in table.c:
        return table.c.complaint_id
    if "case_id" not in table.c:
        return table.c.id
    of_case = cases.alias("of_case")
    complaint = select(of_case.c.complaint_id).where(of_case.c.id == table.c.case_id)
    return complaint.correlate_except(of_case).scalar_subquery()


def _wrapped_key(owner: AnyColumn) -> AnyColumn:
    k = data_keys.c
    whole = cast(k.id, Text) + " " + k.key_id + " " + k.wrapped
    return select(whole).where(k.id == owner).correlate_except(data_keys).scalar_subquery()
