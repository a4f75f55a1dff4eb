"""Children as JSON inside their parent's row, so that a read stays one statement.

PostgreSQL nests them; no object graph is loaded. Source of the choice:
docs/decisions/0073-sql-is-written-with-sqlalchemy-core.md.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, literal_column, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from mediation_api.database.encryption import Decrypted, DecryptedList, Encrypted

AnyColumn: TypeAlias = ColumnElement[Any]
AnySelect: TypeAlias = Select[*tuple[Any, ...]]
"""The one place with Any: SQLAlchemy's columns and statements are invariant in what they hold, so that without it
a list of columns of several types has no type. What is read goes through the models of the routers."""

_NONE: AnyColumn = literal_column("'[]'::jsonb", JSONB)


def nested(
    columns: Mapping[str, AnyColumn],
    *where: ColumnElement[bool],
    order_by: AnyColumn,
) -> AnyColumn:
    """The matching rows as one JSON list of objects, in order; an empty list where there are none.

    A table named in `where` that the surrounding statement selects from is the parent. A sealed column is given as
    `data_keys.opened` reads it.
    """
    if any(isinstance(column.type, Encrypted) for column in columns.values()):
        raise TypeError("a sealed column is not opened")
    entry = _entry(columns)
    listed: AnySelect = select(func.coalesce(func.jsonb_agg(aggregate_order_by(entry, order_by)), _NONE))
    types = ((name, column.type) for name, column in columns.items() if isinstance(column.type, Decrypted))
    sealed = tuple((name, type_.table, type_.column, type_.or_else) for name, type_ in types)
    rows: AnyColumn = listed.where(and_(*where)).scalar_subquery()
    return type_coerce(rows, DecryptedList(sealed)) if sealed else rows


def _entry(columns: Mapping[str, AnyColumn]) -> AnyColumn:
    pairs = (part for name, column in columns.items() for part in (cast(name, Text), column))
    return func.jsonb_build_object(*pairs)
