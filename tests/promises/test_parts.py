"""A part, one complainant and one officer, is mediated for who agreed, signed and was there, and for nobody else.

All other parts return to investigation by an event. The office sees it at once; parties and the integration that filed
see it once the case is ready or closed, and never why.
"""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from mediation_api.database.engine import Database
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain import parts as rules
from mediation_api.domain import sessions
from mediation_api.settings import Settings

TWO: list[dict[str, object]] = [{}, {}]


def seat(who: Caller) -> dict[str, str]:
    return {"role": "party", "id": who.party_id}


async def parts(of: Caller, path: str) -> dict[tuple[str, str], str]:
    """What somebody reads of the parts of a complaint or a case."""
    seen = await of.get(path)
    listed: list[dict[str, str]] = seen["parts"]  # type: ignore[assignment]
    return {(p["complainant_id"], p["officer_id"]): p["disposition"] for p in listed}


async def disposition(of: Caller, story: Story) -> str:
    return str((await of.get(f"/v1/complaints/{story.complaint_id}"))["disposition"])


async def status(of: Caller, story: Story) -> str:
    return str((await of.get(story.path))["state"])


async def events(story: Story, kind: str) -> list[tuple[str, str]]:
    """The pairs that the events of one kind name, in their order."""
    listed = await story.office.coordinator.get(f"{story.path}/timeline?limit=100")
    data: list[dict[str, str]] = [e["data"] for e in listed["items"] if e["kind"] == kind]  # type: ignore[attr-defined]
    return [(each["complainant_id"], each["officer_id"]) for each in data]


async def close(story: Story, *, agreement_reached: bool = False, status: int = 201) -> dict[str, object]:
    body = {"agreement_reached": agreement_reached}
    return await story.office.coordinator.post(f"{story.path}/closures", body, status)


async def hold_without(story: Story, *absent: Caller) -> None:
    """Schedule, sign and complete a session without some of those who are expected."""
    if story.mediator is None:
        await story.assign()
    await story.schedule()
    await story.make_agreement()
    for who in story.everybody:
        if who not in absent:
            await story.sign(who)
    await story.session("start", {"absent": [seat(who) for who in absent]})
    await story.session("complete")


# ── one of two leaves ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.drawn
@pytest.mark.parametrize("how", ["declines", "withdraws", "withdraws after the session"])
@pytest.mark.parametrize("side", ["complainants", "officers"])
async def test_whoever_leaves_goes_back_to_investigation_and_the_office_says_so(
    office: Office, side: str, how: str
) -> None:
    story = await office.file(
        complainants=[{}] * (1 + (side == "complainants")), officers=[{}] * (1 + (side == "officers"))
    )
    complainant, officer = story.complainants[0], story.officers[0]
    leaver = getattr(story, side)[1]
    pair = (leaver.party_id, officer.party_id) if side == "complainants" else (complainant.party_id, leaver.party_id)
    stays = (complainant.party_id, officer.party_id)
    await story.screen()
    for who in (*story.complainants, *story.officers):
        await story.answer(who, "declined" if how == "declines" and who is leaver else "agreed")
    if how == "withdraws":
        await story.withdraw(leaver)
    getattr(story, side).remove(leaver)
    if how == "withdraws after the session":
        getattr(story, side).append(leaver)
        await hold_without(story)
        await story.withdraw(leaver)
    else:
        await hold_without(story)
    await close(story)

    complaint = f"/v1/complaints/{story.complaint_id}"
    assert await disposition(office.intake, story) == "partly_mediated"
    assert await parts(office.intake, complaint) == {stays: "closed_mediated", pair: "returned_to_investigation"}
    assert await parts(office.coordinator, story.path) == await parts(office.intake, complaint)
    assert await events(story, "part.returned") == [pair]
    assert await events(story, "part.mediated") == [stays]
    assert await status(leaver, story) == "not_mediated"
    assert await parts(leaver, story.path) == {pair: "returned_to_investigation"}
    if side == "complainants":
        assert await disposition(leaver, story) == "returned_to_investigation"
        assert await disposition(complainant, story) == "closed_mediated"
        assert await parts(complainant, complaint) == {stays: "closed_mediated"}
        assert await parts(officer, story.path) == {stays: "closed_mediated", pair: "returned_to_investigation"}
    else:
        assert await disposition(complainant, story) == "partly_mediated"
        assert await parts(officer, story.path) == {stays: "closed_mediated"}


async def test_the_office_sees_at_once_that_a_part_went_back_and_nobody_else_before_the_case_is_ready(
    office: Office,
) -> None:
    """And never why: of a refusal and a withdrawal everybody else reads the same."""
    read: list[list[object]] = []
    for how in ("declined", "withdrawn", "nothing"):
        story = await office.file(officers=TWO)
        complaint = f"/v1/complaints/{story.complaint_id}"
        await story.to_asking()
        leaver, stays = story.officers
        if how == "declined":
            await story.answer(leaver, "declined")
        if how == "withdrawn":
            await story.withdraw(leaver)
        back = (story.complainants[0].party_id, leaver.party_id)
        seen = await parts(office.coordinator, complaint)
        assert seen[back] == ("in_mediation" if how == "nothing" else "returned_to_investigation")
        assert await parts(office.director, story.path) == seen
        read.append(
            [
                await disposition(story.complainants[0], story),
                list((await parts(story.complainants[0], complaint)).values()),
                list((await parts(story.complainants[0], story.path)).values()),
                list((await parts(stays, story.path)).values()),
                await status(stays, story),
            ]
        )
    assert read[0] == read[1] == read[2] == ["in_mediation", [], [], [], "pending"]


async def test_an_integration_reads_the_parts_of_what_it_filed_and_not_before_ready(office: Office) -> None:
    people = [
        {"side": "complainant", "name": "Rosa Alvarez"},
        {"side": "officer", "name": "Dale Kim", "employee_number": "PX-1"},
        {"side": "officer", "name": "Sam Lee", "employee_number": "PX-2"},
    ]
    body = {
        "narrative": "He shouted.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": True,
        "parties": people,
        "intake": {
            "crime_alleged": False,
            "serious_injury": False,
            "litigation_pending": False,
            "officer_is_witness": False,
        },
    }
    filed = await office.integration.post("/v1/complaints", body)
    complaint = f"/v1/complaints/{filed['id']}"
    story = Story(office, str(filed["id"]), str(filed["case_id"]), str(filed["reference"]))
    listed = await office.intake.get(f"{complaint}/parties")
    ids = {p["employee_number"]: p["id"] for p in listed["items"]}  # type: ignore[attr-defined]
    given = await office.intake.post(f"/v1/parties/{ids[None]}/access-codes")
    story.complainants = [office.complainant(ids[None], str(given["access_code"]))]
    for number in ("PX-1", "PX-2"):
        officer = office.caller("officer", f"officer-{number}", number)  # type: ignore[arg-type]
        officer.party_id = ids[number]
        story.officers.append(officer)
    await story.to_asking()
    pairs = [(ids[None], ids["PX-1"]), (ids[None], ids["PX-2"])]
    await story.answer(story.officers[1], "declined")
    assert await parts(office.integration, complaint) == dict.fromkeys(pairs, "in_mediation")
    assert await disposition(office.integration, story) == "in_mediation"
    await story.answer(story.officers[0])
    after = {pairs[0]: "in_mediation", pairs[1]: "returned_to_investigation"}
    assert await parts(office.integration, complaint) == after
    story.officers.pop()
    await hold_without(story)
    await close(story)
    assert await disposition(office.integration, story) == "partly_mediated"


# ── who was not there ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_is_active_signs_and_is_there_or_is_marked_absent(office: Office) -> None:
    story = await office.file(complainants=TWO)
    here, away = story.complainants
    await story.to_scheduled()
    await story.make_agreement()
    for who in story.everybody:
        if who is not away:
            await story.sign(who)
    refused = await story.session("start", {}, 409)
    missing: list[dict[str, object]] = refused["missing"]  # type: ignore[assignment]
    assert [(m["code"], m["subject_id"]) for m in missing] == [("signature-missing", away.party_id)]
    started = await story.session("start", {"absent": [seat(away)]})
    attendance: list[dict[str, object]] = started["attendance"]  # type: ignore[assignment]
    assert {a["id"]: a["present"] for a in attendance if a["role"] == "party"} == {
        here.party_id: True,
        away.party_id: False,
        story.officers[0].party_id: True,
    }


async def test_whoever_was_absent_is_not_mediated_and_may_ask_again(office: Office) -> None:
    """And sees nothing of what those shared who were there: neither them nor their session."""
    story = await office.file(complainants=TWO)
    here, away = story.complainants
    officer = story.officers[0]
    await story.to_ready()
    await hold_without(story, away)
    await close(story)

    complaint = f"/v1/complaints/{story.complaint_id}"
    assert (await disposition(here, story), await disposition(away, story)) == (
        "closed_mediated",
        "returned_to_investigation",
    )
    assert await disposition(office.intake, story) == "partly_mediated"
    seen = await away.get(story.path)
    assert (seen["state"], seen["others"], seen["mediator_name"], seen["next_session"]) == (
        "not_mediated",
        [],
        None,
        None,
    )
    assert (await away.get(f"/v1/sessions?case_id={story.case_id}"))["items"] == []
    assert (await away.get(f"{story.path}/agreements"))["items"] == []

    done = await here.post(f"{complaint}/mediation-requests", None, 409)
    assert done["code"] == "complaint-closed"
    again = await away.post(f"{complaint}/mediation-requests")
    next_case = f"/v1/cases/{again['id']}"
    assert (await here.send("GET", next_case)).status_code == 404
    assert (await here.get(complaint))["case_ids"] == [story.case_id]
    assert (await here.post(f"{complaint}/mediation-requests", None, 409))["code"] == "complaint-closed"
    assert await parts(office.coordinator, next_case) == {(away.party_id, officer.party_id): "in_mediation"}
    assert await disposition(away, story) == "in_mediation"
    assert await disposition(here, story) == "closed_mediated"

    second = story.copy()
    second.case_id, second.complainants, second.mediator = str(again["id"]), [away], None
    await second.to_ready()
    await hold_without(second)
    await close(second)
    assert await disposition(office.intake, story) == "closed_mediated"
    assert (await office.intake.post(f"{complaint}/mediation-requests", None, 409))["code"] == "complaint-closed"


async def test_whoever_was_absent_is_offered_another_session_of_the_same_case(office: Office) -> None:
    story = await office.file(complainants=TWO)
    here, away = story.complainants
    await story.to_ready()
    await hold_without(story, away)
    assert await story.state() == "concluded"
    covered: list[dict[str, object]] = (await story.case())["parts"]  # type: ignore[assignment]
    assert {p["complainant_id"]: p["session_completed"] for p in covered} == {
        here.party_id: True,
        away.party_id: False,
    }

    story.office.clock.advance(days=4)
    await story.schedule()
    await office.coordinator.post(f"/v1/sessions/{story.session_id}/cancel", None, 200)
    assert await story.state() == "concluded"
    await story.schedule()
    for who in (away,):
        await story.sign(who)
    await story.session("start", {"absent": [seat(here)]})
    await story.session("complete")
    await office.coordinator.post(f"{story.path}/sessions", story.booking(), 409)
    await close(story)
    assert await disposition(office.intake, story) == "closed_mediated"


async def test_a_concluded_case_whose_covered_parts_went_back_is_ready_again(office: Office) -> None:
    story = await office.file(complainants=TWO)
    here, away = story.complainants
    await story.to_ready()
    await hold_without(story, away)
    await story.withdraw(here)
    assert await story.state() == "ready"
    refused = await close(story, status=409)
    missing: list[dict[str, object]] = refused["missing"]  # type: ignore[assignment]
    assert [m["code"] for m in missing] == ["completed-session-missing"]
    readiness = await office.coordinator.get(f"{story.path}/readiness")
    assert readiness["closing"] == {"open": False, "missing": missing}


# ── an agreement, and the target ───────────────────────────────────────────────────────────────────────────────────


async def test_whether_an_agreement_was_reached_is_what_the_signatures_say(office: Office) -> None:
    story = await office.file(officers=TWO)
    complainant, (signs, abstains) = story.complainants[0], story.officers
    await story.to_concluded()
    refused = await close(story, agreement_reached=True, status=409)
    assert [m["code"] for m in refused["missing"]] == ["resolution-missing"]  # type: ignore[attr-defined]
    await story.make_agreement(kind="resolution", terms="Both sides talked, and shook hands.")
    await story.sign(complainant)
    refused = await close(story, agreement_reached=True, status=409)
    unsigned: list[dict[str, str]] = refused["missing"]  # type: ignore[assignment]
    assert {(m["code"], m["subject_id"]) for m in unsigned} == {
        ("resolution-unsigned", signs.party_id),
        ("resolution-unsigned", abstains.party_id),
    }
    await story.sign(signs)
    refused = await close(story, agreement_reached=False, status=409)
    assert refused["code"] == "agreement-reached"
    body = {"kind": "resolution", "languages": ["en"], "terms": "Something else."}
    replaced = await office.coordinator.post(f"{story.path}/agreements", body, 409)
    assert replaced["code"] == "agreement-reached"
    closed = await close(story, agreement_reached=True)
    assert closed["agreement_reached"] is True
    listed: list[dict[str, object]] = closed["parts"]  # type: ignore[assignment]
    assert {p["officer_id"]: p["agreement_reached"] for p in listed} == {signs.party_id: True, abstains.party_id: False}


async def test_only_what_was_mediated_met_or_missed_its_target(office: Office) -> None:
    for late in (False, True):
        mediated = await (await office.file()).to_concluded()
        ended = await office.file()
        mediated.office.clock.advance(days=40 if late else 1)
        await close(mediated)
        await ended.withdraw(ended.complainants[0])
        pace = "missed" if late else "met"
        assert (await mediated.case())["target"]["pace"] == pace  # type: ignore[index]
        assert (await ended.case())["target"]["pace"] is None  # type: ignore[index]
        listed = await office.coordinator.get(f"/v1/cases?pace={pace}")
        ids = {case["id"] for case in listed["items"]}  # type: ignore[attr-defined]
        assert mediated.case_id in ids
        assert ended.case_id not in ids
        complaints = await office.coordinator.get(f"/v1/complaints?pace={pace}")
        found = {complaint["id"] for complaint in complaints["items"]}  # type: ignore[attr-defined]
        assert mediated.complaint_id in found
        assert ended.complaint_id not in found


# ── the database behind it ─────────────────────────────────────────────────────────────────────────────────────────

UPDATES: dict[str, tuple[str, tuple[str, ...]]] = {
    "a part is mediated without a completed session": (
        "ready",
        ("UPDATE parts SET disposition = 'closed_mediated', agreement_reached = false WHERE case_id = :case",),
    ),
    "an agreement is said to be reached that nobody signed": (
        "concluded",
        ("UPDATE parts SET disposition = 'closed_mediated', agreement_reached = true WHERE case_id = :case",),
    ),
    "a case closes with an open part": (
        "concluded",
        (
            (
                "UPDATE cases SET state = 'mediated', closed_at = now(), closed_version = version, "
                "agreement_reached = false WHERE id = :case"
            ),
        ),
    ),
    "a case is mediated of which no part is": (
        "ready",
        (
            "UPDATE parts SET disposition = 'returned_to_investigation' WHERE case_id = :case",
            (
                "UPDATE cases SET state = 'mediated', closed_at = now(), closed_version = version, "
                "agreement_reached = false WHERE id = :case"
            ),
        ),
    ),
    "somebody leaves and the part stays open": (
        "ready",
        (
            (
                "UPDATE participants SET standing = 'withdrawn', left_at = now(), left_version = 99 "
                "WHERE case_id = :case AND side = 'officer'"
            ),
        ),
    ),
    "a part that went back is opened again": (
        "ready",
        (
            "UPDATE parts SET disposition = 'returned_to_investigation' WHERE case_id = :case",
            "UPDATE parts SET disposition = 'in_mediation' WHERE case_id = :case",
        ),
    ),
    "somebody is present who never signed": (
        "scheduled",
        (
            (
                "INSERT INTO attendances SELECT s.id, 'party', p.party_id, true FROM sessions s "
                "JOIN participants p USING (case_id) WHERE s.case_id = :case"
            ),
        ),
    ),
    "a resolution that both signed is replaced": (
        "resolved",
        (
            (
                "UPDATE agreements SET superseded_at = now(), superseded_version = 99 "
                "WHERE case_id = :case AND kind = 'resolution'"
            ),
        ),
    ),
}
"""What goes against the rules, and in which state of a case; the last statement is the one that does."""


async def brought_to(office: Office, state: str) -> Story:
    story = await office.file()
    if state == "resolved":
        await story.to_concluded()
        await story.sign_resolution()
    else:
        await getattr(story, f"to_{state}")()
    return story


@pytest.mark.drawn
@pytest.mark.parametrize("what", UPDATES)
async def test_the_database_refuses_what_goes_against_the_rules(office: Office, database: Database, what: str) -> None:
    state, (*before, wrong) = UPDATES[what]
    story = await brought_to(office, state)
    async with database.transaction() as connection:
        savepoint = await connection.begin_nested()
        for statement in before:
            await connection.execute(text(statement), {"case": story.case_id})
        with pytest.raises(IntegrityError):
            await connection.execute(text(wrong), {"case": story.case_id})
        await savepoint.rollback()


@pytest.mark.drawn
async def test_without_the_triggers_the_database_would_take_all_of_it(
    committed_office: Office, committed: Settings, as_owner: Callable[[Settings], Settings]
) -> None:
    owner, service = Database.of(as_owner(committed)), Database.of(committed)
    stories = {state: await brought_to(committed_office, state) for state, _ in UPDATES.values()}
    async with owner.transaction() as connection:
        for table in ("agreements", "attendances", "cases", "participants", "parts"):
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    for state, statements in UPDATES.values():
        async with service.transaction() as connection:
            for statement in statements:
                done = await connection.execute(text(statement), {"case": stories[state].case_id})
                assert done.rowcount > 0
            await connection.rollback()
    await owner.close()
    await service.close()


async def test_a_command_that_forgets_the_parts_is_refused_by_the_database(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = await (await office.file(officers=TWO)).to_ready()
    monkeypatch.setattr(rules, "returned", lambda *_: ())
    answer = await story.officers[0].send("POST", f"{story.path}/withdrawals")
    assert answer.status_code == 500


async def test_a_gate_that_forgets_a_signature_is_held_by_the_database(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = await (await office.file(complainants=TWO)).to_scheduled()
    await story.make_agreement()
    monkeypatch.setattr(sessions, "missing_to_start", lambda *_: ())
    assert story.mediator is not None
    answer = await story.mediator.send("POST", f"/v1/sessions/{story.session_id}/start", {})
    assert answer.status_code == 500
