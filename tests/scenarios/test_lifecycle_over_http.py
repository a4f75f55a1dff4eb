"""The rules of the lifecycle as they show over HTTP, in every state and in the turns that a case can take."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from tests.scenarios.conftest import Begun, Fork, once, to

from mediation_api.dev.office import NO_CONFLICT, Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.domain.lifecycle import OPEN

MINOR = {"minor": True, "guardian": {"name": "Ines Alvarez", "relation": "parent", "phone": "+1 503 555 0111"}}


def codes(answer: Answer) -> list[str]:
    """The codes of what is missing, in a refusal or a gate."""
    return sorted(each["code"] for each in answer["missing"])  # type: ignore[attr-defined]


ROLES = ("party", "guardian", "mediator", "interpreter", "support_person")


def missing(answer: Answer) -> list[tuple[str, object, str]]:
    """What is missing: its code, whom it concerns, and in which capacity where that is said."""
    listed: list[dict[str, str]] = answer["missing"]  # type: ignore[assignment]
    return [
        (each["code"], each["subject_id"], next((role for role in ROLES if f"({role})" in each["detail"]), ""))
        for each in listed
    ]


def standings(case: Answer) -> dict[str, str]:
    return {p["party_id"]: p["standing"] for p in case["participants"]}  # type: ignore[attr-defined]


async def until(story: Story, state: str) -> Story:
    """Walk to one open state."""
    async for reached in story.open_states():
        if reached == state:
            return story
    raise AssertionError(state)


async def disposition(story: Story) -> object:
    return (await story.office.coordinator.get(f"/v1/complaints/{story.complaint_id}"))["disposition"]


async def told(who: Caller, story: Story) -> object:
    """What a party is told of the state of its case."""
    return (await who.get(story.path))["state"]


async def session_of(story: Story) -> Answer:
    return await story.office.coordinator.get(f"/v1/sessions/{story.session_id}")


# ── withdrawal ─────────────────────────────────────────────────────────────────────────────────────────────────────


def withdrawals(story: Story, party: Caller, state: str) -> Iterator[tuple[Caller, object, str]]:
    """Everybody who can say that `party` withdraws, how they say it, and what is kept of the way."""
    yield party, None, "portal"
    yield party, {"party_id": party.party_id, "channel": "portal"}, "portal"
    office = story.office
    staff = {"phone": office.intake, "letter": office.coordinator, "email": office.director, "in_person": office.intake}
    for channel, who in staff.items():
        yield who, {"party_id": party.party_id, "channel": channel}, channel
    if story.mediator is not None and state == "in_session":
        yield story.mediator, {"party_id": party.party_id, "channel": "session"}, "session"


async def test_either_side_withdraws_in_every_open_state_through_whoever_and_whatever_way(
    fork: Fork, in_each_state: Mapping[str, Begun]
) -> None:
    for state, begun in in_each_state.items():
        story = begun()
        for party in (story.complainants[0], story.officers[0]):
            for who, said, channel in withdrawals(story, party, state):
                async with fork():
                    if who is party and party in story.officers and state in {"screening", "confirming"}:
                        await who.post(f"{story.path}/withdrawals", said, 404)  # not asked: it knows of nothing yet
                        continue
                    first = await who.post(f"{story.path}/withdrawals", said, 201)
                    assert (first["party_id"], first["channel"]) == (party.party_id, channel)
                    # The case is closed by now in whatever state it was: each way is said again in one of them.
                    if who is party or state == "in_session":
                        assert await who.post(f"{story.path}/withdrawals", said, 200) == first
                    case = await story.case()
                    assert case["state"] == "withdrawn"
                    assert standings(case)[party.party_id] == "withdrawn"
                    if who is party:
                        assert await disposition(story) == "returned_to_investigation"
    assert set(in_each_state) == {state.value for state in OPEN}


async def test_a_withdrawal_during_the_session_ends_it_and_keeps_no_reason(office: Office, in_session: Begun) -> None:
    story = in_session()
    given = await story.withdraw(story.officers[0])
    assert set(given) == {"id", "case_id", "party_id", "channel", "withdrawn_at"}
    session = await session_of(story)
    assert (session["state"], session["end_reason"]) == ("ended", "withdrawal")
    await story.session("complete", status=409)
    refused = await office.coordinator.post(f"{story.path}/closures", {"agreement_reached": True}, 409)
    assert refused["code"] == "case-closed"


async def test_a_withdrawal_before_the_session_calls_it_off_and_frees_the_mediator(
    scheduled: Begun, ready: Begun
) -> None:
    story = scheduled()
    await story.withdraw(story.complainants[0])
    assert (await session_of(story))["state"] == "cancelled"
    other = ready()
    await other.assign(story.mediator)
    await other.schedule()


async def test_the_withdrawal_of_one_leaves_the_others_where_they_are_in_every_open_state(
    office: Office, fork: Fork
) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}, {}])
    async for state in story.open_states():
        for side in (story.complainants, story.officers):
            async with fork():
                said = {"party_id": side[0].party_id, "channel": "phone"}
                await office.intake.post(f"{story.path}/withdrawals", said)
                assert await story.state() == state
                said = {"party_id": side[1].party_id, "channel": "phone"}
                await office.intake.post(f"{story.path}/withdrawals", said)
                assert await story.state() == "withdrawn"


async def test_the_last_unanswered_party_to_withdraw_lets_the_case_go_on_with_those_who_agreed(office: Office) -> None:
    story = await (await office.file(complainants=[{}, {}], officers=[{}, {}])).to_confirming()
    await story.answer(story.complainants[0])
    await story.withdraw(story.complainants[1])
    assert await story.state() == "asking"
    await story.answer(story.officers[0])
    await story.withdraw(story.officers[1])
    assert await story.state() == "ready"


async def test_a_party_that_withdrew_cannot_agree_after_all(two_complainants_asked: Begun) -> None:
    story = two_complainants_asked()
    await story.withdraw(story.complainants[0])
    assert (await story.answer(story.complainants[0], status=409))["code"] == "party-left"


async def test_a_withdrawal_after_the_close_is_refused_and_one_from_before_is_confirmed_again(office: Office) -> None:
    story = await (await office.file(complainants=[{}, {}])).to_concluded()
    leaver, stays = story.complainants
    before = await story.withdraw(leaver)
    await story.close()
    assert await story.withdraw(leaver, 200) == before
    assert (await story.withdraw(stays, 409))["code"] == "case-closed"
    assert await story.state() == "mediated"


async def test_staff_say_for_whom_and_how_and_a_party_speaks_for_nobody_else(office: Office) -> None:
    story = await (await office.file(complainants=[{}, {}])).to_ready()
    one, other = story.complainants
    path = f"{story.path}/withdrawals"
    assert (await office.intake.post(path, {"channel": "phone"}, 422))["errors"][0]["pointer"] == "/party_id"  # type: ignore[index]
    said = {"party_id": one.party_id}
    assert (await office.intake.post(path, said, 422))["errors"][0]["pointer"] == "/channel"  # type: ignore[index]
    await one.post(path, {"party_id": other.party_id}, 404)
    await one.post(path, {"channel": "letter"}, 422)
    stranger = (await office.file()).complainants[0]
    await office.intake.post(path, {"party_id": stranger.party_id, "channel": "phone"}, 404)
    await stranger.post(path, None, 404)
    assert await story.state() == "ready"
    assert (await office.coordinator.get(path))["items"] == []


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────


three_officers_asked = once(lambda office: to(office, Story.to_asking, officers=3))
two_complainants_asked = once(lambda office: to(office, Story.to_confirming, complainants=2))


@pytest.mark.parametrize("decisions", ["ada", "aad", "daa", "dda", "ddd"])
async def test_each_of_several_officers_answers_for_itself(decisions: str, three_officers_asked: Begun) -> None:
    """a: agrees, d: declines."""
    words = {"a": ("agreed", "agreed"), "d": ("declined", "declined")}
    story = three_officers_asked()
    for officer, letter in zip(story.officers, decisions, strict=True):
        assert await story.state() == "asking"
        await story.answer(officer, words[letter][0])
    case = await story.case()
    assert case["state"] == ("declined" if decisions == "ddd" else "ready")
    assert [standings(case)[officer.party_id] for officer in story.officers] == [words[d][1] for d in decisions]
    for officer, letter in zip(story.officers, decisions, strict=True):
        assert await told(officer, story) == ("ready" if letter == "a" else "not_mediated")
    in_mediation = decisions != "ddd"
    assert await disposition(story) == ("in_mediation" if in_mediation else "returned_to_investigation")


@pytest.mark.parametrize("decisions", ["ad", "da", "dd"])
async def test_each_of_several_complainants_answers_for_itself(decisions: str, two_complainants_asked: Begun) -> None:
    words = {"a": "agreed", "d": "declined"}
    story = two_complainants_asked()
    for complainant, letter in zip(story.complainants, decisions, strict=True):
        assert await story.state() == "confirming"
        await story.answer(complainant, words[letter])
    assert await story.state() == ("declined" if decisions == "dd" else "asking")
    if decisions == "dd":  # nobody agreed, so no officer was ever asked
        await story.officers[0].get(story.path, 404)


async def test_an_answer_is_given_once_in_its_turn_and_to_a_text_that_is_current(office: Office, filed: Begun) -> None:
    story = filed()
    complainant, officer = story.complainants[0], story.officers[0]
    assert (await story.answer(complainant, status=409))["code"] == "not-asked"
    await story.to_confirming()
    await story.answer(officer, status=404)
    by_phone = {"party_id": officer.party_id, "channel": "phone"}
    assert (await story.answer(office.intake, status=409, **by_phone))["code"] == "not-asked"
    outdated = await story.answer(complainant, status=409, disclosure_sha256="0" * 64)
    assert outdated["code"] == "disclosure-outdated"
    given = await story.answer(complainant)
    assert (await story.answer(complainant, "declined", 409))["code"] == "already-answered"
    assert (await complainant.get(f"{story.path}/consents"))["items"] == [given]


async def test_staff_record_an_answer_with_the_way_it_reached_them(office: Office, confirming: Begun) -> None:
    story = confirming()
    party_id = story.complainants[0].party_id
    given = await story.answer(office.intake, party_id=party_id, channel="letter")
    assert (given["party_id"], given["channel"], given["decision"]) == (party_id, "letter", "agreed")
    await story.answer(office.intake, status=422, party_id=story.officers[0].party_id)
    assert await story.state() == "asking"


# ── late parties ───────────────────────────────────────────────────────────────────────────────────────────────────


async def add_officer(story: Story, status: int = 201) -> Answer:
    person = {"side": "officer", "name": "Officer Noa Late", "employee_number": f"L-{story.case_id[:8]}"}
    return await story.office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", person, status)


async def add_complainant(story: Story, status: int = 201, **changes: object) -> Answer:
    person = {"side": "complainant", "name": "Lena Late", **changes}
    return await story.office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", person, status)


async def signed_in(story: Story, added: Answer) -> Caller:
    """The newcomer, with a token of its own."""
    if added["side"] == "officer":
        number = str(added["employee_number"])
        newcomer = story.office.caller(Role.OFFICER, f"officer-{number}", number)
        newcomer.party_id = str(added["id"])
        return newcomer
    code = await story.office.intake.post(f"/v1/parties/{added['id']}/access-codes")
    return await story.office.signed_in(str(code["access_code"]))


LATE = {
    # state: after a complainant joined, after an officer joined
    "screening": ("screening", "screening"),
    "confirming": ("confirming", "confirming"),
    "asking": ("confirming", "asking"),
    "ready": ("confirming", "asking"),
    "scheduled": ("confirming", "asking"),
    "in_session": (None, None),
    "concluded": (None, None),
}


async def test_a_late_party_opens_the_gate_again_in_every_state_but_during_and_after_the_session(
    fork: Fork, in_each_state: Mapping[str, Begun]
) -> None:
    for state, begun in in_each_state.items():
        story = begun()
        for add, after in zip((add_complainant, add_officer), LATE[state], strict=True):
            async with fork():
                if after is None:
                    assert (await add(story, 409))["code"] == "state-conflict"
                    assert len((await story.case())["participants"]) == 2  # type: ignore[arg-type]
                    continue
                added = await add(story)
                case = await story.case()
                assert case["state"] == after
                asked = state != "screening" and not (added["side"] == "officer" and after == "confirming")
                assert standings(case)[str(added["id"])] == ("asked" if asked else "waiting")
                if state == "scheduled":
                    assert (await session_of(story))["state"] == "cancelled"
                    assert case["next_session"] is None


async def test_after_a_late_party_agreed_the_session_is_scheduled_anew_and_the_newcomer_signs_the_same_text(
    office: Office, fork: Fork, signed: Begun
) -> None:
    story = signed()
    for add in (add_complainant, add_officer):
        async with fork():
            late = replace(story, complainants=[*story.complainants], officers=[*story.officers])
            added = await add(late)
            refused = await office.coordinator.post(f"{late.path}/sessions", late.booking(), 409)
            assert (refused["code"], codes(refused)) == ("conditions-missing", ["consent-missing"])
            newcomer = await signed_in(late, added)
            await late.answer(newcomer)
            assert await late.state() == "ready"
            await late.schedule()
            refused = await late.session("start", {}, 409)
            assert missing(refused) == [("signature-missing", newcomer.party_id, "party")]
            await late.sign(newcomer)
            await late.session("start", {})


async def test_a_late_party_that_declines_lets_the_case_go_on_without_it(fork: Fork, ready: Begun) -> None:
    story = ready()
    for add in (add_complainant, add_officer):
        async with fork():
            newcomer = await signed_in(story, await add(story))
            await story.answer(newcomer, "declined")
            assert await story.state() == "ready"
            assert await told(newcomer, story) == "not_mediated"


async def test_an_officer_who_is_listed_already_is_not_added_twice(filed: Begun) -> None:
    story = filed()
    await add_officer(story)
    assert (await add_officer(story, 409))["code"] == "party-already-listed"


async def test_a_party_that_is_added_between_two_attempts_takes_part_in_the_next(
    office: Office, confirming: Begun
) -> None:
    story = confirming()
    await story.withdraw(story.complainants[0])
    added = await add_complainant(story)
    newcomer = await signed_in(story, added)
    await newcomer.get(story.path, 404)
    opened = await office.intake.post(f"/v1/complaints/{story.complaint_id}/mediation-requests")
    again = replace(story, case_id=str(opened["id"]))
    assert set(standings(await again.case())) == {
        story.complainants[0].party_id,
        story.officers[0].party_id,
        newcomer.party_id,
    }


# ── minors ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_minor_agrees_together_with_a_guardian_or_not_at_all(office: Office) -> None:
    story = await office.file(complainants=[{"minor": True}])
    minor = story.complainants[0]
    screened = await story.screen(eligible=None, reason=None)
    assert (screened["outcome"], screened["eligible"]) == ("needs_review", None)
    await story.screen(eligible=True, reason="The mother will be found.")
    assert (await story.answer(minor, status=409))["code"] == "guardian-missing"
    assert (await story.guardian_agrees(minor, 409))["code"] == "guardian-missing"
    await office.intake.patch(f"/v1/parties/{minor.party_id}", {"guardian": MINOR["guardian"]})
    assert (await story.answer(minor, status=409))["code"] == "guardian-missing"
    recorded = await story.guardian_agrees(minor)
    assert (await story.answer(minor))["guardian_consent_id"] == recorded["id"]


async def test_a_minor_declines_without_a_guardian(office: Office) -> None:
    story = await office.file(complainants=[{"minor": True}, {}])
    await story.screen(eligible=True, reason="The mother will be found.")
    await story.answer(story.complainants[0], "declined")
    assert await story.state() == "confirming"


async def test_a_minor_s_session_waits_for_the_guardian_s_signature_and_presence(office: Office) -> None:
    story = await (await office.file(complainants=[MINOR])).to_confirming()
    minor, officer = story.complainants[0], story.officers[0]
    await story.guardian_agrees(minor)
    await story.answer(minor)
    await story.answer(officer)
    await story.assign()
    await story.schedule()
    await story.sign_all()
    refused = await story.session("start", {}, 409)
    assert missing(refused) == [("signature-missing", minor.party_id, "guardian")]
    await story.sign_on_paper("guardian", minor.party_id)
    refused = await story.session("start", {"absent": [{"role": "guardian", "id": minor.party_id}]}, 409)
    assert missing(refused) == [("guardian-absent", minor.party_id, "")]
    await story.session("start", {})


async def test_a_guardian_who_is_taken_off_the_file_closes_the_gate_again(office: Office) -> None:
    story = await (await office.file(complainants=[MINOR])).to_confirming()
    minor = story.complainants[0]
    await story.guardian_agrees(minor)
    await story.answer(minor)
    await story.answer(story.officers[0])
    await story.assign()
    await office.intake.patch(f"/v1/parties/{minor.party_id}", {"guardian": None})
    refused = await office.coordinator.post(f"{story.path}/sessions", story.booking(), 409)
    gone = [("consent-missing", minor.party_id, ""), ("guardian-missing", minor.party_id, "")]
    assert missing(refused) == gone


# ── absences ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def miss(story: Story, party: Caller, *, excused: bool) -> Answer:
    """Schedule a session, and let one party not come."""
    await story.schedule()
    early = {"party_id": party.party_id, "excused": excused}
    assert (await story.session("absences", early, 409))["code"] == "state-conflict"
    story.office.clock.advance(days=3, minutes=15)
    return await story.session("absences", early, 201)


async def test_a_session_that_a_party_missed_is_scheduled_again(office: Office, ready: Begun) -> None:
    story = ready()
    await story.assign()
    missed = await miss(story, story.complainants[0], excused=False)
    assert missed["state"] == "missed"
    absences: list[Answer] = missed["absences"]  # type: ignore[assignment]
    assert [(a["party_id"], a["excused"]) for a in absences] == [(story.complainants[0].party_id, False)]
    assert await story.state() == "ready"
    await story.session("start", {}, 409)
    # Both may have been absent; the same absence twice is one.
    both = {"party_id": story.officers[0].party_id, "excused": True}
    assert len((await story.session("absences", both, 201))["absences"]) == 2  # type: ignore[arg-type]
    again = await office.coordinator.send("POST", f"/v1/sessions/{story.session_id}/absences", both)
    assert again.status_code == 409
    await story.schedule()


async def test_a_director_closes_a_case_after_the_absences_that_the_city_allows_a_side(
    office: Office, fork: Fork, ready: Begun
) -> None:
    story = ready()
    await story.assign()
    lapse = {"reason": "repeated_absence"}
    for side, allowed in ((story.complainants, 2), (story.officers, 1)):
        async with fork():
            party = side[0]
            await miss(story, party, excused=True)
            for count in range(allowed):
                case = await story.case()
                assert "repeated_absence" not in case["alerts"]  # type: ignore[operator]
                refused = await office.director.post(f"{story.path}/lapses", lapse, 409)
                assert refused["code"] == "absences-too-few"
                await miss(story, party, excused=False)
                counted = {p["party_id"]: p["unexcused_absences"] for p in (await story.case())["participants"]}  # type: ignore[attr-defined]
                assert counted[party.party_id] == count + 1
            assert "repeated_absence" in (await story.case())["alerts"]  # type: ignore[operator]
            refused = await office.coordinator.post(f"{story.path}/lapses", lapse, 409)
            assert refused["code"] == "director-required"
            closed = await office.director.post(f"{story.path}/lapses", lapse)
            assert (closed["state"], closed["lapse_reason"]) == ("lapsed", "repeated_absence")
            assert await disposition(story) == "returned_to_investigation"


async def test_the_case_goes_on_without_a_party_that_was_absent_too_often(office: Office) -> None:
    story = await (await office.file(officers=[{}, {}])).to_ready()
    await story.assign()
    absent, present = story.officers
    await miss(story, absent, excused=False)
    lapse = {"reason": "repeated_absence", "party_id": present.party_id}
    assert (await office.director.post(f"{story.path}/lapses", lapse, 409))["code"] == "absences-too-few"
    case = await office.director.post(f"{story.path}/lapses", {**lapse, "party_id": absent.party_id})
    assert case["state"] == "ready"
    assert standings(case)[absent.party_id] == "lapsed"
    assert await told(absent, story) == "not_mediated"
    assert await told(present, story) == "ready"


# ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_adjourned_session_goes_on_as_another_one_with_the_signatures_given_before(
    office: Office, in_session: Begun
) -> None:
    story = in_session()
    first = story.session_id
    assert (await story.session("adjourn"))["state"] == "adjourned"
    assert await story.state() == "ready"
    await story.session("complete", status=409)
    refused = await office.coordinator.post(f"{story.path}/closures", {"agreement_reached": False}, 409)
    assert codes(refused) == ["completed-session-missing"]
    await story.schedule()
    await story.session("start", {})
    await story.session("adjourn")
    await story.schedule()
    await story.session("start", {})
    await story.session("complete")
    listed = await office.coordinator.get(f"/v1/sessions?case_id={story.case_id}")
    assert sorted(s["state"] for s in listed["items"]) == ["adjourned", "adjourned", "completed"]  # type: ignore[attr-defined]
    assert first != story.session_id
    assert await story.state() == "concluded"


async def test_who_is_not_in_the_room_is_noted_as_absent_and_holds_nobody_up(office: Office) -> None:
    story = await (await office.file(officers=[{}, {}])).to_scheduled()
    assert story.mediator is not None
    await story.make_agreement()
    here = (story.complainants[0], story.officers[0], story.mediator)
    for who in here:
        await story.sign(who)
    await story.session("start", {}, 409)  # everybody is expected, and one has not signed
    away = {"role": "party", "id": story.officers[1].party_id}
    seats = [{"role": "party", "id": who.party_id} for who in here[:2]]
    seats.append({"role": "mediator", "id": story.mediator.mediator_id})
    for seat, missing in zip(seats, ("complainant-absent", "officer-absent", "mediator-absent"), strict=True):
        assert missing in codes(await story.session("start", {"absent": [away, seat]}, 409))
    stranger = {"role": "party", "id": story.case_id}
    refused = await story.session("start", {"absent": [away, stranger]}, 422)
    assert refused["errors"][0]["code"] == "not-expected"  # type: ignore[index]
    started = await story.session("start", {"absent": [away]})
    attendance = {(a["role"], a["id"]): a["present"] for a in started["attendance"]}  # type: ignore[attr-defined]
    assert attendance[("party", story.officers[1].party_id)] is False
    assert sum(attendance.values()) == 3


async def test_a_session_is_moved_and_cancelled_before_it_starts_and_not_after(office: Office, signed: Begun) -> None:
    story = signed()
    moved = story.booking(mode="video", place=None, link="https://video.example/4")
    assert (await story.session("reschedule", moved))["mode"] == "video"
    assert (await story.session("cancel"))["state"] == "cancelled"
    assert await story.state() == "ready"
    await story.session("cancel", status=409)
    await story.session("start", {}, 409)
    await story.schedule()
    await story.session("start", {})
    await story.session("reschedule", moved, 409)
    await story.session("cancel", status=409)
    await story.session("start", {}, 409)
    refused = await office.coordinator.post(f"{story.path}/sessions", moved, 409)
    assert refused["code"] == "state-conflict"


async def test_only_the_mediator_ends_the_mediation_and_only_that_it_ended_is_kept(
    office: Office, fork: Fork, signed: Begun
) -> None:
    story = signed()
    path = f"/v1/sessions/{story.session_id}/end"
    for state in ("scheduled", "in_session"):
        assert await story.state() == state
        async with fork():
            for staff in (office.coordinator, office.director):
                await staff.post(path, None, 403)
            for party in (*story.complainants, *story.officers):
                await party.post(path, None, 403)
            await (await office.mediator()).post(path, None, 404)
            await story.session("end")
            assert await story.state() == "ended"
            assert await disposition(story) == "returned_to_investigation"
            assert await told(story.complainants[0], story) == "not_mediated"
        if state == "scheduled":
            await story.session("start", {})


# ── the second attempt ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_closed_case_is_tried_again_with_new_consents_and_a_new_target(office: Office, signed: Begun) -> None:
    story = signed()
    await story.withdraw(story.officers[0])
    first = await story.case()
    story.office.clock.advance(days=10)
    opened = await office.intake.post(f"/v1/complaints/{story.complaint_id}/mediation-requests")
    again = replace(story, case_id=str(opened["id"]), mediator=None, session_id="", agreement={})
    second = await again.case()
    assert (second["attempt"], second["state"]) == (2, "screening")
    assert opened == second
    assert second["target"] == {"requested_on": "2026-03-12", "due_on": "2026-04-09", "pace": "on_track"}
    assert set(standings(second).values()) == {"waiting"}
    assert await disposition(story) == "in_mediation"
    await again.officers[0].get(again.path, 404)  # asked in the first attempt, and not yet in this one
    assert (await again.officers[0].get(story.path))["state"] == "not_mediated"
    await again.to_signed()
    await again.session("start", {})
    await again.session("complete")
    await again.close()
    assert await story.case() == first
    refused = await office.intake.post(f"/v1/complaints/{story.complaint_id}/mediation-requests", None, 409)
    assert refused["code"] == "complaint-closed"


async def test_a_complaint_has_one_open_case_at_most(office: Office, filed: Begun) -> None:
    story = filed()
    path = f"/v1/complaints/{story.complaint_id}/mediation-requests"
    for who in (office.intake, story.complainants[0]):
        assert (await who.post(path, None, 409))["code"] == "case-already-open"


async def test_mediation_is_asked_for_later_by_the_complainant_itself(office: Office) -> None:
    story = await office.file(interested_in_mediation=False)
    assert story.case_id == "None"
    opened = await story.complainants[0].post(f"/v1/complaints/{story.complaint_id}/mediation-requests")
    assert (await office.coordinator.get(f"/v1/cases/{opened['id']}"))["state"] == "screening"
    assert (await story.complainants[0].get(f"/v1/cases/{opened['id']}"))["state"] == "pending"


# ── agreements ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_changed_text_voids_what_was_signed(office: Office, signed: Begun) -> None:
    story = signed()
    old = dict(story.agreement)
    new = await story.make_agreement(languages=["en", "es"])
    assert new["number"] == 2
    assert new["sha256"] != old["sha256"]
    assert codes(await story.session("start", {}, 409)) == ["signature-missing"] * 3
    path = f"/v1/agreements/{old['id']}/signatures"
    refused = await story.complainants[0].post(path, {"sha256": old["sha256"]}, 409)
    assert refused["code"] == "agreement-superseded"
    path = f"/v1/agreements/{new['id']}/signatures"
    refused = await story.complainants[0].post(path, {"sha256": old["sha256"]}, 409)
    assert refused["code"] == "text-changed"
    for who in story.everybody:
        await story.sign(who)
        assert (await story.sign(who, 409))["code"] == "already-signed"
    verified = await office.coordinator.get(f"/v1/agreements/{old['id']}/verification")
    assert (verified["text_intact"], verified["signatures_intact"], verified["superseded"]) == (True, True, True)
    await story.session("start", {})


async def test_a_resolution_is_signed_by_the_parties_alone_and_is_optional(in_session: Begun) -> None:
    story = in_session()
    terms = {
        "kind": "resolution",
        "languages": ["en"],
        "terms": "They will greet each other.",
    }
    await story.make_agreement(**terms)
    assert story.mediator is not None
    assert (await story.sign(story.mediator, 409))["code"] == "not-a-signer"
    await story.sign(story.complainants[0])
    await story.session("complete")
    await story.sign(story.officers[0])
    shown = await story.complainants[0].get(f"/v1/agreements/{story.agreement['id']}")
    assert shown["signed_at"] is not None
    assert "signatures" not in shown
    await story.close(agreement_reached=True)
    assert (await story.sign(story.officers[0], 409))["code"] == "case-closed"


async def test_agreements_are_made_only_when_it_is_time_for_them(
    office: Office, fork: Fork, in_each_state: Mapping[str, Begun]
) -> None:
    confidentiality = {"kind": "confidentiality", "languages": ["en"]}
    resolution = {"kind": "resolution", "languages": ["en"], "terms": "They will greet each other."}
    for state, begun in in_each_state.items():
        story = begun()
        for body, states in ((confidentiality, {"ready", "scheduled"}), (resolution, {"in_session", "concluded"})):
            async with fork():
                status = 201 if state in states else 409
                await office.coordinator.post(f"{story.path}/agreements", body, status)


# ── mediators ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def proposed(story: Story, mediator: Caller, status: int = 201) -> Answer:
    proposal = {"mediator_id": mediator.mediator_id}
    return await story.office.coordinator.post(f"{story.path}/assignments", proposal, status)


async def test_a_mediator_who_leaves_is_replaced_in_every_state_in_which_there_is_one(
    office: Office, fork: Fork, in_each_state: Mapping[str, Begun]
) -> None:
    after = {"confirming": "confirming", "asking": "asking", "ready": "ready", "scheduled": "ready"}
    after |= {"in_session": "ready", "concluded": ""}
    for state, begun in in_each_state.items():
        story = begun()
        if state == "screening":
            assert (await proposed(story, await office.mediator(), 409))["code"] == "state-conflict"
            continue
        async with fork():
            if story.mediator is None:
                await story.assign()
            assert story.mediator is not None
            assignment: Answer = (await story.case())["assignment"]  # type: ignore[assignment]
            path = f"/v1/assignments/{assignment['id']}/recuse"
            if not after[state]:
                assert (await story.mediator.post(path, None, 409))["code"] == "state-conflict"
                continue
            assert (await story.mediator.post(path, None, 200))["state"] == "recused"
            case = await story.case()
            assert (case["state"], case["assignment"], case["next_session"]) == (after[state], None, None)
            await story.mediator.get(story.path, 404)
            assert (await proposed(story, story.mediator, 409))["code"] == "mediator-conflicted"
            await proposed(story, await office.mediator())
            if state in {"scheduled", "in_session"}:
                ended = await office.coordinator.get(f"/v1/sessions/{story.session_id}")
                assert ended["state"] == ("adjourned" if state == "in_session" else "cancelled")


@pytest.mark.parametrize("conflict", sorted(NO_CONFLICT))
async def test_a_declared_conflict_ends_the_assignment_and_another_is_proposed(
    office: Office, conflict: str, ready: Begun
) -> None:
    story = ready()
    first = await office.mediator()
    proposal = await proposed(story, first)
    path = f"/v1/assignments/{proposal['id']}"
    answered = await first.post(f"{path}/accept", {**NO_CONFLICT, conflict: True}, 200)
    assert (answered["state"], answered["conflicts"]) == ("conflicted", [conflict])
    await first.get(story.path, 404)
    await first.post(f"{path}/accept", NO_CONFLICT, 404)
    refused = await office.coordinator.post(f"{story.path}/sessions", story.booking(), 409)
    assert codes(refused) == ["mediator-missing"]
    assert (await proposed(story, first, 409))["code"] == "mediator-conflicted"
    await story.assign()
    await story.schedule()


async def test_each_conflict_is_answered_for_itself(office: Office, ready: Begun) -> None:
    story = ready()
    mediator = await office.mediator()
    proposal = await proposed(story, mediator)
    for left_out in NO_CONFLICT:
        partial = {name: value for name, value in NO_CONFLICT.items() if name != left_out}
        await mediator.post(f"/v1/assignments/{proposal['id']}/accept", partial, 422)


async def test_who_has_not_answered_is_released_by_the_next_proposal(office: Office, ready: Begun) -> None:
    story = ready()
    slow, quick = await office.mediator(), await office.mediator()
    first = await proposed(story, slow)
    await proposed(story, quick)
    await slow.get(story.path, 404)
    assert (await slow.get(f"/v1/assignments/{first['id']}"))["state"] == "released"
    await slow.post(f"/v1/assignments/{first['id']}/accept", NO_CONFLICT, 404)
    # To be slow is no conflict: the slow one may be asked again.
    again = await proposed(story, slow)
    assert (await slow.post(f"/v1/assignments/{again['id']}/decline", None, 200))["state"] == "declined"
    await story.assign()
    assert (await proposed(story, quick, 409))["code"] == "mediator-assigned"


async def test_nobody_is_proposed_who_is_off_the_roster_or_was_never_on_it(office: Office, ready: Begun) -> None:
    story = ready()
    gone = await office.mediator(active=False)
    assert (await proposed(story, gone, 409))["code"] == "mediator-inactive"
    nobody = Caller(office, mediator_id=story.case_id)
    assert (await proposed(story, nobody, 422))["errors"][0]["code"] == "unknown-mediator"  # type: ignore[index]


async def test_a_mediator_is_not_booked_twice_at_one_time(office: Office, scheduled: Begun, ready: Begun) -> None:
    story = scheduled()
    mediator = story.mediator
    assert mediator is not None
    other = ready()
    proposal = await proposed(other, mediator)
    await mediator.post(f"/v1/assignments/{proposal['id']}/accept", NO_CONFLICT, 200)
    refused = await office.coordinator.post(f"{other.path}/sessions", other.booking(), 409)
    assert refused["code"] == "mediator-taken"
    assert await other.state() == "ready"
    await story.session("cancel")
    await other.schedule()


# ── the target, lapses, screening ──────────────────────────────────────────────────────────────────────────────────


async def test_a_pause_is_shown_counted_out_of_the_net_days_and_moves_no_target(office: Office, filed: Begun) -> None:
    story = filed()
    due_on = (await story.case())["target"]["due_on"]  # type: ignore[index]
    pause = {"reason": "leave", "starts_on": "2026-03-05", "ends_on": "2026-03-14"}
    await office.intake.post(f"{story.path}/pauses", pause)
    overlapping = {"reason": "court_date", "starts_on": "2026-03-13", "ends_on": "2026-03-16"}
    await office.intake.post(f"{story.path}/pauses", overlapping)
    story.office.clock.advance(days=20)
    target = await office.intake.get(f"{story.path}/target")
    assert (target["due_on"], target["raw_days"], target["net_days"]) == (due_on, 20, 8)
    assert (target["counted_on"], target["days_left"], target["working_days_left"]) == ("2026-03-22", 8, 6)
    pauses = target["pauses"]
    assert isinstance(pauses, list)
    assert [each["reason"] for each in pauses] == ["leave", "court_date"]
    listed = (await office.auditor.get(f"{story.path}/pauses"))["items"]
    assert [p["reason"] for p in listed] == ["leave", "court_date"]  # type: ignore[attr-defined]
    for wrong in ({"ends_on": "2026-03-04"}, {"ends_on": "2026-08-01"}, {"reason": "holiday"}):
        await office.intake.post(f"{story.path}/pauses", {**pause, **wrong}, 422)
    await story.complainants[0].get(f"{story.path}/pauses", 403)


async def test_pauses_are_listed_by_their_time_in_whichever_order_the_rows_lie(filed: Begun) -> None:
    story = filed()
    office = story.office
    for reason, day in (("leave", 5), ("court_date", 12)):
        pause = {"reason": reason, "starts_on": f"2026-03-{day:02}", "ends_on": f"2026-03-{day + 1:02}"}
        await office.intake.post(f"{story.path}/pauses", pause)
        office.clock.advance(minutes=-1)  # another host, whose clock is behind
    listed = (await office.auditor.get(f"{story.path}/pauses"))["items"]
    assert [p["reason"] for p in listed] == ["court_date", "leave"]  # type: ignore[attr-defined]


async def test_a_case_lapses_in_every_open_state_when_nobody_can_be_reached(office: Office, fork: Fork) -> None:
    story = await office.file(complainants=[{}, {}])
    lapse = {"reason": "unreachable"}
    async for state in story.open_states():
        if state == "in_session":
            refused = await office.coordinator.post(f"{story.path}/lapses", lapse, 409)
            assert refused["code"] == "state-conflict"
            continue
        await story.try_to_reach(*(who.party_id for who in story.complainants))
        async with fork():
            closed = await office.coordinator.post(f"{story.path}/lapses", lapse)
            assert (closed["state"], closed["lapse_reason"]) == ("lapsed", "unreachable")
            assert closed["next_session"] is None
            assert (await office.coordinator.post(f"{story.path}/lapses", lapse, 409))["code"] == "case-closed"
        one, other = ({**lapse, "party_id": who.party_id} for who in story.complainants)
        async with fork():
            assert (await office.coordinator.post(f"{story.path}/lapses", one))["state"] in {state, "asking", "ready"}
            assert (await office.coordinator.post(f"{story.path}/lapses", one, 409))["code"] == "party-left"
            assert (await office.coordinator.post(f"{story.path}/lapses", other))["state"] == "lapsed"
    await office.intake.post(f"{story.path}/lapses", lapse, 403)


async def test_the_lapse_of_the_last_unanswered_party_lets_the_case_go_on(
    office: Office, two_complainants_asked: Begun
) -> None:
    story = two_complainants_asked()
    await story.answer(story.complainants[0])
    await story.try_to_reach(story.complainants[1].party_id)
    lapse = {"reason": "unreachable", "party_id": story.complainants[1].party_id}
    assert (await office.coordinator.post(f"{story.path}/lapses", lapse))["state"] == "asking"


async def test_a_case_is_closed_as_mediated_only_after_a_session_was_completed(
    office: Office, fork: Fork, in_each_state: Mapping[str, Begun]
) -> None:
    for state, begun in in_each_state.items():
        story = begun()
        async with fork():
            status = 201 if state == "concluded" else 409
            await office.coordinator.post(f"{story.path}/closures", {"agreement_reached": False}, status)
    concluded = in_each_state["concluded"]()
    await office.intake.post(f"{concluded.path}/closures", {"agreement_reached": False}, 403)


async def test_a_case_without_a_party_on_each_side_goes_nowhere(office: Office) -> None:
    story = await office.file(officers=[])
    assert (await story.screen())["outcome"] == "needs_review"
    override = {"eligible": True, "reason": "He will be found."}
    refused = await office.director.post(f"{story.path}/screenings", override, 409)
    assert codes(refused) == ["officer-missing"]
    await add_officer(story)
    assert (await story.screen())["eligible"] is True
    assert await story.state() == "confirming"
    assert (await office.intake.post(f"{story.path}/screenings", {}, 409))["code"] == "state-conflict"


async def test_nothing_is_decided_any_more_in_a_closed_case(office: Office, signed: Begun) -> None:
    story = signed()
    await story.withdraw(story.complainants[0])
    assert story.mediator is not None
    path, session = story.path, f"/v1/sessions/{story.session_id}"
    pause = {"reason": "leave", "starts_on": "2026-03-05", "ends_on": "2026-03-14"}
    for target, body in (
        (f"{path}/screenings", {}),
        (f"{path}/sessions", story.booking()),
        (f"{path}/agreements", {"kind": "confidentiality", "languages": ["en"]}),
        (f"{path}/assignments", {"mediator_id": story.mediator.mediator_id}),
        (f"{path}/pauses", pause),
        (f"{path}/attendees", {"role": "support_person", "name": "A friend"}),
        (f"{path}/closures", {"agreement_reached": True}),
        (f"{path}/lapses", {"reason": "unreachable"}),
        (f"{path}/approvals", {"approver": "director", "approved": True}),
        (f"{session}/start", {}),
        (f"{session}/complete", None),
        (f"{session}/adjourn", None),
        (f"{session}/cancel", None),
        (f"{session}/reschedule", story.booking()),
    ):
        assert (await office.director.post(target, body, 409))["code"] == "case-closed", target
    await office.director.put(f"{path}/coordinator", {"coordinator": "coordinator.1"}, 409)
    assert (await story.session("end", status=409))["code"] == "case-closed"
    assert (await story.sign(story.officers[0], 409))["code"] == "case-closed"


async def test_what_is_missing_is_said_in_the_language_of_the_reader(office: Office, ready: Begun) -> None:
    story = ready()
    headers = {"Authorization": f"Bearer {office.coordinator.token}", "Accept-Language": "es"}
    told = await office.client.get(f"{story.path}/readiness", headers=headers)
    missing = {each["detail"] for each in told.json()["scheduling"]["missing"]}
    assert missing == {"Ningún mediador ha aceptado el caso."}
    assert (told.headers["Content-Language"], told.headers["Vary"]) == ("es", "Accept-Language")
