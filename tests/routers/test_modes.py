"""Each value of an enum, each null, and each field that is left out, is taken by the command that the contract says.

The modes are enumerated from the committed contract (tests/openapi/census.py). Each is tried on the requests of
`REQUESTS` for its operation until one is done: what is right for an officer is not right for a complainant. What the
suite does elsewhere anyway has no request here; at the end of a whole run, conftest.py finds what nobody has done.
"""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeAlias

import pytest
from tests.conftest import RolledBackDatabase
from tests.openapi.census import NOT_DONE, modes
from tests.routers.matrix import operations

from mediation_api.dev.office import REPORT, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.domain.event_kinds import IntegrationEventKind
from mediation_api.main import OPERATIONS

Body: TypeAlias = dict[str, object]
GUARDIAN: Final[Body] = {
    "name": "Ines Alvarez",
    "relation": "parent",
    "phone": "+1 503 555 0111",
    "email": "ines@example.org",
}
NEEDS: Final[Body] = {
    "phone": "+1 503 555 0112",
    "email": "lena@example.org",
    "email_allowed": True,
    "postal_address": "1 Main Street",
    "safe_contact": "After six only.",
    "language": "es",
    "interpreter_language": "es",
    "accommodations": "A step-free room.",
}
COMPLAINANT: Final[Body] = {"side": "complainant", "name": "Lena Late", "minor": True, "guardian": GUARDIAN, **NEEDS}
OFFICER: Final[Body] = {"side": "officer", "name": "Noa Late", "employee_number": "4899", "unit": "Traffic", **NEEDS}
INTAKE: Final[Body] = {
    "crime_alleged": False,
    "serious_injury": False,
    "litigation_pending": False,
    "officer_is_witness": True,
    "pending_case_filed_on": "2026-01-12",
    "rank_initiated": False,
}
PAUSE: Final[Body] = {"reason": "leave", "starts_on": "2026-03-03", "ends_on": "2026-03-09"}
INCIDENT: Final[Body] = {"incident_on": "2026-02-20", "incident_place": "Main Street", "precinct": "Central"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is done as it stands, and so is each mode of it that is right for it."""

    caller: Caller
    method: str
    path: str
    body: Body = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """Requests by operation, and how to undo one."""

    requests: Mapping[str, list[Request]]
    database: RolledBackDatabase

    async def refusal(self, request: Request, body: object) -> str:
        """Send, undo what came of it, and give what was refused; nothing where it was done."""
        async with self.database.undone():
            response = await request.caller.send(request.method, request.path, body)
        assert response.status_code < 500, response.text
        return "" if response.is_success else response.text


class Requests:
    """Brings cases to where each command can be done, and says what is sent to do it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.of: dict[str, list[Request]] = {}

    def add(self, operation: str, caller: Caller, path: str, body: Body | None = None, *, method: str = "POST") -> None:
        """A request that is done."""
        self.of.setdefault(operation, []).append(Request(caller, method, path, body or {}))

    async def all(self) -> Mapping[str, list[Request]]:
        """Return the requests by operation."""
        await self._filed()
        await self._asked()
        await self._approved()
        await self._agreed()
        await self._signed()
        await self._begun()
        return self.of

    async def _filed(self) -> None:
        office, intake = self.office, self.office.intake
        complaint: Body = {
            "channel": "phone",
            "narrative": "She would not say why.",
            "allegations": ["discourtesy"],
            "interested_in_mediation": True,
            "filed_by": 0,
            "intake": INTAKE,
            **INCIDENT,
        }
        for people in ([COMPLAINANT, OFFICER], [{**COMPLAINANT, "minor": False}, OFFICER]):
            self.add("fileComplaint", intake, "/v1/complaints", {**complaint, "parties": people})
        self.add(
            "fileComplaint", intake, "/v1/complaints", {**complaint, "parties": [OFFICER, COMPLAINANT], "filed_by": 1}
        )
        simple = {"side": "complainant", "name": "Lena Late"}
        without = {name: complaint[name] for name in complaint.keys() - {"channel", "intake"}}
        self.add("fileComplaint", office.public, "/v1/complaints", {**without, "channel": None, "parties": [simple]})
        self.add(
            "fileComplaint",
            office.integration,
            "/v1/complaints",
            {**complaint, "channel": None, "external_reference": "CAD-77", "parties": [simple]},
        )
        entry: Body = {
            "name": "Amara Okafor",
            "subject": "mediator-modes",
            "languages": ["en"],
            "employee_number": "4877",
            "email": "amara@example.org",
            "email_allowed": True,
            "phone": "+1 503 555 0199",
            "active": True,
        }
        self.add("addMediator", office.coordinator, "/v1/mediators", entry)
        mediator = await office.mediator()
        path = f"/v1/mediators/{mediator.mediator_id}"
        self.add("correctMediator", office.coordinator, path, entry, method="PATCH")
        endpoint: Body = {"url": "https://intake.city.example/hooks", "kinds": [*IntegrationEventKind]}
        made = await office.integration.post("/v1/webhook-endpoints", endpoint)
        change: Body = {**endpoint, "active": True}
        self.add(
            "changeWebhookEndpoint", office.integration, f"/v1/webhook-endpoints/{made['id']}", change, method="PATCH"
        )

    async def _asked(self) -> None:
        office, intake = self.office, self.office.intake
        minor: Body = {"minor": True, "guardian": GUARDIAN}
        story = await office.file(complainants=[minor, {}])
        correction: Body = {"narrative": "It was late.", "allegations": ["discourtesy"], **INCIDENT, **INTAKE}
        self.add("correctComplaint", intake, story.complaint, correction, method="PATCH")
        unasked = await office.file(complainants=[minor, {}])
        for person in (COMPLAINANT, {**COMPLAINANT, "minor": False, "guardian": None}, OFFICER):
            self.add("addParty", intake, f"{story.complaint}/parties", person)
        named = {name: person for name, person in COMPLAINANT.items() if name != "side"}
        self.add("correctParty", intake, f"/v1/parties/{unasked.complainants[0].party_id}", named, method="PATCH")
        unguarded = {**named, "minor": False, "guardian": None}
        self.add("correctParty", intake, f"/v1/parties/{unasked.complainants[1].party_id}", unguarded, method="PATCH")
        officer = {name: value for name, value in OFFICER.items() if name != "side"}
        self.add("correctParty", intake, f"/v1/parties/{unasked.officers[0].party_id}", officer, method="PATCH")
        await story.screen()
        shown = await office.shown_disclosure()
        said: Body = {"party_id": story.complainants[0].party_id, "channel": "phone", "disclosure_sha256": shown}
        self.add("recordGuardianConsent", intake, f"{story.path}/guardian-consents", said)
        adult = {**said, "party_id": story.complainants[1].party_id, "decision": "agreed"}
        self.add("giveConsent", intake, f"{story.path}/consents", adult)
        self.add("giveConsent", story.complainants[1], f"{story.path}/consents", {**adult, "channel": "portal"})
        attempt: Body = {
            "party_id": story.complainants[1].party_id,
            "channel": "phone",
            "result": "no_answer",
            "attempted_at": office.clock.now.isoformat(),
        }
        self.add("recordContactAttempt", intake, f"{story.path}/contact-attempts", attempt)
        leaving: Body = {"party_id": story.complainants[1].party_id, "channel": "phone"}
        self.add("recordWithdrawal", intake, f"{story.path}/withdrawals", leaving)
        self.add(
            "recordWithdrawal", story.complainants[1], f"{story.path}/withdrawals", {**leaving, "channel": "portal"}
        )

    async def _approved(self) -> None:
        story = await self.office.file()
        approval: Body = {
            "approver": "internal_affairs",
            "approved": True,
            "given_by": "Robin Vale",
            "given_on": "2026-03-02",
            "channel": "letter",
        }
        path = f"{story.path}/approvals"
        self.add("recordApproval", self.office.intake, path, approval)
        self.add(
            "recordApproval", self.office.intake, path, {**approval, "approver": "unit_commander", "unit": "Traffic"}
        )
        own = {"given_by": None, "given_on": None, "channel": None, "unit": None, "approver": "director"}
        self.add("recordApproval", self.office.director, path, {**approval, **own})

    async def _agreed(self) -> None:
        coordinator = self.office.coordinator
        story = await (await self.office.file()).to_ready()
        self.add("pauseTarget", coordinator, f"{story.path}/pauses", PAUSE)
        attendee: Body = {
            "role": "interpreter",
            "name": "Kim Vega",
            "language": "es",
            "for_party_id": story.complainants[0].party_id,
            "qualified": True,
            "relation": "none",
        }
        self.add("addAttendee", coordinator, f"{story.path}/attendees", attendee)
        support = {**attendee, "role": "support_person", "language": None, "qualified": False}
        self.add("addAttendee", coordinator, f"{story.path}/attendees", support)
        await story.assign()
        agreement: Body = {"kind": "confidentiality", "languages": ["en"], "terms": None, "terms_confidential": False}
        resolution: Body = {**agreement, "kind": "resolution", "terms": "They shook hands.", "terms_confidential": True}
        self.add("makeAgreement", coordinator, f"{story.path}/agreements", agreement)
        over = await (await self.office.file()).to_concluded()
        self.add("makeAgreement", coordinator, f"{over.path}/agreements", resolution)
        starts_at = self.office.clock.now + timedelta(days=1)
        booking: Body = {
            "starts_at": starts_at.isoformat(),
            "ends_at": (starts_at + timedelta(hours=2)).isoformat(),
            "mode": "in_person",
            "place": "Room 4",
            "link": None,
            "off_hours_reason": "room",
        }
        by_video: Body = {**booking, "mode": "video", "place": None, "link": "https://meet.example.org/room-4"}
        booked = await (await self.office.file()).to_scheduled()
        for body in (booking, by_video):
            self.add("scheduleSession", coordinator, f"{story.path}/sessions", body)
            self.add("rescheduleSession", coordinator, f"/v1/sessions/{booked.session_id}/reschedule", body)
        erasure = await self.office.intake.post(f"/v1/parties/{story.complainants[0].party_id}/erasures")
        refusal: Body = {"reason": "identity_unproven"}
        self.add("refuseErasure", self.office.director, f"/v1/erasures/{erasure['id']}/refuse", refusal)

    async def _signing(self) -> tuple[Story, Caller, list[Body]]:
        """A session with one person in each role, who have not signed, and their seats; the mediator's is the last."""
        story = await self.office.file(complainants=[{"minor": True, "guardian": GUARDIAN}, {}])
        await story.screen()
        minor = story.complainants[0].party_id
        await story.guardian_agrees(story.complainants[0])
        for who in (*story.complainants, *story.officers):
            await story.answer(who)
        mediator = await story.assign()
        expected = [
            await story.expect(role="support_person", name="Kim Vega", for_party_id=minor),
            await story.expect(role="interpreter", name="Ira Voss", for_party_id=minor, language="es", qualified=True),
        ]
        for attendee_id in expected:
            await story.confirm(attendee_id)
        await story.schedule()
        await story.make_agreement()
        ids = [minor, minor, *expected, mediator.mediator_id]
        roles = ["party", "guardian", "support_person", "interpreter", "mediator"]
        seats: list[Body] = [{"role": role, "id": id_} for role, id_ in zip(roles, ids, strict=True)]
        return story, mediator, seats

    async def _signed(self) -> None:
        story, mediator, seats = await self._signing()
        sha256 = str(story.agreement["sha256"])
        self.add("signAgreement", mediator, story.signatures, {"sha256": sha256, "signer": None})
        for seat in seats:
            self.add("signAgreement", self.office.coordinator, story.signatures, {"sha256": sha256, "signer": seat})

    async def _begun(self) -> None:
        story, mediator, seats = await self._signing()
        await story.sign_each(*story.everybody)
        for seat in seats[1:-1]:
            await story.sign_on_paper(str(seat["role"]), str(seat["id"]))
        # Without the minor, and then without those who come with the minor.
        self.add("startSession", mediator, f"/v1/sessions/{story.session_id}/start", {"absent": seats[:-1]})
        report: Body = {**REPORT, "disclosed_at": self.office.clock.now.isoformat()}
        self.add("proposeMandatoryReport", mediator, f"{story.path}/mandatory-reports", report)
        meeting = await (await self.office.file()).to_in_session()
        assert meeting.mediator is not None
        said: Body = {"party_id": meeting.officers[0].party_id, "channel": "session"}
        self.add("recordWithdrawal", meeting.mediator, f"{meeting.path}/withdrawals", said)


def _with(body: object, steps: list[str], change: Callable[[Body, str], None]) -> bool:
    """Change what stands in one place of a body; whether there is such a place."""
    if isinstance(body, list):
        changed = [_with(each, steps, change) for each in body]  # all of them: any() would stop at the first
        return any(changed)
    if not isinstance(body, dict):
        return False
    if len(steps) == 1:
        change(body, steps[0])
        return True
    return _with(body.get(steps[0]), steps[1:], change)


def _filled(request: Request, mode: str) -> object:
    """The body of a request with one place filled in another way; None for a request that has no such place."""
    place, _, value = mode.partition("=")
    left_out = place.endswith(" left out")
    steps = place.removesuffix(" left out").removesuffix(" given").replace("[]", "").split(".")[1:]
    if not steps:
        return None if left_out or value == "null" else request.body
    body: object = copy.deepcopy(request.body)

    def change(parent: Body, name: str) -> None:
        if left_out:
            parent.pop(name, None)
        elif value:
            parent[name] = json.loads(value)

    return body if _with(body, steps, change) else None


@pytest.fixture(scope="module")
async def world(module_office: Office, module_database: RolledBackDatabase) -> World:
    """Cases to which each command can be done."""
    return World(await Requests(module_office).all(), module_database)


async def test_every_mode_of_every_command_is_done(world: World) -> None:
    never = set()
    for operation, requests in world.requests.items():
        done: set[str] = set()
        for request in requests:
            assert not await world.refusal(request, request.body), (operation, request.body)
            done |= modes().of_body(operation, request.body)
        for mode in sorted(modes().of_commands()[operation] - done):
            for request in requests:
                body = _filled(request, mode)
                if (body is not None or mode == "body left out") and not await world.refusal(request, body):
                    break
            else:
                never.add((operation, mode))
    assert never == {(operation, mode) for operation, mode in NOT_DONE if operation in world.requests}


async def test_every_value_of_every_filter_is_taken(world: World, module_office: Office) -> None:
    del world
    lists = {each.name: each.path for each in operations() if each.method == "GET" and "{" not in each.path}
    for operation, parameter, value in modes().of_queries():
        if operation not in lists:  # startImport: tests/routers/test_imports.py; documents: scenarios/test_documents.py
            continue
        query = {parameter: json.loads(value)}
        role = next(role for role in (Role.DIRECTOR, Role.MEDIATOR) if role in OPERATIONS[operation].access)
        response = await module_office.caller(role).send("GET", lists[operation], params=query)
        assert response.status_code == 200, response.text
