"""What is wrong with the database, in one line of every command that uses it."""

import asyncio
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url
from tests.certificates import certificate_authority
from tests.cli.database_servers import answering, refusing, silent, with_certificate, without_tls
from tests.conftest import execute
from tests.places import THROW_AWAY
from tests.promises.production import production_environment
from typer.testing import CliRunner

from mediation_api.cli.main import app
from mediation_api.database import connecting
from mediation_api.database.roles import roles_sql
from mediation_api.dev.embedded_postgres import EmbeddedServer
from mediation_api.settings import Settings

CANARY: Final = "c4n4ry"
PASSWORD: Final = f"{CANARY}-of-one-test"
LOGIN: Final = f"""
    CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}';
    CREATE ROLE full LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0;
    GRANT mediation_service TO clerk;
    CREATE DATABASE other OWNER clerk;
"""
PASSWORDS: Final = "local all mediation trust\nlocal all all scram-sha-256\n"
REQUIRING: Final = "sslmode=require"
UNENCRYPTED: Final = "sslmode=disable"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """A server that wants passwords, with databases that are not migrated."""
    with tempfile.TemporaryDirectory(prefix="mediation-faults-", dir=THROW_AWAY) as name:
        Path(name).chmod(0o711)
        server = EmbeddedServer(Path(name) / "database", durable=False)
        server.start()
        try:
            server.create_database()
            asyncio.run(execute(server.url(), roles_sql(), *filter(str.strip, LOGIN.split(";"))))
            (server.data / "pg_hba.conf").write_text(PASSWORDS, encoding="utf-8")
            asyncio.run(execute(server.url(), "SELECT pg_reload_conf()"))
            yield server
        finally:
            server.stop()


def _url(server: EmbeddedServer, database: str = "mediation", user: str = "clerk", password: str = PASSWORD) -> str:
    url = make_url(server.url(database)).set(username=user, password=password)
    return url.render_as_string(hide_password=False)


OF_THE_SERVER: Final[dict[str, tuple[Callable[[EmbeddedServer], str], str]]] = {
    "wrong password": (
        lambda server: _url(server, password=f"{CANARY}-wrong"),
        "The database refused the password in MEDIATION_DATABASE_URL: correct it there ",
    ),
    "no such database": (
        lambda server: _url(server, database="nowhere"),
        "The database that MEDIATION_DATABASE_URL names does not exist on that server: ",
    ),
    "too many connections": (
        lambda server: _url(server, user="full"),
        "The database server has no connection left: raise its max_connections ",
    ),
    "no such socket": (
        lambda server: _url(server).replace("host=", "host=/none"),
        "Nothing listens at host and port of MEDIATION_DATABASE_URL: ",
    ),
}


@contextmanager
def _port_of_nobody() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    yield port


def _at(port: int, parameters: str = UNENCRYPTED, host: str = "127.0.0.1") -> str:
    return f"postgresql://clerk:{CANARY}@{host}:{port}/mediation?{parameters}"


OF_THE_ADDRESS: Final = {
    "misspelt": (_at(1, f"sslmode={CANARY}"), "MEDIATION_DATABASE_URL: sslmode must be one of allow, disable, "),
    "not encoded": (
        f"postgresql://clerk:p@{CANARY}:w/rd@db/mediation",
        "MEDIATION_DATABASE_URL: is not a valid URL: percent-encode the user and the password (@ is %40, ",
    ),
    "no port": (f"postgresql://clerk:{CANARY}@db:5432x/mediation", "MEDIATION_DATABASE_URL: must have a port "),
    "unknown host": (_at(5432, host="db.invalid"), "The host in MEDIATION_DATABASE_URL is not known: "),
    "no such file": (
        _at(1, f"sslmode=verify-full&sslrootcert=/{CANARY}.pem"),
        "MEDIATION_DATABASE_URL: sslrootcert names no file with a certificate (PEM) that can be read",
    ),
    "no authority": (
        _at(1, "sslmode=verify-full"),
        "sslmode=verify-ca and verify-full in MEDIATION_DATABASE_URL need ",
    ),
}
OF_ANOTHER_SERVER: Final = {
    "refused": (_port_of_nobody(), UNENCRYPTED, "Nothing listens at host and port of MEDIATION_DATABASE_URL: "),
    "silent": (answering(silent), UNENCRYPTED, "The database did not answer in time: "),
    "without TLS": (answering(without_tls), REQUIRING, "The server at MEDIATION_DATABASE_URL is not PostgreSQL, or "),
    "starting up": (answering(refusing("57P03")), UNENCRYPTED, "The database server is starting up or shutting down"),
    "no such user": (answering(refusing("28000")), UNENCRYPTED, "The database does not let the user of MEDIATION_DATA"),
    "a pooler": (answering(refusing("08P01")), UNENCRYPTED, "The server at MEDIATION_DATABASE_URL refused what the "),
    "unknown": (answering(refusing("XX000")), UNENCRYPTED, "The database refused, with SQLSTATE XX000: see its log."),
}


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command, and return the one line with which it ended: `refused("migrate", url=…)`."""
    monkeypatch.setenv("MEDIATION_ENVIRONMENT", "dev")
    monkeypatch.setattr(connecting, "HOST_SECONDS", 1.0)

    def run(*command: str, url: str) -> str:
        monkeypatch.setenv("MEDIATION_DATABASE_URL", url)
        done = CliRunner().invoke(app, command)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.output
        assert CANARY not in done.stderr
        return done.stderr

    return run


@pytest.mark.parametrize("name", OF_THE_SERVER)
def test_a_fault_of_the_database_is_told_in_words(
    server: EmbeddedServer, refused: Callable[..., str], name: str
) -> None:
    url_of, words = OF_THE_SERVER[name]
    assert refused("migrate", url=url_of(server)).startswith(words)


@pytest.mark.parametrize("name", OF_THE_ADDRESS)
def test_a_fault_of_the_address_is_told_in_words(refused: Callable[..., str], name: str) -> None:
    url, words = OF_THE_ADDRESS[name]
    assert refused("migrate", url=url).startswith(words)


@pytest.mark.parametrize("name", OF_ANOTHER_SERVER)
def test_a_fault_of_the_connection_is_told_in_words(refused: Callable[..., str], name: str) -> None:
    listening, parameters, words = OF_ANOTHER_SERVER[name]
    with listening as port:
        assert refused("migrate", url=_at(port, parameters)).startswith(words)


def test_a_certificate_of_another_authority_is_told_in_words(refused: Callable[..., str], tmp_path: Path) -> None:
    server, _ = certificate_authority(tmp_path, "city"), certificate_authority(tmp_path, "other")
    with answering(with_certificate(server())) as port:
        url = _at(port, f"sslmode=verify-full&sslrootcert={tmp_path}/other.pem")
        assert refused("migrate", url=url).startswith("The certificate of the database server is not valid for ")


COMMANDS: Final = (
    ("retention",),
    ("keys", "rotate"),
    ("keys", "status"),
    ("audit", "export"),
    ("audit", "verify"),
)


@pytest.fixture
def complete(settings: Settings, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complete settings of production, with another database."""
    for name, value in production_environment(settings, keys, tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_tells_it_in_the_same_words(
    server: EmbeddedServer, refused: Callable[..., str], command: tuple[str, ...]
) -> None:
    _, words = OF_THE_SERVER["wrong password"]
    assert refused(*command, url=_url(server, password=f"{CANARY}-wrong")).startswith(words)
    not_migrated = refused(*command, url=_url(server, "other"))
    assert not_migrated.startswith("The database is not migrated to this release: run `mediation-api migrate` ")


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize(
    ("url_of", "words"),
    [
        OF_THE_SERVER["wrong password"],
        OF_THE_SERVER["no such database"],
        (partial(_url, user="mediation"), "MEDIATION_DATABASE_URL: connects as a superuser or a role with BYPASSRLS; "),
        (_url, "The database is not migrated to this release: run `mediation-api migrate` "),
    ],
)
def test_serve_does_not_start_and_its_log_says_why(
    server: EmbeddedServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url_of: Callable[[EmbeddedServer], str],
    words: str,
) -> None:
    monkeypatch.setenv("MEDIATION_DATABASE_URL", url_of(server))

    done = CliRunner().invoke(app, ["serve"])

    assert (done.exit_code, done.output) == (2, "")
    assert [record.getMessage().startswith(words) for record in caplog.records] == [True], caplog.text
    assert CANARY not in caplog.text
