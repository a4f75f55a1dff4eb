"""Streams of events, and what an effect of an event is given.

A complaint, a case, a mediator and a mandatory report each have a stream of their own. What follows in the tables from
a type of event is an effect: a function that takes an event and yields statements. The effects are in
`effects_of_complaints`, `effects_of_cases` and `effects_of_sessions`; `recording` executes what they yield, in the
order of the events. A type of event without an effect fails tests/repository/test_recording.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Table, Update, Uuid, func, literal, select

from mediation_api.database import tables as t
from mediation_api.database.encryption import DataKey, WrappedKey
from mediation_api.database.nesting import AnyColumn
from mediation_api.domain.access import Actor
from mediation_api.domain.events import Event

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream. Exactly one of the four ids is set."""

    complaint_id: UUID | None = None
    case_id: UUID | None = None
    mediator_id: UUID | None = None
    report_id: UUID | None = None
    data_key: tuple[UUID, WrappedKey] | None = None
    """Of a locked case: the owner of its data key and that key, which the lock read. Recording need not ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What an effect needs to know besides its event: of which stream, by whom and when, and the data key."""

    stream: Stream
    by: Actor
    at: datetime
    key: DataKey | None

    @property
    def complaint_id(self) -> UUID:
        """The complaint whose stream it is. Raises TypeError: it is another stream."""
        return _present(self.stream.complaint_id)

    @property
    def case_id(self) -> UUID:
        """The case whose stream it is. Raises TypeError: it is another stream."""
        return _present(self.stream.case_id)

    @property
    def recorded(self) -> dict[str, object]:
        """When and by whom, as the columns of most tables are called."""
        return {"at": self.at, "by_role": self.by.role, "by": self.by.subject}

    @property
    def version(self) -> AnyColumn:
        """The version of the case that this command makes."""
        return version_after(literal(self.case_id, Uuid))

    @property
    def data_key(self) -> DataKey:
        """The key to encrypt with. Raises TypeError: the event is missing in `recording.ENCRYPTED`."""
        if self.key is None:
            raise TypeError("an event with private fields needs the data key")
        return self.key

    def encrypted(self, table: Table, row_id: UUID, **texts: str | None) -> dict[str, object]:
        """Texts as columns of a new row, encrypted."""
        return self.data_key.encrypted_row(table, row_id, texts)


Effect: TypeAlias = Callable[[E, Recording], Iterator[Executable]]


class Effects:
    """The effects of some types of events."""

    def __init__(self) -> None:
        self.functions: dict[type[Event], Callable[..., Iterator[Executable]]] = {}

    def of(self, *types: type[E]) -> Callable[[Effect[E]], Effect[E]]:
        """Register what follows from events of these types."""

        def register(effect: Effect[E]) -> Effect[E]:
            self.functions.update(dict.fromkeys(types, effect))
            return effect

        return register


def version_after(case_id: AnyColumn) -> AnyColumn:
    """The version of a case that the present command makes; everything that the command records has the same one.

    The case is locked, and its own row is changed by the last statement: until then it holds the version before. A case
    that is being opened has no row yet.
    """
    before = select(t.cases.c.version).where(t.cases.c.id == case_id).scalar_subquery()
    return func.coalesce(before, literal(0)) + literal(1)


def released(which: ColumnElement[bool]) -> Update:
    """Make officers free again at the time of a session."""
    return t.session_officers.update().where(which, t.session_officers.c.live).values(live=False)


def codes_ended(of: ColumnElement[bool], at: datetime) -> Update:
    """End the access codes of parties, and with them every token that was given for one."""
    codes = t.access_codes
    its_own = codes.c.party_id.in_(select(t.parties.c.id).where(of))
    return codes.update().where(its_own, codes.c.ended_at.is_(None)).values(ended_at=at)


def _present(stream_id: UUID | None) -> UUID:
    if stream_id is None:
        raise TypeError("an event was recorded in a stream of another kind")
    return stream_id
