"""Legal holds, erasure on request, and the attestation that no notes are left: who may, what follows, who sees it."""

from typing import Final

import pytest
from tests.scenarios.conftest import Begun

from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role

NOBODY: Final = "00000000-0000-4000-8000-000000000000"


async def assignment_of(story: Story) -> str:
    assignment: Answer = (await story.case())["assignment"]  # type: ignore[assignment]
    return f"/v1/assignments/{assignment['id']}"


def mediator_of(story: Story) -> Caller:
    assert story.mediator is not None
    return story.mediator


async def test_a_director_places_and_lifts_a_hold_and_an_auditor_sees_both(office: Office, filed: Begun) -> None:
    story = filed()
    path = f"/v1/complaints/{story.complaint_id}/legal-holds"
    assert (await office.auditor.get(path))["items"] == []
    hold = await office.director.post(path, {"reason": "litigation"})
    about = {"id", "complaint_id", "reason", "placed_at", "placed_by", "lifted_at", "lifted_by"}
    assert hold.keys() == about | {"placed_by_name", "lifted_by_name"}
    assert (await office.auditor.get(path))["items"] == [hold]
    lifted = await office.director.post(f"/v1/legal-holds/{hold['id']}/lift", None, 200)
    assert (lifted["lifted_by"], lifted["lifted_at"] is None) == ("director.1", False)
    assert (await office.auditor.get(path))["items"] == [lifted]
    again = await office.director.post(f"/v1/legal-holds/{hold['id']}/lift", None, 409)
    assert again["code"] == "state-conflict"
    timeline = await office.auditor.get(f"{story.path}/timeline?limit=100")
    kinds = [event["kind"] for event in timeline["items"]]  # type: ignore[attr-defined]
    assert kinds[-2:] == ["hold.placed", "hold.lifted"]


async def test_what_is_not_there_is_not_held(office: Office) -> None:
    for method, path in (
        ("POST", f"/v1/complaints/{NOBODY}/legal-holds"),
        ("GET", f"/v1/complaints/{NOBODY}/legal-holds"),
        ("POST", f"/v1/legal-holds/{NOBODY}/lift"),
    ):
        body = {"reason": "litigation"} if path.endswith("holds") and method == "POST" else None
        assert (await office.director.send(method, path, body)).status_code == 404


async def test_no_party_sees_a_hold(office: Office, mediated: Begun) -> None:
    story = mediated()
    seen = [(await who.send("GET", f"{story.path}/timeline?limit=100")).text for who in parties(story)]
    await office.director.post(f"/v1/complaints/{story.complaint_id}/legal-holds", {"reason": "investigation"})
    assert [(await who.send("GET", f"{story.path}/timeline?limit=100")).text for who in parties(story)] == seen


def parties(story: Story) -> tuple[Caller, ...]:
    return (*story.complainants, *story.officers)


# ── notes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_after_the_close_the_mediator_attests_once_that_no_notes_are_left(
    office: Office, concluded: Begun
) -> None:
    story = concluded()
    path = await assignment_of(story)
    mediator = mediator_of(story)
    assert (await mediator.post(f"{path}/attest-notes-destroyed", None, 409))["code"] == "state-conflict"
    await story.close()
    assert (await mediator.get(path))["notes_destroyed_at"] is None
    attested = await mediator.post(f"{path}/attest-notes-destroyed", None, 200)
    assert attested["notes_destroyed_at"] is not None
    assert (await office.auditor.get(path)) == attested
    assert (await mediator.post(f"{path}/attest-notes-destroyed", None, 409))["code"] == "already-attested"
    events = (await office.auditor.get(f"{story.path}/timeline?limit=100"))["items"]
    assert events[-1]["kind"] == "notes.destroyed"  # type: ignore[index]


async def test_a_mediator_who_left_attests_for_themselves_and_for_nobody_else(office: Office, scheduled: Begun) -> None:
    story = scheduled()
    path, first = await assignment_of(story), mediator_of(story)
    await first.post(f"{path}/recuse", None, 200)
    second = await story.assign()
    await story.withdraw(story.complainants[0])
    await second.post(f"{path}/attest-notes-destroyed", None, 404)
    await (await office.mediator()).post(f"{path}/attest-notes-destroyed", None, 404)
    assert (await first.post(f"{path}/attest-notes-destroyed", None, 200))["state"] == "recused"


@pytest.mark.parametrize("role", [Role.DIRECTOR, Role.COORDINATOR, Role.AUDITOR])
async def test_nobody_attests_for_a_mediator(role: Role, office: Office, mediated: Begun) -> None:
    story = mediated()
    await office.caller(role).post(f"{await assignment_of(story)}/attest-notes-destroyed", None, 403)


# ── erasure ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def requested(office: Office, who: Caller) -> str:
    asked = await office.intake.post(f"/v1/parties/{who.party_id}/erasures")
    return f"/v1/erasures/{asked['id']}"


async def test_two_people_erase_what_is_held_of_a_party_and_the_record_stays(office: Office) -> None:
    story = await (await office.file(complainants=[{"email": "rosa@example.org"}])).to_mediated()
    party, complaint = f"/v1/parties/{story.complainants[0].party_id}", f"/v1/complaints/{story.complaint_id}"
    officer = await office.intake.get(f"/v1/parties/{story.officers[0].party_id}")
    path = await requested(office, story.complainants[0])
    assert (await office.intake.get(party))["email"] == "rosa@example.org"  # a request alone erases nothing
    approved = await office.director.post(f"{path}/approve", None, 200)
    assert (approved["state"], approved["requested_by"], approved["decided_by"]) == (
        "approved",
        "intake.1",
        "director.1",
    )
    erased = await office.intake.get(party)
    assert [erased[name] for name in ("name", "email", "phone", "postal_address", "guardian")] == ["", *[None] * 4]
    assert (await office.intake.get(complaint))["narrative"] == ""
    assert await office.intake.get(f"/v1/parties/{story.officers[0].party_id}") == officer
    events: list[Answer] = (await office.auditor.get(f"{story.path}/timeline?limit=100"))["items"]  # type: ignore[assignment]
    told = [event["data"] for event in events if event["kind"] == "data.purged"]
    assert [(each["data"], each["why"]) for each in told] == [  # type: ignore[index]
        ("contact", "request"),
        ("identity", "request"),
        ("account", "request"),
    ]
    assert [event["kind"] for event in events if "consent" in str(event["kind"])] == ["consent.given"] * 2
    assert (await office.auditor.get(f"{party}/erasures"))["items"] == [approved]


async def test_what_one_complainant_told_stays_while_there_is_another(office: Office) -> None:
    story = await (await office.file(complainants=[{}, {}])).to_mediated()
    path = await requested(office, story.complainants[0])
    await office.director.post(f"{path}/approve", None, 200)
    assert (await office.intake.get(f"/v1/complaints/{story.complaint_id}"))["narrative"] != ""
    assert (await office.intake.get(f"/v1/parties/{story.complainants[1].party_id}"))["name"] == "Rosa Alvarez 2"


async def test_an_officer_s_erasure_leaves_the_complaint_as_it_is(office: Office, mediated: Begun) -> None:
    story = mediated()
    before = await office.intake.get(f"/v1/complaints/{story.complaint_id}")
    path = await requested(office, story.officers[0])
    await office.director.post(f"{path}/approve", None, 200)
    assert await office.intake.get(f"/v1/complaints/{story.complaint_id}") == before
    erased = await office.intake.get(f"/v1/parties/{story.officers[0].party_id}")
    assert (erased["name"], erased["employee_number"]) == ("", None)


async def test_whoever_entered_a_request_does_not_approve_it(office: Office, mediated: Begun) -> None:
    story = mediated()
    asked = await office.director.post(f"/v1/parties/{story.complainants[0].party_id}/erasures")
    path = f"/v1/erasures/{asked['id']}"
    assert (await office.director.post(f"{path}/approve", None, 409))["code"] == "second-person-required"
    await office.caller(Role.DIRECTOR, "director.2").post(f"{path}/approve", None, 200)
    assert (await office.director.post(f"{path}/approve", None, 409))["code"] == "state-conflict"


async def test_a_hold_and_an_open_case_stand_against_it(office: Office, concluded: Begun) -> None:
    story = concluded()
    path = await requested(office, story.complainants[0])
    assert (await office.director.post(f"{path}/approve", None, 409))["code"] == "state-conflict"
    await story.close()
    holds = f"/v1/complaints/{story.complaint_id}/legal-holds"
    hold = await office.director.post(holds, {"reason": "records_request"})
    assert (await office.director.post(f"{path}/approve", None, 409))["code"] == "under-legal-hold"
    assert (await office.intake.get(f"/v1/parties/{story.complainants[0].party_id}"))["name"] == "Rosa Alvarez 1"
    await office.director.post(f"/v1/legal-holds/{hold['id']}/lift", None, 200)
    await office.director.post(f"{path}/approve", None, 200)


async def test_a_request_is_refused_with_a_reason_and_can_be_made_again(office: Office, filed: Begun) -> None:
    story = filed()
    path = await requested(office, story.complainants[0])
    waiting = await office.intake.post(f"/v1/parties/{story.complainants[0].party_id}/erasures", None, 409)
    assert waiting["code"] == "state-conflict"
    refused = await office.director.post(f"{path}/refuse", {"reason": "identity_unproven"}, 200)
    assert (refused["state"], refused["refusal"]) == ("refused", "identity_unproven")
    assert (await office.director.post(f"{path}/refuse", {"reason": "withdrawn"}, 409))["code"] == "state-conflict"
    await requested(office, story.complainants[0])


async def test_nobody_is_erased_who_is_not_there(office: Office) -> None:
    for method, path, body in (
        ("POST", f"/v1/parties/{NOBODY}/erasures", None),
        ("GET", f"/v1/parties/{NOBODY}/erasures", None),
        ("POST", f"/v1/erasures/{NOBODY}/approve", None),
        ("POST", f"/v1/erasures/{NOBODY}/refuse", {"reason": "withdrawn"}),
    ):
        assert (await office.director.send(method, path, body)).status_code == 404
