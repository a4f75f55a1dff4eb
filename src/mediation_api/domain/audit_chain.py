"""The chain of events: each event carries a hash of itself and of the link before it, so that what is bent shows.

The events of one complaint, case, mediator or mandatory report are one stream, numbered from 1. The database links a
event as it is written (migrations, `link_event`); this file computes the same links on its own, for whoever verifies.

**What is linked**, format 1: SHA-256 over this JSON list in UTF-8,

    [1, previous link, stream, sequence, position, id, kind, complaint, case, mediator, party, version, at, role,
     subject, data]

The stream is the report's id, or else the case's, the complaint's, the mediator's. An event about a report names no
other subject, so that it stands in no case's stream. The version is that of the case, which the command made; null
elsewhere. Links are lower-case hex, "" before the first. Ids are lower-case UUIDs, or null. `at` is in whole
microseconds since 1970 (UTC). The list is written as PostgreSQL prints jsonb: a blank after each comma and colon, the
names of an object by their length in bytes and then bytewise, control characters, quotes and backslashes escaped,
nothing else. There are no fractions: numbers are integers. Another format would begin with another number.

**What a link may hold.** An event holds ids, codes, dates, hashes and names of fields; who recorded it is a token's
subject. No name, narrative, reason, place or text is ever in one (`events.Private`, and a test). So the link covers the
event as it is: what is erased one day stands in other tables, and the chain does not notice.

**What is found.** An edit, a deletion, an insertion, another order, an event moved to another stream: the links do not
fit. A tail that was cut off, a whole stream that is gone: the head (how many events, and the last link) is kept apart.
Who may do all of that may also compute the links anew. Only heads that were signed, exported and kept by others show
it, and only for what was there at the export. What somebody with all rights appends as the service would have written
it, no chain shows.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, Never
from uuid import UUID

FORMAT: Final = 1
START: Final = b""
"""What stands in the place of a link before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEntry:
    """An event as it is stored, with its place in the chain. Nothing in it is trusted.

    `at` is a number of microseconds since 1970 and `data` is JSON, both as text; `sequence` and `link` are None where
    the event was never linked.
    """

    stream: UUID
    sequence: int | None
    link: bytes | None
    position: int
    id: UUID
    kind: str
    complaint_id: UUID | None
    case_id: UUID | None
    mediator_id: UUID | None
    party_id: UUID | None
    version: int | None
    at: str
    by_role: str
    by: str
    data: str


@dataclass(frozen=True, slots=True)
class ChainHead:
    """How far a stream goes: the number of its events, and the last link."""

    stream: UUID
    sequence: int
    link: bytes


class Flaw(StrEnum):
    """What is wrong with a stream at one place."""

    CHANGED = "changed"
    """The event is not what was linked, or does not follow the one before it."""
    MISSING = "missing"
    """Events before this one are gone."""
    REPEATED = "repeated"
    """There is another event in this place."""
    UNLINKED = "unlinked"
    """The event has no place in the chain."""
    CUT_OFF = "cut-off"
    """The stream ends before its head."""
    BEYOND_HEAD = "beyond-head"
    """The stream goes on after its head, or the head is gone."""
    HEAD_DIFFERS = "head-differs"
    """The last link is not that of the head."""
    HEADLESS = "headless"
    """A complaint, case, mediator or mandatory report has no stream, though it began with an event."""
    UNLIKE_EVENT = "unlike-event"
    """A row of the operative tables is not what the events say, stands without one, or is missing."""
    UNSEALED = "unsealed"
    """A text stands there unencrypted, or encrypted by nobody who had the key: it is shown to nobody."""
    UNLIKE_EXPORT = "unlike-export"
    """The chain was rewritten: it holds another link in the place of the exported one."""
    NOT_AS_FAR_AS_EXPORT = "not-as-far-as-export"
    """The stream is gone, or ends before the place that was exported."""


@dataclass(frozen=True, slots=True)
class ChainFault:
    """One place of one stream, and what is wrong there. It names nobody.

    `place` is the table, or the column, that differs from the events.
    """

    flaw: Flaw
    stream: UUID
    sequence: int
    place: str = ""

    def __str__(self) -> str:
        """One line: the stream, the place in it, the flaw, and where it shows."""
        return f"{self.stream} {self.sequence} {self.flaw} {self.place}".rstrip()


def link(previous: bytes, entry: ChainEntry) -> bytes:
    """The link of an event that follows the link `previous`.

    Raises:
        ValueError: the event holds what no event holds, such as a fraction.
        RecursionError: the same, nested very deep.
    """
    body = json.loads(entry.data, object_pairs_hook=_in_order, parse_float=_no_fraction)
    subject = (entry.complaint_id, entry.case_id, entry.mediator_id, entry.party_id)
    listed = [
        FORMAT,
        previous.hex(),
        str(entry.stream),
        entry.sequence,
        entry.position,
        str(entry.id),
        entry.kind,
        *(None if each is None else str(each) for each in subject),
        entry.version,
        int(entry.at),
        entry.by_role,
        entry.by,
        body,
    ]
    return sha256(json.dumps(listed, ensure_ascii=False).encode()).digest()


def _in_order(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object in the order in which jsonb keeps its names."""
    return dict(sorted(pairs, key=lambda pair: (len(pair[0].encode()), pair[0].encode())))


def _no_fraction(text: str) -> Never:
    raise ValueError(text)


class Examination:
    """Follows every stream from its first link to its head, and past the heads that were exported.

    Give it the entries by stream, and by sequence within one; `exported` comes by stream as well. It keeps one stream's
    last link, and nothing else, so that it may read any number of events.
    """

    def __init__(self, exported: Iterator[ChainHead]) -> None:
        self._exported = exported
        self._next_exported = next(exported, None)
        self._stream: UUID | None = None
        # Of the stream that is followed: set as it is entered.
        self._head: ChainHead | None
        self._promised: ChainHead | None
        self._sequence: int
        self._link: bytes
        self.events = 0
        self.streams = 0

    def follow(self, stream: UUID, head: ChainHead | None, entry: ChainEntry | None) -> Iterator[ChainFault]:
        """Take the next entry of `stream`, whose head is `head`; no entry where a head stands alone."""
        if stream != self._stream:
            yield from self._leave()
            yield from self._enter(stream, head)
        if entry is not None:
            self.events += 1
            yield from self._take(entry)

    def finish(self) -> Iterator[ChainFault]:
        """Take the end of all streams."""
        yield from self._leave()
        yield from self._gone_before(None)

    def _enter(self, stream: UUID, head: ChainHead | None) -> Iterator[ChainFault]:
        yield from self._gone_before(stream)
        self._promised = None
        if self._next_exported is not None and self._next_exported.stream == stream:
            self._promised = self._next_exported
            self._next_exported = next(self._exported, None)
        self._stream, self._head, self._sequence, self._link = stream, head, 0, START
        self.streams += 1

    def _gone_before(self, stream: UUID | None) -> Iterator[ChainFault]:
        """What was exported of streams that are not there any more."""
        while self._next_exported is not None and (stream is None or self._next_exported.stream < stream):
            yield ChainFault(Flaw.NOT_AS_FAR_AS_EXPORT, self._next_exported.stream, self._next_exported.sequence)
            self._next_exported = next(self._exported, None)

    def _take(self, entry: ChainEntry) -> Iterator[ChainFault]:
        if entry.sequence is None or entry.link is None:
            yield ChainFault(Flaw.UNLINKED, entry.stream, self._sequence)
            return
        if entry.sequence <= self._sequence:
            yield ChainFault(Flaw.REPEATED, entry.stream, entry.sequence)
            return
        if entry.sequence > self._sequence + 1:
            # What is gone took its link along: this event's own cannot be computed, and it was said already.
            yield ChainFault(Flaw.MISSING, entry.stream, entry.sequence)
        elif not fits(self._link, entry):
            yield ChainFault(Flaw.CHANGED, entry.stream, entry.sequence)
        # Go on from what is stored: one edit is one problem, and not one for each event after it.
        self._sequence, self._link = entry.sequence, entry.link
        promised = self._promised
        if promised is not None and promised.sequence == entry.sequence and promised.link != entry.link:
            yield ChainFault(Flaw.UNLIKE_EXPORT, entry.stream, entry.sequence)

    def _leave(self) -> Iterator[ChainFault]:
        if self._stream is None:
            return
        scope = ChainHead(self._stream, self._sequence, self._link)
        if self._head is None or self._head.sequence < scope.sequence:
            yield ChainFault(Flaw.BEYOND_HEAD, self._stream, scope.sequence)
        elif self._head.sequence > scope.sequence:
            yield ChainFault(Flaw.CUT_OFF, self._stream, scope.sequence)
        elif self._head != scope:
            yield ChainFault(Flaw.HEAD_DIFFERS, self._stream, scope.sequence)
        if self._promised is not None and self._promised.sequence > scope.sequence:
            yield ChainFault(Flaw.NOT_AS_FAR_AS_EXPORT, self._stream, scope.sequence)


def fits(previous: bytes, entry: ChainEntry) -> bool:
    """Whether the stored link of `entry` is the one that follows `previous`."""
    try:
        return link(previous, entry) == entry.link
    except (ValueError, RecursionError):
        return False
