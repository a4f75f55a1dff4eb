"""Running `mediation-api audit`, and changing what it is to find."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import text
from typer.testing import CliRunner, Result

from mediation_api.cli.main import app
from mediation_api.database.engine import create_engine
from mediation_api.settings import Settings

IN_PARTS: Final = """
from mediation_api.cli.main import app
from mediation_api.repository import audit_ranges
audit_ranges.STREAMS_IN_RANGE = 1
app()
"""
"""The command, with a range for each stream."""


def run(environment: Mapping[str, str], *arguments: str | Path) -> Result:
    """Run the command in a thread: it has a loop of its own."""
    with ThreadPoolExecutor(1) as thread:
        arguments_ = ["audit", *map(str, arguments)]
        return thread.submit(CliRunner().invoke, app, arguments_, env=dict(environment)).result()


async def bend(owner: Settings, *statements: str) -> None:
    """Change something as the owner of the tables, who switches the triggers off."""
    engine = create_engine(owner)
    async with engine.begin() as connection:
        for table in ("events", "audit_chain_heads"):
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in statements:
            await connection.execute(text(statement))
        for table in ("events", "audit_chain_heads"):
            await connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
    await engine.dispose()


@contextmanager
def background(environment: Mapping[str, str], *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own, which is killed at the end if it has not ended."""
    command = [sys.executable, "-c", IN_PARTS, "audit", *arguments]
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
