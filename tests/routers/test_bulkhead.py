"""Parties' own connections: what they cost, and what they are kept for."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from tests.conftest import Clock, application, calling
from tests.round_trips import round_trips

from mediation_api.database.engine import Database, Pool, create_engine
from mediation_api.dev.office import Office, Story
from mediation_api.domain.access import Actor, Relation, Role
from mediation_api.main import OPERATIONS
from mediation_api.outreach.documents import Document, Printer, PrintSize
from mediation_api.settings import Settings

pytestmark = pytest.mark.drawn

CONTRACT: Final = Path("openapi/mediation-api.v1.json")
BEGINNING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;SELECT FROM assume_party"
"""What a party's read sends first."""


@dataclass(slots=True)
class Served:
    """The application with two small pools, and a case in which everybody has been asked."""

    database: Database
    client: httpx.AsyncClient
    story: Story

    @property
    def office(self) -> Office:
        return self.story.office


async def _serving(settings: Settings, clock: Clock, database: Database) -> AsyncIterator[Served]:
    async with calling(application(settings, clock, database)) as client:
        story = await (await Office(client, settings, clock).file()).to_asking()
        yield Served(database, client, story)
    await database.close()


@pytest.fixture
def small(committed: Settings) -> Settings:
    return committed.model_copy(update={"pool_size": 2, "party_pool_size": 1, "pool_timeout_seconds": 0.2})


@pytest.fixture
async def served(small: Settings, clock: Clock) -> AsyncIterator[Served]:
    async for served in _serving(small, clock, Database.of(small)):
        yield served


async def _exhaust(database: Database, pool: Pool, connections: int) -> AsyncExitStack:
    """Take every connection of a pool, as queries do that do not end."""
    held = AsyncExitStack()
    for _ in range(connections):
        await held.enter_async_context(database.transaction(pool))
    return held


async def test_parties_are_answered_while_staff_exhaust_their_pool(served: Served) -> None:
    story, (officer,) = served.story, served.story.officers
    async with await _exhaust(served.database, Pool.OFFICE, 2):
        refused = await served.office.coordinator.send("GET", story.path)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) > 0

        await served.client.get("/health/ready")
        await served.office.signed_in(story.complainants[0].access_code)
        disclosure = await served.office.shown_disclosure()
        assert (await officer.send("GET", f"/v1/disclosures/{disclosure}")).status_code == 200
        assert (await officer.get(story.path))["state"] == "pending"
        await story.answer(officer)
        await story.withdraw(officer)


async def test_a_body_that_arrives_slowly_holds_no_connection(served: Served, small: Settings, clock: Clock) -> None:
    pause = json.dumps({"reason": "leave", "starts_on": "2026-03-05", "ends_on": "2026-03-06"}).encode()
    in_use: list[int] = []

    async def slowly() -> AsyncIterator[bytes]:
        for part in (pause[:9], pause[9:], b""):
            in_use.append(sum(pool.in_use for pool in served.database.usage().values()))
            yield part

    headers = {
        "Authorization": f"Bearer {served.office.intake.token}",
        "Content-Type": "application/json",
        "Idempotency-Key": str(uuid4()),
    }
    transport = httpx.ASGITransport(application(small, clock, served.database))
    async with httpx.AsyncClient(transport=transport, base_url=served.client.base_url) as client:
        response = await client.post(f"{served.story.path}/pauses", content=slowly(), headers=headers)
    assert response.status_code == 201
    assert in_use == [0, 0, 0]


async def test_a_document_that_is_printed_holds_no_connection(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    story = await (await served.office.file()).to_signed()
    in_use: list[int] = []
    print_now = Printer.print_now

    def watched(printer: Printer, document: Document, size: PrintSize) -> bytes:
        in_use.append(sum(pool.in_use for pool in served.database.usage().values()))
        return print_now(printer, document, size)

    monkeypatch.setattr(Printer, "print_now", watched)
    agreement = f"/v1/agreements/{story.agreement['id']}"
    documents = [f"{agreement}/document", f"{agreement}/certificate", f"/v1/sessions/{story.session_id}/notice"]
    for who in (story.officers[0], served.office.coordinator):
        for path in documents:
            printed = await who.send("GET", path)
            assert (printed.status_code, printed.headers["content-type"]) == (200, "application/pdf")
    assert in_use == [0] * 2 * len(documents)


async def test_with_one_pool_for_all_they_would_not_be(small: Settings, clock: Clock) -> None:
    one = create_engine(small)
    async for served in _serving(small, clock, Database(one, one)):
        async with await _exhaust(served.database, Pool.OFFICE, 2):
            left = await served.story.officers[0].send("POST", f"{served.story.path}/withdrawals")
            assert left.status_code == 503
            assert int(left.headers["Retry-After"]) > 0


async def test_a_withdrawal_is_recorded_while_everybody_else_exhausts_their_pools(served: Served) -> None:
    story, (officer,) = served.story, served.story.officers
    async with await _exhaust(served.database, Pool.OFFICE, 2), await _exhaust(served.database, Pool.PARTIES, 1):
        assert (await officer.send("GET", story.path)).status_code == 503
        assert (await served.client.get("/health/ready")).status_code == 200
        await story.withdraw(officer)
        by_staff = {"party_id": story.complainants[0].party_id, "channel": "phone"}
        told = await served.office.intake.send("POST", f"{story.path}/withdrawals", by_staff)
        assert told.status_code == 409, "the case closed with the officer"


async def test_one_caller_holds_a_share_and_others_are_answered(small: Settings, clock: Clock) -> None:
    settings = small.model_copy(update={"party_pool_size": 2})
    async for served in _serving(settings, clock, Database.of(settings)):
        story, (officer,), (complainant,) = served.story, served.story.officers, served.story.complainants
        assert officer.identity is not None
        role, subject, number, _ = officer.identity
        actor = Actor(role, subject, employee_number=number)
        async with served.database.as_party(actor, caller=f"{role}:{subject}"):
            refused = await officer.send("GET", story.path)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert int(refused.headers["Retry-After"]) > 0
            await complainant.get(story.path)
        await officer.get(story.path)


async def test_without_a_share_one_caller_holds_them_all(small: Settings, clock: Clock) -> None:
    settings = small.model_copy(update={"party_pool_size": 2, "caller_pool_percent": 100})
    async for served in _serving(settings, clock, Database.of(settings)):
        actor = Actor(Role.OFFICER, "of many cases", employee_number="x")
        async with AsyncExitStack() as held:
            for _ in range(2):
                await held.enter_async_context(served.database.as_party(actor, caller="officer:of many cases"))
            assert (await served.story.complainants[0].send("GET", served.story.path)).status_code == 503


async def test_any_number_of_health_checks_take_one_connection_of_their_own(served: Served) -> None:
    with round_trips() as sent:
        answers = await asyncio.gather(*(served.client.get("/health/ready") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(sent) < len(answers), "who asks while it is being found out is told the same"
    pools = {pool: engine.pool for pool, engine in served.database._pools.items()}
    assert pools[Pool.HEALTH] not in [pools[pool] for pool in Pool if pool is not Pool.HEALTH]
    assert pools[Pool.HEALTH].size() == 1  # type: ignore[attr-defined] # of a queue


async def test_a_statement_of_a_party_is_cut_off_long_before_others_stop_waiting(committed: Settings) -> None:
    database = Database.of(committed)
    async with database.reading(Pool.PARTIES) as connection:
        limit = await connection.scalar(
            text("SELECT extract(epoch FROM current_setting('statement_timeout')::interval)")
        )
    await database.close()
    assert 0 < float(limit) <= committed.pool_timeout_seconds / 2


async def test_staff_are_answered_while_parties_exhaust_theirs(served: Served) -> None:
    async with await _exhaust(served.database, Pool.PARTIES, 1):
        refused = await served.story.officers[0].send("GET", served.story.path)
        assert refused.status_code == 503
        assert await served.story.state() == "asking"


# ── round trips ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_a_party_reads_costs_two_round_trips_more_than_what_staff_read(served: Served) -> None:
    story = served.story
    with round_trips() as sent:
        await story.case()
        assert [each.split()[0] for each in sent] == ["WITH"]  # reads it, and writes down who did
        sent.clear()
        await story.officers[0].get(story.path)

    assert len(sent) == 3
    assert (sent[0], sent[-1]) == (BEGINNING, "COMMIT;")


async def test_a_command_of_a_party_is_answered_through_the_wall(served: Served) -> None:
    story, (officer,) = served.story, served.story.officers
    with round_trips() as sent:
        await story.answer(officer)
        answered = _after_the_wall(sent)
        sent.clear()
        await story.withdraw(officer)
        withdrawing = [each.split()[0] for each in sent[-2:]]

    # Its own row; then it keeps the answer for a retry, with the commit.
    assert answered == ["SELECT consents.id,", "SELECT FROM store_response"]
    # Whoever withdraws is answered with what they said, and nothing is read.
    assert withdrawing == ["WITH", "COMMIT;"]


async def test_a_withdrawal_takes_six_round_trips_at_most_whatever_follows_from_it(served: Served) -> None:
    story = await (await served.office.file(officers=[{}, {}])).to_signed()
    complainant, (_, other) = story.complainants[0], story.officers
    async with served.database.reading(Pool.WITHDRAWALS):
        pass  # the first connection of a pool takes more
    with round_trips() as sent:
        for who, status in ((other, 201), (complainant, 201), (complainant, 200)):
            sent.clear()
            await story.withdraw(who, status)
            assert len(sent) <= 6, sent


def _after_the_wall(sent: list[str]) -> list[str]:
    """What is sent after `assume_party`, each with its first words; before it, all that is written."""
    entered = sent.index("SELECT FROM assume_party")
    assert sent[entered - 1].startswith("WITH change_0"), "all that is written, in one statement"
    return [" ".join(each.split()[: 3 if each.startswith("SELECT FROM") else 2]) for each in sent[entered + 1 :]]


def _reads_of(role: Role) -> dict[str, str]:
    """The operations with which a party reads, and their paths."""
    contract = json.loads(CONTRACT.read_text(encoding="utf-8"))["paths"]
    own = {name for name, operation in OPERATIONS.items() if operation.access.get(role) is Relation.OWN}
    return {
        item["get"]["operationId"]: path
        for path, item in contract.items()
        if "get" in item and item["get"]["operationId"] in own
    }


@pytest.mark.parametrize(("role", "operations"), [(Role.COMPLAINANT, 24), (Role.OFFICER, 19)])
async def test_whatever_a_party_reads_is_read_through_the_wall(served: Served, role: Role, operations: int) -> None:
    story = await (await served.office.file()).to_scheduled()
    agreement = await story.make_agreement()
    who = (story.complainants if role is Role.COMPLAINANT else story.officers)[0]
    ids = {"complaint_id": story.complaint_id, "case_id": story.case_id, "party_id": who.party_id}
    ids |= {"session_id": story.session_id, "agreement_id": str(agreement["id"])}
    ids |= dict.fromkeys(("consent_id", "guardian_consent_id", "withdrawal_id"), str(uuid4()))
    reads = _reads_of(role)
    assert len(reads) == operations
    with round_trips() as sent:
        for operation, path in reads.items():
            sent.clear()
            expected = 404 if path.endswith(("consent_id}", "withdrawal_id}")) else 200
            assert (await who.send("GET", path.format(**ids))).status_code == expected, operation
            assert sent[0] == BEGINNING, operation
            stepped_back = [n for n, each in enumerate(sent) if each.startswith("SELECT set_config")]
            # Only to find out how far readings may be shown; and nothing else is read until it is within again.
            assert len(stepped_back) == (operation == "listAccessLog"), operation
            assert [sent[n + 1] for n in stepped_back] == ["SELECT reveal_access_log"] * len(stepped_back)
