"""What `serve` loads, and how it starts and replaces its workers."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import httpx
from tests.promises.production import Running, production_environment, serving, without_settings
from tests.serving import START_SECONDS

from mediation_api.settings import Settings

WORKER: Final = """
import sys
from mediation_api.cli.main import app
from mediation_api.cli.serve import app_of_a_worker
app_of_a_worker()
print(*sys.modules)
"""
NEVER_USED: Final = frozenset({"alembic", "httpx", "pygments", "rich"})
"""Libraries that other commands use, or that a library would take along; httpx reads a JWKS at an address."""


def test_a_worker_loads_nothing_that_it_never_uses(settings: Settings, keys: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        env=without_settings() | production_environment(settings, keys, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.split()
    assert "mediation_api.routers.cases" in loaded
    assert NEVER_USED & {name.partition(".")[0] for name in loaded} == set()
    assert [name for name in loaded if name.startswith("mediation_api.dev.")] == [
        "mediation_api.dev.embedded_postgres",  # of the commands of development, which a wheel does not contain
        "mediation_api.dev.identity_provider",
    ]
    assert [name for name in loaded if name.startswith("holidays.countries.")] == ["holidays.countries.united_states"]


def _workers(running: Running) -> list[int]:
    """The process ids of all workers that were started so far."""
    return [int(found) for found in re.findall(r"Started server process \[(\d+)\]", running.text())]


def _parent_of(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True).stdout)  # noqa: S607 - any ps


def test_workers_are_forks_of_one_process_and_one_that_is_killed_is_replaced(
    committed: Settings, keys: Path, tmp_path: Path
) -> None:
    environment = production_environment(committed, keys, tmp_path) | {"MEDIATION_WORKERS": "2"}
    with serving(environment, tmp_path) as running:
        deadline = time.monotonic() + START_SECONDS
        while len(_workers(running)) < 2:
            assert time.monotonic() < deadline, running.text()
            time.sleep(0.05)
        first, second = _workers(running)
        forked_from = _parent_of(first)
        assert forked_from == _parent_of(second)
        assert forked_from not in {running.process.pid, os.getpid()}

        os.kill(first, signal.SIGKILL)
        while len(_workers(running)) < 3:
            assert time.monotonic() < deadline, running.text()
            time.sleep(0.05)
        assert _parent_of(_workers(running)[2]) == forked_from
        assert httpx.get(f"{running.api}/health/ready").status_code == httpx.codes.OK
        running.stop()
    assert running.process.returncode == 0
