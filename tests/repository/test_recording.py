"""What follows from each type of event is said once, and what it holds is written in one form."""

import json
import re
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Final, get_type_hints
from uuid import uuid4

import pytest
from sqlalchemy import Table

from mediation_api.database import batching
from mediation_api.database import tables as t
from mediation_api.dev.office import Office
from mediation_api.domain.events import ComplaintOnFile, Event, MediatorOnFile, PartyOnFile
from mediation_api.domain.on_file import PRIVATE
from mediation_api.repository.on_file import is_private
from mediation_api.repository.recording import EFFECTS, listed_events
from mediation_api.repository.streams import Stream

WITH_INSTANTS: Final = sorted(
    (each for each in EFFECTS if datetime in {get_type_hints(each)[name] for name in each.recorded_fields()}),
    key=lambda event: event.kind,
)


def test_every_type_of_event_says_what_follows_from_it() -> None:
    assert {event.kind for event in EFFECTS} == {event.kind for event in Event.__subclasses__()}


@pytest.mark.parametrize(
    ("record", "table"), [(ComplaintOnFile, t.complaints), (PartyOnFile, t.parties), (MediatorOnFile, t.mediators)]
)
def test_the_domain_keeps_private_what_the_tables_encrypt_or_retention_empties(record: type, table: Table) -> None:
    assert PRIVATE[record] == {column.name for column in table.c if is_private(column)}


@pytest.mark.parametrize("event", WITH_INSTANTS, ids=lambda event: event.kind)
def test_an_instant_is_recorded_in_utc_with_milliseconds_and_z(event: type[Event]) -> None:
    hints = get_type_hints(event)
    in_tokyo = datetime(2026, 3, 1, 9, 0, 0, 1_999, tzinfo=timezone(timedelta(hours=9)))
    happened = SimpleNamespace(
        **{name: in_tokyo if hints[name] is datetime else None for name in event.recorded_fields()},
        kind=event.kind,
        recorded_fields=event.recorded_fields,
        filled_private_fields=lambda: None,
    )
    written = json.dumps(listed_events(Stream(case_id=uuid4()), (happened,)))  # type: ignore[arg-type]
    instants = {name for name in event.recorded_fields() if hints[name] is datetime}
    assert set(re.findall(r'"(\w+)": "2026-03-01T00:00:00\.001Z"', written)) == instants


async def test_the_commands_of_another_case_build_no_statement(office: Office) -> None:
    """Otherwise each command would build and compile its own, and the memory of the service would grow with them."""
    built = (batching._insert, batching._update, batching._combination)
    await (await office.file()).to_mediated(agreement_reached=True)
    before = [each.cache_info() for each in built]
    await (await office.file()).to_mediated(agreement_reached=True)
    after = [each.cache_info() for each in built]
    assert [each.misses for each in after] == [each.misses for each in before]
    assert all(now.hits > then.hits for now, then in zip(after, before, strict=True))
