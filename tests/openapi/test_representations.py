"""What is answered to a command is what can be read afterwards, and a retry gets it again. One story, all operations.

Each answer of the story is followed at once by a retry of its request, and by a GET of what it is about.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import httpx
import pytest
from tests.openapi.conformity import contract
from tests.openapi.examples import play
from tests.openapi.test_contract import committed

from mediation_api.cli.import_lines import file_next_batch
from mediation_api.database.engine import Database
from mediation_api.dev.office import Caller, Office
from mediation_api.http.idempotency import entity_tag
from mediation_api.main import worker_context

READ_NOWHERE: Final[Mapping[str, str]] = {
    "issueAccessCode": "the code is shown once",
    "exchangeAccessCode": "the token is not stored",
    "makeCalendarFeed": "the address is shown once",
    "rotateWebhookSecret": "the secret is shown once",
}
"""What makes something and has no `Location`, and why; the description of the operation says it as well."""
RECEIPTS: Final = {"fileComplaint", "registerWebhookEndpoint"}
"""The body has what is shown once; `Location` and `ETag` are those of what was made."""
GONE: Final = {"declineAssignment", "recuseMediator"}
"""Whoever has left a case no longer reads it: the answer to the command is the last."""
OF_ITSELF: Final = {"listAccessLog", "listMandatoryReportAccessLog"}
"""Reading adds to what is read."""
OF_TODAY: Final = {"getTarget": "its days are counted from today", "listAccessAnomalies": "the period ends today"}
"""What another day changes."""
OF_ALERTS: Final = {"pace", "alerts"}
"""Fields of cases that another day may change: whoever sees them has something to do."""


KEYED: Final = {
    str(operation["operationId"])
    for item in committed()["paths"].values()
    for operation in item.values()
    if "Idempotency-Key" in json.dumps(operation.get("parameters", []))
}
"""What takes a key."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command of the story, its retry if it has a key, and the GET of what it is about."""

    name: str
    answer: httpx.Response
    retry: httpx.Response | None
    read: httpx.Response | None


@dataclass(slots=True)
class Told:
    """What the story consisted of."""

    office: Office
    exchanges: list[Exchange] = field(default_factory=list)
    unchanged: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    reads: dict[tuple[str, str, str], Caller] = field(default_factory=dict)
    """Who reads what: by operation, path and caller."""

    def of(self, *statuses: int) -> list[Exchange]:
        """The commands that were answered so."""
        return [each for each in self.exchanges if each.answer.status_code in statuses]


def name_of(request: httpx.Request) -> str:
    """The operation that a request is for."""
    found = contract().operation(request.method, request.url.path)
    assert found is not None, request.url
    return found.name


def address_of(name: str, answer: httpx.Response) -> str | None:
    """Where what an answer is about can be read."""
    request = answer.request
    if "location" in answer.headers:
        return str(answer.headers["location"])
    if name == "recordWithdrawal":
        return f"/v1/withdrawals/{answer.json()['id']}"
    if name in READ_NOWHERE:
        return None
    return request.url.path if request.method in {"PUT", "PATCH"} else request.url.path.rpartition("/")[0]


@pytest.fixture(scope="module")
async def told(module_office: Office, module_database: Database) -> Told:
    """The story of the contract's examples, each answer of it looked at."""
    context = worker_context(module_office.settings)
    worker = replace(context, database=module_database, clock=lambda: module_office.clock.now)
    story = Told(module_office)
    client, send, call = module_office.client, module_office.client.send, Caller.send

    async def again(request: httpx.Request, **options: object) -> httpx.Response:
        answer = await send(request, **options)  # type: ignore[arg-type]
        if not answer.is_success:
            return answer
        name = name_of(request)
        headers = {key: request.headers[key] for key in ("authorization",) if key in request.headers}
        if request.method == "GET":
            headers["If-None-Match"] = answer.headers["etag"]
            second = await send(client.build_request("GET", request.url, headers=headers))
            (story.unchanged if second.status_code == 304 else story.changed).add(name)
            return answer
        retry = None
        if name in KEYED:
            same = client.build_request(request.method, request.url, headers=request.headers, content=request.content)
            retry = await send(same)
        if name in RECEIPTS and not headers:  # whoever files without a token reads with the access code
            code = {"access_code": answer.json()["access_codes"][0]["access_code"]}
            given = await send(client.build_request("POST", "/v1/access-tokens", json=code))
            headers["authorization"] = f"Bearer {given.json()['access_token']}"
        address = address_of(name, answer)
        read = None if address is None else await send(client.build_request("GET", address, headers=headers))
        story.exchanges.append(Exchange(name, answer, retry, read))
        return answer

    async def noted(self: Caller, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        answer = await call(self, method, path, body, **options)
        if method == "GET" and answer.is_success:
            story.reads[name_of(answer.request), path, f"{self.identity}{self.access_code}"] = self
        return answer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "send", again)
        patched.setattr(Caller, "send", noted)
        await client.get("/problems/not-found")
        await play(module_office, committed()["paths"], lambda: file_next_batch(worker))
    return story


def documented(*statuses: str, method: str | None = None) -> set[str]:
    """The operations that document one of these statuses."""
    return {
        str(operation["operationId"])
        for item in committed()["paths"].values()
        for verb, operation in item.items()
        if (verb != "get" if method is None else verb == method) and {*statuses} & {*dict(operation["responses"])}  # type: ignore[call-overload]
    }


@pytest.mark.drawn
async def test_what_has_not_changed_is_not_sent_again(told: Told) -> None:
    assert told.unchanged >= documented("304", method="get") - OF_ITSELF
    assert told.changed <= OF_ITSELF


async def test_what_was_made_is_where_it_is_said_and_reads_as_it_was_answered(told: Told) -> None:
    for each in told.of(201):
        assert ("location" in each.answer.headers) == (each.name not in READ_NOWHERE), each.name
        if each.read is None:
            continue
        assert each.read.status_code == 200, f"{each.name}: {each.read.text}"
        assert each.read.headers["etag"] == each.answer.headers["etag"], each.name
        assert (each.read.content == each.answer.content) == (each.name not in RECEIPTS), each.name
    assert {each.name for each in told.of(201)} == documented("201")


async def test_what_was_changed_reads_as_it_was_answered(told: Told) -> None:
    for each in told.of(200):
        assert each.read is not None
        if each.read.status_code == 404:
            assert each.name in GONE
            continue
        assert each.read.content == each.answer.content, f"{each.name}: {each.read.text}"
        assert each.read.headers["etag"] == each.answer.headers["etag"], each.name
    assert {each.name for each in told.of(200)} == documented("200")


@pytest.mark.parametrize("name", sorted(READ_NOWHERE))
def test_what_is_read_nowhere_says_so(name: str) -> None:
    every = (operation for item in committed()["paths"].values() for operation in item.values())
    (said,) = (str(operation["description"]) for operation in every if operation["operationId"] == name)
    assert "no `Location`" in said


async def test_every_retry_gets_the_first_answer(told: Told) -> None:
    """Status, body, entity tag and location; and nothing is done twice, or the GET after it would differ."""
    keyed = set()
    for each in told.exchanges:
        if each.retry is None:
            continue
        keyed.add(each.name)
        first, second = each.answer, each.retry
        assert (second.status_code, second.content) == (first.status_code, first.content), f"{each.name}: {second.text}"
        for name in ("etag", "location", "content-type"):
            assert second.headers.get(name) == first.headers.get(name), f"{each.name}: {name}"
        assert second.headers["idempotency-replayed"] == "true", each.name
        assert "idempotency-replayed" not in first.headers, each.name
    assert keyed == KEYED


FILING: Final = {
    "narrative": "She would not tell me why I was stopped.",
    "allegations": ["discourtesy"],
    "interested_in_mediation": True,
    "parties": [{"side": "complainant", "name": "Ada Example"}],
}


async def test_a_filed_complaint_is_corrected_with_the_tag_that_filing_gave(office: Office) -> None:
    filed = await office.intake.send("POST", "/v1/complaints", {**FILING, "channel": "phone"})
    headers = {"Authorization": f"Bearer {office.intake.token}", "If-Match": filed.headers["etag"]}
    for status, precinct in ((200, "North"), (412, "South")):
        corrected = await office.client.patch(filed.headers["location"], headers=headers, json={"precinct": precinct})
        assert corrected.status_code == status


async def test_whoever_files_gets_the_tag_of_what_they_read(module_office: Office) -> None:
    """The office, an integration, a complainant. Who files for others reads nothing: the tag is that of the receipt."""
    office = module_office  # filings are counted by address: another transaction would wait for that of the story
    for who in (office.intake, office.director, office.integration, office.public):
        body = {**FILING, "channel": "phone"} if who in (office.intake, office.director) else FILING
        filed = await who.send("POST", "/v1/complaints", body)
        assert filed.status_code == 201, filed.text
        codes = filed.json()["access_codes"]
        reader = await office.signed_in(codes[0]["access_code"]) if codes else who
        read = await reader.send("GET", filed.headers["location"])
        assert (read.status_code, read.headers["etag"]) == (200, filed.headers["etag"])
    for_others = await office.public.send("POST", "/v1/complaints", {**FILING, "filed_by": None})
    assert for_others.json()["access_codes"] == []
    assert for_others.headers["etag"] == entity_tag(for_others.content)


async def test_another_day_changes_no_tag(told: Told) -> None:
    """But for what is counted from today, and where a pace or an alert tells somebody that there is something to do."""
    before = [await who.send("GET", path) for (_, path, _), who in told.reads.items()]
    told.office.clock.advance(days=1)
    told.office.tokens.clear()
    looked_at = set()
    for ((name, path, _), who), first in zip(told.reads.items(), before, strict=True):
        second = await who.send("GET", path)
        if first.status_code != 200 or name in OF_ITSELF:  # somebody has left since, or has another code
            continue
        looked_at.add(name)
        if first.headers["etag"] != second.headers["etag"]:
            assert name in OF_TODAY or without(first.json()) == without(second.json()), f"{name}: {second.text}"
    assert looked_at == documented("304", method="get") - OF_ITSELF - {"getProblemType"}


def without(node: object) -> object:
    """What was read, but for alerts."""
    if isinstance(node, list):
        return [without(each) for each in node]
    if isinstance(node, dict):
        return {name: without(each) for name, each in node.items() if name not in OF_ALERTS | {"next_cursor"}}
    return node
