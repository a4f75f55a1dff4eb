"""What follows from each type of event is said once."""

import pytest
from sqlalchemy import Table

from mediation_api.database import tables as t
from mediation_api.domain.events import ComplaintOnFile, Event, MediatorOnFile, PartyOnFile
from mediation_api.domain.on_file import PRIVATE
from mediation_api.repository.on_file import is_private
from mediation_api.repository.recording import EFFECTS


def test_every_type_of_event_says_what_follows_from_it() -> None:
    assert {event.kind for event in EFFECTS} == {event.kind for event in Event.__subclasses__()}


@pytest.mark.parametrize(
    ("record", "table"), [(ComplaintOnFile, t.complaints), (PartyOnFile, t.parties), (MediatorOnFile, t.mediators)]
)
def test_the_domain_keeps_private_what_the_tables_encrypt_or_retention_empties(record: type, table: Table) -> None:
    assert PRIVATE[record] == {column.name for column in table.c if is_private(column)}
