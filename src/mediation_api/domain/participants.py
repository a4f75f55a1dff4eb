"""Who is in a case: its parties, who comes with them, and who approved."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from uuid import UUID

from mediation_api.domain.values import Approver, AttendeeRole, Seat, SeatRole, Side, Standing

NEXT_STANDINGS: Final[Mapping[Standing, frozenset[Standing]]] = MappingProxyType(
    {
        Standing.WAITING: frozenset({Standing.ASKED, Standing.WITHDRAWN, Standing.LAPSED, Standing.REMOVED}),
        Standing.ASKED: frozenset(
            {Standing.AGREED, Standing.DECLINED, Standing.WITHDRAWN, Standing.LAPSED, Standing.REMOVED}
        ),
        # A consent that was voided is asked for again.
        Standing.AGREED: frozenset({Standing.WAITING, Standing.WITHDRAWN, Standing.LAPSED, Standing.REMOVED}),
        # Somebody who declined or lapsed may still withdraw.
        Standing.DECLINED: frozenset({Standing.WITHDRAWN, Standing.REMOVED}),
        Standing.LAPSED: frozenset({Standing.WITHDRAWN, Standing.REMOVED}),
        Standing.WITHDRAWN: frozenset({Standing.REMOVED}),
        Standing.REMOVED: frozenset(),
    }
)
"""Which standing may follow which. The database enforces the same (migrations/sql/standing_may_become.sql)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """One party in this case. `minor`, `guardian_on_file` and `unit` are those of the party as it is on file now."""

    party_id: UUID
    side: Side
    standing: Standing = Standing.WAITING
    minor: bool = False
    guardian_on_file: bool = False
    guardian_consent_id: UUID | None = None
    interpreter_language: str | None = None
    unit: str | None = None
    unexcused_absences: int = 0
    withdrawal_id: UUID | None = None
    consent_id: UUID | None = None
    """The latest consent in this case, whether it stands or was voided."""
    identity_bound: bool = False
    """Whether an answer has bound the party to a token subject."""

    @property
    def is_active(self) -> bool:
        """Whether the party is still in the case: it has not declined, withdrawn, lapsed or been removed."""
        return not self.standing.has_left


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """An interpreter or a support person. `for_party_id` is None for somebody who serves everyone."""

    attendee_id: UUID
    role: AttendeeRole
    for_party_id: UUID | None
    language: str | None
    confirmed: bool

    @property
    def seat(self) -> Seat:
        """The attendee's place in the room."""
        return Seat(SeatRole(self.role.value), self.attendee_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An approval that stands: of one approver, and for a unit commander of one unit."""

    approver: Approver
    unit: str | None
