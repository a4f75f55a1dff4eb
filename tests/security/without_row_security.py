"""The conditions of the access scope alone: every scenario passes with the row policies of PostgreSQL off.

With both in force, what one of them lets through the other keeps out, and no test fails.
tests/database/test_row_security.py turns off the conditions; this file turns off the policies. Part of `make security`;
CI runs the scenarios in this way as well.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FAULT: Final = "tests.security.without_peers_visible"


def scenarios(*options: str) -> tuple[int, int]:
    """How many scenarios passed and failed without the row policies."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "tests/scenarios"],
        cwd=ROOT,
        env={**os.environ, "POLICIES": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    ended = done.stdout.splitlines()[-1]
    passed, failed = (re.search(rf"(\d+) {word}", ended) for word in ("passed", "failed"))
    assert passed is not None, done.stdout + done.stderr
    return int(passed[1]), int(failed[1]) if failed else 0


def test_every_scenario_holds_without_row_policies(record_property: Callable[[str, object], None]) -> None:
    passed, failed = scenarios()

    record_property("figure", f"{passed} scenarios passed without the row policies, {failed} failed")
    assert passed > 200
    assert failed == 0


def test_a_condition_that_is_left_out_is_seen(record_property: Callable[[str, object], None]) -> None:
    _, failed = scenarios("-p", FAULT)

    record_property("figure", f"with the condition that somebody takes part left out, {failed} of them failed")
    assert failed > 0
