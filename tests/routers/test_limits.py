"""How much a complaint and a case may hold, and refusals that no journey meets."""

from mediation_api.dev.office import Office

MOST = 50


async def test_a_complaint_has_at_most_fifty_parties(office: Office) -> None:
    officers: list[dict[str, object]] = [
        {"name": f"Officer {number}", "employee_number": f"{7000 + number}"} for number in range(MOST - 1)
    ]
    story = await office.file(officers=officers)
    another = {"side": "officer", "name": "Officer 50", "employee_number": "8000"}
    assert (await office.intake.post(f"{story.complaint}/parties", another, 409))["code"] == "limit-reached"
    assert len((await office.intake.get(f"{story.complaint}/parties"))["items"]) == MOST  # type: ignore[arg-type]


async def test_a_case_has_at_most_fifty_pauses_attendees_and_proposals(office: Office) -> None:
    story = await (await office.file()).to_ready()
    pause = {"reason": "leave", "starts_on": "2026-03-09", "ends_on": "2026-03-11"}
    friend = {"role": "support_person", "name": "Ana Ruiz", "for_party_id": story.complainants[0].party_id}
    one, other = await office.mediator(), await office.mediator()
    for number in range(MOST):
        await office.intake.post(f"{story.path}/pauses", pause)
        await story.expect(**friend)
        await story.propose((one, other)[number % 2])
    for path, body, caller in (
        ("pauses", pause, office.intake),
        ("attendees", friend, office.intake),
        ("assignments", {"mediator_id": one.mediator_id}, office.coordinator),
    ):
        assert (await caller.post(f"{story.path}/{path}", body, 409))["code"] == "limit-reached"


async def test_a_correction_names_no_category_that_the_city_does_not_have(office: Office) -> None:
    story = await office.file()
    refused = await office.intake.patch(story.complaint, {"allegations": ["gossip"]}, 422)
    assert [(error["pointer"], error["code"]) for error in refused["errors"]] == [  # type: ignore[attr-defined]
        ("/allegations", "category-not-configured")
    ]


async def test_staff_say_who_signed_on_paper(office: Office) -> None:
    story = await (await office.file()).to_scheduled()
    agreement = await story.make_agreement()
    body = {"sha256": agreement["sha256"]}
    refused = await office.coordinator.post(f"/v1/agreements/{agreement['id']}/signatures", body, 422)
    assert [(error["pointer"], error["code"]) for error in refused["errors"]] == [  # type: ignore[attr-defined]
        ("/signer", "required")
    ]


async def test_staff_give_no_reference_of_an_integration(office: Office) -> None:
    filing = {
        "narrative": "She would not tell me why I was stopped.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": False,
        "parties": [{"side": "complainant", "name": "Ada Example"}],
        "external_reference": "IA-1",
    }
    refused = await office.intake.post("/v1/complaints", filing, 422)
    assert [error["code"] for error in refused["errors"]] == ["integration-only"]  # type: ignore[attr-defined]


async def test_a_complaint_names_a_complainant(office: Office) -> None:
    filing = {
        "channel": "phone",
        "narrative": "She would not tell me why I was stopped.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": False,
        "parties": [{"side": "officer", "name": "Noa Late"}],
    }
    refused = await office.intake.post("/v1/complaints", filing, 422)
    assert [error["code"] for error in refused["errors"]] == ["complainant-missing"]  # type: ignore[attr-defined]


async def test_an_approval_is_not_refused_once_parties_were_asked(office: Office) -> None:
    story = await (await office.file()).to_ready()
    refused = await office.director.post(f"{story.path}/approvals", {"approver": "director", "approved": False}, 409)
    assert refused["code"] == "state-conflict"


async def test_an_agreement_is_in_a_language_that_has_a_template(office: Office) -> None:
    story = await (await office.file()).to_ready()
    await story.assign()
    agreement = {"kind": "confidentiality", "languages": ["fr"]}
    refused = await office.coordinator.post(f"{story.path}/agreements", agreement, 422)
    assert [error["code"] for error in refused["errors"]] == ["no-template"]  # type: ignore[attr-defined]


async def test_nobody_tries_to_reach_who_has_left(office: Office) -> None:
    story = await (await office.file(complainants=({}, {}))).to_asking()
    left = story.complainants[0]
    await story.withdraw(left)
    at = "2026-03-02T19:00:00Z"
    attempt = {"party_id": left.party_id, "channel": "phone", "result": "no_answer", "attempted_at": at}
    refused = await office.intake.post(f"{story.path}/contact-attempts", attempt, 409)
    assert refused["code"] == "party-left"
