"""The first tables: complaints, parties, cases and all that hangs on them.

Revises:
Created: 2026-11-24 23:30:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "20261124_2330"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


APPEND_ONLY = (
    "facts",
    "consents",
    "withdrawals",
    "signatures",
    "screenings",
    "approvals",
    "absences",
    "disclosures",
    "pauses",
)


def upgrade() -> None:
    # For the exclusion constraint on a mediator's sessions. A trusted extension: no superuser is needed.
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute("CREATE SEQUENCE complaint_reference")
    op.create_table(
        "complaints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("narrative", sa.Text(), nullable=False),
        sa.Column("incident_on", sa.Date(), nullable=True),
        sa.Column("incident_place", sa.Text(), nullable=True),
        sa.Column("precinct", sa.String(), nullable=True),
        sa.Column("allegations", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("interested_in_mediation", sa.Boolean(), nullable=False),
        sa.Column("external_reference", sa.String(), nullable=True),
        sa.Column("crime_alleged", sa.Boolean(), nullable=True),
        sa.Column("serious_injury", sa.Boolean(), nullable=True),
        sa.Column("litigation_pending", sa.Boolean(), nullable=True),
        sa.Column("pending_case_filed_on", sa.Date(), nullable=True),
        sa.Column("officer_is_witness", sa.Boolean(), nullable=True),
        sa.Column("rank_initiated", sa.Boolean(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_complaints_by_role"),
        ),
        sa.CheckConstraint(
            "channel IN ('email', 'in_person', 'integration', 'letter', 'phone', 'portal')",
            name=op.f("ck_complaints_channel"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaints")),
        sa.UniqueConstraint("by", "external_reference", name=op.f("uq_complaints_by_external_reference")),
        sa.UniqueConstraint("reference", name=op.f("uq_complaints_reference")),
    )
    op.create_index("ix_complaints_filed_at_id", "complaints", ["filed_at", "id"], unique=False)
    op.create_table(
        "disclosures",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_disclosures")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("key_sha256", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("location", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status IS NULL) = (body IS NULL)", name=op.f("ck_idempotency_keys_answered")),
        sa.PrimaryKeyConstraint("caller", "operation", "key_sha256", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_at", "idempotency_keys", ["at"], unique=False)
    op.create_table(
        "mediators",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("languages", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mediators")),
        sa.UniqueConstraint("subject", name=op.f("uq_mediators_subject")),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("coordinator", sa.String(), nullable=True),
        sa.Column("requested_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("agreement_reached", sa.Boolean(), nullable=True),
        sa.Column("lapse_reason", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state = 'mediated') = (agreement_reached IS NOT NULL)", name=op.f("ck_cases_agreement_reached")
        ),
        sa.CheckConstraint(
            "(state IN ('asking', 'concluded', 'confirming', 'in_session', 'ready', 'scheduled', 'screening')) = (closed_at IS NULL)",
            name=op.f("ck_cases_closed_at"),
        ),
        sa.CheckConstraint("lapse_reason IN ('repeated_absence', 'unreachable')", name=op.f("ck_cases_lapse_reason")),
        sa.CheckConstraint(
            "state IN ('asking', 'concluded', 'confirming', 'declined', 'ended', 'in_session', 'ineligible', 'lapsed', 'mediated', 'ready', 'scheduled', 'screening', 'withdrawn')",
            name=op.f("ck_cases_state"),
        ),
        sa.CheckConstraint("due_on >= requested_on", name=op.f("ck_cases_due_on")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_cases_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("complaint_id", "attempt", name=op.f("uq_cases_complaint_id_attempt")),
    )
    op.create_index("ix_cases_due_on_id", "cases", ["due_on", "id"], unique=False)
    op.create_index("ix_cases_opened_at_id", "cases", ["opened_at", "id"], unique=False)
    op.create_index(
        "uq_cases_open",
        "cases",
        ["complaint_id"],
        unique=True,
        postgresql_where=sa.text(
            "state IN ('asking', 'concluded', 'confirming', 'in_session', 'ready', 'scheduled', 'screening')"
        ),
    )
    op.create_table(
        "parties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("employee_number", sa.String(), nullable=True),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("postal_address", sa.Text(), nullable=True),
        sa.Column("safe_contact", sa.Text(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("interpreter_language", sa.String(), nullable=True),
        sa.Column("accommodations", sa.Text(), nullable=True),
        sa.Column("minor", sa.Boolean(), nullable=False),
        sa.Column("guardian_name", sa.Text(), nullable=True),
        sa.Column("guardian_relation", sa.String(), nullable=True),
        sa.Column("guardian_phone", sa.Text(), nullable=True),
        sa.Column("guardian_email", sa.Text(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("side = 'complainant' OR NOT minor", name=op.f("ck_parties_minor_is_complainant")),
        sa.CheckConstraint(
            "side = 'officer' OR (employee_number IS NULL AND unit IS NULL)", name=op.f("ck_parties_officer_fields")
        ),
        sa.CheckConstraint("side IN ('complainant', 'officer')", name=op.f("ck_parties_side")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_parties_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parties")),
        sa.UniqueConstraint("complaint_id", "employee_number", name=op.f("uq_parties_complaint_id_employee_number")),
    )
    op.create_index("ix_parties_employee_number", "parties", ["employee_number"], unique=False)
    op.create_table(
        "access_codes",
        sa.Column("lookup", sa.String(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_access_codes_party_id")),
        sa.PrimaryKeyConstraint("lookup", name=op.f("pk_access_codes")),
    )
    op.create_index(
        "uq_access_codes_live",
        "access_codes",
        ["party_id"],
        unique=True,
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "agreements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("template_version", sa.String(), nullable=True),
        sa.Column("languages", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("terms_confidential", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('confidentiality', 'resolution')", name=op.f("ck_agreements_kind")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_agreements_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreements")),
        sa.UniqueConstraint("case_id", "kind", "number", name=op.f("uq_agreements_case_id_kind_number")),
        sa.UniqueConstraint("id", "sha256", name=op.f("uq_agreements_id_sha256")),
    )
    op.create_index(
        "uq_agreements_current",
        "agreements",
        ["case_id", "kind"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("approver", sa.String(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "approver IN ('director', 'internal_affairs', 'unit_commander')", name=op.f("ck_approvals_approver")
        ),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_approvals_by_role"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_approvals_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index("ix_approvals_case_id", "approvals", ["case_id"], unique=False)
    op.create_table(
        "assignments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("mediator_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answer_due_on", sa.Date(), nullable=False),
        sa.Column("conflicts", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'proposed') = (answered_at IS NULL)", name=op.f("ck_assignments_answered_at")),
        sa.CheckConstraint("state <> 'accepted' OR conflicts = '{}'", name=op.f("ck_assignments_no_conflict")),
        sa.CheckConstraint(
            "state IN ('accepted', 'conflicted', 'declined', 'proposed', 'recused', 'released')",
            name=op.f("ck_assignments_state"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_assignments_case_id")),
        sa.ForeignKeyConstraint(["mediator_id"], ["mediators.id"], name=op.f("fk_assignments_mediator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index("ix_assignments_case_id", "assignments", ["case_id"], unique=False)
    op.create_index("ix_assignments_mediator_id", "assignments", ["mediator_id"], unique=False)
    op.create_index(
        "uq_assignments_live",
        "assignments",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('accepted', 'proposed')"),
    )
    op.create_table(
        "facts",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("mediator_id", sa.Uuid(), nullable=True),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_facts_by_role"),
        ),
        sa.CheckConstraint("num_nonnulls(complaint_id, case_id, mediator_id) >= 1", name=op.f("ck_facts_subject")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_facts_case_id")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_facts_complaint_id")),
        sa.ForeignKeyConstraint(["mediator_id"], ["mediators.id"], name=op.f("fk_facts_mediator_id")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_facts_party_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_facts")),
        sa.UniqueConstraint("id", name=op.f("uq_facts_id")),
    )
    op.create_index("ix_facts_case_id_position", "facts", ["case_id", "position"], unique=False)
    op.create_index("ix_facts_complaint_id_position", "facts", ["complaint_id", "position"], unique=False)
    op.create_table(
        "participants",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(standing IN ('declined', 'withdrawn', 'lapsed')) = (left_at IS NOT NULL)",
            name=op.f("ck_participants_left_at"),
        ),
        sa.CheckConstraint("side IN ('complainant', 'officer')", name=op.f("ck_participants_side")),
        sa.CheckConstraint(
            "standing IN ('agreed', 'asked', 'declined', 'lapsed', 'waiting', 'withdrawn')",
            name=op.f("ck_participants_standing"),
        ),
        sa.CheckConstraint(
            "standing NOT IN ('asked', 'agreed', 'declined') OR asked_at IS NOT NULL",
            name=op.f("ck_participants_asked_first"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_participants_case_id")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_participants_party_id")),
        sa.PrimaryKeyConstraint("case_id", "party_id", name=op.f("pk_participants")),
    )
    op.create_index("ix_participants_party_id", "participants", ["party_id"], unique=False)
    op.create_table(
        "pauses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_pauses_by_role"),
        ),
        sa.CheckConstraint("reason IN ('court_date', 'interpreter', 'leave')", name=op.f("ck_pauses_reason")),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_pauses_ends_on")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_pauses_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
    op.create_index("ix_pauses_case_id", "pauses", ["case_id"], unique=False)
    op.create_table(
        "screenings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("rules_version", sa.String(), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("eligible", sa.Boolean(), nullable=True),
        sa.Column("overridden", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "NOT overridden OR (reason IS NOT NULL AND by_role = 'director')", name=op.f("ck_screenings_override")
        ),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_screenings_by_role"),
        ),
        sa.CheckConstraint("outcome IN ('fail', 'needs_review', 'pass')", name=op.f("ck_screenings_outcome")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_screenings_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screenings")),
    )
    op.create_index("ix_screenings_case_id", "screenings", ["case_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("mediator_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("mediator_id"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("state IN ('in_progress', 'scheduled')"),
            using="gist",
            name="mediator_taken",
        ),
        sa.CheckConstraint("(state = 'ended') = (end_reason IS NOT NULL)", name=op.f("ck_sessions_ended_has_reason")),
        sa.CheckConstraint(
            "end_reason IN ('ended_by_mediator', 'lapse', 'withdrawal')", name=op.f("ck_sessions_end_reason")
        ),
        sa.CheckConstraint("mode IN ('in_person', 'video')", name=op.f("ck_sessions_mode")),
        sa.CheckConstraint(
            "state IN ('adjourned', 'cancelled', 'completed', 'ended', 'in_progress', 'missed', 'scheduled')",
            name=op.f("ck_sessions_state"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_sessions_case_id")),
        sa.ForeignKeyConstraint(["mediator_id"], ["mediators.id"], name=op.f("fk_sessions_mediator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_case_id", "sessions", ["case_id"], unique=False)
    op.create_index("ix_sessions_starts_at_id", "sessions", [sa.literal_column("lower(during)"), "id"], unique=False)
    op.create_index(
        "uq_sessions_live",
        "sessions",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('in_progress', 'scheduled')"),
    )
    op.create_table(
        "absences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("excused", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_absences_by_role"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id", "party_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_absences_case_id_party_id"),
        ),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_absences_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absences")),
        sa.UniqueConstraint("session_id", "party_id", name=op.f("uq_absences_session_id_party_id")),
    )
    op.create_index("ix_absences_case_id_party_id", "absences", ["case_id", "party_id"], unique=False)
    op.create_table(
        "attendances",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("seat_role", sa.String(), nullable=False),
        sa.Column("seat_id", sa.Uuid(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "seat_role IN ('guardian', 'interpreter', 'mediator', 'party', 'support_person')",
            name=op.f("ck_attendances_seat_role"),
        ),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_attendances_session_id")),
        sa.PrimaryKeyConstraint("session_id", "seat_role", "seat_id", name=op.f("pk_attendances")),
    )
    op.create_table(
        "attendees",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("for_party_id", sa.Uuid(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role <> 'interpreter' OR language IS NOT NULL", name=op.f("ck_attendees_interpreter_language")
        ),
        sa.CheckConstraint("role IN ('interpreter', 'support_person')", name=op.f("ck_attendees_role")),
        sa.ForeignKeyConstraint(
            ["case_id", "for_party_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_attendees_case_id_for_party_id"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_attendees_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendees")),
    )
    op.create_index("ix_attendees_case_id", "attendees", ["case_id"], unique=False)
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("disclosure_sha256", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("guardian_agreed", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_consents_by_role"),
        ),
        sa.CheckConstraint(
            "channel IN ('email', 'in_person', 'integration', 'letter', 'phone', 'portal')",
            name=op.f("ck_consents_channel"),
        ),
        sa.CheckConstraint("decision IN ('agreed', 'declined')", name=op.f("ck_consents_decision")),
        sa.ForeignKeyConstraint(
            ["case_id", "party_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_consents_case_id_party_id"),
        ),
        sa.ForeignKeyConstraint(
            ["disclosure_sha256"], ["disclosures.sha256"], name=op.f("fk_consents_disclosure_sha256")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        sa.UniqueConstraint("case_id", "party_id", name=op.f("uq_consents_case_id_party_id")),
    )
    op.create_table(
        "signatures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("signer_role", sa.String(), nullable=False),
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_signatures_by_role"),
        ),
        sa.CheckConstraint("method IN ('electronic', 'paper')", name=op.f("ck_signatures_method")),
        sa.CheckConstraint(
            "signer_role IN ('guardian', 'interpreter', 'mediator', 'party', 'support_person')",
            name=op.f("ck_signatures_signer_role"),
        ),
        sa.ForeignKeyConstraint(
            ["agreement_id", "sha256"],
            ["agreements.id", "agreements.sha256"],
            name=op.f("fk_signatures_agreement_id_sha256"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signatures")),
        sa.UniqueConstraint(
            "agreement_id", "signer_role", "signer_id", name=op.f("uq_signatures_agreement_id_signer_role_signer_id")
        ),
    )
    op.create_table(
        "withdrawals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_withdrawals_by_role"),
        ),
        sa.CheckConstraint(
            "channel IN ('email', 'in_person', 'integration', 'letter', 'phone', 'portal')",
            name=op.f("ck_withdrawals_channel"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id", "party_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_withdrawals_case_id_party_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawals")),
        sa.UniqueConstraint("case_id", "party_id", name=op.f("uq_withdrawals_case_id_party_id")),
    )

    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: a correction is a new fact', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END
        $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        # ALWAYS: also where a session has set session_replication_role to replica.
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    op.drop_table("withdrawals")
    op.drop_table("signatures")
    op.drop_table("consents")
    op.drop_index("ix_attendees_case_id", table_name="attendees")
    op.drop_table("attendees")
    op.drop_table("attendances")
    op.drop_index("ix_absences_case_id_party_id", table_name="absences")
    op.drop_table("absences")
    op.drop_index(
        "uq_sessions_live", table_name="sessions", postgresql_where=sa.text("state IN ('in_progress', 'scheduled')")
    )
    op.drop_index("ix_sessions_starts_at_id", table_name="sessions")
    op.drop_index("ix_sessions_case_id", table_name="sessions")
    op.drop_table("sessions")
    op.drop_index("ix_screenings_case_id", table_name="screenings")
    op.drop_table("screenings")
    op.drop_index("ix_pauses_case_id", table_name="pauses")
    op.drop_table("pauses")
    op.drop_index("ix_participants_party_id", table_name="participants")
    op.drop_table("participants")
    op.drop_index("ix_facts_complaint_id_position", table_name="facts")
    op.drop_index("ix_facts_case_id_position", table_name="facts")
    op.drop_table("facts")
    op.drop_index(
        "uq_assignments_live", table_name="assignments", postgresql_where=sa.text("state IN ('accepted', 'proposed')")
    )
    op.drop_index("ix_assignments_mediator_id", table_name="assignments")
    op.drop_index("ix_assignments_case_id", table_name="assignments")
    op.drop_table("assignments")
    op.drop_index("ix_approvals_case_id", table_name="approvals")
    op.drop_table("approvals")
    op.drop_index("uq_agreements_current", table_name="agreements", postgresql_where=sa.text("superseded_at IS NULL"))
    op.drop_table("agreements")
    op.drop_index("uq_access_codes_live", table_name="access_codes", postgresql_where=sa.text("replaced_at IS NULL"))
    op.drop_table("access_codes")
    op.drop_index("ix_parties_employee_number", table_name="parties")
    op.drop_table("parties")
    op.drop_index(
        "uq_cases_open",
        table_name="cases",
        postgresql_where=sa.text(
            "state IN ('asking', 'concluded', 'confirming', 'in_session', 'ready', 'scheduled', 'screening')"
        ),
    )
    op.drop_index("ix_cases_opened_at_id", table_name="cases")
    op.drop_index("ix_cases_due_on_id", table_name="cases")
    op.drop_table("cases")
    op.drop_table("mediators")
    op.drop_index("ix_idempotency_keys_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("disclosures")
    op.drop_index("ix_complaints_filed_at_id", table_name="complaints")
    op.drop_table("complaints")
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("DROP SEQUENCE complaint_reference")
    # btree_gist stays: another schema of this database may use it.
