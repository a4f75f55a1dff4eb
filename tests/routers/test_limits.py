"""A caller has a quota, is told what is left of it, and can always withdraw."""

from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from tests.build import Office

from mediation_api.routers.limits import Limiter


def at(second: int) -> datetime:
    return datetime(2026, 3, 2, 20, 0, second, tzinfo=UTC)


def test_a_quota_is_used_up_and_comes_back_with_the_next_minute() -> None:
    limiter = Limiter(2)
    assert [limiter.count("a", at(10)).remaining for _ in range(3)] == [1, 0, -1]
    assert limiter.count("b", at(10)).remaining == 1
    assert limiter.count("a", at(10)).headers(refused=True)["Retry-After"] == "50"
    assert limiter.count("a", datetime(2026, 3, 2, 20, 1, tzinfo=UTC)).remaining == 1


@pytest.fixture
def narrow(app: FastAPI) -> None:
    """A quota of three."""
    object.__setattr__(app.state.service, "limiter", Limiter(3))


@pytest.mark.usefixtures("narrow")
async def test_a_caller_is_told_what_is_left_and_when_to_come_back(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/v1/disclosures") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert answers[0].headers["ratelimit"] == '"default";r=2;t=60'
    assert answers[3].headers["retry-after"] == "60"
    assert answers[3].json()["code"] == "quota-exceeded"


async def test_a_withdrawal_is_never_held_up_by_a_quota(office: Office, app: FastAPI) -> None:
    story = await (await office.file()).to_confirming()
    object.__setattr__(app.state.service, "limiter", Limiter(1))
    who = story.complainants[0]
    await who.get(story.path)
    await who.get(story.path, 429)
    await story.withdraw(who)


async def test_every_answer_names_the_version_of_the_api(client: httpx.AsyncClient, app: FastAPI) -> None:
    for path in ("/v1/disclosures", "/v1/cases", "/nowhere"):
        assert (await client.get(path)).headers["api-version"] == app.version
