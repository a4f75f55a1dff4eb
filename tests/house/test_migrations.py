"""The migrations make what the tables say, can be undone, and are called by their time."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mediation_api.database import engine as engine_module
from mediation_api.database.engine import Database, create_engine
from mediation_api.database.migrations import EarlierVersionError, migrations_config, sql
from mediation_api.database.schema import migrations_folder, revisions
from mediation_api.database.tables import metadata
from mediation_api.settings import Settings

# What Alembic compares is not all there is: the catalogue knows constraints, and what they say.
CATALOGUE: Final = {
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype <> 't'
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default, is_identity
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "sequences": "SELECT sequencename, data_type::text, start_value FROM pg_sequences WHERE schemaname = 'public'",
}
TRIGGERS: Final = "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"

Rows = set[tuple[str, ...]]


def _rows(connection: Connection, query: str) -> Rows:
    rows = connection.execute(text(query)).all()
    return {tuple(str(value) for value in row) for row in rows if "alembic_version" not in str(row)}


def _catalogue(connection: Connection) -> dict[str, Rows]:
    return {name: _rows(connection, query) for name, query in CATALOGUE.items()}


def _migrate(settings: Settings, revision: str) -> None:
    config = migrations_config()
    config.attributes["settings"] = settings
    move = command.upgrade if revision == "head" else command.downgrade
    with ThreadPoolExecutor(1) as thread:  # migrating runs a loop of its own
        thread.submit(move, config, revision).result()


@pytest.fixture
def owned(committed: Settings, as_owner: Callable[[Settings], Settings]) -> Settings:
    """A database of the test's own, as its owner."""
    return as_owner(committed)


@pytest.fixture
async def migrated(owned: Settings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(owned, statement_timeout_ms=0)
    yield engine
    await engine.dispose()


async def test_alembic_finds_no_difference_to_the_tables(migrated: AsyncEngine) -> None:
    def difference(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    async with migrated.connect() as connection:
        assert await connection.run_sync(difference) == []


async def test_the_catalogue_after_migrating_is_that_of_the_tables(migrated: AsyncEngine) -> None:
    async with migrated.begin() as connection:
        after_migrating = await connection.run_sync(_catalogue)
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
        await connection.execute(text("CREATE EXTENSION IF NOT EXISTS btree_gist"))
        await connection.run_sync(metadata.create_all)
        from_tables = await connection.run_sync(_catalogue)

    for name in CATALOGUE:
        assert after_migrating[name] == from_tables[name], name


async def test_a_migration_waits_for_another_one_longer_than_a_request_may_take(
    migrated: AsyncEngine, owned: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_ANSWER_SECONDS", 0.1)
    hurried = owned.model_copy(update={"statement_timeout_ms": 100})
    with ThreadPoolExecutor(1) as thread:
        async with migrated.connect() as other:
            await other.execute(text("SELECT pg_advisory_xact_lock(2026112801)"))
            second = thread.submit(_migrate, hurried, "head")
            await asyncio.sleep(1)
            assert not second.done()
        second.result()


@pytest.mark.drawn
async def test_migrations_can_be_undone_and_done_again(migrated: AsyncEngine, owned: Settings) -> None:
    async with migrated.connect() as connection:
        before = await connection.run_sync(_catalogue)
        triggers = await connection.run_sync(_rows, TRIGGERS)

    _migrate(owned, "base")
    async with migrated.connect() as connection:
        left = await connection.run_sync(_catalogue)
        functions = await connection.run_sync(
            _rows,
            "SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS "
            "(SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')",
        )
    assert left == {name: set() for name in CATALOGUE}
    assert functions == set()

    _migrate(owned, "head")
    async with migrated.connect() as connection:
        assert await connection.run_sync(_catalogue) == before
        assert await connection.run_sync(_rows, TRIGGERS) == triggers


async def test_a_database_of_another_version_is_refused_in_one_line(
    migrated: AsyncEngine, owned: Settings, committed: Settings
) -> None:
    database = Database.of(committed)
    ready = {}
    for revision in ("20261128_1720", "29991231_2359", revisions()[0], revisions()[-1]):
        async with migrated.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        ready[revision] = await database.ready()
        if revision == "20261128_1720":
            with pytest.raises(EarlierVersionError, match=r"^The database was made by an earlier version; [^\n]*$"):
                _migrate(owned, "head")
        if revision == "29991231_2359":
            with pytest.raises(CommandError, match=r"^The database was migrated by a newer release: [^\n]*$"):
                _migrate(owned, "head")
    await database.close()
    # A newer release may have migrated already, and is safe under this one.
    assert ready == {"20261128_1720": False, "29991231_2359": True, revisions()[0]: False, revisions()[-1]: True}


@pytest.mark.parametrize("path", sorted((migrations_folder() / "sql").glob("*")), ids=lambda path: path.name)
def test_a_file_of_sql_creates_one_object_and_is_used_by_one_migration(path: Path) -> None:
    created = re.findall(r"^CREATE (?:CONSTRAINT )?(?:FUNCTION|TRIGGER|VIEW) (\w+)", sql(path.stem), re.MULTILINE)
    users = [
        migration.name
        for migration in (migrations_folder() / "versions").glob("*.py")
        if re.search(rf"\b{path.stem}\b", migration.read_text(encoding="utf-8"))
    ]

    assert path.suffix == ".sql"
    assert len(created) == 1
    assert path.stem.endswith(created[0])  # the trigger of a table carries the table's name as well
    assert users, "nothing creates it"


def test_the_names_of_the_files_are_the_revisions_and_the_last_is_the_one_head() -> None:
    """So that the service knows them without running them."""
    scripts = ScriptDirectory.from_config(migrations_config())

    assert list(revisions()) == [script.revision for script in scripts.walk_revisions()][::-1]
    assert scripts.get_heads() == [revisions()[-1]]


@pytest.mark.parametrize("path", sorted((migrations_folder() / "versions").glob("*.py")), ids=lambda path: path.name)
def test_a_migration_is_called_by_its_time(path: Path) -> None:
    assert re.fullmatch(r"20\d{6}_\d{4}_[a-z0-9_]+\.py", path.name)
