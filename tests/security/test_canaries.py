"""The canary scan: what identifies people or tells of them stands in its column, encrypted, and nowhere else.

A story puts a value into every sealed column. Then things go wrong in every way there is: requests are refused by shape
and by rule, the database refuses a row, and a fault of ours has somebody's words in its text. Each value is looked for
in what the service and the database have logged, in every answer that refuses, in a dump (events, readings and kept
answers are tables of it), and in what `mediation-api audit export` writes.

The log of a server of one's own (MEDIATION_TEST_SERVER_URL) is out of reach, and is not looked at.
"""

import io
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.responses import Response
from tests.conftest import SERVER_VARIABLE, Run
from tests.database.dumping import dump, seal_nothing, sealed_words, told

from mediation_api.cli.audit_statements import export
from mediation_api.database.engine import Database
from mediation_api.dev.office import Office, Story
from mediation_api.domain.access import Role
from mediation_api.http import problems
from mediation_api.repository.complaints import Complaints
from mediation_api.settings import Settings

NARRATIVE = "He laughed at my cane."
COMPLAINT = {
    "channel": "phone",
    "narrative": NARRATIVE,
    "allegations": ["discourtesy"],
    "interested_in_mediation": False,
    "parties": [{"side": "complainant", "name": "Rosa Alvarez", "email": "rosa@people.example"}],
}


@dataclass(slots=True)
class Places:
    """Where a value must not be, by name."""

    texts: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def found(self, words: set[str]) -> dict[str, set[str]]:
        """What stands where."""
        texts = {**self.texts, "refusals": "\n".join(self.refusals)}
        hits = {place: {word for word in words if word in whole} for place, whole in texts.items()}
        return {place: hit for place, hit in hits.items() if hit}


@pytest.fixture
async def owner(committed: Settings, as_owner: Callable[[Settings], Settings]) -> AsyncIterator[Database]:
    database = Database.of(as_owner(committed))
    yield database
    await database.close()


@pytest.fixture
def server_log(run: Run) -> Callable[[], str]:
    """What the database logs from here on; nothing where its log is out of reach."""
    log = run.directory / "server" / "postgres.log"

    def read(path: Path = log) -> str:
        return "" if SERVER_VARIABLE in os.environ else path.read_text(encoding="utf-8", errors="replace")

    before = len(read())
    return lambda: read()[before:]


async def gone_wrong(office: Office, owner: Database, monkeypatch: pytest.MonkeyPatch) -> tuple[Story, Places]:
    """A story with a value in every sealed column, and then every kind of refusal and fault."""
    places = Places()

    async def note(response: httpx.Response) -> None:
        if response.is_error:
            places.refusals.append(f"{response.headers}\n{(await response.aread()).decode()}")

    office.client.event_hooks["response"].append(note)
    story = await told(office)
    story.complainants = [await office.signed_in(who.access_code) for who in story.complainants]
    intake, complaint = office.intake, f"/v1/complaints/{story.complaint_id}"
    await intake.post("/v1/complaints", {**COMPLAINT, "finding": NARRATIVE}, 422)
    await intake.post("/v1/complaints", {**COMPLAINT, "channel": NARRATIVE, "narrative": f"{NARRATIVE}\0"}, 422)
    officer = {"side": "officer", "name": "Officer Dale Kim 1", "employee_number": "E-77881"}
    await intake.post(f"{complaint}/parties", officer, 409)
    await office.caller(Role.OFFICER, "somebody", "E-1").get(story.path, 404)
    await office.public.post("/v1/access-tokens", {"access_code": story.complainants[0].access_code[:-1] + "*"}, 401)
    async with owner.transaction() as connection:
        await connection.execute(text("ALTER TABLE parties ADD CONSTRAINT refuses CHECK (false) NOT VALID"))
    await intake.post("/v1/complaints", COMPLAINT, 500)

    async def falls_over(*_given: object, **_more: object) -> str:
        raise RuntimeError(f"cannot file {COMPLAINT}")

    monkeypatch.setattr(Complaints, "next_number", falls_over)
    await intake.post("/v1/complaints", COMPLAINT, 500)
    return story, places


async def words_of(owner: Database, story: Story) -> set[str]:
    """Every sealed value, and what speaks for the parties."""
    callers = (*story.everybody, story.office.intake)
    secrets = {secret for who in callers for secret in (who.token, who.access_code) if secret}
    return await sealed_words(owner) | secrets


async def test_no_value_of_a_person_is_anywhere_but_in_its_column(
    committed_office: Office,
    owner: Database,
    server_log: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    with caplog.at_level(logging.INFO):
        story, places = await gone_wrong(committed_office, owner, monkeypatch)
    statement = io.BytesIO()
    await export(committed_office.settings, statement, at=committed_office.clock.now)
    places.texts = {"log": caplog.text, "server's log": server_log(), "export": statement.getvalue().decode()}
    words = await words_of(owner, story)

    assert NARRATIVE in words
    assert len(words) > 20
    assert len(places.refusals) == 7
    assert caplog.text.count('"event": "request"') > 20
    assert caplog.text.count('"event": "failure"') == 2
    assert places.found(words) == {}
    assert await dump(owner, words) == set()
    sizes = ", ".join(f"{place} {len(whole):,}" for place, whole in places.texts.items())
    record_property("figure", f"{len(words)} values, 0 found; characters looked through: {sizes}")


async def test_with_the_texts_of_errors_logged_they_would_be_found(
    committed_office: Office,
    owner: Database,
    server_log: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: errors are logged with their text, nothing is sealed, and somebody's text is cast in SQL."""
    answer = problems.on_failure

    def told_all(request: Request, exc: Exception) -> Response:
        logging.getLogger("somebody").error("%s", exc)
        return answer(request, exc)

    monkeypatch.setattr(problems, "on_failure", told_all)
    seal_nothing(monkeypatch)
    with caplog.at_level(logging.INFO):
        story, places = await gone_wrong(committed_office, owner, monkeypatch)
    async with owner.reading() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text(f"SELECT CAST(concat('{NARRATIVE}') AS integer)"))
    places.texts = {"log": caplog.text, "server's log": server_log()}
    found = places.found(await words_of(owner, story))

    assert {NARRATIVE, "rosa@people.example"} <= found["log"]
    if SERVER_VARIABLE not in os.environ:
        assert NARRATIVE in found["server's log"]
