"""The roster of mediators, assignments, attendees, sessions with their attendances, and calendar feeds.

Revises: 20261130_1510
Created: 2026-11-30 15:20:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from mediation_api.database.migrations import sql

revision: str = "20261130_1520"
down_revision: str | None = "20261130_1510"
branch_labels: str | None = None
depends_on: str | None = None

MEDIATOR_IS_PARTY = {
    "assignments": "INSERT OR UPDATE OF state, mediator_id",
    "mediators": "UPDATE OF employee_number_index",
    "parties": "INSERT OR UPDATE OF employee_number_index",
}
"""The changes, by table, after which a mediator could be a party of their own case."""


def upgrade() -> None:
    # For the exclusion constraints on the sessions of a mediator and of an officer. A trusted extension needs no superuser.
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.create_table(
        "mediators",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("employee_number", sa.String(), nullable=True),
        sa.Column("employee_number_index", sa.String(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_allowed", sa.Boolean(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("languages", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(name = '' OR starts_with(name, 'encrypted.1.')) AND (employee_number = '' OR starts_with(employee_number, 'encrypted.1.')) AND (email = '' OR starts_with(email, 'encrypted.1.')) AND (phone = '' OR starts_with(phone, 'encrypted.1.'))",
            name=op.f("ck_mediators_encrypted"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mediators")),
        sa.UniqueConstraint("employee_number_index", name=op.f("uq_mediators_employee_number_index")),
        sa.UniqueConstraint("subject", name=op.f("uq_mediators_subject")),
    )
    op.create_index("ix_mediators_added_at_id", "mediators", ["added_at", "id"])
    op.create_table(
        "staff_names",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("named_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(name = '' OR starts_with(name, 'encrypted.1.'))", name=op.f("ck_staff_names_encrypted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_names")),
    )
    op.create_index("ix_staff_names_subject_named_at", "staff_names", ["subject", "named_at"])
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
        sa.Column("notes_destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'proposed') = (answered_at IS NULL)", name=op.f("ck_assignments_answered_at")),
        sa.CheckConstraint("state <> 'accepted' OR conflicts = '{}'", name=op.f("ck_assignments_no_conflict")),
        sa.CheckConstraint(
            "state IN ('accepted', 'conflicted', 'declined', 'proposed', 'recused', 'released')",
            name=op.f("ck_assignments_state"),
        ),
        sa.CheckConstraint(
            "state IN ('accepted', 'recused') OR notes_destroyed_at IS NULL", name=op.f("ck_assignments_had_notes")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_assignments_case_id")),
        sa.ForeignKeyConstraint(["mediator_id"], ["mediators.id"], name=op.f("fk_assignments_mediator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index("ix_assignments_case_id", "assignments", ["case_id"])
    op.create_index("ix_assignments_mediator_id", "assignments", ["mediator_id"])
    op.create_index("ix_assignments_proposed_at_id", "assignments", ["proposed_at", "id"])
    op.execute(sql("keep_subject"))
    op.execute(
        "CREATE TRIGGER keep_subject BEFORE UPDATE OF subject ON mediators "
        "FOR EACH ROW WHEN (NEW.subject <> OLD.subject) EXECUTE FUNCTION keep_subject()"
    )
    op.create_index(
        "uq_assignments_live",
        "assignments",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('accepted', 'proposed')"),
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
        sa.CheckConstraint("(name = '' OR starts_with(name, 'encrypted.1.'))", name=op.f("ck_attendees_encrypted")),
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
    op.create_index("ix_attendees_case_id", "attendees", ["case_id"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("mediator_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("off_hours_reason", sa.String(), nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.Column("agreement_id", sa.Uuid(), nullable=True),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("mediator_id"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("state IN ('in_progress', 'scheduled')"),
            using="gist",
            name="mediator_taken",
        ),
        sa.CheckConstraint(
            "(place = '' OR starts_with(place, 'encrypted.1.')) AND (link = '' OR starts_with(link, 'encrypted.1.'))",
            name=op.f("ck_sessions_encrypted"),
        ),
        sa.CheckConstraint(
            "NOT (state IN ('in_progress', 'scheduled')) "
            "OR CASE mode WHEN 'video' THEN link IS NOT NULL ELSE place IS NOT NULL END",
            name=op.f("ck_sessions_where"),
        ),
        sa.CheckConstraint(
            "off_hours_reason IN ('interpreter', 'officer_shift', 'parties_asked', 'room')",
            name=op.f("ck_sessions_off_hours_reason"),
        ),
        sa.CheckConstraint("started_at >= lower(during) - interval '4 hours'", name=op.f("ck_sessions_started_at")),
        sa.CheckConstraint("revision >= 0", name=op.f("ck_sessions_revision")),
        sa.CheckConstraint(
            "upper(during) - lower(during) >= interval '15 minutes' "
            "AND upper(during) - lower(during) <= interval '8 hours'",
            name=op.f("ck_sessions_length"),
        ),
        sa.CheckConstraint("(state = 'ended') = (end_reason IS NOT NULL)", name=op.f("ck_sessions_ended_has_reason")),
        sa.CheckConstraint("(started_at IS NULL) = (agreement_id IS NULL)", name=op.f("ck_sessions_started_under")),
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
    op.create_index("ix_sessions_case_id", "sessions", ["case_id"])
    op.create_index("ix_sessions_starts_at_id", "sessions", [sa.literal_column("lower(during)"), "id"])
    op.create_index(
        "uq_sessions_live",
        "sessions",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('in_progress', 'scheduled')"),
    )
    op.create_table(
        "calendar_feeds",
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('coordinator', 'mediator')", name=op.f("ck_calendar_feeds_role")),
        sa.CheckConstraint("length(token_digest) = 32", name=op.f("ck_calendar_feeds_token_digest")),
        sa.CheckConstraint("expires_at > made_at", name=op.f("ck_calendar_feeds_expires_at")),
        sa.PrimaryKeyConstraint("role", "subject", name=op.f("pk_calendar_feeds")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_calendar_feeds_token_digest")),
    )
    op.create_table(
        "session_officers",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("employee_number_index", sa.String(), nullable=True),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("employee_number_index"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("live"),
            using="gist",
            name="officer_taken",
        ),
        sa.ForeignKeyConstraint(
            ["party_id", "employee_number_index"],
            ["parties.id", "parties.employee_number_index"],
            name=op.f("fk_session_officers_party_id_employee_number_index"),
            onupdate="CASCADE",
        ),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_session_officers_party_id")),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_session_officers_session_id")),
        sa.PrimaryKeyConstraint("session_id", "party_id", name=op.f("pk_session_officers")),
    )
    op.create_index("ix_session_officers_party_id", "session_officers", ["party_id"])
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
    op.create_index("ix_absences_case_id_party_id", "absences", ["case_id", "party_id"])
    op.execute(sql("require_own_session"))
    op.execute(
        "CREATE TRIGGER own_session BEFORE INSERT ON withdrawals FOR EACH ROW "
        "WHEN (NEW.channel = 'session') EXECUTE FUNCTION require_own_session()"
    )
    op.execute(sql("refuse_mediator_as_party"))
    for table, change in MEDIATOR_IS_PARTY.items():
        op.execute(
            f"CREATE TRIGGER mediator_is_party AFTER {change} ON {table} FOR EACH ROW "
            "EXECUTE FUNCTION refuse_mediator_as_party()"
        )


def downgrade() -> None:
    op.execute("DROP FUNCTION refuse_mediator_as_party() CASCADE")
    op.execute("DROP FUNCTION require_own_session() CASCADE")
    op.drop_table("absences")
    op.drop_table("attendances")
    op.drop_table("session_officers")
    op.drop_table("calendar_feeds")
    op.drop_table("sessions")
    op.drop_table("attendees")
    op.execute("DROP FUNCTION keep_subject() CASCADE")
    op.drop_table("assignments")
    op.drop_table("staff_names")
    op.drop_table("mediators")
    # btree_gist stays: another schema of this database may use it.
