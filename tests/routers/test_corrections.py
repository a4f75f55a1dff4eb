"""What was read can be sent back as a correction, and each field that can be corrected is seen in the entity tag."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
import pytest
from sqlalchemy import func, select
from tests.conftest import RolledBackDatabase

from mediation_api.database.tables import events
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.http.merge_patch import Patch
from mediation_api.main import OPERATIONS
from mediation_api.routers.complaints import ComplaintPatch
from mediation_api.routers.mediators import MediatorPatch
from mediation_api.routers.parties import PartyPatch

GUARDIAN: Final = {"name": "Lin Alvarez", "relation": "parent", "phone": None, "email": "lin@example.org"}
PARTY: Final[Mapping[str, object]] = {
    "name": "Maya Stone",
    "employee_number": "4799",
    "unit": "East",
    "phone": "+1 503 555 0177",
    "email": "maya@example.org",
    "email_allowed": True,
    "postal_address": "1 Main Street",
    "safe_contact": "In the evening.",
    "language": "es",
    "interpreter_language": "es",
    "accommodations": "A ramp.",
    "minor": True,
    "guardian": {**GUARDIAN, "name": "Ana Alvarez"},
}
COMPLAINT: Final[Mapping[str, object]] = {
    "narrative": "He would not say why.",
    "incident_on": "2026-01-20",
    "incident_place": "Second and Main",
    "precinct": "North",
    "allegations": ["disparate_treatment"],
    "crime_alleged": True,
    "serious_injury": True,
    "litigation_pending": True,
    "officer_is_witness": True,
    "pending_case_filed_on": "2026-01-30",
    "rank_initiated": True,
}
MEDIATOR: Final[Mapping[str, object]] = {
    "name": "Nia Evenhand",
    "subject": "m.evenhand",
    "employee_number": "4798",
    "languages": ["es"],
    "email": "nia@example.org",
    "email_allowed": True,
    "phone": "+1 503 555 0178",
    "active": False,
}
OTHERS: Final[Mapping[type[Patch], set[str]]] = {PartyPatch: {"name_correction_reason"}}
"""Fields of a correction that are not of what is corrected."""


@dataclass(frozen=True, slots=True)
class Object:
    """Something that can be corrected, and who does it."""

    who: Caller
    path: str
    model: type[Patch]
    values: Mapping[str, object]
    """Another value for each field that this caller may correct."""

    async def read(self) -> httpx.Response:
        """Read it."""
        return await self.who.send("GET", self.path)

    async def correct(self, body: object, tag: str) -> httpx.Response:
        """Correct it, having seen this."""
        headers = {"Authorization": f"Bearer {self.who.token}", "If-Match": tag}
        return await self.who.client.patch(self.path, json=body, headers=headers)


async def taking_part(office: Office) -> Story:
    """A minor and an officer, who have agreed."""
    story = await office.file(complainants=[{"minor": True, "guardian": GUARDIAN}], officers=[{"unit": "West"}])
    await story.screen()
    await story.guardian_agrees(story.complainants[0])
    for who in (*story.complainants, *story.officers):
        await story.answer(who)
    return story


async def objects(office: Office) -> dict[str, Object]:
    """Everything that can be corrected, by everybody who may."""
    story, agreed, fresh = await taking_part(office), await taking_part(office), await office.file()
    complainant, officer = story.complainants[0], story.officers[0]
    mediator = await office.mediator()
    of_complainant = {name: value for name, value in PARTY.items() if name not in {"employee_number", "unit"}}
    of_officer = {name: value for name, value in PARTY.items() if name not in {"minor", "guardian"}}
    own = {name: value for name, value in PARTY.items() if name in PartyPatch.by_party}

    def party(who: Caller, of: Caller, values: Mapping[str, object]) -> Object:
        return Object(who, f"/v1/parties/{of.party_id}", PartyPatch, values)

    return {
        "a complainant, themselves": party(complainant, complainant, own),
        "an officer, themselves": party(officer, officer, own),
        "staff, a complainant": party(office.intake, fresh.complainants[0], of_complainant),
        "staff, an officer": party(office.intake, fresh.officers[0], of_officer),
        "staff, a complainant who agreed": party(
            office.intake, agreed.complainants[0], {**own, "minor": False, "guardian": PARTY["guardian"]}
        ),
        "staff, an officer who agreed": party(office.intake, agreed.officers[0], {**own, "unit": "East"}),
        "staff, a complaint": Object(office.intake, fresh.complaint, ComplaintPatch, COMPLAINT),
        "staff, a complaint in mediation": Object(office.intake, story.complaint, ComplaintPatch, COMPLAINT),
        "staff, a mediator": Object(
            office.coordinator, f"/v1/mediators/{mediator.mediator_id}", MediatorPatch, MEDIATOR
        ),
    }


async def recorded(database: RolledBackDatabase) -> int:
    """How many events there are."""
    async with database.reading() as connection:
        number: int | None = await connection.scalar(select(func.count()).select_from(events))
    assert number is not None
    return number


async def test_what_was_read_is_sent_back_and_nothing_happens(office: Office, database: RolledBackDatabase) -> None:
    """All fields of a correction, also those that do not apply to a party of this kind or that others correct."""
    for name, each in (await objects(office)).items():
        read, before = await each.read(), await recorded(database)
        fields = each.model.model_fields.keys() - OTHERS.get(each.model, set())
        assert fields <= read.json().keys(), name
        answer = await each.correct({field: read.json()[field] for field in fields}, read.headers["etag"])
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert (answer.content, answer.headers["etag"]) == (read.content, read.headers["etag"]), name
        assert await recorded(database) == before, name


@pytest.mark.drawn
async def test_each_field_that_can_be_corrected_moves_the_tag(office: Office) -> None:
    for name, each in (await objects(office)).items():
        for field, value in each.values.items():
            read = await each.read()
            assert read.json()[field] != value, f"{name}: {field} has this value already"
            answer = await each.correct({field: value}, read.headers["etag"])
            assert answer.status_code == 200, f"{name}: {field}: {answer.text}"
            assert answer.headers["etag"] != read.headers["etag"], f"{name}: {field}"
            assert answer.json()[field] == value, f"{name}: {field}"
            assert (await each.read()).headers["etag"] == answer.headers["etag"], f"{name}: {field}"


async def test_a_field_that_is_not_the_callers_is_refused_if_it_would_change(office: Office) -> None:
    for name, each in (await objects(office)).items():
        if each.model is not PartyPatch:
            continue
        for field in PARTY.keys() - each.values.keys():
            is_minor = (await each.read()).json()["minor"]
            answer = await each.correct({field: not is_minor if field == "minor" else PARTY[field]}, "*")
            assert answer.status_code in {409, 422}, f"{name}: {field}: {answer.text}"


def test_every_correction_is_looked_at() -> None:
    """Each with all of its fields. The coordinator, which is PUT, is below."""
    assert {name for name in OPERATIONS if name.startswith("correct")} == {
        "correctComplaint",
        "correctMediator",
        "correctParty",
    }
    for model, values in ((ComplaintPatch, COMPLAINT), (PartyPatch, PARTY), (MediatorPatch, MEDIATOR)):
        assert model.model_fields.keys() - OTHERS.get(model, set()) == values.keys()


async def test_a_coordinator_is_put_back_and_nothing_happens(office: Office, database: RolledBackDatabase) -> None:
    story = await office.file()
    path, headers = f"{story.path}/coordinator", {"Authorization": f"Bearer {office.intake.token}"}
    read = await office.intake.send("GET", path)
    tags = [read.headers["etag"]]
    for subject, more in (("coordinator.1", 1), ("coordinator.1", 0), ("coordinator.2", 1)):
        before = await recorded(database)
        sent = {"coordinator": subject}
        put = await office.client.put(path, json=sent, headers={**headers, "If-Match": tags[-1]})
        assert put.json() == {"case_id": story.case_id, "coordinator": subject, "coordinator_name": None}
        assert await recorded(database) == before + more
        assert (put.headers["etag"] != tags[-1]) == bool(more)
        tags.append(put.headers["etag"])
    late = {**headers, "If-Match": tags[0]}
    assert (await office.client.put(path, json={"coordinator": "coordinator.3"}, headers=late)).status_code == 412
