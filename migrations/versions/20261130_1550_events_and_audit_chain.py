"""The events of each complaint, case, mediator and report (`events`), and the audit chain of hashes over them.

Revises: 20261130_1540
Created: 2026-11-30 15:50:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from mediation_api.database.migrations import sql

revision: str = "20261130_1550"
down_revision: str | None = "20261130_1540"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("mediator_id", sa.Uuid(), nullable=True),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.CheckConstraint("(case_id IS NULL) = (version IS NULL)", name=op.f("ck_events_version")),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_role", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_events_by_role"),
        ),
        sa.CheckConstraint(
            "CASE WHEN report_id IS NULL THEN num_nonnulls(complaint_id, case_id, mediator_id) >= 1 ELSE num_nonnulls(complaint_id, case_id, mediator_id, party_id) = 0 END",
            name=op.f("ck_events_subject"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_events_case_id")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_events_complaint_id")),
        sa.ForeignKeyConstraint(["mediator_id"], ["mediators.id"], name=op.f("fk_events_mediator_id")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_events_party_id")),
        sa.ForeignKeyConstraint(["report_id"], ["mandatory_reports.id"], name=op.f("fk_events_report_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_events")),
        sa.UniqueConstraint("id", name=op.f("uq_events_id")),
    )
    op.create_index("ix_events_case_id_position", "events", ["case_id", "position"])
    op.create_index("ix_events_complaint_id_position", "events", ["complaint_id", "position"])
    op.create_index(
        "uq_events_place",
        "events",
        [sa.literal_column("coalesce(report_id, case_id, complaint_id, mediator_id)"), "sequence"],
        unique=True,
    )
    op.create_table(
        "audit_chain_heads",
        sa.Column("stream", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("octet_length(link) = 32", name=op.f("ck_audit_chain_heads_link")),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_audit_chain_heads")),
    )
    for function in ("event_link", "link_event", "extend_audit_chain"):
        op.execute(sql(function))
    # Not ENABLE ALWAYS: a replica keeps the links that it receives.
    op.execute("CREATE TRIGGER link_event BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION link_event()")
    op.execute(sql("require_accepted_case"))
    op.execute(
        "CREATE TRIGGER accepted_case BEFORE INSERT ON events FOR EACH ROW "
        "WHEN (NEW.by_role = 'mediator' AND NEW.case_id IS NOT NULL) EXECUTE FUNCTION require_accepted_case()"
    )
    op.execute(sql("require_contact_attempt"))
    op.execute(
        "CREATE TRIGGER require_contact_attempt BEFORE INSERT ON events FOR EACH ROW "
        "WHEN ((NEW.kind = 'party.lapsed' AND NEW.data ->> 'reason' = 'unreachable') "
        "OR (NEW.kind = 'case.closed' AND NEW.data ->> 'lapse_reason' = 'unreachable')) "
        "EXECUTE FUNCTION require_contact_attempt()"
    )
    op.execute(
        "CREATE TRIGGER extend_audit_chain BEFORE UPDATE ON audit_chain_heads FOR EACH ROW EXECUTE FUNCTION extend_audit_chain()"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION require_accepted_case() CASCADE")
    op.execute("DROP FUNCTION extend_audit_chain() CASCADE")
    op.execute("DROP FUNCTION require_contact_attempt() CASCADE")
    op.execute("DROP FUNCTION link_event() CASCADE")
    op.execute("DROP FUNCTION event_link(bytea, bigint, events)")
    op.drop_table("audit_chain_heads")
    op.drop_table("events")
