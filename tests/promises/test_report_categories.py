"""The exception that people are told of is the exception that can be recorded, and there is one by default."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import pytest
from tests.conftest import Clock, RolledBackDatabase, application, calling

from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain.values import ReportCategory
from mediation_api.settings import Settings
from mediation_api.texts.loader import load_texts

ADMISSION, ABUSE = ReportCategory.CRIMINAL_ADMISSION, ReportCategory.CHILD_ABUSE
DEFAULT = Settings.model_fields["report_categories"].default
City: TypeAlias = Callable[..., AbstractAsyncContextManager[Office]]


@pytest.fixture
def city(settings: Settings, clock: Clock, database: RolledBackDatabase) -> City:
    """Gives the office of a city that has configured these categories; all of them share one database."""

    @asynccontextmanager
    async def configured(*categories: ReportCategory) -> AsyncIterator[Office]:
        chosen = settings.model_copy(update={"report_categories": categories or DEFAULT})
        async with calling(application(chosen, clock, database)) as client:
            yield Office(client, chosen, clock)

    return configured


async def report(by: Caller, story: Story, category: str, status: int = 201) -> dict[str, object]:
    body = {
        "category": category,
        "recipient": "law_enforcement",
        "agency": "City police",
        "legal_basis": "ORS 36.220",
        "disclosed_at": story.office.clock.now.isoformat(),
    }
    return await by.post(f"{story.path}/mandatory-reports", body, status)


def named(text: object) -> set[str]:
    """The categories whose own sentence stands in a text, in either language."""
    translations = load_texts().current.translations.values()
    return {category for each in translations for category, said in each.reports.items() if said in str(text)}


async def test_by_default_admissions_of_certain_criminal_acts_alone_can_be_recorded(city: City) -> None:
    assert DEFAULT == (ADMISSION,)
    async with city() as office:
        story = await (await office.file()).to_in_session()
        for category in ReportCategory:
            if category is not ADMISSION:
                refused = await report(office.director, story, category, 422)
                assert refused["errors"][0]["code"] == "category-not-configured"  # type: ignore[index]
        assert story.mediator is not None
        await report(story.mediator, story, ADMISSION)


@pytest.mark.parametrize("chosen", [(ADMISSION,), (ADMISSION, ABUSE), tuple(ReportCategory)], ids=len)
async def test_the_texts_name_exactly_the_categories_that_can_be_recorded(
    city: City, chosen: tuple[ReportCategory, ...]
) -> None:
    async with city(*chosen) as office:
        shown = await office.public.get("/v1/disclosures")
        assert len(shown["items"]) == 2  # type: ignore[arg-type]
        for each in shown["items"]:  # type: ignore[attr-defined]
            assert named(each["text"]) == set(chosen)
        story = await (await office.file()).to_ready()
        made = await story.make_agreement(languages=["en", "es"])
        assert named(made["text"]) == set(chosen)
        await story.assign()
        await story.schedule()
        for who in story.everybody:
            await story.sign(who)
        for category in ReportCategory:
            await report(office.director, story, category, 201 if category in chosen else 422)


async def test_another_setting_is_another_text(city: City) -> None:
    async with city() as before, city(ADMISSION, ABUSE) as after:
        assert await before.shown_disclosure() != await after.shown_disclosure()
        # What was shown before the change is no longer what people answer to.
        story = await (await after.file()).to_confirming()
        story.office.disclosures["en"] = await before.shown_disclosure()
        refused = await story.answer(story.complainants[0], status=409)
        assert refused["code"] == "disclosure-outdated"


async def test_a_case_records_no_category_that_its_people_were_not_told_of(city: City) -> None:
    """The city adds a category after everybody has signed: it is not recorded of them until they have signed anew."""
    async with city() as before, city(ADMISSION, ABUSE) as after:
        story = await (await before.file()).to_signed()
        later = story.copy(after)
        refused = await report(after.director, later, ABUSE, 409)
        assert refused["code"] == "category-not-disclosed"
        await report(after.director, later, ADMISSION)
        # A new text that nobody has signed yet changes nothing; one signature on it does.
        await later.make_agreement()
        await report(after.director, later, ABUSE, 409)
        await later.sign(later.complainants[0])
        await report(after.director, later, ABUSE)


async def test_before_anybody_has_signed_the_disclosures_that_were_agreed_to_count(city: City) -> None:
    async with city() as before, city(ADMISSION, ABUSE) as after:
        story = await (await before.file()).to_asking()
        later = story.copy(after)
        await later.answer(later.officers[0])
        # The officer was told of both, the complainant of one.
        assert (await report(after.director, later, ABUSE, 409))["code"] == "category-not-disclosed"
        await report(after.director, later, ADMISSION)
        fresh = await (await after.file()).to_ready()
        await report(after.director, fresh, ABUSE)


async def test_a_category_that_the_city_gave_up_is_recorded_no_more(city: City) -> None:
    async with city(ADMISSION, ABUSE) as before, city() as after:
        story = await (await before.file()).to_signed()
        await report(before.director, story, ABUSE)
        later = story.copy(after)
        refused = await report(after.director, later, ABUSE, 422)
        assert refused["errors"][0]["code"] == "category-not-configured"  # type: ignore[index]


async def test_without_a_look_at_what_was_signed_it_would_be_recorded(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: where nobody asks what people were told, the category of another text is recorded."""

    async def nothing(*_: object) -> tuple[str, ...]:
        return ()

    async with city() as before, city(ADMISSION, ABUSE) as after:
        story = await (await before.file()).to_signed()
        later = story.copy(after)
        await report(after.director, later, ABUSE, 409)
        monkeypatch.setattr("mediation_api.repository.mandatory_reports.MandatoryReports.texts_in_force", nothing)
        await report(after.director, later, ABUSE)
