"""Every filter of every list finds what has the value, and nothing else: alone, and together with every other one.

What a list without filters shows decides what is to be found, by a predicate of each filter that knows nothing of SQL.
Unless `FILTERS=whole` is set, every fourth pair of filters is asked for.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations, islice, product
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from tests.http.test_pagination import parameters_of
from tests.openapi.reading import CONTRACT
from tests.openapi.test_contract import committed

from mediation_api.dev.office import INTAKE_ANSWERS, Caller, Office, Story
from mediation_api.domain.access import INTAKE, PARTIES, Relation, Role
from mediation_api.domain.board import Wait
from mediation_api.domain.lifecycle import State
from mediation_api.domain.values import Alert
from mediation_api.http.pagination import FOR_ALL_BUT_PARTIES, FOR_INTAKE, FOR_THE_OFFICE
from mediation_api.main import OPERATIONS

Item: TypeAlias = dict[str, Any]
"""What a list shows, as JSON."""

LEFT: Final = {"declined", "withdrawn", "lapsed", "removed"}
ZONE: Final = ZoneInfo("America/Los_Angeles")
EVERY: Final = 1 if os.environ.get("FILTERS") == "whole" else 4
"""Each pair of filters that is asked for is so many after the one before."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a filter can be given where a list shows these items, and whether an item is what was asked for."""

    values: Callable[[list[Item]], Iterable[object]]
    holds: Callable[[Item, str], bool]


def by(value_of: Callable[[Item], object], *values: object) -> Filter:
    """The filter that wants one value of something; by default each that there is."""
    return Filter(
        lambda items: values or {value_of(item) for item in items} - {None},
        lambda item, value: str(value_of(item)) == value,
    )


def equal(name: str) -> Filter:
    """The filter that wants one value of a field."""
    return by(lambda item: item[name])


def among(values_of: Callable[[Item], Iterable[str]]) -> Filter:
    """The filter that wants something to be among several."""
    return Filter(
        lambda items: {value for item in items for value in values_of(item)},
        lambda item, value: value in values_of(item),
    )


def up_to(value_of: Callable[[Item], str | None]) -> Filter:
    """The filter by an upper bound, which is exclusive. The texts of dates, or of instants, are in order of time."""
    return Filter(
        lambda items: {value_of(item) for item in items} - {None},
        lambda item, value: (has := value_of(item)) is not None and has < value,
    )


def from_on(value_of: Callable[[Item], str | None]) -> Filter:
    """The filter by a lower bound, which is inclusive."""
    return Filter(
        lambda items: {value_of(item) for item in items} - {None},
        lambda item, value: (has := value_of(item)) is not None and has >= value,
    )


def closed_on(case: Item) -> str | None:
    return None if case["closed_at"] is None else str(datetime.fromisoformat(case["closed_at"]).astimezone(ZONE).date())


def needed_in(case: Item) -> set[str]:
    """The languages of those who have not left a case."""
    staying = {each["party_id"] for each in case["participants"] if each["standing"] not in LEFT}
    return {language for party in case["parties"] if party["id"] in staying for language in spoken(party)}


def needed_for(complaint: Item) -> set[str]:
    return {language for party in complaint["parties"] if not party["removed_at"] for language in spoken(party)}


def spoken(party: Item) -> set[str]:
    return {party["language"], party["interpreter_language"]} - {None}


OF_CASES: Final[Mapping[str, Filter]] = {
    "state": equal("state"),
    "pace": by(lambda case: case["target"]["pace"]),
    "waits_for": equal("waits_for"),
    "alert": among(lambda case: case["alerts"]),
    "coordinator": equal("coordinator"),
    "mediator_id": by(lambda case: case["assignment"] and case["assignment"]["mediator_id"]),
    "due_on_before": up_to(lambda case: case["target"]["due_on"]),
    "closed_on_from": from_on(closed_on),
    "closed_on_before": up_to(closed_on),
}


def of_latest(of_case: Filter) -> Filter:
    """The filter of a complaint by its latest case."""
    return Filter(
        lambda items: of_case.values([item["latest"] for item in items if item["latest"]]),
        lambda item, value: item["latest"] is not None and of_case.holds(item["latest"], value),
    )


def days_after(items: list[Item]) -> list[str]:
    """The days after those on which something was opened, of which the last leaves no period empty."""
    days = sorted({date.fromisoformat(item["opened_on"]) + timedelta(days=1) for item in items})
    return [str(day) for day in days]


def in_the_week_before(item: Item, value: str) -> bool:
    end = date.fromisoformat(value)
    return end - timedelta(days=7) <= date.fromisoformat(item["opened_on"]) < end


def _number(item: Item) -> str:
    return str(item["reference"]).split("-")[1]


def may_lapse(case: Item) -> bool:
    """Whether a party was absent too often, or was tried and not reached since; one attempt is enough here."""
    staying = {each["party_id"] for each in case["participants"] if each["standing"] not in LEFT}
    last = {
        each["party_id"]: each["result"] for each in sorted(case["attempts"], key=lambda each: each["attempted_at"])
    }
    unreachable = any(result != "reached" for party_id, result in last.items() if party_id in staying)
    absent_too_often = "repeated_absence" in case["alerts"]
    return case["closed_at"] is None and (absent_too_often or (case["state"] != "in_session" and unreachable))


OPEN: Final = by(lambda case: str(case["closed_at"] is None).lower(), "true", "false")
REFERENCE: Final = Filter(
    lambda items: (
        *("2026-", "%", "_", "/", "0"),
        *(item["reference"] for item in items),
        *(number for item in items for number in (_number(item), _number(item).lstrip("0"))),
    ),
    lambda item, value: item["reference"] == value or _number(item) == value.rjust(6, "0"),
)

FILTERS: Final[Mapping[str, Mapping[str, Filter]]] = {
    "/v1/cases": {
        **OF_CASES,
        "open": OPEN,
        "may_lapse": by(lambda case: str(may_lapse(case)).lower(), "true", "false"),
        "complaint_id": equal("complaint_id"),
        "language": among(needed_in),
        "precinct": by(lambda case: case["complaint"]["precinct"]),
    },
    "/v1/complaints": {
        **{name: of_latest(each) for name, each in OF_CASES.items()},
        "language": among(needed_for),
        "precinct": equal("precinct"),
        "reference": REFERENCE,
    },
    "/v1/sessions": {
        "case_id": equal("case_id"),
        "mediator_id": equal("mediator_id"),
        "state": equal("state"),
        "coordinator": by(lambda session: session["case"]["coordinator"]),
        "starts_at_from": from_on(lambda session: session["starts_at"]),
        "starts_at_before": up_to(lambda session: session["starts_at"]),
    },
    "/v1/mediators": {
        "language": among(lambda mediator: mediator["languages"]),
        "active": by(lambda mediator: str(mediator["active"]).lower(), "true", "false"),
    },
    "/v1/assignments": {
        "case_id": equal("case_id"),
        "mediator_id": equal("mediator_id"),
        "state": equal("state"),
        "answer_due_on_before": up_to(lambda assignment: assignment["answer_due_on"]),
    },
    "/v1/disclosures": {"language": equal("language")},
    "/v1/access-anomalies": {
        "rule": equal("rule"),
        "opened_on_from": from_on(lambda anomaly: anomaly["opened_on"]),
        "opened_on_before": Filter(days_after, in_the_week_before),
    },
}


def filtered() -> Mapping[str, Mapping[str, str]]:
    """The filters of the contract with their descriptions, by the path of the list.

    Without those of webhooks, which are no part of the story here: tests/scenarios/test_webhooks.py has them.
    """
    found = {}
    for path, item in committed()["paths"].items():
        if path.startswith("/v1/webhook-"):
            continue
        read: Item = item.get("get", {})
        of_page = {"after", "cursor", "limit", "print", "sort"}
        described = {
            each["name"]: str(each["description"])
            for each in read.get("parameters", [])
            if each["in"] == "query" and each["name"] not in of_page
        }
        if described:
            found[path] = described
    return found


# ── what there is ──────────────────────────────────────────────────────────────────────────────────────────────────


async def close_in_each_way(office: Office) -> None:
    """A case for each state in which one closes."""
    await (await office.file(precinct="North")).to_mediated()
    await (await office.file()).screen(eligible=False, reason="It is investigated.")
    declined = await (await office.file()).to_confirming()
    await declined.answer(declined.complainants[0], "declined")
    withdrawn = await (await office.file(complainants=[{"language": "es"}])).to_confirming()
    await withdrawn.withdraw(withdrawn.complainants[0])
    await (await (await office.file()).to_in_session()).session("end")
    await (await absent(office)).lapse_for_absence()


@dataclass(slots=True)
class Absent:
    story: Story

    async def lapse_for_absence(self) -> None:
        lapse = {"reason": "repeated_absence"}
        await self.story.office.director.post(f"{self.story.path}/lapses", lapse)


async def absent(office: Office) -> Absent:
    """A case whose officer did not come to the session."""
    story = await (await office.file()).to_scheduled()
    now = office.clock.now
    office.clock.advance(days=3, minutes=15)
    await story.session("absences", {"party_id": story.officers[0].party_id, "excused": False}, 201)
    office.clock.now = now
    return Absent(story)


async def stop_in_each_open_state(office: Office, *, outdated: bool) -> None:
    """A case for each open state, and for each state of its assignment once it is ready."""
    stops: list[Story] = [await (await office.file())._to(state) for state in State if state.is_open]
    if not outdated:
        proposed, assigned = [await (await office.file(precinct="South")).to_ready() for _ in range(2)]
        await proposed.propose(await office.mediator())
        await assigned.assign()
        reviewed = await office.file(intake={**INTAKE_ANSWERS, "officer_is_witness": None})
        await reviewed.screen()
        stops += [proposed, assigned, reviewed]
    for n, story in enumerate(stops):
        await office.coordinator.put(f"{story.path}/coordinator", {"coordinator": ("Ada", "Max")[n % 2]})
        if outdated:
            await office.intake.patch(story.complaint, {"serious_injury": True})


async def tell_apart(office: Office, begun: datetime) -> None:
    """What differs in other ways: days, paces, languages, attempts, what has no case, who read what."""
    late, in_time = [await (await office.file()).to_concluded() for _ in range(2)]
    await office.coordinator.put(f"{late.path}/coordinator", {"coordinator": "Ada"})
    for concluded, days_later in ((in_time, 28), (late, 29)):  # the last day of the target, and the day after it
        office.clock.now = begun + timedelta(days=days_later)
        await concluded.close()
    for day in (21, 22, 29, 30):  # in the end: a day late, the last day, the first day at risk, the day before that
        office.clock.now = begun + timedelta(days=day)
        await office.file(precinct="North", interested_in_mediation=True)
    # Of an earlier and a later case, the filters of complaints are for the later.
    twice = await (await office.file(complainants=[{"language": "fr"}])).to_confirming()
    await office.coordinator.put(f"{twice.path}/coordinator", {"coordinator": "Zoe"})
    await twice.answer(twice.complainants[0], "declined")
    office.clock.now = begun + timedelta(days=47)
    await twice.request_again()
    await office.file(interested_in_mediation=False, precinct="South")
    interpreted: Item = {"language": "zh", "interpreter_language": "es"}
    left = await (await office.file(complainants=[{}, interpreted])).to_confirming()
    await left.withdraw(left.complainants[1])
    removed = await office.file(officers=[{}, {"language": "vi"}])
    await removed.remove(removed.officers[1])
    for results in (("no_answer",), ("no_answer", "reached"), ("reached", "no_answer")):
        tried = await (await office.file()).to_asking()
        for result in results:
            office.clock.now += timedelta(minutes=1)
            await tried.try_to_reach(tried.officers[0].party_id, result=result)
    await (await office.file()).to_scheduled()
    await office.mediator(languages=["fr", "en"])
    gone = await office.mediator(languages=["es"])
    await office.coordinator.patch(f"/v1/mediators/{gone.mediator_id}", {"active": False})
    another = office.caller(Role.COORDINATOR, "coordinator.2")
    for days in range(3):
        office.clock.now += timedelta(days=1)
        await another.get(left.path if days else removed.path)
        await office.coordinator.get(removed.path)


@pytest.fixture(scope="module")
async def busy(module_office: Office) -> Office:
    """An office with cases in every state and for every alert, over seven weeks; its evening, when UTC is tomorrow."""
    office = module_office
    begun = office.clock.now = office.clock.now.replace(hour=20)
    for outdated in (False, True):
        await stop_in_each_open_state(office, outdated=outdated)
    office.clock.now = begun = begun + timedelta(days=20)
    await close_in_each_way(office)
    await absent(office)
    await tell_apart(office, begun)
    office.clock.now = office.clock.now.replace(hour=1) + timedelta(days=1)
    return office


@pytest.fixture(scope="module")
async def own(busy: Office) -> Mapping[Role, Caller]:
    """Those who see a case of their own, and what they filed."""
    story = await (await busy.file()).to_scheduled()
    assert story.mediator is not None
    return {
        Role.COMPLAINANT: story.complainants[0],
        Role.OFFICER: story.officers[0],
        Role.MEDIATOR: story.mediator,
        Role.INTEGRATION: busy.integration,
    }


@pytest.fixture(scope="module")
async def lists(busy: Office, own: Mapping[Role, Caller]) -> Mapping[str, list[Item]]:
    """Each list as a director is shown it, with what its filters look at beside each item."""
    assert own  # filed before
    director = busy.director
    whole = {path: await shown(director, path) for path in FILTERS if path != "/v1/access-anomalies"}
    cases = {case["id"]: case for case in whole["/v1/cases"]}
    complaints = {complaint["id"]: complaint for complaint in whole["/v1/complaints"]}
    for complaint in complaints.values():
        complaint["parties"] = await shown(busy.intake, f"/v1/complaints/{complaint['id']}/parties")
        attempts = [case for case in cases.values() if case["complaint_id"] == complaint["id"]]
        complaint["latest"] = max(attempts, key=lambda case: case["attempt"], default=None)
    for case in cases.values():
        case["complaint"] = complaints[case["complaint_id"]]
        case["parties"] = case["complaint"]["parties"]
        case["attempts"] = await shown(director, f"/v1/cases/{case['id']}/contact-attempts")
    for session in whole["/v1/sessions"]:
        session["case"] = cases[session["case_id"]]
    since = busy.clock.now.date() - timedelta(days=5)
    whole["/v1/access-anomalies"] = await shown(director, f"/v1/access-anomalies?opened_on_from={since}")
    return whole


async def shown(who: Caller, path: str) -> list[Item]:
    answer: Any = await who.get(f"{path}{'&' if '?' in path else '?'}limit=100" if path in PAGED else path)
    assert answer["next_cursor"] is None
    return list(answer["items"])


PAGED: Final = {
    path for path, item in committed()["paths"].items() if "get" in item and "limit" in parameters_of(item["get"])
}


def key(item: Item) -> object:
    return item.get("id") or item.get("sha256") or tuple(item[name] for name in ("rule", "opened_on", "by", "case_id"))


async def found(office: Office, path: str, query: Mapping[str, object]) -> list[object]:
    page = {"limit": 100} if path in PAGED else {}
    answer: Any = await office.director.get(f"{path}?{urlencode({**query, **page})}")
    return [key(item) for item in answer["items"]]


# ── what they find ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_filter_of_the_contract_is_among_them() -> None:
    assert {path: set(names) for path, names in FILTERS.items()} == {
        path: set(names) for path, names in filtered().items()
    }


async def test_there_is_a_case_of_every_kind(lists: Mapping[str, list[Item]]) -> None:
    cases = lists["/v1/cases"]
    assert {case["state"] for case in cases} == {*State}
    assert {case["waits_for"] for case in cases} == {*Wait, None}
    assert {alert for case in cases for alert in case["alerts"]} == {*Alert}
    outdated = {case["state"] for case in cases if "screening_outdated" in case["alerts"]}
    assert outdated == {state for state in State if state.is_open} - {State.SCREENING}
    assert any(len(complaint["cases"]) == 2 for complaint in lists["/v1/complaints"])
    assert any(not complaint["cases"] for complaint in lists["/v1/complaints"])


@pytest.mark.drawn
@pytest.mark.parametrize("path", FILTERS)
async def test_a_filter_finds_what_has_the_value_and_nothing_else(
    busy: Office, lists: Mapping[str, list[Item]], path: str
) -> None:
    for name, wanted in FILTERS[path].items():
        sizes = set()
        for value in map(str, wanted.values(lists[path])):
            expected = [key(item) for item in lists[path] if wanted.holds(item, value)]
            assert await found(busy, path, {name: value}) == expected, (name, value)
            sizes.add(len(expected))
        assert any(0 < size < len(lists[path]) for size in sizes), f"{name}: no value that some have and others not"


@pytest.mark.parametrize("path", FILTERS)
async def test_two_filters_find_what_has_both_values_and_nothing_else(
    busy: Office, lists: Mapping[str, list[Item]], path: str
) -> None:
    items = lists[path]
    for (one, first), (other, second) in islice(combinations(FILTERS[path].items(), 2), 0, None, EVERY):
        combined: list[tuple[tuple[str, str], list[object]]] = []
        for values in product(map(str, first.values(items)), map(str, second.values(items))):
            expected = [key(item) for item in items if first.holds(item, values[0]) and second.holds(item, values[1])]
            combined.append((values, expected))
        # The values that the fewest items have, but at least one if any has both: what ignores one of the two, or
        # looks for either, finds more. One request of each pair, since each is another statement.
        values, expected = min(combined, key=lambda each: len(each[1]) or len(items))
        query = dict(zip((one, other), values, strict=True))
        assert await found(busy, path, query) == expected, query


# ── whom they are for ──────────────────────────────────────────────────────────────────────────────────────────────

FOR: Final[Mapping[str, Callable[[Role, Relation], bool]]] = {
    FOR_THE_OFFICE: lambda _, relation: relation is Relation.OFFICE,
    FOR_INTAKE: lambda role, _: role in INTAKE,
    FOR_ALL_BUT_PARTIES: lambda role, _: role not in PARTIES,
}


@pytest.mark.drawn
@pytest.mark.parametrize("path", FILTERS)
async def test_a_filter_is_for_whom_its_description_says(busy: Office, own: Mapping[Role, Caller], path: str) -> None:
    read = committed()["paths"][path]["get"]
    schemas = parameters_of(read)
    for name, description in filtered()[path].items():
        said = next((ending for ending in FOR if description.endswith(ending)), None)
        for role, relation in OPERATIONS[str(read["operationId"])].access.items():
            who = own.get(role) or busy.caller(role)
            may = said is None or FOR[said](role, relation)
            answer = await who.send("GET", f"{path}?{urlencode({name: some(schemas[name])})}")
            assert (answer.status_code, answer.json().get("code")) == (
                (200, None) if may else (403, "office-filter")
            ), (name, role)


def some(schema: Mapping[str, Any]) -> str:
    """A value of a parameter."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return str(schema["enum"][0])
    of_format = {"uuid": NOBODY, "date": "2026-04-18", "date-time": "2026-04-18T12:00:00Z"}
    return of_format.get(schema.get("format", ""), "true" if schema["type"] == "boolean" else "en")


SCHEMAS: Final = json.loads(CONTRACT.read_text(encoding="utf-8"))["components"]["schemas"]
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
