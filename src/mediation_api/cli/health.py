"""`python -m mediation_api.cli.health`: whether `serve` with this environment answers. The image's health check.

It runs every few seconds, and so loads neither the settings nor the other commands, which take half a second.
"""

import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final

HOST: Final = "127.0.0.1"
PORT: Final = "8000"
"""The defaults of the settings."""
TIMEOUT_SECONDS: Final = 2.0


def is_live() -> bool:
    """Whether /health/live answers 200. The addresses 0.0.0.0 and :: lead to this machine."""
    host, port = os.environ.get("MEDIATION_HOST") or HOST, os.environ.get("MEDIATION_PORT") or PORT
    connection = HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_live() else 1)
