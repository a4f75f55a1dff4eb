"""Read the record on file of a complaint, a party or a mediator, as events contain it.

The record contains the codes, dates and flags of the row after the event. Of private columns (those that identify or
describe a person) it contains only the names of those that have a value: retention empties the values, but events are
never deleted.
"""

from dataclasses import fields
from functools import cache

from pydantic import TypeAdapter
from sqlalchemy import Column, Table, Text, case, func, type_coerce
from sqlalchemy.dialects.postgresql import array

from mediation_api.database import tables as t
from mediation_api.database.encryption import Encrypted
from mediation_api.database.nesting import AnyColumn, AnyRow
from mediation_api.domain.on_file import OnFile

_FILLED = "filled"
_EMPTIED = frozenset({t.parties.c.unit, t.parties.c.interpreter_language})
"""Columns that retention empties although they are not encrypted."""


def is_private(column: Column[object]) -> bool:
    """Whether events may contain of a column only whether it has a value."""
    return isinstance(column.type, Encrypted) or column in _EMPTIED


@cache
def columns_of(record: type[OnFile], table: Table) -> tuple[AnyColumn, ...]:
    """Return the columns that `read` needs: those of the record, and the names of the private ones with a value."""
    columns: list[AnyColumn] = [table.c[each.name] for each in fields(record) if each.name != _FILLED]
    private: list[AnyColumn] = [case((has_value(each), each.name)) for each in table.c if is_private(each)]
    named: AnyColumn = array(private, type_=Text())
    columns.append(func.array_remove(named, None).label(_FILLED))
    return tuple(columns)


def read(record: type[OnFile], row: AnyRow) -> OnFile:
    """Return the record of a row that was selected with `columns_of`."""
    values = {field.name: row[field.name] for field in fields(record)}
    return TypeAdapter(record).validate_python(values)


def has_value(column: AnyColumn) -> AnyColumn:
    """Return whether a private column has a value. Retention leaves NULL or an empty text."""
    filled: AnyColumn = func.coalesce(type_coerce(column, Text), "") != ""
    return filled
