"""Idempotency keys with their stored responses, attempt counters, and the last runs of the scheduled commands.

Revises: 20261130_1600
Created: 2026-11-30 16:10:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "20261130_1610"
down_revision: str | None = "20261130_1600"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("key_sha256", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("location", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("subjects", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "NOT starts_with(caller, 'public:') OR length(caller) = 71", name=op.f("ck_idempotency_keys_anonymous")
        ),
        sa.CheckConstraint("(status IS NULL) = (body IS NULL)", name=op.f("ck_idempotency_keys_answered")),
        sa.PrimaryKeyConstraint("caller", "operation", "key_sha256", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_at", "idempotency_keys", ["at"])
    op.create_index("ix_idempotency_keys_subjects", "idempotency_keys", ["subjects"], postgresql_using="gin")
    op.create_table(
        "attempt_counters",
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.CheckConstraint("what IN ('calendar', 'code', 'filing')", name=op.f("ck_attempt_counters_what")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_attempt_counters_number")),
        sa.PrimaryKeyConstraint("what", "who", name=op.f("pk_attempt_counters")),
    )
    op.create_index("ix_attempt_counters_hour", "attempt_counters", ["hour"])
    op.create_table(
        "job_runs",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "job IN ('audit-export', 'audit-verify', 'deliver-webhooks', 'keys-rotate', 'number-events', 'record-deadlines', "
            "'retention', 'run-imports', 'send-mail')",
            name=op.f("ck_job_runs_job"),
        ),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_runs")),
    )


def downgrade() -> None:
    op.drop_table("job_runs")
    op.drop_table("attempt_counters")
    op.drop_table("idempotency_keys")
