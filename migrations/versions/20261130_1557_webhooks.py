"""Webhooks: the endpoints that integrations register, and what is sent to each.

Revises: 20261130_1555
Created: 2026-11-30 15:57:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261130_1557"
down_revision: str | None = "20261130_1555"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("integration", sa.String(), nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("former_secret", sa.Text(), nullable=True),
        sa.Column("former_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('active', 'failing', 'paused', 'removed')", name=op.f("ck_webhook_endpoints_state")
        ),
        sa.CheckConstraint("cardinality(kinds) >= 1", name=op.f("ck_webhook_endpoints_kinds")),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_webhook_endpoints_failures")),
        sa.CheckConstraint(
            "(former_secret IS NULL) = (former_secret_until IS NULL)",
            name=op.f("ck_webhook_endpoints_former_secret_until"),
        ),
        sa.CheckConstraint("(lease IS NULL) = (leased_until IS NULL)", name=op.f("ck_webhook_endpoints_leased_until")),
        sa.CheckConstraint(
            "state <> 'removed' OR (url = '' AND secret = '' AND former_secret IS NULL)",
            name=op.f("ck_webhook_endpoints_removed"),
        ),
        sa.CheckConstraint(
            "(url = '' OR starts_with(url, 'encrypted.1.')) AND (secret = '' OR starts_with(secret, 'encrypted.1.')) "
            "AND (former_secret = '' OR starts_with(former_secret, 'encrypted.1.'))",
            name=op.f("ck_webhook_endpoints_encrypted"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index("ix_webhook_endpoints_integration", "webhook_endpoints", ["integration"])
    op.create_index("ix_webhook_endpoints_registered_at_id", "webhook_endpoints", ["registered_at", "id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("stream", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('dead', 'delivered', 'waiting')", name=op.f("ck_webhook_deliveries_state")),
        sa.CheckConstraint(
            "num_nonnulls(first_attempt_at, last_attempt_at) = CASE attempts WHEN 0 THEN 0 ELSE 2 END",
            name=op.f("ck_webhook_deliveries_attempts"),
        ),
        sa.CheckConstraint("state = 'waiting' OR attempts > 0", name=op.f("ck_webhook_deliveries_attempted")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_deliveries_endpoint_id")
        ),
        sa.ForeignKeyConstraint(["number"], ["change_feed.number"], name=op.f("fk_webhook_deliveries_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index("uq_webhook_deliveries_number", "webhook_deliveries", ["endpoint_id", "number"], unique=True)
    op.create_index("ix_webhook_deliveries_queued_at_id", "webhook_deliveries", ["endpoint_id", "queued_at", "id"])
    op.create_index(
        "ix_webhook_deliveries_stream",
        "webhook_deliveries",
        ["endpoint_id", "stream", "number"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["endpoint_id", "next_attempt_at"],
        postgresql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    op.drop_table("webhook_deliveries")
    op.drop_table("webhook_endpoints")
