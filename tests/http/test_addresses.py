"""What a response names can be followed: on the instance that answered, and behind a proxy with a path prefix."""

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import ValidationError
from tests.conftest import Clock, RolledBackDatabase, application
from tests.openapi.conformity import Checked

from mediation_api.dev.office import Office
from mediation_api.settings import Settings

PREFIX = "/city/mediation"
HOST = "http://mediation.test"


class Proxy(Checked):
    """Passes on what is under the prefix, without it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Strip the prefix; there is nothing else on this host."""
        path = request.url.raw_path.decode()
        if not path.startswith(f"{PREFIX}/"):
            return httpx.Response(404)
        request.url = request.url.copy_with(raw_path=path.removeprefix(PREFIX).encode())
        return await super().handle_async_request(request)


@pytest.fixture
async def prefixed(settings: Settings, clock: Clock, database: RolledBackDatabase) -> AsyncIterator[Office]:
    """An office that calls the service through a proxy."""
    public = Settings.model_validate({**dict(settings), "public_url": f"{HOST}{PREFIX}/"})
    transport = Proxy(application(public, clock, database))
    async with httpx.AsyncClient(transport=transport, base_url=f"{HOST}{PREFIX}") as client:
        yield Office(client, public, clock)


async def followed(office: Office, reference: str, token: str | None) -> httpx.Response:
    """GET what a response names, as a browser resolves it."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await office.client.get(f"{HOST}{reference}" if reference.startswith("/") else reference, headers=headers)


async def test_behind_a_prefix_each_address_leads_back_to_the_service(prefixed: Office) -> None:
    token = prefixed.intake.token
    stories = [await prefixed.file() for _ in range(2)]
    body = {"side": "complainant", "name": "Rosa Alvarez"}
    made = await prefixed.intake.send("POST", f"/v1/complaints/{stories[0].complaint_id}/parties", body)
    assert made.headers["location"] == f"{PREFIX}/v1/parties/{made.json()['id']}"
    assert (await followed(prefixed, made.headers["location"], token)).content == made.content

    page = await prefixed.intake.send("GET", "/v1/cases?limit=1")
    reference = page.links["next"]["url"]
    assert reference.startswith(f"{PREFIX}/v1/cases?limit=1&cursor=")
    assert len((await followed(prefixed, reference, token)).json()["items"]) == 1

    refused = await prefixed.intake.get("/v1/cases/00000000-0000-4000-8000-000000000000", 404)
    assert refused["type"] == f"{HOST}{PREFIX}/problems/not-found"
    assert (await followed(prefixed, str(refused["type"]), None)).status_code == 200


async def test_without_a_public_url_they_lead_to_the_root_of_the_host(office: Office) -> None:
    refused = await office.intake.get("/v1/cases/00000000-0000-4000-8000-000000000000", 404)
    assert refused["type"] == "/problems/not-found"
    assert (await followed(office, str(refused["type"]), None)).status_code == 200


@pytest.mark.parametrize("url", ["https://city.example", "https://city.example/", "https://a.example:8443/c/d"])
def test_a_public_url_ends_without_a_slash(settings: Settings, url: str) -> None:
    assert Settings.model_validate({**dict(settings), "public_url": url}).public_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["city.example", "//city.example", "ftp://a.example", "https://a.example/?q", "https://u:p@a.example", "/x"]
)
def test_a_public_url_that_is_none_is_refused(settings: Settings, url: str) -> None:
    with pytest.raises(ValidationError, match="http"):
        Settings.model_validate({**dict(settings), "public_url": url})
