"""Every filter of every list finds what has the value, and nothing else: held against the whole list as it is shown."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

import pytest
from tests.http.test_pagination import LISTS, paged, parameters_of

from mediation_api.dev.office import Office

Item: TypeAlias = dict[str, Any]
"""What a list shows, as JSON."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a filter can be given where a list shows these items, and whether an item is what was asked for."""

    values: Callable[[list[Item]], Iterable[object]]
    holds: Callable[[Item, str], bool]


def equal(name: str) -> Filter:
    """The filter that wants one value of a field."""
    return Filter(lambda items: {item[name] for item in items} - {None}, lambda item, value: item[name] == value)


def before(value: str, limit: str) -> bool:
    return date.fromisoformat(value) < date.fromisoformat(limit)


def days(items: list[Item]) -> set[str]:
    return {item["target"]["due_on"] for item in items}


def starts(items: list[Item]) -> set[str]:
    return {item["starts_at"] for item in items}


PACE: Final = Filter(
    lambda items: {item["target"]["pace"] for item in items}, lambda item, value: item["target"]["pace"] == value
)
DUE: Final = Filter(days, lambda item, value: before(item["target"]["due_on"], value))
OPEN: Final = Filter(lambda _: ("true", "false"), lambda item, value: (item["closed_at"] is None) == (value == "true"))

FILTERS: Final[dict[tuple[str, str], Filter]] = {
    ("/v1/cases", "open"): OPEN,
    ("/v1/cases", "state"): equal("state"),
    ("/v1/cases", "pace"): PACE,
    ("/v1/cases", "coordinator"): equal("coordinator"),
    ("/v1/cases", "due_on_before"): DUE,
    ("/v1/cases", "complaint_id"): equal("complaint_id"),
    ("/v1/complaints", "state"): equal("state"),
    ("/v1/complaints", "pace"): PACE,
    ("/v1/complaints", "coordinator"): equal("coordinator"),
    ("/v1/complaints", "due_on_before"): DUE,
    ("/v1/complaints", "reference"): Filter(
        lambda items: ("26-0", "%", "_", "/", *(item["reference"][2:] for item in items)),
        lambda item, value: value in item["reference"],
    ),
    ("/v1/sessions", "case_id"): equal("case_id"),
    ("/v1/sessions", "mediator_id"): equal("mediator_id"),
    ("/v1/sessions", "starts_at_from"): Filter(starts, lambda item, value: item["starts_at"] >= value),
    ("/v1/sessions", "starts_at_before"): Filter(starts, lambda item, value: item["starts_at"] < value),
    ("/v1/mediators", "language"): Filter(lambda _: ("es", "fr", "de"), lambda item, value: value in item["languages"]),
    ("/v1/mediators", "active"): Filter(
        lambda _: ("true", "false"), lambda item, value: item["active"] == (value == "true")
    ),
    ("/v1/assignments", "case_id"): equal("case_id"),
    ("/v1/assignments", "state"): equal("state"),
}


@pytest.fixture(scope="module")
async def busy(module_office: Office) -> Office:
    """An office with cases in several states and at every pace, up to its last day; several mediators and sessions."""
    office, begun = module_office, module_office.clock.now
    await (await office.file()).to_mediated()
    late = await (await office.file()).to_concluded()
    await office.coordinator.put(f"{late.path}/coordinator", {"coordinator": "Ada"})
    ready = await (await office.file()).to_ready()
    await office.coordinator.put(f"{ready.path}/coordinator", {"coordinator": "Max"})
    proposed = {"mediator_id": (await office.mediator()).mediator_id}
    await office.coordinator.post(f"{ready.path}/assignments", proposed)
    in_time = await (await office.file()).to_concluded()
    for concluded, days_later in ((in_time, 28), (late, 29)):  # the last day of the target, and the day after it
        office.clock.now = begun + timedelta(days=days_later)
        await concluded.close()
    for day in (6, 7, 14, 15):  # in the end: a day late, the last day, the first day at risk, the day before that
        office.clock.now = begun + timedelta(days=day)
        await office.file()
    office.clock.now = begun + timedelta(days=12)
    at_risk = await (await office.file()).to_asking()
    office.clock.now = begun + timedelta(days=35)
    scheduled = await (await office.file()).to_scheduled()
    await office.mediator(languages=["fr", "en"])
    gone = await office.mediator(languages=["es"])
    await office.coordinator.patch(f"/v1/mediators/{gone.mediator_id}", {"active": False})
    assert await at_risk.state() == "asking"
    assert await scheduled.state() == "scheduled"
    return office


async def shown(office: Office, path: str) -> list[Item]:
    """The whole list, each complaint with what its latest case shows of itself."""
    items: Any = (await office.director.get(path))["items"]
    if path == "/v1/complaints":
        cases = {case["complaint_id"]: case for case in await shown(office, "/v1/cases")}
        return [{**cases[item["id"]], **item} for item in items]
    return list(items)


@pytest.mark.parametrize(("path", "name"), FILTERS, ids=lambda each: each.removeprefix("/v1/"))
async def test_a_filter_finds_what_has_the_value_and_nothing_else(busy: Office, path: str, name: str) -> None:
    items, wanted = await shown(busy, path), FILTERS[path, name]
    sizes = set()
    for value in wanted.values(items):
        found: Any = await busy.director.get(f"{path}?{urlencode({name: str(value)})}")
        expected = [item["id"] for item in items if wanted.holds(item, str(value))]
        assert [item["id"] for item in found["items"]] == expected, value
        sizes.add(len(expected))
    assert any(0 < size < len(items) for size in sizes), "no value that some have and others have not"


async def test_filters_are_held_together(busy: Office) -> None:
    query = "open=false&pace=missed&coordinator=Ada&due_on_before=2026-04-30&state=mediated"
    items = await shown(busy, "/v1/cases")
    found: Any = (await busy.director.get(f"/v1/cases?{query}"))["items"]
    assert [item["id"] for item in found] == [
        item["id"] for item in items if item["target"]["pace"] == "missed" and item["coordinator"] == "Ada"
    ]
    assert (await busy.director.get(f"/v1/cases?{query.replace('mediated', 'lapsed')}"))["items"] == []


def test_every_filter_of_the_contract_is_among_them() -> None:
    of_page = {"cursor", "limit", "sort"}
    assert set(FILTERS) == {
        (path, name) for path, read in paged().items() if path in LISTS for name in parameters_of(read).keys() - of_page
    }
