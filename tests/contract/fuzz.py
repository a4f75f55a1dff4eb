"""Requests made up from the committed contract against a running instance: `make gate-fuzz`.

    make gate-fuzz                                  seed 1, as CI runs it
    make gate-fuzz FUZZ_DEEP=yes                    more of everything; links above all
    make gate-fuzz FUZZ_SEED=7 FUZZ_EXAMPLES=200    elsewhere, or as deep as one likes (instance.py lists the numbers)

The contract is called three times: by the role that reaches furthest with each operation, by complainants of whom none
must find what is another's, and by every role, each refused for what tests/snapshots/refusals.json lists alone.

Not collected by `make test`: it takes longer than everything there. What Schemathesis is told is in hooks.py,
schemathesis.toml and callers.toml, what the instance holds in seeds.py, and that the gate sees faults is shown by
faults.py.
"""

import asyncio
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Final

import pytest
from tests.conftest import Run as ThisRun
from tests.conftest import fresh_database
from tests.contract.instance import CALLERS, TURNS, Run, operations, schemathesis, seeded, serving
from tests.contract.seeds import Plan
from tests.openapi.refusals import reviewed

from mediation_api.domain.access import Relation, Role
from mediation_api.main import OPERATIONS
from mediation_api.settings import Settings

NOT_DONE: Final[dict[str, str]] = {}
"""Operations that no made-up request gets done, and why. Every other one must be done at least once."""

OF_COMPLAINANTS: Final = sorted(
    name for name in operations() if OPERATIONS[name].access.get(Role.COMPLAINANT) is Relation.OWN
)
"""What a complainant may do with what is theirs."""


def only(names: Iterable[str]) -> list[str]:
    """The options that leave out all other operations."""
    return [option for name in names for option in ("--include-operation-id", name)]


async def as_peers(url: str, plan: Plan, directory: Path) -> Run:
    """Call as complainants, and repeat every call as another."""
    return await schemathesis(url, plan, directory, *only(OF_COMPLAINANTS), config=CALLERS, extra={"FUZZ_PEERS": "yes"})


async def as_every_role(url: str, plan: Plan, directory: Path, *options: str) -> Run:
    """Call each operation as each role: who may is refused for what is listed alone, and who may not always."""
    return await schemathesis(
        url, plan, directory, *options, config=CALLERS, examples=TURNS, extra={"FUZZ_ROLES": "yes"}
    )


def done(run: Run) -> str:
    """How many of the operations that it may call each role did, for people."""
    may = {role: [name for name, roles in reviewed().items() if role in roles] for role in Role}
    did = {role: sum(run.done_as[name].get(role, 0) > 0 for name in names) for role, names in may.items()}
    return ", ".join(f"{role} {did[role]} of {len(names)}" for role, names in may.items())


async def test_the_contract_holds(
    run: ThisRun, keys: Path, server_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def by_whoever_may(settings: Settings) -> tuple[Run, Run]:
        with serving(settings, keys) as url:
            async with seeded(url, settings) as plan:
                return await as_peers(url, plan, tmp_path / "peers"), await schemathesis(url, plan, tmp_path / "all")

    async def by_every_role(settings: Settings) -> Run:
        with serving(settings, keys) as url:
            async with seeded(url, settings, rounds=1) as plan:
                return await as_every_role(url, plan, tmp_path / "roles")

    # Each on a database of its own: what one uses up or replaces, the other needs.
    with fresh_database(run, keys, server_url) as first, fresh_database(run, keys, server_url) as second:
        (peers, whole), roles = await asyncio.gather(by_whoever_may(first), by_every_role(second))
    with capsys.disabled():
        print(f"\n{whole.summary()}\n\nas complainants: {len(peers.compared)} operations compared\n{peers.summary()}")  # noqa: T201 - the report
        print(f"\nas every role: {done(roles)}\n{roles.summary()}")  # noqa: T201 - as above
    for each in (whole, peers, roles):
        assert each.code == 0, each.output
        assert each.server_errors == 0
    assert set(operations()) - whole.reached == set(NOT_DONE)
    assert set(OF_COMPLAINANTS) == peers.compared
    assert {(name, role) for name, called in roles.done_as.items() for role in called} == {*product(operations(), Role)}
