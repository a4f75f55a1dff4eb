"""What stands behind the rules of who may speak for whom: triggers of the database, and what happens without a guard.

The checks are in tests/database/test_constraints.py, each with the row that it alone refuses.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.routers.redeclaring import redeclare

from mediation_api.database.engine import Database, create_engine
from mediation_api.database.tables import metadata
from mediation_api.dev.office import Office, Story
from mediation_api.domain.access import TOKEN_SCOPES, Relation, Role
from mediation_api.main import OPERATIONS
from mediation_api.repository.recording import constraint_of
from mediation_api.settings import Settings

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Scene:
    """A case with a minor and an officer, and a mediator to whom it was merely proposed."""

    story: Story
    subject: str
    database: Database
    owner: AsyncEngine

    def said(self, by_role: str, by: str, **values: object) -> Row:
        """What somebody is said to have done in the case."""
        said = {"case_id": UUID(self.story.case_id), "at": self.story.office.clock.now, "by_role": by_role, "by": by}
        return {"id": uuid4(), **said, **values}

    async def write(self, table: str, row: Row) -> None:
        """Write a row as the service does, without any code of its own before it."""
        async with self.database.transaction() as connection:
            await connection.execute(insert(metadata.tables[table]).values(row))

    async def as_owner(self, statement: str) -> None:
        """Change the schema."""
        async with self.owner.begin() as connection:
            await connection.execute(text(statement))


@pytest.fixture
async def scene(
    committed_office: Office,
    committed_database: Database,
    committed: Settings,
    as_owner: Callable[[Settings], Settings],
) -> AsyncIterator[Scene]:
    office = committed_office
    minor: Row = {"minor": True, "guardian": {"name": "Ines Alvarez", "relation": "parent"}}
    story = await office.file(complainants=[minor, {}], officers=[{"employee_number": "C-1"}])
    await story.screen()
    await story.answer(story.complainants[1])  # now the disclosure is kept
    mediator = await office.mediator()
    assert mediator.identity is not None
    await story.propose(mediator)
    owner = create_engine(as_owner(committed))
    yield Scene(story, mediator.identity[1], committed_database, owner)
    await owner.dispose()


def _a_minor_alone(scene: Scene) -> tuple[str, Row]:
    shown = {"disclosure_sha256": scene.story.office.disclosures["en"], "channel": "portal", "decision": "agreed"}
    minor = UUID(scene.story.complainants[0].party_id)
    return "consents", scene.said("complainant", str(minor), party_id=minor, version=9, **shown)


def _a_withdrawal_outside_a_session(scene: Scene) -> tuple[str, Row]:
    party = UUID(scene.story.complainants[0].party_id)
    return "withdrawals", scene.said("mediator", scene.subject, party_id=party, channel="session")


def _something_in_a_case_that_was_proposed(scene: Scene) -> tuple[str, Row]:
    return "events", scene.said("mediator", scene.subject, kind="session.scheduled", version=9, data={})


WRONG: Final[dict[str, Callable[[Scene], tuple[str, Row]]]] = {
    "guardian_consent": _a_minor_alone,
    "own_session": _a_withdrawal_outside_a_session,
    "accepted_case": _something_in_a_case_that_was_proposed,
}
"""What each trigger, which has the name of what it refuses, keeps out."""


@pytest.mark.drawn
@pytest.mark.parametrize("trigger", WRONG)
async def test_the_database_refuses_what_somebody_may_not_say(trigger: str, scene: Scene) -> None:
    with pytest.raises(IntegrityError) as refused:
        await scene.write(*WRONG[trigger](scene))
    assert constraint_of(refused.value) == trigger


@pytest.mark.drawn
@pytest.mark.parametrize("trigger", WRONG)
async def test_without_its_trigger_the_database_would_take_it(trigger: str, scene: Scene) -> None:
    table, row = WRONG[trigger](scene)
    await scene.as_owner(f"DROP TRIGGER {trigger} ON {table}")
    await scene.write(table, row)


async def _becomes_a_party(scene: Scene) -> None:
    """The mediator's number is found to be that of the officer, behind the back of the service."""
    mediators, parties = metadata.tables["mediators"], metadata.tables["parties"]
    number = update(mediators).where(mediators.c.subject == scene.subject).values(employee_number_index="C-1")
    async with scene.database.transaction() as connection:
        assert await connection.scalar(parties.select().where(parties.c.employee_number_index == "C-1")) is not None
        await connection.execute(number)


async def test_the_database_refuses_a_mediator_who_is_a_party(scene: Scene) -> None:
    with pytest.raises(IntegrityError) as refused:
        await _becomes_a_party(scene)
    assert constraint_of(refused.value) == "mediator_is_party"


async def test_without_its_trigger_a_mediator_would_become_a_party(scene: Scene) -> None:
    await scene.as_owner("DROP TRIGGER mediator_is_party ON mediators")
    await _becomes_a_party(scene)


# ── controls: with the guard taken away the attack succeeds ────────────────────────────────────────────────────────


async def test_without_the_question_for_the_code_a_token_would_outlive_it(scene: Scene) -> None:
    story, office = scene.story, scene.story.office
    grown = story.complainants[1]
    await office.intake.post(f"/v1/parties/{grown.party_id}/access-codes")
    assert (await grown.get(story.path, 401))["code"] == "token-revoked"
    always = (
        "CREATE OR REPLACE FUNCTION speaks_for(code text, party uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
    )
    await scene.as_owner(always)
    await grown.get(story.path)
    await story.withdraw(grown)


async def test_with_the_relation_of_before_a_proposal_would_open_the_case(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = await (await office.file()).to_confirming()
    mediator = await office.mediator()
    await story.propose(mediator)
    await mediator.get(f"{story.path}/timeline", 404)
    wider = {**OPERATIONS["listTimelineEvents"].access, Role.MEDIATOR: Relation.PROPOSED}
    redeclare("listTimelineEvents", monkeypatch, access=wider)
    await mediator.get(f"{story.path}/timeline")


async def test_if_only_known_scopes_were_looked_at_an_unknown_one_would_say_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.caller(Role.INTAKE, "intake.1", scope="complaints:delete").get("/v1/complaints", 403)
    monkeypatch.setattr("mediation_api.auth.tokens.is_own_scope", TOKEN_SCOPES.__contains__)
    # A token of its own: what was read of the first one is kept.
    await office.caller(Role.INTAKE, "intake.2", scope="complaints:delete").get("/v1/complaints")


async def test_if_a_filer_were_not_asked_for_the_code_would_be_another_complainants(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [{"side": "complainant", "name": name} for name in ("Rosa", "Elia")]
    body: Row = {"narrative": "He laughed.", "allegations": ["discourtesy"], "interested_in_mediation": True}
    body |= {"parties": people, "filed_by": 1}
    monkeypatch.setattr("mediation_api.domain.authority.filer", lambda *_args, **_more: 0)
    filed = await office.public.post("/v1/complaints", body)
    listed = await office.intake.get(f"/v1/complaints/{filed['id']}/parties")
    names = {each["id"]: each["name"] for each in listed["items"]}  # type: ignore[attr-defined]
    assert [names[given["party_id"]] for given in filed["access_codes"]] == ["Rosa"]  # type: ignore[attr-defined]
