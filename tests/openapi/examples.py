"""The story whose requests and answers are the contract's examples. Everybody in it is invented."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias
from uuid import UUID

import httpx
import pytest
from tests.openapi.reading import sender

from mediation_api.contract.nodes import Node, child, node, operations
from mediation_api.contract.operations import schema_of
from mediation_api.dev.office import NO_CONFLICT, Caller, Office, Story
from mediation_api.domain.access import Role

EXAMPLES: Final = Path("src/mediation_api/contract/examples.json")
TOKEN: Final = "header.payload.signature"
_LONGEST: Final = 100
"""Characters of a text in an example."""
_MOST: Final = 1
"""Entries of a list in an example."""

Played: TypeAlias = dict[str, dict[str, dict[str, object]]]
Contract: TypeAlias = Mapping[str, Mapping[str, Mapping[str, object]]]
Work: TypeAlias = Callable[[], Awaitable[object]]
Watch: TypeAlias = Callable[[str, int], None]


def fixed_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ids and access codes come out the same each time."""
    numbers = count(1)

    def octets(size: int) -> bytes:
        return hashlib.sha256(b"example %d" % next(numbers)).digest()[:size]

    for module in ("http.dependencies", "routers.complaints", "repository.recording"):
        monkeypatch.setattr(f"mediation_api.{module}.uuid4", lambda: UUID(bytes=octets(16), version=4))
    for router in ("parties", "calendar_feeds"):
        monkeypatch.setattr(f"mediation_api.routers.{router}.token_bytes", octets)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Keeps the first request and answer of each operation, for each status and audience."""

    contract: Contract
    played: Played
    watch: Watch

    async def __call__(self, response: httpx.Response) -> None:
        """Take down one exchange. Only what succeeded is an example, and an empty list shows nothing."""
        await response.aread()
        operation = self._operation(response.request)
        self.watch(operation, response.status_code)
        if not response.is_success or not response.headers["Content-Type"].startswith("application/json"):
            return
        answer = json.loads(response.content)
        if answer.get("items") == []:
            return
        answer |= {"access_token": TOKEN} if "access_token" in answer else {}
        answer |= {"secret": "whsec_…"} if "secret" in answer else {}
        audience = _audience(answer)
        self.played[operation].setdefault(str(response.status_code), {}).setdefault(audience, answer)
        if response.request.headers.get("Content-Type") == "application/json" and response.request.content:
            body = json.loads(response.request.content)
            self.played[operation].setdefault("request", {}).setdefault(sender(response.request.url.path, body), body)

    def _operation(self, request: httpx.Request) -> str:
        for template, item in self.contract.items():
            pattern = re.sub(r"{\w+}", "[^/]+", template)
            if request.method.lower() in item and re.fullmatch(pattern, request.url.path):
                return str(item[request.method.lower()]["operationId"])
        raise LookupError(request.url.path)


def _audience(answer: Mapping[str, object]) -> str:
    items = answer.get("items")
    shown = items[0] if isinstance(items, list) and items else answer
    return str(shown.get("audience", "example"))


async def play(
    office: Office, contract: Contract, work: Work, watch: Watch = lambda _operation, _status: None
) -> Played:
    """Take complaints through mediation, and give what was said.

    `work` does what a worker does in the background, and `watch` is called after each answer.
    """
    played: Played = defaultdict(dict)
    recorder = Recorder(contract, played, watch)
    office.client.event_hooks = {"response": [recorder]}
    await work()  # what happens from now on may be a reason for a mail
    await _look_around(office)
    story = await _file(office)
    await _correct(story)
    await _agree(story, work)
    await _prepare(story)
    await _sign_in(story)
    await _keep_a_calendar(story)
    await _meet(story)
    await _conclude(story)
    await _report(story)
    await _leave(office)
    await _webhooks(office)
    await _start_over(office)
    await _guard(office)
    await _reopen(office)
    await _import(office, work)
    return {operation: dict(sorted(said.items())) for operation, said in sorted(played.items())}


async def _import(office: Office, work: Work) -> None:
    broken = b'{"narrative": "He would not give his name.", "external_reference": "OLD-1"}'
    for stopped in (False, True):
        started = await office.integration.upload(broken, request_id="upload-of-old-complaints")
        path = f"/v1/imports/{started['id']}"
        if stopped:
            await office.integration.post(f"{path}/cancel", status=200)
        await work()
        await office.integration.get(path)
        await office.integration.get(f"{path}/refusals")


async def _look_around(office: Office) -> None:
    for path in ("/health/live", "/health/ready", "/health/version", "/v1/disclosures?language=en"):
        await office.public.get(path)
    for path in ("/v1/office", "/v1/allegation-categories"):
        await office.public.get(path)
    await office.public.get(f"/v1/disclosures/{await office.shown_disclosure()}")
    await office.public.send("GET", f"/v1/disclosures/{await office.shown_disclosure()}/form")


async def _sign_in(story: Story) -> None:
    for who in (story.office.coordinator, story.complainants[0], _of(story.mediator), story.office.integration):
        await who.get("/v1/me")


async def _file(office: Office, number: str = "4711", **changes: object) -> Story:
    body = {
        "narrative": "She would not tell me why I was stopped.",
        "incident_on": "2026-02-20",
        "incident_place": "Corner of First and Main",
        "allegations": ["discourtesy"],
        "interested_in_mediation": True,
        "parties": [
            {"side": "complainant", "name": "Ada Example", "phone": "+1 503 555 0142", "email": "ada@example.org"},
            {"side": "officer", "name": "Officer Max Sample", "employee_number": number},
        ],
        **changes,
    }
    filed = await office.public.post("/v1/complaints", body)
    story = Story(office, str(filed["id"]), str(filed["case_id"]), str(filed["reference"]))
    codes = filed["access_codes"]
    assert isinstance(codes, list)
    story.complainants.append(await office.signed_in(codes[0]["access_code"]))
    listed = (await office.intake.get(f"/v1/complaints/{story.complaint_id}/parties"))["items"]
    assert isinstance(listed, list)
    officer = office.caller(Role.OFFICER, f"officer-{number}", number)
    officer.party_id = next(party["id"] for party in listed if party["side"] == "officer")
    story.officers.append(officer)
    return story


async def _correct(story: Story) -> None:
    intake, complaint = story.office.intake, f"/v1/complaints/{story.complaint_id}"
    for who in (intake, story.complainants[0]):
        await who.get("/v1/complaints")
        await who.get(complaint)
        await who.get(f"{story.path}/access-log")
    answers = ("crime_alleged", "serious_injury", "litigation_pending", "officer_is_witness")
    await intake.patch(complaint, dict.fromkeys(answers, False))
    party = f"/v1/parties/{story.complainants[0].party_id}"
    await intake.get(party)
    safe = {"safe_contact": "Weekday mornings, on the mobile only.", "email_allowed": True}
    await intake.patch(party, {**safe, "interpreter_language": "es"})
    replaced = await intake.post(f"{party}/access-codes")
    story.complainants[0] = await story.office.signed_in(str(replaced["access_code"]))
    await intake.get(f"{story.path}/coordinator")
    await intake.put(f"{story.path}/coordinator", {"coordinator": "coordinator.1"})


async def _agree(story: Story, work: Work) -> None:
    office = story.office
    await story.screen()
    await work()
    await _each(office.intake, f"{story.path}/screenings")
    await story.answer(story.complainants[0])
    await office.intake.post(
        f"{story.path}/consents",
        {
            "party_id": story.officers[0].party_id,
            "channel": "phone",
            "decision": "agreed",
            "disclosure_sha256": await office.shown_disclosure(),
        },
    )
    await _each(office.intake, f"{story.path}/consents")
    await office.intake.get(f"{story.path}/mails")
    pause = {"reason": "court_date", "starts_on": "2026-03-09", "ends_on": "2026-03-11"}
    await office.intake.post(f"{story.path}/pauses", pause)
    await _each(office.intake, f"{story.path}/pauses")
    await office.intake.get(f"{story.path}/target")


async def _prepare(story: Story) -> None:
    office, coordinator = story.office, story.office.coordinator
    mediators = [
        await office.mediator(name=name, subject=f"mediator.{n}", languages=["en"], email="roster@example.org")
        for n, name in enumerate(("Nia Evenhand", "Tom Fair"))
    ]
    await coordinator.get("/v1/mediators")
    await coordinator.get(f"/v1/mediators/{mediators[0].mediator_id}")
    await coordinator.patch(f"/v1/mediators/{mediators[0].mediator_id}", {"languages": ["en", "es"]})
    for mediator, verb in ((mediators[1], "decline"), (mediators[1], "recuse"), (mediators[0], "accept")):
        proposed = await story.propose(mediator)
        await coordinator.get(f"/v1/assignments/{proposed['id']}")
        if verb == "recuse":
            await mediator.post(f"/v1/assignments/{proposed['id']}/accept", NO_CONFLICT, 200)
        await mediator.post(f"/v1/assignments/{proposed['id']}/{verb}", NO_CONFLICT if verb == "accept" else None, 200)
    await coordinator.get("/v1/assignments")
    story.mediator = mediators[0]
    interpreter = {
        "role": "interpreter",
        "name": "Ines Palabra",
        "language": "es",
        "for_party_id": story.complainants[0].party_id,
        "qualified": True,
        "relation": "none",
    }
    expected = await story.expect(**interpreter)
    await _each(office.intake, f"{story.path}/attendees")
    await story.confirm(expected)
    await story.schedule()
    for who in (coordinator, story.complainants[0], story.mediator):
        for path in ("/v1/sessions", f"/v1/sessions/{story.session_id}", "/v1/cases", story.path):
            await who.get(path)
        await who.get(f"{story.path}/readiness")
    await coordinator.post(f"/v1/sessions/{story.session_id}/reschedule", story.booking(place="Room 5"), 200)


async def _keep_a_calendar(story: Story) -> None:
    coordinator = story.office.coordinator
    await coordinator.send("GET", f"/v1/sessions/{story.session_id}/calendar")
    await coordinator.post("/v1/me/calendar-feed/revoke", None, 200)
    made = await coordinator.post("/v1/me/calendar-feed")
    await coordinator.get("/v1/me/calendar-feed")
    await story.office.public.send("GET", str(made["address"]))


async def _meet(story: Story) -> None:
    await story.make_agreement()
    await story.sign(story.complainants[0])
    await story.sign_on_paper("party", story.officers[0].party_id)
    await story.sign(_of(story.mediator))
    attendees = (await story.office.coordinator.get(f"{story.path}/attendees"))["items"]
    assert isinstance(attendees, list)
    await story.sign_on_paper("interpreter", attendees[0]["id"])
    agreement = f"/v1/agreements/{story.agreement['id']}"
    for who in (story.office.coordinator, story.complainants[0]):
        await who.get(f"{story.path}/agreements")
        await who.get(agreement)
    await story.office.coordinator.get(f"{agreement}/verification")
    for path in (f"{agreement}/document", f"{agreement}/certificate", f"/v1/sessions/{story.session_id}/notice"):
        await story.office.coordinator.send("GET", path)
    await story.session("start", {})
    await story.session("complete")


async def _conclude(story: Story) -> None:
    terms = {"kind": "resolution", "languages": ["en"], "terms": "Both will meet again at the precinct's open day."}
    await story.office.coordinator.post(f"{story.path}/agreements", terms)
    await story.close()
    for who in (story.office.coordinator, story.complainants[0]):
        await who.get(f"{story.path}/timeline")
    await story.office.coordinator.get("/v1/events")
    await story.office.caller(Role.COORDINATOR, "coordinator.2").get(story.path)
    await story.office.director.get("/v1/access-anomalies?rule=no_part")


async def _report(story: Story) -> None:
    """A mediator reports what the law asks, and has no notes left; a director files one, drops one, and holds all."""
    director, mediator = story.office.director, _of(story.mediator)
    body = {
        "category": "child_abuse",
        "recipient": "child_protection",
        "agency": "County child welfare",
        "legal_basis": "ORS 419B.010",
        "disclosed_at": story.office.clock.now.isoformat(),
    }
    proposed = await mediator.post(f"{story.path}/mandatory-reports", body)
    await director.get(f"{story.path}/mandatory-reports")
    report = f"/v1/mandatory-reports/{proposed['id']}"
    await director.get(report)
    await director.post(f"{report}/file", None, 200)
    await director.get(f"{report}/access-log")
    await director.get("/v1/mandatory-report-counts")
    assignment = (await mediator.get("/v1/assignments?state=accepted"))["items"]
    assert isinstance(assignment, list)
    await mediator.post(f"/v1/assignments/{assignment[0]['id']}/attest-notes-destroyed", None, 200)
    holds = f"/v1/complaints/{story.complaint_id}/legal-holds"
    hold = await director.post(holds, {"reason": "litigation"})
    await _each(director, holds)
    await director.post(f"/v1/legal-holds/{hold['id']}/lift", None, 200)
    erasures = f"/v1/parties/{story.complainants[0].party_id}/erasures"
    for verb, body_of_verb in (("refuse", {"reason": "identity_unproven"}), ("approve", None)):
        erasure = await story.office.intake.post(erasures)
        await director.post(f"/v1/erasures/{erasure['id']}/{verb}", body_of_verb, 200)
    await _each(story.office.intake, erasures)
    twice = await mediator.post(f"{story.path}/mandatory-reports", body)
    await director.post(f"/v1/mandatory-reports/{twice['id']}/drop", {"reason": "entered_in_error"}, 200)


async def _webhooks(office: Office) -> None:
    """An integration registers an endpoint, changes it, and asks for a ping, twice."""
    body = {"url": "https://intake.city.example/hooks", "kinds": ["case.closed", "part.mediated"]}
    endpoint = await office.integration.post("/v1/webhook-endpoints", body)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    await office.integration.patch(path, {"kinds": ["case.closed"]})
    await office.integration.post(f"{path}/secrets")
    delivery = await office.integration.post(f"{path}/pings")
    of_delivery = f"/v1/webhook-deliveries/{delivery['id']}"
    await office.integration.post(f"{of_delivery}/replay", None, 200)
    for read in ("/v1/webhook-endpoints", path, f"{path}/deliveries", of_delivery):
        await office.integration.get(read)
    await office.integration.post(f"{path}/remove", None, 200)


async def _leave(office: Office) -> None:
    """One complainant leaves, one case lapses, and one session is ended by its mediator."""
    left = await _file(office, "4712", interested_in_mediation=False)
    opened = await left.complainants[0].post(f"/v1/complaints/{left.complaint_id}/mediation-requests")
    left.case_id = str(opened["id"])
    another = {"side": "officer", "name": "Officer Kim Model", "employee_number": "4713"}
    await office.intake.post(f"/v1/complaints/{left.complaint_id}/parties", another)
    await left.withdraw(left.complainants[0])
    by_phone = {"party_id": left.complainants[0].party_id, "channel": "phone"}
    await office.intake.post(f"{left.path}/withdrawals", by_phone, 200)
    await _each(office.intake, f"{left.path}/withdrawals")
    lapsed = await _file(office, "4714")
    given = {"given_by": "Capt. Lee Placeholder", "given_on": "2026-03-01", "channel": "email"}
    approval = {"approver": "internal_affairs", "approved": True, **given}
    await office.intake.post(f"{lapsed.path}/approvals", approval)
    await _each(office.intake, f"{lapsed.path}/approvals")
    await lapsed.screen(eligible=True, reason="Nothing that intake could not learn yet stands in the way.")
    await lapsed.try_to_reach(lapsed.complainants[0].party_id, channel="letter", result="returned_undelivered")
    await _each(office.coordinator, f"{lapsed.path}/contact-attempts")
    await lapsed.lapse()
    ended = await _ready(office, "4715")
    await ended.assign()
    await ended.schedule()
    await ended.sign_all()
    await ended.session("start", {})
    await ended.session("end")


async def _start_over(office: Office) -> None:
    """A session is cancelled, to another somebody does not come, and a third is adjourned."""
    story = await _ready(office, "4716")
    await story.assign()
    await story.schedule()
    await office.coordinator.post(f"/v1/sessions/{story.session_id}/cancel", None, 200)
    await story.schedule()
    await story.sign_all()
    story.office.clock.advance(days=3, minutes=30)
    story.complainants = [await office.signed_in(who.access_code) for who in story.complainants]
    await story.miss(story.officers[0], excused=True)
    await story.schedule()
    await story.session("start", {})
    await story.session("adjourn")


async def _guard(office: Office) -> None:
    """The guardian of a minor agrees, and then the minor does."""
    guardian = {"name": "Lin Example", "relation": "parent", "phone": "+1 503 555 0143"}
    minor = {"side": "complainant", "name": "Bo Example", "minor": True, "guardian": guardian}
    officer = {"side": "officer", "name": "Officer Pat Sample", "employee_number": "4717"}
    story = await _file(office, "4717", parties=[minor, officer])
    decided = {"eligible": True, "reason": "Nothing that intake could not learn yet stands in the way."}
    await story.screen(**decided)
    await story.guardian_agrees(story.complainants[0])
    await _each(office.intake, f"{story.path}/guardian-consents")
    await story.answer(story.complainants[0])


async def _reopen(office: Office) -> None:
    """Somebody with a new account turns out to be the wrong officer; the right one is added, and all answer again."""
    story = await _ready(office, "4718")
    wrong = f"/v1/parties/{story.officers[0].party_id}"
    await office.intake.post(f"{wrong}/identity-releases")
    await office.intake.post(f"{wrong}/removals", {"reason": "wrong_person"})
    right = {"side": "officer", "name": "Officer Jo Sample", "employee_number": "4719"}
    await office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", right)
    await office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"allegations": ["disparate_treatment"]})
    await story.answer(story.complainants[0])


async def _ready(office: Office, number: str) -> Story:
    story = await _file(office, number)
    decided = {"eligible": True, "reason": "Nothing that intake could not learn yet stands in the way."}
    await story.screen(**decided)
    for who in (*story.complainants, *story.officers):
        await story.answer(who)
    return story


async def _each(who: Caller, path: str) -> None:
    """Read a list, and each of its items at an address of its own."""
    items = (await who.get(path))["items"]
    assert isinstance(items, list)
    for item in items:
        await who.get(f"/v1/{path.rpartition('/')[2]}/{item['id']}")


def _of(mediator: Caller | None) -> Caller:
    assert mediator is not None
    return mediator


def written(played: Played, document: Node) -> str:
    """The examples as they are kept: of each request all its forms; of each answer one, as it was read if it was."""
    asked, answered = dict[str, list[object]](), dict[str, tuple[int, object]]()
    for method, _, operation in operations(document):
        said = played.get(str(operation["operationId"]), {})
        for status, forms in said.items():
            part = (
                child(operation, "requestBody") if status == "request" else child(child(operation, "responses"), status)
            )
            schemas = [(schema_of(document, child(part, "content"), node(form)), form) for form in forms.values()]
            if status == "request":
                asked.setdefault(schemas[0][0][0], [_shortened(form) for form in forms.values()])
                continue
            for (schema, example), form in schemas:
                rank = 2 if example is not form else int(method != "get")
                answered[schema] = min(answered.get(schema, (3, None)), (rank, example), key=lambda each: each[0])
    kept = asked | {schema: [_shortened(example)] for schema, (_, example) in answered.items()}
    return json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False) + "\n"


def _shortened(value: object) -> object:
    """Cut long texts and lists, which nobody reads in a contract."""
    if isinstance(value, dict):
        return {name: _shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shortened(each) for each in value[:_MOST]]
    return f"{value[:_LONGEST]} …" if isinstance(value, str) and len(value) > _LONGEST else value
