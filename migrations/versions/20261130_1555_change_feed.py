"""The change feed (`change_feed`): the events in the order in which they were committed, and the queue before it.

Revises: 20261130_1550
Created: 2026-11-30 15:55:00+00:00
"""

import sqlalchemy as sa
from alembic import op

from mediation_api.database.migrations import sql

revision: str = "20261130_1555"
down_revision: str | None = "20261130_1550"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "unnumbered_events",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_unnumbered_events")),
    )
    op.create_table(
        "change_feed",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.Uuid(), nullable=False),
        sa.Column("for_office", sa.Boolean(), nullable=False),
        sa.Column("integration", sa.String(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("for_office OR integration IS NOT NULL", name=op.f("ck_change_feed_reader")),
        sa.CheckConstraint("(integration IS NULL) = (sequence IS NULL)", name=op.f("ck_change_feed_sequence")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_change_feed")),
    )
    op.create_index(
        "uq_change_feed_office", "change_feed", ["position"], unique=True, postgresql_where=sa.text("for_office")
    )
    op.create_index(
        "uq_change_feed_integration",
        "change_feed",
        ["position"],
        unique=True,
        postgresql_where=sa.text("integration IS NOT NULL"),
    )
    op.create_index(
        "ix_change_feed_integration_number",
        "change_feed",
        ["integration", "number"],
        postgresql_where=sa.text("integration IS NOT NULL"),
    )
    op.create_index(
        "uq_change_feed_sequence",
        "change_feed",
        ["stream", "sequence"],
        unique=True,
        postgresql_where=sa.text("integration IS NOT NULL"),
    )
    op.execute(sql("queue_events"))
    op.execute(
        "CREATE TRIGGER queue_events AFTER INSERT ON events REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION queue_events()"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION queue_events() CASCADE")
    op.drop_table("change_feed")
    op.drop_table("unnumbered_events")
