"""Mandatory reports: two people file one, two roles know of it, and to everybody else nothing has happened.

Somebody of every other kind reads everything there is to read, before and after. Not a byte of it differs.
"""

import asyncio
import json
import logging
from typing import Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from tests.conftest import RolledBackDatabase
from tests.scenarios.conftest import Begun, Fork
from tests.scenarios.test_sealed_answers import Observer, Worlds, assert_alike

from mediation_api.database import tables as t
from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.domain.values import ReportCategory

NOBODY: Final = "00000000-0000-4000-8000-000000000000"
REPORT: Final[dict[str, object]] = {
    "category": "child_abuse",
    "recipient": "child_protection",
    "agency": "Agency-told",
    "legal_basis": "ORS 419B.010",
    "disclosed_at": "2026-03-02T18:00:00Z",
}


async def met(office: Office) -> Story:
    """A case whose session is over."""
    return await (await office.file()).to_concluded()


def mediator_of(story: Story) -> Caller:
    assert story.mediator is not None
    return story.mediator


async def proposed(who: Caller, story: Story, **changes: object) -> str:
    """Where a report is found that this caller proposed."""
    report = await who.post(f"{story.path}/mandatory-reports", {**REPORT, **changes})
    return f"/v1/mandatory-reports/{report['id']}"


def second(office: Office) -> Caller:
    """Another director."""
    return office.caller(Role.DIRECTOR, "director.2")


# ── filing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_mediator_proposes_and_a_director_files(office: Office, concluded: Begun) -> None:
    story = concluded()
    mediator = mediator_of(story)
    report = await mediator.post(f"{story.path}/mandatory-reports", REPORT)
    assert (report["state"], report["decided_at"], report["drop_reason"]) == ("proposed", None, None)
    assert {name: report[name] for name in REPORT} == {**REPORT, "disclosed_at": "2026-03-02T18:00:00.000Z"}
    office.clock.advance(hours=1)
    path = f"/v1/mandatory-reports/{report['id']}"
    filed = await office.director.post(f"{path}/file", None, 200)
    assert (filed["state"], filed["decided_by"]) == ("filed", "director.1")
    assert await office.director.get(path) == filed
    seen = {**filed, "proposed_by_name": None, "decided_by_name": None}  # the names of staff are for the office
    assert await mediator.get(path) == seen
    assert (await mediator.get(f"{story.path}/mandatory-reports"))["items"] == [seen]


async def test_whoever_proposed_a_report_does_not_file_it(office: Office, concluded: Begun) -> None:
    story = concluded()
    path = await proposed(office.director, story)
    refused = await office.director.post(f"{path}/file", None, 409)
    assert refused["code"] == "second-person-required"
    # Nor in another role: a mediator who is a director too is one person.
    assert story.mediator is not None
    assert story.mediator.identity is not None
    own = await proposed(story.mediator, story)
    as_director = office.caller(Role.DIRECTOR, story.mediator.identity[1])
    assert (await as_director.post(f"{own}/file", None, 409))["code"] == "second-person-required"
    assert (await second(office).post(f"{path}/file", None, 200))["state"] == "filed"


async def test_what_is_not_to_be_filed_is_dropped_with_a_reason_and_stays_on_record(
    office: Office, concluded: Begun
) -> None:
    story = concluded()
    by_mediator, by_director = await proposed(mediator_of(story), story), await proposed(office.director, story)
    dropped = await mediator_of(story).post(f"{by_mediator}/drop", {"reason": "reported_elsewhere"}, 200)
    assert (dropped["state"], dropped["drop_reason"]) == ("dropped", "reported_elsewhere")
    await mediator_of(story).post(f"{by_director}/drop", {"reason": "no_duty"}, 404)
    await office.director.post(f"{by_director}/drop", {"reason": "no_duty"}, 200)
    assert await mediator_of(story).get(by_mediator) == dropped
    for path in (by_mediator, by_director):
        for verb, body in (("file", None), ("drop", {"reason": "no_duty"})):
            assert (await second(office).post(f"{path}/{verb}", body, 409))["code"] == "state-conflict"


async def test_a_report_is_filed_of_an_open_and_of_a_closed_case_and_changes_nothing_of_either(
    office: Office, concluded: Begun
) -> None:
    story = concluded()
    for _ in range(2):
        before = await story.case()
        path = await proposed(mediator_of(story), story)
        await office.director.post(f"{path}/file", None, 200)
        assert await story.case() == before
        if before["closed_at"] is None:
            await story.close()
    assert await story.state() == "mediated"


async def test_a_retry_proposes_and_files_once(office: Office, concluded: Begun) -> None:
    story = concluded()

    async def twice(path: str, body: object) -> list[Answer]:
        headers = {"Authorization": f"Bearer {office.director.token}", "Idempotency-Key": str(uuid4())}
        answers = [await office.client.post(path, json=body, headers=headers) for _ in range(2)]
        assert answers[0].content == answers[1].content
        assert answers[1].headers["Idempotency-Replayed"] == "true"
        return [answer.json() for answer in answers]

    path = await proposed(mediator_of(story), story)
    await twice(f"{path}/file", None)
    report, _ = await twice(f"{story.path}/mandatory-reports", REPORT)
    listed = await office.director.get(f"{story.path}/mandatory-reports")
    assert [each["id"] for each in listed["items"]] == [path.rpartition("/")[2], report["id"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"narrative": "He said that"}, "/narrative"),
        ({"category": "other"}, "/category"),
        ({"recipient": "press"}, "/recipient"),
        ({"agency": "a" * 201}, "/agency"),
        ({"legal_basis": "He told me on 3 March that he would do it"}, "/legal_basis"),
        ({"legal_basis": "ORS"}, "/legal_basis"),
        ({"disclosed_at": "2026-03-02T21:00:00Z"}, "/disclosed_at"),
    ],
)
async def test_there_is_no_room_for_what_was_said(
    office: Office, changes: dict[str, object], pointer: str, filed: Begun
) -> None:
    story = filed()
    refused = await office.director.post(f"{story.path}/mandatory-reports", {**REPORT, **changes}, 422)
    errors: list[Answer] = refused["errors"]  # type: ignore[assignment]
    assert [error["pointer"] for error in errors] == [pointer]


@pytest.mark.parametrize("citation", ["ORS 419B.010", "42 U.S.C. § 5106a", "OAR 115-040-0042", "ORS 36.220 and 36.222"])
async def test_a_law_is_cited_as_laws_are(office: Office, citation: str, filed: Begun) -> None:
    story = filed()
    status = 422 if " and " in citation else 201
    await office.director.post(f"{story.path}/mandatory-reports", {**REPORT, "legal_basis": citation}, status)


async def test_of_two_who_decide_at_once_one_does(committed_office: Office) -> None:
    office = committed_office
    path = await proposed(office.director, await office.file())
    third = office.caller(Role.DIRECTOR, "director.3")
    answers = await asyncio.gather(
        second(office).send("POST", f"{path}/file"), third.send("POST", f"{path}/drop", {"reason": "no_duty"})
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


# ── who may know ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_mediator_reports_of_what_they_took_on_also_after_leaving_it_and_sees_their_own(
    office: Office, in_session: Begun
) -> None:
    story = in_session()
    first = mediator_of(story)
    of_director = await proposed(office.director, story)
    assignment: Answer = (await story.case())["assignment"]  # type: ignore[assignment]
    await first.post(f"/v1/assignments/{assignment['id']}/recuse", None, 200)
    own = await proposed(first, story)
    await first.get(own)
    assert len((await first.get(f"{story.path}/mandatory-reports"))["items"]) == 1  # type: ignore[arg-type]
    await first.get(of_director, 404)
    await first.get(story.path, 404)  # of the case itself it sees nothing any more
    later = await story.assign()
    await later.get(own, 404)
    assert (await later.get(f"{story.path}/mandatory-reports"))["items"] == []


async def test_who_was_only_asked_or_never_there_finds_the_same_nothing(office: Office, ready: Begun) -> None:
    story = ready()
    path = await proposed(office.director, story)
    asked, stranger = await office.mediator(), await office.mediator()
    proposal = await story.propose(asked)
    for who in (asked, stranger):
        for method, address, body in (
            ("GET", path, None),
            ("POST", f"{path}/drop", {"reason": "no_duty"}),
            ("GET", f"{story.path}/mandatory-reports", None),
            ("POST", f"{story.path}/mandatory-reports", REPORT),
        ):
            there = await who.send(method, address, body)
            nothing = address.replace(path.rpartition("/")[2], NOBODY).replace(story.case_id, NOBODY)
            absent = await who.send(method, nothing, body)
            assert alike(there) == alike(absent)
            assert there.status_code == 404
    await asked.post(f"/v1/assignments/{proposal['id']}/decline", None, 200)
    await asked.post(f"{story.path}/mandatory-reports", REPORT, 404)


def alike(response: object) -> tuple[object, ...]:
    """An answer without what names the request."""
    request_id = response.headers["x-request-id"]  # type: ignore[attr-defined]
    left_out = {"x-request-id", "ratelimit"}
    headers = sorted((n, v) for n, v in response.headers.items() if n not in left_out)  # type: ignore[attr-defined]
    return (response.status_code, headers, response.text.replace(request_id, ""))  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.DIRECTOR, Role.MEDIATOR, Role.PUBLIC}))
async def test_every_other_role_is_refused_alike_whether_there_is_one_or_not(
    role: Role, office: Office, concluded: Begun
) -> None:
    story = concluded()
    path = await proposed(mediator_of(story), story)
    who = {Role.COMPLAINANT: story.complainants[0], Role.OFFICER: story.officers[0]}.get(role) or office.caller(role)
    for method, address in (
        ("GET", path),
        ("GET", f"{path}/access-log"),
        ("POST", f"{path}/file"),
        ("POST", f"{path}/drop"),
        ("GET", f"{story.path}/mandatory-reports"),
        ("POST", f"{story.path}/mandatory-reports"),
    ):
        there = await who.send(method, address)
        absent = await who.send(method, address.replace(path.rpartition("/")[2], NOBODY))
        assert alike(there) == alike(absent)
        assert there.status_code == 403


async def test_who_opened_a_report_is_shown_to_the_director_with_the_report_and_nowhere_else(
    office: Office, concluded: Begun
) -> None:
    story = concluded()
    path = await proposed(mediator_of(story), story)
    before = await office.auditor.get(f"{story.path}/access-log?limit=100")
    await office.director.get(path)
    await mediator_of(story).get(f"{story.path}/mandatory-reports")
    shown: list[Answer] = (await office.director.get(f"{path}/access-log"))["items"]  # type: ignore[assignment]
    assert [(each["operation"], each["by_role"]) for each in shown] == [
        ("listMandatoryReports", "mediator"),
        ("getMandatoryReport", "director"),
    ]
    first = await office.director.get(f"{path}/access-log?limit=1")
    last = await office.director.get(f"{path}/access-log?limit=1&cursor={first['next_cursor']}")
    assert [*first["items"], *last["items"]] == shown  # type: ignore[misc]
    assert last["next_cursor"] is None
    await mediator_of(story).send("GET", f"{path}/access-log")
    after = await office.auditor.get(f"{story.path}/access-log?limit=100")
    assert after["items"][1:] == before["items"]  # type: ignore[index] # the first is this very reading
    await office.director.get(f"/v1/mandatory-reports/{NOBODY}/access-log", 404)


# ── and to everybody else nothing has happened ─────────────────────────────────────────────────────────────────────


async def nothing(story: Story) -> None:
    """As much time as a report takes, its readings included."""
    for _ in range(6):
        await story.office.shown_disclosure()
        story.office.clock.advance(milliseconds=10)


async def a_report(story: Story) -> None:
    """One is proposed, looked at, filed, and looked at again."""
    path = await proposed(mediator_of(story), story)
    await story.office.director.get(path)
    await story.office.director.get(f"{story.path}/mandatory-reports")
    await story.office.director.post(f"{path}/file", None, 200)
    await mediator_of(story).get(path)
    await story.office.director.get(f"{path}/access-log")


WORLDS: Final = Worlds({"nothing": nothing, "a report": a_report})


async def look_at_all(observer: Observer) -> None:
    """Read what staff and auditors may read, and what they are refused. Pages whole: a cursor's length is no secret."""
    story, complaint = observer.story, f"/v1/complaints/{observer.story.complaint_id}"
    parts = ("readiness", "consents", "withdrawals", "agreements", "screenings", "pauses", "attendees")
    for path in (
        story.path,
        *(f"{story.path}/{part}" for part in (*parts, "timeline?limit=100", "access-log?limit=100")),
        *(complaint, f"{complaint}/parties", "/v1/complaints", "/v1/cases", "/v1/sessions", "/v1/assignments"),
        *(f"/v1/sessions/{story.session_id}", f"/v1/agreements/{story.agreement['id']}"),
        f"/v1/agreements/{story.agreement['id']}/verification",
        f"{story.path}/mandatory-reports",
    ):
        await observer.ask("GET", path)


async def test_no_party_sees_a_byte_of_it(fork: Fork, concluded: Begun) -> None:
    """Bodies, headers, entity tags, pages, timelines, readings and refusals, of an open case and of a closed one."""
    story = concluded()
    watchers = [(who, Observer.look_and_try) for who in (*story.complainants, *story.officers)]
    await assert_alike(story, WORLDS, fork, *watchers)
    await story.close()
    await assert_alike(story, WORLDS, fork, *watchers)


async def test_nobody_else_of_the_office_sees_a_byte_of_it(office: Office, fork: Fork, concluded: Begun) -> None:
    watchers = [(office.caller(role), look_at_all) for role in (Role.INTAKE, Role.COORDINATOR, Role.AUDITOR)]
    await assert_alike(concluded(), WORLDS, fork, *watchers)


async def test_the_comparison_would_tell(office: Office, fork: Fork, concluded: Begun) -> None:
    """The control: a pause, which is shown to staff, differs."""

    async def a_pause(story: Story) -> None:
        pause = {"reason": "leave", "starts_on": "2026-03-09", "ends_on": "2026-03-11"}
        await story.office.intake.post(f"{story.path}/pauses", pause)
        await nothing(story)

    worlds = Worlds({"nothing": nothing, "a pause": a_pause})
    with pytest.raises(AssertionError, match="can be told apart"):
        await assert_alike(concluded(), worlds, fork, (office.auditor, look_at_all))


async def test_a_case_is_not_touched_by_its_reports(database: RolledBackDatabase, concluded: Begun) -> None:
    story = concluded()
    tables = [table for table in t.metadata.sorted_tables if not table.name.startswith("visible_")]
    # Whoever records something has a name from then on, whatever it is that they record.
    of_staff = {"staff_names", "data_keys"}
    others = [table for table in tables if table.name not in {*OF_REPORTS, *of_staff}]

    async def rows() -> dict[str, list[str]]:
        async with database.reading() as connection:
            return {
                table.name: sorted(map(str, (await connection.execute(select(*table.c))).all())) for table in others
            }

    before = await rows()
    await a_report(story)
    assert await rows() == before
    async with database.reading() as connection:
        events = (await connection.execute(select(t.events).where(t.events.c.report_id.is_not(None)))).mappings().all()
    assert [event["kind"] for event in events] == ["mandatory_report.proposed", "mandatory_report.filed"]
    assert events[0]["data"].keys() == {"report_id", "case_id", "sha256"}
    assert "Agency-told" not in str(events)
    assert {event["sequence"] for event in events} == {1, 2}


OF_REPORTS: Final = {"mandatory_reports", "events", "audit_chain_heads", "access_log", "idempotency_keys"}


async def test_the_events_and_readings_of_a_case_are_those_it_had(
    database: RolledBackDatabase, concluded: Begun
) -> None:
    story = concluded()

    async def counted() -> tuple[int, ...]:
        of_case = t.events.c.case_id == UUID(story.case_id)
        of_complaint = t.access_log.c.complaint_id == UUID(story.complaint_id)
        counts = (
            select(func.count()).select_from(t.events).where(of_case),
            select(func.count()).select_from(t.access_log).where(of_complaint),
        )
        async with database.reading() as connection:
            return tuple([(await connection.execute(count)).scalar_one() for count in counts])

    before = await counted()
    await a_report(story)
    assert await counted() == before


# ── the alert ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_step_raises_an_alert_with_the_id_and_nothing_else(
    office: Office, caplog: pytest.LogCaptureFixture, concluded: Begun
) -> None:
    story = concluded()
    with caplog.at_level(logging.WARNING):
        path = await proposed(mediator_of(story), story)
        await office.director.post(f"{path}/file", None, 200)
        dropped = await proposed(office.director, story)
        await office.director.post(f"{dropped}/drop", {"reason": "no_duty"}, 200)
        await second(office).post(f"{dropped}/file", None, 409)  # nothing happened
    lines = [json.loads(r.getMessage()) for r in caplog.records if "alert" in r.getMessage()]
    assert [(line["event"], line["alert"]) for line in lines] == [
        ("alert", "mandatory_report.proposed"),
        ("alert", "mandatory_report.filed"),
        ("alert", "mandatory_report.proposed"),
        ("alert", "mandatory_report.dropped"),
    ]
    assert {line["report_id"] for line in lines} == {each.rpartition("/")[2] for each in (path, dropped)}
    assert {frozenset(line) for line in lines} == {frozenset({"event", "alert", "report_id", "request_id"})}
    assert story.case_id not in str(lines)


# ── how many there were ────────────────────────────────────────────────────────────────────────────────────────────

COUNTS: Final = "/v1/mandatory-report-counts"


async def counted(who: Caller) -> bytes:
    """What is told, and how: all but what differs from one request to the next."""
    response = await who.send("GET", COUNTS)
    assert response.status_code == 200
    return response.content + response.headers["etag"].encode()


async def test_the_count_of_this_year_s_reports_is_no_answer_s_and_four_look_like_none(
    office: Office, filed: Begun
) -> None:
    story = filed()
    nothing = await counted(office.auditor)
    for number in range(1, 5):
        await proposed(office.director, story)
        assert await counted(office.auditor) == await counted(office.director) == nothing, number
    office.clock.now = office.clock.now.replace(year=2027)
    after_four = await counted(office.director)
    office.clock.now = office.clock.now.replace(year=2026, month=3, day=3)
    assert await counted(office.director) == nothing
    path = await proposed(office.director, story)
    await office.director.post(f"{path}/drop", {"reason": "entered_in_error"}, 200)
    office.clock.now = office.clock.now.replace(year=2027)
    assert await counted(office.director) != after_four
    items = (await office.auditor.get(COUNTS))["items"]
    assert items == [
        {"year": 2026, "reports": 5, "by_category": None},
        *({"year": year, "reports": None, "by_category": None} for year in (2025, 2024, 2023, 2022)),
    ]


async def test_a_year_is_one_of_the_office_s_calendar_and_is_told_by_category_where_each_has_five(
    office: Office, filed: Begun
) -> None:
    story = filed()
    office.clock.now = office.clock.now.replace(year=2027, month=1, day=1, hour=7)  # not midnight yet in Portland
    for category in ReportCategory:
        for _ in range(5):
            await proposed(office.director, story, category=category)
    office.clock.now = office.clock.now.replace(hour=9)
    first = (await office.director.get(COUNTS))["items"][0]  # type: ignore[index]
    by_category = [{"category": each, "reports": 5} for each in ReportCategory]
    assert first == {"year": 2026, "reports": 25, "by_category": by_category}
    assert await office.director.get(f"{COUNTS}?year=2027&category=child_abuse") == await office.director.get(COUNTS)


async def test_nobody_else_is_told_a_count(office: Office, filed: Begun) -> None:
    story = filed()
    others = (office.intake, office.coordinator, office.integration, await office.mediator())
    for who in (*others, *story.complainants, *story.officers):
        await who.get(COUNTS, 403)
    await office.public.get(COUNTS, 401)
