"""The service as `make run` starts it, on another port and with a data directory of its own."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from tests.places import THROW_AWAY

START_SECONDS: Final = 300.0
"""Against a service that does not start: on a machine that does much else besides, it takes longer than a minute."""
COMMAND: Final = ".venv/bin/mediation-api"


@dataclass(frozen=True, slots=True)
class Served:
    """A running service, and the folder it was started in."""

    folder: Path
    api: str

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return (self.folder / "output").read_text(encoding="utf-8")

    def token(self, role: str, *more: str) -> str:
        """A token, as the tutorial gets one."""
        command = [COMMAND, "token", "--role", role, *more]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def served() -> Iterator[Served]:
    """Serve until the block ends, then stop as Ctrl-C does."""
    with tempfile.TemporaryDirectory(prefix="mediation-served-", dir=THROW_AWAY) as name:
        folder = Path(name)
        folder.chmod(0o711)  # the user that PostgreSQL runs as passes through
        (folder / ".venv").mkdir()
        (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        running = Served(folder, f"http://127.0.0.1:{port}")
        with (folder / "output").open("w") as output:
            process = subprocess.Popen([COMMAND, "dev", "--port", str(port)], cwd=folder, stdout=output, stderr=output)
        try:
            wait_until_answered(process, f"{running.api}/health/ready", lambda: running.output)
            yield running
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(START_SECONDS)
        assert (status, "Traceback" in running.output) == (0, False), running.output


def wait_until_answered(process: subprocess.Popen[bytes], address: str, output: Callable[[], str]) -> None:
    """Wait until an address answers 200. A process that ends before that fails the test with what it has printed."""
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client() as client:
        while True:
            assert process.poll() is None, output()
            assert time.monotonic() < deadline, output()
            with suppress(httpx.TransportError):
                if client.get(address).status_code == httpx.codes.OK:
                    return
            time.sleep(0.05)
