"""Demo data: fictitious people, and cases in every state of the lifecycle, created through the service's HTTP API.

Each case is a story: an asynchronous generator that yields the time of its next step, and then makes the requests of
that step. `_run` sets the clock and runs the steps of all stories in the order of their times, so that references,
times and timelines are those of an office that has worked for six weeks. All requests share one transaction, which
commits everything or nothing.

Telephone numbers are in the range 555-01xx, which is reserved for fictitious use.
"""

import heapq
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database.engine import Database, Pool, create_engine
from mediation_api.database.row_security import reset_role
from mediation_api.dev.office import INTAKE_ANSWERS, Answer, Caller, Clock, Office, Story, Time, UnexpectedAnswer
from mediation_api.domain.access import Role
from mediation_api.domain.values import Approver, ContactChannel, Side
from mediation_api.main import create_app
from mediation_api.routers.cases import CaseList, CaseOut
from mediation_api.settings import Settings, SettingsError

Steps: TypeAlias = AsyncIterator[datetime]
"""A story: it yields the time of its next step, and makes the step's requests when it is resumed."""

COMPLAINANT_TO_TRY: Final = "Carmen Ejemplo"
"""The complainant whose access code is on the card. She was asked to take part, and has not answered."""
COMPLAINANT_TO_LOOK_AT: Final = "Jules Pattern"
"""The complainant whose session is scheduled, with conditions still missing."""
OFFICER_TO_TRY: Final = "10001"
"""The employee number for which the command line makes a token."""

_TIMEOUT_MS: Final = 60_000
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class DemoCard:
    """A complainant's access code, and commands to try in a shell in which the tokens are set."""

    access_code: str
    curl: tuple[str, ...]


class DemoError(SettingsError):
    """The demo data was refused with these settings, or the database contains other data."""


async def load_demo_data(settings: Settings) -> DemoCard:
    """Load the demo data into an empty database. If it is loaded already, only issue a new access code.

    Raises:
        DemoError: the database contains other data, or a request is refused with these settings. Nothing is loaded.
        sqlalchemy.exc.SQLAlchemyError: the database is unreachable, or was not migrated. Nothing is loaded.
    """
    engine = create_engine(settings, statement_timeout_ms=_TIMEOUT_MS, lock_timeout_ms=_TIMEOUT_MS)
    try:
        async with engine.begin() as connection, _calling(settings, engine, connection) as office:
            if await office.is_empty() and await office.add_the_roster():
                await _run([story(office) for story in STORIES], office.clock)
            office.clock.now = office.today
            return await _card(office)
    except UnexpectedAnswer as unexpected:
        raise _not_loaded(unexpected.response) from None
    finally:
        await engine.dispose()


def _not_loaded(response: httpx.Response) -> DemoError:
    request, code = response.request, response.json().get("code", "")
    answered = f"{request.method} {request.url.path} was answered {response.status_code} {code}"
    return DemoError(f"No demo data was loaded: {answered}.")


# ── the office ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _OneTransaction(Database):
    """A database that uses one connection for all requests, so that they are committed together."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection) -> None:
        super().__init__(engine, engine)
        self._connection = connection

    @asynccontextmanager
    async def transaction(
        self, pool: Pool = Pool.OFFICE, *, caller: str | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """Yield the connection, in a savepoint that is rolled back if the request fails."""
        del pool, caller
        # Always the same name: SQLAlchemy would generate a new one each time, and each would be a new prepared
        # statement that evicts those of the service.
        await self._connection.exec_driver_sql("SAVEPOINT request")
        try:
            yield self._connection
        except BaseException:
            await self._connection.exec_driver_sql("ROLLBACK TO SAVEPOINT request")
            raise
        # The role of a party would last until the end of the transaction, which this savepoint is not.
        await reset_role(self._connection)
        await self._connection.exec_driver_sql("RELEASE SAVEPOINT request")

    @asynccontextmanager
    async def reading(self, pool: Pool = Pool.OFFICE, *, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        """Yield the connection, which sees its own uncommitted writes."""
        del pool, caller
        yield self._connection

    @asynccontextmanager
    async def _snapshot(self, caller: str | None = None) -> AsyncIterator[AsyncConnection]:
        del caller
        async with self.transaction() as connection:
            yield connection


@dataclass(slots=True, kw_only=True)
class _Office(Office):
    """The office of the demo. `today` is the instant at which the data is loaded."""

    today: datetime
    mediators: dict[str, Caller] = field(default_factory=dict)

    def local_date(self, days: int) -> date:
        """Return the date in the office's time zone, `days` after today."""
        return self.today.astimezone(ZoneInfo(self.settings.time_zone)).date() + timedelta(days=days)

    def day(self, days: int, hour: int, minute: int = 0) -> datetime:
        """Return a time on that date; on a weekend, on the Friday before, or in the future on the Monday after."""
        on = self.local_date(days)
        while on.weekday() >= _SATURDAY:
            on += timedelta(days=1 if days > 0 else -1)
        return datetime.combine(on, time(hour, minute), ZoneInfo(self.settings.time_zone)).astimezone(UTC)

    async def is_empty(self) -> bool:
        """Whether there are no complaints and no mediators."""
        lists = [await self.intake.get(path) for path in ("/v1/complaints", "/v1/mediators")]
        return not any(listed["items"] for listed in lists)

    async def add_the_roster(self) -> bool:
        """Add three mediators. Returns False if another process has just loaded the demo data."""
        self.clock.now = self.day(-60, 9)
        for entry in ROSTER:
            try:
                self.mediators[str(entry["subject"])] = await self.mediator(**entry)
            except UnexpectedAnswer:
                # Subjects are unique, so a concurrent `seed` is waited for here.
                if not self.mediators:
                    return False
                raise
        return True


@asynccontextmanager
async def _calling(settings: Settings, engine: AsyncEngine, connection: AsyncConnection) -> AsyncIterator[_Office]:
    """Yield the office, with an application of its own in this process."""
    today = datetime.now(UTC)
    clock = Clock(today)
    app = create_app(settings, clock=clock)
    app.state.service = replace(app.state.service, database=_OneTransaction(engine, connection))
    # An unhandled exception is returned as a problem document, which contains no data.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://mediation.invalid") as client:
        # The same subjects as in the tokens of `mediation-api token`.
        yield _Office(client, settings, clock, subject_of=lambda role, _: f"demo-{role}", today=today)


# ── one case ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Case(Story):
    """A complaint and its case, with the settings of this city."""

    office: _Office

    async def file_by(
        self, role: Role, complainants: Sequence[Answer], officers: Sequence[Answer], **more: object
    ) -> None:
        """File the complaint four days after the incident. Only staff give the channel and the answers of intake."""
        incident_on = (self.office.clock.now.date() - timedelta(days=4)).isoformat()
        omitted = {Role.PUBLIC: ("channel", "intake"), Role.INTEGRATION: ("channel",)}.get(role, ())
        complaint = {"incident_on": incident_on, **dict.fromkeys(omitted), **more}
        await self.file(self.office.caller(role), complainants, officers, **complaint)

    async def screen(self, **decision: object) -> Answer:
        """Record the approvals that this city requires, and screen. An eligible case gets a coordinator."""
        given_on = (self.office.clock.now.date() - timedelta(days=1)).isoformat()
        for approver in self.office.settings.required_approvals:
            source = {"given_by": "Capt. Noor Invented", "given_on": given_on, "channel": "email"}
            units = {party["unit"] for party in self.parties if party["side"] == Side.OFFICER}
            for unit in units if approver is Approver.UNIT_COMMANDER else {None}:
                await self.approve(approver, unit=unit, **({} if approver is Approver.DIRECTOR else source))
        screened = await super().screen(**decision)
        if screened["eligible"]:
            coordinator = {"coordinator": self.office.subject_of(Role.COORDINATOR, None)}
            await self.office.coordinator.put(f"{self.path}/coordinator", coordinator)
        return screened

    async def answer_each(self, *people: Caller, decision: str = "agreed") -> None:
        """Let each party answer, for a minor after recording the guardian's consent."""
        for who in people:
            party = next(party for party in self.parties if party["id"] == who.party_id)
            shown = await self.office.shown_disclosure(str(party["language"]))
            if party["minor"]:
                await self.guardian_agrees(who, disclosure_sha256=shown)
            await self.answer(who, decision, disclosure_sha256=shown)

    async def schedule_at(self, starts_at: datetime, *, video: bool = False) -> None:
        """Schedule a session of two hours."""
        room = {"mode": "video", "place": None, "link": "https://meet.example.org/room-4"} if video else {}
        times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=2)).isoformat()}
        # The dates of the stories depend on today, so that any of them may be a day off.
        await self.schedule(**times, **room, off_hours_reason="parties_asked")


# ── the people ─────────────────────────────────────────────────────────────────────────────────────────────────────

FIRST, SECOND, INACTIVE = "demo-mediator", "demo-mediator-2", "demo-mediator-3"

ROSTER: Final[Sequence[Answer]] = (
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

SAMPLE: Final[Answer] = {"name": "Officer Casey Sample", "employee_number": OFFICER_TO_TRY, "unit": "Central Precinct"}
PLACEHOLDER: Final[Answer] = {"name": "Officer Robin Placeholder", "employee_number": "10002", "unit": "North Precinct"}
FICTIONAL: Final[Answer] = {"name": "Officer Lee Fictional", "employee_number": "10003", "unit": "East Precinct"}
SPECIMEN: Final[Answer] = {"name": "Sergeant Toni Specimen", "employee_number": "10004", "unit": "Central Precinct"}
INVENTED: Final[Answer] = {"name": "Officer Sam Invented", "employee_number": "10005", "unit": "North Precinct"}


def _person(name: str, number: int, **more: object) -> Answer:
    """Return a complainant with a fictitious telephone number and address."""
    email = f"{name.lower().replace(' ', '.')}@example.org"
    return {"name": name, "phone": f"503-555-{number:04}", "email": email, **more}


# ── the stories, in the order of the lifecycle ─────────────────────────────────────────────────────────────────────


async def _until_answered(case: _Case, opened: int, *people: Sequence[Answer], **complaint: object) -> Steps:
    """Taken in by staff, screened, and agreed to by the complainants within four days."""
    complainants, officers = people
    yield case.office.day(opened, 9)
    await case.file_by(Role.INTAKE, complainants, officers, **complaint)
    yield case.office.day(opened + 1, 10)
    await case.screen()
    yield case.office.day(opened + 4, 18)
    await case.answer_each(*case.complainants)


async def _until_proposed(
    case: _Case, subject: str, opened: int, *people: Sequence[Answer], **complaint: object
) -> Steps:
    """The officers agree as well, and the case is proposed to a mediator."""
    async for moment in _until_answered(case, opened, *people, **complaint):
        yield moment
    yield case.office.day(opened + 6, 9)
    await case.answer_each(*case.officers)
    await case.propose(case.office.mediators[subject])


async def _until_signed(
    case: _Case, subject: str, opened: int, session: datetime, *people: Sequence[Answer], **complaint: object
) -> Steps:
    """The mediator accepts, a session is scheduled, and everybody signs."""
    async for moment in _until_proposed(case, subject, opened, *people, **complaint):
        yield moment
    yield case.office.day(opened + 7, 9)
    await case.accept()
    await case.schedule_at(session)
    await case.make_agreement()
    yield case.office.day(opened + 11, 9)
    await case.sign_each(*case.everybody)


async def _screening(office: _Office) -> Steps:
    """Filed on the portal; nobody at the office has looked at it yet."""
    yield office.day(-5, 20, 40)
    await _Case(office).file_by(
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
    await case.file_by(
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
    await case.file_by(
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
    await case.answer_each(case.officers[1])


async def _paused(office: _Office) -> Steps:
    """The officer is on leave: a pause is noted, and the due day stays where it is."""
    case = _Case(office)
    yield office.day(-12, 12)
    await case.file_by(
        Role.PUBLIC,
        [_person("Frankie Mockup", 107, accommodations="Large print, please.")],
        [INVENTED],
        narrative="She handed me the ticket and walked off while I was still speaking.",
        allegations=["discourtesy"],
    )
    yield office.day(-11, 9)
    await case.screen(eligible=True, reason="Intake reached the complainant; nothing stands against mediation.")
    yield office.day(-9, 20)
    await case.answer_each(*case.complainants)
    yield office.day(-6, 9)
    days = min(12, office.settings.pause_max_days)
    await case.pause("leave", office.local_date(-5).isoformat(), office.local_date(days - 6).isoformat())


async def _ready_without_one_officer(office: _Office) -> Steps:
    """One officer agreed and one declined; the case goes on with the one, and waits for a mediator."""
    case = _Case(office)
    yield office.day(-11, 15)
    await case.file_by(
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
    await case.answer_each(*case.complainants)
    yield office.day(-7, 14)
    await case.answer_each(case.officers[0])
    await case.answer_each(case.officers[1], decision="declined")


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
    await case.propose(office.mediators[SECOND])


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
    await case.miss(case.officers[0])


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
    await case.schedule_at(office.day(3, 14))
    party_id = case.complainants[0].party_id
    interpreter = {"role": "interpreter", "name": "Kit Signwell", "language": "ase", "qualified": True}
    await case.expect(**interpreter, for_party_id=party_id)
    await case.make_agreement()
    yield office.day(-2, 18)
    await case.sign_each(*case.complainants)


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
    await case.schedule_at(office.day(2, 10), video=True)
    interpreter = await case.expect(role="interpreter", name="Marta Traducida", language="es", qualified=True)
    await case.confirm(interpreter)
    await case.make_agreement(languages=["en", "es"])
    yield office.day(-3, 18)
    await case.sign_each(*case.everybody)
    await case.sign_on_paper("interpreter", interpreter)


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
    await case.session("start", {})


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
    await case.session("start", {})
    yield office.day(-1, 11, 40)
    await case.make_agreement(
        kind="resolution", terms="Both will say hello when they meet, and speak about it first if they differ."
    )
    await case.sign_each(*case.complainants)
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
    await case.session("start", {})
    await case.make_agreement(kind="resolution", terms="The officer will visit the next meeting of the neighbourhood.")
    await case.sign_each(*case.complainants, *case.officers)
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
    await case.session("start", {})
    yield office.day(-22, 16)
    await case.session("adjourn")
    await case.schedule_at(office.day(-13, 14))
    yield office.day(-13, 14)
    await case.session("start", {"absent": [{"role": "party", "id": case.complainants[1].party_id}]})
    yield office.day(-13, 16)
    await case.session("complete")
    yield office.day(-11, 9)
    await case.close(agreement_reached=False)


async def _ineligible(office: _Office) -> Steps:
    """A crime is alleged: this complaint is investigated, not mediated."""
    case = _Case(office)
    yield office.day(-40, 9)
    await case.file_by(
        Role.INTEGRATION,
        [_person("Sasha Unreal", 118)],
        [PLACEHOLDER],
        narrative="Money was missing from the bag when it was given back.",
        allegations=["conduct"],
        intake={**INTAKE_ANSWERS, "crime_alleged": True},
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
    await case.answer_each(*case.officers, decision="declined")


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
    await case.session("start", {})
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
    await case.session("start", {})
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
    await case.file_by(
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
        return  # this city requires more waiting days than the demo data covers
    channels = [*ContactChannel]
    for n in range(attempts):
        yield office.day(first + n if n + 1 < attempts else last, 10 + n % 8)
        await case.try_to_reach(case.complainants[0].party_id, channel=channels[n % len(channels)])
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
    await _Case(office).file_by(
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


async def _run(stories: Sequence[Steps], clock: Time) -> None:
    """Run the steps of all stories in the order of their times. The clock never goes back."""
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
    """Return the card, with a new access code for `COMPLAINANT_TO_TRY`. Her previous code ends."""
    board = await _board(office)
    try:
        asked, signing = _with(COMPLAINANT_TO_TRY, board), _with(COMPLAINANT_TO_LOOK_AT, board)
    except StopIteration:
        raise DemoError(
            "No demo data was loaded: MEDIATION_DATABASE_URL names a database that has other data."
        ) from None
    party_id = next(p.party_id for p in asked.participants if p.name == COMPLAINANT_TO_TRY)
    code = str((await office.intake.post(f"/v1/parties/{party_id}/access-codes"))["access_code"])
    return DemoCard(access_code=code, curl=_what_to_try(code, signing.id))


async def _board(office: _Office) -> list[CaseOut]:
    """Return all cases, including those that users added."""
    cases: list[CaseOut] = []
    path: str | None = "/v1/cases"
    while path is not None:
        page = CaseList.model_validate_json((await office.coordinator.send("GET", path)).content)
        cases += [case for case in page.items if isinstance(case, CaseOut)]
        path = page.next_cursor and f"/v1/cases?cursor={page.next_cursor}"
    return cases


def _with(name: str, board: Iterable[CaseOut]) -> CaseOut:
    return next(case for case in board if any(p.name == name for p in case.participants))


def _what_to_try(access_code: str, case_id: UUID) -> tuple[str, ...]:
    """Return commands for a shell with the variables COORDINATOR and OFFICER, and API for another address."""
    api = "${API:-http://127.0.0.1:8000}"
    exchange = json.dumps({"access_code": access_code})
    return (
        f'curl -sS "{api}/v1/cases?pace=overdue" -H "Authorization: Bearer $COORDINATOR"',
        f'curl -sS "{api}/v1/cases/{case_id}/readiness" -H "Authorization: Bearer $COORDINATOR"',
        f'curl -sS "{api}/v1/cases" -H "Authorization: Bearer $OFFICER"',
        f'curl -sS "{api}/v1/disclosures?language=es"',
        f"curl -sS \"{api}/v1/access-tokens\" -H 'Content-Type: application/json' -d '{exchange}'",
    )
