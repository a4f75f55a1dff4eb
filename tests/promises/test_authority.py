"""Who may speak for whom: codes, guardians, channels, mediators, approvals, ended tokens and scopes, over HTTP.

Each test here failed before the rule was built. What the database refuses when the application does not is in
test_authority_constraints.py.
"""

from datetime import timedelta
from typing import Final
from uuid import uuid4

import httpx
import pytest

from mediation_api.dev.office import NO_CONFLICT, Answer, Caller, Office, Story
from mediation_api.domain.access import Role

TWO: Final[list[dict[str, object]]] = [{}, {}]
MINOR: Final[dict[str, object]] = {
    "minor": True,
    "guardian": {"name": "Ines Alvarez", "relation": "parent"},
}


def complaint(*complainants: str, **changes: object) -> dict[str, object]:
    """A complaint as somebody files it without an account."""
    people = [{"side": "complainant", "name": name} for name in complainants]
    officer = {"side": "officer", "name": "Officer Dale Kim", "employee_number": uuid4().hex[:12]}
    return {
        "narrative": "He laughed when I asked for his name.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": True,
        "parties": [officer, *people],
        **changes,
    }


def said(response: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return response.status_code, str(response.json().get("code"))


def broken_rules(response: httpx.Response) -> set[tuple[str, str]]:
    """The fields of a request that were refused, each with the rule that it breaks."""
    return {(each["pointer"], each["code"]) for each in response.json().get("errors", [])}


async def names(office: Office, filed: Answer) -> dict[str, str]:
    """Who the parties of a complaint are, by id."""
    listed = await office.intake.get(f"/v1/complaints/{filed['id']}/parties")
    return {each["id"]: each["name"] for each in listed["items"]}  # type: ignore[attr-defined]


def only_code(filed: Answer) -> dict[str, str]:
    """The one access code that was given."""
    codes = filed["access_codes"]
    assert isinstance(codes, list)
    assert len(codes) == 1
    code: dict[str, str] = codes[0]
    return code


# ── one code, one's own ────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_files_for_several_says_which_of_them_they_are(office: Office) -> None:
    response = await office.public.send("POST", "/v1/complaints", complaint("Rosa", "Elia"))
    assert response.status_code == 422, response.text
    assert broken_rules(response) == {("/filed_by", "required")}


async def test_a_public_filer_gets_their_own_code_and_no_other(office: Office) -> None:
    filed = await office.public.post("/v1/complaints", complaint("Rosa", "Elia", filed_by=2))
    given = only_code(filed)
    assert (await names(office, filed))[given["party_id"]] == "Elia"
    elia = await office.signed_in(given["access_code"])
    assert (await elia.get(f"/v1/parties/{elia.party_id}"))["name"] == "Elia"


async def test_the_only_complainant_is_who_files(office: Office) -> None:
    filed = await office.public.post("/v1/complaints", complaint("Rosa"))
    given = only_code(filed)
    assert (await names(office, filed))[given["party_id"]] == "Rosa"


@pytest.mark.parametrize("wrong", [0, 3], ids=["an officer", "nobody"])
async def test_who_files_is_one_of_the_complainants(wrong: int, office: Office) -> None:
    response = await office.public.send("POST", "/v1/complaints", complaint("Rosa", "Elia", filed_by=wrong))
    assert response.status_code == 422
    assert broken_rules(response) == {("/filed_by", "complainants-only")}


async def test_who_files_in_the_name_of_others_gets_no_code(office: Office) -> None:
    filed = await office.public.post("/v1/complaints", complaint("Rosa", "Elia", filed_by=None))
    assert filed["access_codes"] == []


@pytest.mark.parametrize("role", [Role.INTAKE, Role.INTEGRATION])
async def test_the_office_and_an_integration_get_a_code_only_for_whom_they_name(role: Role, office: Office) -> None:
    by = office.integration if role is Role.INTEGRATION else office.intake
    more = {} if role is Role.INTEGRATION else {"channel": "phone"}
    assert (await by.post("/v1/complaints", complaint("Rosa", "Elia", **more)))["access_codes"] == []
    assert (await by.post("/v1/complaints", complaint("Rosa", **more)))["access_codes"] == []
    filed = await by.post("/v1/complaints", complaint("Rosa", "Elia", filed_by=1, **more))
    given = only_code(filed)
    assert (await names(office, filed))[given["party_id"]] == "Rosa"


async def test_the_office_issues_the_code_of_whoever_did_not_file(office: Office) -> None:
    filed = await office.public.post("/v1/complaints", complaint("Rosa", "Elia", filed_by=1))
    elia = next(id_ for id_, name in (await names(office, filed)).items() if name == "Elia")
    given = await office.intake.post(f"/v1/parties/{elia}/access-codes")
    assert (await office.signed_in(str(given["access_code"]))).party_id == elia


# ── a guardian ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def minors(office: Office) -> Story:
    """A case in which a minor is asked, whose guardian is on file."""
    story = await office.file(complainants=[MINOR])
    await story.screen()
    return story


async def test_a_minors_own_token_cannot_say_that_the_guardian_agrees(office: Office) -> None:
    story = await minors(office)
    shown = await office.shown_disclosure()
    answer = {"decision": "agreed", "disclosure_sha256": shown, "guardian_agreed": True}
    response = await story.complainants[0].send("POST", f"{story.path}/consents", answer)
    assert response.status_code == 422, response.text
    assert await story.state() == "confirming"


async def test_a_minor_agrees_with_the_guardians_consent_and_never_without(office: Office) -> None:
    story = await minors(office)
    (minor,) = story.complainants
    assert (await story.answer(minor, status=409))["code"] == "guardian-missing"
    recorded = await story.guardian_agrees(minor)
    agreed = await story.answer(minor)
    assert agreed["guardian_consent_id"] == recorded["id"]
    assert (await minor.get(f"{story.path}/guardian-consents"))["items"] == [recorded]
    assert (await office.auditor.get(f"{story.path}/guardian-consents"))["items"] == [recorded]


async def test_staff_cannot_record_a_minors_consent_without_the_guardians_either(office: Office) -> None:
    story = await minors(office)
    by_phone: dict[str, object] = {"party_id": story.complainants[0].party_id, "channel": "phone"}
    assert (await story.answer(office.intake, "agreed", 409, **by_phone))["code"] == "guardian-missing"
    await story.guardian_agrees(story.complainants[0], channel="letter")
    assert (await story.answer(office.intake, "agreed", 201, **by_phone))["channel"] == "phone"


async def test_the_consent_of_a_guardian_who_was_replaced_is_not_the_next_ones(office: Office) -> None:
    story = await minors(office)
    (minor,) = story.complainants
    first = await story.guardian_agrees(minor)
    another = {"guardian": {"name": "Luis Alvarez", "relation": "legal guardian"}}
    await office.intake.patch(f"/v1/parties/{minor.party_id}", another)
    assert (await story.answer(minor, status=409))["code"] == "guardian-missing"
    second = await story.guardian_agrees(minor)
    assert (await story.answer(minor))["guardian_consent_id"] == second["id"] != first["id"]


async def test_a_minor_declines_and_withdraws_without_a_guardian(office: Office) -> None:
    declined = await minors(office)
    await declined.answer(declined.complainants[0], "declined")
    withdrawn = await minors(office)
    await withdrawn.withdraw(withdrawn.complainants[0])


async def test_a_guardians_consent_is_the_office_to_record(office: Office) -> None:
    story = await minors(office)
    (minor,) = story.complainants
    shown = await office.shown_disclosure()
    body = {"party_id": minor.party_id, "channel": "phone", "disclosure_sha256": shown}
    for by in (minor, story.officers[0], await office.mediator(), office.auditor):
        assert said(await by.send("POST", f"{story.path}/guardian-consents", body)) == (403, "not-permitted")


async def test_a_guardians_consent_is_for_a_minor_with_a_guardian_who_still_takes_part(office: Office) -> None:
    story = await office.file(complainants=[{}, {"minor": True}, MINOR])
    reviewed = {"eligible": True, "reason": "The guardian is being looked for."}
    await story.screen(**reviewed)
    grown, alone, minor = story.complainants
    shown = await office.shown_disclosure()
    path = f"{story.path}/guardian-consents"

    async def recorded(party: Caller, **changes: object) -> tuple[int, str]:
        body = {"party_id": party.party_id, "channel": "phone", "disclosure_sha256": shown, **changes}
        return said(await office.intake.send("POST", path, body))

    assert await recorded(grown) == (409, "not-a-minor")
    assert await recorded(alone) == (409, "guardian-missing")
    assert await recorded(minor, disclosure_sha256="f" * 64) == (409, "disclosure-outdated")
    assert await recorded(minor) == (201, "None")
    assert await recorded(minor) == (409, "guardian-already-agreed")
    left = await minors(office)
    await left.answer(left.complainants[0], "declined")
    body = {"party_id": left.complainants[0].party_id, "channel": "phone", "disclosure_sha256": shown}
    assert said(await office.intake.send("POST", f"{left.path}/guardian-consents", body))[0] == 409


# ── the channel ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("channel", ["portal", "integration", "session"])
async def test_staff_do_not_speak_through_a_channel_that_is_not_theirs(channel: str, office: Office) -> None:
    story = await (await office.file()).to_confirming()
    (rosa,) = story.complainants
    shown = await office.shown_disclosure()
    spoken = {"party_id": rosa.party_id, "channel": channel}
    for path, body in (
        (f"{story.path}/consents", {"decision": "agreed", "disclosure_sha256": shown, **spoken}),
        (f"{story.path}/withdrawals", spoken),
        (f"{story.path}/guardian-consents", {"disclosure_sha256": shown, **spoken}),
        ("/v1/complaints", complaint("Rosa", channel=channel)),
    ):
        response = await office.intake.send("POST", path, body)
        assert response.status_code == 422, response.text
        assert broken_rules(response) == {("/channel", "not-your-channel")}, path
    assert await story.state() == "confirming"


# ── a mediator ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def proposed(story: Story, mediator: Caller) -> str:
    return str((await story.propose(mediator))["id"])


async def test_a_mediator_does_nothing_in_a_case_that_was_merely_proposed(office: Office) -> None:
    """Reading its summary, accepting and declining aside."""
    story = await (await office.file()).to_ready()
    mediator = await office.mediator()
    assignment = await proposed(story, mediator)
    (rosa,) = story.complainants
    for path, body in (
        ("withdrawals", {"party_id": rosa.party_id, "channel": "in_person"}),
        ("withdrawals", {"party_id": rosa.party_id, "channel": "session"}),
        ("sessions", story.booking()),
        ("agreements", {"kind": "confidentiality", "languages": ["en"]}),
    ):
        assert said(await mediator.send("POST", f"{story.path}/{path}", body)) == (404, "not-found"), path
    assert said(await mediator.send("POST", f"/v1/assignments/{assignment}/recuse", {})) == (404, "not-found")
    for path in ("timeline", "readiness", "attendees", "agreements"):
        assert said(await mediator.send("GET", f"{story.path}/{path}")) == (404, "not-found"), path
    assert await story.state() == "ready"
    assert (await mediator.get(story.path))["audience"] == "mediator"
    assert [each["id"] for each in (await mediator.get("/v1/cases"))["items"]] == [story.case_id]  # type: ignore[attr-defined]
    await mediator.post(f"/v1/assignments/{assignment}/accept", NO_CONFLICT, 200)
    await mediator.get(f"{story.path}/timeline")


async def test_a_mediator_speaks_for_a_party_only_of_a_withdrawal_in_the_session(office: Office) -> None:
    story = await (await office.file(complainants=TWO)).to_signed()
    mediator, (rosa, elia) = story.mediator, story.complainants
    assert mediator is not None
    path, spoken = f"{story.path}/withdrawals", {"party_id": rosa.party_id, "channel": "session"}
    assert said(await mediator.send("POST", path, spoken)) == (409, "not-in-session")
    await story.session("start", {})
    for channel in ("portal", "phone", "in_person"):
        refused = await mediator.send("POST", path, {**spoken, "channel": channel})
        assert broken_rules(refused) == {("/channel", "not-your-channel")}
    assert (await mediator.post(path, spoken))["channel"] == "session"
    await story.session("complete")
    after = {"party_id": elia.party_id, "channel": "session"}
    assert said(await mediator.send("POST", path, after)) == (409, "not-in-session")


async def test_a_mediators_withdrawal_needs_no_channel(office: Office) -> None:
    story = await (await office.file()).to_in_session()
    assert story.mediator is not None
    spoken = {"party_id": story.complainants[0].party_id}
    assert (await story.mediator.post(f"{story.path}/withdrawals", spoken))["channel"] == "session"


# ── a mediator who is a party ──────────────────────────────────────────────────────────────────────────────────────


async def test_an_officer_of_the_complaint_is_not_proposed_as_its_mediator(office: Office) -> None:
    story = await (await office.file(officers=[{"employee_number": "M-7"}])).to_ready()
    mediator = await office.mediator(employee_number="M-7")
    body = {"mediator_id": mediator.mediator_id}
    response = await office.coordinator.send("POST", f"{story.path}/assignments", body)
    assert said(response) == (409, "mediator-is-party")
    await office.coordinator.patch(f"/v1/mediators/{mediator.mediator_id}", {"employee_number": "M-6"})
    await proposed(story, mediator)


async def test_a_mediator_whose_token_is_that_of_a_party_reaches_nothing(office: Office) -> None:
    story = await (await office.file(officers=[{"employee_number": "M-8"}])).to_ready()
    mediator = await office.mediator()
    assert mediator.identity is not None
    assignment = await proposed(story, mediator)
    the_officer = office.caller(Role.MEDIATOR, mediator.identity[1], "M-8")
    accepted = await the_officer.send("POST", f"/v1/assignments/{assignment}/accept", NO_CONFLICT)
    assert said(accepted) == (404, "not-found")
    assert said(await the_officer.send("GET", story.path)) == (404, "not-found")
    await mediator.post(f"/v1/assignments/{assignment}/accept", NO_CONFLICT, 200)
    scheduled = await the_officer.send("POST", f"{story.path}/sessions", story.booking())
    assert said(scheduled) == (404, "not-found")
    another = office.caller(Role.MEDIATOR, mediator.identity[1], "M-9")
    await another.get(story.path)


async def test_who_answered_as_an_officer_does_not_mediate_the_same_complaint(office: Office) -> None:
    """The roster knows no number of theirs, but the subject that answered as a party."""
    story = await (await office.file(officers=TWO)).to_asking()
    answering = story.officers[0]
    await story.answer(answering)
    assert answering.identity is not None
    mediator = await office.mediator(subject=answering.identity[1])
    body = {"mediator_id": mediator.mediator_id}
    refused = await office.coordinator.send("POST", f"{story.path}/assignments", body)
    assert said(refused) == (409, "mediator-is-party")


async def test_the_mediator_of_a_case_is_not_added_to_it_as_an_officer(office: Office) -> None:
    story = await (await office.file()).to_ready()
    await proposed(story, await office.mediator(employee_number="M-10"))
    officer = {"side": "officer", "name": "Officer Lee", "employee_number": "M-10"}
    response = await office.intake.send("POST", f"/v1/complaints/{story.complaint_id}/parties", officer)
    assert said(response) == (409, "mediator-is-party")


async def test_a_conflict_that_was_declared_stands_in_the_next_case_of_the_complaint(office: Office) -> None:
    story = await (await office.file()).to_ready()
    mediator = await office.mediator()
    assignment = await proposed(story, mediator)
    declared = {**NO_CONFLICT, "knows_a_party": True}
    await mediator.post(f"/v1/assignments/{assignment}/accept", declared, 200)
    await story.try_to_reach()
    await story.lapse()
    await story.request_again()
    await story.to_ready()
    body = {"mediator_id": mediator.mediator_id}
    refused = await office.coordinator.send("POST", f"{story.path}/assignments", body)
    assert said(refused) == (409, "mediator-conflicted")


async def test_nobody_on_the_staff_decides_about_their_own_assignment(office: Office) -> None:
    story = await (await office.file()).to_ready()
    coordinator = office.caller(Role.COORDINATOR, "m.okafor")
    mediator = await office.mediator(subject="m.okafor")
    body = {"mediator_id": mediator.mediator_id}
    proposal = await coordinator.send("POST", f"{story.path}/assignments", body)
    assert said(proposal) == (409, "second-person-required")
    assignment = await proposed(story, mediator)
    await mediator.post(f"/v1/assignments/{assignment}/accept", NO_CONFLICT, 200)
    recusal = await coordinator.send("POST", f"/v1/assignments/{assignment}/recuse", {})
    assert said(recusal) == (409, "second-person-required")
    another = {"mediator_id": (await office.mediator()).mediator_id}
    assert said(await coordinator.send("POST", f"{story.path}/assignments", another)) == (409, "mediator-assigned")
    await mediator.post(f"/v1/assignments/{assignment}/recuse", {}, 200)


async def test_nobody_corrects_their_own_entry_on_the_roster(office: Office) -> None:
    mediator = await office.mediator(subject="d.marsh", employee_number="M-11")
    director = office.caller(Role.DIRECTOR, "d.marsh")
    path = f"/v1/mediators/{mediator.mediator_id}"
    assert said(await director.send("PATCH", path, {"employee_number": None})) == (409, "second-person-required")
    entry = {"name": "D. Marsh", "subject": "d.marsh", "languages": ["en"]}
    assert said(await director.send("POST", "/v1/mediators", entry)) == (409, "second-person-required")
    await office.coordinator.patch(path, {"employee_number": "M-12"})


async def test_one_employee_number_is_one_entry_on_the_roster(office: Office) -> None:
    """A second entry would be a way around a declared conflict."""
    await office.mediator(employee_number="M-13")
    entry = {"name": "Another", "subject": f"mediator-{uuid4()}", "languages": ["en"], "employee_number": "M-13"}
    assert said(await office.coordinator.send("POST", "/v1/mediators", entry)) == (409, "mediator-already-listed")


# ── approvals ──────────────────────────────────────────────────────────────────────────────────────────────────────

GIVEN: Final = {"given_by": "Capt. Jo Reyes", "given_on": "2026-03-01", "channel": "email"}


@pytest.mark.parametrize("role", [Role.INTAKE, Role.COORDINATOR])
async def test_a_directors_approval_comes_from_a_director(role: Role, office: Office) -> None:
    story = await office.file()
    body = {"approver": "director", "approved": True}
    response = await office.caller(role).send("POST", f"{story.path}/approvals", body)
    assert said(response) == (409, "director-required")
    approved = await office.director.post(f"{story.path}/approvals", body)
    assert (approved["given_by"], approved["given_on"], approved["channel"]) == (None, None, None)


async def test_a_director_speaks_for_nobody_but_themselves(office: Office) -> None:
    story = await office.file()
    body = {"approver": "director", "approved": True, **GIVEN}
    response = await office.director.send("POST", f"{story.path}/approvals", body)
    assert broken_rules(response) == {("/given_by", "not-for-director")}


async def test_another_approvers_word_is_entered_with_who_gave_it_when_and_how(office: Office) -> None:
    story = await office.file()
    path, body = f"{story.path}/approvals", {"approver": "internal_affairs", "approved": True}
    for name in GIVEN:
        partial = {**body, **{key: value for key, value in GIVEN.items() if key != name}}
        assert broken_rules(await office.intake.send("POST", path, partial)) == {(f"/{name}", "required")}
    portal = await office.intake.send("POST", path, {**body, **GIVEN, "channel": "portal"})
    assert broken_rules(portal) == {("/channel", "not-your-channel")}
    tomorrow = (office.clock.now + timedelta(days=1)).date().isoformat()
    future = await office.intake.send("POST", path, {**body, **GIVEN, "given_on": tomorrow})
    assert broken_rules(future) == {("/given_on", "in-the-future")}
    entered = await office.intake.post(path, {**body, **GIVEN})
    assert {key: entered[key] for key in GIVEN} == GIVEN
    assert (await office.auditor.get(path))["items"] == [entered]


# ── tokens that have ended ─────────────────────────────────────────────────────────────────────────────────────────


async def every_request(story: Story, who: Caller) -> list[httpx.Response]:
    """A read, a list, a command, a correction and a withdrawal, as somebody sends them."""
    shown = await story.office.shown_disclosure()
    answer = {"decision": "agreed", "disclosure_sha256": shown}
    return [
        await who.send("GET", story.path),
        await who.send("GET", "/v1/cases"),
        await who.send("GET", f"/v1/parties/{who.party_id}"),
        await who.send("POST", f"{story.path}/consents", answer),
        await who.send("PATCH", f"/v1/parties/{who.party_id}", {"phone": "+1 503 555 0199"}),
        await who.send("POST", f"{story.path}/withdrawals"),
    ]


async def test_the_token_of_a_replaced_code_stops_at_the_next_request(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    (rosa,) = story.complainants
    await rosa.get(story.path)
    given = await office.intake.post(f"/v1/parties/{rosa.party_id}/access-codes")
    for response in await every_request(story, rosa):
        assert said(response) == (401, "token-revoked"), response.request.url
    new = await office.signed_in(str(given["access_code"]))
    await story.withdraw(new)


async def test_nothing_is_replayed_to_the_token_of_a_replaced_code(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    (rosa,) = story.complainants
    body = {"decision": "agreed", "disclosure_sha256": await office.shown_disclosure()}
    headers = {"Authorization": f"Bearer {rosa.token}", "Idempotency-Key": str(uuid4())}

    async def sent() -> httpx.Response:
        return await office.client.post(f"{story.path}/consents", json=body, headers=headers)

    assert (await sent()).status_code == 201
    assert (await sent()).headers["Idempotency-Replayed"] == "true"
    await office.intake.post(f"/v1/parties/{rosa.party_id}/access-codes")
    assert said(await sent()) == (401, "token-revoked")


async def test_the_token_and_the_code_of_an_erased_person_stop_at_the_next_request(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    (rosa,) = story.complainants
    await story.answer(rosa, "declined")
    asked = await office.intake.post(f"/v1/parties/{rosa.party_id}/erasures")
    await office.director.post(f"/v1/erasures/{asked['id']}/approve", {}, 200)
    for response in await every_request(story, rosa):
        assert said(response) == (401, "token-revoked"), response.request.url
    exchange = await office.public.send("POST", "/v1/access-tokens", {"access_code": rosa.access_code})
    assert said(exchange) == (401, "access-code-invalid")


async def test_the_withdrawal_of_somebody_whose_code_was_replaced_is_recorded_by_staff(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    (rosa,) = story.complainants
    await office.intake.post(f"/v1/parties/{rosa.party_id}/access-codes")
    spoken = {"party_id": rosa.party_id, "channel": "phone"}
    await office.intake.post(f"{story.path}/withdrawals", spoken)


# ── scopes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scope", ["", "openid profile", "reports:read"])
async def test_an_integration_that_names_no_scope_of_ours_may_do_nothing(scope: str, office: Office) -> None:
    integration = office.caller(Role.INTEGRATION, "intake-system", scope=scope)
    for method, path in (("GET", "/v1/complaints"), ("POST", "/v1/complaints"), ("GET", "/v1/disclosures")):
        body = complaint("Rosa") if method == "POST" else None
        assert said(await integration.send(method, path, body)) == (403, "insufficient-scope"), path


async def test_an_integration_does_what_its_scope_says(office: Office) -> None:
    integration = office.caller(Role.INTEGRATION, "intake-system", scope="openid complaints:write")
    await integration.post("/v1/complaints", complaint("Rosa"))
    assert said(await integration.send("GET", "/v1/complaints")) == (403, "insufficient-scope")


@pytest.mark.parametrize("role", [Role.INTAKE, Role.DIRECTOR, Role.INTEGRATION, Role.AUDITOR])
@pytest.mark.parametrize("unknown", ["complaints:delete", "cases:", "Complaints:read", "mandatory-reports:all"])
async def test_an_unknown_scope_of_ours_is_refused_whoever_bears_it(unknown: str, role: Role, office: Office) -> None:
    bearer = office.caller(role, scope=f"complaints:read cases:read {unknown}")
    for path in ("/v1/cases", "/v1/complaints", "/v1/disclosures"):
        assert said(await bearer.send("GET", path)) == (403, "unknown-scope"), path


async def test_a_persons_token_may_carry_what_the_identity_provider_puts_there(office: Office) -> None:
    await office.caller(Role.INTAKE, scope="openid profile email offline_access api://x/y").get("/v1/complaints")


async def test_a_public_filer_allows_mail_to_themselves_and_to_nobody_else(office: Office) -> None:
    own, other = ({"side": side, "name": "A", "email": "a@example.org"} for side in ("complainant", "officer"))
    complaint = {"narrative": "It rained.", "allegations": ["discourtesy"], "interested_in_mediation": True}
    people = [own, {**other, "email_allowed": True}]
    refused = await office.public.post("/v1/complaints", {**complaint, "parties": people}, 422)
    assert [each["pointer"] for each in refused["errors"]] == ["/parties/1/email_allowed"]  # type: ignore[attr-defined]
    filed = await office.public.post(
        "/v1/complaints", {**complaint, "parties": [{**own, "email_allowed": True}, other]}
    )
    listed = (await office.intake.get(f"/v1/complaints/{filed['id']}/parties"))["items"]
    assert {each["side"]: each["email_allowed"] for each in listed} == {"complainant": True, "officer": False}  # type: ignore[attr-defined]
