"""The acceptance scenarios of the field, in their order, each with its number and its words."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from tests.scenarios.conftest import Begun, Fork

from mediation_api.dev.office import INTAKE_ANSWERS, Answer, Caller, Office, Story
from mediation_api.domain.values import Approver

GUARDIAN = {"name": "Ines Alvarez", "relation": "parent"}
FINDINGS = ("fault", "finding", "sustain", "exonerat", "unfounded", "apolog", "blame", "disciplin")


def outcome_of(screened: Answer, rule: str) -> str:
    """What one rule came to."""
    findings: list[dict[str, str]] = screened["findings"]  # type: ignore[assignment]
    return next(f["outcome"] for f in findings if f["code"] == rule)


def missing(answer: Answer) -> list[tuple[str, object]]:
    """What a gate waits for, and from whom."""
    return [(each["code"], each["subject_id"]) for each in answer["missing"]]  # type: ignore[attr-defined]


def details(answer: Answer, words: str) -> bool:
    """Whether each thing that is missing says these words."""
    return all(words in each["detail"] for each in answer["missing"])  # type: ignore[attr-defined]


async def complaint(story: Story) -> Answer:
    return await story.office.coordinator.get(f"/v1/complaints/{story.complaint_id}")


async def kinds(who: Caller, story: Story) -> list[str]:
    """What the timeline shows to somebody."""
    listed = await who.get(f"{story.path}/timeline?limit=100")
    return [event["kind"] for event in listed["items"]]  # type: ignore[attr-defined]


async def everything(story: Story) -> str:
    """All that the office can read of a case and its complaint, but for the texts that were signed."""
    paths = [
        story.path,
        f"/v1/complaints/{story.complaint_id}",
        f"/v1/sessions?case_id={story.case_id}",
        *(f"{story.path}/{part}" for part in ("timeline?limit=100", "consents", "withdrawals")),
    ]
    texts = [(await story.office.coordinator.send("GET", path)).text for path in paths]
    return "\n".join(texts).lower()


GIVEN = {"given_by": "Capt. Jo Reyes", "given_on": "2026-03-01", "channel": "letter"}
"""Who gave an approval that is not a director's, when and how."""


def requiring(app: FastAPI, *approvers: Approver) -> None:
    """The city requires these approvals besides the parties' consent."""
    service = app.state.service
    app.state.service = replace(service, policy=replace(service.policy, required_approvals=frozenset(approvers)))


async def test_01_a_ticked_form_alone_lets_nobody_contact_the_officer(filed: Begun) -> None:
    """1. Given a ticked form, when no consent is signed, then the officer is not contacted."""
    story = filed()
    officer = story.officers[0]
    for _ in ("after the filing", "after the screening"):
        case = await story.case()
        part = next(p for p in case["participants"] if p["side"] == "officer")  # type: ignore[attr-defined]
        assert (part["standing"], part["asked_at"]) == ("waiting", None)
        await officer.get(story.path, 404)
        await officer.get(f"/v1/parties/{officer.party_id}", 404)
        assert (await officer.get("/v1/cases"))["items"] == []
        if case["state"] == "screening":
            await story.screen()
    await story.answer(officer, status=404)
    await story.answer(story.complainants[0])
    assert (await officer.get(story.path))["you"]["standing"] == "asked"  # type: ignore[index]


async def test_02_an_alleged_crime_fails_and_only_a_director_overrides_it_with_a_reason(office: Office) -> None:
    """2. Given an alleged crime, when screened, then `fail` and normal handling; override needs director and reason."""
    alleged = {**INTAKE_ANSWERS, "crime_alleged": True}
    story = await office.file(intake=alleged)
    screened = await story.screen()
    assert (screened["outcome"], screened["eligible"]) == ("fail", False)
    assert outcome_of(screened, "alleged_crime") == "fail"
    assert await story.state() == "ineligible"
    assert (await complaint(story))["disposition"] == "returned_to_investigation"

    other = await office.file(intake=alleged)
    path, override = f"{other.path}/screenings", {"eligible": True, "reason": "The accusation was a slip of the pen."}
    for staff in (office.intake, office.coordinator):
        assert (await staff.post(path, override, 409))["code"] == "director-required"
    refused = await office.director.post(path, {"eligible": True}, 422)
    assert refused["errors"][0]["pointer"] == "/reason"  # type: ignore[index]
    screened = await office.director.post(path, override)
    assert (screened["outcome"], screened["eligible"], screened["overridden"]) == ("fail", True, True)
    kept = (await office.auditor.get(path))["items"][0]  # type: ignore[index]
    assert (kept["by_role"], kept["reason"], kept["rules_version"]) == ("director", override["reason"], "2026-11")
    assert await other.state() == "confirming"


@pytest.mark.parametrize(("filed_on", "outcome"), [("2025-12-02", "pass"), ("2025-12-01", "needs_review")])
async def test_03_a_case_pending_91_days_with_the_officer_as_witness_needs_review(
    office: Office, filed_on: str, outcome: str
) -> None:
    """3. Given a traffic case pending 91 days after filing with the officer as witness, then `needs_review`."""
    intake = {**INTAKE_ANSWERS, "officer_is_witness": True, "pending_case_filed_on": filed_on}
    story = await office.file(intake=intake)
    screened = await story.screen()
    assert outcome_of(screened, "officer_is_witness") == outcome
    case = await story.case()
    reviewed = outcome == "needs_review"
    assert case["state"] == ("screening" if reviewed else "confirming")
    assert case["waits_for"] == ("director_review" if reviewed else "complainants")


async def test_04_with_two_of_three_approvals_nobody_is_asked(office: Office, app: FastAPI) -> None:
    """4. Given two of three approvals, when the officer is asked, then 409."""
    requiring(app, *Approver)
    story = await office.file(officers=[{"unit": "Central"}])
    approvals = f"{story.path}/approvals"
    await office.director.post(approvals, {"approver": "director", "approved": True})
    await office.intake.post(approvals, {"approver": "internal_affairs", "approved": True, **GIVEN})
    refused = await office.intake.post(f"{story.path}/screenings", {}, 409)
    assert missing(refused) == [("approval-missing", None)]
    assert details(refused, "unit_commander Central")
    assert await story.state() == "screening"
    elsewhere = {"approver": "unit_commander", "approved": True, "unit": "East", **GIVEN}
    await office.intake.post(approvals, elsewhere)
    await office.intake.post(f"{story.path}/screenings", {}, 409)
    await office.intake.post(approvals, {**elsewhere, "unit": "Central"})
    await story.to_ready()
    assert await story.state() == "ready"


async def test_04_a_refused_approval_returns_the_complaint(office: Office, app: FastAPI, filed: Begun) -> None:
    """4, the other way: any refusal is normal handling again."""
    requiring(app, Approver.DIRECTOR)
    story = filed()
    await office.director.post(f"{story.path}/approvals", {"approver": "director", "approved": False})
    assert await story.state() == "ineligible"
    assert (await complaint(story))["disposition"] == "returned_to_investigation"


async def test_05_an_officer_who_is_asked_reads_no_answer_in_the_case(office: Office) -> None:
    """5. Given complainant yes and officer unanswered, when the officer reads the case, then no answer shows.

    That the officer is asked at all tells that a complainant agreed; which one, or how many, does not show.
    """
    story = await (await office.file(complainants=[{}, {}])).to_confirming()
    await story.answer(story.complainants[0])
    await story.answer(story.complainants[1], "declined")
    officer = story.officers[0]
    case = await officer.get(story.path)
    assert (case["state"], case["others"], case["mediator_name"]) == ("pending", [], None)
    assert (await officer.get(f"{story.path}/consents"))["items"] == []
    assert await kinds(officer, story) == ["case.opened", "party.asked"]
    seen = "".join([(await officer.send("GET", path)).text for path in (story.path, f"{story.path}/readiness")])
    assert all(complainant.party_id not in seen for complainant in story.complainants)
    assert '"agreed"' not in seen
    assert '"declined"' not in seen


async def test_06_when_the_officer_declines_the_complaint_returns_and_nobody_is_named(asking: Begun) -> None:
    """6. Given the officer declines, then complaint returns; the notice names no one and no reason.

    The notices themselves (mail and webhooks) are a capability of its own and not part of this release.
    """
    story = asking()
    await story.answer(story.officers[0], "declined")
    assert (await complaint(story))["disposition"] == "returned_to_investigation"
    complainant = story.complainants[0]
    case = await complainant.get(story.path)
    assert case["state"] == "not_mediated"
    seen = [
        (await complainant.send("GET", path)).text
        for path in (story.path, f"{story.path}/timeline", f"/v1/complaints/{story.complaint_id}")
    ]
    # The officer is known as the other side of what went back, and by nothing else.
    assert sum(text.count(story.officers[0].party_id) for text in seen) == 2
    assert "declined" not in "".join(seen)
    assert "Dale" not in "".join(seen)
    assert (await kinds(complainant, story))[-1] == "case.closed"


async def test_07_of_two_officers_one_mediates_and_the_other_returns_to_investigation(office: Office) -> None:
    """7. Given two officers, one yes and one no, then one mediates and one returns to investigation.

    What returns is the declining officer's part: it shows as that officer's standing in the case, which the office's
    own systems read; a disposition for each allegation is not part of this release.
    """
    story = await (await office.file(officers=[{}, {}])).to_asking()
    willing, unwilling = story.officers
    await story.answer(willing)
    await story.answer(unwilling, "declined")
    case = await story.case()
    assert case["state"] == "ready"
    standings = {p["party_id"]: p["standing"] for p in case["participants"]}  # type: ignore[attr-defined]
    assert (standings[willing.party_id], standings[unwilling.party_id]) == ("agreed", "declined")
    assert (await unwilling.get(story.path))["state"] == "not_mediated"
    complainant = story.complainants[0]
    for who, others in ((complainant, [willing]), (willing, [complainant])):
        shown: list[Answer] = (await who.get(story.path))["others"]  # type: ignore[assignment]
        assert [other["party_id"] for other in shown] == [other.party_id for other in others]
    stays = replace(story, officers=[willing])
    await stays.assign()
    await stays.schedule()
    await stays.sign_all()
    await stays.session("start", {})
    await unwilling.get(f"/v1/sessions/{stays.session_id}", 404)
    await unwilling.get(f"/v1/agreements/{stays.agreement['id']}", 404)


async def test_08_of_two_complainants_one_withdraws_and_the_other_proceeds(office: Office) -> None:
    """8. Given two complainants, one withdraws, then the other proceeds."""
    story = await (await office.file(complainants=[{}, {}])).to_signed()
    leaver, stays = story.complainants
    await story.withdraw(leaver)
    assert await story.state() == "scheduled"
    await story.session("start", {})  # the leaver's place in the room is gone with the leaver
    await story.session("complete")
    await story.close()
    assert (await stays.get(story.path))["state"] == "mediated"
    assert (await leaver.get(story.path))["state"] == "not_mediated"
    assert (await stays.get(f"/v1/complaints/{story.complaint_id}"))["disposition"] == "closed_mediated"
    assert (await leaver.get(f"/v1/complaints/{story.complaint_id}"))["disposition"] == "returned_to_investigation"


async def test_09_no_session_is_scheduled_for_a_minor_without_a_guardian(office: Office) -> None:
    """9. Given a minor without guardian, when scheduling, then refused."""
    story = await office.file(complainants=[{"minor": True, "guardian": GUARDIAN}])
    await story.screen()
    minor = story.complainants[0]
    await story.guardian_agrees(minor)
    await story.answer(minor)
    await story.answer(story.officers[0])
    await story.assign()
    await office.intake.patch(f"/v1/parties/{minor.party_id}", {"guardian": None})
    refused = await office.coordinator.post(f"{story.path}/sessions", story.booking(), 409)
    without = [("consent-missing", minor.party_id), ("guardian-missing", minor.party_id)]
    assert (refused["code"], missing(refused)) == ("conditions-missing", without)
    readiness = await office.coordinator.get(f"{story.path}/readiness")
    assert missing(readiness["scheduling"]) == missing(refused)  # type: ignore[arg-type]
    await office.intake.patch(f"/v1/parties/{minor.party_id}", {"guardian": GUARDIAN})
    await story.guardian_agrees(minor)
    await story.answer(minor)
    await story.schedule()


async def test_10_the_session_does_not_start_until_the_asl_interpreter_is_confirmed(office: Office) -> None:
    """10. Given ASL requested, when no interpreter is confirmed, then the session cannot start."""
    story = await (await office.file(complainants=[{"interpreter_language": "ase"}])).to_signed()
    asking = story.complainants[0].party_id
    wanted = [("interpreter-missing", asking)]
    assert missing(await story.session("start", {}, 409)) == wanted
    assert missing(await story.complainants[0].get(f"{story.path}/readiness")) == wanted
    entry = {"role": "interpreter", "name": "Jo Park", "language": "ase", "for_party_id": asking, "qualified": True}
    await office.intake.post(f"{story.path}/attendees", {**entry, "language": "es"})  # of another language
    added = await office.intake.post(f"{story.path}/attendees", entry)
    assert wanted[0] in missing(await story.session("start", {}, 409))
    confirmed = await office.intake.post(f"/v1/attendees/{added['id']}/confirm", None, 200)
    assert confirmed["confirmed_at"] is not None
    assert wanted[0] not in missing(await story.session("start", {}, 409))
    await story.sign_on_paper("interpreter", str(added["id"]))
    away = {"absent": [{"role": "interpreter", "id": added["id"]}]}
    assert wanted[0] in missing(await story.session("start", away, 409))  # confirmed, but not there
    others: list[dict[str, object]] = (await office.coordinator.get(f"{story.path}/attendees"))["items"]  # type: ignore[assignment]
    unneeded = [{"role": "interpreter", "id": each["id"]} for each in others if each["id"] != added["id"]]
    await story.session("start", {"absent": unneeded})


@pytest.mark.parametrize(
    "unsuitable",
    [{"relation": "family"}, {"relation": "friend"}, {"relation": "police"}, {"qualified": False}],
    ids=str,
)
async def test_11_the_complainants_brother_does_not_interpret_and_a_qualified_one_is_offered(
    office: Office, unsuitable: dict[str, object]
) -> None:
    """11. Given staff propose the complainant's brother as interpreter, then refused and a qualified one offered."""
    story = await office.file(complainants=[{"interpreter_language": "es"}])
    entry = {"role": "interpreter", "name": "Juan Alvarez", "language": "es", "qualified": True, "relation": "none"}
    refused = await office.intake.post(f"{story.path}/attendees", {**entry, **unsuitable}, 409)
    assert refused["code"] == "interpreter-unsuitable"
    assert "The office provides a qualified one" in str(refused["detail"])
    assert (await office.intake.get(f"{story.path}/attendees"))["items"] == []
    await office.intake.post(f"{story.path}/attendees", entry)
    support = {"role": "support_person", "name": "Juan Alvarez", "relation": "family"}
    await office.intake.post(f"{story.path}/attendees", support)  # whom a party brings along is another matter


async def test_12_a_mediator_who_knows_the_officer_is_replaced_and_parties_see_no_reason(
    office: Office, ready: Begun
) -> None:
    """12. Given a mediator who knows the officer, when disclosed, then reassigned; parties see no reason."""
    story = ready()
    first = await office.mediator(name="Kofi Mensah")
    await story.propose(first)
    await story.accept(knows_a_party=True)
    assert (await story.case())["waits_for"] == "mediator_proposal"
    second = await story.assign()
    assert (await story.case())["waits_for"] == "scheduling"
    assert (await second.get(story.path))["assignment"]["state"] == "accepted"  # type: ignore[index]
    for party in (*story.complainants, *story.officers):
        seen = "".join([(await party.send("GET", path)).text for path in (story.path, f"{story.path}/timeline")])
        assert "Amara Okafor" in seen
        assert "Kofi Mensah" not in seen
        assert "assignment" not in seen
        assert "conflict" not in seen


async def test_13_the_coordinator_is_alerted_when_a_mediator_is_silent_for_five_working_days(office: Office) -> None:
    """13. Given mediator silence after 5 working days, then coordinator alert."""
    story = await (await office.file()).to_ready()  # on a Monday
    mediator = await office.mediator()
    proposed = await story.propose(mediator)
    assert proposed["answer_due_on"] == "2026-03-09"
    story.office.clock.advance(days=7)
    assert "mediator_silent" not in (await story.case())["alerts"]  # type: ignore[operator]
    story.office.clock.advance(days=1)
    listed = await office.coordinator.get(f"/v1/cases?complaint_id={story.complaint_id}")
    on_the_board = listed["items"][0]  # type: ignore[index]
    assert "mediator_silent" in on_the_board["alerts"]
    assert on_the_board["waits_for"] == "mediator_answer"
    await story.accept()
    assert "mediator_silent" not in (await story.case())["alerts"]  # type: ignore[operator]


async def test_14_an_officers_leave_is_a_pause_with_an_end_and_raw_days_still_count(
    office: Office, filed: Begun
) -> None:
    """14. Given officer leave, then pause recorded, cap set, raw days still counted."""
    story = filed()
    leave = {"reason": "leave", "starts_on": "2026-03-03", "ends_on": "2026-03-12"}
    no_end = {name: value for name, value in leave.items() if name != "ends_on"}
    await office.intake.post(f"{story.path}/pauses", no_end, 422)
    await office.intake.post(f"{story.path}/pauses", {**leave, "ends_on": "2026-05-02"}, 422)  # 61 days
    await office.intake.post(f"{story.path}/pauses", leave)
    story.office.clock.advance(days=28)
    target = await office.intake.get(f"{story.path}/target")
    assert (target["raw_days"], target["net_days"], target["due_on"]) == (28, 18, "2026-03-30")
    assert target["pace"] == "at_risk"
    assert "pause" not in " ".join(await kinds(story.complainants[0], story))


async def test_15_after_a_transfer_the_new_commander_approves_and_the_consent_stands(
    office: Office, app: FastAPI
) -> None:
    """15. Given transfer, then the new RU manager approves; consent survives."""
    requiring(app, Approver.UNIT_COMMANDER)
    story = await office.file(officers=[{"unit": "Central"}])
    approval = {"approver": "unit_commander", "approved": True, "unit": "Central", **GIVEN}
    await office.intake.post(f"{story.path}/approvals", approval)
    await story.to_ready()
    await story.assign()
    officer = story.officers[0]
    await office.intake.patch(f"/v1/parties/{officer.party_id}", {"unit": "East"})
    refused = await office.coordinator.post(f"{story.path}/sessions", story.booking(), 409)
    assert missing(refused) == [("approval-missing", None)]
    assert details(refused, "unit_commander East")
    assert (await officer.get(story.path))["you"]["standing"] == "agreed"  # type: ignore[index]
    await office.intake.post(f"{story.path}/approvals", {**approval, "unit": "East"})
    await story.schedule()


async def missed(story: Story, party: Caller) -> None:
    """A session for which a party does not come, without a cause."""
    await story.schedule()
    story.office.clock.advance(days=3, minutes=15)
    await story.session("absences", {"party_id": party.party_id, "excused": False}, 201)


async def test_16_after_a_complainants_second_absence_the_director_decides(office: Office, ready: Begun) -> None:
    """16. Given a second complainant no-show without cause, then `mediation_attempted`; director chooses disposition.

    A mediation that was attempted and not held is `lapsed` with `repeated_absence`; it is the director who may close
    the case so, or leave it open. The complaint returns to investigation, as after every ending without mediation.
    """
    story = ready()
    await story.assign()
    await missed(story, story.complainants[0])
    lapse = {"reason": "repeated_absence"}
    assert (await office.director.post(f"{story.path}/lapses", lapse, 409))["code"] == "absences-too-few"
    await missed(story, story.complainants[0])
    case = await story.case()
    assert case["state"] == "ready"
    assert "repeated_absence" in case["alerts"]  # type: ignore[operator]
    assert (await office.coordinator.post(f"{story.path}/lapses", lapse, 409))["code"] == "director-required"
    closed = await office.director.post(f"{story.path}/lapses", lapse)
    assert (closed["state"], closed["lapse_reason"]) == ("lapsed", "repeated_absence")
    assert (await complaint(story))["disposition"] == "returned_to_investigation"


async def test_17_after_an_officers_absence_without_cause_the_complaint_returns(office: Office, ready: Begun) -> None:
    """17. Given an officer no-show without cause, then supervisor told, complaint to IA.

    Telling the supervisor is a notice to somebody outside the case; notices are a capability of their own and not
    part of this release. One absence is enough to alert staff, and for a director to return the complaint.
    """
    story = ready()
    await story.assign()
    await missed(story, story.officers[0])
    assert "repeated_absence" in (await story.case())["alerts"]  # type: ignore[operator]
    await office.director.post(f"{story.path}/lapses", {"reason": "repeated_absence"})
    assert (await complaint(story))["disposition"] == "returned_to_investigation"
    assert (await story.complainants[0].get(story.path))["state"] == "not_mediated"


async def test_18_an_unsigned_attendee_stops_the_start_and_parties_do_not_learn_who_it_is(
    office: Office, fork: Fork
) -> None:
    """18. Given one attendee unsigned, when starting, then 409; parties are not told whose signature is missing."""
    story = await (await office.file(complainants=[{}, {}])).to_scheduled()
    await story.make_agreement()
    for unsigned in story.everybody:
        async with fork():
            for who in story.everybody:
                if who is not unsigned:
                    await story.sign(who)
            refused = await story.session("start", {}, 409)
            assert missing(refused) == [("signature-missing", unsigned.party_id or unsigned.mediator_id)]
            assert await story.state() == "scheduled"
            for party in (*story.complainants, *story.officers):
                own = missing(await party.get(f"{story.path}/readiness"))
                assert own == ([("signature-missing", party.party_id)] if party is unsigned else [])
                shown = await party.get(f"/v1/agreements/{story.agreement['id']}")
                assert "signatures" not in shown
                assert (shown["signed_at"] is None) is (party is unsigned)
                await party.post(f"/v1/sessions/{story.session_id}/start", {}, 403)


async def test_19_everybody_signs_again_when_the_text_changes(signed: Begun) -> None:
    """19. Given agreement text v2 after v1 signed, then all must re-sign."""
    story = signed()
    await story.make_agreement(languages=["en", "es"])
    refused = await story.session("start", {}, 409)
    everybody = {who.party_id or who.mediator_id for who in story.everybody}
    assert sorted(missing(refused), key=str) == sorted((("signature-missing", who) for who in everybody), key=str)
    for count, who in enumerate(story.everybody, 1):
        assert len(missing(await story.session("start", {}, 409))) == len(everybody) - count + 1
        await story.sign(who)
    await story.session("start", {})


async def test_20_a_withdrawal_during_the_session_ends_it_and_stores_no_content(
    office: Office, in_session: Begun
) -> None:
    """20. Given mid-session withdrawal without reason, then session ends, case returns, no content stored."""
    story = in_session()
    await story.withdraw(story.complainants[0])
    session = await office.coordinator.get(f"/v1/sessions/{story.session_id}")
    assert (session["state"], session["end_reason"]) == ("ended", "withdrawal")
    assert (await story.case())["state"] == "withdrawn"
    assert (await complaint(story))["disposition"] == "returned_to_investigation"
    timeline = await office.auditor.get(f"{story.path}/timeline?limit=100")
    withdrew = next(f for f in timeline["items"] if f["kind"] == "party.withdrew")  # type: ignore[attr-defined]
    assert set(withdrew["data"]) == {"withdrawal_id", "party_id", "channel"}
    for field in ("reason", "content", "notes", "statement"):
        body = {field: "She said that she had had enough."}
        await story.complainants[0].post(f"{story.path}/withdrawals", body, 422)


async def test_21_of_a_session_that_the_mediator_ended_only_a_code_is_stored(office: Office, in_session: Begun) -> None:
    """21. Given abuse, when the mediator ends it, then only a code is stored."""
    story = in_session()
    ended = await story.session("end")
    assert (ended["state"], ended["end_reason"]) == ("ended", "ended_by_mediator")
    timeline = await office.auditor.get(f"{story.path}/timeline?limit=100")
    events = {f["kind"]: f["data"] for f in timeline["items"]}  # type: ignore[attr-defined]
    assert events["session.ended"] == {"session_id": story.session_id, "reason": "ended_by_mediator"}
    assert events["case.closed"] == {"state": "ended", "agreement_reached": None, "lapse_reason": None}


async def test_22_what_is_reported_elsewhere_leaves_nothing_in_the_case(in_session: Begun) -> None:
    """22. Given a threat, when a mandatory report is filed, then only restricted staff see it and IA sees nothing.

    Mandatory reports, a restricted record of their own with category, recipient and time, are a capability that is
    not part of this release. What holds already: the case takes no word of a threat, from nobody and nowhere.
    """
    story = in_session()
    for said in ({"reason": "threat"}, {"report": {"category": "threat"}}, {"notes": "A threat was made."}):
        refused = await story.session("end", said, 422)
        assert refused["errors"][0]["code"] == "unknown-field"  # type: ignore[index]
    await story.session("end", {})
    assert "threat" not in await everything(story)


async def test_23_a_completed_session_without_an_agreement_is_mediated_without_a_finding(office: Office) -> None:
    """23. Given completion without agreement, then `mediated`, `agreement_reached=false`, closed, no finding."""
    story = await (await office.file()).to_mediated(agreement_reached=False)
    case = await story.case()
    assert (case["state"], case["agreement_reached"]) == ("mediated", False)
    assert (await complaint(story))["disposition"] == "closed_mediated"
    for party in (*story.complainants, *story.officers):
        assert (await party.get(story.path))["state"] == "mediated"
    keys = (await everything(story)).replace('"findings"', "", 1)  # what each rule of eligibility came to
    assert [word for word in FINDINGS if f'"{word}' in keys] == []


async def test_24_what_a_public_report_would_count_is_on_file_and_public_to_nobody(office: Office) -> None:
    """24. Given 3 cases in a precinct, when the public report runs, then the cell is suppressed, also by subtraction.

    Public statistics, with their suppression of small cells, are a capability that is not part of this release. What
    holds already: the precinct is recorded, and nothing that counts or lists cases answers the public.
    """
    story, *_ = [await office.file(precinct="North") for _ in range(3)]
    assert (await complaint(story))["precinct"] == "North"
    for path in ("/v1/complaints", "/v1/cases", "/v1/sessions", story.path):
        await office.public.get(path, 401)


async def test_25_a_missed_target_alerts_and_later_escalates_and_the_case_stays_open(
    office: Office, ready: Begun
) -> None:
    """25. Given day 31 after selection, then target-missed alert; day 61 escalates; case stays open.

    The target here is 28 days from the request (four weeks), so it is missed on day 29 and still on day 31.
    """
    story = ready()
    expected = {
        20: ("on_track", []),
        21: ("at_risk", ["target_at_risk"]),
        28: ("at_risk", ["target_at_risk"]),
        29: ("overdue", ["target_missed"]),
        31: ("overdue", ["target_missed"]),
        60: ("overdue", ["target_missed"]),
        61: ("overdue", ["target_missed", "target_escalated"]),
    }
    requested = datetime(2026, 3, 2, 20, tzinfo=UTC)
    for day, (pace, alerts) in expected.items():
        story.office.clock.now = requested
        story.office.clock.advance(days=day)
        case = await story.case()
        target = await office.intake.get(f"{story.path}/target")
        assert (target["raw_days"], target["pace"]) == (day, pace)
        assert case["target"] == {name: target[name] for name in ("requested_on", "due_on", "pace")}
        assert case["alerts"] == alerts
        assert case["state"] == "ready"
    escalated = await office.coordinator.get(f"/v1/cases?pace=overdue&complaint_id={story.complaint_id}")
    assert [each["id"] for each in escalated["items"]] == [story.case_id]  # type: ignore[attr-defined]
    await story.assign()
    await story.schedule()  # it takes away no right
    await story.sign_all()
    await story.session("start", {})
    await story.session("complete")
    closed = await story.close()
    assert closed["target"]["pace"] == "missed"  # type: ignore[index]
    assert closed["alerts"] == []
