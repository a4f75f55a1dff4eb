"""Who sees what: the exact fields of every representation, and nothing of the other side in any answer.

Every personal field that the office keeps is filled with a word of its own. Everybody then asks everything, in every
state, and no word turns up where it does not belong.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final
from uuid import uuid4

import httpx
from tests.office.snapshots import read
from tests.scenarios.conftest import Begun, Fork, once, to

from mediation_api.dev.office import NO_CONFLICT, Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.main import OPERATIONS

NOBODY = "00000000-0000-4000-8000-000000000000"

# ── the exact fields ───────────────────────────────────────────────────────────────────────────────────────────────

AUDIENCES = {
    "coordinator": "office",
    "director": "office",
    "intake": "office",
    "auditor": "office",
    "mediator": "mediator",
    "complainant": "party",
    "officer": "party",
}


def nested(value: object) -> Iterator[Mapping[str, object]]:
    """The object, or the objects of a list."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield each


class Fields:
    """The fields of each representation, and of what is nested in it; no two answers of one differ."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def take(self, representation: str, answer: Mapping[str, object]) -> None:
        fields = " ".join(sorted(answer))
        assert self.found.setdefault(representation, fields) == fields, representation
        for name, value in answer.items():
            for each in nested(value) if name != "data" else ():  # of events, whose data is of their kind
                self.take(f"{representation} {name}", each)

    def take_for(self, audience: str, representation: str, answer: Mapping[str, object]) -> None:
        assert answer["audience"] == audience
        self.take(f"{representation} {audience}", answer)

    def take_first(self, representation: str, listed: Answer) -> None:
        items: list[Answer] = listed["items"]  # type: ignore[assignment]
        self.take(representation, items[0])


async def _take_what_staff_record(story: Story, fields: Fields) -> None:
    office = story.office
    assert story.mediator is not None
    await story.try_to_reach(story.officers[0].party_id)
    fields.take_first("contact attempt", await office.coordinator.get(f"{story.path}/contact-attempts"))
    report = f"/v1/mandatory-reports/{await story.report(story.mediator)}"
    fields.take("mandatory report", await office.director.get(report))
    fields.take_first("mandatory report access log", await office.director.get(f"{report}/access-log"))
    fields.take("withdrawal", await story.withdraw(story.officers[0]))


async def test_every_audience_gets_exactly_its_fields(office: Office, snapshot: Callable[..., None]) -> None:
    fields = Fields()
    guardian = {"name": "Ines Alvarez", "relation": "parent"}
    story = await office.file(complainants=[{"minor": True, "guardian": guardian}])
    await story.screen()
    await story.guardian_agrees(story.complainants[0])
    await story.answer(story.complainants[0])
    await story.answer(story.officers[0])
    await story.assign()
    await story.schedule()
    await story.sign_all()
    await story.sign_on_paper("guardian", story.complainants[0].party_id)
    await story.session("start", {})
    assert story.mediator is not None
    asking = {
        "coordinator": office.coordinator,
        "director": office.director,
        "intake": office.intake,
        "auditor": office.auditor,
        "mediator": story.mediator,
        "complainant": story.complainants[0],
        "officer": story.officers[0],
    }
    session, agreement = f"/v1/sessions/{story.session_id}", f"/v1/agreements/{story.agreement['id']}"
    complaint = f"/v1/complaints/{story.complaint_id}"
    for name, who in asking.items():
        audience = AUDIENCES[name]
        party, staff = audience == "party", audience == "office"
        case = await who.get(story.path)
        fields.take_for(audience, "case", case)
        assert case["next_session"] is not None
        assert case in (await who.get("/v1/cases"))["items"]  # type: ignore[operator]
        shown = await who.get(session)
        fields.take_for(audience, "session", shown)
        assert (await who.get(f"/v1/sessions?case_id={story.case_id}"))["items"] == [shown]
        fields.take_for(audience, "readiness", await who.get(f"{story.path}/readiness"))
        events: list[Answer] = (await who.get(f"{story.path}/timeline?limit=100"))["items"]  # type: ignore[assignment]
        for event in events:
            fields.take_for(audience, "event", event)
            assert staff or event["party_id"] in {None, who.party_id}
        if name not in {"intake", "auditor"}:
            text = await who.get(agreement)
            fields.take_for(audience, "agreement", text)
            assert (await who.get(f"{story.path}/agreements"))["items"] == [text]
        if not party and name != "intake":
            fields.take("verification", await who.get(f"{agreement}/verification"))
        if party:
            fields.take("party", await who.get(f"/v1/parties/{who.party_id}"))
            answers: list[Answer] = (await who.get(f"{story.path}/consents"))["items"]  # type: ignore[assignment]
            assert [answer["party_id"] for answer in answers] == [who.party_id]
            fields.take("consent", answers[0])
    fields.take_for("office", "complaint", await office.intake.get(complaint))
    await office.auditor.get(complaint, 403)  # the audit trail is theirs, the narrative is not
    outline = await story.complainants[0].get(complaint)
    fields.take_for("party", "complaint", outline)
    assert (await story.complainants[0].get("/v1/complaints"))["items"] == [outline]
    own = await story.complainants[0].get(f"/v1/parties/{story.complainants[0].party_id}")
    assert (await story.complainants[0].get(f"{complaint}/parties"))["items"] == [own]
    await _take_what_staff_record(story, fields)
    snapshot("fields-per-audience", fields.found)


async def test_an_integration_reads_the_outline_of_what_it_filed_and_nothing_else(office: Office) -> None:
    body = {
        "narrative": "Words.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": True,
        "external_reference": "CRM-77",
        "parties": [{"side": "complainant", "name": "Rosa Alvarez"}],
    }
    filed = await office.integration.post("/v1/complaints", body)
    other = await office.file()
    path = f"/v1/complaints/{filed['id']}"
    shown = await office.integration.get(path)
    assert shown["audience"] == "integration"
    assert " ".join(sorted(shown)) == read("fields-per-audience")["complaint party"]
    assert (await office.integration.get("/v1/complaints"))["items"] == [shown]
    assert shown["external_reference"] == "CRM-77"
    await office.integration.get(f"/v1/complaints/{other.complaint_id}", 404)
    await office.caller(Role.INTEGRATION, "another-system").get(path, 404)
    assert (await office.integration.post("/v1/complaints", body, 409))["code"] == "external-reference-taken"
    await office.caller(Role.INTEGRATION, "another-system").post("/v1/complaints", body)
    for case_path in (f"/v1/cases/{filed['case_id']}", "/v1/cases", f"{path}/parties"):
        await office.integration.get(case_path, 403)


async def test_the_first_answer_to_a_complaint_shows_codes_and_no_person(office: Office) -> None:
    person = {"side": "complainant", "name": "Rosa Alvarez", "phone": "+1 503 555 0100"}
    body = {"narrative": "Words.", "allegations": ["discourtesy"], "interested_in_mediation": True, "parties": [person]}
    filed = await office.public.post("/v1/complaints", body)
    assert set(filed) == {"id", "reference", "case_id", "access_codes"}
    codes: list[Answer] = filed["access_codes"]  # type: ignore[assignment]
    assert [set(code) for code in codes] == [{"party_id", "access_code"}]


# ── words that must not travel ─────────────────────────────────────────────────────────────────────────────────────


def person(mark: str, number: str) -> dict[str, object]:
    """Somebody whose every field holds a word of its own."""
    return {
        "name": f"Name-{mark}",
        "phone": f"+1 503 555 {number}",
        "email": f"mail-{mark}@example.org",
        "postal_address": f"Street-{mark}",
        "safe_contact": f"Safe-{mark}",
        "accommodations": f"Aids-{mark}",
        "language": "es",
    }


def words(mark: str, number: str, *extra: str) -> set[str]:
    """The words of that person, its name aside."""
    return {f"555 {number}", f"mail-{mark}", f"Street-{mark}", f"Safe-{mark}", f"Aids-{mark}", *extra}


async def marked(office: Office) -> Story:
    """A case of two on each side, with a word of its own in every personal field."""
    guardian = {
        "name": "Guardian-g",
        "relation": "Relation-g",
        "phone": "+1 503 555 0999",
        "email": "mail-g@example.org",
    }
    return await office.file(
        complainants=[
            {**person("ca", "0101"), "minor": True, "guardian": guardian, "interpreter_language": "es"},
            person("cb", "0102"),
        ],
        officers=[
            {**person("oa", "0201"), "employee_number": "EMP-OA", "unit": "Unit-oa"},
            {**person("ob", "0202"), "employee_number": "EMP-OB", "unit": "Unit-ob"},
        ],
        narrative="Narrative-n of the complaint.",
        incident_place="Place-n",
        precinct="Precinct-n",
    )


GUARDIAN = {"Guardian-g", "Relation-g", "555 0999", "mail-g"}
STORY = {"Narrative-n", "Place-n", "Precinct-n"}
PEOPLE = {
    "ca": words("ca", "0101") | GUARDIAN,
    "cb": words("cb", "0102"),
    "oa": words("oa", "0201", "EMP-OA", "Unit-oa"),
    "ob": words("ob", "0202", "EMP-OB", "Unit-ob"),
}
NAMES = {"ca": "Name-ca", "cb": "Name-cb", "oa": "Name-oa", "ob": "Name-ob"}
FOR_THE_MEDIATOR = {"555 ", "mail-c", "mail-o", "Safe-", "Aids-"}
"""What a mediator is told once the case is accepted: how to reach people, and what they need."""


async def all_that_it_gets(who: Caller, story: Story) -> str:
    """Every answer to all that its role may ask, headers and what is not found included, as one text.

    What a role may not ask at all is refused before anything is read (tests/routers/test_matrix.py).
    """
    complaint, session = f"/v1/complaints/{story.complaint_id}", f"/v1/sessions/{story.session_id}"
    agreement = f"/v1/agreements/{story.agreement.get('id')}"
    pages = [("getCase", story.path), ("listTimelineEvents", f"{story.path}/timeline?limit=100")]
    pages += [("getReadiness", f"{story.path}/readiness")]
    parts = ("consents", "withdrawals", "agreements", "attendees", "screenings", "pauses")
    pages += [(f"list{part.title()}", f"{story.path}/{part}") for part in parts]
    lists = ("cases", "complaints", "sessions", "assignments", "mediators")
    pages += [(f"list{of.title()}", f"/v1/{of}") for of in lists]
    pages += [("getComplaint", complaint), ("listParties", f"{complaint}/parties")]
    pages += [("getSession", session)] * bool(story.session_id)
    pages += [("getAgreement", agreement), ("verifyAgreement", f"{agreement}/verification")] * bool(story.agreement)
    pages += [("getParty", f"/v1/parties/{p.party_id}") for p in (*story.complainants, *story.officers)]
    role = Role.COMPLAINANT if who.identity is None else who.identity[0]
    return text_of([await who.send("GET", path) for operation, path in pages if role in OPERATIONS[operation].access])


async def all_that_it_is_refused(who: Caller, story: Story) -> str:
    """The answers to what somebody may not do, or not in this way, as one text."""
    refused: list[tuple[str, object]] = [
        (f"{story.path}/consents", {"decision": "agreed", "disclosure_sha256": "0" * 64, "party_id": NOBODY}),
        (f"/v1/sessions/{story.session_id}/reschedule", {}),
        (
            f"/v1/complaints/{story.complaint_id}/parties",
            {"side": "officer", "name": "X", "employee_number": "EMP-OA", "unit": 1},
        ),
        (
            f"/v1/agreements/{story.agreement['id']}/signatures",
            {"sha256": "0" * 64, "signer": {"role": "party", "id": NOBODY}},
        ),
    ]
    return text_of([await who.send("POST", path, body) for path, body in refused])


def text_of(answers: list[httpx.Response]) -> str:
    assert all(answer.status_code < 500 for answer in answers)
    return "\n".join(f"{answer.headers}\n{answer.text}" for answer in answers)


def found(forbidden: set[str], text: str) -> set[str]:
    return {word for word in forbidden if word in text}


async def test_no_personal_word_of_another_reaches_a_party_in_any_state(office: Office) -> None:
    story = await marked(office)
    parties = dict(zip(PEOPLE, (*story.complainants, *story.officers), strict=True))
    together = {"ready", "scheduled", "in_session", "concluded", "mediated"}

    async def check(state: str, *marks: str) -> None:
        for mark in marks or PEOPLE:
            who = parties[mark]
            text = await all_that_it_gets(who, story)
            others = set().union(*(PEOPLE[other] for other in PEOPLE if other != mark)) | STORY
            assert found(others, text) == set(), (state, mark)
            # And the check can see: its own words are there, once it may read anything at all.
            if mark.startswith("c") or state not in {"screening", "confirming"}:
                assert found(PEOPLE[mark], text) == PEOPLE[mark], (state, mark)
            names = {NAMES[other] for other in NAMES if other != mark}
            assert found(names, text) == (names if state in together else set()), (state, mark)
            if state == "scheduled":  # there is all that one could be refused
                assert found(others, await all_that_it_is_refused(who, story)) == set(), mark

    await check("screening", "ca", "oa")
    await story.screen()
    await check("confirming", "ca", "oa")
    await story.guardian_agrees(story.complainants[0])
    await story.answer(story.complainants[0])
    await story.answer(story.complainants[1])
    await check("asking")
    for officer in story.officers:
        await story.answer(officer)
    await check("ready")
    await story.assign()
    await story.schedule()
    entry = {"role": "interpreter", "name": "Jo Park", "language": "es", "qualified": True}
    interpreter_id = await story.expect(**entry)
    await story.confirm(interpreter_id)
    await story.sign_all()
    await story.sign_on_paper("guardian", story.complainants[0].party_id)
    await story.sign_on_paper("interpreter", interpreter_id)
    await check("scheduled")
    await story.session("start", {})
    await check("in_session", "ca", "oa")
    await story.session("complete")
    await check("concluded", "ca", "oa")
    await story.close()
    await check("mediated")


async def test_a_mediator_is_told_how_to_reach_people_only_after_accepting(office: Office) -> None:
    story = await (await marked(office)).to_confirming()
    everything = set().union(*PEOPLE.values()) | STORY
    mediator = await office.mediator()
    other = await office.mediator()
    assert found(everything, await all_that_it_gets(mediator, story)) == set()
    await story.propose(mediator)
    text = await all_that_it_gets(mediator, story)
    assert found(everything, text) == set()
    assert found(set(NAMES.values()), text) == set(NAMES.values())  # to know a conflict by
    summary = await mediator.get(story.path)
    for each in nested(summary["participants"]):
        assert {each[name] for name in ("phone", "email", "safe_contact", "accommodations")} == {None}
    await story.accept()
    text = await all_that_it_gets(mediator, story)
    told = {word for word in everything if word.startswith(tuple(FOR_THE_MEDIATOR))} - GUARDIAN
    assert found(everything, text) == told
    assert found(everything | set(NAMES.values()), await all_that_it_gets(other, story)) == set()


async def test_a_mediator_who_is_no_longer_assigned_has_no_access_left(office: Office, fork: Fork) -> None:
    story = await (await marked(office)).to_confirming()
    everything = set().union(*PEOPLE.values()) | STORY | set(NAMES.values())
    mediator = await office.mediator()
    proposed = await story.propose(mediator)
    answer = f"/v1/assignments/{proposed['id']}"

    async def declines() -> None:
        await mediator.post(f"{answer}/decline", None, 200)

    async def declares_a_conflict() -> None:
        await mediator.post(f"{answer}/accept", {**NO_CONFLICT, "has_an_interest": True}, 200)

    async def leaves() -> None:
        await mediator.post(f"{answer}/accept", NO_CONFLICT, 200)
        await mediator.post(f"{answer}/recuse", None, 200)

    async def is_taken_off() -> None:
        await mediator.post(f"{answer}/accept", NO_CONFLICT, 200)
        await office.coordinator.post(f"{answer}/recuse", None, 200)

    async def is_released() -> None:
        another = {"mediator_id": (await office.mediator()).mediator_id}
        await office.coordinator.post(f"{story.path}/assignments", another)

    for way in (declines, declares_a_conflict, leaves, is_taken_off, is_released):
        async with fork():
            await way()
            assert found(everything, await all_that_it_gets(mediator, story)) == set(), way.__name__
            await mediator.get(story.path, 404)
            assert (await mediator.get("/v1/cases"))["items"] == []
            said = {"party_id": story.complainants[0].party_id, "channel": "phone"}
            await mediator.post(f"{story.path}/withdrawals", said, 404)
            await mediator.post(f"{story.path}/sessions", story.booking(), 404)


async def test_a_former_mediator_loses_the_session_and_the_texts_too(office: Office, signed: Begun) -> None:
    story = signed()
    assert story.mediator is not None
    assignment: Answer = (await story.case())["assignment"]  # type: ignore[assignment]
    await office.director.post(f"/v1/assignments/{assignment['id']}/recuse", None, 200)
    for path in (f"/v1/sessions/{story.session_id}", f"/v1/agreements/{story.agreement['id']}"):
        await story.mediator.get(path, 404)
    for verb in ("start", "end", "cancel", "adjourn", "complete"):
        await story.session(verb, {} if verb == "start" else None, 404)
    await story.sign(story.mediator, 404)


async def test_the_timeline_of_the_office_holds_no_personal_word(office: Office) -> None:
    """It is the record that is read widely, and kept longest: names of fields and no values."""
    story = await (await marked(office)).to_confirming()
    await office.intake.patch(f"/v1/parties/{story.complainants[0].party_id}", {"phone": "+1 503 555 0333"})
    await office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"narrative": "Narrative-m"})
    text = (await office.auditor.send("GET", f"{story.path}/timeline?limit=100")).text
    everything = set().union(*PEOPLE.values()) | STORY | set(NAMES.values()) | {"555 0333", "Narrative-m"}
    assert found(everything, text) == set()
    assert '"changed":["phone"]' in text


# ── what one may not know of ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_officer_finds_nothing_before_being_asked(office: Office) -> None:
    story = await (await office.file(officers=[{}, {}])).to_confirming()
    for officer in story.officers:
        for path in (
            story.path,
            *(f"{story.path}/{part}" for part in ("timeline", "readiness", "consents", "withdrawals", "agreements")),
            f"/v1/parties/{officer.party_id}",
        ):
            await officer.get(path, 404)
        for path in ("/v1/cases", "/v1/sessions", f"/v1/cases?complaint_id={story.complaint_id}"):
            assert (await officer.get(path))["items"] == []
        await story.answer(officer, status=404)
        await story.withdraw(officer, 404)
        await officer.patch(f"/v1/parties/{officer.party_id}", {"phone": "+1 503 555 0100"}, 404)
    await story.answer(story.complainants[0])
    for officer in story.officers:
        assert (await officer.get(story.path))["state"] == "pending"


async def test_an_officers_token_opens_only_the_party_of_its_employee_number(office: Office, asking: Begun) -> None:
    story = asking()
    number = story.officers[0].identity[2] if story.officers[0].identity else None
    assert number is not None
    for pretender in (
        office.caller(Role.OFFICER, f"officer-{number}", "someone-else"),
        office.caller(Role.OFFICER, "officer-x", number.upper() + "x"),
        office.caller(Role.MEDIATOR, f"officer-{number}"),
    ):
        await pretender.get(story.path, 404)
    colleague = office.caller(Role.OFFICER, "another-login-of-the-same-officer", number)
    assert (await colleague.get(story.path))["you"]["party_id"] == story.officers[0].party_id  # type: ignore[index]


def comparable(response: httpx.Response) -> object:
    """A refusal but for the request's own id, and what is left of the caller's quota."""
    document = json.loads(response.text)
    request_id = document.pop("request_id")
    assert document.pop("instance") == f"/requests/{request_id}"
    headers = {name: value for name, value in response.headers.items() if name not in {"x-request-id", "ratelimit"}}
    return response.status_code, headers, document


another_signed = once(lambda office: to(office, Story.to_signed))


async def test_what_is_foreign_is_answered_as_what_does_not_exist(
    office: Office, signed: Begun, another_signed: Begun
) -> None:
    mine, theirs = signed(), another_signed()
    theirs_assignment: Answer = (await theirs.case())["assignment"]  # type: ignore[assignment]
    attendee = {"role": "support_person", "name": "A friend"}
    theirs_attendee = await office.intake.post(f"{theirs.path}/attendees", attendee)
    assert mine.mediator is not None
    assert theirs.mediator is not None
    shown = await office.shown_disclosure()
    consent = {"decision": "agreed", "disclosure_sha256": shown}
    signature = {"sha256": theirs.agreement["sha256"]}
    asked: list[tuple[str, str, str, object]] = [
        ("GET", "/v1/complaints/{}", theirs.complaint_id, None),
        ("GET", "/v1/complaints/{}/parties", theirs.complaint_id, None),
        ("POST", "/v1/complaints/{}/mediation-requests", theirs.complaint_id, None),
        ("GET", "/v1/parties/{}", theirs.complainants[0].party_id, None),
        ("GET", "/v1/parties/{}", mine.officers[0].party_id, None),
        ("PATCH", "/v1/parties/{}", theirs.complainants[0].party_id, {"phone": "+1 503 555 0100"}),
        *(("GET", f"/v1/cases/{{}}{part}", theirs.case_id, None) for part in ("", "/timeline", "/readiness")),
        *(("GET", f"/v1/cases/{{}}{part}", theirs.case_id, None) for part in ("/consents", "/withdrawals")),
        *(("GET", f"/v1/cases/{{}}{part}", theirs.case_id, None) for part in ("/agreements", "/attendees")),
        ("POST", "/v1/cases/{}/consents", theirs.case_id, consent),
        ("POST", "/v1/cases/{}/withdrawals", theirs.case_id, None),
        ("POST", "/v1/cases/{}/withdrawals", theirs.case_id, {"party_id": theirs.complainants[0].party_id}),
        ("POST", "/v1/cases/{}/sessions", theirs.case_id, theirs.booking()),
        ("POST", "/v1/cases/{}/agreements", theirs.case_id, {"kind": "confidentiality", "languages": ["en"]}),
        ("GET", "/v1/sessions/{}", theirs.session_id, None),
        ("POST", "/v1/sessions/{}/start", theirs.session_id, {}),
        ("POST", "/v1/sessions/{}/reschedule", theirs.session_id, theirs.booking()),
        *(("POST", f"/v1/sessions/{{}}/{verb}", theirs.session_id, None) for verb in ("end", "cancel", "complete")),
        ("POST", "/v1/sessions/{}/absences", theirs.session_id, {"party_id": NOBODY, "excused": True}),
        ("GET", "/v1/agreements/{}", str(theirs.agreement["id"]), None),
        ("GET", "/v1/agreements/{}/verification", str(theirs.agreement["id"]), None),
        ("POST", "/v1/agreements/{}/signatures", str(theirs.agreement["id"]), signature),
        ("GET", "/v1/mediators/{}", theirs.mediator.mediator_id, None),
        ("GET", "/v1/assignments/{}", str(theirs_assignment["id"]), None),
        ("POST", "/v1/assignments/{}/accept", str(theirs_assignment["id"]), NO_CONFLICT),
        *(
            ("POST", f"/v1/assignments/{{}}/{verb}", str(theirs_assignment["id"]), None)
            for verb in ("decline", "recuse")
        ),
        ("POST", "/v1/attendees/{}/confirm", str(theirs_attendee["id"]), None),
    ]
    hidden = 0
    for who in mine.everybody:
        for method, path, foreign, body in asked:
            if foreign == who.party_id:
                continue
            answers = [await who.send(method, path.format(id_), body) for id_ in (foreign, str(uuid4()))]
            assert comparable(answers[0]) == comparable(answers[1]), (method, path)
            assert answers[0].status_code in {403, 404}, (method, path)
            hidden += answers[0].status_code == 404
    assert hidden > 40
    assert await theirs.case() == await replace(theirs).case()
    assert await theirs.state() == "scheduled"


async def test_lists_hold_what_one_reaches_and_filters_do_not_reach_further(
    office: Office, signed: Begun, another_signed: Begun
) -> None:
    mine, theirs = signed(), another_signed()
    for who in mine.everybody:
        paths = [f"/v1/cases?complaint_id={theirs.complaint_id}", f"/v1/sessions?case_id={theirs.case_id}"]
        if who is mine.mediator:
            paths.append(f"/v1/sessions?mediator_id={theirs.mediator and theirs.mediator.mediator_id}")
        for path in paths:
            assert (await who.get(path))["items"] == [], path
        cases = (await who.get("/v1/cases"))["items"]
        assert [case["id"] for case in cases] == [mine.case_id]  # type: ignore[attr-defined]
        for name, value in (("state", "scheduled"), ("pace", "on_track"), ("due_on_before", "2026-12-31")):
            assert (await who.get(f"/v1/cases?{name}={value}", 403))["code"] == "office-filter"
    first = await office.coordinator.get("/v1/cases?limit=1")
    second = await office.coordinator.get(f"/v1/cases?limit=1&cursor={first['next_cursor']}")
    whole = await office.coordinator.get("/v1/cases?limit=100")
    assert whole["next_cursor"] is None
    listed = [case["id"] for case in whole["items"]]  # type: ignore[attr-defined]
    assert {mine.case_id, theirs.case_id} <= {*listed}
    assert [case["id"] for page in (first, second) for case in page["items"]] == listed[:2]  # type: ignore[attr-defined]
    # A cursor of one list is none of another's, and grants nothing to anybody else.
    await office.coordinator.get(f"/v1/sessions?cursor={first['next_cursor']}", 422)
    elsewhere = (await mine.officers[0].get(f"/v1/cases?cursor={first['next_cursor']}"))["items"]
    assert [case["id"] for case in elsewhere] in ([], [mine.case_id])  # type: ignore[attr-defined]


async def test_a_replaced_access_code_opens_nothing_and_the_new_one_the_same_party(
    office: Office, filed: Begun
) -> None:
    story = filed()
    before = story.complainants[0]
    given = await office.intake.post(f"/v1/parties/{before.party_id}/access-codes")
    refused = await office.public.post("/v1/access-tokens", {"access_code": before.access_code}, 401)
    assert refused["code"] == "access-code-invalid"
    after = await office.signed_in(str(given["access_code"]))
    assert after.party_id == before.party_id
    await before.post(f"/v1/parties/{before.party_id}/access-codes", None, 403)
    refused = await office.intake.post(f"/v1/parties/{story.officers[0].party_id}/access-codes", None, 409)
    assert refused["code"] == "officer-has-no-code"


# ── there is no field for it ───────────────────────────────────────────────────────────────────────────────────────

UNKNOWN = ("fault", "finding", "apology", "notes", "what_was_said", "reason_for_leaving")


async def bodies(story: Story) -> list[tuple[str, str, Mapping[str, object]]]:
    """Every operation that writes, with a body that is complete."""
    assert story.mediator is not None
    support = {"role": "support_person", "name": "A friend"}
    attendee = await story.office.intake.post(f"{story.path}/attendees", support)
    assignment: Answer = (await story.case())["assignment"]  # type: ignore[assignment]
    party = {"side": "complainant", "name": "Lena Late"}
    complaint = {
        "channel": "phone",
        "narrative": "Words.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": True,
        "parties": [party],
    }
    seat = {"role": "party", "id": story.complainants[0].party_id}
    consent = {"decision": "agreed", "disclosure_sha256": "0" * 64, "party_id": NOBODY, "channel": "phone"}
    guardian_consent = {"party_id": NOBODY, "channel": "phone", "disclosure_sha256": "0" * 64}
    pause = {"reason": "leave", "starts_on": "2026-03-05", "ends_on": "2026-03-14"}
    attempt = {
        "party_id": NOBODY,
        "channel": "phone",
        "result": "no_answer",
        "attempted_at": "2026-03-02T20:00:00Z",
    }
    roster = {"name": "Kofi Mensah", "subject": "k.mensah", "languages": ["en"]}
    report = {
        "category": "imminent_harm",
        "recipient": "law_enforcement",
        "agency": "City police",
        "legal_basis": "ORS 36.220",
        "disclosed_at": "2026-03-01T10:00:00Z",
    }
    sha256 = story.agreement["sha256"]
    session, text = f"/v1/sessions/{story.session_id}", f"/v1/agreements/{story.agreement['id']}"
    answered = f"/v1/assignments/{assignment['id']}"
    return [
        ("POST", "/v1/complaints", complaint),
        ("PATCH", f"/v1/complaints/{story.complaint_id}", {"precinct": "North"}),
        ("POST", f"/v1/complaints/{story.complaint_id}/mediation-requests", {}),
        ("POST", f"/v1/complaints/{story.complaint_id}/parties", party),
        ("PATCH", f"/v1/parties/{story.complainants[0].party_id}", {"phone": None}),
        ("POST", f"/v1/parties/{story.complainants[0].party_id}/access-codes", {}),
        ("POST", f"/v1/parties/{story.complainants[0].party_id}/removals", {"reason": "duplicate"}),
        ("POST", f"/v1/parties/{story.complainants[0].party_id}/identity-releases", {}),
        ("POST", f"{story.path}/screenings", {}),
        ("POST", f"{story.path}/approvals", {"approver": "director", "approved": True}),
        ("PUT", f"{story.path}/coordinator", {"coordinator": "coordinator.1"}),
        ("POST", f"{story.path}/contact-attempts", attempt),
        ("POST", f"{story.path}/lapses", {"reason": "unreachable"}),
        ("POST", f"{story.path}/closures", {"agreement_reached": True}),
        ("POST", f"{story.path}/pauses", pause),
        ("POST", f"{story.path}/consents", consent),
        ("POST", f"{story.path}/guardian-consents", guardian_consent),
        ("POST", f"{story.path}/withdrawals", {"party_id": NOBODY, "channel": "phone"}),
        ("POST", f"{story.path}/assignments", {"mediator_id": NOBODY}),
        ("POST", f"{story.path}/sessions", story.booking()),
        ("POST", f"{story.path}/attendees", support),
        ("POST", f"/v1/attendees/{attendee['id']}/confirm", {}),
        ("POST", f"{story.path}/agreements", {"kind": "confidentiality", "languages": ["en"]}),
        ("POST", f"{text}/signatures", {"sha256": sha256, "signer": seat}),
        ("POST", "/v1/mediators", roster),
        ("PATCH", f"/v1/mediators/{story.mediator.mediator_id}", {"active": True}),
        ("POST", f"{answered}/accept", NO_CONFLICT),
        ("POST", f"{answered}/decline", {}),
        ("POST", f"{answered}/recuse", {}),
        ("POST", f"{session}/reschedule", story.booking()),
        ("POST", f"{session}/start", {}),
        ("POST", f"{session}/cancel", {}),
        ("POST", f"{session}/adjourn", {}),
        ("POST", f"{session}/complete", {}),
        ("POST", f"{session}/end", {}),
        ("POST", f"{session}/absences", {"party_id": NOBODY, "excused": True}),
        ("POST", f"{answered}/attest-notes-destroyed", {}),
        ("POST", f"{story.path}/mandatory-reports", report),
        ("POST", f"/v1/mandatory-reports/{NOBODY}/file", {}),
        ("POST", f"/v1/mandatory-reports/{NOBODY}/drop", {"reason": "no_duty"}),
        ("POST", f"/v1/complaints/{story.complaint_id}/legal-holds", {"reason": "litigation"}),
        ("POST", f"/v1/legal-holds/{NOBODY}/lift", {}),
        ("POST", f"/v1/parties/{story.complainants[0].party_id}/erasures", {}),
        ("POST", f"/v1/erasures/{NOBODY}/approve", {}),
        ("POST", f"/v1/erasures/{NOBODY}/refuse", {"reason": "withdrawn"}),
        ("POST", "/v1/access-tokens", {"access_code": "x"}),
        ("POST", "/v1/webhook-endpoints", {"url": "https://intake.city.example/", "kinds": ["case.closed"]}),
        ("PATCH", f"/v1/webhook-endpoints/{NOBODY}", {"active": False}),
        *(("POST", f"/v1/webhook-endpoints/{NOBODY}/{verb}", {}) for verb in ("secrets", "remove", "pings")),
        ("POST", f"/v1/webhook-deliveries/{NOBODY}/replay", {}),
    ]


WITHOUT_FIELDS: Final = {
    "POST /v1/me/calendar-feed",
    "POST /v1/me/calendar-feed/revoke",
    "POST /v1/imports",  # each line has those of a complaint
    "POST /v1/imports/{import_id}/cancel",
}
"""Operations that write and have no field by which anything could be said."""


async def test_a_field_for_fault_finding_apology_or_notes_is_refused_everywhere(office: Office, signed: Begun) -> None:
    """All of them at once, and each is refused for itself."""
    story = signed()
    assert story.mediator is not None
    everything = await bodies(story)
    before = await story.case()
    written = dict.fromkeys(UNKNOWN, "He said that he was sorry.")
    for method, path, body in everything:
        who = story.mediator if path.startswith(("/v1/assignments", "/v1/sessions")) else office.director
        who = office.integration if path.startswith("/v1/webhook-") else who
        refused = await who.send(method, path, {**body, **written})
        assert refused.status_code == 422, (path, refused.text)
        errors = [(error["pointer"], error["code"]) for error in refused.json()["errors"]]
        assert sorted(errors) == sorted((f"/{field}", "unknown-field") for field in UNKNOWN), path
        assert "sorry" not in refused.text
    person = {"side": "complainant", "name": "Lena Late", **written}
    complaint = next(body for _, path, body in everything if path == "/v1/complaints")
    nested_within = await office.intake.send("POST", "/v1/complaints", {**complaint, "parties": [person]})
    pointers = [error["pointer"] for error in nested_within.json()["errors"]]
    assert sorted(pointers) == sorted(f"/parties/0/{field}" for field in UNKNOWN)
    assert await story.case() == before


async def test_no_operation_that_writes_is_left_out_of_that_list(office: Office, signed: Begun) -> None:
    story = signed()
    listed = [f"{method} {path}" for method, path, _ in await bodies(story)]
    contract: dict[str, dict[str, dict[str, object]]] = json.loads((await office.client.get("/openapi.json")).text)
    writing = [
        f"{verb.upper()} {path}"
        for path, item in contract["paths"].items()
        for verb in item
        if verb in {"post", "put", "patch", "delete"}
    ]
    left_out = [
        operation
        for operation in writing
        if operation not in WITHOUT_FIELDS
        and not any(re.fullmatch(re.sub(r"\{[a-z_]+\}", "[^/]+", operation), each) for each in listed)
    ]
    assert left_out == [], "add a complete body of each to bodies() above"
    assert len(listed) == len(writing) - len(WITHOUT_FIELDS)
