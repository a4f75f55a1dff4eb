"""Mails to parties and mediators (`mails`), and up to which event of the change feed they were queued (`mail_cursor`).

Revises: 20261130_1615
Created: 2026-11-30 16:17:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261130_1617"
down_revision: str | None = "20261130_1615"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("mediator_id", sa.Uuid(), nullable=True),
        sa.Column("about_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("smtp_code", sa.Integer(), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'queued') = (due_at IS NOT NULL) AND (state = 'queued') = (finished_at IS NULL)",
            name=op.f("ck_mails_queued"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_mails_attempts")),
        sa.CheckConstraint(
            "kind IN ('answer_asked', 'answer_reminder', 'closed', 'offered', 'proposal_reminder', 'proposed', 'session_cancelled', 'session_moved', 'session_reminder', 'session_scheduled', 'signature_asked', 'signature_reminder')",
            name=op.f("ck_mails_kind"),
        ),
        sa.CheckConstraint("num_nonnulls(party_id, mediator_id) = 1", name=op.f("ck_mails_recipient")),
        sa.CheckConstraint("smtp_code BETWEEN 200 AND 599", name=op.f("ck_mails_smtp_code")),
        sa.CheckConstraint("state = 'queued' OR claimed_until IS NULL", name=op.f("ck_mails_claimed")),
        sa.CheckConstraint("state IN ('dropped', 'failed', 'queued', 'sent')", name=op.f("ck_mails_state")),
        sa.ForeignKeyConstraint(
            ["case_id", "party_id"],
            ["participants.case_id", "participants.party_id"],
            name=op.f("fk_mails_case_id_party_id"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_mails_case_id")),
        sa.ForeignKeyConstraint(["mediator_id"], ["mediators.id"], name=op.f("fk_mails_mediator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    op.create_index("ix_mails_case_id_queued_at_id", "mails", ["case_id", "queued_at", "id"])
    op.create_index("ix_mails_due_at", "mails", ["due_at"], postgresql_where=sa.text("state = 'queued'"))
    op.create_index("ix_mails_queued_at", "mails", ["queued_at"])
    op.create_table(
        "mail_cursor",
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_mail_cursor")),
    )


def downgrade() -> None:
    op.drop_table("mail_cursor")
    op.drop_table("mails")
