"""`mediation-api dev`, `token`, `seed` and `openapi`: development, and never production.

Nothing else imports the package `dev`, and an installed wheel holds neither.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final

import typer
from pydantic import SecretStr

from mediation_api.auth.tokens import CITY_ROLES
from mediation_api.cli.database import migrate_to_newest
from mediation_api.cli.keys import new_entry
from mediation_api.cli.output import fail, one_line_errors, require_database, say
from mediation_api.dev.embedded_postgres import EmbeddedServer, running_url
from mediation_api.dev.identity_provider import dev_token, write_dev_keys
from mediation_api.domain.access import Role
from mediation_api.logs import logging_configuration
from mediation_api.settings import (
    DEV_SECRET_FILES,
    DEV_SECRET_PREFIX,
    PREFIX,
    Environment,
    Settings,
    settings_from_environment,
)

if TYPE_CHECKING:
    from mediation_api.dev.demo import DemoCard

DEMO_EMPLOYEE_NUMBER: Final = "10001"
"""The officer of the demo data that the ready-made token speaks for."""
TOKEN_MINUTES: Final = 120
"""The longest that the service accepts from an identity provider."""
SHUTDOWN_SECONDS: Final = 5
"""How long requests that are under way may take to finish after Ctrl-C."""

DataDirectory = Annotated[
    Path, typer.Option("--data-dir", help="Where the database, the keys and the secrets of development are kept.")
]
DEFAULT_DATA_DIRECTORY: Final = Path(".mediation")


def dev(
    data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.", min=1, max=65535)] = 8000,
) -> None:
    """Run everything on this machine: a database, demo data, keys and the service. Ctrl-C stops all of it."""
    with one_line_errors(), _listening(port) as listener:
        prepare(data_dir)
        server = EmbeddedServer(data_dir / "database")
        if server.moved:
            say(f"Root keeps {data_dir.absolute()} closed to others; the database is in {server.directory}.")
        if server.is_new():
            say("Making the database …")
        with _until_stopped(server):
            _serve_on(server, data_dir, listener)


def token(
    role: Annotated[Role, typer.Option(help="The role that the token claims.")],
    subject: Annotated[str | None, typer.Option(help="The subject; demo-<role> unless given.")] = None,
    employee_number: Annotated[str | None, typer.Option(help="Ties an officer to a party.")] = None,
    scope: Annotated[str | None, typer.Option(help="Limits the token, for example to complaints:write.")] = None,
    data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY,
) -> None:
    """Print a token that the identity provider of development signed. Production refuses it."""
    with one_line_errors():
        settings = settings_from_environment(environment=Environment.DEV, data_directory=data_dir.absolute())
        if role not in CITY_ROLES:
            fail(f"The identity provider gives no token to {role.value}: exchange an access code.")
        if role is Role.OFFICER and employee_number is None:
            fail("An officer's token needs --employee-number: it ties the officer to a party.")
        say(_token(settings, role, subject, employee_number, scope))


def seed(data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY) -> None:
    """Load the demo data into an empty development database, and print an access code and what to try."""
    from mediation_api.database.roles import SERVICE
    from mediation_api.dev.demo import seed as load_demo_data

    with one_line_errors():
        url = os.environ.get(f"{PREFIX}DATABASE_URL")
        if url and os.environ.get(f"{PREFIX}ENVIRONMENT") != Environment.DEV:
            # A terminal may be set up for the real database.
            fail("Demo data is for development: set MEDIATION_ENVIRONMENT=dev if this database is for that.")
        settings = require_database(
            settings_from_environment(
                environment=Environment.DEV,
                data_directory=data_dir.absolute(),
                database_url=url or running_url(data_dir / "database", user=SERVICE),
            )
        )
        card = asyncio.run(load_demo_data(settings))
        say(f"Access code: {card.access_code}")
        for line in card.curl:
            say(line)


def openapi() -> None:
    """Print the contract as the application describes it (openapi/)."""
    from mediation_api.main import create_app

    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        prepare(Path(scratch))
        application = create_app(
            settings_from_environment(
                environment=Environment.DEV,
                data_directory=Path(scratch),
                database_url="postgresql://nobody@localhost/never_connected_to",
            )
        )
        typer.echo(json.dumps(application.openapi(), indent=2, ensure_ascii=False))


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Take the port before anything else is started, so that a taken one costs nothing."""
    listener = socket.socket()
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            fail(f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). Choose another with --port.")
        yield listener


def _serve_on(server: EmbeddedServer, data_dir: Path, listener: socket.socket) -> None:
    """Bring the database of development to the newest revision and serve on it, until a signal comes."""
    # Here, and not before the port and the database are ours: most of a start goes into loading this.
    import uvicorn

    from mediation_api.database.migrations import EarlierVersionError
    from mediation_api.database.roles import SERVICE, make_roles
    from mediation_api.main import create_app

    settings = settings_from_environment(
        environment=Environment.DEV, data_directory=data_dir.absolute(), database_url=server.url(user=SERVICE)
    )
    asyncio.run(make_roles(settings, server.url()))
    owning = settings.model_copy(update={"database_url": SecretStr(server.url())})
    try:
        migrate_to_newest(owning)
    except EarlierVersionError:
        folder = server.directory if server.moved else data_dir
        fail(f"The database in {folder} was made by an earlier version; remove that folder and start again.")
    card = _demo_card(settings, server.directory / "demo.json")
    say(_what_to_try(settings, card, listener.getsockname()[1]))
    config = uvicorn.Config(
        create_app(settings),
        log_config=logging_configuration(settings.log_level),
        access_log=False,  # the application writes its own line for each request
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _until_stopped(server: EmbeddedServer) -> Iterator[None]:
    """Run the database around a block, and stop it in order however the block ends."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        server.start()
        server.create_database()
        yield
    except KeyboardInterrupt:
        pass  # Ctrl-C is how one stops it
    finally:
        # Impatience must not leave the database running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.stop()


def _stop(number: int, _frame: FrameType | None) -> None:
    """End like a process that the signal ended, but by way of every `finally`."""
    raise SystemExit(128 + number)


def prepare(directory: Path) -> None:
    """Make the keys and secrets of development, once. Only their owner can read them."""
    directory.mkdir(parents=True, exist_ok=True)
    # Others may pass through and see nothing: PostgreSQL, not being root, must reach its own folder in here.
    directory.chmod(0o711)
    write_dev_keys(directory)
    for name in DEV_SECRET_FILES:
        path = directory / f"{name}.txt"
        if not path.exists():
            unfinished = directory / f"{name}.{os.getpid()}"
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(_development_secret(name) + "\n")
            unfinished.rename(path)


def _development_secret(name: str) -> str:
    if name == "encryption_keys":
        return new_entry(f"{DEV_SECRET_PREFIX}{secrets.token_hex(4)}")
    return DEV_SECRET_PREFIX + secrets.token_urlsafe(32)


def _demo_card(settings: Settings, path: Path) -> "DemoCard":
    """Load the demo data on the first run; later runs show the same card, which lives and dies with the data."""
    from mediation_api.dev.demo import DemoCard
    from mediation_api.dev.demo import seed as load_demo_data

    if path.exists():
        saved = json.loads(path.read_text(encoding="utf-8"))
        return DemoCard(access_code=saved["access_code"], curl=tuple(saved["curl"]))
    card = asyncio.run(load_demo_data(settings))
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(card)), encoding="utf-8")
    return card


def _token(
    settings: Settings,
    role: Role,
    subject: str | None = None,
    employee_number: str | None = None,
    scope: str | None = None,
) -> str:
    return dev_token(
        settings.data_directory,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        role=role,
        subject=subject or f"demo-{role.value}",
        employee_number=employee_number,
        scope=scope,
        minutes=TOKEN_MINUTES,
        now=datetime.now(UTC),
        role_claim=settings.role_claim,
    )


def _what_to_try(settings: Settings, card: "DemoCard", port: int) -> str:
    address = f"http://127.0.0.1:{port}"
    lines = [
        "",
        f"mediation_api {installed_version('mediation-api')} is starting on {address}",
        "",
        f"  Documentation   {address}/docs",
        f"  Contract        {address}/openapi.json",
        f"  Access code     {card.access_code}   (of a complainant of the demo data)",
        "",
        f"A token for each role, good for {TOKEN_MINUTES // 60} hours (then: mediation-api token --role …):",
        "",
    ]
    lines.append(f"API={address}")
    for role in sorted(CITY_ROLES):
        number = DEMO_EMPLOYEE_NUMBER if role is Role.OFFICER else None
        lines.append(f"{role.value.upper()}={_token(settings, role, employee_number=number)}")
    lines += ["", "Try:", "", *card.curl, "", "Ctrl-C stops everything; the data stays."]
    return "\n".join(lines)
