"""Everything that happened is written in one place: `repository/recording.py` and the effects that it executes."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "mediation_api"
RECORDING: Final = {
    "database/batching.py",
    "repository/streams.py",
    "repository/effects_of_cases.py",
    "repository/effects_of_complaints.py",
    "repository/effects_of_sessions.py",
    "repository/recording.py",
}
ELSEWHERE: Final = {
    "database/access_logging.py": "who opens what is logged by the statement that reads it",
    "database/data_keys.py": "the data key of a new complaint or mediator; recording executes the statement",
    "database/key_rotation.py": "data keys are wrapped, and texts encrypted, anew",
    "database/canaries.py": "values by which a wrong secret is detected",
    "database/job_runs.py": "when each scheduled command and task last succeeded",
    "repository/mails.py": "mails that are queued and sent, which are no events",
    "repository/access_log.py": "entries whose period has ended are deleted",
    "repository/calendar_feeds.py": "secret addresses of calendars, which change nothing of a case",
    "repository/attempt_counters.py": "counters of the present hour",
    "repository/webhooks.py": "the endpoints of integrations, and what was sent to them",
    "repository/staff_names.py": "the name in the token of whoever records something; recording executes the statement",
    "repository/imports.py": "the lines of imports until they are done; the complaints are recorded",
    "repository/idempotency.py": "answers that are kept for retries",
}
"""Where else something is written, and what."""
WRITES: Final = {"insert", "update", "delete"}
SQL: Final = re.compile(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM|MERGE INTO)\b|^\s*TRUNCATE\b", re.IGNORECASE)


def writes(source: str) -> set[str]:
    """What of a module builds or names a statement that writes.

    A method called `update` counts if nothing is passed to it, as with a table; that of a dict takes something.
    """
    found = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            found |= {alias.name for alias in node.names} & WRITES
        if isinstance(node, ast.Import):  # then `insert` is an attribute of the module, and takes a table
            found |= {alias.name for alias in node.names if alias.name.startswith("sqlalchemy")}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            found |= {node.func.attr} if not node.args and not node.keywords else set()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {match[0] for match in SQL.finditer(node.value)}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_is_written_outside_of_recording(path: Path) -> None:
    name = str(path.relative_to(SOURCE))
    found = writes(path.read_text(encoding="utf-8"))
    assert not found or name in RECORDING or name in ELSEWHERE, (
        "let the domain return an event, and write what follows from it in an effect"
    )


def test_a_place_that_is_excepted_writes_something() -> None:
    for name in ELSEWHERE:
        assert writes((SOURCE / name).read_text(encoding="utf-8")), name


@pytest.mark.parametrize(
    "planted",
    [
        "from sqlalchemy import insert, select",
        "from sqlalchemy.dialects.postgresql import insert",
        "statement = t.parties.update().where(here)",
        "text('UPDATE parties SET phone = NULL')",
        "text('WITH gone AS (SELECT 1) delete from parties')",
        "import sqlalchemy as sa",
    ],
)
def test_a_write_is_found(planted: str) -> None:
    assert writes(planted)
