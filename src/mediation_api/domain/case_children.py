"""What a case consists of besides its participants and parts: assignments, sessions, agreements, contact attempts.

They are data, so that the case and the rules about each of them share these types without importing one another.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mediation_api.domain.values import (
    AgreementKind,
    AssignmentState,
    ContactChannel,
    ContactResult,
    Seat,
    SessionState,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One proposal of a case to one mediator, and what became of it."""

    assignment_id: UUID
    mediator_id: UUID
    state: AssignmentState
    subject: str = ""
    """The subject of the mediator's token."""
    notes_destroyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One meeting, as its case knows it."""

    session_id: UUID
    state: SessionState
    starts_at: datetime
    agreement_id: UUID | None = None
    """The text that everybody had signed when it started."""
    present: frozenset[Seat] = frozenset()
    """Who was in the room when it started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One text to sign. Of each kind the latest counts; those before it are superseded."""

    agreement_id: UUID
    kind: AgreementKind
    number: int
    sha256: str
    superseded: bool
    signed_by: frozenset[Seat]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactAttempt:
    """One attempt to reach a party. `attempted_at` is when it was made, as staff recorded it."""

    party_id: UUID
    channel: ContactChannel
    result: ContactResult
    attempted_at: datetime
