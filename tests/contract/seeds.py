"""What an instance holds before requests are made up for it: cases in every state, and whom each operation is for.

A *target* is something that one operation can still be done to: a path, and the fields of a body that only make sense
together. Operations that use their target up (a session is started once) get several; the rest share what there is.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import count
from typing import Final

from mediation_api.dev.office import NO_CONFLICT, Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.main import OPERATIONS

SLOT: Final = timedelta(hours=9)
"""Further apart than the longest session lasts: the one mediator of all seeded cases is never asked for twice."""

FURTHEST: Final = (Role.DIRECTOR, Role.COORDINATOR, Role.INTAKE, Role.MEDIATOR, Role.INTEGRATION)
"""The roles in the order of how far they reach. One of them may call every operation that needs a token."""

OF_INTEGRATIONS: Final = ("webhook_endpoint_id", "webhook_delivery_id", "import_id")
"""What only an integration has, and a director sees at the most."""
WEBHOOK_ENDPOINT: Final = {"url": "https://intake.city.example/hooks", "kinds": ["case.opened"]}


@dataclass(frozen=True, slots=True)
class Target:
    """Something that an operation can be done to."""

    path: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] = field(default_factory=dict)
    without: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Somebody:
    """A caller, and the ids of what is theirs: for staff nothing in particular, for the public without a token."""

    token: str | None
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the hooks are told: who calls each operation, its targets, and ids for everything else."""

    tokens: Mapping[str, str]
    targets: Mapping[str, list[Target]]
    ids: Mapping[str, list[str]]
    used_up: list[str]
    peers: Mapping[str, Somebody]
    roles: Mapping[str, Somebody]

    def as_json(self) -> dict[str, object]:
        """The plan as JSON."""
        return asdict(self)


class Seeder:
    """Brings cases to where the operations of the contract find something to work on."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.targets: defaultdict[str, list[Target]] = defaultdict(list)
        self.ids: defaultdict[str, list[str]] = defaultdict(list)
        self.used_up: set[str] = set()
        self.mediator: Caller
        self._slots = count(1)
        self._begun = office.clock.now
        self._held = count(1)

    async def seed(self, *, rounds: int) -> Plan:
        """Seed; each operation that uses its target up gets `rounds` of them."""
        await self.office.shown_disclosure()
        self.mediator = await self.office.mediator()
        stories = await asyncio.gather(*(self._story("signed") for _ in PEERS))
        for _ in range(rounds):  # one after the other: all at once would wait for connections, in vain at last
            await self._round()
        for story in stories:
            await self._know(story)
        await self._know_of_the_integration()
        tokens = {name: token for name, each in OPERATIONS.items() if (token := self._token(each.access))}
        peers = {name: _own(story, story.complainants[0]) for name, story in zip(PEERS, stories, strict=True)}
        return Plan(
            tokens,
            dict(self.targets),
            dict(self.ids),
            sorted(self.used_up),
            peers | await self._with_records(),
            await self._of_each_role(stories[0]),
        )

    async def _of_each_role(self, story: Story) -> dict[str, Somebody]:
        """Somebody of each role; those who see what is theirs alone have a part in the case, or filed a complaint."""
        filed = await self.office.file(by=self.office.integration, channel=None)
        own = {
            Role.COMPLAINANT: _own(story, story.complainants[0]),
            Role.OFFICER: _own(story, story.officers[0]),
            Role.MEDIATOR: Somebody(self.mediator.token),
            Role.INTEGRATION: Somebody(
                self.office.integration.token,
                {"complaint_id": filed.complaint_id, **{name: self.ids[name][0] for name in OF_INTEGRATIONS}},
            ),
        }
        return {role: own.get(role) or Somebody(self.office.caller(role).token) for role in Role}

    async def _with_records(self) -> dict[str, Somebody]:
        """Complainants who have a record of their own that the others lack."""
        left = await self._story("asking")
        withdrawal = await left.withdraw(left.complainants[0])
        with_guardian = await self._minor()
        consent = await with_guardian.guardian_agrees(with_guardian.complainants[0])
        return {
            "left": Somebody(left.complainants[0].token, {"withdrawal_id": str(withdrawal["id"])}),
            "minor": Somebody(with_guardian.complainants[0].token, {"guardian_consent_id": str(consent["id"])}),
        }

    async def _minor(self) -> Story:
        """A case of a minor, whose guardian can be asked."""
        story = await self.office.file(
            complainants=[{"minor": True, "guardian": {"name": "Ines Alvarez", "relation": "parent"}}]
        )
        await story.screen()
        return story

    def _token(self, row: Mapping[Role, object]) -> str | None:
        if Role.PUBLIC in row and Role.AUDITOR in row:
            return None  # for everybody alike
        role = next((role for role in FURTHEST if role in row), None)
        if role is None:
            return None  # for whoever has its address
        return self.mediator.token if role is Role.MEDIATOR else self.office.caller(role).token

    # ── cases ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _story(self, state: str, *, own: bool = False, held: int = 0) -> Story:
        """A case in this state: of the one mediator of all, or of its `own`.

        Sessions of the one mediator that are going on at the same time have to be told apart by `held`.
        """
        story = await self.office.file()
        steps: tuple[tuple[str, Callable[[Story], Awaitable[object]]], ...] = (
            ("screening", Story.screen),
            ("confirming", lambda s: s.answer(s.complainants[0])),
            ("asking", lambda s: s.answer(s.officers[0])),
            ("ready", Story.assign if own else self._assign),
            ("assigned", self._schedule),
            ("scheduled", Story.sign_all),
            ("signed", lambda s: self._start(s, held)),
            ("in_session", lambda s: s.session("complete")),
        )
        stops = [name for name, _ in steps] + ["concluded"]
        for _, step in steps[: stops.index(state)]:
            await step(story)
        return story

    async def _assign(self, story: Story) -> Caller:
        return await story.assign(self.mediator)

    async def _schedule(self, story: Story) -> Answer:
        return await story.schedule(**self._slot())

    async def _start(self, story: Story, held: int) -> None:
        """Hold a session now: it is rescheduled from its day to one that may start, and started."""
        await self._bring_forward(story, held)
        await story.session("start", {})

    async def _bring_forward(self, story: Story, held: int = 0) -> None:
        """Reschedule a session to this day, so that it may start. None lasts longer than a quarter of an hour."""
        starts_at = self._begun + timedelta(minutes=20) + held * timedelta(minutes=16)
        soon = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(minutes=15)).isoformat()}
        await story.session("reschedule", story.booking(**soon))

    def _slot(self) -> dict[str, object]:
        starts_at = self.office.clock.now + timedelta(days=1) + next(self._slots) * SLOT
        ends_at = starts_at + timedelta(hours=2)
        return {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat(), "off_hours_reason": "room"}

    # ── targets ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _round(self) -> None:
        """One target for each operation that uses its target up, and for those that need a certain one."""
        await asyncio.gather(
            self._before_the_mediator(), self._with_the_mediator(), self._around_the_session(), self._endings()
        )

    def _add(self, operation: str, path: Mapping[str, str] | None = None, **body: object) -> None:
        """A target that can be used again."""
        self.targets[operation].append(Target(path or {}, body))

    def _add_once(self, operation: str, path: Mapping[str, str], **body: object) -> None:
        """A target that is used up when the operation is done."""
        self._add(operation, path, **body)
        self.used_up.add(operation)

    async def _know(self, story: Story) -> None:
        """Let every operation that names something of this case by its id find it."""
        self.ids["complaint_id"].append(story.complaint_id)
        self.ids["case_id"].append(story.case_id)
        self.ids["party_id"] += [who.party_id for who in (*story.complainants, *story.officers)]
        self.ids["mediator_id"].append(self.mediator.mediator_id)
        self.ids["session_id"].append(story.session_id)
        self.ids["agreement_id"].append(str(story.agreement["id"]))
        self.ids["code"].append("not-found")
        feed = await self.mediator.post("/v1/me/calendar-feed")
        self.ids["token"].append(str(feed["address"]).rpartition("/")[2])
        self.ids["sha256"].append(self.office.disclosures["en"])
        self.ids["assignment_id"].append(story.assignment_id)
        self.ids["attendee_id"].append(await story.expect(role="support_person", name="Kim Vega"))

    async def _know_of_the_integration(self) -> None:
        """Let operations find an endpoint of webhooks, what was sent to it, and an import."""
        integration = self.office.integration
        endpoint = await integration.post("/v1/webhook-endpoints", WEBHOOK_ENDPOINT)
        ping = await integration.post(f"/v1/webhook-endpoints/{endpoint['id']}/pings")
        self.ids["webhook_endpoint_id"].append(str(endpoint["id"]))
        self.ids["webhook_delivery_id"].append(str(ping["id"]))
        self.ids["import_id"].append(str((await integration.upload(b"{}"))["id"]))
        removed = await integration.post("/v1/webhook-endpoints", WEBHOOK_ENDPOINT)
        self._add("removeWebhookEndpoint", {"webhook_endpoint_id": str(removed["id"])})

    async def _before_the_mediator(self) -> None:
        self._add_once("cancelImport", {"import_id": str((await self.office.integration.upload(b"{}"))["id"])})
        filed = await self._story("screening")
        self._add_once("screenCase", {"case_id": filed.case_id}, eligible=None, reason=None)
        self._add("assignCoordinator", {"case_id": filed.case_id})

        later = await self.office.file(interested_in_mediation=False)
        self._add_once("requestMediation", {"complaint_id": later.complaint_id})

        asked = await self._story("confirming")
        self._add_once(
            "giveConsent",
            {"case_id": asked.case_id},
            party_id=asked.complainants[0].party_id,
            channel="phone",
            disclosure_sha256=self.office.disclosures["en"],
        )
        self._add(
            "recordContactAttempt",
            {"case_id": asked.case_id},
            party_id=asked.complainants[0].party_id,
            attempted_at=self.office.clock.now.isoformat(),
        )
        with_guardian = await self._minor()
        self._add_once(
            "recordGuardianConsent",
            {"case_id": with_guardian.case_id},
            party_id=with_guardian.complainants[0].party_id,
            channel="phone",
            disclosure_sha256=self.office.disclosures["en"],
        )
        self._add("addParty", {"complaint_id": asked.complaint_id})
        whom = {"party_id": asked.complainants[0].party_id}
        self.targets["correctParty"].append(Target(whom, {"language": "es"}, ("employee_number", "unit")))
        self._add("issueAccessCode", {"party_id": asked.complainants[0].party_id})
        removed = await self._story("asking")
        self._add_once("removeParty", {"party_id": removed.officers[0].party_id})
        bound = await self._story("ready")
        self._add_once("releaseIdentity", {"party_id": bound.officers[0].party_id})

        codes = await self.office.file()
        self._add("exchangeAccessCode", access_code=codes.complainants[0].access_code)
        self._add_once("recordApproval", {"case_id": codes.case_id})
        self._add("fileComplaint", channel="phone", external_reference=None)

    async def _with_the_mediator(self) -> None:
        proposals = {"mediator_id": self.mediator.mediator_id}
        unproposed = await self._story("ready")
        self._add_once("proposeMediator", {"case_id": unproposed.case_id}, **proposals)
        for operation, body in (("acceptAssignment", NO_CONFLICT), ("declineAssignment", {})):
            story = await self._story("ready")
            await story.propose(self.mediator)
            self._add_once(operation, {"assignment_id": story.assignment_id}, **body)
        recusing = await self._story("assigned")
        self._add_once("recuseMediator", {"assignment_id": recusing.assignment_id})
        unscheduled = await self._story("assigned")
        self._add_once("scheduleSession", {"case_id": unscheduled.case_id}, **self._slot())

    async def _around_the_session(self) -> None:
        moved = await self._story("scheduled")
        self._add("rescheduleSession", {"session_id": moved.session_id}, **self._slot())
        self._add("pauseTarget", {"case_id": moved.case_id}, starts_on="2026-12-01", ends_on="2026-12-09")
        self._add(
            "addAttendee",
            {"case_id": moved.case_id},
            language="es",
            for_party_id=moved.officers[0].party_id,
            qualified=True,
            relation="none",
        )
        self._add("makeAgreement", {"case_id": moved.case_id}, **CONFIDENTIALITY)
        called_off = await self._story("scheduled")
        self._add_once("cancelSession", {"session_id": called_off.session_id})
        signing = await self._story("scheduled")
        agreement = await signing.make_agreement()
        for who in (*signing.complainants, *signing.officers):
            signer = {"role": "party", "id": who.party_id}
            path = {"agreement_id": str(agreement["id"])}
            self._add_once("signAgreement", path, sha256=agreement["sha256"], signer=signer)
        signed = await self._story("signed", own=True)
        await self._bring_forward(signed)
        self._add_once("startSession", {"session_id": signed.session_id}, absent=[])
        for operation in ("adjournSession", "completeSession"):
            story = await self._story("in_session", own=True)
            self._add_once(operation, {"session_id": story.session_id})
        ending = await self._story("in_session", held=next(self._held))  # only its mediator ends it
        self._add_once("endSession", {"session_id": ending.session_id})

    async def _endings(self) -> None:
        over = await self._story("concluded", own=True)
        self._add_once("closeCase", {"case_id": over.case_id})
        closed = await self._story("concluded")
        await closed.close()
        self._add_once("attestDestructionOfNotes", {"assignment_id": closed.assignment_id})
        self._add("placeLegalHold", {"complaint_id": closed.complaint_id})
        holds = f"/v1/complaints/{closed.complaint_id}/legal-holds"
        self._add_once("requestErasure", {"party_id": closed.officers[0].party_id})
        for operation in ("approveErasure", "refuseErasure"):
            of_another = await self.office.file(interested_in_mediation=False)
            party_id = of_another.complainants[0].party_id
            asked = await self.office.intake.post(f"/v1/parties/{party_id}/erasures")
            self._add_once(operation, {"erasure_id": str(asked["id"])})
            self.ids["erasure_id"].append(str(asked["id"]))
        hold = await self.office.director.post(holds, {"reason": "litigation"})
        self._add_once("liftLegalHold", {"hold_id": str(hold["id"])})
        self.ids["hold_id"].append(str(hold["id"]))
        proposer = over.mediator  # and not the director, who decides
        assert proposer is not None
        past = {"disclosed_at": "2026-01-05T10:00:00Z"}
        self._add("proposeMandatoryReport", {"case_id": over.case_id}, **past)
        for operation in ("fileMandatoryReport", "dropMandatoryReport"):
            report_id = await over.report(proposer, **past)
            self._add_once(operation, {"report_id": report_id})
            self.ids["report_id"].append(report_id)
        for operation, body in (("lapseCase", {"reason": "unreachable"}), ("recordWithdrawal", {"channel": "phone"})):
            story = await self._story("confirming")
            await story.try_to_reach(story.complainants[0].party_id)
            self._add_once(operation, {"case_id": story.case_id}, party_id=story.complainants[0].party_id, **body)
        missed = await self._story("ready")
        await missed.assign()  # to a mediator of its own, who is free now
        # Its time has come when the requests begin: the instance's clock cannot be moved.
        soon = self.office.clock.now + timedelta(seconds=5)
        await missed.schedule(starts_at=soon.isoformat(), ends_at=(soon + timedelta(minutes=15)).isoformat())
        self._add_once("recordAbsence", {"session_id": missed.session_id}, party_id=missed.complainants[0].party_id)


def _own(story: Story, party: Caller) -> Somebody:
    ids = {
        "complaint_id": story.complaint_id,
        "case_id": story.case_id,
        "party_id": party.party_id,
        "session_id": story.session_id,
        "agreement_id": str(story.agreement["id"]),
    }
    return Somebody(party.token, ids)


PEERS: Final = ("owner", "leaver", "other")
"""Complainants of cases of their own. Whatever the first two do, the third must not find."""

CONFIDENTIALITY: Final = {"kind": "confidentiality", "languages": ["en"], "terms": None, "terms_confidential": False}
