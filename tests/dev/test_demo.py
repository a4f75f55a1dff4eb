"""The demo data: every state of the lifecycle, on any day, once."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Self, TypeAlias

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from tests.conftest import Clock, Run, application, calling, fresh_database
from tests.database.dumping import dump, sealed_words

from mediation_api.cli.dev import DEMO_EMPLOYEE_NUMBER
from mediation_api.database import tables as t
from mediation_api.database.data_keys import decrypted
from mediation_api.database.engine import Database
from mediation_api.dev import demo
from mediation_api.dev.demo import DemoCard, DemoError, load_demo_data
from mediation_api.dev.office import Caller, Office
from mediation_api.domain.access import Role
from mediation_api.domain.board import Wait
from mediation_api.domain.lifecycle import State
from mediation_api.domain.target import Pace
from mediation_api.domain.values import Approver
from mediation_api.settings import Settings

pytestmark = pytest.mark.drawn

Item: TypeAlias = "dict[str, object]"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A database with the demo data, and the office that looks at it then."""

    card: DemoCard
    office: Office

    async def items(self, path: str, who: Caller | None = None) -> list[Item]:
        """The items of a list."""
        listed: list[Item] = (await (who or self.office.coordinator).get(path))["items"]  # type: ignore[assignment]
        return listed


def half_past_midnight(day: int) -> type[datetime]:
    """The time in January 2027, as the demo asks for it: a new year, and a change of the clocks, lie behind."""

    class Someday(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2027, 1, day, 8, 30, tzinfo=tz)

    return Someday


SUNDAY, MONDAY = half_past_midnight(3), half_past_midnight(4)


@pytest.fixture(scope="module")
async def loaded(run: Run, keys: Path, server_url: str) -> AsyncIterator[Loaded]:
    """What two that load at once have loaded, on a Sunday."""
    with fresh_database(run, keys, server_url) as settings, pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "datetime", SUNDAY)
        await asyncio.gather(load_demo_data(settings), load_demo_data(settings))
        card = await load_demo_data(settings)  # of those two, only the later one's code still works
        database, clock = Database.of(settings), Clock(SUNDAY.now(UTC))
        async with calling(application(settings, clock, database)) as client:
            yield Loaded(card, Office(client, settings, clock))
        await database.close()


async def test_two_that_load_at_once_load_once(loaded: Loaded) -> None:
    assert len(await loaded.items("/v1/complaints")) == len(demo.STORIES)
    assert len(await loaded.items("/v1/mediators")) == len(demo.ROSTER)


@pytest.mark.drawn
async def test_the_board_shows_what_an_office_lives_through(loaded: Loaded) -> None:
    cases = await loaded.items("/v1/cases")
    complaints = await loaded.items("/v1/complaints")
    roster = await loaded.items("/v1/mediators")
    parties = [p for c in complaints for p in await loaded.items(f"/v1/complaints/{c['id']}/parties")]
    pauses = [p for c in cases for p in await loaded.items(f"/v1/cases/{c['id']}/pauses")]
    alerts = {alert for case in cases for alert in case["alerts"]}  # type: ignore[attr-defined]
    openings = [datetime.fromisoformat(str(case["opened_at"])) for case in cases]
    now = loaded.office.clock.now
    today = now.date().isoformat()

    assert {case["state"] for case in cases} == set(State)
    assert {case["waits_for"] for case in cases} - {None, "scheduling"} == set(Wait) - {Wait.SCHEDULING}
    assert {case["target"]["pace"] for case in cases} == {*Pace, None}  # type: ignore[index]
    assert alerts == {"target_at_risk", "target_missed", "mediator_silent", "repeated_absence"}
    assert {case["attempt"] for case in cases} == {1, 2}
    assert {case["agreement_reached"] for case in cases if case["state"] == State.MEDIATED} == {True, False}
    assert [pause for pause in pauses if str(pause["starts_on"]) < today < str(pause["ends_on"])]
    assert len({party["employee_number"] for party in parties if party["side"] == "officer"}) == 5
    assert {party["language"] for party in parties} == {"en", "es"}
    assert {party["interpreter_language"] for party in parties} == {None, "ase", "es"}
    assert any(party["minor"] and party["guardian"] for party in parties)
    assert sorted(str(entry["active"]) for entry in roster) == ["False", "True", "True"]
    assert max(openings) <= now
    assert (now - min(openings)).days <= 48

    by_reference = sorted(complaints, key=lambda complaint: str(complaint["reference"]))
    assert [c["filed_at"] for c in by_reference] == sorted(str(c["filed_at"]) for c in complaints)
    for case in cases:
        events = await loaded.items(f"/v1/cases/{case['id']}/timeline?limit=100")
        # Each that loads makes a code in the end, at the time at which it began.
        times = [str(event["occurred_at"]) for event in events if event["kind"] != "access_code.issued"]
        assert times == sorted(times)

    for person in [*parties, *roster]:
        assert re.fullmatch(r"503-555-01\d\d", str(person["phone"] or "503-555-0100"))
        assert str(person["email"] or "@example.org").endswith("@example.org")


async def test_a_dump_holds_nobody_s_name_and_no_narrative(
    loaded: Loaded, as_owner: Callable[[Settings], Settings]
) -> None:
    owner = Database.of(as_owner(loaded.office.settings))
    words = await sealed_words(owner)
    async with owner.reading() as connection:
        narratives = (await connection.scalars(select(decrypted(t.complaints.c.narrative)))).all()

    assert {"Carmen Ejemplo", "Officer Casey Sample", *narratives} <= words
    assert len(words) > 100
    assert await dump(owner, words) == set()
    # What is left for whoever runs the database: ids, codes, dates, units, languages, districts, and who signed in.
    assert await dump(owner, {"Central Precinct"}) == {"Central Precinct"}
    await owner.close()


async def test_what_is_printed_leads_to_something_and_loading_again_doubles_nothing(loaded: Loaded) -> None:
    complainant = await loaded.office.signed_in(loaded.card.access_code)
    (case,) = await loaded.items("/v1/cases", complainant)
    assert case["you"]["standing"] == "asked"  # type: ignore[index]
    assert len(loaded.card.curl) == 5
    assert loaded.card.access_code in loaded.card.curl[-1]
    for role, number in ((Role.OFFICER, DEMO_EMPLOYEE_NUMBER), (Role.MEDIATOR, None)):
        assert await loaded.items("/v1/cases", loaded.office.caller(role, f"demo-{role}", number))
    assert await loaded.items("/v1/complaints", loaded.office.caller(Role.INTEGRATION, "demo-integration"))

    await complainant.post(f"/v1/cases/{case['id']}/withdrawals")  # the card's case moves on
    before = await loaded.items("/v1/complaints")
    again = await load_demo_data(loaded.office.settings)

    assert await loaded.items("/v1/complaints") == before
    assert len(await loaded.items("/v1/mediators")) == len(demo.ROSTER)
    await loaded.office.signed_in(again.access_code)
    await loaded.office.public.post("/v1/access-tokens", {"access_code": loaded.card.access_code}, 401)


async def test_what_cannot_be_told_to_its_end_leaves_nothing(
    committed: Settings, committed_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mistaken(office: demo._Office) -> demo.Steps:
        yield office.day(-40, 16)
        await office.coordinator.get("/v1/nowhere")

    monkeypatch.setattr(demo, "STORIES", (*demo.STORIES[:2], mistaken))
    with pytest.raises(DemoError, match=r"GET /v1/nowhere was answered 404 not-found\.$"):
        await load_demo_data(committed)

    for path in ("/v1/complaints", "/v1/mediators", "/v1/cases"):
        assert (await committed_office.intake.get(path))["items"] == []


async def test_it_stays_away_from_a_database_with_other_data(committed_office: Office) -> None:
    await committed_office.file()

    with pytest.raises(DemoError, match="other data"):
        await load_demo_data(committed_office.settings)


async def test_a_database_that_is_away_is_said_to_be(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/nothing")})

    with pytest.raises((SQLAlchemyError, OSError)):
        await load_demo_data(nowhere)


async def test_the_stories_fit_a_monday_and_a_strict_city(committed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "datetime", MONDAY)
    strict = committed.model_copy(update={"required_approvals": tuple(Approver), "pause_max_days": 3})

    assert (await load_demo_data(strict)).access_code
