"""What follows from each type of event is said once."""

from typing import get_args

from mediation_api.domain.events import CaseEvent
from mediation_api.repository.recording import EFFECTS


def test_every_type_of_event_says_what_follows_from_it() -> None:
    assert set(get_args(CaseEvent)) <= EFFECTS.keys()
