"""The contract's examples are what this service was sent and what it answered, and its links lead somewhere.

The story of the examples is told once; each test holds something else of it against the contract.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select
from tests.conftest import Clock, Run, application, calling, fresh_database
from tests.office.working import work_once
from tests.openapi.examples import EXAMPLES, Played, fixed_ids, play, written
from tests.openapi.reading import document, written_out
from tests.openapi.test_contract import committed
from tests.round_trips import round_trips

from mediation_api.contract.operations import READ
from mediation_api.database.engine import Database, Pool
from mediation_api.database.tables import access_log
from mediation_api.dev.office import Office
from mediation_api.domain.access import Role
from mediation_api.domain.events import Event
from mediation_api.main import OPERATIONS, worker_context
from mediation_api.repository.recording import listed_events
from mediation_api.repository.streams import Stream

Links = Iterator[tuple[str, str]]
LONGER: Final[Mapping[str, int]] = {
    "addParty": 9,
    "approveErasure": 17,
    "cancelImport": 7,
    "correctComplaint": 9,
    "correctMediator": 7,
    "correctParty": 10,
    "refuseErasure": 8,
    "removeParty": 10,
    "requestMediation": 7,
    "replayWebhook": 7,
    "startImport": 11,
}
"""The commands that take more than six round trips, and how many."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came of one request."""

    operation: str
    status: int
    events: frozenset[str]
    """The kinds of those that were recorded."""
    sent: tuple[str, ...]
    """What was sent to the database, each a round trip."""


@dataclass(frozen=True, slots=True)
class Told:
    """The story of the examples, and the office in which it was told."""

    office: Office
    played: Played
    exchanges: list[Exchange]
    read: frozenset[str]
    """The operations that were written down as readings."""


@pytest.fixture(scope="module")
async def told(run: Run, keys: Path, server_url: str) -> AsyncIterator[Told]:
    """Tell it on a database of its own, in which references begin with the first."""
    clock = Clock()
    exchanges, kinds = list[Exchange](), set[str]()

    def note(stream: Stream, new_events: Sequence[Event]) -> list[dict[str, object]]:
        kinds.update(event.kind for event in new_events)
        return listed_events(stream, new_events)

    def close(operation: str, status: int) -> None:
        exchanges.append(Exchange(operation, status, frozenset(kinds), tuple(sent)))
        kinds.clear()
        sent.clear()

    with fresh_database(run, keys, server_url) as settings, round_trips() as sent:
        database = Database.of(settings)
        for pool in Pool:
            async with database.reading(pool):  # SQLAlchemy asks for the version of the server, once
                sent.clear()
        async with calling(application(settings, clock, database)) as client:
            office = Office(client, settings, clock)
            worker = replace(worker_context(settings), database=database, clock=clock)
            with pytest.MonkeyPatch.context() as monkeypatch:
                fixed_ids(monkeypatch)
                monkeypatch.setattr("mediation_api.repository.recording.listed_events", note)
                played = await play(office, committed()["paths"], lambda: work_once(worker), close)
            client.event_hooks = {}
            async with database.reading() as connection:
                names = (await connection.scalars(select(access_log.c.operation))).all()
            yield Told(office, played, exchanges, frozenset(names))
        await database.close()


def test_every_example_is_what_the_service_answers(told: Told, pytestconfig: pytest.Config) -> None:
    played = written(told.played, written_out(document()))
    if pytestconfig.getoption("--update-snapshots"):
        EXAMPLES.write_text(played, encoding="utf-8")
    assert EXAMPLES.read_text(encoding="utf-8") == played, "review the difference, then `make generate`"


def test_every_operation_records_the_events_that_the_contract_names(told: Told) -> None:
    for each in told.exchanges:
        declared = {event.kind for event in OPERATIONS[each.operation].events}
        assert each.events <= declared, each.operation
        if each.status != 200 or each.operation != "recordWithdrawal":  # the second time nothing happens
            assert bool(each.events) == bool(declared), each.operation


def test_every_read_that_the_contract_says_is_written_down_is_and_no_other_operation(told: Told) -> None:
    operations = [operation for item in committed()["paths"].values() for operation in item.values()]
    # `getCalendar` is logged as its owner's read: whoever calls is unknown.
    assert told.read - {"getCalendar"} == {
        each["operationId"] for each in operations if each["x-audit-event"] == [READ]
    }


def test_a_command_takes_six_round_trips_at_most(told: Told) -> None:
    """BEGIN and COMMIT included. Each that takes more stands in `LONGER`, with how many it takes."""
    reads = {item["get"]["operationId"] for item in committed()["paths"].values() if "get" in item}
    longer = dict[object, int]()
    for each in told.exchanges:
        if each.operation not in reads and len(each.sent) > 6:
            longer[each.operation] = max(longer.get(each.operation, 0), len(each.sent))
    assert longer == LONGER


async def test_every_link_of_an_answer_leads_to_something(told: Told) -> None:
    office, links = told.office, set(links_of(told.played))
    readers = (office.coordinator, office.caller(Role.AUDITOR), office.director, office.integration)
    for path in {path for _, path in links}:
        statuses = set()
        for who in readers:
            statuses.add((await who.send("GET", path)).status_code)
            if 200 in statuses:
                break
        assert 200 in statuses, path
    assert len({link for link, _ in links}) >= 40


def links_of(played: Played) -> Links:
    """The links whose target is read, each with its path filled in from an answer."""
    reads = {item["get"]["operationId"]: path for path, item in committed()["paths"].items() if "get" in item}
    for path, item in committed()["paths"].items():
        for operation in item.values():
            name, answers = str(operation["operationId"]), operation["responses"]
            assert isinstance(answers, dict), path
            for status, answer in answers.items():
                for target, link in answer.get("links", {}).items():
                    for shown in played[name].get(status, {}).values():
                        ((parameter, expression),) = link["parameters"].items()
                        value = found_at(shown, expression)
                        if target in reads and value is not None:
                            yield f"{name} {status} {target}", reads[target].replace(f"{{{parameter}}}", str(value))


def found_at(answer: object, expression: str) -> object:
    """What a link's expression finds in an answer; None for what it takes from the request."""
    if not expression.startswith("$response.body#/"):
        return None
    for step in expression.removeprefix("$response.body#/").split("/"):
        if isinstance(answer, list):
            answer = answer[int(step)]
        else:
            assert isinstance(answer, Mapping)
            answer = answer[step]
    return answer
