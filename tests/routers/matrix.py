"""Every operation of the contract, called by everybody, for what is theirs, somebody else's, nobody's, and over.

The operations, their paths, and what is sent come from the committed contract; what has to come of it from what
each declares at its route (http/routes.py). A cell is one operation, one role and one object:

| Object | Its ids |
| --- | --- |
| own | the caller's own party, case, session, … |
| fellow | those of the same case, where they are somebody else's of the same side |
| opponent | the same, of the other side |
| foreign | those of a case that the caller has no part in |
| absent | those of nothing |
| closed | those of a case that the caller had a part in |

What is done in a cell is undone before the next one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import uuid4

from fastapi import FastAPI
from sqlalchemy import insert
from tests.conftest import RolledBackDatabase
from tests.openapi.test_contract import committed

from mediation_api.database.tables import guardian_consents
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain.access import Relation, Role
from mediation_api.http.pagination import FOR_ALL_BUT_PARTIES, FOR_THE_OFFICE
from mediation_api.main import OPERATIONS

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Table: TypeAlias = Mapping[str, Mapping[Role, Relation]]
Ids: TypeAlias = Mapping[str, str]

ACCESS: Final[Table] = {name: operation.access for name, operation in OPERATIONS.items()}
"""Who may call each operation."""


class Object(StrEnum):
    """How what a request names stands to its caller."""

    OWN = "own"
    FELLOW = "fellow"
    OPPONENT = "opponent"
    FOREIGN = "foreign"
    ABSENT = "absent"
    CLOSED = "closed"


SAME: Final = frozenset({Object.FELLOW, Object.OPPONENT})
"""Objects of the caller's own case that are somebody else's."""


class Outcome(StrEnum):
    """What has to come of a request."""

    UNKNOWN = "401"
    """Whoever calls has to say who they are."""
    FORBIDDEN = "403"
    """Nobody of this role may do this, to whatever."""
    NOT_THERE = "404"
    """For the caller there is no such thing."""
    LET_THROUGH = "let through"
    """It is done, or the rules of mediation say why not; the same to everybody who is let through."""
    BROKEN = "500"
    """Never."""


PEOPLE: Final = frozenset(
    {
        "party_id",
        "signer",
        "mediator_id",
        "assignment_id",
        "report_id",
        "consent_id",
        "guardian_consent_id",
        "withdrawal_id",
    }
)
"""What names one of those who take part in a case or what is theirs, and not the case."""

STAFF: Final = frozenset({Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR})

_NOWHERE: Final = "00000000-0000-4000-8000-000000000000"
_NOTHING: Final[Ids] = {
    **dict.fromkeys(
        (
            "complaint_id",
            "case_id",
            "party_id",
            "session_id",
            "agreement_id",
            "assignment_id",
            "attendee_id",
            "mediator_id",
            "report_id",
            "hold_id",
            "erasure_id",
            "consent_id",
            "guardian_consent_id",
            "withdrawal_id",
            "screening_id",
            "approval_id",
            "pause_id",
            "contact_attempt_id",
            "import_id",
            "webhook_endpoint_id",
            "webhook_delivery_id",
        ),
        _NOWHERE,
    ),
    "sha256": "f" * 64,
    "code": "no-such-problem",
    "token": f"{'A' * 32}.ics",
    "access_code": "00000-00000-00000-00000-00000-00000-00000",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract. `bodies` are its examples: as a party sends it, and as staff do."""

    name: str
    method: str
    path: str
    tag: str
    filters: tuple[str, ...]
    bodies: Mapping[str, Json]

    @property
    def names(self) -> frozenset[str]:
        """What its path names."""
        return frozenset(name for name in _NOTHING if f"{{{name}}}" in self.path)


def operations() -> list[Operation]:
    """The operations of the committed contract."""
    return list(_operations())


def _operations() -> Iterator[Operation]:
    for path, item in committed()["paths"].items():
        for method, described in item.items():
            taken = described.get("parameters", [])
            assert isinstance(taken, list)
            filters = tuple(
                each["name"]
                for each in taken
                if each["in"] == "query" and each["name"] in _NOTHING
                # What is not for everybody is tried in test_filters.py.
                if not str(each["description"]).endswith((FOR_THE_OFFICE, FOR_ALL_BUT_PARTIES))
            )
            body = described.get("requestBody", {})
            assert isinstance(body, dict)
            examples = body.get("content", {}).get("application/json", {}).get("examples", {})
            bodies = {sender: example["value"] for sender, example in examples.items()}
            tags = described["tags"]
            assert isinstance(tags, list)
            yield Operation(str(described["operationId"]), method.upper(), path, str(tags[0]), filters, bodies)


@dataclass(frozen=True, slots=True)
class Cell:
    """One operation, one role and one object."""

    operation: Operation
    role: Role
    object: Object

    def __str__(self) -> str:
        return f"{self.operation.name} {self.role} {self.object}"

    def expected(self, relation: Relation | None) -> Outcome:
        """What the table says: how the object must stand to a caller of this role."""
        if relation is None:
            return Outcome.UNKNOWN if self.role is Role.PUBLIC else Outcome.FORBIDDEN
        if self.operation.name == "exchangeAccessCode":  # it is the code that says who calls
            return Outcome.UNKNOWN if self.object is Object.ABSENT else Outcome.LET_THROUGH
        if not self.operation.names:
            return Outcome.LET_THROUGH
        nobodys = self.operation.name == "getCalendar"  # no address was made (tests/scenarios/test_calendars.py)
        if (
            nobodys
            or self.object is Object.ABSENT
            or (self.object is Object.FOREIGN and relation is not Relation.OFFICE)
        ):
            return Outcome.NOT_THERE
        if self.object in SAME and self._names_somebody(relation):
            return Outcome.NOT_THERE
        return Outcome.LET_THROUGH

    @property
    def is_heard(self) -> bool:
        """Whether a mediator says what it heard in a session: rules that nobody else meets."""
        return self.role is Role.MEDIATOR and self.operation.name == "recordWithdrawal"

    def _names_somebody(self, relation: Relation) -> bool:
        """Whether the request names somebody whom the caller would have to be."""
        if relation is Relation.OFFICE or relation is Relation.FILED:
            return False
        signs = self.operation.name == "signAgreement"  # a mediator for itself as well
        return bool(self.operation.names & PEOPLE) or signs or (relation is Relation.OWN and self._says_who)

    @property
    def _says_who(self) -> bool:
        """Whether staff name the party that they speak for."""
        said = self.operation.bodies.get("by_staff")
        return isinstance(said, dict) and bool(PEOPLE & said.keys())

    def body(self, ids: Ids) -> Json:
        """What is sent: staff name the party that they speak for, and so does whoever speaks for another one."""
        own = {Role.COMPLAINANT, Role.OFFICER} | ({Role.MEDIATOR} if self.operation.name == "signAgreement" else set())
        speaks_for_itself = self.role in own and self.object not in SAME
        sender = "by_staff" if self._says_who and not speaks_for_itself else "example"
        filled = _filled(self.operation.bodies.get(sender), ids)
        if self.is_heard and isinstance(filled, dict):
            return {**filled, "channel": "session"}
        if self.operation.name == "fileComplaint" and isinstance(filled, dict) and self.role in STAFF:
            return {**filled, "channel": "phone"}
        return filled


def _filled(body: Json, ids: Ids) -> Json:
    """The example with the ids of what there is."""
    if isinstance(body, list):
        return [_filled(each, ids) for each in body]
    if not isinstance(body, dict):
        return body
    own = {"for_party_id": ids["party_id"], "id": ids["party_id"], "sha256": ids["agreement_sha256"]}
    known = {**ids, **own}
    return {name: known[name] if name in known else _filled(value, ids) for name, value in body.items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, without what differs from one request to the next."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def outcome(self) -> Outcome:
        """What came of the request."""
        refusals = {401: Outcome.UNKNOWN, 403: Outcome.FORBIDDEN, 404: Outcome.NOT_THERE}
        return Outcome.BROKEN if self.status >= 500 else refusals.get(self.status, Outcome.LET_THROUGH)

    @property
    def gate(self) -> str:
        """What the rules say: the status and, of a refusal, its code."""
        code = json.loads(self.body)["code"] if self.status >= 400 else ""
        return f"{self.status} {code}".strip()


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent for a cell. Several cells may have the same: what names nobody is the same for everybody."""

    method: str
    path: str
    body: str
    token: str | None


@dataclass(frozen=True, slots=True)
class World:
    """Cases that are open and cases that are closed, and everybody's ids in them."""

    app: FastAPI
    database: RolledBackDatabase
    objects: Mapping[tuple[Role, Object], tuple[Caller, Ids]]
    foreign_ids: frozenset[str]

    def request(self, cell: Cell) -> Request:
        """What is sent for a cell."""
        caller, ids = self.objects[cell.role, cell.object]
        path = cell.operation.path.format_map(ids)
        if cell.operation.filters and cell.object is not Object.OWN:  # without one, all that is theirs is listed
            path += "?" + "&".join(f"{name}={ids[name]}" for name in cell.operation.filters)
        return Request(cell.operation.method, path, json.dumps(cell.body(ids)), caller.token)

    async def play(self, cell: Cell) -> Answer:
        """Call, and undo what came of it."""
        request, (caller, _) = self.request(cell), self.objects[cell.role, cell.object]
        self.app.state.service.limiter._minutes.clear()  # how much is left of a quota is no part of what is shown
        async with self.database.undone():
            response = await caller.send(request.method, request.path, json.loads(request.body))
        request_id = response.headers["X-Request-Id"]
        headers = {name: value for name, value in response.headers.items() if name not in {"date", "x-request-id"}}
        return Answer(response.status_code, headers, response.content.replace(request_id.encode(), b"request"))

    def shows_what_is_foreign(self, answer: Answer) -> bool:
        """Whether an answer names anything of the case that only its own people reach."""
        return any(each.encode() in answer.body for each in self.foreign_ids)


@dataclass(slots=True)
class Played:
    """What came of some operations, for everybody and every object."""

    cells: int = 0
    answers: dict[Request, Answer] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)


def sampled(row: Mapping[Role, Relation], role: Role) -> tuple[Object, ...]:
    """Some objects for this role: all of them, where it must stand in a relation to what is theirs.

    Those to whom everything is open try their own, and share the others out among them. Who has no row is refused
    before anything is looked at, whatever it is: that is in tests/routers/test_access.py.
    """
    if role not in row:
        return ()
    open_to = [each for each in Role if row.get(each) is Relation.OFFICE]
    if role not in open_to:
        return tuple(Object)
    own, *others = Object
    return own, *others[open_to.index(role) :: len(open_to)]


async def play(world: World, operation: Operation, table: Table, *, whole: bool = True) -> Played:
    """Hold one operation against the table, with every object or those that are `sampled`.

    A mismatch is an outcome that the table does not say, a rule of mediation that is told to one and not to another,
    anything of a foreign case that is shown to somebody who has no part in it, and a difference between what is
    foreign and what is absent.
    """
    played = Played()
    gates: dict[Object, set[str]] = {kind: set() for kind in Object}
    if operation.name not in table:
        played.mismatches.append(f"{operation.name} has no row")
        return played
    for role in Role:
        relation = table[operation.name].get(role)
        there: dict[Object, Answer] = {}
        for kind in Object if whole else sampled(table[operation.name], role):
            cell = Cell(operation, role, kind)
            request = world.request(cell)
            if request not in played.answers:
                played.answers[request] = await world.play(cell)
            played.cells += 1
            there[kind] = answer = played.answers[request]
            expected = cell.expected(relation)
            if answer.outcome is not expected:
                played.mismatches.append(f"{cell}: {expected} by the table, and {answer.gate}")
            elif expected is Outcome.LET_THROUGH and not cell.is_heard:
                gates[kind].add(answer.gate)
            if relation is not Relation.OFFICE and world.shows_what_is_foreign(answer):
                played.mismatches.append(f"{cell}: shows what is foreign")
        if relation is not Relation.OFFICE:
            played.mismatches += [f"{operation.name} {role} {told}" for told in told_apart(there)]
    played.mismatches += [
        f"{operation.name} {kind}: {' for some, for others '.join(sorted(gates[kind]))}"
        for kind in Object
        if len(gates[kind]) > 1
    ]
    return played


def told_apart(there: Mapping[Object, Answer]) -> list[str]:
    """What of somebody else's is told apart from what is absent: by status, header or body."""
    absent = there.get(Object.ABSENT)
    theirs = [kind for kind, answer in there.items() if kind is Object.FOREIGN or answer.status == 404]
    return [f"{kind} is told apart from absent" for kind in theirs if absent and there[kind] != absent]


# ── what there is ──────────────────────────────────────────────────────────────────────────────────────────────────


async def built(office: Office, app: FastAPI, database: RolledBackDatabase) -> World:
    """Bring the cases to where most can be done to them."""
    numbers: list[dict[str, object]] = [{"employee_number": "4801"}, {"employee_number": "4802"}]
    mediator, other = await office.mediator(), await office.mediator()
    own = await _scheduled(office, mediator, other, database, officers=numbers)
    foreign = await _scheduled(office, await office.mediator(), other, database, officers=[{}, {}])
    closed = await _scheduled(office, mediator, other, database, officers=numbers, days=9)
    for who in closed.story.everybody:
        await closed.story.sign(who)
    await closed.story.sign_on_paper("support_person", closed.attendee_id)
    await closed.story.session("reschedule", closed.story.booking())  # it is held today
    await closed.story.session("start", {})
    await closed.story.session("complete")
    await closed.story.close()
    objects = {}
    for role in Role:
        for kind in Object:
            there = {Object.FOREIGN: foreign, Object.CLOSED: closed}.get(kind, own)
            caller = _caller(office, role, closed if kind is Object.CLOSED else own)
            objects[role, kind] = caller, there.seen_by(role, kind)
    system = office.caller(Role.INTEGRATION, "another-system")
    another = await office.file(by=system, channel=None)
    uploads = [str((await who.upload(b"{}"))["id"]) for who in (office.integration, system)]
    endpoints = [await _endpoint(who) for who in (office.integration, system)]
    filed = {kind: await office.file(by=office.integration, channel=None) for kind in (Object.OWN, Object.CLOSED)}
    await filed[Object.CLOSED].screen(eligible=False, reason="It is to be investigated.")
    for kind, story in (*((each, filed[Object.OWN]) for each in SAME), *filed.items(), (Object.FOREIGN, another)):
        caller, ids = objects[Role.INTEGRATION, kind]
        theirs = {"complaint_id": story.complaint_id, "case_id": story.case_id, "import_id": uploads[story is another]}
        objects[Role.INTEGRATION, kind] = caller, {**ids, **theirs, **endpoints[story is another]}
    for (role, kind), (caller, ids) in objects.items():
        if role is not Role.INTEGRATION and kind is not Object.ABSENT:
            objects[role, kind] = caller, {**ids, **endpoints[0], "import_id": uploads[0]}
    foreign_ids = foreign.everything() | {another.complaint_id, another.case_id, uploads[1], *endpoints[1].values()}
    return World(app, database, objects, foreign_ids)


async def _endpoint(integration: Caller) -> Ids:
    """Register an endpoint of webhooks, and let a ping be sent to it."""
    body = {"url": "https://intake.city.example/hooks", "kinds": ["case.closed"]}
    endpoint = str((await integration.post("/v1/webhook-endpoints", body))["id"])
    ping = await integration.post(f"/v1/webhook-endpoints/{endpoint}/pings")
    return {"webhook_endpoint_id": endpoint, "webhook_delivery_id": str(ping["id"])}


@dataclass(frozen=True, slots=True)
class Scene:
    """A case with two people on each side, a mediator who accepted, and one who declined.

    Two mandatory reports were proposed: by the mediator, and by a director. The complaint is held, and a complainant
    asked for an erasure. In an attempt before, one complainant left in the session, and so did the other and an officer
    by themselves.
    """

    story: Story
    mediators: tuple[str, str]
    assignments: tuple[str, str]
    attendee_id: str
    reports: tuple[str, str]
    hold_id: str
    erasure_id: str
    records: Mapping[str, str]
    """What the office has on record, by the name that paths have for it."""
    own: Mapping[tuple[str, str], str]
    """What is of one party: by that name, and the party."""

    def seen_by(self, role: Role, kind: Object) -> Ids:
        """The ids of an object, for somebody of this role."""
        if kind is Object.ABSENT:
            return {**_NOTHING, "agreement_sha256": "f" * 64, "disclosure_sha256": self.story.office.disclosures["en"]}
        sides = (self.story.officers, self.story.complainants)
        mine, theirs = sides if role is Role.OFFICER else sides[::-1]
        is_other = kind in SAME
        party = {Object.FELLOW: mine[1], Object.OPPONENT: theirs[0]}.get(kind, mine[0])
        names = ("consent_id", "guardian_consent_id", "withdrawal_id")
        another = self.story.complainants[1].party_id
        return {
            **self.records,
            **{name: self.own.get((name, party.party_id)) or self.own[name, another] for name in names},
            "complaint_id": self.story.complaint_id,
            "case_id": self.story.case_id,
            "party_id": party.party_id,
            "session_id": self.story.session_id,
            "agreement_id": str(self.story.agreement["id"]),
            "agreement_sha256": str(self.story.agreement["sha256"]),
            "assignment_id": self.assignments[is_other],
            "mediator_id": self.mediators[is_other],
            "attendee_id": self.attendee_id,
            "report_id": self.reports[is_other],
            "hold_id": self.hold_id,
            "erasure_id": self.erasure_id,
            "sha256": self.story.office.disclosures["en"],
            "disclosure_sha256": self.story.office.disclosures["en"],
            "code": "not-found",
            "token": f"{'A' * 32}.ics",
            "access_code": self.story.complainants[is_other].access_code,
        }

    def everything(self) -> frozenset[str]:
        """The ids that only this case has."""
        ids = self.seen_by(Role.COMPLAINANT, Object.OWN)
        case = {ids[name] for name in ("complaint_id", "case_id", "session_id", "agreement_id", "attendee_id")}
        parties = {who.party_id for who in (*self.story.complainants, *self.story.officers)}
        records = {*self.records.values(), *self.own.values()}
        return frozenset({*case, *parties, *self.assignments, *self.reports, self.hold_id, self.erasure_id, *records})


async def _left(story: Story, mediator: Caller, database: RolledBackDatabase) -> dict[tuple[str, str], str]:
    """Let an attempt end with withdrawals, and give their ids and that of a guardian's consent."""
    await (await story.to_ready()).assign(mediator)
    await story.schedule()
    await story.sign_all()
    await story.session("start", {})
    first, second = story.complainants
    said = {"party_id": first.party_id, "channel": "session"}
    left = {
        story.officers[0].party_id: await story.withdraw(story.officers[0]),
        first.party_id: await mediator.post(f"{story.path}/withdrawals", said),
        second.party_id: await story.withdraw(second),
    }
    ids = {("withdrawal_id", party_id): str(withdrawal["id"]) for party_id, withdrawal in left.items()}
    shown = await story.office.shown_disclosure()
    async with database.transaction() as connection:
        for who in (first, second):  # neither is a minor, as whose guardian would have to sign
            ids["guardian_consent_id", who.party_id] = consent_id = str(uuid4())
            agreed = insert(guardian_consents).values(
                id=consent_id,
                case_id=story.case_id,
                party_id=who.party_id,
                disclosure_sha256=shown,
                channel="phone",
                at=story.office.clock.now,
                by_role=Role.INTAKE,
                by="intake.1",
            )
            await connection.execute(agreed)
    return ids


async def _recorded(story: Story) -> dict[str, str]:
    """What the office has on record of a case that is ready, by the names of the paths to it."""
    intake = story.office.intake
    await story.approve("internal_affairs", given_by="Capt. Lee", given_on="2026-03-01", channel="email")
    await story.pause("leave", "2026-03-09", "2026-03-10")
    await story.try_to_reach(story.complainants[0].party_id)
    lists = {"approval_id": "approvals", "pause_id": "pauses", "screening_id": "screenings"}
    found = {}
    for name, kind in {**lists, "contact_attempt_id": "contact-attempts"}.items():
        (record,) = items_of(await intake.get(f"{story.path}/{kind}"))
        found[name] = str(record["id"])
    return found


def items_of(answer: Mapping[str, object]) -> list[dict[str, object]]:
    """The items of a list."""
    items = answer["items"]
    assert isinstance(items, list)
    return items


async def _scheduled(
    office: Office,
    mediator: Caller,
    other: Caller,
    database: RolledBackDatabase,
    *,
    officers: list[dict[str, object]],
    days: int = 3,
) -> Scene:
    story = await office.file(complainants=[{}, {}], officers=officers)
    own = await _left(story, mediator, database)
    await story.request_again()
    await story.to_ready()
    records = await _recorded(story)
    for consent in items_of(await office.intake.get(f"{story.path}/consents")):
        own["consent_id", str(consent["party_id"])] = str(consent["id"])
    declined = str((await story.propose(other))["id"])
    await other.post(f"/v1/assignments/{declined}/decline", {}, 200)
    await story.assign(mediator)
    starts_at = office.clock.now.replace(day=office.clock.now.day + days)
    ends_at = starts_at.replace(hour=starts_at.hour + 2)
    await story.schedule(starts_at=starts_at.isoformat(), ends_at=ends_at.isoformat())
    await story.make_agreement()
    attendee_id = await story.expect(role="support_person", name="Kim Vega")
    mediators = (mediator.mediator_id, other.mediator_id)
    another = office.caller(Role.DIRECTOR, "director.2")
    reports = await story.report(mediator), await story.report(another)
    hold = await office.director.post(f"/v1/complaints/{story.complaint_id}/legal-holds", {"reason": "litigation"})
    erasure = await office.intake.post(f"/v1/parties/{story.complainants[1].party_id}/erasures")
    kept = str(hold["id"]), str(erasure["id"])
    return Scene(story, mediators, (story.assignment_id, declined), attendee_id, reports, *kept, records, own)


def _caller(office: Office, role: Role, scene: Scene) -> Caller:
    story = scene.story
    assert story.mediator is not None
    known = {
        Role.PUBLIC: office.public,
        Role.COMPLAINANT: story.complainants[0],
        Role.OFFICER: story.officers[0],
        Role.MEDIATOR: story.mediator,
        Role.INTEGRATION: office.integration,
    }
    return known.get(role) or office.caller(role)
