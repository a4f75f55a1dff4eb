"""A consent belongs to a person: who that is stays as it was asked, and what the consent rested on does not change."""

from collections.abc import Awaitable

import httpx
import pytest

from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain.access import Role

OPEN_BEFORE_A_SESSION = ("confirming", "asking", "ready", "scheduled", "concluded")


def party(who: Caller, rest: str = "") -> str:
    return f"/v1/parties/{who.party_id}{rest}"


async def problem(sent: Awaitable[httpx.Response]) -> tuple[int, str]:
    """The status and the code of a refusal."""
    answer = await sent
    return answer.status_code, answer.json()["code"]


async def remove(story: Story, who: Caller, status: int = 201, reason: str = "wrong_person") -> dict[str, object]:
    return await story.office.intake.post(party(who, "/removals"), {"reason": reason}, status)


async def standings(story: Story) -> dict[str, str]:
    case = await story.case()
    return {p["party_id"]: p["standing"] for p in case["participants"]}  # type: ignore[attr-defined]


async def kinds(who: Caller, story: Story) -> list[str]:
    page = await who.get(f"{story.path}/timeline?limit=100")
    return [event["kind"] for event in page["items"]]  # type: ignore[attr-defined]


async def missing(story: Story, gate: str = "scheduling") -> set[str]:
    readiness = await story.office.coordinator.get(f"{story.path}/readiness")
    return {each["code"] for each in readiness[gate]["missing"]}  # type: ignore[index]


async def add_officer(story: Story, number: str, status: int = 201) -> Caller:
    body = {"side": "officer", "name": "Officer Jo Right", "employee_number": number}
    added = await story.office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", body, status)
    caller = story.office.caller(Role.OFFICER, f"officer-{number}", number)
    caller.party_id = str(added["id"])
    return caller


# ── who somebody is ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("change", [{"employee_number": "9999"}, {"name": "Somebody Else"}, {"employee_number": None}])
async def test_an_officer_who_was_asked_cannot_be_corrected_into_another(
    office: Office, change: dict[str, object]
) -> None:
    story = await (await office.file()).to_ready()
    refused = await problem(office.intake.send("PATCH", party(story.officers[0]), change))
    assert refused == (409, "identity-fixed")
    assert (await standings(story))[story.officers[0].party_id] == "agreed"


async def test_before_an_officer_is_asked_a_number_is_corrected(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    corrected = await office.intake.patch(party(story.officers[0]), {"employee_number": "9999"})
    assert corrected["employee_number"] == "9999"


async def test_who_was_asked_in_an_earlier_case_stays_that_person(office: Office) -> None:
    story = await (await office.file()).to_asking()
    await story.withdraw(story.complainants[0])
    refused = await problem(office.intake.send("PATCH", party(story.officers[0]), {"employee_number": "9999"}))
    assert refused == (409, "identity-fixed")


async def test_a_spelling_is_corrected_with_a_reason_that_the_office_and_the_party_read_on_the_timeline(
    office: Office,
) -> None:
    story = await (await office.file(officers=[{}, {}])).to_ready()
    officer, other = story.officers
    body = {"name": "Officer Dale Kimm", "name_correction_reason": "spelling"}
    assert (await office.intake.patch(party(officer), body))["name"] == "Officer Dale Kimm"
    page = await office.intake.get(f"{story.path}/timeline?limit=100")
    event = next(e for e in page["items"] if e["kind"] == "name.corrected")  # type: ignore[attr-defined]
    assert (event["party_id"], event["data"]["reason"]) == (officer.party_id, "spelling")
    assert "Kimm" not in str(event)
    assert "name.corrected" in await kinds(officer, story)
    assert "name.corrected" not in await kinds(other, story)
    assert (await standings(story))[officer.party_id] == "agreed"


async def test_a_reason_for_a_name_without_a_name_is_refused(office: Office) -> None:
    story = await office.file()
    body = {"unit": "East", "name_correction_reason": "spelling"}
    refused = await office.intake.send("PATCH", party(story.officers[0]), body)
    error = refused.json()["errors"][0]
    assert (refused.status_code, error["pointer"], error["code"]) == (
        422,
        "/name_correction_reason",
        "only-with-name",
    )


async def test_what_was_signed_keeps_the_names_as_they_were(office: Office) -> None:
    story = await (await office.file(complainants=[{"name": "Rosa Alvarez"}])).to_signed()
    await office.intake.patch(
        party(story.complainants[0]), {"name": "Rosa Alvares", "name_correction_reason": "legal_name_change"}
    )
    agreement = await office.coordinator.get(f"/v1/agreements/{story.agreement['id']}")
    names = {s["signer_id"]: s["signer_name"] for s in agreement["signatures"]}  # type: ignore[attr-defined]
    assert story.mediator is not None
    assert names == {
        story.complainants[0].party_id: "Rosa Alvarez",
        story.officers[0].party_id: "Officer Dale Kim 1",
        story.mediator.mediator_id: "Amara Okafor",
    }


async def test_a_mediator_who_was_proposed_a_case_cannot_be_corrected_into_another(office: Office) -> None:
    story = await (await office.file()).to_ready()
    mediator = await story.assign()
    path = f"/v1/mediators/{mediator.mediator_id}"
    refused = await problem(office.coordinator.send("PATCH", path, {"subject": "somebody-else"}))
    assert refused == (409, "subject-fixed")
    assert (await office.coordinator.patch(path, {"name": "Amara N. Okafor", "active": False}))["active"] is False
    unproposed = await office.mediator()
    corrected = await office.coordinator.patch(f"/v1/mediators/{unproposed.mediator_id}", {"subject": "m.new"})
    assert corrected["subject"] == "m.new"


# ── removal ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_wrong_officer_is_removed_and_the_right_one_is_asked(office: Office) -> None:
    story = await (await office.file()).to_signed()
    wrong = story.officers[0]
    removed = await remove(story, wrong)
    assert (removed["removal_reason"], removed["removed_at"] is not None) == ("wrong_person", True)
    case = await story.case()
    assert (case["state"], case["next_session"]) == ("asking", None)
    assert await missing(story) >= {"officer-missing"}
    right = await add_officer(story, "right-1")
    await story.answer(right)
    assert await story.state() == "ready"


async def test_of_a_removed_party_consent_and_access_end_and_the_office_alone_still_sees_it(office: Office) -> None:
    story = await (await office.file(officers=[{}, {}], complainants=[{}, {}])).to_signed()
    wrong, officer = story.officers
    duplicate, complainant = story.complainants
    await remove(story, wrong)
    await remove(story, duplicate, reason="duplicate")
    for gone in (wrong, duplicate):
        for path in (story.path, f"{story.path}/consents", f"{story.path}/timeline", party(gone)):
            assert (await gone.send("GET", path)).status_code in {401, 404}, path
        assert (await gone.send("POST", f"{story.path}/consents", {})).status_code in {401, 404, 422}
    listed = await wrong.get("/v1/cases")
    assert listed["items"] == []
    code = await office.public.send("POST", "/v1/access-tokens", {"access_code": duplicate.access_code})
    assert (code.status_code, code.json()["code"]) == (401, "access-code-invalid")
    for still in (officer, complainant, story.mediator):
        assert still is not None
        shown = await still.send("GET", story.path)
        assert shown.status_code == 200
        assert not {wrong.party_id, duplicate.party_id} & set(shown.text.split('"'))
    parties = await office.intake.get(f"/v1/complaints/{story.complaint_id}/parties")
    reasons = {p["id"]: p["removal_reason"] for p in parties["items"]}  # type: ignore[attr-defined]
    assert reasons == {
        wrong.party_id: "wrong_person",
        duplicate.party_id: "duplicate",
        officer.party_id: None,
        complainant.party_id: None,
    }
    consents = await office.intake.get(f"{story.path}/consents")
    stands = {c["party_id"]: c["stands"] for c in consents["items"]}  # type: ignore[attr-defined]
    assert (stands[wrong.party_id], stands[officer.party_id]) == (False, True)
    assert (await standings(story))[wrong.party_id] == "removed"


async def test_a_party_is_removed_once_and_nothing_more_is_done_to_it(office: Office) -> None:
    story = await (await office.file()).to_ready()
    complainant, officer = story.complainants[0], story.officers[0]
    for who in (complainant, officer):
        await remove(story, who)
        again = office.intake.send("POST", party(who, "/removals"), {"reason": "duplicate"})
        assert await problem(again) == (409, "party-removed")
        assert await problem(office.intake.send("PATCH", party(who), {"phone": "+1 503 555 0199"})) == (
            409,
            "party-removed",
        )
    code = office.intake.send("POST", party(complainant, "/access-codes"))
    assert await problem(code) == (409, "party-removed")
    release = office.intake.send("POST", party(officer, "/identity-releases"))
    assert await problem(release) == (409, "party-removed")
    assert await story.state() == "confirming"
    assert (await kinds(office.intake, story)).count("party.removed") == 2


async def test_during_a_session_nobody_is_removed(office: Office) -> None:
    story = await (await office.file()).to_in_session()
    refused = office.intake.send("POST", party(story.officers[0], "/removals"), {"reason": "wrong_person"})
    assert await problem(refused) == (409, "session-in-progress")
    await story.session("adjourn")
    await remove(story, story.officers[0])
    assert await story.state() == "asking"


@pytest.mark.parametrize("side", ["complainant", "officer"])
async def test_a_removal_closes_no_case_in_any_open_state(office: Office, side: str) -> None:
    for wanted in ("screening", *OPEN_BEFORE_A_SESSION):
        story = await office.file()
        async for state in story.open_states():
            if state == wanted:
                break
        await remove(story, (story.complainants if side == "complainant" else story.officers)[0])
        case = await story.case()
        assert case["closed_at"] is None, wanted
        assert await missing(story) >= {f"{side}-missing"}, wanted


async def test_who_was_removed_takes_no_part_in_a_later_case(office: Office) -> None:
    story = await (await office.file(officers=[{}, {}])).to_asking()
    wrong, right = story.officers
    await story.withdraw(story.complainants[0])
    await remove(story, wrong)
    opened = await office.intake.post(f"/v1/complaints/{story.complaint_id}/mediation-requests")
    later = await office.coordinator.get(f"/v1/cases/{opened['id']}")
    people = {p["party_id"] for p in later["participants"]}  # type: ignore[attr-defined]
    assert people == {story.complainants[0].party_id, right.party_id}


async def test_a_removed_number_can_be_listed_again(office: Office) -> None:
    story = await (await office.file()).to_ready()
    number = str((await office.intake.get(party(story.officers[0])))["employee_number"])
    await remove(story, story.officers[0], reason="entered_in_error")
    again = await add_officer(story, number)
    assert (await again.get(story.path))["you"]["party_id"] == again.party_id  # type: ignore[index]
    await story.withdraw(again)
    assert (await standings(story))[again.party_id] == "withdrawn"


# ── what a consent rested on ───────────────────────────────────────────────────────────────────────────────────────


async def test_other_allegations_void_every_consent_and_everybody_answers_again(office: Office) -> None:
    story = await (await office.file(officers=[{}, {}])).to_signed()
    complainant, (officer, other) = story.complainants[0], story.officers
    await office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"allegations": ["disparate_treatment"]})
    case = await story.case()
    assert (case["state"], case["next_session"]) == ("confirming", None)
    assert await standings(story) == {
        complainant.party_id: "asked",
        officer.party_id: "waiting",
        other.party_id: "waiting",
    }
    agreement = await office.coordinator.get(f"/v1/agreements/{story.agreement['id']}")
    assert agreement["superseded_at"] is not None
    seen = await officer.get(story.path)
    assert (seen["state"], seen["allegations"], seen["others"]) == ("pending", ["disparate_treatment"], [])
    answers = await office.intake.get(f"{story.path}/consents")
    assert {(c["stands"], c["void_reason"]) for c in answers["items"]} == {  # type: ignore[attr-defined]
        (False, "allegations_replaced")
    }
    assert "consent.voided" in await kinds(officer, story)
    shown = await office.shown_disclosure()
    early = officer.send("POST", f"{story.path}/consents", {"decision": "agreed", "disclosure_sha256": shown})
    assert await problem(early) == (409, "not-asked")
    for who in (complainant, officer, other):
        await story.answer(who)
    assert await story.state() == "ready"
    own = await officer.get(f"{story.path}/consents")
    assert [c["stands"] for c in own["items"]] == [False, True]  # type: ignore[attr-defined]


async def test_allegations_in_another_order_void_nothing(office: Office) -> None:
    story = await (await office.file(allegations=["force", "discourtesy"])).to_ready()
    await office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"allegations": ["discourtesy", "force"]})
    assert await story.state() == "ready"


async def test_once_the_case_is_closed_other_allegations_and_a_crime_are_corrected_and_nothing_follows(
    office: Office,
) -> None:
    story = await (await office.file()).to_ready()
    await story.withdraw(story.complainants[0])
    before, events = await standings(story), await kinds(office.director, story)
    await learn(story, allegations=["force"], crime_alleged=True)
    complaint = await office.intake.get(f"/v1/complaints/{story.complaint_id}")
    assert (complaint["allegations"], complaint["crime_alleged"]) == (["force"], True)
    assert (await standings(story), (await story.case())["alerts"]) == (before, [])
    assert await kinds(office.director, story) == [*events, "complaint.corrected"]


@pytest.mark.parametrize("found", ["a minor", "another guardian"])
async def test_whoever_is_found_to_be_a_minor_or_has_another_guardian_answers_again(office: Office, found: str) -> None:
    guardian = {"name": "Ana Alvarez", "relation": "parent"}
    story = await (await office.file(complainants=[{"guardian": guardian}, {}])).to_signed()
    minor, other = story.complainants
    change: dict[str, object] = {"minor": True}
    if found == "another guardian":
        change = {"guardian": {"name": "Luis Alvarez", "relation": "parent"}}
    await office.intake.patch(party(minor), change)
    assert await story.state() == "confirming"
    assert await standings(story) == {
        minor.party_id: "asked",
        other.party_id: "agreed",
        story.officers[0].party_id: "agreed",
    }
    seen = await other.get(story.path)
    assert (seen["state"], seen["others"], seen["next_session"]) == ("pending", [], None)
    assert "consent.voided" not in await kinds(other, story)


async def test_a_guardian_who_is_only_spelt_differently_voids_nothing(office: Office) -> None:
    guardian = {"name": "Ana Alvarez", "relation": "parent"}
    story = await (await office.file(complainants=[{"guardian": guardian}])).to_ready()
    body = {"guardian": {"name": "Anna Alvarez", "relation": "parent"}, "name_correction_reason": "spelling"}
    await office.intake.patch(party(story.complainants[0]), body)
    assert await story.state() == "ready"


async def test_during_a_session_nothing_is_voided(office: Office) -> None:
    story = await (await office.file()).to_in_session()
    complaint = f"/v1/complaints/{story.complaint_id}"
    for path, change in ((complaint, {"allegations": ["force"]}), (party(story.complainants[0]), {"minor": True})):
        assert await problem(office.intake.send("PATCH", path, change)) == (409, "session-in-progress")
    assert (await office.intake.get(complaint))["allegations"] == ["discourtesy"]


async def test_what_others_observe_of_a_void_consent_does_not_tell_whether_it_was_given_again(office: Office) -> None:
    """Two cases alike but for the new answer of one of two complainants: the other complainant reads the same."""
    seen = []
    for answers in (False, True):
        story = await (await office.file(complainants=[{"name": "Ada"}, {"name": "Rosa"}])).to_ready()
        await office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"allegations": ["force"]})
        ada, rosa = story.complainants
        if answers:
            await story.answer(ada)
        shown = {path: await rosa.get(story.path + path) for path in ("", "/readiness", "/consents")}
        seen.append((shown[""]["state"], shown[""]["others"], shown["/readiness"], await kinds(rosa, story)))
    without, with_answer = (repr(each) for each in seen)
    for each in (seen[0], seen[1]):
        assert each[0] == "pending"
    assert [w for w in without.split("'") if "-" not in w] == [w for w in with_answer.split("'") if "-" not in w]


# ── screening ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def learn(story: Story, **answers: object) -> None:
    await story.office.intake.patch(f"/v1/complaints/{story.complaint_id}", answers)


@pytest.mark.parametrize("answer", ["crime_alleged", "serious_injury", "litigation_pending", "officer_is_witness"])
async def test_what_is_learnt_after_screening_shuts_the_gates_and_asks_for_another(office: Office, answer: str) -> None:
    story = await (await office.file()).to_ready()
    await story.assign()
    await learn(story, **{answer: True})
    case = await story.case()
    assert (case["state"], case["waits_for"]) == ("ready", "screening")
    assert "screening_outdated" in case["alerts"]  # type: ignore[operator]
    assert "screening-outdated" in await missing(story)
    assert "screening-outdated" in await missing(story, "starting")
    refused = await office.coordinator.send("POST", f"{story.path}/sessions", story.booking())
    assert "screening-outdated" in {each["code"] for each in refused.json()["missing"]}
    assert "screening.outdated" in await kinds(office.intake, story)
    assert "screening.outdated" not in await kinds(story.officers[0], story)


async def test_screened_again_and_eligible_a_case_goes_on_where_it_was(office: Office) -> None:
    story = await (await office.file()).to_signed()
    await learn(story, litigation_pending=True)
    start = await story.mediator.send("POST", f"/v1/sessions/{story.session_id}/start", {})  # type: ignore[union-attr]
    assert {each["code"] for each in start.json()["missing"]} == {"screening-outdated"}
    assert (await story.screen())["eligible"] is None
    assert (await story.case())["waits_for"] == "director_review"
    assert "screening-outdated" in await missing(story, "starting")
    override = {"eligible": True, "reason": "Counsel sees no obstacle."}
    await story.screen(**override)
    case = await story.case()
    assert (case["state"], case["waits_for"], case["alerts"]) == ("scheduled", "session", [])
    await story.session("start", {})


@pytest.mark.parametrize("wanted", OPEN_BEFORE_A_SESSION)
async def test_found_ineligible_a_case_closes_wherever_it_was(office: Office, wanted: str) -> None:
    story = await office.file()
    async for state in story.open_states():
        if state == wanted:
            break
    await learn(story, crime_alleged=True)
    assert (await story.screen())["eligible"] is False
    assert await story.state() == "ineligible"
    assert (await story.complainants[0].get(story.path))["state"] == "not_mediated"


async def test_a_case_is_not_closed_as_mediated_on_an_outdated_screening(office: Office) -> None:
    story = await (await office.file()).to_in_session()
    await learn(story, crime_alleged=True)
    assert (await story.case())["waits_for"] == "session_end"
    during = await problem(office.intake.send("POST", f"{story.path}/screenings", {}))
    assert during == (409, "session-in-progress")
    await story.session("complete")
    refused = await office.coordinator.send("POST", f"{story.path}/closures", {"agreement_reached": False})
    assert (refused.status_code, [m["code"] for m in refused.json()["missing"]]) == (409, ["screening-outdated"])


async def test_an_answer_that_is_a_plain_no_outdates_nothing(office: Office) -> None:
    story = await office.file(intake={"crime_alleged": None})
    override = {"eligible": True, "reason": "I asked by telephone."}
    await story.screen(**override)
    await learn(story, crime_alleged=False, serious_injury=False)
    assert (await story.case())["alerts"] == []
    again = await problem(office.intake.send("POST", f"{story.path}/screenings", {}))
    assert again == (409, "state-conflict")


# ── the number and the subject ─────────────────────────────────────────────────────────────────────────────────────


def successor(office: Office, officer: Caller) -> Caller:
    """Whoever the department gave the same number to."""
    assert officer.identity is not None
    return office.caller(Role.OFFICER, "the-next-officer", officer.identity[2])


@pytest.mark.parametrize("act", ["agreed", "declined", "withdraws"])
async def test_a_number_that_is_handed_to_another_opens_nothing_of_the_one_before(office: Office, act: str) -> None:
    story = await (await office.file(officers=[{}, {}])).to_asking()
    officer = story.officers[0]
    if act == "withdraws":
        await story.withdraw(officer)
    else:
        await story.answer(officer, act)
    another = successor(office, officer)
    for path in (story.path, f"{story.path}/consents", f"{story.path}/timeline", party(officer)):
        assert (await another.send("GET", path)).status_code == 404, path
        assert (await officer.send("GET", path)).status_code == 200, path
    assert (await another.get("/v1/cases"))["items"] == []
    assert (await another.send("POST", f"{story.path}/withdrawals")).status_code == 404


async def test_an_identity_that_is_released_is_bound_by_the_next_answer(office: Office) -> None:
    story = await (await office.file()).to_ready()
    officer = story.officers[0]
    another = successor(office, officer)
    released = await office.intake.post(party(officer, "/identity-releases"))
    assert released["identity_bound"] is False
    assert (await another.get(story.path))["state"] == "ready"
    again = office.intake.send("POST", party(officer, "/identity-releases"))
    assert await problem(again) == (409, "identity-not-bound")
    await story.withdraw(another)
    assert (await officer.send("GET", story.path)).status_code == 404
    assert (await kinds(office.intake, story)).count("identity.bound") == 2


async def test_what_staff_record_binds_no_subject_but_a_signature_of_ones_own_does(office: Office) -> None:
    story = await (await office.file()).to_asking()
    officer = story.officers[0]
    shown = await office.shown_disclosure()
    answer = {"party_id": officer.party_id, "channel": "phone", "decision": "agreed", "disclosure_sha256": shown}
    await office.intake.post(f"{story.path}/consents", answer)
    another = successor(office, officer)
    assert (await another.get(story.path))["state"] == "ready"
    await story.make_agreement()
    await story.sign(officer)
    assert (await another.send("GET", story.path)).status_code == 404


async def test_a_complainant_has_no_subject_to_release(office: Office) -> None:
    story = await (await office.file()).to_ready()
    refused = office.intake.send("POST", party(story.complainants[0], "/identity-releases"))
    assert await problem(refused) == (409, "identity-not-bound")
