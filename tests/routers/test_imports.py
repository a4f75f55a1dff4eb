"""Imports: many complaints in one upload, filed line by line in the background by the rules of a single filing."""

import json
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.conftest import Clock, RolledBackDatabase

from mediation_api.cli import import_lines
from mediation_api.cli.import_lines import file_next_batch, run_imports
from mediation_api.database import tables as t
from mediation_api.database.engine import Database
from mediation_api.dev.office import Caller, Office
from mediation_api.domain.access import Role
from mediation_api.domain.imports import BATCH_LINES, MOST_LINES
from mediation_api.main import worker_context
from mediation_api.outreach.worker import RunResult, WorkerContext
from mediation_api.repository.imports import Imports, Upload
from mediation_api.repository.recording import record_new
from mediation_api.settings import Settings

Row = dict[str, object]
UUID_OF_AN_IMPORT: Final = UUID(int=1)

REFERENCE: Final = "external_reference"


def complaint(reference: str | None, **fields: object) -> Row:
    """A complaint as an integration sends it."""
    parties = [
        {"side": "complainant", "name": "Rosa Alvarez"},
        {"side": "officer", "name": "Dale Kim", "employee_number": "4711"},
    ]
    return {
        "narrative": "He shouted at me.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": True,
        "parties": parties,
        REFERENCE: reference,
        **fields,
    }


def lines(*each: object) -> bytes:
    """A body: bytes as they are, everything else as JSON."""
    return b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in each)


@pytest.fixture
def worker(settings: Settings, database: RolledBackDatabase, clock: Clock) -> WorkerContext:
    return replace(worker_context(settings), database=database, clock=clock)


async def done(who: Caller, worker: WorkerContext, body: bytes, query: str = "") -> Row:
    """Upload, do what there is to do, and return the import."""
    started = await who.upload(body, f"/v1/imports{query}")
    while await file_next_batch(worker):
        pass
    return await who.get(f"/v1/imports/{started['id']}")


async def refusals(who: Caller, made: Row) -> dict[int, Row]:
    """Why which line of an import was refused."""
    listed = (await who.get(f"/v1/imports/{made['id']}/refusals?limit=100"))["items"]
    assert isinstance(listed, list)
    return {each["line"]: each["problem"] for each in listed}


def counts(made: Row) -> tuple[object, ...]:
    return tuple(made[name] for name in ("lines", "filed", "refused", "already_there"))


async def test_a_line_is_filed_as_a_request_is(office: Office, worker: WorkerContext, database: Database) -> None:
    """The same rows and events, but for ids, references and access codes."""
    who, body = office.integration, complaint("A-1", incident_place="Main", intake={"crime_alleged": False})
    filed = await who.post("/v1/complaints", body)
    made = await done(who, worker, lines({**body, REFERENCE: "A-2"}))
    assert (made["state"], counts(made)) == ("finished", (1, 1, 0, 0))
    listed = (await office.intake.get("/v1/complaints"))["items"]
    assert isinstance(listed, list)
    first, second = ({name: each[name] for name in each if name not in VARY} for each in listed)
    assert first == second
    second_id = next(each["id"] for each in listed if each[REFERENCE] == "A-2")
    cases = [each["cases"][0]["id"] for each in listed]
    async with database.reading() as connection:
        kinds = [
            (await connection.scalars(select(t.events.c.kind).where(t.events.c.complaint_id == id_))).all()
            for id_ in (filed["id"], second_id)
        ]
        versions = [
            (
                await connection.execute(select(t.events.c.kind, t.events.c.version).where(t.events.c.case_id == id_))
            ).all()
            for id_ in cases
        ]
        joined = (await connection.scalars(select(t.participants.c.joined_version))).all()
    assert kinds == [["complaint.filed", "party.added", "party.added"]] * 2
    assert sorted(versions[0]) == sorted(versions[1])
    assert set(joined) == {1}
    case = await office.coordinator.get(f"/v1/cases/{cases[0]}")
    assert case["state"] == "screening"


VARY: Final = {"id", "reference", "cases", "parts", REFERENCE}

HOSTILE: Final[tuple[tuple[bytes, str], ...]] = (
    (b'{"narrative": "\xff"}', "not-utf-8"),
    (b"\xef\xbb\xbf" + json.dumps(complaint("B-1")).encode(), "byte-order-mark"),
    (json.dumps(complaint("B-2", narrative="a\x00b")).encode(), "control-character"),
    (b'{"narrative": "\\ud800"}', "lone-surrogate"),
    (b'{"filed_by": ' + b"9" * 10_000 + b"}", "number-out-of-range"),
    (b"[" * 10_000, "too-deep"),
    (b'{"narrative": "a", "narrative": "b"}', "duplicate-key"),
    (b"{]", "not-json"),
    (b"null", "wrong-type"),
    (json.dumps(complaint(None)).encode(), "required"),
    (json.dumps(complaint("B-3", surprise=1)).encode(), "unknown-field"),
    (json.dumps(complaint("B-4", channel="phone")).encode(), "staff-only"),
    (json.dumps(complaint("B-5", filed_by=1)).encode(), "complainants-only"),
    (json.dumps(complaint("B-6", allegations=["no_such"])).encode(), "category-not-configured"),
    (json.dumps(complaint("B-7", incident_on="2026-03-03")).encode(), "in-the-future"),
)


async def test_a_line_that_is_wrong_is_refused_by_itself_and_names_nothing_that_was_sent(
    office: Office, worker: WorkerContext
) -> None:
    good = [complaint("C-1"), complaint("C-2", filed_by=0)]
    body = lines(good[0], *(line for line, _ in HOSTILE), b"{" + b" " * 70_000, good[1])
    made = await done(office.integration, worker, body)
    assert counts(made) == (len(HOSTILE) + 3, 2, len(HOSTILE) + 1, 0)
    problems = await refusals(office.integration, made)
    assert problems.pop(len(HOSTILE) + 2)["code"] == "payload-too-large"
    found = [problem["errors"][0]["code"] for _, problem in sorted(problems.items())]  # type: ignore[index]
    assert found == [code for _, code in HOSTILE]
    assert "no_such" not in json.dumps(problems)


async def test_refusals_are_walked_in_the_order_of_the_lines(office: Office, worker: WorkerContext) -> None:
    who = office.integration
    made = await done(who, worker, b"{}\n\n{}\nnull", "?dry_run=false")
    walked, path = list[object](), f"/v1/imports/{made['id']}/refusals?limit=1"
    while path:
        response = await who.send("GET", path)
        walked += [each["line"] for each in response.json()["items"]]
        path = response.headers.get("link", "").removeprefix("<").removesuffix('>; rel="next"')
    assert walked == [1, 3, 4]


async def test_the_reason_of_a_refusal_is_in_the_language_of_the_reader(office: Office, worker: WorkerContext) -> None:
    who = office.integration
    made = await done(who, worker, lines(complaint("D-1", narrative="")))
    headers = {"Authorization": f"Bearer {who.token}", "Accept-Language": "es"}
    told = await office.client.get(f"/v1/imports/{made['id']}/refusals", headers=headers)
    (error,) = told.json()["items"][0]["problem"]["errors"]
    assert (error["pointer"], error["detail"]) == ("/narrative", "Al menos 1 caracteres.")
    assert told.headers["Content-Language"] == "es"


async def test_lines_are_told_apart_whatever_ends_them(office: Office, worker: WorkerContext) -> None:
    one, two = (json.dumps(complaint(f"E-{n}")).encode() for n in (1, 2))
    made = await done(office.integration, worker, b"\r\n\n" + one + b"\r\n  \n" + two)
    assert (counts(made), made["last_line_done"]) == ((2, 2, 0, 0), 5)
    again = await done(office.integration, worker, one + b"\n" + two + b"\n")
    assert (counts(again), again["last_line_done"]) == ((2, 0, 0, 2), 2)
    empty = await done(office.integration, worker, b"\n\n")
    assert (empty["state"], counts(empty)) == ("finished", (0, 0, 0, 0))


async def test_a_reference_is_filed_once(office: Office, worker: WorkerContext) -> None:
    """Twice in a batch, in two batches, and again after the case was worked on; another integration has its own."""
    who = office.integration
    body = lines(complaint("F-0"), *(complaint(f"F-{n}") for n in range(BATCH_LINES + 5)), complaint("F-1"))
    made = await done(who, worker, body)
    assert counts(made) == (BATCH_LINES + 7, BATCH_LINES + 5, 0, 2)
    assert counts(await done(who, worker, body)) == (BATCH_LINES + 7, 0, 0, BATCH_LINES + 7)
    other = office.caller(Role.INTEGRATION, "another-system")
    assert counts(await done(other, worker, lines(complaint("F-0")))) == (1, 1, 0, 0)


async def test_a_dry_run_files_nothing_and_says_what_would_be(
    office: Office, worker: WorkerContext, database: Database
) -> None:
    who = office.integration
    await who.post("/v1/complaints", complaint("G-0"))
    twice = complaint("G-2", parties=[complaint("")["parties"][0], *[complaint("")["parties"][1]] * 2])  # type: ignore[index]
    body = lines(complaint("G-0"), complaint("G-1"), twice)
    made = await done(who, worker, body, "?dry_run=true")
    assert (made["dry_run"], counts(made)) == (True, (3, 1, 1, 1))
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(t.complaints)) == 1
    reference = (await who.post("/v1/complaints", complaint("G-9")))["reference"]
    real = await done(who, worker, body)
    assert counts(real) == (3, 1, 1, 1)
    assert {problem["code"] for problem in (await refusals(who, real)).values()} == {"party-already-listed"}
    assert str(reference).startswith("2026-000")  # a dry run takes no numbers


async def test_nobody_gets_an_access_code(office: Office, worker: WorkerContext, database: Database) -> None:
    await done(office.integration, worker, lines(complaint("H-1", filed_by=0)))
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(t.access_codes)) == 0


async def test_an_import_is_of_its_integration_alone(office: Office, worker: WorkerContext) -> None:
    made = await done(office.integration, worker, lines(b"{}"))
    other = office.caller(Role.INTEGRATION, "another-system")
    for path in (f"/v1/imports/{made['id']}", f"/v1/imports/{made['id']}/refusals"):
        await other.get(path, 404)
        await office.director.get(path, 403)
    await other.post(f"/v1/imports/{made['id']}/cancel", status=404)
    reading = office.caller(Role.INTEGRATION, "intake-system", scope="complaints:read")
    await reading.upload(b"{}", status=403)


async def test_a_cancelled_import_keeps_what_was_filed_and_deletes_the_rest(
    office: Office, worker: WorkerContext, database: Database
) -> None:
    who = office.integration
    started = await who.upload(lines(*(complaint(f"I-{n}") for n in range(BATCH_LINES + 1))))
    assert await file_next_batch(worker)
    stopped = await who.post(f"/v1/imports/{started['id']}/cancel", status=200)
    assert (stopped["state"], counts(stopped)) == ("cancelled", (BATCH_LINES + 1, BATCH_LINES, 0, 0))
    assert not await file_next_batch(worker)
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(t.import_batches)) == 0
    again = await who.post(f"/v1/imports/{started['id']}/cancel", status=409)
    assert again["code"] == "state-conflict"


@pytest.mark.drawn
async def test_after_a_crash_the_import_goes_on_where_it_was(
    office: Office, worker: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = office.integration
    started = await who.upload(lines(*(complaint(f"J-{n}") for n in range(2 * BATCH_LINES))))
    assert await file_next_batch(worker)
    finish = Imports.finish

    async def die(*_arguments: object, **_named: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(Imports, "finish", die)
    with pytest.raises(ConnectionResetError):
        await file_next_batch(worker)
    half = await who.get(f"/v1/imports/{started['id']}")
    assert (half["state"], half["last_line_done"], half["filed"]) == ("running", BATCH_LINES, BATCH_LINES)
    monkeypatch.setattr(Imports, "finish", finish)
    assert await run_imports(worker) is RunResult.MORE
    assert await run_imports(worker) is RunResult.DONE
    whole = await who.get(f"/v1/imports/{started['id']}")
    assert (whole["state"], whole["filed"], whole["already_there"]) == ("finished", 2 * BATCH_LINES, 0)


async def test_a_line_that_only_the_database_refuses_does_not_fail_the_others(
    office: Office, worker: WorkerContext, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks a constraint without a name among the rules is an error of the server, of that line alone."""

    async def broken(connection: AsyncConnection, decided: Iterable[tuple[object, object]], **named: object) -> None:
        listed = list(decided)
        await record_new(connection, listed, **named)  # type: ignore[arg-type]
        if any("Broken" in str(getattr(each[1][0], "values", "")) for each in listed):  # type: ignore[index]
            await connection.execute(text("INSERT INTO job_runs VALUES ('no-such-job', now())"))

    monkeypatch.setattr(import_lines, "record_new", broken)
    body = lines(complaint("K-1"), complaint("K-2", precinct="Broken"), complaint("K-3"))
    with caplog.at_level(logging.ERROR):
        made = await done(office.integration, worker, body)
    assert counts(made) == (3, 2, 1, 0)
    assert (await refusals(office.integration, made))[2]["code"] == "internal-error"
    assert "import-line" in caplog.text
    assert "Broken" not in caplog.text


async def test_a_database_that_is_away_refuses_no_line(
    office: Office, worker: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_arguments: object, **_named: object) -> None:
        raise DBAPIError("", None, ConnectionResetError())

    started = await office.integration.upload(lines(complaint("L-1")))
    with monkeypatch.context() as patched:
        patched.setattr(import_lines, "record_new", away)
        with pytest.raises(DBAPIError):
            await file_next_batch(worker)
    assert await file_next_batch(worker)
    assert counts(await office.integration.get(f"/v1/imports/{started['id']}")) == (1, 1, 0, 0)


@pytest.mark.parametrize("number", [MOST_LINES, MOST_LINES + 1])
async def test_an_upload_of_too_many_lines_leaves_nothing(office: Office, database: Database, number: int) -> None:
    status = 202 if number == MOST_LINES else 413
    await office.integration.upload(b"\n" * (number - 1) + b"{}", status=status)
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(t.imports)) == (status == 202)


async def test_an_upload_that_breaks_off_leaves_nothing(office: Office, database: Database) -> None:
    async def breaks_off() -> AsyncIterator[bytes]:
        yield lines(*(complaint(f"M-{n}") for n in range(BATCH_LINES))) + b"\n"
        raise httpx.ReadError("gone")

    headers = {"Authorization": f"Bearer {office.integration.token}", "Content-Type": "application/x-ndjson"}
    await office.client.post("/v1/imports", content=breaks_off(), headers=headers)
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(t.imports)) == 0
        assert await connection.scalar(select(func.count()).select_from(t.import_batches)) == 0


async def test_an_upload_whose_process_was_killed_is_deleted_and_never_shown(
    office: Office, worker: WorkerContext, database: Database, clock: Clock
) -> None:
    import_id = t.imports.c.id
    async with database.transaction() as connection:
        made = UUID_OF_AN_IMPORT
        upload = await Upload.begin(connection, made, by="integration", request_id="r", dry_run=False, at=clock.now)
        await upload.add(connection, 1, [b"{}"])
    await office.integration.get(f"/v1/imports/{made}", 404)
    for hours, left in ((0, 1), (2, 0)):
        clock.advance(hours=hours)
        assert not await file_next_batch(worker)
        async with database.reading() as connection:
            assert len((await connection.scalars(select(import_id))).all()) == left
