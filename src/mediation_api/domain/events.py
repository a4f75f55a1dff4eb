"""Events: what happened. The only way anything changes, and all that the audit trail and the timeline are read from.

An event holds ids, codes, dates and hashes. What tells about a person (a name, a place, a text) is marked `Private`:
it goes to the tables that need it, and not into the record of events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, TypeAlias, TypeVar, get_type_hints
from uuid import UUID

from mediation_api.domain.lifecycle import State, Trigger
from mediation_api.domain.screening import Screening
from mediation_api.domain.target import PauseReason
from mediation_api.domain.texts import Text
from mediation_api.domain.values import (
    AgreementKind,
    Approver,
    AttendeeRole,
    CancelReason,
    Channel,
    ConflictKind,
    ContactChannel,
    ContactResult,
    DataKind,
    Decision,
    DropReason,
    EndReason,
    ErasureRefusal,
    HoldReason,
    LapseReason,
    Method,
    Mode,
    NameCorrection,
    OffHoursReason,
    PurgeReason,
    Recipient,
    RemovalReason,
    ReportCategory,
    Seat,
    Side,
    VoidReason,
)

T = TypeVar("T")
_PRIVATE = "private"
Private = Annotated[T, _PRIVATE]


class Audience(StrEnum):
    """Who may see, beyond staff and auditors, that an event happened."""

    STAFF = "staff"
    OWN = "own"
    """The party that the event names, and no other."""
    PARTICIPANTS = "participants"
    """Everybody who takes part, once both sides have agreed."""
    RESTRICTED = "restricted"
    """Not even staff: only who may see the thing itself. Such an event stands in no timeline, feed or count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `kind` is its stable name."""

    kind: ClassVar[str]
    audience: ClassVar[Audience] = Audience.STAFF
    lists_given: ClassVar[bool] = True
    """Whether the record lists the private fields that hold something. False where `on_file` or a hash is of them."""

    @classmethod
    def recorded_fields(cls) -> tuple[str, ...]:
        """The names of the fields that go into the record of events: all but the private ones."""
        hints = get_type_hints(cls, include_extras=True)
        return tuple(f.name for f in fields(cls) if _PRIVATE not in getattr(hints[f.name], "__metadata__", ()))

    def given(self) -> list[str] | None:
        """The names of the private fields that hold something; None where the record lists none."""
        private = [f.name for f in fields(self) if f.name not in self.recorded_fields()]
        if not private or not self.lists_given:
            return None
        return [name for name in private if getattr(self, name) is not None]


FOR_THE_RECORD: Final = ("on_file", "given", "fingerprint")
"""Fields that are recorded to compare the tables with, and that no timeline shows: an auditor reads no complaint."""


# ── what is on file ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintOnFile:
    """What is on file of a complaint after an event. `given` names the private columns that hold something."""

    incident_on: date | None
    precinct: str | None
    allegations: tuple[str, ...]
    crime_alleged: bool | None
    serious_injury: bool | None
    litigation_pending: bool | None
    pending_case_filed_on: date | None
    officer_is_witness: bool | None
    rank_initiated: bool
    given: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyOnFile:
    """The same of a party."""

    language: str
    minor: bool
    given: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediatorOnFile:
    """The same of a mediator."""

    subject: str
    languages: tuple[str, ...]
    active: bool
    given: tuple[str, ...]


# ── complaints and parties ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintFiled(Event):
    kind = "complaint.filed"
    lists_given = False
    reference: str
    external_reference: str | None
    channel: Channel
    interested_in_mediation: bool
    on_file: ComplaintOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintCorrected(Event):
    kind = "complaint.corrected"
    lists_given = False
    changed: tuple[str, ...]
    on_file: ComplaintOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyAdded(Event):
    kind = "party.added"
    lists_given = False
    party_id: UUID
    side: Side
    on_file: PartyOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyCorrected(Event):
    kind = "party.corrected"
    audience = Audience.OWN
    lists_given = False
    party_id: UUID
    changed: tuple[str, ...]
    on_file: PartyOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCorrected(Event):
    """The name of a party, or of its guardian, was corrected; the person is the same. What was signed keeps the old."""

    kind = "name.corrected"
    audience = Audience.OWN
    party_id: UUID
    reason: NameCorrection


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRemoved(Event):
    """A party was the wrong one. It is an event of the open case where there is one, or else of the complaint."""

    kind = "party.removed"
    party_id: UUID
    side: Side
    reason: RemovalReason


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityBound(Event):
    """An officer answered: from now on the party is this employee number and this token subject (`by`) together."""

    kind = "identity.bound"
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityReleased(Event):
    """The office released the token subject: the next answer with the employee number binds its own."""

    kind = "identity.released"
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCodeIssued(Event):
    """`fingerprint` is a hash of what is stored of the code, so that nobody puts another in its place."""

    kind = "access_code.issued"
    audience = Audience.OWN
    lists_given = False
    party_id: UUID
    fingerprint: str
    lookup: Private[str]
    digest: Private[bytes]


# ── the case ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened(Event):
    kind = "case.opened"
    audience = Audience.PARTICIPANTS
    case_id: UUID
    complaint_id: UUID
    requested_on: date
    due_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyJoined(Event):
    """A party of the complaint became a participant of the case."""

    kind = "party.joined"
    party_id: UUID
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyAsked(Event):
    kind = "party.asked"
    audience = Audience.OWN
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorAssigned(Event):
    kind = "coordinator.assigned"
    coordinator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecorded(Event):
    """An approver that the city requires besides the parties said yes or no. `unit` is set for a unit commander.

    Who gave it, when and how is set where staff entered it; a director's own is the token's.
    """

    kind = "approval.recorded"
    approval_id: UUID
    approver: Approver
    approved: bool
    unit: str | None
    given_by: Private[str | None]
    given_on: date | None
    channel: Channel | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScreened(Event):
    """`eligible` is None while a director's review is awaited."""

    kind = "case.screened"
    screening_id: UUID
    screening: Screening
    eligible: bool | None
    overridden: bool
    reason: Private[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningOutdated(Event):
    """Something that screening looks at became known after it. `changed` names the answers of intake."""

    kind = "screening.outdated"
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    kind = "case.state_changed"
    trigger: Trigger
    source: State
    target: State


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseClosed(Event):
    kind = "case.closed"
    audience = Audience.PARTICIPANTS
    outcome: State
    agreement_reached: bool | None
    lapse_reason: LapseReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPaused(Event):
    kind = "target.paused"
    pause_id: UUID
    reason: PauseReason
    starts_on: date
    ends_on: date


# ── taking part and leaving ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianConsented(Event):
    """A minor's guardian agreed that the minor takes part, and told the office so."""

    kind = "guardian.consented"
    audience = Audience.OWN
    guardian_consent_id: UUID
    party_id: UUID
    disclosure_sha256: str
    disclosure_version: str
    disclosure_language: str
    disclosure: Private[Text]
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGiven(Event):
    kind = "consent.given"
    audience = Audience.OWN
    consent_id: UUID
    party_id: UUID
    decision: Decision
    disclosure_sha256: str
    disclosure_version: str
    disclosure_language: str
    disclosure: Private[Text]
    channel: Channel
    guardian_consent_id: UUID | None
    replaces: UUID | None
    """The voided consent of this party that this one answers anew; None for its first answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentVoided(Event):
    """What a consent rested on has changed: it no longer stands, and the party is asked again."""

    kind = "consent.voided"
    audience = Audience.OWN
    party_id: UUID
    consent_id: UUID
    reason: VoidReason


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianConsentVoided(Event):
    """What a guardian's consent rested on has changed: the minor needs another one to agree."""

    kind = "guardian_consent.voided"
    audience = Audience.OWN
    party_id: UUID
    guardian_consent_id: UUID
    reason: VoidReason


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyWithdrew(Event):
    kind = "party.withdrew"
    audience = Audience.OWN
    withdrawal_id: UUID
    party_id: UUID
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactAttempted(Event):
    """The office tried to reach a party. Whether it did is known to the office alone."""

    kind = "contact.attempted"
    attempt_id: UUID
    party_id: UUID
    channel: ContactChannel
    result: ContactResult
    attempted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLapsed(Event):
    kind = "party.lapsed"
    party_id: UUID
    reason: LapseReason


# ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOpened(Event):
    """A complainant and an officer are to be mediated between. Parties read dispositions, and no timeline of them."""

    kind = "part.opened"
    complainant_id: UUID
    officer_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReturned(Event):
    """What is between the two goes back to investigation. It is never said why."""

    kind = "part.returned"
    complainant_id: UUID
    officer_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMediated(Event):
    """`agreement_reached`: both, and their guardians, signed a resolution agreement."""

    kind = "part.mediated"
    complainant_id: UUID
    officer_id: UUID
    agreement_reached: bool


# ── mediators ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class MediatorAdded(Event):
    kind = "mediator.added"
    lists_given = False
    mediator_id: UUID
    on_file: MediatorOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediatorCorrected(Event):
    kind = "mediator.corrected"
    lists_given = False
    mediator_id: UUID
    changed: tuple[str, ...]
    on_file: MediatorOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediatorProposed(Event):
    kind = "mediator.proposed"
    assignment_id: UUID
    mediator_id: UUID
    answer_due_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentAccepted(Event):
    kind = "assignment.accepted"
    assignment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentDeclined(Event):
    kind = "assignment.declined"
    assignment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictDeclared(Event):
    kind = "assignment.conflicted"
    assignment_id: UUID
    conflicts: tuple[ConflictKind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediatorRecused(Event):
    kind = "assignment.recused"
    assignment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesDestroyed(Event):
    """The mediator says that no notes of the case are left. The notes themselves were never held here."""

    kind = "notes.destroyed"
    assignment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentReleased(Event):
    kind = "assignment.released"
    assignment_id: UUID


# ── the room ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendeeAdded(Event):
    kind = "attendee.added"
    attendee_id: UUID
    role: AttendeeRole
    name: Private[str]
    language: str | None
    for_party_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendeeConfirmed(Event):
    kind = "attendee.confirmed"
    attendee_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """When and where a session is to be held, and what else is chosen with that.

    `off_hours_reason` is why it is booked on a day off or outside the hours of sessions, and is needed there alone.
    """

    starts_at: datetime
    ends_at: datetime
    mode: Mode
    place: Private[str | None]
    link: Private[str | None] = None
    off_hours_reason: OffHoursReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionScheduled(Event, Booking):
    kind = "session.scheduled"
    audience = Audience.PARTICIPANTS
    session_id: UUID
    mediator_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRescheduled(Event, Booking):
    kind = "session.rescheduled"
    audience = Audience.PARTICIPANTS
    session_id: UUID
    mediator_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCancelled(Event):
    kind = "session.cancelled"
    audience = Audience.PARTICIPANTS
    session_id: UUID
    reason: CancelReason


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Event):
    """`present` is everybody who was in the room when it started, `absent` who had been expected besides."""

    kind = "session.started"
    audience = Audience.PARTICIPANTS
    session_id: UUID
    agreement_id: UUID
    present: tuple[Seat, ...]
    absent: tuple[Seat, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAdjourned(Event):
    kind = "session.adjourned"
    audience = Audience.PARTICIPANTS
    session_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCompleted(Event):
    kind = "session.completed"
    audience = Audience.PARTICIPANTS
    session_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    kind = "session.ended"
    audience = Audience.PARTICIPANTS
    session_id: UUID
    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceRecorded(Event):
    kind = "absence.recorded"
    absence_id: UUID
    session_id: UUID
    party_id: UUID
    excused: bool


# ── agreements ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementMade(Event):
    """A text to sign. Making another of the same kind replaces the one before, and voids its signatures."""

    kind = "agreement.made"
    audience = Audience.PARTICIPANTS
    agreement_id: UUID
    agreement_kind: AgreementKind
    number: int
    template_version: str | None
    languages: tuple[str, ...]
    text: Private[str]
    sha256: str
    terms_confidential: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementSuperseded(Event):
    """A text no longer counts, because the consent of somebody who signs it was voided."""

    kind = "agreement.superseded"
    agreement_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementSigned(Event):
    kind = "agreement.signed"
    signature_id: UUID
    agreement_id: UUID
    sha256: str
    signer: Seat
    signer_name: Private[str]
    method: Method


# ── what is held no more ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPurged(Event):
    """A tombstone: so many fields of a complaint and its cases were emptied. `agreements` have lost their text.

    With a `party_id`, what was emptied is that party's alone.
    """

    kind = "data.purged"
    data: DataKind
    why: PurgeReason
    party_id: UUID | None
    fields: int
    agreements: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Event):
    """Nothing of the complaint is emptied until this hold, and every other, is lifted."""

    kind = "hold.placed"
    hold_id: UUID
    reason: HoldReason


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted(Event):
    kind = "hold.lifted"
    hold_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRequested(Event):
    kind = "erasure.requested"
    erasure_id: UUID
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureApproved(Event):
    """What was erased are events of their own."""

    kind = "erasure.approved"
    erasure_id: UUID
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRefused(Event):
    kind = "erasure.refused"
    erasure_id: UUID
    party_id: UUID
    reason: ErasureRefusal


# ── mandatory reports ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class MandatoryReportProposed(Event):
    """`sha256` is of what is to be reported: events are for ever, and what a report is about need not be."""

    kind = "mandatory_report.proposed"
    audience = Audience.RESTRICTED
    lists_given = False
    report_id: UUID
    case_id: UUID
    sha256: str
    category: Private[ReportCategory]
    recipient: Private[Recipient]
    agency: Private[str]
    legal_basis: Private[str]
    disclosed_at: Private[datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class MandatoryReportFiled(Event):
    kind = "mandatory_report.filed"
    audience = Audience.RESTRICTED
    report_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MandatoryReportDropped(Event):
    kind = "mandatory_report.dropped"
    audience = Audience.RESTRICTED
    report_id: UUID
    reason: DropReason


ReportEvent: TypeAlias = MandatoryReportDropped | MandatoryReportFiled | MandatoryReportProposed
"""Every event about a mandatory report. They are a stream of their own, under the report's id, and not the case's."""

RosterEvent: TypeAlias = MediatorAdded | MediatorCorrected
"""Every event about a mediator of the roster, whatever cases there are."""

CaseEvent: TypeAlias = (
    AbsenceRecorded
    | AgreementMade
    | AgreementSigned
    | AgreementSuperseded
    | ApprovalRecorded
    | AssignmentAccepted
    | AssignmentDeclined
    | AssignmentReleased
    | AttendeeAdded
    | AttendeeConfirmed
    | CaseClosed
    | CaseOpened
    | CaseScreened
    | ConflictDeclared
    | ConsentGiven
    | ContactAttempted
    | ConsentVoided
    | CoordinatorAssigned
    | GuardianConsentVoided
    | GuardianConsented
    | IdentityBound
    | MediatorProposed
    | MediatorRecused
    | NotesDestroyed
    | PartMediated
    | PartOpened
    | PartReturned
    | PartyAsked
    | PartyJoined
    | PartyLapsed
    | PartyRemoved
    | PartyWithdrew
    | ScreeningOutdated
    | SessionAdjourned
    | SessionCancelled
    | SessionCompleted
    | SessionEnded
    | SessionRescheduled
    | SessionScheduled
    | SessionStarted
    | StateChanged
    | TargetPaused
)
"""Every event that a case is made of. Those of complaints, parties and the roster are recorded where they happen."""

Events: TypeAlias = tuple[CaseEvent, ...]

CASE_OPENED: Final = (CaseOpened, PartyJoined, PartOpened)
"""What is recorded when a case is opened."""
CONSENTS_VOIDED: Final = (
    ConsentVoided,
    GuardianConsentVoided,
    AgreementSuperseded,
    PartyAsked,
    SessionCancelled,
    StateChanged,
)
"""What may follow when something changes that consents rested on."""
