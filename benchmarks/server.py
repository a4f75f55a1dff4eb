"""A server and a migrated database for one run of a benchmark, removed afterwards."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from pydantic import SecretStr

from mediation_api.database.migrations import migrations_config
from mediation_api.database.roles import SERVICE, make_roles
from mediation_api.dev.embedded_postgres import EmbeddedServer
from mediation_api.dev.identity_provider import write_dev_keys
from mediation_api.settings import DEV_SECRET_PREFIX, Environment, Settings


@contextmanager
def throw_away_server() -> Iterator[tuple[Settings, Settings, Path]]:
    """Settings that connect as the service and as the owner, and the folder with the keys of development."""
    with tempfile.TemporaryDirectory(prefix="mediation-benchmark-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the user that PostgreSQL runs as passes through
        write_dev_keys(folder / "keys")
        server = EmbeddedServer(folder / "server", durable=False)
        server.start()
        try:
            owner = Settings(
                environment=Environment.DEV,
                data_directory=folder / "keys",
                database_url=SecretStr(server.url("postgres")),
                access_code_secret=SecretStr(DEV_SECRET_PREFIX + "a" * 32),
                cursor_secret=SecretStr(DEV_SECRET_PREFIX + "c" * 32),
                search_secret=SecretStr(DEV_SECRET_PREFIX + "s" * 32),
                encryption_keys=SecretStr(f"{DEV_SECRET_PREFIX}1:{'k' * 43}="),
                requests_per_minute=1_000_000,
            )
            config = migrations_config()
            config.attributes["settings"] = owner
            asyncio.run(make_roles(owner, server.url("postgres")))
            command.upgrade(config, "head")
            service = SecretStr(server.url("postgres", user=SERVICE))
            yield owner.model_copy(update={"database_url": service}), owner, folder / "keys"
        finally:
            server.stop()
