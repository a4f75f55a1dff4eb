"""Agreements and their signatures.

Revises: 20261130_1520
Created: 2026-11-30 15:30:00+00:00
"""

import sqlalchemy as sa
from alembic import op

from mediation_api.database.migrations import sql

revision: str = "20261130_1530"
down_revision: str | None = "20261130_1520"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "agreements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("template_version", sa.String(), nullable=True),
        sa.Column("languages", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("terms_confidential", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("superseded_version", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(superseded_at IS NULL) = (superseded_version IS NULL)", name=op.f("ck_agreements_superseded_version")
        ),
        sa.CheckConstraint("superseded_version > version", name=op.f("ck_agreements_superseded_later")),
        sa.CheckConstraint("(starts_with(text, 'encrypted.1.'))", name=op.f("ck_agreements_encrypted")),
        sa.CheckConstraint("kind = 'resolution' OR purged_at IS NULL", name=op.f("ck_agreements_purged_kind")),
        sa.CheckConstraint("kind IN ('confidentiality', 'resolution')", name=op.f("ck_agreements_kind")),
        sa.CheckConstraint("(text IS NULL) = (purged_at IS NOT NULL)", name=op.f("ck_agreements_purged_at")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_agreements_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreements")),
        sa.UniqueConstraint("case_id", "kind", "number", name=op.f("uq_agreements_case_id_kind_number")),
        sa.UniqueConstraint("id", "sha256", "case_id", name=op.f("uq_agreements_id_sha256_case_id")),
    )
    op.create_index(
        "uq_agreements_current",
        "agreements",
        ["case_id", "kind"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "signatures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("signer_role", sa.String(), nullable=False),
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("signer_name", sa.Text(), nullable=False),
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
        sa.CheckConstraint(
            "(signer_name = '' OR starts_with(signer_name, 'encrypted.1.'))", name=op.f("ck_signatures_encrypted")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_signatures_case_id")),
        sa.ForeignKeyConstraint(
            ["agreement_id", "sha256", "case_id"],
            ["agreements.id", "agreements.sha256", "agreements.case_id"],
            name=op.f("fk_signatures_agreement_id_sha256_case_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signatures")),
        sa.UniqueConstraint(
            "agreement_id", "signer_role", "signer_id", name=op.f("uq_signatures_agreement_id_signer_role_signer_id")
        ),
    )
    op.execute(
        "-- squawk-ignore constraint-missing-not-valid, adding-foreign-key-constraint -- there are no rows yet\n"
        "ALTER TABLE sessions ADD CONSTRAINT fk_sessions_agreement_id FOREIGN KEY (agreement_id) REFERENCES agreements (id)"
    )
    # Retention may set a text to NULL; nothing may replace it.
    op.execute(sql("refuse_other_text"))
    op.execute(sql("agreements_only_emptied"))


def downgrade() -> None:
    op.drop_constraint(op.f("fk_sessions_agreement_id"), "sessions", type_="foreignkey")
    op.drop_table("signatures")
    op.drop_table("agreements")
    op.execute("DROP FUNCTION refuse_other_text()")
