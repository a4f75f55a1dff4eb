"""Whom the service connects as: made by an administrator once, safe, and seen by the one who starts it."""

import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import NOON, Run

from mediation_api.cli.audit_statements import export
from mediation_api.cli.data import purge
from mediation_api.database.engine import Database, create_engine
from mediation_api.database.key_rotation import rotate
from mediation_api.database.migrations import migrations_config
from mediation_api.database.requirements import require_usable
from mediation_api.database.roles import roles_sql
from mediation_api.settings import Environment, Settings, SettingsError

OwnerOf = Callable[[Settings], Settings]
PASSWORD = "made up for one test"  # pragma: allowlist secret


def _as(settings: Settings, login: str) -> Settings:
    url = make_url(settings.database_url.get_secret_value()).set(username=login, password=PASSWORD)
    return settings.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})


@pytest.fixture
async def administrator(settings: Settings, as_owner: OwnerOf) -> AsyncIterator[AsyncEngine]:
    """The server's administrator, in this worker's database."""
    engine = create_engine(as_owner(settings)).execution_options(isolation_level="AUTOCOMMIT")
    yield engine
    await engine.dispose()


@pytest.fixture
async def login(run: Run, administrator: AsyncEngine) -> AsyncIterator[str]:
    """A login that is a member of nothing yet."""
    name = f"{run.prefix}_{uuid.uuid4().hex[:8]}"
    async with administrator.connect() as connection:
        await connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"))
        yield name
        await connection.execute(text(f"DROP OWNED BY {name}"))
        await connection.execute(text(f"DROP ROLE {name}"))


async def _require_usable(settings: Settings) -> None:
    await require_usable(settings.model_copy(update={"environment": Environment.PRODUCTION}))


async def _run(engine: AsyncEngine, statement: str) -> None:
    async with engine.connect() as connection:
        await connection.exec_driver_sql(statement)


GRANTS = """
    SELECT role, c.table_name, privilege,
        CASE WHEN role = 'mediation_service' AND has_table_privilege(role, c.table_name, privilege) THEN '*'
            ELSE string_agg(c.column_name::text, ' ' ORDER BY c.column_name::text) END
    FROM information_schema.columns c, unnest(array['mediation_party', 'mediation_service']) AS role,
        unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
    WHERE c.table_schema = 'public' AND CASE WHEN privilege IN ('DELETE', 'TRUNCATE', 'TRIGGER')
        THEN has_table_privilege(role, c.table_name, privilege)
        ELSE has_column_privilege(role, c.table_name, c.column_name, privilege) END
    GROUP BY role, c.table_name, privilege
"""


async def test_the_grants_are_those_of_the_snapshot(owner_database: Database, snapshot: Callable[..., None]) -> None:
    found: dict[str, dict[str, dict[str, str]]] = {}
    async with owner_database.reading() as connection:
        for role, table, privilege, columns in await connection.execute(text(GRANTS)):
            found.setdefault(role, {}).setdefault(table, {})[privilege] = columns
    snapshot("grants", found)


async def test_a_login_of_the_service_is_safe(settings: Settings) -> None:
    await _require_usable(settings)


async def test_making_the_roles_again_changes_nothing(administrator: AsyncEngine, settings: Settings) -> None:
    await _run(administrator, roles_sql())
    await _run(administrator, roles_sql())

    await _require_usable(settings)


async def test_a_superuser_is_refused(settings: Settings, as_owner: OwnerOf) -> None:
    with pytest.raises(SettingsError, match="MEDIATION_DATABASE_URL: connects as a superuser"):
        await _require_usable(as_owner(settings))


async def test_outside_development_a_role_that_is_not_safe_is_not_ready(settings: Settings, as_owner: OwnerOf) -> None:
    """Also where the database was away when the service started."""
    production = {"environment": Environment.PRODUCTION}
    for served, is_ready in ((settings, True), (as_owner(settings), False)):
        database = Database.of(served.model_copy(update=production))
        assert await database.ready() is is_ready
        await database.close()


async def test_a_role_that_passes_row_security_is_refused(
    administrator: AsyncEngine, login: str, settings: Settings
) -> None:
    await _run(administrator, f"GRANT mediation_service TO {login}")
    await _run(administrator, f"ALTER ROLE {login} BYPASSRLS")

    with pytest.raises(SettingsError, match="BYPASSRLS"):
        await _require_usable(_as(settings, login))


async def test_an_owner_of_a_table_is_refused(administrator: AsyncEngine, login: str, settings: Settings) -> None:
    await _run(administrator, f"GRANT mediation_service TO {login}")
    await _require_usable(_as(settings, login))
    await _run(administrator, "CREATE TABLE of_somebody ()")
    await _run(administrator, f"ALTER TABLE of_somebody OWNER TO {login}")

    with pytest.raises(SettingsError, match="owner of tables"):
        await _require_usable(_as(settings, login))


async def test_a_role_that_cannot_read_as_a_party_is_refused(login: str, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="cannot become mediation_party; connect as mediation_service"):
        await _require_usable(_as(settings, login))


async def test_whoever_owns_a_database_can_migrate_it_and_the_service_serves(
    run: Run, administrator: AsyncEngine, login: str, settings: Settings
) -> None:
    """No superuser: what a city's administrator gives is an owner for the migrations, and a login for the service."""
    name = f"{run.prefix}_{uuid.uuid4().hex[:12]}"
    await _run(administrator, f'CREATE DATABASE "{name}" OWNER {login}')
    url = make_url(_as(settings, login).database_url.get_secret_value()).set(database=name)
    owner = _with(settings, url.render_as_string(hide_password=False))
    service = make_url(settings.database_url.get_secret_value()).set(database=name)
    config = migrations_config()
    config.attributes["settings"] = owner
    try:
        with ThreadPoolExecutor(1) as thread:  # migrating runs a loop of its own
            thread.submit(command.upgrade, config, "head").result()
        database = Database.of(_with(settings, service.render_as_string(hide_password=False)))
        assert await database.ready()
        async with database.transaction() as connection:
            await connection.execute(text(COMPLAINT))
            # The key that it points at is looked up as the owner, whom row security does not hold there.
            await connection.execute(text(PARTY))
        await database.close()
        # The owner itself, as whom nothing is served, sees no row; and does not find that all is well with none.
        assert await _count(owner) == 0
        with pytest.raises(SettingsError, match="which sees every event"):
            await export(owner, BytesIO(), at=NOON)
        with pytest.raises(SettingsError, match="which sees every row"):
            await rotate(owner)
        with pytest.raises(SettingsError, match="which sees every row"):
            await purge(owner)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(command.downgrade, config, "base").result()
    finally:
        await _run(administrator, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


COMPLAINT = """
    INSERT INTO complaints
        (id, reference, channel, narrative, allegations, interested_in_mediation, rank_initiated, filed_at, by_role, by)
    VALUES (gen_random_uuid(), '1', 'phone', '', '{}', true, false, now(), 'intake', 'x')
"""
PARTY = """
    INSERT INTO parties (id, complaint_id, side, name, email_allowed, language, minor, added_at)
    SELECT gen_random_uuid(), id, 'complainant', '', false, 'en', false, now() FROM complaints
"""


def _with(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(url)})


async def _count(settings: Settings) -> int:
    database = Database.of(settings)
    async with database.reading() as connection:
        found = await connection.scalar(text("SELECT count(*) FROM parties"))
    await database.close()
    return int(found)
