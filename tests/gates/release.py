"""Freezes the contract as released: `make release-contract`. What is released never changes (openapi/CHANGELOG.md)."""

import json
import sys

from tests.gates.compatibility import RELEASED
from tests.gates.node import OPENAPI, node
from tests.gates.planting import CONTRACT


def main() -> str | None:
    """Write the contract beside the earlier ones. Returns what forbids it."""
    version = json.loads(CONTRACT.read_text(encoding="utf-8"))["info"]["version"]
    frozen = OPENAPI / "released" / f"{version}.json"
    if frozen.exists() and frozen.read_bytes() != CONTRACT.read_bytes():
        return f"{version} is released and the contract differs: give it a new version in pyproject.toml."
    if RELEASED and RELEASED[-1] != frozen:
        # Below 1.0 a minor version may break; from there on that is another contract, under /v2.
        worst = "none" if version.startswith("0.") else "major"
        compared = node("redocly", "diff", RELEASED[-1], CONTRACT.absolute(), "--fail-on", worst, "--check-version")
        sys.stdout.write(compared.stdout)
        if compared.returncode:
            return f"{version} is not the version that these changes ask for."
    frozen.parent.mkdir(exist_ok=True)
    frozen.write_bytes(CONTRACT.read_bytes())
    sys.stdout.write(f"Released as {frozen.relative_to(OPENAPI.parent)}.\n")
    return None


if __name__ == "__main__":
    sys.exit(main())
