"""Pages call the service from where the city says, and from nowhere else."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.conftest import Clock, RolledBackDatabase, application, calling
from tests.openapi.test_contract import committed

from mediation_api.http.cors import EXPOSED
from mediation_api.settings import Environment, Settings, SettingsError, settings_from_environment

PORTAL = "https://portal.city.example"
ASKS = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}


@pytest.fixture
async def opened(settings: Settings, clock: Clock, database: RolledBackDatabase) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that the portal's pages may call."""
    app = application(settings.model_copy(update={"cors_origins": (PORTAL,)}), clock, database)
    async with calling(app) as client:
        yield client


async def test_no_page_may_call_unless_the_city_says_so(client: httpx.AsyncClient) -> None:
    read = await client.get("/v1/disclosures", headers={"Origin": PORTAL})
    asked = await client.options("/v1/cases", headers={"Origin": PORTAL, **ASKS})
    assert read.status_code == 200
    assert not [name for name in [*read.headers, *asked.headers] if name.startswith("access-control-")]
    assert (asked.status_code, asked.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_a_page_of_the_portal_may_ask_for_and_send_what_the_contract_takes(opened: httpx.AsyncClient) -> None:
    asked = await opened.options("/v1/complaints/x", headers={"Origin": PORTAL, **ASKS})
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == PORTAL
    assert asked.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Credentials" not in asked.headers
    taken = {name.strip().lower() for name in asked.headers["Access-Control-Allow-Headers"].split(",")}
    assert taken >= {parameter.lower() for parameter in headers_of_requests()} | {"authorization", "content-type"}


async def test_a_page_may_read_every_header_that_it_needs(opened: httpx.AsyncClient) -> None:
    read = await opened.get("/v1/disclosures", headers={"Origin": PORTAL})
    exposed = {name.strip() for name in read.headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed == set(EXPOSED)
    assert exposed >= headers_of_answers()


async def test_a_refusal_is_readable_too(opened: httpx.AsyncClient) -> None:
    refused = await opened.get("/v1/cases", headers={"Origin": PORTAL})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == PORTAL


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{PORTAL}.evil.example", "http://portal.city.example", "null"]
)
async def test_a_page_from_elsewhere_may_not(opened: httpx.AsyncClient, origin: str) -> None:
    read = await opened.get("/v1/disclosures", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in read.headers
    asked = await opened.options("/v1/cases", headers={"Origin": origin, **ASKS})
    assert asked.status_code == 400
    assert "Access-Control-Allow-Origin" not in asked.headers


@pytest.mark.parametrize("origins", ["*", "https://*.city.example", "portal.city.example", f"{PORTAL}/page", "null"])
def test_an_origin_is_a_scheme_and_a_host(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("MEDIATION_CORS_ORIGINS", origins)
    with pytest.raises(SettingsError, match="MEDIATION_CORS_ORIGINS: must be https origins"):
        settings_from_environment(environment=Environment.DEV)


def headers_of_requests() -> set[str]:
    """The headers that some operation takes."""
    return {
        str(parameter["name"])
        for operation in operations()
        for parameter in listed(operation.get("parameters", []))
        if parameter["in"] == "header"
    }


def headers_of_answers() -> set[str]:
    """The headers that some answer is documented with."""
    answers = [answer for operation in operations() for answer in mapped(operation["responses"]).values()]
    answers += committed()["components"]["responses"].values()
    return {name for answer in answers for name in mapped(mapped(answer).get("headers", {}))}


def operations() -> list[dict[str, object]]:
    return [operation for item in committed()["paths"].values() for operation in item.values()]


def listed(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def mapped(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
