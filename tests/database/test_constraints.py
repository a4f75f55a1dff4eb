"""What the tables refuse, whatever the code above them believes: each constraint, and the row it is there to refuse."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import CheckConstraint, UniqueConstraint, insert, select, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint, Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.conftest import RolledBackDatabase, rolled_back

from mediation_api.database.encryption import MARK, Ciphertext, Encrypted
from mediation_api.database.key_rotation import ENCRYPTED_COLUMNS
from mediation_api.database.tables import APPEND_ONLY, metadata
from mediation_api.repository.recording import constraint_of

Row = dict[str, object]

NOW: Final = datetime(2026, 3, 2, 20, tzinfo=UTC)
TODAY: Final = date(2026, 3, 2)
COMPLAINT, CASE, MEDIATOR, SESSION, AGREEMENT = (UUID(int=n) for n in range(1, 6))
REPORT, GUARDIAN, IMPORT, ENDPOINT = UUID(int=6), UUID(int=7), UUID(int=8), UUID(int=9)
ROSA, DALE, LATE, OTHER, KIM, LEE, AGAIN = (UUID(int=n) for n in range(11, 18))
SHA: Final = "a" * 64
BY: Final = {"by_role": "intake", "by": "intake.1"}
OF_CASE: Final = {"case_id": CASE, "at": NOW, **BY}
MEDIATED: Final[dict[str, object]] = {"disposition": "closed_mediated", "agreement_reached": False}
SLOT: Final = Range(NOW, NOW + timedelta(hours=2))
NUMBER: Final = (
    select(metadata.tables["parties"].c.employee_number_index)
    .where(metadata.tables["parties"].c.id == DALE)
    .scalar_subquery()
)
"""The hash of the officer's number, as it stands in the officer's row."""

ROWS: Final[dict[str, Row]] = {
    "complaints": {
        "id": COMPLAINT,
        "reference": "2026-000001",
        "channel": "phone",
        "narrative": "What happened.",
        "allegations": ["discourtesy"],
        "interested_in_mediation": True,
        "external_reference": "X-1",
        "rank_initiated": False,
        "filed_at": NOW,
        **BY,
    },
    "disclosures": {"sha256": SHA, "version": "1", "language": "en", "body": "It is voluntary."},
    "attempt_counters": {"what": "code", "who": "w", "hour": NOW, "number": 1},
    "canaries": {"name": "search_secret", "value": SHA},
    "job_runs": {"job": "retention", "succeeded_at": NOW},
    "unnumbered_events": {"position": 1000, "stream": OTHER, "sequence": 1},
    "change_feed": {
        "number": 1,
        "position": 1,
        "stream": OTHER,
        "for_office": True,
        "integration": "intake-system",
        "sequence": 1,
    },
    "mails": {
        "id": OTHER,
        "kind": "offered",
        "case_id": CASE,
        "party_id": ROSA,
        "about_id": CASE,
        "state": "queued",
        "attempts": 0,
        "queued_at": NOW,
        "due_at": NOW,
    },
    "mail_cursor": {"single": True, "number": 1},
    "webhook_endpoints": {
        "id": ENDPOINT,
        "integration": "intake-system",
        "kinds": ["case.closed"],
        "url": "https://intake.city.example/hooks",
        "secret": "whsec_x",
        "former_secret": "whsec_y",
        "former_secret_until": NOW,
        "state": "active",
        "registered_at": NOW,
        "expires_at": NOW,
        "next_attempt_at": NOW,
    },
    "webhook_deliveries": {
        "id": OTHER,
        "endpoint_id": ENDPOINT,
        "number": 1,
        "stream": OTHER,
        "state": "waiting",
        "queued_at": NOW,
        "next_attempt_at": NOW,
    },
    "idempotency_keys": {"caller": "c", "operation": "o", "key_sha256": SHA, "request_sha256": SHA, "at": NOW},
    "imports": {
        "id": IMPORT,
        "by": "intake-system",
        "request_id": "r",
        "state": "running",
        "dry_run": False,
        "uploaded_at": NOW,
        "lines": 2,
        "done": 1,
        "filed": 1,
        "refused": 0,
        "already_there": 0,
    },
    "import_batches": {"id": IMPORT, "import_id": IMPORT, "first_line": 2, "lines": "{}"},
    "import_refusals": {"import_id": IMPORT, "line": 1, "problem": {}},
    "mediators": {
        "id": MEDIATOR,
        "name": "Amara Okafor",
        "subject": "m.okafor",
        "employee_number_index": "5711",
        "email_allowed": False,
        "languages": ["en"],
        "active": True,
        "added_at": NOW,
    },
    "staff_names": {"id": MEDIATOR, "subject": "a.morgan", "name": "Ana Morgan", "fingerprint": SHA, "named_at": NOW},
    "cases": {
        "id": CASE,
        "complaint_id": COMPLAINT,
        "attempt": 1,
        "state": "screening",
        "requested_on": TODAY,
        "due_on": TODAY,
        "opened_at": NOW,
        "screening_outdated": False,
        "version": 9,
    },
    "parties": {
        "id": ROSA,
        "complaint_id": COMPLAINT,
        "side": "complainant",
        "name": "Rosa Alvarez",
        "email_allowed": False,
        "language": "en",
        "minor": False,
        "added_at": NOW,
    },
    "data_keys": {"id": COMPLAINT, "key_id": "1", "wrapped": "c2VhbGVk"},
    "access_codes": {"lookup": "one", "party_id": ROSA, "digest": b"1", "issued_at": NOW},
    "agreements": {
        "id": AGREEMENT,
        "case_id": CASE,
        "kind": "confidentiality",
        "number": 1,
        "languages": ["en"],
        "text": "We agree.",
        "sha256": SHA,
        "terms_confidential": False,
        "made_at": NOW,
        "version": 2,
    },
    "approvals": {
        "id": OTHER,
        "approver": "internal_affairs",
        "approved": True,
        "given_by": "Capt. Jo Reyes",
        "given_on": TODAY,
        "channel": "email",
        "version": 2,
        **OF_CASE,
    },
    "assignments": {
        "id": OTHER,
        "case_id": CASE,
        "mediator_id": MEDIATOR,
        "state": "proposed",
        "answer_due_on": TODAY,
        "conflicts": [],
        "proposed_at": NOW,
    },
    "audit_chain_heads": {"stream": OTHER, "sequence": 1, "link": b"1" * 32},
    "events": {"id": OTHER, "kind": "case.opened", "data": {}, "version": 1, **OF_CASE},
    "erasures": {
        "id": OTHER,
        "party_id": ROSA,
        "state": "requested",
        "requested_at": NOW,
        "requested_by": "intake.1",
    },
    "legal_holds": {
        "id": OTHER,
        "complaint_id": COMPLAINT,
        "reason": "litigation",
        "placed_at": NOW,
        "placed_by": "director.1",
    },
    "mandatory_reports": {
        "id": REPORT,
        "case_id": CASE,
        "category": "child_abuse",
        "recipient": "child_protection",
        "agency": "County child welfare",
        "legal_basis": "ORS 419B.010",
        "disclosed_at": NOW,
        "state": "proposed",
        "proposed_at": NOW,
        "proposed_by_role": "mediator",
        "proposed_by": "m.okafor",
    },
    "participants": {
        "case_id": CASE,
        "party_id": ROSA,
        "side": "complainant",
        "standing": "waiting",
        "joined_at": NOW,
        "joined_version": 1,
    },
    "parts": {
        "case_id": CASE,
        "complainant_id": ROSA,
        "officer_id": DALE,
        "disposition": "in_mediation",
        "removed": False,
    },
    "pauses": {"id": OTHER, "reason": "leave", "starts_on": TODAY, "ends_on": TODAY, **OF_CASE},
    "access_log": {
        "at": NOW,
        "operation": "getCase",
        "purpose": "casework",
        "complaint_id": COMPLAINT,
        "case_id": CASE,
        "attempt": 1,
        "version": 9,
        **BY,
    },
    "screenings": {
        "id": OTHER,
        "rules_version": "1",
        "findings": [],
        "outcome": "pass",
        "eligible": True,
        "overridden": False,
        "version": 2,
        **OF_CASE,
    },
    "sessions": {
        "id": SESSION,
        "case_id": CASE,
        "mediator_id": MEDIATOR,
        "state": "scheduled",
        "during": SLOT,
        "mode": "video",
        "link": "https://meet.example.org/4",
        "scheduled_at": NOW,
        "revision": 0,
    },
    "calendar_feeds": {
        "role": "mediator",
        "subject": "m.one",
        "token_digest": bytes(32),
        "made_at": NOW,
        "expires_at": NOW + timedelta(days=90),
    },
    "session_officers": {
        "session_id": SESSION,
        "party_id": DALE,
        "employee_number_index": NUMBER,
        "during": SLOT,
        "live": True,
    },
    "contact_attempts": {
        "id": OTHER,
        "party_id": ROSA,
        "channel": "phone",
        "result": "no_answer",
        "attempted_at": NOW,
        **OF_CASE,
    },
    "absences": {"id": OTHER, "session_id": SESSION, "party_id": ROSA, "excused": False, **OF_CASE},
    "attendances": {"session_id": SESSION, "seat_role": "party", "seat_id": ROSA, "present": False},
    "attendees": {"id": OTHER, "case_id": CASE, "role": "support_person", "name": "Noor Haddad", "added_at": NOW},
    "consents": {
        "id": OTHER,
        "party_id": ROSA,
        "decision": "agreed",
        "disclosure_sha256": SHA,
        "channel": "phone",
        "version": 3,
        **OF_CASE,
    },
    "guardian_consents": {
        "id": GUARDIAN,
        "party_id": ROSA,
        "disclosure_sha256": SHA,
        "channel": "phone",
        **OF_CASE,
    },
    "signatures": {
        "id": OTHER,
        "case_id": CASE,
        "agreement_id": AGREEMENT,
        "sha256": SHA,
        "signer_role": "party",
        "signer_id": ROSA,
        "signer_name": "Rosa Alvarez",
        "method": "paper",
        "at": NOW,
        **BY,
    },
    "voided_consents": {"consent_id": OTHER, "party_id": ROSA, "reason": "found_minor", **OF_CASE},
    "withdrawals": {"id": OTHER, "party_id": ROSA, "channel": "phone", **OF_CASE},
}
"""One good row of each table."""

OFFICER: Final[Row] = {"id": DALE, "side": "officer", "employee_number": "4711", "employee_number_index": "4711"}
ANOTHER: Final[dict[str, Row]] = {
    "complaints": {"reference": "2026-000002", "external_reference": None},
    "disclosures": {"sha256": "b" * 64},
    "attempt_counters": {"what": "filing"},
    "calendar_feeds": {"role": "coordinator", "token_digest": bytes(31) + b"1"},
    "canaries": {"name": "cursor_secret"},
    "job_runs": {"job": "audit-verify"},
    "unnumbered_events": {"position": 1001},
    "change_feed": {"number": 2, "position": 2, "sequence": 2},
    "mail_cursor": {"single": False},
    "webhook_endpoints": {},
    "webhook_deliveries": {"number": None},
    "idempotency_keys": {"key_sha256": "b" * 64},
    "imports": {},
    "import_batches": {"first_line": 3},
    "import_refusals": {"line": 2},
    "mediators": {"subject": "m.other", "employee_number_index": None},
    "staff_names": {},
    "cases": {"attempt": 2, "state": "withdrawn", "closed_at": NOW, "closed_version": 9},
    "parties": {},
    "access_codes": {"lookup": "two", "ended_at": NOW},
    "agreements": {"number": 2, "superseded_at": NOW, "superseded_version": 4},
    "audit_chain_heads": {"stream": LATE},
    "assignments": {"state": "declined", "answered_at": NOW},
    "erasures": {"state": "approved", "decided_at": NOW, "decided_by": "director.1"},
    "participants": {"party_id": LATE},
    "sessions": {"state": "cancelled"},
    "session_officers": {"party_id": LATE, "employee_number_index": None},
    "approvals": {"version": 3},
    "screenings": {"version": 3},
    "absences": {"party_id": DALE},
    "attendances": {"seat_id": DALE},
    "parts": {"officer_id": KIM},
    "consents": {"party_id": DALE},
    "signatures": {"signer_id": DALE},
    "voided_consents": {"consent_id": AGAIN},
    "withdrawals": {"party_id": DALE},
}
"""What makes a second row good beside the first; its id is always a new one."""

FILED: Final[Row] = {
    "state": "filed",
    "decided_at": NOW,
    "decided_by_role": "director",
    "decided_by": "director.1",
}
UNSEEN: Final[Row] = {"attempt": None, "version": None}
BARE: Final = Ciphertext("It rained.")
"""What somebody writes who is not the service: the type lets it pass, and it is not sealed."""
NOBODY: Final[Row] = {"by_role": "nobody"}
REFUSED: Final[dict[str, tuple[str, Row]]] = {
    # words that the rules do not know
    **{
        f"ck_{name}_by_role": (name, NOBODY)
        for name in (
            "absences",
            "approvals",
            "complaints",
            "consents",
            "contact_attempts",
            "events",
            "guardian_consents",
            "pauses",
            "access_log",
            "screenings",
            "signatures",
            "voided_consents",
            "withdrawals",
        )
    },
    "ck_agreements_kind": ("agreements", {"kind": "settlement"}),
    "ck_approvals_approver": ("approvals", {"approver": "mayor"}),
    # nobody speaks through a channel that is not theirs, for a director, for a guardian, or without saying who did
    "ck_approvals_channel": ("approvals", {"channel": "portal"}),
    "ck_approvals_director": (
        "approvals",
        {"approver": "director", **dict.fromkeys(("given_by", "given_on", "channel"))},
    ),
    "ck_approvals_given": ("approvals", {"given_by": None}),
    "ck_complaints_own_channel": ("complaints", {"channel": "portal"}),
    "ck_consents_own_channel": ("consents", {"channel": "portal"}),
    "ck_consents_guardian": ("consents", {"party_id": DALE, "decision": "declined", "guardian_consent_id": GUARDIAN}),
    "ck_guardian_consents_by_staff": ("guardian_consents", {"by_role": "mediator"}),
    "ck_guardian_consents_channel": ("guardian_consents", {"channel": "portal"}),
    "ck_withdrawals_own_channel": ("withdrawals", {"channel": "portal"}),
    "ck_assignments_state": ("assignments", {"state": "forgotten"}),
    "ck_attendances_seat_role": ("attendances", {"seat_role": "journalist"}),
    "ck_attendees_role": ("attendees", {"role": "journalist"}),
    "ck_cases_lapse_reason": ("cases", {"lapse_reason": "boredom"}),
    "ck_cases_state": ("cases", {"state": "forgotten"}),
    "ck_complaints_channel": ("complaints", {"channel": "pigeon"}),
    "ck_contact_attempts_channel": ("contact_attempts", {"channel": "pigeon"}),
    "ck_contact_attempts_result": ("contact_attempts", {"result": "she was angry"}),
    "ck_consents_channel": ("consents", {"channel": "pigeon"}),
    "ck_consents_decision": ("consents", {"decision": "maybe"}),
    "ck_participants_side": ("participants", {"side": "mediator"}),
    "ck_participants_standing": ("participants", {"standing": "unsure"}),
    "ck_parties_removal_reason": ("parties", {"removed_at": NOW, "removal_reason": "annoying"}),
    "ck_voided_consents_reason": ("voided_consents", {"reason": "regret"}),
    "ck_parties_side": ("parties", {"side": "mediator"}),
    "ck_pauses_reason": ("pauses", {"reason": "boredom"}),
    "ck_erasures_refusal": ("erasures", {"state": "refused", "refusal": "boredom"}),
    "ck_erasures_state": ("erasures", {"state": "forgotten"}),
    "ck_legal_holds_reason": ("legal_holds", {"reason": "curiosity"}),
    "ck_mandatory_reports_category": ("mandatory_reports", {"category": "gossip"}),
    "ck_mandatory_reports_decided_by_role": (
        "mandatory_reports",
        FILED | {"state": "dropped", "decided_by_role": "intake", "drop_reason": "no_duty"},
    ),
    "ck_mandatory_reports_drop_reason": ("mandatory_reports", FILED | {"state": "dropped", "drop_reason": "boredom"}),
    "ck_mandatory_reports_proposed_by_role": ("mandatory_reports", {"proposed_by_role": "intake"}),
    "ck_mandatory_reports_recipient": ("mandatory_reports", {"recipient": "newspaper"}),
    "ck_mandatory_reports_state": ("mandatory_reports", FILED | {"state": "forgotten"}),
    "ck_access_log_purpose": ("access_log", {"purpose": "curiosity"}),
    "ck_mails_attempts": ("mails", {"attempts": -1}),
    "ck_mails_claimed": ("mails", {"state": "sent", "due_at": None, "finished_at": NOW, "claimed_until": NOW}),
    "ck_mails_kind": ("mails", {"kind": "advertisement"}),
    "ck_mails_queued": ("mails", {"finished_at": NOW}),
    "ck_mails_recipient": ("mails", {"mediator_id": MEDIATOR}),
    "ck_mails_smtp_code": ("mails", {"smtp_code": 99}),
    "ck_mails_state": ("mails", {"state": "read", "due_at": None, "finished_at": NOW}),
    "ck_screenings_outcome": ("screenings", {"outcome": "guilty"}),
    "ck_sessions_end_reason": ("sessions", {"state": "ended", "end_reason": "quarrel"}),
    "ck_sessions_off_hours_reason": ("sessions", {"off_hours_reason": "boredom"}),
    "ck_sessions_mode": ("sessions", {"mode": "telepathy"}),
    "ck_sessions_revision": ("sessions", {"revision": -1}),
    "ck_sessions_state": ("sessions", {"state": "forgotten"}),
    "ck_signatures_method": ("signatures", {"method": "wax"}),
    "ck_signatures_signer_role": ("signatures", {"signer_role": "journalist"}),
    "ck_withdrawals_channel": ("withdrawals", {"channel": "pigeon"}),
    # a case is closed, and mediated, all at once or not at all
    "ck_cases_closed_at": ("cases", {"closed_at": None, "closed_version": None}),
    "ck_cases_closed_version": ("cases", {"closed_version": None}),
    "ck_cases_version": ("cases", {"closed_version": 10}),
    "ck_cases_agreement_reached": ("cases", {"agreement_reached": True}),
    "ck_cases_attempt": ("cases", {"attempt": 11}),
    "ck_cases_due_on": ("cases", {"due_on": TODAY - timedelta(days=1)}),
    # who has answered was asked, and who has left did so at some time
    "ck_participants_asked_first": ("participants", {"standing": "agreed"}),
    "ck_participants_left_at": ("participants", {"standing": "withdrawn"}),
    "ck_participants_left_version": ("participants", {"standing": "withdrawn", "left_at": NOW}),
    "ck_participants_joined_first": ("participants", {"standing": "withdrawn", "left_at": NOW, "left_version": 1}),
    "ck_parties_minor_is_complainant": ("parties", {"side": "officer", "minor": True}),
    "ck_parties_bound_subject": ("parties", {"bound_subject": "officer.1"}),
    "ck_parties_removed": ("parties", {"removed_at": NOW}),
    "ck_parties_officer_fields": ("parties", {"employee_number": "4711"}),
    # an override is a director's, with a reason
    "ck_screenings_override": ("screenings", {"overridden": True, "reason": "Because.", "by_role": "intake"}),
    "ck_erasures_decided": ("erasures", {"decided_at": None}),
    "ck_erasures_refused": ("erasures", {"state": "refused"}),
    "ck_erasures_two_people": ("erasures", {"decided_by": "intake.1"}),
    "ck_legal_holds_lifted": ("legal_holds", {"lifted_at": NOW}),
    # two people stand behind what is reported; what is dropped says why
    "ck_mandatory_reports_decided": ("mandatory_reports", {"decided_by": "director.1"}),
    "ck_mandatory_reports_dropped": ("mandatory_reports", FILED | {"state": "dropped"}),
    "ck_mandatory_reports_two_people": ("mandatory_reports", FILED | {"decided_by": "m.okafor"}),
    # a text that is gone says since when; the city's own text never goes
    "ck_agreements_purged_at": ("agreements", {"kind": "resolution", "purged_at": NOW}),
    "ck_agreements_purged_kind": ("agreements", {"text": None, "purged_at": NOW}),
    # no mediator with a conflict
    "ck_assignments_no_conflict": ("assignments", {"state": "accepted", "conflicts": ["knows_a_party"]}),
    "ck_assignments_answered_at": ("assignments", {"answered_at": None}),
    "ck_assignments_had_notes": ("assignments", {"notes_destroyed_at": NOW}),
    "ck_attendees_interpreter_language": ("attendees", {"role": "interpreter"}),
    "ck_audit_chain_heads_link": ("audit_chain_heads", {"link": b"1"}),
    "ck_events_subject": ("events", {"case_id": None, "version": None}),
    # what a command did has the version that it made of the case
    "ck_events_version": ("events", {"version": None}),
    "ck_agreements_superseded_version": ("agreements", {"superseded_version": None}),
    "ck_agreements_superseded_later": ("agreements", {"superseded_version": 2}),
    "ck_access_log_seen": ("access_log", {"version": None}),
    "ck_change_feed_reader": ("change_feed", {"for_office": False, "integration": None, "sequence": None}),
    "ck_change_feed_sequence": ("change_feed", {"sequence": None}),
    "ck_webhook_endpoints_state": ("webhook_endpoints", {"state": "x"}),
    "ck_webhook_endpoints_kinds": ("webhook_endpoints", {"kinds": []}),
    "ck_webhook_endpoints_failures": ("webhook_endpoints", {"failures": -1}),
    "ck_webhook_endpoints_former_secret_until": ("webhook_endpoints", {"former_secret_until": None}),
    "ck_webhook_endpoints_leased_until": ("webhook_endpoints", {"leased_until": NOW}),
    # one that is removed has forgotten where it was
    "ck_webhook_endpoints_removed": ("webhook_endpoints", {"state": "removed"}),
    "ck_webhook_deliveries_state": (
        "webhook_deliveries",
        {"state": "x", "attempts": 1, "first_attempt_at": NOW, "last_attempt_at": NOW},
    ),
    "ck_webhook_deliveries_attempts": ("webhook_deliveries", {"attempts": 1}),
    "ck_webhook_deliveries_attempted": ("webhook_deliveries", {"state": "dead"}),
    "ck_attempt_counters_what": ("attempt_counters", {"what": "x"}),
    "ck_job_runs_job": ("job_runs", {"job": "x"}),
    "ck_calendar_feeds_role": ("calendar_feeds", {"role": "intake"}),
    "ck_calendar_feeds_token_digest": ("calendar_feeds", {"token_digest": b"short"}),
    "ck_calendar_feeds_expires_at": ("calendar_feeds", {"expires_at": NOW}),
    "uq_calendar_feeds_token_digest": ("calendar_feeds", {"token_digest": bytes(32)}),
    "ck_attempt_counters_number": ("attempt_counters", {"number": 0}),
    "ck_idempotency_keys_anonymous": ("idempotency_keys", {"caller": "public:public"}),
    "ck_idempotency_keys_answered": ("idempotency_keys", {"status": 201}),
    "ck_imports_state": ("imports", {"state": "x", "ended_at": NOW}),
    "ck_imports_counts": ("imports", {"filed": -1}),
    "ck_imports_lines": ("imports", {"refused": 2}),
    "ck_imports_ended": ("imports", {"ended_at": NOW}),
    "ck_pauses_ends_on": ("pauses", {"ends_on": TODAY - timedelta(days=1)}),
    "ck_access_log_subject": ("access_log", {"complaint_id": None, "attempt": None, "version": None}),
    "ck_sessions_ended_has_reason": ("sessions", {"state": "ended"}),
    # a session has a sensible length and somewhere to go, and is not held hours before its time
    "ck_sessions_length": ("sessions", {"during": Range(NOW, NOW + timedelta(minutes=14))}),
    "ck_sessions_where": ("sessions", {"state": "scheduled", "link": None}),
    "ck_sessions_started_at": (
        "sessions",
        {"started_at": NOW - timedelta(hours=4, seconds=1), "agreement_id": AGREEMENT},
    ),
    # nobody was tried to reach who is to be tried tomorrow
    "ck_contact_attempts_attempted_at": ("contact_attempts", {"attempted_at": NOW + timedelta(seconds=1)}),
    # what a session started under is known of each that did
    "ck_sessions_started_under": ("sessions", {"started_at": NOW}),
    "ck_parts_disposition": ("parts", {"disposition": "partly_mediated"}),
    "ck_parts_agreement_reached": ("parts", {"agreement_reached": True}),
    # what tells about somebody is sealed, or nothing
    "ck_approvals_encrypted": ("approvals", {"given_by": BARE}),
    "ck_agreements_encrypted": ("agreements", {"text": BARE}),
    "ck_attendees_encrypted": ("attendees", {"name": BARE}),
    "ck_complaints_encrypted": ("complaints", {"narrative": BARE}),
    "ck_import_batches_encrypted": ("import_batches", {"lines": BARE}),
    "ck_mandatory_reports_encrypted": ("mandatory_reports", {"agency": BARE}),
    "ck_staff_names_encrypted": ("staff_names", {"name": BARE}),
    "ck_mediators_encrypted": ("mediators", {"name": BARE}),
    "ck_parties_encrypted": ("parties", {"name": BARE}),
    "ck_screenings_encrypted": ("screenings", {"reason": BARE}),
    "ck_signatures_encrypted": ("signatures", {"signer_name": BARE}),
    "ck_webhook_endpoints_encrypted": ("webhook_endpoints", {"secret": BARE}),
    "ck_sessions_encrypted": ("sessions", {"place": BARE}),
    # one of each
    "officer_taken": ("session_officers", {"employee_number_index": NUMBER}),
    "mediator_taken": ("sessions", {"case_id": OTHER, "state": "in_progress", "during": SLOT}),
    "uq_absences_session_id_party_id": ("absences", {"party_id": ROSA}),
    "uq_access_codes_live": ("access_codes", {"ended_at": None}),
    "uq_agreements_case_id_kind_number": ("agreements", {"number": 1}),
    "uq_agreements_current": ("agreements", {"superseded_at": None, "superseded_version": None}),
    "uq_approvals_case_id_version": ("approvals", {"version": 2}),
    "uq_screenings_case_id_version": ("screenings", {"version": 2}),
    "uq_assignments_live": ("assignments", {"state": "accepted"}),
    "uq_cases_complaint_id_attempt": ("cases", {"attempt": 1}),
    "uq_cases_open": ("cases", {"state": "ready", "closed_at": None, "closed_version": None}),
    "uq_change_feed_integration": ("change_feed", {"position": 1, "for_office": False}),
    "uq_change_feed_office": ("change_feed", {"position": 1, "integration": None, "sequence": None}),
    "uq_change_feed_sequence": ("change_feed", {"sequence": 1}),
    "uq_complaints_by_external_reference": ("complaints", {"external_reference": "X-1"}),
    "uq_complaints_reference": ("complaints", {"reference": "2026-000001"}),
    "uq_consents_case_id_party_id_replaces": ("consents", {"party_id": ROSA}),
    "uq_erasures_requested": ("erasures", {"state": "requested", "decided_at": None, "decided_by": None}),
    "uq_events_id": ("events", {"id": OTHER}),
    "uq_import_batches_import_id_first_line": ("import_batches", {"first_line": 2}),
    "uq_mediators_employee_number_index": ("mediators", {"employee_number_index": "5711"}),
    "uq_mediators_subject": ("mediators", {"subject": "m.okafor"}),
    "uq_webhook_deliveries_number": ("webhook_deliveries", {"number": 1}),
    "uq_parts_mediated": ("parts", MEDIATED | {"case_id": OTHER, "officer_id": LEE}),
    "uq_parts_open": ("parts", {"case_id": OTHER, "officer_id": DALE}),
    "uq_parties_complaint_id_employee_number_index": ("parties", {"side": "officer", "employee_number_index": "4711"}),
    "uq_sessions_live": (
        "sessions",
        {"state": "scheduled", "during": Range(NOW + timedelta(hours=3), NOW + timedelta(hours=4))},
    ),
    "uq_signatures_agreement_id_signer_role_signer_id": ("signatures", {"signer_id": ROSA}),
    "uq_withdrawals_case_id_party_id": ("withdrawals", {"party_id": ROSA}),
}
"""For each constraint a row that only it refuses: a good second row, with these changes."""

STRANGERS: Final[dict[str, tuple[str, Row]]] = {
    "fk_absences_case_id_party_id": ("absences", {"party_id": LATE}),
    "fk_attendees_case_id_for_party_id": ("attendees", {"for_party_id": LATE}),
    "fk_consents_guardian_consent_id_case_id_party_id": (
        "consents",
        {"party_id": DALE, "guardian_consent_id": GUARDIAN},
    ),
    "fk_guardian_consents_case_id_party_id": ("guardian_consents", {"party_id": LATE}),
    "fk_contact_attempts_case_id_party_id": ("contact_attempts", {"party_id": LATE}),
    "fk_session_officers_party_id_employee_number_index": (
        "session_officers",
        {"employee_number_index": "of nobody"},
    ),
    "fk_consents_case_id_party_id": ("consents", {"party_id": LATE}),
    "fk_parts_case_id_complainant_id": ("parts", {"complainant_id": LATE}),
    "fk_parts_case_id_officer_id": ("parts", {"officer_id": LATE}),
    "fk_consents_replaces": ("consents", {"replaces": OTHER}),
    "fk_signatures_agreement_id_sha256_case_id": ("signatures", {"sha256": "b" * 64}),
    "fk_voided_consents_consent": ("voided_consents", {"party_id": DALE}),
    "fk_withdrawals_case_id_party_id": ("withdrawals", {"party_id": LATE}),
}
"""Nobody answers, leaves or is absent in a case that is not theirs, or signs another text than the agreement's.

Nor does an answer take the place of somebody else's, or of one that still stands.
"""


async def _insert(connection: AsyncConnection, table: str, row: Row) -> None:
    its = metadata.tables[table]
    bare = {name: value for name, value in row.items() if isinstance(value, str) and not isinstance(value, Ciphertext)}
    sealed = {name: Ciphertext(MARK + value) for name, value in bare.items() if isinstance(its.c[name].type, Encrypted)}
    await connection.execute(insert(its).values({**row, **sealed}))


PARENTS: Final = {"visible_parties", "visible_participants"}
"""They have no rows of their own."""


async def _insert_all(connection: AsyncConnection) -> None:
    """One good row of each table, an officer who takes part, and a late party who does not yet."""
    for table in (t for t in metadata.sorted_tables if t.name not in PARENTS):
        await _insert(connection, table.name, ROWS[table.name])
        if table.name == "parties":
            await _insert(connection, "parties", ROWS["parties"] | OFFICER)
            await _insert(connection, "parties", ROWS["parties"] | {"id": LATE})
            for number, id_ in (("4712", KIM), ("4713", LEE)):
                another = {"id": id_, "employee_number": number, "employee_number_index": number}
                await _insert(connection, "parties", ROWS["parties"] | OFFICER | another)
        if table.name == "voided_consents":  # Rosa answers again
            await _insert(connection, "consents", ROWS["consents"] | {"id": AGAIN, "replaces": OTHER})
        if table.name == "participants":
            for id_ in (DALE, KIM, LEE):
                await _insert(connection, "participants", ROWS["participants"] | {"party_id": id_, "side": "officer"})
        if table.name == "parts":
            # As if it had been mediated: tests/promises/test_parts.py shows what the trigger asks for.
            await connection.execute(text("ALTER TABLE parts DISABLE TRIGGER require_part"))
            await _insert(connection, "parts", ROWS["parts"] | MEDIATED | {"officer_id": LEE})
            await connection.execute(text("ALTER TABLE parts ENABLE TRIGGER require_part"))


@pytest.fixture(scope="module")
async def module_database(owner_engine: AsyncEngine) -> AsyncIterator[RolledBackDatabase]:
    """A database of which the owner has put a row into each table."""
    async with rolled_back(owner_engine) as database:
        async with database.transaction() as connection:
            await _insert_all(connection)
        yield database


@pytest.fixture
async def owner(module_database: RolledBackDatabase, undone: None) -> AsyncIterator[AsyncConnection]:
    """Whoever owns these tables."""
    del undone
    async with module_database.transaction() as connection:
        yield connection


@pytest.fixture
async def service(owner: AsyncConnection) -> AsyncConnection:
    """Whom the application connects as."""
    await owner.execute(text("SET LOCAL ROLE mediation_service"))
    return owner


def _second(table: str, changes: Row | None = None) -> Row:
    row = {**ROWS[table], **ANOTHER.get(table, {})}
    if "id" in row:
        row["id"] = uuid4()
    return row | (changes or {})


def _constraints() -> set[str]:
    """Every CHECK, unique and exclusion constraint, and every unique index."""
    kinds = (CheckConstraint, UniqueConstraint, ExcludeConstraint)
    return {
        str(each.name)
        for table in metadata.sorted_tables
        for each in (
            *(c for c in table.constraints if isinstance(c, kinds)),
            *(i for i in table.indexes if i.unique),
        )
    }


def test_each_constraint_has_a_row_that_it_refuses() -> None:
    # The key of a table includes each of the first five; they are there for others to point at. The trigger that links
    # an event gives it a place of its own whatever it brings along, so that nobody gets as far as the last.
    unreached = {
        "uq_agreements_id_sha256_case_id",
        "uq_guardian_consents_id_case_id_party_id",
        "uq_consents_id_case_id_party_id",
        "uq_voided_consents_consent_id_case_id_party_id",
        "uq_parties_id_employee_number_index",
        "uq_events_place",
    }
    assert REFUSED.keys() | unreached == _constraints()


@pytest.mark.parametrize("table", sorted(metadata.tables.keys() - PARENTS))
async def test_a_good_second_row_is_accepted(service: AsyncConnection, table: str) -> None:
    """Otherwise the tests below would prove nothing."""
    await _insert(service, table, _second(table))


@pytest.mark.parametrize(
    ("table", "column"), [(table.name, name) for table, names in ENCRYPTED_COLUMNS.items() for name in names]
)
async def test_each_sealed_column_takes_what_is_sealed_or_empty_and_nothing_else(
    service: AsyncConnection, table: str, column: str
) -> None:
    officer = {"side": "officer"} if (table, column) == ("parties", "employee_number") else {}
    for bad in (BARE, Ciphertext("sealed."), Ciphertext(f" {MARK}")):
        with pytest.raises(IntegrityError) as caught:
            async with service.begin_nested():
                await _insert(service, table, _second(table, {column: bad, **officer}))
        assert constraint_of(caught.value) == f"ck_{table}_encrypted"
    for good in ("What is sealed.", *(() if table == "agreements" else (Ciphertext(""),))):
        async with service.begin_nested() as tried:
            await _insert(service, table, _second(table, {column: good, **officer}))
            await tried.rollback()


@pytest.mark.parametrize("constraint", sorted(REFUSED | STRANGERS))
async def test_the_row_is_refused_by_its_constraint(service: AsyncConnection, constraint: str) -> None:
    table, changes = (REFUSED | STRANGERS)[constraint]
    if changes.get("case_id") == OTHER:  # a case of another complaint
        await _insert(service, "complaints", _second("complaints", {"id": LATE}))
        await _insert(service, "cases", ROWS["cases"] | {"id": OTHER, "complaint_id": LATE})
    with pytest.raises(IntegrityError) as caught:
        async with service.begin_nested():
            await _insert(service, table, _second(table, changes))

    assert constraint_of(caught.value) == constraint


@pytest.mark.parametrize(
    ("table", "more"),
    [
        ("events", {}),
        ("events", {"case_id": None, "version": None, "complaint_id": COMPLAINT}),
        ("events", {"case_id": None, "version": None, "party_id": ROSA}),
        ("access_log", {}),
        ("access_log", {"complaint_id": None, **UNSEEN}),
        ("access_log", {"complaint_id": None, **UNSEEN, "case_id": None, "party_id": ROSA}),
        ("access_log", {"complaint_id": None, **UNSEEN, "case_id": None, "listed": [CASE]}),
    ],
)
async def test_what_tells_of_a_report_names_nothing_that_leads_there(
    service: AsyncConnection, table: str, more: Row
) -> None:
    """No timeline and no list of readings can find it, whatever they ask for."""
    with pytest.raises(IntegrityError) as caught:
        async with service.begin_nested():
            await _insert(service, table, _second(table, {"report_id": REPORT, **more}))
    alone: Row = {"report_id": REPORT, "case_id": None, "version": None}
    if table == "access_log":
        alone |= {"complaint_id": None, **UNSEEN}
    await _insert(service, table, _second(table, alone))

    assert constraint_of(caught.value) == f"ck_{table}_subject"


@pytest.mark.parametrize("table", [*(t.name for t in APPEND_ONLY), "access_log"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}", "TRUNCATE {table} CASCADE"],
    ids=["update", "delete", "truncate"],
)
@pytest.mark.parametrize("replica", [False, True], ids=["", "as-replica"])
async def test_what_was_acknowledged_cannot_be_changed(
    owner: AsyncConnection, table: str, statement: str, *, replica: bool
) -> None:
    """Nor by the owner of the tables, nor by somebody who switches the ordinary triggers off."""
    column = next(iter(metadata.tables[table].primary_key)).name
    if table in {"events", "access_log"}:
        column = "at"  # the key is an identity, and refuses by itself
    if table == "access_log":  # an entry of this moment: retention deletes those of years ago
        await _insert(owner, table, ROWS[table] | {"at": datetime.now(UTC)})
    if replica:
        if not await owner.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
            pytest.skip("this server's user may not switch triggers off at all")
        await owner.execute(text("SET LOCAL session_replication_role = replica"))
    with pytest.raises(IntegrityError, match=f"{table} is append-only"):
        async with owner.begin_nested():
            await owner.execute(text(statement.format(table=table, column=column)))
    rows = 2 if table in {"consents", "access_log"} else 1
    assert await owner.scalar(text(f"SELECT count(*) FROM {table}")) == rows  # noqa: S608 - our own tables


async def test_an_answer_takes_the_place_of_one_that_was_voided_and_of_none_that_stands(
    service: AsyncConnection,
) -> None:
    """Of the answers of a party at most one stands: the last, which nothing has voided."""
    third = _second("consents", {"party_id": ROSA, "replaces": AGAIN})
    with pytest.raises(IntegrityError) as caught:
        async with service.begin_nested():
            await _insert(service, "consents", third)
    assert constraint_of(caught.value) == "fk_consents_replaces"
    await _insert(service, "voided_consents", ROWS["voided_consents"] | {"consent_id": AGAIN})
    await _insert(service, "consents", third)


CHANGES_OF_A_PERSON: Final[dict[str, tuple[str, str, str]]] = {
    "side": ("keep_identity", "parties", "side = 'complainant'"),
    "employee number": ("keep_identity", "parties", "employee_number_index = '4712', employee_number = ''"),
    "bound subject": ("keep_identity", "parties", "bound_subject = 'officer.2'"),
    "subject": ("keep_subject", "mediators", "subject = 'm.another'"),
}


@pytest.mark.parametrize("change", list(CHANGES_OF_A_PERSON))
async def test_who_somebody_is_stays_as_it_was_asked(owner: AsyncConnection, change: str) -> None:
    trigger, table, values = CHANGES_OF_A_PERSON[change]
    person = DALE if table == "parties" else MEDIATOR
    asked = "UPDATE participants SET asked_at = joined_at WHERE party_id = :id"
    bound = "UPDATE parties SET bound_subject = 'officer.1' WHERE id = :id"
    changing = text(f"UPDATE {table} SET {values} WHERE id = :id")  # noqa: S608 - the table above
    for statement in (asked, bound) if table == "parties" else ():
        await owner.execute(text(statement), {"id": person})
    await owner.execute(text("SET LOCAL ROLE mediation_service"))
    if change == "side":  # what the service has no right to, the owner must not do either
        await owner.execute(text("RESET ROLE"))
    with pytest.raises(IntegrityError) as caught:
        async with owner.begin_nested():
            await owner.execute(changing, {"id": person})
    assert constraint_of(caught.value) == trigger
    if change == "side":
        return
    await owner.execute(text("RESET ROLE"))
    await owner.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}"))
    await owner.execute(text("SET LOCAL ROLE mediation_service"))
    await owner.execute(changing, {"id": person})


async def test_retention_empties_a_number_and_the_office_releases_a_subject(service: AsyncConnection) -> None:
    for statement in (
        "UPDATE participants SET asked_at = joined_at WHERE party_id = :id",
        "UPDATE parties SET bound_subject = 'officer.1' WHERE id = :id",
        "UPDATE parties SET bound_subject = NULL, employee_number_index = NULL WHERE id = :id",
    ):
        await service.execute(text(statement), {"id": DALE})


async def test_who_was_removed_stays_removed(service: AsyncConnection) -> None:
    whole = await service.begin_nested()  # no event says any of it
    removed = "UPDATE parties SET removed_at = added_at, removal_reason = 'duplicate' WHERE id = :id"
    returned = "UPDATE parts SET disposition = 'returned_to_investigation', removed = true WHERE officer_id = :id"
    gone = "UPDATE participants SET standing = 'removed', left_at = joined_at, left_version = 99 WHERE party_id = :id"
    for statement in (removed, returned, gone):
        await service.execute(text(statement), {"id": DALE})
    await service.execute(text(removed), {"id": LATE})
    back = "UPDATE participants SET standing = 'waiting', left_at = NULL, left_version = NULL WHERE party_id = :id"
    refused = {
        "keep_identity": "UPDATE parties SET removed_at = NULL, removal_reason = NULL WHERE id = :id",
        "keep_removed": back,
    }
    for trigger, statement in refused.items():
        with pytest.raises(IntegrityError) as caught:
            async with service.begin_nested():
                await service.execute(text(statement), {"id": DALE})
        assert constraint_of(caught.value) == trigger
    with pytest.raises(IntegrityError) as caught:
        async with service.begin_nested():
            await _insert(service, "participants", _second("participants"))
    assert constraint_of(caught.value) == "keep_removed"
    await whole.rollback()


async def test_nobody_is_removed_whose_part_was_mediated(owner: AsyncConnection) -> None:
    whole = await owner.begin_nested()  # no event says any of it
    mediated = "UPDATE parts SET disposition = 'closed_mediated', agreement_reached = false WHERE officer_id = :id"
    removed = "UPDATE parties SET removed_at = added_at, removal_reason = 'duplicate' WHERE id = :id"
    await owner.execute(text("ALTER TABLE parts DISABLE TRIGGER require_part"))
    await owner.execute(text(mediated), {"id": DALE})
    with pytest.raises(IntegrityError) as caught:
        async with owner.begin_nested():
            await owner.execute(text(removed), {"id": DALE})
    assert constraint_of(caught.value) == "keep_identity"
    await whole.rollback()


async def test_the_name_that_was_signed_is_emptied_and_never_replaced(service: AsyncConnection) -> None:
    for name in (f"{MARK}Somebody else.", f"{MARK}Rosa"):
        with pytest.raises(IntegrityError, match="signatures is append-only"):
            async with service.begin_nested():
                await service.execute(text("UPDATE signatures SET signer_name = :name"), {"name": name})
    await service.execute(text("UPDATE signatures SET signer_name = ''"))
