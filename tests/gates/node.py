"""The tools of openapi/package.json, run where their configuration is, and the client that Python programs generate."""

import os
import subprocess
from collections.abc import Mapping
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


def python(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run the interpreter that the generator of Python clients is installed in; give what it prints."""
    interpreter = OPENAPI / ".python-client" / "bin" / "python"
    told = subprocess.run(
        [interpreter, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def generated_python(folder: Path) -> Path:
    """Make a Python client of the contract, without a warning; give the folder that its package is in."""
    config = folder / "config.yaml"
    # It would be formatted, which takes another tool; and it has to be told which types are files.
    files = "".join(f"  {each}: application/octet-stream\n" for each in ("application/pdf", "application/x-ndjson"))
    config.write_text(f"post_hooks: []\ncontent_type_overrides:\n{files}", encoding="utf-8")
    made = folder / "made"
    contract = OPENAPI / "mediation-api.v1.json"
    generate = ("-m", "openapi_python_client", "generate", "--path", contract, "--output-path", made)
    told = python(*generate, "--config", config, "--fail-on-warning", cwd=folder)
    assert "WARNING" not in told, told
    return made
