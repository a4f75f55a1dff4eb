"""The health check of the image, as a process beside `serve`."""

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.promises.production import production_environment, serving, without_settings

from mediation_api.cli.health import HOST, PORT
from mediation_api.settings import Settings

pytestmark = pytest.mark.program


def _exit_code(**variables: str) -> int:
    command = [sys.executable, "-m", "mediation_api.cli.health"]
    return subprocess.run(command, env=without_settings() | variables, check=False).returncode


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])  # noqa: S104 - as in a container
def test_it_follows_the_address_that_serve_listens_on(
    host: str, committed: Settings, keys: Path, tmp_path: Path
) -> None:
    environment = production_environment(committed, keys, tmp_path) | {"MEDIATION_HOST": host}
    with serving(environment, tmp_path, until="/health/live") as running:
        port = running.api.rpartition(":")[2]
        assert _exit_code(MEDIATION_HOST=host, MEDIATION_PORT=port) == 0
    assert _exit_code(MEDIATION_HOST=host, MEDIATION_PORT=port) == 1


def test_an_answer_that_is_no_200_is_a_failure() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:  # which has no methods, and answers 501
        Thread(target=other.handle_request).start()
        assert _exit_code(MEDIATION_PORT=str(other.server_port)) == 1


def test_its_defaults_are_those_of_the_settings() -> None:
    fields = Settings.model_fields
    assert (fields["host"].default, str(fields["port"].default)) == (HOST, PORT)
