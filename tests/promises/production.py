"""`mediation-api serve` as a city starts it: complete production settings, on a database of this run."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jsonschema_rs
from tests.serving import START_SECONDS, wait_until_answered

from mediation_api.settings import Settings

PROGRAM: Final = Path(sys.executable).with_name("mediation-api")
SCHEMA: Final = jsonschema_rs.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "log.schema.json").read_text(encoding="utf-8"))
)
SERVICE_ISSUER: Final = "https://mediation.city.example"
AUDIENCE: Final = "mediation"


def production_environment(settings: Settings, keys: Path, folder: Path) -> dict[str, str]:
    """Give the variables of a complete and safe production environment on the database of `settings`."""
    for name in ("service.pem", "idp.jwks.json"):
        shutil.copy(keys / name, folder / name)  # beside the key of the development provider they would be refused
    values = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "TOKEN_ISSUER": "https://login.city.example",
        "TOKEN_AUDIENCE": AUDIENCE,
        "TOKEN_JWKS": str(folder / "idp.jwks.json"),
        "SERVICE_ISSUER": SERVICE_ISSUER,
        "SERVICE_KEY_FILE": str(folder / "service.pem"),
        "ACCESS_CODE_SECRET": "f3Qm81xZ-wTu0Lk5vRb9HsYc2NjPa7Ge",  # pragma: allowlist secret
        "CURSOR_SECRET": "Zr6yXq4t_Bn1Dw8KoEi3VhMg5CsUf0La",  # pragma: allowlist secret
        "SEARCH_SECRET": "p9JtW2ez-Yk7Rc4QbFv0XnLd6HmAs1Gu",  # pragma: allowlist secret
        "ENCRYPTION_KEYS": "2026-a:V0mXc3dQe8rTfYz1uHb5jNk7pLs9wAgC2xDvE4iOq6M=",  # pragma: allowlist secret
    }
    return {f"MEDIATION_{name}": value for name, value in values.items()}


def without_settings() -> dict[str, str]:
    """Give this process's environment without any setting of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MEDIATION_")}


def log_lines(text: str) -> list[dict[str, object]]:
    """Give the lines of a log: each has to be as docs/log.schema.json says."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        SCHEMA.validate(line)
    return lines


@dataclass(frozen=True, slots=True)
class Running:
    """A service that `serve` started, and what it printed."""

    api: str
    output: Path
    process: subprocess.Popen[bytes]

    def text(self) -> str:
        """All that it printed so far."""
        return self.output.read_text(encoding="utf-8")

    def lines(self, event: str = "") -> list[dict[str, object]]:
        """Give the lines of one kind, or all: each has to be as docs/log.schema.json says."""
        found = log_lines(self.text())
        return [line for line in found if event in {"", line["event"]}]

    def stop(self) -> None:
        """Stop it in order."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_SECONDS)


def free_port() -> int:
    """Give a port of this machine that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    environment: Mapping[str, str], folder: Path, *, until: str = "/health/ready", port: int | None = None
) -> Iterator[Running]:
    """Run `mediation-api serve` until the block ends, on a free port if none is given."""
    if port is None:
        port = free_port()
    output = folder / f"output-{port}"
    variables = {**without_settings(), **environment, "MEDIATION_PORT": str(port)}
    with output.open("wb") as file:
        process = subprocess.Popen([PROGRAM, "serve"], env=variables, stdout=file, stderr=subprocess.STDOUT)
    host = variables.get("MEDIATION_HOST", "127.0.0.1")
    running = Running(f"http://{f'[{host}]' if ':' in host else host}:{port}", output, process)
    try:
        wait_until_answered(process, f"{running.api}{until}", running.text)
        yield running
    finally:
        if process.poll() is None:
            running.stop()
