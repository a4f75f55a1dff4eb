"""The verification in parts: by several processes, from a checkpoint, and continued after a kill."""

import asyncio
import json
import multiprocessing
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.cli.auditing import background, bend, run
from tests.serving import START_SECONDS

from mediation_api.cli.audit_runs import VerificationError, _distributed
from mediation_api.database.engine import create_engine
from mediation_api.dev.office import Office
from mediation_api.repository import audit_ranges
from mediation_api.repository.audit_ranges import EVERYTHING
from mediation_api.settings import Settings

pytestmark = pytest.mark.program

_PROGRESS = re.compile(r"\d+ of \d+ parts, \d+ events, \d+ problems\n")
BENT = "UPDATE events SET by = 'x' WHERE case_id = '{case}' AND sequence = 2"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tmp_path / "verified.json"


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range for each stream."""
    monkeypatch.setattr(audit_ranges, "STREAMS_IN_RANGE", 1)


def read(checkpoint: Path) -> str:
    return checkpoint.read_text()


def write(checkpoint: Path, content: str) -> None:
    checkpoint.write_text(content)


def stored(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says; a run that has found nothing if there is none yet."""
    return dict(json.loads(checkpoint.read_text())) if checkpoint.exists() else {"run": {"problems": 0}}


def verified(environment: Mapping[str, str], *arguments: str | Path) -> tuple[str, str]:
    """Verify. Returns what is wrong, and the line of numbers."""
    done = run(environment, "verify", "--jobs", "1", *arguments)
    assert done.exit_code == (1 if done.stdout else 0), done.output
    return done.stdout, without_progress(done.stderr)


def without_progress(errors: str) -> str:
    """What a command printed on standard error, but for how far it had come: it says so on a slow machine only."""
    return "".join(line for line in errors.splitlines(keepends=True) if not _PROGRESS.match(line))


@pytest.mark.usefixtures("in_parts")
async def test_several_processes_find_what_one_finds_in_the_same_order(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], tmp_path: Path
) -> None:
    stories = [await committed_office.file() for _ in range(3)]
    assert run(environment, "export", "--to", tmp_path / "heads").exit_code == 0
    await bend(
        owned,
        *(BENT.format(case=story.case_id) for story in stories),
        "DELETE FROM audit_chain_heads WHERE stream = (SELECT stream FROM audit_chain_heads ORDER BY 1 DESC LIMIT 1)",
        "ALTER TABLE screenings DISABLE TRIGGER USER",
    )
    against = ("--against", tmp_path / "heads")
    alone = verified(environment, *against)
    together = run(environment, "verify", "--jobs", "3", *against)
    assert together.exit_code == 1
    assert (together.stdout, without_progress(together.stderr)) == alone
    assert alone[0].count("changed") == 3
    assert "in 6 streams" in alone[1]


async def test_from_a_checkpoint_only_what_has_gone_on_since_is_verified(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], checkpoint: Path
) -> None:
    one, other = await committed_office.file(), await committed_office.file()
    first = verified(environment, "--checkpoint", checkpoint)
    assert first == verified(environment)
    assert verified(environment, "--checkpoint", checkpoint) == ("", "0 events in 0 streams, 0 problems.\n")
    await one.to_ready()
    await bend(owned, BENT.format(case=other.case_id))
    found, numbers = verified(environment, "--checkpoint", checkpoint)
    assert found == "", "a change of what was verified is found by a full run only"
    assert "in 2 streams" in numbers, "the case and its complaint"
    assert verified(environment)[0] == f"{other.case_id} 2 changed\n"
    assert "is NOT found" in " ".join(run(environment, "verify", "--help").stdout.split())


async def test_what_was_found_is_found_again_until_it_is_put_right(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], checkpoint: Path
) -> None:
    story = await committed_office.file()
    verified(environment, "--checkpoint", checkpoint)
    before = stored(checkpoint)
    await story.to_ready()
    await bend(owned, BENT.format(case=story.case_id))
    for _ in range(2):
        assert verified(environment, "--checkpoint", checkpoint)[0] == f"{story.case_id} 2 changed\n"
        assert stored(checkpoint) == before


async def test_a_checkpoint_is_refused_where_its_event_is_gone_or_it_cannot_be_read(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], checkpoint: Path
) -> None:
    await committed_office.file()
    verified(environment, "--checkpoint", checkpoint)
    whole = read(checkpoint)
    for content, words in (
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        (whole.replace('"format": 1', '"format": 2'), "this release"),
        (whole.replace('"link": "', '"link": "x'), "cannot be read"),
        (whole.replace('"link": "', '"link": "00'), "does not have an event"),
    ):
        write(checkpoint, content)
        done = run(environment, "verify", "--checkpoint", checkpoint)
        assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert words in done.stderr
        assert read(checkpoint) == content
    write(checkpoint, whole)
    await bend(owned, "DELETE FROM events WHERE position = (SELECT max(position) FROM events)")
    assert "does not have an event" in run(environment, "verify", "--checkpoint", checkpoint).stderr


async def test_a_verification_that_was_killed_goes_on_where_it_was(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], checkpoint: Path
) -> None:
    stories = [await committed_office.file() for _ in range(6)]
    await bend(owned, *(BENT.format(case=story.case_id) for story in stories))
    in_one_go, numbers = verified(environment)
    with background(environment, "verify", "--jobs", "2", "--checkpoint", checkpoint) as killed:
        await until(lambda: stored(checkpoint)["run"]["problems"])
        async with locked(owned):
            workers = children(killed.pid)
            killed.kill()
            printed, _ = killed.communicate()
            await until(lambda: not any(is_running(pid) for pid in workers))  # at once, although they wait for a lock
    assert len(workers) >= 2
    assert 0 < len(printed.splitlines()) < len(in_one_go.splitlines())
    reached = stored(checkpoint)["run"]
    assert reached["events"] > 0
    rest = run(environment, "verify", "--jobs", "2", "--checkpoint", checkpoint)
    assert without_progress(rest.stderr) == numbers
    lines = printed.splitlines(), rest.stdout.splitlines()
    assert set(lines[0]) | set(lines[1]) == set(in_one_go.splitlines())
    assert len(lines[0]) + len(lines[1]) <= len(in_one_go.splitlines()) + 2, "the ranges that were under way"
    assert stored(checkpoint)["run"] is None


async def test_it_ends_with_one_line_if_one_of_its_processes_does(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], checkpoint: Path
) -> None:
    for _ in range(6):
        await committed_office.file()
    with background(environment, "verify", "--jobs", "2", "--checkpoint", checkpoint) as process:
        await until(checkpoint.exists)
        async with locked(owned):
            for pid in children(process.pid):
                os.kill(pid, signal.SIGKILL)
            output, errors = process.communicate()
    assert (process.returncode, output) == (2, "")
    assert without_progress(errors) == "a process of the verification ended\n"


def test_a_process_that_ended_before_it_is_sent_a_part_is_no_lost_connection() -> None:
    ours, theirs = multiprocessing.Pipe()
    theirs.close()
    with pytest.raises(VerificationError, match="a process of the verification ended"):
        list(_distributed([EVERYTHING], [ours]))


@asynccontextmanager
async def locked(owner: Settings) -> AsyncIterator[None]:
    """Keep every verification from going on."""
    engine = create_engine(owner, lock_timeout_ms=0)
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("LOCK TABLE staff_names"))
        yield
    await engine.dispose()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not is_so():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
