"""Each read of a complaint, a party or a case by anybody but a party is written down once, and a party can see it.

What a party sees of it tells nothing of what is sealed.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from uuid import UUID, uuid4

import pytest
from asyncpg.connection import LoggedQuery
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import event, insert, select, text
from tests.conftest import RolledBackDatabase
from tests.routers.test_access import operations
from tests.scenarios.conftest import Begun, Fork
from tests.scenarios.test_sealed_answers import Observer, Worlds, assert_alike, late_officer

from mediation_api.database import tables as t
from mediation_api.database.engine import Database, Pool, create_engine
from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.domain.access_log import DEFAULT_PURPOSE, LoggedObject
from mediation_api.http import dependencies
from mediation_api.http.routes import declared
from mediation_api.main import OPERATIONS
from mediation_api.settings import Settings

NOT_ABOUT_A_CASE: Final = {
    "getDisclosureForm",
    "getCalendar",  # read by nobody who is known, and logged as its owner's (test_calendars.py)
    "getCalendarFeed",
    "getDisclosure",
    "getImport",  # counts, and lines that are no complaints of the office
    "listImportRefusals",
    "getMediator",
    "getOffice",
    "getProblemType",
    "listAllegationCategories",
    "listDisclosures",
    "listMediators",
    "getWebhookDelivery",  # whether an event was posted, and nothing of it
    "listWebhookDeliveries",
    "getWebhookEndpoint",
    "listWebhookEndpoints",
    "listMandatoryReportCounts",  # of years, in numbers that tell of no case
    "listMandatoryReportAccessLog",  # who opened a report, and nothing of the report
    "getLiveness",
    "getReadinessOfService",
    "getVersion",
}


LOGGED: Final = {name: operation.opens for name, operation in OPERATIONS.items() if operation.opens is not None}
"""What each read opens that is written down."""
AN_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SUBJECTS: Final = ("complaint_id", "case_id", "party_id", "report_id")
REPORT: Final = {
    "category": "imminent_harm",
    "recipient": "law_enforcement",
    "agency": "City police",
    "legal_basis": "ORS 36.220",
    "disclosed_at": "2026-03-01T10:00:00Z",
}


def paths(story: Story, assignment_id: str, report_id: str, records: Mapping[str, str]) -> Mapping[str, str]:
    """Where each of the reads that are written down is found."""
    case, complaint = story.path, f"/v1/complaints/{story.complaint_id}"
    agreement = f"/v1/agreements/{story.agreement['id']}"
    lists = ("screenings", "approvals", "pauses", "guardian-consents", "consents", "withdrawals", "attendees")
    return {
        "getComplaint": complaint,
        "listParties": f"{complaint}/parties",
        "listErasures": f"/v1/parties/{story.officers[0].party_id}/erasures",
        "listLegalHolds": f"{complaint}/legal-holds",
        "getParty": f"/v1/parties/{story.officers[0].party_id}",
        "getCase": case,
        "listTimelineEvents": f"{case}/timeline",
        "getReadiness": f"{case}/readiness",
        "listAccessLog": f"{case}/access-log",
        **{"list" + each.title().replace("-", ""): f"{case}/{each}" for each in lists},
        "listAgreements": f"{case}/agreements",
        "listContactAttempts": f"{case}/contact-attempts",
        "listMails": f"{case}/mails",
        "getAgreement": agreement,
        "getAgreementDocument": f"{agreement}/document",
        "getSignatureCertificate": f"{agreement}/certificate",
        "getSessionNotice": f"/v1/sessions/{story.session_id}/notice",
        "verifyAgreement": f"{agreement}/verification",
        "getSession": f"/v1/sessions/{story.session_id}",
        "getSessionCalendar": f"/v1/sessions/{story.session_id}/calendar",
        "getAssignment": f"/v1/assignments/{assignment_id}",
        "getMandatoryReport": f"/v1/mandatory-reports/{report_id}",
        "listMandatoryReports": f"{case}/mandatory-reports",
        "listCases": f"/v1/cases?complaint_id={story.complaint_id}",
        "listComplaints": f"/v1/complaints?reference={story.reference}",
        "listSessions": f"/v1/sessions?case_id={story.case_id}",
        "listAssignments": f"/v1/assignments?case_id={story.case_id}",
        "listAccessAnomalies": "/v1/access-anomalies?rule=purpose_unfit",
        "getMe": "/v1/me",
        "getChangeFeed": "/v1/events?limit=1",
        "getTarget": f"{case}/target",
        "getCoordinator": f"{case}/coordinator",
        **records,
    }


async def put_on_record(story: Story, database: Database) -> Mapping[str, str]:
    """Let there be one record of each kind, and give the path to each by the operation that reads it.

    Nobody withdraws: the case goes on. And nobody is a minor, whose guardian would have to sign.
    """
    intake, case, officer = story.office.intake, story.path, story.officers[0].party_id
    by_staff = {"by_role": Role.INTAKE, "by": "intake.1", "channel": "phone"}
    of_officer = {"case_id": story.case_id, "party_id": officer, "at": story.office.clock.now}
    left = insert(t.withdrawals).values(**of_officer, **by_staff, id=uuid4()).returning(t.withdrawals.c.id)
    agreed = insert(t.guardian_consents).values(
        **of_officer, **by_staff, id=uuid4(), disclosure_sha256=await story.office.shown_disclosure()
    )
    async with database.transaction() as connection:
        ids = {
            "getWithdrawal": ("withdrawals", await connection.scalar(left)),
            "getGuardianConsent": (
                "guardian-consents",
                await connection.scalar(agreed.returning(t.guardian_consents.c.id)),
            ),
            **{
                f"get{table.name.title()[:-1]}": (
                    table.name,
                    await connection.scalar(select(table.c.id).where(table.c.case_id == story.case_id).limit(1)),
                )
                for table in (t.consents, t.screenings)
            },
        }
    given = {"approver": "internal_affairs", "approved": True, "given_by": "Capt. Lee", "given_on": "2026-03-01"}
    attempt = {
        "party_id": officer,
        "channel": "phone",
        "result": "no_answer",
        "attempted_at": story.office.clock.now.isoformat(),
    }
    posted: list[tuple[Caller, str, str, str, object]] = [
        (intake, "getApproval", case, "approvals", {**given, "channel": "email"}),
        (intake, "getPause", case, "pauses", {"reason": "leave", "starts_on": "2026-03-09", "ends_on": "2026-03-10"}),
        (intake, "getContactAttempt", case, "contact-attempts", attempt),
        (intake, "getAttendee", case, "attendees", {"role": "support_person", "name": "Kim Vega"}),
        (intake, "getErasure", f"/v1/parties/{officer}", "erasures", None),
        (story.office.director, "getLegalHold", story.complaint, "legal-holds", {"reason": "litigation"}),
    ]
    for who, operation, of, kind, body in posted:
        ids[operation] = kind, (await who.post(f"{of}/{kind}", body))["id"]
    return {operation: f"/v1/{kind}/{id_}" for operation, (kind, id_) in ids.items()}


async def entries(database: RolledBackDatabase, *, after: int = 0) -> list[dict[str, object]]:
    """What was written down after the first so many."""
    async with database.reading() as connection:
        rows = await connection.execute(select(t.access_log).order_by(t.access_log.c.position).offset(after))
        return [dict(row) for row in rows.mappings()]


Told: TypeAlias = tuple[Story, Mapping[str, str]]


async def tell(office: Office, database: Database) -> Told:
    """A case that everybody has signed for, and where to read of it."""
    story = await (await office.file()).to_signed()
    assignment = (await story.case())["assignment"]
    assert isinstance(assignment, dict)
    assert story.mediator is not None
    report = await story.mediator.post(f"{story.path}/mandatory-reports", REPORT)
    headers = {"Authorization": f"Bearer {office.intake.token}", "Access-Purpose": "mediation"}
    assert (await office.client.get(story.path, headers=headers)).status_code == 200  # which is unusual
    records = await put_on_record(story, database)
    return story, paths(story, str(assignment["id"]), str(report["id"]), records)


@pytest.fixture(scope="module")
async def told_once(module_office: Office, module_database: RolledBackDatabase) -> Told:
    return await tell(module_office, module_database)


@pytest.fixture
def told(told_once: Told) -> Told:
    """That case, told once for all tests."""
    story, found_at = told_once
    return story.copy(), found_at


def reader(role: Role, office: Office, story: Story) -> Caller:
    if role is Role.MEDIATOR:
        assert story.mediator is not None
        return story.mediator
    return office.caller(role)


# ── what is written down ───────────────────────────────────────────────────────────────────────────────────────────


def test_every_read_is_either_written_down_or_not_about_a_case(app: FastAPI) -> None:
    reads = {name for name, method, _ in operations(app) if method == "GET"}
    assert reads == {*LOGGED, *NOT_ABOUT_A_CASE}
    assert LOGGED.keys().isdisjoint(NOT_ABOUT_A_CASE)


def test_the_routes_write_down_what_they_declare(app: FastAPI) -> None:
    asking = set()
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and any(
            each.call is dependencies.scope_to_log for each in route.dependant.dependencies
        ):
            operation = declared(route.endpoint)
            assert operation is not None
            asking.add(operation.id)
            assert context.methods == {"GET"}
    assert asking == LOGGED.keys()
    assert {name for name, method, _ in operations(app) if method == "GET"} >= asking


def test_everybody_but_parties_and_the_public_has_an_everyday_purpose() -> None:
    assert set(DEFAULT_PURPOSE) == set(Role) - {Role.PUBLIC, Role.COMPLAINANT, Role.OFFICER}


@pytest.mark.drawn
@pytest.mark.parametrize("role", sorted(DEFAULT_PURPOSE.keys() - {Role.INTEGRATION}))
async def test_each_read_by_staff_a_mediator_or_an_auditor_is_written_down_once(
    role: Role, office: Office, database: RolledBackDatabase, told: Told
) -> None:
    story, found_at = told
    assert found_at.keys() == LOGGED.keys()
    who = reader(role, office, story)
    before = len(await entries(database))
    for operation, path in found_at.items():
        if role not in OPERATIONS[operation].access or (operation == "getMe" and role is not Role.MEDIATOR):
            continue  # to the office it gives numbers, and names no case
        if operation == "getWithdrawal" and role is Role.MEDIATOR:
            continue  # who reads those alone that they recorded, in a session (tests/routers/matrix.py)
        answer = await who.send("GET", path)
        assert answer.status_code == 200, operation
        written = await entries(database, after=before)
        before += 1
        assert len(written) == 1, operation
        entry = written[0]
        assert (entry["operation"], entry["by_role"], entry["at"]) == (operation, role, office.clock.now)
        assert entry["purpose"] == DEFAULT_PURPOSE[role]
        named = {name: str(entry[name]) for name in SUBJECTS if entry[name]}
        match LOGGED[operation]:
            case LoggedObject.CASE:
                assert named == {"complaint_id": story.complaint_id, "case_id": story.case_id}
            case LoggedObject.COMPLAINT:
                assert named == {"complaint_id": story.complaint_id}
            case LoggedObject.PARTY:
                assert named == {"complaint_id": story.complaint_id, "party_id": story.officers[0].party_id}
            case LoggedObject.REPORT:
                assert named == {"report_id": found_at["getMandatoryReport"].rpartition("/")[2]}
            case LoggedObject.LIST if operation == "getChangeFeed":
                first = answer.json()["events"][0]
                assert entry["listed"] == [UUID(first["case_id"] or first["complaint_id"] or first["mediator_id"])]
            case LoggedObject.LIST:
                assert operation == "getMe" or len(answer.json()["items"]) == 1
                of_complaints = operation in {"listComplaints", "listAccessAnomalies"}
                assert [str(each) for each in entry["listed"]] == [  # type: ignore[attr-defined]
                    story.complaint_id if of_complaints else story.case_id
                ]


async def test_an_integration_that_reads_its_complaints_is_written_down(
    office: Office, database: RolledBackDatabase
) -> None:
    party = {"side": "complainant", "name": "Rosa Alvarez"}
    body = {"narrative": "x", "allegations": ["discourtesy"], "interested_in_mediation": True, "parties": [party]}
    before = len(await entries(database))
    filed = await office.integration.post("/v1/complaints", body)
    await office.integration.get(f"/v1/complaints/{filed['id']}")
    await office.integration.get("/v1/complaints")
    one, page = await entries(database, after=before)
    assert (one["operation"], str(one["complaint_id"])) == ("getComplaint", filed["id"])
    assert (page["operation"], page["purpose"]) == ("listComplaints", "exchange")


async def test_what_a_party_reads_and_what_is_not_found_or_refused_is_not_written_down(
    office: Office, database: RolledBackDatabase, told: Told
) -> None:
    story, found_at = told
    before = len(await entries(database))
    for who in (*story.complainants, *story.officers):
        for path in found_at.values():
            assert (await who.send("GET", path)).status_code in {200, 403, 404}
    nothing = "00000000-0000-4000-8000-000000000000"
    stranger = await office.mediator()
    for operation, path in found_at.items():
        response = await office.director.send("GET", AN_ID.sub(nothing, path))
        assert response.status_code in {200, 404}, operation
        if LOGGED[operation] is not LoggedObject.LIST:
            assert (await stranger.send("GET", path)).status_code in {403, 404}, operation
    written = await entries(database, after=before)
    assert {str(each["operation"]) for each in written} <= {
        "listComplaints",
        "listAccessAnomalies",
        "getChangeFeed",
        "getAssignment",
        "listAssignments",
        "getMandatoryReport",
    }


async def test_a_page_of_a_list_is_one_entry_with_what_stood_on_it(
    office: Office, database: RolledBackDatabase
) -> None:
    before = len(await entries(database))
    stories = [await office.file() for _ in range(3)]
    for story in stories:
        await office.intake.put(f"{story.path}/coordinator", {"coordinator": "coordinator.3"})
    theirs = "/v1/cases?coordinator=coordinator.3&limit=2"
    first = await office.coordinator.get(theirs)
    await office.coordinator.get(f"{theirs}&cursor={first['next_cursor']}")
    await office.coordinator.get("/v1/cases?pace=overdue")
    written = await entries(database, after=before)
    pages = [entry["listed"] for entry in written if entry["operation"] == "listCases"]
    assert [len(page) for page in pages] == [2, 1]  # type: ignore[arg-type]
    assert {str(id_) for page in pages for id_ in page} == {story.case_id for story in stories}  # type: ignore[attr-defined]


async def test_a_purpose_is_one_of_a_few_words(office: Office, database: RolledBackDatabase, filed: Begun) -> None:
    path = filed().path
    before = len(await entries(database))

    async def asked(purpose: str) -> tuple[int, Answer]:
        headers = {"Authorization": f"Bearer {office.director.token}", "Access-Purpose": purpose}
        response = await office.client.get(path, headers=headers)
        return response.status_code, response.json()

    assert (await asked("legal_request"))[0] == 200
    status, refused = await asked("about Rosa Alvarez")
    assert (status, refused["code"]) == (422, "validation-failed")
    assert "Rosa" not in str(refused)
    assert [entry["purpose"] for entry in await entries(database, after=before)] == ["legal_request"]


@pytest.mark.drawn
async def test_a_read_that_cannot_be_written_down_shows_nothing(
    committed_office: Office,
    committed_database: Database,
    committed: Settings,
    as_owner: Callable[[Settings], Settings],
) -> None:
    office = committed_office
    story, found_at = await tell(office, committed_database)
    owner = create_engine(as_owner(committed))
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE access_log ADD CONSTRAINT full_disk CHECK (false) NOT VALID"))
    await owner.dispose()
    assert story.mediator is not None
    for operation, path in found_at.items():
        answer = await (story.mediator if operation == "getMe" else office.director).send("GET", path)
        assert answer.status_code == 500
        assert story.case_id not in answer.text
    assert (await story.complainants[0].send("GET", story.path)).status_code == 200


async def test_reading_and_writing_down_is_one_statement(
    office: Office, database: RolledBackDatabase, told: Told
) -> None:
    _, found_at = told
    statements: list[str] = []

    def note(sent: LoggedQuery) -> None:
        if "SAVEPOINT" not in sent.query:
            statements.append(sent.query)

    def note_another(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)  # what SQLAlchemy executes is not logged by the driver

    driver, engine = await database.driver(), database._pools[Pool.OFFICE].sync_engine
    driver.add_query_logger(note)
    event.listen(engine, "before_cursor_execute", note_another)
    try:
        for operation, path in found_at.items():
            if operation == "getMe":
                continue
            statements.clear()
            await office.director.send("GET", path)
            await asyncio.sleep(0)  # the driver calls its loggers a little later
            two = {  # whether there is such a case, complaint or party, and a page of the rows
                *("listTimelineEvents", "listAccessLog", "listAgreements", "listApprovals", "listConsents"),
                *(
                    "listContactAttempts",
                    "listErasures",
                    "listGuardianConsents",
                    "listLegalHolds",
                    "listMails",
                    "listScreenings",
                ),
            }
            if operation == "listMandatoryReports":  # whether there is such a case, a page, and each report on it
                assert [("INSERT INTO access_log" in each) for each in statements] == [False, False, True]
                continue
            if operation == "getChangeFeed":  # the first one numbers the events
                assert [("INSERT INTO access_log" in each) for each in statements] == [False, True]
                continue
            if operation == "listAccessAnomalies":  # what the rules look at, and the complaints on the page
                assert [("INSERT INTO access_log" in each) for each in statements] == [*[False] * 3, True]
                continue
            assert len(statements) == (2 if operation in two else 1), operation
            assert "INSERT INTO access_log" in statements[0], operation
    finally:
        driver.remove_query_logger(note)
        event.remove(engine, "before_cursor_execute", note_another)


async def test_a_reading_is_committed_although_a_read_opens_no_transaction(committed_office: Office) -> None:
    story = await committed_office.file()
    await committed_office.director.get(story.path)
    await committed_office.coordinator.get("/v1/cases")
    shown = await seen(committed_office.auditor, story)
    assert [entry["operation"] for entry in shown] == ["listAccessLog", "listCases", "getCase", "listParties"]


# ── what is shown of it ────────────────────────────────────────────────────────────────────────────────────────────


async def seen(who: Caller, story: Story) -> list[Answer]:
    listed = await who.get(f"{story.path}/access-log?limit=100")
    items: list[Answer] = listed["items"]  # type: ignore[assignment]
    return items


async def test_what_an_unknown_operation_opened_is_shown_as_well(
    office: Office, database: RolledBackDatabase, filed: Begun
) -> None:
    """One that was removed or renamed since: the entry says by itself what was opened."""
    story = filed()
    party_id = story.complainants[0].party_id
    await office.director.get(story.path)
    await office.director.get(f"/v1/parties/{party_id}")
    await office.director.get(f"/v1/complaints/{story.complaint_id}")
    await office.director.get("/v1/cases")
    entry = t.access_log.c
    of_case, _, _, _ = written = await entries(database, after=len(await entries(database)) - 4)
    columns = [column.name for column in entry if column.name != "position"]
    rows = [{name: each[name] for name in columns} | {"operation": "removedOperation"} for each in written]
    async with database.transaction() as connection:
        await connection.execute(insert(t.access_log), rows)
    path = f"{story.path}/access-log?limit=2"
    first = await office.director.get(path)
    second = await office.director.get(f"{path}&cursor={first['next_cursor']}")
    third = await office.director.get(f"{path}&cursor={second['next_cursor']}")
    shown: list[Answer] = [*first["items"], *second["items"], *third["items"]]  # type: ignore[misc]
    assert [(each["operation"], each["opened"]) for each in shown[:5]] == [
        ("listAccessLog", "case"),
        ("removedOperation", "list"),
        ("removedOperation", "complaint"),
        ("removedOperation", "party"),
        ("removedOperation", "case"),
    ]
    assert of_case["operation"] == "getCase"


async def test_the_office_sees_who_opened_what_for_what_newest_first(office: Office, filed: Begun) -> None:
    story = filed()
    party_id = story.complainants[0].party_id
    await office.auditor.get(story.path)
    await office.intake.get(f"/v1/parties/{party_id}")
    await office.coordinator.get("/v1/cases")
    await office.coordinator.get("/v1/complaints")
    await (await office.file()).case()
    shown = await seen(office.director, story)
    assert [(entry["operation"], entry["opened"], entry["by"], entry["party_id"]) for entry in shown] == [
        ("listAccessLog", "case", "director.1", None),
        ("listComplaints", "list", "coordinator.1", None),
        ("listCases", "list", "coordinator.1", None),
        ("getParty", "party", "intake.1", party_id),
        ("getCase", "case", "auditor.1", None),
        ("listParties", "complaint", "intake.1", None),
    ]
    assert {entry["audience"] for entry in shown} == {"office"}


async def test_a_party_sees_the_day_and_the_role_and_nobody_s_name(office: Office, filed: Begun) -> None:
    story = filed()
    await office.director.get(story.path)
    await office.intake.get(f"/v1/parties/{story.complainants[0].party_id}")
    await office.intake.get(f"/v1/parties/{story.officers[0].party_id}")
    await office.intake.get(f"/v1/complaints/{story.complaint_id}")
    await office.coordinator.get("/v1/cases")
    day = {"audience": "party", "opened_on": "2026-03-02"}
    assert await seen(story.complainants[0], story) == [
        {**day, "by_role": "intake", "opened": "complaint"},
        {**day, "by_role": "intake", "opened": "party"},
        {**day, "by_role": "director", "opened": "case"},
        {**day, "by_role": "intake", "opened": "complaint"},
    ]
    await story.to_asking()
    # The officer is no party to the complaint itself, and sees nothing of the complainant.
    assert [(entry["by_role"], entry["opened"]) for entry in await seen(story.officers[0], story)] == [
        ("intake", "party"),
        ("director", "case"),
    ]


async def test_what_was_opened_while_answers_were_awaited_comes_into_sight_once_the_case_is_ready(
    office: Office,
) -> None:
    story = await (await office.file(officers=[{}, {}])).to_asking()
    who = story.complainants[0]
    before = await seen(who, story)
    await office.director.get(story.path)
    await story.answer(story.officers[0])
    await office.director.get(story.path)
    assert await seen(who, story) == before
    await story.answer(story.officers[1])
    assert [entry["by_role"] for entry in await seen(who, story)][:2] == ["director", "director"]


async def test_a_party_of_a_mediated_case_sees_all_of_it(office: Office, mediated: Begun) -> None:
    story = mediated()
    assert story.mediator is not None
    await office.auditor.get(story.path)
    for who in (story.complainants[0], story.officers[0]):
        assert (await seen(who, story))[0]["by_role"] == "auditor"


async def test_after_a_close_without_mediation_a_party_sees_who_opens_the_case_from_then_on(
    office: Office, asking: Begun
) -> None:
    story = asking()
    await office.director.get(story.path)
    await story.answer(story.officers[0], "declined")
    await office.auditor.get(story.path)
    roles = [entry["by_role"] for entry in await seen(story.complainants[0], story)]
    assert roles[0] == "auditor"
    assert "director" not in roles
    # Whether the case closed with one's own leaving is nothing that one learns.
    assert "auditor" not in [entry["by_role"] for entry in await seen(story.officers[0], story)]


# ── and what it does not tell ──────────────────────────────────────────────────────────────────────────────────────


async def nobody_reads(story: Story) -> None:
    """As much time as reading takes."""
    for _ in range(5):
        await story.office.shown_disclosure()
        story.office.clock.advance(milliseconds=10)


async def the_office_reads(story: Story) -> None:
    """What a coordinator would open who has just learned of an answer."""
    office = story.office.coordinator
    for path in (story.path, f"{story.path}/consents", f"{story.path}/timeline"):
        await office.get(path)
    await office.get(f"/v1/complaints/{story.complaint_id}/parties")
    await office.get(f"/v1/parties/{story.complainants[0].party_id}")


READS: Final = Worlds({"nobody reads": nobody_reads, "the office reads": the_office_reads})


@pytest.mark.drawn
async def test_that_the_office_reads_while_answers_are_awaited_shows_to_nobody(office: Office, fork: Fork) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}, {}])
    await story.to_confirming()
    await story.answer(story.complainants[0])
    await assert_alike(story, READS, fork, *((who, Observer.look) for who in story.complainants))
    await story.answer(story.complainants[1])
    await story.answer(story.officers[0])
    await assert_alike(story, READS, fork, *((who, Observer.look) for who in (*story.complainants, *story.officers)))


async def test_that_the_office_reads_after_one_has_left_shows_nothing_of_how_the_others_go_on(
    office: Office, fork: Fork
) -> None:
    """Nor does it come into sight when the others are ready: that they are would be told by it."""
    story = await (await office.file(complainants=[{}, {}], officers=[{}, {}])).to_confirming()
    leaver = story.complainants[0]
    await story.withdraw(leaver)

    async def the_others_go_on(observer: Observer) -> None:
        await observer.look()
        for other in (story.complainants[1], *story.officers):
            await story.answer(other)
        assert await story.state() == "ready"
        await office.director.get(story.path)
        await observer.look()

    await assert_alike(story, READS, fork, (leaver, the_others_go_on))


async def test_a_late_party_is_not_shown_what_was_opened_while_others_answered(office: Office, asking: Begun) -> None:
    """It would tell that the case had been ready before it joined."""
    story = asking()
    await office.director.get(story.path)
    await story.answer(story.officers[0])
    newcomer = await late_officer(story)
    assert "director" in [entry["by_role"] for entry in await seen(story.complainants[0], story)]
    assert "director" not in [entry["by_role"] for entry in await seen(newcomer, story)]


async def test_that_the_office_reads_before_a_close_without_mediation_does_not_show_after_it(
    office: Office, fork: Fork
) -> None:
    """Opening a case again and again before it closes would tell that somebody could not be reached."""
    story = await (await office.file(officers=[{}, {}])).to_ready()

    async def watch(observer: Observer) -> None:
        for officer in story.officers:
            await story.withdraw(officer)
        await observer.look()

    await assert_alike(story, READS, fork, (story.complainants[0], watch))


async def test_a_mediator_who_opens_a_case_shows_to_no_late_party(fork: Fork, scheduled: Begun) -> None:
    """It would tell how far the case had come when it joined."""
    story = scheduled()
    newcomer = await late_officer(story)

    async def the_mediator_reads(story: Story) -> None:
        assert story.mediator is not None
        for _ in range(5):
            await story.mediator.get(story.path)

    worlds = Worlds({"nobody reads": nobody_reads, "the mediator reads": the_mediator_reads})
    await assert_alike(story, worlds, fork, (newcomer, Observer.look))
