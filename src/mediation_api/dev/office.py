"""A driver of the HTTP API: callers with tokens, and steps that bring a case to the state in which a test begins.

The demo data, the tests and the benchmarks use it. Each step makes one or a few requests, as the caller who would make
them in an office. A response with an unexpected status raises UnexpectedAnswer.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, Protocol, TypeAlias
from uuid import UUID, uuid4

import httpx

from mediation_api.auth.tokens import Issuer
from mediation_api.dev.identity_provider import dev_token
from mediation_api.domain import access_codes
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

Answer: TypeAlias = dict[str, object]
Identity: TypeAlias = tuple[Role, str, str | None, str | None]
"""The claims of a person's token from the city's identity provider: role, subject, employee number and scope."""

NARRATIVE: Final = (
    "The officer raised his voice, would not say why he stopped me, and laughed when I asked for his name."
)
INTAKE_ANSWERS: Final = {
    "crime_alleged": False,
    "serious_injury": False,
    "litigation_pending": False,
    "officer_is_witness": False,
}
"""Answers of intake under which every rule of screening passes."""
NO_CONFLICT: Final = {"knows_a_party": False, "has_an_interest": False, "took_part_before": False}
"""The declaration of a mediator without conflicts of interest."""
REPORT: Final = {
    "category": "imminent_harm",
    "recipient": "law_enforcement",
    "agency": "City police",
    "legal_basis": "ORS 36.220",
}
"""A mandatory report without `disclosed_at`."""

_CITY_TOKEN_MINUTES: Final = 60


class Time(Protocol):
    """The clock of the service."""

    now: datetime

    def advance(self, **by: float) -> None:
        """Advance by days, hours, minutes and so on."""


@dataclass(slots=True)
class Clock:
    """A clock that advances only when it is told to. Call it for the time."""

    now: datetime

    def __call__(self) -> datetime:
        """Return the present, in UTC."""
        return self.now

    def advance(self, **by: float) -> None:
        """Advance by days, hours, minutes and so on."""
        self.now += timedelta(**by)

    def set(self, now: datetime) -> None:
        """Set the time, which may be earlier."""
        self.now = now.astimezone(UTC)


class RealClock:
    """The time of the machine, for a service in a process of its own. It cannot be set or advanced."""

    @property
    def now(self) -> datetime:
        """The present, in UTC."""
        return datetime.now(UTC)

    @now.setter
    def now(self, _: datetime) -> None:
        raise NotImplementedError

    def advance(self, **by: float) -> None:
        """Raise NotImplementedError."""
        raise NotImplementedError


class UnexpectedAnswer(Exception):  # noqa: N818 - it may as well be a success that was not expected
    """The response has another status than the step expects."""

    def __init__(self, response: httpx.Response) -> None:
        request = response.request
        super().__init__(f"{request.method} {request.url}: {response.status_code} {response.text}")
        self.response = response


@dataclass(slots=True)
class Caller:
    """A caller of the service. `party_id` is set for a party, `mediator_id` for a mediator.

    The token is `given`, or made from the `identity` of a person with a token of the city, or from the `access_code` of
    a complainant, and renewed before it expires. A caller with none of them sends no token.
    """

    office: "Office" = field(repr=False)
    identity: Identity | None = None
    access_code: str = ""
    party_id: str = ""
    mediator_id: str = ""
    given: str | None = None

    @property
    def token(self) -> str | None:
        """The token that was given, or a valid one."""
        return self.given or self.office.token(self)

    @property
    def client(self) -> httpx.AsyncClient:
        """The HTTP client."""
        return self.office.client

    async def send(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """Send a request, and return the response, whatever its status."""
        token = self.token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid4())
        if method in {"PATCH", "PUT"}:
            headers["If-Match"] = "*"
        if body is not None:
            options["json"] = body
        return await self.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type] # httpx checks

    async def upload(
        self, lines: bytes, path: str = "/v1/imports", status: int = 202, request_id: str | None = None
    ) -> Answer:
        """Upload JSON lines, and require the status."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/x-ndjson"}
        headers |= {} if request_id is None else {"X-Request-Id": request_id}
        response = await self.client.post(path, content=lines, headers=headers)
        if response.status_code != status:
            raise UnexpectedAnswer(response)
        answer: Answer = response.json()
        return answer

    async def get(self, path: str, status: int = 200) -> Answer:
        """GET, and require the status."""
        return await self._require(status, "GET", path)

    async def post(self, path: str, body: object = None, status: int = 201) -> Answer:
        """POST, and require the status."""
        return await self._require(status, "POST", path, body)

    async def put(self, path: str, body: object, status: int = 200) -> Answer:
        """PUT, and require the status."""
        return await self._require(status, "PUT", path, body)

    async def patch(self, path: str, body: object, status: int = 200) -> Answer:
        """PATCH, and require the status."""
        return await self._require(status, "PATCH", path, body)

    async def _require(self, status: int, method: str, path: str, body: object = None) -> Answer:
        response = await self.send(method, path, body)
        if response.status_code != status:
            raise UnexpectedAnswer(response)
        answer: Answer = response.json()
        return answer


@cache
def _city_token(keys: Path, issuer: str, audience: str, role_claim: str, identity: Identity, now: datetime) -> str:
    """Sign a token. Cached for all offices, since signing takes as long as several requests."""
    role, subject, employee_number, scope = identity
    return dev_token(
        keys,
        issuer=issuer,
        audience=audience,
        role_claim=role_claim,
        role=role,
        subject=subject,
        employee_number=employee_number,
        scope=scope,
        minutes=_CITY_TOKEN_MINUTES,
        now=now,
        name=None if role is Role.INTEGRATION else name_of(subject),
    )


def name_of(subject: str) -> str:
    """Return the name that the token of a person has: Coordinator 2 for `coordinator.2`."""
    return subject.replace(".", " ").replace("-", " ").title()


@cache
def _issuer(key_file: Path, name: str, audience: str, minutes: int) -> Issuer:
    return Issuer.from_file(key_file, name=name, audience=audience, lifetime=timedelta(minutes=minutes))


def service_issuer(settings: Settings) -> Issuer:
    """Return the issuer of the service's own tokens. Raises ValueError without a key file."""
    if settings.service_key_file is None:
        raise ValueError("MEDIATION_SERVICE_KEY_FILE is not set")
    minutes = settings.access_token_minutes
    return _issuer(settings.service_key_file, settings.service_issuer, settings.token_audience, minutes)


def usual_subject(role: Role, employee_number: str | None) -> str:
    """Return the default subject for a role; for an officer, for the employee number."""
    if role is Role.INTEGRATION:
        return "intake-system"
    return f"{role}.1" if employee_number is None else f"{role}-{employee_number}"


@dataclass(slots=True)
class Office:
    """Makes callers of each role, mediators on the roster, and new complaints.

    The keys of the identity provider are those of `write_dev_keys` in the data directory of the settings.
    """

    client: httpx.AsyncClient
    settings: Settings
    clock: Time
    disclosures: dict[str, str] = field(default_factory=dict)
    """The hashes of the disclosures that were requested, by language."""
    subject_of: Callable[[Role, str | None], str] = usual_subject
    """Returns the subject of a caller for whom only the role and the employee number are given."""
    tokens: dict[Identity | str, tuple[str, datetime]] = field(default_factory=dict)
    """Tokens with the time at which they were made, by identity or access code."""

    def token(self, caller: Caller) -> str | None:
        """Return a token that is valid for some more minutes; None for the public."""
        who = caller.identity or caller.access_code
        if not who:
            return None
        token, made_at = self.tokens.get(who, ("", datetime.min.replace(tzinfo=UTC)))
        minutes = _CITY_TOKEN_MINUTES if caller.identity else self.settings.access_token_minutes
        # A test may set the clock back; a token that was made more than 30 s later is not valid yet.
        if not timedelta(seconds=-30) < self.clock.now - made_at < timedelta(minutes=minutes * 5 / 6):
            token, made_at = self._signed(caller), self.clock.now
            self.tokens[who] = token, made_at
        return token

    def _signed(self, caller: Caller) -> str:
        settings, now = self.settings, self.clock.now
        if caller.identity is None:
            code = access_codes.parse_access_code(caller.access_code).lookup
            return service_issuer(settings).issue(UUID(caller.party_id), code=code, token_id=uuid4(), now=now)
        issuer, audience, role_claim = settings.token_issuer, settings.token_audience, settings.role_claim
        return _city_token(settings.data_directory, issuer, audience, role_claim, caller.identity, now)

    def caller(
        self, role: Role, subject: str | None = None, employee_number: str | None = None, scope: str | None = None
    ) -> Caller:
        """Return a caller with a token of the city's identity provider; for the public, without a token."""
        if role is Role.PUBLIC:
            return self.public
        return Caller(self, (role, subject or self.subject_of(role, employee_number), employee_number, scope))

    @property
    def public(self) -> Caller:
        """The public, without a token."""
        return Caller(self)

    @property
    def intake(self) -> Caller:
        """A member of intake."""
        return self.caller(Role.INTAKE)

    @property
    def coordinator(self) -> Caller:
        """A coordinator."""
        return self.caller(Role.COORDINATOR)

    @property
    def director(self) -> Caller:
        """A director."""
        return self.caller(Role.DIRECTOR)

    @property
    def auditor(self) -> Caller:
        """An auditor."""
        return self.caller(Role.AUDITOR)

    @property
    def integration(self) -> Caller:
        """A program of the city."""
        return self.caller(Role.INTEGRATION)

    def complainant(self, party_id: str, access_code: str) -> Caller:
        """Return a complainant, whose tokens are signed here instead of exchanged for the access code."""
        return Caller(self, access_code=access_code, party_id=party_id)

    async def signed_in(self, access_code: str) -> Caller:
        """Exchange an access code for a token, and return the complainant."""
        given = await self.public.post("/v1/access-tokens", {"access_code": access_code})
        self.tokens[access_code] = str(given["access_token"]), self.clock.now
        return self.complainant(str(given["party_id"]), access_code)

    async def mediator(self, **entry: object) -> Caller:
        """Add a mediator to the roster."""
        subject = str(entry.get("subject", f"mediator-{uuid4()}"))
        new = {"name": "Amara Okafor", "subject": subject, "languages": ["en", "es"], **entry}
        added = await self.coordinator.post("/v1/mediators", new)
        return replace(self.caller(Role.MEDIATOR, subject), mediator_id=str(added["id"]))

    async def shown_disclosure(self, language: str = "en") -> str:
        """Return the hash of the current disclosure in a language."""
        if language not in self.disclosures:
            shown = await self.public.get(f"/v1/disclosures?language={language}")
            self.disclosures[language] = shown["items"][0]["sha256"]  # type: ignore[index] # JSON
        return self.disclosures[language]

    async def file(
        self,
        *,
        complainants: Sequence[Answer] = ({},),
        officers: Sequence[Answer] = ({},),
        by: Caller | None = None,
        **complaint: object,
    ) -> "Story":
        """File a complaint, and return its story (`Story.file`)."""
        story = Story(self)
        await story.file(by or self.intake, complainants, officers, **complaint)
        return story


@dataclass(slots=True)
class Story:
    """A complaint and its case with all participants, and the steps of the procedure."""

    office: Office = field(repr=False)
    complaint_id: str = ""
    case_id: str = ""
    reference: str = ""
    complainants: list[Caller] = field(default_factory=list)
    officers: list[Caller] = field(default_factory=list)
    parties: list[Answer] = field(default_factory=list)
    """The parties as they were filed."""
    mediator: Caller | None = None
    assignment_id: str = ""
    session_id: str = ""
    agreement: Answer = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path of the case."""
        return f"/v1/cases/{self.case_id}"

    @property
    def complaint(self) -> str:
        """The path of the complaint."""
        return f"/v1/complaints/{self.complaint_id}"

    @property
    def everybody(self) -> tuple[Caller, ...]:
        """The parties, and the mediator if there is one."""
        return (*self.complainants, *self.officers, *filter(None, (self.mediator,)))

    def copy(self, office: Office | None = None) -> "Story":
        """Return a copy, to continue a story that several tests begin with.

        Its callers use `office`, if the story was created in a database of which that of `office` is a copy.
        """
        office = office or self.office
        mediator = None if self.mediator is None else replace(self.mediator, office=office)
        sides = (self.complainants, self.officers)
        complainants, officers = ([replace(who, office=office) for who in side] for side in sides)
        return replace(self, office=office, complainants=complainants, officers=officers, mediator=mediator)

    async def case(self) -> Answer:
        """The case, as the office sees it."""
        return await self.office.coordinator.get(self.path)

    async def state(self) -> str:
        """The state of the case."""
        return str((await self.case())["state"])

    # ── intake ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def file(
        self, by: Caller, complainants: Sequence[Answer], officers: Sequence[Answer], **complaint: object
    ) -> None:
        """File the complaint, by default as staff with all answers of intake, and read its parties.

        Fields that are None are omitted. Each complainant gets an access code.
        """
        people: list[Answer] = [
            {"side": "complainant", "name": f"Rosa Alvarez {n}", "phone": "+1 503 555 0100", **given}
            for n, given in enumerate(complainants, 1)
        ]
        people += [
            {"side": "officer", "name": f"Officer Dale Kim {n}", "employee_number": uuid4().hex[:12], **given}
            for n, given in enumerate(officers, 1)
        ]
        body = {
            "channel": "phone",
            "narrative": NARRATIVE,
            "incident_on": "2026-02-20",
            "allegations": ["discourtesy"],
            "interested_in_mediation": True,
            "parties": people,
            "intake": INTAKE_ANSWERS,
            **complaint,
        }
        filed = await by.post("/v1/complaints", {name: value for name, value in body.items() if value is not None})
        self.complaint_id, self.case_id = str(filed["id"]), str(filed["case_id"])
        self.reference = str(filed["reference"])
        on_file = await self.office.intake.get(f"{self.complaint}/parties")
        listed: list[Answer] = on_file["items"]  # type: ignore[assignment] # JSON
        for person in people:
            party = next(each for each in listed if _is(each, person))
            listed.remove(party)
            self.parties.append(party)
            id_ = str(party["id"])
            if person["side"] == "officer":
                officer = self.office.caller(Role.OFFICER, employee_number=str(person["employee_number"]))
                self.officers.append(replace(officer, party_id=id_))
            else:
                given = await self.office.intake.post(f"/v1/parties/{id_}/access-codes")
                self.complainants.append(self.office.complainant(id_, str(given["access_code"])))

    async def screen(self, **decision: object) -> Answer:
        """Intake lets the rules decide, or a director decides."""
        by = self.office.director if decision else self.office.intake
        return await by.post(f"{self.path}/screenings", decision)

    async def approve(self, approver: str, **approval: object) -> Answer:
        """Record the approval of somebody outside the office, or with nothing else said, of the director."""
        body = {"approver": approver, "approved": True, **approval}
        return await self.office.director.post(f"{self.path}/approvals", body)

    async def try_to_reach(self, *party_ids: str, channel: str = "phone", result: str = "no_answer") -> None:
        """The office tries to reach parties, or both sides where none is named."""
        for party_id in party_ids or [who.party_id for who in (*self.complainants, *self.officers)]:
            body = {
                "party_id": party_id,
                "channel": channel,
                "result": result,
                "attempted_at": self.office.clock.now.isoformat(),
            }
            await self.office.coordinator.post(f"{self.path}/contact-attempts", body)

    async def pause(self, reason: str, starts_on: str, ends_on: str) -> Answer:
        """Note a pause, from its first day to its last."""
        body = {"reason": reason, "starts_on": starts_on, "ends_on": ends_on}
        return await self.office.coordinator.post(f"{self.path}/pauses", body)

    async def request_again(self) -> None:
        """Somebody calls the office, and a new case is opened for the same complaint."""
        self.case_id = str((await self.office.intake.post(f"{self.complaint}/mediation-requests"))["id"])

    # ── taking part and leaving ────────────────────────────────────────────────────────────────────────────────────

    async def guardian_agrees(self, minor: Caller, status: int = 201, **changes: object) -> Answer:
        """Staff record that a minor's guardian agrees, who called."""
        shown = await self.office.shown_disclosure()
        body = {"party_id": minor.party_id, "channel": "phone", "disclosure_sha256": shown, **changes}
        return await self.office.intake.post(f"{self.path}/guardian-consents", body, status)

    async def answer(self, who: Caller, decision: str = "agreed", status: int = 201, **body: object) -> Answer:
        """A party answers the disclosure it was shown."""
        shown = await self.office.shown_disclosure()
        answer = {"decision": decision, "disclosure_sha256": shown, **body}
        return await who.post(f"{self.path}/consents", answer, status)

    async def withdraw(self, who: Caller, status: int = 201) -> Answer:
        """A party leaves: nothing but its token is needed."""
        return await who.post(f"{self.path}/withdrawals", None, status)

    async def remove(self, who: Caller) -> Answer:
        """The office takes out somebody who should never have been a party."""
        return await self.office.intake.post(f"/v1/parties/{who.party_id}/removals", {"reason": "wrong_person"})

    # ── mediator and session ───────────────────────────────────────────────────────────────────────────────────────

    async def propose(self, mediator: Caller) -> Answer:
        """Propose the case to a mediator."""
        proposal = {"mediator_id": mediator.mediator_id}
        proposed = await self.office.coordinator.post(f"{self.path}/assignments", proposal)
        self.mediator, self.assignment_id = mediator, str(proposed["id"])
        return proposed

    async def accept(self, **conflicts: bool) -> None:
        """The mediator accepts, and declares the conflicts given, or none."""
        await self._of_mediator.post(f"/v1/assignments/{self.assignment_id}/accept", {**NO_CONFLICT, **conflicts}, 200)

    async def assign(self, mediator: Caller | None = None) -> Caller:
        """Propose the case to a mediator, or to a new one, who accepts without a conflict."""
        mediator = mediator or await self.office.mediator()
        await self.propose(mediator)
        await self.accept()
        return mediator

    @property
    def _of_mediator(self) -> Caller:
        if self.mediator is None:
            raise ValueError("the case was proposed to no mediator")
        return self.mediator

    def booking(self, **changes: object) -> dict[str, object]:
        """A session of two hours that can be started at once, or whatever `changes` say."""
        starts_at = self.office.clock.now + timedelta(minutes=30)
        ends_at = starts_at + timedelta(hours=2)
        times = {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat(), "off_hours_reason": "room"}
        return {**times, "mode": "in_person", "place": "Room 4, City Hall", **changes}

    async def schedule(self, **changes: object) -> Answer:
        """Schedule a session (`booking`)."""
        scheduled = await self.office.coordinator.post(f"{self.path}/sessions", self.booking(**changes))
        self.session_id = str(scheduled["id"])
        return scheduled

    async def expect(self, **attendee: object) -> str:
        """Expect an interpreter or a support person, and give the attendee's id."""
        return str((await self.office.intake.post(f"{self.path}/attendees", attendee))["id"])

    async def confirm(self, attendee_id: str) -> None:
        """The interpreter or support person has said that they will come."""
        await self.office.intake.post(f"/v1/attendees/{attendee_id}/confirm", None, 200)

    async def session(self, verb: str, body: object = None, status: int = 200) -> Answer:
        """The mediator acts on the session."""
        return await self._of_mediator.post(f"/v1/sessions/{self.session_id}/{verb}", body, status)

    async def miss(self, who: Caller, *, excused: bool = False, status: int = 201) -> Answer:
        """Note that a party did not come to the session."""
        body = {"party_id": who.party_id, "excused": excused}
        return await self.office.coordinator.post(f"/v1/sessions/{self.session_id}/absences", body, status)

    # ── agreements ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def make_agreement(self, **changes: object) -> Answer:
        """Put the confidentiality agreement before everybody, or whatever `changes` say."""
        body = {"kind": "confidentiality", "languages": ["en"], **changes}
        self.agreement = await self.office.coordinator.post(f"{self.path}/agreements", body)
        return self.agreement

    @property
    def signatures(self) -> str:
        """The path of the current text's signatures."""
        return f"/v1/agreements/{self.agreement['id']}/signatures"

    async def sign(self, who: Caller, status: int = 201) -> Answer:
        """Somebody signs the current text for themselves."""
        return await who.post(self.signatures, {"sha256": self.agreement["sha256"]}, status)

    async def sign_on_paper(self, role: str, id_: str, status: int = 201) -> Answer:
        """Staff record a signature on paper."""
        body = {"sha256": self.agreement["sha256"], "signer": {"role": role, "id": id_}}
        return await self.office.coordinator.post(self.signatures, body, status)

    async def sign_each(self, *people: Caller) -> None:
        """Each signs the current text for themselves."""
        for who in people:
            await self.sign(who)

    async def sign_all(self, **changes: object) -> "Story":
        """Make a confidentiality agreement, and have everybody sign it."""
        await self.make_agreement(**changes)
        await self.sign_each(*self.everybody)
        return self

    async def sign_resolution(self) -> None:
        """Put terms before the parties, and have all of them sign."""
        await self.make_agreement(kind="resolution", terms="Both sides talked, and shook hands.")
        await self.sign_each(*self.complainants, *self.officers)

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def close(self, status: int = 201, *, agreement_reached: bool = False) -> Answer:
        """Close the case as mediated."""
        body = {"agreement_reached": agreement_reached}
        return await self.office.coordinator.post(f"{self.path}/closures", body, status)

    async def lapse(self, who: Caller | None = None) -> Answer:
        """Let the case lapse, or one party: nobody could be reached."""
        body = {"reason": "unreachable", **({} if who is None else {"party_id": who.party_id})}
        return await self.office.coordinator.post(f"{self.path}/lapses", body)

    async def report(self, by: Caller, **changes: object) -> str:
        """Propose a mandatory report, and give its id."""
        body = {**REPORT, "disclosed_at": self.office.clock.now.isoformat(), **changes}
        return str((await by.post(f"{self.path}/mandatory-reports", body))["id"])

    # ── from the filing to a state ─────────────────────────────────────────────────────────────────────────────────

    async def open_states(self) -> AsyncGenerator[str]:
        """Walk from the filing through every open state, and stop in each; nobody leaves on the way."""
        yield "screening"
        await self.screen()
        yield "confirming"
        for complainant in self.complainants:
            await self.answer(complainant)
        yield "asking"
        for officer in self.officers:
            await self.answer(officer)
        yield "ready"
        await self.assign()
        await self.schedule()
        await self.sign_all()
        yield "scheduled"
        await self.session("start", {})
        yield "in_session"
        await self.session("complete")
        yield "concluded"

    async def _to(self, state: str) -> "Story":
        async with aclosing(self.open_states()) as states:
            async for reached in states:
                if reached == state:
                    break
        return self

    async def to_confirming(self) -> "Story":
        """From the filing until the complainants are asked."""
        return await self._to("confirming")

    async def to_asking(self) -> "Story":
        """From the filing until the officers are asked."""
        return await self._to("asking")

    async def to_ready(self) -> "Story":
        """From the filing until everybody has agreed."""
        return await self._to("ready")

    async def to_scheduled(self) -> "Story":
        """From the filing until a session is scheduled, with nothing signed yet."""
        await self.to_ready()
        await self.assign()
        await self.schedule()
        return self

    async def to_signed(self) -> "Story":
        """From the filing until everybody has signed."""
        return await self._to("scheduled")

    async def to_in_session(self) -> "Story":
        """From the filing until they meet."""
        return await self._to("in_session")

    async def to_concluded(self) -> "Story":
        """From the filing until they have met."""
        return await self._to("concluded")

    async def to_mediated(self, *, agreement_reached: bool = False) -> "Story":
        """From the filing to the close; with an agreement, after everybody has signed a resolution."""
        await self.to_concluded()
        if agreement_reached:
            await self.sign_resolution()
        await self.close(agreement_reached=agreement_reached)
        return self


def _is(party: Answer, person: Answer) -> bool:
    """Whether a party on file is this person."""
    if person["side"] == "officer":
        return party["employee_number"] == str(person["employee_number"])
    minor = person.get("minor", False)
    return (party["side"], party["name"], party["minor"]) == ("complainant", person["name"], minor)
