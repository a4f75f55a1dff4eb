"""What building the application costs: each test and each process builds one of its own."""

from statistics import median
from time import process_time

from tests.conftest import Clock, calling

from mediation_api.main import create_app
from mediation_api.settings import Settings

LIMIT = 0.05
"""Seconds of processor time, about ten times what it takes on a developer's machine."""


async def test_application_is_built_and_answers_within_fifty_milliseconds(settings: Settings, clock: Clock) -> None:
    """FastAPI puts off part of the work until the first request, so that one is counted as well."""
    seconds = []
    for _ in range(7):
        started = process_time()
        async with calling(create_app(settings, clock=clock)) as client:
            assert (await client.get("/health/live")).status_code == 200
        seconds.append(process_time() - started)
    assert median(seconds) < LIMIT
