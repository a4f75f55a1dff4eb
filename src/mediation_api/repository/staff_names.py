"""The names of staff and mediators, as their tokens had them when they last recorded something.

A subject such as `a.morgan` says little to the office. The name is written with the events of a command, in the same
statement, and only if it is not the one that is stored: this costs no round trip. Earlier names are kept. Each row has
a data key of its own.
"""

from datetime import datetime
from typing import Final
from uuid import uuid4

from sqlalchemy import DateTime, Insert, String, Text, Uuid, bindparam, insert, null, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_scope import ScopeKind
from mediation_api.database.batching import Change
from mediation_api.database.constants import constants
from mediation_api.database.data_keys import decrypted
from mediation_api.database.encryption import DataKey, keyring, new_key
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.domain.access import INTAKE, Actor, Relation, Role

NAMED: Final = (*INTAKE, Role.MEDIATOR)
"""The roles of those who record something and are no party."""


def _if_new(columns: dict[str, AnyColumn]) -> AnySelect:
    """Select values unless the latest name of the subject is the same, by its keyed hash."""
    s = t.staff_names.c
    subject, fingerprint = bindparam("staff_subject", type_=String), bindparam("staff_fingerprint", type_=String)
    latest = select(s.fingerprint).where(s.subject == subject).order_by(s.named_at.desc(), s.id).limit(1)
    return select(*columns.values()).where(latest.scalar_subquery().is_distinct_from(fingerprint))


def _write_name() -> Insert:
    columns: dict[str, AnyColumn] = {
        "id": bindparam("staff_row", type_=Uuid),
        "subject": bindparam("staff_subject", type_=String),
        "name": bindparam("staff_name", type_=t.staff_names.c.name.type),
        "fingerprint": bindparam("staff_fingerprint", type_=String),
        "named_at": bindparam("staff_named_at", type_=DateTime(timezone=True)),
    }
    return insert(t.staff_names).from_select(list(columns), _if_new(columns))


def _write_key() -> Insert:
    columns: dict[str, AnyColumn] = {
        "id": bindparam("staff_row", type_=Uuid),
        "key_id": bindparam("staff_key_id", type_=String),
        "wrapped": bindparam("staff_key", type_=t.data_keys.c.wrapped.type),
    }
    return insert(t.data_keys).from_select(list(columns), _if_new(columns))


_WRITE_KEY: Final = _write_key()
_WRITE_NAME: Final = _write_name()


def name_of(connection: AsyncConnection, by: Actor, at: datetime) -> tuple[Change, ...]:
    """Return the changes that store the caller's name; none for parties and programs.

    Both are part of one statement, in which neither sees what the other writes.
    """
    if by.name is None or by.role not in NAMED:
        return ()
    keys, row_id, key = keyring(connection.dialect), uuid4(), new_key()
    wrapped = keys.wrap(key, row_id)
    values = {
        "staff_row": row_id,
        "staff_subject": by.subject,
        "staff_name": DataKey(key).encrypt("staff_names", "name", row_id, by.name),
        "staff_fingerprint": keys.hashed(by.name),
        "staff_named_at": at,
        "staff_key_id": wrapped.key_id,
        "staff_key": wrapped.wrapped,
    }
    return Change(_WRITE_KEY, values), Change(_WRITE_NAME, values)


def staff_name(subject: AnyColumn, *, role: AnyColumn | None = None, kind: ScopeKind | None = None) -> AnyColumn:
    """Return the latest name of a subject; null for a subject without one.

    Args:
        subject: the column with the subject of a token.
        role: the column of the role in which the subject acted. A party has no name here, whoever it is.
        kind: that of the access scope, in a statement that is not for the office alone. Others get null.
    """
    if kind is not None and kind.relation is not Relation.OFFICE:
        return type_coerce(null(), Text)
    s = t.staff_names.c
    found: AnySelect = select(decrypted(s.name)).where(s.subject == subject).order_by(s.named_at.desc(), s.id).limit(1)
    if role is not None:
        found = found.where(role.in_(constants(NAMED)))
    return found.scalar_subquery()
