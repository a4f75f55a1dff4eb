"""Under what events are recorded: one complaint, case, mediator or mandatory report each has a stream of its own."""

from dataclasses import dataclass
from uuid import UUID

from mediation_api.database.encryption import WrappedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream. Exactly one of the four ids is set."""

    complaint_id: UUID | None = None
    case_id: UUID | None = None
    mediator_id: UUID | None = None
    report_id: UUID | None = None
    data_key: tuple[UUID, WrappedKey] | None = None
    """Of a locked case: the owner of its data key and that key, which the lock read. Recording need not ask for it."""
