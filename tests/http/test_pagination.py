"""Lists in pages: what a page says of the next one, walks while rows are added, orders, and parameters given twice."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from tests.conftest import RolledBackDatabase
from tests.openapi.test_contract import committed

from mediation_api.database import tables as t
from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.domain.values import MailKind, MailState
from mediation_api.http.cursors import Cursors
from mediation_api.main import OPERATIONS
from mediation_api.repository.case_queries import CaseSort
from mediation_api.repository.complaints import ComplaintSort
from mediation_api.repository.sessions import SessionSort

ORDERED: Final[dict[str, tuple[type[CaseSort | ComplaintSort | SessionSort], str]]] = {
    "/v1/cases": (CaseSort, "opened_at"),
    "/v1/complaints": (ComplaintSort, "filed_at"),
    "/v1/sessions": (SessionSort, "starts_at"),
}
"""The lists whose order can be chosen, with their orders."""
LISTS: Final = ("/v1/cases", "/v1/complaints", "/v1/sessions", "/v1/mediators", "/v1/assignments")
RECORDS: Final = (
    "/v1/cases/{case_id}/agreements",
    "/v1/cases/{case_id}/approvals",
    "/v1/cases/{case_id}/consents",
    "/v1/cases/{case_id}/contact-attempts",
    "/v1/cases/{case_id}/guardian-consents",
    "/v1/cases/{case_id}/mails",
    "/v1/cases/{case_id}/mandatory-reports",
    "/v1/cases/{case_id}/screenings",
    "/v1/cases/{case_id}/timeline",
    "/v1/complaints/{complaint_id}/legal-holds",
    "/v1/parties/{party_id}/erasures",
)
"""The lists of what is recorded about one case, complaint or party, oldest first."""
READS: Final = (
    "/v1/access-anomalies",
    "/v1/cases/{case_id}/access-log",
    "/v1/mandatory-reports/{report_id}/access-log",
)
"""The lists of who opened what, newest first."""
IMPORT: Final = "/v1/imports/{import_id}/refusals"
"""Walked in tests/routers/test_imports.py."""
WEBHOOKS: Final = ("/v1/webhook-endpoints", "/v1/webhook-endpoints/{webhook_endpoint_id}/deliveries")
"""Walked in tests/scenarios/test_webhooks.py."""
WALKS: Final = [
    *((path, f"sort={order.value}") for path, (orders, _) in ORDERED.items() for order in orders),
    *((path, "") for path in LISTS),
]
OFFICER: Final = "4711"


def paged() -> dict[str, dict[str, object]]:
    """The operations of the contract that answer in pages, by path."""
    return {
        path: item["get"]
        for path, item in committed()["paths"].items()
        if "get" in item and "cursor" in parameters_of(item["get"])
    }


def parameters_of(operation: dict[str, object]) -> dict[str, dict[str, object]]:
    """The parameters in the query of an operation."""
    listed = operation.get("parameters", [])
    assert isinstance(listed, list)
    return {each["name"]: each["schema"] for each in listed if each["in"] == "query"}


def ids(page: Answer) -> list[str]:
    return [item["id"] for item in page["items"]]  # type: ignore[attr-defined]


async def walked(
    who: Caller, path: str, query: str = "", turn: Callable[[int], Awaitable[object]] | None = None
) -> list[str]:
    """The ids of what a walk along a list finds."""
    return [str(item["id"]) for item in await walked_items(who, path, query, turn)]


async def walked_items(
    who: Caller, path: str, query: str = "", turn: Callable[[int], Awaitable[object]] | None = None
) -> list[Answer]:
    """Walk a list item by item along `Link`, with something happening after each page."""
    found: list[Answer] = []
    following: str | None = f"{path}?{query}&limit=1" if query else f"{path}?limit=1"
    while following is not None:
        response = await who.send("GET", following)
        assert response.status_code == 200, response.text
        found += response.json()["items"]
        link = response.headers.get("link")
        assert (link is None) == (response.json()["next_cursor"] is None)
        following = None if link is None else link.removeprefix("<").removesuffix('>; rel="next"')
        if turn is not None and len(found) <= 3:
            await turn(len(found))
    return found


@dataclass(frozen=True, slots=True)
class Made:
    """What there is in the lists before a test begins."""

    scheduled: list[Story]
    """Three cases with a session each, a day apart; the officer is the same person."""
    spare: list[Story]
    """Three older ones that have come to where a mediator is proposed."""


@pytest.fixture(scope="module")
async def made_once(module_office: Office) -> Made:
    scheduled, spare = list[Story](), list[Story]()
    module_office.clock.advance(days=-10)
    for _ in range(3):
        spare.append(await (await module_office.file()).to_ready())
        module_office.clock.advance(minutes=5)
    module_office.clock.advance(days=10)
    for days in (1, 2, 3):
        story = await (await module_office.file(officers=[{"employee_number": OFFICER}])).to_ready()
        await story.assign()
        starts_at = module_office.clock.now + timedelta(days=days)
        await story.schedule(starts_at=starts_at.isoformat(), ends_at=(starts_at + timedelta(hours=2)).isoformat())
        scheduled.append(story)
        module_office.clock.advance(minutes=5)
    return Made(scheduled, spare)


@pytest.fixture(autouse=True)
def _undone(undone: None) -> None:
    """Leave what there is as it was."""


@pytest.fixture
def made(made_once: Made) -> Made:
    """What there is, made once for all tests; each has copies of its own."""
    return Made([story.copy() for story in made_once.scheduled], [story.copy() for story in made_once.spare])


@pytest.fixture
def office(module_office: Office) -> Office:
    """The office in which that was made."""
    return module_office


# ── the next page ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_list_in_pages_is_tried() -> None:
    """Each is walked by its links over several pages, and compared with one page that has it all."""
    assert {*paged()} == {*LISTS, *RECORDS, *READS, IMPORT, *WEBHOOKS}
    with_order = {path for path, operation in paged().items() if "sort" in parameters_of(operation)}
    assert with_order == set(ORDERED)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.usefixtures("made")
async def test_a_link_goes_with_the_cursor_and_both_lead_on(office: Office, path: str) -> None:
    first = await office.coordinator.send("GET", f"{path}?limit=1")
    found = re.fullmatch(r'<(/v1/[^>]+)>; rel="next"', first.headers["link"])
    assert found
    target = urlsplit(found[1])
    assert target.path == path
    assert parse_qs(target.query) == {"limit": ["1"], "cursor": [first.json()["next_cursor"]]}
    second = await office.coordinator.get(found[1])
    assert second == await office.coordinator.get(f"{path}?limit=1&cursor={first.json()['next_cursor']}")
    whole = await office.coordinator.send("GET", f"{path}?limit=100")
    assert whole.json()["next_cursor"] is None
    assert "link" not in whole.headers
    assert ids(whole.json())[:2] == [*ids(first.json()), *ids(second)]


async def test_the_link_keeps_the_filters_whatever_is_in_them(office: Office, made: Made) -> None:
    name = "Ñandú <a&b>; c=d"
    for story in made.scheduled[:2]:
        await office.coordinator.put(f"{story.path}/coordinator", {"coordinator": name})
    asked = {"state": "scheduled", "coordinator": name, "sort": "-opened_at", "limit": "1"}
    first = await office.coordinator.send("GET", "/v1/cases", params=asked)
    target = first.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    assert target.isascii()
    given = {key: value for key, (value,) in parse_qs(urlsplit(target).query).items()}
    assert given == {**asked, "cursor": first.json()["next_cursor"]}
    assert len(ids(await office.coordinator.get(target))) == 1


# ── what is recorded of one case, and who opened it ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Recorded:
    """A case with two or more of each record, and a report of it that was opened twice."""

    story: Story
    report_id: str

    def path(self, path: str) -> str:
        """The path of one of its lists."""
        return path.format(
            case_id=self.story.case_id,
            complaint_id=self.story.complaint_id,
            party_id=self.story.officers[0].party_id,
            report_id=self.report_id,
        )


@pytest.fixture(scope="module")
async def recorded(module_office: Office, module_database: RolledBackDatabase) -> Recorded:
    """That case, which two of the staff opened for a purpose that is not theirs."""
    office = module_office
    minor = {"minor": True, "guardian": {"name": "Ines Alvarez", "relation": "parent"}}
    story = await office.file(complainants=[minor, minor])
    await story.screen()
    for complainant in story.complainants:
        await story.approve("director")
        await story.guardian_agrees(complainant)
    await office.intake.patch(story.complaint, {"serious_injury": True})
    await story.screen(eligible=True, reason="A scratch.")
    for who in (*story.complainants, *story.officers):
        await story.answer(who)
    await story.try_to_reach()
    mediator = await story.assign()
    report_id = await story.report(mediator)
    await story.report(mediator)
    for _ in range(2):
        await story.make_agreement()
        await office.director.post(f"{story.complaint}/legal-holds", {"reason": "litigation"})
        erasure = await office.intake.post(f"/v1/parties/{story.officers[0].party_id}/erasures")
        await office.director.post(f"/v1/erasures/{erasure['id']}/refuse", {"reason": "withdrawn"}, 200)
    for who in (office.intake, office.coordinator):
        headers = {"Authorization": f"Bearer {who.token}", "Access-Purpose": "mediation"}
        assert (await office.client.get(story.path, headers=headers)).status_code == 200
        await office.director.get(f"/v1/mandatory-reports/{report_id}")
    await _write(story, module_database)
    return Recorded(story, report_id)


async def _write(story: Story, database: RolledBackDatabase) -> None:
    """Queue a mail to each party."""
    at, case_id = story.office.clock.now, UUID(story.case_id)
    async with database.transaction() as connection:
        for party in (*story.complainants, *story.officers):
            row = {
                "party_id": UUID(str(party.party_id)),
                "kind": MailKind.CLOSED,
                "case_id": case_id,
                "about_id": case_id,
                "id": uuid4(),
            }
            await connection.execute(
                insert(t.mails).values(**row, state=MailState.QUEUED, attempts=0, queued_at=at, due_at=at)
            )


@pytest.mark.parametrize("path", [*RECORDS, *READS])
async def test_what_is_recorded_is_read_page_by_page(office: Office, recorded: Recorded, path: str) -> None:
    newest_first = path in READS
    logged = path == "/v1/cases/{case_id}/access-log"  # a walk along it begins with the entry about its first page
    path = recorded.path(path)
    whole: list[Answer] = (await office.director.get(f"{path}?limit=100"))["items"]  # type: ignore[assignment]
    assert len(whole) >= 2
    assert (await walked_items(office.director, path))[logged:] == whole
    times = [
        next(str(item[name]) for name in sorted(item) if name.endswith(("_at", "_on")) and item[name]) for item in whole
    ]
    assert times == sorted(times, reverse=newest_first)
    if path.count("/") > 2:
        await office.director.get(path.replace(path.split("/")[3], "00000000-0000-4000-8000-000000000000"), 404)


# ── orders and walks ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ORDERED)
@pytest.mark.usefixtures("made")
async def test_an_order_is_what_it_says_and_the_contract_names_the_first(office: Office, path: str) -> None:
    orders, key = ORDERED[path]
    up = await office.coordinator.get(f"{path}?sort={key}")
    down = await office.coordinator.get(f"{path}?sort=-{key}")
    assert ids(down) == ids(up)[::-1]
    values = [item[key] for item in up["items"]]  # type: ignore[attr-defined]
    assert values == sorted(values)
    assert len(set(values)) == len(values) >= 3
    usual = parameters_of(paged()[path])["sort"]["default"]
    assert ids(await office.coordinator.get(path)) == ids(await office.coordinator.get(f"{path}?sort={usual}"))
    assert {f"{sign}{order.key}" for order in orders for sign in ("", "-")} == {order.value for order in orders}
    await office.coordinator.get(f"{path}?sort=reference", 422)


@pytest.mark.drawn
@pytest.mark.parametrize(("path", "query"), WALKS)
async def test_a_walk_misses_and_repeats_nothing_while_rows_are_added(
    office: Office, path: str, query: str, made: Made
) -> None:
    before = ids(await office.coordinator.get(f"{path}?{query}&limit=100" if query else f"{path}?limit=100"))

    async def more(turn: int) -> None:
        # In turn before and after all that there is.
        office.clock.advance(days=3 if turn % 2 else -6)
        match path:
            case "/v1/mediators":
                await office.mediator()
            case "/v1/assignments" | "/v1/sessions":
                story = made.spare.pop()
                await story.assign()
                await story.schedule()
            case _:
                await office.file()

    who = office.coordinator
    found = await walked(who, path, query, more)
    assert len(found) == len(set(found)) > len(before)  # and some of what was added is on the way
    assert [each for each in found if each in before] == before


@pytest.mark.parametrize("path", ["/v1/cases", "/v1/sessions"])
async def test_those_who_see_their_own_walk_it_in_the_same_way(path: str, made: Made) -> None:
    officer, mediator = made.scheduled[0].officers[0], made.scheduled[0].mediator
    assert mediator is not None
    for order in ORDERED[path][0]:
        for who in (officer, mediator):
            whole = ids(await who.get(f"{path}?sort={order.value}"))
            assert len(whole) == (3 if who is officer else 1)
            assert await walked(who, path, f"sort={order.value}") == whole


async def test_rows_with_one_key_are_told_apart_by_their_id(office: Office) -> None:
    for _ in range(4):
        await office.file()  # all at one instant
    for query in ("sort=opened_at", "sort=-opened_at", "sort=due_on", "sort=-due_on"):
        found = await walked(office.coordinator, "/v1/cases", f"state=screening&{query}")
        assert len(found) == len(set(found)) == 4
        assert found == sorted(found, reverse="-" in query)


@pytest.mark.usefixtures("made")
async def test_a_cursor_goes_with_the_order_and_the_filters_it_was_given_under(office: Office) -> None:
    page = await office.coordinator.get("/v1/cases?limit=1&sort=opened_at&open=true")
    cursor = f"cursor={page['next_cursor']}"
    for same in ("sort=opened_at&open=true", "open=true&sort=opened_at&limit=2"):
        await office.coordinator.get(f"/v1/cases?{same}&{cursor}")
    for other in ("", "sort=-opened_at&open=true", "sort=opened_at", "sort=opened_at&open=false", "state=screening"):
        refused = await office.coordinator.get(f"/v1/cases?{other}&{cursor}", 422)
        assert [(each["parameter"], each["code"]) for each in refused["errors"]] == [("cursor", "cursor")]  # type: ignore[attr-defined]


# ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_cursor_tells_by_its_length_how_many_events_there_are() -> None:
    positions = [(number, number) for number in (9, 10, 2**63 - 1)]
    of_a_list = Cursors(b"key", b"a list")
    cursors = [of_a_list.encrypt(position) for position in positions]
    assert len({len(cursor) for cursor in cursors}) == 1
    assert [of_a_list.decrypt(cursor) for cursor in cursors] == positions


def test_what_a_query_may_leave_out_is_not_said_to_be_null() -> None:
    tried = 0
    for path, item in committed()["paths"].items():
        for operation in item.values():
            for name, schema in parameters_of(operation).items():
                tried += 1
                assert "null" not in str(schema), f"{path} {name}"
                assert "anyOf" not in schema, f"{path} {name}"
    assert tried > 20


WHO: Final = (Role.COORDINATOR, Role.DIRECTOR, Role.INTEGRATION)


async def test_no_parameter_may_be_given_twice(office: Office) -> None:
    """Otherwise the last one would win, and a filter of the caller's be dropped without a word."""
    tried = 0
    for path, item in committed()["paths"].items():
        for name in parameters_of(item.get("get", {})):
            tried += 1
            allowed = OPERATIONS[str(item["get"]["operationId"])].access
            who = next(office.caller(role) for role in WHO if role in allowed)
            address = f"{path.replace('{case_id}', '00000000-0000-4000-8000-000000000000')}?{name}=a&{name}=a"
            refused = await who.get(address, 422)
            told = [(each["in"], each["parameter"], each["code"]) for each in refused["errors"]]  # type: ignore[attr-defined]
            assert told == [("query", name, "repeated")]
    assert tried > 20
    both = await office.coordinator.get("/v1/cases?state=ready&state=lapsed&limit=1&limit=2", 422)
    assert [each["parameter"] for each in both["errors"]] == ["state", "limit"]  # type: ignore[attr-defined]
