"""The audit chain: each event carries a hash of itself and of the link before it, so that tampering is detected.

The events of one complaint, case, mediator or mandatory report are one stream, numbered from 1. The database links
each event as it is written (migrations/sql/link_event.sql); this module computes the same links independently, for
verification.

**What is linked**, format 1: SHA-256 over this JSON list in UTF-8,

    [1, previous link, stream, sequence, position, id, kind, complaint, case, mediator, party, version, at, role,
     subject, data]

The stream is the id of the report, or else of the case, the complaint or the mediator. An event about a report has null
for all four subjects, so that it is in no case's stream. The version is the one of the case that the command made, and
null elsewhere. Links are lower-case hex, "" before the first. Ids are lower-case UUIDs, or null. `at` is in whole
microseconds since 1970 (UTC). The list is written as PostgreSQL prints jsonb: a blank after each comma and colon, the
names of an object by their length in bytes and then bytewise, control characters, quotes and backslashes escaped,
nothing else. Numbers are integers. Another format would begin with another number.

**What events contain.** Ids, codes, dates, hashes, names of fields, and the token subject of whoever recorded them;
never a name, narrative, reason, place or text (`events.Private`, and a test). What may be erased is in other tables, so
that an erasure leaves the chain intact.

**What verification detects.** An event that was edited, deleted, inserted, reordered or moved to another stream does
not fit its link. A truncated or missing stream does not match its head (the number of events and the last link), which
is stored separately. Somebody who can change all of that can also compute the links anew: only heads that were signed,
exported and kept by others reveal it, and only up to the export. The chain cannot reveal an event that somebody with
full access appends exactly as the service would have written it.
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
"""The previous link of the first event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEntry:
    """An event as it is stored, with its place in the chain. No field is trusted.

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
    """The end of a stream: the number of its events, and the last link."""

    stream: UUID
    sequence: int
    link: bytes


@dataclass(frozen=True, slots=True)
class Horizon:
    """The last event that was written before all others were, of any stream: its position, and its link.

    Every event up to this position is committed and visible. 0 and no link if there is none yet.
    """

    position: int = 0
    link: bytes = START


class Flaw(StrEnum):
    """What is wrong at one place of a stream."""

    CHANGED = "changed"
    """The event is not what was linked, or does not follow the one before it."""
    MISSING = "missing"
    """Events before this one are gone."""
    REPEATED = "repeated"
    """There is another event with this sequence number."""
    UNLINKED = "unlinked"
    """The event has no place in the chain."""
    CUT_OFF = "cut-off"
    """The stream ends before its head."""
    BEYOND_HEAD = "beyond-head"
    """The stream goes on after its head, or the head is gone."""
    HEAD_DIFFERS = "head-differs"
    """The last link is not that of the head."""
    HEADLESS = "headless"
    """A complaint, case, mediator or mandatory report has no stream, although each begins with an event."""
    UNLIKE_EVENT = "unlike-event"
    """A row of the operative tables differs from the events, has none, or is missing."""
    NOT_ENCRYPTED = "not-encrypted"
    """A column has a text that is not encrypted, or not under the key of this service. It is never returned."""
    UNLIKE_EXPORT = "unlike-export"
    """The chain was rewritten: it has another link where the exported head was."""
    NOT_AS_FAR_AS_EXPORT = "not-as-far-as-export"
    """The stream is missing, or ends before the exported head."""
    NOT_IN_EXPORT = "not-in-export"
    """The event was added under a position that had been exported before, when there was no such event."""


@dataclass(frozen=True, slots=True)
class ChainFault:
    """One place of one stream, and what is wrong there. It contains no personal data.

    `place` is the table, or the column, that differs from the events.
    """

    flaw: Flaw
    stream: UUID
    sequence: int
    place: str = ""

    def __str__(self) -> str:
        """Return one line: the stream, the sequence number, the flaw, and the table or column."""
        return f"{self.stream} {self.sequence} {self.flaw} {self.place}".rstrip()


def link(previous: bytes, entry: ChainEntry) -> bytes:
    """Return the link of an event that follows the link `previous`.

    Raises:
        ValueError: the data is not what the service writes, such as a fraction.
        RecursionError: the data is nested too deep.
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
    """Return an object with its names in the order of jsonb."""
    return dict(sorted(pairs, key=lambda pair: (len(pair[0].encode()), pair[0].encode())))


def _no_fraction(text: str) -> Never:
    raise ValueError(text)


class Examination:
    """Verify every stream from its first link to its head, and against the heads that were exported.

    Entries come ordered by stream and then by sequence, and so does `exported`, which may have several heads of one
    stream. Only the last link of one stream is kept, so that memory does not grow with the number of events.
    """

    def __init__(self, exported: Iterator[ChainHead], *, exported_to: int | None = None) -> None:
        """Take the exported heads, and the position up to which they include every event, if any were exported."""
        self._exported = exported
        self._exported_to = exported_to
        self._next_exported = next(exported, None)
        self._stream: UUID | None = None
        # Of the current stream, set by `_enter`.
        self._head: ChainHead | None
        self._sequence: int
        self._link: bytes
        self.events = 0
        self.streams = 0

    def follow(self, stream: UUID, head: ChainHead | None, entry: ChainEntry | None) -> Iterator[ChainFault]:
        """Check the next entry of `stream`, whose head is `head`; `entry` is None for a head without events."""
        if stream != self._stream:
            yield from self._leave()
            yield from self._enter(stream, head)
        if entry is not None:
            self.events += 1
            yield from self._take(entry)

    def finish(self) -> Iterator[ChainFault]:
        """Check the last stream, and the exported heads after it."""
        yield from self._leave()
        while self._next_exported is not None:
            yield from self._not_as_far(self._next_exported.stream)

    def _enter(self, stream: UUID, head: ChainHead | None) -> Iterator[ChainFault]:
        while self._next_exported is not None and self._next_exported.stream < stream:
            yield from self._not_as_far(self._next_exported.stream)
        self._stream, self._head, self._sequence, self._link = stream, head, 0, START
        self.streams += 1

    def _not_as_far(self, stream: UUID, reached: int = 0) -> Iterator[ChainFault]:
        """Report if there are exported heads of a stream after the sequence number that it reached."""
        last = None
        while (exported := self._next_exported) is not None and exported.stream == stream:
            last, self._next_exported = exported, next(self._exported, None)
        if last is not None:
            yield ChainFault(Flaw.NOT_AS_FAR_AS_EXPORT, stream, reached or last.sequence)

    def _take(self, entry: ChainEntry) -> Iterator[ChainFault]:
        if entry.sequence is None or entry.link is None:
            yield ChainFault(Flaw.UNLINKED, entry.stream, self._sequence)
            return
        if entry.sequence <= self._sequence:
            yield ChainFault(Flaw.REPEATED, entry.stream, entry.sequence)
            return
        if entry.sequence > self._sequence + 1:
            # Without the missing event's link, this one's cannot be checked.
            yield ChainFault(Flaw.MISSING, entry.stream, entry.sequence)
        elif not fits(self._link, entry):
            yield ChainFault(Flaw.CHANGED, entry.stream, entry.sequence)
        # Continue from the stored link, so that one edit is one fault and not one for each event after it.
        self._sequence, self._link = entry.sequence, entry.link
        yield from self._compare(ChainHead(entry.stream, entry.sequence, entry.link), entry.position)

    def _compare(self, head: ChainHead, position: int) -> Iterator[ChainFault]:
        """Compare a link with the exported heads of its stream."""
        is_exported = self._exported_to is None or position > self._exported_to
        while (exported := self._next_exported) is not None and exported.stream == head.stream:
            is_exported = True
            if exported.sequence > head.sequence:
                break
            if exported.sequence == head.sequence and exported.link != head.link:
                yield ChainFault(Flaw.UNLIKE_EXPORT, head.stream, head.sequence)
            self._next_exported = next(self._exported, None)
        if not is_exported:
            yield ChainFault(Flaw.NOT_IN_EXPORT, head.stream, head.sequence)

    def _leave(self) -> Iterator[ChainFault]:
        if self._stream is None:
            return
        end = ChainHead(self._stream, self._sequence, self._link)
        if self._head is None or self._head.sequence < end.sequence:
            yield ChainFault(Flaw.BEYOND_HEAD, self._stream, end.sequence)
        elif self._head.sequence > end.sequence:
            yield ChainFault(Flaw.CUT_OFF, self._stream, end.sequence)
        elif self._head != end:
            yield ChainFault(Flaw.HEAD_DIFFERS, self._stream, end.sequence)
        yield from self._not_as_far(self._stream, end.sequence)


def fits(previous: bytes, entry: ChainEntry) -> bool:
    """Return whether the stored link of `entry` is the one that follows `previous`."""
    try:
        return link(previous, entry) == entry.link
    except (ValueError, RecursionError):
        return False
