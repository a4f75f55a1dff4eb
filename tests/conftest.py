"""What tests stand on: a real PostgreSQL, migrated once, and a transaction that is rolled back after each test.

| Fixture | Gives |
| --- | --- |
| `snapshot` | `snapshot(name, found)`: a comparison with a file of tests/snapshots |
| `settings` | complete settings, with keys made for this run and the worker's database |
| `clock` | the time: `clock.now`, `clock.advance(days=3)`, `clock.set(…)` |
| `database` | transactions inside one that is rolled back |
| `owner_database` | the same for the owner of the tables, whom neither grants nor policies hold back |
| `as_owner` | settings that connect as the owner: `as_owner(committed)` |
| `app`, `client` | the application on that database, and an HTTP client that calls it without a network |
| `committed` | settings with a database of the test's own, for real commits, locks and several connections |
| `committed_client`, `committed_database` | the application on that one, and its transactions |
| `committed_template` | what each `committed` is a copy of; a module may bring another |
| `office`, `committed_office` | callers with tokens, and cases brought to where a test begins (dev/office.py) |
| `module_app`, `module_office` | the application, and the office of stories that are told once for a module |
| `undone` | the way back to where those ended |

The databases are migrated as their owner, and the application connects as the service: with a login of this run that
is a member of mediation_service. The server is an embedded one, started by the first test that needs it.
MEDIATION_TEST_SERVER_URL names another server instead, on which databases and logins called mediation_test_… may be
made and dropped; the two roles of migrations/roles.sql stay.
"""

import asyncio
import fcntl
import gc
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import randbelow, token_urlsafe
from typing import Final

import httpx
import pytest
from alembic import command
from fastapi import FastAPI
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from tests.office.snapshots import compare
from tests.openapi import census
from tests.openapi.conformity import REFUSALS, SEEN, Checked, contract
from tests.places import THROW_AWAY

from mediation_api.database.engine import Database, Pool, create_engine
from mediation_api.database.migrations import migrations_config
from mediation_api.database.roles import roles_sql
from mediation_api.database.transactions import CallingConnection, send
from mediation_api.dev.embedded_postgres import EmbeddedServer, stop_left_behind
from mediation_api.dev.identity_provider import write_dev_keys
from mediation_api.dev.office import Clock as StillClock
from mediation_api.dev.office import Office
from mediation_api.domain.values import ReportCategory
from mediation_api.settings import DEV_SECRET_PREFIX, Environment, Settings

SERVER_VARIABLE: Final = "MEDIATION_TEST_SERVER_URL"
BASE_URL: Final = "http://mediation.test"
NOON: Final = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
"""A Monday, noon in the office's time zone, six days before its clocks change."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the suite, shared by its workers."""

    directory: Path

    @property
    def prefix(self) -> str:
        """What the names of this run's databases begin with."""
        return f"mediation_test_{self.directory.name.rpartition('-')[2].lower()}"

    @property
    def template(self) -> str:
        """The database that all others are copies of: migrated, and empty."""
        return f"{self.prefix}_template"


# An example that hangs fails; one that waits for the processor on a busy machine does not.
hypothesis_settings.register_profile("usual", deadline=5000)
hypothesis_settings.load_profile("usual")
# pytest --hypothesis-profile=deep: many more examples, other ones each time.
hypothesis_settings.register_profile("deep", max_examples=1000, deadline=None, print_blob=True)

RUN: Final = pytest.StashKey[Run]()
SERVER: Final = pytest.StashKey[EmbeddedServer]()
WITHOUT_PROGRAMS: Final = pytest.StashKey[bool]()
FIRST_DRAWN: Final = pytest.StashKey[int]()
"""Which of the tests marked `drawn` is the first that runs; every tenth runs from there. Below zero, all run."""
NEVER_SEEN: Final = pytest.StashKey[list[tuple[str, ...]]]()
NEVER_USED: Final = pytest.StashKey[list[tuple[str, ...]]]()


_OBJECTS_PER_COLLECTION: Final = 200_000
"""Python's own 700 would have every tenth second of a run go into looking for garbage where there is none."""

_DRAWN_OF: Final = 10
"""Of the tests marked `drawn`, `make test` runs one of so many."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make generate` write what is compared with the contract's examples and tests/snapshots."""
    parser.addoption("--update-snapshots", action="store_true", help="Write the examples and snapshots anew.")


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a directory; a worker is told of its controller's."""
    config.addinivalue_line("markers", "program: starts programs of the service, which takes seconds")
    config.addinivalue_line("markers", "drawn: takes long; a run of the whole suite draws one of ten such tests")
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    # What a developer has set must not decide what the tests see.
    for name in [name for name in os.environ if name.startswith("MEDIATION_") and name != SERVER_VARIABLE]:
        del os.environ[name]
    given: dict[str, str] | None = getattr(config, "workerinput", None)
    if given is not None:
        config.stash[RUN] = Run(Path(given["mediation_run"]))
        config.stash[WITHOUT_PROGRAMS] = bool(given["without_programs"])
        config.stash[FIRST_DRAWN] = int(given["first_drawn"])
        return
    config.stash[WITHOUT_PROGRAMS] = _is_whole(config) and os.environ.get("PROGRAMS") != "whole"
    draws = _is_whole(config) and os.environ.get("DRAWN") != "whole"
    config.stash[FIRST_DRAWN] = int(os.environ.get("DRAWN", randbelow(_DRAWN_OF))) if draws else -1
    # Not pytest's own folder: that one is closed to the user that PostgreSQL runs as when root runs the tests.
    directory = Path(tempfile.mkdtemp(prefix="mediation-test-", dir=THROW_AWAY))
    directory.chmod(0o711)
    config.stash[RUN] = Run(directory)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes seconds: at the end, a worker would wait for the other one.

    Of the whole suite, the tests that start programs run with PROGRAMS=whole alone, and all of those marked `drawn`
    with DRAWN=whole.
    """
    if config.stash[WITHOUT_PROGRAMS]:
        _leave_out(config, items, [item for item in items if item.get_closest_marker("program")])
    if config.stash[FIRST_DRAWN] >= 0:
        drawn = [item for item in items if item.get_closest_marker("drawn")]
        _leave_out(config, items, [each for n, each in enumerate(drawn) if n % _DRAWN_OF != config.stash[FIRST_DRAWN]])
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


def _leave_out(config: pytest.Config, items: list[pytest.Item], those: Collection[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=those)
    left_out = set(those)
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Let what is loaded by now be: it stays as long as the run, and need not be gone through again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker of xdist where the run's directory is, and which tests it leaves out."""
    config: pytest.Config = node.config  # type: ignore[attr-defined] # xdist exports no type for its nodes
    node.workerinput["mediation_run"] = str(config.stash[RUN].directory)  # type: ignore[attr-defined] # as above
    node.workerinput["without_programs"] = config.stash[WITHOUT_PROGRAMS]  # type: ignore[attr-defined] # as above
    node.workerinput["first_drawn"] = config.stash[FIRST_DRAWN]  # type: ignore[attr-defined] # as above


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the run made, once its workers are gone."""
    run = config.stash.get(RUN, None)
    if run is None or hasattr(config, "workerinput"):
        return
    own = os.environ.get(SERVER_VARIABLE)
    if own and (run.directory / "url").exists():
        _aside(_drop_all(own, run.prefix))
        _aside(execute(own, f'DROP ROLE "{run.prefix}"'))
    elif SERVER in config.stash:
        config.stash[SERVER].stop()
    else:
        stop_left_behind(run.directory / "server")
    shutil.rmtree(run.directory, ignore_errors=True)


# ── the contract ───────────────────────────────────────────────────────────────────────────────────────────────────


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controller what was answered here, or compare all of it with the contract once the whole suite ran."""
    config = session.config
    _keep(config, "seen", {*SEEN, *REFUSALS})
    _keep(config, "used", census.USED)
    if hasattr(config, "workerinput") or session.exitstatus != pytest.ExitCode.OK or not _is_whole(config):
        return
    documented: set[tuple[str, ...]] = {*contract().documented(), *contract().refusals()}
    modes: set[tuple[str, ...]] = {*census.modes().every()}
    config.stash[NEVER_SEEN] = sorted(documented - _kept(config, "seen"))
    config.stash[NEVER_USED] = sorted(modes - _kept(config, "used") ^ census.NOT_DONE.keys())
    if config.stash[NEVER_SEEN] or config.stash[NEVER_USED]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _keep(config: pytest.Config, name: str, noted: Collection[tuple[str, ...]]) -> None:
    """Leave what was noted in this process for the controller."""
    file = config.stash[RUN].directory / f"{name}-{uuid.uuid4()}.json"
    file.write_text(json.dumps(sorted(noted)), encoding="utf-8")


def _kept(config: pytest.Config, name: str) -> set[tuple[str, ...]]:
    """Return what was noted in all processes."""
    files = config.stash[RUN].directory.glob(f"{name}-*.json")
    return {tuple(each) for file in files for each in json.loads(file.read_text(encoding="utf-8"))}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests were drawn, which documented statuses none has seen, and how much of the table was played."""
    first = config.stash[FIRST_DRAWN]
    if first >= 0:
        terminalreporter.line(
            f"of the tests marked drawn, one of {_DRAWN_OF} ran; the same again: DRAWN={first}, all: DRAWN=whole"
        )
    files = config.stash[RUN].directory.glob("matrix-*.json")
    counted = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    if counted:
        figures = (f"{sum(each[name] for each in counted)} {name}" for name in counted[0])
        terminalreporter.line(f"who may do what: {', '.join(figures)} (tests/routers/test_matrix.py)")
    never_seen = config.stash.get(NEVER_SEEN, [])
    if never_seen:
        terminalreporter.section("documented and never answered", red=True)
        terminalreporter.line(
            "Let a test ask for an answer of each of these, or take the status or the code out of what the route says."
        )
        for each in never_seen:
            terminalreporter.line(" ".join(each))
    never_used = config.stash.get(NEVER_USED, [])
    if never_used:
        terminalreporter.section("taken by the contract and never done", red=True)
        terminalreporter.line(
            "Let a test have each of these done (tests/routers/test_modes.py), or say in NOT_DONE of "
            "tests/openapi/census.py why none can. What stands there and was done goes out."
        )
        for name, mode in never_used:
            terminalreporter.line(f"{name} {mode}")


def _is_whole(config: pytest.Config) -> bool:
    """Whether all tests were asked for: no path, no -k, no -m, and not those alone that failed last time."""
    chosen = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise", "collectonly")
    by_path = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    return not by_path and not any(config.getoption(name, default=None) for name in chosen)


def _aside(work: Coroutine[object, object, None]) -> None:
    """Run a coroutine to its end on a loop of its own, whatever this thread's loop is doing."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _serving(url: str, database: str, run: Run) -> str:
    """The address of a database for the service: a login of this run, as a city makes its own."""
    password = (run.directory / "password").read_text(encoding="utf-8")
    login = make_url(url).set(database=database, username=run.prefix, password=password)
    return login.render_as_string(hide_password=False)


def _copied(name: str, template: str) -> str:
    """What makes a database like the template: as files, which is quicker than by way of the log."""
    return f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'


async def execute(server: str, *statements: str) -> None:
    """Execute statements at this address, each in a transaction of its own."""
    engine = create_async_engine(make_url(server).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)
    finally:
        await engine.dispose()


async def _drop_all(server: str, prefix: str) -> None:
    engine = create_async_engine(make_url(server).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            names = await connection.scalars(
                text("SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)"), {"prefix": prefix}
            )
            for name in names.all():
                await connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await engine.dispose()


def _start(config: pytest.Config, run: Run) -> str:
    own = os.environ.get(SERVER_VARIABLE)
    if own:
        return own
    server = EmbeddedServer(run.directory / "server", durable=False)
    server.start()
    config.stash[SERVER] = server
    return server.url("postgres")


def _settings(directory: Path, database_url: str) -> Settings:
    return Settings(
        environment=Environment.DEV,
        data_directory=directory,
        database_url=SecretStr(database_url),
        access_code_secret=SecretStr(DEV_SECRET_PREFIX + "a" * 32),
        cursor_secret=SecretStr(DEV_SECRET_PREFIX + "c" * 32),
        search_secret=SecretStr(DEV_SECRET_PREFIX + "s" * 32),
        encryption_keys=SecretStr(f"{DEV_SECRET_PREFIX}1:{'k' * 43}="),
        # What a city decides, so that most tests need not wait for it: tests/promises/ holds the defaults.
        days_between_attempts=0,
        max_attempts=10,
        contact_attempts_before_lapse=1,
        contact_channels_before_lapse=1,
        contact_days_before_lapse=0,
        report_categories=tuple(ReportCategory),
        requests_per_minute=1_000_000,  # the clock of most tests stands still
        filings_per_hour=1_000_000,
    )


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """This run of the suite."""
    return request.config.stash[RUN]


@pytest.fixture(scope="session")
def snapshot(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Compare what a test found with a file of tests/snapshots: `snapshot(name, found)`."""
    return partial(compare, update=request.config.getoption("--update-snapshots"))


@pytest.fixture(scope="session")
def keys(run: Run) -> Path:
    """The directory with the keys of the identity provider and of the service, made for this run."""
    directory = run.directory / "keys"
    with (run.directory / "keys.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_dev_keys(directory)
    return directory


@pytest.fixture(scope="session")
def server_url(run: Run, keys: Path, request: pytest.FixtureRequest) -> str:
    """The server, with a template database migrated to the newest revision. The first worker to ask makes both."""
    known = run.directory / "url"
    with (run.directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not known.exists():
            url = _start(request.config, run)
            password = token_urlsafe()
            login = f"CREATE ROLE \"{run.prefix}\" LOGIN PASSWORD '{password}' IN ROLE mediation_service"
            _aside(execute(url, roles_sql(), login))
            (run.directory / "password").write_text(password, encoding="utf-8")
            _aside(execute(url, f'CREATE DATABASE "{run.template}"'))
            config = migrations_config()
            config.attributes["settings"] = _settings(keys, _named(url, run.template))
            with ThreadPoolExecutor(1) as thread:  # migrating runs a loop of its own
                thread.submit(command.upgrade, config, "head").result()
            known.write_text(url, encoding="utf-8")
    return known.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def database_url(run: Run, server_url: str, worker_id: str) -> str:
    """This worker's database, a copy of the template."""
    name = f"{run.prefix}_{worker_id}"
    _aside(execute(server_url, _copied(name, run.template)))
    return _serving(server_url, name, run)


@pytest.fixture(scope="session")
def settings(keys: Path, database_url: str) -> Settings:
    """Complete settings on this worker's database."""
    return _settings(keys, database_url)


@contextmanager
def fresh_database(run: Run, keys: Path, server_url: str) -> Iterator[Settings]:
    """Settings on a fresh database, dropped afterwards."""
    name = f"{run.prefix}_{uuid.uuid4().hex[:12]}"
    _aside(execute(server_url, _copied(name, run.template)))
    yield _settings(keys, _serving(server_url, name, run))
    _aside(execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def committed_template(run: Run) -> str:
    """What `committed` is a copy of: a module may put a database in its place in which stories were told."""
    return run.template


@pytest.fixture(scope="session")
def committed_settings(run: Run, keys: Path, server_url: str, worker_id: str) -> Settings:
    """Settings on the one name that the databases of `committed` have, each in its turn."""
    return _settings(keys, _serving(server_url, f"{run.prefix}_{worker_id}_committed", run))


@pytest.fixture
def committed(committed_settings: Settings, committed_template: str, server_url: str) -> Iterator[Settings]:
    """Settings on a fresh database of this test alone, for real commits; dropped afterwards."""
    name = make_url(committed_settings.database_url.get_secret_value()).database
    assert name is not None
    _aside(execute(server_url, _copied(name, committed_template)))
    yield committed_settings
    _aside(execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def as_owner(server_url: str) -> Callable[[Settings], Settings]:
    """Settings that connect to the same database as the owner of its tables."""

    def owning(settings: Settings) -> Settings:
        database = make_url(settings.database_url.get_secret_value()).database
        assert database is not None
        return settings.model_copy(update={"database_url": SecretStr(_named(server_url, database))})

    return owning


@dataclass(slots=True)
class Clock(StillClock):
    """The time of a test, which begins at noon."""

    now: datetime = NOON


@pytest.fixture
def clock() -> Clock:
    """The time, standing still until the test moves it."""
    return Clock()


_AS_A_COMMIT_DOES: Final = "SET LOCAL ROLE NONE; SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED;"
"""A party's role ends with the transaction, and what is deferred is checked: the end of a savepoint does neither."""
_KEEP: Final = "RELEASE SAVEPOINT request; SAVEPOINT request;"
"""Keep what was done, and begin the transaction of whoever comes next."""


class RolledBackDatabase(Database):
    """Transactions that end as savepoints of one that is never committed.

    Requests that a test makes at once wait for each other here: what depends on several connections belongs into
    a test on `committed`.
    """

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection) -> None:
        super().__init__(engine, engine)
        self._connection = connection
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[object] | None = None

    @asynccontextmanager
    async def transaction(
        self, pool: Pool = Pool.OFFICE, *, caller: str | None = None
    ) -> AsyncIterator[AsyncConnection]:
        del pool, caller
        async with self._alone(), self._savepoint(_AS_A_COMMIT_DOES):
            yield self._connection

    @asynccontextmanager
    async def reading(self, pool: Pool = Pool.OFFICE, *, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        del pool, caller
        async with self._alone(), self._savepoint():
            yield self._connection

    @asynccontextmanager
    async def _snapshot(self, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        del caller
        async with self.transaction() as connection:
            yield connection

    @asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        """Let what is done meanwhile leave nothing behind, while what was there before stays."""
        driver = await self.driver()
        await driver.execute("SAVEPOINT before; SAVEPOINT request")
        try:
            yield
        finally:
            await driver.execute("ROLLBACK TO SAVEPOINT before; RELEASE SAVEPOINT before")

    @asynccontextmanager
    async def _savepoint(self, last: str = "") -> AsyncIterator[None]:
        # SQLAlchemy gives each savepoint a name of its own, and a statement prepared for it: they would crowd out,
        # on a connection that lasts as long as the run, the prepared statements of the service.
        driver = await self.driver()
        try:
            yield
            await send(self._connection, driver.last + last + _KEEP)
            driver.last = ""
        except BaseException:
            driver.last = ""
            await driver.execute("ROLLBACK TO SAVEPOINT request")
            raise

    async def driver(self) -> CallingConnection:
        """The connection of the driver."""
        driver = (await self._connection.get_raw_connection()).driver_connection
        assert isinstance(driver, CallingConnection)
        return driver

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert self._task is not task, "a second connection inside a transaction: it would not see its writes"
        async with self._turn:
            self._task = task
            try:
                yield
            finally:
                self._task = None


def keep_prepared(engine: AsyncEngine) -> AsyncEngine:
    """Let a connection keep all statements prepared that the service has.

    Here one connection runs those of all callers. The 100 that it keeps by default are too few for that, and to prepare
    one again takes longer than to run it.
    """

    @event.listens_for(engine.sync_engine, "do_connect")
    def keep(_dialect: object, _record: object, _arguments: object, parameters: dict[str, object]) -> None:
        parameters["prepared_statement_cache_size"] = parameters["statement_cache_size"] = 1000

    return engine


@pytest.fixture(scope="session")
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """This worker's pool."""
    engine = keep_prepared(create_engine(settings))
    yield engine
    await engine.dispose()


@asynccontextmanager
async def rolled_back(engine: AsyncEngine) -> AsyncIterator[RolledBackDatabase]:
    """Transactions that leave nothing behind."""
    async with engine.connect() as connection:
        outer = await connection.begin()
        # The time limit of a request would end a transaction that lasts as long as a test.
        await send(connection, "SET LOCAL idle_in_transaction_session_timeout = 0; SAVEPOINT request;")
        yield RolledBackDatabase(engine, connection)
        await outer.rollback()


@pytest.fixture
async def database(engine: AsyncEngine) -> AsyncIterator[RolledBackDatabase]:
    """Transactions that leave nothing behind."""
    async with rolled_back(engine) as database:
        yield database


@pytest.fixture(scope="session")
async def owner_engine(settings: Settings, as_owner: Callable[[Settings], Settings]) -> AsyncIterator[AsyncEngine]:
    """A pool of this worker's for the owner of the tables."""
    engine = keep_prepared(create_engine(as_owner(settings)))
    yield engine
    await engine.dispose()


@pytest.fixture
async def owner_database(owner_engine: AsyncEngine) -> AsyncIterator[RolledBackDatabase]:
    """The same for the owner of the tables."""
    async with rolled_back(owner_engine) as database:
        yield database


def application(settings: Settings, clock: Clock, database: Database) -> FastAPI:
    """Make the application on a given database."""
    # Here, because the tests of the domain start without the web framework.
    from mediation_api.main import create_app  # noqa: PLC0415
    from mediation_api.outreach.feed_poller import FeedPoller  # noqa: PLC0415

    app = create_app(settings, clock=clock)
    app.state.service = replace(app.state.service, database=database, feed=FeedPoller(database))
    return app


def calling(app: FastAPI) -> httpx.AsyncClient:
    """Make a client that calls the application in this process. An error inside answers 500, as in production.

    Each answer is held against the contract.
    """
    transport = Checked(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL)


@pytest.fixture
def app(settings: Settings, clock: Clock, database: RolledBackDatabase) -> FastAPI:
    """The application, each transaction rolled back at the end of the test."""
    return application(settings, clock, database)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of `app`."""
    async with calling(app) as client:
        yield client


@pytest.fixture(scope="session")
def committed_pools(committed_settings: Settings) -> Database:
    """Pools that outlive the databases they are on: to put a statement together again takes longer than to run it."""
    return Database.of(committed_settings)


@pytest.fixture
async def committed_database(committed: Settings, committed_pools: Database) -> AsyncIterator[Database]:
    """Transactions on `committed`, which commit."""
    del committed
    yield committed_pools
    await committed_pools.close()


@pytest.fixture
async def committed_client(
    committed: Settings, committed_database: Database, clock: Clock
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of an application with a pool and a database of its own, where commits are real."""
    async with calling(application(committed, clock, committed_database)) as client:
        yield client


@pytest.fixture
def office(client: httpx.AsyncClient, settings: Settings, clock: Clock) -> Office:
    """The office's staff, and the way to a new case; all of it rolled back."""
    return Office(client, settings, clock)


@pytest.fixture(scope="module")
async def module_database(engine: AsyncEngine) -> AsyncIterator[RolledBackDatabase]:
    """`database` for a module: what its fixtures tell is told once. Its tests take `undone`, and no `database`."""
    async with rolled_back(engine) as database:
        yield database


@pytest.fixture(scope="module")
def module_clock() -> Clock:
    """The time of a module's stories."""
    return Clock()


@pytest.fixture(scope="module")
def module_app(settings: Settings, module_clock: Clock, module_database: RolledBackDatabase) -> FastAPI:
    """`app` on that one."""
    return application(settings, module_clock, module_database)


@pytest.fixture(scope="module")
async def module_office(settings: Settings, module_clock: Clock, module_app: FastAPI) -> AsyncIterator[Office]:
    """`office` on that one, with a clock of its own."""
    async with calling(module_app) as client:
        yield Office(client, settings, module_clock)


@pytest.fixture
async def undone(module_database: RolledBackDatabase, module_clock: Clock) -> AsyncIterator[None]:
    """The stories of a module as its fixtures left them: what the test does, and its time, are undone."""
    now = module_clock.now
    async with module_database.undone():
        yield
    module_clock.now = now


@pytest.fixture
def committed_office(committed_client: httpx.AsyncClient, committed: Settings, clock: Clock) -> Office:
    """The same where commits are real."""
    return Office(committed_client, committed, clock)


@asynccontextmanager
async def office_on(settings: Settings, clock: Clock) -> AsyncIterator[Office]:
    """An office on a database of somebody's own, where commits are real."""
    database = Database.of(settings)
    async with calling(application(settings, clock, database)) as client:
        yield Office(client, settings, clock)
    await database.close()
