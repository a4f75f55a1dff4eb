"""Complaints, their parties and access codes, and the data keys under which personal data is encrypted.

Revises:
Created: 2026-11-30 15:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261130_1500"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE complaint_reference")
    op.create_table(
        "data_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("wrapped", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_keys")),
    )
    op.create_table(
        "canaries",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_canaries")),
    )
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
            "(narrative = '' OR starts_with(narrative, 'encrypted.1.')) AND (incident_place = '' OR starts_with(incident_place, 'encrypted.1.'))",
            name=op.f("ck_complaints_encrypted"),
        ),
        sa.CheckConstraint(
            "by_role IN ('auditor', 'complainant', 'coordinator', 'director', 'intake', 'integration', 'mediator', 'officer', 'public')",
            name=op.f("ck_complaints_by_role"),
        ),
        sa.CheckConstraint(
            "channel IN ('email', 'in_person', 'integration', 'letter', 'phone', 'portal', 'session')",
            name=op.f("ck_complaints_channel"),
        ),
        sa.CheckConstraint(
            "(channel = 'portal') = (by_role = 'public') AND (channel = 'integration') = (by_role = 'integration') AND channel <> 'session'",
            name=op.f("ck_complaints_own_channel"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaints")),
        sa.UniqueConstraint("by", "external_reference", name=op.f("uq_complaints_by_external_reference")),
        sa.UniqueConstraint("reference", name=op.f("uq_complaints_reference")),
    )
    op.create_index("ix_complaints_by_filed_at_id", "complaints", ["by", "filed_at", "id"])
    op.create_index("ix_complaints_filed_at_id", "complaints", ["filed_at", "id"])
    op.create_index("ix_complaints_precinct_filed_at_id", "complaints", ["precinct", "filed_at", "id"])
    op.create_index("ix_complaints_number", "complaints", [sa.text("split_part(reference, '-', 2)")])
    op.create_table(
        "visible_parties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
    )
    op.create_table(
        "parties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("employee_number", sa.String(), nullable=True),
        sa.Column("employee_number_index", sa.String(), nullable=True),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_allowed", sa.Boolean(), nullable=False),
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
        sa.Column("bound_subject", sa.String(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removal_reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(name = '' OR starts_with(name, 'encrypted.1.')) AND (employee_number = '' OR starts_with(employee_number, 'encrypted.1.')) AND (phone = '' OR starts_with(phone, 'encrypted.1.')) AND (email = '' OR starts_with(email, 'encrypted.1.')) AND (postal_address = '' OR starts_with(postal_address, 'encrypted.1.')) AND (safe_contact = '' OR starts_with(safe_contact, 'encrypted.1.')) AND (accommodations = '' OR starts_with(accommodations, 'encrypted.1.')) AND (guardian_name = '' OR starts_with(guardian_name, 'encrypted.1.')) AND (guardian_relation = '' OR starts_with(guardian_relation, 'encrypted.1.')) AND (guardian_phone = '' OR starts_with(guardian_phone, 'encrypted.1.')) AND (guardian_email = '' OR starts_with(guardian_email, 'encrypted.1.'))",
            name=op.f("ck_parties_encrypted"),
        ),
        sa.CheckConstraint("side = 'complainant' OR NOT minor", name=op.f("ck_parties_minor_is_complainant")),
        sa.CheckConstraint(
            "side = 'officer' OR (employee_number IS NULL AND unit IS NULL)", name=op.f("ck_parties_officer_fields")
        ),
        sa.CheckConstraint("side IN ('complainant', 'officer')", name=op.f("ck_parties_side")),
        sa.CheckConstraint(
            "removal_reason IN ('duplicate', 'entered_in_error', 'wrong_person')",
            name=op.f("ck_parties_removal_reason"),
        ),
        sa.CheckConstraint("(removed_at IS NULL) = (removal_reason IS NULL)", name=op.f("ck_parties_removed")),
        sa.CheckConstraint("side = 'officer' OR bound_subject IS NULL", name=op.f("ck_parties_bound_subject")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_parties_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parties")),
        sa.UniqueConstraint("id", "employee_number_index", name=op.f("uq_parties_id_employee_number_index")),
        postgresql_inherits="visible_parties",
    )
    op.create_index("ix_parties_employee_number_index", "parties", ["employee_number_index"])
    op.create_index("ix_parties_interpreter_language", "parties", ["interpreter_language"])
    op.create_index("ix_parties_language", "parties", ["language"])
    op.create_index(
        "uq_parties_complaint_id_employee_number_index",
        "parties",
        ["complaint_id", "employee_number_index"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "access_codes",
        sa.Column("lookup", sa.String(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_access_codes_party_id")),
        sa.PrimaryKeyConstraint("lookup", name=op.f("pk_access_codes")),
    )
    op.create_index(
        "uq_access_codes_live",
        "access_codes",
        ["party_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("access_codes")
    op.drop_table("parties")
    op.drop_table("visible_parties")
    op.drop_table("complaints")
    op.drop_table("canaries")
    op.drop_table("data_keys")
    op.execute("DROP SEQUENCE complaint_reference")
