"""Select child rows as JSON inside their parent's row, so that a read needs one statement.

PostgreSQL aggregates them; no object graph is loaded. They are `json` and not `jsonb`, which PostgreSQL would
build as a tree and then write as text. Measurements: docs/decisions/0073-sql-is-written-with-sqlalchemy-core.md.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Insert,
    RowMapping,
    Select,
    Update,
    and_,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSON, aggregate_order_by

from mediation_api.database.constants import Constant
from mediation_api.database.encryption import Decrypted, DecryptedList, Encrypted

AnyColumn: TypeAlias = ColumnElement[Any]
AnySelect: TypeAlias = Select[*tuple[Any, ...]]
AnyStatement: TypeAlias = AnySelect | Insert | Update
AnyRow: TypeAlias = Mapping[str, Any] | RowMapping
"""SQLAlchemy's columns and statements are invariant in their type, so a list of columns of several types needs Any.
A row has its values by the names of the columns; the response models check them."""

_NONE: AnyColumn = literal_column("'[]'::json", JSON)


def nested(
    columns: Mapping[str, AnyColumn],
    *where: ColumnElement[bool],
    order_by: AnyColumn,
) -> AnyColumn:
    """Return an expression for the matching rows as a JSON list of objects, in order; an empty list if there are none.

    Args:
        columns: the values of each object, by name; encrypted columns as `data_keys.decrypted` returns them.
        where: the conditions. A table in them that the surrounding statement selects from is the parent.
        order_by: the order of the list.

    Raises:
        TypeError: an encrypted column was passed as it is.
    """
    if any(isinstance(column.type, Encrypted) for column in columns.values()):
        raise TypeError("select an encrypted column with `decrypted`")
    entry = _entry(columns)
    listed: AnySelect = select(func.coalesce(func.json_agg(aggregate_order_by(entry, order_by)), _NONE))
    types = ((name, column.type) for name, column in columns.items() if isinstance(column.type, Decrypted))
    encrypted = tuple((name, type_.table, type_.column, type_.or_else) for name, type_ in types)
    rows: AnyColumn = listed.where(and_(*where)).scalar_subquery()
    return type_coerce(rows, DecryptedList(encrypted)) if encrypted else rows


def _entry(columns: Mapping[str, AnyColumn]) -> AnyColumn:
    pairs = (part for name, column in columns.items() for part in (Constant(name), column))
    return func.json_build_object(*pairs)
