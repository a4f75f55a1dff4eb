"""Events: what happened. Every change is one, and the audit trail and the timelines are read from them.

What is stored of an event is ids, codes, dates and hashes. A field that identifies or describes a person (a name, a
place, a text) is marked `Private`: it is written to the tables that need it, and not to the table of events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from functools import cache
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


class Visibility(StrEnum):
    """Who may see an event, besides staff and auditors."""

    STAFF = "staff"
    OWN = "own"
    """The party that the event names, and no other party."""
    PARTICIPANTS = "participants"
    """Every active party, once both sides have agreed."""
    RESTRICTED = "restricted"
    """Only callers who may see the object itself. Such an event is in no timeline, feed or count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `kind` is its stable name."""

    kind: ClassVar[str]
    visibility: ClassVar[Visibility] = Visibility.STAFF
    lists_filled: ClassVar[bool] = True
    """Whether the names of private fields with a value are recorded. False where `on_file` or a hash covers them."""
    for_integration: ClassVar[bool] = False
    """Whether the change feed shows it to the integration that filed the complaint: it changes what that may read."""

    @classmethod
    @cache
    def recorded_fields(cls) -> tuple[str, ...]:
        """Return the names of the fields that are stored with the event: all but the private ones."""
        private = cls._private_fields()
        return tuple(f.name for f in fields(cls) if f.name not in private)

    def filled_private_fields(self) -> list[str] | None:
        """Return the names of the private fields with a value; None if the event does not record them."""
        private = self._private_fields()
        if not private or not self.lists_filled:
            return None
        return [name for name in private if getattr(self, name) is not None]

    @classmethod
    @cache
    def _private_fields(cls) -> tuple[str, ...]:
        hints = get_type_hints(cls, include_extras=True)
        return tuple(f.name for f in fields(cls) if _PRIVATE in getattr(hints[f.name], "__metadata__", ()))


FOR_THE_RECORD: Final = ("on_file", "filled", "fingerprint")
"""Fields that `audit verify` compares with the tables. No timeline has them: an auditor may not read complaints."""


# ── what is on file ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintOnFile:
    """What is on file of a complaint after an event. `filled` names the private columns that have a value."""

    incident_on: date | None
    precinct: str | None
    allegations: tuple[str, ...]
    crime_alleged: bool | None
    serious_injury: bool | None
    litigation_pending: bool | None
    pending_case_filed_on: date | None
    officer_is_witness: bool | None
    rank_initiated: bool
    filled: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyOnFile:
    """What is on file of a party after an event. `filled` is as in `ComplaintOnFile`."""

    language: str
    minor: bool
    email_allowed: bool
    filled: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediatorOnFile:
    """What is on file of a mediator after an event. `filled` is as in `ComplaintOnFile`."""

    subject: str
    languages: tuple[str, ...]
    active: bool
    email_allowed: bool
    filled: tuple[str, ...]


# ── complaints and parties ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintFiled(Event):
    kind = "complaint.filed"
    lists_filled = False
    for_integration = True
    reference: str
    external_reference: str | None
    channel: Channel
    interested_in_mediation: bool
    on_file: ComplaintOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintCorrected(Event):
    kind = "complaint.corrected"
    lists_filled = False
    for_integration = True
    changed: tuple[str, ...]
    on_file: ComplaintOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyAdded(Event):
    kind = "party.added"
    lists_filled = False
    for_integration = True
    party_id: UUID
    side: Side
    on_file: PartyOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyCorrected(Event):
    kind = "party.corrected"
    visibility = Visibility.OWN
    lists_filled = False
    party_id: UUID
    changed: tuple[str, ...]
    on_file: PartyOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCorrected(Event):
    """The name of a party, or of its guardian, was corrected; the person is the same. Signatures keep the old one."""

    kind = "name.corrected"
    visibility = Visibility.OWN
    party_id: UUID
    reason: NameCorrection


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRemoved(Event):
    """The wrong party was removed. It is an event of the open case if there is one, or else of the complaint."""

    kind = "party.removed"
    for_integration = True
    party_id: UUID
    side: Side
    reason: RemovalReason


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityBound(Event):
    """An officer acted: from now on the party is this employee number together with this token subject (`by`)."""

    kind = "identity.bound"
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityReleased(Event):
    """The office released the token subject: the next answer with the employee number binds its own."""

    kind = "identity.released"
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCodeIssued(Event):
    """`fingerprint` is a hash of what is stored of the code, so that replacing it in the table is detected."""

    kind = "access_code.issued"
    visibility = Visibility.OWN
    lists_filled = False
    party_id: UUID
    fingerprint: str
    lookup: Private[str]
    digest: Private[bytes]


# ── the case ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened(Event):
    kind = "case.opened"
    visibility = Visibility.PARTICIPANTS
    for_integration = True
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
    visibility = Visibility.OWN
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorAssigned(Event):
    kind = "coordinator.assigned"
    coordinator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecorded(Event):
    """An approver that the city requires approved or refused. `unit` is set for a unit commander.

    `given_by`, `given_on` and `channel` are set if staff entered it, and None for a director's own.
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
    """`eligible` is None if a director has to review the case."""

    kind = "case.screened"
    screening_id: UUID
    screening: Screening
    eligible: bool | None
    overridden: bool
    reason: Private[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningOutdated(Event):
    """An answer that screening depends on has changed since. `changed` names the answers of intake."""

    kind = "screening.outdated"
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    kind = "case.state_changed"
    trigger: Trigger
    from_state: State
    to_state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseClosed(Event):
    kind = "case.closed"
    visibility = Visibility.PARTICIPANTS
    for_integration = True
    state: State
    agreement_reached: bool | None
    lapse_reason: LapseReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPaused(Event):
    kind = "target.paused"
    pause_id: UUID
    reason: PauseReason
    starts_on: date
    ends_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseAtRisk(Event):
    """The due date of the target is near. Once for a case, and only while that is so."""

    kind = "case.at_risk"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOverdue(Event):
    """The due date of the target has passed. Once for a case."""

    kind = "case.overdue"


# ── taking part and leaving ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianConsented(Event):
    """A guardian agreed that the minor takes part, as staff recorded it."""

    kind = "guardian.consented"
    visibility = Visibility.OWN
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
    visibility = Visibility.OWN
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
    """The voided consent that this answer replaces; None for the party's first answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentVoided(Event):
    """What a consent was based on has changed: it no longer stands, and the party is asked again."""

    kind = "consent.voided"
    visibility = Visibility.OWN
    party_id: UUID
    consent_id: UUID
    reason: VoidReason


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianConsentVoided(Event):
    """What a guardian's consent was based on has changed: the minor needs a new one to agree."""

    kind = "guardian_consent.voided"
    visibility = Visibility.OWN
    party_id: UUID
    guardian_consent_id: UUID
    reason: VoidReason


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyWithdrew(Event):
    kind = "party.withdrew"
    visibility = Visibility.OWN
    withdrawal_id: UUID
    party_id: UUID
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactAttempted(Event):
    """The office tried to reach a party. Only the office sees this."""

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


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOpened(Event):
    """A part was opened. Parties read the dispositions of parts, and not the events."""

    kind = "part.opened"
    for_integration = True
    complainant_id: UUID
    officer_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReturned(Event):
    """A part was returned to investigation. The reason is not recorded.

    While answers are sealed the feed shows it to no integration. Once they no longer are, it does.
    """

    kind = "part.returned"
    for_integration = True
    complainant_id: UUID
    officer_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMediated(Event):
    """`agreement_reached`: both people, and their guardians, signed a resolution agreement."""

    kind = "part.mediated"
    for_integration = True
    complainant_id: UUID
    officer_id: UUID
    agreement_reached: bool


# ── mediators ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class MediatorAdded(Event):
    kind = "mediator.added"
    lists_filled = False
    mediator_id: UUID
    on_file: MediatorOnFile
    values: Private[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediatorCorrected(Event):
    kind = "mediator.corrected"
    lists_filled = False
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
    """The mediator attested that all notes were destroyed. The notes themselves were never in this service."""

    kind = "notes.destroyed"
    assignment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentReleased(Event):
    kind = "assignment.released"
    assignment_id: UUID


# ── the room ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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
    """When, how and where a session is to be held.

    `off_hours_reason` is required on a day off or outside the hours of sessions.
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
    visibility = Visibility.PARTICIPANTS
    session_id: UUID
    mediator_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRescheduled(Event, Booking):
    kind = "session.rescheduled"
    visibility = Visibility.PARTICIPANTS
    session_id: UUID
    mediator_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCancelled(Event):
    kind = "session.cancelled"
    visibility = Visibility.PARTICIPANTS
    session_id: UUID
    reason: CancelReason


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Event):
    """`present` is everybody who was in the room when it started, `absent` everybody else who was expected."""

    kind = "session.started"
    visibility = Visibility.PARTICIPANTS
    session_id: UUID
    agreement_id: UUID
    present: tuple[Seat, ...]
    absent: tuple[Seat, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAdjourned(Event):
    kind = "session.adjourned"
    visibility = Visibility.PARTICIPANTS
    session_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCompleted(Event):
    kind = "session.completed"
    visibility = Visibility.PARTICIPANTS
    session_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    kind = "session.ended"
    visibility = Visibility.PARTICIPANTS
    session_id: UUID
    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceRecorded(Event):
    kind = "absence.recorded"
    absence_id: UUID
    session_id: UUID
    party_id: UUID
    excused: bool


# ── agreements ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementMade(Event):
    """A text to sign was made. It replaces the one before of the same kind, and voids its signatures."""

    kind = "agreement.made"
    visibility = Visibility.PARTICIPANTS
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
    """A text is no longer current, because the consent of somebody who signs it was voided."""

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


# ── retention and erasure ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPurged(Event):
    """A tombstone: `fields` is how many fields of a complaint and its cases were emptied.

    `agreements` are those whose text was emptied. With a `party_id`, only fields of that party were.
    """

    kind = "data.purged"
    data: DataKind
    why: PurgeReason
    party_id: UUID | None
    fields: int
    agreements: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Event):
    """No data of the complaint is emptied until this hold, and every other, is lifted."""

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
    """What was erased is recorded in `DataPurged` events."""

    kind = "erasure.approved"
    erasure_id: UUID
    party_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRefused(Event):
    kind = "erasure.refused"
    erasure_id: UUID
    party_id: UUID
    reason: ErasureRefusal


# ── mandatory reports ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class MandatoryReportProposed(Event):
    """`sha256` is a hash of the contents, because events are kept for ever and the contents need not be."""

    kind = "mandatory_report.proposed"
    visibility = Visibility.RESTRICTED
    lists_filled = False
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
    visibility = Visibility.RESTRICTED
    report_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MandatoryReportDropped(Event):
    kind = "mandatory_report.dropped"
    visibility = Visibility.RESTRICTED
    report_id: UUID
    reason: DropReason


ReportEvent: TypeAlias = MandatoryReportDropped | MandatoryReportFiled | MandatoryReportProposed
"""Every event about a mandatory report. They form a stream of their own under the report's id, not the case's."""

RosterEvent: TypeAlias = MediatorAdded | MediatorCorrected
"""Every event about an entry of the roster, independent of any case."""

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
    | CaseAtRisk
    | CaseClosed
    | CaseOpened
    | CaseOverdue
    | CaseScreened
    | ConflictDeclared
    | ConsentGiven
    | ConsentVoided
    | ContactAttempted
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
"""Every event in the stream of a case."""

Events: TypeAlias = tuple[CaseEvent, ...]

CASE_OPENED: Final = (CaseOpened, PartyJoined, PartOpened)
"""The events that opening a case records."""
CONSENTS_VOIDED: Final = (
    ConsentVoided,
    GuardianConsentVoided,
    AgreementSuperseded,
    PartyAsked,
    SessionCancelled,
    StateChanged,
)
"""The events that may follow when something changes that consents were based on."""
