"""Compare the operative tables with the events, row by row and column by column.

Events are in the audit chain; the rows that they led to (a standing, a consent, a session, …) are not. So the events of
each subject (a complaint with its cases, a mediator, a mandatory report) are replayed (audit_replay.py), and the rows
are compared with the result. One statement streams them by subject, so that memory does not grow with their number.

Events contain no private values. Of an encrypted column they state only whether it is empty. That its value can be
decrypted proves that it was encrypted with the data key, for this row and column. Also compared are the hashes of the
texts of agreements and disclosures, and of the contents of mandatory reports.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    text,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.data_keys import decrypted, owner_of
from mediation_api.database.encryption import BlindIndex, Decrypted, Keyring, keyring
from mediation_api.database.key_rotation import ENCRYPTED_COLUMNS
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect
from mediation_api.domain import events
from mediation_api.domain.audit_chain import ChainFault, Flaw
from mediation_api.domain.employee_numbers import folded
from mediation_api.domain.events import Event
from mediation_api.domain.texts import text_hash
from mediation_api.domain.values import UNREADABLE
from mediation_api.repository.audit_ranges import EVENT_STREAM, EVERYTHING, NOBODY, IdRange
from mediation_api.repository.audit_replay import COMPARED_COLUMNS, RecordedEvent, Replay, RowKey, row_key
from mediation_api.repository.on_file import has_value, is_private

_EVENTS: Final = "events"
_LINE: Final = "line_"
_NOBODY: Final[AnyColumn] = cast(literal(str(NOBODY)), Uuid)


async def unlike_events(connection: AsyncConnection, ids: IdRange = EVERYTHING) -> AsyncGenerator[ChainFault]:
    """Yield a fault for each row that differs from the events, and for each text that cannot be verified.

    A row differs, is missing, or was written by no event. The connection must be in a REPEATABLE READ transaction,
    since there is more than one statement.
    """
    for find in (_unlike_replay, _unlike_shared, _undecryptable, _unhashed):
        async with aclosing(find(connection, ids)) as faults:
            async for fault in faults:
                yield fault


@asynccontextmanager
async def _read(connection: AsyncConnection, statement: AnySelect) -> AsyncIterator[AsyncIterator[AnyRow]]:
    """Stream the rows of a statement. The cursor is closed, also if the caller stops early."""
    rows = await connection.stream(statement)
    try:
        yield rows.mappings()
    finally:
        await rows.close()


# ── the events and the rows of each subject ────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Subject:
    """A complaint with its cases, a mediator, or a mandatory report: its events replayed, and its rows."""

    id: UUID
    replay: Replay = field(default_factory=Replay)
    rows: list[tuple[str, RowKey, Mapping[str, object]]] = field(default_factory=list)

    def take(self, name: str, body: str) -> Iterator[ChainFault]:
        """Replay an event, or collect a row, that PostgreSQL returned as JSON."""
        try:
            values = json.loads(body)
        except RecursionError:  # nested deeper than the service would write it
            yield ChainFault(Flaw.UNLIKE_EVENT, self.id, 0, name)
            return
        if name == _EVENTS:
            yield from self.replay.follow(RecordedEvent(**{**values, "stream": UUID(values["stream"])}))
        else:
            self.rows.append((name, row_key(t.metadata.tables[name], values), values))

    def differences(self) -> Iterator[ChainFault]:
        for table, key, row in self.rows:
            yield from self.replay.compare(self.id, table, key, row)
        yield from self.replay.missing()


async def _unlike_replay(connection: AsyncConnection, ids: IdRange) -> AsyncGenerator[ChainFault]:
    subject: _Subject | None = None
    async with _read(connection, _events_and_rows(ids)) as rows:
        async for row in rows:
            if subject is None or subject.id != row["subject"]:
                for fault in () if subject is None else subject.differences():
                    yield fault
                subject = _Subject(row["subject"])
            for fault in subject.take(row["name"], row["body"]):
                yield fault
    for fault in () if subject is None else subject.differences():
        yield fault


@lru_cache(maxsize=2)  # an office with fewer streams than a range has two, and takes less time to verify than this
def _events_and_rows(ids: IdRange) -> AnySelect:
    """Select the events of each subject in their order, followed by the rows of its tables."""
    rows = (part for name in COMPARED_COLUMNS for part in _rows(t.metadata.tables[name], ids))
    listed = union_all(*_events(ids), *rows).subquery("listed").c
    # As text: a value that the service did not write may be one that the driver cannot decode.
    return select(listed.subject, listed.name, cast(listed.body, Text).label("body")).order_by(
        listed.subject, listed.position
    )


def _events(ids: IdRange) -> Iterator[AnySelect]:
    e = t.events.c
    of_case = t.cases.alias("of_case").c
    complaint = select(of_case.complaint_id).where(of_case.id == e.case_id).scalar_subquery()
    subject = func.coalesce(e.report_id, complaint, e.case_id, e.complaint_id, e.mediator_id, _NOBODY)
    plain = (e.sequence, e.kind, e.complaint_id, e.case_id, e.mediator_id, e.version, e.at, e.by_role, e.by, e.data)
    body = _object({"stream": func.coalesce(EVENT_STREAM, _NOBODY), **{column.name: column for column in plain}})
    statement = select(
        subject.label("subject"),
        literal(_EVENTS, String).label("name"),
        e.position.label("position"),
        body.label("body"),
    )
    # By the stream, for which there is an index: the stream of a case has the case's complaint as its subject.
    of_other = or_(e.report_id.is_not(None), ~select(of_case.id).where(of_case.id == e.case_id).exists())
    cases = select(t.cases.c.id).where(ids.holds(t.cases.c.complaint_id))
    yield statement.where(ids.holds(EVENT_STREAM), of_other)
    yield statement.where(EVENT_STREAM.in_(cases), e.report_id.is_(None))
    if ids.has_nobody:
        yield statement.where(EVENT_STREAM.is_(None))


def _rows(table: Table, ids: IdRange) -> Iterator[AnySelect]:
    columns: dict[str, AnyColumn] = {column.name: _plain(column) for column in COMPARED_COLUMNS[table.name]}
    if table is t.access_codes:
        lookup, digest = table.c.lookup, table.c.digest
        whole = func.convert_to(lookup, "UTF8").op("||")(digest)
        columns |= dict.fromkeys(("fingerprint", "lookup", "digest"), func.encode(func.sha256(whole), "hex"))
    # Rows without a subject are compared with no events, and so reported.
    subject = func.coalesce(_subject(table, table), _NOBODY)
    statement = select(
        subject.label("subject"),
        literal(table.name, String).label("name"),
        cast(null(), BigInteger).label("position"),
        _object(columns).label("body"),
    )
    yield statement.where(_within(table, ids))
    if ids.has_nobody:
        yield statement.where(~_has_subject(table, table))


def _plain(column: Column[object]) -> AnyColumn:
    """Return the form in which the replay has the value of a column."""
    if is_private(column):
        return has_value(column)
    if isinstance(column.type, TSTZRANGE):
        ends = (func.extract("epoch", func.lower(column)), func.extract("epoch", func.upper(column)))
        bounds: AnyColumn = func.jsonb_build_array(*ends, func.lower_inc(column), func.upper_inc(column))
        return bounds
    return column


def _object(columns: Mapping[str, AnyColumn]) -> AnyColumn:
    named = (part for name, column in columns.items() for part in (literal(name, Text), column))
    return type_coerce(func.jsonb_build_object(*named), JSONB)


_SUBJECTS: Final = (t.complaints, t.mediators, t.mandatory_reports)


def _subject(table: Table, alias: FromClause) -> AnyColumn:
    """Return the complaint, mediator or report that a row belongs to, by its foreign keys."""
    own = _own_subject(table, alias)
    if own is not None:
        return own
    parent, same = _parent(table)
    above = parent.alias()
    return select(_subject(parent, above)).where(*_is_parent(above, alias, same)).scalar_subquery()


def _has_subject(table: Table, alias: FromClause) -> ColumnElement[bool]:
    """Whether there is a complaint, mediator or report that a row belongs to."""
    own = _own_subject(table, alias)
    if own is not None:
        return own.is_not(None)
    parent, same = _parent(table)
    above = parent.alias()
    return select(literal(1)).where(*_is_parent(above, alias, same), _has_subject(parent, above)).exists()


def _within(table: Table, ids: IdRange) -> ColumnElement[bool]:
    """Whether the subject of a row is in the range."""
    own = _own_subject(table, table)
    if own is not None:
        return ids.holds(own)
    parent, same = _parent(table)
    keys = select(*(parent.c[name] for name in same.values())).where(_within(parent, ids))
    return tuple_(*(table.c[name] for name in same)).in_(keys)


def _own_subject(table: Table, alias: FromClause) -> AnyColumn | None:
    """Return the column of a row that names its subject; None if only its parent has one."""
    if "complaint_id" in table.c:
        return alias.c.complaint_id
    return alias.c.id if table in _SUBJECTS or not table.foreign_key_constraints else None


def _parent(table: Table) -> tuple[Table, Mapping[str, str]]:
    """Return the table above, and its columns by the columns that refer to them."""
    if "case_id" in table.c and _is_indexed(table.c.case_id):  # ranges are found by the index
        return t.cases, {"case_id": "id"}
    # Not by the mediator, and not by a column that may be NULL.
    key = min(
        (
            each
            for each in table.foreign_key_constraints
            if each.referred_table is not t.mediators and not any(column.nullable for column in each.columns)
        ),
        key=lambda each: str(each.name),
    )
    return key.referred_table, {element.parent.name: element.column.name for element in key.elements}


def _is_indexed(column: Column[object]) -> bool:
    """Whether there is an index of all rows by a column."""
    keys = (each for each in column.table.constraints if isinstance(each, PrimaryKeyConstraint | UniqueConstraint))
    whole = (each for each in column.table.indexes if each.dialect_options["postgresql"]["where"] is None)
    return any(next(iter(each.columns), None) is column for each in (*keys, *whole))


def _is_parent(above: FromClause, alias: FromClause, same: Mapping[str, str]) -> Iterator[ColumnElement[bool]]:
    return (above.c[theirs] == alias.c[ours] for ours, theirs in same.items())


async def _unlike_shared(connection: AsyncConnection, ids: IdRange) -> AsyncGenerator[ChainFault]:
    """Compare booked officers, and what no single subject has: disclosures, and parent tables that must be empty."""
    for statement in (_unlike_booked(ids), *(_unlike_disclosures_and_parents() if ids.has_nobody else ())):
        async with _read(connection, statement) as rows:
            async for row in rows:
                yield ChainFault(Flaw.UNLIKE_EVENT, row["stream"], 0, row["place"])


def _unlike_booked(ids: IdRange) -> AnySelect:
    booked, of_party = t.session_officers.c, t.parties.c
    other_number = booked.employee_number_index.is_distinct_from(of_party.employee_number_index)
    return (
        select(of_party.complaint_id.label("stream"), literal(str(booked.employee_number_index)).label("place"))
        .join(t.parties, of_party.id == booked.party_id)
        .where(other_number, ids.holds(of_party.complaint_id))
    )


def _unlike_disclosures_and_parents() -> Iterator[AnySelect]:
    data = t.events.c.data
    named = data["disclosure_sha256"].astext
    first = (
        select(
            named.label("sha256"),
            data["disclosure_version"].astext.label("version"),
            data["disclosure_language"].astext.label("language"),
        )
        .ext(distinct_on(named))
        .where(t.events.c.kind.in_([events.ConsentGiven.kind, events.GuardianConsented.kind]))
        .order_by(named, t.events.c.position)
        .subquery("first")
        .c
    )
    d = t.disclosures.c
    hashed: AnyColumn = func.encode(func.sha256(func.convert_to(d.body, "UTF8")), "hex")
    some_case = select(func.min(cast(t.consents.c.case_id, Text))).where(t.consents.c.disclosure_sha256 == d.sha256)
    stream = func.coalesce(cast(some_case.scalar_subquery(), Uuid), _NOBODY).label("stream")
    same = (first.sha256 == d.sha256, first.version == d.version, first.language == d.language)
    is_other = (hashed != d.sha256) | ~select(first.sha256).where(*same).exists()
    yield select(stream, literal(t.disclosures.name).label("place")).where(is_other)
    # A query of a parent table also returns the rows of its child, which `tableoid` tells apart.
    for parent, name, is_own in (
        (t.visible_parties, "id", text("visible_parties.tableoid = 'visible_parties'::regclass")),
        (t.visible_participants, "case_id", text("visible_participants.tableoid = 'visible_participants'::regclass")),
    ):
        yield select(parent.c[name].label("stream"), literal(parent.name).label("place")).where(is_own)


# ── encrypted columns ──────────────────────────────────────────────────────────────────────────────────────────────


async def _undecryptable(connection: AsyncConnection, ids: IdRange) -> AsyncGenerator[ChainFault]:
    """Yield a fault for each row with a value that cannot be decrypted, or a blind index that does not match it."""
    ring = keyring(connection.dialect)
    for table, names in ENCRYPTED_COLUMNS.items():
        async with _read(connection, _decrypted_rows(table).where(_within(table, ids))) as rows:
            async for row in rows:
                if any(row[name] == UNREADABLE for name in names) or _is_other_number(ring, row):
                    yield ChainFault(Flaw.NOT_ENCRYPTED, row["stream"], 0, table.name)


async def _unhashed(connection: AsyncConnection, ids: IdRange) -> AsyncGenerator[ChainFault]:
    """Yield a fault for each text that does not match the hash in its event."""
    for statement in (_texts_of_agreements(ids), _contents_of_reports(ids)):
        async with _read(connection, statement) as rows:
            async for row in rows:
                lines = (row[name] for name in row if name.startswith(_LINE))
                if text_hash("\n".join(lines)) != row["sha256"]:
                    yield ChainFault(Flaw.UNLIKE_EVENT, row["stream"], row["sequence"])


def _is_other_number(ring: Keyring, row: AnyRow) -> bool:
    number, index = row.get("employee_number"), row.get("employee_number_index")
    if isinstance(index, str) and not index.startswith(f"{ring.search_mark}."):
        return False  # of another search secret: it finds no row, and `keys status` counts it
    return index != (ring.hashed(folded(number)) if isinstance(number, str) and number else None)


@cache
def _decrypted_rows(table: Table) -> AnySelect:
    owner = table.c.id if table is t.mandatory_reports else owner_of(table)
    texts = (
        type_coerce(decrypted(table.c[name]), Decrypted(table.name, name, UNREADABLE)).label(name)
        for name in ENCRYPTED_COLUMNS[table]
    )
    index = [type_coerce(column, String) for column in table.c if isinstance(column.type, BlindIndex)]
    return select(owner.label("stream"), *texts, *index)


def _texts_of_agreements(ids: IdRange) -> AnySelect:
    """Select the lines that `texts.signed_hash` hashes for each agreement, and the hash in its event.

    A text that cannot be decrypted does not match its hash.
    """
    agreements = t.agreements.c
    text_line = type_coerce(decrypted(agreements.text), Decrypted(t.agreements.name, "text"))
    languages = func.concat("languages: ", func.array_to_string(agreements.languages, ", "))
    confidential = func.concat("terms_confidential: ", cast(agreements.terms_confidential, Text))
    lines = (languages, confidential, literal(""), text_line)
    made = _hashed(events.AgreementMade, "agreement_id", t.agreements, agreements.case_id, *lines)
    return made.where(agreements.text.is_not(None), ids.holds(agreements.case_id))


def _contents_of_reports(ids: IdRange) -> AnySelect:
    """Select the contents of each mandatory report, and the hash in its event."""
    reports = t.mandatory_reports.c
    disclosed_at = cast(func.trunc(func.extract("epoch", reports.disclosed_at) * 1_000_000), Text)
    lines = (
        reports.category,
        reports.recipient,
        decrypted(reports.agency),
        decrypted(reports.legal_basis),
        disclosed_at,
    )
    proposed = _hashed(events.MandatoryReportProposed, "report_id", t.mandatory_reports, reports.id, *lines)
    return proposed.where(ids.holds(reports.id))


def _hashed(kind: type[Event], name_of_id: str, table: Table, stream: AnyColumn, *lines: AnyColumn) -> AnySelect:
    """Select the stream, sequence and hash of each event of this kind, and the lines that were hashed."""
    event = t.events.c
    same = and_(stream == EVENT_STREAM, event.data[name_of_id].astext == cast(table.c.id, Text))
    numbered = (line.label(f"{_LINE}{number}") for number, line in enumerate(lines))
    return (
        select(EVENT_STREAM.label("stream"), event.sequence, event.data["sha256"].astext.label("sha256"), *numbered)
        .select_from(t.events.join(table, same))
        .where(event.kind == kind.kind)
    )
