"""What scenarios stand on besides tests/conftest.py: time that passes, and stories that are told more than one way.

Here `office`, `app` and `database` are those of the module: what its fixtures tell is told once, and what a test does
is undone. So no test may leave anything behind, not even with `committed`, which has a database of its own.

| Fixture | Gives |
| --- | --- |
| `filed`, `ready`, `signed`, … | `story = signed()`: a case of one complainant and one officer that has come that far |
| `in_each_state` | those of them that stand for an open state, by its name |
| `fork` | `async with fork():` what happens inside is undone at its end, the clock included |
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeAlias

import httpx
import pytest
from fastapi import FastAPI
from tests.conftest import Clock, RolledBackDatabase, calling

from mediation_api.database.engine import create_engine
from mediation_api.dev.office import Office, Story
from mediation_api.settings import Settings

Begun: TypeAlias = Callable[[], Story]
"""Gives a story as it was when it had been told so far."""
Fork: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


_POLICIES_OFF: Final = """
    DO $$ DECLARE each regclass; BEGIN
        FOR each IN SELECT oid FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace LOOP
            EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', each);
        END LOOP;
    END $$
"""


@pytest.fixture(scope="session", autouse=True)
async def _row_policies(settings: Settings, as_owner: Callable[[Settings], Settings]) -> None:
    """`POLICIES=off` turns off the row policies of PostgreSQL: the access scope has to suffice by itself."""
    if os.environ.get("POLICIES") == "off":
        engine = create_engine(as_owner(settings))
        async with engine.begin() as connection:
            await connection.exec_driver_sql(_POLICIES_OFF)
        await engine.dispose()


@pytest.fixture(scope="module")
async def module_office(settings: Settings, module_clock: Clock, module_app: FastAPI) -> AsyncIterator[Office]:
    """The office, in which every request has an instant of its own, as it has outside of tests."""

    async def tick(_request: httpx.Request) -> None:
        module_clock.advance(milliseconds=10)

    async with calling(module_app) as client:
        client.event_hooks["request"].append(tick)
        yield Office(client, settings, module_clock)


@pytest.fixture(autouse=True)
def _undone(undone: None) -> None:
    """Leave the module's stories as they were."""


@pytest.fixture
def office(module_office: Office) -> Iterator[Office]:
    """The module's office, and nobody who watches its client any more at the end."""
    watching = {when: [*hooks] for when, hooks in module_office.client.event_hooks.items()}
    yield module_office
    module_office.client.event_hooks = watching


@pytest.fixture
def app(module_app: FastAPI) -> Iterator[FastAPI]:
    """The module's application, with the policy it had at the end."""
    service = module_app.state.service
    yield module_app
    module_app.state.service = service


@pytest.fixture
def database(module_database: RolledBackDatabase) -> RolledBackDatabase:
    """The module's database."""
    return module_database


@pytest.fixture
def fork(module_database: RolledBackDatabase, module_clock: Clock) -> Fork:
    """Tell a story from here in one way, then come back and tell it in another."""

    @asynccontextmanager
    async def forked() -> AsyncIterator[None]:
        before = module_clock.now
        async with module_database.undone():
            yield
        module_clock.now = before

    return forked


def once(tell: Callable[[Office], Awaitable[Story]]) -> Callable[..., object]:
    """Make a fixture of a story that is told once in a module; each test that begins with it has a copy."""

    @pytest.fixture(scope="module")
    async def told(module_office: Office) -> Begun:
        return (await tell(module_office)).copy

    return told


async def to(
    office: Office, state: Callable[[Story], Awaitable[Story]], complainants: int = 1, officers: int = 1
) -> Story:
    """A case that has come to a state; of one complainant and one officer, unless there are to be others."""
    return await state(await office.file(complainants=[{}] * complainants, officers=[{}] * officers))


filed = once(lambda office: office.file())
confirming = once(lambda office: to(office, Story.to_confirming))
asking = once(lambda office: to(office, Story.to_asking))
ready = once(lambda office: to(office, Story.to_ready))
scheduled = once(lambda office: to(office, Story.to_scheduled))
signed = once(lambda office: to(office, Story.to_signed))
in_session = once(lambda office: to(office, Story.to_in_session))
concluded = once(lambda office: to(office, Story.to_concluded))
mediated = once(lambda office: to(office, Story.to_mediated))


@pytest.fixture(scope="module")
async def in_each_state(
    filed: Begun, confirming: Begun, asking: Begun, ready: Begun, signed: Begun, in_session: Begun, concluded: Begun
) -> Mapping[str, Begun]:
    """Such a case in each of the open states, by its name; in one that is scheduled, everybody has signed."""
    states = {
        "screening": filed,
        "confirming": confirming,
        "asking": asking,
        "ready": ready,
        "scheduled": signed,
        "in_session": in_session,
        "concluded": concluded,
    }
    assert [await begun().state() for begun in states.values()] == [*states]
    return states
