"""Who opened what: each read of a complaint, a party or a case by anybody but a party is written down.

Kept are when, who (role and subject), which operation, of which complaint, case or party, and for what purpose. The
operation together with the role says which fields were shown: it has one form of answer for each audience. A page of a
list is one entry with the ids of what stood on it. A read that finds nothing is not written down, and one that cannot
be written down fails.

Not written down: what parties read of their own; the roster, disclosures and other things that are not about a person
of a case; what a command answers, since the command itself is an event.

Whoever opens a mandatory report is written down with the report, and not with its case: whoever sees the readings of a
case would learn that there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from mediation_api.domain.access import AccessScope, Role


class Purpose(StrEnum):
    """What somebody opens something for. Codes, because free text would come to hold people's names."""

    INTAKE = "intake"
    CASEWORK = "casework"
    SUPERVISION = "supervision"
    MEDIATION = "mediation"
    AUDIT = "audit"
    EXCHANGE = "exchange"
    """Another system of the city keeps in step."""
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
"""What each role does every day; taken where no purpose is given. Parties are not here: they read their own."""


class LoggedObject(StrEnum):
    """What an operation opens."""

    COMPLAINT = "complaint"
    PARTY = "party"
    CASE = "case"
    LIST = "list"
    """Several cases or complaints at once, on one page."""
    REPORT = "report"
    """A mandatory report, or all those of one case: one entry for each."""


@dataclass(frozen=True, slots=True)
class LoggedAccessScope(AccessScope):
    """What the caller reaches, and will have opened when it is found."""

    operation: str
    purpose: Purpose
    at: datetime


def logged_scope(scope: AccessScope, operation: str, purpose: Purpose | None, at: datetime) -> AccessScope:
    """The same reach, to be written down when it finds something; a party's stays as it is."""
    usual = DEFAULT_PURPOSE.get(scope.actor.role)
    if usual is None:
        return scope
    return LoggedAccessScope(scope.actor, scope.relation, operation, purpose or usual, at)
