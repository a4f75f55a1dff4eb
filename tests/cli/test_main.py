"""The command line: `dev` from nothing to a service and back, and one line for whatever goes wrong."""

import asyncio
import base64
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from tests.places import THROW_AWAY
from tests.promises.production import free_port, production_environment
from tests.promises.test_log import FIELDS
from tests.serving import START_SECONDS, wait_until_answered
from typer.testing import CliRunner

from mediation_api.auth.tokens import CITY_ROLES
from mediation_api.cli.dev import prepare
from mediation_api.cli.main import app
from mediation_api.database.batching import batched
from mediation_api.database.data_keys import new_data_key
from mediation_api.database.engine import create_engine
from mediation_api.database.requirements import require_usable
from mediation_api.database.schema import migrations_folder
from mediation_api.dev.embedded_postgres import EmbeddedServer
from mediation_api.domain.access import Role
from mediation_api.settings import Settings, SettingsError, markdown_table

PROGRAM: Final = Path(sys.executable).with_name("mediation-api")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def _is_one_line(done: subprocess.CompletedProcess[str], *words: str) -> bool:
    lines = done.stderr.splitlines()
    return done.returncode == 2 and len(lines) == 1 and all(word in lines[0] for word in words)


@pytest.fixture
def place() -> Iterator[Path]:
    """A data directory that the user PostgreSQL runs as can reach; pytest's own is closed to it."""
    with tempfile.TemporaryDirectory(prefix="mediation-cli-", dir=THROW_AWAY) as name:
        Path(name).chmod(0o711)
        yield Path(name) / "data"


class Dev:
    """A running `mediation-api dev`."""

    def __init__(self, place: Path, port: int) -> None:
        self.port = port
        self.output = place.parent / f"output-{port}"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [PROGRAM, "dev", "--data-dir", place, "--port", str(port)], stdout=output, stderr=subprocess.STDOUT
            )

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_until_live(self) -> None:
        wait_until_answered(self.process, f"http://127.0.0.1:{self.port}/health/live", self.said)

    def get(self, target: str, request_id: str) -> None:
        httpx.get(f"http://127.0.0.1:{self.port}{target}", headers={"X-Request-Id": request_id})

    def access_code(self) -> str:
        found = re.search(r"Access code +(\S+)", self.said())
        assert found is not None, self.said()
        return found[1]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(START_SECONDS)


@contextmanager
def _dev(place: Path) -> Iterator[Dev]:
    running = Dev(place, free_port())
    try:
        running.wait_until_live()
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGINT)


def _postgres_on(place: Path) -> list[str]:
    listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True)  # noqa: S607 - any ps
    return [line for line in listed.stdout.splitlines() if f"-D {place}" in line]


def _ended_in_order(place: Path) -> bool:
    """Whether the database was stopped, and had written all that it had to before."""
    log = (place / "database" / "postgres.log").read_text(encoding="utf-8").splitlines()
    # Told to stop at once, it writes the second of these and not the first.
    return any("LOG:  shutting down" in line for line in log) and "is shut down" in log[-1] and not _postgres_on(place)


def _assert_logs_requests_as_serve_does(running: Dev) -> None:
    for number in (1, 2):  # the line is written when the answer has been sent: that of the first is there by then
        running.get("/health/live?c4n4ry", f"r-{number}")
    lines = [json.loads(line) for line in running.said().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("request_id") == "r-1"]
    assert set(line) == FIELDS
    assert (line["route"], line["status"]) == ("/health/live", 200)
    assert "c4n4ry" not in json.dumps(lines)


@pytest.mark.program
def test_dev_starts_from_nothing_stands_alone_and_keeps_everything_however_it_ends(place: Path) -> None:
    with _dev(place) as running:
        said = running.said()
        before = said.partition("is starting on")[0].splitlines()
        assert len(before) <= 4, "the requests that load the demo data are no lines of the log"
        assert f"http://127.0.0.1:{running.port}/docs" in said
        assert {line.partition("=")[0] for line in said.splitlines() if "=eyJ" in line} == {
            role.value.upper() for role in CITY_ROLES
        }
        assert _postgres_on(place)

        taken = _run("dev", "--data-dir", str(place), "--port", str(running.port))
        locked = _run("dev", "--data-dir", str(place), "--port", str(free_port()))
        assert _is_one_line(taken, f"Port {running.port}", "--port"), taken.stderr
        assert _is_one_line(locked, "in use by process", str(running.process.pid)), locked.stderr

        code = running.access_code()
        _assert_logs_requests_as_serve_does(running)
        running.end(signal.SIGKILL)
        assert _postgres_on(place), "nobody told the database"

    # What it made is its owner's alone.
    assert [path.name for path in place.iterdir() if path.is_file() and path.stat().st_mode & 0o077] == []
    assert (place / "database").stat().st_mode & 0o077 == 0
    keys = {path.name: path.read_bytes() for path in place.iterdir() if path.suffix in {".pem", ".txt", ".json"}}

    with _dev(place) as again:
        assert again.access_code() == code
        assert again.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert "Traceback" not in again.said()
    assert "the worker repeats" in again.said()
    assert "the worker has stopped" in again.said()
    assert _ended_in_order(place)
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.name in keys} == keys


@pytest.fixture
def fresh_server(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """A server of development with an empty database, in which nobody has made the roles."""
    place.mkdir()
    place.chmod(0o711)
    prepare(place)
    server = EmbeddedServer(place / "database", durable=False)
    server.start()
    try:
        server.create_database()
        with monkeypatch.context() as environment:
            environment.setenv("MEDIATION_ENVIRONMENT", "dev")
            environment.setenv("MEDIATION_DATA_DIRECTORY", str(place))
            environment.setenv("MEDIATION_DATABASE_URL", server.url())
            yield server
    finally:
        server.stop()


@pytest.mark.program
def test_the_data_of_an_earlier_version_is_told_in_one_line_to_be_removed(
    place: Path, fresh_server: EmbeddedServer
) -> None:
    assert _refused("migrate") == (
        "The roles of the service do not exist: create them with the SQL of `mediation-api roles`.\n"
    )
    asyncio.run(_execute(fresh_server.url(), (migrations_folder() / "roles.sql").read_text(encoding="utf-8")))
    asyncio.run(_execute(fresh_server.url(), "CREATE TABLE alembic_version AS SELECT '20261128_1720' AS version_num"))
    assert _refused("migrate") == (
        "The database was made by an earlier version; drop it and start with an empty one.\n"
    )
    fresh_server.stop()

    refused = _run("dev", "--data-dir", str(place), "--port", str(free_port()))

    folder = fresh_server.directory if fresh_server.moved else place
    assert (refused.returncode, refused.stderr) == (
        2,
        f"The database in {folder} was made by an earlier version; remove that folder and start again.\n",
    )
    assert _ended_in_order(place)


async def _execute(url: str, statement: str) -> None:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.begin() as connection:
        await connection.exec_driver_sql(statement)
    await engine.dispose()


@pytest.fixture
def development(keys: Path, tmp_path: Path) -> Path:
    """A data directory with keys and secrets."""
    for path in keys.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in ("access_code_secret", "cursor_secret", "search_secret"):
        (tmp_path / f"{name}.txt").write_text(f"dev-only-{name:-<40}", encoding="utf-8")
    (tmp_path / "encryption_keys.txt").write_text(f"dev-only-1:{'k' * 43}=", encoding="utf-8")
    return tmp_path


def _invoke(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def _refused(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def _refused_to_serve(caplog: pytest.LogCaptureFixture) -> str:
    done = CliRunner().invoke(app, ["serve"])
    assert (done.exit_code, done.output) == (2, "")
    (record,) = [record for record in caplog.records if record.name == "mediation_api.cli.serve"]
    return record.getMessage()


def test_a_token_says_what_was_asked(development: Path) -> None:
    token = _invoke(
        "token", "--role", "officer", "--employee-number", "4711", "--subject", "ann", "--data-dir", str(development)
    )

    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (claims["role"], claims["sub"], claims["employee_number"]) == ("officer", "ann", "4711")
    assert claims["exp"] > datetime.now(UTC).timestamp()


def test_members_of_the_public_get_no_token_of_the_city(development: Path) -> None:
    said = _refused("token", "--role", Role.COMPLAINANT.value, "--data-dir", str(development))

    assert "exchange an access code" in said


def test_a_token_needs_the_keys_of_development(tmp_path: Path) -> None:
    assert "`mediation-api dev` creates it" in _refused("token", "--role", "intake", "--data-dir", str(tmp_path))


def test_demo_data_does_not_go_into_a_database_by_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIATION_DATABASE_URL", "postgresql://api@db.example/mediation")

    assert "MEDIATION_ENVIRONMENT=dev" in _refused("seed")


def test_demo_data_needs_a_database(development: Path) -> None:
    assert _refused("seed", "--data-dir", str(development)) == "MEDIATION_DATABASE_URL: is required\n"


def test_unsafe_settings_stop_the_start_with_one_line() -> None:
    assert _refused("retention").startswith("MEDIATION_TOKEN_ISSUER: is required; ")


@pytest.fixture
def in_development(development: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIATION_ENVIRONMENT", "dev")
    monkeypatch.setenv("MEDIATION_DATA_DIRECTORY", str(development))


@pytest.mark.usefixtures("in_development")
def test_serving_and_migrating_need_a_database(caplog: pytest.LogCaptureFixture) -> None:
    assert _refused("migrate") == "MEDIATION_DATABASE_URL: is required\n"
    assert _refused_to_serve(caplog) == "MEDIATION_DATABASE_URL: is required"


def test_migrating_needs_no_secret_and_twice_is_harmless(
    committed: Settings, as_owner: Callable[[Settings], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIATION_DATABASE_URL", as_owner(committed).database_url.get_secret_value())

    assert _invoke("migrate") == ""


@pytest.mark.usefixtures("in_development")
@pytest.mark.parametrize("name", ["PORT", "METRICS_PORT"])
def test_a_taken_port_stops_serve_with_one_line(
    committed: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setenv("MEDIATION_DATABASE_URL", committed.database_url.get_secret_value())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv(f"MEDIATION_{name}", str(taken.getsockname()[1]))

        assert f"MEDIATION_{name}: cannot listen there" in _refused_to_serve(caplog)


def test_serve_refuses_to_connect_as_the_owner_of_the_tables(
    committed: Settings,
    as_owner: Callable[[Settings], Settings],
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in production_environment(as_owner(committed), keys, tmp_path).items():
        monkeypatch.setenv(name, value)

    assert _refused_to_serve(caplog).startswith("MEDIATION_DATABASE_URL: connects as a")


@pytest.fixture
def with_a_data_key(in_development: None, committed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in which something is sealed under the key of development, and its address in the environment."""
    del in_development

    async def wrap() -> None:
        engine = create_engine(committed)
        async with engine.begin() as connection:
            for statement, values in batched([new_data_key(connection, uuid4())[1]]):
                await connection.execute(statement, values)
        await engine.dispose()

    asyncio.run(wrap())
    monkeypatch.setenv("MEDIATION_DATABASE_URL", committed.database_url.get_secret_value())


def test_a_made_key_is_one_that_the_settings_take() -> None:
    made = [_invoke("keys", "make").strip() for _ in range(2)]

    assert Settings._are_keys(SecretStr(",".join(made))).get_secret_value() == ",".join(made)


@pytest.mark.usefixtures("with_a_data_key")
def test_keys_rotate_to_the_first_one_and_the_status_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = f"dev-only-1:{'k' * 43}=", _invoke("keys", "make").strip()
    key_id = new.partition(":")[0]
    assert _invoke("keys", "status") == "1 data keys under dev-only-1 (current)\n"
    monkeypatch.setenv("MEDIATION_ENCRYPTION_KEYS", f"{new},{old}")
    left = CliRunner().invoke(app, ["keys", "status"])
    assert (left.exit_code, left.stdout) == (1, "1 data keys under dev-only-1\n")

    rotated = _invoke("keys", "rotate").splitlines()

    assert rotated == [
        "1 data keys wrapped, 0 employee numbers hashed.",
        f"1 data keys under {key_id} (current)",
    ]
    assert _invoke("keys", "rotate").startswith("0 data keys wrapped")


@pytest.mark.usefixtures("with_a_data_key")
def test_without_a_key_that_is_in_use_nothing_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MEDIATION_ENCRYPTION_KEYS", _invoke("keys", "make").strip())
    lacks = "MEDIATION_ENCRYPTION_KEYS: lacks dev-only-1, which is in use"

    assert _refused("keys", "rotate") == f"{lacks}\n"
    assert _refused("keys", "status") == f"{lacks}\n"
    assert _refused_to_serve(caplog) == lacks


@pytest.mark.usefixtures("with_a_data_key")
def test_a_secret_that_was_changed_is_refused_until_it_is_accepted(
    committed: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(require_usable(committed))
    secrets = {name: getattr(committed, name).get_secret_value() for name in ("cursor_secret", "search_secret")}
    for name, value in secrets.items():
        monkeypatch.setenv(f"MEDIATION_{name.upper()}", value)
    monkeypatch.setenv("MEDIATION_ACCESS_CODE_SECRET", "dev-only-" + "z" * 32)
    words = "MEDIATION_ACCESS_CODE_SECRET: is not the secret that this database was used with: "
    assert _refused_to_serve(caplog).startswith(words)

    assert _invoke("keys", "accept", "access_code_secret") == "access_code_secret accepted.\n"

    with pytest.raises(SettingsError, match=f"^{words}"):
        asyncio.run(require_usable(committed))


def test_the_roles_can_be_printed_for_an_administrator() -> None:
    assert _invoke("roles") == (migrations_folder() / "roles.sql").read_text(encoding="utf-8")


def test_the_table_of_settings_can_be_printed() -> None:
    assert _invoke("settings") == markdown_table()


def test_the_contract_can_be_printed_without_a_database() -> None:
    contract = json.loads(_invoke("openapi"))

    assert contract["openapi"].startswith("3.1")


def test_the_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", _invoke("version"))
