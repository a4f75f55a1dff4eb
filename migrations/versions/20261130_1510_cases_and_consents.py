"""Cases, their participants, screenings, disclosures, consents, withdrawals, contact attempts and pauses.

Revises: 20261130_1500
Created: 2026-11-30 15:10:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from mediation_api.database.migrations import sql

revision: str = "20261130_1510"
down_revision: str | None = "20261130_1500"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
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
        sa.Column("screening_outdated", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("closed_version", sa.Integer(), nullable=True),
        sa.Column(
            "maybe_missed",
            sa.Boolean(),
            sa.Computed(
                "state::text = 'mediated'::text AND closed_at >= timezone('UTC'::text, due_on + '10:00:00'::interval)",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.CheckConstraint("(closed_at IS NULL) = (closed_version IS NULL)", name=op.f("ck_cases_closed_version")),
        sa.CheckConstraint("closed_version <= version", name=op.f("ck_cases_version")),
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
        sa.CheckConstraint("attempt BETWEEN 1 AND 10", name=op.f("ck_cases_attempt")),
        sa.CheckConstraint("due_on >= requested_on", name=op.f("ck_cases_due_on")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_cases_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("complaint_id", "attempt", name=op.f("uq_cases_complaint_id_attempt")),
    )
    op.create_index("ix_cases_closed_at", "cases", ["closed_at"])
    op.create_index("ix_cases_coordinator_due_on_id", "cases", ["coordinator", "due_on", "id"])
    op.create_index("ix_cases_due_on_id_closed_at", "cases", ["due_on", "id", "closed_at"])
    op.create_index(
        "ix_cases_maybe_missed_due_on_id", "cases", ["due_on", "id"], postgresql_where=sa.text("maybe_missed")
    )
    op.create_index(
        "ix_cases_open_due_on_id",
        "cases",
        ["due_on", "id"],
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("ix_cases_opened_at_id_due_on_closed_at", "cases", ["opened_at", "id", "due_on", "closed_at"])
    op.create_index("ix_cases_state_due_on_id", "cases", ["state", "due_on", "id"])
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
        "visible_participants",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "participants",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("joined_version", sa.Integer(), nullable=False),
        sa.Column("left_version", sa.Integer(), nullable=True),
        sa.CheckConstraint("(left_at IS NULL) = (left_version IS NULL)", name=op.f("ck_participants_left_version")),
        sa.CheckConstraint("left_version > joined_version", name=op.f("ck_participants_joined_first")),
        sa.CheckConstraint(
            "(standing IN ('declined', 'withdrawn', 'lapsed', 'removed')) = (left_at IS NOT NULL)",
            name=op.f("ck_participants_left_at"),
        ),
        sa.CheckConstraint("side IN ('complainant', 'officer')", name=op.f("ck_participants_side")),
        sa.CheckConstraint(
            "standing IN ('agreed', 'asked', 'declined', 'lapsed', 'removed', 'waiting', 'withdrawn')",
            name=op.f("ck_participants_standing"),
        ),
        sa.CheckConstraint(
            "standing NOT IN ('asked', 'agreed', 'declined') OR asked_at IS NOT NULL",
            name=op.f("ck_participants_asked_first"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_participants_case_id")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_participants_party_id")),
        sa.PrimaryKeyConstraint("case_id", "party_id", name=op.f("pk_participants")),
        postgresql_inherits="visible_participants",
    )
    op.create_index("ix_participants_party_id", "participants", ["party_id"])
    # A party that was asked keeps its identity, and a party that was removed stays removed.
    op.execute(sql("keep_identity"))
    op.execute("CREATE TRIGGER keep_identity BEFORE UPDATE ON parties FOR EACH ROW EXECUTE FUNCTION keep_identity()")
    op.execute(sql("keep_removed"))
    op.execute(
        "CREATE TRIGGER keep_removed BEFORE INSERT OR UPDATE OF standing ON participants "
        "FOR EACH ROW EXECUTE FUNCTION keep_removed()"
    )
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
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(reason = '' OR starts_with(reason, 'encrypted.1.'))", name=op.f("ck_screenings_encrypted")
        ),
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
        sa.UniqueConstraint("case_id", "version", name=op.f("uq_screenings_case_id_version")),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("approver", sa.String(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("given_by", sa.Text(), nullable=True),
        sa.Column("given_on", sa.Date(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
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
        sa.CheckConstraint(
            "(given_by = '' OR starts_with(given_by, 'encrypted.1.'))",
            name=op.f("ck_approvals_encrypted"),
        ),
        sa.CheckConstraint(
            "channel IN ('email', 'in_person', 'letter', 'phone')",
            name=op.f("ck_approvals_channel"),
        ),
        sa.CheckConstraint(
            "approver <> 'director' OR by_role = 'director'",
            name=op.f("ck_approvals_director"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(given_by, given_on, channel) = CASE approver WHEN 'director' THEN 0 ELSE 3 END",
            name=op.f("ck_approvals_given"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_approvals_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("case_id", "version", name=op.f("uq_approvals_case_id_version")),
    )
    op.create_table(
        "disclosures",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_disclosures")),
    )
    op.create_table(
        "guardian_consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("disclosure_sha256", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_guardian_consents_by_role"),
        ),
        sa.CheckConstraint(
            "by_role IN ('coordinator', 'director', 'intake')",
            name=op.f("ck_guardian_consents_by_staff"),
        ),
        sa.CheckConstraint(
            "channel IN ('email', 'in_person', 'letter', 'phone')",
            name=op.f("ck_guardian_consents_channel"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id", "party_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_guardian_consents_case_id_party_id"),
        ),
        sa.ForeignKeyConstraint(
            ["disclosure_sha256"], ["disclosures.sha256"], name=op.f("fk_guardian_consents_disclosure_sha256")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guardian_consents")),
        sa.UniqueConstraint("id", "case_id", "party_id", name=op.f("uq_guardian_consents_id_case_id_party_id")),
    )
    op.create_index("ix_guardian_consents_case_id_party_id", "guardian_consents", ["case_id", "party_id"])
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("disclosure_sha256", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("guardian_consent_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_consents_by_role"),
        ),
        sa.CheckConstraint(
            "channel IN ('email', 'in_person', 'integration', 'letter', 'phone', 'portal', 'session')",
            name=op.f("ck_consents_channel"),
        ),
        sa.CheckConstraint(
            "CASE WHEN by_role IN ('complainant', 'officer') THEN channel = 'portal' ELSE by_role IN ('intake', 'coordinator', 'director') AND channel IN ('email', 'in_person', 'letter', 'phone') END",
            name=op.f("ck_consents_own_channel"),
        ),
        sa.CheckConstraint(
            "decision = 'agreed' OR guardian_consent_id IS NULL",
            name=op.f("ck_consents_guardian"),
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
        sa.ForeignKeyConstraint(
            ["guardian_consent_id", "case_id", "party_id"],
            ["guardian_consents.id", "guardian_consents.case_id", "guardian_consents.party_id"],
            name=op.f("fk_consents_guardian_consent_id_case_id_party_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        sa.UniqueConstraint("id", "case_id", "party_id", name=op.f("uq_consents_id_case_id_party_id")),
        sa.UniqueConstraint(
            "case_id",
            "party_id",
            "replaces",
            name=op.f("uq_consents_case_id_party_id_replaces"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "voided_consents",
        sa.Column("consent_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_voided_consents_by_role"),
        ),
        sa.CheckConstraint(
            "reason IN ('allegations_replaced', 'found_minor', 'guardian_changed', 'party_removed')",
            name=op.f("ck_voided_consents_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["consent_id", "case_id", "party_id"],
            ["consents.id", "consents.case_id", "consents.party_id"],
            name="fk_voided_consents_consent",
        ),
        sa.PrimaryKeyConstraint("consent_id", name=op.f("pk_voided_consents")),
        sa.UniqueConstraint(
            "consent_id", "case_id", "party_id", name=op.f("uq_voided_consents_consent_id_case_id_party_id")
        ),
    )
    # An answer may replace a voided one only.
    op.create_foreign_key(
        "fk_consents_replaces",
        "consents",
        "voided_consents",
        ["replaces", "case_id", "party_id"],
        ["consent_id", "case_id", "party_id"],
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
            "channel IN ('email', 'in_person', 'integration', 'letter', 'phone', 'portal', 'session')",
            name=op.f("ck_withdrawals_channel"),
        ),
        sa.CheckConstraint(
            "CASE by_role WHEN 'mediator' THEN channel = 'session' ELSE CASE WHEN by_role IN ('complainant', 'officer') THEN channel = 'portal' ELSE by_role IN ('intake', 'coordinator', 'director') AND channel IN ('email', 'in_person', 'letter', 'phone') END END",
            name=op.f("ck_withdrawals_own_channel"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id", "party_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_withdrawals_case_id_party_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawals")),
        sa.UniqueConstraint("case_id", "party_id", name=op.f("uq_withdrawals_case_id_party_id")),
    )
    op.create_table(
        "contact_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint("attempted_at <= at", name=op.f("ck_contact_attempts_attempted_at")),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_contact_attempts_by_role"),
        ),
        sa.CheckConstraint(
            "channel IN ('email', 'in_person', 'letter', 'phone', 'text_message')",
            name=op.f("ck_contact_attempts_channel"),
        ),
        sa.CheckConstraint(
            "result IN ('message_left', 'no_answer', 'reached', 'returned_undelivered')",
            name=op.f("ck_contact_attempts_result"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id", "party_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_contact_attempts_case_id_party_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_attempts")),
    )
    op.create_index("ix_contact_attempts_case_id_party_id", "contact_attempts", ["case_id", "party_id"])
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
    op.create_index("ix_pauses_case_id", "pauses", ["case_id"])
    op.execute(sql("require_guardian_consent"))
    op.execute(
        "CREATE TRIGGER guardian_consent BEFORE INSERT ON consents FOR EACH ROW "
        "WHEN (NEW.decision = 'agreed' AND NEW.guardian_consent_id IS NULL) EXECUTE FUNCTION require_guardian_consent()"
    )


def downgrade() -> None:
    op.drop_table("contact_attempts")
    op.drop_table("pauses")
    op.drop_table("withdrawals")
    op.drop_constraint("fk_consents_replaces", "consents")
    op.drop_table("voided_consents")
    op.drop_table("consents")
    op.drop_table("guardian_consents")
    op.execute("DROP FUNCTION require_guardian_consent()")
    op.drop_table("disclosures")
    op.drop_table("approvals")
    op.drop_table("screenings")
    op.execute("DROP FUNCTION keep_identity() CASCADE")
    op.execute("DROP FUNCTION keep_removed() CASCADE")
    op.drop_table("participants")
    op.drop_table("visible_participants")
    op.drop_table("cases")
