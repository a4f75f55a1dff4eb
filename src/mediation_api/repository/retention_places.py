"""The columns of each kind of data that retention and erasures empty. domain/retention.py has the periods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Integer, Table, Text, and_, cast, func, select, type_coerce

from mediation_api.database import tables as t
from mediation_api.database.encryption import BlindIndex
from mediation_api.database.nesting import AnyColumn
from mediation_api.domain.values import AgreementKind, DataKind


@dataclass(frozen=True, slots=True)
class Place:
    """Columns of one table, each with the value that it has when it is empty: NULL, or an empty text if NOT NULL.

    An empty text is not encrypted.
    """

    table: Table
    empty: Mapping[str, str | None]

    def of(self, complaint: AnyColumn | UUID, before: AnyColumn | datetime) -> ColumnElement[bool]:
        """Whether a row is of a complaint; of agreements, only resolutions of cases that closed before `before`."""
        columns = self.table.c
        if self.table is t.complaints:
            return columns.id == complaint
        if "complaint_id" in columns:
            return columns.complaint_id == complaint
        cases = select(t.cases.c.id).where(t.cases.c.complaint_id == complaint).correlate(t.complaints)
        if self.table is not t.agreements:
            return columns.case_id.in_(cases)
        over = columns.case_id.in_(cases.where(t.cases.c.closed_at < before))
        return and_(over, columns.kind == AgreementKind.RESOLUTION)

    @property
    def filled(self) -> AnyColumn:
        """The number of the columns that are not empty in a row."""
        # As text, so that nothing is decrypted. A blind index is not counted in addition to its column.
        columns = (self.table.c[name] for name in self.empty)
        texts = (type_coerce(column, Text) for column in columns if not isinstance(column.type, BlindIndex))
        filled = (func.coalesce(each, "") != "" for each in texts)
        total: AnyColumn = sum((cast(each, Integer) for each in filled), start=cast(0, Integer))
        return total


PLACES: Final[Mapping[DataKind, Sequence[Place]]] = MappingProxyType(
    {
        DataKind.RESOLUTION_TERMS: (Place(t.agreements, {"text": None}),),
        DataKind.CONTACT: (
            Place(
                t.parties,
                dict.fromkeys(
                    ("phone", "email", "postal_address", "safe_contact", "guardian_phone", "guardian_email"), None
                ),
            ),
            Place(t.sessions, {"place": None, "link": None}),
        ),
        DataKind.NEEDS: (Place(t.parties, {"accommodations": None, "interpreter_language": None}),),
        DataKind.ACCOUNT: (
            Place(t.complaints, {"narrative": "", "incident_place": None}),
            Place(t.screenings, {"reason": ""}),
            Place(t.approvals, {"given_by": ""}),
        ),
        DataKind.IDENTITY: (
            Place(
                t.parties,
                {
                    "name": "",
                    **dict.fromkeys(("employee_number", "employee_number_index", "unit"), None),
                    **dict.fromkeys(("guardian_name", "guardian_relation"), None),
                },
            ),
            Place(t.attendees, {"name": ""}),
            Place(t.signatures, {"signer_name": ""}),
        ),
    }
)
"""The columns of each kind of data."""

OF_A_PARTY: Final[Mapping[Table, Column[UUID]]] = MappingProxyType(
    {t.parties: t.parties.c.id, t.signatures: t.signatures.c.signer_id}
)
"""The tables in which an erasure empties the rows of one party, and the column with the party's id."""
