"""The contract's examples are what this service was sent and what it answered, and its links lead somewhere."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest
from sqlalchemy import select
from tests.build import Office
from tests.openapi.examples import EXAMPLES, Played, fixed_ids, play, written
from tests.openapi.test_contract import committed

from mediation_api.domain.access import Role
from mediation_api.domain.facts import Fact
from mediation_api.repository.cases import said
from mediation_api.repository.database import create_engine
from mediation_api.repository.tables import readings
from mediation_api.routers.contract import READ, RECORDS, operation_id
from mediation_api.settings import Settings

Links = Iterator[tuple[str, str]]


async def test_every_example_is_what_the_service_answers(
    committed_office: Office, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """On a database of its own, in which references begin with the first."""
    fixed_ids(monkeypatch)
    played = written(await play(committed_office, committed()["paths"]))
    if pytestconfig.getoption("--record-examples"):
        EXAMPLES.write_text(played, encoding="utf-8")
    assert EXAMPLES.read_text(encoding="utf-8") == played, "review the difference, then `make openapi`"


async def test_every_operation_records_the_facts_that_the_contract_names(
    committed_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_facts: list[str] = []

    def note(happened: Iterable[Fact], **about: object) -> dict[str, object]:
        happened = tuple(happened)
        written_facts.extend(fact.kind for fact in happened)
        return said(happened, **about)  # type: ignore[arg-type]

    monkeypatch.setattr("mediation_api.repository.cases.said", note)

    def compare(operation: str, status: int) -> None:
        assert set(written_facts) <= set(RECORDS.get(operation, ())), operation
        if status != 200 or operation != "withdraw":  # the second time nothing happens
            assert bool(written_facts) == (operation in RECORDS), operation
        written_facts.clear()

    await play(committed_office, committed()["paths"], compare)


async def test_every_read_that_the_contract_says_is_written_down_is_and_no_other_operation(
    committed_office: Office, as_owner: Callable[[Settings], Settings]
) -> None:
    await play(committed_office, committed()["paths"])

    engine = create_engine(as_owner(committed_office.settings))
    async with engine.connect() as connection:
        names = (await connection.scalars(select(readings.c.operation))).all()
    await engine.dispose()
    operations = [operation for item in committed()["paths"].values() for operation in item.values()]
    written_by = set(map(operation_id, names))
    assert written_by == {each["operationId"] for each in operations if each["x-audit-event"] == [READ]}


async def test_every_link_of_an_answer_leads_to_something(committed_office: Office) -> None:
    played = await play(committed_office, committed()["paths"])
    followed = set()
    for link, path in links_of(played):
        for who in (committed_office.coordinator, committed_office.caller(Role.AUDITOR), committed_office.director):
            response = await who.send("GET", path)
            if response.status_code == 200:
                followed.add(link)
    assert len(followed) >= 60
    assert followed == {link for link, _ in links_of(played)}


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
