"""Streams of events, and what the effects of events have in common.

Each complaint, case, mediator and mandatory report has a stream of its own. An effect is a function that takes an event
of one type, and yields the changes of its rows. The effects are in `effects_of_complaints`, `effects_of_cases` and
`effects_of_sessions`; `recording` executes them in the order of the events.

The statement of a change is built once (database/batching.py): what differs between commands is a parameter. Statements
may also name the parameters of the command itself: `COMPLAINT_ID`, `CASE_ID`, `RECORDED_AT` and others of
`recording.event_parameters`.
tests/repository/test_recording.py fails for a type of event without an effect.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import Table, Uuid, bindparam, func, literal, select

from mediation_api.database import tables as t
from mediation_api.database.batching import Change, updated
from mediation_api.database.encryption import DataKey, WrappedKey
from mediation_api.database.nesting import AnyColumn
from mediation_api.domain.access import Actor
from mediation_api.domain.events import Event

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream of events. Exactly one of the four ids is set."""

    complaint_id: UUID | None = None
    case_id: UUID | None = None
    mediator_id: UUID | None = None
    report_id: UUID | None = None
    data_key: tuple[UUID, WrappedKey] | None = None
    """The owner of the data key and the wrapped key, if they were read before, so that recording need not read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectContext:
    """What an effect needs besides its event: the stream, who acted and when, and the data key.

    `added` are the parties that the same command adds.
    """

    stream: Stream
    by: Actor
    at: datetime
    key: DataKey | None
    added: frozenset[UUID]

    @property
    def complaint_id(self) -> UUID:
        """The complaint of the stream. Raises TypeError if the stream is of another kind."""
        return _present(self.stream.complaint_id)

    @property
    def case_id(self) -> UUID:
        """The case of the stream. Raises TypeError if the stream is of another kind."""
        return _present(self.stream.case_id)

    @property
    def recorded(self) -> dict[str, object]:
        """The columns `at`, `by_role` and `by`, which most tables have."""
        return {"at": self.at, "by_role": self.by.role, "by": self.by.subject}

    @property
    def data_key(self) -> DataKey:
        """The data key of the stream. Raises TypeError if the event is not listed in `recording.ENCRYPTED`."""
        if self.key is None:
            raise TypeError("an event with private fields needs the data key")
        return self.key

    def encrypted(self, table: Table, row_id: UUID, **texts: str | None) -> dict[str, object]:
        """Return the encrypted columns of a new row."""
        return self.data_key.encrypted_row(table, row_id, texts)


Effect: TypeAlias = Callable[[E, EffectContext], Iterator[Change]]


class Effects:
    """A registry of effects, by type of event."""

    def __init__(self) -> None:
        self.functions: dict[type[Event], Callable[..., Iterator[Change]]] = {}

    def of(self, *types: type[E]) -> Callable[[Effect[E]], Effect[E]]:
        """Register the effect of events of these types."""

        def register(effect: Effect[E]) -> Effect[E]:
            self.functions.update(dict.fromkeys(types, effect))
            return effect

        return register


COMPLAINT_ID: Final = bindparam("of_complaint", type_=Uuid)
"""The complaint of the stream."""
CASE_ID: Final = bindparam("of_case", type_=Uuid)
"""The case of the stream."""
RECORDED_AT: Final = bindparam("recorded_at", type_=t.events.c.at.type)
"""When the command was sent."""


def version_after(case_id: AnyColumn) -> AnyColumn:
    """Return the version of a case after the current command, which all rows and events of the command share.

    The case is locked, and the last statement of the command increments its version, so that until then it is one
    less. A case that is being opened has no row yet, and begins with 1.
    """
    current = select(t.cases.c.version).where(t.cases.c.id == case_id).scalar_subquery()
    return func.coalesce(current, literal(0)) + literal(1)


VERSION: Final = version_after(CASE_ID)
"""The version of the stream's case after the current command."""

_LIVE: Final = t.session_officers.c.live
_CODE_LIVES: Final = t.access_codes.c.ended_at.is_(None)
_OF_ITS_PARTIES: Final = t.access_codes.c.party_id.in_(
    select(t.parties.c.id).where(t.parties.c.complaint_id == COMPLAINT_ID)
)


def released(**which: UUID) -> Change:
    """Cancel the bookings of officers, by `session_id` or `party_id`, so that they can be booked at that time again."""
    return updated(t.session_officers, which, _LIVE, live=False)


def codes_ended(party_id: UUID | None = None) -> Change:
    """End the access codes of a party, or of all of the complaint, and so every token that was issued for one."""
    if party_id is None:
        return updated(t.access_codes, {}, _OF_ITS_PARTIES, _CODE_LIVES, ended_at=RECORDED_AT)
    return updated(t.access_codes, {"party_id": party_id}, _CODE_LIVES, ended_at=RECORDED_AT)


def _present(stream_id: UUID | None) -> UUID:
    if stream_id is None:
        raise TypeError("an event was recorded in a stream of another kind")
    return stream_id
