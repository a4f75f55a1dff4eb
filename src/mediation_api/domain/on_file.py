"""What is on file of a complaint, a party or a mediator after an event, as the event records it.

This is codes, dates and flags. For fields that identify or describe a person (`PRIVATE`) an event records only which of
them have a value, since retention empties those fields while events are kept for ever.
"""

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Final, TypeVar

from mediation_api.domain.events import ComplaintOnFile, MediatorOnFile, PartyOnFile
from mediation_api.domain.values import UNREADABLE

OnFile = TypeVar("OnFile", ComplaintOnFile, PartyOnFile, MediatorOnFile)

NEW_COMPLAINT: Final = ComplaintOnFile(
    incident_on=None,
    precinct=None,
    allegations=(),
    crime_alleged=None,
    serious_injury=None,
    litigation_pending=None,
    pending_case_filed_on=None,
    officer_is_witness=None,
    rank_initiated=False,
    filled=(),
)
NEW_PARTY: Final = PartyOnFile(language="", minor=False, email_allowed=False, filled=())
NEW_MEDIATOR: Final = MediatorOnFile(subject="", languages=(), active=True, email_allowed=False, filled=())

_NOT_ENCRYPTED: Final = frozenset({"interpreter_language", "unit"})
"""Private fields that retention empties like the others, although they are not encrypted."""

PRIVATE: Final[Mapping[type, frozenset[str]]] = MappingProxyType(
    {
        ComplaintOnFile: frozenset({"incident_place", "narrative"}),
        PartyOnFile: _NOT_ENCRYPTED
        | {"accommodations", "email", "employee_number", "name", "phone", "postal_address", "safe_contact"}
        | {"guardian_email", "guardian_name", "guardian_phone", "guardian_relation"},
        MediatorOnFile: frozenset({"email", "employee_number", "name", "phone"}),
    }
)
"""The fields of which an event records only whether they have a value."""


def entered(new: OnFile, values: Mapping[str, object]) -> OnFile:
    """Return what is on file after `values` were entered in a new, empty record."""
    return _with(new, values)


def corrected(before: OnFile, changes: Mapping[str, object]) -> OnFile:
    """Return what is on file after `changes`.

    `UNREADABLE` for an encrypted field is the placeholder that a read returned, and changes nothing.
    """
    return _with(before, {n: v for n, v in changes.items() if v != UNREADABLE or n in _NOT_ENCRYPTED})


def _with(before: OnFile, changes: Mapping[str, object]) -> OnFile:
    fields, private = asdict(before), PRIVATE[type(before)]
    filled = set(before.filled) - changes.keys() | {name for name in private if changes.get(name)}
    public = {n: tuple(v) if isinstance(v, list) else v for n, v in changes.items() if n in fields}
    return type(before)(**{**fields, **public, "filled": tuple(sorted(filled))})
