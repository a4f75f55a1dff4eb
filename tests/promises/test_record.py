"""The record: `audit verify` finds every edit of an operative table, and the service cannot set a case back.

The edits are generated from the tables themselves: each compared column of each table is changed, emptied and filled by
the owner of the tables, with the triggers off and the constraints dropped; rows are deleted and made up. A new table or
column is part of that without being named here. The suite makes every twelfth edit, with `EDITS=whole` each.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import pytest
from sqlalchemy import ARRAY, Boolean, Column, Date, DateTime, Integer, LargeBinary, Table, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.conftest import RolledBackDatabase, rolled_back
from tests.domain.test_events import ALL
from tests.repository.busy import keep_busy

from mediation_api.database import tables as t
from mediation_api.database.encryption import BlindIndex, Encrypted
from mediation_api.database.engine import Database
from mediation_api.dev.office import Office, Story
from mediation_api.domain.audit_chain import ChainFault
from mediation_api.domain.lifecycle import OPEN, State
from mediation_api.domain.participants import NEXT_STANDINGS
from mediation_api.domain.values import Standing
from mediation_api.repository import audit_replay
from mediation_api.repository.audit_comparison import unlike_events
from mediation_api.repository.audit_replay import COMPARED_COLUMNS, NOT_COMPARED, OUTSIDE, kinds
from mediation_api.repository.on_file import is_private
from mediation_api.repository.retention_places import PLACES
from mediation_api.settings import Settings

WHOLE: Final = os.environ.get("EDITS") == "whole"


@dataclass(frozen=True, slots=True)
class Edit:
    """One statement of somebody who may do anything, on one row of a table."""

    name: str
    statement: str


def _one_row(table: Table, column: Column[object], value: str, condition: str) -> Edit:
    row = f"SELECT ctid FROM {table.name} WHERE {condition} ORDER BY ctid LIMIT 1"  # noqa: S608 - our own names
    statement = f"UPDATE {table.name} SET {column.name} = {value} WHERE ctid = ({row})"  # noqa: S608 - the same
    return Edit(f"{table.name}.{column.name} = {value} where {condition}", statement)


OTHER_VALUE: Final[tuple[tuple[type[object], str], ...]] = (
    (Encrypted, "'encrypted.1.AAAA'"),
    (Boolean, "{0} IS NOT TRUE"),
    (DateTime, "coalesce({0}, now()) + interval '1 second'"),
    (Date, "coalesce({0}, current_date) + 1"),
    (Integer, "coalesce({0}, 0) + 1"),
    (Uuid, "gen_random_uuid()"),
    (LargeBinary, "{0} || '\\x00'::bytea"),
    (ARRAY, "array_append({0}, 'x')"),
    (JSONB, "{0} || '[1]'::jsonb"),
    (TSTZRANGE, "tstzrange(lower({0}) + interval '1 second', upper({0}))"),
    (object, "coalesce({0}, '') || 'x'"),
)
"""Another value than the one that stands in a column, by its type; the first that fits."""


def _other_value(column: Column[object]) -> str:
    value = next(value for kind, value in OTHER_VALUE if isinstance(column.type, kind))
    return value.format(f'"{column.name}"')


def edits_of(table: Table, columns: tuple[Column[object], ...]) -> Iterator[Edit]:
    """Every edit of a table: each column changed, emptied and filled, a row deleted, and one made up."""
    for column in columns:
        name = f'"{column.name}"'
        holds = f"{name} IS NOT NULL" + (f" AND {name} <> ''" if isinstance(column.type, Encrypted) else "")
        # Which of two values a private column holds stands in no event, unless it is encrypted.
        if isinstance(column.type, Encrypted) or not is_private(column):
            yield _one_row(table, column, _other_value(column), holds)
        if column.nullable:
            yield _one_row(table, column, "NULL", holds)
            yield _one_row(table, column, _other_value(column), f"{name} IS NULL")
        elif is_private(column):
            yield _one_row(table, column, "''", holds)
        if isinstance(column.type, TSTZRANGE):
            yield _one_row(table, column, f"tstzrange(lower({name}), upper({name}), '[]')", holds)
    own, name = next(iter(table.primary_key.columns)), table.name
    made_up = "gen_random_uuid()" if isinstance(own.type, Uuid) else "'MADE0UP0'"
    other = f"jsonb_populate_record(other, jsonb_build_object('{own.name}', {made_up}))"
    yield Edit(f"delete from {name}", f"DELETE FROM {name} WHERE ctid = (SELECT min(ctid) FROM {name})")  # noqa: S608
    stored = ", ".join(f'"{column.name}"' for column in table.c if column.computed is None)
    made = f"SELECT ({other}).* FROM {name} AS other LIMIT 1"  # noqa: S608
    yield Edit(f"insert into {name}", f"INSERT INTO {name} ({stored}) SELECT {stored} FROM ({made}) AS made")  # noqa: S608


BY_OTHER_MEANS: Final = tuple(NOT_COMPARED)
"""Columns that are compared with a hash, or computed again, in place of the replay."""


def generated() -> list[Edit]:
    """Every edit that the tables give."""
    edits = [edit for name, columns in COMPARED_COLUMNS.items() for edit in edits_of(t.metadata.tables[name], columns)]
    # PostgreSQL refuses to change a generated column.
    others = [column for column in (*BY_OTHER_MEANS, *t.disclosures.c) if column.computed is None]
    return edits + [_one_row(each.table, each, _other_value(each), f"{each.name} IS NOT NULL") for each in others]


IN_THE_ISSUE: Final = (
    "UPDATE participants SET standing = 'agreed', left_at = NULL WHERE standing = 'withdrawn'",
    "UPDATE participants SET standing = 'agreed', left_at = NULL WHERE standing = 'declined'",
    "UPDATE cases SET state = 'mediated', agreement_reached = true WHERE state = 'withdrawn'",
    "UPDATE cases SET state = 'ready', closed_at = NULL, agreement_reached = NULL WHERE state = 'mediated'",
    "UPDATE cases SET agreement_reached = NOT agreement_reached WHERE state = 'mediated'",
    "UPDATE cases SET due_on = due_on + 7",
    "UPDATE attendances SET present = NOT present",
    "UPDATE sessions SET during = tstzrange(lower(during) + interval '1 hour', upper(during) + interval '1 hour')",
    "UPDATE sessions SET state = 'completed' WHERE state IN ('missed', 'cancelled')",
    "UPDATE assignments SET state = 'declined' WHERE state = 'accepted'",
    "UPDATE assignments SET mediator_id = gen_random_uuid()",
    "UPDATE attendees SET confirmed_at = NULL WHERE confirmed_at IS NOT NULL",
    "UPDATE parties SET minor = NOT minor WHERE side = 'complainant'",
    "UPDATE access_codes SET digest = sha256('mine')",
    "INSERT INTO visible_parties SELECT gen_random_uuid(), 'officer', 'encrypted.1.AAAA'",
)
"""What the review did with an owner's rights and `audit verify` did not report, and the like."""


@pytest.fixture(scope="module")
async def module_database(owner_engine: AsyncEngine) -> AsyncIterator[RolledBackDatabase]:
    """The office of these tests works as the owner of the tables."""
    async with rolled_back(owner_engine) as database:
        yield database


@pytest.fixture(scope="module")
async def busy(module_office: Office) -> None:
    """An office in which much has happened."""
    await keep_busy(module_office)


async def found(connection: AsyncConnection) -> ChainFault | None:
    """The first problem that there is."""
    async with aclosing(unlike_events(connection)) as problems:
        return await anext(problems, None)


async def without_guards(connection: AsyncConnection) -> None:
    """Take away all that would refuse an edit: triggers, constraints and unique indexes."""
    await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))  # none may be waiting when a table is altered
    for table in t.metadata.sorted_tables:
        await connection.execute(text(f"ALTER TABLE {table.name} DISABLE TRIGGER USER"))
    of_public = "WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'"
    constraints = (
        f"SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname) FROM pg_constraint "  # noqa: S608
        f"JOIN pg_class c ON c.oid = conrelid {of_public} AND contype IN ('c', 'f', 'x', 'u', 'p')"
    )
    indexes = (
        f"SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index JOIN pg_class c ON c.oid = indrelid "  # noqa: S608
        f"{of_public} AND indisunique"
    )
    for listed in (constraints, indexes):
        for statement in (await connection.scalars(text(listed))).all():
            # Another may have taken it along.
            await connection.execute(text(f"DO $$ BEGIN {statement}; EXCEPTION WHEN undefined_object THEN END $$"))


async def unfound(connection: AsyncConnection, edits: list[Edit]) -> tuple[list[str], list[str]]:
    """Do each edit on the whole record: those that nothing reports, and those for which there is no row."""
    missed, void = [], []
    for edit in edits:
        whole = await connection.begin_nested()
        changed = (await connection.execute(text(edit.statement.replace(":", "\\:")))).rowcount
        if changed == 0:
            void.append(edit.name)
        elif not await found(connection):
            missed.append(edit.name)
        await whole.rollback()
    return missed, void


# ── audit verify ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.drawn
@pytest.mark.usefixtures("busy")
async def test_every_edit_of_an_operative_table_by_the_owner_is_found(
    module_database: RolledBackDatabase, record_property: Callable[[str, object], None]
) -> None:
    edits = generated()[:: 1 if WHOLE else 12]
    async with module_database.transaction() as connection:
        guarded = await connection.begin_nested()
        await without_guards(connection)
        assert await found(connection) is None
        missed, void = await unfound(connection, edits)
        await guarded.rollback()
    done = len(edits) - len(void)
    record_property(
        "figure", f"{done} edits of {sum(map(len, COMPARED_COLUMNS.values()))} columns, {len(missed)} missed"
    )
    assert missed == []
    # What needs an empty or a filled column may find none; no column goes without any edit.
    tried = {edit.name.split(" ")[0] for edit in edits if edit.name not in void}
    assert not WHOLE or {str(column) for columns in COMPARED_COLUMNS.values() for column in columns} <= tried


@pytest.mark.drawn
@pytest.mark.usefixtures("busy")
async def test_what_the_review_changed_unseen_is_found(module_database: RolledBackDatabase) -> None:
    edits = [Edit(statement, statement) for statement in IN_THE_ISSUE]
    async with module_database.transaction() as connection:
        guarded = await connection.begin_nested()
        await without_guards(connection)
        assert await unfound(connection, edits) == ([], [])
        await guarded.rollback()


@pytest.mark.drawn
@pytest.mark.usefixtures("busy")
async def test_without_the_comparison_of_values_the_same_edits_go_unfound(
    module_database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_replay, "_is_same", lambda *_: True)
    edits = [Edit(statement, statement) for statement in IN_THE_ISSUE if statement.startswith("UPDATE cases")]
    async with module_database.transaction() as connection:
        guarded = await connection.begin_nested()
        await without_guards(connection)
        assert (await unfound(connection, edits))[0] == [edit.name for edit in edits]
        await guarded.rollback()


@pytest.mark.drawn
@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("kind", ["party.asked", "session.scheduled", "party.added"])
async def test_an_event_that_is_not_replayed_is_noticed(
    module_database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """So a new column or table that no event sets cannot go unnoticed either."""
    monkeypatch.setitem(audit_replay._AFTER, kind, lambda _replay, _event: None)
    async with module_database.transaction() as connection:
        # A savepoint that is rolled back takes the unfinished cursor along.
        whole = await connection.begin_nested()
        assert await found(connection)
        await whole.rollback()


ODD: Final = (
    "data = '[]'",
    "data = '{}'",
    "data = jsonb_set(data, '{party_id}', '[]')",
    "data = jsonb_set(data, '{party_id}', (repeat('[', 3000) || repeat(']', 3000))::jsonb)",
    "kind = 'of.nothing'",
    "complaint_id = NULL, case_id = NULL, mediator_id = NULL, report_id = NULL",
)
"""What somebody may make of an event that no reader expects."""


@pytest.mark.drawn
@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("change", ODD)
async def test_an_odd_event_is_a_finding_and_no_failure(module_database: RolledBackDatabase, change: str) -> None:
    async with module_database.transaction() as connection:
        guarded = await connection.begin_nested()
        await without_guards(connection)
        await connection.execute(text(f"UPDATE events SET {change} WHERE kind = 'party.joined'"))  # noqa: S608 - ours
        assert len([problem async for problem in unlike_events(connection)]) > 1
        await guarded.rollback()


def test_every_kind_of_event_is_replayed() -> None:
    assert kinds() == {event.kind for event in ALL}


def test_few_things_are_not_compared_and_each_has_its_reason() -> None:
    assert {table.name for table in OUTSIDE} == {
        "audit_chain_heads",
        "data_keys",
        "disclosures",
        "events",
        "staff_names",
        "visible_participants",
        "visible_parties",
        "idempotency_keys",
        "imports",
        "import_batches",
        "import_refusals",
        "access_log",
        "attempt_counters",
        "calendar_feeds",
        "canaries",
        "change_feed",
        "job_runs",
        "mail_cursor",
        "mails",
        "unnumbered_events",
        "webhook_deliveries",
        "webhook_endpoints",
    }
    assert {str(column) for column in NOT_COMPARED} == {
        "cases.maybe_missed",
        "mandatory_reports.category",
        "mandatory_reports.disclosed_at",
        "mandatory_reports.recipient",
        "mediators.employee_number_index",
        "parties.employee_number_index",
        "session_officers.employee_number_index",
    }
    assert all((*OUTSIDE.values(), *NOT_COMPARED.values()))


def test_what_retention_empties_stands_in_no_event() -> None:
    emptied = {
        place.table.c[name]
        for places in PLACES.values()
        for place in places
        for name in place.empty
        if not isinstance(place.table.c[name].type, BlindIndex)
    }
    assert {str(column) for column in emptied if not is_private(column)} == set()


# ── the service's own login ────────────────────────────────────────────────────────────────────────────────────────

BACK: Final = (
    "UPDATE participants SET standing = 'agreed', left_at = NULL, left_version = NULL WHERE standing = 'withdrawn'",
    "UPDATE participants SET standing = 'asked', left_at = NULL, left_version = NULL WHERE standing = 'withdrawn'",
    "UPDATE participants SET standing = 'asked' WHERE standing = 'agreed'",
    "UPDATE participants SET standing = 'declined', left_at = now(), left_version = 99 WHERE standing = 'agreed'",
    "UPDATE participants SET standing = 'lapsed' WHERE standing = 'withdrawn'",
    "UPDATE cases SET state = 'ready', closed_at = NULL, closed_version = NULL WHERE state = 'withdrawn'",
    "UPDATE cases SET state = 'declined' WHERE state = 'withdrawn'",
    "UPDATE cases SET state = 'mediated', agreement_reached = true WHERE state = 'withdrawn'",
    "UPDATE cases SET closed_at = closed_at + interval '1 day' WHERE state = 'withdrawn'",
    "UPDATE cases SET coordinator = 'somebody.else' WHERE state = 'withdrawn'",
)
"""What sets a standing or a closed case back."""
WITHOUT_AN_EVENT: Final = (
    "UPDATE participants SET standing = 'agreed' WHERE standing = 'asked'",
    "UPDATE participants SET standing = 'withdrawn', left_at = now(), left_version = 99 WHERE standing = 'agreed'",
    "UPDATE participants SET standing = 'waiting' WHERE standing = 'agreed'",
    "UPDATE cases SET state = 'ready' WHERE state = 'asking'",
    "UPDATE cases SET state = 'withdrawn', closed_at = now(), closed_version = version WHERE state = 'asking'",
)
"""What would be in order, had it happened."""


@pytest.fixture
async def service(committed: Settings, committed_office: Office) -> AsyncIterator[Database]:
    """The login of the service, on a database with a withdrawn case and one in which officers are asked."""
    left: Story = await (await committed_office.file()).to_scheduled()
    await left.withdraw(left.complainants[0])
    await (await committed_office.file()).to_asking()
    database = Database.of(committed)
    yield database
    await database.close()


async def refused(database: Database, statement: str) -> bool:
    """Whether the database refuses a statement, at once or at the end of its transaction."""
    try:
        async with database.transaction() as connection:
            assert (await connection.execute(text(statement))).rowcount >= 1, statement
    except IntegrityError:
        return True
    return False


async def test_the_service_cannot_set_a_standing_or_a_closed_case_back(service: Database) -> None:
    assert [statement for statement in BACK if not await refused(service, statement)] == []


async def test_the_service_changes_no_standing_or_state_without_the_event(service: Database) -> None:
    assert [statement for statement in WITHOUT_AN_EVENT if not await refused(service, statement)] == []


ORDER: Final = ("standing_order ON participants", "stays_closed ON cases")
EVENT: Final = ("standing_event ON participants", "state_event ON cases")


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("triggers", "passes", "refuses"),
    [
        (ORDER, BACK[8:], BACK[:8]),
        (EVENT, (WITHOUT_AN_EVENT[0], WITHOUT_AN_EVENT[3]), BACK),
        (ORDER + EVENT, (BACK[0], BACK[2], BACK[5]), ()),
    ],
    ids=["the order", "the event", "both"],
)
async def test_without_the_triggers_the_service_can(
    service: Database,
    committed: Settings,
    as_owner: Callable[[Settings], Settings],
    triggers: tuple[str, ...],
    passes: tuple[str, ...],
    refuses: tuple[str, ...],
) -> None:
    """The two kinds stand behind each other: one alone still refuses what it is there for."""
    owner = Database.of(as_owner(committed))
    async with owner.transaction() as connection:
        for trigger in triggers:
            await connection.execute(text(f"DROP TRIGGER {trigger}"))
    await owner.close()
    assert [statement for statement in refuses if not await refused(service, statement)] == []
    assert [statement for statement in passes if await refused(service, statement)] == []


async def test_the_database_allows_the_standings_that_the_domain_does(service: Database) -> None:
    pairs = [(source, target) for source in Standing for target in Standing]
    asked = text("SELECT standing_may_become(:source, :target)")
    async with service.reading() as connection:
        allowed = {
            (source, target)
            for source, target in pairs
            if await connection.scalar(asked, {"source": source.value, "target": target.value})
        }
    assert allowed == {(source, target) for source in Standing for target in NEXT_STANDINGS[source]}


@pytest.mark.drawn
@pytest.mark.usefixtures("busy")
async def test_what_an_office_does_is_what_the_events_say_at_the_end_of_its_transactions(
    module_database: RolledBackDatabase,
) -> None:
    async with module_database.transaction() as connection:
        await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        states = set((await connection.scalars(text("SELECT DISTINCT state FROM cases"))).all())
        assert states & OPEN
        assert states & (set(State) - OPEN)


# ── who is shown what is recorded for the comparison ───────────────────────────────────────────────────────────────


async def test_the_timeline_shows_nothing_of_what_is_on_file(office: Office) -> None:
    """Auditors read timelines, and no complaint."""
    story = await (await office.file()).to_confirming()
    listed = await office.auditor.send("GET", f"{story.path}/timeline")
    assert listed.status_code == 200
    assert "complaint.filed" in listed.text
    assert [word for word in ("on_file", 'filled"', "fingerprint", "allegations") if word in listed.text] == []
