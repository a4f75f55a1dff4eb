"""A PostgreSQL server for one run of a benchmark, with a migrated database, removed afterwards."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from pydantic import SecretStr
from sqlalchemy import make_url

from mediation_api.database.engine import create_engine
from mediation_api.database.migrations import migrations_config
from mediation_api.database.roles import SERVICE, make_roles
from mediation_api.dev.embedded_postgres import EmbeddedServer
from mediation_api.dev.identity_provider import write_dev_keys
from mediation_api.settings import DEV_SECRET_PREFIX, PREFIX, Environment, Settings

_DATABASE: Final = "postgres"


@dataclass(frozen=True, slots=True)
class BenchmarkServer:
    """A running server. Its first database is migrated and empty."""

    service: Settings
    """Settings that connect to the first database as the service."""
    owner: Settings
    """Settings that connect to it as the owner of the tables."""
    keys: Path
    """The folder with the keys of the development identity provider."""
    postmaster: int
    """The process id of the server."""
    server: EmbeddedServer

    async def copy(self, name: str, template: str = _DATABASE) -> Settings:
        """Copy a database that nobody is connected to. Returns settings that connect to the copy as the service."""
        engine = create_engine(_on(self.owner, "template1"), statement_timeout_ms=0)
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        await engine.dispose()
        return _on(self.service, name)

    def owner_of(self, name: str) -> Settings:
        """Return settings that connect to a database as the owner of its tables."""
        return _on(self.owner, name)

    async def drop(self, *names: str) -> None:
        """Drop databases, and end the connections to them."""
        engine = create_engine(_on(self.owner, "template1"), statement_timeout_ms=0)
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            for name in names:
                await connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        await engine.dispose()


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment of a command that is to have these settings."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return os.environ | {
        f"{PREFIX}{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in given.items()
    }


@contextmanager
def benchmark_server(*, durable: bool = False) -> Iterator[BenchmarkServer]:
    """Start a server, without fsync unless it is to be durable, and remove it with its data at the end."""
    with tempfile.TemporaryDirectory(prefix="mediation-benchmark-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the user that PostgreSQL runs as passes through
        write_dev_keys(folder / "keys")
        server = EmbeddedServer(folder / "server", durable=durable)
        server.start()
        try:
            owner = Settings(
                environment=Environment.DEV,
                data_directory=folder / "keys",
                database_url=SecretStr(server.url(_DATABASE)),
                access_code_secret=SecretStr(DEV_SECRET_PREFIX + "a" * 32),
                cursor_secret=SecretStr(DEV_SECRET_PREFIX + "c" * 32),
                search_secret=SecretStr(DEV_SECRET_PREFIX + "s" * 32),
                encryption_keys=SecretStr(f"{DEV_SECRET_PREFIX}1:{'k' * 43}="),
                requests_per_minute=1_000_000,
            )
            config = migrations_config()
            config.attributes["settings"] = owner
            asyncio.run(make_roles(owner, server.url(_DATABASE)))
            command.upgrade(config, "head")
            service = owner.model_copy(update={"database_url": SecretStr(server.url(_DATABASE, user=SERVICE))})
            postmaster = int((server.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
            yield BenchmarkServer(service, owner, folder / "keys", postmaster, server)
        finally:
            server.stop()


def _on(settings: Settings, database: str) -> Settings:
    url = make_url(settings.database_url.get_secret_value()).set(database=database)
    return settings.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})
