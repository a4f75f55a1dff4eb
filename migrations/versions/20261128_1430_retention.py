"""What may be emptied: the terms of resolution agreements, names, places, and the reasons of screenings.

The release before shows an agreement's text as it is; there is none without before the job has run.

Revises: 20261128_1410
Created: 2026-11-28 14:30:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261128_1430"
down_revision: str | None = "20261128_1410"
branch_labels: str | None = None
depends_on: str | None = None

EMPTIED = {"agreements": "purged_at", "screenings": "reason"}
"""What the service could not write before, once a row was there."""


def upgrade() -> None:
    op.execute(
        "-- squawk-ignore ban-drop-not-null -- it is NULL once the job of this release has run\n"
        "ALTER TABLE agreements ALTER COLUMN text DROP NOT NULL"
    )
    op.add_column("agreements", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "ALTER TABLE agreements ADD CONSTRAINT ck_agreements_purged_at "
        "CHECK ((text IS NULL) = (purged_at IS NOT NULL)) NOT VALID"
    )
    op.execute(
        "ALTER TABLE agreements ADD CONSTRAINT ck_agreements_purged_kind "
        "CHECK (kind = 'resolution' OR purged_at IS NULL) NOT VALID"
    )
    for table, columns in EMPTIED.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO mediation_service")
    op.execute("GRANT SELECT (purged_at) ON agreements TO mediation_party")
    # A text is what was signed: it can go, and cannot become another, nor come back.
    op.execute("DROP TRIGGER only_sealed ON agreements")
    op.execute(
        "CREATE TRIGGER only_sealed BEFORE UPDATE OF text ON agreements FOR EACH ROW WHEN (NEW.text IS NOT NULL AND "
        "(OLD.text IS NULL OR starts_with(OLD.text, 'sealed.') OR NOT starts_with(NEW.text, 'sealed.'))) "
        "EXECUTE FUNCTION refuse_other_text()"
    )
    # A screening stays append-only, but for the words of its reason.
    op.execute(
        """
        CREATE FUNCTION refuse_change_but_reason() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.reason = '' AND OLD.reason <> '' THEN
                OLD.reason := '';
                IF NEW = OLD THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION '% is append-only: a correction is a new fact', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END
        $$
        """
    )
    op.execute("DROP TRIGGER append_only ON screenings")
    op.execute(
        "CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON screenings "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER append_only_but_reason BEFORE UPDATE ON screenings "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change_but_reason()"
    )
    for trigger in ("append_only", "append_only_but_reason"):
        op.execute(f"ALTER TABLE screenings ENABLE ALWAYS TRIGGER {trigger}")


def downgrade() -> None:
    op.execute("DROP TRIGGER append_only_but_reason ON screenings")
    op.execute("DROP TRIGGER append_only ON screenings")
    op.execute("DROP FUNCTION refuse_change_but_reason()")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON screenings "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("ALTER TABLE screenings ENABLE ALWAYS TRIGGER append_only")
    op.execute("REVOKE UPDATE (reason) ON screenings FROM mediation_service")
    op.execute("DROP TRIGGER only_sealed ON agreements")
    op.drop_column("agreements", "purged_at")
    # What was emptied stays empty: the release before knows no text that is none.
    op.execute("ALTER TABLE agreements NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE agreements SET text = '' WHERE text IS NULL")
    op.execute("ALTER TABLE agreements FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE TRIGGER only_sealed BEFORE UPDATE OF text ON agreements FOR EACH ROW "
        "WHEN (starts_with(OLD.text, 'sealed.') OR NOT starts_with(NEW.text, 'sealed.')) "
        "EXECUTE FUNCTION refuse_other_text()"
    )
    op.alter_column("agreements", "text", existing_type=sa.Text(), nullable=False)
