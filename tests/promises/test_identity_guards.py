"""With each guard of identity taken away, what it is there to stop happens: the proofs could fail."""

import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from tests.promises.test_identity import missing, remove, standings, successor
from tests.repository.statements import put_together_anew

from mediation_api.database import access_scope
from mediation_api.database.engine import Database
from mediation_api.database.migrations import sql
from mediation_api.database.tables import parties
from mediation_api.dev.office import Office
from mediation_api.domain import reopening
from mediation_api.domain.access import Role
from mediation_api.domain.party import Party
from mediation_api.settings import Settings


async def test_without_the_rule_an_officer_who_agreed_becomes_somebody_else(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Party, "_require_same_person", lambda *_, **__: None)
    story = await (await office.file()).to_ready()
    officer = story.officers[0].party_id
    assert (await office.intake.patch(f"/v1/parties/{officer}", {"name": "Somebody Else"}))["name"] == "Somebody Else"
    assert (await standings(story))[officer] == "agreed"


async def test_without_the_rule_consents_stand_though_the_allegations_are_others(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopening, "void", lambda *_: ())
    story = await (await office.file()).to_ready()
    await office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"allegations": ["force"]})
    assert await story.state() == "ready"


async def test_without_the_rule_a_crime_that_is_learnt_shuts_no_gate(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopening, "outdate_screening", lambda *_: ())
    story = await (await office.file()).to_ready()
    await office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"crime_alleged": True})
    assert "screening-outdated" not in await missing(story)
    assert (await story.case())["alerts"] == []


@pytest.fixture
def _by_number_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The access scope compares the number alone, and ignores removals."""
    own = access_scope._was_own_party

    def by_number(role: Role) -> object:
        if role is Role.OFFICER:
            return parties.c.employee_number_index == access_scope._NUMBER
        return own(role)

    monkeypatch.setattr(access_scope, "is_own_party", by_number)
    monkeypatch.setattr(access_scope, "_was_own_party", by_number)
    with put_together_anew():
        yield


async def weaken_row_security(settings: Settings) -> None:
    """Row security asks for nothing but the number either."""
    conditions = r"p\.removed_at IS NULL\s+AND|AND coalesce\(p\.bound_subject, subject\) = subject"
    weaker, removed = re.subn(conditions, "", sql("assume_party"))
    assert removed == 2
    database = Database.of(settings)
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL search_path = public"))
        await connection.exec_driver_sql(weaker.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    await database.close()


@pytest.mark.usefixtures("_by_number_alone")
async def test_without_the_subject_a_number_opens_what_was_the_predecessor_s_and_a_removed_party_s(
    committed_office: Office, committed: Settings, as_owner: Callable[[Settings], Settings]
) -> None:
    story = await (await committed_office.file(officers=[{}, {}])).to_ready()
    another = successor(committed_office, story.officers[0])
    await remove(story, story.officers[1])
    for who in (another, story.officers[1]):  # row security alone
        assert (await who.send("GET", story.path)).status_code == 404
    await weaken_row_security(as_owner(committed))
    for who in (another, story.officers[1]):
        assert (await who.send("GET", story.path)).status_code == 200
