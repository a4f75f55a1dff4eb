"""Requests made up from the committed contract against a running instance: `make gate-fuzz`.

    make gate-fuzz                                  seed 1, as CI runs it
    make gate-fuzz FUZZ_DEEP=yes                    more of everything; links above all
    make gate-fuzz FUZZ_SEED=7 FUZZ_EXAMPLES=200    elsewhere, or as deep as one likes (instance.py lists the numbers)

Not collected by `make test`: it takes longer than everything there. What Schemathesis is told is in hooks.py and
schemathesis.toml, what the instance holds in seeds.py, and that the gate sees faults is shown by faults.py.
"""

from pathlib import Path
from typing import Final

import pytest
from tests.contract.instance import PEERS, Run, operations, schemathesis, seeded, serving
from tests.contract.seeds import Plan

from mediation_api.domain.access import Relation, Role
from mediation_api.main import OPERATIONS
from mediation_api.settings import Settings

NOT_DONE: Final[dict[str, str]] = {}
"""Operations that no made-up request gets done, and why. Every other one must be done at least once."""

OF_COMPLAINANTS: Final = sorted(
    name for name in operations() if OPERATIONS[name].access.get(Role.COMPLAINANT) is Relation.OWN
)
"""What a complainant may do with what is theirs."""


async def as_peers(url: str, plan: Plan, directory: Path) -> Run:
    """Call as complainants, and repeat every call as another."""
    only = [option for name in OF_COMPLAINANTS for option in ("--include-operation-id", name)]
    return await schemathesis(url, plan, directory, *only, config=PEERS, extra={"FUZZ_PEERS": "yes"})


async def test_the_contract_holds(
    committed: Settings, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(committed, keys) as url:
        async with seeded(url, committed) as plan:
            peers = await as_peers(url, plan, tmp_path / "peers")
            run = await schemathesis(url, plan, tmp_path / "all")
    with capsys.disabled():
        print(f"\n{run.summary()}\n\nas complainants: {len(peers.compared)} operations compared\n{peers.summary()}")  # noqa: T201 - the report
    for each in (run, peers):
        assert each.code == 0, each.output
        assert each.server_errors == 0
    assert set(operations()) - run.reached == set(NOT_DONE)
    assert set(OF_COMPLAINANTS) == peers.compared
