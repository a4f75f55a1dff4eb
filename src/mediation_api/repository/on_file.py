"""What is on file of a complaint, a party or a mediator, as an event records it.

An event holds the codes, dates and flags of the row as they are after it. Of what identifies or tells about a person it
holds only which columns hold something: retention empties those, and an event is for ever.
"""

from dataclasses import fields
from functools import cache

from pydantic import TypeAdapter
from sqlalchemy import Column, RowMapping, Table, Text, case, func, type_coerce
from sqlalchemy.dialects.postgresql import array

from mediation_api.database import tables as t
from mediation_api.database.encryption import Encrypted
from mediation_api.database.nesting import AnyColumn
from mediation_api.domain.on_file import OnFile

_GIVEN = "given"
_EMPTIED = frozenset({t.parties.c.unit, t.parties.c.interpreter_language})
"""Columns that are not encrypted, and that retention empties all the same."""


def is_private(column: Column[object]) -> bool:
    """Whether an event may say of a column only that it holds something."""
    return isinstance(column.type, Encrypted) or column in _EMPTIED


@cache
def columns_of(record: type[OnFile], table: Table) -> tuple[AnyColumn, ...]:
    """What `read` needs of a row: the columns of the record, and the names of the private ones that hold something."""
    columns: list[AnyColumn] = [table.c[each.name] for each in fields(record) if each.name != _GIVEN]
    private: list[AnyColumn] = [case((holds_something(each), each.name)) for each in table.c if is_private(each)]
    named: AnyColumn = array(private, type_=Text())
    columns.append(func.array_remove(named, None).label(_GIVEN))
    return tuple(columns)


def read(record: type[OnFile], row: RowMapping) -> OnFile:
    """Make the record of a row with `columns_of`."""
    values = {field.name: row[field.name] for field in fields(record)}
    return TypeAdapter(record).validate_python(values)


def holds_something(column: AnyColumn) -> AnyColumn:
    """Whether a private column holds something; an empty text is what retention leaves."""
    filled: AnyColumn = func.coalesce(type_coerce(column, Text), "") != ""
    return filled
