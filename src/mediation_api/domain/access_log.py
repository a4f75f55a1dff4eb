"""The access log: one entry for each read of a complaint, a party or a case by anybody but a party.

An entry has the time, the role and subject of the caller, the operation, the complaint, case or party, and the purpose.
The operation and the role together determine which fields were returned. A page of a list is one entry with the ids on
it. A read that finds nothing is not logged, and a read that cannot be logged fails.

Not logged are reads by parties of what is their own; reads of the roster, of disclosures and of whatever else is not
about the people of a case; and the responses of commands, since each command is an event.

A read of a mandatory report is logged with the report and not with its case: otherwise whoever sees the access log of
the case would learn that there is a report.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from mediation_api.domain.access import AccessScope, Role


class Purpose(StrEnum):
    """Why somebody opens a record. These are codes because free text would end up with people's names in it."""

    INTAKE = "intake"
    CASEWORK = "casework"
    SUPERVISION = "supervision"
    MEDIATION = "mediation"
    AUDIT = "audit"
    EXCHANGE = "exchange"
    """Another system of the city is kept up to date."""
    PARTY_REQUEST = "party_request"
    """A party asked for it."""
    LEGAL_REQUEST = "legal_request"
    """A court, a subpoena, or a request for public records."""


DEFAULT_PURPOSE: Mapping[Role, Purpose] = MappingProxyType(
    {
        Role.INTAKE: Purpose.INTAKE,
        Role.COORDINATOR: Purpose.CASEWORK,
        Role.DIRECTOR: Purpose.SUPERVISION,
        Role.MEDIATOR: Purpose.MEDIATION,
        Role.AUDITOR: Purpose.AUDIT,
        Role.INTEGRATION: Purpose.EXCHANGE,
    }
)
"""The everyday purpose of each role, used where a request names none. Reads by parties are not logged."""


class LoggedObject(StrEnum):
    """What an operation reads, as far as it is logged."""

    COMPLAINT = "complaint"
    PARTY = "party"
    CASE = "case"
    LIST = "list"
    """Several cases or complaints at once, on one page."""
    REPORT = "report"
    """A mandatory report, or all those of one case: one entry for each."""


@dataclass(frozen=True, slots=True)
class LoggedAccessScope(AccessScope):
    """An access scope whose reads are logged: with the operation, its purpose and the time."""

    operation: str
    purpose: Purpose
    at: datetime


def logged_scope(scope: AccessScope, operation: str, purpose: Purpose | None, at: datetime) -> AccessScope:
    """Return the same scope with logging of what it finds; a party's scope is returned unchanged."""
    usual = DEFAULT_PURPOSE.get(scope.actor.role)
    if usual is None:
        return scope
    return LoggedAccessScope(scope.actor, scope.relation, operation, purpose or usual, at)
