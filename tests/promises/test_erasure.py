"""After an erasure nothing gives the data back: no replay of a key, no code, no correction, no dump."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import false, text, update
from sqlalchemy.exc import IntegrityError
from tests.conftest import Clock, RolledBackDatabase
from tests.database.dumping import dump

from mediation_api.database.engine import Database, create_engine
from mediation_api.database.tables import idempotency_keys
from mediation_api.dev.office import NARRATIVE, Caller, Office
from mediation_api.domain.retention import DEFAULT_DAYS, Periods
from mediation_api.repository.retention import purge_due
from mediation_api.settings import Settings

NAME, PHONE, KEY = "Wilhelmina Quist", "+1 503 555 0177", str(uuid4())
FILING = {
    "narrative": NARRATIVE,
    "allegations": ["discourtesy"],
    "interested_in_mediation": False,
    "parties": [{"side": "complainant", "name": NAME, "phone": PHONE}],
}


@pytest.fixture
async def owner(committed: Settings, as_owner: Callable[[Settings], Settings]) -> AsyncIterator[Database]:
    database = Database.of(as_owner(committed))
    yield database
    await database.close()


async def filed(office: Office) -> httpx.Response:
    """File without a token, as a member of the public does, and again with each call."""
    return await office.client.post("/v1/complaints", json=FILING, headers={"Idempotency-Key": KEY})


async def with_key(who: Caller, path: str, key: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {who.token}", "Idempotency-Key": key}
    return await who.client.post(path, json=body, headers=headers)


async def erased(office: Office, party_id: str) -> None:
    asked = await office.intake.post(f"/v1/parties/{party_id}/erasures")
    await office.director.post(f"/v1/erasures/{asked['id']}/approve", None, 200)


async def party_of(office: Office, complaint_id: str) -> str:
    listed = await office.intake.get(f"/v1/complaints/{complaint_id}/parties")
    return str(listed["items"][0]["id"])  # type: ignore[index]


async def test_a_replay_of_the_filing_tells_nothing(office: Office) -> None:
    first = await filed(office)
    assert (await filed(office)).content == first.content
    party_id = first.json()["access_codes"][0]["party_id"]
    await erased(office, party_id)

    again = await filed(office)
    assert (again.status_code, again.json()["code"]) == (422, "idempotency-answer-erased")
    assert "access_codes" not in again.text
    listed = await office.intake.get("/v1/complaints")
    assert len(listed["items"]) == 1, "and nothing was filed again"  # type: ignore[arg-type]


async def test_neither_does_a_replay_of_what_staff_sent(office: Office) -> None:
    story = await office.file()
    added = {"side": "complainant", "name": NAME, "phone": PHONE}
    key, code_key = str(uuid4()), str(uuid4())
    path = f"/v1/complaints/{story.complaint_id}/parties"
    party = (await with_key(office.intake, path, key, added)).json()
    codes = f"/v1/parties/{party['id']}/access-codes"
    assert (await with_key(office.intake, codes, code_key)).status_code == 201
    assert (await with_key(office.intake, path, key, added)).json()["name"] == NAME
    await story.withdraw(story.complainants[0])
    await office.intake.post(f"{story.path}/withdrawals", {"party_id": party["id"], "channel": "phone"}, 201)
    await erased(office, party["id"])

    for answer in (await with_key(office.intake, path, key, added), await with_key(office.intake, codes, code_key)):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-answer-erased")
        assert NAME not in answer.text


async def test_the_code_of_an_erased_party_ends_and_none_is_issued(office: Office) -> None:
    first = (await filed(office)).json()
    (code,) = first["access_codes"]
    assert (await office.client.post("/v1/access-tokens", json={"access_code": code["access_code"]})).is_success
    await erased(office, code["party_id"])

    refused = await office.client.post("/v1/access-tokens", json={"access_code": code["access_code"]})
    assert (refused.status_code, refused.json()["code"]) == (401, "access-code-invalid")
    issued = await office.intake.post(f"/v1/parties/{code['party_id']}/access-codes", None, 409)
    assert issued["code"] == "data-erased"


@pytest.mark.parametrize("change", [{"name": NAME}, {"phone": PHONE}, {"safe_contact": "After six."}])
async def test_an_erased_party_cannot_be_corrected_back_in(office: Office, change: dict[str, str]) -> None:
    first = (await filed(office)).json()
    party = f"/v1/parties/{first['access_codes'][0]['party_id']}"
    await office.intake.patch(party, {"phone": "+1 503 555 0178"})
    await erased(office, party.rpartition("/")[2])

    assert (await office.intake.patch(party, change, 409))["code"] == "data-erased"
    on_file = await office.intake.get(party)
    assert (on_file["name"], on_file["phone"], on_file["safe_contact"]) == ("", None, None)


async def test_neither_can_the_account_that_went_with_it(office: Office) -> None:
    first = (await filed(office)).json()
    await erased(office, first["access_codes"][0]["party_id"])
    complaint = f"/v1/complaints/{first['id']}"
    for change in ({"narrative": NARRATIVE}, {"incident_place": "Main Street"}):
        assert (await office.intake.patch(complaint, change, 409))["code"] == "data-erased"
    await office.intake.patch(complaint, {"crime_alleged": False})


async def test_the_purge_by_retention_ends_all_of_it_too(committed_office: Office, clock: Clock) -> None:
    first = (await filed(committed_office)).json()
    (code,) = first["access_codes"]
    engine = create_engine(committed_office.settings)
    await purge_due(engine, Periods(DEFAULT_DAYS), clock.now + timedelta(days=max(DEFAULT_DAYS.values()) + 1))
    await engine.dispose()

    party = f"/v1/parties/{code['party_id']}"
    assert (await committed_office.intake.get(party))["name"] == ""
    again = await filed(committed_office)
    assert (again.status_code, again.json()["code"]) == (422, "idempotency-answer-erased")
    exchanged = await committed_office.client.post("/v1/access-tokens", json={"access_code": code["access_code"]})
    assert exchanged.status_code == 401
    assert (await committed_office.intake.post(f"{party}/access-codes", None, 409))["code"] == "data-erased"
    assert (await committed_office.intake.patch(party, {"phone": PHONE}, 409))["code"] == "data-erased"


async def test_the_database_refuses_it_as_well(office: Office, database: RolledBackDatabase) -> None:
    first = (await filed(office)).json()
    party_id = first["access_codes"][0]["party_id"]
    await erased(office, party_id)
    async with database.transaction() as connection:
        for statement in (
            text("UPDATE parties SET name = 'encrypted.1.x' WHERE id = :party"),
            text("UPDATE parties SET phone = 'encrypted.1.x' WHERE id = :party"),
            text("INSERT INTO access_codes (lookup, party_id, digest, issued_at) VALUES ('A', :party, 'd', now())"),
        ):
            with pytest.raises(IntegrityError):
                async with connection.begin_nested():
                    await connection.execute(statement, {"party": party_id})
        await connection.execute(text("UPDATE parties SET minor = minor WHERE id = :party"), {"party": party_id})


async def test_a_dump_holds_nothing_of_it(committed_office: Office, owner: Database) -> None:
    first = (await filed(committed_office)).json()
    (code,) = first["access_codes"]
    await erased(committed_office, code["party_id"])
    assert await dump(owner, {NAME, PHONE, NARRATIVE, code["access_code"]}) == set()
    async with owner.reading() as connection:
        kept = await connection.execute(
            text("SELECT length(body), location FROM idempotency_keys WHERE starts_with(caller, 'public:')")
        )
        assert [tuple(row) for row in kept] == [(0, None)]


async def test_without_the_emptying_a_replay_gives_the_codes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what the replay would tell is there to be told."""
    nothing = update(idempotency_keys).where(false()).values(body=b"")
    monkeypatch.setattr("mediation_api.repository.effects_of_complaints.emptied_responses", lambda _: nothing)
    first = await filed(office)
    await erased(office, first.json()["access_codes"][0]["party_id"])
    assert (await filed(office)).content == first.content


async def test_without_the_trigger_the_database_takes_it(office: Office, database: RolledBackDatabase) -> None:
    """The control: a party that was not erased is changed by the same statements."""
    first = (await filed(office)).json()
    async with database.transaction() as connection:
        party = {"party": first["access_codes"][0]["party_id"]}
        changed = await connection.execute(text("UPDATE parties SET phone = 'encrypted.1.x' WHERE id = :party"), party)
        assert changed.rowcount == 1
