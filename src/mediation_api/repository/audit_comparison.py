"""Compare the operative tables with the events, row by row and column by column.

Events are in the audit chain; the rows that they led to (a standing, a consent, a session, …) are not. So the events of
each subject (a complaint with its cases, a mediator, a mandatory report) are replayed (audit_replay.py), and the rows
are compared with the result. One statement streams them by subject, so that memory does not grow with their number.

Events contain no private values. Of an encrypted column they state only whether it is empty. That its value can be
decrypted proves that it was encrypted with the data key, for this row and column. Also compared are the hashes of the
texts of agreements and disclosures, and of the contents of mandatory reports.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    FromClause,
    RowMapping,
    String,
    Table,
    Text,
    Uuid,
    cast,
    func,
    literal,
    null,
    select,
    text,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.data_keys import decrypted, owner_of
from mediation_api.database.encryption import BlindIndex, Decrypted, Keyring, keyring
from mediation_api.database.key_rotation import ENCRYPTED_COLUMNS
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.domain import events
from mediation_api.domain.audit_chain import ChainFault, Flaw
from mediation_api.domain.employee_numbers import folded
from mediation_api.domain.events import Event
from mediation_api.domain.texts import text_hash
from mediation_api.domain.values import UNREADABLE
from mediation_api.repository.audit_replay import COMPARED_COLUMNS, RecordedEvent, Replay, RowKey, row_key
from mediation_api.repository.on_file import has_value, is_private

_EVENTS: Final = "events"
_LINE: Final = "line_"
_NOBODY: Final[AnyColumn] = cast(literal(str(UUID(int=0))), Uuid)
"""The subject of rows that no longer have one."""


async def unlike_events(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    """Yield a fault for each row that differs from the events, and for each text that cannot be verified.

    A row differs, is missing, or was written by no event. The connection must be in a REPEATABLE READ transaction,
    since there is more than one statement.
    """
    checks = (_unlike_replay(connection), _unlike_shared(connection), _undecryptable(connection), _unhashed(connection))
    for check in checks:
        async with aclosing(check) as faults:
            async for fault in faults:
                yield fault


@asynccontextmanager
async def _read(connection: AsyncConnection, statement: AnySelect) -> AsyncIterator[AsyncIterator[RowMapping]]:
    """Stream the rows of a statement. The cursor is closed, also if the caller stops early."""
    rows = await connection.stream(statement)
    try:
        yield rows.mappings()
    finally:
        await rows.close()


@cache
def _once(statements: Callable[[], Iterator[AnySelect]]) -> tuple[AnySelect, ...]:
    """Build statements once: building one takes longer than running it."""
    return tuple(statements())


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


async def _unlike_replay(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    subject: _Subject | None = None
    async with _read(connection, _events_and_rows()) as rows:
        async for row in rows:
            if subject is None or subject.id != row["subject"]:
                for fault in () if subject is None else subject.differences():
                    yield fault
                subject = _Subject(row["subject"])
            for fault in subject.take(row["name"], row["body"]):
                yield fault
    for fault in () if subject is None else subject.differences():
        yield fault


@cache
def _events_and_rows() -> AnySelect:
    """Select the events of each subject in their order, followed by the rows of its tables."""
    rows = (_rows(t.metadata.tables[name]) for name in COMPARED_COLUMNS)
    listed = union_all(_events(), *rows).subquery("listed").c
    # As text: a value that the service did not write may be one that the driver cannot decode.
    return select(listed.subject, listed.name, cast(listed.body, Text).label("body")).order_by(
        listed.subject, listed.position
    )


def _events() -> AnySelect:
    e = t.events.c
    of_case = t.cases.alias("of_case").c
    complaint = select(of_case.complaint_id).where(of_case.id == e.case_id).scalar_subquery()
    subject = func.coalesce(e.report_id, complaint, e.case_id, e.complaint_id, e.mediator_id, _NOBODY)
    stream = func.coalesce(e.report_id, e.case_id, e.complaint_id, e.mediator_id, _NOBODY)
    plain = (e.sequence, e.kind, e.complaint_id, e.case_id, e.mediator_id, e.version, e.at, e.by_role, e.by, e.data)
    body = _object({"stream": stream, **{column.name: column for column in plain}})
    return select(
        subject.label("subject"),
        literal(_EVENTS, String).label("name"),
        e.position.label("position"),
        body.label("body"),
    )


def _rows(table: Table) -> AnySelect:
    columns: dict[str, AnyColumn] = {column.name: _plain(column) for column in COMPARED_COLUMNS[table.name]}
    if table is t.access_codes:
        lookup, digest = table.c.lookup, table.c.digest
        whole = func.convert_to(lookup, "UTF8").op("||")(digest)
        columns |= dict.fromkeys(("fingerprint", "lookup", "digest"), func.encode(func.sha256(whole), "hex"))
    # Rows without a subject are compared with no events, and so reported.
    subject = func.coalesce(_subject(table, table), _NOBODY)
    return select(
        subject.label("subject"),
        literal(table.name, String).label("name"),
        cast(null(), BigInteger).label("position"),
        _object(columns).label("body"),
    )


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
    columns = alias.c
    if table in _SUBJECTS:
        return columns.id
    if "complaint_id" in columns:
        return columns.complaint_id
    if "case_id" in columns:
        parent, same = t.cases, {"case_id": "id"}
    else:
        # Not by the mediator, and not by a column that may be NULL.
        key = min(
            (
                each
                for each in table.foreign_key_constraints
                if each.referred_table is not t.mediators and not any(column.nullable for column in each.columns)
            ),
            key=lambda each: str(each.name),
        )
        parent = key.referred_table
        same = {element.parent.name: element.column.name for element in key.elements}
    above = parent.alias()
    on = (above.c[theirs] == columns[ours] for ours, theirs in same.items())
    return select(_subject(parent, above)).where(*on).scalar_subquery()


async def _unlike_shared(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    """Compare what no single subject has: disclosures, booked officers, and the parent tables that must be empty."""
    for statement in _once(_unlike_shared_rows):
        async with _read(connection, statement) as rows:
            async for row in rows:
                yield ChainFault(Flaw.UNLIKE_EVENT, row["stream"], 0, row["place"])


def _unlike_shared_rows() -> Iterator[AnySelect]:
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
    booked, of_party = t.session_officers.c, t.parties.c
    other_number = booked.employee_number_index.is_distinct_from(of_party.employee_number_index)
    yield (
        select(of_party.complaint_id.label("stream"), literal(str(booked.employee_number_index)).label("place"))
        .join(t.parties, of_party.id == booked.party_id)
        .where(other_number)
    )
    # A query of a parent table also returns the rows of its child, which `tableoid` tells apart.
    for parent, name, is_own in (
        (t.visible_parties, "id", text("visible_parties.tableoid = 'visible_parties'::regclass")),
        (t.visible_participants, "case_id", text("visible_participants.tableoid = 'visible_participants'::regclass")),
    ):
        yield select(parent.c[name].label("stream"), literal(parent.name).label("place")).where(is_own)


# ── encrypted columns ──────────────────────────────────────────────────────────────────────────────────────────────


async def _undecryptable(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    """Yield a fault for each row with a value that cannot be decrypted, or a blind index that does not match it."""
    ring = keyring(connection.dialect)
    for table, names in ENCRYPTED_COLUMNS.items():
        async with _read(connection, _decrypted_rows(table)) as rows:
            async for row in rows:
                if any(row[name] == UNREADABLE for name in names) or _is_other_number(ring, row):
                    yield ChainFault(Flaw.NOT_ENCRYPTED, row["stream"], 0, table.name)


async def _unhashed(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    """Yield a fault for each text that does not match the hash in its event."""
    for statement in _once(_hashed_texts):
        async with _read(connection, statement) as rows:
            async for row in rows:
                lines = (row[name] for name in row if name.startswith(_LINE))
                if text_hash("\n".join(lines)) != row["sha256"]:
                    yield ChainFault(Flaw.UNLIKE_EVENT, row["stream"], row["sequence"])


def _is_other_number(ring: Keyring, row: RowMapping) -> bool:
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


def _hashed_texts() -> Iterator[AnySelect]:
    yield _texts_of_agreements()
    yield _contents_of_reports()


def _texts_of_agreements() -> AnySelect:
    """Select the lines that `texts.signed_hash` hashes for each agreement, and the hash in its event.

    A text that cannot be decrypted does not match its hash.
    """
    agreements = t.agreements.c
    text_line = type_coerce(decrypted(agreements.text), Decrypted(t.agreements.name, "text"))
    languages = func.concat("languages: ", func.array_to_string(agreements.languages, ", "))
    confidential = func.concat("terms_confidential: ", cast(agreements.terms_confidential, Text))
    lines = (languages, confidential, literal(""), text_line)
    return _hashed(events.AgreementMade, "agreement_id", agreements.id, *lines).where(agreements.text.is_not(None))


def _contents_of_reports() -> AnySelect:
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
    return _hashed(events.MandatoryReportProposed, "report_id", reports.id, *lines)


def _hashed(kind: type[Event], name_of_id: str, id_: AnyColumn, *lines: AnyColumn) -> AnySelect:
    """Select the stream, sequence and hash of each event of this kind, and the lines that were hashed."""
    event = t.events.c
    stream: AnyColumn = func.coalesce(event.report_id, event.case_id)
    numbered = (line.label(f"{_LINE}{number}") for number, line in enumerate(lines))
    return (
        select(stream.label("stream"), event.sequence, event.data["sha256"].astext.label("sha256"), *numbered)
        .select_from(t.events.join(id_.table, cast(id_, Text) == event.data[name_of_id].astext))
        .where(event.kind == kind.kind)
    )
