"""An operation that is on its way out says so in every answer and in the contract. None is today: one is planted."""

from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from tests.openapi.test_contract import committed

from mediation_api.routers.deprecations import DEPRECATED, NOTICE, Deprecation
from mediation_api.routers.http import StrictRoute, install
from mediation_api.routers.problems import Told
from mediation_api.routers.types import In, Line

TOLD_AT = "https://example.org/changelog#deprecated"
SINCE, SUNSET = date(2027, 1, 1), date(2027, 7, 15)
GOING = Deprecation(since=SINCE, sunset=SUNSET, told_at=TOLD_AT)

router = APIRouter(route_class=StrictRoute)


class Body(In):
    name: Line


@router.post("/v1/old/{number}", responses={200: {"headers": {}}})
async def do_old(number: int, body: Body) -> dict[str, str]:
    if number == 1:
        raise RuntimeError(body.name)
    if number == 2:
        raise Told(409, "state-conflict", "Not now.")
    return {"name": body.name}


@router.post("/v1/new/{number}")
async def do_new(number: int, body: Body) -> dict[str, str]:
    return {"name": body.name, "number": str(number)}


def application() -> FastAPI:
    app = FastAPI(generate_unique_id_function=lambda route: {"do_old": "doOld"}.get(route.name, "doNew"))
    app.include_router(router)
    install(app, body_limit=1_000, deprecated={"do_old": GOING})
    return app


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/3", {"json": {"name": "x"}}, 200),
        ("/1", {"json": {"name": "x"}}, 500),
        ("/2", {"json": {"name": "x"}}, 409),
        ("/x", {"json": {"name": "x"}}, 422),
        ("/3", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("/3", {"content": b"x"}, 415),
        ("/3", {"json": {"name": "x"}, "headers": {"Accept": "image/png"}}, 406),
        ("/3", {"headers": {"Content-Length": "9999"}}, 413),  # before it is known whose answer it is
    ],
)
async def test_every_answer_of_it_says_since_when_until_when_and_where(
    path: str, options: dict[str, object], status: int
) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application()), base_url="http://x/v1") as client:
        old = await client.post(f"/old{path}", **options)  # type: ignore[arg-type]
        new = await client.post(f"/new{path}", **options)  # type: ignore[arg-type]
    assert old.status_code == status
    assert datetime.fromtimestamp(int(old.headers["Deprecation"].removeprefix("@")), UTC).date() == SINCE
    assert parsedate_to_datetime(old.headers["Sunset"]).date() == SUNSET
    assert old.headers["Sunset"].endswith(" GMT")
    assert f'<{TOLD_AT}>; rel="deprecation"' in old.headers.get_list("Link")
    assert not {"deprecation", "sunset", "link"} & new.headers.keys()


def test_the_contract_says_the_same() -> None:
    contract = application().openapi()
    old, new = (contract["paths"][f"/v1/{name}/{{number}}"]["post"] for name in ("old", "new"))
    faults = told_wrongly({"paths": {"/v1/old": {"post": old}}})
    assert (old["deprecated"], faults) == (True, [])
    assert "deprecated" not in new
    shared = contract["components"]["responses"]
    assert {name for name in new["responses"] if "$ref" in new["responses"][name]} >= {"401", "422", "500"}
    assert not any("Sunset" in answer["headers"] for answer in [new["responses"]["200"], *shared.values()])
    assert {"Deprecation", "Sunset", "Link"} <= contract["components"]["headers"].keys()


def test_nothing_goes_with_less_than_six_months_of_notice() -> None:
    with pytest.raises(ValueError, match="six months"):
        Deprecation(since=SINCE, sunset=SINCE + NOTICE - timedelta(days=1), told_at=TOLD_AT)
    months = [(date(2027 + n // 12, n % 12 + 1, 1), date(2027 + (n + 6) // 12, (n + 6) % 12 + 1, 1)) for n in range(24)]
    assert all(until - since <= NOTICE for since, until in months)


def told_wrongly(contract: dict[str, dict[str, dict[str, dict[str, object]]]]) -> list[str]:
    """What is wrong with how a contract announces what goes."""
    found = []
    for path, item in contract["paths"].items():
        for operation in item.values():
            if not operation.get("deprecated"):
                continue
            since, sunset = (date.fromisoformat(str(operation[name])) for name in ("x-deprecated-since", "x-sunset"))
            if sunset - since < NOTICE:
                found.append(f"{path}: goes too soon")
            answers = operation["responses"]
            assert isinstance(answers, dict)
            found += [
                f"{path} {status}: {name} is not documented"
                for status, answer in answers.items()
                for name in ("Deprecation", "Sunset", "Link")
                if name not in answer["headers"]
            ]
    return found


def test_what_the_contract_calls_deprecated_is_announced_in_time_and_in_every_answer() -> None:
    assert told_wrongly(committed()) == []
    marked = sum(
        operation.get("deprecated") is True for item in committed()["paths"].values() for operation in item.values()
    )
    assert marked == len(DEPRECATED)


@pytest.mark.parametrize("fault", ["too soon", "no header"])
def test_an_announcement_that_is_wrong_is_seen(fault: str) -> None:
    old = application().openapi()["paths"]["/v1/old/{number}"]["post"]
    if fault == "too soon":
        old["x-sunset"] = "2027-06-30"
    else:
        del old["responses"]["422"]["headers"]["Sunset"]
    assert len(told_wrongly({"paths": {"/v1/old": {"post": old}}})) == 1
