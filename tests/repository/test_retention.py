"""The job that empties what has come to its end: on real commits, beside the audit and beside people at work."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest
from benchmarks.plans import Caught, explained
from sqlalchemy import Text, delete, event, func, insert, make_url, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import Clock, Run, fresh_database, office_on
from tests.database.row_security import _officer, _person
from typer.testing import CliRunner, Result

from mediation_api.cli.main import app
from mediation_api.database import tables as t
from mediation_api.database.data_keys import decrypted_columns
from mediation_api.database.encryption import Encrypted
from mediation_api.database.engine import Database, Pool, create_engine
from mediation_api.dev.office import Answer, Office, Story
from mediation_api.domain.audit_chain import ChainFault, Examination, Flaw
from mediation_api.domain.retention import DEFAULT_DAYS, EMPTIED, Periods, retention_page
from mediation_api.domain.values import DataKind
from mediation_api.repository import audit_verification
from mediation_api.repository.access_log import delete_ended
from mediation_api.repository.audit_comparison import unlike_events
from mediation_api.repository.idempotency import KEPT, delete_expired
from mediation_api.repository.mails import delete_ended as delete_mails
from mediation_api.repository.retention import _purge_if_due, purge_due
from mediation_api.repository.retention_places import PLACES
from mediation_api.settings import Settings

pytestmark = pytest.mark.drawn

YEARS: Final = timedelta(days=3651)
TERMS: Final = "Terms-t of what both will do."
WORDS: Final = (
    "Rosa Name",
    "Rosa Street",
    "rosa@people",
    "Rosa is best",
    "Rosa needs",
    "Kim Name",
    "Unit Kim",
    "'E-77'",
)
TOLD: Final = ("Guardian-g", "guardian@g", "Narrative-n", "Place-n", "Helper-h", "Room-r", "Reason-r")


@pytest.fixture
def engine(committed_database: Database) -> AsyncEngine:
    """The office's pool on the database of the test."""
    return committed_database._pools[Pool.OFFICE]


@pytest.fixture
async def owner(committed: Settings, as_owner: Callable[[Settings], Settings]) -> AsyncIterator[AsyncEngine]:
    made = create_engine(as_owner(committed))
    yield made
    await made.dispose()


async def emptied(engine: AsyncEngine, at: datetime) -> Counter[DataKind]:
    return await purge_due(engine, Periods(DEFAULT_DAYS), at)


async def problems(engine: AsyncEngine) -> list[ChainFault]:
    async with engine.connect() as connection:
        found = [problem async for problem in audit_verification.problems(connection, Examination(iter(())))]
        return found + [problem async for problem in unlike_events(connection)]


async def tell(office: Office) -> Story:
    """A mediated case in which every field that tells of somebody holds a word of its own."""
    guardian = {"name": "Guardian-g", "relation": "aunt", "phone": "+1 503 555 0190", "email": "guardian@g.example"}
    story = await office.file(
        complainants=[_person("Rosa", minor=True, guardian=guardian, interpreter_language="es")],
        officers=[_officer("Kim", "E-77")],
        narrative="Narrative-n of what happened.",
        incident_place="Place-n",
        intake={"crime_alleged": False},
    )
    await story.screen(eligible=True, reason="Reason-r.")
    await story.guardian_agrees(story.complainants[0])
    await story.answer(story.complainants[0])
    await story.answer(story.officers[0])
    await story.assign()
    await story.schedule(place="Room-r")
    helper = {"role": "interpreter", "name": "Helper-h", "language": "es", "qualified": True, "relation": "none"}
    attendee_id = await story.expect(**helper)
    await story.confirm(attendee_id)
    await story.sign_all()
    await story.sign_on_paper("guardian", story.complainants[0].party_id)
    await story.sign_on_paper("interpreter", attendee_id)
    await story.session("start", {})
    for terms in ("Terms-t that were not it.", TERMS):
        await story.make_agreement(kind="resolution", terms=terms)
    for who in (*story.complainants, *story.officers):
        await story.sign(who)
    await story.sign_on_paper("guardian", story.complainants[0].party_id)
    await story.session("complete")
    await story.close(agreement_reached=True)
    return story


@pytest.fixture(scope="module")
async def in_a_template(run: Run, keys: Path, server_url: str) -> AsyncIterator[tuple[str, Story]]:
    """A database in which this was told once, and the story."""
    with fresh_database(run, keys, server_url) as settings:
        async with office_on(settings, Clock()) as office:
            story = await tell(office)
        yield str(make_url(settings.database_url.get_secret_value()).database), story


@pytest.fixture
def committed_template(in_a_template: tuple[str, Story]) -> str:
    """Each database of these tests begins with the story."""
    return in_a_template[0]


@pytest.fixture
def told(in_a_template: tuple[str, Story], committed_office: Office) -> Story:
    """The story, in the database of the test."""
    return in_a_template[1].copy(committed_office)


@pytest.fixture
async def quiet_office(committed_office: Office, engine: AsyncEngine) -> Office:
    """The office once the story has come to its end: what is emptied from there on is the test's own."""
    await emptied(engine, committed_office.clock.now + YEARS)
    return committed_office


async def everything(engine: AsyncEngine) -> str:
    """All that the database holds."""
    rows = []
    async with engine.connect() as connection:
        for table in t.metadata.sorted_tables:
            if not table.name.startswith("visible_"):
                rows += [
                    f"{table.name} {dict(row)}"
                    for row in (await connection.execute(select(*decrypted_columns(table)))).mappings()
                ]
    return "\n".join(rows)


def tombstones(timeline: Answer) -> list[Answer]:
    items: list[Answer] = timeline["items"]  # type: ignore[assignment]
    return [event["data"] for event in items if event["kind"] == "data.purged"]  # type: ignore[misc]


# ── terms ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_terms_go_thirty_days_after_the_close_and_their_hash_still_answers(
    told: Story, engine: AsyncEngine
) -> None:
    story, office = told, told.office
    path, closed = f"/v1/agreements/{story.agreement['id']}", office.clock.now
    before = await office.coordinator.get(f"{path}/verification")
    assert await emptied(engine, closed + timedelta(days=30)) == Counter()
    story.office.clock.advance(days=30, seconds=1)
    assert await emptied(engine, office.clock.now) == {DataKind.RESOLUTION_TERMS: 2}
    for who in (office.coordinator, *story.complainants, *story.officers):
        shown = await who.get(path)
        assert (shown["text"], shown["sha256"]) == (None, story.agreement["sha256"])
        assert shown["purged_at"] is not None
    assert await office.coordinator.get(f"{path}/verification") == {**before, "text_intact": None}
    assert before["text_intact"] is before["signatures_intact"] is True
    assert "Terms-t" not in await everything(engine)
    assert await problems(engine) == []
    (tombstone,) = tombstones(await office.auditor.get(f"{story.path}/timeline?limit=100"))
    assert {name: tombstone[name] for name in ("data", "why", "fields")} == {
        "data": "resolution_terms",
        "why": "schedule",
        "fields": 2,
    }
    assert story.agreement["id"] in tombstone["agreements"]  # type: ignore[operator]
    shown = await story.officers[0].get(f"{story.path}/timeline?limit=100")
    assert "data.purged" not in str(shown)


async def test_the_agreement_that_all_signed_before_the_session_is_kept(told: Story, engine: AsyncEngine) -> None:
    story, office = told, told.office
    await emptied(engine, office.clock.now + YEARS)
    listed: list[Answer] = (await office.coordinator.get(f"{story.path}/agreements"))["items"]  # type: ignore[assignment]
    assert sorted((each["kind"], each["text"] is None) for each in listed) == [
        ("confidentiality", False),
        ("resolution", True),
        ("resolution", True),
    ]


async def test_terms_of_an_earlier_case_go_while_the_next_is_open(quiet_office: Office, engine: AsyncEngine) -> None:
    office = quiet_office
    story = await (await office.file(complainants=[{}], officers=[{}])).to_in_session()
    await story.make_agreement(kind="resolution", terms=TERMS)
    await story.withdraw(story.complainants[0])
    await office.intake.post(f"/v1/complaints/{story.complaint_id}/mediation-requests")
    assert await emptied(engine, office.clock.now + YEARS) == {DataKind.RESOLUTION_TERMS: 1}
    assert await problems(engine) == []


# ── everything else ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_at_the_end_nothing_that_tells_of_anybody_is_left_and_the_record_is_whole(
    told: Story, engine: AsyncEngine
) -> None:
    story, office = told, told.office
    before = await everything(engine)
    assert [word for word in (*WORDS, *TOLD, "Terms-t") if word not in before] == []
    assert tombstones(await office.auditor.get(f"{story.path}/timeline?limit=100")) == []
    done = await emptied(engine, office.clock.now + YEARS)
    assert done.keys() == set(EMPTIED)
    after = await everything(engine)
    # Answers that are kept for a retry go a day later, and are sealed.
    assert [word for word in (*WORDS, *TOLD, "Terms-t", "503 555") if word in after] == []
    assert await problems(engine) == []
    told_of = tombstones(await office.auditor.get(f"{story.path}/timeline?limit=100"))
    assert {str(each["data"]): each["fields"] for each in told_of} == {str(kind): n for kind, n in done.items()}


async def test_each_kind_goes_at_its_own_time(told: Story, engine: AsyncEngine) -> None:
    office = told.office
    closed = office.clock.now
    contact = {DataKind.RESOLUTION_TERMS, DataKind.CONTACT, DataKind.NEEDS}
    for days, kinds in ((1095, contact - {DataKind.CONTACT, DataKind.NEEDS}), (1096, contact), (3651, set(EMPTIED))):
        async with engine.connect() as connection:
            before = await everything(engine)
            await connection.rollback()
        await emptied(engine, closed + timedelta(days=days))
        after = await everything(engine)
        assert ("Rosa Street" in after) == (DataKind.CONTACT not in kinds), days
        assert ("Rosa needs" in after) == (DataKind.NEEDS not in kinds), days
        assert ("Narrative-n" in after) == (DataKind.ACCOUNT not in kinds), days
        assert ("Rosa Name" in after) == (DataKind.IDENTITY not in kinds), days
        assert before != after


async def test_a_second_run_finds_nothing_and_writes_nothing(told: Story, engine: AsyncEngine) -> None:
    office = told.office
    at = office.clock.now + YEARS
    assert await emptied(engine, at)
    before = await everything(engine)
    assert await emptied(engine, at) == Counter()
    assert await everything(engine) == before


async def test_an_open_case_is_left_alone_and_a_complaint_without_one_counts_from_its_filing(
    committed_office: Office, engine: AsyncEngine
) -> None:
    office = committed_office
    await office.file(narrative="Narrative-open.")
    await office.file(narrative="Narrative-quiet.", interested_in_mediation=False)
    await emptied(engine, office.clock.now + YEARS)
    left = await everything(engine)
    assert "Narrative-open" in left
    assert "Narrative-quiet" not in left


async def test_what_somebody_is_working_on_is_left_for_the_next_time(told: Story, engine: AsyncEngine) -> None:
    story, office = told, told.office
    at = office.clock.now + YEARS
    async with engine.begin() as working:
        busy = select(t.complaints.c.id).where(t.complaints.c.id == UUID(story.complaint_id))
        await working.execute(busy.with_for_update(key_share=True))
        assert not +(await emptied(engine, at))
    assert (await emptied(engine, at)).keys() == set(EMPTIED)


async def test_whether_it_is_due_is_asked_again_under_the_lock(quiet_office: Office, engine: AsyncEngine) -> None:
    """A case that was opened since the complaint was looked up."""
    office = quiet_office
    story = await office.file()
    at = office.clock.now + YEARS
    async with engine.begin() as connection:
        assert await _purge_if_due(connection, UUID(story.complaint_id), DataKind.ACCOUNT, at, at) == 0
    assert await emptied(engine, at) == Counter()


async def test_more_complaints_than_are_looked_up_at_a_time_are_all_emptied(
    quiet_office: Office, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = quiet_office
    monkeypatch.setattr("mediation_api.repository.retention.IN_RANGE", 2)
    for _ in range(5):
        await office.file(interested_in_mediation=False)
    assert (await emptied(engine, office.clock.now + YEARS))[DataKind.ACCOUNT] == 5


async def test_no_statement_of_the_job_looks_at_more_complaints_than_are_in_a_range(
    quiet_office: Office, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the job takes longer in a large office, and no statement of it does."""
    monkeypatch.setattr("mediation_api.repository.retention.IN_RANGE", 2)
    for _ in range(5):
        await quiet_office.file(interested_in_mediation=False)
    async with engine.connect() as connection:
        ranges = (await connection.scalar(select(func.count()).select_from(t.complaints)) or 0) // 2 + 1
    lookups: list[Caught] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        if statement.startswith("SELECT complaints.id"):
            lookups.append(Caught(statement, parameters))

    await emptied(engine, quiet_office.clock.now)  # nothing is due
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # it would read a table as small as this
        looked_at = [(await explained(connection, lookup)).rows["complaints"] for lookup in lookups]
    assert len(lookups) == 2 * ranges * len(EMPTIED), "the end of each range, and what is due in it"
    assert max(looked_at) == 2


async def test_expired_idempotency_keys_are_deleted_with_their_responses_and_no_others(
    quiet_office: Office, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, keys = quiet_office, t.idempotency_keys
    monkeypatch.setattr("mediation_api.repository.idempotency.DELETED_AT_ONCE", 2)
    for _ in range(5):
        await office.file(interested_in_mediation=False)
    async with engine.connect() as connection:
        before = await connection.scalar(select(func.count()).select_from(keys))
    old = office.clock.now
    office.clock.advance(hours=1)
    await office.file(interested_in_mediation=False)

    assert await delete_expired(engine, old + KEPT) == 0
    assert await delete_expired(engine, old + KEPT + timedelta(seconds=1)) == before
    async with engine.connect() as connection:
        assert {*await connection.scalars(select(keys.c.at))} == {office.clock.now}


# ── mails ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_mails_are_deleted_at_the_end_of_their_period_unless_they_wait_or_a_hold_stands(
    quiet_office: Office, engine: AsyncEngine
) -> None:
    held, other = [await quiet_office.file() for _ in range(2)]
    await quiet_office.director.post(f"{held.complaint}/legal-holds", {"reason": "litigation"})
    now = datetime.now(UTC)
    old, new = now - timedelta(days=366), now - timedelta(days=364)
    async with engine.begin() as connection:
        for story, at, state in (
            (held, old, "sent"),
            (other, old, "sent"),
            (other, old, "queued"),
            (other, new, "failed"),
        ):
            waits = state == "queued"
            row = {
                **dict.fromkeys(("case_id", "about_id"), UUID(story.case_id)),
                "id": uuid4(),
                "party_id": UUID(str(story.officers[0].party_id)),
                "kind": "closed",
                "attempts": 1,
                "state": state,
                "queued_at": at,
                "due_at": at if waits else None,
            }
            await connection.execute(insert(t.mails).values(**row, finished_at=None if waits else at))
    before = now - timedelta(days=DEFAULT_DAYS["keep_mail_days"])
    assert await delete_mails(engine, before) == 1
    async with engine.begin() as connection:
        left = await connection.execute(select(t.mails.c.case_id, t.mails.c.state))
        assert sorted((str(row.case_id) == held.case_id, row.state) for row in left) == [
            (False, "failed"),
            (False, "queued"),
            (True, "sent"),
        ]


# ── the access log ─────────────────────────────────────────────────────────────────────────────────────────────────

DEFAULT_PERIOD: Final = timedelta(days=DEFAULT_DAYS["keep_access_log_days"])
OPENED: Final = {"operation": "getCase", "purpose": "casework", "by_role": "coordinator", "by": "of a test"}


@pytest.fixture
async def no_entries(owner: AsyncEngine) -> None:
    """Take away what the office has opened: entries are in the order of their time."""
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE access_log DISABLE TRIGGER USER"))
        await connection.execute(text("TRUNCATE access_log"))
        for name in ("append_only", "keep_access_log"):
            await connection.execute(text(f"ALTER TABLE access_log ENABLE ALWAYS TRIGGER {name}"))


async def log(engine: AsyncEngine, at: datetime, **subject: object) -> None:
    """Write an entry that is about something, as if it had been opened then."""
    seen = {"attempt": 1, "version": 1} if "complaint_id" in subject else {}
    async with engine.begin() as connection:
        await connection.execute(insert(t.access_log).values(at=at, **OPENED, **seen, **subject))


async def logged(engine: AsyncEngine) -> set[datetime]:
    """When there was an access, by the entries above."""
    async with engine.connect() as connection:
        of_test = select(t.access_log.c.at).where(t.access_log.c.by == OPENED["by"])
        return {*await connection.scalars(of_test)}


@pytest.mark.usefixtures("no_entries")
async def test_entries_of_the_access_log_are_deleted_at_the_end_of_their_period_and_no_others(
    quiet_office: Office, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediation_api.repository.access_log.ENTRIES_IN_RANGE", 2)
    story, now = await quiet_office.file(), datetime.now(UTC)
    subject = {"complaint_id": UUID(story.complaint_id), "case_id": UUID(story.case_id)}
    days = (4000, 3999, 3998, 3997, 3651, 3649, 400, 1)
    for each in days:
        await log(engine, now - timedelta(days=each), **subject)
    before = now - DEFAULT_PERIOD
    assert await delete_ended(engine, before) == 5
    assert await logged(engine) == {now - timedelta(days=each) for each in days[5:]}
    assert await delete_ended(engine, before) == 0


@pytest.mark.usefixtures("no_entries")
async def test_entries_about_a_complaint_under_a_hold_are_kept_until_it_is_lifted(
    quiet_office: Office, engine: AsyncEngine
) -> None:
    office, now = quiet_office, datetime.now(UTC)
    held, other = [await (await office.file()).to_ready() for _ in range(2)]
    contents = {
        "category": "child_abuse",
        "recipient": "child_protection",
        "agency": "Child Protection, East",
        "legal_basis": "ORS 419B.010",
        "disclosed_at": office.clock.now.isoformat(),
    }
    reports = [await office.director.post(f"{each.path}/mandatory-reports", contents) for each in (held, other)]
    hold = await office.director.post(f"/v1/complaints/{held.complaint_id}/legal-holds", {"reason": "litigation"})
    of_held: list[dict[str, object]] = [
        {"complaint_id": UUID(held.complaint_id)},
        {"listed": [UUID(other.case_id), UUID(held.case_id)]},
        {"listed": [UUID(held.complaint_id)]},
        {"report_id": UUID(str(reports[0]["id"]))},
    ]
    of_other: list[dict[str, object]] = [
        {"complaint_id": UUID(other.complaint_id)},
        {"listed": [UUID(other.case_id)]},
        {"listed": []},
        {"report_id": UUID(str(reports[1]["id"]))},
    ]
    for number, subject in enumerate([*of_held, *of_other]):
        await log(engine, now - timedelta(days=5000, hours=number), **subject)
    before = now - DEFAULT_PERIOD
    assert await delete_ended(engine, before) == len(of_other)
    assert await logged(engine) == {now - timedelta(days=5000, hours=number) for number in range(len(of_held))}
    await office.director.post(f"/v1/legal-holds/{hold['id']}/lift", None, 200)
    assert await delete_ended(engine, before) == len(of_held)


@pytest.mark.usefixtures("no_entries")
async def test_no_statement_looks_at_more_entries_than_are_in_a_range(
    quiet_office: Office, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediation_api.repository.access_log.ENTRIES_IN_RANGE", 2)
    story, now = await quiet_office.file(), datetime.now(UTC)
    for each in range(7):
        await log(engine, now - timedelta(days=5000 - each), complaint_id=UUID(story.complaint_id))
    statements: list[Caught] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        if statement.startswith(("SELECT max", "DELETE")):
            statements.append(Caught(statement, parameters))

    assert await delete_ended(engine, now - timedelta(days=6000)) == 0
    assert len(statements) == 1, "nothing is old enough"
    assert await delete_ended(engine, now - DEFAULT_PERIOD) == 7
    for each in range(7):
        await log(engine, now - timedelta(days=5000 - each), complaint_id=UUID(story.complaint_id))
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # it would read a table as small as this
        assert max([(await explained(connection, each)).rows["access_log"] for each in statements]) <= 2
        await connection.rollback()


@pytest.mark.parametrize("days", [364, 366])
async def test_the_database_keeps_an_entry_for_a_year_whoever_deletes_it(
    quiet_office: Office, engine: AsyncEngine, owner: AsyncEngine, days: int
) -> None:
    story, at = await quiet_office.file(), datetime.now(UTC) - timedelta(days=days)
    await log(engine, at, complaint_id=UUID(story.complaint_id))
    deletion = delete(t.access_log).where(t.access_log.c.by == OPENED["by"])
    for who in (engine, owner):
        async with who.connect() as connection:
            if who is owner:  # with the ordinary triggers off
                await connection.execute(text("SET LOCAL session_replication_role = replica"))
            if days > 365:
                assert (await connection.execute(deletion)).rowcount == 1
                continue
            with pytest.raises(IntegrityError, match="kept for a year at least"):
                await connection.execute(deletion)


KEPT_TEXTS: Final = {
    "import_batches.lines": "deleted with the lines that are done, or with their import",
    "disclosures.body": "shown to everybody, names nobody",
    "mandatory_reports.agency": "kept as long as counsel says",
    "mandatory_reports.legal_basis": "the same",
    "mediators.name": "the roster is corrected by the office",
    "mediators.email": "the same",
    "mediators.phone": "the same",
    "mediators.employee_number": "the same",
    "staff_names.name": "of staff; kept as long as the records that name their subjects",
    "visible_parties.name": "a parent, without rows",
    "webhook_endpoints.url": "of a program, not of a person; emptied when the endpoint is removed",
    "webhook_endpoints.secret": "the same",
    "webhook_endpoints.former_secret": "the same",
}


def test_every_column_for_what_people_write_is_emptied_or_argued() -> None:
    columns = [column for table in t.metadata.sorted_tables for column in table.c]
    texts = {f"{c.table.name}.{c.name}" for c in columns if isinstance(c.type, Text | Encrypted)}
    places = {f"{p.table.name}.{name}" for each in PLACES.values() for p in each for name in p.empty}
    assert texts - KEPT_TEXTS.keys() <= places
    assert KEPT_TEXTS.keys() <= texts
    assert set(PLACES) == set(EMPTIED)


# ── what is gone is explained, or found ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE agreements SET text = NULL, purged_at = now() WHERE kind = 'resolution' AND superseded_at IS NULL",
        "UPDATE agreements SET text = 'encrypted.1.' WHERE kind = 'resolution' AND superseded_at IS NULL",
    ],
)
async def test_a_text_that_is_gone_without_an_event_is_found(
    deed: str, engine: AsyncEngine, owner: AsyncEngine
) -> None:
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE agreements DISABLE TRIGGER USER"))
        await connection.execute(text("ALTER TABLE agreements NO FORCE ROW LEVEL SECURITY"))
        assert (await connection.execute(text(deed))).rowcount == 1
    assert Flaw.UNLIKE_EVENT in {problem.flaw for problem in await problems(engine)}


async def test_the_hash_of_a_text_that_is_gone_is_held_against_its_event(
    told: Story, engine: AsyncEngine, owner: AsyncEngine
) -> None:
    office = told.office
    await emptied(engine, office.clock.now + timedelta(days=31))
    assert await problems(engine) == []
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE signatures DISABLE TRIGGER ALL"))
        await connection.execute(text("ALTER TABLE agreements DISABLE TRIGGER ALL"))
        await connection.execute(text("ALTER TABLE agreements NO FORCE ROW LEVEL SECURITY"))
        changed = "UPDATE agreements SET sha256 = repeat('0', 64) WHERE kind = 'resolution' AND superseded_at IS NULL"
        assert (await connection.execute(text(changed))).rowcount == 1
    assert Flaw.UNLIKE_EVENT in [problem.flaw for problem in await problems(engine)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE agreements SET text = 'Others.' WHERE kind = 'resolution'",
        "UPDATE agreements SET text = NULL, purged_at = now() WHERE kind = 'confidentiality'",
        "UPDATE screenings SET reason = 'Another.'",
        "UPDATE screenings SET reason = NULL",
    ],
)
async def test_the_service_can_empty_and_not_rewrite(statement: str, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(text(statement))
        await connection.rollback()


# ── the command ────────────────────────────────────────────────────────────────────────────────────────────────────


def run(settings: Settings, keys: Path, *arguments: str) -> Result:
    """Run the command in a thread: it has a loop of its own."""
    environment: Mapping[str, str] = {
        "MEDIATION_ENVIRONMENT": "dev",
        "MEDIATION_DATA_DIRECTORY": str(keys),
        "MEDIATION_DATABASE_URL": settings.database_url.get_secret_value(),
        "MEDIATION_ACCESS_CODE_SECRET": settings.access_code_secret.get_secret_value(),
        "MEDIATION_CURSOR_SECRET": settings.cursor_secret.get_secret_value(),
        "MEDIATION_SEARCH_SECRET": settings.search_secret.get_secret_value(),
        "MEDIATION_ENCRYPTION_KEYS": settings.encryption_keys.get_secret_value(),
        "MEDIATION_KEEP_ACCOUNT_DAYS": "1",
    }
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(CliRunner().invoke, app, ["retention", *arguments], env=dict(environment)).result()


async def test_the_command_counts_what_it_emptied_by_the_settings(
    quiet_office: Office, engine: AsyncEngine, committed: Settings, keys: Path
) -> None:
    """The clock of this office stands in the past."""
    story = await quiet_office.file(interested_in_mediation=False)
    await log(engine, datetime.now(UTC) - timedelta(days=5000), complaint_id=UUID(story.complaint_id))
    async with engine.connect() as connection:
        claimed = await connection.scalar(select(func.count()).select_from(t.idempotency_keys))
    for said in (f"access_log 1\naccount 1\nretry {claimed}\n", "No retention period has ended.\n"):
        done = run(committed, keys)
        assert (done.exit_code, done.stdout) == (0, said), done.output


def test_the_command_prints_the_schedule(settings: Settings, keys: Path) -> None:
    assert run(settings, keys, "--schedule").stdout == retention_page()


# ── holds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_of_a_complaint_under_a_hold_nothing_is_emptied_until_the_last_is_lifted(
    told: Story, engine: AsyncEngine
) -> None:
    story, office = told, told.office
    holds = f"/v1/complaints/{story.complaint_id}/legal-holds"
    placed = [await office.director.post(holds, {"reason": reason}) for reason in ("litigation", "records_request")]
    before = await everything(engine)
    for hold in placed:
        assert await emptied(engine, office.clock.now + YEARS) == Counter()
        assert await everything(engine) == before
        await office.director.post(f"/v1/legal-holds/{hold['id']}/lift", None, 200)
        before = await everything(engine)
    assert (await emptied(engine, office.clock.now + YEARS)).keys() == set(EMPTIED)
    assert await problems(engine) == []


async def test_a_hold_that_is_placed_while_the_job_runs_is_kept(told: Story, engine: AsyncEngine) -> None:
    """The complaint was found due before; it is asked again under its lock."""
    story, office = told, told.office
    at = office.clock.now + YEARS
    await office.director.post(f"/v1/complaints/{story.complaint_id}/legal-holds", {"reason": "litigation"})
    for kind in EMPTIED:
        async with engine.begin() as connection:
            assert await _purge_if_due(connection, UUID(story.complaint_id), kind, at, at) == 0
