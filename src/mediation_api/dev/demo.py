"""Demo data: made-up people and cases in every state of the lifecycle, told through the service's own HTTP API.

Each case is a small story. `_tell` sets the clock to the story's next moment and lets it make its requests, earliest
moment first, so that references, times and timelines are those of an office that has worked for six weeks. Everything
happens in one transaction: all of it is there afterwards, or nothing.

Everybody here is invented. Telephone numbers are of the range 555-01xx, which is kept free for that.
"""

import heapq
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.auth.identity_provider import SigningKey
from mediation_api.auth.tokens import sign_token
from mediation_api.database.engine import Database, Pool, create_engine
from mediation_api.database.row_security import reset_role
from mediation_api.dev.identity_provider import dev_signing_key
from mediation_api.domain.access import TOKEN_SCOPES, Role
from mediation_api.domain.values import Approver, ContactChannel, Side
from mediation_api.http.fields import Out
from mediation_api.main import create_app
from mediation_api.routers.access_tokens import AccessTokenOut
from mediation_api.routers.agreements import AgreementOut
from mediation_api.routers.cases import CaseList, CaseOut
from mediation_api.routers.closures import PauseOut
from mediation_api.routers.complaints import CaseOpenedOut, ComplaintFiledOut, ComplaintList
from mediation_api.routers.consents import ConsentOut, GuardianConsentOut, WithdrawalOut
from mediation_api.routers.contact_attempts import ContactAttemptOut
from mediation_api.routers.disclosures import DisclosureList
from mediation_api.routers.mediators import AssignmentOut, MediatorList, MediatorOut
from mediation_api.routers.parties import AccessCodeOut, PartyList, PartyOut
from mediation_api.routers.screenings import ApprovalOut, ScreeningOut
from mediation_api.routers.sessions import AttendeeOut, SessionOut
from mediation_api.settings import Settings, SettingsError

T = TypeVar("T", bound=Out)
Json: TypeAlias = Mapping[str, object]
Steps: TypeAlias = AsyncIterator[datetime]
"""A story: it gives the moment of its next step, and takes that step when it is asked for the moment after."""

COMPLAINANT_TO_TRY: Final = "Carmen Ejemplo"
"""Whose access code is on the card: she has been asked, and has not answered yet."""
COMPLAINANT_TO_LOOK_AT: Final = "Jules Pattern"
"""Whose case is scheduled, with something missing still."""
OFFICER_TO_TRY: Final = "10001"
"""The employee number for which the command line makes a token."""

_PATIENCE_MS: Final = 60_000
_SATURDAY: Final = 5
_TOKEN_SECONDS: Final = 300
_NOTHING: Final[Json] = {}


@dataclass(frozen=True, slots=True)
class DemoCard:
    """What to try first: a complainant's access code, and commands for a shell in which the tokens are set."""

    access_code: str
    curl: tuple[str, ...]


class DemoError(SettingsError):
    """The service, as it is set up, did not take the demo data, or the database is not empty and has none."""


async def load_demo_data(settings: Settings) -> DemoCard:
    """Load the demo data into an empty database. Where it is loaded already, only make a new access code.

    Raises:
        DemoError: the database holds other data, or the settings do not let the stories happen; nothing is loaded.
        sqlalchemy.exc.SQLAlchemyError: the database is away, or was never migrated; nothing is loaded.
    """
    engine = create_engine(settings, statement_timeout_ms=_PATIENCE_MS, lock_timeout_ms=_PATIENCE_MS)
    try:
        async with engine.begin() as connection, _calling(settings, engine, connection) as office:
            if await office.is_empty() and await office.add_the_roster():
                await _tell([story(office) for story in STORIES], office.clock)
            office.clock.now = office.today
            return await _card(office)
    finally:
        await engine.dispose()


# ── the office ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _OneTransaction(Database):
    """Gives every request the same connection, so that all of them are committed together."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection) -> None:
        super().__init__(engine, engine)
        self._connection = connection

    @asynccontextmanager
    async def transaction(
        self, pool: Pool = Pool.OFFICE, *, caller: str | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """Give the connection; what fails is undone by itself."""
        del pool, caller
        # One name: SQLAlchemy's own names, a new one each time, would be prepared each time, and crowd out what the
        # service has prepared.
        await self._connection.exec_driver_sql("SAVEPOINT request")
        try:
            yield self._connection
        except BaseException:
            await self._connection.exec_driver_sql("ROLLBACK TO SAVEPOINT request")
            raise
        # A party's role lasts to the end of the transaction, and this is none.
        await reset_role(self._connection)
        await self._connection.exec_driver_sql("RELEASE SAVEPOINT request")

    @asynccontextmanager
    async def reading(self, pool: Pool = Pool.OFFICE, *, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        """Give the connection, which sees what has been written on it."""
        del pool, caller
        yield self._connection

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncConnection]:
        async with self.transaction() as connection:
            yield connection


@dataclass(slots=True)
class _Clock:
    """The time as the stories have it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class _Caller:
    """Somebody who calls the service: with a token of the city, an access code, or nothing."""

    office: "_Office"
    role: Role
    subject: str
    employee_number: str | None = None
    access_code: str = ""
    party_id: UUID | None = None

    async def get(self, path: str, form: type[T]) -> T:
        """GET, and read the answer."""
        return await self._send("GET", path, form, None)

    async def post(self, path: str, form: type[T], body: Json | None = None) -> T:
        """POST, and read the answer."""
        return await self._send("POST", path, form, body)

    async def put(self, path: str, form: type[T], body: Json) -> T:
        """PUT, and read the answer."""
        return await self._send("PUT", path, form, body)

    async def _send(self, method: str, path: str, form: type[T], body: Json | None) -> T:
        headers = {**await self._headers(), "Idempotency-Key": str(uuid4()), "If-Match": "*"}
        answer = await self.office.client.request(method, path, json=body, headers=headers)
        if not answer.is_success:
            raise _refused(method, path, answer)
        return form.model_validate_json(answer.content)

    async def _headers(self) -> dict[str, str]:
        """A token for each request: between two of them days may go by."""
        if self.role is Role.PUBLIC:
            return {}
        if self.role is Role.COMPLAINANT:
            code = {"access_code": self.access_code}
            token = (await self.office.public.post("/v1/access-tokens", AccessTokenOut, code)).access_token
        else:
            token = sign_token(self._claims(), self.office.identity_provider)
        return {"Authorization": f"Bearer {token}"}

    def _claims(self) -> dict[str, str | int]:
        """What the city's identity provider says of the caller, at the story's time."""
        settings, now = self.office.settings, int(self.office.clock.now.timestamp())
        number = {} if self.employee_number is None else {"employee_number": self.employee_number}
        scope = {"scope": " ".join(sorted(TOKEN_SCOPES))} if self.role is Role.INTEGRATION else {}
        return {
            "iss": settings.token_issuer,
            "aud": settings.token_audience,
            "sub": self.subject,
            settings.role_claim: self.role,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
            "jti": str(uuid4()),
            **number,
            **scope,
        }


def _refused(method: str, path: str, answer: httpx.Response) -> DemoError:
    code = answer.json().get("code", "")
    return DemoError(f"No demo data was loaded: {method} {path} was answered {answer.status_code} {code}.")


@dataclass(slots=True)
class _Office:
    """The office's staff and mediators. `today` is the instant at which the data is loaded."""

    settings: Settings
    client: httpx.AsyncClient
    clock: _Clock
    today: datetime
    identity_provider: SigningKey
    mediators: dict[str, UUID] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def caller(self, role: Role, employee_number: str | None = None) -> _Caller:
        """Somebody with the subject that `mediation-api token --role …` gives."""
        return _Caller(self, role, f"demo-{role.value}", employee_number)

    @property
    def public(self) -> _Caller:
        return self.caller(Role.PUBLIC)

    @property
    def intake(self) -> _Caller:
        return self.caller(Role.INTAKE)

    @property
    def coordinator(self) -> _Caller:
        return self.caller(Role.COORDINATOR)

    @property
    def director(self) -> _Caller:
        return self.caller(Role.DIRECTOR)

    def mediator(self, subject: str) -> _Caller:
        """Somebody on the roster."""
        return _Caller(self, Role.MEDIATOR, subject)

    def local_date(self, days: int) -> date:
        """The date on the office's calendar so many days from today."""
        return self.today.astimezone(ZoneInfo(self.settings.time_zone)).date() + timedelta(days=days)

    def day(self, days: int, hour: int, minute: int = 0) -> datetime:
        """A time of that day; instead of a weekend's, of the Friday before, or when it is ahead, the Monday after."""
        on = self.local_date(days)
        while on.weekday() >= _SATURDAY:
            on += timedelta(days=1 if days > 0 else -1)
        return datetime.combine(on, time(hour, minute), ZoneInfo(self.settings.time_zone)).astimezone(UTC)

    async def is_empty(self) -> bool:
        """Whether nobody has filed a complaint, and nobody is on the roster."""
        complaints = await self.intake.get("/v1/complaints", ComplaintList)
        mediators = await self.intake.get("/v1/mediators", MediatorList)
        return not complaints.items and not mediators.items

    async def add_the_roster(self) -> bool:
        """Put three people on the roster. Answers False when somebody else has just loaded the demo data."""
        self.clock.now = self.day(-60, 9)
        for entry in ROSTER:
            try:
                added = await self.coordinator.post("/v1/mediators", MediatorOut, entry)
            except DemoError:
                # A subject is on the roster once: another `seed` that had begun is waited for here.
                if not self.mediators:
                    return False
                raise
            self.mediators[added.subject] = added.id
        return True

    async def disclosure(self, language: str) -> str:
        """The hash of the current disclosure, in English where there is none in the language."""
        if not self.texts:
            listed = await self.public.get("/v1/disclosures", DisclosureList)
            self.texts = {text.language: text.sha256 for text in listed.items}
        return self.texts.get(language, self.texts["en"])


@asynccontextmanager
async def _calling(settings: Settings, engine: AsyncEngine, connection: AsyncConnection) -> AsyncIterator[_Office]:
    """The office, on an application of its own in this process."""
    today = datetime.now(UTC)
    clock = _Clock(today)
    app = create_app(settings, clock=clock)
    app.state.service = replace(app.state.service, database=_OneTransaction(engine, connection))
    # An error inside is answered like any other refusal, and never shows the data it was about.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://mediation.invalid") as client:
        yield _Office(settings, client, clock, today, dev_signing_key(settings.data_directory))


# ── one case ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Case:
    """A complaint and its case, with what the steps of its story need to remember."""

    office: _Office
    complaint_id: UUID | None = None
    case_id: UUID | None = None
    complainants: list[_Caller] = field(default_factory=list)
    officers: list[_Caller] = field(default_factory=list)
    parties: dict[UUID, PartyOut] = field(default_factory=dict)
    mediator: _Caller | None = None
    session_id: UUID | None = None
    agreement: AgreementOut | None = None

    @property
    def path(self) -> str:
        return f"/v1/cases/{self.case_id}"

    async def file(self, by: Role, complainants: Sequence[Json], officers: Sequence[Json], **complaint: object) -> None:
        """File the complaint, by staff with every question of intake answered, and learn who takes part."""
        people = [{"side": Side.COMPLAINANT, **person} for person in complainants]
        people += [{"side": Side.OFFICER, **person} for person in officers]
        incident_on = self.office.clock.now.date() - timedelta(days=4)
        body = {
            "interested_in_mediation": True,
            "incident_on": incident_on.isoformat(),
            "parties": people,
            **({"filed_by": None} if by is Role.PUBLIC else {"intake": KNOWN}),
            **complaint,
        }
        filed = await self.office.caller(by).post("/v1/complaints", ComplaintFiledOut, body)
        self.complaint_id, self.case_id = filed.id, filed.case_id
        listed = await self.office.intake.get(f"/v1/complaints/{filed.id}/parties", PartyList)
        self.parties = {party.id: party for party in listed.items}
        for party in listed.items:
            if party.side is Side.COMPLAINANT:
                # The office hands each person their own code, once it has reached them.
                code = await self.office.intake.post(f"/v1/parties/{party.id}/access-codes", AccessCodeOut)
                caller = _Caller(self.office, Role.COMPLAINANT, "", access_code=code.access_code, party_id=party.id)
                self.complainants.append(caller)
            else:
                officer = self.office.caller(Role.OFFICER, party.employee_number)
                self.officers.append(replace(officer, party_id=party.id))

    async def screen(self, **decision: object) -> None:
        """Intake screens, or with a decision the director; a coordinator takes over what is eligible."""
        for approver in self.office.settings.required_approvals:
            units = {p.unit for p in self.parties.values() if p.side is Side.OFFICER}
            for unit in units if approver is Approver.UNIT_COMMANDER else {None}:
                approval: dict[str, object] = {"approver": approver, "approved": True, "unit": unit}
                if approver is not Approver.DIRECTOR:
                    given_on = self.office.clock.now.date() - timedelta(days=1)
                    approval |= {
                        "given_by": "Capt. Noor Invented",
                        "given_on": given_on.isoformat(),
                        "channel": "email",
                    }
                await self.office.director.post(f"{self.path}/approvals", ApprovalOut, approval)
        who = self.office.director if decision else self.office.intake
        screened = await who.post(f"{self.path}/screenings", ScreeningOut, decision)
        if screened.eligible:
            runs = {"coordinator": self.office.coordinator.subject}
            await self.office.coordinator.put(f"{self.path}/coordinator", CaseOut, runs)

    async def answer(self, *callers: _Caller, decision: str = "agreed") -> None:
        """Parties answer for themselves; a minor's guardian has told the office before."""
        for who in callers:
            party = next(party for party in self.parties.values() if party.id == who.party_id)
            shown = await self.office.disclosure(party.language)
            if party.minor:
                told = {"party_id": str(party.id), "channel": "phone", "disclosure_sha256": shown}
                await self.office.intake.post(f"{self.path}/guardian-consents", GuardianConsentOut, told)
            body = {"decision": decision, "disclosure_sha256": shown}
            await who.post(f"{self.path}/consents", ConsentOut, body)

    async def propose(self, subject: str) -> _Caller:
        """Propose the case to a mediator."""
        self.mediator = self.office.mediator(subject)
        proposal = {"mediator_id": str(self.office.mediators[subject])}
        await self.office.coordinator.post(f"{self.path}/assignments", AssignmentOut, proposal)
        return self.mediator

    async def accept(self, **conflicts: bool) -> None:
        """The mediator accepts, and declares the conflicts given, or none."""
        declared = {"knows_a_party": False, "has_an_interest": False, "took_part_before": False, **conflicts}
        case = await self.office.coordinator.get(self.path, CaseOut)
        if case.assignment is not None and self.mediator is not None:
            path = f"/v1/assignments/{case.assignment.id}/accept"
            await self.mediator.post(path, AssignmentOut, declared)

    async def schedule(self, starts_at: datetime, *, minutes: int = 120, video: bool = False) -> None:
        """Schedule a session."""
        booking = {
            "starts_at": starts_at.isoformat(),
            "ends_at": (starts_at + timedelta(minutes=minutes)).isoformat(),
            "mode": "video" if video else "in_person",
            # The days of the stories are counted from today, so that any of them may be a day off.
            "off_hours_reason": "parties_asked",
            **({"link": "https://meet.example.org/room-4"} if video else {"place": "Room 4, City Hall"}),
        }
        scheduled = await self.office.coordinator.post(f"{self.path}/sessions", SessionOut, booking)
        self.session_id = scheduled.id

    async def expect(self, **attendee: object) -> AttendeeOut:
        """Expect an interpreter or a support person."""
        return await self.office.intake.post(f"{self.path}/attendees", AttendeeOut, attendee)

    async def confirm(self, attendee: AttendeeOut) -> None:
        """The interpreter or support person has said that they will come."""
        await self.office.intake.post(f"/v1/attendees/{attendee.id}/confirm", AttendeeOut)

    async def make_agreement(self, *languages: str, terms: str | None = None) -> None:
        """Put the confidentiality agreement before everybody, or with terms a resolution agreement."""
        kind = "confidentiality" if terms is None else "resolution"
        body: dict[str, object] = {"kind": kind, "languages": languages or ("en",)}
        if terms is not None:
            body["terms"] = terms
        self.agreement = await self.office.coordinator.post(f"{self.path}/agreements", AgreementOut, body)

    async def sign(self, *callers: _Caller) -> None:
        """Each signs electronically for themselves."""
        for who in callers:
            await who.post(self._signatures, Out, {"sha256": self._sha256})

    async def sign_on_paper(self, role: str, signer_id: UUID | None) -> None:
        """Staff record a signature on paper."""
        body = {"sha256": self._sha256, "signer": {"role": role, "id": str(signer_id)}}
        await self.office.coordinator.post(self._signatures, Out, body)

    @property
    def everybody(self) -> list[_Caller]:
        """The parties and the mediator."""
        return [*self.complainants, *self.officers, *([self.mediator] if self.mediator else [])]

    async def session(self, verb: str, body: Json | None = None) -> None:
        """The mediator acts on the session."""
        if self.mediator is not None:
            await self.mediator.post(f"/v1/sessions/{self.session_id}/{verb}", SessionOut, body)

    async def withdraw(self, who: _Caller) -> None:
        """A party leaves."""
        await who.post(f"{self.path}/withdrawals", WithdrawalOut)

    async def pause(self, reason: str, starts_on: date, ends_on: date) -> None:
        """Note a pause, no longer than the city allows."""
        ends_on = min(ends_on, starts_on + timedelta(days=self.office.settings.pause_max_days - 1))
        body = {"reason": reason, "starts_on": starts_on.isoformat(), "ends_on": ends_on.isoformat()}
        await self.office.coordinator.post(f"{self.path}/pauses", PauseOut, body)

    async def try_to_reach(self, channel: ContactChannel) -> None:
        """Nobody answers the office."""
        body = {
            "party_id": str(self.complainants[0].party_id),
            "channel": channel,
            "result": "no_answer",
            "attempted_at": self.office.clock.now.isoformat(),
        }
        await self.office.coordinator.post(f"{self.path}/contact-attempts", ContactAttemptOut, body)

    async def lapse(self) -> None:
        """Nobody could be reached."""
        await self.office.coordinator.post(f"{self.path}/lapses", CaseOut, {"reason": "unreachable"})

    async def request_again(self) -> None:
        """Somebody calls the office: a new case for the same complaint."""
        path = f"/v1/complaints/{self.complaint_id}/mediation-requests"
        self.case_id = (await self.office.intake.post(path, CaseOpenedOut)).id

    async def close(self, *, agreement_reached: bool) -> None:
        """Close the case as mediated."""
        body = {"agreement_reached": agreement_reached}
        await self.office.coordinator.post(f"{self.path}/closures", CaseOut, body)

    @property
    def _signatures(self) -> str:
        return f"/v1/agreements/{self.agreement.id if self.agreement else ''}/signatures"

    @property
    def _sha256(self) -> str:
        return self.agreement.sha256 if self.agreement else ""


# ── who is in it ───────────────────────────────────────────────────────────────────────────────────────────────────

FIRST, SECOND, INACTIVE = "demo-mediator", "demo-mediator-2", "demo-mediator-3"

ROSTER: Final[Sequence[Json]] = (
    {
        "name": "Amina Neutral",
        "subject": FIRST,
        "languages": ["en", "es"],
        "email": "amina.neutral@example.org",
        "phone": "503-555-0190",
    },
    {
        "name": "Bo Evenhand",
        "subject": SECOND,
        "languages": ["en", "ase"],
        "email": "bo.evenhand@example.org",
        "phone": "503-555-0191",
    },
    {"name": "Chris Onleave", "subject": INACTIVE, "languages": ["en", "fr"], "active": False},
)

SAMPLE: Final[Json] = {"name": "Officer Casey Sample", "employee_number": OFFICER_TO_TRY, "unit": "Central Precinct"}
PLACEHOLDER: Final[Json] = {"name": "Officer Robin Placeholder", "employee_number": "10002", "unit": "North Precinct"}
FICTIONAL: Final[Json] = {"name": "Officer Lee Fictional", "employee_number": "10003", "unit": "East Precinct"}
SPECIMEN: Final[Json] = {"name": "Sergeant Toni Specimen", "employee_number": "10004", "unit": "Central Precinct"}
INVENTED: Final[Json] = {"name": "Officer Sam Invented", "employee_number": "10005", "unit": "North Precinct"}

KNOWN: Final[Json] = {
    "crime_alleged": False,
    "serious_injury": False,
    "litigation_pending": False,
    "officer_is_witness": False,
}
"""Answers of intake under which every rule passes."""


def _person(name: str, number: int, **more: object) -> Json:
    """A complainant with a telephone number and an address that nobody has."""
    email = f"{name.lower().replace(' ', '.')}@example.org"
    return {"name": name, "phone": f"503-555-{number:04}", "email": email, **more}


# ── the stories, in the order of the lifecycle ─────────────────────────────────────────────────────────────────────


async def _until_answered(case: _Case, opened: int, *people: Sequence[Json], **complaint: object) -> Steps:
    """Taken in by staff, screened, and agreed to by the complainants within four days."""
    complainants, officers = people
    yield case.office.day(opened, 9)
    await case.file(Role.INTAKE, complainants, officers, **complaint)
    yield case.office.day(opened + 1, 10)
    await case.screen()
    yield case.office.day(opened + 4, 18)
    await case.answer(*case.complainants)


async def _until_proposed(
    case: _Case, subject: str, opened: int, *people: Sequence[Json], **complaint: object
) -> Steps:
    """The officers agree as well, and the case is proposed to a mediator."""
    async for moment in _until_answered(case, opened, *people, **complaint):
        yield moment
    yield case.office.day(opened + 6, 9)
    await case.answer(*case.officers)
    await case.propose(subject)


async def _until_signed(
    case: _Case, subject: str, opened: int, session: datetime, *people: Sequence[Json], **complaint: object
) -> Steps:
    """The mediator accepts, a session is scheduled, and everybody signs."""
    async for moment in _until_proposed(case, subject, opened, *people, **complaint):
        yield moment
    yield case.office.day(opened + 7, 9)
    await case.accept()
    await case.schedule(session)
    await case.make_agreement("en")
    yield case.office.day(opened + 11, 9)
    await case.sign(*case.everybody)


async def _screening(office: _Office) -> Steps:
    """Filed on the portal; nobody at the office has looked at it yet."""
    yield office.day(-5, 20, 40)
    await _Case(office).file(
        Role.PUBLIC,
        [_person("Alex Demo", 101)],
        [SAMPLE],
        narrative="He told me to move along before I could ask anything. I would like to know what I did wrong.",
        allegations=["discourtesy"],
        incident_place="Corner of First Avenue and Example Street",
    )


async def _director_review(office: _Office) -> Steps:
    """By telephone; the officer is not known yet, so the rules leave it to a person."""
    case = _Case(office)
    yield office.day(-7, 10, 5)
    await case.file(
        Role.INTAKE,
        [_person("Bailey Instance", 102, safe_contact="By telephone after six; not at work.")],
        [],
        channel="phone",
        narrative="Two officers stopped her car and did not give their names. She wants to talk about it.",
        allegations=["procedure"],
    )
    yield office.day(-6, 9, 30)
    await case.screen()


async def _confirming(office: _Office) -> Steps:
    """In Spanish; she has been asked, and her access code is on the card."""
    case = _Case(office)
    yield office.day(-8, 9, 15)
    await case.file(
        Role.INTAKE,
        [_person(COMPLAINANT_TO_TRY, 103, language="es")],
        [PLACEHOLDER],
        channel="email",
        narrative="El agente no quiso escucharme y me habló sin respeto delante de mis hijos.",
        allegations=["discourtesy", "disparate_treatment"],
        precinct="North",
    )
    yield office.day(-7, 11)
    await case.screen()


async def _asking(office: _Office) -> Steps:
    """At risk: a minor with his guardian and a second complainant agreed; of two officers one has answered."""
    case = _Case(office)
    guardian = {"name": "Dana Muestra", "relation": "parent", "phone": "503-555-0105", "email": "dana@example.org"}
    async for moment in _until_answered(
        case,
        -23,
        [_person("Diego Muestra", 104, minor=True, guardian=guardian), _person("Emery Example", 106)],
        [SAMPLE, SPECIMEN],
        channel="letter",
        narrative="Both were searched outside the library. They say that nobody told them why.",
        allegations=["procedure", "conduct"],
        precinct="Central",
    ):
        yield moment
    yield office.day(-14, 9)
    await case.answer(case.officers[1])


async def _paused(office: _Office) -> Steps:
    """The officer is on leave: a pause is noted, and the due day stays where it is."""
    case = _Case(office)
    yield office.day(-12, 12)
    await case.file(
        Role.PUBLIC,
        [_person("Frankie Mockup", 107, accommodations="Large print, please.")],
        [INVENTED],
        narrative="She handed me the ticket and walked off while I was still speaking.",
        allegations=["discourtesy"],
    )
    yield office.day(-11, 9)
    await case.screen(eligible=True, reason="Intake reached the complainant; nothing stands against mediation.")
    yield office.day(-9, 20)
    await case.answer(*case.complainants)
    yield office.day(-6, 9)
    await case.pause("leave", office.local_date(-5), office.local_date(6))


async def _ready_without_one_officer(office: _Office) -> Steps:
    """One officer agreed and one declined; the case goes on with the one, and waits for a mediator."""
    case = _Case(office)
    yield office.day(-11, 15)
    await case.file(
        Role.INTEGRATION,
        [_person("Gray Prototype", 108)],
        [PLACEHOLDER, FICTIONAL],
        narrative="They argued with each other over my head as if I were not there.",
        allegations=["conduct"],
        external_reference="DEMO-0001",
    )
    yield office.day(-10, 10)
    await case.screen()
    yield office.day(-9, 21)
    await case.answer(*case.complainants)
    yield office.day(-7, 14)
    await case.answer(case.officers[0])
    await case.answer(case.officers[1], decision="declined")


async def _ready_and_silent(office: _Office) -> Steps:
    """A first mediator knew the officer; the second has not answered for too long."""
    case = _Case(office)
    async for moment in _until_proposed(
        case,
        FIRST,
        -20,
        [_person("Harper Sketch", 109)],
        [FICTIONAL],
        channel="in_person",
        narrative="Nobody came back to take the report that was promised to him twice.",
        allegations=["procedure"],
    ):
        yield moment
    yield office.day(-13, 10)
    await case.accept(knows_a_party=True)
    await case.propose(SECOND)


async def _overdue(office: _Office) -> Steps:
    """Overdue: the officer did not come to the session, and the director has to decide."""
    case = _Case(office)
    async for moment in _until_signed(
        case,
        FIRST,
        -36,
        office.day(-8, 10),
        [_person("Indigo Draft", 110)],
        [SAMPLE],
        channel="phone",
        narrative="The officer laughed when the caller asked for a name and a number.",
        allegations=["discourtesy"],
    ):
        yield moment
    yield office.day(-8, 11)
    await case.session("absences", {"party_id": str(case.officers[0].party_id), "excused": False})


async def _scheduled(office: _Office) -> Steps:
    """Sign language: the interpreter has not confirmed yet, and not everybody has signed."""
    case = _Case(office)
    jules = _person(
        COMPLAINANT_TO_LOOK_AT, 111, interpreter_language="ase", accommodations="A seat facing the interpreter."
    )
    async for moment in _until_proposed(
        case,
        SECOND,
        -18,
        [jules],
        [SPECIMEN],
        channel="email",
        narrative="I am Deaf. He kept speaking to my brother and would not write anything down for me.",
        allegations=["discourtesy", "disparate_treatment"],
    ):
        yield moment
    yield office.day(-11, 9)
    await case.accept()
    yield office.day(-4, 9)
    await case.schedule(office.day(3, 14))
    party_id = str(case.complainants[0].party_id)
    interpreter = {"role": "interpreter", "name": "Kit Signwell", "language": "ase", "qualified": True}
    await case.expect(**interpreter, for_party_id=party_id)
    await case.make_agreement("en")
    yield office.day(-2, 18)
    await case.sign(*case.complainants)


async def _scheduled_and_signed(office: _Office) -> Steps:
    """By video, in two languages; everybody has signed the same text, and nothing is missing."""
    case = _Case(office)
    async for moment in _until_proposed(
        case,
        FIRST,
        -16,
        [_person("Luz Ficticia", 112, language="es", interpreter_language="es")],
        [INVENTED],
        channel="in_person",
        narrative="Dice que pidió un intérprete tres veces y que nadie la escuchó.",
        allegations=["procedure"],
    ):
        yield moment
    yield office.day(-9, 9)
    await case.accept()
    yield office.day(-6, 9)
    await case.schedule(office.day(2, 10), video=True)
    interpreter = await case.expect(role="interpreter", name="Marta Traducida", language="es", qualified=True)
    await case.confirm(interpreter)
    await case.make_agreement("en", "es")
    yield office.day(-3, 18)
    await case.sign(*case.everybody)
    await case.sign_on_paper("interpreter", interpreter.id)


async def _in_session(office: _Office) -> Steps:
    """They are talking now."""
    case = _Case(office)
    async for moment in _until_signed(
        case,
        SECOND,
        -24,
        office.today - timedelta(minutes=40),
        [_person("Nico Mannequin", 113)],
        [SAMPLE],
        channel="phone",
        narrative="He was told to wait in the rain while his papers were checked, and was not told for what.",
        allegations=["conduct"],
    ):
        yield moment
    yield office.today - timedelta(minutes=35)
    await case.session("start", _NOTHING)


async def _concluded(office: _Office) -> Steps:
    """The session came to its end; one of two has signed the terms they found, and the case is to be closed."""
    case = _Case(office)
    async for moment in _until_signed(
        case,
        FIRST,
        -26,
        office.day(-1, 10),
        [_person("Oakley Template", 114)],
        [SPECIMEN],
        channel="email",
        narrative="I was spoken to like a child in front of my customers.",
        allegations=["discourtesy"],
    ):
        yield moment
    yield office.day(-1, 10)
    await case.session("start", _NOTHING)
    yield office.day(-1, 11, 40)
    await case.make_agreement(
        "en", terms="Both will say hello when they meet, and speak about it first if they differ."
    )
    await case.sign(*case.complainants)
    yield office.day(-1, 12)
    await case.session("complete")


async def _mediated(office: _Office) -> Steps:
    """In time, with an agreement; the complaint is closed without a finding."""
    case = _Case(office)
    async for moment in _until_signed(
        case,
        FIRST,
        -45,
        office.day(-29, 10),
        [_person("Parker Dummy", 115)],
        [FICTIONAL],
        channel="phone",
        narrative="The officer would not explain the stop, and drove away.",
        allegations=["procedure"],
    ):
        yield moment
    yield office.day(-29, 10)
    await case.session("start", _NOTHING)
    await case.make_agreement("en", terms="The officer will visit the next meeting of the neighbourhood.")
    await case.sign(*case.complainants, *case.officers)
    yield office.day(-29, 12)
    await case.session("complete")
    yield office.day(-28, 9)
    await case.close(agreement_reached=True)


async def _mediated_without_agreement(office: _Office) -> Steps:
    """Two sessions, no agreement, a few days late: mediated all the same, but for who was not in the second one."""
    case = _Case(office)
    async for moment in _until_signed(
        case,
        SECOND,
        -43,
        office.day(-22, 14),
        [_person("Quinn Nobody", 116), _person("Riley Stand-In", 117)],
        [INVENTED],
        channel="in_person",
        narrative="They were sent away from the square, and their friends were not.",
        allegations=["disparate_treatment"],
    ):
        yield moment
    yield office.day(-22, 14)
    await case.session("start", _NOTHING)
    yield office.day(-22, 16)
    await case.session("adjourn")
    await case.schedule(office.day(-13, 14))
    yield office.day(-13, 14)
    await case.session("start", {"absent": [{"role": "party", "id": str(case.complainants[1].party_id)}]})
    yield office.day(-13, 16)
    await case.session("complete")
    yield office.day(-11, 9)
    await case.close(agreement_reached=False)


async def _ineligible(office: _Office) -> Steps:
    """A crime is alleged: this complaint is investigated, not mediated."""
    case = _Case(office)
    yield office.day(-40, 9)
    await case.file(
        Role.INTEGRATION,
        [_person("Sasha Unreal", 118)],
        [PLACEHOLDER],
        narrative="Money was missing from the bag when it was given back.",
        allegations=["conduct"],
        intake={**KNOWN, "crime_alleged": True},
        external_reference="DEMO-0002",
    )
    yield office.day(-39, 9)
    await case.screen()


async def _declined(office: _Office) -> Steps:
    """The officer declined; the complaint is investigated, and nobody is told who did not agree."""
    case = _Case(office)
    async for moment in _until_answered(
        case,
        -35,
        [_person("Tatum Makebelieve", 119)],
        [SPECIMEN],
        channel="phone",
        narrative="He was called names, he says, and wants to hear why.",
        allegations=["discourtesy"],
    ):
        yield moment
    yield office.day(-29, 9)
    await case.answer(*case.officers, decision="declined")


async def _withdrawn(office: _Office) -> Steps:
    """The complainant left during the session; no reason was asked for, and none is kept."""
    case = _Case(office)
    async for moment in _until_signed(
        case,
        FIRST,
        -38,
        office.day(-20, 10),
        [_person("Uma Pretend", 120)],
        [INVENTED],
        channel="letter",
        narrative="She writes that she does not feel safe on her own street any more.",
        allegations=["conduct"],
    ):
        yield moment
    yield office.day(-20, 10)
    await case.session("start", _NOTHING)
    yield office.day(-20, 10, 50)
    await case.withdraw(case.complainants[0])


async def _ended(office: _Office) -> Steps:
    """The mediator ended it; only that it ended is kept."""
    case = _Case(office)
    async for moment in _until_signed(
        case,
        SECOND,
        -33,
        office.day(-15, 10),
        [_person("Val Imaginary", 121)],
        [FICTIONAL],
        channel="in_person",
        narrative="The conversation at the counter became loud, and he was asked to leave.",
        allegations=["discourtesy"],
    ):
        yield moment
    yield office.day(-15, 10)
    await case.session("start", _NOTHING)
    yield office.day(-15, 10, 30)
    await case.session("end")


async def _lapsed_and_tried_again(office: _Office) -> Steps:
    """Nobody answered; later she called, and a second case was opened for the same complaint."""
    case = _Case(office)
    city = office.settings
    attempts = max(city.contact_attempts_before_lapse, city.contact_channels_before_lapse)
    # A weekend can take two days from the days between two attempts.
    first, last = -44, -44 + max(city.contact_days_before_lapse + 2, attempts - 1)
    yield office.day(first - 2, 9)
    await case.file(
        Role.INTAKE,
        [_person("Wren Fabricated", 122)],
        [PLACEHOLDER],
        channel="phone",
        narrative="Her neighbour's call was answered after an hour, hers not at all.",
        allegations=["procedure"],
    )
    yield office.day(first - 1, 9)
    await case.screen()
    if last >= -1:
        return  # this city waits for longer than the demo data goes back
    channels = [*ContactChannel]
    for n in range(attempts):
        yield office.day(first + n if n + 1 < attempts else last, 10 + n % 8)
        await case.try_to_reach(channels[n % len(channels)])
    yield office.day(last + 1, 9)
    await case.lapse()
    again = last + 1 + city.days_between_attempts + 2
    if city.max_attempts > 1 and again < -1:
        yield office.day(max(again, -10), 9)
        await case.request_again()
        yield office.day(max(again, -10) + 1, 9)
        await case.screen()


async def _not_interested(office: _Office) -> Steps:
    """Not open to mediation: a complaint, and no case."""
    yield office.day(-6, 21)
    await _Case(office).file(
        Role.PUBLIC,
        [_person("Xen Hypothetical", 123)],
        [SAMPLE],
        narrative="I want this looked into. I do not want to meet him.",
        allegations=["conduct"],
        interested_in_mediation=False,
    )


STORIES: Final[Sequence[Callable[[_Office], Steps]]] = (
    _screening,
    _director_review,
    _confirming,
    _asking,
    _paused,
    _ready_without_one_officer,
    _ready_and_silent,
    _overdue,
    _scheduled,
    _scheduled_and_signed,
    _in_session,
    _concluded,
    _mediated,
    _mediated_without_agreement,
    _ineligible,
    _declined,
    _withdrawn,
    _ended,
    _lapsed_and_tried_again,
    _not_interested,
)


async def _tell(stories: Sequence[Steps], clock: _Clock) -> None:
    """Tell all stories at once, always the one whose next moment is the earliest. The clock never goes back."""
    waiting = [(await anext(story), number) for number, story in enumerate(stories)]
    heapq.heapify(waiting)
    while waiting:
        moment, number = heapq.heappop(waiting)
        clock.now = max(clock.now, moment)
        following: datetime | None = await anext(stories[number], None)
        if following is not None:
            heapq.heappush(waiting, (following, number))


# ── the card ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _card(office: _Office) -> DemoCard:
    """Find the people of the stories again, and give one of them a new access code; her code before stops working."""
    board = await _board(office)
    try:
        asked, signing = _with(COMPLAINANT_TO_TRY, board), _with(COMPLAINANT_TO_LOOK_AT, board)
    except StopIteration:
        raise DemoError(
            "No demo data was loaded: MEDIATION_DATABASE_URL names a database that has other data."
        ) from None
    party_id = next(p.party_id for p in asked.participants if p.name == COMPLAINANT_TO_TRY)
    code = (await office.intake.post(f"/v1/parties/{party_id}/access-codes", AccessCodeOut)).access_code
    return DemoCard(access_code=code, curl=_what_to_try(code, signing.id))


async def _board(office: _Office) -> list[CaseOut]:
    """Every case, however many were added since."""
    cases: list[CaseOut] = []
    path: str | None = "/v1/cases"
    while path is not None:
        page = await office.coordinator.get(path, CaseList)
        cases += [case for case in page.items if isinstance(case, CaseOut)]
        path = page.next_cursor and f"/v1/cases?cursor={page.next_cursor}"
    return cases


def _with(name: str, board: Iterable[CaseOut]) -> CaseOut:
    return next(case for case in board if any(p.name == name for p in case.participants))


def _what_to_try(access_code: str, case_id: UUID) -> tuple[str, ...]:
    """Commands for a shell that knows COORDINATOR and OFFICER, and API where the service has another address."""
    api = "${API:-http://127.0.0.1:8000}"
    exchange = json.dumps({"access_code": access_code})
    return (
        f'curl -sS "{api}/v1/cases?pace=overdue" -H "Authorization: Bearer $COORDINATOR"',
        f'curl -sS "{api}/v1/cases/{case_id}/readiness" -H "Authorization: Bearer $COORDINATOR"',
        f'curl -sS "{api}/v1/cases" -H "Authorization: Bearer $OFFICER"',
        f'curl -sS "{api}/v1/disclosures?language=es"',
        f"curl -sS \"{api}/v1/access-tokens\" -H 'Content-Type: application/json' -d '{exchange}'",
    )
