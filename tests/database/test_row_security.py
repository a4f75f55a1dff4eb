"""Row security: what PostgreSQL returns to a party for any query, with the checks of the service turned off.

A busy office is compared, row by row and column by column, with what is each party's (row_security.py). Each policy is
then widened and removed, to see that the comparison detects it.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, Table, select, text, true
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.conftest import Clock, Run, application, calling, fresh_database
from tests.database.row_security import OPEN_TO_ALL, SHOWN, BusyOffice, Truth, as_shown, build
from tests.office.snapshots import grants
from tests.office.working import work_once
from tests.repository.statements import put_together_anew

from mediation_api.database import tables as t
from mediation_api.database.access_scope import ScopeKind
from mediation_api.database.engine import Database, Pool
from mediation_api.database.job_runs import record_success
from mediation_api.database.nesting import AnySelect
from mediation_api.database.pagination import PageRequest
from mediation_api.database.requirements import require_usable
from mediation_api.database.row_security import assume_party, reset_role, reveal_access_log
from mediation_api.dev.office import Office
from mediation_api.domain.access import AccessScope, Actor, Relation, Role
from mediation_api.domain.errors import NotFound, TokenRevoked
from mediation_api.domain.lifecycle import PEERS_VISIBLE, State
from mediation_api.domain.values import Job
from mediation_api.main import policy_of, worker_context
from mediation_api.repository.access_log import AccessLog
from mediation_api.repository.agreements import Agreements
from mediation_api.repository.case_queries import CaseListFilter, CaseQueries
from mediation_api.repository.case_records import CaseRecords
from mediation_api.repository.cases import Cases
from mediation_api.repository.complaints import ComplaintFilter, Complaints
from mediation_api.repository.parties import Parties
from mediation_api.repository.sessions import SessionFilter, Sessions
from mediation_api.repository.timeline import Timeline
from mediation_api.settings import Settings

NEVER: Final = sorted(t.metadata.tables.keys() - SHOWN.keys())
"""The tables of which a party reads nothing at all."""
WALLED: Final = sorted(SHOWN.keys() - OPEN_TO_ALL.keys())


@asynccontextmanager
async def entered(database: Database, actor: Actor) -> AsyncIterator[AsyncConnection]:
    """A connection under row security; also of a token that no longer speaks for anybody, which the service refuses."""
    async with database._snapshot() as connection:  # no other way in for such a token
        with suppress(TokenRevoked):
            await assume_party(connection, actor)
        yield connection


class Place:
    """A database with the busy office in it, as the service and as the owner of its tables."""

    def __init__(self, settings: Settings, owner: Settings, busy: BusyOffice, truth: Truth) -> None:
        self.settings = settings
        self.service = Database.of(settings)
        self.owner = Database.of(owner)
        self.actors = busy.actors
        self.truth = truth
        self.own = {name: truth.of(actor) for name, actor in busy.actors.items()}

    async def close(self) -> None:
        await self.service.close()
        await self.owner.close()

    async def seen(self, actor: Actor, *tables: str) -> dict[str, set[str]]:
        """All that a party's role can read of these tables, or of every one."""
        seen: dict[str, set[str]] = {}
        async with entered(self.service, actor) as connection:
            for table in tables or SHOWN:
                found = await connection.execute(select(*(t.metadata.tables[table].c[name] for name in SHOWN[table])))
                seen[table] = {as_shown(table, dict(row)) for row in found.mappings()}
            readings = select(*(t.access_log.c[name] for name in SHOWN["access_log"]))
            for case_id in _ids(self, t.cases) if "access_log" in seen else []:
                await reveal_access_log(connection, case_id)
                found = await connection.execute(readings)
                seen["access_log"] |= {as_shown("access_log", dict(row)) for row in found.mappings()}
        return seen

    async def shows_what_is_foreign(self, table: str) -> bool:
        """Whether some party sees a row of a table that is not its own."""
        for name, actor in self.actors.items():
            if (await self.seen(actor, table))[table] - self.own[name][table]:
                return True
        return False

    async def hides_what_is_its_own(self, table: str) -> bool:
        """Whether some party does not see a row of a table that is its own."""
        for name, actor in self.actors.items():
            if self.own[name][table] - (await self.seen(actor, table))[table]:
                return True
        return False

    @asynccontextmanager
    async def changed(self, table: str, rows: str) -> AsyncIterator[None]:
        """Let the party's policy of a table be another one for a while."""
        known = text("SELECT qual FROM pg_policies WHERE tablename = :table AND policyname = 'party'")
        async with self.owner.transaction() as connection:
            before = await connection.scalar(known, {"table": table})
            await connection.exec_driver_sql(f"ALTER POLICY party ON {table} USING ({rows})")
        try:
            yield
        finally:
            async with self.owner.transaction() as connection:
                await connection.exec_driver_sql(f"ALTER POLICY party ON {table} USING ({before})")


@pytest.fixture(scope="module")
async def place(
    run: Run, keys: Path, server_url: str, as_owner: Callable[[Settings], Settings]
) -> AsyncIterator[Place]:
    """One busy office for the tests of this file. They change no row of it."""
    clock = Clock()
    with fresh_database(run, keys, server_url) as own:
        database = Database.of(own)
        async with calling(application(own, clock, database)) as client:

            async def tick(_request: object) -> None:
                clock.advance(milliseconds=10)

            client.event_hooks["request"].append(tick)
            worker = replace(worker_context(own), database=database, clock=clock)
            busy = await build(Office(client, own, clock), lambda: work_once(worker))
            await require_usable(own)  # as `serve` does, which stores values of the secrets
            await record_success(own, Job.RETENTION)
        truth = await Truth.read(database)
        await database.close()
        place = Place(own, as_owner(own), busy, truth)
        yield place
        await place.close()


# ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
async def seen(place: Place) -> Mapping[str, Mapping[str, set[str]]]:
    """All that each party can read."""
    return {name: await place.seen(actor) for name, actor in place.actors.items()}


async def test_a_party_sees_its_own_rows_and_no_others(
    place: Place, seen: Mapping[str, Mapping[str, set[str]]]
) -> None:
    for name, own in place.own.items():
        for table in SHOWN:
            assert seen[name][table] == own[table], f"{name}: {table}"


async def test_the_office_is_busy_enough_to_tell(place: Place, seen: Mapping[str, Mapping[str, set[str]]]) -> None:
    """Of every table somebody sees something, and nobody everything; of the rest there is something not to be seen."""
    for table in WALLED:
        whole = len(place.truth.rows[table.removeprefix("visible_")])
        assert 0 < max(len(each[table]) for each in seen.values()) < whole, table
    for table in NEVER:
        assert place.truth.rows.get(table), table


@pytest.mark.parametrize("table", WALLED)
async def test_a_policy_that_is_widened_shows_foreign_rows(place: Place, table: str) -> None:
    async with place.changed(table, "true"):
        assert await place.shows_what_is_foreign(table)


@pytest.mark.parametrize("table", WALLED)
async def test_a_policy_that_is_taken_away_shows_nothing(place: Place, table: str) -> None:
    async with place.changed(table, "false"):
        assert await place.hides_what_is_its_own(table)


@pytest.mark.parametrize("state", sorted(set(State) - {State.MEDIATED}))
async def test_those_who_take_part_see_each_other_when_the_domain_says_so(place: Place, state: State) -> None:
    """A case that was mediated is one of the busy office: an UPDATE mediates nothing without a session."""
    actor = place.actors["meeting: complainant 1"]
    async with place.service.transaction() as connection:
        if not state.is_open:
            await connection.execute(
                text(
                    "UPDATE parts SET disposition = 'returned_to_investigation' FROM cases c JOIN parties p "
                    "USING (complaint_id) WHERE p.id = :party AND parts.case_id = c.id "
                    "AND parts.disposition = 'in_mediation'"
                ).bindparams(party=actor.party_id)
            )
        await connection.execute(
            text(
                "UPDATE cases SET state = :state, closed_at = CASE WHEN :open THEN NULL ELSE opened_at END, "
                "closed_version = CASE WHEN :open THEN NULL ELSE version END "
                "FROM parties p WHERE p.id = :party AND cases.complaint_id = p.complaint_id"
            ).bindparams(state=state.value, open=state.is_open, party=actor.party_id)
        )
        await assume_party(connection, actor)
        seen = (await connection.execute(select(t.visible_parties.c.name))).all()
        await connection.rollback()

    assert bool(seen) == (state in PEERS_VISIBLE)


# ── columns and tables ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_table_has_forced_row_policies_or_a_reason(place: Place) -> None:
    query = """
        SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
            (SELECT coalesce(array_agg(p.policyname::text || ' ' || p.cmd ORDER BY p.policyname), '{}')
             FROM pg_policies p WHERE p.schemaname = 'public' AND p.tablename = c.relname)
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    """
    async with place.owner.reading() as connection:
        found = {row[0]: tuple(row[1:]) for row in (await connection.execute(text(query))).all()}

    assert found.keys() == t.metadata.tables.keys() | OPEN_TO_ALL.keys()
    for table, (enabled, forced, policies) in found.items():
        if table in OPEN_TO_ALL:
            continue
        assert (enabled, forced) == (True, True), table
        party = ["party SELECT"] if table in SHOWN else []
        assert policies == [*party, "service ALL"], table


def test_a_party_is_granted_nothing_but_to_read() -> None:
    """What is granted is compared with the snapshot in test_roles.py."""
    assert {privilege for granted in grants("mediation_party").values() for privilege in granted} == {"SELECT"}


async def _refused(place: Place, statement: str, actor: Actor | None = None) -> None:
    async with place.service.transaction() as connection:
        if actor is not None:
            await assume_party(connection, actor)
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text(statement))
        await connection.rollback()
    assert getattr(caught.value.orig, "sqlstate", None) == "42501"


@pytest.mark.parametrize("table", NEVER)
async def test_a_party_cannot_ask_for_what_it_never_needs(place: Place, table: str) -> None:
    await _refused(place, f"SELECT count(*) FROM {table}", place.actors["meeting: complainant 1"])  # noqa: S608 - ours


async def test_a_party_writes_nothing(place: Place) -> None:
    for statement in (
        "UPDATE parties SET name = 'x'",
        "DELETE FROM consents",
        "SELECT assume_party(NULL, 'x', NULL, 'y')",
        "SELECT reveal_access_log(gen_random_uuid())",
        "SELECT id FROM cases FOR UPDATE",
    ):
        await _refused(place, statement, place.actors["meeting: complainant 1"])


# Retention deletes entries of the access log, which the database refuses until they are a year old.
CHANGES: Final = ("UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}")
OF_APPEND_ONLY: Final = [*itertools.product(CHANGES, (table.name for table in t.APPEND_ONLY))]
OF_ACCESS_LOG: Final = [(change, "access_log") for change in CHANGES if not change.startswith("DELETE")]


@pytest.mark.parametrize(("statement", "table"), [*OF_APPEND_ONLY, *OF_ACCESS_LOG])
async def test_the_service_may_not_even_try_to_change_what_was_acknowledged(
    place: Place, table: str, statement: str
) -> None:
    column = {"disclosures": "sha256", "access_log": "at", "voided_consents": "reason"}.get(table, "id")
    await _refused(place, statement.format(table, column, column))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cases SET due_on = due_on",
        "DELETE FROM parties",
        "ALTER TABLE parties DISABLE ROW LEVEL SECURITY",
        "DROP POLICY party ON parties",
        "CREATE TABLE of_my_own ()",
        "SET ROLE pg_read_all_data",
    ],
)
async def test_the_service_may_do_no_more_than_its_commands_need(place: Place, statement: str) -> None:
    await _refused(place, statement)


# ── the repository without the conditions of the access scope ─────────────────────────────────────────────────────────

READERS: Final = (
    "database.access_logging",
    "repository.access_log",
    "repository.agreements",
    "repository.case_queries",
    "repository.case_records",
    "repository.cases",
    "repository.complaints",
    "repository.parties",
    "repository.sessions",
    "repository.timeline",
)


@pytest.fixture
def _checks_off() -> Iterator[None]:
    """Everything is within every access scope, as far as `access_scope.py` says."""

    def everybody(_role: Role) -> AnySelect:
        return select(t.participants).join(t.parties, t.parties.c.id == t.participants.c.party_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScopeKind, "where", lambda _kind, _table: true())
        for reader in READERS:
            module = f"mediation_api.{reader}"
            for condition in ("peers_visible", "peers_visible_to"):
                patch.setattr(f"{module}.{condition}", lambda _: true(), raising=False)
            patch.setattr(f"{module}.own_participation", everybody, raising=False)
        with put_together_anew():
            yield


def _ids(place: Place, table: Table) -> list[UUID]:
    return [UUID(str(row["id"])) for row in place.truth.rows[table.name]]


async def _all_reads(place: Place, connection: AsyncConnection, scope: AccessScope) -> AsyncIterator[object]:
    """Whatever the repository reads for a party, of every object there is."""
    page, today, policy = PageRequest(limit=100), date(2026, 3, 2), policy_of(place.settings)
    board, complaints, parties = CaseQueries(connection), Complaints(connection), Parties(connection)
    sessions, agreements, records = Sessions(connection), Agreements(connection), CaseRecords(connection)
    timeline, cases, readings = Timeline(connection), Cases(connection), AccessLog(connection)
    yield await board.list(scope, CaseListFilter(), page, today=today, policy=policy)
    yield await complaints.list(scope, ComplaintFilter(), page, today=today, policy=policy)
    yield await sessions.list(scope, SessionFilter(), page)
    by_case: list[Callable[[UUID, AccessScope], Awaitable[object]]] = [
        board.get,
        lambda id_, scope: agreements.list(id_, scope, page),
        lambda id_, scope: records.consents(id_, scope, page),
        records.withdrawals,
        lambda id_, scope: records.guardian_consents(id_, scope, page),
        cases.read,
        lambda id_, scope: timeline.of_case(id_, scope, page),
        lambda id_, scope: readings.of_case(id_, scope, page, zone=policy.target.zone),
    ]
    reads = [(read, t.cases) for read in by_case]
    reads += [(complaints.get, t.complaints), (parties.list, t.complaints), (parties.get, t.parties)]
    reads += [(sessions.get, t.sessions), (agreements.get, t.agreements)]
    for read, table in reads:
        for id_ in _ids(place, table):
            try:
                yield await read(id_, scope)
            except NotFound:
                continue


def _leaves(value: object) -> Iterator[str]:
    """Every id and text in what was read, however deep."""
    if isinstance(value, RowMapping | dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _leaves(each)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _leaves(getattr(value, name))
    elif value is not None:
        yield str(value)


@pytest.mark.drawn
@pytest.mark.usefixtures("_checks_off")
async def test_with_the_checks_of_the_domain_off_the_repository_reads_nothing_foreign(place: Place) -> None:
    words, read = place.truth.words(), 0
    for name, actor in place.actors.items():
        foreign = words - place.truth.words_of(actor)
        async with entered(place.service, actor) as connection:
            async for answer in _all_reads(place, connection, AccessScope(actor, Relation.OWN)):
                found = set(_leaves(answer))
                read += len(found)
                assert found & foreign == set(), name
    assert read > 1000


@pytest.mark.usefixtures("_checks_off")
async def test_without_the_wall_they_would(place: Place) -> None:
    actor = place.actors["asking: complainant 1"]
    foreign = place.truth.words() - place.truth.words_of(actor)
    async with place.service.transaction() as connection:
        stranger = await Parties(connection).get(_ids(place, t.parties)[0], AccessScope(actor, Relation.OWN))

    assert set(_leaves(stranger)) & foreign


# ── one transaction ────────────────────────────────────────────────────────────────────────────────────────────────

WHO = text("SELECT current_user, nullif(current_setting('mediation.parties', true), '')")


async def test_the_wall_ends_with_the_transaction(place: Place) -> None:
    one = Database.of(place.settings.model_copy(update={"party_pool_size": 1}))
    try:
        async with one.as_party(place.actors["mediated: officer 1"]) as connection:
            role, parties = (await connection.execute(WHO)).one()
            assert role == "mediation_party"
            assert parties is not None
        async with one.reading(Pool.PARTIES) as connection:
            assert (await connection.execute(WHO)).one() == (await _login(place), None)
            assert await connection.scalar(text("SELECT count(*) > 1 FROM parties"))
    finally:
        await one.close()


async def _login(place: Place) -> str:
    async with place.service.reading() as connection:
        return str(await connection.scalar(text("SELECT session_user")))


async def test_who_leaves_is_the_service_again(place: Place) -> None:
    async with place.service.transaction() as connection:
        await assume_party(connection, place.actors["mediated: officer 1"])
        await reset_role(connection)
        assert await connection.scalar(text("SELECT current_user")) == await _login(place)


async def test_a_role_without_a_context_sees_nothing(place: Place) -> None:
    async with place.service.transaction() as connection:
        await connection.execute(text("SELECT set_config('role', 'mediation_party', true)"))
        for table in WALLED:
            assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table  # noqa: S608 - ours


async def test_what_a_party_is_shown_is_read_as_of_one_instant_and_writes_nothing(place: Place) -> None:
    async with place.service.as_party(place.actors["mediated: officer 1"]) as connection:
        settings = text("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
        assert (await connection.execute(settings)).one() == ("repeatable read", "on")


async def test_the_owner_of_the_tables_is_held_by_the_policies_too(place: Place) -> None:
    """A view of the owner's, or a service that connects as the owner by mistake, shows nothing."""
    async with place.owner.transaction() as connection:
        await connection.execute(text("CREATE ROLE mediation_test_owner"))
        await connection.execute(text("GRANT CREATE, USAGE ON SCHEMA public TO mediation_test_owner"))
        for table in ("parties", "visible_parties"):
            await connection.execute(text(f"ALTER TABLE {table} OWNER TO mediation_test_owner"))
        await connection.execute(text("SET LOCAL ROLE mediation_test_owner"))
        assert await connection.scalar(text("SELECT count(*) FROM parties")) == 0
        await connection.rollback()
