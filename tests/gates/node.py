"""The tools of openapi/package.json, run where their configuration is."""

import os
import subprocess
from pathlib import Path
from typing import Final

OPENAPI: Final = Path("openapi").absolute()
TIMEOUT: Final = 600.0
"""Seconds. Against a tool that hangs: none needs a tenth of it, but on a machine that does much else besides."""


def node(tool: str, *arguments: str | Path, cwd: Path = OPENAPI) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end, whatever that is; nothing is sent to its makers."""
    return subprocess.run(
        [OPENAPI / "node_modules" / ".bin" / tool, *arguments],
        cwd=cwd,
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
