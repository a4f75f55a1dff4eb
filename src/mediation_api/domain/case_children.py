"""What belongs to a case besides participants and parts: assignments, sessions, agreements, contact attempts.

These types have no rules, so that the case and the rules about each of them can share them without import cycles.
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
    """One session, as far as rules about the case depend on it."""

    session_id: UUID
    state: SessionState
    starts_at: datetime
    agreement_id: UUID | None = None
    """The confidentiality agreement that everybody present had signed."""
    present: frozenset[Seat] = frozenset()
    """Who was in the room when it started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One text to sign. The latest of each kind is current; those before it are superseded."""

    agreement_id: UUID
    kind: AgreementKind
    number: int
    sha256: str
    superseded: bool
    signed_by: frozenset[Seat]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactAttempt:
    """One attempt to reach a party. `attempted_at` is the time that staff entered."""

    party_id: UUID
    channel: ContactChannel
    result: ContactResult
    attempted_at: datetime
