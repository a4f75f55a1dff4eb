"""`mediation-api worker` as a city starts it."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.contract.instance import environment
from tests.promises.production import PROGRAM, log_lines, production_environment, without_settings
from tests.serving import START_SECONDS

from mediation_api.database import tables as t
from mediation_api.database.engine import Database
from mediation_api.dev.office import Office
from mediation_api.settings import Settings

pytestmark = pytest.mark.program


@contextmanager
def worker(variables: dict[str, str], output: Path, stopped_by: signal.Signals) -> Iterator[None]:
    """Run a worker until the block ends. A worker that does not stop in order fails the test."""
    with output.open("wb") as file:
        process = subprocess.Popen([PROGRAM, "worker"], env=variables, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.send_signal(stopped_by)
        status = process.wait(START_SECONDS)
    assert status == 0, output.read_text(encoding="utf-8")


async def test_two_workers_number_events_and_stop_in_order_when_told_to(
    committed: Settings, committed_database: Database, committed_office: Office, keys: Path, tmp_path: Path
) -> None:
    variables = without_settings() | environment(committed, keys)
    first, second = tmp_path / "first", tmp_path / "second"
    with worker(variables, first, signal.SIGTERM), worker(variables, second, signal.SIGINT):
        await committed_office.file()
        async with asyncio.timeout(START_SECONDS), committed_database.reading() as connection:
            while not await connection.scalar(select(func.count()).select_from(t.change_feed)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
            while not all("repeats" in output.read_text(encoding="utf-8") for output in (first, second)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
    for output in (first, second):
        messages = [str(line["message"]) for line in log_lines(output.read_text(encoding="utf-8"))]
        assert [" ".join(message.split()[:3]) for message in messages] == ["the worker repeats", "the worker has"]
        assert "number-events" in messages[0]


@pytest.mark.parametrize("missing", ["MEDIATION_DATABASE_URL", "MEDIATION_ENCRYPTION_KEYS"])
def test_a_worker_does_not_start_without_a_setting_that_it_needs(
    missing: str, settings: Settings, keys: Path, tmp_path: Path
) -> None:
    variables = without_settings() | production_environment(settings, keys, tmp_path)
    del variables[missing]
    done = subprocess.run([PROGRAM, "worker"], env=variables, capture_output=True, text=True, check=False)
    (line,) = log_lines(done.stderr)
    assert (done.returncode, missing in str(line["message"])) == (2, True)
