"""`mediation-api dev`, `token`, `seed` and `openapi`: commands for development only.

No other module of the service imports the package `dev`, and a wheel contains neither.
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
from mediation_api.cli.worker import working
from mediation_api.contract.rendering import text_of
from mediation_api.dev.embedded_postgres import EmbeddedServer, running_url
from mediation_api.dev.identity_provider import dev_token, write_dev_keys
from mediation_api.domain.access import Role
from mediation_api.logs import LogLevel, configure, logging_configuration
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
"""The employee number of the officer in the demo data, for whom `dev` prints a token."""
TOKEN_MINUTES: Final = 120
"""The longest lifetime that the service accepts for a token of the identity provider."""
SHUTDOWN_SECONDS: Final = 5
"""How long running requests may take to finish after Ctrl-C."""

DataDirectory = Annotated[
    Path, typer.Option("--data-dir", help="The folder of the development database, keys and secrets.")
]
DEFAULT_DATA_DIRECTORY: Final = Path(".mediation")


def dev(
    data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.", min=1, max=65535)] = 8000,
) -> None:
    """Run the service on this machine with a database, demo data and keys. Ctrl-C stops all of it."""
    with one_line_errors(), _listening(port) as listener:
        prepare(data_dir)
        server = EmbeddedServer(data_dir / "database")
        if server.moved:
            say(f"PostgreSQL cannot enter {data_dir.absolute()}, a folder of root; its data is in {server.directory}.")
        if server.is_new():
            say("Creating the database …")
        with _until_stopped(server):
            _serve_on(server, data_dir, listener)


def token(
    context: typer.Context,
    role: Annotated[Role | None, typer.Option(help="The role that the token claims.")] = None,
    subject: Annotated[str | None, typer.Option(help="The subject; by default, demo-<role>.")] = None,
    employee_number: Annotated[
        str | None, typer.Option(help="The employee number by which an officer is found.")
    ] = None,
    scope: Annotated[str | None, typer.Option(help="The scopes of the token, for example complaints:write.")] = None,
    data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY,
) -> None:
    """Print a token of the development identity provider, which production refuses; or `check` one."""
    if context.invoked_subcommand is not None:
        return
    if role is None:
        raise typer.BadParameter("is required", param_hint="--role")
    with one_line_errors():
        settings = settings_from_environment(environment=Environment.DEV, data_directory=data_dir.absolute())
        if role not in CITY_ROLES:
            fail(f"The identity provider issues no token for the role {role.value}: exchange an access code.")
        if role is Role.OFFICER and employee_number is None:
            fail("An officer's token needs --employee-number, by which the officer's party is found.")
        say(_token(settings, role, subject, employee_number, scope))


def seed(data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY) -> None:
    """Load the demo data into an empty development database, and print an access code and example requests."""
    from mediation_api.database.roles import SERVICE

    with one_line_errors():
        url = os.environ.get(f"{PREFIX}DATABASE_URL")
        if url and os.environ.get(f"{PREFIX}ENVIRONMENT") != Environment.DEV:
            # The shell's environment may name a production database.
            fail("Demo data is for development: set MEDIATION_ENVIRONMENT=dev if this is a development database.")
        settings = require_database(
            settings_from_environment(
                environment=Environment.DEV,
                data_directory=data_dir.absolute(),
                database_url=url or running_url(data_dir / "database", user=SERVICE),
            )
        )
        card = _loaded(settings)
        say(f"Access code: {card.access_code}")
        for line in card.curl:
            say(line)


def openapi() -> None:
    """Print the OpenAPI document of the application (openapi/)."""
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
        typer.echo(text_of(application.openapi()), nl=False)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Bind the port before anything else is started, so that a port in use is reported at once."""
    listener = socket.socket()
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            fail(f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). Choose another with --port.")
        yield listener


def _serve_on(server: EmbeddedServer, data_dir: Path, listener: socket.socket) -> None:
    """Migrate and seed the development database, and serve until a signal arrives."""
    # Imported after the port and the database are available, because these imports take most of the start.
    import uvicorn

    from mediation_api.database.migrations import EarlierVersionError
    from mediation_api.database.roles import SERVICE, make_roles
    from mediation_api.main import create_app

    settings = settings_from_environment(
        environment=Environment.DEV, data_directory=data_dir.absolute(), database_url=server.url(user=SERVICE)
    )
    asyncio.run(make_roles(settings, server.url()))
    owner_settings = settings.model_copy(update={"database_url": SecretStr(server.url())})
    try:
        migrate_to_newest(owner_settings)
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

    async def serve_and_work() -> None:
        async with working(settings):
            await uvicorn.Server(config).serve(sockets=[listener])

    asyncio.run(serve_and_work())


@contextmanager
def _until_stopped(server: EmbeddedServer) -> Iterator[None]:
    """Run the database server during a block, and shut it down however the block ends."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        server.start()
        server.create_database()
        yield
    except KeyboardInterrupt:
        pass  # Ctrl-C is the usual way to stop
    finally:
        # A second Ctrl-C must not leave the database server running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.stop()


def _stop(number: int, _frame: FrameType | None) -> None:
    """Exit with the code of a process that the signal ended, after running every `finally`."""
    raise SystemExit(128 + number)


def prepare(directory: Path) -> None:
    """Create the keys and secrets of development, unless they exist. Only their owner can read them."""
    directory.mkdir(parents=True, exist_ok=True)
    # Others may enter and not list it: PostgreSQL, which does not run as root, has its own folder inside.
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
    """Load the demo data on the first run, and store its card beside the data; later runs return the stored card."""
    from mediation_api.dev.demo import DemoCard

    if path.exists():
        saved = json.loads(path.read_text(encoding="utf-8"))
        return DemoCard(access_code=saved["access_code"], curl=tuple(saved["curl"]))
    say("Loading the demo data …")
    card = _loaded(settings)
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(card)), encoding="utf-8")
    return card


def _loaded(settings: Settings) -> "DemoCard":
    """Load the demo data. The log leaves out the requests that do so, since nobody sends them."""
    from mediation_api.dev.demo import load_demo_data

    configure(LogLevel.WARNING)
    return asyncio.run(load_demo_data(settings))


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
        f"  Access code     {card.access_code}   (of a complainant in the demo data)",
        "",
        f"A token for each role, valid for {TOKEN_MINUTES // 60} hours (later: mediation-api token --role …):",
        "",
    ]
    lines.append(f"API={address}")
    for role in sorted(CITY_ROLES):
        number = DEMO_EMPLOYEE_NUMBER if role is Role.OFFICER else None
        lines.append(f"{role.value.upper()}={_token(settings, role, employee_number=number)}")
    lines += ["", "Try:", "", *card.curl, "", "Ctrl-C stops everything; the data stays."]
    return "\n".join(lines)
