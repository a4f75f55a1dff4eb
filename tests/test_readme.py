"""The README is true: its commands run word for word, its diagram is the table of moves, and what it names exists."""

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
from tests.conftest import SERVER_VARIABLE
from tests.serving import START_SECONDS, Served, served

from mediation_api.domain.lifecycle import diagram
from mediation_api.http.problem_catalogue import CATALOGUE
from mediation_api.settings import PREFIX, Settings

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "src" / "mediation_api"
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for page in (ROOT / "docs").glob("**/*.md") if "node_modules" not in page.parts),
]
AFTER: Final = "=== end of block {number} ==="


def between(start: str, end: str) -> str:
    """The part of the README between two comments."""
    return README.partition(f"<!-- {start} -->\n")[2].partition(f"<!-- {end} -->")[0]


# ── the walk-through ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands, and the answer that the README shows below it."""

    commands: str
    shown: str | None


STEPS: Final = [
    Step(found["commands"], found["shown"])
    for found in re.finditer(
        r"```bash\n(?P<commands>.*?)```\n(?:```json\n(?P<shown>.*?)```\n)?",
        between("walk-through", "/walk-through"),
        re.DOTALL,
    )
]


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
    """The walk-through, run once: all blocks in one shell, like in one terminal."""
    with served() as service:
        blocks = [f"{step.commands}\necho; echo '{AFTER.format(number=n)}'\n" for n, step in enumerate(STEPS)]
        done = subprocess.run(
            ["bash"],  # noqa: S607 - the reader's
            input="".join(blocks),
            cwd=service.folder,
            # The environment is activated: a version manager's `python3` starts a shell for each value that is picked.
            env={**os.environ, "API": service.api, "PATH": f"{service.folder}/.venv/bin:{os.environ['PATH']}"},
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
    """Whether a block printed what the README shows below it, or nothing where it shows nothing."""
    if step.shown is None:
        return printed == ""
    with suppress(json.JSONDecodeError):
        return is_part(json.loads(step.shown), json.loads(printed))
    return False


def is_part(shown: Json, answer: Json) -> bool:
    """Whether an answer is what the README shows: it may hold more fields, and … stands for any text."""
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


def test_the_walk_through_needs_nothing_but_curl_and_python() -> None:
    commands = "\n".join(step.commands for step in STEPS)
    assert len(STEPS) >= 20
    assert "API=${API:-http://127.0.0.1:8000}" in commands
    assert not re.search(r"\b(jq|wget|uuidgen|sed|awk)\b", commands)
    assert commands.count("mediation-api ") == commands.count(".venv/bin/mediation-api ") > 0


# ── what it says ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_diagram_is_the_table_of_moves() -> None:
    assert between("lifecycle", "/lifecycle") == f"```mermaid\n{diagram()}\n```\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", page.read_text(encoding="utf-8")))
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {SERVER_VARIABLE}
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


def test_every_refusal_that_is_named_with_its_status_is_in_the_catalogue() -> None:
    pages = [*PAGES, *(ROOT / "openapi").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"\b([45]\d\d)\s`([a-z]+(?:-[a-z]+)*)`", text))
    assert len(named) >= 4
    assert named <= {(str(known.status), code) for code, known in CATALOGUE.items()}


DECISIONS: Final = [
    f"**{text.strip()}" for text in README.partition("## Decisions\n")[2].partition("\n## ")[0].split("\n**")[1:]
]


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: decision[2:42])
def test_a_decision_is_short_and_says_what_enforces_it(decision: str) -> None:
    text, _, enforced = decision.partition("enforced by ")
    places = re.findall(r"`([a-z_/]+\.py)`(?: \(([^)]+)\))?", enforced)

    assert len(decision.splitlines()) <= 5
    assert text
    assert places
    for path, names in places:
        source = (PACKAGE / path).read_text(encoding="utf-8")
        assert all(re.search(rf"\b{name}\b", source) for name in re.findall(r"`(\w+)`", names)), path


def test_what_must_be_set_is_what_the_readme_lists() -> None:
    listed = README.partition("These have no default")[2].partition("The key and the secrets")[0]
    required = {
        f"{PREFIX}{n.upper()}" for n, f in Settings.model_fields.items() if "Required." in (f.description or "")
    }
    required |= {f"{PREFIX}SERVICE_ISSUER", f"{PREFIX}DATABASE_URL"}
    assert set(re.findall(rf"{PREFIX}[A-Z_]+", listed)) == required
