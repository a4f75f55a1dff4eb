"""An import: when it can be stopped, and how long a worker rests between its batches."""

import pytest

from mediation_api.domain.errors import StateConflict
from mediation_api.domain.imports import Import, rest_seconds
from mediation_api.domain.values import ImportState


def test_only_a_running_import_is_stopped() -> None:
    Import(state=ImportState.RUNNING).require_running()
    for state in set(ImportState) - {ImportState.RUNNING}:
        with pytest.raises(StateConflict):
            Import(state=state).require_running()


@pytest.mark.parametrize(("share", "rest"), [(100, 0.0), (50, 0.6), (25, 1.8), (1, 59.4)])
def test_work_takes_its_share_of_the_time(share: int, rest: float) -> None:
    assert rest_seconds(0.6, share) == pytest.approx(rest)
