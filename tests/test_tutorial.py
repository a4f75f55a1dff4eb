"""The commands of the tutorial, and the request in the README, run word for word and print what is shown below them."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import httpx
import pytest
from tests.serving import START_SECONDS, Served, served

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

ROOT: Final = Path(__file__).resolve().parents[1]
ADDRESS: Final = "http://127.0.0.1:8000"
AFTER: Final = "=== end of block {number} ==="


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands, and the answer that is shown below it."""

    commands: str
    shown: str | None


def steps(page: str, mark: str) -> list[Step]:
    """The steps between two comments of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    between = text.partition(f"<!-- {mark} -->\n")[2].partition(f"<!-- /{mark} -->")[0]
    blocks = re.finditer(r"```bash\n(?P<commands>.*?)```\n(?:```json\n(?P<shown>.*?)```\n)?", between, re.DOTALL)
    return [Step(found["commands"], found["shown"]) for found in blocks]


WALK: Final = steps("docs/tutorial.md", "walk-through")
REQUEST: Final = steps("README.md", "request")
STEPS: Final = [*WALK, *REQUEST]


@dataclass(frozen=True, slots=True)
class Walked:
    """What the commands printed, block by block, and where to look at what they did."""

    service: Served
    printed: list[str]

    def ending(self, state: str) -> str:
        """The id of the case that the commands show in this state."""
        answers = [json.loads(text) for text in self.printed if text.startswith("{")]
        (case_id,) = {answer["id"] for answer in answers if answer.get("state") == state}
        return str(case_id)


@pytest.fixture
def walked() -> Iterator[Walked]:
    """All blocks, run once in one shell, as in one terminal. Only the port differs."""
    with served() as service:
        blocks = [
            f"{step.commands.replace(ADDRESS, service.api)}\necho; echo '{AFTER.format(number=n)}'\n"
            for n, step in enumerate(STEPS)
        ]
        done = subprocess.run(
            ["bash"],  # noqa: S607 - the reader's
            input="".join(blocks),
            cwd=service.folder,
            # The environment is activated: a version manager's `python3` starts a shell for each value that is picked.
            env={**os.environ, "PATH": f"{service.folder}/.venv/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert done.stderr == ""
        ends = "|".join(re.escape(AFTER.format(number=n)) for n in range(len(STEPS)))
        printed = [part.strip() for part in re.split(ends, done.stdout)]
        yield Walked(service, printed)


def is_shown(step: Step, printed: str) -> bool:
    """Whether a block printed what is shown below it, or nothing where nothing is shown."""
    if step.shown is None:
        return printed == ""
    with suppress(json.JSONDecodeError):
        return is_part(json.loads(step.shown), json.loads(printed))
    return False


def is_part(shown: Json, answer: Json) -> bool:
    """Whether an answer is what is shown: it may hold more fields, and … stands for any text."""
    if isinstance(shown, dict):
        return isinstance(answer, dict) and all(
            name in answer and is_part(value, answer[name]) for name, value in shown.items()
        )
    if isinstance(shown, list):
        return (
            isinstance(answer, list)
            and len(shown) == len(answer)
            and all(is_part(one, other) for one, other in zip(shown, answer, strict=True))
        )
    if shown == "…":
        return isinstance(answer, str) and answer != ""
    return shown == answer and type(shown) is type(answer)


@pytest.mark.program
def test_the_commands_take_one_complaint_to_mediated_and_another_to_withdrawn(walked: Walked) -> None:
    wrong = [
        f"{step.commands}\nshown: {step.shown}\nprinted: {printed}"
        for step, printed in zip(STEPS, walked.printed, strict=False)
        if not is_shown(step, printed)
    ]
    assert not wrong, "\n\n".join(wrong)

    headers = {"Authorization": f"Bearer {walked.service.token('coordinator')}"}
    for state, session in (("mediated", "completed"), ("withdrawn", "ended")):
        case_id = walked.ending(state)
        case = httpx.get(f"{walked.service.api}/v1/cases/{case_id}", headers=headers).json()
        sessions = httpx.get(f"{walked.service.api}/v1/sessions", params={"case_id": case_id}, headers=headers).json()[
            "items"
        ]
        assert case["state"] == state
        assert [held["state"] for held in sessions] == [session]


def test_the_commands_need_nothing_but_curl_and_python() -> None:
    commands = "\n".join(step.commands for step in STEPS)
    assert len(WALK) >= 20
    assert len(REQUEST) == 1
    assert "API=${API:-http://127.0.0.1:8000}" in commands
    assert not re.search(r"\b(jq|wget|uuidgen|sed|awk)\b", commands)
    assert commands.count("mediation-api ") == commands.count(".venv/bin/mediation-api ") > 0
