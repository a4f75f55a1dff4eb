"""Webhooks: an integration gets what its change feed shows, in the order of each case, however its receiver behaves."""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import pytest
from sqlalchemy import select, update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.conftest import Clock, RolledBackDatabase
from tests.promises.production import log_lines
from tests.scenarios.test_change_feed import filed_by_integration, walk

from mediation_api.database import tables as t
from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.domain.event_kinds import IntegrationEventKind
from mediation_api.domain.values import DeliveryState, EndpointState
from mediation_api.domain.webhooks import MOST_ENDPOINTS, EndpointProgress, ReceiverAnswer
from mediation_api.logs import JsonFormatter
from mediation_api.main import worker_context
from mediation_api.outreach.guarded_connections import Poster
from mediation_api.outreach.webhooks import deliver
from mediation_api.outreach.worker import RunResult, WorkerContext, number_events
from mediation_api.repository.webhooks import claim, finish
from mediation_api.settings import Settings

ENDPOINTS: Final = "/v1/webhook-endpoints"
URL: Final = "https://intake.city.example/hooks/s3cr3t?key=t0k3n"
ALL: Final = sorted(IntegrationEventKind)
OK: Final = ReceiverAnswer(200)


@dataclass
class Receiver:
    """What an endpoint's receiver got, and how it answers."""

    seconds: float = 1.0
    answer: Callable[[dict[str, object]], ReceiverAnswer] = lambda _: OK
    got: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverAnswer:
        self.got.append((url, headers, body))
        return self.answer(json.loads(body))

    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, _, body in self.got]


@pytest.fixture
def clock(office: Office) -> Clock:
    """The time of the office."""
    assert isinstance(office.clock, Clock)
    return office.clock


@pytest.fixture
def context(settings: Settings, database: RolledBackDatabase, clock: Clock) -> WorkerContext:
    """What the worker has. It is now: the database tells the time at which something was queued."""
    clock.now = datetime.now(UTC)
    return replace(worker_context(settings), database=database, clock=clock)


async def register(who: Caller, *kinds: str) -> Answer:
    return await who.post(ENDPOINTS, {"url": URL, "kinds": kinds or ALL})


async def run(context: WorkerContext, receiver: Receiver) -> None:
    """Number what was committed, and deliver until nothing more is due."""
    await number_events(context)
    while await deliver(context, cast("Poster", receiver)) is RunResult.MORE:
        pass


async def deliveries(who: Caller, endpoint: Answer, state: str = "") -> list[Answer]:
    query = f"?limit=100&state={state}" if state else "?limit=100"
    return cast("list[Answer]", (await who.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries{query}"))["items"])


async def moved_on(story: Story) -> Story:
    await story.withdraw(story.complainants[0])
    return story


# ── what is sent ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_webhook_is_what_the_feed_shows_and_is_signed(office: Office, context: WorkerContext) -> None:
    endpoint, receiver = await register(office.integration), Receiver()
    await moved_on(await filed_by_integration(office))
    await office.file()
    await run(context, receiver)
    feed, _ = await walk(office.integration)
    assert len(feed) > 5
    expected = [
        {
            "type": event["kind"],
            "timestamp": event["occurred_at"],
            "data": {name: value for name, value in event.items() if name not in {"kind", "occurred_at"}},
        }
        for event in feed
    ]
    assert sorted(receiver.bodies(), key=str) == sorted(expected, key=str)
    for url, headers, body in receiver.got:
        assert url == URL
        assert headers["webhook-id"] == json.loads(body)["data"]["id"]
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").verify(body, dict(headers))  # pragma: allowlist secret
        assert Webhook(str(endpoint["secret"])).verify(body, dict(headers))
    sent = await deliveries(office.integration, endpoint)
    assert {each["state"] for each in sent} == {"delivered"}
    assert {each["event_id"] for each in sent} == {event["id"] for event in feed}
    assert await deliveries(office.integration, endpoint, "dead") == []


async def test_only_the_kinds_that_were_asked_for_are_sent_and_only_of_what_the_integration_filed(
    office: Office, context: WorkerContext
) -> None:
    other = office.caller(Role.INTEGRATION, "another.system")
    await register(office.integration, "case.closed")
    receiver = Receiver()
    await register(other)
    await moved_on(await filed_by_integration(office))
    await run(context, receiver)
    assert [body["type"] for body in receiver.bodies()] == ["case.closed"]


async def test_events_of_a_case_arrive_in_its_order_whatever_the_receiver_answers(
    office: Office, context: WorkerContext, clock: Clock
) -> None:
    await register(office.integration)
    for _ in range(3):
        await moved_on(await filed_by_integration(office))
    accepted = defaultdict[object, list[int]](list)
    attempts = 0

    def answer(body: dict[str, object]) -> ReceiverAnswer:
        nonlocal attempts
        attempts += 1
        if attempts % 3:
            return ReceiverAnswer([None, 500, 404, 429][attempts % 4])
        data = cast("Answer", body["data"])
        accepted[data["case_id"] or data["complaint_id"]].append(cast("int", data["sequence"]))
        return OK

    receiver = Receiver(answer=answer)
    feed, _ = await walk(office.integration)
    for _ in range(200):
        await run(context, receiver)
        clock.now += timedelta(minutes=10)
    assert sum(map(len, accepted.values())) == len(feed)
    assert all(numbers == sorted(numbers) for numbers in accepted.values())
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == len(feed) < attempts


async def test_a_delivery_that_is_refused_for_three_days_is_dead_and_its_case_goes_on_until_it_is_replayed(
    office: Office, context: WorkerContext, clock: Clock
) -> None:
    endpoint = await register(office.integration, "complaint.filed", "party.added")
    story = await filed_by_integration(office)

    def refuse_filing(body: dict[str, object]) -> ReceiverAnswer:
        return ReceiverAnswer(422 if body["type"] == "complaint.filed" else 200)

    receiver = Receiver(answer=refuse_filing)
    for _ in range(40):
        await run(context, receiver)
        clock.now += timedelta(hours=2)
    (dead,) = await deliveries(office.integration, endpoint, "dead")
    assert (dead["kind"], dead["last_status"], dead["next_attempt_at"]) == ("complaint.filed", 422, None)
    assert 10 < cast("int", dead["attempts"]) < 20
    assert [body["type"] for body in receiver.bodies()][-1] == "party.added"
    assert (await office.integration.get(f"{ENDPOINTS}/{endpoint['id']}"))["state"] == "active"

    receiver.answer = lambda _: OK
    replayed = await office.integration.post(f"/v1/webhook-deliveries/{dead['id']}/replay", None, 200)
    assert (replayed["state"], replayed["attempts"]) == ("waiting", 0)
    await run(context, receiver)
    assert receiver.bodies()[-1]["type"] == "complaint.filed"
    assert cast("Answer", receiver.bodies()[-1]["data"])["complaint_id"] == story.complaint_id
    assert await deliveries(office.integration, endpoint, "dead") == []


async def test_an_endpoint_that_fails_is_tried_with_one_delivery_at_a_time(
    office: Office, context: WorkerContext, clock: Clock
) -> None:
    endpoint = await register(office.integration, "complaint.filed")
    for _ in range(5):
        await filed_by_integration(office)
    receiver = Receiver(answer=lambda _: ReceiverAnswer(None))
    path = f"{ENDPOINTS}/{endpoint['id']}"
    await run(context, receiver)
    assert (len(receiver.got), (await office.integration.get(path))["state"]) == (5, "failing")
    await run(context, receiver)
    assert len(receiver.got) == 5, "it waits"
    clock.now += timedelta(minutes=1)
    await run(context, receiver)
    assert len(receiver.got) == 6, "one more"
    receiver.answer = lambda _: OK
    clock.now += timedelta(minutes=1)
    await run(context, receiver)
    assert (await office.integration.get(path))["state"] == "active"
    assert len(await deliveries(office.integration, endpoint, "delivered")) == 5


@pytest.mark.parametrize("how", ["paused", "gone", "removed", "expired"])
async def test_an_endpoint_that_is_paused_gone_removed_or_expired_gets_nothing(
    how: str, office: Office, context: WorkerContext, clock: Clock
) -> None:
    integration = office.integration
    endpoint, receiver = await register(integration, "complaint.filed"), Receiver()
    path = f"{ENDPOINTS}/{endpoint['id']}"
    if how == "gone":
        await filed_by_integration(office)
        receiver.answer = lambda _: ReceiverAnswer(410)
        await run(context, receiver)
        receiver.answer, receiver.got = lambda _: OK, []
    elif how == "paused":
        assert (await integration.patch(path, {"active": False}))["state"] == "paused"
    elif how == "removed":
        await integration.post(f"{path}/pings")
        removed = await integration.post(f"{path}/remove", None, 200)
        assert (removed["state"], removed["url"]) == ("removed", "")
    else:
        clock.now += timedelta(days=context.settings.webhook_days)
    await filed_by_integration(office)
    await run(context, receiver)
    clock.now += timedelta(hours=1)
    await run(context, receiver)
    assert receiver.got == []
    if how == "removed":
        for verb in ("pings", "secrets"):
            await integration.post(f"{path}/{verb}", None, 409)
        (kept,) = await deliveries(integration, endpoint)
        await integration.post(f"/v1/webhook-deliveries/{kept['id']}/replay", None, 409)
        await integration.patch(path, {"active": True}, 409)
        return
    renewed = await integration.patch(path, {"active": True})
    assert (renewed["state"], renewed["expires_at"] > endpoint["expires_at"]) == ("active", True)  # type: ignore[operator]
    await run(context, receiver)
    assert len(receiver.got) == (2 if how == "gone" else 1), "what happened meanwhile"


async def test_after_a_rotation_both_secrets_sign_for_a_day(
    office: Office, context: WorkerContext, clock: Clock
) -> None:
    endpoint, receiver = await register(office.integration), Receiver()
    path = f"{ENDPOINTS}/{endpoint['id']}"
    rotated = await office.integration.post(f"{path}/secrets")
    signed = []
    for _ in range(2):
        ping = await office.integration.post(f"{path}/pings")
        assert (ping["kind"], ping["state"], ping["event_id"]) == ("ping", "waiting", None)
        await run(context, receiver)
        _, headers, body = receiver.got[-1]
        assert json.loads(body)["data"] is None
        assert headers["webhook-id"] == ping["id"]
        signed.append(len(headers["webhook-signature"].split()))
        now = {**headers}
        Webhook(str(rotated["secret"])).verify(body, now) if len(signed) == 1 else None
        clock.now += timedelta(days=1, seconds=1)
    assert signed == [2, 1]
    assert rotated["secret"] != endpoint["secret"]


async def test_the_log_has_ids_and_outcomes_and_no_address(
    office: Office, context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mediation_api")
    endpoint = await register(office.integration, "complaint.filed")
    await filed_by_integration(office)
    await run(context, Receiver())
    text = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    (line,) = [line for line in log_lines(text) if line["event"] == "webhook"]
    assert (line["endpoint"], line["status"], line["state"]) == (endpoint["id"], 200, "delivered")
    assert not [part for part in ("s3cr3t", "t0k3n", "intake.city", "whsec") if part in text]


async def test_a_worker_whose_lease_has_passed_to_another_one_writes_nothing(
    office: Office, context: WorkerContext, clock: Clock
) -> None:
    endpoint = await register(office.integration, "complaint.filed")
    await filed_by_integration(office)
    await number_events(context)
    soon = clock.now + timedelta(seconds=1)
    async with context.database.transaction() as connection:
        first = await claim(connection, at=clock.now, leased_until=soon)
        assert await claim(connection, at=clock.now, leased_until=soon) is None, "it is taken"
        second = await claim(connection, at=soon + timedelta(seconds=1), leased_until=soon + timedelta(hours=1))
        assert first is not None
        assert second is not None
        done = EndpointProgress(EndpointState.ACTIVE, 0, clock.now)
        assert not await finish(connection, first, done, {}, at=clock.now)
        assert await finish(connection, second, done, {}, at=clock.now)
    assert {each["state"] for each in await deliveries(office.integration, endpoint)} == {"waiting"}


async def test_a_pause_while_something_is_sent_stays(office: Office, context: WorkerContext) -> None:
    endpoint = await register(office.integration, "complaint.filed")
    await filed_by_integration(office)
    path = f"{ENDPOINTS}/{endpoint['id']}"
    await number_events(context)
    at = context.clock()
    async with context.database.transaction() as connection:
        claimed = await claim(connection, at=at, leased_until=at + timedelta(minutes=1))
    assert claimed is not None
    await office.integration.patch(path, {"active": False})
    async with context.database.transaction() as connection:
        assert await finish(connection, claimed, EndpointProgress(EndpointState.ACTIVE, 0, at), {}, at=at)
    assert (await office.integration.get(path))["state"] == "paused"


async def test_a_url_or_secret_that_cannot_be_read_is_sent_to_nobody(
    office: Office, context: WorkerContext, database: RolledBackDatabase
) -> None:
    endpoint, receiver = await register(office.integration, "complaint.filed"), Receiver()
    other = await register(office.integration, "complaint.filed")
    async with database.transaction() as connection:
        moved = select(t.webhook_endpoints.c.secret).where(t.webhook_endpoints.c.id == other["id"])
        of_endpoint = update(t.webhook_endpoints).where(t.webhook_endpoints.c.id == endpoint["id"])
        await connection.execute(of_endpoint.values(secret=moved.scalar_subquery()))
    await filed_by_integration(office)
    await run(context, receiver)
    assert len(receiver.got) == 1
    states = [(await office.integration.get(f"{ENDPOINTS}/{each['id']}"))["state"] for each in (endpoint, other)]
    assert states == ["failing", "active"]


# ── who manages them ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_secret_is_shown_once_and_a_director_sees_neither_path_nor_query(office: Office) -> None:
    endpoint = await register(office.integration)
    path = f"{ENDPOINTS}/{endpoint['id']}"
    read = await office.integration.get(path)
    assert read == {name: value for name, value in endpoint.items() if name != "secret"}
    assert read["url"] == URL
    assert (await office.integration.get(ENDPOINTS))["items"] == [read]
    shown = {**read, "url": "https://intake.city.example"}
    assert await office.director.get(path) == shown
    assert shown in cast("list[Answer]", (await office.director.get(ENDPOINTS))["items"])
    assert (await office.director.post(f"{path}/remove", None, 200))["state"] == "removed"
    assert (await office.director.get(path))["url"] == ""


async def test_an_endpoint_of_another_integration_is_not_found(office: Office) -> None:
    endpoint = await register(office.integration)
    ping = await office.integration.post(f"{ENDPOINTS}/{endpoint['id']}/pings")
    other = office.caller(Role.INTEGRATION, "another.system")
    path = f"{ENDPOINTS}/{endpoint['id']}"
    assert (await other.get(ENDPOINTS))["items"] == []
    await other.get(path, 404)
    await other.get(f"{path}/deliveries", 404)
    await other.patch(path, {"active": False}, 404)
    for verb in ("pings", "secrets", "remove"):
        await other.post(f"{path}/{verb}", None, 404)
    await other.get(f"/v1/webhook-deliveries/{ping['id']}", 404)
    await other.post(f"/v1/webhook-deliveries/{ping['id']}/replay", None, 404)


async def test_an_endpoint_is_not_changed_by_somebody_who_has_seen_an_earlier_one(office: Office) -> None:
    endpoint = await register(office.integration, "complaint.filed")
    path = f"{ENDPOINTS}/{endpoint['id']}"
    seen = await office.integration.send("GET", path)
    headers = {"Authorization": f"Bearer {office.integration.token}", "If-Match": seen.headers["ETag"]}
    await office.integration.patch(path, {"active": False})
    late = await office.client.patch(path, json={"kinds": ["case.closed"]}, headers=headers)
    assert (late.status_code, late.json()["code"]) == (412, "precondition-failed")
    assert (await office.integration.get(path))["kinds"] == ["complaint.filed"]


@pytest.mark.parametrize(
    "url",
    [
        "http://intake.city.example/",
        "https://intake.city.example:8443/",
        "https://intake.city.example:99999/",
    ],
)
async def test_a_url_that_the_settings_do_not_allow_is_refused(url: str, office: Office) -> None:
    refused = await office.integration.post(ENDPOINTS, {"url": url, "kinds": ["case.closed"]}, 422)
    assert cast("list[Answer]", refused["errors"])[0]["code"] == "url-not-allowed"
    endpoint = await register(office.integration)
    await office.integration.patch(f"{ENDPOINTS}/{endpoint['id']}", {"url": url}, 422)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://intake.city.example/",
        "https://user@intake.city.example/",
        "https://intake.city.example/#a",
        "https://intake.city.example/ a",
        "https://intake.city.example\\@elsewhere.example/",
        "https://intäke.example/",
        "https:///hooks",
        "//intake.city.example/",
    ],
)
async def test_a_url_that_is_none_is_refused(url: str, office: Office) -> None:
    await office.integration.post(ENDPOINTS, {"url": url, "kinds": ["case.closed"]}, 422)


async def test_an_integration_has_so_many_endpoints_and_no_more(office: Office) -> None:
    endpoint, *_ = [await register(office.integration) for _ in range(MOST_ENDPOINTS)]
    body = {"url": URL, "kinds": ["case.closed"]}
    assert (await office.integration.post(ENDPOINTS, body, 409))["code"] == "limit-reached"
    await office.integration.post(f"{ENDPOINTS}/{endpoint['id']}/remove", None, 200)
    await office.integration.post(ENDPOINTS, body)


async def test_each_state_is_a_filter(office: Office) -> None:
    endpoint, paused = await register(office.integration), await register(office.integration)
    await office.integration.patch(f"{ENDPOINTS}/{paused['id']}", {"active": False})
    await office.integration.post(f"{ENDPOINTS}/{endpoint['id']}/pings")
    found = {str(state): len(await deliveries(office.integration, endpoint, state)) for state in DeliveryState}
    assert found == {"waiting": 1, "delivered": 0, "dead": 0}
    for state, expected in (("active", [endpoint["id"]]), ("paused", [paused["id"]]), ("removed", [])):
        items = cast("list[Answer]", (await office.integration.get(f"{ENDPOINTS}?state={state}"))["items"])
        assert [each["id"] for each in items] == expected


async def test_both_lists_are_walked_by_their_cursors(office: Office) -> None:
    endpoints = [str((await register(office.integration))["id"]) for _ in range(3)]
    path = f"{ENDPOINTS}/{endpoints[0]}"
    pings = [str((await office.integration.post(f"{path}/pings"))["id"]) for _ in range(3)]
    for there, expected in ((ENDPOINTS, endpoints), (f"{path}/deliveries", pings)):
        found: list[object] = []
        after: object = ""
        for _ in expected:
            page = await office.integration.get(f"{there}?limit=1{after and f'&cursor={after}'}")
            found += [each["id"] for each in cast("list[Answer]", page["items"])]
            after = page["next_cursor"]
        assert (found, after) == (expected, None)
