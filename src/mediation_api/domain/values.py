"""Enums and values that events, cases and tables share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

UNREADABLE: Final = "[unreadable]"
"""Returned in place of a text that cannot be decrypted, so that one damaged value does not fail the whole read."""


PHONE: Final = r"^\+?[0-9(][0-9 ()./x-]{3,37}[0-9]$"
"""A telephone number as people write it, an extension after an `x`."""


MOST_PARTIES: Final = 50
"""Of a complaint, those included who were removed. So many are also in a case, and absent from a session."""
MOST_PARTS: Final = (MOST_PARTIES // 2) ** 2
"""Of a complaint: each complainant with each officer."""
MOST_ATTENDEES: Final = 50
"""Of a case."""
MOST_ASSIGNMENTS: Final = 50
"""Of a case, answered and released ones included."""
MOST_SEATS: Final = 2 * MOST_PARTIES + MOST_ATTENDEES + MOST_ASSIGNMENTS
"""In a session, or under an agreement: parties, their guardians, attendees, mediators."""
MOST_CONDITIONS: Final = 1_000
"""Of a gate: up to six for each party, one for each seat, and the few of the case itself."""
MOST_PAUSES: Final = 50
"""Of a case."""
MOST_ALLEGATIONS: Final = 20
"""Of a complaint."""
MOST_ATTEMPTS: Final = 10
"""To mediate a complaint. The greatest value of the setting, and a check of the table."""


def in_utc(instant: datetime) -> str:
    """Return an instant as responses and events write it: RFC 3339, UTC, milliseconds, `Z`.

    Raises:
        ValueError: the instant has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant must have a time zone")
    text = instant.isoformat(timespec="milliseconds")
    if not text.endswith("+00:00"):
        text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return f"{text[:-6]}Z"


class Side(StrEnum):
    """The side of a party."""

    COMPLAINANT = "complainant"
    OFFICER = "officer"


class Standing(StrEnum):
    """The standing of one party in one case."""

    WAITING = "waiting"
    """Not asked yet. Officers wait until a complainant has agreed."""
    ASKED = "asked"
    AGREED = "agreed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    REMOVED = "removed"
    """The wrong person: the office removed the party from the complaint."""

    @property
    def has_left(self) -> bool:
        """Whether the party no longer takes part."""
        return self in {Standing.DECLINED, Standing.WITHDRAWN, Standing.LAPSED, Standing.REMOVED}


class Alert(StrEnum):
    """What staff are alerted to in an open case."""

    TARGET_AT_RISK = "target_at_risk"
    """The due date is near. This and the next two: docs/field.md, "Clocks"."""
    TARGET_MISSED = "target_missed"
    TARGET_ESCALATED = "target_escalated"
    MEDIATOR_SILENT = "mediator_silent"
    """A proposal was not answered in time. Source: docs/field.md, "Mediator's silence"."""
    REPEATED_ABSENCE = "repeated_absence"
    """A party was absent so often that a director may close the case. Source: docs/field.md, "Absences"."""
    SCREENING_OUTDATED = "screening_outdated"
    """An answer that screening depends on has changed: the case must be screened again before it goes on."""


class Decision(StrEnum):
    """A party's answer to the disclosure."""

    AGREED = "agreed"
    DECLINED = "declined"


class Channel(StrEnum):
    """How something reached the office."""

    PORTAL = "portal"
    PHONE = "phone"
    LETTER = "letter"
    EMAIL = "email"
    IN_PERSON = "in_person"
    INTEGRATION = "integration"
    SESSION = "session"
    """In a mediation session, to the mediator who leads it."""


STAFF_CHANNELS: Final = frozenset({Channel.PHONE, Channel.LETTER, Channel.EMAIL, Channel.IN_PERSON})
"""The channels by which people reach staff; in the others a party, an integration or a mediator acts itself."""


class Disposition(StrEnum):
    """What becomes of a part, or of a complaint, which follows from its parts. It is never a finding.

    What was not mediated is returned to investigation, without what anybody said or refused.
    """

    RECEIVED = "received"
    IN_MEDIATION = "in_mediation"
    RETURNED_TO_INVESTIGATION = "returned_to_investigation"
    PARTLY_MEDIATED = "partly_mediated"
    """Of a complaint alone: some of its parts were mediated, and others were not."""
    CLOSED_MEDIATED = "closed_mediated"


class LapseReason(StrEnum):
    """Why a party, or a whole case, lapses."""

    UNREACHABLE = "unreachable"
    REPEATED_ABSENCE = "repeated_absence"


class RemovalReason(StrEnum):
    """Why the office removes a party; never what the party did or said."""

    WRONG_PERSON = "wrong_person"
    """Somebody else was meant."""
    DUPLICATE = "duplicate"
    """The same person is listed twice."""
    ENTERED_IN_ERROR = "entered_in_error"


class NameCorrection(StrEnum):
    """Why a name changes although the person stays the same."""

    SPELLING = "spelling"
    LEGAL_NAME_CHANGE = "legal_name_change"


class VoidReason(StrEnum):
    """Why a consent no longer stands: what it was based on has changed."""

    GUARDIAN_CHANGED = "guardian_changed"
    """The guardian has changed."""
    FOUND_MINOR = "found_minor"
    """The party turned out to be a minor."""
    ALLEGATIONS_REPLACED = "allegations_replaced"
    PARTY_REMOVED = "party_removed"


class Approver(StrEnum):
    """Who a city may require to approve mediation besides the parties. Source: docs/field.md, "Eligibility"."""

    DIRECTOR = "director"
    INTERNAL_AFFAIRS = "internal_affairs"
    UNIT_COMMANDER = "unit_commander"
    """The commander of the officer's unit: one approval for each unit, void when an officer moves to another."""


class ConflictKind(StrEnum):
    """What a mediator declares. Source: Model Standards of Conduct for Mediators, III."""

    KNOWS_A_PARTY = "knows_a_party"
    HAS_AN_INTEREST = "has_an_interest"
    TOOK_PART_BEFORE = "took_part_before"


class AssignmentState(StrEnum):
    """The state of a proposal to a mediator."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    CONFLICTED = "conflicted"
    RECUSED = "recused"
    RELEASED = "released"
    """Somebody else was proposed before the mediator answered."""


class AttendeeRole(StrEnum):
    """The role of somebody in the room who is not a party, a guardian or the mediator."""

    INTERPRETER = "interpreter"
    SUPPORT_PERSON = "support_person"


class InterpreterRelation(StrEnum):
    """The relation of a proposed interpreter to the people in the case. Source: docs/field.md, "Interpreters"."""

    NONE = "none"
    FAMILY = "family"
    FRIEND = "friend"
    POLICE = "police"


class SessionState(StrEnum):
    """The state of a session; never what was said in it."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    ADJOURNED = "adjourned"
    COMPLETED = "completed"
    ENDED = "ended"
    CANCELLED = "cancelled"
    MISSED = "missed"

    @property
    def is_live(self) -> bool:
        """Whether the session is scheduled or in progress."""
        return self in {SessionState.SCHEDULED, SessionState.IN_PROGRESS}


class Mode(StrEnum):
    """How a session is held."""

    IN_PERSON = "in_person"
    VIDEO = "video"


class OffHoursReason(StrEnum):
    """Why a session is booked on a day off or outside the hours of sessions."""

    PARTIES_ASKED = "parties_asked"
    OFFICER_SHIFT = "officer_shift"
    INTERPRETER = "interpreter"
    """The interpreter is available at no other time."""
    ROOM = "room"
    """The room is available at no other time."""


class ContactChannel(StrEnum):
    """How the office tried to reach a party."""

    PHONE = "phone"
    TEXT_MESSAGE = "text_message"
    EMAIL = "email"
    LETTER = "letter"
    IN_PERSON = "in_person"


class ContactResult(StrEnum):
    """The result of an attempt to reach a party; never what was said."""

    REACHED = "reached"
    NO_ANSWER = "no_answer"
    MESSAGE_LEFT = "message_left"
    """A message or a letter was left or sent, and has not come back."""
    RETURNED_UNDELIVERED = "returned_undelivered"


class CancelReason(StrEnum):
    """Why a session will not be held as scheduled."""

    REQUESTED = "requested"
    PARTY_ADDED = "party_added"
    PARTY_REMOVED = "party_removed"
    CONSENT_VOIDED = "consent_voided"
    """A party has to answer again first."""
    MEDIATOR_WITHDREW = "mediator_withdrew"
    CASE_CLOSED = "case_closed"


class EndReason(StrEnum):
    """Why a session ended early; never who caused that, or what was said."""

    ENDED_BY_MEDIATOR = "ended_by_mediator"
    WITHDRAWAL = "withdrawal"
    LAPSE = "lapse"


class AgreementKind(StrEnum):
    """The kind of an agreement."""

    CONFIDENTIALITY = "confidentiality"
    RESOLUTION = "resolution"


class Method(StrEnum):
    """How a signature was given."""

    ELECTRONIC = "electronic"
    PAPER = "paper"


class ReportCategory(StrEnum):
    """Which duty to report was met; never what was said.

    Source: ORS 36.220 and 36.222 (exceptions), ORS 181A.681, and the exception that the city's page names.
    """

    CHILD_ABUSE = "child_abuse"
    ADULT_ABUSE = "adult_abuse"
    """Of an elder, or of an adult who depends on others."""
    IMMINENT_HARM = "imminent_harm"
    """To prevent a crime that is likely to cause death or bodily injury."""
    CRIMINAL_ADMISSION = "criminal_admission"
    """An admission of one of the criminal acts that the confidentiality agreement excepts."""
    WITNESSED_MISCONDUCT = "witnessed_misconduct"
    """Misconduct that an officer who witnessed it must report."""


class Recipient(StrEnum):
    """The kind of authority that a mandatory report goes to."""

    CHILD_PROTECTION = "child_protection"
    ADULT_PROTECTION = "adult_protection"
    LAW_ENFORCEMENT = "law_enforcement"
    PROSECUTOR = "prosecutor"
    POLICE_STANDARDS = "police_standards"
    """The board or department that certifies officers."""


class ReportState(StrEnum):
    """The state of a mandatory report."""

    PROPOSED = "proposed"
    FILED = "filed"
    DROPPED = "dropped"


class DropReason(StrEnum):
    """Why a proposed report was not filed."""

    NO_DUTY = "no_duty"
    """The law does not require it."""
    REPORTED_ELSEWHERE = "reported_elsewhere"
    """The person who had the duty has reported already."""
    ENTERED_IN_ERROR = "entered_in_error"


class MailKind(StrEnum):
    """What a mail is about. Its text says no more than that something waits in the portal (texts/mails.en.md)."""

    OFFERED = "offered"
    """A party is asked to take part."""
    ANSWER_ASKED = "answer_asked"
    """A party whose consent was voided is asked again."""
    ANSWER_REMINDER = "answer_reminder"
    PROPOSED = "proposed"
    """The case is proposed to a mediator."""
    PROPOSAL_REMINDER = "proposal_reminder"
    SESSION_SCHEDULED = "session_scheduled"
    SESSION_MOVED = "session_moved"
    SESSION_CANCELLED = "session_cancelled"
    SESSION_REMINDER = "session_reminder"
    SIGNATURE_ASKED = "signature_asked"
    SIGNATURE_REMINDER = "signature_reminder"
    CLOSED = "closed"
    """The case has closed for its recipient. Neither how nor why is said."""


class MailState(StrEnum):
    """The state of a mail."""

    QUEUED = "queued"
    SENT = "sent"
    """The mail server has accepted it. It may still come back to the address of the sender."""
    FAILED = "failed"
    """The mail server refused it for good, or it was tried for three days."""
    DROPPED = "dropped"
    """When it was to be sent it was no longer due, or its recipient no longer allowed mail."""


class EndpointState(StrEnum):
    """Whether webhooks are sent to an endpoint."""

    ACTIVE = "active"
    FAILING = "failing"
    """It does not answer as it should: one webhook at a time is tried, after pauses that grow."""
    PAUSED = "paused"
    """By the integration, or by the answer 410. Webhooks are kept until it is active again."""
    REMOVED = "removed"


class DeliveryState(StrEnum):
    """What became of a webhook."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"
    """It was tried for three days. It can be replayed by hand."""


class Job(StrEnum):
    """A command that runs on a schedule, or a task that the worker repeats."""

    RETENTION = "retention"
    AUDIT_EXPORT = "audit-export"
    AUDIT_VERIFY = "audit-verify"
    KEYS_ROTATE = "keys-rotate"
    RECORD_DEADLINES = "record-deadlines"
    RUN_IMPORTS = "run-imports"
    NUMBER_EVENTS = "number-events"
    DELIVER_WEBHOOKS = "deliver-webhooks"
    SEND_MAIL = "send-mail"


class ImportState(StrEnum):
    """How far an import is."""

    RUNNING = "running"
    """Its lines are being filed, or wait for that."""
    FINISHED = "finished"
    """Each line was filed, refused or already there."""
    CANCELLED = "cancelled"
    """It was stopped. What was filed before stays filed."""


class DataKind(StrEnum):
    """A kind of stored data, by why and how long it is kept; the schedule is in `domain/retention.py`."""

    RESOLUTION_TERMS = "resolution_terms"
    CONTACT = "contact"
    NEEDS = "needs"
    ACCOUNT = "account"
    IDENTITY = "identity"
    RECORD = "record"
    ACCESS_LOG = "access_log"
    MAIL = "mail"
    MANDATORY_REPORT = "mandatory_report"
    ROSTER = "roster"
    CREDENTIAL = "credential"
    RETRY = "retry"
    IMPORT = "import"
    WEBHOOK = "webhook"
    MEDIATOR_NOTES = "mediator_notes"


class HoldReason(StrEnum):
    """Why no data of a complaint may be emptied."""

    LITIGATION = "litigation"
    """A suit, or one that is expected."""
    RECORDS_REQUEST = "records_request"
    """Somebody has asked for public records, or a court for evidence."""
    INVESTIGATION = "investigation"


class ErasureState(StrEnum):
    """The state of a request to erase a person's data."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"


class ErasureRefusal(StrEnum):
    """Why nothing is erased."""

    PUBLIC_RECORD = "public_record"
    """The law on public records requires that the data be kept."""
    IDENTITY_UNPROVEN = "identity_unproven"
    """The person who asked did not prove to be that person."""
    WITHDRAWN = "withdrawn"
    """The person withdrew the request."""


class PurgeReason(StrEnum):
    """Why data was emptied."""

    SCHEDULE = "schedule"
    """The retention period had ended."""
    REQUEST = "request"
    """The person asked for it, and two members of staff agreed."""


class AttemptKind(StrEnum):
    """What the number of attempts an hour is limited for."""

    CALENDAR = "calendar"
    """Reading a calendar feed; counted by the person whose it is."""
    CODE = "code"
    """Exchanging an access code; counted by its lookup part."""
    FILING = "filing"
    """Filing a complaint without a token; counted by a keyed hash of the client's address."""


class SeatRole(StrEnum):
    """The capacity in which somebody is in the room."""

    PARTY = "party"
    GUARDIAN = "guardian"
    MEDIATOR = "mediator"
    INTERPRETER = "interpreter"
    SUPPORT_PERSON = "support_person"


@dataclass(frozen=True, slots=True, order=True)
class Seat:
    """A place in the room. `id` is the party's (for a guardian, the minor's), the mediator's or the attendee's."""

    role: SeatRole
    id: UUID
