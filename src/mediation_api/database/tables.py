"""The tables, and the constraints that enforce the rules of the domain a second time.

Columns with personal data (names, contacts, narratives, texts) are `Encrypted` (database/encryption.py); ids, codes,
dates, languages and units are not. Enums are text with a CHECK, so that adding a value is an ordinary migration. On
each table of `APPEND_ONLY` triggers refuse DELETE, TRUNCATE and UPDATE from every role; retention alone may empty one
text in some of them. On the access log they refuse DELETE until an entry is a year old.
"""

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint

from mediation_api.database.encryption import MARK, BlindIndex, Encrypted, EncryptedString
from mediation_api.domain.access import Role
from mediation_api.domain.access_log import Purpose
from mediation_api.domain.lifecycle import OPEN, State
from mediation_api.domain.screening import Outcome
from mediation_api.domain.target import PauseReason
from mediation_api.domain.values import (
    STAFF_CHANNELS,
    AgreementKind,
    Approver,
    AssignmentState,
    AttemptKind,
    AttendeeRole,
    Channel,
    ContactChannel,
    ContactResult,
    Decision,
    DeliveryState,
    Disposition,
    DropReason,
    EndpointState,
    EndReason,
    ErasureRefusal,
    ErasureState,
    HoldReason,
    ImportState,
    Job,
    LapseReason,
    MailKind,
    MailState,
    Method,
    Mode,
    OffHoursReason,
    Recipient,
    RemovalReason,
    ReportCategory,
    ReportState,
    SeatRole,
    SessionState,
    Side,
    Standing,
    VoidReason,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

complaint_reference = Sequence("complaint_reference", metadata=metadata)


def _in(column: str, values: Iterable[StrEnum]) -> str:
    listed = ", ".join(f"'{v}'" for v in sorted(values))
    return f"{column} IN ({listed})"


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(_in(column, values), name=column)


def _id() -> Column[object]:
    return Column("id", Uuid, primary_key=True)


def _instant(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _version(name: str = "version", *, nullable: bool = False) -> Column[object]:
    """The version that the case had after the command that wrote this row. Each command increments it by one."""
    return Column(name, Integer, nullable=nullable)


def _case() -> Column[object]:
    return Column("case_id", Uuid, ForeignKey("cases.id"), nullable=False)


def _participant() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["case_id", "party_id"], ["participants.case_id", "participants.party_id"])


def _by() -> tuple[Column[object], CheckConstraint, Column[object]]:
    """The role and the subject of the token of the user who recorded the row."""
    return (Column("by_role", String, nullable=False), _one_of("by_role", Role), Column("by", String, nullable=False))


_PARTY_OR_STAFF = (
    "CASE WHEN by_role IN ('complainant', 'officer') THEN channel = 'portal' "
    f"ELSE by_role IN ('intake', 'coordinator', 'director') AND {_in('channel', STAFF_CHANNELS)} END"
)
"""The channel fits the role that recorded the row: the portal for a party, one of `STAFF_CHANNELS` for staff."""

PART_DISPOSITIONS = frozenset(
    {Disposition.IN_MEDIATION, Disposition.RETURNED_TO_INVESTIGATION, Disposition.CLOSED_MEDIATED}
)
"""The dispositions of a part. The other dispositions are those of complaints, which are computed from these."""

OPEN_STATES = text(_in("state", OPEN))
LIVE_SESSION = text(_in("state", {SessionState.SCHEDULED, SessionState.IN_PROGRESS}))
LENGTH = "upper(during) - lower(during)"
STREAM = text("coalesce(report_id, case_id, complaint_id, mediator_id)")
LIVE_ASSIGNMENT = text(_in("state", {AssignmentState.PROPOSED, AssignmentState.ACCEPTED}))

data_keys = Table(
    "data_keys",
    metadata,
    _id(),
    Column("key_id", String, nullable=False),
    Column("wrapped", String, nullable=False),
)
"""The data key of each complaint, mediator and import, wrapped; `id` is theirs (database/data_keys.py)."""

canaries = Table(
    "canaries",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
"""A value for each secret of the settings, by which a wrong one is detected (database/canaries.py)."""

complaints = Table(
    "complaints",
    metadata,
    _id(),
    Column("reference", String, nullable=False, unique=True),
    Column("channel", String, nullable=False),
    Column("narrative", Encrypted, nullable=False),
    Column("incident_on", Date),
    Column("incident_place", Encrypted),
    Column("precinct", String),
    Column("allegations", ARRAY(String), nullable=False),
    Column("interested_in_mediation", Boolean, nullable=False),
    Column("external_reference", String),
    # Intake's answers to the questions of screening; NULL is "not known yet".
    Column("crime_alleged", Boolean),
    Column("serious_injury", Boolean),
    Column("litigation_pending", Boolean),
    Column("pending_case_filed_on", Date),
    Column("officer_is_witness", Boolean),
    Column("rank_initiated", Boolean, nullable=False),
    _instant("filed_at"),
    *_by(),
    _one_of("channel", Channel),
    CheckConstraint(
        "(channel = 'portal') = (by_role = 'public') AND (channel = 'integration') = (by_role = 'integration') "
        "AND channel <> 'session'",
        name="own_channel",
    ),
    UniqueConstraint("by", "external_reference"),
    Index("ix_complaints_filed_at_id", "filed_at", "id"),
    Index("ix_complaints_by_filed_at_id", "by", "filed_at", "id"),
    Index("ix_complaints_precinct_filed_at_id", "precinct", "filed_at", "id"),
    Index("ix_complaints_number", text("split_part(reference, '-', 2)")),
)

parties = Table(
    "parties",
    metadata,
    _id(),
    Column("complaint_id", Uuid, ForeignKey("complaints.id"), nullable=False),
    Column("side", String, nullable=False),
    Column("name", Encrypted, nullable=False),
    Column("employee_number", EncryptedString),
    Column("employee_number_index", BlindIndex(of="employee_number")),
    Column("unit", String),
    Column("phone", Encrypted),
    Column("email", Encrypted),
    Column("email_allowed", Boolean, nullable=False),
    Column("postal_address", Encrypted),
    Column("safe_contact", Encrypted),
    Column("language", String, nullable=False),
    Column("interpreter_language", String),
    Column("accommodations", Encrypted),
    Column("minor", Boolean, nullable=False),
    Column("guardian_name", Encrypted),
    Column("guardian_relation", EncryptedString),
    Column("guardian_phone", Encrypted),
    Column("guardian_email", Encrypted),
    _instant("added_at"),
    # The subject of the officer's token with which the first answer was given; later tokens must have the same.
    Column("bound_subject", String),
    _instant("removed_at", nullable=True),
    Column("removal_reason", String),
    _one_of("side", Side),
    _one_of("removal_reason", RemovalReason),
    CheckConstraint("(removed_at IS NULL) = (removal_reason IS NULL)", name="removed"),
    CheckConstraint("side = 'officer' OR bound_subject IS NULL", name="bound_subject"),
    CheckConstraint("side = 'officer' OR (employee_number IS NULL AND unit IS NULL)", name="officer_fields"),
    CheckConstraint("side = 'complainant' OR NOT minor", name="minor_is_complainant"),
    # Partial: after the wrong person was removed, the right one may be added under the same number.
    Index(
        "uq_parties_complaint_id_employee_number_index",
        "complaint_id",
        "employee_number_index",
        unique=True,
        postgresql_where=text("removed_at IS NULL"),
    ),
    Index("ix_parties_employee_number_index", "employee_number_index"),
    Index("ix_parties_language", "language"),
    Index("ix_parties_interpreter_language", "interpreter_language"),
    UniqueConstraint("id", "employee_number_index"),
    postgresql_inherits="visible_parties",
)

visible_parties = Table(
    "visible_parties",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("side", String, nullable=False),
    Column("name", Encrypted, nullable=False),
)
"""What the active parties of a case may read about each other: the rows of `parties`, with fewer columns.

An inheritance parent without rows of its own. PostgreSQL applies to a query of the parent nothing but the parent's
grants and row policies (PostgreSQL manual, "Inheritance"), so a party may read all columns of its own row of `parties`,
and of the other parties' rows only these.
"""
parties.add_is_dependent_on(visible_parties)

access_codes = Table(
    "access_codes",
    metadata,
    Column("lookup", String, primary_key=True),
    Column("party_id", Uuid, ForeignKey("parties.id"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    _instant("issued_at"),
    # When the code was replaced, or the person was erased. Its tokens end with it. Nothing else ends a code.
    _instant("ended_at", nullable=True),
    Index("uq_access_codes_live", "party_id", unique=True, postgresql_where=text("ended_at IS NULL")),
)

cases = Table(
    "cases",
    metadata,
    _id(),
    Column("complaint_id", Uuid, ForeignKey("complaints.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("coordinator", String),
    Column("requested_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    _instant("opened_at"),
    _instant("closed_at", nullable=True),
    Column("agreement_reached", Boolean),
    Column("lapse_reason", String),
    Column("screening_outdated", Boolean, nullable=False),
    _version(),
    _version("closed_version", nullable=True),
    # Mediated when the day after the due date had begun somewhere on Earth, at UTC+14: missing the target implies it,
    # whatever the time zone of the office is, so that it can have an index, and the planner knows how rare it is.
    Column(
        "maybe_missed",
        Boolean,
        # In the words of the catalogue, with which the migration is compared.
        Computed(
            "state::text = 'mediated'::text AND closed_at >= timezone('UTC'::text, due_on + '10:00:00'::interval)",
            persisted=True,
        ),
    ),
    _one_of("state", State),
    _one_of("lapse_reason", LapseReason),
    CheckConstraint(f"({_in('state', OPEN)}) = (closed_at IS NULL)", name="closed_at"),
    CheckConstraint("(closed_at IS NULL) = (closed_version IS NULL)", name="closed_version"),
    CheckConstraint("closed_version <= version", name="version"),
    CheckConstraint("(state = 'mediated') = (agreement_reached IS NOT NULL)", name="agreement_reached"),
    CheckConstraint("due_on >= requested_on", name="due_on"),
    # The greatest value that MEDIATION_MAX_ATTEMPTS may have.
    CheckConstraint("attempt BETWEEN 1 AND 10", name="attempt"),
    UniqueConstraint("complaint_id", "attempt"),
    Index("uq_cases_open", "complaint_id", unique=True, postgresql_where=OPEN_STATES),
    # The dates last: a list that they filter is read in its order, and what they leave out only from the index.
    Index("ix_cases_opened_at_id_due_on_closed_at", "opened_at", "id", "due_on", "closed_at"),
    Index("ix_cases_due_on_id_closed_at", "due_on", "id", "closed_at"),
    Index("ix_cases_open_due_on_id", "due_on", "id", postgresql_where=text("closed_at IS NULL")),
    Index("ix_cases_state_due_on_id", "state", "due_on", "id"),
    Index("ix_cases_coordinator_due_on_id", "coordinator", "due_on", "id"),
    Index("ix_cases_closed_at", "closed_at"),
    Index("ix_cases_maybe_missed_due_on_id", "due_on", "id", postgresql_where=text("maybe_missed")),
)

participants = Table(
    "participants",
    metadata,
    Column("case_id", Uuid, ForeignKey("cases.id"), primary_key=True),
    Column("party_id", Uuid, ForeignKey("parties.id"), primary_key=True),
    Column("side", String, nullable=False),
    Column("standing", String, nullable=False),
    _instant("joined_at"),
    _instant("asked_at", nullable=True),
    _instant("left_at", nullable=True),
    _version("joined_version"),
    _version("left_version", nullable=True),
    _one_of("side", Side),
    _one_of("standing", Standing),
    CheckConstraint("standing NOT IN ('asked', 'agreed', 'declined') OR asked_at IS NOT NULL", name="asked_first"),
    CheckConstraint(
        "(standing IN ('declined', 'withdrawn', 'lapsed', 'removed')) = (left_at IS NOT NULL)", name="left_at"
    ),
    CheckConstraint("(left_at IS NULL) = (left_version IS NULL)", name="left_version"),
    CheckConstraint("left_version > joined_version", name="joined_first"),
    Index("ix_participants_party_id", "party_id"),
    postgresql_inherits="visible_participants",
)

visible_participants = Table(
    "visible_participants",
    metadata,
    Column("case_id", Uuid, nullable=False),
    Column("party_id", Uuid, nullable=False),
    Column("side", String, nullable=False),
    Column("standing", String, nullable=False),
    _instant("joined_at"),
)
"""What active parties may read about each other's participation, as `visible_parties` for `parties`."""
participants.add_is_dependent_on(visible_participants)

parts = Table(
    "parts",
    metadata,
    Column("case_id", Uuid, primary_key=True),
    Column("complainant_id", Uuid, primary_key=True),
    Column("officer_id", Uuid, primary_key=True),
    Column("disposition", String, nullable=False),
    Column("agreement_reached", Boolean),
    # One of the two was the wrong person: the part no longer counts, and parties do not see it.
    Column("removed", Boolean, nullable=False),
    *(
        ForeignKeyConstraint(["case_id", who], ["participants.case_id", "participants.party_id"])
        for who in ("complainant_id", "officer_id")
    ),
    CheckConstraint(_in("disposition", PART_DISPOSITIONS), name="disposition"),
    CheckConstraint("(disposition = 'closed_mediated') = (agreement_reached IS NOT NULL)", name="agreement_reached"),
    Index("ix_parts_complainant_id_officer_id", "complainant_id", "officer_id"),
    # Over all cases: a pair is mediated once, and is in one case at a time.
    Index(
        "uq_parts_mediated",
        "complainant_id",
        "officer_id",
        unique=True,
        postgresql_where=text("disposition = 'closed_mediated'"),
    ),
    Index(
        "uq_parts_open",
        "complainant_id",
        "officer_id",
        unique=True,
        postgresql_where=text("disposition = 'in_mediation'"),
    ),
)
"""One complainant and one officer in one case. Triggers check it against consents, signatures and attendances."""

screenings = Table(
    "screenings",
    metadata,
    _id(),
    _case(),
    Column("rules_version", String, nullable=False),
    Column("findings", JSONB, nullable=False),
    Column("outcome", String, nullable=False),
    Column("eligible", Boolean),
    Column("overridden", Boolean, nullable=False),
    Column("reason", Encrypted),
    _version(),
    _instant("at"),
    *_by(),
    _one_of("outcome", Outcome),
    CheckConstraint("NOT overridden OR (reason IS NOT NULL AND by_role = 'director')", name="override"),
    UniqueConstraint("case_id", "version"),
)

approvals = Table(
    "approvals",
    metadata,
    _id(),
    _case(),
    Column("approver", String, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("unit", String),
    Column("given_by", Encrypted),
    Column("given_on", Date),
    Column("channel", String),
    _version(),
    _instant("at"),
    *_by(),
    _one_of("approver", Approver),
    CheckConstraint(_in("channel", STAFF_CHANNELS), name="channel"),
    # A director approves with a token of their own. For any other approver staff record who approved, when and how;
    # retention replaces the name by an empty text, not by NULL.
    CheckConstraint("approver <> 'director' OR by_role = 'director'", name="director"),
    CheckConstraint(
        "num_nonnulls(given_by, given_on, channel) = CASE approver WHEN 'director' THEN 0 ELSE 3 END", name="given"
    ),
    UniqueConstraint("case_id", "version"),
)

disclosures = Table(
    "disclosures",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("language", String, nullable=False),
    Column("body", Text, nullable=False),
)

guardian_consents = Table(
    "guardian_consents",
    metadata,
    _id(),
    Column("case_id", Uuid, nullable=False),
    Column("party_id", Uuid, nullable=False),
    Column("disclosure_sha256", String, ForeignKey("disclosures.sha256"), nullable=False),
    Column("channel", String, nullable=False),
    _instant("at"),
    *_by(),
    _participant(),
    CheckConstraint(_in("channel", STAFF_CHANNELS), name="channel"),
    CheckConstraint(_in("by_role", {Role.INTAKE, Role.COORDINATOR, Role.DIRECTOR}), name="by_staff"),
    UniqueConstraint("id", "case_id", "party_id"),
    Index("ix_guardian_consents_case_id_party_id", "case_id", "party_id"),
)
"""Consents of minors' guardians, as recorded by staff. If the guardian changes, the new one consents in a new row.

A trigger on `consents` refuses a minor's consent without one.
"""

consents = Table(
    "consents",
    metadata,
    _id(),
    Column("case_id", Uuid, nullable=False),
    Column("party_id", Uuid, nullable=False),
    Column("decision", String, nullable=False),
    Column("disclosure_sha256", String, ForeignKey("disclosures.sha256"), nullable=False),
    Column("channel", String, nullable=False),
    Column("guardian_consent_id", Uuid),
    _version(),
    # The voided consent that this one replaces.
    Column("replaces", Uuid),
    _instant("at"),
    *_by(),
    _participant(),
    ForeignKeyConstraint(
        ["guardian_consent_id", "case_id", "party_id"],
        ["guardian_consents.id", "guardian_consents.case_id", "guardian_consents.party_id"],
    ),
    _one_of("decision", Decision),
    _one_of("channel", Channel),
    CheckConstraint(_PARTY_OR_STAFF, name="own_channel"),
    CheckConstraint("decision = 'agreed' OR guardian_consent_id IS NULL", name="guardian"),
    UniqueConstraint("id", "case_id", "party_id"),
    # A party answers once, and once more after each answer that was voided: at most one answer is in force.
    UniqueConstraint("case_id", "party_id", "replaces", postgresql_nulls_not_distinct=True),
    ForeignKeyConstraint(
        ["replaces", "case_id", "party_id"],
        ["voided_consents.consent_id", "voided_consents.case_id", "voided_consents.party_id"],
        name="fk_consents_replaces",
        use_alter=True,
    ),
)

voided_consents = Table(
    "voided_consents",
    metadata,
    Column("consent_id", Uuid, primary_key=True),
    Column("case_id", Uuid, nullable=False),
    Column("party_id", Uuid, nullable=False),
    Column("reason", String, nullable=False),
    _instant("at"),
    *_by(),
    ForeignKeyConstraint(
        ["consent_id", "case_id", "party_id"],
        ["consents.id", "consents.case_id", "consents.party_id"],
        name="fk_voided_consents_consent",
    ),
    _one_of("reason", VoidReason),
    UniqueConstraint("consent_id", "case_id", "party_id"),
)
"""Consents that are no longer in force, because something that they depended on has changed."""

withdrawals = Table(
    "withdrawals",
    metadata,
    _id(),
    Column("case_id", Uuid, nullable=False),
    Column("party_id", Uuid, nullable=False),
    Column("channel", String, nullable=False),
    _instant("at"),
    *_by(),
    _participant(),
    _one_of("channel", Channel),
    CheckConstraint(
        f"CASE by_role WHEN 'mediator' THEN channel = 'session' ELSE {_PARTY_OR_STAFF} END", name="own_channel"
    ),
    UniqueConstraint("case_id", "party_id"),
)

mediators = Table(
    "mediators",
    metadata,
    _id(),
    Column("name", Encrypted, nullable=False),
    Column("subject", String, nullable=False, unique=True),
    # Set for a mediator who is also an officer, who must not mediate a complaint that they are a party of.
    Column("employee_number", EncryptedString),
    Column("employee_number_index", BlindIndex(of="employee_number"), unique=True),
    Column("email", Encrypted),
    Column("email_allowed", Boolean, nullable=False),
    Column("phone", Encrypted),
    Column("languages", ARRAY(String), nullable=False),
    Column("active", Boolean, nullable=False),
    _instant("added_at"),
    Index("ix_mediators_added_at_id", "added_at", "id"),
)

staff_names = Table(
    "staff_names",
    metadata,
    _id(),
    Column("subject", String, nullable=False),
    Column("name", Encrypted, nullable=False),
    # The keyed hash of the name, by which an unchanged one is known.
    Column("fingerprint", String, nullable=False),
    _instant("named_at"),
    Index("ix_staff_names_subject_named_at", "subject", "named_at"),
)

assignments = Table(
    "assignments",
    metadata,
    _id(),
    _case(),
    Column("mediator_id", Uuid, ForeignKey("mediators.id"), nullable=False),
    Column("state", String, nullable=False),
    Column("answer_due_on", Date, nullable=False),
    Column("conflicts", ARRAY(String), nullable=False),
    _instant("proposed_at"),
    _instant("answered_at", nullable=True),
    _instant("notes_destroyed_at", nullable=True),
    _one_of("state", AssignmentState),
    CheckConstraint("state <> 'accepted' OR conflicts = '{}'", name="no_conflict"),
    CheckConstraint("(state = 'proposed') = (answered_at IS NULL)", name="answered_at"),
    CheckConstraint("state IN ('accepted', 'recused') OR notes_destroyed_at IS NULL", name="had_notes"),
    Index("uq_assignments_live", "case_id", unique=True, postgresql_where=LIVE_ASSIGNMENT),
    Index("ix_assignments_case_id", "case_id"),
    Index("ix_assignments_mediator_id", "mediator_id"),
    Index("ix_assignments_proposed_at_id", "proposed_at", "id"),
)

attendees = Table(
    "attendees",
    metadata,
    _id(),
    _case(),
    Column("role", String, nullable=False),
    Column("name", Encrypted, nullable=False),
    Column("language", String),
    Column("for_party_id", Uuid),
    _instant("added_at"),
    _instant("confirmed_at", nullable=True),
    ForeignKeyConstraint(["case_id", "for_party_id"], ["participants.case_id", "participants.party_id"]),
    _one_of("role", AttendeeRole),
    CheckConstraint("role <> 'interpreter' OR language IS NOT NULL", name="interpreter_language"),
    Index("ix_attendees_case_id", "case_id"),
)

sessions = Table(
    "sessions",
    metadata,
    _id(),
    _case(),
    Column("mediator_id", Uuid, ForeignKey("mediators.id"), nullable=False),
    Column("state", String, nullable=False),
    Column("during", TSTZRANGE, nullable=False),
    Column("mode", String, nullable=False),
    Column("place", Encrypted),
    Column("link", Encrypted),
    Column("off_hours_reason", String),
    Column("end_reason", String),
    # The confidentiality agreement that everybody present had signed when the session started.
    Column("agreement_id", Uuid, ForeignKey("agreements.id")),
    _instant("scheduled_at"),
    _instant("started_at", nullable=True),
    _instant("finished_at", nullable=True),
    # How often it was moved or called off, for calendars.
    Column("revision", Integer, nullable=False),
    _one_of("state", SessionState),
    _one_of("mode", Mode),
    _one_of("end_reason", EndReason),
    _one_of("off_hours_reason", OffHoursReason),
    CheckConstraint("(state = 'ended') = (end_reason IS NOT NULL)", name="ended_has_reason"),
    CheckConstraint("(started_at IS NULL) = (agreement_id IS NULL)", name="started_under"),
    CheckConstraint(f"{LENGTH} >= interval '15 minutes' AND {LENGTH} <= interval '8 hours'", name="length"),
    # Retention empties both after the close, so only a session that is not over needs one.
    CheckConstraint(
        f"NOT ({LIVE_SESSION.text}) OR CASE mode WHEN 'video' THEN link IS NOT NULL ELSE place IS NOT NULL END",
        name="where",
    ),
    # The greatest value that MEDIATION_SESSION_EARLY_START_MINUTES may have.
    CheckConstraint("started_at >= lower(during) - interval '4 hours'", name="started_at"),
    CheckConstraint("revision >= 0", name="revision"),
    ExcludeConstraint(("mediator_id", "="), ("during", "&&"), name="mediator_taken", where=LIVE_SESSION, using="gist"),
    Index("uq_sessions_live", "case_id", unique=True, postgresql_where=LIVE_SESSION),
    Index("ix_sessions_case_id", "case_id"),
    Index("ix_sessions_starts_at_id", text("lower(during)"), "id"),
)

calendar_feeds = Table(
    "calendar_feeds",
    metadata,
    Column("role", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("token_digest", LargeBinary, nullable=False),
    _instant("made_at"),
    _instant("expires_at"),
    CheckConstraint("role IN ('coordinator', 'mediator')", name="role"),
    CheckConstraint("length(token_digest) = 32", name="token_digest"),
    CheckConstraint("expires_at > made_at", name="expires_at"),
    UniqueConstraint("token_digest"),
)
"""The secret address at which a person's calendar program reads the person's sessions (domain/calendar_feeds.py)."""

session_officers = Table(
    "session_officers",
    metadata,
    Column("session_id", Uuid, ForeignKey("sessions.id"), primary_key=True),
    Column("party_id", Uuid, ForeignKey("parties.id"), primary_key=True),
    # NULL for an officer without a number on file: a double booking cannot be detected.
    Column("employee_number_index", String),
    Column("during", TSTZRANGE, nullable=False),
    Column("live", Boolean, nullable=False),
    # The party's own index: it changes when the search secret is replaced, and is emptied by retention.
    ForeignKeyConstraint(
        ["party_id", "employee_number_index"], ["parties.id", "parties.employee_number_index"], onupdate="CASCADE"
    ),
    ExcludeConstraint(
        ("employee_number_index", "="), ("during", "&&"), name="officer_taken", where=text("live"), using="gist"
    ),
    Index("ix_session_officers_party_id", "party_id"),
)
"""The officers of each session, so that none is booked twice. `live` while it is scheduled or in progress."""

attendances = Table(
    "attendances",
    metadata,
    Column("session_id", Uuid, ForeignKey("sessions.id"), primary_key=True),
    Column("seat_role", String, primary_key=True),
    Column("seat_id", Uuid, primary_key=True),
    Column("present", Boolean, nullable=False),
    _one_of("seat_role", SeatRole),
)

absences = Table(
    "absences",
    metadata,
    _id(),
    Column("session_id", Uuid, ForeignKey("sessions.id"), nullable=False),
    Column("case_id", Uuid, nullable=False),
    Column("party_id", Uuid, nullable=False),
    Column("excused", Boolean, nullable=False),
    _instant("at"),
    *_by(),
    _participant(),
    UniqueConstraint("session_id", "party_id"),
    Index("ix_absences_case_id_party_id", "case_id", "party_id"),
)

contact_attempts = Table(
    "contact_attempts",
    metadata,
    _id(),
    Column("case_id", Uuid, nullable=False),
    Column("party_id", Uuid, nullable=False),
    Column("channel", String, nullable=False),
    Column("result", String, nullable=False),
    _instant("attempted_at"),
    _instant("at"),
    *_by(),
    _participant(),
    _one_of("channel", ContactChannel),
    _one_of("result", ContactResult),
    CheckConstraint("attempted_at <= at", name="attempted_at"),
    Index("ix_contact_attempts_case_id_party_id", "case_id", "party_id"),
)

agreements = Table(
    "agreements",
    metadata,
    _id(),
    _case(),
    Column("kind", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("template_version", String),
    Column("languages", ARRAY(String), nullable=False),
    Column("text", Encrypted),
    Column("sha256", String, nullable=False),
    Column("terms_confidential", Boolean, nullable=False),
    _instant("made_at"),
    _instant("superseded_at", nullable=True),
    _instant("purged_at", nullable=True),
    _version(),
    _version("superseded_version", nullable=True),
    _one_of("kind", AgreementKind),
    CheckConstraint("(text IS NULL) = (purged_at IS NOT NULL)", name="purged_at"),
    # A confidentiality agreement is the city's own text, and is kept.
    CheckConstraint("kind = 'resolution' OR purged_at IS NULL", name="purged_kind"),
    CheckConstraint("(superseded_at IS NULL) = (superseded_version IS NULL)", name="superseded_version"),
    CheckConstraint("superseded_version > version", name="superseded_later"),
    UniqueConstraint("case_id", "kind", "number"),
    UniqueConstraint("id", "sha256", "case_id"),
    Index("uq_agreements_current", "case_id", "kind", unique=True, postgresql_where=text("superseded_at IS NULL")),
)

signatures = Table(
    "signatures",
    metadata,
    _id(),
    _case(),
    Column("agreement_id", Uuid, nullable=False),
    Column("sha256", String, nullable=False),
    Column("signer_role", String, nullable=False),
    Column("signer_id", Uuid, nullable=False),
    # The name at the time of the signature, whatever is corrected later.
    Column("signer_name", Encrypted, nullable=False),
    Column("method", String, nullable=False),
    _instant("at"),
    *_by(),
    # A signature is bound to one exact text: the agreement and its hash.
    ForeignKeyConstraint(
        ["agreement_id", "sha256", "case_id"], ["agreements.id", "agreements.sha256", "agreements.case_id"]
    ),
    _one_of("signer_role", SeatRole),
    _one_of("method", Method),
    UniqueConstraint("agreement_id", "signer_role", "signer_id"),
)

pauses = Table(
    "pauses",
    metadata,
    _id(),
    _case(),
    Column("reason", String, nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=False),
    _instant("at"),
    *_by(),
    _one_of("reason", PauseReason),
    CheckConstraint("ends_on >= starts_on", name="ends_on"),
    Index("ix_pauses_case_id", "case_id"),
)

legal_holds = Table(
    "legal_holds",
    metadata,
    _id(),
    Column("complaint_id", Uuid, ForeignKey("complaints.id"), nullable=False),
    Column("reason", String, nullable=False),
    _instant("placed_at"),
    Column("placed_by", String, nullable=False),
    _instant("lifted_at", nullable=True),
    Column("lifted_by", String),
    _one_of("reason", HoldReason),
    CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="lifted"),
    Index("ix_legal_holds_complaint_id", "complaint_id"),
)

erasures = Table(
    "erasures",
    metadata,
    _id(),
    Column("party_id", Uuid, ForeignKey("parties.id"), nullable=False),
    Column("state", String, nullable=False),
    _instant("requested_at"),
    Column("requested_by", String, nullable=False),
    _instant("decided_at", nullable=True),
    Column("decided_by", String),
    Column("refusal", String),
    _one_of("state", ErasureState),
    _one_of("refusal", ErasureRefusal),
    CheckConstraint(
        "num_nonnulls(decided_at, decided_by) = CASE state WHEN 'requested' THEN 0 ELSE 2 END", name="decided"
    ),
    CheckConstraint("(state = 'refused') = (refusal IS NOT NULL)", name="refused"),
    CheckConstraint("state <> 'approved' OR decided_by <> requested_by", name="two_people"),
    Index("uq_erasures_requested", "party_id", unique=True, postgresql_where=text("state = 'requested'")),
    Index("ix_erasures_party_id", "party_id"),
)

mandatory_reports = Table(
    "mandatory_reports",
    metadata,
    _id(),
    _case(),
    Column("category", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("agency", Encrypted, nullable=False),
    Column("legal_basis", Encrypted, nullable=False),
    _instant("disclosed_at"),
    Column("state", String, nullable=False),
    _instant("proposed_at"),
    Column("proposed_by_role", String, nullable=False),
    Column("proposed_by", String, nullable=False),
    # When and by whom the report was filed or dropped.
    _instant("decided_at", nullable=True),
    Column("decided_by_role", String),
    Column("decided_by", String),
    Column("drop_reason", String),
    _one_of("category", ReportCategory),
    _one_of("recipient", Recipient),
    _one_of("state", ReportState),
    _one_of("drop_reason", DropReason),
    CheckConstraint(_in("proposed_by_role", {Role.DIRECTOR, Role.MEDIATOR}), name="proposed_by_role"),
    CheckConstraint(_in("decided_by_role", {Role.DIRECTOR, Role.MEDIATOR}), name="decided_by_role"),
    CheckConstraint(
        "num_nonnulls(decided_at, decided_by_role, decided_by) = CASE state WHEN 'proposed' THEN 0 ELSE 3 END",
        name="decided",
    ),
    CheckConstraint("(state = 'dropped') = (drop_reason IS NOT NULL)", name="dropped"),
    CheckConstraint(
        "state <> 'filed' OR (decided_by <> proposed_by AND decided_by_role = 'director')", name="two_people"
    ),
    Index("ix_mandatory_reports_case_id", "case_id"),
)
"""Referenced only by its own events and access log entries. `mediation_party` has no privilege on it."""

events = Table(
    "events",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("complaint_id", Uuid, ForeignKey("complaints.id")),
    Column("case_id", Uuid, ForeignKey("cases.id")),
    Column("mediator_id", Uuid, ForeignKey("mediators.id")),
    Column("report_id", Uuid, ForeignKey("mandatory_reports.id")),
    Column("party_id", Uuid, ForeignKey("parties.id")),
    Column("data", JSONB, nullable=False),
    _version(nullable=True),
    _instant("at"),
    *_by(),
    # The place in the audit chain of its stream (domain/audit_chain.py). A trigger sets both.
    Column("sequence", BigInteger, nullable=False),
    Column("link", LargeBinary, nullable=False),
    CheckConstraint("(case_id IS NULL) = (version IS NULL)", name="version"),
    # An event of a report must not name a case or party: it would appear in their timelines.
    CheckConstraint(
        "CASE WHEN report_id IS NULL THEN num_nonnulls(complaint_id, case_id, mediator_id) >= 1 "
        "ELSE num_nonnulls(complaint_id, case_id, mediator_id, party_id) = 0 END",
        name="subject",
    ),
    Index("ix_events_case_id_position", "case_id", "position"),
    Index("ix_events_complaint_id_position", "complaint_id", "position"),
    Index("uq_events_place", STREAM, "sequence", unique=True),
)

audit_chain_heads = Table(
    "audit_chain_heads",
    metadata,
    Column("stream", Uuid, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("link", LargeBinary, nullable=False),
    CheckConstraint("octet_length(link) = 32", name="link"),
)
"""The last event of each stream. A trigger advances a head by one event, and refuses every other change."""

unnumbered_events = Table(
    "unnumbered_events",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", Uuid, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)
"""The queue of the change feed: events that are committed, or about to be. A trigger on `events` fills it."""

change_feed = Table(
    "change_feed",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("stream", Uuid, nullable=False),
    Column("for_office", Boolean, nullable=False),
    # The subject of the integration that filed the complaint, if it is shown the event, and the event's place among
    # those of the stream that it is shown: the place among all would count those that it is not shown.
    Column("integration", String),
    Column("sequence", BigInteger),
    CheckConstraint("for_office OR integration IS NOT NULL", name="reader"),
    CheckConstraint("(integration IS NULL) = (sequence IS NULL)", name="sequence"),
    Index("uq_change_feed_office", "position", unique=True, postgresql_where=text("for_office")),
    Index("uq_change_feed_integration", "position", unique=True, postgresql_where=text("integration IS NOT NULL")),
    Index(
        "ix_change_feed_integration_number",
        "integration",
        "number",
        postgresql_where=text("integration IS NOT NULL"),
    ),
    Index(
        "uq_change_feed_sequence", "stream", "sequence", unique=True, postgresql_where=text("integration IS NOT NULL")
    ),
)
"""The events in the order in which they were committed, with dense numbers. `number_events` alone appends to it."""

mails = Table(
    "mails",
    metadata,
    _id(),
    Column("kind", String, nullable=False),
    _case(),
    Column("party_id", Uuid),
    Column("mediator_id", Uuid, ForeignKey("mediators.id")),
    # The case, the session, the assignment or the text that the mail is about (domain/mails.py).
    Column("about_id", Uuid, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    # The code of the mail server's last answer.
    Column("smtp_code", Integer),
    _instant("queued_at"),
    # When it is sent, or tried again.
    _instant("due_at", nullable=True),
    # While a process sends it. If that process dies, another one sends the mail after this time.
    _instant("claimed_until", nullable=True),
    _instant("finished_at", nullable=True),
    _participant(),
    _one_of("kind", MailKind),
    _one_of("state", MailState),
    CheckConstraint("num_nonnulls(party_id, mediator_id) = 1", name="recipient"),
    CheckConstraint(
        "(state = 'queued') = (due_at IS NOT NULL) AND (state = 'queued') = (finished_at IS NULL)", name="queued"
    ),
    CheckConstraint("state = 'queued' OR claimed_until IS NULL", name="claimed"),
    CheckConstraint("attempts >= 0", name="attempts"),
    CheckConstraint("smtp_code BETWEEN 200 AND 599", name="smtp_code"),
    Index("ix_mails_case_id_queued_at_id", "case_id", "queued_at", "id"),
    Index("ix_mails_due_at", "due_at", postgresql_where=text("state = 'queued'")),
    Index("ix_mails_queued_at", "queued_at"),
)
"""Mails, without address and text: both are put together when a mail is sent."""

mail_cursor = Table(
    "mail_cursor",
    metadata,
    Column("single", Boolean, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""The last entry of the change feed for which mails were queued: one row, or none if mail was never on."""

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    _id(),
    # The subject of its tokens, as in `change_feed`.
    Column("integration", String, nullable=False),
    Column("kinds", ARRAY(String), nullable=False),
    # Its path or query may be a secret of the receiver. Empty once it is removed, and so are the secrets.
    Column("url", Encrypted, nullable=False),
    Column("secret", Encrypted, nullable=False),
    Column("former_secret", Encrypted),
    _instant("former_secret_until", nullable=True),
    Column("state", String, nullable=False),
    _instant("registered_at"),
    _instant("expires_at"),
    # While it fails: how often in a row, and when it is tried again.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    _instant("next_attempt_at"),
    # The worker that delivers to it, and until when: no other one does meanwhile.
    Column("lease", Uuid),
    _instant("leased_until", nullable=True),
    _one_of("state", EndpointState),
    CheckConstraint("cardinality(kinds) >= 1", name="kinds"),
    CheckConstraint("failures >= 0", name="failures"),
    CheckConstraint("(former_secret IS NULL) = (former_secret_until IS NULL)", name="former_secret_until"),
    CheckConstraint("(lease IS NULL) = (leased_until IS NULL)", name="leased_until"),
    CheckConstraint("state <> 'removed' OR (url = '' AND secret = '' AND former_secret IS NULL)", name="removed"),
    Index("ix_webhook_endpoints_integration", "integration"),
    Index("ix_webhook_endpoints_registered_at_id", "registered_at", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    _id(),
    Column("endpoint_id", Uuid, ForeignKey("webhook_endpoints.id"), nullable=False),
    # The entry of the change feed; without one, it is a ping.
    Column("number", BigInteger, ForeignKey("change_feed.number")),
    Column("stream", Uuid, nullable=False),
    Column("state", String, nullable=False),
    _instant("queued_at"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _instant("first_attempt_at", nullable=True),
    _instant("last_attempt_at", nullable=True),
    # NULL if the receiver gave no answer.
    Column("last_status", Integer),
    _instant("next_attempt_at"),
    _one_of("state", DeliveryState),
    CheckConstraint(
        "num_nonnulls(first_attempt_at, last_attempt_at) = CASE attempts WHEN 0 THEN 0 ELSE 2 END", name="attempts"
    ),
    CheckConstraint("state = 'waiting' OR attempts > 0", name="attempted"),
    Index("uq_webhook_deliveries_number", "endpoint_id", "number", unique=True),
    Index("ix_webhook_deliveries_queued_at_id", "endpoint_id", "queued_at", "id"),
    Index(
        "ix_webhook_deliveries_stream", "endpoint_id", "stream", "number", postgresql_where=text("state = 'waiting'")
    ),
    Index("ix_webhook_deliveries_due", "endpoint_id", "next_attempt_at", postgresql_where=text("state = 'waiting'")),
)
"""What is sent to an endpoint: one row for each entry of the change feed (`number_events`), or a ping."""

access_log = Table(
    "access_log",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    _instant("at"),
    Column("operation", String, nullable=False),
    Column("purpose", String, nullable=False),
    # No foreign keys: each would lock the row that is only being read. The statement that inserts an entry selects the
    # row, so that it exists.
    Column("complaint_id", Uuid),
    Column("case_id", Uuid),
    Column("party_id", Uuid),
    Column("listed", ARRAY(Uuid)),
    # The attempt and the version of the complaint's latest case when it was read; 0 and 0 if there was none.
    Column("attempt", Integer),
    _version(nullable=True),
    Column("report_id", Uuid),
    *_by(),
    _one_of("purpose", Purpose),
    # An entry of a report must not name a case or party: it would appear in their access logs.
    CheckConstraint(
        "num_nonnulls(complaint_id, listed, report_id) = 1 "
        "AND (report_id IS NULL OR num_nonnulls(case_id, party_id) = 0)",
        name="subject",
    ),
    CheckConstraint("num_nonnulls(attempt, version) = CASE WHEN complaint_id IS NULL THEN 0 ELSE 2 END", name="seen"),
    Index("ix_access_log_complaint_id_position", "complaint_id", "position"),
    # Not BRIN: new entries also fill what is left of old pages, after which each range of pages ends today.
    Index("ix_access_log_at", "at"),
    Index("ix_access_log_listed", "listed", postgresql_using="gin"),
    Index("ix_access_log_report_id_position", "report_id", "position", postgresql_where=text("report_id IS NOT NULL")),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", String, primary_key=True),
    Column("operation", String, primary_key=True),
    Column("key_sha256", String, primary_key=True),
    Column("request_sha256", String, nullable=False),
    Column("status", Integer),
    Column("location", String),
    Column("body", LargeBinary),
    Column("subjects", ARRAY(Uuid), nullable=False, server_default=text("'{}'")),
    _instant("at"),
    # A caller without a token is identified by a hash of its key and its request; `public` would be all such callers.
    CheckConstraint("NOT starts_with(caller, 'public:') OR length(caller) = 71", name="anonymous"),
    CheckConstraint("(status IS NULL) = (body IS NULL)", name="answered"),
    Index("ix_idempotency_keys_at", "at"),
    Index("ix_idempotency_keys_subjects", "subjects", postgresql_using="gin"),
)

imports = Table(
    "imports",
    metadata,
    _id(),
    Column("by", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    _instant("uploaded_at"),
    Column("lines", Integer),
    Column("done", Integer, nullable=False, server_default=text("0")),
    Column("filed", Integer, nullable=False, server_default=text("0")),
    Column("refused", Integer, nullable=False, server_default=text("0")),
    Column("already_there", Integer, nullable=False, server_default=text("0")),
    _instant("ended_at", nullable=True),
    _one_of("state", ImportState),
    CheckConstraint("filed >= 0 AND refused >= 0 AND already_there >= 0", name="counts"),
    CheckConstraint("filed + refused + already_there <= lines", name="lines"),
    CheckConstraint("(ended_at IS NULL) = (state = 'running')", name="ended"),
    Index("ix_imports_uploaded_at", "uploaded_at"),
)
"""The uploads of many complaints, by the subject of the integration's token (`by`) and the id of its request.

`lines` is null until all of them have arrived, and nobody is shown the import before. `done` is the last line that was
done.
"""

import_batches = Table(
    "import_batches",
    metadata,
    _id(),
    Column("import_id", Uuid, ForeignKey("imports.id", ondelete="CASCADE"), nullable=False),
    Column("first_line", Integer, nullable=False),
    Column("lines", Encrypted, nullable=False),
    UniqueConstraint("import_id", "first_line"),
)
"""The lines of an import that are not done yet, in batches. A batch is deleted by the transaction that files it."""

import_refusals = Table(
    "import_refusals",
    metadata,
    Column("import_id", Uuid, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("problem", JSONB, nullable=False),
)
"""The lines that were refused, and why: codes and constant sentences, nothing that was sent."""

attempt_counters = Table(
    "attempt_counters",
    metadata,
    Column("what", String, primary_key=True),
    Column("who", String, primary_key=True),
    _instant("hour"),
    Column("number", Integer, nullable=False),
    _one_of("what", AttemptKind),
    CheckConstraint("number >= 1", name="number"),
    Index("ix_attempt_counters_hour", "hour"),
)

job_runs = Table(
    "job_runs",
    metadata,
    Column("job", String, primary_key=True),
    _instant("succeeded_at"),
    _one_of("job", Job),
)
"""When each scheduled command and each task of the worker last succeeded (database/job_runs.py)."""

for _table in metadata.tables.values():
    # An inheritance parent has no rows. Retention empties texts, except those of agreements, which become NULL.
    _texts = [column.name for column in _table.c if isinstance(column.type, Encrypted) and _table.primary_key.columns]
    _empty = "" if _table is agreements else "{0} = '' OR "
    if _texts:
        _rules = (f"({_empty}starts_with({{0}}, '{MARK}'))".format(each) for each in _texts)
        _table.append_constraint(CheckConstraint(" AND ".join(_rules), name="encrypted"))

APPEND_ONLY = (
    events,
    consents,
    guardian_consents,
    voided_consents,
    withdrawals,
    signatures,
    screenings,
    approvals,
    absences,
    contact_attempts,
    disclosures,
    pauses,
)
"""Tables whose rows are never updated or deleted; a correction is a new event."""
