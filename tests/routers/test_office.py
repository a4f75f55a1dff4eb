"""What everybody may know of the office: how to reach it, its languages, and its categories of allegations."""

from pathlib import Path

import pytest
from tests.conftest import Clock, calling

from mediation_api.dev.office import Office
from mediation_api.main import create_app
from mediation_api.settings import Settings

PHONE = "+1 503 555 0199"


async def test_anybody_learns_how_to_reach_the_office_and_in_which_languages_it_has_texts(office: Office) -> None:
    assert await office.public.get("/v1/office") == {
        "name": "Independent Police Review",
        "phone": None,
        "time_zone": "America/Los_Angeles",
        "languages": [{"language": "en", "name": "English"}, {"language": "es", "name": "Español"}],
    }


async def test_the_number_of_the_office_stands_in_the_disclosure_and_beside_it(
    settings: Settings, clock: Clock
) -> None:
    configured = settings.model_copy(update={"office_phone": PHONE})
    async with calling(create_app(configured, clock=lambda: clock.now)) as client:
        assert (await client.get("/v1/office")).json()["phone"] == PHONE
        english, spanish = (await client.get("/v1/disclosures")).json()["items"]
    assert f"Office: Independent Police Review, telephone {PHONE}\n" in english["text"]
    assert f"Independent Police Review, teléfono {PHONE}\n" in spanish["text"]
    assert (english["office_name"], english["office_phone"]) == ("Independent Police Review", PHONE)


async def test_an_earlier_disclosure_comes_with_the_number_of_today(office: Office) -> None:
    shown = await office.public.get(f"/v1/disclosures/{await office.shown_disclosure()}")
    assert (shown["office_name"], shown["office_phone"]) == ("Independent Police Review", None)


async def test_the_categories_have_words_in_each_language(office: Office) -> None:
    listed = (await office.public.get("/v1/allegation-categories"))["items"]
    assert isinstance(listed, list)
    assert [each["code"] for each in listed] == [
        "conduct",
        "control",
        "discourtesy",
        "disparate_treatment",
        "force",
        "procedure",
    ]
    for each in listed:
        assert [label["language"] for label in each["labels"]] == ["en", "es"]


async def test_a_complaint_names_only_categories_of_the_list(office: Office) -> None:
    person = {"side": "complainant", "name": "Rosa Alvarez"}
    body = {"narrative": "Words.", "allegations": ["rude"], "interested_in_mediation": False, "parties": [person]}
    refused = await office.public.send("POST", "/v1/complaints", body)
    assert refused.status_code == 422
    assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [
        ("/allegations", "category-not-configured")
    ]


async def test_a_city_replaces_the_list_by_its_own(settings: Settings, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "allegations.en.md").write_text("# Ours\n\n- search: Searches\n", encoding="utf-8")
    configured = settings.model_copy(update={"allegations_directory": tmp_path})
    async with calling(create_app(configured, clock=lambda: clock.now)) as client:
        listed = (await client.get("/v1/allegation-categories")).json()["items"]
    assert listed == [{"code": "search", "labels": [{"language": "en", "text": "Searches"}]}]


@pytest.mark.parametrize("name", ["incident_on", "intake"])
async def test_what_has_not_happened_yet_is_refused(office: Office, name: str) -> None:
    tomorrow = "2099-12-31"
    body = {
        "channel": "phone",
        "narrative": "Words.",
        "allegations": ["force"],
        "interested_in_mediation": False,
        "parties": [{"side": "complainant", "name": "Rosa Alvarez"}],
        name: {"pending_case_filed_on": tomorrow} if name == "intake" else tomorrow,
    }
    refused = await office.intake.send("POST", "/v1/complaints", body)
    pointer = "/incident_on" if name == "incident_on" else "/intake/pending_case_filed_on"
    assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [(pointer, "in-the-future")]
