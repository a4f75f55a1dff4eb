"""The command line: `mediation-api dev`, `serve`, `migrate` and what stands beside them.

What goes wrong for the operator is one line on standard error and exit code 2, without a traceback and without
the value of a setting.

A command imports what it needs when it runs: to print a token must not take as long as to begin to serve.
"""

import asyncio
import base64
import gc
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, nullcontext, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, Never

import typer
from pydantic import SecretStr

from mediation_api.auth.tokens import CITY_ROLES
from mediation_api.dev.embedded_postgres import EmbeddedServer, EmbeddedServerError, running_url
from mediation_api.dev.identity_provider import dev_token, write_dev_keys
from mediation_api.domain.access import Role, page
from mediation_api.domain.retention import DEFAULT_DAYS, Periods
from mediation_api.domain.retention import page as retention_page
from mediation_api.domain.values import DataKind
from mediation_api.logs import logging_configuration
from mediation_api.settings import (
    DEV_SECRET_FILES,
    DEV_SECRET_PREFIX,
    PREFIX,
    Environment,
    Settings,
    SettingsError,
    markdown_table,
    settings_from_environment,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mediation_api.dev.demo import DemoCard

FAILED: Final = 2
DEMO_EMPLOYEE_NUMBER: Final = "10001"
"""The officer of the demo data that the ready-made token speaks for."""
TOKEN_MINUTES: Final = 120
"""The longest that the service accepts from an identity provider."""
SHUTDOWN_SECONDS: Final = 5
"""How long requests that are under way may take to finish after Ctrl-C."""
OBJECTS_PER_COLLECTION: Final = 50_000
"""Python's own 700 has a command go through all that it loads, dozens of times, for garbage that is not there."""

app = typer.Typer(
    name="mediation-api",
    help="Mediation of complaints about police officers, as a REST service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

audit = typer.Typer(help="Shows that nobody bent the record of events.", no_args_is_help=True)
app.add_typer(audit, name="audit")

keys = typer.Typer(help="The keys under which names, contacts and texts are encrypted.", no_args_is_help=True)
app.add_typer(keys, name="keys")

DataDirectory = Annotated[
    Path, typer.Option("--data-dir", help="Where the database, the keys and the secrets of development are kept.")
]
DEFAULT_DATA_DIRECTORY: Final = Path(".mediation")


def main() -> None:
    """Run the command line."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    app()


@app.command()
def dev(
    data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.", min=1, max=65535)] = 8000,
) -> None:
    """Run everything on this machine: a database, demo data, keys and the service. Ctrl-C stops all of it."""
    with _one_line_errors(), _listening(port) as listener:
        _prepare(data_dir)
        server = EmbeddedServer(data_dir / "database")
        if server.moved:
            _say(f"Root keeps {data_dir.absolute()} closed to others; the database is in {server.directory}.")
        if server.is_new():
            _say("Making the database …")
        with _until_stopped(server):
            _serve_on(server, data_dir, listener)


@app.command()
def serve() -> None:
    """Serve on the database of MEDIATION_DATABASE_URL, with as many workers as MEDIATION_WORKERS says.

    The address names mediation_service, or a login that is a member of it.
    """
    import uvicorn
    from sqlalchemy.exc import SQLAlchemyError

    from mediation_api.database import key_rotation
    from mediation_api.database.roles import require_safe_role

    with _one_line_errors():
        settings = _with_database(settings_from_environment())
        if settings.environment is not Environment.DEV:
            # While the database is away, /health/ready waits for it, and looks again then.
            with suppress(SQLAlchemyError, OSError):
                asyncio.run(require_safe_role(settings))
        with suppress(SQLAlchemyError, OSError):
            asyncio.run(key_rotation.require_keys(settings))
        _listening_is_possible(settings.host, settings.port)
        uvicorn.run(
            "mediation_api.cli.main:app_of_a_worker",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            log_config=logging_configuration(settings.log_level),
            access_log=False,  # the application writes its own line for each request
            server_header=False,
            timeout_graceful_shutdown=30,
        )


def app_of_a_worker() -> "FastAPI":
    """Make the application in one of the processes that `serve` starts: each loads it anew."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    from mediation_api.main import app_from_environment

    return app_from_environment()


@app.command()
def migrate() -> None:
    """Bring the database of MEDIATION_DATABASE_URL to the newest revision. Does nothing when it is there.

    The address names the owner of the database, and not the role that serves.
    """
    with _one_line_errors():
        _migrate(_with_database(settings_from_environment()))


@app.command()
def roles() -> None:
    """Print the SQL that makes the roles of the service, for an administrator of the database server."""
    from mediation_api.database.roles import roles_sql

    _say(roles_sql().rstrip())


@app.command()
def token(
    role: Annotated[Role, typer.Option(help="The role that the token claims.")],
    subject: Annotated[str | None, typer.Option(help="The subject; demo-<role> unless given.")] = None,
    employee_number: Annotated[str | None, typer.Option(help="Ties an officer to a party.")] = None,
    scope: Annotated[str | None, typer.Option(help="Limits the token, for example to complaints:write.")] = None,
    data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY,
) -> None:
    """Print a token that the identity provider of development signed. Production refuses it."""
    with _one_line_errors():
        settings = settings_from_environment(environment=Environment.DEV, data_directory=data_dir.absolute())
        if role not in CITY_ROLES:
            _fail(f"The identity provider gives no token to {role.value}: exchange an access code.")
        if role is Role.OFFICER and employee_number is None:
            _fail("An officer's token needs --employee-number: it ties the officer to a party.")
        _say(_token(settings, role, subject, employee_number, scope))


@app.command()
def seed(data_dir: DataDirectory = DEFAULT_DATA_DIRECTORY) -> None:
    """Load the demo data into an empty development database, and print an access code and what to try."""
    from mediation_api.database.roles import SERVICE
    from mediation_api.dev.demo import seed as load_demo_data

    with _one_line_errors():
        url = os.environ.get(f"{PREFIX}DATABASE_URL")
        if url and os.environ.get(f"{PREFIX}ENVIRONMENT") != Environment.DEV:
            # A terminal may be set up for the real database.
            _fail("Demo data is for development: set MEDIATION_ENVIRONMENT=dev if this database is for that.")
        settings = _with_database(
            settings_from_environment(
                environment=Environment.DEV,
                data_directory=data_dir.absolute(),
                database_url=url or running_url(data_dir / "database", user=SERVICE),
            )
        )
        card = asyncio.run(load_demo_data(settings))
        _say(f"Access code: {card.access_code}")
        for line in card.curl:
            _say(line)


@app.command()
def settings() -> None:
    """Print the table of all settings (docs/settings.md)."""
    typer.echo(markdown_table(), nl=False)


@app.command()
def access() -> None:
    """Print the table of who may do what (docs/access.md)."""
    typer.echo(page(), nl=False)


@app.command()
def openapi() -> None:
    """Print the contract as the application describes it (openapi/)."""
    from mediation_api.main import create_app

    with _one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        _prepare(Path(scratch))
        application = create_app(
            settings_from_environment(
                environment=Environment.DEV,
                data_directory=Path(scratch),
                database_url="postgresql://nobody@localhost/never_connected_to",
            )
        )
        typer.echo(json.dumps(application.openapi(), indent=2, ensure_ascii=False))


@app.command()
def retention(
    *,
    schedule: Annotated[bool, typer.Option("--schedule", help="Print docs/retention.md, and do nothing.")] = False,
) -> None:
    """Empty what has come to the end of its period (docs/retention.md), and print how many fields of each kind.

    It may run beside the service, be broken off and be begun again: run it once a day.
    """
    if schedule:
        typer.echo(retention_page(), nl=False)
        return
    with _one_line_errors():
        settings = _with_database(settings_from_environment())
        emptied = asyncio.run(_purge(settings))
        for kind, fields in sorted(emptied.items()):
            _say(f"{kind} {fields}")
        if not emptied:
            _say("Nothing has come to the end of its period.")


async def _purge(settings: Settings) -> Counter[DataKind]:
    from mediation_api.database.engine import create_engine
    from mediation_api.database.row_security import bypasses_row_security
    from mediation_api.repository.retention import purge_due

    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            if not await bypasses_row_security(connection):
                raise SettingsError("MEDIATION_DATABASE_URL: empty as mediation_service, who sees every row")
        periods = Periods({name: getattr(settings, name) for name in DEFAULT_DAYS})
        return await purge_due(engine, periods, datetime.now(UTC))
    finally:
        await engine.dispose()


@audit.command("export")
def audit_export(
    to: Annotated[Path | None, typer.Option(help="A file to write; standard output unless given.")] = None,
) -> None:
    """Write a signed statement of how far each chain of events goes, to be kept away from the database."""
    from mediation_api.cli.audit import export

    with _one_line_errors(), nullcontext(sys.stdout.buffer) if to is None else to.open("xb") as file:
        asyncio.run(export(_with_database(settings_from_environment()), file, at=datetime.now(UTC)))


@audit.command("keys")
def audit_keys() -> None:
    """Print the public key (JWKS) with which others check those statements."""
    from mediation_api.cli.audit import key_of, public_keys

    with _one_line_errors():
        _say(public_keys(key_of(settings_from_environment())))


@audit.command("verify")
def audit_verify(
    against: Annotated[Path | None, typer.Option(help="A statement that `audit export` wrote.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Keys that may have signed it (JWKS); ours unless given.")] = None,
) -> None:
    """Compute the chain of events anew, and print a line for each place where it does not hold. Ends with 1 if any."""
    from mediation_api.cli.audit import AuditReport, verify

    async def examine(report: AuditReport) -> None:
        async with aclosing(verify(_with_database(settings_from_environment()), against, keys, report)) as found:
            async for problem in found:
                _say(str(problem))

    report = AuditReport()
    with _one_line_errors():
        asyncio.run(examine(report))
    typer.echo(f"{report.events} events in {report.streams} streams, {report.problems} problems.", err=True)
    if report.problems:
        raise typer.Exit(1)


@keys.command("make")
def keys_make() -> None:
    """Print a new key for MEDIATION_ENCRYPTION_KEYS. Keep a copy where the database is not: nothing replaces it."""
    _say(_entry(f"{datetime.now(UTC):%Y-%m-%d}-{secrets.token_hex(2)}"))


@keys.command("rotate")
def keys_rotate() -> None:
    """Bring everything under the first key of MEDIATION_ENCRYPTION_KEYS, while requests are served.

    It may be stopped and started again.
    """
    from mediation_api.database import key_rotation

    with _one_line_errors():
        done = asyncio.run(key_rotation.rotate(_with_database(settings_from_environment())))
        _say(f"{done.wrapped} data keys wrapped, {done.hashed} employee numbers hashed.")
    keys_status()


@keys.command("status")
def keys_status() -> None:
    """Print what is under which key. Ends with 1 while there is something for `rotate` to do."""
    from mediation_api.database import key_rotation

    with _one_line_errors():
        found = asyncio.run(key_rotation.key_usage(_with_database(settings_from_environment())))
    for key_id, count in found.keys.items():
        _say(f"{count} data keys under {key_id}{' (current)' if key_id == found.current else ''}")
    if found.unhashed:
        _say(f"{found.unhashed} employee numbers not hashed under the search secret")
    if not found.is_done:
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    _say(installed_version("mediation-api"))


def _say(text: str) -> None:
    typer.echo(text)
    # Somebody may be reading through a pipe while the service runs.
    sys.stdout.flush()


def _fail(text: str) -> Never:
    typer.echo(text, err=True)
    raise typer.Exit(FAILED)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn what an operator can mend into one line."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        line = _line(error)
        if line is None:
            raise
        _fail(line)


def _line(error: Exception) -> str | None:
    """What to tell an operator; None for what is no fault of theirs."""
    if isinstance(error, (SettingsError, EmbeddedServerError)):
        return str(error)

    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    from mediation_api.cli.audit import StatementError
    from mediation_api.database.encryption import KeyMissing

    if isinstance(error, (StatementError, KeyMissing, CommandError)):
        return str(error)
    if isinstance(error, DBAPIError):
        # The text of a database's error may hold data: its class and its code do not.
        state = getattr(error.orig, "sqlstate", None)
        return f"The database refused: {type(error.orig).__name__}{f', SQLSTATE {state}' if state else ''}."
    if isinstance(error, SQLAlchemyError):
        return f"The database could not be used: {type(error).__name__}."
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or type(error).__name__}{where}"
    return None


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Take the port before anything else is started, so that a taken one costs nothing."""
    listener = socket.socket()
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            _fail(f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). Choose another with --port.")
        yield listener


def _listening_is_possible(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        _fail(f"MEDIATION_HOST, MEDIATION_PORT: cannot listen there ({error.strerror}).")


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
        _migrate(owning)
    except EarlierVersionError:
        folder = server.directory if server.moved else data_dir
        _fail(f"The database in {folder} was made by an earlier version; remove that folder and start again.")
    card = _demo_card(settings, server.directory / "demo.json")
    _say(_what_to_try(settings, card, listener.getsockname()[1]))
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


def _prepare(directory: Path) -> None:
    """Make the keys and secrets of development, once; each is readable by its owner only."""
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
        return _entry(f"{DEV_SECRET_PREFIX}{secrets.token_hex(4)}")
    return DEV_SECRET_PREFIX + secrets.token_urlsafe(32)


def _entry(key_id: str) -> str:
    """A new key, as it stands in MEDIATION_ENCRYPTION_KEYS."""
    from mediation_api.database.encryption import new_key

    return f"{key_id}:{base64.b64encode(new_key()).decode()}"


def _with_database(settings: Settings) -> Settings:
    if not settings.database_url.get_secret_value():
        _fail("MEDIATION_DATABASE_URL: is required")
    return settings


def _migrate(settings: Settings) -> None:
    from alembic import command

    from mediation_api.database.migrations import migrations_config

    config = migrations_config()
    config.attributes["settings"] = settings
    command.upgrade(config, "head")


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
