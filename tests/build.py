"""The office as tests see it: callers with their tokens, and cases brought to where a test begins, all over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Protocol, TypeAlias
from uuid import UUID, uuid4

import httpx

from mediation_api.auth.tokens import Issuer
from mediation_api.dev.identity_provider import dev_token
from mediation_api.domain import access_codes
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Answer: TypeAlias = "dict[str, object]"
Identity: TypeAlias = "tuple[Role, str, str | None, str | None]"


class Time(Protocol):
    """The test's clock."""

    now: datetime

    def advance(self, **by: float) -> None: ...


NARRATIVE = "The officer raised his voice, would not say why he stopped me, and laughed when I asked for his name."

INTAKE = {
    "crime_alleged": False,
    "serious_injury": False,
    "litigation_pending": False,
    "officer_is_witness": False,
}
"""Answers of intake under which every rule passes."""


@dataclass(slots=True)
class Caller:
    """Somebody who calls the service. `party_id` is set for a party, `mediator_id` for a mediator.

    `identity` is what the city's identity provider knows: role, subject, employee number and scope.
    """

    client: httpx.AsyncClient
    token: str | None
    party_id: str = ""
    mediator_id: str = ""
    access_code: str = ""
    identity: "Identity | None" = None

    async def send(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """Call, and give the whole response."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid4())
        if method in {"PATCH", "PUT"}:
            headers["If-Match"] = "*"
        if body is not None:
            options["json"] = body
        return await self.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]

    async def get(self, path: str, status: int = 200) -> Answer:
        """GET, and hold the status."""
        return _held(await self.send("GET", path), status)

    async def post(self, path: str, body: object = None, status: int = 201) -> Answer:
        """POST, and hold the status."""
        return _held(await self.send("POST", path, body), status)

    async def put(self, path: str, body: object, status: int = 200) -> Answer:
        """PUT, and hold the status."""
        return _held(await self.send("PUT", path, body), status)

    async def patch(self, path: str, body: object, status: int = 200) -> Answer:
        """PATCH, and hold the status."""
        return _held(await self.send("PATCH", path, body), status)


def _held(response: httpx.Response, status: int) -> Answer:
    assert response.status_code == status, f"{response.request.url}: {response.status_code} {response.text}"
    answer: Answer = response.json()
    return answer


@cache
def signed(
    keys: Path,
    issuer: str,
    audience: str,
    role: Role,
    subject: str,
    employee_number: str | None,
    scope: str | None,
    now: datetime,
) -> str:
    """A token, as good as a fresh one where another test made it: to sign one costs as much as several requests."""
    return dev_token(
        keys,
        issuer=issuer,
        audience=audience,
        role=role,
        subject=subject,
        employee_number=employee_number,
        scope=scope,
        minutes=60,
        now=now,
    )


def service_identity(settings: Settings) -> Issuer:
    """What the service signs with, read once."""
    assert settings.service_key_file is not None
    minutes = settings.access_token_minutes
    return _issuer(settings.service_key_file, settings.service_issuer, settings.token_audience, minutes)


@cache
def _issuer(key_file: Path, name: str, audience: str, minutes: int) -> Issuer:
    return Issuer.from_file(key_file, name=name, audience=audience, lifetime=timedelta(minutes=minutes))


@dataclass(slots=True)
class Office:
    """The office's staff and roster, and the way to a new case."""

    client: httpx.AsyncClient
    settings: Settings
    keys: Path
    clock: Time
    disclosure: str = ""
    tokens: dict[Identity, tuple[str, datetime]] = field(default_factory=dict)
    """Those made already, and when."""

    def caller(
        self, role: Role, subject: str | None = None, employee_number: str | None = None, scope: str | None = None
    ) -> Caller:
        """A caller with a fresh token of the city's identity provider."""
        identity = (role, subject or f"{role}.1", employee_number, scope)
        return Caller(self.client, self._token(identity), identity=identity)

    def _token(self, identity: Identity) -> str:
        token, made_at = self.tokens.get(identity, ("", self.clock.now - timedelta(days=1)))
        if not timedelta(seconds=-30) < self.clock.now - made_at < timedelta(minutes=50):
            token, made_at = self._signed(*identity), self.clock.now
            self.tokens[identity] = token, made_at
        return token

    def _signed(self, role: Role, subject: str, employee_number: str | None, scope: str | None) -> str:
        issuer, audience = self.settings.token_issuer, self.settings.token_audience
        return signed(self.keys, issuer, audience, role, subject, employee_number, scope, self.clock.now)

    async def renew(self, caller: Caller) -> None:
        """Give somebody whose token has run out a fresh one."""
        if caller.identity is not None:
            caller.token = self._token(caller.identity)
        else:
            caller.token = self.complainant(caller.party_id, caller.access_code).token

    @property
    def public(self) -> Caller:
        return Caller(self.client, None)

    @property
    def intake(self) -> Caller:
        return self.caller(Role.INTAKE)

    @property
    def coordinator(self) -> Caller:
        return self.caller(Role.COORDINATOR)

    @property
    def director(self) -> Caller:
        return self.caller(Role.DIRECTOR)

    @property
    def auditor(self) -> Caller:
        return self.caller(Role.AUDITOR)

    @property
    def integration(self) -> Caller:
        return self.caller(Role.INTEGRATION, "intake-system")

    def complainant(self, party_id: str, access_code: str) -> Caller:
        """A complainant with a fresh token, such as the service gives for the access code."""
        code = access_codes.parse_access_code(access_code).lookup
        token = service_identity(self.settings).issue(UUID(party_id), code=code, token_id=uuid4(), now=self.clock.now)
        return Caller(self.client, token, party_id=party_id, access_code=access_code)

    async def signed_in(self, access_code: str) -> Caller:
        """A complainant who has exchanged an access code."""
        given = await self.public.post("/v1/access-tokens", {"access_code": access_code})
        return Caller(self.client, str(given["access_token"]), party_id=str(given["party_id"]), access_code=access_code)

    async def mediator(self, **changes: object) -> Caller:
        """A new mediator on the roster, signed in."""
        subject = str(changes.get("subject", f"mediator-{uuid4()}"))
        entry = {"name": "Amara Okafor", "languages": ["en", "es"], **changes, "subject": subject}
        added = await self.coordinator.post("/v1/mediators", entry)
        caller = self.caller(Role.MEDIATOR, subject)
        caller.mediator_id = str(added["id"])
        return caller

    async def shown_disclosure(self) -> str:
        """The hash of the disclosure that everybody is shown."""
        if not self.disclosure:
            shown = await self.public.get("/v1/disclosures?language=en")
            self.disclosure = shown["items"][0]["sha256"]  # type: ignore[index]
        return self.disclosure

    async def file(
        self,
        *,
        complainants: list[dict[str, object]] | None = None,
        officers: list[dict[str, object]] | None = None,
        **changes: object,
    ) -> "Story":
        """File a complaint of a ticked form by phone, with everything known that screening asks for."""
        return await self.file_as(self.intake, complainants, officers, **changes)

    async def file_as(
        self,
        filer: Caller,
        complainants: list[dict[str, object]] | None,
        officers: list[dict[str, object]] | None,
        **changes: object,
    ) -> "Story":
        """The same as somebody else; give `channel=None` where it follows from who files."""
        complainants = [{}] if complainants is None else complainants
        officers = [{}] if officers is None else officers
        people = [
            {"side": "complainant", "name": f"Rosa Alvarez {n}", "phone": "+1 503 555 0100", **given}
            for n, given in enumerate(complainants, 1)
        ]
        numbers = [str(given.get("employee_number", uuid4().hex[:12])) for given in officers]
        people += [
            {"side": "officer", "name": f"Officer Dale Kim {n}", **given, "employee_number": number}
            for n, (given, number) in enumerate(zip(officers, numbers, strict=True), 1)
        ]
        body = {
            "channel": "phone",
            "narrative": NARRATIVE,
            "incident_on": "2026-02-20",
            "allegations": ["discourtesy"],
            "interested_in_mediation": True,
            "parties": people,
            "intake": INTAKE,
            **changes,
        }
        filed = await filer.post("/v1/complaints", body)
        story = Story(self, str(filed["id"]), str(filed["case_id"]), str(filed["reference"]))
        listed = await self.intake.get(f"/v1/complaints/{story.complaint_id}/parties")
        on_file: list[dict[str, object]] = listed["items"]  # type: ignore[assignment]
        for person in people[: len(complainants)]:
            found = next(p for p in on_file if p["name"] == person["name"] and p["minor"] == person.get("minor", False))
            on_file.remove(found)
            given = await self.intake.post(f"/v1/parties/{found['id']}/access-codes")
            story.complainants.append(self.complainant(str(found["id"]), str(given["access_code"])))
        by_number = {str(p["employee_number"]): str(p["id"]) for p in on_file}
        for number in numbers:
            officer = self.caller(Role.OFFICER, f"officer-{number}", number)
            officer.party_id = by_number[number]
            story.officers.append(officer)
        return story


@dataclass(slots=True)
class Story:
    """One complaint and its case, with everybody who takes part; each step is a request."""

    office: Office
    complaint_id: str
    case_id: str
    reference: str
    complainants: list[Caller] = field(default_factory=list)
    officers: list[Caller] = field(default_factory=list)
    mediator: Caller | None = None
    assignment_id: str = ""
    session_id: str = ""
    agreement: Answer = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/v1/cases/{self.case_id}"

    @property
    def everybody(self) -> tuple[Caller, ...]:
        """The parties, and the mediator if there is one."""
        return (*self.complainants, *self.officers, *filter(None, (self.mediator,)))

    def copy(self, office: Office | None = None) -> "Story":
        """The same people and papers, for a test that goes on with a story which others begin with as well.

        They call the given office, where the story was told in a database that its own is a copy of.
        """
        office = office or self.office
        client = office.client
        mediator = None if self.mediator is None else replace(self.mediator, client=client)
        sides = (self.complainants, self.officers)
        complainants, officers = ([replace(who, client=client) for who in side] for side in sides)
        return replace(self, office=office, complainants=complainants, officers=officers, mediator=mediator)

    async def later(self, **by: float) -> None:
        """Let time pass, and everybody sign in again."""
        self.office.clock.advance(**by)
        for who in self.everybody:
            await self.office.renew(who)

    async def case(self) -> Answer:
        """The case, as the office sees it."""
        return await self.office.coordinator.get(self.path)

    async def state(self) -> str:
        return str((await self.case())["state"])

    async def screen(self, **body: object) -> Answer:
        return await self.office.intake.post(f"{self.path}/screenings", body)

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

    async def to_confirming(self) -> "Story":
        await self.screen()
        return self

    async def to_asking(self) -> "Story":
        await self.to_confirming()
        for complainant in self.complainants:
            await self.answer(complainant)
        return self

    async def to_ready(self) -> "Story":
        await self.to_asking()
        for officer in self.officers:
            await self.answer(officer)
        return self

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

    async def assign(self) -> Caller:
        """Propose the case to a new mediator, who accepts without a conflict."""
        self.mediator = mediator = await self.office.mediator()
        proposal = {"mediator_id": mediator.mediator_id}
        proposed = await self.office.coordinator.post(f"{self.path}/assignments", proposal)
        self.assignment_id = str(proposed["id"])
        await mediator.post(f"/v1/assignments/{self.assignment_id}/accept", NO_CONFLICT, 200)
        return mediator

    def booking(self, **changes: object) -> dict[str, object]:
        """A session of two hours that can be started at once, or whatever `changes` say."""
        starts_at = self.office.clock.now + timedelta(minutes=30)
        ends_at = starts_at + timedelta(hours=2)
        times = {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat(), "off_hours_reason": "room"}
        return {**times, "mode": "in_person", "place": "Room 4, City Hall", **changes}

    async def schedule(self, **changes: object) -> Answer:
        scheduled = await self.office.coordinator.post(f"{self.path}/sessions", self.booking(**changes))
        self.session_id = str(scheduled["id"])
        return scheduled

    async def to_scheduled(self) -> "Story":
        await self.to_ready()
        await self.assign()
        await self.schedule()
        return self

    async def make_agreement(self, **changes: object) -> Answer:
        body = {"kind": "confidentiality", "languages": ["en"], **changes}
        self.agreement = await self.office.coordinator.post(f"{self.path}/agreements", body)
        return self.agreement

    async def sign(self, who: Caller, status: int = 201) -> Answer:
        """Somebody signs the current text for themselves."""
        path = f"/v1/agreements/{self.agreement['id']}/signatures"
        return await who.post(path, {"sha256": self.agreement["sha256"]}, status)

    async def sign_on_paper(self, role: str, id_: str, status: int = 201) -> Answer:
        path = f"/v1/agreements/{self.agreement['id']}/signatures"
        body = {"sha256": self.agreement["sha256"], "signer": {"role": role, "id": id_}}
        return await self.office.coordinator.post(path, body, status)

    async def sign_resolution(self) -> None:
        """Put terms before the parties, and have all of them sign."""
        await self.make_agreement(kind="resolution", terms="Both sides talked, and shook hands.")
        for who in (*self.complainants, *self.officers):
            await self.sign(who)

    async def to_signed(self) -> "Story":
        await self.to_scheduled()
        return await self.sign_all()

    async def sign_all(self, **changes: object) -> "Story":
        """Make a confidentiality agreement, and have everybody sign it."""
        await self.make_agreement(**changes)
        for who in self.everybody:
            await self.sign(who)
        return self

    async def session(self, verb: str, body: object = None, status: int = 200) -> Answer:
        """The mediator acts on the session."""
        assert self.mediator is not None
        return await self.mediator.post(f"/v1/sessions/{self.session_id}/{verb}", body, status)

    async def to_in_session(self) -> "Story":
        await self.to_signed()
        await self.session("start", {})
        return self

    async def open_states(self) -> AsyncIterator[str]:
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

    async def to_concluded(self) -> "Story":
        await self.to_in_session()
        await self.session("complete")
        return self

    async def to_mediated(self, *, agreement_reached: bool = False) -> "Story":
        """To the close; with an agreement, after everybody has signed a resolution."""
        await self.to_concluded()
        if agreement_reached:
            await self.sign_resolution()
        await self.office.coordinator.post(f"{self.path}/closures", {"agreement_reached": agreement_reached})
        return self


NO_CONFLICT = {"knows_a_party": False, "has_an_interest": False, "took_part_before": False}
