"""What the second wall costs: a party's case read with it and without it, in turns, in one run.

    make run                                                # in another terminal: a database with demo data
    MEDIATION_ENVIRONMENT=dev .venv/bin/python -m benchmarks.wall

Prints the median of each in microseconds, and their ratio. The turns alternate, so that a busy machine slows both.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from sqlalchemy import select

from mediation_api.database import tables as t
from mediation_api.database.engine import Database
from mediation_api.database.roles import SERVICE
from mediation_api.dev.embedded_postgres import running_url
from mediation_api.domain.access import AccessScope, Actor, Relation, Role
from mediation_api.repository.case_queries import CaseQueries
from mediation_api.settings import settings_from_environment

TURNS: Final = 1500
WARM_UP: Final = 100


async def _somebody(database: Database) -> tuple[UUID, AccessScope]:
    """A case in which those who take part see each other, and its complainant."""
    seats = select(t.participants.c.case_id, t.participants.c.party_id).join(t.cases)
    chosen = seats.where(t.cases.c.state == "scheduled", t.participants.c.side == "complainant").limit(1)
    async with database.reading() as connection:
        seat = (await connection.execute(chosen)).one()
    return seat.case_id, AccessScope(Actor(Role.COMPLAINANT, str(seat.party_id), party_id=seat.party_id), Relation.OWN)


async def _measured(read: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await read()
    return (time.perf_counter() - began) * 1_000_000


async def compare() -> dict[str, float]:
    """Read in turns, and give the medians."""
    place = settings_from_environment().data_directory / "database"
    database = Database.of(settings_from_environment(database_url=running_url(place, user=SERVICE)))
    # The service has no right to read a party's case past the wall: the superuser of the demo database has.
    past_it = Database.of(settings_from_environment(database_url=running_url(place)))
    case_id, scope = await _somebody(database)

    async def with_wall() -> None:
        async with database.as_party(scope.actor) as connection:
            await CaseQueries(connection).get(case_id, scope)

    async def without() -> None:
        async with past_it.reading() as connection:
            await CaseQueries(connection).get(case_id, scope)

    taken: dict[str, list[float]] = {"with_wall": [], "without": []}
    for turn in range(WARM_UP + TURNS):
        for name, read in (("with_wall", with_wall), ("without", without)):
            micros = await _measured(read)
            if turn >= WARM_UP:
                taken[name].append(micros)
    await database.close()
    await past_it.close()
    medians = {f"{name}_us": round(statistics.median(values), 1) for name, values in taken.items()}
    return medians | {"ratio": round(medians["with_wall_us"] / medians["without_us"], 2), "turns": TURNS}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(compare())))
