"""Whether the operative tables hold what the events say, row by row and column by column.

An event is in the audit chain; the rows that it led to (a standing, a consent, a session, …) are not. So the events of
each complaint with its cases, of each mediator and of each mandatory report are replayed (audit_replay.py), and the
rows are compared with the result: in one statement, subject by subject, so that any number of them may be read.

What is private stands in no event. Of an encrypted column the events say whether it holds something; that it opens
shows that somebody wrote it who had the key, for this row and column. The texts of agreements and disclosures, and what
mandatory reports are about, are compared with their hashes besides.
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
from mediation_api.repository.on_file import holds_something, is_private

_EVENTS: Final = "events"
_LINE: Final = "line_"
_NOBODY: Final[AnyColumn] = cast(literal(str(UUID(int=0))), Uuid)
"""The subject of what belongs to nobody any more."""


async def unlike_events(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    """Each row that differs from the events, that no event led to, or that is missing; and each text that is not ours.

    The connection is in a transaction of one snapshot (REPEATABLE READ): there is more than one statement.
    """
    for found in (_unlike_replay(connection), _strays(connection), _not_opening(connection), _not_hashed(connection)):
        async with aclosing(found) as problems:
            async for problem in problems:
                yield problem


@asynccontextmanager
async def _read(connection: AsyncConnection, statement: AnySelect) -> AsyncIterator[AsyncIterator[RowMapping]]:
    """The rows of a statement as they come. Whoever stops early closes its cursor."""
    rows = await connection.stream(statement)
    try:
        yield rows.mappings()
    finally:
        await rows.close()


@cache
def _once(statements: Callable[[], Iterator[AnySelect]]) -> tuple[AnySelect, ...]:
    """Put statements together once: it takes longer than to have them answered."""
    return tuple(statements())


# ── the rows of each subject beside its events ─────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Subject:
    """A complaint with its cases, a mediator, or a mandatory report: its events replayed, and its rows."""

    id: UUID
    replay: Replay = field(default_factory=Replay)
    rows: list[tuple[str, RowKey, Mapping[str, object]]] = field(default_factory=list)

    def take(self, name: str, body: str) -> Iterator[ChainFault]:
        """Take an event or a row, as JSON."""
        try:
            values = json.loads(body)
        except RecursionError:  # somebody nested it very deep
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
                for problem in () if subject is None else subject.differences():
                    yield problem
                subject = _Subject(row["subject"])
            for problem in subject.take(row["name"], row["body"]):
                yield problem
    for problem in () if subject is None else subject.differences():
        yield problem


@cache
def _events_and_rows() -> AnySelect:
    """The events of each subject in their order, and every row of its tables."""
    rows = (_rows(t.metadata.tables[name]) for name in COMPARED_COLUMNS)
    listed = union_all(_events(), *rows).subquery("listed").c
    # As text: what was put in behind the service's back may be nothing that a reader expects.
    return select(listed.subject, listed.name, cast(listed.body, Text).label("body")).order_by(
        listed.subject, listed.position
    )


def _events() -> AnySelect:
    f = t.events.c
    of_case = t.cases.alias("of_case").c
    complaint = select(of_case.complaint_id).where(of_case.id == f.case_id).scalar_subquery()
    subject = func.coalesce(f.report_id, complaint, f.case_id, f.complaint_id, f.mediator_id, _NOBODY)
    stream = func.coalesce(f.report_id, f.case_id, f.complaint_id, f.mediator_id, _NOBODY)
    plain = (f.sequence, f.kind, f.complaint_id, f.case_id, f.mediator_id, f.version, f.at, f.by_role, f.by, f.data)
    body = _object({"stream": stream, **{column.name: column for column in plain}})
    return select(
        subject.label("subject"),
        literal(_EVENTS, String).label("name"),
        f.position.label("position"),
        body.label("body"),
    )


def _rows(table: Table) -> AnySelect:
    columns: dict[str, AnyColumn] = {column.name: _plain(column) for column in COMPARED_COLUMNS[table.name]}
    if table is t.access_codes:
        lookup, digest = table.c.lookup, table.c.digest
        whole = func.convert_to(lookup, "UTF8").op("||")(digest)
        columns |= dict.fromkeys(("fingerprint", "lookup", "digest"), func.encode(func.sha256(whole), "hex"))
    # Whatever belongs to nobody any more stands by itself.
    subject = func.coalesce(_subject(table, table), _NOBODY)
    return select(
        subject.label("subject"),
        literal(table.name, String).label("name"),
        cast(null(), BigInteger).label("position"),
        _object(columns).label("body"),
    )


def _plain(column: Column[object]) -> AnyColumn:
    """A column as the replay knows it."""
    if is_private(column):
        return holds_something(column)
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
    """The complaint, mediator or report that a row belongs to, found by way of its foreign keys."""
    columns = alias.c
    if table in _SUBJECTS:
        return columns.id
    if "complaint_id" in columns:
        return columns.complaint_id
    if "case_id" in columns:
        parent, same = t.cases, {"case_id": "id"}
    else:
        # Not by way of the roster, nor of a column that may be empty.
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


async def _strays(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    """What is compared without a replay: shared texts, and parents that have no rows of their own."""
    for statement in _once(_stray_rows):
        async with _read(connection, statement) as rows:
            async for row in rows:
                yield ChainFault(Flaw.UNLIKE_EVENT, row["stream"], 0, row["place"])


def _stray_rows() -> Iterator[AnySelect]:
    said = t.events.c.data
    named = said["disclosure_sha256"].astext
    first = (
        select(
            named.label("sha256"),
            said["disclosure_version"].astext.label("version"),
            said["disclosure_language"].astext.label("language"),
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
    told = (first.sha256 == d.sha256, first.version == d.version, first.language == d.language)
    is_other = (hashed != d.sha256) | ~select(first.sha256).where(*told).exists()
    yield select(stream, literal(t.disclosures.name).label("place")).where(is_other)
    booked, of_party = t.session_officers.c, t.parties.c
    other_number = booked.employee_number_index.is_distinct_from(of_party.employee_number_index)
    yield (
        select(of_party.complaint_id.label("stream"), literal(str(booked.employee_number_index)).label("place"))
        .join(t.parties, of_party.id == booked.party_id)
        .where(other_number)
    )
    # A parent shows the rows of its child as well, and those are of another table.
    for parent, name, is_own in (
        (t.visible_parties, "id", text("visible_parties.tableoid = 'visible_parties'::regclass")),
        (t.visible_participants, "case_id", text("visible_participants.tableoid = 'visible_participants'::regclass")),
    ):
        yield select(parent.c[name].label("stream"), literal(parent.name).label("place")).where(is_own)


# ── what is encrypted ──────────────────────────────────────────────────────────────────────────────────────────────


async def _not_opening(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    """Rows with a text that does not open, or with a hash that is not that of the text, by whom they belong to."""
    ring = keyring(connection.dialect)
    for table, names in ENCRYPTED_COLUMNS.items():
        async with _read(connection, _opened(table)) as rows:
            async for row in rows:
                if any(row[name] == UNREADABLE for name in names) or _is_other_number(ring, row):
                    yield ChainFault(Flaw.UNSEALED, row["stream"], 0, table.name)


async def _not_hashed(connection: AsyncConnection) -> AsyncGenerator[ChainFault]:
    """Texts that are not what the hash in their event was made of."""
    for statement in _once(_hashed_texts):
        async with _read(connection, statement) as rows:
            async for row in rows:
                lines = (row[name] for name in row if name.startswith(_LINE))
                if text_hash("\n".join(lines)) != row["sha256"]:
                    yield ChainFault(Flaw.UNLIKE_EVENT, row["stream"], row["sequence"])


def _is_other_number(ring: Keyring, row: RowMapping) -> bool:
    number, index = row.get("employee_number"), row.get("employee_number_index")
    if isinstance(index, str) and not index.startswith(f"{ring.search_mark}."):
        return False  # of another search secret, which finds nobody: `keys status` counts it
    return index != (ring.hashed(folded(number)) if isinstance(number, str) and number else None)


@cache
def _opened(table: Table) -> AnySelect:
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
    """Each text, as `texts.signed_hash` takes it, beside the hash that its event holds.

    One that does not open is none that was agreed.
    """
    agreements = t.agreements.c
    opened_text = type_coerce(decrypted(agreements.text), Decrypted(t.agreements.name, "text"))
    languages = func.concat("languages: ", func.array_to_string(agreements.languages, ", "))
    confidential = func.concat("terms_confidential: ", cast(agreements.terms_confidential, Text))
    lines = (languages, confidential, literal(""), opened_text)
    return _hashed(events.AgreementMade, "agreement_id", agreements.id, *lines).where(agreements.text.is_not(None))


def _contents_of_reports() -> AnySelect:
    """What each mandatory report is about, beside the hash that its event holds."""
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
    """For each event of this kind its stream and sequence, the hash in it, and the lines of which that should be."""
    event = t.events.c
    stream: AnyColumn = func.coalesce(event.report_id, event.case_id)
    numbered = (line.label(f"{_LINE}{number}") for number, line in enumerate(lines))
    return (
        select(stream.label("stream"), event.sequence, event.data["sha256"].astext.label("sha256"), *numbered)
        .select_from(t.events.join(id_.table, cast(id_, Text) == event.data[name_of_id].astext))
        .where(event.kind == kind.kind)
    )
